\echo == 10. Drop the stream with all its events. The name has to be repeated.
SELECT * FROM demo.refused(
    $$SELECT kanthorq_stream_drop('package_log', confirm => 'package_logs')$$, '55000');
\set ECHO queries
SELECT kanthorq_stream_drop('package_log', confirm => 'package_log') AS dropped;
\set ECHO none
SELECT demo.verified(to_regclass('kanthorq_stream_package_log') IS NULL
                     AND NOT EXISTS (SELECT FROM kanthorq_stream_registry),
                     'the table and its entry in the registry are gone');
