# What is done at every point of src/, whatever then happens there: the process is killed (001_points.pl) or an error
# is raised (006_errors.pl). A new point needs a scenario, and both tests have it. Points in the steps of maintenance,
# which goes on after an error and commits in between, have names with "maintain_" or "retention_" and tests of their own
# (007_maintain.pl, 009_retention.pl).
#
# The scenarios go on from one another: each is run to its end before the next one begins.
package Scenarios;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(drained publish pulled scenarios set_up);

my @scenarios;
sub scenarios { return @scenarios }

# What there is before the first.
sub set_up {
    my ($node) = @_;
    $node->safe_psql('postgres', q{
        SELECT kanthorq_stream_create('orders');
        SELECT kanthorq_consumer_create('worker', 'orders', attempt_max => 5::smallint)});
}

# scenario(name => ..., before => sql, run => sql, at => [points], answer => what it answers in the
# end, after => [sql, answer, ...])
sub scenario { push @scenarios, {@_} }

# What a consumer gets now, each event with its attempt; acknowledged.
sub pulled {
    my ($consumer) = @_;
    return qq{
        WITH batch AS MATERIALIZED (SELECT * FROM kanthorq_pull('$consumer', 100)),
             ack AS MATERIALIZED (SELECT kanthorq_ack('$consumer', lease) FROM batch LIMIT 1)
        SELECT string_agg(convert_from(body, 'UTF8') || attempt, ' ' ORDER BY position)
        FROM batch, ack};
}

sub publish {
    my ($stream, @bodies) = @_;
    return join '', map { "SELECT kanthorq_publish('$stream', 'order.created', '$_');" } @bodies;
}

# What is left of the consumer worker: its lag, running and retryable events, and those that are late.
sub drained {
    return q{SELECT lag, running, retryable, late FROM kanthorq_consumers c
             JOIN kanthorq_delivery_state s ON s.consumer = c.name WHERE name = 'worker'};
}

# Publishing

scenario(
    name   => 'publish',
    before => publish('orders', 'before'),
    run    => q{SELECT kanthorq_publish('orders', 'order.created', 'a',
                    id => '01JD0000000000000000000001')},
    at     => [
        qw(publish_locked publish_txid publish_position publish_heap publish_index publish_index:2
          publish_index:3 publish_end)
    ],
    answer => '01JD0000000000000000000001',
    after  => [ pulled('worker') => 'before1 a1', drained() => '0|0|0|{}' ]);

scenario(
    name   => 'publish many in a transaction',
    before => publish('orders', 'before'),
    run    => q{
        BEGIN;
        SELECT kanthorq_publish('orders', 'order.created', 'one') <> '';
        SELECT cardinality(kanthorq_publish_many('orders', '{a,b,c}', '{two,three,four}'));
        COMMIT},
    at     => [qw(publish_locked:2 publish_position:3 publish_heap:2 publish_index:5 publish_end:2)],
    answer => "t\n3",
    after  => [ pulled('worker') => 'before1 one1 two1 three1 four1', drained() => '0|0|0|{}' ]);

scenario(
    name   => 'publish unless it is there',
    before => publish('orders', 'before'),
    run    => q{SELECT cardinality(kanthorq_publish_many('orders', '{a,b}', '{a,skipped}',
                    ids => '{01JD0000000000000000000002,01JD0000000000000000000001}',
                    on_duplicate => 'skip'))},
    at     => [
        qw(publish_position publish_tentative_heap publish_tentative_index publish_confirmed
          publish_end)
    ],
    answer => 2,
    after  => [ pulled('worker') => 'before1 a1', drained() => '0|0|0|{}' ]);

scenario(
    name   => 'INSERT',
    before => publish('orders', 'before'),
    run    => q{INSERT INTO kanthorq_stream_orders (subject, body) VALUES ('a', 'x'), ('b', 'y')},
    at     => [qw(insert_default insert_default:2)],
    answer => '',
    after  => [ pulled('worker') => 'before1 x1 y1', drained() => '0|0|0|{}' ]);

# Consuming

# Two leases that ran out, one of events that came again; a retry that is due; a transaction that
# committed late; a new event.
scenario(
    name   => 'pull',
    before => publish('orders', 'refused') . q{
        SELECT kanthorq_nack('worker', lease, retry_in => '0') FROM kanthorq_pull('worker');
        SELECT min(lease) AS again FROM kanthorq_pull('worker') \gset
        } . publish('orders', 'a', 'b') . q{
        SELECT min(lease) AS fresh FROM kanthorq_pull('worker') \gset
        } . publish('orders', 'due') . q{
        SELECT min(lease) AS due FROM kanthorq_pull('worker') \gset
        BEGIN;} . publish('orders', 'late') . q{PREPARE TRANSACTION 'late';
        } . publish('orders', 'ahead') . q{
        SELECT kanthorq_ack('worker', lease) FROM kanthorq_pull('worker');
        SELECT kanthorq_nack('worker', :due, retry_in => '0');
        COMMIT PREPARED 'late';
        } . publish('orders', 'new') . q{
        SELECT kanthorq_extend('worker', :again, '1 ms'), kanthorq_extend('worker', :fresh, '1 ms')},
    run => q{SELECT string_agg(convert_from(body, 'UTF8') || attempt, ' ' ORDER BY position)
             FROM kanthorq_pull('worker', 100)},
    at => [
        qw(pull_locked pull_ceiling pull_writers pull_snapshot pull_collected_again pull_collected
          pull_collected:2 pull_freed pull_freed:2 pull_retried pull_late pull_lease pull_place)
    ],
    answer => 'refused3 a2 b2 due2 late1 new1',
    after  => [
        q{SELECT kanthorq_ack('worker', max(lease)) FROM kanthorq_delivery_lease} => 6,
        drained()                                                                 => '0|0|0|{}'
    ]);

# A lease of two events that came for the first time and two that came again.
my $leased = publish('orders', 'a', 'b') . q{
    SELECT kanthorq_nack('worker', lease, retry_in => '0')
    FROM (SELECT min(lease) AS lease FROM kanthorq_pull('worker')) AS first;
    } . publish('orders', 'c', 'd') . q{
    SELECT count(*) FROM kanthorq_pull('worker')};
my $lease = q{(SELECT max(lease) FROM kanthorq_delivery_lease WHERE consumer = 'worker')};
my @settle = qw(settle_locked settle_fresh settle_fresh:2 settle_again settle_again:2 settle_shrunk);

scenario(
    name   => 'nack',
    before => $leased,
    run    => "SELECT kanthorq_nack('worker', $lease, error => 'out of paper', retry_in => '0')",
    at     => \@settle,
    answer => 4,
    after  => [ pulled('worker') => 'a3 b3 c2 d2', drained() => '0|0|0|{}' ]);

scenario(
    name   => 'extend',
    before => $leased,
    run    => "SELECT kanthorq_extend('worker', $lease, '1 hour') > now()",
    at     => [qw(settle_locked extend_end)],
    answer => 't');

scenario(
    name   => 'ack',
    run    => "SELECT kanthorq_ack('worker', $lease)",
    at     => \@settle,
    answer => 4,
    after  => [ pulled('worker') => '', drained() => '0|0|0|{}' ]);

# One that runs, one that runs again, and one that is still to come.
my $ids = q{(SELECT array_agg(id) FROM kanthorq_stream_orders
             WHERE body IN ('a', 'c', 'e') AND kanthorq_task_state('worker', id) <> 'completed')};
scenario(
    name   => 'cancel',
    before => $leased . ';' . publish('orders', 'e'),
    run    => "SELECT cardinality(kanthorq_cancel('worker', $ids))",
    at     => [qw(cancel_lease cancel_taken change_event change_event:2 change_event:3)],
    answer => 3,
    after  => [ "SELECT kanthorq_ack('worker', $lease)" => 2, pulled('worker') => '' ]);
scenario(
    name   => 'cancel what is done',
    run    => q{SELECT cardinality(kanthorq_cancel('worker', array_agg(id))) FROM kanthorq_stream_orders
                WHERE kanthorq_task_state('worker', id) = 'completed'},
    at     => ['cancel_taken'],
    answer => 0);
scenario(
    name   => 'look',
    run    => q{SELECT (SELECT kanthorq_task_state('worker', id) FROM kanthorq_stream_orders ORDER BY position LIMIT 1),
                    running FROM kanthorq_consumers},
    at     => [qw(state_place state_lease status_place status_leases)],
    answer => 'completed|0');
scenario(
    name   => 'resume',
    run    => "SELECT cardinality(kanthorq_resume('worker', $ids))",
    at     => [qw(change_event change_event:2 change_event:3)],
    answer => 3,
    after  => [ pulled('worker') => 'a1 c1 e1', drained() => '0|0|0|{}' ]);

scenario(
    name   => 'alter a consumer',
    run    => q{SELECT ordered FROM kanthorq_consumer_alter('worker', ordered => true)},
    at     => ['consumer_alter_row'],
    answer => 't');
scenario(
    name   => 'seek',
    before => $leased,
    run    => q{SELECT kanthorq_consumer_seek('worker', 'new', confirm => 'worker') > 0},
    at     => [qw(start_last seek_place seek_leases seek_tasks)],
    answer => 't',
    after  => [ drained() => '0|0|0|{}' ]);
scenario(
    name   => 'look into a partitioned stream',
    before => q{
        SELECT kanthorq_stream_create('parted', partition_interval => '1 day');
        SELECT kanthorq_consumer_create('parted', 'parted');
        INSERT INTO kanthorq_stream_parted (subject, body) VALUES ('event', 'parted')},
    run    => q{SELECT kanthorq_consumer_seek('parted', '2020-01-01', confirm => 'parted'),
                    (SELECT convert_from(body, 'UTF8') FROM kanthorq_events('parted'))},
    at     => [qw(merge_listed merge_listed:2 piece_found)],
    answer => '0|parted');
scenario(
    name   => 'drop a partitioned stream',
    run    => q{SELECT kanthorq_stream_drop('parted', 'parted')},
    at     => [],
    answer => 't');

# What comes and goes

scenario(
    name   => 'remove events',
    before => publish('orders', 'g'),
    run    => q{SELECT kanthorq_event_remove('orders', array_agg(id)) > 5 FROM kanthorq_stream_orders
                WHERE body <> 'g'},
    at     => ['remove_rows'],
    answer => 't',
    after  => [ pulled('worker') => 'g1' ]);
scenario(
    name   => 'trim',
    before => publish('orders', 'h'),
    run    => q{SELECT kanthorq_stream_trim('orders', min(id), confirm => 'orders')
                FROM kanthorq_stream_orders WHERE body = 'h'},
    at     => [qw(unfinished_ahead unfinished_leased remove_rows)],
    answer => 1,
    after  => [ pulled('worker') => 'h1' ]);
scenario(
    name   => 'create a stream',
    run    => q{SELECT name FROM kanthorq_stream_create('users')},
    at     => [qw(stream_create_table stream_create_index stream_create_row)],
    answer => 'users');
scenario(
    name   => 'adopt a stream',
    before => q{DELETE FROM kanthorq_stream_registry WHERE name = 'users'},
    run    => q{SELECT name FROM kanthorq_stream_create('users')},
    at     => [qw(stream_adopt_undressed stream_create_row)],
    answer => 'users');
scenario(
    name   => 'create a consumer',
    before => publish('users', 'a'),
    run    => q{SELECT name FROM kanthorq_consumer_create('mailer', 'users')},
    at     => [qw(consumer_create_table consumer_create_place consumer_create_row)],
    answer => 'mailer',
    after  => [ pulled('mailer') => 'a1' ]);

my @drop_consumer = map { "consumer_drop_$_" } qw(table row leases place);
scenario(
    name   => 'drop a consumer',
    before => publish('users', 'b') . q{SELECT FROM kanthorq_pull('mailer')},
    run    => q{SELECT kanthorq_consumer_drop('mailer', 'mailer')},
    at     => \@drop_consumer,
    answer => 't',
    after  => [ q{SELECT name FROM kanthorq_consumer_create('mailer', 'users')} => 'mailer' ]);
scenario(
    name   => 'drop a stream',
    before => q{SELECT kanthorq_consumer_create('other', 'users')},
    run    => q{SELECT kanthorq_stream_drop('users', 'users')},
    at     => [
        @drop_consumer, 'consumer_drop_place:2', map { "stream_drop_$_" } qw(consumers table row)
    ],
    answer => 't',
    after  => [
        q{SELECT count(*) FROM pg_class WHERE relname ~ 'users|mailer|other'}      => 0,
        q{SELECT consumer FROM kanthorq_delivery_state}                            => 'worker',
        q{SELECT name FROM kanthorq_stream_create('users')}                        => 'users'
    ]);

# Partitions

my $day = q{'kanthorq_stream_days__20160730'};
scenario(
    name   => 'close a partition',
    before => q{
        SELECT kanthorq_stream_create('days', partition_interval => '1 day');
        SELECT kanthorq_consumer_create('daily', 'days');
        SELECT kanthorq_publish('days', 'a', 'late', id => '01ARZ3NDEKTSV4RRFFQ69G5FA1');
        CALL kanthorq_maintain();
        DROP TRIGGER kanthorq_closed ON kanthorq_stream_days__20160730;
        INSERT INTO kanthorq_partition SELECT stream, partition, 0, 9223372036854775807
        FROM kanthorq_partition WHERE partition = 'kanthorq_stream_days__20160730'::regclass},
    run    => "SELECT kanthorq_partition_close('days', $day)",
    at     => [qw(closing_locked closing_trigger closing_closed)],
    answer => 't',
    after  => [
        "SELECT first_position, last_position FROM kanthorq_partition WHERE partition = ${day}::regclass" => '1|1',
        pulled('daily')                                                                                   => 'late1'
    ]);

1;
