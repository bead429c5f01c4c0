# The order of the steps on which exact delivery rests (docs/delivery.md): a pull or a publisher is stopped
# between any two of them, and what is committed meanwhile is delivered all the same, once. And that in which
# others look where an event is: it moves on while they do, and is seen in one place or the other.
#
# A pull reads the ceiling, then who is writing, then what is committed. In any other order a transaction that
# publishes or commits between two of the steps would be passed by the cursor and forgotten. A publisher has
# an id before it has a position, and its lock from before that to its end; otherwise a pull that passes the
# position would not know of it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;

my $node = new_node('steps');
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders');
    SELECT kanthorq_consumer_create('worker', 'orders');
    SELECT kanthorq_consumer_create('in_order', 'orders', ordered => true)});
my ($puller, $puller_pid)       = session_and_process($node);
my ($publisher, $publisher_pid) = session_and_process($node);

sub publish { return "SELECT length(kanthorq_publish('orders', 'order.created', '$_[0]'))" }
sub pull    { return "SELECT convert_from(body, 'UTF8') FROM kanthorq_pull('$_[0]')" }

# The events that a consumer gets, in the order in which they come, until none does.
sub rest_of {
    my ($consumer) = @_;
    my @events;
    while ((my $batch = $node->safe_psql('postgres', pull($consumer))) ne '') {
        push @events, split /\n/, $batch;
    }
    return @events;
}

# The first position after a checkpoint, and then one in 33, is written to the WAL, which gives the
# transaction an id whether or not it asked for one. So this one is taken before.
sub take_first_position {
    $node->safe_psql('postgres', publish('first'));
    rest_of($_) for qw(worker in_order);
}

# If an event was lost or came early, a later pull has nothing to stop at.
sub is_passing { return Test::More->builder->is_passing }

my @pull_steps = qw(pull_locked pull_ceiling pull_writers pull_snapshot pull_late pull_lease);
for my $consumer (qw(worker in_order)) {
    for my $point (@pull_steps) {
        last unless is_passing();
        my $what = "$consumer stopped at $point";

        # One that publishes after the pull has begun, and is still open when the pull goes on; another
        # one commits after it.
        $node->safe_psql('postgres', publish('before'));
        stop_at($puller, $puller_pid, $point, pull($consumer));
        ask($publisher, 'BEGIN; ' . publish('open'));
        $node->safe_psql('postgres', publish('behind'));
        my @events = split /\n/, go_on($puller, $puller_pid);
        push @events, split /\n/, $node->safe_psql('postgres', pull($consumer));
        ask($publisher, 'COMMIT');
        push @events, rest_of($consumer);
        is("@events", $consumer eq 'worker' ? 'before behind open' : 'before open behind',
            "$what: what is published meanwhile comes when it is committed, once") or last;

        # One that has published before, and commits while the pull stands still.
        ask($publisher, 'BEGIN; ' . publish('open'));
        $node->safe_psql('postgres', publish('behind'));
        if ($consumer eq 'worker' || $point ne 'pull_lease') {
            stop_at($puller, $puller_pid, $point, pull($consumer));
            ask($publisher, 'COMMIT');
            @events = (split(/\n/, go_on($puller, $puller_pid)), rest_of($consumer));
        } else {
            ask($publisher, 'COMMIT');  # there is nothing for it to lease before
            @events = rest_of($consumer);
        }
        is(
            join(' ', $consumer eq 'worker' ? reverse sort @events : @events),
            'open behind', "$what: what is committed meanwhile comes, once");
        rest_of($_) for qw(worker in_order);
    }
}

# A publisher that has its positions, and is not done.
my %ways = (
    one     => [ 'publish_position', publish('stopped') ],
    several => [ 'publish_heap',     q{SELECT kanthorq_publish_many('orders', '{a,b}', '{stopped,too}')} ],
    skip    => [
        'publish_position',
        q{SELECT kanthorq_publish('orders', 'a', 'stopped', id => '01JD0000000000000000000001',
            on_duplicate => 'skip')}
    ],
    end => [ 'publish_end', publish('stopped') ],
);
for my $way (sort keys %ways) {
    last unless is_passing();
    my ($point, $sql) = @{ $ways{$way} };
    take_first_position();
    stop_at($publisher, $publisher_pid, $point, $sql);
    $node->safe_psql('postgres', publish('behind'));
    is(join(' ', rest_of('worker')),   'behind', "publisher stopped, $way: what comes behind it is delivered");
    is(join(' ', rest_of('in_order')), '',       "$way: but not in strict order");
    go_on($publisher, $publisher_pid);
    my $late = $way eq 'several' ? 'stopped too' : 'stopped';
    is(join(' ', rest_of('worker')),   $late,          "$way: and then what it published, once");
    is(join(' ', rest_of('in_order')), "$late behind", "$way: in its place");
}

# Who looks is stopped; the lease that the event was in is refused meanwhile, or pulled for the first time.
my %looks = (
    state => [
        [qw(state_place state_lease)],
        "SELECT kanthorq_task_state('worker', id) FROM kanthorq_stream_orders ORDER BY position DESC LIMIT 1",
        qr/^(?:available|running|retryable)$/
    ],
    view => [
        [qw(status_place status_leases)],
        "SELECT lag > 0 OR running > 0 OR retryable > 0 FROM kanthorq_consumers WHERE name = 'worker'",
        qr/^t$/
    ],
    trim => [
        ['unfinished_ahead'],
        "SELECT kanthorq_stream_trim('orders', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', confirm => 'orders')",
        qr/consumer "worker" has not finished/
    ],
    cancel => [
        ['cancel_taken'],
        "SELECT cardinality(kanthorq_cancel('worker', ARRAY[(SELECT max(id) FROM kanthorq_stream_orders)]))",
        qr/^1$/
    ],
);
$node->safe_psql('postgres', q{SELECT kanthorq_consumer_drop('in_order', 'in_order');
    SELECT kanthorq_consumer_seek('worker', 'new', confirm => 'worker')});
for my $look (sort keys %looks) {
    my ($points, $sql, $answer) = @{ $looks{$look} };
    for my $point (@$points) {
        $node->safe_psql('postgres', publish('moving'));
        my ($lease) = split /\n/, $node->safe_psql('postgres', q{SELECT lease FROM kanthorq_pull('worker', 1)});
        if ($look eq 'cancel') {
            # The nack has settled the lease and is not committed when the cancel looks.
            ask($publisher, "BEGIN; SELECT kanthorq_nack('worker', $lease, retry_in => '0')");
            stop_at($puller, $puller_pid, $point, $sql);
            ask($publisher, 'COMMIT');
        } else {
            stop_at($puller, $puller_pid, $point, $sql);
            $node->safe_psql('postgres', "SELECT kanthorq_nack('worker', $lease, retry_in => '0')");
        }
        like(go_on($puller, $puller_pid), $answer, "$look stopped at $point: an event that is refused meanwhile is seen");
        if ($look eq 'cancel') { rest_of('worker') }
        else {
            is($node->safe_psql('postgres', q{
                    SELECT kanthorq_ack('worker', lease) FROM kanthorq_pull('worker', 1)}), 1, 'and comes again');
        }
    }
}

# A seek would make events of the past unfinished again: it waits for a trim that has looked.
$node->safe_psql('postgres', publish('finished'));
is(join(' ', rest_of('worker')), 'finished', 'before a trim');
$node->safe_psql('postgres', q{SELECT kanthorq_ack('worker', lease) FROM kanthorq_delivery_lease WHERE lease > 0});
stop_at($puller, $puller_pid, 'unfinished_ahead', $looks{trim}[1]);
my (undef, undef, $waited) = $node->psql('postgres',
    q{SET lock_timeout = '100ms'; SELECT kanthorq_consumer_seek('worker', 'first', confirm => 'worker')});
like($waited, qr/lock timeout/, 'a seek waits for a trim that has begun to look');
like(go_on($puller, $puller_pid), qr/^[1-9]/, 'which removes what was finished');

# The row of the event is deleted while it is cancelled.
sub refused {
    $node->safe_psql('postgres', publish($_[0]));
    $node->safe_psql('postgres', q{SELECT kanthorq_nack('worker', lease, retry_in => '0') FROM kanthorq_pull('worker', 1)});
}
refused('deleted');
$node->safe_psql('postgres', q{SELECT * FROM kanthorq_pull('worker', 1)});
stop_at($puller, $puller_pid, 'cancel_lease', $looks{cancel}[1]);
$node->safe_psql('postgres', 'DELETE FROM kanthorq_consumer_worker');
like(go_on($puller, $puller_pid), qr/^1$/, 'cancelled, though its row was deleted meanwhile');

# An index that is begun while a pull is under way: its owner's code does not run as the puller. The first look
# at the indexes evaluates what is constant in them.
refused('indexed');
$node->safe_psql('postgres', q{
    CREATE TABLE ran (who text);
    CREATE FUNCTION note() RETURNS void LANGUAGE sql AS $$
        INSERT INTO public.ran VALUES (current_setting('application_name')) $$;
    CREATE FUNCTION constant(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
        BEGIN PERFORM public.note(); RETURN true; END $$});
ask($puller, q{SET application_name = 'puller'});
stop_at($puller, $puller_pid, 'pull_locked', pull('worker'));
start_statement($publisher, q{CREATE INDEX CONCURRENTLY begun ON kanthorq_consumer_worker (subject) WHERE constant(1)});
wait_for($node, q{SELECT count(*) = 1 FROM pg_index WHERE indexrelid = to_regclass('begun')});
like(go_on($puller, $puller_pid), qr/is no longer the consumer's/, 'an index that was begun meanwhile is refused');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ran WHERE who = 'puller'}), 0, 'and nothing of it was run');
ask($publisher, 'DROP INDEX begun');
is(join(' ', rest_of('worker')), 'indexed', 'without it the event comes');

close_session($_) for $puller, $publisher;
$node->stop;
done_testing();
