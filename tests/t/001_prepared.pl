# A prepared transaction's events come when it is committed: before and after a restart of the server,
# while the backend that prepared it does something else, and never when it is rolled back.
#
# A prepared transaction keeps the virtual id of the backend that prepared it, so whoever looks for
# the holder of its lock in that backend finds whatever that backend runs now.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('prepared', 'kanthorq.durable_pull = on');  # no pull is forgotten by the crash
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('in_order', 'orders', ordered => true)});

sub publish { return "SELECT kanthorq_publish('orders', 'order.created', '$_[0]')" }

# What a consumer gets now, as bodies; acknowledged.
sub pulled {
    my ($consumer) = @_;
    return $node->safe_psql('postgres', qq{
        WITH batch AS MATERIALIZED (SELECT * FROM kanthorq_pull('$consumer'))
        SELECT string_agg(convert_from(body, 'UTF8'), ' ' ORDER BY position) FROM batch});
}

# The session that prepares goes on with an open transaction of its own, which publishes nothing.
my $session = open_session($node);
ask($session, 'BEGIN; ' . publish('prepared_one') . "; PREPARE TRANSACTION 'one'");
ask($session, 'BEGIN; SELECT pg_current_xact_id() IS NOT NULL');
$node->safe_psql('postgres', publish('after_one'));

is(pulled('worker'), 'after_one', 'what is committed comes, what is prepared does not');
is(pulled('in_order'), '', 'an ordered consumer waits for the prepared transaction');
is($node->safe_psql('postgres', "SELECT gid FROM kanthorq_horizon('orders')"), 'one',
    'kanthorq_horizon() shows the prepared transaction');

ask($session, 'COMMIT');
is(pulled('worker'), '', 'nothing comes when the session that prepared ends another transaction');
$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
is(pulled('worker'), 'prepared_one', 'what was prepared comes when it is committed');
is(pulled('in_order'), 'prepared_one after_one', 'and to the ordered consumer in its place');
is(pulled('worker'), '', 'once');

# The same over a restart, after which the transaction has no backend at all.
ask($session, 'BEGIN; ' . publish('prepared_two') . "; PREPARE TRANSACTION 'two'");
ask($session, 'BEGIN; ' . publish('prepared_three') . "; PREPARE TRANSACTION 'three'");
$node->safe_psql('postgres', publish('before_restart'));
is(pulled('worker'), 'before_restart', 'the cursor passes the prepared transactions');
close_session($session);
$node->stop('immediate');
$node->start;

$node->safe_psql('postgres', publish('after_restart'));
is(pulled('worker'), 'after_restart', 'after a crash the prepared ones are still known');
is(pulled('in_order'), '', 'and an ordered consumer still waits for them');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'three'");
is(pulled('worker'), '', 'what is rolled back never comes');
$node->safe_psql('postgres', "COMMIT PREPARED 'two'");
is(pulled('worker'), 'prepared_two', 'what is committed comes');
is(pulled('in_order'), 'prepared_two before_restart after_restart', 'in order');
is($node->safe_psql('postgres', 'SELECT DISTINCT cardinality(late) FROM kanthorq_delivery_state'),
    '0', 'and nothing is owed any more');

# A publisher that is prepared first and only then seen for the first time.
$node->safe_psql('postgres', 'BEGIN; ' . publish('prepared_four') . "; PREPARE TRANSACTION 'four'");
$node->restart;
$node->safe_psql('postgres', publish('last'));
is(pulled('worker'), 'last', 'a transaction known by its id only is a writer');
$node->safe_psql('postgres', "COMMIT PREPARED 'four'");
is(pulled('worker'), 'prepared_four', 'and is not lost');

$node->stop;
done_testing();
