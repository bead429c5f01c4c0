# A process that stands still, as on a machine that is out of memory or a laptop that was closed, holds
# up nobody but itself: a publisher that has a position, a worker whose lease runs out, a worker in the
# middle of its ack or its pull.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;

my $node = new_node('stopped', 'restart_after_crash = on');
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('in_order', 'orders', ordered => true)});

sub publish { return "SELECT length(kanthorq_publish('orders', 'order.created', '$_[0]'))" }

# What a consumer gets now, each event with its attempt; acknowledged.
sub pulled {
    my ($consumer) = @_;
    return $node->safe_psql('postgres', qq{
        SET lock_timeout = '10 s';
        WITH batch AS MATERIALIZED (SELECT * FROM kanthorq_pull('$consumer')),
             ack AS MATERIALIZED (SELECT kanthorq_ack('$consumer', lease) FROM batch LIMIT 1)
        SELECT string_agg(convert_from(body, 'UTF8') || attempt, ' ' ORDER BY position)
        FROM batch, ack});
}

my ($session, $pid) = session_and_process($node);
for my $point (qw(publish_position publish_heap publish_end)) {
    stop_at($session, $pid, $point, publish('held_up'));
    $node->safe_psql('postgres', publish('another'));
    is(pulled('worker'), 'another1', "publisher stopped at $point: others publish and are delivered");
    is(pulled('worker'), '', 'once');
    is(pulled('in_order'), '', 'an ordered consumer waits');
    is(go_on($session, $pid), "26\n", 'it goes on');
    is(pulled('worker'), 'held_up1', 'and its event comes');
    is(pulled('in_order'), 'held_up1 another1', 'to the ordered consumer in its place');
}

# The same with a commit that never comes.
stop_at($session, $pid, 'publish_end', publish('held_up'));
$node->safe_psql('postgres', publish('another'));
is(pulled('worker'), 'another1', 'a stopped publisher that is killed: others are delivered');
after_crash($node, sub { kill 'KILL', $pid });
close_session($session);
is(pulled('worker'),   '',         'its event never comes');
is(pulled('in_order'), 'another1', 'and an ordered consumer goes on without it');

# A worker whose process stands still past its lease.
($session, $pid) = session_and_process($node);
$node->safe_psql('postgres', publish('slow'));
my ($lease) = ask($session,
    q{SELECT lease FROM kanthorq_pull('worker', visibility_timeout => '1 ms')}) =~ /(\d+)/;
kill 'STOP', $pid;
wait_for_state($pid, 'T');
start_statement($session, "\\set VERBOSITY sqlstate\nSELECT kanthorq_ack('worker', $lease)");
wait_for($node, q{SELECT deadline < extract(epoch FROM clock_timestamp()) * 1000
                  FROM kanthorq_delivery_lease WHERE lease > 0 AND consumer = 'worker'});
is(pulled('worker'), 'slow2', 'a worker stopped past its lease: another one gets the event');
like(go_on($session, $pid), qr/KQ001/, 'its ack is refused');
is(pulled('worker'), '', 'nothing comes once more');

# In the middle of its ack the lease is still its own, also when it has run out; others go on.
for my $point (qw(settle_locked settle_shrunk)) {
    $node->safe_psql('postgres', publish('settled'));
    ($lease) = ask($session,
        q{SELECT lease FROM kanthorq_pull('worker', visibility_timeout => '1 ms')}) =~ /(\d+)/;
    stop_at($session, $pid, $point, "SELECT kanthorq_ack('worker', $lease)");
    $node->safe_psql('postgres', publish('next'));
    is(pulled('worker'), 'next1', "worker stopped at $point: others go on, and leave its lease alone");
    is(go_on($session, $pid), "1\n", 'it goes on and has acknowledged');
    is(pulled('worker'), '', 'nothing comes once more');
}

# In the middle of a pull it is in the way of other pulls of its consumer, which can wait as long as
# they like; and of nobody else.
$node->safe_psql('postgres', publish('pulled'));
stop_at($session, $pid, 'pull_lease',
    q{SELECT convert_from(body, 'UTF8'), attempt FROM kanthorq_pull('worker')});
$node->safe_psql('postgres', publish('next'));
like(pulled('in_order'), qr/pulled1 next1$/, 'worker stopped in a pull: other consumers go on');
my ($status, $out, $err) = $node->psql(
    'postgres',
    "SET lock_timeout = '100 ms'; SELECT kanthorq_pull('worker')",
    extra_params => [qw(-v VERBOSITY=sqlstate)]);
like($err, qr/55P03/, 'lock_timeout ends the wait of other pulls');
is(go_on($session, $pid), "pulled|1\n", 'it goes on and has its event');
is(pulled('worker'), 'next1', 'and others have the next');

close_session($session);
is_clean($node, 'tables and indexes agree');
$node->stop;
done_testing();
