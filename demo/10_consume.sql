-- A log without such events is consumed as a whole. What was acknowledged is recorded, to compare it
-- with the stream.
SELECT CASE WHEN count(*) > 0 THEN 'dpkg.status.installed' ELSE '>' END AS include
FROM kanthorq_events('package_log', 'dpkg.status.installed', size => 1) \gset
CREATE TABLE demo.done (lease bigint, id text);

\echo == 10. Consume it. A worker pulls a batch, works on it and acknowledges it, till nothing is left.
\set ECHO queries
SELECT includes
FROM kanthorq_consumer_create('installed', 'package_log', ARRAY[:'include']);
DO $$ DECLARE batch record; BEGIN
    LOOP
        SELECT lease, array_agg(id) AS ids INTO batch
        FROM kanthorq_pull('installed', 100) GROUP BY lease;
        IF FOUND THEN
            INSERT INTO demo.done SELECT batch.lease, unnest(batch.ids);
            PERFORM kanthorq_ack('installed', batch.lease);
        END IF;
        COMMIT;
        -- An empty pull may only have looked at enough events that are not the consumer's.
        EXIT WHEN (SELECT lag FROM kanthorq_consumers WHERE name = 'installed') = 0;
    END LOOP;
END $$;
\set ECHO none
SELECT demo.verified(
    array_agg(id ORDER BY id) = (
        SELECT array_agg(id::text ORDER BY id) FROM kanthorq_stream_package_log
        WHERE kanthorq_subject_matches(subject, :'include'))
    AND bool_and(kanthorq_task_state('installed', id) = 'completed'),
    format('%s events in %s batches: all that match, each acknowledged once',
           count(*), count(DISTINCT lease)))
FROM demo.done;
