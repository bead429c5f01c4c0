-- What the regression tests share. create_extension, which runs before all others, makes it once, in the
-- schema "test" of the database that they all run in. A helper that one test alone needs is in that test.
--
-- Ids of events differ in their last character, the "tail": 01ARZ3NDEKTSV4RRFFQ69G5FA1 has the tail 1.

CREATE SCHEMA test;
GRANT USAGE ON SCHEMA test TO PUBLIC;

-- Statements that are refused

-- SQLSTATE and message of the statement, which is rolled back; "not refused" if it succeeds.
CREATE FUNCTION test.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'not refused';
EXCEPTION WHEN others THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;

-- The same for a statement in which $1 stands for a lease. No two runs have the same, so the message has
-- "<lease>" instead.
CREATE FUNCTION test.refused(statement text, lease bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement USING lease;
    RETURN 'not refused';
EXCEPTION WHEN others THEN
    RETURN sqlstate || ' ' || replace(sqlerrm, lease::text, '<lease>');
END $$;

-- The same with the detail and the hint, if there are any, each on a line of its own.
CREATE FUNCTION test.refused_in_full(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'not refused';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate || ' ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
END $$;

-- Events

-- Ids with these tails, one for each character.
CREATE FUNCTION test.ids(tails text) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg('01ARZ3NDEKTSV4RRFFQ69G5FA' || tail) FROM regexp_split_to_table(tails, '') AS tail
$$;

-- Publishes an empty event for each tail, with the subject "event." and the tail; how many.
CREATE FUNCTION test.publish(stream text, tails text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish(stream, 'event.' || tail, '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA' || tail))
    FROM regexp_split_to_table(tails, '') AS tail
$$;

-- So many bytes of every value, always the same, which compression does not make smaller.
CREATE FUNCTION test.bytes(size integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT coalesce(substr(string_agg(sha256(n::text::bytea), '' ORDER BY n), 1, size), '')
    FROM generate_series(1, (size + 31) / 32) AS n
$$;

-- Consumers

-- Pulls: the lease, and of each event its tail and attempt, as in "1:1 2:1". They are sorted by id, since events
-- that come again may come in any order.
CREATE FUNCTION test.pull(consumer text, size integer DEFAULT 100, visibility_timeout interval DEFAULT NULL,
    OUT lease bigint, OUT events text) LANGUAGE sql AS $$
    SELECT max(event.lease),
        string_agg(right(event.id, 1) || ':' || event.attempt, ' ' ORDER BY event.id COLLATE "C")
    FROM kanthorq_pull(consumer, size, visibility_timeout => visibility_timeout) AS event
$$;

-- What each event of the stream is to the consumer, as in "1:completed 2:null", by id.
CREATE FUNCTION test.states(consumer text, stream text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(right(id, 1) || ':' || coalesce(kanthorq_task_state(consumer, id), 'null'), ' '
        ORDER BY id COLLATE "C")
    FROM kanthorq_events(stream)
$$;

-- Time

-- Returns when a time in milliseconds, such as a lease's deadline, is another than when it was called, at least.
CREATE FUNCTION test.clock_moves_on() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
BEGIN
    WHILE clock_timestamp() - start < interval '2 ms' LOOP END LOOP;
END $$;
