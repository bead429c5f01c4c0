# Maintenance among others: several at once, transactions that are in its way, a stream that its owner has broken, a
# cancel, and an owner whose code would like to run as the superuser who maintains.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = new_node('maintain');
$node->safe_psql('postgres', q{
    CREATE ROLE owner LOGIN;
    GRANT CREATE ON SCHEMA public TO owner;
    CREATE TABLE done (consumer text NOT NULL, id text NOT NULL)});

sub maintain { return ($node->psql('postgres', 'CALL kanthorq_maintain()'))[2] }

# What is told of a stream.
sub told {
    my ($stream, $step) = @_;
    return $node->safe_psql('postgres',
        "SELECT done, said, error FROM kanthorq_maintenance WHERE stream_name = '$stream' AND step = '$step'");
}

sub publish { return "SELECT kanthorq_publish('$_[0]', 'a', '', id => kanthorq_ulid('$_[1] 12:00+00'::timestamptz)) <> ''" }

sub create { return qq{
    SELECT kanthorq_stream_create('$_[0]', partition_interval => '1 day');
    SELECT kanthorq_consumer_create('$_[0]', '$_[0]')} }

sub is_waiting { return "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '$_[0]'" }

# Two at once: whoever comes second skips the stream that the first one has at hand, and fails at nothing.
$node->safe_psql('postgres', create('busy') . ';' . publish('busy', '2020-01-01'));
my ($one, $other, $reader) = map { open_session($node) } 1 .. 3;
ask($reader, 'BEGIN; LOCK TABLE kanthorq_stream_busy__default IN ROW EXCLUSIVE MODE');
ask($one, q{SET kanthorq.maintain_lock_timeout = '10 min'});
start_statement($one, 'CALL kanthorq_maintain()');
wait_for($node, is_waiting('kanthorq_maintain'));
is(maintain(), '', 'a second one does not wait for what the first one is doing');
ask($reader, 'COMMIT');
is(ask($one, 'SELECT 1'), "1\n", 'the first one goes on');
is(told('busy', 'default'), '1||', 'and does it');
my @many = map { start_script($node, "CALL kanthorq_maintain();\n" x 20) } 1 .. 4;
is(join('', map { finish_script($_) } @many), '', 'many at once have no error');

# A prepared transaction that has written into a partition, and an old snapshot that has looked into it.
my $partition = 'kanthorq_stream_busy__20200101';
$node->safe_psql('postgres', 'BEGIN; ' . publish('busy', '2020-01-01') . q{; PREPARE TRANSACTION 'late'});
$node->safe_psql('postgres', publish('busy', '2020-01-01'));
like(maintain(), qr/WARNING:  maintenance of stream "busy" failed in step "closing"\nDETAIL:  .*lock timeout/,
    'a prepared transaction keeps a partition open');
like(told('busy', 'closing'), qr/lock timeout/, 'which is told');
ask($reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM kanthorq_stream_busy");
$node->safe_psql('postgres', q{COMMIT PREPARED 'late'});
is(maintain(), '', 'when it has ended, the partition is closed');
is($node->safe_psql('postgres', "SELECT first_position, last_position FROM kanthorq_partition WHERE partition = '$partition'::regclass"),
    '1|3', 'with its event');
is(told('busy', 'closing'), '1||', 'and nothing else is told any more');
$node->safe_psql('postgres', "UPDATE kanthorq_partition SET first_position = -1, last_position = -1 WHERE partition = '$partition'::regclass");
like(maintain(), qr/failed in step "drop"\nDETAIL:  .*lock timeout/, 'whoever has looked keeps it from being dropped');
is(ask($reader, 'SELECT count(*) FROM kanthorq_stream_busy'), "2\n", 'and still finds what it has seen');
ask($reader, 'COMMIT');
is(maintain(), '', 'afterwards it is dropped');
is($node->safe_psql('postgres', "SELECT to_regclass('$partition') IS NULL"), 't', 'and gone');

# A stream that its owner has broken stops no other one. Their names are in the order in which they are maintained.
$node->safe_psql('postgres', 'SET ROLE owner; ' . create('a_broken') . ';' . create('a_moved') . ';' . create('z_whole') . ';'
        . publish('z_whole', '2020-01-01'));
$node->safe_psql('postgres', q{
    DROP INDEX kanthorq_stream_a_broken__position_idx;
    ALTER TABLE kanthorq_stream_a_broken DROP COLUMN metadata CASCADE;
    ALTER TABLE kanthorq_stream_a_moved RENAME TO elsewhere});
my $warnings = maintain();
unlike($warnings, qr/ERROR|a_moved|z_whole/, 'a broken stream is a warning at most');
is(told('z_whole', 'default'), '1||', 'and the next one is maintained');
$node->safe_psql('postgres', 'DROP TABLE kanthorq_stream_a_broken CASCADE; DROP TABLE elsewhere CASCADE');
is(maintain(), '', 'of a table that is gone there is nothing to maintain');

# A cancel ends it all. It is none of the errors after which it goes on.
ask($reader, 'BEGIN; LOCK TABLE kanthorq_stream_busy__default IN ROW EXCLUSIVE MODE');
$node->safe_psql('postgres', publish('busy', '2020-02-02'));
start_statement($one, 'CALL kanthorq_maintain()');
wait_for($node, is_waiting('kanthorq_maintain'));
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '^CALL' AND state = 'active'});
like(ask($one, 'SELECT 1'), qr/canceling statement due to user request/, 'a cancel ends it');
start_statement($one, q{SET statement_timeout = '200 ms'; CALL kanthorq_maintain()});
like(ask($one, 'SELECT 1'), qr/canceling statement due to statement timeout/, 'so does statement_timeout');
ask($reader, 'COMMIT');

# While somebody reads the default partition, nothing is copied out of it: it could not be attached in the end.
$node->safe_psql('postgres', create('wide') . q{; INSERT INTO kanthorq_stream_wide (id, subject, body)
    SELECT kanthorq_ulid('2020-03-03'), 'a', convert_to(string_agg(md5(random()::text), ''), 'UTF8')
    FROM generate_series(1, 100) AS event, generate_series(1, 50) AS part GROUP BY event});
ask($reader, 'BEGIN; SELECT count(*) FROM kanthorq_stream_wide__default');
my $written = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
like(maintain(), qr/"wide" failed in step "default"\nDETAIL:  .*lock timeout/, 'a reader keeps events in the default partition');
cmp_ok($node->safe_psql('postgres', "SELECT pg_current_wal_insert_lsn() - '$written'"), '<', 100 * 1600,
    'and they are not copied in vain');
ask($reader, 'COMMIT');
is(maintain(), '', 'afterwards they move');
is(told('wide', 'default'), '100||', 'all of them');
$node->safe_psql('postgres', q{SELECT kanthorq_stream_drop('wide', 'wide')});

# An owner who would like to be the superuser: triggers, also deferred ones, expressions in indexes and checks,
# rules, policies and defaults note who runs them.
$node->safe_psql('postgres', q{
    CREATE TABLE ran (what text, who name, session name);
    GRANT INSERT ON ran TO PUBLIC;
    CREATE SCHEMA trap AUTHORIZATION owner});
$node->safe_psql('postgres', 'SET ROLE owner; ' . create('hostile') . q{;
    CREATE FUNCTION trap.write(what text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.ran VALUES (what, current_user, session_user);
        BEGIN
            EXECUTE 'SET SESSION AUTHORIZATION DEFAULT';
            INSERT INTO public.ran VALUES ('escaped by ' || what, current_user, session_user);
        EXCEPTION WHEN others THEN
        END;
        BEGIN
            EXECUTE 'RESET ROLE';
            INSERT INTO public.ran VALUES ('escaped by ' || what, current_user, session_user);
        EXCEPTION WHEN others THEN
        END;
    END $$;
    CREATE FUNCTION trap.note(what text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM trap.write(what);
        RETURN true;
    END $$;
    CREATE FUNCTION trap.noting() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM trap.note(TG_ARGV[0]);
        RETURN coalesce(NEW, OLD);
    END $$;
    -- Also in the place of what has no schema in front of it, if the path is the caller's.
    CREATE FUNCTION trap.count() RETURNS bigint LANGUAGE sql AS $$ SELECT trap.note('path')::integer::bigint $$;
    CREATE TRIGGER trap AFTER DELETE ON kanthorq_stream_hostile__default FOR EACH ROW EXECUTE FUNCTION trap.noting('row');
    CREATE TRIGGER trap2 BEFORE DELETE ON kanthorq_stream_hostile__default EXECUTE FUNCTION trap.noting('statement');
    CREATE CONSTRAINT TRIGGER trap3 AFTER DELETE ON kanthorq_stream_hostile__default DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION trap.noting('deferred');
    CREATE CONSTRAINT TRIGGER trap4 AFTER INSERT OR DELETE ON kanthorq_stream_hostile DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION trap.noting('deferred of the parent');
    CREATE INDEX ON kanthorq_stream_hostile (trap.note('index ' || subject)) WHERE trap.note('condition ' || subject);
    ALTER TABLE kanthorq_stream_hostile ADD CONSTRAINT trap CHECK (trap.note('check ' || subject));
    ALTER TABLE kanthorq_stream_hostile ALTER metadata SET DEFAULT jsonb_build_object('a', trap.note('default'));
    ALTER TABLE kanthorq_stream_hostile__default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY trap ON kanthorq_stream_hostile__default USING (trap.note('policy ' || subject));
    } . publish('hostile', '2020-01-01') . ';' . publish('hostile', '2020-01-02'));
$node->safe_psql('postgres', q{TRUNCATE ran; ALTER ROLE postgres SET search_path = trap, public});
my $of_hostile = maintain();
is($of_hostile, '', 'the events move');
is(told('hostile', 'default'), '2||', 'both of them');
is($node->safe_psql('postgres', q{SELECT DISTINCT who FROM ran}), 'owner', 'what the owner has put there runs as the owner');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ran WHERE what LIKE 'escaped%' AND who <> 'owner'}), 0, 'and nobody escapes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ran WHERE what = 'path'}), 0, 'and it does not choose what is called');
ok($node->safe_psql('postgres', q{SELECT count(*) >= 4 FROM ran WHERE what LIKE 'deferred%'}) eq 't', 'deferred triggers ran before the commit');

# A trigger that defers others to the end of the transaction, where they would run as the caller, gets an error.
$node->safe_psql('postgres', q{
    SET ROLE owner;
    CREATE OR REPLACE FUNCTION trap.noting() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        SET CONSTRAINTS ALL DEFERRED;
        RETURN coalesce(NEW, OLD);
    END $$;
    } . publish('hostile', '2020-01-03'));
$node->safe_psql('postgres', 'TRUNCATE ran');
like(maintain(), qr/cannot fire deferred trigger within security-restricted operation/, 'nothing is left for the commit');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ran WHERE who <> 'owner'}), 0, 'and nothing ran as the superuser');

# All of it is still there, once.
for my $stream (qw(busy z_whole)) {
    drain($node, $stream);
}
is($node->safe_psql('postgres', q{
        SELECT consumer, count(*), count(DISTINCT id) FROM done GROUP BY 1 ORDER BY 1}), "busy|1|1\nz_whole|1|1",
    'each event comes once');
close_session($_) for $one, $other, $reader;
$node->stop;
done_testing();
