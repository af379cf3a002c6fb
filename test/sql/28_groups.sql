-- Groups that could be taken for the thing, and matches that EM does not see at first. Made data, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

-- A number below most that a text decides, and a word.
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
-- Precision and recall of the pairs within clusters, in tenths.
CREATE FUNCTION pairs_of(query text, spec jsonb DEFAULT NULL) RETURNS TABLE (tenths_precise int, tenths_complete int) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH t AS MATERIALIZED (SELECT thing, cluster_id FROM things JOIN mastering.dedupe_as(NULL::int, %L, %L) USING (id)),
        found AS (SELECT sum(n * (n - 1)) AS pairs FROM (SELECT count(*) AS n FROM t GROUP BY cluster_id) AS g),
        wanted AS (SELECT sum(n * (n - 1)) AS pairs FROM (SELECT count(*) AS n FROM t GROUP BY thing) AS g),
        shared AS (SELECT sum(n * (n - 1)) AS pairs FROM (SELECT count(*) AS n FROM t GROUP BY thing, cluster_id) AS g)
        SELECT trunc(10 * shared.pairs / found.pairs)::int, trunc(10 * shared.pairs / wanted.pairs)::int FROM found, wanted, shared', query, spec);
END $$;

-- ---- a brewery has a dozen beers, and nothing says which list a record is from ----
CREATE TABLE beers AS
SELECT row_number() OVER (ORDER BY md5('r' || beer || copy))::int AS id, beer AS thing,
    initcap(concat_ws(' ', word('b' || beer), word('c' || beer % 97), (ARRAY['ale', 'stout', 'lager', 'porter', 'wheat'])[1 + pick('k' || beer, 5)]))
        || CASE WHEN copy = 1 AND pick('x' || beer, 4) = 0 THEN ' ' || word('extra' || beer) ELSE '' END AS name,
    initcap(concat_ws(' ', word('h' || house), word('i' || house), (ARRAY['brewery', 'brewing company', 'beer works'])[1 + pick('j' || house || copy, 3)])) AS brewery,
    (ARRAY['Ale', 'Stout', 'Lager', 'Porter', 'Wheat'])[1 + pick('k' || beer, 5)] AS style, 4 + pick('a' || beer, 60) / 10.0 AS strength
FROM generate_series(1, 720) AS beer, generate_series(0, 1) AS copy, LATERAL (SELECT beer / 12 AS house) AS h
WHERE copy = 0 OR pick('c' || beer, 3) = 0;
CREATE VIEW things AS SELECT id, thing FROM beers;
SELECT * FROM pairs_of('SELECT id, name, brewery, style, strength FROM beers');
DROP VIEW things;

-- ---- who has moved differs in town and postcode, and is nobody that EM begins with ----
CREATE TABLE moved AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing, word('given' || person % 60) AS given,
    word('f' || person) || word('g' || person) AS family, date '1930-01-01' + pick('born' || person, 4000) AS born,
    10000 + pick('zip' || home, 3000) AS postcode, initcap(word('city' || pick('zip' || home, 3000) / 50) || 'burgh') AS city
FROM generate_series(1, 15000) AS person, generate_series(0, 1) AS copy,
    LATERAL (SELECT CASE WHEN copy = 1 AND pick('m' || person, 10) = 0 THEN person + 50000 ELSE person END AS home) AS h
WHERE copy = 0 OR pick('c' || person, 4) = 0;
CREATE VIEW things AS SELECT id, thing FROM moved;
SELECT * FROM pairs_of('SELECT id, given, family, born, postcode, city FROM moved');
SELECT facts FROM last_run() WHERE phase = 'repeating' ORDER BY facts;
DROP VIEW things;

-- ---- homes of four, and fewer than two of a hundred persons with a second record: EM begins with the homes ----
CREATE TABLE homes AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing,
    CASE WHEN pick('ng' || person || copy, 4) > 0 THEN (ARRAY['James','Mary','John','Linda','Robert','Susan','Peter','Karen','Paul','Helen','Mark','Anna','Simon','Laura','Frank','Julia','George','Alice','Henry','Emma'])[1 + pick('g' || person, 20)] END AS given,
    initcap(word('f' || home)) AS family, date '1950-01-01' + pick('born' || person, 15000) AS born,
    20000 + pick('zip' || home, 500) AS postcode, 1 + pick('no' || home, 60) || ' ' || initcap(word('s' || home % 90)) || ' Road' AS street,
    '0' || 100000 + pick('p' || home, 900000) || CASE WHEN copy = 1 AND pick('sl' || person, 5) = 0 THEN '1' ELSE '' END AS phone
FROM generate_series(1, 1200) AS person, generate_series(0, 1) AS copy, LATERAL (SELECT person / 4 AS home) AS h
WHERE copy = 0 OR pick('c' || person, 60) = 0;
CREATE VIEW things AS SELECT id, thing FROM homes;
SELECT * FROM pairs_of('SELECT id, given, family, born, postcode, street, phone FROM homes');
DROP VIEW things;

-- ---- rules by name and by telephone: beside the telephone nothing but name and town is left, which say different things ----
CREATE TABLE rung AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing,
    word('f' || person) || word('g' || person) || CASE WHEN pick('slip' || person || copy, 5) = 0 THEN 'x' ELSE '' END AS name,
    'town ' || pick('t' || CASE WHEN pick('tm' || person || copy, 6) = 0 THEN 'm' || copy ELSE '' END || person, 900) AS town,
    100000 + pick('p' || CASE WHEN pick('pm' || person || copy, 3) = 0 THEN 'm' || copy ELSE '' END || person, 6000) AS phone
FROM generate_series(1, 2700) AS person, generate_series(0, 1) AS copy WHERE copy = 0 OR person % 2 = 0;
CREATE VIEW things AS SELECT id, thing FROM rung;
SELECT * FROM pairs_of('SELECT id, name, town, phone FROM rung', '{"blocking": ["name", "phone"], "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9], "term_frequency": true},
    {"column": "town", "method": "exact", "term_frequency": true}, {"column": "phone", "method": "exact", "term_frequency": true}]}');
SELECT phase, facts FROM last_run() WHERE phase = 'repeating';
DROP VIEW things;

-- ---- goods of one family differ in number and price, as a moved person does in town and postcode: but no two of one number have one price by it ----
CREATE TABLE goods AS
SELECT row_number() OVER (ORDER BY md5('r' || good || copy))::int AS id, good AS thing, 'list ' || copy AS source,
    initcap(concat_ws(' ', word('b' || pick('bc' || family, 50)), CASE WHEN pick('ac' || family, 2) = 0 THEN word('adj' || pick('aa' || family, 9)) END, word('n' || pick('nc' || family, 24))
        || CASE WHEN pick('halfc' || good, 2) = 0 THEN substr('abcdefg', 1 + pick('lc' || good, 7), 1) ELSE ' ' || word('w' || good) END)) AS title,
    10000000 + pick('i' || CASE WHEN pick('newc' || good || copy, 20) = 0 THEN 'x' || copy ELSE '' END || good, 90000000) AS number,
    CASE WHEN pick('mmc' || good || copy, 30) > 0 THEN
        initcap(concat_ws(' ', word('m' || CASE WHEN pick('mc' || good || copy, 10) = 0 THEN 'x' || copy ELSE '' END || good), word('o' || good), 'trading')) END AS maker,
    10 + pick('pc' || good, 5) - 0.01 AS price, word('k' || pick('kc' || family, 12)) AS category
FROM generate_series(1, 860) AS good, generate_series(0, 1) AS copy, LATERAL (SELECT good / 12 AS family) AS f
WHERE CASE WHEN pick('cc' || good, 16) = 0 THEN true ELSE copy = good % 2 END;
CREATE VIEW things AS SELECT id, thing FROM goods;
SELECT tenths_precise >= 9 AS precise, tenths_complete >= 9 AS complete FROM pairs_of('SELECT id, source, title, number, maker, price, category FROM goods');
DROP VIEW things;
DROP TABLE beers, moved, homes, rung, goods;
DROP FUNCTION pairs_of(text, jsonb), word(text), pick(text, int);
