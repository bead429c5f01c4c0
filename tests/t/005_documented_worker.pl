# What the pages show works as it stands there: the statements in SQL, and the workers in Python and C++, also through a
# pooler that gives each transaction another server connection.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run ();
use Time::HiRes ();
use KanthorQ;

# shown(page, language): the blocks of that language on the page.
sub shown {
    my ($page, $language) = @_;
    my @blocks = slurp_file("docs/$page.md") =~ /^```$language\n(.*?)^```$/msg;
    ok(@blocks, "docs/$page.md shows something in $language");
    return @blocks;
}

my $node = new_node('documented_worker', 'max_connections = 40');

# The statements of a page, one after the other in one session. Some pages are about what others make.
my %before = (
    operating => q{
        SELECT kanthorq_stream_create('order_update');
        SELECT kanthorq_consumer_create('invoices', 'order_update');
        SELECT kanthorq_publish_text('order_update', 'order.paid', '8')},
    partitions => q{
        CREATE ROLE new_owner;
        GRANT CREATE ON SCHEMA public TO new_owner},
    retention => q{
        SELECT kanthorq_stream_create('page_view');
        CREATE SCHEMA cron;
        CREATE FUNCTION cron.schedule(name text, schedule text, command text) RETURNS void RETURN NULL;
        ALTER DATABASE retention SET client_min_messages = warning});
for my $page (qw(streams consumers publishing operating partitions retention)) {
    $node->safe_psql('postgres', "CREATE DATABASE $page");
    $node->safe_psql($page, 'CREATE EXTENSION kanthorq');
    $node->safe_psql($page, $before{$page}) if $before{$page};
    $node->psql($page, join('', shown($page, 'sql')),
        on_error_stop => 1, stdout => \my $out, stderr => \my $err);
    is($err, '', "the statements of docs/$page.md run");
}

my ($worker, $heartbeat, $batches) = shown('workers', 'python');
my ($source) = shown('workers', 'cpp');
my $python = $node->basedir . '/worker.py';
append_to_file($python, $worker);
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('invoices', 'orders', attempt_max => 1);
    SELECT kanthorq_publish_json('orders', 'order.paid', jsonb_build_object('order', i))
    FROM generate_series(1, 250) AS i;
    SELECT kanthorq_publish_text('orders', 'order.paid', 'no json')});

sub publish {
    my ($first, $last) = @_;
    $node->safe_psql('postgres', qq{
        SELECT kanthorq_publish_json('orders', 'order.paid', jsonb_build_object('order', i))
        FROM generate_series($first, $last) AS i});
}

my ($out, $err) =
    run_command([ 'python3', $python, $node->connstr('postgres'), 'invoices', '--until-idle' ]);
is($err, '', 'the worker in Python complains of nothing');
is($out, join("\n", map { "order.paid $_" } 1 .. 250), 'it handles each event once, in order');
is($node->safe_psql('postgres', q{
        SELECT state, attempted_error[1] ->> 'error' LIKE 'Expecting value%'
        FROM kanthorq_tasks('invoices')}), 'discarded|t',
    'and what it can not handle is discarded, with the error');

my $cpp = $node->basedir . '/worker';
append_to_file("$cpp.cpp", $source);
chomp(my $include = `/usr/bin/pg_config --includedir`);
command_ok(
    [ 'g++', '-Wall', '-Wextra', '-Werror', "$cpp.cpp", "-I$include", '-lpq', '-o', $cpp ],
    'the worker in C++ compiles');

my $drained = q{SELECT lag = 0 AND running = 0 FROM kanthorq_consumers};

my $waiting = q{SELECT count(*) = %d FROM pg_stat_activity
    WHERE wait_event IN ('Extension', 'KanthorqWait') AND backend_type = 'client backend'};
my $nobody_waits = sprintf $waiting, 0;

# The worker in C++ has no end of its own.
sub run_cpp {
    my ($connstr, $first, $last) = @_;
    my $printed = '';
    publish($first, $last);
    my $run = IPC::Run::start([ $cpp, $connstr, 'invoices' ], '>', \$printed);
    wait_for($node, $drained);
    $run->pump_nb;
    $run->kill_kill;
    wait_for($node, $nobody_waits);  # else what it left in the server would have the next batch
    is($printed, join('', map { qq(order.paid {"order": $_}\n) } $first .. $last),
        'it handles each event once, in order');
}
run_cpp($node->connstr('postgres'), 1, 25);

# A pooler in transaction mode. Each entry of its databases has a pool of its own; it takes the server connections of
# one in turn.
package Pooler {

    sub start {
        my ($class, $node) = @_;
        my $directory = PostgreSQL::Test::Utils::tempdir_short();
        my ($host, $port) = ($node->host, $node->port);
        my $user = $node->safe_psql('postgres', 'SELECT current_user');
        PostgreSQL::Test::Utils::append_to_file("$directory/pgbouncer.ini", <<CONF);
[databases]
two = host=$host port=$port dbname=postgres user=$user pool_size=2
one = host=$host port=$port dbname=postgres user=$user pool_size=1
other = host=$host port=$port dbname=postgres user=$user pool_size=1
[pgbouncer]
unix_socket_dir = $directory
listen_port = 6432
auth_type = any
pool_mode = transaction
server_round_robin = 1
logfile = $directory/log
CONF
        my $self = bless { directory => $directory }, $class;
        $self->{run} = IPC::Run::start([ '/usr/sbin/pgbouncer', '-q', "$directory/pgbouncer.ini" ], '<', \'');
        for (1 .. 600) {
            last if -S "$directory/.s.PGSQL.6432";
            Time::HiRes::usleep(100_000);
        }
        return $self;
    }

    sub connstr {
        my ($self, $entry) = @_;
        return "host=$self->{directory} port=6432 user=any dbname=$entry";
    }

    sub stop { $_[0]{run}->kill_kill }
}
my $pooler = Pooler->start($node);

# Two transactions at once make it open both connections of the pool.
my @sessions = map { open_session($pooler, 'two') } 1 .. 2;
my @pids = map { ask($_, "BEGIN;\nSELECT pg_backend_pid()") } @sessions;
ask($_, 'COMMIT') for @sessions;
isnt($pids[0], $pids[1], 'the pooler has two server connections');
isnt(ask($sessions[0], 'SELECT pg_backend_pid()'), ask($sessions[0], 'SELECT pg_backend_pid()'),
    'and gives each transaction the other one');
close_session($_) for @sessions;

publish(1, 50);
($out, $err) = run_command([ 'python3', $python, $pooler->connstr('two'), 'invoices', '--until-idle' ]);
is($err, '', 'behind the pooler the worker in Python complains of nothing');
is($out, join("\n", map { "order.paid $_" } 1 .. 50), 'and handles each event once, in order');
run_cpp($pooler->connstr('two'), 51, 100);

# Waiting takes a server connection: with a pool of one, the next worker gets none before an event comes.
for my $wait ("CALL kanthorq_wait('invoices', '1 day');\nSELECT count(*) FROM kanthorq_pull('invoices')",
    "SELECT count(*) FROM kanthorq_pull('invoices', wait => '1 day')")
{
    my ($first, $second) = map { open_session($pooler, 'one') } 1 .. 2;
    start_statement($first, $wait);
    wait_for($node, sprintf $waiting, 1);
    start_statement($second, "SELECT 'has a connection'");
    my $admin = open_session($pooler, 'pgbouncer');
    my $queued = 0;
    for (1 .. 600) {
        last if $queued = ask($admin, 'SHOW POOLS') =~ /^one\|[^|]*\|1\|1\|/m;
        $second->{run}->pump_nb;
        Time::HiRes::usleep(100_000);
    }
    ok($queued, 'a pool of one has no connection left while a worker waits');
    close_session($admin);
    my $publisher = open_session($pooler, 'other');
    is(ask($publisher, "SELECT kanthorq_publish_json('orders', 'order.paid', '{\"order\": 1}') IS NOT NULL"), "t\n",
        'a pool of its own has');
    close_session($publisher);
    is(ask($first,  'SELECT 1'), "1\n1\n", 'the event ends the wait');
    is(ask($second, 'SELECT 1'), "has a connection\n1\n", 'and frees the connection');
    close_session($_) for $first, $second;
    $node->safe_psql('postgres',
        q{SELECT kanthorq_ack('invoices', lease) FROM kanthorq_delivery_lease WHERE lease > 0});
}

# A worker that acknowledges a batch and pulls the next one in one transaction.
my $by_batch = $node->basedir . '/batches.py';
append_to_file($by_batch, $batches);
publish(1, 250);
$node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.paid', '\xff')});
my $next_transaction = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';
my $before           = $node->safe_psql('postgres', $next_transaction);
($out, $err) = run_command([ 'python3', $by_batch, $node->connstr('postgres'), 'invoices', '--until-idle' ]);
is($err, '', 'the worker with one commit for a batch complains of nothing');
is($out, join("\n", map { qq(order.paid {"order": $_}) } 1 .. 250), 'it handles each event once, in order');
is($node->safe_psql('postgres', $next_transaction) - $before, 4, 'three batches take a pull and three commits');
is($node->safe_psql('postgres', q{
        SELECT attempted_error[1] ->> 'error' FROM kanthorq_tasks('invoices') ORDER BY event_id DESC LIMIT 1}),
    "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    'and what it can not handle is discarded, with the error');
is($node->safe_psql('postgres', $drained), 't', 'nothing is left');

# On SIGTERM it finishes its batch, settles it and pulls no other. This one's work is done when its input ends.
my $slow = $node->basedir . '/slow.py';
append_to_file($slow, $batches =~ s/^( +)print\(subject.*\n\K/$1sys.stdin.read()\n/mr);
my $leases = 'SELECT count(*) FROM kanthorq_delivery_lease WHERE lease > 0';

sub start_slow {
    my $started = { in => '', out => '', err => '' };
    $started->{run} = IPC::Run::start([ 'python3', $slow, $node->connstr('postgres'), 'invoices' ],
        '<', \$started->{in}, '>', \$started->{out}, '2>', \$started->{err}, IPC::Run::timeout(60));
    return $started;
}
publish(1, 150);
my $busy = start_slow();
$busy->{run}->pump until $busy->{out} =~ /\n/;
is($node->safe_psql('postgres', q{
        SELECT array_length(kanthorq_cancel('invoices', ARRAY[id]), 1) FROM kanthorq_stream_orders
        WHERE body = '{"order": 100}' ORDER BY position DESC LIMIT 1}),
    '1', 'an event of its batch is cancelled meanwhile');
$busy->{run}->signal('TERM');
ok($busy->{run}->finish, 'in the middle of a batch the worker stops when it is told to');
is($busy->{out}, join('', map { qq(order.paid {"order": $_}\n) } 1 .. 100), 'it finishes that batch');
is($busy->{err}, "cancelled or removed: 1\n", 'and complains of the event that was no longer its own');
is($node->safe_psql('postgres', $leases), '0', 'and has settled it and pulled no other');
($out, $err) = run_command([ 'python3', $by_batch, $node->connstr('postgres'), 'invoices', '--until-idle' ]);
is($out . $err, join("\n", map { qq(order.paid {"order": $_}) } 101 .. 150), 'the next worker has the others');

# Ctrl-C while it waits.
my $idle = start_slow();
wait_for($node, sprintf $waiting, 1);
$idle->{run}->signal('INT');
ok($idle->{run}->finish, 'while it waits it stops, too');
is($idle->{out} . $idle->{err}, '', 'and complains of nothing');
is($node->safe_psql('postgres', $leases), '0', 'and has leased nothing');

# SIGTERM cancels a pull that waits, also through the pooler; nothing is leased.
for my $connstr ($node->connstr('postgres'), $pooler->connstr('two')) {
    my ($printed, $complaints) = ('', '');
    my $patient = $node->basedir . '/patient.py';
    unlink $patient;
    append_to_file($patient, $worker =~ s/wait => '1 s'/wait => '1 day'/r);
    my $run = IPC::Run::start([ 'python3', $patient, $connstr, 'invoices' ], '>', \$printed, '2>', \$complaints);
    wait_for($node, sprintf $waiting, 1);
    $run->signal('TERM');
    ok($run->finish, 'a worker that waits stops when it is told to');
    is($printed . $complaints, '', 'and complains of nothing');
    is($node->safe_psql('postgres', 'SELECT running FROM kanthorq_consumers'), '0', 'and has leased nothing');
}

# The heartbeat moves the end of a lease that would have run out.
my $beating = $node->basedir . '/heartbeat.py';
append_to_file($beating, $heartbeat . <<'PYTHON');

import sys
conninfo, deadline = sys.argv[1], "SELECT max(deadline) FROM kanthorq_delivery_lease WHERE lease > 0"
with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as session:
    (lease,) = session.execute("SELECT lease FROM kanthorq_pull('invoices', visibility_timeout => '1 ms')").fetchone()
    before = session.execute(deadline).fetchone()
    with heartbeat(conninfo, "invoices", lease, 0.01):
        while session.execute(deadline).fetchone() == before:
            pass
    print(session.execute("SELECT kanthorq_ack('invoices', %s)", (lease,)).fetchone()[0])
    with heartbeat(conninfo, "invoices", lease, 0.01):
        while threading.active_count() > 1:
            pass
PYTHON
publish(1, 1);
($out, $err) = run_command([ 'python3', $beating, $pooler->connstr('two') ]);
is($err, '', 'the heartbeat complains of nothing');
like($out, qr/^1\nno longer extended: lease \d+ /, 'it extends a lease, and ends with it');

$pooler->stop;
$node->stop;
done_testing();
