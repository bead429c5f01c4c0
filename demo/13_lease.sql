\echo == 13. A worker that dies keeps its events until its lease runs out. Then its ack is refused.
\set ECHO queries
CREATE TABLE demo.dead AS
SELECT lease, attempt, id FROM kanthorq_pull('upgrades', visibility_timeout => '0.2 s');
CALL kanthorq_wait('upgrades', '30 s');
CREATE TABLE demo.alive AS SELECT lease, attempt, id FROM kanthorq_pull('upgrades');
\set ECHO none
SELECT min(lease) AS dead_lease FROM demo.dead \gset
SELECT statement, error, hint
FROM demo.refused(format($$SELECT kanthorq_ack('upgrades', %s)$$, :dead_lease), 'KQ001');
\set ECHO queries
SELECT kanthorq_ack('upgrades', lease, array_agg(id)) AS settled, count(*) AS worked,
       max(attempt) AS attempt
FROM demo.alive GROUP BY lease;
\set ECHO none
SELECT demo.verified(
    (SELECT array_agg(id ORDER BY id) FROM demo.dead WHERE attempt = 1)
        = (SELECT array_agg(id ORDER BY id) FROM demo.alive WHERE attempt = 2)
    AND (SELECT lag = 0 AND running + retryable + discarded = 0
         FROM kanthorq_consumers WHERE name = 'upgrades')
    AND bool_and(kanthorq_task_state('upgrades', id) = 'completed'),
    'what the dead worker had came once more, and nothing is left')
FROM upgrade;
