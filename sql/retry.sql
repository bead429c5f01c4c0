-- Refusing events: retries, when they come, what is kept of the errors, and the last attempt.

CREATE FUNCTION pg_temp.now_ms() RETURNS bigint LANGUAGE sql AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)
$$;
-- The tasks, with the attempts and texts of their errors in place of the times.
CREATE FUNCTION pg_temp.tasks(consumer text) RETURNS TABLE (event text, state text, attempts smallint,
    is_scheduled boolean, is_attempted boolean, is_finalized boolean, errors text)
LANGUAGE sql AS $$
    SELECT right(event_id, 1), state, attempt_count, schedule_at IS NOT NULL, attempted_at IS NOT NULL,
        finalized_at IS NOT NULL,
        (SELECT string_agg((error ->> 'attempt') || ' ' || (error ->> 'error'), ', ' ORDER BY place)
         FROM unnest(attempted_error) WITH ORDINALITY AS one (error, place))
    FROM kanthorq_tasks(consumer) ORDER BY event_id COLLATE "C"
$$;

SELECT name FROM kanthorq_stream_create('retry');
SELECT name FROM kanthorq_consumer_create('retry', 'retry', attempt_max => 3);
SELECT test.publish('retry', '1234');

-- Some of a lease, with an error; the rest is still held. An id that is not in it counts as nothing.
SELECT lease FROM test.pull('retry') \gset
SELECT kanthorq_nack('retry', :lease, test.ids('18'), 'no connection', retry_in => '0');
SELECT kanthorq_nack('retry', :lease, test.ids('1'), 'no connection');
SELECT kanthorq_nack('retry', :lease, '{}');
SELECT * FROM pg_temp.tasks('retry');
SELECT lease AS again_lease, events FROM test.pull('retry') \gset
\echo :events
SELECT * FROM pg_temp.tasks('retry');
-- Acknowledged after a retry it is completed, and its row is gone.
SELECT kanthorq_ack('retry', :again_lease);
SELECT * FROM pg_temp.tasks('retry');
SELECT kanthorq_task_state('retry', '01ARZ3NDEKTSV4RRFFQ69G5FA1');
-- All that is left of it, without an error.
SELECT kanthorq_nack('retry', :lease, retry_in => '0');
SELECT * FROM pg_temp.tasks('retry');
-- The last attempt that fails leaves the event discarded.
SELECT lease, events FROM test.pull('retry') \gset
\echo :events
SELECT kanthorq_nack('retry', :lease, error => 'second', retry_in => '0');
SELECT lease, events FROM test.pull('retry') \gset
\echo :events
SELECT kanthorq_nack('retry', :lease, test.ids('23'), 'third', '0');
SELECT kanthorq_ack('retry', :lease);
SELECT * FROM pg_temp.tasks('retry');
SELECT kanthorq_task_state('retry', id) FROM unnest(test.ids('234')) AS id;
SELECT count(*) FROM kanthorq_pull('retry');

-- attempt_max by expiry alone.
SELECT name FROM kanthorq_consumer_create('retry_expiry', 'retry', attempt_max => 3,
    visibility_timeout => '1 ms');
SELECT events FROM test.pull('retry_expiry');
SELECT test.clock_moves_on();
SELECT events FROM test.pull('retry_expiry');
SELECT * FROM pg_temp.tasks('retry_expiry');
SELECT test.clock_moves_on();
SELECT events FROM test.pull('retry_expiry');
SELECT test.clock_moves_on();
SELECT events FROM test.pull('retry_expiry');
SELECT * FROM pg_temp.tasks('retry_expiry');
SELECT events FROM test.pull('retry_expiry');
-- By both, in either order.
SELECT name FROM kanthorq_consumer_create('retry_mixed', 'retry', attempt_max => 2);
SELECT events FROM test.pull('retry_mixed', 2, '1 ms');
SELECT test.clock_moves_on();
SELECT lease FROM test.pull('retry_mixed', 2) \gset
SELECT kanthorq_nack('retry_mixed', :lease, retry_in => '0');
SELECT test.clock_moves_on();
SELECT lease, events FROM test.pull('retry_mixed', 100, '1 ms') \gset
\echo :events
SELECT kanthorq_nack('retry_mixed', :lease, test.ids('14'), 'refused', '0');
SELECT test.clock_moves_on();
SELECT events FROM test.pull('retry_mixed');
SELECT * FROM pg_temp.tasks('retry_mixed');
-- With one attempt.
SELECT name FROM kanthorq_consumer_create('retry_once', 'retry', attempt_max => 1);
SELECT lease FROM test.pull('retry_once', 1) \gset
SELECT kanthorq_nack('retry_once', :lease, error => 'refused', retry_in => '0');
SELECT events FROM test.pull('retry_once', 1, '1 ms');
SELECT test.clock_moves_on();
SELECT events FROM test.pull('retry_once', 2);
SELECT * FROM pg_temp.tasks('retry_once');
-- If it is made smaller, what has had that many attempts is discarded when its time comes.
SELECT name FROM kanthorq_consumer_create('retry_less', 'retry', attempt_max => 3);
SELECT lease FROM test.pull('retry_less', 2) \gset
SELECT kanthorq_nack('retry_less', :lease, retry_in => '0');
SELECT lease FROM test.pull('retry_less', 1) \gset
SELECT name FROM kanthorq_consumer_alter('retry_less', attempt_max => 1);
SELECT kanthorq_nack('retry_less', :lease, retry_in => '0');
SELECT events FROM test.pull('retry_less', 10);
SELECT * FROM pg_temp.tasks('retry_less');

-- Errors: when, which attempt, what; the newest last; the last 16, of 2,000 characters each.
SELECT name FROM kanthorq_consumer_create('retry_errors', 'retry', attempt_max => 100);
SELECT lease FROM test.pull('retry_errors', 1) \gset
SELECT pg_temp.now_ms() AS before \gset
SELECT kanthorq_nack('retry_errors', :lease, error => U&'caf\00E9 "quoted" \005C'||E'\n', retry_in => '0');
SELECT (attempted_error[1] ->> 'at')::bigint BETWEEN :before AND pg_temp.now_ms() AS is_now,
    attempted_error[1] - 'at' AS error, attempted_at BETWEEN :before - 60000 AND :before AS attempted
FROM kanthorq_tasks('retry_errors');
DO $$
BEGIN
    FOR number IN 2..20 LOOP
        PERFORM kanthorq_nack('retry_errors', lease, error => 'error ' || number, retry_in => '0')
        FROM kanthorq_pull('retry_errors', 1);
    END LOOP;
END $$;
SELECT event, state, attempts, errors FROM pg_temp.tasks('retry_errors');
DO $$
BEGIN
    PERFORM kanthorq_nack('retry_errors', lease, error => repeat(U&'\00E9', 5000), retry_in => '0')
    FROM kanthorq_pull('retry_errors', 1);
    PERFORM kanthorq_nack('retry_errors', lease, error => '', retry_in => '0')
    FROM kanthorq_pull('retry_errors', 1);
END $$;
SELECT attempt_count, cardinality(attempted_error), length(attempted_error[16] ->> 'error'),
    attempted_error[16] ->> 'attempt' AS attempt
FROM kanthorq_tasks('retry_errors');
-- A lease that ran out is an error of its own.
SELECT events FROM test.pull('retry_errors', 1, '1 ms');
SELECT test.clock_moves_on();
SELECT events FROM test.pull('retry_errors', 1);
SELECT attempted_error[16] - 'at' AS error FROM kanthorq_tasks('retry_errors');

-- When it comes again: attempt^4 seconds, 10 % more or less, at least one second and at most a day.
SELECT name FROM kanthorq_consumer_create('retry_backoff', 'retry', attempt_max => 32767);
CREATE FUNCTION pg_temp.backoff(attempts integer, OUT attempt integer, OUT in_range boolean)
LANGUAGE plpgsql AS $$
DECLARE
    pulled bigint;
    before bigint;
    middle bigint := attempts::bigint ^ 4 * 1000;
BEGIN
    PERFORM kanthorq_consumer_seek('retry_backoff', 'first', 'retry_backoff');
    FOR number IN 1..attempts LOOP
        SELECT kanthorq_pull.lease, kanthorq_pull.attempt INTO pulled, attempt
        FROM kanthorq_pull('retry_backoff', 1);
        EXIT WHEN number = attempts;
        PERFORM kanthorq_nack('retry_backoff', pulled, retry_in => '0');
    END LOOP;
    before := pg_temp.now_ms();
    PERFORM kanthorq_nack('retry_backoff', pulled);
    SELECT schedule_at - before >= least(greatest(middle * 0.9, 1000), 86400000)
        AND schedule_at - pg_temp.now_ms() <= least(middle * 1.1, 86400000)
    INTO in_range
    FROM kanthorq_tasks('retry_backoff');
END $$;
SELECT (pg_temp.backoff(attempts)).* FROM unnest(ARRAY[1, 2, 3, 4, 10, 16, 17, 18, 30]) AS attempts;
-- Events that are refused together do not come again together.
SELECT kanthorq_consumer_seek('retry_backoff', 'first', confirm => 'retry_backoff');
SELECT kanthorq_nack('retry_backoff', (test.pull('retry_backoff', 4)).lease, retry_in => '0');
SELECT kanthorq_nack('retry_backoff', (test.pull('retry_backoff', 4)).lease, retry_in => '0');
SELECT kanthorq_nack('retry_backoff', (test.pull('retry_backoff', 4)).lease, retry_in => '0');
SELECT kanthorq_nack('retry_backoff', (test.pull('retry_backoff', 4)).lease);
SELECT count(*), count(DISTINCT schedule_at) > 1 AS spread FROM kanthorq_tasks('retry_backoff');
-- A delay that is named is kept to the millisecond, and may be long.
SELECT kanthorq_consumer_seek('retry_backoff', 'first', confirm => 'retry_backoff');
SELECT pg_temp.now_ms() AS before \gset
SELECT kanthorq_nack('retry_backoff', (test.pull('retry_backoff', 1)).lease, retry_in => '90 days 1.5 s');
SELECT schedule_at - 90 * 86400000::bigint - 1500 BETWEEN :before AND pg_temp.now_ms() AS exact
FROM kanthorq_tasks('retry_backoff');

-- Refusing rolls back with its transaction.
BEGIN;
SELECT lease FROM test.pull('retry_backoff', 1) \gset
SELECT kanthorq_nack('retry_backoff', :lease, error => 'undone', retry_in => '0');
SELECT events FROM test.pull('retry_backoff', 1);
ROLLBACK;
SELECT * FROM pg_temp.tasks('retry_backoff');

-- Events that are removed while they wait for a retry vanish when their time comes.
SELECT name FROM kanthorq_consumer_create('retry_removed', 'retry');
SELECT lease FROM test.pull('retry_removed', 3) \gset
SELECT kanthorq_nack('retry_removed', :lease, retry_in => '0');
SELECT kanthorq_event_remove('retry', test.ids('13'));
SELECT kanthorq_task_state('retry_removed', id) FROM unnest(test.ids('123')) AS id;
SELECT events FROM test.pull('retry_removed', 3);
SELECT * FROM pg_temp.tasks('retry_removed');
-- Those that run when they are removed can still be refused, to no effect.
SELECT name FROM kanthorq_consumer_create('retry_gone', 'retry');
SELECT lease FROM test.pull('retry_gone') \gset
SELECT kanthorq_event_remove('retry', test.ids('2'));
SELECT kanthorq_nack('retry_gone', :lease, retry_in => '0');
SELECT events FROM test.pull('retry_gone');
SELECT * FROM pg_temp.tasks('retry_gone');

SELECT kanthorq_stream_drop('retry', confirm => 'retry');
