# What the tests in this folder share: sessions that stay open, and waiting for a condition.
package KanthorQ;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use Time::HiRes ();
our @EXPORT = qw(new_node open_session ask start_statement close_session wait_for);

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
    my ($node) = @_;
    my $session = { in => '', out => '', err => '' };
    $session->{run} = IPC::Run::start(
        [ 'psql', '-XqAt', '-d', $node->connstr('postgres') ],
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
    $session->{in} .= "\\echo answered\n";
    my $deadline = time + 60;
    until ($session->{out} =~ /^answered$/m) {
        die "no answer to: $sql\n$session->{err}" if time > $deadline || !$session->{run}->pumpable;
        $session->{run}->pump_nb;
        Time::HiRes::usleep(2000);
    }
    (my $answer = $session->{out}) =~ s/^answered\n//m;
    return $answer . $session->{err};
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

1;
