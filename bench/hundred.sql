-- hundred.sql: trains on a sample, clusters everything into a table, and says what the phases took. Used by hundred.sh.
SET search_path = public, mastering;
SET client_min_messages = warning;
SET mastering.work_mem = :'work_mem';
SELECT '{"blocking": [["first_name","surname","city"],["surname","dob"],["first_name","dob"],["postcode","dob"],["surname","city","postcode"],["first_name","surname","postcode"],"email"],
    "comparisons": [{"column":"first_name","levels":[0.92,0.8],"term_frequency":true},{"column":"surname","levels":[0.92,0.8],"term_frequency":true},{"column":"dob","method":"levenshtein_distance","levels":[1,2]},{"column":"city","method":"exact","term_frequency":true},{"column":"postcode","method":"levenshtein_distance","levels":[1,2]},{"column":"email","levels":[0.88]}]}' AS spec \gset
SELECT format('SELECT unique_id AS id, first_name, surname, dob, city, postcode, email FROM person TABLESAMPLE SYSTEM (%s) REPEATABLE (42)', :'sample') AS sample_query \gset
SELECT clock_timestamp() AS start \gset
SELECT train_model(:'sample_query', :'spec') AS model \gset
SELECT 'training', round(extract(epoch FROM clock_timestamp() - :'start'::timestamptz)::numeric, 1), 's';
SELECT '  ' || phase, facts, round(milliseconds), 'ms,', round(processor_milliseconds), 'ms of processor time,', memory_mb, 'MB' FROM last_run() ORDER BY step;
CREATE UNLOGGED TABLE clusters (id bigint, cluster_id bigint);
SELECT clock_timestamp() AS start \gset
SELECT 'records', dedupe_into('clusters', 'SELECT unique_id AS id, first_name, surname, dob, city, postcode, email FROM person', :'model');
SELECT 'clusters', round(extract(epoch FROM clock_timestamp() - :'start'::timestamptz)::numeric, 1), 's, highest memory of the process',
    (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::bigint / 1024, 'MiB';
SELECT '  ' || phase, facts, round(milliseconds), 'ms,', round(processor_milliseconds), 'ms of processor time,', memory_mb, 'MB' FROM last_run() ORDER BY step;
