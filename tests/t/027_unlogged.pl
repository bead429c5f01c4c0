# A stream that is made UNLOGGED and LOGGED again is as it was. One that a crash emptied says so to its
# consumers, until they seek. A consumer's unlogged table is refused.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

# Each pull is there after a crash.
my $node = new_node('unlogged', 'kanthorq.durable_pull = on');
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_publish('orders', 'order.created', '') FROM generate_series(1, 5)});

sub pulled {
    return $node->safe_psql('postgres',
        q{SELECT string_agg(position::text, ' ' ORDER BY position) FROM kanthorq_pull('worker', 3)});
}

sub error_of {
    my ($sql) = @_;
    my (undef, undef, $error) = $node->psql('postgres', $sql);
    return $error;
}

is(pulled(), '1 2 3', 'before');
$node->safe_psql('postgres', q{
    ALTER TABLE kanthorq_stream_orders SET UNLOGGED;
    SELECT kanthorq_publish('orders', 'order.created', '')});
is(pulled(), '4 5 6', 'an unlogged stream is consumed');
$node->safe_psql('postgres', q{
    SELECT kanthorq_publish('orders', 'order.created', '');
    ALTER TABLE kanthorq_stream_orders SET LOGGED});
is(pulled(), '7', 'nothing is lost when it is logged again');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM kanthorq_stream_orders'), 7, 'by a crash neither');

# The sequence of its positions is unlogged with it, and is set back by the crash.
$node->safe_psql('postgres', q{
    ALTER TABLE kanthorq_stream_orders SET UNLOGGED;
    SELECT kanthorq_publish('orders', 'order.created', '') FROM generate_series(1, 2)});
is(pulled(), '8 9', 'unlogged again');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM kanthorq_stream_orders'), 0,
    'a crash empties an unlogged stream');
$node->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.created', '')});
like(error_of(q{SELECT kanthorq_pull('worker')}), qr/positions of stream "orders" were set back/,
    'its consumers are told');
$node->safe_psql('postgres', q{SELECT kanthorq_consumer_seek('worker', 'first', confirm => 'worker')});
is(pulled(), '8', 'and go on after a seek');

$node->safe_psql('postgres', 'ALTER TABLE kanthorq_consumer_worker SET UNLOGGED');
like(error_of(q{SELECT kanthorq_pull('worker')}), qr/table "kanthorq_consumer_worker" is no longer the consumer's/, "a consumer's unlogged table is refused");
$node->stop;
done_testing();
