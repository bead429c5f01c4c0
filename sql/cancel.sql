-- Cancelling and resuming events, and the state of each.

-- Publishes an event for each character, with a subject and an id that end in it.
CREATE FUNCTION pg_temp.publish(stream text, tails text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish(stream, 'event.' || tail, '',
        id => '01ARZ3NDEKTSV4RRFFQ69G5FA' || tail))
    FROM regexp_split_to_table(tails, '') AS tail
$$;
-- The ids that end in these characters.
CREATE FUNCTION pg_temp.ids(tails text) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg('01ARZ3NDEKTSV4RRFFQ69G5FA' || tail) FROM regexp_split_to_table(tails, '') AS tail
$$;
-- The last characters of these ids.
CREATE FUNCTION pg_temp.tails(ids text[]) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(right(id, 1), '' ORDER BY place), 'none')
    FROM unnest(ids) WITH ORDINALITY AS one (id, place)
$$;
-- Pulls; of each event the last character of its id and the attempt, by id.
CREATE FUNCTION pg_temp.pull(consumer text, size integer DEFAULT 100,
    visibility_timeout interval DEFAULT NULL, OUT lease bigint, OUT events text)
LANGUAGE sql AS $$
    SELECT max(event.lease),
        string_agg(right(event.id, 1) || ':' || event.attempt, ' ' ORDER BY event.id COLLATE "C")
    FROM kanthorq_pull(consumer, size, visibility_timeout => visibility_timeout) AS event
$$;
CREATE FUNCTION pg_temp.clock_moves_on() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
BEGIN
    WHILE clock_timestamp() - start < interval '2 ms' LOOP END LOOP;
END $$;
-- The states of all events of the stream, by id.
CREATE FUNCTION pg_temp.states(consumer text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(right(id, 1) || ':' || coalesce(kanthorq_task_state(consumer, id), 'null'), ' '
        ORDER BY id COLLATE "C")
    FROM kanthorq_events('cancel')
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
SELECT pg_temp.publish('cancel', '123456789X');

-- Every state: 1 completed, 2 running, 3 running again, 4 discarded, 5 retryable, 6 cancelled, 7 to 9
-- available, X not the consumer's.
SELECT kanthorq_ack('cancel', (pg_temp.pull('cancel', 1)).lease);
SELECT lease FROM pg_temp.pull('cancel', 1) \gset
SELECT kanthorq_nack('cancel', (pg_temp.pull('cancel', 2)).lease, retry_in => '0');
SELECT lease AS again_lease, events FROM pg_temp.pull('cancel', 2) \gset
\echo :events
SELECT kanthorq_nack('cancel', :again_lease, pg_temp.ids('4'), 'last');
SELECT kanthorq_nack('cancel', (pg_temp.pull('cancel', 1)).lease, error => 'first', retry_in => '1 hour');
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('6')));
SELECT pg_temp.states('cancel');
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
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('146XZ')));
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('982513')));
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('2359')));
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('77')));
SELECT pg_temp.states('cancel');
SELECT * FROM pg_temp.tasks('cancel');
-- The workers of those that ran hold nothing any more.
SELECT count(*) FROM kanthorq_delivery_lease WHERE consumer = 'cancel' AND lease <> 0;
SELECT count(*) FROM kanthorq_pull('cancel');
-- Resuming: they are available, with no attempt made; other states stay as they are.
SELECT kanthorq_resume('cancel', '{}'), kanthorq_resume('cancel', NULL), kanthorq_resume('cancel', array_agg(id))
FROM kanthorq_events('cancel') WHERE false;
SELECT pg_temp.tails(kanthorq_resume('cancel', pg_temp.ids('1XZ')));
SELECT pg_temp.tails(kanthorq_resume('cancel', pg_temp.ids('4321')));
SELECT pg_temp.tails(kanthorq_resume('cancel', pg_temp.ids('4321')));
SELECT pg_temp.states('cancel');
SELECT * FROM pg_temp.tasks('cancel', 'available');
SELECT lease, events FROM pg_temp.pull('cancel') \gset
\echo :events
-- One of them has its attempts all over again.
SELECT kanthorq_nack('cancel', :lease, pg_temp.ids('4'), retry_in => '0');
SELECT lease AS again_lease, events FROM pg_temp.pull('cancel') \gset
\echo :events
SELECT kanthorq_nack('cancel', :again_lease, retry_in => '0');
SELECT kanthorq_ack('cancel', :lease);
SELECT pg_temp.states('cancel');
-- What waits for a retry of its own time may be cancelled and resumed: it comes at once.
SELECT pg_temp.tails(kanthorq_resume('cancel', pg_temp.ids('5')));
SELECT events FROM pg_temp.pull('cancel');

-- Cancelled before it was delivered, and resumed before its turn: it comes in its turn.
SELECT name FROM kanthorq_consumer_create('cancel_ahead', 'cancel');
SELECT pg_temp.tails(kanthorq_cancel('cancel_ahead', pg_temp.ids('234')));
SELECT pg_temp.tails(kanthorq_cancel('cancel_ahead', pg_temp.ids('234')));
SELECT * FROM pg_temp.tasks('cancel_ahead');
SELECT pg_temp.tails(kanthorq_resume('cancel_ahead', pg_temp.ids('3')));
SELECT pg_temp.states('cancel_ahead');
SELECT * FROM pg_temp.tasks('cancel_ahead');
SELECT events FROM pg_temp.pull('cancel_ahead', 3);
-- Resumed behind its turn: it comes first.
SELECT pg_temp.tails(kanthorq_resume('cancel_ahead', pg_temp.ids('4')));
SELECT events FROM pg_temp.pull('cancel_ahead', 2);
SELECT pg_temp.states('cancel_ahead');

-- Some of a lease: the rest is the worker's as before.
SELECT name FROM kanthorq_consumer_create('cancel_lease', 'cancel');
SELECT lease FROM pg_temp.pull('cancel_lease', 3) \gset
SELECT pg_temp.tails(kanthorq_cancel('cancel_lease', pg_temp.ids('2')));
SELECT kanthorq_ack('cancel_lease', :lease, pg_temp.ids('2'));
SELECT kanthorq_ack('cancel_lease', :lease);
SELECT pg_temp.states('cancel_lease') LIKE '1:completed 2:cancelled 3:completed 4:available%' AS right;
-- Of a lease that ran out and was not given on.
SELECT lease FROM pg_temp.pull('cancel_lease', 3, '1 ms') \gset
SELECT pg_temp.clock_moves_on();
SELECT pg_temp.tails(kanthorq_cancel('cancel_lease', pg_temp.ids('5')));
SELECT events FROM pg_temp.pull('cancel_lease', 3);
-- In one transaction, and rolled back with it.
BEGIN;
SELECT lease FROM pg_temp.pull('cancel_lease', 2) \gset
SELECT pg_temp.tails(kanthorq_cancel('cancel_lease', pg_temp.ids('8')));
SELECT pg_temp.states('cancel_lease');
ROLLBACK;
SELECT pg_temp.states('cancel_lease');

-- The event is published and cancelled in one transaction, and comes when it is resumed.
BEGIN;
SELECT pg_temp.publish('cancel', 'A');
SELECT kanthorq_task_state('cancel', '01ARZ3NDEKTSV4RRFFQ69G5FAA');
SELECT events FROM pg_temp.pull('cancel');
SELECT kanthorq_task_state('cancel', '01ARZ3NDEKTSV4RRFFQ69G5FAA');
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('A')));
COMMIT;
SELECT events FROM pg_temp.pull('cancel');
SELECT pg_temp.tails(kanthorq_resume('cancel', pg_temp.ids('A')));
SELECT events FROM pg_temp.pull('cancel');
-- Removed while it is cancelled, it can't be resumed.
SELECT pg_temp.publish('cancel', 'B');
SELECT pg_temp.tails(kanthorq_cancel('cancel', pg_temp.ids('B')));
SELECT kanthorq_event_remove('cancel', pg_temp.ids('B'));
SELECT pg_temp.tails(kanthorq_resume('cancel', pg_temp.ids('B')));
SELECT events FROM pg_temp.pull('cancel');

SELECT kanthorq_stream_drop('cancel', confirm => 'cancel');
