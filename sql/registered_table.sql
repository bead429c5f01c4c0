-- Which table a name has is remembered, and so is whose the name is: after a table was dropped by hand,
-- no other table takes its place, and nobody else the name.

\set SHOW_CONTEXT never
CREATE ROLE regress_kanthorq_alice;
CREATE ROLE regress_kanthorq_mallory;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_alice, regress_kanthorq_mallory;
CREATE TABLE loot (who name, what text);
GRANT INSERT ON loot TO PUBLIC;

SET ROLE regress_kanthorq_alice;
SELECT name FROM kanthorq_stream_create('hand');
SELECT name FROM kanthorq_consumer_create('hand_worker', 'hand');
SELECT count(kanthorq_publish('hand', 'a.b', '')) FROM generate_series(1, 100);
SELECT kanthorq_ack('hand_worker', max(lease)) FROM kanthorq_pull('hand_worker', 60);
SELECT max(lease) AS lease FROM kanthorq_pull('hand_worker', 40) \gset
RESET ROLE;
SELECT kind, name, relation, owner FROM kanthorq_registered_table ORDER BY kind, name;

-- The very table counts, not its name: a rename, a new owner or a rewrite change nothing.
BEGIN;
VACUUM FULL kanthorq_stream_hand;
ROLLBACK;
VACUUM FULL kanthorq_stream_hand;
VACUUM FULL kanthorq_consumer_hand_worker;
CLUSTER kanthorq_stream_hand USING kanthorq_stream_hand__pkey;
ALTER TABLE kanthorq_stream_hand OWNER TO CURRENT_USER;
ALTER TABLE kanthorq_stream_hand RENAME TO elsewhere;
SELECT kind, name, relation, owner FROM kanthorq_registered_table ORDER BY kind, name;
SELECT test.refused_in_full($$SELECT kanthorq_publish('hand', 'a.b', '')$$);
SELECT test.refused_in_full($$SELECT kanthorq_stream_create('hand')$$);
SELECT test.refused_in_full($$SELECT kanthorq_stream_drop('hand', 'hand')$$);
ALTER TABLE elsewhere RENAME TO kanthorq_stream_hand;
ALTER TABLE kanthorq_stream_hand OWNER TO regress_kanthorq_alice;
SELECT kanthorq_publish('hand', 'a.b', '') IS NOT NULL AS published;
SELECT count(*) FROM kanthorq_events('hand', size => 1000);
ALTER TABLE kanthorq_consumer_hand_worker RENAME TO elsewhere;
SELECT test.refused_in_full($$SELECT * FROM kanthorq_pull('hand_worker')$$);
SELECT test.refused_in_full($$SELECT kanthorq_consumer_create('hand_worker', 'hand')$$);
SELECT test.refused_in_full($$SELECT kanthorq_consumer_drop('hand_worker', 'hand_worker')$$);
ALTER TABLE elsewhere RENAME TO kanthorq_consumer_hand_worker;

-- Dropped by hand, and created again by its owner: not while consumers have places in the old table.
SET ROLE regress_kanthorq_alice;
DROP TABLE kanthorq_stream_hand;
SELECT test.refused_in_full($$SELECT kanthorq_publish('hand', 'a.b', '')$$);
SELECT test.refused_in_full(format('SELECT kanthorq_ack(%L, %s)', 'hand_worker', :lease));
SELECT test.refused_in_full($$SELECT kanthorq_stream_create('hand')$$);
-- A table that the owner puts there is another one, too, even with the rows of the old one.
SELECT name FROM kanthorq_stream_create('hand_model');
CREATE TABLE kanthorq_stream_hand (LIKE kanthorq_stream_hand_model INCLUDING ALL);
SELECT test.refused_in_full($$SELECT kanthorq_stream_create('hand')$$);
SELECT test.refused_in_full($$SELECT kanthorq_publish('hand', 'a.b', '')$$);
DROP TABLE kanthorq_stream_hand;

-- Somebody else can't have the name: not by creating the stream, not by dropping it, not by a table of
-- the right name and shape, which nobody publishes to, reads, pulls from, trims or drops by mistake.
SET ROLE regress_kanthorq_mallory;
SELECT test.refused_in_full($$SELECT kanthorq_stream_create('hand')$$);
SELECT test.refused_in_full($$SELECT kanthorq_stream_drop('hand', 'hand')$$);
SELECT name FROM kanthorq_stream_create('mallory');
CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.loot VALUES (current_user, tg_table_name); RETURN new; END$$;
CREATE TRIGGER steal BEFORE INSERT ON kanthorq_stream_mallory FOR EACH ROW EXECUTE FUNCTION steal();
GRANT ALL ON kanthorq_stream_mallory TO PUBLIC;
ALTER TABLE kanthorq_stream_mallory RENAME TO kanthorq_stream_hand;
ALTER TABLE kanthorq_stream_hand ALTER txid SET DEFAULT kanthorq_txid('hand'::text);
SELECT test.refused_in_full($$SELECT kanthorq_stream_create('hand')$$);
RESET ROLE;
SELECT statement, test.refused_in_full(statement) FROM (VALUES
    ($$SELECT kanthorq_publish('hand', 'a.b', 'secret')$$),
    ($$SELECT kanthorq_publish_many('hand', '{a.b}', '{secret}')$$),
    ($$SELECT * FROM kanthorq_events('hand')$$),
    ($$SELECT * FROM kanthorq_pull('hand_worker')$$),
    ($$SELECT kanthorq_consumer_create('another', 'hand')$$),
    ($$SELECT kanthorq_event_remove('hand', '{01ARZ3NDEKTSV4RRFFQ69G5FAV}')$$),
    ($$SELECT kanthorq_stream_trim('hand', '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'hand', force => true)$$),
    ($$SELECT kanthorq_horizon('hand')$$),
    ($$SELECT kanthorq_stream_table('hand')$$),
    ($$SELECT kanthorq_stream_create('hand')$$)) AS v (statement);
SELECT name FROM kanthorq_streams ORDER BY name;
SELECT name FROM kanthorq_consumers ORDER BY name;
SELECT * FROM loot;

-- Its owner frees it; the other role's table stays where it is.
SET ROLE regress_kanthorq_alice;
SELECT kanthorq_stream_drop('hand', 'hand');
RESET ROLE;
SELECT 'kanthorq_stream_hand'::regclass AS still_there;
SELECT kind, name, relation, owner FROM kanthorq_registered_table ORDER BY kind, name;
SET ROLE regress_kanthorq_mallory;
ALTER TABLE kanthorq_stream_hand RENAME TO kanthorq_stream_mallory;
ALTER TABLE kanthorq_stream_mallory ALTER txid SET DEFAULT kanthorq_txid('mallory'::text);
DROP TRIGGER steal ON kanthorq_stream_mallory;
RESET ROLE;

-- Without consumers the owner may create it again, empty, and so may a superuser.
SET ROLE regress_kanthorq_alice;
SELECT name FROM kanthorq_stream_create('hand');
SELECT kanthorq_publish('hand', 'a.b', '') IS NOT NULL AS published;
DROP TABLE kanthorq_stream_hand;
SELECT name FROM kanthorq_stream_create('hand');
SELECT count(*) FROM kanthorq_events('hand');
DROP OWNED BY regress_kanthorq_alice;
RESET ROLE;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_alice;
SELECT name FROM kanthorq_stream_create('hand');
SELECT relation, owner = current_user AS mine FROM kanthorq_registered_table WHERE name = 'hand';
SELECT kanthorq_stream_drop('hand', 'hand'), kanthorq_stream_drop('hand_model', 'hand_model');

-- A consumer whose table was dropped by hand says what to do, and its name is its owner's as well.
SET ROLE regress_kanthorq_alice;
SELECT name FROM kanthorq_stream_create('hand');
SELECT name FROM kanthorq_consumer_create('hand_worker', 'hand');
DROP TABLE kanthorq_consumer_hand_worker;
SELECT test.refused_in_full($$SELECT kanthorq_consumer_create('hand_worker', 'hand')$$);
SELECT test.refused_in_full($$SELECT * FROM kanthorq_pull('hand_worker')$$);
GRANT SELECT ON kanthorq_stream_hand TO regress_kanthorq_mallory;
SET ROLE regress_kanthorq_mallory;
SELECT test.refused_in_full($$SELECT kanthorq_consumer_create('hand_worker', 'hand')$$);
SELECT test.refused_in_full($$SELECT kanthorq_consumer_drop('hand_worker', 'hand_worker')$$);
SELECT name FROM kanthorq_consumer_create('model', 'hand');
ALTER TABLE kanthorq_consumer_model RENAME TO kanthorq_consumer_hand_worker;
GRANT ALL ON kanthorq_consumer_hand_worker TO PUBLIC;
RESET ROLE;
SELECT statement, test.refused_in_full(statement) FROM (VALUES
    ($$SELECT * FROM kanthorq_pull('hand_worker')$$),
    ($$SELECT kanthorq_tasks('hand_worker')$$),
    ($$SELECT kanthorq_consumer_table('hand_worker')$$),
    ($$SELECT kanthorq_consumer_alter('hand_worker', includes => '{stolen}')$$),
    ($$SELECT kanthorq_consumer_seek('hand_worker', 'new', 'hand_worker')$$),
    ($$SELECT kanthorq_consumer_create('hand_worker', 'hand')$$)) AS v (statement);
SET ROLE regress_kanthorq_alice;
SELECT kanthorq_consumer_drop('hand_worker', 'hand_worker');
SET ROLE regress_kanthorq_mallory;
ALTER TABLE kanthorq_consumer_hand_worker RENAME TO kanthorq_consumer_model;
SELECT kanthorq_consumer_drop('model', 'model');
RESET ROLE;

-- A role that is gone owns no name: the owner of the extension frees it.
SET ROLE regress_kanthorq_alice;
DROP TABLE kanthorq_stream_hand;
RESET ROLE;
ALTER ROLE regress_kanthorq_alice RENAME TO regress_kanthorq_alice_2;
SET ROLE regress_kanthorq_alice_2;
SELECT test.refused_in_full($$SELECT kanthorq_stream_drop('hand', 'hand')$$);
RESET ROLE;
SELECT kanthorq_stream_drop('hand', 'hand');

-- A table that Citus manages is no stream: its rows may be elsewhere.
SELECT name FROM kanthorq_stream_create('hand');
SELECT name FROM kanthorq_consumer_create('hand_worker', 'hand');
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass PRIMARY KEY, partmethod "char");
SELECT kanthorq_publish('hand', 'a.b', '') IS NOT NULL AS published;
INSERT INTO pg_catalog.pg_dist_partition VALUES ('kanthorq_stream_hand', 'h');
ALTER TABLE kanthorq_stream_hand ALTER body SET STATISTICS 10;  -- as Citus, which says that it changed the table
SELECT test.refused_in_full($$SELECT kanthorq_publish('hand', 'a.b', '')$$);
SELECT test.refused_in_full($$SELECT * FROM kanthorq_pull('hand_worker')$$);
SELECT name FROM kanthorq_streams WHERE name = 'hand';
ROLLBACK;
SELECT kanthorq_publish('hand', 'a.b', '') IS NOT NULL AS published;

-- So many consumers that dropping them at once would use up the server's room for locks: said before,
-- and in batches it goes.
BEGIN;
SELECT max_locks / 24 + 1 AS consumers FROM (
    SELECT current_setting('max_locks_per_transaction')::int
        * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS max_locks) s \gset
INSERT INTO kanthorq_consumer_registry
SELECT 'hand_' || i, 'hand', '{>}', '{}', '{}', 16, 1000, false, 0, 0
FROM generate_series(1, 2 * :consumers) AS i;
SELECT split_part(test.refused_in_full($$SELECT kanthorq_stream_drop('hand', 'hand')$$), E'\n', 1);
ROLLBACK;
SELECT kanthorq_stream_drop('hand', 'hand');

SET ROLE regress_kanthorq_mallory;
SELECT kanthorq_stream_drop('mallory', 'mallory');
DROP FUNCTION steal();
RESET ROLE;
SELECT * FROM kanthorq_registered_table;
DROP TABLE loot;
DROP OWNED BY regress_kanthorq_alice_2, regress_kanthorq_mallory;
DROP ROLE regress_kanthorq_alice_2, regress_kanthorq_mallory;
