-- Average linkage where values are missing: what a pair has no values for it takes from the other pairs of the two clusters.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA linkage;
CREATE FUNCTION linkage.model(bits int, prior float8) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('blocking', '["phone", "email"]'::jsonb, 'prior', prior, 'comparisons', jsonb_agg(jsonb_build_object(
        'column', c, 'method', 'exact', 'trained', jsonb_build_array(jsonb_build_object('level', 'exact', 'weight', bits), jsonb_build_object('level', 'else', 'weight', -8)))))
    FROM unnest(ARRAY['name', 'phone', 'email']) AS c $$;
CREATE TABLE linkage.people (id int, name text, phone text, email text);

-- 1 and 3 have nothing to compare: no evidence that they differ, though their weight is the prior. With another name 3 is another person than 1, however near to 2.
INSERT INTO linkage.people VALUES (1, 'anna', '1', NULL), (2, NULL, '1', 'e'), (3, NULL, NULL, 'e');
SELECT id_a, id_b, weight FROM mastering.match_pairs('SELECT * FROM linkage.people', linkage.model(14, 1 / 4097.0), 1e-9) ORDER BY 1, 2;
SELECT count(DISTINCT cluster_id) AS clusters FROM mastering.match_clusters('SELECT * FROM linkage.people', linkage.model(14, 1 / 4097.0));
UPDATE linkage.people SET name = 'berta' WHERE id = 3;
SELECT id, cluster_id FROM mastering.match_clusters('SELECT * FROM linkage.people', linkage.model(14, 1 / 4097.0)) ORDER BY 1;

-- A record without a name holds no two names together.
TRUNCATE linkage.people;
INSERT INTO linkage.people VALUES (1, 'anna', '1', 'e'), (2, NULL, '1', 'e'), (3, 'berta', '1', NULL);
SELECT id, cluster_id FROM mastering.match_clusters('SELECT * FROM linkage.people', linkage.model(5, 1 / 9.0)) ORDER BY 1;
UPDATE linkage.people SET name = 'anna' WHERE id = 3;
SELECT id, cluster_id FROM mastering.match_clusters('SELECT * FROM linkage.people', linkage.model(5, 1 / 9.0)) ORDER BY 1;

-- Arrays and frequencies are part of what a pair says; the same in any order, with any number of threads, and in passes.
CREATE TABLE linkage.many AS
SELECT n AS id, CASE WHEN n % 3 > 0 THEN 'first' || k % 40 END AS name, CASE WHEN n % 4 > 0 THEN 'p' || k % 300 END AS phone, CASE WHEN n % 5 > 0 THEN ARRAY['m' || k % 170, 'n' || k % 90] END AS email
FROM (SELECT n, (n * 7919) % 500 AS k FROM generate_series(1, 3000) AS n) AS numbers;
SELECT mastering.train_model('SELECT * FROM linkage.many', '{"blocking": ["phone", "name"], "comparisons": [{"column": "name", "method": "exact", "term_frequency": true}, {"column": "phone", "method": "exact"}]}') AS model \gset
SELECT mastering.train_model('SELECT * FROM linkage.many', '{"blocking": ["phone", {"keys": "email"}], "comparisons": [{"column": "name", "method": "jaro_winkler", "term_frequency": true}, {"column": "phone", "method": "exact"}, {"column": "email", "elements": "best", "method": "exact", "term_frequency": true}]}') AS lists \gset
CREATE FUNCTION linkage.sum(query text, model jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(id || ' ' || cluster_id || ' ' || coalesce(weakest_link::text, ''), ',' ORDER BY id::int)) FROM mastering.match_clusters(query, model) $$;
SET mastering.threads = 1;
SELECT linkage.sum('SELECT * FROM linkage.many ORDER BY id', :'model') AS one, linkage.sum('SELECT * FROM linkage.many ORDER BY id', :'lists') AS one_lists \gset
SET mastering.threads = 4;
SELECT linkage.sum('SELECT * FROM linkage.many ORDER BY id DESC', :'model') = :'one' AS same, linkage.sum('SELECT * FROM linkage.many ORDER BY id DESC', :'lists') = :'one_lists' AS same_lists;
SET mastering.work_mem = '1MB';
SELECT linkage.sum('SELECT * FROM linkage.many ORDER BY md5(id::text)', :'model') = :'one' AS same;
RESET mastering.work_mem;
RESET mastering.threads;
DROP SCHEMA linkage CASCADE;
