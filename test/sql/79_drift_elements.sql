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
\c :home
DROP DATABASE drift_elements;
