# How many events a stream has, as kanthorq_streams estimates it, if the server has forgotten what it counted:
# after a crash, on a standby, and after that was promoted.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $primary = new_primary('primary');
$primary->safe_psql('postgres', q{SELECT kanthorq_stream_create(name) FROM unnest('{analysed,never}'::text[]) AS name});

sub publish {
    my ($node, $count) = @_;
    $node->safe_psql('postgres', "INSERT INTO kanthorq_stream_$_ (subject, body) SELECT 'event', '' FROM generate_series(1, $count)")
        for qw(analysed never);
}

# Sessions report what they have counted when they end, if not before.
sub estimates {
    my ($node, $expected, $what) = @_;
    my $query = q{SELECT string_agg(concat_ws(' ', name, coalesce(events::text, 'unknown')), ', ' ORDER BY name) FROM kanthorq_streams};
    ok($node->poll_query_until('postgres', $query, $expected), $what);
}
estimates($primary, 'analysed 0, never 0', 'an empty stream has none');
publish($primary, 1000);
estimates($primary, 'analysed 1000, never 1000', 'what was loaded is counted');
$primary->safe_psql('postgres', 'ANALYZE kanthorq_stream_analysed');
estimates($primary, 'analysed 1000, never 1000', 'ANALYZE finds the same');

my $standby = new_standby('standby', $primary);
estimates($standby, 'analysed 1000, never unknown', 'a standby knows what ANALYZE has found on the primary');

$primary->stop('immediate');
$primary->start;
estimates($primary, 'analysed 1000, never unknown', 'so does a server that crashed');
publish($primary, 10);
$primary->safe_psql('postgres', 'ANALYZE');
estimates($primary, 'analysed 1010, never 1010', 'until there is a new count');
$primary->safe_psql('postgres', q{
    SELECT kanthorq_stream_trim(name, max, name) FROM unnest('{analysed,never}'::text[]) AS name,
        LATERAL (SELECT max(id) FROM kanthorq_stream_analysed) AS all_but_one});
estimates($primary, 'analysed 1, never 10', 'which removals are taken from');
publish($primary, 99);
estimates($primary, 'analysed 100, never 109', 'and new events are added to');

$primary->safe_psql('postgres', 'VACUUM ANALYZE');
$primary->wait_for_catchup('standby');
$standby->promote;
estimates($standby, 'analysed 100, never 109', 'after a promotion the last VACUUM of the old primary counts');
publish($standby, 50);
$standby->safe_psql('postgres', 'ANALYZE');
estimates($standby, 'analysed 150, never 159', 'until there is a new count');

$_->stop for $primary, $standby;
done_testing();
