-- Every function that everybody may call, by every role, in every stage: allowed (+), refused for want of a role (-), refused
-- by the stage (s). The functions come from the catalog: a new one is a line more here, and has to be looked at. Where it
-- needs arguments of its own they go into the list below.
-- In a database of its own: whatever is there takes part.
SELECT current_database() AS home \gset
CREATE DATABASE matrix;
\c matrix
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
SET mastering.threads = 1;
SET jit = off;
CREATE ROLE m_owner; CREATE ROLE m_admin LOGIN; CREATE ROLE m_author LOGIN; CREATE ROLE m_curator LOGIN; CREATE ROLE m_reviewer LOGIN; CREATE ROLE m_consumer LOGIN; CREATE ROLE m_loader LOGIN; CREATE ROLE m_stranger LOGIN;
CREATE TABLE crm AS SELECT i AS id, 'name ' || i / 2 AS name, 'mail' || i / 2 AS email FROM generate_series(2, 9) i;
GRANT SELECT ON crm TO m_owner;
DO $$ BEGIN EXECUTE 'GRANT CREATE ON DATABASE matrix TO m_admin, m_author, m_curator, m_reviewer, m_consumer, m_loader'; END $$;
SELECT mastering.create_environment('dev', owner => 'm_owner'), mastering.create_environment('test', 'dev', 'm_owner'), mastering.create_environment('prod', 'test', 'm_owner');
SELECT count(mastering.grant_role(e, r, ('m_' || r)::name)) FROM unnest('{dev,test,prod}'::text[]) e, unnest('{admin,author,curator,reviewer,consumer,loader}'::text[]) r;
SELECT mastering.define_entity('dev', 'person', '{"name": "text", "email": "text"}'), mastering.map_source('dev', 'person', 'crm', 'public.crm', 'id'),
    mastering.set_blocking('dev', 'person', '["email"]'), mastering.set_comparisons('dev', 'person', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM mastering.load('dev', 'person');
SELECT mastering.train('dev', 'person') IS NOT NULL AS trained, mastering.master('dev', 'person') IS NOT NULL AS run;
SELECT mastering.add_check('dev', 'person', 'x', 'SELECT 1 AS y WHERE false'), mastering.set_pipeline('dev', 'x', '{"steps": []}'), mastering.keep_model('dev', 'person', 'x');
SELECT mastering.set_model('dev', 'person', content -> 'model' || '{"prior": 0.01}') FROM mastering.artifact WHERE hash = (SELECT tree ->> 'entity/person/model' FROM mastering.configuration WHERE environment = 'dev');
SELECT mastering.promote('dev', 'test') > 0 AS to_test, mastering.promote('test', 'prod') > 0 AS to_prod;
SELECT mastering.fork_environment('dev', 'feature', owner => 'm_owner'), mastering.set_policy('test', 'stage', 'test'), mastering.set_policy('prod', 'stage', 'production');
SELECT count(mastering.grant_role('feature', r, ('m_' || r)::name)) FROM unnest('{admin,author,curator,reviewer,consumer,loader}'::text[]) r;
SELECT count(mastering.set_policy(e, 'approvals', '{"count": 1, "identity": "role"}'::jsonb)) FROM unnest('{dev,test,prod}'::text[]) e;
SELECT mastering.set_clustering('feature', 'person', '{"threshold": 0.9}'), mastering.set_clustering('dev', 'person', '{"threshold": 0.8}');
CREATE TABLE place AS SELECT * FROM (VALUES ('dev', 'feature', mastering.propose('feature', 'dev')), ('test', 'dev', mastering.propose('dev', 'test')), ('prod', 'test', mastering.propose('test', 'prod'))) p (env, below, release);

-- Arguments by their names, and for some functions by both.
CREATE TABLE argument (function text, name text, value text);
INSERT INTO argument VALUES (NULL, 'env', '{env}'), (NULL, 'env_or_state', '{env}'), (NULL, 'entity', 'person'), (NULL, 'source', 'crm'), (NULL, 'target', '{env}'), (NULL, 'release', '{release}'), (NULL, 'fork', '{env}'),
    (NULL, 'state', '{env}'), (NULL, 'relation', 'public.crm'), (NULL, 'key', 'id'), (NULL, 'record_key', '2'), (NULL, 'cluster', '1'), (NULL, 'id', '1'), (NULL, 'clusters', '{1,2}'), (NULL, 'records', '{crm:2}'), (NULL, 'attribute', 'name'),
    (NULL, 'attributes', 'name'), (NULL, 'query', 'SELECT 1 AS x WHERE false'), (NULL, 'policy', 'warn_share'), (NULL, 'value', '0.1'), (NULL, 'role', 'consumer'), (NULL, 'grantee', 'm_stranger'), (NULL, 'owner', 'm_owner'), (NULL, 'reason', 'because'),
    (NULL, 'name', 'x'), (NULL, 'label', 'x'), (NULL, 'action', 'x'), (NULL, 'actual', 'x'), (NULL, 'step', '1'), (NULL, 'path', 'entity/person'), (NULL, 'schema', 'x'), (NULL, 'oldest', '1 day'), (NULL, 'accepted', '{a}'), (NULL, 'column_name', 'name'),
    (NULL, 'run', '1'), (NULL, 'curation', '1'), (NULL, 'ids', '{1}'), (NULL, 'record', '{"name": "x"}'), (NULL, 'made_at', '2100-01-01'), (NULL, 'verdict', 'match'), (NULL, 'place', 'person/crm'),
    (NULL, 'blocking', '["name"]'), (NULL, 'comparisons', '[{"column": "name", "method": "exact"}]'), (NULL, 'pipeline', '{"steps": [], "description": "other"}'), (NULL, 'resolution', '"ours"'), (NULL, 'ttl', '1 day'),
    (NULL, 'link', '00000000-0000-0000-0000-000000000000'), (NULL, 'token', '00000000-0000-0000-0000-000000000000'), (NULL, 'hash', 'x'), (NULL, 'probe', '1'),
    ('define_entity', 'attributes', '{"name": "text", "email": "text", "phone": "text"}'), ('map_source', 'mapping', '{"name": "upper(name)"}'), ('alter_environment', 'owner', '{role}'), ('check_range', 'lowest', 'a'), ('diff', 'a', '{env}'), ('diff', 'b', '{env}'), ('diff_records', 'a', '{env}'), ('diff_records', 'b', '{env}'), ('diff_summary', 'a', '{env}'), ('diff_summary', 'b', '{env}'),
    ('label_pair', 'a', 'crm:2'), ('label_pair', 'b', 'crm:3'), ('fork_environment', 'source', '{env}'), ('promote', 'source', '{below}'), ('propose', 'source', '{below}'), ('plan', 'source', '{below}'), ('merge_conflicts', 'source', '{below}'), ('receive_conflicts', 'source', '{below}'), ('receive_plan', 'source', '{below}'),
    ('receive_environment', 'source', '{below}'), ('sample_environment', 'source', '{other}'), ('sample_environment', 'records', '5'), ('erase', 'key', '2'), ('lift_erasure', 'key', '2'), ('override_policy', 'policy', 'soak'), ('check_reference', 'relation', 'public.crm'), ('storage', 'env', '{env}'),
    ('verify_audit', 'env', '{env}'), ('verify_snapshots', 'env', '{env}'), ('keep_model', 'name', 'y'), ('set_model', 'model', '{"blocking": ["email"], "prior": 0.01, "comparisons": [{"column": "email", "method": "exact", "trained": [{"m": 0.9, "u": 0.1, "level": "exact", "weight": 3.17}, {"m": 0.1, "u": 0.9, "level": "else", "weight": -3.17}]}]}'), ('receive_release', 'request', '{"target": "{env}"}'), ('add_check', 'name', 'y'), ('create_environment', 'name', 'made'), ('create_environment', 'promotes_from', '{env}'), ('import_config', 'config', '{"mastering": 1, "artifacts": {}}');

CREATE FUNCTION outcome(function regprocedure, env text, role text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    p pg_proc := (SELECT x FROM pg_proc x WHERE x.oid = function);
    place place := (SELECT x FROM place x WHERE x.env = outcome.env);
    arguments text;
    message text;
    code text;
BEGIN
    SELECT string_agg(format('%I => %L', n.name, replace(replace(replace(replace(replace(coalesce(v.value, CASE WHEN n.type IN ('jsonb'::regtype, 'json'::regtype) THEN '{}' ELSE n.name END), '{env}', place.env), '{below}', place.below), '{release}', place.release::text), '{role}', role), '{other}', CASE place.env WHEN 'dev' THEN 'prod' ELSE 'dev' END))
                      || '::' || n.type, ', ') INTO arguments
      FROM (SELECT a.name, t.type::regtype AS type, a.n FROM unnest(p.proargnames[1:p.pronargs]) WITH ORDINALITY a (name, n) JOIN unnest(p.proargtypes::oid[]) WITH ORDINALITY t (type, n) USING (n)) n
      LEFT JOIN LATERAL (SELECT x.value FROM argument x WHERE x.name = n.name AND (x.function = p.proname OR x.function IS NULL) ORDER BY x.function IS NULL LIMIT 1) v ON true
     WHERE n.n <= p.pronargs - p.pronargdefaults OR EXISTS (SELECT FROM argument x WHERE x.name = n.name AND x.function = p.proname);
    BEGIN
        EXECUTE format('SET LOCAL ROLE %I', role);
        EXECUTE format('SELECT count(*) FROM mastering.%I(%s)', p.proname, arguments);
        RAISE EXCEPTION 'done' USING ERRCODE = 'ZZZZZ';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
    END;
    RETURN CASE WHEN code = '42501' OR code = '42704' AND message ~ '^release [0-9]+ does not exist' THEN '-' WHEN code = '55000' AND message ~ 'configured by promotion only|is refused in environment|is production' THEN 's' ELSE '+' END;
END
$$;
CREATE TABLE matrix AS
SELECT format('%s(%s)', p.proname, array_to_string(p.proargnames[1:p.pronargs - p.pronargdefaults], ', ')) || CASE WHEN p.proname = 'set_policy' THEN ' ' || p.proargtypes[2]::regtype ELSE '' END AS function, r.role, r.n AS role_no, string_agg(outcome(p.oid::regprocedure, e.env, 'm_' || r.role), '' ORDER BY e.n) AS outcome
  FROM pg_proc p CROSS JOIN unnest('{admin,author,curator,reviewer,consumer,loader,stranger}'::text[]) WITH ORDINALITY r (role, n) CROSS JOIN unnest('{dev,test,prod}'::text[]) WITH ORDINALITY e (env, n)
 WHERE p.pronamespace = 'mastering'::regnamespace AND p.prosrc = 'mastering_guard' AND has_function_privilege('public', p.oid, 'EXECUTE')
 GROUP BY p.oid, p.proname, p.proargnames, p.pronargs, p.pronargdefaults, p.proargtypes, r.role, r.n;
-- Dev, test and prod; a call that is allowed may have failed for another reason.
SELECT m.function, max(m.outcome) FILTER (WHERE role = 'admin') AS admin, max(m.outcome) FILTER (WHERE role = 'author') AS author, max(m.outcome) FILTER (WHERE role = 'curator') AS curator, max(m.outcome) FILTER (WHERE role = 'reviewer') AS reviewer,
       max(m.outcome) FILTER (WHERE role = 'consumer') AS consumer, max(m.outcome) FILTER (WHERE role = 'loader') AS loader, max(m.outcome) FILTER (WHERE role = 'stranger') AS stranger
  FROM matrix m GROUP BY m.function ORDER BY m.function COLLATE "C";

-- What works with the rights of its caller only, for everybody.
SELECT string_agg(DISTINCT p.proname::text, ' ' ORDER BY p.proname::text) AS functions
  FROM pg_proc p WHERE p.pronamespace = 'mastering'::regnamespace AND p.prosrc <> 'mastering_guard' AND has_function_privilege('public', p.oid, 'EXECUTE') AND 'internal'::regtype <> ALL (p.proargtypes) AND p.prokind <> 'a'
 GROUP BY left(p.proname, 1) ORDER BY left(p.proname, 1) COLLATE "C";
-- Nobody reads the tables; consumers read golden records only.
SELECT r.role, count(*) FILTER (WHERE n.nspname = 'mastering' AND c.relkind <> 'v') AS tables,
       string_agg(CASE WHEN n.nspname = 'prod' THEN c.relname END, ' ' ORDER BY c.relname) AS of_prod, count(*) FILTER (WHERE n.nspname = 'prod_next') AS of_prod_next
  FROM unnest('{admin,author,curator,reviewer,consumer,loader,stranger}'::text[]) WITH ORDINALITY r (role, n)
  LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('mastering', 'prod', 'prod_next') AND c.relkind IN ('r', 'p', 'v')) ON has_table_privilege('m_' || r.role, c.oid, 'SELECT')
   AND has_schema_privilege('m_' || r.role, n.oid, 'USAGE') GROUP BY r.role, r.n ORDER BY r.n;
\c :home
DROP DATABASE matrix;
DROP ROLE m_owner; DROP ROLE m_admin; DROP ROLE m_author; DROP ROLE m_curator; DROP ROLE m_reviewer; DROP ROLE m_consumer; DROP ROLE m_loader; DROP ROLE m_stranger;
