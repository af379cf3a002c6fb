-- A look-up gives what comparing the record with every record by the published model gives: over sources, segments, deletions,
-- expressions, arrays of keys, and every kind of comparison.
-- In a database of its own: what other tests leave there is not.
SELECT current_database() AS home \gset
CREATE DATABASE lookup_all;
\c lookup_all
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE a_owner; CREATE ROLE a_consumer;
CREATE SCHEMA looked;
SELECT setseed(0.5);
CREATE TABLE looked.one AS
SELECT i AS id, CASE WHEN i % 17 > 0 THEN (ARRAY['Anna', 'Änne', 'Bernd', 'Chloë', 'Дмитрий', 'Eva', 'Émile', 'Fritz'])[1 + (random() * 7.9)::int % 8] || ' ' || (ARRAY['Müller', 'Mueller', 'Schmidt', 'Schmitt', 'O''Neill', 'Лебедев', 'de la Cruz', 'Ng'])[1 + (random() * 7.9)::int % 8] END AS name,
       CASE WHEN i % 11 > 0 THEN date '1970-01-01' + (i * 37 % 600) END AS born, CASE WHEN i % 13 > 0 THEN (i * 7 % 90)::numeric / 3 END AS score, (ARRAY['Berlin', 'Ulm', NULL, ' ulm ', 'Köln'])[1 + i % 5] AS city,
       CASE WHEN i % 7 > 0 THEN 'the quick brown fox ' || (i % 30) || ' jumps over ' || (ARRAY['lazy dogs', 'red hens', 'the moon'])[1 + i % 3] END AS note
  FROM generate_series(1, 400) i;
CREATE TABLE looked.two AS SELECT 'K-' || id AS code, name, born, score, city, note FROM looked.one WHERE id % 3 = 0;
GRANT USAGE ON SCHEMA looked TO a_owner;
GRANT SELECT ON looked.one, looked.two TO a_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('a1', owner => 'a_owner'), grant_role('a1', 'consumer', 'a_consumer');
SELECT define_entity('a1', 'p', '{"name": "text", "born": "date", "score": "numeric", "city": "character varying(10)", "note": "text"}'), map_source('a1', 'p', 'one', 'looked.one', 'id'), map_source('a1', 'p', 'two', 'looked.two', 'code'),
       set_blocking('a1', 'p', '["born", {"keys": "mastering.tokens(name)"}, {"keys": ["city", "left(name, 2)"]}, {"keys": ["round(score)"]}]'),
       set_comparisons('a1', 'p', '[{"column": "name", "method": "jaro_winkler", "levels": [0.95, 0.8], "term_frequency": true}, {"name": "both", "column": "name", "method": "names", "levels": [0.9, 0.6], "term_frequency": true},
            {"name": "words", "expression": "name || '' '' || coalesce(city, '''')", "method": "token", "levels": [0.5]},
            {"column": "born", "method": "date", "levels": [0.9, 0.5]}, {"column": "score", "method": "numeric", "scale": 2, "levels": [0.9, 0.5]}, {"column": "city", "method": "exact", "term_frequency": true},
            {"name": "start", "expression": "left(note, 25)", "method": "levenshtein_distance", "levels": [1, 4]}, {"column": "note", "method": "qgram", "levels": [0.9, 0.6]}]');
SELECT count(*) FROM load('a1', 'p');
SELECT train('a1', 'p') IS NOT NULL AS trained;
SELECT master('a1', 'p') ->> 'records' AS records;
-- More segments, and rows that went.
DELETE FROM looked.one WHERE id % 29 = 0;
UPDATE looked.one SET name = name || ' jun.' WHERE id % 31 = 0;
INSERT INTO looked.one SELECT id + 1000, name, born, score, city, note FROM looked.one WHERE id % 40 = 1;
SELECT source_name, change FROM load('a1', 'p') ORDER BY 1;
SELECT master('a1', 'p') ->> 'records' AS records;
UPDATE looked.two SET note = 'other ' || note WHERE code LIKE '%9';
SELECT source_name, change FROM load('a1', 'p') ORDER BY 1;
SELECT master('a1', 'p') ->> 'records' AS records;

CREATE SCHEMA by_hand;
CREATE TABLE by_hand.probe AS
SELECT n, record FROM (
    SELECT row_number() OVER (ORDER BY id) AS n, to_jsonb(o) - 'id' AS record FROM looked.one o WHERE id % 9 = 2
    UNION ALL SELECT 1000 + row_number() OVER (ORDER BY id), jsonb_build_object('name', upper(name), 'born', born + 1) FROM looked.one WHERE id % 21 = 3
    UNION ALL SELECT 2000, '{}' UNION ALL SELECT 2001, '{"name": null, "city": "ULM"}' UNION ALL SELECT 2002, '{"name": "Ng", "score": 1e-3}' UNION ALL SELECT 2003, '{"name": "", "note": "the quick brown fox"}') x;
-- Pairs of one probe with all published records, by the functions on sets.
CREATE FUNCTION by_hand.pairs(record jsonb) RETURNS TABLE (source text, record_key text, weight float8, probability float8, levels smallint[]) LANGUAGE plpgsql AS $$
DECLARE
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = 'a1');
    model jsonb := mastering.model_of(versions -> 'p_keys' -> 'tree', 'a1', 'p');
BEGIN
    RETURN QUERY EXECUTE format('SELECT split_part(m.id, '':'', 1), substr(m.id, strpos(m.id, '':'') + 1), m.weight, m.probability, m.levels FROM (SELECT CASE WHEN p.id_a = ''?'' THEN p.id_b ELSE p.id_a END AS id, p.weight, p.probability, p.levels FROM mastering.match_pairs(%L, %L, 1e-300) p) m',
        format('SELECT ''?''::text AS id, ''?''::text AS source, q.* FROM jsonb_to_record(%L::jsonb) AS q (name text, born date, score numeric, city character varying(10), note text)
                UNION ALL SELECT r.source || '':'' || r.record_key, ''known'', r.name, r.born, r.score, r.city, r.note FROM a1.p_records r', record), model || '{"link": "across_sources"}');
END $$;
CREATE FUNCTION by_hand.differ() RETURNS TABLE (probes bigint, pairs bigint, different bigint) LANGUAGE sql AS $$
    SELECT count(DISTINCT n), count(*), count(*) FILTER (WHERE (l IS NULL OR w IS NULL) OR (l.weight, l.probability) IS DISTINCT FROM (w.weight, w.probability) OR l.found <> w.levels)
      FROM (SELECT p.n, x.source, x.record_key, x.weight, x.probability, ARRAY[(e ->> 'name')::smallint, (e ->> 'both')::smallint, (e ->> 'words')::smallint, (e ->> 'born')::smallint, (e ->> 'score')::smallint, (e ->> 'city')::smallint, (e ->> 'start')::smallint, (e ->> 'note')::smallint] AS found
              FROM by_hand.probe p CROSS JOIN LATERAL mastering.lookup('a1', 'p', p.record, 100000) x CROSS JOIN LATERAL (SELECT x.explanation) y (e)) l
      FULL JOIN (SELECT p.n, x.* FROM by_hand.probe p CROSS JOIN LATERAL by_hand.pairs(p.record) x) w USING (n, source, record_key) $$;
SELECT count(*) AS with_words FROM mastering.head AS h, jsonb_array_elements(mastering.model_of(h.versions -> 'p_keys' -> 'tree', 'a1', 'p') -> 'comparisons') AS c WHERE h.environment = 'a1' AND c ? 'words';
SELECT probes, pairs > 1000 AS many, different FROM by_hand.differ();
-- The best one is first, and its cluster is the one that the members say.
SELECT count(*) AS probes, count(*) FILTER (WHERE b.weight <> (SELECT max(x.weight) FROM by_hand.pairs(p.record) x)) AS not_best,
       count(*) FILTER (WHERE b.cluster_id IS DISTINCT FROM (SELECT m.cluster_id FROM a1.p_members m WHERE m.source = b.source AND m.record_key = b.record_key)) AS elsewhere
  FROM by_hand.probe p CROSS JOIN LATERAL lookup('a1', 'p', p.record, 1) b WHERE p.n % 5 = 1;
-- After compaction, and after an erasure.
SELECT count(*) > 0 AS compacted FROM compact('a1', everything => true);
SELECT probes, pairs > 1000 AS many, different FROM by_hand.differ();
SELECT count(*) > 0 AS erased FROM erase('p', 'one', '2', 'asked to');
SELECT probes, pairs > 1000 AS many, different FROM by_hand.differ();
SELECT count(*) FROM verify_snapshots(deep => true);
-- Of the keys in segments, those of erased rows are gone.
CREATE FUNCTION by_hand.keys_of_erased() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE t int; n bigint := 0; m bigint;
BEGIN
    FOR t IN SELECT s.store_id FROM mastering.store s WHERE s.kind = 'keys' LOOP
        EXECUTE format('SELECT count(*) FROM mastering.store_%s k CROSS JOIN LATERAL mastering.key_chunk_entries(k.entries) x JOIN mastering.erased_row e ON e.segment_id = k.of AND e.row_no = x.row_no', t) INTO m;
        n := n + m;
    END LOOP;
    RETURN n;
END $$;
SELECT by_hand.keys_of_erased();
SELECT master('a1', 'p') ->> 'records' AS records;
SELECT probes, pairs > 1000 AS many, different FROM by_hand.differ();
-- What an increment asks the keys: many by reading all, one by the index. The blocks are told of those that some records of their own lie in.
SELECT h.versions -> 'p_records' ->> 'store' AS store FROM head h WHERE h.environment = 'a1' \gset
CREATE TEMP TABLE all_keys AS SELECT k.*, r."#segment" AS segment, r."#row" AS row_no
  FROM block_keys('SELECT source || '':'' || record_key AS id, source, name, born, score, city, note FROM a1.p_records', (SELECT model_of(h.versions -> 'p_keys' -> 'tree', 'a1', 'p') FROM head h WHERE h.environment = 'a1')) k
  JOIN head h ON h.environment = 'a1' JOIN mastering.store_:store r ON r."#source" || ':' || r."#key" = k.id AND h.versions -> 'p_records' -> 'segments' @> to_jsonb(r."#segment")
 WHERE NOT EXISTS (SELECT FROM key_parts(h.versions -> 'p_keys', h.versions -> 'p_records') p WHERE p.record_segment = r."#segment" AND CASE WHEN p.vector <> 0 THEN is_deleted(p.vector, r."#row") END);
CREATE FUNCTION by_hand.neighbours(asked text, own text, known text, OUT segments int[], OUT rows int[], OUT blocks jsonb) LANGUAGE sql AS $$
    SELECT n.segments, n.rows, n.blocks FROM (SELECT array_agg(p.key_segment) AS k, array_agg(p.record_segment) AS r, array_agg(p.vector) AS v
                       FROM head h CROSS JOIN LATERAL key_parts(h.versions -> 'p_keys', h.versions -> 'p_records') p WHERE h.environment = 'a1') p
     CROSS JOIN LATERAL key_neighbours(asked, p.k, p.r, p.v, own, known, false) n
$$;
CREATE TEMP VIEW some_rows AS SELECT DISTINCT k.segment, k.row_no FROM all_keys k WHERE k.row_no % 3 = 0;
CREATE TEMP VIEW blocks AS SELECT jsonb_object_agg(b.rule, jsonb_build_array(b.own, round(b.bits / b.own, 2), b.largest)) AS blocks
  FROM (SELECT k.rule, sum(k.own) AS own, sum(k.own * log(2, k.size)) AS bits, max(k.size) AS largest
          FROM (SELECT a.rule, a.key, count(*) AS size, count(*) FILTER (WHERE a.row_no % 3 = 0) AS own FROM all_keys a GROUP BY 1, 2) k GROUP BY 1) b;
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE f.row_no IS NULL OR k.row_no IS NULL) AS different
  FROM (SELECT u.* FROM by_hand.neighbours('SELECT k.rule, k.key FROM pg_temp.all_keys k', NULL, NULL) n CROSS JOIN LATERAL unnest(n.segments, n.rows) u (segment, row_no)) f
  FULL JOIN (SELECT DISTINCT a.segment, a.row_no FROM all_keys a) k USING (segment, row_no);
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE f.row_no IS NULL OR k.row_no IS NULL) AS different
  FROM (SELECT u.* FROM by_hand.neighbours('SELECT k.rule, k.key FROM pg_temp.all_keys k', NULL, 'SELECT r.segment, r.row_no FROM pg_temp.some_rows r') n CROSS JOIN LATERAL unnest(n.segments, n.rows) u (segment, row_no)) f
  FULL JOIN (SELECT DISTINCT a.segment, a.row_no FROM all_keys a WHERE a.row_no % 3 <> 0) k USING (segment, row_no);
SELECT count(*) > 2 AS rules, count(*) FILTER (WHERE a.value - 1 IS DISTINCT FROM b.value - 1 OR abs((a.value ->> 1)::numeric - (b.value ->> 1)::numeric) > 0.02) AS different
  FROM jsonb_each((by_hand.neighbours('SELECT k.rule, k.key FROM pg_temp.all_keys k', 'SELECT r.segment, r.row_no FROM pg_temp.some_rows r', NULL)).blocks) a FULL JOIN jsonb_each((SELECT b.blocks FROM blocks b)) b USING (key);
-- Five chunks that are read in a row cost what one costs that is looked up; the largest segment of keys has more.
SELECT max(pg_relation_size(format('mastering.%I', 'segment_' || p.key_segment)::regclass)) / current_setting('block_size')::int * 4 > 5 AS by_index
  FROM head h CROSS JOIN LATERAL key_parts(h.versions -> 'p_keys', h.versions -> 'p_records') p WHERE h.environment = 'a1';
SELECT count(*) AS keys, count(*) FILTER (WHERE n.blocks -> k.rule::text IS DISTINCT FROM jsonb_build_array(0, 0.0000, k.size)) AS other_blocks,
       count(*) FILTER (WHERE (SELECT count(*) FROM unnest(n.segments, n.rows) u (segment, row_no) JOIN all_keys a USING (segment, row_no) WHERE a.rule = k.rule AND a.key = k.key) <> k.size OR cardinality(n.rows) <> k.size) AS other_rows
  FROM (SELECT a.rule, a.key, count(*) AS size FROM all_keys a GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT 100) k
 CROSS JOIN LATERAL by_hand.neighbours(format('SELECT %s, %s::bigint', k.rule, k.key), NULL, NULL) n;
-- Where rows of a segment are few beside its pages, their places are said, which are where they lie; not those of rows that are gone.
SELECT count(*) > 20 AS rows, count(*) FILTER (WHERE r.ctid IS NULL OR n.n <> n.places) AS other_places
  FROM (SELECT k.rule, k.key FROM all_keys k GROUP BY 1, 2 HAVING count(*) BETWEEN 2 AND 4 ORDER BY 1, 2 LIMIT 100) k
 CROSS JOIN LATERAL (SELECT u.segment, u.place, (SELECT count(*) FROM unnest(n.segments) g WHERE g = u.segment) AS n, (SELECT count(*) FROM unnest(n.place_segments) g WHERE g = u.segment) AS places
                       FROM (SELECT array_agg(p.key_segment) AS k, array_agg(p.record_segment) AS r, array_agg(p.vector) AS v
                               FROM head h CROSS JOIN LATERAL key_parts(h.versions -> 'p_keys', h.versions -> 'p_records') p WHERE h.environment = 'a1') p
                      CROSS JOIN LATERAL key_neighbours(format('SELECT %s, %s::bigint', k.rule, k.key), p.k, p.r, p.v, NULL, NULL, true) n CROSS JOIN LATERAL unnest(n.place_segments, n.places) u (segment, place)) n
  LEFT JOIN mastering.store_:store r ON r."#segment" = n.segment AND r.ctid = n.place AND EXISTS (SELECT FROM all_keys a WHERE a.segment = r."#segment" AND a.row_no = r."#row" AND a.rule = k.rule AND a.key = k.key);
SELECT n.* FROM by_hand.neighbours('SELECT 1, 0::bigint WHERE false', NULL, NULL) n;
SELECT n.* FROM by_hand.neighbours('SELECT 1, NULL::bigint', NULL, NULL) n;
SELECT n.segments, n.rows, n.blocks FROM key_neighbours('SELECT 1, 0::bigint', '{}', '{}', '{}', NULL, NULL, false) n;
SELECT n.segments, n.rows, n.blocks FROM key_neighbours('SELECT 1, 0::bigint', '{1}', '{1}', '{}', NULL, NULL, false) n;
SELECT n.segments, n.rows, n.blocks FROM key_neighbours(NULL, '{}', '{}', '{}', NULL, NULL, false) n;
SELECT n.* FROM by_hand.neighbours('SELECT 1, 0', NULL, NULL) n;
SELECT n.* FROM by_hand.neighbours('SELECT 1, 0::bigint', 'SELECT 1', NULL) n;
-- Batches in parallel workers, and a worker for a single one.
CREATE TABLE by_hand.asked AS SELECT p.n, l.source, l.record_key, l.weight FROM by_hand.probe p CROSS JOIN LATERAL lookup('a1', 'p', p.record, 3) l;
ALTER TABLE by_hand.probe SET (parallel_workers = 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT p.n, l.source, l.record_key, l.weight FROM by_hand.probe p CROSS JOIN LATERAL lookup('a1', 'p', p.record, 3) l;
SELECT count(*) FROM (SELECT p.n, l.source, l.record_key, l.weight FROM by_hand.probe p CROSS JOIN LATERAL lookup('a1', 'p', p.record, 3) l EXCEPT SELECT * FROM by_hand.asked) x;
SET force_parallel_mode = on;
SELECT count(*) FROM lookup('a1', 'p', '{"name": "Anna Ng"}', 3);
RESET force_parallel_mode;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- A statement sees what was published when it began; the next one what is published now.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM lookup('a1', 'p', '{"name": "Xaver Unbekannt"}');
COMMIT;
INSERT INTO looked.one VALUES (5000, 'Xaver Unbekannt', NULL, NULL, NULL, NULL);
SELECT source_name, change FROM load('a1', 'p') ORDER BY 1;
SELECT master('a1', 'p') IS NOT NULL AS run;
SELECT record_key, explanation FROM lookup('a1', 'p', '{"name": "xaver unbekannt"}');
-- Rights are looked at with each call, by whoever calls.
SET ROLE a_consumer;
SELECT source, record_key, cluster_id IS NOT NULL AS cluster FROM lookup('a1', 'p', '{"name": "xaver unbekannt"}');
RESET ROLE;
SELECT revoke_role('a1', 'consumer', 'a_consumer');
SET ROLE a_consumer;
SELECT * FROM lookup('a1', 'p', '{"name": "xaver unbekannt"}');
RESET ROLE;
SELECT * FROM lookup('a1', 'p', NULL);
SELECT * FROM lookup('a1', 'p', '{"born": "no date"}');
SELECT * FROM lookup(NULL, 'p', '{}');
SELECT count(*) FROM lookup('a1', 'p', '{"name": "xaver unbekannt"}');
SELECT drop_environment('a1');
SELECT * FROM lookup('a1', 'p', '{"name": "xaver unbekannt"}');
DROP SCHEMA looked, by_hand CASCADE;
DROP ROLE a_owner, a_consumer;
\c :home
DROP DATABASE lookup_all;
