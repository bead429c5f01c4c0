-- Every object of the extension says what it is: \df+, \d+ and \dT+ are the manual that is always
-- at hand. What is not for callers says that first.
BEGIN;
SELECT plan(15);

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS what,
       coalesce(obj_description(d.objid, d.classid::regclass::name), '') AS comment
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'kanthorq';

-- Row types of tables and types of arrays come with their owners and have no words of their own.
SELECT is(
    (SELECT array_agg(DISTINCT classid::regclass::text ORDER BY classid::regclass::text)
     FROM member),
    ARRAY['pg_cast', 'pg_class', 'pg_proc', 'pg_type'],
    'the extension has functions, tables, types and casts: another kind of object needs a look here');
SELECT cmp_ok((SELECT count(*) FROM member), '>=', 50::bigint,
              'all members of the extension are looked at');
SELECT is_empty(
    $$SELECT what FROM member WHERE comment !~ '\S'
      AND NOT (classid = 'pg_type'::regclass AND EXISTS (
          SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
          WHERE t.oid = member.objid AND (t.typcategory = 'A' OR c.relkind <> 'c')))$$,
    'every function, table, view, type and cast of the extension has a comment');
SELECT isnt_empty(
    $$SELECT FROM member WHERE what = 'type kanthorq_event' AND comment ~ '\S'$$,
    'the composite type kanthorq_event is among them');

SELECT is_empty(
    $$SELECT what, attname FROM member JOIN pg_class ON pg_class.oid = objid
      JOIN pg_attribute ON attrelid = objid
      WHERE classid = 'pg_class'::regclass AND relkind IN ('r', 'v') AND attnum > 0
        AND NOT attisdropped AND coalesce(col_description(attrelid, attnum), '') !~ '\S'$$,
    'every column of every table and view of the extension has a comment');
SELECT set_eq(
    $$SELECT what FROM member WHERE classid = 'pg_class'::regclass AND comment ~ '\S'$$,
    ARRAY['table kanthorq_stream_registry', 'table kanthorq_consumer_registry',
          'table kanthorq_delivery_state', 'table kanthorq_delivery_lease',
          'table kanthorq_registered_table', 'table kanthorq_setting_of_stream',
          'table kanthorq_partition', 'table kanthorq_maintenance', 'table kanthorq_retention_block',
          'view kanthorq_streams', 'view kanthorq_consumers'],
    'the nine tables and the two views are among them');
SELECT is_empty(
    $$SELECT what FROM member WHERE classid = 'pg_class'::regclass AND what LIKE 'table %'
      AND comment !~ 'written by \S.* only$'$$,
    'a table of the extension says who writes it: not its reader');
SELECT isnt_empty(
    $$SELECT FROM member WHERE classid = 'pg_proc'::regclass AND comment ~ '\S'
      AND objid = (SELECT oid FROM pg_proc WHERE proname = 'kanthorq_wait' AND prokind = 'p')$$,
    'the procedure kanthorq_wait has a comment');
SELECT is_empty(
    $$SELECT what, comment FROM member WHERE comment ~ '^\s|\s$|\.$'$$,
    'comments are phrases: no space around them, no full stop');

SELECT set_eq(
    $$SELECT objid::regprocedure::text FROM member
      WHERE classid = 'pg_proc'::regclass AND comment LIKE 'not for callers: %'$$,
    ARRAY['kanthorq_txid(text)', 'kanthorq_stream_writer()', 'kanthorq_partition_closed()',
          'kanthorq_stream_append_only()',
          'kanthorq_stream_status(text)',
          'kanthorq_consumer_status(text)', 'kanthorq_start_in(cstring)',
          'kanthorq_start_out(kanthorq_start)', 'kanthorq_start_receive(internal)',
          'kanthorq_start_send(kanthorq_start)', 'kanthorq_start_of(timestamp with time zone)',
          'kanthorq_start_of(timestamp without time zone)', 'kanthorq_start_of(date)'],
    'the functions that are not for callers say so first, and no other does');
SELECT is_empty(
    $$SELECT what FROM member
      WHERE classid = 'pg_proc'::regclass AND comment NOT LIKE 'not for callers: %'
        AND (objid::regproc IN (SELECT tgfoid FROM pg_trigger)
             OR (SELECT prorettype = 'trigger'::regtype FROM pg_proc WHERE oid = objid))$$,
    'a trigger function is never for callers');

SELECT isnt(
    (SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'kanthorq'),
    NULL, 'the extension itself has a comment');

-- A stream's or consumer's table is no member, but \d+ on it is where its owner looks.
CREATE TEMPORARY TABLE created AS
SELECT (kanthorq_stream_create('order_notification')).name;
SELECT matches(
    obj_description('kanthorq_stream_order_notification'::regclass, 'pg_class'),
    '"order_notification".*append-only',
    'the table of a stream names its stream and says that it is append-only');
INSERT INTO created SELECT (kanthorq_consumer_create('mailer', 'order_notification')).name;
SELECT matches(
    obj_description('kanthorq_consumer_mailer'::regclass, 'pg_class'),
    '"mailer".*written by KanthorQ only',
    'the table of a consumer names its consumer and says that it is not to be written by hand');
SELECT doesnt_match(
    obj_description('kanthorq_consumer_mailer'::regclass, 'pg_class'), '^\s|\s$|\.$',
    'and has the style of the others');

SELECT * FROM finish();
ROLLBACK;
