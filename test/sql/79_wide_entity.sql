-- An entity has as many attributes as a table has columns; a function has at most 100 arguments. Runs over all records and over
-- what changed, their counters, and the statistics that policies and drift() look at.
SELECT current_database() AS home \gset
CREATE DATABASE wide_entity;
\c wide_entity
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
SET search_path = mastering, pg_catalog;
SELECT string_agg(format('a%s text', n), ', ') AS columns, string_agg(format('''v%s %s'' || i %% 7', n, n), ', ') AS filling,
       json_object_agg('a' || n, 'text') AS attributes, jsonb_agg('a' || n) AS names FROM generate_series(3, 120) n \gset
CREATE TABLE public.wide (id int PRIMARY KEY, a1 text, a2 text, :columns);
INSERT INTO public.wide SELECT i, md5((i / 2)::text), 'mail' || i / 2 || '@example.org', :filling FROM generate_series(1, 3000) i;
SELECT create_environment('dev');
SELECT define_entity('dev', 'w', (jsonb_build_object('a1', 'text', 'a2', 'text') || :'attributes'::jsonb)::json), map_source('dev', 'w', 's', 'public.wide', 'id'),
       set_blocking('dev', 'w', '["a1", "a2"]'), set_comparisons('dev', 'w', '["a1", "a2"]');
SELECT change, inserted FROM load('dev', 'w');
SELECT train('dev', 'w') IS NOT NULL AS trained;
SELECT master('dev', 'w') -> 'clusters' AS clusters;
UPDATE public.wide SET a120 = NULL WHERE id <= 200;
SELECT change, updated FROM load('dev', 'w');
SELECT master('dev', 'w') -> 'how' ->> 'run' AS run;
SELECT count(*) AS counters, max(value) FILTER (WHERE counter = 'drift.present.a120') AS a120 FROM (SELECT c.key, c.value FROM head h CROSS JOIN LATERAL jsonb_each_text(h.versions -> 'w' -> 'counters') c WHERE h.environment = 'dev') c (counter, value) WHERE counter LIKE 'drift.present.%';
SELECT (SELECT count(*) FROM jsonb_object_keys(h.versions -> 'w' -> 'counters' -> 'covered')) AS filled, h.versions -> 'w' -> 'counters' -> 'covered' -> 'a119' AS a119 FROM head h WHERE h.environment = 'dev';
SELECT count(*) AS statistics FROM jsonb_object_keys(golden_statistics('dev', 'w', ARRAY(SELECT jsonb_array_elements_text(:'names'::jsonb))));
SELECT count(*) AS statistics FROM configuration c CROSS JOIN LATERAL (SELECT a.content FROM artifact a WHERE a.hash = c.tree ->> path('entity', 'w', 'source', 's')) s (content)
 CROSS JOIN LATERAL jsonb_object_keys(attribute_statistics_of((SELECT e FROM environment e WHERE e.name = 'dev'), 'w', 's', s.content, c.tree, c.data -> 'w/s', ARRAY(SELECT jsonb_array_elements_text(:'names'::jsonb)))) k
 WHERE c.environment = 'dev';
SELECT object_expression(NULL) AS of_none, object_expression('{}') AS of_nothing, object_expression(ARRAY['''a'', 1', '''b'', 2']) AS of_two;
SELECT cluster_id IS NOT NULL AS found FROM lookup('dev', 'w', '{"a2": "mail5@example.org"}', 1);
\c :home
DROP DATABASE wide_entity;
