-- Pictures: well-formed, self-contained, telling what the functions below them say, whatever stands in the data.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA charts;
SET search_path = charts, public;

\getenv source PG_ABS_SRCDIR
\set pictures :source '/include/pictures.sql'
\i :pictures
-- What every picture must be: one document with a title and a description that it points to, dark when the reader is, no
-- reference to anything outside, no program, everything inside the page.
CREATE FUNCTION sound(picture text) RETURNS text LANGUAGE sql AS $$
SELECT CASE
    WHEN NOT xml_is_well_formed_document(picture) THEN 'not XML'
    WHEN found(picture, '/s:svg[@viewBox and @role="img"]/s:title') <> 1 OR found(picture, '/s:svg/s:desc') <> 1 THEN 'no title or description'
    WHEN found(picture, '/s:svg[@aria-labelledby = concat(s:title/@id, " ", s:desc/@id)]') <> 1 THEN 'title and description are not its name'
    WHEN strpos(picture, '@media (prefers-color-scheme: dark)') = 0 THEN 'never dark'
    WHEN found(picture, '//s:script | //s:image | //s:a | //s:use | //s:foreignObject | //@*[starts-with(name(), "on")] | //@*[contains(name(), "href")]') > 0
        OR picture ~* 'url\(|@import|javascript:' OR regexp_count(picture, 'https?:') <> 1 THEN 'refers to something'
    WHEN found(picture, '//s:rect[@x + @width > /s:svg/@width or @y + @height > /s:svg/@height or @x < 0 or @y < 0 or not(@width >= 0) or not(@height >= 0)]') > 0
        OR found(picture, '//s:text[not(@x > 0 and @x < /s:svg/@width and @y > 0 and @y < /s:svg/@height)]') > 0
        OR found(picture, '//s:circle[not(@cx > 0 and @cx < /s:svg/@width and @cy > 0 and @cy < /s:svg/@height)]') > 0
        OR found(picture, '//s:line[not(@x1 >= 0 and @x2 >= 0 and @y1 >= 0 and @y2 >= 0 and @x1 <= /s:svg/@width and @x2 <= /s:svg/@width and @y1 <= /s:svg/@height and @y2 <= /s:svg/@height)]') > 0 THEN 'something is outside'
    ELSE 'sound' END $$;

-- Numbers for people.
SELECT n, mastering.chart_count(n) AS count, mastering.chart_short_count(n) AS short FROM unnest('{0,7,999,1000,9994,9995,12345,999499,999500,1234567,987654321,12345678901}'::numeric[]) AS n;
SELECT w, mastering.chart_weight(w) FROM unnest('{0,0.04,-0.04,0.05,3.25,-12.6156,1e300,-Infinity}'::float8[]) AS w;
SELECT s, mastering.chart_share(s) FROM unnest('{0,1e-300,1e-11,0.0000333,0.0001,0.00059,0.0059,0.03,0.349,0.5,0.98,0.9951,0.99989,0.99999,1,NULL}'::float8[]) AS s;
SELECT mastering.chart_ticks(-18.3, 7, 8) AS a, mastering.chart_ticks(0, 1, 5) AS b, mastering.chart_ticks(3, 3, 5) AS c;
SELECT w, round(mastering.weight_of(mastering.probability_of(w))::numeric, 6) AS back FROM unnest('{-40,-1,0,1,30}'::float8[]) AS w;
SELECT mastering.weight_of(0), mastering.weight_of(1), mastering.probability_of('Infinity'), mastering.probability_of('-Infinity') < 1e-300 AS least;

-- Texts: escaped, evened out, without what XML forbids, cut.
SELECT mastering.chart_text(v) AS text, xml_is_well_formed_content(mastering.chart_text(v)) AS well_formed
FROM unnest(ARRAY['a < b & "c" > ''d''', E' two\n\tlines ', E'bell\x07 escape\x1b delete\x7f', ']]>', '&amp;', '', NULL]) AS v;
SELECT mastering.chart_text(v) = 'x&#xFFFD;y' AS replaced, xml_is_well_formed_content(mastering.chart_text(v)) AS well_formed
FROM unnest(ARRAY['x' || chr(x'fffe'::int) || 'y', 'x' || chr(x'ffff'::int) || 'y', 'x' || chr(x'85'::int) || 'y', 'x' || chr(x'9f'::int) || 'y']) AS v;
SELECT mastering.chart_text(repeat('long ', 20), 12) AS cut, mastering.chart_text(repeat('&', 100), 6) AS escaped_after, mastering.chart_text('fits', 12) AS whole,
    mastering.chart_width(replace(mastering.chart_text(repeat('W', 1000000), 12), '&#x2026;', '')) <= 12 AS narrow;
SELECT length(mastering.chart_text(repeat(U&'\6771', 50), 12)) < length(mastering.chart_text(repeat('a', 50), 12)) AS wide_letters_count_more;

-- Models.
\set model '{"prior": 0.01, "threshold": 0.9, "blocking": ["city", "left(name, 3)"], "comparisons": [{"name": "the <name> & \\"more\\"", "column": "name", "method": "jaro_winkler", "levels": [0.9], "trained": [{"level": "exact", "weight": 6, "m": 0.9, "u": 0.00002}, {"level": ">= 0.9", "weight": 3.5}, {"level": "else", "weight": -4}]}, {"column": "born", "method": "date", "levels": [0.9], "trained": [{"weight": 8}, {"weight": 5.25}, {"weight": -3}]}]}'
CREATE TABLE drawn AS SELECT mastering.model_chart(:'model') AS p;
SELECT sound(p), found(p, '//s:rect[@class="plus"]') AS plus, found(p, '//s:rect[@class="minus"]') AS minus, found(p, '//s:rect[@class="still"]') AS prior FROM drawn;
SELECT said(p, '/s:svg/s:title') AS title, said(p, '/s:svg/s:desc') AS description FROM drawn;
SELECT said(p, '//s:tspan[contains(@class, "strong")]') AS comparisons, said(p, '//s:text[@class="ink"]') AS levels FROM drawn;
-- Bars are as long as their weights, to the right for, to the left against.
SELECT count(DISTINCT round((width / abs(weight))::numeric, 1)) AS scales, bool_and((weight > 0) = right_of_zero) AS sides
FROM (SELECT (xpath('/*/@width', r))[1]::text::float8 AS width, (xpath('/*/@x', r))[1]::text::float8 >= (SELECT min((xpath('/*/@x', z))[1]::text::float8) FROM drawn, unnest(xpath('//*[@class="plus"]', xmlparse(document p))) AS z) AS right_of_zero, w AS weight
    FROM drawn, unnest(xpath('//*[@class="plus" or @class="minus"]', xmlparse(document p)), ARRAY[6, 3.5, -4, 8, 5.25, -3]) AS u (r, w)) AS s;
-- One comparison; thirty with long names; weights beyond all measure.
SELECT sound(mastering.model_chart('{"prior": 0.5, "comparisons": [{"column": "n", "trained": [{"weight": 3}, {"weight": -2}]}]}'));
SELECT sound(p), found(p, '//s:rect[@class="band"]') AS comparisons FROM (SELECT mastering.model_chart(jsonb_build_object('prior', 1e-9, 'comparisons', (SELECT jsonb_agg(jsonb_build_object('name', repeat('<&"''' || chr(7) || U&'\6771\00DF ', i * 5),
    'trained', '[{"level": "exact", "weight": 33, "m": 1, "u": 1e-20}, {"level": "else", "weight": -40}]'::jsonb)) FROM generate_series(1, 30) AS i))) AS p) AS d;
SELECT sound(mastering.model_chart('{"prior": 1e-200, "comparisons": [{"column": "n", "trained": [{"weight": 1e6}, {"weight": 0}]}]}'));
SELECT mastering.model_chart(NULL);
SELECT mastering.model_chart('[1]');
SELECT mastering.model_chart('{"comparisons": []}');
SELECT mastering.model_chart('{"comparisons": [{"column": "n"}]}');
SELECT mastering.model_chart('{"prior": 0.5, "comparisons": [{"column": "n", "trained": [{"weight": 3, "m": 0.9, "u": 0.1}, {"weight": -2, "m": "x"}]}]}');
SELECT mastering.model_chart('{"prior": 0.5, "comparisons": [{"column": "n", "trained": [{"weight": "heavy"}]}]}');

-- Pairs: a row for each step of explain_pair, and the total.
CREATE TABLE few (id text, name text, city text, born text);
INSERT INTO few VALUES
    ('1', 'Ann Lee',  'Bonn', '1980-02-03'), ('2', 'ANN  LEE', 'Bonn', '1980-02-03'), ('3', 'Anne Lee', 'Bonn', NULL),
    ('4', 'Bob Roe',  'Rome', '1975-12-30'), ('<b>&"''', 'Bob ' || repeat('Roe ', 50) || '<script>', 'Bonn', '1975-30-12');
TRUNCATE drawn;
INSERT INTO drawn SELECT mastering.pair_chart('SELECT * FROM few', :'model', '1', '3');
SELECT sound(p), said(p, '/s:svg/s:title') AS title, said(p, '/s:svg/s:desc') AS description FROM drawn;
SELECT said(p, '//s:text[contains(@class, "strong")]') AS steps, said(p, '//s:text[@class="ink" or @class="soft"][@x=190 or @x=370]') AS values FROM drawn;
SELECT sound(p), said(p, '/s:svg/s:title') AS title, strpos(p, '<script') AS script, strpos(p, '<b>') AS bold FROM (SELECT mastering.pair_chart('SELECT * FROM few', :'model', '<b>&"''', '4') AS p) AS d;
SELECT mastering.pair_chart('SELECT * FROM few', :'model', '1', 'nobody');
SELECT mastering.pair_chart('SELECT * FROM few', :'model', '1', NULL);
SELECT mastering.pair_chart(NULL, :'model', '1', '2');
SELECT mastering.pair_chart('SELECT * FROM few', '{"blocking": ["name"], "comparisons": ["name"]}', '1', '2');

-- Blocking.
CREATE TABLE many AS SELECT i AS id, i / 3 AS k, i / 10 AS city, 'n' || i / 3 AS name, date '1980-01-01' + i / 3 AS born FROM generate_series(0, 999) AS i;
TRUNCATE drawn;
INSERT INTO drawn SELECT mastering.blocking_chart('SELECT * FROM many', '{"blocking": ["k", {"keys": ["city"], "max_block": 5, "window": 2}], "comparisons": ["name"]}');
SELECT sound(p), said(p, '/s:svg/s:desc') AS description, said(p, '//s:text[@class="soft"]') AS subtitle, said(p, '//s:text[@class="strong ink"]') AS strong FROM drawn;
SELECT (SELECT sum(new_pairs) FROM mastering.blocking_report('SELECT * FROM many', '{"blocking": ["k", {"keys": ["city"], "max_block": 5, "window": 2}], "comparisons": ["name"]}')) AS pairs;
SELECT sound(p), (said(p, '//s:text[@class="soft"]'))[1] AS subtitle FROM (SELECT mastering.blocking_chart('SELECT * FROM many', '{"blocking": ["k", "city"], "comparisons": ["name"]}', 'SELECT id, id / 6 AS entity_id FROM many') AS p) AS d;
SELECT sound(p), found(p, '//s:rect[@class="plus"]') AS legend_only FROM (SELECT mastering.blocking_chart('SELECT * FROM many WHERE false', '{"blocking": ["k"], "comparisons": ["name"]}') AS p) AS d;
SELECT mastering.blocking_chart('SELECT * FROM many', '{"blocking": ["no_such_column"], "comparisons": ["name"]}');

-- Thresholds: the best F1 is the best of evaluate_pairs.
CREATE TABLE scored AS SELECT i AS id_a, i + 1000 AS id_b, (i % 50) / 2.0 - 9.9 AS weight, 1 / (1 + 2 ^ (9.9 - (i % 50) / 2.0)) AS probability FROM generate_series(1, 500) AS i;
CREATE TABLE truth AS SELECT id_a, id_b, weight + (id_a % 7) - 3 > 4 AS is_match FROM scored;
TRUNCATE drawn;
INSERT INTO drawn SELECT mastering.threshold_chart('SELECT * FROM scored', 'SELECT * FROM truth');
SELECT sound(p), found(p, '//s:polyline') AS curves, (said(p, '//s:text[@class="soft"]'))[1] AS subtitle, (said(p, '//s:text[@class="soft"]'))[2] AS footer FROM drawn;
SELECT threshold, "precision", recall, f1 FROM mastering.evaluate_pairs('SELECT id_a, id_b, weight FROM scored', 'SELECT * FROM truth', ARRAY(SELECT g / 2.0 FROM generate_series(-20, 28) AS g)) WHERE threshold IS NOT NULL ORDER BY f1 DESC, threshold LIMIT 1;
-- By probability it is the same curve.
SELECT mastering.threshold_chart('SELECT id_a, id_b, probability FROM scored', 'SELECT * FROM truth') = p AS same FROM drawn;
SELECT sound(mastering.threshold_chart('SELECT * FROM scored', 'SELECT id_a, id_b FROM truth WHERE is_match')) AS matches_only, sound(mastering.threshold_chart('SELECT * FROM scored WHERE false', 'SELECT * FROM truth')) AS nothing_predicted,
    sound(mastering.threshold_chart('SELECT * FROM scored LIMIT 1', 'SELECT * FROM truth WHERE false')) AS nothing_known;
SELECT mastering.threshold_chart('SELECT id_a, id_b FROM scored', 'SELECT * FROM truth');
SELECT mastering.threshold_chart('SELECT id_a FROM scored', 'SELECT * FROM truth');
SELECT mastering.threshold_chart('SELECT * FROM scored', 'SELECT 1 AS x');
-- evaluate_pairs at thresholds as given: in order, each once.
SELECT scored_by, threshold, predicted_pairs FROM mastering.evaluate_pairs('SELECT * FROM scored', 'SELECT * FROM truth', '{0.9,0.5,NULL,0.9}');
SELECT threshold FROM mastering.evaluate_pairs('SELECT * FROM scored', 'SELECT * FROM truth', '{}');
SELECT threshold FROM mastering.evaluate_pairs('SELECT id_a, id_b FROM scored', 'SELECT * FROM truth', '{0.5}');

-- Scores: bins begin at the threshold, so the pairs on both sides are exact.
\set byname '{"prior": 0.01, "threshold": 0.9, "blocking": ["k", "city"], "comparisons": [{"column": "name", "method": "exact", "trained": [{"weight": 12}, {"weight": -4}]}, {"column": "born", "method": "exact", "trained": [{"weight": 5}, {"weight": -1}]}]}'
TRUNCATE drawn;
INSERT INTO drawn SELECT mastering.weight_chart('SELECT * FROM many', :'byname');
SELECT sound(p), found(p, '//s:rect[@class="plus"]') AS bars_above, found(p, '//s:rect[@class="minus"]') AS bars_below, (said(p, '//s:text[@class="soft"]'))[1] AS subtitle, said(p, '//s:rect/s:title') AS bars FROM drawn;
SELECT count(*) AS matches FROM mastering.match_pairs('SELECT * FROM many', :'byname');
-- Of many pairs a sample of the records; the same at every call, and near the truth.
SELECT sound(p), found(p, '//s:text[starts-with(., "Estimated from ")]') AS told, p = mastering.weight_chart('SELECT * FROM many', :'byname', 2000) AS same FROM (SELECT mastering.weight_chart('SELECT * FROM many', :'byname', 2000) AS p) AS d;
SELECT abs(sum((b ->> 1)::float8) / max((s ->> 'candidates')::float8) - 1) < 0.15 AS near FROM mastering.score_summary('SELECT * FROM many', :'byname', 2000) AS s, jsonb_array_elements(s -> 'bins') AS b;
SELECT sound(mastering.weight_chart('SELECT * FROM many WHERE false', :'byname'));
SELECT mastering.weight_chart('SELECT * FROM many', :'byname', 0);
SELECT mastering.weight_chart('SELECT * FROM many', NULL);

-- Clusters. A chain: 1 and 2 share k, 2 and 3 share l.
\set linked '{"prior": 0.5, "threshold": 0.6, "blocking": ["k", "l"], "comparisons": [{"column": "k", "method": "exact", "trained": [{"weight": 9}, {"weight": 0}]}, {"column": "l", "method": "exact", "trained": [{"weight": 4}, {"weight": 0}]}]}'
CREATE TABLE links AS SELECT * FROM (VALUES (1, 'a', 'p', 'One'), (2, 'a', 'q', 'Two <&>'), (3, 'b', 'q', NULL), (4, 'c', 'r', 'alone')) AS v (id, k, l, label);
TRUNCATE drawn;
INSERT INTO drawn SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', ARRAY['3', '1', '2', '1']);
SELECT sound(p), said(p, '/s:svg/s:title') AS title, (said(p, '//s:text[@class="soft"]'))[1] AS subtitle, found(p, '//s:circle') AS records, found(p, '//s:circle[contains(@class, "paper")]') AS hollow,
    said(p, '//s:line/s:title') AS links, said(p, '//s:circle/s:title') AS labels FROM drawn;
-- By one of the members; the same at every call; at another threshold.
SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', '2') = p AS same FROM drawn;
SELECT (said(p, '//s:text[@class="soft"]'))[1] AS subtitle FROM (SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', ARRAY['1', '2', '3'], 0.99) AS p) AS d;
SELECT sound(p), said(p, '/s:svg/s:title') AS title FROM (SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', '4') AS p) AS d;
SELECT sound(p), (said(p, '//s:text[@class="soft"]'))[1] AS subtitle FROM (SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', ARRAY['1', '4']) AS p) AS d;
-- 30 in a ring are told with one line each, 70 are dots, of 210 the first 200 are drawn.
SELECT n, sound(p), said(p, '/s:svg/s:title') AS title, found(p, '//s:circle') AS dots, found(p, '//s:tspan') AS told, (said(p, '//s:text[@class="soft"]'))[1] AS subtitle
FROM unnest('{30,70,210}'::int[]) AS n, mastering.cluster_chart(format('SELECT i AS id, i / 2 AS k, (i + 1) / 2 %% %s AS l FROM generate_series(0, %s) AS i', n / 2, n - 1), :'linked', ARRAY(SELECT i::text FROM generate_series(0, n - 1) AS i)) AS p;
-- Nodes that are near in the graph are near in the picture: the ends of a chain of nine are farther apart than any two neighbours.
WITH dots AS (
    SELECT o, (xpath('/*/@cx', c))[1]::text::float8 AS x, (xpath('/*/@cy', c))[1]::text::float8 AS y
    FROM mastering.cluster_chart('SELECT i AS id, i / 2 AS k, (i + 1) / 2 AS l FROM generate_series(1, 9) AS i', :'linked', ARRAY(SELECT i::text FROM generate_series(1, 9) AS i)) AS p,
        unnest(xpath('//*[local-name() = "circle"]', xmlparse(document p))) WITH ORDINALITY AS u (c, o))
SELECT max(sqrt((a.x - b.x) ^ 2 + (a.y - b.y) ^ 2)) FILTER (WHERE b.o = a.o + 1) < max(sqrt((a.x - b.x) ^ 2 + (a.y - b.y) ^ 2)) FILTER (WHERE a.o = 1 AND b.o = 9) / 4 AS stretched FROM dots AS a, dots AS b;
SELECT mastering.graph_distances(4, '{1,2}', '{2,3}') AS distances;
SELECT mastering.spread_labels('{10,11,12,90}', 10, 5, 100) AS spread, mastering.spread_labels('{98,99}', 10, 5, 100) AS at_the_bottom;
SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', ARRAY['1', 'nobody']);
SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', 'nobody');
SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', '{}'::text[]);
SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', NULL::text);
SELECT mastering.cluster_chart('SELECT * FROM links', :'linked', ARRAY['1'], 1.5);
SELECT mastering.cluster_chart('SELECT k FROM links', :'linked', ARRAY['1']);

-- The report: one page, with and without a model, of data that would break a careless one, and of nothing.
TRUNCATE drawn;
INSERT INTO drawn SELECT mastering.report('SELECT id, k, l, label AS "<script>alert(1)</script>" FROM links', :'linked');
SELECT xml_is_well_formed_document(p), strpos(p, '<script') AS script, found(p, '//h:figure') AS figures, found(p, '//s:svg') AS pictures, found(p, '//h:tbody/h:tr') AS columns, said(p, '//h:h2') AS sections, said(p, '//h:li/h:b') AS facts FROM drawn;
SELECT regexp_count(p, 'https?:') - found(p, '//s:svg') - 1 AS outside, found(p, '//h:link | //h:script | //h:img | //h:iframe') AS loaded FROM drawn;
-- The ids of its pictures differ.
SELECT count(*) = count(DISTINCT i::text) AS distinct_ids FROM drawn, unnest(xpath('//@id', xmlparse(document p))) AS i;
SELECT xml_is_well_formed_document(p), said(p, '//h:h2') AS sections FROM (SELECT mastering.report('SELECT * FROM many') AS p) AS d;
SELECT xml_is_well_formed_document(p), found(p, '//s:svg') AS pictures FROM (SELECT mastering.report('SELECT * FROM links WHERE false', :'linked') AS p) AS d;
SELECT mastering.report(NULL);
SELECT mastering.report('SELECT * FROM links', '{"prior": 0.5, "comparisons": []}');

-- The query runs as the caller and finds its tables by the caller's search_path; names that stand in front change nothing.
CREATE SCHEMA private;
CREATE TABLE private.hidden AS SELECT * FROM links;
CREATE FUNCTION private.round(numeric, int) RETURNS numeric LANGUAGE sql AS 'SELECT 0.0';
CREATE FUNCTION private.chart_text(text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
SELECT mastering.cluster_chart('SELECT * FROM hidden', :'linked', ARRAY['1', '2', '3']);
SET search_path = private, charts, public, pg_catalog;
SELECT mastering.cluster_chart('SELECT * FROM hidden', :'linked', ARRAY['1', '2', '3']) = mastering.cluster_chart('SELECT * FROM charts.links', :'linked', ARRAY['1', '2', '3']) AS same;
SELECT charts.sound(mastering.weight_chart('SELECT * FROM hidden', :'linked')) AS weights, charts.sound(mastering.pair_chart('SELECT * FROM hidden', :'linked', '1', '2')) AS pair;
SET search_path = charts, public;
CREATE ROLE regress_mastering_drawer;
GRANT USAGE ON SCHEMA charts TO regress_mastering_drawer;
SET ROLE regress_mastering_drawer;
SELECT length(mastering.model_chart(:'model')) > 1000 AS drawn;
SELECT mastering.weight_chart('SELECT * FROM links', :'linked');
SELECT mastering.report('SELECT * FROM links', :'linked');
RESET ROLE;
DROP SCHEMA private CASCADE;
DROP SCHEMA charts CASCADE;
DROP ROLE regress_mastering_drawer;
