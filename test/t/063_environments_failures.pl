# A failure is on record although its transaction is rolled back: with a worker to write it; where none can be had, in
# the server's log; and inside a transaction of the user's that goes on or not.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

my $node = PostgreSQL::Test::Cluster->new('failures');
$node->init;
$node->start;
make_stages($node);
$node->safe_psql('postgres', q{SELECT mastering.add_check('dev', 'person', 'never', 'SELECT id FROM person')});
my $failures = q{SELECT (SELECT count(*) FROM mastering.release WHERE state = 'failed'), (SELECT count(*) FROM mastering.check_result WHERE NOT passed), (SELECT count(*) FROM mastering.audit_entry WHERE action = 'promote failed')};

my $before = fingerprint($node, 'test');
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT mastering.promote('dev', 'test', 'will fail')});
like($err, qr/is stopped by 1 failed check/, 'the gate stops the promotion');
is($node->safe_psql('postgres', $failures), '1|1|1', 'release, check result and log entry are there');
is(fingerprint($node, 'test'), $before, 'the stage is as it was');
is($node->safe_psql('postgres', q{SELECT r.message, c.row_count > 100, jsonb_array_length(c.sample) FROM mastering.release r JOIN mastering.check_result c USING (release_id) WHERE r.state = 'failed'}), 'will fail|t|5', 'with what was found');

# In a transaction that has work of its own before and after, and is rolled back.
$node->psql('postgres', q{
	BEGIN;
	SELECT mastering.snapshot('test');
	SAVEPOINT s;
	SELECT mastering.promote('dev', 'test');
	ROLLBACK TO s;
	SELECT mastering.promote('dev', 'test');
	ROLLBACK;}, on_error_stop => 0);
is($node->safe_psql('postgres', $failures), '3|3|3', 'failures in a transaction that is rolled back');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.snapshot WHERE message IS NULL}), '0', 'and nothing else of it');

# A check of a run.
$node->safe_psql('postgres', q{SELECT mastering.add_check('dev', 'person', 'never', 'SELECT id FROM person', stage => 'run')});
change_data($node, 5);
$node->safe_psql('postgres', q{SELECT * FROM mastering.load('dev', 'person')});
$before = fingerprint($node, 'dev');
($rc, $out, $err) = $node->psql('postgres', q{SELECT mastering.master('dev', 'person')});
like($err, qr/is stopped by 1 failed check/, 'a check stops a run');
is(fingerprint($node, 'dev'), $before, 'nothing of it is published');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.check_result WHERE stage = 'run' AND NOT passed}), '1', 'and what it found is there');

# NOTIFY tells who listens.
my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN mastering');
$node->psql('postgres', q{SELECT mastering.add_check('dev', 'person', 'never', 'SELECT id FROM person')});
$node->psql('postgres', q{SELECT mastering.promote('dev', 'test')});
like($listener->query('SELECT 1'), qr/"event": "promote failed"/, 'a failure is announced');
$listener->quit;

# No worker to be had.
my $recorded = $node->safe_psql('postgres', $failures);
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
my $log = -s $node->logfile;
($rc, $out, $err) = $node->psql('postgres', q{SELECT mastering.promote('dev', 'test', 'nobody to write it down')});
like($err, qr/is stopped by 1 failed check/, 'without a worker the error is the same');
like($err, qr/WARNING:  the failure could not be recorded/, 'with a warning');
like(slurp_file($node->logfile, $log), qr/could not record a failure.*nobody to write it down/s, 'and the whole of it in the log');
is($node->safe_psql('postgres', $failures), $recorded, 'not in the tables');
$node->stop;
done_testing();
