# A session that publishes or pulls batches keeps the memory for the next one. Each new page that the system gives a process is
# a fault, which the system counts. The server's shared buffers are few here, because a process faults on each of those
# as well when it first looks at it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

plan skip_all => 'this system does not count the faults of a process' unless -r '/proc/self/stat';

my $node = new_node('page_faults', 'shared_buffers = 2MB');
$node->safe_psql('postgres', q{SELECT kanthorq_stream_create('events'); SELECT kanthorq_consumer_create('worker', 'events')});

# Those that were served without reading from the disk.
sub faults_of {
    my ($pid) = @_;
    return (split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //r)[7];
}

# A session of its own does this with batches, which gives an array: some for what it does once, and then those that
# count.
sub keeps_its_memory {
    my ($what, $batch) = @_;
    my ($first, $calls) = (50, 100);
    my $session = open_session($node);
    my ($pid) = ask($session, "PREPARE batch AS SELECT cardinality($batch); SELECT pg_backend_pid()") =~ /(\d+)/;
    my $do_times = sub { return ask($session, "SELECT 'EXECUTE batch' FROM generate_series(1, $_[0]) \\gexec\n\\echo") };
    $do_times->($first);
    my $before = faults_of($pid);
    my $answer = $do_times->($calls);
    my $faults = faults_of($pid) - $before;
    is(() = $answer =~ /^\d+$/mg, $calls, "$what: done");
    cmp_ok($faults, '<', $calls / 2, "$what: $calls calls had $faults page faults");
    close_session($session);
}

sub arrays {
    my ($count, $type, $body) = @_;
    return join ', ', map { "array_fill($_, ARRAY[$count])" } q{'order.created'::text}, "${body}::$type",
        q{'{"trace": "4bf92f3577b34da6a3ce929d0e0e4736", "v": 2}'::jsonb};
}

my $bytes = "repeat('x', 200)";
my $json = q{'{"total": 100, "currency": "EUR", "lines": [{"article": 1}, {"article": 2}]}'};
for my $count (10, 100, 1000) {
    keeps_its_memory("$count events", "kanthorq_publish_many('events', @{[arrays($count, 'bytea', $bytes)]})");
}
keeps_its_memory('100 texts', "kanthorq_publish_many_text('events', @{[arrays(100, 'text', $bytes)]})");
keeps_its_memory('100 documents', "kanthorq_publish_many_json('events', @{[arrays(100, 'jsonb', $json)]})");
keeps_its_memory('100 events, unless they are stored',
    "kanthorq_publish_many('events', @{[arrays(100, 'bytea', $bytes)]}, on_duplicate => 'skip')");
for my $count (10, 100, 500, 10_000) {
    keeps_its_memory("a pull of $count and its ack", qq{(
        WITH sought AS MATERIALIZED (SELECT kanthorq_consumer_seek('worker', 'first', 'worker') AS place),
        pulled AS MATERIALIZED (
            SELECT lease FROM sought, LATERAL kanthorq_pull('worker', CASE WHEN place >= 0 THEN $count END))
        SELECT array_fill(0, ARRAY[kanthorq_ack('worker', max(lease))::integer]) FROM pulled)});
}

$node->stop;
done_testing();
