\echo == 12. Replay: seek, and everything from there comes again, as if for the first time.
\set ECHO queries
SELECT kanthorq_consumer_seek('upgrades', :'first_id', confirm => 'upgrades') AS cursor;
SELECT lag FROM kanthorq_consumers WHERE name = 'upgrades';
\set ECHO none
SELECT demo.verified(bool_and(kanthorq_task_state('upgrades', id) = 'available'),
                     format('%s events are available again', count(*)))
FROM upgrade;
