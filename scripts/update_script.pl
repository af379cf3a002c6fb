# update_script.pl OLD NEW DELTA: the script that ALTER EXTENSION mastering UPDATE runs, on standard output.
#
# OLD and NEW are install scripts of two versions. What can be replaced (functions, aggregates, views, comments) and
# what is new is taken from NEW; what went away is dropped. What cannot be replaced (a table, a type, an index, a
# trigger) is changed by hand, in DELTA. There a line "-- covers TABLE mastering.output" says that the statements
# below it do for that object what NEW does. What nothing covers is named on standard error and at the head of the
# script, which then refuses to run: an update that forgets something must not look like one that worked.
#
# An object's key is its kind and name. That of a function has the types of its arguments: the COMMENT that follows
# each CREATE FUNCTION names them.
use strict;
use warnings;

die "usage: update_script.pl OLD NEW DELTA\n" unless @ARGV == 3;
my ($old_file, $new_file, $delta_file) = @ARGV;

sub content
{
	my ($file) = @_;
	open(my $handle, '<', $file) or die "$file: $!\n";
	local $/;
	return scalar <$handle>;
}

# The statements of a script, without the comments before them. Semicolons in strings, bodies and comments end nothing.
sub statements
{
	my ($text) = @_;
	my ($statement, @found) = ('');
	while ($text =~ /\G(--[^\n]*\n|\/\*.*?\*\/|(\$\w*\$).*?\g{2}|E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"[^"]*"|;|.)/gs)
	{
		my $piece = $1;
		next if $statement !~ /\S/ && $piece =~ /^(?:--|\/\*|\s)/;
		$statement .= $piece;
		if ($piece eq ';')
		{
			push @found, $statement;
			$statement = '';
		}
	}
	die "a statement does not end: $statement\n" if $statement =~ /\S/;
	return @found;
}

# The key of a statement; functions get theirs from the comment that follows.
sub key
{
	my ($at, $all) = @_;
	my $text = $all->[$at];
	return "COMMENT $1" if $text =~ /^COMMENT ON (\w+ .*?)\s+IS\s/s;
	if ($text =~ /^CREATE (FUNCTION|PROCEDURE|AGGREGATE) (mastering\.\w+)/)
	{
		my ($kind, $name) = ($1, $2);
		foreach my $later (@$all[$at + 1 .. $#$all])
		{
			return "$kind $1" if $later =~ /^COMMENT ON $kind (\Q$name\E\s*\(.*?\))\s+IS\s/s;
		}
		die "$kind $name has no comment\n";
	}
	return "TRIGGER $1 ON $2" if $text =~ /^CREATE (?:CONSTRAINT )?TRIGGER (\w+) .*?\bON\s+(\S+)/s;
	return "$1 $2" if $text =~ /^CREATE (TABLE|VIEW|TYPE|SEQUENCE|SCHEMA|OPERATOR FAMILY|OPERATOR CLASS|OPERATOR) (\S+)/;
	return $text =~ s/\s+/ /gr;    # an index, a SELECT: what it says is what it is
}

# [key, text] for each statement, in order.
sub parse
{
	my ($file) = @_;
	my @all = statements(content($file));
	my @keys = map { key($_, \@all) } 0 .. $#all;
	my %seen;
	foreach (@keys) { die "$file: $_ occurs twice\n" if $seen{$_}++; }
	return map { [$keys[$_], $all[$_]] } 0 .. $#all;
}

# What of a function cannot be replaced: names and types of what goes in and comes out.
sub signature
{
	my ($text) = @_;
	return $text =~ s/\b(?:LANGUAGE|SFUNC)\b.*//sr =~ s/\s+/ /gr;
}

my @old = parse($old_file);
my @new = parse($new_file);
my %old = map { @$_ } @old;
my %new = map { @$_ } @new;
my $delta = content($delta_file);
my %covered = map { $_ => 1 } $delta =~ /^-- covers (.*\S)\s*$/mg;
my (@drop, @make, @open, %made);

foreach my $entry (reverse @old)
{
	my ($key, $text) = @$entry;
	next if $covered{$key};
	if ($key =~ /^(?:FUNCTION|PROCEDURE|AGGREGATE) /)
	{
		next if exists $new{$key} && signature($text) eq signature($new{$key});
		push @drop, "DROP $key;";
		$made{$key} = 1;
	}
	elsif (!exists $new{$key})
	{
		if ($key =~ /^VIEW /) { push @drop, "DROP $key;"; }
		elsif ($key !~ /^(?:COMMENT|DO|GRANT|REVOKE|SET) ?/) { push @open, "$key is no more"; }
	}
}

foreach my $entry (@new)
{
	my ($key, $text) = @$entry;
	if ($key =~ /^(?:DO|GRANT|REVOKE|SET) /) { push @make, $text; }    # who may do what is said again as a whole
	elsif (!exists $old{$key} || $made{$key}) { push @make, $text unless $covered{$key} && $key !~ /^VIEW /; $made{$key} = 1; }
	elsif ($key =~ /^COMMENT (.*)/s) { push @make, $text if $made{$1} || $text ne $old{$key}; }
	elsif ($covered{$key}) { if ($key =~ /^VIEW /) { push @make, $text; $made{$key} = 1; } }
	elsif ($text eq $old{$key}) { next; }
	elsif ($key =~ /^(?:FUNCTION|PROCEDURE|AGGREGATE|VIEW) /) { push @make, $text =~ s/^CREATE /CREATE OR REPLACE /r; }
	else { push @open, "$key is another"; }
}
foreach my $key (sort keys %covered)
{
	push @open, "$key is covered, and in neither script" unless exists $old{$key} || exists $new{$key};
}

warn "$delta_file: $_, and nothing here covers it\n" foreach @open;
print "-- Made by scripts/update_script.pl from $old_file, the files of sql/ and $delta_file.\n";
print "\\echo Use \"ALTER EXTENSION mastering UPDATE\" to load this file. \\quit\n\n";
print "DO \$\$ BEGIN RAISE EXCEPTION 'this update of mastering is not complete' USING ERRCODE = '0A000', DETAIL = ", "'" . join('; ', map { s/'/''/gr } @open) . "'", "; END \$\$;\n" if @open;
print "SET LOCAL search_path TO pg_catalog, pg_temp;\n\n-- What is no more, or comes back with other arguments or results.\n", map { "$_\n" } @drop;
print "\n-- By hand: $delta_file.\n$delta\n-- What is new or another.\n", map { "$_\n\n" } @make;
