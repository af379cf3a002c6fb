-- Pairs of several kinds: households, people who moved, copies inside a source. Made data, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

-- A number below most that a text decides, and a word.
CREATE FUNCTION pick(seed text, most int) RETURNS int LANGUAGE sql IMMUTABLE RETURN (('x' || left(md5(seed), 7))::bit(28)::int % most);
CREATE FUNCTION word(seed text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (ARRAY['ba','ke','li','mo','nu','ra','se','ti','vo','zu','dra','fle','gri','klo','spu'])[1 + pick(seed || '1', 15)]
    || (ARRAY['n','r','s','l','m','t','ck','nd','rt'])[1 + pick(seed || '2', 9)] || (ARRAY['a','er','en','o','ing','ow','y'])[1 + pick(seed || '3', 7)];
-- How good clusters are by their pairs.
CREATE FUNCTION pairs_of(query text) RETURNS TABLE (precise boolean, complete boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH c AS MATERIALIZED (SELECT id, cluster_id FROM mastering.dedupe_as(NULL::int, %L)), t AS (SELECT * FROM things JOIN c USING (id))
        SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.95 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id),
            count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.9 * count(*) FILTER (WHERE a.thing = b.thing)
        FROM t AS a JOIN t AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id)', query);
END $$;

-- ---- households: three people each, half of them with a second record ----
CREATE TABLE people AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing, home,
    word('given' || person) AS given, word('f' || home) || word('g' || home) AS family,
    date '1930-01-01' + pick('born' || person, 25000) + CASE WHEN copy = 1 AND person % 11 = 0 THEN 1 ELSE 0 END AS born,
    initcap(word('s' || home % 90)) || 'street ' || 1 + pick('no' || home, 60) AS street,
    CASE WHEN pick('np' || person || copy, 4) > 0 THEN '030 ' || 100000 + pick('p' || home, 900000) END AS phone,
    (ARRAY['north', 'south', 'west'])[1 + pick('src' || person || copy, 3)] AS source
FROM generate_series(1, 900) AS person, generate_series(0, 1) AS copy, LATERAL (SELECT person / 3 AS home) AS h
WHERE copy = 0 OR pick('c' || person, 2) = 0;
CREATE VIEW things AS SELECT id, thing FROM people;
SELECT * FROM pairs_of('SELECT id, given, family, born, street, phone FROM people');
SELECT DISTINCT phase FROM last_run() WHERE phase IN ('mixed', 'related') ORDER BY 1;
-- The same with a source, which holds some people twice.
SELECT * FROM pairs_of('SELECT id, source, given, family, born, street, phone FROM people');
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

-- ---- a source that holds things once, but for a few copies ----
-- Products: each shop has siblings of most, which differ in the model number; a tenth of a shop's come twice.
CREATE TABLE products AS
SELECT row_number() OVER (ORDER BY md5(shop || thing || copy))::int AS id, shop AS source, thing,
    concat_ws(' ', initcap(word('brand' || thing / 40)), word('kind' || thing / 8), word('k' || thing / 8), word('v' || thing / 2), upper(word('m' || thing)) || thing,
        CASE WHEN pick(shop || thing, 3) = 0 THEN word('extra' || shop || thing) END) AS name,
    CASE WHEN pick('price' || shop || thing, 5) > 0 THEN 20 + pick('price' || thing, 900) + CASE shop WHEN 'b' THEN 1 ELSE 0 END END AS price
FROM generate_series(1, 800) AS thing, (VALUES ('a'), ('b')) AS shops (shop), generate_series(0, 1) AS copy
WHERE copy = 0 OR pick('d' || shop || thing, 10) = 0;
CREATE VIEW things AS SELECT id, thing FROM products;
SELECT * FROM pairs_of('SELECT id, source, name, price FROM products');
CREATE TEMP TABLE learnt AS SELECT train_model('SELECT id, source, name, price FROM products', suggest('SELECT id, source, name, price FROM products')) AS model;
SELECT jsonb_path_query_array(model, '$.unique_sources[*].source') AS sources, (model #>> '{unique_sources,0,copies}')::float8 > 5 AS bits FROM learnt;
-- What the model says is followed, and it is read as it was written.
SELECT count(*) FILTER (WHERE a.thing = b.thing) > 100 AS copies_together, count(*) FILTER (WHERE a.thing <> b.thing) < 20 AS siblings_apart
FROM match_clusters_as(NULL::int, 'SELECT id, source, name, price FROM products', (SELECT model FROM learnt)) AS c JOIN products AS a USING (id)
    JOIN (match_clusters_as(NULL::int, 'SELECT id, source, name, price FROM products', (SELECT model FROM learnt)) AS d JOIN products AS b USING (id))
        ON c.cluster_id = d.cluster_id AND a.id < b.id AND a.source = b.source;
SELECT count(*) AS together
FROM match_clusters_as(NULL::int, 'SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '["a", "b"]') FROM learnt)) AS c JOIN products AS a USING (id)
    JOIN (match_clusters_as(NULL::int, 'SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '["a", "b"]') FROM learnt)) AS d JOIN products AS b USING (id))
        ON c.cluster_id = d.cluster_id AND a.id < b.id AND a.source = b.source;
SELECT count(*) FROM match_clusters('SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '[{"copies": 3}]') FROM learnt));
SELECT count(*) FROM match_clusters('SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '[{"source": "a", "copies": "many"}]') FROM learnt));
SELECT count(*) FROM match_clusters('SELECT id, source, name, price FROM products', (SELECT jsonb_set(model, '{unique_sources}', '[{"source": "a", "copys": 3}]') FROM learnt));
DROP VIEW things;
DROP TABLE people, moved, products;
DROP FUNCTION pairs_of(text), word(text), pick(text, int);
