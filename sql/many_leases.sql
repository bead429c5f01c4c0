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

SELECT kanthorq_stream_drop('crowd', confirm => 'crowd');
