-- Publishing into a partitioned stream, and removing from it: the partition that an event lands in, both ways into
-- it, closed partitions, privileges, forms of ids, and what keeps events from changing.
--
-- The partition "low" is for the ids with the tails 1 to 9, "high" for A to K, and the default one for all others.

\set SHOW_CONTEXT never

CREATE FUNCTION pg_temp.add_partition(stream text, mark text, first_id text, end_id text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent regclass := kanthorq_stream_table(stream);
    leaf text := parent || '__' || mark;
BEGIN
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
        INCLUDING STORAGE INCLUDING COMPRESSION)', leaf, parent);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent, leaf, first_id, end_id);
    EXECUTE format('CREATE TRIGGER kanthorq_writer BEFORE INSERT ON %s
        EXECUTE FUNCTION kanthorq_stream_writer()', leaf);
    EXECUTE format('CREATE TRIGGER kanthorq_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
        EXECUTE FUNCTION kanthorq_stream_append_only()', leaf);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER kanthorq_writer,
        ENABLE ALWAYS TRIGGER kanthorq_append_only', leaf);
    INSERT INTO kanthorq_partition VALUES (parent, leaf::regclass, 0, 9223372036854775807);
END $$;
CREATE FUNCTION pg_temp.create_stream(stream text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kanthorq_stream_create(stream, partition_interval => '1 day');
    PERFORM pg_temp.add_partition(stream, 'low', '01ARZ3NDEKTSV4RRFFQ69G5FA1', '01ARZ3NDEKTSV4RRFFQ69G5FAA');
    PERFORM pg_temp.add_partition(stream, 'high', '01ARZ3NDEKTSV4RRFFQ69G5FAA', '01ARZ3NDEKTSV4RRFFQ69G5FAL');
END $$;

-- As maintenance closes a partition.
CREATE FUNCTION pg_temp.close_partition(leaf regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent regclass := inhparent FROM pg_inherits WHERE inhrelid = leaf;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = leaf AND tgname = 'kanthorq_closed') THEN
        EXECUTE format('CREATE TRIGGER kanthorq_closed BEFORE INSERT ON %s FOR EACH ROW
            EXECUTE FUNCTION kanthorq_partition_closed()', leaf);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER kanthorq_closed', leaf);
    END IF;
    DELETE FROM kanthorq_partition WHERE partition = leaf;
    EXECUTE format('INSERT INTO kanthorq_partition
        SELECT %s, %s, coalesce(min(position), 1), coalesce(max(position), 0) FROM %s', parent::oid, leaf::oid, leaf);
END $$;
-- How many rows of the partition say that it is open, and how many that it is closed.
CREATE FUNCTION pg_temp.state(leaf regclass) RETURNS text LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE last_position = 9223372036854775807) || ' open, '
        || count(*) FILTER (WHERE last_position < 9223372036854775807) || ' closed'
    FROM kanthorq_partition WHERE partition = leaf
$$;
-- The tails in the order of their positions, each with the first letter of its partition.
CREATE FUNCTION pg_temp.stored(stream text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format($sql$SELECT string_agg(right(id, 1) || ':' || left(substring(tableoid::regclass::text, '__(.*)'), 1),
        ' ' ORDER BY position) FROM %s$sql$, kanthorq_stream_table(stream)) INTO result;
    RETURN result;
END $$;
-- Publishes an empty event for each tail in one call, with the subject "event".
CREATE FUNCTION pg_temp.publish_many(stream text, tails text, on_duplicate text DEFAULT 'error') RETURNS integer
LANGUAGE sql AS $$
    SELECT cardinality(kanthorq_publish_many(stream, array_fill('event'::text, ARRAY[length(tails)]),
        array_fill(''::bytea, ARRAY[length(tails)]), ids => test.ids(tails), on_duplicate => on_duplicate))
$$;
-- Which way publishing takes into the partition of this tail: an error inside an INSERT says so in its context.
CREATE FUNCTION pg_temp.way(stream text, tail text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    context text;
BEGIN
    PERFORM test.publish(stream, tail);
    PERFORM test.publish(stream, tail);
    RETURN 'no error';
EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
    RETURN CASE WHEN context LIKE '%INSERT INTO public.kanthorq\_stream\_%' THEN 'INSERT' ELSE 'direct' END;
END $$;

-- Both ways: one stream is plain, one has a trigger of its owner on the table, and one on a partition only.
SELECT pg_temp.create_stream('leaves_' || kind) FROM unnest('{plain,trigger,leaf_trigger}'::text[]) AS kind;
CREATE TABLE leaves_log (leaf text, subject text);
CREATE FUNCTION leaves_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO leaves_log VALUES (substring(TG_TABLE_NAME, 'leaves_(.*)'), NEW.subject);
    RETURN NEW;
END $$;
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_leaves_trigger FOR EACH ROW EXECUTE FUNCTION leaves_log();
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_leaves_leaf_trigger__high FOR EACH ROW
    EXECUTE FUNCTION leaves_log();
SELECT kind, pg_temp.way('leaves_' || kind, '1') AS low, pg_temp.way('leaves_' || kind, 'A') AS high,
    pg_temp.way('leaves_' || kind, 'Z') AS "default"
FROM unnest('{plain,trigger,leaf_trigger}'::text[]) AS kind;
CREATE TABLE leaves_input AS SELECT place, '01ARZ3NDEKTSV4RRFFQ69G5FA' || tail AS id, subject, body, metadata, created_at
FROM (VALUES
    (1, 'B', 'order.created', '\x00ff'::bytea, '{"k": [1, {"a": null}]}'::jsonb, 42::bigint),
    (2, '1', '-1.x', '', NULL, NULL),
    (3, 'Z', 'order.created', convert_to(repeat('abc', 1000), 'UTF8'), '{}', -5),
    (4, '3', 'many.1', convert_to(repeat('x', 100000), 'UTF8'), '{"n": 1}', NULL),
    (5, 'K', 'many.2', '\x01', NULL, NULL),
    (6, '2', 'many.3', test.bytes(20000), '{}', 3),
    (7, 'N', 'many.4', '', '{}', NULL),
    (8, 'A', 'many.5', '', '{}', NULL)) AS input (place, tail, subject, body, metadata, created_at);
SELECT kind, bool_and(kanthorq_publish('leaves_' || kind, i.subject, i.body, i.metadata, i.id, i.created_at) = i.id)
FROM (SELECT * FROM leaves_input WHERE place <= 3 ORDER BY place) AS i,
    unnest('{plain,trigger,leaf_trigger}'::text[]) AS kind GROUP BY kind ORDER BY kind;
-- Positions follow the order of the array, whichever partitions its events go to.
SELECT kind, kanthorq_publish_many('leaves_' || kind, subjects, bodies, metadata, ids, i.created_at) = ids AS returned
FROM (SELECT array_agg(subject ORDER BY place) AS subjects, array_agg(body ORDER BY place) AS bodies,
         array_agg(metadata ORDER BY place) AS metadata, array_agg(id ORDER BY place) AS ids,
         array_agg(created_at ORDER BY place) AS created_at FROM leaves_input WHERE place > 3) AS i,
    unnest('{plain,trigger,leaf_trigger}'::text[]) AS kind ORDER BY kind;
SELECT kind, pg_temp.stored('leaves_' || kind) FROM unnest('{plain,trigger,leaf_trigger}'::text[]) AS kind;
SELECT right(id, 1) AS tail, subject, md5(body), metadata, created_at FROM kanthorq_stream_leaves_plain
    ORDER BY position;
-- Of two transactions.
SELECT count(DISTINCT txid) FROM kanthorq_stream_leaves_plain;
SELECT kind, count(*) AS same FROM (
    SELECT 'trigger' AS kind, id, subject, body, metadata, created_at FROM kanthorq_stream_leaves_trigger
    UNION ALL
    SELECT 'leaf_trigger', id, subject, body, metadata, created_at FROM kanthorq_stream_leaves_leaf_trigger) AS t
JOIN kanthorq_stream_leaves_plain AS p USING (id, subject, body, metadata, created_at) GROUP BY kind ORDER BY kind;
-- The owner's triggers have seen each event of their table once.
SELECT leaf, array_agg(subject ORDER BY subject COLLATE "C") FROM leaves_log WHERE subject !~ '^event'
    GROUP BY leaf ORDER BY leaf COLLATE "C";
-- The indexes of each partition have its events.
SET enable_seqscan = off;
SELECT (SELECT count(*) FROM kanthorq_stream_leaves_plain__low WHERE id > '0') AS by_id,
    (SELECT count(*) FROM kanthorq_stream_leaves_plain__low WHERE position > 0) AS by_position,
    (SELECT count(*) FROM kanthorq_stream_leaves_plain__low WHERE subject = 'many.1') AS by_subject,
    (SELECT count(*) FROM kanthorq_stream_leaves_plain__high WHERE position > 0) AS of_other;
RESET enable_seqscan;

-- More events than are written at once, by turns into two partitions and the default one.
SELECT name FROM kanthorq_stream_create('leaves_many', partition_interval => '1 day');
SELECT pg_temp.add_partition('leaves_many', 'd', '01ARZ3NDEKTSV4RRFFQ69D', '01ARZ3NDEKTSV4RRFFQ69E'),
    pg_temp.add_partition('leaves_many', 'f', '01ARZ3NDEKTSV4RRFFQ69F', '01ARZ3NDEKTSV4RRFFQ69G');
CREATE TABLE leaves_many AS SELECT n, '01ARZ3NDEKTSV4RRFFQ69' || (ARRAY['D', 'H', 'F'])[1 + n % 3]
    || upper(lpad(to_hex(n), 4, '0')) AS id FROM generate_series(1, 7000) AS n;
SELECT cardinality(kanthorq_publish_many('leaves_many', array_fill('n'::text, '{7000}'),
    array_fill(''::bytea, '{7000}'), ids => array_agg(id ORDER BY n))) FROM leaves_many;
SELECT substring(s.tableoid::regclass::text, '__(.*)') AS leaf, count(*), count(*) FILTER (WHERE position
    = (SELECT min(position) FROM kanthorq_stream_leaves_many) + n - 1) AS in_order
FROM kanthorq_stream_leaves_many AS s JOIN leaves_many USING (id) GROUP BY s.tableoid ORDER BY 1;

-- Ids of other forms, and of any time, are valid. They are in the default partition.
SELECT count(kanthorq_publish('leaves_plain', 'form', '', id => id)) FROM unnest(
    '{017f22e2-79b0-7cc3-98c4-dc0c0c07398f,event_01arz3ndektsv4rrffq69g5fa1,7ZZZZZZZZZZZZZZZZZZZZZZZZZ,00000000000000000000000000}'
    ::text[]) AS id;
SELECT id FROM kanthorq_stream_leaves_plain__default WHERE subject = 'form' ORDER BY id;
-- A new event is in the partition of its day.
SELECT kanthorq_publish('leaves_plain', 'new', '') IS NOT NULL AS published;
SELECT right(tableoid::regclass::text, 10) = '__' || to_char(kanthorq_id_time(id) AT TIME ZONE 'UTC', 'YYYYMMDD')
    AS of_its_day FROM kanthorq_stream_leaves_plain WHERE subject = 'new';

-- Duplicates, within a call and over partitions: nothing of the call is stored.
SELECT pg_temp.create_stream('leaves_twice');
SELECT test.publish('leaves_twice', '1A');
SELECT test.refused(format('SELECT pg_temp.publish_many(''leaves_twice'', %L)', tails))
FROM unnest('{2B2C,2BZZ,BCB,B2A,Z1}'::text[]) AS tails;
SELECT pg_temp.stored('leaves_twice');
SELECT last_value AS before FROM kanthorq_stream_leaves_twice__position_seq \gset
-- Skipped, they take no position either.
SELECT pg_temp.publish_many('leaves_twice', 'A2B1ZZ2CA', 'skip');
SELECT pg_temp.stored('leaves_twice'), (SELECT count(*) FROM kanthorq_stream_leaves_twice WHERE subject = 'event') AS new,
    last_value - :before AS positions FROM kanthorq_stream_leaves_twice__position_seq;
SELECT kanthorq_publish('leaves_twice', 'twice', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAZ', on_duplicate => 'skip');
SELECT kanthorq_publish_many('leaves_twice', '{}', '{}'), kanthorq_publish_many('leaves_twice', '{}', '{}',
    on_duplicate => 'skip');
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_leaves_twice FOR EACH ROW EXECUTE FUNCTION leaves_log();
SELECT pg_temp.publish_many('leaves_twice', 'ADD3', 'skip');
SELECT pg_temp.stored('leaves_twice');

-- An event that comes to a closed partition notes that it is open again, however it comes.
SELECT pg_temp.create_stream('leaves_closed');
SELECT test.publish('leaves_closed', '1');
SELECT pg_temp.close_partition('kanthorq_stream_leaves_closed__low');
SELECT pg_temp.way('leaves_closed', '2'), pg_temp.state('kanthorq_stream_leaves_closed__low');
CREATE FUNCTION pg_temp.after(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.close_partition('kanthorq_stream_leaves_closed__low');
    EXECUTE statement;
    RETURN pg_temp.state('kanthorq_stream_leaves_closed__low');
END $$;
SELECT pg_temp.after($$SELECT 'nothing'$$), pg_temp.after($$SELECT test.publish('leaves_closed', 'AZ')$$) AS others;
SELECT pg_temp.after($$SELECT test.publish('leaves_closed', '2')$$),
    pg_temp.after($$SELECT pg_temp.publish_many('leaves_closed', 'B3Y')$$),
    pg_temp.after($$SELECT pg_temp.publish_many('leaves_closed', 'C4X', 'skip')$$);
SELECT pg_temp.after($$INSERT INTO kanthorq_stream_leaves_closed (id, subject, body)
    SELECT id, 'insert', '' FROM unnest(test.ids('56W')) AS id$$);
-- Into the partition itself, which has no identity of its own before 17.
SELECT pg_temp.after($$INSERT INTO kanthorq_stream_leaves_closed__low (id, subject, body, position)
    OVERRIDING SYSTEM VALUE VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA7', 'leaf', '',
    nextval('kanthorq_stream_leaves_closed__position_seq'))$$);
SELECT pg_temp.close_partition('kanthorq_stream_leaves_closed__low');
COPY kanthorq_stream_leaves_closed (id, subject, body) FROM stdin;
01ARZ3NDEKTSV4RRFFQ69G5FA8	copy	
01ARZ3NDEKTSV4RRFFQ69G5FAD	copy	
01ARZ3NDEKTSV4RRFFQ69G5FA9	copy	
\.
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');
SELECT pg_temp.stored('leaves_closed');
-- Also if the trigger fires in fewer cases than it did, as after a restore with --disable-triggers.
SELECT kanthorq_event_remove('leaves_closed', test.ids('23456789'));
SELECT pg_temp.close_partition('kanthorq_stream_leaves_closed__low');
ALTER TABLE kanthorq_stream_leaves_closed__low ENABLE TRIGGER kanthorq_closed;
SELECT test.publish('leaves_closed', '2');
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');
ALTER TABLE kanthorq_stream_leaves_closed__low ENABLE ALWAYS TRIGGER kanthorq_closed;
-- A savepoint takes its note back, and the next event notes it again.
SELECT pg_temp.close_partition('kanthorq_stream_leaves_closed__low');
BEGIN;
SAVEPOINT inside;
SELECT test.publish('leaves_closed', '3');
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');
ROLLBACK TO inside;
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');
SELECT test.publish('leaves_closed', '34');
INSERT INTO kanthorq_stream_leaves_closed (id, subject, body) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA5', 'insert', '');
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');
COMMIT;
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');
-- In a transaction that sees the partition as it was before, one note is enough, too.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT test.publish('leaves_closed', '67');
COMMIT;
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low');

-- A partition that somebody has attached by hand is noted with its first event. Else no consumer would look into it.
CREATE TABLE kanthorq_stream_leaves_closed__hand (LIKE kanthorq_stream_leaves_closed INCLUDING ALL
    EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_leaves_closed ATTACH PARTITION kanthorq_stream_leaves_closed__hand
    FOR VALUES FROM ('01ARZ3NDEKTSV4RRFFQ69G5FB') TO ('01ARZ3NDEKTSV4RRFFQ69G5FC');
SELECT pg_temp.state('kanthorq_stream_leaves_closed__hand');
SELECT count(kanthorq_publish('leaves_closed', 'hand', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FB' || n))
    FROM generate_series(1, 3) AS n;
SELECT pg_temp.state('kanthorq_stream_leaves_closed__hand'), count(*) FROM kanthorq_stream_leaves_closed__hand;

-- Privileges are those on the stream's table.
CREATE ROLE regress_kanthorq_leaves;
GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_leaves_closed, kanthorq_stream_leaves_twice
    TO regress_kanthorq_leaves;
GRANT INSERT ON kanthorq_stream_leaves_plain__low, kanthorq_stream_leaves_plain__default TO regress_kanthorq_leaves;
SELECT pg_temp.close_partition('kanthorq_stream_leaves_closed__low'),
    pg_temp.close_partition('kanthorq_stream_leaves_twice__low');
GRANT INSERT ON leaves_log TO regress_kanthorq_leaves;
SET ROLE regress_kanthorq_leaves;
SELECT kanthorq_publish('leaves_closed', 'role', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA8'),
    kanthorq_publish('leaves_twice', 'role', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA8');
INSERT INTO kanthorq_stream_leaves_closed (id, subject, body) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FA9', 'insert', '');
SELECT test.refused($$SELECT kanthorq_publish('leaves_plain', 'role', '')$$);
SELECT test.refused($$SELECT kanthorq_publish('leaves_plain', 'role', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA9')$$);
SELECT test.refused($$SELECT kanthorq_event_remove('leaves_closed', test.ids('8'))$$);
RESET ROLE;
SELECT pg_temp.state('kanthorq_stream_leaves_closed__low'), pg_temp.state('kanthorq_stream_leaves_twice__low');
-- So is row security.
ALTER TABLE kanthorq_stream_leaves_closed ENABLE ROW LEVEL SECURITY;
CREATE POLICY subjects ON kanthorq_stream_leaves_closed FOR INSERT WITH CHECK (subject LIKE 'allowed%');
SET ROLE regress_kanthorq_leaves;
SELECT kanthorq_publish('leaves_closed', 'allowed', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAF');
SELECT test.refused($$SELECT kanthorq_publish('leaves_closed', 'other', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAG')$$);
RESET ROLE;
ALTER TABLE kanthorq_stream_leaves_closed DISABLE ROW LEVEL SECURITY;
ALTER TABLE kanthorq_stream_leaves_plain__low ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT pg_temp.way('leaves_plain', '5');

-- Without a default partition there are ids that belong to none.
SELECT pg_temp.create_stream('leaves_gap');
DROP TABLE kanthorq_stream_leaves_gap__default;
SELECT test.refused_in_full($$SELECT pg_temp.publish_many('leaves_gap', '1AZB')$$);
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_leaves_gap FOR EACH ROW EXECUTE FUNCTION leaves_log();
SELECT test.refused_in_full($$SELECT pg_temp.publish_many('leaves_gap', '1AZB')$$);
SELECT pg_temp.publish_many('leaves_gap', '1AB');
SELECT pg_temp.stored('leaves_gap');

-- New ids have the form of the stream, from the functions and from the default.
SELECT name, id_form FROM unnest('{ulid,uuidv7,order}'::text[]) AS id_form,
    kanthorq_stream_create('forms_' || id_form, id_form => id_form);
SELECT name FROM unnest('{ulid,uuidv7,order}'::text[]) AS id_form,
    kanthorq_stream_create('forms_parts_' || id_form, partition_interval => '1 day', id_form => id_form);
CREATE FUNCTION pg_temp.form(id text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN id COLLATE "C" ~ '^[0-7][0-9A-Z]{25}$' THEN 'ulid'
        WHEN id COLLATE "C" ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' THEN 'uuidv7'
        WHEN id COLLATE "C" ~ '^order_[0-7][0-9a-z]{25}$' THEN 'order' END
$$;
SELECT name, pg_temp.form(kanthorq_publish(name, 'one', '')) AS one, forms AS many,
    pg_temp.form(kanthorq_publish(name, 'dated', '', created_at => 7)) AS dated
FROM unnest('{forms_ulid,forms_uuidv7,forms_order,forms_parts_ulid,forms_parts_uuidv7,forms_parts_order}'::text[]) AS name,
    LATERAL (SELECT array_agg(coalesce(pg_temp.form(id), id) ORDER BY place) AS forms
        FROM unnest(kanthorq_publish_many(name, '{a,b,c,d}', '{"","","",""}',
            ids => '{NULL,event_01arz3ndektsv4rrffq69g5fa1,NULL,NULL}', created_at => '{NULL,NULL,NULL,8}'))
            WITH ORDINALITY AS made (id, place)) AS many;
INSERT INTO kanthorq_stream_forms_uuidv7 (subject, body) VALUES ('insert', '');
INSERT INTO kanthorq_stream_forms_parts_order (subject, body) VALUES ('insert', '');
CREATE FUNCTION pg_temp.made(stream text, OUT forms text, OUT own_time bigint, OUT given text, OUT in_order boolean,
    OUT in_default bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        SELECT string_agg(DISTINCT pg_temp.form(id), ' '),
            count(*) FILTER (WHERE created_at = (extract(epoch FROM kanthorq_id_time(id)) * 1000)::bigint),
            string_agg(created_at::text, ' ' ORDER BY created_at) FILTER (WHERE created_at < 10),
            array_agg(id ORDER BY position) FILTER (WHERE subject <> 'b')
                = array_agg(id ORDER BY id) FILTER (WHERE subject <> 'b'),
            count(*) FILTER (WHERE tableoid::regclass::text LIKE '%%default')
        FROM %s WHERE subject <> 'insert'$sql$, kanthorq_stream_table(stream))
        INTO forms, own_time, given, in_order, in_default;
END $$;
SELECT name, made.* FROM unnest(
    '{forms_ulid,forms_uuidv7,forms_order,forms_parts_ulid,forms_parts_uuidv7,forms_parts_order}'::text[]) AS name,
    pg_temp.made(name);
SELECT (SELECT pg_temp.form(id) FROM kanthorq_stream_forms_uuidv7 WHERE subject = 'insert') AS uuidv7,
    (SELECT pg_temp.form(id) FROM kanthorq_stream_forms_parts_order WHERE subject = 'insert') AS "order";
-- With a trigger of the owner's, too.
CREATE TRIGGER log BEFORE INSERT ON kanthorq_stream_forms_parts_uuidv7 FOR EACH ROW EXECUTE FUNCTION leaves_log();
SELECT pg_temp.form(kanthorq_publish('forms_parts_uuidv7', 'trigger', ''));
-- What is wrong with an event is said before the stream is looked at.
SELECT test.refused($$SELECT kanthorq_publish('none', 'a..b', '')$$),
    test.refused($$SELECT kanthorq_publish('none', 'a', '', id => 'x')$$),
    test.refused($$SELECT kanthorq_publish('none', 'a', '', '[]')$$),
    test.refused($$SELECT kanthorq_publish('none', 'a', '')$$);

-- Events never change, and leave by the functions only: through the table, or in a partition.
SELECT pg_temp.create_stream('leaves_kept'), pg_temp.create_stream('leaves_others');
SELECT pg_temp.publish_many('leaves_kept', '12AZ3BY'), pg_temp.publish_many('leaves_others', '12AZ3BY');
SELECT leaf, test.refused('UPDATE ' || leaf || ' SET subject = subject') AS "update",
    test.refused('DELETE FROM ' || leaf) AS "delete", test.refused('TRUNCATE ' || leaf) AS "truncate"
FROM unnest('{kanthorq_stream_leaves_kept,kanthorq_stream_leaves_kept__low,kanthorq_stream_leaves_kept__default}'::text[])
    AS leaf;
SELECT test.refused_in_full('DELETE FROM kanthorq_stream_leaves_kept__low');
-- From one partition to another.
SELECT test.refused($$UPDATE kanthorq_stream_leaves_kept SET id = '01ARZ3NDEKTSV4RRFFQ69G5FAC'
    WHERE id = '01ARZ3NDEKTSV4RRFFQ69G5FA1'$$);
SET session_replication_role = replica;
SELECT test.refused('DELETE FROM kanthorq_stream_leaves_kept'),
    test.refused('TRUNCATE kanthorq_stream_leaves_kept__high');
RESET session_replication_role;
-- A permit is for the rows of its stream, and for its statement. This trigger runs another one for each row.
CREATE TABLE leaves_statement (statement text);
CREATE FUNCTION leaves_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    this record;
BEGIN
    FOR this IN SELECT * FROM leaves_statement LOOP
        RAISE NOTICE '% %', OLD.subject, test.refused(this.statement);
    END LOOP;
    RETURN OLD;
END $$;
CREATE TRIGGER a_delete BEFORE DELETE ON kanthorq_stream_leaves_kept FOR EACH ROW EXECUTE FUNCTION leaves_delete();
INSERT INTO leaves_statement VALUES ('DELETE FROM kanthorq_stream_leaves_kept'),
    ('DELETE FROM kanthorq_stream_leaves_kept__low'), ('DELETE FROM kanthorq_stream_leaves_others'),
    ('DELETE FROM kanthorq_stream_leaves_others__low');
SELECT kanthorq_event_remove('leaves_kept', test.ids('1'));
-- The same from within the statement: a policy's function.
CREATE FUNCTION leaves_policy() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    this record;
BEGIN
    FOR this IN SELECT * FROM leaves_statement LOOP
        RAISE NOTICE 'policy %', test.refused(this.statement);
    END LOOP;
    RETURN true;
END $$;
DROP TRIGGER a_delete ON kanthorq_stream_leaves_kept;
CREATE POLICY all_rows ON kanthorq_stream_leaves_kept USING (leaves_policy());
ALTER TABLE kanthorq_stream_leaves_kept ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE ROLE regress_kanthorq_leaves_owner;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_leaves_owner;
GRANT SELECT ON leaves_statement TO regress_kanthorq_leaves_owner;
ALTER TABLE kanthorq_stream_leaves_kept OWNER TO regress_kanthorq_leaves_owner;
ALTER TABLE kanthorq_stream_leaves_kept__low OWNER TO regress_kanthorq_leaves_owner;
SET ROLE regress_kanthorq_leaves_owner;
SELECT kanthorq_event_remove('leaves_kept', test.ids('2'));
RESET ROLE;
ALTER TABLE kanthorq_stream_leaves_kept DISABLE ROW LEVEL SECURITY;
SELECT pg_temp.stored('leaves_kept'), pg_temp.stored('leaves_others');

-- Removing locks the partitions that may have the events, and no other ones.
CREATE FUNCTION pg_temp.locked(statement text, OUT removed bigint, OUT leaves text) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE statement INTO removed;
        SELECT string_agg(DISTINCT substring(relation::regclass::text, '__(low|high|default|\d+)$'), ' ') INTO leaves
        FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND mode = 'RowExclusiveLock'
            AND relation::regclass::text ~ '__(low|high|default|\d+)$';
        RAISE EXCEPTION 'back';
    EXCEPTION WHEN raise_exception THEN
    END;
END $$;
SELECT * FROM pg_temp.locked($$SELECT kanthorq_event_remove('leaves_others', test.ids('3'))$$);
SELECT * FROM pg_temp.locked($$SELECT kanthorq_event_remove('leaves_others', test.ids('3BA4'))$$);
SELECT * FROM pg_temp.locked($$SELECT kanthorq_event_remove('leaves_others', test.ids('0Z'))$$);
SELECT * FROM pg_temp.locked($$SELECT kanthorq_stream_trim('leaves_others', '01ARZ3NDEKTSV4RRFFQ69G5FA3', 'leaves_others')$$);
SELECT * FROM pg_temp.locked($$SELECT kanthorq_stream_trim('leaves_others', '01ARZ3NDEKTSV4RRFFQ69G5FAB', 'leaves_others')$$);
SELECT kanthorq_event_remove('leaves_others', test.ids('3BZ3')),
    kanthorq_stream_trim('leaves_others', '01ARZ3NDEKTSV4RRFFQ69G5FAB', 'leaves_others');
SELECT pg_temp.stored('leaves_others');

SELECT count(kanthorq_stream_drop(name, name)) FROM kanthorq_stream_registry
    WHERE name ~ '^(leaves|forms)_';
DROP TABLE leaves_log, leaves_input, leaves_many, leaves_statement;
DROP FUNCTION leaves_log(), leaves_delete(), leaves_policy();
REVOKE CREATE ON SCHEMA public FROM regress_kanthorq_leaves_owner;
DROP ROLE regress_kanthorq_leaves_owner;
DROP ROLE regress_kanthorq_leaves;
