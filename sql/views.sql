-- What a DBA looks at: kanthorq_streams, kanthorq_consumers and kanthorq_horizon().

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
SELECT test.publish('views', '12345');
SELECT kanthorq_publish('views', 'event', '', id => '01FWHE4YDGFK1SHH6W1G60EECF');
SELECT test.publish('views', '6');
ANALYZE kanthorq_stream_views;
SELECT name, events, last_position, newest_id, newest_time, open_publishers FROM kanthorq_streams ORDER BY name;
SELECT bytes = coalesce((SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree("table")),
    pg_total_relation_size("table")) AS of_the_table
FROM kanthorq_streams;
-- The number of events is an estimate: null if nothing says it, and never more than positions were handed out. It
-- is there after a load and after a trim, before VACUUM or ANALYZE has seen the table, as soon as the server
-- has counted what the session did.
SELECT name FROM kanthorq_stream_create('estimated');
SELECT events, last_position FROM kanthorq_streams WHERE name = 'estimated';
SET track_counts = off;
SELECT count(kanthorq_publish('estimated', 'event', '')) FROM generate_series(1, 100);
SELECT events, last_position FROM kanthorq_streams WHERE name = 'estimated';
RESET track_counts;
SELECT kanthorq_stream_drop('estimated', 'estimated');
SELECT name FROM kanthorq_stream_create('estimated');
DO $$
DECLARE
    stored regclass;
BEGIN
    FOR stored IN SELECT oid FROM pg_class WHERE relname ~ '^kanthorq_stream_estimated(__|$)' AND relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', stored);
    END LOOP;
END $$;
INSERT INTO kanthorq_stream_estimated (subject, body) SELECT 'event', '' FROM generate_series(1, 1000);
SELECT kanthorq_publish('estimated', 'event', '', id => '7ZZZZZZZZZZZZZZZZZZZZZZZZZ') IS NOT NULL AS published;
SELECT pg_stat_force_next_flush();
SELECT events, last_position FROM kanthorq_streams WHERE name = 'estimated';
SELECT kanthorq_stream_trim('estimated', max(id), 'estimated') FROM kanthorq_stream_estimated;
SELECT pg_stat_force_next_flush();
SELECT events, last_position FROM kanthorq_streams WHERE name = 'estimated';
-- Without what the server has counted it is the planner's, if there was an ANALYZE or VACUUM.
SELECT pg_stat_reset_single_table_counters('kanthorq_stream_estimated'::regclass);
SELECT events FROM kanthorq_streams WHERE name = 'estimated';
ANALYZE kanthorq_stream_estimated;
SELECT events FROM kanthorq_streams WHERE name = 'estimated';
SELECT pg_stat_reset_single_table_counters('kanthorq_stream_estimated'::regclass);
SELECT events FROM kanthorq_streams WHERE name = 'estimated';
VACUUM kanthorq_stream_estimated;
SELECT pg_stat_reset_single_table_counters('kanthorq_stream_estimated'::regclass);
SELECT events FROM kanthorq_streams WHERE name = 'estimated';
SELECT kanthorq_stream_drop('estimated', 'estimated');
-- Positions that were rolled back have been handed out; who is publishing is counted.
BEGIN;
SELECT test.publish('views', '7');
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
-- The comments say what the columns show: positions are not events.
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 'kanthorq_consumers'::regclass AND attname IN ('lag', 'lag_time');
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
-- A role that monitors sees that, and on the horizon who publishes, but no event; nor what row security hides.
CREATE ROLE regress_kanthorq_monitor IN ROLE pg_monitor;
BEGIN;
SELECT kanthorq_publish('views', 'event', '') IS NOT NULL AS published;
SET LOCAL ROLE regress_kanthorq_monitor;
SELECT name, newest_id IS NOT NULL AS newest_id, newest_time IS NOT NULL AS newest_time, open_publishers FROM kanthorq_streams ORDER BY name;
SELECT name, lag, lag_time >= interval '0' AS lag_time FROM kanthorq_consumers ORDER BY name;
SELECT pid = pg_backend_pid() AS own_pid, txid = pg_current_xact_id() AS own_txid FROM kanthorq_horizon('views');
ROLLBACK;
SET ROLE regress_kanthorq_monitor;
\set VERBOSITY terse
SELECT count(*) FROM kanthorq_events('views');
SELECT count(*) FROM kanthorq_pull('views');
\set VERBOSITY default
RESET ROLE;
BEGIN;
ALTER TABLE kanthorq_stream_views ENABLE ROW LEVEL SECURITY;
SET LOCAL ROLE regress_kanthorq_monitor;
SELECT name, newest_id, newest_time FROM kanthorq_streams ORDER BY name;
SELECT name, lag, lag_time FROM kanthorq_consumers ORDER BY name;
SELECT count(*) FROM kanthorq_horizon('views');
ROLLBACK;
DROP ROLE regress_kanthorq_monitor;

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
SELECT CASE relkind WHEN 'r' THEN 'ALTER TABLE kanthorq_stream_views DROP CONSTRAINT kanthorq_stream_views__position_key'
    ELSE 'DROP INDEX kanthorq_stream_views__position_idx' END AS drop_index
FROM pg_class WHERE relname = 'kanthorq_stream_views' \gset
SELECT pg_temp.seen_after(:'drop_index');
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
:drop_index;
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

-- Nor does who looks at a table that is no stream's or consumer's any more.
CREATE FUNCTION pg_temp.locks_of_looking() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM kanthorq_streams;
    PERFORM FROM kanthorq_consumers;
    PERFORM FROM kanthorq_horizon('Views_other');
    RETURN (
        SELECT coalesce(string_agg(relation::regclass || ' ' || mode, ', '), 'none') FROM pg_locks
        WHERE pid = pg_backend_pid() AND locktype = 'relation'
            AND relation::regclass::text ~* 'views|moved');
END $$;
SELECT pg_temp.locks_of_looking();
SELECT name FROM kanthorq_consumer_create('views_altered', 'views');
ALTER TABLE kanthorq_consumer_views_altered ADD extra text;
SELECT pg_temp.locks_of_looking();
ALTER TABLE kanthorq_consumer_views_altered RENAME TO moved;
SELECT pg_temp.locks_of_looking();
CREATE VIEW kanthorq_consumer_views_altered AS SELECT 1 AS one;
SELECT pg_temp.locks_of_looking();
DROP VIEW kanthorq_consumer_views_altered;
ALTER TABLE moved RENAME TO kanthorq_consumer_views_altered;
SELECT kanthorq_consumer_drop('views_altered', 'views_altered');
ALTER TABLE kanthorq_stream_views RENAME subject TO title;
SELECT pg_temp.locks_of_looking();
ALTER TABLE kanthorq_stream_views RENAME title TO subject;
ALTER TABLE kanthorq_stream_views RENAME TO moved;
SELECT pg_temp.locks_of_looking();
CREATE FOREIGN DATA WRAPPER regress_kanthorq_nowhere;
CREATE SERVER regress_kanthorq_nowhere FOREIGN DATA WRAPPER regress_kanthorq_nowhere;
CREATE FOREIGN TABLE kanthorq_stream_views () SERVER regress_kanthorq_nowhere;
SELECT pg_temp.locks_of_looking();
DROP FOREIGN DATA WRAPPER regress_kanthorq_nowhere CASCADE;
ALTER TABLE moved RENAME TO kanthorq_stream_views;
SELECT name FROM kanthorq_streams ORDER BY name;
-- A table that is there without being registered.
CREATE TABLE kanthorq_consumer_unregistered ();
CREATE TABLE kanthorq_stream_unregistered ();
BEGIN;
SELECT count(*) FROM kanthorq_consumer_status('unregistered');
SELECT count(*) FROM kanthorq_stream_status('unregistered');
SELECT relation::regclass, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE '%unregistered';
ROLLBACK;
DROP TABLE kanthorq_consumer_unregistered, kanthorq_stream_unregistered;
-- Somebody who works keeps theirs.
BEGIN;
SELECT count(*) FROM kanthorq_pull('views_new');
SELECT pg_temp.locks_of_looking() ~ 'kanthorq_consumer_views_new RowExclusiveLock' AS keeps_lock;
ROLLBACK;

-- A table that was dropped by hand does not keep the others from being seen.
DROP TABLE "kanthorq_stream_Views_other";
SELECT name FROM kanthorq_streams ORDER BY name;
SELECT name FROM kanthorq_consumers ORDER BY name;
DROP TABLE kanthorq_consumer_views_new;
SELECT name FROM kanthorq_consumers ORDER BY name;

SELECT kanthorq_stream_drop(name, confirm => name) FROM kanthorq_stream_registry ORDER BY name;
SELECT count(*) FROM kanthorq_consumer_registry;
