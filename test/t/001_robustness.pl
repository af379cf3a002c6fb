# A run under statement_timeout, termination, harmless interrupts and a lost client; no threads and no other results are left behind.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = PostgreSQL::Test::Cluster->new('robust');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_wal_size = 1GB\nmastering.threads = 2");
$node->start;

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION mastering;
CREATE TABLE person AS SELECT g AS id, 'n' || hashint4(g) % 3000 AS first_name, 's' || hashint4(g + 7) % 5000 AS surname, 'c' || hashint4(g + 9) % 200 AS city,
    'e' || hashint4(g / 2) AS email, ARRAY['a' || hashint4(g) % 900, 'b' || hashint4(g / 2) % 4000, 'c' || hashint4(g + 5) % 3000] AS keys FROM generate_series(1, 100000) AS g;
ANALYZE person;
SQL
my $spec = '{"blocking": [["first_name", "surname"], {"keys": "city", "max_block": 50, "window": 20}, {"keys": "keys", "max_block": 30, "window": 10}, "email"],'
    . ' "comparisons": [{"column": "first_name", "term_frequency": true}, "surname", {"column": "city", "method": "exact"}, {"column": "email", "method": "levenshtein"}]}';
my $digest = "SELECT count(*), sum(hashtextextended(concat_ws(',', id, cluster_id, size, weakest_link), 0)) FROM mastering.dedupe('SELECT * FROM person', '$spec')";

my $started = time;
my $result = $node->safe_psql('postgres', $digest);
my $duration = time - $started;
$started = time;
$node->safe_psql('postgres', $digest);
$duration = time - $started if time - $started < $duration;
note "undisturbed: $duration s";

# A statement that waits for nothing can be cut off anywhere: at twelve moments, from its first to its last phase.
my $slowest = 0;
my $cancelled = 0;
for my $step (1 .. 12) {
    my $milliseconds = int($duration * 1000 * $step / 14);
    $milliseconds = 1 if $milliseconds < 1;
    my $from = time;
    my ($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = $milliseconds; $digest");
    my $late = time - $from - $milliseconds / 1000;
    $cancelled++ if $err =~ /canceling statement due to statement timeout/;
    $slowest = $late if $late > $slowest;
}
# On a machine that others use, some runs are faster than the one measured, and end by themselves.
cmp_ok($cancelled, '>=', 5, 'a run is cancelled at any moment');
# Half a second is the goal; the rest is for psql's start and for a busy machine.
cmp_ok($slowest, '<', 1.5, 'and at once') or diag "slowest: $slowest s";

# Interrupts that cancel nothing stop the threads and let them go on: the result stays the same to the bit.
my $disturbed = '';
my $err = '';
my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET application_name = 'run'", '-c', $digest ], '<', \'', '>', \$disturbed, '2>', \$err);
my $interrupts = 0;
while ($run->pumpable) {
    $interrupts += $node->safe_psql('postgres',
        "SELECT count(pg_log_backend_memory_contexts(pid)) FROM pg_stat_activity WHERE application_name = 'run' AND state = 'active'");
    $run->pump_nb;
}
$run->finish;
chomp $disturbed;
cmp_ok($interrupts, '>', 5, 'a run is interrupted without being cancelled');
is($disturbed, $result, 'and gives the same result');

# pg_terminate_backend ends the session; nobody else notices.
my $gone = '';
my $victim = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET application_name = 'victim'", '-c', $digest ], '<', \'', '>', \$gone, '2>', \$err);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active'");
sleep($duration / 4);
$started = time;
is($node->safe_psql('postgres', "SELECT count(pg_terminate_backend(pid, 5000)) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = 'victim'"),
    '1', 'a run can be terminated');
cmp_ok(time - $started, '<', 1.5, 'at once');
$victim->finish;
like($err, qr/terminating connection due to administrator command/, 'its client is told');

# A client that goes away ends its run where the server is told to look.
my $lost = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " options='-c client_connection_check_interval=100ms'", '-c', "SET application_name = 'lost'", '-c', $digest ],
    '<', \'', '>', \$gone, '2>', \$err);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'lost' AND state = 'active'");
$lost->signal('KILL');
eval { $lost->finish };
my $there = 1;
for (1 .. 15) {
    $there = $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lost'");
    last unless $there;
    sleep 0.1;
}
is($there, 0, 'a run whose client went away ends');

# An error in the middle leaves no thread behind.
is( $node->safe_psql('postgres', <<"SQL"), '1', 'an error in the middle of a run leaves no thread behind');
DO \$\$ BEGIN
    PERFORM * FROM mastering.dedupe_as(NULL::int, 'SELECT ''k'' || id AS id, first_name, surname, city, email, keys FROM person LIMIT 5000', '$spec');
EXCEPTION WHEN invalid_text_representation THEN NULL; END \$\$;
-- The system may list a thread for a moment after it was waited for.
DO \$\$ BEGIN FOR i IN 1 .. 500 LOOP EXIT WHEN (SELECT count(*) FROM pg_ls_dir('/proc/self/task')) = 1; PERFORM pg_sleep(0.01); END LOOP; END \$\$;
SELECT count(*) FROM pg_ls_dir('/proc/self/task');
SQL

# Two sessions at once.
my @both = map { my $o = ''; my $e = ''; { out => \$o, run => IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $digest ], '<', \'', '>', \$o, '2>', \$e) } } 1 .. 2;
$_->{run}->finish for @both;
is(${ $both[0]{out} } . ${ $both[1]{out} }, "$result\n$result\n", 'two sessions at once give the same result');

$node->stop;
done_testing();
