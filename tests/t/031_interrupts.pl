# Cancel, statement_timeout, lock_timeout and terminate inside every function that SQL can call: while it surely
# runs, as it waits for a lock or would go on for ever, and at random moments. Afterwards nothing is half done, the
# same call succeeds in the same session, or in a new one if that was terminated, and others are not held up.
#
# KANTHORQ_INTERRUPTS says how many at random moments; KANTHORQ_INTERRUPTS_SEED tries the same moments again,
# which the scheduler may shift.
use strict;
use warnings;
use List::Util qw(min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use KanthorQ;

my $rounds = $ENV{KANTHORQ_INTERRUPTS} // 100;
my $seed   = $ENV{KANTHORQ_INTERRUPTS_SEED} // int(rand(1_000_000));
srand($seed);
diag("seed $seed");

my $node = new_node('interrupts', "shared_preload_libraries = 'kanthorq'", "fsync = off");
$node->safe_psql('postgres', q{
    SELECT kanthorq_stream_create('orders'), kanthorq_stream_create('trimmed'),
        kanthorq_stream_create('parted', partition_interval => '1 day');
    SELECT kanthorq_consumer_create('worker', 'orders', visibility_timeout => '1 ms', attempt_max => '32767'),
        kanthorq_consumer_create('still', 'orders', includes => '{still.*}', visibility_timeout => '1 hour');
    SELECT kanthorq_consumer_create('idle', 'trimmed', includes => '{nothing}', start_at => 'new');
    CREATE TABLE held (lease bigint, ids text[]);
    CREATE TABLE delivered (id text PRIMARY KEY);
    -- Events that come 500 at a time, or not at all.
    CREATE FUNCTION batch(stream text, subject text) RETURNS bigint LANGUAGE sql AS $$
        SELECT cardinality(kanthorq_publish_many(stream, array_fill(subject, '{500}'), array_fill(''::bytea, '{500}')))
    $$;
    CREATE FUNCTION hold(size integer) RETURNS void LANGUAGE sql AS $$
        DELETE FROM held;
        INSERT INTO held SELECT lease, array_agg(id) FROM kanthorq_pull('still', size) GROUP BY lease;
    $$;
    CREATE FUNCTION refused(times integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        FOR i IN 1 .. times LOOP
            BEGIN
                DELETE FROM kanthorq_stream_orders;
                RAISE 'deleted';
            EXCEPTION WHEN OTHERS THEN
                IF sqlstate <> '55000' THEN RAISE; END IF;
            END;
        END LOOP;
    END $$;
    CREATE FUNCTION inserted(times integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        FOR i IN 1 .. times LOOP
            INSERT INTO kanthorq_stream_orders (subject, body) VALUES ('a', '');
        END LOOP;
    END $$;
    SELECT batch('orders', 'a');
    CREATE TABLE published AS SELECT array_agg(id) AS ids FROM kanthorq_stream_orders});

# What is called. before: run first, uninterrupted. holder: what somebody else has done in a transaction that is
# open, so that the call waits for a lock. endless: the call so often or so long that it does not end by itself.
# waits: it ends before statement_timeout. alone: not in a transaction block. After a comma: another way to call the function. Whatever of
# it can be half done, %halves looks for.
my $fresh = q{SELECT kanthorq_stream_drop('fresh', 'fresh'); };
my $some_ids = q{(SELECT array_agg(id) FROM
    (SELECT id FROM kanthorq_stream_orders ORDER BY position DESC LIMIT 500) AS e)};
my $hold = q{SELECT batch('orders', 'still.x');
    SELECT kanthorq_consumer_seek('still', 'first', 'still'); SELECT hold(400); };
my %cases;

# A call that is repeated so often, or until it is interrupted.
sub repeated {
    my ($call, $times) = @_;
    my @calls = map { "SELECT count($call) FROM (SELECT generate_series(1, $_) AS i) AS s" } $times, 1_000_000_000;
    return (run => $calls[0], endless => $calls[1]);
}

$cases{"kanthorq_$_(text)"} = { repeated("kanthorq_$_('a.' || i)", 10_000) }
    for qw(is_name is_subject is_subject_filter is_ulid is_uuidv7 is_event_id);
$cases{'kanthorq_subject_matches(text,text)'} =
    { repeated(q{kanthorq_subject_matches('a.' || i, 'a.>')}, 10_000) };
$cases{"kanthorq_$_()"} = { repeated("kanthorq_$_()", 5_000) } for qw(ulid uuidv7);
$cases{"kanthorq_$_(timestamp with time zone)"} =
    { repeated("kanthorq_$_(now() - i * interval '1 s')", 5_000) }
    for qw(ulid ulid_floor);
$cases{"kanthorq_start_of($_)"} = { repeated("kanthorq_start_of(('2020-01-01'::timestamptz - i * interval '1 s')::$_)", 5_000) }
    for 'timestamp with time zone', 'timestamp without time zone', 'date';
$cases{'kanthorq_id_time(text)'} =
    { repeated(q{kanthorq_id_time('01ARZ3NDEKTSV4RRFFQ69G' || (1000 + i % 8999))}, 5_000) };
$cases{'kanthorq_stream_create(text,boolean,interval,text)'} = {
    before => $fresh, run => q{SELECT kanthorq_stream_create('fresh')},
    holder => q{SELECT kanthorq_stream_create('fresh')},
};
$cases{'kanthorq_stream_table(text)'} = {
    repeated(q{kanthorq_stream_table('orders')}, 5000), holder => 'LOCK TABLE kanthorq_stream_orders',
};
$cases{'kanthorq_stream_drop(text,text)'} = {
    before => q{SELECT kanthorq_stream_create('fresh'); SELECT batch('fresh', 'a');
                SELECT kanthorq_consumer_create('of_fresh', 'fresh'); SELECT count(*) FROM kanthorq_pull('of_fresh')},
    run => q{SELECT kanthorq_stream_drop('fresh', 'fresh')}, holder => q{SELECT kanthorq_publish('fresh', 'a', '')},
};
$cases{'kanthorq_stream_trim(text,text,text,boolean)'} = {
    before => q{SELECT batch('trimmed', 'a')}, holder => q{SELECT kanthorq_stream_drop('trimmed', 'trimmed')},
    run => q{SELECT kanthorq_stream_trim('trimmed', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', 'trimmed', force => true)},
};
$cases{"kanthorq_publish$_->[0](text,text,$_->[1],jsonb,text,bigint,text)"} = {
    repeated("kanthorq_publish$_->[0]('orders', 'a', '{}'::$_->[1])", 500),
    holder => 'LOCK TABLE kanthorq_stream_orders IN SHARE MODE',
} for [ '', 'bytea' ], [ '_text', 'text' ], [ '_json', 'jsonb' ];
$cases{'kanthorq_publish_many(text,text[],bytea[],jsonb[],text[],bigint[],text)'} = {
    run => q{SELECT batch('orders', 'b')}, holder => 'LOCK TABLE kanthorq_stream_orders IN SHARE MODE',
};
$cases{"kanthorq_publish_many_$_->[0](text,text[],$_->[1]\[],jsonb[],text[],bigint[],text)"} = {
    run => "SELECT cardinality(kanthorq_publish_many_$_->[0]('orders', array_fill('b'::text, '{500}'),
        array_fill('{}'::$_->[1], '{500}')))",
    holder => 'LOCK TABLE kanthorq_stream_orders IN SHARE MODE',
} for [ 'text', 'text' ], [ 'json', 'jsonb' ];
my $timestamps = 'timestamp with time zone,timestamp with time zone';
$cases{'kanthorq_event_get(text,text)'} = {
    repeated(q{(SELECT id FROM kanthorq_event_get('orders', ((SELECT ids FROM published))[1 + i % 500]))}, 500),
    holder => 'LOCK TABLE kanthorq_stream_orders',
};
$cases{"kanthorq_events(text,text,text,$timestamps,integer,jsonb)"} = {
    run => q{SELECT count(*) FROM generate_series(1, 5),
        kanthorq_events('orders', size => 1000, since => '2000-01-01')},
    holder => 'LOCK TABLE kanthorq_stream_orders',
};
$cases{'kanthorq_events_by_subject(text,text,text,text,integer)'} = {
    repeated(q{(SELECT count(*) FROM kanthorq_events_by_subject('orders', 'still.>', size => 900 + i % 100))}, 5),
    holder => 'LOCK TABLE kanthorq_stream_orders',
};
$cases{'kanthorq_event_remove(text,text[])'} = {
    before => q{SELECT kanthorq_stream_trim('trimmed', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', 'trimmed', true);
                SELECT batch('trimmed', 'a')},
    run => q{SELECT kanthorq_event_remove('trimmed', (SELECT array_agg(id) FROM kanthorq_stream_trimmed))},
    holder => 'LOCK TABLE kanthorq_stream_trimmed IN SHARE MODE',
};
$cases{'kanthorq_consumer_create(text,text,text[],text[],integer,interval,kanthorq_start,boolean,jsonb)'} = {
    before => q{SELECT kanthorq_consumer_drop('fresh', 'fresh')},
    run    => q{SELECT kanthorq_consumer_create('fresh', 'orders')},
    holder => q{SELECT kanthorq_consumer_create('fresh', 'orders')},
};
$cases{'kanthorq_consumer_alter(text,text[],text[],integer,interval,boolean,jsonb)'} = {
    repeated(q{kanthorq_consumer_alter('idle', attempt_max => 1 + i)}, 200),
    holder => q{SELECT kanthorq_consumer_seek('idle', 'new', 'idle')},
};
$cases{'kanthorq_consumer_table(text)'} = { repeated(q{kanthorq_consumer_table('worker')}, 5000) };
$cases{'kanthorq_consumer_drop(text,text)'} = {
    before => q{SELECT kanthorq_consumer_create('fresh', 'orders'); SELECT count(*) FROM kanthorq_pull('fresh')},
    run    => q{SELECT kanthorq_consumer_drop('fresh', 'fresh')}, holder => q{SELECT count(*) FROM kanthorq_pull('fresh')},
};
$cases{'kanthorq_consumer_seek(text,kanthorq_start,text)'} = {
    before => q{SELECT kanthorq_consumer_create('fresh', 'orders');
                SELECT kanthorq_nack('fresh', min(lease)) FROM kanthorq_pull('fresh', 500)},
    repeated(q{kanthorq_consumer_seek('fresh', 'first', 'fresh')}, 20),
    holder => q{SELECT count(*) FROM kanthorq_pull('fresh')},
};
$cases{'kanthorq_pull(text,integer,interval,interval,bigint)'} = {
    before => q{SELECT batch('orders', 'a')},
    run    => q{INSERT INTO delivered SELECT id FROM kanthorq_pull('worker', 2000) ON CONFLICT DO NOTHING},
    holder => q{SELECT count(*) FROM kanthorq_pull('worker', 1)},
};
$cases{'kanthorq_pull(text,integer,interval,interval,bigint), waiting'} = {
    run => q{SELECT count(*) FROM kanthorq_pull('idle', wait => '50 ms')}, holder => 'LOCK TABLE kanthorq_stream_trimmed',
    endless => q{SELECT count(*) FROM kanthorq_pull('idle', wait => '1 hour')}, waits => 1,
};
$cases{'kanthorq_ack(text,bigint)'} = {
    before => $hold, run => q{SELECT kanthorq_ack('still', lease) FROM held},
    holder => q{SELECT kanthorq_extend('still', lease) FROM held},
};
$cases{'kanthorq_ack(text,bigint,text[])'} = {
    before => $hold, run => q{SELECT kanthorq_ack('still', lease, ids) FROM held},
    holder => q{SELECT kanthorq_extend('still', lease) FROM held},
};
$cases{'kanthorq_nack(text,bigint,text[],text,interval)'} = {
    before => $hold, run => q{SELECT kanthorq_nack('still', lease, error => 'no') FROM held},
    holder => q{SELECT kanthorq_ack('still', lease, '{}') FROM held},
};
$cases{'kanthorq_extend(text,bigint,interval)'} = {
    before => $hold,
    run    => q{SELECT count(kanthorq_extend('still', lease)) FROM held, generate_series(1, 500)},
    holder => q{SELECT kanthorq_ack('still', lease, '{}') FROM held},
};
my $publish_still = q{SELECT batch('orders', 'still.x'); };
$cases{'kanthorq_cancel(text,text[])'} = {
    before => $publish_still, run => "SELECT cardinality(kanthorq_cancel('still', $some_ids))",
    holder => q{SELECT kanthorq_consumer_alter('still')},
};
$cases{'kanthorq_resume(text,text[])'} = {
    before => "$publish_still SELECT kanthorq_cancel('still', $some_ids)",
    run    => "SELECT cardinality(kanthorq_resume('still', $some_ids))",
    holder => q{SELECT kanthorq_consumer_alter('still')},
};
$cases{'kanthorq_task_state(text,text)'} = {
    run => "SELECT count(kanthorq_task_state('still', id)) FROM unnest($some_ids) AS id",
    holder => 'LOCK TABLE kanthorq_consumer_still',
};
$cases{'kanthorq_tasks(text,text,integer)'} = {
    before => "SELECT kanthorq_cancel('still', $some_ids)",
    repeated(q{(SELECT count(*) FROM kanthorq_tasks('still', size => 900 + i % 100))}, 5),
    holder => 'LOCK TABLE kanthorq_consumer_still',
};
$cases{'kanthorq_wait(text,interval)'} = {
    before => q{SELECT count(*) FROM kanthorq_pull('idle')},  # there is something that is not for it
    run => q{CALL kanthorq_wait('idle', '50 ms')}, alone => 1, holder => 'LOCK TABLE kanthorq_stream_trimmed',
    endless => q{CALL kanthorq_wait('idle', '1 hour')}, waits => 1,
};
$cases{'kanthorq_stream_retention(text,interval,text)'} = {
    repeated(q{kanthorq_stream_retention('trimmed', NULL)}, 100),
    holder => q{SELECT kanthorq_stream_drop('trimmed', 'trimmed')},
};
# The partition of today, or of the day before.
my $partition = q{(SELECT min(partition::text)::regclass FROM kanthorq_partition WHERE partition::text ~ 'parted__2')};
$cases{'kanthorq_partition_close(text,regclass)'} = {
    before => q{SELECT kanthorq_publish('parted', 'a', '')},
    run => "SELECT kanthorq_partition_close('parted', $partition)",
    holder => q{SELECT kanthorq_publish('parted', 'a', '')},
};
$cases{'kanthorq_partition_closed()'} = {
    before => "SELECT kanthorq_publish('parted', 'a', ''); SELECT kanthorq_partition_close('parted', $partition)",
    holder => 'LOCK TABLE kanthorq_stream_parted IN SHARE MODE',
    map { my ($key, $times) = @$_;
        $key => "INSERT INTO kanthorq_stream_parted (subject, body) SELECT 'a', '' FROM generate_series(1, $times)" }
        [ run => 500 ], [ endless => 10_000_000 ],
};
$cases{'kanthorq_horizon(text)'} = {
    run    => q{SELECT count(*) FROM generate_series(1, 50), kanthorq_horizon('orders')},
    holder => 'LOCK TABLE kanthorq_stream_orders',
};
$cases{"kanthorq_$_->[0]_status(text)"} = {
    repeated("(SELECT count(*) FROM kanthorq_$_->[0]_status(left('$_->[1]', 9 + i % 2)))", 100),
    holder => "LOCK TABLE kanthorq_$_->[0]_$_->[1]",
} for [ 'stream', 'orders' ], [ 'consumer', 'still' ];
$cases{'kanthorq_txid(text)'} = {
    holder => 'LOCK TABLE kanthorq_stream_orders IN SHARE MODE',
    map { my ($key, $times) = @$_;
        $key => "INSERT INTO kanthorq_stream_orders (subject, body) SELECT 'a', '' FROM generate_series(1, $times)" }
        [ run => 500 ], [ endless => 10_000_000 ],
};
$cases{'kanthorq_stream_writer()'} = {
    run => 'SELECT inserted(500)', endless => 'SELECT inserted(10000000)',
    holder => 'LOCK TABLE kanthorq_stream_orders IN SHARE MODE',
};
$cases{'kanthorq_stream_append_only()'} = {
    run => 'SELECT refused(500)', holder => 'LOCK TABLE kanthorq_stream_orders IN SHARE MODE',
};

# Those that commit are interrupted between their transactions as well: 041_maintain.pl and tests/crash do that.
my @functions = grep { !/^kanthorq_(maintain|trim)\(/ } split /\n/, $node->safe_psql('postgres', q{
    SELECT objid::regprocedure FROM pg_depend
    WHERE deptype = 'e' AND classid = 'pg_proc'::regclass
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kanthorq')
        AND objid NOT IN (SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]::oid[])
                          FROM pg_type WHERE typname = 'kanthorq_start') ORDER BY 1});
is_deeply([ sort grep { !/, \w+$/ } keys %cases ], [ sort @functions ], 'each function of the extension is interrupted');

# What is half done, by name; none of these may be true.
my %halves = (
    'a batch is stored in part' => q{SELECT count(*) % 500 <> 0 FROM kanthorq_stream_orders},
    'a batch is removed in part' => q{SELECT count(*) % 500 <> 0 FROM kanthorq_stream_trimmed},
    'a stream is registered without a table, or the other way round' => q{
        SELECT array(SELECT name::text FROM kanthorq_stream_registry ORDER BY 1) <>
            array(SELECT substr(relname, 17) FROM pg_class
                  WHERE relkind IN ('r', 'p') AND NOT relispartition AND relname LIKE 'kanthorq\_stream\_%'
                      AND relname <> 'kanthorq_stream_registry' ORDER BY 1)},
    'a consumer is registered without a table, or the other way round' => q{
        SELECT array(SELECT name::text FROM kanthorq_consumer_registry ORDER BY 1) <>
            array(SELECT substr(relname, 19) FROM pg_class
                  WHERE relkind = 'r' AND relname LIKE 'kanthorq\_consumer\_%'
                      AND relname <> 'kanthorq_consumer_registry' ORDER BY 1)},
    'a consumer has no place, or a place no consumer' => q{
        SELECT array(SELECT name FROM kanthorq_consumer_registry ORDER BY 1) <>
            array(SELECT consumer FROM kanthorq_delivery_state ORDER BY 1)},
    'a lease has no consumer' => q{
        SELECT EXISTS (SELECT FROM kanthorq_delivery_lease
                       WHERE consumer NOT IN (SELECT name FROM kanthorq_consumer_registry))},
    'a running task is in no lease' => q{
        SELECT (SELECT count(*) FROM kanthorq_consumer_worker WHERE state = 'running') >
            (SELECT running FROM kanthorq_consumers WHERE name = 'worker')},
);
my $halves = q{SELECT concat_ws(', ', }
    . join(', ', map { "CASE WHEN ($halves{$_}) THEN '$_' END" } sort keys %halves) . ')';

my ($helper, $holder) = (open_session($node), open_session($node));
my ($session, $pid);
my %expected = (cancel => '57014', statement_timeout => '57014', lock_timeout => '55P03', terminate => '57P01');
my (%outcomes, @wrong);

sub connect_anew {
    $session = open_session($node);
    ($pid) = ask($session, "\\set VERBOSITY sqlstate\nSELECT pg_backend_pid();") =~ /(\d+)/;
}

# What is no trial and has to succeed.
sub prepare {
    my ($by, $sql) = @_;
    my $answer = ask($by, $sql);
    die "$sql: $answer" if $answer =~ /ERROR|FATAL/;
}

# Waits until what was started has ended, or the session; the SQLSTATEs of the errors.
sub errors {
    my $deadline = time + 60;
    while ($session->{out} !~ /^answered$/m && $session->{run}->pumpable) {
        die "no end, but: $session->{out}$session->{err}" if time > $deadline;
        $session->{run}->pump_nb;
        usleep(500);
    }
    $session->{run}->pump_nb if $session->{run}->pumpable;  # errors come another way than the answer
    return $session->{err} =~ /(?:ERROR|FATAL|PANIC):\s+(\w+)/g;
}

# Sends what is tried. A session that is terminated takes nothing more, so that all goes at once.
sub start {
    $session->{out} = $session->{err} = '';
    $session->{in} .= "$_[0];\n\\echo answered\n";
    $session->{run}->pump_nb;
}

# Waits until the call waits for the holder, or has begun.
sub wait_for_call {
    my ($name, $place) = @_;
    my $is_there = $place eq 'holder' ? q{wait_event_type = 'Lock'} : q{state = 'active'};
    my $deadline = time + 60;
    until (ask($helper, "SELECT $is_there FROM pg_stat_activity WHERE pid = $pid") eq "t\n") {
        $session->{run}->pump_nb;
        die "$name waits for nothing: $session->{out}$session->{err}" if $session->{out} || time > $deadline;
    }
}

# What is wrong with what is there, and with the session when it is in no transaction.
sub found {
    return ask($helper, "$halves UNION ALL SELECT 'it still has a lock: ' || mode FROM pg_locks WHERE pid = $pid");
}

# A call, interrupted once: surely, at the place "holder", as it waits for that, or "endless"; or at a random moment.
# Notes what is wrong then; whether it was hit.
sub interrupt {
    my ($name, $way, $surely) = @_;
    my $case = $cases{$name};
    my $holder_sql = $surely && $surely eq 'holder' && $case->{holder};
    my $call = $case->{ $surely && $surely eq 'endless' ? 'endless' : 'run' };
    my $in_transaction = !$case->{alone} && $way ne 'terminate' && rand() < 0.5;
    my $moment = $surely ? rand(0.02) : rand($case->{seconds});
    prepare($helper, $case->{before}) if $case->{before};
    prepare($holder, "BEGIN; $holder_sql") if $holder_sql;
    prepare($session, 'BEGIN; SAVEPOINT s') if $in_transaction;
    if ($way =~ /timeout/) {
        start("SET $way = '" . (1 + int(1000 * $moment)) . " ms'; $call");
    }
    else {
        start($call);
        wait_for_call($name, $surely) if $surely;
        usleep(1_000_000 * $moment);
        kill(($way eq 'cancel' ? 'INT' : 'TERM'), $pid);
    }
    my @errors = errors();
    my $hit = "@errors" eq $expected{$way};
    $outcomes{ @errors ? "$way @errors" : 'too late' }++;
    push @wrong, "$name, $way: @errors" if @errors ? !$hit : $surely;
    prepare($holder, 'ROLLBACK') if $holder_sql;
    recover($way, $in_transaction);
    my $found = $in_transaction ? '' : found();
    if ($hit || $in_transaction) {
        my $begin = time;
        start($case->{run});
        push @wrong, "$name after $way: @errors" if @errors = errors();
        $case->{seconds} = min($case->{seconds}, time - $begin);
    }
    if ($in_transaction) {
        prepare($session, 'COMMIT');
        $found = found();
    }
    push @wrong, "$name, $way: $found" if $found =~ /\S/;
    return $hit;
}

# The session is ready for another statement, or there is a new one.
sub recover {
    my ($way, $in_transaction) = @_;
    if ($way eq 'terminate') {
        close_session($session);
        return connect_anew();
    }
    # A cancel that was too late hits this statement, and a short time may not suffice for it.
    my $sql = $in_transaction ? 'ROLLBACK TO s' : $way eq 'cancel' ? 'SELECT 1' : "RESET $way";
    for (1 .. 100) { return if ask($session, $sql) !~ /ERROR/ }
    die "$way: the session does not work";
}

connect_anew();
my @names = sort keys %cases;
for my $name (@names) {  # each once as it is, which is also how long it takes
    prepare($helper, $cases{$name}{before}) if $cases{$name}{before};
    my $begin = time;
    start($cases{$name}{run});
    my @errors = errors();
    $cases{$name}{seconds} = time - $begin;
    push @wrong, "$name: @errors" if @errors;
}
is(join("\n", @wrong), '', 'uninterrupted each of them works');

for my $name (@names) {
    for my $way (qw(cancel statement_timeout terminate)) {
        # A wait ends before statement_timeout; only the lock that it then needs is out of its hands.
        my $in_wait = $cases{$name}{waits} && $way eq 'statement_timeout';
        interrupt($name, $way, $cases{$name}{endless} && !$in_wait ? 'endless' : 'holder');
    }
    interrupt($name, 'lock_timeout', 'holder') if $cases{$name}{holder};
}
is(join("\n", @wrong), '', 'interrupted, each ends with the right SQLSTATE, undone, and can be called again');
note(join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes);

%outcomes = ();
my @ways = qw(cancel statement_timeout terminate);
my %hits;
for my $round (0 .. $rounds - 1) {
    my $name = $names[ $round % @names ];
    $hits{$name} += interrupt($name, $ways[ ($round + int($round / @names)) % @ways ]);
}
is(join("\n", @wrong), '', "$rounds times at a random moment likewise");
note(join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes);
cmp_ok($outcomes{'cancel 57014'} // 0, '>', 0, 'which was not always too late');

# What writes and was surely hit only as it waited for a lock, in its middle: as often as it takes.
my @writers = grep { !$cases{$_}{endless} }
    grep { /_(?:create|drop|trim|remove|publish_many|pull|ack|nack|extend|cancel|resume)\(/ } @names;
for my $name (@writers) {
    my $tries = 0;
    $hits{$name} += interrupt($name, $ways[ $tries % @ways ]) while !$hits{$name} && $tries++ < 50;
}
is(join("\n", @wrong), '', 'what writes likewise');
is(join("\n", grep { !$hits{$_} } @writers), '', 'and each in its middle');

# Everything there is comes to an end.
close_session($_) for $session, $holder;
my ($left, $turns) = (1, 0);
while ($left && $turns++ < 500) {
    prepare($helper, q{WITH pulled AS MATERIALIZED (SELECT * FROM kanthorq_pull('worker', 10000, visibility_timeout => '1 hour')),
            added AS (INSERT INTO delivered SELECT id FROM pulled ON CONFLICT DO NOTHING)
        SELECT sum(kanthorq_ack('worker', lease)) FROM (SELECT DISTINCT lease FROM pulled) AS leases});
    ($left) = ask($helper, q{SELECT lag + running + retryable FROM kanthorq_consumers WHERE name = 'worker'}) =~ /(\d+)/;
    usleep(2000);
}
is($left, 0, 'the consumer comes to its end');
is(ask($helper, q{SELECT count(*) FROM kanthorq_stream_orders
                  WHERE kanthorq_task_state('worker', id) NOT IN ('completed')}), "0\n", 'and has finished each event');
is(ask($helper, q{SELECT count(*) FILTER (WHERE d.id IS NULL), count(*) FILTER (WHERE e.id IS NULL)
                  FROM kanthorq_stream_orders AS e FULL JOIN delivered AS d USING (id)}),
    "0|0\n", 'which was delivered');
close_session($helper);
$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING: .*(?:leak|still active|was not closed|non-empty SPI|own a lock)|PANIC|TRAP/,
    'the server has nothing to complain of');
done_testing();
