-- Sources on other servers: their secrets are in user mappings and nowhere else; a new source must have been below.
-- In a database of its own, which is also the other server.
SELECT current_database() AS home \gset
CREATE DATABASE secrets;
\c secrets
CREATE EXTENSION mastering;
CREATE EXTENSION postgres_fdw;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE x_owner; CREATE ROLE x_author;
CREATE SCHEMA far; CREATE SCHEMA near;
CREATE TABLE far.people AS SELECT i AS id, 'name ' || i % 20 AS name, 'mail' || i % 20 AS email FROM generate_series(1, 40) i;
DO $$ BEGIN
    EXECUTE format('CREATE SERVER crm_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)', btrim(split_part(current_setting('unix_socket_directories'), ',', 1), '"'), current_setting('port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR x_owner SERVER crm_server OPTIONS (user %L, password %L, password_required ''false'')', session_user, 'Sesame-4711');
END $$;
CREATE FOREIGN TABLE near.people (id int, name text, email text) SERVER crm_server OPTIONS (schema_name 'far', table_name 'people');
GRANT USAGE ON SCHEMA near TO x_owner; GRANT SELECT ON near.people TO x_owner;
SET search_path = mastering, pg_catalog;
SELECT create_environment('dev', owner => 'x_owner'), create_environment('prod', 'dev', 'x_owner'), grant_role('dev', 'author', 'x_author');
SET ROLE x_author;    -- who has no user mapping and does not need one
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text"}'), map_source('dev', 'person', 'crm', 'near.people', 'id'),
    set_blocking('dev', 'person', '["email"]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT change, total FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained, master('dev', 'person') -> 'records' AS records;
SELECT export_config('dev') -> 'bindings' AS bindings;
RESET ROLE;
SELECT promote('dev', 'prod') AS release \gset
SELECT snapshot('prod') IS NOT NULL AS frozen;
-- A load that fails on the other server says so without telling how it logs in.
ALTER USER MAPPING FOR x_owner SERVER crm_server OPTIONS (SET user 'nobody_there');
\set VERBOSITY terse
SELECT count(*) FROM load('prod', 'person');
\set VERBOSITY default
DO $$ BEGIN EXECUTE format('ALTER USER MAPPING FOR x_owner SERVER crm_server OPTIONS (SET user %L)', session_user); END $$;
-- Nothing that is stored, exported or shown has it.
CREATE TEMP TABLE said AS
SELECT 'export' AS place, config_text(export_config('dev')) AS text UNION ALL SELECT 'plan', string_agg(p::text, ' ') FROM plan('dev', 'prod') p UNION ALL SELECT 'document', release_document(:release) UNION ALL SELECT 'page', release_document(:release, 'html')
UNION ALL SELECT 'release plan', string_agg(p::text, ' ') FROM release_plan(:release) p UNION ALL SELECT 'drift', string_agg(d::text, ' ') FROM drift('prod') d UNION ALL SELECT 'bundle', export_bundle('dev')::text UNION ALL SELECT 'loading', string_agg(l::text, ' ') FROM loading('dev') l;
DO $$
DECLARE
    item record;
    hits bigint;
BEGIN
    FOR item IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v') AND (n.nspname IN ('mastering', 'dev', 'prod', 'dev_next', 'prod_next') OR c.oid = 'pg_temp.said'::regclass) LOOP
        EXECUTE format('SELECT count(*) FROM %s t WHERE t::text ~* ''sesame''', item.name) INTO hits;
        IF hits > 0 THEN
            RAISE WARNING '% has the password', item.name;
        END IF;
    END LOOP;
END $$;
SELECT count(*) AS looked_at, count(*) FILTER (WHERE text ~ 'near.people|person') AS about_it FROM said;
-- The search would find it: the user mapping has it.
SELECT count(*) AS mappings FROM pg_user_mapping WHERE umoptions::text ~ 'Sesame';

-- A new source in Prod must have been loaded and run below.
SELECT set_policy('prod', 'stage', 'production');
CREATE TABLE near.shop AS SELECT 100 + i AS id, 'name ' || i AS name, 'mail' || i AS email FROM generate_series(1, 9) i;
GRANT SELECT ON near.shop TO x_owner;
SELECT map_source('dev', 'person', 'shop', 'near.shop', 'id');
SELECT promote('dev', 'prod');
SELECT change FROM load('dev', 'person', 'shop');
SELECT promote('dev', 'prod');
SELECT master('dev', 'person') -> 'records' AS records;
SELECT promote('dev', 'prod') > 0 AS promoted;
-- Or somebody says why not.
CREATE TABLE near.fair AS SELECT 200 + i AS id, 'name ' || i AS name, 'mail' || i AS email FROM generate_series(1, 3) i;
GRANT SELECT ON near.fair TO x_owner;
SELECT map_source('dev', 'person', 'fair', 'near.fair', 'id');
SELECT override_policy('prod', 'new_source', 'the fair is tomorrow') IS NOT NULL AS excepted;
SELECT promote('dev', 'prod') > 0 AS promoted;
SELECT detail ->> 'policy' AS policy, detail ->> 'source' AS source, detail ->> 'reason' AS reason FROM audit_log WHERE environment = 'prod' AND action = 'policy overridden';
SELECT set_policy('prod', 'new_source', 'maybe');
\c :home
DROP DATABASE secrets;
DROP ROLE x_owner; DROP ROLE x_author;
