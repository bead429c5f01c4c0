-- Many leases at once. How many of their rows a call looks at grows with their number, and not with its square.
SELECT name FROM kanthorq_stream_create('crowd');
SELECT name FROM kanthorq_consumer_create('crowd', 'crowd');
SELECT count(kanthorq_publish('crowd', 'event', '')) FROM generate_series(1, 500);

-- How many rows of leases the statement looks at, and what it returns.
CREATE FUNCTION pg_temp.look(statement text, OUT answer text, OUT looked_at bigint) LANGUAGE plpgsql AS $$
DECLARE
    leases regclass := 'kanthorq_delivery_lease';
BEGIN
    looked_at := -pg_stat_get_xact_tuples_fetched(leases);
    EXECUTE statement INTO answer;
    looked_at := looked_at + pg_stat_get_xact_tuples_fetched(leases);
END $$;

SELECT count(*), count(DISTINCT lease)
FROM generate_series(1, 300), LATERAL kanthorq_pull('crowd', CASE WHEN generate_series > 0 THEN 1 END);

-- They run out together. Those that ran out first come first, as many as there is room for.
UPDATE kanthorq_delivery_lease SET deadline = 1000 - slot WHERE consumer = 'crowd';
SELECT answer, looked_at <= 5 * 300 AS is_linear
FROM pg_temp.look($$ SELECT array_agg("position") FROM kanthorq_pull('crowd', 7) $$);
-- The others come after them, and then what is new. A lease is left that has not run out.
UPDATE kanthorq_delivery_lease SET deadline = 32503680000000 WHERE consumer = 'crowd' AND slot = 100;
SELECT answer, looked_at <= 5 * 300 AS is_linear
FROM pg_temp.look($$
    SELECT ARRAY[count(*), count(*) FILTER (WHERE attempt = 2), min("position"), max("position")]
    FROM kanthorq_pull('crowd', 400) $$);
SELECT count(*) FROM kanthorq_delivery_lease WHERE consumer = 'crowd' AND lease <> 0;

-- Events of many leases are cancelled together: those that run, that run again and that are still to come, one of
-- them twice, and one that is done. What is returned is in the order of the argument.
SELECT count(*), count(DISTINCT lease)
FROM generate_series(1, 60), LATERAL kanthorq_pull('crowd', CASE WHEN generate_series > 0 THEN 1 END);
SELECT kanthorq_ack('crowd', lease) FROM kanthorq_delivery_lease WHERE consumer = 'crowd' AND lease <> 0
ORDER BY lease DESC LIMIT 1;
SELECT array_agg("position" ORDER BY place) AS cancelled, looked_at <= 5 * 70 AS is_linear
FROM pg_temp.look($$
    SELECT kanthorq_cancel('crowd', array_agg(id::text ORDER BY number))
    FROM unnest(ARRAY[490, 410, 468, 3, 410, 467, 2, 430, 450, 470, 409, 500, 2]) WITH ORDINALITY AS asked (at, number)
    JOIN kanthorq_stream_crowd ON "position" = at $$),
    unnest(answer::text[]) WITH ORDINALITY AS id (cancelled, place)
JOIN kanthorq_stream_crowd ON id = cancelled
GROUP BY looked_at;
SELECT "position", kanthorq_task_state('crowd', id) AS state, attempt_count
FROM kanthorq_stream_crowd LEFT JOIN kanthorq_tasks('crowd', size => 1000) AS task (task_id) ON task_id = id
WHERE "position" IN (490, 410, 468, 3, 467, 2, 430, 450, 470, 409, 500) ORDER BY "position";
-- The workers settle the rest.
SELECT sum(kanthorq_ack('crowd', lease)) FROM kanthorq_delivery_lease WHERE consumer = 'crowd' AND lease <> 0;

-- The slots of a crowd don't stay when its leases end, or each look at the leases would read them for ever.
SELECT count(*) <= 64 AS are_few FROM kanthorq_delivery_lease WHERE consumer = 'crowd';
SELECT answer, looked_at <= 3 * 64 AS looks_at_few
FROM pg_temp.look($$ SELECT count(*) FROM kanthorq_pull('crowd') $$);
SELECT answer, looked_at <= 3 * 64 AS looks_at_few
FROM pg_temp.look($$ SELECT count(*) FROM kanthorq_pull('crowd') $$);
-- So many stay as a consumer with some dozens of workers needs: it makes no slots, and deletes none.
SELECT name FROM kanthorq_consumer_create('crew', 'crowd');
SELECT count(DISTINCT lease)
FROM generate_series(1, 64), LATERAL kanthorq_pull('crew', CASE WHEN generate_series > 0 THEN 1 END);
CREATE FUNCTION pg_temp.made_or_deleted() RETURNS bigint LANGUAGE sql AS $$
    SELECT n_tup_ins + n_tup_del FROM pg_stat_xact_all_tables WHERE relname = 'kanthorq_delivery_lease' $$;
BEGIN;
SELECT pg_temp.made_or_deleted() AS before \gset
SELECT sum(kanthorq_ack('crew', lease)) FROM kanthorq_delivery_lease WHERE consumer = 'crew' AND slot % 2 = 0;
SELECT count(DISTINCT lease)
FROM generate_series(1, 32), LATERAL kanthorq_pull('crew', CASE WHEN generate_series > 0 THEN 1 END);
SELECT pg_temp.made_or_deleted() - :before AS made_or_deleted;
COMMIT;
-- A new slot has the lowest number that is unused.
SELECT count(DISTINCT lease)
FROM generate_series(1, 6), LATERAL kanthorq_pull('crew', CASE WHEN generate_series > 0 THEN 1 END);
SELECT sum(kanthorq_ack('crew', lease)) FROM kanthorq_delivery_lease WHERE consumer = 'crew' AND slot IN (66, 67, 69, 70);
SELECT slot FROM kanthorq_delivery_lease WHERE consumer = 'crew' AND slot > 64 ORDER BY slot;
SELECT count(DISTINCT lease)
FROM generate_series(1, 3), LATERAL kanthorq_pull('crew', CASE WHEN generate_series > 0 THEN 1 END);
SELECT slot FROM kanthorq_delivery_lease WHERE consumer = 'crew' AND slot > 64 ORDER BY slot;
-- A seek ends them all.
SELECT kanthorq_consumer_seek('crew', 'first', confirm => 'crew');
SELECT count(*), count(*) FILTER (WHERE lease <> 0) AS leases FROM kanthorq_delivery_lease WHERE consumer = 'crew';
SELECT count(*), count(DISTINCT lease) FROM kanthorq_pull('crew', 400);

SELECT kanthorq_stream_drop('crowd', confirm => 'crowd');
