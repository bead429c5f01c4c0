-- Trimming a stream that has consumers: refused while one of them has not finished one of the events,
-- whether it is still to come, leased or to be tried again; forced, the consumers go on with the rest.

SELECT name FROM kanthorq_stream_create('retention');
SELECT name FROM kanthorq_consumer_create('retention', 'retention', includes => '{wanted}');
SELECT count(kanthorq_publish('retention', CASE WHEN n = 4 THEN 'other' ELSE 'wanted' END, n::text::bytea,
    id => '0000000000000000000000000' || n)) FROM generate_series(1, 6) AS n;

-- All are still to come; an event that is not the consumer's is nobody's business.
SELECT kanthorq_stream_trim('retention', '00000000000000000000000002', 'retention');
SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM kanthorq_pull('retention', 3);
-- Leased.
SELECT kanthorq_stream_trim('retention', '00000000000000000000000002', 'retention');
SELECT kanthorq_ack('retention', lease, '{00000000000000000000000001}') FROM kanthorq_delivery_lease
    WHERE consumer = 'retention';
SELECT kanthorq_stream_trim('retention', '00000000000000000000000002', 'retention');
-- To be tried again.
SELECT kanthorq_nack('retention', lease, '{00000000000000000000000002}', retry_in => '1 hour')
    FROM kanthorq_delivery_lease WHERE consumer = 'retention';
SELECT kanthorq_stream_trim('retention', '00000000000000000000000003', 'retention');
-- Cancelled is finished.
SELECT kanthorq_cancel('retention', '{00000000000000000000000002}');
SELECT kanthorq_stream_trim('retention', '00000000000000000000000003', 'retention');
-- The third is leased, the fourth is not for the consumer, the fifth is still to come.
SELECT kanthorq_ack('retention', lease) FROM kanthorq_delivery_lease WHERE consumer = 'retention';
SELECT kanthorq_stream_trim('retention', '00000000000000000000000005', 'retention');
SELECT kanthorq_stream_trim('retention', '00000000000000000000000006', 'retention');
SELECT kanthorq_stream_trim('retention', '00000000000000000000000006', 'retention', force => true);
SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM kanthorq_pull('retention');

-- An event that is forced out of a lease, or while it waits for its retry, is gone for the consumer.
SELECT kanthorq_stream_trim('retention', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', 'retention', force => true);
SELECT kanthorq_nack('retention', lease) FROM kanthorq_delivery_lease WHERE consumer = 'retention';
SELECT count(*) FROM kanthorq_tasks('retention', 'retryable');
SELECT count(*) FROM kanthorq_pull('retention');

-- A removed event's discarded task stays as history; its id may be published again, and that event fails
-- on its own account: by a refusal, by a lease that runs out, by being cancelled.
SELECT kanthorq_consumer_alter('retention', attempt_max => 1) IS NOT NULL;
CREATE FUNCTION pg_temp.publish_again() RETURNS text LANGUAGE sql AS $$
    SELECT kanthorq_event_remove('retention', '{00000000000000000000000001}');
    SELECT kanthorq_publish('retention', 'wanted', '', id => '00000000000000000000000001')
$$;
SELECT pg_temp.publish_again();
SELECT count(kanthorq_nack('retention', lease, error => 'first')) FROM kanthorq_pull('retention');
SELECT pg_temp.publish_again();
SELECT count(kanthorq_nack('retention', lease, error => 'second')) FROM kanthorq_pull('retention');
SELECT pg_temp.publish_again();
SELECT count(*) FROM kanthorq_pull('retention', visibility_timeout => '1 ms');
DO $$
BEGIN  -- until the lease has run out
    WHILE (SELECT max(deadline) >= floor(extract(epoch FROM clock_timestamp()) * 1000)
           FROM kanthorq_delivery_lease WHERE consumer = 'retention') LOOP
    END LOOP;
END $$;
SELECT count(*) FROM kanthorq_pull('retention');
SELECT pg_temp.publish_again();
SELECT kanthorq_cancel('retention', '{00000000000000000000000001}');
SELECT state, attempt_count, attempted_error[1] ->> 'error' AS error FROM kanthorq_tasks('retention')
    ORDER BY state, attempted_error[1] ->> 'error';
SELECT kanthorq_task_state('retention', '00000000000000000000000001');

SELECT kanthorq_stream_drop('retention', 'retention');

-- More events than a trim looks at before it finds out which positions are to be removed. The last one has
-- the least id.
SELECT name FROM kanthorq_stream_create('retention');
SELECT name FROM kanthorq_consumer_create('retention', 'retention');
INSERT INTO kanthorq_stream_retention (id, subject, body)
SELECT lpad(CASE n WHEN 1501 THEN '5' ELSE n::text || '000' END, 26, '0'), 'event', '' FROM generate_series(1, 1501) AS n;
CREATE FUNCTION pg_temp.trim_before(least_kept text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN kanthorq_stream_trim('retention', lpad(least_kept, 26, '0'), 'retention');
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN SQLERRM;
END $$;
-- Still to come, far after the cursor.
SELECT pg_temp.trim_before('5'), pg_temp.trim_before('6'), pg_temp.trim_before('1501000');
-- Cancelled, it is finished.
BEGIN;
SELECT cardinality(kanthorq_cancel('retention', ARRAY[lpad('5', 26, '0')]));
SELECT pg_temp.trim_before('6');
ROLLBACK;
-- Leased, after many others.
SELECT count(*), max(lease) AS lease FROM kanthorq_pull('retention', 1501) \gset
SELECT pg_temp.trim_before('5'), pg_temp.trim_before('6'), pg_temp.trim_before('1501000');
SELECT kanthorq_ack('retention', :lease, ARRAY[lpad('5', 26, '0')]);
-- Without the index on the ids nothing is known of the positions, and the answer is the same.
BEGIN;
ALTER TABLE kanthorq_stream_retention DROP CONSTRAINT kanthorq_stream_retention__pkey;
SELECT pg_temp.trim_before('1501000'), pg_temp.trim_before('6');
ROLLBACK;
SELECT pg_temp.trim_before('1501000'), pg_temp.trim_before('6');
SELECT kanthorq_ack('retention', :lease);
SELECT pg_temp.trim_before('1501000');
SELECT kanthorq_stream_drop('retention', 'retention');
