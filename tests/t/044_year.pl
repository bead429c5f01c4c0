# A year in which events are published each day, consumed, and removed when they are 30 days old. Nobody loses an
# event that was not counted, and the table does not grow. libfaketime turns the server's clock on by a day at a time.
#
# One stream skips what a consumer has not finished in time: of its consumers one keeps up, one is too slow, and one
# stops for 60 days. The other stream keeps it: its consumer stops for 60 days and gets everything all the same.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $events = $ENV{KANTHORQ_YEAR_EVENTS} // 150;  # a day, in each stream
my $days   = 365;
my $keep   = 30;
my ($stops, $goes_on) = (100, 160);

my ($library) = glob('/usr/lib/*/faketime/libfaketime.so.1') or plan skip_all => 'there is no libfaketime';
my $wrong_by = PostgreSQL::Test::Utils::tempdir() . '/wrong_by';

sub set_clock {
    my ($seconds) = @_;
    append_to_file("$wrong_by.new", sprintf("%+d\n", $seconds));
    rename("$wrong_by.new", $wrong_by) or die "$wrong_by: $!";
}

my $node = new_node('year', "shared_preload_libraries = 'kanthorq'");
$node->stop;
set_clock(0);
{
    local $ENV{LD_PRELOAD}              = $library;
    local $ENV{FAKETIME_TIMESTAMP_FILE} = $wrong_by;
    local $ENV{FAKETIME_NO_CACHE}       = 1;
    local $ENV{DONT_FAKE_MONOTONIC}     = 1;
    local $ENV{NO_FAKE_STAT}            = 1;
    $node->start;
}

my $session = open_session($node);
sub run_sql {
    my ($sql) = @_;
    my $answer = ask($session, $sql);
    return $answer unless $answer =~ /ERROR/;
    die "$sql\n$answer";
}

run_sql(qq{
    SELECT count(*) FROM unnest(ARRAY['skips', 'keeps']) AS s,
        kanthorq_stream_create(s, partition_interval => '1 day');
    SELECT kanthorq_stream_retention('skips', '$keep days', 'skip');
    SELECT kanthorq_stream_retention('keeps', '$keep days');
    SELECT count(kanthorq_consumer_create(c, 'skips')) FROM unnest(ARRAY['quick', 'slow', 'stopping']) AS c;
    SELECT count(kanthorq_consumer_create('kept', 'keeps'));
    CREATE TABLE published (stream text, id text);
    CREATE TABLE got (consumer text, id text);});

# Each with a tenth of its events from one to three days ago.
sub publish {
    my ($stream) = @_;
    return qq{INSERT INTO published
        SELECT '$stream', unnest(kanthorq_publish_many('$stream', array_agg('day.event'::text), array_agg(''::bytea),
            ids => array_agg(CASE WHEN i % 10 = 0 THEN kanthorq_ulid(now() - random() * interval '3 days') END)))
        FROM generate_series(1, $events) AS i;};
}

sub consume {
    my ($consumer, $size) = @_;
    return qq{
        WITH batch AS MATERIALIZED (SELECT * FROM kanthorq_pull('$consumer', $size)),
             ack AS MATERIALIZED (SELECT kanthorq_ack('$consumer', lease) FROM batch LIMIT 1)
        INSERT INTO got SELECT '$consumer', id FROM batch, ack;};
}

sub lag {
    my ($consumer) = @_;
    return run_sql("SELECT lag FROM kanthorq_consumers WHERE name = '$consumer';") + 0;
}

sub consume_all {
    my ($consumer) = @_;
    do { run_sql(consume($consumer, 10_000)) } while lag($consumer) > 0;
}

# What a day leaves: the bytes and the partitions of the stream.
sub measures {
    my ($stream) = @_;
    return split /\|/, run_sql(qq{
        SELECT bytes, (SELECT count(*) FROM pg_inherits WHERE inhparent = "table")
        FROM kanthorq_streams WHERE name = '$stream';}) =~ s/\s+$//r;
}

# The buffers that a pull of 100 looks at, which is rolled back, and the milliseconds that it takes.
sub pull_costs {
    my $plan = run_sql(q{
        BEGIN;
        EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) SELECT * FROM kanthorq_pull('quick', 100);
        ROLLBACK;});
    my ($read) = $plan =~ /^Function Scan[^\n]*\n\s+Buffers: shared ([^\n]*)/m or die "no buffers: $plan";
    my $buffers = 0;
    $buffers += $1 while $read =~ /(?:hit|read)=(\d+)/g;
    my ($ms) = $plan =~ /^Execution Time: ([\d.]+) ms/m;
    return ($buffers, $ms);
}

sub median { return (sort { $a <=> $b } @_)[ @_ / 2 ] }

my (%bytes, %partitions, @buffers, @ms);
for my $day (1 .. $days) {
    set_clock($day * 86_400);
    run_sql(publish('skips') . publish('keeps'));
    ($buffers[$day], $ms[$day]) = pull_costs();
    consume_all('quick');
    run_sql(consume('slow', int($events * 0.8)));
    my $is_working = $day < $stops || $day >= $goes_on;
    if ($is_working) { consume_all($_) for qw(stopping kept) }
    run_sql('CALL kanthorq_maintain();');
    for my $stream (qw(skips keeps)) {
        ($bytes{$stream}[$day], $partitions{$stream}[$day]) = measures($stream);
    }
}
consume_all($_) for qw(quick slow stopping kept);

my %of = (quick => 'skips', slow => 'skips', stopping => 'skips', kept => 'keeps');
for my $consumer (sort keys %of) {
    my $lost = run_sql(qq{
        SELECT count(*) FROM (SELECT id FROM published WHERE stream = '$of{$consumer}'
                              EXCEPT SELECT id FROM got WHERE consumer = '$consumer') AS x;}) + 0;
    my $skipped = run_sql("SELECT skipped FROM kanthorq_consumers WHERE name = '$consumer';") + 0;
    is($lost, $skipped, "$consumer has lost what was counted: $lost of " . $days * $events);
    if ($consumer eq 'quick' || $consumer eq 'kept') { is($lost, 0, "$consumer has lost nothing") }
    else                                             { cmp_ok($lost, '>', 0, "$consumer has lost something") }
    is( run_sql("SELECT count(*) - count(DISTINCT id) FROM got WHERE consumer = '$consumer';") + 0, 0,
        "$consumer got nothing twice");
}

# From day 60 on, the stream that skips has as many partitions as it keeps days, and does not grow.
my @from_60 = 60 .. $days;
my ($least, $most) = (sort { $a <=> $b } map { $partitions{skips}[$_] } @from_60)[ 0, -1 ];
cmp_ok($most - $least, '<=', 1, "the stream that skips has $least to $most partitions");
($least, $most) = (sort { $a <=> $b } map { $bytes{skips}[$_] } @from_60)[ 0, -1 ];
cmp_ok($most, '<=', 1.1 * $least, "and $least to $most bytes");

# A pull looks at as many buffers at the end of the year as in its first months, when all versions of a day are new.
my @early = @buffers[ 60 .. 90 ];
my @late  = @buffers[ $days - 30 .. $days ];
cmp_ok(median(@late), '<=', 1.5 * median(@early),
    'a pull looks at ' . median(@early) . ' buffers early in the year and ' . median(@late) . ' at its end');
diag('a pull of 100 takes ' . median(@ms[ 60 .. 90 ]) . ' ms early in the year and '
      . median(@ms[ $days - 30 .. $days ]) . ' at its end');

# The other one keeps what its consumer has not finished, and removes it when it has.
cmp_ok($partitions{keeps}[ $goes_on - 1 ], '>=', $goes_on - $stops, 'the stream that keeps waits for its consumer');
is($partitions{keeps}[$days], $partitions{skips}[$days], 'and is as small as the other one in the end');

close_session($session);
$node->stop;
done_testing();
