-- From three source tables to golden records in Dev, Test and Prod: load, train, run, promote, a gate, a rollback.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm (id int PRIMARY KEY, first_name text, last_name text, email text, city text, born date);
CREATE TABLE input.shop (no text, company int, full_name text, mail text, town text, PRIMARY KEY (no, company));
CREATE TABLE input.news (mail text PRIMARY KEY, "Full Name" text);
INSERT INTO input.crm SELECT i, 'First' || md5(i::text), 'Last' || md5((i * 7)::text), 'mail' || i || '@example.org', (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3], '1960-01-01'::date + i FROM generate_series(1, 300) i;
INSERT INTO input.shop SELECT 'N' || i, 7, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text), 'mail' || i || '@example.org', (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] FROM generate_series(201, 400) i;
INSERT INTO input.news SELECT 'mail' || i || '@example.org', 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) FROM generate_series(281, 420) i;

SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', promotes_from => 'test');
SELECT create_environment('dev');
SELECT create_environment('a_next');
SELECT create_environment('later', 'nowhere');

SELECT define_entity('dev', 'customer', '{"name": "text", "email": "text", "city": "text", "born": "date"}');
SELECT define_entity('dev', 'customer_records', '{"name": "text"}');
SELECT define_entity('dev', 'bad', '{"name": "no such type"}');
SELECT define_entity('dev', 'bad', '{"id": "text"}');
SELECT define_entity('dev', 'bad', '[]');
SELECT map_source('dev', 'customer', 'crm', 'input.crm', 'id', '{"name": "first_name || '' '' || last_name", "email": "lower(email)", "city": "city", "born": "born"}');
SELECT map_source('dev', 'customer', 'shop', 'input.shop', 'no, company', '{"name": "full_name", "email": "mail", "city": "town"}');
SELECT map_source('dev', 'customer', 'news', 'input.news', 'mail', '{"name": "\"Full Name\"", "email": "mail"}');
SELECT map_source('dev', 'customer', 'x', 'input.crm', 'no_such_column', '{"name": "first_name"}');
SELECT map_source('dev', 'customer', 'x', 'crm_nowhere', 'id', '{"name": "first_name"}');
SELECT map_source('dev', 'customer', 'x', 'input.crm', 'id', '{"no_such_attribute": "first_name"}');
SELECT map_source('dev', 'customer', 'x', 'input.crm', 'id', '{"name": "no_such_column"}');
SELECT map_source('dev', 'customer', 'x', 'input.crm', 'id', '{"name": "random()::text"}');
SELECT map_source('dev', 'nothing', 'x', 'input.crm', 'id', '{"name": "first_name"}');
SELECT * FROM master('dev', 'customer');

SELECT * FROM load('dev', 'customer');
SELECT * FROM load('dev', 'customer');
SELECT * FROM master('dev', 'customer');
SELECT set_blocking('dev', 'customer', '[{"keys": ["email"]}, {"keys": ["name"]}]');
SELECT set_comparisons('dev', 'customer', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}, {"column": "city", "method": "exact"}]');
SELECT set_clustering('dev', 'customer', '{"threshold": 0.9}');
SELECT set_clustering('dev', 'customer', '{"treshold": 0.9}');
SELECT train('dev', 'customer') ? 'prior' AS trained;
SELECT master('dev', 'customer');
SELECT count(*), sum(records) AS records, max(records), max(sources) FROM dev.customer;
SELECT source, count(*), count(cluster_id) FROM dev.customer_records GROUP BY 1 ORDER BY 1;
SELECT record_key FROM dev.customer_members WHERE source = 'shop' ORDER BY record_key COLLATE "C" LIMIT 2;
SELECT c.name = 'First' || md5('300') || ' Last' || md5('2100') AS name, c.email, c.city, c.born, c.records, c.sources
  FROM dev.customer c JOIN dev.customer_members m ON m.cluster_id = c.id WHERE m.source = 'crm' AND m.record_key = '300';
SELECT l.attribute, l.source, l.record_key, l.rule FROM dev.customer_lineage l JOIN dev.customer_members m ON m.cluster_id = l.id
 WHERE m.source = 'crm' AND m.record_key = '300' AND l.attribute IN ('born', 'city') ORDER BY 1;
SELECT event, count(*) FROM dev.customer_history GROUP BY 1;
-- Run again: nothing to do, nothing written.
SELECT count(*) AS segments FROM mastering.segment \gset
SELECT master('dev', 'customer');
SELECT count(*) = :segments AS nothing_written FROM mastering.segment;

-- Data change: ids stay, only what differs is written.
CREATE TABLE before AS SELECT * FROM dev.customer_members;
UPDATE input.crm SET city = 'Bonn' WHERE id = 5;
DELETE FROM input.crm WHERE id IN (6, 250);
INSERT INTO input.crm VALUES (3001, 'Nova', 'Newman', 'nova@example.org', 'Rome', '2000-02-29');
UPDATE input.shop SET full_name = 'First' || md5('5') || ' Last' || md5('35'), mail = 'mail5@example.org' WHERE no = 'N270';
SELECT * FROM load('dev', 'customer');
SELECT master('dev', 'customer');
SELECT count(*) AS same_id FROM dev.customer_members n JOIN before b USING (source, record_key, cluster_id);
SELECT event, count(*), count(other_id) AS with_other FROM dev.customer_history GROUP BY 1 ORDER BY 1;
SELECT city, records FROM dev.customer JOIN dev.customer_members m ON m.cluster_id = id WHERE source = 'crm' AND record_key = '5';
SELECT max(row_count) AS rows_of_new_segments, count(*) FROM (SELECT row_count FROM mastering.segment ORDER BY segment_id DESC LIMIT 6) s;
SELECT h.versions -> 'customer' ->> 'rows' = count(*)::text AS version_agrees FROM mastering.head h, dev.customer WHERE h.environment = 'dev' GROUP BY h.versions;

-- Up to Prod: the data that the stages load are the same, so nothing is written twice.
SELECT count(*) AS segments FROM mastering.segment \gset
SELECT * FROM plan('dev', 'test');
SELECT promote('dev', 'test', 'first') > 0 AS promoted;
SELECT promote('test', 'prod', 'first') > 0 AS promoted;
SELECT count(*) = :segments AS nothing_written FROM mastering.segment;
SELECT count(*), sum(records) AS records FROM prod.customer;
SELECT promote('dev', 'prod');
SELECT promote('prod', 'dev');

-- A gate stops a bad change in Test, and says so afterwards.
SELECT add_check('dev', 'customer', 'no city Rome', 'SELECT id, city FROM customer WHERE city = ''Rome'';');
SELECT add_check('dev', 'customer', 'x', 'DELETE FROM customer');
SELECT add_check('dev', 'customer', 'x', 'SELECT 1', severity => 'fatal');
SELECT promote('dev', 'test', 'with a gate');
SELECT kind, source, target, state, message, error FROM releases ORDER BY release_id;
SELECT environment, check_name, stage, severity, passed, row_count, sample -> 0 ->> 'city' AS city FROM check_results;
SELECT count(*) FROM diff('test', 'dev');
SELECT add_check('dev', 'customer', 'no city Rome', 'SELECT id FROM customer WHERE city = ''Rome''', severity => 'warn');
SELECT promote('dev', 'test', 'with a warning') > 0 AS promoted;
SELECT promote('test', 'prod', 'with a warning', dry_run => true) IS NULL AS nothing_done;
SELECT count(*) FROM diff('prod', 'test');

-- Another one gets to Prod and is rolled back; data loaded meanwhile stay.
SELECT snapshot('prod', tag => 'good');
SELECT set_survivorship('dev', 'customer', '{"default": "shortest"}');
SELECT master('dev', 'customer') ->> 'reused' AS reused;
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;
INSERT INTO input.news VALUES ('late@example.org', 'Late Comer');
SELECT * FROM load('prod', 'customer', 'news');
SET client_min_messages = notice;    -- with the call that takes them up
SELECT rollback('prod', reason => 'too short') AS way_back \gset
CALL prepare(:way_back);
SELECT promote_release(:way_back);
SET client_min_messages = warning;
SELECT count(*) FROM diff('prod', 'prod@good');
SELECT message, state FROM releases WHERE target = 'prod' AND kind = 'promotion' AND state <> 'failed' ORDER BY release_id;
SELECT * FROM load('prod', 'customer', 'news');
SELECT master('prod', 'customer') ->> 'records' AS records;
SELECT count(*) FROM prod.customer WHERE email = 'late@example.org';
SELECT promote('test', 'prod');
SELECT release_hold('prod', max(release_id)) FROM releases WHERE target = 'prod' AND state = 'rolled back';
SELECT promote('test', 'prod') > 0 AS promoted;
SELECT rollback('prod', to_state => 'prod@good', what => 'all') > 0 AS rolled_back;
SELECT count(*) FROM prod.customer WHERE email = 'late@example.org';
SELECT path, change FROM diff('prod@good', '#' || (SELECT left(hash, 20) FROM snapshots WHERE environment = 'test' ORDER BY created_at DESC LIMIT 1));
SELECT * FROM diff('prod', 'nowhere@never');

-- In steps: propose, prepare, promote; what changed meanwhile is noticed.
SELECT release_hold('prod', max(release_id)) FROM releases WHERE target = 'prod' AND state = 'rolled back';
SELECT propose('test', 'prod', 'in steps') AS release \gset
CALL prepare(:release);
SELECT count(*) > 0 AS readable_before FROM prod_next.customer;
SELECT state FROM releases WHERE release_id = :release;
SELECT promote_release(:release) = :release AS promoted;
SELECT promote_release(:release);
SELECT set_survivorship('dev', 'customer', '{"default": "longest"}');
SELECT propose('dev', 'test') AS release \gset
SELECT set_survivorship('dev', 'customer', '{"default": "most_frequent"}');
SELECT promote_release(:release);
SELECT promote('dev', 'test', expected_head => '0123456789ab');

-- Attributes added, retyped, dropped, renamed: published views change with the run, and what others use stays.
CREATE VIEW input.report AS SELECT id, name, city FROM dev.customer;
SELECT define_entity('dev', 'customer', '{"name": "text", "email": "text", "born": "timestamp", "country": "text"}');
SELECT map_source('dev', 'customer', 'crm', 'input.crm', 'id', '{"name": "first_name || '' '' || last_name", "email": "lower(email)", "born": "born", "country": "''DE''"}');
SELECT map_source('dev', 'customer', 'shop', 'input.shop', 'no, company', '{"name": "full_name", "email": "mail"}');
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'dev.customer'::regclass AND attnum > 0;
SELECT set_comparisons('dev', 'customer', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
SELECT master('dev', 'customer');
SELECT train('dev', 'customer') ? 'prior' AS trained;
SELECT master('dev', 'customer');
DROP VIEW input.report;
SELECT master('dev', 'customer') ->> 'records' AS records;
SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'dev.customer'::regclass AND attnum > 0;
SELECT count(country) > 0 AS country, count(*) > 0 AS rows FROM dev.customer;
SELECT count(DISTINCT r.cluster_id) > 0 AS records FROM dev.customer_records r;
CREATE VIEW input.report AS SELECT id, name, country FROM dev.customer;
SELECT define_entity('dev', 'customer', '{"name": "text", "email": "text", "born": "timestamp"}');
SELECT map_source('dev', 'customer', 'crm', 'input.crm', 'id', '{"name": "first_name || '' '' || last_name", "email": "lower(email)", "born": "born"}');
SELECT master('dev', 'customer') ->> 'records' AS records;
SELECT count(*) > 0 AS rows, count(country) AS country FROM input.report;

-- The log is one chain that agrees with its hashes, and nobody changes it.
SELECT environment, count(*) > 0 AS entries, bool_and(entry_hash = mastering.audit_hash(a)) AS hashes, bool_and(previous_hash = coalesce(previous, '')) AS chain
  FROM (SELECT e AS a, e.hash AS entry_hash, e.environment, e.previous_hash, lag(e.hash) OVER (PARTITION BY environment ORDER BY seq) AS previous FROM mastering.audit_entry e) x GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM mastering.audit_pending;
UPDATE mastering.audit_entry SET action = 'nothing';
TRUNCATE mastering.audit_entry;
UPDATE mastering.snapshot SET message = 'x';
SELECT seq, action, role = current_user AS by_us FROM audit_log WHERE environment = 'test' ORDER BY seq;
SELECT drop_environment('test');
DROP VIEW input.report;
SELECT drop_environment('prod'), drop_environment('test'), drop_environment('dev');
SELECT count(*) FROM environments;
DROP TABLE before;
DROP SCHEMA input CASCADE;
