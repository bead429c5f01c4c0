-- Pulling: what comes, in which order, how much of it, and what a pull leaves.

-- Pulls; of each event the last character of its id and the attempt, in the order in which they came.
CREATE FUNCTION pg_temp.pull(consumer text, size integer DEFAULT 100,
    visibility_timeout interval DEFAULT NULL, OUT lease bigint, OUT events text)
LANGUAGE sql AS $$
    SELECT max(event.lease), string_agg(right(event.id, 1) || ':' || event.attempt, ' ' ORDER BY place)
    FROM kanthorq_pull(consumer, size, visibility_timeout => visibility_timeout)
        WITH ORDINALITY AS event
            (lease, attempt, "position", id, subject, body, metadata, created_at, place)
$$;

-- All of an event.
SELECT name FROM kanthorq_stream_create('pull');
SELECT name FROM kanthorq_consumer_create('pull', 'pull');
SELECT kanthorq_publish('pull', 'order.created', '\x00ff', '{"tenant": 7}',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA1', created_at => 1469922850259);
SELECT kanthorq_publish('pull', 'order.paid', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT attempt, "position", id, subject, body, metadata, created_at FROM kanthorq_pull('pull');
SELECT attempt, "position", id FROM kanthorq_pull('pull');
-- One lease for what a pull delivers, greater than those before.
SELECT test.publish('pull', '34567');
SELECT count(DISTINCT lease) AS leases, count(*) AS events, max(lease) AS lease
FROM kanthorq_pull('pull', 3) \gset first_
SELECT :first_leases AS leases, :first_events AS events;
SELECT count(*) AS events, max(lease) > :first_lease AS greater FROM kanthorq_pull('pull', 3);
SELECT count(*) FROM kanthorq_pull('pull', 3);
-- It runs out after the consumer's visibility_timeout, or the one that the pull names.
SELECT name FROM kanthorq_consumer_create('pull_timeout', 'pull', visibility_timeout => '2 minutes');
SELECT count(*) FROM kanthorq_pull('pull_timeout', 1);
SELECT count(*) FROM kanthorq_pull('pull_timeout', 1, visibility_timeout => '1 hour');
SELECT round((deadline - lease / 1000) / 1000.0) AS seconds
FROM kanthorq_delivery_lease WHERE consumer = 'pull_timeout' ORDER BY lease;
SELECT kanthorq_stream_drop('pull', confirm => 'pull');

-- Sizes: 1 to 10,000, by default 100.
SELECT name FROM kanthorq_stream_create('pull_size');
SELECT cardinality(kanthorq_publish_many('pull_size', array_fill('event'::text, ARRAY[10200]),
    array_fill(''::bytea, ARRAY[10200])));
SELECT name FROM kanthorq_consumer_create('pull_size', 'pull_size');
SELECT count(*), min("position"), max("position") FROM kanthorq_pull('pull_size');
SELECT count(*), min("position"), max("position") FROM kanthorq_pull('pull_size', 1);
SELECT count(*), min("position"), max("position") FROM kanthorq_pull('pull_size', 10000);
SELECT count(*), min("position"), max("position") FROM kanthorq_pull('pull_size', 10000);
SELECT count(*), min("position"), max("position") FROM kanthorq_pull('pull_size', 10000);
SELECT running, lag FROM kanthorq_consumers WHERE name = 'pull_size';
SELECT kanthorq_stream_drop('pull_size', confirm => 'pull_size');

-- The order: events of leases that ran out, then retries that are due, the one that is due longest
-- first, then new events by position; all within the size.
SELECT name FROM kanthorq_stream_create('pull_order');
SELECT name FROM kanthorq_consumer_create('pull_order', 'pull_order');
SELECT test.publish('pull_order', '123456');
SELECT lease FROM pg_temp.pull('pull_order', 2) \gset
SELECT events FROM pg_temp.pull('pull_order', 1, '1 ms');
SELECT kanthorq_nack('pull_order', :lease, '{01ARZ3NDEKTSV4RRFFQ69G5FA2}', retry_in => '0');
SELECT test.clock_moves_on();
SELECT kanthorq_nack('pull_order', :lease, '{01ARZ3NDEKTSV4RRFFQ69G5FA1}', retry_in => '0');
SELECT events FROM pg_temp.pull('pull_order', 2);
SELECT events FROM pg_temp.pull('pull_order', 2);
SELECT events FROM pg_temp.pull('pull_order', 10);
-- A retry that is not due yet does not come.
SELECT name FROM kanthorq_consumer_create('pull_due', 'pull_order');
SELECT lease FROM pg_temp.pull('pull_due', 2) \gset
SELECT kanthorq_nack('pull_due', :lease, '{01ARZ3NDEKTSV4RRFFQ69G5FA1}', retry_in => '1 hour');
SELECT kanthorq_nack('pull_due', :lease, retry_in => '0');
SELECT events FROM pg_temp.pull('pull_due', 3);
-- More leases ran out than a pull has room for: what is left comes with the next ones.
SELECT name FROM kanthorq_consumer_create('pull_expired', 'pull_order');
SELECT lease AS first_lease FROM pg_temp.pull('pull_expired', 3) \gset
SELECT lease AS second_lease FROM pg_temp.pull('pull_expired', 2) \gset
SELECT kanthorq_extend('pull_expired', lease, '1 ms') IS NOT NULL AS shortened
FROM unnest(ARRAY[:first_lease, :second_lease]) AS lease;
SELECT test.clock_moves_on();
SELECT events FROM pg_temp.pull('pull_expired', 2);
SELECT event_id, state, attempt_count FROM kanthorq_tasks('pull_expired');
SELECT events FROM pg_temp.pull('pull_expired', 2);
SELECT events FROM pg_temp.pull('pull_expired', 2);
SELECT events FROM pg_temp.pull('pull_expired', 2);
-- The lease that ran out first comes first, not the older one.
SELECT name FROM kanthorq_consumer_create('pull_ran_out', 'pull_order');
SELECT lease AS first_lease FROM pg_temp.pull('pull_ran_out', 1) \gset
SELECT lease AS second_lease FROM pg_temp.pull('pull_ran_out', 1) \gset
SELECT kanthorq_extend('pull_ran_out', :second_lease, '1 ms') IS NOT NULL AS shortened;
SELECT test.clock_moves_on();
SELECT kanthorq_extend('pull_ran_out', :first_lease, '1 ms') IS NOT NULL AS shortened;
SELECT test.clock_moves_on();
SELECT events FROM pg_temp.pull('pull_ran_out', 1);
SELECT events FROM pg_temp.pull('pull_ran_out', 1);
SELECT kanthorq_stream_drop('pull_order', confirm => 'pull_order');

-- What is the consumer's: some include matches, no exclude does, and the metadata contains the object.
SELECT name FROM kanthorq_stream_create('pull_filters');
SELECT count(kanthorq_publish('pull_filters', subject, '', metadata))
FROM (VALUES ('order.created', '{"tenant": 7}'::jsonb), ('order.paid', '{"tenant": 8}'),
    ('order.line.created', '{}'), ('user.created', '{"tenant": 7, "tags": ["a", "b"]}'),
    ('user.-1.deleted', '{"tenant": 7}'), ('Order.created', '{"tenant": "7"}')) AS event (subject, metadata);
CREATE FUNCTION pg_temp.selects(includes text, excludes text, metadata_contains jsonb)
    RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    subjects text;
BEGIN
    PERFORM kanthorq_consumer_create('pull_filters', 'pull_filters', includes::text[],
        excludes::text[], metadata_contains => metadata_contains);
    SELECT string_agg(subject, ' ' ORDER BY "position") INTO subjects
    FROM kanthorq_pull('pull_filters');
    PERFORM kanthorq_consumer_drop('pull_filters', 'pull_filters');
    RETURN subjects;
END $$;
SELECT filters.*, pg_temp.selects(includes, excludes, metadata_contains)
FROM (VALUES ('{>}', '{}', '{}'::jsonb), ('{order.*}', '{}', '{}'), ('{order.>}', '{}', '{}'),
    ('{*.created}', '{}', '{}'), ('{*.*.*}', '{}', '{}'), ('{order.paid,user.>}', '{}', '{}'),
    ('{>}', '{order.>}', '{}'), ('{>}', '{*.created,*.*.created}', '{}'), ('{order.*}', '{>}', '{}'),
    ('{order.*,order.>}', '{order.created}', '{}'), ('{>}', '{}', '{"tenant": 7}'),
    ('{>}', '{}', '{"tags": ["b"]}'), ('{>}', '{}', '{"tenant": 7, "tags": []}'),
    ('{order.*}', '{}', '{"tenant": 7}'), ('{>}', '{user.>}', '{"tenant": 7}'),
    ('{invoice.>}', '{}', '{}')) AS filters (includes, excludes, metadata_contains);
-- A pull looks past what is not the consumer's: its cursor moves on, also if it delivers nothing.
SELECT name FROM kanthorq_consumer_create('pull_nothing', 'pull_filters', '{invoice.>}');
SELECT cursor, lag FROM kanthorq_consumers WHERE name = 'pull_nothing';
SELECT count(*) FROM kanthorq_pull('pull_nothing');
SELECT cursor, lag FROM kanthorq_consumers WHERE name = 'pull_nothing';
SELECT kanthorq_publish('pull_filters', 'invoice.sent', '') IS NOT NULL AS published;
SELECT attempt, "position", subject FROM kanthorq_pull('pull_nothing');

-- A pull that finds nothing writes nothing and takes no transaction id.
BEGIN;
SELECT count(*) FROM kanthorq_pull('pull_nothing');
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_id;
SELECT count(*) FROM kanthorq_pull('pull_nothing', 1, visibility_timeout => '1 hour');
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_id;
COMMIT;
-- One that delivers, or moves on, does.
SELECT test.publish('pull_filters', '1');
BEGIN;
SELECT count(*) FROM kanthorq_pull('pull_nothing');
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_id;
COMMIT;
SELECT kanthorq_stream_drop('pull_filters', confirm => 'pull_filters');

-- What a transaction published is not delivered to itself; it comes to the first pull after its commit.
SELECT name FROM kanthorq_stream_create('pull_own');
SELECT name FROM kanthorq_consumer_create('pull_own', 'pull_own');
SELECT name FROM kanthorq_consumer_create('pull_own_ordered', 'pull_own', ordered => true);
SELECT test.publish('pull_own', '1');
BEGIN;
SELECT test.publish('pull_own', '2');
SELECT events FROM pg_temp.pull('pull_own');
SELECT events FROM pg_temp.pull('pull_own_ordered');
SELECT test.publish('pull_own', '3');
SELECT events FROM pg_temp.pull('pull_own');
SELECT events FROM pg_temp.pull('pull_own_ordered');
COMMIT;
SELECT test.publish('pull_own', '4');
SELECT events FROM pg_temp.pull('pull_own');
SELECT events FROM pg_temp.pull('pull_own_ordered');
-- Nor what it published in a savepoint; what it rolled back never comes.
BEGIN;
SAVEPOINT before;
SELECT test.publish('pull_own', '5');
SELECT events FROM pg_temp.pull('pull_own');
RELEASE before;
SAVEPOINT before;
SELECT test.publish('pull_own', '6');
SELECT events FROM pg_temp.pull('pull_own');
ROLLBACK TO before;
SELECT events FROM pg_temp.pull('pull_own');
SELECT test.publish('pull_own', '7');
COMMIT;
SELECT events FROM pg_temp.pull('pull_own');
SELECT events FROM pg_temp.pull('pull_own_ordered');
-- The same with the ordinary ways into a table.
BEGIN;
INSERT INTO kanthorq_stream_pull_own (id, subject, body) VALUES
    ('01ARZ3NDEKTSV4RRFFQ69G5FA8', 'insert', ''), ('01ARZ3NDEKTSV4RRFFQ69G5FA9', 'insert', '');
COPY kanthorq_stream_pull_own (id, subject, body) FROM stdin;
01ARZ3NDEKTSV4RRFFQ69G5FAA	copy	
01ARZ3NDEKTSV4RRFFQ69G5FAB	copy	
\.
SELECT events FROM pg_temp.pull('pull_own');
COMMIT;
SELECT events FROM pg_temp.pull('pull_own');
SELECT events FROM pg_temp.pull('pull_own_ordered', 3);
SELECT events FROM pg_temp.pull('pull_own_ordered', 3);

-- A pull that is rolled back, whole or to a savepoint, was never made, and its lease is none.
SELECT test.publish('pull_own', 'CD');
BEGIN;
SELECT lease, events FROM pg_temp.pull('pull_own') \gset
\echo :events
ROLLBACK;
\set VERBOSITY sqlstate
SELECT kanthorq_ack('pull_own', :lease);
\set VERBOSITY default
BEGIN;
SAVEPOINT before;
SELECT events FROM pg_temp.pull('pull_own', 1);
ROLLBACK TO before;
SELECT events FROM pg_temp.pull('pull_own', 1);
SELECT events FROM pg_temp.pull('pull_own', 1);
COMMIT;
SELECT events FROM pg_temp.pull('pull_own');
-- Events that were removed before they were delivered are not there any more.
SELECT test.publish('pull_own', 'EFG');
SELECT kanthorq_event_remove('pull_own', '{01ARZ3NDEKTSV4RRFFQ69G5FAF}');
SELECT events FROM pg_temp.pull('pull_own');
SELECT events FROM pg_temp.pull('pull_own_ordered');
SELECT kanthorq_stream_drop('pull_own', confirm => 'pull_own');
-- One query may pull many times; what the rows of a call take goes with the next call.
SELECT name FROM kanthorq_stream_create('pull_many');
SELECT name FROM kanthorq_consumer_create('pull_many', 'pull_many');
SELECT cardinality(kanthorq_publish_many('pull_many', array_agg('a'::text), array_agg(''::bytea)))
FROM generate_series(1, 30);
CREATE FUNCTION pg_temp.rows_contexts() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'KanthorQ rows');
END $$;
SELECT count(position) AS pulled, max(pg_temp.rows_contexts()) < 3 AS few_contexts
FROM generate_series(1, 40) AS number
    LEFT JOIN LATERAL kanthorq_pull('pull_many', 1, wait => '0 s'::interval * number) ON true;
SELECT kanthorq_consumer_seek('pull_many', 'first', confirm => 'pull_many');
SELECT count(pulled) AS pulled FROM (SELECT kanthorq_pull('pull_many', 1, wait => '0 s'::interval * number) AS pulled
    FROM generate_series(1, 40) AS number) AS calls;
SELECT kanthorq_stream_drop('pull_many', confirm => 'pull_many');
