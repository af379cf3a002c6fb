-- What gc clears beside rows of entities; what storage warns of; who follows whose curation after a restore; documents for conflicts
-- where nothing is changed directly; entities that a configuration leaves out.
SELECT current_database() AS home \gset
CREATE DATABASE retention;
\c retention
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = mastering, public;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'Person ' || (i + 1) / 2 AS name, 'mail' || (i + 1) / 2 || '@example.org' AS email FROM generate_series(1, 40) i;
SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', 'test');
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text"}'), map_source('dev', 'person', 'crm', 'input.crm', 'id');
CREATE TEMP TABLE model AS SELECT '{"blocking": [{"keys": ["email"]}], "comparisons": [{"name": "email", "column": "email", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "one_per_source": "never", "normalize": "text"}'::jsonb AS m;
SELECT set_model('dev', 'person', m) FROM model;
SELECT change, total FROM load('dev', 'person');
SELECT master('dev', 'person') ->> 'clusters' AS clusters;
SELECT add_check('dev', 'person', 'has a name', 'SELECT id FROM person WHERE name IS NULL', stage => 'run');
SELECT set_policy('dev', 'important', '{"person": ["email"]}'), set_policy('dev', 'null_jump', '0.5');
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;

-- Every load and run leaves a row here and there; the last ones stay, those of releases too, and the log.
DO $$ BEGIN
    FOR i IN 1 .. 4 LOOP
        UPDATE input.crm SET email = 'other' || i || '@example.org' WHERE id = i;
        PERFORM mastering.load('dev', 'person'), mastering.master('dev', 'person');
    END LOOP;
END $$;
SELECT (SELECT count(*) FROM mastering.run WHERE environment = 'dev') AS runs, (SELECT count(*) FROM mastering.check_result WHERE environment = 'dev') AS checks, (SELECT count(*) FROM mastering.attribute_statistics) AS statistics,
       (SELECT count(*) FROM mastering.audit_entry) AS log \gset
SELECT :runs AS runs, :checks AS checks, :statistics AS statistics;
SELECT what, environment, number, note FROM gc(keep => 2) WHERE what = 'entry' ORDER BY note;
SELECT what, environment, number, note FROM gc(keep => 2, keep_for => '0', keep_unused => '0') WHERE what = 'entry' ORDER BY note, environment;
SELECT count(*) AS runs FROM mastering.run WHERE environment = 'dev';
SELECT count(*) > 0 AS collected FROM gc(false, keep => 2, keep_for => '0', keep_unused => '0');
SELECT (SELECT count(*) FROM mastering.run WHERE environment = 'dev') AS runs, (SELECT count(*) FROM mastering.check_result WHERE environment = 'dev') AS checks, (SELECT count(*) FROM mastering.audit_entry) >= :log AS log_is_whole,
       (SELECT count(*) FROM mastering.run WHERE release_id IS NOT NULL) AS of_releases;
SELECT count(*) FROM gc(keep => 2, keep_for => '0', keep_unused => '0') WHERE what = 'entry';
SELECT count(*) AS statistics, count(d.content) AS of_what_is_loaded FROM mastering.attribute_statistics s LEFT JOIN mastering.data_version d ON d.store_id = s.store_id AND d.content = s.source_content;
-- The next run goes on from there, counters and bounds too.
SELECT set_bounds('dev', 'person', '{"clusters": {"max_rise": 0.5}}');
UPDATE input.crm SET email = 'another@example.org' WHERE id = 9;
SELECT change FROM load('dev', 'person');
SELECT master('dev', 'person') ->> 'clusters' AS clusters;

-- Storage says when it is time for gc, to those who may call it.
SELECT mastering.warn_of_garbage(15 * 1024 * 1024, 16 * 1024 * 1024);
SELECT mastering.warn_of_garbage(100 * 1024 * 1024, 1000 * 1024 * 1024::bigint);
SELECT mastering.warn_of_garbage(100 * 1024 * 1024, 300 * 1024 * 1024::bigint);
CREATE TABLE input.big AS SELECT i AS id, repeat(md5(i::text), 12) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(1, 45000) i;
SELECT create_environment('big'), define_entity('big', 'thing', '{"name": "text", "email": "text"}'), map_source('big', 'thing', 'big', 'input.big', 'id');
SELECT change FROM load('big', 'thing');
SELECT count(*) > 0 AS said FROM storage();
UPDATE input.big SET name = reverse(name);
SELECT change FROM load('big', 'thing');
\set VERBOSITY sqlstate
SELECT count(*) > 0 AS said FROM storage();
SELECT count(*) > 0 AS said FROM storage('big');
SELECT count(*) > 0 AS freed FROM gc(false);
SELECT count(*) > 0 AS said FROM storage();
\set VERBOSITY default
SELECT drop_environment('big');

-- A twin follows its original's curation and no other's; going back brings its own back.
SELECT merge_clusters('prod', 'person', ARRAY[(SELECT cluster_id FROM prod.person_members WHERE record_key = '11'), (SELECT cluster_id FROM prod.person_members WHERE record_key = '21')], 'in Prod') > 0 AS decided;
SELECT merge_clusters('test', 'person', ARRAY[(SELECT cluster_id FROM test.person_members WHERE record_key = '31'), (SELECT cluster_id FROM test.person_members WHERE record_key = '39')], 'in Test') > 0 AS decided;
SELECT override_golden('test', 'person', (SELECT cluster_id FROM test.person_members WHERE record_key = '25'), 'name', 'Somebody Else', 'in Test') > 0 AS decided;
SELECT master('prod', 'person') ->> 'clusters' AS prod, master('test', 'person') ->> 'clusters' AS test;
SET client_min_messages = notice;
\set VERBOSITY terse
SELECT restore('test', 'prod') AS before \gset
\set VERBOSITY default
SET client_min_messages = warning;
SELECT environment, action, reason, in_force FROM curations WHERE environment = 'test' ORDER BY curation_id;
SELECT (SELECT array_agg(p::text ORDER BY id) FROM test.person p) = (SELECT array_agg(p::text ORDER BY id) FROM prod.person p) AS twin;
-- So a run in Test is Prod's run: found, not made again.
SELECT master('test', 'person') ->> 'reused' AS reused;
SELECT restore('test', 'prod') IS NOT NULL AS nothing_to_do;
SELECT restore('test', :'before') IS NOT NULL AS back;
SELECT environment, action, reason, in_force FROM curations WHERE environment = 'test' ORDER BY curation_id;
SELECT (SELECT count(*) FROM test.person WHERE name = 'Somebody Else') AS overridden, master('test', 'person') ->> 'reused' AS reused;
SELECT restore('test', 'prod') AS again \gset
SELECT merge_clusters('test', 'person', ARRAY[(SELECT cluster_id FROM test.person_members WHERE record_key = '33'), (SELECT cluster_id FROM test.person_members WHERE record_key = '35')], 'since then') > 0 AS decided;
SELECT restore('test', :'again') IS NOT NULL AS back;
SELECT action, reason FROM curations WHERE environment = 'test' AND in_force ORDER BY curation_id;

-- A conflict is decided by a document where policy lets nobody change anything directly.
SELECT restore('test', 'prod') IS NOT NULL AS twin;
SELECT set_survivorship('prod', 'person', '{"default": "shortest"}');
SELECT set_policy('prod', 'stage', '"production"'), set_policy('prod', 'approvals', NULL);
SELECT set_survivorship('prod', 'person', '{"default": "min"}');
SELECT set_survivorship('dev', 'person', '{"default": "longest"}'), promote('dev', 'test') > 0 AS to_test;
SELECT path, ours, theirs FROM merge_conflicts('test', 'prod');
SELECT propose('test', 'prod', 'neither of them') AS release \gset
SELECT resolve_conflict(:release, 'entity/person/survivorship', '{"default": "first"}');
SELECT resolve_conflict(:release, 'entity/person/survivorship', '{"default": "most_frequent"}');
SELECT path, resolution FROM merge_conflicts(:release);
SELECT policy, value FROM mastering.policy WHERE environment = 'prod' ORDER BY policy;
SELECT (SELECT count(*) FROM mastering.policy_override) AS exceptions;
SELECT artifact_at(tree, 'entity/person/survivorship') AS not_yet FROM mastering.configuration WHERE environment = 'prod';
SELECT set_survivorship('prod', 'person', '{"default": "min"}');
SELECT promote('test', 'prod', resolve => '{"entity/person/survivorship": {"default": "most_frequent"}}') > 0 AS promoted;
SELECT artifact_at(tree, 'entity/person/survivorship') AS decided FROM mastering.configuration WHERE environment = 'prod';

-- A configuration that leaves an entity out drops it, with its views; not while something is built on them.
SELECT define_entity('dev', 'place', '{"name": "text"}'), map_source('dev', 'place', 'crm', 'input.crm', 'id', '{"name": "name"}');
SELECT count(*) FROM pg_views WHERE schemaname = 'dev' AND viewname ~ '^place';
CREATE VIEW input.built_on AS SELECT name FROM dev.place;
SELECT path, change FROM import_config('dev', jsonb_set(export_config('dev'), '{artifacts}', (SELECT jsonb_object_agg(key, value) FROM jsonb_each(export_config('dev') -> 'artifacts') WHERE key !~ 'place')) #- '{bindings,place/crm}', dry_run => true) WHERE change <> 'same' ORDER BY path;
\set VERBOSITY sqlstate
SELECT path, change FROM import_config('dev', jsonb_set(export_config('dev'), '{artifacts}', (SELECT jsonb_object_agg(key, value) FROM jsonb_each(export_config('dev') -> 'artifacts') WHERE key !~ 'place')) #- '{bindings,place/crm}');
\set VERBOSITY default
DROP VIEW input.built_on;
SELECT path, change FROM import_config('dev', jsonb_set(export_config('dev'), '{artifacts}', (SELECT jsonb_object_agg(key, value) FROM jsonb_each(export_config('dev') -> 'artifacts') WHERE key !~ 'place')) #- '{bindings,place/crm}') WHERE change <> 'same' ORDER BY path;
SELECT count(*) FROM pg_views WHERE schemaname IN ('dev', 'dev_next') AND viewname ~ 'place';
SELECT bindings ? 'place/crm' AS bound FROM mastering.configuration WHERE environment = 'dev';
SELECT path, change FROM import_config('dev', export_config('dev')) WHERE change <> 'same';

-- A fork's views are those of its original to the letter, so that nothing is replaced later; of an old state they are made.
SELECT fork_environment('dev', 'ann'), fork_environment('dev@tagged', 'bob') FROM (SELECT snapshot('dev', tag => 'tagged') OFFSET 0) s;
SELECT set_survivorship('dev', 'person', '{"default": "shortest"}'), master('dev', 'person') IS NOT NULL AS ran;
SELECT fork_environment('dev@tagged', 'cleo');
SELECT fork_environment('dev', 'it''s "me"');
SELECT e.name, mastering.sync_entity_views(e.name, 'person', mastering.artifact_at(c.tree, 'entity/person'), h.versions) AS replaced
  FROM mastering.environment e JOIN mastering.configuration c ON c.environment = e.name JOIN mastering.head h ON h.environment = e.name ORDER BY e.name;
SELECT (SELECT count(*) FROM ann.person) AS ann, (SELECT count(*) FROM bob.person) AS bob, (SELECT count(*) FROM cleo.person_records) AS cleo, (SELECT count(*) FROM "it's ""me""".person_records WHERE cluster_id IS NOT NULL) AS me;
RESET search_path;
\c :home
DROP DATABASE retention;
