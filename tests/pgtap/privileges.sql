-- Who may do what. Everything runs as its caller, so rights are ordinary grants on ordinary tables:
-- CREATE on the schema to create a stream or a consumer, INSERT on a stream's table to publish,
-- SELECT to read, and UPDATE on the consumer's table as well to consume, ownership to remove, trim,
-- alter, seek and drop. Each operation is tried as each role; each answer is expected, and what is
-- not allowed fails with 42501 and nothing else.

-- A pull delivers what is committed, so these events are, before the transaction that is undone.
CREATE TEMPORARY TABLE setup AS SELECT (kanthorq_stream_create('payments')).name::text AS done;
INSERT INTO kanthorq_stream_payments (id, subject, body)
SELECT '0000000000000000000000000' || number, 'payment.made', ''
FROM generate_series(1, 5) AS number;

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
GRANT INSERT ON setup TO kanthorq_owner;
SET LOCAL ROLE kanthorq_owner;
INSERT INTO setup SELECT (kanthorq_stream_create('orders')).name;
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
 ('y  n  n  n  n  n  n  y  n  n  n', 'refunds',
  $$SELECT (kanthorq_stream_create('refunds')).name$$),
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
 ('y  y  y  y  y  y  y  y  y  y  y', '2',
  $$SELECT count(*) FROM kanthorq_stream_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_stream_registry (name) VALUES ('refunds')$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '2',
  $$UPDATE kanthorq_stream_registry SET updated_at = 0$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '2',
  $$DELETE FROM kanthorq_stream_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n', '0',
  $$TRUNCATE kanthorq_stream_registry$$);

SELECT plan((SELECT count(*) FROM matrix, role_order)::integer + 55 + 14 * 44 + 34);

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
    ($$SELECT (kanthorq_stream_create('refunds')).name$$, 'refunds')) AS v (statement, wanted);
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

-- A stream whose table was dropped by hand can be taken off the registry by whose it was.
SAVEPOINT before_dropped;
DROP TABLE kanthorq_stream_orders;
SELECT is(
    pg_temp.answer(role, $$SELECT kanthorq_stream_drop('orders', 'orders')$$), wanted, description)
FROM (VALUES
    ('kanthorq_nobody', '42501', 'nobody may not take a lost stream off the registry'),
    ('kanthorq_creator', '42501', 'nor may who may create streams'),
    ('kanthorq_owner', 'true', 'whose it was may')) AS v (role, wanted, description);
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

-- If the table is out of the ordinary, publishing goes another way and needs the same rights.

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

-- Consumers: the stream is one's, the consumer another's.

CREATE ROLE kanthorq_consumer_owner;
CREATE ROLE kanthorq_consumer_heir INHERIT;
CREATE ROLE kanthorq_consumer_noinherit NOINHERIT;
CREATE ROLE kanthorq_worker;
CREATE ROLE kanthorq_columns_worker;
CREATE ROLE kanthorq_blind_worker;
CREATE ROLE kanthorq_auditor;
CREATE ROLE kanthorq_reading_creator;
GRANT CREATE ON SCHEMA public TO kanthorq_consumer_owner, kanthorq_reading_creator;

ALTER TABLE kanthorq_stream_payments OWNER TO kanthorq_owner;
SET LOCAL ROLE kanthorq_owner;
GRANT SELECT ON kanthorq_stream_payments TO kanthorq_consumer_owner, kanthorq_worker,
    kanthorq_columns_worker, kanthorq_auditor, kanthorq_reading_creator, kanthorq_reader;
GRANT ALL ON kanthorq_stream_payments TO kanthorq_all_but_owner;
RESET ROLE;
GRANT INSERT ON setup TO kanthorq_consumer_owner;
SET LOCAL ROLE kanthorq_consumer_owner;
INSERT INTO setup SELECT (kanthorq_consumer_create('mailer', 'payments')).name;
GRANT UPDATE ON kanthorq_consumer_mailer TO kanthorq_worker, kanthorq_blind_worker;
GRANT UPDATE (event_id, subject, state, attempt_count, schedule_at, attempted_at, attempted_error,
              finalized_at) ON kanthorq_consumer_mailer TO kanthorq_columns_worker;
GRANT SELECT ON kanthorq_consumer_mailer TO kanthorq_auditor;
GRANT ALL ON kanthorq_consumer_mailer TO kanthorq_all_but_owner;
RESET ROLE;
GRANT kanthorq_consumer_owner TO kanthorq_consumer_heir, kanthorq_consumer_noinherit;
REVOKE CREATE ON SCHEMA public FROM kanthorq_consumer_owner;

-- 1 is running, 2 retryable, 3 cancelled, 4 and 5 are available.
CREATE TEMPORARY TABLE held AS SELECT DISTINCT lease FROM kanthorq_pull('mailer', 2);
INSERT INTO setup
SELECT kanthorq_nack('mailer', lease, '{00000000000000000000000002}', retry_in => '1 hour')::text
FROM held;
INSERT INTO setup SELECT kanthorq_cancel('mailer', '{00000000000000000000000003}')::text;

TRUNCATE role_order, matrix RESTART IDENTITY;
INSERT INTO role_order
SELECT * FROM unnest(ARRAY[
    'kanthorq_superuser', 'kanthorq_consumer_owner', 'kanthorq_consumer_heir',
    'kanthorq_all_but_owner', 'kanthorq_worker', 'kanthorq_blind_worker',
    'kanthorq_columns_worker', 'kanthorq_auditor', 'kanthorq_reader', 'kanthorq_owner',
    'kanthorq_reading_creator', 'kanthorq_creator', 'kanthorq_nobody',
    'kanthorq_consumer_noinherit']) WITH ORDINALITY;
-- A third kind of cell: h(idden), the role gets null. {lease} is the lease that holds the event 1.
INSERT INTO matrix VALUES
-- superuser
-- |  consumer's owner
-- |  |  its heir
-- |  |  |  all on both tables, but owner of neither
-- |  |  |  |  worker: SELECT on the stream, UPDATE on the consumer
-- |  |  |  |  |  blind worker: UPDATE on the consumer only
-- |  |  |  |  |  |  worker by columns
-- |  |  |  |  |  |  |  auditor: SELECT on both
-- |  |  |  |  |  |  |  |  reader: SELECT on the stream
-- |  |  |  |  |  |  |  |  |  stream's owner
-- |  |  |  |  |  |  |  |  |  |  creator who may read the stream
-- |  |  |  |  |  |  |  |  |  |  |  creator who may not
-- |  |  |  |  |  |  |  |  |  |  |  |  nobody
-- |  |  |  |  |  |  |  |  |  |  |  |  |  NOINHERIT member of the consumer's owner
 ('y  n  n  n  n  n  n  n  n  n  y  n  n  n', 'printer',
  $$SELECT (kanthorq_consumer_create('printer', 'payments')).name$$),
 ('y  n  n  n  n  n  n  n  n  n  y  n  n  n', 'mailer',
  $$SELECT (kanthorq_consumer_create('mailer', 'payments')).name$$),
 ('y  y  y  y  y  y  y  y  y  y  y  y  y  y', 'kanthorq_consumer_mailer',
  $$SELECT kanthorq_consumer_table('mailer')$$),
 ('y  y  y  n  n  n  n  n  n  n  n  n  n  n', '3',
  $$SELECT (kanthorq_consumer_alter('mailer', attempt_max => 3)).attempt_max$$),
 ('y  y  y  n  n  n  n  n  n  n  n  n  n  n', 'mailer',
  $$SELECT (kanthorq_consumer_alter('mailer')).name$$),
 ('y  y  y  n  n  n  n  n  n  n  n  n  n  n', '5',
  $$SELECT kanthorq_consumer_seek('mailer', 'new', 'mailer')$$),
 ('y  y  y  n  n  n  n  n  n  n  n  n  n  n', 'true',
  $$SELECT kanthorq_consumer_drop('mailer', 'mailer')$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '2',
  $$SELECT count(*) FROM kanthorq_pull('mailer')$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '1',
  $$SELECT kanthorq_ack('mailer', {lease})$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '1',
  $$SELECT kanthorq_ack('mailer', {lease}, '{00000000000000000000000001}')$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', 'KQ001',
  $$SELECT kanthorq_ack('mailer', 1)$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '1',
  $$SELECT kanthorq_nack('mailer', {lease}, error => 'no paper')$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', 'true',
  $$SELECT kanthorq_extend('mailer', {lease}, '1 hour') > now()$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '{00000000000000000000000001}',
  $$SELECT kanthorq_cancel('mailer', '{00000000000000000000000001}')$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '{00000000000000000000000004}',
  $$SELECT kanthorq_cancel('mailer', '{00000000000000000000000004}')$$),
 ('y  y  y  y  y  n  n  n  n  n  n  n  n  n', '{00000000000000000000000003}',
  $$SELECT kanthorq_resume('mailer', '{00000000000000000000000003}')$$),
 ('y  y  y  y  n  n  n  y  n  n  n  n  n  n', 'running',
  $$SELECT kanthorq_task_state('mailer', '00000000000000000000000001')$$),
 ('y  y  y  y  n  n  n  y  n  n  n  n  n  n', '2',
  $$SELECT count(*) FROM kanthorq_tasks('mailer')$$),
 ('y  y  y  y  n  n  n  y  n  n  n  n  n  n', '2',
  $$SELECT count(*) FROM kanthorq_consumer_mailer$$),
 ('y  y  y  y  n  n  n  n  n  n  n  n  n  n', '1',
  $$DELETE FROM kanthorq_consumer_mailer WHERE state = 'cancelled'$$),
 ('y  y  y  y  y  n  y  y  y  y  y  n  n  n', '1',
  $$SELECT count(*) FROM kanthorq_horizon('payments')$$),
 ('y  n  n  n  n  n  n  n  n  y  n  n  n  n', '55000',
  $$SELECT kanthorq_stream_trim('payments', '00000000000000000000000002', 'payments')$$),
 ('y  n  n  n  n  n  n  n  n  y  n  n  n  n', '1',
  $$SELECT kanthorq_stream_trim('payments', '00000000000000000000000002', 'payments',
                                force => true)$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', 'true',
  $$SELECT kanthorq_stream_drop('payments', 'payments')$$),
 ('y  y  y  y  y  y  y  y  y  y  y  y  y  y', '5 0',
  $$SELECT concat_ws(' ', last_position, open_publishers - 1) FROM kanthorq_streams
    WHERE name = 'payments'$$),
 ('y  y  y  y  y  h  y  y  y  y  y  h  h  h', '00000000000000000000000005',
  $$SELECT newest_id FROM kanthorq_streams WHERE name = 'payments'$$),
 ('y  y  y  y  y  h  y  y  y  y  y  h  h  h', 'true',
  $$SELECT newest_time < '1970-01-02 00:00:00Z' FROM kanthorq_streams WHERE name = 'payments'$$),
 ('y  y  y  y  y  y  y  y  y  y  y  y  y  y', 'payments 2 3 1 1 0 1 true',
  $$SELECT concat_ws(' ', stream, cursor, lag, running, retryable, discarded, cancelled,
                     CASE WHEN oldest_lease <= clock_timestamp() THEN 'true' END)
    FROM kanthorq_consumers$$),
 ('y  y  y  y  y  h  y  y  y  y  y  h  h  h', 'true',
  $$SELECT lag_time >= '0' FROM kanthorq_consumers$$),
 ('y  y  y  y  y  y  y  y  y  y  y  y  y  y', 'mailer',
  $$SELECT name FROM kanthorq_consumer_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_consumer_registry
    SELECT 'printer', stream_name, includes, excludes, metadata_contains, attempt_max,
           visibility_timeout, ordered, created_at, updated_at FROM kanthorq_consumer_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$UPDATE kanthorq_consumer_registry SET attempt_max = 1$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$DELETE FROM kanthorq_consumer_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '0',
  $$TRUNCATE kanthorq_consumer_registry$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$SELECT count(*) FROM kanthorq_delivery_state$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_delivery_state VALUES ('printer', 0, 0, '{}', 0, 0)$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$UPDATE kanthorq_delivery_state SET cursor = 0$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$DELETE FROM kanthorq_delivery_state$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '0',
  $$TRUNCATE kanthorq_delivery_state$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$SELECT count(*) FROM kanthorq_delivery_lease$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$INSERT INTO kanthorq_delivery_lease VALUES ('mailer', 9, 0, 0, '', '')$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$UPDATE kanthorq_delivery_lease SET deadline = 0$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '1',
  $$DELETE FROM kanthorq_delivery_lease$$),
 ('y  n  n  n  n  n  n  n  n  n  n  n  n  n', '0',
  $$TRUNCATE kanthorq_delivery_lease$$);

SELECT is(
    (SELECT count(*) FROM held), 1::bigint,
    'one lease is held while each role tries each operation');
SELECT is(
    (SELECT array_agg(DISTINCT cells) FROM (
        SELECT count(*) AS cells FROM matrix, regexp_split_to_table(cells, ' +') GROUP BY number)
     AS row_of_matrix), ARRAY[14::bigint],
    'the matrix of consumers has a cell for each role and operation');
SELECT is(
    pg_temp.answer(r.role, replace(statement, '{lease}', lease::text)), x.wanted,
    format('%s gets %s: %s', r.role, coalesce(x.wanted, 'null'),
           regexp_replace(statement, '\s+', ' ', 'g')))
FROM held, matrix m, regexp_split_to_table(m.cells, ' +') WITH ORDINALITY AS c (cell, number)
JOIN role_order r USING (number),
LATERAL (SELECT CASE c.cell WHEN 'y' THEN m.answer WHEN 'n' THEN '42501' END AS wanted) AS x
ORDER BY m.number, r.number;

-- Any worker's lease can be settled by another worker who has the rights: a lease is the
-- consumer's, not the session's. But a right that is gone is gone also for who pulled it.
SAVEPOINT before_pull;
GRANT INSERT, SELECT ON held TO kanthorq_worker;
TRUNCATE held;
SET LOCAL ROLE kanthorq_worker;
INSERT INTO held SELECT DISTINCT lease FROM kanthorq_pull('mailer');
RESET ROLE;
REVOKE UPDATE ON kanthorq_consumer_mailer FROM kanthorq_worker;
SELECT is(
    pg_temp.answer(role, format('SELECT kanthorq_ack(''mailer'', %s)', lease)), wanted, description)
FROM held, (VALUES
    ('kanthorq_worker', '42501', 'who pulled and lost its right on the consumer may not settle'),
    ('kanthorq_all_but_owner', '2', 'another who has it may')) AS v (role, wanted, description);
ROLLBACK TO SAVEPOINT before_pull;

-- All that was tried was refused or undone.
SELECT is(
    (SELECT format('%s %s %s %s', cursor, running, retryable, cancelled) FROM kanthorq_consumers),
    '2 1 1 1', 'the consumer is where it was');

-- A consumer's owner who may not read the stream any more
SAVEPOINT before_blind_owner;
REVOKE SELECT ON kanthorq_stream_payments FROM kanthorq_consumer_owner;
SELECT is(
    pg_temp.answer('kanthorq_consumer_owner', statement), wanted,
    'a consumer''s owner who may not read the stream: ' || statement)
FROM (VALUES
    ($$SELECT count(*) FROM kanthorq_pull('mailer')$$, '42501'),
    ($$SELECT kanthorq_consumer_seek('mailer', 'first', 'mailer')$$, '42501'),
    ($$SELECT kanthorq_task_state('mailer', '00000000000000000000000001')$$, '42501'),
    ($$SELECT count(*) FROM kanthorq_tasks('mailer')$$, '2'),
    ($$SELECT kanthorq_consumer_drop('mailer', 'mailer')$$, 'true')) AS v (statement, wanted);
ROLLBACK TO SAVEPOINT before_blind_owner;

-- Both tables are one's: then so is the stream with its consumers.
SAVEPOINT before_one_owner;
ALTER TABLE kanthorq_consumer_mailer OWNER TO kanthorq_owner;
SELECT is(
    pg_temp.answer(role, statement), wanted, format('%s: %s', description, statement))
FROM (VALUES
    ('kanthorq_owner', $$SELECT kanthorq_stream_drop('payments', 'payments')$$, 'true',
     'who owns the stream and its consumers'),
    ('kanthorq_consumer_owner', $$SELECT kanthorq_consumer_drop('mailer', 'mailer')$$, '42501',
     'who gave the consumer''s table away')) AS v (role, statement, wanted, description);
ROLLBACK TO SAVEPOINT before_one_owner;

-- A consumer whose table was dropped by hand
SAVEPOINT before_lost_consumer;
DROP TABLE kanthorq_consumer_mailer;
SELECT is(
    pg_temp.answer(role, $$SELECT kanthorq_consumer_drop('mailer', 'mailer')$$), wanted,
    description)
FROM (VALUES
    ('kanthorq_nobody', '42501', 'nobody may not take a lost consumer off the registry'),
    ('kanthorq_creator', '42501', 'nor may who may create consumers'),
    ('kanthorq_consumer_owner', 'true', 'whose it was may')) AS v (role, wanted, description);
ROLLBACK TO SAVEPOINT before_lost_consumer;

-- Row security on the stream: a consumer that skipped what its worker may not see would lose it for
-- all of them, so consuming is refused, with a policy that shows something as with none.
ALTER TABLE kanthorq_stream_payments ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_visible ON kanthorq_stream_payments USING (true);
GRANT SELECT ON kanthorq_stream_payments TO kanthorq_bypasser;
GRANT UPDATE ON kanthorq_consumer_mailer TO kanthorq_bypasser;
SELECT is(
    pg_temp.answer(role, replace(statement, '{lease}', lease::text)), wanted,
    format('row security on the stream: %s is answered %s: %s', role, coalesce(wanted, 'null'),
           regexp_replace(statement, '\s+', ' ', 'g')))
FROM held, (VALUES
    ('kanthorq_worker', $$SELECT count(*) FROM kanthorq_pull('mailer')$$, '42501'),
    ('kanthorq_worker', $$SELECT kanthorq_ack('mailer', {lease})$$, '42501'),
    ('kanthorq_worker', $$SELECT kanthorq_nack('mailer', {lease})$$, '42501'),
    ('kanthorq_worker', $$SELECT kanthorq_cancel('mailer', '{00000000000000000000000004}')$$,
     '42501'),
    ('kanthorq_auditor', $$SELECT kanthorq_task_state('mailer', '00000000000000000000000001')$$,
     '42501'),
    ('kanthorq_reading_creator',
     $$SELECT (kanthorq_consumer_create('printer', 'payments')).name$$, '42501'),
    ('kanthorq_auditor', $$SELECT newest_id FROM kanthorq_streams WHERE name = 'payments'$$, NULL),
    ('kanthorq_auditor', $$SELECT lag_time >= '0' FROM kanthorq_consumers$$, NULL),
    ('kanthorq_bypasser', $$SELECT count(*) FROM kanthorq_pull('mailer')$$, '2'),
    ('kanthorq_superuser', $$SELECT count(*) FROM kanthorq_pull('mailer')$$, '2'))
    AS v (role, statement, wanted);
ALTER TABLE kanthorq_stream_payments DISABLE ROW LEVEL SECURITY;

-- Row security on the consumer's table: obeyed or refused. Without a policy nothing in it is to be
-- seen or changed by who is subject to it.
ALTER TABLE kanthorq_consumer_mailer ENABLE ROW LEVEL SECURITY;
SELECT is(
    pg_temp.answer(role, replace(statement, '{lease}', lease::text)) = ANY (wanted), true,
    format('row security on the consumer: %s is refused or shown nothing: %s', role,
           regexp_replace(statement, '\s+', ' ', 'g')))
FROM held, (VALUES
    ('kanthorq_worker', $$SELECT kanthorq_nack('mailer', {lease})$$, ARRAY['42501']),
    ('kanthorq_worker', $$SELECT kanthorq_cancel('mailer', '{00000000000000000000000004}')$$,
     ARRAY['42501', '{}']),
    ('kanthorq_worker', $$SELECT kanthorq_resume('mailer', '{00000000000000000000000003}')$$,
     ARRAY['42501', '{}']),
    ('kanthorq_auditor', $$SELECT coalesce(kanthorq_task_state('mailer',
                                           '00000000000000000000000003'), 'null')$$,
     ARRAY['42501', 'null']),
    ('kanthorq_auditor', $$SELECT count(*) FROM kanthorq_tasks('mailer')$$, ARRAY['42501', '0']))
    AS v (role, statement, wanted);
SELECT is(
    pg_temp.answer(role, $$SELECT count(*) FROM kanthorq_pull('mailer')$$), '2',
    format('row security on the consumer: %s, who is not subject to it, pulls', role))
FROM unnest(ARRAY['kanthorq_consumer_owner', 'kanthorq_bypasser', 'kanthorq_superuser']) AS role;

SELECT * FROM finish();
ROLLBACK;
