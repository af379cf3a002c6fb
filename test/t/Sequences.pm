# Sequences.pm: what tests of random sequences share. A sequence is a database of its own, made by <name>.sql, whose procedures
# <name>.begin and <name>.run raise an error where something is not as it must be, and keep a log of what was done in <name>.log.
#
#   MASTERING_SOAK=600   as many seconds of new seeds, with longer sequences (make soak)
#   MASTERING_SEED=42    this seed and no other
package Sequences;

use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Exporter 'import';

our @EXPORT = qw(run_sequences);

# name; steps and soak_steps; calls: a sub (random number, steps) -> the calls of one sequence as SQL; holds: what is shown where nothing
# is raised; after: a sub (node, seed) with further tests.
sub run_sequences
{
	my (%test) = @_;
	my $soak = $ENV{MASTERING_SOAK} // 0;
	my $steps = $soak ? $test{soak_steps} : $test{steps};
	my $node = PostgreSQL::Test::Cluster->new($test{name});
	$node->init;
	$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = on\n");
	$node->start;
	my $sequence = sub {
		my ($seed) = @_;
		$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $test{name}; CREATE DATABASE $test{name}");
		$node->safe_psql($test{name}, 'CREATE EXTENSION mastering');
		$node->safe_psql($test{name}, slurp_file("$FindBin::RealBin/$test{name}.sql"));
		my ($status, $out, $err) = $node->psql($test{name}, 'SET client_min_messages = error; ' . $test{calls}->(($seed % 1000003) / 1000003, $steps));
		ok($status == 0, "seed $seed: $steps steps, $test{holds}")
		  or diag($err, $node->safe_psql($test{name}, "SELECT * FROM $test{name}.log ORDER BY at"));
		$test{after}->($node, $seed);
		return $status == 0;
	};
	if ($ENV{MASTERING_SEED})
	{
		$sequence->($ENV{MASTERING_SEED});
	}
	elsif ($soak)
	{
		my $end = time + $soak;
		my $seed = time;
		while (time < $end)
		{
			last unless $sequence->($seed++);
		}
	}
	else
	{
		$sequence->(20261121);
		$sequence->(time);
	}
	$node->stop;
	done_testing();
	return;
}

1;
