-- What maintenance does for consumers: it collects leases that ran out, and removes the history of events that are
-- gone. Nobody needs to pull for that.

CREATE ROLE regress_kanthorq_tidying;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_tidying;
SET ROLE regress_kanthorq_tidying;

SELECT name FROM kanthorq_stream_create('tidying');
SELECT name FROM kanthorq_consumer_create('tidying', 'tidying', attempt_max => 2);
SELECT test.publish('tidying', '12345');
-- 1 has failed once, 2 is not back yet, 3 is.
SELECT lease FROM test.pull('tidying', 1) \gset
SELECT kanthorq_nack('tidying', :lease, retry_in => '0');
SELECT lease AS old, events FROM test.pull('tidying', 2, visibility_timeout => '1 hour') \gset
SELECT lease AS live, events FROM test.pull('tidying', 1, visibility_timeout => '1 hour') \gset
SELECT kanthorq_extend('tidying', :old, by => '1 ms') IS NOT NULL AS ends_soon;
SELECT test.clock_moves_on();
SELECT test.states('tidying', 'tidying');
CALL kanthorq_maintain();
SELECT test.states('tidying', 'tidying');
SELECT event_id, state, attempt_count, attempted_error[cardinality(attempted_error)] ->> 'error' AS error
    FROM kanthorq_tasks('tidying');
SELECT running FROM kanthorq_consumers WHERE name = 'tidying';
SELECT done, said, error FROM kanthorq_maintenance WHERE stream_name = 'tidying' AND step = 'leases';
-- The live one is as it was, and the others come again.
SELECT kanthorq_ack('tidying', :live);
SELECT events FROM test.pull('tidying');

-- History goes with its event: of those that sort before all others, and of one in the middle. What is to be tried
-- again, or is in a lease, stays, and goes in its own way.
SELECT kanthorq_cancel('tidying', test.ids('45'));
SELECT event_id, state FROM kanthorq_tasks('tidying');
SELECT kanthorq_event_remove('tidying', test.ids('14'));
CALL kanthorq_maintain();
SELECT event_id, state FROM kanthorq_tasks('tidying');
SELECT done, said, error FROM kanthorq_maintenance WHERE stream_name = 'tidying' AND step = 'history';
-- A stream without any event.
SELECT kanthorq_stream_trim('tidying', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', 'tidying', force => true);
CALL kanthorq_maintain();
SELECT event_id, state FROM kanthorq_tasks('tidying');

SELECT kanthorq_stream_drop('tidying', confirm => 'tidying');
RESET ROLE;
DROP OWNED BY regress_kanthorq_tidying;
DROP ROLE regress_kanthorq_tidying;
