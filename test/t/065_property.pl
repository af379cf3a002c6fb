# Random sequences of load, run, change, snapshot, promotion, rollback, fork, merge, restore, compaction and garbage
# collection against a simple model: after each step every environment reads exactly as the model says.
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
my $steps = $soak ? 400 : 30;
my $node = PostgreSQL::Test::Cluster->new('property');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = on\n");
$node->start;

sub sequence
{
	my ($seed) = @_;
	my $random = ($seed % 1000003) / 1000003;
	$node->safe_psql('postgres', "DROP DATABASE IF EXISTS property; CREATE DATABASE property");
	$node->safe_psql('property', "CREATE EXTENSION mastering");
	$node->safe_psql('property', slurp_file("$FindBin::RealBin/property.sql"));
	my ($status, $out, $err) = $node->psql('property', "SET client_min_messages = error; CALL property.begin($random); CALL property.run($random, $steps);");
	ok($status == 0, "seed $seed: $steps steps, each environment as the model says")
	  or diag($err, $node->safe_psql('property', "SELECT * FROM property.log ORDER BY at"));
	my $done = $node->safe_psql('property', "SELECT string_agg(what || ' ' || n, ', ' ORDER BY what) FROM (SELECT substring(said FROM 'mastering\\.(\\w+)') AS what, count(*) AS n FROM property.log GROUP BY 1) x");
	note("seed $seed: $done");
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
