-- What the Event document says, sentence by sentence, on each way into a stream: kanthorq_publish,
-- kanthorq_publish_many and a plain INSERT. Sentences of the document stand in quotation marks.
BEGIN;
SELECT plan(234);

CREATE TEMPORARY TABLE created AS SELECT kanthorq_stream_create('order_update');
CREATE TEMPORARY TABLE way AS
SELECT * FROM unnest(ARRAY['kanthorq_publish', 'kanthorq_publish_many', 'INSERT'])
    WITH ORDINALITY AS w (way, number);

-- Stores an event and returns 'stored' if it is there with exactly what was given, else the
-- SQLSTATE of the error and the name of the constraint, if any.
CREATE FUNCTION pg_temp.store(way text, id text, subject text, body bytea, metadata jsonb)
    RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
    broken text;
BEGIN
    CASE way
    WHEN 'kanthorq_publish' THEN
        PERFORM kanthorq_publish('order_update', subject, body, metadata, id);
    WHEN 'kanthorq_publish_many' THEN
        PERFORM kanthorq_publish_many('order_update', ARRAY[subject], ARRAY[body],
                                      ARRAY[metadata], ARRAY[id]);
    WHEN 'INSERT' THEN
        INSERT INTO kanthorq_stream_order_update (id, subject, body, metadata)
        VALUES (store.id, store.subject, store.body, store.metadata);
    END CASE;
    IF (SELECT array_agg(e) FROM kanthorq_stream_order_update e
        WHERE (e.id, e.subject, e.body, e.metadata)
            = (store.id, store.subject, store.body, store.metadata)) IS NULL
    THEN
        RETURN 'not stored as given';
    END IF;
    RETURN 'stored';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
    RETURN concat_ws(' ', SQLSTATE, nullif(broken, ''));
END
$$;

-- The structure: "An Event in KanthorQ represents a data transfer object (DTO)".

-- The document's definition, word for word.
CREATE SCHEMA document
    CREATE TABLE kanthorq_stream_order_update (
  id VARCHAR(64) NOT NULL,
  subject VARCHAR(128) NOT NULL,
  body BYTEA NOT NULL,
  metadata jsonb NOT NULL,
  created_at BIGINT NOT NULL DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000
);
SELECT is(
    (SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
     FROM pg_attribute WHERE attrelid = 'document.kanthorq_stream_order_update'::regclass
       AND attnum > 0),
    ARRAY['id character varying(64)', 'subject character varying(128)', 'body bytea',
          'metadata jsonb', 'created_at bigint'],
    'the document''s event has five columns');
SELECT is(
    (SELECT format('%s %s %s', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attnum)
     FROM pg_attribute a WHERE a.attrelid = 'kanthorq_stream_order_update'::regclass
       AND a.attname = d.attname),
    format('%s %s %s', format_type(d.atttypid, d.atttypmod), d.attnotnull, d.attnum),
    format('a stream''s %s has the document''s type, place and NOT NULL', d.attname))
FROM pg_attribute d
WHERE d.attrelid = 'document.kanthorq_stream_order_update'::regclass AND d.attnum > 0
ORDER BY d.attnum;
SELECT is(
    (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
     WHERE adrelid = 'public.kanthorq_stream_order_update'::regclass AND adnum = 5),
    (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
     WHERE adrelid = 'document.kanthorq_stream_order_update'::regclass AND adnum = 5),
    'a stream''s created_at has the document''s default');

-- `json:"id"`, `json:"subject"`, `json:"body"`, `json:"metadata"`, `json:"created_at"`
SELECT lives_ok(
    $$INSERT INTO kanthorq_stream_order_update (id, subject, body, metadata)
      VALUES ('00000000000000000000000000', 'order', '', '{}')$$,
    'an INSERT as the document''s definition has it is accepted');
SELECT is(
    (SELECT array_agg(key ORDER BY key COLLATE "C")
     FROM kanthorq_event_get('order_update', '00000000000000000000000000') e,
          jsonb_object_keys(to_jsonb(e)) AS key),
    ARRAY['body', 'created_at', 'id', 'metadata', 'subject'],
    'what a reader gets has the names of the document''s struct, and no others');

COPY kanthorq_stream_order_update (id, subject, body, metadata, created_at) FROM stdin;
01HQ0000000000000000000000	order.created	\\x00ff	{"by": "COPY"}	1708300000000
\.
SELECT is(
    (SELECT e::text FROM kanthorq_event_get('order_update', '01HQ0000000000000000000000') e),
    '(01HQ0000000000000000000000,order.created,"\\x00ff","{""by"": ""COPY""}",1708300000000)',
    'a COPY of the five columns is accepted');

-- "The id property must be a Lexicographically Sortable Identifier. For example, if you're using
-- UUIDs, please use UUIDv7. However, we recommend using ULID for this purpose."

SELECT is(
    pg_temp.store(way, id, 'order', '', '{}'), 'stored',
    format('%s accepts %s: %s', way, kind, id))
FROM way, LATERAL (VALUES
    (1, 'a ULID', '01ARZ3NDEKTSV4RRFFQ69G5FA' || way.number),
    (2, 'the smallest ULID', '0000000000000000000000000' || way.number),
    (3, 'a ULID near the largest', '7ZZZZZZZZZZZZZZZZZZZZZZZZ' || way.number),
    (4, 'a UUIDv7', '017f22e2-79b0-7cc3-98c4-dc0c0c07398' || way.number),
    (5, 'a ULID with a prefix', 'event_01arz3ndektsv4rrffq69g5fa' || way.number),
    (6, 'an id of 64 characters', repeat('p', 37) || '_01arz3ndektsv4rrffq69g5fa' || way.number))
    AS v (case_number, kind, id)
ORDER BY case_number, number;

SELECT is(
    pg_temp.store(way, id, 'order', '', '{}'),
    CASE way WHEN 'INSERT' THEN '23514 kanthorq_id_is_sortable' ELSE '22023' END,
    format('%s refuses %s: "%s"', way, kind, id))
FROM way, (VALUES
    (1, 'a UUIDv4', '919108f7-52d1-4320-9bac-f847db4148a8'),
    (2, 'a UUIDv1', 'c232ab00-9414-11ec-b3c8-9f6bdeced846'),
    (3, 'a UUIDv6', '1ec9414c-232a-6b00-b3c8-9f6bdeced846'),
    (4, 'a UUIDv8', '2489e9ad-2ee2-8e00-8ec9-32d5f69181c0'),
    (5, 'the nil UUID', '00000000-0000-0000-0000-000000000000'),
    (6, 'a UUIDv7 that sorts with capitals', '017F22E2-79B0-7CC3-98C4-DC0C0C07398F'),
    (7, 'a ULID that sorts with small letters', '01arz3ndektsv4rrffq69g5fav'),
    (8, 'a ULID of a time that no ULID has', '80000000000000000000000000'),
    (9, 'a ULID with a letter that is none of base 32', '01ARZ3NDEKTSV4RRFFQ69G5FAU'),
    (10, 'a ULID that is cut short', '01ARZ3NDEKTSV4RRFFQ69G5FA'),
    (11, 'a ULID with a blank behind', '01ARZ3NDEKTSV4RRFFQ69G5FAV '),
    (12, 'a serial number', '42'),
    (13, 'a word', 'order'),
    (14, 'nothing', '')) AS v (case_number, kind, id)
ORDER BY case_number, number;

SELECT is(
    pg_temp.store(way, repeat('p', 38) || '_01arz3ndektsv4rrffq69g5fav', 'order', '', '{}'),
    CASE way WHEN 'INSERT' THEN '22001' ELSE '22023' END,
    format('%s refuses an id of 65 characters', way))
FROM way ORDER BY number;

-- The recommended kind is what the server makes.
CREATE TEMPORARY TABLE made (id text);
INSERT INTO made SELECT kanthorq_publish('order_update', 'made', '');
INSERT INTO made SELECT unnest(kanthorq_publish_many('order_update', '{made,made}', '{"",""}'));
INSERT INTO made
SELECT unnest(kanthorq_publish_many('order_update', '{made}', '{""}', ids => '{NULL}'));
INSERT INTO kanthorq_stream_order_update (subject, body, metadata) VALUES ('made', '', '{}');
SELECT is(
    (SELECT count(*) FROM kanthorq_stream_order_update
     WHERE subject = 'made' AND kanthorq_is_ulid(id) AND id = upper(id)),
    5::bigint, 'an event that comes without an id gets a ULID, on each way');
SELECT set_eq(
    'SELECT id FROM made',
    $$SELECT id::text FROM (SELECT id FROM kanthorq_stream_order_update WHERE subject = 'made'
                            ORDER BY position LIMIT 4) AS e$$,
    'and the publisher is told which');

INSERT INTO made SELECT kanthorq_publish('order_update', 'made', '') FROM generate_series(1, 100);
INSERT INTO kanthorq_stream_order_update (subject, body, metadata)
SELECT 'made', '', '{}' FROM generate_series(1, 100);
INSERT INTO made SELECT unnest(kanthorq_publish_many(
    'order_update', array_fill('made'::text, ARRAY[100]), array_fill(''::bytea, ARRAY[100])));
SELECT results_eq(
    $$SELECT id FROM kanthorq_stream_order_update WHERE subject = 'made' ORDER BY id$$,
    $$SELECT id FROM kanthorq_stream_order_update WHERE subject = 'made' ORDER BY position$$,
    'ids made here sort, as strings, in the order in which the events were published');

-- "The subject property must consist of multiple alphanumeric and hyphenated strings, separated by
-- dots."

SELECT is(
    pg_temp.store(way, kanthorq_ulid(), subject, '', '{}'), 'stored',
    format('%s accepts a correct example: %s', way, subject))
FROM way, unnest(ARRAY[
    'order',
    'order.created',
    'v2.order.created',
    '058434268238.order.created',
    '-1002223543143.subscription.created',
    'ap-southeast-1.user.created']) WITH ORDINALITY AS v (subject, case_number)
ORDER BY case_number, number;

SELECT is(
    pg_temp.store(way, kanthorq_ulid(), subject, '', '{}'),
    CASE way WHEN 'INSERT' THEN '23514 kanthorq_subject_is_valid' ELSE '22023' END,
    format('%s refuses an incorrect example: %s', way, subject))
FROM way, unnest(ARRAY[
    'order.',
    'order.-',
    'order..']) WITH ORDINALITY AS v (subject, case_number)
ORDER BY case_number, number;

SELECT is(
    pg_temp.store(way, kanthorq_ulid(), subject, '', '{}'),
    CASE way WHEN 'INSERT' THEN '23514 kanthorq_subject_is_valid' ELSE '22023' END,
    format('%s refuses what is no alphanumeric and hyphenated string: %s', way, to_json(subject)))
FROM way, unnest(ARRAY[
    '', '.', '-', '--', '.order', 'order..created', 'order.created ', ' ', 'order created',
    'order_created', 'order/created', 'order.*', '*', '>', 'order.>', E'order\n',
    'bestellung.f' || chr(252) || 'r'])
    WITH ORDINALITY AS v (subject, case_number)
ORDER BY case_number, number;

SELECT is(
    pg_temp.store(way, kanthorq_ulid(), repeat('a', length), '', '{}'),
    CASE WHEN length = 128 THEN 'stored' WHEN way = 'INSERT' THEN '22001' ELSE '22023' END,
    format('%s: a subject of %s characters', way, length))
FROM way, unnest(ARRAY[128, 129]) AS length
ORDER BY length, number;

-- "The body property stores arbitrary bytes, which only the sender and receiver can interpret. This
-- is particularly useful for implementing end-to-end encryption"

CREATE TEMPORARY TABLE body AS
SELECT * FROM (VALUES
    (1, 'no bytes at all', ''::bytea),
    (2, 'a zero byte', '\x00'),
    (3, 'each of the 256 bytes once',
     (SELECT string_agg(set_byte('\x00', 0, byte), '' ORDER BY byte)
      FROM generate_series(0, 255) AS byte)),
    (4, 'bytes that are text in no encoding', '\xfffec080eda080f5'),
    (5, 'text that is no JSON', convert_to('{"open": ', 'UTF8')),
    (6, '64 kB that look encrypted, stored outside of the row',
     (SELECT string_agg(sha512(n::text::bytea), '' ORDER BY n) FROM generate_series(1, 1024) AS n)),
    (7, 'a megabyte that compresses well', convert_to(repeat('order ', 175000), 'UTF8')))
    AS v (number, kind, bytes);
SELECT is(
    pg_temp.store(way, kanthorq_ulid(), 'body.' || body.number, bytes, '{}'), 'stored',
    format('%s: the body is %s', way, kind))
FROM way, body ORDER BY body.number, way.number;
SELECT is(
    (SELECT array_agg(DISTINCT e.body) FROM kanthorq_events('order_update', 'body.' || number) e),
    ARRAY[bytes], format('the receiver gets what the sender sent: %s', kind))
FROM body ORDER BY number;
SELECT is(
    (SELECT count(*) FROM kanthorq_events('order_update', 'body.*')), 21::bigint,
    'a body never stands in the way of another event');
SELECT is(
    pg_temp.store(way, kanthorq_ulid(), 'order', NULL, '{}'),
    CASE way WHEN 'INSERT' THEN '23502' ELSE '22004' END,
    format('%s: a body is required, if an empty one', way))
FROM way ORDER BY number;

-- "The metadata property should be a JSON object that stores additional information about the
-- event. This can be used for implementing event filtering logic or as a telemetry carrier."

SELECT is(
    pg_temp.store(way, kanthorq_ulid(), 'metadata', '', metadata), 'stored',
    format('%s accepts an object as metadata: %s', way, metadata))
FROM way, unnest(ARRAY[
    '{}',
    '{"tenant": "acme", "retries": 3, "tags": ["new", null], "nested": {"deep": true}}',
    '{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}']::jsonb[])
    WITH ORDINALITY AS v (metadata, case_number)
ORDER BY case_number, number;
SELECT is(
    pg_temp.store(way, kanthorq_ulid(), 'metadata', '', metadata),
    CASE way WHEN 'INSERT' THEN '23514 kanthorq_metadata_is_object' ELSE '23514' END,
    format('%s refuses metadata that is no object: %s', way, metadata))
FROM way, unnest(ARRAY['[]', '[{}]', '"text"', '1', 'true', 'null']::jsonb[])
    WITH ORDINALITY AS v (metadata, case_number)
ORDER BY case_number, number;
SELECT is(
    (SELECT array_agg(metadata) FROM kanthorq_stream_order_update WHERE subject = 'made'),
    array_fill('{}'::jsonb, ARRAY[305]),
    'metadata that is not given is an empty object');
SELECT is(
    (SELECT count(*) FROM kanthorq_events('order_update',
                                          metadata_contains => '{"nested": {"deep": true}}')),
    3::bigint, 'events can be filtered by what their metadata contains');

-- "The created_at property should contain the timestamp included in the id property. This ensures
-- that events can be sorted chronologically by simply ordering them by their id."

CREATE TEMPORARY TABLE dated AS
SELECT * FROM (VALUES
    ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 1469922850259),
    ('017f22e2-79b0-7cc3-98c4-dc0c0c07398f', 1645557742000),
    ('user_01h455vb4pex5vsknk084sn02q', 1688096058518)) AS v (id, milliseconds);
CREATE TEMPORARY TABLE published AS
SELECT kanthorq_publish('order_update', 'dated.one', '', id => id) FROM dated;
INSERT INTO published
SELECT unnest(kanthorq_publish_many(
    'order_update', '{dated.many,dated.many,dated.many}', '{"","",""}',
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FAW,017f22e2-79b0-7cc3-98c4-dc0c0c073990,'
           'user_01h455vb4pex5vsknk084sn02r}'));
SELECT is(
    (SELECT created_at FROM kanthorq_event_get('order_update', id)), milliseconds,
    format('kanthorq_publish: created_at is the time inside %s', id))
FROM dated ORDER BY milliseconds;
SELECT is(
    (SELECT array_agg(created_at ORDER BY created_at) FROM kanthorq_stream_order_update
     WHERE subject = 'dated.many'),
    (SELECT array_agg(milliseconds ORDER BY milliseconds) FROM dated),
    'kanthorq_publish_many: created_at is the time inside each id');
SELECT is(
    extract(epoch FROM kanthorq_id_time(id)) * 1000, milliseconds::numeric,
    format('kanthorq_id_time tells the time inside %s', id))
FROM dated ORDER BY milliseconds;
SELECT is_empty(
    $$SELECT id, created_at FROM kanthorq_stream_order_update
      WHERE id IN (SELECT id FROM made)
        AND created_at <> extract(epoch FROM kanthorq_id_time(id)) * 1000$$,
    'where the server makes the id as well, created_at is the time inside it');
SELECT is_empty(
    $$SELECT id FROM made
      WHERE kanthorq_id_time(id) NOT BETWEEN date_trunc('milliseconds', now())
                                         AND clock_timestamp()$$,
    'and that time is now');

CREATE TEMPORARY TABLE moment AS
SELECT n, kanthorq_publish('order_update', 'chronological', '',
                           id => kanthorq_ulid(timestamptz '2024-02-28' + n * interval '7 hours'))
FROM (SELECT n FROM generate_series(1, 50) AS n ORDER BY md5(n::text)) AS shuffled;
SELECT results_eq(
    $$SELECT created_at FROM kanthorq_events('order_update', 'chronological')$$,
    $$SELECT created_at FROM kanthorq_stream_order_update WHERE subject = 'chronological'
      ORDER BY created_at$$,
    'ordering by id sorts chronologically, whatever the order of publication');
SELECT is(
    (SELECT count(DISTINCT created_at) FROM kanthorq_stream_order_update
     WHERE subject = 'chronological'), 50::bigint, 'those were fifty different times');

-- "should": the publisher has the last word.
CREATE TEMPORARY TABLE given AS
SELECT kanthorq_publish('order_update', 'given', '', created_at => 86400000) AS id UNION ALL
SELECT unnest(kanthorq_publish_many('order_update', '{given,given}', '{"",""}',
                                    created_at => '{86400000,NULL}'));
SELECT is(
    (SELECT array_agg(created_at ORDER BY position) FROM kanthorq_stream_order_update
     WHERE subject = 'given'),
    (SELECT ARRAY[86400000, 86400000,
                  extract(epoch FROM kanthorq_id_time(max(id))) * 1000]::bigint[]
     FROM given),
    'a created_at that is given is kept; null stands for the time inside the id');

-- A plain INSERT has the document's default.
SELECT is(
    (SELECT array_agg(DISTINCT created_at) FROM kanthorq_stream_order_update
     WHERE subject = 'made' AND id NOT IN (SELECT id FROM made)),
    ARRAY[(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000)::bigint],
    'INSERT: created_at is the time of the transaction, in milliseconds');

SELECT * FROM finish();
ROLLBACK;
