# The worker in Python that docs/consumers.md shows works as it stands there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my ($worker) = slurp_file('docs/consumers.md') =~ /^```python\n(.*?)^```$/ms;
ok($worker, 'docs/consumers.md shows a worker in Python');

my $node = new_node('documented_worker');
my $program = $node->basedir . '/worker.py';
append_to_file($program, $worker);
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('invoices', 'orders', attempt_max => 1::smallint);
    SELECT kanthorq_publish_json('orders', 'order.paid', jsonb_build_object('order', i))
    FROM generate_series(1, 250) AS i;
    SELECT kanthorq_publish_text('orders', 'order.paid', 'no json')});

my ($out, $err) =
    run_command([ 'python3', $program, $node->connstr('postgres'), 'invoices', '--until-idle' ]);
is($err, '', 'it complains of nothing');
is($out, join("\n", map { "order.paid $_" } 1 .. 250), 'it handles each event once, in order');
is($node->safe_psql('postgres', q{
        SELECT state, attempted_error[1] ->> 'error' LIKE 'Expecting value%'
        FROM kanthorq_tasks('invoices')}), 'discarded|t',
    'and what it can not handle is discarded, with the error');
$node->stop;
done_testing();
