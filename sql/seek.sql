-- Moving a consumer in its stream: everything starts anew from there.

\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.id(day integer) RETURNS text LANGUAGE sql AS $$
    SELECT left(kanthorq_ulid_floor(timestamptz '2020-01-01 00:00+00' + (day - 1) * interval '1 day'),
        25) || day
$$;
-- Publishes events of these days of January 2020, with ids that end in the day.
CREATE FUNCTION pg_temp.publish(stream text, days integer[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish(stream, 'event.' || day, '', id => pg_temp.id(day)))
    FROM unnest(days) AS day
$$;

SELECT name FROM kanthorq_stream_create('seek');
SELECT pg_temp.publish('seek', '{1,2,3,4,5,6}');
SELECT name FROM kanthorq_consumer_create('seek', 'seek', attempt_max => 1);

-- To each place, from wherever it stands; the answer is the new cursor.
SELECT kanthorq_consumer_seek('seek', 'new', confirm => 'seek');
SELECT events FROM test.pull('seek');
SELECT kanthorq_consumer_seek('seek', 'first', confirm => 'seek');
SELECT events FROM test.pull('seek');
SELECT kanthorq_consumer_seek('seek', pg_temp.id(5), confirm => 'seek');
SELECT events FROM test.pull('seek');
SELECT kanthorq_consumer_seek('seek', '2020-01-03 00:00+00', confirm => 'seek');
SELECT events FROM test.pull('seek');
SELECT kanthorq_consumer_seek('seek', '2020-01-03 00:00:00.001+00', confirm => 'seek');
SELECT events FROM test.pull('seek');
SELECT kanthorq_consumer_seek('seek', '2019-01-01', confirm => 'seek');
SELECT events FROM test.pull('seek', 1);
SELECT kanthorq_consumer_seek('seek', '2020-02-01', confirm => 'seek');
SELECT events FROM test.pull('seek');
SELECT cursor, lag, running FROM kanthorq_consumers WHERE name = 'seek';

-- Leases end, and are refused afterwards; tasks are forgotten, but not the cancelled ones.
SELECT kanthorq_consumer_seek('seek', 'first', confirm => 'seek');
SELECT kanthorq_nack('seek', (test.pull('seek', 1)).lease, error => 'last');
SELECT kanthorq_cancel('seek', ARRAY[pg_temp.id(2), pg_temp.id(6)]) = ARRAY[pg_temp.id(2), pg_temp.id(6)] AS both;
SELECT lease FROM test.pull('seek', 2) \gset
SELECT name FROM kanthorq_consumer_alter('seek', attempt_max => 3);
SELECT kanthorq_nack('seek', :lease, ARRAY[pg_temp.id(3)], retry_in => '0');
SELECT right(event_id, 1) AS event, state FROM kanthorq_tasks('seek');
SELECT kanthorq_consumer_seek('seek', 'first', confirm => 'seek');
SELECT right(event_id, 1) AS event, state FROM kanthorq_tasks('seek');
SELECT kanthorq_task_state('seek', pg_temp.id(day)) FROM generate_series(1, 6) AS day;
SELECT statement, test.refused(statement, :lease) FROM unnest(ARRAY[
    $$SELECT kanthorq_ack('seek', $1)$$, $$SELECT kanthorq_nack('seek', $1)$$,
    $$SELECT kanthorq_extend('seek', $1)$$]) AS statement;
SELECT events FROM test.pull('seek', 3);
SELECT kanthorq_resume('seek', ARRAY[pg_temp.id(2), pg_temp.id(6)]) = ARRAY[pg_temp.id(2), pg_temp.id(6)] AS both;
SELECT events FROM test.pull('seek');

-- To the end: what lies between is completed, and a cancelled event in it can be resumed.
SELECT kanthorq_consumer_seek('seek', 'first', confirm => 'seek');
SELECT kanthorq_cancel('seek', ARRAY[pg_temp.id(2)]) = ARRAY[pg_temp.id(2)] AS cancelled;
SELECT kanthorq_consumer_seek('seek', 'new', confirm => 'seek');
SELECT kanthorq_task_state('seek', pg_temp.id(day)) FROM generate_series(1, 3) AS day;
SELECT kanthorq_resume('seek', ARRAY[pg_temp.id(2)]) = ARRAY[pg_temp.id(2)] AS resumed;
SELECT events FROM test.pull('seek');
SELECT pg_temp.publish('seek', '{7}');
SELECT events FROM test.pull('seek');

-- An ordered consumer, and one with filters: the same.
SELECT name FROM kanthorq_consumer_create('seek_ordered', 'seek', '{event.1,event.3,event.5}',
    ordered => true);
SELECT events FROM test.pull('seek_ordered');
SELECT kanthorq_consumer_seek('seek_ordered', pg_temp.id(2), confirm => 'seek_ordered');
SELECT events FROM test.pull('seek_ordered', 1);
SELECT kanthorq_consumer_seek('seek_ordered', 'first', confirm => 'seek_ordered');
SELECT events FROM test.pull('seek_ordered');

-- A seek that is rolled back did nothing.
SELECT kanthorq_consumer_seek('seek', 'first', confirm => 'seek');
SELECT lease FROM test.pull('seek', 2) \gset
BEGIN;
SELECT kanthorq_consumer_seek('seek', 'new', confirm => 'seek');
ROLLBACK;
SELECT kanthorq_ack('seek', :lease);
SELECT events FROM test.pull('seek', 1);
-- In the transaction that published: what it publishes comes after its commit, wherever the seek was.
SELECT kanthorq_consumer_seek('seek', 'new', confirm => 'seek');
BEGIN;
SELECT pg_temp.publish('seek', '{8}');
SELECT kanthorq_consumer_seek('seek', 'new', confirm => 'seek');
SELECT pg_temp.publish('seek', '{9}');
SELECT events FROM test.pull('seek');
COMMIT;
SELECT events FROM test.pull('seek');
SELECT kanthorq_consumer_seek('seek', pg_temp.id(8), confirm => 'seek');
SELECT events FROM test.pull('seek');

-- From a time on nothing is missed: it starts at the lowest position of an event with that time or a later one,
-- whatever the order in which ids were made. Here the earliest such id was published last.
SELECT name FROM kanthorq_stream_create('seek_times');
SELECT count(kanthorq_publish('seek_times', 'event.' || n, '',
    id => kanthorq_ulid(timestamptz '2020-01-01 10:00+00' + n * interval '1 second'))) FROM generate_series(0, 599) AS n;
SELECT kanthorq_publish('seek_times', 'event.last', '', id => kanthorq_ulid('2020-01-01 10:07:59.7+00')) <> '' AS published;
SELECT name FROM kanthorq_consumer_create('seek_times', 'seek_times', start_at => '2020-01-01 10:07:59.500+00');
-- How many come, and how many of them are older.
PREPARE delivered(timestamptz) AS SELECT count(*), count(*) FILTER (WHERE kanthorq_id_time(id) < $1) AS older,
    bool_or(subject = 'event.last') AS last FROM kanthorq_pull('seek_times', 1000);
EXECUTE delivered('2020-01-01 10:07:59.500+00');
SELECT kanthorq_consumer_seek('seek_times', '2020-01-01 10:09:00+00', confirm => 'seek_times');
EXECUTE delivered('2020-01-01 10:09:00+00');
SELECT kanthorq_consumer_seek('seek_times', '2020-01-01 10:09:59.001+00', confirm => 'seek_times');
EXECUTE delivered('2020-01-01 10:09:59.001+00');
SELECT kanthorq_consumer_seek('seek_times', place, confirm => 'seek_times')
FROM unnest(ARRAY['-infinity', 'epoch', '1960-01-01 00:00+00', 'infinity', '12000-01-01 00:00+00']) AS place;

-- Ids of each form, and more prefixes than a query has ranges for, some of which start with another: an event a
-- day, each of another form. From each day on, the first one is the event of that day.
CREATE FUNCTION pg_temp.id_of(n integer, at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT CASE n
        WHEN 1 THEN kanthorq_ulid(at)
        WHEN 2 THEN regexp_replace(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), '(.{8})(.{4})',
            '\1-\2-7000-8000-000000000000')
        WHEN 3 THEN 'a_' || lower(kanthorq_ulid(at))
        WHEN 4 THEN 'a_b_' || lower(kanthorq_ulid(at))
        ELSE 'prefix' || n || '_' || lower(kanthorq_ulid(at)) END
$$;
CREATE FUNCTION pg_temp.utc(at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
$$;
SELECT name FROM kanthorq_stream_create('seek_forms');
SELECT name FROM kanthorq_consumer_create('seek_forms', 'seek_forms');
SELECT count(kanthorq_publish('seek_forms', 'event', '', id => pg_temp.id_of(n, timestamptz '2020-01-01 00:00+00' + n * interval '1 day')))
FROM generate_series(1, 30) AS n;
SELECT count(*) AS days, count(*) FILTER (WHERE start = n - 1) AS found
FROM (SELECT n, kanthorq_consumer_seek('seek_forms',
    pg_temp.utc(timestamptz '2020-01-01 00:00+00' + n * interval '1 day'), confirm => 'seek_forms') AS start
    FROM generate_series(1, 31) AS n) AS seek;
-- The same days again in the other direction: from each day on, the event of the last day comes first.
SELECT kanthorq_consumer_seek('seek_forms', 'new', confirm => 'seek_forms');
SELECT count(kanthorq_publish('seek_forms', 'event', '', id => pg_temp.id_of(n, timestamptz '2021-01-01 00:00+00' - n * interval '1 day')))
FROM generate_series(1, 30) AS n;
SELECT count(*) AS days, min(start), max(start)
FROM (SELECT kanthorq_consumer_seek('seek_forms',
    pg_temp.utc(timestamptz '2021-01-01 00:00+00' - n * interval '1 day'), confirm => 'seek_forms') AS start
    FROM generate_series(1, 30) AS n) AS seek;

-- What is refused.
SELECT kanthorq_consumer_seek('seek', 'first', confirm => 'Seek');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_seek('seek', 'first', confirm => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_seek('seek', '01DXF6DT00000000000000000Z', confirm => 'seek');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_seek('seek_none', 'first', confirm => 'seek_none');
\echo :LAST_ERROR_SQLSTATE

SELECT kanthorq_stream_drop(name, confirm => name) FROM unnest(ARRAY['seek', 'seek_times', 'seek_forms']) AS name;
