-- The functions and procedures of the extension, all of them: what each is called with, what it
-- answers and what the planner may assume about it. The list is complete in both directions, so
-- that a function that appears, disappears or changes its signature is noticed here before a client
-- notices it.
BEGIN;

-- Arguments and results as the server spells them. Volatility: i(mmutable), s(table), v(olatile).
-- Strict: null in, null out. Parallel: s(afe), r(estricted), u(nsafe). Rows: the planner's guess,
-- 0 for what returns no set. The result is null for a procedure, and for nothing else.
CREATE TEMPORARY TABLE expected (
    name text,
    arguments text,
    result text,
    volatility text,
    strict boolean,
    parallel text,
    row_estimate integer,
    symbol text
);
INSERT INTO expected VALUES
    ('kanthorq_is_name', 'name text',
     'boolean', 'i', true, 's', 0, 'kanthorq_is_name'),
    ('kanthorq_is_subject', 'subject text',
     'boolean', 'i', true, 's', 0, 'kanthorq_is_subject'),
    ('kanthorq_is_subject_filter', 'filter text',
     'boolean', 'i', true, 's', 0, 'kanthorq_is_subject_filter'),
    ('kanthorq_subject_matches', 'subject text, filter text',
     'boolean', 'i', true, 's', 0, 'kanthorq_subject_matches'),
    ('kanthorq_is_ulid', 'id text',
     'boolean', 'i', true, 's', 0, 'kanthorq_is_ulid'),
    ('kanthorq_is_uuidv7', 'id text',
     'boolean', 'i', true, 's', 0, 'kanthorq_is_uuidv7'),
    ('kanthorq_is_event_id', 'id text',
     'boolean', 'i', true, 's', 0, 'kanthorq_is_event_id'),
    ('kanthorq_ulid', '',
     'text', 'v', true, 'r', 0, 'kanthorq_ulid'),
    ('kanthorq_ulid', 'at timestamp with time zone',
     'text', 'v', true, 'r', 0, 'kanthorq_ulid_at'),
    ('kanthorq_ulid_floor', 'at timestamp with time zone',
     'text', 'i', true, 's', 0, 'kanthorq_ulid_floor'),
    ('kanthorq_uuidv7', '',
     'text', 'v', true, 'r', 0, 'kanthorq_uuidv7'),
    ('kanthorq_id_time', 'id text',
     'timestamp with time zone', 'i', true, 's', 0, 'kanthorq_id_time'),
    ('kanthorq_stream_create',
     'name text, subject_index boolean DEFAULT true, '
     'partition_interval interval DEFAULT NULL::interval, id_form text DEFAULT ''ulid''::text',
     'kanthorq_stream_registry', 'v', false, 'u', 0, 'kanthorq_stream_create'),
    ('kanthorq_stream_table', 'name text',
     'regclass', 's', true, 's', 0, 'kanthorq_stream_table'),
    ('kanthorq_stream_drop', 'name text, confirm text',
     'boolean', 'v', false, 'u', 0, 'kanthorq_stream_drop'),
    ('kanthorq_stream_trim',
     'name text, before_id text, confirm text, force boolean DEFAULT false',
     'bigint', 'v', false, 'u', 0, 'kanthorq_stream_trim'),
    ('kanthorq_publish',
     'stream text, subject text, body bytea, metadata jsonb DEFAULT ''{}''::jsonb, '
     'id text DEFAULT NULL::text, created_at bigint DEFAULT NULL::bigint, '
     'on_duplicate text DEFAULT ''error''::text',
     'text', 'v', false, 'u', 0, 'kanthorq_publish'),
    ('kanthorq_publish_text',
     'stream text, subject text, body text, metadata jsonb DEFAULT ''{}''::jsonb, '
     'id text DEFAULT NULL::text, created_at bigint DEFAULT NULL::bigint, '
     'on_duplicate text DEFAULT ''error''::text',
     'text', 'v', false, 'u', 0, 'kanthorq_publish_text'),
    ('kanthorq_publish_json',
     'stream text, subject text, body jsonb, metadata jsonb DEFAULT ''{}''::jsonb, '
     'id text DEFAULT NULL::text, created_at bigint DEFAULT NULL::bigint, '
     'on_duplicate text DEFAULT ''error''::text',
     'text', 'v', false, 'u', 0, 'kanthorq_publish_json'),
    ('kanthorq_publish_many',
     'stream text, subjects text[], bodies bytea[], metadata jsonb[] DEFAULT NULL::jsonb[], '
     'ids text[] DEFAULT NULL::text[], created_at bigint[] DEFAULT NULL::bigint[], '
     'on_duplicate text DEFAULT ''error''::text',
     'text[]', 'v', false, 'u', 0, 'kanthorq_publish_many'),
    ('kanthorq_publish_many_text',
     'stream text, subjects text[], bodies text[], metadata jsonb[] DEFAULT NULL::jsonb[], '
     'ids text[] DEFAULT NULL::text[], created_at bigint[] DEFAULT NULL::bigint[], '
     'on_duplicate text DEFAULT ''error''::text',
     'text[]', 'v', false, 'u', 0, 'kanthorq_publish_many_text'),
    ('kanthorq_publish_many_json',
     'stream text, subjects text[], bodies jsonb[], metadata jsonb[] DEFAULT NULL::jsonb[], '
     'ids text[] DEFAULT NULL::text[], created_at bigint[] DEFAULT NULL::bigint[], '
     'on_duplicate text DEFAULT ''error''::text',
     'text[]', 'v', false, 'u', 0, 'kanthorq_publish_many_json'),
    ('kanthorq_event_get', 'stream text, id text',
     'SETOF kanthorq_event', 's', false, 's', 1, 'kanthorq_event_get'),
    ('kanthorq_events',
     'stream text, filter text DEFAULT ''>''::text, after_id text DEFAULT NULL::text, '
     'since timestamp with time zone DEFAULT NULL::timestamp with time zone, '
     'until timestamp with time zone DEFAULT NULL::timestamp with time zone, '
     'size integer DEFAULT 100, metadata_contains jsonb DEFAULT ''{}''::jsonb',
     'SETOF kanthorq_event', 's', false, 's', 100, 'kanthorq_events'),
    ('kanthorq_events_by_subject',
     'stream text, filter text DEFAULT ''>''::text, after_subject text DEFAULT NULL::text, '
     'after_id text DEFAULT NULL::text, size integer DEFAULT 100',
     'SETOF kanthorq_event', 's', false, 's', 100, 'kanthorq_events_by_subject'),
    ('kanthorq_event_remove', 'stream text, ids text[]',
     'bigint', 'v', false, 'u', 0, 'kanthorq_event_remove'),
    ('kanthorq_start_in', 'value cstring', 'kanthorq_start', 'i', true, 's', 0, 'kanthorq_start_in'),
    ('kanthorq_start_out', 'value kanthorq_start', 'cstring', 'i', true, 's', 0, 'kanthorq_start_out'),
    ('kanthorq_start_receive', 'value internal',
     'kanthorq_start', 's', true, 's', 0, 'kanthorq_start_receive'),
    ('kanthorq_start_send', 'value kanthorq_start',
     'bytea', 's', true, 's', 0, 'kanthorq_start_send'),
    ('kanthorq_start_of', 'at timestamp with time zone',
     'kanthorq_start', 'i', true, 's', 0, 'kanthorq_start_of_timestamptz'),
    ('kanthorq_start_of', 'at timestamp without time zone',
     'kanthorq_start', 's', true, 's', 0, 'kanthorq_start_of_timestamp'),
    ('kanthorq_start_of', 'at date',
     'kanthorq_start', 's', true, 's', 0, 'kanthorq_start_of_date'),
    ('kanthorq_consumer_create',
     'name text, stream text, includes text[] DEFAULT ''{>}''::text[], '
     'excludes text[] DEFAULT ''{}''::text[], attempt_max integer DEFAULT 16, '
     'visibility_timeout interval DEFAULT ''00:15:00''::interval, '
     'start_at kanthorq_start DEFAULT ''first''::kanthorq_start, ordered boolean DEFAULT false, '
     'metadata_contains jsonb DEFAULT ''{}''::jsonb',
     'kanthorq_consumer_registry', 'v', false, 'u', 0, 'kanthorq_consumer_create'),
    ('kanthorq_consumer_alter',
     'name text, includes text[] DEFAULT NULL::text[], excludes text[] DEFAULT NULL::text[], '
     'attempt_max integer DEFAULT NULL::integer, '
     'visibility_timeout interval DEFAULT NULL::interval, ordered boolean DEFAULT NULL::boolean, '
     'metadata_contains jsonb DEFAULT NULL::jsonb',
     'kanthorq_consumer_registry', 'v', false, 'u', 0, 'kanthorq_consumer_alter'),
    ('kanthorq_consumer_table', 'name text',
     'regclass', 's', true, 's', 0, 'kanthorq_consumer_table'),
    ('kanthorq_consumer_drop', 'name text, confirm text',
     'boolean', 'v', false, 'u', 0, 'kanthorq_consumer_drop'),
    ('kanthorq_consumer_seek', 'name text, start_at kanthorq_start, confirm text',
     'bigint', 'v', false, 'u', 0, 'kanthorq_consumer_seek'),
    ('kanthorq_pull',
     'consumer text, size integer DEFAULT 100, wait interval DEFAULT ''00:00:00''::interval, '
     'visibility_timeout interval DEFAULT NULL::interval, max_bytes bigint DEFAULT NULL::bigint',
     'TABLE(lease bigint, attempt smallint, "position" bigint, id text, subject text, '
     'body bytea, metadata jsonb, created_at bigint)', 'v', false, 'u', 100, 'kanthorq_pull'),
    ('kanthorq_ack', 'consumer text, lease bigint',
     'bigint', 'v', false, 'u', 0, 'kanthorq_ack'),
    ('kanthorq_ack', 'consumer text, lease bigint, ids text[]',
     'bigint', 'v', false, 'u', 0, 'kanthorq_ack_events'),
    ('kanthorq_nack',
     'consumer text, lease bigint, ids text[] DEFAULT ''{*}''::text[], '
     'error text DEFAULT NULL::text, retry_in interval DEFAULT NULL::interval',
     'bigint', 'v', false, 'u', 0, 'kanthorq_nack'),
    ('kanthorq_extend', 'consumer text, lease bigint, by interval DEFAULT NULL::interval',
     'timestamp with time zone', 'v', false, 'u', 0, 'kanthorq_extend'),
    ('kanthorq_cancel', 'consumer text, ids text[]',
     'text[]', 'v', false, 'u', 0, 'kanthorq_cancel'),
    ('kanthorq_resume', 'consumer text, ids text[]',
     'text[]', 'v', false, 'u', 0, 'kanthorq_resume'),
    ('kanthorq_task_state', 'consumer text, id text',
     'text', 'v', true, 'u', 0, 'kanthorq_task_state'),
    ('kanthorq_tasks',
     'consumer text, state text DEFAULT NULL::text, size integer DEFAULT 100',
     'TABLE(event_id text, subject text, state text, attempt_count smallint, '
     'schedule_at bigint, attempted_at bigint, attempted_error jsonb[], finalized_at bigint)',
     's', false, 's', 100, 'kanthorq_tasks'),
    ('kanthorq_wait',
     'IN consumer text, IN timeout interval DEFAULT ''00:00:30''::interval',
     NULL, 'v', false, 'u', 0, 'kanthorq_wait'),
    ('kanthorq_trim',
     'IN name text, IN before_id text, IN confirm text, IN force boolean DEFAULT false, '
     'IN batch_size integer DEFAULT 10000',
     NULL, 'v', false, 'u', 0, 'kanthorq_trim'),
    ('kanthorq_stream_retention', 'name text, keep interval, on_lag text DEFAULT ''block''::text',
     'void', 'v', false, 'u', 0, 'kanthorq_stream_retention'),
    ('kanthorq_maintain', '',
     NULL, 'v', false, 'u', 0, 'kanthorq_maintain'),
    ('kanthorq_partition_close', 'stream text, partition regclass',
     'boolean', 'v', true, 'u', 0, 'kanthorq_partition_close'),
    ('kanthorq_horizon', 'stream text',
     'TABLE(pid integer, gid text, txid xid8, since timestamp with time zone, '
     'application_name text, query text)', 'v', false, 'u', 10, 'kanthorq_horizon'),
    ('kanthorq_stream_status', 'name text',
     'TABLE("table" regclass, events bigint, bytes bigint, last_position bigint, '
     'newest_id text, open_publishers integer)', 'v', true, 'u', 1, 'kanthorq_stream_status'),
    ('kanthorq_consumer_status', 'name text',
     'TABLE(cursor bigint, lag bigint, lag_time interval, running bigint, retryable bigint, '
     'discarded bigint, cancelled bigint, oldest_lease timestamp with time zone, skipped bigint)',
     'v', true, 'u', 1, 'kanthorq_consumer_status'),
    ('kanthorq_txid', 'stream text',
     'xid8', 's', true, 'u', 0, 'kanthorq_txid'),
    ('kanthorq_partition_closed', '',
     'trigger', 'v', false, 'u', 0, 'kanthorq_partition_closed'),
    ('kanthorq_stream_writer', '',
     'trigger', 'v', false, 'u', 0, 'kanthorq_stream_writer'),
    ('kanthorq_stream_append_only', '',
     'trigger', 'v', false, 'u', 0, 'kanthorq_stream_append_only');

CREATE TEMPORARY VIEW member AS
SELECT p.*, pg_get_function_arguments(p.oid) AS arguments
FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid
JOIN pg_proc p ON p.oid = d.objid
WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
  AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'kanthorq';

SELECT plan(12 + 3 * (SELECT count(*) FROM expected)::integer);

-- What exists

SELECT set_eq(
    'SELECT proname::text, arguments FROM member',
    'SELECT name, arguments FROM expected',
    'the functions of the extension, by name and arguments, are these and no others');
SELECT is_empty(
    $$SELECT proname FROM pg_proc
      WHERE proname LIKE 'kanthorq%' AND oid NOT IN (SELECT oid FROM member)$$,
    'no function of that name stands outside the extension');
SELECT is(
    (SELECT count(*) FROM pg_proc WHERE proname = 'kanthorq_publish'), 1::bigint,
    'there is one kanthorq_publish and no overload of it: a literal is never taken for text');
SELECT is(
    (SELECT array_agg(pronargs ORDER BY pronargs) FROM pg_proc WHERE proname = 'kanthorq_ulid'),
    ARRAY[0, 1]::smallint[],
    'there are two kanthorq_ulid: of now, and of a time');
SELECT is(
    (SELECT array_agg(format('%s with %s defaults', pronargs, pronargdefaults) ORDER BY pronargs)
     FROM pg_proc WHERE proname = 'kanthorq_ack'),
    ARRAY['2 with 0 defaults', '3 with 0 defaults'],
    'there are two kanthorq_ack: of all that is left, and of these; null ids are never left out');
SELECT is_empty(
    $$SELECT proname FROM member WHERE proname NOT IN ('kanthorq_ulid', 'kanthorq_ack', 'kanthorq_start_of')
      GROUP BY proname HAVING count(*) > 1$$,
    'no other function has an overload');
SELECT is(
    (SELECT array_agg(DISTINCT pronamespace::regnamespace) FROM member),
    ARRAY['public'::regnamespace],
    'all functions live in the schema that was chosen for the extension');
SELECT is_empty(
    $$SELECT proname FROM member WHERE proowner <> (SELECT extowner FROM pg_extension
      WHERE extname = 'kanthorq')$$,
    'all functions belong to the owner of the extension');
SELECT is_empty(
    $$SELECT proname FROM member WHERE NOT has_function_privilege('pg_monitor', oid, 'EXECUTE')$$,
    'everybody may call every function: rights are those on the tables');

-- A row of a table that the server reads in a worker process must not depend on what only the
-- session's own process knows: an xid assigned, a lock held, rows just written.
SELECT set_eq(
    $$SELECT proname::text FROM member
      WHERE provolatile = 's' AND proparallel = 's' AND proname NOT LIKE 'kanthorq\_start\_%'$$,
    ARRAY['kanthorq_stream_table', 'kanthorq_event_get', 'kanthorq_events',
          'kanthorq_events_by_subject', 'kanthorq_consumer_table', 'kanthorq_tasks'],
    'what only reads tables may run in a parallel worker, and it is these');
SELECT set_eq(
    $$SELECT proname::text FROM member WHERE prokind <> 'f'$$,
    ARRAY['kanthorq_wait', 'kanthorq_maintain', 'kanthorq_trim'],
    'procedures, because a function can''t wait without a snapshot, nor commit; no aggregate, no window');
SELECT is_empty(
    $$SELECT proname FROM member WHERE prokind = 'f' AND provolatile <> 'v' AND proname IN (
          'kanthorq_pull', 'kanthorq_ack', 'kanthorq_nack', 'kanthorq_extend', 'kanthorq_cancel',
          'kanthorq_resume', 'kanthorq_task_state', 'kanthorq_horizon')$$,
    'what writes, or looks at what others have committed meanwhile, is called once for each row');

-- What each one is. A missing function shows as null.

SELECT is(
    (SELECT pg_get_function_result(m.oid) FROM member m
     WHERE m.proname = x.name AND m.arguments = x.arguments),
    x.result,
    format('%s(%s) returns %s', x.name, x.arguments, coalesce(x.result, 'nothing')))
FROM expected x ORDER BY x.name COLLATE "C", x.arguments COLLATE "C";

SELECT is(
    (SELECT format('volatile %s, strict %s, parallel %s, rows %s',
                   provolatile, proisstrict, proparallel, prorows)
     FROM member m WHERE m.proname = x.name AND m.arguments = x.arguments),
    format('volatile %s, strict %s, parallel %s, rows %s',
           x.volatility, x.strict, x.parallel, x.row_estimate),
    format('%s(%s): what the planner may assume', x.name, x.arguments))
FROM expected x ORDER BY x.name COLLATE "C", x.arguments COLLATE "C";

SELECT is(
    (SELECT format('%s %s in %s, kind %s, definer %s, leakproof %s, settings %s, support %s',
                   lanname, prosrc, probin, prokind, prosecdef, proleakproof,
                   coalesce(proconfig::text, 'none'), prosupport)
     FROM member m JOIN pg_language l ON l.oid = m.prolang
     WHERE m.proname = x.name AND m.arguments = x.arguments),
    format('c %s in $libdir/kanthorq, kind %s, definer f, leakproof f, settings none, support -',
           x.symbol, CASE WHEN x.result IS NULL THEN 'p' ELSE 'f' END),
    format('%s(%s) is a C function of the library that runs as its caller, with no settings',
           x.name, x.arguments))
FROM expected x ORDER BY x.name COLLATE "C", x.arguments COLLATE "C";

SELECT * FROM finish();
ROLLBACK;
