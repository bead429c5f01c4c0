# Maintenance is killed, or has an error, between any two of its steps: no event is lost, none comes twice, and the
# next maintenance does what is left.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;

my @points = grep { /^maintain_/ } all_points();
my $node   = new_node('maintain', 'restart_after_crash = on', "shared_preload_libraries = 'kanthorq'");
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('kept', partition_interval => '1 day');
    SELECT kanthorq_consumer_create('worker', 'kept');
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL)});

# The ids of two days, one after the other with each call.
my $day = 0;
sub ids_of {
    my ($of) = @_;
    return "SELECT kanthorq_ulid_floor('2020-01-01 12:00+00'::timestamptz + interval '$of days' + n * interval '1 ms')
            FROM generate_series(1, 3) AS n";
}

sub publish_days {
    for my $of (@_) {
        $node->safe_psql('postgres',
            "SELECT count(kanthorq_publish('kept', 'a', '', id => id)) FROM (" . ids_of($of) . ') AS ids (id)');
    }
}

sub partition_of_day { return $node->safe_psql('postgres',
        "SELECT 'kanthorq_stream_kept__' || to_char(date '2020-01-01' + $_[0], 'YYYYMMDD')") }

# Something for each step: a partition that lost its guards, one that is missing ahead, two days in the
# default partition, one to be closed again, and a retired one, whose events are gone with it.
my $retired = 0;
sub prepare {
    publish_days($day, $day + 1);
    $node->safe_psql('postgres', 'CALL kanthorq_maintain()');
    drain($node, 'worker');
    my ($old, $other) = map { partition_of_day($_) } $day, $day + 1;
    my $ahead = $node->safe_psql('postgres', q{
        SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'kanthorq_stream_kept'::regclass
        AND inhrelid::regclass::text < 'kanthorq_stream_kept__default'});
    $node->safe_psql('postgres', qq{
        UPDATE kanthorq_partition SET first_position = -1, last_position = -1 WHERE partition = '$old'::regclass;
        DELETE FROM done USING $old WHERE done.id = $old.id;
        ALTER TABLE $other ENABLE TRIGGER kanthorq_closed, ENABLE TRIGGER kanthorq_writer;
        DROP TABLE $ahead});
    $day += 2;
    publish_days($day, $day + 1);
    $day += 2;
    return $old;
}

# The events that are not in a retired partition come once.
sub is_exact {
    my ($what) = @_;
    drain($node, 'worker');
    is($node->safe_psql('postgres', q{
            SELECT count(*) - count(DISTINCT done.id), count(*) - count(events.id),
                   (SELECT count(*) FROM kanthorq_stream_kept
                    WHERE tableoid NOT IN (SELECT partition FROM kanthorq_partition WHERE last_position < 0))
                   - count(*)
            FROM done LEFT JOIN kanthorq_stream_kept AS events USING (id)}), '0|0|0', $what);
}

sub state { return $node->safe_psql('postgres', q{
        SELECT count(*) FILTER (WHERE last_position < 0), count(*) FILTER (WHERE last_position = 9223372036854775807),
            count(*) - count(DISTINCT partition),
            (SELECT count(*) FROM pg_inherits WHERE inhparent = 'kanthorq_stream_kept'::regclass) - count(*),
            (SELECT count(*) FROM ONLY kanthorq_stream_kept__default)
        FROM kanthorq_partition}) }

$node->safe_psql('postgres', 'CALL kanthorq_maintain()');
for my $point (@points) {
    for my $end (qw(killed error)) {
        my $old = prepare();
        if ($end eq 'killed') { ok(die_at($node, $point, 'CALL kanthorq_maintain()'), "killed at $point") }
        else {
            my (undef, undef, $warnings) = $node->psql('postgres',
                "LOAD 'kanthorq'; SET kanthorq.test_point = '$point:1:error'; CALL kanthorq_maintain()");
            like($warnings, qr/an error at test point "\Q$point\E/, "an error at $point");
        }
        is_exact("$point, $end: what is there comes once");
        is($node->safe_psql('postgres', 'CALL kanthorq_maintain()'), '', "$point, $end: the next one works");
        is(state(), '0|6|0|0|0', "$point, $end: and does what is left");
        is($node->safe_psql('postgres', "SELECT to_regclass('$old') IS NULL"), 't', "$point, $end: the retired one is gone");
        is($node->safe_psql('postgres', 'SELECT count(*) FROM kanthorq_maintenance WHERE error IS NOT NULL'), 0,
            "$point, $end: without an error");
        is_exact("$point, $end: and then, too");
    }
}
is_clean($node, 'tables and indexes agree');
$node->stop;
my $log = slurp_file($node->logfile);
my @complaints = grep { /WARNING: .*(?:leak|still active|was not closed|non-empty SPI|own a lock)|PANIC|TRAP/ } split /\n/, $log;
is(join("\n", @complaints), '', 'the server has nothing to complain of');
done_testing();
