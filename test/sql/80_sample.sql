-- Samples of an environment, masks, and models that were trained on masks.
-- In a database of its own: numbers of releases and segments are shown.
SELECT current_database() AS home \gset
CREATE DATABASE samples;
\c samples
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE s_owner; CREATE ROLE s_admin LOGIN; CREATE ROLE s_author LOGIN;
CREATE SCHEMA live;
GRANT USAGE ON SCHEMA live TO s_owner;
CREATE TABLE live.crm AS SELECT i AS id, 'First' || i % 900 AS first_name, 'Last' || i % 900 AS last_name, CASE WHEN i % 50 <> 0 THEN 'mail' || i % 900 || '@example.org' END AS email,
    (ARRAY['DE', 'FR', 'IT'])[1 + i % 900 % 20 / 9] AS country, DATE '1960-01-01' + i % 900 * 17 AS born, (i % 900)::numeric(8, 2) / 4 AS limit_eur, 'ssn ' || i AS ssn FROM generate_series(1, 2000) i;
CREATE TABLE live.shop AS SELECT 10000 + i AS id, 'First' || i % 900 || ' LAST' || i % 900 AS name, 'mail' || i % 900 || '@example.org' AS email, (ARRAY['DE', 'FR', 'IT'])[1 + i % 900 % 20 / 9] AS country FROM generate_series(1, 300) i;
CREATE TABLE live.tiny AS SELECT i AS id, 'Rare' || i AS name, 'rare' || i || '@example.org' AS email, 'MT' AS country FROM generate_series(1, 3) i;
GRANT SELECT ON ALL TABLES IN SCHEMA live TO s_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('dev', owner => 's_owner'), create_environment('test', 'dev', 's_owner'), create_environment('prod', 'test', 's_owner');
SELECT grant_role(e, r, ('s_' || r)::name) FROM unnest(ARRAY['dev', 'test', 'prod']) e, unnest(ARRAY['admin', 'author']) r;
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text", "country": "text", "born": "date", "credit": "numeric"}');
SELECT map_source('dev', 'person', 'crm', 'live.crm', 'id', '{"name": "first_name || '' '' || last_name", "email": "lower(crm.email)", "country": "country", "born": "born", "credit": "limit_eur"}'),
    map_source('dev', 'person', 'shop', 'live.shop', 'id'), map_source('dev', 'person', 'tiny', 'live.tiny', 'id');
SELECT set_blocking('dev', 'person', '["email", "name"]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "jaro_winkler"}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained, master('dev', 'person') IS NOT NULL AS run;
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;
SELECT set_policy('prod', 'stage', 'production');

-- Who may, and what is wrong with a call.
SET SESSION AUTHORIZATION s_author;
SELECT count(*) FROM sample_environment('prod', 'dev', 100);
SET SESSION AUTHORIZATION s_admin;
SELECT count(*) FROM sample_environment('dev', 'dev', 100);
SELECT count(*) FROM sample_environment('test', 'prod', 100);
SELECT count(*) FROM sample_environment('prod', 'dev', 0);
SELECT count(*) FROM sample_environment('prod', 'nowhere', 10);
SELECT count(*) FROM sample_environment('prod', 'dev', 100, strata => '{"person": ["colour"]}');
SELECT count(*) FROM sample_environment('prod', 'dev', 100, strata => '["email"]');
SELECT count(*) FROM sample_environment('prod', 'dev', 100, mask => '{"email": "scramble"}');
SELECT count(*) FROM sample_environment('prod', 'dev', 100, mask => '{"colour": "hash"}');
SELECT count(*) FROM sample_environment('prod', 'dev', 100, mask => '{"born": "hash"}');
SELECT count(*) FROM sample_environment('prod', 'dev', 100, mask => '{"#key": "shuffle"}');
SELECT count(*) FROM sample_environment('prod', 'dev', 100, mask => '{"email": "hash"}', mask_key => 'short');
RESET SESSION AUTHORIZATION;

-- Every source and every stratum, filled and empty values, the rest in proportion.
SELECT aspect, subject, value, population, sampled, population_share, sample_share, distance FROM sample_environment('prod', 'dev', 200, strata => '["country"]') WHERE aspect <> 'value';
SELECT aspect, subject, value, population > sampled AS fewer FROM sample_environment('prod', 'dev', 200, strata => '["country"]') WHERE aspect = 'value' AND subject = 'country';
-- Whole clusters: what is run on the sample has the clusters of Prod.
SELECT master('dev', 'person') -> 'clusters' AS clusters;
SELECT count(*) AS clusters, count(*) FILTER (WHERE d.records = p.records AND d.keys = p.keys) AS same
  FROM (SELECT min(source || record_key) AS anchor, count(*) AS records, array_agg(source || record_key ORDER BY source || record_key) AS keys FROM dev.person_members GROUP BY cluster_id) d
  JOIN (SELECT count(*) AS records, array_agg(source || record_key ORDER BY source || record_key) AS keys FROM prod.person_members GROUP BY cluster_id) p ON d.anchor = ANY (p.keys);
SELECT count(*) FILTER (WHERE email IS NULL) > 0 AS some_empty, count(DISTINCT source) AS sources, count(DISTINCT country) AS countries FROM dev.person_records;

-- Repeatable by seed, whatever the numbers of clusters and the order of rows; another seed is another sample.
SELECT create_environment('again', owner => 's_owner'), create_environment('other', owner => 's_owner');
SET enable_hashjoin = off; SET enable_hashagg = off;
SELECT count(*) > 0 AS made FROM sample_environment('prod', 'again', 200, strata => '["country"]');
RESET enable_hashjoin; RESET enable_hashagg;
SELECT count(*) > 0 AS made FROM sample_environment('prod', 'other', 200, strata => '["country"]', seed => 7);
SELECT d.key, d.value ->> 'hash' = a.data -> d.key ->> 'hash' AS same_rows, d.value ->> 'hash' = o.data -> d.key ->> 'hash' AS other_seed_same, d.value -> 'sample' AS sample
  FROM configuration c CROSS JOIN jsonb_each(c.data) d, configuration a, configuration o WHERE c.environment = 'dev' AND a.environment = 'again' AND o.environment = 'other' ORDER BY 1;
-- An environment without entities got the configuration too: it can be run at once.
SELECT master('again', 'person') -> 'records' AS records;
-- All of it, when that much is asked for; one record is a cluster at least of each source and stratum.
SELECT sampled = population AS all FROM sample_environment('prod', 'other') WHERE aspect = 'records';
SELECT aspect, subject, sampled FROM sample_environment('prod', 'other', 3) WHERE aspect IN ('records', 'source');

-- Sources that make trouble have a larger share.
UPDATE live.shop SET email = email || 'x' WHERE id <= 10020;
SELECT override_policy('prod', 'refuse_share', 'test') IS NOT NULL AS excepted;
SELECT source_name, change, updated FROM load('prod', 'person') WHERE change <> 'none';
SELECT subject, value, population, sampled > 1.4 * population / 2303.0 * 200 AS larger FROM sample_environment('prod', 'other', 200, problem_weight => 3) WHERE aspect = 'source' ORDER BY 1;

-- A load does not overwrite a sample without being told to.
SELECT * FROM load('dev', 'person', 'shop');
SELECT end_sample('dev', 'person', 'nothing');
SELECT end_sample('dev', 'person', 'shop') AS ended;
SELECT * FROM load('dev', 'person', 'shop');
SELECT * FROM load('dev', 'person', 'crm');

-- Masks. Equal values stay equal, between sources too; words and capitals do not matter; what no mapping reads comes empty.
SELECT subject, aspect, population, sampled FROM sample_environment('prod', 'dev', 200, mask => '{"email": "hash", "person": {"name": "format", "born": "format", "credit": "shuffle", "#key": "format"}}', mask_key => 'correct horse battery')
 WHERE aspect IN ('source', 'value') ORDER BY 1, 2;
SELECT master('dev', 'person') -> 'records' AS records;
SELECT count(*) AS keys_that_stayed FROM dev.person_records d JOIN prod.person_records p USING (source, record_key, email);
SELECT bool_and(name ~ '^[A-Z][a-z]+[0-9]+( [A-Z][a-zA-Z]+[0-9]+)?$') AS names_keep_their_form, bool_and(email ~ '^[0-9a-f]{32}$') AS emails_hashed, bool_and(country IN ('DE', 'FR', 'IT', 'MT')) AS countries_kept FROM dev.person_records;
SELECT count(DISTINCT lower(name)) AS names, count(DISTINCT email) AS emails FROM dev.person_records WHERE cluster_id IN (SELECT id FROM dev.person WHERE sources > 1 ORDER BY id LIMIT 1) AND email IS NOT NULL;
SELECT count(*) AS strangers FROM dev.person_records WHERE email IN (SELECT email FROM prod.person_records) OR name IN (SELECT name FROM prod.person_records);
SELECT bool_and(EXISTS (SELECT FROM prod.person_records p WHERE p.credit = d.credit)) AS credits_of_prod FROM dev.person_records d WHERE credit IS NOT NULL;
SELECT count(ssn) AS social_security_numbers, count(first_name) > 0 AS first_names FROM (SELECT s.* FROM mastering.configuration c, LATERAL mastering.query_as('postgres', (SELECT format('SELECT ssn, first_name FROM %s x', mastering.version_rows(c.data -> 'person/crm'))), 'pg_catalog', true) s (ssn text, first_name text) WHERE c.environment = 'dev') s;
-- The same key gives the same masks, another one others, and none is ever the same.
SELECT data -> 'person/crm' ->> 'content' AS content FROM configuration WHERE environment = 'dev' \gset
SELECT count(*) > 0 AS made FROM sample_environment('prod', 'dev', 200, mask => '{"email": "hash", "person": {"name": "format", "born": "format", "credit": "shuffle", "#key": "format"}}', mask_key => 'correct horse battery');
SELECT data -> 'person/crm' ->> 'content' = :'content' AS same FROM configuration WHERE environment = 'dev';
SELECT count(*) > 0 AS made FROM sample_environment('prod', 'dev', 200, mask => '{"email": "hash", "person": {"name": "format", "born": "format", "credit": "shuffle", "#key": "format"}}');
SELECT data -> 'person/crm' ->> 'content' = :'content' AS same FROM configuration WHERE environment = 'dev';
-- The key is nowhere: not in a table, not in the log, not in an error.
DO $$
DECLARE
    item record;
    hits bigint;
BEGIN
    FOR item IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'mastering'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition LOOP
        EXECUTE format('SELECT count(*) FROM %s t WHERE t::text LIKE ''%%correct horse%%'' OR t::text LIKE ''%%'' || encode(mastering.mask_key_bytes(''correct horse battery''), ''hex'') || ''%%''', item.name) INTO hits;
        IF hits > 0 THEN
            RAISE WARNING '% has the key', item.name;
        END IF;
    END LOOP;
END
$$;
SELECT action, detail - 'rows' AS detail FROM audit_log WHERE environment = 'dev' AND action ~ 'sample' ORDER BY seq DESC LIMIT 2;

-- A model that was trained on masks says so, and gets nowhere.
SELECT train('dev', 'person') -> 'training' -> 'masked' AS masked;
SELECT master('dev', 'person') -> 'records' AS records;
SELECT subject, detail, blocked FROM plan('dev', 'test') WHERE subject LIKE '%/model';
SELECT promote('dev', 'test');
CALL prepare(propose('dev', 'test'));
SELECT promote('dev@nothing', 'test');
-- By a fork, by a merge of another fork, by hand, by the configuration, by a restore:
SELECT fork_environment('dev', 'masked_fork', owner => 's_owner');
SELECT keep_model('masked_fork', 'person', 'kept');
SELECT promote('masked_fork', 'dev') > 0 AS back_to_masks;
SELECT promote('dev', 'test');
SELECT fork_environment('test', 'test_fork', owner => 's_owner');
SELECT set_model('test_fork', 'person', (SELECT content -> 'model' FROM artifact WHERE hash = (SELECT tree ->> 'entity/person/model' FROM configuration WHERE environment = 'dev')));
SELECT * FROM import_config('test', export_config('dev'));
SELECT * FROM import_config('again', export_config('dev'));
SELECT restore('test', 'dev') IS NOT NULL AS data_and_model_together;
SELECT promote('test', 'prod');
SELECT restore('test', 'prod') IS NOT NULL AS restored;
SELECT override_policy('prod', 'direct_changes', 'attempt') IS NOT NULL AS excepted;
SELECT restore('prod', 'dev');
SELECT set_model('prod', 'person', (SELECT content -> 'model' FROM artifact WHERE hash = (SELECT tree ->> 'entity/person/model' FROM configuration WHERE environment = 'dev')));
SELECT promote('dev', 'test', resolve => jsonb_build_object('entity/person/model', 'ours', 'entity/person/models/kept', 'ours')) > 0 AS without_it;
-- Trained again on rows that are what they are, it goes.
SELECT end_sample('dev', 'person') AS ended;
SELECT source_name, change FROM load('dev', 'person') ORDER BY 1;
SELECT drop_model('dev', 'person', 'kept');
SELECT train('dev', 'person') -> 'training' -> 'masked' AS masked;
SELECT master('dev', 'person') -> 'records' AS records;
SELECT promote('dev', 'test', resolve => '{"entity/person/model": "theirs"}') > 0 AS promoted;
SELECT * FROM verify_snapshots(deep => true);
\c :home
DROP DATABASE samples;
DROP ROLE s_owner; DROP ROLE s_admin; DROP ROLE s_author;
