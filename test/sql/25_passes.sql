-- A run that does not fit into its memory goes through temporary files, in passes, and nothing of its result
-- changes: not with the number of threads, not with the order of the records, not with windows in large blocks.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET mastering.log_progress = off;
CREATE FUNCTION passes_pick(seed int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT (abs(hashint4(seed)::bigint) % n)::int $$;
-- 12,000 records of 6,000 things: a thing's second record has errors, some values are missing, some are wide
-- characters, some are longer than what is compared, one country is in a third of all records.
CREATE TABLE passes_record AS
SELECT r AS number, 'record ' || r AS id,
    CASE WHEN passes_pick(r * 7, 20) = 0 THEN NULL
         WHEN passes_pick(r * 11, 6) = 0 THEN overlay(base.name PLACING 'q' FROM 2 + passes_pick(r, 3) FOR 1)
         WHEN passes_pick(thing, 40) = 0 THEN base.name || E' \u03a9\u0416' || passes_pick(thing, 900)
         ELSE base.name END AS name,
    CASE WHEN passes_pick(r * 13, 15) = 0 THEN NULL ELSE 'city ' || passes_pick(thing * 3, 700) END AS city,
    CASE WHEN passes_pick(r * 17, 15) = 0 THEN NULL ELSE (date '1940-01-01' + passes_pick(thing * 5, 20000) + CASE WHEN passes_pick(r * 19, 12) = 0 THEN 1 ELSE 0 END)::text END AS born,
    CASE WHEN passes_pick(r * 23, 15) = 0 THEN NULL ELSE (passes_pick(thing * 29, 90000) / 7.0)::numeric(12, 2)::text END AS amount,
    CASE passes_pick(thing * 31, 3) WHEN 0 THEN 'norway' WHEN 1 THEN 'chad' END AS country,
    CASE WHEN passes_pick(thing, 400) = 0 THEN repeat('long text ' || thing, 600) ELSE 'note ' || passes_pick(thing * 37, 4000) END AS note
FROM (SELECT r, r % 6000 AS thing FROM generate_series(1, 12000) AS r) AS records
CROSS JOIN LATERAL (SELECT substr(md5(passes_pick(thing * 43, 3000)::text), 1, 7)
    || (ARRAY[' anna', ' bertil', ' carmen', ' dmitri', ' edith', ' farid', ' greta', ' hugo'])[1 + passes_pick(thing * 41, 8)] AS name) AS base;
\set spec '{"blocking": [["name", "city"], {"keys": ["country"], "max_block": 500, "window": 8}, {"keys": ["left(note, 4)"], "max_block": 300, "window": 8}, ["city", "born"], ["name", "note"], "left(name, 9)"], "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8], "term_frequency": true}, {"column": "city", "method": "exact", "term_frequency": true}, {"column": "born", "method": "date", "levels": [0.9, 0.5]}, {"column": "amount", "method": "numeric", "scale": 10, "levels": [0.9, 0.5]}, {"column": "note", "method": "levenshtein", "levels": [0.8]}]}'
\set query 'SELECT id, name, city, born, amount, country, note FROM passes_record'
\set shuffled 'SELECT id, name, city, born, amount, country, note FROM passes_record ORDER BY md5(id)'

SET mastering.work_mem = '1GB';
CREATE TABLE passes_in_memory AS SELECT * FROM mastering.dedupe(:'query', :'spec');
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
CREATE TABLE passes_model AS SELECT mastering.train_model(:'query', :'spec') AS model;
SELECT count(*) AS records, count(DISTINCT cluster_id) BETWEEN 5500 AND 11000 AS merged FROM passes_in_memory;

CREATE FUNCTION passes_differences(query text, spec jsonb) RETURNS TABLE (records bigint, missing bigint, other bigint, spills bigint, groups boolean)
LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE found AS SELECT * FROM mastering.dedupe(query, spec);
    RETURN QUERY SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM (TABLE passes_in_memory EXCEPT TABLE found) AS x),
        (SELECT count(*) FROM (TABLE found EXCEPT TABLE passes_in_memory) AS y),
        (SELECT count(*) FROM mastering.last_run() WHERE phase = 'spill'),
        -- More than one group of components is what a small memory is for.
        (SELECT facts ~ ' in [0-9]+ groups' AND facts !~ ' in 1 groups' FROM mastering.last_run() WHERE phase = 'clustering');
    DROP TABLE found;
END
$$;

SET mastering.work_mem = '1MB';
SET mastering.threads = 1;
SELECT * FROM passes_differences(:'query', :'spec');
SET mastering.threads = 2;
SELECT * FROM passes_differences(:'shuffled', :'spec');
SELECT mastering.train_model(:'shuffled', :'spec') = model AS same_model FROM passes_model;
-- With room for the buffers of their files, the records of all rules are dealt in one go and kept for the second visit;
-- not so where temporary files are limited.
SET mastering.work_mem = '4MB';
SELECT * FROM passes_differences(:'query', :'spec');
SELECT phase, regexp_replace(facts, '[1-9][0-9]* kB', 'N kB') FROM mastering.last_run() WHERE phase = 'dealt';
SET temp_file_limit = '1GB';
SELECT * FROM passes_differences(:'shuffled', :'spec');
SELECT phase, facts FROM mastering.last_run() WHERE phase = 'dealt';
RESET temp_file_limit;
-- The same in memory, in another order.
SET mastering.work_mem = '1GB';
SELECT * FROM passes_differences(:'shuffled', :'spec');
SET mastering.work_mem = '1MB';

-- With a model; ids that are numbers come back as what they are.
SELECT model AS model FROM passes_model \gset
CREATE TABLE passes_numbers AS SELECT * FROM mastering.match_clusters_as(NULL::int, 'SELECT number AS id, name, city, born, amount, country, note FROM passes_record', :'model');
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
SET mastering.work_mem = '1GB';
CREATE TABLE passes_numbers_memory AS SELECT * FROM mastering.match_clusters_as(NULL::int, 'SELECT number AS id, name, city, born, amount, country, note FROM passes_record', :'model');
SELECT count(*) FROM passes_numbers_memory AS a FULL JOIN passes_numbers AS b USING (id)
WHERE a.cluster_id IS DISTINCT FROM b.cluster_id OR a.size IS DISTINCT FROM b.size OR a.weakest_link IS DISTINCT FROM b.weakest_link;
SET mastering.work_mem = '1MB';

-- Keys of countries are divided by letters, those of notes are not (too many of their records have no name): what that
-- leaves out is said in passes as in memory.
SET client_min_messages = warning;
SELECT count(*) FROM mastering.match_clusters(:'query', :'model');
-- An id that comes twice is found although both records are in files.
SELECT count(*) FROM mastering.match_clusters('SELECT id, name, city, born, amount, country, note FROM passes_record UNION ALL SELECT id, name, city, born, amount, country, note FROM passes_record WHERE number = 777', :'model');
SELECT count(*) FROM mastering.match_clusters('SELECT number AS id, name, city, born, amount, country, note FROM passes_record UNION ALL SELECT number, name, city, born, amount, country, note FROM passes_record WHERE number = 778', :'model');
-- The limit of temporary files holds.
SET temp_file_limit = '1MB';
SELECT count(*) FROM mastering.match_clusters(:'query', :'model');
RESET temp_file_limit;
-- Nothing but missing values.
SELECT count(*), count(DISTINCT cluster_id) FROM mastering.match_clusters('SELECT number AS id, NULL::text AS name, NULL::text AS city, NULL::text AS born, NULL::text AS amount, NULL::text AS country, NULL::text AS note FROM passes_record', :'model');
-- With sources, a model is needed that says which of them hold each thing once.
\set sources 'SELECT id, (ARRAY[''crm'', ''shop'', ''till''])[1 + passes_pick(number * 47, 3)] AS source, name, city, born, amount, country, note FROM passes_record'
SET client_min_messages = error;
SET mastering.work_mem = '1GB';
SELECT mastering.train_model(:'sources', :'spec') AS source_model \gset
CREATE TABLE passes_sources AS SELECT * FROM mastering.match_clusters(:'sources', :'source_model', labels => 'SELECT NULL AS id_a, NULL AS id_b, true AS is_match WHERE false');
SET mastering.work_mem = '1MB';
CREATE TABLE passes_sources_again AS SELECT * FROM mastering.match_clusters(:'sources', :'source_model', labels => 'SELECT NULL AS id_a, NULL AS id_b, true AS is_match WHERE false');
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
SELECT count(*) AS other FROM (TABLE passes_sources EXCEPT TABLE passes_sources_again) AS x;
DROP TABLE passes_sources, passes_sources_again;
-- Without one, or with labels, it is done in memory; when it is more than was allowed, that is said.
SET client_min_messages = warning;
SELECT count(*) FROM mastering.dedupe(:'sources', '{"blocking": ["name", ["city", "born"]], "comparisons": ["name", "city", "note"]}');
-- What fits stays in memory, whatever is said of how many different values a table has.
CREATE TABLE passes_few AS SELECT n AS id, 'name ' || n % 50 AS name, 'city ' || n % 70 AS city, 'street ' || n % 90 AS street, 'code ' || n % 30 AS code FROM generate_series(1, 20000) AS n;
ALTER TABLE passes_few ALTER name SET (n_distinct = -1), ALTER city SET (n_distinct = -1), ALTER street SET (n_distinct = -1), ALTER code SET (n_distinct = -1);
ANALYZE passes_few;
SET mastering.work_mem = '6MB';
SET client_min_messages = error;
SELECT count(*) > 0 AS clusters FROM mastering.dedupe('SELECT * FROM passes_few', '{"blocking": [["name", "city", "street", "code"]], "comparisons": ["name", "city", "street", "code"]}');
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
DROP TABLE passes_few;
DROP TABLE passes_record, passes_in_memory, passes_model, passes_numbers, passes_numbers_memory;
DROP FUNCTION passes_differences, passes_pick;
-- What finds the values that are weighed by how often they come is made in each pass, and gone after it.
SET client_min_messages = error;
SET mastering.work_mem = '1MB';
CREATE TABLE passes_frequent AS SELECT n AS id, 'brand ' || n % 4000 AS brand, 'name ' || n / 2 AS name, repeat(md5('note' || n), 8) AS note FROM generate_series(1, 18000) AS n;
SELECT count(*) AS trained FROM mastering.train_model('SELECT * FROM passes_frequent', '{"blocking": ["name", "brand"], "comparisons": [{"column": "brand", "method": "exact", "term_frequency": true}, {"column": "name", "method": "exact"}, {"column": "note", "method": "exact"}]}');
SELECT max(memory_mb) - min(memory_mb) < 5 AS little_memory FROM mastering.last_run() WHERE phase = 'pairs' AND EXISTS (SELECT FROM mastering.last_run() WHERE phase = 'spill');
DROP TABLE passes_frequent;

-- Arrays of records and values double; what nobody has touched of them takes no memory, and is no reason for files.
CREATE TABLE passes_untouched AS SELECT g AS id, md5(g::text) AS a, g % 1000 AS b, g % 77 AS c, g % 13 AS d FROM generate_series(1, 140000) AS g;
SET mastering.work_mem = '40MB';
SELECT count(*) AS records FROM mastering.dedupe('SELECT * FROM passes_untouched', '{"blocking": ["a"], "threshold": 0.9, "comparisons": [{"column": "a", "method": "exact"}, {"column": "b", "method": "exact"}, {"column": "c", "method": "exact"}, {"column": "d", "method": "exact"}]}');
SELECT max(memory_mb) <= 40 AS fits, count(*) FILTER (WHERE phase = 'spill') AS spills FROM mastering.last_run();
RESET mastering.work_mem;
DROP TABLE passes_untouched;

-- When a run goes into files, and how much at a time, is nothing that threads race for.
CREATE TABLE passes_when AS SELECT g AS id, md5(g::text) AS a, md5((g * 7)::text) AS b, md5((g * 3)::text) AS c FROM generate_series(1, 20000) AS g;
CREATE FUNCTION passes_spilled(query text, threads int, memory text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('mastering.threads', threads::text, true), set_config('mastering.work_mem', memory, true);
    PERFORM FROM mastering.match_clusters(query, '{"prior": 0.001, "threshold": 0.5, "blocking": ["a"], "comparisons": [{"column": "b", "method": "exact", "trained": [{"weight": 8}, {"weight": -4}]},
        {"column": "c", "method": "exact", "trained": [{"weight": 8}, {"weight": -4}]}]}');
    RETURN coalesce((SELECT facts FROM mastering.last_run() WHERE phase = 'spill'), 'none');
END $$;
SELECT query, count(*) AS memories, bool_and(same) AS same FROM (SELECT query, memory, count(DISTINCT passes_spilled(query, threads, memory)) = 1 AS same
    FROM unnest(ARRAY['SELECT * FROM passes_when', 'SELECT * FROM passes_when WHERE id > 0']) AS query, unnest(ARRAY['2384kB', '2557kB', '2730kB', '2903kB', '5152kB']) AS memory,
        unnest(ARRAY[1, 2, 3]) AS threads GROUP BY query, memory) AS runs GROUP BY query ORDER BY query;
DROP FUNCTION passes_spilled;
DROP TABLE passes_when;
