-- 24_progress.sql: what a session's last run did; how far runs are is seen where the library is preloaded
-- (test/t/010_progress.pl).
CREATE TABLE progress_people AS
SELECT g AS id, 'name' || g % 50 AS name, 'city' || g % 7 AS city FROM generate_series(1, 400) AS g;
\set spec '{"blocking": ["name", "city"], "comparisons": [{"column": "name"}, {"column": "city", "method": "exact"}]}'
SELECT count(*) FROM mastering.last_run();
SELECT count(*) FROM mastering.dedupe('SELECT * FROM progress_people', :'spec');
SELECT step, phase, facts FROM mastering.last_run() WHERE phase IN ('read', 'pairs', 'result') ORDER BY step;
SELECT count(*) > 5 AS phases, bool_and(milliseconds >= 0 AND processor_milliseconds >= 0 AND memory_mb >= 0) AS measured
FROM mastering.last_run();
-- What is seen of sources is said by their names.
SELECT count(*) FROM mastering.dedupe('SELECT *, CASE WHEN id % 2 = 0 THEN ''crm'' ELSE ''shop'' END AS source FROM progress_people', :'spec');
SELECT facts FROM mastering.last_run() WHERE phase = 'source' ORDER BY 1;
-- Of many sources it says how many there are, and what the run did after that.
CREATE TABLE progress_sources AS SELECT g AS id, 's' || g % 300 AS source, md5((g / 2)::text) AS name, 'city ' || g / 2 % 40 AS city FROM generate_series(1, 1500) AS g;
SELECT count(DISTINCT cluster_id) AS clusters FROM mastering.dedupe('SELECT * FROM progress_sources', '{"blocking": ["name"], "comparisons": [{"column": "name", "method": "exact"}, {"column": "city", "method": "exact"}]}');
SELECT phase, facts FROM mastering.last_run() WHERE phase IN ('source', 'result') ORDER BY step;
-- Labels make it look at sources many times over: however much there is to tell, the end is told.
CREATE TABLE progress_labels AS SELECT g::text AS id_a, (g + 1)::text AS id_b, g % 2 = 0 AS is_match FROM generate_series(1, 600) AS g;
SELECT count(DISTINCT cluster_id) AS clusters FROM mastering.dedupe('SELECT id, ''s'' || id % 40 AS source, name, city FROM progress_sources', labels => 'SELECT * FROM progress_labels');
SELECT sum((regexp_match(facts, '^(\d+) looks'))[1]::int) FILTER (WHERE phase = 'tried source') > 256 AS many, count(*) = max(step) AS numbered, (array_agg(phase ORDER BY step DESC))[1] AS last,
    count(*) FILTER (WHERE phase = 'source') AS sources FROM mastering.last_run();
-- What was replaced is told in a row, however many sources were looked at.
SELECT count(*) AS in_a_row FROM (SELECT phase, lag(phase) OVER (ORDER BY step) AS before FROM mastering.last_run()) AS t WHERE phase = 'tried source' AND before = phase;
DROP TABLE progress_sources, progress_labels;
SELECT * FROM mastering.progress;
-- anybody may look
CREATE ROLE regress_progress;
SET ROLE regress_progress;
SELECT count(*) FROM mastering.progress;
RESET ROLE;
DROP ROLE regress_progress;

-- One thread, several, a little memory, another order: the same clusters and the same weights to the bit.
CREATE TABLE progress_records AS
SELECT g AS id, ('{anna,berta,carla,dora,emma,frida,greta,hanna}'::text[])[1 + g * 7 % 8] || CASE WHEN g % 11 = 0 THEN 'h' ELSE '' END AS first_name,
    'sur' || md5((g % 900)::text) AS surname, 'x' || g % 13 AS city, 1900 + g * 31 % 90 || '-0' || 1 + g % 9 AS born
FROM generate_series(1, 20000) AS g;
\set spec '{"blocking": [["surname"], ["first_name", "born"], ["city", "born"]], "comparisons": [{"column": "first_name", "levels": [0.92, 0.8], "term_frequency": true}, {"column": "surname", "levels": [0.9]}, {"column": "born", "method": "levenshtein_distance", "levels": [1, 2]}, {"column": "city", "method": "exact"}]}'
\set result 'SELECT md5(string_agg(id || \':\' || cluster_id || \':\' || size || \':\' || coalesce(weakest_link::text, \'\'), \',\' ORDER BY id::int)) AS result FROM mastering.dedupe'
SET mastering.threads = 1;
:result('SELECT * FROM progress_records', :'spec') \gset one_
SET mastering.threads = 2;
:result('SELECT * FROM progress_records', :'spec') \gset two_
SET mastering.threads = 7;
:result('SELECT * FROM progress_records ORDER BY md5(id::text)', :'spec') \gset shuffled_
SET mastering.work_mem = '1MB';
:result('SELECT * FROM progress_records ORDER BY id DESC', :'spec') \gset little_
SET mastering.work_mem = '10MB';
SELECT count(*) AS records FROM mastering.dedupe('SELECT * FROM progress_records', :'spec');
SELECT count(*) AS spills FROM mastering.last_run() WHERE phase = 'spill';
RESET mastering.work_mem;
RESET mastering.threads;
SELECT :'one_result' = :'two_result' AS two_threads, :'one_result' = :'shuffled_result' AS shuffled, :'one_result' = :'little_result' AS little_memory;
SELECT count(*), count(DISTINCT cluster_id) BETWEEN 2 AND 19999 AS clusters FROM mastering.dedupe('SELECT * FROM progress_records', :'spec');
DROP TABLE progress_people, progress_records;
