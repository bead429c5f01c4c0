-- Every kind of error: its SQLSTATE, message, detail and hint. After each, the session goes on, and
-- nothing was stored.

\set SHOW_CONTEXT never
SET timezone = 'UTC';
SELECT name FROM kanthorq_stream_create('errors');
SELECT kanthorq_publish('errors', 'right', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV');
CREATE FUNCTION pg_temp.goes_on() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kanthorq_publish('errors', 'right', '');
    RETURN NOT EXISTS (SELECT FROM kanthorq_events('errors') WHERE subject <> 'right')
        AND NOT EXISTS (SELECT FROM kanthorq_stream_registry WHERE name <> 'errors');
END $$;

-- 22023: invalid subjects, with the offending token and its place.
SELECT kanthorq_publish('errors', '', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'order.', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'order.-', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'order..', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'order.new order', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'order.*.created', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', repeat('order.', 30) || 'created', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('errors', '{right,right,order_created}', '{"","",""}');
\echo :LAST_ERROR_SQLSTATE
-- A long value is cut at 64 characters, which may be of several bytes.
SELECT kanthorq_publish('errors', repeat(U&'\00E9', 1000), '');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 22023: invalid filters.
SELECT kanthorq_events('errors', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events('errors', 'order.>.created');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events('errors', 'order.cre*');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events_by_subject('errors', 'order..created');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 22023: invalid names.
SELECT kanthorq_stream_create('');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create('order-update');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create(U&'caf\00E9_s');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create('order__update');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create('_order');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create('order_');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create(repeat('order_', 30) || 'update');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 22023: invalid ids.
SELECT kanthorq_publish('errors', 'wrong', '', id => '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', id => 'order-1');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', id => '919108f7-52d1-4320-9bac-f847db4148a8');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', id => '01arz3ndektsv4rrffq69g5fav');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', id => '017F22E2-79B0-7CC3-98C4-DC0C0C07398F');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', id => 'ORDER_01ARZ3NDEKTSV4RRFFQ69G5FAV');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', id => 'order-update_01arz3ndektsv4rrffq69g5fav');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '',
    id => repeat('p', 100) || '_01arz3ndektsv4rrffq69g5fav');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('errors', '{wrong,wrong}', '{"",""}', ids => '{NULL,order-1}');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 22023: sizes, shapes of arrays, times, words.
SELECT kanthorq_events('errors', size => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events_by_subject('errors', size => 10001);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('errors', '{wrong,wrong}', '{""}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('errors', '{{wrong},{wrong}}', '{"",""}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_ulid('1969-12-31 23:59:59');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('errors', 'wrong', '', on_duplicate => 'ignore');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events('errors', metadata_contains => '["tenant"]');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 23514: metadata that is no object, and what the table's checks refuse in a plain INSERT.
SELECT kanthorq_publish('errors', 'wrong', '', '"tenant"');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('errors', '{wrong,wrong}', '{"",""}', ARRAY['{}', '[1]']::jsonb[]);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
INSERT INTO kanthorq_stream_errors (subject, body, metadata) VALUES ('wrong', '', '[]');
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 22004: null where a value is needed.
SELECT kanthorq_publish('errors', 'wrong', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish_many('errors', '{wrong,wrong}', '{"",NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events('errors', size => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events_by_subject('errors', after_id => '01ARZ3NDEKTSV4RRFFQ69G5FAV');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 23505: an id that is there.
SELECT kanthorq_publish('errors', 'wrong', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 42704: no such stream.
SELECT kanthorq_publish('errors_none', 'wrong', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events('Errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_table('errors_none');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_event_remove('errors_none', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 42710: a table of that name exists with another shape.
CREATE TABLE kanthorq_stream_errors_other (id varchar(64));
SELECT kanthorq_stream_create('errors_other');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE kanthorq_stream_errors_other;
SELECT pg_temp.goes_on();

-- 42501: no privilege.
CREATE ROLE regress_kanthorq_nobody;
SET ROLE regress_kanthorq_nobody;
SELECT kanthorq_publish('errors', 'wrong', '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_events('errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_create('errors_mine');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_drop('errors', confirm => 'errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_event_remove('errors', '{01ARZ3NDEKTSV4RRFFQ69G5FAV}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_kanthorq_nobody;
SELECT pg_temp.goes_on();

-- 55000: writing to what is append-only; a confirmation that is missing or wrong.
UPDATE kanthorq_stream_errors SET subject = 'wrong';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM kanthorq_stream_errors;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE kanthorq_stream_errors;
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_drop('errors', confirm => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_stream_trim('errors', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', confirm => 'error');
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 54000: a batch that is too large.
SELECT kanthorq_publish_many('errors', array_fill('wrong'::text, ARRAY[1000001]),
    array_fill(''::bytea, ARRAY[1000001]));
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- 25006: a read-only transaction.
BEGIN READ ONLY;
SELECT kanthorq_publish('errors', 'wrong', '');
ROLLBACK;
\echo :LAST_ERROR_SQLSTATE
SELECT pg_temp.goes_on();

-- In a transaction block, a savepoint gets it going again, with what it published before.
BEGIN;
SELECT kanthorq_publish('errors', 'right', '') IS NOT NULL AS published;
SAVEPOINT before;
SELECT kanthorq_publish('errors', 'wrong.', '');
SELECT kanthorq_publish('errors', 'right', '');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO before;
SELECT kanthorq_publish('errors', 'right', '') IS NOT NULL AS published;
SELECT kanthorq_publish('errors', 'wrong', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV');
ROLLBACK TO before;
SELECT kanthorq_publish('errors', 'right', '') IS NOT NULL AS published;
COMMIT;
SELECT pg_temp.goes_on();

-- Events that were published while errors were raised around them: one for each time that the session
-- went on, and those of the last transaction.
SELECT count(*) FROM kanthorq_events('errors');
SELECT kanthorq_stream_drop('errors', confirm => 'errors');
