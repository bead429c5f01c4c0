-- The extension's tables and functions are of another version than the library: of a later one, whose
-- tables have more columns, in a session that still runs the old library, or of an earlier one.

SELECT name FROM kanthorq_stream_create('old');
SELECT name FROM kanthorq_consumer_create('old', 'old');
SELECT count(kanthorq_publish('old', 'a.' || n, '')) FROM generate_series(1, 4) AS n;
SELECT lease AS old_lease FROM kanthorq_pull('old', 1) \gset

-- Columns that the library does not know. Rows that were there have a value in each.
ALTER TABLE kanthorq_stream_registry ADD more text, ADD fixed bigint NOT NULL DEFAULT 7;
ALTER TABLE kanthorq_consumer_registry ADD gone text, ADD more text, ADD fixed bigint NOT NULL DEFAULT 7;
ALTER TABLE kanthorq_consumer_registry DROP gone;
ALTER TABLE kanthorq_delivery_state ADD more text, ADD fixed bigint NOT NULL DEFAULT 7;
ALTER TABLE kanthorq_delivery_lease ADD more text, ADD fixed bigint NOT NULL DEFAULT 7;
ALTER TABLE kanthorq_registered_table ADD more text, ADD fixed bigint NOT NULL DEFAULT 7;
UPDATE kanthorq_registered_table SET more = repeat('kept', 2000), fixed = 8;
UPDATE kanthorq_stream_registry SET more = repeat('kept', 2000), fixed = 8;
UPDATE kanthorq_consumer_registry SET more = repeat('kept', 2000), fixed = 8;
UPDATE kanthorq_delivery_state SET more = repeat('kept', 2000), fixed = 8;
UPDATE kanthorq_delivery_lease SET more = repeat('kept', 2000), fixed = 8;
CREATE VIEW versions AS
SELECT 'stream_registry' AS "table", name, left(more, 4) AS more, length(more), fixed FROM kanthorq_stream_registry
UNION ALL SELECT 'consumer_registry', name, left(more, 4), length(more), fixed FROM kanthorq_consumer_registry
UNION ALL SELECT 'registered_table', kind || ' ' || name, left(more, 4), length(more), fixed FROM kanthorq_registered_table
UNION ALL SELECT 'delivery_state', consumer, left(more, 4), length(more), fixed FROM kanthorq_delivery_state
UNION ALL SELECT 'delivery_lease', consumer || slot, left(more, 4), length(more), fixed FROM kanthorq_delivery_lease;

-- What was there stays, and new rows have what an ALTER TABLE gives to rows.
SELECT name, left(more, 4) AS more, fixed FROM kanthorq_stream_create('old');
SELECT name, more, fixed FROM kanthorq_stream_create('new');
SELECT name, left(more, 4) AS more, fixed FROM kanthorq_consumer_create('old', 'old');
SELECT name, left(more, 4) AS more, fixed FROM kanthorq_consumer_alter('old', attempt_max => 3::smallint);
SELECT name, more, fixed FROM kanthorq_consumer_create('new', 'new');
SELECT name, more, fixed FROM kanthorq_consumer_alter('new', excludes => '{b.>}');
SELECT count(kanthorq_publish('new', 'a.' || n, '')) FROM generate_series(1, 3) AS n;
SELECT kanthorq_ack('old', :old_lease);
SELECT lease AS first FROM kanthorq_pull('old', 1) \gset
SELECT lease AS second FROM kanthorq_pull('old', 1) \gset
SELECT kanthorq_extend('old', :first, '1 hour') > now();
SELECT kanthorq_nack('old', :first, retry_in => '0');
SELECT kanthorq_ack('old', :second);
SELECT cardinality(kanthorq_cancel('old', ARRAY(SELECT id FROM kanthorq_stream_old WHERE position = 2)));
SELECT cardinality(kanthorq_resume('old', ARRAY(SELECT id FROM kanthorq_stream_old WHERE position = 2)));
SELECT count(*) AS new FROM kanthorq_pull('new');
SELECT * FROM versions ORDER BY 1, 2;
SELECT kanthorq_consumer_seek('old', 'first', 'old');
SELECT kanthorq_consumer_seek('new', 'first', 'new');
SELECT count(*) AS old FROM kanthorq_pull('old');
SELECT count(*) AS new FROM kanthorq_pull('new');
SELECT * FROM versions ORDER BY 1, 2;
SELECT name, cursor, running FROM kanthorq_consumers ORDER BY name COLLATE "C";
SELECT name, last_position FROM kanthorq_streams ORDER BY name COLLATE "C";
SELECT kanthorq_consumer_drop('new', 'new');
SELECT kanthorq_stream_drop('new', 'new');
SELECT * FROM versions ORDER BY 1, 2;

-- A column that must have a value: the one that the rows have that were there, as long as the server
-- knows it; it forgets it with the next rewrite of the table.
ALTER TABLE kanthorq_delivery_lease ADD wanted text NOT NULL DEFAULT 'a';
SELECT count(kanthorq_publish('old', 'a.' || n, '')) FROM generate_series(5, 7) AS n;
SELECT count(*) FROM kanthorq_pull('old', 1);
SELECT slot, wanted FROM kanthorq_delivery_lease ORDER BY slot;
ALTER TABLE kanthorq_delivery_lease ALTER fixed DROP NOT NULL;
VACUUM FULL kanthorq_delivery_lease;
SELECT count(*) FROM kanthorq_pull('old', 1);
ALTER TABLE kanthorq_delivery_lease DROP wanted;
SELECT count(*) FROM kanthorq_pull('old', 1);

-- Tables that lack a column, or have one of another type, or are missing.
BEGIN;
ALTER TABLE kanthorq_delivery_lease DROP again;
SELECT * FROM kanthorq_pull('old');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_delivery_state DROP last_lease;
SELECT * FROM kanthorq_pull('old');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_delivery_state ALTER late TYPE text;
SELECT * FROM kanthorq_consumers;
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_consumer_registry DROP ordered CASCADE;
SELECT * FROM kanthorq_pull('old');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_stream_registry ALTER updated_at TYPE text;
SELECT kanthorq_stream_create('other');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_delivery_lease RENAME TO kanthorq_leases;
SELECT * FROM kanthorq_pull('old');
ROLLBACK;

-- Functions that are declared with more columns, with fewer, and with others.
CREATE FUNCTION more_status(name text)
    RETURNS TABLE (cursor bigint, lag bigint, lag_time interval, running bigint, retryable bigint,
                   discarded bigint, cancelled bigint, oldest_lease timestamptz, skipped bigint, a text, b text, c text,
                   d text, e text, f text, g text, h text, i text, j bigint)
    AS '$libdir/kanthorq', 'kanthorq_consumer_status' LANGUAGE C STRICT;
CREATE FUNCTION fewer_status(name text) RETURNS TABLE (cursor bigint, lag bigint)
    AS '$libdir/kanthorq', 'kanthorq_consumer_status' LANGUAGE C STRICT;
CREATE FUNCTION other_status(name text) RETURNS TABLE (cursor text, lag bigint)
    AS '$libdir/kanthorq', 'kanthorq_consumer_status' LANGUAGE C STRICT;
SELECT cursor, running, a, i, j FROM more_status('old');
SELECT cursor FROM fewer_status('old');
SELECT cursor FROM other_status('old');
CREATE FUNCTION other_streams(name text) RETURNS TABLE ("table" text, events text)
    AS '$libdir/kanthorq', 'kanthorq_stream_status' LANGUAGE C STRICT;
SELECT * FROM other_streams('old');
SELECT kanthorq_consumer_seek('old', 'first', 'old');
CREATE FUNCTION more_pull(consumer text, size integer DEFAULT 1, wait interval DEFAULT '0', visibility_timeout interval DEFAULT NULL)
    RETURNS TABLE (lease bigint, attempt smallint, "position" bigint, id text, subject text,
                   body bytea, metadata jsonb, created_at bigint, a text, b bigint)
    AS '$libdir/kanthorq', 'kanthorq_pull' LANGUAGE C;
CREATE FUNCTION fewer_pull(consumer text, size integer DEFAULT 1, wait interval DEFAULT '0', visibility_timeout interval DEFAULT NULL)
    RETURNS TABLE (lease bigint, attempt smallint, "position" bigint)
    AS '$libdir/kanthorq', 'kanthorq_pull' LANGUAGE C;
CREATE FUNCTION other_pull(consumer text, size integer DEFAULT 1, wait interval DEFAULT '0', visibility_timeout interval DEFAULT NULL)
    RETURNS TABLE (lease text, attempt text)
    AS '$libdir/kanthorq', 'kanthorq_pull' LANGUAGE C;
SELECT attempt, position, subject, a, b FROM more_pull('old');
SELECT attempt, position FROM fewer_pull('old');
SELECT * FROM other_pull('old');

CREATE FUNCTION other_tasks(consumer text, state text DEFAULT NULL, size integer DEFAULT 100)
    RETURNS TABLE (event_id text, subject bigint)
    AS '$libdir/kanthorq', 'kanthorq_tasks' LANGUAGE C;
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
SELECT * FROM other_tasks('old');
\set VERBOSITY default

DROP FUNCTION other_tasks, more_status, fewer_status, other_status, other_streams, more_pull, fewer_pull, other_pull;
DROP VIEW versions;
SELECT kanthorq_stream_drop('old', 'old');
-- A dropped column stays in its table: the tables of the extension are made anew, for the tests that follow.
DROP EXTENSION kanthorq;
CREATE EXTENSION kanthorq;
