-- How events leave: by id, by trimming, and no other way.

\set SHOW_CONTEXT never
SELECT name FROM kanthorq_stream_create('removal');

CREATE FUNCTION pg_temp.left_in(stream text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(right(id, 1), ''), 'none') FROM kanthorq_events(stream)
$$;

-- By id: as many as there were; an id that is not there, or is there twice in the list, counts once or
-- not at all.
SELECT test.publish('removal', '123456789');
SELECT kanthorq_event_remove('removal',
    '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2,01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FAZ}');
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');
-- A null list is an empty one: array_agg over no rows is null.
SELECT kanthorq_event_remove('removal', '{}'), kanthorq_event_remove('removal', NULL),
    kanthorq_event_remove('removal', array_agg(id)) FROM kanthorq_events('removal') WHERE false;
SELECT kanthorq_event_remove('removal',
    '[7:8]={01ARZ3NDEKTSV4RRFFQ69G5FA3,01ARZ3NDEKTSV4RRFFQ69G5FZ3}');
SELECT pg_temp.left_in('removal');
-- By trimming: what sorts before the id, which itself stays.
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'removal');
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA5', confirm => 'removal');
SELECT pg_temp.left_in('removal');
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA6', confirm => 'removal',
    force => true);
-- A bound in time for ULIDs: the floor of its millisecond.
SELECT kanthorq_publish('removal', 'later', '', id => '01ARZ3NDEMTSV4RRFFQ69G5FAZ');
SELECT kanthorq_stream_trim('removal', kanthorq_ulid_floor('2016-07-30 23:54:10.260+00'),
    confirm => 'removal');
SELECT subject FROM kanthorq_events('removal');
-- "Before" is byte order, over all forms of ids.
SELECT count(kanthorq_publish('removal', 'forms', '', id => id))
FROM (VALUES ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f'),
    ('01FWHE4YDGFK1SHH6W1G60EECF'), ('a_01fwhe4ydgfk1shh6w1g60eecf'),
    ('b_01fwhe4ydgfk1shh6w1g60eecf')) AS ids (id);
SELECT kanthorq_stream_trim('removal', 'b_00000000000000000000000000', confirm => 'removal');
SELECT id FROM kanthorq_events('removal');
SELECT kanthorq_stream_trim('removal', 'z_7zzzzzzzzzzzzzzzzzzzzzzzzz', confirm => 'removal');
SELECT pg_temp.left_in('removal');
-- Removed in a transaction that is rolled back, they are still there.
SELECT test.publish('removal', '1234');
BEGIN;
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');
SAVEPOINT inside;
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4', confirm => 'removal');
SELECT pg_temp.left_in('removal');
ROLLBACK TO inside;
SELECT pg_temp.left_in('removal');
ROLLBACK;
SELECT pg_temp.left_in('removal');
-- A removed id may be published again.
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');
SELECT kanthorq_publish('removal', 'again', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');

-- Trimming wants the name repeated.
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4', confirm => 'remove');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4', confirm => NULL);
\echo :LAST_ERROR_SQLSTATE
-- Forcing is no confirmation.
SELECT test.refused($$SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4', '',
    true)$$);
-- What is wrong with the other arguments.
SELECT test.refused('SELECT kanthorq_' || call) FROM (VALUES
    ('event_remove(NULL, ''{}'')'), ('event_remove(NULL, NULL)'),
    ('event_remove(''removal'', ''{NULL}'')'), ('event_remove(''removal'', ''{x}'')'),
    ('event_remove(''removal'', ''[3:4]={01ARZ3NDEKTSV4RRFFQ69G5FA1,x}'')'),
    ('event_remove(''removal'', ''{{01ARZ3NDEKTSV4RRFFQ69G5FA1}}'')'),
    ('event_remove(''removal'', ''{01arz3ndektsv4rrffq69g5fa1}'')'),
    ('event_remove(''none'', ''{}'')'), ('event_remove(''none'', NULL)'),
    ('stream_trim(NULL, ''01ARZ3NDEKTSV4RRFFQ69G5FA4'', ''removal'')'),
    ('stream_trim(''removal'', NULL, ''removal'')'),
    ('stream_trim(''removal'', ''x'', ''removal'')'),
    ('stream_trim(''removal'', ''01ARZ3NDEKTSV4RRFFQ69G5FA4'', ''removal'', NULL)'),
    ('stream_trim(''none'', ''01ARZ3NDEKTSV4RRFFQ69G5FA4'', ''none'')')) AS calls (call);
BEGIN READ ONLY;
SELECT test.refused($$SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}')$$),
    test.refused($$SELECT kanthorq_event_remove('removal', NULL)$$),
    test.refused($$SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4',
        'removal')$$);
COMMIT;
SELECT pg_temp.left_in('removal');

-- Only the owner removes: DELETE, granted, is not enough.
CREATE ROLE regress_kanthorq_deleter;
GRANT ALL ON kanthorq_stream_removal TO regress_kanthorq_deleter;
SET ROLE regress_kanthorq_deleter;
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4', confirm => 'removal');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused('DELETE FROM kanthorq_stream_removal'),
    test.refused('TRUNCATE kanthorq_stream_removal');
RESET ROLE;
ALTER TABLE kanthorq_stream_removal OWNER TO regress_kanthorq_deleter;
SET ROLE regress_kanthorq_deleter;
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');
SELECT test.refused('DELETE FROM kanthorq_stream_removal');
RESET ROLE;
ALTER TABLE kanthorq_stream_removal OWNER TO CURRENT_USER;

-- The permission to delete is the function's, for its own statement: not that of what comes after it
-- in the same transaction, nor of what comes after it failed.
BEGIN;
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA2}');
SELECT test.refused('DELETE FROM kanthorq_stream_removal');
SAVEPOINT inside;
DELETE FROM kanthorq_stream_removal;
ROLLBACK TO inside;
COMMIT;
WITH gone AS MATERIALIZED (SELECT kanthorq_event_remove('removal',
    '{01ARZ3NDEKTSV4RRFFQ69G5FA2}') AS removed)
DELETE FROM kanthorq_stream_removal USING gone WHERE removed = 1;
SELECT pg_temp.left_in('removal');
CREATE TABLE removal_log (what text);
CREATE FUNCTION removal_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.subject = 'event.4' THEN RAISE EXCEPTION 'the owner refuses'; END IF;
    INSERT INTO removal_log VALUES (TG_WHEN || ' ' || OLD.subject);
    RETURN OLD;
END $$;
CREATE TRIGGER a_refuse BEFORE DELETE ON kanthorq_stream_removal FOR EACH ROW
    EXECUTE FUNCTION removal_refuse();
CREATE TRIGGER z_refuse AFTER DELETE ON kanthorq_stream_removal FOR EACH ROW
    EXECUTE FUNCTION removal_refuse();
BEGIN;
SAVEPOINT before;
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FAZ', confirm => 'removal');
ROLLBACK TO before;
DELETE FROM kanthorq_stream_removal;
ROLLBACK TO before;
SELECT test.refused($$SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA4}')$$);
SELECT test.refused('DELETE FROM kanthorq_stream_removal');
COMMIT;
DO $$
BEGIN
    BEGIN
        PERFORM kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA4}');
    EXCEPTION WHEN raise_exception THEN
        DELETE FROM kanthorq_stream_removal;
    END;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RAISE NOTICE '%', sqlerrm;
    BEGIN
        DELETE FROM kanthorq_stream_removal;
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        RAISE NOTICE '%', sqlerrm;
    END;
END $$;
SELECT pg_temp.left_in('removal');

-- The owner's DELETE triggers run, once an event.
SELECT test.publish('removal', '156');
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA5}');
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FA4', confirm => 'removal');
SELECT what, count(*) FROM removal_log GROUP BY what ORDER BY what COLLATE "C";
DROP TRIGGER a_refuse ON kanthorq_stream_removal;
DROP TRIGGER z_refuse ON kanthorq_stream_removal;
SELECT pg_temp.left_in('removal');

-- Foreign keys are heeded.
CREATE TABLE removal_order (id varchar(64) COLLATE "C" REFERENCES kanthorq_stream_removal);
CREATE TABLE removal_note (id varchar(64) COLLATE "C" REFERENCES kanthorq_stream_removal
    ON DELETE CASCADE);
INSERT INTO removal_order VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA4');
INSERT INTO removal_note VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA4'), ('01ARZ3NDEKTSV4RRFFQ69G5FA6');
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA4}');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused('DELETE FROM kanthorq_stream_removal');
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA6}');
TABLE removal_note;
DROP TABLE removal_order, removal_note;

-- Row security, forced on the owner, hides events from removal too.
ALTER TABLE kanthorq_stream_removal OWNER TO regress_kanthorq_deleter;
ALTER TABLE kanthorq_stream_removal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY visible ON kanthorq_stream_removal USING (subject <> 'event.4') WITH CHECK (true);
SELECT test.publish('removal', '78');
SET ROLE regress_kanthorq_deleter;
SELECT kanthorq_stream_trim('removal', '01ARZ3NDEKTSV4RRFFQ69G5FAZ', confirm => 'removal');
RESET ROLE;
SELECT pg_temp.left_in('removal');
ALTER TABLE kanthorq_stream_removal DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY, OWNER
    TO CURRENT_USER;
DROP ROLE regress_kanthorq_deleter;

-- A trigger may remove from another stream while events are removed from this one, which then goes on;
-- it may not change this one otherwise.
SELECT name FROM kanthorq_stream_create('removal_copy');
SELECT test.publish('removal', '123'), test.publish('removal_copy', '1234');
CREATE FUNCTION removal_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kanthorq_event_remove('removal_copy', ARRAY[OLD.id]);
    RETURN OLD;
END $$;
CREATE TRIGGER a_cascade BEFORE DELETE ON kanthorq_stream_removal FOR EACH ROW
    EXECUTE FUNCTION removal_cascade();
SELECT kanthorq_event_remove('removal',
    '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2,01ARZ3NDEKTSV4RRFFQ69G5FA3}');
SELECT pg_temp.left_in('removal'), pg_temp.left_in('removal_copy');
-- One that fails there and is caught does not stop this one, nor leave a door open.
CREATE OR REPLACE FUNCTION removal_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM kanthorq_event_remove('removal_copy', ARRAY['x']);
    EXCEPTION WHEN invalid_parameter_value THEN NULL;
    END;
    BEGIN
        DELETE FROM kanthorq_stream_removal_copy;
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        RAISE NOTICE '%', sqlerrm;
    END;
    BEGIN
        UPDATE kanthorq_stream_removal SET subject = 'changed';
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        RAISE NOTICE '%', sqlerrm;
    END;
    RETURN OLD;
END $$;
SELECT test.publish('removal', '12');
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2}');
SELECT pg_temp.left_in('removal'), pg_temp.left_in('removal_copy');
-- Not caught, it takes this one with it.
CREATE OR REPLACE FUNCTION removal_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE current_setting('removal.statement');
    RETURN OLD;
END $$;
SELECT test.publish('removal', '12');
SELECT statement, set_config('removal.statement', statement, false) = statement AS set,
    test.refused($$SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}')$$)
FROM unnest(ARRAY['DELETE FROM kanthorq_stream_removal_copy', 'TRUNCATE kanthorq_stream_removal_copy',
    'UPDATE kanthorq_stream_removal SET subject = ''changed''']) AS statement;
SELECT pg_temp.left_in('removal'), pg_temp.left_in('removal_copy');
DROP TRIGGER a_cascade ON kanthorq_stream_removal;

-- The rows that a DELETE on a parent table reaches are refused too; removal goes on.
CREATE TABLE removal_parent (LIKE kanthorq_stream_removal);
ALTER TABLE kanthorq_stream_removal INHERIT removal_parent;
SELECT test.refused('DELETE FROM removal_parent');
SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA4}');
SELECT pg_temp.left_in('removal');
-- Also those that somebody's trigger would reach while others are removed.
SELECT test.publish('removal', '67');
CREATE OR REPLACE FUNCTION removal_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN DELETE FROM removal_parent WHERE id <> OLD.id; END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER a_cascade BEFORE DELETE ON kanthorq_stream_removal FOR EACH ROW EXECUTE FUNCTION removal_cascade();
SELECT test.refused($$SELECT kanthorq_event_remove('removal', '{01ARZ3NDEKTSV4RRFFQ69G5FA6}')$$);
SELECT pg_temp.left_in('removal');
DROP TRIGGER a_cascade ON kanthorq_stream_removal;
ALTER TABLE kanthorq_stream_removal NO INHERIT removal_parent;

-- Many.
SELECT cardinality(kanthorq_publish_many('removal', array_agg('many'::text), array_agg(''::bytea)))
FROM generate_series(1, 2500);
SELECT kanthorq_event_remove('removal', array_agg(id))
FROM kanthorq_events('removal', size => 1500);
SELECT kanthorq_stream_trim('removal', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', confirm => 'removal');

SELECT kanthorq_stream_drop(name, confirm => name)
FROM unnest(ARRAY['removal', 'removal_copy']) AS name;
DROP TABLE removal_log, removal_parent;
DROP FUNCTION removal_refuse, removal_cascade;

-- A removal that fails inside a trigger of another one, and is caught, must not stop the outer one.
SELECT name FROM kanthorq_stream_create('removal_outer');
SELECT name FROM kanthorq_stream_create('removal_inner');
SELECT count(kanthorq_publish(s, 'a', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA' || n)) FROM unnest('{removal_outer,removal_inner}'::text[]) AS s, generate_series(1, 3) AS n;
CREATE FUNCTION removal_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the owner refuses'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON kanthorq_stream_removal_inner FOR EACH ROW EXECUTE FUNCTION removal_refuse();
CREATE FUNCTION removal_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM kanthorq_event_remove('removal_inner', ARRAY[OLD.id]);
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
    RETURN OLD;
END $$;
CREATE TRIGGER a_cascade BEFORE DELETE ON kanthorq_stream_removal_outer FOR EACH ROW EXECUTE FUNCTION removal_cascade();
SELECT kanthorq_event_remove('removal_outer', '{01ARZ3NDEKTSV4RRFFQ69G5FA1,01ARZ3NDEKTSV4RRFFQ69G5FA2}');
SELECT kanthorq_stream_drop(name, confirm => name) FROM unnest(ARRAY['removal_outer', 'removal_inner']) AS name;
DROP FUNCTION removal_refuse, removal_cascade;
