# A full disk: publishing and pulling fail with an error and store nothing by halves; when there is room
# again, all goes on.
#
# The disk is a small file system at KANTHORQ_SMALL_DISK, which scripts/test mounts if it may. All
# of the database is on it, but not the WAL: without room for that the server ends itself, and recovers
# as from any other crash.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $disk = $ENV{KANTHORQ_SMALL_DISK} // '';
plan skip_all => 'there is no small file system to fill: only root may mount one'
  unless -d $disk && (stat $disk)[0] != (stat "$disk/..")[0];

my $node = new_node('disk_full');
mkdir "$disk/space" or die "cannot create $disk/space: $!";
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
$node->safe_psql('postgres', 'CREATE DATABASE small TABLESPACE small');
$node->safe_psql('small', q{
    CREATE EXTENSION kanthorq;
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders', visibility_timeout => '1 ms',
        attempt_max => '32767')});

# Takes all the room that is left, and gives it back.
sub fill_disk {
    open my $file, '>', "$disk/filler" or die "cannot fill the disk: $!";
    for my $size (65536, 4096) {
        1 while syswrite $file, 'x' x $size;
    }
    close $file;
}
sub empty_disk { unlink "$disk/filler" or die "cannot empty the disk: $!" }

sub publish {
    my ($count) = @_;
    return qq{SELECT cardinality(kanthorq_publish_many('orders',
                  array_fill('order.created'::text, ARRAY[$count]),
                  array_fill(convert_to(repeat('x', 1000), 'UTF8'), ARRAY[$count])))};
}

# Runs the statement again and again in one session until it fails; how often it did not, and what the
# error was.
sub run_until_error {
    my ($session, $sql) = @_;
    for my $times (0 .. 10_000) {
        my $answer = ask($session, "\\set VERBOSITY sqlstate\n$sql");
        return ($times, $answer) if $answer =~ /ERROR/;
    }
    die "it never failed: $sql";
}

my $session = open_session($node, 'small');
my $full    = qr/ERROR:  53100/;
my $events  = 'SELECT count(*), count(DISTINCT position) FROM kanthorq_stream_orders';

is(ask($session, publish(100)), "100\n", 'while there is room, it works');
fill_disk();

for my $size (1, 100) {
    my ($before) = ask($session, $events) =~ /^(\d+)/;
    my ($times, $error) = run_until_error($session, publish($size));
    like($error, $full, "publishing $size fails with disk_full");
    my $expected = $before + $times * $size;
    is(ask($session, $events),
        "$expected|$expected\n", 'nothing of what failed is there; the session goes on');
}

# Pulls that collect what ran out write a row for each event.
my ($pulls, $error) = run_until_error($session, q{SELECT count(*) FROM kanthorq_pull('worker', 50)});
like($error, $full, 'pulling fails with disk_full');
my $leases = q{SELECT running FROM kanthorq_consumers};
like(ask($session, $leases), qr/^\d+$/m, 'the session goes on');
like(
    ask($session, q{SELECT kanthorq_stream_create('users')}),
    $full, 'creating a stream fails with disk_full');
like(ask($session, q{SELECT kanthorq_publish('users', 'a', 'b')}), qr/42704/, 'and there is none');

empty_disk();
is(ask($session, publish(1)), "1\n", 'with room again, publishing works');
is(ask($session, q{SELECT name FROM kanthorq_stream_create('users')}), "users\n", 'and creating');
my ($count) = ask($session, $events) =~ /^(\d+)/;

my $answer = ask($session, q{\set VERBOSITY default
    DO $$
    DECLARE batch bigint; count bigint; settled bigint := 0;
    BEGIN
        LOOP
            SELECT min(lease), count(*) INTO batch, count
            FROM kanthorq_pull('worker', 1000, visibility_timeout => '1 hour');
            EXIT WHEN count = 0;
            settled := settled + kanthorq_ack('worker', batch);
        END LOOP;
        RAISE NOTICE 'settled %', settled;
    END $$});
like($answer, qr/settled $count$/m, 'every event is delivered and acknowledged once');
is(ask($session, 'SELECT lag, running, retryable, discarded FROM kanthorq_consumers'), "0|0|0|0\n",
    'and nothing is left');
close_session($session);

$node->command_ok([ 'pg_amcheck', '--install-missing', '--heapallindexed', '--parent-check', 'small' ],
    'tables and indexes agree');
$node->safe_psql('postgres', 'DROP DATABASE small');
$node->safe_psql('postgres', 'DROP TABLESPACE small');
$node->stop;
done_testing();
