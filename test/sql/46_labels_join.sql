-- What labels alone have joined need not look alike: a thing that has two forms is no less like the records of one of them.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA forms;
SET search_path = forms, mastering;
-- Equal values weigh 14 bits, others -8, the prior -12.
SELECT jsonb_build_object('blocking', '["name", "phone", "email"]'::jsonb, 'prior', 1 / 4097.0, 'comparisons', jsonb_agg(jsonb_build_object(
    'column', c, 'method', 'exact', 'trained', jsonb_build_array(jsonb_build_object('level', 'exact', 'weight', 14), jsonb_build_object('level', 'else', 'weight', -8))))) AS model
FROM unnest(ARRAY['name', 'phone', 'email']) AS c \gset
CREATE TABLE records (id int, name text, phone text, email text);
INSERT INTO records SELECT n, 'anna', '1', 'a' FROM generate_series(1, 4) AS n UNION ALL SELECT n, 'hannah', '2', 'z' FROM generate_series(5, 8) AS n
    UNION ALL SELECT n, 'anna', '1', 'b' FROM generate_series(9, 10) AS n;
CREATE FUNCTION groups(model jsonb, labels text, query text DEFAULT 'SELECT * FROM forms.records') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(members, ' | ' ORDER BY members) FROM (SELECT string_agg(id, ' ' ORDER BY id::int) AS members FROM mastering.match_clusters(query, model, labels => labels) GROUP BY cluster_id) AS g $$;
SELECT groups(:'model', NULL) AS by_looks, groups(:'model', 'SELECT 1 AS id_a, 5 AS id_b, true AS is_match') AS by_a_label;
-- A label that keeps records apart holds for all that is joined.
SELECT groups(:'model', 'SELECT * FROM (VALUES (1, 5, true), (5, 9, false)) AS v (id_a, id_b, is_match)') AS kept_apart;
-- One record like one record is not enough where the rest of the cluster is not like it.
UPDATE records SET name = 'x' || id, phone = 'x' || id, email = 'x' || id WHERE id IN (6, 7, 8, 10);
UPDATE records SET name = 'hannah', phone = '2' WHERE id = 9;
SELECT groups(:'model', NULL) AS by_looks, groups(:'model', 'SELECT 1 AS id_a, 5 AS id_b, true AS is_match') AS by_a_label;

-- Copies stay together, whichever of them labels join to what is unlike them.
\set copies '{"blocking": ["k"], "prior": 0.01, "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9], "trained": [{"weight": 40}, {"weight": 25}, {"weight": -6}]}]}'
SELECT n, w AS labelled, groups(:'copies', format('SELECT %s AS id_a, o AS id_b, true AS is_match FROM generate_series(8, 9) AS o', w), format('SELECT i AS id, 1 AS k, ''john smith'' AS name FROM generate_series(1, %s) AS i UNION ALL SELECT 8, 2, ''quite another'' UNION ALL SELECT 9, 3, ''vvv''', n))
FROM generate_series(2, 4) AS n, generate_series(1, n) AS w ORDER BY 1, 2;
-- So do those that differ a little, where there are several.
SELECT w AS labelled, groups(:'copies', format('SELECT %s AS id_a, o AS id_b, true AS is_match FROM generate_series(8, 9) AS o', w), 'SELECT i AS id, 1 AS k, ''john smit'' || chr(96 + i) AS name FROM generate_series(1, 4) AS i UNION ALL SELECT 8, 2, ''quite another'' UNION ALL SELECT 9, 3, ''vvv''')
FROM generate_series(1, 4) AS w ORDER BY 1;

-- The same in any order, by any number of threads, and in passes; and labels that follow from the others change nothing.
CREATE TABLE many AS
SELECT n AS id, k % 500 AS thing, 'first' || k % 40 AS name, CASE WHEN n % 4 > 0 THEN 'p' || k % 500 || 'f' || n / 500 % 3 END AS phone, 'm' || k % 170 || 'f' || n / 500 % 2 AS email FROM (SELECT n, (n * 7919) % 500 AS k FROM generate_series(1, 3000) AS n) AS numbers;
CREATE TABLE verdicts AS SELECT a.id AS id_a, b.id AS id_b, a.thing = b.thing AS is_match FROM many AS a JOIN many AS b ON b.id = a.id + 500 * (1 + a.id % 3) + CASE WHEN a.id % 7 = 0 THEN 40 ELSE 0 END WHERE a.id % 5 = 0;
SELECT count(*) FILTER (WHERE is_match) AS matches, count(*) FILTER (WHERE NOT is_match) AS others FROM verdicts;
CREATE FUNCTION sum(query text, model jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(id || ' ' || cluster_id || ' ' || coalesce(weakest_link::text, ''), ',' ORDER BY id::int)) FROM mastering.match_clusters(query, model, labels => 'SELECT * FROM forms.verdicts') $$;
SET mastering.threads = 1;
SELECT sum('SELECT id, name, phone, email FROM forms.many ORDER BY id', :'model') AS one \gset
SET mastering.threads = 4;
SELECT sum('SELECT id, name, phone, email FROM forms.many ORDER BY md5(id::text)', :'model') = :'one' AS same;
SET mastering.work_mem = '1MB';
SELECT sum('SELECT id, name, phone, email FROM forms.many ORDER BY id DESC', :'model') = :'one' AS same;
RESET mastering.work_mem;
RESET mastering.threads;
-- No record is with one it is labelled apart from, and labelled matches are together.
SELECT bool_and((a.cluster_id = b.cluster_id) = is_match) AS followed FROM verdicts JOIN mastering.match_clusters('SELECT id, name, phone, email FROM forms.many', :'model', labels => 'SELECT * FROM forms.verdicts') AS a ON a.id::int = id_a
    JOIN mastering.match_clusters('SELECT id, name, phone, email FROM forms.many', :'model', labels => 'SELECT * FROM forms.verdicts') AS b ON b.id::int = id_b;
DROP SCHEMA forms CASCADE;
