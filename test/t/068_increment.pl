# Random sequences of changes, decisions and labels over entities with several models: after each run, many of them incremental, the
# clusters are those that a run over everything gives under the same model, and golden records, lineage, history and counters fit.
# MASTERING_SOAK and MASTERING_SEED: see Sequences.pm.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Sequences;
use Test::More;

run_sequences(
	name => 'increment',
	steps => 7,
	soak_steps => 40,
	holds => 'each clustered like a run over everything',
	calls => sub { my ($random, $steps) = @_; return "CALL increment.begin($random, 120); CALL increment.run($steps, 120);" },
	after => sub {
		my ($node, $seed) = @_;
		my $runs = $node->safe_psql('increment', "SELECT count(*) FILTER (WHERE said::jsonb -> 'how' ->> 'run' = 'incremental'), count(*) FILTER (WHERE said::jsonb -> 'how' ->> 'run' = 'full' AND said::jsonb -> 'how' ->> 'because' <> 'it was asked for') FROM increment.log WHERE said LIKE '{%'");
		my ($incremental, $full) = split /\|/, $runs;
		# A sequence drawn by lot may have many changes that need all records; this one is known.
		ok($seed == 20261121 ? $incremental > $full : 4 * $incremental > $incremental + $full, "seed $seed: $incremental runs were incremental, $full were not");
	});
