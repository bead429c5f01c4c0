# Retention and kanthorq_trim() are killed, or have an error, between any two of their steps: each event of a consumer
# comes, or is counted as skipped, and the next maintenance does what is left.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;

my @points = grep { /^retention_/ } all_points();
my $node   = new_node('retention', 'restart_after_crash = on', "shared_preload_libraries = 'kanthorq'");
$node->safe_psql('postgres', q{
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL);
    SELECT kanthorq_stream_create('plain'), kanthorq_stream_create('days', partition_interval => '1 day');
    SELECT kanthorq_consumer_create('worker_' || name, name), kanthorq_consumer_create('idle_' || name, name, attempt_max => 2)
    FROM kanthorq_stream_registry});

# Something for each step, in each of the streams: old events of two days, of which one consumer has had some, and the
# other one has one in a lease that ran out; and the history of an event that is gone.
sub prepare {
    $node->safe_psql('postgres', q{
        SELECT kanthorq_stream_retention(name, NULL) FROM kanthorq_stream_registry;
        SELECT kanthorq_publish(name, 'a', '', id => kanthorq_ulid(day + n * interval '1 ms'))
        FROM kanthorq_stream_registry, unnest('{2020-01-01 12:00,2020-01-02 12:00}'::timestamptz[]) AS day, generate_series(1, 3) AS n});
    $node->safe_psql('postgres', 'CALL kanthorq_maintain()');
    $node->safe_psql('postgres', q{
        CREATE TEMPORARY TABLE had AS SELECT stream, name, p.*
            FROM kanthorq_consumers, kanthorq_pull(name, 2) AS p WHERE name ~ '^worker';
        INSERT INTO done SELECT name, id FROM had;
        SELECT kanthorq_ack(name, lease) FROM (SELECT DISTINCT name, lease FROM had) AS had;
        SELECT count(*) FROM kanthorq_consumers, kanthorq_pull(name, 1) AS p WHERE name ~ '^idle';
        SELECT kanthorq_cancel('idle_' || stream, ARRAY[kanthorq_publish(stream, 'a', 'gone')]) FROM (VALUES ('plain'), ('days')) AS s (stream);
        SELECT kanthorq_event_remove(stream, array_agg(id)) FROM
            (SELECT 'plain' AS stream, id FROM kanthorq_stream_plain WHERE body = 'gone'
             UNION ALL SELECT 'days', id FROM kanthorq_stream_days WHERE body = 'gone') AS gone GROUP BY stream;
        SELECT kanthorq_stream_retention(name, '1 day', 'skip') FROM kanthorq_stream_registry});
    expire_leases($node);
}

# Of each consumer: how many events were published, less those that it has had and those that were counted.
my $published = 0;
sub missing { return $node->safe_psql('postgres', qq{
        SELECT string_agg(DISTINCT ($published - skipped - (SELECT count(*) FROM done WHERE consumer = name))::text, ' ')
        FROM kanthorq_consumers}) }

my $trim = q{CALL kanthorq_trim('plain', '01F00000000000000000000000', confirm => 'plain')};
for my $point (@points) {
    for my $end (qw(killed error)) {
        prepare();
        my $is_trim = $point eq 'retention_trimmed';
        if ($is_trim) { drain($node, $_) for qw(worker_plain idle_plain) }
        my $call = $is_trim ? $trim : 'CALL kanthorq_maintain()';
        if ($end eq 'killed') { ok(die_at($node, $point, $call), "killed at $point") }
        else {
            my (undef, undef, $messages) = $node->psql('postgres',
                "LOAD 'kanthorq'; SET kanthorq.test_point = '$point:1:error'; $call");
            like($messages, qr/an error at test point "\Q$point\E/, "an error at $point");
        }
        is(($node->psql('postgres', $trim))[0], 0, "$point, $end: trim works") if $is_trim;
        $node->safe_psql('postgres', 'SET client_min_messages = error; CALL kanthorq_maintain()');
        $published += 6;
        is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM kanthorq_stream_plain), (SELECT count(*) FROM kanthorq_stream_days)'),
            '0|0', "$point, $end: all is gone");
        is(missing(), '0', "$point, $end: what nobody has had is counted, once");
        is($node->safe_psql('postgres', q{SELECT sum(running), sum(cancelled) FROM kanthorq_consumers}), '0|0',
            "$point, $end: no lease and no history is left");
        is($node->safe_psql('postgres', 'SELECT count(*) FROM kanthorq_maintenance WHERE error IS NOT NULL'), 0,
            "$point, $end: the next one has no error");
    }
}
is_clean($node, 'tables and indexes agree');
$node->stop;
my @complaints = grep { /WARNING: .*(?:leak|still active|was not closed|non-empty SPI|own a lock)|PANIC|TRAP/ }
    split /\n/, slurp_file($node->logfile);
is(join("\n", @complaints), '', 'the server has nothing to complain of');
done_testing();
