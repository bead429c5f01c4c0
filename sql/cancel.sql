-- Cancelling and resuming events, and the state of each.

-- The last characters of these ids.
CREATE FUNCTION pg_temp.tails(ids text[]) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(right(id, 1), '' ORDER BY place), 'none')
    FROM unnest(ids) WITH ORDINALITY AS one (id, place)
$$;
CREATE FUNCTION pg_temp.tasks(consumer text, state text DEFAULT NULL) RETURNS TABLE (event text,
    subject text, state text, attempts smallint, is_scheduled boolean, is_attempted boolean,
    is_finalized boolean, errors integer)
LANGUAGE sql AS $$
    SELECT right(event_id, 1), subject, state, attempt_count, schedule_at IS NOT NULL,
        attempted_at IS NOT NULL, finalized_at IS NOT NULL, cardinality(attempted_error)
    FROM kanthorq_tasks(consumer, state)
$$;

SELECT name FROM kanthorq_stream_create('cancel');
SELECT name FROM kanthorq_consumer_create('cancel', 'cancel', excludes => '{event.X}',
    attempt_max => 2);
SELECT test.publish('cancel', '123456789X');

-- Every state: 1 completed, 2 running, 3 running again, 4 discarded, 5 retryable, 6 cancelled, 7 to 9
-- available, X not the consumer's.
SELECT kanthorq_ack('cancel', (test.pull('cancel', 1)).lease);
SELECT lease FROM test.pull('cancel', 1) \gset
SELECT kanthorq_nack('cancel', (test.pull('cancel', 2)).lease, retry_in => '0');
SELECT lease AS again_lease, events FROM test.pull('cancel', 2) \gset
\echo :events
SELECT kanthorq_nack('cancel', :again_lease, test.ids('4'), 'last');
SELECT kanthorq_nack('cancel', (test.pull('cancel', 1)).lease, error => 'first', retry_in => '1 hour');
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('6')));
SELECT test.states('cancel', 'cancel');
-- Nor is an event that does not exist.
SELECT kanthorq_task_state('cancel', '01ARZ3NDEKTSV4RRFFQ69G5FZZ') IS NULL AS is_null;
SELECT kanthorq_task_state('cancel', NULL) IS NULL AS is_null;
-- The tasks, and those of one state.
SELECT * FROM pg_temp.tasks('cancel');
SELECT state, (SELECT string_agg(event, '') FROM pg_temp.tasks('cancel', state)) AS events
FROM unnest(ARRAY['available', 'running', 'completed', 'retryable', 'discarded', 'cancelled']) AS state;
SELECT right(event_id, 1) AS event FROM kanthorq_tasks('cancel', size => 2);
SELECT right(event_id, 1) AS event FROM kanthorq_tasks('cancel', 'cancelled', 1);

-- Cancelling in each state: completed, discarded and cancelled ones, others' and unknown ones stay as
-- they are; the answer has the ids that changed, in the order that they were named in.
-- A null list is an empty one: array_agg over no rows is null.
SELECT kanthorq_cancel('cancel', '{}'), kanthorq_cancel('cancel', NULL), kanthorq_cancel('cancel', array_agg(id))
FROM kanthorq_events('cancel') WHERE false;
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('146XZ')));
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('982513')));
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('2359')));
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('77')));
SELECT test.states('cancel', 'cancel');
SELECT * FROM pg_temp.tasks('cancel');
-- The workers of those that ran hold nothing any more.
SELECT count(*) FROM kanthorq_delivery_lease WHERE consumer = 'cancel' AND lease <> 0;
SELECT count(*) FROM kanthorq_pull('cancel');
-- Resuming: they are available, with no attempt made; other states stay as they are.
SELECT kanthorq_resume('cancel', '{}'), kanthorq_resume('cancel', NULL), kanthorq_resume('cancel', array_agg(id))
FROM kanthorq_events('cancel') WHERE false;
SELECT pg_temp.tails(kanthorq_resume('cancel', test.ids('1XZ')));
SELECT pg_temp.tails(kanthorq_resume('cancel', test.ids('4321')));
SELECT pg_temp.tails(kanthorq_resume('cancel', test.ids('4321')));
SELECT test.states('cancel', 'cancel');
SELECT * FROM pg_temp.tasks('cancel', 'available');
SELECT lease, events FROM test.pull('cancel') \gset
\echo :events
-- One of them has its attempts all over again.
SELECT kanthorq_nack('cancel', :lease, test.ids('4'), retry_in => '0');
SELECT lease AS again_lease, events FROM test.pull('cancel') \gset
\echo :events
SELECT kanthorq_nack('cancel', :again_lease, retry_in => '0');
SELECT kanthorq_ack('cancel', :lease);
SELECT test.states('cancel', 'cancel');
-- What waits for a retry of its own time may be cancelled and resumed: it comes at once.
SELECT pg_temp.tails(kanthorq_resume('cancel', test.ids('5')));
SELECT events FROM test.pull('cancel');

-- Cancelled before it was delivered, and resumed before its turn: it comes in its turn.
SELECT name FROM kanthorq_consumer_create('cancel_ahead', 'cancel');
SELECT pg_temp.tails(kanthorq_cancel('cancel_ahead', test.ids('234')));
SELECT pg_temp.tails(kanthorq_cancel('cancel_ahead', test.ids('234')));
SELECT * FROM pg_temp.tasks('cancel_ahead');
SELECT pg_temp.tails(kanthorq_resume('cancel_ahead', test.ids('3')));
SELECT test.states('cancel_ahead', 'cancel');
SELECT * FROM pg_temp.tasks('cancel_ahead');
SELECT events FROM test.pull('cancel_ahead', 3);
-- Resumed after its turn: it comes first.
SELECT pg_temp.tails(kanthorq_resume('cancel_ahead', test.ids('4')));
SELECT events FROM test.pull('cancel_ahead', 2);
SELECT test.states('cancel_ahead', 'cancel');

-- Some of a lease: the rest is the worker's as before.
SELECT name FROM kanthorq_consumer_create('cancel_lease', 'cancel');
SELECT lease FROM test.pull('cancel_lease', 3) \gset
SELECT pg_temp.tails(kanthorq_cancel('cancel_lease', test.ids('2')));
SELECT kanthorq_ack('cancel_lease', :lease, test.ids('2'));
SELECT kanthorq_ack('cancel_lease', :lease);
SELECT test.states('cancel_lease', 'cancel') LIKE '1:completed 2:cancelled 3:completed 4:available%' AS right;
-- Of a lease that ran out and was not given on.
SELECT lease FROM test.pull('cancel_lease', 3, '1 ms') \gset
SELECT test.clock_moves_on();
SELECT pg_temp.tails(kanthorq_cancel('cancel_lease', test.ids('5')));
SELECT events FROM test.pull('cancel_lease', 3);
-- In one transaction, and rolled back with it.
BEGIN;
SELECT lease FROM test.pull('cancel_lease', 2) \gset
SELECT pg_temp.tails(kanthorq_cancel('cancel_lease', test.ids('8')));
SELECT test.states('cancel_lease', 'cancel');
ROLLBACK;
SELECT test.states('cancel_lease', 'cancel');

-- The event is published and cancelled in one transaction, and comes when it is resumed.
BEGIN;
SELECT test.publish('cancel', 'A');
SELECT kanthorq_task_state('cancel', '01ARZ3NDEKTSV4RRFFQ69G5FAA');
SELECT events FROM test.pull('cancel');
SELECT kanthorq_task_state('cancel', '01ARZ3NDEKTSV4RRFFQ69G5FAA');
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('A')));
COMMIT;
SELECT events FROM test.pull('cancel');
SELECT pg_temp.tails(kanthorq_resume('cancel', test.ids('A')));
SELECT events FROM test.pull('cancel');
-- Removed while it is cancelled, it can't be resumed.
SELECT test.publish('cancel', 'B');
SELECT pg_temp.tails(kanthorq_cancel('cancel', test.ids('B')));
SELECT kanthorq_event_remove('cancel', test.ids('B'));
SELECT pg_temp.tails(kanthorq_resume('cancel', test.ids('B')));
SELECT events FROM test.pull('cancel');

SELECT kanthorq_stream_drop('cancel', confirm => 'cancel');
