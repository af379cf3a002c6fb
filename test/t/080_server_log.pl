# What the server's log gets of us: the end of each environment's audit log, and no key of a mask, though statements hold it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Environments;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('server_log');
$node->init;
# As a server is by default; the test's own would log every statement.
$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_error_statement = error\nlog_min_messages = warning\n");
$node->start;
make_stages($node, 50);
my $before = -s $node->logfile;

my $key    = 'correct horse battery staple';
my $sample = qq{SELECT count(*) FROM mastering.sample_environment('prod', 'dev', 20, mask => '{"email": "hash", "name": "format"}', mask_key => '$key')};
cmp_ok($node->safe_psql('postgres', $sample), '>', 5, 'a masked sample is taken');
is($node->safe_psql('postgres', "SELECT count(*) FROM dev.person_records WHERE email ~ '^[0-9a-f]{32}\$'"), '0', 'and shown by the next run only');
$node->safe_psql('postgres', "SELECT mastering.master('dev', 'person')");
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM dev.person_records WHERE email ~ '^[0-9a-f]{32}\$'"), '>', 5, 'which has masks');

my $log = slurp_file($node->logfile, $before);
my $end = $node->safe_psql('postgres', "SELECT format('audit of environment \"dev\": entry %s has hash %s', seq, hash) FROM mastering.audit_heads WHERE environment = 'dev'");
like($log, qr/\Q$end\E/, 'the end of the log is in the server\'s log');
unlike($log, qr/STATEMENT|CONTEXT/, 'without the statement that it came of');
unlike($log, qr/correct horse/, 'and the key is not');

# An error behind the door tells of the call and of no text that holds the key.
my ($status, $out, $err) = $node->psql('postgres', qq{PREPARE sample (text) AS SELECT count(*) FROM mastering.sample_environment('prod', 'dev', 20, mask => '{"#key": "hash", "born": "hash"}', mask_key => \$1)});
is($status, 0, 'a statement with a parameter');
($status, $out, $err) = $node->psql('postgres', qq{SET mastering.threads = 1; DO \$\$ BEGIN PERFORM count(*) FROM mastering.sample_environment('prod', 'dev', 20, mask => '{"born": "hash"}', mask_key => repeat('horse', 9)); END \$\$});
isnt($status, 0, 'a mask that fails');
like($err, qr/does not mask type date/, 'says why');
unlike($err, qr/(horse){2}/, 'and not with which key');
$node->stop;
done_testing();
