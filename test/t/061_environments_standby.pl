# A hot standby shows what the primary shows, switches when it does, and keeps one state within a transaction; a
# prepared statement there does not hold on to a plan of the old state.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
make_stages($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\nhot_standby_feedback = on\n");
$standby->start;
$primary->wait_for_catchup($standby);
is(fingerprint($standby, $_), fingerprint($primary, $_), "the standby shows $_ as the primary does") for qw(dev test prod);

# One session that stays, with a generic plan; one in a transaction that keeps its snapshot.
my ($in, $out, $err) = ('', '', '');
my $timer = IPC::Run::timeout(180);
my $session = $standby->background_psql('postgres');
$session->query_safe(q{SET plan_cache_mode = force_generic_plan; PREPARE q AS SELECT (SELECT count(*) FROM prod.person) || ' ' || (SELECT count(*) FROM prod.person_records)});
my $old_state = $session->query_safe('EXECUTE q');
my $keeper = $standby->background_psql('postgres');
$keeper->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($keeper->query_safe(q{SELECT (SELECT count(*) FROM prod.person) || ' ' || (SELECT count(*) FROM prod.person_records)}), $old_state, 'both see the old state');

change_data($primary, 3);
$primary->safe_psql('postgres', q{SET client_min_messages = error; SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.master('prod', 'person')});
$primary->wait_for_catchup($standby);
my $new_state = $primary->safe_psql('postgres', q{SELECT (SELECT count(*) FROM prod.person) || ' ' || (SELECT count(*) FROM prod.person_records)});
isnt($new_state, $old_state, 'the run changed what is shown');
is($session->query_safe('EXECUTE q'), $new_state, 'a prepared statement on the standby shows the new state');
is($keeper->query_safe(q{SELECT (SELECT count(*) FROM prod.person) || ' ' || (SELECT count(*) FROM prod.person_records)}), $old_state, 'a REPEATABLE READ transaction there the old one');
$keeper->query_safe('COMMIT');
is($keeper->query_safe(q{SELECT (SELECT count(*) FROM prod.person) || ' ' || (SELECT count(*) FROM prod.person_records)}), $new_state, 'and after its end the new one');
is(fingerprint($standby, 'prod'), fingerprint($primary, 'prod'), 'all of it as on the primary, deletion vectors too');

# Switches on the primary, readers on the standby that compare two views at every step.
my $tempdir = PostgreSQL::Test::Utils::tempdir;
$primary->safe_psql('postgres', q{SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}'); SELECT mastering.master('dev', 'person'); SELECT mastering.promote('dev', 'test')});
open(my $script, '>', "$tempdir/switches.sql") or die;
print $script "SELECT mastering.promote('test', 'prod');\nSELECT mastering.rollback('prod');\nUPDATE mastering.release SET proposal = proposal || '{\"held\": false}' WHERE proposal ->> 'held' = 'true';\n" x 60;
close $script;
my $switcher = IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--dbname', $primary->connstr('postgres'), '--file', "$tempdir/switches.sql"], '>', "$tempdir/switches.out", '2>', "$tempdir/switches.err");
$session->query_safe(q{PREPARE invariant AS SELECT (SELECT count(*) FROM prod.person), (SELECT count(DISTINCT cluster_id) FROM prod.person_members), (SELECT count(DISTINCT id) FROM prod.person_lineage)});
my ($reads, %seen) = (0);
while ($switcher->pumpable)
{
	$seen{ $session->query_safe('EXECUTE invariant') }++;
	$seen{ $keeper->query_safe(q{SELECT (SELECT count(*) FROM prod.person), (SELECT count(DISTINCT cluster_id) FROM prod.person_members), (SELECT count(DISTINCT id) FROM prod.person_lineage)}) }++;
	$reads++;
}
$switcher->finish;
is(slurp_file("$tempdir/switches.err"), '', 'the primary switched without an error');
ok($reads > 3, "the standby was read meanwhile ($reads times)");
is(scalar(grep { my @counts = split /\|/; $counts[0] != $counts[1] || $counts[0] != $counts[2] } keys %seen), 0, 'and never showed a mix');
$primary->wait_for_catchup($standby);
my ($rc, $stdout, $stderr) = $standby->psql('postgres', q{SELECT mastering.snapshot('prod')});
like($stderr, qr/read-only transaction|during recovery/, 'nothing is written on a standby');
$session->quit;
$keeper->quit;

# Promoted to a primary, it goes on.
$standby->promote;
is($standby->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.promote('test', 'prod') > 0}), 't', 'the standby goes on as a primary');
$standby->stop;
$primary->stop;
done_testing();
