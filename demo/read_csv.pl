#!/usr/bin/perl
# read_csv.pl: makes any CSV file into one that COPY reads, for scripts/demo.sh.
#
#   read_csv.pl FILE ENCODING NAMES [no] >OUT
#
# OUT gets the records in UTF-8 without header, byte order mark and carriage returns; NAMES the delimiter in its
# first line and then the names of the columns, one a line, each different. The delimiter is the one of , ; tab |
# that the header has most of outside quotes. ENCODING may be empty: UTF-8, or what a byte order mark says. With "no"
# the file has no header: its columns are called column_1, column_2 and so on.
use strict;
use warnings;
use Encode ();

my ($file, $encoding, $names_file, $has_header) = @ARGV;
$has_header = ($has_header || 'yes') ne 'no';

sub stop { print STDERR "demo: $_[0]\n"; exit 1; }

(my $quoted_file = $file) =~ s/'/'\\''/g;    # for the shell

-f $file or stop("there is no file $file");
open(my $in, '<:raw', $file) or stop("cannot read $file: $!");
read($in, my $start, 3);
my $skip = 0;
$start = '' unless defined $start;
if    ($start =~ /^\xEF\xBB\xBF/) { $encoding ||= 'UTF-8'; $skip = 3; }
elsif ($start =~ /^\xFF\xFE/)     { $encoding ||= 'UTF-16LE'; $skip = 2; }
elsif ($start =~ /^\xFE\xFF/)     { $encoding ||= 'UTF-16BE'; $skip = 2; }
seek($in, $skip, 0);
my $guessed = !$encoding;
my $decoder = Encode::find_encoding($encoding || 'UTF-8')
    or stop("ENCODING=$encoding is not known; try UTF-8, windows-1252, iso-8859-1, iso-8859-15, UTF-16");

# Decodes what has come so far and keeps an incomplete last character for the next time.
my $rest = '';
my $offset = $skip;
sub next_text {
    my $got = read($in, my $block, 1 << 20);
    defined $got or stop("cannot read $file: $!");
    $rest .= $block;
    return if $rest eq '';
    my $before = length $rest;
    my $text = eval { $decoder->decode($rest, $got ? Encode::FB_QUIET() | Encode::STOP_AT_PARTIAL() : Encode::FB_QUIET()) };
    $text = '' unless defined $text;
    $offset += $before - length $rest;
    if (length($rest) >= ($got ? 8 : 1)) {
        my $byte = sprintf('0x%02X', ord $rest);
        stop($guessed
            ? "$file is not UTF-8 (byte $byte at offset $offset). Say what it is: make demo DATA='$quoted_file' ENCODING=windows-1252"
            : "$file is not $encoding (byte $byte at offset $offset). Give another ENCODING=");
    }
    stop("$file has a character 0 in it, which no database stores") if $text =~ /\0/;
    return $text;
}

binmode(STDOUT, ':encoding(UTF-8)');

# The header ends at the first line break outside quotes.
my $text = '';
my $end;
until (defined $end) {
    my $more = next_text();
    $text .= $more if defined $more;
    my $quoted = 0;
    while ($text =~ /(["\r\n])/g) {
        if ($1 eq '"') { $quoted = !$quoted; }
        elsif (!$quoted) { $end = pos($text) - 1; last; }
    }
    if (!defined $more) { $end = length $text unless defined $end; }
}
$text =~ s/^\x{FEFF}// and $end--;
my $header = substr($text, 0, $end);
$text = substr($text, $end);
$header =~ /\S/ or stop("$file has no header in its first line");

(my $outside = $header) =~ s/"[^"]*"//g;
my ($delimiter, $most) = (',', 0);
for my $candidate (',', ';', "\t", '|') {
    my $count = () = $outside =~ /\Q$candidate\E/g;
    ($delimiter, $most) = ($candidate, $count) if $count > $most;
}

my (@names, %taken, $record_like);
while ($header =~ /\G(?:\s*"((?:[^"]|"")*)"\s*|([^\Q$delimiter\E]*))(\Q$delimiter\E|\z)/g) {
    my $name = defined $1 ? $1 : $2;
    my $last = $3 eq '';
    $name =~ s/""/"/g;
    $name =~ s/[[:space:][:cntrl:]\x{FEFF}\x{00A0}]+/ /g;
    $name =~ s/^ | $//g;
    # Numbers, dates and e-mail addresses are hardly names of columns; a year may be.
    $record_like = $name if !defined $record_like && $name !~ /^(19|20)[0-9]{2}$/
        && $name =~ /^[-+]?[0-9]+([.,][0-9]+)*$|^[0-9]+([-.\/])[0-9]+\2[0-9]+$|\S@\S+\./;
    $name = 'column_' . (@names + 1) if $name eq '' || !$has_header;
    # PostgreSQL cuts names at 63 bytes; leave room for a number.
    chop $name while length(Encode::encode('UTF-8', $name)) > 58;
    my $unique = $name;
    for (my $n = 2; $taken{lc $unique}++; $n++) { $unique = "${name}_$n"; }
    push @names, $unique;
    last if $last;
}
@names <= 1500 or stop("$file has " . @names . ' columns; a table may have 1600');
open(my $out, '>:encoding(UTF-8)', $names_file) or stop("cannot write $names_file: $!");
print $out "$_\n" for ($delimiter, @names);
close($out) or stop("cannot write $names_file: $!");

if ($has_header) {
    print STDERR "demo: the first line of $file looks like a record ($record_like) and is taken for the names of columns. Where it has none: make demo DATA='$quoted_file' HEADER=no\n"
        if defined $record_like;
    $text =~ s/^\r?\n|^\r//;
} else {
    $text = $header . $text;
}

# COPY wants one kind of line break. A pair that two blocks share is put together first.
my $carry = '';
while (1) {
    $text = $carry . $text;
    $carry = $text =~ s/\r\z// ? "\r" : '';
    $text =~ s/\r\n?/\n/g;
    print $text or stop("cannot write: $!");
    $text = next_text();
    last unless defined $text;
}
print "\n" if $carry;
close(STDOUT) or stop("cannot write: $!");
