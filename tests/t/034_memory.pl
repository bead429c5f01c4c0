# What looks at many rows takes no more memory than what looks at a few. The peak of a session's memory is read from
# the operating system. The server's shared buffers, which count as well, are small here.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

plan skip_all => 'this system does not show the peak of a process'
    unless -w '/proc/self/clear_refs' && slurp_file('/proc/self/status') =~ /^VmHWM:/m;

my $node = new_node('memory', 'shared_buffers = 2MB', 'work_mem = 1MB');

# The events match every consumer's subject; of their metadata only the last one's does. It is long enough to be
# looked at as a whole.
my $rows = 100_010;
$node->safe_psql('postgres', qq{
    SELECT kanthorq_stream_create('events');
    SELECT kanthorq_consumer_create('picky', 'events', metadata_contains => '{"kind": {"of": ["a", "b"]}}');
    INSERT INTO kanthorq_stream_events (subject, body, metadata)
    SELECT 'event', '', '{"kind": {"of": ["a", "c", {"d": [1, 2, 3]}]}, "other": ["b"]}' FROM generate_series(1, $rows);
    VACUUM ANALYZE kanthorq_stream_events});

my $session = open_session($node);
my ($pid) = ask($session, 'SELECT pg_backend_pid()') =~ /(\d+)/;

sub peak {
    my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m;
    return $kb;
}

# The answer to a statement, and by how many kB the session's memory has grown over what it was before.
sub taken {
    my ($statement) = @_;
    append_to_file("/proc/$pid/clear_refs", "5\n");
    my $before = peak();
    my $answer = ask($session, $statement);
    return ($answer, peak() - $before);
}

# The whole statement on few rows comes first, for what is loaded once.
sub stays_flat {
    my ($what, $few, $many, $expected) = @_;
    ask($session, $few);
    my ($answer, $kb) = taken($many);
    like($answer, $expected, "$what: answered");
    cmp_ok($kb, '<', 2048, "$what: took $kb kB");
}

my $last = $node->safe_psql('postgres',
    q{SELECT kanthorq_publish('events', 'event', '', '{"kind": {"of": ["a", "b"]}}')});
my $third = $node->safe_psql('postgres', 'SELECT id FROM kanthorq_stream_events WHERE position = 3');
# The short statement removes two events.
stays_flat('a trim that finds at the end what a consumer has not finished',
    "SELECT kanthorq_stream_trim('events', '$third', 'events')",
    q{SELECT kanthorq_stream_trim('events', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', 'events')},
    qr/consumer "picky" has not finished/);

$node->safe_psql('postgres', q{SELECT kanthorq_consumer_create('busy', 'events')});
stays_flat('a pull that looks at 100,000 rows',
    q{SELECT count(*) FROM kanthorq_pull('busy', 1)},
    q{SELECT count(*) FROM kanthorq_pull('picky')}, qr/^0$/);
stays_flat('a pull that finds the one event', 'SELECT 1', q{SELECT count(*) FROM kanthorq_pull('picky')}, qr/^1$/);

# Five leases of 10,000 events each, which a cancellation looks through for each event.
$node->safe_psql('postgres', q{SELECT kanthorq_consumer_seek('busy', 'first', 'busy')});
$node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('busy', 10000)}) for 1 .. 5;
sub ids {
    my ($from, $count) = @_;
    return "ARRAY(SELECT id FROM kanthorq_stream_events WHERE position > $from ORDER BY position LIMIT $count)";
}
stays_flat('the view of many events in leases', 'SELECT 1', q{SELECT running FROM kanthorq_consumers WHERE name = 'busy'},
    qr/^50000$/);
ask($session, "SELECT cardinality(kanthorq_cancel('busy', @{[ids(60_000, 10)]}))");
stays_flat('a trim that looks through all leases, and finds nothing to remove', 'SELECT 1',
    "SELECT kanthorq_stream_trim('events', '$third', 'events')", qr/^0$/);
stays_flat('cancelling 1,000 events that are in none', "SELECT cardinality(kanthorq_cancel('busy', @{[ids(60_000, 10)]}))",
    "SELECT cardinality(kanthorq_cancel('busy', @{[ids(70_000, 1000)]}))", qr/^1000$/);
stays_flat('and resuming them', "SELECT cardinality(kanthorq_resume('busy', @{[ids(60_000, 10)]}))",
    "SELECT cardinality(kanthorq_resume('busy', @{[ids(70_000, 1000)]}))", qr/^1000$/);

# Errors of the greatest length.
my $lease = $node->safe_psql('postgres', q{SELECT min(lease) FROM kanthorq_delivery_lease WHERE consumer = 'busy'});
my $error = q{error => repeat('x', 2000), retry_in => '0'};
stays_flat('refusing 10,000 events', 'SELECT 1', "SELECT kanthorq_nack('busy', $lease, $error)", qr/^10000$/);
stays_flat('the view of 10,000 tasks', 'SELECT 1', q{SELECT retryable FROM kanthorq_consumers WHERE name = 'busy'},
    qr/^10000$/);

close_session($session);
$node->stop;
done_testing();
