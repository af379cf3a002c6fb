# Pages that dedupe_into adds to a table: replay makes the same ones (wal_consistency_checking compares each), on a standby
# and after a crash; a killed backend leaves no row; other sessions may add rows meanwhile.
use strict;
use warnings;
use Errno;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "wal_consistency_checking = 'heap2'\nfsync = off\nautovacuum = off\nrestart_after_crash = on\nwal_keep_size = 1GB\n");
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION mastering;
	CREATE TABLE person AS SELECT n AS id, 'name' || n / 3 AS name, 'city' || n % 7 AS city, md5((n / 3)::text) AS email FROM generate_series(1, 30000) AS n;
	CREATE TABLE two (id bigint, cluster_id bigint);
	CREATE TABLE four (gone int, id bigint, cluster_id bigint, size bigint, weakest_link double precision);
	ALTER TABLE four DROP COLUMN gone;});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

my $into = q{SELECT mastering.dedupe_into('%s', 'SELECT * FROM person', '{"blocking": ["name", "email"], "comparisons": ["name", "city", "email"]}')};
my $digest = q{SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text || ctid::text, ',' ORDER BY ctid)), '') FROM %s AS t};
sub shown { my ($node, $table) = @_; return $node->safe_psql('postgres', sprintf($digest, $table)); }

# A session that adds rows one by one while pages are added.
my $writer = $primary->background_psql('postgres');
foreach my $table (qw(two four))
{
	$writer->query_safe("INSERT INTO $table (id) SELECT -n FROM generate_series(1, 300) AS n");
	is($primary->safe_psql('postgres', 'SET client_min_messages = error; ' . sprintf($into, $table)), '30000', "rows into $table");
	$writer->query_safe("INSERT INTO $table (id) SELECT -n FROM generate_series(301, 600) AS n; UPDATE $table SET cluster_id = 0 WHERE id % 100 = 7; DELETE FROM $table WHERE id % 100 = 8");
	is($primary->safe_psql('postgres', "SELECT count(*) FROM $table"), '30300', "and those of others");
}
$writer->quit;
$primary->wait_for_catchup($standby);
is(shown($standby, $_), shown($primary, $_), "the standby has $_ as the primary has it") for qw(two four);

my %before = map { $_ => shown($primary, $_) } qw(two four);
$primary->stop('immediate');
$primary->start;
is(shown($primary, $_), $before{$_}, "$_ is the same after a crash") for qw(two four);

# Pages of a transaction that comes to nothing, by an error and by a crash, hold no row, and VACUUM takes them back.
$primary->psql('postgres', sprintf("SET client_min_messages = error; BEGIN; $into; SELECT 1 / 0", 'two'));
is($primary->safe_psql('postgres', 'SELECT count(*) FROM two'), '30300', 'no row of a transaction that failed');
my $victim = $primary->background_psql('postgres');
$victim->query_safe(sprintf("SET client_min_messages = error; BEGIN; $into", 'two'));
$primary->stop('immediate');
eval { $victim->quit };
$primary->start;
is($primary->safe_psql('postgres', 'SELECT count(*) FROM two'), '30300', 'nor of one that the crash ended');
$primary->safe_psql('postgres', 'VACUUM two; SET client_min_messages = error; ' . sprintf($into, 'two'));
is($primary->safe_psql('postgres', 'SELECT count(*) FROM two'), '60300', 'and more rows afterwards');
$primary->wait_for_catchup($standby);
is(shown($standby, 'two'), shown($primary, 'two'), 'on the standby too');

# Few buffers, shared and local: the table is extended by one page at a time, and by a few.
$primary->append_conf('postgresql.conf', "shared_buffers = '1MB'\n");
$primary->restart;
is($primary->safe_psql('postgres', 'SET client_min_messages = error; ' . sprintf($into, 'four')), '30000', 'rows through few buffers');
is($primary->safe_psql('postgres', q{SELECT count(*), count(DISTINCT id), count(DISTINCT ctid) FROM four WHERE id > 0}), '59700|30000|59700', 'all are there, but those that were deleted');
is($primary->safe_psql('postgres', "SET client_min_messages = error; SET temp_buffers = '800kB'; CREATE TEMP TABLE own (id bigint, cluster_id bigint); " . sprintf($into, 'own') .
	q{; SELECT count(*) FROM (TABLE own EXCEPT ALL SELECT id, cluster_id FROM four WHERE id > 0) AS more, (SELECT count(DISTINCT id) AS ids FROM own) AS own_ids WHERE ids = 30000}),
	"30000\n0", 'and through few local ones');
$primary->wait_for_catchup($standby);
is(shown($standby, 'four'), shown($primary, 'four'), 'the standby has them');
unlike(slurp_file($standby->logfile), qr/inconsistent page/, 'replay made the pages that were logged');
$standby->stop;
$primary->stop;

# Where space cannot be reserved, for whatever reason, pages are written one by one; a full disk is told.
my $scratch = PostgreSQL::Test::Utils::tempdir;
open(my $source, '>', "$scratch/refuse.c") or die $!;
print $source q{#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
int fallocate(int file, int mode, off_t start, off_t length) { errno = atoi(getenv("REFUSE_WITH")); return -1; }
int fallocate64(int file, int mode, off_t start, off_t length) { return fallocate(file, mode, start, length); }
};
close $source;
system_or_bail($ENV{CC} || 'gcc', '-shared', '-fPIC', '-o', "$scratch/refuse.so", "$scratch/refuse.c");
my %number = (EOPNOTSUPP => Errno::EOPNOTSUPP(), EINVAL => Errno::EINVAL(), EPERM => Errno::EPERM(), ENOSPC => Errno::ENOSPC());
foreach my $error (sort keys %number)
{
	local $ENV{LD_PRELOAD} = "$scratch/refuse.so";
	local $ENV{REFUSE_WITH} = $number{$error};
	$primary->start;
	my $status = $primary->psql('postgres', 'SET client_min_messages = error; CREATE TABLE refused (id bigint, cluster_id bigint); ' . sprintf($into, 'refused'), stdout => \my $rows, stderr => \my $message);
	is($rows, $error eq 'ENOSPC' ? '' : '30000', "$error: rows without space that is reserved");
	like($message, $error eq 'ENOSPC' ? qr/could not extend table "refused": .*\n.*Check free disk space/ : qr/^$/, "$error: what is said");
	is($primary->safe_psql('postgres', 'SELECT count(*), count(DISTINCT ctid) FROM refused; DROP TABLE refused'), $error eq 'ENOSPC' ? '0|0' : '30000|30000', "$error: what is there");
	$primary->stop;
}
done_testing();
