-- Arrays, soft TF-IDF, quantities and model numbers in an environment: what a look-up says is what comparing with every
-- record says, and an increment gives what a full run gives.
SELECT current_database() AS home \gset
CREATE DATABASE forms_all;
\c forms_all
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE forms_owner;
CREATE SCHEMA goods;
CREATE TABLE goods.one AS
SELECT i AS id, 'Acme ' || (ARRAY['player', 'playre', 'recorder', 'camera', 'monitor'])[1 + i % 5] || ' ' || (ARRAY['black', 'silver', 'white'])[1 + i % 3] || ' XK-' || 100 + i % 90 || ' ' || 2 ^ (i % 6) || CASE WHEN i % 2 = 0 THEN ' GB' ELSE '000MB' END AS name,
       CASE WHEN i % 7 > 0 THEN ARRAY['shop' || i % 90 || '@example.org', CASE WHEN i % 4 = 0 THEN 'info@example.org' END] WHEN i % 7 = 0 AND i % 2 = 0 THEN '{}' END AS emails, i % 90 || '; ' || i % 45 AS places
  FROM generate_series(1, 240) i;
GRANT USAGE ON SCHEMA goods TO forms_owner;
GRANT SELECT ON goods.one TO forms_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('f1', owner => 'forms_owner') IS NOT NULL AS made;
SELECT define_entity('f1', 'p', '{"name": "text", "emails": "text[]", "places": "text"}'), map_source('f1', 'p', 'one', 'goods.one', 'id'),
       set_blocking('f1', 'p', '["emails", {"keys": "mastering.model_numbers(name)"}]'),
       set_comparisons('f1', 'p', '[{"column": "name", "method": "soft_tfidf", "levels": [0.9, 0.7, 0.5, 0.3]}, {"column": "emails", "elements": "best", "levels": [1, 0.9], "term_frequency": true}, {"column": "places", "elements": "set", "separator": ";", "levels": [0.3]},
            {"name": "model", "expression": "mastering.model_numbers(name)", "elements": "best", "method": "exact", "term_frequency": true}, {"name": "size", "expression": "mastering.quantities(name)", "elements": "set"}]');
SELECT count(*) FROM load('f1', 'p');
SELECT train('f1', 'p') IS NOT NULL AS trained;
SELECT master('f1', 'p') ->> 'records' AS records;

CREATE TABLE goods.probe AS SELECT n, record FROM (
    SELECT id AS n, to_jsonb(o) - 'id' AS record FROM goods.one AS o WHERE id % 11 = 3
    UNION ALL SELECT 1000 + id, jsonb_build_object('name', replace(name, 'player', 'plaer'), 'emails', jsonb_build_array('INFO@example.org', 'x' || id || '@nowhere.org', emails[1])) FROM goods.one WHERE id % 17 = 5
    UNION ALL SELECT 2000, '{}' UNION ALL SELECT 2001, '{"emails": [], "name": "XK120"}' UNION ALL SELECT 2002, '{"emails": ["info@example.org"]}') AS x;
CREATE FUNCTION goods.pairs(record jsonb) RETURNS TABLE (record_key text, weight float8, probability float8, levels smallint[]) LANGUAGE plpgsql AS $$
DECLARE
    model jsonb := (SELECT mastering.model_of(h.versions -> 'p_keys' -> 'tree', 'f1', 'p') FROM mastering.head h WHERE h.environment = 'f1');
BEGIN
    RETURN QUERY EXECUTE format('SELECT substr(m.id, 5), m.weight, m.probability, m.levels FROM (SELECT CASE WHEN p.id_a = ''?'' THEN p.id_b ELSE p.id_a END AS id, p.weight, p.probability, p.levels FROM mastering.match_pairs(%L, %L, 1e-300) p) m',
        format('SELECT ''?''::text AS id, ''?''::text AS source, q.* FROM jsonb_to_record(%L::jsonb) AS q (name text, emails text[], places text)
                UNION ALL SELECT r.source || '':'' || r.record_key, ''known'', r.name, r.emails, r.places FROM f1.p_records r', record), model || '{"link": "across_sources"}');
END $$;
CREATE FUNCTION goods.differ() RETURNS TABLE (probes bigint, pairs bigint, different bigint) LANGUAGE sql AS $$
    SELECT count(DISTINCT n), count(*), count(*) FILTER (WHERE (l IS NULL OR w IS NULL) OR (l.weight, l.probability) IS DISTINCT FROM (w.weight, w.probability) OR l.found <> w.levels)
      FROM (SELECT p.n, x.record_key, x.weight, x.probability, ARRAY[(e ->> 'name')::smallint, (e ->> 'emails')::smallint, (e ->> 'places')::smallint, (e ->> 'model')::smallint, (e ->> 'size')::smallint] AS found
              FROM goods.probe p CROSS JOIN LATERAL mastering.lookup('f1', 'p', p.record, 100000) x CROSS JOIN LATERAL (SELECT x.explanation) y (e)) l
      FULL JOIN (SELECT p.n, x.* FROM goods.probe p CROSS JOIN LATERAL goods.pairs(p.record) x) w USING (n, record_key) $$;
SELECT probes, pairs > 150 AS many, different FROM goods.differ();
CREATE FUNCTION goods.same() RETURNS boolean LANGUAGE sql AS $$
    WITH wanted AS (SELECT c.id, min(c.id) OVER (PARTITION BY c.cluster_id) AS cluster
                      FROM mastering.match_clusters('SELECT source || '':'' || record_key AS id, source, name, emails, places FROM f1.p_records',
                               (SELECT mastering.model_of(c.tree, 'f1', 'p') FROM mastering.configuration c WHERE c.environment = 'f1')) c),
         shown AS (SELECT m.source || ':' || m.record_key AS id, min(m.source || ':' || m.record_key) OVER (PARTITION BY m.cluster_id) AS cluster FROM f1.p_members m)
    SELECT NOT EXISTS (SELECT * FROM wanted EXCEPT SELECT * FROM shown) AND NOT EXISTS (SELECT * FROM shown EXCEPT SELECT * FROM wanted) AND (SELECT count(DISTINCT cluster) < count(*) FROM shown) $$;
SELECT goods.same();
-- An address more, one less, another model, a new record, one that is gone.
UPDATE goods.one SET emails = emails || 'shop3@example.org'::text WHERE id = 7;
UPDATE goods.one SET emails = NULL WHERE id = 8;
UPDATE goods.one SET name = 'Acme camera white XK104 4GB' WHERE id = 11;
INSERT INTO goods.one VALUES (1000, 'acme playr black xk-101', '{zz@example.org,shop11@example.org}', '11;45');
DELETE FROM goods.one WHERE id = 20;
SELECT source_name, inserted, updated, deleted FROM load('f1', 'p');
SELECT master('f1', 'p') #>> '{how,run}' AS run, goods.same();
SELECT probes, pairs > 150 AS many, different FROM goods.differ();
-- Survivorship of arrays: what all records of a cluster have.
SELECT set_survivorship('f1', 'p', '{"attributes": {"emails": "union"}}');
SELECT master('f1', 'p') IS NOT NULL AS run;
SELECT count(*) > 10 AS clusters, count(*) FILTER (WHERE NOT (p.emails @> m.emails AND p.emails <@ m.emails)) AS other
  FROM f1.p AS p JOIN (SELECT s.cluster_id, array_agg(DISTINCT e) AS emails FROM f1.p_members AS s JOIN f1.p_records AS r USING (source, record_key) CROSS JOIN LATERAL unnest(r.emails) AS e WHERE e IS NOT NULL GROUP BY 1) AS m ON m.cluster_id = p.id;
SELECT drop_environment('f1');
DROP SCHEMA goods CASCADE;
DROP ROLE forms_owner;
\c :home
DROP DATABASE forms_all;
