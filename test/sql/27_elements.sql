-- Multi-valued fields: arrays, jsonb arrays and texts with a separator, compared by their elements.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE FUNCTION elements_pick(seed int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT (abs(hashint4(seed)::bigint) % n)::int $$;
-- 1,500 records of 750 persons: each record has some of the person's three addresses, one of them misspelt now and
-- then, an address that many share, and some numbers.
CREATE TABLE elements_record AS
SELECT r AS id, thing, 'name ' || elements_pick(thing * 3, 400) AS name,
    CASE WHEN elements_pick(r * 5, 12) = 0 THEN NULL WHEN elements_pick(r * 5, 12) = 1 THEN '{}'::text[] ELSE array_remove(ARRAY[
        CASE WHEN elements_pick(r * 7, 2) = 0 THEN 'user' || thing || '@Example.org' END,
        CASE WHEN elements_pick(r * 11, 2) = 0 THEN 'u.' || thing || CASE WHEN elements_pick(r * 13, 5) = 0 THEN 'x' ELSE '' END || E'@m\u00fcller.de' END,
        CASE WHEN elements_pick(r * 17, 4) = 0 THEN 'info@example.org' END,
        CASE WHEN elements_pick(r * 19, 9) = 0 THEN E'\u0416' || thing END,
        NULL], NULL) END AS emails,
    CASE WHEN elements_pick(r * 23, 9) = 0 THEN NULL ELSE ARRAY[thing * 7, elements_pick(r, 50), 1] END AS numbers
FROM (SELECT r, r % 750 AS thing FROM generate_series(1, 1500) AS r) AS records;

\set spec '{"blocking": ["name", {"keys": "emails", "normalize": "text"}], "comparisons": ["name", {"column": "emails", "elements": "best", "levels": [1, 0.95, 0.9], "term_frequency": true}, {"column": "numbers", "elements": "set", "levels": [0.6, 0.3]}]}'
\set query 'SELECT id, name, emails, numbers FROM elements_record'
SELECT mastering.train_model(:'query', :'spec') AS model \gset
SELECT c.value ->> 'name' AS comparison, c.value ->> 'method' AS method, c.value ->> 'elements' AS elements, c.value ->> 'measure' AS measure, l.value ->> 'level' AS level, sign((l.value ->> 'weight')::float8) AS speaks
FROM jsonb_array_elements(:'model'::jsonb -> 'comparisons') AS c, jsonb_array_elements(c.value -> 'trained') WITH ORDINALITY AS l
ORDER BY c.value ->> 'name', l.ordinality;
-- An address that many share is known by name.
SELECT k.key, round(k.value::numeric, 3) AS share FROM jsonb_array_elements(:'model'::jsonb -> 'comparisons') AS c, jsonb_each_text(c.value -> 'frequencies' -> 'values') AS k
WHERE c.value ->> 'name' = 'emails' AND k.value::float8 > 0.1;


-- An oracle in SQL: the level of each pair from its definition, by the elements as they are normalised.
CREATE TABLE elements_pair AS SELECT id_a, id_b, levels FROM mastering.match_pairs(:'query', :'model', threshold => 0.000001) WHERE levels[3] <> 4 OR elements_pick(id_a::int + id_b::int, 20) = 0;
CREATE TABLE elements_each AS SELECT DISTINCT id, mastering.normalize_text(e) AS element FROM elements_record, unnest(emails) AS e WHERE mastering.normalize_text(e) <> '';
CREATE TABLE elements_oracle AS
SELECT p.id_a, p.id_b, p.levels,
    CASE WHEN x.e IS NULL OR y.e IS NULL THEN 0 WHEN x.e = y.e THEN 1 WHEN x.e && y.e THEN 2 WHEN best.s >= 0.95 THEN 3 WHEN best.s >= 0.9 THEN 4 ELSE 5 END AS emails,
    CASE WHEN a.numbers IS NULL OR b.numbers IS NULL THEN 0 WHEN sets.jaccard = 1 THEN 1 WHEN sets.jaccard >= 0.6 THEN 2 WHEN sets.jaccard >= 0.3 THEN 3 ELSE 4 END AS numbers
FROM elements_pair AS p JOIN elements_record AS a ON a.id = p.id_a::int JOIN elements_record AS b ON b.id = p.id_b::int
LEFT JOIN (SELECT id, array_agg(element ORDER BY element) AS e FROM elements_each GROUP BY id) AS x ON x.id = a.id
LEFT JOIN (SELECT id, array_agg(element ORDER BY element) AS e FROM elements_each GROUP BY id) AS y ON y.id = b.id
CROSS JOIN LATERAL (SELECT max(mastering.jaro_winkler_similarity(i, j)) AS s FROM unnest(x.e) AS i, unnest(y.e) AS j) AS best
CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM (SELECT unnest(a.numbers) INTERSECT SELECT unnest(b.numbers)) AS i)::float8 / nullif((SELECT count(*) FROM (SELECT unnest(a.numbers) UNION SELECT unnest(b.numbers)) AS u), 0) AS jaccard) AS sets;
SELECT count(*) > 700 AS pairs, count(*) FILTER (WHERE levels[2] <> emails OR levels[3] <> numbers) AS other, count(DISTINCT emails) AS levels_emails, count(DISTINCT numbers) AS levels_numbers FROM elements_oracle;
