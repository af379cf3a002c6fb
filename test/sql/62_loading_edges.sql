-- Loads of changes at the edges: changes numbered anew, times that never come, an overlap that would skip what it should repeat.
SET client_min_messages = error;
\set SHOW_CONTEXT never
SET search_path = mastering, pg_catalog;
CREATE SCHEMA edges;
CREATE TABLE edges.people (id int PRIMARY KEY, name text, at timestamptz DEFAULT '2026-01-01');
CREATE TABLE edges.changes (seq int, op text, LIKE edges.people);
INSERT INTO edges.people SELECT i, 'n' || i FROM generate_series(1, 20) i;
SELECT create_environment('le'), define_entity('le', 'p', '{"name": "text"}'), map_source('le', 'p', 's', 'edges.people', 'id'),
       set_blocking('le', 'p', '["name"]'), set_comparisons('le', 'p', '[{"column": "name", "method": "exact"}]');
SELECT set_loading('le', 'p', 's', '{"changes": "edges.changes", "operation": "op", "position": "seq"}');
INSERT INTO edges.changes VALUES (50, 'insert', 20, 'n20', '2026-01-01');
SELECT change, total FROM load('le', 'p');
INSERT INTO edges.people VALUES (21, 'n21');
INSERT INTO edges.changes VALUES (51, 'insert', 21, 'n21', '2026-01-01');
SELECT change, inserted, deleted FROM load('le', 'p');
-- What was consumed is cleared away: nothing to do.
TRUNCATE edges.changes;
SELECT change FROM load('le', 'p');
SELECT last_position, loads_since_comparison FROM loading('le');
-- The table of changes is made anew and counts from 1: all keys are compared once, then it goes on.
INSERT INTO edges.people VALUES (22, 'n22');
DELETE FROM edges.people WHERE id = 1;
INSERT INTO edges.changes VALUES (1, 'insert', 22, 'n22', '2026-01-01'), (2, 'delete', 1, NULL, NULL);
SELECT change, inserted, deleted FROM load('le', 'p');
SELECT last_position, loads_since_comparison FROM loading('le');
INSERT INTO edges.changes VALUES (3, 'delete', 22, NULL, NULL);
SELECT change, inserted, deleted FROM load('le', 'p');
SELECT last_position, loads_since_comparison FROM loading('le');

-- A row of the end of time does not hide the others, and is read itself.
DELETE FROM edges.people WHERE id = 22;
SELECT set_loading('le', 'p', 's', '{"change_column": "at"}');
UPDATE edges.people SET at = 'infinity' WHERE id = 5;
SELECT change, updated FROM load('le', 'p');
INSERT INTO edges.people VALUES (30, 'n30', '2026-01-02');
UPDATE edges.people SET name = 'still n5' WHERE id = 5;
SELECT change, inserted, updated FROM load('le', 'p');
SELECT loads_since_comparison FROM loading('le');

SELECT set_loading('le', 'p', 's', '{"change_column": "at", "overlap": "-5 minutes"}');
SELECT set_loading('le', 'p', 's', '{"change_column": "at", "overlap": "5 minutes ago"}');
SELECT set_loading('le', 'p', 's', '{"changes": "edges.changes", "operation": "op", "position": "seq", "overlap": " -1"}');
SELECT set_loading('le', 'p', 's', '{"changes": "edges.changes", "operation": "op", "position": "seq", "overlap": "0"}');

-- A position is of one relation: not of another that the source is bound to, nor of another environment's.
CREATE TABLE edges.others (LIKE edges.people);
INSERT INTO edges.others SELECT i, 'other' || i, '2025-01-01' FROM generate_series(3, 9) i;
SELECT set_loading('le', 'p', 's', '{"change_column": "at"}');
SELECT count(*) FROM load('le', 'p');
SELECT change FROM load('le', 'p');
SELECT create_environment('le2', 'le'), promote('le', 'le2') IS NOT NULL AS promoted, bind_source('le2', 'p', 's', 'edges.others'), set_loading('le2', 'p', 's', '{"change_column": "at"}');
SELECT change, total FROM load('le2', 'p');
SELECT change FROM load('le2', 'p');
SELECT restore('le2', 'le') IS NOT NULL AS restored;
SELECT last_position FROM loading('le2');
SELECT change, total FROM load('le2', 'p');
SELECT bind_source('le', 'p', 's', 'edges.others'), set_loading('le', 'p', 's', '{"change_column": "at"}');
SELECT change, total FROM load('le', 'p');
SELECT change FROM load('le', 'p');
SELECT loads_since_comparison FROM loading('le');

SELECT drop_environment('le2'), drop_environment('le');
DROP SCHEMA edges CASCADE;
