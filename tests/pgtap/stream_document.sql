-- What the Stream document says, sentence by sentence. Sentences of the document stand in quotation
-- marks. Where it says "topic", the newer Event document says "subject", and so do we.
BEGIN;
SELECT plan(76);

-- "Stream Registry": "There is the definition", word for word.

CREATE SCHEMA document;
SET LOCAL search_path = document;
CREATE TABLE kanthorq_stream_registry (
      name VARCHAR(128) NOT NULL,
      created_at BIGINT NOT NULL DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000,
      updated_at BIGINT NOT NULL DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000,
      PRIMARY KEY (name)
    );
CREATE TABLE kanthorq_stream_order_notification (
  id VARCHAR(64) NOT NULL,
  topic VARCHAR(128) NOT NULL,
  body BYTEA NOT NULL,
  metadata jsonb NOT NULL,
  created_at BIGINT NOT NULL DEFAULT EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000,
  PRIMARY KEY (id)
);
RESET search_path;

CREATE FUNCTION pg_temp.definition(relation regclass)
    RETURNS TABLE (number smallint, definition text) LANGUAGE sql STABLE AS
$$
    SELECT attnum, concat_ws(' ', replace(attname, 'topic', 'subject'),
                             format_type(atttypid, atttypmod),
                             CASE WHEN attnotnull THEN 'NOT NULL' END,
                             'DEFAULT ' || pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = relation AND attnum > 0
    UNION ALL
    SELECT NULL, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = relation AND contype = 'p'
$$;
SELECT set_eq(
    $$SELECT * FROM pg_temp.definition('public.kanthorq_stream_registry')$$,
    $$SELECT * FROM pg_temp.definition('document.kanthorq_stream_registry')$$,
    'the registry is what the document defines, column by column');

-- "When you create or register a stream for you usage, its information will be store a registry
-- then KanthorQ creates an acutal stream to store your events."
--   Client ->> Stream Registry: name: order_notification
--   Stream Registry ->> Client: Stream(name: order_notification)
--   Client -->> PostgreSQL: kanthorq_stream_order_notification
--   PostgreSQL -->> Client: OK

SELECT hasnt_table('public'::name, 'kanthorq_stream_order_notification'::name,
                   'before registration there is no stream');
SELECT throws_ok(
    $$SELECT kanthorq_publish('order_notification', 'order.created', '')$$, '42704', NULL,
    'and nothing can be published to it');
CREATE TEMPORARY TABLE registered AS
SELECT clock_timestamp() AS earlier, stream.*, clock_timestamp() AS later
FROM kanthorq_stream_create('order_notification') AS stream;
SELECT is(
    (SELECT name::text FROM registered), 'order_notification',
    'registering order_notification returns Stream(name: order_notification)');
SELECT is(
    (SELECT array_agg(key ORDER BY key COLLATE "C")
     FROM kanthorq_stream_registry r, jsonb_object_keys(to_jsonb(r)) AS key),
    ARRAY['created_at', 'name', 'updated_at'],
    'a row of the registry has the names of the document''s struct, and no others');
SELECT set_eq(
    'SELECT name::text, created_at, updated_at FROM registered',
    'SELECT name::text, created_at, updated_at FROM kanthorq_stream_registry',
    'what is returned is what stands in the registry, and nothing else does');
SELECT ok(
    created_at BETWEEN floor(extract(epoch FROM transaction_timestamp()) * 1000)
                   AND extract(epoch FROM clock_timestamp()) * 1000
    AND updated_at = created_at,
    'a new stream was created and updated now, in milliseconds since the epoch')
FROM registered;
SELECT has_table('public'::name, 'kanthorq_stream_order_notification'::name,
                 'the stream is a table called kanthorq_stream_order_notification');

-- "so its definition is just the definition of the Event"
SELECT set_eq(
    $$SELECT number, split_part(definition, ' DEFAULT ', 1) FROM
      pg_temp.definition('public.kanthorq_stream_order_notification')
      WHERE number <= 5 OR number IS NULL$$,
    $$SELECT number, split_part(definition, ' DEFAULT ', 1) FROM
      pg_temp.definition('document.kanthorq_stream_order_notification')$$,
    'the first five columns of the stream and its primary key are the document''s');
SELECT is(
    (SELECT definition FROM pg_temp.definition('public.kanthorq_stream_order_notification')
     WHERE number = 5),
    (SELECT definition FROM pg_temp.definition('document.kanthorq_stream_order_notification')
     WHERE number = 5),
    'with the document''s default for created_at');
SELECT is_empty(
    $$SELECT attname FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
      WHERE attrelid = 'public.kanthorq_stream_order_notification'::regclass AND attnum > 5
        AND adbin IS NULL AND attidentity = ''$$,
    'what else it has fills itself in, so that a client needs to know the document only');

-- Registering again finds the stream.
UPDATE kanthorq_stream_registry SET created_at = 1000, updated_at = 2000;
INSERT INTO kanthorq_stream_order_notification (id, subject, body, metadata)
VALUES ('00000000000000000000000000', 'order.created', 'kept', '{}');
CREATE TEMPORARY TABLE registered_again AS
SELECT stream.* FROM kanthorq_stream_create('order_notification') AS stream;
SELECT is(
    (SELECT format('%s %s', name, created_at) FROM registered_again), 'order_notification 1000',
    'registering again returns the same stream, created when it was');
SELECT cmp_ok(
    (SELECT updated_at FROM registered_again), '>=', (SELECT updated_at FROM registered),
    'updated now');
SELECT set_eq(
    'SELECT name::text, created_at, updated_at FROM registered_again',
    'SELECT name::text, created_at, updated_at FROM kanthorq_stream_registry',
    'the registry says so as well, and holds one row');
SELECT is(
    (SELECT convert_from(body, 'UTF8') FROM kanthorq_stream_order_notification), 'kept',
    'and the events are where they were');
SELECT is(
    kanthorq_stream_trim('order_notification', '00000000000000000000000001', 'order_notification'),
    1::bigint, 'that event is removed before the next part');

-- "you can create a stream with name `order_notification` to put all events that are relates to
-- your order into that stream": order.created and order.refund by one service, order.confirmed by
-- another.

CREATE ROLE kanthorq_order_service;
CREATE ROLE kanthorq_payment_service;
GRANT INSERT ON kanthorq_stream_order_notification
    TO kanthorq_order_service, kanthorq_payment_service;
SET LOCAL ROLE kanthorq_order_service;
CREATE TEMPORARY TABLE published_order AS
SELECT kanthorq_publish('order_notification', 'order.created', 'one') UNION ALL
SELECT kanthorq_publish('order_notification', 'order.refund', 'two');
SET LOCAL ROLE kanthorq_payment_service;
CREATE TEMPORARY TABLE published_payment AS
SELECT kanthorq_publish('order_notification', 'order.confirmed', 'three');
RESET ROLE;
SELECT results_eq(
    $$SELECT subject FROM kanthorq_events('order_notification')$$,
    ARRAY['order.created', 'order.refund', 'order.confirmed'],
    'events of two services meet in the stream');

-- "An event could be read and processed by multiple process (we call it Consumer) from the stream
-- and nothing else the event data itself is stored in stream."

CREATE ROLE kanthorq_first_reader;
CREATE ROLE kanthorq_second_reader;
GRANT SELECT ON kanthorq_stream_order_notification TO kanthorq_first_reader, kanthorq_second_reader;
CREATE TEMPORARY TABLE before_reading AS
SELECT ctid AS tid, xmin AS author, xmax AS locker, e.*
FROM kanthorq_stream_order_notification e;
CREATE FUNCTION pg_temp.read_as(reader text) RETURNS text LANGUAGE plpgsql AS
$$
DECLARE
    everything text;
BEGIN
    PERFORM set_config('role', reader, true);
    SELECT string_agg(e::text, ' ') INTO everything FROM (
        SELECT * FROM kanthorq_events('order_notification') UNION ALL
        SELECT * FROM kanthorq_events_by_subject('order_notification')) AS e;
    RESET ROLE;
    RETURN everything;
END
$$;
CREATE TEMPORARY TABLE reading AS
SELECT reader, time, pg_temp.read_as(reader) AS everything
FROM unnest(ARRAY['kanthorq_first_reader', 'kanthorq_second_reader']) AS reader,
     generate_series(1, 3) AS time;
SELECT is((SELECT count(*) FROM reading WHERE everything <> ''), 6::bigint,
          'two readers have read the stream three times each');
SELECT is((SELECT count(DISTINCT everything) FROM reading), 1::bigint,
          'each time each of them found all events: reading takes nothing away');
SELECT set_eq(
    'SELECT tid, author, locker, id, position FROM before_reading',
    $$SELECT ctid AS tid, xmin AS author, xmax AS locker, id, position
      FROM kanthorq_stream_order_notification$$,
    'reading has not written to the stream, not even a lock on a row');

-- "Events in a stream could be only paginated by the order of `event.id` or the tuple of
-- `(event.topic, event.id)`"

CREATE TEMPORARY TABLE many AS
SELECT unnest(kanthorq_publish_many('order_notification',
    array_agg(format('order.%s', n % 7)), array_agg(''::bytea),
    ids => array_agg(kanthorq_ulid(
        timestamptz '2024-02-28' + (n * 37 % 100) * interval '1 hour')))) AS id
FROM generate_series(1, 100) AS n;

-- Walks the stream page by page, each page after the last event of the one before, and returns what
-- was seen, in that order.
CREATE FUNCTION pg_temp.walk_by_id(size integer) RETURNS SETOF text LANGUAGE plpgsql AS
$$
DECLARE
    page kanthorq_event[];
    last kanthorq_event;
BEGIN
    FOR number IN 1..105 LOOP  -- should pages not advance
        page := ARRAY(SELECT e FROM kanthorq_events('order_notification', after_id => last.id,
                                                    size => walk_by_id.size) AS e);
        RETURN QUERY SELECT e.id FROM unnest(page) WITH ORDINALITY AS e ORDER BY e.ordinality;
        EXIT WHEN cardinality(page) < size;
        last := page[cardinality(page)];
    END LOOP;
END
$$;
CREATE FUNCTION pg_temp.walk_by_subject(size integer) RETURNS SETOF text LANGUAGE plpgsql AS
$$
DECLARE
    page kanthorq_event[];
    last kanthorq_event;
BEGIN
    FOR number IN 1..105 LOOP  -- should pages not advance
        page := ARRAY(SELECT e FROM kanthorq_events_by_subject(
            'order_notification', after_subject => last.subject, after_id => last.id,
            size => walk_by_subject.size) AS e);
        RETURN QUERY SELECT e.id FROM unnest(page) WITH ORDINALITY AS e ORDER BY e.ordinality;
        EXIT WHEN cardinality(page) < size;
        last := page[cardinality(page)];
    END LOOP;
END
$$;
SELECT results_eq(
    format('SELECT * FROM pg_temp.walk_by_id(%s)', size),
    $$SELECT e.id::text COLLATE "default" FROM kanthorq_stream_order_notification e ORDER BY e.id$$,
    format('pages of %s by id meet each of the 103 events once, in the order of the ids', size))
FROM unnest(ARRAY[1, 7, 103, 104, 10000]) AS size;
SELECT results_eq(
    format('SELECT * FROM pg_temp.walk_by_subject(%s)', size),
    $$SELECT e.id::text COLLATE "default" FROM kanthorq_stream_order_notification e
      ORDER BY e.subject, e.id$$,
    format('pages of %s by (subject, id) meet each event once, in that order', size))
FROM unnest(ARRAY[1, 7, 103, 104, 10000]) AS size;

CREATE TEMPORARY TABLE first_page AS
SELECT * FROM kanthorq_events('order_notification', size => 10);
CREATE TEMPORARY TABLE second_page AS
SELECT * FROM kanthorq_events('order_notification', size => 10,
                              after_id => (SELECT max(id COLLATE "C") FROM first_page));
INSERT INTO kanthorq_stream_order_notification (id, subject, body, metadata)
VALUES ('00000000000000000000000000', 'order.created', '', '{}');
SELECT set_eq(
    $$SELECT id FROM kanthorq_events('order_notification', size => 10,
                                     after_id => (SELECT max(id COLLATE "C") FROM first_page))$$,
    'SELECT id FROM second_page',
    'a page stands behind a key, not at an offset: an event before it does not move it');
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p
      WHERE proname LIKE 'kanthorq_event%' AND pg_get_function_result(oid) = 'SETOF kanthorq_event'
        AND pg_get_function_arguments(oid) ~ '\y(offset|page|order_by|sort|descending)\y'$$,
    'there is no other way to page: no offset, no other order');
SELECT set_eq(
    $$SELECT proname::text FROM pg_proc
      WHERE proname LIKE 'kanthorq%' AND 'size' = ANY (proargnames)
        AND pg_get_function_result(oid) = 'SETOF kanthorq_event'$$,
    ARRAY['kanthorq_events', 'kanthorq_events_by_subject'],
    'two functions page through a stream');

-- "Stream is a persistent, append-only event group": "An event stays forever in a stream until you
-- explicitly remove it or a stream is deleted (also must be explicit confirmation)"

CREATE TEMPORARY TABLE before_attempts AS SELECT * FROM kanthorq_stream_order_notification;
SELECT throws_ok(statement, '55000', NULL,
                 'not even a superuser may: ' || regexp_replace(statement, '\s+', ' ', 'g'))
FROM unnest(ARRAY[
    $$UPDATE kanthorq_stream_order_notification SET body = ''$$,
    $$UPDATE kanthorq_stream_order_notification SET body = body WHERE false$$,
    $$UPDATE ONLY kanthorq_stream_order_notification SET subject = 'order'$$,
    $$DELETE FROM kanthorq_stream_order_notification$$,
    $$DELETE FROM kanthorq_stream_order_notification WHERE id = '00000000000000000000000000'$$,
    $$WITH gone AS (DELETE FROM kanthorq_stream_order_notification RETURNING *) SELECT FROM gone$$,
    $$TRUNCATE kanthorq_stream_order_notification$$,
    $$TRUNCATE kanthorq_stream_registry, kanthorq_stream_order_notification$$,
    $$INSERT INTO kanthorq_stream_order_notification (id, subject, body)
      VALUES ('00000000000000000000000000', 'order', '')
      ON CONFLICT (id) DO UPDATE SET body = excluded.body$$,
    $$MERGE INTO kanthorq_stream_order_notification e USING (SELECT 1) AS s ON true
      WHEN MATCHED THEN UPDATE SET body = ''$$,
    $$MERGE INTO kanthorq_stream_order_notification e USING (SELECT 1) AS s ON true
      WHEN MATCHED THEN DELETE$$]) AS statement;
SET LOCAL session_replication_role = replica;
SELECT throws_ok(statement, '55000', NULL, format('nor where other triggers rest: %s', statement))
FROM unnest(ARRAY[
    $$UPDATE kanthorq_stream_order_notification SET body = ''$$,
    $$DELETE FROM kanthorq_stream_order_notification$$,
    $$TRUNCATE kanthorq_stream_order_notification$$]) AS statement;
RESET session_replication_role;
SELECT throws_ok(
    $$SELECT kanthorq_publish('order_notification', 'order', 'other',
                              id => '00000000000000000000000000')$$,
    '23505', NULL, 'publishing an id again does not replace the event');
SELECT is(
    kanthorq_publish('order_notification', 'order', 'other', id => '00000000000000000000000000',
                     on_duplicate => 'skip'),
    '00000000000000000000000000', 'nor does publishing it again with skip');
SELECT bag_eq(
    'SELECT * FROM kanthorq_stream_order_notification', 'SELECT * FROM before_attempts',
    'after all this every event is what it was');

-- Explicitly removed
SELECT is(
    kanthorq_event_remove('order_notification',
                          ARRAY['00000000000000000000000000', (SELECT max(id) FROM many),
                                '00000000000000000000000000', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ']),
    2::bigint, 'kanthorq_event_remove removes the events that it is told, and counts them');
SELECT set_eq(
    'SELECT id FROM kanthorq_stream_order_notification',
    $$SELECT id FROM before_attempts
      WHERE id NOT IN ('00000000000000000000000000', (SELECT max(id) FROM many))$$,
    'those are gone, and no others');
SELECT throws_ok(
    'DELETE FROM kanthorq_stream_order_notification', '55000', NULL,
    'removing some does not open the door to others');
SELECT throws_ok(
    $$DO 'BEGIN
              PERFORM kanthorq_event_remove(''order_notification'', ''{}'');
              DELETE FROM kanthorq_stream_order_notification;
          END'$$, '55000', NULL,
    'not even in the same transaction and block');

SELECT throws_ok(
    format('SELECT kanthorq_stream_trim(%L, %L, %L)', 'order_notification',
           '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', confirm),
    '55000', NULL,
    format('trimming is not confirmed by %s', coalesce(to_json(confirm)::text, 'null')))
FROM unnest(ARRAY[NULL, '', 'yes', 'order', 'Order_Notification', 'order_notification ',
                  'kanthorq_stream_order_notification']) AS confirm;
CREATE TEMPORARY TABLE middle AS
SELECT id FROM kanthorq_stream_order_notification ORDER BY id OFFSET 40 LIMIT 1;
SELECT is(
    kanthorq_stream_trim('order_notification', (SELECT id FROM middle), 'order_notification'),
    40::bigint, 'kanthorq_stream_trim removes what sorts before an id, and counts it');
SELECT is(
    (SELECT min(id COLLATE "C") || ' ' || count(*) FROM kanthorq_stream_order_notification),
    (SELECT id || ' 62' FROM middle), 'that id and what sorts behind it stay');

-- Deleted with explicit confirmation
SELECT throws_ok(
    format('SELECT kanthorq_stream_drop(%L, %L)', 'order_notification', confirm),
    '55000', NULL,
    format('dropping is not confirmed by %s', coalesce(to_json(confirm)::text, 'null')))
FROM unnest(ARRAY[NULL, '', 'yes', 'order', 'Order_Notification', 'order_notification ',
                  'kanthorq_stream_order_notification']) AS confirm;
SELECT is(
    (SELECT count(*) FROM kanthorq_events('order_notification')), 62::bigint,
    'the stream is still there with its events');
SELECT is(kanthorq_stream_drop('order_notification', 'order_notification'), true,
          'its name repeated drops the stream');
SELECT hasnt_table('public'::name, 'kanthorq_stream_order_notification'::name,
                   'the table is gone');
SELECT is_empty('SELECT name FROM kanthorq_stream_registry', 'the registry''s row is gone');
SELECT is(kanthorq_stream_drop('order_notification', 'order_notification'), false,
          'dropping again finds nothing');
SELECT throws_ok(
    $$SELECT kanthorq_publish('order_notification', 'order.created', '')$$, '42704', NULL,
    'and there is nothing to publish to');

SELECT * FROM finish();
ROLLBACK;
