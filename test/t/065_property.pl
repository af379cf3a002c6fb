# Random sequences of load, run, change, snapshot, promotion, rollback, fork, merge, restore, compaction and garbage
# collection against a simple model: after each step every environment reads exactly as the model says.
# MASTERING_SOAK and MASTERING_SEED: see Sequences.pm.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Sequences;
use Test::More;

run_sequences(
	name => 'property',
	steps => 30,
	soak_steps => 400,
	holds => 'each environment as the model says',
	calls => sub { my ($random, $steps) = @_; return "CALL property.begin($random); CALL property.run($random, $steps);" },
	after => sub {
		my ($node, $seed) = @_;
		my $done = $node->safe_psql('property', "SELECT string_agg(what || ' ' || n, ', ' ORDER BY what) FROM (SELECT substring(said FROM 'mastering\\.(\\w+)') AS what, count(*) AS n FROM property.log GROUP BY 1) x");
		note("seed $seed: $done");
	});
