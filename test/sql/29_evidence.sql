-- Few persons: what a comparison is of says what it weighs until there are matches that teach it.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA few_persons;
SET search_path = few_persons, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up

-- Forty homes of three people with one address and one telephone, half of the people with a second record, and
-- one e-mail address of an office that thirty people have.
CREATE TABLE people AS
SELECT row_number() OVER (ORDER BY md5('r' || person || copy))::int AS id, person AS thing,
    (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Catherine', 'Thomas', 'Jennifer', 'Charles'])[1 + (home * 5 + person % 3 * 4) % 12]
        || ' ' || (ARRAY['Kellner', 'Oduya', 'Brandvold', 'Szymanski', 'Quintero', 'Halloran', 'Marchetti', 'Tanaka', 'Lindgren', 'Abernathy'])[1 + home % 10]
        || (ARRAY['', 'son', 'ov', 'etti'])[1 + home / 10] AS name,
    CASE WHEN pick('nb' || person || copy, 4) > 0 THEN date '1940-01-01' + pick('born' || person, 20000) END AS born,
    1 + pick('no' || home, 90) || ' ' || (ARRAY['Mill', 'Church', 'Station', 'Garden', 'Harbour'])[1 + home % 5] || ' Lane' AS street,
    CASE WHEN pick('np' || person || copy, 3) > 0 THEN '030 ' || 1000000 + pick('p' || home, 9000000) END AS phone,
    CASE WHEN person <= 30 THEN 'office@example.org' WHEN pick('ne' || person || copy, 3) = 0 THEN 'p' || person || '@example.org' END AS email,
    CASE WHEN pick('nl' || person || copy, 5) < 2 THEN (10000000 + pick('l' || person, 90000000))::text END AS licence,
    date '2020-01-01' + pick('seen' || person || copy, 300) AS seen,
    (ARRAY['new', 'active', 'left'])[1 + pick('s' || person || copy, 3)] AS status
FROM generate_series(0, 119) AS person, generate_series(0, 1) AS copy, LATERAL (SELECT person / 3 AS home) AS h
WHERE copy = 0 OR pick('c' || person, 2) = 0;
SELECT count(*), count(DISTINCT thing) FROM people;

-- Dates that lie in one year are no birth dates; numbers of eight digits are identifiers; a shared address is weak.
CREATE TABLE spec AS SELECT suggest('SELECT id, name, born, street, phone, email, licence, seen, status FROM people') AS spec;
SELECT coalesce(c ->> 'column', c ->> 'name') AS compared, c ->> 'method' AS method, c ->> 'evidence' AS evidence, c -> 'term_frequency' AS term_frequency
FROM spec, jsonb_array_elements(spec -> 'comparisons') AS c WHERE c ? 'evidence' OR c ->> 'column' IN ('seen', 'status') ORDER BY 1;

-- Families stay apart, and second records are found; without evidence the threshold rises until they do (23_few_in_common).
CREATE FUNCTION quality(spec jsonb) RETURNS TABLE (precise boolean, complete boolean) LANGUAGE sql AS $$
    WITH c AS MATERIALIZED (SELECT * FROM mastering.dedupe_as(NULL::int, 'SELECT id, name, born, street, phone, email, licence, seen, status FROM people', spec)),
        t AS (SELECT * FROM people JOIN c USING (id))
    SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.8 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id),
        count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.9 * count(*) FILTER (WHERE a.thing = b.thing)
    FROM t AS a JOIN t AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id) $$;
SELECT q.* FROM spec, quality(spec) AS q;
SELECT DISTINCT phase FROM last_run() WHERE phase = 'expected';
SELECT q.* FROM spec, quality(jsonb_set(spec, '{comparisons}', (SELECT jsonb_agg(c - 'evidence') FROM jsonb_array_elements(spec -> 'comparisons') AS c))) AS q;
SELECT DISTINCT phase FROM last_run() WHERE phase = 'expected';

-- Two records that have nothing but one whole name are one person's where records are few; two with nothing but one telephone are not.
SELECT id > 9100 AS telephone_alone, count(DISTINCT cluster_id) AS clusters FROM dedupe_as(NULL::int, $$
    SELECT id, name, born, street, phone, email, licence, seen, status FROM people AS p
    WHERE thing % 6 = 0 OR NOT EXISTS (SELECT FROM people AS f WHERE f.thing = p.thing AND f.id < p.id)
    UNION ALL SELECT 9000 + g, 'Aurelia Nightingale', NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM generate_series(1, 2) AS g
    UNION ALL SELECT 9100 + g, NULL, NULL, NULL, '040 7654321', NULL, NULL, NULL, NULL FROM generate_series(1, 2) AS g $$)
WHERE id > 9000 GROUP BY 1 ORDER BY 1;

-- The model says it too, its levels stay in order, and it is the same in any order of the records.
CREATE TABLE model AS SELECT train_model('SELECT * FROM people', spec) AS model FROM spec;
SELECT c ->> 'name' AS compared, c ->> 'evidence' AS evidence,
    (c #>> '{trained,0,weight}')::float > 0 AS agree, (c #>> '{trained,-1,weight}')::float < -1 AS differ
FROM model, jsonb_array_elements(model -> 'comparisons') AS c WHERE c ? 'evidence' ORDER BY 1;
SELECT model = train_model('SELECT * FROM people ORDER BY md5(id::text)', spec) AS same FROM model, spec;

-- EM begins again within the families, so what it learns counts. Nearly all of it does where there are many.
SELECT DISTINCT substring(facts FROM '([0-9]+) %')::int < 50 AS mostly_expected FROM last_run() WHERE phase = 'expected';
CREATE TABLE many AS SELECT id + 1000 * g AS id, name || CASE WHEN g > 0 THEN chr(64 + g / 26 % 26 + 1) || chr(97 + g % 26) ELSE '' END AS name, born + g AS born,
    g || street AS street, phone || g AS phone, g || email AS email, licence::int + g AS licence FROM people, generate_series(0, 29) AS g;
SELECT count(*) > 0 AS trained FROM train_model('SELECT * FROM many', suggest('SELECT * FROM many')) AS m, jsonb_array_elements(m -> 'comparisons') AS c WHERE c ? 'evidence';
SELECT substring(facts FROM '([0-9]+) %')::int > 90 AS mostly_learnt FROM last_run() WHERE phase = 'expected';

-- Things that are no persons, or persons with nothing else that tells them apart: no evidence.
SELECT count(*) FROM jsonb_array_elements(suggest('SELECT id, street AS name, seen, status FROM people') -> 'comparisons') AS c WHERE c ? 'evidence';
SELECT count(*) FROM jsonb_array_elements(suggest('SELECT id, name, street, seen FROM people') -> 'comparisons') AS c WHERE c ? 'evidence';

-- One record, none, and what is no evidence.
SELECT count(*) FROM spec, dedupe('SELECT * FROM people WHERE id = 1', spec);
SELECT count(*) FROM spec, dedupe('SELECT * FROM people WHERE false', spec);
SELECT train_model('SELECT * FROM people', '{"blocking": ["name"], "comparisons": [{"column": "name", "evidence": "nose"}]}');
-- Places: three at one address, half of them with one telephone, and one of ninety twice. By what is learnt alone the address is the place.
CREATE TABLE places AS
SELECT row_number() OVER (ORDER BY md5('r' || n || copy))::int AS id, n AS thing,
    initcap(CASE copy WHEN 1 THEN overlay(word('a' || n) PLACING 'x' FROM 4 FOR 0) ELSE word('a' || n) END || ' ' || word('b' || pick('b' || n, 90))) AS name,
    1 + pick('h' || n / 3, 300) || ' ' || initcap(word('s' || pick('s' || n / 3, 60))) || ' ' || (ARRAY['Road', 'Street', 'Avenue'])[1 + pick('k' || n / 3, 3)] || CASE copy WHEN 1 THEN ' West' ELSE '' END AS address,
    initcap(word('t' || pick('t' || n / 3, 6))) AS city, '0' || 201000000 + pick('p' || CASE pick('o' || n, 2) WHEN 0 THEN n / 3 ELSE n END, 90000000) AS phone,
    (ARRAY['Cafe', 'Bakery', 'School', 'Bank', 'Chemist', 'Books'])[1 + pick('c' || n, 6)] AS type
FROM generate_series(1, 900) AS n, generate_series(0, 1) AS copy WHERE copy = 0 OR n % 90 = 0;
UPDATE spec SET spec = suggest('SELECT id, name, address, city, phone, type FROM places');
SELECT coalesce(c ->> 'column', c ->> 'name') AS compared, c ->> 'evidence' AS evidence FROM spec, jsonb_array_elements(spec -> 'comparisons') AS c WHERE c ? 'evidence' ORDER BY 1;
CREATE FUNCTION found_places(spec jsonb) RETURNS TABLE (precise boolean, complete boolean) LANGUAGE sql AS $$
    WITH t AS MATERIALIZED (SELECT r.id, r.thing, c.cluster_id FROM few_persons.places AS r JOIN mastering.dedupe_as(NULL::int, 'SELECT id, name, address, city, phone, type FROM places', spec) AS c USING (id))
    SELECT count(*) FILTER (WHERE a.thing = b.thing) > 0.8 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id),
        count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.8 * count(*) FILTER (WHERE a.thing = b.thing)
    FROM t AS a JOIN t AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id) $$;
SELECT q.* FROM spec, found_places(spec) AS q;
SELECT q.* FROM spec, found_places(jsonb_set(spec, '{comparisons}', (SELECT jsonb_agg(c - 'evidence') FROM jsonb_array_elements(spec -> 'comparisons') AS c))) AS q;
-- One source says when people were born, the other when they joined: what no pair has on both sides is no sign of families, and what there is to learn is learnt.
CREATE TABLE joined AS SELECT n || s AS id, s AS source, g.name || ' ' || chr(65 + n % 23) || f.name AS name, CASE WHEN s = 'a' THEN (date '1940-01-01' + n * 37 % 20000)::text END AS born, CASE WHEN s = 'b' THEN (date '1990-01-01' + n * 53 % 9000)::text END AS joined,
    'x' || n % 50 AS job
FROM generate_series(1, 240) AS n CROSS JOIN unnest('{a,b}'::text[]) AS s
JOIN LATERAL (SELECT (ARRAY['John','Mary','Peter','Susan','Paul','Anna','James','Laura','Frank','Alice','Henry','Emma'])[1 + n * 7 % 12] AS name) AS g ON true
JOIN LATERAL (SELECT (ARRAY['arlow','entley','ooper','rington','eller','ockwood','ichols','ayton','ingate','utton','almer'])[1 + n * 5 % 11] AS name) AS f ON true
WHERE s = 'a' OR n % 3 > 0;
SELECT suggest('SELECT * FROM joined') AS s \gset
SELECT c ->> 'column' AS compared, c ->> 'evidence' AS evidence FROM jsonb_array_elements(:'s'::jsonb -> 'comparisons') AS c;
SELECT train_model('SELECT * FROM joined', :'s') IS NOT NULL AS trained;
SELECT facts FROM last_run() WHERE phase = 'expected';
DROP SCHEMA few_persons CASCADE;
