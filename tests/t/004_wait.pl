# An idle worker holds back no vacuum, and a shutdown does not wait for it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use KanthorQ;

my $node = new_node('wait');
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders')});

sub waiting {
    my ($count, $statement) = @_;
    return "SELECT count(*) = $count FROM pg_stat_activity WHERE query ~* '$statement' AND " . asleep();
}

my $session = open_session($node);
start_statement($session, q{CALL kanthorq_wait('worker', '10 minutes');});
wait_for($node, waiting(1, 'CALL kanthorq_wait'));
# While it sleeps there is no snapshot, and never is there a transaction id. The samples are spread over many looks, and
# the id that comes next stays the same. (A sample is no single moment: a look may begin while it is taken.)
my $samples = q{DO $$
    DECLARE
        following CONSTANT xid8 := pg_snapshot_xmax(pg_current_snapshot());
        asleep integer := 0;
        holding integer := 0;
        sample record;
    BEGIN
        WHILE asleep < 500 LOOP
            PERFORM pg_stat_clear_snapshot();
            SELECT backend_xmin IS NOT NULL OR backend_xid IS NOT NULL AS holds INTO sample FROM pg_stat_activity
            WHERE query ~ '^CALL kanthorq_wait' AND } . asleep() . q{;
            IF FOUND THEN
                asleep := asleep + 1;
                holding := holding + sample.holds::integer;
            END IF;
            PERFORM pg_sleep(0.002);
        END LOOP;
        RAISE NOTICE 'holding: %, same: %', holding, pg_snapshot_xmax(pg_current_snapshot()) = following;
    END $$};
my (undef, undef, $said) = $node->psql('postgres', $samples);
my ($holding, $same) = $said =~ /holding: (\d+), same: (\w)/;
cmp_ok($holding, '<', 50, "waiting holds back no vacuum ($holding samples of 500)");
is($same, 't', 'and takes no transaction id');
$node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.created', '')});
is(ask($session, "SELECT 'returned';"), "returned\n", 'kanthorq_wait() returns when there is work');

is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('worker')}), 1, 'and there is');

# A cancel ends a wait; the session goes on. A timeout of the server does not come to it: the wait ends before.
start_statement($session, q{CALL kanthorq_wait('worker', '10 minutes');});
wait_for($node, waiting(1, 'CALL kanthorq_wait'));
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                               WHERE query ~ '^CALL kanthorq_wait'});
like(ask($session, "SELECT 'alive';"), qr/^alive\n.*user request/, 'a cancelled wait leaves the session usable');
is(ask($session, q{SET statement_timeout = '4 s'; CALL kanthorq_wait('worker', '10 minutes');}),
    '', 'a wait ends before statement_timeout');
is(ask($session, q{SELECT count(*) FROM kanthorq_pull('worker', wait => '10 minutes');}),
    "0\n", 'and so does the wait of a pull');
ask($session, 'RESET statement_timeout;');

# It commits nobody's work. psql sends what one -c has as one statement, which is one transaction.
my (undef, undef, $error) = $node->psql('postgres',
    q{CREATE TABLE work (what text); CALL kanthorq_wait('worker', '0')}, extra_params => ['--single-transaction']);
like($error, qr/must be called on its own/, 'it is refused in a transaction of several statements');
my @pipeline = ('python3', '-c', <<'PYTHON', $node->connstr('postgres'));
import sys
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    try:
        with connection.pipeline():
            connection.execute("CREATE TABLE work (what text)")
            connection.execute("CALL kanthorq_wait('worker', '0')")
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        print(error.sqlstate)
PYTHON
my ($state, $complaint) = ('', '');
IPC::Run::run(\@pipeline, '<', '/dev/null', '>', \$state, '2>', \$complaint);
is("$state$complaint", "25001\n", 'and in a pipeline');
is($node->safe_psql('postgres', q{SELECT to_regclass('work') IS NULL}), 't', 'neither commits what came before it');

# An expired lease that somebody is settling is nothing to pull, so it ends no wait.
my $settling = open_session($node);
$node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.created', '')});
my $lease = $node->safe_psql('postgres',
    q{SELECT lease FROM kanthorq_pull('worker', visibility_timeout => '1 ms')});
ask($settling, "BEGIN; SELECT kanthorq_ack('worker', $lease);");
my $began = time;
ask($session, q{CALL kanthorq_wait('worker', '300 ms');});
cmp_ok(time - $began, '>=', 0.3, 'a lease that is being settled ends no wait');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('worker')}), 0, 'nor is it given on');
ask($settling, 'ROLLBACK;');
ask($session, q{CALL kanthorq_wait('worker', '10 minutes');});
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('worker')}), 1,
    'once it is not, it does, and is');
close_session($settling);

# A pull that sleeps holds no lock on the tables, so nobody waits for it, and it goes on with what it finds.
my $puller = open_session($node);
start_statement($puller, q{SELECT 'got ' || count(*) FROM kanthorq_pull('worker', wait => '10 minutes');});
wait_for($node, waiting(1, 'FROM kanthorq_pull'));
is( ask($session, q{SET lock_timeout = '10 s';
        ALTER TABLE kanthorq_stream_orders SET (fillfactor = 90);
        ALTER TABLE kanthorq_consumer_worker SET (autovacuum_enabled = on);
        SELECT kanthorq_consumer_seek('worker', 'new', 'worker') > 0;}),
    "t\n", 'DDL and a seek do not wait for a pull that sleeps');
ask($session, q{SELECT kanthorq_publish('orders', 'order.created', 'after');});
is(ask($puller, 'SELECT 1;'), "got 1\n1\n", 'which gets what comes then');
start_statement($puller, q{SELECT 'got ' || count(*) FROM kanthorq_pull('worker', wait => '10 minutes');});
wait_for($node, waiting(1, 'FROM kanthorq_pull'));
is(ask($session, q{SELECT kanthorq_consumer_drop('worker', 'worker');}), "t\n", 'a drop does not wait either');
like(ask($puller, 'SELECT 1;'), qr/consumer "worker" does not exist/, 'and the pull says that the consumer is gone');
close_session($puller);
ask($session, q{SELECT kanthorq_consumer_create('worker', 'orders', start_at => 'new');});

# A fast shutdown ends waiting workers.
my $other = open_session($node);
start_statement($session, q{CALL kanthorq_wait('worker', '10 minutes');});
start_statement($other, q{SELECT kanthorq_pull('worker', wait => '10 minutes');});
wait_for($node, waiting(2, 'kanthorq'));
$node->stop('fast');  # it gives up long before their ten minutes are over
for my $worker ($session, $other) {
    eval { $worker->{run}->finish };  # psql ends with the connection
    like($worker->{err}, qr/terminating connection due to administrator command/, 'a fast shutdown ends a waiting worker');
}
done_testing();
