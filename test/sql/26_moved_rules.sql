-- People who moved, by rules that somebody wrote: towns are compared exactly, so slips of the pen differ there, too.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA moved_rules;
SET search_path = moved_rules, mastering;

\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
-- A record of a person: one in four of the second ones from another home, one town in eight misspelt.
CREATE TABLE people AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing,
    CASE WHEN pick('given slip' || person || copy, 6) = 0 THEN word('given' || person % 60) || 'x' ELSE word('given' || person % 60) END AS given,
    word('f' || person % 300) || word('g' || person % 300) AS family,
    CASE WHEN pick('slip' || person || copy, 9) = 0 THEN (date '1930-01-01' + pick('born' || person, 25000) + 10)::text ELSE (date '1930-01-01' + pick('born' || person, 25000))::text END AS born,
    (10000 + pick('zip' || home, 3000))::text AS postcode,
    CASE WHEN pick('town slip' || person || copy, 8) = 0 THEN 'x' ELSE '' END || word('city' || pick('zip' || home, 3000) / 50) || 'burgh' AS city,
    CASE WHEN pick('nm' || person || copy, 3) = 0 THEN word('m' || person) || person || '@example.org' END AS email
FROM generate_series(1, 1500) AS person, generate_series(0, 2) AS copy,
    LATERAL (SELECT CASE WHEN copy > 0 AND pick('m' || person || copy, 4) = 0 THEN person + 5000 * copy ELSE person END AS home) AS h
WHERE copy = 0 OR pick('c' || person || copy, 3) > 0;

\set rules '{"blocking": [["given", "family"], ["family", "city"], ["born", "city"], ["family", "born"], ["given", "born"], ["postcode", "family"], ["postcode", "born"], "email"], "comparisons": [{"column": "given", "levels": [0.92, 0.8], "term_frequency": true}, {"column": "family", "levels": [0.92, 0.8], "term_frequency": true}, {"column": "born", "method": "levenshtein_distance", "levels": [1, 2]}, {"column": "city", "method": "exact", "term_frequency": true}, {"column": "postcode", "method": "levenshtein_distance", "levels": [1, 2]}, {"column": "email", "levels": [0.88]}]}'
CREATE TABLE clusters AS SELECT c.*, thing FROM dedupe_as(NULL::int, 'SELECT * FROM people', :'rules') AS c JOIN people USING (id);
SELECT facts FROM last_run() WHERE phase = 'repeating';
SELECT count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.97 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id) AS precise,
    count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.93 * count(*) FILTER (WHERE a.thing = b.thing) AS complete
FROM clusters AS a JOIN clusters AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id);

DROP SCHEMA moved_rules CASCADE;
