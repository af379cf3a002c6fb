# Environments.pm: what the tests of environments share: a server with the extension, and three stages with data.
package Environments;

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);
use Exporter 'import';

our @EXPORT = qw(make_stages fingerprint change_data killed storage_faults);

# One entity of two sources in dev, test and prod; prod shows what dev proved. With a version, the extension is of that.
sub make_stages
{
	my ($node, $records, $version) = @_;
	$records //= 200;
	my $of_version = defined $version ? "VERSION '$version'" : '';
	$node->safe_psql('postgres', qq{
		SET client_min_messages = error;
		CREATE EXTENSION mastering $of_version;
		CREATE SCHEMA input;
		CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '\@example.org' AS email, '1960-01-01'::date + i AS born FROM generate_series(1, $records) i;
		CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '\@example.org' AS email FROM generate_series($records / 2, $records * 3 / 2) i;
		SELECT mastering.create_environment('dev');
		SELECT mastering.create_environment('test', 'dev');
		SELECT mastering.create_environment('prod', 'test');
		SELECT mastering.define_entity('dev', 'person', '{"name": "text", "email": "text", "born": "date"}');
		SELECT mastering.map_source('dev', 'person', 'crm', 'input.crm', 'id');
		SELECT mastering.map_source('dev', 'person', 'shop', 'input.shop', 'no');
		SELECT mastering.set_blocking('dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]');
		SELECT mastering.set_comparisons('dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
		SELECT count(*) FROM mastering.load('dev', 'person');
		SELECT mastering.train('dev', 'person');
		SELECT mastering.master('dev', 'person');
		SELECT mastering.add_check('dev', 'person', 'has a name', 'SELECT id FROM person WHERE name IS NULL');
		SELECT mastering.promote('dev', 'test', 'first');
		SELECT mastering.promote('test', 'prod', 'first');
	});
	return;
}

# A data change of each kind.
sub change_data
{
	my ($node, $seed) = @_;
	$node->safe_psql('postgres', qq{
		INSERT INTO input.crm VALUES (100000 + $seed, 'New $seed', 'new$seed\@example.org', NULL);
		UPDATE input.crm SET born = born + 1 WHERE id = 1 + $seed % 50;
		DELETE FROM input.shop WHERE no = 'N' || (100 + $seed % 90);
	});
	return;
}

# All that a stage shows and the hash of what it is: equal before and after means equal.
sub fingerprint
{
	my ($node, $stage) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT mastering.state_hash(mastering.current_state('$stage'));
		SELECT count(*), sum(records), md5(string_agg(p::text, ',' ORDER BY id)) FROM $stage.person p;
		SELECT count(*), md5(string_agg(r::text, ',' ORDER BY source, record_key)) FROM $stage.person_records r;
		SELECT count(*), md5(string_agg(l::text, ',' ORDER BY id, attribute)) FROM $stage.person_lineage l;
		SELECT count(*), md5(string_agg(h::text, ',' ORDER BY id, event)) FROM $stage.person_history h;
	});
}

# Runs a call in a backend of its own and kills that, or the whole server, after some time in microseconds; says whether the call came through.
sub killed
{
	my ($node, $call, $delay, $whole) = @_;
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start(['psql', '--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--dbname', $node->connstr('postgres'), '--file', '-'],
		'<', \"SET client_min_messages = error;\nSELECT 'pid', pg_backend_pid();\n$call;\nSELECT 'done';\n", '>', \$out, '2>', \$err);
	$psql->pump until $out =~ /pid\|(\d+)/ || !$psql->pumpable;
	my ($pid) = $out =~ /pid\|(\d+)/;
	usleep($delay);
	if ($whole)
	{
		$node->kill9;
		$psql->finish;
		# Backends that the postmaster left behind may hold the shared memory for a moment.
		my $tries = 0;
		until ($node->start(fail_ok => 1) || ++$tries > 50)
		{
			$node->{_pid} = undef;
			usleep(200_000);
		}
	}
	else
	{
		kill 'KILL', $pid;
		$psql->finish;
		my $tries = 0;
		# The postmaster starts anew when it has seen the backend's end, which is when the process is gone; until then it says it is ready.
		usleep(10_000) while kill(0, $pid) && ++$tries < 6000;
		$tries = 0;
		usleep(100_000) until system_log('pg_isready', '--quiet', '--dbname', $node->connstr('postgres')) == 0 || ++$tries > 600;
	}
	return $out =~ /done/ ? 1 : 0;
}

# What must not be, wherever a session ended: names of what is not there, tables, schemas and heads of nothing, a log that is no chain.
sub storage_faults
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
		SELECT format('segment %s is named and not there', h.segment_id) FROM mastering.held_segments() h WHERE NOT EXISTS (SELECT FROM mastering.segment g WHERE g.segment_id = h.segment_id)
		UNION ALL SELECT format('vector %s is named and not there', h.vector_id) FROM mastering.held_segments() h WHERE h.vector_id <> 0 AND NOT EXISTS (SELECT FROM mastering.deletion_vector v WHERE v.vector_id = h.vector_id)
		UNION ALL SELECT format('segment %s has no table', g.segment_id) FROM mastering.segment g WHERE to_regclass('mastering.segment_' || g.segment_id) IS NULL
		UNION ALL SELECT format('%s is neither a segment nor empty', c.relname) FROM pg_class c WHERE c.relnamespace = 'mastering'::regnamespace AND c.relname ~ '^segment_[0-9]+$'
			AND NOT EXISTS (SELECT FROM mastering.segment g WHERE 'segment_' || g.segment_id = c.relname) AND NOT EXISTS (SELECT FROM mastering.shell x WHERE 'segment_' || x.segment_id = c.relname)
		UNION ALL SELECT format('segment %s is not what its hash says', g.segment_id) FROM mastering.segment g WHERE mastering.segment_hash(g.segment_id) <> g.hash
		UNION ALL SELECT format('%s is the anchor of nothing', c.relname) FROM pg_class c WHERE c.relnamespace = 'mastering'::regnamespace AND c.relname ~ '^anchor_' AND NOT EXISTS (SELECT FROM mastering.head h WHERE h.anchor = c.relname)
		UNION ALL SELECT format('head of %s, which is nothing', h.environment) FROM mastering.head h WHERE to_regnamespace(quote_ident(h.environment)) IS NULL
		UNION ALL SELECT format('%s is not whole', e.name) FROM mastering.environment e WHERE to_regnamespace(quote_ident(e.name)) IS NULL OR to_regnamespace(quote_ident(e.name || '_next')) IS NULL
			OR NOT EXISTS (SELECT FROM mastering.configuration c WHERE c.environment = e.name) OR NOT EXISTS (SELECT FROM mastering.head h WHERE h.environment = e.name)
		UNION ALL SELECT format('view %s.%s is not there', v.environment, v.view_name) FROM mastering.environment_view v WHERE to_regclass(format('%I.%I', v.environment, v.view_name)) IS NULL
		UNION ALL SELECT format('%s shows %s golden records of %s', h.environment, n, h.versions -> 'person' -> 'rows') FROM mastering.head h CROSS JOIN LATERAL (SELECT (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.person', h.environment), true, true, '')))[1]::text::bigint) c (n)
			WHERE to_regclass(format('%I.person', h.environment)) IS NOT NULL AND h.versions ? 'person' AND n <> (h.versions -> 'person' ->> 'rows')::bigint
		UNION ALL SELECT format('entry %s of the log of %s is not in its chain', e.seq, e.environment) FROM (SELECT a.*, coalesce(lag(a.hash) OVER (PARTITION BY a.environment ORDER BY a.seq), '') AS last FROM mastering.audit_entry a) e
			WHERE e.previous_hash <> e.last
		UNION ALL SELECT 'an entry of the log waits' FROM mastering.audit_pending
		UNION ALL SELECT format('entry %s of the log of %s is not what its hash says', a.seq, a.environment) FROM mastering.audit_entry a WHERE a.hash <> mastering.audit_hash(a)
		UNION ALL SELECT format('%s of %s, %s %s: %s', v.snapshot, v.environment, v.part, v.name, v.problem) FROM mastering.verify_snapshots() v;
	});
}

1;
