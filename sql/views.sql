-- What a DBA looks at: kanthorq_streams, kanthorq_consumers and kanthorq_horizon().

CREATE FUNCTION pg_temp.publish(stream text, tails text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish(stream, 'event.' || tail, '',
        id => '01ARZ3NDEKTSV4RRFFQ69G5FA' || tail))
    FROM regexp_split_to_table(tails, '') AS tail
$$;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT viewname FROM pg_views WHERE viewname LIKE 'kanthorq\_%' ORDER BY viewname;
SELECT count(*) FROM kanthorq_streams;
SELECT count(*) FROM kanthorq_consumers;

-- A stream, empty and with events.
SELECT name FROM kanthorq_stream_create('views');
SELECT name FROM kanthorq_stream_create('Views_other');
SELECT name, "table", created_at BETWEEN extract(epoch FROM now()) * 1000 - 60000
        AND extract(epoch FROM clock_timestamp()) * 1000 AS is_now,
    events, bytes > 0 AS has_bytes, last_position, newest_id, newest_time, open_publishers
FROM kanthorq_streams ORDER BY name;
SELECT pg_temp.publish('views', '12345');
SELECT kanthorq_publish('views', 'event', '', id => '01FWHE4YDGFK1SHH6W1G60EECF');
SELECT pg_temp.publish('views', '6');
ANALYZE kanthorq_stream_views;
SELECT name, events, last_position, newest_id, newest_time, open_publishers FROM kanthorq_streams ORDER BY name;
SELECT bytes = pg_total_relation_size("table") AS of_the_table FROM kanthorq_streams;
-- Positions that were rolled back have been handed out; who is publishing is counted.
BEGIN;
SELECT pg_temp.publish('views', '7');
SELECT name, last_position, open_publishers FROM kanthorq_streams ORDER BY name;
-- Its transaction is on the horizon: this one.
SELECT pid = pg_backend_pid() AS own_pid, gid, txid = pg_current_xact_id() AS own_txid, since = now() AS own_time,
    application_name = current_setting('application_name') AS own_name, query LIKE 'SELECT pid%' AS own_query
FROM kanthorq_horizon('views');
SELECT count(*) FROM kanthorq_horizon('Views_other');
ROLLBACK;
SELECT name, last_position, open_publishers FROM kanthorq_streams ORDER BY name;
SELECT count(*) FROM kanthorq_horizon('views');
BEGIN;
SELECT count(*) FROM kanthorq_events('views');
SELECT count(*) FROM kanthorq_horizon('views');
COMMIT;

-- A consumer: where it stands, and what of its events runs, waits and was given up.
SELECT name FROM kanthorq_consumer_create('views', 'views', attempt_max => 2);
SELECT name FROM kanthorq_consumer_create('views_new', 'views', start_at => 'new');
SELECT name FROM kanthorq_consumer_create('Views_other', 'Views_other');
SELECT name, stream, cursor, lag, lag_time > interval '4 years' AS lag_time, running, retryable, discarded,
    cancelled, oldest_lease
FROM kanthorq_consumers ORDER BY name;
SELECT lease FROM kanthorq_pull('views', 4) LIMIT 1 \gset first_
SELECT lease FROM kanthorq_pull('views', 1) LIMIT 1 \gset second_
SELECT kanthorq_nack('views', :first_lease, '{01ARZ3NDEKTSV4RRFFQ69G5FA1}', retry_in => '1 hour');
SELECT kanthorq_nack('views', :second_lease, retry_in => '0');
SELECT kanthorq_nack('views', (SELECT max(lease) FROM kanthorq_pull('views', 1)));
SELECT kanthorq_cancel('views', '{01ARZ3NDEKTSV4RRFFQ69G5FA2,01ARZ3NDEKTSV4RRFFQ69G5FA6}');
SELECT cursor, lag, lag_time > interval '4 years' AS lag_time, running, retryable, discarded, cancelled,
    round(extract(epoch FROM oldest_lease) * 1000000) = :first_lease AS oldest_is_first
FROM kanthorq_consumers WHERE name = 'views';
SELECT kanthorq_ack('views', :first_lease);
SELECT cursor, lag, running, retryable, discarded, cancelled, oldest_lease FROM kanthorq_consumers
WHERE name = 'views';
SELECT count(*) FROM kanthorq_pull('views');
SELECT cursor, lag, lag_time, running FROM kanthorq_consumers WHERE name = 'views';
-- The age of the oldest event that was not delivered yet.
SELECT kanthorq_publish('views', 'event', '') IS NOT NULL AS published;
SELECT lag, lag_time BETWEEN interval '0' AND interval '1 minute' AS is_new FROM kanthorq_consumers
WHERE name = 'views';

-- Everybody sees them; what is inside a stream only who may read it.
CREATE ROLE regress_kanthorq_nobody;
SET ROLE regress_kanthorq_nobody;
SELECT name, "table", events >= 0 AS events, bytes > 0 AS has_bytes, last_position, newest_id, newest_time,
    open_publishers
FROM kanthorq_streams ORDER BY name;
SELECT name, stream, cursor, lag, lag_time, running, retryable, discarded, cancelled, oldest_lease IS NULL AS no_lease
FROM kanthorq_consumers ORDER BY name;
SELECT count(*) FROM kanthorq_horizon('views');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_kanthorq_nobody;

-- Nor does an owner who alters a table, or writes into it what is no id, time or state, keep anybody from
-- seeing the other streams and consumers.
CREATE FUNCTION pg_temp.seen_after(VARIADIC changes text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    change text;
    seen text;
BEGIN
    FOREACH change IN ARRAY changes LOOP EXECUTE change; END LOOP;
    seen := concat_ws(' ', (SELECT array_agg(name ORDER BY name) FROM kanthorq_streams),
        (SELECT array_agg(name ORDER BY name) FROM kanthorq_consumers));
    RAISE EXCEPTION '%', seen;
EXCEPTION WHEN raise_exception THEN
    RETURN seen;
END $$;
SELECT pg_temp.seen_after('SELECT');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views DROP CONSTRAINT kanthorq_stream_views__position_key');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views ALTER position DROP IDENTITY');
SELECT pg_temp.seen_after('ALTER SEQUENCE kanthorq_stream_views__position_seq CACHE 10');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views DROP CONSTRAINT kanthorq_stream_views__pkey');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views RENAME subject TO title');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views ALTER created_at DROP NOT NULL');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views RENAME TO moved', 'CREATE TABLE kanthorq_stream_views ()');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views RENAME TO moved',
    'CREATE VIEW kanthorq_stream_views AS SELECT 1 AS one');
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_stream_views DROP CONSTRAINT kanthorq_id_is_sortable',
    $$INSERT INTO kanthorq_stream_views (id, subject, body) VALUES ('zzz', 'event', '')$$);
SELECT pg_temp.seen_after($$
    INSERT INTO kanthorq_stream_views (subject, body, created_at) VALUES ('event', '', -9223372036854775808)$$);
SELECT pg_temp.seen_after($$UPDATE kanthorq_consumer_views SET state = 'unheard of'$$);
SELECT pg_temp.seen_after('ALTER TABLE kanthorq_consumer_views ADD extra text');

-- What reads and removes says what is missing.
BEGIN;
ALTER TABLE kanthorq_stream_views DROP CONSTRAINT kanthorq_stream_views__position_key;
SELECT kanthorq_stream_trim('views', kanthorq_ulid(), confirm => 'views');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_stream_views DROP CONSTRAINT kanthorq_stream_views__pkey;
SELECT kanthorq_consumer_seek('views', '01ARZ3NDEKTSV4RRFFQ69G5FA1', confirm => 'views');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_stream_views RENAME TO moved;
SELECT count(*) FROM kanthorq_events('views');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_stream_views RENAME subject TO title;
SELECT count(*) FROM kanthorq_events('views');
ROLLBACK;

-- Who looks holds nobody up.
BEGIN;
SELECT count(*) FROM kanthorq_streams, kanthorq_consumers;
SELECT relation::regclass, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND relation::regclass::text ~* 'kanthorq_(stream|consumer)_"?views';
ROLLBACK;

-- A table that was dropped by hand does not keep the others from being seen.
DROP TABLE "kanthorq_stream_Views_other";
SELECT name FROM kanthorq_streams ORDER BY name;
SELECT name FROM kanthorq_consumers ORDER BY name;
DROP TABLE kanthorq_consumer_views_new;
SELECT name FROM kanthorq_consumers ORDER BY name;

SELECT kanthorq_stream_drop(name, confirm => name) FROM kanthorq_stream_registry ORDER BY name;
SELECT count(*) FROM kanthorq_consumer_registry;
