-- Publishing many events at once: arrays, one element of each an event.

SELECT name FROM kanthorq_stream_create('publish_many');

-- Everything given. The ids come back in the order of the arrays, which is the order of positions.
SELECT kanthorq_publish_many('publish_many', '{c,a,b}', '{"\\x03","\\x01","\\x02"}',
    ARRAY['{"n": 3}', '{"n": 1}', '{"n": 2}']::jsonb[],
    '{01ARZ3NDEKTSV4RRFFQ69G5FA3,01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2}',
    '{30,10,20}', 'error');
SELECT id, subject, body, metadata, created_at, position - min(position) OVER () AS place
FROM kanthorq_stream_publish_many ORDER BY position;

-- Defaults: null arrays and null elements. New ids increase, and are not the given ones.
SELECT kanthorq_publish_many('publish_many', '{d.1,d.2,d.3}', '{"","",""}') AS ids \gset
SELECT :'ids'::text[] = array_agg(id::text ORDER BY position) AS in_order,
    :'ids'::text[] = array_agg(id::text ORDER BY id) AS increasing,
    bool_and(kanthorq_is_ulid(id)) AS ulids, array_agg(subject ORDER BY position) AS subjects,
    bool_and(metadata = '{}') AS no_metadata,
    bool_and(created_at = extract(epoch FROM kanthorq_id_time(id)) * 1000) AS time_in_id
FROM kanthorq_stream_publish_many WHERE subject LIKE 'd.%';
SELECT kanthorq_publish_many('publish_many', '{e.1,e.2,e.3}', '{"","",""}',
    ARRAY[NULL, '{"n": 2}', NULL]::jsonb[],
    '{NULL,NULL,01ARZ3NDEKTSV4RRFFQ69G5FE3}', '{1,NULL,NULL}') AS ids \gset
SELECT (:'ids'::text[])[3], :'ids'::text[] = array_agg(id::text ORDER BY position) AS in_order,
    array_agg(metadata ORDER BY position) AS metadata,
    array_agg(created_at = extract(epoch FROM kanthorq_id_time(id)) * 1000
        ORDER BY position) AS time_in_id
FROM kanthorq_stream_publish_many WHERE subject LIKE 'e.%';

-- None, and one.
SELECT kanthorq_publish_many('publish_many', '{}', '{}');
SELECT kanthorq_publish_many('publish_many', '{}', '{}', '{}', '{}', '{}', 'skip');
SELECT kanthorq_publish_many('publish_many', '{f}', '{""}', ids => '{01ARZ3NDEKTSV4RRFFQ69G5FF1}');
-- Arrays that are both null, as array_agg over no rows is, are no events. One null is a mistake, and so are
-- other arrays that have something in them.
SELECT kanthorq_publish_many('publish_many', array_agg(subject), array_agg(body), array_agg(metadata),
    array_agg(id), array_agg(created_at)) FROM kanthorq_events('publish_many') WHERE false;
SELECT kanthorq_publish_many('publish_many', NULL, NULL);
SELECT kanthorq_publish_many('publish_many', NULL, NULL, '{}', '{}', '{}', 'skip');
PREPARE publish_many AS SELECT kanthorq_publish_many($1, $2, $3);
EXECUTE publish_many('publish_many', NULL, NULL);
SELECT test.refused(format('SELECT kanthorq_publish_many(''publish_many'', %s)', arguments)) FROM unnest(ARRAY[
    'NULL, ''{}''', '''{}'', NULL', 'NULL, ''{""}''', '''{g}'', NULL', 'NULL, NULL, ids => ''{NULL}''',
    'NULL, NULL, ''{"{}"}''', 'NULL, NULL, created_at => ''{7}''', 'NULL, NULL, on_duplicate => NULL']) AS arguments;
-- Also of none the stream must exist, and be the caller's to publish to.
SELECT test.refused($$SELECT kanthorq_publish_many('publish_none', '{}', '{}')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('publish_none', NULL, NULL)$$);
SELECT test.refused($$SELECT kanthorq_publish_many(NULL, NULL, NULL)$$);
SET ROLE pg_monitor;
SELECT test.refused($$SELECT kanthorq_publish_many('publish_many', NULL, NULL)$$);
RESET ROLE;

-- Bodies as texts, of which nothing is taken for an escape, and as JSON.
SELECT kanthorq_publish_many_text('publish_many', '{text.1,text.2,text.3}',
    ARRAY['{"p":"C:\\tmp"}', '\x00', U&'caf\00E9'], ARRAY[NULL, '{"n": 2}', NULL]::jsonb[],
    '{01ARZ3NDEKTSV4RRFFQ69G5FT1,01ARZ3NDEKTSV4RRFFQ69G5FT2,01ARZ3NDEKTSV4RRFFQ69G5FT3}', '{1,2,3}', 'error');
SELECT kanthorq_publish_many_json('publish_many', '{json.1,json.2}',
    ARRAY['{"p":"C:\\tmp"}', '[1, null]']::jsonb[],
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FJ1,01ARZ3NDEKTSV4RRFFQ69G5FJ2}');
SELECT id, subject, convert_from(body, 'UTF8') AS body, metadata FROM kanthorq_stream_publish_many
WHERE subject ~ '^(text|json)' ORDER BY position;
-- They are as those of single events.
SELECT kanthorq_publish_text('publish_many', 'single', '{"p":"C:\\tmp"}', id => '01ARZ3NDEKTSV4RRFFQ69G5FT4'),
    kanthorq_publish_json('publish_many', 'single', '{"p":"C:\\tmp"}', id => '01ARZ3NDEKTSV4RRFFQ69G5FJ3');
SELECT count(*), count(DISTINCT body) AS bodies FROM kanthorq_stream_publish_many
WHERE id IN ('01ARZ3NDEKTSV4RRFFQ69G5FT1', '01ARZ3NDEKTSV4RRFFQ69G5FT4');
SELECT count(*), count(DISTINCT body) AS bodies FROM kanthorq_stream_publish_many
WHERE id IN ('01ARZ3NDEKTSV4RRFFQ69G5FJ1', '01ARZ3NDEKTSV4RRFFQ69G5FJ3');
SELECT kanthorq_publish_many_text('publish_many', '{text.1}', '{other}', ids => '{01ARZ3NDEKTSV4RRFFQ69G5FT1}',
    on_duplicate => 'skip');
SELECT kanthorq_publish_many_text('publish_many', NULL, NULL), kanthorq_publish_many_json('publish_many', NULL, NULL),
    kanthorq_publish_many_text('publish_many', '{}', '{}'), kanthorq_publish_many_json('publish_many', '{}', '{}');
SELECT test.refused(format('SELECT kanthorq_publish_many_%s', call)) FROM unnest(ARRAY[
    'text(''publish_many'', ''{g,g}'', ''{a,NULL}'')', 'json(''publish_many'', ''{g,g}'', ''{1,NULL}'')',
    'text(''publish_many'', ''{g,g}'', ''{a}'')', 'json(''publish_many'', ''{g,g}'', ''{1}'')',
    'text(''publish_many'', ''{g}'', NULL)', 'json(''publish_many'', NULL, ''{1}'')',
    'text(''publish_none'', ''{g}'', ''{a}'')', 'json(''publish_none'', ''{g}'', ''{1}'')',
    'text(''publish_many'', ''{g}'', ''{{a}}'')', 'text(NULL, ''{g}'', ''{a}'')',
    'text(''publish_many'', ''{g}'', ''{a}'', ids => ''{01ARZ3NDEKTSV4RRFFQ69G5FT1}'')']) AS call;
DEALLOCATE publish_many;

-- All or nothing: an event that is refused takes the others of its call with it.
SELECT test.refused($$SELECT kanthorq_publish_many('publish_many', '{g,g,g.}', '{"","",""}')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('publish_many', '{g,g}', '{"",""}',
    ids => '{NULL,x}')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('publish_many', '{g,g}', '{"",""}',
    '{"{}","[]"}')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('publish_many', '{g,g}', '{"",""}',
    ids => '{NULL,01ARZ3NDEKTSV4RRFFQ69G5FF1}')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('publish_many',
    array_fill('g'::text, ARRAY[2500]), array_fill(''::bytea, ARRAY[2500]),
    ids => array_fill(NULL::text, ARRAY[2499]) || '01ARZ3NDEKTSV4RRFFQ69G5FF1'::text)$$);
SELECT count(*) FROM kanthorq_events('publish_many', 'g');

-- Null elements where there must be a value; the message names the subscript.
SELECT kanthorq_publish_many('publish_many', '{g,NULL}', '{"",""}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('publish_many', '{g,g,g}', '{"","",NULL}');
\echo :LAST_ERROR_SQLSTATE
-- So do the other messages, in the array's own subscripts.
SELECT test.refused(format('SELECT kanthorq_publish_many(''publish_many'', %s)', arguments))
FROM (VALUES
    ('''{g,g.}'', ''{"",""}'''), ('''[0:1]={g,g.}'', ''{"",""}'''),
    ('''[-5:-4]={g,NULL}'', ''{"",""}'''),
    ('''{g,g}'', ''[10:11]={"",NULL}'''), ('''{g,g}'', ''{"",""}'', ids => ''{NULL,x}'''),
    ('''{g,g}'', ''{"",""}'', ARRAY[''{}'', ''null'']::jsonb[]')) AS calls (arguments);

-- Arrays with other lower bounds are taken as they come.
SELECT kanthorq_publish_many('publish_many', '[0:1]={h.1,h.2}', '[5:6]={"\\x01","\\x02"}',
    ids => '[-1:0]={01ARZ3NDEKTSV4RRFFQ69G5FH1,01ARZ3NDEKTSV4RRFFQ69G5FH2}');
SELECT id, subject, body FROM kanthorq_events('publish_many', 'h.*');

-- Null arguments, other lengths, more dimensions.
SELECT kanthorq_publish_many('publish_many', NULL, '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused(format('SELECT kanthorq_publish_many(%s)', arguments)) FROM (VALUES
    ('NULL, ''{}'', ''{}'''),
    ('''publish_many'', ''{}'', ''{}'', on_duplicate => NULL'),
    ('''publish_many'', ''{}'', ''{}'', on_duplicate => ''ignore''')) AS calls (arguments);
SELECT kanthorq_publish_many('publish_many', '{g,g}', '{""}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('publish_many', '{{g,g},{g,g}}', '{"","","",""}');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused(format('SELECT kanthorq_publish_many(''publish_many'', %s)', arguments))
FROM (VALUES
    ('''{}'', ''{""}'''), ('''{g}'', ''{}'''), ('''{g}'', ''{""}'', ''{}'''),
    ('''{g}'', ''{""}'', ids => ''{NULL,NULL}'''),
    ('''{g}'', ''{""}'', created_at => ''{1,2}'''), ('''{g}'', ''{{""}}'''),
    ('''{g}'', ''{""}'', ''{{"{}"}}'''),
    ('''{g}'', ''{""}'', ids => ''{{NULL}}'''),
    ('''{g}'', ''{""}'', created_at => ''{{{1}}}''')) AS calls (arguments);
SELECT count(*) FROM kanthorq_events('publish_many', 'g');

-- More than one chunk: the batch is one all the same.
SELECT kanthorq_publish_many('publish_many', array_agg('chunk.' || n ORDER BY n),
    array_agg(n::text::bytea ORDER BY n)) AS ids
FROM generate_series(1, 2500) AS n \gset
SELECT cardinality(:'ids'::text[]);
SELECT count(*), count(DISTINCT id) AS ids, count(DISTINCT txid) AS txids,
    count(DISTINCT position) AS positions,
    array_agg(id::text ORDER BY position) = :'ids' AS in_order,
    bool_and(subject = 'chunk.' || place AND body = place::text::bytea) AS right_events
FROM (SELECT *, row_number() OVER (ORDER BY position) AS place FROM kanthorq_stream_publish_many
      WHERE subject LIKE 'chunk.%') AS stored;
-- Each of them is found by each index.
SET enable_seqscan = off;
SELECT count(e.id) FROM unnest(:'ids'::text[]) AS given, kanthorq_event_get('publish_many',
    given) AS e;
SELECT count(*) FROM kanthorq_events_by_subject('publish_many', 'chunk.*', size => 10000);
SELECT count(s.id) FROM (SELECT DISTINCT position FROM kanthorq_stream_publish_many
    WHERE subject LIKE 'chunk.%' OFFSET 0) AS p
    JOIN kanthorq_stream_publish_many AS s USING (position);
RESET enable_seqscan;

-- Large bodies: chunks are cut by their bytes as well.
CREATE TEMPORARY TABLE bodies AS
    SELECT n, substr(everything, 1, size) AS body
    FROM (SELECT test.bytes(2000000) AS everything) AS big,
        unnest(ARRAY[0, 1, 2000, 2001, 8192, 600000, 600001, 2000000, 5, 1048575, 1048576, 1048577,
            0]) WITH ORDINALITY AS sizes (size, n);
SELECT cardinality(kanthorq_publish_many('publish_many', array_agg('large.' || n ORDER BY n),
    array_agg(body ORDER BY n))) FROM bodies;
SELECT count(*), sum(length(e.body)), bool_and(e.body = b.body) AS same
FROM bodies AS b JOIN kanthorq_events('publish_many', 'large.*') AS e ON subject = 'large.' || n;

-- In a savepoint that is rolled back, it never was.
BEGIN;
SAVEPOINT before;
SELECT cardinality(kanthorq_publish_many('publish_many', '{undone,undone}', '{"",""}'));
ROLLBACK TO before;
COMMIT;
SELECT count(*) FROM kanthorq_events('publish_many', 'undone');

-- An element is named by the subscript that it has in its own array.
SELECT kanthorq_publish_many('publish_many', '{g,g}', '{"",""}', ids => '[0:1]={NULL,x}');
SELECT kanthorq_publish_many('publish_many', '{g,g}', '{"",""}', '[7:8]={"{}","null"}');

SELECT kanthorq_stream_drop('publish_many', confirm => 'publish_many');
