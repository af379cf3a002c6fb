-- 30_charts.sql: pictures of models, pairs, blocking, thresholds and scores. 31_cluster_chart.sql draws clusters,
-- 32_report.sql puts everything on one page.
--
-- A picture is one SVG document as text that needs nothing from outside: no script, font, link or style sheet. It
-- is drawn on paper of its own, light or dark as the reader prefers; its rules have plain colours, for programs
-- that know no media queries or custom properties, which then draw the light one. Blue speaks for a match, orange
-- against it (told apart in every common colour blindness), and a side or a sign always says the same.
--
-- The queries run as the caller and under the caller's search_path (05_query_text.sql), so only functions that
-- draw have one of their own. This file is ASCII and what it adds to a text are character references, so that
-- pictures can be made in every server encoding.

-- ---- Texts and numbers ----

-- Rough, for fonts not known here: wide enough for DejaVu Sans, the widest of the common ones.
CREATE FUNCTION mastering.chart_width(value text) RETURNS double precision
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE -- getdatabaseencoding is stable
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wide integer;
BEGIN
    -- In UTF-8, what lies behind the alphabets is taken to be as wide as high; in other encodings, what has two bytes.
    IF octet_length(value) = length(value) THEN
        wide := 0;
    ELSIF getdatabaseencoding() = 'UTF8' THEN
        wide := length(regexp_replace(value, '[\u0001-\u1fff]', '', 'g'));
    ELSE
        wide := octet_length(value) - length(value);
    END IF;
    RETURN 0.61 * length(value) + 0.4 * wide
        + 0.12 * length(regexp_replace(value, '[^A-Z]', '', 'g')) + 0.3 * length(regexp_replace(value, '[^MWmw@%]', '', 'g'))
        - 0.25 * length(regexp_replace(value, '[^- .,:;''!|/()fijlrtI]', '', 'g'));
END
$$;
COMMENT ON FUNCTION mastering.chart_width(text) IS 'Internal. About how wide a text is, in units of its font size.';

CREATE FUNCTION mastering.chart_text(value text, widest double precision DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shown text := btrim(regexp_replace(left(value, 2000), '\s+', ' ', 'g'));
    cut boolean := length(value) > 2000;
    width double precision;
BEGIN
    IF widest IS NOT NULL THEN
        width := mastering.chart_width(shown);
        IF width > widest THEN
            -- A guess from the mean width of its characters, then one by one.
            shown := left(shown, greatest(1, ceil(length(shown) * widest / width)::integer + 3));
            WHILE length(shown) > 1 AND mastering.chart_width(shown) > widest - 1 LOOP
                shown := left(shown, -1);
            END LOOP;
            shown := rtrim(shown);
            cut := true;
        END IF;
    END IF;
    shown := replace(replace(replace(replace(replace(shown, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;');
    -- XML has no place for these, not even as references. Surrogates do not occur in a server's text.
    shown := regexp_replace(shown, '[\x01-\x1f\x7f]', '&#xFFFD;', 'g');
    IF getdatabaseencoding() = 'UTF8' THEN
        shown := regexp_replace(shown, '[\u0080-\u009f\ufffe\uffff]', '&#xFFFD;', 'g');
    END IF;
    RETURN shown || CASE WHEN cut THEN '&#x2026;' ELSE '' END;
END
$$;
COMMENT ON FUNCTION mastering.chart_text(text, double precision) IS
'Internal. A value as XML text: escaped, white space evened out, characters that XML forbids replaced, cut at a width in units of the font size.';

CREATE FUNCTION mastering.chart_level(level text, widest double precision) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT regexp_replace(regexp_replace(mastering.chart_text(level, widest), '^&gt;= ', '&#x2265; '), '^&lt;= ', '&#x2264; ') $$;
COMMENT ON FUNCTION mastering.chart_level(text, double precision) IS 'Internal. The name of a level as XML text, with signs as printed.';

CREATE FUNCTION mastering.chart_count(number numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT ltrim(to_char(number, '999,999,999,999,999,999,999,990')) $$;
COMMENT ON FUNCTION mastering.chart_count(numeric) IS 'Internal. A count with commas: 1,234,567.';

-- Three digits: 950, 9.5k, 120k, 3.45M.
CREATE FUNCTION mastering.chart_short_count(number numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN number < 999.5 THEN round(number)::text
    ELSE trim_scale(round(number / s.unit, CASE WHEN number < 9.995 * s.unit THEN 2 WHEN number < 99.95 * s.unit THEN 1 ELSE 0 END))::text || s.name END
FROM (SELECT CASE WHEN number < 999500 THEN 1000 WHEN number < 999500000 THEN 1000000 ELSE 1000000000 END::numeric AS unit,
    CASE WHEN number < 999500 THEN 'k' WHEN number < 999500000 THEN 'M' ELSE 'bn' END AS name) AS s
$$;
COMMENT ON FUNCTION mastering.chart_short_count(numeric) IS 'Internal. A count in little space: 3.45M.';

CREATE FUNCTION mastering.chart_weight(bits double precision, decimals integer DEFAULT 1) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN w = 0 THEN '0' WHEN w > 0 THEN '+' ELSE '&#x2212;' END || CASE WHEN w = 0 THEN '' ELSE abs(w)::text END
FROM (SELECT round(greatest(-99999, least(99999, bits))::numeric, decimals)) AS r (w)
$$;
COMMENT ON FUNCTION mastering.chart_weight(double precision, integer) IS 'Internal. A weight in bits with its sign.';

CREATE FUNCTION mastering.chart_share(share double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
    WHEN share IS NULL THEN '&#x2013;'
    WHEN share <= 0 THEN '0%'
    WHEN share >= 1 THEN '100%'
    WHEN share < 1e-12 THEN '&lt; 1 in 10&#xB9;&#xB2;'
    -- Two digits of what is rare: a percentage of many zeros says nothing.
    WHEN share < 0.0001 THEN '1 in ' || CASE WHEN share > 1e-6 THEN mastering.chart_count(round((1 / share)::numeric, 1 - floor(log((1 / share)::numeric))::integer))
        ELSE mastering.chart_short_count(round((1 / share)::numeric, 1 - floor(log((1 / share)::numeric))::integer)) END
    WHEN share < 0.001 THEN trim_scale(round(share::numeric * 100, 3))::text || '%'
    WHEN share < 0.01 THEN trim_scale(round(share::numeric * 100, 2))::text || '%'
    WHEN share < 0.99 THEN trim_scale(round(share::numeric * 100, 1))::text || '%'
    WHEN share < 0.9999 THEN trim_scale(trunc(share::numeric * 100, 2))::text || '%'
    ELSE '&gt; 99.99%' END
$$;
COMMENT ON FUNCTION mastering.chart_share(double precision) IS 'Internal. A share or probability: 34.9%, 0.59%, 1 in 31,000.';

CREATE FUNCTION mastering.chart_round(number double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT trim_scale(round(number::numeric, 1))::text $$;
COMMENT ON FUNCTION mastering.chart_round(double precision) IS 'Internal. A coordinate.';

CREATE FUNCTION mastering.weight_of(probability double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN probability <= 0 THEN '-Infinity' WHEN probability >= 1 THEN 'Infinity' ELSE ln(probability / (1 - probability)) / ln(2.0::float8) END $$;
COMMENT ON FUNCTION mastering.weight_of(double precision) IS 'Internal. The weight in bits of a probability: log2 of its odds.';

CREATE FUNCTION mastering.probability_of(weight double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1 / (1 + power(2.0::float8, -greatest(-1000, least(1000, weight)))) $$;
COMMENT ON FUNCTION mastering.probability_of(double precision) IS 'Internal. The probability of a weight in bits.';

-- ---- Shapes ----

-- Round numbers from low to high, about as many as wanted: steps of 1, 2 or 5 times a power of ten.
CREATE FUNCTION mastering.chart_ticks(low double precision, high double precision, wanted integer) RETURNS double precision[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT COALESCE((SELECT array_agg((s.step * g)::float8 ORDER BY g)
    FROM generate_series(ceil(low::numeric / s.step)::bigint, floor(high::numeric / s.step)::bigint) AS g), '{}')
FROM (
    SELECT min(b * power(10::numeric, p)) AS step
    FROM unnest('{1,2,5}'::numeric[]) AS b, generate_series(-6, 18) AS p
    WHERE b * power(10::numeric, p) >= (high - low)::numeric / greatest(1, wanted)
) AS s
$$;
COMMENT ON FUNCTION mastering.chart_ticks(double precision, double precision, integer) IS 'Internal. The ticks of an axis.';

CREATE FUNCTION mastering.chart_label(class text, x double precision, y double precision, content text, anchor text DEFAULT 'start') RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format(E'<text class="%s" x="%s" y="%s"%s>%s</text>\n', class, mastering.chart_round(x), mastering.chart_round(y),
    CASE WHEN anchor <> 'start' THEN format(' text-anchor="%s"', anchor) ELSE '' END, content)
$$;
COMMENT ON FUNCTION mastering.chart_label(text, double precision, double precision, text, text) IS
'Internal. A text of a picture; content is XML already.';

CREATE FUNCTION mastering.chart_bar(class text, x_from double precision, x_to double precision, y double precision, height double precision, tip text DEFAULT '') RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
-- A bar of no length still shows where it is.
SELECT format(E'<rect class="%s" x="%s" y="%s" width="%s" height="%s"%s\n', class, mastering.chart_round(least(x_from, x_to)), mastering.chart_round(y),
    mastering.chart_round(greatest(1, abs(x_to - x_from))), mastering.chart_round(height),
    CASE WHEN tip = '' THEN '/>' ELSE '><title>' || tip || '</title></rect>' END)
$$;
COMMENT ON FUNCTION mastering.chart_bar(text, double precision, double precision, double precision, double precision, text) IS
'Internal. A bar of a picture; tip is XML already.';

CREATE FUNCTION mastering.chart_line(class text, x1 double precision, y1 double precision, x2 double precision, y2 double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format(E'<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>\n', class, mastering.chart_round(x1), mastering.chart_round(y1),
    mastering.chart_round(x2), mastering.chart_round(y2))
$$;
COMMENT ON FUNCTION mastering.chart_line(text, double precision, double precision, double precision, double precision) IS
'Internal. A line of a picture.';

-- Contrast, light and dark: texts at least 5 to 1, shapes at least 3 to 1. Every rule begins with the class of the
-- picture: it may stand in a page with rules of its own.
CREATE FUNCTION mastering.chart_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $style$
SELECT $$
.mastering-chart .paper { fill: #ffffff; }
.mastering-chart .ink { fill: #1f2328; }
.mastering-chart .soft { fill: #57606a; }
.mastering-chart .title { font-size: 16px; font-weight: bold; }
.mastering-chart .strong { font-weight: bold; }
.mastering-chart .small { font-size: 11px; }
.mastering-chart .plus { fill: #0072b2; }
.mastering-chart .minus { fill: #d05000; }
.mastering-chart .still { fill: #6e7781; }
.mastering-chart .pale { fill: #b6d4ea; }
.mastering-chart .band { fill: #f3f5f7; }
.mastering-chart .grid { stroke: #d8dee4; fill: none; }
.mastering-chart .axis { stroke: #6e7781; fill: none; }
.mastering-chart .mark { stroke: #1f2328; stroke-dasharray: 5 3; fill: none; }
.mastering-chart .plus-line { stroke: #0072b2; fill: none; }
.mastering-chart .minus-line { stroke: #d05000; fill: none; }
.mastering-chart .ink-line { stroke: #1f2328; fill: none; }
.mastering-chart .halo { stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; paint-order: stroke; }
.mastering-chart .rim { stroke: #ffffff; stroke-width: 1.5px; }
@media (prefers-color-scheme: dark) {
.mastering-chart .paper { fill: #15191e; }
.mastering-chart .ink { fill: #e6edf3; }
.mastering-chart .soft { fill: #a5afba; }
.mastering-chart .plus { fill: #56b4e9; }
.mastering-chart .minus { fill: #f0883e; }
.mastering-chart .still { fill: #8b949e; }
.mastering-chart .pale { fill: #25506e; }
.mastering-chart .band { fill: #1d232a; }
.mastering-chart .grid { stroke: #323a44; }
.mastering-chart .axis { stroke: #8b949e; }
.mastering-chart .mark { stroke: #e6edf3; }
.mastering-chart .plus-line { stroke: #56b4e9; }
.mastering-chart .minus-line { stroke: #f0883e; }
.mastering-chart .ink-line { stroke: #e6edf3; }
.mastering-chart .halo { stroke: #15191e; }
.mastering-chart .rim { stroke: #15191e; }
}
$$
$style$;
COMMENT ON FUNCTION mastering.chart_style() IS 'Internal. The rules of style of every picture.';

-- title, subtitle and body are XML already; description is what a person hears who does not see the picture. Its
-- ids come from its content, so that many pictures can stand in one page.
CREATE FUNCTION mastering.chart_document(width integer, height integer, title text, subtitle text, description text, body text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format(E'<svg xmlns="http://www.w3.org/2000/svg" class="mastering-chart" viewBox="0 0 %1$s %2$s" width="%1$s" height="%2$s" role="img" '
    'aria-labelledby="%3$s-title %3$s-text" font-family="system-ui, -apple-system, ''Segoe UI'', Roboto, ''DejaVu Sans'', sans-serif" font-size="13">\n'
    '<title id="%3$s-title">%4$s</title>\n<desc id="%3$s-text">%6$s</desc>\n<style>%8$s</style>\n'
    '<rect class="paper" width="%1$s" height="%2$s"/>\n<text class="title ink" x="20" y="30">%4$s</text>\n<text class="soft" x="20" y="50">%5$s</text>\n%7$s</svg>',
    width, height, 'chart-' || left(md5(title || description || body), 10), title, subtitle, description, body, mastering.chart_style())
$$;
COMMENT ON FUNCTION mastering.chart_document(integer, integer, text, text, text, text) IS 'Internal. A whole picture.';

-- An axis of bits with lines from y_top to y_bottom, and below it the probability that each weight stands for.
CREATE FUNCTION mastering.chart_weight_axis(low double precision, high double precision, x_low double precision, x_high double precision,
    y_top double precision, y_bottom double precision, with_probability boolean, wanted integer DEFAULT 8) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    body text := '';
    tick double precision;
    x double precision;
BEGIN
    FOREACH tick IN ARRAY mastering.chart_ticks(low, high, wanted) LOOP
        x := x_low + (tick - low) / (high - low) * (x_high - x_low);
        body := body || mastering.chart_line(CASE WHEN tick = 0 THEN 'axis' ELSE 'grid' END, x, y_top, x, y_bottom)
            || mastering.chart_label('soft small', x, y_bottom + 15, mastering.chart_weight(tick, CASE WHEN tick = round(tick) THEN 0 ELSE 1 END), 'middle');
        IF with_probability AND abs(tick) <= 13 THEN
            body := body || mastering.chart_label('soft small', x, y_bottom + 29, mastering.chart_share(mastering.probability_of(tick)), 'middle');
        END IF;
    END LOOP;
    RETURN body;
END
$$;
COMMENT ON FUNCTION mastering.chart_weight_axis(double precision, double precision, double precision, double precision, double precision, double precision, boolean, integer) IS
'Internal. The axis of a picture whose unit is bits.';

-- ---- Models ----

-- What the pictures need of a model. The set functions read it more strictly.
CREATE FUNCTION mastering.require_model(model jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place text;
BEGIN
    IF model IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the model must not be NULL',
            HINT = 'Let mastering.suggest(query) write a specification, and mastering.train_model(query, spec) a model.';
    ELSIF jsonb_typeof(model) <> 'object' OR jsonb_typeof(model -> 'comparisons') IS DISTINCT FROM 'array' OR model -> 'comparisons' = '[]' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the model has no comparisons',
            DETAIL = format('It is %s.', CASE WHEN jsonb_typeof(model) <> 'object' THEN 'a JSON ' || jsonb_typeof(model) ELSE 'an object without an array "comparisons"' END),
            HINT = 'Let mastering.suggest(query) write a specification, and mastering.train_model(query, spec) a model.';
    ELSIF jsonb_typeof(model -> 'prior') IS DISTINCT FROM 'number' OR NOT (model ->> 'prior')::numeric BETWEEN 1e-300 AND 1 - 1e-15
        OR EXISTS (SELECT FROM jsonb_array_elements(model -> 'comparisons') AS c
            WHERE CASE WHEN jsonb_typeof(c -> 'trained') = 'array' THEN c -> 'trained' = '[]' OR EXISTS (
                SELECT FROM jsonb_array_elements(c -> 'trained') AS t WHERE jsonb_typeof(t -> 'weight') IS DISTINCT FROM 'number') ELSE true END)
    THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the model has no trained weights',
            DETAIL = 'It is a specification: "prior" or a comparison''s "trained" is missing.',
            HINT = 'Train it first: SELECT mastering.train_model(query, spec).';
    END IF;
    SELECT format('$.comparisons[%s].trained[%s].%s', c.n - 1, t.n - 1, k) INTO place
      FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS c (content, n), jsonb_array_elements(c.content -> 'trained') WITH ORDINALITY AS t (content, n), unnest('{m,u}'::text[]) AS k
     WHERE jsonb_typeof(t.content -> k) <> 'number' ORDER BY c.n, t.n, k LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid specification at %s: expected a number', place),
            HINT = 'Train it again: SELECT mastering.train_model(query, model).';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_model(jsonb) IS 'Internal. Raises 22004 or 22023 for what is not a trained model.';

-- The model's threshold as a weight; 0.95 where it has none, as in the engine.
CREATE FUNCTION mastering.model_threshold(model jsonb) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN jsonb_typeof(model -> 'threshold') = 'number' THEN (model ->> 'threshold')::float8 ELSE 0.95 END $$;
COMMENT ON FUNCTION mastering.model_threshold(jsonb) IS 'Internal. The probability from which on the model calls a pair a match.';

CREATE FUNCTION mastering.model_chart(model jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 215; -- of the plot, without the room for labels at both ends
    x_to CONSTANT double precision := 690;
    y_top CONSTANT double precision := 92;
    y double precision := y_top;
    prior double precision;
    prior_weight double precision;
    low double precision;
    high double precision;
    zero double precision;
    x double precision;
    body text := '';
    comparison record;
    step record;
    comparisons integer := jsonb_array_length(CASE WHEN jsonb_typeof(model -> 'comparisons') = 'array' THEN model -> 'comparisons' ELSE '[]' END);
    strongest text;
BEGIN
    PERFORM mastering.require_model(model);
    prior := (model ->> 'prior')::float8;
    prior_weight := mastering.weight_of(prior);
    SELECT least(0, prior_weight, min((t ->> 'weight')::float8)), greatest(1, max((t ->> 'weight')::float8)) INTO low, high
    FROM jsonb_array_elements(model -> 'comparisons') AS c, jsonb_array_elements(c -> 'trained') AS t;
    zero := x_from - low / (high - low) * (x_to - x_from);

    body := mastering.chart_label('strong ink', 28, y + 15, 'prior') || mastering.chart_bar('still', zero, zero + prior_weight / (high - low) * (x_to - x_from), y + 4, 13,
            'matches among all pairs: ' || mastering.chart_share(prior))
        || mastering.chart_label('ink', zero + prior_weight / (high - low) * (x_to - x_from) + CASE WHEN prior_weight < 0 THEN -5 ELSE 5 END, y + 15,
            mastering.chart_weight(prior_weight), CASE WHEN prior_weight < 0 THEN 'end' ELSE 'start' END)
        || mastering.chart_label('soft', 930, y + 15, 'matches among all pairs: ' || mastering.chart_share(prior), 'end');
    y := y + 28;
    FOR comparison IN SELECT c, n FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n) ORDER BY n LOOP
        body := body || mastering.chart_bar('band', 20, 940, y, 20)
            || format(E'<text x="28" y="%s"><tspan class="strong ink">%s</tspan><tspan class="soft small" dx="10">%s</tspan></text>\n', mastering.chart_round(y + 14.5),
                mastering.chart_text(COALESCE(comparison.c ->> 'name', comparison.c ->> 'column', comparison.c ->> 'expression', 'comparison ' || comparison.n), 36),
                concat_ws(', ', mastering.chart_text(replace(comparison.c ->> 'method', '_', ' '), 20), CASE WHEN comparison.c -> 'term_frequency' = 'true' THEN 'rare values count more' END));
        y := y + 23;
        FOR step IN SELECT t ->> 'level' AS level, (t ->> 'weight')::float8 AS weight, (t ->> 'm')::float8 AS m, (t ->> 'u')::float8 AS u, n
            FROM jsonb_array_elements(comparison.c -> 'trained') WITH ORDINALITY AS u (t, n) ORDER BY n
        LOOP
            x := zero + step.weight / (high - low) * (x_to - x_from);
            body := body || mastering.chart_label('ink', 40, y + 13, mastering.chart_level(COALESCE(step.level, 'level ' || step.n), 11))
                || mastering.chart_bar(CASE WHEN step.weight < 0 THEN 'minus' ELSE 'plus' END, zero, x, y + 2, 13)
                || mastering.chart_label('ink', x + CASE WHEN step.weight < 0 THEN -5 ELSE 5 END, y + 13, mastering.chart_weight(step.weight), CASE WHEN step.weight < 0 THEN 'end' ELSE 'start' END)
                || mastering.chart_label('ink', 820, y + 13, mastering.chart_share(step.m), 'end')
                || mastering.chart_label('ink', 930, y + 13, mastering.chart_share(step.u), 'end');
            y := y + 19;
        END LOOP;
        y := y + 5;
    END LOOP;
    SELECT mastering.chart_text(COALESCE(c ->> 'name', c ->> 'column', c ->> 'expression'), 40) || ', ' || mastering.chart_level(COALESCE(t ->> 'level', 'first level'), 20)
        || ' (' || mastering.chart_weight((t ->> 'weight')::float8) || ' bits)' INTO strongest
    FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n), jsonb_array_elements(c -> 'trained') WITH ORDINALITY AS v (t, o)
    ORDER BY (t ->> 'weight')::float8 DESC, n, o LIMIT 1;
    RETURN mastering.chart_document(960, (y + 44)::integer, 'Match weights',
        'What each agreement says for a match (right) or against it (left), in bits: one more doubles the odds.',
        format('Bars for the levels of %s comparisons. The share of matches among all pairs is %s. The strongest evidence for a match is %s. Two records match from %s on.',
            comparisons, mastering.chart_share(prior), strongest, mastering.chart_share(mastering.model_threshold(model))),
        mastering.chart_label('soft small', 820, 82, 'of matches (m)', 'end') || mastering.chart_label('soft small', 930, 82, 'of others (u)', 'end')
        || mastering.chart_label('soft small', zero, 82, 'weight in bits', 'middle')
        || mastering.chart_weight_axis(low, high, x_from, x_to, y_top, y, false) || body
        || mastering.chart_label('soft small', 20, y + 34, format('Threshold: %s, which is %s bits in total.', mastering.chart_share(mastering.model_threshold(model)),
            mastering.chart_weight(mastering.weight_of(mastering.model_threshold(model))))));
END
$$;
COMMENT ON FUNCTION mastering.model_chart(jsonb) IS
'A picture (SVG) of a model: the prior, and for each level of each comparison its weight as a bar, and how often it occurs among matches (m) and among other pairs (u).';

-- ---- Pairs ----

CREATE FUNCTION mastering.pair_chart(query text, model jsonb, id_a text, id_b text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    steps jsonb;
BEGIN
    PERFORM mastering.require_model(model);
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('comparison', e.comparison, 'value_a', e.value_a, 'value_b', e.value_b, 'level', e.level, 'weight', e.weight,
        'total', e.total, 'probability', e.probability) ORDER BY e.n) INTO steps
    FROM (SELECT x.*, pg_catalog.row_number() OVER () AS n FROM mastering.explain_pair(query, model, id_a, id_b) AS x) AS e;
    RETURN mastering.draw_pair(steps, id_a, id_b, mastering.model_threshold(model));
END
$$;
COMMENT ON FUNCTION mastering.pair_chart(text, jsonb, text, text) IS
'A picture (SVG) of explain_pair: how the weights of the comparisons add up, from the prior to the total, beside the two values of each.';

CREATE FUNCTION mastering.draw_pair(steps jsonb, id_a text, id_b text, threshold double precision) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 590;
    x_to CONSTANT double precision := 890;
    y_top CONSTANT double precision := 96;
    y double precision := y_top;
    line double precision := mastering.weight_of(threshold);
    low double precision;
    high double precision;
    x1 double precision;
    x2 double precision := NULL;
    total double precision;
    step record;
    bands text := '';
    body text := '';
    verdict text;
BEGIN
    SELECT least(0, line, min((s ->> 'total')::float8)), greatest(1, line, max((s ->> 'total')::float8)) INTO low, high FROM jsonb_array_elements(steps) AS s;
    total := (steps -> -1 ->> 'total')::float8;
    FOR step IN SELECT s ->> 'comparison' AS name, s ->> 'value_a' AS value_a, s ->> 'value_b' AS value_b, s ->> 'level' AS level,
            (s ->> 'weight')::float8 AS weight, (s ->> 'total')::float8 AS total, n
        FROM jsonb_array_elements(steps) WITH ORDINALITY AS u (s, n) ORDER BY n
    LOOP
        x1 := x_from + (step.total - step.weight - low) / (high - low) * (x_to - x_from);
        x2 := x_from + (step.total - low) / (high - low) * (x_to - x_from);
        IF step.n % 2 = 1 THEN
            bands := bands || mastering.chart_bar('band', 20, 940, y, 32);
        END IF;
        IF step.n > 1 THEN
            body := body || mastering.chart_line('axis', x1, y - 9, x1, y + 9);
        END IF;
        body := body || mastering.chart_label('strong ink', 28, y + 14, mastering.chart_text(step.name, 11.5))
            || mastering.chart_label('soft small', 28, y + 27, CASE WHEN step.n = 1 THEN 'before comparing' WHEN step.level = 'term frequency' THEN 'how frequent the value is' ELSE mastering.chart_level(step.level, 14) END)
            -- Of the row of a frequency only the first value is told, and it stands above already.
            || CASE WHEN step.n = 1 OR step.level = 'term frequency' THEN '' ELSE
                mastering.chart_label(CASE WHEN step.value_a IS NULL THEN 'soft' ELSE 'ink' END, 190, y + 20, COALESCE(mastering.chart_text(step.value_a, 12.5), '&#x2013;'))
                || mastering.chart_label(CASE WHEN step.value_b IS NULL THEN 'soft' ELSE 'ink' END, 370, y + 20, COALESCE(mastering.chart_text(step.value_b, 12.5), '&#x2013;')) END
            || mastering.chart_bar(CASE WHEN step.n = 1 OR step.weight = 0 THEN 'still' WHEN step.weight < 0 THEN 'minus' ELSE 'plus' END, x1, x2, y + 9, 14)
            || mastering.chart_label('ink halo', x2 + CASE WHEN step.weight < 0 THEN -5 ELSE 5 END, y + 20, mastering.chart_weight(step.weight), CASE WHEN step.weight < 0 THEN 'end' ELSE 'start' END);
        y := y + 32;
    END LOOP;
    -- The total hangs on zero, so that its side and length can be read.
    x1 := x_from - low / (high - low) * (x_to - x_from);
    body := body || mastering.chart_line('axis', 20, y, 940, y) || mastering.chart_line('axis', x2, y - 9, x2, y + 9)
        || mastering.chart_label('strong ink', 28, y + 21, 'total')
        || mastering.chart_label('ink', 190, y + 21, CASE WHEN total >= line THEN 'a match' ELSE 'no match' END || ': probability ' || mastering.chart_share(mastering.probability_of(total)))
        || mastering.chart_bar('ink', x1, x2, y + 9, 14)
        || mastering.chart_label('strong ink halo', x2 + CASE WHEN total < 0 THEN -5 ELSE 5 END, y + 20, mastering.chart_weight(total), CASE WHEN total < 0 THEN 'end' ELSE 'start' END);
    y := y + 36;
    verdict := format('%s: the weights add up to %s bits, a probability of %s. The threshold is %s (%s bits).', CASE WHEN total >= line THEN 'A match' ELSE 'No match' END,
        mastering.chart_weight(total), mastering.chart_share(mastering.probability_of(total)), mastering.chart_share(threshold), mastering.chart_weight(line));
    x1 := x_from + (line - low) / (high - low) * (x_to - x_from);
    RETURN mastering.chart_document(960, (y + 42)::integer, format('Why %s and %s %s', mastering.chart_text(id_a, 25), mastering.chart_text(id_b, 25),
            CASE WHEN total >= line THEN 'match' ELSE 'do not match' END), verdict,
        verdict || ' ' || (SELECT string_agg(mastering.chart_text(s ->> 'comparison', 40) || CASE WHEN n = 1 THEN '' ELSE ', ' || mastering.chart_level(s ->> 'level', 20) END || ': ' || mastering.chart_weight((s ->> 'weight')::float8), '; ' ORDER BY n)
            FROM jsonb_array_elements(steps) WITH ORDINALITY AS u (s, n)) || '.',
        bands || mastering.chart_weight_axis(low, high, x_from, x_to, y_top, y, true, 6) || mastering.chart_line('mark', x1, y_top - 6, x1, y) || body
        || mastering.chart_label('ink small', x1, y_top - 10, 'threshold', 'middle')
        || mastering.chart_label('soft small', 190, y_top - 10, mastering.chart_text(id_a, 15)) || mastering.chart_label('soft small', 370, y_top - 10, mastering.chart_text(id_b, 15))
        || mastering.chart_label('soft small', 570, y + 15, 'bits', 'end') || mastering.chart_label('soft small', 570, y + 29, 'probability', 'end'));
END
$$;
COMMENT ON FUNCTION mastering.draw_pair(jsonb, text, text, double precision) IS 'Internal. The picture of the rows of explain_pair.';

-- ---- Blocking ----

CREATE FUNCTION mastering.blocking_chart(query text, spec jsonb, truth text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    rules jsonb;
BEGIN
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('rule', r.rule, 'key', r.key, 'keys', r.keys, 'pairs', r.pairs, 'new_pairs', r.new_pairs, 'largest_block', r.largest_block,
        'cut_blocks', r.cut_blocks, 'cut_pairs', r.cut_pairs, 'completeness', r.completeness, 'new_completeness', r.new_completeness) ORDER BY r.rule) INTO rules
    FROM mastering.blocking_report(query, spec, truth) AS r;
    RETURN mastering.draw_blocking(rules);
END
$$;
COMMENT ON FUNCTION mastering.blocking_chart(text, jsonb, text) IS
'A picture (SVG) of blocking_report: for each rule the pairs it finds, those that no earlier rule finds, the largest block, and what was left out of blocks that are too large; with truth, the share of true pairs found. Makes the blocks but compares nothing.';

CREATE FUNCTION mastering.draw_blocking(rules jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    judged boolean := EXISTS (SELECT FROM jsonb_array_elements(rules) AS r WHERE r ->> 'completeness' IS NOT NULL);
    x_from CONSTANT double precision := 300;
    x_to double precision := CASE WHEN judged THEN 500 ELSE 580 END;
    y double precision := 96;
    rule record;
    body text := '';
    most numeric;
    new_pairs numeric;
    cut_pairs numeric;
    cut_blocks numeric;
    found double precision := 0;
    heads text;
    shift double precision := x_to - 580;
BEGIN
    SELECT greatest(1, max((r ->> 'pairs')::numeric)), sum((r ->> 'new_pairs')::numeric), sum((r ->> 'cut_pairs')::numeric), sum((r ->> 'cut_blocks')::numeric),
        sum((r ->> 'new_completeness')::float8)
        INTO most, new_pairs, cut_pairs, cut_blocks, found
    FROM jsonb_array_elements(rules) AS r;
    FOR rule IN SELECT r ->> 'key' AS key, (r ->> 'pairs')::numeric AS pairs, (r ->> 'new_pairs')::numeric AS new_pairs, (r ->> 'largest_block')::numeric AS largest_block,
            (r ->> 'cut_pairs')::numeric AS cut_pairs, (r ->> 'cut_blocks')::numeric AS cut_blocks,
            (r ->> 'completeness')::float8 AS completeness, (r ->> 'new_completeness')::float8 AS new_completeness, n
        FROM jsonb_array_elements(rules) WITH ORDINALITY AS u (r, n) ORDER BY n
    LOOP
        IF rule.n % 2 = 1 THEN
            body := body || mastering.chart_bar('band', 20, 940, y, 26);
        END IF;
        body := body || mastering.chart_label('soft', 44, y + 17, rule.n::text, 'end') || mastering.chart_label('ink', 54, y + 17, mastering.chart_text(rule.key, 17.5))
            || CASE WHEN rule.pairs > 0 THEN mastering.chart_bar('pale', x_from, x_from + (rule.pairs / most)::float8 * (x_to - x_from), y + 6, 14) ELSE '' END
            || CASE WHEN rule.new_pairs > 0 THEN mastering.chart_bar('plus', x_from, x_from + (rule.new_pairs / most)::float8 * (x_to - x_from), y + 6, 14) ELSE '' END
            || mastering.chart_label('ink', 665 + shift, y + 17, mastering.chart_count(rule.pairs), 'end')
            || mastering.chart_label('ink', 755 + shift, y + 17, mastering.chart_count(rule.new_pairs), 'end')
            || mastering.chart_label('ink', 830 + shift, y + 17, mastering.chart_count(rule.largest_block), 'end')
            || mastering.chart_label(CASE WHEN rule.cut_pairs > 0 THEN 'strong ink' ELSE 'soft' END, 930 + shift, y + 17,
                CASE WHEN rule.cut_pairs > 0 THEN format('%s in %s', mastering.chart_short_count(rule.cut_pairs), mastering.chart_short_count(rule.cut_blocks)) ELSE '0' END, 'end')
            || CASE WHEN judged THEN mastering.chart_label('ink', 930, y + 17, mastering.chart_share(rule.completeness), 'end') ELSE '' END;
        y := y + 26;
    END LOOP;
    heads := mastering.chart_label('soft small', 54, 86, 'records are compared that share') || mastering.chart_label('soft small', 665 + shift, 86, 'pairs', 'end')
        || mastering.chart_label('soft small', 755 + shift, 86, 'new pairs', 'end') || mastering.chart_label('soft small', 830 + shift, 72, 'largest', 'end') || mastering.chart_label('soft small', 830 + shift, 86, 'block', 'end')
        || mastering.chart_label('soft small', 930 + shift, 72, 'left out', 'end') || mastering.chart_label('soft small', 930 + shift, 86, 'pairs in blocks', 'end')
        || CASE WHEN judged THEN mastering.chart_label('soft small', 930, 72, 'true pairs', 'end') || mastering.chart_label('soft small', 930, 86, 'found', 'end') ELSE '' END
        || mastering.chart_bar('plus', x_from, x_from + 12, 77, 10) || mastering.chart_label('soft small', x_from + 17, 86, 'new')
        || mastering.chart_bar('pale', x_from + 52, x_from + 64, 77, 10) || mastering.chart_label('soft small', x_from + 69, 86, 'found by earlier rules');
    body := body || mastering.chart_line('axis', 20, y, 940, y) || mastering.chart_label('strong ink', 54, y + 19, 'all rules')
        || mastering.chart_label('strong ink', 755 + shift, y + 19, mastering.chart_count(COALESCE(new_pairs, 0)), 'end')
        || CASE WHEN cut_pairs > 0 THEN mastering.chart_label('strong ink', 930 + shift, y + 19, format('%s in %s', mastering.chart_short_count(cut_pairs), mastering.chart_short_count(cut_blocks)), 'end') ELSE '' END
        || CASE WHEN judged THEN mastering.chart_label('strong ink', 930, y + 19, mastering.chart_share(found), 'end') ELSE '' END;
    RETURN mastering.chart_document(960, (y + 40)::integer, 'Pairs by blocking rule',
        format('%s pairs are compared.', mastering.chart_count(COALESCE(new_pairs, 0)))
        || CASE WHEN cut_pairs > 0 THEN format(' %s pairs in %s blocks that are too large are left out.', mastering.chart_short_count(cut_pairs), mastering.chart_count(cut_blocks)) ELSE ' Nothing is left out.' END
        || CASE WHEN judged THEN format(' %s of the true pairs are among them.', mastering.chart_share(found)) ELSE '' END,
        COALESCE((SELECT string_agg(format('Rule %s, %s: %s pairs, %s of them new', n, mastering.chart_text(r ->> 'key', 60), mastering.chart_count((r ->> 'pairs')::numeric), mastering.chart_count((r ->> 'new_pairs')::numeric)), '; ' ORDER BY n) || '.'
            FROM jsonb_array_elements(rules) WITH ORDINALITY AS u (r, n)), 'There is no rule.'),
        heads || body);
END
$$;
COMMENT ON FUNCTION mastering.draw_blocking(jsonb) IS 'Internal. The picture of the rows of blocking_report.';

-- ---- Thresholds ----

-- The weights at which pairs are judged: every half bit from 1 in a million to 1 in 10^12 against.
CREATE FUNCTION mastering.threshold_chart(predicted text, truth text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
AS $$
DECLARE
    columns text[] := mastering.query_column_names(predicted, 'predicted');
    weights double precision[] := ARRAY(SELECT g / 2.0 FROM pg_catalog.generate_series(-40, 80) AS g);
    rows jsonb;
BEGIN
    PERFORM mastering.require_columns(columns, '{id_a,id_b}', 'predicted');
    IF NOT columns && '{weight,probability}' THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = 'the query in argument "predicted" has no column "weight" or "probability"',
            DETAIL = pg_catalog.format('Its columns are: %s.', mastering.quoted_list(columns)),
            HINT = 'Select one of them, as match_pairs returns them: SELECT id_a, id_b, weight FROM ...';
    END IF;
    -- Weights tell apart what probabilities round to 1.
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('weight', CASE WHEN e.scored_by = 'weight' THEN e.threshold ELSE mastering.weight_of(e.threshold) END,
        'predicted', e.predicted_pairs, 'right', e.right_pairs, 'true', e.true_pairs, 'unjudged', e.unjudged_pairs, 'precision', e."precision", 'recall', e.recall, 'f1', e.f1)
        ORDER BY e.threshold NULLS FIRST) INTO rows
    FROM mastering.evaluate_pairs(
        CASE WHEN 'weight' = ANY (columns) THEN pg_catalog.format(E'SELECT q.id_a, q.id_b, q.weight FROM (\n%s\n) AS q', mastering.query_body(predicted, 'predicted')) ELSE predicted END,
        truth, CASE WHEN 'weight' = ANY (columns) THEN weights ELSE ARRAY(SELECT mastering.probability_of(w) FROM pg_catalog.unnest(weights) AS w) END) AS e;
    RETURN mastering.draw_thresholds(rows);
END
$$;
COMMENT ON FUNCTION mastering.threshold_chart(text, text) IS
'A picture (SVG) of precision, recall and F1 at every threshold, and where F1 is best. predicted: a SELECT of id_a, id_b and weight or probability, as of match_pairs at a low threshold. truth: as for evaluate_pairs.';

CREATE FUNCTION mastering.draw_thresholds(rows jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 70;
    x_to CONSTANT double precision := 930;
    y_top CONSTANT double precision := 108;
    y_bottom CONSTANT double precision := 388;
    low double precision;
    high double precision;
    first_row jsonb := rows -> 0; -- all pairs
    best record;
    measure record;
    curve record;
    body text := '';
    x double precision;
    y double precision;
BEGIN
    -- Left of the last threshold that all pairs reach, and right of the first that none does, nothing changes.
    SELECT COALESCE(max(w) FILTER (WHERE n = (first_row ->> 'predicted')::numeric), min(w)), COALESCE(min(w) FILTER (WHERE n = 0), max(w)) INTO low, high
    FROM (SELECT (r ->> 'weight')::float8 AS w, (r ->> 'predicted')::numeric AS n FROM jsonb_array_elements(rows) AS r WHERE r ->> 'weight' IS NOT NULL) AS s;
    low := COALESCE(low, 0);
    high := COALESCE(high, 0);
    IF high - low < 4 THEN
        low := low - 2;
        high := high + 2;
    END IF;
    FOR measure IN SELECT * FROM generate_series(0, 5) AS g (n) LOOP
        y := y_bottom - measure.n / 5.0 * (y_bottom - y_top);
        body := body || mastering.chart_line('grid', x_from, y, x_to, y) || mastering.chart_label('soft small', x_from - 8, y + 4, measure.n * 20 || '%', 'end');
    END LOOP;
    body := body || mastering.chart_weight_axis(low, high, x_from, x_to, y_top, y_bottom, true, 10)
        || mastering.chart_label('soft small', x_from - 24, y_bottom + 15, 'bits', 'end') || mastering.chart_label('soft small', x_from - 24, y_bottom + 29, 'prob.', 'end');
    SELECT (r ->> 'weight')::float8 AS weight, (r ->> 'f1')::float8 AS f1, (r ->> 'precision')::float8 AS "precision", (r ->> 'recall')::float8 AS recall INTO best
    FROM jsonb_array_elements(rows) AS r
    WHERE r ->> 'weight' IS NOT NULL AND r ->> 'f1' IS NOT NULL AND (r ->> 'weight')::float8 BETWEEN low AND high
    ORDER BY (r ->> 'f1')::numeric DESC, (r ->> 'weight')::float8 LIMIT 1;
    IF best.f1 IS NOT NULL THEN
        x := x_from + (best.weight - low) / (high - low) * (x_to - x_from);
        body := body || mastering.chart_line('mark', x, y_top - 4, x, y_bottom)
            || mastering.chart_label('ink small', greatest(x_from + 40, least(x_to - 40, x)), y_top - 9, 'best F1', 'middle');
    END IF;
    FOR measure IN SELECT * FROM (VALUES (1, 'precision', 'plus-line', '', 2.5), (2, 'recall', 'minus-line', ' stroke-dasharray="8 4"', 2.5), (3, 'f1', 'ink-line', '', 1.5)) AS m (n, name, class, dash, width) ORDER BY n LOOP
        FOR curve IN
            SELECT string_agg(mastering.chart_round(x_from + (s.w - low) / (high - low) * (x_to - x_from)) || ',' || mastering.chart_round(y_bottom - s.v * (y_bottom - y_top)), ' ' ORDER BY s.w) AS points
            FROM (SELECT (r ->> 'weight')::float8 AS w, (r ->> measure.name)::float8 AS v FROM jsonb_array_elements(rows) AS r WHERE r ->> 'weight' IS NOT NULL) AS s
            WHERE s.v IS NOT NULL AND s.w BETWEEN low AND high
            HAVING count(*) > 0
        LOOP
            body := body || format(E'<polyline class="%s" stroke-width="%s"%s points="%s"/>\n', measure.class, measure.width, measure.dash, curve.points);
        END LOOP;
        body := body || format(E'<line class="%s" stroke-width="%s"%s x1="%s" y1="74" x2="%s" y2="74"/>\n', measure.class, measure.width, measure.dash, 70 + (measure.n - 1) * 120, 102 + (measure.n - 1) * 120)
            || mastering.chart_label('ink', 108 + (measure.n - 1) * 120, 78, CASE measure.name WHEN 'f1' THEN 'F1' ELSE measure.name END);
    END LOOP;
    IF best.f1 IS NOT NULL THEN
        body := body || format(E'<circle class="ink rim" cx="%s" cy="%s" r="5"/>\n', mastering.chart_round(x), mastering.chart_round(y_bottom - best.f1 * (y_bottom - y_top)));
    END IF;
    body := body || mastering.chart_label('soft', 20, y_bottom + 56, format('Pairs judged: %s%s. True matches: %s.', mastering.chart_count((first_row ->> 'predicted')::numeric),
        CASE WHEN (first_row ->> 'unjudged')::numeric > 0 THEN format(' (without a verdict: %s)', mastering.chart_count((first_row ->> 'unjudged')::numeric)) ELSE '' END,
        mastering.chart_count((first_row ->> 'true')::numeric)));
    RETURN mastering.chart_document(960, (y_bottom + 70)::integer, 'Precision and recall by threshold',
        CASE WHEN best.f1 IS NULL THEN 'There is no pair to judge.' ELSE format('F1 is best, %s, at %s bits (probability %s): precision %s, recall %s.', mastering.chart_share(best.f1), mastering.chart_weight(best.weight),
            mastering.chart_share(mastering.probability_of(best.weight)), mastering.chart_share(best."precision"), mastering.chart_share(best.recall)) END,
        CASE WHEN best.f1 IS NULL THEN 'There is no pair to judge.' ELSE format('Curves of precision, recall and F1 for thresholds from %s to %s bits. F1 is best, %s, at %s bits.', mastering.chart_weight(low), mastering.chart_weight(high),
            mastering.chart_share(best.f1), mastering.chart_weight(best.weight)) END,
        body);
END
$$;
COMMENT ON FUNCTION mastering.draw_thresholds(jsonb) IS 'Internal. The picture of the rows of evaluate_pairs.';

-- ---- Scores ----

-- Counts candidate pairs by weight, in bins of one bit that begin at the threshold, so that none straddles it. Where
-- there are more pairs than wanted, a share f of the records is drawn by the hash of their ids and the counts are
-- scaled by 1 / f^2: an unbiased estimate, the same at every call. The cost is a run of blocking, and of matching
-- over the pairs of the sample. Examples are the commonest kinds of pair (equal levels) next to the threshold.
CREATE FUNCTION mastering.score_summary(query text, model jsonb, most_pairs bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    line double precision;
    candidates numeric;
    share double precision := 1;
    sampled text := query;
    summary jsonb;
BEGIN
    PERFORM mastering.require_model(model);
    line := mastering.weight_of(mastering.model_threshold(model));
    SELECT COALESCE(pg_catalog.sum(r.new_pairs), 0) INTO candidates FROM mastering.blocking_report(query, model) AS r;
    IF candidates > most_pairs THEN
        share := pg_catalog.sqrt(most_pairs / candidates::pg_catalog.float8);
        sampled := pg_catalog.format(E'SELECT q.* FROM (\n%s\n) AS q WHERE (pg_catalog.hashtextextended(q.id::pg_catalog.text COLLATE "C", 0) & 1048575) < %s',
            mastering.query_body(query), pg_catalog.ceil(share * 1048576));
        share := pg_catalog.ceil(share * 1048576) / 1048576;
    END IF;
    WITH kind AS MATERIALIZED (
        SELECT p.levels, pg_catalog.floor(p.weight - line)::pg_catalog.int4 AS bin, pg_catalog.count(*) AS n, pg_catalog.sum(p.probability) AS matches,
            pg_catalog.min(ARRAY[p.id_a COLLATE "C", p.id_b COLLATE "C"]) AS example
        FROM mastering.match_pairs(sampled, model, 1e-290) AS p
        GROUP BY 1, 2
    )
    SELECT pg_catalog.jsonb_build_object('line', line, 'share', share, 'candidates', candidates,
        'bins', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(b.bin, b.n, b.matches) ORDER BY b.bin)
            FROM (SELECT k.bin, pg_catalog.sum(k.n) / (share * share) AS n, pg_catalog.sum(k.matches) / (share * share) AS matches FROM kind AS k GROUP BY k.bin) AS b), '[]'),
        'above', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a.example)) FROM (SELECT k.example FROM kind AS k WHERE k.bin >= 0 ORDER BY k.bin, k.n DESC, k.example LIMIT 3) AS a),
        'below', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a.example)) FROM (SELECT k.example FROM kind AS k WHERE k.bin < 0 ORDER BY k.bin DESC, k.n DESC, k.example LIMIT 3) AS a))
        INTO summary;
    RETURN summary;
END
$$;
COMMENT ON FUNCTION mastering.score_summary(text, jsonb, bigint) IS 'Internal. Numbers of pairs by weight, and pairs next to the threshold, from a sample of the records where the pairs are many.';

CREATE FUNCTION mastering.weight_chart(query text, model jsonb, most_pairs bigint DEFAULT 2000000) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    IF most_pairs IS NULL OR most_pairs < 1 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('argument "most_pairs" must be at least 1, not %s', COALESCE(most_pairs::pg_catalog.text, 'NULL')),
            HINT = 'Leave it out, or name the number of pairs from which on a sample of the records is enough.';
    END IF;
    RETURN mastering.draw_weights(mastering.score_summary(query, model, most_pairs));
END
$$;
COMMENT ON FUNCTION mastering.weight_chart(text, jsonb, bigint) IS
'A picture (SVG) of how many candidate pairs have which weight, on both sides of the threshold. Costs a run of blocking and of matching; beyond most_pairs pairs, matching over a sample of the records, scaled up.';

CREATE FUNCTION mastering.draw_weights(summary jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 70;
    x_to CONSTANT double precision := 930;
    y_top CONSTANT double precision := 90;
    y_bottom CONSTANT double precision := 350;
    floor_value CONSTANT double precision := 0.7; -- the foot of the bars: one pair can still be seen
    line double precision := (summary ->> 'line')::float8;
    sampled boolean := (summary ->> 'share')::float8 < 1;
    low double precision;
    high double precision;
    most double precision;
    step integer;
    bin record;
    body text := '';
    y double precision;
    x double precision;
    matched numeric;
    wrong numeric;
    missed numeric;
BEGIN
    SELECT COALESCE(min((b ->> 0)::float8), -5), COALESCE(max((b ->> 0)::float8) + 1, 5), COALESCE(sum((b ->> 1)::numeric) FILTER (WHERE (b ->> 0)::integer >= 0), 0),
        COALESCE(sum((b ->> 1)::numeric - (b ->> 2)::numeric) FILTER (WHERE (b ->> 0)::integer >= 0), 0), COALESCE(sum((b ->> 2)::numeric) FILTER (WHERE (b ->> 0)::integer < 0), 0)
        INTO low, high, matched, wrong, missed
    FROM jsonb_array_elements(summary -> 'bins') AS b;
    low := least(low, -3);
    high := greatest(high, 3);
    step := CASE WHEN high - low <= 70 THEN 1 WHEN high - low <= 140 THEN 2 WHEN high - low <= 350 THEN 5 ELSE 20 END;
    low := step * floor(low / step);
    high := step * ceil(high / step);
    SELECT greatest(10, max(n)) INTO most FROM (SELECT sum((b ->> 1)::float8) AS n FROM jsonb_array_elements(summary -> 'bins') AS b GROUP BY floor((b ->> 0)::float8 / step)) AS s;
    FOR bin IN SELECT power(10::numeric, g) AS n FROM generate_series(0, floor(log(most))::integer) AS g
        WHERE g % (1 + floor(log(most))::integer / 7) = 0 LOOP
        y := y_bottom - ln(bin.n::float8 / floor_value) / ln(most / floor_value) * (y_bottom - y_top);
        body := body || mastering.chart_line('grid', x_from, y, x_to, y) || mastering.chart_label('soft small', x_from - 8, y + 4, mastering.chart_short_count(bin.n), 'end');
    END LOOP;
    body := body || mastering.chart_weight_axis(low + line, high + line, x_from, x_to, y_bottom, y_bottom + 4, true, 10);
    FOR bin IN SELECT floor((b ->> 0)::float8 / step) * step AS at, sum((b ->> 1)::numeric) AS n FROM jsonb_array_elements(summary -> 'bins') AS b GROUP BY 1 ORDER BY 1 LOOP
        x := x_from + (bin.at - low) / (high - low) * (x_to - x_from);
        y := y_bottom - greatest(0, ln(greatest(floor_value, bin.n::float8) / floor_value) / ln(most / floor_value)) * (y_bottom - y_top);
        body := body || mastering.chart_bar(CASE WHEN bin.at >= 0 THEN 'plus' ELSE 'minus' END, x + 0.5, x + step / (high - low) * (x_to - x_from) - 0.5, y, y_bottom - y,
            format('%s to %s bits: %s pairs', mastering.chart_weight(bin.at + line), mastering.chart_weight(bin.at + step + line), mastering.chart_count(round(bin.n))));
    END LOOP;
    x := x_from - low / (high - low) * (x_to - x_from);
    body := body || mastering.chart_line('axis', x_from, y_bottom, x_to, y_bottom) || mastering.chart_line('mark', x, y_top - 6, x, y_bottom)
        || mastering.chart_label('ink small', greatest(x_from + 60, least(x_to - 60, x)), y_top - 11, 'threshold ' || mastering.chart_share(mastering.probability_of(line)), 'middle')
        || mastering.chart_label('soft small', x_from - 8, y_top - 11, 'pairs (log)', 'middle')
        || mastering.chart_label('soft small', x_from - 24, y_bottom + 19, 'bits', 'end') || mastering.chart_label('soft small', x_from - 24, y_bottom + 33, 'prob.', 'end')
        || mastering.chart_label('soft', 20, y_bottom + 60, format('By its own probabilities, the model expects about %s wrong matches, and %s missed ones.',
            mastering.chart_count(round(wrong)), mastering.chart_count(round(missed))))
        || CASE WHEN sampled THEN mastering.chart_label('soft', 20, y_bottom + 80, format('Estimated from %s of the records, drawn by their ids.', mastering.chart_share((summary ->> 'share')::float8))) ELSE '' END;
    RETURN mastering.chart_document(960, (y_bottom + CASE WHEN sampled THEN 96 ELSE 76 END)::integer, 'Pairs by match weight',
        format('%s%s of %s candidate pairs reach the threshold (blue); the others (orange) do not.', CASE WHEN sampled THEN 'About ' ELSE '' END,
            mastering.chart_count(round(matched)), mastering.chart_count((summary ->> 'candidates')::numeric)),
        format('Histogram of %s candidate pairs by weight; %s%s reach the threshold of %s bits.', mastering.chart_count((summary ->> 'candidates')::numeric),
            CASE WHEN sampled THEN 'about ' ELSE '' END, mastering.chart_count(round(matched)), mastering.chart_weight(line)),
        body);
END
$$;
COMMENT ON FUNCTION mastering.draw_weights(jsonb) IS 'Internal. The picture of score_summary.';
