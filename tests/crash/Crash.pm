# What the tests in this folder share. They need a library with test points (src/server/test_point.hpp):
# scripts/test crash builds one of its own.
package Crash;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();
use KanthorQ;
our @EXPORT =
  qw(all_points contents die_at go_on is_clean session_and_process stop_at wait_for_state);

# The names of all points there are.
sub all_points {
    my %points;
    for my $file (glob 'src/*/*.cpp src/*/*.hpp') {
        $points{$_} = 1 for slurp_file($file) =~ /KANTHORQ_TEST_POINT\("(\w+)"\)/g;
    }
    die 'there are no test points in src/' unless %points;
    return sort keys %points;
}

# die_at(node, point, sql): runs the statements in a session that is killed at the point; true
# where it was.
sub die_at {
    my ($node, $point, $sql) = @_;
    my $set = "SET kanthorq.test_point = '$point';\n";
    return after_crash(
        $node,
        sub {
            my ($status, $out, $err) = $node->psql('postgres', "$set$sql", on_error_stop => 1);
            my $died = $status == 2 && $err =~ /server closed the connection unexpectedly/;
            die "\"$point\" was not reached: $out $err" unless $died;
            return $died;
        });
}

# All that is in the database, as lines: each row of each table, and what belongs to the tables. A session that is
# open already is faster than those that this would open.
sub contents {
    my ($node, $session) = @_;
    my $ask    = $session ? sub { ask($session, $_[0]) } : sub { $node->safe_psql('postgres', $_[0]) };
    my $tables = q{FROM pg_class c WHERE relnamespace = 'public'::regnamespace};
    my $rows   = $ask->(qq{
        SELECT format('SELECT %L || x::text FROM %s x', oid::regclass || ' ', oid::regclass)
        $tables AND relkind = 'r' ORDER BY relname \\gexec
        });
    my $definitions = $ask->(qq{
        SELECT relkind, relname, reltoastrelid <> 0, relhasindex,
            pg_get_userbyid(relowner), obj_description(oid, 'pg_class'),
            (SELECT array_agg(tgname ORDER BY tgname) FROM pg_trigger WHERE tgrelid = oid),
            (SELECT array_agg(pg_get_constraintdef(oid) ORDER BY conname)
             FROM pg_constraint WHERE conrelid = c.oid),
            (SELECT array_agg(pg_get_expr(adbin, adrelid) ORDER BY adnum)
             FROM pg_attrdef WHERE adrelid = oid)
        $tables ORDER BY relname});
    return [ sort(split /\n/, $rows), split /\n/, $definitions ];
}

# Tables and indexes agree.
sub is_clean {
    my ($node, $what) = @_;
    $node->command_ok(
        [ 'pg_amcheck', '--install-missing', '--heapallindexed', '--parent-check', 'postgres' ], $what);
}

# Polls until the process is in that state, as /proc shows it: T for stopped.
sub wait_for_state {
    my ($pid, $state) = @_;
    for (1 .. 6000) {
        return if slurp_file("/proc/$pid/stat") =~ /\) \Q$state\E /;
        Time::HiRes::usleep(10_000);
    }
    die "process $pid never came into state $state";
}

# A session, and the process that serves it.
sub session_and_process {
    my ($node) = @_;
    my $session = open_session($node);
    my ($pid) = ask($session, 'SELECT pg_backend_pid()') =~ /(\d+)/;
    return ($session, $pid);
}

# Starts the statement, which stops its process at the point.
sub stop_at {
    my ($session, $pid, $point, $sql) = @_;
    ask($session, "LOAD 'kanthorq'; SET kanthorq.test_point = '$point:1:stop'");
    start_statement($session, $sql);
    wait_for_state($pid, 'T');
}

# Lets it go on, and returns what the statement answers.
sub go_on {
    my ($session, $pid) = @_;
    kill 'CONT', $pid;
    return ask($session, q{SET kanthorq.test_point = ''});
}

1;
