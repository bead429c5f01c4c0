-- Creating consumers, altering and dropping them; names of every length and kind; what each gets.

-- Pulls, settles it all, and returns what came: the last character of each event's id.
CREATE FUNCTION pg_temp.consume(consumer text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    pulled record;
BEGIN
    SELECT max(lease) AS lease, coalesce(string_agg(right(id, 1), '' ORDER BY place), 'nothing') AS ids
    INTO pulled
    FROM kanthorq_pull(consumer) WITH ORDINALITY AS event
        (lease, attempt, "position", id, subject, body, metadata, created_at, place);
    IF pulled.lease IS NOT NULL THEN
        PERFORM kanthorq_ack(consumer, pulled.lease);
    END IF;
    RETURN pulled.ids;
END $$;
CREATE VIEW consumer_definitions AS
    SELECT name, stream_name, includes, excludes, metadata_contains, attempt_max,
        visibility_timeout, ordered
    FROM kanthorq_consumer_registry;

SELECT name FROM kanthorq_stream_create('consumer');
SELECT test.publish('consumer', '123');

-- A new consumer: a row in the registry, in milliseconds since the epoch, and a table.
SELECT name, stream_name, includes, excludes, metadata_contains, attempt_max, visibility_timeout,
    ordered, created_at = updated_at AS same,
    created_at BETWEEN extract(epoch FROM now()) * 1000 - 60000
        AND extract(epoch FROM clock_timestamp()) * 1000 AS is_now
FROM kanthorq_consumer_create('consumer_new', 'consumer');
SELECT kanthorq_consumer_table('consumer_new');
SELECT pg_typeof(kanthorq_consumer_table('consumer_new'));
SELECT count(*) FROM kanthorq_consumer_consumer_new;

-- Its columns and the keys of its indexes.
SELECT attname, format_type(atttypid, atttypmod), collname, attnotnull
FROM pg_attribute LEFT JOIN pg_collation ON pg_collation.oid = attcollation
WHERE attrelid = kanthorq_consumer_table('consumer_new') AND attnum > 0
ORDER BY attnum;
SELECT attname, indisunique, indisprimary
FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = kanthorq_consumer_table('consumer_new') AND indnatts = 1
ORDER BY attname;

-- Creating it again returns it as it is, and it goes on where it is.
SELECT pg_temp.consume('consumer_new');
SELECT created_at, updated_at FROM kanthorq_consumer_registry WHERE name = 'consumer_new' \gset
SELECT name, created_at = :created_at AS created_at_kept, updated_at = :updated_at AS updated_at_kept
FROM kanthorq_consumer_create('consumer_new', 'consumer');
SELECT pg_temp.consume('consumer_new');
-- Where it starts is no part of the definition, nor is how it is written.
SELECT name FROM kanthorq_consumer_create('consumer_new', 'consumer', '[7:7]={>}', '{}', 16::smallint,
    '900 seconds', start_at => 'new');

-- With everything.
SELECT name, stream_name, includes, excludes, metadata_contains, attempt_max, visibility_timeout, ordered
FROM kanthorq_consumer_create('consumer_all', 'consumer', includes => '{event.*,user.>}',
    excludes => '{event.2}', attempt_max => 3, visibility_timeout => '1 minute 1.5 s',
    start_at => 'new', ordered => true, metadata_contains => '{"tenant": 7}');
SELECT name FROM kanthorq_consumer_create('consumer_all', 'consumer', includes => '{event.*,user.>}',
    excludes => '{event.2}', attempt_max => 3, visibility_timeout => '61.5 s',
    start_at => 'new', ordered => true, metadata_contains => '{"tenant":7}');
-- Each difference in the definition is refused.
SELECT statement, test.refused(format(
    'SELECT kanthorq_consumer_create(name => ''consumer_new'', %s)', statement))
FROM unnest(ARRAY[
    $$stream => 'consumer'$$,
    $$stream => 'consumer', includes => '{event.>}'$$,
    $$stream => 'consumer', includes => '{>,>}'$$,
    $$stream => 'consumer', excludes => '{event.1}'$$,
    $$stream => 'consumer', attempt_max => 15$$,
    $$stream => 'consumer', visibility_timeout => '899.999 s'$$,
    $$stream => 'consumer', ordered => true$$,
    $$stream => 'consumer', metadata_contains => '{"tenant": 7}'$$]) AS statement;
SELECT name FROM kanthorq_stream_create('consumer_other');
SELECT test.refused($$SELECT kanthorq_consumer_create('consumer_new', 'consumer_other')$$);
SELECT kanthorq_stream_drop('consumer_other', confirm => 'consumer_other');
SELECT * FROM consumer_definitions ORDER BY name;

-- Where a consumer starts: at the first event, after the last, at an event, at a time. Positions
-- count, also if ids were made in another order.
SELECT name FROM kanthorq_stream_create('consumer_start');
SELECT count(kanthorq_publish('consumer_start', 'event', '',
    id => left(kanthorq_ulid_floor(day::timestamptz), 25) || tail))
FROM (VALUES ('2020-01-02 00:00+00', 'A'), ('2020-01-04 00:00+00', 'B'), ('2020-01-01 00:00+00', 'C'),
    ('2020-01-03 00:00+00', 'D')) AS event (day, tail);
CREATE FUNCTION pg_temp.starting(start_at text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ids text;
BEGIN
    PERFORM kanthorq_consumer_create('consumer_start', 'consumer_start', start_at => start_at);
    ids := pg_temp.consume('consumer_start');
    PERFORM kanthorq_consumer_drop('consumer_start', 'consumer_start');
    RETURN ids;
END $$;
SELECT start_at, pg_temp.starting(start_at) FROM unnest(ARRAY['first', 'new',
    '2019-01-01 00:00+00', '2020-01-01 00:00:00.001+00', '2020-01-02T00:00:00Z',
    '2020-01-02 00:00:00.001+00', '2020-01-04 00:00+00', '2020-01-04 00:00:00.001+00', 'epoch',
    'infinity']) AS start_at;
SELECT right(id, 1) AS id, pg_temp.starting(id) FROM kanthorq_events('consumer_start');
SELECT test.refused($$SELECT kanthorq_consumer_create('consumer_start', 'consumer_start',
    start_at => '01DXHRTJ00000000000000000Z')$$);
SELECT kanthorq_stream_drop('consumer_start', confirm => 'consumer_start');
-- The time is the one inside the id, whatever the form of the id.
SELECT name FROM kanthorq_stream_create('consumer_start');
SELECT count(kanthorq_publish('consumer_start', 'event', '', id => id))
FROM unnest(ARRAY[
    left(kanthorq_ulid_floor('2020-01-01 00:00+00'), 25) || '1',
    '016f638d-4400-7000-8000-000000000002',
    'order_' || lower(left(kanthorq_ulid_floor('2020-01-03 00:00+00'), 25)) || '3',
    '016f6dd9-fc00-7000-8000-000000000004',
    left(kanthorq_ulid_floor('2020-01-05 00:00+00'), 25) || '5']) AS id;
SELECT right(id, 1) AS id, kanthorq_id_time(id) AT TIME ZONE 'UTC' AS "time"
FROM kanthorq_stream_consumer_start ORDER BY position;
SELECT start_at, pg_temp.starting(start_at) FROM unnest(ARRAY['2019-01-01 00:00+00',
    '2020-01-01 12:00+00', '2020-01-02 12:00+00', '2020-01-03 12:00+00', '2020-01-04 12:00+00',
    '2020-01-05 12:00+00']) AS start_at;
-- What is published from then on always comes.
SELECT name FROM kanthorq_consumer_create('consumer_start', 'consumer_start', start_at => 'new');
SELECT test.publish('consumer_start', '1');
SELECT pg_temp.consume('consumer_start');
-- Also in a stream that is empty.
SELECT name FROM kanthorq_stream_create('consumer_empty');
SELECT name FROM kanthorq_consumer_create('consumer_empty_first', 'consumer_empty');
SELECT name FROM kanthorq_consumer_create('consumer_empty_new', 'consumer_empty', start_at => 'new');
SELECT name FROM kanthorq_consumer_create('consumer_empty_time', 'consumer_empty',
    start_at => '2020-01-01');
SELECT test.publish('consumer_empty', '12');
SELECT name, pg_temp.consume(name) FROM kanthorq_consumer_registry
WHERE stream_name = 'consumer_empty' ORDER BY name;

-- start_at is a text or a time of any type, typed or not, whatever DateStyle says.
SELECT name FROM kanthorq_stream_create('consumer_types');
SELECT count(kanthorq_publish('consumer_types', 'event', '',
    id => left(kanthorq_ulid_floor(at::timestamptz), 25) || tail))
FROM (VALUES ('2020-01-01 00:00+00', '1'), ('2020-02-01 12:00:00.001+00', '2'), ('2020-03-01 00:00+00', '3'))
    AS event (at, tail);
CREATE FUNCTION pg_temp.starting_by(argument text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ids text;
BEGIN
    EXECUTE format('SELECT kanthorq_consumer_create(''consumer_types'', ''consumer_types'', start_at => %s)', argument);
    ids := pg_temp.consume('consumer_types');
    PERFORM kanthorq_consumer_drop('consumer_types', 'consumer_types');
    RETURN ids;
END $$;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'SQL, DMY';
SELECT argument, pg_temp.starting_by(argument) FROM unnest(ARRAY[
    $$'first'$$, $$'first'::text$$, $$'first'::varchar$$, $$'first'::kanthorq_start$$, $$'new'::varchar(3)$$,
    $$'2020-02-01 12:00:00.001+00'::text$$, $$'2020-02-01 12:00:00.002+00'::varchar$$,
    $$timestamptz '2020-02-01 12:00:00.001+00'$$, $$timestamptz '2020-02-01 12:00:00.002+00'$$,
    $$timestamp '2020-02-01 21:00:00.001'$$, $$timestamp '2020-02-01 21:00:00.002'$$,
    $$date '2020-02-01'$$, $$date '2020-02-02'$$, $$now() - interval '200 years'$$, $$now() + interval '1 day'$$,
    $$clock_timestamp()$$, $$current_date$$, $$localtimestamp$$, $$'infinity'::timestamptz$$,
    $$'-infinity'::timestamptz$$, $$'-infinity'::date$$]) AS argument;
-- A time is shown to the microsecond, in UTC, as it is read again.
SELECT at::kanthorq_start::text, at::kanthorq_start::text::timestamptz = at AS same
FROM unnest(ARRAY['2020-02-01 12:00:00.000001+00', '2020-02-01 12:00:00+00', '1900-01-01 00:00+00',
    '0044-03-15 00:00+00 BC', '294276-12-31 23:59:59.999999+00', 'infinity', '-infinity']::timestamptz[]) AS at;
SELECT (timestamp '2020-02-01 12:00:00.5')::kanthorq_start::text, (date '2020-02-01')::kanthorq_start::text;
SELECT kanthorq_start_send('first'), '2020-02-01'::kanthorq_start;
RESET datestyle;
SET timezone = 'UTC';
-- Parameters: of no type, as drivers send them, and of their own.
PREPARE create_untyped AS SELECT (kanthorq_consumer_create($1, $2, start_at => $3, attempt_max => $4)).attempt_max;
EXECUTE create_untyped('consumer_types', 'consumer_types', '2020-02-01', '5');
SELECT pg_temp.consume('consumer_types');
PREPARE create_typed(text, varchar, timestamptz, integer) AS
    SELECT (kanthorq_consumer_create($1, $2, start_at => $3, attempt_max => $4)).attempt_max;
EXECUTE create_typed('consumer_types_2', 'consumer_types', '2020-02-02', 6);
SELECT pg_temp.consume('consumer_types_2');
PREPARE seek_untyped AS SELECT kanthorq_consumer_seek($1, $2, $3);
EXECUTE seek_untyped('consumer_types', 'first', 'consumer_types');
EXECUTE seek_untyped('consumer_types', '2020-02-02', 'consumer_types');
PREPARE seek_typed(text, timestamptz) AS SELECT kanthorq_consumer_seek($1, $2, $1);
EXECUTE seek_typed('consumer_types', '2020-02-01');
SELECT kanthorq_consumer_seek('consumer_types', timestamptz '2020-02-02', 'consumer_types'),
    kanthorq_consumer_seek('consumer_types', date '2020-01-15', 'consumer_types'),
    kanthorq_consumer_seek('consumer_types', now() - interval '200 years', 'consumer_types'),
    kanthorq_consumer_seek('consumer_types', 'new'::text, 'consumer_types');
PREPARE publish_untyped AS SELECT kanthorq_publish($1, $2, $3, $4, created_at => $5);
EXECUTE publish_untyped('consumer_types', 'untyped', '\x00ff', '{"tenant": 7}', '1') \g /dev/null
PREPARE pull_untyped AS SELECT body, metadata, created_at, attempt FROM kanthorq_pull($1, $2, $3, $4);
EXECUTE pull_untyped('consumer_types', '1', '0 s', '1 minute');
-- attempt_max is an integer, from 1 to 32767; a smallint will do.
SELECT (kanthorq_consumer_alter('consumer_types', attempt_max => 32767)).attempt_max,
    (kanthorq_consumer_alter('consumer_types', attempt_max => 7::smallint)).attempt_max,
    (kanthorq_consumer_alter('consumer_types', attempt_max => '8')).attempt_max;
-- Arguments by place, and start_at left out, still mean what they meant.
SELECT (kanthorq_consumer_create('consumer_types_3', 'consumer_types', '{event}', '{event.>}', 3, '1 minute', 'new',
    true, '{"tenant": 7}')).attempt_max, (kanthorq_consumer_create('consumer_types_4', 'consumer_types', '{>}')).includes;
DEALLOCATE ALL;
SELECT kanthorq_stream_drop('consumer_types', confirm => 'consumer_types');

-- Two consumers of one stream do not know of each other.
SELECT name FROM kanthorq_consumer_create('consumer_second', 'consumer');
SELECT test.publish('consumer', '4');
SELECT pg_temp.consume('consumer_new');
SELECT pg_temp.consume('consumer_second');
SELECT pg_temp.consume('consumer_new');
SELECT kanthorq_consumer_drop('consumer_second', confirm => 'consumer_second');
SELECT test.publish('consumer', '5');
SELECT pg_temp.consume('consumer_new');

-- Altering changes what is named; null leaves it as it is. It concerns what is delivered from now on.
SELECT name, includes, excludes, attempt_max, visibility_timeout, ordered, metadata_contains,
    created_at = :created_at AS created_at_kept, updated_at >= :updated_at AS refreshed
FROM kanthorq_consumer_alter('consumer_new');
SELECT name FROM kanthorq_consumer_alter('consumer_new', includes => '{event.6,event.7,event.8}');
SELECT name FROM kanthorq_consumer_alter('consumer_new', excludes => '{event.7}');
SELECT name FROM kanthorq_consumer_alter('consumer_new', attempt_max => 2);
SELECT name FROM kanthorq_consumer_alter('consumer_new', visibility_timeout => '10 seconds');
SELECT name FROM kanthorq_consumer_alter('consumer_new', ordered => true);
SELECT * FROM consumer_definitions WHERE name = 'consumer_new';
SELECT test.publish('consumer', '6789');
SELECT pg_temp.consume('consumer_new');
SELECT name FROM kanthorq_consumer_alter('consumer_new', includes => '{>}', excludes => '{}',
    metadata_contains => '{"tenant": 7}');
SELECT count(kanthorq_publish('consumer', 'event', '', metadata,
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA' || tail))
FROM (VALUES ('A', '{"tenant": 7}'::jsonb), ('B', '{"tenant": 8}'), ('C', '{}'),
    ('D', '{"tenant": 7, "user": 42}')) AS event (tail, metadata);
SELECT pg_temp.consume('consumer_new');
SELECT name FROM kanthorq_consumer_alter('consumer_new', metadata_contains => '{}');
SELECT * FROM consumer_definitions WHERE name = 'consumer_new';
-- A lease that is out keeps its deadline; the next one has the new timeout.
SELECT test.publish('consumer', 'EF');
SELECT lease FROM kanthorq_pull('consumer_new', 1) \gset first_
SELECT name FROM kanthorq_consumer_alter('consumer_new', visibility_timeout => '1 hour');
SELECT lease FROM kanthorq_pull('consumer_new', 1) \gset second_
SELECT lease = :first_lease AS is_first,
    round((deadline - lease / 1000) / 1000.0) AS seconds
FROM kanthorq_delivery_lease WHERE consumer = 'consumer_new' AND lease > 0 ORDER BY lease;

-- Dropping wants the name repeated, takes the table with it, and returns false if there is none.
SELECT test.refused($$SELECT kanthorq_consumer_drop('consumer_new', 'consumer_all')$$);
SELECT test.refused($$SELECT kanthorq_consumer_drop('consumer_new', NULL)$$);
SELECT pg_temp.consume('consumer_new');
SELECT kanthorq_consumer_drop('consumer_new', confirm => 'consumer_new');
SELECT kanthorq_consumer_drop('consumer_new', confirm => 'consumer_new');
SELECT to_regclass('kanthorq_consumer_consumer_new');
SELECT test.refused($$SELECT * FROM kanthorq_pull('consumer_new')$$);
SELECT test.refused(format('SELECT kanthorq_ack(%L, %s)', 'consumer_new', :first_lease));
-- One of the same name begins anew: the lease of its predecessor is not its own.
SELECT name FROM kanthorq_consumer_create('consumer_new', 'consumer');
SELECT test.refused(format('SELECT kanthorq_ack(%L, %s)', 'consumer_new', :first_lease))
    LIKE 'KQ001 %' AS refused;
SELECT pg_temp.consume('consumer_new');
-- Its table may have gone before it.
DROP TABLE kanthorq_consumer_consumer_new;
SELECT test.refused($$SELECT * FROM kanthorq_pull('consumer_new')$$);
SELECT kanthorq_consumer_drop('consumer_new', confirm => 'consumer_new');
SELECT count(*) FROM kanthorq_consumer_registry WHERE name = 'consumer_new';

-- What is created and dropped in a transaction that rolls back was never there.
BEGIN;
SELECT name FROM kanthorq_consumer_create('consumer_undone', 'consumer');
SELECT pg_temp.consume('consumer_undone');
SELECT kanthorq_consumer_drop('consumer_all', confirm => 'consumer_all');
ROLLBACK;
SELECT * FROM consumer_definitions WHERE name IN ('consumer_undone', 'consumer_all');
SELECT to_regclass('kanthorq_consumer_consumer_undone'), to_regclass('kanthorq_consumer_consumer_all');
-- A stream, an event and a consumer in one transaction; the event is delivered after it.
BEGIN;
SELECT name FROM kanthorq_stream_create('consumer_at_once');
SELECT test.publish('consumer_at_once', '1');
SELECT name FROM kanthorq_consumer_create('consumer_at_once', 'consumer_at_once');
SELECT test.publish('consumer_at_once', '2');
SELECT pg_temp.consume('consumer_at_once');
COMMIT;
SELECT pg_temp.consume('consumer_at_once');
SELECT kanthorq_stream_drop('consumer_at_once', confirm => 'consumer_at_once');

-- Somebody else's table under the consumer's name is not taken over.
CREATE TABLE kanthorq_consumer_consumer_taken (id integer);
SELECT test.refused($$SELECT kanthorq_consumer_create('consumer_taken', 'consumer')$$);
DROP TABLE kanthorq_consumer_consumer_taken;

-- Names: of 45 bytes, which just fit into an identifier, of 46, of 128 with the same beginning, in upper
-- case, that of the registry, and those of indexes.
SELECT name FROM kanthorq_consumer_create(repeat('n', 45), 'consumer');
SELECT name FROM kanthorq_consumer_create(repeat('n', 46), 'consumer');
SELECT name FROM kanthorq_consumer_create(repeat('n', 127) || 'a', 'consumer');
SELECT name FROM kanthorq_consumer_create(repeat('n', 127) || 'b', 'consumer');
SELECT name FROM kanthorq_consumer_create('Upper', 'consumer');
SELECT name FROM kanthorq_consumer_create('upper', 'consumer');
SELECT name FROM kanthorq_consumer_create('registry', 'consumer');
SELECT name FROM kanthorq_consumer_create('registry_pkey', 'consumer');
SELECT name FROM kanthorq_consumer_create('upper_pkey', 'consumer');
SELECT name FROM kanthorq_consumer_create('1', 'consumer');
SELECT length(name) AS length, left(name, 16) AS name, kanthorq_consumer_table(name) AS "table",
    length(relname) AS bytes
FROM kanthorq_consumer_registry JOIN pg_class ON pg_class.oid = kanthorq_consumer_table(name)
WHERE stream_name = 'consumer' ORDER BY kanthorq_consumer_registry.name;
SELECT count(DISTINCT kanthorq_consumer_table(name)) = count(*) AS own_tables
FROM kanthorq_consumer_registry;
SELECT pg_temp.consume(repeat('n', 127) || 'a'), pg_temp.consume('registry'),
    pg_temp.consume('Upper');
SELECT test.publish('consumer', 'G');
SELECT pg_temp.consume(repeat('n', 127) || 'a') AS a, pg_temp.consume('registry') AS registry,
    pg_temp.consume('Upper') AS upper_case;
SELECT pg_temp.consume(repeat('n', 127) || 'b') AS b, pg_temp.consume('upper') AS lower_case;
SELECT kanthorq_consumer_drop('Upper', confirm => 'upper');
SELECT kanthorq_consumer_drop('Upper', confirm => 'Upper');
SELECT kanthorq_consumer_table('upper');
SELECT kanthorq_consumer_drop('registry', confirm => 'registry');
SELECT count(*) > 0 AS registry_is_there FROM kanthorq_consumer_registry;
-- A long name's table says in its comment whose it is.
SELECT obj_description(kanthorq_consumer_table(repeat('n', 127) || 'b'), 'pg_class')
    LIKE '%' || repeat('n', 127) || 'b%' AS says;

-- A stream that is dropped takes its consumers with it, and no others.
SELECT test.refused($$SELECT kanthorq_stream_drop('consumer', confirm => 'consumers')$$);
SELECT kanthorq_stream_drop('consumer', confirm => 'consumer');
SELECT name FROM kanthorq_consumer_registry ORDER BY name;
SELECT kanthorq_stream_drop(name, confirm => name) FROM kanthorq_stream_registry;
SELECT count(*) FROM kanthorq_consumer_registry;
SELECT relname FROM pg_class WHERE relname LIKE 'kanthorq\_consumer\_%' AND relkind = 'r'
    AND relname <> 'kanthorq_consumer_registry';
SELECT (SELECT count(*) FROM kanthorq_delivery_state) AS states,
    (SELECT count(*) FROM kanthorq_delivery_lease) AS leases;
DROP VIEW consumer_definitions;
