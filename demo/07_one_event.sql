-- The newest upgrade, or else the newest event.
SELECT id AS one_id FROM kanthorq_stream_package_log
ORDER BY (subject = 'dpkg.upgrade') DESC, id DESC LIMIT 1 \gset

\echo == 7. Get one event.
\set ECHO queries
SELECT id, subject, encode(body, 'escape') AS body, metadata, created_at
FROM kanthorq_event_get('package_log', :'one_id');
\set ECHO none
