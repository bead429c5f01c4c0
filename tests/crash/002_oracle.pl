# The stress test (tests/stress) while its server crashes again and again: at random moments it is
# stopped immediately, its postmaster or one of its backends is killed, connections are ended. Then all
# is drained, and the oracle compares what each client saw: nothing lost, nothing invented, nothing
# twice without a reason, all in order.
#
#   KANTHORQ_CRASH_STOPS   how often; 16 without it
#   KANTHORQ_CRASH_SEED    what is done when, and what the clients try; without it another seed each
#                          time, which is printed
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use KanthorQ;
use Crash;

my $stops = $ENV{KANTHORQ_CRASH_STOPS} // 16;
my $seed  = $ENV{KANTHORQ_CRASH_SEED} // int rand 1_000_000;
diag("seed $seed, $stops stops");
srand $seed;

# As a server is set up, but for autovacuum, which is eager; and without a log of every statement.
my $node = new_node(
    'oracle', 'restart_after_crash = on', "shared_preload_libraries = 'kanthorq'",
    'max_prepared_transactions = 60', 'wal_level = replica', 'log_statement = none',
    'autovacuum = on', 'autovacuum_naptime = 1s', 'checkpoint_timeout = 30s');

# The server's other processes, which are all at home in its data directory, end when they see that the
# postmaster is gone; as long as one is left, no other postmaster starts.
sub kill_postmaster {
    my $home       = $node->data_dir;
    my $postmaster = (split /\n/, slurp_file("$home/postmaster.pid"))[0];
    $node->kill9;
    sleep 0.02 while kill(0, $postmaster) || grep { (readlink($_) // '') eq $home } glob '/proc/[0-9]*/cwd';
    $node->start;
}

my $clients = q{FROM pg_stat_activity WHERE application_name = 'stress' AND state = 'active'};

sub kill_backend {
    my ($doing) = @_;
    after_crash($node, sub {
        for (1 .. 1000) {
            my $pid = $node->safe_psql('postgres',
                "SELECT pid $clients AND query ~* '$doing' ORDER BY random() LIMIT 1");
            return if $pid && kill 'KILL', $pid;
        }
        die "no client was found doing $doing";
    });
}

# Every second time.
my $immediate = [ 'pg_ctl stop -m immediate', sub { $node->stop('immediate'); $node->start } ];
my @ways = (
    [ 'kill -9 of a publisher', sub { kill_backend('kanthorq_publish|^INSERT|^COPY|^COMMIT|PREPARE') } ],
    [ 'kill -9 of a worker', sub { kill_backend('kanthorq_(pull|ack|nack|extend|cancel|resume)') } ],
    [ 'kill -9 of who creates and drops', sub { kill_backend('kanthorq_(stream|consumer)_(create|drop)') } ],
    [ 'kill -9 of who maintains', sub { kill_backend('kanthorq_(maintain|partition_close)') } ],
    [ 'kill -9 of the postmaster', \&kill_postmaster ],
    [
        'pg_terminate_backend of every other client',
        sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $clients AND pid % 2 = 0") }
    ],
    [ 'pg_ctl restart -m fast', sub { $node->stop('fast'); $node->start } ],
);

my ($input, $output) = ('', '');
my $stress = IPC::Run::start(
    [
        'tests/stress/stress', '--seconds', 0, '--seed', $seed, '--publishers', 8, '--conninfo',
        $node->connstr('postgres') . ' application_name=stress'
    ],
    '<', \$input, '>', \$output, '2>&1', IPC::Run::timeout(1800));
$stress->pump until $output =~ /^# running$/m;
for my $number (1 .. $stops) {
    my $other = $number / 2;  # each once, then any
    my ($what, $do) = @{ $number % 2 ? $immediate : $ways[ $other <= @ways ? $other - 1 : rand @ways ] };
    my $pause = 0.3 + rand 2.2;
    sleep $pause;
    note(sprintf '%d, %.2f s later: %s', $number, $pause, $what);
    $do->();
}
# Some of what they do comes after the last stop.
$node->poll_query_until('postgres', "SELECT count(*) > 2 $clients") or die 'no client came back';
$input .= "\n";  # that ends it
$stress->finish;

my @checks = $output =~ /^((?:not )?ok - .*)$/mg;
cmp_ok(scalar @checks, '>', 20, 'the oracle has looked');
ok(!/^not/, s/.*?ok - //r) for @checks;
note($output);
diag($output) if $output =~ /^not ok/m || @checks <= 20;
is_clean($node, 'tables and indexes agree');
$node->stop;
done_testing();
