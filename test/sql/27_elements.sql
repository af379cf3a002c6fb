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

-- What explain_pair shows: the two elements that are most alike first, and what a rare one adds.
CREATE TABLE elements_few (id int, name text, emails text[]);
INSERT INTO elements_few VALUES (1, 'name 1', '{zoe@a.org,info@example.org,user1@example.org}'), (2, 'name 1', '{b@b.org,user1@Example.ORG}'), (3, 'name 1', '{zoe@a.orgx}'), (4, 'name 1', '{info@example.org}'), (5, 'name 1', '{NULL,"  "}'), (6, NULL, '{}');
SELECT b.id, e.value_a, e.value_b, round(e.similarity::numeric, 2) AS similarity, e.level, sign(e.weight) AS speaks
FROM elements_few AS b CROSS JOIN LATERAL mastering.explain_pair('SELECT *, ''{1}''::int[] AS numbers FROM elements_few', :'model', '1', b.id::text) AS e WHERE b.id BETWEEN 2 AND 5 AND e.comparison = 'emails' ORDER BY b.id, e.level = 'term frequency';
SELECT (SELECT weight FROM mastering.explain_pair('SELECT *, ''{1}''::int[] AS numbers FROM elements_few', :'model', '1', '2') WHERE level = 'term frequency')
     > (SELECT weight FROM mastering.explain_pair('SELECT *, ''{1}''::int[] AS numbers FROM elements_few', :'model', '1', '4') WHERE level = 'term frequency') AS rarer_counts_for_more;

-- An array, a jsonb array, a text with a separator, and an array in another order and with repetition are the same.
CREATE TABLE elements_clusters AS SELECT * FROM mastering.match_clusters(:'query', :'model');
SELECT count(*) AS other FROM (TABLE elements_clusters EXCEPT SELECT * FROM mastering.match_clusters('SELECT id, name, (SELECT array_agg(e ORDER BY md5(e)) FROM unnest(emails || emails) AS e) AS emails, numbers FROM elements_record', :'model')) AS x;
SELECT count(*) AS other FROM (TABLE elements_clusters EXCEPT SELECT * FROM mastering.match_clusters('SELECT id, name, to_jsonb(emails) AS emails, numbers FROM elements_record',
    jsonb_set(:'model', '{blocking,1,keys,0}', '"ARRAY(SELECT jsonb_array_elements_text(emails))"'))) AS x;
SELECT count(*) AS other FROM (TABLE elements_clusters EXCEPT SELECT * FROM mastering.match_clusters('SELECT id, name, array_to_string(emails, '' ; '') AS emails, numbers FROM elements_record',
    jsonb_set(jsonb_set(:'model', '{blocking,1,keys,0}', '"string_to_array(emails, '';'')"'), '{comparisons,1,separator}', '";"'))) AS x;

-- In passes, whatever the number of threads and the order of the records.
CREATE TABLE elements_many AS SELECT r.id + 1500 * n AS id, r.name || '/' || n AS name, (SELECT array_agg(e || n) FROM unnest(r.emails) AS e) AS emails, r.numbers FROM elements_record AS r, generate_series(0, 7) AS n;
\set many 'SELECT id, name, emails, numbers, emails[1] AS first_email FROM elements_many'
\set many_spec '{"blocking": ["name", "first_email"], "comparisons": ["name", {"column": "emails", "elements": "best", "levels": [1, 0.95, 0.9], "term_frequency": true}, {"column": "numbers", "elements": "set", "levels": [0.6, 0.3], "term_frequency": true}]}'
SET mastering.work_mem = '1GB';
SET mastering.threads = 2;
SELECT mastering.train_model(:'many', :'many_spec') AS many_model \gset
CREATE TABLE elements_in_memory AS SELECT * FROM mastering.match_clusters(:'many', :'many_model');
SET mastering.work_mem = '1MB';
SET mastering.threads = 1;
SELECT mastering.train_model(:'many' || ' ORDER BY md5(id::text)', :'many_spec') = :'many_model'::jsonb AS same_model;
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
CREATE TABLE elements_in_passes AS SELECT * FROM mastering.match_clusters(:'many' || ' ORDER BY md5(id::text)', :'many_model');
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
SELECT (SELECT count(*) FROM elements_in_memory) AS records, (SELECT count(DISTINCT cluster_id) FROM elements_in_memory) < 11000 AS merged, (SELECT count(*) FROM (TABLE elements_in_memory EXCEPT TABLE elements_in_passes) AS x) AS other;
RESET mastering.work_mem;
RESET mastering.threads;

-- Methods over elements: numbers, dates, distances, names.
SELECT c.comparison, c.similarity, c.level FROM mastering.explain_pair($$SELECT 1 AS id, '{10,200}'::int[] AS n, '{2001-05-04,1999-01-01}'::date[] AS d, '{12345678}'::text[] AS p, '["Bob Smith", 7, null]'::jsonb AS w
    UNION ALL SELECT 2, '{205,90}', '{2001-04-05}', '{12345687,999}', '["Smith, Robert", "x"]'$$,
    '{"prior": 0.1, "blocking": ["n"], "comparisons": [{"column": "n", "elements": "best", "method": "numeric", "scale": 10, "levels": [0.5], "trained": [{"weight": 3}, {"weight": 2}, {"weight": -1}]},
      {"column": "d", "elements": "best", "method": "date", "levels": [0.95, 0.5], "trained": [{"weight": 3}, {"weight": 2}, {"weight": 1}, {"weight": -1}]},
      {"column": "p", "elements": "best", "method": "damerau_distance", "levels": [0, 1], "trained": [{"weight": 3}, {"weight": 2}, {"weight": 1}, {"weight": -1}]},
      {"column": "w", "elements": "best", "method": "names", "levels": [1, 0.9], "trained": [{"weight": 3}, {"weight": 2}, {"weight": 1}, {"weight": -1}]}]}', '1', '2') AS c WHERE c.comparison <> 'prior';

-- 100,000 elements are not compared with 100,000 others, and that is said; so are keys.
SELECT count(*) FROM mastering.match_pairs('SELECT id, ''same''::text AS name, (SELECT array_agg(id * 1000000 + e) FROM generate_series(1, 100000) AS e)::text[] AS emails, ''{1}''::int[] AS numbers FROM generate_series(1, 3) AS id', :'model', threshold => 0.000001) AS m;

-- What is written wrongly.
SELECT mastering.train_model('SELECT 1 AS id, ''x''::text AS email', '{"blocking": ["email"], "comparisons": [{"column": "email", "elements": "best"}]}');
SELECT mastering.train_model('SELECT 1 AS id, ''{x}''::text[] AS email', '{"blocking": ["email"], "comparisons": [{"column": "email", "elements": "worst"}]}');
SELECT mastering.train_model('SELECT 1 AS id, ''{x}''::text[] AS email', '{"blocking": ["email"], "comparisons": [{"column": "email", "elements": "best", "method": "tfidf"}]}');
SELECT mastering.train_model('SELECT 1 AS id, ''{x}''::text[] AS email', '{"blocking": ["email"], "comparisons": [{"column": "email", "elements": "set", "method": "jaro"}]}');
SELECT mastering.train_model('SELECT 1 AS id, ''x''::text AS email', '{"blocking": ["email"], "comparisons": [{"column": "email", "separator": ";"}]}');
SELECT mastering.train_model('SELECT 1 AS id, ''x''::text AS email', '{"blocking": ["email"], "comparisons": [{"column": "email", "elements": "best", "separator": ""}]}');
SET client_min_messages = notice;
SELECT mastering.train_model('SELECT 1 AS id, ''{x}''::text[] AS email', '{"blocking": ["email"], "comparisons": ["email"]}') IS NOT NULL AS trained;
SET client_min_messages = warning;

-- Nothing but missing values, one record, none.
SELECT count(*), count(DISTINCT cluster_id) FROM mastering.match_clusters('SELECT id, NULL::text AS name, CASE WHEN id = 1 THEN ''{}''::text[] WHEN id = 2 THEN ''{NULL}'' END AS emails, NULL::int[] AS numbers FROM generate_series(1, 4) AS id', :'model');
SELECT count(*) FROM mastering.match_clusters('SELECT id, name, emails, numbers FROM elements_record WHERE id = 1', :'model');
SELECT count(*) FROM mastering.match_clusters('SELECT id, name, emails, numbers FROM elements_record WHERE false', :'model');

-- What a column of arrays holds, and what is made of that.
SELECT name, kind, records, nulls, distinct_values, top_values ->> 'info@example.org' IS NOT NULL AS frequent FROM mastering.profile('SELECT id, emails, numbers FROM elements_record');
SELECT c.value - 'name' AS comparison FROM jsonb_array_elements(mastering.suggest('SELECT id, name, emails, ARRAY[''+49 89 '' || 100000 + thing] AS phones, ARRAY[''tag'' || id % 5, ''tag'' || id % 7] AS tags FROM elements_record') -> 'comparisons') AS c;
SELECT r.value AS rule FROM jsonb_array_elements(mastering.suggest('SELECT id, name, array_remove(emails, ''info@example.org'') AS emails FROM elements_record') -> 'blocking') AS r;
-- Persons with several addresses and numbers, by the default call: no worse than with the arrays as texts.
CREATE TABLE elements_person AS
SELECT r AS id, thing, (ARRAY['Anna', 'Bertil', 'Carmen', 'Dmitri', 'Edith', 'Farid', 'Greta', 'Hugo', 'Ines', 'Jonas', 'Karla', 'Levi'])[1 + elements_pick(thing * 3, 12)] || ' ' || initcap(translate(substr(md5(elements_pick(thing * 29, 250)::text), 1, 6), '0123456789', 'ghijklmnop')) AS name,
    CASE WHEN elements_pick(r * 31, 6) > 0 THEN 'City ' || elements_pick(thing * 37, 25) END AS city,
    CASE WHEN elements_pick(r * 5, 8) > 0 THEN array_remove(ARRAY[
        CASE WHEN elements_pick(r * 7, 5) < 3 THEN 'user' || md5(thing::text) || '@example.org' END,
        CASE WHEN elements_pick(r * 11, 5) < 3 THEN overlay(md5('x' || thing) PLACING CASE WHEN elements_pick(r * 13, 5) = 0 THEN 'x' ELSE '' END FROM 9 FOR 0) || '@mail.de' END,
        CASE WHEN elements_pick(r * 17, 25) = 0 THEN 'info@example.org' END], NULL) END AS emails,
    CASE WHEN elements_pick(r * 23, 3) > 0 THEN ARRAY['+49 89 ' || 1000000 + elements_pick(thing * 41, 900000), '089/' || 2000000 + elements_pick(r * 43, 90000)] END AS phones
FROM (SELECT r, r % 600 AS thing FROM generate_series(1, 1200) AS r) AS records;
CREATE TABLE elements_found AS SELECT * FROM mastering.dedupe('SELECT id, name, city, emails, phones FROM elements_person');
CREATE TABLE elements_texts AS SELECT * FROM mastering.dedupe('SELECT id, name, city, emails::text AS emails, phones::text AS phones FROM elements_person');
SELECT max(value) FILTER (WHERE arrays) > 0.93 AS found, max(value) FILTER (WHERE arrays) >= max(value) FILTER (WHERE NOT arrays) AS no_worse
FROM (SELECT true AS arrays, * FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM elements_found', 'SELECT id, thing AS cluster_id FROM elements_person')
      UNION ALL SELECT false, * FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM elements_texts', 'SELECT id, thing AS cluster_id FROM elements_person')) AS f WHERE metric = 'pair_f1';

-- What threads remember of pairs of values while a model is learnt does not stay when the model weighs them by how rare what they
-- share is: clusters of a model that is learnt on the way are those of the same model learnt before.
\set rare '{"blocking": ["name", "phones", "emails"], "comparisons": ["name", "city", {"column": "phones", "method": "exact", "levels": [1], "elements": "best", "term_frequency": true}, {"column": "emails", "method": "exact", "levels": [1], "elements": "best", "term_frequency": true}]}'
SELECT mastering.train_model('SELECT id, name, city, emails, phones FROM elements_person', :'rare') AS rare_model \gset
SELECT count(*) AS differences FROM (
    SELECT * FROM mastering.dedupe('SELECT id, name, city, emails, phones FROM elements_person', :'rare')
    EXCEPT SELECT * FROM mastering.match_clusters('SELECT id, name, city, emails, phones FROM elements_person', :'rare_model')) AS one_way;
DROP TABLE elements_record, elements_pair, elements_each, elements_oracle, elements_few, elements_clusters, elements_many, elements_in_memory, elements_in_passes, elements_person, elements_found, elements_texts;
DROP FUNCTION elements_pick;

-- Several e-mail addresses in a field, with whatever between them: any counts, not the first alone.
SELECT mastering.email_addresses(v) FROM (VALUES ('Jay Jones <JJones@x.org>; jj@y.org'), ('a@x.org,b@x.org b@x.org'), ('None'), (''), (NULL), ('A@x.org'), ('"Jay Jones"@x.org "jj"@y.org, "Jay" <j@z.org>')) AS t (v);
CREATE TABLE elements_mail AS SELECT i AS id, (ARRAY['Anna', 'Bert', 'Carla', 'Dirk', 'Eva'])[1 + i / 2 % 5] || ' ' || (ARRAY['Meyer', 'Schulz', 'Weber', 'Koch', 'Braun', 'Wolf', 'Lang'])[1 + i / 2 % 7] AS name,
    CASE WHEN i % 20 < 3 THEN 'U' || i || '@other.net' || (ARRAY['; ', ', ', ' / '])[1 + i % 3] ELSE '' END || 'p' || i / 2 || '@mail.org' AS email FROM generate_series(1, 1000) AS i;
SELECT mastering.suggest('SELECT * FROM elements_mail') -> 'comparisons' @> '[{"expression": "mastering.email_addresses(email::pg_catalog.text)", "elements": "best"}]' AS compared,
    mastering.suggest('SELECT * FROM elements_mail') -> 'blocking' @> '[{"keys": ["mastering.email_addresses(email::pg_catalog.text)"]}]' AS key;
SELECT count(DISTINCT cluster_id) AS clusters, count(*) FILTER (WHERE size = 2) AS paired FROM mastering.dedupe('SELECT * FROM elements_mail');
-- Where hardly any has a second one, the first is taken: arrays would cost more.
SELECT c ->> 'expression' AS compared FROM jsonb_array_elements(mastering.suggest('SELECT id, name, CASE WHEN id = 7 THEN ''x@y.z; '' ELSE '''' END || email AS email FROM elements_mail WHERE email NOT LIKE ''U%''') -> 'comparisons') AS c WHERE c ->> 'expression' LIKE '%mail%';
DROP TABLE elements_mail;
