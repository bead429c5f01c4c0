\echo == 9. Publishing is part of the transaction. If it rolls back, the event was never published.
\set ECHO queries
BEGIN;
SELECT kanthorq_publish_text('package_log', 'demo.note', 'never to be seen') AS published;
\set ECHO none
SELECT demo.verified(count(*) = 1, 'the transaction sees its event')
FROM kanthorq_events('package_log', 'demo.note');
\set ECHO queries
ROLLBACK;
\set ECHO none
SELECT demo.verified(count(*) = :lines AND count(*) FILTER (WHERE subject = 'demo.note') = 0,
                     'the event is not there')
FROM kanthorq_stream_package_log;
