-- Quantities in an environment: what suggest writes of them is frozen in the model, so a record is coded by itself as the run coded
-- it among all: look-ups, explanations and increments give what comparing all records gives.
SELECT current_database() AS home \gset
CREATE DATABASE quantities_all;
\c quantities_all
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE quantities_owner;
CREATE SCHEMA goods;
CREATE TABLE goods.one AS
SELECT i AS id, 'Film no. ' || i % 60 || ' ' || (ARRAY['of the night', 'of the day', 'of both'])[1 + i % 3] AS title,
       CASE i % 4 WHEN 0 THEN 80 + i % 60 || ' min' WHEN 1 THEN (80 + i % 60) / 60 || ' hr. ' || (80 + i % 60) % 60 || ' min.' WHEN 2 THEN ((80 + i % 60) * 60)::text ELSE (80 + i % 60) / 60 || ':' || to_char((80 + i % 60) % 60, 'FM00') END AS runtime,
       CASE WHEN i % 3 = 0 THEN '$ ' || 5 + i % 60 * 3 || '.99' WHEN i % 3 = 1 THEN 5 + i % 60 * 3 || ',99 USD' WHEN i % 7 > 0 THEN (5.99 + i % 60 * 3)::text END AS price
  FROM generate_series(1, 240) i;
GRANT USAGE ON SCHEMA goods TO quantities_owner;
GRANT SELECT ON goods.one TO quantities_owner;
SET search_path = mastering, pg_catalog;
SELECT suggest('SELECT id, title, runtime, price FROM goods.one') AS spec \gset
SELECT c ->> 'expression' AS expression FROM jsonb_array_elements(:'spec'::jsonb -> 'comparisons') AS c WHERE c ->> 'expression' LIKE 'mastering.quantity%';
SELECT create_environment('q1', owner => 'quantities_owner') IS NOT NULL AS made;
SELECT define_entity('q1', 'p', '{"title": "text", "runtime": "text", "price": "text"}'), map_source('q1', 'p', 'one', 'goods.one', 'id'),
       set_blocking('q1', 'p', '["title", "mastering.quantity(runtime, ''min'', usual => 109)", {"keys": ["mastering.quantity(price, ''usd'')"]}]'),
       set_comparisons('q1', 'p', (SELECT jsonb_agg(c) FROM jsonb_array_elements(:'spec'::jsonb -> 'comparisons') AS c WHERE c ->> 'method' <> 'tfidf') || '[{"column": "title", "method": "qgram"}, {"name": "price by ratio", "expression": "mastering.quantity(price, ''usd'')", "method": "numeric", "scale": "relative", "levels": [0.99, 0.7]}]');
SELECT count(*) FROM load('q1', 'p');
SELECT train('q1', 'p') IS NOT NULL AS trained;
SELECT master('q1', 'p') ->> 'records' AS records;

CREATE TABLE goods.probe AS SELECT n, record FROM (
    SELECT id AS n, to_jsonb(o) - 'id' AS record FROM goods.one AS o WHERE id % 11 = 3
    UNION ALL SELECT 1000 + id, jsonb_build_object('title', title, 'runtime', '1:4' || id % 10, 'price', '$' || id % 90) FROM goods.one WHERE id % 17 = 5
    UNION ALL SELECT 2000, '{}' UNION ALL SELECT 2001, '{"runtime": "6000", "price": "35.99"}' UNION ALL SELECT 2002, '{"runtime": "6000000", "price": "12 EUR"}' UNION ALL SELECT 2003, '{"runtime": "unk.", "price": "8,99 $"}') AS x;
CREATE FUNCTION goods.pairs(record jsonb) RETURNS TABLE (record_key text, weight float8, probability float8, levels smallint[]) LANGUAGE plpgsql AS $$
DECLARE
    model jsonb := (SELECT mastering.model_of(h.versions -> 'p_keys' -> 'tree', 'q1', 'p') FROM mastering.head h WHERE h.environment = 'q1');
BEGIN
    RETURN QUERY EXECUTE format('SELECT substr(m.id, 5), m.weight, m.probability, m.levels FROM (SELECT CASE WHEN p.id_a = ''?'' THEN p.id_b ELSE p.id_a END AS id, p.weight, p.probability, p.levels FROM mastering.match_pairs(%L, %L, 1e-300) p) m',
        format('SELECT ''?''::text AS id, ''?''::text AS source, q.* FROM jsonb_to_record(%L::jsonb) AS q (title text, runtime text, price text)
                UNION ALL SELECT r.source || '':'' || r.record_key, ''known'', r.title, r.runtime, r.price FROM q1.p_records r', record), model || '{"link": "across_sources"}');
END $$;
CREATE FUNCTION goods.differ() RETURNS TABLE (probes bigint, pairs bigint, different bigint) LANGUAGE sql AS $$
    SELECT count(DISTINCT n), count(*), count(*) FILTER (WHERE (l IS NULL OR w IS NULL) OR (l.weight, l.probability) IS DISTINCT FROM (w.weight, w.probability) OR l.found <> w.levels)
      FROM (SELECT p.n, x.record_key, x.weight, x.probability, ARRAY[(e ->> 'runtime')::smallint, (e ->> 'price')::smallint, (e ->> 'title')::smallint, (e ->> 'price by ratio')::smallint] AS found
              FROM goods.probe p CROSS JOIN LATERAL mastering.lookup('q1', 'p', p.record, 100000) x CROSS JOIN LATERAL (SELECT x.explanation) y (e)) l
      FULL JOIN (SELECT p.n, x.* FROM goods.probe p CROSS JOIN LATERAL goods.pairs(p.record) x) w USING (n, record_key) $$;
SELECT c ->> 'name' AS comparison FROM mastering.head h, jsonb_array_elements(mastering.model_of(h.versions -> 'p_keys' -> 'tree', 'q1', 'p') -> 'comparisons') AS c WHERE h.environment = 'q1';
SELECT probes, pairs > 150 AS many, different FROM goods.differ();
SELECT l.record_key, l.explanation ->> 'runtime' AS runtime FROM lookup('q1', 'p', '{"runtime": "7560", "title": "Film no. 46 of the day"}', 3) AS l ORDER BY l.weight DESC, l.record_key;
CREATE FUNCTION goods.same() RETURNS boolean LANGUAGE sql AS $$
    WITH wanted AS (SELECT c.id, min(c.id) OVER (PARTITION BY c.cluster_id) AS cluster
                      FROM mastering.match_clusters('SELECT source || '':'' || record_key AS id, source, title, runtime, price FROM q1.p_records',
                               (SELECT mastering.model_of(c.tree, 'q1', 'p') FROM mastering.configuration c WHERE c.environment = 'q1')) c),
         shown AS (SELECT m.source || ':' || m.record_key AS id, min(m.source || ':' || m.record_key) OVER (PARTITION BY m.cluster_id) AS cluster FROM q1.p_members m)
    SELECT NOT EXISTS (SELECT * FROM wanted EXCEPT SELECT * FROM shown) AND NOT EXISTS (SELECT * FROM shown EXCEPT SELECT * FROM wanted) AND (SELECT count(DISTINCT cluster) < count(*) FROM shown) $$;
SELECT goods.same();
-- The same amounts in other words, another amount, no amount, a new record, one that is gone.
UPDATE goods.one SET runtime = 'PT1H27M' WHERE id = 7;
UPDATE goods.one SET price = 'USD 29.99' WHERE id = 8;
UPDATE goods.one SET runtime = 'n/a' WHERE id = 11;
INSERT INTO goods.one VALUES (1000, 'Film no. 7 of the day', '5220', '$26.99');
DELETE FROM goods.one WHERE id = 20;
SELECT source_name, inserted, updated, deleted FROM load('q1', 'p');
SELECT master('q1', 'p') #>> '{how,run}' AS run, goods.same();
SELECT probes, pairs > 150 AS many, different FROM goods.differ();
SELECT drop_environment('q1');
DROP SCHEMA goods CASCADE;
DROP ROLE quantities_owner;
\c :home
DROP DATABASE quantities_all;
