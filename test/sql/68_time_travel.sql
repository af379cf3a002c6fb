-- Restore, differences by record, schemas on states, history and its proof.
-- In a database of its own: numbers of releases and segments are shown.
SELECT current_database() AS home \gset
CREATE DATABASE time_travel;
\c time_travel
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city FROM generate_series(1, 60) i;
CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(41, 80) i;
SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', 'test');
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text", "city": "text"}');
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id'), map_source('dev', 'person', 'shop', 'input.shop', 'no');
SELECT set_blocking('dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained;
SELECT master('dev', 'person') ->> 'records' AS records;
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;

-- restore: Test as Prod's twin, from any state of any environment, losing nothing.
SELECT snapshot('prod', 'as it was', 'v1') AS state;
SELECT set_survivorship('dev', 'person', '{"default": "longest"}'), master('dev', 'person') IS NOT NULL AS ran;
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;
CREATE TABLE input.test_crm AS TABLE input.crm;
SELECT bind_source('test', 'person', 'crm', 'input.test_crm');
UPDATE input.test_crm SET city = 'Mars' WHERE id <= 10;
SELECT source_name, change, updated FROM load('test', 'person');
SELECT set_clustering('test', 'person', '{"threshold": 0.8}'), master('test', 'person') ->> 'records' AS records;
SELECT snapshot('test', tag => 'mine') AS state;
SELECT restore('test', 'prod') AS before \gset
SELECT (SELECT array_agg(p::text ORDER BY id) FROM test.person p) = (SELECT array_agg(p::text ORDER BY id) FROM prod.person p) AS golden,
       (SELECT array_agg(p::text ORDER BY source, record_key) FROM test.person_records p) = (SELECT array_agg(p::text ORDER BY source, record_key) FROM prod.person_records p) AS records,
       (SELECT count(*) FROM diff('test', 'prod')) AS artifacts, (SELECT count(*) FROM diff_records('test', 'prod', 'person')) AS rows;
-- Its own bindings stay; so does what it was before.
SELECT bindings ->> 'person/crm' AS crm, bindings ->> 'person/shop' AS shop FROM mastering.configuration WHERE environment = 'test';
SELECT count(*) FROM diff(:'before', 'test@mine');
SELECT path, change FROM diff('test', :'before');
SELECT r.kind, r.source, r.target, r.state, r.proposal -> 'changes' AS changes FROM mastering.release r JOIN mastering.environment e ON e.name = r.target AND e.created_at <= r.created_at WHERE r.target = 'test' ORDER BY r.release_id;
\set VERBOSITY sqlstate
SELECT rollback('test');
\set VERBOSITY default
SELECT restore('test', :'before') LIKE '#%' AS back;
SELECT (SELECT count(*) FROM test.person WHERE city = 'Mars') AS mars;
SELECT restore('test', 'prod@v1') LIKE '#%' AS v1;
SELECT (SELECT count(*) FROM diff('test', 'prod@v1')) AS differs, (SELECT count(*) FROM test.person WHERE city = 'Mars') AS mars;
SELECT restore('test', 'prod~1') LIKE '#%' AS before_release;
SELECT (SELECT count(*) FROM diff('test', 'prod~1')) AS differs;
SELECT restore('test', 'prod') IS NOT NULL AS twin;
SELECT count(*) AS snapshots FROM mastering.snapshot \gset
SELECT restore('test', 'prod') IS NOT NULL AS nothing_to_do;
SELECT count(*) = :snapshots AS nothing_written FROM mastering.snapshot;

-- A change is tried in Test, fails twice, and what Test proved in the end is found in Prod.
SELECT add_check('dev', 'person', 'no x', 'SELECT id FROM person WHERE name ~ ''^x''');
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id', '{"name": "''x'' || name", "email": "email", "city": "city"}');
\set VERBOSITY terse
SELECT promote('dev', 'test', 'first try');
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id', '{"name": "name", "email": "upper(email)", "city": "city"}');
SELECT promote('dev', 'test', 'second try') > 0 AS to_test;
SELECT restore('test', 'prod') IS NOT NULL AS twin;
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id', '{"name": "name", "email": "email", "city": "upper(city)"}');
SELECT promote('dev', 'test', 'third try') > 0 AS to_test;
SELECT count(*) AS segments FROM mastering.segment \gset
SELECT promote('test', 'prod') AS release \gset
SELECT proposal -> 'runs' -> 0 ->> 'reused' AS reused FROM mastering.release WHERE release_id = :release;
SELECT count(*) = :segments AS nothing_written FROM mastering.segment;
SELECT (SELECT array_agg(p::text ORDER BY id) FROM test.person p) = (SELECT array_agg(p::text ORDER BY id) FROM prod.person p) AS the_same;
\set VERBOSITY default

-- Prod got new data in between: only the difference is written.
SELECT restore('test', 'prod') IS NOT NULL AS twin;
SELECT set_survivorship('dev', 'person', '{"default": "most_frequent"}'), promote('dev', 'test') > 0 AS to_test;
INSERT INTO input.crm VALUES (901, 'Late Comer', 'late@example.org', 'Rome');
UPDATE input.crm SET city = 'Kiel' WHERE id = 7;
SELECT source_name, change, inserted, updated FROM load('prod', 'person');
SELECT max(segment_id) AS segment FROM mastering.segment \gset
SELECT promote('test', 'prod') > 0 AS to_prod;
SELECT s.kind, sum(g.row_count) <= 80 AS bounded FROM mastering.segment g JOIN mastering.store s USING (store_id) WHERE g.segment_id > :segment AND s.kind IN ('records', 'members') GROUP BY 1 ORDER BY 1;
SELECT city, records FROM prod.person WHERE email IN ('late@example.org', 'mail7@example.org') ORDER BY 1;

-- diff_records: what differs, and nothing else.
SELECT kind, change, source, record_key, cluster_id IS NOT NULL AS cluster, before ->> 'city' AS before, after ->> 'city' AS after FROM diff_records('prod~1', 'prod', 'person') WHERE kind <> 'golden' OR change = 'added';
SELECT * FROM diff_records('prod', 'prod', 'person');
SELECT kind, attribute, added, removed, changed, rows_before, rows_after, regexp_replace(example, 'id [0-9]+', 'id N') AS example FROM diff_summary('prod~1', 'prod', 'person');
DELETE FROM input.crm WHERE id IN (3, 901);
UPDATE input.shop SET name = 'Renamed' WHERE no = 'N80';
SELECT source_name, change, inserted, updated, deleted FROM load('prod', 'person');
SELECT snapshot('prod', tag => 'v2') AS state;
SELECT master('prod', 'person') ->> 'records' AS records;
SELECT kind, change, source, record_key, before ->> 'name' ~ '^First' AS before, after ->> 'name' AS after FROM diff_records('prod@v2', 'prod', 'person') WHERE kind = 'record';
SELECT kind, added, removed, changed FROM diff_summary('prod@v2', 'prod', 'person') WHERE attribute IS NULL;
SELECT kind, added, removed, changed FROM diff_summary('prod', 'prod@v2', 'person') WHERE attribute IS NULL;
-- It agrees with the views, whichever way a state came to be: against all rows of both.
SELECT create_snapshot_schema('prod@v2', 'v2') LIKE '#%' AS v2, create_snapshot_schema('prod@v1', 'v1') LIKE '#%' AS v1;
SELECT count(*) > 0 AS differ,
       count(*) = (SELECT count(*) FROM (SELECT * FROM v1.person EXCEPT SELECT * FROM prod.person) x) + (SELECT count(*) FROM prod.person p WHERE p.id NOT IN (SELECT id FROM v1.person)) AS agrees
  FROM diff_records('prod@v1', 'prod', 'person') WHERE kind = 'golden';
SELECT count(*) > 0 AS differ,
       count(*) = (SELECT count(*) FROM (SELECT source, record_key, name, email, city FROM v1.person_records EXCEPT SELECT source, record_key, name, email, city FROM prod.person_records) x)
                  + (SELECT count(*) FROM prod.person_records p WHERE (p.source, p.record_key) NOT IN (SELECT source, record_key FROM v1.person_records)) AS agrees
  FROM diff_records('prod@v1', 'prod', 'person') WHERE kind = 'record';
-- Other columns on one side.
CREATE TYPE input.mood AS ENUM ('good', 'bad');
ALTER TABLE input.crm ADD COLUMN mood input.mood DEFAULT 'good', ADD COLUMN points numeric DEFAULT 1.50;
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text", "city": "text", "mood": "input.mood", "points": "numeric"}');
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id'), (SELECT count(*) FROM load('dev', 'person')) AS loaded, master('dev', 'person') ->> 'records' AS records;
SELECT kind, attribute, added, removed, changed, rows_before, rows_after FROM diff_summary('prod', 'dev', 'person') WHERE kind = 'record';
SELECT before, after FROM diff_records('prod', 'dev', 'person') WHERE kind = 'record' AND record_key = '8';
SELECT * FROM diff_records('prod', 'dev', 'nothing');

-- Time travel: a schema on a state shows it for ever, at the same plans, and is dropped like any.
SELECT (SELECT count(*) FROM v1.person) AS golden, (SELECT count(*) FROM v1.person_records) AS records, (SELECT count(*) FROM v1.person_members) AS members,
       (SELECT count(*) > 0 FROM v1.person_lineage) AS lineage, (SELECT count(*) FROM v1.person_history) AS history;
SELECT (SELECT array_agg(p::text ORDER BY source, record_key) FROM v2.person_records p) = (SELECT array_agg(p::text ORDER BY source, record_key) FROM prod.person_records p) AS prod_moved_on;
CREATE FUNCTION input.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        RETURN NEXT regexp_replace(line, 'segment_[0-9]+', 'segment_N', 'g');
    END LOOP;
END $$;
SET enable_seqscan = off;
SELECT input.plan('SELECT name FROM v1.person WHERE id = 5');
SELECT create_snapshot_schema('prod', 'v4') LIKE '#%' AS v4;
SELECT array(SELECT input.plan('SELECT r.name FROM v4.person_records r WHERE r.source = ''crm'' AND r.record_key = ''7''')) = array(SELECT input.plan('SELECT r.name FROM prod.person_records r WHERE r.source = ''crm'' AND r.record_key = ''7''')) AS as_live;
RESET enable_seqscan;
SELECT schema_name, environment, reader = current_user AS mine FROM mastering.snapshot_schema WHERE to_regnamespace(quote_ident(schema_name)) IS NOT NULL ORDER BY 1;
SELECT create_snapshot_schema('prod', 'v1');
SELECT create_snapshot_schema('prod', 'pg_v1');
SELECT create_snapshot_schema('prod@never', 'v3');
SET client_min_messages = error;
DROP SCHEMA v1 CASCADE;
SET client_min_messages = warning;
SELECT create_snapshot_schema('dev', 'v1') LIKE '#%' AS again;
SELECT count(points) FROM v1.person;
SELECT reason FROM mastering.needed_snapshots() ORDER BY 1;

-- history, and the proof of it.
SELECT event, message IS NOT NULL AS message, tag, cardinality(parents) AS parents, undoes IS NOT NULL AS undoes, artifacts_changed, golden_records FROM history('test');
SELECT * FROM verify_snapshots();
SELECT * FROM verify_snapshots('prod', deep => true);
BEGIN;
ALTER TABLE mastering.snapshot DISABLE TRIGGER USER;
ALTER TABLE mastering.artifact DISABLE TRIGGER USER;
ALTER TABLE mastering.artifact DROP CONSTRAINT artifact_check;
UPDATE mastering.snapshot SET message = 'never happened' WHERE environment = 'prod' AND tag = 'v1';
UPDATE mastering.artifact a SET content = '{"default": "other"}' FROM mastering.configuration c WHERE c.environment = 'prod' AND a.hash = c.tree ->> 'entity/person/survivorship';
UPDATE mastering.deletion_vector SET bitmap = (SELECT mastering.deletion_vector_agg(i) FROM generate_series(1, 3) i) WHERE vector_id = (SELECT min(v::bigint) FROM mastering.snapshot s JOIN mastering.environment e ON e.name = s.environment AND e.created_at <= s.created_at, jsonb_each(s.data) d, jsonb_array_elements_text(d.value -> 'vectors') v WHERE e.name = 'prod' AND v <> '0');
DO $$ BEGIN EXECUTE (SELECT format('UPDATE mastering.segment_%s SET city = ''Forged'' WHERE "#row" = 1', h.versions -> 'person' -> 'segments' ->> 0) FROM mastering.head h WHERE h.environment = 'prod'); END $$;
SELECT DISTINCT part, regexp_replace(name, '[0-9]+$', 'N') AS name, problem FROM verify_snapshots('prod', deep => true) ORDER BY 1, 2, 3;
ROLLBACK;
SELECT count(*) FROM verify_snapshots(deep => true);
SET client_min_messages = error;
DROP SCHEMA v1 CASCADE; DROP SCHEMA v2 CASCADE; DROP SCHEMA v4 CASCADE;
SELECT drop_environment('prod'), drop_environment('test'), drop_environment('dev');
DROP SCHEMA input CASCADE;
\c :home
DROP DATABASE time_travel;
