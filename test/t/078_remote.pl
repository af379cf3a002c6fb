# Environments in other databases: two servers, the user of the one mapped to a role with a password on the other. The
# connection is cut at every moment that differs, on either side; what each side says afterwards is true, and nothing is
# applied twice.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $secret = 'correct horse battery staple';
my $here = PostgreSQL::Test::Cluster->new('here');
$here->init;
$here->append_conf('postgresql.conf', "max_worker_processes = 16\nlog_statement = 'none'\n");
$here->start;
my $there = PostgreSQL::Test::Cluster->new('there');
$there->init(allows_streaming => 1);    # so that a commit can be made to wait
$there->append_conf('pg_hba.conf', '');
{
	my $hba = slurp_file($there->data_dir . '/pg_hba.conf');
	open(my $file, '>', $there->data_dir . '/pg_hba.conf') or die;
	print $file "local all app,weak scram-sha-256\n$hba";
	close($file);
}
$there->append_conf('postgresql.conf', "password_encryption = 'scram-sha-256'\nlog_statement = 'none'\n");
$there->start;
my ($host, $port) = ($there->host, $there->port);

# Source rows on both sides, and a check that waits for as long as somebody holds a lock.
my $source = q{
	CREATE SCHEMA input;
	CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(1, 100) i;
	CREATE FUNCTION input.slow() RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4242); RETURN false; END $$;
};
$here->safe_psql('postgres', qq{
	CREATE EXTENSION mastering;
	CREATE SCHEMA links;
	CREATE EXTENSION dblink SCHEMA links;
	CREATE ROLE otto LOGIN;
	CREATE ROLE bob LOGIN;
	GRANT CREATE ON DATABASE postgres TO otto;
	GRANT USAGE ON SCHEMA links TO otto, bob;
	CREATE SERVER factory FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
	GRANT USAGE ON FOREIGN SERVER factory TO otto;
	CREATE USER MAPPING FOR otto SERVER factory OPTIONS (user 'app', password '$secret');
	$source
	GRANT USAGE ON SCHEMA input TO otto;
	GRANT ALL ON ALL TABLES IN SCHEMA input TO otto;
});
$there->safe_psql('postgres', qq{
	CREATE EXTENSION mastering;
	CREATE ROLE app LOGIN PASSWORD '$secret';
	CREATE ROLE weak LOGIN PASSWORD '$secret';
	CREATE ROLE rita LOGIN;
	GRANT CREATE ON DATABASE postgres TO app;
	$source
	GRANT USAGE ON SCHEMA input TO app;
	GRANT ALL ON ALL TABLES IN SCHEMA input TO app;
});

sub as_role
{
	my ($node, $role, $sql, $database) = @_;
	my ($out, $err) = ('', '');
	my $rc = $node->psql($database // 'postgres', "SET client_min_messages = notice; SET ROLE $role; SET search_path = mastering; $sql", stdout => \$out, stderr => \$err);
	return ($rc, $out, $err);
}

sub good
{
	my ($sql, $role) = @_;
	my ($rc, $out, $err) = as_role($here, $role // 'otto', $sql);
	die "$sql: $err" if $rc != 0;
	return $out;
}

sub bad
{
	my ($sql, $role, $database) = @_;
	my ($rc, $out, $err) = as_role($here, $role // 'otto', $sql, $database);
	return $rc == 0 ? "no error: $out" : $err;
}

sub there { my ($sql) = @_; return $there->safe_psql('postgres', $sql); }
my $gate;
sub hold { $gate = $there->background_psql('postgres'); $gate->query_safe('SELECT pg_advisory_lock(4242)'); return; }
sub let_go { eval { $gate->quit } if defined $gate; $gate = undef; return; }
# How often releases of this message took effect in prod, and what prod shows.
sub applied { my ($message) = @_; return there("SELECT count(*) FROM mastering.release WHERE target = 'prod' AND message = '$message' AND state IN ('promoted', 'rolled back', 'replaced')"); }
sub prod { return there("SELECT mastering.state_hash(mastering.current_state('prod'))"); }
sub state { my ($message) = @_; return $here->safe_psql('postgres', "SELECT string_agg(state, ',' ORDER BY release_id) FROM mastering.remote_release WHERE message = '$message'"); }

# A change of configuration to send.
my $number = 0;
sub change
{
	$number++;
	good("SELECT add_check('test', 'person', 'number', 'SELECT id FROM person WHERE id < -$number')");
	return;
}

# ---- set up, plan, promote, gates, back ----------------------------------------------------------------------------

good(q{
	SELECT create_environment('test');
	SELECT define_entity('test', 'person', '{"name": "text", "email": "text"}');
	SELECT map_source('test', 'person', 'crm', 'input.crm', 'id');
	SELECT set_blocking('test', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]');
	SELECT set_comparisons('test', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
	SELECT count(*) FROM load('test', 'person');
	SET client_min_messages = error;
	SELECT train('test', 'person');
	SELECT master('test', 'person');
	SELECT add_check('test', 'person', 'in time', 'SELECT id FROM person WHERE input.slow()');
});
good(q{SELECT create_environment('prod', promotes_from => 'test', server => 'factory')});
is(there(q{SELECT string_agg(name || ' ' || owner || coalesce(' from ' || promotes_from, ''), ', ' ORDER BY name) FROM mastering.environment}), 'prod app from test, test app', 'the environment and its stand-in there belong to the mapped role');
my $before = prod();
like(good(q{SELECT string_agg(action || ' ' || subject, '; ' ORDER BY step) FROM plan('test', 'prod') WHERE NOT blocked}),
	qr/^send test; change configuration entity\/person; .*load person\/crm; master person; check entity\/person\/check\/in time; switch prod$/, 'the plan that is made there');
is(prod(), $before, 'a plan changes nothing there');
is(there(q{SELECT tree FROM mastering.configuration WHERE environment = 'test'}), '{}', 'and leaves nothing in the stand-in');
is(good(q{SELECT promote('test', 'prod', 'trial', dry_run => true) IS NULL}), 't', 'a dry run');
is(prod(), $before, 'changes nothing there either');
is(there(q{SELECT count(*) FROM mastering.release_token}), '0', 'and takes no token');
my $first = good(q{SELECT promote('test', 'prod', 'first')});
is(there(q{SELECT count(*) FROM prod.person}), there(q{SELECT count(*) FROM input.crm}), 'promoted, loaded and run there');
is(good(qq{SELECT state || ' ' || source || ' ' || target FROM releases WHERE release_id = $first}), 'promoted test prod', 'the release is in the list here');
is(good(q{SELECT count(*) FROM diff('test', 'prod')}), '0', 'no difference is left');
is(good(q{SELECT count(*) FROM verify_audit('prod')}), '0', 'the log here is whole');

good(q{SELECT add_check('test', 'person', 'nobody', 'SELECT id, name FROM person', severity => 'error')});
my $error = bad(q{SELECT promote('test', 'prod', 'stopped')});
like($error, qr/environment "prod" is stopped by 1 failed check/, 'a gate there stops it');
like($error, qr/person.nobody: 100 rows.*So says database "postgres" of server "factory"/s, 'and says so here');
is(good(q{SELECT row_count || ' ' || coalesce(sample::text, 'no sample') FROM check_results WHERE environment = 'prod' AND NOT passed}), '100 no sample', 'its result is here, the rows that it found are not');
is(there(q{SELECT count(*) FROM mastering.release WHERE state = 'failed' AND message = 'stopped'}), '1', 'the failure is on record there');
is(state('stopped'), 'failed', 'and here');
like(good(q{SELECT detail FROM plan('test', 'prod') WHERE subject = 'entity/person/check/nobody' AND action = 'check'}), qr/failed last time: 100 rows/, 'the next plan shows it');
good(q{SELECT drop_check('test', 'person', 'nobody')});

change();
my $second = good(q{SELECT promote('test', 'prod', 'second')});
my $with_second = prod();
my $undo = good(q{SELECT rollback('prod', reason => 'back')});
isnt(prod(), $with_second, 'rolled back there');
is(good(qq{SELECT state FROM releases WHERE release_id = $second}), 'rolled back', 'the list here says so');
like(bad(q{SELECT promote('test', 'prod', 'second again')}), qr/was rolled back and is held/, 'held there');
good(qq{SELECT release_hold('prod', $second)});
good(q{SELECT promote('test', 'prod', 'second again')});
is(applied('second again'), '1', 'released from here, and promoted again');

# ---- the connection is cut ------------------------------------------------------------------------------------------

# Promotes in a session of its own; when the other side is where we want it, something happens there or here.
sub start_promotion
{
	my ($message, $call) = @_;
	$call //= "SELECT mastering.promote('test', 'prod', '$message')";
	my $run = { out => '', err => '' };
	$run->{psql} = IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--dbname', $here->connstr('postgres'), '--file', '-'],
		'<', \"SET ROLE otto; SELECT 'pid', pg_backend_pid();\n$call;\nSELECT 'done';\n", '>', \$run->{out}, '2>', \$run->{err});
	$run->{psql}->pump until $run->{out} =~ /pid\|(\d+)/ || !$run->{psql}->pumpable;
	($run->{pid}) = $run->{out} =~ /pid\|(\d+)/;
	return $run;
}

sub finish
{
	my ($run) = @_;
	$run->{psql}->finish;
	return $run->{err};
}

my $busy = q{application_name = 'mastering' AND state = 'active' AND query LIKE '%receive_release%' AND wait_event_type = 'Lock' AND wait_event = 'advisory'};
sub wait_for_check { $there->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $busy") or die 'no check waits'; return; }

# A call that goes on until nobody is at work there any more.
sub until_done
{
	my ($sql) = @_;
	foreach my $try (1 .. 120)
	{
		my ($rc, $out, $err) = as_role($here, 'otto', $sql);
		return ($out, $err) if $rc == 0;
		die "$sql: $err" if $err !~ /still being worked on|being changed by another session/;
		usleep(250_000);
	}
	die "$sql: never";
}

# 1. The backend there is ended while it works.
change();
$before = prod();
hold();
my $run = start_promotion('cut 1');
wait_for_check();
there("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $busy");
$error = finish($run);
like($error, qr/the connection to environment "prod" was lost: release \d+ did not come through/, 'backend there ended: it did not come through');
is(prod(), $before, 'prod is as it was');
is(state('cut 1'), 'failed', 'the record here says so');
let_go();
good(q{SELECT promote('test', 'prod', 'cut 1')});
is(applied('cut 1'), '1', 'and the same call works');

# 2. The server there goes down while it works.
change();
$before = prod();
hold();
$run = start_promotion('cut 2');
wait_for_check();
$there->stop('immediate');
$error = finish($run);
like($error, qr/the connection to environment "prod" was lost: release \d+ did not come through/, 'server there down: what was not told to commit did not come through');
is(state('cut 2'), 'failed', 'the record says so');
like(good(q{SELECT string_agg(subject || ' ' || state, '; ') FROM remote_status('prod')}), qr/^connection none$/, 'remote_status says that it cannot be reached');
like(bad(q{SELECT promote('test', 'prod', 'cut 2')}), qr/could not reach environment "prod" by server "factory"/, 'a promotion is refused');
$there->start;
is(prod(), $before, 'prod is as it was');
let_go();
good(q{SELECT promote('test', 'prod', 'cut 2')});
is(applied('cut 2'), '1', 'the same call works');

# 3. The session here is ended while the other works: there is nobody to answer to.
change();
$before = prod();
hold();
$run = start_promotion('cut 3');
wait_for_check();
like(good(q{SELECT state || ' ' || detail FROM remote_status('prod') WHERE subject LIKE 'release%'}), qr/^sent a session here is at work on it$/, 'who only looks does not make it void');
$here->safe_psql('postgres', "SELECT pg_terminate_backend($run->{pid})");
finish($run);
is(state('cut 3'), 'sent', 'session here ended: the release was written down before it was sent');
let_go();
until_done(q{SELECT promote('test', 'prod', 'cut 3')});
is(applied('cut 3'), '1', 'the same call works, and it is applied once');
is(state('cut 3'), 'failed,promoted', 'the first one is settled, the second took effect');

# 4. Committed there, and the server is gone before it could say so: commit waits for a standby that is not there.
sub lose_commit
{
	my ($message) = @_;
	hold();
	my $started = start_promotion($message);
	wait_for_check();
	$there->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
	$there->reload;
	usleep(500_000);
	let_go();
	$there->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'mastering' AND wait_event = 'SyncRep'}) or die 'no commit waits';
	$there->stop('immediate');
	my $said = finish($started);
	$there->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
	$there->start;
	return $said;
}
change();
$before = prod();
$error = lose_commit('cut 4');
like($error, qr/it is not known whether release \d+ came through/, 'server there down in the commit: not known');
isnt(prod(), $before, 'it had come through');
is(state('cut 4'), 'unknown', 'the record says that it is not known');
$there->stop;
like(good(q{SELECT string_agg(subject || ' ' || state, '; ') FROM remote_status('prod')}), qr/^connection none; release \d+ unknown$/, 'and stays so while nobody can be asked');
$there->start;
my ($id, $notice) = until_done(q{SELECT promote('test', 'prod', 'cut 4')});
like($notice, qr/release $id had come through; it is written down now and not applied again/, 'the same call finds it, and applies nothing');
is(state('cut 4'), 'promoted', 'and completes the record');
is(applied('cut 4'), '1', 'once');

# 5. The same, found by remote_status.
change();
lose_commit('cut 5');
like(good(q{SELECT string_agg(state || ' ' || detail, '; ') FROM remote_status('prod') WHERE subject LIKE 'release%'}), qr/^promoted came through, as release \d+ there$/, 'remote_status finds it');
is(state('cut 5') . ' ' . applied('cut 5'), 'promoted 1', 'the record is complete');
is(good(q{SELECT count(*) FROM diff('test', 'prod')}), '0', 'and the two agree');

# 6. The session here, and whoever writes its record, are ended after the commit there.
change();
hold();
$run = start_promotion('cut 6');
wait_for_check();
my $holder = $here->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE mastering.remote_release IN EXCLUSIVE MODE');
let_go();
$there->poll_query_until('postgres', q{SELECT count(*) = 1 FROM mastering.release WHERE message = 'cut 6' AND state = 'promoted'}) or die 'not promoted';
$here->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'mastering failure record' AND wait_event_type = 'Lock'}) or die 'nobody writes';
$here->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'mastering failure record' OR pid = $run->{pid}");
finish($run);
$holder->quit;
is(state('cut 6') . ' ' . applied('cut 6'), 'sent 1', 'session here ended after the commit there: sent, as far as is known here');
($id, $notice) = until_done(q{SELECT promote('test', 'prod', 'cut 6')});
like($notice, qr/had come through/, 'the same call finds it');
is(state('cut 6') . ' ' . applied('cut 6'), 'promoted 1', 'once');

# 7. A rollback whose answer is lost is not done twice: that would go back two releases.
change();
good(q{SELECT promote('test', 'prod', 'kept')});
my $kept = prod();
change();
good(q{SELECT promote('test', 'prod', 'undone')});
# Nothing sleeps in a rollback: the view of the head row is locked instead.
my $blocker = $there->background_psql('postgres');
$blocker->query_safe(q{BEGIN; LOCK TABLE mastering.release_token IN EXCLUSIVE MODE});
$run = start_promotion('', q{SELECT mastering.rollback('prod', reason => 'cut 7')});
$there->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'mastering' AND wait_event_type = 'Lock'}) or die 'no rollback waits';
$there->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$there->reload;
usleep(500_000);
$blocker->query_safe('ROLLBACK');
$there->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'mastering' AND wait_event = 'SyncRep'}) or die 'no commit waits';
$there->stop('immediate');
like(finish($run), qr/it is not known whether release \d+ came through/, 'rollback: not known');
eval { $blocker->quit };
$there->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$there->start;
($id, $notice) = until_done(q{SELECT rollback('prod', reason => 'cut 7')});
like($notice, qr/had come through/, 'the same call finds it');
is(there(q{SELECT count(*) FROM mastering.release WHERE kind = 'rollback' AND message = 'cut 7'}), '1', 'it is done once');
is(there(q{SELECT tree = (SELECT tree FROM mastering.snapshot WHERE hash = (SELECT snapshot_after FROM mastering.release WHERE message = 'kept')) FROM mastering.configuration WHERE environment = 'prod'}), 't', 'and goes back one release');
is(good(q{SELECT state FROM releases WHERE message = 'undone'}), 'rolled back', 'the list here says so');

# 8. A time-out here, and a transaction here that is rolled back.
change();
$before = prod();
hold();
my $began = time;
$error = bad(q{SET statement_timeout = '2s'; SELECT promote('test', 'prod', 'too long')});
like($error, qr/canceling statement due to statement timeout/, 'cancelled here');
is(state('too long'), 'failed', 'the record says that it did not come through');
ok(time - $began < 20, 'without waiting for the other side');
is(prod(), $before, 'nothing of it is there');
$there->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE $busy") or die 'still there';
pass('nor is anybody at work on it');
let_go();
good(q{BEGIN; SELECT promote('test', 'prod', 'kept in mind'); ROLLBACK});
is(state('kept in mind') . ' ' . applied('kept in mind'), 'promoted 1', 'a transaction here that is rolled back takes nothing back, and forgets nothing');

# 9. No worker to write it down: it is not sent.
change();
$before = prod();
$here->append_conf('postgresql.conf', "max_worker_processes = 0\n");
$here->restart;
like(bad(q{SELECT promote('test', 'prod', 'unwritten')}), qr/cannot be written down, so it is not sent/, 'what cannot be recorded is not sent');
is(prod(), $before, 'prod is as it was');
$here->append_conf('postgresql.conf', "max_worker_processes = 16\n");
$here->restart;

# 10. And at moments that nobody chose, from before the connection to after the record: what is not known to have come
# through is called again, and everything is there once.
my ($through, $again) = (0, 0);
foreach my $side ('there', 'here')
{
	my @wrong;
	foreach my $try (1 .. 9)
	{
		my $message = "random $side $try";
		change();
		$run = start_promotion($message);
		usleep($try * $try * 12_000);
		$here->safe_psql('postgres', "SELECT pg_terminate_backend($run->{pid})") if $side eq 'here';
		there(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mastering' AND backend_type = 'client backend'}) if $side eq 'there';
		finish($run);
		if (state($message) =~ /promoted/) { $through++; }
		else { until_done("SELECT promote('test', 'prod', '$message')"); $again++; }
		push @wrong, "$message: " . applied($message) . ' there, ' . state($message) . ' here' if applied($message) ne '1' || state($message) !~ /^(failed,)*promoted$/;
	}
	is("@wrong", '', "cut $side at any moment: each release is there once, and both sides know");
}
note("$through came through, $again were called again");
is(good(q{SELECT count(*) FROM diff('test', 'prod')}), '0', 'the two agree');
is(good(q{SELECT count(*) FROM remote_releases WHERE state IN ('sent', 'unknown')}), '0', 'no question is open');

# ---- approvals and versions -----------------------------------------------------------------------------------------

there(q{SELECT mastering.set_policy('prod', 'approvals', '{"count": 1, "roles": ["reviewer"], "identity": "role"}'); SELECT mastering.grant_role('prod', 'reviewer', 'rita')});
$error = bad(q{SELECT promote('test', 'prod', 'to be approved')});
like($error, qr/release \d+ of environment "prod" waits for approval.*where it is release/s, 'a policy there asks for approval');
is(state('to be approved'), 'waiting', 'the release waits');
like(good(q{SELECT action || ' ' || detail FROM plan('test', 'prod') WHERE action = 'approve'}), qr/approve 1 of rita/, 'the plan says for whom');
my $waiting = $here->safe_psql('postgres', q{SELECT remote_release FROM mastering.remote_release WHERE state = 'waiting'});
there("SET ROLE rita; SELECT mastering.approve($waiting)");
my $number_here = $here->safe_psql('postgres', q{SELECT release_id FROM mastering.remote_release WHERE state = 'waiting'});
is(good("SELECT promote_release($number_here)"), $number_here, 'approved there, promoted from here, under the same number');
is(state('to be approved'), 'promoted', 'the record says so');
is(there("SELECT state FROM mastering.release WHERE release_id = $waiting"), 'promoted', 'and there');
change();
bad(q{SELECT promote('test', 'prod', 'promoted there')});
$waiting = $here->safe_psql('postgres', q{SELECT remote_release FROM mastering.remote_release WHERE state = 'waiting'});
there("SET ROLE rita; SELECT mastering.approve($waiting); RESET ROLE; SELECT mastering.promote_release($waiting)");
like(good(q{SELECT state FROM remote_status('prod') WHERE subject LIKE 'release%'}), qr/^promoted$/, 'what somebody there promoted is found');
there(q{SELECT mastering.set_policy('prod', 'approvals', 0)});

change();
my $revision = there(q{SELECT mastering.engine_revision()});
my $engine = there(q{SELECT pg_get_functiondef('mastering.engine_revision()'::regprocedure)});
there(q{CREATE OR REPLACE FUNCTION mastering.engine_revision() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT '99, ' || mastering.normalize_versions() $$});
like(good(q{SELECT subject || ' ' || detail || ' ' || blocked FROM plan('test', 'prod') WHERE action = 'compare'}), qr/^engine \d+, ICU .* here, 99, ICU .* there: results may differ true$/, 'another engine there is in the plan');
like(bad(q{SELECT promote('test', 'prod', 'other engine')}), qr/may give other results.*accept_differences/s, 'and refused');
like(good(q{SELECT accept_differences('prod', 'trying version 99')}), qr/"engine"/, 'unless accepted');
good(q{SELECT promote('test', 'prod', 'other engine')});
is(applied('other engine'), '1', 'then it goes');
there(q{CREATE OR REPLACE FUNCTION mastering.engine_revision() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT '100, ' || mastering.normalize_versions() $$});
like(bad(q{SELECT promote('test', 'prod', 'yet another')}), qr/may give other results/, 'another difference has to be accepted anew');
there($engine);
is(there(q{SELECT mastering.engine_revision()}), $revision, 'the engine there is as it was');

# ---- the other way ----------------------------------------------------------------------------------------------------

$there->safe_psql('postgres', q{
	SET ROLE app;
	SELECT mastering.create_environment('lab');
	SELECT mastering.define_entity('lab', 'person', '{"name": "text", "email": "text"}');
	SELECT mastering.map_source('lab', 'person', 'crm', 'input.crm', 'id');
	SELECT mastering.set_survivorship('lab', 'person', '{"default": "longest"}');
});
good(q{SELECT create_environment('lab', server => 'factory'); SELECT create_environment('copy', promotes_from => 'lab')});
like(good(q{SELECT string_agg(subject, ' ' ORDER BY step) FROM plan('lab', 'copy') WHERE action = 'change configuration'}), qr/^entity\/person entity\/person\/source\/crm entity\/person\/survivorship$/, 'the plan of a promotion from there');
good(q{SELECT promote('lab', 'copy', 'from there')});
is(good(q{SELECT count(*) FROM diff('lab', 'copy')}), '0', 'promoted from there');
$there->safe_psql('postgres', q{SET ROLE app; SELECT mastering.set_survivorship('lab', 'person', '{"default": "most_frequent"}')});
is(good(q{SELECT path FROM diff('lab', 'copy')}), 'entity/person/survivorship', 'a change there is seen here');
good(q{SELECT promote('lab', 'copy', 'again')});
is(good(q{SELECT export_config('copy') #>> '{artifacts,entity/person/survivorship,default}'}), 'most_frequent', 'and promoted');
like(bad(q{SELECT set_survivorship('lab', 'person', '{"default": "longest"}')}), qr/environment "lab" lives in another database/, 'a stand-in is not changed here');
like(bad(q{SELECT * FROM load('prod', 'person')}), qr/environment "prod" lives in another database/, 'nor loaded');

# ---- another database of the same server, with rows --------------------------------------------------------------------

$here->safe_psql('postgres', 'CREATE DATABASE trial');
$here->safe_psql('trial', 'CREATE EXTENSION mastering');
my ($own_host, $own_port) = ($here->host, $here->port);
$here->safe_psql('postgres', qq{CREATE SERVER trial FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '$own_host', port '$own_port', dbname 'trial'); CREATE USER MAPPING FOR postgres SERVER trial OPTIONS (user 'postgres')})
  if $here->safe_psql('postgres', 'SELECT current_user') eq 'postgres';
my $super = $here->safe_psql('postgres', 'SELECT current_user');
$here->safe_psql('postgres', qq{CREATE SERVER trial FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '$own_host', port '$own_port', dbname 'trial'); CREATE USER MAPPING FOR $super SERVER trial OPTIONS (user '$super')}) if $super ne 'postgres';
$here->safe_psql('postgres', q{INSERT INTO input.crm VALUES (1000, E'quote '' back \\\\ tab \t "q" {b} ', NULL), (1001, '', 'Žluťoučký@example.org');
	DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE input.crm ' || string_agg(format('ADD more%s int DEFAULT %1$s', n), ', ') FROM generate_series(1, 110) n); END $$;
	SELECT count(*) FROM mastering.load('test', 'person'); SELECT mastering.master('test', 'person')});
$here->safe_psql('postgres', q{SELECT mastering.create_environment('trial', promotes_from => 'test', server => 'trial')});
my ($rc, $out, $err) = $here->psql('postgres', q{SELECT mastering.promote('test', 'trial', 'without rows')});
like($err, qr/source "crm" of entity "person" is bound to no relation in environment "trial"/, 'where there are no rows, it says so');
$here->safe_psql('postgres', q{SELECT mastering.drop_check('test', 'person', 'in time')});
$here->safe_psql('postgres', q{SELECT mastering.promote('test', 'trial', 'with rows', what => 'data')});
my $rows = q{SELECT md5(string_agg(name || '|' || coalesce(email, 'null'), ',' ORDER BY name COLLATE "C", email COLLATE "C")) FROM };
is($here->safe_psql('trial', "$rows trial.person"), $here->safe_psql('postgres', "$rows test.person"), 'rows were sent, loaded and run: the golden records are the same');
is($here->safe_psql('trial', q{SELECT relation || ' ' || content FROM mastering.stand_in s, jsonb_to_record(s.landing -> 'person/crm') l (relation text, content text)}) =~ /^test.person_crm 102:/ ? 1 : 0, 1, 'where they landed');
$here->safe_psql('postgres', q{DELETE FROM input.crm WHERE id = 1000; UPDATE input.crm SET name = 'changed' WHERE id = 1001;
	SELECT count(*) FROM mastering.load('test', 'person'); SELECT mastering.master('test', 'person')});
is($here->safe_psql('trial', 'SELECT count(*) FROM test.person_crm WHERE more1 = 1 AND more110 = 110'), '102', 'more columns than a function has arguments');
# Cut while rows are sent: somebody reads the table that they go to.
my $reader = $here->background_psql('trial');
$reader->query_safe('BEGIN; LOCK TABLE test.person_crm IN ACCESS SHARE MODE');
$before = $here->safe_psql('trial', q{SELECT mastering.state_hash(mastering.current_state('trial')) || (SELECT landing FROM mastering.stand_in WHERE environment = 'test')});
$run = start_promotion('cut 10', q{RESET ROLE; SELECT mastering.promote('test', 'trial', 'cut 10', what => 'data')});
my $sending = q{application_name = 'mastering' AND datname = 'trial' AND wait_event_type = 'Lock'};
$here->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $sending") or die 'no rows wait';
$here->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $sending");
like(finish($run), qr/the connection to environment "trial" was lost: no release was sent/, 'cut while rows are sent: no release');
$reader->quit;
is(state('cut 10'), '', 'none is written down');
is($here->safe_psql('trial', q{SELECT mastering.state_hash(mastering.current_state('trial')) || (SELECT landing FROM mastering.stand_in WHERE environment = 'test')}), $before, 'the rows there are as they were');
$here->safe_psql('postgres', q{SELECT mastering.promote('test', 'trial', 'with new rows', what => 'data')});
is($here->safe_psql('trial', "$rows trial.person"), $here->safe_psql('postgres', "$rows test.person"), 'and again with other rows');
is($here->safe_psql('trial', q{SELECT count(*) FROM mastering.audit_log WHERE action = 'receive rows'}), '2', 'twice');
$here->safe_psql('postgres', q{SELECT mastering.promote('test', 'trial', 'same rows', what => 'data')});
is($here->safe_psql('trial', q{SELECT count(*) FROM mastering.audit_log WHERE action = 'receive rows'}), '2', 'the same rows are not sent again');

like($here->safe_psql('trial', q{SELECT string_agg(place || ' ' || touched, ', ') FROM mastering.erase('person', 'crm', '7', 'asked for it')}), qr/\btest.person_crm 1\b/, 'erased there, also from the rows that were sent');
is($here->safe_psql('trial', q{SELECT count(*) FROM test.person_crm WHERE id = 7}), '0', 'which have it no more');

# A database that has an older version.
$here->safe_psql('postgres', 'CREATE DATABASE old');
$here->safe_psql('old', q{CREATE EXTENSION mastering VERSION '0.1.0'});
$here->safe_psql('postgres', qq{CREATE SERVER old FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '$own_host', port '$own_port', dbname 'old'); CREATE USER MAPPING FOR $super SERVER old OPTIONS (user '$super')});
($rc, $out, $err) = $here->psql('postgres', q{SELECT mastering.create_environment('old', promotes_from => 'test', server => 'old')});
like($err, qr/has a version without environments in other databases.*ALTER EXTENSION mastering UPDATE/s, 'an older version there is told so');
$here->safe_psql('old', 'ALTER EXTENSION mastering UPDATE');
$here->safe_psql('postgres', q{SELECT mastering.create_environment('old', promotes_from => 'test', server => 'old')});
is($here->safe_psql('old', q{SELECT promotes_from FROM mastering.environment WHERE name = 'old'}), 'test', 'and will do after an update');

# ---- who may --------------------------------------------------------------------------------------------------------------

good(q{SELECT grant_role('prod', 'admin', 'bob'), grant_role('test', 'admin', 'bob')});
change();
like(bad(q{SELECT promote('test', 'prod', 'by bob')}, 'bob'), qr/permission denied for foreign server factory/, 'no right on the server');
$here->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER factory TO bob');
like(bad(q{SELECT promote('test', 'prod', 'by bob')}, 'bob'), qr/role "bob" has no user mapping for server "factory"/, 'no mapping of his own: neither that of the extension\'s owner nor otto\'s is taken');
$here->safe_psql('postgres', qq{CREATE USER MAPPING FOR $super SERVER factory OPTIONS (user '$super')});
like(bad(q{SELECT promote('test', 'prod', 'by bob')}, 'bob'), qr/role "bob" has no user mapping/, 'not even when the owner of the extension has one');
$here->safe_psql('postgres', "CREATE USER MAPPING FOR bob SERVER factory OPTIONS (user '$super')");
like(bad(q{SELECT promote('test', 'prod', 'by bob')}, 'bob'), qr/could not reach .*password/s, 'without a password he does not get in, although that server would let the system user in');
$here->safe_psql('postgres', qq{ALTER USER MAPPING FOR bob SERVER factory OPTIONS (SET user 'weak', ADD password '$secret')});
like(bad(q{SELECT promote('test', 'prod', 'by bob')}, 'bob'), qr/permission denied for environment "test"/, 'and there he is whom the mapping names');
like(bad(q{SELECT rollback('prod')}, 'bob'), qr/permission denied for environment "prod"/, 'who may roll back nothing');
is($here->safe_psql('postgres', q{SELECT state || ' ' || (error ->> 'sqlstate') FROM mastering.remote_release ORDER BY release_id DESC LIMIT 1}), 'failed 42501', 'which is a failure and no lost connection');
like(bad(q{SELECT * FROM diff('test', 'prod')}, 'bob'), qr/permission denied for environment "prod"/, 'nor look');
is(applied('by bob'), '0', 'nothing of it came through');
# Text of bob's that a superuser runs.
$here->safe_psql('postgres', q{SET ROLE bob; CREATE FUNCTION pg_temp.dummy() RETURNS int LANGUAGE sql AS 'SELECT 1'});
$here->safe_psql('postgres', q{GRANT CREATE ON SCHEMA public TO bob; SET ROLE bob; CREATE FUNCTION public.trap() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT mastering.promote('test', 'prod', 'trap')::text $$});
($rc, $out, $err) = $here->psql('postgres', 'SELECT public.trap()');
like($err, qr/permission denied for environment "test".*Role "weak"/s, 'a function of bob\'s that a superuser calls connects as bob\'s mapping says');
is(applied('trap'), '0', 'nothing of it came through');
# A connection of one's own name is no way in, and none stays open.
is(good(q{SELECT links.dblink_get_connections() IS NULL}), 't', 'no connection stays open');
is(good(q{SELECT count(*) FROM plan('test', 'prod'); SELECT links.dblink_get_connections() IS NULL}) =~ /\nt$/ ? 1 : 0, 1, 'nor after a call');
my ($rc2, $out2, $err2) = $here->psql('postgres', q{SET ROLE bob; SELECT mastering.promote('test', 'prod', 'by bob'); SELECT 'open: ' || coalesce(links.dblink_get_connections()::text, 'none')}, on_error_stop => 0);
is($out2, 'open: none', 'nor after an error');

# What another database may call is refused to who has no rights, and to who has another link.
sub stranger { my ($sql, $role) = @_; my ($rc, $out, $err) = as_role($there, $role // 'rita', $sql); return $rc == 0 ? "no error: $out" : $err; }
my $link = there(q{SELECT link FROM mastering.stand_in WHERE environment = 'test'});
like(stranger("SELECT receive_bundle('test', '$link', export_bundle('test'))"), qr/permission denied for environment "test"/, 'bundles');
like(stranger(q{SELECT receive_release(gen_random_uuid(), '{"kind": "rollback", "target": "prod", "what": "config"}')}), qr/permission denied for environment "prod"/, 'releases');
like(stranger(q{SELECT settle_release(gen_random_uuid(), 'prod')}), qr/permission denied for environment "prod"/, 'tokens');
like(stranger("SELECT receive_rows('test', '$link', 'person/crm', 'begin', '{}')"), qr/permission denied for environment "test"/, 'rows');
like(stranger(q{SELECT receive_plan('test', 'lab')}), qr/permission denied for environment "lab"/, 'plans');
like(stranger(q{SELECT receive_environment('own', NULL, NULL, gen_random_uuid(), '{}')}), qr/permission denied to create an environment/, 'environments');
like(stranger(q{SELECT receive_bundle('test', gen_random_uuid(), export_bundle('prod'))}, 'app'), qr/takes from another sender/, 'another link');
like(stranger(qq{SELECT receive_bundle('test', '$link', jsonb_set(export_bundle('prod'), '{artifacts,entity/person/survivorship}', '{"default": "longest"}'))}, 'app'), qr/not what its hash says/, 'a bundle that was tampered with');
like(stranger(qq{SELECT receive_bundle('test', '$link', b || jsonb_build_object('hash', mastering.json_hash(jsonb_build_object('artifacts', b -> 'artifacts', 'bindings', b -> 'bindings'))))
	FROM (SELECT jsonb_set(export_bundle('prod'), '{artifacts,entity/person/source/crm,mapping,name}', '"1) FROM pg_authid --"') AS b) q}, 'app'), qr/artifact "entity\/person\/source\/crm" of the bundle is refused/, 'text that is no expression');
like(stranger(q{SELECT set_survivorship('test', 'person', '{"default": "longest"}')}, 'app'), qr/environment "test" lives in another database/, 'the stand-in there is not changed there');

# Nothing secret is stored, shown or logged by us.
unlike($here->safe_psql('postgres', q{SELECT string_agg(to_jsonb(s)::text, ' ') FROM mastering.stand_in s}) . $here->safe_psql('postgres', q{SELECT string_agg(to_jsonb(r)::text, ' ') FROM mastering.remote_release r})
	. $here->safe_psql('postgres', q{SELECT string_agg(to_jsonb(a)::text, ' ') FROM mastering.audit_entry a}) . good(q{SELECT string_agg(p::text, ' ') FROM plan('test', 'prod') p}), qr/\Q$secret\E/, 'no password in tables, log of changes or plans');
unlike(join('', grep { !/USER MAPPING/ } split(/\n/, slurp_file($here->logfile))), qr/\Q$secret\E/, 'nor in the server\'s log');

is(good(q{SELECT count(*) FROM verify_audit('prod')}), '0', 'the log here is whole');
is(there(q{SELECT count(*) FROM mastering.verify_audit()}), '0', 'and there');
like((as_role($here, 'otto', q{SELECT drop_environment('copy'); SELECT drop_environment('lab')}))[2], qr/environment "lab" stays in the database of server "factory"/, 'a stand-in is dropped, its environment stays');
is(there(q{SELECT count(*) FROM mastering.environment WHERE name = 'lab'}), '1', 'it is there');
$here->stop;
$there->stop;
done_testing();
