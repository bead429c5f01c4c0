# Events move from the default partition into a new one while somebody looks for them: who has looked at the list of
# the partitions, but not yet into them, still finds each.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;
use Crash;

my $node = new_node('moved');

# A stream with an event of each of three days, the second of which is published first.
sub create_stream {
    my ($stream) = @_;
    $node->safe_psql('postgres', qq{
        SELECT kanthorq_stream_create('$stream', partition_interval => '1 day');
        SELECT kanthorq_consumer_create('$stream', '$stream');
        INSERT INTO kanthorq_stream_$stream (id, subject, body)
        SELECT left(kanthorq_ulid_floor(timestamptz '2020-01-01 00:00+00' + day * interval '1 day'), 25) || day, 'event.' || day, ''
        FROM unnest('{2,1,3}'::integer[]) AS day});
}

# Moves the event of the second day.
sub move_event {
    my ($stream) = @_;
    my $table = "kanthorq_stream_$stream";
    $node->safe_psql('postgres', qq{
        BEGIN;
        CREATE TABLE ${table}__moved (LIKE $table INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
        ALTER TABLE ${table}__default DISABLE TRIGGER USER;
        WITH moved AS (DELETE FROM ${table}__default WHERE subject = 'event.2' RETURNING *)
        INSERT INTO ${table}__moved SELECT * FROM moved;
        ALTER TABLE ${table}__default ENABLE TRIGGER USER;
        SELECT format('ALTER TABLE $table ATTACH PARTITION ${table}__moved FOR VALUES FROM (%L) TO (%L)',
            kanthorq_ulid_floor('2020-01-03 00:00+00'), kanthorq_ulid_floor('2020-01-04 00:00+00')) \\gexec
        INSERT INTO kanthorq_partition VALUES ('$table'::regclass, '${table}__moved'::regclass, 0, 9223372036854775807);
        COMMIT});
}

my %looks = (
    seek => [ 'merge_listed', q{SELECT kanthorq_consumer_seek('seek', '2020-01-02', confirm => 'seek')}, 0 ],
    page => [ 'piece_found', q{SELECT string_agg(subject, ' ') FROM kanthorq_events('page')}, 'event.1 event.2 event.3' ],
    time => [
        'piece_found',
        q{SELECT subject FROM kanthorq_events('time', since => '2020-01-03 00:00+00', until => '2020-01-04 00:00+00')},
        'event.2'
    ],
    event => [
        'piece_found',
        q{SELECT subject FROM kanthorq_event_get('event', left(kanthorq_ulid_floor('2020-01-03 00:00+00'), 25) || 2)},
        'event.2'
    ],
);
for my $look (sort keys %looks) {
    my ($point, $sql, $answer) = @{ $looks{$look} };
    create_stream($look);
    my ($session, $pid) = session_and_process($node);
    stop_at($session, $pid, $point, $sql);
    move_event($look);
    is(go_on($session, $pid), "$answer\n", "$look: what moves meanwhile is found");
    is(ask($session, $sql), "$answer\n", "$look: and afterwards");
    close_session($session);
}

$node->stop;
done_testing();
