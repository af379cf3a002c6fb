-- Rows that another database sends: as they were there, each source in a relation of its own, releases under their own tokens.
SELECT current_database() AS home \gset
CREATE DATABASE remote_rows;
\c remote_rows
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
SET search_path = mastering, pg_catalog;
SELECT receive_environment('prod', 'test', NULL, '00000000-0000-0000-0000-000000000001', '{"database": "elsewhere"}');
CREATE FUNCTION public.send(place text, columns jsonb, rows jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', mastering.receive_rows('test', '00000000-0000-0000-0000-000000000001', place, 'begin', jsonb_build_object('columns', columns, 'content', mastering.json_hash(rows))),
                          mastering.receive_rows('test', '00000000-0000-0000-0000-000000000001', place, 'rows', rows),
                          mastering.receive_rows('test', '00000000-0000-0000-0000-000000000001', place, 'end', jsonb_build_object('content', mastering.json_hash(rows), 'rows', jsonb_array_length(rows))))
$$;
-- Types whose name alone means a length of one.
SELECT public.send('a/b_c', '[{"name": "id", "type": "integer"}, {"name": "code", "type": "character(10)"}, {"name": "flags", "type": "bit(4)"}, {"name": "more", "type": "bit varying(8)"}, {"name": "kind", "type": "\"char\""}]',
                   '[["1", "abc", "1010", "111", "x"], ["2", null, null, null, null]]');
TABLE test.a_b_c;
-- a/b_c and a_b/c are two.
SELECT public.send('a_b/c', '[{"name": "id", "type": "integer"}]', '[["7"]]');
SELECT count(*) FROM test.a_b_c;
SELECT l.key, l.value ->> 'relation' = 'test.a_b_c' AS plain, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = (l.value ->> 'relation')::regclass AND a.attnum > 0) AS columns FROM stand_in s, jsonb_each(s.landing) l ORDER BY 1;
SELECT receive_rows('test', '00000000-0000-0000-0000-000000000001', 'a_b/c', 'begin', (SELECT jsonb_build_object('content', s.landing -> 'a_b/c' -> 'content') FROM stand_in s));
-- A token answers for the environment that it was used for.
SELECT settle_release('00000000-0000-0000-0000-00000000000a', 'prod');
SELECT receive_environment('prod 2', NULL, NULL, '00000000-0000-0000-0000-000000000002', '{"database": "elsewhere"}');
SELECT receive_release('00000000-0000-0000-0000-00000000000b', '{"kind": "rollback", "source": "test", "target": "prod", "what": "config"}') -> 'error' ->> 'message' AS answer;
SELECT receive_release('00000000-0000-0000-0000-00000000000b', '{"kind": "rollback", "source": "test", "target": "prod 2", "what": "config"}');
SELECT receive_release('00000000-0000-0000-0000-00000000000a', '{"kind": "rollback", "source": "test", "target": "prod", "what": "config"}');
-- Who is promoted from there later, or gets another owner, reads them then; who was the owner does not any more.
CREATE ROLE rows_one;
CREATE ROLE rows_two;
CREATE FUNCTION public.readers() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s: %s', r.name, CASE WHEN has_schema_privilege(r.name, 'test', 'USAGE') AND has_table_privilege(r.name, 'test.a_b_c', 'SELECT') THEN 'reads' WHEN has_table_privilege(r.name, 'test.a_b_c', 'SELECT') THEN 'half' ELSE 'no' END), ', ')
      FROM (VALUES ('rows_one'::name), ('rows_two')) r (name)
$$;
SELECT create_environment('late', 'test', owner => 'rows_one');
SELECT public.readers();
SELECT public.send('a/b_c', '[{"name": "id", "type": "integer"}, {"name": "code", "type": "text"}]', '[["1", "Anna Alt"], ["2", "Berta Neu"]]');
SELECT public.readers();
SELECT alter_environment('late', 'rows_two');
SELECT public.readers();
GRANT SELECT ON test.a_b_c TO PUBLIC;
SELECT alter_environment('late', 'rows_one');
SELECT public.readers(), (SELECT count(*) FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.oid = 'test.a_b_c'::regclass AND a.grantee = 0) AS everybody;

-- A person's record goes from them, their statistics included, and does not come back with what is sent later.
SELECT define_entity('late', 'a', '{"code": "text"}'), map_source('late', 'a', 'b_c', 'test.a_b_c', 'id');
SELECT change, inserted FROM load('late', 'a');
SELECT count(*) AS statistics FROM pg_stats WHERE schemaname = 'test' AND histogram_bounds::text || coalesce(most_common_vals::text, '') LIKE '%Anna%';
SELECT place, touched FROM erase('a', 'b_c', '1', 'asked for') WHERE place LIKE 'test%';
TABLE test.a_b_c;
SELECT count(*) AS statistics FROM pg_stats WHERE schemaname = 'test' AND concat(histogram_bounds, most_common_vals) LIKE '%Anna%';
SELECT public.send('a/b_c', '[{"name": "id", "type": "integer"}, {"name": "code", "type": "text"}]', '[["1", "Anna Alt"], ["2", "Berta Neu"], ["3", "Carla"]]');
TABLE test.a_b_c;
SELECT change, inserted FROM load('late', 'a');
-- The sender has renamed the key: its rows are taken, and which of them is whose cannot be told, until somebody knows them by it.
SELECT public.send('a/b_c', '[{"name": "no", "type": "integer"}, {"name": "code", "type": "text"}]', '[["1", "Anna Alt"], ["2", "Berta Neu"], ["4", "Dora"]]');
SELECT place, touched FROM erase('a', 'b_c', '4', 'asked for') WHERE place LIKE 'test%';
SELECT map_source('late', 'a', 'b_c', 'test.a_b_c', 'no');
SELECT public.send('a/b_c', '[{"name": "no", "type": "integer"}, {"name": "code", "type": "text"}]', '[["1", "Anna Alt"], ["2", "Berta Neu"], ["4", "Dora"], ["5", "Emil"]]');
TABLE test.a_b_c ORDER BY no;
-- Where nobody knows the key any more, all of them go, and can be sent again.
CREATE TABLE public.other (id int, code text);
GRANT SELECT ON public.other TO rows_one;
SELECT bind_source('late', 'a', 'b_c', 'public.other');
SELECT place, touched FROM erase('a', 'b_c', '2', 'asked for') WHERE place LIKE 'test%';
SELECT (SELECT count(*) FROM test.a_b_c) AS rows, (SELECT count(*) FROM pg_stats WHERE schemaname = 'test' AND tablename = 'a_b_c') AS statistics;
SELECT public.send('a/b_c', '[{"name": "id", "type": "integer"}, {"name": "code", "type": "text"}]', '[["1", "Anna Alt"], ["2", "Berta Neu"], ["3", "Carla"]]');
DROP TABLE test.a_b_c;
SELECT place, touched FROM erase('a', 'b_c', '3', 'asked for') WHERE place LIKE 'test%';
\c :home
DROP DATABASE remote_rows;
DROP ROLE rows_one;
DROP ROLE rows_two;
