-- How rare an equal value is: learnt with the rest, so that two records with a rare surname are one person where two with a
-- common one are not. 1,500 people of two records; a third of them share five surnames, the others have one of 500.
SET client_min_messages = warning;
CREATE TABLE rare_people AS
SELECT p * 2 + copy AS id, p AS person,
    CASE WHEN p % 3 = 0 THEN 'common' || p % 5 ELSE 'rarely' || (p * 7919) % 500 END AS surname,
    CASE WHEN copy = 1 AND p % 4 = 0 THEN NULL ELSE 'given' || (p * 31) % 40 END AS given,
    CASE WHEN copy = 1 AND p % 7 = 0 THEN 'elsewhere' || p % 9 ELSE 'town' || (p * 17) % 30 END AS town
FROM generate_series(1, 1500) AS p CROSS JOIN generate_series(0, 1) AS copy;
\set query 'SELECT id, surname, given, town FROM rare_people'
\set spec '{"blocking": ["surname", ["given", "town"]], "comparisons": [{"column": "surname", "method": "exact", "term_frequency": true}, {"column": "given", "method": "exact", "term_frequency": true}, {"column": "town", "method": "exact", "term_frequency": true}]}'
SELECT mastering.train_model(:'query', :'spec') AS model \gset
-- The scale is what frequencies add: much for surnames; nothing for given names, which are all about as common.
SELECT c ->> 'column' AS column, (c #>> '{frequencies,scale}')::float8 > 0.3 AS much, (c #>> '{frequencies,scale}')::float8 < 0.1 AS nothing
FROM jsonb_array_elements(:'model'::jsonb -> 'comparisons') AS c WHERE c ->> 'column' IN ('surname', 'given') ORDER BY 1;
-- The same surname and town, no given name: with a rare surname more than with a common one.
SELECT rare.weight > common.weight + 2 AS rare_weighs_more
FROM (SELECT sum(weight) AS weight FROM mastering.explain_pair(:'query', :'model', '8', '9') WHERE comparison = 'surname') AS rare,
    (SELECT sum(weight) AS weight FROM mastering.explain_pair(:'query', :'model', '24', '25') WHERE comparison = 'surname') AS common;
-- What a pair weighs does not depend on who else is there.
SELECT count(*) AS pairs, count(*) FILTER (WHERE w.weight <> p.weight) AS others
FROM (SELECT id_a, id_b, weight FROM mastering.match_pairs(:'query', :'model', threshold => 0.5) WHERE id_a::integer < 200 AND id_b::integer < 200) AS w
JOIN mastering.match_pairs('SELECT id, surname, given, town FROM rare_people WHERE id < 200', :'model', threshold => 0.5) AS p USING (id_a, id_b);
-- Fewer than a thousand records teach no such thing.
SELECT mastering.train_model('SELECT id, surname, given, town FROM rare_people WHERE id < 800', :'spec') AS small \gset
SELECT (c #>> '{frequencies,scale}')::float8 <= 1 AS as_before FROM jsonb_array_elements(:'small'::jsonb -> 'comparisons') AS c WHERE c ->> 'column' = 'surname';
DROP TABLE rare_people;
-- Texts that several records have are copies where ever fewer of them have one more. Names that things of all kinds have
-- are too many for that, and are no copies: 1,200 titles, 200 of them twice and 20 three times, and three rubrics.
CREATE TABLE rubrics AS
SELECT row_number() OVER (ORDER BY md5(thing || ' ' || copy)) AS id, thing, title
FROM (SELECT n AS thing, copy, (SELECT string_agg(translate(substr(md5('t' || pg_catalog.hashint4(n * 8 + i) % 700), 1, 6), '0123456789', 'ghijklmnop'), ' ' ORDER BY i) FROM generate_series(1, 5) AS i) AS title
    FROM generate_series(1, 1200) AS n, generate_series(1, 3) AS copy WHERE copy = 1 OR copy = 2 AND n <= 220 OR copy = 3 AND n <= 20
    UNION ALL SELECT 2000 + n, 1, (ARRAY['letters to the editor', 'books received and noted', 'programme committee and sponsors'])[1 + n % 3] FROM generate_series(1, 60) AS n) AS made;
SELECT mastering.train_model('SELECT id, title FROM rubrics', mastering.suggest('SELECT id, title FROM rubrics')) AS titles \gset
SELECT key FROM jsonb_array_elements(:'titles'::jsonb -> 'comparisons') AS c, jsonb_each(c #> '{frequencies,values}') ORDER BY 1;
WITH of AS MATERIALIZED (SELECT id, thing, cluster_id FROM rubrics JOIN mastering.dedupe_as(NULL::bigint, 'SELECT id, title FROM rubrics') USING (id))
SELECT count(*) FILTER (WHERE a.thing = b.thing) AS copies_together, count(*) FILTER (WHERE a.thing <> b.thing) AS others_together
FROM of AS a JOIN of AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;
DROP TABLE rubrics;
