-- CREATE EXTENSION: for superusers only, once per database, and everything it makes is a member of
-- the extension and lies in its schema. (schema.sql shows it in another schema than public.)

CREATE ROLE regress_kanthorq_nobody;
SET ROLE regress_kanthorq_nobody;
CREATE EXTENSION kanthorq;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_kanthorq_nobody;

-- What is there before, to see afterwards what is new.
CREATE TEMPORARY TABLE before AS
    SELECT 'pg_class'::regclass AS catalog, oid FROM pg_class
    UNION ALL SELECT 'pg_proc', oid FROM pg_proc
    UNION ALL SELECT 'pg_type', oid FROM pg_type
    UNION ALL SELECT 'pg_operator', oid FROM pg_operator
    UNION ALL SELECT 'pg_namespace', oid FROM pg_namespace;

CREATE EXTENSION kanthorq;

CREATE EXTENSION kanthorq;
\echo :LAST_ERROR_SQLSTATE

-- The members; servers differ in whether they count row types and arrays among them.
SELECT object.type, object.identity
FROM pg_depend AS member, pg_identify_object(classid, objid, objsubid) AS object
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kanthorq')
    AND (object.type <> 'type' OR object.identity IN ('public.kanthorq_event', 'public.kanthorq_start'))
ORDER BY object.type COLLATE "C", object.identity COLLATE "C";

-- Nothing new outside the extension's schema, and nothing new without our prefix there.
SELECT object.type, object.identity
FROM (SELECT 'pg_class'::regclass AS catalog, oid FROM pg_class
      UNION ALL SELECT 'pg_proc', oid FROM pg_proc
      UNION ALL SELECT 'pg_type', oid FROM pg_type
      UNION ALL SELECT 'pg_operator', oid FROM pg_operator
      UNION ALL SELECT 'pg_namespace', oid FROM pg_namespace
      EXCEPT SELECT catalog, oid FROM before) AS new,
    pg_identify_object(catalog, oid, 0) AS object
WHERE object.schema NOT IN ('pg_toast') AND object.schema NOT LIKE 'pg\_temp%'
    AND object.identity NOT LIKE 'public.kanthorq\_%';

-- Everything may be called or read by everybody; what a caller may do, the tables' grants say.
SELECT proname FROM pg_proc
WHERE proname LIKE 'kanthorq\_%'
    AND (prosecdef OR NOT has_function_privilege('public', oid, 'execute'));
SELECT privilege, has_table_privilege('public', 'kanthorq_stream_registry', privilege)
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege;
SELECT count(*) FROM kanthorq_stream_registry;

-- What the tests after this one share.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/tests/regress/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
SELECT count(*) > 0 AS helpers FROM pg_proc WHERE pronamespace = to_regnamespace('test');
