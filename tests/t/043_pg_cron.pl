# pg_cron calls maintenance on a schedule, if the library is not preloaded.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = PostgreSQL::Test::Cluster->new('cron');
plan skip_all => 'pg_cron is not installed'
    unless -e (PostgreSQL::Test::Utils::run_command(['pg_config', '--sharedir']))[0] . '/extension/pg_cron.control';
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\n"
        . "cron.use_background_workers = on\ncron.log_run = on\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION kanthorq;
    CREATE EXTENSION pg_cron;
    SELECT kanthorq_stream_create('orders'), kanthorq_stream_retention('orders', '1 day', 'skip'),
        kanthorq_consumer_create('slow', 'orders');
    SELECT kanthorq_publish('orders', 'a', '', id => kanthorq_ulid('2020-01-01')) FROM generate_series(1, 20000);
    SELECT cron.schedule('kanthorq', '* * * * *', 'CALL kanthorq_maintain()')});
wait_for($node, 'SELECT count(*) = 0 FROM kanthorq_stream_orders');
is($node->safe_psql('postgres', q{SELECT skipped FROM kanthorq_consumers}), 20000, 'old events are removed, and counted');
wait_for($node, q{SELECT count(*) > 1 FROM cron.job_run_details WHERE status = 'succeeded'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'}), 0,
    'and no run has failed');
$node->stop;
done_testing();
