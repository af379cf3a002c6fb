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

-- A few changes are looked up in what is there, which is not read for them: by change column, and by a relation of changes with deletions.
CREATE TABLE edges.many AS SELECT i AS id, 'name' || i AS name, i AS at FROM generate_series(1, 2000) i;
CREATE TABLE edges.few (LIKE edges.many, op text, seq bigint GENERATED ALWAYS AS IDENTITY);
SELECT map_source('le', 'p', 'many', 'edges.many', 'id'), set_loading('le', 'p', 'many', '{"change_column": "at"}');
SELECT change, inserted FROM load('le', 'p', 'many');
-- What transactions before this one counted may still be among it.
CREATE FUNCTION edges.scans(OUT read_all bigint, OUT looked_up bigint) LANGUAGE sql AS $$
    SELECT coalesce(sum(s.seq_scan), 0), coalesce(sum(s.idx_scan), 0) FROM pg_stat_xact_user_tables s
     WHERE s.schemaname = 'mastering' AND s.relname = (SELECT 'segment_' || (c.data -> 'p/many' -> 'segments' ->> 0) FROM mastering.configuration c WHERE c.environment = 'le')
$$;
CREATE FUNCTION edges.load_few() RETURNS TABLE (change text, inserted bigint, updated bigint, deleted bigint, total bigint, read_all bigint, looked_up bigint) LANGUAGE plpgsql AS $$
DECLARE
    before record := edges.scans();
BEGIN
    SELECT l.change, l.inserted, l.updated, l.deleted, l.total INTO change, inserted, updated, deleted, total FROM mastering.load('le', 'p', 'many') l;
    SELECT s.read_all - before.read_all, s.looked_up - before.looked_up INTO read_all, looked_up FROM edges.scans() s;
    RETURN NEXT;
END $$;
UPDATE edges.many SET name = 'new', at = 2000 + id WHERE id IN (5, 700, 1500);
INSERT INTO edges.many VALUES (2001, 'come', 4001);
SELECT * FROM edges.load_few();
SELECT set_loading('le', 'p', 'many', '{"changes": "edges.few", "operation": "op", "position": "seq"}');
SELECT change FROM load('le', 'p', 'many');
INSERT INTO edges.few (id, name, at, op) VALUES (5, 'newer', 5001, 'update'), (6, NULL, NULL, 'delete'), (2002, 'come', 5002, 'insert'), (9999, NULL, NULL, 'delete'), (7, 'name7', 7, 'update');
UPDATE edges.many SET name = 'newer', at = 5001 WHERE id = 5;
DELETE FROM edges.many WHERE id = 6;
INSERT INTO edges.many VALUES (2002, 'come', 5002);
SELECT * FROM edges.load_few();
-- All keys compared say the same; and the content has the hash of what was loaded at once.
SELECT set_loading('le', 'p', 'many', NULL);
SELECT change, total FROM load('le', 'p', 'many');
SELECT create_environment('le3', 'le'), promote('le', 'le3') IS NOT NULL AS promoted, bind_source('le3', 'p', 'many', 'edges.many'), bind_source('le3', 'p', 's', 'edges.others');
SELECT change, total FROM load('le3', 'p', 'many');
SELECT count(DISTINCT c.data -> 'p/many' ->> 'content') AS contents, count(*) FROM configuration c WHERE c.environment IN ('le', 'le3');
SELECT drop_environment('le3');

SELECT drop_environment('le2'), drop_environment('le');
DROP SCHEMA edges CASCADE;
