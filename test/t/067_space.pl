# Garbage collection beside readers: whoever sees an old state goes on seeing it, wherever they are and in whatever way they
# read; where nobody can know of a reader it gets an error, never another state. Writers and gc take turns.
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
$primary->append_conf('postgresql.conf', "autovacuum = off\nrestart_after_crash = on\n");
$primary->start;
make_stages($primary);
my $everything = q{keep => 0, keep_for => '0', keep_unused => '0', max_segments => 10000};
my $state = q{(SELECT count(*) || ' ' || sum(records) FROM prod.person) || ' ' || (SELECT count(*) || md5(string_agg(r::text, ',' ORDER BY source, record_key)) FROM prod.person_records r) || (SELECT count(*) FROM prod.person_lineage)};

# Another state of prod in other segments; what it showed before is in no snapshot.
my $round = 0;
sub move_on
{
	$round++;
	change_data($primary, $round);
	$primary->safe_psql('postgres', qq{SET client_min_messages = error;
		SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.master('prod', 'person'); SELECT count(*) FROM mastering.compact('prod', everything => true);
		SELECT count(*) FROM mastering.load('dev', 'person'); SELECT mastering.master('dev', 'person'); SELECT count(*) FROM mastering.compact('dev', everything => true);
		SELECT count(*) FROM mastering.load('test', 'person'); SELECT mastering.master('test', 'person'); SELECT count(*) FROM mastering.compact('test', everything => true);});
	return;
}
sub collect { return $primary->safe_psql('postgres', "SELECT coalesce(sum(number) FILTER (WHERE note = 'freed'), 0), coalesce(sum(number) FILTER (WHERE note ~ 'still seen'), 0), coalesce(sum(number) FILTER (WHERE note ~ 'locked'), 0) FROM mastering.gc(false, $everything)"); }
sub freed { return (split /\|/, $_[0])[0]; }
sub seen { return (split /\|/, $_[0])[1]; }
sub locked { return (split /\|/, $_[0])[2]; }

# Promotions have left snapshots, which the first collections remove.
move_on();
collect();

# ---- a transaction that keeps its snapshot, and has not read yet what it will read --------------------------------
my $repeatable = $primary->background_psql('postgres', on_error_stop => 0);
my $before = $primary->safe_psql('postgres', "SELECT $state");
$repeatable->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$repeatable->query_safe('SELECT 1');
move_on();
move_on();
my $now = $primary->safe_psql('postgres', "SELECT $state");
isnt($now, $before, 'prod shows another state');
my $result = collect();
cmp_ok(seen($result), '>=', 5, "REPEATABLE READ: gc leaves what an open transaction sees, as VACUUM would ($result)");
is($repeatable->query_safe("SELECT $state"), $before, 'the transaction reads its state');
is(seen(collect()), seen($result), 'gc leaves it again, now that it is locked, too');
is($repeatable->query_safe("SELECT $state"), $before, 'and the transaction reads it again');
$repeatable->query_safe('COMMIT');
cmp_ok(freed(collect()), '>=', 5, 'after its end it is freed');
is($repeatable->query_safe("SELECT $state"), $now, 'and the session reads the new state');

# ---- a head of before whose long value VACUUM has begun to remove ----------------------------------------------------
# The parts of a long value lie in a table of their own and may go before the row. Here one reader keeps the row, and the parts are removed
# by force; a VACUUM between the end of a reader and the next look at the row does the same.
SKIP:
{
	skip 'pg_surgery is not installed', 4 unless $primary->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_surgery'});
	$primary->safe_psql('postgres', q{CREATE EXTENSION pg_surgery; ALTER TABLE mastering.head ALTER versions SET STORAGE EXTERNAL; ALTER TABLE mastering.head SET (toast_tuple_target = 128)});
	my $parts = $primary->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'mastering.head'::regclass});
	move_on();
	$primary->safe_psql('postgres', "CREATE TABLE public.parts AS SELECT ctid AS part FROM $parts");
	cmp_ok($primary->safe_psql('postgres', 'SELECT count(*) FROM public.parts'), '>', 0, 'heads have long values');
	$repeatable->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$repeatable->query_safe('SELECT 1');
	move_on();
	my $heads = $primary->safe_psql('postgres', 'SELECT count(*) FROM mastering.reachable_heads()');
	$primary->safe_psql('postgres', "SELECT heap_force_kill('$parts', array_agg(part)) FROM public.parts p WHERE NOT EXISTS (SELECT FROM $parts t WHERE t.ctid = p.part)");
	my $left = $primary->safe_psql('postgres', 'SELECT count(*) FROM mastering.reachable_heads()');
	cmp_ok($left, '<', $heads, 'a head whose value is gone is not listed');
	cmp_ok($left, '>=', $primary->safe_psql('postgres', 'SELECT count(*) FROM mastering.head'), 'the heads in force are');
	like(collect(), qr/^\d+\|\d+\|\d+$/, 'and gc works');
	$repeatable->query_safe('COMMIT');
	$primary->safe_psql('postgres', q{ALTER TABLE mastering.head RESET (toast_tuple_target); ALTER TABLE mastering.head ALTER versions SET STORAGE EXTENDED; DROP TABLE public.parts; DROP EXTENSION pg_surgery});
	move_on();
	collect();
	$now = $primary->safe_psql('postgres', "SELECT $state");
}

# ---- an old transaction that would write ---------------------------------------------------------------------------
$repeatable->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$repeatable->query_safe('SELECT count(*) FROM prod.person');
collect();
$repeatable->{stderr} = '';
$repeatable->query("SELECT mastering.snapshot('prod')");
like($repeatable->{stderr}, qr/could not serialize access/, 'a writer whose snapshot is older than a collection starts anew');
$repeatable->{stderr} = '';
$repeatable->query_safe('ROLLBACK');

# ---- cursors and prepared statements -------------------------------------------------------------------------------
my $cursor = $primary->background_psql('postgres');
my $rows = $primary->safe_psql('postgres', 'SELECT count(*) FROM prod.person_records');
$cursor->query_safe('SET plan_cache_mode = force_generic_plan');
$cursor->query_safe("PREPARE p AS SELECT $state");
is($cursor->query_safe('EXECUTE p'), $now, 'a prepared statement');
$cursor->query_safe('BEGIN');
$cursor->query_safe('DECLARE c CURSOR FOR SELECT source, record_key FROM prod.person_records');
$cursor->query_safe('FETCH 5 FROM c');
$cursor->query_safe('DECLARE d CURSOR FOR SELECT id FROM prod.person');
move_on();
move_on();
$result = collect();
cmp_ok(seen($result) + locked($result), '>=', 2, "gc leaves what an open cursor reads ($result)");
my @fetched = split /\n/, $cursor->query_safe('FETCH ALL FROM c');
is(scalar(@fetched), $rows - 5, 'the cursor reads on to its end');
cmp_ok(scalar(split /\n/, $cursor->query_safe('FETCH ALL FROM d')), '>', 100, 'one that had read nothing yet, too');
$cursor->query_safe('COMMIT');
cmp_ok(freed(collect()), '>=', 2, 'after its end it is freed');
is($cursor->query_safe('EXECUTE p'), $primary->safe_psql('postgres', "SELECT $state"), 'and the prepared statement shows the new state');

# ---- writers take turns with gc ------------------------------------------------------------------------------------
my $writer = $primary->background_psql('postgres');
$writer->query_safe('BEGIN');
$writer->query_safe("SELECT mastering.snapshot('prod')");
my ($rc, $out, $err) = $primary->psql('postgres', "SELECT count(*) FROM mastering.gc(false)");
like($err, qr/environments are being changed by other sessions/, 'gc says that others are at work');
is($primary->safe_psql('postgres', 'SELECT count(*) >= 0 FROM mastering.gc()'), 't', 'a dry run waits for nobody');
$writer->query_safe('ROLLBACK');
$writer->query_safe('BEGIN');
$writer->query_safe('SELECT count(*) FROM mastering.gc(false)');
is($primary->safe_psql('postgres', "SELECT $state"), $cursor->query_safe('EXECUTE p'), 'readers wait for nobody');
($rc, $out, $err) = $primary->psql('postgres', "SELECT mastering.snapshot('prod')");
like($err, qr/space is being freed by another session/, 'a writer says that gc is at work, after a while');
$writer->query_safe('ROLLBACK');

# ---- what is rolled back was not removed -----------------------------------------------------------------------------
move_on();
my $checks = q{SELECT count(*), bool_and(mastering.segment_hash(segment_id) = hash) FROM mastering.segment};
my $segments = $primary->safe_psql('postgres', $checks);
$primary->safe_psql('postgres', "BEGIN; SELECT count(*) FROM mastering.gc(false, $everything); ROLLBACK");
is($primary->safe_psql('postgres', $checks), $segments, 'a collection that is rolled back has removed nothing');
$_->quit for $repeatable, $cursor, $writer;    # the server takes all sessions down with the one that is killed
my $gc = IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--dbname', $primary->connstr('postgres'), '--command', "BEGIN", '--command', "SELECT count(*) FROM mastering.gc(false, $everything)", '--command', 'SELECT pg_sleep(60)'], '>', \my $gc_out, '2>', \my $gc_err);
ok($primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()"), 'a collection stands before its commit');
kill 'KILL', $primary->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND wait_event = 'PgSleep'");
$gc->finish;
ok($primary->poll_query_until('postgres', 'SELECT true', 't'), 'the server is back after a backend was killed');
is($primary->safe_psql('postgres', $checks), $segments, 'nor one that was killed');
cmp_ok(freed(collect()), '>=', 1, 'the next one does the work');

# ---- standbys --------------------------------------------------------------------------------------------------------
$primary->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('careful')});
$primary->backup('base');
my $careful = PostgreSQL::Test::Cluster->new('careful');
$careful->init_from_backup($primary, 'base', has_streaming => 1);
$careful->append_conf('postgresql.conf', "hot_standby_feedback = on\nprimary_slot_name = 'careful'\nmax_standby_streaming_delay = -1\nwal_receiver_status_interval = 1\n");
$careful->start;
my $careless = PostgreSQL::Test::Cluster->new('careless');
$careless->init_from_backup($primary, 'base', has_streaming => 1);
$careless->append_conf('postgresql.conf', "hot_standby_feedback = off\nmax_standby_streaming_delay = -1\n");
$careless->start;
$primary->wait_for_catchup($_) for $careful, $careless;
$before = $primary->safe_psql('postgres', "SELECT $state");
my $far = $careful->background_psql('postgres');
$far->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($far->query_safe('SELECT count(*) > 0 FROM prod.person'), 't', 'a reader on a standby with feedback');
my $blind = $careless->background_psql('postgres', on_error_stop => 0);
$blind->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$blind->query_safe('SELECT 1');
ok($primary->poll_query_until('postgres', q{SELECT xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'careful'}), 'the primary knows of it');
move_on();
$result = collect();
cmp_ok(seen($result), '>=', 5, "gc leaves what a standby with feedback sees ($result)");
$primary->wait_for_catchup($_) for $careful, $careless;
is($far->query_safe("SELECT $state"), $before, 'it reads its state');
is($blind->query_safe("SELECT $state"), $before, 'and so does the one on the other standby, by luck');
$far->query_safe('COMMIT');
$far->quit;
$careful->stop;
# The slot keeps the last snapshot of a standby that is away.
my $slot_xmin = $primary->safe_psql('postgres', q{SELECT xmin FROM pg_replication_slots WHERE slot_name = 'careful'});
move_on();
cmp_ok(seen(collect()), '>=', 1, "a slot's xmin ($slot_xmin) is reckoned with") if $slot_xmin ne '';
$primary->safe_psql('postgres', q{SELECT pg_drop_replication_slot('careful')});
$blind->query_safe('COMMIT');
$blind->quit;

# What the primary cannot know of, a reader finds out: it reads its state, or gets an error, and never another state.
$careless->append_conf('postgresql.conf', "max_standby_streaming_delay = 0\n");
$careless->restart;
$primary->wait_for_catchup($careless);
$before = $primary->safe_psql('postgres', "SELECT $state");
my $reader = IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--dbname', $careless->connstr('postgres'), '--command', 'BEGIN ISOLATION LEVEL REPEATABLE READ', '--command', 'SELECT 1', '--command', 'SELECT pg_sleep(15)',
	'--command', "SELECT 'state ' || $state"], '>', \my $seen_there, '2>', \my $error_there);
move_on();
cmp_ok(freed(collect()), '>=', 5, 'gc cannot know of a standby without feedback');
$reader->finish;
ok(index($seen_there, "state $before") >= 0 || $error_there =~ /could not serialize access|conflict with recovery|terminat|closed the connection/, 'its reader reads its state or gets an error') or diag($seen_there, $error_there);
is($careless->safe_psql('postgres', 'SELECT 1'), '1', 'the standby goes on');

# The same by hand, where nothing else gets in the way: the rows go behind the back of an open transaction.
my $victim = $primary->background_psql('postgres', on_error_stop => 0);
$victim->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$victim->query_safe('SELECT 1');
my $old = $primary->safe_psql('postgres', q{SELECT versions -> 'person' -> 'segments' ->> 0 FROM mastering.head WHERE environment = 'prod'});
move_on();
$primary->safe_psql('postgres', "TRUNCATE mastering.segment_$old; DELETE FROM mastering.segment WHERE segment_id = $old");
$victim->{stderr} = '';
$victim->query('SELECT count(*) FROM prod.person');
like($victim->{stderr}, qr/could not serialize access: a state that is read was removed/, 'a statement finds out that its segment was emptied');
$victim->{stderr} = '';
$victim->query_safe('ROLLBACK');
is($victim->query_safe("SELECT $state"), $primary->safe_psql('postgres', "SELECT $state"), 'a new transaction reads the state in force');
$victim->quit;
$careless->stop;
$primary->stop;
done_testing();
