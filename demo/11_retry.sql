-- The newest ten upgrades, or else the newest ten events. At first the worker can't read what most
-- of them are about: a package, or else the start of the line.
SELECT CASE WHEN count(*) > 0 THEN 'dpkg.upgrade' ELSE '>' END AS include
FROM kanthorq_events('package_log', 'dpkg.upgrade', size => 1) \gset
CREATE TEMPORARY TABLE upgrade AS
SELECT id::text, encode(body, 'escape') AS line FROM kanthorq_stream_package_log
WHERE kanthorq_subject_matches(subject, :'include') ORDER BY id DESC LIMIT 10;
SELECT min(id) AS first_id FROM upgrade \gset
SELECT about FROM upgrade,
    left(coalesce(nullif(split_part(line, ' ', 4), ''), line), 30) AS about
GROUP BY about ORDER BY count(*) DESC, max(id) DESC LIMIT 1 \gset
-- What becomes of each event is recorded, to compare it with the stream.
CREATE TABLE demo.settled (attempt integer, outcome text, id text);

\echo == 11. What a worker refuses comes again; after attempt_max attempts it is discarded.
\set ECHO queries
SELECT includes, attempt_max FROM kanthorq_consumer_create('upgrades', 'package_log',
    includes => ARRAY[:'include'], attempt_max => 2, start_at => :'first_id');
CREATE PROCEDURE demo.work(unreadable text) LANGUAGE plpgsql AS $$
DECLARE
    event record;
    outcome text;
BEGIN
    FOR event IN SELECT * FROM kanthorq_pull('upgrades') LOOP
        outcome := demo.handle(event.body, unreadable);
        IF outcome = 'done' THEN
            PERFORM kanthorq_ack('upgrades', event.lease, ARRAY[event.id]);
        ELSE
            PERFORM kanthorq_nack('upgrades', event.lease, ARRAY[event.id],
                                  error => 'can''t read ' || unreadable, retry_in => '0');
        END IF;
        INSERT INTO demo.settled VALUES (event.attempt, outcome, event.id);
    END LOOP;
END $$;
\pset expanded off
CALL demo.work(:'about');
CALL demo.work(:'about');
SELECT 'attempt ' || attempt AS attempt, outcome, count(*) FROM demo.settled
GROUP BY attempt, outcome ORDER BY attempt, outcome;
SELECT event_id, attempted_error[2] ->> 'error' AS last_error
FROM kanthorq_tasks('upgrades', 'discarded', size => 3);
SELECT cardinality(kanthorq_resume('upgrades', array_agg(event_id))) || ' resumed' AS resumed
FROM kanthorq_tasks('upgrades', 'discarded');
CALL demo.work(NULL);
\set ECHO none
SELECT count(*) AS left_over FROM kanthorq_pull('upgrades') \gset
\pset tuples_only off
\set ECHO queries
SELECT name, cursor, lag, running, retryable, discarded FROM kanthorq_consumers ORDER BY name;
\set ECHO none
\pset tuples_only on
\pset expanded on
SELECT demo.verified(
    :left_over = 0
    AND array_agg(id ORDER BY id)
        = (SELECT array_agg(done.id ORDER BY done.id) FROM demo.settled AS done
           WHERE outcome = 'done')
    AND bool_and(kanthorq_task_state('upgrades', id) = 'completed')
    AND (SELECT count(*) FILTER (WHERE lag <> 0 OR running + retryable + discarded <> 0) = 0
         FROM kanthorq_consumers)
    AND (SELECT count(*) = 2 * count(DISTINCT id) AND count(DISTINCT id) > 0
         FROM demo.settled WHERE outcome = 'failed'),
    format('%s events: all that match since %s, each acknowledged once', count(*),
           min(date_trunc('second', kanthorq_id_time(id)))))
FROM upgrade;
