-- Who may do what in an environment, whose rights SQL text runs with, and what injection gets.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE r_owner; CREATE ROLE r_admin; CREATE ROLE r_author; CREATE ROLE r_curator; CREATE ROLE r_reviewer; CREATE ROLE r_consumer; CREATE ROLE r_loader; CREATE ROLE r_none;
CREATE SCHEMA rights;
GRANT USAGE, CREATE ON SCHEMA rights TO r_owner, r_author;
CREATE TABLE rights.people AS SELECT i AS id, 'name ' || i % 30 AS name, 'mail' || i % 30 AS email FROM generate_series(1, 60) i;
CREATE TABLE rights.secret AS SELECT 1 AS id, 'hidden' AS name;
GRANT SELECT ON rights.people TO r_owner;
SET search_path = mastering, pg_catalog;

-- An environment belongs to a role; superusers' ones take SQL text from superusers only.
SET ROLE r_none;
SELECT create_environment('r1');
RESET ROLE;
SELECT create_environment('r1', owner => 'r_owner'), create_environment('r2', 'r1', owner => 'r_owner'), create_environment('rs');
SELECT create_environment('rx', owner => 'nobody at all');
SELECT grant_role(e, r, ('r_' || r)::name) FROM unnest(ARRAY['r1', 'r2', 'rs']) e, unnest(ARRAY['admin', 'author', 'curator', 'reviewer', 'consumer', 'loader']) r;
SELECT grant_role('r1', 'king', 'r_none');
SET ROLE r_author;
SELECT define_entity('rs', 'person', '{"name": "text"}');
SELECT define_entity('r1', 'person', '{"name": "text", "email": "text"}');
SELECT map_source('r1', 'person', 'p', 'rights.people', 'id');
SELECT map_source('r1', 'person', 'secret', 'rights.secret', 'id', '{"name": "name"}');
SELECT map_source('r1', 'person', 'p', 'rights.people', 'id', '{"name": "(SELECT s.name FROM rights.secret s)"}');

-- Nor does SQL text of others get into a superuser's environment by promotion.
RESET ROLE;
SELECT create_environment('rt', 'r1'), grant_role('rt', 'admin', 'r_admin');
SET ROLE r_admin;
SELECT promote('r1', 'rt');
RESET ROLE;
SELECT drop_environment('rt');
SET ROLE r_author;

-- A function that the mapping calls reads with the owner's rights, not with the author's, not with ours.
RESET ROLE;
CREATE FUNCTION rights.look() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT name FROM rights.secret); END $$;
CREATE FUNCTION rights.who() RETURNS text STABLE LANGUAGE sql AS $$ SELECT current_user::text $$;
-- Volatile ones hidden in a stable one.
CREATE FUNCTION rights.try(n int) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    CASE n
        WHEN 1 THEN CREATE TABLE rights.made ();
        WHEN 2 THEN INSERT INTO rights.people VALUES (-1);
        WHEN 3 THEN SET ROLE postgres;
        WHEN 4 THEN SET SESSION AUTHORIZATION DEFAULT;
        WHEN 5 THEN SET transaction_read_only = off;
        WHEN 6 THEN CREATE TEMP TABLE t ();
        WHEN 7 THEN PERFORM nextval('rights.number');
        WHEN 8 THEN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1';
        WHEN 9 THEN PERFORM set_config('role', 'postgres', false);
        WHEN 10 THEN PERFORM mastering.grant_role('r1', 'admin', 'r_none');
    END CASE;
    RETURN current_user;
END $$;
CREATE SEQUENCE rights.number;
GRANT USAGE ON SEQUENCE rights.number TO r_owner;
GRANT INSERT ON rights.people TO r_owner;
CREATE FUNCTION rights.hidden(n int) RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN rights.try(n); END $$;
SET ROLE r_author;
SELECT map_source('r1', 'person', 'p', 'rights.people', 'id', '{"name": "rights.look()"}');
SELECT count(*) FROM load('r1', 'person');
SELECT train('r1', 'person');
CREATE FUNCTION rights.outcome(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mastering.map_source('r1', 'person', 'p', 'rights.people', 'id', format('{"name": "rights.hidden(%s)"}', n)::json);
    PERFORM mastering.train('r1', 'person');
    RETURN 'went through';
EXCEPTION WHEN OTHERS THEN RETURN SQLERRM;
END $$;
SELECT n, rights.outcome(n) FROM generate_series(1, 10) n;
SELECT current_user, current_setting('transaction_read_only') AS read_only;
SELECT map_source('r1', 'person', 'p', 'rights.people', 'id', '{"name": "name || '' '' || rights.who()", "email": "email"}');
SELECT set_blocking('r1', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]');
SELECT set_comparisons('r1', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.9]}, {"column": "email", "method": "exact"}]');
SELECT train('r1', 'person') IS NOT NULL AS trained;
SELECT master('r1', 'person') ->> 'records' AS records;
SELECT DISTINCT substr(name, length(name) - 6) AS ran_as FROM r1.person;
SELECT add_check('r1', 'person', 'spy', 'SELECT * FROM rights.secret');
SELECT current_user;
RESET ROLE;
SELECT current_user, current_setting('transaction_read_only') AS read_only;
-- The check may not read what the environment's owner may not: promotion stops, and says why.
SELECT promote('r1', 'r2');
SELECT error FROM check_results WHERE check_name = 'spy' AND environment = 'r2';
SELECT add_check('r1', 'person', 'spy', 'SELECT 1 WHERE rights.who() <> ''r_owner''');
SELECT promote('r1', 'r2') > 0 AS promoted;
SELECT passed FROM check_results WHERE check_name = 'spy' AND environment = 'r2' ORDER BY checked_at;

-- The matrix: who gets past the door.
CREATE FUNCTION rights.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE call;
    RAISE EXCEPTION 'done' USING ERRCODE = 'P0099';
EXCEPTION
    WHEN insufficient_privilege THEN RETURN '-';
    WHEN SQLSTATE 'P0099' THEN RETURN 'yes';
    WHEN OTHERS THEN RETURN 'yes';
END $$;
GRANT USAGE ON SCHEMA rights TO PUBLIC;
CREATE TABLE rights.matrix (n serial, call text, role text, result text);
GRANT INSERT ON rights.matrix TO PUBLIC; GRANT USAGE ON SEQUENCE rights.matrix_n_seq TO PUBLIC;
CREATE TABLE rights.calls (n serial, call text);
SELECT propose('r1', 'r2') AS release \gset
INSERT INTO rights.calls (call) VALUES ($$SELECT mastering.define_entity('r1', 'x', '{"a": "text"}')$$), ($$SELECT mastering.map_source('r1', 'person', 'q', 'rights.people', 'id')$$),
    ($$SELECT mastering.bind_source('r1', 'person', 'p', 'rights.people')$$), ($$SELECT mastering.set_blocking('r1', 'person', '[]')$$), ($$SELECT mastering.set_comparisons('r1', 'person', '[]')$$),
    ($$SELECT mastering.set_clustering('r1', 'person', '{}')$$), ($$SELECT mastering.set_survivorship('r1', 'person', '{}')$$), ($$SELECT mastering.set_model('r1', 'person', '{}')$$),
    ($$SELECT mastering.add_check('r1', 'person', 'c', 'SELECT 1')$$), ($$SELECT mastering.drop_check('r1', 'person', 'spy')$$), ($$SELECT mastering.drop_source('r1', 'person', 'p')$$),
    ($$SELECT mastering.load('r1', 'person')$$), ($$SELECT mastering.train('r1', 'person')$$), ($$SELECT mastering.master('r1', 'person')$$), ($$SELECT mastering.snapshot('r1')$$),
    ($$SELECT mastering.diff('r1', 'r2')$$), ($$SELECT mastering.plan('r1', 'r2')$$), ($$SELECT mastering.propose('r1', 'r2')$$), ('SELECT mastering.prepare_release(' || :release || ')'), ('SELECT mastering.promote_release(' || :release || ')'),
    ($$SELECT mastering.promote('r1', 'r2')$$), ($$SELECT mastering.rollback('r2')$$), ($$SELECT mastering.release_hold('r2', 1)$$), ($$SELECT mastering.grant_role('r1', 'admin', 'r_none')$$),
    ($$SELECT mastering.revoke_role('r1', 'admin', 'r_admin')$$), ($$SELECT mastering.alter_environment('r1', 'r_none')$$), ($$SELECT mastering.drop_environment('r2')$$), ($$SELECT mastering.create_environment('r9')$$),
    ($$SELECT 1/count(*) FROM mastering.environments WHERE name = 'r1'$$), ($$SELECT * FROM r1.person$$), ($$SELECT * FROM r1.person_records$$), ($$SELECT * FROM r1.person_lineage$$), ($$SELECT * FROM r2_next.person$$),
    ($$SELECT * FROM mastering.head$$), ($$SELECT * FROM mastering.segment$$), ($$SELECT * FROM mastering.audit_entry$$), ($$SELECT mastering.do_promote('r1', 'r2', NULL, 'auto', false, NULL, NULL)$$),
    ($$SELECT mastering.set_head('r1', '{}')$$), ($$SELECT * FROM mastering.query_as('postgres', 'SELECT 1', 'public', true) AS t (a int)$$), ($$SELECT mastering.record_outside('{}')$$), ($$SELECT mastering.write_failure('{}')$$);
GRANT SELECT ON rights.calls TO PUBLIC;
\set ON_ERROR_STOP 0
SELECT format('SET ROLE %I; INSERT INTO rights.matrix (call, role, result) SELECT call, %L, rights.attempt(call) FROM rights.calls ORDER BY n; RESET ROLE;', 'r_' || r, r)
  FROM unnest(ARRAY['owner', 'admin', 'author', 'curator', 'reviewer', 'consumer', 'loader', 'none']) r \gexec
SELECT regexp_replace(regexp_replace(call, '^SELECT (\* FROM )?', ''), '\(.*', '') AS call, max(result) FILTER (WHERE role = 'owner') AS owner, max(result) FILTER (WHERE role = 'admin') AS admin, max(result) FILTER (WHERE role = 'author') AS author,
       max(result) FILTER (WHERE role = 'curator') AS curator, max(result) FILTER (WHERE role = 'reviewer') AS reviewer, max(result) FILTER (WHERE role = 'consumer') AS consumer, max(result) FILTER (WHERE role = 'loader') AS loader, max(result) FILTER (WHERE role = 'none') AS "none"
  FROM rights.matrix WHERE call NOT LIKE '%1/count%' GROUP BY call ORDER BY min(n);
-- What others may not see is not there.
SET ROLE r_none;
SELECT count(*) FROM environments;
SELECT count(*) FROM audit_log;
SELECT count(*) FROM releases;
RESET ROLE;

-- Nobody borrows a superuser's rights by having the superuser run their function.
SET ROLE r_author;
CREATE FUNCTION rights.trap() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM mastering.grant_role('r2', 'admin', 'r_author'); END $$;
RESET ROLE;
SELECT rights.trap();
SELECT count(*) FROM mastering.role_map WHERE environment = 'r2' AND role = 'admin' AND grantee = 'r_author';
SET ROLE r_owner;
CREATE FUNCTION rights.lent() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT mastering.snapshot('r1') $$;
RESET ROLE; SET ROLE r_none;
SELECT rights.lent() LIKE '#%' AS lent_on_purpose;
RESET ROLE;
SELECT role, action FROM audit_log WHERE environment = 'r1' ORDER BY seq DESC LIMIT 1;

-- Names and texts as an attacker writes them.
SELECT create_environment('x"; DROP TABLE rights.people; --', owner => 'r_owner');
SELECT define_entity('x"; DROP TABLE rights.people; --', 'e''); DROP TABLE rights.people; --', '{"a''\"); DROP TABLE rights.people; --": "text"}');
SELECT define_entity('r1', 'y', '{"a": "text); DROP TABLE rights.people; --"}');
SELECT map_source('x"; DROP TABLE rights.people; --', 'e''); DROP TABLE rights.people; --', 's''); DROP TABLE rights.people; --', 'rights.people', 'id', '{"a''\"); DROP TABLE rights.people; --": "name"}');
SELECT map_source('r1', 'person', 's', 'rights.people; DROP TABLE rights.people', 'id', '{}');
SELECT map_source('r1', 'person', 's', 'rights.people', 'id) FROM rights.secret --', '{}');
SELECT map_source('r1', 'person', 's', 'rights.people', 'id', '{"name": "1) FROM rights.secret --"}');
SELECT map_source('r1', 'person', 's', 'rights.people', 'id', '{"name": "name FROM rights.secret"}');
SELECT map_source('r1', 'person', 's', 'rights.people', 'id', '{"name": "name; DROP TABLE rights.people"}');
SELECT map_source('r1', 'person', 's', 'rights.people', 'id', '{"name": "name -- comment"}');
SELECT drop_source('r1', 'person', 's');
SELECT add_check('r1', 'person', 'c''); DROP TABLE rights.people; --', 'SELECT 1) q; DROP TABLE rights.people; --');
SELECT add_check('r1', 'person', 'c''); DROP TABLE rights.people; --', 'SELECT id FROM person WHERE false -- ) comment', stage => 'run');
SELECT count(*) FROM load('x"; DROP TABLE rights.people; --', 'e''); DROP TABLE rights.people; --');
SELECT train('x"; DROP TABLE rights.people; --', 'e''); DROP TABLE rights.people; --') IS NOT NULL AS trained;
SELECT master('x"; DROP TABLE rights.people; --', 'e''); DROP TABLE rights.people; --') ->> 'records' AS records;
SELECT count(*) > 0 AS rows FROM "x""; DROP TABLE rights.people; --"."e'); DROP TABLE rights.people; --";
SELECT snapshot('r1', 'm''); DROP TABLE rights.people; --', 't''); DROP TABLE rights.people; ') LIKE 'r1@t''%' AS snapshot;
SELECT promote('r1''; DROP TABLE rights.people; --', 'r2');
SELECT rollback('r2', to_state => 'r2@''; DROP TABLE rights.people; --');
SELECT grant_role('r1', 'admin', 'r_none"; DROP TABLE rights.people; --');
SELECT promote('r1', 'r2', 'm''); DROP TABLE rights.people; --') > 0 AS promoted;
SELECT count(*) FROM rights.people;

SELECT drop_environment('x"; DROP TABLE rights.people; --'), drop_environment('r2'), drop_environment('r1'), drop_environment('rs');
DROP SCHEMA rights CASCADE;
DROP ROLE r_owner, r_admin, r_author, r_curator, r_reviewer, r_consumer, r_loader, r_none;
