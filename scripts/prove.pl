# prove, which at its end also writes what came of the tests to a file:
#
#   perl scripts/prove.pl file prove's-arguments...
#
# The file's first line is "passed failed", two numbers. Then there is a line "failed: name: why" for
# each program that failed, and a line "skipped: name: why" for each that skipped tests.
use strict;
use warnings;

package Tally;
use parent 'TAP::Formatter::File';

our $file;
my %failed;  # the names of the tests that failed, by program

sub open_test {
    my ($self, $name, $parser) = @_;
    $parser->callback(
        test => sub {
            my ($test) = @_;
            push @{ $failed{$name} }, $test->description =~ s/^- //r || 'test ' . $test->number unless $test->is_actual_ok;
        });
    return $self->SUPER::open_test($name, $parser);
}

sub summary {
    my ($self, $aggregate, @rest) = @_;
    $self->SUPER::summary($aggregate, @rest);
    my ($passed, $failed, @lines) = (0, 0);
    for my $name ($aggregate->descriptions) {
        my ($parser) = $aggregate->parsers($name);
        my ($bad, $why) = failures_of($parser, @{ $failed{$name} // [] });
        $passed += $parser->actual_passed - $parser->skipped;
        $failed += $bad;
        push @lines, "failed: $name: $why" if $bad;
        next if $bad;
        push @lines, "skipped: $name: " . $parser->skip_all if $parser->skip_all;
        push @lines, "skipped: $name: " . $parser->skipped . ' of its tests' if $parser->skipped;
    }
    open my $tally, '>', $file or die "cannot write $file: $!\n";
    print $tally map { "$_\n" } "$passed $failed", @lines;
    close $tally or die "cannot write $file: $!\n";
}

# How many tests of a program failed, and why. A test that was planned and did not run has failed. So has
# a test that is marked TODO and failed, which prove itself lets pass. A program that crashed, ran no test
# or has no plan is a failure even if each test that ran passed.
sub failures_of {
    my ($parser, @names) = @_;
    my $failed  = @names;
    my $missing = ($parser->tests_planned // 0) - $parser->tests_run;
    my $signal  = ($parser->wait // 0) & 127;
    my @why     = @names > 5 ? (@names[ 0 .. 4 ], 'others') : @names;
    push @why, "tests that did not run: $missing" if $missing > 0;
    push @why, "signal $signal ended it" if $signal;
    push @why, 'it ended with status ' . $parser->exit if $parser->exit && !$failed;
    push @why, 'no test ran' if !$parser->tests_run && !given_reason($parser);
    push @why, ($parser->parse_errors)[0] if !@why && $parser->parse_errors;
    my $count = $failed + ($missing > 0 ? $missing : 0);
    return ($count || (@why ? 1 : 0), join '; ', @why);
}

# TAP::Parser calls a plan of no tests a skip of all of them. One without a reason is a mistake.
sub given_reason {
    my ($parser) = @_;
    return $parser->skip_all && $parser->skip_all ne '(no reason given)';
}

package main;
use App::Prove;

$| = 1;
$Tally::file = shift;
my $prove = App::Prove->new;
$prove->process_args('--norc', '--formatter', 'Tally', @ARGV);
exit($prove->run ? 0 : 1);
