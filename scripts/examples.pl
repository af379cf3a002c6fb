#!/usr/bin/perl
# examples.pl PAGE: the page on standard output as it should be: every block of SQL in it is run, in one session of psql, in
# the database that PGDATABASE names, and the block of output that follows one is what was printed.
#
# A block that begins with a line "-- NAME" is run by that role, one that begins with "-- database NAME" in that database. A block with an
# ellipsis (...) in its SQL is told and not run, as is one of another language (plpgsql: what needs something that is not there). A line
# "..." in a block of output stands for any lines, numbers of rows are left out, and a hash (1a2b3c4d5e6f) may be another each time. A
# block without output may print what it likes but errors; those are said on standard error.
use strict;
use warnings;

my ($page) = @ARGV;
open(my $in, '<', $page) or die "examples: cannot read $page: $!\n";
my @lines = <$in>;
close($in);

# The blocks: where their text begins and ends, and of output, whose it is.
my (@sql, %output);
my $prose = '';
for (my $i = 0; $i < @lines; $i++) {
    if ($lines[$i] !~ /^```(\w*)\s*$/) { $prose .= $lines[$i]; next; }
    my ($kind, $from) = ($1, $i + 1);
    do { $i++ } until $i >= @lines || $lines[$i] =~ /^```\s*$/;
    $i < @lines or die "examples: $page:$from: a block without an end\n";
    my $text = join('', @lines[$from .. $i - 1]);
    if ($kind eq 'sql') { push @sql, { line => $from, text => $text, told => scalar $text =~ /\.\.\.|\x{E2}\x{80}\x{A6}/ }; }
    elsif ($kind eq '' && @sql && $prose !~ /\S/) { $output{$#sql} = [ $from, $i - 1 ]; }
    $prose = '';
}

# What was printed, left out where the page leaves lines out: as many lines as it has, from where one begins alike.
sub shortened {
    my ($printed, @shown) = @_;
    my @left = @$printed;
    my @result;
    while (@shown) {
        my @part;
        push @part, shift @shown while @shown && $shown[0] !~ /^\s*\.\.\.$/;
        my $elided = shift @shown;
        if (@part && @result) {    # behind an ellipsis: where its first line's first cell is
            my ($cell) = $part[0] =~ /^([^|]*)/;
            my $skip = !defined $elided ? @left - @part : (grep { $left[$_] =~ /^\Q$cell\E/ } 0 .. $#left)[0];
            return @$printed unless defined $skip && $skip >= 0;
            splice(@left, 0, $skip);
        }
        push @result, splice(@left, 0, scalar @part);
        push @result, ' ...' if defined $elided;
    }
    return (grep { $_ eq ' ...' } @result) ? @result : @$printed;
}

my $mark = "examples-$$";
my $connected = "$ENV{PGDATABASE} $ENV{PGUSER}";
my $script = "\\pset pager off\n\\pset border 1\n\\set SHOW_CONTEXT never\n";
for my $n (0 .. $#sql) {
    next if $sql[$n]{told};
    my $role = $sql[$n]{text} =~ /^-- ([a-z]+)$/m && $-[0] == 0 ? $1 : $ENV{PGUSER};
    my $database = $sql[$n]{text} =~ /^-- database ([a-z_]+)$/m && $-[0] == 0 ? $1 : $ENV{PGDATABASE};
    $script .= "\\connect $database $role\n" if "$database $role" ne $connected;
    $connected = "$database $role";
    $script .= "\\echo $mark $n\n" . $sql[$n]{text};
}
my $file = "build/demo/$mark.sql";
open(my $to, '>', $file) or die "examples: cannot write $file: $!\n";
print $to $script;
close($to) or die "examples: cannot write $file: $!\n";
open(my $psql, '-|', "psql -X -q <$file 2>&1") or die "examples: cannot run psql: $!\n";
my (%printed, $current);
while (<$psql>) {
    if (/^\Q$mark\E (\d+)$/) { $current = $1; $printed{$current} = []; next; }
    next if /^\(\d+ rows?\)$/;
    s/\s+$//;
    # Of several empty lines one, and none at the ends.
    push @{ $printed{$current} }, $_ if defined $current && ($_ ne '' || (@{ $printed{$current} } && $printed{$current}[-1] ne ''));
}
my $status = 0;
if (!close($psql)) {    # as where a role or database of an example is not there
    warn "examples: $page: psql ended with status $?\n";
    $status = 1;
}
unlink $file;

for my $n (reverse 0 .. $#sql) {
    next if $sql[$n]{told};
    my @printed = @{ $printed{$n} // [] };
    pop @printed while @printed && $printed[-1] eq '';
    if (!$output{$n}) {
        for (grep { /^(ERROR|FATAL|invalid command|\\)/ } @printed) {
            print STDERR "examples: $page:$sql[$n]{line}: $_\n";
            $status = 1;
        }
        next;
    }
    my ($from, $to) = @{ $output{$n} };
    my $wanted = '';
    for (@lines[$from .. $to]) {
        (my $line = $_) =~ s/\s+$//;
        $wanted .= $line =~ /^\s*\.\.\.$/ ? '(?:.*\n)*?' : "\Q$line\E\n";
    }
    $wanted =~ s/\b(?=\d*[a-f])[0-9a-f]{12}\b/[0-9a-f]{12}/g;
    next if join('', map { "$_\n" } @printed) =~ /^$wanted\z/;
    splice(@lines, $from, $to - $from + 1, map { "$_\n" } shortened(\@printed, @lines[$from .. $to]));
}
print @lines;
exit $status;
