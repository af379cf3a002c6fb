-- What an author, an owner of a source or somebody who comes later tries: borrowed rights, settings that stay, states of others.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE a_owner; CREATE ROLE a_author; CREATE ROLE a_later;
CREATE SCHEMA attack;
GRANT USAGE, CREATE ON SCHEMA attack TO a_author;
GRANT USAGE ON SCHEMA attack TO a_owner, a_later;
SELECT format('GRANT CREATE, TEMP ON DATABASE %I TO a_author, a_later', current_database()) \gexec
SET search_path = mastering, pg_catalog;
SELECT create_environment('a1', owner => 'a_owner'), create_environment('a2', 'a1', owner => 'a_owner'), grant_role('a1', 'author', 'a_author');

-- Functions of types that the author made: casts, and those of ranges, which ANALYZE would call if such types were stored.
SET ROLE a_author;
CREATE TABLE attack.seen (how text, who text);
GRANT INSERT ON attack.seen TO PUBLIC;
CREATE FUNCTION attack.note(how text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN INSERT INTO attack.seen VALUES (how, current_user); EXCEPTION WHEN read_only_sql_transaction THEN NULL; END $$;
CREATE TYPE attack.key AS ENUM ('a', 'b', 'c');
CREATE FUNCTION attack.key_text(k attack.key) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM attack.note('cast'); RETURN 'key ' || pg_catalog.enum_out(k)::text; END $$;
CREATE CAST (attack.key AS text) WITH FUNCTION attack.key_text(attack.key);
CREATE FUNCTION attack.difference(float8, float8) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM attack.note('range'); RETURN $1 - $2; END $$;
CREATE TYPE attack.span AS RANGE (subtype = float8, subtype_diff = attack.difference, multirange_type_name = attack.spans);
CREATE DOMAIN attack.span_domain AS attack.span;
CREATE TYPE attack.pair AS (n int, span attack.span_domain);
CREATE TABLE attack.by_key (id attack.key, no int, name text);
INSERT INTO attack.by_key VALUES ('a', 1, 'n'), ('b', 1, 'm'), ('c', 2, 'n');
CREATE TABLE attack.ranges (id int, span attack.span);
INSERT INTO attack.ranges VALUES (1, '[1,2]'), (2, '[1,5]');
GRANT SELECT ON attack.by_key, attack.ranges TO a_owner;
SELECT define_entity('a1', 'e', '{"name": "text"}');
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'id');
SELECT * FROM load('a1', 'e');
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'no, id');
SELECT * FROM load('a1', 'e');
SELECT map_source('a1', 'e', 'r', 'attack.ranges', 'id', '{}');
SELECT * FROM load('a1', 'e', 'r');
SELECT drop_source('a1', 'e', 'r');
SELECT define_entity('a1', 'f', '{"x": "attack.span"}');
SELECT define_entity('a1', 'f', '{"x": "attack.spans"}');
SELECT define_entity('a1', 'f', '{"x": "attack.pair[]"}');
CREATE TYPE pg_temp.passing AS ENUM ('x');
SELECT define_entity('a1', 'f', '{"x": "passing"}');
RESET ROLE;
SELECT how, who, count(*) FROM attack.seen GROUP BY 1, 2;

-- What the text of a mapping has set ends with it.
SET ROLE a_author;
CREATE FUNCTION attack.set_all() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET search_path = attack; SET statement_timeout = '17min'; SET LOCAL DateStyle = 'SQL, DMY'; PERFORM pg_catalog.set_config('mastering_test.left', 'left', false);
    RETURN 'n';
END $$;
CREATE FUNCTION attack.quiet() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN attack.set_all(); END $$;
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'id', '{"name": "name || attack.quiet()"}');
SELECT set_blocking('a1', 'e', '[{"keys": ["name"]}]'), set_comparisons('a1', 'e', '[{"column": "name", "method": "exact"}]');
RESET ROLE;
SELECT count(*) FROM load('a1', 'e');
SELECT train('a1', 'e') IS NOT NULL AS trained;
SELECT master('a1', 'e') ->> 'records' AS records;
SELECT current_setting('search_path') AS search_path, current_setting('statement_timeout') AS statement_timeout, current_setting('DateStyle') AS datestyle, nullif(current_setting('mastering_test.left', true), '') AS custom;
SET search_path = mastering, pg_catalog;

-- A constraint's functions run as whoever makes the value, never as whoever stores or reads it, not even where the attribute is gone.
SET ROLE a_author;
CREATE FUNCTION attack.holds(value text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM attack.note('domain'); RETURN true; END $$;
CREATE DOMAIN attack.named AS text CHECK (attack.holds(VALUE));
SELECT define_entity('a1', 'e', '{"name": "text", "key": "attack.key", "named": "attack.named"}');
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'id', '{"name": "name", "key": "id", "named": "name"}');
SELECT count(*) FROM load('a1', 'e');
SELECT train('a1', 'e') IS NOT NULL AS trained;
SELECT master('a1', 'e') ->> 'records' AS records;
SELECT define_entity('a1', 'e', '{"name": "text"}');
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'id');
SELECT train('a1', 'e') IS NOT NULL AS trained;
RESET ROLE;
SELECT master('a1', 'e') ->> 'records' AS records;
SELECT name, key, named FROM a1.e ORDER BY 1;
SELECT how, who, count(*) FROM attack.seen GROUP BY 1, 2;

-- A consumer's own operator, which the planner calls on what statistics hold, sees no deleted row there.
CREATE TABLE attack.mail AS SELECT i AS id, CASE WHEN i % 15 = 0 THEN 'gone' ELSE 'n' || i END AS name FROM generate_series(1, 600) i;
GRANT SELECT ON attack.mail TO a_owner;
SELECT define_entity('a1', 'm', '{"name": "text"}'), map_source('a1', 'm', 's', 'attack.mail', 'id'), grant_role('a1', 'consumer', 'a_later');
SELECT set_blocking('a1', 'm', '[{"keys": ["name"]}]'), set_comparisons('a1', 'm', '[{"column": "name", "method": "exact"}]');
SELECT count(*) FROM load('a1', 'm');
SELECT train('a1', 'm') IS NOT NULL AS trained;
SELECT master('a1', 'm') IS NOT NULL AS mastered;
DELETE FROM attack.mail WHERE name = 'gone';
SELECT change FROM load('a1', 'm');
SELECT master('a1', 'm') IS NOT NULL AS mastered;
GRANT CREATE ON SCHEMA attack TO a_later;
SET ROLE a_later;
CREATE FUNCTION attack.look(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$ BEGIN IF a = 'gone' THEN RAISE EXCEPTION 'saw %', a; END IF; RETURN true; END $$;
CREATE OPERATOR attack.<<< (FUNCTION = attack.look, LEFTARG = text, RIGHTARG = text, RESTRICT = eqsel, JOIN = eqjoinsel);
SELECT count(*) FROM a1.m WHERE name OPERATOR(attack.<<<) 'x';
SELECT count(*) > 0 AS joined FROM a1.m a JOIN a1.m b ON a.name OPERATOR(attack.<<<) b.name WHERE a.id = b.id;
SET cpu_operator_cost = 0;
SELECT count(*) FROM a1.m WHERE attack.look(name, 'x');
RESET cpu_operator_cost;
RESET ROLE;

-- An empty head is none, and nor is a state none releases back.
SELECT promote('a1', 'a2', expected_head => '');
SELECT promote('a1', 'a2', expected_head => '#');
SELECT promote('a1', 'a2', expected_head => (SELECT head FROM environments WHERE name = 'a2')) > 0 AS promoted;
SELECT count(*) FROM diff('a2~0', 'a2');
SELECT count(*) > 0 AS differ FROM diff('a2~1', 'a2');

-- A type without length cuts nothing off; what a run could not resolve, the mapping is told at once.
SELECT define_entity('a1', 't', '{"c": "bpchar", "v": "varchar(4)", "b": "bit"}');
SELECT map_source('a1', 't', 's', 'attack.mail', 'id', '{"c": "mail.name"}');
SELECT map_source('a1', 't', 's', 'attack.mail', 'id', '{"c": "s.name", "v": "name", "b": "B''101''"}');
SELECT set_blocking('a1', 't', '[{"keys": ["v"]}]'), set_comparisons('a1', 't', '[{"column": "v", "method": "exact"}]');
SELECT count(*) FROM load('a1', 't');
SELECT train('a1', 't') IS NOT NULL AS trained;
SELECT master('a1', 't') IS NOT NULL AS mastered;
SELECT c, v, b FROM a1.t WHERE v IN ('n1', 'n599') ORDER BY v;

-- A failure with a long message is on record too.
CREATE FUNCTION attack.fail() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', repeat(E'x\n"', 5000); END $$;
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'id', '{"name": "attack.fail()"}');
\set VERBOSITY sqlstate
SELECT promote('a1', 'a2');
\set VERBOSITY default
SELECT state, length(error) > 0 AS has_error FROM releases WHERE target = 'a2' AND state = 'failed';
SELECT map_source('a1', 'e', 'k', 'attack.by_key', 'id');

-- What a mapping looks up with the rights of one owner is not what another gets for the same text.
CREATE ROLE a_other;
GRANT USAGE ON SCHEMA attack TO a_other;
CREATE TABLE attack.private (word text);
INSERT INTO attack.private VALUES ('secret');
CREATE TABLE attack.plain AS SELECT 1 AS id, 'n' AS name;
GRANT SELECT ON attack.plain TO a_owner, a_other;
CREATE FUNCTION attack.whisper() RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT word FROM attack.private); EXCEPTION WHEN insufficient_privilege THEN RETURN 'nothing'; END $$;
GRANT SELECT ON attack.private TO a_owner;
SELECT create_environment('b1', owner => 'a_owner'), create_environment('b2', owner => 'a_other');
SELECT define_entity(e, 'p', '{"name": "text", "day": "date"}'), map_source(e, 'p', 's', 'attack.plain', 'id', '{"name": "name || '' '' || attack.whisper()", "day": "''2026-01-01''"}'),
       set_blocking(e, 'p', '[{"keys": ["name"]}]'), set_comparisons(e, 'p', '[{"column": "name", "method": "exact"}]') FROM unnest(ARRAY['b1', 'b2']) e;
SELECT e, change FROM unnest(ARRAY['b1', 'b2']) e, load(e, 'p');
SELECT count(train(e, 'p')) FROM unnest(ARRAY['b1', 'b2']) e;
SELECT e, master(e, 'p') -> 'reused' AS reused FROM unnest(ARRAY['b1', 'b2']) e;
SELECT a.name, b.name FROM b1.p a, b2.p b;
-- A text that looks nothing up gives everybody the same, and is run once.
SELECT map_source(e, 'p', 's', 'attack.plain', 'id', '{"name": "upper(name)", "day": "to_date(''01.02.2026'', ''DD.MM.YYYY'')"}') FROM unnest(ARRAY['b1', 'b2']) e;
SELECT count(train(e, 'p')) FROM unnest(ARRAY['b1', 'b2']) e;
SELECT e, master(e, 'p') -> 'reused' AS reused FROM unnest(ARRAY['b1', 'b2']) e;
-- A check that looks beside the environment's views is run again though these are the same; one that does not is not.
CREATE TABLE attack.stop (reason text);
GRANT SELECT ON attack.stop TO a_owner;
SELECT create_environment('b3', 'b1', owner => 'a_owner'), add_check('b1', 'p', 'beside', 'SELECT * FROM attack.stop'), add_check('b1', 'p', 'within', 'SELECT * FROM p WHERE name IS NULL');
SELECT promote('b1', 'b3') > 0 AS promoted;
SELECT add_check('b1', 'p', 'more', 'SELECT * FROM p WHERE day > ''2100-01-01''');
INSERT INTO attack.stop VALUES ('the feed is broken');
SELECT promote('b1', 'b3');
SELECT check_name, passed, count(*) FROM check_results WHERE environment = 'b3' GROUP BY 1, 2 ORDER BY 1, 2;
-- An SQLSTATE of our own, raised by somebody's function, is a failure like any other.
CREATE FUNCTION attack.dry() RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN IF pg_catalog.to_regclass('attack.armed') IS NOT NULL THEN RAISE EXCEPTION 'boom' USING ERRCODE = 'MD000'; END IF; RETURN 'x'; END $$;
SELECT drop_check('b1', 'p', 'beside'), map_source('b1', 'p', 's', 'attack.plain', 'id', '{"name": "attack.dry()"}');
CREATE TABLE attack.armed ();
SELECT promote('b1', 'b3', dry_run => true);
DROP TABLE attack.armed;
SELECT promote('b1', 'b3', dry_run => true) IS NULL AS dry;
-- Types go with their owner's DROP ... CASCADE; what is stored stays. A temporary relation is nobody's source.
CREATE TYPE attack.mood AS ENUM ('glad', 'sad');
CREATE DOMAIN attack.label AS varchar(5);
CREATE TYPE attack.pair2 AS (a int, b text);
CREATE TABLE attack.typed (id int, mood attack.mood, label attack.label, moods attack.mood[], pair attack.pair2);
INSERT INTO attack.typed VALUES (1, 'sad', 'abc', '{glad,sad}', '(1,x)');
GRANT SELECT ON attack.typed TO a_owner;
SELECT define_entity('b1', 'q', '{"mood": "attack.mood", "label": "attack.label", "moods": "attack.mood[]", "pair": "attack.pair2"}'), map_source('b1', 'q', 's', 'attack.typed', 'id'),
       set_blocking('b1', 'q', '[{"keys": ["mood"]}]'), set_comparisons('b1', 'q', '[{"column": "label", "method": "exact"}]');
SELECT change FROM load('b1', 'q');
SELECT train('b1', 'q') IS NOT NULL AS trained;
SELECT master('b1', 'q') ->> 'records' AS records;
DROP TABLE attack.typed;
DROP TYPE attack.mood, attack.label, attack.pair2 CASCADE;
SELECT mood, label, moods, pair FROM b1.q;
CREATE TEMP TABLE fleeting (id int, name text);
SELECT bind_source('b1', 'p', 's', 'pg_temp.fleeting');
DROP TABLE fleeting;
SELECT drop_environment('b3'), drop_environment('b2'), drop_environment('b1');

-- A former owner has no rights left, but for those of the role map.
SELECT alter_environment('a2', 'postgres');
SELECT has_schema_privilege('a_owner', 'a2', 'USAGE') AS schema, has_table_privilege('a_owner', 'a2.e', 'SELECT') AS golden, has_table_privilege('a_owner', 'a2_next.e_records', 'SELECT') AS next;
-- An environment of a superuser does not get texts of others back by a rollback either.
SELECT grant_role('a2', 'admin', 'a_author');
SET ROLE a_author;
SELECT rollback('a2');
RESET ROLE;

-- Who makes an environment under the name of one that was dropped does not inherit its states and records.
SELECT snapshot('a2', tag => 'kept');
SELECT hash AS old_hash FROM snapshots WHERE environment = 'a2' AND tag = 'kept' \gset
SELECT drop_environment('a2');
SET ROLE a_later;
SELECT create_environment('a2');
SELECT (SELECT count(*) FROM snapshots WHERE environment = 'a2') AS snapshots, (SELECT count(*) FROM releases WHERE target = 'a2') AS releases,
       (SELECT count(*) FROM check_results WHERE environment = 'a2') AS check_results, (SELECT string_agg(action, ', ') FROM audit_log WHERE environment = 'a2') AS log;
SELECT rollback('a2', to_state => 'a2@kept');
SELECT set_config('attack.hash', :'old_hash', false) IS NOT NULL AS noted;
DO $$ BEGIN PERFORM mastering.rollback('a2', to_state => '#' || current_setting('attack.hash')); RAISE EXCEPTION 'found'; EXCEPTION WHEN undefined_object THEN NULL; END $$;
RESET ROLE;
SELECT count(*) > 0 AS superuser_sees FROM snapshots WHERE environment = 'a2';

SELECT drop_environment('a2'), drop_environment('a1');
DROP SCHEMA attack CASCADE;
DROP OWNED BY a_owner, a_author, a_later, a_other;
DROP ROLE a_owner, a_author, a_later, a_other;
