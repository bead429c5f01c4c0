-- Behind a pooler each transaction may get another session, so nothing that a client does needs the same one
-- twice. What a session remembers does not outlive what it is about. And a hundred savepoints.

SELECT name FROM kanthorq_stream_create('session');
SELECT name FROM kanthorq_consumer_create('session', 'session');

-- Pull, ack, nack, extend and publish, each in a session of its own.
SELECT count(kanthorq_publish('session', 'pooled', n::text::bytea)) FROM generate_series(1, 4) AS n;
\c -
SELECT lease, array_agg(id ORDER BY position) AS ids FROM kanthorq_pull('session') GROUP BY lease \gset
\c -
SELECT kanthorq_extend('session', :lease) > now() AS extended;
\c -
SELECT kanthorq_nack('session', :lease, ARRAY[(:'ids'::text[])[1]], retry_in => '0');
\c -
SELECT kanthorq_ack('session', :lease);
\c -
SELECT position, attempt, kanthorq_ack('session', lease) FROM kanthorq_pull('session');

-- DISCARD ALL, between statements, and while the session has leases, publishes and reads prepared.
PREPARE publish AS SELECT kanthorq_publish('session', 'discarded', '') IS NOT NULL AS published;
PREPARE pull AS SELECT position, subject, kanthorq_ack('session', lease) FROM kanthorq_pull('session');
EXECUTE publish;
EXECUTE pull;
DISCARD ALL;
SELECT kanthorq_publish('session', 'discarded', '') IS NOT NULL AS published;
SELECT position, subject, kanthorq_ack('session', lease) FROM kanthorq_pull('session');
DISCARD PLANS;
DISCARD TEMP;
SELECT kanthorq_publish('session', 'discarded', '') IS NOT NULL AS published;
SELECT position, subject, kanthorq_ack('session', lease) FROM kanthorq_pull('session');

-- A hundred savepoints, each in the one before, with an event each; three of the last ten roll back what is
-- inside them, and the transaction goes on.
CREATE FUNCTION pg_temp.nest(depth integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF depth > 100 THEN RETURN 0; END IF;
    PERFORM kanthorq_publish('session', 'nested.' || depth, '');
    BEGIN
        PERFORM pg_temp.nest(depth + 1);
        IF depth % 3 = 0 AND depth > 90 THEN RAISE SQLSTATE 'UNDO0'; END IF;
    EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
        PERFORM kanthorq_publish('session', 'undone.' || depth, '');
    END;
    RETURN depth;
END $$;
SELECT pg_temp.nest(1);
SELECT count(*), count(DISTINCT txid) AS transactions, string_agg(subject, ' ' ORDER BY position DESC)
    FILTER (WHERE subject ~ '^undone|\.9') AS last FROM kanthorq_pull('session')
    JOIN kanthorq_stream_session USING (id, subject, position);

-- And a hundred, one after the other.
\set ECHO none
\o /dev/null
BEGIN;
SELECT format('SAVEPOINT s%s; SELECT kanthorq_publish(''session'', ''s.%s'', ''''); %s s%s',
    n, n, CASE WHEN n % 2 = 0 THEN 'RELEASE' ELSE 'ROLLBACK TO' END, n)
FROM generate_series(1, 100) AS n \gexec
COMMIT;
\o
\set ECHO all
SELECT count(*), count(DISTINCT txid) AS transactions, min(subject), max(subject)
FROM kanthorq_pull('session') JOIN kanthorq_stream_session USING (id, subject, position);
SELECT kanthorq_stream_drop('session', 'session');
