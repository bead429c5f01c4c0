# Input of every wrong kind, by every way in: it is taken or refused with an SQLSTATE that a client can branch
# on, never with an internal error, nothing of it is stored if it is refused, and the server lives.
#
# KANTHORQ_LARGE=1 tries bodies and batches up to the limits as well, for which it takes 8 GB of memory.
# sql/*.sql show what is answered in detail; here everything is tried that they leave out.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('input', 'fsync = off', "max_wal_size = '8 GB'");
$node->safe_psql('postgres', q{
    ALTER DATABASE postgres SET client_min_messages = error;
    SELECT kanthorq_stream_create('orders'), kanthorq_stream_create('fresh');
    SELECT kanthorq_stream_create('daily', partition_interval => '1 day'),
        kanthorq_stream_create('hourly', partition_interval => '1 hour');
    SELECT kanthorq_consumer_create('worker', 'orders'), kanthorq_consumer_create('fresh', 'orders');
    SELECT kanthorq_publish('orders', 'order', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FAV');
    CREATE TABLE held AS SELECT lease FROM kanthorq_pull('worker');
    SELECT kanthorq_publish('orders', 'order', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FB0')});

# One argument of a call after the other is replaced by each odd value of its type. The other arguments are good
# ones. Nothing of it lasts.
$node->safe_psql('postgres', <<'SQL');
SET statement_timeout = '10 min';
-- A partition of the stream, by its number.
CREATE FUNCTION partition(stream text, number integer) RETURNS text LANGUAGE sql AS $$
    SELECT quote_literal(inhrelid::regclass) || '::regclass' FROM pg_inherits
    WHERE inhparent = kanthorq_stream_table(stream) AND inhrelid::regclass::text NOT LIKE '%\_\_default'
    ORDER BY inhrelid::regclass::text OFFSET number LIMIT 1 $$;
-- For one function, or for all others.
CREATE TABLE good (argument text, value text, called regproc);
INSERT INTO good VALUES
    ('name', '''fresh'''), ('confirm', '''fresh'''), ('stream', '''orders'''), ('consumer', '''worker'''),
    ('subject', '''order'''), ('filter', '''>'''), ('id', '''01ARZ3NDEKTSV4RRFFQ69G5FAW'''),
    ('body', '''{}'''), ('metadata', '''{}'''), ('on_duplicate', '''error'''), ('start_at', '''first'''),
    ('subjects', '''{order}'''), ('bodies', '''{1}'''), ('ids', '''{01ARZ3NDEKTSV4RRFFQ69G5FAV}'''),
    ('before_id', '''01ARZ3NDEKTSV4RRFFQ69G5FAV'''), ('at', '''2020-01-01'''), ('lease', (SELECT lease::text FROM held)), ('timeout', '''0'''),
    ('keep', '''30 days'''), ('partition', partition('daily', 0));
INSERT INTO good VALUES
    ('name', '''made''', 'kanthorq_stream_create'), ('stream', '''daily''', 'kanthorq_partition_close');
CREATE TABLE odd (type regtype, value text);
INSERT INTO odd
SELECT 'text'::regtype, quote_literal(v) FROM unnest(ARRAY['', ' ', '.', '*', '>', 'a.', 'é.a', '日本', 'a"b', 'a''b',
    'a.b', 'a$b', '$1', '%s%n', '\', E'\x01', E'a\nb', 'A', '_', 'a__b', 'registry', 'first', 'new', 'infinity', '0',
    'skip', 'SKIP', 'ulid', 'uuidv7', 'UUIDv7', 'order', 'order_',
    '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', '8ZZZZZZZZZZZZZZZZZZZZZZZZZ', '00000000000000000000000000',
    '01arz3ndektsv4rrffq69g5fav', 'ffffffff-ffff-7fff-bfff-ffffffffffff', 'FFFFFFFF-FFFF-7FFF-BFFF-FFFFFFFFFFFF',
    'ffffffff-ffff-4fff-bfff-ffffffffffff', 'a_7zzzzzzzzzzzzzzzzzzzzzzzzz', '294276-12-31', repeat('a', 47),
    repeat('a', 48), repeat('a', 63), repeat('a', 64), repeat('a', 127), repeat('a', 128), repeat('a', 129),
    repeat('é', 64), repeat('x', 1000000)]) AS v
UNION ALL SELECT 'text[]', v || '::text[]' FROM unnest(ARRAY['''{}''', '''{NULL}''', '''{order,NULL}''',
    '''{{order},{order}}''', '''[-3:-3]={order}''', '''[2147483646:2147483646]={order}''', '''{""}''',
    'array_fill(''order''::text, ''{1000}'')', 'ARRAY[repeat(''x'', 1000000)]',
    '''{01ARZ3NDEKTSV4RRFFQ69G5FAV,01ARZ3NDEKTSV4RRFFQ69G5FAV}''']) AS v
UNION ALL SELECT 'bytea[]', v || '::bytea[]'
FROM unnest(ARRAY['''{}''', '''{NULL}''', '''{x,y}''', '''{{x}}''', '''[9:9]={x}''']) AS v
UNION ALL SELECT 'jsonb[]', v || '::jsonb[]'
FROM unnest(ARRAY['''{}''', '''{NULL}''', 'ARRAY[jsonb ''[]'']', 'ARRAY[[jsonb ''{}'']]']) AS v
UNION ALL SELECT 'bigint[]', v || '::bigint[]'
FROM unnest(ARRAY['''{}''', '''{NULL}''', '''{-9223372036854775808}''', '''{{1}}''']) AS v
UNION ALL SELECT 'jsonb', v || '::jsonb' FROM unnest(ARRAY['''null''', '''1''', '''"x"''', '''[]''', '''[{}]''',
    '''{"a": null}''', '(repeat(''{"a":'', 3000) || ''1'' || repeat(''}'', 3000))',
    'jsonb_build_object(''k'', repeat(''x'', 1000000))', 'jsonb_build_object(repeat(''k'', 100000), 1)',
    '(SELECT jsonb_object_agg(i::text, i) FROM generate_series(1, 50000) i)']) AS v
UNION ALL SELECT 'bytea', v
FROM unnest(ARRAY['''''::bytea', '''\x00''::bytea', 'convert_to(repeat(''x'', 1000000), ''UTF8'')']) AS v
UNION ALL SELECT t, format('(%s)::%s', v, t) FROM unnest('{bigint,integer,smallint}'::regtype[]) AS t,
    unnest('{0,1,-1,32767,-32768,10000,10001}'::text[]) AS v
UNION ALL VALUES ('integer'::regtype, '2147483647'), ('integer', '(-2147483648)'), ('bigint', '9223372036854775807'),
    ('bigint', '(-9223372036854775808)')
UNION ALL SELECT 'interval', quote_literal(v) FROM unnest(ARRAY['0', '-1 ms', '0.4 ms', '1 microsecond',
    '-1 month 30 days', '100 years', '101 years', '178000000 years', '-178000000 years', '2147483647 days',
    '2562047788:00:54.775807', '1 hour', '1 hour 1 ms', '7 days', '-1 day', '1 month', '10 years']) AS v
UNION ALL SELECT 'timestamptz', quote_literal(v) FROM unnest(ARRAY['infinity', '-infinity', '4713-01-01 BC',
    '294276-12-31', '1969-12-31', '10889-08-02 05:31:50.655+00', '10889-08-02 05:31:50.656+00']) AS v
UNION ALL SELECT 'boolean', v FROM unnest('{true,false}'::text[]) AS v
UNION ALL SELECT 'regclass', v FROM unnest(ARRAY['0::regclass', '1::regclass', '4294967295::regclass',
    '''pg_class''::regclass', '''pg_class_oid_index''::regclass', '''pg_stats''::regclass',
    '''kanthorq_partition''::regclass', '''kanthorq_stream_daily''::regclass',
    '''kanthorq_stream_daily__default''::regclass', '''kanthorq_stream_orders''::regclass',
    '''kanthorq_consumer_worker''::regclass', partition('hourly', 0), partition('daily', 1),
    (SELECT quote_literal(indexrelid::regclass) || '::regclass' FROM pg_index
     WHERE 'kanthorq_stream_daily'::regclass = indrelid LIMIT 1)]) AS v;
INSERT INTO odd SELECT DISTINCT type, 'NULL::' || type FROM odd;
INSERT INTO odd SELECT 'kanthorq_start'::regtype, value FROM odd WHERE type = 'text'::regtype
UNION ALL SELECT 'kanthorq_start', value || '::timestamptz' FROM odd WHERE type = 'timestamptz'::regtype;
ANALYZE odd;

CREATE VIEW functions AS
SELECT f.* FROM pg_depend d JOIN pg_proc f ON f.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND e.extname = 'kanthorq' AND f.pronargs > 0
    AND NOT EXISTS (SELECT FROM pg_type WHERE f.oid IN (typinput, typoutput, typreceive, typsend));
CREATE VIEW calls AS
SELECT f.oid::regprocedure AS called, tried.number = 0 AS is_good, format('%s(%s)', f.proname, string_agg(
    format('%s => %s', a.name, CASE WHEN a.number = tried.number THEN tried.value ELSE good.value END), ', '
    ORDER BY a.number)) AS call
FROM functions f,
    LATERAL (SELECT n AS number, f.proargnames[n] AS name FROM generate_series(1, f.pronargs) AS n) AS a
    LEFT JOIN LATERAL (SELECT value FROM good WHERE argument = a.name AND (called = f.oid) IS NOT FALSE
                       ORDER BY called LIMIT 1) AS good ON true,
    LATERAL (SELECT 0 AS number, NULL AS value
             UNION ALL SELECT n, odd.value FROM generate_series(1, f.pronargs) AS n
             JOIN odd ON odd.type = f.proargtypes[n - 1]) AS tried
-- Optional arguments are left out, unless they are the one that is tried.
WHERE a.number <= f.pronargs - f.pronargdefaults OR a.number = tried.number
GROUP BY f.oid, f.proname, tried.number, tried.value;
CREATE FUNCTION answer(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT * FROM ' || call;
    RAISE SQLSTATE 'UNDO0';
EXCEPTION
    WHEN SQLSTATE 'UNDO0' THEN RETURN 'taken';
    WHEN OTHERS THEN RETURN sqlstate;
END $$;
CREATE TABLE answers AS
SELECT row_number() OVER () AS number, called, is_good, call, CASE WHEN prokind <> 'p' THEN answer(call) END AS answer
FROM calls JOIN pg_proc ON oid = called;
SQL

# Procedures that commit are called outside of a transaction. There is an event, so that waiting never waits, and
# nothing that could be trimmed.
my $by_procedures = $node->safe_psql('postgres', q{
    SELECT format(E'CALL %s;\nUPDATE answers SET answer = CASE :''SQLSTATE'' WHEN ''00000'' THEN ''taken'' '
        'ELSE :''SQLSTATE'' END WHERE number = %s;', call, number) FROM answers WHERE answer IS NULL ORDER BY number});
$node->psql('postgres', $by_procedures, on_error_stop => 0);

is($node->safe_psql('postgres', q{
        SELECT left(call, 200), answer FROM answers
        WHERE answer IS NULL OR answer NOT IN ('taken', '22023', '22004', '23514', '42704', '42710', '55000', 'KQ001')}), '',
    'whatever is wrong is refused with an SQLSTATE that is documented');
is($node->safe_psql('postgres', q{SELECT call, answer FROM answers WHERE is_good AND answer IS DISTINCT FROM 'taken'}), '',
    'a good call is taken');
is($node->safe_psql('postgres', q{SELECT oid::regprocedure FROM functions WHERE oid NOT IN
        (SELECT called FROM answers WHERE is_good)}), '', 'of every function');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM answers'), '>', 3000, 'and many calls were tried');
is($node->safe_psql('postgres', q{SELECT string_agg(id, ' ' ORDER BY id) FROM kanthorq_stream_orders}),
    '01ARZ3NDEKTSV4RRFFQ69G5FAV 01ARZ3NDEKTSV4RRFFQ69G5FB0', 'nothing of it was stored');

is($node->safe_psql('postgres', q{SELECT name, keep FROM kanthorq_streams ORDER BY 1}),
    "daily|\nfresh|\nhourly|\norders|", 'or made of a stream');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_partition WHERE last_position < 9223372036854775807}), 0,
    'and no partition is closed');

# What is no value of theirs is not taken.
sub taken {
    my ($called, $argument, $but) = @_;
    return $node->safe_psql('postgres', qq{
        SELECT string_agg(value, ' ' ORDER BY value) FROM (
            SELECT substring(call FROM ', $argument => (.*)\\)\$') AS value FROM answers
            WHERE called::oid = '$called'::regproc AND NOT is_good AND answer = 'taken') AS tried
        WHERE value !~ '$but'});
}
is(taken('kanthorq_trim', 'batch_size', '^\([1-9]'), '', 'a batch of kanthorq_trim() has one event at least');
is(taken('kanthorq_stream_retention', 'on_lag', q{skip}), '', 'on_lag is block or skip');

# COPY in binary takes bytes as they come; what is no UTF-8 is refused in texts, and is a body like any other.
sub copy_binary {
    my (@fields) = @_;
    my $file = $node->basedir . '/copy.bin';
    open my $out, '>:raw', $file or die $!;
    print $out "PGCOPY\n\xff\r\n\0", pack('NN', 0, 0), pack('n', scalar @fields),
        map({ pack('N', length $_) . $_ } @fields), pack('n', 0xffff);
    close $out;
    my ($status, $stdout, $err) = $node->psql('postgres',
        "COPY kanthorq_stream_orders (id, subject, body, metadata, created_at) FROM '$file' (FORMAT binary)",
        extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
    return $err =~ /ERROR:\s+(\w+)/ ? $1 : 'taken';
}
my ($id, $json, $time) = ('01ARZ3NDEKTSV4RRFFQ69G5FAX', "\x01{}", pack('q>', 7));
is(copy_binary("\xff" x 26, 'order', '', $json, $time), '22021', 'COPY in binary: an id that is no UTF-8');
is(copy_binary($id, "order.\xc3", '', $json, $time), '22021', 'a subject');
is(copy_binary($id, "order\0", '', $json, $time), '22021', 'a zero byte');
is(copy_binary($id, 'order', '', "\x01{\"a\": \"\xc3\"}", $time), '22021', 'metadata');
is(copy_binary($id, 'order', '', "\x01[]", $time), '23514', 'metadata that is no object');
is(copy_binary($id, 'order.', '', $json, $time), '23514', 'no subject');
is(copy_binary($id, 'order', "\xff\0\xc3", $json, $time), 'taken', 'a body is bytes');
is($node->safe_psql('postgres', "SELECT body FROM kanthorq_event_get('orders', '$id')"), '\xff00c3', 'as they came');

# Attempts at their end: a row that has made all but one.
$node->safe_psql('postgres', q{
    SELECT kanthorq_consumer_create('patient', 'orders', attempt_max => 32767,
        start_at => '01ARZ3NDEKTSV4RRFFQ69G5FAX');
    SELECT kanthorq_nack('patient', lease, retry_in => '0') FROM kanthorq_pull('patient');
    UPDATE kanthorq_consumer_patient SET attempt_count = 32766});
is($node->safe_psql('postgres', q{
        SELECT kanthorq_nack('patient', lease, error => 'no', retry_in => '0') || ' ' || attempt FROM kanthorq_pull('patient')}),
    '1 32767', 'the last attempt of 32,767');
my $tasks = q{SELECT state, attempt_count FROM kanthorq_tasks('patient')};
is($node->safe_psql('postgres', $tasks), 'discarded|32767', 'then it is discarded');
is($node->safe_psql('postgres', qq{SELECT kanthorq_resume('patient', '{$id}')}), "{$id}", 'it can be resumed');
is($node->safe_psql('postgres', q{SELECT attempt FROM kanthorq_pull('patient', visibility_timeout => '1 ms')}), 1,
    'and begins anew');
$node->safe_psql('postgres', q{UPDATE kanthorq_consumer_patient SET attempt_count = 32767});
wait_for($node, q{SELECT deadline < extract(epoch FROM clock_timestamp()) * 1000
                  FROM kanthorq_delivery_lease WHERE lease > 0 AND consumer = 'patient'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('patient')}), 0,
    'a count at its end is not counted on');
is($node->safe_psql('postgres', $tasks), 'discarded|32767', 'by a lease that ran out neither');

# A stream's table with things of its owner's: what is pulled is what is in this table, as it is.
is($node->safe_psql('postgres', q{
        SELECT kanthorq_stream_create('owned') IS NULL, kanthorq_consumer_create('of_owned', 'owned') IS NULL;
        ALTER TABLE kanthorq_stream_owned ADD size integer GENERATED ALWAYS AS (octet_length(body)) STORED,
            ADD note text DEFAULT 'none', ADD CONSTRAINT short CHECK (octet_length(body) < 5);
        CREATE TABLE child () INHERITS (kanthorq_stream_owned);
        CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN new.subject := upper(new.subject); RETURN CASE WHEN new.subject = 'NOT' THEN NULL ELSE new END; END$$;
        CREATE TRIGGER shout BEFORE INSERT ON kanthorq_stream_owned FOR EACH ROW EXECUTE FUNCTION shout();
        SELECT cardinality(kanthorq_publish_many('owned', '{a,not,b}', '{1,2,3}'));
        INSERT INTO child (id, subject, body, position) VALUES (kanthorq_ulid(), 'c', '', 2);
        ALTER TABLE kanthorq_stream_owned ENABLE ROW LEVEL SECURITY;
        SELECT position, subject, body FROM kanthorq_pull('of_owned')}),
    "f|f\n3\n1|A|\\x31\n3|B|\\x33", 'generated columns, checks, children, triggers and row security on a stream that is pulled');
is($node->safe_psql('postgres', q{
        DROP TRIGGER shout ON kanthorq_stream_owned;
        CREATE RULE twice AS ON INSERT TO kanthorq_stream_owned WHERE new.subject = 'r' DO INSTEAD NOTHING;
        SELECT cardinality(kanthorq_publish_many('owned', '{r,s}', '{1,2}'));
        SELECT subject FROM kanthorq_pull('of_owned')}), "2\ns", 'and a rule');

# Large ones, up to what one allocation of the server's has room for, less what is kept for the other columns, the
# body's header and empty metadata.
my $largest = (1 << 30) - 1 - 8192 - 4 - 8;
my @sizes = $ENV{KANTHORQ_LARGE} ? (255 << 20, $largest) : (8 << 20);
for my $size (@sizes) {
    is($node->safe_psql('postgres', qq{
            SELECT kanthorq_consumer_create('large', 'orders', includes => '{large}', start_at => 'new') IS NULL;
            SELECT length(kanthorq_publish('orders', 'large', convert_to(repeat('x', $size), 'UTF8')));
            SELECT length(body) FROM kanthorq_pull('large');
            SELECT kanthorq_consumer_drop('large', 'large')}),
        "f\n26\n$size\nt", "a body of $size bytes");
    $node->safe_psql('postgres', q{
        SELECT kanthorq_event_remove('orders', array(SELECT id FROM kanthorq_stream_orders WHERE subject = 'large'))});
}
if ($ENV{KANTHORQ_LARGE}) {
    my (undef, undef, $err) = $node->psql('postgres',
        qq{SELECT kanthorq_publish('orders', 'large', convert_to(repeat('x', $largest + 1), 'UTF8'))},
        extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
    like($err, qr/ERROR:  54000$/, 'one byte more than an event may have');
    is($node->safe_psql('postgres', q{
            SELECT sum(length(kanthorq_publish('orders', 'large', convert_to(repeat('x', 300000000), 'UTF8'))))
            FROM generate_series(1, 4);
            SELECT kanthorq_consumer_create('large', 'orders', includes => '{large}') IS NULL;
            SELECT sum(length(body)) FROM kanthorq_pull('large', max_bytes => 2000000000)}),
        "104\nf\n1200000000", 'a pull of more than 1 GB');
}
is($node->safe_psql('postgres', q{SELECT 'alive'}), 'alive', 'the server lives');
$node->stop;
done_testing();
