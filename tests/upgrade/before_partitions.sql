-- A partitioned stream before the upgrade, in a database of its own: a closed partition, one that was closed and is
-- reopened by a late event, one that is retired, open ones, and the default one with an id of another form. A consumer
-- has pulled some of it. after_partitions.sql says what must be so after it.
\echo 1..5
SET client_min_messages = warning;
CREATE DATABASE partitions;
\c partitions
SET client_min_messages = warning;
CREATE EXTENSION kanthorq;
CREATE FUNCTION ok(holds boolean, what text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN holds THEN 'ok - ' ELSE 'not ok - ' END || what
$$;
CREATE FUNCTION publish(bodies int8range, day timestamptz) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish_text('parted', 'order.paid', i::text, id => kanthorq_ulid(day)))
    FROM generate_series(lower(bodies), upper(bodies) - 1) AS i
$$;
-- What a consumer gets: the bodies.
CREATE FUNCTION pull(consumer text, size integer, OUT lease bigint, OUT bodies text) LANGUAGE sql AS $$
    SELECT max(lease), string_agg(convert_from(body, 'UTF8'), ' ' ORDER BY position)
    FROM kanthorq_pull(consumer, size, visibility_timeout => '1 hour')
$$;
SET TimeZone = 'UTC';
SELECT name FROM kanthorq_stream_create('parted', partition_interval => '1 day') \g /dev/null
SELECT name FROM kanthorq_stream_create('hourly', partition_interval => '6 hours', id_form => 'order') \g /dev/null
SELECT kanthorq_stream_retention('parted', '30000 days', 'skip') \g /dev/null
SELECT count(kanthorq_consumer_create(name, 'parted')) FROM unnest('{half,fresh}'::text[]) AS name \g /dev/null
SELECT publish('[1,3]', '2020-02-01 12:00'), publish('[4,6]', '2020-02-02 12:00'), publish('[7,9]', '2020-02-03 12:00') \g /dev/null
CALL kanthorq_maintain();
SELECT ok(count(*) = 3, 'three partitions are closed') FROM kanthorq_partition
WHERE stream = kanthorq_stream_table('parted') AND last_position < 9223372036854775807;
SELECT ok(bodies = '1 2 3 4 5', 'a consumer is in the middle of a closed one') FROM pull('half', 5);
SELECT publish('[10,11]', '2020-02-02 12:00'), publish('[12,13]', now()) \g /dev/null
SELECT kanthorq_publish_text('parted', 'order.paid', '14', id => '018f0000-0000-7000-8000-000000000001') \g /dev/null
SELECT kanthorq_publish_text('hourly', 'order.paid', '1') \g /dev/null
-- As the first phase of retention leaves it.
UPDATE kanthorq_partition SET first_position = -1, last_position = -1
WHERE partition = 'kanthorq_stream_parted__20200203'::regclass;
SELECT ok(count(*) = 2, 'one is reopened by a note') FROM kanthorq_partition
WHERE partition = 'kanthorq_stream_parted__20200202'::regclass;

CREATE VIEW now_said AS
SELECT 'stream' AS what, name, to_jsonb(s) - '{events,bytes}'::text[] AS told FROM kanthorq_streams AS s
UNION ALL SELECT 'consumer', name, to_jsonb(c) - 'lag_time' FROM kanthorq_consumers AS c
UNION ALL SELECT 'setting', name, to_jsonb(s) FROM kanthorq_setting_of_stream AS s
UNION ALL SELECT 'partition', stream::text, to_jsonb(p) FROM kanthorq_partition AS p
UNION ALL SELECT 'event', convert_from(body, 'UTF8'), to_jsonb(e) || jsonb_build_object('in', tableoid::regclass)
    FROM kanthorq_stream_parted AS e
UNION ALL SELECT 'trigger', tgrelid::regclass::text, to_jsonb(tgname || ' ' || tgenabled::text) FROM pg_trigger
UNION ALL SELECT 'bounds', oid::regclass::text, to_jsonb(pg_get_expr(relpartbound, oid)) FROM pg_class WHERE relpartbound IS NOT NULL;
CREATE TABLE said AS SELECT * FROM now_said;
SELECT ok(count(*) > 60, 'there is much to be kept') FROM said;
SELECT ok(count(*) = 14, 'the events are there') FROM kanthorq_stream_parted;
