-- The extension in a schema of any name, with nothing in the search_path; and hostile objects in
-- front of the search_path, which are never used. In a database of its own, because an extension is
-- there once per database.

\set origin :DBNAME
CREATE DATABASE kanthorq_regression_schema TEMPLATE template0;
\c kanthorq_regression_schema
SET lc_messages = 'C';

CREATE SCHEMA "odd 'name""x";
CREATE EXTENSION kanthorq SCHEMA "odd 'name""x";
SET search_path = '';
\set own '"odd \'name""x"'
SELECT count(*) > 0 AS members, bool_and(nspname = 'odd ''name"x') AS all_there
FROM pg_depend JOIN pg_proc ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
    JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kanthorq');

-- A walk through everything.
SELECT name FROM :own.kanthorq_stream_create('schema_walk');
SELECT name FROM :own.kanthorq_stream_create(repeat('long_', 25) || 'x');
SELECT :own.kanthorq_stream_table('schema_walk');
SELECT length(:own.kanthorq_publish('schema_walk', 'a.1', '\x6869',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA1'));
SELECT length(:own.kanthorq_publish_text('schema_walk', 'a.2', 'hi', '{"k": 1}',
    '01ARZ3NDEKTSV4RRFFQ69G5FA2'));
SELECT length(:own.kanthorq_publish_json('schema_walk', 'b.1', '{}',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA3'));
SELECT :own.kanthorq_publish_many('schema_walk', '{b.2,b.3}', '{"",""}',
    ids => '{a_01arz3ndektsv4rrffq69g5fa4,01ARZ3NDEKTSV4RRFFQ69G5FA5}');
SELECT :own.kanthorq_publish('schema_walk', 'a.1', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
INSERT INTO :own.kanthorq_stream_schema_walk (id, subject, body)
    VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA6', 'c', '');
COPY :own.kanthorq_stream_schema_walk (id, subject, body, metadata, created_at) FROM STDIN;
01ARZ3NDEKTSV4RRFFQ69G5FA7	c	\\x	{}	1
\.
SELECT length(:own.kanthorq_publish(name, 'x', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1'))
FROM :own.kanthorq_stream_registry WHERE name LIKE 'long%';
SELECT id, subject, body, metadata
FROM :own.kanthorq_events('schema_walk', '*.>', since => '2016-01-01', until => '2017-01-01');
SELECT id, subject FROM :own.kanthorq_events('schema_walk', 'a.*', metadata_contains => '{"k": 1}');
SELECT id, subject FROM :own.kanthorq_events_by_subject('schema_walk', 'b.*', 'b.1',
    '01ARZ3NDEKTSV4RRFFQ69G5FA3');
SELECT subject FROM :own.kanthorq_event_get('schema_walk', '01ARZ3NDEKTSV4RRFFQ69G5FA6');
\set VERBOSITY terse
INSERT INTO :own.kanthorq_stream_schema_walk (subject, body) VALUES ('_', '');
UPDATE :own.kanthorq_stream_schema_walk SET subject = 'd';
\set VERBOSITY default
SELECT :own.kanthorq_event_remove('schema_walk', '{01ARZ3NDEKTSV4RRFFQ69G5FA6}');
SELECT :own.kanthorq_stream_trim('schema_walk', '01ARZ3NDEKTSV4RRFFQ69G5FA2',
    confirm => 'schema_walk');
-- The same if a trigger of the table's owner sends publishing through an INSERT.
CREATE FUNCTION :own.pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER pass BEFORE INSERT ON :own.kanthorq_stream_schema_walk FOR EACH ROW
    EXECUTE FUNCTION :own.pass();
SELECT :own.kanthorq_publish_many('schema_walk', '{d.1,d.2}', '{"",""}',
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FA8,01ARZ3NDEKTSV4RRFFQ69G5FA9}');
SELECT id, subject FROM :own.kanthorq_events('schema_walk');
-- Dropped with CASCADE, created again, adopted.
SET client_min_messages = warning;
DROP EXTENSION kanthorq CASCADE;
RESET client_min_messages;
CREATE EXTENSION kanthorq SCHEMA "odd 'name""x";
SELECT name FROM :own.kanthorq_stream_create('schema_walk');
SELECT count(*) FROM :own.kanthorq_events('schema_walk');
-- The schema may be renamed.
ALTER SCHEMA "odd 'name""x" RENAME TO "another; DROP";
\set own '"another; DROP"'
SELECT length(:own.kanthorq_publish('schema_walk', 'e', ''));
SELECT count(*) FROM :own.kanthorq_events('schema_walk', since => '2016-01-01');
SELECT :own.kanthorq_stream_drop('schema_walk', confirm => 'schema_walk');
DROP EXTENSION kanthorq;
SET client_min_messages = warning;
DROP SCHEMA :own CASCADE;
RESET client_min_messages;

-- Hostile objects: functions, operators, types, a collation and tables that look like those of the
-- server or ours, in a schema that comes first, and in pg_temp. Whoever runs one gets an exception.
RESET search_path;
CREATE SCHEMA hostile;
DO $$
DECLARE
    signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY[
        -- for the operators below
        'same(text, text) RETURNS boolean', 'same(varchar, text) RETURNS boolean',
        'same(varchar, varchar) RETURNS boolean', 'same(jsonb, jsonb) RETURNS boolean',
        'same(timestamptz, timestamptz) RETURNS boolean', 'same(integer, integer) RETURNS boolean',
        'times(numeric, integer) RETURNS numeric',
        -- the server's
        'unnest(anyarray) RETURNS SETOF anyelement', 'jsonb_typeof(jsonb) RETURNS text',
        'strpos(text, text) RETURNS integer', 'strpos(varchar, text) RETURNS integer',
        'extract(text, timestamptz) RETURNS numeric',
        -- ours, with the arguments' types that we give them and with those of the columns
        'kanthorq_stream_append_only() RETURNS trigger', 'kanthorq_stream_writer() RETURNS trigger',
        'kanthorq_ulid() RETURNS text',
        'kanthorq_txid(text) RETURNS xid8', 'kanthorq_txid(varchar) RETURNS xid8',
        'kanthorq_is_name(text) RETURNS boolean', 'kanthorq_is_event_id(text) RETURNS boolean',
        'kanthorq_is_event_id(varchar) RETURNS boolean',
        'kanthorq_is_subject(text) RETURNS boolean',
        'kanthorq_is_subject(varchar) RETURNS boolean',
        'kanthorq_subject_matches(text, text) RETURNS boolean',
        'kanthorq_subject_matches(varchar, text) RETURNS boolean',
        'kanthorq_id_time(text) RETURNS timestamptz',
        'kanthorq_id_time(varchar) RETURNS timestamptz',
        'kanthorq_stream_table(text) RETURNS regclass'] LOOP
        EXECUTE format('CREATE FUNCTION hostile.%s LANGUAGE plpgsql AS %L', signature,
            'BEGIN RAISE EXCEPTION ''hostile function''; END');
    END LOOP;
END $$;
DO $$
DECLARE
    operator text;
    arguments text;
BEGIN
    FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=,@>,||,~~,~}'::text[] LOOP
        FOREACH arguments IN ARRAY ARRAY['LEFTARG = text, RIGHTARG = text',
            'LEFTARG = varchar, RIGHTARG = text', 'LEFTARG = varchar, RIGHTARG = varchar',
            'LEFTARG = jsonb, RIGHTARG = jsonb', 'LEFTARG = timestamptz, RIGHTARG = timestamptz',
            'LEFTARG = integer, RIGHTARG = integer'] LOOP
            EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.same, %s)', operator,
                arguments);
        END LOOP;
    END LOOP;
END $$;
CREATE OPERATOR hostile.* (FUNCTION = hostile.times, LEFTARG = numeric, RIGHTARG = integer);
CREATE FUNCTION hostile.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'hostile table'; END $$;
DO $$
DECLARE
    schema text;
BEGIN
    FOREACH schema IN ARRAY '{hostile,pg_temp}'::text[] LOOP
        EXECUTE format('CREATE TABLE %I.kanthorq_stream_registry (name text, created_at bigint, updated_at bigint)', schema);
        EXECUTE format('CREATE TRIGGER refuse BEFORE INSERT ON %I.kanthorq_stream_registry FOR EACH STATEMENT '
            'EXECUTE FUNCTION hostile.refuse()', schema);
        EXECUTE format('CREATE TABLE %I.kanthorq_stream_schema_hostile '
            '(id text, subject text, body bytea, metadata jsonb, created_at bigint)', schema);
        EXECUTE format('CREATE TRIGGER refuse BEFORE INSERT ON %I.kanthorq_stream_schema_hostile FOR EACH STATEMENT '
            'EXECUTE FUNCTION hostile.refuse()', schema);
    END LOOP;
END $$;
CREATE COLLATION hostile."C" FROM pg_catalog."POSIX";
CREATE SCHEMA own;
-- Types last: from here on this file must say pg_catalog itself.
DO $$
DECLARE
    type text;
BEGIN
    FOREACH type IN ARRAY
        '{text,varchar,int8,int4,bool,bytea,jsonb,xid8,timestamptz,regclass,kanthorq_event}'::text[]
        LOOP
        EXECUTE format('CREATE TYPE hostile.%I AS ()', type);
        EXECUTE format('CREATE TYPE pg_temp.%I AS ()', type);
    END LOOP;
END $$;

SET search_path = hostile, pg_catalog, pg_temp;
-- They are there.
SELECT 'a'::pg_catalog.text = 'a'::pg_catalog.text;
SELECT kanthorq_ulid();
SELECT 'a'::text;

CREATE EXTENSION kanthorq SCHEMA own;
SELECT name FROM own.kanthorq_stream_create('schema_hostile');
SELECT own.kanthorq_publish('schema_hostile', 'a.1', '\x6869', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
SELECT own.kanthorq_publish_text('schema_hostile', 'a.2', 'hi', '{"k": 1}',
    '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT own.kanthorq_publish_json('schema_hostile', 'b.1', '{}', id => '01ARZ3NDEKTSV4RRFFQ69G5FA3');
SELECT own.kanthorq_publish_many('schema_hostile', '{b.2,b.3}', '{"",""}',
    ids => '{a_01arz3ndektsv4rrffq69g5fa4,01ARZ3NDEKTSV4RRFFQ69G5FA5}');
SELECT own.kanthorq_publish('schema_hostile', 'a.1', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
INSERT INTO own.kanthorq_stream_schema_hostile (id, subject, body)
    VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA6', 'c', '');
INSERT INTO own.kanthorq_stream_schema_hostile (subject, body) VALUES ('c', '');
COPY own.kanthorq_stream_schema_hostile (id, subject, body, metadata, created_at) FROM STDIN;
01ARZ3NDEKTSV4RRFFQ69G5FA7	c	\\x	{}	1
\.
SELECT id, subject, body, metadata
FROM own.kanthorq_events('schema_hostile', '*.>', after_id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    since => '2016-01-01', until => '2017-01-01');
SELECT id, subject
FROM own.kanthorq_events('schema_hostile', 'a.*', metadata_contains => '{"k": 1}');
SELECT id, subject FROM own.kanthorq_events_by_subject('schema_hostile', 'b.*', 'b.1',
    '01ARZ3NDEKTSV4RRFFQ69G5FA3');
SELECT id, subject FROM own.kanthorq_events_by_subject('schema_hostile', 'b.2', 'b.1');
SELECT subject FROM own.kanthorq_event_get('schema_hostile', '01ARZ3NDEKTSV4RRFFQ69G5FA6');
\set VERBOSITY terse
INSERT INTO own.kanthorq_stream_schema_hostile (subject, body) VALUES ('_', '');
UPDATE own.kanthorq_stream_schema_hostile SET subject = 'd';
\set VERBOSITY default
SELECT own.kanthorq_event_remove('schema_hostile', '{01ARZ3NDEKTSV4RRFFQ69G5FA6}');
SELECT own.kanthorq_stream_trim('schema_hostile', '01ARZ3NDEKTSV4RRFFQ69G5FA2',
    confirm => 'schema_hostile');
SELECT own.kanthorq_stream_table('schema_hostile');
SELECT name FROM own.kanthorq_stream_create('schema_hostile');
-- Through an INSERT.
CREATE FUNCTION own.pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER pass BEFORE INSERT ON own.kanthorq_stream_schema_hostile FOR EACH ROW
    EXECUTE FUNCTION own.pass();
SELECT own.kanthorq_publish_many('schema_hostile', '{d.1,d.2}', '{"",""}',
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA9}', on_duplicate => 'skip');
-- Adoption.
SET client_min_messages = warning;
DROP EXTENSION kanthorq CASCADE;
RESET client_min_messages;
CREATE EXTENSION kanthorq SCHEMA own;
SELECT name FROM own.kanthorq_stream_create('schema_hostile');
SELECT id, subject FROM own.kanthorq_events('schema_hostile', until => '2017-01-01');
INSERT INTO own.kanthorq_stream_schema_hostile (subject, body) VALUES ('c', '');
SELECT own.kanthorq_stream_drop('schema_hostile', confirm => 'schema_hostile');

RESET search_path;
SELECT count(*) FROM hostile.kanthorq_stream_registry;
SELECT count(*) FROM pg_temp.kanthorq_stream_registry;

\c :origin
DROP DATABASE kanthorq_regression_schema;
