-- Pulls that are limited in bytes: a batch ends before the event that would pass the limit, and brings one at least.

-- Publishes events "1=100 2=300": with these tails, and with bodies that make body and metadata have so many bytes.
-- Each has four for its length, and an empty object has four more.
CREATE FUNCTION pg_temp.publish(stream text, events text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish(stream, 'event', test.bytes(split_part(event, '=', 2)::integer - 12),
        id => '01ARZ3NDEKTSV4RRFFQ69G5FA' || split_part(event, '=', 1)))
    FROM regexp_split_to_table(events, ' ') AS event
$$;
-- Pulls: the lease, and the tails and attempts of the events in the order in which they came.
CREATE FUNCTION pg_temp.pull(consumer text, max_bytes bigint DEFAULT NULL, size integer DEFAULT 100,
    visibility_timeout interval DEFAULT NULL, OUT lease bigint, OUT events text)
LANGUAGE sql AS $$
    SELECT max(event.lease), string_agg(right(event.id, 1) || ':' || event.attempt, ' ' ORDER BY place)
    FROM kanthorq_pull(consumer, size, visibility_timeout => visibility_timeout, max_bytes => max_bytes)
        WITH ORDINALITY AS event
            (lease, attempt, "position", id, subject, body, metadata, created_at, place)
$$;
-- As many pulls as it takes until one brings nothing, a line for each.
CREATE FUNCTION pg_temp.pulls(consumer text, max_bytes bigint DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    batch text;
BEGIN
    LOOP
        SELECT events INTO batch FROM pg_temp.pull(consumer, max_bytes);
        EXIT WHEN batch IS NULL;
        RETURN NEXT batch;
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.tasks(consumer text) RETURNS TABLE (event text, state text, attempts smallint, errors text)
LANGUAGE sql AS $$
    SELECT right(event_id, 1), state, attempt_count,
        (SELECT string_agg((error ->> 'attempt') || ' ' || (error ->> 'error'), ', ' ORDER BY place)
         FROM unnest(attempted_error) WITH ORDINALITY AS one (error, place))
    FROM kanthorq_tasks(consumer) ORDER BY event_id COLLATE "C"
$$;

-- New events: as many as fit exactly, but not one byte more; one that is larger comes alone, and in its turn. A
-- smaller one does not overtake it.
SELECT name FROM kanthorq_stream_create('bytes');
SELECT pg_temp.publish('bytes', '1=100 2=100 3=100 4=300 5=50 6=50 7=900 8=20');
SELECT name FROM kanthorq_consumer_create('bytes', 'bytes');
SELECT events, kanthorq_ack('bytes', lease) FROM pg_temp.pull('bytes', 199);
SELECT cursor FROM kanthorq_consumers WHERE name = 'bytes';
SELECT events FROM pg_temp.pull('bytes', 200);
SELECT cursor FROM kanthorq_consumers WHERE name = 'bytes';
SELECT * FROM pg_temp.pulls('bytes', 350);
SELECT kanthorq_consumer_seek('bytes', 'first', 'bytes');
SELECT * FROM pg_temp.pulls('bytes', 1);
-- The size counts as well, and whichever is reached first ends the batch.
SELECT kanthorq_consumer_seek('bytes', 'first', 'bytes');
SELECT events FROM pg_temp.pull('bytes', 1000, 2);
SELECT events FROM pg_temp.pull('bytes', 9223372036854775807);
-- In an ordered consumer too.
SELECT name FROM kanthorq_consumer_create('bytes_ordered', 'bytes', ordered => true);
SELECT * FROM pg_temp.pulls('bytes_ordered', 330);
-- What the consumer does not get takes no room, however large it is: what it does not select, what was cancelled.
SELECT name FROM kanthorq_consumer_create('bytes_other', 'bytes', '{other}');
SELECT events FROM pg_temp.pull('bytes_other', 1);
SELECT cursor FROM kanthorq_consumers WHERE name = 'bytes_other';
SELECT name FROM kanthorq_consumer_create('bytes_cancelled', 'bytes');
SELECT cardinality(kanthorq_cancel('bytes_cancelled', test.ids('247')));
SELECT * FROM pg_temp.pulls('bytes_cancelled', 200);
SELECT kanthorq_stream_drop('bytes', 'bytes');

-- The bytes are those that the client gets: with metadata, and as they are when not compressed or stored elsewhere.
SELECT name FROM kanthorq_stream_create('bytes_kinds');
SELECT name FROM kanthorq_consumer_create('bytes_kinds', 'bytes_kinds');
SELECT kanthorq_publish_text('bytes_kinds', 'compressed', repeat('x', 100000), id => (test.ids('1'))[1]) IS NOT NULL,
    kanthorq_publish_text('bytes_kinds', 'in-metadata', '', jsonb_build_object('a', repeat('x', 100000)),
        id => (test.ids('2'))[1]) IS NOT NULL,
    kanthorq_publish('bytes_kinds', 'elsewhere', test.bytes(100000), id => (test.ids('3'))[1]) IS NOT NULL,
    kanthorq_publish('bytes_kinds', 'small', '', id => (test.ids('4'))[1]) IS NOT NULL;
SELECT subject, pg_column_size(body) < 10000 AS small_body, pg_column_size(metadata) < 10000 AS small_metadata
FROM kanthorq_stream_bytes_kinds ORDER BY position;
SELECT * FROM pg_temp.pulls('bytes_kinds', 199999);
SELECT kanthorq_consumer_seek('bytes_kinds', 'first', 'bytes_kinds');
SELECT * FROM pg_temp.pulls('bytes_kinds', 201000);
SELECT kanthorq_stream_drop('bytes_kinds', 'bytes_kinds');

-- A lease that ran out: all of its attempts have failed. What does not fit is due, and no further attempt is counted
-- before it comes. Nothing overtakes it: no event of another such lease, which stays as it is, no retry, no new event.
SELECT name FROM kanthorq_stream_create('bytes_again');
SELECT pg_temp.publish('bytes_again', '1=100 2=300 3=100 4=50');
SELECT name FROM kanthorq_consumer_create('bytes_again', 'bytes_again', attempt_max => 3);
SELECT lease AS first, events FROM pg_temp.pull('bytes_again', NULL, 3) \gset
\echo :events
SELECT lease AS second, events FROM pg_temp.pull('bytes_again') \gset
\echo :events
SELECT pg_temp.publish('bytes_again', '5=20');
SELECT kanthorq_extend('bytes_again', :first, '1 ms') IS NOT NULL AS shortened;
SELECT test.clock_moves_on();
SELECT kanthorq_extend('bytes_again', :second, '1 ms') IS NOT NULL AS shortened;
SELECT test.clock_moves_on();
SELECT lease AS third, events FROM pg_temp.pull('bytes_again', 350) \gset
\echo :events
SELECT * FROM pg_temp.tasks('bytes_again');
SELECT running, retryable, cursor FROM kanthorq_consumers WHERE name = 'bytes_again';
-- The other lease ran out before this pull, and so comes first; then the retries, with the next attempt.
SELECT events FROM pg_temp.pull('bytes_again', 350);
SELECT * FROM pg_temp.tasks('bytes_again');
SELECT * FROM pg_temp.pulls('bytes_again', 110);
SELECT * FROM pg_temp.tasks('bytes_again');
-- An event that comes again and again is discarded by its attempts, as ever, also one that no limit has room for.
SELECT name FROM kanthorq_consumer_create('bytes_big', 'bytes_again', attempt_max => 2);
SELECT cardinality(kanthorq_cancel('bytes_big', test.ids('145')));
SELECT events, test.clock_moves_on() FROM pg_temp.pull('bytes_big', 1, visibility_timeout => '1 ms');
SELECT events, test.clock_moves_on() FROM pg_temp.pull('bytes_big', 1, visibility_timeout => '1 ms');
SELECT events, test.clock_moves_on() FROM pg_temp.pull('bytes_big', 1, visibility_timeout => '1 ms');
SELECT * FROM pg_temp.tasks('bytes_big') WHERE state <> 'cancelled';
SELECT kanthorq_stream_drop('bytes_again', 'bytes_again');

-- Retries that are due: what does not fit stays due, and no attempt is counted.
SELECT name FROM kanthorq_stream_create('bytes_due');
SELECT pg_temp.publish('bytes_due', '1=100 2=300 3=20 4=20');
SELECT name FROM kanthorq_consumer_create('bytes_due', 'bytes_due', attempt_max => 3);
SELECT lease FROM pg_temp.pull('bytes_due', NULL, 3) \gset
SELECT kanthorq_nack('bytes_due', :lease, test.ids(tail), 'no', '0'), test.clock_moves_on()
FROM regexp_split_to_table('123', '') AS tail;
SELECT events FROM pg_temp.pull('bytes_due', 399);
SELECT * FROM pg_temp.tasks('bytes_due');
SELECT retryable, cursor FROM kanthorq_consumers WHERE name = 'bytes_due';
SELECT events FROM pg_temp.pull('bytes_due', 330);
SELECT * FROM pg_temp.tasks('bytes_due');
SELECT events FROM pg_temp.pull('bytes_due', 330);
SELECT kanthorq_stream_drop('bytes_due', 'bytes_due');

-- A pull that names no limit has the setting's.
SHOW kanthorq.pull_max_bytes;
SELECT name FROM kanthorq_stream_create('bytes_setting');
SELECT name FROM kanthorq_consumer_create('bytes_setting', 'bytes_setting');
SELECT pg_temp.publish('bytes_setting', '1=500 2=500 3=500 4=1000 5=20 6=1000');
SET kanthorq.pull_max_bytes = '1kB';
SELECT events FROM pg_temp.pull('bytes_setting');
SELECT events FROM pg_temp.pull('bytes_setting', 1500);
SELECT count(*) FROM kanthorq_pull('bytes_setting', 100, '0', NULL);
SELECT count(*) FROM kanthorq_pull('bytes_setting');
RESET kanthorq.pull_max_bytes;
SELECT kanthorq_stream_drop('bytes_setting', 'bytes_setting');
SELECT min_val, max_val, unit, context FROM pg_settings WHERE name = 'kanthorq.pull_max_bytes';
SELECT value, test.refused('SET kanthorq.pull_max_bytes = ' || quote_literal(value)) = 'not refused' AS accepted
FROM unnest('{1,1B,64MB,2047MB,0,-1,2GB,much}'::text[]) AS value;
RESET kanthorq.pull_max_bytes;
SELECT test.refused('SET kanthorq.pull_max_byte = 1');

-- Eighty events with more bytes together than a batch may have: they come in several, each of them once and in order.
SELECT name FROM kanthorq_stream_create('bytes_many');
SELECT name FROM kanthorq_consumer_create('bytes_many', 'bytes_many');
SELECT cardinality(kanthorq_publish_many('bytes_many', array_fill('event'::text, ARRAY[80]),
    array_fill(test.bytes(8192), ARRAY[80])));
CREATE TEMP TABLE pulled (batch serial, position bigint, bytes bigint);
SET kanthorq.pull_max_bytes = '64kB';
DO $$
DECLARE
    pull integer := 0;
BEGIN
    LOOP
        pull := pull + 1;
        INSERT INTO pulled SELECT pull, position, length(body) FROM kanthorq_pull('bytes_many');
        EXIT WHEN NOT FOUND;
    END LOOP;
END $$;
RESET kanthorq.pull_max_bytes;
SELECT batch, count(*) AS events, min(position) AS first, max(position) AS last, sum(bytes) AS bytes
FROM pulled GROUP BY batch ORDER BY batch;
SELECT kanthorq_stream_drop('bytes_many', 'bytes_many');

-- No limit is below one byte.
SELECT test.refused_in_full(format('SELECT kanthorq_pull(%L, max_bytes => %s)', 'nobody', max_bytes))
FROM unnest('{0,-1,-9223372036854775808}'::bigint[]) AS max_bytes;
