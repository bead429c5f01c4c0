-- Every object of the extension says what it is: \df+, \d+ and \dT+ are the manual that is always
-- at hand. What is not for callers says that first.
BEGIN;
SELECT plan(10);

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS what,
       coalesce(obj_description(d.objid, d.classid::regclass::name), '') AS comment
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'kanthorq';

-- Row types of tables and types of arrays come with their owners and have no words of their own.
SELECT is(
    (SELECT array_agg(DISTINCT classid::regclass::text ORDER BY classid::regclass::text)
     FROM member),
    ARRAY['pg_class', 'pg_proc', 'pg_type'],
    'the extension has functions, tables and types: another kind of object needs a look here');
SELECT cmp_ok((SELECT count(*) FROM member), '>=', 28::bigint,
              'all members of the extension are looked at');
SELECT is_empty(
    $$SELECT what FROM member WHERE comment !~ '\S'
      AND NOT (classid = 'pg_type'::regclass AND EXISTS (
          SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
          WHERE t.oid = member.objid AND (t.typcategory = 'A' OR c.relkind <> 'c')))$$,
    'every function, table and type of the extension has a comment');
SELECT isnt_empty(
    $$SELECT FROM member WHERE what = 'type kanthorq_event' AND comment ~ '\S'$$,
    'the composite type kanthorq_event is among them');

SELECT is_empty(
    $$SELECT what, attname FROM member JOIN pg_attribute ON attrelid = objid
      WHERE classid = 'pg_class'::regclass AND attnum > 0 AND NOT attisdropped
        AND coalesce(col_description(attrelid, attnum), '') !~ '\S'$$,
    'every column of every table of the extension has a comment');
SELECT is_empty(
    $$SELECT what, comment FROM member WHERE comment ~ '^\s|\s$|\.$'$$,
    'comments are phrases: no space around them, no full stop');

SELECT set_eq(
    $$SELECT objid::regprocedure::text FROM member
      WHERE classid = 'pg_proc'::regclass AND comment LIKE 'not for callers: %'$$,
    ARRAY['kanthorq_txid(text)', 'kanthorq_stream_append_only()'],
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

-- A stream's table is no member, but \d+ on it is where its owner looks.
CREATE TEMPORARY TABLE created AS SELECT kanthorq_stream_create('order_notification');
SELECT matches(
    obj_description('kanthorq_stream_order_notification'::regclass, 'pg_class'),
    '"order_notification".*append-only',
    'the table of a stream names its stream and says that it is append-only');

SELECT * FROM finish();
ROLLBACK;
