\echo == 1. Create a stream. Its events live in an ordinary table that can only grow.
\set ECHO queries
CREATE EXTENSION kanthorq;
SELECT name, kanthorq_stream_table(name) AS "table" FROM kanthorq_stream_create('package_log');
\set ECHO none
