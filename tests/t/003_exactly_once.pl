# Pull, work and ack in one transaction is exactly-once, whatever is killed in the middle.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('exactly_once');
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('invoices', 'orders', visibility_timeout => '1 hour');
    CREATE TABLE invoice (order_id text NOT NULL);
    SELECT count(kanthorq_publish_text('orders', 'order.paid', i::text)) FROM generate_series(1, 30) i});

# The work of one batch of ten, up to a point at which somebody may pull the plug.
my $pull = q{CREATE TEMPORARY TABLE batch ON COMMIT DROP AS SELECT * FROM kanthorq_pull('invoices', 10);};
my $work = q{INSERT INTO invoice SELECT convert_from(body, 'UTF8') FROM batch;};
my $ack = q{SELECT kanthorq_ack('invoices', lease) FROM (SELECT DISTINCT lease FROM batch) AS leases;};

sub invoices {
    return $node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT order_id) FROM invoice');
}

sub backend {
    my ($session) = @_;
    my ($pid) = ask($session, 'SELECT pg_backend_pid();') =~ /(\d+)/;
    return $pid;
}

# The worker's backend is killed after each step and before the commit; the server starts over.
for my $steps ([ 'the pull', $pull ], [ 'the work', "$pull $work" ], [ 'the ack', "$pull $work $ack" ]) {
    my ($after, $sql) = @$steps;
    my $session = open_session($node);
    my $pid = backend($session);
    ask($session, "BEGIN; $sql");
    after_crash($node, sub { kill 'KILL', $pid });
    eval { close_session($session) };
    is(invoices(), '0|0', "killed after $after: nothing was done");
}

# The server stops without warning after the ack and before the commit.
my $session = open_session($node);
ask($session, "BEGIN; $pull $work $ack");
$node->stop('immediate');
close_session($session);
$node->start;
is(invoices(), '0|0', 'stopped after the ack: nothing was done');

# Then the work is done, each event's once; in between a worker dies after its commit.
for my $batch (1 .. 3) {
    $session = open_session($node);
    my $pid = backend($session);
    ask($session, "BEGIN; $pull $work $ack COMMIT;");
    if ($batch == 2) { after_crash($node, sub { kill 'KILL', $pid }) }
    close_session($session);
    is(invoices(), (10 * $batch) . '|' . (10 * $batch), "batch $batch was done once");
}
is($node->safe_psql('postgres', "SELECT count(*) FROM kanthorq_pull('invoices', 100)"), 0,
    'nothing is left');

# A worker that comes too late: its lease ran out, was given on, and is refused with its work.
$node->safe_psql('postgres', q{SELECT kanthorq_publish_text('orders', 'order.paid', '31')});
my ($slow, $fast) = (open_session($node), open_session($node));
my ($lease) = ask($slow,
    q{SELECT lease FROM kanthorq_pull('invoices', 10, visibility_timeout => '1 ms');}) =~ /(\d+)/;
wait_for($node, q{SELECT count(*) = 1 FROM kanthorq_delivery_lease
                  WHERE lease > 0 AND deadline < extract(epoch FROM clock_timestamp()) * 1000});
ask($slow, q{BEGIN; INSERT INTO invoice VALUES ('31');});
ask($fast, "BEGIN; $pull $work $ack COMMIT;");
like(ask($slow, "\\set VERBOSITY sqlstate\nSELECT kanthorq_ack('invoices', $lease);"), qr/KQ001/,
    'the late ack is refused with KQ001');
ask($slow, 'COMMIT;');
is($node->safe_psql('postgres', q{SELECT count(*) FROM invoice WHERE order_id = '31'}), 1,
    'and the work of the late worker is rolled back with it');
close_session($_) for $slow, $fast;

$node->stop;
done_testing();
