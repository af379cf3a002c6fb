-- Candidate pairs, training, matching, clusters: by hand on a few records, and on made-up people whose truth is
-- known; that neither order nor threads change a bit; input that is empty, lopsided or huge.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE TABLE few (id int, source text, name text, city text, born text, tags text[]);
INSERT INTO few VALUES
    (1, 'a', 'Ann Lee',   'Bonn', '1980-02-03', '{x,y}'),
    (2, 'b', 'ANN  LEE',  'Bonn', '1980-02-03', '{y,z}'),
    (3, 'b', 'Anne Lee',  'Bonn', NULL,         '{x,y,y,NULL}'),
    (4, 'a', 'Bob Roe',   'Rome', '1975-12-30', NULL),
    (10, 'c', 'Bob Roe',  NULL,   '1975-30-12', '{}'),
    (20, 'c', NULL,       'Bonn', '1980-02-03', '{w}');

-- Each pair once, with every rule that finds it; the lesser id first, integers by value.
SELECT * FROM mastering.candidate_pairs('SELECT * FROM few', '{"blocking": ["name", "city", ["city", "born"]], "comparisons": ["name"]}') ORDER BY id_a::int, id_b::int;
-- Keys in arrays: a pair that shares several of them is one pair; NULL is no key.
SELECT * FROM mastering.candidate_pairs('SELECT * FROM few', '{"blocking": ["tags", ["tags", "city"]], "comparisons": ["name"]}') ORDER BY id_a::int, id_b::int;
SELECT * FROM mastering.candidate_pairs('SELECT * FROM few', '{"blocking": ["string_to_array(name, '' '')", "left(city, 1)"], "comparisons": ["name"]}') ORDER BY id_a::int, id_b::int;
-- Across sources only.
SELECT * FROM mastering.candidate_pairs('SELECT * FROM few', '{"link": "across_sources", "blocking": ["city"], "comparisons": ["name"]}') ORDER BY id_a::int, id_b::int;
-- Without normalization, values are equal as they stand.
SELECT * FROM mastering.candidate_pairs('SELECT * FROM few', '{"normalize": "none", "blocking": ["name"], "comparisons": ["name"]}') ORDER BY id_a::int, id_b::int;
-- Ids in their own type.
SELECT id_a + id_b AS sum, pg_typeof(id_a) FROM mastering.candidate_pairs_as(NULL::int, 'SELECT * FROM few', '{"blocking": ["born"], "comparisons": ["name"]}') ORDER BY 1;
-- An id may be anything with a text; the query may end in a semicolon or a comment.
SELECT * FROM mastering.candidate_pairs('SELECT id || ''-x'' AS id, city FROM few; -- all', '{"blocking": ["city"], "comparisons": ["city"]}') ORDER BY id_a, id_b;
SELECT * FROM mastering.blocking_report('SELECT * FROM few', '{"blocking": ["name", "city", ["city", "born"]], "comparisons": ["name"]}',
    'SELECT id, CASE WHEN id <= 3 OR id = 20 THEN ''ann'' ELSE ''bob'' END AS entity_id FROM few');
SELECT rule, pairs, completeness FROM mastering.blocking_report('SELECT * FROM few', '{"link": "across_sources", "blocking": ["city"], "comparisons": ["name"]}',
    'SELECT id, CASE WHEN id <= 3 OR id = 20 THEN ''ann'' ELSE ''bob'' END AS entity_id FROM few');

-- A model written by hand: weights add up, missing values weigh nothing, a distance counts.
\set model '{"prior": 0.01, "threshold": 0.5, "blocking": ["city", "left(name, 3)"], "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9], "trained": [{"weight": 6}, {"weight": 3.5}, {"weight": -4}]}, {"column": "born", "method": "date", "levels": [0.9], "trained": [{"weight": 8}, {"weight": 5.25}, {"weight": -3}]}]}'
SELECT id_a, id_b, weight, round(probability::numeric, 6) AS probability, levels FROM mastering.match_pairs('SELECT * FROM few', :'model', 0.0001) ORDER BY 1, 2;
SELECT * FROM mastering.match_clusters('SELECT * FROM few', :'model') ORDER BY id::int;
SELECT cluster_id, array_agg(id ORDER BY id) AS ids, pg_typeof(min(id)) FROM mastering.match_clusters_as(NULL::bigint, 'SELECT * FROM few', :'model', 0.9999) GROUP BY 1 ORDER BY 1;
SELECT comparison, value_a, value_b, round(similarity::numeric, 4) AS similarity, level, weight, total, round(probability::numeric, 5) AS probability FROM mastering.explain_pair('SELECT * FROM few', :'model', '1', '2');
SELECT comparison, value_a, value_b, round(similarity::numeric, 4) AS similarity, level, weight, total FROM mastering.explain_pair('SELECT * FROM few', :'model', '3', '1');
SET client_min_messages = notice;
SELECT comparison, level, weight, total FROM mastering.explain_pair('SELECT * FROM few', :'model', '1', '4');
SET client_min_messages = warning;
-- What match_pairs says is what explain_pair adds up to.
SELECT count(*), count(*) FILTER (WHERE p.weight = (SELECT (array_agg(e.total))[array_length(p.levels, 1) + 1] FROM mastering.explain_pair('SELECT * FROM few', :'model', p.id_a, p.id_b) AS e)) AS same
FROM mastering.match_pairs('SELECT * FROM few', :'model', 0.0000001) AS p;

-- Made-up people: one in three has a copy with an error or two.
CREATE FUNCTION pick(seed int, n int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT (abs(hashint4extended($1, 7)) % $2)::int $$;
CREATE FUNCTION word(seed int) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT string_agg((ARRAY['ba','ke','li','mo','nu','ra','se','ti','vo','zu','dan','ler','mir','son','tal'])[1 + pick($1 * 11 + i, 15)], '' ORDER BY i) FROM generate_series(1, 2 + pick($1, 2)) AS i $$;
CREATE TABLE entity AS SELECT e, word(1 + pick(e * 7, 60)) AS first_name, word(1000 + pick(e * 7 + 1, 400)) AS surname, date '1940-01-01' + pick(e * 7 + 2, 25000) AS born,
    word(5000 + pick(e * 7 + 3, 40)) AS city, word(1 + pick(e * 7, 60)) || pick(e, 1000) || '@example.org' AS email FROM generate_series(1, 1200) AS e;
CREATE TABLE people AS
    SELECT e AS id, e AS entity, first_name, surname, born::text AS born, city, email FROM entity
    UNION ALL
    SELECT 10000 + e, e, CASE WHEN pick(e * 13, 4) = 0 THEN left(first_name, 3) ELSE first_name END,
        CASE WHEN pick(e * 13 + 1, 3) = 0 THEN overlay(surname PLACING 'x' FROM 3 FOR 1) ELSE surname END,
        CASE WHEN pick(e * 13 + 2, 4) = 0 THEN (born + 1)::text ELSE born::text END,
        CASE WHEN pick(e * 13 + 3, 5) = 0 THEN NULL ELSE city END, CASE WHEN pick(e * 13 + 4, 3) = 0 THEN NULL ELSE email END
    FROM entity WHERE e % 3 = 0;
\set query 'SELECT id, first_name, surname, born, city, email FROM people'
\set spec '{"blocking": [["first_name", "surname"], ["surname", "city"], "born", "email"], "comparisons": [{"column": "first_name", "term_frequency": true}, {"column": "surname", "term_frequency": true}, {"column": "born", "method": "date"}, {"column": "city", "method": "exact", "term_frequency": true}, {"column": "email", "method": "levenshtein", "levels": [0.8]}]}'
CREATE TABLE model AS SELECT mastering.train_model(:'query', :'spec') AS m;
-- The model is a specification with everything written out and trained.
SELECT jsonb_object_keys(m) FROM model ORDER BY 1;
SELECT c->>'name' AS name, jsonb_array_length(c->'trained') AS levels, c->'trained'->0->>'level' AS first, (c->'trained'->0->>'weight')::float > 4 AS tells,
    (SELECT bool_and((t->>'weight')::float <= (c->'trained'->0->>'weight')::float) FROM jsonb_array_elements(c->'trained') AS t) AS monotone
FROM model, jsonb_array_elements(m->'comparisons') AS c;
SELECT (m->>'prior')::float BETWEEN 0.0001 AND 0.001 AS prior_in_range FROM model;
CREATE TABLE found AS SELECT c.* FROM model, mastering.match_clusters_as(NULL::int, :'query', m) AS c;
SELECT metric, round(value, 2) AS value FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM found', 'SELECT id, entity AS entity_id FROM people') WHERE metric LIKE 'pair\_%';
-- dedupe is training and matching in one call, and takes a model as well.
SELECT count(*) AS differ FROM (SELECT * FROM mastering.dedupe_as(NULL::int, :'query', :'spec') EXCEPT SELECT * FROM found) AS d;
SELECT count(*) AS differ FROM (SELECT d.* FROM model, mastering.dedupe_as(NULL::int, :'query', m) AS d EXCEPT SELECT * FROM found) AS d;
-- Without a specification it makes one.
SELECT count(*) AS records, count(DISTINCT cluster_id) BETWEEN 1150 AND 1250 AS about_right FROM mastering.dedupe(:'query');

-- Order of records and number of threads change nothing.
CREATE TABLE shuffled AS SELECT * FROM people ORDER BY hashint4(id);
SET mastering.threads = 1;
SELECT mastering.train_model('SELECT id, first_name, surname, born, city, email FROM shuffled', :'spec') = m AS same_model FROM model;
SELECT count(*) AS differ FROM (SELECT c.* FROM model, mastering.match_clusters_as(NULL::int, 'SELECT id, first_name, surname, born, city, email FROM shuffled', m) AS c EXCEPT SELECT * FROM found) AS d;
SET mastering.threads = 4;
SELECT mastering.train_model(:'query', :'spec') = m AS same_model FROM model;
SELECT count(*) AS differ FROM (SELECT p.* FROM model, mastering.match_pairs('SELECT * FROM shuffled', m, 0.01) AS p EXCEPT SELECT p.* FROM model, mastering.match_pairs(:'query', m, 0.01) AS p) AS d;
RESET mastering.threads;
-- Nor does it matter whether ids are numbers or texts.
SELECT mastering.train_model('SELECT id::text, first_name, surname, born, city, email FROM people', :'spec') = m AS same_model FROM model;

-- Labels of one kind teach nothing, which is said; m stays what EM found.
SELECT round((c->'trained'->0->>'m')::numeric, 2) AS m_of_equal_city FROM jsonb_array_elements(mastering.train_model(:'query', :'spec',
    'SELECT a.id AS id_a, b.id AS id_b, a.entity = b.entity AS is_match FROM people a JOIN people b ON a.entity = b.entity AND a.id < b.id')->'comparisons') AS c WHERE c->>'name' = 'city';
SELECT mastering.train_model(:'query', :'spec', 'SELECT 1 AS id_a, 2 AS id_b, true AS is_match UNION ALL SELECT 2, 1, false');
SELECT mastering.train_model(:'query', :'spec', 'SELECT 1 AS id_a, 2 AS id_b');
SELECT mastering.train_model(:'query', :'spec', 'SELECT 1 AS id_a, 2 AS id_b, ''perhaps''::text AS is_match');
SET client_min_messages = notice;
SELECT mastering.train_model(:'query', :'spec', 'SELECT 1 AS id_a, 999999 AS id_b, true AS is_match') IS NOT NULL AS trained;
SET client_min_messages = warning;

-- No record, one record, nothing but NULL, one value only.
SELECT * FROM mastering.match_clusters('SELECT * FROM few WHERE false', :'model');
SELECT * FROM mastering.match_clusters('SELECT * FROM few WHERE id = 1', :'model');
SELECT * FROM mastering.dedupe('SELECT * FROM few WHERE false');
SELECT * FROM mastering.dedupe('SELECT id, name FROM few WHERE id = 1');
SELECT * FROM mastering.dedupe('SELECT id, NULL::text AS name FROM few', '{"blocking": ["name"], "comparisons": ["name"]}') ORDER BY id::int LIMIT 2;
SELECT mastering.train_model('SELECT * FROM few WHERE false', :'spec');
SELECT count(DISTINCT cluster_id) > 0 AS answered FROM mastering.dedupe('SELECT i AS id, ''same'' AS name, i % 7 AS b FROM generate_series(1, 1000) AS i', '{"blocking": ["name"], "comparisons": ["name", "b"]}');
-- Many equal keys: said, and not quadratic.
CREATE TABLE crowd AS SELECT i AS id, 'same' AS name, 'b' || i % 1000 AS b FROM generate_series(1, 300000) AS i;
SELECT rule, keys, blocks, pairs, new_pairs, largest_block, cut_blocks, cut_pairs FROM mastering.blocking_report('SELECT * FROM crowd', '{"blocking": ["name", {"keys": "b", "max_block": 100, "window": 3}], "comparisons": ["name"]}');
SELECT count(*) FROM mastering.match_clusters('SELECT * FROM crowd', '{"prior": 0.01, "blocking": [{"keys": "name", "window": 2}], "comparisons": [{"column": "name", "method": "exact", "trained": [{"weight": 1}, {"weight": -1}]}]}');
-- Long texts are compared by their beginning, and differ where they differ.
SET client_min_messages = notice;
SELECT id_a, id_b, levels FROM mastering.match_pairs('SELECT i AS id, repeat(''ab '', 3000000) || CASE WHEN i < 3 THEN ''x'' ELSE i::text END AS t, 1 AS k FROM generate_series(1, 4) AS i',
    '{"prior": 0.5, "blocking": ["k"], "comparisons": [{"column": "t", "method": "qgram", "levels": [0.9], "trained": [{"weight": 5}, {"weight": 4}, {"weight": -1}]}]}') ORDER BY 1, 2;
-- Dates and numbers that are none.
SELECT id_a, id_b, levels FROM mastering.match_pairs('SELECT * FROM (VALUES (1, ''1980-02-31'', ''$1,234.50''), (2, ''31.02.1980'', ''1234.5''), (3, ''soon'', ''free''), (4, ''19800230'', ''1230'')) AS v(id, d, n)',
    '{"prior": 0.5, "blocking": ["1"], "comparisons": [{"column": "d", "method": "date", "levels": [0.9], "trained": [{"weight": 5}, {"weight": 4}, {"weight": -1}]}, {"column": "n", "method": "numeric", "scale": 10, "levels": [0.5], "trained": [{"weight": 5}, {"weight": 4}, {"weight": -1}]}]}', 0.001) ORDER BY 1, 2;
SET client_min_messages = warning;
-- Unicode meets its transliteration.
SELECT id_a, id_b, levels FROM mastering.match_pairs($$SELECT * FROM (VALUES (1, 'Müller'), (2, 'MULLER'), (3, 'Мюллер'), (4, 'Straße'), (5, 'strasse'), (6, E'Mu\u0308ller')) AS v(id, n)$$,
    '{"prior": 0.5, "blocking": ["n"], "comparisons": [{"column": "n", "trained": [{"weight": 5}, {"weight": 4}, {"weight": 3}, {"weight": -1}]}]}') ORDER BY 1, 2;
-- Every method does something.
SELECT m, array_agg(level ORDER BY id) AS levels FROM unnest(ARRAY['exact', 'jaro', 'jaro_winkler', 'levenshtein', 'levenshtein_distance', 'damerau', 'damerau_distance', 'lcs', 'qgram', 'token', 'token_sort', 'token_set', 'monge_elkan', 'initials', 'numeric', 'date']) AS m,
    LATERAL (SELECT id_b::int AS id, levels[1] AS level FROM mastering.match_pairs($$SELECT * FROM (VALUES (1, 'anna marie 1980-01-02'), (2, 'marie anna 1980-01-02'), (3, 'anna maria 1980-02-01'), (4, 'zoe 2011-11-11')) AS v(id, n)$$,
        jsonb_build_object('prior', 0.5, 'blocking', '["1"]'::jsonb, 'comparisons', jsonb_build_array(jsonb_build_object('column', 'n', 'method', m, 'trained',
            CASE WHEN m = 'exact' THEN '[{"weight": 2}, {"weight": -2}]'::jsonb ELSE '[{"weight": 2}, {"weight": 1}, {"weight": 0}, {"weight": -2}]' END))), 0.0001) WHERE id_a = '1') AS p
GROUP BY m ORDER BY m COLLATE "C";

-- Rights are the caller's, row security included.
CREATE ROLE regress_mastering_reader;
SET ROLE regress_mastering_reader;
SELECT * FROM mastering.match_clusters('SELECT * FROM few', :'model');
RESET ROLE;
GRANT SELECT ON few TO regress_mastering_reader;
ALTER TABLE few ENABLE ROW LEVEL SECURITY;
CREATE POLICY bonn ON few TO regress_mastering_reader USING (city = 'Bonn');
SET ROLE regress_mastering_reader;
SELECT * FROM mastering.match_clusters('SELECT * FROM few', :'model') ORDER BY id::int;
RESET ROLE;
REVOKE SELECT ON few FROM regress_mastering_reader;
DROP POLICY bonn ON few;
DROP ROLE regress_mastering_reader;

-- A run that is cancelled ends.
SET statement_timeout = '300ms';
SELECT count(*) FROM mastering.match_pairs('SELECT i AS id, md5(i::text) AS t FROM generate_series(1, 40000) AS i',
    '{"prior": 0.5, "blocking": [{"keys": "1", "max_block": 1000000}], "comparisons": [{"column": "t", "method": "levenshtein", "trained": [{"weight": 5}, {"weight": 4}, {"weight": 3}, {"weight": -1}]}]}');
RESET statement_timeout;
-- And the next one is whole.
SELECT count(*) FROM mastering.match_clusters('SELECT * FROM few', :'model');
