-- Forks, merges and states after garbage collection with no patience: what something shows or goes on from is left.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city FROM generate_series(1, 60) i;
CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(41, 80) i;
SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', 'test');
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text", "city": "text"}');
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id'), map_source('dev', 'person', 'shop', 'input.shop', 'no');
SELECT set_blocking('dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained;
SELECT master('dev', 'person') ->> 'records' AS records;
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;
SELECT fork_environment('dev', 'ann'), fork_environment('dev', 'old', ttl => '1 hour');
SELECT create_snapshot_schema('prod', 'then') LIKE '#%' AS made;
SELECT set_survivorship('ann', 'person', '{"default": "longest"}'), master('ann', 'person') IS NOT NULL AS ran;
SELECT set_clustering('dev', 'person', '{"threshold": 0.8}'), master('dev', 'person') ->> 'records' AS records;
SELECT snapshot('dev') LIKE '#%' AS one, snapshot('dev') LIKE '#%' AS two, promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;
DELETE FROM input.crm WHERE id <= 30;
SELECT count(*) FROM load('prod', 'person');
SELECT master('prod', 'person') ->> 'records' AS records, snapshot('prod') LIKE '#%' AS a, snapshot('test') LIKE '#%' AS b, snapshot('dev') LIKE '#%' AS c;
UPDATE mastering.fork SET expires_at = now() - interval '1 minute' WHERE environment = 'old';
SELECT what, environment, number, note ~ '^of ' AS of_owner FROM gc(dry_run => true) WHERE what = 'fork';
SELECT count(*) > 0 AS freed FROM gc(dry_run => false, keep => 0, keep_for => '0', keep_unused => '0');
SELECT name FROM forks;
-- What a fork and a schema on a state show is there.
SELECT (SELECT count(*) FROM ann.person) AS golden, (SELECT count(*) FROM ann.person_records) AS records, (SELECT count(*) FROM "then".person) AS golden_then, (SELECT count(*) FROM "then".person_records) AS records_then, (SELECT count(*) FROM prod.person_records) AS now;
SELECT count(*) FROM verify_snapshots(deep => true);
-- And a merge knows what the two had in common, though the states in between are gone: nothing is in conflict.
SELECT subject, detail FROM plan('ann', 'dev') WHERE action = 'change configuration';
SELECT count(*) FROM plan('dev', 'test') WHERE action = 'change configuration';
SELECT promote('ann', 'dev') > 0 AS merged;
SELECT count(*) FROM gc(dry_run => false, keep => 0, keep_for => '0', keep_unused => '0') WHERE what = 'snapshot';
SELECT set_clustering('ann', 'person', '{"threshold": 0.7}');
SELECT subject, detail, blocked FROM plan('ann', 'dev') WHERE action = 'change configuration';
SELECT promote('dev', 'ann', resolve => '{"entity/person/clustering": "theirs"}') > 0 AS updated;
SELECT count(*) FROM diff('dev', 'ann');
-- A fork and a twin have the curation that their clusters were made with.
SELECT merge_clusters('dev', 'person', (SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM dev.person ORDER BY id LIMIT 2) x)) IS NOT NULL AS merged;
SELECT master('dev', 'person') ->> 'clusters' AS clusters;
SELECT fork_environment('dev', 'bob');
SELECT master('bob', 'person') ->> 'reused' AS reused, (SELECT count(*) FROM bob.person) AS clusters;
SELECT restore('test', 'dev') LIKE '#%' AS twin;
SELECT master('test', 'person') ->> 'reused' AS reused, (SELECT count(*) FROM test.person) AS clusters;
DROP VIEW "then".person_records, "then".person, "then".person_members, "then".person_lineage, "then".person_history;
DROP SCHEMA "then";
SELECT reason FROM mastering.needed_snapshots() WHERE reason LIKE 'snapshot schema%';
SELECT drop_environment('ann'), drop_environment('bob'), drop_environment('prod'), drop_environment('test'), drop_environment('dev');
DROP SCHEMA input CASCADE;
