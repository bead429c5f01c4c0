-- Streams outlive the extension: DROP EXTENSION ... CASCADE leaves their tables and events, and
-- kanthorq_stream_create() adopts the table of a stream that is not registered. It adopts nothing
-- else.

SELECT name FROM kanthorq_stream_create('adoption');
\set long 'a_name_that_is_long_enough_to_be_shortened_for_its_table_adoption'
SELECT name FROM kanthorq_stream_create(:'long', subject_index => false);
SELECT kanthorq_publish_many('adoption', '{a.1,a.2,b.1}', '{"\\x01","\\x02","\\x03"}',
    '{"{\"k\": 1}",NULL,NULL}',
    '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2,01ARZ3NDEKTSV4RRFFQ69G5FA3}');
SELECT kanthorq_publish(:'long', 'long', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
CREATE TEMPORARY TABLE before AS SELECT * FROM kanthorq_stream_adoption;

-- The streams depend on the extension.
\set VERBOSITY terse
DROP EXTENSION kanthorq;
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE

-- With CASCADE its functions go, and with them the defaults, checks and triggers of the tables. The
-- tables stay, with all their events.
SET client_min_messages = warning;
DROP EXTENSION kanthorq CASCADE;
RESET client_min_messages;
TABLE kanthorq_stream_adoption EXCEPT TABLE before;
SELECT count(*) FROM kanthorq_stream_adoption;

-- A fresh extension does not know them, until they are created, which adopts them.
CREATE EXTENSION kanthorq;
SELECT count(*) FROM kanthorq_stream_registry;
SELECT test.refused_in_full($$SELECT kanthorq_publish('adoption', 'a', '')$$),
    test.refused_in_full($$SELECT kanthorq_events('adoption')$$),
    test.refused_in_full($$SELECT kanthorq_stream_table('adoption')$$);
SELECT kanthorq_stream_drop('adoption', confirm => 'adoption');
SELECT count(*) FROM kanthorq_stream_adoption;
SELECT name, created_at = updated_at FROM kanthorq_stream_create('adoption');
SELECT name FROM kanthorq_stream_create(:'long', subject_index => false);
SELECT name FROM kanthorq_stream_registry ORDER BY name;

-- The events are there, byte by byte, and new ones come after them.
TABLE kanthorq_stream_adoption EXCEPT TABLE before;
SELECT id, subject, body, metadata FROM kanthorq_events('adoption');
SELECT subject FROM kanthorq_events_by_subject('adoption', 'a.>');
SELECT subject FROM kanthorq_events(:'long');
SELECT kanthorq_publish('adoption', 'c', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA4');
SELECT position > (SELECT max(position) FROM before) AS behind FROM kanthorq_stream_adoption
WHERE subject = 'c';

-- Defaults, checks and triggers are back.
INSERT INTO kanthorq_stream_adoption (id, subject, body, metadata, created_at)
VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA5', 'd', '', '{}', 5);
BEGIN;
INSERT INTO kanthorq_stream_adoption (subject, body) VALUES ('e', '')
RETURNING kanthorq_is_event_id(id), metadata, txid = pg_current_xact_id() AS txid;
COMMIT;
\set VERBOSITY terse
INSERT INTO kanthorq_stream_adoption (subject, body) VALUES ('e.', '');
INSERT INTO kanthorq_stream_adoption (id, subject, body) VALUES ('5', 'e', '');
INSERT INTO kanthorq_stream_adoption (subject, body, metadata) VALUES ('e', '', '[]');
UPDATE kanthorq_stream_adoption SET subject = 'f';
DELETE FROM kanthorq_stream_adoption;
TRUNCATE kanthorq_stream_adoption;
SET session_replication_role = replica;
DELETE FROM kanthorq_stream_adoption;
RESET session_replication_role;
\set VERBOSITY default
SELECT count(*) FROM kanthorq_events('adoption');

-- Adopted, a table is as if created: the same defaults, constraints, triggers and indexes.
SELECT name FROM kanthorq_stream_create('adoption_new');
CREATE FUNCTION pg_temp.definitions(stream text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT replace(definition, stream, 'X')
    FROM (SELECT attname || ': ' || pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute
              ON adrelid = attrelid AND adnum = attnum WHERE adrelid = kanthorq_stream_table(stream)
          UNION ALL
          SELECT conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
          WHERE conrelid = kanthorq_stream_table(stream)
          UNION ALL
          SELECT tgenabled::text || ': ' || pg_get_triggerdef(oid) FROM pg_trigger
          WHERE tgrelid = kanthorq_stream_table(stream)
          UNION ALL
          SELECT pg_get_indexdef(indexrelid) FROM pg_index
          WHERE indrelid = kanthorq_stream_table(stream)
          UNION ALL
          SELECT obj_description(kanthorq_stream_table(stream), 'pg_class')) AS all_of_them
              (definition)
$$;
SELECT count(*) > 10 AS many FROM pg_temp.definitions('adoption');
(SELECT pg_temp.definitions('adoption') EXCEPT ALL SELECT pg_temp.definitions('adoption_new'))
UNION ALL (SELECT pg_temp.definitions('adoption_new') EXCEPT ALL
    SELECT pg_temp.definitions('adoption'));

-- A table that kept its defaults, checks and triggers, and only its registration is gone (as after a
-- restored dump without the registry).
DELETE FROM kanthorq_stream_registry WHERE name = 'adoption';
SELECT name FROM kanthorq_stream_create('adoption');
(SELECT pg_temp.definitions('adoption') EXCEPT ALL SELECT pg_temp.definitions('adoption_new'))
UNION ALL (SELECT pg_temp.definitions('adoption_new') EXCEPT ALL
    SELECT pg_temp.definitions('adoption'));
SELECT kanthorq_publish('adoption', 'g', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA6');

-- The index on (subject, id) is made if it is wanted and missing, and only once.
DELETE FROM kanthorq_stream_registry WHERE name = :'long';
SELECT relname AS long_table FROM pg_class WHERE relname LIKE 'kanthorq\_stream\_a\_name%'
    AND relkind IN ('r', 'p') AND NOT relispartition \gset
SELECT count(*) FROM pg_index WHERE indrelid = :'long_table'::regclass;
SELECT name FROM kanthorq_stream_create(:'long');
SELECT count(*) FROM pg_index WHERE indrelid = :'long_table'::regclass;
DELETE FROM kanthorq_stream_registry WHERE name = :'long';
SELECT name FROM kanthorq_stream_create(:'long');
SELECT count(*) FROM pg_index WHERE indrelid = :'long_table'::regclass;

-- A long name's table says whose it is: under another name it is not adopted.
SELECT name FROM kanthorq_stream_create(:'long' || '_2');
SELECT relname AS other_table FROM pg_class
WHERE relname LIKE 'kanthorq\_stream\_a\_name%' AND relkind IN ('r', 'p') AND NOT relispartition
    AND relname <> :'long_table' \gset
SELECT kanthorq_stream_drop(:'long' || '_2', confirm => :'long' || '_2');
ALTER TABLE :long_table RENAME TO :other_table;
SELECT kanthorq_stream_create(:'long' || '_2');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused_in_full(format('SELECT kanthorq_publish(%L, ''a'', '''')', name))
FROM unnest(ARRAY[:'long', :'long' || '_2']) AS name;
ALTER TABLE :other_table RENAME TO :long_table;
SELECT subject FROM kanthorq_events(:'long');
SELECT kanthorq_stream_drop(:'long', confirm => :'long');

-- What came in while the checks were gone is looked at.
SET client_min_messages = warning;
DROP EXTENSION kanthorq CASCADE;
RESET client_min_messages;
INSERT INTO kanthorq_stream_adoption (id, subject, body, metadata, created_at, txid)
VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAZ', 'bad.', '', '{}', 0, '1');
CREATE EXTENSION kanthorq;
SELECT test.refused_in_full($$SELECT kanthorq_stream_create('adoption')$$);
SELECT count(*) FROM kanthorq_stream_registry;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'kanthorq_stream_adoption'::regclass;
DELETE FROM kanthorq_stream_adoption WHERE subject = 'bad.';
SELECT name FROM kanthorq_stream_create('adoption');
SELECT count(*) FROM kanthorq_events('adoption');

-- The owner's own trigger and check survive.
CREATE FUNCTION adoption_pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER adoption_pass BEFORE INSERT ON kanthorq_stream_adoption FOR EACH ROW
    EXECUTE FUNCTION adoption_pass();
ALTER TABLE kanthorq_stream_adoption ADD CONSTRAINT adoption_check CHECK (octet_length(body) < 5);
SET client_min_messages = warning;
DROP EXTENSION kanthorq CASCADE;
RESET client_min_messages;
CREATE EXTENSION kanthorq;
SELECT name FROM kanthorq_stream_create('adoption');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'kanthorq_stream_adoption'::regclass ORDER BY tgname;
SELECT test.refused_in_full($$SELECT kanthorq_publish('adoption', 'a', '\x0102030405',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FAW',
    created_at => 0)$$) LIKE '23514 %"adoption_check"%' AS still_checked;
SELECT kanthorq_stream_drop('adoption', confirm => 'adoption');
DROP FUNCTION adoption_pass();

-- Tables of another shape, and what is not a table: refused, and left as they are.
CREATE FUNCTION pg_temp.refused_shape(definition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE definition;
    answer := test.refused_in_full($call$SELECT kanthorq_stream_create('adoption_shape')$call$);
    RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
    RETURN regexp_replace(answer, E'\nUndo the change[^\n]*$', '');  -- the hint, which is always the same
END $$;
CREATE TEMPORARY TABLE shape (place integer, definition text);
INSERT INTO shape VALUES
    (1, 'id varchar(64) COLLATE "C" NOT NULL PRIMARY KEY'),
    (2, 'subject varchar(128) COLLATE "C" NOT NULL'),
    (3, 'body bytea NOT NULL'), (4, 'metadata jsonb NOT NULL'), (5, 'created_at bigint NOT NULL'),
    (6, 'txid xid8 NOT NULL'), (7, 'position bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE');
CREATE FUNCTION pg_temp.refused_column(instead integer, other text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.refused_shape('CREATE TABLE kanthorq_stream_adoption_shape ('
        || string_agg(CASE WHEN place = instead THEN other ELSE definition END, ', '
            ORDER BY place) || ')')
    FROM shape
    WHERE place <> instead OR other <> ''
$$;
-- The shape itself is adopted.
SELECT pg_temp.refused_column(0, '');
SELECT column_instead, pg_temp.refused_column(column_instead, other) FROM (VALUES
    (1, 'id varchar(64) COLLATE "C" NOT NULL'),
    (1, 'id varchar(64) COLLATE "C" NOT NULL PRIMARY KEY DEFERRABLE'),
    (1, 'id varchar(64) COLLATE "C" NOT NULL UNIQUE'),
    (1, 'id varchar(63) COLLATE "C" NOT NULL PRIMARY KEY'),
    (1, 'id varchar(64) COLLATE "POSIX" NOT NULL PRIMARY KEY'),
    (1, 'id text COLLATE "C" NOT NULL PRIMARY KEY'),
    (1, 'event_id varchar(64) COLLATE "C" NOT NULL PRIMARY KEY'),
    (2, 'subject varchar(128) COLLATE "C"'),
    (2, 'topic varchar(128) COLLATE "C" NOT NULL'),
    (2, 'subject varchar(128) COLLATE "C" NOT NULL, extra integer'),
    (3, 'body text NOT NULL'),
    (4, 'metadata json NOT NULL'),
    (4, 'metadata jsonb NOT NULL GENERATED ALWAYS AS (''{}'') STORED'),
    (5, 'created_at timestamptz NOT NULL'),
    (6, 'txid bigint NOT NULL'),
    (6, ''),
    (7, 'position bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY UNIQUE'),
    (7, 'position bigserial NOT NULL UNIQUE'),
    (7, 'position bigint NOT NULL GENERATED ALWAYS AS IDENTITY'),
    (7, 'position bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE DEFERRABLE'),
    (7, 'position integer NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE')) AS columns
        (column_instead, other);
SELECT definition,
    pg_temp.refused_shape(replace(definition, 'TABLE X', 'TABLE kanthorq_stream_adoption_shape'))
FROM (VALUES
    ('CREATE TABLE X ()'),
    ('CREATE TABLE X (LIKE kanthorq_stream_adoption_new)'),
    ('CREATE TABLE X (LIKE kanthorq_stream_adoption_new INCLUDING INDEXES)'),
    ('CREATE TABLE X (LIKE kanthorq_stream_adoption_new INCLUDING IDENTITY)'),
    ('CREATE UNLOGGED TABLE X (LIKE kanthorq_stream_adoption_new INCLUDING IDENTITY INCLUDING INDEXES)'),
    ('CREATE TABLE X (id varchar(64)) PARTITION BY LIST (id)'),
    ('CREATE TABLE adoption_parent (LIKE kanthorq_stream_adoption_new) PARTITION BY LIST (id);
CREATE TABLE X PARTITION OF adoption_parent DEFAULT'),
    ('CREATE TABLE X AS SELECT * FROM kanthorq_stream_adoption_new')) AS tables (definition);
SELECT definition, pg_temp.refused_shape(definition) FROM (VALUES
    ('CREATE VIEW kanthorq_stream_adoption_shape AS SELECT * FROM kanthorq_stream_adoption_new'),
    ('CREATE MATERIALIZED VIEW kanthorq_stream_adoption_shape AS SELECT * FROM kanthorq_stream_adoption_new'),
    ('CREATE SEQUENCE kanthorq_stream_adoption_shape'),
    ('CREATE INDEX kanthorq_stream_adoption_shape ON kanthorq_stream_adoption_new (id)'),
    ('CREATE TYPE kanthorq_stream_adoption_shape AS (id varchar(64))')) AS others (definition);
SELECT name FROM kanthorq_stream_registry ORDER BY name;

-- The whole answer.
CREATE TABLE kanthorq_stream_adoption_shape (LIKE kanthorq_stream_adoption_new);
SELECT kanthorq_stream_create('adoption_shape');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE kanthorq_stream_adoption_shape;

-- A table of somebody else is not adopted, whatever its shape, nor does the stream get created.
CREATE ROLE regress_kanthorq_creator;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_creator;
DELETE FROM kanthorq_stream_registry WHERE name = 'adoption_new';
SET ROLE regress_kanthorq_creator;
SELECT kanthorq_stream_create('adoption_new');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DO $$
DECLARE
    owned regclass;
BEGIN
    FOR owned IN SELECT oid FROM pg_class WHERE relname ~ '^kanthorq_stream_adoption_new(__|$)' AND relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO regress_kanthorq_creator', owned);
    END LOOP;
END $$;
SET ROLE regress_kanthorq_creator;
SELECT name FROM kanthorq_stream_create('adoption_new');
-- Dropped by hand, it is created again, empty, and owned by who creates it.
SELECT kanthorq_publish('adoption_new', 'a', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
DROP TABLE kanthorq_stream_adoption_new;
RESET ROLE;
SELECT test.refused_in_full($$SELECT kanthorq_publish('adoption_new', 'a', '')$$),
    test.refused_in_full($$SELECT kanthorq_events('adoption_new')$$),
    test.refused_in_full($$SELECT kanthorq_stream_table('adoption_new')$$);
SELECT name FROM kanthorq_stream_create('adoption_new');
SELECT relowner = current_user::regrole AS own FROM pg_class
WHERE oid = 'kanthorq_stream_adoption_new'::regclass;
SELECT count(*) FROM kanthorq_events('adoption_new');
SELECT kanthorq_publish('adoption_new', 'a', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
-- Or the registration is dropped too, by whose the stream was and not by somebody else.
DROP TABLE kanthorq_stream_adoption_new;
SET ROLE regress_kanthorq_creator;
SELECT kanthorq_stream_drop('adoption_new', confirm => 'adoption_new');
RESET ROLE;
SELECT kanthorq_stream_drop('adoption_new', confirm => 'adoption_new');
REVOKE CREATE ON SCHEMA public FROM regress_kanthorq_creator;
DROP ROLE regress_kanthorq_creator;
SELECT count(*) FROM kanthorq_stream_registry;

-- A stream with a column of its owner's is adopted as well, and goes on.
SELECT name FROM kanthorq_stream_create('adoption_own');
ALTER TABLE kanthorq_stream_adoption_own ADD note text DEFAULT 'none';
SELECT kanthorq_publish('adoption_own', 'a', '1') IS NOT NULL AS published;
SET client_min_messages = warning;
DROP EXTENSION kanthorq CASCADE;
CREATE EXTENSION kanthorq;
RESET client_min_messages;
SELECT name FROM kanthorq_stream_create('adoption_own');
SELECT kanthorq_publish('adoption_own', 'a', '2') IS NOT NULL AS published;
SELECT convert_from(body, 'UTF8') AS body, note FROM kanthorq_stream_adoption_own ORDER BY position;
UPDATE kanthorq_stream_adoption_own SET note = 'some';
SELECT kanthorq_stream_drop('adoption_own', confirm => 'adoption_own');
