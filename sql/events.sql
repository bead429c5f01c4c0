-- Reading a stream: one event, pages by id, pages by (subject, id).

\set SHOW_CONTEXT never
SET timezone = 'UTC';
SELECT name FROM kanthorq_stream_create('events');

-- One event, with all its fields; no row if there is no such event, as in an empty stream.
SELECT * FROM kanthorq_event_get('events', '01ARZ3NDEKTSV4RRFFQ69G5FA1');
SELECT * FROM kanthorq_events('events');
SELECT * FROM kanthorq_events_by_subject('events');
SELECT kanthorq_publish('events', 'order.created', '\x00ff', '{"k": 1}',
    '01ARZ3NDEKTSV4RRFFQ69G5FA1', 42);
SELECT * FROM kanthorq_event_get('events', '01ARZ3NDEKTSV4RRFFQ69G5FA1');
SELECT * FROM kanthorq_event_get('events', '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT * FROM kanthorq_event_get('events', 'a_01arz3ndektsv4rrffq69g5fa1');
SELECT pg_typeof(e), pg_typeof(id), pg_typeof(subject), pg_typeof(body), pg_typeof(metadata),
    pg_typeof(created_at)
FROM kanthorq_events('events') AS e;
SELECT kanthorq_event_get('events', '01ARZ3NDEKTSV4RRFFQ69G5FA1');
-- A transaction sees what it published.
BEGIN;
SELECT kanthorq_publish('events', 'own', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT subject FROM kanthorq_event_get('events', '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT subject FROM kanthorq_events('events');
ROLLBACK;
SELECT kanthorq_event_remove('events', '{01ARZ3NDEKTSV4RRFFQ69G5FA1}');

-- 1,200 events with all forms of ids, in 90 subjects, at times between 1970 and 10889.
CREATE FUNCTION pg_temp.uuid_of(ms bigint, digest text) RETURNS text LANGUAGE sql AS $$
    SELECT (encode(substr(int8send(ms), 3), 'hex') || '7' || substr(digest, 1, 3)
        || 'a' || substr(digest, 4, 15))::uuid::text
$$;
CREATE TABLE events_expected AS
    WITH numbers AS (
        SELECT n, md5(n::text) AS digest, ('x' || left(md5(n::text), 12))::bit(48)::bigint AS number
        FROM generate_series(1, 1200) AS n
    ), times AS (
        SELECT n, digest, CASE n % 4
            WHEN 0 THEN number  -- anywhere in the 48 bits
            WHEN 1 THEN n * 1000
            WHEN 2 THEN 281474976710655 - n / 40
            ELSE 1600000000000 + number % 1000000 END AS ms
        FROM numbers
    ), ulids AS MATERIALIZED (
        SELECT *, kanthorq_ulid('epoch'::timestamptz
            + ms / 1000 * interval '1 s' + ms % 1000 * interval '1 ms') AS ulid
        FROM times
    )
    SELECT CASE n % 7
            WHEN 0 THEN ulid
            WHEN 1 THEN 'order_' || lower(ulid)
            WHEN 2 THEN 'order_update_' || lower(ulid)
            WHEN 3 THEN 'a_' || lower(ulid)
            WHEN 4 THEN 'z9_x_' || lower(ulid)
            ELSE pg_temp.uuid_of(ms, digest) END COLLATE "C" AS id,
        (ARRAY['order', 'order.created', 'order.created.eu', 'orders', 'order-x.created',
            'Order.created', 'user', 'user.created', '1.2.3', '-1.x'])[1 + n % 10]
        || (ARRAY['', '.a', '.b.' || n % 7])[1 + n % 3] AS subject,
        n::text::bytea AS body,
        jsonb_build_object('n', n % 5, 'in', jsonb_build_object('deep', n % 2 = 0)) AS metadata,
        n::bigint AS created_at
    FROM ulids;
SELECT count(*), count(DISTINCT id) AS ids, bool_and(kanthorq_is_event_id(id)) AS valid,
    count(DISTINCT subject) AS subjects
FROM events_expected;
SELECT cardinality(kanthorq_publish_many('events', array_agg(subject), array_agg(body),
    array_agg(metadata), array_agg(id::text), array_agg(created_at)))
FROM events_expected;
ANALYZE kanthorq_stream_events;

-- By id: a page starts after after_id, and all pages together are everything.
SELECT count(*), bool_and(id > before) AS in_order
FROM (SELECT id, lag(id) OVER () AS before FROM (SELECT id COLLATE "C" AS id
    FROM kanthorq_events('events', size => 10000)) AS all_of_them) AS pair;
SELECT count(*) FROM kanthorq_events('events');
CREATE FUNCTION pg_temp.walk(filter text, size integer, since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL, stream text DEFAULT 'events') RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    page text[];
    pages text[] := '{}';
BEGIN
    LOOP
        page := ARRAY(SELECT id FROM kanthorq_events(stream, filter, pages[cardinality(pages)],
            since, until, size));
        pages := pages || page;
        EXIT WHEN cardinality(page) < size OR cardinality(pages) > 2000;
    END LOOP;
    RETURN pages;
END $$;
SELECT size, pg_temp.walk('>', size) = (SELECT array_agg(id::text ORDER BY id)
    FROM events_expected) AS everything
FROM unnest(ARRAY[1, 7, 100, 1199, 1200, 1201, 10000]) AS size;
-- After an id that is not there, and after the last one.
SELECT (SELECT array_agg(id) FROM kanthorq_events('events', after_id => after)) IS NOT DISTINCT FROM
    (SELECT array_agg(id::text ORDER BY id) FROM (SELECT id FROM events_expected
        WHERE id > after COLLATE "C" ORDER BY id LIMIT 100) AS next) AS same
FROM (VALUES ('00000000000000000000000000'), ('01ARZ3NDEKTSV4RRFFQ69G5FAV'),
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f'),
    ('b_00000000000000000000000000'), ('zz_7zzzzzzzzzzzzzzzzzzzzzzzzz')) AS behind (after);

-- Filters: exact, with a literal head, with none; each compared with its meaning, and walked.
SELECT filter, cardinality(pages) AS events,
    pages = (SELECT coalesce(array_agg(id::text ORDER BY id), '{}') FROM events_expected
        WHERE kanthorq_subject_matches(subject, filter)) AS by_id
FROM (VALUES ('>'), ('order.created'), ('order'), ('order.>'), ('order.*'), ('order.*.*'),
    ('order.created.>'), ('order.*.a'), ('*'), ('*.*'),
    ('*.created'), ('*.created.>'), ('*.*.*.*'), ('user.>'), ('User.>'), ('1.2.>'), ('1.2.3'),
    ('-1.*'), ('order-x.>'), ('orders.>'), ('o.>'), ('none.>'))
    AS filters (filter), LATERAL pg_temp.walk(filter, 50) AS pages;
-- By (subject, id): the same events in the other order, walked by both keys.
CREATE FUNCTION pg_temp.walk_by_subject(filter text, size integer) RETURNS text[]
    LANGUAGE plpgsql AS $$
DECLARE
    event kanthorq_event;
    found_here integer;
    pages text[] := '{}';
BEGIN
    LOOP
        found_here := 0;
        FOR event IN SELECT * FROM kanthorq_events_by_subject('events', filter, event.subject,
            event.id, size) LOOP
            found_here := found_here + 1;
            pages := pages || event.id;
        END LOOP;
        EXIT WHEN found_here < size OR cardinality(pages) > 2000;
        SELECT * INTO event FROM kanthorq_event_get('events', pages[cardinality(pages)]);
    END LOOP;
    RETURN pages;
END $$;
SELECT size, pg_temp.walk_by_subject('>', size) = (SELECT array_agg(id::text
    ORDER BY subject COLLATE "C", id) FROM events_expected) AS everything
FROM unnest(ARRAY[7, 100, 1199, 1200, 1201]) AS size;
SELECT filter, pg_temp.walk_by_subject(filter, 50) =
    (SELECT coalesce(array_agg(id::text ORDER BY subject COLLATE "C", id), '{}')
        FROM events_expected WHERE kanthorq_subject_matches(subject, filter)) AS by_subject
FROM (VALUES ('order.created'), ('order.>'), ('order.*'), ('order.created.>'), ('*.created'),
    ('*.*.*.*'), ('user.>'), ('-1.*'), ('none.>')) AS filters (filter);
-- After all of a subject, if after_id is null.
SELECT after, (SELECT array_agg(id)
    FROM kanthorq_events_by_subject('events', '>', after)) IS NOT DISTINCT FROM
    (SELECT array_agg(id::text) FROM (SELECT id FROM events_expected
        WHERE subject COLLATE "C" > after
        ORDER BY subject COLLATE "C", id LIMIT 100) AS next) AS same
FROM (VALUES ('-1.x'), ('order'), ('order.a'), ('order.created.zz'), ('zz')) AS behind (after);

-- Times: the events whose ids carry a time from since to before until, in whole milliseconds, of every
-- form of id, compared with the time inside each.
CREATE FUNCTION pg_temp.expected(since timestamptz, until timestamptz, filter text DEFAULT '>')
    RETURNS text[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(id::text ORDER BY id), '{}') FROM events_expected
    WHERE (since IS NULL OR kanthorq_id_time(id) >= date_trunc('milliseconds', since))
        AND (until IS NULL OR kanthorq_id_time(id) < date_trunc('milliseconds', until))
            AND kanthorq_subject_matches(subject, filter)
$$;
CREATE TABLE events_ranges (since timestamptz, until timestamptz);
INSERT INTO events_ranges VALUES
    -- all, and around the first time
    (NULL, NULL), ('-infinity', 'infinity'), ('epoch', NULL), ('1970-01-01 00:00:00.001', NULL),
    (NULL, '1970-01-01'), ('1969-01-01', '1970-01-02'), (NULL, '1970-01-01 00:00:01'),
    ('4000-01-01 BC', '1970-01-01 00:30:00'), ('1970-01-01 00:10:00', '1970-01-01 00:20:00'),
    -- one millisecond, and less
    ('1970-01-01 00:16:49', '1970-01-01 00:16:50'), ('1970-01-01 00:16:49', '1970-01-01 00:16:49'),
    ('1970-01-01 00:16:49.0009', '1970-01-01 00:16:49.0011'),
    -- a busy quarter of an hour
    ('2020-09-13 12:26:40', '2020-09-13 12:43:20'), ('2020-09-13 12:30:00', NULL),
    (NULL, '2020-09-13 12:30:00'), ('2020-09-13 12:26:40', '2020-09-13 12:26:39'),
    ('-infinity', '2020-09-13 12:30:00'), ('2020-09-13 12:30:00', 'infinity'),
    -- far away, and around the last time
    ('3000-01-01', '8000-01-01'), ('10889-08-02 05:31:50.640', NULL),
    ('10889-08-02 05:31:50.640', '10889-08-02 05:31:50.650'),
    ('10889-08-02 05:31:50.655', '10889-08-02 05:31:50.656'), ('10889-08-02 05:31:50.656', NULL),
    (NULL, '10889-08-02 05:31:50.655'), (NULL, '10889-08-02 05:31:50.656'),
    ('20000-01-01', '30000-01-01'), ('infinity', NULL), ('infinity', 'infinity'),
    (NULL, '-infinity'), ('infinity', '-infinity');
SELECT since, until, cardinality(pages) AS events, pages = pg_temp.expected(since, until) AS same
FROM events_ranges, LATERAL pg_temp.walk('>', 10000, since, until) AS pages;
-- The same in small pages, with a filter, and for ranges that start and end at the events' own times.
SELECT count(*) AS ranges, bool_and(pg_temp.walk('>', 40, since, until) = pg_temp.expected(since,
    until)) AS same FROM events_ranges;
SELECT count(*) AS ranges,
    bool_and(pg_temp.walk('*.created.>', 40, since, until) = pg_temp.expected(since, until,
    '*.created.>')) AS same FROM events_ranges;
SELECT count(*) AS ranges, bool_and(pages = pg_temp.expected(since, until)) AS same,
    sum(cardinality(pages)) > 0 AS some
FROM (SELECT kanthorq_id_time(id) AS since, kanthorq_id_time(id) + (created_at % 3) * interval
    '1 ms' AS until
      FROM events_expected WHERE created_at % 29 = 0) AS ranges,
          LATERAL pg_temp.walk('>', 10000, since, until) AS pages;

-- Prefixes in any number, also such as start with one another.
SELECT name FROM kanthorq_stream_create('events_prefixes');
SELECT count(kanthorq_publish('events_prefixes', 'a', '', id => prefix || lower(kanthorq_ulid(at))))
FROM (SELECT DISTINCT first || second || third AS prefix
      FROM unnest(ARRAY['a_', 'a1_', 'b_', 'order_', 'orders_', 'z_']) AS first,
          unnest(ARRAY['', 'a_', 'b2_', 'update_']) AS second,
          unnest(ARRAY['', 'a_', 'x_']) AS third) AS prefixes,
    generate_series('2024-01-01'::timestamptz, '2024-01-10', '1 day') AS at;
SELECT since, until, size, cardinality(pages) AS events, pages = (
        SELECT array_agg(id::text ORDER BY id) FROM kanthorq_stream_events_prefixes
        WHERE kanthorq_id_time(id) >= since AND kanthorq_id_time(id) < until) AS same
FROM (VALUES ('2024-01-03'::timestamptz, '2024-01-05'::timestamptz),
        ('2024-01-01', '2024-01-02'), ('-infinity', '2024-01-02'), ('2024-01-10', 'infinity'))
    AS ranges (since, until),
    unnest(ARRAY[7, 10000]) AS size,
    pg_temp.walk('>', size, since, until, 'events_prefixes') AS pages
ORDER BY size, since, until;
SELECT kanthorq_stream_drop('events_prefixes', confirm => 'events_prefixes');

-- Metadata: what jsonb's @> says.
SELECT contains, (SELECT count(*)
    FROM kanthorq_events('events', size => 10000, metadata_contains => contains)) AS events,
    (SELECT count(*) FROM events_expected WHERE metadata @> contains) AS expected
FROM unnest(ARRAY['{}', '{"n": 3}', '{"in": {"deep": true}}', '{"n": 0, "in": {}}', '{"n": 5}',
    '{"k": null}']::jsonb[]) AS contains;
-- All conditions together.
SELECT count(*) AS events, bool_and(metadata @> '{"n": 1}' AND kanthorq_subject_matches(subject,
    '*.created.>') AND kanthorq_id_time(id) >= '2020-01-01'
    AND id COLLATE "C" > '01FWHE4YDGFK1SHH6W1G60EECF') AS right_ones,
    count(*) = (SELECT count(*) FROM events_expected WHERE metadata @> '{"n": 1}'
        AND kanthorq_subject_matches(subject, '*.created.>')
        AND kanthorq_id_time(id) >= '2020-01-01'
            AND id > '01FWHE4YDGFK1SHH6W1G60EECF') AS all_of_them
FROM kanthorq_events('events', '*.created.>', '01FWHE4YDGFK1SHH6W1G60EECF', '2020-01-01', NULL,
    10000, '{"n": 1}');

-- A page costs what it returns, however deep it is: the rows that are read in a stream of 3,000 for a
-- page by each order, near the end, with a filter whose head is literal, and within a time.
SELECT name FROM kanthorq_stream_create('events_deep');
SELECT cardinality(kanthorq_publish_many('events_deep',
    array_agg('subject.' || lpad((n % 300)::text, 3, '0') || '.' || n % 2),
    array_agg(''::bytea), ids => array_agg(CASE n % 4
        WHEN 0 THEN ulid
        WHEN 1 THEN 'a_' || lower(ulid)
        WHEN 2 THEN 'order_' || lower(ulid)
        ELSE (encode(substr(int8send(1704067200000 + n * 1000), 3), 'hex') || '7000a'
            || substr(md5(n::text), 1, 15))::uuid::text
    END)))
FROM (SELECT n, kanthorq_ulid('2024-01-01'::timestamptz + n * interval '1 s') AS ulid
    FROM generate_series(1, 3000) AS n) AS ids;
ANALYZE kanthorq_stream_events_deep;
-- A time with one end only costs no more if the ids are of one form.
SELECT name FROM kanthorq_stream_create('events_ulid');
SELECT cardinality(kanthorq_publish_many('events_ulid', array_agg('subject'::text),
    array_agg(''::bytea), ids => array_agg(kanthorq_ulid('2024-01-01'::timestamptz + n * interval '1 s'))))
FROM generate_series(1, 3000) AS n;
ANALYZE kanthorq_stream_events_ulid;
CREATE FUNCTION pg_temp.rows_read() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables
    WHERE relname ~ '^kanthorq_stream_events_(deep|ulid)(__|$)'  -- with the partitions
$$;
CREATE FUNCTION pg_temp.rows_read_for(call text, OUT events bigint, OUT cheap boolean)
    LANGUAGE plpgsql AS $$
DECLARE
    before bigint := pg_temp.rows_read();
BEGIN
    EXECUTE 'SELECT count(*) FROM kanthorq_' || call INTO events;
    cheap := pg_temp.rows_read() - before < 100;
END $$;
BEGIN;
SELECT call, found.* FROM (VALUES
    ('event_get(''events_deep'', ''7ZZZZZZZZZZZZZZZZZZZZZZZZZ'')'),
    ('events(''events_deep'', size => 10)'),
    ('events(''events_deep'', after_id => ''order_01hk153x000000000000000000'', size => 10)'),
    ('events(''events_deep'', after_id => ''order_01hk17q00g0000000000000000'', size => 10)'),
    ('events_by_subject(''events_deep'', size => 10)'),
    ('events_by_subject(''events_deep'', after_subject => ''subject.290.0'', after_id => ''a_00000000000000000000000000'', size => 10)'),
    ('events_by_subject(''events_deep'', ''subject.290.>'', size => 10)'),
    ('events_by_subject(''events_deep'', ''subject.290.0'', size => 10)'),
    ('events(''events_deep'', ''subject.290.>'')'),
    ('events(''events_deep'', since => ''2024-01-01 00:40:00'', until => ''2024-01-01 00:40:08'')'),
    ('events(''events_ulid'', since => ''2024-01-01 00:40:00'', size => 10)'),
    ('events(''events_ulid'', until => ''2024-01-01 00:00:05'', size => 10)'))
        AS calls (call),
    LATERAL pg_temp.rows_read_for(call) AS found;
-- The measure works.
SELECT count(*) FROM (SELECT body FROM kanthorq_stream_events_deep OFFSET 0) AS all_of_them;
SELECT pg_temp.rows_read() >= 3000 AS counted;
COMMIT;
-- In a parallel plan, too.
CREATE TABLE events_many AS SELECT 'events_deep'::text AS name FROM generate_series(1, 10000);
ANALYZE events_many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(kanthorq_stream_table(name)) FROM events_many;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE events_many;
SELECT kanthorq_stream_drop('events_deep', confirm => 'events_deep');
SELECT kanthorq_stream_drop('events_ulid', confirm => 'events_ulid');

-- Sizes.
SELECT size, test.refused(format('SELECT kanthorq_events(''events'', size => %L)',
    size)) AS by_id,
    test.refused(format('SELECT kanthorq_events_by_subject(''events'', size => %L)',
        size)) AS by_subject
FROM unnest(ARRAY[1, 10000, 0, -1, 10001, 2147483647, -2147483648, NULL]) AS size;
SELECT count(*) FROM kanthorq_events('events', size => 1);

-- What is wrong with the other arguments.
SELECT test.refused('SELECT kanthorq_' || call) FROM (VALUES
    ('event_get(NULL, ''01ARZ3NDEKTSV4RRFFQ69G5FAV'')'), ('event_get(''events'', NULL)'),
    ('event_get(''events'', ''x'')'),
    ('events(NULL)'), ('events(''events'', NULL)'), ('events(''events'', ''a.'')'),
    ('events(''events'', ''a.>.b'')'),
    ('events(''events'', after_id => ''x'')'),
    ('events(''events'', after_id => ''01arz3ndektsv4rrffq69g5fav'')'),
    ('events(''events'', metadata_contains => NULL)'),
    ('events(''events'', metadata_contains => ''[]'')'),
    ('events(''events'', metadata_contains => ''1'')'),
    ('events_by_subject(NULL)'), ('events_by_subject(''events'', NULL)'),
    ('events_by_subject(''events'', ''*a'')'),
    ('events_by_subject(''events'', after_subject => ''a.*'')'),
    ('events_by_subject(''events'', after_subject => ''a'', after_id => ''x'')'),
    ('events_by_subject(''events'', after_id => ''01ARZ3NDEKTSV4RRFFQ69G5FAV'')'),
    ('events(''none'')'), ('event_get(''none'', ''01ARZ3NDEKTSV4RRFFQ69G5FAV'')'),
    ('events_by_subject(''none'')')) AS calls (call);

-- Readers need SELECT, and see what row security lets them see.
CREATE ROLE regress_kanthorq_reader;
SET ROLE regress_kanthorq_reader;
SELECT count(*) FROM kanthorq_events('events');
\echo :LAST_ERROR_SQLSTATE
SELECT test.refused('SELECT kanthorq_' || call)
FROM (VALUES ('event_get(''events'', ''01ARZ3NDEKTSV4RRFFQ69G5FAV'')'),
    ('events_by_subject(''events'')'), ('events(''events'', since => ''2020-01-01'')')) AS calls
        (call);
RESET ROLE;
GRANT SELECT ON kanthorq_stream_events TO regress_kanthorq_reader;
SELECT id AS hidden_id FROM events_expected WHERE subject LIKE 'user%' ORDER BY id LIMIT 1 \gset
ALTER TABLE kanthorq_stream_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY orders_only ON kanthorq_stream_events FOR SELECT USING (subject LIKE 'order%');
SET ROLE regress_kanthorq_reader;
SELECT count(*), bool_and(subject LIKE 'order%') AS orders
FROM kanthorq_events('events', size => 10000);
SELECT count(*), bool_and(subject LIKE 'order%') AS orders
FROM kanthorq_events_by_subject('events', size => 10000);
SELECT count(*), bool_and(subject LIKE 'order%') AS orders
FROM kanthorq_events('events', since => '1970-01-01 00:00:01', size => 10000);
SELECT count(*) FROM kanthorq_events('events', 'user.>');
SELECT count(*) FROM kanthorq_event_get('events', :'hidden_id');
RESET ROLE;
SELECT count(*) FROM kanthorq_event_get('events', :'hidden_id');

-- A read-only transaction reads.
BEGIN READ ONLY;
SELECT count(*) FROM kanthorq_events('events', since => '2020-01-01');
COMMIT;
-- In a statement that publishes, a page shows what was there when it began.
WITH published AS MATERIALIZED (SELECT kanthorq_publish('events', 'while.reading', '') AS id)
SELECT count(id) AS published, (SELECT count(*)
    FROM kanthorq_events('events', 'while.reading')) AS seen FROM published;
SELECT count(*) FROM kanthorq_events('events', 'while.reading');

SELECT kanthorq_stream_drop('events', confirm => 'events');
DROP TABLE events_expected, events_ranges;
DROP ROLE regress_kanthorq_reader;
