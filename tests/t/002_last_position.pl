# The last position handed out is never more than that.
#
# nextval puts the value that it has reserved in the WAL, up to 32 ahead, into the sequence's row for
# an instant. Who reads the row then would take positions for handed out that are still to come, pass
# them with the cursor, and lose their events. The instant is that of writing to the WAL; here it is
# made long by somebody who stands still while writing it, so that there is no room in its buffers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();
use KanthorQ;

my $node = new_node('last_position', "wal_buffers = '32kB'");
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders', subject_index => false);
    -- Both go on until they are told to end.
    CREATE FUNCTION write_wal() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        WHILE NOT pg_try_advisory_xact_lock_shared(1) LOOP
            PERFORM pg_logical_emit_message(false, 'noise', repeat('x', 50000));
        END LOOP;
    END $$;
    -- Returns the last position that it took.
    CREATE FUNCTION take_positions() RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE
        last bigint;
    BEGIN
        LOOP
            last := nextval('kanthorq_stream_orders__position_seq');
            EXIT WHEN pg_try_advisory_xact_lock_shared(1);
        END LOOP;
        RETURN last;
    END $$});

my ($control, $writer, $publisher, $watcher) = map { open_session($node) } 1 .. 4;
my ($writer_pid, $publisher_pid, $watcher_pid) =
    map { ask($_, 'SELECT pg_backend_pid()') =~ /(\d+)/ } $writer, $publisher, $watcher;

# Does the process wait for something like this, in a statement like this?
sub waits {
    my ($pid, $event, $statement) = @_;
    return ask($control, qq{SELECT wait_event ~ '^($event)' AND query ~ '$statement'
                            FROM pg_stat_activity WHERE pid = $pid}) eq "t\n";
}

# Is the publisher held up, and not only for a moment?
sub is_held_up {
    for (1 .. 15) {
        return 0 unless waits($publisher_pid, 'WAL', 'take_positions');
        Time::HiRes::usleep(20_000);
    }
    return 1;
}

# Looks, and returns when it has an answer or waits for the publisher.
sub look {
    start_statement($watcher, q{SELECT last_position FROM kanthorq_stream_status('orders')});
    for (1 .. 1000) {
        last if waits($watcher_pid, 'BufferContent|ClientRead', 'last_position');
        Time::HiRes::usleep(10_000);
    }
}

ask($control, 'SELECT pg_advisory_lock(1)');
start_statement($writer,    'SELECT write_wal()');
start_statement($publisher, 'SELECT take_positions()');
my ($held_up, $seen) = (0);
# Told to end while it is held up, the publisher takes no other position.
for (1 .. 500) {
    Time::HiRes::usleep(1000 + rand 3000);
    kill 'STOP', $writer_pid;
    Time::HiRes::usleep(30_000);
    if (is_held_up()) {
        look();
        $held_up = is_held_up();
    }
    ask($control, 'SELECT pg_advisory_unlock(1)') if $held_up;
    kill 'CONT', $writer_pid;
    ($seen) = ask($watcher, 'SELECT') =~ /(\d+)/;
    last if $held_up;
}
ok($held_up, 'a publisher is held up while it takes a position');
my ($last) = ask($publisher, 'SELECT') =~ /(\d+)/;
cmp_ok($seen, '<=', $last, 'who looks meanwhile sees no position that is still to come');
is($node->safe_psql('postgres', q{SELECT last_position FROM kanthorq_streams}), $last,
    'and then the last one handed out');
ask($writer, 'SELECT');
close_session($_) for $control, $writer, $publisher, $watcher;

# A sequence that keeps positions for later would hand out one that consumers have passed already.
$node->safe_psql('postgres', q{
    SELECT kanthorq_consumer_create('worker', 'orders');
    ALTER SEQUENCE kanthorq_stream_orders__position_seq CACHE 10});
my ($status, $out, $err) = $node->psql('postgres', "SELECT kanthorq_pull('worker')");
like($err, qr/cannot consume "kanthorq_stream_orders": its column "position" was altered/,
    'a sequence with a cache is refused');

$node->stop;
done_testing();
