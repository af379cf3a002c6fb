-- run_person.sql: from the table to clusters in a table, training included; prints the seconds it took. The comparisons and blocking
-- rules are the peer's "person" rules.
\set spec '{"blocking": [["first_name","surname"],["surname","city"],["dob","city"],["surname","dob"],["first_name","dob"],["postcode","surname"],["postcode","dob"],"email"], "comparisons": [{"column":"first_name","levels":[0.92,0.8],"term_frequency":true},{"column":"surname","levels":[0.92,0.8],"term_frequency":true},{"column":"dob","method":"levenshtein_distance","levels":[1,2]},{"column":"city","method":"exact","term_frequency":true},{"column":"postcode","method":"levenshtein_distance","levels":[1,2]},{"column":"email","levels":[0.88]}]}'
DROP TABLE IF EXISTS clusters;
SET mastering.log_progress = on;
SET mastering.work_mem = '1GB';
SELECT clock_timestamp() AS start \gset
CREATE TABLE clusters (id bigint, cluster_id bigint);
SELECT mastering.dedupe_into('clusters', 'SELECT unique_id AS id, first_name, surname, dob, city, postcode, email FROM person', :'spec') AS records \gset
SELECT round(extract(epoch FROM clock_timestamp() - :'start'::timestamptz)::numeric, 2);
