-- Who may wait: who may pull. kanthorq_wait() runs outside of transaction blocks only, so this file
-- has none either, and takes its roles away itself.
SELECT plan(11);

CREATE ROLE kanthorq_wait_owner;
CREATE ROLE kanthorq_wait_heir INHERIT IN ROLE kanthorq_wait_owner;
CREATE ROLE kanthorq_wait_noinherit NOINHERIT IN ROLE kanthorq_wait_owner;
CREATE ROLE kanthorq_wait_worker;
CREATE ROLE kanthorq_wait_blind_worker;
CREATE ROLE kanthorq_wait_auditor;
CREATE ROLE kanthorq_wait_nobody;
CREATE TEMPORARY TABLE setup AS SELECT (kanthorq_stream_create('orders')).name::text;
INSERT INTO setup SELECT (kanthorq_consumer_create('mailer', 'orders')).name;
GRANT SELECT ON kanthorq_stream_orders TO kanthorq_wait_owner, kanthorq_wait_worker,
    kanthorq_wait_auditor;
ALTER TABLE kanthorq_consumer_mailer OWNER TO kanthorq_wait_owner;
GRANT UPDATE ON kanthorq_consumer_mailer TO kanthorq_wait_worker, kanthorq_wait_blind_worker;
GRANT SELECT ON kanthorq_consumer_mailer TO kanthorq_wait_auditor;

-- The error of a CALL outside of a transaction block can't be caught, so psql goes on and shows it.
CREATE TEMPORARY TABLE answer (role text, sqlstate text);
GRANT INSERT ON answer TO PUBLIC;
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
SET ROLE kanthorq_wait_owner;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('owner', :'SQLSTATE');
SET ROLE kanthorq_wait_heir;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('heir', :'SQLSTATE');
SET ROLE kanthorq_wait_noinherit;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('noinherit', :'SQLSTATE');
SET ROLE kanthorq_wait_worker;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('worker', :'SQLSTATE');
SET ROLE kanthorq_wait_blind_worker;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('blind_worker', :'SQLSTATE');
SET ROLE kanthorq_wait_auditor;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('auditor', :'SQLSTATE');
SET ROLE kanthorq_wait_nobody;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('nobody', :'SQLSTATE');
RESET ROLE;
ALTER TABLE kanthorq_stream_orders ENABLE ROW LEVEL SECURITY;
SET ROLE kanthorq_wait_worker;
CALL kanthorq_wait('mailer', '0');
INSERT INTO answer VALUES ('worker, under row security of the stream', :'SQLSTATE');
RESET ROLE;
ALTER TABLE kanthorq_stream_orders DISABLE ROW LEVEL SECURITY;
\set VERBOSITY default
\set ON_ERROR_STOP on
SELECT is(
    (SELECT sqlstate FROM answer a WHERE a.role = v.role), wanted,
    format('kanthorq_wait() answers %s to %s', wanted, role))
FROM (VALUES
    ('owner', '00000'), ('heir', '00000'), ('noinherit', '42501'), ('worker', '00000'),
    ('blind_worker', '42501'), ('auditor', '42501'), ('nobody', '42501'),
    ('worker, under row security of the stream', '42501')) AS v (role, wanted);

-- It does wait, with nothing but a worker's rights.
SET ROLE kanthorq_wait_worker;
\set started `date +%s%N`
CALL kanthorq_wait('mailer', '300 milliseconds');
\set ended `date +%s%N`
RESET ROLE;
SELECT cmp_ok(
    :ended - :started, '>=', 300000000::bigint, 'a worker waits while there is nothing to pull');
INSERT INTO setup SELECT kanthorq_publish('orders', 'order.created', '');
SET ROLE kanthorq_wait_worker;
\set started `date +%s%N`
CALL kanthorq_wait('mailer', '60 seconds');
\set ended `date +%s%N`
RESET ROLE;
SELECT cmp_ok(
    :ended - :started, '<', 30000000000::bigint, 'and no longer where there is something');

-- In a transaction block it would hold the block's snapshot, so it is refused there to everybody.
SELECT throws_ok(
    $$CALL kanthorq_wait('mailer', '0')$$, '25001', NULL, 'not inside a function');

SELECT * FROM finish();
SET client_min_messages = warning;
SELECT kanthorq_stream_drop('orders', 'orders') AS dropped \gset
DROP OWNED BY kanthorq_wait_owner, kanthorq_wait_worker, kanthorq_wait_blind_worker,
    kanthorq_wait_auditor;
DROP ROLE kanthorq_wait_heir, kanthorq_wait_noinherit, kanthorq_wait_owner, kanthorq_wait_worker,
    kanthorq_wait_blind_worker, kanthorq_wait_auditor, kanthorq_wait_nobody;
