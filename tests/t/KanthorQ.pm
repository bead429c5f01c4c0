# What the tests in this folder share: sessions that stay open, and waiting for a condition.
package KanthorQ;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use Time::HiRes ();
our @EXPORT = qw(after_crash new_node open_session ask start_statement close_session wait_for asleep);

# A server of its own with the extension, and with these lines in its configuration.
sub new_node {
    my ($name, @settings) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
    $node->append_conf('postgresql.conf', "max_prepared_transactions = 10\nautovacuum = off\n");
    $node->append_conf('postgresql.conf', "$_\n") for @settings;
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION kanthorq');
    return $node;
}

# A psql that runs until close_session().
sub open_session {
    my ($node, $database) = @_;
    my $session = { in => '', out => '', err => '' };
    $session->{run} = IPC::Run::start(
        [ 'psql', '-XqAt', '-d', $node->connstr($database // 'postgres') ],
        '<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err});
    return $session;
}

# Sends statements without waiting for them to end.
sub start_statement {
    my ($session, $sql) = @_;
    $session->{in} .= "$sql;\n";
    $session->{run}->pump_nb;
}

# Runs statements and returns what they print, on standard error as well.
sub ask {
    my ($session, $sql) = @_;
    $session->{out} = $session->{err} = '';
    start_statement($session, $sql);
    $session->{in} .= "\\echo answered\n\\warn answered\n";  # errors come another way than the answer
    my $deadline = time + 60;
    # With the end of the line, which may come in another piece.
    until ($session->{out} =~ /^answered\n/m && $session->{err} =~ /^answered\n/m) {
        die "no answer to: $sql\n$session->{err}" if time > $deadline || !$session->{run}->pumpable;
        $session->{run}->pump_nb;
        Time::HiRes::usleep(2000);
    }
    my $answer = $session->{out} . $session->{err};
    return $answer =~ s/^answered\n//mgr;
}

sub close_session {
    my ($session) = @_;
    $session->{in} .= "\\q\n";
    eval { $session->{run}->finish };
}

# Polls until the query answers true; dies after a minute.
sub wait_for {
    my ($node, $query) = @_;
    $node->poll_query_until('postgres', $query) or die "never became true: $query";
}

# The condition on a row of pg_stat_activity that its process sleeps until KanthorQ wakes it, or the
# time for the next look has come. Since 17 a library names what it waits for.
sub asleep {
    return q{(state = 'active' AND wait_event_type = 'Extension' AND wait_event =
        CASE WHEN current_setting('server_version_num')::integer < 170000 THEN 'Extension' ELSE 'KanthorqWait' END)};
}

# What servers that are copied, fail over and restore share: load that goes on beside the test.

push @EXPORT, qw(new_primary new_standby start_script output_of finish_script stop_scripts running_scripts committed_ids
    publishing working drain expire_leases deliveries places);

# A server as new_node() makes it, that others can be copied from. `archiving`: it keeps its WAL for
# them; `streaming => 'logical'`: also what subscriptions need.
sub new_primary {
    my ($name, %options) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(
        allows_streaming => $options{streaming} // 1,
        has_archiving    => $options{archiving},
        extra            => [ '--encoding=UTF8', '--locale=C' ]);
    $node->append_conf('postgresql.conf',
        "max_prepared_transactions = 10\nautovacuum = off\nmax_wal_senders = 5\n");
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION kanthorq');
    return $node;
}

# A running standby that has all that the primary has.
sub new_standby {
    my ($name, $primary) = @_;
    $primary->backup($name);
    my $standby = PostgreSQL::Test::Cluster->new($name);
    $standby->init_from_backup($primary, $name, has_streaming => 1);
    $standby->start;
    $primary->wait_for_catchup($name);
    return $standby;
}

# Starts a psql that runs the statements; what it prints is in files, so nobody has to read along.
my $scripts = 0;
sub start_script {
    my ($node, $sql) = @_;
    my $file   = $node->basedir . '/script_' . ++$scripts;
    my $script = { out => "$file.out", err => "$file.err" };
    PostgreSQL::Test::Utils::append_to_file("$file.sql", $sql);
    local $ENV{PGAPPNAME} = 'script';
    $script->{run} = IPC::Run::start(
        [ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
        '<', \'', '>', $script->{out}, '2>', $script->{err});
    return $script;
}

sub output_of { return PostgreSQL::Test::Utils::slurp_file($_[0]{out}) }

# Waits for its end and returns what it wrote to standard error.
sub finish_script {
    my ($script) = @_;
    eval { $script->{run}->finish };
    return PostgreSQL::Test::Utils::slurp_file($script->{err});
}

# Ends scripts in the middle, and waits until the server has noticed.
sub stop_scripts {
    my ($node, @scripts) = @_;
    $_->{run}->signal('TERM') for @scripts;
    my @errors = map { finish_script($_) } @scripts;
    wait_for($node, 'SELECT (' . running_scripts() . ') = 0');
    return join '', @errors;
}

# The query that counts the scripts that have not come to their end.
sub running_scripts { return q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'script'} }

# A publisher's script: transactions of one event and of three. Its ids are printed when the server
# has said that they are committed.
sub publishing {
    my ($stream, $times) = @_;
    my $one = "SELECT kanthorq_publish_text('$stream', 'order.paid', 'one')";
    my $both = "$one;\n\\echo committed\nBEGIN;\n" . "$one;\n" x 3 . "COMMIT;\n\\echo committed\n";
    return $both x $times;
}

# Those ids.
sub committed_ids {
    my @committed;
    for my $script (@_) {
        my @open;
        for my $line (split /\n/, output_of($script)) {
            if   ($line eq 'committed') { push @committed, splice @open }
            else                        { push @open,      $line }
        }
    }
    return @committed;
}

# A worker's script: it pulls, and does the work and acknowledges in another transaction. The work is
# a row in the table done.
sub working {
    my ($consumer, $times) = @_;
    return qq{
SELECT count(*) > 0 AS some, max(lease) AS lease, string_agg(id, ' ') AS ids
FROM kanthorq_pull('$consumer', 5, wait => '1 s', visibility_timeout => '1 hour') \\gset
\\if :some
\\echo leased :lease :ids
BEGIN;
INSERT INTO done SELECT '$consumer', unnest(string_to_array(:'ids', ' '));
SELECT 'events', kanthorq_ack('$consumer', :lease);
COMMIT;
\\echo settled :lease
\\endif
} x $times;
}

# Makes all leases run out.
sub expire_leases {
    $_[0]->safe_psql('postgres', 'UPDATE kanthorq_delivery_lease SET deadline = 0 WHERE lease > 0');
}

# All that the consumer still gets, acknowledged: the ids in the order of delivery. The work is done as
# by working().
sub drain {
    my ($node, $consumer) = @_;
    my @ids;
    for (;;) {
        my $batch = $node->safe_psql('postgres', qq{
            BEGIN;
            CREATE TEMPORARY TABLE batch ON COMMIT DROP AS SELECT * FROM kanthorq_pull('$consumer', 1000);
            INSERT INTO done SELECT '$consumer', id FROM batch;
            DO \$\$ BEGIN PERFORM kanthorq_ack('$consumer', lease)
                FROM (SELECT DISTINCT lease FROM batch) AS leases; END \$\$;
            SELECT id FROM batch ORDER BY position;
            COMMIT});
        return @ids if $batch eq '';
        push @ids, split /\n/, $batch;
    }
}

# What drain() and working() have done with the stream's events: for each consumer how many came too
# often, how many are not in the stream, and how many never came.
sub deliveries {
    my ($node, $stream) = @_;
    return $node->safe_psql('postgres', qq{
        SELECT consumer, count(*) - count(DISTINCT done.id), count(*) - count(events.id),
               (SELECT count(*) FROM kanthorq_stream_$stream) - count(*)
        FROM done LEFT JOIN kanthorq_stream_$stream AS events USING (id) GROUP BY 1 ORDER BY 1});
}

# Is no consumer's cursor beyond its ceiling, no ceiling beyond the stream's last position, and no event?
sub places {
    my ($node, $stream) = @_;
    return $node->safe_psql('postgres', qq{
        SELECT bool_and(cursor <= ceiling), bool_and(ceiling <= last_position),
               max(last_position) >= (SELECT max(position) FROM kanthorq_stream_$stream)
        FROM kanthorq_delivery_state, kanthorq_streams});
}

# after_crash(node, body): runs the body, which makes the server crash, and returns its answer when
# the server has started anew; not before, as it still takes connections for a moment. (The query is no
# input of psql's, as it is with poll_query_until(): IPC::Run dies if psql ends before it reads it.)
sub after_crash {
    my ($node, $body) = @_;
    my $checkpointer = "FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    my $pid = $node->safe_psql('postgres', "SELECT pid $checkpointer");
    my $answer = $body->();
    my @ask    = ('psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', "SELECT pid <> $pid $checkpointer");
    for (1 .. 1200) {
        my $is_new = '';
        return $answer
          if IPC::Run::run(\@ask, '<', '/dev/null', '>', \$is_new, '2>', '/dev/null') && $is_new eq "t\n";
        Time::HiRes::usleep(100_000);
    }
    die 'the server did not come back';
}

1;
