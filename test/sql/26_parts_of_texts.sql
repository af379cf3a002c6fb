-- Numbers in an address are other ones where the address is another one: that is said once. A list of restaurants and a guide that has half of them,
-- some of which have moved since. Made data, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA parts_of_texts;
SET search_path = parts_of_texts, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips

CREATE FUNCTION address(key text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
SELECT 1 + pick('no' || key, 4000) || ' ' || (ARRAY['e. ', 'w. ', '', ''])[1 + pick('d' || key, 4)]
    || CASE WHEN pick('k' || key, 2) = 0 THEN 1 + pick('n' || key, 90) || 'th' ELSE initcap(word('s' || pick('s' || key, 120))) END
    || (ARRAY[' st.', ' ave.', ' blvd.'])[1 + pick('t' || key, 3)] || (ARRAY['', ' suite ' || pick('u' || key, 300), ' at ' || initcap(word('s' || pick('a' || key, 120))) || ' st.'])[1 + pick('m' || key, 3)] $$;

-- In a hotel there are two restaurants at one address, with one telephone.
CREATE TABLE eating AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, thing, moved, CASE copy WHEN 0 THEN 'list' ELSE 'guide' END AS source,
    slip(initcap(word('a' || thing)) || (ARRAY['''s', ' ' || initcap(word('b' || pick('b' || thing, 40))), ' grill', ' cafe', ' room'])[1 + pick('c' || thing, 5)], 'n' || thing || copy, 8) AS name,
    address(CASE WHEN moved AND copy = 1 THEN 'new' || thing ELSE house::text END) AS address, word('city' || pick('city' || house, 5)) || 'ville' AS city,
    pick('area' || house, 5) + 210 || '-' || 200 + pick('p' || house, 700) || '-' || 1000 + pick('q' || house, 8999) AS phone,
    (ARRAY['italian', 'french', 'american', 'asian', 'steak house', 'seafood'])[1 + CASE WHEN pick('kind' || thing || copy, 4) = 0 THEN pick('other' || thing || copy, 6) ELSE pick('kind' || thing, 6) END] AS kind
FROM generate_series(1, 500) AS thing, generate_series(0, 1) AS copy, LATERAL (SELECT pick('moved' || thing, 12) = 0 AS moved) AS m,
    LATERAL (SELECT CASE WHEN pick('hotel' || thing, 12) = 0 THEN thing - 1 ELSE thing END AS house) AS h
WHERE copy = 0 OR pick('c' || thing, 2) = 0;

\set query 'SELECT id, source, name, address, city, phone, kind FROM eating'
SELECT suggest(:'query') AS spec \gset
SELECT c ->> 'name' AS name, c ->> 'part_of' AS part_of FROM jsonb_array_elements(:'spec'::jsonb -> 'comparisons') AS c WHERE c ? 'part_of';
CREATE TABLE model AS SELECT train_model(:'query', :'spec') AS model;
SELECT facts ~ '^an F1 of [01]\.\d+ to expect with parts of texts apart, [01]\.\d+ with them alike$' AS said FROM last_run() WHERE phase = 'parts';
SELECT c ->> 'name' AS name, c ->> 'part_of' AS part_of FROM model, jsonb_array_elements(model -> 'comparisons') AS c WHERE c ? 'part_of';

CREATE TABLE clusters AS SELECT id, cluster_id FROM match_clusters_as(NULL::int, :'query', (SELECT model FROM model));
CREATE TABLE found AS SELECT a.moved, a.id AS a, b.id AS b, a.thing = b.thing AS wanted, x.cluster_id = y.cluster_id AS found
FROM eating AS a JOIN eating AS b ON a.id < b.id JOIN clusters AS x ON x.id = a.id JOIN clusters AS y ON y.id = b.id;
SELECT count(*) FILTER (WHERE wanted) > 0.97 * count(*) AS precise FROM found WHERE found;
SELECT count(*) FILTER (WHERE found) > 0.97 * count(*) AS complete, count(*) FILTER (WHERE found AND moved) >= 0.8 * count(*) FILTER (WHERE moved) AS moved, count(*) FILTER (WHERE moved) > 8 AS some_have FROM found WHERE wanted;

-- What is said of a pair is what it weighs, and what the text says is not said again.
SELECT e.comparison, e.level, e.weight FROM (SELECT a, b FROM found WHERE wanted AND moved AND found ORDER BY a LIMIT 1) AS p, explain_pair(:'query', (SELECT model FROM model), p.a::text, p.b::text) AS e
WHERE e.comparison LIKE 'words with digits%';
SELECT count(*) > 20 AS pairs, bool_and(p.weight = e.total) AS same, count(*) FILTER (WHERE e.silent) > 0 AS silent, count(*) FILTER (WHERE NOT e.silent) > 0 AS not_silent
FROM (SELECT * FROM match_pairs(:'query', (SELECT model FROM model), 0.000000001) ORDER BY md5(id_a || id_b) LIMIT 40) AS p,
    LATERAL (SELECT (array_agg(total))[count(*)] AS total, bool_or(level = 'as address') AS silent FROM explain_pair(:'query', (SELECT model FROM model), p.id_a, p.id_b)) AS e;

-- A specification may say it; what makes no sense is refused.
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": ["name", {"column": "address", "part_of": "street"}]}');
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": ["name", {"column": "address", "part_of": "address"}]}');
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": ["name", {"column": "city", "method": "exact"}, {"column": "address", "part_of": "city"}]}');
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": ["name", {"column": "city", "part_of": "name"}, {"column": "address", "part_of": "city"}]}');
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": [{"column": "address", "part_of": "city"}, {"column": "city", "part_of": "name"}, "name"]}');
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": ["name", {"column": "city", "part_of": "name", "term_frequency": true}]}');
SELECT train_model(:'query', '{"blocking": ["phone"], "comparisons": ["name", {"column": "city", "part_of": 1}]}');

-- The same to the bit in any order, by one thread and by two, with little memory.
CREATE FUNCTION sum_of(query text) RETURNS text LANGUAGE sql AS $$ SELECT md5(string_agg(id || ' ' || cluster_id, ',' ORDER BY id)) FROM match_clusters_as(NULL::int, query, train_model(query, suggest('SELECT id, source, name, address, city, phone, kind FROM eating'))) $$;
SELECT sum_of(:'query') = sum_of(:'query' || ' ORDER BY md5(name || id)') AS any_order;
SET mastering.threads = 1;
SELECT sum_of(:'query') = (SELECT md5(string_agg(id || ' ' || cluster_id, ',' ORDER BY id)) FROM clusters) AS one_thread;
DROP SCHEMA parts_of_texts CASCADE;
