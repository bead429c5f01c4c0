# Every function, table and view of the extension, tried as every kind of role. The answers are the table in
# docs/security.md, which this test makes, and compares with the one that stands there: a right that is won
# or lost shows as a change of the documentation. On a difference it prints the table as it is to be.
#
# tests/pgtap/privileges.sql has the finer points: single columns, rights that are taken away, heirs.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use KanthorQ;

my $node = PostgreSQL::Test::Cluster->new('privileges');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

# Whoever installs it is a superuser at that moment, and need not stay one.
$node->safe_psql('postgres', q{
    CREATE ROLE superuser SUPERUSER;
    CREATE ROLE extension_owner SUPERUSER;
    CREATE ROLE creator;
    CREATE ROLE stream_owner;
    CREATE ROLE consumer_owner;
    CREATE ROLE publisher;
    CREATE ROLE worker;
    CREATE ROLE reader;
    CREATE ROLE nobody;
    CREATE ROLE member NOINHERIT IN ROLE stream_owner, consumer_owner, publisher, worker, reader;
    CREATE ROLE limited IN ROLE publisher, worker, reader;
    CREATE ROLE monitor IN ROLE pg_monitor;
    CREATE SCHEMA kq AUTHORIZATION extension_owner;
    ALTER DATABASE postgres SET search_path = kq;
    ALTER DATABASE postgres SET client_min_messages = warning;
    GRANT USAGE ON SCHEMA kq TO PUBLIC});
$node->safe_psql('postgres', q{
    SET ROLE extension_owner;
    CREATE EXTENSION kanthorq;
    RESET ROLE;
    ALTER ROLE extension_owner NOSUPERUSER;
    GRANT CREATE ON SCHEMA kq TO creator, stream_owner, consumer_owner;
    SET ROLE stream_owner;
    SELECT kanthorq_stream_create('orders'), kanthorq_stream_create('bare');
    GRANT SELECT ON kanthorq_stream_orders TO creator, consumer_owner, worker, reader;
    GRANT INSERT (id, subject, body, metadata, created_at) ON kanthorq_stream_orders TO publisher;
    SET ROLE consumer_owner;
    SELECT kanthorq_consumer_create('invoices', 'orders');
    GRANT UPDATE, SELECT ON kanthorq_consumer_invoices TO worker;
    RESET ROLE;
    REVOKE CREATE ON SCHEMA kq FROM stream_owner, consumer_owner;
    CREATE POLICY orders_only ON kanthorq_stream_orders USING (subject LIKE 'order.%')});
$node->safe_psql('postgres', q{
    SELECT kanthorq_publish('orders', subject, '', id => '0000000000000000000000000' || number)
    FROM unnest('{order.a,order.b,payment.a,order.c,payment.b}'::text[]) WITH ORDINALITY AS e (subject, number)});
my $lease = $node->safe_psql('postgres', q{SELECT min(lease) FROM kanthorq_pull('invoices', 2)});
$node->safe_psql('postgres', q{
    SELECT kanthorq_cancel('invoices', '{00000000000000000000000003}');

    -- What the role is answered, or the SQLSTATE. Nothing of it lasts.
    CREATE FUNCTION kq.answer(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        answer text := 'done';
    BEGIN
        PERFORM set_config('role', role, true);
        IF statement LIKE 'SELECT%' THEN
            EXECUTE statement INTO answer;
        ELSE
            EXECUTE statement;
        END IF;
        RAISE EXCEPTION SQLSTATE 'UNDO0';
    EXCEPTION
        WHEN SQLSTATE 'UNDO0' THEN RETURN coalesce(answer, 'null');
        WHEN OTHERS THEN RETURN 'refused ' || sqlstate;
    END $$});

my @roles = qw(superuser extension_owner creator stream_owner consumer_owner publisher worker reader nobody
    member limited monitor);

# What is tried: the object, as the catalog names it; what is done, if that needs to be said; statements.
my $id = '00000000000000000000000001';
my @tried = (
    (map { [ "$_(text)", '', "SELECT $_('a')" ] } map { "kanthorq_$_" }
        qw(is_name is_subject is_subject_filter is_ulid is_uuidv7 is_event_id)),
    [ 'kanthorq_subject_matches(text,text)', '', q{SELECT kanthorq_subject_matches('a', '>')} ],
    (map { [ "$_()", '', "SELECT $_() IS NULL" ] } qw(kanthorq_ulid kanthorq_uuidv7)),
    (map { [ "$_(timestamp with time zone)", '', "SELECT $_('2020-01-01') IS NULL" ] }
        qw(kanthorq_ulid kanthorq_ulid_floor)),
    [ 'kanthorq_id_time(text)', '', "SELECT kanthorq_id_time('$id')" ],
    [ 'kanthorq_stream_create(text,boolean,interval,text)', 'a new one',
        q{SELECT (kanthorq_stream_create('fresh')).name} ],
    [ 'kanthorq_stream_create(text,boolean,interval,text)', 'one that exists',
        q{SELECT (kanthorq_stream_create('orders')).name} ],
    [ 'kanthorq_stream_table(text)', '', q{SELECT kanthorq_stream_table('orders')} ],
    [ 'kanthorq_stream_drop(text,text)', 'without consumers', q{SELECT kanthorq_stream_drop('bare', 'bare')} ],
    [ 'kanthorq_stream_drop(text,text)', 'with a consumer of another', q{SELECT kanthorq_stream_drop('orders', 'orders')} ],
    [ 'kanthorq_stream_trim(text,text,text,boolean)', '', "SELECT kanthorq_stream_trim('orders', '$id', 'orders')" ],
    # No event is before the first, so nothing is removed that could not be undone.
    [ 'kanthorq_trim(text,text,text,boolean,integer)', '', "CALL kanthorq_trim('orders', '$id', 'orders')" ],
    [ 'kanthorq_stream_retention(text,interval,text)', '', q{SELECT kanthorq_stream_retention('orders', '1 day')} ],
    (map { [ "kanthorq_publish$_->[0](text,text,$_->[1],jsonb,text,bigint,text)", '',
            "SELECT kanthorq_publish$_->[0]('orders', 'order.a', '{}', id => '00000000000000000000000009')" ] }
        [ '', 'bytea' ], [ '_text', 'text' ], [ '_json', 'jsonb' ]),
    (map { my ($suffix, $type) = @$_;
        map { [ "kanthorq_publish_many$suffix(text,text[],$type\[],jsonb[],text[],bigint[],text)", $_->[0],
                "SELECT cardinality(kanthorq_publish_many$suffix('orders', '{order.a,$_->[1]}', '{1,2}'))" ] }
            [ '', 'order.b' ], [ 'what the policy refuses', 'payment.b' ] }
        [ '', 'bytea' ], [ '_text', 'text' ], [ '_json', 'jsonb' ]),
    [ 'kanthorq_event_get(text,text)', '', q{SELECT count(*) FROM kanthorq_event_get('orders', '00000000000000000000000003')} ],
    [ 'kanthorq_events(text,text,text,timestamp with time zone,timestamp with time zone,integer,jsonb)', '',
        q{SELECT count(*) FROM kanthorq_events('orders')} ],
    [ 'kanthorq_events_by_subject(text,text,text,text,integer)', '',
        q{SELECT count(*) FROM kanthorq_events_by_subject('orders')} ],
    [ 'kanthorq_event_remove(text,text[])', '', "SELECT kanthorq_event_remove('orders', '{$id}')" ],
    (map { [ 'kanthorq_consumer_create(text,text,text[],text[],integer,interval,kanthorq_start,boolean,jsonb)', $_->[0],
            "SELECT (kanthorq_consumer_create('$_->[1]', 'orders')).name" ] }
        [ 'a new one', 'fresh' ], [ 'one that exists', 'invoices' ]),
    (map { [ "kanthorq_start_of($_)", '', "SELECT kanthorq_start_of('2020-01-01'::$_)" ] }
        'timestamp with time zone', 'timestamp without time zone', 'date'),
    [ 'kanthorq_consumer_alter(text,text[],text[],integer,interval,boolean,jsonb)', '',
        q{SELECT (kanthorq_consumer_alter('invoices', attempt_max => 3)).attempt_max} ],
    [ 'kanthorq_consumer_table(text)', '', q{SELECT kanthorq_consumer_table('invoices')} ],
    [ 'kanthorq_consumer_drop(text,text)', '', q{SELECT kanthorq_consumer_drop('invoices', 'invoices')} ],
    [ 'kanthorq_consumer_seek(text,kanthorq_start,text)', '', q{SELECT kanthorq_consumer_seek('invoices', 'new', 'invoices')} ],
    [ 'kanthorq_pull(text,integer,interval,interval,bigint)', '', q{SELECT count(*) FROM kanthorq_pull('invoices')} ],
    [ 'kanthorq_ack(text,bigint)', '', "SELECT kanthorq_ack('invoices', $lease)" ],
    [ 'kanthorq_ack(text,bigint,text[])', '', "SELECT kanthorq_ack('invoices', $lease, '{$id}')" ],
    [ 'kanthorq_nack(text,bigint,text[],text,interval)', '', "SELECT kanthorq_nack('invoices', $lease)" ],
    [ 'kanthorq_extend(text,bigint,interval)', '', "SELECT kanthorq_extend('invoices', $lease) IS NULL" ],
    [ 'kanthorq_cancel(text,text[])', '', "SELECT kanthorq_cancel('invoices', '{$id}')" ],
    [ 'kanthorq_resume(text,text[])', '', q{SELECT kanthorq_resume('invoices', '{00000000000000000000000003}')} ],
    [ 'kanthorq_task_state(text,text)', '', "SELECT kanthorq_task_state('invoices', '$id')" ],
    [ 'kanthorq_tasks(text,text,integer)', '', q{SELECT count(*) FROM kanthorq_tasks('invoices')} ],
    [ 'kanthorq_wait(text,interval)', '', q{CALL kanthorq_wait('invoices', '0')} ],
    [ 'kanthorq_maintain()', '', q{CALL kanthorq_maintain()} ],
    [ 'kanthorq_partition_close(text,regclass)', '', q{SELECT kanthorq_partition_close('orders', 'pg_class')} ],
    [ 'kanthorq_horizon(text)', '', q{SELECT count(*) FROM kanthorq_horizon('orders')} ],
    [ 'kanthorq_stream_status(text)', '', q{SELECT newest_id FROM kanthorq_stream_status('orders')} ],
    [ 'kanthorq_consumer_status(text)', '', q{SELECT lag_time IS NULL FROM kanthorq_consumer_status('invoices')} ],
    [ 'kanthorq_txid(text)', '', q{SELECT kanthorq_txid('orders') IS NULL} ],
    [ 'kanthorq_stream_writer()', '', q{SELECT kanthorq_stream_writer()} ],
    [ 'kanthorq_partition_closed()', '', q{SELECT kanthorq_partition_closed()} ],
    [ 'kanthorq_stream_append_only()', '', q{SELECT kanthorq_stream_append_only()} ],
    [ 'kanthorq_streams', 'SELECT', q{SELECT newest_id FROM kanthorq_streams WHERE name = 'orders'} ],
    [ 'kanthorq_consumers', 'SELECT', q{SELECT lag_time IS NULL FROM kanthorq_consumers} ],
    (map {
            my $table = $_;
            ([ $table, 'SELECT', "SELECT count(*) FROM $table" ],
             [ $table, 'INSERT, UPDATE, DELETE, TRUNCATE', "INSERT INTO $table SELECT * FROM $table WHERE false",
               'UPDATE ' . $table . ' SET ' . updated($table) . ' WHERE false',
               "DELETE FROM $table WHERE false", "TRUNCATE $table" ])
        } qw(kanthorq_stream_registry kanthorq_consumer_registry kanthorq_setting_of_stream kanthorq_partition
            kanthorq_retention_block kanthorq_maintenance kanthorq_registered_table kanthorq_delivery_state
            kanthorq_delivery_lease)),
    [ 'kanthorq_stream_<name>', 'SELECT', q{SELECT count(*) FROM kanthorq_stream_orders} ],
    [ 'kanthorq_stream_<name>', 'INSERT of the five columns',
        q{INSERT INTO kanthorq_stream_orders (id, subject, body, metadata, created_at)
          VALUES ('00000000000000000000000009', 'order.a', '', '{}', 0)} ],
    [ 'kanthorq_stream_<name>', 'INSERT of txid, position',
        q{INSERT INTO kanthorq_stream_orders (subject, body, txid) VALUES ('order.a', '', '3')},
        q{INSERT INTO kanthorq_stream_orders (subject, body, position) OVERRIDING SYSTEM VALUE
          VALUES ('order.a', '', 99)} ],
    [ 'kanthorq_stream_<name>', 'UPDATE, DELETE, TRUNCATE', q{UPDATE kanthorq_stream_orders SET body = 'x'},
        q{DELETE FROM kanthorq_stream_orders}, q{TRUNCATE kanthorq_stream_orders} ],
    [ 'kanthorq_stream_<name>__position_seq', 'nextval, setval', q{SELECT nextval('kanthorq_stream_orders__position_seq') > 0},
        q{SELECT setval('kanthorq_stream_orders__position_seq', 99)} ],
    [ 'kanthorq_consumer_<name>', 'SELECT', q{SELECT count(*) FROM kanthorq_consumer_invoices} ],
    [ 'kanthorq_consumer_<name>', 'UPDATE', q{UPDATE kanthorq_consumer_invoices SET attempt_count = 1} ],
    [ 'kanthorq_consumer_<name>', 'INSERT, DELETE, TRUNCATE',
        q{INSERT INTO kanthorq_consumer_invoices SELECT * FROM kanthorq_consumer_invoices WHERE false},
        q{DELETE FROM kanthorq_consumer_invoices}, q{TRUNCATE kanthorq_consumer_invoices} ],
);

# Some column of the table, set to itself.
sub updated {
    my ($table) = @_;
    my %columns = (kanthorq_delivery_state => 'cursor', kanthorq_delivery_lease => 'slot',
        kanthorq_partition => 'last_position', kanthorq_retention_block => 'since', kanthorq_maintenance => 'said');
    my $column = $columns{$table} // 'name';
    return "$column = $column";
}

# Each statement as the role and as a superuser, in one go; returns pairs of answers.
sub answers {
    my ($role, @statements) = @_;
    my $calls = join ",\n", map { "(kq.answer('$role', \$q\$$_\$q\$), kq.answer('superuser', \$q\$$_\$q\$))" } @statements;
    my @rows = split /\n/, $node->safe_psql('postgres', "VALUES $calls");
    return map { [ split /\|/ ] } @rows;
}

# A procedure that ends transactions can't be called from a function.
sub answer_to_call {
    my ($role, $statement) = @_;
    my ($status, $out, $err) = $node->psql('postgres', "SET ROLE $role; $statement",
        extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
    return $err =~ /ERROR:\s+(\w+)/ ? "refused $1" : 'done';
}

# yes: the role is answered what a superuser is. some: less than that. A dash: it has no right (42501). Else
# the SQLSTATE of another refusal.
sub cell {
    my ($answer, $superusers) = @_;
    return $answer =~ /^refused (\w+)/ ? ($1 eq '42501' ? '–' : $1) : $answer eq $superusers ? 'yes' : 'some';
}

# By role and object; row security is in force while one role is tried.
my %cells;
for my $role (@roles) {
    my $security = $role eq 'limited' ? 'ENABLE' : 'DISABLE';
    $node->safe_psql('postgres', "ALTER TABLE kanthorq_stream_orders $security ROW LEVEL SECURITY");
    my @answers = answers($role, map { grep { !/^CALL/ } @{$_}[ 2 .. $#$_ ] } @tried);
    for my $try (@tried) {
        my ($object, $what, @statements) = @$try;
        my %found = map {
            my $answer = /^CALL/ ? [ answer_to_call($role, $_), 'done' ] : shift @answers;
            (cell(@$answer) => 1)
        } @statements;
        $cells{$role}{"$object $what"} = join ' / ', sort keys %found;
    }
}

# Objects with the same answers in all columns share a row.
my (@rows, %row_of);
for my $try (@tried) {
    my ($object, $what) = @$try;
    my $name = "`" . ($object =~ s/\(.*//r) . "`" . ($what ? ": $what" : '');
    my $answers = join ' | ', map { $cells{$_}{"$object $what"} } @roles;
    if (!$row_of{$answers}) { push @rows, $row_of{$answers} = { names => [], answers => $answers } }
    push @{ $row_of{$answers}{names} }, $name unless grep { $_ eq $name } @{ $row_of{$answers}{names} };
}
my $table = join "\n",
    '| | ' . join(' | ', map { s/_/ /gr } @roles) . ' |',
    '|---' x (1 + @roles) . '|',
    map { '| ' . join('<br>', @{ $_->{names} }) . " | $_->{answers} |" } @rows;

my ($documented) = slurp_file('docs/security.md') =~ /^(\| \| superuser.*?)\n\n/ms;
is($documented, $table, 'docs/security.md has the table as it is') or diag("The table as it is:\n\n$table\n");

# Nothing is forgotten: functions, tables and views that the extension has.
my %covered = map { $_->[0] => 1 } @tried;
my @members = split /\n/, $node->safe_psql('postgres', q{
    SELECT CASE classid WHEN 'pg_proc'::regclass THEN objid::regprocedure::text ELSE objid::regclass::text END
    FROM pg_depend
    WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'kanthorq')
        AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
        AND objid NOT IN (SELECT oid FROM pg_class WHERE relkind = 'c')
        -- Those that the server calls for a type.
        AND objid NOT IN (SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]::oid[])
                          FROM pg_type WHERE typname = 'kanthorq_start')});
is(join("\n", grep { !$covered{$_} } @members), '', 'each function, table and view of the extension is tried');
cmp_ok(scalar @members, '>', 40, 'and there are some');

# Row security is not bypassed for a role that monitors. Who publishes is no row of the table.
$node->safe_psql('postgres', 'ALTER TABLE kanthorq_stream_orders ENABLE ROW LEVEL SECURITY');
is($node->safe_psql('postgres', q{
        SET ROLE monitor;
        SELECT newest_id IS NULL AND newest_time IS NULL FROM kanthorq_streams WHERE name = 'orders';
        SELECT lag_time IS NULL FROM kanthorq_consumers;
        SELECT count(*) FROM kanthorq_horizon('orders')}), "t\nt\n0", 'what row security hides is not shown');

# All that was tried was refused or undone.
is($node->safe_psql('postgres', q{SELECT cursor, running, cancelled FROM kanthorq_consumers}), '2|2|1',
    'the consumer is where it was');
is($node->safe_psql('postgres', q{SELECT count(*) FROM kanthorq_stream_registry}), 2, 'and the streams are');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_proc WHERE prosecdef AND proname LIKE 'kanthorq%'}), 0,
    'no function is SECURITY DEFINER');

$node->stop;
done_testing();
