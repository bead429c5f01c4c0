# Retention beside everything else: pulls of consumers that lose events, an ordered consumer, a prepared transaction, an
# old snapshot, and two maintenances at once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('retention');
my $maintain = 'CALL kanthorq_maintain()';

# Events that are too old come and go all the time, in a plain stream and in a partitioned one. Workers pull some of
# them, refuse some, and let some leases run out. Each event of a consumer is acknowledged, or discarded, or counted as
# skipped; and whatever was counted was not acknowledged before.
for my $kind ('plain', 'partitioned') {
    my $interval = $kind eq 'plain' ? 'NULL' : q{'1 hour'};
    $node->safe_psql('postgres', qq{
        CREATE TABLE acked_$kind (consumer text, id text, PRIMARY KEY (consumer, id));
        SELECT kanthorq_stream_create('$kind', partition_interval => $interval);
        SELECT kanthorq_stream_retention('$kind', '1 hour', 'skip');
        SELECT kanthorq_consumer_create(name, '$kind', attempt_max => 32767, includes => includes)
        FROM (VALUES ('fast_$kind', '{>}'::text[]), ('slow_$kind', '{a.*}'), ('idle_$kind', '{>}')) AS c (name, includes)});
    my $publishing = qq{
        SELECT count(kanthorq_publish('$kind', (ARRAY['a.b', 'b'])[1 + n % 2], '',
            id => kanthorq_ulid(now() - interval '1 hour' * (2 + n % 5)))) FROM generate_series(1, 37) AS n;} x 400;
    # The work of an event is a row. So is the loss of a lease: its events count as skipped, or come again.
    my $working = sub {
        my ($consumer, $visibility) = @_;
        return qq{
        BEGIN;
        CREATE TEMPORARY TABLE batch ON COMMIT DROP AS
            SELECT * FROM kanthorq_pull('$consumer', 20, visibility_timeout => '$visibility');
        INSERT INTO acked_$kind SELECT '$consumer', id FROM batch WHERE random() < 0.9 ON CONFLICT DO NOTHING;
        SELECT kanthorq_ack('$consumer', lease, array_agg(id)) FROM batch JOIN acked_$kind USING (id)
            WHERE consumer = '$consumer' GROUP BY lease;
        SELECT kanthorq_nack('$consumer', lease, array_agg(id), retry_in => '0') FROM batch
            WHERE random() < 0.1 AND NOT EXISTS (SELECT FROM acked_$kind a WHERE consumer = '$consumer' AND a.id = batch.id)
            GROUP BY lease;
        COMMIT;} x 400;
    };
    my $maintaining = "$maintain;\n" x 60;
    my @scripts = (
        start_script($node, $publishing),
        start_script($node, $working->("fast_$kind", '1 hour')),
        start_script($node, $working->("slow_$kind", '10 ms')),
        map { start_script($node, "SET client_min_messages = error;\n$maintaining") } 1 .. 2);
    my @errors = map { finish_script($_) } @scripts;
    is(join('', @errors), '', "$kind: nobody has an error");

    # What is left goes, and what is counted is what nobody had.
    $node->safe_psql('postgres', $maintain) for 1 .. 2;
    is($node->safe_psql('postgres', "SELECT count(*) FROM kanthorq_stream_$kind"), 0, "$kind: all events are gone");
    my $published = 37 * 400;
    my $of_slow   = 18 * 400;
    my $counted = "(SELECT skipped FROM kanthorq_consumers WHERE name = '%s_$kind')";
    my $acked   = "(SELECT count(*) FROM acked_$kind WHERE consumer = '%s_$kind')";
    for ([ 'fast', $published ], [ 'slow', $of_slow ], [ 'idle', $published ]) {
        my ($name, $wanted) = @$_;
        my $sum = $node->safe_psql('postgres', sprintf "SELECT $counted + $acked", $name, $name);
        cmp_ok($sum, '>=', $wanted, "$kind: of the consumer $name, each event is acknowledged or counted");
        # An event that comes to a partition that is about to be dropped brings those in it back, and they count again.
        is($sum, $wanted, "$kind: once") if $kind eq 'plain';
    }
    cmp_ok($node->safe_psql('postgres', sprintf "SELECT $counted", 'idle'), '>=', $published,
        "$kind: a consumer that nobody pulls has lost all");
    isnt($node->safe_psql('postgres', sprintf "SELECT $acked", 'fast'), 0, "$kind: the fast one has had some");
    is($node->safe_psql('postgres', "SELECT sum(running + retryable) FROM kanthorq_consumers WHERE stream = '$kind'
            AND name <> 'fast_$kind'") =~ /^\d+$/, 1, "$kind: the views still work");
    $node->safe_psql('postgres', "SELECT kanthorq_stream_drop('$kind', confirm => '$kind')");
}

# An ordered consumer of a plain stream waits for a batch only: events come while others are removed.
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('ordered'), kanthorq_stream_retention('ordered', '1 hour');
    SELECT kanthorq_publish('ordered', 'a', '', id => kanthorq_ulid('2020-01-01')) FROM generate_series(1, 30000);
    SELECT kanthorq_consumer_create('ordered', 'ordered', ordered => true, start_at => 'new')});
my ($blocker, $cleaner, $worker) = map { open_session($node) } 1 .. 3;
is(ask($cleaner, "$maintain"), '', 'a batch after the other is removed');
$node->safe_psql('postgres', q{SELECT kanthorq_publish('ordered', 'a', 'new')});
like(ask($worker, q{SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('ordered', wait => '10 s')}), qr/^new$/m,
    'and an ordered consumer gets what comes next');

# Three batches, the second of which finds its row locked: the first is committed by then.
$node->safe_psql('postgres', q{SELECT kanthorq_ack('ordered', max(lease)) FROM kanthorq_delivery_lease});
$node->safe_psql('postgres', q{
    SELECT kanthorq_publish('ordered', 'a', n::text::bytea, id => kanthorq_ulid('2020-01-01')) FROM generate_series(1, 25000) AS n;
    SELECT kanthorq_consumer_seek('ordered', 'new', 'ordered')});
ask($blocker, q{BEGIN; SELECT id FROM kanthorq_stream_ordered WHERE body = '15000' FOR UPDATE});
start_statement($cleaner, q{SET kanthorq.maintain_lock_timeout = '10 min'; } . $maintain);
wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ 'kanthorq_maintain' AND wait_event_type = 'Lock'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_stream_ordered WHERE position > 30001}), 15000,
    'a batch is committed before the next one begins');
# The second maintenance leaves the stream alone.
is($node->safe_psql('postgres', "$maintain; SELECT 'left alone'"), 'left alone', 'two maintenances at once do not wait for each other');
ask($blocker, 'COMMIT');
ask($cleaner, 'SELECT 1');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_stream_ordered WHERE position > 30001}), 0, 'all batches are removed');

# A prepared transaction that has pulled has the consumer's turn. Its events are neither lost nor counted while it has.
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('prepared'), kanthorq_stream_retention('prepared', '1 hour', 'skip'),
        kanthorq_consumer_create('prepared', 'prepared');
    SELECT kanthorq_publish('prepared', 'a', '', id => kanthorq_ulid('2020-01-01')) FROM generate_series(1, 10);
    BEGIN;
    SELECT count(*) FROM kanthorq_pull('prepared', 4);
    PREPARE TRANSACTION 'pulled'});
$node->safe_psql('postgres', "SET client_min_messages = error; $maintain");
is($node->safe_psql('postgres', q{SELECT count(*), (SELECT skipped FROM kanthorq_consumers WHERE name = 'prepared')
    FROM kanthorq_stream_prepared}), '10|0', 'a consumer whose turn is taken loses nothing');
like($node->safe_psql('postgres', q{SELECT said FROM kanthorq_maintenance WHERE stream_name = 'prepared' AND step = 'retention'}),
    qr/lock timeout/, 'and maintenance says why');
$node->safe_psql('postgres', q{COMMIT PREPARED 'pulled'});
$node->safe_psql('postgres', "SET client_min_messages = error; $maintain");
is($node->safe_psql('postgres', q{SELECT count(*), (SELECT skipped FROM kanthorq_consumers WHERE name = 'prepared')
    FROM kanthorq_stream_prepared}), '0|10', 'afterwards all are counted, those in its lease too');
is($node->safe_psql('postgres', q{SELECT kanthorq_ack('prepared', max(lease)) FROM kanthorq_delivery_lease WHERE consumer = 'prepared'}),
    4, 'whose lease is acknowledged as always');

# A prepared publisher, and an old snapshot, stop nobody.
$node->safe_psql('postgres', q{
    BEGIN;
    SELECT kanthorq_publish('prepared', 'a', 'late', id => kanthorq_ulid('2020-01-01'));
    PREPARE TRANSACTION 'published';
    SELECT kanthorq_publish('prepared', 'a', '', id => kanthorq_ulid('2020-01-01')) FROM generate_series(1, 3)});
ask($blocker, q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM kanthorq_stream_prepared});
$node->safe_psql('postgres', "SET client_min_messages = error; $maintain");
is($node->safe_psql('postgres', 'SELECT count(*) FROM kanthorq_stream_prepared'), 0, 'what is committed goes');
is(ask($blocker, 'SELECT count(*) FROM kanthorq_stream_prepared'), "3\n", 'an old snapshot still sees it');
ask($blocker, 'COMMIT');
$node->safe_psql('postgres', q{COMMIT PREPARED 'published'});
is($node->safe_psql('postgres', q{SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('prepared')}), 'late',
    'what is committed afterwards is delivered');
close_session($_) for $blocker, $cleaner, $worker;
$node->stop;
done_testing();
