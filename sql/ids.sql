-- Making ids, and the time inside them.

SET timezone = 'UTC';
SET datestyle = 'ISO';

-- kanthorq_ulid(): strictly increasing within the session, as strings in byte order.
WITH made AS MATERIALIZED (
    SELECT n, kanthorq_ulid() COLLATE "C" AS id FROM generate_series(1, 10000) AS n
)
SELECT count(*), count(DISTINCT id) AS different, bool_and(id > before) AS increasing,
    bool_and(kanthorq_is_ulid(id) AND kanthorq_is_event_id(id)) AS valid
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM made) AS pair;
-- Also from one statement, transaction and function to the next.
SELECT kanthorq_ulid() AS first \gset
BEGIN;
SELECT kanthorq_ulid() AS second \gset
ROLLBACK;
DO $$ BEGIN PERFORM kanthorq_ulid(); END $$;
SELECT :'first' COLLATE "C" < :'second' AND :'second' COLLATE "C" < kanthorq_ulid() AS increasing;
-- It carries the current time, in milliseconds.
SELECT kanthorq_id_time(kanthorq_ulid())
    BETWEEN clock_timestamp() - interval '1 minute'
        AND clock_timestamp() + interval '1 minute' AS is_now;
-- The random part is not a function of the time: of ids of different milliseconds, no two agree.
CREATE TEMPORARY TABLE randoms AS
    SELECT substr(kanthorq_ulid('2024-01-01'::timestamptz + n * interval '1 ms'), 11) AS random
    FROM generate_series(1, 1000) AS n;
SELECT count(DISTINCT random), count(DISTINCT left(random, 4)) > 900 AS differ_early FROM randoms;

-- kanthorq_ulid(at) carries the time, cut to the millisecond.
SELECT at, kanthorq_id_time(kanthorq_ulid(at)) AS inside, kanthorq_is_event_id(kanthorq_ulid(at))
FROM (VALUES
    ('1970-01-01 00:00:00+00'::timestamptz), ('1970-01-01 00:00:00.001+00'),
    ('1999-12-31 23:59:59.999+00'), ('1999-12-31 23:59:59.999999+00'), ('2000-01-01 00:00:00+00'),
    ('2024-02-29 12:34:56.789012+00'), ('2024-02-29 12:34:56.7895+02'),
    ('10889-08-02 05:31:50.655+00'), ('10889-08-02 05:31:50.655999+00')) AS times (at);
-- Calls for the same millisecond increase, whatever the microseconds.
WITH made AS MATERIALIZED (
    SELECT n, kanthorq_ulid('2024-02-29 12:34:56.789+00'::timestamptz + (n % 7) * interval
        '1 microsecond')
        COLLATE "C" AS id
    FROM generate_series(1, 1000) AS n
)
SELECT count(DISTINCT left(id, 10)) AS times, count(DISTINCT id),
    bool_and(id > before) AS increasing
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM made) AS pair;
-- It does not disturb kanthorq_ulid(), nor the other way round.
SELECT kanthorq_ulid() AS now \gset
SELECT kanthorq_id_time(kanthorq_ulid('10889-01-01 00:00+00'));
SELECT kanthorq_id_time(kanthorq_ulid('1970-01-01 00:00+00'));
SELECT kanthorq_ulid() COLLATE "C" > :'now' AS increasing,
    kanthorq_id_time(kanthorq_ulid()) < clock_timestamp() + interval '1 minute' AS still_now;
SELECT kanthorq_id_time(kanthorq_ulid('1970-01-01 00:00+00'));

-- kanthorq_ulid_floor(at): below every ULID of its millisecond, and above those of the one before.
SELECT at, kanthorq_ulid_floor(at) FROM (VALUES
    ('1970-01-01 00:00:00+00'::timestamptz), ('1970-01-01 00:00:00.0009+00'),
    ('1970-01-01 00:00:00.001+00'),
    ('2016-07-30 23:54:10.259+00'), -- 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ('2022-02-22 14:22:22-05'),     -- the example of RFC 9562
    ('10889-08-02 05:31:50.655+00'), ('10889-08-02 05:31:50.655999+00')) AS times (at);
SELECT count(*) FILTER (WHERE kanthorq_ulid_floor(at) > id COLLATE "C") AS below,
    count(*) FILTER (WHERE kanthorq_ulid_floor(at + interval '1 ms') <= id COLLATE "C") AS above
FROM (SELECT at, kanthorq_ulid(at) AS id
      FROM generate_series('2024-01-01'::timestamptz, '2024-01-02',
          '173.001 s') AS at OFFSET 0) AS made;

-- kanthorq_uuidv7(): the same promises.
WITH made AS MATERIALIZED (
    SELECT n, kanthorq_uuidv7() COLLATE "C" AS id FROM generate_series(1, 10000) AS n
)
SELECT count(*), count(DISTINCT id) AS different, bool_and(id > before) AS increasing,
    bool_and(kanthorq_is_uuidv7(id) AND kanthorq_is_event_id(id)) AS valid,
    bool_and(id::uuid::text = id) AS uuids
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS before FROM made) AS pair;
SELECT kanthorq_id_time(kanthorq_uuidv7())
    BETWEEN clock_timestamp() - interval '1 minute'
        AND clock_timestamp() + interval '1 minute' AS is_now;

-- kanthorq_id_time(): each form. The first two are the example of RFC 9562 (appendix A.6,
-- 2022-02-22 14:22:22-05) and its 128 bits as a ULID; the fourth is the ULID specification's.
SELECT id, kanthorq_id_time(id) FROM (VALUES
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f'), ('01FWHE4YDGFK1SHH6W1G60EECF'),
    ('event_01fwhe4ydgfk1shh6w1g60eecf'), ('01ARZ3NDEKTSV4RRFFQ69G5FAV'),
    ('order_update_01arz3ndektsv4rrffq69g5fav'),
    ('00000000000000000000000000'), ('00000000-0000-7000-8000-000000000000'),
    ('7ZZZZZZZZZZZZZZZZZZZZZZZZZ'), ('ffffffff-ffff-7fff-bfff-ffffffffffff'),
    ('a_7zzzzzzzzzzzzzzzzzzzzzzzzz')) AS ids (id);
-- Sorted as strings, ids of one form are sorted by time.
SELECT count(*), bool_and(at >= before) AS sorted
FROM (SELECT at, lag(at) OVER (ORDER BY id COLLATE "C") AS before
      FROM (SELECT at, kanthorq_ulid(at) AS id
            FROM generate_series('1970-01-01'::timestamptz, '10889-01-01',
                '10 years 7 days 3.7 s') AS at
            OFFSET 0) AS made) AS pair;

-- What is no event id has no time, a spelling that is not canonical included.
SELECT kanthorq_id_time('017F22E2-79B0-7CC3-98C4-DC0C0C07398F');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_id_time('01arz3ndektsv4rrffq69g5fav');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_id_time('919108f7-52d1-4320-9bac-f847db4148a8');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_id_time('');
\echo :LAST_ERROR_SQLSTATE

-- Times that do not fit into an id.
SELECT kanthorq_ulid('1969-12-31 23:59:59.999999+00');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_ulid('10889-08-02 05:31:50.656+00');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_ulid('infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT kanthorq_ulid('-infinity');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT kanthorq_ulid('4714-11-24 00:00:00+00 BC');
SELECT kanthorq_ulid('294276-12-31 23:59:59.999999+00');
SELECT kanthorq_ulid_floor('1969-12-31 23:59:59.999999+00');
SELECT kanthorq_ulid_floor('10889-08-02 05:31:50.656+00');
SELECT kanthorq_ulid_floor('infinity');
SELECT kanthorq_ulid_floor('-infinity');
\set VERBOSITY default
-- A refused time leaves the generator as it was.
SELECT kanthorq_id_time(kanthorq_ulid('2024-02-29 12:34:56.789+00'));

SELECT kanthorq_ulid(NULL), kanthorq_ulid_floor(NULL), kanthorq_id_time(NULL);
