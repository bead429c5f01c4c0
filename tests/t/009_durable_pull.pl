# The commit of a transaction that writes nothing but pulls does not wait for the disk, and every other commit
# does. What a crash then forgets does no harm.
#
# Nothing but commits brings the WAL to the disk here: the process that does it in the background is stopped, and no
# other one has a reason. So whether a commit has waited is no question of time.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node(
    'durable_pull',              'restart_after_crash = on',
    "checkpoint_timeout = '1h'", "wal_writer_delay = '10s'",
    'bgwriter_lru_maxpages = 0', 'max_parallel_workers = 2',
    'wal_level = replica',       'max_wal_senders = 2');
$node->safe_psql('postgres', q{
    CREATE TABLE own (i integer, note text);
    INSERT INTO own SELECT i, 'before' FROM generate_series(1, 20000) AS i;
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('idle', 'orders', includes => '{never}');
    SELECT cardinality(kanthorq_publish_many_text('orders', array_fill('a'::text, ARRAY[1000]),
        array_fill('body'::text, ARRAY[1000])));
    CREATE FUNCTION pull() RETURNS bigint RETURN (SELECT max(lease) FROM kanthorq_pull('worker', 1));
    CREATE FUNCTION pull_durably() RETURNS bigint LANGUAGE sql SET kanthorq.durable_pull = on
        AS 'SELECT pull()';
    CREATE FUNCTION pull_and_write() RETURNS bigint LANGUAGE sql AS $$
        INSERT INTO own VALUES (0, 'function'); SELECT pull() $$;
    CREATE PROCEDURE pull_and_commit(times integer) LANGUAGE plpgsql AS $$
        BEGIN FOR i IN 1 .. times LOOP PERFORM pull(); COMMIT; END LOOP; END $$;
    CREATE PROCEDURE pull_commit_write() LANGUAGE plpgsql AS $$
        BEGIN PERFORM pull(); COMMIT; INSERT INTO own VALUES (0, 'procedure'); END $$;
    CREATE PROCEDURE write_commit_pull(INOUT place pg_lsn) LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO own VALUES (0, 'procedure');
            COMMIT;
            place := pg_current_wal_insert_lsn();
            PERFORM pull();
        END $$});

my $wal_writer;

sub stop_wal_writer {
    ($wal_writer) = $node->safe_psql('postgres',
        q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
    kill 'STOP', $wal_writer or die "could not stop the WAL writer: $!";
}

# What the tables hold is on the disk, so nothing has to be written but what comes now.
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walwriter'})
  or die 'there is no WAL writer';
$node->safe_psql('postgres', 'VACUUM own; CHECKPOINT');
stop_wal_writer();
my $session = open_session($node);

# Where the WAL ends now.
sub end_of_wal {
    my ($place) = ask($session, 'SELECT pg_current_wal_insert_lsn()') =~ m{^(\w+/\w+)$}m;
    return $place;
}

# Has anything that was written after this place come to the disk?
sub is_on_disk { return ask($session, "SELECT pg_current_wal_flush_lsn() > '$_[0]'") eq "t\n" }

# Runs the statements, which must write something.
sub commits {
    my ($sql) = @_;
    my $place  = end_of_wal();
    my $answer = ref $sql ? $sql->() : ask($session, $sql);
    unlike($answer, qr/ERROR|WARNING/, 'no complaint');
    isnt(end_of_wal(), $place, 'something was written');
    return $place;
}
sub waits    { my ($sql, $what) = @_; ok(is_on_disk(commits($sql)),  "waits for the disk: $what") }
sub goes_on  { my ($sql, $what) = @_; ok(!is_on_disk(commits($sql)), "does not wait: $what") }

my $pull  = q{SELECT lease FROM kanthorq_pull('worker', 1)};
my $write = q{INSERT INTO own VALUES (0, 'here')};
my $ack   = q{SELECT kanthorq_ack('worker', (SELECT max(lease) FROM kanthorq_delivery_lease))};

# Nothing but pulls

waits($write, 'a row, which shows that this test sees it');
goes_on($pull, 'a pull');
goes_on(q{SELECT lease FROM kanthorq_pull('worker', 1, wait => '1 minute')}, 'a pull with wait');
goes_on("BEGIN; $pull; $pull; COMMIT", 'two pulls');
goes_on("PREPARE pull AS $pull; EXECUTE pull; DEALLOCATE pull", 'a prepared statement');
goes_on('SELECT pull()', 'a pull in a function');
goes_on("BEGIN; SAVEPOINT a; $pull; RELEASE a; SAVEPOINT b; $pull; COMMIT", 'pulls in savepoints');
goes_on("BEGIN ISOLATION LEVEL SERIALIZABLE; $pull; COMMIT", 'a serializable transaction');
goes_on("BEGIN; DECLARE c CURSOR FOR $pull; FETCH ALL FROM c; COMMIT", 'a cursor');
goes_on("BEGIN; DECLARE c CURSOR WITH HOLD FOR $pull; COMMIT; CLOSE c", 'a cursor whose query the commit runs');
goes_on('CALL pull_and_commit(3)', 'a procedure that commits each of its pulls');
goes_on(q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
    BEGIN; SELECT count(*) FROM own; } . "$pull; SELECT count(*) FROM own; COMMIT",
    'a pull between queries with parallel workers');
goes_on("BEGIN; $pull; SELECT count(*) FROM kanthorq_events('orders'); COMMIT", 'a pull, and reading');

# What else is written

waits("BEGIN; $write; $pull; COMMIT",            'a row before the pull');
waits("BEGIN; $pull; $write; COMMIT",            'a row after it');
waits("BEGIN; $pull; $write; $pull; COMMIT",     'a row between two');
waits("WITH p AS ($pull), w AS ($write) SELECT lease FROM p", 'a row beside the pull in a statement');
waits("INSERT INTO own SELECT lease % 7, 'pulled' FROM kanthorq_pull('worker', 1)", 'a row from what is pulled');
waits('SELECT pull_and_write()',                                                    'a row in a function');
waits("BEGIN; SAVEPOINT a; $write; ROLLBACK TO a; $pull; COMMIT", 'a row in a savepoint that is rolled back');
waits("BEGIN; $pull; SAVEPOINT a; $write; RELEASE a; COMMIT",     'a row in a savepoint');
waits("BEGIN; $pull; SELECT i FROM own WHERE i = 1 FOR UPDATE; COMMIT", 'the lock of a row');
waits("BEGIN; $pull; SELECT length(kanthorq_publish_text('orders', 'a', 'own')); COMMIT", 'an event');
waits("BEGIN; $pull; CREATE TABLE new (); COMMIT; DROP TABLE new",                        'a table');
waits("BEGIN; SELECT pg_current_xact_id(); $pull; COMMIT", 'a transaction whose id was asked for');
ask($session, q{SELECT count(*) FROM kanthorq_pull('idle')});  # from now on it finds nothing
waits("BEGIN; SELECT count(*) FROM kanthorq_pull('idle'); SELECT pg_current_xact_id(); $pull; COMMIT",
    'the same after a pull that found nothing');
waits("BEGIN; SELECT pg_logical_emit_message(false, 'own', 'message') > '0/0'; $pull; COMMIT", 'a message before the pull');
waits("BEGIN; $pull; $ack; COMMIT",                        'a pull and its ack');
waits("BEGIN; $ack; $pull; COMMIT",                        'an ack and the next pull');
waits("WITH p AS MATERIALIZED ($pull) SELECT kanthorq_ack('worker', lease) FROM p", 'both in a statement');
waits("BEGIN; $pull; SELECT kanthorq_extend('worker', max(lease), '1 hour') > now() FROM kanthorq_delivery_lease; COMMIT",
    'an extended lease');
waits("BEGIN; $pull; SELECT kanthorq_nack('worker', max(lease), retry_in => '1 day') FROM kanthorq_delivery_lease; COMMIT",
    'a refused event');
waits('CALL pull_commit_write()', 'a procedure that writes after it has committed a pull');
my ($place) = ask($session, "CALL write_commit_pull('0/0')") =~ m{^(\w+/\w+)$}m;
ok(!is_on_disk($place), 'does not wait: the pull of a procedure that has committed rows before');
waits("BEGIN; $pull; PREPARE TRANSACTION 'p'", 'a prepared transaction');
waits("COMMIT PREPARED 'p'",                   'and its commit');

# If the clock was set back, a lease gets a number that is counted, and not the clock's. A crash must not forget it, or the
# next lease would get the same number, and whoever still has the forgotten one could settle it.
sub last_lease { return ask($session, q{SELECT last_lease FROM kanthorq_delivery_state WHERE consumer = 'worker'}) + 0 }
ok(last_lease() % 2 == 0, 'the numbers of the clock are even');
my $clock  = last_lease();
my $set_to = sub { ask($session, "UPDATE kanthorq_delivery_state SET last_lease = $_[0] WHERE consumer = 'worker'") };
$set_to->($clock + 3_600_000_000);
waits($pull, 'a pull after the clock was set back');
is(last_lease(), $clock + 3_600_000_001, 'its number is odd');
waits($pull, 'the next one');
is(last_lease(), $clock + 3_600_000_003, 'its number is the next odd one');
$set_to->($clock);
goes_on($pull, 'a pull when the clock is right again');
ok(last_lease() % 2 == 0, 'its number is even');

# Nothing is left of a transaction for the next one.
ask($session, "BEGIN; $pull; SELECT 1 / 0; ROLLBACK");
waits($write, 'a row after a pull that failed');
waits("BEGIN; $write; $pull; COMMIT", 'a row and a pull after that');
goes_on($pull, 'and then a pull');
ask($session, "BEGIN; SELECT lease FROM kanthorq_pull('nobody'); ROLLBACK; BEGIN; $pull; ROLLBACK");
waits("BEGIN; $write; $pull; COMMIT", 'a row and a pull after one that was rolled back');

# Several statements in one transaction without BEGIN, as a pipeline sends them.
my $pipelines = 0;
sub pipeline {
    my $script = $node->basedir . '/pipeline_' . ++$pipelines;
    append_to_file($script, join('', "\\startpipeline\n", (map { "$_;\n" } @_), "\\endpipeline\n"));
    return sub {
        $node->command_ok([ 'pgbench', '-n', '-M', 'prepared', '-t', 1, '-f', $script, 'postgres' ], 'pgbench runs');
        return '';
    };
}
goes_on(pipeline($pull, $pull),         'pulls in a pipeline');
waits(pipeline($pull,  $write), 'a pull and a row in a pipeline');
waits(pipeline($write, $pull),  'a row and a pull in a pipeline');

# The settings

my $shown = 'SHOW synchronous_commit';
is(ask($session, $shown), "on\n", 'the server commits as before');
goes_on("BEGIN; SET LOCAL synchronous_commit = remote_apply; $pull; COMMIT", 'whatever the transaction is set to');
is(ask($session, $shown), "on\n", 'which ends with it');
goes_on("BEGIN; SET synchronous_commit = local; $pull; COMMIT", 'what the session is set to');
is(ask($session, $shown), "local\n", 'which stays');
ask($session, 'RESET synchronous_commit');
waits("SET kanthorq.durable_pull = on; $pull; RESET kanthorq.durable_pull", 'a pull with kanthorq.durable_pull');
waits("BEGIN; SET LOCAL kanthorq.durable_pull = on; $pull; COMMIT",         'one in a transaction with it');
waits('SELECT pull_durably()',                                             'one in a function with it');
goes_on($pull, 'a pull after that');
like(ask($session, 'SET kanthorq.durable_pul = on'), qr/ERROR/, 'a setting that is misspelt is refused');

# A synchronous standby that is not there

sub set_standby {
    my ($name) = @_;
    $node->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = '$name'");
    $node->safe_psql('postgres', 'SELECT pg_reload_conf()');
    # A new session has the setting if the server has told its processes. The checkpointer tells who commits, before
    # it does a checkpoint.
    wait_for($node, "SELECT current_setting('synchronous_standby_names') = '$name'");
    $node->safe_psql('postgres', 'CHECKPOINT');
}
my $pid = ask($session, 'SELECT pg_backend_pid()');
chomp $pid;

# Does the commit of these statements wait for a standby? Then it is told to wait no longer.
sub waits_for_standby {
    my ($sql, $what) = @_;
    start_statement($session, $sql);
    wait_for($node, "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $pid");
    pass("waits for the standby: $what");
    $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
    like(ask($session, 'SELECT 1'), qr/canceling wait for synchronous replication/, 'until that is cancelled');
}
set_standby('nobody');
waits_for_standby($write, 'a row');
like(ask($session, $pull), qr/^\d+\n$/, 'does not wait for the standby: a pull');
waits_for_standby("BEGIN; $pull; $write; COMMIT", 'a pull and a row');
waits_for_standby($ack,                           'an ack');
waits_for_standby("SET kanthorq.durable_pull = on; $pull", 'a pull with kanthorq.durable_pull');
ask($session, 'RESET kanthorq.durable_pull');
set_standby('');

# A crash

sub crash {
    close_session($session);
    after_crash($node, sub { kill 'KILL', $wal_writer });
    wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'walwriter'});
    stop_wal_writer();
    $session = open_session($node);
}

# The rows of a pull: lease, attempt and body.
sub pulled {
    my ($size, $more) = @_;
    return split /\n/, ask($session,
        "SELECT lease, attempt, convert_from(body, 'UTF8') FROM kanthorq_pull('worker', $size" . ($more // '') . ')');
}
sub publish { $node->safe_psql('postgres', join '; ', map { "SELECT kanthorq_publish_text('orders', 'a', '$_')" } @_) }
sub bodies { return join ' ', map { s/^\d+\|//r } @_ }
sub lease_of { return $_[0] =~ /^(\d+)/ ? $1 : die "no lease in: $_[0]" }
sub settle { return ask($session, "\\set VERBOSITY sqlstate\nSELECT kanthorq_ack('worker', $_[0])") }

$node->safe_psql('postgres', q{SELECT kanthorq_consumer_seek('worker', 'new', confirm => 'worker')});
publish(qw(a b c d));
my @first = pulled(2);
is(bodies(@first), '1|a 1|b', 'a pull');
crash();
like(settle(lease_of($first[0])), qr/KQ001/, 'after a crash the lease of a pull may be unknown');
my @again = pulled(2);
is(bodies(@again), '1|a 1|b', 'then its events come again, with the attempt that is forgotten');
isnt(lease_of($again[0]), lease_of($first[0]), 'in another lease');
like(settle(lease_of($first[0])), qr/KQ001/, 'and the ack of the unknown one is refused still');

# Another pull, which does not wait either, and its ack, which does.
my @other = pulled(1);
is(bodies(@other),               '1|c', 'another worker has the next event');
is(settle(lease_of($other[0])), "1\n", 'and acknowledges it');
crash();
is(settle(lease_of($again[0])), "2\n", 'that ack took the pull before it to the disk, so its lease is known');
crash();
is(bodies(pulled(10)), '1|d', 'what was acknowledged does not come again, and nothing is lost');

# An attempt that is counted, and one that is forgotten.
$node->safe_psql('postgres', q{SELECT kanthorq_consumer_alter('worker', attempt_max => 2);
    SELECT kanthorq_consumer_seek('worker', 'new', confirm => 'worker')});
publish('tried');
my @tried = pulled(1);
is(ask($session, "SELECT kanthorq_nack('worker', " . lease_of($tried[0]) . ", retry_in => '0')"), "1\n", 'refused');
my @last = pulled(1);
is(bodies(@last), '2|tried', 'its last attempt');
crash();
@last = pulled(1);
is(bodies(@last), '2|tried', 'is begun again if a crash has forgotten it');
ask($session, 'SET kanthorq.durable_pull = on');
is(ask($session, "SELECT kanthorq_nack('worker', " . lease_of($last[0]) . ')'), "1\n", 'and is the last');
is(bodies(pulled(1)), '', 'so nothing comes');
publish('counted');
ask($session, 'SET kanthorq.durable_pull = on');
is(bodies(pulled(1, ", visibility_timeout => '1 ms'")), '1|counted', 'with kanthorq.durable_pull');
crash();
is(ask($session, q{SELECT kanthorq_task_state('worker', max(id)) FROM kanthorq_stream_orders}), "running\n",
    'a crash forgets no attempt');
wait_for($node, q{SELECT max(deadline) < extract(epoch FROM clock_timestamp()) * 1000 FROM kanthorq_delivery_lease});
is(bodies(pulled(1)), '2|counted', 'and the next one has the next number');

close_session($session);
kill 'CONT', $wal_writer;
$node->stop;
done_testing();
