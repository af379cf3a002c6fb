-- Attributes of an entity that are defined anew: rules that name one that is no more say which, and the call that mends it.
-- In a database of its own, so that the numbers of releases stay those that other tests know.
SELECT current_database() AS home \gset
CREATE DATABASE attributes_changed;
\c attributes_changed
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA attributes_input;
SET search_path = mastering, public;
CREATE TABLE attributes_input.people AS
SELECT i AS id, 'Person ' || md5((i / 2)::text) AS name, 'mail' || i / 2 || '@x.example' AS email, 'c' || i / 2 % 40 || md5((i / 80)::text) AS code FROM generate_series(2, 401) i;
SELECT create_environment('at_dev'), create_environment('at_prod', 'at_dev');
SELECT define_entity('at_dev', 'q', '{"name": "text", "email": "text", "code": "text"}'), map_source('at_dev', 'q', 'a', 'attributes_input.people', 'id');
SELECT set_blocking('at_dev', 'q', '["name", ["code", "email"]]'), set_comparisons('at_dev', 'q', '[{"column": "name", "method": "jaro_winkler"}, {"column": "email", "method": "exact"}]');
SELECT total FROM load('at_dev', 'q');
SELECT train('at_dev', 'q') IS NOT NULL AS trained;
SELECT master('at_dev', 'q') - 'born';
SELECT promote('at_dev', 'at_prod') > 0 AS promoted;

-- A comparison, then a key alone.
SELECT define_entity('at_dev', 'q', '{"name": "text", "code": "text"}');
SELECT master('at_dev', 'q');
SELECT train('at_dev', 'q') IS NOT NULL AS trained;
SELECT promote('at_dev', 'at_prod') > 0 AS promoted;
SELECT set_comparisons('at_dev', 'q', '[{"column": "name", "method": "jaro_winkler"}]');
SELECT train('at_dev', 'q') IS NOT NULL AS trained;
-- What the hint says; the new attributes are compared.
SELECT mastering.set_blocking('at_dev', 'q', NULL), mastering.set_comparisons('at_dev', 'q', NULL), mastering.train('at_dev', 'q') IS NOT NULL AS trained;
SELECT array_agg(DISTINCT c.value ->> 'column' ORDER BY c.value ->> 'column') AS compared FROM train('at_dev', 'q') m, jsonb_array_elements(m -> 'comparisons') c WHERE c.value ? 'column';
SELECT master('at_dev', 'q') - 'born' - 'died' - 'split' - 'merged';
SELECT promote('at_dev', 'at_prod') > 0 AS promoted;
SELECT count(*) FROM at_prod.q;
-- Expressions that name one that is no more: the engine says where, and the hint what to call.
SELECT define_entity('at_dev', 'q', '{"name": "text", "email": "text", "code": "text"}');
SELECT set_blocking('at_dev', 'q', '["lower(email)"]'), set_comparisons('at_dev', 'q', '[{"column": "name", "method": "jaro_winkler"}, {"name": "mail", "expression": "upper(email)", "method": "exact"}]');
SELECT train('at_dev', 'q') IS NOT NULL AS trained;
SELECT master('at_dev', 'q') ? 'records' AS mastered;
SELECT phase, facts FROM last_run() WHERE phase IN ('read', 'result') ORDER BY step;    -- of the run, and not of what looked at its expressions
SELECT define_entity('at_dev', 'q', '{"name": "text", "code": "text"}');
SELECT master('at_dev', 'q');
SELECT train('at_dev', 'q');
SELECT set_blocking('at_dev', 'q', '["name"]');
SELECT train('at_dev', 'q');
SELECT mastering.set_blocking('at_dev', 'q', NULL), mastering.set_comparisons('at_dev', 'q', NULL), mastering.train('at_dev', 'q') IS NOT NULL AS trained;
SELECT master('at_dev', 'q') ? 'records' AS mastered;
-- Rules of SQL's own words and of expressions are checked by the engine when they are set.
SELECT set_blocking('at_dev', 'q', '["lower(nothing)"]');
-- A slip of the hand.
SELECT promote('at_dev', 'at_dev');
-- A relation without its schema.
SELECT map_source('at_dev', 'q', 'b', 'people', 'id');
-- No array.
SELECT set_blocking('at_dev', 'q', '{}');
SELECT set_comparisons('at_dev', 'q', '"name"');

\c :home
DROP DATABASE attributes_changed;
