# A synchronous standby is promoted under load: what a client was told is true there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $primary = new_primary('primary');
$primary->safe_psql('postgres', q{
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL);
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create(name, 'orders') FROM unnest('{worker,holder}'::text[]) AS name;
    SELECT kanthorq_consumer_create('in_order', 'orders', ordered => true)});
my $standby = new_standby('standby', $primary);
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
wait_for($primary, q{SELECT sync_state = 'sync' FROM pg_stat_replication});

# What is open when the primary dies: two prepared transactions, a publisher, a lease, a retry.
sub prepare {
    my ($name) = @_;
    return $primary->safe_psql('postgres', qq{
        BEGIN; SELECT kanthorq_publish_text('orders', 'order.paid', '$name'); PREPARE TRANSACTION '$name'});
}
my $kept = prepare('kept');
my $gone = prepare('gone');
my $publisher = open_session($primary);
my ($open) = ask($publisher, "BEGIN; SELECT kanthorq_publish('orders', 'order.paid', '')") =~ /(\w{26})/;
$primary->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.paid', '') FROM generate_series(1, 6)});
my ($held)    = split /\n/, $primary->safe_psql('postgres', q{SELECT lease FROM kanthorq_pull('holder', 3)});
my ($refused) = split /\n/, $primary->safe_psql('postgres', q{SELECT lease FROM kanthorq_pull('holder', 3)});
$primary->safe_psql('postgres', "SELECT kanthorq_nack('holder', $refused, error => 'no', retry_in => '1 hour')");

my @publishers = map { start_script($primary, publishing('orders', 5000)) } 1 .. 3;
my %settings   = (durable => 'SET kanthorq.durable_pull = on;', other => '');
my %workers    = map { $_ => start_script($primary, $settings{$_} . working('worker', 5000)) } sort keys %settings;
wait_for($primary, q{SELECT (SELECT count(*) > 300 FROM kanthorq_stream_orders)
                        AND (SELECT count(*) > 100 FROM done)});
my $late = q{SELECT cardinality(late) / 3 >= 3 FROM kanthorq_delivery_state WHERE consumer = 'worker'};
wait_for($primary, $late);
$primary->stop('immediate');
finish_script($_) for @publishers, values %workers;
close_session($publisher);
$standby->promote;

my @committed = committed_ids(@publishers);
cmp_ok(scalar @committed, '>', 100, 'publishers were told of ' . @committed . ' committed events');
is($standby->safe_psql('postgres', "SELECT count(*) FROM kanthorq_stream_orders WHERE id IN ('"
            . join("','", @committed) . "')"), scalar @committed, 'which are all there');
is($standby->safe_psql('postgres', $late), 't', 'the late list is');
is($standby->safe_psql('postgres', q{
        SELECT string_agg(gid, ' ' ORDER BY gid) FROM kanthorq_horizon('orders')}), 'gone kept',
    'prepared transactions are still writers, and nobody else is');
is($standby->safe_psql('postgres', q{
        SELECT bool_and(cursor <= ceiling), bool_and(ceiling <= last_position),
               max(last_position) >= (SELECT max(position) FROM kanthorq_stream_orders)
        FROM kanthorq_delivery_state, kanthorq_streams}), 't|t|t',
    'no consumer is ahead of the positions handed out');

# What workers were told.
is($standby->safe_psql('postgres', "SELECT kanthorq_ack('holder', $held)"), 3, 'a lease is held');
is($standby->safe_psql('postgres', q{SELECT state, attempt_count FROM kanthorq_tasks('holder')}),
    join("\n", ('retryable|1') x 3), 'a refused event waits for its retry');
for my $kind (sort keys %workers) {
    my $output  = output_of($workers{$kind});
    my %ids     = $output =~ /^leased (\d+) (.*)$/mg;
    my %settled = map { $_ => 1 } $output =~ /^settled (\d+)$/mg;
    my @done    = map { split / / } @ids{ grep { $ids{$_} } keys %settled };
    is($standby->safe_psql('postgres', "SELECT count(*) FROM done WHERE id IN ('" . join("','", @done) . "')"),
        scalar @done, 'what a worker settled is settled');
    for my $lease (grep { !$settled{$_} } keys %ids) {
        my $count = split / /, $ids{$lease};
        my $done  = $standby->safe_psql('postgres',
            "SELECT count(*) FROM done WHERE id IN ('" . join("','", split / /, $ids{$lease}) . "')");
        my $running = $standby->safe_psql('postgres',
            "SELECT count(*) FROM kanthorq_delivery_lease WHERE consumer = 'worker' AND lease = $lease");
        # The standby may not know of a pull that did not wait for it.
        my $held = $kind eq 'durable' ? qr/^0 1$/ : qr/^0 [01]$/;
        like("$done $running", $done ? qr/^$count 0$/ : $held, "$kind: what it was about to is settled, or its lease is held");
    }
}

# And on it goes, exactly.
$standby->safe_psql('postgres', q{SELECT kanthorq_publish_text('orders', 'order.paid', 'next')});
my @ordered = drain($standby, 'in_order');
is(scalar @ordered, 0, 'an ordered consumer waits for the prepared transactions');
expire_leases($standby);
drain($standby, 'worker');
$standby->safe_psql('postgres', $_) for "COMMIT PREPARED 'kept'", "ROLLBACK PREPARED 'gone'";
is_deeply([ drain($standby, 'worker') ], [$kept], 'what was prepared comes when it is committed');
@ordered = drain($standby, 'in_order');
is($ordered[0], $kept, 'and to the ordered consumer in its place');
is(join(' ', @ordered), $standby->safe_psql('postgres',
        q{SELECT string_agg(id, ' ' ORDER BY position) FROM kanthorq_stream_orders}),
    'which gets everything in order');
is($standby->safe_psql('postgres', q{
        SELECT (SELECT count(*) FROM kanthorq_stream_orders) = count(*), count(*) = count(DISTINCT done.id),
               count(*) = count(events.id)
        FROM done LEFT JOIN kanthorq_stream_orders AS events USING (id) WHERE consumer = 'worker'}), 't|t|t',
    'the work of every event is done, once');
is($standby->safe_psql('postgres', "SELECT count(*) FROM kanthorq_stream_orders WHERE id IN ('$gone', '$open')"),
    0, 'what was not committed never comes');
is($standby->safe_psql('postgres', q{SELECT late FROM kanthorq_delivery_state WHERE consumer = 'worker'}), '{}',
    'and nothing is owed any more');

$standby->stop;
done_testing();
