-- run_full.sql: one run with the rules and the memory given, and what its phases took. Used by bench_full.sh.
SELECT format('{"blocking": [%s], "comparisons": [{"column":"first_name","levels":[0.92,0.8],"term_frequency":true},{"column":"surname","levels":[0.92,0.8],"term_frequency":true},{"column":"dob","method":"levenshtein_distance","levels":[1,2]},{"column":"city","method":"exact","term_frequency":true},{"column":"postcode","method":"levenshtein_distance","levels":[1,2]},{"column":"email","levels":[0.88]}]}', :'rules') AS spec \gset
SET client_min_messages = warning;
DROP TABLE IF EXISTS clusters;
SET mastering.work_mem = :'work_mem';
SELECT clock_timestamp() AS start \gset
CREATE TABLE clusters (id bigint, cluster_id bigint);
SELECT mastering.dedupe_into('clusters', 'SELECT unique_id AS id, first_name, surname, dob, city, postcode, email FROM person', :'spec') AS records \gset
SELECT '  total', round(extract(epoch FROM clock_timestamp() - :'start'::timestamptz)::numeric, 2), 's, highest memory of the process',
    (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::bigint / 1024, 'MiB';
SELECT '  ' || phase, facts, round(milliseconds), 'ms,', round(processor_milliseconds), 'ms of processor time,', memory_mb, 'MB' FROM mastering.last_run() ORDER BY step;
\if :quality
SELECT '  ' || metric, round(value::numeric, 4) FROM mastering.evaluate_clusters('SELECT * FROM clusters', 'SELECT unique_id AS id, cluster AS entity_id FROM person') WHERE metric LIKE 'pair\_%';
\endif
