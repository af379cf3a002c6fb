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
