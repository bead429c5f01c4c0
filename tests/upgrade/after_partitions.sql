-- What must be so after the upgrade, of what before_partitions.sql made.
\echo 1..18
\c partitions
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SELECT ok(count(*) = 0, 'the server says what it said, in ' || (SELECT count(*) FROM said) || ' rows')
FROM ((TABLE said EXCEPT ALL TABLE now_said) UNION ALL (TABLE now_said EXCEPT ALL TABLE said)) AS differing;
SELECT ok(count(*) = 0, 'each partition is known by its oid of now') FROM pg_inherits
WHERE inhparent = kanthorq_stream_table('parted')
    AND NOT EXISTS (SELECT FROM kanthorq_partition WHERE stream = inhparent AND partition = inhrelid);

-- Nobody reads what was retired; all else comes once, in the order of positions, also from the reopened partition.
SELECT ok(bodies = '6 10 11 12 13 14', 'a consumer goes on in the middle of a partition') FROM pull('half', 100);
SELECT ok(bodies = '1 2 3 4 5 6 10 11 12 13 14', 'another one starts') FROM pull('fresh', 100);

-- A late event reopens a closed partition.
SELECT ok(publish('[15,15]', '2020-02-01 12:00') = 1, 'a late event is published');
INSERT INTO kanthorq_stream_parted (id, subject, body) VALUES (kanthorq_ulid('2020-02-01 12:00'), 'order.paid', '16');
SELECT ok(count(*) = 2, 'and noted, once') FROM kanthorq_partition
WHERE partition = 'kanthorq_stream_parted__20200201'::regclass;
SELECT ok(bodies = '15 16', 'it comes') FROM pull('half', 100);
SELECT ok(min(position) > 14, 'positions go on') FROM kanthorq_stream_parted WHERE convert_from(body, 'UTF8') IN ('15', '16');
SELECT ok(count(*) = 16, 'reading by id finds all') FROM kanthorq_events('parted');
SELECT ok(kanthorq_publish_text('hourly', 'order.paid', '2') LIKE 'order\_%', 'ids have the form of their stream');

-- Maintenance closes what was reopened, drops what was retired, and has nothing to complain of.
CALL kanthorq_maintain();
SELECT ok(count(*) = 0, 'maintenance has no error and leaves nothing undone: '
    || coalesce(string_agg(concat_ws(' ', stream_name, step, error, said), '; '), ''))
FROM kanthorq_maintenance WHERE error IS NOT NULL OR said IS NOT NULL;
SELECT ok(to_regclass('kanthorq_stream_parted__20200203') IS NULL, 'a retired partition is dropped');
SELECT ok(count(*) = 2 AND bool_and(last_position BETWEEN 1 AND 16), 'two are closed')
FROM kanthorq_partition WHERE partition::text ~ '__2020020[12]$';
SELECT ok(coalesce(bool_and(done = 0), true), 'no guard was missing') FROM kanthorq_maintenance WHERE step = 'guards';

-- And retention goes on: "fresh" has all in a lease but the last two.
SELECT kanthorq_ack('half', lease) FROM kanthorq_delivery_lease WHERE consumer = 'half' AND lease > 0 \g /dev/null
SELECT kanthorq_stream_retention('parted', '30 days', 'skip') \g /dev/null
CALL kanthorq_maintain();
SELECT ok(count(*) = 2, 'retention removes what is too old') FROM kanthorq_stream_parted;
SELECT ok(skipped = CASE name WHEN 'half' THEN 0 ELSE 11 END, name || ' has lost what it had not finished')
FROM kanthorq_consumers;
DROP VIEW now_said;
SELECT ok(kanthorq_stream_drop('parted', 'parted') AND kanthorq_stream_drop('hourly', 'hourly'), 'the streams are dropped');
