# Many sessions wait for one consumer: a commit calls one of them, whoever takes events calls the next, and whoever
# leaves without that calls another in its stead.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use KanthorQ;

my $node = new_node('line', "shared_preload_libraries = 'kanthorq'", 'max_connections = 100');
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('other', 'orders')});
my $blocker = open_session($node);

my $pull  = q{SELECT count(*) || ' of worker' FROM kanthorq_pull('worker', 1, wait => '10 minutes')};
my $other = q{SELECT count(*) || ' of other' FROM kanthorq_pull('other', 1, wait => '10 minutes')};
my $wait  = q{CALL kanthorq_wait('worker', '10 minutes')};
my $turn  = q{SELECT kanthorq_cancel('worker', '{}')};

sub publish {
    my ($many) = @_;
    $node->safe_psql('postgres', "SELECT count(kanthorq_publish('orders', 'a', '')) FROM generate_series(1, $many)");
}

# A query for how many sessions are in `state` in a statement that contains `text`.
sub sessions {
    my ($state, $text) = @_;
    return "(SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active'"
      . " AND position(\$text\$$text\$text\$ IN query) > 0 AND $state)";
}
my $at_lock = q{wait_event_type = 'Lock'};
sub count_of { return $node->safe_psql('postgres', 'SELECT ' . sessions(@_)) }

# Starts the statement in so many sessions and returns them when all of them wait.
sub start_waiting {
    my ($many, $statement, @before) = @_;
    my @sessions = map { open_session($node) } 1 .. $many;
    for my $session (@sessions) {
        ask($session, $_) for @before;
        start_statement($session, $statement);
    }
    wait_for($node, 'SELECT ' . sessions(asleep(), $statement) . " = $many");
    return @sessions;
}

# Ends the sessions that are still there, and takes what is left.
sub end_sessions {
    $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE query ~ 'kanthorq_(pull|wait)' AND pid <> pg_backend_pid() AND backend_type = 'client backend'});
    eval { $_->{run}->finish } for @_;
    $node->safe_psql('postgres', q{
        DO $$ BEGIN
            PERFORM kanthorq_consumer_seek(name, 'new', name) FROM (VALUES ('worker'), ('other')) AS all_of_them (name);
        END $$});
}

# What the sessions that have an answer said, how often each.
sub answers {
    my %said;
    for my $session (@_) {
        $session->{run}->pump_nb;
        $said{$1}++ while $session->{out} =~ /^(\d+ of \w+)$/mg;
    }
    return join ', ', map { "$said{$_} x $_" } sort keys %said;
}

# Somebody holds the turn: one of those that wait comes to wait for it, and the others sleep on, whatever is
# committed meanwhile. (Each second one of them may join it, so that no deadlock goes unnoticed.) Those of another
# consumer get theirs.
my @workers = start_waiting(40, $pull);
ask($blocker, "BEGIN; $turn");
my ($rounds, $commits) = (5, 6);
my $most   = 0;
my $began  = time;
for (1 .. $rounds) {
    $node->safe_psql('postgres', q{SELECT kanthorq_consumer_seek('other', 'new', 'other')});
    my ($elsewhere) = start_waiting(1, $other);
    $node->safe_psql('postgres', qq{SELECT kanthorq_publish('orders', 'a', '');\n} x $commits);  # a commit each
    like(ask($elsewhere, 'SELECT 1;'), qr/^[1-9]\d* of other$/m, 'a session of another consumer gets its events');
    close_session($elsewhere);
    wait_for($node, 'SELECT ' . sessions($at_lock, $pull) . ' >= 1');
    my $now = count_of($at_lock, $pull);
    $most = $now if $now > $most;
}
cmp_ok($most, '<=', 2 + time - $began, 'of all that wait, one waits for the turn, and one more each second');

# They end in the one or the other way, and another one takes their place.
my $pulls_at_lock = "FROM pg_stat_activity WHERE $at_lock AND query ~ 'kanthorq_pull'";

sub end_those_at_lock {
    my ($way) = @_;
    wait_for($node, "SELECT count(*) > 0 $pulls_at_lock");
    my $pids = $node->safe_psql('postgres', "SELECT string_agg(pid::text, ', ') $pulls_at_lock");
    $node->safe_psql('postgres', "SELECT $way(pid) FROM unnest(ARRAY[$pids]) AS those (pid)");
    wait_for($node, "SELECT count(*) > 0 $pulls_at_lock AND pid NOT IN ($pids)");
    pass("$way: another session takes the place of one that waits for the turn");
}
end_those_at_lock($_) for qw(pg_cancel_backend pg_terminate_backend);
ask($blocker, 'COMMIT');
wait_for($node, 'SELECT ' . sessions($at_lock, $pull) . ' = 0');
my $got = answers(@workers);
is($got, $rounds * $commits . ' x 1 of worker', 'then as many get one event each, one after the other');
end_sessions(@workers);

# An error that the session survives takes it out of the line as well.
my $caught = qq{DO \$\$ BEGIN
    BEGIN
        PERFORM FROM kanthorq_pull('worker', 1, wait => '10 minutes');
    EXCEPTION WHEN query_canceled THEN
        PERFORM pg_sleep(1000);
    END;
END \$\$};
@workers = start_waiting(5, $caught);
ask($blocker, "BEGIN; $turn");
publish(1);
end_those_at_lock('pg_cancel_backend');
ask($blocker, 'ROLLBACK');
end_sessions(@workers);

# While there is more, all go on, one after the other. If they did not call each other, each would come a second after
# the one before, because somebody of the line looks again each second.
@workers = start_waiting(40, $pull);
$began = time;
publish(40);
wait_for($node, 'SELECT ' . sessions('true', $pull) . ' = 0');
cmp_ok(time - $began, '<', 20, 'one after the other, without a second between them');
is(answers(@workers), '40 x 1 of worker', 'each gets one');
end_sessions(@workers);

# A pull that rolls back gives its events to the next.
@workers = start_waiting(10, $pull, 'BEGIN');
publish(1);
for (1 .. 5) {
    my $got = "state = 'idle in transaction' AND query ~ 'kanthorq_pull'";
    wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE $got");
    $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $got");
}
wait_for($node, 'SELECT ' . sessions('true', $pull) . ' = 4');
is(answers(@workers), '6 x 1 of worker', 'an event of a pull that rolls back comes to the next session');
end_sessions(@workers);

# kanthorq_wait: one session returns for each event. It pulls, and nobody else is called for that event. Should the
# machine stand still for a second, somebody looks in its stead and returns as well.
@workers = start_waiting(30, $wait);
my $left = 30;
for (1 .. $rounds) {
    publish(1);
    wait_for($node, 'SELECT ' . sessions('true', $wait) . " < $left");
    $node->safe_psql('postgres', q{SELECT kanthorq_ack('worker', lease) FROM kanthorq_pull('worker')});
    $left = count_of('true', $wait);
}
cmp_ok($left, '>=', 30 - 2 * $rounds, 'a commit ends the wait of one session');

# If the session that returned does not pull, another one returns soon, and so on.
publish(1);
wait_for($node, 'SELECT ' . sessions('true', $wait) . ' <= ' . ($left - 3));
pass('an event that nobody pulls ends one wait after the other');
end_sessions(@workers);

# A session that is called and does not run, and so does not look, holds nobody up.
@workers = start_waiting(5, $pull);
my $pids = $node->safe_psql('postgres', q{SELECT string_agg(pid::text, ' ') FROM (SELECT pid FROM pg_stat_activity
    WHERE query ~ 'kanthorq_pull' AND pid <> pg_backend_pid() ORDER BY backend_start DESC LIMIT 3) AS last});
kill 'STOP', split / /, $pids;
publish(1);
wait_for($node, 'SELECT ' . sessions('true', $pull) . ' = 4');
is(answers(@workers), '1 x 1 of worker', 'sessions that stand still hold nobody up');
kill 'CONT', split / /, $pids;
end_sessions(@workers);

# A worker that waits for events holds something that the one with the turn waits for. The server notices the deadlock,
# although a third one stands first in line for the turn.
$node->safe_psql('postgres', 'CREATE TABLE work AS SELECT 1 AS id');
my %held = (
    'a row'           => 'UPDATE work SET id = id',
    'an advisory lock' => 'SELECT pg_advisory_xact_lock(1)',
);
for my $what (sort keys %held) {
    my $offset = -s $node->logfile;
    my ($first) = start_waiting(1, $pull);
    my $second = open_session($node);
    ask($second, "BEGIN; $held{$what}");
    ask($blocker, "BEGIN; $turn");
    start_statement($blocker, $held{$what});
    publish(2);
    wait_for($node, "SELECT count(*) = 2 FROM pg_stat_activity WHERE $at_lock");  # the first and the blocker
    start_statement($second, $pull);
    # The server ends one of the two, and the other one gets on.
    ask($blocker, 'ROLLBACK');
    ask($second, 'ROLLBACK');
    my @found = slurp_file($node->logfile, $offset) =~ /ERROR:  deadlock detected\n.*/g;
    is(scalar @found, 1, "a deadlock by $what is noticed") or diag(join "\n", @found);
    end_sessions($first, $second);
}

# A session that holds the turn itself can't leave it to others to look.
@workers = start_waiting(5, $pull);
my ($holder) = start_waiting(1, $pull . ' AS holder', 'BEGIN', $turn);
publish(1);
like(ask($holder, 'SELECT 1;'), qr/^1 of worker$/m, 'who holds the turn gets the event');
ask($holder, 'COMMIT');
publish(1);
wait_for($node, 'SELECT ' . sessions('true', $pull) . ' = 4');
pass('and then the others get theirs');
end_sessions(@workers, $holder);

close_session($blocker);
done_testing();
