-- master.sql: sets up an environment with the persons, then runs it once with every longer statement reported.
SET client_min_messages = warning;
ANALYZE person;
SELECT mastering.create_environment('dev'),
    mastering.define_entity('dev', 'person', '{"first_name": "text", "surname": "text", "dob": "text", "city": "text", "postcode": "text", "email": "text"}'),
    mastering.map_source('dev', 'person', 'people', 'public.person', 'unique_id'),
    mastering.set_blocking('dev', 'person', '[["first_name","surname"],["surname","city"],["dob","city"],["surname","dob"],["first_name","dob"],["postcode","surname"],["postcode","dob"],["email"]]'),
    mastering.set_comparisons('dev', 'person', '[{"column":"first_name","levels":[0.92,0.8],"term_frequency":true},{"column":"surname","levels":[0.92,0.8],"term_frequency":true},{"column":"dob","method":"levenshtein_distance","levels":[1,2]},{"column":"city","method":"exact","term_frequency":true},{"column":"postcode","method":"levenshtein_distance","levels":[1,2]},{"column":"email","levels":[0.88]}]')
\g /dev/null
SET mastering.work_mem = '1GB';
SELECT mastering.load('dev', 'person') \g /dev/null
SELECT mastering.train('dev', 'person') \g /dev/null
CREATE TEMP TABLE used AS SELECT clock_timestamp() AS at, string_to_array(pg_read_file('/proc/self/stat'), ' ') AS stat;
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 100;
SET auto_explain.log_nested_statements = on;
SET client_min_messages = log;
SELECT 'run ' || mastering.master('dev', 'person')::text;
SET client_min_messages = warning;
SELECT format(E'wall %s s\nprocessor %s s user, %s s system', round(extract(epoch FROM clock_timestamp() - u.at)::numeric, 1),
    (n.stat[14]::int - u.stat[14]::int) / 100.0, (n.stat[15]::int - u.stat[15]::int) / 100.0)
FROM used AS u, (SELECT string_to_array(pg_read_file('/proc/self/stat'), ' ') AS stat) AS n;
