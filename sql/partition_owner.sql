-- A partition that belongs to another role than the stream's table, as after ALTER TABLE ... OWNER TO, which leaves
-- partitions as they are. Nothing that this role puts on it runs with the rights of somebody else who uses KanthorQ's
-- functions; what can be done without its rights is done; and the rest is said.
CREATE ROLE regress_kanthorq_before;
CREATE ROLE regress_kanthorq_after;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_before, regress_kanthorq_after;
CREATE TABLE partition_owner_log (who name, what text);
GRANT INSERT ON partition_owner_log TO PUBLIC;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY terse

CREATE FUNCTION pg_temp.owners(stream text) RETURNS TABLE (owner name, partitions bigint) LANGUAGE sql AS $$
    SELECT pg_get_userbyid(relowner), count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = kanthorq_stream_table(stream) GROUP BY 1 ORDER BY 1
$$;
CREATE FUNCTION pg_temp.told(stream text) RETURNS TABLE (step text, done bigint, said text, error text) LANGUAGE sql AS $$
    SELECT step, done, said, error FROM kanthorq_maintenance
    WHERE stream_name = stream AND (done > 0 OR said IS NOT NULL OR error IS NOT NULL) ORDER BY step
$$;
-- Those of long ago.
CREATE FUNCTION pg_temp.states(stream text) RETURNS TABLE (partition text, positions text) LANGUAGE sql AS $$
    SELECT split_part(p.partition::text, '__', 2), string_agg(CASE WHEN last_position = 9223372036854775807 THEN 'open'
        ELSE first_position || ' to ' || last_position END, ', ' ORDER BY last_position)
    FROM kanthorq_partition p WHERE p.stream = kanthorq_stream_table($1) AND p.partition::text ~ '__(2020|default)' GROUP BY 1 ORDER BY 1
$$;
CREATE FUNCTION pg_temp.publish(stream text, day date, body text) RETURNS boolean LANGUAGE sql AS $$
    SELECT kanthorq_publish_text(stream, 'a.b', body, id => kanthorq_ulid(day + time '12:00' AT TIME ZONE 'UTC')) <> ''
$$;
CREATE FUNCTION pg_temp.pull() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(convert_from(body, 'UTF8'), ' ' ORDER BY position) FROM kanthorq_pull('partition_owner')
$$;

SET ROLE regress_kanthorq_before;
SELECT name FROM kanthorq_stream_create('partition_owner', partition_interval => '1 day');
SELECT bool_and(pg_temp.publish('partition_owner', day, 'of ' || day))
FROM unnest('{2020-02-01,2020-02-02}'::date[]) AS day;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.states('partition_owner');
RESET ROLE;
ALTER TABLE kanthorq_stream_partition_owner OWNER TO regress_kanthorq_after;
SELECT * FROM pg_temp.owners('partition_owner');

-- What needs no rights to a partition goes on.
SET ROLE regress_kanthorq_after;
SELECT name FROM kanthorq_consumer_create('partition_owner', 'partition_owner');
SELECT pg_temp.pull();
SELECT pg_temp.publish('partition_owner', '2020-02-01', 'late'), pg_temp.publish('partition_owner', '2020-03-01', 'waits');
INSERT INTO kanthorq_stream_partition_owner (subject, body) VALUES ('a.b', 'inserted');
SELECT kanthorq_publish_text('partition_owner', 'a.b', 'now') <> '';
SELECT pg_temp.pull();
SELECT count(*) FROM kanthorq_events('partition_owner');
SELECT count(*) FROM kanthorq_events_by_subject('partition_owner', 'a.>');
SELECT count(*) FROM kanthorq_events('partition_owner', since => '2020-02-01', until => '2020-02-03');
BEGIN;
SELECT kanthorq_event_remove('partition_owner', array_agg(id)) FROM kanthorq_stream_partition_owner WHERE body = 'late';
SELECT kanthorq_stream_trim('partition_owner', kanthorq_ulid('2020-02-02'), confirm => 'partition_owner', force => true);
ROLLBACK;
BEGIN;
SELECT kanthorq_stream_drop('partition_owner', 'partition_owner');
ROLLBACK;

-- Maintenance by the stream's owner leaves such partitions alone, and says so. Others get what they need.
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('partition_owner');
SELECT * FROM pg_temp.states('partition_owner');
SELECT kanthorq_stream_retention('partition_owner', '1 day', 'skip');
RESET ROLE;
DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', max(inhrelid::regclass::text)) FROM pg_inherits
    WHERE inhparent = kanthorq_stream_table('partition_owner') AND inhrelid::regclass::text ~ '__\d+$'); END $$;
SET ROLE regress_kanthorq_after;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('partition_owner');
SELECT * FROM pg_temp.owners('partition_owner');
SELECT * FROM pg_temp.states('partition_owner');
SELECT count(*) FROM kanthorq_stream_partition_owner;
SELECT kanthorq_stream_retention('partition_owner', NULL);

-- What the owner of the stream's table asks for by name is refused.
SELECT test.refused_in_full($$SELECT kanthorq_partition_close('partition_owner', 'kanthorq_stream_partition_owner__20200201')$$);
\set VERBOSITY default
CALL kanthorq_trim('partition_owner', kanthorq_ulid('2020-02-02'), confirm => 'partition_owner', force => true);
\set VERBOSITY terse
RESET ROLE;
DELETE FROM kanthorq_stream_registry WHERE name = 'partition_owner';
SET ROLE regress_kanthorq_after;
SELECT regexp_replace(test.refused($$SELECT kanthorq_stream_create('partition_owner', partition_interval => '1 day')$$), '__\d+', '__<day>');
RESET ROLE;
INSERT INTO kanthorq_stream_registry (name, created_at, updated_at) VALUES ('partition_owner', 0, 0);

-- A trigger of the former owner. It is not fired as somebody else: neither by publishing nor by removing, nor by
-- maintenance that the former owner has given the rights to.
SET ROLE regress_kanthorq_before;
CREATE FUNCTION partition_owner_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.partition_owner_log VALUES (current_user, TG_OP);
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER note BEFORE INSERT OR DELETE ON kanthorq_stream_partition_owner__20200201
    FOR EACH ROW EXECUTE FUNCTION partition_owner_note();
CREATE TRIGGER note BEFORE DELETE ON kanthorq_stream_partition_owner__default FOR EACH ROW EXECUTE FUNCTION partition_owner_note();
GRANT ALL ON kanthorq_stream_partition_owner__20200201, kanthorq_stream_partition_owner__default TO regress_kanthorq_after;
RESET ROLE;
SELECT test.refused_in_full($$SELECT pg_temp.publish('partition_owner', '2020-02-01', 'not published')$$);
SELECT pg_temp.publish('partition_owner', '2020-02-02', 'elsewhere');
SELECT test.refused_in_full(format('SELECT kanthorq_event_remove(''partition_owner'', %L)', array_agg(id)))
FROM kanthorq_stream_partition_owner WHERE body = 'late';
SELECT test.refused($$SELECT kanthorq_stream_trim('partition_owner', kanthorq_ulid(), confirm => 'partition_owner', force => true)$$);
SELECT count(*) FROM kanthorq_events('partition_owner');
SET ROLE regress_kanthorq_after;
SELECT pg_temp.pull();
SELECT test.refused($$SELECT pg_temp.publish('partition_owner', '2020-02-01', 'not published')$$);
SELECT kanthorq_stream_retention('partition_owner', '1 day', 'skip');
CALL kanthorq_maintain();
SELECT * FROM pg_temp.told('partition_owner');
SELECT count(*) FROM kanthorq_stream_partition_owner;
SELECT kanthorq_stream_retention('partition_owner', NULL);
RESET ROLE;
TABLE partition_owner_log;

-- An expression in an index, whose functions say that they are constant, and which planning a query evaluates.
SET ROLE regress_kanthorq_before;
CREATE FUNCTION partition_owner_add() RETURNS void LANGUAGE sql
    AS $$INSERT INTO public.partition_owner_log VALUES (current_user, 'planned')$$;
CREATE FUNCTION partition_owner_true(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.partition_owner_add();
    RETURN true;
END $$;
CREATE INDEX ON kanthorq_stream_partition_owner__20200202 (created_at) WHERE partition_owner_true(1);
RESET ROLE;
TRUNCATE partition_owner_log;
\c -
SET client_min_messages = warning;
\set VERBOSITY terse
SELECT test.refused_in_full($$SELECT * FROM kanthorq_events('partition_owner')$$);
SELECT test.refused($$SELECT * FROM kanthorq_events('partition_owner', since => '2020-02-02', until => '2020-02-03')$$);
SELECT test.refused($$SELECT * FROM kanthorq_events_by_subject('partition_owner', 'a.>')$$);
SELECT test.refused(format('SELECT * FROM kanthorq_event_get(''partition_owner'', %L)', kanthorq_ulid('2020-02-02 12:00')));
SELECT count(*) FROM kanthorq_events('partition_owner', since => '2020-03-01', until => '2020-03-02');
SELECT count(*) FROM kanthorq_pull('partition_owner');
SELECT name FROM kanthorq_streams WHERE name = 'partition_owner';
TABLE partition_owner_log;

-- Maintenance by a superuser gives what it may to the stream's owner, and not what would run the former owner's code
-- as the stream's, or could be made to.
CREATE FUNCTION pg_temp.owners(stream text) RETURNS TABLE (owner name, partitions bigint) LANGUAGE sql AS $$
    SELECT pg_get_userbyid(relowner), count(*) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = kanthorq_stream_table(stream) GROUP BY 1 ORDER BY 1
$$;
CREATE FUNCTION pg_temp.said() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', said, error) FROM kanthorq_maintenance WHERE stream_name = 'partition_owner' AND step = 'guards'
$$;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.owners('partition_owner');
SELECT pg_temp.said();
TABLE partition_owner_log;
SET ROLE regress_kanthorq_before;
DROP TRIGGER note ON kanthorq_stream_partition_owner__20200201;
DROP TRIGGER note ON kanthorq_stream_partition_owner__default;
REVOKE ALL ON kanthorq_stream_partition_owner__20200201, kanthorq_stream_partition_owner__default FROM regress_kanthorq_after;
DROP INDEX kanthorq_stream_partition_owner__20200202_created_at_idx;
RESET ROLE;
-- One thing at a time is enough.
SELECT 'SET ROLE regress_kanthorq_before', replace(statement, '@', partition), 'RESET ROLE', 'CALL kanthorq_maintain()',
    format('SELECT %L AS "put on it", pg_get_userbyid(relowner) AS owner FROM pg_class WHERE oid = %L::regclass', statement, partition),
    'SET ROLE regress_kanthorq_before', replace(undo, '@', partition), 'RESET ROLE'
FROM (VALUES
    ('CREATE TRIGGER note AFTER INSERT ON @ FOR EACH ROW EXECUTE FUNCTION partition_owner_note()', 'DROP TRIGGER note ON @'),
    ('CREATE TRIGGER note BEFORE INSERT ON @ FOR EACH STATEMENT WHEN (public.partition_owner_true(1)) EXECUTE FUNCTION kanthorq_stream_writer()', 'DROP TRIGGER note ON @'),
    ('CREATE INDEX note ON @ ((public.partition_owner_true(2)))', 'DROP INDEX note'),
    ('CREATE STATISTICS note ON (public.partition_owner_true(length(id))) FROM @', 'DROP STATISTICS note'),
    ('ALTER TABLE @ ADD CONSTRAINT note CHECK (public.partition_owner_true(3))', 'ALTER TABLE @ DROP CONSTRAINT note'),
    ('ALTER TABLE @ ALTER subject SET DEFAULT public.partition_owner_true(4)::text', 'ALTER TABLE @ ALTER subject DROP DEFAULT'),
    ('CREATE RULE note AS ON INSERT TO @ DO ALSO SELECT public.partition_owner_true(5)', 'DROP RULE note ON @'),
    ('ALTER TABLE @ ENABLE ROW LEVEL SECURITY', 'ALTER TABLE @ DISABLE ROW LEVEL SECURITY'),
    ('GRANT TRIGGER ON @ TO PUBLIC', 'REVOKE TRIGGER ON @ FROM PUBLIC')) AS additions (statement, undo),
    (VALUES ('kanthorq_stream_partition_owner__20200201')) AS partitions (partition) \gexec
-- And what lies on it for the stream's own sake is no obstacle.
GRANT TRIGGER ON kanthorq_stream_partition_owner TO PUBLIC;
SET ROLE regress_kanthorq_before;
GRANT TRIGGER ON kanthorq_stream_partition_owner__20200201 TO PUBLIC;
RESET ROLE;
CALL kanthorq_maintain();
SELECT * FROM pg_temp.owners('partition_owner');
SELECT pg_temp.said();
SELECT step, done, error FROM kanthorq_maintenance WHERE stream_name = 'partition_owner' AND done > 0 ORDER BY step;
SELECT split_part(inhrelid::regclass::text, '__', 2) FROM pg_inherits
WHERE inhparent = kanthorq_stream_table('partition_owner') AND inhrelid::regclass::text ~ '__2020' ORDER BY 1;

-- One who has the rights of both gives it, too.
ALTER TABLE kanthorq_stream_partition_owner__20200201 OWNER TO regress_kanthorq_before;
SET ROLE regress_kanthorq_after;
CALL kanthorq_maintain();
SELECT pg_temp.said();
RESET ROLE;
GRANT regress_kanthorq_before TO regress_kanthorq_after;
SET ROLE regress_kanthorq_after;
CALL kanthorq_maintain();
SELECT pg_temp.said();
SELECT * FROM pg_temp.owners('partition_owner');
RESET ROLE;
REVOKE regress_kanthorq_before FROM regress_kanthorq_after;

-- REASSIGN OWNED is for all that a role has, so for partitions, too.
REASSIGN OWNED BY regress_kanthorq_after TO regress_kanthorq_before;
SELECT * FROM pg_temp.owners('partition_owner');
SET ROLE regress_kanthorq_before;
CALL kanthorq_maintain();
SELECT pg_temp.said();
SELECT kanthorq_stream_drop('partition_owner', 'partition_owner');
RESET ROLE;
DROP TABLE partition_owner_log;
DROP FUNCTION partition_owner_note(), partition_owner_true(integer), partition_owner_add();
DROP OWNED BY regress_kanthorq_before, regress_kanthorq_after;
DROP ROLE regress_kanthorq_before, regress_kanthorq_after;
