-- What a model holds, and the invariant of doc/models.md: clusters of a part of the data, cut between connected components,
-- are those of the whole.
SET client_min_messages = error;
SET mastering.threads = 1;
CREATE SCHEMA models_test;
SET search_path = models_test, mastering;

CREATE FUNCTION pick(seed text, words text[]) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT words[1 + (('x' || left(md5(seed), 8))::bit(32)::int & 1048575) % cardinality(words)] $$;
-- 600 things, some once, some in up to four records of three sources; a third of the copies differ in something.
CREATE TABLE thing AS
WITH base AS (
    SELECT t, pick('g' || t, '{anna,bert,carla,dieter,émile,fritz,gerd,hanna,ida,jörg,karl,lena}') AS given,
        pick('f' || t, '{weber,meyer,schulz,fischer,müller,koch,wolf,braun,zimmermann,krüger,hofmann,hartmann,lange,schmitt,werner,krause}') || pick('s' || t / 3, '{"",sen,inger,er,feld,bach}') AS family,
        pick('c' || t, '{berlin,berlin,berlin,berlin,hamburg,köln,bonn}') AS city, 1950 + t % 50 AS born,
        concat_ws(' ', pick('1' || t, '{red,green,blue,grey,großer,kleiner}'), pick('2' || t, '{kettle,chair,lamp,table,phone,radio}'), 'x' || t % 280, pick('3' || t, '{deluxe,basic,pro,mini}'), 'no ' || t) AS title
    FROM generate_series(1, 600) AS t)
SELECT t * 10 + c AS id, 's' || c % 3 AS source, t AS truth,
    CASE WHEN (t + c) % 5 = 0 THEN left(given, 3) || 'x' ELSE given END AS given,
    CASE WHEN (t + c) % 7 = 0 THEN family || 'n' ELSE family END AS family, city,
    CASE WHEN (t * 3 + c) % 11 = 0 THEN NULL ELSE born END AS born,
    CASE WHEN (t + c) % 4 = 0 THEN regexp_replace(title, ' (deluxe|basic|pro|mini)', '') ELSE title END AS title,
    ARRAY['x' || t % 280, 'y' || t / 2] || CASE WHEN t % 13 = 0 THEN ARRAY['common'] END AS marks
FROM base, generate_series(0, 3) AS c WHERE c <= t % 4 * (t % 2 + 1) / 2;
SELECT count(*), count(DISTINCT truth) FROM thing;

CREATE TABLE shape (name text, query text, spec jsonb);
INSERT INTO shape VALUES
('keys', 'SELECT id, given, family, city, born FROM thing',
    '{"blocking": [["given", "family"], {"keys": "city", "max_block": 60, "window": 5}, ["family", "born"]],
      "comparisons": [{"column": "given", "term_frequency": true}, {"column": "family", "term_frequency": true}, {"column": "city", "method": "exact", "term_frequency": true}, {"column": "born", "method": "numeric", "scale": 10}]}'),
('sources', 'SELECT id, source, given, family, city, born FROM thing',
    '{"blocking": [["given", "born"], ["family", "city"]], "comparisons": ["given", "family", {"column": "city", "method": "exact"}, {"column": "born", "method": "exact"}]}'),
('words', 'SELECT id, source, title FROM thing',
    '{"blocking": ["title", "split_part(title, '' '', 3)"], "comparisons": [{"column": "title", "method": "tfidf", "q": 0, "levels": [0.9, 0.7, 0.5, 0.3]}]}'),
('grams and lists', 'SELECT id, title, marks, city FROM thing',
    '{"blocking": [{"keys": ["marks"], "max_block": 50, "window": 10}, ["split_part(title, '' '', 2)", "split_part(title, '' '', 1)", "city"]], "linkage": "average",
      "comparisons": [{"column": "title", "method": "tfidf", "levels": [0.9, 0.7, 0.5, 0.3]}, {"column": "city", "method": "exact"}]}'),
('single', 'SELECT id, source, title, family FROM thing',
    '{"blocking": [["family", "split_part(title, '' '', 2)"], "split_part(title, '' '', 3)"], "linkage": "single", "one_per_source": "always",
      "comparisons": [{"column": "title", "method": "tfidf", "q": 0}, "family"]}');
CREATE TABLE model AS SELECT name, query, train_model(query, spec) AS model FROM shape;
SELECT name, model_is_local(model) AS local, model_not_local(model) AS why_not, model -> 'unique_sources' AS unique_sources FROM model ORDER BY name;
-- What was frozen.
SELECT name, r ->> 'keys' AS keys, jsonb_array_length(r #> '{split,keys}') AS divided, r #> '{split,keys,0,key}' IS NOT NULL AS some, r #> '{split,windowed}' AS windowed
FROM model, jsonb_array_elements(model -> 'blocking') AS r ORDER BY name, keys;
SELECT name, c #> '{terms,records}' AS records, c #> '{terms,counts}' @> '{"kettle": 1}' AS wrong, (c #> '{terms,counts}') ? 'grosser' AS word, (c #> '{terms,counts}') ? ' ch' AS gram
FROM model, jsonb_array_elements(model -> 'comparisons') AS c WHERE c ? 'terms' ORDER BY name;

-- Components: whatever a link connects.
CREATE FUNCTION components(query text, model jsonb) RETURNS TABLE (id text, component text) LANGUAGE sql AS
$$ SELECT c.id, c.cluster_id FROM match_clusters(query, model || '{"linkage": "single", "one_per_source": "never"}') AS c $$;
CREATE FUNCTION check_part(query text, model jsonb, part int) RETURNS TABLE (records bigint, clusters_differ bigint, pairs bigint, pairs_differ bigint) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE member AS SELECT c.id::int FROM components(query, model) AS c WHERE hashtext(c.component) & 1 = part;
    CREATE TEMP TABLE whole AS SELECT c.* FROM match_clusters(query, model) AS c JOIN member ON member.id = c.id::int;
    CREATE TEMP TABLE alone AS SELECT c.* FROM match_clusters(format('SELECT q.* FROM (%s) AS q JOIN member USING (id) ORDER BY hashint4(q.id)', query), model) AS c;
    CREATE TEMP TABLE whole_pairs AS SELECT p.* FROM match_pairs(query, model, 0.01) AS p JOIN member AS a ON a.id = p.id_a::int JOIN member AS b ON b.id = p.id_b::int;
    CREATE TEMP TABLE alone_pairs AS SELECT p.* FROM match_pairs(format('SELECT q.* FROM (%s) AS q JOIN member USING (id)', query), model, 0.01) AS p;
    RETURN QUERY SELECT (SELECT count(*) FROM alone), (SELECT count(*) FROM ((TABLE whole EXCEPT TABLE alone) UNION ALL (TABLE alone EXCEPT TABLE whole)) AS d),
        (SELECT count(*) FROM alone_pairs), (SELECT count(*) FROM ((TABLE whole_pairs EXCEPT TABLE alone_pairs) UNION ALL (TABLE alone_pairs EXCEPT TABLE whole_pairs)) AS d);
    DROP TABLE member, whole, alone, whole_pairs, alone_pairs;
END $$;
SELECT m.name, part, c.records > 100 AS many, c.clusters_differ, c.pairs > 10 AS pairs, c.pairs_differ FROM model AS m, generate_series(0, 0) AS part, check_part(m.query, m.model, part) AS c ORDER BY m.name, part;
-- The same without what is frozen shows why it is: something differs.
CREATE FUNCTION thawed(model jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT model - 'unique_sources' || jsonb_build_object('comparisons', (SELECT jsonb_agg(c - 'terms' ORDER BY n) FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n)),
        'blocking', (SELECT jsonb_agg(r - 'split' ORDER BY n) FROM jsonb_array_elements(model -> 'blocking') WITH ORDINALITY AS u (r, n))) $$;
SELECT m.name, cardinality(model_not_local(thawed(m.model))) AS reasons, sum(c.clusters_differ + c.pairs_differ) > 0 AS differs
FROM model AS m, generate_series(0, 0) AS part, check_part(m.query, thawed(m.model), part) AS c WHERE m.name IN ('keys', 'grams and lists') GROUP BY 1, 2 ORDER BY 1;

-- dedupe, which trains on the way, is train_model and match_clusters; a model is the same when it is trained again.
SELECT s.name, (SELECT count(*) FROM dedupe(s.query, s.spec) AS d FULL JOIN match_clusters(m.query, m.model) AS c USING (id) WHERE (d.cluster_id, d.size, d.weakest_link) IS DISTINCT FROM (c.cluster_id, c.size, c.weakest_link)) AS differ
FROM shape AS s JOIN model AS m USING (name) ORDER BY s.name;
SELECT s.name, train_model(s.query, m.model) = m.model AS same_again, train_model(format('SELECT * FROM (%s) AS q ORDER BY hashint4(id)', s.query), s.spec) = m.model AS same_in_other_order
FROM shape AS s JOIN model AS m USING (name) WHERE s.name IN ('keys', 'grams and lists') ORDER BY s.name;
-- What explain_pair says of two records is what match_pairs says of all.
SELECT m.name, count(*) AS pairs, count(*) FILTER (WHERE abs(p.weight - e.total) > 1e-9) AS differ
FROM model AS m, LATERAL (SELECT * FROM match_pairs(m.query, m.model) ORDER BY hashtext(id_a || id_b), id_a, id_b LIMIT 5) AS p,
    LATERAL (SELECT sum(weight) AS total FROM explain_pair(m.query, m.model, p.id_a, p.id_b)) AS e GROUP BY 1 ORDER BY 1;

-- What is divided is said, by the report and by a warning; a key that grows too large later too.
SET client_min_messages = warning;
SELECT rule, largest_block, cut_blocks, cut_pairs > 0 AS cut FROM model, blocking_report(query, model) WHERE name = 'keys' ORDER BY rule;
SELECT count(*) > 0 AS some FROM model, match_pairs(query, model) WHERE name = 'keys';
SELECT count(*) > 0 AS some FROM model, match_pairs('SELECT id, ''anna'' AS given, family, ''ulm'' AS city, born FROM thing', model) WHERE name = 'keys';
SET client_min_messages = error;
-- A report of the specification and of the model trained by it agree.
SELECT count(*) AS differ FROM shape AS s JOIN model AS m USING (name), LATERAL (SELECT * FROM blocking_report(s.query, s.spec) EXCEPT SELECT * FROM blocking_report(m.query, m.model)) AS r WHERE s.name IN ('grams and lists', 'single');

-- Sources that hold each thing once may be declared; others are not what they are not.
SELECT count(*) FILTER (WHERE n > 1) > 0 AS several, bool_and(s <> 's1' OR n = 1) AS one_of_s1 FROM (
    SELECT c.cluster_id, t.source AS s, count(*) AS n FROM model AS m, match_clusters('SELECT id, source, given FROM thing', '{"prior": 0.5, "unique_sources": ["s1", "nobody"], "linkage": "single",
        "blocking": ["given"], "comparisons": [{"column": "given", "method": "exact", "trained": [{"weight": 5}, {"weight": -5}]}]}') AS c JOIN thing AS t ON t.id = c.id::int WHERE m.name = 'sources' GROUP BY 1, 2) AS counted;
-- Old models: what they lack is found anew in each run.
SELECT m.name, count(*) > 100 AS answered FROM model AS m, match_clusters(m.query, thawed(m.model)) GROUP BY 1 ORDER BY 1;
-- A model of other versions of ICU is used (and that is said, with the version of this server).
SET client_min_messages = error;
SELECT count(*) > 0 AS used FROM match_clusters('SELECT id, given FROM thing', '{"prior": 0.5, "training": {"text": "ICU 1.2, Unicode 3.4"}, "blocking": ["given"], "comparisons": [{"column": "given", "method": "exact", "trained": [{"weight": 5}, {"weight": -5}]}]}');
SET client_min_messages = warning;

-- What is wrong is refused where it stands.
\set VERBOSITY terse
SELECT model_is_local('{"blocking": [{"keys": "a", "split": {"keys": [{"key": ["x", "y"], "letters": 1}]}}], "comparisons": ["a"]}');
SELECT model_is_local('{"blocking": [{"keys": "a", "split": {"keys": [{"key": ["x"], "letters": 9}]}}], "comparisons": ["a"]}');
SELECT model_is_local('{"blocking": [{"keys": "a", "split": {}}], "comparisons": ["a"]}');
SELECT model_is_local('{"blocking": ["a"], "comparisons": [{"column": "a", "method": "tfidf", "terms": {"records": 10, "other": 0, "counts": {}}}]}');
SELECT model_is_local('{"blocking": ["a"], "comparisons": [{"column": "a", "method": "tfidf", "terms": {"records": 10, "other": 1, "counts": {"x": "y"}}}]}');
SELECT model_is_local('{"blocking": ["a"], "comparisons": ["a"], "unique_sources": "s1"}');
SELECT model_not_local(train_model('SELECT id, title FROM thing', '{"blocking": [{"keys": "title", "top_k": 3}], "comparisons": [{"column": "title", "method": "tfidf"}]}'));
SELECT model_not_local('{"blocking": ["a", {"keys": "a", "top_k": 3}], "comparisons": ["a"]}'), model_is_local(NULL);
DROP SCHEMA models_test CASCADE;
