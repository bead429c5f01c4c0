# A base backup taken under load, recovered to a moment between lease and acknowledgement: the lease is
# held, and everything is of that moment.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $primary = new_primary('primary', archiving => 1);
$primary->safe_psql('postgres', q{
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL);
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create(name, 'orders') FROM unnest('{worker,holder}'::text[]) AS name});
my @publishers = map { start_script($primary, publishing('orders', 5000)) } 1 .. 2;
my $worker = start_script($primary, working('worker', 5000));
my $done   = 'SELECT count(*) > %d FROM done';
wait_for($primary, sprintf $done, 20);
$primary->backup('base');

# The moment: three events are leased, and the load goes on.
my $lease = $primary->safe_psql('postgres', q{SELECT max(lease) FROM kanthorq_pull('holder', 3)});
my $early = $primary->safe_psql('postgres',
    q{SELECT '(''' || string_agg(id, ''', ''') || ''')' FROM kanthorq_stream_orders});
my $digest = "SELECT count(*), md5(string_agg(events::text, '' ORDER BY position))
              FROM kanthorq_stream_orders AS events WHERE id IN $early";
my $publisher = open_session($primary);
my ($open) = ask($publisher, q{BEGIN; SELECT kanthorq_publish('orders', 'order.paid', '')}) =~ /(\w{26})/;
$primary->safe_psql('postgres', "SELECT pg_create_restore_point('leased')");
is($primary->safe_psql('postgres', "SELECT kanthorq_ack('holder', $lease)"), 3, 'the lease is acknowledged');
ask($publisher, 'COMMIT');
close_session($publisher);
stop_scripts($primary, @publishers, $worker);
my $late = $primary->safe_psql('postgres', $digest);
# The file that is complete now. The position that comes next is at the start of a file, for which servers
# before 17 name the one before, and others the one that is never archived.
my $wal = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
wait_for($primary, "SELECT last_archived_wal >= '$wal' FROM pg_stat_archiver");
$primary->stop('immediate');

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
$restored->append_conf('postgresql.conf', "recovery_target_name = 'leased'\nrecovery_target_action = 'promote'");
$restored->start;
wait_for($restored, 'SELECT NOT pg_is_in_recovery()');

is($restored->safe_psql('postgres', $digest), $late, 'the events of before are there');
is($restored->safe_psql('postgres', "SELECT count(*) FROM kanthorq_stream_orders WHERE id = '$open'"), 0,
    'one that was committed later is not');
is(places($restored, 'orders'), 't|t|t', 'no consumer is ahead of the positions handed out');
is($restored->safe_psql('postgres', "SELECT kanthorq_ack('holder', $lease)"), 3, 'the lease is still held');
$restored->safe_psql('postgres', q{SELECT kanthorq_publish('orders', 'order.paid', '')});
expire_leases($restored);
drain($restored, $_) for qw(worker holder);
is(deliveries($restored, 'orders'),
    "holder|0|0|3\nworker|0|0|0", 'every event is delivered, once');

$restored->stop;
done_testing();
