# pg_dump and pg_restore in every way: streams, their partitions, positions, consumers, leases, tasks and what is
# owed come out as they went in, also between servers whose transaction ids are far apart. Once with plain streams,
# once with streams that have partitions of each kind: open, closed, and opened again by a late event.
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

# Streams and consumers in every state: acknowledged, leased, refused, cancelled, discarded, owed. With an interval,
# every third event is in a partition that is closed. The last event is late for it.
my $past = q{kanthorq_ulid('2026-01-01 00:00:00+00')};
sub fill {
    my ($node, $database, $schema, $interval) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->safe_psql($database, qq{
        CREATE SCHEMA IF NOT EXISTS $schema;
        CREATE EXTENSION kanthorq SCHEMA $schema;
        GRANT USAGE ON SCHEMA $schema TO PUBLIC;
        GRANT CREATE ON SCHEMA $schema TO shop;
        SET search_path = $schema;
        SET SESSION AUTHORIZATION shop;
        SET kanthorq.default_partition_interval = '$interval';
        SELECT kanthorq_stream_create('orders');
        SELECT kanthorq_stream_create(repeat('a_long_name_', 10) || 'x', subject_index => false);
        SELECT kanthorq_consumer_create('worker', 'orders', excludes => '{nothing.>}', attempt_max => '2');
        SELECT kanthorq_consumer_create('fresh', 'orders', ordered => true);
        GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_orders TO publisher;
        GRANT SELECT ON kanthorq_stream_orders TO worker;
        GRANT SELECT, UPDATE ON kanthorq_consumer_worker TO worker;
        SELECT kanthorq_publish_text('orders', 'order.' || i, i::text, id => CASE i % 3 WHEN 0 THEN $past END)
        FROM generate_series(1, 20) AS i;
        BEGIN; SELECT kanthorq_publish('orders', 'rolled.back', ''); ROLLBACK;
        CALL kanthorq_maintain()});
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
        SELECT kanthorq_publish('orders', 'waiting', '', id => $past)});
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
        SELECT * FROM kanthorq_setting_of_stream ORDER BY 1;
        SELECT stream, partition, first_position, last_position FROM kanthorq_partition
        ORDER BY stream::text, partition::text, 3, 4;
        SELECT tableoid::regclass, count(*) FROM kanthorq_stream_orders GROUP BY 1 ORDER BY tableoid::regclass::text;
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

# What a restored database has that the other has not, or the other way round. Where the rows of a closed partition
# come in while its trigger is there already, the trigger opens it.
sub changes {
    my ($before, $after) = @_;
    return grep { !/^\+ kanthorq_stream_orders\|kanthorq_stream_orders__20260101\|0\|9223372036854775807$/ }
      split /\n/, differences($before, $after);
}

my @psql    = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f');
my @restore = ('pg_restore', '--exit-on-error');

sub every_way {
    my ($kind, $interval) = @_;
    my $shop = "shop_$kind";
    my ($publisher, $lease) = fill($high, $shop, 'public', $interval);
    my $before = contents($high, $shop, 'public');
    like($before, qr/^worker\|23\|23\|\{\d{11},20,22\}/m, "$kind: something is owed, to a high transaction id");
    my $states = join '|', $before =~ /^kanthorq_stream_orders\|kanthorq_stream_orders__20260101\|(\d+\|\d+)$/mg;
    is($states, $interval && '0|9223372036854775807|3|18', "$kind: a partition was closed and opened again");

    # pg_dump runs while a publisher is open.
    my $file   = $high->basedir . "/$kind";
    my $custom = dumped($high, $shop, "$file.custom", '-Fc');
    my @halves = (
        [ @psql, dumped($high, $shop, "$file.schema", '--schema-only') ],
        [ @psql, dumped($high, $shop, "$file.data", '--data-only') ]);
    my %ways = (
        plain     => [ [ @psql, dumped($high, $shop, "$file.sql") ] ],
        inserts   => [ [ @psql, dumped($high, $shop, "$file.inserts", '--rows-per-insert=7') ] ],
        custom    => [ [ @restore, '-j2', $custom ] ],
        directory => [ [ @restore, '-j2', dumped($high, $shop, "$file.directory", '-Fd', '-j2') ] ],
        halves    => \@halves,
        $interval ? (root => [ [ @psql, dumped($high, $shop, "$file.root", '--load-via-partition-root') ] ]) : (),
    );
    for my $way (sort keys %ways) {
        my $restored = "${way}_$kind";
        is(join("\n", changes($before, restored($low, $restored, @{ $ways{$way} }))), '',
            "$restored: all is as it was");
        goes_on($low, $restored, 'public', $lease) unless $way eq 'plain';
    }

    # --disable-triggers is not needed, and its ENABLE TRIGGER ALL forgets that some were ENABLE ALWAYS. Maintenance
    # remembers those of partitions, and takes a closed one whose trigger did not fire for one with late events.
    my $triggers = "triggers_$kind";
    my @lines    = changes($before, restored($low, $triggers, [ @restore, '--schema-only', $custom ],
        [ @restore, '--data-only', '--disable-triggers', $custom ]));
    is(grep(!/^[-+] CREATE TRIGGER kanthorq_(append_only|writer|closed) BEFORE .*\|[AO]$/, @lines), 0,
        "$triggers: that changes when a trigger fires, and nothing else");
    if ($interval) {
        $low->safe_psql($triggers, 'CALL kanthorq_maintain()');
        my $after = contents($low, $triggers, 'public');
        is(grep(/CREATE TRIGGER/, changes($before, $after)), 0, "$triggers: maintenance puts them right");
        like($after, qr/^kanthorq_stream_orders\|kanthorq_stream_orders__20260101\|3\|24$/m,
            "$triggers: and closes what was closed, with all that is in it");
    }
    goes_on($low, $triggers, 'public', $lease);

    # From low transaction ids to high ones.
    my $back = "back_$kind";
    is(join("\n", changes($before, restored($high, $back, [ @psql, dumped($low, "plain_$kind", "$file.back") ]))), '',
        "$back: all is as it was");
    goes_on($high, $back, 'public', $lease);
    close_session($publisher);
}

# One schema of an odd name, with the extension in it.
sub one_schema {
    my ($kind, $interval) = @_;
    my ($database, $odd, $file) = ("elsewhere_$kind", q{"odd 'name"}, $high->basedir . "/odd_$kind");
    my ($publisher, $lease) = fill($high, $database, $odd, $interval);
    my $before = contents($high, $database, $odd);
    dumped($high, $database, $file, '-e', 'kanthorq', '-n', $odd);
    close_session($publisher);
    $low->safe_psql('postgres', "CREATE DATABASE $database");
    $low->command_ok([ @psql, $file, '-d', $database ], "$database: a schema with its extension");
    is(differences($before, contents($low, $database, $odd)), '', "$database: all is as it was");
    goes_on($low, $database, $odd, $lease);
}

for my $kind ([ 'plain', '' ], [ 'partitioned', '1 day' ]) {
    every_way(@$kind);
    one_schema(@$kind);
}

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
my $gone = dumped($high, 'gone', $high->basedir . '/gone');
$low->safe_psql('postgres', 'CREATE DATABASE gone');
$low->command_ok([ @psql, $gone, '-d', 'gone' ], 'gone: a stream without its table');
is($low->safe_psql('gone', 'SELECT kind, name, relation FROM kanthorq_registered_table'),
    'stream|there|kanthorq_stream_there', 'gone: no number is taken for a table');
my (undef, undef, $refusal) = $low->psql('gone', q{SET ROLE shop; SELECT kanthorq_stream_create('gone')});
like($refusal, qr/must be owner of stream "gone"/, 'gone: the name is not for everybody');
is($low->safe_psql('gone', q{SELECT kanthorq_stream_drop('gone', 'gone')}), 't', 'gone: the owner frees it');

$_->stop for $high, $low;
done_testing();
