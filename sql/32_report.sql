-- 32_report.sql: everything about a result on one page: the data, the model, what was compared, the scores, the
-- clusters that deserve a look and the pairs that almost matched, or almost did not.

CREATE FUNCTION mastering.draw_cluster_sizes(sizes jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 130;
    x_to CONSTANT double precision := 700;
    y double precision := 66;
    body text := '';
    class record;
BEGIN
    -- Classes of sizes whose bounds grow; those in which nothing falls are left out.
    FOR class IN
        SELECT k.low, k.high, sum((s ->> 1)::numeric) AS clusters, sum((s ->> 0)::numeric * (s ->> 1)::numeric) AS records,
            max(sum((s ->> 0)::numeric * (s ->> 1)::numeric)) OVER () AS most
        FROM (VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 9), (10, 19), (20, 49), (50, 99), (100, 999), (1000, NULL)) AS k (low, high),
            jsonb_array_elements(sizes) AS s
        WHERE (s ->> 0)::numeric BETWEEN k.low AND COALESCE(k.high, 'Infinity'::numeric)
        GROUP BY k.low, k.high ORDER BY k.low
    LOOP
        body := body || mastering.chart_label('ink', x_from - 10, y + 15, CASE WHEN class.low = 1 THEN 'found once' WHEN class.high IS NULL THEN class.low || ' or more' WHEN class.low = class.high THEN class.low || ' records'
                ELSE class.low || '&#x2013;' || class.high END, 'end')
            || mastering.chart_bar(CASE WHEN class.low = 1 THEN 'still' ELSE 'plus' END, x_from, x_from + (class.records / class.most)::float8 * (x_to - x_from), y + 3, 15)
            || mastering.chart_label('ink', x_from + (class.records / class.most)::float8 * (x_to - x_from) + 8, y + 15,
                mastering.chart_count(class.records) || CASE WHEN class.low = 1 THEN ' records' ELSE format(CASE WHEN class.clusters = 1 THEN ' in %s cluster' ELSE ' in %s clusters' END, mastering.chart_count(class.clusters)) END);
        y := y + 23;
    END LOOP;
    RETURN mastering.chart_document(960, (y + 16)::integer, 'Clusters by size', 'How many records are in clusters of which size.',
        format('Bars for %s sizes of clusters.', jsonb_array_length(sizes)), body);
END
$$;
COMMENT ON FUNCTION mastering.draw_cluster_sizes(jsonb) IS 'Internal. The picture of the sizes of clusters: [size, clusters], ....';

CREATE FUNCTION mastering.report_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $style$
SELECT $$
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 24px 20px 60px; max-width: 980px; background: #f3f5f7; color: #1f2328;
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 4px; }
p { margin: 4px 0 12px; max-width: 46em; color: #57606a; }
figure, .box { margin: 12px 0; background: #ffffff; border: 1px solid #d8dee4; border-radius: 6px; overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; padding: 0; list-style: none; }
.facts li { flex: 1 1 130px; background: #ffffff; border: 1px solid #d8dee4; border-radius: 6px; padding: 10px 14px; color: #57606a; font-size: 13px; }
.facts b { display: block; font-size: 22px; color: #1f2328; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 6px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid #d8dee4; white-space: nowrap; }
td:last-child { white-space: normal; overflow-wrap: anywhere; }
th { color: #57606a; font-weight: normal; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) {
body { background: #0b0e12; color: #e6edf3; }
p { color: #a5afba; }
figure, .box, .facts li { background: #15191e; border-color: #323a44; }
.facts li, th { color: #a5afba; }
.facts b { color: #e6edf3; }
th, td { border-color: #323a44; }
}
@media print { body { background: #ffffff; max-width: none; } figure, .box { break-inside: avoid; } }
$$
$style$;
COMMENT ON FUNCTION mastering.report_style() IS 'Internal. The rules of style of the report.';

CREATE FUNCTION mastering.report_facts(facts text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT E'<ul class="facts">\n' || string_agg(format(E'<li><b>%s</b>%s</li>\n', facts[2 * i - 1], facts[2 * i]), '' ORDER BY i) || E'</ul>\n' FROM generate_series(1, cardinality(facts) / 2) AS i $$;
COMMENT ON FUNCTION mastering.report_facts(text[]) IS 'Internal. Figures and what they are, in turn, as HTML.';

-- The rows of profile() as an HTML table.
CREATE FUNCTION mastering.report_profile(columns jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT E'<div class="box"><table>\n<thead><tr><th>column</th><th>holds</th><th class="number">missing</th><th class="number">distinct</th><th class="number">two are equal</th><th class="number">length</th><th>most frequent</th></tr></thead>\n<tbody>\n'
    || COALESCE(string_agg(format(E'<tr><td>%s</td><td>%s</td><td class="number">%s</td><td class="number">%s</td><td class="number">%s</td><td class="number">%s</td><td>%s</td></tr>\n',
        mastering.chart_text(c ->> 'name', 40), mastering.chart_text((c ->> 'kind') || COALESCE(' in ' || (c ->> 'unit'), ''), 24), mastering.chart_share((c ->> 'nulls')::float8 / nullif((c ->> 'records')::float8, 0)),
        mastering.chart_count((c ->> 'distinct_values')::numeric), mastering.chart_share((c ->> 'equal_share')::float8),
        COALESCE(trim_scale(round((c ->> 'mean_length')::numeric, 1)) || ', at most ' || mastering.chart_count((c ->> 'longest')::numeric), '&#x2013;'),
        COALESCE((SELECT string_agg(mastering.chart_text(t.key, 18) || ' (' || mastering.chart_count(t.value::numeric) || ')', ', ' ORDER BY t.value::numeric DESC, t.key COLLATE "C")
            FROM jsonb_each_text(CASE WHEN jsonb_typeof(c -> 'top_values') = 'object' THEN c -> 'top_values' ELSE '{}' END) AS t), '')), '' ORDER BY n), '')
    || E'</tbody>\n</table></div>\n'
FROM jsonb_array_elements(columns) WITH ORDINALITY AS u (c, n)
$$;
COMMENT ON FUNCTION mastering.report_profile(jsonb) IS 'Internal. The rows of profile as an HTML table.';

CREATE FUNCTION mastering.report(query text, model jsonb DEFAULT NULL, labels text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    most_pairs CONSTANT bigint := 2000000;
    trained jsonb := model;
    scores jsonb;
    columns jsonb;
    clusters jsonb;
    chosen record;
    body text;
    threshold double precision;
    told pg_catalog.text := pg_catalog.current_setting('client_min_messages');
    -- The query is read many times, and most of them have the same to say.
    repeats CONSTANT boolean := told IN ('notice', 'warning') AND NOT COALESCE(pg_catalog.current_setting('mastering.log_progress', true)::boolean, false);    -- unknown, until a function of the library was called
BEGIN
    SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', p.name, 'kind', p.kind, 'records', p.records, 'nulls', p.nulls, 'distinct_values', p.distinct_values, 'mean_length', p.mean_length,
        'longest', p.longest, 'equal_share', p.equal_share, 'top_values', p.top_values::pg_catalog.jsonb) ORDER BY p.n), '[]') INTO columns
    FROM (SELECT x.*, pg_catalog.row_number() OVER () AS n FROM mastering.profile(query) AS x) AS p;
    PERFORM pg_catalog.set_config('client_min_messages', 'warning', true) WHERE repeats;
    IF trained IS NULL THEN
        trained := mastering.suggest(query);
    END IF;
    IF pg_catalog.jsonb_typeof(trained) = 'object' AND NOT trained ? 'prior' THEN
        trained := mastering.train_model(query, trained, labels);
    END IF;
    PERFORM mastering.require_model(trained);
    threshold := mastering.model_threshold(trained);
    scores := mastering.score_summary(query, trained, most_pairs);
    PERFORM pg_catalog.set_config('client_min_messages', 'error', true) WHERE repeats;

    -- Shown are the two largest clusters and the three of at least three records that the weakest links hold together.
    WITH c AS MATERIALIZED (SELECT m.id, m.cluster_id, m.size, m.weakest_link FROM mastering.match_clusters(query, trained, labels => labels) AS m),
    k AS MATERIALIZED (SELECT c.cluster_id, pg_catalog.count(*) AS size, pg_catalog.min(c.weakest_link) AS weakest FROM c GROUP BY c.cluster_id),
    large AS (SELECT k.cluster_id, 1 AS kind, pg_catalog.row_number() OVER (ORDER BY k.size DESC, k.weakest, k.cluster_id COLLATE "C") AS n FROM k WHERE k.size > 1 ORDER BY n LIMIT 2),
    doubtful AS (SELECT k.cluster_id, 2 AS kind, pg_catalog.row_number() OVER (ORDER BY k.weakest, k.size DESC, k.cluster_id COLLATE "C") AS n FROM k
        WHERE k.size > 2 AND k.cluster_id NOT IN (SELECT l.cluster_id FROM large AS l) ORDER BY n LIMIT 3)
    SELECT pg_catalog.jsonb_build_object('records', COALESCE(pg_catalog.sum(k.size), 0), 'clusters', pg_catalog.count(*), 'joined', COALESCE(pg_catalog.sum(k.size) FILTER (WHERE k.size > 1), 0), 'largest', COALESCE(pg_catalog.max(k.size), 0),
        'sizes', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.size, s.clusters) ORDER BY s.size) FROM (SELECT o.size, pg_catalog.count(*) AS clusters FROM k AS o GROUP BY o.size) AS s), '[]'),
        'shown', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('kind', f.kind, 'members', (SELECT pg_catalog.jsonb_agg(c.id) FROM c WHERE c.cluster_id = f.cluster_id)) ORDER BY f.kind, f.n)
            FROM (SELECT l.* FROM large AS l UNION ALL SELECT d.* FROM doubtful AS d) AS f), '[]'))
        INTO clusters
    FROM k;

    body := mastering.report_facts(ARRAY[
            mastering.chart_count((clusters ->> 'records')::pg_catalog.numeric), 'records',
            mastering.chart_count((clusters ->> 'clusters')::pg_catalog.numeric), 'clusters',
            mastering.chart_count((clusters ->> 'joined')::pg_catalog.numeric), 'records found more than once',
            mastering.chart_count((clusters ->> 'largest')::pg_catalog.numeric), 'records in the largest cluster',
            mastering.chart_short_count((scores ->> 'candidates')::pg_catalog.numeric), 'pairs compared'])
        || E'<h2>The data</h2>\n<p>What every column seems to hold. A column tells records apart when two values are seldom equal and few are missing.</p>\n'
        || mastering.report_profile(columns)
        || E'<h2>What was compared</h2>\n<p>Only pairs that share a key of a rule are compared. Each rule adds the pairs that those before it did not find.</p>\n<figure>'
        || mastering.blocking_chart(query, trained) || E'</figure>\n'
        || E'<h2>What the model learned</h2>\n<p>Every comparison adds its weight to that of the prior; the sum says how likely a pair is a match.</p>\n<figure>'
        || mastering.model_chart(trained) || E'</figure>\n'
        || E'<h2>Scores</h2>\n<p>A good model has two hills and few pairs between them. What lies next to the threshold deserves labels.</p>\n<figure>'
        || mastering.draw_weights(scores) || E'</figure>\n'
        -- Labels name few records: only these are scored again.
        || CASE WHEN labels IS NULL THEN '' ELSE E'<h2>Labels</h2>\n<p>Whether the probabilities mean what they say, by the labelled pairs. Labels that the model learned from flatter it, and of '
            'pairs that were asked for because clusters and scores disagree more are wrong than of others: judge a model by pairs drawn by lot.</p>\n<figure>'
            || mastering.calibration_chart(pg_catalog.format('SELECT * FROM mastering.match_pairs(%L, %L, 1e-290)', pg_catalog.format(E'SELECT q.* FROM (\n%s\n) AS q WHERE q.id::pg_catalog.text COLLATE "C" IN (\n'
                    'SELECT u.id FROM (\n%s\n) AS l CROSS JOIN LATERAL (VALUES (l.id_a::pg_catalog.text COLLATE "C"), (l.id_b::pg_catalog.text COLLATE "C")) AS u (id))',
                    mastering.query_body(query), mastering.query_body(labels, 'labels')), trained), labels) || E'</figure>\n' END
        || E'<h2>Clusters</h2>\n<figure>' || mastering.draw_cluster_sizes(clusters -> 'sizes') || E'</figure>\n';
    FOR chosen IN SELECT (s ->> 'kind')::pg_catalog.int4 AS kind, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(s -> 'members')) AS members, n,
            pg_catalog.row_number() OVER (PARTITION BY s ->> 'kind' ORDER BY n) AS n_of_kind
        FROM pg_catalog.jsonb_array_elements(clusters -> 'shown') WITH ORDINALITY AS u (s, n) ORDER BY n
    LOOP
        body := body || CASE WHEN chosen.n_of_kind > 1 THEN '' WHEN chosen.kind = 1 THEN E'<h2>The largest clusters</h2>\n<p>Large clusters are either true or the work of one value that too many records share.</p>\n'
                ELSE E'<h2>The most doubtful clusters</h2>\n<p>Of at least three records, held together by the weakest links.</p>\n' END
            || '<figure>' || mastering.cluster_chart(query, trained, chosen.members) || E'</figure>\n';
    END LOOP;
    FOR chosen IN SELECT s.kind, s.pair, s.n FROM (
            SELECT 1 AS kind, p AS pair, n FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(scores -> 'above') = 'array' THEN scores -> 'above' ELSE '[]' END) WITH ORDINALITY AS u (p, n)
            UNION ALL
            SELECT 2, p, n FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(scores -> 'below') = 'array' THEN scores -> 'below' ELSE '[]' END) WITH ORDINALITY AS u (p, n)) AS s
        ORDER BY s.kind, s.n
    LOOP
        body := body || CASE WHEN chosen.n > 1 THEN '' WHEN chosen.kind = 1 THEN E'<h2>Pairs that just match</h2>\n<p>The commonest kinds of pair next above the threshold, one of each.</p>\n'
                ELSE E'<h2>Pairs that just do not match</h2>\n<p>The commonest kinds of pair next below the threshold, one of each.</p>\n' END
            || '<figure>' || mastering.pair_chart(query, trained, chosen.pair ->> 0, chosen.pair ->> 1) || E'</figure>\n';
    END LOOP;
    PERFORM pg_catalog.set_config('client_min_messages', told, true) WHERE repeats;
    RETURN pg_catalog.format(E'<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>\n<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        -- Whatever stands in the data, the page loads and runs nothing.
        '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''unsafe-inline''"/>\n<title>Matching report</title>\n<style>%s</style>\n</head>\n<body>\n<h1>Matching report</h1>\n<p>%s</p>\n%s</body>\n</html>\n',
        mastering.report_style(),
        pg_catalog.format('The records of the query, matched from a probability of %s on%s.', mastering.chart_share(threshold),
            CASE WHEN pg_catalog.jsonb_typeof(trained #> '{training,labels}') = 'object' THEN ', by a model trained with labels' WHEN trained #>> '{training,labels}' = 'false' THEN ', by a model trained without labels' ELSE '' END),
        body);
END
$$;
COMMENT ON FUNCTION mastering.report(text, jsonb, text) IS
'One self-contained HTML page about the matching of a query: its profile, what was compared, the model, the scores, the largest and the most doubtful clusters, and pairs next to the threshold explained. Without a model it trains one, as dedupe does. labels: a SELECT of id_a, id_b, is_match; a model that is trained learns from them, the clusters follow them, and a chart shows how well its probabilities fit them. Costs about three runs of matching.';
