-- Runs beside what is published: candidates, two models side by side, counters and their bounds, a bad run and the way back.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(1, 100) i;
CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(51, 130) i;
CREATE FUNCTION input.clean(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.lower(value) $$;
SELECT create_environment('c_dev'), create_environment('c_prod', 'c_dev');
SELECT candidate('c_dev');
SELECT define_entity('c_dev', 'person', '{"name": "text", "email": "text"}');
SELECT map_source('c_dev', 'person', 'crm', 'input.crm', 'id', '{"name": "name", "email": "input.clean(email)"}');
SELECT map_source('c_dev', 'person', 'shop', 'input.shop', 'no', '{"name": "name", "email": "input.clean(email)"}');
SELECT set_blocking('c_dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]');
SELECT set_comparisons('c_dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
SELECT candidate('c_dev');
SELECT count(*) FROM load('c_dev', 'person');
SELECT candidate('c_dev', entity => 'person');
SELECT train('c_dev', 'person') ? 'prior' AS trained;
SELECT publish('c_dev');

-- Nothing is published until it is; the candidate is read, checked and published.
SELECT candidate('c_dev');
SELECT count(*) AS published FROM c_dev.person;
SELECT count(*) AS candidate, sum(records) AS records FROM c_dev_next.person;
SELECT count(*) AS members, count(DISTINCT cluster_id) AS clusters FROM c_dev_next.person_members;
SELECT environment, name, schema_name, entities, passed, outdated FROM candidates;
SELECT * FROM run_counters('c_dev', 'person', 'next');
SELECT publish('c_dev') - '{before,after}'::text[] AS published;
SELECT count(*) AS published, sum(records) AS records FROM c_dev.person;
SELECT master('c_dev', 'person');
SELECT count(*) FROM candidates;
SELECT publish('c_dev');
SELECT kind, candidate, reused, counters ->> 'clusters' AS clusters, before ->> 'clusters' AS before FROM runs WHERE environment = 'c_dev' ORDER BY run_id;

-- Gates: a failing candidate can be read and not published; the rule may be mended, or the data.
SELECT add_check('c_dev', 'person', 'few', 'SELECT id FROM person WHERE email LIKE ''%9@example.org''');
UPDATE input.crm SET email = 'other' || id || '@example.org' WHERE id <= 10;
SELECT count(*) FROM load('c_dev', 'person');
SET client_min_messages = error;
SELECT candidate('c_dev') - 'runs' AS candidate;
SET client_min_messages = warning;
SELECT passed, failure FROM candidates;
SELECT count(*) FROM c_dev_next.person WHERE email LIKE 'other%';
SELECT publish('c_dev');
SELECT count(*) FROM c_dev.person WHERE email LIKE 'other%';
SELECT check_name, stage, passed, row_count FROM check_results WHERE environment = 'c_dev' AND NOT passed ORDER BY checked_at LIMIT 1;
SELECT drop_check('c_dev', 'person', 'few');
SELECT publish('c_dev') - '{before,after}'::text[] AS published;
SELECT count(*) FROM c_dev.person WHERE email LIKE 'other%';

-- Bounds.
SELECT set_bounds('c_dev', 'person', '{"cluster": {"max": 1}}');
SELECT set_bounds('c_dev', 'person', '{"clusters": {"max": "1"}}');
SELECT set_bounds('c_dev', 'person', '{"clusters": {"severity": "warn"}}');
SELECT set_bounds('c_dev', 'person', '{"filled.mail": {"min": 1}}');
SELECT set_bounds('c_dev', 'person', '{"filled.email": {"min": 100}}');
SELECT set_bounds('c_dev', 'person', '[]');
-- Values are judged by the share of records whose golden record has one: golden records that become one take none away, also where some
-- have none; values that are lost do.
SELECT counter, before_value, after_value, within FROM mastering.judge_counters('{"filled.email": {"max_drop": 0}, "filled.name": {"max_drop": 0}}',
    '{"clusters": 4, "records": 4, "covered": {"email": 3, "name": 4}}', '{"clusters": 3, "records": 4, "covered": {"email": 3, "name": 2}}') WHERE bound IS NOT NULL;
SELECT counter, before_value, after_value, within FROM mastering.judge_counters('{"filled.email": {"max_drop": 0}}', '{"clusters": 4, "records": 4, "filled": {"email": 3}}', '{"clusters": 3, "records": 4, "covered": {"email": 3}}')
 WHERE bound IS NOT NULL;
SELECT t.tally, tally_counters(t.tally) -> 'covered' AS covered FROM tally('(VALUES (2, ''a@x'', NULL), (1, NULL, ''A''), (3, ''b@x'', ''B'')) s ("#records", email, name)', '{"attributes": [{"name": "email"}, {"name": "name"}]}') AS t (tally);
SELECT counter, after_value FROM mastering.judge_counters('{}', '{}', '{"clusters": 0, "records": 0, "covered": {"email": 0}}');
SELECT set_bounds('c_dev', 'person', '{"clusters": {"max_rise": 0.1, "max_drop": 0.1}, "largest": {"max": 2, "severity": "warn"}, "filled.email": {"max_drop": 0}}');
CREATE TABLE input.kept AS SELECT * FROM input.crm;
INSERT INTO input.crm SELECT 1000 + i, 'New' || md5(i::text), 'new' || i || '@example.org' FROM generate_series(1, 30) i;
SELECT count(*) FROM load('c_dev', 'person');
SELECT master('c_dev', 'person');
SELECT count(*) AS published FROM c_dev.person;
SET client_min_messages = error;
SELECT candidate('c_dev') - 'runs' AS candidate;
SET client_min_messages = warning;
SELECT counter, before, after, change, within FROM run_counters('c_dev', 'person', 'next') WHERE bound IS NOT NULL;
SELECT publish('c_dev');
SELECT check_name, stage, severity, passed, sample -> 0 ->> 'before' AS before, sample -> 0 ->> 'after' AS after FROM check_results WHERE environment = 'c_dev' AND check_name LIKE 'bound%' AND NOT passed ORDER BY checked_at LIMIT 1;
SELECT set_bounds('c_dev', 'person', '{"clusters": {"max_rise": 0.5, "max_drop": 0.1}, "largest": {"max": 1, "severity": "warn"}}');
SELECT publish('c_dev') - '{before,after}'::text[] AS published;
SELECT count(*) AS published FROM c_dev.person;
SELECT drop_candidate('c_dev');

-- Two candidates with different models, beside what is published.
SELECT set_clustering('c_dev', 'person', '{"threshold": 0.99999999}');
SELECT train('c_dev', 'person') ? 'prior' AS trained;
SELECT candidate('c_dev', 'strict') ->> 'schema' AS schema;
SELECT set_blocking('c_dev', 'person', '[{"keys": ["email"]}]');
SELECT set_clustering('c_dev', 'person', '{"threshold": 0.5}');
SELECT train('c_dev', 'person') ? 'prior' AS trained;
SELECT candidate('c_dev', 'mail') ->> 'schema' AS schema, candidate('c_dev') ->> 'schema' AS schema_too;
SELECT (SELECT count(*) FROM c_dev.person) AS published, (SELECT count(*) FROM c_dev_strict.person) AS strict, (SELECT count(*) FROM c_dev_mail.person) AS mail, (SELECT count(*) FROM c_dev_next.person) AS next;
SELECT kind, clusters, records FROM compare_candidates('c_dev', 'person', 'strict', 'mail');
SELECT kind FROM compare_candidates('c_dev', 'person', 'strict', 'male');
SELECT kind FROM compare_candidates('c_dev', 'persons');
SELECT kind FROM compare_candidates('c_dev', NULL);
SELECT kind, clusters, records FROM compare_candidates('c_dev', 'person', b => 'mail') WHERE clusters > 0;
SELECT kind, clusters FROM compare_clusters('SELECT source || record_key AS id, cluster_id FROM c_dev_strict.person_members', 'SELECT source || record_key AS id, cluster_id FROM c_dev_mail.person_members') WHERE clusters > 0;
SELECT candidate('c_dev', 'x_next'), 1;
SELECT candidate('c_dev', 'a/b');
CREATE SCHEMA c_dev_taken;
SELECT candidate('c_dev', 'taken');
DROP SCHEMA c_dev_taken;
-- The one that is published brings the configuration that made it; the other does not go on from there any more.
SELECT publish('c_dev', 'strict') - '{before,after}'::text[] AS published;
SELECT count(*) AS published FROM c_dev.person;
SELECT master('c_dev', 'person') ->> 'reused' AS reused;
SELECT name, outdated FROM candidates ORDER BY name;
SELECT publish('c_dev', 'mail');
SELECT count(*) FROM c_dev_mail.person;
SELECT drop_candidate('c_dev', 'mail'), drop_candidate('c_dev');
SELECT drop_candidate('c_dev', 'mail');
SELECT to_regnamespace('c_dev_mail') IS NULL AS gone, count(*) AS heads FROM mastering.head WHERE environment LIKE 'c\_dev%';

-- Back to before it: publish says where that is.
SELECT set_survivorship('c_dev', 'person', '{"default": "shortest"}');
CREATE TABLE input.before AS SELECT * FROM c_dev.person;
SELECT candidate('c_dev') ->> 'passed' AS passed;
SELECT publish('c_dev') ->> 'before' AS before \gset
SELECT rollback('c_dev', to_state => :'before', what => 'all') > 0 AS back;
SELECT count(*) AS differ FROM (TABLE c_dev.person EXCEPT TABLE input.before) x;

-- A bad run: what a mapping calls was wrong. Both stages show it; discard it, mend the function, and make it again there, and nothing else.
SELECT define_entity('c_dev', 'other', '{"name": "text"}'), map_source('c_dev', 'other', 'crm', 'input.crm', 'id', '{"name": "name"}');
SELECT set_blocking('c_dev', 'other', '[{"keys": ["name"]}]'), set_comparisons('c_dev', 'other', '[{"column": "name", "method": "exact"}]');
SELECT count(*) FROM load('c_dev', 'other');
SELECT train('c_dev', 'other') IS NOT NULL AS trained;
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT entity_name, outcome FROM backfill('c_dev');
CREATE OR REPLACE FUNCTION input.clean(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.left(value, 5) $$;
INSERT INTO input.crm VALUES (5000, 'Cut Off', 'cut-off@example.org');
SELECT count(*) FROM load('c_dev', 'person');
SELECT entity_name, outcome FROM backfill('c_dev', 'person');
SELECT email FROM c_dev.person WHERE name = 'Cut Off';
SELECT promote('c_dev', 'c_prod') > 0 AS promoted;
CREATE OR REPLACE FUNCTION input.clean(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.lower(value) $$;
-- Its key is the same, so it would be found again.
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT max(run_id) AS bad FROM runs WHERE environment = 'c_dev' AND entity = 'person' \gset
SELECT max(segment_id) AS last_segment FROM mastering.segment \gset
SELECT * FROM discard_run('c_dev', :bad, 'e-mail cut off');
\set VERBOSITY sqlstate
SELECT * FROM discard_run('c_dev', :bad);
SELECT discard_run('c_prod', :bad);
\set VERBOSITY default
SELECT email FROM c_prod.person WHERE name = 'Cut Off';
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT count(*) BETWEEN 1 AND 5 AS few, max(g.row_count) < 10 AS small, string_agg(DISTINCT s.entity, ',') AS entities FROM mastering.segment g JOIN mastering.store s USING (store_id) WHERE segment_id > :last_segment;
SELECT email FROM c_dev.person WHERE name = 'Cut Off';
SELECT email FROM c_prod.person WHERE name = 'Cut Off';
SELECT entity_name, outcome FROM backfill('c_prod');
SELECT email FROM c_prod.person WHERE name = 'Cut Off';
SELECT entity_name, outcome FROM backfill('c_dev') UNION ALL SELECT entity_name, outcome FROM backfill('c_prod') ORDER BY 1, 2;
SELECT bool_or(discarded) AS marked, count(*) FILTER (WHERE discarded) AS runs FROM runs WHERE environment LIKE 'c\_%' AND entity = 'person' AND run_id >= :bad;
SELECT entity_name, outcome FROM backfill('c_dev', 'nothing');

-- Rolled back, held, mended, released, promoted, brought up to date.
SELECT snapshot('c_prod', tag => 'good');
SELECT set_survivorship('c_dev', 'person', '{"default": "shortest", "attributes": {"name": "longest"}}');
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT promote('c_dev', 'c_prod', 'shortest') AS release \gset
INSERT INTO input.shop VALUES ('late', 'Late Comer', 'late@example.org');
SELECT source_name, change FROM load('c_prod', 'person') WHERE change <> 'none';
SELECT rollback('c_prod', reason => 'values are cut') > 0 AS rolled_back;
SELECT count(*) FROM diff('c_prod', 'c_prod@good');
SELECT count(*) AS late FROM c_prod.person WHERE name = 'Late Comer';
\set VERBOSITY terse
SELECT promote('c_dev', 'c_prod') > 0 AS promoted;
\set VERBOSITY default
SELECT entity_name, outcome FROM backfill('c_prod');
SELECT count(*) AS late FROM c_prod.person WHERE name = 'Late Comer';
SELECT set_survivorship('c_dev', 'person', '{"default": "longest"}');
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT release_hold('c_prod', :release);
SELECT promote('c_dev', 'c_prod', 'mended') > 0 AS promoted;
SELECT entity_name, outcome FROM backfill('c_prod');
SELECT count(*) AS late FROM c_prod.person WHERE name = 'Late Comer';
SELECT path, change FROM diff('c_dev', 'c_prod');

-- plan says what is found and why the rest is run.
SELECT set_bounds('c_dev', 'person', NULL), set_bounds('c_prod', 'person', NULL);
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT count(*) FROM load('c_dev', 'person');
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master';
SELECT set_clustering('c_dev', 'person', '{"threshold": 0.7}');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master';
SELECT entity_name, outcome FROM backfill('c_dev');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master';
SELECT set_survivorship('c_dev', 'person', '{"default": "shortest"}');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master';
SELECT count(*) = 1 AS engine FROM (SELECT DISTINCT engine FROM runs WHERE environment = 'c_dev') r WHERE engine = mastering.engine_revision() AND engine ~ '^[0-9]+, ICU [0-9.]+, Unicode [0-9.]+$';
BEGIN;
UPDATE mastering.output SET inputs = inputs || '{"engine": "0, ICU 1.0, Unicode 1.0"}', run_key = 'old' WHERE output_key = (SELECT o.output_key FROM mastering.output o WHERE o.entity = 'person' AND o.made_in = 'c_dev' ORDER BY made_at DESC LIMIT 1);
SELECT subject, replace(detail, mastering.engine_revision(), '<this one>') AS detail FROM plan('c_dev', 'c_prod') WHERE action = 'master' AND subject = 'person';
ROLLBACK;
SELECT max(run_id) AS bad FROM runs WHERE environment = 'c_dev' AND entity = 'person' \gset
BEGIN;
SELECT * FROM discard_run('c_dev', :bad, 'wrong threshold');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master' AND subject = 'person';
ROLLBACK;
INSERT INTO input.crm VALUES (6000, 'Another', 'another@example.org');
SELECT count(*) FROM load('c_prod', 'person');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master';
SELECT drop_source('c_dev', 'person', 'shop');
SELECT subject, detail FROM plan('c_dev', 'c_prod') WHERE action = 'master';
SELECT map_source('c_dev', 'person', 'shop', 'input.shop', 'no', '{"name": "name", "email": "input.clean(email)"}');

-- What a promotion leaves behind for those who restore servers.
SELECT promote('c_dev', 'c_prod') AS release \gset
SELECT recovery -> 'restore_point' ->> 'name' = 'mastering release ' || release_id AS named, (recovery -> 'restore_point' ->> 'lsn')::pg_lsn < pg_current_wal_lsn() AS placed, recovery -> 'backup' AS backup FROM releases WHERE release_id = :release;
SELECT promote('c_dev', 'c_prod', dry_run => true) IS NULL AS dry_run;
SELECT set_policy('c_prod', 'lunch', '{}');
SELECT set_policy('c_prod', 'backup', '{"max_age": "soon"}');
SELECT set_policy('c_prod', 'backup', '{"max_age": "1 day"}');
SELECT set_survivorship('c_dev', 'person', '{"default": "most_frequent"}');
SELECT promote('c_dev', 'c_prod');
SELECT subject, detail, blocked FROM plan('c_dev', 'c_prod') WHERE action = 'backup';
SELECT record_backup('c_prod', 'old one', now() - interval '3 days');
\set VERBOSITY terse
SELECT promote('c_dev', 'c_prod');
\set VERBOSITY default
SELECT record_backup('c_prod', 'to come', now() + interval '3 days');
SELECT record_backup('c_prod', 'full 7', detail => '{"repository": 1}');
SELECT record_backup('c_prod', 'full 7');
SELECT blocked FROM plan('c_dev', 'c_prod') WHERE action = 'backup';
SELECT promote('c_dev', 'c_prod') AS release \gset
SELECT recovery -> 'backup' ->> 'label' AS label, recovery -> 'backup' -> 'detail' AS detail FROM releases WHERE release_id = :release;
SELECT set_policy('c_prod', 'backup', NULL);
SELECT action, detail ->> 'policy' AS policy, detail ->> 'label' AS label FROM audit_log WHERE environment = 'c_prod' AND action IN ('set policy', 'record backup') ORDER BY seq;

-- Who is erased is in no candidate, and one that held them is made again.
SELECT candidate('c_dev', 'last', 'person') ->> 'passed' AS passed;
SELECT count(*) AS there FROM c_dev_last.person_records WHERE record_key = '5000';
SELECT count(*) > 0 AS erased FROM erase('person', 'crm', '5000', 'asked for');
SELECT count(*) AS there FROM c_dev_last.person_records WHERE record_key = '5000';
SELECT name, outdated, failure FROM candidates;
SELECT publish('c_dev', 'last');
SELECT candidate('c_dev', 'last', 'person') ->> 'passed' AS passed;
SELECT publish('c_dev', 'last') ->> 'candidate' AS published;
SELECT count(*) AS there FROM c_dev.person_records WHERE record_key = '5000';

-- A candidate with other attributes, of one entity; a run of the other leaves it where it is.
SELECT define_entity('c_dev', 'person', '{"name": "text", "email": "text", "mail_domain": "text"}');
SELECT map_source('c_dev', 'person', 'crm', 'input.crm', 'id', '{"name": "name", "email": "input.clean(email)", "mail_domain": "split_part(email, ''@'', 2)"}');
SELECT candidate('c_dev', entity => 'person') ->> 'passed' AS passed;
INSERT INTO input.crm VALUES (7000, 'For the other', 'other@example.org');
SELECT count(*) FROM load('c_dev', 'other');
SELECT master('c_dev', 'other') ->> 'records' AS records;
-- Clearing away and compaction leave it what it is.
SELECT train('c_dev', 'other') IS NOT NULL AS trained;
SELECT count(*) > 0 AS cleared FROM gc(dry_run => false, keep => 0, keep_for => '0', keep_unused => '0');
SELECT count(*) > 0 AS compacted FROM compact('c_dev', everything => true);
SELECT outdated FROM candidates;
SELECT mail_domain, count(*) FROM c_dev_next.person GROUP BY 1 ORDER BY 1 NULLS LAST;
SELECT count(*) FROM c_dev_next.other WHERE name = 'For the other';
SELECT string_agg(attname, ', ' ORDER BY attnum) AS published FROM pg_attribute WHERE attrelid = 'c_dev.person'::regclass AND attnum > 0;
SELECT publish('c_dev') - '{before,after}'::text[] AS published;
SELECT mail_domain, count(*) FROM c_dev.person GROUP BY 1 ORDER BY 1 NULLS LAST;
SELECT count(*) FROM c_dev.other WHERE name = 'For the other';
-- Somebody can be erased where segments were emptied.
SELECT count(*) > 0 AS erased FROM erase('person', 'crm', '4', 'asked for');
SELECT count(*) AS there FROM c_dev.person_records WHERE source = 'crm' AND record_key = '4';

-- Who may.
CREATE ROLE c_owner; CREATE ROLE c_curator; CREATE ROLE c_reviewer; CREATE ROLE c_consumer; CREATE ROLE c_author;
GRANT USAGE ON SCHEMA input TO c_owner, c_curator;
GRANT SELECT ON ALL TABLES IN SCHEMA input TO c_owner;
SELECT create_environment('own', owner => 'c_owner');
SELECT grant_role('own', 'curator', 'c_curator'), grant_role('own', 'reviewer', 'c_reviewer'), grant_role('own', 'consumer', 'c_consumer'), grant_role('own', 'author', 'c_author');
SELECT change, count(*) > 0 AS some FROM import_config('own', export_config('c_dev')) GROUP BY 1;
SELECT count(*) FROM load('own', 'person');
SET ROLE c_reviewer;
SELECT candidate('own', entity => 'person');
SELECT candidate('c_dev');
SELECT * FROM candidates;
SELECT backfill('own');
SELECT discard_run('own', 1);
SELECT set_policy('own', 'backup', NULL);
SELECT set_bounds('own', 'person', '{}');
SELECT mastering.live_key('x');
SELECT mastering.record_runs('own', 'run', '{}', '{}', '[]', NULL, NULL);
SET ROLE c_curator;
SELECT candidate('own', entity => 'person') ->> 'passed' AS passed;
SELECT candidate('own', 'named', 'person');
SELECT count(*) > 0 AS reads FROM own_next.person;
SET ROLE c_reviewer;
SELECT count(*) > 0 AS reads FROM own_next.person_members;
SELECT name, passed FROM candidates;
SELECT count(*) > 0 AS counters FROM run_counters('own', 'person', 'next');
SET ROLE c_consumer;
SELECT count(*) FROM own_next.person;
SELECT * FROM candidates;
SELECT * FROM runs;
RESET ROLE;
-- Configuration that a candidate brings back is for authors.
SELECT set_survivorship('own', 'person', '{"default": "longest"}');
SET ROLE c_curator;
SELECT publish('own');
SET ROLE c_author;
SELECT publish('own') -> 'configuration' AS configuration;
RESET ROLE;
SELECT candidate('own', 'named', 'person') ->> 'schema' AS schema;
SET ROLE c_reviewer;
SELECT count(*) > 0 AS reads FROM own_named.person;
RESET ROLE;
SELECT revoke_role('own', 'reviewer', 'c_reviewer');
SET ROLE c_reviewer;
SELECT count(*) > 0 AS reads FROM own_named.person;
RESET ROLE;
SELECT lift_erasure('person', 'crm', k) FROM unnest('{4,5000}'::text[]) k;
SELECT drop_environment('own'), drop_environment('c_prod'), drop_environment('c_dev');
SELECT count(*) AS left_over FROM pg_namespace WHERE nspname ~ '^(own|c_dev|c_prod)(_|$)';
SELECT count(*) AS left_over FROM mastering.head WHERE environment ~ '^(own|c_dev|c_prod)';
DROP SCHEMA input CASCADE;
DROP ROLE c_owner, c_curator, c_reviewer, c_consumer, c_author;
