-- 45_evaluate.sql: judging results: clusters and pairs against the truth, and two results against each other.
--
-- Pairs within clusters are counted from the sizes of clusters, n(n-1)/2, and never made: a cluster of a million
-- records costs what its rows cost. Counts are exact (numeric); shares are exact quotients rounded to 6 places,
-- NULL where they would divide by zero. Ids are compared by their text, so that ids as text and ids in their own
-- type meet. The queries run as the caller.

-- The column that names the cluster of a record: entity_id or cluster_id, else the only other column.
CREATE FUNCTION mastering.truth_column(columns text[], argument text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    others text[] := array_remove(columns, 'id');
BEGIN
    PERFORM mastering.require_columns(columns, '{id}', argument);
    IF 'entity_id' = ANY (columns) THEN
        RETURN 'entity_id';
    ELSIF 'cluster_id' = ANY (columns) THEN
        RETURN 'cluster_id';
    ELSIF cardinality(others) = 1 THEN
        RETURN others[1];
    END IF;
    PERFORM mastering.require_columns(columns, '{entity_id}', argument);
END
$$;
COMMENT ON FUNCTION mastering.truth_column(text[], text) IS
'Internal. The column of a query of the truth that names what a record is: entity_id, cluster_id, or the only one beside id.';

CREATE FUNCTION mastering.query_column_names(query text, argument text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL RESTRICTED
AS $$ SELECT ARRAY(SELECT c.name FROM mastering.query_columns(query, argument) AS c ORDER BY c."position") $$;
COMMENT ON FUNCTION mastering.query_column_names(text, text) IS 'Internal. The names of the columns of a query, in order.';

-- 6 places, NULL instead of a division by zero.
CREATE FUNCTION mastering.share(part numeric, whole numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT pg_catalog.round(part / NULLIF(whole, 0), 6) $$;
COMMENT ON FUNCTION mastering.share(numeric, numeric) IS 'Internal. part / whole to 6 places, NULL when whole is 0.';

-- Metrics, in the order of the rows below:
--   pairwise precision, recall, F1: over pairs of records in one cluster;
--   B-cubed: Bagga and Baldwin, 1998: for each record, the share of its cluster that belongs with it, averaged;
--   adjusted Rand: Hubert and Arabie, 1985;
--   exact clusters: predicted clusters that hold exactly the records of a true one.
--
-- Intervals: the true clusters are taken for a sample, drawn one by one, of all there are. The variance of a metric is
-- that of its linear approximation, summed by true cluster (Taylor linearisation: Binder, 1983): what each cluster
-- weighs in the metric, the pairs that it shares with others included. Metrics are shares, and often next to 1, so the
-- interval is Wilson's (1927) for as many independent cases as would have that variance (Korn and Graubard, 1998); where
-- no error was seen, that is the number of true clusters that have a say.
CREATE FUNCTION mastering.normal_quantile(confidence double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    -- Abramowitz and Stegun, 1964, 26.2.23: an error below 0.00045.
    SELECT t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t)
      FROM (SELECT sqrt(-2 * ln((1 - confidence) / 2)) AS t) AS q
$$;
COMMENT ON FUNCTION mastering.normal_quantile(double precision) IS 'Internal. How many standard errors to either side hold this share of a normal distribution.';

CREATE FUNCTION mastering.share_interval(value double precision, variance double precision, units double precision, confidence double precision,
    OUT low numeric, OUT high numeric)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT round(greatest((p + z * z / (2 * n) - half) / (1 + z * z / n), 0)::numeric, 6), round(least((p + z * z / (2 * n) + half) / (1 + z * z / n), 1)::numeric, 6)
      FROM (SELECT p, z, n, z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) AS half
              FROM (SELECT value AS p, mastering.normal_quantile(confidence) AS z,
                           CASE WHEN variance > 1e-15 AND value > 0 AND value < 1 THEN value * (1 - value) / variance ELSE units END AS n) AS a
             WHERE n > 0) AS b
$$;
COMMENT ON FUNCTION mastering.share_interval(double precision, double precision, double precision, double precision) IS 'Internal. The interval of a share with this variance; units: independent cases, where none of them differed.';

CREATE FUNCTION mastering.sum_variance(sum double precision, squares double precision, cases double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN cases > 1 THEN greatest(squares - sum * sum / cases, 0) * cases / (cases - 1) ELSE 0 END $$;
COMMENT ON FUNCTION mastering.sum_variance(double precision, double precision, double precision) IS 'Internal. The variance of the sum of so many independent cases with this sum and sum of squares.';

CREATE FUNCTION mastering.evaluate_clusters(predicted text, truth text, confidence double precision DEFAULT NULL)
RETURNS TABLE (metric text, value numeric, meaning text, low numeric, high numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 25
AS $$
BEGIN
    IF NOT (confidence > 0 AND confidence < 1) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the confidence %s is not between 0 and 1, both excluded', confidence),
            HINT = 'Write confidence => 0.95, or leave it out for no intervals.';
    END IF;
    PERFORM mastering.require_columns(mastering.query_column_names(predicted, 'predicted'), '{id,cluster_id}', 'predicted');
    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH cell AS MATERIALIZED (
    -- The records that a true and a predicted cluster share. A record that was not predicted is a cluster of its
    -- own, told apart by its id; a predicted record without a truth has no true_cluster.
    SELECT t.cluster_id AS true_cluster, p.cluster_id AS predicted_cluster,
        CASE WHEN p.id IS NULL THEN t.id END AS alone, pg_catalog.count(*)::pg_catalog.numeric AS records
    FROM (
        %1$s
    ) AS t
    FULL JOIN (
        %2$s
    ) AS p ON p.id = t.id
    GROUP BY 1, 2, 3
),
sized AS MATERIALIZED (
    SELECT true_cluster, records, alone,
        pg_catalog.sum(records) OVER (PARTITION BY true_cluster) AS true_size,
        pg_catalog.sum(records) OVER (PARTITION BY predicted_cluster, alone) AS predicted_size,
        pg_catalog.sum(records * records) OVER (PARTITION BY predicted_cluster, alone) AS predicted_squares
    FROM cell
    WHERE true_cluster IS NOT NULL
),
-- The clusters of one size together: the truth of a million pairs is a handful of rows here.
by_true AS (
    SELECT true_size AS size, pg_catalog.div(pg_catalog.sum(records), true_size) AS clusters, pg_catalog.sum(records * records) AS squares
    FROM sized GROUP BY true_size
),
by_predicted AS (
    SELECT predicted_size AS size, pg_catalog.div(pg_catalog.sum(records), predicted_size) AS clusters, pg_catalog.sum(records * records) AS squares
    FROM sized GROUP BY predicted_size
),
counted AS (
    SELECT COALESCE(c.records, 0) AS records, COALESCE(c.missing, 0) AS missing, COALESCE(c.exact, 0) AS exact,
        COALESCE(c.right_pairs, 0) AS right_pairs,
        COALESCE((SELECT pg_catalog.sum(o.records) FROM cell AS o WHERE o.true_cluster IS NULL), 0) AS outside,
        COALESCE(t.clusters, 0) AS true_clusters, COALESCE(t.pairs, 0) AS true_pairs, t.bcubed AS bcubed_recall_sum,
        COALESCE(p.clusters, 0) AS predicted_clusters, COALESCE(p.pairs, 0) AS predicted_pairs, p.bcubed AS bcubed_precision_sum,
        pg_catalog.div(c.records * (c.records - 1), 2) AS all_pairs
    FROM (
        SELECT pg_catalog.sum(s.records) AS records, pg_catalog.count(s.alone)::pg_catalog.numeric AS missing,
            pg_catalog.count(*) FILTER (WHERE s.records = s.true_size AND s.records = s.predicted_size)::pg_catalog.numeric AS exact,
            pg_catalog.sum(pg_catalog.div(s.records * (s.records - 1), 2)) AS right_pairs
        FROM sized AS s) AS c,
    (SELECT pg_catalog.sum(b.clusters) AS clusters, pg_catalog.sum(b.clusters * pg_catalog.div(b.size * (b.size - 1), 2)) AS pairs,
        pg_catalog.sum(b.squares / b.size) AS bcubed FROM by_true AS b) AS t,
    (SELECT pg_catalog.sum(b.clusters) AS clusters, pg_catalog.sum(b.clusters * pg_catalog.div(b.size * (b.size - 1), 2)) AS pairs,
        pg_catalog.sum(b.squares / b.size) AS bcubed FROM by_predicted AS b) AS p
),
-- What each true cluster weighs: by how much the totals grow with another one like it. Read only for intervals.
entity AS (
    SELECT pg_catalog.sum(s.records)::pg_catalog.float8 AS records,
        pg_catalog.sum(s.records * (s.records - 1) / 2)::pg_catalog.float8 AS right_pairs,
        pg_catalog.sum(s.records * (s.records - 1) / 2 + s.records * (s.predicted_size - s.records))::pg_catalog.float8 AS predicted_pairs,
        pg_catalog.max(s.true_size * (s.true_size - 1) / 2)::pg_catalog.float8 AS true_pairs,
        pg_catalog.sum(s.records * s.records / s.predicted_size - s.records * (s.predicted_squares - s.records * s.records) / (s.predicted_size * s.predicted_size))::pg_catalog.float8 AS bcubed_precision,
        pg_catalog.sum(s.records * s.records / s.true_size)::pg_catalog.float8 AS bcubed_recall,
        pg_catalog.max((s.records = s.true_size AND s.records = s.predicted_size)::pg_catalog.int4)::pg_catalog.float8 AS exact
    FROM sized AS s
    GROUP BY s.true_cluster
),
total AS (
    SELECT c.records::pg_catalog.float8 AS records, c.predicted_pairs::pg_catalog.float8 AS predicted_pairs, c.true_pairs::pg_catalog.float8 AS true_pairs,
        c.true_clusters::pg_catalog.float8 AS true_clusters,
        (c.right_pairs / NULLIF(c.predicted_pairs, 0))::pg_catalog.float8 AS precision, (c.right_pairs / NULLIF(c.true_pairs, 0))::pg_catalog.float8 AS recall,
        (2 * c.right_pairs / NULLIF(c.predicted_pairs + c.true_pairs, 0))::pg_catalog.float8 AS f1,
        (c.bcubed_precision_sum / NULLIF(c.records, 0))::pg_catalog.float8 AS bcubed_precision, (c.bcubed_recall_sum / NULLIF(c.records, 0))::pg_catalog.float8 AS bcubed_recall,
        (c.exact / NULLIF(c.true_clusters, 0))::pg_catalog.float8 AS exact
    FROM counted AS c
),
variance AS (
    SELECT z.metric, pg_catalog.count(z.value) * pg_catalog.var_samp(z.value) AS variance, pg_catalog.count(*) FILTER (WHERE z.has_say)::pg_catalog.float8 AS units
    FROM entity AS e CROSS JOIN total AS t
    CROSS JOIN LATERAL (VALUES
        ('pair_precision', (e.right_pairs - t.precision * e.predicted_pairs) / NULLIF(t.predicted_pairs, 0), e.predicted_pairs > 0),
        ('pair_recall', (e.right_pairs - t.recall * e.true_pairs) / NULLIF(t.true_pairs, 0), e.true_pairs > 0),
        ('pair_f1', (2 * e.right_pairs - t.f1 * (e.predicted_pairs + e.true_pairs)) / NULLIF(t.predicted_pairs + t.true_pairs, 0), e.predicted_pairs + e.true_pairs > 0),
        ('bcubed_precision', (e.bcubed_precision - t.bcubed_precision * e.records) / t.records, true),
        ('bcubed_recall', (e.bcubed_recall - t.bcubed_recall * e.records) / t.records, true),
        ('bcubed_f1', 2 * (t.bcubed_recall ^ 2 * (e.bcubed_precision - t.bcubed_precision * e.records) + t.bcubed_precision ^ 2 * (e.bcubed_recall - t.bcubed_recall * e.records))
            / NULLIF((t.bcubed_precision + t.bcubed_recall) ^ 2 * t.records, 0), true),
        ('cluster_recall', (e.exact - t.exact) / t.true_clusters, true)
    ) AS z (metric, value, has_say)
    GROUP BY z.metric
)
SELECT m.metric, m.value, m.meaning, i.low, i.high
FROM counted AS c
CROSS JOIN LATERAL (VALUES
    (1, 'records', c.records, 'records with a known truth: everything below is about them'),
    (2, 'records_missing', c.missing, 'of these, records without a predicted cluster, counted as clusters of their own'),
    (3, 'records_outside', c.outside, 'predicted records without a known truth, left out'),
    (4, 'true_clusters', c.true_clusters, 'clusters of the truth'),
    (5, 'predicted_clusters', c.predicted_clusters, 'clusters predicted'),
    (6, 'exact_clusters', c.exact, 'predicted clusters that hold exactly the records of a true one'),
    (7, 'true_pairs', c.true_pairs, 'pairs of records that belong together'),
    (8, 'predicted_pairs', c.predicted_pairs, 'pairs of records put together'),
    (9, 'right_pairs', c.right_pairs, 'pairs put together that belong together'),
    (10, 'pair_precision', mastering.share(c.right_pairs, c.predicted_pairs), 'share of the pairs put together that is right'),
    (11, 'pair_recall', mastering.share(c.right_pairs, c.true_pairs), 'share of the pairs that belong together that was found'),
    (12, 'pair_f1', mastering.share(2 * c.right_pairs, c.predicted_pairs + c.true_pairs), 'harmonic mean of the two'),
    (13, 'bcubed_precision', mastering.share(c.bcubed_precision_sum, c.records), 'for an average record, the share of its predicted cluster that belongs with it'),
    (14, 'bcubed_recall', mastering.share(c.bcubed_recall_sum, c.records), 'for an average record, the share of its true cluster that is with it'),
    (15, 'bcubed_f1', mastering.share(2 * c.bcubed_precision_sum * c.bcubed_recall_sum, (c.bcubed_precision_sum + c.bcubed_recall_sum) * c.records), 'harmonic mean of the two'),
    (16, 'cluster_precision', mastering.share(c.exact, c.predicted_clusters), 'share of the predicted clusters that is exact'),
    (17, 'cluster_recall', mastering.share(c.exact, c.true_clusters), 'share of the true clusters that was found exactly'),
    (18, 'cluster_f1', mastering.share(2 * c.exact, c.predicted_clusters + c.true_clusters), 'harmonic mean of the two'),
    -- (right - expected) / (mean - expected), with expected = true * predicted / all, multiplied by 2 * all.
    (19, 'adjusted_rand', mastering.share(2 * (c.right_pairs * c.all_pairs - c.true_pairs * c.predicted_pairs),
        (c.true_pairs + c.predicted_pairs) * c.all_pairs - 2 * c.true_pairs * c.predicted_pairs), 'agreement beyond chance: 1 is the truth, 0 what chance gives')
) AS m (n, metric, value, meaning)
%3$s
ORDER BY m.n
$sql$,
        mastering.assignment_sql(truth, 'truth', mastering.truth_column(mastering.query_column_names(truth, 'truth'), 'truth')),
        mastering.assignment_sql(predicted, 'predicted', 'cluster_id'),
        CASE WHEN confidence IS NULL THEN 'CROSS JOIN (SELECT NULL::pg_catalog.numeric, NULL::pg_catalog.numeric) AS i (low, high)'
             ELSE pg_catalog.format('LEFT JOIN variance AS v ON v.metric = m.metric LEFT JOIN LATERAL mastering.share_interval(m.value::pg_catalog.float8, COALESCE(v.variance, 0), v.units, %L) AS i ON true', confidence) END);
END
$$;
COMMENT ON FUNCTION mastering.evaluate_clusters(text, text, double precision) IS
'Judges clusters by the truth, a row a metric. predicted: a SELECT of id, cluster_id. truth: a SELECT of id, entity_id (or cluster_id, or one other column); where it covers a part of the records, only these are judged. confidence (0.95, say): low and high are the interval of a metric when the true clusters are a sample drawn one by one.';

-- Whatever form the truth of pairs has: its relation "truth", how a pair p finds itself in it, and what the truth then says
-- of the pair: true, false, or NULL where it does not know the pair.
CREATE FUNCTION mastering.pair_truth(truth text, OUT relation text, OUT verdict text, OUT verdict_join text, OUT of_pairs boolean)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
DECLARE
    truth_columns text[] := mastering.query_column_names(truth, 'truth');
BEGIN
    of_pairs := 'id_a' = ANY (truth_columns) OR NOT 'id' = ANY (truth_columns);
    IF of_pairs THEN
        PERFORM mastering.require_columns(truth_columns, '{id_a,id_b}', 'truth');
        relation := pg_catalog.format($sql$SELECT LEAST(id_a, id_b) AS id_a, GREATEST(id_a, id_b) AS id_b, pg_catalog.bool_and(is_match) AS is_match
    FROM (
        SELECT q.id_a::pg_catalog.text COLLATE "C" AS id_a, q.id_b::pg_catalog.text COLLATE "C" AS id_b, %s AS is_match
        FROM (
%s
        ) AS q
    ) AS labelled
    WHERE id_a <> id_b AND is_match IS NOT NULL
    GROUP BY 1, 2
    HAVING CASE WHEN pg_catalog.bool_and(is_match) <> pg_catalog.bool_or(is_match) THEN mastering.refuse('21000',
        pg_catalog.format('the query in argument "truth" calls the pair "%%s", "%%s" a match and a non-match', LEAST(pg_catalog.min(id_a), pg_catalog.min(id_b)), GREATEST(pg_catalog.max(id_a), pg_catalog.max(id_b))),
        'A pair may be named more than once, with one verdict.', 'Keep one verdict for each pair.') IS NULL ELSE true END$sql$,
            CASE WHEN 'is_match' = ANY (truth_columns) THEN 'q.is_match::pg_catalog.bool' ELSE 'true' END,
            mastering.query_body(truth, 'truth'));
        -- With verdicts, only pairs that have one can be judged; a list of matches is complete.
        verdict := CASE WHEN 'is_match' = ANY (truth_columns) THEN 't.is_match' ELSE 't.is_match IS NOT NULL' END;
        verdict_join := 'LEFT JOIN truth AS t ON t.id_a = p.id_a AND t.id_b = p.id_b';
    ELSE
        relation := mastering.assignment_sql(truth, 'truth', mastering.truth_column(truth_columns, 'truth'));
        verdict := 'a.cluster_id = b.cluster_id';
        verdict_join := 'LEFT JOIN truth AS a ON a.id = p.id_a LEFT JOIN truth AS b ON b.id = p.id_b';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.pair_truth(text) IS 'Internal. The truth of pairs, whatever its form, as parts of a query: see evaluate_pairs.';

-- Pairs without order, each once with its best score; pairs of a record with itself and with NULL are left out.
--
-- Intervals as of evaluate_clusters: of verdicts each pair is a case of its own, of entities each entity, a wrong pair being
-- of both of its own. Sums of squares and products over the cases give the variance of each linear approximation.
CREATE FUNCTION mastering.evaluate_pairs(predicted text, truth text, thresholds double precision[] DEFAULT NULL, confidence double precision DEFAULT NULL)
RETURNS TABLE (scored_by text, threshold double precision, predicted_pairs bigint, right_pairs bigint, true_pairs numeric,
    unjudged_pairs bigint, "precision" numeric, recall numeric, f1 numeric,
    precision_low numeric, precision_high numeric, recall_low numeric, recall_high numeric, f1_low numeric, f1_high numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 10
AS $$
DECLARE
    predicted_columns text[] := mastering.query_column_names(predicted, 'predicted');
    truth_sql text;
    verdict text;       -- true, false, or NULL where the truth does not know the pair
    verdict_join text;
    of_pairs boolean;
    true_count text;
    cases text;         -- what a judged pair is a case of: a pair, or one or two entities
    true_cases text;    -- every case, and its true pairs
BEGIN
    PERFORM mastering.require_columns(predicted_columns, '{id_a,id_b}', 'predicted');
    IF NOT (confidence > 0 AND confidence < 1) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the confidence %s is not between 0 and 1, both excluded', confidence),
            HINT = 'Write confidence => 0.95, or leave it out for no intervals.';
    END IF;
    scored_by := CASE WHEN 'probability' = ANY (predicted_columns) THEN 'probability' WHEN 'weight' = ANY (predicted_columns) THEN 'weight' END;
    IF thresholds IS NOT NULL AND scored_by IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = 'the query in argument "predicted" has no column "probability" or "weight"',
            DETAIL = pg_catalog.format('Its columns are: %s.', mastering.quoted_list(predicted_columns)),
            HINT = 'Select one of them, as match_pairs returns them, or leave argument "thresholds" out.';
    END IF;

    SELECT t.relation, t.verdict, t.verdict_join, t.of_pairs INTO truth_sql, verdict, verdict_join, of_pairs FROM mastering.pair_truth(truth) AS t;
    IF of_pairs THEN
        true_count := 'SELECT pg_catalog.count(*)::pg_catalog.numeric FROM truth WHERE is_match';
        cases := 'ARRAY[pg_catalog.concat(pg_catalog.length(p.id_a), '':'', p.id_a, p.id_b)]';
        true_cases := 'SELECT pg_catalog.concat(pg_catalog.length(id_a), '':'', id_a, id_b) AS unit, is_match::pg_catalog.int4::pg_catalog.float8 AS pairs FROM truth';
    ELSE
        true_count := 'SELECT COALESCE(pg_catalog.sum(pg_catalog.div(n * (n - 1), 2)), 0) FROM (SELECT pg_catalog.count(*)::pg_catalog.numeric AS n FROM truth GROUP BY cluster_id) AS sizes';
        cases := 'CASE WHEN a.cluster_id = b.cluster_id THEN ARRAY[a.cluster_id] ELSE ARRAY[a.cluster_id, b.cluster_id] END';
        true_cases := 'SELECT cluster_id AS unit, pg_catalog.count(*)::pg_catalog.float8 * (pg_catalog.count(*) - 1) / 2 AS pairs FROM truth GROUP BY cluster_id';
    END IF;

    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH truth AS MATERIALIZED (
    %1$s
),
judged AS MATERIALIZED (
    SELECT p.score, %2$s AS verdict, %9$s AS units
    FROM (
        SELECT LEAST(id_a, id_b) AS id_a, GREATEST(id_a, id_b) AS id_b, pg_catalog.max(score) AS score
        FROM (
            SELECT q.id_a::pg_catalog.text COLLATE "C" AS id_a, q.id_b::pg_catalog.text COLLATE "C" AS id_b, %3$s::pg_catalog.float8 AS score
            FROM (
%4$s
            ) AS q
        ) AS predicted
        WHERE id_a <> id_b
        GROUP BY 1, 2
    ) AS p
    %5$s
),
thresholds AS MATERIALIZED (
    SELECT COALESCE((%6$s), '{}'::pg_catalog.float8[]) AS steps
),
-- A pair is counted once, at the highest threshold that it reaches; a row sums what lies at its own and above.
reached AS (
    SELECT COALESCE(pg_catalog.width_bucket(j.score, t.steps), 0) AS n,
        pg_catalog.count(j.verdict) AS pairs, pg_catalog.count(*) FILTER (WHERE j.verdict) AS right_pairs,
        pg_catalog.count(*) FILTER (WHERE j.verdict IS NULL) AS unjudged
    FROM judged AS j CROSS JOIN thresholds AS t
    GROUP BY 1
),
summed AS (
    SELECT s.n, s.threshold, COALESCE(pg_catalog.sum(r.pairs), 0) AS pairs, COALESCE(pg_catalog.sum(r.right_pairs), 0) AS right_pairs,
        COALESCE(pg_catalog.sum(r.unjudged), 0) AS unjudged
    FROM (
        SELECT 0 AS n, NULL::pg_catalog.float8 AS threshold
        UNION ALL
        SELECT u.n, u.threshold FROM thresholds AS t CROSS JOIN LATERAL pg_catalog.unnest(t.steps) WITH ORDINALITY AS u (threshold, n)
    ) AS s
    LEFT JOIN reached AS r ON r.n >= s.n
    GROUP BY s.n, s.threshold
)%10$s
SELECT %7$L::pg_catalog.text, s.threshold, s.pairs::pg_catalog.int8, s.right_pairs::pg_catalog.int8, t.pairs, s.unjudged::pg_catalog.int8,
    mastering.share(s.right_pairs, s.pairs), mastering.share(s.right_pairs, t.pairs), mastering.share(2 * s.right_pairs, s.pairs + t.pairs), %11$s
FROM summed AS s CROSS JOIN (%8$s) AS t (pairs)%12$s
ORDER BY s.n
$sql$,
        truth_sql, verdict, COALESCE('q.' || scored_by, 'NULL'), mastering.query_body(predicted, 'predicted'), verdict_join,
        CASE
            WHEN thresholds IS NOT NULL THEN pg_catalog.format('%L::pg_catalog.float8[]',
                ARRAY(SELECT DISTINCT t FROM pg_catalog.unnest(thresholds) AS t WHERE t IS NOT NULL ORDER BY t))
            WHEN scored_by = 'probability' THEN $sql$SELECT '{0.5,0.8,0.9,0.95,0.99,0.999}'::pg_catalog.float8[]$sql$
            -- About ten round steps over the weights that occur.
            WHEN scored_by = 'weight' THEN $sql$SELECT pg_catalog.array_agg(w.step * g ORDER BY g)::pg_catalog.float8[]
        FROM (SELECT GREATEST(1, pg_catalog.ceil((pg_catalog.max(score) - pg_catalog.min(score)) / 10)) AS step,
                pg_catalog.min(score) AS lowest, pg_catalog.max(score) AS highest
            FROM judged WHERE pg_catalog.abs(score) < 1000000) AS w
        CROSS JOIN LATERAL pg_catalog.generate_series(pg_catalog.ceil(w.lowest / w.step)::pg_catalog.int8, pg_catalog.floor(w.highest / w.step)::pg_catalog.int8) AS g$sql$
            ELSE 'NULL' END,
        scored_by, true_count, CASE WHEN confidence IS NULL THEN 'NULL::pg_catalog.text[]' ELSE cases END,
        CASE WHEN confidence IS NULL THEN '' ELSE pg_catalog.format($sql$,
true_case AS MATERIALIZED (
    %s
),
-- What each case has at a threshold and above.
had AS (
    SELECT s.n, j.unit, pg_catalog.sum(j.pairs) AS pairs, pg_catalog.sum(j.right_pairs) AS right_pairs
    FROM summed AS s
    JOIN (SELECT u.unit, COALESCE(pg_catalog.width_bucket(d.score, t.steps), 0) AS n, pg_catalog.count(*)::pg_catalog.float8 AS pairs,
            pg_catalog.count(*) FILTER (WHERE d.verdict)::pg_catalog.float8 AS right_pairs
        FROM judged AS d CROSS JOIN thresholds AS t CROSS JOIN LATERAL pg_catalog.unnest(d.units) AS u (unit)
        WHERE d.verdict IS NOT NULL GROUP BY 1, 2) AS j ON j.n >= s.n
    GROUP BY s.n, j.unit
),
sums AS (
    SELECT s.n, COALESCE(h.rr, 0) AS rr, COALESCE(h.rp, 0) AS rp, COALESCE(h.pp, 0) AS pp, COALESCE(h.rt, 0) AS rt, COALESCE(h.pt, 0) AS pt, c.tt, c.with_pairs,
        COALESCE(h.units, 0) AS units, COALESCE(h.units, 0) + c.with_pairs - COALESCE(h.both, 0) AS with_say,
        COALESCE(h.p, 0) AS p, COALESCE(h.r, 0) AS r, c.t, c.known + pg_catalog.max(COALESCE(h.units - h.known, 0)) OVER () AS cases
    FROM summed AS s
    CROSS JOIN (SELECT COALESCE(pg_catalog.sum(e.pairs * e.pairs), 0) AS tt, pg_catalog.count(*) FILTER (WHERE e.pairs > 0)::pg_catalog.float8 AS with_pairs,
        COALESCE(pg_catalog.sum(e.pairs), 0) AS t, pg_catalog.count(*)::pg_catalog.float8 AS known FROM true_case AS e) AS c
    LEFT JOIN (SELECT d.n, pg_catalog.sum(d.right_pairs * d.right_pairs) AS rr, pg_catalog.sum(d.right_pairs * d.pairs) AS rp, pg_catalog.sum(d.pairs * d.pairs) AS pp,
            pg_catalog.sum(d.right_pairs * e.pairs) AS rt, pg_catalog.sum(d.pairs * e.pairs) AS pt, pg_catalog.count(*)::pg_catalog.float8 AS units, pg_catalog.sum(d.right_pairs) AS r,
            pg_catalog.sum(d.pairs) AS p, pg_catalog.count(e.unit)::pg_catalog.float8 AS known, pg_catalog.count(*) FILTER (WHERE e.pairs > 0)::pg_catalog.float8 AS both
        FROM had AS d LEFT JOIN true_case AS e ON e.unit = d.unit GROUP BY d.n) AS h ON h.n = s.n
)$sql$, true_cases) END,
        CASE WHEN confidence IS NULL THEN 'NULL::pg_catalog.numeric, NULL::pg_catalog.numeric, NULL::pg_catalog.numeric, NULL::pg_catalog.numeric, NULL::pg_catalog.numeric, NULL::pg_catalog.numeric'
             ELSE 'a.low, a.high, b.low, b.high, c.low, c.high' END,
        CASE WHEN confidence IS NULL THEN '' ELSE pg_catalog.format($sql$
JOIN sums AS x ON x.n = s.n
CROSS JOIN LATERAL (SELECT (s.right_pairs / NULLIF(s.pairs, 0))::pg_catalog.float8 AS p, (s.right_pairs / NULLIF(t.pairs, 0))::pg_catalog.float8 AS r,
    (2 * s.right_pairs / NULLIF(s.pairs + t.pairs, 0))::pg_catalog.float8 AS f, s.pairs::pg_catalog.float8 AS pairs, t.pairs::pg_catalog.float8 AS true_pairs) AS v
LEFT JOIN LATERAL mastering.share_interval(v.p, mastering.sum_variance(x.r - v.p * x.p, x.rr - 2 * v.p * x.rp + v.p * v.p * x.pp, x.cases) / (v.pairs * v.pairs), x.units, %1$L) AS a ON true
LEFT JOIN LATERAL mastering.share_interval(v.r, mastering.sum_variance(x.r - v.r * x.t, x.rr - 2 * v.r * x.rt + v.r * v.r * x.tt, x.cases) / (v.true_pairs * v.true_pairs), x.with_pairs, %1$L) AS b ON true
LEFT JOIN LATERAL mastering.share_interval(v.f, mastering.sum_variance(2 * x.r - v.f * (x.p + x.t), 4 * x.rr - 4 * v.f * (x.rp + x.rt) + v.f * v.f * (x.pp + 2 * x.pt + x.tt), x.cases)
    / ((v.pairs + v.true_pairs) * (v.pairs + v.true_pairs)), x.with_say, %1$L) AS c ON true$sql$, confidence) END);
END
$$;
COMMENT ON FUNCTION mastering.evaluate_pairs(text, text, double precision[], double precision) IS
'Judges pairs by the truth, a row a threshold (of the probability, or of the weight where there is none; as given, or chosen); threshold NULL is all pairs. predicted: a SELECT of id_a, id_b and optionally probability or weight. truth: a SELECT of id_a, id_b (all matches), of id_a, id_b, is_match (only pairs with a verdict are judged), or of id, entity_id (only pairs of which both records are known are judged). confidence (0.95, say): the columns low and high are intervals when the truth is a sample: of pairs drawn one by one where it is of pairs, of whole entities where it is of entities.';

-- Every cell (the records that a cluster of a and a cluster of b share) is of one kind:
--   equal: both clusters are these records; merged: the cluster of b is made of whole clusters of a;
--   split: the cluster of a falls into whole clusters of b; moved: anything else.
-- Of a cluster of a that is moved, the records outside its largest cell are those that moved.
CREATE FUNCTION mastering.compare_clusters(a text, b text)
RETURNS TABLE (kind text, clusters bigint, records bigint, examples jsonb, meaning text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 6
AS $$
BEGIN
    PERFORM mastering.require_columns(mastering.query_column_names(a, 'a'), '{id,cluster_id}', 'a');
    PERFORM mastering.require_columns(mastering.query_column_names(b, 'b'), '{id,cluster_id}', 'b');
    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH cell AS MATERIALIZED (
    SELECT a.cluster_id AS a, b.cluster_id AS b, pg_catalog.count(*) AS records, pg_catalog.min(COALESCE(a.id, b.id)) AS record
    FROM (
        %1$s
    ) AS a
    FULL JOIN (
        %2$s
    ) AS b ON b.id = a.id
    GROUP BY 1, 2
),
sized AS (
    SELECT c.*, pg_catalog.sum(c.records) OVER (PARTITION BY c.a) AS a_size, pg_catalog.sum(c.records) OVER (PARTITION BY c.b) AS b_size,
        pg_catalog.row_number() OVER (PARTITION BY c.a ORDER BY c.records DESC, c.b) = 1 AS is_home
    FROM cell AS c
    WHERE c.a IS NOT NULL AND c.b IS NOT NULL
),
sorted AS MATERIALIZED (
    SELECT s.*, CASE
            WHEN s.records = s.a_size AND s.records = s.b_size THEN 'equal'
            WHEN pg_catalog.bool_and(s.records = s.a_size) OVER (PARTITION BY s.b) THEN 'merged'
            WHEN pg_catalog.bool_and(s.records = s.b_size) OVER (PARTITION BY s.a) THEN 'split'
            ELSE 'moved' END AS kind
    FROM sized AS s
),
change AS (
    SELECT s.kind, 1 AS clusters, s.records, pg_catalog.jsonb_build_object('a', s.a, 'b', s.b, 'records', s.records) AS example, s.record AS name
    FROM sorted AS s WHERE s.kind = 'equal'
    UNION ALL
    SELECT s.kind, 1, pg_catalog.sum(s.records), pg_catalog.jsonb_build_object('a', (pg_catalog.array_agg(s.a ORDER BY s.records DESC, s.a))[:10], 'b', s.b, 'records', pg_catalog.sum(s.records)), s.b
    FROM sorted AS s WHERE s.kind = 'merged' GROUP BY s.kind, s.b
    UNION ALL
    SELECT s.kind, 1, pg_catalog.sum(s.records), pg_catalog.jsonb_build_object('a', s.a, 'b', (pg_catalog.array_agg(s.b ORDER BY s.records DESC, s.b))[:10], 'records', pg_catalog.sum(s.records)), s.a
    FROM sorted AS s WHERE s.kind = 'split' GROUP BY s.kind, s.a
    UNION ALL
    SELECT s.kind, s.is_home::pg_catalog.int4, CASE WHEN s.is_home THEN 0 ELSE s.records END,
        CASE WHEN NOT s.is_home THEN pg_catalog.jsonb_build_object('a', s.a, 'b', s.b, 'records', s.records, 'record', s.record) END, s.record
    FROM sorted AS s WHERE s.kind = 'moved'
    UNION ALL
    SELECT CASE WHEN c.b IS NULL THEN 'only_in_a' ELSE 'only_in_b' END, 1, c.records,
        pg_catalog.jsonb_build_object(CASE WHEN c.b IS NULL THEN 'a' ELSE 'b' END, COALESCE(c.a, c.b), 'records', c.records, 'record', c.record), c.record
    FROM cell AS c WHERE c.a IS NULL OR c.b IS NULL
),
placed AS (
    SELECT c.*, pg_catalog.row_number() OVER (PARTITION BY c.kind ORDER BY c.example IS NULL, c.records DESC, c.name) AS n
    FROM change AS c
)
SELECT k.kind, COALESCE(pg_catalog.sum(p.clusters), 0)::pg_catalog.int8, COALESCE(pg_catalog.sum(p.records), 0)::pg_catalog.int8,
    pg_catalog.jsonb_agg(p.example ORDER BY p.n) FILTER (WHERE p.n <= 3 AND p.example IS NOT NULL), k.meaning
FROM (VALUES
    (1, 'equal', 'clusters that hold the same records in both'),
    (2, 'merged', 'clusters of b made of several whole clusters of a'),
    (3, 'split', 'clusters of a that fall into several whole clusters of b'),
    (4, 'moved', 'other clusters of a that changed; the records that left the main part of theirs'),
    (5, 'only_in_a', 'clusters of a with records that b does not have; these records'),
    (6, 'only_in_b', 'clusters of b with records that a does not have; these records')
) AS k (n, kind, meaning)
LEFT JOIN placed AS p ON p.kind = k.kind
GROUP BY k.n, k.kind, k.meaning
ORDER BY k.n
$sql$, mastering.assignment_sql(a, 'a', 'cluster_id'), mastering.assignment_sql(b, 'b', 'cluster_id'));
END
$$;
COMMENT ON FUNCTION mastering.compare_clusters(text, text) IS
'What differs between two results, each a SELECT of id, cluster_id: a row a kind of change, with how many clusters and records it touches and up to three examples, the largest first (at most ten clusters named in each). Names of clusters do not matter; records that one of them lacks are counted apart.';
