# Commits wake those that wait, through shared memory; whoever is not woken looks again each second.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use List::Util qw(min);
use Test::More;
use Time::HiRes qw(time);
use KanthorQ;

my $node = new_node('wake', "shared_preload_libraries = 'kanthorq'");
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('picky', 'orders', includes => '{never}')});
my $worker = open_session($node);
my $worker_pid = ask($worker, 'SELECT pg_backend_pid();');
chomp $worker_pid;

sub wait_until_asleep {
    wait_for($node, 'SELECT ' . asleep() . " FROM pg_stat_activity WHERE pid = $worker_pid");
}

# Starts the worker's statement, then does `publish` once it sleeps; the worker's answer.
sub answer_to {
    my ($statement, $publish) = @_;
    start_statement($worker, $statement);
    wait_until_asleep();
    $publish->();
    return ask($worker, 'SELECT 1;');
}

my $pull = q{SELECT count(*) || ' events' FROM kanthorq_pull('worker', wait => '10 minutes')};
my $columns = 'kanthorq_stream_orders (subject, body)';
my %ways = (
    'kanthorq_publish'      => q{SELECT kanthorq_publish('orders', 'order.created', '')},
    'kanthorq_publish_many' => q{SELECT kanthorq_publish_many('orders', '{a,b}', '{x,y}')},
    'INSERT'                => "INSERT INTO $columns VALUES ('order.created', '')",
    'COPY'                  => "COPY $columns FROM PROGRAM 'echo order.created,x' (FORMAT csv)",
    'a savepoint' => q{BEGIN; SAVEPOINT s; SELECT kanthorq_publish('orders', 'a', ''); RELEASE s; COMMIT},
);

# A second look would end each wait as well, but not before a second is over. So the fastest of some rounds decides: a
# machine that is busy makes a round slow, and a worker that is not woken makes every round slow.
my $publisher = open_session($node);
my $fast      = 0.3;

# The seconds from `publish` to the end of the wait, at best, in up to 30 rounds; `round` starts a wait.
sub fastest {
    my ($round, $publish) = @_;
    my $fastest = 9;
    for (1 .. 30) {
        $round->();
        my $published = time;
        ask($publisher, $publish);
        return 9 if ask($worker, '') !~ /^[12] events$/m;
        $fastest = min($fastest, time - $published);
        last if $fastest < $fast;
    }
    return $fastest;
}

sub start_waiting {
    start_statement($worker, $pull);
    wait_until_asleep();
}
for my $way (sort keys %ways) {
    my $received = 0;
    for (1 .. 5) {
        my $answer = answer_to($pull, sub { ask($publisher, $ways{$way}) });
        $received++ if $answer =~ /^[12] events$/m;
    }
    is($received, 5, "$way ends a wait, each time");
    cmp_ok(fastest(\&start_waiting, $ways{$way}), '<', $fast, 'and faster than by looking each second');
}

my $answer = answer_to(q{CALL kanthorq_wait('worker', '10 minutes')},
    sub { $node->safe_psql('postgres', $ways{INSERT}) });
is($answer, "1\n", 'a commit ends kanthorq_wait()');
like(ask($worker, "$pull;"), qr/^1 events$/m, 'and there is something to pull');

# How often the worker ran: as often as it was woken, and once a second.
sub times_run {
    my ($count) = slurp_file("/proc/$worker_pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
    return $count;
}
sub run_during {
    my ($times, $sql) = @_;
    my $start  = time;
    my $before = times_run();
    ask($publisher, join(' ', ($sql) x $times));
    return (times_run() - $before, time - $start);
}
start_statement($worker, $pull);
wait_until_asleep();
# A worker that was woken in vain pauses up to 32 ms: not before then could it be woken anew.
my $many = 20;
my ($runs, $seconds) = run_during($many,
    q{BEGIN; SELECT kanthorq_publish('orders', 'order.created', ''); ROLLBACK; SELECT pg_sleep(0.05);});
cmp_ok($runs, '<', $many / 2 + 2 * $seconds, 'a transaction that rolls back wakes nobody');
like(answer_to('', sub { $node->safe_psql('postgres', $ways{INSERT}) }), qr/^1 events$/m, 'a commit does');

# A filter that skips all of a busy stream: the worker doesn't run for each of its commits.
start_statement($worker, q{SELECT count(*) || ' events' FROM kanthorq_pull('picky', wait => '10 minutes')});
wait_until_asleep();
my $cursor = q{SELECT cursor FROM kanthorq_consumers WHERE name = 'picky'};
my $stood  = $node->safe_psql('postgres', $cursor);
$many = 300;
($runs, $seconds) = run_during($many, q{SELECT kanthorq_publish('orders', 'order.created', '');});
cmp_ok($runs, '<', $many / 2 + 100 * $seconds, 'wake-ups that bring nothing make a worker slower to wake');
is($node->safe_psql('postgres', $cursor), $stood, 'and what it passes meanwhile is not written');
like(
    answer_to('', sub { $node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'never', 'x')}) }),
    qr/^1 events$/m, 'the one event it wants comes');
$node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('worker', 1000)});

# A prepared transaction wakes nobody when it commits. So whoever waits for one looks often.
my $prepare = q{BEGIN; SELECT kanthorq_publish('orders', 'order.created', ''); PREPARE TRANSACTION 'p'};
$answer = answer_to($pull, sub { $node->safe_psql('postgres', $_) for $prepare, q{COMMIT PREPARED 'p'} });
like($answer, qr/^1 events$/m, 'a prepared transaction can publish, and its events come');
sub start_waiting_for_prepared {
    $node->safe_psql('postgres', $prepare);
    start_waiting();
}
cmp_ok(fastest(\&start_waiting_for_prepared, q{COMMIT PREPARED 'p';}), '<', $fast, 'and they come soon');
sub prepare_while_it_waits {
    start_waiting();
    $node->safe_psql('postgres', $prepare);
}
cmp_ok(fastest(\&prepare_while_it_waits, q{COMMIT PREPARED 'p';}), '<', $fast,
    'also if it waited before there was a prepared one');

# Retries and deadlines that fall due end a wait, without anybody's commit.
ask($worker, q{SELECT kanthorq_publish('orders', 'order.created', '');});
ask($worker, q{SELECT kanthorq_nack('worker', lease, retry_in => '50 ms') FROM kanthorq_pull('worker');});
like(ask($worker, "$pull;"), qr/^1 events$/m, 'a retry that falls due ends a wait');

# Signalled while its look waits for the consumer's lock, and then finding nothing, a worker still hears
# the next commit.
my $blocker = open_session($node);
my $hears   = fastest(sub {
    start_waiting();
    ask($blocker, q{BEGIN; SELECT kanthorq_cancel('worker', '{}');});
    $node->safe_psql('postgres', $ways{INSERT});
    wait_for($node, "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $worker_pid");
    $node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.created', '')});
    ask($blocker, q{SELECT count(*) FROM kanthorq_pull('worker'); COMMIT;});
    wait_until_asleep();
}, $ways{INSERT});
cmp_ok($hears, '<', $fast, 'a worker that waited for the lock is woken by the next commit');

# A filter that is widened lets a waiting pull see what it has passed.
start_statement($worker, q{SELECT count(*) || ' events' FROM kanthorq_pull('picky', wait => '10 minutes')});
wait_until_asleep();
$node->safe_psql('postgres', $ways{INSERT});
wait_until_asleep();
like(answer_to('', sub { $node->safe_psql('postgres', q{SELECT kanthorq_consumer_alter('picky', includes => '{>}')}) }),
    qr/^[1-9]\d* events$/m, 'a waiting pull notices that its filter was widened');

# A fast shutdown ends workers that sleep here as well.
$node->safe_psql('postgres', q{SELECT kanthorq_consumer_create('last', 'orders', start_at => 'new')});
start_statement($worker, q{CALL kanthorq_wait('last', '10 minutes')});
start_statement($blocker, q{SELECT count(*) FROM kanthorq_pull('last', wait => '10 minutes')});
wait_for($node, q{SELECT count(*) = 2 FROM pg_stat_activity
                  WHERE query ~ 'kanthorq_\w+\(.last' AND } . asleep());
$node->stop('fast');  # it gives up long before their ten minutes are over
for my $waiting ($worker, $blocker) {
    eval { $waiting->{run}->finish };  # psql ends with the connection
    like($waiting->{err}, qr/terminating connection due to administrator command/, 'a fast shutdown ends a waiting worker');
}
close_session($publisher);
done_testing();
