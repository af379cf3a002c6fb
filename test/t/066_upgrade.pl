# ALTER EXTENSION mastering UPDATE from the first version, with environments in place: they show what they showed, all
# goes on from there, and the catalog is what a fresh install makes. Runs of the old engine stay and are marked.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Environments;

# Everything of the extension, one line each: what it is, its rights, its comment. Nothing in it is a number of this server.
my $catalog = <<'SQL';
SET search_path = pg_catalog;
CREATE TEMP TABLE member AS SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass WHERE e.extname = 'mastering' AND d.deptype = 'e';
SELECT line FROM (
    SELECT 'member ' || pg_describe_object(m.classid, m.objid, 0) || ' comment ' || coalesce(obj_description(m.objid, (SELECT c.relname FROM pg_class c WHERE c.oid = m.classid)), '-') FROM member m
    UNION ALL SELECT 'function ' || CASE p.prokind WHEN 'a' THEN p.oid::regprocedure::text || ' ' || (SELECT to_jsonb(a) - 'aggfnoid' || jsonb_build_object('aggtranstype', a.aggtranstype::regtype) FROM pg_aggregate a WHERE a.aggfnoid = p.oid)::text ELSE pg_get_functiondef(p.oid) END
                || ' support ' || p.prosupport::text || ' by ' || p.proowner::regrole::text || ' acl ' || (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) x)
        FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
    UNION ALL SELECT 'relation ' || c.oid::regclass::text || ' ' || c.relkind::text || ' ' || c.relpersistence::text || ' ' || coalesce(c.reloptions::text, '-') || ' by ' || c.relowner::regrole::text || ' acl ' || coalesce(c.relacl::text, '-')
                || coalesce(' ' || pg_get_viewdef(CASE WHEN c.relkind = 'v' THEN c.oid END), '') || ' type acl ' || coalesce((SELECT t.typacl::text FROM pg_type t WHERE t.oid = c.reltype), '-')
                || ' init ' || coalesce((SELECT i.initprivs::text FROM pg_init_privs i WHERE i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0), '-')
        FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
    UNION ALL SELECT 'column ' || c.oid::regclass::text || ' ' || (a.attnum - (SELECT count(*) FROM pg_attribute x WHERE x.attrelid = a.attrelid AND x.attnum > 0 AND x.attnum < a.attnum AND x.attisdropped)) || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text || ' ' || a.attcollation::regcollation::text
                || ' default ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-') || ' comment ' || coalesce(col_description(c.oid, a.attnum), '-')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE c.oid IN (SELECT m.objid FROM member m WHERE m.classid = 'pg_class'::regclass UNION ALL SELECT t.typrelid FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid AND t.typrelid <> 0)
    UNION ALL SELECT 'sequence ' || s.seqrelid::regclass::text || ' ' || s.seqtypid::regtype::text || ' ' || s.seqstart || ' ' || s.seqincrement || ' ' || s.seqmax || ' ' || s.seqcycle::text FROM member m JOIN pg_sequence s ON m.classid = 'pg_class'::regclass AND s.seqrelid = m.objid
    UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid::text FROM member m JOIN pg_index i ON m.classid = 'pg_class'::regclass AND i.indrelid = m.objid
    UNION ALL SELECT 'constraint ' || c.conrelid::regclass::text || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid) || ' ' || c.convalidated::text FROM member m JOIN pg_constraint c ON m.classid = 'pg_class'::regclass AND c.conrelid = m.objid
    UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM member m JOIN pg_trigger t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid AND NOT t.tgisinternal
    UNION ALL SELECT 'schema ' || n.nspname || ' acl ' || n.nspacl::text FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
    UNION ALL SELECT 'dumped ' || t.config::regclass::text || ' ' || t.condition FROM pg_extension e CROSS JOIN unnest(e.extconfig, e.extcondition) t (config, condition) WHERE e.extname = 'mastering'
    UNION ALL SELECT 'version ' || extversion FROM pg_extension WHERE extname = 'mastering'
) x (line) ORDER BY line COLLATE "C";
SQL

sub same_catalog
{
	my ($node, $database, $fresh, $name) = @_;
	my %is = map { $_ => 1 } split /\n(?=(?:member|function|relation|column|sequence|index|constraint|trigger|schema|dumped|version) )/, $node->safe_psql($database, $catalog);
	my %wanted = map { $_ => 1 } split /\n(?=(?:member|function|relation|column|sequence|index|constraint|trigger|schema|dumped|version) )/, $node->safe_psql($fresh, $catalog);
	cmp_ok(scalar(keys %wanted), '>', 500, "$name: there is something to compare");
	is(join("\n", grep { !$is{$_} } sort keys %wanted), '', "$name: nothing is missing");
	is(join("\n", grep { !$wanted{$_} } sort keys %is), '', "$name: nothing is left over");
	return;
}

my $first = '0.1.0';
my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->start;
my $version = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'mastering'});
make_stages($node, 200, $first);
is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'mastering'}), $first, 'the first version is installed');
change_data($node, 1);
$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	CREATE ROLE consumer; SELECT mastering.grant_role('prod', 'consumer', 'consumer');
	SELECT count(*) FROM mastering.load('prod', 'person'); SELECT mastering.master('prod', 'person');
	SELECT mastering.snapshot('prod', tag => 'kept');
	SELECT mastering.set_survivorship('dev', 'person', '{"default": "longest"}'); SELECT mastering.master('dev', 'person'); SELECT mastering.promote('dev', 'test', 'second'); SELECT mastering.promote('test', 'prod', 'second');
	SELECT mastering.rollback('prod');
	CREATE VIEW public.report AS SELECT count(*) AS people, sum(records) AS records FROM prod.person;
});
my %before = map { $_ => fingerprint($node, $_) } qw(dev test prod);
my $tables = q{SELECT (SELECT string_agg(s::text, ';' ORDER BY hash) FROM mastering.snapshot s), (SELECT string_agg(a::text, ';' ORDER BY environment, seq) FROM mastering.audit_entry a), (SELECT string_agg(r.release_id || r.state || r.proposal, ';' ORDER BY release_id) FROM mastering.release r)};
my $kept = $node->safe_psql('postgres', $tables);

# A reader with a prepared statement, open across the update.
my $reader = $node->background_psql('postgres');
$reader->query_safe('PREPARE people AS SELECT count(*) FROM prod.person; EXECUTE people');
$node->safe_psql('postgres', 'ALTER EXTENSION mastering UPDATE');
is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'mastering'}), $version, "updated to $version");
is(fingerprint($node, $_), $before{$_}, "$_ shows what it showed, under the same hash") for qw(dev test prod);
is($node->safe_psql('postgres', $tables), $kept, 'snapshots, log and releases are as they were');
is($reader->query_safe('EXECUTE people'), $node->safe_psql('postgres', 'SELECT people FROM report'), 'a statement prepared before goes on');
$reader->quit;

$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION mastering');
same_catalog($node, 'postgres', 'fresh', 'with environments');
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->safe_psql('empty', "CREATE EXTENSION mastering VERSION '$first'; ALTER EXTENSION mastering UPDATE");
same_catalog($node, 'empty', 'fresh', 'without environments');

# And on it goes.
is($node->safe_psql('postgres', q{SELECT bool_and(hash = mastering.snapshot_hash(s)) FROM mastering.snapshot s}), 't', 'the hashes of old snapshots verify');
is($node->safe_psql('postgres', q{SELECT bool_and(hash = mastering.audit_hash(a)) FROM mastering.audit_entry a}), 't', 'and those of the log');
is($node->safe_psql('postgres', 'SET ROLE consumer; SELECT count(*) > 0 FROM prod.person'), 't', 'a consumer reads');
# Runs of the old engine stay as they are, and are not taken for ours.
is($node->safe_psql('postgres', q{SELECT DISTINCT inputs FROM mastering.output}), '{"engine": "1"}', 'old runs say which engine made them');
like($node->safe_psql('postgres', q{SELECT mastering.engine_revision()}), qr/^\d+, ICU [\d.]+, Unicode [\d.]+$/, 'the new one says more');
$node->safe_psql('postgres', q{SELECT mastering.set_clustering('dev', 'person', '{"threshold": 0.9}')});
like($node->safe_psql('postgres', q{SELECT detail FROM mastering.plan('dev', 'test') WHERE action = 'master'}), qr/^run: what is published was made by engine 1, and this is engine /, 'plan says so');
my $members = $node->safe_psql('postgres', 'SELECT * FROM dev.person_members ORDER BY source, record_key');
is($node->safe_psql('postgres', q{SELECT entity_name, outcome FROM mastering.backfill('dev')}), 'person|run', 'backfill runs them with the new engine');
is($node->safe_psql('postgres', 'SELECT * FROM dev.person_members ORDER BY source, record_key'), $members, 'clusters keep their ids');
is($node->safe_psql('postgres', q{SELECT entity_name, outcome FROM mastering.backfill('dev')}), 'person|up to date', 'and once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.runs WHERE environment = 'dev' AND engine = mastering.engine_revision() AND counters ->> 'clusters' = (SELECT count(*)::text FROM dev.person)}), '1', 'runs are counted from now on');
is($node->safe_psql('postgres', q{SELECT mastering.candidate('prod') ->> 'passed', mastering.publish('prod') ->> 'candidate'}), 'true|next', 'a candidate on old outputs');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.import_config('test', mastering.export_config('test')) WHERE change <> 'same'}), '0', 'the old configuration is exported and imported');
change_data($node, 2);
is($node->safe_psql('postgres', q{SELECT string_agg(change, ',' ORDER BY source_name) FROM mastering.load('prod', 'person')}), 'update,update', 'the next load is an update');
like($node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.master('prod', 'person')}), qr/"records"/, 'the next run');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prod.person WHERE name = 'New 2'}), '1', 'shows the new record');
$node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.set_survivorship('dev', 'person', '{"default": "shortest"}'); SELECT mastering.master('dev', 'person')});
is($node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.promote('dev', 'test') > 0, mastering.promote('test', 'prod') > 0}), 't|t', 'the next promotion');
is($node->safe_psql('postgres', q{SELECT mastering.rollback('prod') > 0}), 't', 'the next rollback');
is($node->safe_psql('postgres', q{SELECT mastering.rollback('prod', to_state => 'prod@kept') > 0}), 't', 'back to a snapshot of the old version');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mastering.diff('prod', 'prod@kept')}), '0', 'it is that');
$node->safe_psql('postgres', 'DROP VIEW public.report');
$node->safe_psql('postgres', q{SET client_min_messages = error; SELECT mastering.drop_environment('prod'); SELECT mastering.drop_environment('test'); SELECT mastering.drop_environment('dev'); DROP EXTENSION mastering CASCADE});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'mastering'}), '0', 'and dropped');
$node->stop;

done_testing();
