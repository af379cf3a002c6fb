-- Judging clusters and pairs: small cases that can be checked by hand, then random ones against a computation that
-- makes every pair.
\set VERBOSITY default
\set SHOW_CONTEXT never

-- Truth {1 2} {3 4 5}; predicted {1 2 3} {4}, 5 missing, 9 without truth. Right pairs: 1-2. B-cubed precision
-- (2/3 + 2/3 + 1/3 + 1 + 1) / 5, recall (1 + 1 + 1/3 + 1/3 + 1/3) / 5.
SELECT * FROM mastering.evaluate_clusters($$SELECT * FROM (VALUES (1, 'a'), (2, 'a'), (3, 'a'), (4, 'b'), (5, NULL), (9, 'z')) AS v (id, cluster_id)$$,
    $$SELECT * FROM (VALUES (1, 'x'), (2, 'x'), (3, 'y'), (4, 'y'), (5, 'y'), (9, NULL)) AS v (id, person)$$);
-- The truth itself, under other names and as text; nothing at all; all alone; one cluster.
SELECT metric, value FROM mastering.evaluate_clusters($$SELECT i::text AS id, -(i / 2) AS cluster_id, 'more' AS more FROM generate_series(1, 9) AS i;$$, $$SELECT i / 2 AS entity_id, 'more' AS more, i AS id FROM generate_series(1, 9) AS i -- all$$);
SELECT pg_catalog.string_agg(COALESCE(value::text, 'NULL'), ' ') FROM mastering.evaluate_clusters('SELECT 1 AS id, 1 AS cluster_id WHERE false', 'SELECT 1 AS id, 1 AS cluster_id WHERE false');
SELECT pg_catalog.string_agg(COALESCE(value::text, 'NULL'), ' ') FROM mastering.evaluate_clusters('SELECT 1 AS id, 1 AS cluster_id WHERE false', 'SELECT i AS id, i AS entity_id FROM generate_series(1, 3) AS i');
SELECT pg_catalog.string_agg(COALESCE(value::text, 'NULL'), ' ') FROM mastering.evaluate_clusters('SELECT i AS id, 1 AS cluster_id FROM generate_series(1, 3) AS i', 'SELECT i AS id, 1 AS entity_id FROM generate_series(1, 3) AS i');
-- A record without a cluster does not meet a cluster that bears its id as name.
SELECT metric, value FROM mastering.evaluate_clusters($$SELECT 1 AS id, '2' AS cluster_id$$, 'SELECT i AS id, 1 AS entity_id FROM generate_series(1, 2) AS i') WHERE metric IN ('predicted_clusters', 'predicted_pairs');
-- Two clusters of 100,000: 9,999,900,000 pairs, counted and not made.
SELECT metric, value FROM mastering.evaluate_clusters('SELECT i AS id, i % 2 AS cluster_id FROM generate_series(1, 200000) AS i', 'SELECT i AS id, i % 2 AS entity_id FROM generate_series(1, 200000) AS i') WHERE metric LIKE '%pair%' OR metric = 'adjusted_rand';

-- Pairs: without order, once, not with oneself; 1-77 cannot be judged.
SELECT * FROM mastering.evaluate_pairs($$SELECT * FROM (VALUES (1, 2, .9), (2, 1, .95), (3, 3, 1), (3, 4, .5), (1, 3, .99), (1, 77, .2), (NULL, 1, 1), (5, 4, NULL)) AS v (id_a, id_b, probability)$$,
    $$SELECT * FROM (VALUES (1, 'x'), (2, 'x'), (3, 'y'), (4, 'y'), (5, 'y')) AS v (id, e)$$);
-- Verdicts: only pairs that have one count. By weight.
SELECT * FROM mastering.evaluate_pairs($$SELECT * FROM (VALUES (1, 2, 9), (2, 1, 4), (3, 4, -15), (1, 3, 20), (1, 77, .2), (1, 78, '-infinity')) AS v (id_a, id_b, weight)$$,
    $$SELECT * FROM (VALUES (2, 1, true), (1, 2, true), (3, 4, true), (1, 3, false), (1, 78, NULL)) AS v (id_a, id_b, is_match)$$);
-- A list of matches: whatever is not in it is wrong. No score. No pair.
SELECT * FROM mastering.evaluate_pairs($$SELECT * FROM (VALUES (1, 2), (7, 8)) AS v (id_a, id_b)$$, $$SELECT * FROM (VALUES (2, 1), (3, 4), (1, 3), (4, 3)) AS v (id_a, id_b)$$);
SELECT * FROM mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight WHERE false', 'SELECT 1 AS id_a, 2 AS id_b WHERE false');

-- Intervals. 40 things of two records, 4 of them not found: a share of 0.9 of 40 things, 0.769 to 0.960 by hand, but for one degree of freedom; what was never wrong
-- is as sure as 36 things make it, 36 / (36 + 1.96 ^ 2). Without records there is none.
SELECT metric, value, low, high FROM mastering.evaluate_clusters('SELECT i AS id, CASE WHEN i < 8 THEN i ELSE 100 + i / 2 END AS cluster_id FROM generate_series(0, 79) AS i', 'SELECT i AS id, i / 2 AS entity_id FROM generate_series(0, 79) AS i', 0.95);
SELECT count(*), count(low) FROM mastering.evaluate_clusters('SELECT 1 AS id, 1 AS cluster_id WHERE false', 'SELECT 1 AS id, 1 AS entity_id WHERE false', 0.9);
SELECT count(*), count(low), count(high) FROM mastering.evaluate_clusters('SELECT 1 AS id, 1 AS cluster_id', 'SELECT 1 AS id, 1 AS entity_id', 0.9);
-- Worlds made by one rule, 100 of them: about 95 of 100 intervals hold the mean of them all.
CREATE TABLE world AS
SELECT w, t AS entity, w || '-' || t || '-' || r AS id, CASE WHEN hashint8extended(w * 100000 + t * 10 + r, 1) & 1023 < 123 THEN 'alone' || t || '-' || r WHEN hashint8extended(w * 100000 + t / 2, 2) & 1023 < 102 THEN 'merged' || t / 2 ELSE 'right' || t END AS cluster_id
  FROM generate_series(1, 100) AS w, generate_series(0, 99) AS t, LATERAL generate_series(1, 1 + (hashint8extended(w * 1000 + t, 3) & 3)::int) AS r;
CREATE TABLE world_result AS SELECT w, e.* FROM generate_series(1, 100) AS w CROSS JOIN LATERAL mastering.evaluate_clusters(format('SELECT id, cluster_id FROM world WHERE w = %s', w), format('SELECT id, entity FROM world WHERE w = %s', w), 0.95) AS e WHERE low IS NOT NULL;
SELECT metric, avg((mean BETWEEN low AND high)::int) BETWEEN 0.88 AND 0.99 AS covered FROM world_result JOIN (SELECT metric, avg(value) AS mean FROM world_result GROUP BY metric) AS m USING (metric) GROUP BY metric ORDER BY metric;
SELECT mastering.evaluate_clusters('SELECT 1 AS id, 1 AS cluster_id', 'SELECT 1 AS id, 1 AS entity_id', 1);
-- a: {1 2} {3 4} {5} {6} {7 8} {9 10 11} {12}; b: {1 2} {3} {4} {5 6} {7} {8 9 10 11} {13}.
SELECT * FROM mastering.compare_clusters($$SELECT * FROM (VALUES (1, 'a'), (2, 'a'), (3, 'b'), (4, 'b'), (5, 'c'), (6, 'd'), (7, 'e'), (8, 'e'), (9, 'f'), (10, 'f'), (11, 'f'), (12, 'g')) AS v (id, cluster_id)$$,
    $$SELECT * FROM (VALUES (1, '1'), (2, '1'), (3, '2'), (4, '3'), (5, '4'), (6, '4'), (7, '5'), (8, '6'), (9, '6'), (10, '6'), (11, '6'), (13, 'g')) AS v (id, cluster_id)$$);
SELECT kind, clusters, records, examples FROM mastering.compare_clusters('SELECT i AS id, i / 3 AS cluster_id FROM generate_series(1, 10) AS i', 'SELECT i AS id, -(i / 3) AS cluster_id FROM generate_series(1, 10) AS i');
SELECT kind, clusters, records, examples FROM mastering.compare_clusters('SELECT 1 AS id, 1 AS cluster_id WHERE false', 'SELECT 1 AS id, 1 AS cluster_id WHERE false');

-- What is refused.
SELECT mastering.evaluate_clusters('SELECT 1 AS id, 2 AS cluster', 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.evaluate_clusters('SELECT 1 AS id, 2 AS cluster_id', 'SELECT 1 AS id');
SELECT mastering.evaluate_clusters('SELECT 1 AS id, 2 AS cluster_id', 'SELECT 1 AS id, 2 AS a, 3 AS entityid');
SELECT mastering.evaluate_clusters('SELECT 1 AS id, 2 AS cluster_id', 'SELECT 1 AS idd, 2 AS entity_id');
SELECT mastering.evaluate_clusters('SELECT 1 AS id, i AS cluster_id FROM generate_series(1, 2) AS i', 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.evaluate_clusters('SELECT 1 AS id, 1 AS cluster_id', 'SELECT NULL AS id, 2 AS entity_id');
SELECT mastering.evaluate_clusters(NULL, 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS b', 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS id_b', 'SELECT 1 AS id_a, 2 AS idb');
SELECT mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS id_b', 'SELECT 1 AS x');
SELECT mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS id_b', 'SELECT 1 AS id_a, 2 AS id_b, true AS is_match UNION ALL SELECT 2, 1, false');
SELECT mastering.compare_clusters('SELECT 1 AS id, 1 AS cluster_id', 'SELECT 1 AS id');
SELECT mastering.compare_clusters('SELECT 1 AS id, 1 AS cluster_id', 'DROP TABLE x');

-- Random clusters, coarse and fine, partly covered, against the definitions.
CREATE TABLE judged (trial int, id int, predicted int, truth int);
INSERT INTO judged SELECT t, i, NULLIF(abs(hashint8(i * 1000 + t)) % (3 + t * t), 0), NULLIF(abs(hashint8(i * 7919 + t)) % (2 + t * 3), 1) FROM generate_series(1, 8) AS t, generate_series(1, 60) AS i;
-- Half of the trials resemble their truth.
UPDATE judged SET predicted = truth WHERE trial % 2 = 0 AND id % 4 <> 0;
CREATE FUNCTION naive(trial int) RETURNS TABLE (metric text, value numeric) LANGUAGE sql AS $$
    WITH record AS (SELECT j.id, j.truth, COALESCE(j.predicted::text, 'alone ' || j.id) AS predicted FROM judged AS j WHERE j.trial = naive.trial AND j.truth IS NOT NULL),
    pair AS (SELECT x.truth = y.truth AS belongs, x.predicted = y.predicted AS predicted FROM record AS x JOIN record AS y ON x.id < y.id),
    c AS (SELECT count(*)::numeric AS n, count(*) FILTER (WHERE belongs)::numeric AS t, count(*) FILTER (WHERE predicted)::numeric AS p, count(*) FILTER (WHERE belongs AND predicted)::numeric AS r FROM pair),
    b AS (SELECT avg((SELECT count(*) FROM record AS y WHERE y.truth = x.truth AND y.predicted = x.predicted)::numeric / (SELECT count(*) FROM record AS y WHERE y.predicted = x.predicted)) AS p,
            avg((SELECT count(*) FROM record AS y WHERE y.truth = x.truth AND y.predicted = x.predicted)::numeric / (SELECT count(*) FROM record AS y WHERE y.truth = x.truth)) AS r FROM record AS x),
    e AS (SELECT count(*) AS exact FROM (SELECT array_agg(id ORDER BY id) FROM record GROUP BY truth INTERSECT SELECT array_agg(id ORDER BY id) FROM record GROUP BY predicted) AS same)
    SELECT v.* FROM c, b, e, (SELECT count(DISTINCT truth) AS t, count(DISTINCT predicted) AS p FROM record) AS k, LATERAL (VALUES ('true_pairs', c.t), ('predicted_pairs', c.p), ('right_pairs', c.r), ('true_clusters', k.t), ('predicted_clusters', k.p), ('exact_clusters', e.exact),
        ('pair_precision', round(c.r / NULLIF(c.p, 0), 6)), ('pair_recall', round(c.r / NULLIF(c.t, 0), 6)), ('pair_f1', round(2 * c.r / NULLIF(c.p + c.t, 0), 6)),
        ('bcubed_precision', round(b.p, 6)), ('bcubed_recall', round(b.r, 6)), ('bcubed_f1', round(2 * b.p * b.r / (b.p + b.r), 6)),
        ('adjusted_rand', round((c.r - c.t * c.p / c.n) / ((c.t + c.p) / 2 - c.t * c.p / c.n), 6))) AS v (metric, value) $$;
SELECT t AS trial, count(*) AS metrics, count(*) FILTER (WHERE n.value IS DISTINCT FROM e.value) AS wrong, max(e.value) FILTER (WHERE metric = 'exact_clusters') AS exact, max(e.value) FILTER (WHERE metric = 'adjusted_rand') AS adjusted_rand
FROM generate_series(1, 8) AS t CROSS JOIN LATERAL naive(t) AS n
JOIN LATERAL mastering.evaluate_clusters(format('SELECT id, predicted AS cluster_id FROM judged WHERE trial = %s', t), format('SELECT id, truth FROM judged WHERE trial = %s ORDER BY id DESC', t)) AS e USING (metric)
GROUP BY t ORDER BY t;

-- The pairs of clusters, judged as pairs, give what the clusters give.
SELECT t AS trial, p.predicted_pairs = (m->>'predicted_pairs')::numeric AND p.right_pairs = (m->>'right_pairs')::numeric AND p.true_pairs = (m->>'true_pairs')::numeric
    AND p.f1 = (m->>'pair_f1')::numeric AS same
FROM generate_series(1, 8) AS t
CROSS JOIN LATERAL (SELECT jsonb_object_agg(metric, value) AS m FROM mastering.evaluate_clusters(format('SELECT id, predicted AS cluster_id FROM judged WHERE trial = %s', t), format('SELECT id, truth FROM judged WHERE trial = %s', t))) AS e
CROSS JOIN LATERAL mastering.evaluate_pairs(format('SELECT x.id AS id_a, y.id AS id_b FROM judged AS x JOIN judged AS y USING (trial, predicted) WHERE trial = %s', t), format('SELECT id, truth FROM judged WHERE trial = %s', t)) AS p
ORDER BY t;
-- So do the intervals: entities are the cases of both.
SELECT t AS trial, bool_and(abs(c.low - v.low) < 0.00001 AND abs(c.high - v.high) < 0.00001) AS same, count(c.low) AS intervals
FROM generate_series(1, 8) AS t
CROSS JOIN LATERAL mastering.evaluate_clusters(format('SELECT id, predicted AS cluster_id FROM judged WHERE trial = %s', t), format('SELECT id, truth FROM judged WHERE trial = %s', t), 0.9) AS c
CROSS JOIN LATERAL mastering.evaluate_pairs(format('SELECT x.id AS id_a, y.id AS id_b FROM judged AS x JOIN judged AS y USING (trial, predicted) WHERE trial = %s', t), format('SELECT id, truth FROM judged WHERE trial = %s', t), confidence => 0.9) AS p
JOIN LATERAL (VALUES ('pair_precision', p.precision_low, p.precision_high), ('pair_recall', p.recall_low, p.recall_high), ('pair_f1', p.f1_low, p.f1_high)) AS v (metric, low, high) ON v.metric = c.metric
GROUP BY t ORDER BY t;
-- Of verdicts each pair is a case: Wilson's interval of as many. Few cases give wide intervals, and no error is not certainty.
CREATE TABLE scored AS SELECT i AS id_a, i + 1000 AS id_b, (i % 97) / 97.0 AS probability, (i * 7919 % 100) < 100.0 * (i % 97) / 97 AS is_match FROM generate_series(1, 900) AS i;
SELECT p.threshold, p.predicted_pairs, p."precision", p.precision_low, p.precision_high, abs(p.precision_low - a.low) < 0.001 AND abs(p.precision_high - a.high) < 0.001 AS as_wilson, p.recall, p.recall_low, p.recall_high,
    abs(p.recall_low - b.low) < 0.001 AND abs(p.recall_high - b.high) < 0.001 AS as_wilson, p.f1, p.f1_low, p.f1_high
FROM mastering.evaluate_pairs('SELECT id_a, id_b, probability FROM scored', 'SELECT id_a, id_b, is_match FROM scored', '{0.2,0.5,0.95,0.99}', 0.95) AS p
LEFT JOIN LATERAL mastering.share_interval(p."precision"::float8, p."precision"::float8 * (1 - p."precision"::float8) / p.predicted_pairs, p.predicted_pairs, 0.95) AS a ON true
LEFT JOIN LATERAL mastering.share_interval(p.recall::float8, p.recall::float8 * (1 - p.recall::float8) / p.true_pairs::float8, p.true_pairs::float8, 0.95) AS b ON true;
-- 100 samples of 150 verdicts: about nine in ten intervals hold what all verdicts say.
SELECT count(*) FILTER (WHERE s."precision" IS NOT NULL) AS samples, round(avg((p."precision" BETWEEN s.precision_low AND s.precision_high)::int), 1) AS "precision",
    round(avg((p.recall BETWEEN s.recall_low AND s.recall_high)::int), 1) AS recall, round(avg((p.f1 BETWEEN s.f1_low AND s.f1_high)::int), 1) AS f1
FROM generate_series(1, 100) AS t
CROSS JOIN mastering.evaluate_pairs('SELECT id_a, id_b, probability FROM scored', 'SELECT id_a, id_b, is_match FROM scored', '{0.5}') AS p
CROSS JOIN LATERAL mastering.evaluate_pairs('SELECT id_a, id_b, probability FROM scored', format('SELECT id_a, id_b, is_match FROM scored ORDER BY hashint8(id_a * 1000 + %s) LIMIT 150', t), '{0.5}', 0.9) AS s
WHERE p.threshold = 0.5 AND s.threshold = 0.5;
SELECT p.precision_low IS NULL AS nothing, p.f1 FROM mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS id_b WHERE false', 'SELECT 1 AS id_a, 2 AS id_b WHERE false', confidence => 0.5) AS p;
SELECT mastering.evaluate_pairs('SELECT 1 AS id_a, 2 AS id_b', 'SELECT 1 AS id_a, 2 AS id_b', confidence => 1);
DROP TABLE scored;
-- Every record that both results have is of one kind of change at most, and the equal clusters are those of a naive count.
SELECT t AS trial, max(records) FILTER (WHERE kind = 'equal') = (SELECT COALESCE(sum(cardinality(ids)), 0) FROM
        (SELECT array_agg(id ORDER BY id) AS ids FROM judged WHERE trial = t AND predicted IS NOT NULL AND truth IS NOT NULL GROUP BY predicted
         INTERSECT SELECT array_agg(id ORDER BY id) FROM judged WHERE trial = t AND predicted IS NOT NULL AND truth IS NOT NULL GROUP BY truth) AS same) AS equal_is_right,
    sum(records) FILTER (WHERE kind LIKE 'only%') = (SELECT count(*) FROM judged WHERE trial = t AND (predicted IS NULL) <> (truth IS NULL)) AS only_is_right,
    sum(records) FILTER (WHERE kind NOT LIKE 'only%') <= 60 AS within
FROM generate_series(1, 8) AS t CROSS JOIN LATERAL mastering.compare_clusters(format('SELECT id, predicted AS cluster_id FROM judged WHERE trial = %s', t), format('SELECT id, truth AS cluster_id FROM judged WHERE trial = %s', t)) AS c
GROUP BY t ORDER BY t;
SELECT mastering.nearest_name(n, '{most_frequent,longest,email,aehnlich}') FROM unnest('{most_frequnt,lognest,EMAIL,xyz,"",ahnlich,mostfrequent}'::text[]) AS n;
DROP FUNCTION naive;
DROP TABLE judged;
