-- Environments at their edges: no rows, one row, NULLs, bad keys, other columns, arguments that are not there.
SET client_min_messages = error;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.a (id int, name text);
CREATE TABLE input.b (id int, name text);
INSERT INTO input.a SELECT i, 'n' || i % 50 FROM generate_series(1, 100) i;
SELECT create_environment('dev'), create_environment('test', 'dev');
SELECT define_entity('dev', 'e', '{"name": "text"}');
SELECT map_source('dev', 'e', 'a', 'input.a', 'id'), map_source('dev', 'e', 'b', 'input.b', 'id');
SELECT set_blocking('dev', 'e', '[{"keys": ["name"]}]'), set_comparisons('dev', 'e', '[{"column": "name", "method": "exact"}]');
SELECT * FROM load('dev', 'e');
SELECT train('dev', 'e') IS NULL;
SELECT master('dev', 'e') ->> 'records' AS records;
SELECT promote('dev', 'test') > 0 AS promoted;
-- All rows of a source go, then come others.
TRUNCATE input.a;
SELECT * FROM load('dev', 'e');
SELECT master('dev', 'e') ->> 'records' AS records;
SELECT count(*), (SELECT count(*) FROM dev.e_records) AS records, (SELECT count(*) FROM dev.e_members) AS members, (SELECT count(*) FROM dev.e_lineage) AS lineage FROM dev.e;
INSERT INTO input.b VALUES (1, 'x');
SELECT * FROM load('dev', 'e');
SELECT master('dev', 'e') ->> 'records' AS records;
SELECT name, records, sources FROM dev.e;
SELECT attribute, source, record_key, rule, agreeing FROM dev.e_lineage;
-- A check at load sees each source under its name, with what was just loaded, and stops it before it counts.
SELECT add_check('dev', 'e', 'named', 'WITH bad AS (SELECT * FROM b WHERE name !~ ''^[a-z]'') SELECT id FROM bad', stage => 'load');
INSERT INTO input.b VALUES (9, '?');
SELECT * FROM load('dev', 'e');
SELECT check_name, stage, passed, row_count, sample FROM check_results WHERE stage = 'load';
DELETE FROM input.b WHERE id = 9;
INSERT INTO input.b VALUES (2, 'z');
SELECT * FROM load('dev', 'e');
DELETE FROM input.b WHERE id = 2;
SELECT * FROM load('dev', 'e');
SELECT drop_check('dev', 'e', 'named');
-- Keys that are none.
INSERT INTO input.b VALUES (1, 'y');
SELECT * FROM load('dev', 'e');
INSERT INTO input.b VALUES (NULL, 'y');
DELETE FROM input.b WHERE id = 1;
SELECT * FROM load('dev', 'e');
-- A record without any value has a golden record without any, and no lineage.
DELETE FROM input.b;
INSERT INTO input.b VALUES (7, NULL);
SELECT * FROM load('dev', 'e');
SELECT master('dev', 'e') ->> 'records' AS records;
SELECT name, records FROM dev.e;
SELECT count(*) FROM dev.e_lineage;
SELECT * FROM load('test', 'e');
SELECT master('test', 'e') ->> 'reused' AS reused;
SELECT promote('dev', 'test') > 0 AS promoted;
-- The relation gets another column, then loses one that is mapped.
ALTER TABLE input.b ADD COLUMN extra int;
SELECT * FROM load('dev', 'e', 'b');
SELECT * FROM load('dev', 'e', 'b');
SELECT master('dev', 'e') ->> 'records' AS records;
ALTER TABLE input.b DROP COLUMN name;
SELECT * FROM load('dev', 'e', 'b');
SELECT master('dev', 'e');
DROP TABLE input.b;
SELECT * FROM load('dev', 'e', 'b');
SELECT drop_source('dev', 'e', 'b');
INSERT INTO input.a VALUES (5, E'quote \' "double" \\');
SELECT * FROM load('dev', 'e');
SELECT master('dev', 'e') ->> 'records' AS records;
SELECT name FROM dev.e;
-- A column that may not be.
CREATE TABLE input.c (id int, "#name" text);
SELECT map_source('dev', 'e', 'c', 'input.c', 'id', '{"name": "\"#name\""}');
-- What is no expression at all is said to be the attribute's.
SELECT map_source('dev', 'e', 'd', 'input.a', 'id', '{"name": "name; DROP TABLE input.c"}');
SELECT map_source('dev', 'e', 'd', 'input.a', 'id', '{"name": "lower("}');
-- Arguments that are not there.
SELECT promote(NULL, 'test');
SELECT promote('dev', NULL);
SELECT load('dev', NULL);
SELECT load('dev', 'e', 'nothing');
SELECT master(NULL, NULL);
SELECT define_entity('dev', NULL, NULL);
SELECT define_entity('dev', 'f', NULL);
SELECT map_source('dev', 'e', NULL, NULL, NULL);
SELECT add_check('dev', 'e', NULL, NULL);
SELECT add_check('dev', 'e', 'x', NULL);
SELECT snapshot(NULL);
SELECT snapshot('dev', tag => '1st');
SELECT rollback(NULL);
SELECT rollback('dev');
SELECT rollback('dev', what => 'some');
SELECT grant_role(NULL, NULL, NULL);
SELECT create_environment(NULL);
SELECT set_blocking('dev', 'e', NULL);
SELECT set_model('dev', 'e', NULL);
SELECT release_hold('dev', NULL);
SELECT promote_release(NULL);
SELECT drop_environment('test'), drop_environment('dev');
DROP SCHEMA input CASCADE;
