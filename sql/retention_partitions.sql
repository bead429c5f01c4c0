-- Retention of a partitioned stream: whole partitions go, the oldest first, and events of other forms row by row.

CREATE ROLE regress_kanthorq_expiry;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_expiry;
SET ROLE regress_kanthorq_expiry;

-- Days of long ago, each with three events.
SELECT name FROM kanthorq_stream_create('expiry', partition_interval => '1 day');
SELECT name FROM kanthorq_consumer_create('expiry_busy', 'expiry');
SELECT name FROM kanthorq_consumer_create('expiry_idle', 'expiry', includes => '{day.2}');
CREATE FUNCTION pg_temp.publish_days(first date, last date) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish('expiry', 'day.' || extract(day FROM day), number::text::bytea,
        jsonb_build_object('day', day::date), id => kanthorq_ulid(day + interval '12 hours')))
    FROM (SELECT day, number FROM generate_series(first::timestamptz, last, '1 day') AS day, generate_series(1, 3) AS number
          ORDER BY 1, 2) AS events
$$;
CREATE FUNCTION pg_temp.days() RETURNS TABLE (day text, events bigint, partition text) LANGUAGE sql AS $$
    SELECT metadata ->> 'day', count(*), right(min(tableoid::regclass::text), 8) FROM kanthorq_stream_expiry
    GROUP BY 1 ORDER BY 1
$$;
SET TimeZone = 'UTC';
SELECT pg_temp.publish_days('2020-02-01', '2020-02-04');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.days();
-- Both keep all.
SELECT kanthorq_stream_retention('expiry', '1 day');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.days();
SELECT name, skipped, blocking_since IS NOT NULL AS blocks, blocking_events
    FROM kanthorq_consumers WHERE stream = 'expiry' ORDER BY name;
SELECT regexp_replace(said, 'since .*?\.(?= Consumer|$)', 'since ...', 'g') AS said, done, error
    FROM kanthorq_maintenance WHERE stream_name = 'expiry' AND step = 'retention';
-- What is noted of a consumer is gone with it.
BEGIN;
SELECT kanthorq_consumer_drop('expiry_busy', 'expiry_busy');
SELECT consumer FROM kanthorq_retention_block WHERE stream = 'expiry';
ROLLBACK;
-- One has finished them, and the other has one of the second day in a lease, and one is to be tried again.
SELECT kanthorq_ack('expiry_busy', max(lease)) FROM kanthorq_pull('expiry_busy');
SELECT max(lease) AS lease, min(id) AS one FROM kanthorq_pull('expiry_idle') \gset
SELECT kanthorq_nack('expiry_idle', :lease, ARRAY[:'one'], retry_in => '1 hour');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.days();
SELECT name, skipped, blocking_since IS NOT NULL AS blocks, blocking_events
    FROM kanthorq_consumers WHERE stream = 'expiry' ORDER BY name;
-- Skipped: the two in the lease, and the one that is to be tried again.
SELECT kanthorq_stream_retention('expiry', '1 day', 'skip');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.days();
SELECT name, skipped, blocking_since IS NOT NULL AS blocks FROM kanthorq_consumers WHERE stream = 'expiry' ORDER BY name;
SELECT kanthorq_ack('expiry_idle', :lease);
-- The partitions are dropped, and nothing is left of them.
SELECT count(*) FROM kanthorq_partition
    WHERE stream = 'kanthorq_stream_expiry'::regclass AND last_position < 9223372036854775807;

-- A lagging consumer loses what it selects, and the others what is theirs.
SELECT pg_temp.publish_days('2020-03-01', '2020-03-03');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.days();
SELECT name, skipped FROM kanthorq_consumers WHERE stream = 'expiry' ORDER BY name;
SELECT count(*) FROM kanthorq_pull('expiry_busy');

-- The time in an id counts, and not where it is: ids of other forms are in the default partition.
SELECT kanthorq_stream_retention('expiry', '1 day', 'block');
SELECT count(kanthorq_publish('expiry', 'other', '', id => id))
FROM unnest('{order_01arz3ndektsv4rrffq69g5fa1,018f0000-0000-7000-8000-000000000001}'::text[]) AS id;
SELECT kanthorq_publish('expiry', 'other', '', id => 'order_' || lower(kanthorq_ulid())) <> '';
CALL kanthorq_maintain();
SELECT count(*) FROM kanthorq_stream_expiry;
SELECT kanthorq_ack('expiry_busy', max(lease)) FROM kanthorq_pull('expiry_busy');
CALL kanthorq_maintain();
SELECT left(id, 6) FROM kanthorq_stream_expiry;

SELECT kanthorq_stream_drop('expiry', confirm => 'expiry');
RESET ROLE;
DROP OWNED BY regress_kanthorq_expiry;
DROP ROLE regress_kanthorq_expiry;
