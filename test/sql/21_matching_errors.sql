-- What is wrong with a query or a specification is said where it is wrong.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE TABLE t (id int, surname text, city text);
INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'x');
CREATE FUNCTION try(spec jsonb, query text DEFAULT 'SELECT * FROM t') RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; hint text;
BEGIN
    PERFORM mastering.candidate_pairs(query, spec);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', state || ' ' || message, '  DETAIL ' || nullif(detail, ''), '  HINT ' || nullif(hint, ''));
END $$;
\pset format unaligned
\pset tuples_only on

-- Specifications.
SELECT try(s::jsonb) FROM unnest(ARRAY[
    'null', '[]', '"x"', '{}', '{"blocking": ["city"]}', '{"blocking": [], "comparisons": ["city"]}', '{"blocking": "city", "comparisons": ["city"]}',
    '{"blocking": [7], "comparisons": ["city"]}', '{"blocking": [[]], "comparisons": ["city"]}', '{"blocking": [["city", 1]], "comparisons": ["city"]}',
    '{"blockings": ["city"], "comparisons": ["city"]}', '{"blocking": [{"key": "city"}], "comparisons": ["city"]}', '{"blocking": [{}], "comparisons": ["city"]}',
    '{"blocking": [{"keys": "city", "max_block": 1}], "comparisons": ["city"]}', '{"blocking": [{"keys": "city", "max_block": 2.5}], "comparisons": ["city"]}',
    '{"blocking": [{"keys": "city", "window": "x"}], "comparisons": ["city"]}', '{"blocking": [{"keys": "city", "normalize": "txt"}], "comparisons": ["city"]}',
    '{"blocking": ["city"], "comparisons": []}', '{"blocking": ["city"], "comparisons": [3]}', '{"blocking": ["city"], "comparisons": [{}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "expression": "city"}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "jaro_winkle"}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "telepathy"}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "method": null}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "levls": [1]}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "levels": [0.8, 0.9]}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "levels": [1.5]}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "damerau_distance", "levels": [2, 1]}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "exact", "levels": [0.5]}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "levels": [0.99,0.98,0.97,0.96,0.95,0.94,0.93,0.92,0.91,0.9,0.89,0.88,0.87]}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "qgram", "q": 9}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "qgram", "measure": "dise"}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "numeric", "scale": 0}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "date", "normalize": "text"}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "term_frequency": "yes"}]}', '{"blocking": ["city"], "comparisons": ["city", "city"]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "trained": []}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "method": "exact", "trained": [{"m": 1}, {"m": 0}]}]}',
    '{"blocking": ["city"], "comparisons": [{"column": "city", "frequencies": {"values": {}}}]}', '{"blocking": ["city"], "comparisons": [{"column": "city", "frequencies": {"other": 0.1, "values": {"x": 7}}}]}',
    '{"blocking": ["city"], "comparisons": ["city"], "threshold": 1}', '{"blocking": ["city"], "comparisons": ["city"], "prior": 0}', '{"blocking": ["city"], "comparisons": ["city"], "link": "across"}',
    '{"blocking": ["city"], "comparisons": ["city"], "link": "across_sources"}', '{"normalize": 1, "blocking": ["city"], "comparisons": ["city"]}']) AS s;
-- Expressions.
SELECT try(jsonb_build_object('blocking', jsonb_build_array(e), 'comparisons', '["city"]'::jsonb)) FROM unnest(ARRAY[
    'surnam', 'left(surnam, 2)', 'record.surnam', 'record.surname', '"Surname"', 'city; DROP TABLE t', 'city, surname', 'city AS c', 'city FROM t', 'city) FROM t --', '1 UNION SELECT 2', '', 'left(city)', 'nothing(city)',
    'record', 'sum(id)', '(SELECT max(city) FROM t)', 'city -- a comment', 'city /* open', $$'it''s' || city$$, 'ARRAY[city, surname]', 'id', 'lower(id)']) AS e;
SELECT try('{"blocking": ["city"], "comparisons": [{"column": "surnam"}]}');
SELECT try('{"blocking": ["city"], "comparisons": [{"expression": "lower(citi)"}]}');
-- Queries.
SELECT try('{"blocking": ["city"], "comparisons": ["city"]}', q) FROM unnest(ARRAY['t', 'public.t', '"T"',
    '', 'SELEC 1', 'SELECT 1', 'SELECT 1 AS id; SELECT 2 AS id', 'DELETE FROM t', 'SELECT * INTO u FROM t', 'SELECT id, city FROM nowhere', 'SELECT $1 AS id', 'SELECT NULL::int AS id, ''x'' AS city',
    'SELECT 7 AS id, ''x'' AS city FROM generate_series(1, 2)', 'SELECT ''k'' AS id, ''x'' AS city FROM generate_series(1, 2)', 'WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d', 'SELECT 1 AS id, 1/0 AS city',
    'SELECT id, city FROM t) AS x; --', 'SHOW work_mem', 'COPY t TO STDOUT', 'BEGIN', 'VALUES (1, 2)', 'SELECT id, id, city FROM t', 'TABLE t']) AS q;
SELECT count(*) FROM t;
\pset format aligned
\pset tuples_only off

-- NULL arguments, thresholds, models that are none, records that are not there.
SELECT * FROM mastering.match_pairs(NULL, '{}');
SELECT * FROM mastering.match_pairs('SELECT * FROM t', NULL);
SELECT * FROM mastering.match_pairs('SELECT * FROM t', '{"blocking": ["city"], "comparisons": ["city"]}');
\set model '{"prior": 0.01, "blocking": ["city"], "comparisons": [{"column": "city", "method": "exact", "trained": [{"weight": 6}, {"weight": -4}]}]}'
SELECT * FROM mastering.match_pairs('SELECT * FROM t', :'model', 0);
SELECT * FROM mastering.match_clusters('SELECT * FROM t', :'model', 1);
SELECT * FROM mastering.match_clusters('SELECT * FROM t', :'model', 'NaN');
SELECT * FROM mastering.match_clusters_as(NULL::int, 'SELECT surname AS id, city FROM t', :'model');
SELECT * FROM mastering.explain_pair('SELECT * FROM t', :'model', '1', '7');
SELECT * FROM mastering.explain_pair('SELECT * FROM t', :'model', '1', NULL);
SELECT mastering.train_model('SELECT * FROM t', NULL);
SELECT mastering.suggest('SELECT id FROM t');
SELECT mastering.suggest(NULL);
SELECT * FROM mastering.profile('SELECT 1');
SELECT * FROM mastering.profile('SELECT ''a'' AS name, 1 AS "Order key"');
-- Too many levels in all.
SELECT mastering.train_model('SELECT * FROM t', jsonb_build_object('blocking', '["city"]'::jsonb, 'comparisons',
    (SELECT jsonb_agg(jsonb_build_object('column', 'city', 'name', 'c' || i, 'levels', '[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]'::jsonb)) FROM generate_series(1, 20) AS i)));
-- A column without a name, and one that is a row.
SELECT mastering.train_model('SELECT * FROM t', '{"blocking": ["city"], "comparisons": [{"column": ""}]}');
SELECT mastering.train_model('SELECT * FROM t', '{"blocking": ["city"], "comparisons": [""]}');
SELECT * FROM mastering.profile('SELECT id, t AS "whole t" FROM t');
SELECT * FROM mastering.dedupe('SELECT *, t FROM t');
-- Two columns of a name: what is compared has to be one.
SELECT * FROM mastering.dedupe('SELECT 1 AS id, 2 AS id, ''x'' AS name');
SELECT * FROM mastering.profile('SELECT 1 AS id, ''x'' AS "a name", ''y'' AS "a name"');
SELECT * FROM mastering.block_keys('SELECT 1 AS id, ''x'' AS name, ''y'' AS name', '{"blocking": ["name"], "comparisons": ["name"]}');
SELECT count(*) FROM mastering.candidate_pairs('SELECT i AS id, ''x'' AS name, 1 AS other, 2 AS other FROM generate_series(1, 2) AS i', '{"blocking": ["name"], "comparisons": ["name"]}');
