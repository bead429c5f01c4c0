-- Creating streams, finding their tables, dropping them; names of every length and kind.

-- A new stream: a row in the registry, in milliseconds since the epoch, and a table.
SELECT name, created_at = updated_at AS same,
    created_at BETWEEN extract(epoch FROM now()) * 1000 - 60000
        AND extract(epoch FROM clock_timestamp()) * 1000 AS is_now
FROM kanthorq_stream_create('stream_new');
SELECT kanthorq_stream_table('stream_new');
SELECT pg_typeof(kanthorq_stream_table('stream_new'));

-- Its columns are the documents' five and our two.
SELECT attname, format_type(atttypid, atttypmod), collname, attnotnull, attidentity
FROM pg_attribute LEFT JOIN pg_collation ON pg_collation.oid = attcollation
WHERE attrelid = kanthorq_stream_table('stream_new') AND attnum > 0
ORDER BY attnum;
SELECT column_name, replace(column_default, 'public.', '') AS column_default
FROM information_schema.columns
WHERE table_name = 'kanthorq_stream_stream_new' AND column_default IS NOT NULL
ORDER BY ordinal_position;

-- The keys of its indexes; the one on (subject, id) is optional.
CREATE FUNCTION pg_temp.indexes(stream text)
    RETURNS TABLE (keys text, is_unique boolean, is_primary boolean)
LANGUAGE sql AS $$
    SELECT string_agg(attname, ', ' ORDER BY place), indisunique, indisprimary
    FROM pg_index, unnest(indkey::smallint[]) WITH ORDINALITY AS key (attnum, place)
        JOIN pg_attribute USING (attnum)
    WHERE indrelid = kanthorq_stream_table(stream) AND attrelid = indrelid
    GROUP BY indexrelid, indisunique, indisprimary
    ORDER BY 1
$$;
SELECT * FROM pg_temp.indexes('stream_new');
SELECT name FROM kanthorq_stream_create('stream_thin', subject_index => false);
SELECT * FROM pg_temp.indexes('stream_thin');
-- Without the index everything works.
SELECT kanthorq_is_event_id(kanthorq_publish_text('stream_thin', subject, 'x'))
FROM unnest(ARRAY['b.1', 'a.2', 'a.1']) AS subject;
SELECT subject FROM kanthorq_events_by_subject('stream_thin', 'a.*');
SELECT kanthorq_stream_drop('stream_thin', confirm => 'stream_thin');

-- Creating it again returns it: created_at is kept, updated_at refreshed, the table untouched.
SELECT kanthorq_publish_text('stream_new', 'a', 'x') AS id \gset
SELECT kanthorq_stream_table('stream_new')::oid AS "table", created_at, updated_at
FROM kanthorq_stream_registry WHERE name = 'stream_new' \gset
SELECT test.clock_moves_on();
SELECT name, created_at = :created_at AS created_at_kept,
    updated_at > :updated_at AS updated_at_refreshed
FROM kanthorq_stream_create('stream_new');
SELECT name, created_at = :created_at AS created_at_kept,
    updated_at > :updated_at AS updated_at_refreshed
FROM kanthorq_stream_registry;
SELECT kanthorq_stream_table('stream_new')::oid = :table AS same_table,
    (kanthorq_event_get('stream_new', :'id')).subject;

-- A stream whose creation is rolled back, by savepoint too, never was; and one whose drop is, stays.
BEGIN;
SELECT name FROM kanthorq_stream_create('stream_undone');
SELECT kanthorq_publish_text('stream_undone', 'a', 'x') IS NOT NULL AS published;
ROLLBACK;
SELECT kanthorq_stream_table('stream_undone');
BEGIN;
SAVEPOINT before;
SELECT name FROM kanthorq_stream_create('stream_undone');
SELECT kanthorq_publish_text('stream_undone', 'a', 'x') IS NOT NULL AS published;
ROLLBACK TO before;
SELECT test.refused($$SELECT kanthorq_publish_text('stream_undone', 'a', 'x')$$);
SELECT name FROM kanthorq_stream_create('stream_undone');
SELECT kanthorq_publish_text('stream_undone', 'a', 'x') IS NOT NULL AS published;
SAVEPOINT created;
SELECT kanthorq_stream_drop('stream_undone', confirm => 'stream_undone');
SELECT test.refused($$SELECT kanthorq_publish_text('stream_undone', 'a', 'x')$$);
ROLLBACK TO created;
COMMIT;
SELECT subject FROM kanthorq_events('stream_undone');
-- Dropped and created again in one transaction: a new table, without the old events.
BEGIN;
SELECT kanthorq_stream_drop('stream_undone', confirm => 'stream_undone');
SELECT name FROM kanthorq_stream_create('stream_undone');
SELECT count(*) FROM kanthorq_events('stream_undone');
SELECT kanthorq_publish_text('stream_undone', 'b', 'x') IS NOT NULL AS published;
COMMIT;
SELECT subject FROM kanthorq_events('stream_undone');
SELECT kanthorq_stream_drop('stream_undone', confirm => 'stream_undone');

-- Dropping wants the name repeated, letter by letter.
SELECT kanthorq_stream_drop('stream_new', confirm => 'stream_old');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_drop('stream_new', confirm => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused(format('SELECT kanthorq_stream_drop(%L, confirm => %L)', 'stream_new',
    confirm))
FROM unnest(ARRAY['', 'STREAM_NEW', 'stream_new ', 'yes', 'true']) AS confirm;
SELECT subject FROM kanthorq_events('stream_new');
SELECT kanthorq_stream_drop('stream_new', confirm => 'stream_new');
-- Then nothing is left of it, and there is nothing to drop.
SELECT relname FROM pg_class WHERE relname LIKE '%stream\_new%';
SELECT name FROM kanthorq_stream_registry;
SELECT kanthorq_stream_drop('stream_new', confirm => 'stream_new');
SELECT kanthorq_stream_drop('stream_new', confirm => 'stream_old');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_table('stream_new');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused($$SELECT kanthorq_publish_text('stream_new', 'a', 'x')$$),
    test.refused($$SELECT kanthorq_events('stream_new')$$);

-- The case of a name is kept: names that differ in case only are two streams.
SELECT name FROM kanthorq_stream_create('Stream_Case');
SELECT name FROM kanthorq_stream_create('stream_case');
SELECT kanthorq_stream_table('Stream_Case'), kanthorq_stream_table('stream_case');
SELECT kanthorq_publish_text('Stream_Case', 'upper', 'x') IS NOT NULL AS upper,
    kanthorq_publish_text('stream_case', 'lower', 'x') IS NOT NULL AS lower;
SELECT subject FROM "kanthorq_stream_Stream_Case";
SELECT subject FROM kanthorq_stream_stream_case;
SELECT test.refused($$SELECT kanthorq_publish_text('STREAM_CASE', 'a', 'x')$$);
SELECT kanthorq_stream_drop('stream_case', confirm => 'stream_case');
SELECT subject FROM kanthorq_events('Stream_Case');
SELECT kanthorq_stream_drop('Stream_Case', confirm => 'Stream_Case');

-- Names of every length. Up to 47 bytes the table has the literal name; a longer one is shortened,
-- the same way on every server.
SELECT length, name = repeat('a', length) AS name_is_whole,
    replace(kanthorq_stream_table(name)::text, repeat('a', 20), '(20 a)') AS "table",
    length(kanthorq_stream_table(name)::text) AS table_length
FROM unnest(ARRAY[1, 46, 47, 48, 63, 64, 127, 128]) AS length,
    LATERAL (SELECT name FROM kanthorq_stream_create(repeat('a', length))) AS created
ORDER BY length;
SELECT test.refused(format('SELECT kanthorq_stream_create(%L)', repeat('a', 129)));
-- An event that is published to each of them lands there and nowhere else.
SELECT count(kanthorq_publish_text(name, 'length.' || length(name), 'x'))
FROM kanthorq_stream_registry;
SELECT length(name), events.subject, events.count
FROM kanthorq_stream_registry,
    LATERAL (SELECT min(subject) AS subject, count(*) FROM kanthorq_events(name)) AS events
ORDER BY 1;
SELECT length(name), kanthorq_stream_drop(name, confirm => name)
FROM (SELECT name FROM kanthorq_stream_registry ORDER BY length(name)) AS streams;
SELECT count(*) FROM kanthorq_stream_registry;

-- Two names that agree in their first 47 bytes (or 127) have two tables.
SELECT name, replace(kanthorq_stream_table(name)::text, repeat('x', 20), '(20 x)') AS "table"
FROM (SELECT (kanthorq_stream_create(head || tail)).name
      FROM (VALUES (repeat('x', 47)), (repeat('x', 127))) AS names (head),
          (VALUES ('a'), ('b')) AS tails (tail) OFFSET 0) AS created
ORDER BY name;
SELECT count(kanthorq_publish_text(name, right(name, 1) || length(name), 'x'))
FROM kanthorq_stream_registry;
SELECT right(name, 1) AS tail, length(name), array_agg(subject)
FROM kanthorq_stream_registry, kanthorq_events(name) GROUP BY name ORDER BY name;
SELECT kanthorq_stream_drop(repeat('x', 47) || 'a', confirm => repeat('x', 47) || 'a');
SELECT right(name, 1) AS tail, length(name), array_agg(subject)
FROM kanthorq_stream_registry, kanthorq_events(name) GROUP BY name ORDER BY name;
SELECT count(kanthorq_stream_drop(name, confirm => name)) FROM kanthorq_stream_registry;

-- Names that would be trouble in SQL text, and others that are no names.
SELECT name, test.refused(format('SELECT kanthorq_stream_create(%L)', name))
FROM (VALUES
    ('a.b'), ('a"b'), ('a;b'), ('$x'), ('a''b'), ('a b'), ('a-b'), ('_a'), ('a_'), ('a__b'), (''),
    ('*'),
    (E'a\\b'), ('"a"'), ('public.a'), ('a; DROP TABLE kanthorq_stream_registry --')) AS names
        (name);
SELECT test.refused(format('SELECT kanthorq_stream_create(%L)', name))
FROM (VALUES (U&'caf\00E9'), (U&'\65E5\672C'), (E'a\nb')) AS names (name);
-- Every function that takes a name refuses them.
SELECT test.refused(format(call, 'a"b')) FROM (VALUES
    ('SELECT kanthorq_stream_table(%L)'), ('SELECT kanthorq_stream_drop(%1$L, %1$L)'),
    ('SELECT kanthorq_stream_trim(%1$L, ''01ARZ3NDEKTSV4RRFFQ69G5FAV'', %1$L)'),
    ('SELECT kanthorq_publish(%L, ''a'', '''')'), ('SELECT kanthorq_publish_text(%L, ''a'', '''')'),
    ('SELECT kanthorq_publish_json(%L, ''a'', ''{}'')'),
    ('SELECT kanthorq_publish_many(%L, ''{}'', ''{}'')'),
    ('SELECT kanthorq_event_get(%L, ''01ARZ3NDEKTSV4RRFFQ69G5FAV'')'),
    ('SELECT kanthorq_events(%L)'),
    ('SELECT kanthorq_events_by_subject(%L)'),
    ('SELECT kanthorq_event_remove(%L, ''{}'')')) AS calls (call);
SELECT count(*) FROM kanthorq_stream_registry;

-- Names that are those of our other objects, or of what belongs to the table of another stream, are
-- names like any other, whichever comes first.
SELECT name FROM kanthorq_stream_create('registry');
SELECT name FROM kanthorq_stream_create('stream_x');
CREATE TEMPORARY TABLE parts AS
    SELECT regexp_replace(relname, '^kanthorq_stream_(.*)__', '\1_') AS name
    FROM pg_class WHERE relname LIKE 'kanthorq\_stream\_%\_\_%' AND relkind NOT IN ('r', 'p')
    AND relname !~ '__(default|[0-9]{8})_';  -- and not of partitions
SELECT name FROM parts ORDER BY name COLLATE "C";
SELECT count(kanthorq_stream_create(name)) FROM parts;
SELECT name FROM kanthorq_stream_create('stream_y_pkey');
SELECT name FROM kanthorq_stream_create('stream_y_position_seq');
SELECT name FROM kanthorq_stream_create('stream_y');
SELECT count(kanthorq_publish_text(name, replace(name, '_', '-'), 'x'))
FROM kanthorq_stream_registry;
SELECT name, string_agg(subject, ' ') AS subjects
FROM kanthorq_stream_registry, kanthorq_events(name) GROUP BY name ORDER BY name;
SELECT count(kanthorq_stream_drop(name, confirm => name)) FROM kanthorq_stream_registry;
SELECT test.refused($$SELECT kanthorq_publish_text('registry', 'a', 'x')$$);

-- Nulls.
SELECT test.refused('SELECT kanthorq_stream_create(NULL)'),
    test.refused($$SELECT kanthorq_stream_create('stream_null', NULL)$$),
    test.refused($$SELECT kanthorq_stream_drop(NULL, 'a')$$);
SELECT kanthorq_stream_table(NULL);

-- Who creates a stream owns its table. Creating needs CREATE on the extension's schema, dropping
-- needs ownership, and the registry is for the library to write.
CREATE ROLE regress_kanthorq_creator;
CREATE ROLE regress_kanthorq_other;
SET ROLE regress_kanthorq_creator;
SELECT kanthorq_stream_create('stream_owned');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_creator;
SET ROLE regress_kanthorq_creator;
SELECT name FROM kanthorq_stream_create('stream_owned');
SELECT relowner::regrole FROM pg_class WHERE oid = kanthorq_stream_table('stream_owned');
SELECT kanthorq_publish_text('stream_owned', 'a', 'x') IS NOT NULL AS published;
SELECT count(*) FROM kanthorq_stream_registry;
INSERT INTO kanthorq_stream_registry (name) VALUES ('stream_forged');
DELETE FROM kanthorq_stream_registry;
SET ROLE regress_kanthorq_other;
SELECT kanthorq_stream_drop('stream_owned', confirm => 'stream_owned');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create('stream_owned');
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_kanthorq_creator;
SELECT kanthorq_stream_drop('stream_owned', confirm => 'stream_owned');
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_kanthorq_creator;
DROP ROLE regress_kanthorq_creator, regress_kanthorq_other;

-- Writing functions say so in a read-only transaction; others answer.
SELECT name FROM kanthorq_stream_create('stream_read');
BEGIN READ ONLY;
SELECT kanthorq_stream_table('stream_read');
SELECT test.refused($$SELECT kanthorq_stream_create('stream_read')$$),
    test.refused($$SELECT kanthorq_stream_drop('stream_read', 'stream_read')$$);
COMMIT;

-- A table that something depends on is not dropped, nor is its stream.
CREATE VIEW stream_view AS SELECT id FROM kanthorq_stream_stream_read;
\set VERBOSITY terse
SELECT kanthorq_stream_drop('stream_read', confirm => 'stream_read');
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
DROP VIEW stream_view;
SELECT kanthorq_stream_drop('stream_read', confirm => 'stream_read');
