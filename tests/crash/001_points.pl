# A backend is killed between any two steps of what it does: nothing of that is left.
#
# Each scenario has a statement that is killed at one point after the other, each time in a new
# session; the whole server starts anew each time. Afterwards everything in the database is as it was
# before, and in the end the statement answers as if nothing had happened. Every point that is in
# the sources must have been killed at. All that with plain streams, then with partitioned ones.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;
use Scenarios;

my ($node, %reached);

sub killed_at {
    my ($point, $sql) = @_;
    $reached{ $point =~ s/:.*//r } = 1;
    return die_at($node, $point, $sql);
}

sub kill_at_all_points {
    my ($kind, $interval) = @_;
    $node = new_node($kind, 'restart_after_crash = on', "shared_preload_libraries = 'kanthorq'",
        "kanthorq.default_partition_interval = '$interval'");
    set_up($node);

    # A commit that nobody answered for was made: the event is there, once.
    for my $point (qw(commit_done commit_woken)) {
        ok(killed_at($point, publish('orders', $point)), "$kind: commit: killed at $point");
        is($node->safe_psql('postgres', pulled('worker')), "${point}1", 'and its event comes, once');
        is($node->safe_psql('postgres', drained()), '0|0|0|{}', 'and no other');
    }

    for my $scenario (scenarios()) {
        my %this = %$scenario;
        $node->safe_psql('postgres', $this{before}) if $this{before};
        $node->safe_psql('postgres', 'CHECKPOINT');  # a crash would forget a pull that is not on the disk yet
        my $contents = contents($node);
        for my $point (@{ $this{at} }) {
            ok(killed_at($point, $this{run}), "$kind: $this{name}: killed at $point");
            is_deeply(contents($node), $contents, "$kind: $this{name}: nothing is left of it");
        }
        is($node->safe_psql('postgres', $this{run}), $this{answer}, "$kind: $this{name}: then it works");
        my @after = @{ $this{after} // [] };
        while (my ($sql, $answer) = splice @after, 0, 2) {
            is($node->safe_psql('postgres', $sql), $answer, "$kind: $this{name}: and then " . $sql =~ s/\s+/ /gr);
        }
    }
    is_clean($node, "$kind: tables and indexes agree");
    $node->stop;
}

kill_at_all_points('plain',       '');
kill_at_all_points('partitioned', '1 day');

is_deeply([ grep { !$reached{$_} && !/^(?:maintain|retention)_/ } all_points() ], [], 'every point in src/ was killed at');
done_testing();
