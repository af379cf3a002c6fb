-- Persons of whom little is known: nothing but a given name in a home, contacts with gaps, a name and one thing more,
-- a name alone.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA homes;
SET search_path = homes, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips

CREATE TABLE persons AS
SELECT home, home * 5 + member AS thing,
    (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Catherine', 'Thomas', 'Jennifer', 'Charles', 'Linda', 'George', 'Barbara',
        'Daniel', 'Nancy', 'Matthew', 'Karen', 'Anthony', 'Betty', 'Steven', 'Sandra', 'Andrew', 'Ashley', 'Joshua', 'Donna', 'Kenneth', 'Emily', 'Brian', 'Carol', 'Kevin'])[1 + skewed('g' || home || member, 32)] AS given,
    (ARRAY['Kell', 'Od', 'Brand', 'Szym', 'Quint', 'Hall', 'March', 'Tan', 'Lind', 'Aber', 'Wolf', 'Stern', 'Gold', 'Berg', 'Rosen', 'Fair', 'Whit', 'Nor', 'Sut', 'Ash'])[1 + skewed('a' || home, 20)]
        || (ARRAY['son', 'ner', 'ford', 'ley', 'man', 'ham', 'well', 'by', 'stead', 'worth', 'field', 'ton', 'den', 'more', 'wick'])[1 + skewed('b' || home, 15)]
        || (ARRAY['', 's', 'e', 'er', 'a'])[1 + skewed('c' || home, 5)] AS surname,
    1 + pick('n' || home, 190) || ' ' || (ARRAY['Mill', 'Church', 'Station', 'Garden', 'Harbour', 'Park', 'Queen', 'Bridge', 'Castle', 'Forest'])[1 + pick('t' || home, 10)] || ' '
        || (ARRAY['Lane', 'Road', 'Street', 'Avenue', 'Drive'])[1 + pick('u' || home, 5)] AS street,
    (10000 + 37 * skewed('z' || home, 300))::text AS postcode, '0' || 200000000 + pick('f' || home, 90000000) AS phone, '07' || 20000000 + pick('m' || home || member, 70000000) AS mobile
FROM generate_series(1, 600) AS home, generate_series(0, 4) AS member WHERE member <= pick('k' || home, 4);
CREATE TABLE records AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, thing, home, slip(given, 'g' || thing || copy, 8) AS given, slip(surname, 'n' || thing || copy, 8) AS surname,
    slip(street, 't' || thing || copy, 8) AS street, slip(postcode, 'z' || thing || copy, 4) AS postcode, phone, slip(mobile, 'm' || thing || copy, 5) AS mobile,
    lower(given || '.' || surname) || pick('e' || thing, 90) || '@example.' || (ARRAY['org', 'com', 'net'])[1 + pick('d' || thing, 3)] AS email
FROM persons, generate_series(0, 2) AS copy WHERE copy = 0 OR pick('c' || thing, 10) < 4 AND copy <= 1 + pick('cc' || thing, 2);

CREATE FUNCTION quality(query text, bound float DEFAULT 0.75) RETURNS TABLE (precise boolean, complete boolean) LANGUAGE sql AS $$
    WITH t AS MATERIALIZED (SELECT r.thing, c.cluster_id FROM homes.records AS r JOIN mastering.dedupe_as(NULL::int, query) AS c USING (id)),
        n AS (SELECT (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM t GROUP BY cluster_id) AS g) AS found, (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM t GROUP BY thing) AS g) AS wanted,
            (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM t GROUP BY cluster_id, thing) AS g) AS shared)
    SELECT shared > bound * found, shared > bound * wanted FROM n $$;

-- In a home only given names tell people apart: any share of them could be one person, if it were not known that a person's hardly differ.
SELECT q.* FROM quality('SELECT id, given, surname, street, postcode, phone FROM records') AS q;
SELECT count(*) AS groups, count(*) FILTER (WHERE facts LIKE '% within %') AS within FROM last_run() WHERE phase = 'groups';

-- So it is where the names are of another language.
SELECT q.* FROM quality($$SELECT id, slip((ARRAY['Ahmet', 'Fatma', 'Mustafa', 'Emine', 'Huseyin', 'Hatice', 'Ramazan', 'Zeynep', 'Osman', 'Rajesh', 'Sunita', 'Vikram', 'Anjali', 'Piotr', 'Agnieszka', 'Zbigniew', 'Malgorzata', 'Hiroshi', 'Kazuko',
    'Takeshi', 'Michiko', 'Kwame', 'Abena', 'Chinedu', 'Ngozi', 'Xiaoming', 'Jianguo', 'Dmitry', 'Svetlana', 'Giorgos', 'Katerina', 'Bjorn'])[1 + skewed('o' || thing, 32)], 'o' || id, 8) AS given, surname, street, postcode, phone FROM records$$) AS q;

-- A quarter is missing everywhere: e-mail or telephone is all that two records have in common. EM's matches do not differ in names, so what it knows counts.
SELECT q.* FROM quality($$SELECT id, nullif(concat_ws(' ', CASE WHEN pick('x' || id, 4) > 0 THEN given END, CASE WHEN pick('w' || id, 4) > 0 THEN surname END), '') AS name, CASE WHEN pick('y' || id, 4) > 0 THEN email END AS email,
    CASE WHEN pick('z' || id, 4) > 0 THEN mobile END AS phone FROM records$$) AS q;
SELECT substring(facts FROM '([0-9]+) %')::int > 90 AS mostly_learnt FROM last_run() WHERE phase = 'expected';

-- Within one postcode nothing but the name is left to compare: how alike strangers' names are is known all the same.
SELECT q.* FROM quality($$SELECT id, given || ' ' || surname AS name, CASE WHEN pick('x' || id, 9) > 0 THEN postcode END AS postcode FROM records WHERE thing % 5 = 0$$, 0.9) AS q;

-- Names alone: none of the nearest neighbours is as far away as most strangers are. Only equal names are taken for one person.
SELECT q.precise FROM quality($$SELECT id, given || ' ' || surname || ' ' || chr(65 + thing % 26) AS name FROM records$$) AS q;

-- Two labels are too few to learn from: the model is the one without them.
\set named '{"blocking": ["postcode", {"keys": "name", "top_k": 5}], "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.95, 0.9, 0.8]}]}'
CREATE VIEW names AS SELECT id, given || ' ' || surname AS name, postcode FROM records;
CREATE TABLE two AS SELECT a.id AS id_a, b.id AS id_b, a.thing = b.thing AS is_match FROM records AS a JOIN records AS b ON a.home = b.home AND a.id < b.id ORDER BY a.thing = b.thing, a.id, b.id LIMIT 2;
CREATE FUNCTION shares(model jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(round((t ->> 'm')::numeric, 6) || ' ' || round((t ->> 'u')::numeric, 6), ', ') FROM jsonb_array_elements(model #> '{comparisons,0,trained}') AS t $$;
SELECT shares(train_model('SELECT * FROM names', :'named')) AS without \gset
SELECT shares(train_model('SELECT * FROM names', :'named', 'SELECT * FROM two')) = :'without' AS the_same, :'without' LIKE '0.75%' AS never_learnt;

-- Few copies among families: EM takes people of one home for one person and relatives for a further kind, which explains the pairs
-- best; but one person hardly has two given names and two dates of birth.
CREATE VIEW few AS
SELECT id, thing, slip(given, 'x' || id, 8) AS given, slip(surname, 'y' || id, 8) AS surname, CASE WHEN pick('b' || id, 9) > 0 THEN date '1930-01-01' + pick('b' || thing, 25000) + CASE WHEN pick('bs' || id, 9) = 0 THEN 10 ELSE 0 END END AS born,
    slip(street, 's' || id, 8) AS street, slip(postcode, 'z' || id, 2) AS postcode, slip('City' || left(postcode, 3), 'c' || id, 2) AS city, CASE WHEN pick('t' || id, 3) > 0 THEN phone END AS phone,
    CASE WHEN pick('e' || id, 3) > 0 THEN CASE WHEN pick('o' || id, 2) > 0 THEN 'x' || id || '@example.org' ELSE email END END AS email, row_number() OVER (PARTITION BY thing ORDER BY id) AS copy
FROM records WHERE home % 2 = 0 OR thing % 5 = 0;
SELECT q.* FROM quality($$SELECT id, given, surname, born, street, postcode, city, phone, email FROM few WHERE copy = 1 OR copy = 2 AND thing % 5 = 0$$) AS q;
SELECT count(*) AS families FROM last_run() WHERE phase = 'groups' AND facts ~ '-[0-9.]+ bits better';

-- Whom a few records name in a column is not what the records are of: nothing is said of what their attributes mean.
CREATE VIEW places AS SELECT id, surname || ' ' || split_part(street, ' ', 2) || ' School' AS site, street, phone, CASE WHEN thing % 4 = 0 THEN given || ' ' || surname END AS director, email FROM records WHERE thing % 5 = 0;
SELECT count(c ->> 'evidence') AS said FROM jsonb_array_elements(suggest('SELECT * FROM places') -> 'comparisons') AS c;
SELECT count(c ->> 'evidence') > 2 AS said FROM jsonb_array_elements(suggest('SELECT id, street, phone, given || '' '' || surname AS director, email FROM records WHERE thing % 5 = 0') -> 'comparisons') AS c;
DROP SCHEMA homes CASCADE;
