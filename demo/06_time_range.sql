-- The minute with the most lines, and how many of them fit a page.
SELECT since, since + interval '1 minute' AS until, least(count(*), 10000) AS expected
FROM line, date_trunc('minute', at) AS since
GROUP BY since ORDER BY count(*) DESC, since DESC LIMIT 1 \gset

\echo == 6. Read a range of time, here the busiest minute. The ids carry the times.
\set ECHO queries
SELECT count(*), min(kanthorq_id_time(id)) AS first, max(kanthorq_id_time(id)) AS last
FROM kanthorq_events('package_log', size => 10000,
         since => :'since', until => :'until');
\set ECHO none
SELECT demo.verified(count(*) = :expected, 'as many events as that minute has lines')
FROM kanthorq_events('package_log', size => 10000, since => :'since', until => :'until');
