-- The scored pairs of what an environment publishes.
SELECT current_database() AS home \gset
SET client_min_messages = warning;
DROP DATABASE IF EXISTS pairs;
CREATE DATABASE pairs ENCODING 'UTF8' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';
\c pairs
SET client_min_messages = warning;
CREATE EXTENSION mastering;
\set SHOW_CONTEXT never
SELECT pg_catalog.setval('mastering.cluster_id', 1000000);
ALTER DATABASE pairs SET search_path = public, mastering;
SET search_path = public, mastering;
CREATE ROLE p_owner; CREATE ROLE p_reviewer; CREATE ROLE p_consumer; CREATE ROLE p_none;
GRANT USAGE ON SCHEMA mastering TO PUBLIC;
CREATE SCHEMA paired;
CREATE TABLE paired.people (id int PRIMARY KEY, name text, email text, city text);
INSERT INTO paired.people
SELECT i, 'First' || md5((i / 2)::text) || ' Last' || md5((i / 2 * 7)::text), 'mail' || i / 2 || '@example.org', (ARRAY['Berlin', 'Ulm', 'Köln'])[i % 3 + 1] FROM generate_series(1, 201) i;
GRANT USAGE ON SCHEMA paired TO p_owner;
GRANT SELECT ON paired.people TO p_owner;
SELECT create_environment('p "1"', owner => 'p_owner');
SELECT grant_role('p "1"', 'reviewer', 'p_reviewer'), grant_role('p "1"', 'consumer', 'p_consumer');
SELECT define_entity('p "1"', 'some:one', '{"name": "text", "email": "text", "city": "text"}');
SELECT map_source('p "1"', 'some:one', 'crm', 'paired.people', 'id', '{"name": "name", "email": "email", "city": "city"}');
SELECT set_blocking('p "1"', 'some:one', '["email", "name"]'), set_comparisons('p "1"', 'some:one', '["name", "email", "city"]');
SELECT count(*) FROM "p ""1"""."some:one_pairs";
SELECT change FROM load('p "1"', 'some:one');
SELECT train('p "1"', 'some:one') IS NOT NULL AS trained;
SELECT master('p "1"', 'some:one') ->> 'clusters' AS clusters;
-- Every pair of the model at its threshold, with the clusters of both.
SELECT count(*) AS pairs, count(*) FILTER (WHERE cluster_a = cluster_b) AS inside, bool_and(probability >= 0.5) AS at_threshold, bool_and(weight IS NOT NULL) AS weighed,
       bool_and(record_key_a::int / 2 = record_key_b::int / 2) AS right FROM "p ""1"""."some:one_pairs";
SELECT source_a, record_key_a, source_b, record_key_b FROM "p ""1"""."some:one_pairs" ORDER BY record_key_a::int LIMIT 2;
-- One cluster.
SELECT m.cluster_id AS cluster FROM "p ""1"""."some:one_members" m WHERE m.record_key = '10' \gset
SELECT record_key_a, record_key_b, cluster_a = :cluster AS its FROM scored_pairs('p "1"', 'some:one', :cluster);
SELECT count(*) FROM scored_pairs('p "1"', 'some:one', -1);
-- It shows what is published, not what was loaded since.
UPDATE paired.people SET email = 'mail5@example.org', name = (SELECT q.name FROM paired.people q WHERE q.id = 10) WHERE id = 30;
SELECT change FROM load('p "1"', 'some:one');
SELECT count(*) FROM "p ""1"""."some:one_pairs" WHERE '30' IN (record_key_a, record_key_b);
SELECT master('p "1"', 'some:one') ->> 'clusters' AS clusters;
SELECT record_key_a, record_key_b FROM "p ""1"""."some:one_pairs" WHERE '30' IN (record_key_a, record_key_b) ORDER BY 1, 2;
-- Pairs that curation keeps apart are there with two clusters.
SELECT split_cluster('p "1"', 'some:one', :cluster, '{crm:30}') IS NOT NULL AS decided;
SELECT master('p "1"', 'some:one') ->> 'clusters' AS clusters;
SELECT record_key_a, record_key_b, cluster_a = cluster_b AS together FROM "p ""1"""."some:one_pairs" WHERE '30' IN (record_key_a, record_key_b) ORDER BY 1, 2;
-- A fork has its own, which stay when the original goes on.
SELECT fork_environment('p "1"', 'p_fork');
SELECT count(*) FROM p_fork."some:one_pairs";
DELETE FROM paired.people WHERE id > 100;
SELECT change FROM load('p "1"', 'some:one');
SELECT master('p "1"', 'some:one') ->> 'clusters' AS clusters;
SELECT (SELECT count(*) FROM "p ""1"""."some:one_pairs") AS original, (SELECT count(*) FROM p_fork."some:one_pairs") AS fork;
-- Who may look.
SET ROLE p_reviewer;
SELECT count(*) > 0 AS seen FROM "p ""1"""."some:one_pairs";
SET ROLE p_consumer;
SELECT count(*) FROM "p ""1"""."some:one_pairs";
SELECT count(*) FROM scored_pairs('p "1"', 'some:one');
SET ROLE p_none;
SELECT count(*) FROM scored_pairs('p "1"', 'some:one');
RESET ROLE;
SELECT count(*) FROM scored_pairs('p "1"', 'nothing');
SELECT count(*) FROM scored_pairs('nowhere', 'nothing');
-- It goes with its entity.
SELECT drop_environment('p_fork');
SELECT drop_entity('p "1"', 'some:one');
SELECT to_regclass('"p ""1"""."some:one_pairs"') IS NULL AS gone;
SELECT drop_environment('p "1"');
DROP SCHEMA paired CASCADE;
\c :home
DROP DATABASE pairs;
DROP ROLE p_owner, p_reviewer, p_consumer, p_none;
