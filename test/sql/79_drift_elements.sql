-- Where elements of arrays are compared, an increment counts elements among the frequent values that the model knows, however
-- the elements are stored: the same data alarm nobody, others do.
SELECT current_database() AS home \gset
CREATE DATABASE drift_elements;
\c drift_elements
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET search_path = mastering, pg_catalog;
CREATE TABLE public.goods AS SELECT i AS id, 'Thing ' || md5((i / 2)::text) AS name, ARRAY['K' || i / 2, 'c' || i % 5] AS tags, concat_ws(';', 'k' || i / 2, 'C' || i % 5) AS parts,
    jsonb_build_array('k' || i / 2, 'c' || i % 5, NULL) AS codes, (ARRAY['Ulm', 'Bonn'])[1 + i % 2] AS city FROM generate_series(1, 3000) i;
SELECT create_environment('dev');
SELECT define_entity('dev', 'g', '{"name": "text", "tags": "text[]", "parts": "text", "codes": "jsonb", "city": "text"}'), map_source('dev', 'g', 's', 'public.goods', 'id'), set_blocking('dev', 'g', '["name"]'),
       set_comparisons('dev', 'g', '["name", {"column": "city", "method": "exact", "term_frequency": true}, {"column": "tags", "method": "exact", "elements": "best", "term_frequency": true},
           {"column": "parts", "method": "exact", "elements": "best", "separator": ";", "term_frequency": true}, {"column": "codes", "method": "exact", "elements": "best", "term_frequency": true}]');
SELECT change FROM load('dev', 'g');
SELECT train('dev', 'g') IS NOT NULL AS trained;
SELECT master('dev', 'g') -> 'clusters' AS clusters;
CREATE FUNCTION public.unlisted() RETURNS TABLE (counter text, value text) LANGUAGE sql AS $$
    SELECT c.key, c.value FROM mastering.head h CROSS JOIN LATERAL jsonb_each_text(h.versions -> 'g' -> 'counters') c WHERE h.environment = 'dev' AND c.key LIKE 'drift.unlisted.%' ORDER BY 1
$$;
UPDATE public.goods SET name = name || ' ' || id WHERE id <= 220;
SELECT change FROM load('dev', 'g');
SELECT master('dev', 'g') #>> '{how,run}' AS run;
SELECT * FROM public.unlisted();
UPDATE public.goods SET tags = '{}', parts = replace(parts, 'C', 'x'), codes = '"c1"', name = name || 'a' WHERE id <= 220;
UPDATE public.goods SET tags = ARRAY['new', 'newer'] WHERE id <= 210;
SELECT change FROM load('dev', 'g');
SELECT master('dev', 'g') #>> '{how,run}' AS run;
SELECT * FROM public.unlisted();
-- The shares of names that a thing and its copies have are those without copies; how many records have a name that is listed is kept beside them.
CREATE TABLE public.persons AS SELECT no AS id, no / 900 AS list, 'Name' || translate(substr(md5('n' || no % 900), 1, 9), '0123456789', 'ghijklmnop') AS name, 'town' || no % 900 % 12 AS town,
    date '1950-01-01' + no % 900 * 19 AS born FROM generate_series(0, 3599) AS no;
SELECT define_entity('dev', 'p', '{"name": "text", "town": "text", "born": "date"}'), set_blocking('dev', 'p', '["name", "born"]'),
       set_comparisons('dev', 'p', '[{"column": "name", "method": "jaro_winkler", "levels": [0.9], "term_frequency": true}, {"column": "town", "method": "exact"}, {"column": "born", "method": "date", "levels": [0.9]}]');
CREATE VIEW public.list0 AS SELECT * FROM public.persons WHERE list = 0;
CREATE VIEW public.list1 AS SELECT * FROM public.persons WHERE list = 1;
CREATE VIEW public.list2 AS SELECT * FROM public.persons WHERE list = 2;
CREATE VIEW public.list3 AS SELECT * FROM public.persons WHERE list = 3;
SELECT count(map_source('dev', 'p', 'list' || i, 'public.list' || i, 'id')) AS sources FROM generate_series(0, 3) AS i;
SELECT count(*) FROM load('dev', 'p');
SELECT (f.value ->> 'listed')::numeric AS listed, (SELECT sum(v.value::numeric) < 0.5 FROM jsonb_each_text(f.value -> 'values') AS v) AS without_copies
FROM jsonb_path_query(train('dev', 'p'), '$.comparisons[0].frequencies') AS f (value);
SELECT master('dev', 'p') #>> '{how,run}' AS run;
INSERT INTO public.persons SELECT 5000 + no, 0, translate(md5('x' || no), '0123456789', 'ghijklmnop'), 'town' || no % 12, date '2020-01-01' + no * 10 FROM generate_series(1, 250) AS no;
SELECT sum(inserted) AS inserted FROM load('dev', 'p');
SELECT master('dev', 'p') #>> '{how,run}' AS run;
SELECT c.value FROM mastering.head AS h CROSS JOIN LATERAL jsonb_each_text(h.versions -> 'p' -> 'counters') AS c WHERE h.environment = 'dev' AND c.key = 'drift.unlisted.name';
\c :home
DROP DATABASE drift_elements;
