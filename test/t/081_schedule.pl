# doc/schedule.md at work: pg_cron loads and masters, and stops loudly when a check fails. Takes two to three minutes: pg_cron
# begins its jobs at full minutes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($share) = run_command([ 'pg_config', '--sharedir' ]);
if (!-e "$share/extension/pg_cron.control")
{
	plan skip_all => 'pg_cron is not installed (postgresql-15-cron)';
}

my $node = PostgreSQL::Test::Cluster->new('schedule');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.use_background_workers = on
max_worker_processes = 20
fsync = off
CONF
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_cron;
CREATE EXTENSION mastering;
CREATE ROLE keeper LOGIN;
CREATE SCHEMA crm;
CREATE TABLE crm.people AS SELECT i AS id, 'name ' || i AS name, now() AS updated_at FROM generate_series(1, 100) i;
SELECT mastering.create_environment('prod');
SELECT mastering.define_entity('prod', 'customer', '{"name": "text"}');
SELECT mastering.map_source('prod', 'customer', 'crm', 'crm.people', 'id');
SELECT mastering.set_loading('prod', 'customer', 'crm', '{"change_column": "updated_at", "overlap": "10 minutes", "compare_every": 12}');
SELECT mastering.set_blocking('prod', 'customer', '["name"]'), mastering.set_comparisons('prod', 'customer', '[{"column": "name", "method": "exact"}]');
SELECT count(*) FROM mastering.load('prod', 'customer');
SELECT mastering.train('prod', 'customer') IS NOT NULL;
SELECT mastering.master('prod', 'customer') IS NOT NULL;
SELECT mastering.add_check('prod', 'customer', 'no_test_data', 'SELECT * FROM customer WHERE name LIKE ''test%''', stage => 'run');
SELECT mastering.grant_role('prod', 'loader', 'keeper');
GRANT USAGE ON SCHEMA cron TO keeper;
INSERT INTO crm.people VALUES (101, 'name 101', now());
SQL
$node->safe_psql('postgres', "SELECT cron.schedule('keep up with customers', '* * * * *', \$\$CALL mastering.keep_up('prod', 'customer')\$\$)",
	extra_params => [ '-U', 'keeper' ]);

ok($node->poll_query_until('postgres', 'SELECT count(*) = 101 FROM prod.customer_records'), 'what is new in the source is published by the job');
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM cron.job_run_details WHERE status = 'succeeded'"), 'the job says so');

$node->safe_psql('postgres', "INSERT INTO crm.people VALUES (102, 'test 102', now())");
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM cron.job_run_details WHERE status = 'failed'"), 'a check that fails is a failed job');
is($node->safe_psql('postgres', 'SELECT count(*) FROM prod.customer_records'), '101', 'what it found is not published');
is($node->safe_psql('postgres', "SELECT entity, step FROM mastering.keep_up_stops('prod')"), 'customer|master', 'keep_up is stopped');
like(slurp_file($node->logfile), qr/is stopped by 1 failed check/, "the server's log has it");

$node->safe_psql('postgres', "UPDATE crm.people SET name = 'name 102', updated_at = now() WHERE id = 102; SELECT mastering.resume_keep_up('prod', 'customer')");
ok($node->poll_query_until('postgres', 'SELECT count(*) = 102 FROM prod.customer_records'), 'mended and resumed, it goes on');
$node->stop;
done_testing();
