# The workers in Python and C++ that docs/consumers.md shows work as they stand there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run ();
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

my ($source) = slurp_file('docs/consumers.md') =~ /^```cpp\n(.*?)^```$/ms;
ok($source, 'docs/consumers.md shows a worker in C++');
$program = $node->basedir . '/worker';
append_to_file("$program.cpp", $source);
chomp(my $include = `/usr/bin/pg_config --includedir`);
command_ok(
    [ 'g++', '-Wall', '-Wextra', '-Werror', "$program.cpp", "-I$include", '-lpq', '-o', $program ],
    'it compiles');
$node->safe_psql('postgres', q{
    SELECT kanthorq_publish_json('orders', 'order.paid', jsonb_build_object('order', i))
    FROM generate_series(1, 25) AS i});
my $printed = '';
my $run = IPC::Run::start([ $program, $node->connstr('postgres'), 'invoices' ], '>', \$printed);
wait_for($node, q{SELECT lag = 0 AND running = 0 FROM kanthorq_consumers});
$run->pump_nb;
$run->kill_kill;
is($printed, join('', map { qq(order.paid {"order": $_}\n) } 1 .. 25), 'it handles each event once, in order');
$node->stop;
done_testing();
