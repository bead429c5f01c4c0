-- Acknowledging and extending leases; what a lease that is no longer held refuses.

\set SHOW_CONTEXT never

SELECT name FROM kanthorq_stream_create('ack');
SELECT name FROM kanthorq_consumer_create('ack', 'ack');
SELECT test.publish('ack', '123456789');

-- All of a lease.
SELECT lease FROM test.pull('ack', 3) \gset
SELECT test.states('ack', 'ack');
SELECT kanthorq_ack('ack', :lease);
SELECT test.states('ack', 'ack');
-- Then it is no longer held.
SELECT statement, test.refused(statement, :lease) FROM unnest(ARRAY[
    $$SELECT kanthorq_ack('ack', $1)$$,
    $$SELECT kanthorq_ack('ack', $1, '{01ARZ3NDEKTSV4RRFFQ69G5FA1}')$$,
    $$SELECT kanthorq_ack('ack', $1, '{}')$$,
    $$SELECT kanthorq_nack('ack', $1)$$,
    $$SELECT kanthorq_nack('ack', $1, '{01ARZ3NDEKTSV4RRFFQ69G5FA1}')$$,
    $$SELECT kanthorq_extend('ack', $1)$$]) AS statement;
-- Its completed events leave no row.
SELECT count(*) FROM kanthorq_consumer_ack;

-- Some of a lease, in any order; an id that is not in it counts as nothing: one that does not exist,
-- one that was settled before, one that is not delivered yet, one that is there twice.
SELECT lease FROM test.pull('ack', 4) \gset
SELECT kanthorq_ack('ack', :lease, '{01ARZ3NDEKTSV4RRFFQ69G5FZZ}');
SELECT kanthorq_ack('ack', :lease, test.ids('619'));
SELECT kanthorq_ack('ack', :lease, test.ids('6'));
SELECT kanthorq_ack('ack', :lease, '{}');
SELECT kanthorq_ack('ack', :lease, ('[5:8]=' || test.ids('4646')::text)::text[]);
SELECT test.states('ack', 'ack');
SELECT kanthorq_ack('ack', :lease);
SELECT test.states('ack', 'ack');
SELECT test.refused($$SELECT kanthorq_ack('ack', $1)$$, :lease);
-- With the last of its ids, too, a lease is gone.
SELECT lease FROM test.pull('ack') \gset
SELECT kanthorq_ack('ack', :lease, test.ids('98'));
SELECT test.refused($$SELECT kanthorq_ack('ack', $1, '{01ARZ3NDEKTSV4RRFFQ69G5FA9}')$$, :lease);
-- Every event was settled once, and none comes again.
SELECT count(*) FROM kanthorq_pull('ack');

-- No null is "all", typed or not: clients send null for a list that was never filled. Of an empty list
-- nothing is settled, and all that is left only by the form that has no list.
SELECT test.publish('ack', 'HJKM');
SELECT lease FROM test.pull('ack') \gset
PREPARE ack AS SELECT kanthorq_ack('ack', $1, $2);
PREPARE nack AS SELECT kanthorq_nack('ack', $1, $2, $3, $4);
SELECT statement, test.refused(statement, :lease) FROM unnest(ARRAY[
    $$SELECT kanthorq_ack('ack', $1, NULL)$$,
    $$SELECT kanthorq_ack('ack', $1, NULL::text[])$$,
    $$SELECT kanthorq_ack(consumer => 'ack', lease => $1, ids => NULL)$$,
    $$SELECT kanthorq_ack('ack', $1, array_agg(id)) FROM kanthorq_events('ack') WHERE false$$,
    $$SELECT kanthorq_ack('ack', $1, '{NULL}')$$,
    $$SELECT kanthorq_ack('ack', $1, '{*}')$$,
    $$SELECT kanthorq_nack('ack', $1, NULL)$$,
    $$SELECT kanthorq_nack('ack', $1, NULL::text[])$$,
    $$SELECT kanthorq_nack('ack', $1, NULL, 'no paper', '0')$$,
    $$SELECT kanthorq_nack('ack', $1, ids => NULL, error => 'no paper')$$,
    $$SELECT kanthorq_nack('ack', $1, array_agg(id)) FROM kanthorq_events('ack') WHERE false$$,
    $$SELECT kanthorq_nack('ack', $1, '{NULL}')$$,
    $$SELECT kanthorq_nack('ack', $1, '{*,*}')$$,
    $$SELECT kanthorq_nack('ack', $1, '{01ARZ3NDEKTSV4RRFFQ69G5FAH,*}')$$,
    $$SELECT kanthorq_nack('ack', $1, '{{*}}')$$,
    $$SELECT kanthorq_nack('ack', $1, 'no paper')$$]) AS statement;
EXECUTE ack(:lease, NULL);
EXECUTE nack(:lease, NULL, 'no paper', '0');
EXECUTE ack(:lease, '{}');
EXECUTE nack(:lease, '{}', 'no paper', '0');
SELECT test.states('ack', 'ack') LIKE '%H:running J:running K:running M:running' AS running;
EXECUTE ack(:lease, test.ids('H'));
EXECUTE nack(:lease, '{01ARZ3NDEKTSV4RRFFQ69G5FAJ}', 'no paper', '0');
SELECT kanthorq_nack('ack', :lease, '{01ARZ3NDEKTSV4RRFFQ69G5FAK}', retry_in => '0');
SELECT test.states('ack', 'ack') LIKE '%H:completed J:retryable K:retryable M:running' AS settled;
SELECT kanthorq_ack(consumer => 'ack', lease => :lease);
-- Refusing has one form, in which {*} says that no list was given.
SELECT lease FROM test.pull('ack') \gset
SELECT kanthorq_nack('ack', :lease, retry_in => '0', error => 'no paper');
SELECT lease FROM test.pull('ack') \gset
SELECT kanthorq_nack('ack', :lease, '{*}', 'no paper', '0');
SELECT lease FROM test.pull('ack') \gset
SELECT kanthorq_ack('ack', :lease);
SELECT test.states('ack', 'ack') LIKE '%H:completed J:completed K:completed M:completed' AS completed;
DEALLOCATE ALL;
-- The rest of this file is about the events before them.
SELECT kanthorq_event_remove('ack', test.ids('HJKM'));

-- Two leases do not touch each other.
SELECT test.publish('ack', 'ABCDEF');
SELECT lease FROM test.pull('ack', 3) \gset first_
SELECT lease FROM test.pull('ack', 3) \gset second_
SELECT kanthorq_ack('ack', :first_lease, test.ids('BE'));
SELECT kanthorq_ack('ack', :second_lease);
SELECT test.states('ack', 'ack');
SELECT kanthorq_ack('ack', :first_lease);
-- A slot that is used again holds another lease.
SELECT test.publish('ack', 'G');
SELECT lease FROM test.pull('ack') \gset
SELECT test.refused($$SELECT kanthorq_ack('ack', $1)$$, :first_lease);
SELECT kanthorq_ack('ack', :lease);
SELECT count(*) AS slots, count(*) FILTER (WHERE lease <> 0) AS leases FROM kanthorq_delivery_lease
WHERE consumer = 'ack';
-- There is no lease of these numbers, nor one of another consumer.
SELECT name FROM kanthorq_consumer_create('ack_other', 'ack');
SELECT lease FROM test.pull('ack_other', 3) \gset
SELECT number, test.refused($$SELECT kanthorq_ack('ack', $1)$$, number) FROM unnest(ARRAY[0, 1, -1,
    9223372036854775807, -9223372036854775808]) AS number;
SELECT test.refused($$SELECT kanthorq_ack('ack', $1)$$, :lease);

-- Settling rolls back with its transaction, whole or to a savepoint.
BEGIN;
SELECT kanthorq_ack('ack_other', :lease, test.ids('1'));
SAVEPOINT before;
SELECT kanthorq_ack('ack_other', :lease);
SELECT test.states('ack_other', 'ack') LIKE '1:completed 2:completed 3:completed 4:available%' AS completed;
ROLLBACK TO before;
SELECT test.states('ack_other', 'ack') LIKE '1:completed 2:running 3:running 4:available%' AS running;
ROLLBACK;
SELECT test.states('ack_other', 'ack') LIKE '1:running 2:running 3:running 4:available%' AS running;
-- A pull, its work and the acknowledgement in one transaction.
BEGIN;
SELECT lease FROM test.pull('ack_other', 2) \gset once_
SELECT kanthorq_ack('ack_other', :once_lease);
COMMIT;
-- Acknowledging and then pulling, too.
BEGIN;
SELECT kanthorq_ack('ack_other', :lease);
SELECT events FROM test.pull('ack_other', 2);
COMMIT;

-- A lease that ran out is held until its events are given on.
SELECT name FROM kanthorq_consumer_create('ack_expired', 'ack');
SELECT lease FROM test.pull('ack_expired', 2, '1 ms') \gset
SELECT test.clock_moves_on();
SELECT kanthorq_ack('ack_expired', :lease, test.ids('1'));
SELECT kanthorq_extend('ack_expired', :lease, '1 hour') > now() + interval '59 minutes' AS extended;
SELECT events FROM test.pull('ack_expired', 1);
SELECT kanthorq_extend('ack_expired', :lease, '1 ms') < now() + interval '59 minutes' AS shortened;
SELECT test.clock_moves_on();
SELECT kanthorq_ack('ack_expired', :lease);
SELECT test.refused($$SELECT kanthorq_ack('ack_expired', $1)$$, :lease);
-- Once they are given on it is not, and the new lease has them. What was settled before does not come
-- again.
SELECT lease FROM test.pull('ack_expired', 4, '1 ms') \gset
SELECT kanthorq_ack('ack_expired', :lease, test.ids('4'));
SELECT test.clock_moves_on();
SELECT lease AS again_lease, events FROM test.pull('ack_expired', 3) \gset
\echo :events
SELECT test.refused($$SELECT kanthorq_ack('ack_expired', $1)$$, :lease);
SELECT test.refused($$SELECT kanthorq_nack('ack_expired', $1)$$, :lease);
SELECT test.refused($$SELECT kanthorq_extend('ack_expired', $1)$$, :lease);
SELECT kanthorq_ack('ack_expired', :again_lease, test.ids('56'));
SELECT event_id, state, attempt_count FROM kanthorq_tasks('ack_expired');
SELECT kanthorq_ack('ack_expired', :again_lease);
SELECT count(*) FROM kanthorq_consumer_ack_expired;
-- The work under it rolls back: here is how the error reads, but for the number.
SELECT kanthorq_ack('ack_expired', 7);
\echo :LAST_ERROR_SQLSTATE

-- A lease that this very transaction settled, as by acknowledging all of it once for each of its rows:
-- the error says so. What was rolled back to a savepoint is no reason, and neither is what was done before.
CREATE FUNCTION pg_temp.reason(statement text, lease bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    reason text;
BEGIN
    EXECUTE statement USING lease;
    RETURN 'not refused';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
    RETURN sqlstate || ' ' || reason;
END $$;
SELECT name FROM kanthorq_consumer_create('ack_here', 'ack');
SELECT name FROM kanthorq_consumer_create('ack_there', 'ack');
BEGIN;
SELECT lease FROM test.pull('ack_here', 2) \gset
SELECT kanthorq_ack('ack_here', :lease);
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1)$$, :lease);
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1, '{}')$$, :lease);
SELECT pg_temp.reason($$SELECT kanthorq_nack('ack_here', $1)$$, :lease);
SELECT pg_temp.reason($$SELECT kanthorq_extend('ack_here', $1)$$, :lease);
-- Another lease, and one of another consumer, were not.
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1)$$, :lease - 1);
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_there', $1)$$, :lease);
COMMIT;
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1)$$, :lease);
-- Its last events by their ids; in a savepoint that was released; refused.
BEGIN;
SELECT lease FROM test.pull('ack_here', 2) \gset
SELECT kanthorq_ack('ack_here', :lease, test.ids('3'));
SAVEPOINT inner_one;
SELECT kanthorq_nack('ack_here', :lease, test.ids('4'), retry_in => '0');
RELEASE inner_one;
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1)$$, :lease);
COMMIT;
-- Rolled back to a savepoint it is still held; then its events are given on, which is another reason.
SELECT lease FROM test.pull('ack_here', 1, '1 ms') \gset
BEGIN;
SAVEPOINT before;
SELECT kanthorq_ack('ack_here', :lease);
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1)$$, :lease);
ROLLBACK TO before;
SELECT test.clock_moves_on();
SELECT events FROM test.pull('ack_here', 1);
SELECT pg_temp.reason($$SELECT kanthorq_ack('ack_here', $1)$$, :lease);
COMMIT;
-- In one statement, as it reads but for the number.
DO $$
DECLARE
    detail text;
    hint text;
BEGIN
    PERFORM kanthorq_ack('ack_there', lease) FROM kanthorq_pull('ack_there', 3);
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE NOTICE '% % % %', sqlstate, regexp_replace(sqlerrm, '\d{6,}', '<lease>'), detail, hint;
END $$;

-- Extending: from now, by the consumer's visibility_timeout if no time is named.
-- To ten seconds, as the machine may be slow.
SELECT name FROM kanthorq_consumer_create('ack_extend', 'ack', visibility_timeout => '10 minutes');
SELECT lease FROM test.pull('ack_extend', 1, '1 ms') \gset
CREATE FUNCTION pg_temp.seconds_left(lease bigint) RETURNS numeric LANGUAGE sql AS $$
    SELECT round(deadline / 1000.0 - extract(epoch FROM clock_timestamp()), -1)
    FROM kanthorq_delivery_lease WHERE consumer = 'ack_extend' AND kanthorq_delivery_lease.lease = $1
$$;
SELECT round(extract(epoch FROM kanthorq_extend('ack_extend', :lease) - clock_timestamp()), -1) AS seconds;
SELECT pg_temp.seconds_left(:lease);
SELECT round(extract(epoch FROM kanthorq_extend('ack_extend', :lease, '1 hour') - clock_timestamp()), -1) AS seconds;
SELECT pg_temp.seconds_left(:lease);
SELECT round(extract(epoch FROM kanthorq_extend('ack_extend', :lease, '1 day') - clock_timestamp()), -1) AS seconds;
SELECT round(extract(epoch FROM kanthorq_extend('ack_extend', :lease, '30 s') - clock_timestamp()), -1) AS seconds;
-- What was settled in it stays settled.
SELECT kanthorq_ack('ack_extend', :lease);
SELECT test.refused($$SELECT kanthorq_extend('ack_extend', $1)$$, :lease);

-- An event that was removed while it ran is settled with the lease, but not found by its id.
SELECT name FROM kanthorq_consumer_create('ack_removed', 'ack');
SELECT lease FROM test.pull('ack_removed', 3) \gset
SELECT kanthorq_event_remove('ack', test.ids('2'));
SELECT kanthorq_ack('ack_removed', :lease, test.ids('2'));
SELECT kanthorq_ack('ack_removed', :lease);
SELECT lease FROM test.pull('ack_removed', 3, '1 ms') \gset
SELECT kanthorq_event_remove('ack', test.ids('45'));
SELECT test.clock_moves_on();
SELECT events FROM test.pull('ack_removed', 3);
SELECT event_id, state, attempt_count FROM kanthorq_tasks('ack_removed');

-- An event is acknowledged also if the same statement changes its row.
SELECT name FROM kanthorq_consumer_create('ack_changed', 'ack');
SELECT lease FROM test.pull('ack_changed', 2) \gset
SELECT kanthorq_nack('ack_changed', :lease, retry_in => '0');
SELECT lease FROM test.pull('ack_changed', 2) \gset
WITH changed AS (UPDATE kanthorq_consumer_ack_changed SET attempted_error = '{}' RETURNING event_id::text)
SELECT kanthorq_ack('ack_changed', :lease, array_agg(event_id)) FROM changed;
SELECT count(*) FROM kanthorq_consumer_ack_changed;

SELECT kanthorq_stream_drop('ack', confirm => 'ack');
