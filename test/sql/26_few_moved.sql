-- A register of homes of whose people few have moved: so few that EM takes none of them for a match, and then learns that nobody moves. Made
-- data, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up

CREATE FUNCTION given_name(key text) RETURNS text IMMUTABLE LANGUAGE sql AS $$
SELECT (string_to_array('James Mary John Patricia Robert Jennifer Michael Linda William Elizabeth David Barbara Richard Susan Joseph Jessica Thomas Sarah Charles Karen
Christopher Nancy Daniel Lisa Matthew Margaret Anthony Sandra Mark Ashley Donald Kimberly Steven Emily Paul Donna Andrew Michelle Joshua Dorothy Kenneth Carol
Kevin Amanda Brian Melissa George Deborah Edward Stephanie Ronald Rebecca Timothy Laura Jason Sharon Jeffrey Cynthia Ryan Kathleen Jacob Amy Gary Shirley', ' '))[1 + pick(key, 66)]
$$;

-- One person in two has a second record, with a slip here and there; every twenty-fifth of these lives elsewhere since.
CREATE TABLE moved_register AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing, moved,
    CASE WHEN pick('slip' || person || copy, 12) = 0 THEN overlay(given_name('given' || person) PLACING 'e' FROM 3 FOR 1) ELSE given_name('given' || person) END AS given,
    initcap(word('f' || family)) || 'son' AS family,
    CASE WHEN pick('dated' || person || copy, 4) > 0 THEN (date '1930-01-01' + pick('born' || person, 20000))::text END AS born,
    CASE WHEN pick('mailed' || person || copy, 4) > 0 THEN word('mail' || person) || pick('no' || person, 90) || '@' || word('host' || pick('host' || person, 9)) || '.example' END AS email,
    1 + pick('no' || home, 900) || ' ' || initcap(word('s' || pick('s' || home, 90))) || 'street' AS street,
    initcap(word('city' || town)) || 'burgh' AS city, 10000 + town * 37 + pick('zip' || home, 4) AS postcode
FROM generate_series(1, 3000) AS person, generate_series(0, 1) AS copy, LATERAL (SELECT copy = 1 AND pick('m' || person, 25) = 0 AS moved) AS m,
    LATERAL (SELECT pick('family' || person / 3, 300) AS family, CASE WHEN moved THEN person + 5000 ELSE person / 3 END AS home) AS h,
    LATERAL (SELECT pick('town' || home, 40) AS town) AS t
WHERE copy = 0 OR pick('c' || person, 2) = 0;

CREATE TABLE moved_clusters AS
SELECT id, cluster_id FROM dedupe_as(NULL::int, 'SELECT id, given, family, born, email, street, city, postcode FROM moved_register');
SELECT regexp_replace(facts, '[0-9.]+ %', '...') AS facts, substring(facts, '[0-9.]+')::numeric BETWEEN 2 AND 6 AS about_right FROM last_run() WHERE phase = 'moved';
CREATE TABLE moved_found AS SELECT * FROM moved_register NATURAL JOIN moved_clusters;
SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.97 * count(*) AS precise FROM moved_found AS a JOIN moved_found AS b USING (cluster_id) WHERE a.id < b.id;
SELECT count(*) FILTER (WHERE a.cluster_id = b.cluster_id) > 0.8 * count(*) AS moved FROM moved_found AS a JOIN moved_found AS b USING (thing)
WHERE a.id < b.id AND (a.moved OR b.moved) AND a.born = b.born AND a.email = b.email;

-- As many comparisons as there can be, nearly all of what may be places.
SELECT count(*) AS records FROM dedupe((SELECT 'SELECT id, given, ' || string_agg('left(md5(city || ' || n || '), 2) AS place' || n, ', ') || ' FROM moved_register' FROM generate_series(1, 31) AS n),
    (SELECT jsonb_build_object('blocking', '["given"]'::jsonb, 'comparisons', jsonb_build_array('{"column": "given", "method": "exact"}'::jsonb) || jsonb_agg(jsonb_build_object('column', 'place' || n, 'method', 'exact')))
     FROM generate_series(1, 31) AS n));

DROP TABLE moved_register, moved_clusters, moved_found;
DROP FUNCTION given_name(text), word(text), pick(text, int);
