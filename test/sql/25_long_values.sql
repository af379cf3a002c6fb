-- Texts of 64,000 bytes, which lie outside their pages: what is read of them at once is bounded by mastering.work_mem, however many fit
-- into some pages; by the table's pages and through the executor.
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE TABLE long_values AS
SELECT no AS id, 'name ' || no % 2000 AS name, (SELECT repeat(string_agg(md5((no % 2000 * 100 + i)::text), ' '), 32) FROM generate_series(1, 61) AS i) AS body FROM generate_series(1, 4000) AS no;
SELECT min(length(body)) AS characters, pg_relation_size(reltoastrelid) > 0 AS outside FROM long_values, pg_class WHERE oid = 'long_values'::regclass GROUP BY reltoastrelid;
SELECT mastering.train_model('SELECT id, name, body FROM long_values WHERE id % 2000 < 50', '{"blocking": ["name"], "comparisons": [{"column": "body", "method": "exact"}]}') AS model \gset
CREATE FUNCTION long_values_clusters(condition text, model jsonb) RETURNS TABLE (clusters bigint, content text) LANGUAGE sql AS $$
    SELECT count(DISTINCT cluster_id), md5(string_agg(concat_ws(',', id, cluster_id, weakest_link), ';' ORDER BY id))
    FROM mastering.match_clusters('SELECT id, name, body FROM long_values' || condition, model)
$$;
-- What the process has of its own, at its most; less is shared than at the end.
CREATE FUNCTION long_values_megabytes() RETURNS int LANGUAGE sql AS $$
    SELECT (substring(status FROM 'VmHWM:\s+(\d+)')::int - substring(status FROM 'RssShmem:\s+(\d+)')::int) / 1024 FROM pg_read_file('/proc/self/status') AS status
$$;
\c -
SET client_min_messages = error;
SET mastering.work_mem = '16MB';
SELECT clusters, content AS by_pages FROM long_values_clusters('', :'model') \gset
SELECT :clusters AS clusters, long_values_megabytes() < 100 AS little;
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
\c -
SET client_min_messages = error;
SET mastering.work_mem = '16MB';
SELECT content = :'by_pages' AS same, long_values_megabytes() < 100 AS little FROM long_values_clusters(' WHERE id > 0', :'model');
-- Random pairs name each record many times: of those that are drawn there is one copy in files, not one for each part of the pairs.
SET temp_file_limit = '48MB';
SELECT md5(mastering.train_model('SELECT id, name, body FROM long_values', '{"blocking": ["name"], "comparisons": [{"column": "body", "method": "exact"}]}')::text) AS in_passes \gset
SELECT pg_size_bytes(substring(facts FROM 'in ([0-9]+ kB)')) > 15 * 1024 * 1024 AS spilt FROM mastering.last_run() WHERE phase = 'spill';
RESET temp_file_limit;
SET mastering.work_mem = '1GB';
SELECT md5(mastering.train_model('SELECT id, name, body FROM long_values', '{"blocking": ["name"], "comparisons": [{"column": "body", "method": "exact"}]}')::text) = :'in_passes' AS same_model;
SELECT content = :'by_pages' AS same FROM long_values_clusters('', :'model');
DROP TABLE long_values;
DROP FUNCTION long_values_clusters, long_values_megabytes;
