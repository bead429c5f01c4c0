-- Publishing one event: what is stored, what the defaults are, who may.

SET timezone = 'UTC';
SELECT name FROM kanthorq_stream_create('publish');

-- Everything given, by place and by name: stored as it is, the id returned.
SELECT kanthorq_publish('publish', 'order.created', '\x00ff', '{"k": [1, null]}',
    '01ARZ3NDEKTSV4RRFFQ69G5FA1', 42, 'error');
SELECT kanthorq_publish(on_duplicate => 'error', created_at => -1,
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA2',
    metadata => '{"a": {"b": ""}}', body => 'bytes', subject => '-1.A', stream => 'publish');
SELECT id, subject, body, metadata, created_at FROM kanthorq_events('publish');

-- Defaults: a new ULID, no metadata, and created_at is the time inside the id. The same for nulls.
SELECT kanthorq_publish('publish', 'defaults', '') AS id \gset
SELECT kanthorq_publish('publish', 'defaults', '', metadata => NULL, id => NULL,
    created_at => NULL) AS next_id \gset
SELECT :'id' COLLATE "C" < :'next_id' AS increasing;
SELECT id IN (:'id', :'next_id') AS returned, kanthorq_is_ulid(id) AS ulid, body, metadata,
    created_at = extract(epoch FROM kanthorq_id_time(id)) * 1000 AS time_in_id,
    kanthorq_id_time(id) BETWEEN now() - interval '1 minute' AND clock_timestamp() AS is_now
FROM kanthorq_events('publish', 'defaults');

-- Ids of each form, the time inside them, and created_at if it says something else.
SELECT kanthorq_publish('publish', 'forms', '', id => id, created_at => created_at) FROM (VALUES
    ('01FWHE4YDGFK1SHH6W1G60EECF', NULL), ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f', NULL),
    ('order_update_01fwhe4ydgfk1shh6w1g60eecf', NULL), ('01FWHE4YDGFK1SHH6W1G60EEC0', 0),
    ('00000000000000000000000000', NULL), ('7ZZZZZZZZZZZZZZZZZZZZZZZZZ', NULL),
    ('7ZZZZZZZZZZZZZZZZZZZZZZZZY', -9223372036854775808),
    ('7ZZZZZZZZZZZZZZZZZZZZZZZZX', 9223372036854775807)) AS forms (id, created_at);
SELECT id, created_at FROM kanthorq_events('publish', 'forms')
WHERE id NOT IN ('7ZZZZZZZZZZZZZZZZZZZZZZZZY', '7ZZZZZZZZZZZZZZZZZZZZZZZZX');
SELECT id, created_at
FROM kanthorq_events('publish', 'forms', after_id => '7ZZZZZZZZZZZZZZZZZZZZZZZZ0') LIMIT 2;

-- There is one kanthorq_publish: a literal or parameter without a type is bytea, never text.
SELECT count(*) FROM pg_proc WHERE proname = 'kanthorq_publish';
PREPARE publish AS SELECT kanthorq_publish($1, $2, $3);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'publish';
DEALLOCATE publish;
SELECT kanthorq_publish('publish', 'literal', '\x6869') AS id \gset
SELECT body, length(body) FROM kanthorq_event_get('publish', :'id');
SELECT test.refused($$SELECT kanthorq_publish('publish', 'literal', '\x6')$$);
SELECT test.refused($$SELECT kanthorq_publish('publish', 'literal', 'text'::text)$$);

-- kanthorq_publish_text(): the bytes of the text in UTF-8. kanthorq_publish_json(): those of the
-- document's text, as the server writes it.
SELECT kanthorq_publish_text('publish', 'text', body, id => '01ARZ3NDEKTSV4RRFFQ69G5FB' || n)
FROM (VALUES
    (0, ''), (1, 'hi'), (2, '\x6869'), (3, U&'caf\00E9 \65E5\672C \+01F600'),
    (4, E'a\nb\t"c"\\')) AS texts (n, body);
SELECT id, body FROM kanthorq_events('publish', 'text');
SELECT kanthorq_publish_json('publish', 'json', body, id => '01ARZ3NDEKTSV4RRFFQ69G5FC' || n)
FROM (VALUES
    (0, '{}'::jsonb), (1, '{"b":1,"a":[1,2.50,"\u00e9"]}'), (2, 'null'), (3, '"text"'),
    (4, '12345678901234567890'),
    (5, '[]')) AS documents (n, body);
SELECT id, convert_from(body, 'UTF8') AS text, convert_from(body, 'UTF8')::jsonb
FROM kanthorq_events('publish', 'json');
-- The client's encoding has no part in it.
SET client_encoding = 'latin1';
SELECT kanthorq_publish_text('publish', 'latin', U&'caf\00E9') AS id \gset
SET client_encoding = 'utf8';
SELECT body FROM kanthorq_event_get('publish', :'id');
-- Both take the other arguments too.
SELECT kanthorq_publish_text('publish', 'others', 'x', '{"k": 1}', '01ARZ3NDEKTSV4RRFFQ69G5FD1', 1,
    'skip'),
    kanthorq_publish_json('publish', 'others', '1', '{"k": 2}', '01ARZ3NDEKTSV4RRFFQ69G5FD2', 2,
        'skip');
SELECT id, subject, metadata, created_at FROM kanthorq_events('publish', 'others');

-- Bodies of every size, and such as do and do not compress.
CREATE TABLE publish_bodies AS
    SELECT size, body
    FROM unnest(ARRAY[0, 1, 126, 127, 1999, 2000, 2001, 8000, 8192, 1000000, 1048576]) AS size,
        LATERAL (VALUES (test.bytes(size)), (convert_to(repeat('a', size), 'UTF8'))) AS bodies
            (body);
SELECT count(kanthorq_publish('publish', 'bodies.' || size, body)) FROM publish_bodies;
SELECT size, count(*) AS expected, count(e.body) AS stored
FROM publish_bodies AS b
    LEFT JOIN kanthorq_events('publish', 'bodies.*') AS e ON subject = 'bodies.' || size
        AND e.body = b.body
GROUP BY size ORDER BY size;
-- They are the stream's own: the table that they came from may go.
DROP TABLE publish_bodies;
SELECT subject, length(body), md5(body) = md5(test.bytes(length(body))) AS first_kind,
    md5(body) = md5(convert_to(repeat('a', length(body)), 'UTF8')) AS second_kind
FROM kanthorq_events('publish', 'bodies.*') WHERE length(body) > 8000 ORDER BY length(body), 3;

-- Metadata of every size and depth.
SELECT kanthorq_publish('publish', 'metadata', '',
    (repeat('{"a": ', 1000) || '1' || repeat('}', 1000))::jsonb) AS id \gset
SELECT metadata = (repeat('{"a": ', 1000) || '1' || repeat('}', 1000))::jsonb AS same
FROM kanthorq_event_get('publish', :'id');
SELECT kanthorq_publish('publish', 'metadata', '', metadata) AS id, md5(metadata::text) AS digest
FROM (SELECT jsonb_object_agg(n, encode(test.bytes(n), 'hex')) AS metadata
    FROM generate_series(1, 1000) AS n) AS big \gset
SELECT md5(metadata::text) = :'digest' AS same, length(metadata::text) > 1000000 AS big
FROM kanthorq_event_get('publish', :'id');

-- Publishing is a part of the transaction: rolled back, whole or by savepoint, it never was.
BEGIN;
SELECT kanthorq_publish('publish', 'undone', '') IS NOT NULL AS published;
SELECT count(*) FROM kanthorq_events('publish', 'undone');
ROLLBACK;
BEGIN;
SELECT kanthorq_publish('publish', 'done.before', '') IS NOT NULL AS published;
SAVEPOINT one;
SELECT kanthorq_publish('publish', 'undone', '',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FE1') IS NOT NULL AS published;
SAVEPOINT two;
SELECT kanthorq_publish('publish', 'undone', '') IS NOT NULL AS published;
RELEASE two;
ROLLBACK TO one;
SELECT kanthorq_publish('publish', 'done.again', '',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FE1') IS NOT NULL AS published;
SAVEPOINT three;
SELECT kanthorq_publish('publish', 'done.inside', '') IS NOT NULL AS published;
RELEASE three;
COMMIT;
DO $$
BEGIN
    PERFORM kanthorq_publish('publish', 'undone', '');
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    PERFORM kanthorq_publish('publish', 'done.handled', '');
END $$;
SELECT count(*) FROM kanthorq_events('publish', 'undone');
SELECT subject FROM kanthorq_events_by_subject('publish', 'done.*');
-- A failure later in the same statement undoes it.
SELECT 1 / (CASE WHEN kanthorq_publish('publish', 'undone', '') IS NULL THEN 1 ELSE 0 END);
SELECT count(*) FROM kanthorq_events('publish', 'undone');

-- txid is the id of the publishing transaction, in savepoints too; positions increase.
SELECT max(position) AS last FROM kanthorq_stream_publish \gset
BEGIN;
SELECT kanthorq_publish('publish', 'txid', '') IS NOT NULL AS published;
SAVEPOINT inside;
SELECT kanthorq_publish('publish', 'txid', '') IS NOT NULL AS published;
INSERT INTO kanthorq_stream_publish (subject, body) VALUES ('txid', '');
SAVEPOINT deeper;
SELECT cardinality(kanthorq_publish_many('publish', '{txid,txid}', '{"",""}'));
SELECT count(*), count(*) FILTER (WHERE txid = pg_current_xact_id()) AS own
FROM kanthorq_stream_publish WHERE subject = 'txid';
COMMIT;
SELECT kanthorq_publish('publish', 'txid', '') IS NOT NULL AS published;
SELECT count(DISTINCT txid) AS transactions, min(position) > :last AS behind,
    bool_and(position > before) AS increasing, bool_and(txid >= txid_before) AS in_order
FROM (SELECT txid, position, lag(position) OVER by_id AS before, lag(txid) OVER by_id AS txid_before
      FROM kanthorq_stream_publish WHERE subject = 'txid' WINDOW by_id AS (ORDER BY id)) AS pair;

-- In functions and queries of any kind.
CREATE FUNCTION pg_temp.publisher(subject text) RETURNS text
    LANGUAGE sql AS $$ SELECT kanthorq_publish('publish', subject, '') $$;
SELECT count(pg_temp.publisher('many.' || n)) FROM generate_series(1, 100) AS n;
WITH published AS MATERIALIZED (SELECT kanthorq_publish('publish', 'many.cte', '') AS id)
    SELECT count(*) FROM published;
SELECT count(*), count(DISTINCT txid) FROM kanthorq_stream_publish WHERE subject LIKE 'many.%';

-- Nulls where a value is needed.
SELECT test.refused(format('SELECT kanthorq_publish%s', call)) FROM (VALUES
    ('(NULL, ''a'', '''')'), ('(''publish'', NULL, '''')'), ('(''publish'', ''a'', NULL)'),
    ('(''publish'', ''a'', '''', on_duplicate => NULL)'),
    ('_text(NULL, ''a'', '''')'), ('_text(''publish'', NULL, '''')'),
    ('_text(''publish'', ''a'', NULL)'),
    ('_json(NULL, ''a'', ''1'')'), ('_json(''publish'', NULL, ''1'')'),
    ('_json(''publish'', ''a'', NULL)')) AS calls (call);

-- Metadata is an object; JSON's null is none.
SELECT metadata, test.refused(format('SELECT kanthorq_publish(''publish'', ''a'', '''', %L)',
    metadata))
FROM unnest(ARRAY['null', '1', '"{}"', 'true', '[]', '[{}]']) AS metadata;

-- A read-only transaction.
BEGIN READ ONLY;
SELECT kanthorq_publish('publish', 'a', '');
ROLLBACK;
\echo :LAST_ERROR_SQLSTATE
SET default_transaction_read_only = on;
SELECT test.refused('SELECT kanthorq_' || call)
FROM unnest(ARRAY['publish(''publish'', ''a'', '''')',
    'publish_text(''publish'', ''a'', '''')', 'publish_json(''publish'', ''a'', ''1'')',
    'publish_many(''publish'', ''{a}'', ''{""}'')']) AS call;
RESET default_transaction_read_only;
SELECT count(*) FROM kanthorq_events('publish', 'a');

-- Who may: INSERT on the table, or on its five event columns, with nothing else. No grant on the
-- sequence, no SELECT.
CREATE ROLE regress_kanthorq_publisher;
CREATE ROLE regress_kanthorq_table_publisher;
CREATE ROLE regress_kanthorq_reader;
CREATE ROLE regress_kanthorq_nobody;
GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_publish
    TO regress_kanthorq_publisher;
GRANT INSERT ON kanthorq_stream_publish TO regress_kanthorq_table_publisher;
GRANT SELECT ON kanthorq_stream_publish TO regress_kanthorq_reader;
SET ROLE regress_kanthorq_publisher;
SELECT kanthorq_publish('publish', 'granted.function', '') IS NOT NULL AS published;
SELECT kanthorq_publish('publish', 'granted.skip', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FF1',
    on_duplicate => 'skip');
SELECT cardinality(kanthorq_publish_many('publish', '{granted.many}', '{""}'));
INSERT INTO kanthorq_stream_publish (subject, body) VALUES ('granted.insert', '');
INSERT INTO kanthorq_stream_publish (id, subject, body, metadata, created_at)
VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FF2', 'granted.insert', '', '{}', 1);
INSERT INTO kanthorq_stream_publish VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FF4', 'granted.values', '',
    '{}', 1);
COPY kanthorq_stream_publish (id, subject, body, metadata, created_at) FROM STDIN;
01ARZ3NDEKTSV4RRFFQ69G5FF3	granted.copy	\\x	{}	1
\.
-- It can't say which transaction it is, nor choose a position, nor read.
INSERT INTO kanthorq_stream_publish (subject, body, txid) VALUES ('forged', '', '1');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO kanthorq_stream_publish (subject, body, position) OVERRIDING SYSTEM VALUE
    VALUES ('forged', '', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused($$SELECT kanthorq_events('publish')$$),
    test.refused($$SELECT kanthorq_event_get('publish', '01ARZ3NDEKTSV4RRFFQ69G5FF1')$$);
SET ROLE regress_kanthorq_table_publisher;
SELECT kanthorq_publish('publish', 'granted.table', '') IS NOT NULL AS published;
-- A reader reads.
SET ROLE regress_kanthorq_reader;
SELECT subject FROM kanthorq_events('publish', 'granted.*');
SELECT test.refused($$SELECT kanthorq_publish('publish', 'refused', '')$$),
    test.refused($$SELECT kanthorq_publish('publish', 'refused', '',
        id => '01ARZ3NDEKTSV4RRFFQ69G5FF1', on_duplicate => 'skip')$$),
    test.refused($$SELECT kanthorq_publish_many('publish', '{refused}', '{""}')$$);
SELECT test.refused($$INSERT INTO kanthorq_stream_publish (subject, body)
    VALUES ('refused', '')$$);
-- Nobody does neither.
SET ROLE regress_kanthorq_nobody;
SELECT kanthorq_publish('publish', 'refused', '');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused($$SELECT kanthorq_publish_many('publish', '{}', '{}')$$),
    test.refused($$SELECT kanthorq_events('publish')$$);
RESET ROLE;
-- One column of the five is not enough.
REVOKE INSERT (metadata) ON kanthorq_stream_publish FROM regress_kanthorq_publisher;
SET ROLE regress_kanthorq_publisher;
SELECT test.refused($$SELECT kanthorq_publish('publish', 'refused', '')$$);
RESET ROLE;
-- USAGE on the schema is needed too.
BEGIN;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SET ROLE regress_kanthorq_table_publisher;
SELECT public.kanthorq_publish('publish', 'refused', '');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- The grant is looked at when it is used, not when the statement was prepared or the table first met.
SET ROLE regress_kanthorq_table_publisher;
PREPARE publish AS SELECT kanthorq_publish('publish', 'granted.prepared',
    '') IS NOT NULL AS published;
EXECUTE publish;
RESET ROLE;
REVOKE INSERT ON kanthorq_stream_publish FROM regress_kanthorq_table_publisher;
SET ROLE regress_kanthorq_table_publisher;
EXECUTE publish;
\echo :LAST_ERROR_SQLSTATE
DEALLOCATE publish;
RESET ROLE;
SELECT count(*) FROM kanthorq_events('publish', 'refused');

SELECT kanthorq_stream_drop('publish', confirm => 'publish');
DROP ROLE regress_kanthorq_publisher, regress_kanthorq_table_publisher, regress_kanthorq_reader,
    regress_kanthorq_nobody;
