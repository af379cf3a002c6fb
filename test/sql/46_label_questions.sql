-- What is asked first: links that look sure and that clusters do not follow, since many pairs hang on them, and of each two clusters once before twice.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA questions;
SET search_path = questions, public;
-- Five records of a and five of b, two pairs of them with a badge in common (7.4 bits, though nine in ten of the pairs are far apart); three of c and of d, with one such pair and badges of their own; and
-- two records of which the model knows little (3.4 bits).
CREATE TABLE badge AS SELECT i AS id, 1 AS one, substr('aaaaabbbbbcccdddef', i, 1) AS name, CASE i WHEN 1 THEN 'x' WHEN 6 THEN 'x' WHEN 2 THEN 'y' WHEN 7 THEN 'y' WHEN 11 THEN 'z' WHEN 14 THEN 'z' WHEN 12 THEN 'u' WHEN 15 THEN 'v' END AS badge, CASE WHEN i > 16 THEN 'h' END AS hint FROM generate_series(1, 18) AS i;
\set model '{"prior": 0.01, "threshold": 0.5, "blocking": ["one"], "comparisons": [{"column": "name", "method": "exact", "trained": [{"weight": 20}, {"weight": -8}]}, {"column": "badge", "method": "exact", "trained": [{"weight": 22}, {"weight": -8}]}, {"column": "hint", "method": "exact", "trained": [{"weight": 18}, {"weight": -8}]}]}'
SELECT id, cluster_id, size FROM mastering.match_clusters_as(NULL::integer, 'SELECT * FROM badge', :'model') WHERE id IN (1, 6, 11, 14, 17) ORDER BY 1;
CREATE TABLE verdict (id_a integer, id_b integer, is_match boolean);
CREATE TABLE asked (n integer, id_a integer, id_b integer, reason text);
SET questions.model = :'model';
DO $$
BEGIN
    FOR i IN 1..4 LOOP
        INSERT INTO asked SELECT i, u.id_a, u.id_b, u.reason
            FROM mastering.uncertain_pairs_as(NULL::integer, 'SELECT * FROM questions.badge', current_setting('questions.model')::jsonb, 1, 'SELECT * FROM questions.verdict') AS u;
        INSERT INTO verdict SELECT a.id_a, a.id_b, false FROM asked AS a WHERE a.n = i;
    END LOOP;
END $$;
SELECT a.n, x.name || y.name AS of, a.reason FROM asked AS a JOIN badge AS x ON x.id = a.id_a JOIN badge AS y ON y.id = a.id_b ORDER BY n;
-- Where most candidates match, by the prior, there is as much to ask.
CREATE TABLE likely AS SELECT i AS id, CASE WHEN i % 3 = 0 THEN 'john smith' ELSE 'jane ' || i % 17 END AS name, i / 300 AS home FROM generate_series(1, 3000) AS i;
SELECT prior, (SELECT count(*) FROM mastering.uncertain_pairs_as(NULL::integer, 'SELECT id, name, home FROM questions.likely', jsonb_build_object('blocking', '["home"]'::jsonb, 'threshold', 0.5, 'prior', prior,
    'comparisons', '[{"column": "name", "method": "jaro_winkler", "levels": [0.9], "trained": [{"m": 0.9, "u": 0.01, "weight": 9}, {"m": 0.05, "u": 0.01, "weight": 3}, {"m": 0.05, "u": 0.98, "weight": -5}]}]'::jsonb), 100)) AS asked
FROM (VALUES (0.4), (0.6)) AS priors (prior);
DROP SCHEMA questions CASCADE;
