-- A source whose relation is not any more what it was mapped from: what load, train and master say of it.
\set SHOW_CONTEXT never
SET search_path = mastering, pg_catalog;
CREATE SCHEMA shape;
CREATE TABLE shape.people (id int PRIMARY KEY, name text, city text, born text);
INSERT INTO shape.people SELECT i, 'n' || i, 'c' || i, '2001-01-' || 1 + i % 28 FROM generate_series(1, 20) i;
SELECT create_environment('sh'), define_entity('sh', 'p', '{"name": "text", "city": "text", "born": "date"}');
SELECT map_source('sh', 'p', 's', 'shape.people', 'id', '{"name": "name", "city": "lower(city)", "born": "born"}'),
       set_blocking('sh', 'p', '["name"]'), set_comparisons('sh', 'p', '[{"column": "name", "method": "exact"}]');
SELECT change, total FROM load('sh', 'p');
SET client_min_messages = error;
SELECT train('sh', 'p') IS NOT NULL AS trained;
SELECT master('sh', 'p');
SET client_min_messages = warning;
-- A column that a mapping reads: the rows are loaded, so that a mapping that is on its way can be run on them; they cannot be mastered.
ALTER TABLE shape.people RENAME city TO town;
SELECT change, total FROM load('sh', 'p');
SELECT change, total FROM load('sh', 'p');
SELECT master('sh', 'p');
SELECT train('sh', 'p') IS NOT NULL AS trained;
SELECT count(*), count(city) FROM sh.p;
-- What the HINT says, with the column's new name; or without the attribute.
SELECT map_source('sh', 'p', 's', 'shape.people', 'id', '{"born": "born", "city": "lower(town)", "name": "name"}');
SELECT master('sh', 'p') - 'entity';
SELECT count(*), count(city) FROM sh.p;
-- A value that is not of the attribute's type: which attribute, which expression.
UPDATE shape.people SET born = 'about 1950' WHERE id = 7;
SELECT change, total FROM load('sh', 'p');
SELECT master('sh', 'p');
-- What the mapping calls: its schema is gone, or it is not what a mapping may call any more. The rows are loaded.
UPDATE shape.people SET born = NULL WHERE id = 7;
CREATE SCHEMA shape_calls;
CREATE FUNCTION shape_calls.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
SELECT map_source('sh', 'p', 's', 'shape.people', 'id', '{"name": "shape_calls.plain(name)", "city": "lower(town)"}');
CREATE OR REPLACE FUNCTION shape_calls.plain(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT upper($1)';
ALTER TABLE shape.people ADD note text;
SELECT change, total FROM load('sh', 'p');
SELECT master('sh', 'p');
DROP SCHEMA shape_calls CASCADE;
ALTER TABLE shape.people DROP note;
SELECT change, total FROM load('sh', 'p');
SELECT master('sh', 'p');
-- The key, and the relation.
ALTER TABLE shape.people RENAME id TO no;
SELECT change, total FROM load('sh', 'p');
DROP TABLE shape.people;
SELECT change, total FROM load('sh', 'p');
SELECT change, total FROM load('sh', 'q');
SELECT change, total FROM load('sh', 'p', 'q');
-- Its own views go without a word; what somebody built on them does not.
SET client_min_messages = notice;
CREATE VIEW shape.mine AS SELECT name FROM sh_next.p;
SELECT drop_environment('sh');
SELECT create_environment('sh'), define_entity('sh', 'p', '{"name": "text"}');
SELECT drop_environment('sh');
DROP SCHEMA shape CASCADE;
