-- Input that is wide, odd or hostile; errors that leave in the middle of a run; results that no setting and no order
-- of records changes.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE thing AS SELECT g AS id, 'name ' || g % 40 AS name, 'c' || g % 7 AS city, g % 10 AS number FROM generate_series(1, 400) AS g;
\set model '{"prior": 0.01, "threshold": 0.5, "blocking": ["name"], "comparisons": [{"column": "city", "method": "exact", "trained": [{"weight": 8}, {"weight": -4}]}]}'
CREATE FUNCTION digest(query text, spec jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(concat_ws(',', id, cluster_id, size, weakest_link), ';' ORDER BY id::bigint)) FROM mastering.match_clusters(query, spec) $$;
-- An error inside a subtransaction is nothing to those who go on.
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE rows bigint;
BEGIN
    EXECUTE query;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RETURN rows;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- More columns than anyone compares, each of them selective.
SELECT format('CREATE TABLE wide AS SELECT g AS id, %s FROM generate_series(1, 300) AS g', string_agg(format('''abc'' || chr(97 + g %% 26) || chr(97 + g / 26 %% 11) || repeat(chr(97 + %s %% 26), 2) AS c%s', i, i), ',')) AS make_wide FROM generate_series(1, 150) AS i \gset
:make_wide;
SELECT count(*) FROM mastering.dedupe('SELECT * FROM wide');
SELECT count(*) FROM mastering.profile('SELECT * FROM wide');

-- Values of any type: what is suggested asks for their text.
SELECT type, try(format('SELECT * FROM mastering.dedupe(%L)', format('SELECT g AS id, (%s)::%s AS thing, ''n'' || g %% 40 AS other FROM generate_series(1, 300) AS g', value, type)))
FROM (VALUES ('jsonb', '''{"model": "x'' || g % 90 || '' lamp red '' || g % 7 || ''"}'''), ('json', '''["lamp '' || g % 90 || '' blue stand '' || g % 7 || ''"]'''), ('varchar(40)', '''lamp '' || g % 90 || '' of oak a'' || g % 7'),
    ('char(40)', '''lamp '' || g % 90 || '' of oak a'' || g % 7'), ('name', '''lamp '' || g % 90 || '' of oak a'' || g % 7'),
    ('tsvector', '''lamp '' || g % 90 || '' oak a'' || g % 7'), ('point', '''('' || g % 90 || '','' || g % 7 || '')'''), ('bytea', '''lamp '' || g % 90 || '' of oak a'' || g % 7'), ('interval', 'g % 90 || '' days 3 hours'''),
    ('inet', '''10.0.0.'' || g % 90'), ('uuid', 'md5((g % 90)::text)'), ('money', 'g % 90'), ('bit varying', '(g % 90)::bit(9)'), ('int4range', '''['' || g % 90 || '',999)'''), ('boolean', 'g % 2')) AS v (type, value);

-- Names of columns that need quotes, and queries that need care.
SELECT count(*) FROM mastering.dedupe($$SELECT id, name AS "select", name || 'a' AS "a""b", name || 'b' AS "new
line", name || 'c' AS "%s %n", name || 'd' AS "record", name || 'e' AS "user" FROM thing$$);
SELECT try($$SELECT * FROM mastering.dedupe('SELECT id, name, name FROM thing')$$), try($$SELECT * FROM mastering.dedupe('SELECT id, id, name FROM thing')$$),
    try($$SELECT * FROM mastering.dedupe('SELECT id, name FROM thing FOR UPDATE')$$), try($$SELECT * FROM mastering.dedupe('SELECT id, thing FROM thing')$$);
SELECT count(*) FROM mastering.dedupe('SELECT id, NULL::int AS n, NULL::text AS t, NULL AS u FROM thing');

-- Ids of all types, in and out.
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TYPE pair AS (a int, b text);
SELECT pg_typeof(id), count(*), count(DISTINCT cluster_id) FROM mastering.match_clusters_as(NULL::positive, 'SELECT id::positive, name, city FROM thing', :'model') GROUP BY 1;
SELECT min(id::text), count(DISTINCT cluster_id::text) FROM mastering.match_clusters_as(NULL::pair, $$SELECT row(id, 'x,"y')::pair AS id, name, city FROM thing$$, :'model');
SELECT count(DISTINCT cluster_id), max(length(id::text)) FROM mastering.match_clusters_as(NULL::uuid, $$SELECT md5(id::text)::uuid AS id, name, city FROM thing$$, :'model');
SELECT count(DISTINCT cluster_id), max(length(id)) FROM mastering.match_clusters($$SELECT repeat(chr(233), 100000) || id AS id, name, city FROM thing$$, :'model');
SELECT count(DISTINCT cluster_id), min(cluster_id), max(cluster_id) FROM mastering.match_clusters_as(NULL::bigint, 'SELECT -9223372036854775807 - 1 + id AS id, name, city FROM thing', :'model');
-- A record is found again by the id that it is known by, which for some types is not what a cast to text gives.
SELECT count(*) FROM mastering.explain_pair('SELECT id::char(5), name, city FROM thing', :'model', '1    ', '41   ');
SELECT count(*) FROM mastering.explain_pair($$SELECT '10.0.0.0'::inet + id AS id, name, city FROM thing$$, :'model', '10.0.0.1', '10.0.0.41');
SELECT count(*) FROM mastering.explain_pair('SELECT id = 1 AS id, name, city FROM thing WHERE id IN (1, 41)', :'model', 't', 'f');

-- Domains over arrays are arrays; infinity is no number, and least of all 0.
CREATE DOMAIN tags AS text[];
SELECT count(*) FROM mastering.candidate_pairs('SELECT id, ARRAY[''a'' || id, ''b'' || id + 1]::tags AS k FROM generate_series(1, 3) AS id UNION ALL SELECT 4, ''{b2,a3}''', '{"blocking": ["k"], "comparisons": ["k"]}');
SELECT comparison, value_a, value_b, level FROM mastering.explain_pair($$SELECT * FROM (VALUES (1, float8 'Infinity'), (2, 0)) AS v (id, x)$$,
    '{"prior": 0.01, "blocking": ["x"], "comparisons": [{"column": "x", "method": "numeric", "levels": [0.5], "trained": [{"weight": 6}, {"weight": 5}, {"weight": -4}]}]}', '1', '2');

-- Nobody's settings change what is compared.
CREATE FUNCTION seen() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(name || ' ' || top_values::text, E'\n' ORDER BY name) FROM mastering.profile('SELECT 1 AS id, timestamptz ''2020-01-02 23:04:05.5+00'' AS zoned, timestamp ''2020-01-02 23:04:05'' AS moment, date ''2020-01-02'' AS day, float8 ''0.1'' + 0.2 AS double, float4 ''0.3'' AS single') $$;
SELECT seen();
SELECT seen() AS before \gset
SET timezone = 'Asia/Tokyo';
SET datestyle = 'german';
SET extra_float_digits = -5;
SELECT seen() = :'before' AS same;
RESET timezone;
RESET datestyle;
RESET extra_float_digits;

-- Where a record has more keys than are kept, the order of reading does not decide which.
CREATE TABLE list AS SELECT g AS id, 'x' AS name, ARRAY(SELECT 'x' || (g * 7 + i * i) % 97 FROM generate_series(1, 40) AS i) AS a, ARRAY(SELECT 'y' || (g * 5 + i * 3) % 89 FROM generate_series(1, 40) AS i) AS b FROM generate_series(1, 60) AS g;
CREATE TABLE list_shuffled AS SELECT * FROM list ORDER BY hashint4(id);
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE s.id_a IS NULL OR l.id_a IS NULL) AS differ
FROM mastering.candidate_pairs('SELECT * FROM list', '{"blocking": [["a", "b"]], "comparisons": ["name"]}') AS l
FULL JOIN mastering.candidate_pairs('SELECT * FROM list_shuffled', '{"blocking": [["a", "b"]], "comparisons": ["name"]}') AS s USING (id_a, id_b);
-- Windows in blocks with many equal sort keys, and other plans, order or number of threads.
\set windows '{"prior": 0.01, "threshold": 0.5, "blocking": [{"keys": "city", "max_block": 10, "window": 3}, {"keys": "string_to_array(name, '' '')", "max_block": 5, "window": 2}], "comparisons": [{"column": "number", "method": "exact", "trained": [{"weight": 8}, {"weight": -4}]}]}'
SELECT digest('SELECT * FROM thing', :'windows') AS digest \gset
SET mastering.threads = 256;
SELECT digest('SELECT * FROM thing ORDER BY hashint4(id)', :'windows') = :'digest' AS same;
SET mastering.threads = 1;
SELECT digest('SELECT id::text, name, city, number FROM thing ORDER BY id DESC', :'windows') = :'digest' AS same;
SET mastering.threads = 3;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET force_parallel_mode = on;
SELECT digest('SELECT * FROM thing', :'windows') = :'digest' AS same;
RESET force_parallel_mode;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET mastering.threads;

-- Errors in the middle: in the query, in an expression, while rows are written. Threads end with them.
SELECT pg_backend_pid() AS pid \gset
SELECT try(format('SELECT * FROM mastering.match_pairs_as(NULL::int, %L, %L)', 'SELECT ''k'' || id AS id, name, city FROM thing', :'model')) LIKE '22P02 %' AS refused FROM generate_series(1, 20) GROUP BY 1;
-- The system may list a thread for a moment after it was waited for.
DO $$ BEGIN FOR i IN 1 .. 500 LOOP EXIT WHEN (SELECT count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/task')) = 1; PERFORM pg_sleep(0.01); END LOOP; END $$;
SELECT count(*) AS threads FROM pg_ls_dir('/proc/' || :pid || '/task');
SELECT try(format('SELECT * FROM mastering.match_clusters(%L, %L)', 'SELECT id, name, city FROM thing WHERE 1 / (id - 300) < 2', :'model')),
    try(format('SELECT * FROM mastering.match_clusters(%L, %L)', 'SELECT nullif(id, 300) AS id, name, city FROM thing', :'model')),
    try(format('SELECT * FROM mastering.match_clusters(%L, %L)', 'SELECT id, name, city FROM thing', jsonb_set(:'model', '{blocking}', '["1 / (id - 300)"]')));
SELECT count(*) FROM mastering.match_clusters('SELECT * FROM thing', :'model');
-- A run within a run, to the limit of the stack.
SELECT count(*) FROM mastering.match_clusters(format($$SELECT DISTINCT t.* FROM mastering.match_clusters('SELECT * FROM thing', %L) AS c JOIN thing AS t ON t.id::text = c.cluster_id$$, :'model'), :'model');
CREATE FUNCTION deep() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM mastering.candidate_pairs('SELECT id + deep() AS id, name FROM thing', '{"blocking": ["name"], "comparisons": ["name"]}') $$;
SET max_stack_depth = '300kB';
SELECT try('SELECT deep()');
RESET max_stack_depth;
-- Other arguments row by row; a cursor; what a query does beside reading is done once.
SELECT g, count(*), count(DISTINCT cluster_id) FROM generate_series(1, 3) AS g, LATERAL mastering.match_clusters('SELECT * FROM thing WHERE id <= ' || g * 100, :'model') GROUP BY g ORDER BY g;
BEGIN;
DECLARE clusters SCROLL CURSOR FOR SELECT id, cluster_id, size FROM mastering.match_clusters('SELECT * FROM thing', :'model') ORDER BY id::int;
FETCH 1 FROM clusters;
SELECT count(*) FROM mastering.match_clusters('SELECT * FROM thing LIMIT 10', :'model');
FETCH 1 FROM clusters;
COMMIT;
CREATE SEQUENCE counter;
SELECT count(*) FROM mastering.match_clusters('SELECT id, name, city, nextval(''counter'') AS n FROM thing', :'model');
SELECT last_value FROM counter;
-- Memory does not grow from call to call, after errors neither.
SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts \gset
DO $$ BEGIN FOR i IN 1 .. 100 LOOP
    PERFORM mastering.candidate_pairs('SELECT * FROM thing LIMIT 50', '{"blocking": ["name"], "comparisons": ["name"]}');
    PERFORM try($q$SELECT * FROM mastering.dedupe_as(NULL::int, 'SELECT ''k'' || id AS id, name FROM thing LIMIT 50', '{"blocking": ["name"], "comparisons": ["name"]}')$q$);
END LOOP; END $$;
SELECT sum(total_bytes) < :bytes + 2000000 AS as_before FROM pg_backend_memory_contexts;

-- Names that somebody puts in front of pg_catalog's harm nobody.
CREATE SCHEMA evil;
CREATE FUNCTION evil.format(text, anyelement) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$;
CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);
CREATE TYPE evil.text AS (a int);
CREATE FUNCTION evil.concat_ws(text, text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$;
SET search_path = evil, public, pg_catalog;
SELECT count(*) FROM mastering.explain_pair('SELECT * FROM thing', :'model', '1', '41');
SELECT count(*) FROM mastering.match_clusters('SELECT * FROM thing', :'model');
SELECT count(*) FROM mastering.dedupe('SELECT id, name || '' and some more words '' || id AS a, repeat(city || '' '', 6) || id AS b FROM thing');
RESET search_path;

-- Everything runs as the caller: rights, row security.
CREATE ROLE regress_mastering_reader;
GRANT SELECT ON thing TO regress_mastering_reader;
ALTER TABLE thing ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON thing USING (id < 10);
SET ROLE regress_mastering_reader;
SELECT count(*) FROM mastering.match_clusters('SELECT * FROM thing', :'model');
SELECT * FROM mastering.match_clusters('SELECT id, name, a AS city FROM list', :'model');
RESET ROLE;
DROP OWNED BY regress_mastering_reader;
DROP ROLE regress_mastering_reader;

-- Models that nobody trained.
SELECT try(format('SELECT * FROM mastering.match_clusters(%L, %L)', 'SELECT * FROM list', jsonb_set(:'model', path::text[], value::jsonb))) FROM (VALUES
    ('{comparisons,0,trained,0,weight}', '101'), ('{comparisons,0,trained,0,weight}', '1e308'), ('{comparisons,0,trained,1,weight}', '"-4"'), ('{prior}', '1'), ('{prior}', '1e-400'), ('{blocking}', '[[[["name"]]]]'),
    ('{comparisons}', repeat('[', 3000) || repeat(']', 3000)), ('{comparisons,0,column}', '"a\u0001b"'), ('{blocking,0}', '{"keys": "name", "max_block": 1e300}')) AS v (path, value);
SELECT count(*) FROM mastering.match_clusters('SELECT id, name, id % 7 AS city FROM list', jsonb_set(jsonb_set(:'model', '{comparisons,0,frequencies}',
    jsonb_build_object('other', 1e-300, 'values', (SELECT jsonb_object_agg('v' || g, 1e-5) FROM generate_series(1, 50000) AS g))), '{comparisons,0,term_frequency}', 'true'));
SELECT count(*) > 0 AS found FROM mastering.candidate_pairs('SELECT * FROM list', jsonb_build_object('comparisons', '["name"]'::jsonb,
    'blocking', (SELECT jsonb_agg((SELECT jsonb_agg(format('left(name, %s) || id %% %s', i, r)) FROM generate_series(1, 8) AS i)) FROM generate_series(1, 64) AS r)));

-- A run within the query of another, that fails and is forgiven, takes nothing from the other's.
CREATE FUNCTION forgiving(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF i % 700 = 3 THEN
        PERFORM mastering.dedupe('SELECT 1 AS id, 2 AS x', '{"blocking": ["y"], "comparisons": ["y"]}');
    END IF;
    RETURN 'v' || i / 2;
EXCEPTION WHEN invalid_parameter_value OR undefined_column THEN
    RETURN 'v' || i / 2;
END $$;
SET mastering.threads = 1;
SELECT count(*) FROM mastering.candidate_pairs('SELECT i AS id, forgiving(i) AS x FROM generate_series(0, 19999) AS i', '{"blocking": ["x"], "comparisons": ["x"]}');
SET mastering.threads = 4;
SELECT count(*) FROM mastering.candidate_pairs('SELECT i AS id, forgiving(i) AS x FROM generate_series(0, 19999) AS i', '{"blocking": ["x"], "comparisons": ["x"]}');
-- A cancel while records are read and threads look values up.
SELECT format('SET statement_timeout = %s', 40 + i * 15),
    'SELECT count(*) FROM mastering.candidate_pairs(''SELECT i AS id, md5(i::text) AS a, md5((i * 7)::text) AS b, ''''x'''' || i AS c, ''''y'''' || i * 3 AS d FROM (SELECT generate_series(1, 10000000) AS i) AS s'', ''{"blocking": ["a", "b", "c", "d"], "comparisons": ["a"]}'')'
FROM generate_series(1, 12) AS i \gexec
RESET statement_timeout;
RESET mastering.threads;

-- Long texts: their real lengths, by the table's pages and by the executor; a report says once that they are cut.
SET client_min_messages = notice;
CREATE TABLE robust_long AS SELECT i AS id, 'name ' || i % 50 AS name, 'c' || i % 7 AS city, repeat('x', 4094 + i % 5) AS edge, repeat('é ' || i % 50 || ' ', CASE WHEN i < 3 THEN 30000 ELSE 2 END) AS note FROM generate_series(1, 200) AS i;
SELECT p.name, p.longest, round(p.mean_length::numeric, 3) AS mean_length FROM mastering.profile('SELECT id, name, edge, note FROM robust_long') AS p;
SELECT p.name, p.longest, round(p.mean_length::numeric, 3) AS mean_length FROM mastering.profile('SELECT id, name, edge, note FROM robust_long WHERE id > 0') AS p;
SELECT max(length(edge)) AS edge, round(avg(length(edge)), 3) AS mean, max(length(note)) AS note, round(avg(length(note)), 3) AS mean FROM robust_long;
SELECT mastering.report('SELECT id, name, city, note FROM robust_long') LIKE '<!DOCTYPE html>%' AS made;
SELECT current_setting('client_min_messages') AS told;
-- As the first call of a session, too, which does not know the library's settings yet.
\c -
SET client_min_messages = error;
SELECT mastering.report('SELECT id, name, city FROM robust_long') LIKE '<!DOCTYPE html>%' AS made;
DROP TABLE robust_long;
