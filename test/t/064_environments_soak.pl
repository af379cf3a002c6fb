# Readers without pause, of every kind, while one session loads and runs, another promotes and rolls back, and a third compacts and collects garbage: each
# statement sees one state of all views, each transaction that keeps its snapshot one state in all statements.
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
});

# Scripts of pgbench: a division by zero where what is seen does not fit.
my $tempdir = PostgreSQL::Test::Utils::tempdir;
my $broken = 'golden <> members OR golden <> records OR sum <> all_records';
my %scripts = (
	statement => "SELECT 1 / (CASE WHEN $broken THEN 0 ELSE 1 END) FROM invariant;\n",
	repeatable => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT golden, all_records FROM invariant \\gset a_\nSELECT 1 / (CASE WHEN count(*) <> :a_golden THEN 0 ELSE 1 END) FROM prod.person;\nSELECT 1 / (CASE WHEN compiled() <> :a_golden THEN 0 ELSE 1 END);\nSELECT 1 / (CASE WHEN count(*) <> :a_all_records THEN 0 ELSE 1 END) FROM prod.person_records;\nCOMMIT;\n",
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
my @readers = map {
	my ($script, $mode) = @$_;
	IPC::Run::start(['pgbench', '--no-vacuum', '--client=1', "--time=$seconds", "--protocol=$mode", '--file', "$tempdir/$script.sql", $node->connstr('postgres')],
		'>', "$tempdir/$script.$mode.out", '2>', "$tempdir/$script.$mode.err")
} (['statement', 'simple'], ['statement', 'prepared'], ['repeatable', 'prepared'], ['serializable', 'prepared']);
my $end = time + $seconds - 2;
my ($switched, $loaded, $collected) = (0, 0, 0);
while (time < $end || (time < $end + 90 && ($switched <= 3 || $loaded <= 3 || $collected == 0)))    # a machine with other work needs more rounds
{
	my @writers = (
		writer('switch', q{SELECT mastering.promote('test', 'prod'); SELECT mastering.rollback('prod'); UPDATE mastering.release SET proposal = proposal || '{"held": false}' WHERE proposal ->> 'held' = 'true'; SELECT pg_sleep(0.3);}, 5),
		writer('load', q{INSERT INTO input.crm VALUES (:n + 1000 * (SELECT count(*) FROM input.crm), 'New ' || random(), NULL, NULL); DELETE FROM input.shop WHERE no = (SELECT min(no) FROM input.shop); SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.master('prod', 'person'); SELECT pg_sleep(0.1);}, 6),
		writer('space', q{SELECT pg_sleep(1); SELECT count(*) FROM mastering.compact('prod', everything => true); SELECT 'collected ' || count(*) FROM mastering.gc(false, keep => 5, keep_for => '0', keep_unused => '0');}, 2));
	$_->finish foreach @writers;
	$switched += () = slurp_file("$tempdir/switch.out") =~ /rollback/g;
	$loaded += () = slurp_file("$tempdir/load.out") =~ /"records"/g;
	$collected += () = slurp_file("$tempdir/space.out") =~ /collected/g;
	foreach my $name (qw(switch load space))
	{
		my @errors = grep { /ERROR/ && !/is being changed by another session|being changed by other sessions|being freed by another session|could not serialize/ } split /\n/, slurp_file("$tempdir/$name.err");
		is("@errors", '', "$name: no error but that another was first") if @errors;
	}
}
$_->finish foreach @readers;
ok($switched > 3 && $loaded > 3 && $collected > 0, "switched $switched times, ran $loaded times, collected garbage $collected times");
foreach my $reader (['statement', 'simple'], ['statement', 'prepared'], ['repeatable', 'prepared'], ['serializable', 'prepared'])
{
	my ($script, $mode) = @$reader;
	my ($count) = slurp_file("$tempdir/$script.$mode.out") =~ /number of transactions actually processed: (\d+)/;
	is(slurp_file("$tempdir/$script.$mode.err") =~ s/^pgbench \(.*\n//r, '', "$script, $mode: one state each time");
	ok($count > 50, "$script, $mode: $count times");
}
$node->stop;
done_testing();
