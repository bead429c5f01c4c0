-- Publishing writes straight into the table if it is plain, and through an INSERT if the owner
-- put something on it that a direct insertion would not heed. Both write the same rows.

\set SHOW_CONTEXT never

-- Which way publishing takes: an error that is raised inside an INSERT says so in its context.
CREATE FUNCTION pg_temp.path(stream text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    context text;
BEGIN
    PERFORM kanthorq_publish(stream, 'path', '', id => '7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
    PERFORM kanthorq_publish(stream, 'path', '', id => '7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
    RETURN 'no error';
EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
    RETURN CASE WHEN context LIKE '%INSERT INTO public.kanthorq\_stream\_%' THEN 'INSERT' ELSE
        'direct' END;
END $$;

-- Streams that carry one thing each.
SELECT name FROM kanthorq_stream_create('paths_plain');
SELECT name
FROM unnest(ARRAY['before_row', 'after_row', 'before_statement', 'after_statement', 'transition',
    'check', 'column',
    'generated', 'expression', 'partial', 'deferrable', 'exclusion', 'foreign_key', 'rule', 'child',
    'parent',
    'default', 'covering', 'unique', 'disabled', 'update_trigger', 'referenced'])
        WITH ORDINALITY AS kinds (kind, place),
    kanthorq_stream_create('paths_' || kind)
ORDER BY place;
CREATE TABLE paths_log (stream text, what text, subject text);
CREATE FUNCTION paths_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paths_log VALUES (TG_TABLE_NAME, TG_WHEN || ' row', NEW.subject);
    RETURN NEW;
END $$;
CREATE FUNCTION paths_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paths_log VALUES (TG_TABLE_NAME, TG_WHEN || ' statement');
    RETURN NULL;
END $$;
CREATE FUNCTION paths_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paths_log SELECT TG_TABLE_NAME, 'transition', subject FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_paths_before_row FOR EACH ROW
    EXECUTE FUNCTION paths_row();
CREATE TRIGGER log AFTER INSERT ON kanthorq_stream_paths_after_row FOR EACH ROW
    EXECUTE FUNCTION paths_row();
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_paths_before_statement
    EXECUTE FUNCTION paths_statement();
CREATE TRIGGER log AFTER INSERT ON kanthorq_stream_paths_after_statement
    EXECUTE FUNCTION paths_statement();
CREATE TRIGGER log AFTER INSERT ON kanthorq_stream_paths_transition REFERENCING NEW TABLE AS added
    EXECUTE FUNCTION paths_transition();
ALTER TABLE kanthorq_stream_paths_check ADD CONSTRAINT paths_check CHECK (subject <> 'refused');
ALTER TABLE kanthorq_stream_paths_column ADD extra integer NOT NULL DEFAULT 7;
ALTER TABLE kanthorq_stream_paths_generated ADD size integer GENERATED
    ALWAYS AS (octet_length(body)) STORED;
CREATE INDEX ON kanthorq_stream_paths_expression (lower(subject));
CREATE INDEX paths_partial ON kanthorq_stream_paths_partial (subject) WHERE subject LIKE 'many.%';
ALTER TABLE kanthorq_stream_paths_deferrable ADD CONSTRAINT paths_deferrable
    UNIQUE (subject, created_at) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE kanthorq_stream_paths_exclusion ADD CONSTRAINT paths_exclusion EXCLUDE USING btree (id
    WITH =, subject WITH =);
CREATE TABLE paths_subject (subject varchar(128) COLLATE "C" PRIMARY KEY);
INSERT INTO paths_subject VALUES ('order.created'), ('-1.x'), ('path'), ('many.1'), ('many.2'),
    ('many.3');
ALTER TABLE kanthorq_stream_paths_foreign_key ADD FOREIGN KEY (subject) REFERENCES paths_subject;
CREATE RULE log AS ON INSERT TO kanthorq_stream_paths_rule DO ALSO INSERT INTO paths_log
    VALUES ('rule', 'rule', new.subject);
CREATE TABLE paths_inherited (id varchar(64) COLLATE "C" NOT NULL);
ALTER TABLE kanthorq_stream_paths_child INHERIT paths_inherited;
CREATE TABLE paths_inheriting () INHERITS (kanthorq_stream_paths_parent);
ALTER TABLE kanthorq_stream_paths_default ALTER metadata SET DEFAULT '{"default": true}';
-- Of these, the server's INSERT does nothing that a direct insertion would not.
CREATE INDEX ON kanthorq_stream_paths_covering (created_at DESC) INCLUDE (id);
CREATE UNIQUE INDEX ON kanthorq_stream_paths_unique (subject, id);
CREATE TRIGGER log AFTER INSERT ON kanthorq_stream_paths_disabled FOR EACH ROW
    EXECUTE FUNCTION paths_row();
ALTER TABLE kanthorq_stream_paths_disabled DISABLE TRIGGER log;
CREATE TRIGGER log BEFORE UPDATE ON kanthorq_stream_paths_update_trigger FOR EACH ROW
    EXECUTE FUNCTION paths_row();
CREATE TABLE paths_referencing (id varchar(64) COLLATE "C" REFERENCES
    kanthorq_stream_paths_referenced);

-- The same events, one by one and in a batch, into each of them.
CREATE TABLE paths_input AS SELECT * FROM (VALUES
    (1, '01ARZ3NDEKTSV4RRFFQ69G5FA1', 'order.created', '\x00ff'::bytea,
        '{"k": [1, {"a": null}]}'::jsonb, 42::bigint),
    (2, '017f22e2-79b0-7cc3-98c4-dc0c0c07398f', '-1.x', '', NULL, NULL),
    (3, 'event_01arz3ndektsv4rrffq69g5fa1', 'order.created', convert_to(repeat('abc', 1000),
        'UTF8'), '{}', -5),
    (4, '01ARZ3NDEKTSV4RRFFQ69G5FB1', 'many.1', convert_to(repeat('x', 100000), 'UTF8'), '{"n": 1}',
        NULL),
    (5, '01ARZ3NDEKTSV4RRFFQ69G5FB2', 'many.2', '\x01', NULL, NULL),
    (6, '00000000000000000000000000', 'many.3', '', '{}', 3)) AS input (place, id, subject, body,
    metadata, created_at);
CREATE TABLE paths_path AS SELECT name, pg_temp.path(name) FROM kanthorq_stream_registry;
SELECT i.place, count(*), bool_and(kanthorq_publish(s.name, i.subject, i.body, i.metadata, i.id,
    i.created_at) = i.id) AS returned
FROM paths_input AS i, kanthorq_stream_registry AS s WHERE i.place <= 3 GROUP BY i.place
    ORDER BY i.place;
SELECT count(*), bool_and(kanthorq_publish_many(s.name, subjects, bodies, metadata, ids,
    i.created_at) = ids) AS returned
FROM kanthorq_stream_registry AS s,
    (SELECT array_agg(subject ORDER BY place) AS subjects, array_agg(body ORDER BY place) AS bodies,
         array_agg(metadata ORDER BY place) AS metadata, array_agg(id ORDER BY place) AS ids,
         array_agg(created_at ORDER BY place) AS created_at FROM paths_input WHERE place > 3) AS i;

-- What is stored is what was given, and the same everywhere; positions follow the order of publishing
-- and txid is the transaction's.
SELECT id, subject, md5(body), metadata, created_at FROM kanthorq_events('paths_plain');
CREATE FUNCTION pg_temp.compared(stream text, OUT events bigint, OUT differ bigint,
    OUT in_order boolean, OUT txids bigint)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*), count(DISTINCT txid), bool_and(position > before)
        FROM (SELECT txid, position, lag(position) OVER (ORDER BY place) AS before
              FROM %s AS s JOIN paths_input AS i ON i.id = s.id) AS pair', kanthorq_stream_table(stream))
        INTO events, txids, in_order;
    EXECUTE format('SELECT count(*) FROM (SELECT id, subject, body, metadata, created_at FROM %s
        EXCEPT SELECT id, subject, body, metadata, created_at FROM kanthorq_stream_paths_plain) AS d',
        kanthorq_stream_table(stream)) INTO differ;
END $$;
SELECT replace(name, 'paths_', '') AS kind, path, compared.* FROM kanthorq_stream_registry
JOIN paths_path USING (name),
    pg_temp.compared(name) ORDER BY path COLLATE "C", name;

-- The owner's triggers and rules have run once for each event, or each call, and saw it.
SELECT replace(stream, 'kanthorq_stream_paths_', '') AS kind, what, count(*),
    array_agg(subject ORDER BY subject COLLATE "C") FILTER (WHERE subject IS NOT NULL) AS subjects
FROM paths_log GROUP BY stream, what ORDER BY stream COLLATE "C";
-- Columns and indexes of the owner are filled.
SELECT DISTINCT extra FROM kanthorq_stream_paths_column;
SELECT count(*), bool_and(size = length(body)) FROM kanthorq_stream_paths_generated;
SET enable_seqscan = off;
SELECT count(*) FROM kanthorq_stream_paths_expression WHERE lower(subject) = 'order.created';
SELECT count(*) FROM kanthorq_stream_paths_partial WHERE subject LIKE 'many.%';
SELECT count(*) FROM kanthorq_stream_paths_covering WHERE created_at < 100;
SELECT count(*) FROM kanthorq_stream_paths_unique WHERE subject = 'order.created';
RESET enable_seqscan;

-- The owner's rules refuse events.
SELECT test.refused($$SELECT kanthorq_publish('paths_check', 'refused', '')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('paths_check', '{a,refused,b}',
    '{"","",""}')$$);
SELECT test.refused($$SELECT kanthorq_publish('paths_foreign_key', 'other', '')$$);
SELECT count(*) FROM kanthorq_events('paths_check');
-- A deferred constraint speaks at the end of the transaction, when the second one may be gone.
BEGIN;
SELECT kanthorq_publish('paths_deferrable', 'once', '', created_at => 1) IS NOT NULL AS published;
SELECT kanthorq_publish('paths_deferrable', 'once', '', created_at => 1) AS id \gset
SELECT kanthorq_event_remove('paths_deferrable', ARRAY[:'id']);
COMMIT;
BEGIN;
SELECT cardinality(kanthorq_publish_many('paths_deferrable', '{once,twice,twice}', '{"","",""}',
    created_at => '{2,2,2}'));
COMMIT;
\echo :LAST_ERROR_SQLSTATE
SELECT subject, created_at FROM kanthorq_events('paths_deferrable') WHERE subject IN ('once', 'twice');

-- A trigger that changes the event or leaves it out decides what is stored; the table's rules hold for
-- what it made.
CREATE FUNCTION paths_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.subject = 'left.out' THEN RETURN NULL; END IF;
    IF NEW.subject = 'broken' THEN NEW.subject := 'bro ken'; END IF;
    NEW.metadata := NEW.metadata || '{"seen": true}';
    RETURN NEW;
END $$;
CREATE TRIGGER change BEFORE INSERT ON kanthorq_stream_paths_before_row FOR EACH ROW
    EXECUTE FUNCTION paths_change();
SELECT cardinality(kanthorq_publish_many('paths_before_row', '{left.out,left.in}', '{"",""}'));
SELECT subject, metadata FROM kanthorq_events('paths_before_row', 'left.*');
SELECT test.refused($$SELECT kanthorq_publish('paths_before_row', 'broken', '')$$) LIKE
    '23514 %"kanthorq_subject_is_valid"' AS refused;

-- What is put on a table in the middle of a session is heeded by the next publish, and taken off again
-- it is out of the way.
SELECT pg_temp.path('paths_plain');
CREATE TRIGGER log AFTER INSERT ON kanthorq_stream_paths_plain FOR EACH ROW
    EXECUTE FUNCTION paths_row();
SELECT pg_temp.path('paths_plain');
SELECT kanthorq_publish('paths_plain', 'changed', '') IS NOT NULL AS published;
SELECT count(*) FROM paths_log WHERE subject = 'changed';
DROP TRIGGER log ON kanthorq_stream_paths_plain;
SELECT pg_temp.path('paths_plain');
SELECT kanthorq_publish('paths_plain', 'changed', '') IS NOT NULL AS published;
SELECT count(*) FROM paths_log WHERE subject = 'changed';
BEGIN;
CREATE TRIGGER log AFTER INSERT ON kanthorq_stream_paths_plain FOR EACH ROW
    EXECUTE FUNCTION paths_row();
SELECT pg_temp.path('paths_plain');
ROLLBACK;
SELECT pg_temp.path('paths_plain');
SELECT pg_temp.path('paths_disabled');
ALTER TABLE kanthorq_stream_paths_plain DROP CONSTRAINT kanthorq_subject_is_valid;
SELECT pg_temp.path('paths_plain'), test.refused($$SELECT kanthorq_publish('paths_plain', 'a.',
    '')$$);
ALTER TABLE kanthorq_stream_paths_plain ADD CONSTRAINT kanthorq_subject_is_valid CHECK
    (kanthorq_is_subject(subject));
SELECT pg_temp.path('paths_plain');
ALTER TABLE kanthorq_stream_paths_plain ALTER txid SET DEFAULT '1';
SELECT pg_temp.path('paths_plain');
ALTER TABLE kanthorq_stream_paths_plain ALTER txid SET DEFAULT kanthorq_txid('paths_plain');
SELECT pg_temp.path('paths_plain');
CREATE INDEX paths_upper ON kanthorq_stream_paths_plain (upper(subject));
SELECT pg_temp.path('paths_plain');
DROP INDEX paths_upper;
SELECT pg_temp.path('paths_plain');

-- Row security: the owner is above it, others are not.
CREATE ROLE regress_kanthorq_publisher;
GRANT INSERT (id, subject, body, metadata, created_at), SELECT ON kanthorq_stream_paths_plain
    TO regress_kanthorq_publisher;
ALTER TABLE kanthorq_stream_paths_plain ENABLE ROW LEVEL SECURITY;
CREATE POLICY inserting ON kanthorq_stream_paths_plain FOR INSERT
    WITH CHECK (subject LIKE 'allowed.%');
CREATE POLICY reading ON kanthorq_stream_paths_plain FOR SELECT USING (subject LIKE '%.seen');
SELECT pg_temp.path('paths_plain');
SELECT kanthorq_publish('paths_plain', 'owner', '') IS NOT NULL AS published;
SET ROLE regress_kanthorq_publisher;
SELECT kanthorq_publish('paths_plain', 'allowed.seen', '') IS NOT NULL AS published;
SELECT kanthorq_publish('paths_plain', 'allowed.unseen', '') IS NOT NULL AS published;
SELECT cardinality(kanthorq_publish_many('paths_plain', '{allowed.seen,allowed.seen}', '{"",""}'));
SELECT kanthorq_publish('paths_plain', 'forbidden.seen', '');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused($$SELECT kanthorq_publish_many('paths_plain',
    '{allowed.seen,forbidden.seen}', '{"",""}')$$);
SELECT test.refused($$INSERT INTO kanthorq_stream_paths_plain (subject, body)
    VALUES ('forbidden.seen', '')$$);
SELECT subject FROM kanthorq_events('paths_plain');
SET row_security = off;
SELECT test.refused($$SELECT kanthorq_publish('paths_plain', 'allowed.seen', '')$$),
    test.refused($$SELECT kanthorq_events('paths_plain')$$);
RESET row_security;
RESET ROLE;
SELECT subject, count(*) FROM kanthorq_stream_paths_plain WHERE subject ~ 'owner|allowed|forbidden'
GROUP BY subject ORDER BY subject;
ALTER TABLE kanthorq_stream_paths_plain DISABLE ROW LEVEL SECURITY;
SET ROLE regress_kanthorq_publisher;
SELECT kanthorq_publish('paths_plain', 'forbidden.seen', '') IS NOT NULL AS published;
RESET ROLE;

-- Privileges are checked on both paths; an INSERT that the owner's trigger makes runs as the publisher.
GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_paths_after_row
    TO regress_kanthorq_publisher;
SET ROLE regress_kanthorq_publisher;
SELECT test.refused($$SELECT kanthorq_publish('paths_before_row', 'a', '')$$);
SELECT test.refused($$SELECT kanthorq_publish('paths_after_row', 'a', '')$$);
RESET ROLE;
GRANT INSERT ON paths_log TO regress_kanthorq_publisher;
SET ROLE regress_kanthorq_publisher;
SELECT kanthorq_publish('paths_after_row', 'a', '') IS NOT NULL AS published;
RESET ROLE;

DROP TABLE paths_inheriting, paths_referencing;
SELECT count(kanthorq_stream_drop(name, confirm => name)) FROM kanthorq_stream_registry;
DROP TABLE paths_log, paths_input, paths_path, paths_inherited, paths_subject;
DROP FUNCTION paths_row, paths_statement, paths_transition, paths_change;
DROP ROLE regress_kanthorq_publisher;
