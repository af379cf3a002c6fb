-- # The whole cycle
-- A change on its way: made in Dev, stopped by a gate in Test, mended, proven, approved, released into Prod; then bad data in Prod,
-- the way back, and the outputs brought up to date. Every line below was run: this page is the output of `test/sql/81_cycle.sql`, and
-- the tests compare it with what the extension does. [governance.md](governance.md) explains the calls.
SELECT current_database() AS home \gset hidden_
CREATE DATABASE cycle;
\c cycle
SET client_min_messages = warning;
CREATE EXTENSION mastering;
\set SHOW_CONTEXT never
CREATE ROLE mdm; CREATE ROLE ada LOGIN; CREATE ROLE otto LOGIN; CREATE ROLE rita LOGIN; CREATE ROLE carl LOGIN;
CREATE SCHEMA crm;
GRANT USAGE ON SCHEMA crm TO mdm, ada;
CREATE TABLE crm.customers AS
SELECT i AS id, (ARRAY['Anna', 'Bert', 'Carla', 'Dirk', 'Eva', 'Fritz', 'Gerda'])[1 + i % 300 % 7] || ' ' || (ARRAY['Maier', 'Schmidt', 'Novak', 'Rossi', 'Dubois'])[1 + i % 300 % 5] || CASE WHEN i > 300 THEN '' ELSE ' jun.' END AS name,
       'c' || i % 300 || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 300 % 3] AS city
  FROM generate_series(1, 450) i;
GRANT SELECT ON crm.customers TO mdm;
ALTER DATABASE cycle SET search_path = mastering, public;
ALTER DATABASE cycle SET mastering.threads = 1;
\c cycle
SET client_min_messages = warning;
\set SHOW_CONTEXT never
-- :show
-- ## Stages, people, policies
-- Three stages that belong to the role mdm; ada develops, otto operates, rita and carl know the customers.
SELECT create_environment('dev', owner => 'mdm'), create_environment('test', 'dev', 'mdm'), create_environment('prod', 'test', 'mdm');
SELECT grant_role('dev', 'author', 'ada'), grant_role(e, 'admin', 'otto'), grant_role(e, 'reviewer', 'rita'), grant_role(e, 'curator', 'carl')
  FROM unnest(ARRAY['dev', 'test', 'prod']) e;
SELECT set_policy('test', 'stage', 'test'), set_policy('prod', 'stage', 'production'),
       set_policy('prod', 'approvals', 2), set_policy('prod', 'important', '{"customer": ["email"]}');
-- ## Dev
SET SESSION AUTHORIZATION ada;
SELECT define_entity('dev', 'customer', '{"name": "text", "email": "text", "city": "text"}');
SELECT map_source('dev', 'customer', 'crm', 'crm.customers', 'id');
SELECT set_blocking('dev', 'customer', '["email", "name"]');
SELECT set_comparisons('dev', 'customer', '[{"column": "name", "method": "jaro_winkler"}, {"column": "email", "method": "exact"}]');
SELECT source_name, change, total FROM load('dev', 'customer');
SELECT train('dev', 'customer') IS NOT NULL AS trained;
SELECT master('dev', 'customer') -> 'clusters' AS customers;
-- The first release goes up to Prod; otto makes an exception from the approvals for it.
SET SESSION AUTHORIZATION otto;
SELECT override_policy('prod', 'approvals', 'first release, nobody reads it yet', '10 minutes') IS NOT NULL AS excepted;
SELECT promote('dev', 'test', 'first') AS to_test, promote('test', 'prod', 'first') AS to_prod;
SELECT override_policy('prod', 'approvals', 'done', '0') IS NOT NULL AS ended;
SELECT count(*) AS customers FROM prod.customer;
-- ## A change
-- The longest name is to survive, not the most frequent one. Before it is set, a look at what it would do:
SET SESSION AUTHORIZATION ada;
SELECT attribute, clusters, changed, example_cells #>> '{0,before}' AS before, example_cells #>> '{0,after}' AS after
  FROM preview_survivorship('dev', 'customer', '{"attributes": {"name": "longest"}}', examples => 1);
SELECT set_survivorship('dev', 'customer', '{"attributes": {"name": "longest"}}');
SELECT check_values('dev', 'customer', 'city', '{Berlin,Hamburg}'), check_not_null('dev', 'customer', 'email');
-- ## Test: a gate is closed
-- Test becomes what Prod is, and gets the change.
SET SESSION AUTHORIZATION otto;
SELECT restore('test', 'prod') IS NOT NULL AS test_is_like_prod;
SELECT promote('dev', 'test', 'longest names');
SELECT check_name, count(*) AS rows_kept, min(content ->> 'city') AS city FROM check_failures WHERE environment = 'test' GROUP BY 1;
SELECT count(*) FILTER (WHERE name LIKE '% jun.') AS changed_names FROM test.customer;
-- Test is as it was. There are customers in Ulm: the check was wrong, and is mended in Dev.
SET SESSION AUTHORIZATION ada;
SELECT check_values('dev', 'customer', 'city', '{Berlin,Hamburg,Ulm}');
-- ## Test again
SET SESSION AUTHORIZATION otto;
SELECT promote('dev', 'test', 'longest names') AS to_test;
SELECT count(*) FILTER (WHERE name LIKE '% jun.') AS changed_names FROM test.customer;
-- ## Prod: approval
-- Promoting ends with the number of the release that waits, `:release` from here on.
SELECT subject, action, blocked FROM plan('test', 'prod') WHERE action IN ('change configuration', 'approve', 'wait', 'switch') ORDER BY step;
SELECT promote('test', 'prod', 'longest names');
SELECT max(release_id) AS release FROM releases WHERE target = 'prod' AND state = 'proposed' \gset
CALL prepare(:release);
SELECT approve(:release);
SET SESSION AUTHORIZATION rita;
SELECT count(*) FILTER (WHERE name LIKE '% jun.') AS changed_names FROM prod_next.customer;
SELECT approve(:release, 'looked at twenty') AS missing;
SET SESSION AUTHORIZATION carl;
SELECT approve(:release) AS missing;
SET SESSION AUTHORIZATION otto;
SELECT snapshot('prod', tag => 'before_names') AS frozen;
SELECT promote_release(:release) = :release AS released;
SELECT count(*) FILTER (WHERE name LIKE '% jun.') AS changed_names FROM prod.customer;
SELECT step, action, subject, state FROM release_plan(:release) ORDER BY step;
-- ## Bad data
-- A script in the CRM empties a third of the addresses. The load is refused, twice: too many rows change, and the addresses are
-- important. Somebody who believes that it is right so makes exceptions, and the next run shows it to everybody.
RESET SESSION AUTHORIZATION;
UPDATE crm.customers SET email = NULL WHERE id % 3 = 0;
SET SESSION AUTHORIZATION otto;
SELECT * FROM load('prod', 'customer');
SELECT override_policy('prod', 'refuse_share', 'the CRM says it is right', '10 minutes') IS NOT NULL AS excepted;
SELECT * FROM load('prod', 'customer');
SELECT override_policy('prod', 'null_jump', 'the CRM says it is right', '10 minutes') IS NOT NULL AS excepted;
SELECT snapshot('prod', tag => 'before_load') AS frozen;
SELECT change, updated FROM load('prod', 'customer');
SELECT count(*) FILTER (WHERE email IS NULL) AS without_address FROM prod.customer;
SELECT outcome FROM backfill('prod');
SELECT count(*) > 0 AS customers_without_address FROM prod.customer WHERE email IS NULL;
-- ## And back
-- At once, with the data, to where it was before the load.
SELECT rollback('prod', 'prod@before_load', 'all', 'a third of the addresses is gone') > 0 AS rolled_back;
SELECT count(*) FILTER (WHERE email IS NULL) AS without_address, count(*) FILTER (WHERE name LIKE '% jun.') AS changed_names FROM prod.customer;
-- The CRM is mended and has a new customer. Prod loads what differs, and a backfill brings the outputs up to date.
RESET SESSION AUTHORIZATION;
UPDATE crm.customers SET email = 'c' || id % 300 || '@example.org';
INSERT INTO crm.customers VALUES (451, 'Zoe Neumann', 'zoe@example.org', 'Berlin');
SET SESSION AUTHORIZATION otto;
SELECT override_policy('prod', 'refuse_share', 'done', '0') IS NOT NULL AS ended, override_policy('prod', 'null_jump', 'done', '0') IS NOT NULL AS ended_too;
SELECT change, inserted, updated FROM load('prod', 'customer');
SELECT entity_name, outcome FROM backfill('prod');
SELECT name, email FROM prod.customer WHERE name LIKE 'Zoe%';
-- ## What is on record
SELECT kind, source, target, state, author, message FROM releases ORDER BY release_id;
SELECT action, role, detail ->> 'policy' AS policy, detail ->> 'reason' AS reason FROM audit_log WHERE environment = 'prod' AND action ~ 'policy|rollback' ORDER BY seq;
SELECT e AS environment, m.deployments, m.failed, m.stopped FROM unnest(ARRAY['test', 'prod']) e CROSS JOIN LATERAL deployment_metrics(e) m;
SELECT count(*) AS problems FROM verify_audit();
SELECT count(*) AS problems FROM verify_snapshots(deep => true);
-- :hide
RESET SESSION AUTHORIZATION;
\c :hidden_home
DROP DATABASE cycle;
DROP ROLE mdm; DROP ROLE ada; DROP ROLE otto; DROP ROLE rita; DROP ROLE carl;
