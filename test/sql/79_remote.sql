-- Environments in another database of this server: made, planned, promoted, rolled back from here; and what is refused.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = mastering, public;
CREATE SCHEMA input79;
CREATE TABLE input79.crm AS SELECT i AS id, 'Person ' || i AS name, 'p' || i || '@example.org' AS email FROM generate_series(1, 20) i;
SELECT create_environment('r_test');
SELECT define_entity('r_test', 'person', '{"name": "text", "email": "text"}');
SELECT map_source('r_test', 'person', 'crm', 'input79.crm', 'id');
SELECT set_blocking('r_test', 'person', '[{"keys": ["email"]}]');

-- Nothing is there yet: no dblink, no server, no right, no mapping, nobody there, no extension there, nobody else there.
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
CREATE SCHEMA "links 79";
CREATE EXTENSION dblink SCHEMA "links 79";
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
CREATE ROLE regress_r_admin;
DO $$ BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_r_admin', current_database());
    EXECUTE format('CREATE SERVER "r other" FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host %L, port %L, dbname ''mastering_r other'')', btrim(btrim(split_part(current_setting('unix_socket_directories'), ',', 1), ' "'), '"'), current_setting('port'));
    EXECUTE format('CREATE SERVER "r self" FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host %L, port %L, dbname %L)', btrim(btrim(split_part(current_setting('unix_socket_directories'), ',', 1), ' "'), '"'), current_setting('port'), current_database());
    EXECUTE format('CREATE SERVER "r nobody" FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host ''/nowhere/at/all'', dbname ''x'')');
END $$;
SELECT grant_role('r_test', 'admin', 'regress_r_admin');
SET ROLE regress_r_admin;
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER "r other" TO regress_r_admin;
SET ROLE regress_r_admin;
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
RESET ROLE;
CREATE USER MAPPING FOR regress_r_admin SERVER "r other";
SET ROLE regress_r_admin;
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
RESET ROLE;
GRANT USAGE ON SCHEMA "links 79" TO regress_r_admin;
CREATE DATABASE "mastering_r other" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE USER MAPPING FOR CURRENT_USER SERVER "r other";
CREATE USER MAPPING FOR CURRENT_USER SERVER "r self";
CREATE USER MAPPING FOR CURRENT_USER SERVER "r nobody";
\set VERBOSITY sqlstate
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r nobody');
SET ROLE regress_r_admin;
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');    -- no password
RESET ROLE;
\set VERBOSITY default
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r self');
SELECT create_environment('r_prod', promotes_from => 'nowhere', server => 'r other');
SELECT create_environment('r_prod', name_there => 'prod');
SELECT count(*) FROM environments WHERE name = 'r_prod';
SELECT "links 79".dblink_get_connections();

SELECT current_database() AS here \gset
\c "mastering_r other"
SET client_min_messages = warning;
CREATE EXTENSION mastering;
CREATE SCHEMA input79;
CREATE TABLE input79.crm AS SELECT i AS id, 'Somebody ' || i AS name, 's' || i || '@example.org' AS email FROM generate_series(1, 30) i;
SELECT mastering.create_environment('taken');
SELECT mastering.create_environment('own');
SELECT mastering.create_environment('below'), mastering.create_environment('above', 'below');
\c :here
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = mastering, public;
SELECT create_environment(NULL, promotes_from => 'r_test', server => 'r other');
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other', name_there => 'above');    -- has a stage before it
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other', name_there => 'bad@name');
SELECT count(*) FROM environments WHERE name = 'r_prod';
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other', name_there => 'Prod "Ü"');
SELECT create_environment('r_prod', promotes_from => 'r_test', server => 'r other');
SELECT environment, server, name_there, database_there, direction FROM remote_environments;
SELECT create_environment('own');
SELECT create_environment('r_own', promotes_from => 'own', server => 'r other');
SELECT source_there = 'own_of_' || current_database() AS stands_beside FROM mastering.stand_in WHERE environment = 'r_own';
SELECT promote('own', 'r_own') > 0 AS promoted;
SELECT drop_environment('r_own');
SELECT create_environment('r_own', promotes_from => 'own', server => 'r other');    -- finds it again
SELECT set_pipeline('own', 'nightly', '{"steps": []}');
SELECT promote('own', 'r_own') > 0 AS promoted;
SELECT * FROM diff('own', 'r_own');
SELECT drop_environment('r_own'), drop_environment('own');
SELECT create_environment('r_beyond', promotes_from => 'r_prod', server => 'r other');

-- The same calls.
SELECT action, subject, regexp_replace(detail, 'bundle [0-9a-f]{12}', 'bundle #') AS detail, blocked FROM plan('r_test', 'r_prod') WHERE action <> 'compare';
SELECT promote('r_test', 'r_prod', 'no model yet') > 0 AS promoted;
SELECT subject, state, regexp_replace(detail, '[0-9a-f]{12}', '#') AS detail FROM remote_status('r_prod') WHERE subject IN ('connection') OR subject LIKE 'release%';
SELECT kind, source, target, state, message, error FROM remote_releases WHERE target = 'r_prod';
SELECT e.name, e.promotes_from, e.entities, e.head = s.head AS head_there FROM environments e JOIN remote_environments s ON s.environment = e.name;
SELECT kind, source, target, state, jsonb_array_length(changes) AS changes FROM releases WHERE target = 'r_prod';
SELECT action, detail ? 'release_id' AS tells_release FROM audit_log WHERE environment = 'r_prod' ORDER BY seq;
SELECT * FROM verify_audit('r_prod');
SELECT * FROM diff('r_test', 'r_prod');
SELECT set_survivorship('r_test', 'person', '{"default": "longest"}');
SELECT path, change, before, after FROM diff('r_prod', 'r_test');
SELECT promote('r_test', 'r_prod', 'rules') AS second \gset
SELECT promote('r_test', 'r_prod', 'nothing new') > :second AS promoted;
SELECT rollback('r_prod', reason => 'once') > 0 AS back;
SELECT rollback('r_prod', to_state => 'r_prod~9');
SELECT rollback('r_prod', what => 'everything');
SELECT state, message FROM releases WHERE target = 'r_prod' ORDER BY release_id;
SELECT rollback('r_prod', reason => 'twice') > 0 AS back;
SELECT promote('r_test', 'r_prod', 'held') > 0 AS promoted;
SELECT release_hold('r_prod', 4711);
SELECT release_hold('r_prod', :second);
SELECT promote('r_test', 'r_prod', 'released') > 0 AS promoted;
SELECT promote('r_test', 'r_prod', what => 'all');
SELECT promote('r_test', 'r_prod', expected_head => '00000000');
SELECT promote('r_prod', 'r_test');
SELECT promote('r_nowhere', 'r_prod');
SELECT * FROM plan('r_nowhere', 'r_prod');
SELECT * FROM remote_status('r_test');
SELECT * FROM remote_status('r_nowhere');

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT promote('r_test', 'r_prod');
ROLLBACK;

-- A conflict: both sides changed the same artifact.
\c "mastering_r other"
SET client_min_messages = warning;
SELECT mastering.set_survivorship('Prod "Ü"', 'person', '{"default": "most_recent", "recency": "email"}');
\c :here
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = mastering, public;
SELECT set_survivorship('r_test', 'person', '{"default": "shortest"}');
SELECT promote('r_test', 'r_prod');
SELECT path, reason, ours, theirs FROM merge_conflicts('r_test', 'r_prod');
SELECT promote('r_test', 'r_prod', resolve => '{"entity/person/survivorship": "theirs"}') > 0 AS promoted;
SELECT * FROM diff('r_test', 'r_prod');

-- What a stand-in does not do.
SELECT set_clustering('r_prod', 'person', '{"threshold": 0.5}');
SELECT * FROM load('r_prod', 'person');
SELECT master('r_prod', 'person');
SELECT snapshot('r_prod');
SELECT set_policy('r_prod', 'stage', 'production');
SELECT propose('r_test', 'r_prod');
SELECT * FROM import_config('r_prod', export_config('r_test'));
SELECT restore('r_prod', 'r_prod');

-- Who may: an admin of it, with a right on the server and a mapping of one's own.
SET ROLE regress_r_admin;
SELECT promote('r_test', 'r_prod');
SELECT * FROM plan('r_test', 'r_prod');
SELECT rollback('r_prod');
SELECT * FROM remote_status('r_prod');
SELECT count(*) FROM remote_environments;
SELECT count(*) FROM remote_releases;
RESET ROLE;
SELECT grant_role('r_prod', 'reviewer', 'regress_r_admin');
\set VERBOSITY sqlstate
SET ROLE regress_r_admin;
SELECT * FROM plan('r_test', 'r_prod');    -- no password
\set VERBOSITY default
SELECT promote('r_test', 'r_prod');
SELECT accept_differences('r_prod', 'why not');
SELECT mastering.dblink_call('dblink_connect', ARRAY['x', 'r other']);
SELECT mastering.remote_connect(NULL);
SELECT mastering.send_release('promotion', 'r_test', 'r_prod', NULL, '{}');
SELECT mastering.write_remote('{}');
SELECT mastering.take_bundle('r_prod', '{}');
SELECT mastering.local_promote('r_test', 'r_prod', NULL, 'auto', false, NULL, NULL);
RESET ROLE;
SELECT accept_differences('r_prod', ' ');
SELECT accept_differences('r_test', 'why not');
SELECT accept_differences('r_prod', 'nothing differs');

-- Another version there.
\c "mastering_r other"
SET client_min_messages = warning;
CREATE OR REPLACE FUNCTION mastering.engine_revision() RETURNS text LANGUAGE sql STABLE AS $$ SELECT '99' $$;
\c :here
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = mastering, public;
SELECT subject, regexp_replace(detail, '^.* here', '# here') AS detail, blocked FROM plan('r_test', 'r_prod') WHERE action = 'compare' AND subject = 'engine';
\set VERBOSITY terse
SELECT promote('r_test', 'r_prod');
\set VERBOSITY default
SELECT a -> 'engine' -> 1 AS there, a - 'engine' AS others FROM accept_differences('r_prod', 'a trial') a;
SELECT subject, blocked, detail LIKE '%; accepted: a trial' AS told FROM plan('r_test', 'r_prod') WHERE action = 'compare' AND subject = 'engine';
SELECT promote('r_test', 'r_prod', 'to another version') > 0 AS promoted;
SELECT subject, state FROM remote_status('r_prod') WHERE detail LIKE 'engine%';

-- From there to here; the database there has environments of the names of ours.
SELECT create_environment('taken', server => 'r other');
SELECT create_environment('r_copy', promotes_from => 'taken');
\set VERBOSITY terse
SELECT promote('taken', 'r_copy');
SELECT accept_differences('taken', 'a trial') <> '{}' AS accepted;
\set VERBOSITY default
SELECT promote('taken', 'r_copy') > 0 AS promoted;
SELECT set_pipeline('taken', 'x', '{"steps": []}');
\c "mastering_r other"
SET client_min_messages = warning;
SELECT mastering.set_pipeline('taken', 'nightly', '{"steps": []}');
\c :here
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = mastering, public;
SELECT step, action, subject, detail FROM plan('taken', 'r_copy');
SELECT promote('taken', 'r_copy') > 0 AS promoted;
SELECT export_config('r_copy') #> '{artifacts}' AS artifacts;

-- The server is dropped, or its name is that of a connection string; then all is dropped.
DROP SERVER "r other" CASCADE;
SELECT promote('r_test', 'r_prod');
SELECT subject, state FROM remote_status('r_prod');
CREATE SERVER "dbname=postgres" FOREIGN DATA WRAPPER dblink_fdw;
\set VERBOSITY sqlstate
SELECT create_environment('r_string', server => 'dbname=postgres');    -- no mapping, and no connection either
\set VERBOSITY default
SELECT "links 79".dblink_get_connections();
SET client_min_messages = notice;
SELECT drop_environment('r_copy'), drop_environment('taken');
SELECT drop_environment('r_prod');
SET client_min_messages = warning;
SELECT drop_environment('r_test');
DROP SERVER "r self" CASCADE;
DROP SERVER "r nobody" CASCADE;
DROP SERVER "dbname=postgres" CASCADE;
DROP EXTENSION dblink;
DROP SCHEMA "links 79";
DROP SCHEMA input79 CASCADE;
DROP DATABASE "mastering_r other";
DROP OWNED BY regress_r_admin;
DROP ROLE regress_r_admin;
