# How far a run is, seen from another connection of a server that has the library preloaded; by whom, and that nothing stays behind.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = PostgreSQL::Test::Cluster->new('progress');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'mastering'");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION mastering;
CREATE ROLE onlooker LOGIN;
CREATE ROLE auditor LOGIN;
GRANT pg_read_all_stats TO auditor;
CREATE TABLE person AS SELECT g AS id, 'n' || hashint4(g) % 3000 AS first_name, 's' || hashint4(g / 3) % 9000 AS surname, 'c' || hashint4(g + 9) % 200 AS city
FROM generate_series(1, 150000) AS g;
SQL
is($node->safe_psql('postgres', 'SELECT count(*) FROM mastering.progress'), '0', 'nothing runs');

my $spec = '{"blocking": ["surname", ["first_name", "city"]], "comparisons": [{"column": "first_name"}, {"column": "surname"}, {"column": "city"}]}';
my %phases;
my ($seen, $sane, $hidden, $audited) = (0, 1, 1, 0);
my $run = IPC::Run::start(
    ['psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "SELECT count(*) FROM mastering.dedupe('SELECT * FROM person', '$spec')",
        '-c', "SELECT count(*) FROM mastering.dedupe('SELECT * FROM person', '$spec')"],
    '>', \my $out, '2>', \my $err);
my $until = time + 120;
while ($run->pumpable && time < $until) {
    $run->pump_nb;
    my $row = $node->safe_psql('postgres',
        q{SELECT phase, total IS NULL OR done <= total, database, role, remaining IS NULL OR remaining >= '0' FROM mastering.progress});
    if ($row ne '') {
        my ($phase, $within, $database, $role, $remains) = split /\|/, $row;
        $seen++;
        $phases{$phase}++;
        $sane = 0 unless $within eq 't' && $database eq 'postgres' && $remains eq 't';
        $hidden = 0 if $node->safe_psql('postgres', 'SELECT count(*) FROM mastering.progress', extra_params => ['-U', 'onlooker']) ne '0';
        $audited += $node->safe_psql('postgres', 'SELECT count(*) FROM mastering.progress', extra_params => ['-U', 'auditor']);
    }
}
$run->finish;
cmp_ok($seen, '>', 0, 'a run is seen from another connection');
note join ', ', sort keys %phases;
ok(scalar(grep { /^(reading|pairs|blocks|random|learning|clustering|result)/ } keys %phases), 'in a phase that has a name');
ok($sane, 'no more is done than there is, in the database where it runs');
ok($hidden, 'other roles do not see it');
cmp_ok($audited, '>', 0, 'members of pg_read_all_stats do');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mastering.progress'), '0', 'and it is gone when it is over');

# A run that fails leaves nothing behind.
$node->psql('postgres', "SET statement_timeout = 100; SELECT count(*) FROM mastering.dedupe('SELECT * FROM person', '$spec')");
is($node->safe_psql('postgres', 'SELECT count(*) FROM mastering.progress'), '0', 'nor does one that was cancelled stay');
done_testing();
