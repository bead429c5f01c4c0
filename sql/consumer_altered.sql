-- What the owner of a consumer's or stream's table does to it must not mislead workers: a table that is
-- not what it was is refused, and an index in another order is not taken for the right one.

SELECT name FROM kanthorq_stream_create('altered');
SELECT name FROM kanthorq_consumer_create('altered', 'altered');
SELECT count(kanthorq_publish('altered', 'a.' || n, '')) FROM generate_series(1, 6) AS n;

-- Indexes in another order change nothing.
CREATE INDEX altered_desc ON kanthorq_stream_altered (position DESC);
CREATE INDEX altered_id_desc ON kanthorq_stream_altered (id DESC);
CREATE INDEX altered_task_desc ON kanthorq_consumer_altered (position DESC);
SELECT cardinality(kanthorq_cancel('altered', ARRAY(SELECT id FROM kanthorq_stream_altered WHERE position IN (2, 4))));
SELECT string_agg(subject, ' ') FROM kanthorq_pull('altered', 2);
SELECT string_agg(subject, ' ') FROM kanthorq_pull('altered', 1);
SELECT newest_id = (SELECT max(id COLLATE "C") FROM kanthorq_stream_altered) AS newest
FROM kanthorq_streams WHERE name = 'altered';

-- A column of another type, one more, one that may be null, an index on an expression, another relation.
BEGIN;
ALTER TABLE kanthorq_consumer_altered ALTER state TYPE bigint USING 4702111234474983745;
SELECT count(*) FROM kanthorq_consumers WHERE name = 'altered';
SAVEPOINT s; SELECT * FROM kanthorq_pull('altered'); ROLLBACK TO s;
SELECT * FROM kanthorq_tasks('altered');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_consumer_altered ADD extra text;
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_consumer_altered ALTER attempted_error DROP NOT NULL;
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
CREATE INDEX ON kanthorq_consumer_altered (lower(subject));
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_consumer_altered ALTER finalized_at SET NOT NULL;
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_consumer_altered RENAME TO altered_elsewhere;
CREATE VIEW kanthorq_consumer_altered AS SELECT * FROM altered_elsewhere;
SELECT * FROM kanthorq_tasks('altered');
ROLLBACK;

-- What KanthorQ would not heed, since it writes rows without the executor: triggers, foreign keys in both
-- directions, checks, rules. Taken away again, all is well.
SELECT count(*) FROM kanthorq_tasks('altered', 'cancelled');
CREATE TRIGGER dead_letters AFTER INSERT OR UPDATE ON kanthorq_consumer_altered
    FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT * FROM kanthorq_pull('altered');
SELECT * FROM kanthorq_resume('altered', ARRAY[kanthorq_ulid()]);
SELECT count(*) FROM kanthorq_consumers WHERE name = 'altered';
DROP TRIGGER dead_letters ON kanthorq_consumer_altered;
SELECT count(*) FROM kanthorq_consumers WHERE name = 'altered';
BEGIN;
CREATE TABLE referring (task bigint REFERENCES kanthorq_consumer_altered (position));
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
CREATE TABLE referred (id text PRIMARY KEY);
ALTER TABLE kanthorq_consumer_altered ADD FOREIGN KEY (event_id) REFERENCES referred NOT VALID;
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
ALTER TABLE kanthorq_consumer_altered ADD CONSTRAINT few CHECK (attempt_count < 2);
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
CREATE RULE quiet AS ON UPDATE TO kanthorq_consumer_altered DO INSTEAD NOTHING;
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
SELECT count(*) FROM kanthorq_consumers WHERE name = 'altered';

-- A stream whose columns may be null, and positions that were set back.
BEGIN;
ALTER TABLE kanthorq_stream_altered ALTER subject DROP NOT NULL;
INSERT INTO kanthorq_stream_altered (subject, body) VALUES (NULL, '');
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
BEGIN;
SELECT setval('kanthorq_stream_altered__position_seq', 3);
SELECT * FROM kanthorq_pull('altered');
ROLLBACK;
SELECT setval('kanthorq_stream_altered__position_seq', 6);
BEGIN;
ALTER TABLE kanthorq_stream_altered ALTER position DROP IDENTITY;
SELECT kanthorq_consumer_create('altered_new', 'altered', start_at => 'new');
ROLLBACK;

-- A lease that a superuser wrote into: four bytes that stand for 10 to the 18 positions, and some that
-- stand for none.
BEGIN;
SELECT lease AS damaged FROM kanthorq_pull('altered', 1) \gset
UPDATE kanthorq_delivery_lease SET fresh = '\x01ffffffffffffffff0d' WHERE consumer = 'altered';
SAVEPOINT s; SELECT kanthorq_ack('altered', :damaged); ROLLBACK TO s;
UPDATE kanthorq_delivery_lease SET fresh = '\x00' WHERE consumer = 'altered';
SAVEPOINT s; SELECT running FROM kanthorq_consumers WHERE name = 'altered'; ROLLBACK TO s;
SELECT kanthorq_consumer_seek('altered', 'first', 'altered');
SELECT running FROM kanthorq_consumers WHERE name = 'altered';
ROLLBACK;

SELECT string_agg(subject, ' ') FROM kanthorq_pull('altered');
SELECT kanthorq_stream_drop('altered', 'altered');
