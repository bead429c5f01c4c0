# The background workers: they maintain the databases that are named, end at once with the server, and come back after
# whatever ends them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('worker', "shared_preload_libraries = 'kanthorq'", 'kanthorq.maintain_interval = 1s',
    "kanthorq.databases = 'postgres, Other'", 'restart_after_crash = on');
my $launcher = q{FROM pg_stat_activity WHERE backend_type = 'kanthorq launcher' AND application_name = 'kanthorq launcher'
    AND datname IS NULL};
my $worker = q{FROM pg_stat_activity WHERE backend_type = 'kanthorq maintenance'
    AND application_name = 'kanthorq maintenance'};
wait_for($node, "SELECT count(*) = 1 $launcher");

# Events that are too old, in a stream of a role that is no superuser. A trigger of that role says who runs it.
my $set_up = q{
    CREATE TABLE ran_as (who name);
    GRANT INSERT ON ran_as TO shop;
    GRANT CREATE ON SCHEMA public TO shop;
    SET ROLE shop;
    SELECT kanthorq_stream_create('orders'), kanthorq_stream_retention('orders', '1 day');
    CREATE FUNCTION say_who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.ran_as VALUES (current_user); RETURN NULL; END $$;
    CREATE TRIGGER say_who AFTER DELETE ON kanthorq_stream_orders EXECUTE FUNCTION say_who();
};
my $publish = q{SELECT count(kanthorq_publish('orders', 'a', '', id => kanthorq_ulid('2020-01-01'))) FROM generate_series(1, 10)};
my $empty   = 'SELECT count(*) = 0 FROM kanthorq_stream_orders';
$node->safe_psql('postgres', "CREATE ROLE shop; $set_up; $publish");
wait_for($node, $empty);
is($node->safe_psql('postgres', 'SELECT DISTINCT who FROM ran_as'), 'shop', 'what is the owner\'s runs as the owner');

# A database that comes later, and its extension later still.
my $log = slurp_file($node->logfile);
like($log, qr/database "Other" of kanthorq.databases does not exist/, 'a database that is not there is named');
$node->safe_psql('postgres', 'CREATE DATABASE "Other"');
$node->safe_psql('Other', "CREATE EXTENSION kanthorq; $set_up; $publish");
$node->poll_query_until('Other', $empty) or die 'the other database is not maintained';
is(() = slurp_file($node->logfile) =~ /of kanthorq.databases does not exist/g, 1, 'and named once');

# The extension goes and comes back beside the workers.
$node->safe_psql('Other', 'DROP EXTENSION kanthorq CASCADE; CREATE EXTENSION kanthorq');
$node->safe_psql('Other', q{SET ROLE shop; SELECT kanthorq_stream_create('orders'), kanthorq_stream_retention('orders', '1 day')});
$node->safe_psql('Other', $publish);
$node->poll_query_until('Other', $empty) or die 'the extension that came back is not maintained';

# Settings of the database are for its sessions, and not for the worker.
$node->safe_psql('Other', qq{
    CREATE ROLE nobody;
    ALTER DATABASE "Other" SET role = nobody;
    ALTER DATABASE "Other" SET default_transaction_read_only = on;
    ALTER DATABASE "Other" SET statement_timeout = 1;
    $publish});
{
    local $ENV{PGOPTIONS} = '-c role=none -c statement_timeout=0';
    $node->poll_query_until('Other', $empty) or die 'a database with settings of its own is not maintained';
}
pass('a database with settings of its own is maintained');

$node->safe_psql('postgres', 'DROP DATABASE "Other"');
pass('the database can be dropped');

# A worker that is killed in its work. From here on a lock that this test holds stops it for as long as the test wants.
$node->safe_psql('postgres', q{ALTER SYSTEM SET kanthorq.maintain_lock_timeout = '10min'});
$node->reload;
my $blocker = open_session($node);
my $working = "SELECT count(*) = 1 $worker AND datname = 'postgres' AND wait_event_type = 'Lock'";
sub stop_worker_at_work {
    ask($blocker, 'BEGIN; LOCK TABLE kanthorq_stream_orders IN SHARE MODE');
    wait_for($node, $working);
}
$node->safe_psql('postgres', $publish);
stop_worker_at_work();
after_crash($node, sub { kill 'KILL', $node->safe_psql('postgres', "SELECT pid $worker AND datname = 'postgres'") });
wait_for($node, $empty);
pass('after a worker was killed another one does its work');
eval { close_session($blocker) };

# A launcher that is ended.
my $pid = $node->safe_psql('postgres', "SELECT pid $launcher");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
wait_for($node, "SELECT count(*) = 1 $launcher AND pid <> $pid");
$node->safe_psql('postgres', $publish);
wait_for($node, $empty);
pass('a launcher that is ended comes back');

# The list is changed.
$node->safe_psql('postgres', 'ALTER SYSTEM SET kanthorq.databases = template1');
$node->reload;
$blocker = open_session($node);
$node->safe_psql('postgres', $publish);
wait_for($node, "SELECT count(*) = 0 $worker AND datname = 'postgres'");
$node->safe_psql('postgres', 'ALTER SYSTEM RESET kanthorq.databases');
stop_worker_at_work() if eval { $node->reload; 1 };

# The server stops fast although a worker waits for a lock.
$node->stop('fast');
pass('the server stops beside a worker that is at work');
eval { close_session($blocker) };
$node->start;
wait_for($node, $empty);
pass('and the work is done after the start');
unlike(slurp_file($node->logfile), qr/\b(?:PANIC|TRAP|leak|still active)\b/, 'the log has nothing that should not be there');
my ($status, undef, $error) = $node->psql('postgres', q{ALTER SYSTEM SET kanthorq.databases = 'a b'});
like($error, qr/invalid value for parameter "kanthorq.databases"/, 'what is no list of names is refused');
$node->stop;
done_testing();
