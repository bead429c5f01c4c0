\echo == 5. Count by subject. The stream is a table: any query will do.
\pset expanded off
\set ECHO queries
SELECT subject, count(*) FROM kanthorq_stream_package_log
GROUP BY subject ORDER BY count DESC, subject LIMIT 5;
\set ECHO none
\pset expanded on
