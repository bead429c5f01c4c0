-- The rules are the table's: plain INSERT and COPY obey them, and nothing changes or removes events.

SELECT name FROM kanthorq_stream_create('insert');

-- SQLSTATE, message and constraint of a statement that is refused.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    violated text;
BEGIN
    EXECUTE statement;
    RETURN 'not refused';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
    RETURN concat_ws(' ', sqlstate, coalesce(nullif(violated, ''), sqlerrm));
END $$;

-- The documents' five columns, in INSERT and in COPY.
INSERT INTO kanthorq_stream_insert (id, subject, body, metadata, created_at) VALUES
    ('01ARZ3NDEKTSV4RRFFQ69G5FA1', 'insert.1', '\x01', '{"k": 1}', 1),
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f', '-1.2', '', '{}', -1),
    ('event_01arz3ndektsv4rrffq69g5fav', 'A', '\x00', '{}', 0);
COPY kanthorq_stream_insert (id, subject, body, metadata, created_at) FROM STDIN;
01ARZ3NDEKTSV4RRFFQ69G5FB1	copy.1	\\x01	{"k": 1}	1
01ARZ3NDEKTSV4RRFFQ69G5FB2	copy.2	\\x	{}	2
\.
COPY kanthorq_stream_insert (subject, body) FROM STDIN (FORMAT csv);
copy.csv,\x0102
copy.csv,\x
\.
SELECT id, subject, body, metadata, created_at FROM kanthorq_events('insert')
WHERE subject <> 'copy.csv';
-- Of the other two, the position shows the order, and txid the transaction.
SELECT array_agg(subject ORDER BY position) FROM kanthorq_stream_insert;
SELECT count(DISTINCT txid) AS transactions, bool_and(txid < pg_current_xact_id()) AS earlier
FROM kanthorq_stream_insert;
BEGIN;
INSERT INTO kanthorq_stream_insert (subject, body) VALUES ('own', '');
COPY kanthorq_stream_insert (subject, body) FROM STDIN;
own	x
\.
SAVEPOINT inside;
INSERT INTO kanthorq_stream_insert (subject, body) SELECT 'own', '' FROM generate_series(1, 3);
COPY kanthorq_stream_insert (subject, body) FROM STDIN;
own	x
\.
SELECT count(*), count(*) FILTER (WHERE txid = pg_current_xact_id()) AS own
FROM kanthorq_stream_insert WHERE subject = 'own';
COMMIT;

-- Defaults.
BEGIN;
INSERT INTO kanthorq_stream_insert (subject, body) SELECT 'default', ''
    FROM generate_series(1, 100);
SELECT count(*), count(DISTINCT id) AS ids, bool_and(kanthorq_is_ulid(id)) AS ulids,
    bool_and(metadata = '{}') AS no_metadata,
    bool_and(created_at = round(extract(epoch FROM now()) * 1000)) AS transaction_time,
    bool_and(kanthorq_id_time(id) BETWEEN now() - interval '1 minute'
        AND clock_timestamp()) AS id_is_now
FROM kanthorq_stream_insert WHERE subject = 'default';
SELECT bool_and(id > before) AS increasing
FROM (SELECT id, lag(id) OVER (ORDER BY position) AS before FROM kanthorq_stream_insert
    WHERE subject = 'default') AS pair;
COMMIT;
INSERT INTO kanthorq_stream_insert (id, subject, body, metadata, created_at)
VALUES (DEFAULT, 'default.word', 'x', DEFAULT, DEFAULT) RETURNING kanthorq_is_ulid(id), metadata;

-- COPY in binary, by way of a file of the client's.
SELECT count(kanthorq_publish('insert', 'binary.' || length(body), body, '{"k": [1, {"a": null}]}'))
FROM (VALUES (''::bytea), ('\x00'), (convert_to(repeat('a', 5000), 'UTF8'))) AS bodies (body);
CREATE TEMPORARY TABLE events AS
    SELECT id, subject, body, metadata, created_at FROM kanthorq_events('insert', 'binary.*');
\copy events TO 'results/insert.bin' (FORMAT binary)
SELECT name FROM kanthorq_stream_create('insert_binary');
\copy kanthorq_stream_insert_binary (id, subject, body, metadata, created_at) FROM 'results/insert.bin' (FORMAT binary)
SELECT count(*) FROM kanthorq_stream_insert_binary AS s JOIN events AS e USING (id)
WHERE s.subject = e.subject AND s.body = e.body AND s.metadata = e.metadata
    AND s.created_at = e.created_at;
SELECT subject, length(body), metadata FROM kanthorq_events('insert_binary');
-- What breaks a rule is refused there too, and nothing of the COPY is stored.
TRUNCATE events;
INSERT INTO events VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FC1', 'right', '', '{}', 1),
    ('01ARZ3NDEKTSV4RRFFQ69G5FC2', 'wrong.', '', '{}', 1);
\copy events TO 'results/insert.bin' (FORMAT binary)
\set VERBOSITY terse
\copy kanthorq_stream_insert_binary (id, subject, body, metadata, created_at) FROM 'results/insert.bin' (FORMAT binary)
COPY kanthorq_stream_insert (id, subject, body, metadata, created_at) FROM STDIN;
01ARZ3NDEKTSV4RRFFQ69G5FC1	right	\\x	{}	1
01ARZ3NDEKTSV4RRFFQ69G5FC2	wrong.	\\x	{}	1
\.
\set VERBOSITY default
SELECT count(*) FROM kanthorq_events('insert', 'right');
SELECT count(*) FROM kanthorq_events('insert_binary', 'right');
SELECT kanthorq_stream_drop('insert_binary', confirm => 'insert_binary');

-- The checks, by their names, and the other rules of the columns.
SELECT place, value,
    pg_temp.refused(format('INSERT INTO kanthorq_stream_insert (subject, body, %I) VALUES (''refused'', '''', %L)', place, value))
FROM (VALUES ('id', ''), ('id', 'x'), ('id', '01arz3ndektsv4rrffq69g5fc1'),
    ('id', '919108f7-52d1-4320-9bac-f847db4148a8'),
    ('id', 'Event_01arz3ndektsv4rrffq69g5fav'), ('id', repeat('p', 65)), ('id', NULL),
    ('id', '01ARZ3NDEKTSV4RRFFQ69G5FA1'),
    ('metadata', '[]'), ('metadata', 'null'), ('metadata', '"{}"'), ('metadata', '1'),
    ('metadata', NULL), ('metadata', '{'),
    ('created_at', NULL), ('txid', NULL), ('position', NULL), ('position', '7')) AS wrong (place,
    value);
SELECT subject,
    pg_temp.refused(format('INSERT INTO kanthorq_stream_insert (subject, body) VALUES (%L, '''')',
    subject))
FROM (VALUES ('order.'), ('order.-'), ('order..'), (''), ('a b'), ('*'), ('a.>'), ('a_b'),
    (NULL)) AS wrong (subject);
SELECT pg_temp.refused(format('INSERT INTO kanthorq_stream_insert (subject, body) VALUES (%L, '''')', repeat('a', 129)));
SELECT pg_temp.refused('INSERT INTO kanthorq_stream_insert (subject, body) VALUES (''refused'', NULL)');
SELECT pg_temp.refused('INSERT INTO kanthorq_stream_insert (subject) VALUES (''refused'')');
-- An explicit position, which only the server gives.
INSERT INTO kanthorq_stream_insert (subject, body, position) VALUES ('refused', '', 7);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_events('insert', 'refused');

-- Nothing changes an event, and nothing removes one but the functions made for it.
UPDATE kanthorq_stream_insert SET subject = 'changed' WHERE subject = 'own';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM kanthorq_stream_insert WHERE subject = 'own';
\echo :LAST_ERROR_SQLSTATE
TRUNCATE kanthorq_stream_insert;
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE insert_parent (id varchar(64) COLLATE "C" NOT NULL);
CREATE TABLE insert_source (id varchar(64), subject varchar(128));
INSERT INTO insert_source VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA1', 'changed'),
    ('01ARZ3NDEKTSV4RRFFQ69G5FD1', 'merged');
CREATE TEMPORARY TABLE changes (number integer GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO changes (statement) VALUES
    ('UPDATE kanthorq_stream_insert SET body = body'),
    ('UPDATE kanthorq_stream_insert SET metadata = ''{}'' WHERE false'),
    ('UPDATE kanthorq_stream_insert SET position = DEFAULT'),
    ('DELETE FROM kanthorq_stream_insert'),
    ('DELETE FROM kanthorq_stream_insert WHERE false'),
    ('DELETE FROM ONLY kanthorq_stream_insert'),
    ('DELETE FROM kanthorq_stream_insert USING insert_source AS s WHERE s.id = kanthorq_stream_insert.id'),
    ('TRUNCATE insert_source, kanthorq_stream_insert'),
    ('TRUNCATE kanthorq_stream_insert RESTART IDENTITY CASCADE'),
    ('WITH gone AS (DELETE FROM kanthorq_stream_insert RETURNING id) SELECT * FROM gone'),
    ('INSERT INTO kanthorq_stream_insert (id, subject, body) VALUES (''01ARZ3NDEKTSV4RRFFQ69G5FA1'', ''changed'', '''')
ON CONFLICT (id) DO UPDATE SET subject = excluded.subject'),
    ('INSERT INTO kanthorq_stream_insert (subject, body) VALUES (''changed'', '''')
ON CONFLICT (id) DO UPDATE SET subject = excluded.subject'),
    ('MERGE INTO kanthorq_stream_insert AS t USING insert_source AS s ON t.id = s.id
WHEN MATCHED THEN UPDATE SET subject = s.subject'),
    ('MERGE INTO kanthorq_stream_insert AS t USING insert_source AS s ON t.id = s.id WHEN MATCHED THEN DELETE');
SELECT statement, pg_temp.refused(statement) FROM changes ORDER BY number;
-- Not in a replication role either: logical replication must not change a stream by a stray statement.
SET session_replication_role = replica;
SELECT number, pg_temp.refused(statement) FROM changes ORDER BY number;
RESET session_replication_role;
-- Not by way of a parent table.
ALTER TABLE kanthorq_stream_insert INHERIT insert_parent;
SELECT pg_temp.refused(statement)
FROM unnest(ARRAY['DELETE FROM insert_parent', 'UPDATE insert_parent SET id = id',
    'TRUNCATE insert_parent']) AS statement;
ALTER TABLE kanthorq_stream_insert NO INHERIT insert_parent;
-- Not by a cascading foreign key.
CREATE TABLE insert_topic (subject varchar(128) COLLATE "C" PRIMARY KEY);
INSERT INTO insert_topic SELECT DISTINCT subject FROM kanthorq_stream_insert;
ALTER TABLE kanthorq_stream_insert ADD FOREIGN KEY (subject) REFERENCES insert_topic
    ON DELETE CASCADE ON UPDATE CASCADE;
SELECT pg_temp.refused(statement)
FROM unnest(ARRAY['DELETE FROM insert_topic',
    'UPDATE insert_topic SET subject = ''z'' WHERE subject = ''A''']) AS statement;
ALTER TABLE kanthorq_stream_insert DROP CONSTRAINT kanthorq_stream_insert_subject_fkey;
DROP TABLE insert_topic;
-- Everything is as it was.
SELECT subject, count(*) FROM kanthorq_stream_insert GROUP BY subject ORDER BY subject;

-- What changes nothing is allowed: ON CONFLICT DO NOTHING, and a MERGE that inserts only.
INSERT INTO kanthorq_stream_insert (id, subject, body) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA1',
    'merged', ''), ('01ARZ3NDEKTSV4RRFFQ69G5FD2', 'merged', '')
ON CONFLICT DO NOTHING;
MERGE INTO kanthorq_stream_insert AS t USING insert_source AS s ON t.id = s.id
WHEN NOT MATCHED THEN INSERT (id, subject, body) VALUES (s.id, s.subject, '')
WHEN MATCHED THEN DO NOTHING;
SELECT id, subject FROM kanthorq_events('insert', 'merged');

-- The trigger functions are for these triggers only.
SELECT pg_temp.refused('SELECT kanthorq_stream_append_only()');
SELECT pg_temp.refused('SELECT kanthorq_stream_writer()');
CREATE TABLE insert_other (id integer);
CREATE TRIGGER writer AFTER INSERT ON insert_other FOR EACH STATEMENT EXECUTE FUNCTION kanthorq_stream_writer();
SELECT pg_temp.refused('INSERT INTO insert_other VALUES (1)');
DROP TABLE insert_other;

DROP TABLE insert_parent, insert_source;
SELECT kanthorq_stream_drop('insert', confirm => 'insert');
