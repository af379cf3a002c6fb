-- Policies and approvals: who may change what in which stage, how much of a source may change, who must have approved.
-- In a database of its own: numbers of releases and segments are shown.
SELECT current_database() AS home \gset
CREATE DATABASE policies;
ALTER DATABASE policies SET work_mem = '4MB';
\c policies
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE g_owner; CREATE ROLE g_admin LOGIN; CREATE ROLE g_curator LOGIN; CREATE ROLE g_reviewer LOGIN; CREATE ROLE g_author LOGIN; CREATE ROLE g_keeper LOGIN; CREATE ROLE g_none LOGIN;
CREATE SCHEMA govern;
GRANT USAGE ON SCHEMA govern TO g_owner, g_author;
CREATE TABLE govern.crm AS SELECT i AS id, 'name ' || i % 60 AS name, 'mail' || i % 60 AS email FROM generate_series(1, 100) i;
CREATE TABLE govern.shop AS SELECT i AS id, 'name ' || i AS name, 'mail' || i AS email FROM generate_series(1, 40) i;
GRANT SELECT ON ALL TABLES IN SCHEMA govern TO g_owner, g_author;
SET search_path = mastering, pg_catalog;
SELECT setval('mastering.release_id', 76000);    -- numbers in messages are the same whatever ran before
SELECT create_environment('dev', owner => 'g_owner'), create_environment('test', 'dev', 'g_owner'), create_environment('prod', 'test', 'g_owner');
SELECT grant_role(e, r, ('g_' || r)::name) FROM unnest(ARRAY['dev', 'test', 'prod']) e, unnest(ARRAY['admin', 'author', 'curator', 'reviewer']) r;
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text"}');
SELECT map_source('dev', 'person', 'crm', 'govern.crm', 'id'), map_source('dev', 'person', 'shop', 'govern.shop', 'id');
SELECT set_blocking('dev', 'person', '[{"keys": ["email"]}]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained;
SELECT master('dev', 'person') ->> 'records' AS records;
SELECT promote('dev', 'test') > 0 AS promoted;
SELECT promote('test', 'prod') > 0 AS promoted;

-- Nothing is forbidden until a stage is declared.
SELECT policy, value, origin FROM policies WHERE environment = 'prod' ORDER BY policy;
SELECT set_policy('prod', 'stage', 'production'), set_policy('test', 'stage', 'test');
SELECT policy, value, origin FROM policies WHERE environment = 'prod' AND (origin <> 'default of production' OR value NOT IN ('[]', '{}', '0')) ORDER BY policy;
SELECT set_policy('prod', 'stage', 'heaven');
SELECT set_policy('prod', 'colour', '1');
SELECT set_policy('prod', 'warn_share', '"much"');
SELECT set_policy('prod', 'refuse_share', '-1');
SELECT set_policy('prod', 'soak', 'soon');
SELECT set_policy('prod', 'windows', '[{"from": "25:00"}]');
SELECT set_policy('prod', 'windows', '[{"zone": "Atlantis"}]');
SELECT set_policy('prod', 'windows', '[{"days": ["Monday"]}]');
SELECT set_policy('prod', 'resources', '{"threads": 0}');
SELECT set_policy('prod', 'resources', '{"memory": "lots"}');
SELECT set_policy('prod', 'resources', '{"fsync": "off"}');
SELECT set_policy('prod', 'approvals', '{"count": 1, "roles": ["consumer"]}');
SELECT set_policy('prod', 'approvals', '1.5');
SELECT set_policy('prod', 'important', '["email"]');
SELECT set_policy('prod', 'reload_sources', '["crm"]');
SELECT set_policy('prod', 'policy_role', 'nobody at all');

-- Configuration comes by promotion only; data, runs and bindings do not.
SELECT set_survivorship('prod', 'person', '{"default": "longest"}');
SELECT train('prod', 'person');
SELECT add_check('test', 'person', 'c', 'SELECT 1');
SELECT bind_source('prod', 'person', 'crm', 'govern.shop'), bind_source('prod', 'person', 'crm', 'govern.crm');
SELECT master('prod', 'person') ->> 'reused' AS reused;
-- An exception: with a reason, for a while, and each use is logged.
SELECT override_policy('prod', 'direct_changes', ' ');
SELECT override_policy('prod', 'approvals', 'x', '1 month');
SELECT override_policy('prod', 'stage', 'x');
SET SESSION AUTHORIZATION g_curator;
SELECT override_policy('prod', 'direct_changes', 'I feel like it');
SELECT set_policy('prod', 'direct_changes', 'allow');
RESET SESSION AUTHORIZATION;
SELECT override_policy('prod', 'direct_changes', 'incident 4711', '5 minutes') > now() AS until;
SELECT set_clustering('prod', 'person', '{"threshold": 0.5}');
SELECT override_policy('prod', 'direct_changes', 'over', '0') IS NOT NULL AS ended;
SELECT set_clustering('prod', 'person', '{"threshold": 0.6}');
SELECT action, detail ->> 'policy' AS policy, detail ->> 'path' AS path, detail ->> 'reason' AS reason FROM audit_log WHERE environment = 'prod' AND action ~ 'overr' ORDER BY seq;
SELECT policy, reason, role, in_force FROM policy_overrides ORDER BY made_at;
-- Prod has it now, Dev has not: the same change there brings them together.
SELECT set_clustering('dev', 'person', '{"threshold": 0.5}');

-- Where a role keeps the policies, admins do not.
SELECT set_policy('prod', 'policy_role', 'g_keeper');
SELECT grant_role('prod', 'reviewer', 'g_keeper');
SET SESSION AUTHORIZATION g_admin;
SELECT set_policy('prod', 'direct_changes', 'allow');
SELECT override_policy('prod', 'direct_changes', 'mine');
SET SESSION AUTHORIZATION g_keeper;
SELECT set_policy('prod', 'warn_share', '0.03', 'a nervous quarter');
SELECT value, origin, set_by, reason FROM policies WHERE environment = 'prod' AND policy = 'warn_share';
SELECT set_policy('prod', 'warn_share', NULL), set_policy('prod', 'policy_role', NULL);
RESET SESSION AUTHORIZATION;
SELECT value, origin FROM policies WHERE environment = 'prod' AND policy IN ('warn_share', 'policy_role') ORDER BY policy;

-- A load that changes too much.
UPDATE govern.crm SET name = 'x' WHERE id <= 5;
SELECT * FROM load('prod', 'person', 'crm');
UPDATE govern.crm SET name = 'y' WHERE id <= 6;
SELECT * FROM load('prod', 'person', 'crm');
UPDATE govern.crm SET name = 'z' WHERE id <= 10;
SELECT * FROM load('prod', 'person', 'crm');
-- One source is halted, the other is loaded.
INSERT INTO govern.shop VALUES (41, 'name 41', 'mail41');
SELECT * FROM load('prod', 'person');
SELECT action, detail ->> 'source' AS source, detail ->> 'sqlstate' AS sqlstate FROM audit_log WHERE environment = 'prod' AND action ~ 'load' ORDER BY seq DESC LIMIT 2;
-- Loaded in Test it is not proven; loaded and run it is.
SELECT * FROM load('test', 'person', 'crm');
SELECT change FROM load('prod', 'person', 'crm');
SELECT master('test', 'person') ->> 'records' AS records;
SELECT * FROM load('prod', 'person', 'crm');
-- Deletions count too; an exception lets them pass.
DELETE FROM govern.crm WHERE id > 80;
SELECT change FROM load('prod', 'person', 'crm');
SELECT override_policy('prod', 'refuse_share', 'branch closed', '5 minutes') > now() AS until;
SELECT * FROM load('prod', 'person', 'crm');
SELECT override_policy('prod', 'refuse_share', 'done', '0') IS NOT NULL AS ended;
-- A source declared to be reloaded may change all its rows, and not lose a fifth of them.
SELECT set_policy('prod', 'reload_sources', '["person/crm"]');
UPDATE govern.crm SET name = name || '!';
SELECT * FROM load('prod', 'person', 'crm');
DELETE FROM govern.crm WHERE id <= 20;
SELECT * FROM load('prod', 'person', 'crm');
SELECT set_policy('prod', 'refuse_share', 'null'), set_policy('prod', 'warn_share', 'null');
SELECT * FROM load('prod', 'person', 'crm');
-- Values that go away, or become many.
SELECT set_policy('prod', 'important', '{"person": ["email", "name", "no such attribute"]}');
UPDATE govern.crm SET email = NULL WHERE id <= 50;
SELECT * FROM load('prod', 'person', 'crm');
UPDATE govern.crm SET email = 'mail' || id % 60;
UPDATE govern.crm SET email = 'same' WHERE id % 2 = 0;
SELECT change FROM load('prod', 'person', 'crm');
UPDATE govern.crm SET email = 'same';
SELECT * FROM load('prod', 'person', 'crm');
SELECT set_policy('prod', 'distinct_jump', 'null');
SELECT change FROM load('prod', 'person', 'crm');
SELECT set_policy('prod', 'important', NULL);

-- Approvals. Who releases must know who is to approve, even where nobody is.
SELECT set_policy('prod', 'approvals', '{"count": 2, "roles": ["curator", "reviewer"]}');
SELECT set_survivorship('dev', 'person', '{"default": "longest"}');
SELECT promote('dev', 'test') > 0 AS promoted;
SELECT max(release_id) AS before FROM releases \gset
SET SESSION AUTHORIZATION g_admin;
SELECT promote('test', 'prod', 'a lower threshold');
SELECT source, target, state, author, message FROM releases WHERE release_id > :before;
SELECT max(release_id) AS release FROM releases \gset
SELECT action, step, blocked FROM plan('test', 'prod') WHERE action IN ('approve', 'wait');
-- Asked again, it is the same release that waits.
SELECT promote('test', 'prod', 'a lower threshold');
SELECT count(*) FROM releases WHERE release_id > :before;
SELECT promote('test', 'prod', dry_run => true);
SELECT approve(:release);
SET SESSION AUTHORIZATION g_author;
SELECT approve(:release);
SET SESSION AUTHORIZATION g_none;
SELECT approve(:release);
SET SESSION AUTHORIZATION g_curator;
SELECT approve(:release, 'looked at ten of them') AS missing;
SELECT approve(:release);
SET SESSION AUTHORIZATION g_admin;
SELECT promote_release(:release);
SET SESSION AUTHORIZATION g_reviewer;
SELECT approve(:release) AS missing;
-- Prod's data change: what was approved is not what would come.
RESET SESSION AUTHORIZATION;
INSERT INTO govern.shop VALUES (42, 'name 42', 'mail42');
SELECT change FROM load('prod', 'person', 'shop');
SET SESSION AUTHORIZATION g_admin;
SELECT promote('test', 'prod');
SELECT role, verdict, is_current FROM approvals ORDER BY given_at;
CALL prepare(:release);
SELECT state FROM releases WHERE release_id = :release;
SET SESSION AUTHORIZATION g_curator;
SELECT approve(:release) AS missing;
SET SESSION AUTHORIZATION g_reviewer;
SELECT approve(:release) AS missing;
SET SESSION AUTHORIZATION g_admin;
SELECT promote('test', 'prod') = :release AS promoted;
SELECT state FROM releases WHERE release_id = :release;
SELECT approve(:release);
-- Rejected is rejected; a superuser's login is one person whatever role is set.
RESET SESSION AUTHORIZATION;
SELECT set_clustering('dev', 'person', '{"threshold": 0.4}');
SELECT promote('dev', 'test') > 0 AS promoted;
SELECT propose('test', 'prod', 'lower still') AS release \gset
SET ROLE g_curator;
SELECT approve(:release);
RESET ROLE;
SET SESSION AUTHORIZATION g_curator;
SELECT approve(:release);
SELECT reject(:release, 'families become one');
SET SESSION AUTHORIZATION g_admin;
SELECT promote_release(:release);
SELECT state FROM releases WHERE release_id = :release;
-- Two people only: it says so rather than wait for ever.
RESET SESSION AUTHORIZATION;
SELECT revoke_role('prod', 'curator', 'g_curator'), revoke_role('prod', 'reviewer', 'g_reviewer'), revoke_role('prod', 'reviewer', 'g_keeper');
SET SESSION AUTHORIZATION g_admin;
SELECT promote('test', 'prod');
RESET SESSION AUTHORIZATION;
SELECT grant_role('prod', 'curator', 'g_curator');
SET SESSION AUTHORIZATION g_admin;
SELECT promote('test', 'prod');
-- An emergency: the exception is in the log.
SELECT override_policy('prod', 'approvals', 'no one here, shop is down', '10 minutes') > now() AS until;
SELECT promote('test', 'prod') > 0 AS promoted;
SELECT action, detail ->> 'policy' AS policy, detail ->> 'given' AS given, detail ->> 'needed' AS needed FROM audit_log WHERE environment = 'prod' AND action = 'policy overridden' ORDER BY seq DESC LIMIT 1;
-- Rolling back waits for nobody.
SELECT rollback('prod', reason => 'wrong') > 0 AS rolled_back;
RESET SESSION AUTHORIZATION;
SELECT set_policy('prod', 'approvals', NULL);

-- Time: what a stage changed a moment ago has not proven itself; a window that is not now.
SELECT set_clustering('dev', 'person', '{"threshold": 0.3}');
SELECT promote('dev', 'test') > 0 AS promoted;
SELECT set_policy('prod', 'soak', '2 days');
\set VERBOSITY terse
SELECT promote('test', 'prod');
SELECT action, subject, blocked FROM plan('test', 'prod') WHERE blocked;
SELECT set_policy('prod', 'soak', '0'), set_policy('prod', 'windows', format('[{"days": [%s], "zone": "UTC"}]', to_json(to_char(now() AT TIME ZONE 'UTC' + interval '3 days', 'dy'))));
SELECT promote('test', 'prod');
\set VERBOSITY default
SELECT override_policy('prod', 'windows', 'agreed with operations') > now() AS until;
SELECT promote('test', 'prod') > 0 AS promoted;
SELECT in_window(w::jsonb, t::timestamptz) FROM (VALUES
    ('[]', '2026-01-01 00:00 UTC'),
    ('[{"from": "18:00", "until": "23:00"}]', '2026-01-01 18:00 UTC'), ('[{"from": "18:00", "until": "23:00"}]', '2026-01-01 23:00 UTC'),
    ('[{"from": "22:00", "until": "04:00", "days": ["thu"]}]', '2026-01-02 03:59 UTC'), ('[{"from": "22:00", "until": "04:00", "days": ["fri"]}]', '2026-01-02 03:59 UTC'),
    ('[{"from": "18:00", "zone": "Europe/Berlin"}]', '2026-01-01 17:00 UTC'), ('[{"from": "18:00", "zone": "Europe/Berlin"}]', '2026-07-01 16:30 UTC'),
    ('[{"days": ["sat"]}, {"days": ["sun"]}]', '2026-01-04 10:00 UTC'), ('[{"days": ["sat"]}]', '2026-01-04 10:00 UTC')) v (w, t);

-- Resources: for the call and no longer; a cap, never more than the caller has.
SELECT set_policy('dev', 'resources', '{"threads": 2, "memory": "100MB", "work_mem": "5MB", "lock_timeout": "3 s", "statement_timeout": "40 min"}');
SELECT * FROM resource_limits('dev') ORDER BY name;
SET mastering.threads = 1; SET work_mem = '4MB'; SET lock_timeout = '1s';
SELECT * FROM resource_limits('dev') ORDER BY name;
RESET mastering.threads; RESET work_mem; RESET lock_timeout;
CREATE FUNCTION govern.settings() RETURNS text STABLE LANGUAGE sql AS $$ SELECT pg_catalog.concat_ws(' ', pg_catalog.current_setting('mastering.threads'), pg_catalog.current_setting('mastering.work_mem'), pg_catalog.current_setting('work_mem'), pg_catalog.current_setting('lock_timeout')) $$;
SELECT add_check('dev', 'person', 'settings', 'SELECT id, govern.settings() FROM person ORDER BY 1 LIMIT 1', 'warn', 'run');
SELECT change FROM load('dev', 'person');
SELECT master('dev', 'person') ->> 'entity' AS run;
SELECT sample -> 0 ->> 'settings' AS inside, govern.settings() AS outside FROM check_results WHERE check_name = 'settings';
-- A statement has as long as its environment gives it.
CREATE FUNCTION govern.slow() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(60); RETURN 'slept'; END $$;
SELECT add_check('dev', 'person', 'slow', 'SELECT 1 WHERE govern.slow() IS NULL', 'error', 'load'), set_policy('dev', 'resources', '{"statement_timeout": "500 ms"}');
INSERT INTO govern.shop VALUES (43, 'name 43', 'mail43');
SELECT * FROM load('dev', 'person');
SELECT pg_sleep(0.7);

SELECT drop_environment('prod'), drop_environment('test'), drop_environment('dev');
SELECT count(*) FROM mastering.policy;
DROP SCHEMA govern CASCADE;
DROP OWNED BY g_owner, g_admin, g_curator, g_reviewer, g_author, g_keeper, g_none;
DROP ROLE g_owner, g_admin, g_curator, g_reviewer, g_author, g_keeper, g_none;
\c :home
DROP DATABASE policies;
