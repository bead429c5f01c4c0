-- Databases of other encodings: bodies from text and JSON are UTF-8 there too, and bytes that are no
-- characters are refused where characters are wanted, and stored where bytes are.

\set origin :DBNAME
CREATE DATABASE kanthorq_regression_latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'
    LOCALE_PROVIDER libc;
CREATE DATABASE kanthorq_regression_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'
    LOCALE_PROVIDER libc;

-- LATIN1: e with acute is one byte in the database, and two in a body.
\c kanthorq_regression_latin
SET lc_messages = 'C';
CREATE EXTENSION kanthorq;
SELECT name FROM kanthorq_stream_create('encoding');
SELECT octet_length(convert_from('\xe9', 'LATIN1')) AS bytes_of_e;
SELECT kanthorq_publish_text('encoding', 'text', convert_from('\x636166e9', 'LATIN1'),
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
SELECT kanthorq_publish_json('encoding', 'json', to_jsonb(convert_from('\x636166e9', 'LATIN1')),
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA2');
SELECT kanthorq_publish_text('encoding', 'text', repeat(convert_from('\xe9', 'LATIN1'), 100000),
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA3');
SELECT kanthorq_publish('encoding', 'bytes', '\x636166e9', id => '01ARZ3NDEKTSV4RRFFQ69G5FA4');
SELECT kanthorq_publish_many_text('encoding', '{text,text}', ARRAY['', convert_from('\x636166e9', 'LATIN1')],
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FA5,01ARZ3NDEKTSV4RRFFQ69G5FA6}');
SELECT kanthorq_publish_many_json('encoding', '{json}', ARRAY[to_jsonb(convert_from('\x636166e9', 'LATIN1'))],
    ids => '{01ARZ3NDEKTSV4RRFFQ69G5FA7}');
SELECT subject, length(body), substr(body, 1, 8) AS body FROM kanthorq_events('encoding');
-- Not a letter there either.
SELECT kanthorq_is_subject(convert_from('\xe9', 'LATIN1')),
    kanthorq_is_name(convert_from('\xe9', 'LATIN1')),
    kanthorq_is_event_id(convert_from('\xe9', 'LATIN1'));
DO $$
BEGIN
    PERFORM kanthorq_stream_create(convert_from('\x636166e9', 'LATIN1'));
EXCEPTION WHEN others THEN
    RAISE NOTICE '% %', sqlstate, sqlerrm = convert_from('\x696e76616c6964206e616d652022636166e922',
        'LATIN1');
END $$;

-- SQL_ASCII: the server takes any bytes for text.
\c kanthorq_regression_ascii
SET lc_messages = 'C';
CREATE EXTENSION kanthorq;
SELECT name FROM kanthorq_stream_create('encoding');
CREATE FUNCTION pg_temp.state(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'not refused';
EXCEPTION WHEN others THEN
    RETURN sqlstate;
END $$;
SELECT kanthorq_is_subject(E'a\xff'), kanthorq_is_subject(E'\xc3'), kanthorq_is_name(E'a\xff'),
    kanthorq_is_event_id(E'\xff'),
    kanthorq_is_subject_filter(E'\xff.>'), kanthorq_is_ulid(repeat(E'\xff', 26)),
        kanthorq_is_uuidv7(repeat(E'\xff', 36));
SELECT pg_temp.state(format('SELECT kanthorq_' || call, E'a\xc3')) FROM (VALUES
    ('stream_create(%L)'), ('publish(%L, ''a'', '''')'), ('publish(''encoding'', %L, '''')'),
    ('publish(''encoding'', ''a'', '''', id => %L)'),
    ('events(''encoding'', %L)'), ('events_by_subject(''encoding'', after_subject => %L)'),
    ('stream_drop(''encoding'', %L)')) AS calls (call);
-- UTF-8 passes as it is; what is not UTF-8 is no body of text.
SELECT kanthorq_publish_text('encoding', 'text', E'caf\xc3\xa9',
    id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
SELECT pg_temp.state(format('SELECT kanthorq_publish_text(''encoding'', ''text'', %L)',
    E'caf\xe9'));
SELECT kanthorq_publish_many_text('encoding', '{text}', ARRAY[E'caf\xc3\xa9'], ids => '{01ARZ3NDEKTSV4RRFFQ69G5FA2}');
SELECT pg_temp.state(format('SELECT kanthorq_publish_many_text(''encoding'', ''{text}'', ARRAY[%L])',
    E'caf\xe9'));
SELECT kanthorq_publish('encoding', 'bytes', '\x636166e9', id => '01ARZ3NDEKTSV4RRFFQ69G5FA4');
SELECT subject, body FROM kanthorq_events('encoding');

\c :origin
DROP DATABASE kanthorq_regression_latin;
DROP DATABASE kanthorq_regression_ascii;
