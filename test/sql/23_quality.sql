-- What makes clusters good without labels: neighbours by rare words, sources that hold each thing once, linkage on
-- average, columns that repeat others, words with digits.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

-- ---- nearest neighbours ----
CREATE TABLE titles (id int, title text);
INSERT INTO titles VALUES (1, 'the art of computer programming'), (2, 'The Art of Computer Programing'), (3, 'the art of war'),
    (4, 'introduction to algorithms'), (5, 'Introduction to algorithms, 2nd ed'), (6, NULL), (7, '');
-- The nearest one of each record, by 3-grams and by words; a record without words has none.
SELECT * FROM candidate_pairs('SELECT * FROM titles', '{"blocking": [{"keys": "title", "top_k": 1}], "comparisons": ["title"]}') ORDER BY id_a::int, id_b::int;
SELECT * FROM candidate_pairs('SELECT * FROM titles', '{"blocking": [{"keys": "title", "top_k": 1, "q": 0}], "comparisons": ["title"]}') ORDER BY id_a::int, id_b::int;
SELECT key, pairs FROM blocking_report('SELECT * FROM titles', '{"blocking": [{"keys": "title", "top_k": 2}], "comparisons": ["title"]}');
-- With sources: one neighbour within, one across.
SELECT * FROM candidate_pairs('SELECT *, CASE WHEN id IN (2, 5) THEN ''b'' ELSE ''a'' END AS source FROM titles',
    '{"blocking": [{"keys": "title", "top_k": 1}], "comparisons": ["title"]}') ORDER BY id_a::int, id_b::int;
SELECT * FROM candidate_pairs('SELECT * FROM titles', '{"blocking": [{"keys": ["title", "id"], "top_k": 1}], "comparisons": ["title"]}');
SELECT * FROM candidate_pairs('SELECT * FROM titles', '{"blocking": [{"keys": "title", "q": 2}], "comparisons": ["title"]}');
SELECT * FROM candidate_pairs('SELECT * FROM titles WHERE false', '{"blocking": [{"keys": "title", "top_k": 3}], "comparisons": ["title"]}');
-- The terms of an array are those of its text, beside a rule that takes its elements for keys.
SELECT * FROM candidate_pairs('SELECT id, string_to_array(title, '' '') AS words FROM titles', '{"blocking": [{"keys": "words", "top_k": 1, "q": 0}, "words"], "comparisons": ["words"]}') ORDER BY id_a::int, id_b::int;
SELECT * FROM candidate_pairs('SELECT * FROM titles', '{"blocking": [{"keys": "string_to_array(title, '' '')", "top_k": 1, "q": 0}], "comparisons": ["title"]}') ORDER BY id_a::int, id_b::int;

-- ---- two shops that each sell a thing once, in versions that look alike ----
CREATE TABLE goods AS
SELECT n AS id, CASE WHEN n <= 60 THEN 'x' ELSE 'y' END AS source,
    CASE WHEN n <= 60 THEN format('%s %s wireless %s black - %s', make, series, kind, code) ELSE format('%s %s %s', make, code, kind) END AS name
FROM generate_series(1, 120) AS n, LATERAL (SELECT (n - 1) % 60 AS k) AS t,
    LATERAL (SELECT (ARRAY['Sonos', 'Philips', 'Canon', 'Bosch', 'Makita'])[k % 5 + 1] AS make, 'Series ' || k % 3 AS series,
        (ARRAY['speaker', 'headset', 'printer', 'drill'])[k % 4 + 1] AS kind, chr(65 + k % 7) || chr(70 + k % 11) || 1000 + k * 37 AS code) AS made;
CREATE TEMP TABLE linked AS SELECT * FROM dedupe_as(NULL::int, 'SELECT * FROM goods');
-- All pairs right, none of one shop.
SELECT size, count(*) AS records, count(DISTINCT cluster_id) AS clusters FROM linked GROUP BY size ORDER BY size;
SELECT count(*) FILTER (WHERE (a.id - 1) % 60 = (b.id - 1) % 60) AS right_pairs, count(*) AS pairs
FROM linked AS a JOIN linked AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;

-- ---- linkage: a chain of records each alike to the next only ----
CREATE TABLE chain (id int, source text, name text, city text, born text);
INSERT INTO chain VALUES (1, 'a', 'anna', 'rome', '1980'), (2, 'a', 'anna', 'rome', '1990'), (3, 'a', 'anna', 'oslo', '1990'), (4, 'a', 'berta', 'oslo', '1990');
\set chain_model '{"blocking": ["name", "city", "born"], "prior": 0.5, "comparisons": [{"column": "name", "method": "exact", "trained": [{"level": "exact", "weight": 4}, {"level": "else", "weight": -4}]}, {"column": "city", "method": "exact", "trained": [{"level": "exact", "weight": 4}, {"level": "else", "weight": -4}]}, {"column": "born", "method": "exact", "trained": [{"level": "exact", "weight": 4}, {"level": "else", "weight": -4}]}]}'
SELECT id, cluster_id, size FROM match_clusters('SELECT * FROM chain', jsonb_set(:'chain_model', '{linkage}', '"single"')) ORDER BY id;
SELECT count(DISTINCT cluster_id) AS clusters FROM match_clusters('SELECT * FROM chain', :'chain_model');
SELECT count(DISTINCT cluster_id) AS clusters FROM match_clusters('SELECT * FROM chain', jsonb_set(:'chain_model', '{one_per_source}', '"always"'));
SELECT count(*) FROM match_clusters('SELECT * FROM chain', jsonb_set(:'chain_model', '{linkage}', '"complete"'));

-- ---- a full name beside its parts is not compared, and not a key ----
CREATE TABLE repeated AS
SELECT n AS id, 'nam' || chr(97 + n % 26) || chr(97 + n % 7) AS given, 'fam' || chr(97 + n % 23) || chr(97 + n % 19) AS family,
    'nam' || chr(97 + n % 26) || chr(97 + n % 7) || ' fam' || chr(97 + n % 23) || chr(97 + n % 19) AS full_name, 1950 + n % 50 AS born
FROM generate_series(1, 200) AS n;
SELECT c ->> 'column' AS compared FROM jsonb_array_elements(suggest('SELECT * FROM repeated') -> 'comparisons') AS c ORDER BY 1;

-- ---- the same to the bit in any order and with any number of threads ----
SET mastering.threads = 1;
SELECT md5(train_model('SELECT * FROM goods ORDER BY id', suggest('SELECT * FROM goods'))::text) AS one \gset
SET mastering.threads = 4;
SELECT md5(train_model('SELECT * FROM goods ORDER BY md5(id::text)', suggest('SELECT * FROM goods ORDER BY md5(id::text)'))::text) = :'one' AS same_model;
RESET mastering.threads;

-- An explanation counts words as the matching did: over all records.
SELECT bool_and(e.total IS NOT NULL) AS explained
FROM (SELECT train_model('SELECT * FROM goods', suggest('SELECT * FROM goods')) AS model) AS m,
    LATERAL match_pairs('SELECT * FROM goods', m.model) AS p, LATERAL explain_pair('SELECT * FROM goods', m.model, p.id_a, p.id_b) AS e
WHERE p.id_a = '1';
DROP TABLE titles, goods, chain, repeated;
