\echo == 14. Drop the stream with all its events and its consumers. The name has to be repeated.
SELECT statement, error, hint FROM demo.refused(
    $$SELECT kanthorq_stream_drop('package_log', confirm => 'package_logs')$$, '55000');
\set ECHO queries
SELECT kanthorq_stream_drop('package_log', confirm => 'package_log') AS dropped;
\set ECHO none
SELECT demo.verified(
    to_regclass('kanthorq_stream_package_log') IS NULL
    AND to_regclass('kanthorq_consumer_installed') IS NULL
    AND to_regclass('kanthorq_consumer_upgrades') IS NULL
    AND NOT EXISTS (SELECT FROM kanthorq_stream_registry)
    AND NOT EXISTS (SELECT FROM kanthorq_consumer_registry),
    'the stream, its consumers and their tables are gone');
