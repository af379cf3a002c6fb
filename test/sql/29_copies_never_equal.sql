-- Names of firms alone, made of syllables, of which a quarter have a second record: the kind of firm left out, or a letter changed. No two are
-- equal, and most of the nearest neighbours are strangers that share a syllable or two. Without copies there is hardly a link.
SET client_min_messages = warning;
SET search_path = public, mastering;

\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
CREATE FUNCTION syllables(key text, n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT string_agg((ARRAY['ba', 'ke', 'li', 'mo', 'nu', 'ra', 'se', 'ti', 'vo', 'zu', 'dra', 'fle', 'gri', 'klo', 'spu', 'ne', 'ta', 'pel', 'wor', 'den', 'har', 'win'])[1 + pick(key || i, 22)], '')
    FROM generate_series(1, n) AS i $$;
CREATE FUNCTION with_slip(value text, key text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT overlay(value PLACING chr(97 + pick('l' || key, 26)) FROM 1 + pick('at' || key, length(value)) FOR 1) $$;

CREATE TABLE unequal_firms AS
SELECT row_number() OVER (ORDER BY md5('r' || n || copy)) AS id, n AS thing, copy,
    CASE WHEN copy = 0 THEN concat_ws(' ', name, kind, legal) WHEN pick('how' || n, 2) = 0 THEN concat_ws(' ', name, legal)
        ELSE concat_ws(' ', with_slip(name, n::text), kind, legal) END AS name
FROM generate_series(1, 2000) AS n, generate_series(0, 1) AS copy,
    LATERAL (SELECT syllables('a' || n, 3 + pick('n' || n, 3)) AS name,
        (ARRAY['Holding', 'Group', 'Systems', 'Energy', 'Partners', 'Capital', 'Foods', 'Media'])[1 + pick('k' || n, 8)] AS kind,
        (ARRAY['Ltd', 'Inc', 'GmbH', 'AG'])[1 + pick('l' || n, 4)] AS legal) AS parts
WHERE copy = 0 OR pick('c' || n, 4) = 0;

CREATE TABLE unequal_clusters AS SELECT id::bigint, cluster_id FROM dedupe('SELECT id, name FROM unequal_firms');
SELECT metric, value > CASE metric WHEN 'pair_precision' THEN 0.55 ELSE 0.7 END AS enough
FROM evaluate_clusters('SELECT id, cluster_id FROM unequal_clusters', 'SELECT id, thing AS entity_id FROM unequal_firms')
WHERE metric IN ('pair_precision', 'pair_recall') ORDER BY metric;

SELECT count(DISTINCT cluster_id) > 1980 AS hardly_a_link FROM dedupe('SELECT id, name FROM unequal_firms WHERE copy = 0');

-- Titles, a quarter of them again with another word: with a lower threshold there are more links and hardly a second partner.
CREATE TABLE unequal_titles AS
SELECT row_number() OVER (ORDER BY md5('r' || n || copy)) AS id, n AS thing,
    string_agg(CASE WHEN copy = 1 AND i = 1 + pick('at' || n, words) THEN word('x' || n) ELSE word('v' || (900 ^ (pick('w' || n || ' ' || i, 100000) / 100000.0))::int) END, ' ' ORDER BY i) AS name
FROM generate_series(1, 2000) AS n, generate_series(0, 1) AS copy, LATERAL (SELECT 4 + pick('k' || n, 6) AS words) AS l, LATERAL generate_series(1, words) AS i
WHERE copy = 0 OR pick('c' || n, 100) < 25 GROUP BY n, copy;
CREATE TABLE unequal_title_clusters AS SELECT id::bigint, cluster_id FROM dedupe('SELECT id, name FROM unequal_titles');
SELECT substring(facts, '(-?[0-9.]+) bits more')::numeric > 0 AS lower FROM last_run() WHERE phase = 'partners';
SELECT metric, value > 0.85 AS enough
FROM evaluate_clusters('SELECT id, cluster_id FROM unequal_title_clusters', 'SELECT id, thing AS entity_id FROM unequal_titles')
WHERE metric IN ('pair_precision', 'pair_recall') ORDER BY metric;

-- A grid of parts and numbers, each once: all are like some others, and these not like each other.
CREATE TABLE unequal_parts AS
SELECT DISTINCT ON (name) n AS id, name
FROM generate_series(1, 2100) AS n, LATERAL (SELECT concat_ws(' ', initcap(word('m' || pick('m' || n, 18))), initcap(word('s' || pick('s' || n, 12))), 1 + pick('no' || n, 400)) AS name) AS t
ORDER BY name, n;
SELECT count(DISTINCT cluster_id) > 0.9 * count(*) AS hardly_a_link FROM dedupe('SELECT id, name FROM unequal_parts');
SELECT substring(facts, '(-?[0-9.]+) bits more')::numeric < 0 AS higher FROM last_run() WHERE phase = 'partners';

DROP TABLE unequal_firms, unequal_clusters, unequal_titles, unequal_title_clusters, unequal_parts;
DROP FUNCTION syllables(text, int), with_slip(text, text), word(text), pick(text, int);
