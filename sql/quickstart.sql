-- The quick start of README.md, line by line; tests/lint/quickstart compares the two.

SELECT name FROM kanthorq_stream_create('order_update');
CREATE TABLE orders (id integer PRIMARY KEY, status text NOT NULL);
BEGIN;
INSERT INTO orders VALUES (7, 'paid');
SELECT kanthorq_publish_json('order_update', 'order.paid', '{"order": 7}', id => '01JCSTBDE8V9XN3YQGKZM5WR70');
COMMIT;
SELECT id, subject, convert_from(body, 'UTF8') AS body FROM kanthorq_events('order_update', 'order.*');
SELECT subject, id FROM kanthorq_events_by_subject('order_update', after_subject => 'order.created');
DELETE FROM kanthorq_stream_order_update;
SELECT kanthorq_stream_drop('order_update', confirm => 'order_update');

DROP TABLE orders;
