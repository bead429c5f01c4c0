-- What somebody does by hand to partitions, and what anybody may try.
\set VERBOSITY terse
CREATE FUNCTION pg_temp.partitions_of(stream text) RETURNS TABLE (partition text, is_open boolean)
LANGUAGE sql AS $$
    SELECT regexp_replace(p.partition::text, '^.*__(default|by_hand)$', '\1'), p.last_position = 9223372036854775807
    FROM kanthorq_partition p
    WHERE p.stream = kanthorq_stream_table(partitions_of.stream) AND p.partition::text ~ '__(default|by_hand)$'
    ORDER BY 1
$$;
SELECT name FROM kanthorq_stream_create('by_hand', partition_interval => '1 day');
SELECT name FROM kanthorq_consumer_create('by_hand', 'by_hand');

-- A partition that is attached by hand is not read before it is listed. A pull that moved over its events would lose
-- them, so it is refused.
CREATE TABLE kanthorq_stream_by_hand__by_hand (LIKE kanthorq_stream_by_hand INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__by_hand
    FOR VALUES FROM ('01AN0000000000000000000000') TO ('01AP0000000000000000000000');
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AN0000000000000000000001', 'by.hand', 'first');
SELECT * FROM kanthorq_pull('by_hand');
SELECT name FROM kanthorq_consumers WHERE name = 'by_hand';
SELECT * FROM pg_temp.partitions_of('by_hand');
CALL kanthorq_maintain();
SELECT partition FROM pg_temp.partitions_of('by_hand');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');

-- The same after a publication, which lists it.
CREATE TABLE kanthorq_stream_by_hand__by_hand2 (LIKE kanthorq_stream_by_hand INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE kanthorq_stream_by_hand ATTACH PARTITION kanthorq_stream_by_hand__by_hand2
    FOR VALUES FROM ('01AP0000000000000000000000') TO ('01AQ0000000000000000000000');
INSERT INTO kanthorq_stream_by_hand (id, subject, body) VALUES ('01AP0000000000000000000001', 'by.hand', 'second');
SELECT kanthorq_publish_text('by_hand', 'by.hand', 'third', id => '01AP0000000000000000000002');
SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('by_hand');

-- Whoever can make a table can fire our trigger. Nothing is written down for a table that is no stream's: a dump would
-- have it, and the restored database would lack the rows of all.
CREATE TABLE by_hand_other (id integer) PARTITION BY LIST (id);
CREATE TABLE by_hand_other_all PARTITION OF by_hand_other DEFAULT;
CREATE TRIGGER stranger BEFORE INSERT ON by_hand_other_all
    FOR EACH ROW EXECUTE FUNCTION kanthorq_partition_closed();
INSERT INTO by_hand_other VALUES (1);
SELECT count(*) FROM kanthorq_partition WHERE stream = 'by_hand_other'::regclass;
DROP TABLE by_hand_other;

-- A stranger does not become a publisher by calling the default.
CREATE ROLE kanthorq_by_hand;
SET ROLE kanthorq_by_hand;
SELECT kanthorq_txid('by_hand');
RESET ROLE;
DROP ROLE kanthorq_by_hand;
SELECT kanthorq_stream_drop('by_hand', 'by_hand');
