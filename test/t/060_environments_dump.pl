# A dump restored on a new server gives the same views, rows and hashes, and everything goes on from there; so does
# pg_upgrade. And a dump taken while promotions go on holds one state.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
make_stages($old);
change_data($old, 1);
$old->safe_psql('postgres', q{
	SET client_min_messages = error;
	CREATE ROLE consumer; SELECT mastering.grant_role('prod', 'consumer', 'consumer');
	SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.master('prod', 'person');
	CREATE MATERIALIZED VIEW public.report AS SELECT count(*) AS people, sum(records) AS records FROM prod.person;
	SELECT mastering.snapshot('prod', tag => 'kept');
	SELECT mastering.fork_environment('dev', 'side', ttl => '1 year');
	SELECT mastering.set_clustering('side', 'person', '{"threshold": 0.8}');
	SELECT mastering.master('side', 'person');
	SELECT mastering.create_snapshot_schema('prod~1', 'empty'), mastering.create_snapshot_schema('prod@kept', 'kept');
	SELECT mastering.rollback('prod'); SELECT mastering.restore('prod', 'prod@kept');
	UPDATE input.crm SET born = born + 1 WHERE id = 77; SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.candidate('prod', 'other');
});
my $kept = $old->safe_psql('postgres', 'SELECT * FROM kept.person ORDER BY id');
my @stages = qw(dev test prod side);
my %before = map { $_ => fingerprint($old, $_) } @stages;
my $audit = $old->safe_psql('postgres', 'SELECT * FROM mastering.audit_entry ORDER BY environment, seq');
my $report = $old->safe_psql('postgres', 'SELECT * FROM report');
my $tempdir = PostgreSQL::Test::Utils::tempdir;

sub goes_on
{
	my ($node, $name) = @_;
	is(fingerprint($node, $_), $before{$_}, "$name: $_ is as it was") for @stages;
	is($node->safe_psql('postgres', 'SELECT * FROM mastering.verify_snapshots(deep => true)'), '', "$name: every snapshot is what its hash says");
	is($node->safe_psql('postgres', 'SELECT * FROM kept.person ORDER BY id'), $kept, "$name: a schema on a snapshot is as it was");
	is($node->safe_psql('postgres', q{SELECT subject FROM mastering.plan('side', 'dev') WHERE action = 'change configuration'}), 'entity/person/clustering', "$name: a fork has its own change to merge, and no other");
	is($node->safe_psql('postgres', q{SELECT source, expires_at > now() + interval '11 months' FROM mastering.forks}), 'dev|t', "$name: and its time to live");
	is($node->safe_psql('postgres', 'SELECT * FROM mastering.audit_entry ORDER BY environment, seq'), $audit, "$name: the log is as it was");
	is($node->safe_psql('postgres', 'SELECT * FROM report'), $report, "$name: a materialized view on golden records is as it was");
	is($node->safe_psql('postgres', 'SET ROLE consumer; SELECT count(*) > 0 FROM prod.person'), 't', "$name: a consumer reads");
	my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE consumer; SELECT count(*) FROM prod.person_records');
	like($err, qr/permission denied/, "$name: and no more than that");
	is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM prod_other.person) = (SELECT count(*) FROM prod.person), mastering.publish('prod', 'other') ->> 'candidate'}), 't|other', "$name: a candidate is read and published");
	change_data($node, 2);
	is($node->safe_psql('postgres', q{SELECT string_agg(change, ',' ORDER BY source_name) FROM mastering.load('prod', 'person')}), 'update,update', "$name: the next load is an update");
	like($node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.master('prod', 'person')}), qr/"records"/, "$name: the next run");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM prod.person WHERE name = 'New 2'}), '1', "$name: shows the new record");
	$node->safe_psql('postgres', q{SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}'); SELECT mastering.master('dev', 'person')});
	like($node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.promote('dev', 'test') > 0, mastering.promote('test', 'prod') > 0}), qr/t\|t/, "$name: the next promotion");
	is($node->safe_psql('postgres', q{SELECT mastering.rollback('prod') > 0}), 't', "$name: the next rollback");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.diff('prod', 'prod@kept')}), '0', "$name: and the snapshot from before");
	is($node->safe_psql('postgres', q{SELECT count(DISTINCT id) = count(*) FROM prod.person}), 't', "$name: ids are still distinct");
	return;
}

# pg_dump and pg_restore, as one transaction, and in parallel.
foreach my $format (['custom', ['--single-transaction']], ['directory', ['--jobs=2']])
{
	my ($kind, $options) = @$format;
	$old->command_ok(['pg_dump', '--format', $kind, '--file', "$tempdir/dump.$kind", '--dbname', $old->connstr('postgres')], "pg_dump ($kind)");
	my $new = PostgreSQL::Test::Cluster->new("restored_$kind");
	$new->init;
	$new->start;
	$new->safe_psql('postgres', 'CREATE ROLE consumer');
	$new->command_ok(['pg_restore', '--exit-on-error', @$options, '--dbname', $new->connstr('postgres'), "$tempdir/dump.$kind"], "pg_restore ($kind)");
	goes_on($new, "restored from $kind");
	$new->stop;
}

# Dumps while Prod is switched back and forth: each restores to one of the two states.
$old->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}'); SELECT mastering.master('dev', 'person'); SELECT mastering.promote('dev', 'test')});
my $switches = q{SET client_min_messages = error; } . (q{SELECT mastering.promote('test', 'prod'); SELECT mastering.rollback('prod'); UPDATE mastering.release SET proposal = proposal || '{"held": false}' WHERE proposal ->> 'held' = 'true'; } x 60);
open(my $script, '>', "$tempdir/switches.sql") or die;
print $script $switches =~ s/; /;\n/gr;
close $script;
my $switcher = IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--dbname', $old->connstr('postgres'), '--file', "$tempdir/switches.sql"], '>', "$tempdir/switches.out", '2>', "$tempdir/switches.err");
my $dumps = 0;
while ($switcher->pumpable && $dumps < 3)
{
	$dumps++;
	$old->command_ok(['pg_dump', '--format', 'custom', '--file', "$tempdir/busy.$dumps", '--dbname', $old->connstr('postgres')], "pg_dump while promoting ($dumps)");
}
$switcher->finish;
is(slurp_file("$tempdir/switches.err"), '', 'nobody stopped the promotions');
my $busy_node = PostgreSQL::Test::Cluster->new('busy');
$busy_node->init;
$busy_node->start;
$busy_node->safe_psql('postgres', 'CREATE ROLE consumer');
foreach my $n (1 .. $dumps)
{
	$busy_node->safe_psql('postgres', "CREATE DATABASE busy$n");
	$busy_node->command_ok(['pg_restore', '--exit-on-error', '--dbname', $busy_node->connstr("busy$n"), "$tempdir/busy.$n"], "restored ($n)");
	is($busy_node->safe_psql("busy$n", q{SELECT (SELECT count(*) FROM prod.person) = (SELECT (versions -> 'person' ->> 'rows')::int FROM mastering.head WHERE environment = 'prod'),
		(SELECT count(DISTINCT cluster_id) FROM prod.person_members) = (SELECT count(*) FROM prod.person), (SELECT count(DISTINCT id) FROM prod.person_lineage) = (SELECT count(*) FROM prod.person)}), 't|t|t', "one state ($n)");
}
$busy_node->stop;

# pg_upgrade.
my %final = map { $_ => fingerprint($old, $_) } @stages;
%before = %final;
$audit = $old->safe_psql('postgres', 'SELECT * FROM mastering.audit_entry ORDER BY environment, seq');
$old->stop;
my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
my $bindir = $old->config_data('--bindir');
command_ok(['pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $upgraded->data_dir, '-b', $bindir, '-B', $bindir, '-s', $upgraded->host, '-p', $old->port, '-P', $upgraded->port], 'pg_upgrade');
$upgraded->start;
goes_on($upgraded, 'upgraded');
$upgraded->stop;

done_testing();
