-- 46_calibration.sql: whether probabilities mean what they say: of the pairs that are given 0.8, are four of five matches?
--
-- Scores are kept as weights, as far as they have them: probabilities round to 1 long before the evidence ends. For losses a
-- weight counts for 50 bits at most, so that one pair that was wrong beyond doubt is dear and not infinitely so.

CREATE FUNCTION mastering.calibration(predicted text, truth text, bounds double precision[] DEFAULT '{0.001,0.01,0.1,0.25,0.5,0.75,0.9,0.99,0.999}', confidence double precision DEFAULT 0.95)
RETURNS TABLE (probability_from double precision, probability_to double precision, pairs bigint, matches bigint, unjudged_pairs bigint, mean_probability numeric,
    observed numeric, observed_low numeric, observed_high numeric, brier_score numeric, log_loss numeric, calibration_error numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 11
AS $$
DECLARE
    columns text[] := mastering.query_column_names(predicted, 'predicted');
    steps double precision[] := ARRAY(SELECT DISTINCT b FROM pg_catalog.unnest(bounds) AS b WHERE b IS NOT NULL ORDER BY b);
    judged_by record;
BEGIN
    PERFORM mastering.require_columns(columns, '{id_a,id_b}', 'predicted');
    IF NOT columns && '{weight,probability}' THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = 'the query in argument "predicted" has no column "probability" or "weight"',
            DETAIL = pg_catalog.format('Its columns are: %s.', mastering.quoted_list(columns)),
            HINT = 'Select one of them, or both, as match_pairs returns them: SELECT id_a, id_b, weight, probability FROM ...';
    ELSIF NOT (steps[1] > 0 AND steps[pg_catalog.cardinality(steps)] < 1) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the bounds %s are not all between 0 and 1, both excluded', pg_catalog.quote_literal(steps)),
            HINT = 'Name the probabilities at which the pairs are divided, as in bounds => ''{0.1,0.5,0.9}'', or leave them out.';
    ELSIF NOT (confidence > 0 AND confidence < 1) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the confidence %s is not between 0 and 1, both excluded', confidence),
            HINT = 'Write confidence => 0.95, or NULL for no intervals.';
    END IF;
    SELECT * INTO judged_by FROM mastering.pair_truth(truth);
    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH truth AS MATERIALIZED (
    %1$s
),
judged AS (
    SELECT pg_catalog.width_bucket(p.probability, %2$L::pg_catalog.float8[]) AS n, p.probability, %3$s AS verdict,
        GREATEST(-50, LEAST(50, p.weight)) AS weight
    FROM (
        SELECT LEAST(id_a, id_b) AS id_a, GREATEST(id_a, id_b) AS id_b, GREATEST(0, LEAST(1, pg_catalog.max(probability))) AS probability, pg_catalog.max(weight) AS weight
        FROM (
            -- What is not a number says nothing, as NULL does; compared it would be more than 1.
            SELECT q.id_a::pg_catalog.text COLLATE "C" AS id_a, q.id_b::pg_catalog.text COLLATE "C" AS id_b, %4$s AS probability, %5$s AS weight
            FROM (
%6$s
            ) AS q
        ) AS predicted
        WHERE id_a <> id_b
        GROUP BY 1, 2
    ) AS p
    %7$s
    WHERE p.probability IS NOT NULL AND p.weight IS NOT NULL
),
binned AS MATERIALIZED (
    SELECT j.n, pg_catalog.count(j.verdict) AS pairs, pg_catalog.count(*) FILTER (WHERE j.verdict) AS matches, pg_catalog.count(*) FILTER (WHERE j.verdict IS NULL) AS unjudged,
        COALESCE(pg_catalog.sum(j.probability) FILTER (WHERE j.verdict IS NOT NULL), 0) AS promised,
        COALESCE(pg_catalog.sum((j.probability - j.verdict::pg_catalog.int4) ^ 2), 0) AS brier,
        COALESCE(pg_catalog.sum(pg_catalog.ln(1 + 2 ^ CASE WHEN j.verdict THEN -j.weight WHEN NOT j.verdict THEN j.weight END)), 0) / pg_catalog.ln(2::pg_catalog.float8) AS loss
    FROM judged AS j
    GROUP BY j.n
),
told AS (
    -- Row 0 is all pairs; a bin without a pair is told, too.
    SELECT s.row, s.low, s.high, COALESCE(pg_catalog.sum(b.pairs), 0)::pg_catalog.int8 AS pairs, COALESCE(pg_catalog.sum(b.matches), 0)::pg_catalog.int8 AS matches,
        COALESCE(pg_catalog.sum(b.unjudged), 0)::pg_catalog.int8 AS unjudged, pg_catalog.sum(b.promised) AS promised, pg_catalog.sum(b.brier) AS brier, pg_catalog.sum(b.loss) AS loss,
        pg_catalog.sum(pg_catalog.abs(b.promised - b.matches)) AS error
    FROM (
        SELECT 0 AS row, NULL::pg_catalog.float8 AS low, NULL::pg_catalog.float8 AS high
        UNION ALL
        SELECT g, COALESCE((%2$L::pg_catalog.float8[])[g - 1], 0), COALESCE((%2$L::pg_catalog.float8[])[g], 1)
        FROM pg_catalog.generate_series(1, pg_catalog.cardinality(%2$L::pg_catalog.float8[]) + 1) AS g
    ) AS s
    LEFT JOIN binned AS b ON s.row = 0 OR b.n = s.row - 1
    GROUP BY s.row, s.low, s.high
)
SELECT t.low, t.high, t.pairs, t.matches, t.unjudged, mastering.share(t.promised::pg_catalog.numeric, t.pairs), mastering.share(t.matches, t.pairs), i.low, i.high,
    mastering.share(t.brier::pg_catalog.numeric, t.pairs), mastering.share(t.loss::pg_catalog.numeric, t.pairs), mastering.share(t.error::pg_catalog.numeric, t.pairs)
FROM told AS t
LEFT JOIN LATERAL mastering.share_interval(t.matches::pg_catalog.float8 / NULLIF(t.pairs, 0), 0, t.pairs, %8$L) AS i ON true
ORDER BY t.row
$sql$,
        judged_by.relation, steps, judged_by.verdict,
        CASE WHEN 'probability' = ANY (columns) THEN 'NULLIF(q.probability::pg_catalog.float8, ''NaN'')' ELSE 'mastering.probability_of(NULLIF(q.weight::pg_catalog.float8, ''NaN''))' END,
        CASE WHEN 'weight' = ANY (columns) THEN 'NULLIF(q.weight::pg_catalog.float8, ''NaN'')' ELSE 'mastering.weight_of(NULLIF(q.probability::pg_catalog.float8, ''NaN''))' END,
        mastering.query_body(predicted, 'predicted'), judged_by.verdict_join, confidence);
END
$$;
COMMENT ON FUNCTION mastering.calibration(text, text, double precision[], double precision) IS
'Judges probabilities by the truth: a row for all pairs, and one for each part of the range between the bounds. mean_probability: what was said; observed: the share of matches; brier_score (mean squared error) and log_loss (bits a pair): less is better; calibration_error: the mean distance of said and observed, over the parts. Low and high: the interval of the observed share when the pairs were drawn one by one. predicted: a SELECT of id_a, id_b and probability or weight, as of match_pairs at a low threshold. truth: as for evaluate_pairs; pairs that it does not know are unjudged.';

-- Parts of the range as wide in bits, since probabilities that matter lie close to 0 and 1.
CREATE FUNCTION mastering.calibration_chart(predicted text, truth text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
AS $$
DECLARE
    rows jsonb;
BEGIN
    SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c) ORDER BY c.probability_from NULLS FIRST) INTO rows
    FROM mastering.calibration(predicted, truth, ARRAY(SELECT mastering.probability_of(w) FROM pg_catalog.generate_series(-10, 10, 2) AS w)) AS c;
    RETURN mastering.draw_calibration(rows);
END
$$;
COMMENT ON FUNCTION mastering.calibration_chart(text, text) IS
'A picture (SVG) of calibration: how many of the pairs of each part of the range of probabilities are matches, beside what the model said. predicted and truth: as for calibration.';

CREATE FUNCTION mastering.draw_calibration(rows jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 80;
    x_to CONSTANT double precision := 440;
    y_top CONSTANT double precision := 96;
    y_bottom CONSTANT double precision := 456;
    most CONSTANT double precision := 12; -- bits to either side: what is rarer lies at the edge
    everything jsonb := rows -> 0;
    place record;
    tick double precision;
    body text := '';
    y double precision := y_top + 8;
    summary text;
BEGIN
    body := mastering.chart_weight_axis(-most, most, x_from, x_to, y_top, y_bottom, true, 8) || mastering.chart_label('soft small', x_from - 8, y_bottom + 15, 'bits', 'end')
        || mastering.chart_label('soft small', x_from - 8, y_bottom + 29, 'prob.', 'end') || mastering.chart_label('soft', (x_from + x_to) / 2, y_bottom + 50, 'what the model says', 'middle')
        || mastering.chart_label('soft', 20, y_top - 12, 'share of matches');
    FOREACH tick IN ARRAY mastering.chart_ticks(-most, most, 8) LOOP
        body := body || mastering.chart_line(CASE WHEN tick = 0 THEN 'axis' ELSE 'grid' END, x_from, y_bottom - (tick + most) / (2 * most) * (y_bottom - y_top), x_to, y_bottom - (tick + most) / (2 * most) * (y_bottom - y_top))
            || mastering.chart_label('soft small', x_from - 8, y_bottom - (tick + most) / (2 * most) * (y_bottom - y_top) + 4, mastering.chart_share(mastering.probability_of(tick)), 'end');
    END LOOP;
    body := body || mastering.chart_line('mark', x_from, y_bottom, x_to, y_top)
        || mastering.chart_label('soft small', 600, y_top - 12, 'said', 'end') || mastering.chart_label('soft small', 690, y_top - 12, 'observed', 'end')
        || mastering.chart_label('soft small', 840, y_top - 12, 'interval of 95%', 'end') || mastering.chart_label('soft small', 930, y_top - 12, 'pairs', 'end');
    FOR place IN
        SELECT s.*, x_from + (greatest(-most, least(most, mastering.weight_of(s.said))) + most) / (2 * most) * (x_to - x_from) AS x,
            y_bottom - (greatest(-most, least(most, mastering.weight_of(s.observed))) + most) / (2 * most) * (y_bottom - y_top) AS y,
            y_bottom - (greatest(-most, least(most, mastering.weight_of(s.low))) + most) / (2 * most) * (y_bottom - y_top) AS y_low,
            y_bottom - (greatest(-most, least(most, mastering.weight_of(s.high))) + most) / (2 * most) * (y_bottom - y_top) AS y_high
        FROM (SELECT n, (r ->> 'pairs')::numeric AS pairs, (r ->> 'mean_probability')::float8 AS said, (r ->> 'observed')::float8 AS observed,
                (r ->> 'observed_low')::float8 AS low, (r ->> 'observed_high')::float8 AS high
            FROM jsonb_array_elements(rows) WITH ORDINALITY AS u (r, n) WHERE n > 1) AS s
        WHERE s.pairs > 0 ORDER BY s.n DESC
    LOOP
        body := body || format(E'<line class="plus-line" stroke-width="2" x1="%1$s" y1="%2$s" x2="%1$s" y2="%3$s"/>\n<circle class="plus rim" cx="%1$s" cy="%4$s" r="5.5"><title>%5$s</title></circle>\n',
                mastering.chart_round(place.x), mastering.chart_round(place.y_low), mastering.chart_round(place.y_high), mastering.chart_round(place.y),
                format('said %s, observed %s of %s pairs', mastering.chart_share(place.said), mastering.chart_share(place.observed), mastering.chart_count(place.pairs)))
            || CASE WHEN place.n % 2 = 0 THEN mastering.chart_bar('band', 500, 940, y - 2, 22) ELSE '' END
            || mastering.chart_label('ink', 600, y + 14, mastering.chart_share(place.said), 'end')
            -- Outside of its interval, what was said is wrong by more than chance.
            || mastering.chart_label(CASE WHEN place.said < place.low OR place.said > place.high THEN 'strong ink' ELSE 'ink' END, 690, y + 14, mastering.chart_share(place.observed), 'end')
            || mastering.chart_label('soft', 840, y + 14, mastering.chart_share(place.low) || ' &#x2013; ' || mastering.chart_share(place.high), 'end')
            || mastering.chart_label('ink', 930, y + 14, mastering.chart_count(place.pairs), 'end');
        y := y + 22;
    END LOOP;
    summary := CASE WHEN (everything ->> 'pairs')::numeric = 0 THEN 'There is no pair to judge.' ELSE format('Said and observed differ by %s on average. Brier score %s, log loss %s bits a pair.',
        mastering.chart_share((everything ->> 'calibration_error')::float8), round((everything ->> 'brier_score')::numeric, 4), round((everything ->> 'log_loss')::numeric, 4)) END;
    RETURN mastering.chart_document(960, (y_bottom + 66)::integer, 'Probabilities said and observed', summary,
        format('%s Points for the parts of the range of probabilities, by what the model said and how many of the pairs are matches; right is the diagonal.', summary),
        body || mastering.chart_label('soft', 500, y + 18, format('Pairs judged: %s, matches: %s%s.', mastering.chart_count((everything ->> 'pairs')::numeric), mastering.chart_count((everything ->> 'matches')::numeric),
            CASE WHEN (everything ->> 'unjudged_pairs')::numeric > 0 THEN format(', without a verdict: %s', mastering.chart_count((everything ->> 'unjudged_pairs')::numeric)) ELSE '' END))
        || mastering.chart_label('soft', 500, y + 38, 'Above the dashed line the model is too careful, below it too sure.'));
END
$$;
COMMENT ON FUNCTION mastering.draw_calibration(jsonb) IS 'Internal. The picture of the rows of calibration.';
