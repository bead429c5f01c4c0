-- CALL kanthorq_maintain(): partitions are made, filled from the default partition, closed and dropped; what is
-- missing is put back; what can't be done is said, and stops nothing else. As a role that owns the streams of
-- this test only.

CREATE ROLE regress_kanthorq_maintain;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_maintain;
SET ROLE regress_kanthorq_maintain;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- What the last run of each step came to.
CREATE FUNCTION pg_temp.told(stream text) RETURNS TABLE (step text, done bigint, said text, error text) LANGUAGE sql AS $$
    SELECT step, done, said, error FROM kanthorq_maintenance WHERE stream_name = stream ORDER BY finished_at, step
$$;
-- The partitions with their events and positions: those of today and later are counted only, because their names
-- have the date in them.
CREATE FUNCTION pg_temp.partitions(stream text) RETURNS TABLE (partition text, positions text, events bigint, open text)
LANGUAGE plpgsql AS $$
DECLARE
    parent regclass := kanthorq_stream_table(partitions.stream);
    leaf regclass;
BEGIN
    FOR leaf IN SELECT inhrelid FROM pg_inherits WHERE inhparent = parent ORDER BY inhrelid::regclass::text COLLATE "C" LOOP
        CONTINUE WHEN leaf::text >= parent::text || '__' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
            AND leaf::text < parent::text || '__default';
        partition := substr(leaf::text, length(parent::text) + 3);
        EXECUTE format('SELECT string_agg(position::text, '' '' ORDER BY position), count(*) FROM %s', leaf)
            INTO positions, events;
        SELECT string_agg(CASE WHEN last_position = 9223372036854775807 THEN 'open'
                               ELSE first_position || ' to ' || last_position END, ', ' ORDER BY last_position)
        INTO open FROM kanthorq_partition p WHERE p.stream = parent AND p.partition = leaf;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.partitions_from_today(stream text) RETURNS text LANGUAGE sql AS $$
    SELECT count(*) || ' of which ' || count(DISTINCT p.partition) || ' open'
    FROM pg_inherits LEFT JOIN kanthorq_partition p
        ON p.stream = inhparent AND p.partition = inhrelid AND p.last_position = 9223372036854775807
    WHERE inhparent = kanthorq_stream_table($1)
        AND inhrelid::regclass::text >= inhparent::regclass || '__' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')
        AND inhrelid::regclass::text < inhparent::regclass || '__default'
$$;
CREATE FUNCTION pg_temp.publish(stream text, body text, id text DEFAULT kanthorq_ulid()) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s (id, subject, body, metadata) VALUES ($1, ''a.b'', convert_to($2, ''UTF8''), $3)',
                   kanthorq_stream_table(stream)) USING id, body, jsonb_build_object('id', id);
    RETURN id;
END $$;
-- As the stream's owner or a superuser who drops partitions by hand.
CREATE FUNCTION pg_temp.drop_ranges(stream text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    leaf regclass;
BEGIN
    FOR leaf IN SELECT inhrelid FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                WHERE inhparent = kanthorq_stream_table(stream) AND pg_get_expr(relpartbound, c.oid) <> 'DEFAULT' LOOP
        EXECUTE format('DROP TABLE %s', leaf);
    END LOOP;
END $$;

-- A new stream has all that it needs.
SELECT name FROM kanthorq_stream_create('maintain', partition_interval => '1 day');
SELECT name FROM kanthorq_consumer_create('maintain', 'maintain');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain');
SELECT pg_temp.partitions_from_today('maintain');

-- Events of which nobody has made a partition wait in the default one: of today, of days long ago, of an id of
-- another form, and of a time far away. The first three days get their partitions, newest first; the others stay.
SELECT pg_temp.drop_ranges('maintain');
SELECT count(pg_temp.publish('maintain', number::text, id))
FROM unnest(ARRAY['01ARZ3NDEKTSV4RRFFQ69G5FA1', '01ARZ3NDEKTSV4RRFFQ69G5FA2', '01BX5ZZKBKACTAV9WEVGEMMVS0',
                  '018f0000-0000-7000-8000-000000000001', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', kanthorq_ulid()])
    WITH ORDINALITY AS ids (id, number);
CREATE TEMPORARY TABLE before AS SELECT xmin::text AS writer, * FROM kanthorq_stream_maintain;
CALL kanthorq_maintain();
SELECT step, done, said, error FROM kanthorq_maintenance WHERE stream_name = 'maintain' ORDER BY step;
SELECT * FROM pg_temp.partitions('maintain');
SELECT pg_temp.partitions_from_today('maintain');
-- An event that moved is the same event, with the transaction that published it.
SELECT count(*) FROM (SELECT id, subject, body, metadata, created_at, txid, position FROM before
                      EXCEPT SELECT id, subject, body, metadata, created_at, txid, position FROM kanthorq_stream_maintain) AS changed;
SELECT string_agg(convert_from(body, 'UTF8'), ' ' ORDER BY position) FROM kanthorq_pull('maintain');
SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM kanthorq_events('maintain');
SELECT test.refused($$SELECT pg_temp.publish('maintain', '', '01ARZ3NDEKTSV4RRFFQ69G5FA2')$$);

-- Those of long ago are closed. A late event opens one again, until the next maintenance.
SELECT pg_temp.publish('maintain', 'late', '01ARZ3NDEKTSV4RRFFQ69G5FA3');
SELECT * FROM pg_temp.partitions('maintain') WHERE partition = '20160730';
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('maintain');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.partitions('maintain') WHERE partition = '20160730';

-- The owner may close one at any time.
SELECT inhrelid::regclass AS today FROM pg_inherits WHERE inhparent = kanthorq_stream_table('maintain')
    AND inhrelid::regclass::text LIKE '%\_\_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') \gset
SELECT kanthorq_partition_close('maintain', :'today');
SELECT kanthorq_partition_close('maintain', :'today');
SELECT pg_temp.partitions_from_today('maintain');
SELECT pg_temp.publish('maintain', 'today') <> '';
SELECT pg_temp.partitions_from_today('maintain');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('maintain');
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('maintain', 'kanthorq_stream_maintain__default')$$);
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('maintain', 'kanthorq_stream_maintain')$$);
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('maintain', 'pg_class')$$);
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('maintain', 0)$$);
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('maintain_none', 'pg_class')$$);
RESET ROLE;
CREATE ROLE regress_kanthorq_other;
SET ROLE regress_kanthorq_other;
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('maintain', 'kanthorq_stream_maintain__20160730')$$);
RESET ROLE;

-- What moves at once, and how many partitions there are, is limited; and another role's stream is not maintained.
SET ROLE regress_kanthorq_maintain;
SELECT count(pg_temp.publish('maintain', '', '01CX5ZZKBKACTAV9WEVGEMMVS' || n)) FROM generate_series(1, 3) AS n;
SET ROLE regress_kanthorq_other;
CALL kanthorq_maintain();
SET ROLE regress_kanthorq_maintain;
SELECT positions FROM pg_temp.partitions('maintain') WHERE partition = 'default';
SET kanthorq.max_moved_rows = 2;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
SELECT positions FROM pg_temp.partitions('maintain') WHERE partition = 'default';
RESET kanthorq.max_moved_rows;
SET kanthorq.max_partitions = 7;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
RESET kanthorq.max_partitions;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
SELECT * FROM pg_temp.partitions('maintain');
-- A foreign key or a subscriber would take the move for a removal.
CREATE TABLE maintain_reference (id varchar(64) COLLATE "C" REFERENCES kanthorq_stream_maintain ON DELETE CASCADE);
SELECT pg_temp.publish('maintain', '', '01DX5ZZKBKACTAV9WEVGEMMVS0');
INSERT INTO maintain_reference VALUES ('01DX5ZZKBKACTAV9WEVGEMMVS0');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
SELECT * FROM maintain_reference;
DROP TABLE maintain_reference;
RESET ROLE;
SET client_min_messages = error;
CREATE PUBLICATION regress_kanthorq_maintain FOR TABLE kanthorq_stream_maintain WITH (publish = 'insert, delete');
SET client_min_messages = warning;
SET ROLE regress_kanthorq_maintain;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
RESET ROLE;
DROP PUBLICATION regress_kanthorq_maintain;
SET ROLE regress_kanthorq_maintain;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';

-- What is missing is put back: guards of the stream's table and of partitions, also of one that was attached by
-- hand, and the trigger of closed partitions, to which something may have come meanwhile.
CREATE FUNCTION pg_temp.unguarded(stream text) RETURNS TABLE (partition text, triggers text) LANGUAGE sql AS $$
    SELECT tables.oid::regclass, string_agg(tgname || ' ' || tgenabled::text, ', ' ORDER BY tgname) FILTER (WHERE tgparentid = 0)
    FROM (SELECT kanthorq_stream_table(stream)::oid UNION ALL SELECT inhrelid FROM pg_inherits
          WHERE inhparent = kanthorq_stream_table(stream)) AS tables (oid) LEFT JOIN pg_trigger ON tgrelid = tables.oid
    GROUP BY tables.oid
    HAVING string_agg(tgname || ' ' || tgenabled::text, ', ' ORDER BY tgname) FILTER (WHERE tgparentid = 0)
        NOT IN ('kanthorq_append_only A, kanthorq_writer A', 'kanthorq_append_only A, kanthorq_closed A, kanthorq_writer A',
                'kanthorq_append_only A, kanthorq_append_only_row O, kanthorq_writer A') IS NOT FALSE
    ORDER BY tables.oid::regclass::text COLLATE "C"
$$;
SELECT * FROM pg_temp.unguarded('maintain');
ALTER TABLE kanthorq_stream_maintain ENABLE TRIGGER USER;
ALTER TABLE kanthorq_stream_maintain__20160730 ENABLE TRIGGER kanthorq_closed, ENABLE TRIGGER kanthorq_writer;
DROP TRIGGER kanthorq_append_only ON kanthorq_stream_maintain__default;
CREATE TABLE maintain_by_hand (LIKE kanthorq_stream_maintain INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_maintain ATTACH PARTITION maintain_by_hand
    FOR VALUES FROM ('01EX5ZZKBKACTAV9WEVGEMMVS0') TO ('01EX5ZZKBKACTAV9WEVGEMMVS9');
SELECT * FROM pg_temp.unguarded('maintain');
SELECT pg_temp.publish('maintain', 'by hand', '01EX5ZZKBKACTAV9WEVGEMMVS1');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'guards';
SELECT * FROM pg_temp.unguarded('maintain');
SELECT * FROM pg_temp.partitions('maintain');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('maintain') WHERE body = 'by hand';
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'guards';
-- And what is no partition any more is forgotten.
ALTER TABLE kanthorq_stream_maintain DETACH PARTITION maintain_by_hand;
DROP TABLE maintain_by_hand;
CALL kanthorq_maintain();
SELECT count(*) FROM kanthorq_partition p WHERE p.stream = kanthorq_stream_table('maintain')
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = p.partition);

-- A partition that was retired is dropped, unless a foreign key references the stream, or an event has come.
RESET ROLE;
UPDATE kanthorq_partition SET first_position = -1, last_position = -1
WHERE partition::regclass::text IN ('kanthorq_stream_maintain__20160730', 'kanthorq_stream_maintain__20171024');
SET ROLE regress_kanthorq_maintain;
CREATE TABLE maintain_reference (id varchar(64) COLLATE "C" REFERENCES kanthorq_stream_maintain);
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'drop';
DROP TABLE maintain_reference;
SELECT pg_temp.publish('maintain', 'late', '01ARZ3NDEKTSV4RRFFQ69G5FA4');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'drop';
SELECT * FROM pg_temp.partitions('maintain');

-- An error stops neither the other steps nor the other streams, whatever it is called; it is a warning, and
-- in the table until the step succeeds.
SELECT name FROM kanthorq_stream_create('maintain_after', partition_interval => '1 hour', id_form => 'uuidv7');
SELECT pg_temp.drop_ranges('maintain_after');
CREATE FUNCTION maintain_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not this one' USING ERRCODE = 'query_canceled';
END $$;
CREATE TRIGGER refuse BEFORE DELETE ON kanthorq_stream_maintain__default EXECUTE FUNCTION maintain_refuse();
SELECT count(pg_temp.publish('maintain', '', '01FX5ZZKBKACTAV9WEVGEMMVS' || n)) FROM generate_series(1, 2) AS n;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
SELECT step, done, said, error FROM kanthorq_maintenance WHERE stream_name = 'maintain_after';
DROP TRIGGER refuse ON kanthorq_stream_maintain__default;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('maintain') WHERE step = 'default';
-- An error may be as long as a gigabyte. Its head is enough.
CREATE FUNCTION maintain_shout() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', repeat('no ', 100000) USING HINT = repeat('yes ', 100000); END $$;
CREATE TRIGGER shout BEFORE DELETE ON kanthorq_stream_maintain__default FOR EACH ROW EXECUTE FUNCTION maintain_shout();
SELECT pg_temp.publish('maintain', '', '01GX5ZZKBKACTAV9WEVGEMMVS0');
SET client_min_messages = error;
CALL kanthorq_maintain();
SET client_min_messages = warning;
SELECT length(error) FROM pg_temp.told('maintain') WHERE step = 'default';
DROP TRIGGER shout ON kanthorq_stream_maintain__default;
-- One that deletes less than it says.
CREATE FUNCTION maintain_keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON kanthorq_stream_maintain__default FOR EACH ROW EXECUTE FUNCTION maintain_keep();
CALL kanthorq_maintain();
DROP TRIGGER keep ON kanthorq_stream_maintain__default;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.partitions('maintain');

-- It commits, so it is refused if that would commit somebody's work, and in a read-only transaction.
BEGIN;
CALL kanthorq_maintain();
ROLLBACK;
DO $$ BEGIN CALL kanthorq_maintain(); END $$;
\echo :LAST_ERROR_SQLSTATE
SET default_transaction_read_only = on;
CALL kanthorq_maintain();
RESET default_transaction_read_only;
-- In every isolation level it is the same.
SET default_transaction_isolation = 'serializable';
SELECT pg_temp.publish('maintain', '', '01HX5ZZKBKACTAV9WEVGEMMVS0');
CALL kanthorq_maintain();
SELECT step, done, error FROM pg_temp.told('maintain') WHERE step = 'default';
SHOW transaction_isolation;
SHOW lock_timeout;
RESET default_transaction_isolation;

-- What is told is gone with the stream.
SELECT kanthorq_stream_drop('maintain', 'maintain'), kanthorq_stream_drop('maintain_after', 'maintain_after');
SELECT count(*) FROM kanthorq_maintenance WHERE stream_name LIKE 'maintain%';
DROP FUNCTION maintain_refuse(), maintain_keep(), maintain_shout();
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_kanthorq_maintain;
DROP OWNED BY regress_kanthorq_maintain;
DROP ROLE regress_kanthorq_maintain, regress_kanthorq_other;
