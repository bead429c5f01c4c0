# Tables and indexes are rewritten under load: publishers and workers may wait, and nothing else happens
# to them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('maintenance', 'allow_in_place_tablespaces = on');
$node->safe_psql('postgres', q{
    CREATE TABLESPACE other LOCATION '';
    CREATE EXTENSION amcheck;
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL);
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create(name, 'orders', attempt_max => '32767') FROM unnest('{worker,other}'::text[]) AS name});

my $refusing = q{
    SELECT kanthorq_nack('worker', lease, retry_in => '0')
    FROM (SELECT DISTINCT lease FROM kanthorq_pull('worker', 3)) AS leases;
};
my @publishers = map { start_script($node, publishing('orders', 20000)) } 1 .. 2;
my @workers    = map { start_script($node, $_) } (working('worker', 20000)) x 2, $refusing x 20000;
wait_for($node, 'SELECT count(*) > 100 FROM done');

my @tables = qw(kanthorq_stream_orders kanthorq_consumer_worker kanthorq_delivery_state
    kanthorq_delivery_lease kanthorq_stream_registry kanthorq_consumer_registry);
my $progress = '(SELECT count(*) FROM done) > %s AND (SELECT max(position) FROM kanthorq_stream_orders) > %s';
for my $table (@tables) {
    my @before = split /\|/, $node->safe_psql('postgres',
        'SELECT (SELECT count(*) FROM done), max(position) FROM kanthorq_stream_orders');
    my $index = $node->safe_psql('postgres',
        "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = '$table'::regclass AND indisprimary");
    my $errors = '';
    for my $command (
        "VACUUM (FULL) $table",
        "CLUSTER $table USING $index",
        "REINDEX TABLE $table",
        "REINDEX TABLE CONCURRENTLY $table",
        "ALTER TABLE $table SET TABLESPACE other",
        "ALTER INDEX $index SET TABLESPACE other",
        "VACUUM (FREEZE) $table",
        "VACUUM (FULL, ANALYZE) $table") {
        my (undef, undef, $error) = $node->psql('postgres', $command);
        $errors .= $error;
    }
    is($errors, '', "$table is rewritten in every way");
    wait_for($node, 'SELECT ' . sprintf $progress, @before);  # the load goes on
}
is($node->safe_psql('postgres', running_scripts()), @publishers + @workers, 'the load went on all the time');
is(stop_scripts($node, @publishers, @workers), '', 'and nobody had an error');

expire_leases($node);
drain($node, 'worker');
is($node->safe_psql('postgres', q{
        SELECT count(*) = count(DISTINCT done.id), count(*) = count(events.id),
               count(*) = (SELECT count(*) FROM kanthorq_stream_orders)
        FROM done LEFT JOIN kanthorq_stream_orders AS events USING (id) WHERE consumer = 'worker'}), 't|t|t',
    'the work of every event is done, once');
my @committed = committed_ids(@publishers);
is($node->safe_psql('postgres', "SELECT count(*) FROM kanthorq_stream_orders WHERE id IN ('"
            . join("','", @committed) . "')"), scalar @committed, 'no event is lost');
is($node->safe_psql('postgres', qq{
        SELECT count(bt_index_check(indexrelid, true)) > 0 FROM pg_index
        WHERE indrelid::regclass::text IN ('@{[ join "','", @tables ]}')}), 't', 'the indexes are sound');

# A table is rewritten while a pull is between reading its place there and writing it.
my ($blocker, $worker, $rewriting) = map { open_session($node) } 1 .. 3;
$node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.created', '')});
my $places = q{SELECT consumer, last_lease FROM kanthorq_delivery_state WHERE consumer = 'other'};
my $other = $node->safe_psql('postgres', $places);
ask($blocker, 'BEGIN; LOCK TABLE kanthorq_delivery_lease');
start_statement($worker, q{SELECT count(*) || ' events' FROM kanthorq_pull('worker')});
wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ ' events' AND wait_event_type = 'Lock'});
start_statement($rewriting, 'VACUUM (FULL) kanthorq_delivery_state');
wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity
                  WHERE query ~ '^VACUUM' AND (state = 'idle' OR wait_event_type = 'Lock')});
ask($blocker, 'COMMIT');
like(ask($worker, 'SELECT 1'), qr/^1 events$/m, 'a pull in the middle of it gets its event');
is(ask($rewriting, 'SELECT 1'), "1\n", 'and the table is rewritten');
is($node->safe_psql('postgres', q{SELECT lag FROM kanthorq_consumers WHERE name = 'worker'}), 0, 'its place is written');
is($node->safe_psql('postgres', $places), $other, 'and no other');
close_session($_) for $blocker, $worker, $rewriting;

$node->stop;
done_testing();
