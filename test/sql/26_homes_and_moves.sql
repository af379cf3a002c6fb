-- A register of homes whose people also move: surname, street and postcode are of the home, and street, city and postcode change together. Made
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
Kevin Amanda Brian Melissa George Deborah Edward Stephanie Ronald Rebecca Timothy Laura Jason Sharon Jeffrey Cynthia Ryan Kathleen Jacob Amy Gary Shirley Nicholas
Angela Eric Helen Jonathan Anna Stephen Brenda Larry Pamela Justin Nicole Scott Ruth Brandon Katherine Benjamin Samantha Samuel Christine Gregory Emma Frank Catherine
Alexander Debra Raymond Virginia Patrick Rachel Jack Carolyn Dennis Janet Jerry Maria', ' '))[1 + pick(key, 100)]
$$;

-- One person in two has a second record, with a slip here and there; a quarter of these live elsewhere since.
CREATE TABLE register AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing, moved,
    CASE WHEN pick('slip' || person || copy, 12) = 0 THEN overlay(given_name('given' || person) PLACING 'e' FROM 3 FOR 1) ELSE given_name('given' || person) END AS given,
    CASE WHEN pick('has' || person || copy, 4) > 0 THEN left(given_name('second' || person), CASE pick('initial' || person || copy, 3) WHEN 0 THEN 1 ELSE 20 END) END AS second,
    initcap(word('f' || family)) || 'son' AS family, 1930 + pick('born' || person, 60) AS born,
    1 + pick('no' || home, 900) || ' ' || initcap(word('s' || pick('s' || home, 90))) || 'street' AS street,
    initcap(word('city' || town)) || 'burgh' AS city, 10000 + town * 37 + pick('zip' || home, 4) AS postcode
FROM generate_series(1, 1500) AS person, generate_series(0, 1) AS copy, LATERAL (SELECT copy = 1 AND pick('m' || person, 4) = 0 AS moved) AS m,
    LATERAL (SELECT pick('family' || person / 3, 300) AS family, CASE WHEN moved THEN person + 5000 ELSE person / 3 END AS home) AS h,
    LATERAL (SELECT pick('town' || home, 40) AS town) AS t
WHERE copy = 0 OR pick('c' || person, 2) = 0;

CREATE TABLE clusters AS
SELECT id, cluster_id FROM dedupe_as(NULL::int, 'SELECT id, given, second, family, born, street, city, postcode FROM register');
SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.97 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id) AS precise,
    count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.95 * count(*) FILTER (WHERE a.thing = b.thing) AS complete,
    count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id AND (a.moved OR b.moved))
        > 0.9 * count(*) FILTER (WHERE a.thing = b.thing AND (a.moved OR b.moved)) AS moved
FROM (register NATURAL JOIN clusters) AS a
JOIN (register NATURAL JOIN clusters) AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id);

-- Given names that no list knows: given name, second name and year of birth differ together between people of one home as street and postcode
-- do of who moved, but strangers of one given name were born in any year. An initial is no second name's likeness here.
CREATE TABLE strange AS
SELECT id, thing, moved, initcap(word('gp' || pick('given' || thing, 900))) AS given, left(initcap(word('gp' || pick('second' || thing, 900))), length(second)) AS second, family, born, street, city, postcode
FROM register;
CREATE TABLE strange_clusters AS
SELECT id, cluster_id FROM dedupe_as(NULL::int, 'SELECT id, given, second, family, born, street, city, postcode FROM strange');
SELECT facts FROM last_run() WHERE phase = 'repeating' AND facts ~ '^"(given|second|born)"';
SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.97 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id) AS precise,
    count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id AND NOT a.moved AND NOT b.moved)
        > 0.95 * count(*) FILTER (WHERE a.thing = b.thing AND NOT a.moved AND NOT b.moved) AS complete
FROM (strange NATURAL JOIN strange_clusters) AS a
JOIN (strange NATURAL JOIN strange_clusters) AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id);

DROP TABLE register, clusters, strange, strange_clusters;
DROP FUNCTION given_name(text), word(text), pick(text, int);
