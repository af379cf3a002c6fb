-- Words weighed by how rare they are, with misspelt ones for the same (soft TF-IDF).
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE FUNCTION soft_pick(seed int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT (abs(hashint4(seed)::bigint) % n)::int $$;
-- Titles of five words of 600, frequent ones among them; the second record of a thing has words misspelt, and in another order.
CREATE TABLE soft_record AS
SELECT r AS id, thing, (SELECT string_agg(CASE WHEN r > 500 AND soft_pick(r * 7 + w, 4) = 0 THEN overlay(word.word PLACING 'x' FROM 3 + soft_pick(r + w, 3) FOR soft_pick(r * 3 + w, 2)) ELSE word.word END, ' ' ORDER BY soft_pick(r * 11 + w, 1000), w)
    FROM generate_series(1, 5) AS w CROSS JOIN LATERAL (SELECT substr(translate(md5((soft_pick(thing * 13 + w * 1009, 40) * soft_pick(thing * 17 + w, 15))::text), '0123456789', 'ghijklmnop'), 1, 8) AS word) AS word)
    || CASE WHEN soft_pick(thing, 3) = 0 THEN ' dsc' || 100 + soft_pick(thing * 19, 40) ELSE '' END AS title
FROM (SELECT r, r % 500 AS thing FROM generate_series(1, 1000) AS r) AS records;
\set query 'SELECT id, title FROM soft_record'
\set spec '{"blocking": [{"keys": ["title"], "top_k": 10, "q": 3}], "comparisons": [{"column": "title", "method": "soft_tfidf", "levels": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]}]}'
\set hard_spec '{"blocking": [{"keys": ["title"], "top_k": 10, "q": 3}], "comparisons": [{"column": "title", "method": "tfidf", "q": 0, "levels": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]}]}'
\set shuffled 'SELECT id, title FROM soft_record ORDER BY md5(title)'
SELECT mastering.train_model(:'query', :'spec') AS model \gset
SELECT c.value ->> 'method' AS method, c.value ->> 'inner' AS inner, c.value ? 'q' AS has_q, (SELECT count(*) FROM jsonb_object_keys(c.value -> 'terms' -> 'counts')) > 20 AS has_terms FROM jsonb_array_elements(:'model'::jsonb -> 'comparisons') AS c;
SELECT mastering.train_model(:'query', :'hard_spec') AS hard_model \gset
CREATE TABLE soft_found AS SELECT * FROM mastering.match_clusters(:'query', :'model');
CREATE TABLE hard_found AS SELECT * FROM mastering.match_clusters(:'query', :'hard_model');
SELECT s.value > 0.85 AS found, s.value > h.value + 0.1 AS better FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM soft_found', 'SELECT id, thing AS cluster_id FROM soft_record') AS s, mastering.evaluate_clusters('SELECT id, cluster_id FROM hard_found', 'SELECT id, thing AS cluster_id FROM soft_record') AS h WHERE s.metric = 'pair_f1' AND h.metric = 'pair_f1';
-- The same with any number of threads and any order of the records; the same model.
SET mastering.threads = 2;
SELECT mastering.train_model(:'shuffled', :'spec') = :'model'::jsonb AS same_model;
SELECT count(*) AS other FROM (TABLE soft_found EXCEPT SELECT * FROM mastering.match_clusters(:'shuffled', :'model')) AS x;
RESET mastering.threads;

-- How rare a word is, is the model's to say: of the same pair the same, whatever other records there are.
CREATE TABLE soft_few AS SELECT * FROM (VALUES (1, 'zygomorphic garden johnson'), (2, 'garden zygomorfic jonson'), (3, 'johnson dsc120'), (4, 'johnson dsc130'), (5, ''), (6, NULL), (7, 'jonson')) AS v (id, title);
SELECT b.id, round(e.similarity::numeric, 3) AS similarity, e.level FROM soft_few AS b CROSS JOIN LATERAL mastering.explain_pair('SELECT * FROM soft_few', :'model', '1', b.id::text) AS e WHERE b.id > 1 AND e.comparison = 'title' ORDER BY b.id;
SELECT b.id, (SELECT e.similarity FROM mastering.explain_pair('SELECT * FROM soft_few', :'model', '1', b.id::text) AS e WHERE e.comparison = 'title')
    = (SELECT e.similarity FROM mastering.explain_pair('SELECT * FROM soft_few UNION ALL SELECT id + 1000, title FROM soft_record', :'model', '1', b.id::text) AS e WHERE e.comparison = 'title') AS same FROM soft_few AS b WHERE b.id IN (2, 3, 7) ORDER BY 1;
-- Model numbers are equal or they are not.
SELECT e.similarity < 0.5 AS differ FROM mastering.explain_pair('SELECT id, split_part(title, '' '', 2) AS title FROM soft_few WHERE id IN (3, 4)', :'model', '3', '4') AS e WHERE e.comparison = 'title';

SELECT mastering.train_model(:'query', '{"blocking": ["title"], "comparisons": [{"column": "title", "method": "soft_tfidf", "inner": 0.2}]}');
SELECT mastering.train_model(:'query', '{"blocking": ["title"], "comparisons": [{"column": "title", "method": "tfidf", "inner": 0.9}]}');
SELECT mastering.train_model(:'query', '{"blocking": ["title"], "comparisons": [{"column": "title", "method": "soft_tfidf", "elements": "best"}]}');
SELECT count(*) FROM mastering.match_clusters('SELECT id, NULL::text AS title FROM generate_series(1, 3) AS id', :'model');
SELECT count(*) FROM mastering.match_clusters('SELECT id, title FROM soft_record WHERE false', :'model');
DROP TABLE soft_record, soft_found, hard_found, soft_few;
DROP FUNCTION soft_pick;
