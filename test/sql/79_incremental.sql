-- A run after a small change: what it says, when it goes over all records after all, and that it gives what a full run gives.
-- In a database of its own: what it leaves in logs is not for other tests.
SELECT current_database() AS home \gset
CREATE DATABASE incremental;
\c incremental
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
SELECT setval('mastering.cluster_id', 5900000);
CREATE ROLE i_owner; CREATE ROLE i_loader; CREATE ROLE i_none;
CREATE SCHEMA inc;
CREATE TABLE inc.crm AS SELECT i AS id, 'First' || i % 40 || ' Last' || md5((i % 160)::text) AS name, 'mail' || i % 160 || '@example.org' AS email, (ARRAY['Ulm', 'Bonn', 'Kiel'])[1 + i % 3] AS city FROM generate_series(1, 200) i;
CREATE TABLE inc.shop AS SELECT i AS id, 'First' || i % 40 || ' Last' || md5((i % 160)::text) AS name, 'mail' || i % 160 || '@example.org' AS email, NULL::text AS city FROM generate_series(100, 150) i;
GRANT USAGE ON SCHEMA inc TO i_owner;
GRANT SELECT ON inc.crm, inc.shop TO i_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('i1', owner => 'i_owner'), grant_role('i1', 'loader', 'i_loader');
SELECT define_entity('i1', 'p', '{"name": "text", "email": "text", "city": "text"}'), map_source('i1', 'p', 'crm', 'inc.crm', 'id'), map_source('i1', 'p', 'shop', 'inc.shop', 'id'),
       set_blocking('i1', 'p', '["email", "name"]'), set_comparisons('i1', 'p', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92]}, {"column": "email", "method": "exact"}, {"column": "city", "method": "exact"}]');
SELECT change FROM load('i1', 'p');
SELECT train('i1', 'p') IS NOT NULL AS trained;
-- Nothing is published: all of it, and nothing to say about that.
SELECT master('i1', 'p', dry_run => true);
SELECT master('i1', 'p');
SELECT master('i1', 'p', dry_run => true);
SELECT master('i1', 'p') -> 'reused' AS reused;
-- What it shows beside what a run over everything gives.
CREATE FUNCTION inc.same() RETURNS boolean LANGUAGE sql AS $$
    WITH wanted AS (SELECT c.id, min(c.id) OVER (PARTITION BY c.cluster_id) AS cluster
                      FROM mastering.match_clusters('SELECT source || '':'' || record_key AS id, source, name, email, city FROM i1.p_records',
                               (SELECT mastering.model_of(c.tree, 'i1', 'p') FROM mastering.configuration c WHERE c.environment = 'i1')) c),
         shown AS (SELECT m.source || ':' || m.record_key AS id, min(m.source || ':' || m.record_key) OVER (PARTITION BY m.cluster_id) AS cluster FROM i1.p_members m)
    SELECT NOT EXISTS (SELECT * FROM wanted EXCEPT SELECT * FROM shown) AND NOT EXISTS (SELECT * FROM shown EXCEPT SELECT * FROM wanted)
       AND NOT EXISTS (SELECT FROM i1.p_lineage l LEFT JOIN i1.p_members m ON m.cluster_id = l.id AND m.source = l.source AND m.record_key = l.record_key WHERE m.source IS NULL)
       AND NOT EXISTS (SELECT FROM i1.p g FULL JOIN (SELECT m.cluster_id, count(*) AS n FROM i1.p_members m GROUP BY 1) m ON m.cluster_id = g.id WHERE g.records IS DISTINCT FROM m.n)
$$;
SELECT inc.same();
-- One record is new, one is another's by now, one is gone that held a cluster of three together with one more.
SELECT m.cluster_id AS cluster_1 FROM i1.p_members m WHERE m.source = 'crm' AND m.record_key = '1' \gset
SELECT m.cluster_id AS cluster_110 FROM i1.p_members m WHERE m.source = 'crm' AND m.record_key = '110' \gset
INSERT INTO inc.crm VALUES (1000, 'First5 Last' || md5('5'), 'mail5@example.org', 'Ulm');
UPDATE inc.crm SET name = 'First30 Last' || md5('110'), email = 'mail110@example.org' WHERE id = 1;
DELETE FROM inc.crm WHERE id = 170;
SELECT source_name, inserted, updated, deleted FROM load('i1', 'p');
SELECT master('i1', 'p', dry_run => true);
SET ROLE i_loader;
SELECT master('i1', 'p');
RESET ROLE;
SELECT inc.same(), (SELECT m.cluster_id FROM i1.p_members m WHERE m.source = 'crm' AND m.record_key = '1') = :cluster_110 AS joined_the_other,
       (SELECT string_agg(m.source || ':' || m.record_key, ' ' ORDER BY 1) FROM i1.p_members m WHERE m.cluster_id = :cluster_1) AS left_behind;
SELECT event, count(*) FROM i1.p_history WHERE at = (SELECT max(at) FROM i1.p_history) GROUP BY 1 ORDER BY 1;
SELECT kind, how, counters -> 'records' AS records, counters -> 'clusters' AS clusters FROM runs WHERE environment = 'i1' ORDER BY run_id;
-- Only what differs was written.
SELECT t.kind, g.row_count FROM segment g JOIN store t USING (store_id) WHERE t.entity = 'p' AND g.segment_id > (SELECT min(x.segment_id) FROM segment x JOIN store y USING (store_id) WHERE y.entity = 'p' AND y.kind = 'lineage') AND t.kind IN ('members', 'golden', 'lineage') ORDER BY 1;
-- Everything that brings the clusters back, beside a table of the session's own with a name of ours.
CREATE TEMP TABLE mastering_unchanged (label text);
DELETE FROM inc.crm WHERE id IN (1, 1000);
INSERT INTO inc.crm VALUES (1, 'First1 Last' || md5('1'), 'mail1@example.org', 'Bonn'), (170, 'First10 Last' || md5('10'), 'mail10@example.org', 'Kiel');
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p') #>> '{how,run}' AS run, inc.same();
-- A steward's word and its end reach what they name.
SELECT merge_clusters('i1', 'p', ARRAY[a.cluster_id, b.cluster_id]) AS decision FROM i1.p_members a, i1.p_members b WHERE a.source = 'crm' AND a.record_key = '20' AND b.source = 'crm' AND b.record_key = '60' \gset
SELECT master('i1', 'p') - 'entity' AS merged;
SELECT end_curation('i1', :decision);
SELECT master('i1', 'p', dry_run => true) ->> 'run' AS run;
SELECT master('i1', 'p') -> 'how' AS how, inc.same();
-- A locked cluster is looked at whenever something changed, and stays as it is.
SELECT lock_cluster('i1', 'p', m.cluster_id) > 0 AS locked FROM i1.p_members m WHERE m.source = 'crm' AND m.record_key = '20';
INSERT INTO inc.crm VALUES (1001, 'First20 Last' || md5('20'), 'mail20@example.org', 'Bonn');
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p') - 'entity' AS locked;
SELECT m.cluster_id = (SELECT x.cluster_id FROM i1.p_members x WHERE x.source = 'crm' AND x.record_key = '20') AS in_it FROM i1.p_members m WHERE m.source = 'crm' AND m.record_key = '1001';
-- When it goes over all records: because it is told to,
UPDATE inc.crm SET city = 'Trier' WHERE id = 30;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p', full => true, dry_run => true);
SELECT master('i1', 'p', full => true) -> 'how' AS how;
-- because much changed,
UPDATE inc.crm SET city = 'Trier' WHERE id < 50;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p', dry_run => true);
SELECT master('i1', 'p') -> 'how' AS how;
-- because it is another model,
SELECT set_clustering('i1', 'p', '{"threshold": 0.9}');
SELECT master('i1', 'p', dry_run => true);
SELECT master('i1', 'p') -> 'how' AS how;
-- because a mapping is another,
SELECT map_source('i1', 'p', 'shop', 'inc.shop', 'id', '{"name": "name", "email": "lower(email)", "city": "city"}');
SELECT master('i1', 'p') -> 'how' AS how;
-- because a record was erased,
SELECT count(*) > 0 AS erased FROM erase('p', 'crm', '31', 'request 1');
UPDATE inc.crm SET city = 'Kiel' WHERE id = 32;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p') -> 'how' AS how;
UPDATE inc.crm SET city = 'Ulm' WHERE id = 32;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p') #>> '{how,run}' AS run;
-- because the model says of two records what others decide,
SELECT set_blocking('i1', 'p', '[{"keys": ["name"], "top_k": 5}, "email"]'), train('i1', 'p') IS NOT NULL AS trained;
SELECT master('i1', 'p') #>> '{how,because}' AS because;
UPDATE inc.crm SET city = 'Kiel' WHERE id = 33;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p', dry_run => true);
-- Which is said, with what to do about it.
SET client_min_messages = notice;
SELECT master('i1', 'p') #>> '{how,because}' AS because;
SET client_min_messages = error;
-- because a block has become too large.
SELECT set_blocking('i1', 'p', '[{"keys": ["city"], "max_block": 60}, "email"]'), train('i1', 'p') IS NOT NULL AS trained;
SELECT master('i1', 'p') #>> '{how,because}' AS because;
UPDATE inc.crm SET city = 'Hof' WHERE id < 15;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p') #>> '{how,run}' AS run;
UPDATE inc.crm SET city = 'Ulm' WHERE id BETWEEN 60 AND 74;
SELECT count(*) FROM load('i1', 'p');
SELECT master('i1', 'p') #>> '{how,because}' AS because;
SELECT set_blocking('i1', 'p', '["email", "name"]'), train('i1', 'p') IS NOT NULL AS trained;
SELECT master('i1', 'p') #>> '{how,because}' AS because;
-- A promotion, too, goes over what changed where it can, and the plan says so.
SELECT create_environment('i2', 'i1', owner => 'i_owner');
SELECT promote('i1', 'i2') > 0 AS promoted;
UPDATE inc.crm SET city = 'Ulm' WHERE id BETWEEN 80 AND 82;
SELECT count(*) FROM load('i2', 'p');
SELECT set_survivorship('i1', 'p', '{"default": "longest"}');
SELECT action, detail FROM plan('i1', 'i2') WHERE action = 'master';
SELECT promote('i1', 'i2') > 0 AS promoted;
SELECT kind, how FROM runs WHERE environment = 'i2' ORDER BY run_id DESC LIMIT 1;
-- What comes in is held against what the model was made of: towns that it does not know, and ages that are missing.
CREATE TABLE inc.people AS SELECT i AS id, 'First' || i % 1200 % 37 || ' Last' || md5((i % 1200)::text) AS name, (ARRAY['Ulm', 'Bonn', 'Kiel', 'Hof'])[1 + i % 4] AS town, 20 + i % 60 AS age FROM generate_series(1, 1500) i;
GRANT SELECT ON inc.people TO i_owner;
SELECT define_entity('i1', 'q', '{"name": "text", "town": "text", "age": "int"}'), map_source('i1', 'q', 'people', 'inc.people', 'id'), set_blocking('i1', 'q', '["name"]'),
       set_comparisons('i1', 'q', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92]}, {"column": "town", "method": "exact", "term_frequency": true}]');
SELECT change FROM load('i1', 'q');
SELECT train('i1', 'q') IS NOT NULL AS trained;
SELECT master('i1', 'q') - 'entity' AS first;
SET client_min_messages = warning;
INSERT INTO inc.people SELECT 2000 + i, 'New' || i % 37 || ' Last' || md5((i * 13)::text), (ARRAY['Ulm', 'Bonn', 'Kiel', 'Hof'])[1 + i % 4], 20 + i % 60 FROM generate_series(1, 220) i;
SELECT inserted FROM load('i1', 'q');
SELECT master('i1', 'q') #>> '{how,run}' AS run;
SELECT counter, after FROM run_counters('i1', 'q') WHERE counter LIKE 'drift.%';
INSERT INTO inc.people SELECT 3000 + i, 'Newer' || i % 37 || ' Last' || md5((i * 17)::text), CASE WHEN i % 3 = 0 THEN 'Atlantis' ELSE 'Ulm' END, CASE WHEN i % 2 = 0 THEN i % 60 END FROM generate_series(1, 250) i;
SELECT inserted FROM load('i1', 'q');
SELECT master('i1', 'q') #>> '{how,run}' AS run;
SELECT counter, after FROM run_counters('i1', 'q') WHERE counter LIKE 'drift.%';
-- Many that share a name, in another town each time: large blocks, and links of other weights than those of the run over all.
INSERT INTO inc.people SELECT 5000 + i, 'First' || i % 30 || ' Last' || md5((i % 30)::text || 'x'), (ARRAY['Ulm', 'Bonn', 'Kiel', 'Hof'])[1 + i / 30 % 4], 20 + i % 60 FROM generate_series(1, 240) i;
SELECT inserted FROM load('i1', 'q');
SELECT master('i1', 'q') #>> '{how,run}' AS run;
SELECT counter, after FROM run_counters('i1', 'q') WHERE counter ~ '^drift.(blocks|scores)';
-- A bound makes it a gate.
SELECT set_bounds('i1', 'q', '{"drift.present.age": {"min": -0.1}}');
INSERT INTO inc.people SELECT 4000 + i, 'Newest' || i % 37 || ' Last' || md5((i * 19)::text), 'Ulm', NULL FROM generate_series(1, 250) i;
SELECT inserted FROM load('i1', 'q');
SELECT master('i1', 'q') #>> '{how,run}' AS run;
SET client_min_messages = error;
-- Not everybody may ask.
SET ROLE i_none;
SELECT master('i1', 'p', dry_run => true);
RESET ROLE;
-- What is left alone is found in one go, however little memory a statement has.
SET work_mem = '64kB';
SET statement_timeout = '10s';
BEGIN;
CREATE TEMP TABLE mastering_partition ON COMMIT DROP AS SELECT 's'::text AS source, i::text AS key, 's:' || i AS label FROM generate_series(1, 40000) i;
CREATE TEMP TABLE mastering_come ON COMMIT DROP AS SELECT p.source, p.key FROM pg_temp.mastering_partition p WHERE p.key::int > 10;
CREATE TEMP TABLE mastering_member ON COMMIT DROP AS SELECT p.source AS "#source", p.key AS "#key", p.key::bigint AS "#cluster" FROM pg_temp.mastering_partition p;
CREATE TEMP TABLE mastering_overlap ON COMMIT DROP AS SELECT p.label, p.key::bigint AS cluster, 1::bigint AS records FROM pg_temp.mastering_partition p;
CREATE TEMP TABLE mastering_identity ON COMMIT DROP AS SELECT o.label, o.cluster FROM pg_temp.mastering_overlap o;
CREATE TEMP TABLE mastering_touched ON COMMIT DROP AS SELECT o.cluster FROM pg_temp.mastering_overlap o;
SELECT mastering.leave_unchanged();
SELECT count(*), min(t.cluster) FROM pg_temp.mastering_touched t;
ROLLBACK;
RESET statement_timeout; RESET work_mem;
SELECT drop_environment('i2'), drop_environment('i1');
DROP SCHEMA inc CASCADE;
DROP ROLE i_owner, i_loader, i_none;
\c :home
DROP DATABASE incremental;
