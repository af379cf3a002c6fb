-- A source that has fewer columns than the others, so that its links are never among the heavy ones: it is judged by its own. Its editions are no copies.
-- Made up, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA less;
SET search_path = less, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips
-- 500 games in one to three editions, in a shop and a store with makers, years and genres, and in a list of titles.
CREATE TABLE games AS
SELECT row_number() OVER (ORDER BY md5('r' || game || edition || shop))::int AS id, shop AS source, game * 10 + edition AS thing,
    slip(initcap(word('a' || game)) || ' ' || initcap(word('b' || game)), shop || game || edition, 10) || (ARRAY['', ' II', ' III'])[1 + edition] AS title, (ARRAY['west', 'east'])[1 + edition % 2] AS region,
    CASE WHEN shop <> 'list' THEN initcap(word('m' || pick('m' || game, 40))) || ' Games' END AS maker, CASE WHEN shop <> 'list' THEN (1990 + pick('y' || game, 20) + edition * 2)::text END AS year,
    CASE WHEN shop <> 'list' THEN (ARRAY['action', 'puzzle', 'racing', 'sport', 'strategy'])[1 + pick('g' || game, 5)] END AS genre
FROM generate_series(1, 500) AS game, generate_series(0, 2) AS edition, unnest(ARRAY['shop', 'store', 'list']) AS shop
WHERE edition <= pick('e' || game, 3) AND pick('has' || game || edition || shop, 5) < 3;
CREATE FUNCTION unique_by(query text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(coalesce(u ->> 'source', u #>> '{}'), ', ' ORDER BY coalesce(u ->> 'source', u #>> '{}')), 'none') FROM jsonb_array_elements(train_model(query, suggest(query)) -> 'unique_sources') AS u $$;
CREATE FUNCTION f1(query text, truth text) RETURNS float8 LANGUAGE sql AS $$
SELECT value FROM evaluate_clusters(format('SELECT id, cluster_id FROM mastering.dedupe(%L)', query), truth) WHERE metric = 'pair_f1' $$;
SELECT unique_by('SELECT id, source, title, region, maker, year, genre FROM less.games') AS unique_sources;
SELECT f1('SELECT id, source, title, region, maker, year, genre FROM less.games', 'SELECT id, thing AS entity_id FROM less.games') > 0.7 AS better_than_half;
SELECT facts FROM last_run() WHERE phase = 'source' ORDER BY facts;
-- Copies in the list are seen: what is much alike there may be together.
CREATE VIEW repeating AS SELECT id, source, thing, title, region, maker, year, genre FROM games UNION ALL SELECT 100000 + id, source, thing, slip(title, 'x' || id, 60), region, maker, year, genre FROM games WHERE source = 'list' AND pick('copied' || id, 2) = 0;
SELECT unique_by('SELECT id, source, title, region, maker, year, genre FROM less.repeating') AS unique_sources;
SELECT facts FROM last_run() WHERE phase = 'source' ORDER BY facts;
DROP SCHEMA less CASCADE;
