# On a standby what reads works, and what writes says that it can't; of a plain stream, and of one with partitions.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

sub look {
    my ($kind, $interval) = @_;
    my $primary = new_primary("primary_$kind");
    $primary->safe_psql('postgres', qq{
        SELECT kanthorq_stream_create('orders', partition_interval => $interval);
        SELECT kanthorq_consumer_create('worker', 'orders');
        SELECT kanthorq_stream_create('unlogged');
        SELECT kanthorq_consumer_create('unlogged', 'unlogged');
        ALTER TABLE kanthorq_stream_unlogged SET UNLOGGED;
        SELECT kanthorq_publish_text('orders', 'order.' || word, word, id => '01JCSTBDE8V9XN3YQGKZM5WR7' || i)
        FROM unnest('{created,paid,sent,lost}'::text[]) WITH ORDINALITY AS words(word, i)});
    my ($first, $second, $third, $fourth) = map { '01JCSTBDE8V9XN3YQGKZM5WR7' . $_ } 1 .. 4;
    my $lease = $primary->safe_psql('postgres', q{SELECT max(lease) FROM kanthorq_pull('worker', 3)});
    $primary->safe_psql('postgres', "SELECT kanthorq_ack('worker', $lease, '{$first}')");
    $primary->safe_psql('postgres', "SELECT kanthorq_nack('worker', $lease, '{$second}', error => 'no')");
    $primary->safe_psql('postgres', "SELECT kanthorq_cancel('worker', '{$fourth}')");
    my $publisher = open_session($primary);
    ask($publisher, q{BEGIN; SELECT kanthorq_publish('orders', 'order.open', '')});
    $primary->safe_psql('postgres', 'CALL kanthorq_maintain()');
    is($primary->safe_psql('postgres', 'SELECT count(*) > 5, min(first_position) FILTER (WHERE last_position = 4) FROM kanthorq_partition'),
        $kind eq 'plain' ? 'f|' : 't|1', "$kind: partitions are there, and one is closed");
    my $standby = new_standby("standby_$kind", $primary);

    my $answers = sub {
        my ($query, $expected) = @_;
        is($standby->safe_psql('postgres', "SELECT $query"), $expected, "$kind: $query");
    };
    $answers->("string_agg(subject, ' ') FROM kanthorq_events('orders')", 'order.created order.paid order.sent order.lost');
    $answers->("subject FROM kanthorq_events('orders', since => kanthorq_id_time('$first'), size => 1)", 'order.created');
    $answers->("convert_from(body, 'UTF8') FROM kanthorq_event_get('orders', '$third')", 'sent');
    $answers->("string_agg(subject, ' ') FROM kanthorq_events_by_subject('orders', 'order.*')",
        'order.created order.lost order.paid order.sent');
    $answers->("string_agg(kanthorq_task_state('worker', id), ' ' ORDER BY id) FROM kanthorq_events('orders')",
        'completed retryable running cancelled');
    $answers->("event_id, state FROM kanthorq_tasks('worker', 'cancelled')", "$fourth|cancelled");
    $answers->("kanthorq_stream_table('orders'), kanthorq_consumer_table('worker')",
        'kanthorq_stream_orders|kanthorq_consumer_worker');
    # The view leaves out what an unlogged stream has on the primary only.
    $answers->("name, newest_id FROM kanthorq_streams", "orders|$fourth");
    $answers->('name, stream, cursor, running, retryable, discarded, cancelled, oldest_lease IS NOT NULL FROM kanthorq_consumers',
        'worker|orders|3|1|1|0|1|t');
    $answers->(q{name, stream_name FROM kanthorq_consumer_registry WHERE name = 'worker'}, 'worker|orders');
    $answers->("kanthorq_is_event_id('$first'), kanthorq_subject_matches('a.b', 'a.*')", 't|t');
    $answers->('length(kanthorq_ulid()), length(kanthorq_uuidv7())', '26|36');

    # What a standby can't know: who is writing on the primary, and which of the positions that the
    # sequence has reserved were handed out.
    $answers->("count(*) FROM kanthorq_horizon('orders')", 0);
    $answers->('open_publishers FROM kanthorq_streams', 0);
    $answers->('lag BETWEEN 2 AND 33 FROM kanthorq_consumers', 't');
    is($primary->safe_psql('postgres', q{
            SELECT lag, open_publishers FROM kanthorq_consumers AS c, kanthorq_streams AS s
            WHERE c.name = 'worker' AND s.name = 'orders'}), '2|1', 'while the primary does');

    for my $call (
        "kanthorq_publish('orders', 'order.created', '')",
        "kanthorq_publish_text('orders', 'order.created', '')",
        "kanthorq_publish_json('orders', 'order.created', '{}')",
        "kanthorq_publish_many('orders', '{order.created}', '{x}')",
        "kanthorq_publish_many_text('orders', '{order.created}', '{x}')",
        "kanthorq_publish_many_json('orders', '{order.created}', '{1}')",
        "kanthorq_pull('worker')",
        "kanthorq_pull('worker', wait => '10 minutes')",
        "kanthorq_ack('worker', $lease)",
        "kanthorq_ack('worker', $lease, '{$third}')",
        "kanthorq_nack('worker', $lease)",
        "kanthorq_extend('worker', $lease)",
        "kanthorq_cancel('worker', '{$third}')",
        "kanthorq_resume('worker', '{$fourth}')",
        "kanthorq_stream_create('orders')",
        "kanthorq_partition_close('orders', 0)",
        "kanthorq_stream_create('new')",
        "kanthorq_stream_trim('orders', '$third', confirm => 'orders')",
        "kanthorq_stream_drop('orders', confirm => 'orders')",
        "kanthorq_event_remove('orders', '{$first}')",
        "kanthorq_consumer_create('worker', 'orders')",
        "kanthorq_consumer_create('new', 'orders')",
        "kanthorq_consumer_alter('worker', ordered => true)",
        "kanthorq_consumer_seek('worker', 'first', confirm => 'worker')",
        "kanthorq_consumer_drop('worker', confirm => 'worker')") {
        my (undef, undef, $error) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSELECT $call");
        like($error, qr/^psql\S* ERROR:  25006: cannot execute /, "$kind: $call");
    }

    for my $call ("kanthorq_wait('worker', '10 minutes')", 'kanthorq_maintain()') {
        my (undef, undef, $error) = $standby->psql('postgres', "\\set VERBOSITY verbose\nCALL $call");
        like($error, qr/^psql\S* ERROR:  25006: cannot execute kanthorq_/, "$kind: $call");
    }
    close_session($publisher);

    $standby->stop;
    $primary->stop;
}

look('plain',       'NULL');
look('partitioned', "'1 day'");
done_testing();
