-- Waiting for something to pull, within a pull and with CALL kanthorq_wait().

\set SHOW_CONTEXT never
-- A wait that nothing ends does so before this, and the last test shows that it took too long.
SET statement_timeout = '10 min';
CREATE TEMPORARY TABLE whole AS SELECT clock_timestamp() AS started;
-- Did it take at least so long since the clock was started? No test asks for at most.
-- (The last millisecond may be cut, for times are whole ones.)
CREATE TEMPORARY TABLE clock AS SELECT clock_timestamp() AS started;
CREATE FUNCTION pg_temp.took(at_least interval) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    duration interval;
BEGIN
    SELECT clock_timestamp() - started INTO duration FROM clock;
    RETURN duration >= at_least;
END $$;

SELECT name FROM kanthorq_stream_create('wait');
SELECT name FROM kanthorq_consumer_create('wait', 'wait');
SELECT kanthorq_publish('wait', 'event', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');

-- With something to pull, neither waits. The timeout would not end within the test.
CALL kanthorq_wait('wait', '1 day');
CALL kanthorq_wait('wait');
SELECT right(id, 1) AS id, attempt FROM kanthorq_pull('wait', wait => '1 day', visibility_timeout => '1 ms');
-- A lease that runs out and a retry whose time comes end the wait.
CALL kanthorq_wait('wait', '1 day');
SELECT right(id, 1) AS id, attempt, lease FROM kanthorq_pull('wait') \gset
\echo :id :attempt
SELECT kanthorq_nack('wait', :lease, retry_in => '20 ms');
CALL kanthorq_wait('wait', '1 day');
SELECT right(id, 1) AS id, attempt, lease FROM kanthorq_pull('wait') \gset
\echo :id :attempt
SELECT kanthorq_nack('wait', :lease, retry_in => '20 ms');
SELECT right(id, 1) AS id, attempt FROM kanthorq_pull('wait', wait => '1 day', visibility_timeout => '20 ms');
SELECT right(id, 1) AS id, attempt FROM kanthorq_pull('wait', wait => '1 day');

-- Without, both wait to the end of the time.
UPDATE clock SET started = clock_timestamp();
CALL kanthorq_wait('wait', '60 ms');
SELECT pg_temp.took('59 ms');
UPDATE clock SET started = clock_timestamp();
SELECT count(*) FROM kanthorq_pull('wait', wait => '60 ms');
SELECT pg_temp.took('59 ms');
CALL kanthorq_wait('wait', '0');
SELECT count(*) FROM kanthorq_pull('wait', wait => '0');
-- A pull that waited for nothing wrote nothing.
BEGIN;
SELECT count(*) FROM kanthorq_pull('wait', wait => '10 ms');
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_id;
COMMIT;
-- What a transaction itself published does not end its wait, and a pull that moves on does not wait.
BEGIN;
SELECT kanthorq_publish('wait', 'event', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT count(*) FROM kanthorq_pull('wait', wait => '10 ms');
COMMIT;
SELECT right(id, 1) AS id, attempt FROM kanthorq_pull('wait', wait => '1 day');

-- It commits, so it is refused if that would commit somebody's work: in a transaction block, a function, a
-- procedure, a DO block or a statement among others.
BEGIN;
CALL kanthorq_wait('wait', '1 day');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
CREATE FUNCTION pg_temp.waits() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CALL kanthorq_wait('wait', '1 day');
END $$;
SELECT pg_temp.waits();
\echo :LAST_ERROR_SQLSTATE
CREATE TEMPORARY TABLE work (what text);
CREATE PROCEDURE pg_temp.works_and_waits() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO work VALUES ('of a procedure');
    CALL kanthorq_wait('wait', '0');
END $$;
CALL pg_temp.works_and_waits();
\echo :LAST_ERROR_SQLSTATE
CREATE PROCEDURE pg_temp.calls_it() LANGUAGE plpgsql AS $$
BEGIN
    CALL pg_temp.works_and_waits();
END $$;
CALL pg_temp.calls_it();
\echo :LAST_ERROR_SQLSTATE
CREATE PROCEDURE pg_temp.works_and_waits_in_sql() LANGUAGE sql AS $$
    INSERT INTO work VALUES ('of a procedure in SQL');
    CALL kanthorq_wait('wait', '0');
$$;
CALL pg_temp.works_and_waits_in_sql();
\echo :LAST_ERROR_SQLSTATE
DO $$
BEGIN
    INSERT INTO work VALUES ('of a DO block');
    CALL kanthorq_wait('wait', '0');
END $$;
\echo :LAST_ERROR_SQLSTATE
DO $$
BEGIN
    INSERT INTO work VALUES ('of a DO block that catches it');
    BEGIN
        CALL kanthorq_wait('wait', '0');
    EXCEPTION WHEN active_sql_transaction THEN
        RAISE NOTICE '%', SQLERRM;
    END;
    ROLLBACK;
END $$;
INSERT INTO work VALUES ('of a statement before it') \; CALL kanthorq_wait('wait', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM work;
CALL kanthorq_wait('wait', '0');

-- Both end before statement_timeout would end them.
SET statement_timeout = '2 s';
CALL kanthorq_wait('wait', '1 day');
SELECT count(*) FROM kanthorq_pull('wait', wait => '1 day');
SET statement_timeout = '10 min';
-- Likewise a pull and transaction_timeout, if there is one. kanthorq_wait() is many transactions, each shorter.
\set long '10 ms'
SELECT current_setting('server_version_num')::integer >= 170000 AS has_transaction_timeout \gset
\if :has_transaction_timeout
\set long '1 day'
SET transaction_timeout = '2 s';
\endif
BEGIN;
SELECT count(*) FROM kanthorq_pull('wait', wait => :'long');
COMMIT;
\if :has_transaction_timeout
SET transaction_timeout = '1 s';
\endif
UPDATE clock SET started = clock_timestamp();
CALL kanthorq_wait('wait', '1500 ms');
SELECT pg_temp.took('1499 ms');
\if :has_transaction_timeout
RESET transaction_timeout;
\endif
CALL kanthorq_wait('wait', '10 ms');
SELECT kanthorq_publish('wait', 'event', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA3');
CALL kanthorq_wait('wait', '1 day');
SELECT right(id, 1) AS id, attempt FROM kanthorq_pull('wait');
-- It waits in a read-only session, too.
SET default_transaction_read_only = on;
CALL kanthorq_wait('wait', '10 ms');
RESET default_transaction_read_only;

-- What is refused.
CALL kanthorq_wait('wait', '-1 ms');
\echo :LAST_ERROR_SQLSTATE
CALL kanthorq_wait('wait', '200 years');
\echo :LAST_ERROR_SQLSTATE
CALL kanthorq_wait('wait', NULL);
\echo :LAST_ERROR_SQLSTATE
CALL kanthorq_wait(NULL, '10 ms');
\echo :LAST_ERROR_SQLSTATE
CALL kanthorq_wait('wait_none', '10 ms');
\echo :LAST_ERROR_SQLSTATE
CALL kanthorq_wait('wait-none', '10 ms');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_pull('wait', wait => '-1 ms');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_pull('wait', wait => '178000000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM kanthorq_pull('wait', wait => NULL);
\echo :LAST_ERROR_SQLSTATE
CREATE ROLE regress_kanthorq_nobody;
SET ROLE regress_kanthorq_nobody;
CALL kanthorq_wait('wait', '10 ms');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP ROLE regress_kanthorq_nobody;
-- An infinite interval is one only for servers that know it.
DO $$
BEGIN
    PERFORM FROM kanthorq_pull('wait', wait => 'infinity'::text::interval);
EXCEPTION WHEN invalid_parameter_value OR invalid_datetime_format THEN
    RAISE NOTICE 'refused';
END $$;

SELECT kanthorq_stream_drop('wait', confirm => 'wait');
SELECT clock_timestamp() - started < interval '5 min' AS something_ended_each_wait FROM whole;
