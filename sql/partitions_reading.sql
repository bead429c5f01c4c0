-- Reading a stream that is partitioned: what a consumer gets, and in what order; single events; pages; the views. The
-- partitions of the test are made by hand, for days of January 2020, so that each run has the same ones.

\set SHOW_CONTEXT never
SET timezone = 'UTC';
-- The first id of a day.
CREATE FUNCTION pg_temp.floor_of(day integer) RETURNS text LANGUAGE sql AS $$
    SELECT kanthorq_ulid_floor(timestamptz '2020-01-01 00:00+00' + (day - 1) * interval '1 day')
$$;
-- The id of event number n of a day.
CREATE FUNCTION pg_temp.id(day integer, n integer) RETURNS text LANGUAGE sql AS $$
    SELECT left(pg_temp.floor_of(day), 22) || lpad(n::text, 4, '0')
$$;
CREATE FUNCTION pg_temp.add_partition(stream text, day integer) RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
    leaf text := format('kanthorq_stream_%s__day%s', stream, day);
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', leaf,
        'kanthorq_stream_' || stream, pg_temp.floor_of(day), pg_temp.floor_of(day + 1));
    INSERT INTO kanthorq_partition (stream, partition, first_position, last_position)
        VALUES (('kanthorq_stream_' || stream)::regclass, leaf::regclass, 0, 9223372036854775807);
    RETURN leaf;
END $$;
-- Closes a partition, as maintenance does.
CREATE FUNCTION pg_temp.close(leaf regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    low bigint;
    high bigint;
BEGIN
    EXECUTE format('SELECT coalesce(min(position), 1), coalesce(max(position), 0) FROM %s', leaf) INTO low, high;
    UPDATE kanthorq_partition SET first_position = low, last_position = high WHERE partition = leaf;
    RETURN leaf || ' ' || low || ' ' || high;
END $$;
-- How often each index on the position was read since the last count was sent, of the partitions made by hand.
CREATE FUNCTION pg_temp.reads(VARIADIC days integer[]) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(day || ':' || pg_stat_get_xact_numscans(i.indexrelid), ' ' ORDER BY day)
    FROM unnest(days) AS day, pg_index i
    WHERE i.indrelid = ('kanthorq_stream_reading__day' || day)::regclass AND i.indkey::text = '7'
$$;
-- All that a consumer gets, in the order of its delivery, by pulls of this size.
CREATE FUNCTION pg_temp.drain(consumer text, size integer) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    batch record;
    got bigint[] := '{}';
BEGIN
    LOOP
        SELECT max(lease) AS lease, array_agg(position ORDER BY n) AS positions INTO batch
        FROM kanthorq_pull(consumer, size) WITH ORDINALITY AS e (lease, attempt, position, id, subject, body,
            metadata, created_at, n);
        EXIT WHEN batch.lease IS NULL OR cardinality(got) > 2000;
        got := got || batch.positions;
        PERFORM kanthorq_ack(consumer, batch.lease);
    END LOOP;
    RETURN got;
END $$;

SELECT name FROM kanthorq_stream_create('reading', partition_interval => '1 day');
SELECT pg_temp.add_partition('reading', day) FROM unnest('{1,2,4,5}'::integer[]) AS day;
SELECT name FROM kanthorq_consumer_create('reading', 'reading');
SELECT name FROM kanthorq_consumer_create('reading_ordered', 'reading', ordered => true);

-- An empty one.
SELECT count(*) FROM kanthorq_pull('reading');
SELECT count(*) FROM kanthorq_events('reading');
SELECT count(*) FROM kanthorq_events_by_subject('reading');
SELECT count(*) FROM kanthorq_event_get('reading', pg_temp.id(1, 1));

-- 600 events, whose ids are in no order: of days with a partition of their own and without one, and of all forms.
INSERT INTO kanthorq_stream_reading (id, subject, body, created_at)
SELECT CASE n % 10
        WHEN 0 THEN (left(md5(n::text), 12) || '7' || left(md5(n::text), 3) || 'a' || left(md5(n::text), 15))::uuid::text
        WHEN 5 THEN 'order_' || lower(pg_temp.id(n * 7 % 6 + 1, n))
        ELSE pg_temp.id(n * 7 % 6 + 1, n) END,
    'event.' || n % 7, n::text::bytea, n
FROM generate_series(1, 600) AS n;
SELECT tableoid::regclass AS partition, count(*), min(position), max(position) FROM kanthorq_stream_reading
GROUP BY 1 ORDER BY 1;

-- By position: each event once, in the order of the positions, whatever the size of a batch is.
SELECT consumer, size, kanthorq_consumer_seek(consumer, 'first', confirm => consumer),
    pg_temp.drain(consumer, size) = ARRAY(SELECT position FROM kanthorq_stream_reading ORDER BY position) AS all_in_order
FROM (VALUES ('reading', 1000), ('reading', 7), ('reading', 1), ('reading_ordered', 13)) AS sizes (consumer, size);
SELECT cursor, lag, lag_time FROM kanthorq_consumers WHERE name = 'reading';

-- The same from closed partitions, the ranges of which overlap. A closed one is not looked at before its first
-- position is reached, nor after its last one.
INSERT INTO kanthorq_stream_reading (id, subject, body) SELECT pg_temp.id(1, n), 'first', '' FROM generate_series(601, 605) AS n;
INSERT INTO kanthorq_stream_reading (id, subject, body) SELECT pg_temp.id(5, n), 'last', '' FROM generate_series(606, 610) AS n;
BEGIN;
ALTER TABLE kanthorq_stream_reading__day5 DISABLE TRIGGER USER;
DELETE FROM kanthorq_stream_reading__day5 WHERE position <= 600;
ALTER TABLE kanthorq_stream_reading__day5 ENABLE TRIGGER USER;
SELECT pg_temp.close(('kanthorq_stream_reading__day' || day)::regclass) FROM unnest('{1,2,4,5}'::integer[]) AS day;
COMMIT;
SELECT consumer, size, kanthorq_consumer_seek(consumer, 'first', confirm => consumer),
    pg_temp.drain(consumer, size) = ARRAY(SELECT position FROM kanthorq_stream_reading ORDER BY position) AS all_in_order
FROM (VALUES ('reading', 1000), ('reading', 7), ('reading_ordered', 1)) AS sizes (consumer, size);
SELECT kanthorq_consumer_seek('reading', 'first', confirm => 'reading');
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM kanthorq_pull('reading', 500);
SELECT pg_temp.reads(1, 2, 4, 5);
SELECT mode, relation::regclass FROM pg_locks
WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'kanthorq\_stream\_reading\_\_%';
COMMIT;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*), min(position), max(position) FROM kanthorq_pull('reading', 500);
SELECT pg_temp.reads(1, 2, 4, 5);
ROLLBACK;
SELECT kanthorq_consumer_seek('reading', 'new', confirm => 'reading');
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM kanthorq_pull('reading', 500);
SELECT pg_temp.reads(1, 2, 4, 5);
ROLLBACK;

-- A late event: its id belongs to a closed partition, which is open again with it, for all that its transaction does.
CREATE TRIGGER kanthorq_closed BEFORE INSERT ON kanthorq_stream_reading__day2
    FOR EACH ROW EXECUTE FUNCTION kanthorq_partition_closed();
ALTER TABLE kanthorq_stream_reading__day2 ENABLE ALWAYS TRIGGER kanthorq_closed;
BEGIN;
SAVEPOINT late;
INSERT INTO kanthorq_stream_reading (id, subject, body) VALUES (pg_temp.id(2, 700), 'late', '');
SELECT position - (SELECT max(position) FROM kanthorq_stream_reading) AS last, subject FROM kanthorq_pull('reading');
ROLLBACK TO late;
SELECT count(*) FROM kanthorq_pull('reading');
INSERT INTO kanthorq_stream_reading (id, subject, body) VALUES (pg_temp.id(2, 701), 'late', '');
COMMIT;
SELECT right(id, 3) AS n, subject FROM kanthorq_pull('reading');
SELECT count(*), bool_and(first_position = 0) AS open FROM kanthorq_partition
WHERE partition = 'kanthorq_stream_reading__day2'::regclass AND last_position = 9223372036854775807;
SELECT kanthorq_consumer_seek('reading', 'first', confirm => 'reading');
SELECT pg_temp.drain('reading', 100) = ARRAY(SELECT position FROM kanthorq_stream_reading ORDER BY position) AS all_in_order;

-- Single events: tasks and leases over several partitions, asked for by id and by position, in any order.
SELECT kanthorq_consumer_seek('reading', 'first', confirm => 'reading');
CREATE TEMP TABLE batch AS SELECT * FROM kanthorq_pull('reading', 100);
SELECT count(DISTINCT tableoid) > 3 AS in_many FROM kanthorq_stream_reading WHERE position IN (SELECT position FROM batch);
SELECT kanthorq_nack('reading', max(lease), array_agg(id ORDER BY md5(id)) FILTER (WHERE position % 3 = 0), retry_in => '0'),
    kanthorq_ack('reading', max(lease), array_agg(id ORDER BY md5(id)) FILTER (WHERE position % 3 = 1))
FROM batch;
SELECT state, count(*), bool_and(position % 3 = CASE state WHEN 'retryable' THEN 0 WHEN 'completed' THEN 1 ELSE 2 END)
    AS as_expected
FROM batch, LATERAL kanthorq_task_state('reading', id) AS state GROUP BY 1 ORDER BY 1;
SELECT count(*), min(p.attempt), bool_and(p.position = b.position AND p.id = b.id AND p.body = b.body) AS same
FROM kanthorq_pull('reading', 33) p JOIN batch b USING (id);
SELECT cardinality(kanthorq_cancel('reading', array_agg(id::text ORDER BY md5(id)))) FROM kanthorq_stream_reading WHERE position > 500;
SELECT cardinality(kanthorq_resume('reading', array_agg(id::text ORDER BY md5(id)))) FROM kanthorq_stream_reading WHERE position > 550;
SELECT kanthorq_task_state('reading', id) AS state, count(*) FROM kanthorq_stream_reading WHERE position > 500 GROUP BY 1 ORDER BY 1;
SELECT kanthorq_task_state('reading', pg_temp.id(day, 9999)) AS state FROM generate_series(1, 7) AS day;

-- Seeking: to an event of each partition, and to a time, from which the lowest position counts.
SELECT DISTINCT ON (tableoid::regclass) tableoid::regclass AS partition,
    kanthorq_consumer_seek('reading', id, confirm => 'reading') = position - 1 AS there
FROM kanthorq_stream_reading ORDER BY tableoid::regclass, id DESC;
SELECT day, kanthorq_consumer_seek('reading', kanthorq_start_of(timestamp '2020-01-01' + (day - 1) * interval '1 day'), confirm => 'reading') =
    (SELECT min(position) - 1 FROM kanthorq_stream_reading WHERE kanthorq_id_time(id) >= timestamp '2020-01-01' + (day - 1) * interval '1 day') AS there
FROM generate_series(0, 6) AS day;
SELECT test.refused($$SELECT kanthorq_consumer_seek('reading', pg_temp.id(4, 9999), confirm => 'reading')$$);

-- Pages by id: in the order of the ids over partitions and the gaps between them, from everywhere.
CREATE FUNCTION pg_temp.walk(size integer, since timestamptz, until timestamptz, filter text DEFAULT '>') RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    page text[];
    pages text[] := '{}';
BEGIN
    LOOP
        page := ARRAY(SELECT id FROM kanthorq_events('reading', filter, pages[cardinality(pages)], since, until, size));
        pages := pages || page;
        EXIT WHEN cardinality(page) < size OR cardinality(pages) > 2000;
    END LOOP;
    RETURN pages;
END $$;
SELECT size, since, until, filter, cardinality(pages),
    pages = ARRAY(SELECT id::text FROM kanthorq_stream_reading WHERE kanthorq_id_time(id) >= coalesce(since, '-infinity')
        AND kanthorq_id_time(id) < coalesce(until, 'infinity') AND kanthorq_subject_matches(subject, filter) ORDER BY id) AS same
FROM (VALUES (1, NULL, NULL, '>'), (7, NULL, NULL, '>'), (100, NULL, NULL, '>'), (10000, NULL, NULL, '>'),
        (50, timestamptz '2020-01-02', timestamptz '2020-01-03', '>'), (50, '2020-01-03', '2020-01-04', '>'),
        (1, '2020-01-02 12:00', '2020-01-06', 'event.3'), (9, '2020-01-04', NULL, '>'), (9, NULL, '2020-01-04', 'event.*'),
        (100, '2020-01-03', '2020-01-02', '>'), (10, NULL, NULL, 'late')) AS asked (size, since, until, filter),
    LATERAL pg_temp.walk(size, since, until, filter) AS pages;
SELECT after, ARRAY(SELECT id FROM kanthorq_events('reading', after_id => after, size => 20)) =
    ARRAY(SELECT id::text FROM kanthorq_stream_reading WHERE id > after COLLATE "C" ORDER BY id LIMIT 20) AS same
FROM unnest(ARRAY[pg_temp.floor_of(1), pg_temp.floor_of(2), pg_temp.floor_of(3), pg_temp.id(3, 9999), pg_temp.floor_of(6),
    '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', 'order_' || lower(pg_temp.id(1, 1))]) AS after;
SELECT count(*), bool_and(g.body = s.body AND g.created_at = s.created_at) AS same
FROM kanthorq_stream_reading s, LATERAL kanthorq_event_get('reading', s.id) g;
SELECT ARRAY(SELECT id FROM kanthorq_events_by_subject('reading', size => 1000)) =
    ARRAY(SELECT id::text FROM kanthorq_stream_reading ORDER BY subject, id) AS same;
-- A look takes locks of the partitions only that it reads: the index on the ids of one or two.
BEGIN;
SELECT count(*) FROM kanthorq_event_get('reading', pg_temp.id(4, 1)) AS event;
SELECT DISTINCT relation::regclass FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'kanthorq_stream_reading'::regclass);
COMMIT;
BEGIN;
SELECT count(*) FROM kanthorq_events('reading', after_id => pg_temp.floor_of(2), size => 10) AS event;
SELECT DISTINCT relation::regclass FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'kanthorq_stream_reading'::regclass);
COMMIT;
BEGIN;
SELECT count(*) FROM kanthorq_events('reading', since => '2020-01-04', until => '2020-01-05', size => 10) AS event;
SELECT DISTINCT relation::regclass FROM pg_locks
WHERE pid = pg_backend_pid() AND relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'kanthorq_stream_reading'::regclass)
ORDER BY 1;
COMMIT;
-- The privileges and the row security of the stream's table count; a partition needs none.
CREATE ROLE regress_kanthorq_reader;
SET ROLE regress_kanthorq_reader;
\set VERBOSITY terse
SELECT count(*) FROM kanthorq_events('reading');
SELECT count(*) FROM kanthorq_events('reading', since => '2020-01-03', until => '2020-01-02');
SELECT count(*) FROM kanthorq_event_get('reading', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
RESET ROLE;
GRANT SELECT ON kanthorq_stream_reading TO regress_kanthorq_reader;
SET ROLE regress_kanthorq_reader;
SELECT count(*) FROM kanthorq_events('reading', size => 1000);
SELECT count(*) FROM kanthorq_event_get('reading', pg_temp.id(2, 701));
RESET ROLE;
ALTER TABLE kanthorq_stream_reading ENABLE ROW LEVEL SECURITY;
CREATE POLICY late ON kanthorq_stream_reading TO regress_kanthorq_reader USING (subject = 'late');
SET ROLE regress_kanthorq_reader;
SELECT count(*) FROM kanthorq_events('reading', size => 1000);
SELECT count(*) FROM kanthorq_event_get('reading', pg_temp.id(2, 701));
SELECT count(*) FROM kanthorq_event_get('reading', pg_temp.id(4, 1));
RESET ROLE;
ALTER TABLE kanthorq_stream_reading DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON kanthorq_stream_reading FROM regress_kanthorq_reader;
DROP POLICY late ON kanthorq_stream_reading;
DROP ROLE regress_kanthorq_reader;
\set VERBOSITY default

-- The views: sums over the partitions, the newest id of all.
SELECT pg_stat_force_next_flush();
SELECT events FROM kanthorq_streams WHERE name = 'reading';
VACUUM ANALYZE kanthorq_stream_reading;
SELECT v.events = s.events AS all_of_them, v.bytes = p.bytes AS all_bytes, v.last_position = s.last_position AS last, v.newest_id = s.newest_id AS newest, v.open_publishers
FROM kanthorq_streams v,
    (SELECT count(*) AS events, max(position) AS last_position, max(id) AS newest_id FROM kanthorq_stream_reading) s, LATERAL
    (SELECT sum(pg_total_relation_size(inhrelid)) AS bytes FROM pg_inherits WHERE inhparent = v."table"::regclass) p
WHERE name = 'reading';
SELECT kanthorq_consumer_seek('reading', 'first', confirm => 'reading');
SELECT cursor, lag = (SELECT last_position FROM kanthorq_streams WHERE name = 'reading') AS lag, lag_time > interval '40 years' AS lag_time
FROM kanthorq_consumers WHERE name = 'reading';

-- The owner may give one position to several events. It is delivered once, and nothing else changes.
INSERT INTO kanthorq_stream_reading (id, subject, body, position) OVERRIDING SYSTEM VALUE
SELECT pg_temp.id(day, n), 'double', '', 100 + n % 3 FROM unnest('{1,1,2,3,4,5}'::integer[]) WITH ORDINALITY AS at (day, ordinality),
    LATERAL (SELECT (800 + ordinality)::integer AS n) AS event;
UPDATE kanthorq_partition SET first_position = 0, last_position = 9223372036854775807
WHERE stream = 'kanthorq_stream_reading'::regclass AND last_position < 9223372036854775807;
SELECT name FROM kanthorq_consumer_create('doubles', 'reading');
SELECT size, kanthorq_consumer_seek('doubles', 'first', confirm => 'doubles'),
    pg_temp.drain('doubles', size) = ARRAY(SELECT DISTINCT position FROM kanthorq_stream_reading ORDER BY position) AS each_once
FROM unnest('{1000,1,7}'::integer[]) AS size;
SELECT kanthorq_consumer_seek('doubles', (SELECT min(id) FROM kanthorq_stream_reading WHERE position = 100), confirm => 'doubles');
SELECT kanthorq_nack('doubles', max(lease), retry_in => '0'), count(*) FROM kanthorq_pull('doubles', 10);
SELECT count(*), array_agg(position ORDER BY position) FROM kanthorq_pull('doubles', 10);
SELECT kanthorq_consumer_seek('doubles', 'new', confirm => 'doubles');

-- A partition that the owner has altered so that it can't be read is named. The views show the stream without it.
BEGIN;
ALTER TABLE kanthorq_stream_reading DETACH PARTITION kanthorq_stream_reading__day4;
SELECT kanthorq_consumer_seek('doubles', 'first', confirm => 'doubles');
SELECT pg_temp.drain('doubles', 1000) = ARRAY(SELECT DISTINCT position FROM kanthorq_stream_reading ORDER BY position) AS without_it;
CREATE TABLE other_order (position bigint NOT NULL, txid xid8 NOT NULL, created_at bigint NOT NULL, metadata jsonb NOT NULL,
    body bytea NOT NULL, subject varchar(128) COLLATE "C" NOT NULL, id varchar(64) COLLATE "C" NOT NULL);
ALTER TABLE other_order ADD CONSTRAINT kanthorq_id_is_sortable CHECK (kanthorq_is_event_id(id)),
    ADD CONSTRAINT kanthorq_subject_is_valid CHECK (kanthorq_is_subject(subject)),
    ADD CONSTRAINT kanthorq_metadata_is_object CHECK (jsonb_typeof(metadata) = 'object');
INSERT INTO other_order VALUES (1, '3', 1, '{}', '', 'event', pg_temp.id(4, 1));
SELECT format('ALTER TABLE kanthorq_stream_reading ATTACH PARTITION other_order FOR VALUES FROM (%L) TO (%L)',
    pg_temp.floor_of(4), pg_temp.floor_of(5)) \gexec
INSERT INTO kanthorq_partition (stream, partition, first_position, last_position)
    VALUES ('kanthorq_stream_reading'::regclass, 'other_order'::regclass, 0, 9223372036854775807);
SELECT kanthorq_consumer_seek('doubles', 'first', confirm => 'doubles');
SELECT events >= 0 AS events, bytes > 0 AS bytes, newest_id, open_publishers FROM kanthorq_streams WHERE name = 'reading';
SELECT cursor, lag > 0 AS lag, lag_time FROM kanthorq_consumers WHERE name = 'doubles';
SELECT test.refused_in_full(statement) FROM unnest(ARRAY[
    $$SELECT count(*) FROM kanthorq_pull('doubles')$$,
    $$SELECT kanthorq_task_state('doubles', pg_temp.id(4, 1))$$,
    $$SELECT kanthorq_consumer_seek('doubles', '2020-01-04', confirm => 'doubles')$$]) AS statement;
SELECT id = pg_temp.id(4, 1) AS same, subject FROM kanthorq_event_get('reading', pg_temp.id(4, 1));
ROLLBACK;

SELECT kanthorq_consumer_drop('reading', 'reading');
SELECT kanthorq_consumer_drop('doubles', 'doubles');
SELECT kanthorq_consumer_drop('reading_ordered', 'reading_ordered');
SELECT kanthorq_stream_drop('reading', 'reading');
