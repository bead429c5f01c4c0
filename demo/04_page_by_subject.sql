-- A log without such subjects is read without a filter. The page shown starts where the first
-- subject ends.
SELECT CASE WHEN count(*) > 0 THEN 'dpkg.startup.*.*' ELSE '>' END AS filter
FROM kanthorq_events('package_log', 'dpkg.startup.*.*', size => 1) \gset
SELECT subject AS last_subject, max(event.id) AS last_id
FROM kanthorq_events_by_subject('package_log', :'filter', size => 1) AS first
JOIN kanthorq_stream_package_log AS event USING (subject)
GROUP BY subject \gset

\echo == 4. Read it in pages by subject and id, here what matches a filter. A * is any token.
\pset expanded off
\set ECHO queries
SELECT subject, id FROM kanthorq_events_by_subject('package_log', :'filter', size => 2,
    after_subject => :'last_subject', after_id => :'last_id');
\set ECHO none
\pset expanded on

SELECT demo.verified(
    count(*) = :lines
    AND array_agg(id ORDER BY ordinal)
        = (SELECT array_agg(id::text ORDER BY subject, id) FROM kanthorq_stream_package_log),
    format('page by page (%s of up to 500) come all %s events, by subject and id',
           max(page), count(*)))
FROM demo.read_by_subject(500) WITH ORDINALITY AS event (page, subject, id, ordinal);
