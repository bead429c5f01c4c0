# The system's clock is set while workers wait: a wait takes as long as it should, and what is due by the clock comes
# when the clock says so. libfaketime shows the server a clock that is wrong by what a file says; the clock that
# nobody sets stays what it is.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my ($library) = glob('/usr/lib/*/faketime/libfaketime.so.1') or plan skip_all => 'there is no libfaketime';
my $wrong_by = PostgreSQL::Test::Utils::tempdir() . '/wrong_by';

sub set_clock {
    my ($seconds) = @_;
    append_to_file("$wrong_by.new", sprintf("%+d\n", $seconds));
    rename("$wrong_by.new", $wrong_by) or die "$wrong_by: $!";
}

sub start_with_faketime {
    my ($node) = @_;
    set_clock(0);
    local $ENV{LD_PRELOAD}              = $library;
    local $ENV{FAKETIME_TIMESTAMP_FILE} = $wrong_by;
    local $ENV{FAKETIME_NO_CACHE}       = 1;
    local $ENV{DONT_FAKE_MONOTONIC}     = 1;
    local $ENV{NO_FAKE_STAT}            = 1;
    $node->start;
}

my $hour = 3600;
for my $preloaded (0, 1) {
    my $how = $preloaded ? 'preloaded' : 'not preloaded';
    my $node = new_node("clock_$preloaded", $preloaded ? "shared_preload_libraries = 'kanthorq'" : ());
    $node->safe_psql('postgres', q{
        SELECT kanthorq_stream_create('orders');
        SELECT kanthorq_consumer_create('worker', 'orders', visibility_timeout => '1 day');
        SELECT kanthorq_consumer_create('picky', 'orders', includes => '{never}', visibility_timeout => '1 day')});
    $node->stop;
    start_with_faketime($node);
    my ($worker, $publisher) = (open_session($node), open_session($node));

    my $publish = q{SELECT count(kanthorq_publish('orders', '%s', ''))};
    my $start = sub {
        my ($statement) = @_;
        start_statement($worker, $statement);
        wait_for($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active'
                          AND wait_event IN ('Extension', 'KanthorqWait')});
    };
    # The clock differs from the one that a test at the same time would have.
    my $clock_is = sub {
        my ($seconds) = @_;
        set_clock($seconds);
        my $now = $node->safe_psql('postgres', 'SELECT extract(epoch FROM clock_timestamp())');
        cmp_ok(abs($now - time - $seconds), '<', 60, "$how: the server's clock is wrong by $seconds seconds");
    };

    my $short = q{SELECT count(*) || ' events' FROM kanthorq_pull('worker', wait => '2 s')};
    my $long  = q{SELECT count(*) || ' events' FROM kanthorq_pull('%s', wait => '1 minute')};
    $start->($short);
    $clock_is->(-$hour);
    is(ask($worker, ''), "0 events\n", "$how: a pull waits no hour longer when the clock is set back by one");
    $clock_is->(0);
    $start->(q{CALL kanthorq_wait('worker', '2 s')});
    $clock_is->(-$hour);
    is(ask($worker, ''), '', "$how: nor does kanthorq_wait()");

    $start->(sprintf $long, 'worker');
    $clock_is->($hour);
    ask($publisher, sprintf "$publish;", 'order.created');
    is(ask($worker, ''), "1 events\n", "$how: set forward, it ends no pull's wait");
    $clock_is->(-$hour);
    $start->(q{CALL kanthorq_wait('worker', '1 hour'); SELECT 'is there' FROM kanthorq_pull('worker')});
    $clock_is->(0);
    ask($publisher, sprintf "$publish;", 'order.created');
    is(ask($worker, ''), "is there\n", "$how: nor that of kanthorq_wait()");

    # Not woken by anybody, the worker finds that the time has come.
    ask($publisher, sprintf "$publish;", 'order.created');
    ask($worker, q{SELECT kanthorq_nack('worker', lease, retry_in => '30 minutes') FROM kanthorq_pull('worker')});
    $start->(sprintf $long, 'worker');
    $clock_is->($hour);
    is(ask($worker, ''), "1 events\n", "$how: a retry that falls due as the clock is set comes");
    set_clock(0);

    # A worker that skips a busy stream's events pauses most of the time: the clock is set in such pauses.
    my $served = 0;
    for (1 .. 5) {
        $start->(sprintf $long, 'picky');
        start_statement($publisher, join ' ', (sprintf "$publish;", 'order.created') x 200);
        set_clock(-$hour);
        ask($publisher, sprintf "$publish;", 'never');
        $served++ if ask($worker, '') eq "1 events\n";
        set_clock(0);
    }
    is($served, 5, "$how: a worker that pauses as the clock is set back gets its event");
    close_session($_) for $worker, $publisher;
    $node->stop;
}
done_testing();
