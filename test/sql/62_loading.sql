-- Loads that read what changed: by a change column, by a relation of changes; the content hash by any route.
-- In a database of its own: what other tests leave there is not.
SELECT current_database() AS home \gset
CREATE DATABASE loading;
\c loading
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE w_owner; CREATE ROLE w_loader;
CREATE SCHEMA crm;
CREATE TABLE crm.people (id int PRIMARY KEY, name text, city varchar(20), at timestamptz DEFAULT '2026-01-01 00:00+00');
INSERT INTO crm.people SELECT i, 'name ' || i, CASE WHEN i % 3 > 0 THEN 'Ulm' END FROM generate_series(1, 200) i;
CREATE TABLE crm.changes (seq bigint, op text, id int, name text, city varchar(20), at timestamptz);
CREATE TABLE crm.others AS TABLE crm.people;
GRANT USAGE ON SCHEMA crm TO w_owner;
GRANT SELECT ON crm.people, crm.others TO w_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('w1', owner => 'w_owner'), create_environment('w2', 'w1', owner => 'w_owner'), create_environment('w3', owner => 'w_owner'), grant_role('w1', 'loader', 'w_loader');
SELECT define_entity(e, 'p', '{"name": "text", "city": "text"}'), map_source(e, 'p', 's', 'crm.people', 'id') FROM unnest(ARRAY['w1', 'w2', 'w3']) e;
-- What an environment has loaded: the content, and how many rows are not as those of a relation.
CREATE FUNCTION pg_temp.content(env text) RETURNS text LANGUAGE sql AS $$ SELECT c.data -> 'p/s' ->> 'content' FROM mastering.configuration c WHERE c.environment = env $$;
CREATE FUNCTION pg_temp.stored(env text) RETURNS TABLE (key text, name text) LANGUAGE plpgsql AS $$
DECLARE v jsonb := (SELECT c.data -> 'p/s' FROM mastering.configuration c WHERE c.environment = env);
BEGIN RETURN QUERY EXECUTE format('SELECT s."#key", s.name FROM mastering.store_%s s WHERE %s', v ->> 'store', mastering.version_condition(v, 's')); END $$;
CREATE FUNCTION pg_temp.differs(env text, relation regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN EXECUTE format('SELECT count(*) FROM pg_temp.stored(%L) s FULL JOIN %s r ON r.id::text = s.key WHERE (s.key, s.name) IS DISTINCT FROM (r.id::text, r.name)', env, relation) INTO n; RETURN n; END $$;

-- ---- a hash that follows ----
-- One environment comes to the rows by three loads, another by one: the same content, and the second writes nothing.
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
UPDATE crm.people SET name = 'other ' || id WHERE id % 20 = 0;
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
DELETE FROM crm.people WHERE id % 50 = 1;
INSERT INTO crm.people SELECT i, 'name ' || i FROM generate_series(301, 305) i;
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT count(*) AS segments FROM segment g JOIN store t USING (store_id) WHERE t.kind = 'source' \gset
SELECT change, inserted FROM load('w2', 'p');
SELECT pg_temp.content('w1') = pg_temp.content('w2') AS same_content, count(*) = :segments AS nothing_written FROM segment g JOIN store t USING (store_id) WHERE t.kind = 'source';
-- The state that is kept is that of the rows, and the hash that of the state.
CREATE FUNCTION pg_temp.states() RETURNS TABLE (state_of_rows boolean, hash_of_state boolean) LANGUAGE sql AS $$
SELECT d.state = mastering.content_state_of(d.store_id, (SELECT jsonb_agg(c ORDER BY n) FROM jsonb_array_elements(t.columns) WITH ORDINALITY c (c, n) WHERE c ->> 'name' !~ '^#'), d.version - 'content'),
       split_part(d.content, ':', 2) = encode(sha256(d.state), 'hex') FROM mastering.data_version d JOIN mastering.store t USING (store_id) ORDER BY d.content $$;
SELECT * FROM pg_temp.states();
-- Data without a state, as 0.1.0 loaded them, get one with the next change.
UPDATE data_version SET state = NULL;
UPDATE crm.people SET name = 'new ' || id WHERE id = 7;
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
DELETE FROM data_version d WHERE d.content <> pg_temp.content('w1');
SELECT * FROM pg_temp.states();
SELECT change FROM load('w2', 'p');
SELECT pg_temp.content('w1') = pg_temp.content('w2') AS same_content;
DELETE FROM data_version d;
SELECT change FROM load('w3', 'p');
SELECT pg_temp.content('w1') = pg_temp.content('w3') AS same_content;

-- ---- by a change column ----
SELECT set_loading('w1', 'p', 's', '{"change_column": "at", "compare_every": 4}');
SELECT source, loading, last_position, loads_since_comparison FROM loading('w1');
-- The first load after that compares all keys; then what is as late as the last seen is read, what is earlier is not.
SELECT change FROM load('w1', 'p');
SELECT last_position, loads_since_comparison FROM loading('w1');
UPDATE crm.people SET name = 'a ' || id, at = '2026-01-02 00:00+00' WHERE id IN (2, 3);
INSERT INTO crm.people VALUES (400, 'b 400', 'Ulm', '2026-01-02 00:00+00');
UPDATE crm.people SET name = 'not seen', at = '2025-01-01 00:00+00' WHERE id = 4;
DELETE FROM crm.people WHERE id = 5;
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT last_position, loads_since_comparison, pg_temp.differs('w1', 'crm.people') AS not_seen FROM loading('w1');
-- At the very value that was seen last; and NULL, which is always read.
INSERT INTO crm.people VALUES (401, 'c 401', NULL, '2026-01-02 00:00+00'), (402, 'd 402', NULL, NULL);
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
-- The fourth compares all.
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT pg_temp.differs('w1', 'crm.people') AS differ, loads_since_comparison FROM loading('w1');
-- A load that finds nothing leaves the head as it is, though it goes on in counting; and the head is the one that a promotion compares.
SELECT change FROM load('w1', 'p');
SELECT e.head AS head, c.data #> '{p/s,position,loads}' AS loads FROM environments e JOIN mastering.configuration c ON c.environment = e.name WHERE e.name = 'w1' \gset idle_
SELECT change FROM load('w1', 'p');
SELECT e.head = :'idle_head' AS same_head, c.data #> '{p/s,position,loads}' <> :'idle_loads' AS counted, starts_with(mastering.state_hash(mastering.current_state('w1')), e.head) AS same_hash
  FROM environments e JOIN mastering.configuration c ON c.environment = e.name WHERE e.name = 'w1';
-- As in an environment that compares all.
SELECT change FROM load('w2', 'p');
SELECT pg_temp.content('w1') = pg_temp.content('w2') AS same_content;
-- What was committed late is within the overlap.
SELECT set_loading('w1', 'p', 's', '{"change_column": "at", "overlap": "1 day"}');
SELECT change FROM load('w1', 'p');
UPDATE crm.people SET name = 'late', at = '2026-01-01 12:00+00' WHERE id = 8;
SELECT change, inserted, updated, deleted FROM load('w1', 'p');
-- Another relation: all keys are compared.
SELECT bind_source('w1', 'p', 's', 'crm.others');
SELECT loading FROM loading('w1');
SELECT change, updated > 5 AS many FROM load('w1', 'p');
SELECT bind_source('w1', 'p', 's', 'crm.people');
SELECT loading FROM loading('w1');
SELECT change, updated > 5 AS many FROM load('w1', 'p');

-- ---- by a relation of changes ----
SELECT set_loading('w1', 'p', 's', '{"changes": "crm.changes", "operation": "op", "position": "seq"}');
GRANT SELECT ON crm.changes TO w_owner;
INSERT INTO crm.changes VALUES (10, 'update', 9, 'before the first load', NULL, NULL);
SELECT set_loading('w1', 'p', 's', '{"changes": "crm.changes", "operation": "op", "position": "seq"}');
SELECT change FROM load('w1', 'p');
SELECT last_position FROM loading('w1');
SELECT snapshot('w1', tag => 'before') IS NOT NULL AS snapshot;
-- Of several changes of a key the last counts; what is not there is not deleted, what is there not inserted twice.
INSERT INTO crm.changes VALUES (11, 'insert', 500, 'e 500', 'Ulm', NULL), (12, 'U', 500, 'e 500 again', 'Ulm', NULL), (13, 'delete', 10, NULL, NULL, NULL), (14, 'insert', 10, 'back', NULL, NULL),
    (15, 'delete', 11, NULL, NULL, NULL), (16, 'd', 999, NULL, NULL, NULL), (17, 'I', 12, 'was there', NULL, NULL), (18, 'insert', 501, 'short', NULL, NULL), (19, 'delete', 501, NULL, NULL, NULL);
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT key, name FROM pg_temp.stored('w1') WHERE key IN ('9', '10', '11', '12', '500', '501', '999') ORDER BY key::int;
-- Once.
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
INSERT INTO crm.changes VALUES (20, 'update', 500, 'third', 'Ulm', NULL);
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT last_position, loads_since_comparison FROM loading('w1');
-- A change that changes nothing was seen, too.
INSERT INTO crm.changes VALUES (21, 'update', 500, 'third', 'Ulm', NULL);
SELECT change FROM load('w1', 'p');
SELECT last_position FROM loading('w1');
SELECT pg_temp.content('w1') AS content_then \gset
-- What a restore takes back comes again with the next load.
SELECT restore('w1', 'w1@before') IS NOT NULL AS restored;
SELECT last_position, (SELECT count(*) FROM pg_temp.stored('w1') WHERE key = '500') AS there FROM loading('w1');
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT last_position, pg_temp.content('w1') = :'content_then' AS same_content FROM loading('w1');
-- An error takes nothing, and says what is wrong.
INSERT INTO crm.changes VALUES (22, 'update', 500, 'fourth', 'Ulm', NULL), (23, 'replace', 501, 'x', NULL, NULL);
SELECT * FROM load('w1', 'p');
DELETE FROM crm.changes WHERE seq = 23;
INSERT INTO crm.changes VALUES (NULL, 'update', 501, 'x', NULL, NULL);
SELECT * FROM load('w1', 'p');
DELETE FROM crm.changes WHERE seq IS NULL;
INSERT INTO crm.changes VALUES (23, 'update', NULL, 'x', NULL, NULL);
SELECT * FROM load('w1', 'p');
UPDATE crm.changes SET id = 502, op = NULL WHERE seq = 23;
SELECT * FROM load('w1', 'p');
UPDATE crm.changes SET op = 'insert' WHERE seq = 23;
INSERT INTO crm.changes VALUES (23, 'insert', 502, 'y', NULL, NULL);
SELECT * FROM load('w1', 'p');
DELETE FROM crm.changes WHERE seq = 23 AND name = 'y';
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
-- What was erased stays away, and the state goes on from the rows that are left.
SELECT count(*) > 0 AS erased FROM erase('p', 's', '500', 'asked to');
INSERT INTO crm.changes VALUES (24, 'update', 500, 'fifth', 'Ulm', NULL), (25, 'update', 12, 'again', NULL, NULL);
SELECT change, inserted, updated, deleted, total FROM load('w1', 'p');
SELECT count(*) FROM pg_temp.stored('w1') WHERE key = '500';
SELECT bool_and(state_of_rows), bool_and(hash_of_state) FROM pg_temp.states();
-- Policies hold for what came by changes.
SELECT set_policy('w1', 'refuse_share', '0.1');
INSERT INTO crm.changes SELECT 100 + i, 'update', i, 'mass', NULL, NULL FROM generate_series(100, 150) i;
SELECT * FROM load('w1', 'p');
SELECT last_position FROM loading('w1');
SELECT set_policy('w1', 'refuse_share', NULL);
-- So do checks.
SELECT add_check('w1', 'p', 'no_mass', 'SELECT * FROM s WHERE name = ''mass''', stage => 'load');
SELECT * FROM load('w1', 'p');
SELECT drop_check('w1', 'p', 'no_mass');
SELECT change, updated FROM load('w1', 'p');
-- Positions of another type; an empty relation of changes; an overlap; every third load compares all.
TRUNCATE crm.changes;
ALTER TABLE crm.changes ALTER seq TYPE pg_lsn USING NULL;
UPDATE crm.people SET name = 'from the start' WHERE id = 20;
SELECT set_loading('w1', 'p', 's', '{"changes": "crm.changes", "operation": "op", "position": "seq", "compare_every": 4, "overlap": "16"}');
SELECT change, updated > 1 AS many FROM load('w1', 'p');
SELECT last_position, pg_temp.differs('w1', 'crm.people') AS differ FROM loading('w1');
SELECT change FROM load('w1', 'p');
INSERT INTO crm.changes VALUES ('0/20', 'update', 20, 'x', NULL, NULL);
SELECT change, updated FROM load('w1', 'p');
SELECT last_position, loads_since_comparison FROM loading('w1');
INSERT INTO crm.changes VALUES ('0/1F', 'update', 21, 'late', NULL, NULL);
SELECT change, updated, deleted FROM load('w1', 'p');
SELECT key, name FROM pg_temp.stored('w1') WHERE key IN ('20', '21') ORDER BY key;
SELECT change, updated, deleted FROM load('w1', 'p');
SELECT last_position, loads_since_comparison, pg_temp.differs('w1', 'crm.people') AS differ FROM loading('w1');
-- Columns that come: all is read again, and the relation of changes must have them.
ALTER TABLE crm.people ADD COLUMN tel text;
SELECT * FROM load('w1', 'p');
ALTER TABLE crm.changes ADD COLUMN tel text;
SELECT change FROM load('w1', 'p');

-- ---- wrong use ----
SELECT set_loading('w1', 'p', 's', '{}');
SELECT set_loading('w1', 'p', 's', '{"change_column": "at", "changes": "crm.changes"}');
SELECT set_loading('w1', 'p', 's', '{"change_column": "at", "operation": "op"}');
SELECT set_loading('w1', 'p', 's', '{"change_column": 1}');
SELECT set_loading('w1', 'p', 's', '{"change_column": "no"}');
SELECT set_loading('w1', 'p', 's', '{"change_column": "at", "compare_every": 0}');
SELECT set_loading('w1', 'p', 's', '{"change_column": "at", "overlap": "often"}');
SELECT set_loading('w1', 'p', 's', '{"changes": "crm.changes"}');
SELECT set_loading('w1', 'p', 's', '{"changes": "crm.no"}');
SELECT set_loading('w1', 'p', 't', '{"change_column": "at"}');
SELECT set_loading('w1', 'q', 's', '{"change_column": "at"}');
ALTER TABLE crm.people ADD COLUMN shape point;
SELECT set_loading('w1', 'p', 's', '{"change_column": "shape"}');
ALTER TABLE crm.people DROP COLUMN shape;
SET ROLE w_loader;
SELECT set_loading('w1', 'p', 's', NULL);
SELECT source, last_position FROM loading('w1');
SELECT source FROM loading('w2');
RESET ROLE;
SELECT set_loading('w1', 'p', 's', NULL);
SELECT loading, last_position FROM loading('w1');
SELECT change FROM load('w1', 'p');
SELECT pg_temp.differs('w1', 'crm.people') AS differ;
SELECT action, count(*) FROM audit_log WHERE environment = 'w1' AND action = 'set loading' GROUP BY 1;
SELECT drop_environment('w2'), drop_environment('w1'), drop_environment('w3');
SELECT count(*) FROM mastering.source_loading;
DROP SCHEMA crm CASCADE;
DROP ROLE w_owner, w_loader;
\c :home
DROP DATABASE loading;
