-- Who may do what. Everything runs as its caller, so rights are ordinary grants on ordinary tables:
-- CREATE on the schema to create a stream, INSERT on its table to publish, SELECT to read,
-- ownership to remove, trim and drop. Each operation is tried as each role; each answer is
-- expected, and what is not allowed fails with 42501 and nothing else.
BEGIN;

CREATE ROLE kanthorq_superuser SUPERUSER;
CREATE ROLE kanthorq_owner;
CREATE ROLE kanthorq_publisher;
CREATE ROLE kanthorq_columns_publisher;
CREATE ROLE kanthorq_reader;
CREATE ROLE kanthorq_nobody;
CREATE ROLE kanthorq_noinherit_member NOINHERIT;
CREATE ROLE kanthorq_creator;
CREATE ROLE kanthorq_all_but_owner;
CREATE ROLE kanthorq_owners_heir INHERIT;
CREATE ROLE kanthorq_owners_noinherit_member NOINHERIT;

GRANT CREATE ON SCHEMA public TO kanthorq_owner, kanthorq_creator;
SET LOCAL ROLE kanthorq_owner;
CREATE TEMPORARY TABLE setup AS SELECT (kanthorq_stream_create('orders')).name::text;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM kanthorq_owner;  -- it has its stream; that must suffice

GRANT INSERT ON kanthorq_stream_orders TO kanthorq_publisher;
GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_orders
    TO kanthorq_columns_publisher;
GRANT SELECT ON kanthorq_stream_orders TO kanthorq_reader;
GRANT ALL ON kanthorq_stream_orders TO kanthorq_all_but_owner;
GRANT kanthorq_publisher, kanthorq_reader TO kanthorq_noinherit_member;
GRANT kanthorq_owner TO kanthorq_owners_heir, kanthorq_owners_noinherit_member;

INSERT INTO kanthorq_stream_orders (id, subject, body) VALUES
    ('00000000000000000000000001', 'order.created', ''),
    ('00000000000000000000000002', 'order.confirmed', ''),
    ('00000000000000000000000003', 'payment.confirmed', '');

-- What the statement answers when this role runs it: its one value, or how many rows it wrote, or
-- the SQLSTATE of its error. Its effects are undone.
CREATE FUNCTION pg_temp.answer(role text, statement text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', role, true);
    IF statement LIKE 'SELECT%' THEN
        EXECUTE statement INTO answer;
    ELSE
        EXECUTE statement;
        GET DIAGNOSTICS answer = ROW_COUNT;
    END IF;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO0';
EXCEPTION
    WHEN SQLSTATE 'UNDO0' THEN RETURN answer;
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;

-- The matrix. Cells stand in the order of the roles: y(es), the role gets the answer in the second
-- column, be it a refusal by the table itself; n(o), it gets 42501.
CREATE TEMPORARY TABLE role_order AS
SELECT * FROM unnest(ARRAY[
    'kanthorq_superuser', 'kanthorq_owner', 'kanthorq_owners_heir', 'kanthorq_all_but_owner',
    'kanthorq_publisher', 'kanthorq_columns_publisher', 'kanthorq_reader', 'kanthorq_creator',
    'kanthorq_nobody', 'kanthorq_noinherit_member', 'kanthorq_owners_noinherit_member'])
    WITH ORDINALITY AS r (role, number);
CREATE TEMPORARY TABLE matrix (
    cells text, answer text, statement text, number integer GENERATED ALWAYS AS IDENTITY
);
INSERT INTO matrix VALUES
-- superuser
-- |  owner
-- |  |  owner's heir
-- |  |  |  all but owner
-- |  |  |  |  publisher
-- |  |  |  |  |  publisher by columns
-- |  |  |  |  |  |  reader
-- |  |  |  |  |  |  |  creator
-- |  |  |  |  |  |  |  |  nobody
-- |  |  |  |  |  |  |  |  |  NOINHERIT member of publisher and reader
-- |  |  |  |  |  |  |  |  |  |  NOINHERIT member of the owner
 ('y  n  n  n  n  n  n  y  n  n  n', 'payments',
  $$SELECT (kanthorq_stream_create('payments')).name$$),
 ('y  n  n  n  n  n  n  y  n  n  n', 'orders',
  $$SELECT (kanthorq_stream_create('orders')).name$$),
 ('y  y  y  y  y  y  y  y  y  y  y', 'kanthorq_stream_orders',
  $$SELECT kanthorq_stream_table('orders')$$),
 ('y  y  y  n  n  n  n  n  n  n  n', 'true',
  $$SELECT kanthorq_stream_drop('orders', 'orders')$$),
 ('y  y  y  y  y  y  n  n  n  n  n', '00000000000000000000000009',
  $$SELECT kanthorq_publish('orders', 'order', '', id => '00000000000000000000000009')$$),
 ('y  y  y  y  y  y  n  n  n  n  n', '00000000000000000000000009',
  $$SELECT kanthorq_publish_text('orders', 'order', '', id => '00000000000000000000000009')$$),
 ('y  y  y  y  y  y  n  n  n  n  n', '00000000000000000000000009',
  $$SELECT kanthorq_publish_json('orders', 'order', '{}', id => '00000000000000000000000009')$$),
 ('y  y  y  y  y  y  n  n  n  n  n', '2',
  $$SELECT cardinality(kanthorq_publish_many('orders', '{order,order}', '{"",""}'))$$),
 ('y  y  y  y  y  y  n  n  n  n  n', '00000000000000000000000001',
  $$SELECT kanthorq_publish('orders', 'order', '', id => '00000000000000000000000001',
                            on_duplicate => 'skip')$$),
 ('y  y  y  y  y  y  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_stream_orders (id, subject, body, metadata, created_at)
    VALUES ('00000000000000000000000009', 'order', '', '{}', 0)$$),
 ('y  y  y  y  y  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_stream_orders (id, subject, body, metadata, created_at, txid)
    VALUES ('00000000000000000000000009', 'order', '', '{}', 0, '3')$$),
 ('y  y  y  y  y  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_stream_orders (subject, body, position) OVERRIDING SYSTEM VALUE
    VALUES ('order', '', 99)$$),
 ('y  y  y  y  n  n  y  n  n  n  n', '3',
  $$SELECT count(*) FROM kanthorq_events('orders')$$),
 ('y  y  y  y  n  n  y  n  n  n  n', '3',
  $$SELECT count(*) FROM kanthorq_events('orders', since => '1970-01-01 00:00:00Z',
                                         until => '1970-01-02 00:00:00Z')$$),
 ('y  y  y  y  n  n  y  n  n  n  n', '1',
  $$SELECT count(*) FROM kanthorq_event_get('orders', '00000000000000000000000001')$$),
 ('y  y  y  y  n  n  y  n  n  n  n', '0',
  $$SELECT count(*) FROM kanthorq_event_get('orders', '00000000000000000000000009')$$),
 ('y  y  y  y  n  n  y  n  n  n  n', '3',
  $$SELECT count(*) FROM kanthorq_events_by_subject('orders')$$),
 ('y  y  y  y  n  n  y  n  n  n  n', '3',
  $$SELECT count(*) FROM kanthorq_stream_orders$$),
 ('y  y  y  n  n  n  n  n  n  n  n', '1',
  $$SELECT kanthorq_event_remove('orders', '{00000000000000000000000001}')$$),
 ('y  y  y  n  n  n  n  n  n  n  n', '2',
  $$SELECT kanthorq_stream_trim('orders', '00000000000000000000000003', 'orders')$$),
 ('y  y  y  n  n  n  n  n  n  n  n', '2',
  $$SELECT kanthorq_stream_trim('orders', '00000000000000000000000003', 'orders', force => true)$$),
 ('y  y  y  y  n  n  n  n  n  n  n', '55000',
  $$UPDATE kanthorq_stream_orders SET body = 'x'$$),
 ('y  y  y  y  n  n  n  n  n  n  n', '55000',
  $$DELETE FROM kanthorq_stream_orders$$),
 ('y  y  y  y  n  n  n  n  n  n  n', '55000',
  $$TRUNCATE kanthorq_stream_orders$$),
 ('y  y  y  y  y  y  y  y  y  y  y', '1',
  $$SELECT count(*) FROM kanthorq_stream_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_stream_registry (name) VALUES ('payments')$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '1',
  $$UPDATE kanthorq_stream_registry SET updated_at = 0$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '1',
  $$DELETE FROM kanthorq_stream_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '0',
  $$TRUNCATE kanthorq_stream_registry$$);

SELECT plan((SELECT count(*) FROM matrix, role_order)::integer + 55);

SELECT is(
    (SELECT count(*) FROM matrix, regexp_split_to_table(cells, ' +')),
    11 * (SELECT count(*) FROM matrix), 'the matrix has a cell for each role and operation');
SELECT is(
    pg_temp.answer(r.role, statement), x.wanted,
    format('%s gets %s: %s', r.role, x.wanted, regexp_replace(statement, '\s+', ' ', 'g')))
FROM matrix m, regexp_split_to_table(m.cells, ' +') WITH ORDINALITY AS c (cell, number)
JOIN role_order r USING (number),
LATERAL (SELECT CASE c.cell WHEN 'y' THEN m.answer WHEN 'n' THEN '42501' END AS wanted) AS x
ORDER BY m.number, r.number;

-- What the matrix can't say

SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
      WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND p.prosecdef
        AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kanthorq')$$,
    'no function of the extension is SECURITY DEFINER');

-- A member that does not inherit becomes the publisher by SET ROLE, as with any table.
SELECT is(
    pg_temp.answer('kanthorq_noinherit_member',
                   $$INSERT INTO kanthorq_stream_orders (subject, body) VALUES ('order', '')$$),
    '42501', 'before SET ROLE a NOINHERIT member of the publisher may not insert');
SET LOCAL SESSION AUTHORIZATION kanthorq_noinherit_member;
SET LOCAL ROLE kanthorq_publisher;
CREATE TEMPORARY TABLE by_member AS SELECT kanthorq_publish('orders', 'order', '') AS id;
RESET SESSION AUTHORIZATION;
SELECT is(
    (SELECT count(*) FROM kanthorq_stream_orders WHERE id IN (SELECT id FROM by_member)),
    1::bigint, 'after SET ROLE it publishes');
DROP TABLE by_member;

-- The columns that publishing needs are the five of an event: no more, no fewer.
CREATE ROLE kanthorq_lacks_a_column;
CREATE FUNCTION pg_temp.answer_without(missing text) RETURNS text LANGUAGE plpgsql AS
$$
BEGIN
    REVOKE ALL ON kanthorq_stream_orders FROM kanthorq_lacks_a_column;
    EXECUTE format('GRANT INSERT (%s) ON kanthorq_stream_orders TO kanthorq_lacks_a_column',
                   array_to_string(array_remove('{id,subject,body,metadata,created_at,txid}',
                                                missing), ', '));
    RETURN pg_temp.answer('kanthorq_lacks_a_column',
                          'SELECT kanthorq_publish(''orders'', ''order'', '''') IS NULL');
END
$$;
SELECT is(pg_temp.answer_without(missing), CASE missing WHEN 'txid' THEN 'false' ELSE '42501' END,
          format('INSERT without the column %s', missing))
FROM unnest(ARRAY['id', 'subject', 'body', 'metadata', 'created_at', 'txid']) AS missing;
SELECT is(pg_temp.answer_without('metadata'), '42501', 'a column''s right that is gone is missed');
CREATE ROLE kanthorq_two_columns;
GRANT INSERT (txid, position) ON kanthorq_stream_orders TO kanthorq_two_columns;
SELECT is(
    pg_temp.answer('kanthorq_two_columns', $$SELECT kanthorq_publish('orders', 'order', '')$$),
    '42501', 'INSERT on the other two columns does not suffice');

-- A right that is taken away is gone for the next event, also in a session that has published.
SELECT is(
    pg_temp.answer('kanthorq_publisher',
                   $$SELECT kanthorq_publish('orders', 'order', '') IS NULL$$),
    'false', 'the publisher publishes');
REVOKE INSERT ON kanthorq_stream_orders FROM kanthorq_publisher;
SELECT is(
    pg_temp.answer('kanthorq_publisher',
                   $$SELECT kanthorq_publish('orders', 'order', '') IS NULL$$),
    '42501', 'until its right is revoked');
GRANT INSERT ON kanthorq_stream_orders TO kanthorq_publisher;

-- A new owner
CREATE ROLE kanthorq_new_owner;
SAVEPOINT before_new_owner;
ALTER TABLE kanthorq_stream_orders OWNER TO kanthorq_new_owner;
SELECT is(
    pg_temp.answer(role, $$SELECT kanthorq_stream_drop('orders', 'orders')$$), wanted, description)
FROM (VALUES
    ('kanthorq_owner', '42501', 'who gave the table away may not drop the stream any more'),
    ('kanthorq_new_owner', 'true', 'its new owner may')) AS v (role, wanted, description);
ROLLBACK TO SAVEPOINT before_new_owner;

-- The owner of the schema may drop any table in it by hand, but a stream is its owner's.
CREATE ROLE kanthorq_schema_owner;
SAVEPOINT before_schema_owner;
ALTER SCHEMA public OWNER TO kanthorq_schema_owner;
SELECT is(
    pg_temp.answer('kanthorq_schema_owner', statement), wanted,
    'the owner of the schema: ' || statement)
FROM (VALUES
    ($$SELECT kanthorq_stream_drop('orders', 'orders')$$, '42501'),
    ($$SELECT kanthorq_event_remove('orders', '{00000000000000000000000001}')$$, '42501'),
    ($$SELECT kanthorq_publish('orders', 'order', '')$$, '42501'),
    ($$SELECT (kanthorq_stream_create('payments')).name$$, 'payments')) AS v (statement, wanted);
ROLLBACK TO SAVEPOINT before_schema_owner;

-- A stream is not adopted from under its owner.
SAVEPOINT before_unregistered;
CREATE TABLE kanthorq_stream_found
    (LIKE kanthorq_stream_orders INCLUDING IDENTITY INCLUDING INDEXES);
ALTER TABLE kanthorq_stream_found OWNER TO kanthorq_owner;
SELECT is(
    pg_temp.answer('kanthorq_creator', $$SELECT (kanthorq_stream_create('found')).name$$), '42501',
    'somebody else''s table can''t be made a stream of one''s own');
GRANT CREATE ON SCHEMA public TO kanthorq_owner;
SELECT is(
    pg_temp.answer('kanthorq_owner', $$SELECT (kanthorq_stream_create('found')).name$$), 'found',
    'its owner may make it one');
ROLLBACK TO SAVEPOINT before_unregistered;

-- A stream whose table was dropped by hand can be taken off the registry by who may create streams.
SAVEPOINT before_dropped;
DROP TABLE kanthorq_stream_orders;
SELECT is(
    pg_temp.answer(role, $$SELECT kanthorq_stream_drop('orders', 'orders')$$), wanted, description)
FROM (VALUES
    ('kanthorq_nobody', '42501', 'nobody may not take a lost stream off the registry'),
    ('kanthorq_creator', 'true', 'who may create streams may')) AS v (role, wanted, description);
ROLLBACK TO SAVEPOINT before_dropped;

-- Without USAGE on the schema there is nothing at all.
SAVEPOINT before_usage;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SELECT is(
    pg_temp.answer('kanthorq_publisher', $$SELECT public.kanthorq_publish('orders', 'order', '')$$),
    '42501', 'a grant on the table is nothing without USAGE on the schema');
ROLLBACK TO SAVEPOINT before_usage;

-- Row security is obeyed or refused, never bypassed.

CREATE ROLE kanthorq_bypasser BYPASSRLS;
GRANT INSERT, SELECT ON kanthorq_stream_orders TO kanthorq_bypasser;
ALTER TABLE kanthorq_stream_orders ENABLE ROW LEVEL SECURITY;

SELECT is(pg_temp.answer(role, statement), wanted, 'row security without a policy: ' || description)
FROM (VALUES
    ('kanthorq_publisher', $$SELECT kanthorq_publish('orders', 'order', '')$$, '42501',
     'kanthorq_publish is refused'),
    ('kanthorq_publisher', $$SELECT kanthorq_publish_many('orders', '{order}', '{""}')$$, '42501',
     'kanthorq_publish_many is refused'),
    ('kanthorq_columns_publisher', $$SELECT kanthorq_publish('orders', 'order', '')$$, '42501',
     'also with rights on the five columns'),
    ('kanthorq_publisher',
     $$INSERT INTO kanthorq_stream_orders (subject, body) VALUES ('order', '')$$, '42501',
     'as INSERT is'),
    ('kanthorq_reader', $$SELECT count(*) FROM kanthorq_events('orders')$$, '0',
     'kanthorq_events shows nothing'),
    ('kanthorq_reader', $$SELECT count(*) FROM kanthorq_events_by_subject('orders')$$, '0',
     'kanthorq_events_by_subject shows nothing'),
    ('kanthorq_reader',
     $$SELECT count(*) FROM kanthorq_event_get('orders', '00000000000000000000000001')$$, '0',
     'kanthorq_event_get shows nothing'),
    ('kanthorq_owner', $$SELECT kanthorq_publish('orders', 'order', '') IS NULL$$, 'false',
     'the owner is not subject to it and publishes'),
    ('kanthorq_owner', $$SELECT kanthorq_event_remove('orders', '{00000000000000000000000001}')$$,
     '1', 'and removes'),
    ('kanthorq_bypasser', $$SELECT kanthorq_publish('orders', 'order', '') IS NULL$$, 'false',
     'BYPASSRLS publishes'),
    ('kanthorq_nobody', $$SELECT kanthorq_publish('orders', 'order', '')$$, '42501',
     'who has no right has none')) AS v (role, statement, wanted, description);

SET LOCAL row_security = off;
SELECT is(pg_temp.answer(role, statement), '42501', 'with row_security off: ' || description)
FROM (VALUES
    ('kanthorq_publisher', $$SELECT kanthorq_publish('orders', 'order', '')$$,
     'publishing is refused, not waved through'),
    ('kanthorq_reader', $$SELECT count(*) FROM kanthorq_events('orders')$$,
     'reading is refused, not waved through')) AS v (role, statement, description);
RESET row_security;

CREATE POLICY orders_only ON kanthorq_stream_orders FOR INSERT
    TO kanthorq_publisher, kanthorq_columns_publisher WITH CHECK (subject LIKE 'order.%');
CREATE POLICY payments_only ON kanthorq_stream_orders FOR SELECT
    TO kanthorq_reader USING (subject LIKE 'payment.%');
SELECT is(pg_temp.answer(role, statement), wanted, 'row security with policies: ' || description)
FROM (VALUES
    ('kanthorq_publisher', $$SELECT kanthorq_publish('orders', 'order.created', '') IS NULL$$,
     'false', 'what the policy allows is published'),
    ('kanthorq_publisher', $$SELECT kanthorq_publish('orders', 'payment.created', '') IS NULL$$,
     '42501', 'what it does not allow is refused'),
    ('kanthorq_columns_publisher',
     $$SELECT kanthorq_publish('orders', 'order.created', '') IS NULL$$, 'false',
     'rights on the five columns suffice'),
    ('kanthorq_publisher',
     $$SELECT kanthorq_publish_many('orders', '{order.created,payment.created}', '{"",""}')$$,
     '42501', 'one event that is not allowed refuses the batch'),
    ('kanthorq_publisher', $$SELECT cardinality(kanthorq_publish_many('orders',
                             '{order.created,order.created}', '{"",""}'))$$,
     '2', 'a batch of allowed events is published'),
    ('kanthorq_reader', $$SELECT string_agg(id, ' ') FROM kanthorq_events('orders')$$,
     '00000000000000000000000003', 'kanthorq_events shows what the policy shows'),
    ('kanthorq_reader', $$SELECT string_agg(id, ' ') FROM kanthorq_events_by_subject('orders')$$,
     '00000000000000000000000003', 'so does kanthorq_events_by_subject'),
    ('kanthorq_reader',
     $$SELECT count(*) FROM kanthorq_event_get('orders', '00000000000000000000000001')$$, '0',
     'kanthorq_event_get does not tell what is hidden from what is not there'))
    AS v (role, statement, wanted, description);

ALTER TABLE kanthorq_stream_orders FORCE ROW LEVEL SECURITY;
SELECT is(pg_temp.answer('kanthorq_owner', statement), wanted,
          'forced row security: ' || description)
FROM (VALUES
    ($$SELECT kanthorq_publish('orders', 'order.created', '')$$, '42501',
     'binds the owner who publishes'),
    ($$SELECT kanthorq_event_remove('orders', '{00000000000000000000000001}')$$, '0',
     'and the owner who removes')) AS v (statement, wanted, description);
ALTER TABLE kanthorq_stream_orders NO FORCE ROW LEVEL SECURITY;
ALTER TABLE kanthorq_stream_orders DISABLE ROW LEVEL SECURITY;

-- Where the table is out of the ordinary, publishing goes another way and needs the same rights.

CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER own BEFORE INSERT ON kanthorq_stream_orders
    FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
SELECT is(
    pg_temp.answer(role, $$SELECT kanthorq_publish('orders', 'order', '') IS NULL$$), wanted,
    format('with a trigger of one''s own: %s is answered %s', role, wanted))
FROM (VALUES
    ('kanthorq_publisher', 'false'), ('kanthorq_columns_publisher', 'false'),
    ('kanthorq_lacks_a_column', '42501'), ('kanthorq_reader', '42501'),
    ('kanthorq_nobody', '42501')) AS v (role, wanted);
SELECT is(
    pg_temp.answer('kanthorq_publisher',
                   $$SELECT kanthorq_publish('orders', 'order', '', on_duplicate => 'skip',
                                             id => '00000000000000000000000001')$$),
    '42501',
    'with a trigger of one''s own: skip asks for SELECT on the id as well, as ON CONFLICT does');
GRANT SELECT (id) ON kanthorq_stream_orders TO kanthorq_publisher;
SELECT is(
    pg_temp.answer('kanthorq_publisher',
                   $$SELECT kanthorq_publish('orders', 'order', '', on_duplicate => 'skip',
                                             id => '00000000000000000000000001')$$),
    '00000000000000000000000001',
    'with a trigger of one''s own: INSERT and SELECT on the id suffice to publish an event again');

SELECT * FROM finish();
ROLLBACK;
