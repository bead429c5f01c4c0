-- Many events are cancelled before they are delivered. A pull skips those that it comes to, and looks at no others.
SELECT name FROM kanthorq_stream_create('ahead');
SELECT name FROM kanthorq_consumer_create('ahead', 'ahead');
INSERT INTO kanthorq_stream_ahead (subject, body) SELECT 'event', '' FROM generate_series(1, 2000);
SELECT cardinality(kanthorq_cancel('ahead', array_agg(id::text)))
FROM kanthorq_stream_ahead WHERE "position" % 2 = 0 OR "position" > 1000;

-- The positions that a pull of so many events brings, and how many tasks it looks at.
CREATE FUNCTION pg_temp.pull(size integer, OUT events bigint, OUT even bigint, OUT first bigint, OUT last bigint,
    OUT tasks bigint) LANGUAGE plpgsql AS $$
BEGIN
    tasks := -pg_stat_get_xact_tuples_fetched('kanthorq_consumer_ahead'::regclass);
    SELECT count(*), count(*) FILTER (WHERE "position" % 2 = 0), min("position"), max("position")
    INTO events, even, first, last FROM kanthorq_pull('ahead', size);
    tasks := tasks + pg_stat_get_xact_tuples_fetched('kanthorq_consumer_ahead'::regclass);
END $$;

SELECT events, even, first, last, tasks <= 200 AS looks_at_few FROM pg_temp.pull(10);
-- In several pieces, of which one ends with a cancelled event and the next one begins with an event.
SELECT events, even, first, last, tasks <= 500 AS looks_at_few FROM pg_temp.pull(300);
-- What is resumed comes in its place.
SELECT kanthorq_resume('ahead', array_agg(id::text)) = array_agg(id::text) AS resumed
FROM kanthorq_stream_ahead WHERE "position" IN (622, 1000, 1129, 2000);
SELECT events, even, first, last FROM pg_temp.pull(1000);
SELECT events FROM pg_temp.pull(1000);

SELECT kanthorq_stream_drop('ahead', confirm => 'ahead');
