-- How rare a value is: that a thing and its copy both have it does not make it twice as frequent.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA rarity;
-- 200 places here and 200 there, 120 of them the same: each name is of one place. Kinds and towns are few; there some are written otherwise.
CREATE TABLE rarity.places AS
SELECT n AS id, CASE WHEN n <= 200 THEN 'here' ELSE 'there' END AS source, 'Cafe ' || translate(left(md5('name' || k), 9), '0123456789', 'ghijklmnop') AS name,
    'town' || CASE WHEN n > 200 AND k % 3 = 0 THEN k % 11 + 11 ELSE k % 11 END AS town, CASE WHEN n <= 200 THEN 'kind' || k % 7 ELSE 'type' || k % 5 END AS kind, k AS thing
FROM (SELECT n, CASE WHEN n > 320 THEN n WHEN n > 200 THEN n - 200 ELSE n END AS k FROM generate_series(1, 400) AS n) AS numbers;
-- The same names, but two places far from each other have each: the other one is not in the same town and not of the same kind.
CREATE TABLE rarity.namesakes AS
SELECT id, source, name, CASE WHEN id > 200 THEN 'town' || (thing * 7) % 11 + 30 ELSE town END AS town, kind FROM rarity.places;
CREATE FUNCTION rarity.records_by_chance(query text, spec jsonb) RETURNS numeric LANGUAGE sql AS $$
SELECT (c -> 'frequencies' ->> 'other')::numeric * (mastering.train_model(query, spec) #>> '{training,records}')::numeric
FROM jsonb_array_elements(mastering.train_model(query, spec) -> 'comparisons') AS c WHERE c ->> 'name' = 'name'
$$;
\set spec '{"blocking": ["name", "town"], "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9], "term_frequency": true}, {"column": "town", "method": "exact"}, {"column": "kind", "method": "exact"}]}'
-- Of two records with one name, the other is met once: nearly all are copies here. Where they are none, a name is as frequent as the records that have it.
SELECT round(rarity.records_by_chance('SELECT id, name, town FROM rarity.places', :'spec'::jsonb #- '{comparisons,2}'), 2) AS copies,
    round(rarity.records_by_chance('SELECT id, name, town, kind FROM rarity.namesakes', :'spec'), 2) AS namesakes, round(count(*) * 1.0 / count(DISTINCT name), 2) AS records_a_name
FROM rarity.namesakes;
-- What a pair weighs more because its name is rare: so places with one name, but two spellings of the town, are one thing.
SELECT count(*) FILTER (WHERE a.thing = b.thing) AS right, count(*) FILTER (WHERE a.thing <> b.thing) AS wrong
FROM mastering.dedupe('SELECT id, source, name, town, kind FROM rarity.places') AS x JOIN mastering.dedupe('SELECT id, source, name, town, kind FROM rarity.places') AS y USING (cluster_id)
JOIN rarity.places AS a ON a.id = x.id::int JOIN rarity.places AS b ON b.id = y.id::int AND b.id > a.id;
-- Where links were looked at for that, and weights set once more, what was said before is of a model that was tried: each phase tells once what the model has.
SELECT count(*) > 0 AS tried FROM mastering.last_run() WHERE phase LIKE 'tried %';
SELECT phase, count(*), count(DISTINCT split_part(facts, ':', 1)) AS sources FROM mastering.last_run() WHERE phase IN ('weights', 'expected', 'learning', 'source', 'threshold') GROUP BY 1 ORDER BY 1;
DROP SCHEMA rarity CASCADE;
