# A stream is replicated logically, by its five event columns, into a stream of another server, and
# consumed there while it arrives: a plain one, then one that is partitioned on both servers.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

sub replicate {
    my ($kind, $interval) = @_;
    my $publisher  = new_primary("publisher_$kind", streaming => 'logical');
    my $subscriber = new_node("subscriber_$kind");
    $_->safe_psql('postgres', "SELECT kanthorq_stream_create('orders', partition_interval => $interval)")
      for $publisher, $subscriber;
    # So that positions differ, and some of the events are there before.
    $publisher->safe_psql('postgres', q{
        BEGIN; SELECT kanthorq_publish('orders', 'gone', '') FROM generate_series(1, 5000); ROLLBACK;
        SELECT kanthorq_publish_text('orders', 'order.' || i, i::text,
            id => CASE i % 5 WHEN 0 THEN kanthorq_ulid('2026-01-01 00:00:00+00') END) FROM generate_series(1, 500) AS i;
        CREATE PUBLICATION orders FOR TABLE kanthorq_stream_orders (id, subject, body, metadata, created_at)
            WITH (publish = 'insert, delete', publish_via_partition_root = true)});
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
    is(finish_script($_), '', "$kind: a publisher has no error") for @publishers;
    wait_for($subscriber, q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'});
    $publisher->wait_for_catchup('orders');

    # The applying side is one more publisher: a transaction there comes when it commits.
    is(stop_scripts($subscriber, @workers), '', "$kind: the workers have no errors");
    expire_leases($subscriber);
    drain($subscriber, 'worker');
    push @ordered, drain($subscriber, 'in_order');
    my $events = q{SELECT count(*), md5(string_agg(concat_ws('|', id, subject, body, metadata, created_at), ',' ORDER BY id))
                   FROM kanthorq_stream_orders};
    is($subscriber->safe_psql('postgres', $events), $publisher->safe_psql('postgres', $events), "$kind: all events arrive as they are");
    is($subscriber->safe_psql('postgres', q{
            SELECT count(*) = 2900, count(DISTINCT done.id) = 2900, count(events.id) = 2900
            FROM done LEFT JOIN kanthorq_stream_orders AS events USING (id) WHERE consumer = 'worker'}), 't|t|t',
        "$kind: and are delivered, once");
    is(join(' ', @ordered), $subscriber->safe_psql('postgres',
            q{SELECT string_agg(id, ' ' ORDER BY position) FROM kanthorq_stream_orders}),
        "$kind: to an ordered consumer in the order of their positions here");
    is($subscriber->safe_psql('postgres', q{
            SELECT min(position), max(position) = last_position FROM kanthorq_stream_orders, kanthorq_streams
            GROUP BY last_position}), '1|t', "$kind: which the subscriber gave");
    is($subscriber->safe_psql('postgres', q{SELECT bool_and(xid(txid) = xmin) FROM kanthorq_stream_orders}), 't',
        "$kind: with the ids of its own transactions");

    # A late event opens its partition there again.
    if ($kind eq 'partitioned') {
        my $state = q{SELECT count(*), count(*) FILTER (WHERE last_position < 9223372036854775807)
                      FROM kanthorq_partition WHERE partition = 'kanthorq_stream_orders__20260101'::regclass};
        $subscriber->safe_psql('postgres', 'CALL kanthorq_maintain()');
        is($subscriber->safe_psql('postgres', $state), '1|1', "$kind: a partition is closed there");
        my $late = $publisher->safe_psql('postgres',
            q{SELECT kanthorq_publish('orders', 'late', '', id => kanthorq_ulid('2026-01-01 00:00:00+00'))});
        $publisher->wait_for_catchup('orders');
        is($subscriber->safe_psql('postgres', $state), '2|1', "$kind: a late event opens it");
        is(join(' ', drain($subscriber, $_)), $late, "$kind: and comes to $_") for 'worker', 'in_order';
    }

    # An event that is removed is removed there, too.
    my ($removed) = $publisher->safe_psql('postgres', q{SELECT min(id) FROM kanthorq_stream_orders});
    $publisher->safe_psql('postgres', "SELECT kanthorq_event_remove('orders', '{$removed}')");
    $publisher->wait_for_catchup('orders');
    is($subscriber->safe_psql('postgres', "SELECT count(*) FROM kanthorq_event_get('orders', '$removed')"), 0,
        "$kind: a removed event is removed there");

    $subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION orders');
    $_->stop for $subscriber, $publisher;
}

replicate('plain', 'NULL');
replicate('partitioned', "'1 day'");
done_testing();
