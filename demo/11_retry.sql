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
-- What becomes of each batch is recorded, to compare it with the stream.
CREATE TABLE demo.settled (attempt text, outcome text, events bigint, ids text[]);

\echo == 11. What a worker refuses comes again; after attempt_max attempts it is discarded.
\set ECHO queries
SELECT includes, attempt_max FROM kanthorq_consumer_create('upgrades', 'package_log',
    includes => ARRAY[:'include'], attempt_max => '2', start_at => :'first_id');
\pset expanded off
PREPARE work(text) AS INSERT INTO demo.settled
SELECT 'attempt ' || attempt, outcome, CASE outcome
           WHEN 'done' THEN kanthorq_ack('upgrades', lease, array_agg(id))
           ELSE kanthorq_nack('upgrades', lease, array_agg(id), error => 'can''t read ' || $1,
                              retry_in => '0') END, array_agg(id)
FROM kanthorq_pull('upgrades'), demo.handle(body, $1) AS outcome
GROUP BY attempt, outcome, lease RETURNING attempt, outcome, events::text;
EXECUTE work(:'about');
EXECUTE work(:'about');
SELECT event_id, attempted_error[2] ->> 'error' AS last_error
FROM kanthorq_tasks('upgrades', 'discarded', size => 3);
SELECT cardinality(kanthorq_resume('upgrades', array_agg(event_id))) || ' resumed' AS resumed
FROM kanthorq_tasks('upgrades', 'discarded');
EXECUTE work(NULL);
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
        = (SELECT array_agg(done.id ORDER BY done.id)
           FROM demo.settled, unnest(ids) AS done (id) WHERE outcome = 'done')
    AND count(*) = (SELECT sum(events) FROM demo.settled WHERE outcome = 'done')
    AND bool_and(kanthorq_task_state('upgrades', id) = 'completed')
    AND (SELECT count(*) FILTER (WHERE lag <> 0 OR running + retryable + discarded <> 0) = 0
         FROM kanthorq_consumers)
    AND (SELECT count(*) = 2 AND count(DISTINCT sorted) = 1
         FROM demo.settled,
              LATERAL (SELECT array_agg(id ORDER BY id) FROM unnest(ids) AS id) AS _ (sorted)
         WHERE outcome = 'failed'),
    format('%s events: all that match since %s, each acknowledged once', count(*),
           min(date_trunc('second', kanthorq_id_time(id)))))
FROM upgrade;
