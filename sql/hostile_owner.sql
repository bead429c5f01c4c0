-- What the owner of a stream's or consumer's table puts onto it, and what a worker writes into it, runs no code as
-- somebody else who looks or pulls, crashes nothing, and stops no other row.
CREATE ROLE regress_kanthorq_owner;
GRANT CREATE ON SCHEMA public TO regress_kanthorq_owner;
CREATE TABLE hostile_owner_log (who name);
GRANT INSERT ON hostile_owner_log TO PUBLIC;

SET ROLE regress_kanthorq_owner;
SELECT name FROM kanthorq_stream_create('hostile_owner');
SELECT name FROM kanthorq_consumer_create('hostile_owner', 'hostile_owner', attempt_max => 9);
SELECT name FROM kanthorq_consumer_create('hostile_index', 'hostile_owner');
SELECT count(kanthorq_publish('hostile_owner', 'event.' || n, '')) FROM generate_series(1, 3) AS n;

-- Functions in indexes that say of themselves that they are constant: the server evaluates them for whoever asks it
-- for the index's expressions.
CREATE FUNCTION hostile_owner_note() RETURNS void LANGUAGE sql AS 'INSERT INTO public.hostile_owner_log VALUES (current_user)';
CREATE FUNCTION hostile_owner_true(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.hostile_owner_note();
    RETURN true;
END $$;
CREATE INDEX ON kanthorq_stream_hostile_owner (created_at) WHERE hostile_owner_true(1);
CREATE INDEX ON kanthorq_stream_hostile_owner ((hostile_owner_true(1)));
CREATE INDEX ON kanthorq_consumer_hostile_index (subject) WHERE hostile_owner_true(1);
RESET ROLE;
TRUNCATE hostile_owner_log;

\c -
SELECT name FROM kanthorq_streams WHERE name = 'hostile_owner';
SELECT name FROM kanthorq_consumers WHERE stream = 'hostile_owner';
SELECT kanthorq_stream_table('hostile_owner'), kanthorq_consumer_table('hostile_owner');
SELECT name FROM kanthorq_stream_create('hostile_owner');
SELECT count(*) FROM kanthorq_horizon('hostile_owner');
SELECT count(*) FROM kanthorq_pull('hostile_index');
SELECT kanthorq_task_state('hostile_owner', kanthorq_ulid());
SELECT cardinality(kanthorq_cancel('hostile_owner', ARRAY[kanthorq_ulid()]));
SELECT lease, string_agg(subject, ' ' ORDER BY position) AS subjects FROM kanthorq_pull('hostile_owner', 2) GROUP BY lease \gset
SELECT :'subjects', kanthorq_nack('hostile_owner', :lease, error => 'none', retry_in => '0');
SELECT who FROM hostile_owner_log;

-- Nulls among the errors.
SET ROLE regress_kanthorq_owner;
UPDATE kanthorq_consumer_hostile_owner SET attempted_error = ARRAY[NULL, attempted_error[1], NULL];
SELECT lease FROM kanthorq_pull('hostile_owner', 1) \gset
SELECT kanthorq_nack('hostile_owner', :lease, error => 'one more', retry_in => '0');
SELECT position, cardinality(attempted_error), attempted_error[1] ->> 'error', attempted_error[2] ->> 'error'
FROM kanthorq_consumer_hostile_owner ORDER BY position;

-- A row in the place of another event's: the worker that put it there has lost that event's past, and nobody else is
-- in the way of it.
SELECT kanthorq_consumer_seek('hostile_owner', 'first', confirm => 'hostile_owner');
SELECT lease FROM kanthorq_pull('hostile_owner', 1) \gset
SELECT kanthorq_nack('hostile_owner', :lease, retry_in => '1 hour');
SELECT string_agg(subject, ' ' ORDER BY position) FROM kanthorq_pull('hostile_owner', 10, visibility_timeout => '1 ms');
UPDATE kanthorq_consumer_hostile_owner SET position = 2;
SELECT string_agg(subject || ' ' || attempt, ', ' ORDER BY position)
FROM kanthorq_pull('hostile_owner', 10, wait => '1 minute');

-- A state that there is none of is as good as retryable, and stops nobody.
SELECT kanthorq_consumer_seek('hostile_owner', 'first', confirm => 'hostile_owner');
SELECT lease FROM kanthorq_pull('hostile_owner', 1) \gset
SELECT kanthorq_nack('hostile_owner', :lease, retry_in => '0');
UPDATE kanthorq_consumer_hostile_owner SET state = 'unheard of';
SELECT kanthorq_task_state('hostile_owner', id) FROM kanthorq_stream_hostile_owner ORDER BY position LIMIT 1;
SELECT string_agg(subject || ' ' || attempt, ', ' ORDER BY position) FROM kanthorq_pull('hostile_owner', 10);
UPDATE kanthorq_consumer_hostile_owner SET state = 'unheard of';
SELECT kanthorq_consumer_seek('hostile_owner', 'new', confirm => 'hostile_owner') > 0 AS sought;
SELECT count(*) FROM kanthorq_consumer_hostile_owner;

-- Rows or positions that may be there twice.
BEGIN;
ALTER TABLE kanthorq_consumer_hostile_owner DROP CONSTRAINT kanthorq_consumer_hostile_owner__pkey;
CREATE INDEX ON kanthorq_consumer_hostile_owner (position);
SELECT count(*) FROM kanthorq_pull('hostile_owner');
ROLLBACK;
ALTER TABLE kanthorq_stream_hostile_owner DROP CONSTRAINT kanthorq_stream_hostile_owner__position_key;
CREATE INDEX ON kanthorq_stream_hostile_owner (position);
SELECT count(*) FROM kanthorq_pull('hostile_owner');
RESET ROLE;
SELECT name FROM kanthorq_streams WHERE name = 'hostile_owner';
SELECT name FROM kanthorq_consumers WHERE stream = 'hostile_owner';

-- A table whose rows are older than some of its columns: what a row lacks is not taken from beside it.
SET kanthorq.default_partition_interval = '';  -- one that is not partitioned
SET ROLE regress_kanthorq_owner;
CREATE TABLE kanthorq_stream_hostile_young (
    id varchar(64) COLLATE "C" PRIMARY KEY, subject varchar(128) COLLATE "C" NOT NULL, body bytea NOT NULL);
INSERT INTO kanthorq_stream_hostile_young VALUES (kanthorq_ulid(), 'old.event', 'body');
ALTER TABLE kanthorq_stream_hostile_young ADD metadata jsonb NOT NULL DEFAULT '{"a": "default"}',
    ADD created_at bigint NOT NULL DEFAULT 42, ADD txid xid8 NOT NULL DEFAULT '5', ADD position bigint NOT NULL DEFAULT 1 UNIQUE;
ALTER TABLE kanthorq_stream_hostile_young ALTER position DROP DEFAULT;
ALTER TABLE kanthorq_stream_hostile_young ALTER position ADD GENERATED ALWAYS AS IDENTITY (START 2);
SELECT name FROM kanthorq_stream_create('hostile_young');
SELECT name FROM kanthorq_consumer_create('hostile_young', 'hostile_young');
SELECT kanthorq_publish('hostile_young', 'new.event', 'body', created_at => 43) IS NOT NULL AS published;
SELECT position, subject, convert_from(body, 'UTF8') AS body, metadata, created_at
FROM kanthorq_pull('hostile_young') ORDER BY position;

-- A column that may be null again, or on 18 and later that is said not to be null, without a look at its rows.
SELECT kanthorq_consumer_seek('hostile_young', 'first', confirm => 'hostile_young');
ALTER TABLE kanthorq_stream_hostile_young ALTER body DROP NOT NULL;
INSERT INTO kanthorq_stream_hostile_young (subject, body, created_at) VALUES ('null', NULL, 4702111234474967297);
SELECT current_setting('server_version_num')::integer >= 180000 AS has_not_valid \gset
\if :has_not_valid
ALTER TABLE kanthorq_stream_hostile_young ADD CONSTRAINT later NOT NULL body NOT VALID;
\endif
SELECT * FROM kanthorq_pull('hostile_young');
DROP TABLE kanthorq_stream_hostile_young;
-- One with a column that is computed.
CREATE TABLE kanthorq_stream_hostile_young (
    id varchar(64) COLLATE "C" PRIMARY KEY, subject varchar(128) COLLATE "C" NOT NULL, body bytea NOT NULL,
    metadata jsonb NOT NULL, created_at bigint NOT NULL GENERATED ALWAYS AS (1) STORED, txid xid8 NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY UNIQUE);
SELECT * FROM kanthorq_pull('hostile_young');
RESET ROLE;
SELECT name FROM kanthorq_streams WHERE name LIKE 'hostile%';

SELECT kanthorq_stream_drop('hostile_owner', 'hostile_owner');
DROP TABLE kanthorq_stream_hostile_young;
SELECT kanthorq_stream_drop('hostile_young', 'hostile_young');
DROP TABLE hostile_owner_log;
DROP FUNCTION hostile_owner_true, hostile_owner_note;
DROP OWNED BY regress_kanthorq_owner;
DROP ROLE regress_kanthorq_owner;

-- A worker writes what no function of KanthorQ would into its consumer's rows. Whoever looks reads no more
-- of a state than a valid one has, and no more errors than a row may have.
SELECT name FROM kanthorq_stream_create('huge');
SELECT name FROM kanthorq_consumer_create('huge', 'huge');
ALTER TABLE kanthorq_consumer_huge ALTER state SET STORAGE EXTERNAL;
SELECT count(kanthorq_publish('huge', 'a.' || n, '')) FROM generate_series(1, 2) AS n;
SELECT lease FROM kanthorq_pull('huge') LIMIT 1 \gset
SELECT kanthorq_nack('huge', :lease, retry_in => '0');
UPDATE kanthorq_consumer_huge SET state = repeat('x', 16000000) WHERE position = 1;
CREATE FUNCTION blocks_of(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
    RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END $$;
SELECT blocks_of('SELECT length(state) FROM kanthorq_consumer_huge') > 1900 AS whole;
SELECT blocks_of('SELECT * FROM kanthorq_consumers') < 500 AS slice;
ALTER TABLE kanthorq_consumer_huge ALTER state SET STORAGE EXTENDED;
UPDATE kanthorq_consumer_huge SET state = repeat('x', 40000000) WHERE position = 2;
SELECT retryable, discarded, cancelled FROM kanthorq_consumers WHERE name = 'huge';
SELECT subject, kanthorq_task_state('huge', id) FROM kanthorq_stream_huge;
UPDATE kanthorq_consumer_huge SET state = 'retryable or longer';
SELECT retryable, discarded, cancelled FROM kanthorq_consumers WHERE name = 'huge';
UPDATE kanthorq_consumer_huge SET attempted_error = array_fill(to_jsonb(repeat('x', 150000)), ARRAY[CASE position WHEN 1 THEN 8 ELSE 4 END]);
SELECT lease FROM kanthorq_pull('huge') LIMIT 1 \gset
SELECT kanthorq_nack('huge', :lease, error => 'no', retry_in => '0');
SELECT position, cardinality(attempted_error), attempted_error[cardinality(attempted_error)]->'error' FROM kanthorq_consumer_huge ORDER BY position;
DROP FUNCTION blocks_of;
SELECT kanthorq_stream_drop('huge', 'huge');
