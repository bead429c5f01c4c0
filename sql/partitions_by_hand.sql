-- What somebody does by hand to partitions, and what anybody may try.
\set VERBOSITY terse
CREATE FUNCTION pg_temp.partitions_of(stream text) RETURNS TABLE (partition text, is_open boolean)
LANGUAGE sql AS $$
    SELECT regexp_replace(p.partition::text, '^.*__(default|by_hand)$', '\1'), p.last_position = 9223372036854775807
    FROM kanthorq_partition p
    WHERE p.stream = kanthorq_stream_table(partitions_of.stream) AND p.partition::text ~ '__(default|by_hand)$'
    ORDER BY 1
$$;
SELECT name FROM kanthorq_stream_create('by_hand', partition_interval => '1 day');
SELECT name FROM kanthorq_consumer_create('by_hand', 'by_hand');

-- A partition that is attached by hand is not read before it is listed. A pull that moved over its events would lose
-- them, so it is refused.
CREATE TABLE kanthorq_stream_by_hand__by_hand (LIKE kanthorq_stream_by_hand INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__by_hand
    FOR VALUES FROM ('01AN0000000000000000000000') TO ('01AP0000000000000000000000');
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AN0000000000000000000001', 'by.hand', 'first');
SELECT * FROM kanthorq_pull('by_hand');
SELECT name FROM kanthorq_consumers WHERE name = 'by_hand';
SELECT * FROM pg_temp.partitions_of('by_hand');
CALL kanthorq_maintain();
SELECT partition FROM pg_temp.partitions_of('by_hand');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');

-- The same after a publication, which lists it.
CREATE TABLE kanthorq_stream_by_hand__by_hand2 (LIKE kanthorq_stream_by_hand INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__by_hand2
    FOR VALUES FROM ('01AP0000000000000000000000') TO ('01AQ0000000000000000000000');
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AP0000000000000000000001', 'by.hand', 'second');
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'third', id => '01AP0000000000000000000002');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');

-- What lists it may be taken back. Then it is not listed, also for the session that saw it so.
CREATE TABLE kanthorq_stream_by_hand__by_hand3 (LIKE kanthorq_stream_by_hand INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__by_hand3
    FOR VALUES FROM ('01AT0000000000000000000000') TO ('01AV0000000000000000000000');
BEGIN;
SAVEPOINT s;
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'nobody', id => '01AT0000000000000000000001');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
ROLLBACK TO s;
COMMIT;
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AT0000000000000000000002', 'by.hand', 'fourth');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'fifth', id => '01AT0000000000000000000003');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');

-- A stream that was taken back with its savepoint, and another one of that name.
BEGIN;
SAVEPOINT s;
SELECT name FROM kanthorq_stream_create('by_hand_again', partition_interval => '1 day');
INSERT INTO kanthorq_stream_by_hand_again (subject, body) VALUES ('by.hand', 'taken back');
ROLLBACK TO s;
SELECT name FROM kanthorq_stream_create('by_hand_again', partition_interval => '1 day');
INSERT INTO kanthorq_stream_by_hand_again (subject, body) VALUES ('by.hand', 'first');
COMMIT;
SELECT kanthorq_stream_drop('by_hand_again', 'by_hand_again');

-- A column that is computed: a new partition has it, too.
SELECT name FROM kanthorq_stream_create('by_hand_column', partition_interval => '1 day');
ALTER TABLE kanthorq_stream_by_hand_column ADD COLUMN bytes integer GENERATED ALWAYS AS (length(body)) STORED;
SELECT kanthorq_publish_text('by_hand_column', 'by.hand', 'hello', id => '01AN0000000000000000000001');
CALL kanthorq_maintain();
SELECT tableoid::regclass, bytes FROM kanthorq_stream_by_hand_column;
SELECT kanthorq_stream_drop('by_hand_column', 'by_hand_column');

-- Positions that were never handed out. Nobody gets these events, but they are not taken for those of a partition that
-- is to be dropped, or that is open.
SELECT name FROM kanthorq_stream_create('by_hand_positions', partition_interval => '1 day');
INSERT INTO kanthorq_stream_by_hand_positions (id, subject, body, position) OVERRIDING SYSTEM VALUE
VALUES ('01AN0000000000000000000002', 'by.hand', '', -1), ('01BN0000000000000000000002', 'by.hand', '', 9223372036854775807);
CALL kanthorq_maintain();
SELECT first_position, last_position FROM kanthorq_partition
WHERE stream = 'kanthorq_stream_by_hand_positions'::regclass AND partition::text ~ '__201[67]' ORDER BY 1, 2;
CALL kanthorq_maintain();
SELECT position FROM kanthorq_stream_by_hand_positions ORDER BY position;
SELECT kanthorq_stream_drop('by_hand_positions', 'by_hand_positions');

-- One that has the columns in another order, so that their numbers mean something else. It is not read: a number is no
-- address. Whoever attaches it may be anybody, and a superuser maintains it.
CREATE ROLE kanthorq_by_hand;
GRANT CREATE ON SCHEMA public TO kanthorq_by_hand;
SET ROLE kanthorq_by_hand;
SELECT name FROM kanthorq_stream_create('by_hand_order', partition_interval => '1 day');
SELECT name FROM kanthorq_consumer_create('by_hand_order', 'by_hand_order');
CREATE TABLE by_hand_order (position bigint NOT NULL, txid xid8 NOT NULL, body bytea NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}', created_at bigint NOT NULL DEFAULT 1,
    subject varchar(128) COLLATE "C" NOT NULL, id varchar(64) COLLATE "C" PRIMARY KEY,
    CONSTRAINT kanthorq_id_is_sortable CHECK (kanthorq_is_event_id(id::text)),
    CONSTRAINT kanthorq_subject_is_valid CHECK (kanthorq_is_subject(subject::text)),
    CONSTRAINT kanthorq_metadata_is_object CHECK (jsonb_typeof(metadata) = 'object'));
CREATE INDEX ON by_hand_order (position);
CREATE TABLE by_hand_default (LIKE by_hand_order INCLUDING ALL);
ALTER TABLE kanthorq_stream_by_hand_order ATTACH PARTITION by_hand_order
    FOR VALUES FROM ('01AN0000000000000000000000') TO ('01AP0000000000000000000000');
DROP TABLE kanthorq_stream_by_hand_order__default;
ALTER TABLE kanthorq_stream_by_hand_order ATTACH PARTITION by_hand_default DEFAULT;
INSERT INTO kanthorq_stream_by_hand_order (id, subject, body)
VALUES ('01AN0000000000000000000001', 'by.hand', 'closed'), ('01BN0000000000000000000001', 'by.hand', 'default');
CALL kanthorq_trim('by_hand_order', '01ZZZZZZZZZZZZZZZZZZZZZZZZ', 'by_hand_order', force => true);
SELECT kanthorq_stream_retention('by_hand_order', '1 day', 'skip');
RESET ROLE;
SET client_min_messages = error;
CALL kanthorq_maintain();
RESET client_min_messages;
SELECT step, said, error FROM kanthorq_maintenance WHERE stream_name = 'by_hand_order' ORDER BY step;
SELECT convert_from(body, 'UTF8') FROM kanthorq_stream_by_hand_order ORDER BY position;
SELECT kanthorq_stream_drop('by_hand_order', 'by_hand_order');
DROP OWNED BY kanthorq_by_hand;
DROP ROLE kanthorq_by_hand;

-- Whoever can make a table can fire our trigger. Nothing is written down for a table that is no stream's: a dump would
-- have it, and the restored database would lack the rows of all.
CREATE TABLE by_hand_other (id integer) PARTITION BY LIST (id);
CREATE TABLE by_hand_other_all PARTITION OF by_hand_other DEFAULT;
CREATE TRIGGER stranger BEFORE INSERT ON by_hand_other_all
    FOR EACH ROW EXECUTE FUNCTION kanthorq_partition_closed();
INSERT INTO by_hand_other VALUES (1);
SELECT count(*) FROM kanthorq_partition WHERE stream = 'by_hand_other'::regclass;
DROP TABLE by_hand_other;

-- A stranger does not become a publisher by calling the default.
CREATE ROLE kanthorq_by_hand;
SET ROLE kanthorq_by_hand;
SELECT kanthorq_txid('by_hand');
RESET ROLE;
DROP ROLE kanthorq_by_hand;

-- The server makes the indexes that a partition lacks, and an INSERT or COPY through the stream's table takes the
-- defaults of that. Only the checks must be there.
\set attach 'ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__bare FOR VALUES FROM (''01AQ0000000000000000000000'') TO (''01AR0000000000000000000000'')'
CREATE TABLE kanthorq_stream_by_hand__bare (LIKE kanthorq_stream_by_hand);
:attach;
DROP TABLE kanthorq_stream_by_hand__bare;
CREATE TABLE kanthorq_stream_by_hand__bare (LIKE kanthorq_stream_by_hand INCLUDING CONSTRAINTS);
:attach;
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AQ0000000000000000000001', 'by.hand', 'inserted');
COPY kanthorq_stream_by_hand (id, subject, body) FROM stdin;
01AQ0000000000000000000002	by.hand	copied
\.
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'published', id => '01AQ0000000000000000000003');
SELECT test.refused($$INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AQ0000000000000000000003', 'by.hand', 'twice')$$)
    LIKE '23505 %' AS refused;
SELECT * FROM kanthorq_pull('by_hand');
CALL kanthorq_maintain();
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
-- For a statement that names the partition, its own defaults count, and it has none.
SELECT test.refused($$INSERT INTO kanthorq_stream_by_hand__bare (id, subject, body, metadata, created_at)
    VALUES ('01AQ0000000000000000000004', 'by.hand', '', '{}', 1)$$);

-- CREATE TABLE ... PARTITION OF gives it all but the triggers for statements, which maintenance adds.
CREATE TABLE kanthorq_stream_by_hand__of PARTITION OF kanthorq_stream_by_hand
    FOR VALUES FROM ('01AR0000000000000000000000') TO ('01AS0000000000000000000000');
COPY kanthorq_stream_by_hand (id, subject, body) FROM stdin;
01AR0000000000000000000001	by.hand	copied
\.
SELECT * FROM kanthorq_pull('by_hand');
CALL kanthorq_maintain();
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
DELETE FROM kanthorq_stream_by_hand__of;

-- With its columns in another order, or partitioned itself, it can't be read by position, and no pull moves over its
-- events. Everything else goes on.
CREATE TABLE kanthorq_stream_by_hand__order (LIKE kanthorq_stream_by_hand INCLUDING CONSTRAINTS);
ALTER TABLE kanthorq_stream_by_hand__order DROP subject;
ALTER TABLE kanthorq_stream_by_hand__order ADD subject varchar(128) COLLATE "C" NOT NULL,
    ADD CONSTRAINT kanthorq_subject_is_valid CHECK (kanthorq_is_subject(subject::text));
ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__order
    FOR VALUES FROM ('01AS0000000000000000000000') TO ('01AT0000000000000000000000');
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'other order', id => '01AS0000000000000000000001');
CALL kanthorq_maintain();
SELECT test.refused_in_full($$SELECT * FROM kanthorq_pull('by_hand')$$);
SELECT convert_from(body, 'UTF8') FROM kanthorq_event_get('by_hand', '01AS0000000000000000000001');
ALTER TABLE kanthorq_stream_by_hand DETACH PARTITION kanthorq_stream_by_hand__order;
DROP TABLE kanthorq_stream_by_hand__order;
CREATE TABLE kanthorq_stream_by_hand__parted PARTITION OF kanthorq_stream_by_hand
    FOR VALUES FROM ('01AS0000000000000000000000') TO ('01AT0000000000000000000000') PARTITION BY RANGE (id);
CREATE TABLE kanthorq_stream_by_hand__part PARTITION OF kanthorq_stream_by_hand__parted DEFAULT;
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'deeper', id => '01AS0000000000000000000001');
CALL kanthorq_maintain();
SELECT step, said, error FROM kanthorq_maintenance WHERE stream_name = 'by_hand' AND (said IS NOT NULL OR error IS NOT NULL);
SELECT test.refused($$SELECT * FROM kanthorq_pull('by_hand')$$);
SELECT convert_from(body, 'UTF8') FROM kanthorq_event_get('by_hand', '01AS0000000000000000000001');
DROP TABLE kanthorq_stream_by_hand__parted;
SELECT count(*) FROM kanthorq_pull('by_hand');

-- The default partition is made again after it was dropped, and after it was detached, which leaves a table of its
-- name with its events.
\set other '018f0000-0000-7000-8000-000000000001'
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'dropped', id => :'other');
DROP TABLE kanthorq_stream_by_hand__default;
SELECT test.refused_in_full(format('SELECT kanthorq_publish_text(%L, %L, %L, id => %L)', 'by_hand', 'by.hand', '', :'other'));
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'of today') <> '';
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
CALL kanthorq_maintain();
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'detached', id => :'other');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
ALTER TABLE kanthorq_stream_by_hand DETACH PARTITION kanthorq_stream_by_hand__default;
CALL kanthorq_maintain();
SELECT step, done, said, error FROM kanthorq_maintenance WHERE stream_name = 'by_hand' AND step IN ('guards', 'partitions') ORDER BY step;
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES (:'other', 'by.hand', 'after it');
SELECT tableoid::regclass, convert_from(body, 'UTF8') FROM kanthorq_stream_by_hand WHERE id = :'other';
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');
SELECT convert_from(body, 'UTF8') FROM kanthorq_stream_by_hand__default;
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = kanthorq_stream_table('by_hand') AND NOT EXISTS (
    SELECT FROM kanthorq_partition p WHERE p.partition = inhrelid);
DROP TABLE kanthorq_stream_by_hand__default;
SELECT kanthorq_stream_drop('by_hand', 'by_hand');
