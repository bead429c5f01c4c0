-- CALL kanthorq_trim(): kanthorq_stream_trim() in batches, each of them a transaction.

CREATE ROLE regress_kanthorq_trim;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_trim;
SET ROLE regress_kanthorq_trim;

SELECT name FROM kanthorq_stream_create('trim');
SELECT name FROM kanthorq_consumer_create('trim', 'trim', includes => '{event.*}');
SELECT test.publish('trim', '123456789');
CREATE FUNCTION pg_temp.tails() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(right(id, 1), '' ORDER BY id COLLATE "C") FROM kanthorq_stream_trim
$$;

-- What may be asked for.
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim_');
CALL kanthorq_trim('trim', '5', confirm => 'trim');
CALL kanthorq_trim('trim', NULL, confirm => 'trim');
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim', batch_size => 0);
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim', batch_size => NULL);
CALL kanthorq_trim('nowhere', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'nowhere');
BEGIN;
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim');
ROLLBACK;
RESET ROLE;
CREATE ROLE regress_kanthorq_trim_other;
SET ROLE regress_kanthorq_trim_other;
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim');
RESET ROLE;
SET ROLE regress_kanthorq_trim;

-- A consumer that has not finished one of the events stops it, after the batches before.
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim');
SELECT lease, events FROM test.pull('trim', 4) \gset
SELECT kanthorq_ack('trim', :lease, test.ids('12'));
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim', batch_size => 1);
SELECT pg_temp.tails();
SELECT kanthorq_ack('trim', :lease);
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim', batch_size => 1);
SELECT pg_temp.tails();
-- An event that is not the consumer's is nobody's business, wherever its cursor is.
SELECT kanthorq_publish('trim', 'other', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'trim');
-- Forced.
CALL kanthorq_trim('trim', '01ARZ3NDEKTSV4RRFFQ69G5FA8', confirm => 'trim', force => true, batch_size => 2);
SELECT pg_temp.tails();
SELECT events FROM test.pull('trim');
SELECT kanthorq_stream_drop('trim', confirm => 'trim');

-- Partitions: those that are closed are dropped, and of the one that has the id some rows go.
SET TimeZone = 'UTC';
SELECT name FROM kanthorq_stream_create('trim', partition_interval => '1 day');
SELECT count(kanthorq_publish('trim', 'a', '', id => id)) FROM unnest(
    '{01DZZVN500AAAAAAAAAAAAAAA1,01DZZVN500AAAAAAAAAAAAAAA2,01E02E1J00AAAAAAAAAAAAAAA3,01E050DZ00AAAAAAAAAAAAAAA4,01E050DZ00AAAAAAAAAAAAAAA5}'::text[]) AS id;
CALL kanthorq_maintain();
SELECT right(tableoid::regclass::text, 8), string_agg(right(id, 1), '' ORDER BY id) FROM kanthorq_stream_trim GROUP BY 1 ORDER BY 1;
CALL kanthorq_trim('trim', '01E050DZ00AAAAAAAAAAAAAAA5', confirm => 'trim');
SELECT pg_temp.tails();
SELECT count(*) FROM pg_inherits WHERE inhparent = 'kanthorq_stream_trim'::regclass AND inhrelid::regclass::text ~ '__2020';
-- One that retention has retired, and that could not be dropped then, is not asked about again.
SELECT name FROM kanthorq_consumer_create('trim', 'trim', start_at => 'first');
SELECT kanthorq_publish('trim', 'a', '', id => '01E07JTDG0AAAAAAAAAAAAAAA7');
SET client_min_messages = error;
CALL kanthorq_maintain();
CREATE TABLE trim_reference (id varchar(64) COLLATE "C" REFERENCES kanthorq_stream_trim);
SELECT kanthorq_stream_retention('trim', '1 day', 'skip');
CALL kanthorq_maintain();
RESET client_min_messages;
DROP TABLE trim_reference;
SELECT kanthorq_stream_retention('trim', NULL);
SELECT name, skipped FROM kanthorq_consumers WHERE name = 'trim';
SELECT pg_temp.tails();
CALL kanthorq_trim('trim', '01F00000000000000000000000', confirm => 'trim');
SELECT pg_temp.tails();
SELECT count(*) FROM pg_inherits WHERE inhparent = 'kanthorq_stream_trim'::regclass AND inhrelid::regclass::text ~ '__2020';
SELECT kanthorq_consumer_drop('trim', 'trim');
-- One that is open is emptied row by row.
SELECT kanthorq_publish('trim', 'a', '', id => '01E050DZ00AAAAAAAAAAAAAAA6');
CALL kanthorq_trim('trim', '01F00000000000000000000000', confirm => 'trim');
SELECT pg_temp.tails();
SELECT kanthorq_stream_drop('trim', confirm => 'trim');

RESET ROLE;
DROP OWNED BY regress_kanthorq_trim;
DROP ROLE regress_kanthorq_trim, regress_kanthorq_trim_other;
