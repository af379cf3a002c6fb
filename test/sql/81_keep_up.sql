-- Load and master by a scheduler: one bad source among others, a check that stops it, locks that do not.
-- In a database of its own: what other tests leave there is not.
SELECT current_database() AS home \gset
CREATE DATABASE keep_up;
\c keep_up
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE k_owner; CREATE ROLE k_loader; CREATE ROLE k_none;
CREATE SCHEMA kept;
CREATE TABLE kept.a AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 50) i;
CREATE TABLE kept.b AS SELECT i AS id, 'name ' || i AS name FROM generate_series(1, 20) i;
GRANT USAGE ON SCHEMA kept TO k_owner;
GRANT SELECT ON kept.a, kept.b TO k_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('k1', owner => 'k_owner'), grant_role('k1', 'loader', 'k_loader');
SELECT define_entity('k1', 'p', '{"name": "text"}'), map_source('k1', 'p', 'a', 'kept.a', 'id'), map_source('k1', 'p', 'b', 'kept.b', 'id'),
       set_blocking('k1', 'p', '["name"]'), set_comparisons('k1', 'p', '[{"column": "name", "method": "exact"}]');
SELECT count(*) FROM load('k1', 'p');
SELECT train('k1', 'p') IS NOT NULL AS trained;
SET ROLE k_loader;
CALL keep_up('k1', 'p');
RESET ROLE;
SELECT count(*) FROM k1.p_records;
INSERT INTO kept.a VALUES (51, 'name 51');
CALL keep_up('k1', 'p');
SELECT count(*) FROM k1.p_records;
-- One bad source: the other goes on, and nothing is stopped.
INSERT INTO kept.b VALUES (1, 'twice');
INSERT INTO kept.a VALUES (52, 'name 52');
SET client_min_messages = warning;
CALL keep_up('k1', 'p');
SET client_min_messages = error;
SELECT count(*) FROM k1.p_records;
SELECT * FROM keep_up_stops('k1');
DELETE FROM kept.b WHERE name = 'twice';
-- What fails in all sources stops; what was loaded before stays.
SELECT add_check('k1', 'p', 'no_bad', 'SELECT * FROM p WHERE name = ''bad''', stage => 'run');
INSERT INTO kept.a VALUES (53, 'bad');
CALL keep_up('k1', 'p');
SELECT entity, step, sqlstate, message, detail FROM keep_up_stops('k1');
SELECT count(*) FROM k1.p_records;
SELECT action, detail ->> 'step' AS step FROM audit_log WHERE environment = 'k1' AND action LIKE 'keep%' ORDER BY at;
CALL keep_up('k1', 'p');
-- Who loads may not say that it is mended.
SET ROLE k_loader;
SELECT resume_keep_up('k1', 'p');
SELECT entity, step FROM keep_up_stops('k1');
RESET ROLE;
UPDATE kept.a SET name = 'good' WHERE id = 53;
SELECT resume_keep_up('k1', 'p'), resume_keep_up('k1', 'p') AS once_more;
CALL keep_up('k1', 'p');
SELECT count(*) FROM k1.p_records;
-- A policy stops it, too.
SELECT set_policy('k1', 'refuse_share', '0.1');
UPDATE kept.a SET name = 'all ' || id;
DELETE FROM kept.b WHERE id > 10;
CALL keep_up('k1', 'p');
SELECT step, sqlstate FROM keep_up_stops('k1');
SELECT set_policy('k1', 'refuse_share', NULL), resume_keep_up('k1', 'p');
-- By hand; and what is no entity, and who may not.
SELECT stop_keep_up('k1', 'p');
CALL keep_up('k1', 'p');
SELECT resume_keep_up('k1', 'p');
CALL keep_up('k1', 'q');
CALL keep_up('no', 'p');
SELECT stop_keep_up('k1', 'p', '');
SET ROLE k_none;
CALL keep_up('k1', 'p');
SELECT stop_keep_up('k1', 'p');
SELECT * FROM keep_up_stops('k1');
RESET ROLE;
CALL keep_up('k1', 'p');
SELECT count(*) FROM k1.p_records;
-- In a transaction that somebody else ends it cannot commit.
BEGIN;
CALL keep_up('k1', 'p');
ROLLBACK;
SELECT drop_environment('k1');
DROP SCHEMA kept CASCADE;
DROP ROLE k_owner, k_loader, k_none;
\c :home
DROP DATABASE keep_up;
