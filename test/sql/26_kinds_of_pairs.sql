-- Pairs of several kinds: households, people who moved, copies inside a source. Made data, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

-- A number below most that a text decides, and a word.
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
-- How good clusters are by their pairs.
CREATE FUNCTION pairs_of(query text) RETURNS TABLE (precise boolean, complete boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH c AS MATERIALIZED (SELECT id, cluster_id FROM mastering.dedupe_as(NULL::int, %L)), t AS (SELECT * FROM things JOIN c USING (id))
        SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.95 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id),
            count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.9 * count(*) FILTER (WHERE a.thing = b.thing)
        FROM t AS a JOIN t AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id)', query);
END $$;

-- ---- households: three people each, half of them with a second record ----
CREATE TABLE households AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing, home,
    word('given' || person) AS given, word('f' || home) || word('g' || home) AS family,
    date '1930-01-01' + pick('born' || person, 25000) + CASE WHEN copy = 1 AND person % 11 = 0 THEN 1 ELSE 0 END AS born,
    initcap(word('s' || home % 90)) || 'street ' || 1 + pick('no' || home, 60) AS street,
    CASE WHEN pick('np' || person || copy, 4) > 0 THEN '030 ' || 100000 + pick('p' || home, 900000) END AS phone
FROM generate_series(1, 900) AS person, generate_series(0, 1) AS copy, LATERAL (SELECT person / 3 AS home) AS h
WHERE copy = 0 OR pick('c' || person, 2) = 0;
CREATE VIEW things AS SELECT id, thing FROM households;
SELECT * FROM pairs_of('SELECT id, given, family, born, street, phone FROM households');
SELECT DISTINCT phase FROM last_run() WHERE phase IN ('mixed', 'related') ORDER BY 1;
DROP VIEW things;

-- ---- people who moved: postcode and city differ together, which counts once ----
CREATE TABLE moved AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing, word('given' || person % 40) AS given,
    word('f' || person) || word('g' || person) AS family, date '1930-01-01' + pick('born' || person, 25000) AS born,
    10000 + pick('zip' || home, 2000) AS postcode, initcap(word('city' || pick('zip' || home, 2000) / 50) || 'burgh') AS city
FROM generate_series(1, 600) AS person, generate_series(0, 1) AS copy,
    LATERAL (SELECT CASE WHEN copy = 1 AND pick('m' || person, 4) = 0 THEN person + 5000 ELSE person END AS home) AS h
WHERE copy = 0 OR pick('c' || person, 2) = 0;
CREATE VIEW things AS SELECT id, thing FROM moved;
SELECT * FROM pairs_of('SELECT id, given, family, born, postcode, city FROM moved');
SELECT facts FROM last_run() WHERE phase = 'repeating';
DROP VIEW things;

-- ---- a source that holds things once, but for what is much alike ----
CREATE TABLE products AS
SELECT row_number() OVER (ORDER BY md5(shop || thing || copy))::int AS id, shop AS source, thing,
    concat_ws(' ', word('brand' || thing / 40), word('kind' || thing / 8), word('k' || thing / 8), word('v' || thing), word('m' || thing) || thing,
        CASE WHEN pick(shop || thing, 3) = 0 THEN word('extra' || shop || thing) END) AS name,
    CASE WHEN pick('price' || shop || thing, 5) > 0 THEN 20 + pick('price' || thing, 900) + CASE shop WHEN 'b' THEN 1 ELSE 0 END END AS price
FROM generate_series(1, 400) AS thing, (VALUES ('a'), ('b')) AS shops (shop), generate_series(0, 1) AS copy
WHERE copy = 0 OR pick('d' || shop || thing, 10) = 0;
CREATE TEMP TABLE learnt AS SELECT train_model('SELECT id, source, name, price FROM products', suggest('SELECT id, source, name, price FROM products')) AS model;
-- Pairs of one source that are in one cluster, by source, when the model says so of its sources.
CREATE FUNCTION inside(sources jsonb) RETURNS TABLE (source text, copies bigint, others bigint) LANGUAGE sql AS $$
    WITH c AS MATERIALIZED (
        SELECT id, cluster_id FROM mastering.match_clusters_as(NULL::int, 'SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', sources) FROM learnt)))
    SELECT a.source, count(*) FILTER (WHERE a.thing = b.thing), count(*) FILTER (WHERE a.thing <> b.thing)
    FROM (c JOIN products USING (id)) AS a JOIN (c JOIN products USING (id)) AS b ON a.cluster_id = b.cluster_id AND a.id < b.id AND a.source = b.source
    GROUP BY 1 ORDER BY 1 $$;
SELECT source, count(*) - count(DISTINCT thing) AS copies FROM products GROUP BY 1 ORDER BY 1;
SELECT * FROM inside('[]');
SELECT * FROM inside('["a", "b"]');
SELECT * FROM inside('["b", {"source": "a", "copies": 6}]');
SELECT * FROM inside('[{"source": "a", "copies": 6}, {"source": "b", "copies": 99}, "c"]');
-- Hundreds of copies of one thing, of which some are compared: they stay together, and a source that has none is held to it.
SELECT max(a) AS copies_together, max(c) AS of_c FROM (
    SELECT count(*) FILTER (WHERE id <= 600) AS a, count(*) FILTER (WHERE id > 600) AS c
    FROM match_clusters_as(NULL::int, 'SELECT id, CASE WHEN id <= 600 THEN ''a'' ELSE ''c'' END AS source, ''kala drate zunor'' AS name, 77 AS price FROM generate_series(1, 610) AS id',
        (SELECT jsonb_set(model, '{unique_sources}', '["c", {"source": "a", "copies": 6}]') FROM learnt)) GROUP BY cluster_id) AS clusters;
-- It is kept, in the order of the names.
SELECT train_model('SELECT id, source, name, price FROM products', suggest('SELECT id, source, name, price FROM products') || '{"unique_sources": ["b", {"source": "a", "copies": 6.25}]}') -> 'unique_sources' AS kept;
SELECT count(*) FROM match_clusters('SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '[{"copies": 3}]') FROM learnt));
SELECT count(*) FROM match_clusters('SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '[{"source": "a", "copies": "many"}]') FROM learnt));
SELECT count(*) FROM match_clusters('SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '[{"source": "a", "copys": 3}]') FROM learnt));
-- ---- what things have in common, a brewery, is not the thing: there are more such pairs than two sources can hold ----
CREATE TABLE beers AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || shop))::int AS id, shop AS source, thing,
    initcap(CASE WHEN pick('o' || thing, 5) < 2 THEN word('w' || thing / 10) ELSE word('b' || thing) END || ' ' || (ARRAY['ale','stout','porter','lager','amber','red ale'])[1 + pick('k' || thing, 6)]) AS name,
    initcap(word('w' || thing / 10) || ' ' || word('v' || thing / 10)) || CASE WHEN pick(shop || thing, 2) = 0 THEN ' Brewing Company' ELSE ' Brewery' END AS brewery,
    (ARRAY['American Amber','American IPA','Imperial Stout','Pilsener','Hefeweizen','Porter','Amber Ale','English Pale Ale'])[1 + pick('y' || thing, 8)] AS style,
    to_char(4 + pick('abv' || thing, 70) / 10.0, CASE shop WHEN 'a' THEN 'FM90.0 %' ELSE 'FM90.00%' END) AS strength
FROM generate_series(1, 1500) AS thing, (VALUES ('a'), ('b')) AS shops (shop) WHERE pick('in' || shop || thing, 10) < 6;
CREATE VIEW things AS SELECT id, thing FROM beers;
SELECT * FROM pairs_of('SELECT id, source, name, brewery, style, strength FROM beers');
-- As a text, not as a quantity, it does not tell them apart, and learning begins again.
SELECT * FROM pairs_of('SELECT id, source, name, brewery, style, ''abv '' || strength AS strength FROM beers');
SELECT count(*) > 0 AS begun_again FROM last_run() WHERE phase = 'groups';
DROP VIEW things;

-- ---- five shops with copies inside: a shop of which little is seen is no exception ----
CREATE TABLE offers AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, 'shop ' || pick('shop' || thing || copy, 5) AS source, thing,
    concat_ws(' ', initcap(word('brand' || thing % 9)), initcap(word('line' || thing % 30)), upper(left(word('m' || thing), 2)) || 10 + pick('m' || thing, 900),
        (ARRAY['digital camera', 'black', 'new', 'bundle', 'with case'])[1 + pick('t' || thing || copy, 5)]) AS name,
    CASE WHEN pick('np' || thing || copy, 2) = 0 THEN 50 + pick('p' || thing || copy, 900) END AS price
FROM generate_series(1, 250) AS thing, generate_series(0, 4) AS copy WHERE copy <= pick('n' || thing, 6);
CREATE VIEW things AS SELECT id, thing FROM offers;
SELECT * FROM pairs_of('SELECT id, source, name, price FROM offers');
SELECT count(*) AS sources, count(*) FILTER (WHERE facts LIKE '%unique%') AS unique_ones FROM last_run() WHERE phase = 'source';
DROP VIEW things;
DROP TABLE households, moved, products, learnt, beers, offers;
DROP FUNCTION inside(jsonb), pairs_of(text), word(text), pick(text, int);
