# An error is raised between any two steps of what a session does: nothing of that is left, and the session goes on.
#
# At each point of each scenario an error is raised: in a statement of its own, after a savepoint, and in a PL/pgSQL
# block that catches it. After the latter two the transaction goes on. Each time the database is as it was before,
# the session has kept no lock, and another session can do the same at once. Then the statement works in the same
# session, and takes the same locks as if there had been no error: what the library remembers of a transaction is
# forgotten when it is rolled back. A session does not grow if all this happens many times. All that with plain streams,
# then with partitioned ones.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;
use Scenarios;

# After a commit nothing can be undone: an error there would make the server end itself (PANIC), so that nothing that
# runs there may raise one.
my @after_commit = qw(commit_done commit_woken);

my $times = 70;  # how often the error is raised at each point in each of the ways
# How many bytes more the session may use then, and how many if each time a table was created: the server remembers what
# it looked up for a table, also if there is no such table any more.
my $allowed = 32 * 1024;
my $caches  = 3 * 4096 * $times;

my ($node, $session, $pid, $other);
my (%reached, %raised);

sub start {
    my ($kind, $interval) = @_;
    $node = new_node($kind, "shared_preload_libraries = 'kanthorq'", 'log_statement = none',
        "kanthorq.default_partition_interval = '$interval'");
    set_up($node);
    $node->safe_psql('postgres', q{
        CREATE SCHEMA errors;  -- which contents() does not look at
        CREATE TABLE errors.beside (what text);
        CREATE FUNCTION errors.catch(statement text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN internal_error THEN
            RAISE WARNING '%', SQLERRM;
        END $$});
    ($session, $pid) = session_and_process($node);
    $other = open_session($node);
    ask($_, q{LOAD 'kanthorq'; SET statement_timeout = '1 min'}) for $session, $other;
}

# What the session answers, which has to be no error.
sub answer {
    my ($by, $sql) = @_;
    my $answer = ask($by, $sql);
    die "$sql: $answer" if $answer =~ /ERROR|FATAL/;
    return $answer =~ s/\A\n+|\n+\z//gr;
}

# The session's locks but those that every transaction has, and that on the table beside. The server keeps the lock on
# a sequence to the end of a transaction, whatever is rolled back. What was created is "new", whatever its oid.
sub locks {
    return answer($other, qq{
        SELECT coalesce(string_agg(DISTINCT format('%s %s %s', locktype, what, mode), ', '), 'none')
        FROM (SELECT locktype, mode, relkind,
                  CASE WHEN relname IS NOT NULL THEN relation::regclass::text
                      WHEN relation IS NOT NULL OR classid IN ('pg_type'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass) THEN 'new'
                      ELSE format('%s %s %s', classid, objid, objsubid) END AS what
              FROM pg_locks LEFT JOIN pg_class ON pg_class.oid = relation
              WHERE pid = $pid AND locktype NOT IN ('virtualxid', 'transactionid')) AS locks
        WHERE what <> 'errors.beside' AND NOT (mode = 'RowExclusiveLock' AND (relkind = 'S' OR what = 'new'))});
}

# Another session does it, and then the session in its transaction; the locks that it has then.
sub do_it {
    my ($body, $answer, $what) = @_;
    is(answer($other, "BEGIN; $body; ROLLBACK"), $answer, "$what: another session can do it at once");
    is(answer($session, "SAVEPOINT it; $body"), $answer, "$what: the session can do it");
    my $locks = locks();
    answer($session, 'ROLLBACK TO it');
    return $locks;
}

# The bytes that the session uses, those in the server's caches, and the number of its memory contexts.
sub memory {
    return split /\|/, answer($session, q{
        SELECT sum(used_bytes) FILTER (WHERE name <> 'CacheMemoryContext'),
            sum(used_bytes) FILTER (WHERE name = 'CacheMemoryContext'), count(*)
        FROM pg_backend_memory_contexts});
}

sub raise_at_all_points {
    my ($kind) = @_;
    for my $scenario (scenarios()) {
        my ($name, $answer) = ("$kind: $scenario->{name}", $scenario->{answer});
        my $body = $scenario->{run} =~ s/\b(?:BEGIN|COMMIT)\b;?//gr =~ s/;\s*\z//r;
        $node->safe_psql('postgres', $scenario->{before}) if $scenario->{before};
        my $contents = contents($node, $other);
        my $locks;
        for (1 .. 2) {  # the first time finds out what is remembered for longer than a transaction
            answer($session, 'BEGIN');
            $locks = do_it($body, $answer, "$name, before");
            answer($session, 'COMMIT');
        }

        for my $at (@{ $scenario->{at} }) {
            $reached{ $at =~ s/:.*//r } = 1;
            my $point = ($at =~ /:/ ? $at : "$at:1") . ':error';
            my $set   = "SET kanthorq.test_point = '$point'";
            my $begin = "BEGIN; INSERT INTO errors.beside VALUES ('goes on')";
            # After each the session is in a transaction.
            my %ways = (
                statement => "$set; $scenario->{run}; " . ($scenario->{run} =~ /\bBEGIN\b/ ? 'ROLLBACK; ' : '') . $begin,
                savepoint => "$set; $begin; SAVEPOINT s; $body; ROLLBACK TO s",
                block     => "$set; $begin; DO \$do\$BEGIN PERFORM errors.catch(\$body\$$body\$body\$); END\$do\$",
            );
            my $try = sub {
                my $errors = () = ask($session, $_[0]) =~ /an error at test point "\Q$point\E"/g;
                $raised{$point} += $errors;
                return $errors;
            };
            for my $way (sort keys %ways) {
                my $what = "$name, $way with an error at $at";
                is($try->("TRUNCATE errors.beside; $ways{$way}"), 1, "$what: it is raised");
                is(locks(), 'none', "$what: no lock is left");
                is(do_it($body, $answer, $what), $locks, "$what: with the same locks");
                answer($session, 'COMMIT');
                is(answer($session, 'SELECT count(*) FROM errors.beside'), 1, "$what: the transaction goes on");
                is_deeply(contents($node, $other), $contents, "$what: nothing is left of it");
            }
            my $all  = join ' ', map { "$_; COMMIT;" } values %ways;
            my $what = "$name with errors at $at";
            $try->($all x 5);
            my @before = memory();
            is($try->($all x $times), $times * keys %ways, "$what: again and again");
            my @more = map { $_ - shift @before } memory();
            note("$what: @more more bytes, those in caches, and memory contexts");
            cmp_ok($more[0], '<', $allowed, "$what: the session does not grow");
            my $tables = $kind eq 'partitioned' ? 4 : 1;  # some catalog entries for each
            cmp_ok($more[1], '<', $scenario->{run} =~ /_create/ ? $tables * $caches : $allowed, "$what: nor do its caches");
            cmp_ok($more[2], '<', $times / 4, "$what: nor has it more memory contexts");
            answer($session, q{SET kanthorq.test_point = ''});
        }
        is(answer($session, $scenario->{run}), $answer, "$name: then it works");
        my @after = @{ $scenario->{after} // [] };
        while (my ($sql, $answer) = splice @after, 0, 2) {
            is(answer($session, $sql), $answer, "$name: and then " . $sql =~ s/\s+/ /gr);
        }
    }
}

# A worker that waits is woken, and its look ends in an error. Another session gets the event at once. The worker can
# wait again, in the same transaction as well, and is woken again.
sub raise_while_waiting {
    my ($kind) = @_;
    answer($other, q{SELECT name FROM kanthorq_consumer_create('waiting', 'orders', start_at => 'new')});
    my $wait      = q{SELECT count(*) FROM kanthorq_pull('waiting', wait => '10 minutes')};
    my $is_asleep = 'SELECT ' . asleep() . " FROM pg_stat_activity WHERE pid = $pid";
    my $wake_up   = q{SELECT kanthorq_publish('orders', 'wake.up', '') <> ''};
    my $point     = 'pull_locked:1:error';
    my %ways      = (
        statement => "$wait; BEGIN",
        savepoint => "BEGIN; SAVEPOINT s; $wait; ROLLBACK TO s",
        block     => "BEGIN; DO \$do\$BEGIN PERFORM errors.catch(\$body\$$wait\$body\$); END\$do\$",
    );
    answer($session, q{RESET statement_timeout});
    for my $way (sort keys %ways) {
        my $what = "$kind: wait, $way with an error";
        answer($session, "SET kanthorq.test_point = '$point'");
        start_statement($session, $ways{$way});
        wait_for($node, $is_asleep);
        answer($other, $wake_up);
        my $errors = () = ask($session, '') =~ /an error at test point "\Q$point\E"/g;
        $raised{$point} += $errors;
        is($errors, 1, "$what: it is raised");
        is(locks(), 'none', "$what: no lock is left");
        is(answer($other, q{SELECT kanthorq_ack('waiting', lease) FROM kanthorq_pull('waiting')}), 1,
            "$what: another session gets the event");
        start_statement($session, $wait);
        wait_for($node, $is_asleep);
        answer($other, $wake_up);
        is(answer($session, ''), 1, "$what: the session waits again, and gets the next event");
        answer($session, q{COMMIT; SELECT kanthorq_ack('waiting', lease) FROM kanthorq_delivery_lease
                           WHERE consumer = 'waiting' AND lease > 0});
    }
}

# What the server has seen of it.
sub stop {
    my ($kind) = @_;
    close_session($_) for $session, $other;
    is_clean($node, "$kind: tables and indexes agree");
    $node->stop;
    my $log = slurp_file($node->logfile);
    my %logged;
    $logged{$1}++ while $log =~ /(?:ERROR|WARNING):  an error at test point "([^"]+)"/g;
    is_deeply(\%logged, \%raised, "$kind: each error is in the log of the server");
    my $complaint  = qr/WARNING: .*(?:leak|still active|was not closed|non-empty SPI|own a lock)|PANIC|TRAP/;
    my @complaints = grep { $_ =~ $complaint } split /\n/, $log;
    is(join("\n", @complaints), '', "$kind: it has nothing to complain of");
}

for ([ 'plain', '' ], [ 'partitioned', '1 day' ]) {
    my ($kind, $interval) = @$_;
    %raised = ();
    start($kind, $interval);
    raise_at_all_points($kind);
    raise_while_waiting($kind);
    stop($kind);
}
is_deeply([ grep { !$reached{$_} && !/^(?:maintain|retention)_/ } all_points() ], \@after_commit, 'an error was raised at every point in src/');
done_testing();
