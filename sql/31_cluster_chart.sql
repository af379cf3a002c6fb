-- 31_cluster_chart.sql: the graph of one cluster: records, the pairs that hold them together, the weakest link.
--
-- The weakest link is the lightest edge of a maximum spanning tree of the pairs at or above the threshold: without
-- it (and what is lighter) the cluster falls into two. Positions come from the distances in the graph by stress
-- majorization (SMACOF: de Leeuw 1977; for graphs Gansner, Koren and North 2004), begun from the order in which the
-- spanning tree grew. Nothing is random, so a picture is the same at every call.

CREATE FUNCTION mastering.cluster_chart(query text, model jsonb, members text[], threshold double precision DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    most_records CONSTANT integer := 200; -- a screen does not hold more
    columns text[] := mastering.query_column_names(query, 'query');
    told text[];
    wanted text[];
    shown text;
    ids text[];
    labels text[];
    missing text;
    pairs jsonb;
BEGIN
    PERFORM mastering.require_model(model);
    PERFORM mastering.require_columns(columns, '{id}', 'query');
    IF threshold IS NOT NULL AND NOT (threshold > 0 AND threshold < 1) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the threshold %s is not a probability between 0 and 1, both excluded', threshold);
    END IF;
    -- Shorter ids first: for whole numbers that is their order.
    wanted := ARRAY(SELECT m FROM (SELECT DISTINCT u.m COLLATE "C" AS m FROM pg_catalog.unnest(members) AS u (m) WHERE u.m IS NOT NULL) AS d ORDER BY pg_catalog.length(m), m);
    IF pg_catalog.cardinality(wanted) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'a cluster chart needs the id of at least one record',
            HINT = 'Name the members, cluster_chart(query, model, ARRAY[''1'', ''2'']), or one of them, cluster_chart(query, model, ''1'').';
    END IF;
    shown := pg_catalog.format(E'SELECT q.* FROM (\n%s\n) AS q WHERE q.id::pg_catalog.text = ANY (%L::pg_catalog.text[])', mastering.query_body(query), wanted[:most_records]);
    -- What is told about a record: its column "label", else what the model compares first.
    IF 'label' = ANY (columns) THEN
        told := '{label}';
    ELSE
        told := ARRAY(SELECT c ->> 'column' FROM pg_catalog.jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n) WHERE c ->> 'column' = ANY (columns) ORDER BY n LIMIT 3);
        IF told = '{}' THEN
            told := (ARRAY(SELECT c FROM pg_catalog.unnest(columns) WITH ORDINALITY AS u (c, n) WHERE c <> 'id' ORDER BY n))[:3];
        END IF;
    END IF;
    EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(r.id ORDER BY pg_catalog.length(r.id), r.id), pg_catalog.array_agg(r.label ORDER BY pg_catalog.length(r.id), r.id)
        FROM (SELECT s.id::pg_catalog.text COLLATE "C" AS id, pg_catalog.min(pg_catalog.left(pg_catalog.concat_ws('', ''%s, NULL), 500)) AS label FROM (%s) AS s GROUP BY 1) AS r',
        (SELECT pg_catalog.string_agg(pg_catalog.format(', NULLIF(s.%I::pg_catalog.text, '''')', t), '' ORDER BY n) FROM pg_catalog.unnest(told) WITH ORDINALITY AS u (t, n)), shown)
        INTO ids, labels;
    SELECT m INTO missing FROM pg_catalog.unnest(wanted[:most_records]) AS m WHERE m <> ALL (COALESCE(ids, '{}')) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = pg_catalog.format('the query returns no record with id "%s"', missing),
            HINT = 'Ids are given as text, as match_clusters returns them.';
    END IF;
    SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(pg_catalog.array_position(ids, p.id_a COLLATE "C"), pg_catalog.array_position(ids, p.id_b COLLATE "C"), p.weight)), '[]') INTO pairs
    FROM mastering.match_pairs(shown, model, 1e-290) AS p;
    RETURN mastering.draw_cluster(ids, labels, pairs, COALESCE(threshold, mastering.model_threshold(model)), pg_catalog.cardinality(wanted));
END
$$;
COMMENT ON FUNCTION mastering.cluster_chart(text, jsonb, text[], double precision) IS
'A picture (SVG) of the graph of some records, as a rule the members of a cluster: lines are the pairs that match, wider for more weight; the weakest link is marked. Records are told by the query''s column "label", or by what the model compares first. Of more than 200 records the first 200 are drawn.';

CREATE FUNCTION mastering.cluster_chart(query text, model jsonb, member text, threshold double precision DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    members text[];
BEGIN
    PERFORM mastering.require_model(model);
    IF member IS NOT NULL THEN
        WITH c AS MATERIALIZED (SELECT m.id, m.cluster_id FROM mastering.match_clusters(query, model, threshold) AS m)
        SELECT pg_catalog.array_agg(c.id) INTO members FROM c WHERE c.cluster_id = (SELECT o.cluster_id FROM c AS o WHERE o.id = member);
        IF members IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = pg_catalog.format('the query returns no record with id "%s"', member),
                HINT = 'Ids are given as text, as match_clusters returns them; an array of ids is written ARRAY[''1'', ''2''].';
        END IF;
    END IF;
    RETURN mastering.cluster_chart(query, model, members, threshold);
END
$$;
COMMENT ON FUNCTION mastering.cluster_chart(text, jsonb, text, double precision) IS
'cluster_chart of the cluster that a record is in. Finds it by match_clusters over the whole query; name the members where they are known already.';

-- Distances in the graph by breadth-first search, all nodes at once, with rows of neighbours as bit strings: every
-- pair of nodes enters a frontier once. Returns n * n numbers, row by row; what cannot be reached is a little
-- farther than what can.
CREATE FUNCTION mastering.graph_distances(n integer, pairs_a integer[], pairs_b integer[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    none CONSTANT bit varying := repeat('0', n)::bit varying;
    neighbours bit varying[] := array_fill(none, ARRAY[n]);
    distances integer[] := array_fill(-1, ARRAY[n * n]);
    farthest integer := 0;
    seen bit varying;
    frontier integer[];
    fresh bit varying;
    hops integer;
BEGIN
    FOR e IN 1 .. cardinality(pairs_a) LOOP
        neighbours[pairs_a[e]] := set_bit(neighbours[pairs_a[e]]::bit varying, pairs_b[e] - 1, 1);
        neighbours[pairs_b[e]] := set_bit(neighbours[pairs_b[e]]::bit varying, pairs_a[e] - 1, 1);
    END LOOP;
    FOR i IN 1 .. n LOOP
        seen := set_bit(none::bit varying, i - 1, 1);
        frontier := ARRAY[i];
        hops := 0;
        distances[(i - 1) * n + i] := 0;
        LOOP
            fresh := none;
            FOR f IN 1 .. cardinality(frontier) LOOP
                fresh := fresh | neighbours[frontier[f]];
            END LOOP;
            fresh := fresh & ~seen;
            EXIT WHEN fresh = none;
            hops := hops + 1;
            seen := seen | fresh;
            frontier := ARRAY(SELECT j FROM generate_series(1, n) AS j WHERE get_bit(fresh, j - 1) = 1);
            FOR f IN 1 .. cardinality(frontier) LOOP
                distances[(i - 1) * n + frontier[f]] := hops;
            END LOOP;
        END LOOP;
        farthest := greatest(farthest, hops);
    END LOOP;
    RETURN ARRAY(SELECT CASE WHEN d < 0 THEN farthest + 1 ELSE d END FROM unnest(distances) WITH ORDINALITY AS u (d, o) ORDER BY o);
END
$$;
COMMENT ON FUNCTION mastering.graph_distances(integer, integer[], integer[]) IS 'Internal. How many edges lie between any two nodes of a graph, row by row.';

-- Positions whose distances are as near as can be to the wanted ones. start: the nodes as they stand on a circle at first.
CREATE FUNCTION mastering.graph_layout(wanted double precision[], start integer[], OUT xs double precision[], OUT ys double precision[])
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n CONSTANT integer := cardinality(start);
    mean_x double precision;
    mean_y double precision;
    angle double precision;
    i_of CONSTANT integer[] := ARRAY(SELECT (o - 1) / n + 1 FROM generate_series(1, n * n) AS o);
    j_of CONSTANT integer[] := ARRAY(SELECT (o - 1) % n + 1 FROM generate_series(1, n * n) AS o);
    weights CONSTANT double precision[] := ARRAY(SELECT 1 / greatest(1e-6, d * d) FROM unnest(wanted) WITH ORDINALITY AS u (d, o) ORDER BY o); -- of the stress: near counts more
BEGIN
    SELECT array_agg(cos(2 * pi() * (o - 1) / n) * r.size ORDER BY s), array_agg(sin(2 * pi() * (o - 1) / n) * r.size ORDER BY s) INTO xs, ys
    FROM unnest(start) WITH ORDINALITY AS u (s, o), (SELECT COALESCE(avg(d) FILTER (WHERE d > 0), 1) / 1.3 AS size FROM unnest(wanted) AS d) AS r;
    IF n < 2 THEN
        RETURN;
    END IF;
    FOR round IN 1 .. CASE WHEN n <= 60 THEN 100 ELSE 30 END LOOP
        SELECT array_agg(s.x ORDER BY s.i), array_agg(s.y ORDER BY s.i) INTO xs, ys
        FROM (
            SELECT p.i, sum(p.weight * p.x + p.pull * p.dx) / sum(p.weight) AS x, sum(p.weight * p.y + p.pull * p.dy) / sum(p.weight) AS y
            FROM (
                SELECT q.*, sqrt(q.weight) / greatest(1e-6, sqrt(q.dx * q.dx + q.dy * q.dy)) AS pull
                FROM (
                    SELECT u.i, xs[u.j] AS x, ys[u.j] AS y, u.weight, xs[u.i] - xs[u.j] AS dx, ys[u.i] - ys[u.j] AS dy
                    FROM unnest(weights, i_of, j_of) AS u (weight, i, j)
                    WHERE u.i <> u.j
                    OFFSET 0 -- or each of these would be computed anew wherever it is used
                ) AS q
                OFFSET 0
            ) AS p
            GROUP BY p.i
        ) AS s;
    END LOOP;
    -- The longest axis lies flat, and the first node on the left: pictures are wider than high.
    SELECT avg(x), avg(y) INTO mean_x, mean_y FROM unnest(xs, ys) AS u (x, y);
    SELECT atan2(2 * sum((x - mean_x) * (y - mean_y)), sum((x - mean_x) ^ 2 - (y - mean_y) ^ 2)) / 2 INTO angle FROM unnest(xs, ys) AS u (x, y);
    IF (xs[start[1]] - mean_x) * cos(angle) + (ys[start[1]] - mean_y) * sin(angle) > 0 THEN
        angle := angle + pi();
    END IF;
    SELECT array_agg((x - mean_x) * cos(angle) + (y - mean_y) * sin(angle) ORDER BY o), array_agg((y - mean_y) * cos(angle) - (x - mean_x) * sin(angle) ORDER BY o) INTO xs, ys
    FROM unnest(xs, ys) WITH ORDINALITY AS u (x, y, o);
END
$$;
COMMENT ON FUNCTION mastering.graph_layout(double precision[], integer[]) IS 'Internal. Positions of the nodes of a graph from the distances wanted between them, row by row.';

-- Where labels in a column go that want to be at these heights, in order: as near as can be, without touching.
CREATE FUNCTION mastering.spread_labels(wanted double precision[], gap double precision, top double precision, bottom double precision) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at double precision[] := wanted;
    n CONSTANT integer := cardinality(wanted);
BEGIN
    FOR i IN 1 .. n LOOP
        at[i] := greatest(at[i], CASE WHEN i = 1 THEN top ELSE at[i - 1] + gap END);
    END LOOP;
    FOR i IN REVERSE n .. 1 LOOP
        at[i] := least(at[i], CASE WHEN i = n THEN bottom ELSE at[i + 1] - gap END);
    END LOOP;
    RETURN at;
END
$$;
COMMENT ON FUNCTION mastering.spread_labels(double precision[], double precision, double precision, double precision) IS 'Internal. Heights of labels in a column, at least a gap apart.';

-- pairs: [a, b, weight] with the numbers of the records in ids. all_members: how many there are, drawn or not.
CREATE FUNCTION mastering.draw_cluster(ids text[], labels text[], pairs jsonb, threshold double precision, all_members bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_edges CONSTANT integer := 2000;
    n CONSTANT integer := cardinality(ids);
    line CONSTANT double precision := mastering.weight_of(threshold);
    -- Three manners: every record with two lines of text, with one, or only as a dot.
    manner CONSTANT integer := CASE WHEN n <= 24 THEN 1 WHEN n <= 60 THEN 2 ELSE 3 END;
    gap CONSTANT double precision := CASE manner WHEN 1 THEN 36 ELSE 17 END;
    radius CONSTANT double precision := CASE manner WHEN 1 THEN 7 WHEN 2 THEN 5 ELSE 4 END;
    plot_left CONSTANT double precision := CASE manner WHEN 3 THEN 60 ELSE 330 END;
    plot_right CONSTANT double precision := CASE manner WHEN 3 THEN 900 ELSE 630 END;
    plot_top CONSTANT double precision := 84;
    plot_bottom double precision;
    part_of integer[] := ARRAY(SELECT generate_series(1, n));
    part_lists jsonb[] := ARRAY(SELECT to_jsonb(ARRAY[i]) FROM generate_series(1, n) AS i ORDER BY i);
    part_count integer := n;
    merged integer[];
    fallen integer[]; -- the smaller side of the weakest link
    weakest_a integer;
    weakest_b integer;
    weakest double precision;
    tree boolean[] := '{}';
    a integer[];
    b integer[];
    weights double precision[];
    matching integer;
    strongest double precision;
    distances integer[];
    wanted double precision[];
    xs double precision[];
    ys double precision[];
    low_x double precision;
    low_y double precision;
    scale double precision;
    edge record;
    side record;
    node integer;
    at double precision[];
    share double precision;
    x double precision;
    y double precision;
    lines text := '';
    marks text := '';
    dots text := '';
    texts text := '';
    subtitle text;
    below boolean := false; -- is a pair below the threshold drawn?
BEGIN
    SELECT array_agg((p ->> 0)::integer ORDER BY (p ->> 2)::float8 DESC, (p ->> 0)::integer, (p ->> 1)::integer), array_agg((p ->> 1)::integer ORDER BY (p ->> 2)::float8 DESC, (p ->> 0)::integer, (p ->> 1)::integer),
        array_agg((p ->> 2)::float8 ORDER BY (p ->> 2)::float8 DESC, (p ->> 0)::integer, (p ->> 1)::integer), count(*) FILTER (WHERE (p ->> 2)::float8 >= line)
        INTO a, b, weights, matching
    FROM jsonb_array_elements(pairs) AS p;
    strongest := greatest(line + 1, weights[1]);

    -- Kruskal's spanning tree, heaviest edges first. The order in which parts are joined keeps neighbours together.
    FOR e IN 1 .. matching LOOP
        tree[e] := part_of[a[e]] <> part_of[b[e]];
        IF tree[e] THEN
            weakest := weights[e];
            weakest_a := a[e];
            weakest_b := b[e];
            merged := ARRAY(SELECT value::integer FROM jsonb_array_elements_text(part_lists[part_of[a[e]]]));
            fallen := ARRAY(SELECT value::integer FROM jsonb_array_elements_text(part_lists[part_of[b[e]]]));
            IF cardinality(fallen) > cardinality(merged) THEN
                merged := fallen || merged;
                fallen := merged[cardinality(fallen) + 1:];
            ELSE
                merged := merged || fallen;
            END IF;
            node := part_of[merged[1]];
            part_lists[node] := to_jsonb(merged);
            FOR m IN 1 .. cardinality(merged) LOOP
                part_of[merged[m]] := node;
            END LOOP;
            part_count := part_count - 1;
        END IF;
    END LOOP;
    merged := ARRAY(SELECT value::integer FROM (SELECT DISTINCT p FROM unnest(part_of) AS p) AS d, jsonb_array_elements_text(part_lists[d.p]) WITH ORDINALITY AS u (value, o)
        ORDER BY jsonb_array_length(part_lists[d.p]) DESC, d.p, o);

    -- Near in the graph is near in the picture, and a strong link is shorter than a weak one.
    distances := mastering.graph_distances(n, COALESCE(a[:matching], '{}'), COALESCE(b[:matching], '{}'));
    wanted := ARRAY(SELECT CASE WHEN d <= 1 THEN d ELSE d * 1.2 END::float8 FROM unnest(distances) WITH ORDINALITY AS u (d, o) ORDER BY o);
    FOR e IN 1 .. matching LOOP
        share := 1.5 - 0.6 * least(1, (weights[e] - line) / (strongest - line));
        wanted[(a[e] - 1) * n + b[e]] := share;
        wanted[(b[e] - 1) * n + a[e]] := share;
    END LOOP;
    SELECT l.xs, l.ys INTO xs, ys FROM mastering.graph_layout(wanted, merged) AS l;
    -- As wide as there is room, without blowing up what is small; as high as that asks for, and as the labels do.
    SELECT least(240, (plot_right - plot_left) / greatest(1e-6, s.width), CASE manner WHEN 3 THEN 520 ELSE greatest(240, gap * ((n + 1) / 2)) END / greatest(1e-6, s.height)), s.x, s.y,
        greatest(s.height * least(240, (plot_right - plot_left) / greatest(1e-6, s.width)), gap * CASE manner WHEN 3 THEN 2 ELSE (n + 1) / 2 END)
        INTO scale, low_x, low_y, y
    FROM (SELECT max(u.x) - min(u.x) AS width, max(u.y) - min(u.y) AS height, (max(u.x) + min(u.x)) / 2 AS x, (max(u.y) + min(u.y)) / 2 AS y FROM unnest(xs, ys) AS u (x, y)) AS s;
    plot_bottom := plot_top + 20 + least(y, CASE manner WHEN 3 THEN 520 ELSE greatest(240, gap * ((n + 1) / 2)) END);
    SELECT array_agg((plot_left + plot_right) / 2 + (u.x - low_x) * scale ORDER BY o), array_agg((plot_top + plot_bottom) / 2 + (u.y - low_y) * scale ORDER BY o) INTO xs, ys
    FROM unnest(xs, ys) WITH ORDINALITY AS u (x, y, o);

    -- Of very many edges those of the tree and the weakest are drawn: the strong ones only thicken what is thick.
    FOR edge IN
        SELECT * FROM (
            SELECT o AS e, weights[o] >= line AS matches, COALESCE(tree[o], false) AS in_tree FROM generate_series(1, cardinality(weights)) AS o
            WHERE weights[o] >= line OR (manner = 1 AND weights[o] >= line - 30)
            -- Of those of one weight some from everywhere.
            ORDER BY COALESCE(tree[o], false) DESC, round(weights[o]::numeric, 1), (a[o] * 7919 + b[o] * 104729) % 10007, o LIMIT most_edges
        ) AS d ORDER BY d.e DESC
    LOOP
        share := greatest(0, least(1, (weights[edge.e] - line) / (strongest - line)));
        below := below OR NOT edge.matches;
        CONTINUE WHEN edge.in_tree AND a[edge.e] = weakest_a AND b[edge.e] = weakest_b;
        lines := lines || format(E'<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"%s>%s</line>\n', CASE WHEN edge.matches THEN 'plus-line' ELSE 'axis' END,
            mastering.chart_round(xs[a[edge.e]]), mastering.chart_round(ys[a[edge.e]]), mastering.chart_round(xs[b[edge.e]]), mastering.chart_round(ys[b[edge.e]]),
            CASE WHEN edge.matches THEN format(' stroke-width="%s" stroke-opacity="%s"', mastering.chart_round(CASE manner WHEN 1 THEN 1 + 4 * share WHEN 2 THEN 1 + 2 * share ELSE CASE WHEN matching > 800 THEN 0.5 ELSE 1 END + share END),
                trim_scale(round(CASE WHEN matching > 800 THEN 0.15 + 0.2 * share WHEN manner = 1 THEN 0.55 + 0.4 * share ELSE 0.45 + 0.4 * share END::numeric, 2))) ELSE ' stroke-dasharray="1 4"' END,
            CASE WHEN manner < 3 THEN format('<title>%s and %s: %s bits</title>', mastering.chart_text(ids[a[edge.e]], 40), mastering.chart_text(ids[b[edge.e]], 40), mastering.chart_weight(weights[edge.e])) ELSE '' END);
        IF manner = 1 AND matching <= 8 AND edge.matches THEN
            marks := marks || mastering.chart_label('ink small halo', xs[a[edge.e]] * 0.6 + xs[b[edge.e]] * 0.4, ys[a[edge.e]] * 0.6 + ys[b[edge.e]] * 0.4 + 4, mastering.chart_weight(weights[edge.e]), 'middle');
        END IF;
    END LOOP;
    IF weakest IS NOT NULL THEN
        lines := lines || format(E'<line class="minus-line" stroke-width="3" stroke-dasharray="7 4" x1="%s" y1="%s" x2="%s" y2="%s"><title>the weakest link: %s bits</title></line>\n',
            mastering.chart_round(xs[weakest_a]), mastering.chart_round(ys[weakest_a]), mastering.chart_round(xs[weakest_b]), mastering.chart_round(ys[weakest_b]), mastering.chart_weight(weakest));
        marks := marks || mastering.chart_label('strong ink halo', (xs[weakest_a] + xs[weakest_b]) / 2, (ys[weakest_a] + ys[weakest_b]) / 2 + 4.5, mastering.chart_weight(weakest), 'middle');
    END IF;
    IF part_count > 1 OR n < 3 THEN
        fallen := NULL;
    END IF;

    FOR i IN 1 .. n LOOP
        dots := dots || format(E'<circle class="%s" cx="%s" cy="%s" r="%s"><title>%s</title></circle>\n', CASE WHEN i = ANY (fallen) THEN 'paper ink-line' ELSE 'ink rim' END,
            mastering.chart_round(xs[i]), mastering.chart_round(ys[i]), mastering.chart_round(radius), concat_ws(': ', mastering.chart_text(ids[i], 40), NULLIF(mastering.chart_text(labels[i], 60), '')));
    END LOOP;
    IF manner < 3 THEN
        FOR side IN
            SELECT s.is_left, array_agg(s.i ORDER BY s.y, s.i) AS nodes, array_agg(s.y ORDER BY s.y, s.i) AS heights
            FROM (SELECT o AS i, u.y, row_number() OVER (ORDER BY round(u.x::numeric, 1), round(u.y::numeric, 1), o) <= (n + 1) / 2 AS is_left FROM unnest(xs, ys) WITH ORDINALITY AS u (x, y, o)) AS s
            GROUP BY s.is_left
        LOOP
            at := mastering.spread_labels(side.heights, gap, plot_top + gap / 2, plot_bottom - gap / 2);
            FOR k IN 1 .. cardinality(side.nodes) LOOP
                node := side.nodes[k];
                x := CASE WHEN side.is_left THEN plot_left - 42 ELSE plot_right + 42 END;
                y := at[k];
                lines := format(E'<polyline class="grid" points="%s,%s %s,%s %s,%s"/>\n', mastering.chart_round(x + CASE WHEN side.is_left THEN 4 ELSE -4 END), mastering.chart_round(y),
                    mastering.chart_round(x + CASE WHEN side.is_left THEN 18 ELSE -18 END), mastering.chart_round(y), mastering.chart_round(xs[node]), mastering.chart_round(ys[node])) || lines;
                IF manner = 1 THEN
                    texts := texts || mastering.chart_label('strong ink', x, y - CASE WHEN COALESCE(labels[node], '') = '' THEN -4 ELSE 2 END, mastering.chart_text(ids[node], 17), CASE WHEN side.is_left THEN 'end' ELSE 'start' END)
                        || CASE WHEN COALESCE(labels[node], '') = '' THEN '' ELSE mastering.chart_label('soft small', x, y + 12, mastering.chart_text(labels[node], 23), CASE WHEN side.is_left THEN 'end' ELSE 'start' END) END;
                ELSE
                    texts := texts || format(E'<text class="small ink" x="%s" y="%s"%s>%s <tspan class="soft">%s</tspan></text>\n', mastering.chart_round(x), mastering.chart_round(y + 4),
                        CASE WHEN side.is_left THEN ' text-anchor="end"' ELSE '' END, mastering.chart_text(ids[node], 9), COALESCE(mastering.chart_text(labels[node], 13.5), ''));
                END IF;
            END LOOP;
        END LOOP;
    END IF;

    subtitle := CASE WHEN n = 1 THEN 'One record: there is no link.' ELSE
        format('%s of %s pairs match.', mastering.chart_count(matching), mastering.chart_count(n::numeric * (n - 1) / 2))
        || CASE WHEN weakest IS NULL THEN '' ELSE format(' Weakest link: %s bits (%s).', mastering.chart_weight(weakest), mastering.chart_share(mastering.probability_of(weakest))) END
        || CASE WHEN part_count > 1 THEN format(' At the threshold of %s they are %s clusters.', mastering.chart_share(threshold), mastering.chart_count(part_count))
            WHEN fallen IS NOT NULL THEN format(' Without links that weak, %s would part from the other %s.', CASE WHEN cardinality(fallen) = 1 THEN 'one record (hollow)' ELSE mastering.chart_count(cardinality(fallen)) || ' records (hollow)' END,
                mastering.chart_count(n - cardinality(fallen))) ELSE '' END END;
    RETURN mastering.chart_document(960, (plot_bottom + CASE WHEN matching > most_edges THEN 60 WHEN n = 1 THEN 14 ELSE 42 END)::integer,
        CASE WHEN all_members > n THEN format('%s of %s records', mastering.chart_count(n), mastering.chart_count(all_members)) WHEN n = 1 THEN 'A cluster of one record' WHEN part_count > 1 THEN format('%s records', mastering.chart_count(n)) ELSE format('A cluster of %s records', mastering.chart_count(n)) END,
        subtitle,
        subtitle || CASE WHEN weakest IS NULL THEN '' ELSE format(' It joins %s and %s.', mastering.chart_text(ids[weakest_a], 40), mastering.chart_text(ids[weakest_b], 40)) END,
        lines || dots || marks || texts
        || CASE WHEN matching > 0 THEN format(E'<line class="plus-line" stroke-width="3" x1="20" y1="%1$s" x2="44" y2="%1$s"/><line class="minus-line" stroke-width="3" stroke-dasharray="7 4" x1="190" y1="%1$s" x2="214" y2="%1$s"/>\n', plot_bottom + 24)
            || mastering.chart_label('soft small', 50, plot_bottom + 28, 'match, wider is heavier')
            -- Where records are dots only, the ends of the weakest link are told here.
            || mastering.chart_label('soft small', 220, plot_bottom + 28, 'weakest link' || CASE manner WHEN 3 THEN format(', from <tspan class="ink">%s</tspan> to <tspan class="ink">%s</tspan>',
                mastering.chart_text(concat_ws(': ', ids[weakest_a], labels[weakest_a]), 24), mastering.chart_text(concat_ws(': ', ids[weakest_b], labels[weakest_b]), 24)) ELSE '' END) ELSE '' END
        || CASE WHEN manner = 1 AND below THEN format(E'<line class="axis" stroke-dasharray="1 4" x1="310" y1="%1$s" x2="334" y2="%1$s"/>\n', plot_bottom + 24)
            || mastering.chart_label('soft small', 340, plot_bottom + 28, 'compared, below the threshold') ELSE '' END
        || CASE WHEN matching > most_edges THEN mastering.chart_label('soft small', 20, plot_bottom + 46, format('%s of the links are drawn, the weak ones first.', mastering.chart_count(most_edges))) ELSE '' END);
END
$$;
COMMENT ON FUNCTION mastering.draw_cluster(text[], text[], jsonb, double precision, bigint) IS 'Internal. The picture of a cluster from its records and pairs.';
