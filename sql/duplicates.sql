-- Publishing the same id again: an error, or nothing; never a second event. On both paths of
-- publishing: the stream duplicates_trigger has a trigger, so that its events go through an INSERT.

\set SHOW_CONTEXT never
SELECT name FROM kanthorq_stream_create('duplicates_plain');
SELECT name FROM kanthorq_stream_create('duplicates_trigger');
CREATE FUNCTION duplicates_pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER pass BEFORE INSERT ON kanthorq_stream_duplicates_trigger FOR EACH ROW
    EXECUTE FUNCTION duplicates_pass();

SELECT name, kanthorq_publish(name, 'first', '\x01', '{"n": 1}', '01ARZ3NDEKTSV4RRFFQ69G5FA1', 1)
FROM kanthorq_stream_registry ORDER BY name;

-- 'error' is the default: nothing of the call is stored.
SELECT kanthorq_publish('duplicates_plain', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('duplicates_trigger', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'error');
\echo :LAST_ERROR_SQLSTATE
SELECT name, test.refused(format('SELECT kanthorq_publish_many(%L, ''{new,again,new}'', ''{"","",""}'',
    ids => ''{01ARZ3NDEKTSV4RRFFQ69G5FB1,01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FB2}'')', name))
FROM kanthorq_stream_registry ORDER BY name;
-- An id that comes twice in one batch is a duplicate too.
SELECT name, test.refused(format('SELECT kanthorq_publish_many(%L, ''{new,new}'', ''{"",""}'',
    ids => ''{01ARZ3NDEKTSV4RRFFQ69G5FB1,01ARZ3NDEKTSV4RRFFQ69G5FB1}'')', name))
FROM kanthorq_stream_registry ORDER BY name;
-- And one that the transaction itself published.
BEGIN;
SELECT kanthorq_publish('duplicates_plain', 'new', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FB1');
SELECT kanthorq_publish('duplicates_plain', 'new', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FB1');
ROLLBACK;
SELECT name, id, subject, body FROM kanthorq_stream_registry, kanthorq_events(name) ORDER BY name;

-- 'skip' leaves the stored event as it is, and returns the id.
SELECT name, kanthorq_publish(name, 'again', '\x02', '{"n": 2}', '01ARZ3NDEKTSV4RRFFQ69G5FA1', 2,
    'skip'),
    kanthorq_publish_text(name, 'again', 'x', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
        on_duplicate => 'skip') AS as_text,
    kanthorq_publish_json(name, 'again', '1', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
        on_duplicate => 'skip') AS as_json
FROM kanthorq_stream_registry ORDER BY name;
SELECT name, e.* FROM kanthorq_stream_registry, kanthorq_events(name) AS e ORDER BY name;
-- A new id is stored as usual, given or not.
SELECT name, kanthorq_publish(name, 'skip.new', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FC1',
    on_duplicate => 'skip'),
    kanthorq_is_ulid(kanthorq_publish(name, 'skip.new', '', on_duplicate => 'skip'))
FROM kanthorq_stream_registry ORDER BY name;
-- In a batch the new ones are stored and the others are not, also if they are in the batch twice:
-- the first one stays.
SELECT name, kanthorq_publish_many(name, '{again,batch.1,again,batch.2,batch.3}',
    '{"\\x02","\\x01","\\x02","\\x02","\\x03"}',
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FD1,01ARZ3NDEKTSV4RRFFQ69G5FD1,01ARZ3NDEKTSV4RRFFQ69G5FD2,01ARZ3NDEKTSV4RRFFQ69G5FD3}',
    on_duplicate => 'skip')
FROM kanthorq_stream_registry ORDER BY name;
SELECT name, id, subject, body FROM kanthorq_stream_registry, kanthorq_events(name, 'batch.*')
ORDER BY name, id COLLATE "C";
SELECT name, count(*) FROM kanthorq_stream_registry, kanthorq_events(name, 'again') GROUP BY name;
-- Positions increase, as elsewhere, and txid is the transaction's.
SELECT bool_and(position > before) AS increasing, count(DISTINCT txid) AS txids
FROM (SELECT position, txid, lag(position) OVER (ORDER BY id) AS before
    FROM kanthorq_stream_duplicates_plain
      WHERE subject LIKE 'batch.%') AS pair;
-- 2,500 events of which every second one is there.
CREATE TEMPORARY TABLE many AS SELECT n,
    kanthorq_ulid('2020-01-01'::timestamptz + n * interval '1 s') AS id
    FROM generate_series(1, 2500) AS n;
SELECT name, cardinality(kanthorq_publish_many(name, array_agg('half'::text), array_agg(''::bytea),
    ids => array_agg(id)))
FROM kanthorq_stream_registry, many WHERE n % 2 = 0 GROUP BY name ORDER BY name;
SELECT name, kanthorq_publish_many(name, array_agg('whole'::text), array_agg(''::bytea),
    ids => array_agg(id ORDER BY n), on_duplicate => 'skip')
    = array_agg(id ORDER BY n) AS ids_returned
FROM kanthorq_stream_registry, many GROUP BY name ORDER BY name;
SELECT name, subject, count(*) FROM kanthorq_stream_registry, kanthorq_events(name, size => 10000)
WHERE subject IN ('half', 'whole') GROUP BY name, subject ORDER BY name, subject;
SET enable_seqscan = off;
SELECT count(*) FROM many, kanthorq_event_get('duplicates_plain', id);
SELECT count(*) FROM kanthorq_events_by_subject('duplicates_plain', 'whole', size => 10000);
RESET enable_seqscan;

-- What is wrong with an event is an error, duplicate or not.
SELECT test.refused($$SELECT kanthorq_publish('duplicates_plain', 'again.', '',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA1', on_duplicate => 'skip')$$);
SELECT test.refused($$SELECT kanthorq_publish_many('duplicates_plain', '{new,new}', '{"",""}',
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FE1,x}', on_duplicate => 'skip')$$);
SELECT test.refused(format('SELECT kanthorq_publish(''duplicates_plain'', ''new'', '''', on_duplicate => %L)', value))
FROM unnest(ARRAY['', 'Skip', 'ERROR', 'ignore', 'skip ', NULL]) AS value;
-- So is what another unique index of the owner refuses.
SELECT kanthorq_event_remove('duplicates_plain', array_agg(id::text)) > 0 AS removed
FROM kanthorq_stream_duplicates_plain WHERE subject <> 'first';
SELECT format('CREATE UNIQUE INDEX duplicates_subject ON %s (subject)', tableoid::regclass)
FROM kanthorq_stream_duplicates_plain \gexec
SELECT test.refused($$SELECT kanthorq_publish('duplicates_plain', 'first', '',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FB1', on_duplicate => 'skip')$$);
SELECT kanthorq_publish('duplicates_plain', 'first', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
SELECT count(*) FROM kanthorq_events('duplicates_plain');
DROP INDEX duplicates_subject;

-- An event that was removed, or whose publishing was rolled back, is no duplicate.
SELECT kanthorq_event_remove('duplicates_plain', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');
BEGIN;
SELECT kanthorq_publish('duplicates_plain', 'undone', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
SAVEPOINT inside;
SELECT kanthorq_publish('duplicates_plain', 'undone', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA2',
    on_duplicate => 'skip');
ROLLBACK TO inside;
SELECT kanthorq_publish('duplicates_plain', 'undone', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA2',
    on_duplicate => 'skip');
SELECT count(*) FROM kanthorq_events('duplicates_plain');
ROLLBACK;
SELECT kanthorq_publish('duplicates_plain', 'last', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
SELECT id, subject FROM kanthorq_events('duplicates_plain');

-- In the other isolation levels, alone, it is the same.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM kanthorq_events('duplicates_plain');
SELECT kanthorq_publish('duplicates_plain', 'isolated', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FF1',
    on_duplicate => 'skip');
SELECT kanthorq_publish('duplicates_plain', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FF1',
    on_duplicate => 'skip');
SELECT kanthorq_publish('duplicates_plain', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT kanthorq_publish_many('duplicates_plain', '{again,isolated}', '{"",""}',
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FF1,01ARZ3NDEKTSV4RRFFQ69G5FF2}', on_duplicate => 'skip');
COMMIT;
-- Skipping in SERIALIZABLE reads the event, if the server's own ON CONFLICT reads its row. Minor
-- versions differ there.
CREATE TABLE duplicates_reference (id text PRIMARY KEY);
INSERT INTO duplicates_reference VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FF1');
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO duplicates_reference VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FF1') ON CONFLICT DO NOTHING;
SELECT kanthorq_publish('duplicates_plain', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FF1',
    on_duplicate => 'skip');
SELECT count(*) FILTER (WHERE relation::regclass::text ~ '^kanthorq_stream_duplicates_plain(__default)?$')
    = count(*) FILTER (WHERE relation = 'duplicates_reference'::regclass) AS same
FROM pg_locks WHERE mode = 'SIReadLock' AND pid = pg_backend_pid();
COMMIT;
DROP TABLE duplicates_reference;
SELECT id, subject FROM kanthorq_events('duplicates_plain');

-- Skipping needs INSERT alone on a plain stream. Through an INSERT, the server's ON CONFLICT wants
-- SELECT on the id as well.
CREATE ROLE regress_kanthorq_publisher;
GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_duplicates_plain,
    kanthorq_stream_duplicates_trigger
TO regress_kanthorq_publisher;
SET ROLE regress_kanthorq_publisher;
SELECT kanthorq_publish('duplicates_plain', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
SELECT kanthorq_publish('duplicates_trigger', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT (id) ON kanthorq_stream_duplicates_trigger TO regress_kanthorq_publisher;
SET ROLE regress_kanthorq_publisher;
SELECT kanthorq_publish('duplicates_trigger', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1',
    on_duplicate => 'skip');
RESET ROLE;
SELECT name, count(*) FROM kanthorq_stream_registry, kanthorq_events(name, 'again') GROUP BY name;

SELECT count(kanthorq_stream_drop(name, confirm => name)) FROM kanthorq_stream_registry;
DROP FUNCTION duplicates_pass();
DROP ROLE regress_kanthorq_publisher;
