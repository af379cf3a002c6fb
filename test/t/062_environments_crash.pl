# kill -9 of the backend, and of the whole server, at every step of load, run, promotion and rollback: the stage is as it
# was or as it was to be, the log is one chain, and the same call works afterwards.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\nfsync = off\nlog_min_messages = warning\n");
$node->start;
make_stages($node, 400);
$node->safe_psql('postgres', q{SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}'); SELECT mastering.master('dev', 'person'); SELECT mastering.promote('dev', 'test')});

sub intact
{
	return $node->safe_psql('postgres', q{
		SELECT bool_and(coalesce(ok, true)) FROM (
			SELECT e.hash = mastering.audit_hash(e) AND e.previous_hash = coalesce(lag(e.hash) OVER (PARTITION BY environment ORDER BY seq), '') AS ok FROM mastering.audit_entry e) x;
		SELECT count(*) FROM mastering.audit_pending;
		SELECT (SELECT count(*) FROM prod.person) = (SELECT (versions -> 'person' ->> 'rows')::int FROM mastering.head WHERE environment = 'prod');
		SELECT (SELECT count(DISTINCT cluster_id) FROM prod.person_members) = (SELECT count(*) FROM prod.person);
		SELECT count(*) FROM mastering.segment g WHERE to_regclass('mastering.segment_' || g.segment_id) IS NULL;
		SELECT count(*) FROM pg_class c WHERE c.relname ~ '^segment_[0-9]+$' AND NOT EXISTS (SELECT FROM mastering.segment g WHERE 'segment_' || g.segment_id = c.relname);
	});
}

my %calls = (
	load => q{SELECT * FROM mastering.load('prod', 'person')},
	master => q{SELECT mastering.master('prod', 'person')},
	promote => q{SELECT mastering.promote('test', 'prod')},
	rollback => q{SELECT mastering.rollback('prod')});
my ($seed, $came_through, $stopped) = (10, 0, 0);
foreach my $whole (0, 1)
{
	foreach my $step (qw(load master promote rollback))
	{
		my $kind = $whole ? 'server' : 'backend';
		my ($mixed, $broken) = (0, 0);
		# From nothing to beyond the time that the call takes.
		foreach my $try (1 .. ($whole ? 4 : 6))
		{
			change_data($node, ++$seed) if $step eq 'load';
			if ($step eq 'master') { change_data($node, ++$seed); $node->safe_psql('postgres', $calls{load}); }
			$node->safe_psql('postgres', q{UPDATE mastering.release SET proposal = proposal || '{"held": false}' WHERE proposal ->> 'held' = 'true'});
			$node->safe_psql('postgres', "SET client_min_messages = error; $calls{promote}") if $step eq 'rollback';
			my $before = fingerprint($node, 'prod');
			killed($node, $calls{$step}, $try * 35_000, $whole) ? $came_through++ : $stopped++;
			my $after = fingerprint($node, 'prod');
			$broken++ if intact() ne "t\n0\nt\nt\n0\n0";
			# What did not change may be done now; what did must not be there twice.
			$node->safe_psql('postgres', "SET client_min_messages = error; $calls{$step}") if $after eq $before;
			$broken++ if intact() ne "t\n0\nt\nt\n0\n0";
		}
		is($broken, 0, "$kind killed in $step: the stage is whole, and the call works afterwards");
	}
}
ok($stopped > 0, "some calls were stopped ($stopped)");
ok($came_through >= 0, "others came through ($came_through)");
$node->stop;
done_testing();
