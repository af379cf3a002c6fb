-- Lists that say different things of the same: columns that one list alone has, four lists of which some say more than others,
-- names of persons that are all there is. Made data, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
-- Precision and recall of the pairs within clusters, in tenths.
CREATE FUNCTION pairs_of(query text) RETURNS TABLE (tenths_precise int, tenths_complete int) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH t AS MATERIALIZED (SELECT thing, cluster_id FROM things JOIN mastering.dedupe_as(NULL::int, %L) USING (id)),
        found AS (SELECT sum(n * (n - 1)) AS pairs FROM (SELECT count(*) AS n FROM t GROUP BY cluster_id) AS g),
        wanted AS (SELECT sum(n * (n - 1)) AS pairs FROM (SELECT count(*) AS n FROM t GROUP BY thing) AS g),
        shared AS (SELECT sum(n * (n - 1)) AS pairs FROM (SELECT count(*) AS n FROM t GROUP BY thing, cluster_id) AS g)
        SELECT trunc(10 * shared.pairs / found.pairs)::int, trunc(10 * shared.pairs / wanted.pairs)::int FROM found, wanted, shared', query);
END $$;

-- ---- what one list alone says is no mark of a match, and makes its own records look alike ----
CREATE TABLE schools AS
SELECT row_number() OVER (ORDER BY md5('r' || school || list))::int AS id, list AS source, school AS thing,
    (ARRAY['University of ', 'Institute of Technology ', 'Polytechnic ', 'College of '])[1 + pick('k' || school, 4)] || initcap(word('town' || school))
        || CASE WHEN pick('s' || school, 3) = 0 THEN ' ' || initcap(word('field' || school % 40)) ELSE '' END
        || CASE WHEN pick('w' || school || list, 5) = 0 THEN ' ' || (ARRAY['Campus', 'Main', 'School'])[1 + pick('v' || school || list, 3)] ELSE '' END AS name,
    CASE list WHEN 'a' THEN initcap(word('land' || school % 30)) END AS country, CASE list WHEN 'a' THEN initcap(word('part' || school % 150)) || ' Province' END AS province,
    upper(left(word('land' || school % 30), 2)) AS country_code
FROM generate_series(1, 1500) AS school, (VALUES ('a'), ('b')) AS lists (list) WHERE pick('in' || school || list, 10) < 8;
CREATE VIEW things AS SELECT id, thing FROM schools;
SELECT * FROM pairs_of('SELECT id, source, name, country, province, country_code FROM schools');
SELECT c ->> 'column' AS says_nothing
FROM train_model('SELECT id, source, name, country, province, country_code FROM schools', suggest('SELECT id, source, name, country, province, country_code FROM schools')) AS model,
    jsonb_array_elements(model -> 'comparisons') AS c
WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(c -> 'trained') AS l WHERE (l ->> 'weight')::float8 <> 0) ORDER BY 1;
-- Of a name alone more alike is more likely, by a bit at least: which of a record's partners is taken hangs on nothing else.
SELECT count(*) FILTER (WHERE weight >= before) AS no_less, min(before - weight) >= 0.99 AS by_a_bit
FROM (SELECT (l ->> 'weight')::float8 AS weight, lag((l ->> 'weight')::float8) OVER (ORDER BY nth) AS before
    FROM train_model('SELECT id, source, name FROM schools', suggest('SELECT id, source, name FROM schools')) AS model,
        jsonb_array_elements(model -> 'comparisons' -> 0 -> 'trained') WITH ORDINALITY AS t (l, nth)) AS levels;
DROP VIEW things;

-- ---- a record may have a partner in each of three other lists: none is too many, though those of two lists weigh the most ----
CREATE TABLE lands AS
SELECT row_number() OVER (ORDER BY md5('r' || land || list))::int AS id, 'list ' || list AS source, land AS thing,
    CASE WHEN land % 12 = 0 AND list = 4 THEN 'Republic of ' ELSE '' END || initcap(word('l' || land)) || CASE WHEN pick('i' || land, 6) = 0 THEN ' Islands' ELSE '' END AS name,
    CASE WHEN list <> 3 THEN (ARRAY['Republic of ', 'Kingdom of ', 'State of ', 'Federation of '])[1 + pick('g' || land, 4)] || initcap(word('l' || land)) || ' and ' || initcap(word('m' || land)) END AS official_name,
    CASE WHEN list < 3 THEN initcap(word('cap' || land)) END AS capital,
    CASE WHEN list < 3 THEN (ARRAY['Africa', 'Americas', 'Asia', 'Europe', 'Oceania'])[1 + pick('reg' || land, 5)] END AS region
FROM generate_series(1, 250) AS land, generate_series(1, 4) AS list;
CREATE VIEW things AS SELECT id, thing FROM lands;
SELECT * FROM pairs_of('SELECT id, source, name, official_name, capital, region FROM lands');
SELECT facts LIKE '% 0.0 bits less' AS prior_stays FROM last_run() WHERE phase = 'rivals';
DROP VIEW things;

-- ---- names of persons that are all there is: words that may be initials, and pieces weighed by how rare they are ----
CREATE TABLE painters AS
SELECT row_number() OVER (ORDER BY md5('r' || painter || copy))::int AS id, painter AS thing,
    initcap(word('f' || painter / 2) || word('h' || painter / 3)) || ', '
        || CASE WHEN copy > 0 AND pick('i' || painter || copy, 3) = 0 THEN left(given, 1) || '.' ELSE given END
        || CASE WHEN pick('m' || painter || copy, 3) = 0 THEN ' ' || upper(left(word('mid' || painter), 1)) || '.' ELSE '' END AS name
FROM generate_series(1, 2500) AS painter, generate_series(0, 1) AS copy,
    LATERAL (SELECT (ARRAY['William', 'Mary', 'Peter', 'Anna', 'James', 'Elizabeth', 'John', 'Margaret', 'Henry', 'Alice', 'Thomas', 'Ruth', 'George', 'Helen', 'Paul', 'Martha'])[1 + pick('g' || painter, 16)] AS given) AS g
WHERE copy = 0 OR pick('c' || painter, 4) = 0;
CREATE VIEW things AS SELECT id, thing FROM painters;
SELECT * FROM pairs_of('SELECT id, name FROM painters');
SELECT c ->> 'method' AS method, coalesce(c ->> 'column', c ->> 'name') AS of_what FROM jsonb_array_elements(suggest('SELECT id, name FROM painters') -> 'comparisons') AS c;
DROP VIEW things;
-- ---- what one list alone says is no part of the text of a whole record, unless the others say it within theirs: who owns a thing, but not who made it ----
CREATE TABLE machines AS
SELECT row_number() OVER (ORDER BY md5('r' || machine || list))::int AS id, list AS source,
    concat_ws(' ', CASE list WHEN 'a' THEN maker END, word('t' || machine), word('u' || machine), word('v' || machine % 50), (ARRAY['mill', 'press', 'lathe', 'drill', 'saw'])[1 + pick('k' || machine, 5)],
        'with', word('w' || machine % 70), word('x' || machine % 90)) AS title,
    concat_ws(' ', 'for', word('y' || machine), 'and', word('z' || machine), 'by', word('p' || machine % 80), word('q' || machine % 60)) AS purpose,
    CASE list WHEN 'a' THEN initcap(word('owner' || machine % 200) || word('owns' || machine % 200)) || ' Holding of ' || initcap(word('town' || machine % 90) || 'holm') END AS owner,
    CASE list WHEN 'b' THEN maker END AS maker
FROM generate_series(1, 400) AS machine, (VALUES ('a'), ('b')) AS lists (list), LATERAL (SELECT initcap(word('maker' || machine % 40) || word('makes' || machine % 40)) AS maker) AS m
WHERE pick('in' || machine || list, 10) < 8;
SELECT c ->> 'expression' AS whole FROM jsonb_array_elements(suggest('SELECT id, source, title, purpose, owner, maker FROM machines') -> 'comparisons') AS c WHERE c ->> 'name' = 'whole record';
SELECT c ->> 'expression' AS whole_without_sources FROM jsonb_array_elements(suggest('SELECT id, title, purpose, owner, maker FROM machines') -> 'comparisons') AS c WHERE c ->> 'name' = 'whole record';
-- Arrays, too, of which there are more than of what they are made of.
SELECT c ->> 'expression' AS whole_with_arrays FROM jsonb_array_elements(suggest($$SELECT id, source, title, purpose,
    CASE source WHEN 'b' THEN ARRAY[split_part(title, ' ', 6), split_part(title, ' ', 7)] END AS parts,
    CASE source WHEN 'a' THEN string_to_array(owner, ' Holding of ') END AS owners FROM machines$$) -> 'comparisons') AS c WHERE c ->> 'name' = 'whole record';

-- ---- one list has a person's name whole, another in parts: words of a name, however many letters others share with it ----
CREATE TABLE players AS
SELECT row_number() OVER (ORDER BY md5('r' || player || list))::int AS id, list AS source, player AS thing,
    CASE list WHEN 'a' THEN given || ' ' || family END AS name,
    CASE list WHEN 'b' THEN given || CASE WHEN pick('m' || player, 6) = 0 THEN ' ' || initcap(word('m' || player)) ELSE '' END END AS first_name, CASE list WHEN 'b' THEN family END AS last_name,
    1950 + pick('born' || player, 50) AS birth_year
FROM generate_series(1, 3000) AS player, (VALUES ('a'), ('b')) AS lists (list),
    LATERAL (SELECT (ARRAY['William', 'Mary', 'Peter', 'Anna', 'James', 'Elizabeth', 'John', 'Margaret', 'Henry', 'Alice', 'Thomas', 'Ruth', 'George', 'Helen', 'Paul', 'Martha', 'Daniel', 'Laura', 'Mark', 'Susan'])[1 + pick('g' || player, 20)] AS given,
        initcap(word('f' || pick('fam' || player, 1500)) || word('h' || pick('fam' || player, 1500))) AS family) AS n
WHERE pick('in' || player || list, 10) < 6;
CREATE VIEW things AS SELECT id, thing FROM players;
SELECT c ->> 'method' AS method, coalesce(c ->> 'column', c ->> 'name') AS of_what FROM jsonb_array_elements(suggest('SELECT id, source, name, first_name, last_name, birth_year FROM players') -> 'comparisons') AS c;
SELECT * FROM pairs_of('SELECT id, source, name, first_name, last_name FROM players');
-- Where there is nothing else, the parts say nothing that the whole does not.
SELECT c ->> 'method' AS method, c ->> 'name' AS of_what FROM jsonb_array_elements(suggest('SELECT id, source, name, first_name, last_name FROM players') -> 'comparisons') AS c;
DROP VIEW things;

DROP TABLE schools, lands, painters, machines, players;
DROP FUNCTION pairs_of(text), word(text), pick(text, int);
