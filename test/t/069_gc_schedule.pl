# The schedule that the documentation gives for gc and compaction, with pg_cron: it is called, by whom it was written, and frees what nothing needs.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

my $node = PostgreSQL::Test::Cluster->new('schedule');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
if ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'}) eq '0')
{
	$node->stop;
	plan skip_all => 'pg_cron is not installed';
}
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'postgres'\ncron.use_background_workers = on\nmax_worker_processes = 16\n");
$node->restart;
make_stages($node);
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');

# The calls of doc/environments.md, but that they are made every minute, and that nothing is too young.
my $gc = q{SELECT cron.schedule('mastering gc', '* * * * *', 'SELECT count(*) FROM mastering.gc(false, keep => 1, keep_for => ''0'', keep_unused => ''0'')')};
my $compact = q{SELECT cron.schedule('mastering compact', '* * * * *', 'SELECT count(*) FROM mastering.compact(''prod'')')};
foreach my $n (1 .. 10)    # more loads than segments may live
{
	change_data($node, $n);
	$node->safe_psql('postgres', q{SET client_min_messages = error; SELECT count(*) FROM mastering.load('dev', 'person'); SELECT mastering.master('dev', 'person')});
}
my $before = $node->safe_psql('postgres', q{SELECT sum(segments) FROM mastering.storage() WHERE held = 'nothing'});
cmp_ok($before, '>', 0, "nothing needs $before segments");
$node->safe_psql('postgres', "$gc; $compact");
ok($node->poll_query_until('postgres', q{SELECT count(DISTINCT command) = 2 FROM cron.job_run_details WHERE status = 'succeeded'}), 'both were called and succeeded')
  or diag($node->safe_psql('postgres', 'SELECT * FROM cron.job_run_details'));
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'}), '0', 'none failed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.storage() WHERE held = 'nothing'}), '0', 'what nothing needs is gone');
is(storage_faults($node), '', 'and all else is there');
$node->safe_psql('postgres', q{SELECT cron.unschedule(jobname) FROM cron.job});
$node->stop;
done_testing();
