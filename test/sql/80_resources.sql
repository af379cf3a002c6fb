-- The resource profile of an environment is a cap for whatever works long in it.
SELECT current_database() AS home \gset
CREATE DATABASE resources;
ALTER DATABASE resources SET work_mem = '4MB';
\c resources
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE w_owner;
CREATE TABLE crm AS SELECT i AS id, 'name ' || i % 60 AS name, 'mail' || i % 60 AS email FROM generate_series(1, 100) i;
GRANT SELECT ON crm TO w_owner;
SET search_path = mastering, public;
SELECT create_environment('dev', owner => 'w_owner'), create_environment('prod', 'dev', 'w_owner');
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text"}'), map_source('dev', 'person', 'crm', 'public.crm', 'id');
SELECT set_blocking('dev', 'person', '[{"keys": ["email"]}]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained, master('dev', 'person') IS NOT NULL AS run;
SELECT promote('dev', 'prod') > 0 AS promoted;
-- What a check sees of the settings says what was in force.
SELECT set_policy('dev', 'resources', '{"threads": 1, "memory": "11MB", "work_mem": "1MB", "statement_timeout": "40 min", "lock_timeout": "7 s"}');
SELECT add_check('dev', 'person', s, format('SELECT current_setting(''mastering.threads'') AS threads, current_setting(''mastering.work_mem'') AS memory, current_setting(''statement_timeout'') AS timeout, current_setting(''lock_timeout'') AS lock, %L AS stage', s), 'warn', s)
  FROM unnest('{load,run,promote}'::text[]) s;
UPDATE crm SET name = 'name' WHERE id = 7;
SELECT change FROM load('dev', 'person');
SELECT outcome FROM backfill('dev');
UPDATE crm SET name = 'other name' WHERE id = 7;
SELECT change FROM load('dev', 'person');
SELECT candidate('dev') ->> 'candidate' AS candidate, publish('dev') IS NOT NULL AS published;
SELECT DISTINCT stage, sample -> 0 -> 'threads' AS threads, sample -> 0 -> 'memory' AS memory, sample -> 0 -> 'timeout' AS timeout, sample -> 0 -> 'lock' AS lock FROM check_results WHERE environment = 'dev' ORDER BY stage;
SHOW mastering.threads;
SHOW statement_timeout;
-- Time runs out wherever there is work.
SELECT set_policy('dev', 'resources', '{"statement_timeout": "1 ms"}');
UPDATE crm SET name = 'another name' WHERE id = 8;
DO $$
DECLARE
    call text;
BEGIN
    FOREACH call IN ARRAY ARRAY['load(''dev'', ''person'')', 'master(''dev'', ''person'')', 'train(''dev'', ''person'')', 'backfill(''dev'')', 'candidate(''dev'')', 'compact(''dev'', everything => true)', 'sample_environment(''prod'', ''dev'', 10)',
                                'preview_survivorship(''dev'', ''person'', ''{}'')'] LOOP
        BEGIN
            EXECUTE 'SELECT count(*) FROM mastering.' || call;
            RAISE INFO '%: done', call;
        EXCEPTION WHEN query_canceled THEN
            RAISE INFO '%: %', call, SQLERRM;
        WHEN OTHERS THEN
            RAISE INFO '%: % %', call, SQLSTATE, SQLERRM;
        END;
    END LOOP;
END
$$;
-- Prod has no such limit.
SELECT outcome FROM backfill('prod');
\c :home
DROP DATABASE resources;
DROP ROLE w_owner;
