# A worker that dies while it waits, for events or for a lock, takes no events along, and its session ends within
# about a second, if not hundreds wait. The server would notice only when it answers: client_connection_check_interval is off.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node;

# Starts the statements in a session of their own and returns it when it waits in the last of them, with its "pid".
sub waiting_client {
    my ($kind, @statements) = @_;
    my $client = open_session($node);
    chomp($client->{pid} = ask($client, 'SELECT pg_backend_pid();'));
    my $last = pop @statements;
    ask($client, $_) for @statements;
    start_statement($client, $last);
    my $waits = $kind eq 'lock' ? q{wait_event_type = 'Lock'} : q{wait_event IN ('Extension', 'KanthorqWait')};
    wait_for($node, "SELECT $waits AND state = 'active' FROM pg_stat_activity WHERE pid = $client->{pid}");
    return $client;
}

# Kills the client, and returns when the system has closed its connection.
sub kill_client {
    my ($client) = @_;
    $client->{run}->signal('KILL');
    eval { $client->{run}->finish };
}

sub wait_until_gone {
    my $pids = join ', ', map { $_->{pid} } @_;
    wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid IN ($pids)");
}

sub publish { $node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.created', '')}) }

# What a live worker gets; it is done with it.
sub live_worker_gets {
    return $node->safe_psql('postgres', q{
        WITH pulled AS MATERIALIZED (SELECT * FROM kanthorq_pull('worker'))
        SELECT count(*) || ' at attempt ' || max(attempt) || ', acknowledged ' || max(kanthorq_ack('worker', lease)) FROM pulled});
}
my $untouched = '1 at attempt 1, acknowledged 1';

my $wait = q{CALL kanthorq_wait('worker', '1 hour')};
my $pull = q{SELECT count(*) FROM kanthorq_pull('worker')};
my $waiting_pull = q{SELECT count(*) FROM kanthorq_pull('worker', wait => '1 hour')};
my %in_wait = (
    'a waiting pull'                  => [$waiting_pull],
    'a waiting pull in a transaction' => [ 'BEGIN', $waiting_pull ],
    'kanthorq_wait()'                 => [$wait],
);
my %at_lock = (
    'a pull that waits for its turn' => [ q{SELECT kanthorq_cancel('worker', '{}')}, $pull ],
    'a pull with "wait" that does'   => [ q{SELECT kanthorq_cancel('worker', '{}')}, $waiting_pull ],
    'a pull in a transaction that does' => [ q{SELECT kanthorq_cancel('worker', '{}')}, 'BEGIN', $pull ],
    'a pull that waits for a table'  => [ q{LOCK TABLE kanthorq_consumer_worker}, $pull ],
);

for my $preloaded (0, 1) {
    my $how = $preloaded ? 'preloaded' : 'not preloaded';
    $node = new_node("gone_$preloaded", $preloaded ? "shared_preload_libraries = 'kanthorq'" : ());
    $node->safe_psql('postgres', q{
        SELECT kanthorq_stream_create('orders');
        SELECT kanthorq_consumer_create('worker', 'orders')});

    for my $name (sort keys %in_wait) {
        # The event comes before the session has had the time to look by itself ...
        my $client = waiting_client('wait', @{ $in_wait{$name} });
        kill_client($client);
        publish();
        wait_until_gone($client);
        is(live_worker_gets(), $untouched, "$how: $name whose client died takes nothing along");
        # ... or never.
        $client = waiting_client('wait', @{ $in_wait{$name} });
        kill_client($client);
        wait_until_gone($client);
        pass("$how: $name does not outlive its client for long");
    }

    my $holder = open_session($node);
    for my $name (sort keys %at_lock) {
        my ($lock, @statements) = @{ $at_lock{$name} };
        publish();
        ask($holder, "BEGIN; $lock;");
        my $client = waiting_client('lock', @statements);
        kill_client($client);
        ask($holder, 'COMMIT;');
        wait_until_gone($client);
        is(live_worker_gets(), $untouched, "$how: $name whose client died takes nothing along");
    }

    publish();
    my $lease = $node->safe_psql('postgres', q{SELECT lease FROM kanthorq_pull('worker')});
    my $deadline = "SELECT deadline FROM kanthorq_delivery_lease WHERE lease = $lease";
    my $before = $node->safe_psql('postgres', $deadline);
    ask($holder, "BEGIN; SELECT kanthorq_ack('worker', $lease, '{}');");
    my $client = waiting_client('lock', "SELECT kanthorq_extend('worker', $lease, '1 day')");
    kill_client($client);
    ask($holder, 'COMMIT;');
    wait_until_gone($client);
    is($node->safe_psql('postgres', $deadline), $before, "$how: nor does one that waits to extend a lease keep it longer");
    $node->safe_psql('postgres', "SELECT kanthorq_ack('worker', $lease)");
    close_session($holder);

    my @many = map { waiting_client('wait', $waiting_pull) } 1 .. 10;
    kill_client($_) for @many;
    wait_until_gone(@many);
    pass("$how: of many sessions whose clients died none stays");
    is(live_worker_gets(), '', 'and there is nothing to get');

    # One whose client has sent more than the server has read is alive.
    my @ask = ('python3', '-c', <<'PYTHON', $node->connstr('postgres'));
import sys
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection, connection.pipeline():
    pulled = connection.execute(
        "SELECT count(*) FROM kanthorq_pull('worker', wait => '2500 ms')"
    )
    answers = [connection.execute("SELECT %s::text", ("x" * 10_000,)) for _ in range(10)]
    print(pulled.fetchone()[0], sum(len(answer.fetchone()[0]) for answer in answers))
PYTHON
    my ($out, $err) = ('', '');
    ok(IPC::Run::run(\@ask, '<', '/dev/null', '>', \$out, '2>', \$err), "$how: a client that sent more") or diag($err);
    is($out, "0 100000\n", 'is alive');
    $node->stop;
}

# A session that never had a client, here the worker of a subscription, has none to lose.
$node = new_node('no_client', 'wal_level = logical', 'max_wal_senders = 5', 'max_replication_slots = 5',
    "shared_preload_libraries = 'kanthorq'");
(my $connection = $node->connstr('postgres')) =~ s{'}{''}g;
$node->safe_psql('postgres', q{CREATE DATABASE here});
$node->safe_psql('postgres', q{
    CREATE TABLE asked (id integer PRIMARY KEY);
    CREATE PUBLICATION asked FOR TABLE asked;
    SELECT pg_create_logical_replication_slot('asked', 'pgoutput')});
$node->safe_psql('here', q{
    CREATE EXTENSION kanthorq;
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    CREATE TABLE asked (id integer PRIMARY KEY);
    CREATE TABLE got (count integer);
    CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.got SELECT count(*) FROM public.kanthorq_pull('worker', wait => '1 hour');
        RETURN NEW;
    END $$;
    CREATE TRIGGER ask BEFORE INSERT ON asked FOR EACH ROW EXECUTE FUNCTION ask();
    ALTER TABLE asked ENABLE ALWAYS TRIGGER ask});
$node->safe_psql('here', "CREATE SUBSCRIPTION asked CONNECTION '$connection' PUBLICATION asked
    WITH (create_slot = false, slot_name = 'asked', copy_data = false)");
$node->safe_psql('postgres', q{INSERT INTO asked VALUES (1)});
wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type ~ '^logical replication'
                  AND datname = 'here' AND wait_event IN ('Extension', 'KanthorqWait')});
$node->safe_psql('here', q{SELECT kanthorq_publish('orders', 'order.created', '')});
$node->poll_query_until('here', q{SELECT count(*) = 1 AND min(count) = 1 FROM got});
is($node->safe_psql('here', q{SELECT count FROM got}), '1', 'a session that has no client waits and gets its events');
$node->stop;
done_testing();
