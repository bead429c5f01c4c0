-- Where in a statement kanthorq_publish() may stand, as docs/publishing.md has it; what other sessions change
-- meanwhile is in tests/isolation/specs/publish_where.spec.

\set SHOW_CONTEXT never
SELECT name FROM kanthorq_stream_create('outbox');
CREATE TABLE outbox_orders (id integer PRIMARY KEY, status text NOT NULL, event_id text);
-- What was published since the last look.
CREATE TEMPORARY TABLE seen (up_to bigint NOT NULL);
INSERT INTO seen VALUES (0);
CREATE FUNCTION pg_temp.news() RETURNS TABLE (subject text, body text) LANGUAGE sql AS $$
    WITH looked AS (
        UPDATE seen SET up_to = (SELECT coalesce(max(position), 0) FROM kanthorq_stream_outbox)
        FROM seen AS before RETURNING before.up_to)
    SELECT subject, convert_from(body, 'UTF8') FROM looked, kanthorq_stream_outbox
    WHERE position > up_to ORDER BY position
$$;

-- RETURNING has the rows that there are, with their new values.
INSERT INTO outbox_orders VALUES (1, 'new'), (2, 'new')
RETURNING kanthorq_publish_text('outbox', 'order.created', id || ' ' || status) IS NOT NULL AS published;
INSERT INTO outbox_orders VALUES (2, 'again'), (3, 'new') ON CONFLICT DO NOTHING
RETURNING kanthorq_publish_text('outbox', 'order.created', id || ' ' || status) IS NOT NULL AS published;
INSERT INTO outbox_orders VALUES (3, 'again'), (4, 'new') ON CONFLICT (id) DO UPDATE SET status = excluded.status
RETURNING kanthorq_publish_text('outbox', 'order.saved', id || ' ' || status) IS NOT NULL AS published;
UPDATE outbox_orders SET status = 'paid' WHERE id IN (1, 9)
RETURNING kanthorq_publish_text('outbox', 'order.paid', id || ' ' || status) IS NOT NULL AS published;
DELETE FROM outbox_orders WHERE id IN (4, 9)
RETURNING kanthorq_publish_text('outbox', 'order.deleted', id || ' ' || status) IS NOT NULL AS published;
SELECT * FROM pg_temp.news();
-- MERGE has RETURNING from 17 on; before, the UPDATE that it does here stands for it.
DO $$ DECLARE
    change text := 'UPDATE outbox_orders AS t SET status = ''merged'' WHERE id = 1';
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        change := 'MERGE INTO outbox_orders AS t USING (VALUES (1), (9)) AS s (id) ON t.id = s.id
                   WHEN MATCHED THEN UPDATE SET status = ''merged'' WHEN NOT MATCHED THEN DO NOTHING';
    END IF;
    EXECUTE change || ' RETURNING kanthorq_publish_text(''outbox'', ''order.merged'', t.id || '' '' || t.status)';
END $$;
SELECT * FROM pg_temp.news();

-- A data-modifying CTE; all its rows in one call; and none.
WITH changed AS (UPDATE outbox_orders SET status = 'sent' WHERE id < 3 RETURNING *)
SELECT count(kanthorq_publish_text('outbox', 'order.sent', id || ' ' || status)) FROM changed;
WITH changed AS (UPDATE outbox_orders SET status = 'lost' WHERE id < 3 RETURNING *)
SELECT cardinality(kanthorq_publish_many_text('outbox', array_agg('order.lost'::text), array_agg(id || ' ' || status)))
FROM changed;
WITH changed AS (UPDATE outbox_orders SET status = 'lost' WHERE id > 9 RETURNING *)
SELECT cardinality(kanthorq_publish_many_text('outbox', array_agg('order.lost'::text), array_agg(id || ' ' || status)))
FROM changed;
SELECT * FROM pg_temp.news();

-- The VALUES of an INSERT that stores the row or fails.
INSERT INTO outbox_orders VALUES (5, 'new', kanthorq_publish_text('outbox', 'order.created', '5'));
INSERT INTO outbox_orders VALUES (5, 'new', kanthorq_publish_text('outbox', 'order.created', '5 again'));
SELECT * FROM pg_temp.news();

-- After the count of rows is known.
CREATE FUNCTION outbox_pay(wanted integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    UPDATE outbox_orders SET status = 'paid' WHERE id = wanted AND status <> 'paid';
    IF FOUND THEN
        PERFORM kanthorq_publish_text('outbox', 'order.paid', wanted::text);
    END IF;
    RETURN FOUND;
END $$;
SELECT outbox_pay(5), outbox_pay(5), outbox_pay(9);
SELECT * FROM pg_temp.news();

-- What doesn't: a list that is evaluated before it is known that there will be no row.
INSERT INTO outbox_orders VALUES (5, 'new', kanthorq_publish_text('outbox', 'order.created', '5 for nothing'))
ON CONFLICT DO NOTHING;
CREATE FUNCTION outbox_suppress() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER suppress BEFORE UPDATE ON outbox_orders FOR EACH ROW EXECUTE FUNCTION outbox_suppress();
UPDATE outbox_orders SET event_id = kanthorq_publish_text('outbox', 'order.paid', '1 for nothing') WHERE id = 1;
UPDATE outbox_orders SET status = 'paid' WHERE id = 1
RETURNING kanthorq_publish_text('outbox', 'order.paid', id || ' ' || status) IS NOT NULL AS published;
DROP TRIGGER suppress ON outbox_orders;
SELECT * FROM pg_temp.news();
-- A BEFORE trigger is called for a row that becomes an update of another one, or nothing.
CREATE FUNCTION outbox_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM kanthorq_publish_text('outbox', lower(TG_WHEN || '.' || TG_OP),
        CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END::text);
    RETURN NEW;
END $$;
CREATE TRIGGER change BEFORE INSERT ON outbox_orders FOR EACH ROW EXECUTE FUNCTION outbox_change();
INSERT INTO outbox_orders VALUES (5, 'new') ON CONFLICT (id) DO UPDATE SET status = excluded.status;
INSERT INTO outbox_orders VALUES (5, 'new') ON CONFLICT DO NOTHING;
SELECT * FROM pg_temp.news();
DROP TRIGGER change ON outbox_orders;

-- AFTER triggers for rows: each change once.
CREATE TRIGGER change AFTER INSERT OR UPDATE OR DELETE ON outbox_orders FOR EACH ROW EXECUTE FUNCTION outbox_change();
INSERT INTO outbox_orders VALUES (5, 'new') ON CONFLICT DO NOTHING;
INSERT INTO outbox_orders VALUES (5, 'new'), (6, 'new') ON CONFLICT (id) DO UPDATE SET status = excluded.status;
UPDATE outbox_orders SET status = 'paid' WHERE id > 5;
DELETE FROM outbox_orders WHERE id > 5;
SELECT * FROM pg_temp.news();
DROP TRIGGER change ON outbox_orders;

-- A row that moves to another partition is deleted and inserted, for triggers; RETURNING sees one update.
CREATE TABLE outbox_parted (id integer NOT NULL, status text NOT NULL) PARTITION BY LIST (status);
CREATE TABLE outbox_parted_new PARTITION OF outbox_parted FOR VALUES IN ('new');
CREATE TABLE outbox_parted_old PARTITION OF outbox_parted DEFAULT;
INSERT INTO outbox_parted VALUES (1, 'new');
CREATE TRIGGER change AFTER INSERT OR UPDATE OR DELETE ON outbox_parted FOR EACH ROW EXECUTE FUNCTION outbox_change();
UPDATE outbox_parted SET status = 'paid'
RETURNING kanthorq_publish_text('outbox', 'returning.update', id || ' ' || status) IS NOT NULL AS published;
SELECT * FROM pg_temp.news() ORDER BY subject;

-- An AFTER trigger for the statement: its rows in one call, and none for none.
CREATE FUNCTION outbox_changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM kanthorq_publish_many_text('outbox', array_agg('order.changed'::text), array_agg(id || ' ' || status ORDER BY id))
    FROM changed;
    RETURN NULL;
END $$;
CREATE TRIGGER changes AFTER UPDATE ON outbox_orders REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_changes();
UPDATE outbox_orders SET status = 'checked' WHERE id < 3;
UPDATE outbox_orders SET status = 'checked' WHERE id > 100;
SELECT * FROM pg_temp.news();
DROP TRIGGER changes ON outbox_orders;

-- A query publishes as far as it is read, RETURNING to its end.
BEGIN;
DECLARE part CURSOR FOR SELECT kanthorq_publish_text('outbox', 'order.read', i::text) IS NOT NULL AS published FROM generate_series(1, 5) AS i;
FETCH 2 FROM part;
COMMIT;
DO $$ BEGIN
    PERFORM kanthorq_publish_text('outbox', 'order.first', n::text) FROM generate_series(1, 3) AS n LIMIT 2;
END $$;
DO $$ DECLARE published text; BEGIN
    FOR published IN UPDATE outbox_orders SET status = 'read' WHERE id < 3 RETURNING kanthorq_publish_text('outbox', 'order.returned', id::text)
    LOOP
        EXIT;
    END LOOP;
END $$;
SELECT * FROM pg_temp.news();

-- Published again under the same id, it is one event.
SELECT kanthorq_publish_text('outbox', 'order.paid', 'once', id => 'order_01arz3ndektsv4rrffq69g5fa7', on_duplicate => 'skip')
FROM generate_series(1, 2);
SELECT * FROM pg_temp.news();

-- A string for a bytea is read as the text form of a bytea.
SELECT kanthorq_publish('outbox', 'body.bytea', '{"p":"C:\\tmp"}') IS NOT NULL AS published;
SELECT kanthorq_publish('outbox', 'body.bytea', '\x41') IS NOT NULL AS published;
SELECT kanthorq_publish('outbox', 'body.bytea', 'C:\tmp') IS NOT NULL AS published;
SELECT kanthorq_publish_text('outbox', 'body.text', '{"p":"C:\\tmp"}') IS NOT NULL AS published;
SELECT kanthorq_publish_json('outbox', 'body.json', '{"p":"C:\\tmp"}') IS NOT NULL AS published;
SELECT cardinality(kanthorq_publish_many('outbox', '{many.bytea}', ARRAY['{"p":"C:\\tmp"}']::bytea[])) AS published;
SELECT cardinality(kanthorq_publish_many_text('outbox', '{many.text}', ARRAY['{"p":"C:\\tmp"}'])) AS published;
SELECT cardinality(kanthorq_publish_many_json('outbox', '{many.json}', ARRAY['{"p":"C:\\tmp"}'::jsonb])) AS published;
SELECT * FROM pg_temp.news();

SELECT kanthorq_stream_drop('outbox', 'outbox');
DROP TABLE outbox_orders, outbox_parted;
DROP FUNCTION outbox_pay(integer), outbox_suppress(), outbox_change(), outbox_changes();
