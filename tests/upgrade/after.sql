-- What must be so after the upgrade, of what before.sql made.
\echo 1..50
SET client_min_messages = warning;

SELECT ok(count(*) = 0, 'the server says what it said, in ' || (SELECT count(*) FROM said) || ' rows')
FROM ((TABLE said EXCEPT ALL TABLE now_said) UNION ALL (TABLE now_said EXCEPT ALL TABLE said)) AS differing;
SELECT ok(count(*) = 0, 'the events are as they were, with their positions and transactions')
FROM ((TABLE event EXCEPT ALL TABLE "kanthorq_stream_Order_Update")
    UNION ALL (TABLE "kanthorq_stream_Order_Update" EXCEPT ALL TABLE event)) AS differing;
SELECT ok(count(*) = 0, 'nobody is publishing') FROM kanthorq_horizon('Order_Update');
CREATE EXTENSION amcheck;
SELECT ok(count(bt_index_check(indexrelid, true)) >= 8, 'the indexes have all that is in the tables')
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid::regclass::text ~ 'kanthorq_' AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree');

-- An error's SQLSTATE, or none.
CREATE FUNCTION state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;

-- Publishing goes on after the last position, and knows the ids that there are.
SELECT ok(publish('order.paid', '[26,30]') = 5, 'publishing goes on');
SELECT ok(count(*) = 5 AND min("position") > 25, 'behind the last position')
FROM "kanthorq_stream_Order_Update" WHERE id NOT IN (SELECT id FROM event);
SELECT ok(count(DISTINCT txid) = 1 AND bool_and(txid > (SELECT max(txid) FROM event)),
    'in a transaction with a greater id')
FROM "kanthorq_stream_Order_Update" WHERE id NOT IN (SELECT id FROM event);
SELECT ok(state_of(format('SELECT kanthorq_publish_text(''Order_Update'', ''again'', '''', id => %L)', min(id)))
    = '23505', 'an id that there was is refused') FROM event;
SELECT ok(kanthorq_publish_text('idle', 'first', '') IS NOT NULL, 'an empty stream takes its first event');
SELECT ok(kanthorq_publish_text(repeat('long', 25), 'sixth', '') IS NOT NULL
    AND (SELECT count(*) = 5 FROM kanthorq_events(repeat('long', 25))),
    'so does one with a long name; a statement sees what was there before it');
SELECT ok(count(*) = 6, 'and has six then') FROM kanthorq_events(repeat('long', 25));

-- The open lease: nobody else is given its events, it can be extended, and what was not acknowledged
-- of it can be. Then it is no longer held.
SELECT max(lease) AS lease FROM delivery WHERE consumer = 'leased' \gset
SELECT ok(kanthorq_extend('leased', :lease, '1 hour') > now(), 'an old lease is extended');
SELECT ok(events = 13, 'a pull gives what is in no lease') FROM pull('leased', 100, NULL, true);
SELECT ok(ack('leased', :lease) = 11, 'an old lease is acknowledged, as far as it was not');
SELECT ok(state_of('SELECT kanthorq_ack(''leased'', ' || :lease || ')') = 'KQ001', 'and is refused then');

SELECT max(lease) AS lease FROM delivery WHERE consumer = 'ran_out' \gset
SELECT ok(events = 28, 'what a lease that ran out had comes again') FROM pull('ran_out', 100, NULL, true);
SELECT ok(state_of('SELECT kanthorq_ack(''ran_out'', ' || :lease || ')') = 'KQ001', 'and that lease is refused');

-- Late and new. What is owed comes once, and comes before what is new or with it.
SELECT ok(events = 13, 'late gets what it is owed, and what is new') FROM pull('late', 100, NULL, true);
SELECT ok(count(*) = 3, 'the late events are among them')
FROM delivery WHERE consumer = 'late' AND upgraded AND "position" BETWEEN 11 AND 13;
SELECT ok(events = 18, 'ordered goes on where it waited') FROM pull('ordered', 100, NULL, true);
SELECT ok(events = 5, 'done gets what is new only') FROM pull('done', 100, NULL, true);
SELECT ok(events = 10, 'filtered gets what is new and its own') FROM pull('filtered', 100, NULL, true);
SELECT ok(events = 28, 'fresh gets everything') FROM pull('fresh', 100, NULL, true);

-- Tasks.
SELECT ok(events = 14, 'refused gets what is new, and the one that is due') FROM pull('refused', 100, NULL, true);
SELECT ok(count(*) = 1 AND min(attempt) = 2, 'which is its second attempt')
FROM delivery WHERE consumer = 'refused' AND upgraded AND "position" = 1;
SELECT ok(count(*) = 1 AND bool_and(attempted_error::text ~ 'refused before the upgrade'),
    'the other one waits, with what was said of it') FROM kanthorq_tasks('refused', 'retryable');
SELECT ok(cardinality(kanthorq_resume(consumer, array_agg(id))) = 3, consumer || ' events are resumed')
FROM delivery WHERE consumer IN ('discarded', 'cancelled') AND "position" <= 3 GROUP BY consumer;
SELECT ok(events = 16, consumer || ' events come again') FROM unnest('{discarded,cancelled}'::text[]) AS consumer,
    pull(consumer, 100, NULL, true);

-- The whole story. All is acknowledged, by the old server or the new one; then nothing is left but
-- the one refused for long, and each event was settled once for each consumer that it is for.
SELECT ok(bool_and(ack(consumer, lease) > 0), 'all open leases are acknowledged')
FROM (SELECT consumer, lease FROM delivery
    WHERE NOT settled AND (upgraded OR consumer = 'ordered') GROUP BY consumer, lease) AS open;
SELECT ok(events = 0, name || ' has no more') FROM kanthorq_consumer_registry, pull(name, 100, NULL, true);
SELECT ok(bool_and(settled = wanted), 'each event was settled once')
FROM (SELECT count(d.id) FILTER (WHERE d.settled) AS settled,
        (NOT (r.name = 'refused' AND e."position" = 2)
            AND NOT (r.name = 'filtered' AND e.subject = 'order.late'))::integer AS wanted
    FROM kanthorq_consumer_registry AS r CROSS JOIN "kanthorq_stream_Order_Update" AS e
    LEFT JOIN delivery AS d ON d.consumer = r.name AND d.id = e.id
    GROUP BY r.name, e.id, e."position", e.subject) AS story;
SELECT ok(bool_and(deliveries = CASE WHEN consumer = 'ran_out' AND "position" <= 20 AND subject <> 'order.late'
        OR consumer = 'refused' AND "position" = 1
        OR consumer IN ('discarded', 'cancelled') AND "position" <= 3 THEN 2 ELSE 1 END),
    'and delivered once, or twice for a reason')
FROM (SELECT consumer, d."position", e.subject, count(*) AS deliveries
    FROM delivery AS d LEFT JOIN "kanthorq_stream_Order_Update" AS e USING (id)
    GROUP BY consumer, d."position", e.subject) AS story;
SELECT ok(bool_and(running = 0 AND lag = 0), 'nothing runs or lags') FROM kanthorq_consumers;

-- What there is can be changed and dropped, and new ones made.
SELECT ok(state_of('DELETE FROM "kanthorq_stream_Order_Update"') = '55000', 'a stream is append-only still');
SELECT ok(kanthorq_event_remove('Order_Update', array_agg(id)) = 1, 'an event is removed')
FROM event WHERE "position" = 1;
DROP VIEW now_said;
SELECT ok(kanthorq_stream_drop('Order_Update', 'Order_Update'), 'a stream is dropped with its consumers');
SELECT name FROM kanthorq_stream_create('Order_Update') \g /dev/null
SELECT ok(kanthorq_publish_text('Order_Update', 'first', '') IS NOT NULL, 'and made again');
SELECT name FROM kanthorq_consumer_create('again', 'Order_Update') \g /dev/null
SELECT ok(events = 1, 'with a consumer') FROM pull('again', 100, NULL, true);
DROP EXTENSION kanthorq CASCADE;
SELECT ok(count(*) = 0, 'the extension is dropped') FROM pg_proc WHERE proname ~ '^kanthorq_';
