# A stream is replicated logically, by its five event columns, into a stream of another server, and
# consumed there while it arrives.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $publisher  = new_primary('publisher', streaming => 'logical');
my $subscriber = new_node('subscriber');
$_->safe_psql('postgres', q{SELECT kanthorq_stream_create('orders')}) for $publisher, $subscriber;
# So that positions differ, and some of the events are there before.
$publisher->safe_psql('postgres', q{
    BEGIN; SELECT kanthorq_publish('orders', 'gone', '') FROM generate_series(1, 5000); ROLLBACK;
    SELECT kanthorq_publish_text('orders', 'order.' || i, i::text) FROM generate_series(1, 500) AS i;
    CREATE PUBLICATION orders FOR TABLE kanthorq_stream_orders (id, subject, body, metadata, created_at)
        WITH (publish = 'insert, delete')});
$subscriber->safe_psql('postgres', q{
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL);
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('in_order', 'orders', ordered => true)});

my @publishers = map { start_script($publisher, publishing('orders', 300)) } 1 .. 2;
my @workers    = map { start_script($subscriber, working('worker', 5000)) } 1 .. 2;
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION orders CONNECTION '$connection' PUBLICATION orders");
my @ordered;
do { push @ordered, drain($subscriber, 'in_order') } while $publisher->safe_psql('postgres', running_scripts()) > 0;
is(finish_script($_), '', 'a publisher has no error') for @publishers;
wait_for($subscriber, q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'});
$publisher->wait_for_catchup('orders');

# The applying side is one more publisher: a transaction there comes when it commits.
is(stop_scripts($subscriber, @workers), '', 'the workers have no errors');
expire_leases($subscriber);
drain($subscriber, 'worker');
push @ordered, drain($subscriber, 'in_order');
my $events = q{SELECT count(*), md5(string_agg(concat_ws('|', id, subject, body, metadata, created_at), ',' ORDER BY id))
               FROM kanthorq_stream_orders};
is($subscriber->safe_psql('postgres', $events), $publisher->safe_psql('postgres', $events), 'all events arrive as they are');
is($subscriber->safe_psql('postgres', q{
        SELECT count(*) = 2900, count(DISTINCT done.id) = 2900, count(events.id) = 2900
        FROM done LEFT JOIN kanthorq_stream_orders AS events USING (id) WHERE consumer = 'worker'}), 't|t|t',
    'and are delivered, once');
is(join(' ', @ordered), $subscriber->safe_psql('postgres',
        q{SELECT string_agg(id, ' ' ORDER BY position) FROM kanthorq_stream_orders}),
    'to an ordered consumer in the order of their positions here');
is($subscriber->safe_psql('postgres', q{
        SELECT min(position), max(position) = last_position FROM kanthorq_stream_orders, kanthorq_streams
        GROUP BY last_position}), '1|t', 'which the subscriber gave');
is($subscriber->safe_psql('postgres', q{SELECT bool_and(xid(txid) = xmin) FROM kanthorq_stream_orders}), 't',
    'with the ids of its own transactions');

# An event that is removed is removed there, too.
my ($removed) = $publisher->safe_psql('postgres', q{SELECT min(id) FROM kanthorq_stream_orders});
$publisher->safe_psql('postgres', "SELECT kanthorq_event_remove('orders', '{$removed}')");
$publisher->wait_for_catchup('orders');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM kanthorq_event_get('orders', '$removed')"), 0,
    'a removed event is removed there');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION orders');
$_->stop for $subscriber, $publisher;
done_testing();
