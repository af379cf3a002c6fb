-- Names that are not the same: how rare the word is that they share, and first letters of names in clusters. Made-up persons, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA shared_words;
SET search_path = shared_words, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips

-- Given names and surnames, some of which are much more frequent; every second person is there twice, the second time with another form of the name.
CREATE TABLE persons AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person,
    CASE WHEN copy = 0 THEN given || ' ' || family WHEN pick('f' || person, 3) = 0 THEN family || ', ' || left(given, 1) || '.' WHEN pick('f' || person, 3) = 1 THEN left(given, 1) || ' ' || slip(family, 'x' || person, 30) ELSE slip(given, 'g' || person, 60) || ' ' || family END AS full_name,
    CASE WHEN pick('b' || person || copy, 4) > 0 THEN (date '1950-01-01' + pick('d' || person, 15000))::text END AS birth_date, word('city' || skewed('c' || person || CASE WHEN pick('m' || person, 5) = 0 THEN copy END, 30)) || 'ville' AS city
FROM generate_series(1, 1500) AS person, generate_series(0, 1) AS copy,
    LATERAL (SELECT initcap(word('g' || skewed('g' || person, 150))) AS given, initcap(word('f' || skewed('f' || person, 400)) || CASE WHEN skewed('f' || person, 400) > 60 THEN word('t' || skewed('f' || person, 400)) ELSE '' END) AS family) AS n
WHERE copy = 0 OR pick('c' || person, 2) = 0;
\set query 'SELECT id, full_name, birth_date, city FROM persons'
\set spec '{"blocking": [{"keys": ["birth_date"]}, {"keys": "mastering.tokens(full_name)"}], "comparisons": [{"column": "full_name", "method": "names", "levels": [0.98, 0.9, 0.8, 0.6], "term_frequency": true}, {"column": "birth_date", "method": "date", "levels": [0.9]}, {"column": "city", "method": "exact", "term_frequency": true}]}'

-- A model has the words of names of several words, as shares of the records; not of single words, nor where words are compared by how rare they are.
CREATE TABLE model AS SELECT train_model(:'query', :'spec') AS model;
SELECT c ->> 'name' AS name, c -> 'words' -> 'scale' AS scale, (c -> 'words' ->> 'usual')::float8 BETWEEN 0.001 AND 0.1 AS usual, (c -> 'words' ->> 'other')::float8 < (c -> 'words' ->> 'usual')::float8 AS others_are_rarer,
    (SELECT count(*) > 100 FROM jsonb_object_keys(c -> 'words' -> 'values')) AS many FROM model, jsonb_array_elements(model -> 'comparisons') AS c WHERE c ? 'words';
SELECT count(*) AS wrong FROM (SELECT lower(w) AS word, count(DISTINCT id) AS records FROM persons, regexp_split_to_table(regexp_replace(full_name, '[,.]', '', 'g'), ' ') AS w GROUP BY 1 HAVING count(DISTINCT id) > 2) AS counted
    FULL JOIN (SELECT w.key AS word, w.value::float8 AS share FROM model, jsonb_each(model -> 'comparisons' -> 0 -> 'words' -> 'values') AS w) AS said USING (word)
WHERE said.share IS NULL OR counted.records IS NULL OR abs(said.share * (SELECT count(*) FROM persons) - (counted.records - 1)) > 1e-6;
SELECT c ->> 'name' AS name FROM jsonb_array_elements(train_model('SELECT id, split_part(full_name, '' '', 1) AS given_name, birth_date, city FROM persons', '{"blocking": ["birth_date"], "comparisons": [{"column": "given_name", "method": "names", "term_frequency": true}, "city"]}') -> 'comparisons') AS c WHERE c ? 'words';
SELECT c ->> 'name' AS name FROM jsonb_array_elements(train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names", "term_frequency": true}, {"column": "full_name", "name": "words", "method": "tfidf"}, "city"]}') -> 'comparisons') AS c WHERE c ? 'words';
SELECT c ->> 'name' AS name FROM jsonb_array_elements(train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names"}, "city"]}') -> 'comparisons') AS c WHERE c ? 'words';

-- What is said of a pair is what it weighs; of two pairs of names the one with the rarer word weighs more, and one says so.
CREATE TABLE said AS SELECT p.id_a, p.id_b, p.weight, e.* FROM (SELECT * FROM match_pairs(:'query', (SELECT model FROM model), 1e-6) ORDER BY md5(id_a || id_b) LIMIT 800) AS p,
    LATERAL (SELECT (array_agg(total))[count(*)] AS total, max(value_a) FILTER (WHERE level = 'shared word') AS word, max(x.weight) FILTER (WHERE level = 'shared word') AS adds FROM explain_pair(:'query', (SELECT model FROM model), p.id_a, p.id_b) AS x) AS e;
SELECT count(*) AS pairs, count(*) FILTER (WHERE weight <> total) AS different, count(adds) > 30 AS some_share, count(*) FILTER (WHERE adds > 0) > 0 AS rare, count(*) FILTER (WHERE adds < 0) > 0 AS frequent FROM said;
SELECT count(*) AS wrong FROM said, model, LATERAL (SELECT model -> 'comparisons' -> 0 -> 'words' AS words) AS w WHERE adds IS NOT NULL
    AND abs(adds - 0.5 * log(2, ((words ->> 'usual')::float8 / coalesce((words -> 'values' ->> word)::float8, (words ->> 'other')::float8))::numeric)::float8) > 0.01;

-- The better for it.
CREATE FUNCTION f1(model jsonb) RETURNS float8 LANGUAGE sql AS $$
    WITH c AS (SELECT p.person, c.cluster_id FROM persons AS p JOIN match_clusters_as(NULL::int, 'SELECT id, full_name, birth_date, city FROM persons', model) AS c USING (id)),
        n AS (SELECT (SELECT sum(n * (n - 1)) FROM (SELECT count(*) AS n FROM c GROUP BY person, cluster_id) AS x) AS right_ones, (SELECT sum(n * (n - 1)) FROM (SELECT count(*) AS n FROM c GROUP BY cluster_id) AS x) AS found,
            (SELECT sum(n * (n - 1)) FROM (SELECT count(*) AS n FROM c GROUP BY person) AS x) AS wanted)
    SELECT 2.0 * right_ones / (found + wanted) FROM n $$;
CREATE TABLE learnt AS SELECT train_model(:'query', suggest(:'query')) AS model;
SELECT f1(model) > 0.01 + f1(jsonb_set(model, '{comparisons}', (SELECT jsonb_agg(c - 'words') FROM jsonb_array_elements(model -> 'comparisons') AS c))) AS better, f1(model) > 0.78 AS good FROM learnt;

-- The same to the bit in any order, by one thread and by two, and with little memory.
CREATE FUNCTION sum_of(query text, spec jsonb) RETURNS text LANGUAGE sql AS $$ SELECT md5(model::text || (SELECT string_agg(id_a || ' ' || id_b || ' ' || weight, ',' ORDER BY id_a, id_b) FROM match_pairs(query, model, 1e-6)) || (SELECT string_agg(id || ' ' || cluster_id, ',' ORDER BY id) FROM match_clusters_as(NULL::int, query, model)))
    FROM train_model(query, spec) AS model $$;
SELECT sum_of(:'query', :'spec') AS one \gset
SELECT sum_of(:'query' || ' ORDER BY md5(full_name || id)', :'spec') = :'one' AS any_order;
SET mastering.threads = 1;
SELECT sum_of(:'query', :'spec') = :'one' AS one_thread;
RESET mastering.threads;
CREATE TABLE many AS SELECT n * 10000 + id AS id, full_name, birth_date || '/' || n AS birth_date, city FROM persons, generate_series(1, 12) AS n;
\set query_many 'SELECT * FROM many'
\set spec_many '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names", "levels": [0.98, 0.9, 0.8, 0.6], "term_frequency": true}, {"column": "birth_date", "method": "exact"}, {"column": "city", "method": "exact", "term_frequency": true}]}'
SELECT sum_of(:'query_many', :'spec_many') AS one \gset
SET mastering.work_mem = '1MB';
SET client_min_messages = error;
SELECT sum_of(:'query_many', :'spec_many') = :'one' AS little_memory;
SELECT count(*) > 0 AS in_passes FROM last_run() WHERE phase = 'spill';
RESET mastering.work_mem;
SET client_min_messages = warning;

-- Trained again it is learnt anew, whatever was there.
SELECT train_model(:'query', jsonb_set(model, '{comparisons,0,words,usual}', '0.9')) -> 'comparisons' -> 0 -> 'words' = model -> 'comparisons' -> 0 -> 'words' AS anew FROM model;

-- What makes no sense is refused; a word that nobody has does no harm, and neither does what is no word.
SELECT train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "words": {"usual": 0.1, "other": 0.1, "values": {}}}]}');
SELECT train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names", "elements": "best", "separator": ";", "words": {"usual": 0.1, "other": 0.1, "values": {}}}]}');
SELECT train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names", "words": {"other": 0.1, "values": {}}}]}');
SELECT train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names", "words": {"usual": 2, "other": 0.1, "values": {}}}]}');
SELECT train_model(:'query', '{"blocking": ["birth_date"], "comparisons": [{"column": "full_name", "method": "names", "words": {"usual": 0.1, "other": 0.1, "values": {}, "listed": 1}}]}');
SELECT train_model(:'query', '{"blocking": ["birth_date"], "comparisons": ["city", {"column": "full_name", "method": "names", "part_of": "city", "words": {"usual": 0.1, "other": 0.1, "values": {}}}]}');
SELECT count(*) AS pairs FROM model, match_pairs('SELECT * FROM (VALUES (1, NULL, ''1950-01-01'', ''x''), (2, ''  '', ''1950-01-01'', ''x''), (3, repeat(''ab '', 2000), ''1950-01-01'', ''x''), (4, repeat(''ab '', 1999) || ''ac'', ''1950-01-01'', ''x''), (5, repeat(''q'', 5000), ''1950-01-01'', ''x'')) AS v (id, full_name, birth_date, city)', jsonb_set(model, '{comparisons,0,words,values}', '{"": 0.5, "two words": 0.5, "ab": 0.25}'), 1e-9);

-- First letters speak for any name that begins with them. Where the same person has a full name beside, that one is compared: Jim, born on another day, is not Jane because of J.
CREATE TABLE homes (id int, full_name text, birth_date text, city text);
INSERT INTO homes VALUES (1, 'J Muir', '1999-12-10', 'austin'), (2, 'Jane Muir', '1999-12-10', 'austin'), (3, 'Jim Muir', NULL, 'austin');
CREATE FUNCTION clusters_of_homes() RETURNS TABLE (id int, cluster_id int) LANGUAGE sql AS $$
    SELECT id, cluster_id FROM match_clusters_as(NULL::int, 'SELECT * FROM homes', jsonb_build_object('blocking', '["city"]'::jsonb, 'prior', 1 / 17.0, 'comparisons', '[
        {"column": "full_name", "method": "names", "levels": [0.9], "trained": [{"level": "exact", "weight": 9}, {"level": ">= 0.9", "weight": 6}, {"level": "else", "weight": -6}]},
        {"column": "birth_date", "method": "exact", "trained": [{"level": "exact", "weight": 6}, {"level": "else", "weight": -5}]}]'::jsonb)) ORDER BY 1 $$;
SELECT * FROM clusters_of_homes();
-- Without the full name nothing speaks against it, and Jim in two forms is one.
UPDATE homes SET full_name = 'J Muir' WHERE id = 2;
SELECT * FROM clusters_of_homes();
UPDATE homes SET full_name = 'Jim Muir' WHERE id = 2;
SELECT * FROM clusters_of_homes();
DROP SCHEMA shared_words CASCADE;
