-- What there is before the upgrade: consumers in every state that outlives a server, on a stream
-- into which two prepared transactions published: one committed after the cursors had passed, one rolled back.
-- What must be so after it, in after.sql, is known from the table "delivery", which has every event
-- that a pull delivered, and from copies of what the server said.
\echo 1..15
SET client_min_messages = warning;
CREATE EXTENSION kanthorq;
CREATE FUNCTION ok(holds boolean, what text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN holds THEN 'ok - ' ELSE 'not ok - ' END || what
$$;
CREATE TABLE delivery (
    consumer text NOT NULL,
    lease bigint NOT NULL,
    attempt smallint NOT NULL,
    "position" bigint NOT NULL,
    id text NOT NULL,
    upgraded boolean NOT NULL,
    settled boolean NOT NULL DEFAULT false
);
CREATE FUNCTION pull(consumer text, size integer, visibility_timeout interval, upgraded boolean,
    OUT lease bigint, OUT events bigint)
LANGUAGE sql AS $$
    WITH new AS (
        INSERT INTO delivery
        SELECT $1, pulled.lease, attempt, "position", id, $4
        FROM kanthorq_pull($1, $2, visibility_timeout => $3) AS pulled
        RETURNING delivery.lease
    )
    SELECT max(lease), count(*) FROM new;
$$;
-- Acknowledges all of the lease, or the events named; the count that the server returned, which must be
-- the count of those that it covers.
CREATE FUNCTION ack(consumer text, lease bigint, ids text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    told bigint;
BEGIN
    told := CASE WHEN ids IS NULL THEN kanthorq_ack($1, $2) ELSE kanthorq_ack($1, $2, $3) END;
    UPDATE delivery SET settled = true
    WHERE delivery.consumer = $1 AND delivery.lease = $2 AND NOT settled AND (ids IS NULL OR id = ANY (ids));
    RETURN told;
END $$;

-- A short name, one whose table is named by a hash, and one with nothing in it.
SELECT count(kanthorq_stream_create(name, subject_index => name <> 'idle'))
FROM unnest(ARRAY['Order_Update', repeat('long', 25), 'idle']) AS name \g /dev/null
SELECT count(kanthorq_publish_text(repeat('long', 25), 'order.paid', i::text))
FROM generate_series(1, 5) AS i \g /dev/null
SELECT count(kanthorq_consumer_create(name, 'Order_Update', visibility_timeout => '1 hour',
    ordered => name = 'ordered', attempt_max => CASE name WHEN 'discarded' THEN 1 ELSE 16 END))
FROM unnest('{done,leased,ran_out,late,ordered,refused,discarded,cancelled,fresh}'::text[]) AS name \g /dev/null
SELECT count(kanthorq_consumer_create('filtered', 'Order_Update', '{order.*}', '{order.late}',
    metadata_contains => '{"tenant": 7}')) \g /dev/null

CREATE FUNCTION publish(subject text, bodies int8range) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(kanthorq_publish_text('Order_Update', subject, i::text, '{"tenant": 7}'))
    FROM generate_series(lower(bodies), upper(bodies) - 1) AS i
$$;
SELECT publish('order.paid', '[1,10]') \g /dev/null
SELECT ok(events = 10, 'ordered pulls') FROM pull('ordered', 100, NULL, false);
BEGIN;
SELECT publish('order.late', '[11,13]') \g /dev/null
PREPARE TRANSACTION 'late';
BEGIN;
SELECT publish('order.never', '[14,15]') \g /dev/null
PREPARE TRANSACTION 'never';
SELECT publish('order.paid', '[16,20]') \g /dev/null

-- Everybody but "fresh" pulls past the two.
SELECT ok(events = CASE name WHEN 'ordered' THEN 0 ELSE 15 END, name || ' pulls what is committed')
FROM unnest('{done,leased,ran_out,late,ordered,refused,discarded,cancelled,filtered}'::text[]) AS name,
    pull(name, 100, CASE name WHEN 'ran_out' THEN interval '1 ms' END, false);
COMMIT PREPARED 'late';
ROLLBACK PREPARED 'never';
SELECT publish('order.paid', '[21,25]') \g /dev/null

SELECT ack(consumer, lease) FROM delivery WHERE consumer IN ('done', 'late', 'filtered')
GROUP BY consumer, lease \g /dev/null
-- "done" has also had what came late, so that nothing is owed to it.
SELECT ok(events = 8, 'done pulls what came late and what is new') FROM pull('done', 100, NULL, false);
SELECT ack('done', max(lease)) FROM delivery WHERE consumer = 'done' \g /dev/null
-- A part of a lease.
SELECT ok(ack('leased', lease, array_agg(id)) = 4, 'a part of a lease is acknowledged')
FROM delivery WHERE consumer = 'leased' AND "position" <= 4 GROUP BY lease;
-- The first two are refused: one for now, one for long; the others are acknowledged.
SELECT kanthorq_nack('refused', lease, ARRAY[id], 'refused before the upgrade',
    CASE "position" WHEN 1 THEN interval '0' ELSE interval '2 hours' END)
FROM delivery WHERE consumer = 'refused' AND "position" <= 2 \g /dev/null
SELECT kanthorq_nack('discarded', lease, ARRAY[id], 'refused before the upgrade')
FROM delivery WHERE consumer = 'discarded' AND "position" <= 3 \g /dev/null
SELECT kanthorq_cancel('cancelled', array_agg(id)) FROM delivery
WHERE consumer = 'cancelled' AND "position" <= 3 \g /dev/null
SELECT ack(consumer, lease) FROM delivery WHERE consumer IN ('refused', 'discarded', 'cancelled')
GROUP BY consumer, lease \g /dev/null
UPDATE delivery SET settled = false
WHERE consumer = 'refused' AND "position" <= 2 OR consumer IN ('discarded', 'cancelled') AND "position" <= 3;

-- What the server says of all this, without what goes on with the clock.
CREATE VIEW now_said AS
SELECT 'stream' AS what, name, to_jsonb(s) - '{events,bytes}'::text[] AS told FROM kanthorq_streams AS s
UNION ALL
SELECT 'consumer', name, to_jsonb(c) - 'lag_time' FROM kanthorq_consumers AS c
UNION ALL
SELECT 'definition', name, to_jsonb(r) FROM kanthorq_consumer_registry AS r
UNION ALL
SELECT 'task', name, to_jsonb(t) FROM kanthorq_consumer_registry, kanthorq_tasks(name, size => 1000) AS t
UNION ALL
SELECT 'state', r.name, jsonb_build_object(e.id, kanthorq_task_state(r.name, e.id))
FROM kanthorq_consumer_registry AS r, "kanthorq_stream_Order_Update" AS e;
CREATE TABLE said AS SELECT * FROM now_said;
CREATE TABLE event AS SELECT * FROM "kanthorq_stream_Order_Update";
SELECT ok((SELECT count(*) FROM event) = 23, 'the events are there');
SELECT ok((SELECT bool_or(cardinality(late) > 0) FROM kanthorq_delivery_state WHERE consumer = 'late'),
    'late is owed events of a transaction that has ended');
SELECT ok((SELECT count(DISTINCT consumer) FROM kanthorq_delivery_lease WHERE lease > 0) >= 3,
    'there are open leases');
