# What looks at a stream or a consumer reads what matters to its answer, and not all that there is. It is measured in
# buffers, which are the same on each machine.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('cost_of_looking', 'max_prepared_transactions = 30');
my $session = open_session($node);

# How many buffers the statement looks at. What it changes is rolled back. It runs twice, so that what the session has
# to find out once does not count.
sub buffers {
    my ($statement) = @_;
    my $plan = '';
    $plan = ask($session, "BEGIN; EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) $statement; ROLLBACK") for 1 .. 2;
    $plan =~ /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/ or die "no buffers in: $plan";
    return ($1 // 0) + ($2 // 0);
}

sub looks_at_most {
    my ($what, $most, $statement) = @_;
    my $found = buffers($statement);
    cmp_ok($found, '<=', $most, "$what: $found buffers");
}

sub publish_rows {
    my ($stream, $count) = @_;
    return "INSERT INTO kanthorq_stream_$stream (subject, body) SELECT 'event', 'x' FROM generate_series(1, $count)";
}

# Trimming, while publishers are open that 20,000 events have passed.
$node->safe_psql('postgres', qq{
    SELECT kanthorq_stream_create('trimmed');
    SELECT kanthorq_consumer_create('first', 'trimmed'), kanthorq_consumer_create('second', 'trimmed');
    @{[publish_rows('trimmed', 100)]}});
$node->safe_psql('postgres', qq{
    BEGIN; SELECT kanthorq_publish('trimmed', 'late', ''); PREPARE TRANSACTION 'late $_'}) for 1 .. 20;
$node->safe_psql('postgres', publish_rows('trimmed', 20_000));
my $pull_all = q{
    SELECT kanthorq_ack('first', max(lease)) FROM kanthorq_pull('first', 10000) HAVING count(*) > 0;
    SELECT kanthorq_ack('second', max(lease)) FROM kanthorq_pull('second', 10000) HAVING count(*) > 0;};
$node->safe_psql('postgres', $pull_all x 3);
is($node->safe_psql('postgres', q{
    SELECT bool_and(cursor = 20120 AND cardinality(late) = 60) FROM kanthorq_delivery_state}),
    't', 'both consumers are past the open publishers');
$node->safe_psql('postgres', 'VACUUM ANALYZE kanthorq_stream_trimmed');

sub trim {
    my ($position, $force) = @_;
    my $id = $node->safe_psql('postgres', "SELECT id FROM kanthorq_stream_trimmed WHERE position = $position");
    return "SELECT kanthorq_stream_trim('trimmed', '$id', 'trimmed', force => $force)";
}
my $pages = $node->safe_psql('postgres', q{
    SELECT (pg_relation_size('kanthorq_stream_trimmed') + pg_relation_size('kanthorq_stream_trimmed__pkey')) / 8192});
looks_at_most('trimming 50 of 20,000 events', 300 + buffers(trim(51, 'true')), trim(51, 'false'));
# To remove each event takes two buffers and more. To ask, for both consumers, takes three looks at each page.
looks_at_most('trimming 19,000 of 20,000 events', 4 * $pages + buffers(trim(19_121, 'true')), trim(19_121, 'false'));

# The late publisher that ends owes an event among the first, and another one an event after many others.
$node->safe_psql('postgres', q{COMMIT PREPARED 'late 7'});
is(($node->psql('postgres', trim(19_121, 'false')))[0], 3, 'what a late publisher owes is not trimmed');
like(ask($session, trim(19_121, 'false')), qr/consumer "first" has not finished/, 'and the error says who is to get it');
is(ask($session, trim(51, 'false')), "50\n", 'what comes before it is');
$node->safe_psql('postgres', $pull_all);
is(ask($session, trim(19_121, 'false')), "19051\n", 'and it is trimmed after it was delivered');

# The views, while one publisher has 20,000 events that are not committed.
$node->safe_psql('postgres', qq{
    SELECT kanthorq_stream_create('viewed');
    SELECT kanthorq_consumer_create('viewer', 'viewed');
    @{[publish_rows('viewed', 1)]};});
my $stream_row = q{SELECT * FROM kanthorq_streams WHERE name = 'viewed'};
my $consumer_row = q{SELECT * FROM kanthorq_consumers WHERE name = 'viewer'};
my $newest = q{SELECT (SELECT newest_id = max(id) FROM kanthorq_stream_viewed) FROM kanthorq_streams WHERE name = 'viewed'};
my $lag_time = q{SELECT lag > 0, lag_time >= interval '0' FROM kanthorq_consumers WHERE name = 'viewer'};
my %control = (stream => buffers($stream_row), consumer => buffers($consumer_row));
$node->safe_psql('postgres', "BEGIN; @{[publish_rows('viewed', 200)]}; PREPARE TRANSACTION 'few'");
is(ask($session, $newest), "t\n", 'the newest id is found among 200 that are not committed');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'few'});
$node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_pull('viewer')});
$node->safe_psql('postgres', "BEGIN; @{[publish_rows('viewed', 20_000)]}; PREPARE TRANSACTION 'many'");
$node->safe_psql('postgres', publish_rows('viewed', 1));
# An event of long ago, so that the greatest ids are those that are not committed.
$node->safe_psql('postgres', q{
    SELECT kanthorq_event_remove('viewed', array_agg(id)) FROM kanthorq_stream_viewed;
    SELECT kanthorq_publish('viewed', 'event', '', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1')});
looks_at_most('a stream in the view', 100 + $control{stream}, $stream_row);
looks_at_most('a consumer in the view', 100 + $control{consumer}, $consumer_row);
is(ask($session, $newest), "\n", 'the newest id is unknown then');
is(ask($session, $lag_time), "t|\n", 'and so is the age of the first event after the cursor');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'many'; VACUUM kanthorq_stream_viewed});
is(ask($session, $newest), "t\n", 'it is known again when the publisher has ended');
is(ask($session, $lag_time), "t|t\n", 'and so is the age');

# A session's first look at each of many. The server has to read the catalogs about a table and what belongs to it;
# what it reads for their sizes is the measure.
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('many_' || n), kanthorq_consumer_create('many_' || n, 'many_' || n)
    FROM generate_series(1, 4) AS n});
my $fresh = open_session($node);
sub first_look {
    my ($query) = @_;
    my $plan = ask($fresh, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) $query");
    $plan =~ /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/ or die "no buffers in: $plan";
    return ($1 // 0) + ($2 // 0);
}
sub row_of { return "SELECT * FROM kanthorq_$_[0] WHERE name = 'many_$_[1]'" }
sub size_of { return "SELECT pg_total_relation_size('kanthorq_$_[0]_many_$_[1]')" }
ask($fresh, $_) for row_of('streams', 1), row_of('consumers', 1), size_of('stream', 1), size_of('consumer', 1);
my %size = map { $_ => first_look(size_of($_, 2)) } qw(stream consumer);
my %look = (stream => first_look(row_of('streams', 3)), consumer => first_look(row_of('consumers', 4)));
cmp_ok($look{stream}, '<=', 1.5 * $size{stream}, "the first look at a stream: $look{stream} buffers");
cmp_ok($look{consumer}, '<=', $size{stream} + $size{consumer}, "the first look at a consumer: $look{consumer} buffers");
close_session($fresh);

close_session($session);
$node->stop;
done_testing();
