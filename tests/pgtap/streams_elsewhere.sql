-- Streams work whatever the search_path of the session: with an empty one, with one on which
-- somebody else's objects hide ours and the server's, and where the extension stands in a schema of
-- another, awkward name. Nothing in the library may find an object by accident.
BEGIN;
SELECT plan(116);

-- Runs the statement under this search_path and returns its one value, or how many rows it wrote, or
-- its error.
CREATE FUNCTION pg_temp.answer(path text, statement text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
    answer text;
    caller text := current_setting('search_path');
BEGIN
    BEGIN
        PERFORM pg_catalog.set_config('search_path', path, true);
        IF statement OPERATOR(pg_catalog.~~) 'SELECT%' THEN
            EXECUTE statement INTO answer;
        ELSE
            EXECUTE statement;
            GET DIAGNOSTICS answer = ROW_COUNT;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        answer := SQLSTATE;
    END;
    PERFORM pg_catalog.set_config('search_path', caller, true);
    RETURN answer;
END
$$;

-- What is done in each place, in this order, with what it answers. {s} is the extension's schema.
CREATE TEMPORARY TABLE step (
    number integer GENERATED ALWAYS AS IDENTITY, statement text, answer text
);
INSERT INTO step (statement, answer) VALUES
    ($$SELECT {s}.kanthorq_is_event_id('01ARZ3NDEKTSV4RRFFQ69G5FAV')
              AND NOT {s}.kanthorq_is_event_id('order')$$, 'true'),
    ($$SELECT {s}.kanthorq_subject_matches('order.created', 'order.*')$$, 'true'),
    ($$SELECT ({s}.kanthorq_stream_create('places')).name$$, 'places'),
    ($$SELECT ({s}.kanthorq_stream_create('places')).name$$, 'places'),
    ($$SELECT {s}.kanthorq_publish('places', 'order.created', '', '{"by": 1}',
                                   '00000000010000000000000000')$$,
     '00000000010000000000000000'),
    ($$SELECT {s}.kanthorq_publish_text('places', 'order.refund', 'two', '{"by": 2}',
                                        '00000000020000000000000000')$$,
     '00000000020000000000000000'),
    ($$SELECT {s}.kanthorq_publish_json('places', 'payment.confirmed', '{}', '{"by": 3}',
                                        '00000000030000000000000000')$$,
     '00000000030000000000000000'),
    ($$SELECT {s}.kanthorq_publish_many(
           'places', '{order.confirmed,order-item.sent}', '{four,five}',
           ids => '{00000000040000000000000000,00000000050000000000000000}')$$,
     '{00000000040000000000000000,00000000050000000000000000}'),
    ($$SELECT {s}.kanthorq_publish('places', 'order.created', 'again', '{"by": 1}',
                                   '00000000010000000000000000', on_duplicate => 'skip')$$,
     '00000000010000000000000000'),
    ($$SELECT {s}.kanthorq_publish('places', 'order.created', '', '{}',
                                   '00000000010000000000000000')$$, '23505'),
    ($$SELECT {s}.kanthorq_publish('places', 'order.', '')$$, '22023'),
    ($$INSERT INTO {s}.kanthorq_stream_places (subject, body) VALUES ('insert.one', '')$$, '1'),
    ($$INSERT INTO {s}.kanthorq_stream_places (subject, body) VALUES ('insert.', '')$$, '23514'),
    ($$INSERT INTO {s}.kanthorq_stream_places (id, subject, body) VALUES ('insert', 'insert', '')$$,
     '23514'),
    ($$INSERT INTO {s}.kanthorq_stream_places (subject, body, metadata)
       VALUES ('insert.', '', '[]')$$, '23514'),
    ($$UPDATE {s}.kanthorq_stream_places SET body = ''$$, '55000'),
    ($$DELETE FROM {s}.kanthorq_stream_places$$, '55000'),
    ($$TRUNCATE {s}.kanthorq_stream_places$$, '55000'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', size => 5)$$, '12345'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', 'order.created')$$, '1'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', 'order.>')$$, '124'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', '*.confirmed')$$, '34'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', after_id => '00000000020000000000000000', size => 3)$$,
     '345'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', since => '1970-01-01 00:00:00.002Z',
                                until => '1970-01-01 00:00:00.004Z')$$, '23'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', metadata_contains => '{"by": 2}')$$, '2'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events_by_subject('places', after_subject => 'order-item.sent',
                                           size => 4)$$,
     '4123'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events_by_subject('places', 'order.>', 'order.created',
                                           '00000000000000000000000000')$$, '12'),
    ($$SELECT subject FROM {s}.kanthorq_event_get('places', '00000000030000000000000000')$$,
     'payment.confirmed'),
    ($$CREATE TRIGGER own BEFORE INSERT ON {s}.kanthorq_stream_places
       FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing()$$, '0'),
    ($$SELECT {s}.kanthorq_publish('places', 'order.created', '', '{}',
                                   '00000000060000000000000000')$$, '00000000060000000000000000'),
    ($$SELECT {s}.kanthorq_publish('places', 'order.created', '', '{}',
                                   '00000000060000000000000000', on_duplicate => 'skip')$$,
     '00000000060000000000000000'),
    ($$SELECT {s}.kanthorq_event_remove('places', '{00000000020000000000000000,'
                                                  '00000000090000000000000000}')$$, '1'),
    ($$SELECT {s}.kanthorq_stream_trim('places', '00000000040000000000000000', 'places')$$, '2'),
    ($$SELECT pg_catalog.string_agg(pg_catalog.substr(id, 10, 1), '')
       FROM {s}.kanthorq_events('places', size => 3)$$, '456');
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';

-- With an empty search_path

SELECT is(
    pg_temp.answer('', replace(statement, '{s}', 'public')), answer,
    'empty search_path: ' || regexp_replace(statement, '\s+', ' ', 'g'))
FROM step ORDER BY number;
SELECT is(
    pg_temp.answer('', $$SELECT public.kanthorq_stream_table('places')$$),
    'public.kanthorq_stream_places', 'the table stands in the schema of the extension');
SELECT is(
    pg_temp.answer('', $$SELECT public.kanthorq_stream_drop('places', 'places')$$), 'true',
    'empty search_path: the stream is dropped');

-- With a search_path on which everything that the library names has a double, and whoever runs into
-- one gets an error.

CREATE SCHEMA hidden_by;
SET LOCAL search_path = hidden_by;
DO
$$
DECLARE
    double text;
BEGIN
    FOREACH double IN ARRAY ARRAY[
        'kanthorq_is_event_id(text) RETURNS boolean',
        'kanthorq_is_event_id(varchar) RETURNS boolean',
        'kanthorq_is_subject(text) RETURNS boolean',
        'kanthorq_is_subject(varchar) RETURNS boolean',
        'kanthorq_subject_matches(text, text) RETURNS boolean',
        'kanthorq_subject_matches(varchar, text) RETURNS boolean',
        'kanthorq_id_time(text) RETURNS timestamptz',
        'kanthorq_id_time(varchar) RETURNS timestamptz',
        'kanthorq_ulid() RETURNS text',
        'kanthorq_txid(text) RETURNS xid8',
        'kanthorq_stream_append_only() RETURNS trigger',
        'kanthorq_stream_writer() RETURNS trigger',
        'jsonb_typeof(jsonb) RETURNS text',
        'strpos(text, text) RETURNS integer',
        'strpos(varchar, text) RETURNS integer',
        'unnest(text[]) RETURNS SETOF text',
        'unnest(bytea[]) RETURNS SETOF bytea',
        'unnest(jsonb[]) RETURNS SETOF jsonb',
        'unnest(bigint[]) RETURNS SETOF bigint',
        'compare(numeric, integer) RETURNS numeric',
        'compare(text, text) RETURNS boolean',
        'compare(varchar, text) RETURNS boolean',
        'compare(varchar, varchar) RETURNS boolean',
        'compare(jsonb, jsonb) RETURNS boolean',
        'compare(timestamptz, timestamptz) RETURNS boolean'] LOOP
        EXECUTE format('CREATE FUNCTION %s LANGUAGE plpgsql AS %L', double,
                       'BEGIN RAISE EXCEPTION USING ERRCODE = ''DOUBL''; END');
    END LOOP;
END
$$;
CREATE OPERATOR * (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = compare);
DO
$$
DECLARE
    operator text;
    type text;
BEGIN
    FOREACH operator IN ARRAY ARRAY['=', '<', '>', '<=', '>='] LOOP
        FOREACH type IN ARRAY ARRAY['text, text', 'varchar, text', 'varchar, varchar',
                                    'timestamptz, timestamptz'] LOOP
            EXECUTE format('CREATE OPERATOR %s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = compare)',
                           operator, split_part(type, ', ', 1), split_part(type, ', ', 2));
        END LOOP;
    END LOOP;
END
$$;
CREATE OPERATOR @> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = compare);
CREATE TABLE kanthorq_stream_registry (name varchar(128), created_at bigint, updated_at bigint);
INSERT INTO kanthorq_stream_registry VALUES ('places', 0, 0);
CREATE TABLE kanthorq_stream_places (id text, subject text, body bytea, metadata jsonb,
                                     created_at bigint);
CREATE TYPE kanthorq_event AS (id integer);
CREATE COLLATION "C" (provider = libc, locale = 'POSIX');
CREATE DOMAIN "varchar" AS integer;
CREATE DOMAIN text AS integer;
CREATE DOMAIN jsonb AS integer;
CREATE DOMAIN bytea AS integer;
CREATE DOMAIN int8 AS pg_catalog.text;
CREATE DOMAIN xid8 AS integer;
RESET search_path;

SELECT is(
    pg_temp.answer('hidden_by, public, pg_catalog', statement), answer,
    'the doubles do hide: ' || statement)
FROM (VALUES
    ('SELECT kanthorq_ulid()', 'DOUBL'),
    ('SELECT name = name FROM kanthorq_stream_registry', 'DOUBL'),
    ('SELECT created_at FROM kanthorq_stream_registry', '0')) AS v (statement, answer);
SELECT is(
    pg_temp.answer('hidden_by, public, pg_catalog', replace(statement, '{s}', 'public')), answer,
    'doubles in front: ' || regexp_replace(statement, '\s+', ' ', 'g'))
FROM step ORDER BY number;
SELECT is_empty(
    $$SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint
      WHERE conrelid = 'public.kanthorq_stream_places'::regclass
        AND pg_get_constraintdef(oid) LIKE '%hidden_by%'
      UNION ALL
      SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
      WHERE adrelid = 'public.kanthorq_stream_places'::regclass
        AND pg_get_expr(adbin, adrelid) LIKE '%hidden_by%'
      UNION ALL
      SELECT pg_get_triggerdef(oid) FROM pg_trigger
      WHERE tgrelid = 'public.kanthorq_stream_places'::regclass
        AND pg_get_triggerdef(oid) LIKE '%hidden_by%'
      UNION ALL
      SELECT attname FROM pg_attribute
      WHERE attrelid = 'public.kanthorq_stream_places'::regclass AND attnum > 0
        AND (format_type(atttypid, atttypmod) LIKE '%hidden_by%'
             OR attcollation NOT IN (0, 'pg_catalog."C"'::regcollation))$$,
    'a stream created with doubles in front has none of them in it');
SELECT is(
    pg_temp.answer('hidden_by, public, pg_catalog',
                   $$SELECT public.kanthorq_stream_drop('places', 'places')$$), 'true',
    'doubles in front: the stream is dropped');
SELECT is(
    (SELECT count(*) FROM hidden_by.kanthorq_stream_registry), 1::bigint,
    'and the doubles are left alone');

-- In a schema of another name

DROP EXTENSION kanthorq;
SELECT is_empty(
    $$SELECT proname FROM pg_proc WHERE proname LIKE 'kanthorq%'
      AND pronamespace = 'public'::regnamespace$$,
    'the extension has left the schema that it was in');
CREATE SCHEMA "Else'where, of ""our"" $own\";
CREATE EXTENSION kanthorq SCHEMA "Else'where, of ""our"" $own\";
SELECT is(
    (SELECT nspname::text FROM pg_namespace n JOIN pg_extension ON extnamespace = n.oid
     WHERE extname = 'kanthorq'),
    $$Else'where, of "our" $own\$$, 'it may stand in a schema of any name');
SELECT is_empty(
    $$SELECT proname FROM pg_depend d JOIN pg_proc p ON p.oid = objid
      WHERE deptype = 'e' AND classid = 'pg_proc'::regclass AND proname LIKE 'kanthorq%'
        AND pronamespace::regnamespace::text NOT LIKE '%Else''where%'$$,
    'with all its functions');
SELECT is(
    pg_temp.answer(current_setting('search_path'),
                   replace(statement, '{s}', $$"Else'where, of ""our"" $own\"$$)), answer,
    'schema of another name: ' || regexp_replace(statement, '\s+', ' ', 'g'))
FROM step ORDER BY number;
SELECT is(
    (SELECT array_agg(relname ORDER BY relname COLLATE "C")::text[] FROM pg_class c
     JOIN pg_extension ON extnamespace = relnamespace
     WHERE relkind = 'r' AND extname = 'kanthorq'),
    ARRAY['kanthorq_consumer_registry', 'kanthorq_delivery_lease', 'kanthorq_delivery_state',
          'kanthorq_maintenance', 'kanthorq_partition', 'kanthorq_registered_table',
          'kanthorq_retention_block', 'kanthorq_setting_of_stream',
          'kanthorq_stream_places', 'kanthorq_stream_registry'],
    'schema of another name: the stream stands beside the registries');
SELECT is(
    pg_temp.answer(
        current_setting('search_path'),
        $$SELECT "Else'where, of ""our"" $own\".kanthorq_stream_drop('places', 'places')$$),
    'true', 'schema of another name: the stream is dropped');
SELECT throws_ok(
    'ALTER EXTENSION kanthorq SET SCHEMA public', '0A000', NULL,
    'where it stands it stays');

SELECT * FROM finish();
ROLLBACK;
