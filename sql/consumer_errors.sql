-- Every kind of error of the functions for consumers: its SQLSTATE, message, detail and hint. After
-- each, the session goes on, and nothing was stored.

\set SHOW_CONTEXT never
SET timezone = 'UTC';
SELECT name FROM kanthorq_stream_create('consumer_errors');
SELECT name FROM kanthorq_consumer_create('consumer_errors', 'consumer_errors');
CREATE FUNCTION pg_temp.goes_on() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kanthorq_ack('consumer_errors', lease) FROM kanthorq_pull('consumer_errors') LIMIT 1;
    RETURN (SELECT count(*) FROM kanthorq_consumer_registry) = 1
        AND (SELECT attempt_max = 16 AND includes = '{>}' AND NOT ordered FROM kanthorq_consumer_registry)
        AND NOT EXISTS (SELECT FROM kanthorq_tasks('consumer_errors'))
        AND NOT EXISTS (SELECT FROM kanthorq_delivery_lease WHERE lease <> 0);
END $$;
-- SQLSTATE and message of statements that are refused in the same way; ... stands for the consumer's name.
CREATE FUNCTION pg_temp.refused(statements text[]) RETURNS TABLE (statement text, refused text)
LANGUAGE plpgsql AS $$
BEGIN
    FOREACH statement IN ARRAY statements LOOP
        BEGIN
            EXECUTE 'SELECT * FROM ' || replace(statement, '...', '''consumer_errors''');
            refused := 'not refused';
        EXCEPTION WHEN others THEN
            refused := sqlstate || ' ' || sqlerrm;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- 22023: invalid names.
SELECT kanthorq_consumer_create('', 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer-wrong', 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create(repeat('n', 129), 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer__errors');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.refused(ARRAY[$$kanthorq_pull('a-b')$$, $$kanthorq_ack('a-b', 7)$$,
    $$kanthorq_nack('a-b', 7)$$, $$kanthorq_extend('a-b', 7)$$,
    $$kanthorq_cancel('a-b', '{}')$$, $$kanthorq_resume('a-b', '{}')$$,
    $$kanthorq_task_state('a-b', '01ARZ3NDEKTSV4RRFFQ69G5FA9')$$, $$kanthorq_tasks('a-b')$$,
    $$kanthorq_consumer_table('a-b')$$, $$kanthorq_consumer_alter('a-b')$$,
    $$kanthorq_consumer_seek('a-b', 'first', 'a-b')$$, $$kanthorq_consumer_drop('a-b', 'a-b')$$,
    $$kanthorq_horizon('a-b')$$]);
SELECT pg_temp.goes_on();

-- 22023: filters, metadata, attempts.
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', '{order.*,order.>.created}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', excludes => '{order_created}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', '{{a},{b}}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', metadata_contains => '[7]');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', attempt_max => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.refused(ARRAY[
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', attempt_max => '-32768')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', attempt_max => 32768)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', attempt_max => -2147483648)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', metadata_contains => 'null')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', '{""}')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', excludes => '{{>}}')$$,
    $$kanthorq_consumer_alter(..., includes => '{}')$$,
    $$kanthorq_consumer_alter(..., includes => '{a..b}')$$,
    $$kanthorq_consumer_alter(..., excludes => '{*a}')$$,
    $$kanthorq_consumer_alter(..., attempt_max => '0')$$,
    $$kanthorq_consumer_alter(..., attempt_max => 2147483647)$$,
    $$kanthorq_consumer_alter(..., visibility_timeout => '0')$$,
    $$kanthorq_consumer_alter(..., metadata_contains => '"a"')$$]);
SELECT pg_temp.goes_on();

-- 22023: intervals: negative ones, too short and too long ones.
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', visibility_timeout => '-1 s');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.refused(ARRAY[
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', visibility_timeout => '0')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', visibility_timeout => '999 us')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', visibility_timeout => '200 years')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors',
        visibility_timeout => '-178000000 years')$$,
    $$kanthorq_pull(..., visibility_timeout => '0')$$,
    $$kanthorq_pull(..., visibility_timeout => '1 day -25 hours')$$,
    $$kanthorq_pull(..., visibility_timeout => '178000000 years')$$,
    $$kanthorq_pull(..., wait => '-1 ms')$$,
    $$kanthorq_extend(..., 7, '0')$$, $$kanthorq_extend(..., 7, '-1 hour')$$,
    $$kanthorq_nack(..., 7, retry_in => '-1 ms')$$,
    $$kanthorq_nack(..., 7, retry_in => '200 years')$$]);
SELECT pg_temp.goes_on();

-- 22023: sizes, ids, shapes of arrays, states, places to start at.
SELECT count(*) FROM kanthorq_pull('consumer_errors', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_pull('consumer_errors', 10001);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_tasks('consumer_errors', size => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_tasks('consumer_errors', 'failed');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_cancel('consumer_errors', '{01ARZ3NDEKTSV4RRFFQ69G5FA9,order-1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_task_state('consumer_errors', '01arz3ndektsv4rrffq69g5fa9');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', start_at => '');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_publish('consumer_errors', 'event', '') IS NOT NULL AS published;
SELECT lease FROM kanthorq_pull('consumer_errors') \gset
SELECT kanthorq_ack('consumer_errors', :lease, '{order-1}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_nack('consumer_errors', :lease, '{{01ARZ3NDEKTSV4RRFFQ69G5FA9}}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.refused(ARRAY[$$kanthorq_resume(..., '{order-1}')$$,
    $$kanthorq_resume(..., '{{01ARZ3NDEKTSV4RRFFQ69G5FA9}}')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', start_at => 'last')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', start_at => 'First')$$,
    $$kanthorq_consumer_seek(..., '01arz3ndektsv4rrffq69g5fa9', 'consumer_errors')$$,
    $$kanthorq_consumer_seek(..., '-1', 'consumer_errors')$$]);
SELECT kanthorq_ack('consumer_errors', :lease);
SELECT pg_temp.goes_on();

-- 22004: null where a value is needed.
SELECT kanthorq_consumer_create(NULL, 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', '{a,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.refused(ARRAY[
    $$kanthorq_consumer_create('consumer_wrong', NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', includes => NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', excludes => NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', excludes => '{NULL}')$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', attempt_max => NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', visibility_timeout => NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', start_at => NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', start_at => NULL::timestamptz)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', ordered => NULL)$$,
    $$kanthorq_consumer_create('consumer_wrong', 'consumer_errors', metadata_contains => NULL)$$,
    $$kanthorq_consumer_alter(NULL)$$, $$kanthorq_consumer_drop(NULL, NULL)$$,
    $$kanthorq_consumer_seek(NULL, 'first', NULL)$$, $$kanthorq_consumer_seek(..., NULL, 'consumer_errors')$$,
    $$kanthorq_pull(NULL)$$, $$kanthorq_pull(..., NULL)$$, $$kanthorq_pull(..., wait => NULL)$$,
    $$kanthorq_ack(NULL, 7)$$, $$kanthorq_ack(..., NULL)$$,
    $$kanthorq_ack(NULL, 7, '{}')$$, $$kanthorq_ack(..., NULL, '{}')$$, $$kanthorq_ack(..., 7, NULL)$$,
    $$kanthorq_nack(NULL, 7)$$, $$kanthorq_nack(..., NULL)$$, $$kanthorq_nack(..., 7, NULL)$$,
    $$kanthorq_nack(..., 7, ids => NULL, error => 'no paper')$$,
    $$kanthorq_extend(NULL, 7)$$, $$kanthorq_extend(..., NULL)$$,
    $$kanthorq_cancel(NULL, '{}')$$, $$kanthorq_cancel(NULL, NULL)$$, $$kanthorq_cancel(..., '{NULL}')$$,
    $$kanthorq_resume(NULL, '{}')$$, $$kanthorq_resume(NULL, NULL)$$, $$kanthorq_resume(..., '{NULL}')$$,
    $$kanthorq_tasks(NULL)$$, $$kanthorq_tasks(..., size => NULL)$$, $$kanthorq_horizon(NULL)$$]);
SELECT kanthorq_publish('consumer_errors', 'event', '') IS NOT NULL AS published;
SELECT lease FROM kanthorq_pull('consumer_errors') \gset
SELECT kanthorq_ack('consumer_errors', :lease, '{NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_ack('consumer_errors', :lease);
SELECT pg_temp.goes_on();

-- 42704: no such stream, consumer or event.
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_none');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors', start_at => '01ARZ3NDEKTSV4RRFFQ69G5FA9');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_pull('Consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM pg_temp.refused(ARRAY[$$kanthorq_ack('none', 7)$$, $$kanthorq_nack('none', 7)$$,
    $$kanthorq_extend('none', 7)$$, $$kanthorq_cancel('none', '{}')$$, $$kanthorq_resume('none', '{}')$$,
    $$kanthorq_task_state('none', '01ARZ3NDEKTSV4RRFFQ69G5FA9')$$, $$kanthorq_tasks('none')$$,
    $$kanthorq_consumer_table('none')$$, $$kanthorq_consumer_alter('none')$$,
    $$kanthorq_consumer_seek('none', 'first', 'none')$$, $$kanthorq_horizon('none')$$,
    $$kanthorq_pull('registry')$$]);
SELECT pg_temp.goes_on();

-- 42710: it exists with another definition, or its table is another one.
SELECT kanthorq_consumer_create('consumer_errors', 'consumer_errors', ordered => true);
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE kanthorq_consumer_consumer_wrong (id integer);
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
DROP TABLE kanthorq_consumer_consumer_wrong;
SELECT pg_temp.goes_on();

-- 42501: no privilege. (consumer_privileges.sql has who may do what.)
CREATE ROLE regress_kanthorq_nobody;
SET ROLE regress_kanthorq_nobody;
SELECT kanthorq_consumer_create('consumer_wrong', 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_pull('consumer_errors');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_drop('consumer_errors', confirm => 'consumer_errors');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_kanthorq_nobody;
SELECT pg_temp.goes_on();

-- 55000: a confirmation that is missing or wrong, and a stream that was altered.
SELECT kanthorq_consumer_drop('consumer_errors', confirm => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_consumer_drop('consumer_errors', confirm => 'consumer_error');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE kanthorq_stream_consumer_errors ALTER COLUMN "position" SET CACHE 20;
SELECT count(*) FROM kanthorq_pull('consumer_errors');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE kanthorq_stream_consumer_errors ALTER COLUMN "position" SET CACHE 1;
SELECT pg_temp.goes_on();

-- KQ001: a lease that is no longer held. Everything rolls back with it.
SELECT kanthorq_publish('consumer_errors', 'event', '') IS NOT NULL AS published;
SELECT kanthorq_ack('consumer_errors', 7);
\echo :LAST_ERROR_SQLSTATE
DO $$
BEGIN
    PERFORM kanthorq_ack('consumer_errors', lease), kanthorq_ack('consumer_errors', lease)
    FROM kanthorq_pull('consumer_errors');
EXCEPTION WHEN SQLSTATE 'KQ001' THEN
    RAISE NOTICE '%', regexp_replace(sqlerrm, '\d+', '<lease>');
END $$;
SELECT count(*), max(lease) AS lease FROM kanthorq_pull('consumer_errors') \gset
\echo :count
SELECT kanthorq_ack('consumer_errors', :lease);
SELECT pg_temp.goes_on();

-- 25006: a read-only transaction; what only reads goes on.
BEGIN READ ONLY;
SELECT count(*) FROM kanthorq_tasks('consumer_errors');
SELECT kanthorq_task_state('consumer_errors', '01ARZ3NDEKTSV4RRFFQ69G5FA9');
SELECT count(*) FROM kanthorq_consumers;
SELECT * FROM pg_temp.refused(ARRAY[$$kanthorq_pull(...)$$, $$kanthorq_ack(..., 7)$$,
    $$kanthorq_nack(..., 7)$$, $$kanthorq_extend(..., 7)$$, $$kanthorq_cancel(..., '{}')$$, $$kanthorq_cancel(..., NULL)$$,
    $$kanthorq_resume(..., '{}')$$, $$kanthorq_consumer_create('consumer_wrong', ...)$$,
    $$kanthorq_consumer_alter(...)$$, $$kanthorq_consumer_drop(..., 'consumer_errors')$$,
    $$kanthorq_consumer_seek(..., 'first', 'consumer_errors')$$]);
COMMIT;
SELECT pg_temp.goes_on();

-- In a transaction block, a savepoint gets it going again.
BEGIN;
SELECT kanthorq_publish('consumer_errors', 'event', '') IS NOT NULL AS published;
SAVEPOINT before;
SELECT kanthorq_ack('consumer_errors', 7);
SELECT count(*) FROM kanthorq_pull('consumer_errors');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO before;
SELECT count(*) FROM kanthorq_pull('consumer_errors');
COMMIT;
SELECT count(*), max(lease) AS lease FROM kanthorq_pull('consumer_errors') \gset
\echo :count
SELECT kanthorq_ack('consumer_errors', :lease);
SELECT pg_temp.goes_on();

SELECT kanthorq_stream_drop('consumer_errors', confirm => 'consumer_errors');
