-- What stewards see of their decisions: locks that the model contradicts, one by one; clusters that were verified.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE steward_crm AS SELECT i AS id, 'Person ' || i / 2 AS name, 'p' || i / 2 || '@x.org' AS email FROM generate_series(2, 41) i;
SELECT mastering.create_environment('stew'), mastering.define_entity('stew', 'p', '{"name": "text", "email": "text"}'), mastering.map_source('stew', 'p', 'crm', 'public.steward_crm', 'id'),
    mastering.set_blocking('stew', 'p', '["name"]'), mastering.set_clustering('stew', 'p', '{"threshold": 0.001}'), mastering.set_comparisons('stew', 'p', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT change FROM mastering.load('stew', 'p');
SELECT mastering.train('stew', 'p') IS NOT NULL AS trained, mastering.master('stew', 'p') -> 'clusters' AS clusters;
SELECT cluster_id AS c10 FROM stew.p_members WHERE record_key = '10' \gset
SELECT cluster_id AS c12 FROM stew.p_members WHERE record_key = '12' \gset
SELECT cluster_id AS c14 FROM stew.p_members WHERE record_key = '14' \gset
CREATE ROLE stew_reviewer; CREATE ROLE stew_curator;
SELECT mastering.grant_role('stew', 'reviewer', 'stew_reviewer'), mastering.grant_role('stew', 'curator', 'stew_curator');
SELECT * FROM mastering.lock_conflicts('stew', 'p');
SELECT * FROM mastering.lock_conflicts('stew', 'q');
SELECT mastering.lock_cluster('stew', 'p', :c10, 'seen the passports') > 0 AS locked, mastering.lock_cluster('stew', 'p', :c12, 'twins') > 0 AS locked_too;
SELECT cluster_id AS c16 FROM stew.p_members WHERE record_key = '16' \gset
SELECT mastering.verify_cluster('stew', 'p', :c14, 'called them') > 0 AS verified, mastering.verify_cluster('stew', 'p', :c16) > 0 AS verified_too;
SET ROLE stew_reviewer;
SELECT mastering.verify_cluster('stew', 'p', :c14);
RESET ROLE;
SELECT mastering.master('stew', 'p') -> 'contradicted_locks' AS contradicted;
SELECT count(*) AS conflicts FROM mastering.lock_conflicts('stew', 'p');
SELECT CASE cluster_id WHEN :c14 THEN 14 WHEN :c16 THEN 16 END AS it, verified_by = current_user AS me, reason, records, gone, joined FROM mastering.verified_clusters('stew', 'p');
-- The data change: a locked cluster would fall apart, another one would grow, the verified one loses a record and gains two.
UPDATE steward_crm SET name = 'Someone else', email = 'else@x.org' WHERE id = 11;
INSERT INTO steward_crm VALUES (112, 'Person 6', 'p6@x.org'), (114, 'Person 7', 'p7@x.org'), (115, 'Person 7', 'p7@x.org');
DELETE FROM steward_crm WHERE id = 15;
SELECT inserted, updated, deleted FROM mastering.load('stew', 'p');
SELECT mastering.master('stew', 'p') -> 'contradicted_locks' AS contradicted;
SET ROLE stew_reviewer;
SELECT cluster_id IN (:c10, :c12) AS locked_ones, problem, parts, added, added_count, reason FROM mastering.lock_conflicts('stew', 'p');
SELECT CASE cluster_id WHEN :c14 THEN 14 WHEN :c16 THEN 16 END AS it, records, gone, joined FROM mastering.verified_clusters('stew', 'p');
RESET ROLE;
SELECT record_key FROM stew.p_members WHERE cluster_id IN (:c10, :c12) ORDER BY record_key::int;
-- A verified cluster is not parted by a later model, and others may join it.
UPDATE steward_crm SET name = 'Nobody', email = 'nobody@x.org' WHERE id = 17;
SELECT updated FROM mastering.load('stew', 'p');
INSERT INTO steward_crm VALUES (214, 'Nobody', 'nobody@x.org');
SELECT inserted FROM mastering.load('stew', 'p');
SELECT mastering.master('stew', 'p') -> 'contradicted_locks' AS contradicted;
SELECT CASE cluster_id WHEN :c14 THEN 14 WHEN :c16 THEN 16 END AS it, records, gone, joined FROM mastering.verified_clusters('stew', 'p');
-- The same run found again in a fork lists the same conflicts; a lock that is ended contradicts nothing.
SELECT mastering.fork_environment('stew', 'stew_fork');
SELECT count(*) AS conflicts FROM mastering.lock_conflicts('stew_fork', 'p');
SELECT mastering.end_curation('stew', curation_id) FROM mastering.lock_conflicts('stew', 'p') WHERE cluster_id = :c10;
SELECT mastering.master('stew', 'p') -> 'contradicted_locks' AS contradicted;
SELECT cluster_id = :c12 AS it, problem FROM mastering.lock_conflicts('stew', 'p');
SELECT count(*) AS conflicts FROM mastering.lock_conflicts('stew_fork', 'p');
-- What a release would do is listed before it is done.
SELECT mastering.lock_cluster('stew', 'p', cluster_id, 'a couple') > 0 AS locked FROM stew.p_members WHERE record_key = '20';
SELECT mastering.master('stew', 'p') -> 'contradicted_locks' AS contradicted;
SELECT mastering.fork_environment('stew', 'stew_change'), mastering.set_clustering('stew_change', 'p', '{"threshold": 0.99999999999}');
SELECT mastering.propose('stew_change', 'stew') AS release \gset
CALL mastering.prepare(:release);
SELECT problem, reason FROM mastering.lock_conflicts('stew', 'p', next => true) ORDER BY curation_id;
SELECT problem, reason FROM mastering.lock_conflicts('stew', 'p') ORDER BY curation_id;
SELECT mastering.drop_environment('stew_change');
-- An erased record is in no list.
SELECT count(*) > 0 AS erased FROM mastering.erase('p', 'crm', '112', 'asked for it');
SELECT count(*) AS rows FROM mastering.lock_conflict WHERE key = '112';
SELECT mastering.drop_environment('stew_fork'), mastering.drop_environment('stew');
DROP TABLE steward_crm;
DROP ROLE stew_reviewer, stew_curator;
