# An asynchronous standby that is behind is promoted: it lacks a tail, and what it has is of one moment,
# so that consumers there are not ahead of their stream, and go on exactly.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $primary = new_primary('primary');
$primary->safe_psql('postgres', q{
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL);
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create(name, 'orders') FROM unnest('{worker,holder,eager}'::text[]) AS name;
    SELECT kanthorq_publish('orders', 'order.paid', '') FROM generate_series(1, 10)});
my $held = $primary->safe_psql('postgres', q{SELECT max(lease) FROM kanthorq_pull('holder', 5)});
my $standby = new_standby('standby', $primary);

my @publishers = map { start_script($primary, publishing('orders', 5000)) } 1 .. 2;
my @workers    = map { start_script($primary, working('worker', 5000)) } 1 .. 2;
sub count_of { return "SELECT count(*) FROM kanthorq_stream_orders $_[0]" }
wait_for($primary, 'SELECT (' . count_of('') . ') > 200');

# From here on it gets nothing more, in the middle of everything.
my $early = $primary->safe_psql('postgres',
    q{SELECT '(''' || string_agg(id, ''', ''') || ''')' FROM kanthorq_stream_orders});
$primary->wait_for_catchup('standby');
$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
$standby->reload;
wait_for($standby, 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');

# The tail: events, pulls and acknowledgements that nobody but the primary knows.
my $events = $primary->safe_psql('postgres', count_of(''));
wait_for($primary, "SELECT (" . count_of('') . ") > $events + 100");
my ($lost) = split /\n/, $primary->safe_psql('postgres', q{SELECT max(lease) FROM kanthorq_pull('eager', 10000)});
is($primary->safe_psql('postgres', "SELECT kanthorq_ack('holder', $held)"), 5, 'acknowledged on the primary');
my $ceiling = $primary->safe_psql('postgres', q{SELECT ceiling FROM kanthorq_delivery_state WHERE consumer = 'eager'});
$primary->stop('immediate');
finish_script($_) for @publishers, @workers;
$standby->promote;

my @committed = committed_ids(@publishers);
cmp_ok($standby->safe_psql('postgres', count_of('')), '<', scalar @committed, 'a tail is lost');
is($standby->safe_psql('postgres', count_of("WHERE id IN $early")), split(/,/, $early) + 0,
    'and nothing but that');
is(places($standby, 'orders'), 't|t|t', 'no consumer is ahead of the positions handed out');

# Leases are as they were.
my (undef, undef, $error) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT kanthorq_ack('eager', $lost)");
like($error, qr/KQ001/, 'a lease of the tail is not held here');
is($standby->safe_psql('postgres', "SELECT kanthorq_ack('holder', $held)"), 5, 'a lost acknowledgement can be repeated');

# Positions beyond those of the tail are handed out again, and their events come.
my $last = $standby->safe_psql('postgres', 'SELECT last_position FROM kanthorq_streams');
cmp_ok($last, '<', $ceiling, 'positions of the tail are to be handed out again');
$standby->safe_psql('postgres', qq{
    SELECT kanthorq_publish('orders', 'order.paid', '') FROM generate_series($last, $ceiling)});
expire_leases($standby);
drain($standby, $_) for qw(worker holder eager);
is(deliveries($standby, 'orders'),
    "eager|0|0|0\nholder|0|0|5\nworker|0|0|0", 'every event is delivered, once');

$standby->stop;
done_testing();
