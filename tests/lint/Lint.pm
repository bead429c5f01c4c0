# What the lints share. A lint looks at the repository that it is in, or at the one named as its
# first argument, and prints TAP: a test for each rule, with the reasons why it is broken. It ends with
# status 1 if one is.
package Lint;

use strict;
use warnings;
use Exporter 'import';
use FindBin;

our @EXPORT = qw(@folders rule slurp files sql_statements sql_functions sql_signature sql_quoted sql_code);

# The folders of src/ from the ground up: nothing in one of them needs anything of those after it.
our @folders = qw(core server id stream publish read consumer retention admin);

chdir($ARGV[0] // "$FindBin::Bin/../..") or die "cannot enter the repository: $!\n";

my ($rules, $broken) = (0, 0);

# rule(what, reason...): the rule holds if there is no reason why it does not.
sub rule {
    my ($what, @reasons) = @_;
    print @reasons ? "not ok - $what\n" : "ok - $what\n", map { s/^/#   /gmr . "\n" } @reasons;
    $rules++;
    $broken = 1 if @reasons;
}

END {
    print "1..$rules\n";
    $? ||= $broken;
}

sub slurp {
    my ($file) = @_;
    open my $handle, '<', $file or die "cannot read $file: $!\n";
    local $/;
    return scalar <$handle>;
}

# files(directory, pattern): the files below the directory whose names match, sorted.
sub files {
    my ($directory, $pattern) = @_;
    return () unless -d $directory;
    opendir my $handle, $directory or die "cannot read $directory: $!\n";
    my @found;
    for my $name (grep { !/^\.\.?$/ } readdir $handle) {
        my $path = "$directory/$name";
        push @found, -d $path ? files($path, $pattern) : $name =~ $pattern ? $path : ();
    }
    return sort @found;
}

# What SQL puts between quotes: strings, dollar-quoted strings and quoted names.
my $string = qr/'(?:[^']|'')*'/;
my $dollar = qr/(\$(?:[A-Za-z_]\w*)?\$).*?\g{-1}/s;
my $name   = qr/"(?:[^"]|"")*"/;

# sql_statements(text): the statements, without comments, psql's commands and outer white space.
sub sql_statements {
    my ($text) = @_;
    my @statements = ('');
    while ($text =~ m{\G(?:--[^\n]*|/\*.*?\*/|(?<=\n)\\[^\n]*|(;)|($string|$dollar|$name|.))}gs) {
        if    (defined $1) { push @statements, '' }
        elsif (defined $2) { $statements[-1] .= $2 }
    }
    s/^\s+|\s+$//g for @statements;
    return grep { length } @statements;
}

# sql_quoted(statement): what stands between quotes of any kind, the quotes included.
sub sql_quoted {
    my ($statement) = @_;
    my @quoted;
    while ($statement =~ /\G(?:($string|$dollar|$name)|.)/gs) { push @quoted, $1 if defined $1 }
    return @quoted;
}

# sql_code(statement): the statement without strings and comments. What stands between dollars is
# the body of a function, and so is code.
sub sql_code { return $_[0] =~ s{--[^\n]*|/\*.*?\*/|$string}{ }grs }

# sql_functions(text): one hash for each function and procedure that the text creates: kind, name,
# signature (the input types, as COMMENT ON wants them), statement, and symbol, if it is in C.
sub sql_functions {
    my ($text) = @_;
    my @functions;
    for my $statement (sql_statements($text)) {
        $statement =~ /^CREATE\s+(?:OR\s+REPLACE\s+)?(FUNCTION|PROCEDURE)\s+([\w."]+)\s*(\(.*)/is
          or next;
        my ($kind, $name, $rest) = (uc $1, $2, $3);
        my %function = (
            kind      => $kind,
            name      => $name,
            signature => sql_signature("$name$rest"),
            statement => $statement,
        );
        if ($statement =~ /\bLANGUAGE\s+C\b/i) {
            $function{symbol} =
              $statement =~ /\bAS\s+'[^']*'\s*,\s*'([^']*)'/i ? $1 : $name =~ s/.*\.//r;
        }
        push @functions, \%function;
    }
    return @functions;
}

# Types that are written with several words; in front of any other word stands an argument's name.
my $long_type = qr/^(?:double\s+precision|character\s+varying|bit\s+varying|
                      (?:timestamp|time)\s*(?:\(\d+\)\s*)?(?:with|without)\s+time\s+zone)\b/xi;

# sql_signature(text): the name that the text starts with, and the input types of the arguments in
# parentheses after it: f(IN a int, b text DEFAULT '') is f(int, text).
sub sql_signature {
    my ($name, $text) = $_[0] =~ /^([\w."]+)\s*(.*)/s;
    my ($depth, @arguments) = (0, '');
    while ($text =~ /\G($string|.)/gs) {
        my $piece = $1;
        if ($piece eq '(' && $depth++ == 0) { next }
        if ($piece eq ')' && --$depth == 0) { last }
        if ($piece eq ',' && $depth == 1) { push @arguments, ''; next }
        $arguments[-1] .= $piece;
    }
    my @types;
    for my $argument (@arguments) {
        $argument =~ s/\s*(?:\bDEFAULT\b|=).*//is;
        $argument =~ s/^\s+|\s+$//g;
        next if $argument eq '' || $argument =~ /^OUT\s/i;
        $argument =~ s/^(?:IN|INOUT|VARIADIC)\s+//i;
        $argument =~ s/^\S+\s+// unless $argument =~ $long_type;
        push @types, lc($argument =~ s/\s+/ /gr);
    }
    return "$name(" . join(', ', @types) . ')';
}

1;
