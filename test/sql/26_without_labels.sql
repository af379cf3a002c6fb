-- What the data say for themselves: partners across sources, columns that stand in for each other, names, addresses.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

-- ---- two lists that hold each thing once: when nearly all have a partner, the prior is higher ----
CREATE TABLE lists AS
SELECT n AS id, CASE WHEN n <= 60 THEN 'a' ELSE 'b' END AS source, 'name ' || md5(k::text) AS name, k % 10 AS city, 1900 + k AS born,
    CASE WHEN k < 8 AND n > 60 THEN 'other ' ELSE '' END || md5('x' || k) AS street
FROM generate_series(1, 120) AS n, LATERAL (SELECT (n - 1) % 60 AS k) AS t;
\set lists_spec '{"blocking": ["name", "city"], "comparisons": [{"column": "name", "method": "exact"}, {"column": "born", "method": "exact"}, {"column": "street", "method": "exact"}]}'
CREATE TEMP TABLE learnt AS
SELECT (train_model('SELECT * FROM lists', :'lists_spec') ->> 'prior')::float8 AS prior,
    (train_model('SELECT * FROM lists', jsonb_set(:'lists_spec', '{one_per_source}', '"never"')) ->> 'prior')::float8 AS never,
    (train_model('SELECT * FROM lists', jsonb_set(:'lists_spec', '{one_per_source}', '"always"')) ->> 'prior')::float8 AS always,
    (train_model('SELECT * FROM lists WHERE id % 60 < 15 OR id <= 60 AND id % 2 = 0 OR id > 60 AND id % 2 = 1', :'lists_spec') ->> 'prior')::float8 AS half,
    (train_model('SELECT * FROM lists WHERE id % 60 < 15 OR id <= 60 AND id % 2 = 0 OR id > 60 AND id % 2 = 1', jsonb_set(:'lists_spec', '{one_per_source}', '"never"')) ->> 'prior')::float8 AS half_never;
SELECT prior > 20 * never AS much_higher, prior = always AS evident, half / half_never BETWEEN 1 AND 4 AS less_where_many_have_none FROM learnt;
DROP TABLE lists, learnt;

-- ---- names that share half of their words are neither alike nor strangers; of telephone numbers one digit is a slip ----
CREATE TABLE houses AS
SELECT n AS id, (ARRAY['golden', 'royal', 'little', 'blue', 'grand'])[n % 5 + 1] || ' ' || translate(substr(md5(n::text), 1, 6), '0123456789', 'ghijklmnop') || ' house' AS name, '030 ' || 100000 + n * 7919 % 900000 AS phone
FROM generate_series(1, 200) AS n;
SELECT c ->> 'column' AS "column", c ->> 'method' AS method, c -> 'levels' AS levels FROM jsonb_array_elements(suggest('SELECT * FROM houses') -> 'comparisons') AS c ORDER BY 1;
DROP TABLE houses;

-- ---- columns that stand in for each other ----
-- One list has the full name, the other its parts; "town" here is "suburb" there; codes of two systems stay apart.
CREATE TABLE differ AS
SELECT n AS id, CASE WHEN n <= 60 THEN 'a' ELSE 'b' END AS source, CASE WHEN n <= 60 THEN given || ' ' || family END AS name,
    CASE WHEN n > 60 THEN given END AS first, CASE WHEN n > 60 THEN family END AS last,
    CASE WHEN n <= 60 THEN city END AS suburb, CASE WHEN n > 60 THEN city END AS town,
    CASE WHEN n <= 60 THEN 'A' || 1000 + n END AS customer_no, CASE WHEN n > 60 THEN 'B' || 7000 + n END AS account, 1940 + k AS born
FROM generate_series(1, 120) AS n, LATERAL (SELECT (n - 1) % 60 AS k) AS t,
    LATERAL (SELECT (ARRAY['anna', 'berta', 'carl', 'doris', 'emil', 'frieda', 'gustav'])[k % 7 + 1] AS given,
        (ARRAY['meyer', 'kruse', 'vogt', 'lang', 'stein', 'roth', 'beck', 'hahn', 'wolf', 'arndt', 'busch'])[k % 11 + 1] AS family,
        (ARRAY['north hill', 'old quay', 'mill lane', 'west end', 'stone bridge'])[k % 5 + 1] AS city) AS made;
SELECT c ->> 'name' AS name, c ->> 'column' AS "column", c ->> 'expression' AS expression
FROM jsonb_array_elements(suggest('SELECT * FROM differ') -> 'comparisons') AS c WHERE c ->> 'name' <> 'whole record' OR c ->> 'column' IS NOT NULL;
SELECT count(*) FILTER (WHERE (a.id - 1) % 60 = (b.id - 1) % 60) AS right_pairs, count(*) AS pairs
FROM dedupe_as(NULL::int, 'SELECT * FROM differ') AS a JOIN dedupe_as(NULL::int, 'SELECT * FROM differ') AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;
-- Quoted names; a column that is filled beside the other is none that stands in.
SELECT c ->> 'expression' AS expression
FROM jsonb_array_elements(suggest('SELECT id, suburb AS "Sub""urb", town AS "the town", first, last, first AS given FROM differ') -> 'comparisons') AS c WHERE c ->> 'expression' IS NOT NULL;
DROP TABLE differ;

-- ---- names of persons ----
-- A column with given names is compared by names, one with surnames is not; swapped ones are compared together.
CREATE TABLE misplaced AS
SELECT n AS id, CASE WHEN swapped THEN family ELSE given END AS given, CASE WHEN swapped THEN given ELSE family END AS family, 1930 + k % 61 AS born
FROM generate_series(1, 300) AS n, LATERAL (SELECT (n - 1) % 200 AS k, n > 200 AND n % 10 = 0 AS swapped) AS t,
    LATERAL (SELECT (ARRAY['robert', 'bill', 'susan', 'peggy', 'jim', 'thomas', 'mary', 'ann', 'kate', 'henry', 'frank', 'nora', 'walter', 'emma', 'ruth', 'george', 'paul', 'jane', 'luke', 'otto', 'vera', 'carl', 'ida'])[k % 23 + 1] AS given,
        (ARRAY['kr', 'ste', 'ho', 'wa', 'li', 'mo', 'sch'])[k % 7 + 1] || (ARRAY['ander', 'berg', 'cker', 'dorf', 'eller', 'furt', 'gard', 'hausen', 'ing', 'junk', 'kamp'])[k % 11 + 1] AS family) AS made;
SELECT c ->> 'column' AS "column", c ->> 'method' AS method FROM jsonb_array_elements(suggest('SELECT * FROM misplaced WHERE id <= 200') -> 'comparisons') AS c;
SELECT c ->> 'column' AS "column", c ->> 'name' AS name, c ->> 'expression' AS expression, c ->> 'method' AS method
FROM jsonb_array_elements(suggest('SELECT * FROM misplaced') -> 'comparisons') AS c;
SELECT r -> 'keys' AS keys FROM jsonb_array_elements(suggest('SELECT * FROM misplaced') -> 'blocking') AS r WHERE r ->> 'keys' LIKE '%GREATEST%';
SELECT count(*) FILTER (WHERE (a.id - 1) % 200 = (b.id - 1) % 200) AS right_pairs, count(*) AS pairs
FROM dedupe_as(NULL::int, 'SELECT * FROM misplaced') AS a JOIN dedupe_as(NULL::int, 'SELECT * FROM misplaced') AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;
DROP TABLE misplaced;

-- ---- values that are written in several ways ----
-- Addresses, organisations and telephone numbers are brought to one form where some values are in it and some are not.
CREATE TABLE written AS
SELECT n AS id, k || (CASE WHEN n > 40 THEN ' Oak Street ' ELSE ' Oak St. ' END) || chr(65 + k % 20) AS address,
    'Firm X' || chr(65 + k % 26) || chr(65 + k % 7) || (CASE WHEN n > 40 THEN ', Inc.' ELSE '' END) AS firm,
    (CASE WHEN n > 40 THEN '+44 20 ' ELSE '020 ' END) || 70000000 + k * 7919 AS phone, md5(k::text) AS note
FROM generate_series(1, 80) AS n, LATERAL (SELECT (n - 1) % 40 AS k) AS t;
SELECT coalesce(c ->> 'expression', c ->> 'column') AS compared FROM jsonb_array_elements(suggest('SELECT * FROM written') -> 'comparisons') AS c
WHERE c ->> 'name' IS DISTINCT FROM 'whole record' AND c ->> 'method' <> 'tfidf' OR c ->> 'expression' LIKE 'mastering.%';
SELECT coalesce(c ->> 'expression', c ->> 'column') AS compared FROM jsonb_array_elements(suggest('SELECT * FROM written WHERE id <= 40') -> 'comparisons') AS c
WHERE c ->> 'expression' LIKE 'mastering.%';
SELECT r -> 'keys' AS keys FROM jsonb_array_elements(suggest('SELECT * FROM written') -> 'blocking') AS r WHERE r ->> 'keys' LIKE '%phone%' AND NOT r ? 'top_k';
DROP TABLE written;
