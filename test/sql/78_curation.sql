-- What stewards decide about clusters and golden records is followed by every later run, whatever the model says.
SET client_min_messages = error;
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SELECT setval('mastering.cluster_id', 900000), setval('mastering.curation_id', 100);
CREATE ROLE c_steward; CREATE ROLE c_reader; CREATE ROLE c_owner;
CREATE SCHEMA curated;
CREATE TABLE curated.people (id int, name text, city text, age int);
INSERT INTO curated.people VALUES (1, 'ann', 'Ulm', 30), (2, 'ann', 'Ulm', 31), (3, 'ann', 'Bonn', 30), (4, 'bob', 'Ulm', 40), (5, 'bob', NULL, 40), (6, 'cid', 'Ulm', 50), (7, 'dan', 'Kiel', 60);
GRANT USAGE ON SCHEMA curated TO c_owner;
GRANT SELECT ON curated.people TO c_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('c1', owner => 'c_owner'), create_environment('c2', 'c1', owner => 'c_owner'), grant_role('c1', 'curator', 'c_steward'), grant_role('c1', 'reviewer', 'c_reader');
SELECT define_entity('c1', 'p', '{"name": "text", "city": "text", "age": "int"}'), map_source('c1', 'p', 's', 'curated.people', 'id'),
       set_blocking('c1', 'p', '[{"keys": ["name"]}]'), set_comparisons('c1', 'p', '[{"column": "name", "method": "exact"}]'), set_clustering('c1', 'p', '{"linkage": "single", "one_per_source": "never", "threshold": 0.1}');
SELECT change FROM load('c1', 'p');
SELECT train('c1', 'p') IS NOT NULL AS trained;
SELECT set_model('c1', 'p', jsonb_set(jsonb_set(a.content -> 'model', '{comparisons,0,trained,0,weight}', '20'), '{prior}', '0.5')) FROM artifact a JOIN configuration c ON c.environment = 'c1' AND c.tree ->> 'entity/p/model' = a.hash;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
CREATE VIEW curated.clusters AS SELECT string_agg(record_key, ' ' ORDER BY record_key) AS members, cluster_id FROM c1.p_members GROUP BY cluster_id;
CREATE FUNCTION curated.cluster(key text) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT cluster_id FROM c1.p_members WHERE record_key = key';
GRANT USAGE ON SCHEMA curated TO c_steward, c_reader;
SELECT members FROM curated.clusters ORDER BY 1;
-- A steward puts together, parts, moves.
SET ROLE c_steward;
SELECT merge_clusters('c1', 'p', ARRAY[curated.cluster('4'), curated.cluster('6')], 'same phone') > 0 AS decided;
SELECT split_cluster('c1', 'p', curated.cluster('1'), '{s:2,s:3}', 'father and sons') > 0 AS decided;
SELECT move_record('c1', 'p', 's', '5', curated.cluster('7'), 'misspelt') > 0 AS decided;
SELECT (master('c1', 'p')) - 'entity' AS run;
RESET ROLE;
SELECT members FROM curated.clusters ORDER BY 1;
SELECT master('c1', 'p') -> 'reused' AS reused;
-- The opposite is decided later, and holds.
SET ROLE c_steward;
SELECT merge_clusters('c1', 'p', ARRAY[curated.cluster('1'), curated.cluster('2')]) > 0 AS decided;
SELECT move_record('c1', 'p', 's', '6') > 0 AS decided;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
RESET ROLE;
SELECT members FROM curated.clusters ORDER BY 1;
SELECT action, kind, records, reason, in_force FROM curations WHERE environment = 'c1' ORDER BY curation_id;
-- A locked cluster stays as it is, whoever comes.
SET ROLE c_steward;
SELECT lock_cluster('c1', 'p', curated.cluster('4'), 'audited') > 0 AS decided;
SELECT move_record('c1', 'p', 's', '4');
SELECT merge_clusters('c1', 'p', ARRAY[curated.cluster('4'), curated.cluster('7')]);
SELECT lock_cluster('c1', 'p', curated.cluster('4'));
RESET ROLE;
INSERT INTO curated.people VALUES (8, 'bob', 'Ulm', 41), (9, 'ann', 'Ulm', 30);
SELECT change FROM load('c1', 'p');
SELECT (master('c1', 'p')) - '{entity,reused}'::text[] AS run;
SELECT members FROM curated.clusters ORDER BY 1;
-- One cell of a golden record, said so in the lineage, until it expires or is ended.
SET ROLE c_steward;
SELECT override_golden('c1', 'p', curated.cluster('1'), 'city', 'Berlin', 'letter of 3 May') > 0 AS decided;
SELECT override_golden('c1', 'p', curated.cluster('1'), 'age', '33', expires_at => now() + '1 hour') > 0 AS decided;
SELECT override_golden('c1', 'p', curated.cluster('1'), 'age', 'old');
SELECT override_golden('c1', 'p', curated.cluster('1'), 'size', '3');
SELECT override_golden('c1', 'p', curated.cluster('1'), 'age', '3', expires_at => '2020-01-01 UTC');
SELECT override_golden('c1', 'p', -1, 'age', '3');
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
RESET ROLE;
SELECT name, city, age, records FROM c1.p WHERE id = curated.cluster('1');
SELECT attribute, source, record_key, rule, agreeing FROM c1.p_lineage WHERE id = curated.cluster('1') ORDER BY 1;
UPDATE curation SET expires_at = now() - interval '1 minute' WHERE attribute = 'age';
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT name, city, age, records FROM c1.p WHERE id = curated.cluster('1');
SELECT override_golden('c1', 'p', curated.cluster('1'), 'city', NULL) > 0 AS decided;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT name, city, age FROM c1.p WHERE id = curated.cluster('1');
-- A promotion brings it along; what the next stage has ended it does not get again.
SELECT promote('c1', 'c2') > 0 AS promoted;
SELECT name, city, age FROM c2.p WHERE name = 'ann';
SELECT count(*), sum(in_force::int) AS in_force FROM curations WHERE environment = 'c2';
SELECT end_curation('c2', curation_id, 'wrong person') FROM curations WHERE environment = 'c2' AND attribute = 'city';
SELECT end_curation('c2', curation_id) FROM curations WHERE environment = 'c2' AND attribute = 'city';
SELECT set_survivorship('c1', 'p', '{"default": "longest"}'), promote('c1', 'c2') > 0 AS promoted;
SELECT name, city FROM c2.p WHERE name = 'ann';
-- Rollback keeps decisions.
SELECT rollback('c2') > 0 AS rolled_back;
SELECT count(*) FROM curations WHERE environment = 'c2';
-- A record that is gone leaves its decisions without effect.
DELETE FROM curated.people WHERE id IN (1, 6);
SELECT change FROM load('c1', 'p');
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT members FROM curated.clusters ORDER BY 1;
-- What a steward decided counts before what was labelled.

SET ROLE c_reader;
SELECT label_pair('c1', 'p', 's:2', 's:3', 'non-match') IS NOT NULL AS proposed;
SET ROLE c_steward;
SELECT count(*) > 0 AS verified FROM verify_labels('c1', 'p');
RESET ROLE;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT members FROM curated.clusters ORDER BY 1;
-- A decision that the source has ended ends in the target, too; one that is taken again comes again.
SELECT merge_clusters('c1', 'p', ARRAY[curated.cluster('2'), curated.cluster('4'), curated.cluster('8')]) > 0 AS decided FROM (SELECT end_curation('c1', curation_id) FROM curations WHERE environment = 'c1' AND kind = 'lock' AND in_force) x;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT count(*) FROM load('c2', 'p');
SELECT release_hold('c2', max(release_id)) FROM releases WHERE target = 'c2' AND state = 'rolled back';
SELECT promote('c1', 'c2') > 0 AS promoted;
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM c2.p_members WHERE cluster_id = (SELECT cluster_id FROM c2.p_members WHERE record_key = '4');
SELECT split_cluster('c1', 'p', curated.cluster('2'), '{s:4,s:8}') > 0 AS decided;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT promote('c1', 'c2') > 0 AS promoted;
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM c2.p_members WHERE cluster_id = (SELECT cluster_id FROM c2.p_members WHERE record_key = '4');
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM c2.p_members WHERE cluster_id = (SELECT cluster_id FROM c2.p_members WHERE record_key = '2');
-- A promotion of a decision alone shows it. No version holds what was decided, only that it was.
SELECT override_golden('c1', 'p', curated.cluster('7'), 'city', 'Secret Street 5') > 0 AS decided;
SELECT master('c1', 'p') ->> 'clusters' AS clusters;
SELECT promote('c1', 'c2') > 0 AS promoted;
SELECT name, city FROM c2.p WHERE name = 'dan' OR name = 'bob' ORDER BY 1, 2;
SELECT (SELECT count(*) FROM head WHERE versions::text ~ 'Secret') AS heads, (SELECT count(*) FROM snapshot WHERE versions::text ~ 'Secret') AS snapshots;
-- A rule that gives another result each time is none.
SELECT set_blocking('c1', 'p', '[{"keys": ["name || random()"]}]');
-- Who may, and what is not there.
SET ROLE c_reader;
SELECT merge_clusters('c1', 'p', '{1,2}');
SELECT override_golden('c1', 'p', 1, 'city', 'x');
RESET ROLE;
SELECT merge_clusters('c1', 'p', ARRAY[curated.cluster('2')]);
SELECT merge_clusters('c1', 'p', '{-1,-2}');
SELECT split_cluster('c1', 'p', curated.cluster('2'), '{s:4}');
SELECT split_cluster('c1', 'p', curated.cluster('2'), '{}');
SELECT move_record('c1', 'p', 's', '99');
SELECT move_record('c1', 'p', 's', '7', curated.cluster('7'));
SELECT lock_cluster('c1', 'q', 1);
SELECT action, count(*) FROM audit_log WHERE environment = 'c1' AND action ~ 'cluster|curation|golden|record' GROUP BY 1 ORDER BY 1;
DROP VIEW curated.clusters;
DROP FUNCTION curated.cluster;
SELECT drop_environment('c2'), drop_environment('c1');
DROP SCHEMA curated CASCADE;
DROP ROLE c_steward, c_reader, c_owner;
