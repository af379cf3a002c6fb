-- Ready-made checks, their limits, and sources that are halted alone by the check that names them.
-- In a database of its own: numbers of releases are shown.
SELECT current_database() AS home \gset
CREATE DATABASE ready_checks;
\c ready_checks
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = mastering, pg_catalog;
CREATE SCHEMA checked;
CREATE TABLE checked.a AS SELECT i AS id, 'n' || i AS name, CASE WHEN i % 10 = 0 THEN NULL ELSE 'city ' || i % 3 END AS city, i % 90 AS age, now() - interval '1 hour' AS seen FROM generate_series(1, 100) i;
CREATE TABLE checked.b AS SELECT 1000 + i AS id, 'm' || i AS name, 'city 1' AS city, 30 AS age, now() - interval '2 hours' AS seen FROM generate_series(1, 20) i;
CREATE TABLE checked.cities AS SELECT 'city ' || i AS name FROM generate_series(0, 1) i;
SELECT create_environment('cdev'), create_environment('ctest', 'cdev');
SELECT define_entity('cdev', 'person', '{"name": "text", "city": "text", "age": "integer", "seen": "timestamptz"}');
SELECT map_source('cdev', 'person', 'a', 'checked.a', 'id'), map_source('cdev', 'person', 'b b', 'checked.b', 'id');
SELECT set_blocking('cdev', 'person', '[{"keys": ["name"]}]'), set_comparisons('cdev', 'person', '[{"column": "name", "method": "exact"}]');
SELECT count(*) FROM load('cdev', 'person');
SET client_min_messages = error;
SELECT train('cdev', 'person') IS NOT NULL AS trained;
SELECT master('cdev', 'person') ->> 'records' AS records;
-- Every one of them finds what is wrong, and says how much.
SELECT check_not_null('cdev', 'person', 'city', severity => 'warn'), check_unique('cdev', 'person', 'city, age', severity => 'warn', keep => 2),
       check_values('cdev', 'person', 'city', '{city 0,city 1}', severity => 'warn'), check_range('cdev', 'person', 'age', '1', '80', severity => 'warn'),
       check_range('cdev', 'person', 'age', lowest => '5', name => 'age at least', severity => 'warn'),
       check_reference('cdev', 'person', 'city', 'checked.cities', 'name', severity => 'warn'), check_reference('cdev', 'person', 'name', 'person', 'name', severity => 'warn'),
       check_fresh('cdev', 'person', 'seen', '1 minute', name => 'very fresh', severity => 'warn'), check_fresh('cdev', 'person', 'seen', '30 years', severity => 'warn'),
       check_row_count('cdev', 'person', at_least => 1000, severity => 'warn'), check_row_count('cdev', 'person', severity => 'warn'), check_distribution('cdev', 'person', 'city', severity => 'warn');
SELECT promote('cdev', 'ctest') > 0 AS promoted;
SELECT check_name, passed, row_count, jsonb_array_length(sample) AS stored, error FROM check_results WHERE environment = 'ctest' ORDER BY check_name;
SELECT check_name, row_no, content ->> 'rows' AS rows FROM check_failures WHERE check_name ~ 'unique' ORDER BY 1, 2;
-- Against what is published: a jump of rows and of what they say.
UPDATE checked.a SET city = 'city 9' WHERE id <= 40;
DELETE FROM checked.b;
INSERT INTO checked.a SELECT 200 + i, 'k' || i, 'city 1', 3, now() FROM generate_series(1, 60) i;
SELECT change FROM load('ctest', 'person');
SELECT master('ctest', 'person') ->> 'records' AS records;
SELECT check_distribution('cdev', 'person', 'city', 0.1, stage => 'run'), check_row_count('cdev', 'person', stage => 'run');
SELECT promote('cdev', 'ctest') > 0 AS promoted;
UPDATE checked.a SET city = 'city 7' WHERE id <= 40;
INSERT INTO checked.a SELECT 300 + i, 'j' || i, 'city 1', 3, now() FROM generate_series(1, 60) i;
SELECT change FROM load('ctest', 'person');
\set VERBOSITY terse
SELECT master('ctest', 'person');
SELECT check_name, content FROM check_failures WHERE environment = 'ctest' AND severity = 'error' ORDER BY check_name, row_no;
-- Limits: so many rows, such a share of all.
SELECT drop_check('cdev', 'person', n) IS NOT NULL FROM unnest('{city is distributed as before,the number of rows does not jump}'::text[]) n;
SELECT check_not_null('cdev', 'person', 'city', stage => 'run', max_share => 0.05, keep => 0);
SELECT check_not_null('cdev', 'person', 'name', stage => 'run', max_rows => 3);
SELECT change FROM load('cdev', 'person');
SELECT master('cdev', 'person') ->> 'records' AS records;
UPDATE checked.a SET city = NULL WHERE id BETWEEN 1 AND 10;
UPDATE checked.a SET name = NULL WHERE id IN (1, 2, 3);
SELECT change FROM load('cdev', 'person', 'a');
SELECT master('cdev', 'person');
SELECT check_name, passed, row_count FROM check_results WHERE environment = 'cdev' AND stage = 'run' ORDER BY check_name, checked_at;
SELECT check_not_null('cdev', 'person', 'city', stage => 'run', max_share => 0.2);
SELECT master('cdev', 'person') ->> 'records' AS records;
UPDATE checked.a SET name = NULL WHERE id = 4;
SELECT change FROM load('cdev', 'person', 'a');
SELECT master('cdev', 'person');
-- A source that breaks a check is halted alone.
SELECT check_unique('cdev', 'person', 'name', source => 'b b'), check_range('cdev', 'person', 'age', '0', '89', source => 'a');
SELECT add_check('cdev', 'person', 'both', 'SELECT name FROM a JOIN "b b" USING (name)', stage => 'load');
INSERT INTO checked.b VALUES (1, 'x', 'city 1', 1, now()), (2, 'x', 'city 1', 1, now());
UPDATE checked.a SET name = 'n' || id WHERE name IS NULL;
SET client_min_messages = warning;
SELECT * FROM load('cdev', 'person');
SELECT * FROM load('cdev', 'person', 'b b');
UPDATE checked.b SET name = 'y' WHERE id = 2;
UPDATE checked.a SET age = 99 WHERE id = 1;
SELECT * FROM load('cdev', 'person');
-- What names both halts both; with nothing else to load that is an error.
UPDATE checked.a SET age = 9, name = 'y' WHERE id = 1;
UPDATE checked.b SET name = 'z' WHERE id = 1;
SELECT * FROM load('cdev', 'person');
SELECT detail ->> 'source' AS source, detail ->> 'sqlstate' AS sqlstate FROM audit_log WHERE environment = 'cdev' AND action = 'load failed' ORDER BY seq;
-- A relation that is gone halts its source, too.
DROP TABLE checked.b;
UPDATE checked.a SET name = 'w' WHERE id = 1;
SELECT * FROM load('cdev', 'person');
-- What is not right is refused.
SELECT check_not_null('cdev', 'person', 'no such');
SELECT check_not_null('cdev', 'person', 'no such', source => 'a');
SELECT * FROM load('cdev', 'person', 'a');
SELECT check_not_null('cdev', 'person', 'city', source => 'c');
SELECT check_not_null('cdev', 'person', 'city', source => 'a', stage => 'run');
SELECT check_not_null('cdev', 'person', 'city', stage => 'load');
SELECT check_not_null('cdev', 'person', 'city', max_share => 2);
SELECT check_not_null('cdev', 'person', NULL);
SELECT check_values('cdev', 'person', 'city', NULL);
SELECT check_range('cdev', 'person', 'age');
SELECT check_reference('cdev', 'person', 'city', 'nowhere', 'name');
SELECT check_fresh('cdev', 'person', 'seen', NULL);
SELECT check_row_count('cdev', 'person', NULL);
SELECT check_distribution('cdev', 'person', 'city', 7);
-- No two rows of a segment have one number, whatever plan wrote them: deletions go by number.
CREATE FUNCTION checked.doubled() RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE
    s int;
    doubled boolean;
BEGIN
    FOR s IN SELECT segment_id FROM mastering.segment LOOP
        EXECUTE format('SELECT count(*) <> count(DISTINCT "#row") FROM mastering.%I', 'segment_' || s) INTO doubled;
        IF doubled THEN
            RETURN NEXT s;
        END IF;
    END LOOP;
END $$;
SELECT count(*) > 30 AS segments, (SELECT count(*) FROM checked.doubled()) AS doubled FROM mastering.segment;
SELECT drop_environment('ctest'), drop_environment('cdev');
DROP SCHEMA checked CASCADE;
\c :home
DROP DATABASE ready_checks;
