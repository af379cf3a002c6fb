-- Editions of one product are about as much alike as copies are. Each has a partner of its own in another shop, copies have one and the same: shops that hold each thing once
-- are known by that. Made-up products, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA siblings;
SET search_path = siblings, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips

-- 400 products in one to four editions; each shop has two thirds of them, under a slightly other name and price.
CREATE TABLE editions AS
SELECT row_number() OVER (ORDER BY md5('r' || product || edition || shop))::int AS id, shop AS source, product * 10 + edition AS thing,
    slip(word('m' || maker) || ' ' || word('a' || product) || word('b' || product), shop || product || edition, 12) || CASE pick('n' || product || shop, 3) WHEN 0 THEN ' new' ELSE '' END || (ARRAY['', ' plus', ' pro', ' mini'])[1 + edition] AS name,
    CASE WHEN pick('p' || product || edition || shop, 4) > 0 THEN (20 + pick('price' || product, 900) + 8 * edition + pick('off' || product || shop, 3))::text END AS price,
    CASE WHEN pick('k' || product || shop, 3) > 0 THEN (ARRAY['kitchen', 'garden', 'office', 'sport', 'toys', 'audio'])[1 + pick('kind' || product, 6)] END AS kind
FROM generate_series(1, 400) AS product, LATERAL (SELECT pick('m' || product, 60) AS maker, 1 + pick('e' || product, 4) AS size) AS p, generate_series(0, 3) AS edition, (VALUES ('north'), ('south')) AS shops (shop)
WHERE edition < size AND pick('has' || product || edition || shop, 3) > 0;
-- And where the south also has copies of a third of its records, with slips of their own.
CREATE TABLE with_copies AS SELECT id, source, thing, name, price, kind FROM editions WHERE thing % 10 = 0
UNION ALL SELECT 10000 + id, source, thing, slip(name, 'copy' || id, 60), CASE WHEN id % 3 = 0 THEN price END, kind FROM editions WHERE thing % 10 = 0 AND source = 'south' AND pick('copied' || id, 3) = 0;

CREATE FUNCTION unique_by(query text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(coalesce(u ->> 'source', u #>> '{}'), ', '), 'none') FROM jsonb_array_elements(train_model(query, suggest(query)) -> 'unique_sources') AS u $$;
SELECT unique_by('SELECT id, source, name, price, kind FROM editions') AS of_editions, unique_by('SELECT id, source, name, price, kind FROM with_copies') AS of_copies;
CREATE TABLE clusters AS SELECT * FROM dedupe_as(NULL::int, 'SELECT id, source, name, price, kind FROM editions');
SELECT 2.0 * right_ones / (found + wanted) > 0.5 AS better_than_a_third FROM
    (SELECT sum(n * (n - 1)) AS right_ones FROM (SELECT count(*) AS n FROM clusters JOIN editions USING (id) GROUP BY thing, cluster_id) AS x) AS r,
    (SELECT sum(n * (n - 1)) AS found FROM (SELECT count(*) AS n FROM clusters GROUP BY cluster_id) AS x) AS f, (SELECT sum(n * (n - 1)) AS wanted FROM (SELECT count(*) AS n FROM editions GROUP BY thing) AS x) AS w;
-- The same in any order, and by one thread.
SET mastering.threads = 1;
SELECT count(*) AS otherwise FROM clusters AS a FULL JOIN dedupe_as(NULL::int, 'SELECT id, source, name, price, kind FROM editions ORDER BY md5(name || id)') AS b USING (id, cluster_id, size) WHERE a.id IS NULL OR b.id IS NULL;
RESET mastering.threads;
DROP SCHEMA siblings CASCADE;
