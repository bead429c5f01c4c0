# The last position handed out is never more than that.
#
# nextval puts the value that it has reserved in the WAL, up to 32 ahead, into the sequence's row for
# an instant. Who reads the row then would take positions for handed out that are still to come, pass
# them with the cursor, and lose their events. Such a reading shows itself by the next one being
# smaller.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('last_position');
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders', subject_index => false);
    -- Looks until the publisher is done; says how often it looked and how often a position went back.
    CREATE FUNCTION watch(OUT looks bigint, OUT back bigint) LANGUAGE plpgsql AS $$
    DECLARE
        seen bigint := 0;
        last bigint;
    BEGIN
        looks := 0;
        back := 0;
        WHILE seen < 300000 LOOP
            SELECT last_position INTO last FROM kanthorq_stream_status('orders');
            IF last < seen THEN
                back := back + 1;
            END IF;
            seen := greatest(seen, last);
            looks := looks + 1;
        END LOOP;
    END $$});

my $publisher = open_session($node);
start_statement($publisher, q{SELECT count(nextval('kanthorq_stream_orders__position_seq'))
                   FROM generate_series(1, 300000);});
my ($looks, $back) =
    split /\|/, $node->safe_psql('postgres', 'SELECT * FROM watch()');
cmp_ok($looks, '>', 100, "it was looked at often ($looks times) while positions were handed out");
is($back, 0, 'the last position never goes back');
close_session($publisher);
is($node->safe_psql('postgres', q{SELECT last_position FROM kanthorq_streams}), 300000,
    'and is the last one handed out');

# A sequence that keeps positions for later would hand out one behind which consumers have passed.
$node->safe_psql('postgres', q{
    SELECT kanthorq_consumer_create('worker', 'orders');
    ALTER SEQUENCE kanthorq_stream_orders__position_seq CACHE 10});
my ($status, $out, $err) = $node->psql('postgres', "SELECT kanthorq_pull('worker')");
like($err, qr/cannot consume "kanthorq_stream_orders": its column "position" was altered/,
    'a sequence with a cache is refused');

$node->stop;
done_testing();
