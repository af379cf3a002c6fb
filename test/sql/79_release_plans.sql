-- Plans of releases filled in by what is done, metrics, drift, and a log that shows what was done to it.
-- In a database of its own: numbers of releases are shown.
SELECT current_database() AS home \gset
CREATE DATABASE release_plans;
\c release_plans
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE p_admin LOGIN; CREATE ROLE p_author LOGIN; CREATE ROLE p_curator LOGIN; CREATE ROLE p_reviewer LOGIN; CREATE ROLE p_consumer LOGIN; CREATE ROLE p_loader LOGIN; CREATE ROLE p_none LOGIN; CREATE ROLE p_owner;
SET search_path = mastering, pg_catalog;
CREATE SCHEMA planned;
CREATE TABLE planned.crm AS SELECT i AS id, 'name ' || i % 60 AS name, 'mail' || i % 60 AS email FROM generate_series(1, 100) i;
CREATE TABLE planned.crm_test AS SELECT id::bigint, name, email FROM planned.crm;
GRANT USAGE ON SCHEMA planned TO p_owner, p_author;
GRANT SELECT ON ALL TABLES IN SCHEMA planned TO p_owner, p_author;
SELECT create_environment('pdev', owner => 'p_owner'), create_environment('ptest', 'pdev', 'p_owner'), create_environment('pprod', 'ptest', 'p_owner');
SELECT count(grant_role(e, r, ('p_' || r)::name)) FROM unnest('{pdev,ptest,pprod}'::text[]) e, unnest('{admin,author,curator,reviewer,consumer,loader}'::text[]) r;
SELECT define_entity('pdev', 'person', '{"name": "text", "email": "text"}'), map_source('pdev', 'person', 'crm', 'planned.crm', 'id');
SELECT set_blocking('pdev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]'), set_comparisons('pdev', 'person', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('pdev', 'person');
SET client_min_messages = error;
SELECT train('pdev', 'person') IS NOT NULL AS trained;
SELECT master('pdev', 'person') ->> 'clusters' AS clusters;
SET client_min_messages = warning;
SELECT promote('pdev', 'ptest') > 0 AS promoted;
SELECT promote('ptest', 'pprod') > 0 AS promoted;
SELECT set_policy('pprod', 'approvals', '1');
SELECT count(*) FROM drift('pprod');

-- A plan is made when a release is proposed and fills itself in.
CREATE FUNCTION planned.tidy(t text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT pg_catalog.regexp_replace(t, '#?[0-9a-f]{12,64}', '#', 'g') $$;
SELECT set_survivorship('pdev', 'person', '{"default": "longest"}'), set_clustering('pdev', 'person', '{"threshold": 0.8}');
SELECT check_not_null('pdev', 'person', 'name'), check_unique('pdev', 'person', 'name', severity => 'warn');
SELECT promote('pdev', 'ptest', 'longer names') AS test_release \gset
SET client_min_messages = error;
SELECT propose('ptest', 'pprod', 'longer names | <b>tonight</b>') AS release \gset
SELECT step, action, subject, expected, planned.tidy(actual) AS actual, state FROM release_plan(:release) ORDER BY step;
SELECT add_release_step(:release, 'tell the shop', 'they know', 4, '2030-01-01 18:00 UTC'), add_release_step(:release, 'ask them again', after_step => 4), add_release_step(:release, 'look at ten customers', plan => 'rollback');
SELECT snapshot('pprod', 'before tonight') IS NOT NULL AS backed_up;
CALL prepare(:release);
SELECT complete_release_step(:release, 4.01, 'they know, and do not mind');
SELECT complete_release_step(:release, 4.02, 'no answer', false);
SELECT complete_release_step(:release, 4, 'done, honestly');
SET SESSION AUTHORIZATION p_curator;
SELECT approve(:release, 'fine');
RESET SESSION AUTHORIZATION;
SELECT promote_release(:release) = :release AS promoted;
SELECT step, action, subject, planned.tidy(actual) AS actual, executed_by, executed_at IS NOT NULL AS executed, state FROM release_plan(:release) ORDER BY step;
SELECT step, action, subject, call IS NOT NULL AS call, planned.tidy(actual) AS actual, state FROM rollback_plan(:release) ORDER BY step;
-- The first stage's release has its own kind of plan; a gate that failed is in it.
SELECT check_values('pdev', 'person', 'name', '{nobody}');
SELECT promote('pdev', 'ptest', 'too strict');
SELECT step, action, subject, planned.tidy(actual) AS actual, state FROM release_plan((SELECT max(release_id) FROM releases)) ORDER BY step;
SELECT drop_check('pdev', 'person', 'name has accepted values');
-- Taken back.
SELECT rollback('pprod', reason => 'names got too long') > 0 AS rolled_back;
SELECT complete_release_step(:release, 8.01, 'they are fine', plan => 'rollback');
SELECT set_survivorship('pdev', 'person', '{"default": "most_frequent"}');
SELECT promote('pdev', 'ptest', 'the usual names') > 0 AS promoted;
SELECT step, action, subject, planned.tidy(actual) AS actual, state FROM rollback_plan(:release) ORDER BY step;
-- On paper: nothing in it becomes markup.
\pset format unaligned
\pset tuples_only on
SELECT planned.tidy(regexp_replace(release_document(:release), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*', 'then', 'g'));
\pset tuples_only off
\pset format aligned
SELECT release_document(:release, 'html') LIKE '<!DOCTYPE html>%&lt;b&gt;tonight&lt;/b&gt;%</html>%' AS html, release_document(:release, 'html') ~ '<b>' AS injected;
SELECT release_document(:release, 'pdf');
SELECT release_plan(1234567);
SELECT release_plan((SELECT max(release_id) FROM releases WHERE kind = 'rollback'));
SELECT add_release_step(:release, ' ');
SELECT add_release_step(:release, 'x', after_step => 9);
SELECT add_release_step(:release, 'x', plan => 'other');

-- Metrics.
SELECT deployments, per_week, lead_time > '0' AND lead_time < '1 day' AS lead_time, failed, change_failure_rate, time_to_restore > '0' AND time_to_restore < '1 day' AS time_to_restore, stopped FROM deployment_metrics('pprod');
SELECT deployments, failed, stopped FROM deployment_metrics('ptest', period => 'month');
SELECT count(*) FROM deployment_metrics('ptest', since => now() + interval '1 day');
SELECT deployment_metrics('ptest', period => 'fortnight');

-- Drift.
SELECT aspect, subject, detail FROM drift('pprod');
SELECT bind_source('ptest', 'person', 'crm', 'planned.crm_test');
SELECT set_policy('pprod', 'important', '{"person": ["email"]}');
UPDATE planned.crm SET email = CASE WHEN id % 3 > 0 THEN 'm' || id END;
DELETE FROM planned.crm_test WHERE id > 90;
SELECT change FROM load('pprod', 'person');
SELECT aspect, subject, regexp_replace(here, ' of .*', '') AS here, regexp_replace(there, ' of .*', '') AS there, detail FROM drift('pprod') WHERE aspect <> 'artifact';
SELECT master('pprod', 'person') ->> 'records' AS records;
SELECT change FROM load('ptest', 'person');
ALTER TABLE planned.crm ADD COLUMN extra int;
REVOKE SELECT ON planned.crm FROM p_owner;
UPDATE mastering.release SET proposal = jsonb_set(proposal, '{platform,text}', '"ICU 1.0"') WHERE release_id = :release;
SELECT aspect, subject, regexp_replace(here, ' of .*|ICU.*', '') AS here, regexp_replace(there, ' of .*', '') AS there, detail FROM drift('pprod') WHERE aspect <> 'artifact';
DROP TABLE planned.crm;
SELECT aspect, subject, here, detail FROM drift('pprod') WHERE aspect = 'binding';

-- The log. What was done to it is seen, whoever did it, even the owner of the tables.
SELECT * FROM verify_audit('pprod');
SELECT seq, hash FROM audit_heads WHERE environment = 'pprod' \gset
SELECT * FROM verify_audit('pprod', :seq, :'hash');
SELECT snapshot('pprod') IS NOT NULL AS more;
SELECT * FROM verify_audit('pprod', :seq, :'hash');
DELETE FROM mastering.audit_entry WHERE environment = 'pprod';
UPDATE mastering.audit_entry SET role = 'nobody' WHERE environment = 'pprod';
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE mastering.audit_entry SET role = 'nobody' WHERE environment = 'pprod' AND seq = 3;
SELECT seq, problem FROM verify_audit('pprod');
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE mastering.audit_entry a SET role = 'nobody', hash = mastering.audit_hash(ROW(a.environment, a.seq, a.at, a.session_role, 'nobody', a.client, a.action, a.detail, a.previous_hash, '')::mastering.audit_entry) WHERE environment = 'pprod' AND seq = 3;
SELECT seq, problem FROM verify_audit('pprod');
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM mastering.audit_entry WHERE environment = 'pprod' AND seq = 2;
SELECT seq, problem, detail FROM verify_audit('pprod');
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM mastering.audit_entry WHERE environment = 'pprod' AND seq >= :seq;
SELECT seq - :seq AS seq, problem FROM verify_audit('pprod');
SELECT seq - :seq AS seq, problem FROM verify_audit('pprod', :seq, :'hash');
-- He who cuts the head off, too, has to reckon with who kept it.
DELETE FROM mastering.audit_head WHERE environment = 'pprod';
INSERT INTO mastering.audit_head SELECT environment, seq, hash FROM mastering.audit_entry WHERE environment = 'pprod' ORDER BY seq DESC LIMIT 1;
SELECT problem FROM verify_audit('pprod');
SELECT seq - :seq AS seq, problem, detail FROM verify_audit('pprod', :seq, :'hash');
DELETE FROM mastering.audit_entry WHERE environment = 'pprod' AND action = 'promote';
SELECT DISTINCT problem FROM verify_audit('pprod') ORDER BY 1;
ROLLBACK;
SELECT verify_audit('pprod', 1, NULL);
SELECT verify_audit(NULL, 1, 'x');

-- Who may do what.
CREATE FUNCTION planned.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE call;
        RAISE EXCEPTION 'done' USING ERRCODE = 'P0099';
    END;
EXCEPTION
    WHEN insufficient_privilege OR undefined_object THEN RETURN '-';
    WHEN OTHERS THEN RETURN 'yes';
END $$;
GRANT USAGE ON SCHEMA planned TO PUBLIC;
CREATE TABLE planned.matrix (n int, call text, role text, result text);
GRANT INSERT ON planned.matrix TO PUBLIC;
CREATE TABLE planned.calls (n serial, call text);
GRANT SELECT ON planned.calls TO PUBLIC;
SELECT propose('ptest', 'pprod') AS open_release \gset
CALL prepare(:open_release);
CREATE TABLE planned.crm AS SELECT 1 AS id, 'a' AS name, 'b' AS email;
GRANT SELECT ON planned.crm TO p_owner;
INSERT INTO planned.calls (call) VALUES ($$SELECT mastering.set_policy('pprod', 'soak', '1 day')$$), ($$SELECT mastering.override_policy('pprod', 'soak', 'x')$$),
    (format('SELECT mastering.approve(%s)', :open_release)), (format('SELECT mastering.reject(%s)', :open_release)),
    ($$SELECT mastering.check_not_null('pdev', 'person', 'name')$$), ($$SELECT mastering.check_unique('pdev', 'person', 'name')$$), ($$SELECT mastering.check_values('pdev', 'person', 'name', '{a}')$$),
    ($$SELECT mastering.check_range('pdev', 'person', 'name', 'a')$$), ($$SELECT mastering.check_reference('pdev', 'person', 'name', 'person', 'name')$$), ($$SELECT mastering.check_fresh('pdev', 'person', 'name', '1 day')$$),
    ($$SELECT mastering.check_row_count('pdev', 'person')$$), ($$SELECT mastering.check_distribution('pdev', 'person', 'name')$$),
    (format('SELECT mastering.release_plan(%s)', :release)), (format('SELECT mastering.rollback_plan(%s)', :release)), (format('SELECT mastering.release_document(%s)', :release)),
    (format('SELECT mastering.add_release_step(%s, ''x'')', :release)), (format('SELECT mastering.complete_release_step(%s, 4.01, ''x'')', :release)),
    ($$SELECT mastering.deployment_metrics('pprod')$$), ($$SELECT mastering.drift('pprod')$$), ($$SELECT mastering.verify_audit('pprod')$$),
    ($$SELECT 1 / count(*) FROM mastering.policies WHERE environment = 'pprod'$$), ($$SELECT * FROM mastering.policy$$), ($$SELECT * FROM mastering.approval$$), ($$SELECT * FROM mastering.audit_head$$),
    ($$SELECT mastering.do_set_policy('pprod', 'soak', '1 day', NULL)$$), ($$SELECT mastering.use_override('pprod', 'soak', '{}')$$), ($$SELECT mastering.limit_setting('role', 'postgres')$$), ($$SELECT mastering.platform()$$);
SELECT format('SET SESSION AUTHORIZATION %I; INSERT INTO planned.matrix SELECT n, call, %L, planned.attempt(call) FROM planned.calls ORDER BY n; RESET SESSION AUTHORIZATION;', 'p_' || r, r)
  FROM unnest('{admin,author,curator,reviewer,consumer,loader,none}'::text[]) r \gexec
SELECT regexp_replace(regexp_replace(call, '^SELECT (\* FROM |1 / count\(\*\) FROM )?', ''), '[( ].*', '') AS call, max(result) FILTER (WHERE role = 'admin') AS admin, max(result) FILTER (WHERE role = 'author') AS author,
       max(result) FILTER (WHERE role = 'curator') AS curator, max(result) FILTER (WHERE role = 'reviewer') AS reviewer, max(result) FILTER (WHERE role = 'consumer') AS consumer, max(result) FILTER (WHERE role = 'loader') AS loader, max(result) FILTER (WHERE role = 'none') AS "none"
  FROM planned.matrix WHERE call !~ 'mastering.policies' GROUP BY call ORDER BY min(n);
SET SESSION AUTHORIZATION p_none;
SELECT (SELECT count(*) FROM policies) AS policies, (SELECT count(*) FROM policy_overrides) AS overrides, (SELECT count(*) FROM approvals) AS approvals, (SELECT count(*) FROM audit_heads) AS heads, (SELECT count(*) FROM check_failures) AS failures,
       (SELECT count(*) FROM verify_audit()) AS problems;
RESET SESSION AUTHORIZATION;
SELECT drop_environment('pprod'), drop_environment('ptest'), drop_environment('pdev');
DROP SCHEMA planned CASCADE;
DROP ROLE p_admin, p_author, p_curator, p_reviewer, p_consumer, p_loader, p_none, p_owner;
\c :home
DROP DATABASE release_plans;
