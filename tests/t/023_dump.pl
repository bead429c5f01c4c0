# pg_dump and pg_restore in every way: streams, positions, consumers, leases, tasks and what is owed come
# out as they went in, also between servers whose transaction ids are far apart.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

# One server has used up many transaction ids, the other none.
my $high = new_node('high');
my $low  = new_node('low');
$high->stop;
$high->command_ok([ 'pg_resetwal', '-f', '-e', 3, '-x', 32768 * 3052, $high->data_dir ], 'ids start high');
$high->start;
for my $node ($high, $low) {
    $node->safe_psql('postgres', "CREATE ROLE $_") for qw(shop publisher worker);
}

# Streams and consumers in every state: acknowledged, leased, refused, cancelled, discarded, owed.
sub fill {
    my ($node, $database, $schema) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, qq{
        CREATE SCHEMA IF NOT EXISTS $schema;
        CREATE EXTENSION kanthorq SCHEMA $schema;
        GRANT USAGE ON SCHEMA $schema TO PUBLIC;
        GRANT CREATE ON SCHEMA $schema TO shop;
        SET search_path = $schema;
        SET SESSION AUTHORIZATION shop;
        SELECT kanthorq_stream_create('orders');
        SELECT kanthorq_stream_create(repeat('a_long_name_', 10) || 'x', subject_index => false);
        SELECT kanthorq_consumer_create('worker', 'orders', excludes => '{nothing.>}', attempt_max => '2');
        SELECT kanthorq_consumer_create('fresh', 'orders', ordered => true);
        GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_orders TO publisher;
        GRANT SELECT ON kanthorq_stream_orders TO worker;
        GRANT SELECT, UPDATE ON kanthorq_consumer_worker TO worker;
        SELECT kanthorq_publish_text('orders', 'order.' || i, i::text) FROM generate_series(1, 20) AS i;
        BEGIN; SELECT kanthorq_publish('orders', 'rolled.back', ''); ROLLBACK});
    my $publisher = open_session($node, $database);
    ask($publisher, "SET search_path = $schema; BEGIN; SELECT kanthorq_publish('orders', 'open', '')");
    my $held = $node->safe_psql($database, qq{
        SET search_path = $schema;
        CREATE FUNCTION pulled() RETURNS bigint LANGUAGE sql AS 'SELECT max(lease) FROM kanthorq_pull(''worker'', 3)';
        SELECT 'held ' || pulled();
        SELECT kanthorq_nack('worker', pulled(), error => 'refused', retry_in => '1 day');
        SELECT kanthorq_ack('worker', pulled());
        SELECT kanthorq_cancel('worker', array_agg(id)) FROM kanthorq_stream_orders WHERE subject = 'order.12';
        SELECT kanthorq_nack('worker', lease, error => 'once', retry_in => '0') FROM kanthorq_pull('worker', 1);
        SELECT kanthorq_nack('worker', lease, error => 'twice') FROM kanthorq_pull('worker', 1);
        SELECT kanthorq_publish('orders', 'behind', '');
        SELECT kanthorq_ack('worker', max(lease)) FROM kanthorq_pull('worker', 100);
        SELECT kanthorq_publish('orders', 'waiting', '')});
    my ($lease) = $held =~ /held (\d+)/;
    return ($publisher, $lease);
}

# All that is to survive, as text.
sub contents {
    my ($node, $database, $schema) = @_;
    return $node->safe_psql($database, qq{
        SET search_path = $schema; SET timezone = 'UTC';
        SELECT name, "table", last_position, newest_id FROM kanthorq_streams ORDER BY 1;
        SELECT * FROM kanthorq_stream_registry ORDER BY 1;
        SELECT * FROM kanthorq_consumer_registry ORDER BY 1;
        SELECT * FROM kanthorq_registered_table ORDER BY 1, 2;
        SELECT * FROM kanthorq_delivery_state ORDER BY 1;
        SELECT * FROM kanthorq_delivery_lease WHERE lease > 0 ORDER BY 1, 2;
        SELECT name, cursor, lag, running, retryable, discarded, cancelled, oldest_lease FROM kanthorq_consumers ORDER BY 1;
        SELECT * FROM kanthorq_consumer_worker ORDER BY position;
        SELECT * FROM kanthorq_stream_orders ORDER BY position;
        SELECT oid::regclass, relowner::regrole, relacl, reloptions FROM pg_class
        WHERE relnamespace = quote_ident(current_schema())::regnamespace ORDER BY relname;
        SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgname ~ '^kanthorq' ORDER BY 1;
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = quote_ident(current_schema())::regnamespace ORDER BY 1, 2;
        SELECT attrelid::regclass, attname, attidentity, attacl, pg_get_expr(adbin, adrelid)
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid::regclass::text ~ 'kanthorq' AND attnum > 0 ORDER BY attrelid::regclass::text, attnum});
}

# The lines that only one of them has.
sub differences {
    my ($one, $other) = @_;
    my %count;
    $count{$_}-- for split /\n/, $one;
    $count{$_}++ for split /\n/, $other;
    return join "\n", map { ($count{$_} > 0 ? '+ ' : '- ') . $_ } grep { $count{$_} } sort keys %count;
}

# The restored consumers go on where they were: a lease from before is acknowledged, the next position
# is the next one, exactly that comes which had not come, and a publisher that was open is forgotten.
sub goes_on {
    my ($node, $database, $schema, $lease) = @_;
    is($node->safe_psql($database, qq{
            SET search_path = $schema;
            SET ROLE worker;
            SELECT kanthorq_ack('worker', $lease);
            SET ROLE publisher;
            INSERT INTO kanthorq_stream_orders (id, subject, body) VALUES (kanthorq_ulid(), 'next', '');
            SET ROLE worker;
            SELECT string_agg(subject, ' ' ORDER BY position), max(position) FROM kanthorq_pull('worker');
            RESET ROLE;
            SELECT late FROM kanthorq_delivery_state WHERE consumer = 'worker';
            SELECT string_agg(position::text, ' ') FROM kanthorq_pull('fresh')}),
        join("\n", 3, 'waiting next|25', '{}', join ' ', 1 .. 20, 23 .. 25), "$database: consumers go on");
    my (undef, undef, $error) = $node->psql($database, "DELETE FROM $schema.kanthorq_stream_orders");
    like($error, qr/a stream is append-only/, "$database: the stream refuses changes");
}

my ($publisher, $lease) = fill($high, 'shop', 'public');
my $before = contents($high, 'shop', 'public');
like($before, qr/^worker\|23\|23\|\{\d{11},20,22\}/m, 'something is owed, to a high transaction id');

sub dumped {
    my ($node, $database, $file, @options) = @_;
    $node->command_ok([ 'pg_dump', '-d', $database, '-f', $file, @options ], "pg_dump @options");
    return $file;
}

sub restored {
    my ($node, $database, @commands) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->command_ok([ @$_, '-d', $database ], "$database: @$_[0 .. $#$_ - 1]") for @commands;
    return contents($node, $database, 'public');
}

# pg_dump runs while a publisher is open.
my $file    = $high->basedir . '/dump';
my @psql    = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f');
my @restore = ('pg_restore', '--exit-on-error');
my $custom  = dumped($high, 'shop', "$file.custom", '-Fc');
my %ways    = (
    plain     => [ [ @psql, dumped($high, 'shop', "$file.sql") ] ],
    inserts   => [ [ @psql, dumped($high, 'shop', "$file.inserts", '--rows-per-insert=7') ] ],
    custom    => [ [ @restore, '-j2', $custom ] ],
    directory => [ [ @restore, '-j2', dumped($high, 'shop', "$file.directory", '-Fd', '-j2') ] ],
    halves    => [
        [ @psql, dumped($high, 'shop', "$file.schema", '--schema-only') ],
        [ @psql, dumped($high, 'shop', "$file.data", '--data-only') ],
    ],
);
for my $way (sort keys %ways) {
    is(differences($before, restored($low, $way, @{ $ways{$way} })), '', "$way: all is as it was");
    goes_on($low, $way, 'public', $lease) unless $way eq 'plain';
}

# --disable-triggers is not needed, and its ENABLE TRIGGER ALL forgets that two were ENABLE ALWAYS.
my @lines = split /\n/, differences($before, restored($low, 'triggers', [ @restore, '--schema-only', $custom ],
    [ @restore, '--data-only', '--disable-triggers', $custom ]));
is(grep(!/^[-+] CREATE TRIGGER kanthorq_(append_only|writer) BEFORE .*\|[AO]$/, @lines), 0,
    '--disable-triggers changes when a trigger fires, and nothing else');
goes_on($low, 'triggers', 'public', $lease);

# From low transaction ids to high ones.
is(differences($before, restored($high, 'back', [ @psql, dumped($low, 'plain', "$file.back") ])), '',
    'back: all is as it was');
goes_on($high, 'back', 'public', $lease);
close_session($publisher);

# One schema of an odd name, with the extension in it.
my $odd = q{"odd 'name"};
($publisher, $lease) = fill($high, 'elsewhere', $odd);
$before = contents($high, 'elsewhere', $odd);
dumped($high, 'elsewhere', "$file.odd", '-e', 'kanthorq', '-n', $odd);
close_session($publisher);
$low->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$low->command_ok([ @psql, "$file.odd", '-d', 'elsewhere' ], 'elsewhere: a schema with its extension');
is(differences($before, contents($low, 'elsewhere', $odd)), '', 'elsewhere: all is as it was');
goes_on($low, 'elsewhere', $odd, $lease);

# A table that was dropped by hand is a number in kanthorq_registered_table, and another database may have another
# table of that number. Its name is not forgotten; the extension's owner frees it.
$high->safe_psql('postgres', 'CREATE DATABASE gone');
$high->safe_psql('gone', q{
    CREATE EXTENSION kanthorq;
    GRANT CREATE ON SCHEMA public TO shop;
    SELECT kanthorq_stream_create('there');
    SET ROLE shop;
    SELECT kanthorq_stream_create('gone');
    DROP TABLE kanthorq_stream_gone});
dumped($high, 'gone', "$file.gone");
$low->safe_psql('postgres', 'CREATE DATABASE gone');
$low->command_ok([ @psql, "$file.gone", '-d', 'gone' ], 'gone: a stream without its table');
is($low->safe_psql('gone', 'SELECT kind, name, relation FROM kanthorq_registered_table'),
    'stream|there|kanthorq_stream_there', 'gone: no number is taken for a table');
my (undef, undef, $refusal) = $low->psql('gone', q{SET ROLE shop; SELECT kanthorq_stream_create('gone')});
like($refusal, qr/must be owner of stream "gone"/, 'gone: the name is not for everybody');
is($low->safe_psql('gone', q{SELECT kanthorq_stream_drop('gone', 'gone')}), 't', 'gone: the owner frees it');

$_->stop for $high, $low;
done_testing();
