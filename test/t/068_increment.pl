# Random sequences of changes, decisions and labels over entities with several models: after each run, most of them incremental, the
# clusters are those that a run over everything gives under the same model, and golden records, lineage, history and counters fit.
#
#   MASTERING_SOAK=600   as many seconds of new seeds, with longer sequences (make soak)
#   MASTERING_SEED=42    this seed and no other
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $soak = $ENV{MASTERING_SOAK} // 0;
my $steps = $soak ? 40 : 7;
my $node = PostgreSQL::Test::Cluster->new('increment');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

sub sequence
{
	my ($seed) = @_;
	my $random = ($seed % 1000003) / 1000003;
	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS increment; CREATE DATABASE increment");
	$node->safe_psql('increment', "CREATE EXTENSION mastering");
	$node->safe_psql('increment', slurp_file("$FindBin::RealBin/increment.sql"));
	my ($status, $out, $err) = $node->psql('increment', "SET client_min_messages = error; CALL increment.begin($random, 120); CALL increment.run($steps, 120);");
	ok($status == 0, "seed $seed: $steps steps, each clustered like a run over everything")
	  or diag($err, $node->safe_psql('increment', "SELECT * FROM increment.log ORDER BY at"));
	my $runs = $node->safe_psql('increment', "SELECT count(*) FILTER (WHERE said::jsonb -> 'how' ->> 'run' = 'incremental'), count(*) FILTER (WHERE said::jsonb -> 'how' ->> 'run' = 'full' AND said::jsonb -> 'how' ->> 'because' <> 'it was asked for') FROM increment.log WHERE said LIKE '{%'");
	my ($incremental, $full) = split /\|/, $runs;
	ok($incremental > $full, "seed $seed: $incremental runs were incremental, $full were not");
	return $status == 0;
}

if ($ENV{MASTERING_SEED})
{
	sequence($ENV{MASTERING_SEED});
}
elsif ($soak)
{
	my $end = time + $soak;
	my $seed = time;
	while (time < $end)
	{
		last unless sequence($seed++);
	}
}
else
{
	sequence(20261121);
	sequence(time);
}
$node->stop;
done_testing();
