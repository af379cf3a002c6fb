-- Comparisons that labels alone give a weight ("with_labels"), and the texts of nearest neighbours, which are such.
SET client_min_messages TO warning;
CREATE SCHEMA beside;
SET search_path TO beside, public;
-- 300 people, half of them twice; the second time the names have changed places or gone, and the note (which nobody compares) has most of it.
CREATE TABLE person AS
SELECT i AS id, i AS entity, 'first' || i * 7 % 40 AS first_name, 'name' || i % 37 AS last_name, 'town ' || i % 20 AS city,
       'first' || i * 7 % 40 || ' name' || i % 37 || ' of ' || md5(i::text) AS note FROM generate_series(1, 300) AS i;
INSERT INTO person
SELECT 1000 + id, entity, CASE WHEN id % 3 = 0 THEN NULL ELSE first_name END, CASE WHEN id % 4 = 0 THEN first_name ELSE last_name END,
       CASE WHEN id % 5 = 0 THEN 'town ' || id % 7 ELSE city END, left(note, 30) FROM person WHERE id % 2 = 0;
\set query 'SELECT id, first_name, last_name, city, note FROM beside.person'
\set plain '{"threshold": 0.6, "blocking": ["last_name", {"keys": ["concat_ws('' '', first_name, last_name, note)"], "top_k": 6, "q": 3}], "comparisons": [{"column": "first_name"}, {"column": "last_name"}, {"column": "city", "method": "exact"}]}'
CREATE FUNCTION names(model jsonb) RETURNS text LANGUAGE sql AS $$
SELECT string_agg((c ->> 'name') || CASE WHEN c ? 'with_labels' THEN ' (with labels)' ELSE '' END, ', ' ORDER BY o) FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS t (c, o) $$;
CREATE TABLE verdict AS SELECT p.id_a, p.id_b, x.entity = y.entity AS is_match
  FROM mastering.match_pairs_as(NULL::integer, :'query', mastering.train_model(:'query', :'plain'), 1e-30) AS p JOIN person AS x ON x.id = p.id_a JOIN person AS y ON y.id = p.id_b
 WHERE x.entity = y.entity AND x.id % 4 = 0 OR x.entity <> y.entity AND (p.id_a + p.id_b) % 17 = 0;
SELECT count(*) FILTER (WHERE is_match) > 20 AS matches, count(*) FILTER (WHERE NOT is_match) > 20 AS others FROM verdict;

-- Without labels there are none, whatever the specification or an earlier model has; nor with a query of labels that has no row.
CREATE TABLE model AS SELECT 'em' AS name, mastering.train_model(:'query', :'plain') AS model;
INSERT INTO model SELECT 'labels', mastering.train_model(:'query', :'plain', 'SELECT * FROM verdict');
\set marked '{"column": "note", "method": "qgram", "with_labels": true}'
SELECT name, names(model) FROM model ORDER BY name;
SELECT count(DISTINCT m - 'training') AS one_model FROM (
    SELECT model AS m FROM model WHERE name = 'em'
    UNION ALL SELECT mastering.train_model(:'query', :'plain', 'SELECT * FROM verdict WHERE false')
    UNION ALL SELECT mastering.train_model(:'query', model) FROM model WHERE name = 'labels'
    UNION ALL SELECT mastering.train_model(:'query', jsonb_insert(:'plain', '{comparisons,0}', :'marked'))) AS t;
-- What labels say of it: weights that do not rise where texts are less alike, and m = u, for EM knows nothing.
SELECT (c -> 'trained' -> 0 ->> 'weight')::float8 > 1 AS speaks_for, (c -> 'trained' -> -1 ->> 'weight')::float8 < 0 AS speaks_against,
    (SELECT bool_and((l ->> 'm')::float8 = (l ->> 'u')::float8) FROM jsonb_array_elements(c -> 'trained') AS l) AS unknown_to_em
  FROM model, jsonb_array_elements(model -> 'comparisons') AS c WHERE name = 'labels' AND c ? 'with_labels';
SELECT bool_and(w >= next) FROM (SELECT (l.value ->> 'weight')::float8 AS w, lead((l.value ->> 'weight')::float8) OVER (ORDER BY l.ordinality) AS next
    FROM model, jsonb_array_elements(model -> 'comparisons') AS c, jsonb_array_elements(c -> 'trained') WITH ORDINALITY AS l WHERE name = 'labels' AND c ? 'with_labels') AS t;
-- It tells pairs apart that nothing else does.
CREATE FUNCTION f1(model jsonb) RETURNS numeric LANGUAGE sql AS $$
SELECT value FROM mastering.evaluate_clusters(format('SELECT id, cluster_id FROM mastering.match_clusters(%L, %L)', 'SELECT id, first_name, last_name, city, note FROM beside.person', model),
    'SELECT id, entity AS entity_id FROM beside.person') WHERE metric = 'pair_f1' $$;
SELECT f1(l.model) > f1(e.model) + 0.1 AS better FROM model AS l, model AS e WHERE l.name = 'labels' AND e.name = 'em';
-- The model is one like others: pairs and clusters by it, its sum explained, and written as it was read.
SELECT comparison, weight <> 0 AS weighs FROM mastering.explain_pair(:'query', (SELECT model FROM model WHERE name = 'labels'), '2', '1002');
SELECT abs(p.weight - e.total) < 1e-9 AS adds_up FROM mastering.match_pairs(:'query', (SELECT model FROM model WHERE name = 'labels'), 1e-30) AS p,
    mastering.explain_pair(:'query', (SELECT model FROM model WHERE name = 'labels'), '2', '1002') AS e WHERE p.id_a = '2' AND p.id_b = '1002' AND e.comparison LIKE 'text of%';
-- The same to the bit in any order of records and labels, with any number of threads; dedupe learns and clusters as the two calls do.
SET mastering.threads = 2;
SELECT count(DISTINCT m) FROM (
    SELECT model AS m FROM model WHERE name = 'labels'
    UNION ALL SELECT mastering.train_model('SELECT id, first_name, last_name, city, note FROM beside.person ORDER BY md5(id::text)', :'plain', 'SELECT id_b AS id_a, id_a AS id_b, is_match FROM verdict ORDER BY md5(id_a::text)')) AS t;
RESET mastering.threads;
SELECT count(*) AS differ FROM (SELECT id, cluster_id FROM mastering.dedupe(:'query', :'plain', labels => 'SELECT * FROM verdict')
    EXCEPT SELECT id, cluster_id FROM mastering.match_clusters(:'query', (SELECT model FROM model WHERE name = 'labels'), labels => 'SELECT * FROM verdict')) AS t;
-- What is marked by hand comes last, and is kept beside the text.
SELECT names(mastering.train_model(:'query', jsonb_insert(:'plain', '{comparisons,0}', :'marked'), 'SELECT * FROM verdict'));
-- A text that is compared already is not compared twice, and where there is no room for levels, none is added.
SELECT names(mastering.train_model(:'query', jsonb_set(:'plain', '{comparisons,1}', '{"name": "text", "expression": "concat_ws('' '', first_name, last_name, note)", "method": "tfidf", "q": 3}'), 'SELECT * FROM verdict'));
SELECT names(mastering.train_model(:'query', jsonb_set(:'plain', '{comparisons}', (SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'expression', format('left(note, %s)', i), 'method', 'exact')) FROM generate_series(1, 32) AS i)), 'SELECT * FROM verdict')) LIKE '%c32' AS no_room;
\set VERBOSITY default
SELECT mastering.train_model(:'query', jsonb_set(:'plain', '{comparisons}', '[{"column": "note", "with_labels": true}]'), 'SELECT * FROM verdict');
SELECT mastering.train_model(:'query', jsonb_set(:'plain', '{comparisons}', '[{"column": "note", "with_labels": true}]'));
SELECT mastering.train_model(:'query', jsonb_set(:'plain', '{comparisons}', '[{"column": "note", "with_labels": 1}]'));
-- ---- better beyond doubt ----
-- In a crowd that any model tells apart labels mend little. It is taken all the same: where the two models differ, labels say which is right.
CREATE TABLE crowd AS
SELECT i AS id, i AS entity, 'first' || i * 7 % 40 AS first_name, 'name' || i % 37 AS last_name, 'town ' || i % 20 AS city,
       'first' || i * 7 % 40 || ' name' || i % 37 || ' of ' || md5(i::text) AS note FROM generate_series(1, 100) AS i
UNION ALL SELECT i, i, md5('f' || i), md5('l' || i), 'town ' || i % 20, md5('f' || i) || ' ' || md5('l' || i) FROM generate_series(101, 2600) AS i;
INSERT INTO crowd
SELECT 10000 + id, entity, CASE WHEN id % 3 = 0 AND id <= 100 THEN NULL ELSE first_name END, CASE WHEN id % 4 = 0 AND id <= 100 THEN first_name ELSE last_name END,
       CASE WHEN id % 5 = 0 THEN 'town ' || id % 7 ELSE city END, left(note, 30) FROM crowd WHERE id % 2 = 0;
\set crowd 'SELECT id, first_name, last_name, city, note FROM beside.crowd'
\set open '{"blocking": ["last_name", {"keys": ["concat_ws('' '', first_name, last_name, note)"], "top_k": 6, "q": 3}], "comparisons": [{"column": "first_name"}, {"column": "last_name"}, {"column": "city", "method": "exact"}]}'
CREATE TABLE taught AS SELECT 'em' AS name, mastering.train_model(:'crowd', :'open') AS model;
CREATE TABLE answer AS SELECT u.id_a, u.id_b, x.entity = y.entity AS is_match
  FROM mastering.uncertain_pairs_as(NULL::integer, :'crowd', (SELECT model FROM taught), 200) AS u JOIN crowd AS x ON x.id = u.id_a JOIN crowd AS y ON y.id = u.id_b;
INSERT INTO taught SELECT 'labels', mastering.train_model(:'crowd', :'open', 'SELECT * FROM beside.answer');
SELECT NOT learnt ? 'corrected' AS taken, (learnt ->> 'expected_f1')::float8 - (learnt ->> 'expected_f1_before')::float8 < 0.019 AS little FROM (SELECT model #> '{training,labels}' AS learnt FROM taught WHERE name = 'labels') AS t;
CREATE FUNCTION f1_of_crowd(model jsonb) RETURNS numeric LANGUAGE sql AS $$
SELECT value FROM mastering.evaluate_clusters(format('SELECT id, cluster_id FROM mastering.match_clusters(%L, %L)', 'SELECT id, first_name, last_name, city, note FROM beside.crowd', model),
    'SELECT id, entity AS entity_id FROM beside.crowd') WHERE metric = 'pair_f1' $$;
SELECT f1_of_crowd(l.model) > f1_of_crowd(e.model) + 0.01 AS better FROM taught AS l, taught AS e WHERE l.name = 'labels' AND e.name = 'em';
DROP SCHEMA beside CASCADE;
