-- Space: what gc frees and what it keeps, what compaction writes, whose space is whose, dropping an entity.
-- In a database of its own: numbers of releases and segments are shown.
SELECT current_database() AS home \gset
CREATE DATABASE space;
\c space
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA space_input;
SET search_path = mastering, public;
SELECT count(*) >= 0 AS collected FROM gc(false, 0, '0', true, '0', 10000);    -- what other tests have left
CREATE TABLE space_input.crm AS SELECT i AS id, 'Person ' || md5('space' || i) AS name, 'mail' || i || '@space.example' AS email FROM generate_series(1, 400) i;
SELECT create_environment('s_dev'), create_environment('s_prod', 's_dev');
SELECT define_entity('s_dev', 'spaced', '{"name": "text", "email": "text"}'), map_source('s_dev', 'spaced', 'crm', 'space_input.crm', 'id');
SELECT set_model('s_dev', 'spaced', '{"blocking": [{"keys": ["email"]}], "comparisons": [{"name": "email", "column": "email", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "normalize": "text"}');
SELECT change, total FROM load('s_dev', 'spaced');
SELECT master('s_dev', 'spaced') ->> 'clusters' AS clusters;
SELECT promote('s_dev', 's_prod') > 0 AS promoted;

-- Both show the same rows: nothing is anybody's alone, nothing is garbage.
SELECT environment, kind, held, segments, stored_rows FROM storage('s_dev');
SELECT * FROM gc(keep => 0, keep_for => '0', keep_unused => '0');

-- Eight small changes: the large segment is not written again, small ones are merged.
DO $$ BEGIN
    FOR i IN 1 .. 8 LOOP
        UPDATE space_input.crm SET name = name || i WHERE id BETWEEN 3 * i AND 3 * i + 1;
        INSERT INTO space_input.crm VALUES (1000 + i, 'New ' || i, 'new' || i || '@space.example');
        PERFORM mastering.load('s_dev', 'spaced'), mastering.master('s_dev', 'spaced');
    END LOOP;
END $$;
SELECT v.key, jsonb_array_length(v.value -> 'segments') BETWEEN 2 AND 8 AS few, v.value -> 'segments' -> 0 = p.value -> 'segments' -> 0 AS same_base, v.value -> 'rows' AS rows
  FROM mastering.head h, jsonb_each(h.versions) v, mastering.head g, jsonb_each(g.versions) p WHERE h.environment = 's_dev' AND g.environment = 's_prod' AND p.key = v.key ORDER BY 1;
SELECT count(*), count(DISTINCT email), (SELECT count(*) FROM s_prod.spaced) AS prod FROM s_dev.spaced;
SELECT mastering.segments_to_compact('{"segments": [], "vectors": [], "rows": 0}');

-- A dry run says what it would free and frees nothing; then it is freed, and is there again for new segments.
SELECT snapshot('s_dev', tag => 'kept'), snapshot('s_prod') ~ '^#' AS untagged;
CREATE TEMP TABLE dry AS SELECT * FROM gc(keep => 0, keep_for => '0', keep_unused => '0');
SELECT what, environment, kind, number > 0 AS some, bytes > 0 AS bytes FROM dry ORDER BY what, environment, kind;
SELECT (SELECT sum(number) FROM dry WHERE what = 'segment') = (SELECT sum(segments) FROM storage() WHERE held = 'nothing') AS as_storage_says,
       (SELECT sum(bytes) FROM dry WHERE what = 'segment') = (SELECT sum(bytes) FROM storage() WHERE held = 'nothing') AS bytes_too;
CREATE TEMP TABLE wet AS SELECT * FROM gc(false, keep => 0, keep_for => '0', keep_unused => '0');
SELECT count(*) AS different FROM (SELECT what, environment, entity, kind, number, bytes FROM dry WHERE what <> 'shell' EXCEPT ALL SELECT what, environment, entity, kind, number, bytes FROM wet) x;
SELECT * FROM gc(keep => 0, keep_for => '0', keep_unused => '0');
SELECT held, sum(segments) > 0 AS some, sum(stored_rows) AS rows FROM storage() WHERE environment IS NULL GROUP BY 1;
SELECT count(*), count(DISTINCT email), (SELECT count(*) FROM s_prod.spaced) AS prod FROM s_dev.spaced;
SELECT count(*) AS partitions FROM pg_inherits i JOIN mastering.store s ON i.inhparent = ('mastering.store_' || s.store_id)::regclass WHERE s.entity = 'spaced' AND s.kind = 'source' \gset before_
UPDATE space_input.crm SET name = name || ' once more' WHERE id = 1;
SELECT change, updated FROM load('s_dev', 'spaced');
SELECT count(*) = :before_partitions AS filled_again FROM pg_inherits i JOIN mastering.store s ON i.inhparent = ('mastering.store_' || s.store_id)::regclass WHERE s.entity = 'spaced' AND s.kind = 'source';
SELECT master('s_dev', 'spaced') ->> 'records' AS records;
SELECT bool_and(mastering.segment_hash(segment_id) = hash) AS all_verify FROM mastering.segment;

-- Kept: tags, the last ones, what is young, what rollback goes back to. Removed: written down.
SELECT count(*) FROM snapshots WHERE environment = 's_prod' AND tag IS NULL;
SELECT snapshot('s_prod') ~ '^#' AND snapshot('s_prod') ~ '^#' AND snapshot('s_prod') ~ '^#' AS three_more;
SELECT what, environment, number FROM gc(keep => 0, keep_for => '1 day') WHERE what = 'snapshot' AND environment LIKE 's\_%';
SELECT what, environment, number, note ~ '^by ' AS by_whom FROM gc(keep => 1, keep_for => '0') WHERE what = 'snapshot' AND environment LIKE 's\_%';
SELECT what, environment, number FROM gc(false, keep => 0, keep_for => '0') WHERE what = 'snapshot' AND environment LIKE 's\_%';
SELECT what, environment, number FROM gc(keep => 0, keep_for => '0', keep_tagged => false) WHERE what = 'snapshot' AND environment LIKE 's\_%';
SELECT environment, tag FROM snapshots WHERE environment IN ('s_dev', 's_prod') ORDER BY created_at;
SELECT action, jsonb_array_length(detail -> 'snapshots') AS snapshots FROM audit_log WHERE environment = 's_prod' AND action = 'gc';
SELECT count(*) = 1 AS there FROM mastering.release r JOIN mastering.snapshot s ON s.hash = r.snapshot_before WHERE r.target = 's_prod';

-- Compaction of all: one segment of each, the same rows, and the run is still found by its content.
SELECT state_hash(current_state('s_dev')) AS before_hash, (SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM s_dev.spaced p) AS before_rows, (SELECT md5(string_agg(p::text, ',' ORDER BY p)) FROM s_dev.spaced_lineage p) AS before_lineage,
       (SELECT md5(string_agg(p::text, ',' ORDER BY p)) FROM s_dev.spaced_records p) AS before_records, (SELECT md5(string_agg(p::text, ',' ORDER BY p)) FROM s_dev.spaced_history p) AS before_history \gset
SELECT name, segments_before > 1 AS several, segments_after, rows_written = live_rows AS all_written FROM compact('s_dev', everything => true) ORDER BY 1;
SELECT * FROM compact('s_dev', everything => true);
SELECT * FROM compact('s_dev');
SELECT (SELECT md5(string_agg(p::text, ',' ORDER BY id)) FROM s_dev.spaced p) = :'before_rows' AS rows, (SELECT md5(string_agg(p::text, ',' ORDER BY p)) FROM s_dev.spaced_lineage p) = :'before_lineage' AS lineage,
       (SELECT md5(string_agg(p::text, ',' ORDER BY p)) FROM s_dev.spaced_records p) = :'before_records' AS records, (SELECT md5(string_agg(p::text, ',' ORDER BY p)) FROM s_dev.spaced_history p) = :'before_history' AS history;
SELECT master('s_dev', 'spaced');
SELECT change FROM load('s_dev', 'spaced');
SELECT sum(number) > 0 AS freed FROM gc(false, keep => 0, keep_for => '0', keep_unused => '0') WHERE what = 'segment';
SELECT set_survivorship('s_dev', 'spaced', '{"default": "longest"}');
SELECT change FROM load('s_prod', 'spaced');
SELECT master('s_dev', 'spaced') ->> 'reused' AS reused, promote('s_dev', 's_prod') > 0 AS promoted;
SELECT proposal -> 'runs' -> 0 ->> 'reused' AS reused FROM mastering.release WHERE target = 's_prod' ORDER BY release_id DESC LIMIT 1;
SELECT count(*) AS different FROM (SELECT name, email, records FROM s_dev.spaced EXCEPT ALL SELECT name, email, records FROM s_prod.spaced) x;
-- A snapshot from before compaction holds what it held.
SELECT rollback('s_dev', 's_dev@kept', 'all') > 0 AS back;
SELECT count(*), count(DISTINCT email) FROM s_dev.spaced;

-- One at a time, who may, and how not.
SELECT * FROM gc(keep => -1);
SELECT * FROM gc(keep_for => NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM gc();
SELECT * FROM gc(false);
ROLLBACK;
CREATE ROLE space_reviewer;
SET ROLE space_reviewer;
SELECT * FROM gc();
SELECT * FROM storage('s_dev');
SELECT count(*) FROM storage();
SELECT * FROM compact('s_dev');
SELECT drop_entity('s_dev', 'spaced');
RESET ROLE;
SELECT grant_role('s_dev', 'reviewer', 'space_reviewer');
SET ROLE space_reviewer;
SELECT DISTINCT environment FROM storage();
SELECT * FROM gc();
RESET ROLE;
SELECT revoke_role('s_dev', 'reviewer', 'space_reviewer');
DROP ROLE space_reviewer;

-- An entity goes: at once where it is dropped, with the next promotion in the stages after it.
CREATE VIEW space_input.built_on AS SELECT id FROM s_dev.spaced;
SELECT drop_entity('s_dev', 'spaced');
DROP VIEW space_input.built_on;
SELECT drop_entity('s_dev', 'spaced');
SELECT drop_entity('s_dev', 'spaced');
SELECT count(*) FROM pg_views WHERE schemaname IN ('s_dev', 's_dev_next');
SELECT tree, data, bindings FROM mastering.configuration WHERE environment = 's_dev';
SELECT promote('s_dev', 's_prod') > 0 AS promoted;
SELECT count(*) FROM s_prod.spaced;
SELECT rollback('s_prod') > 0 AS back;
SELECT count(*) FROM s_prod.spaced;
-- Dropped with its environment and without a tag, all of it goes, the empty tables too.
SELECT drop_environment('s_prod'), drop_environment('s_dev');
SELECT what, environment, number > 0 AS some FROM gc(false, keep => 0, keep_for => '0', keep_tagged => false, keep_unused => '0') WHERE what = 'snapshot' AND environment LIKE 's\_%' ORDER BY 1, 2;
SELECT count(*) >= 0 AS once_more FROM gc(false, keep => 0, keep_for => '0', keep_unused => '0');    -- one call drops a hundred tables at most
SELECT count(*) FROM storage() WHERE entity = 'spaced';
SELECT count(*) FROM mastering.store WHERE entity = 'spaced';
RESET search_path;
DROP SCHEMA space_input CASCADE;
\c :home
DROP DATABASE space;
