# Random operations over several sessions against a model of KanthorQ in memory, which predicts each answer:
# what a pull delivers and in which order, counts, states, errors. If one differs, the fewest steps that show it
# are printed. See tests/model/run.py.
#
# KANTHORQ_MODEL_STEPS tries more than the usual few thousand; KANTHORQ_MODEL_SEED the same ones again.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node  = new_node('model', "shared_preload_libraries = 'kanthorq'");
my $seed  = $ENV{KANTHORQ_MODEL_SEED} // int rand 1_000_000;
my $steps = $ENV{KANTHORQ_MODEL_STEPS} // 4000;
diag("seed $seed");
my $ended = IPC::Run::run(
    [ 'python3', '-B', 'tests/model/run.py', '--steps', $steps, '--seed', $seed, $node->connstr('postgres') ],
    '>', \my $out, '2>&1');
ok($ended, "each of $steps steps answers as predicted") or diag($out);
$node->stop;
done_testing();
