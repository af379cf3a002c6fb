-- Configuration as code: out, as text, back in, on another database; what is wrong in a document is named by its place.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email, '1960-01-01'::date + i AS born FROM generate_series(1, 100) i;
CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(51, 130) i;
SELECT create_environment('k_dev'), create_environment('k_prod', 'k_dev');
SELECT export_config('k_dev');
SELECT config_text(export_config('k_dev'));
SELECT define_entity('k_dev', 'person', '{"name": "text", "email": "varchar(200)", "born": "date"}');
SELECT define_entity('k_dev', 'a "quoted"~thing', '{"Größe / \"x\"": "numeric(10, 2)"}');
SELECT map_source('k_dev', 'person', 'crm', 'input.crm', 'id', '{"name": "name", "email": "lower(email)", "born": "born"}');
SELECT map_source('k_dev', 'person', 'shop', 'input.shop', 'no');
SELECT set_blocking('k_dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]');
SELECT set_comparisons('k_dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
SELECT set_clustering('k_dev', 'person', '{"threshold": 0.9}');
SELECT set_survivorship('k_dev', 'person', '{"default": "most_frequent", "attributes": {"email": "longest"}}');
SELECT set_bounds('k_dev', 'person', '{"clusters": {"max_drop": 0.5}}');
SELECT add_check('k_dev', 'person', 'no "Rome"', 'SELECT id FROM person WHERE name = ''Rome''');
SELECT set_pipeline('k_dev', 'nightly', '{"schedule": "0 3 * * *", "steps": [{"do": "load", "entity": "person"}, {"do": "candidate"}, {"do": "publish"}]}');
SELECT set_pipeline('k_dev', 'nightly', '{"schedule": 3, "steps": []}');
SELECT set_pipeline('k_dev', 'bad', '{"steps": [{"do": "load", "entity": "person"}, {"do": "erase"}]}');
SELECT set_pipeline('k_dev', 'bad', '{"steps": [{"do": "load"}]}');
SELECT set_pipeline('k_dev', 'bad', '{"steps": [{"do": "master", "entity": "person", "source": "crm"}]}');
SELECT config_text(export_config('k_dev'));
SELECT entities FROM environments WHERE name = 'k_dev';
SELECT count(*) FROM load('k_dev', 'person');
SELECT train('k_dev', 'person') ? 'prior' AS trained;
SELECT step, action, result - 'runs' - 'before' - 'after' AS result FROM run_pipeline('k_dev', 'nightly') WHERE action <> 'load';
SELECT count(*) FROM k_dev.person;
SELECT run_pipeline('k_dev', 'daily');

-- The text is JSON, and the same for the same document; a change of one artifact changes its lines.
SELECT config_text(export_config('k_dev'))::jsonb = export_config('k_dev') AS same, config_text(export_config('k_dev')) = config_text(config_text(export_config('k_dev'))::jsonb) AS canonical;
SELECT export_config('k_dev') AS config \gset
SELECT set_clustering('k_dev', 'person', '{"threshold": 0.8}');
WITH before AS (SELECT * FROM regexp_split_to_table(config_text(:'config'), E'\n') WITH ORDINALITY x (line, n)), after AS (SELECT * FROM regexp_split_to_table(config_text(export_config('k_dev')), E'\n') WITH ORDINALITY x (line, n))
SELECT b.line AS before, a.line AS after FROM before b FULL JOIN after a USING (n) WHERE b.line IS DISTINCT FROM a.line;
-- No line is of this server.
SELECT config_text(:'config') ~ (SELECT string_agg(oid::text, '|') FROM pg_class WHERE relnamespace = 'input'::regnamespace) AS oids, config_text(:'config') ~ current_database() AS database;

-- Back in: changes what differs, then nothing; a dry run changes nothing at all.
SELECT path, change FROM import_config('k_dev', :'config', dry_run => true) WHERE change <> 'same';
SELECT export_config('k_dev') = :'config' AS as_before;
SELECT path, change FROM import_config('k_dev', :'config') WHERE change <> 'same';
SELECT export_config('k_dev') = :'config' AS same;
SELECT max(seq) AS seq FROM audit_log WHERE environment = 'k_dev' \gset
SELECT change, count(*) FROM import_config('k_dev', :'config') GROUP BY 1;
SELECT count(*) AS entries FROM audit_log WHERE environment = 'k_dev' AND seq > :seq;
SELECT action, detail - 'hash' AS detail FROM audit_log WHERE environment = 'k_dev' AND action LIKE 'import%';
SELECT entity_name, outcome FROM backfill('k_dev', 'person');
SELECT * FROM import_config('k_dev', jsonb_set(:'config', '{bindings,person/crm}', '"input.shop"')) WHERE path LIKE 'binding/%';
SELECT path, change FROM import_config('k_dev', :'config'::jsonb #- '{artifacts,entity/person/bounds}') WHERE change <> 'same';
SELECT path, change FROM import_config('k_dev', :'config') WHERE change <> 'same';
SELECT export_config('k_dev') = :'config' AS same;

-- It is promoted like the rest, and any state can be exported.
SELECT promote('k_dev', 'k_prod') > 0 AS promoted;
SELECT export_config('k_prod') = export_config('k_dev') AS same;
SELECT set_clustering('k_dev', 'person', '{"threshold": 0.8}');
SELECT promote('k_dev', 'k_prod') > 0 AS promoted;
SELECT export_config('k_prod~1') = :'config' AS state_before;

-- On another database: what is bound there, and what is missing.
SELECT export_config('k_prod~1') AS config \gset
SELECT current_database() AS here \gset
CREATE DATABASE mastering_config_other TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
\c mastering_config_other
SET client_min_messages = warning;
CREATE EXTENSION mastering;
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email, '1960-01-01'::date + i AS born FROM generate_series(1, 100) i;
SELECT create_environment('elsewhere');
SELECT * FROM import_config('elsewhere', :'config');
SELECT export_config('elsewhere') -> 'artifacts' = :'config'::jsonb -> 'artifacts' AS same;
SELECT change, count(*) FROM import_config('elsewhere', :'config') GROUP BY 1 ORDER BY 1;
SELECT * FROM load('elsewhere', 'person');
CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(51, 130) i;
SELECT path, change FROM import_config('elsewhere', :'config') WHERE change <> 'same';
SELECT step, action FROM run_pipeline('elsewhere', 'nightly');
SELECT count(*) FROM elsewhere.person;
SELECT drop_environment('elsewhere');
\c :here
SET client_min_messages = warning;
SET search_path = public, mastering;
\set SHOW_CONTEXT never
DROP DATABASE mastering_config_other;

-- Kept models and labels are configuration too; clusters follow the labels.
SELECT keep_model('k_dev', 'person', 'first');
SELECT path, change FROM import_config('k_dev', jsonb_set(export_config('k_dev'), '{artifacts,entity/person/labels}', '{"matches": [["crm", "1", "shop", "N130"]], "non_matches": [["crm", "60", "shop", "N60"]]}')) WHERE change <> 'same';
SELECT entity_name, outcome FROM backfill('k_dev', 'person');
SELECT source, record_key, cluster_id = (SELECT m.cluster_id FROM k_dev.person_members m WHERE m.source = 'crm' AND m.record_key = CASE p.record_key WHEN 'N130' THEN '1' ELSE '60' END) AS same
  FROM k_dev.person_members p WHERE source = 'shop' AND record_key IN ('N60', 'N130') ORDER BY 2;

-- What is wrong is named by its place, all of it at once, and nothing is changed.
SELECT export_config('k_dev') AS config \gset
CREATE FUNCTION input.try(change jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    config jsonb := mastering.export_config('k_dev');
    detail text;
BEGIN
    config := jsonb_set(config, '{artifacts}', (config -> 'artifacts') || change);
    PERFORM mastering.import_config('k_dev', config);
    RETURN 'went through';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || E'\n' || detail;
END $$;
SELECT import_config('k_dev', '[]');
SELECT import_config('k_dev', '{"mastering": 2, "artifacts": {}}');
SELECT import_config('k_dev', '{"mastering": 1, "artifacts": {}, "more": 1}');
SELECT import_config('k_dev', NULL);
\pset format unaligned
\pset tuples_only on
SELECT input.try('{"nonsense": {}}');
SELECT input.try('{"entity": {}}');
SELECT input.try('{"entity//check/x": {}}');
SELECT input.try('{"entity/person/nonsense": {}}');
SELECT input.try('{"entity/person/source/crm/more": {}}');
SELECT input.try('{"entity/nobody/clustering": {}}');
SELECT input.try('{"entity/x": {"attributes": {"name": "text"}}}');
SELECT input.try('{"entity/x": {"attributes": [{"name": "n", "type": "no such type"}]}}');
SELECT input.try('{"entity/x": {"attributes": [{"name": "id", "type": "text"}]}}');
SELECT input.try('{"entity/x_records": {"attributes": [{"name": "n", "type": "text"}]}}');
SELECT input.try('{"entity/person/source/crm": {"key": "id", "mapping": {}}}');
SELECT input.try('{"entity/person/source/crm": {"key": ["no"], "mapping": {}}}');
SELECT input.try('{"entity/person/source/crm": {"key": ["id"], "mapping": {"nothing": "name"}}}');
SELECT input.try('{"entity/person/source/crm": {"key": ["id"], "mapping": {"name": "(SELECT 1)"}}}');
SELECT input.try('{"entity/person/source/crm": {"key": ["id"], "mapping": {"name": "name) FROM pg_authid --"}}}');
SELECT input.try('{"entity/person/source/crm": {"key": ["id"], "mapping": {"name": "random()::text"}}}');
SELECT input.try('{"entity/person/source/crm": {"key": ["id"], "mapping": {"name": "town"}}}');
SELECT input.try('{"entity/person/blocking": [{"keys": ["emial"]}]}');
SELECT input.try('{"entity/person/blocking": {"keys": ["email"]}}');
SELECT input.try('{"entity/person/blocking": [{"keys": ["email"]}, {"kyes": ["email"]}]}');
SELECT input.try('{"entity/person/comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [2]}]}');
SELECT input.try('{"entity/person/comparisons": [{"column": "name", "method": "exact"}, {"column": "name", "method": "no such method"}]}');
SELECT input.try('{"entity/person/clustering": {"treshold": 1}}');
SELECT input.try('{"entity/person/survivorship": {"default": "no such rule"}}');
SELECT input.try('{"entity/person/model": {"model": {}, "spec": null}}');
SELECT input.try('{"entity/person/model": {"prior": 1}}');
SELECT input.try(jsonb_build_object('entity/person/model', jsonb_set(export_config('k_dev') #> '{artifacts,entity/person/model}', '{model,comparisons,0,levels}', '7')));
SELECT input.try('{"entity/person/models/x": {"model": {"blocking": 7}}}');
SELECT input.try('{"entity/person/labels": {"matches": [["crm", "60"]]}}');
SELECT input.try('{"entity/person/labels": {"matches": [["crm", "60", "shop", 7]]}}');
SELECT input.try('{"entity/person/labels": {"maybe": []}}');
SELECT input.try('{"entity/person/check/x": {"query": "SELECT 1", "severity": "fatal", "stage": "run"}}');
SELECT input.try('{"entity/person/check/x": {"query": 1, "severity": "warn", "stage": "run"}}');
SELECT input.try('{"entity/person/check/x": {"query": "SELECT 1", "severity": "warn", "stage": "run", "limit": 3}}');
SELECT input.try('{"entity/person/check/x": {"query": "", "severity": "warn", "stage": "run"}}');
SELECT input.try('{"entity/person/bounds": {"clusters": {"most": 1}}}');
SELECT input.try('{"pipeline/x": {"steps": [{"do": "master", "entity": "person"}, {"do": "nothing"}]}}');
SELECT input.try('{"pipeline/x": {"steps": [{"do": "nothing"}]}, "entity/person/clustering": {"treshold": 1}, "entity/person/blocking": 7}');
\pset format aligned
\pset tuples_only off
SELECT import_config('k_dev', jsonb_set(:'config', '{bindings}', '{"person/crm": "crm", "person/none": "input.crm", "person/shop": 7}'));
SELECT export_config('k_dev') = :'config' AS as_before;
-- A relation that is not there cannot be looked into: the expression is judged when it is loaded.
SELECT path, change, detail FROM import_config('k_dev', jsonb_set(jsonb_set(:'config', '{artifacts,entity/person/source/new}', '{"key": ["id"], "mapping": {"name": "town"}}'), '{bindings,person/new}', '"nowhere.at_all"')) WHERE change <> 'same';
SELECT change, path FROM import_config('k_dev', :'config') WHERE change <> 'same';

-- Who may.
CREATE ROLE k_owner; CREATE ROLE k_author; CREATE ROLE k_reviewer; CREATE ROLE k_consumer;
SELECT create_environment('own', owner => 'k_owner'), grant_role('own', 'author', 'k_author'), grant_role('own', 'reviewer', 'k_reviewer'), grant_role('own', 'consumer', 'k_consumer');
SET ROLE k_author;
SELECT import_config('own', :'config');
RESET ROLE;
SELECT grant_role('own', 'curator', 'k_author');
SET ROLE k_author;
SELECT change, path, detail FROM import_config('own', :'config') WHERE change <> 'added';
SELECT export_config('k_dev');
SELECT import_config('k_dev', :'config');
SET ROLE k_reviewer;
SELECT export_config('own') ? 'artifacts' AS reads;
SELECT import_config('own', :'config');
SELECT set_pipeline('own', 'x', '{"steps": []}');
SELECT run_pipeline('own', 'nightly');
SELECT mastering.valid_artifact(NULL, '{}', 'x', '{}', NULL);
SET ROLE k_consumer;
SELECT export_config('own');
RESET ROLE;
SELECT drop_pipeline('k_dev', 'nightly');
SELECT drop_pipeline('k_dev', 'nightly');
SELECT drop_environment('own'), drop_environment('k_prod'), drop_environment('k_dev');
DROP SCHEMA input CASCADE;
DROP ROLE k_owner, k_author, k_reviewer, k_consumer;
