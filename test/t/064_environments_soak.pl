# Readers without pause, of every kind, while sessions load and run, promote and roll back, fork, restore and merge, make candidates and publish them,
# compact and collect garbage: each statement sees one state of all views, each transaction that keeps its snapshot one state in all statements,
# and an old state reads as it always did.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

my $node = PostgreSQL::Test::Cluster->new('soak');
$node->init;
$node->start;
make_stages($node);
$node->safe_psql('postgres', q{
	SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}');
	SELECT mastering.master('dev', 'person');
	SELECT mastering.promote('dev', 'test');
	CREATE FUNCTION public.compiled() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM prod.person); END';
	CREATE VIEW public.invariant AS
	SELECT (SELECT count(*) FROM prod.person) AS golden, (SELECT count(DISTINCT cluster_id) FROM prod.person_members) AS members,
		(SELECT count(DISTINCT cluster_id) FROM prod.person_records) AS records, (SELECT sum(records) FROM prod.person) AS sum,
		(SELECT count(*) FROM prod.person_records) AS all_records;
	SELECT mastering.snapshot('prod', tag => 'first');
	SELECT mastering.create_snapshot_schema('prod@first', 'prod_first');
	CREATE TABLE public.first AS SELECT count(*) AS golden, sum(records) AS sum, md5(string_agg(p::text, ',' ORDER BY id)) AS hash FROM prod_first.person p;
});

# Scripts of pgbench: a division by zero where what is seen does not fit.
my $tempdir = PostgreSQL::Test::Utils::tempdir;
my $broken = 'golden <> members OR golden <> records OR sum <> all_records';
my %scripts = (
	statement => "SELECT 1 / (CASE WHEN $broken THEN 0 ELSE 1 END) FROM invariant;\n",
	repeatable => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT golden, all_records FROM invariant \\gset a_\nSELECT 1 / (CASE WHEN count(*) <> :a_golden THEN 0 ELSE 1 END) FROM prod.person;\nSELECT 1 / (CASE WHEN compiled() <> :a_golden THEN 0 ELSE 1 END);\nSELECT 1 / (CASE WHEN count(*) <> :a_all_records THEN 0 ELSE 1 END) FROM prod.person_records;\nCOMMIT;\n",
	old => "SELECT 1 / (CASE WHEN f.golden = count(*) AND f.sum = sum(p.records) AND f.hash = md5(string_agg(p::text, ',' ORDER BY p.id)) THEN 1 ELSE 0 END) FROM first f, prod_first.person p GROUP BY f.golden, f.sum, f.hash;\n",
	serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;\nSELECT golden FROM invariant \\gset a_\nSELECT 1 / (CASE WHEN count(DISTINCT cluster_id) <> :a_golden THEN 0 ELSE 1 END) FROM prod.person_members;\nCOMMIT;\n");
foreach my $name (keys %scripts)
{
	open(my $file, '>', "$tempdir/$name.sql") or die;
	print $file $scripts{$name};
	close $file;
}

# Writers. The second to come at an environment is told so, and tries again.
sub writer
{
	my ($name, $statement, $rounds) = @_;
	open(my $file, '>', "$tempdir/$name.sql") or die;
	print $file "SET client_min_messages = error;\n", map { my $n = $_; (my $s = $statement) =~ s/:n/$n/g; "$s\n" } 1 .. $rounds;
	close $file;
	return IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--dbname', $node->connstr('postgres'), '--file', "$tempdir/$name.sql"], '>', "$tempdir/$name.out", '2>', "$tempdir/$name.err");
}
my $seconds = $ENV{MASTERING_SOAK} // 12;
my @readers_of = (['statement', 'simple'], ['statement', 'prepared'], ['repeatable', 'prepared'], ['serializable', 'prepared'], ['old', 'prepared']);
my @readers = map {
	my ($script, $mode) = @$_;
	IPC::Run::start(['pgbench', '--no-vacuum', '--client=1', "--time=$seconds", "--protocol=$mode", '--file', "$tempdir/$script.sql", $node->connstr('postgres')],
		'>', "$tempdir/$script.$mode.out", '2>', "$tempdir/$script.$mode.err")
} @readers_of;
# Who could not promote does not roll back: a busy machine would end before the first release. Who could not make a candidate publishes none.
# The second of two is told: somebody else's publication came first, what it works on is gone since, the environment was at another state.
my $another = 'does not exist|already exists|being written by another session|does not go on from what is published|is there already|is being changed by another|is being changed$';
my $end = time + $seconds - 2;
my ($switched, $loaded, $collected, $forked, $published) = (0, 0, 0, 0, 0);
# A copy is one state, too, as it is made, after what its original got meanwhile, and after it became that again.
my $copy_holds = q{DO $$ DECLARE n text := 'copy_:n'; golden bigint; members bigint; records bigint; BEGIN
	EXECUTE format('SELECT (SELECT count(*) FROM %1$I.person), (SELECT count(DISTINCT cluster_id) FROM %1$I.person_members), (SELECT count(DISTINCT cluster_id) FROM %1$I.person_records)', n) INTO golden, members, records;
	IF golden <> members OR golden <> records THEN RAISE EXCEPTION 'copy shows % golden records, % clusters of members, % of records', golden, members, records; END IF;
	RAISE INFO 'copy held'; EXCEPTION WHEN undefined_table THEN NULL; END $$;};
while (time < $end || (time < $end + 90 && ($switched <= 3 || $loaded <= 3 || $collected == 0 || $forked == 0 || $published == 0)))    # a machine with other work needs more rounds
{
	my @writers = (
		writer('switch', qq{\\set promoted 0\nSELECT 1 AS promoted FROM mastering.promote('test', 'prod') LIMIT 1 \\gset\nSELECT mastering.rollback('prod') WHERE :promoted = 1; }
			. q{UPDATE mastering.release SET proposal = proposal || '{"held": false}' WHERE proposal ->> 'held' = 'true'; SELECT pg_sleep(0.3);}, 5),
		writer('load', q{INSERT INTO input.crm VALUES (:n + 1000 * (SELECT count(*) FROM input.crm), 'New ' || random(), NULL, NULL); DELETE FROM input.shop WHERE no = (SELECT min(no) FROM input.shop); SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.master('prod', 'person'); SELECT pg_sleep(0.1);}, 6),
		writer('forks', qq{SELECT mastering.fork_environment('prod', 'copy_:n', ttl => '1 hour'); $copy_holds SELECT mastering.set_clustering('copy_:n', 'person', '{"threshold": 0.95}'); SELECT mastering.master('copy_:n', 'person');
			$copy_holds SELECT mastering.promote('prod', 'copy_:n'); $copy_holds SELECT mastering.restore('copy_:n', 'prod'); $copy_holds SELECT mastering.drop_environment('copy_:n');}, 2),
		writer('candidates', q{INSERT INTO input.shop VALUES ('C' || :n || (SELECT count(*) FROM input.shop), 'Candidate ' || random(), NULL); SELECT count(*) FROM mastering.load('prod', 'person');} . qq{\n\\set made 0\nSELECT 1 AS made FROM mastering.candidate('prod', 'tried') LIMIT 1 \\gset\nSELECT mastering.publish('prod', 'tried') WHERE :made = 1;} . q{
			SELECT mastering.drop_candidate('prod', 'tried') FROM mastering.candidates WHERE environment = 'prod' AND name = 'tried'; SELECT pg_sleep(0.2);}, 3),
		writer('space', q{SELECT pg_sleep(1); SELECT count(*) FROM mastering.compact('prod', everything => true); SELECT 'collected ' || count(*) FROM mastering.gc(false, keep => 5, keep_for => '0', keep_unused => '0');}, 2));
	$_->finish foreach @writers;
	$switched += () = slurp_file("$tempdir/switch.out") =~ /rollback/g;
	$loaded += () = slurp_file("$tempdir/load.out") =~ /"records"/g;
	$collected += () = slurp_file("$tempdir/space.out") =~ /collected/g;
	$forked += () = slurp_file("$tempdir/forks.err") =~ /copy held/g;
	$published += () = slurp_file("$tempdir/candidates.out") =~ /"state"|publish/g;
	foreach my $name (qw(switch load forks candidates space))
	{
		my @errors = grep { /ERROR/ && !/is being changed by another session|being changed by other sessions|being freed by another session|could not serialize|$another/ } split /\n/, slurp_file("$tempdir/$name.err");
		is("@errors", '', "$name: no error but that another was first") if @errors;
	}
}
$_->finish foreach @readers;
ok($switched > 3 && $loaded > 3 && $collected > 0 && $forked > 0 && $published > 0,
	"switched $switched times, ran $loaded times, collected garbage $collected times, looked at copies $forked times, published $published times");
is($node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.drop_environment(name) FROM mastering.forks; SELECT count(*) FROM mastering.verify_snapshots(deep => true)}) =~ s/^\n+//r, '0', 'every hash is what it was');
is(storage_faults($node), '', 'no orphans');
foreach my $reader (@readers_of)
{
	my ($script, $mode) = @$reader;
	my ($count) = slurp_file("$tempdir/$script.$mode.out") =~ /number of transactions actually processed: (\d+)/;
	is(slurp_file("$tempdir/$script.$mode.err") =~ s/^pgbench \(.*\n//r, '', "$script, $mode: one state each time");
	ok($count > 50, "$script, $mode: $count times");
}
$node->stop;
done_testing();
