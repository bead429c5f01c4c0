-- Consumers where hostile objects stand in front of the search_path and in pg_temp, from before CREATE EXTENSION
-- and from after, with the extension in a schema of an odd name: nothing of theirs is run. (schema.sql has
-- streams.) In a database of its own, because an extension is there once per database.

\set origin :DBNAME
CREATE DATABASE kanthorq_regression_hostile TEMPLATE template0;
\c kanthorq_regression_hostile
SET lc_messages = 'C';
CREATE SCHEMA hostile;
CREATE SCHEMA "odd 'name";

-- Operators and functions of every kind that the library's queries use, on the types that they use.
CREATE PROCEDURE hostile.plant() LANGUAGE plpgsql AS $plant$
DECLARE
    signature text;
    schema text;
    type text;
    operator text;
BEGIN
    FOREACH schema IN ARRAY '{hostile,pg_temp}'::text[] LOOP
        FOREACH signature IN ARRAY ARRAY[
            'unnest(anyarray) RETURNS SETOF anyelement', 'unnest(xid8[]) RETURNS SETOF xid8',
            'xid(xid8) RETURNS xid', 'jsonb_contains(jsonb, jsonb) RETURNS boolean',
            'kanthorq_ulid_floor(timestamptz) RETURNS text', 'kanthorq_id_time(text) RETURNS timestamptz',
            'kanthorq_stream_status(text) RETURNS text', 'kanthorq_consumer_status(text) RETURNS text',
            'kanthorq_stream_status(varchar) RETURNS text', 'kanthorq_consumer_status(varchar) RETURNS text',
            'kanthorq_subject_matches(text, text) RETURNS boolean', 'kanthorq_txid(text) RETURNS xid8'] LOOP
            EXECUTE format('CREATE OR REPLACE FUNCTION %I.%s LANGUAGE plpgsql AS '
                '$$BEGIN RAISE EXCEPTION ''hostile function''; END$$', schema, signature);
        END LOOP;
        EXECUTE format('CREATE VIEW %I.pg_stat_activity AS SELECT 1 / 0 AS pid', schema);
        EXECUTE format('CREATE VIEW %I.pg_prepared_xacts AS SELECT 1 / 0 AS gid', schema);
        FOREACH type IN ARRAY '{kanthorq_consumer_registry,kanthorq_delivery_state,kanthorq_delivery_lease,'
            'kanthorq_consumer_hostile,kanthorq_consumers,kanthorq_streams}'::text[] LOOP
            EXECUTE format('CREATE VIEW %I.%I AS SELECT 1 / 0 AS name, 1 AS consumer', schema, type);
        END LOOP;
    END LOOP;
    FOREACH type IN ARRAY '{text,varchar,xid,xid8,int4,int8,jsonb}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION hostile.same(pg_catalog.%1$I, pg_catalog.%1$I) RETURNS boolean '
            'LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION ''hostile operator''; END$$', type);
        FOREACH operator IN ARRAY '{=,<,<=,>,>=,<>,@>}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.same, LEFTARG = pg_catalog.%I, '
                'RIGHTARG = pg_catalog.%I)', operator, type, type);
        END LOOP;
    END LOOP;
    -- Types last: from here on their names are taken.
    FOREACH type IN ARRAY '{text,varchar,int2,int4,int8,jsonb,xid8,timestamptz,regclass}'::text[] LOOP
        EXECUTE format('CREATE TYPE hostile.%I AS ()', type);
        EXECUTE format('CREATE TYPE pg_temp.%I AS ()', type);
    END LOOP;
END $plant$;
CALL hostile.plant();

SET search_path = hostile, pg_catalog, pg_temp;
CREATE EXTENSION kanthorq SCHEMA "odd 'name";
-- They are there.
SELECT 'a'::pg_catalog.text = 'a'::pg_catalog.text;
SELECT 'a'::text;
TABLE kanthorq_consumers;

\set own '"odd \'name"'
SELECT name FROM :own.kanthorq_stream_create('hostile');
SELECT name FROM :own.kanthorq_consumer_create('hostile', 'hostile', '{order.*}', '{order.not}',
    metadata_contains => '{"k": 1}');
SELECT :own.kanthorq_publish_many('hostile', '{order.a,order.b,order.c,order.not,user}', '{1,2,3,4,5}',
    pg_catalog.array_fill('{"k": 1}'::pg_catalog.jsonb, '{5}'),
    '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2,01ARZ3NDEKTSV4RRFFQ69G5FA3,01ARZ3NDEKTSV4RRFFQ69G5FA4,01ARZ3NDEKTSV4RRFFQ69G5FA5}');
SELECT :own.kanthorq_cancel('hostile', '{01ARZ3NDEKTSV4RRFFQ69G5FA3}');
SELECT attempt, id, subject FROM :own.kanthorq_pull('hostile', wait => '1 ms');
SELECT lease FROM :own.kanthorq_delivery_lease \gset
SELECT :own.kanthorq_extend('hostile', :lease) IS NOT NULL AS extended;
SELECT :own.kanthorq_nack('hostile', :lease, '{01ARZ3NDEKTSV4RRFFQ69G5FA2}', error => 'no', retry_in => '1 day');
SELECT :own.kanthorq_ack('hostile', :lease);
SELECT :own.kanthorq_task_state('hostile', '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT event_id, state, attempt_count FROM :own.kanthorq_tasks('hostile');
SELECT event_id FROM :own.kanthorq_tasks('hostile', 'cancelled');
SELECT :own.kanthorq_resume('hostile', '{01ARZ3NDEKTSV4RRFFQ69G5FA3}');
SELECT (:own.kanthorq_consumer_alter('hostile', attempt_max => '3')).attempt_max;
SELECT name, cursor, lag, running, retryable FROM :own.kanthorq_consumers;
SELECT name, last_position, newest_id FROM :own.kanthorq_streams;
BEGIN;
SELECT length(:own.kanthorq_publish('hostile', 'order.a', ''));
SELECT pg_catalog.count(*), pg_catalog.min(pid) OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AS mine
FROM :own.kanthorq_horizon('hostile');
ROLLBACK;
SELECT :own.kanthorq_consumer_seek('hostile', '2016-01-01 00:00:00+00', confirm => 'hostile');
CALL :own.kanthorq_wait('hostile', '0');
SELECT :own.kanthorq_stream_trim('hostile', '01ARZ3NDEKTSV4RRFFQ69G5FA2', confirm => 'hostile', force => true);
SELECT :own.kanthorq_consumer_table('hostile');
-- After CREATE EXTENSION: beside our functions and on the consumer's own table.
CREATE FUNCTION :own.kanthorq_consumer_status(name pg_catalog."varchar") RETURNS pg_catalog.int8 LANGUAGE sql AS 'SELECT 1 / 0';
SELECT name, cursor FROM :own.kanthorq_consumers;
DROP FUNCTION :own.kanthorq_consumer_status(pg_catalog."varchar");
SELECT id FROM :own.kanthorq_pull('hostile');
SELECT :own.kanthorq_consumer_drop('hostile', confirm => 'hostile');
SELECT :own.kanthorq_stream_drop('hostile', confirm => 'hostile');
RESET search_path;

\c :origin
DROP DATABASE kanthorq_regression_hostile;
