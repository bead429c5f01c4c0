-- Who may do what with a consumer: ordinary grants on the stream's table and on the consumer's.

-- What the current role is answered: the SQLSTATE and message if it is refused. Nothing of it lasts.
CREATE FUNCTION pg_temp.answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION SQLSTATE 'OK000';
EXCEPTION WHEN SQLSTATE 'OK000' THEN
    RETURN 'done';
WHEN others THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE FUNCTION pg_temp.answers() RETURNS TABLE (statement text, answer text) LANGUAGE sql AS $$
    SELECT statement, pg_temp.answer(CASE WHEN statement LIKE '% kanthorq\_delivery%'
            OR statement LIKE '% kanthorq\_consumer\_registry%' THEN statement
        ELSE 'SELECT * FROM ' || replace(replace(statement, '(c', '(''consumer_privileges'''),
            'id', '''01ARZ3NDEKTSV4RRFFQ69G5FA9''') END)
    FROM unnest(ARRAY[
        'kanthorq_consumer_create(''consumer_mine'', ''consumer_privileges'')',
        'kanthorq_consumer_table(c)',
        'kanthorq_pull(c)',
        'kanthorq_ack(c, 7)',
        'kanthorq_nack(c, 7)',
        'kanthorq_extend(c, 7)',
        'kanthorq_cancel(c, ARRAY[id])',
        'kanthorq_resume(c, ARRAY[id])',
        'kanthorq_task_state(c, id)',
        'kanthorq_tasks(c)',
        'kanthorq_horizon(c)',
        'kanthorq_consumer_alter(c, ordered => true)',
        'kanthorq_consumer_seek(c, ''new'', ''consumer_privileges'')',
        'kanthorq_consumer_drop(c, ''consumer_privileges'')',
        'kanthorq_streams',
        'kanthorq_consumers',
        'TABLE kanthorq_consumer_registry',
        'UPDATE kanthorq_consumer_registry SET attempt_max = 1',
        'TABLE kanthorq_delivery_state',
        'UPDATE kanthorq_delivery_state SET cursor = 0',
        'TABLE kanthorq_delivery_lease',
        'DELETE FROM kanthorq_delivery_lease']) AS statement
$$;
CREATE ROLE regress_kanthorq_nobody;
CREATE ROLE regress_kanthorq_owner;
CREATE ROLE regress_kanthorq_worker;
CREATE ROLE regress_kanthorq_member IN ROLE regress_kanthorq_owner;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_owner;

SELECT name FROM kanthorq_stream_create('consumer_privileges');
SELECT kanthorq_publish('consumer_privileges', 'event', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA9');
-- A consumer's owner needs to read the stream.
SET ROLE regress_kanthorq_owner;
SELECT pg_temp.answer($$SELECT kanthorq_consumer_create('consumer_privileges', 'consumer_privileges')$$);
RESET ROLE;
GRANT SELECT ON kanthorq_stream_consumer_privileges TO regress_kanthorq_owner;
SET ROLE regress_kanthorq_owner;
SELECT name FROM kanthorq_consumer_create('consumer_privileges', 'consumer_privileges');
RESET ROLE;
SELECT pg_get_userbyid(relowner) FROM pg_class
WHERE oid = kanthorq_consumer_table('consumer_privileges');

-- Nobody.
SET ROLE regress_kanthorq_nobody;
SELECT * FROM pg_temp.answers();
RESET ROLE;
-- A worker: SELECT on the stream's table and UPDATE on the consumer's; one is not enough.
GRANT UPDATE ON kanthorq_consumer_consumer_privileges TO regress_kanthorq_worker;
SET ROLE regress_kanthorq_worker;
SELECT * FROM pg_temp.answers() WHERE statement ~ '\(c' AND statement !~ 'alter|seek|drop|table';
RESET ROLE;
REVOKE UPDATE ON kanthorq_consumer_consumer_privileges FROM regress_kanthorq_worker;
GRANT SELECT ON kanthorq_stream_consumer_privileges TO regress_kanthorq_worker;
SET ROLE regress_kanthorq_worker;
SELECT * FROM pg_temp.answers() WHERE statement ~ '\(c' AND statement !~ 'alter|seek|drop|table';
RESET ROLE;
GRANT UPDATE ON kanthorq_consumer_consumer_privileges TO regress_kanthorq_worker;
SET ROLE regress_kanthorq_worker;
SELECT * FROM pg_temp.answers();
-- All of its work, from a session that has no more than that.
SELECT lease FROM kanthorq_pull('consumer_privileges') \gset
SELECT kanthorq_extend('consumer_privileges', :lease) IS NOT NULL AS extended;
SELECT kanthorq_nack('consumer_privileges', :lease, error => 'refused', retry_in => '0');
SELECT lease FROM kanthorq_pull('consumer_privileges') \gset
SELECT kanthorq_cancel('consumer_privileges', '{01ARZ3NDEKTSV4RRFFQ69G5FA9}');
SELECT kanthorq_resume('consumer_privileges', '{01ARZ3NDEKTSV4RRFFQ69G5FA9}');
SELECT lease FROM kanthorq_pull('consumer_privileges') \gset
SELECT kanthorq_ack('consumer_privileges', :lease);
CALL kanthorq_wait('consumer_privileges', '0');
RESET ROLE;
-- Whoever may read the consumer's table sees its tasks.
GRANT SELECT ON kanthorq_consumer_consumer_privileges TO regress_kanthorq_worker;
SET ROLE regress_kanthorq_worker;
SELECT * FROM pg_temp.answers() WHERE statement ~ 'task';
RESET ROLE;
-- SELECT on some columns is not enough: a pull delivers them all.
REVOKE SELECT ON kanthorq_stream_consumer_privileges FROM regress_kanthorq_worker;
GRANT SELECT (id, subject) ON kanthorq_stream_consumer_privileges TO regress_kanthorq_worker;
SET ROLE regress_kanthorq_worker;
SELECT * FROM pg_temp.answers() WHERE statement ~ 'pull';
RESET ROLE;
GRANT SELECT ON kanthorq_stream_consumer_privileges TO regress_kanthorq_worker;
-- The owner, and a member of its role.
SET ROLE regress_kanthorq_owner;
SELECT * FROM pg_temp.answers();
RESET ROLE;
SET ROLE regress_kanthorq_member;
SELECT * FROM pg_temp.answers() WHERE answer <> 'done';
RESET ROLE;
-- Without the right to create in the schema.
REVOKE CREATE ON SCHEMA public FROM regress_kanthorq_owner;
SET ROLE regress_kanthorq_owner;
SELECT * FROM pg_temp.answers() WHERE statement ~ 'create';
RESET ROLE;
-- None of that changed anything.
SELECT ordered, attempt_max FROM kanthorq_consumer_registry;

-- Row security on the stream: refused where it is in force, and not elsewhere.
ALTER TABLE kanthorq_stream_consumer_privileges ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON kanthorq_stream_consumer_privileges USING (true);
SET ROLE regress_kanthorq_worker;
SELECT * FROM kanthorq_pull('consumer_privileges');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.answers() WHERE statement ~ '\(c' AND statement !~ 'alter|seek|drop|table';
RESET ROLE;
SELECT count(*) FROM kanthorq_pull('consumer_privileges');
SET ROLE regress_kanthorq_owner;
SELECT pg_temp.answer($$SELECT kanthorq_consumer_seek('consumer_privileges', 'new', 'consumer_privileges')$$);
RESET ROLE;
ALTER TABLE kanthorq_stream_consumer_privileges OWNER TO regress_kanthorq_worker;
SET ROLE regress_kanthorq_worker;
SELECT count(*) FROM kanthorq_pull('consumer_privileges');
ALTER TABLE kanthorq_stream_consumer_privileges FORCE ROW LEVEL SECURITY;
SELECT pg_temp.answer($$SELECT kanthorq_pull('consumer_privileges')$$);
RESET ROLE;

SELECT kanthorq_stream_drop('consumer_privileges', confirm => 'consumer_privileges');
DROP ROLE regress_kanthorq_member, regress_kanthorq_nobody, regress_kanthorq_owner, regress_kanthorq_worker;
