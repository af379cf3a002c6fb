-- Golden records: the rules by hand-made clusters, names and types that are awkward, what is refused, and that the
-- order of the input does not matter.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET datestyle = 'ISO';
CREATE TABLE person (id int, source text, name text, email text, phone text, street text, city text, updated_at date, price numeric, vip boolean);
INSERT INTO person VALUES
    (1, 'crm',  'Ann',      'ann@x.org',  '12',    'Elm 1', 'Bonn', '2020-01-01', 1.50, NULL),
    (2, 'shop', 'Ann Lee',  'ann@x.org',  '12345', NULL,    'Rome', '2022-01-01', 2,    true),
    (4, 'bill', 'Ann',      'a.lee@y.org', ' ',    'Oak 2', 'Paris', NULL,        9,    false),
    (10, 'shop', 'Anne',    E'\t\n',      '99999', 'Oak 2', 'Paris', '2021-01-01', NULL, false),
    (3, 'crm',  'Bob',      '',           NULL,    NULL,    NULL,    NULL,        NULL, NULL),
    (5, 'crm',  'Cy',       'c@x.org',    NULL,    'Ash 3', 'Oslo',  '2019-01-01', 7,   true);
CREATE TABLE assignment (id int, cluster_id text, weight float8);
INSERT INTO assignment VALUES (1, 'k', 1), (2, 'k', 1), (4, 'k', 1), (10, 'k', 1), (5, NULL, 0), (77, 'q', 1);

-- Shows a cluster with one line an attribute.
CREATE FUNCTION survivors(rules jsonb, cluster text DEFAULT 'k', query text DEFAULT 'SELECT * FROM person', clusters text DEFAULT 'SELECT * FROM assignment')
RETURNS TABLE (attribute text, value jsonb, record text, source text, rule text, agreeing int) LANGUAGE sql AS $$
    SELECT e.key, e.value, l->>'record', l->>'source', l->>'rule', (l->>'agreeing')::int
    FROM mastering.golden_records(query, clusters, rules) AS g, jsonb_each(g.golden) AS e, LATERAL (SELECT g.lineage->e.key AS l) AS x
    WHERE g.cluster_id = cluster ORDER BY e.key COLLATE "C" $$;

-- A record without a cluster is its own; ids of clusters that the query lacks do not matter.
SELECT cluster_id, record_count, source_count, golden FROM mastering.golden_records('SELECT * FROM person', 'SELECT * FROM assignment') ORDER BY 1;
SELECT * FROM survivors('{}');
SELECT * FROM survivors('{}', '3');
SELECT * FROM survivors(NULL, '5');

-- Every rule.
SELECT * FROM survivors('{"default": "most_recent", "recency": "updated_at"}');
SELECT * FROM survivors('{"default": "least_recent", "recency": "updated_at"}');
SELECT * FROM survivors('{"default": {"rule": "most_recent", "recency": "id"}}');
SELECT * FROM survivors('{"default": "longest", "attributes": {"name": "shortest", "price": "min", "updated_at": "max", "vip": "max"}}');
SELECT * FROM survivors('{"default": "source_priority", "source_priority": ["bill", "shop"], "attributes": {"name": {"rule": "source_priority", "sources": ["nowhere", "crm"]}}}');
SELECT * FROM survivors('{"default": "most_complete_record"}');
SELECT * FROM survivors('{"default": "union"}');
SELECT * FROM survivors('{"default": "union"}', '3');
-- A chain: the next rule breaks the ties of the one before.
SELECT * FROM survivors('{"attributes": {"phone": ["longest", "most_recent"], "vip": ["most_frequent", "max"], "email": ["most_frequent", {"rule": "most_recent", "recency": "id"}]}, "recency": "updated_at"}')
    WHERE attribute IN ('phone', 'vip', 'email');
-- A group comes from one record, its gaps included; a record that fills more of it wins a tie.
SELECT * FROM survivors('{"groups": [["street", "city"]]}') WHERE attribute IN ('street', 'city');
SELECT * FROM survivors('{"groups": [{"attributes": ["street", "city"], "rule": "most_recent"}], "recency": "updated_at"}') WHERE attribute IN ('street', 'city');
SELECT * FROM survivors('{"groups": [["street", "city"]]}', 'k', 'SELECT * FROM person WHERE id < 4') WHERE attribute IN ('street', 'city');

-- Text that ends in a semicolon or a comment, WITH, VALUES, ids of another type, no source, no attribute, no row.
SELECT count(*) FROM mastering.golden_records('WITH p AS (SELECT * FROM person) SELECT id, name FROM p ORDER BY id; -- all', 'SELECT id::text, cluster_id FROM assignment -- these');
SELECT cluster_id, source_count, golden, lineage FROM mastering.golden_records('SELECT id, name FROM person WHERE id < 3 /* two */;', 'SELECT * FROM assignment');
SELECT * FROM mastering.golden_records('SELECT 1 AS id UNION ALL SELECT 2', 'SELECT 1 AS id, 7 AS cluster_id') ORDER BY 1;
SELECT * FROM mastering.golden_records('SELECT * FROM person WHERE false', 'SELECT * FROM assignment');
SELECT cluster_id, record_count FROM mastering.golden_records('TABLE person', 'SELECT * FROM assignment WHERE false') ORDER BY 1;

-- Names that are awkward, types of every kind.
CREATE DOMAIN short_text AS varchar(20);
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE point3 AS (x int, y text);
SELECT cluster_id, golden, lineage->'id "x"' AS lineage FROM mastering.golden_records($$
    SELECT i AS id, 'a b' AS "Source", 'v' || i % 2 AS value, 1 AS "id ""x""", true AS "select", i AS g, i + 1 AS l, i + 2 AS f, i + 3 AS q, 'x' AS "a1", 'o''b' AS "it's %s", i AS "record_count", 'U' AS "Upper", '' AS "b\c" FROM generate_series(1, 3) AS i$$,
    $$SELECT i AS id, 1 AS cluster_id FROM generate_series(1, 3) AS i$$, '{"attributes": {"id \"x\"": "max"}}');
SELECT * FROM survivors('{}', '1', $$
    SELECT i AS id, '{"b": 1, "a": 2}'::json AS json, CASE i WHEN 1 THEN 'null'::jsonb ELSE '[1]' END AS jsonb, '{}'::int[] AS none, ARRAY['x', 'y'] AS list,
        'Z'::short_text AS domain, 'green'::colour AS enum, (i, 't')::point3 AS row, ROW(1, NULL) AS anonymous, '(1,2)'::point AS point, 'NaN'::float8 AS nan, '\x00ff'::bytea AS bytes,
        '2020-02-03 04:05:06'::timestamp AS at, '[1,2)'::int4range AS range, '1 day'::interval AS interval, 'a'::"char" AS letter, '<a/>'::xml AS xml, 12345678901234567890.10 AS number, 'n'::name AS name
    FROM generate_series(1, 2) AS i$$, 'SELECT i AS id, 1 AS cluster_id FROM generate_series(1, 2) AS i');
-- Numbers that are equal but written differently are one value.
SELECT * FROM survivors('{}', 'c', $$SELECT * FROM (VALUES (1, 1.0), (2, 1.00), (3, 0.5)) AS v (id, n)$$, $$SELECT i AS id, 'c' AS cluster_id FROM generate_series(1, 3) AS i$$);

-- Rows of a type of one's own.
CREATE TABLE customer (cluster_id text, name varchar(3), gone int, price float8, updated_at timestamp, record_count int, remark text);
ALTER TABLE customer DROP COLUMN gone;
SELECT * FROM mastering.golden_records_as(NULL::customer, 'SELECT * FROM person', 'SELECT * FROM assignment', '{"default": "max"}') ORDER BY 1;
SELECT * FROM mastering.golden_records_as(1, 'SELECT * FROM person', 'SELECT * FROM assignment');
SELECT * FROM mastering.golden_records_as(NULL::point3, 'SELECT * FROM person', 'SELECT * FROM assignment');
SELECT * FROM mastering.golden_records_as(NULL::customer, 'SELECT id, 1 AS lineage FROM person', 'SELECT * FROM assignment');

-- What is refused: rules.
CREATE FUNCTION refused(rules jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text; state text;
BEGIN
    PERFORM * FROM mastering.golden_records('SELECT *, NULL::json AS doc, ARRAY[1] AS list FROM person', 'SELECT * FROM assignment', rules);
    RAISE EXCEPTION 'not refused: %', rules USING ERRCODE = 'XX000';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE INFO '%', pg_catalog.concat_ws(E'\n  ', message, detail, NULLIF(hint, ''));
END $$;
SELECT count(refused(r::jsonb)) FROM unnest(ARRAY['[]', 'null', '{"defualt": "longest"}', '{"default": "most_frequnt"}', '{"default": 5}', '{"default": []}',
    '{"default": "most_recent"}', '{"default": "source_priority"}', '{"default": ["longest", "union"]}', '{"default": "max"}',
    '{"attributes": {"list": "union"}}', '{"attributes": []}', '{"attributes": {"emial": "longest"}}', '{"attributes": {"email": {"rule": "longets"}}}', '{"attributes": {"email": {"rle": "longest"}}}', '{"attributes": {"email": {}}}',
    '{"attributes": {"email": ["longest", "xyzzy"]}}', '{"attributes": {"email": null}}', '{"attributes": {"no such": "min"}}', '{"attributes": {"doc": "min"}}',
    '{"attributes": {"phone": {"rule": "source_priority", "sources": "crm"}}}', '{"attributes": {"phone": {"rule": "source_priority", "sources": []}}}', '{"attributes": {"phone": {"rule": "source_priority", "sources": ["a", 1]}}}',
    '{"attributes": {"phone": {"rule": "source_priority", "sources": ["a", "a"]}}}', '{"recency": "updatedat"}', '{"recency": 1}', '{"recency": "doc"}', '{"source_priority": {}}',
    '{"groups": {}}', '{"groups": ["street"]}', '{"groups": [["street", "town"]]}', '{"groups": [["street", "city"], ["city", "phone"]]}', '{"groups": [["street", "city"]], "attributes": {"city": "min"}}',
    '{"groups": [{"attributes": ["street", "city"], "rule": "max"}]}', '{"groups": [{"rule": "longest"}]}', '{"groups": [[]]}']) AS r;
SELECT mastering.golden_records('SELECT id, name FROM person', 'SELECT * FROM assignment', '{"default": "source_priority"}');

-- What is refused: queries.
SELECT mastering.golden_records(NULL, 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * FROM person', NULL);
SELECT mastering.golden_records('', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT 1 AS id; SELECT 2', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT 1 AS id) AS q; DROP TABLE person; --', 'SELECT * FROM assignment');
SELECT mastering.golden_records('DELETE FROM person RETURNING *', 'SELECT * FROM assignment');
SELECT mastering.golden_records('WITH d AS (DELETE FROM person RETURNING *) SELECT * FROM d', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * INTO taken FROM person', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * FROM person FOR UPDATE', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * FROM persons', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT id, nmae FROM person', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT id FROM WHERE', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT $1 AS id', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT id AS "ID", name FROM person', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT *, name FROM person', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * FROM person', 'SELECT id, cluster_id AS clusterid FROM assignment');
SELECT mastering.golden_records('SELECT * FROM person UNION ALL SELECT * FROM person WHERE id = 4', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * FROM person UNION ALL SELECT * FROM person WHERE id = 3', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT NULLIF(id, 4) AS id, name FROM person', 'SELECT * FROM assignment');
SELECT mastering.golden_records('SELECT * FROM person', $$SELECT id, cluster_id FROM assignment UNION SELECT 4, 'other'$$);
SELECT mastering.golden_records('SELECT * FROM person', $$SELECT NULL AS id, 'x' AS cluster_id$$);
SELECT mastering.golden_records('SELECT * FROM person', $$SELECT 1 AS id, '3' AS cluster_id$$);
SELECT count(*) AS still_there FROM person;

-- The text runs as the caller, under the caller's search_path.
CREATE ROLE regress_golden_reader;
SET ROLE regress_golden_reader;
SELECT mastering.golden_records('SELECT * FROM person', 'SELECT * FROM assignment');
SELECT cluster_id, golden FROM mastering.golden_records('SELECT 1 AS id, 2 AS n', 'SELECT 1 AS id, 2 AS cluster_id');
RESET ROLE;
DROP ROLE regress_golden_reader;
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.person AS SELECT 1 AS id, 'elsewhere' AS name;
SET search_path = elsewhere, public;
SELECT cluster_id, golden FROM mastering.golden_records('SELECT * FROM person', 'SELECT * FROM assignment');
RESET search_path;
-- Blanks are blanks whatever strings mean to the session.
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT golden FROM mastering.golden_records('SELECT 1 AS id, E''\\013 \\t''::text AS blank, ''v''::text AS letter', 'SELECT 1 AS id, 1 AS cluster_id');
RESET escape_string_warning;
RESET standard_conforming_strings;
-- It can be stopped.
SET statement_timeout = '200ms';
SELECT count(*) FROM mastering.golden_records('SELECT i AS id, i AS n FROM generate_series(1, 3000000) AS i', 'SELECT i AS id, i / 3 AS cluster_id FROM generate_series(1, 3000000) AS i');
RESET statement_timeout;

-- The order of the input does not matter, and the common rules agree with a plain computation.
CREATE TABLE noisy AS
    SELECT i AS id, (ARRAY['a', 'b', 'c'])[1 + abs(hashint4(i)) % 3] AS source, CASE abs(hashint4(i + 1)) % 5 WHEN 0 THEN '' WHEN 1 THEN NULL ELSE 'v' || abs(hashint4(i + 2)) % 4 END AS v,
        abs(hashint4(i + 3)) % 6 AS n, NULLIF(abs(hashint4(i + 4)) % 7, 0) AS dated, abs(hashint4(i + 5)) % 700 AS cluster_id
    FROM generate_series(1, 3000) AS i;
CREATE TABLE rules_tried (n int, rules jsonb);
INSERT INTO rules_tried VALUES (1, '{}'), (2, '{"default": ["source_priority", "most_recent"], "source_priority": ["b", "a"], "recency": "dated"}'),
    (3, '{"default": ["longest", "most_complete_record"], "attributes": {"n": "union"}}'), (4, '{"groups": [["v", "n"]], "default": ["most_recent"], "recency": "dated"}');
SELECT r.n, count(*) AS clusters, count(*) FILTER (WHERE x.h = y.h) AS same
FROM rules_tried AS r
CROSS JOIN LATERAL (SELECT cluster_id, (record_count, source_count, golden, lineage)::text AS h
    FROM mastering.golden_records('SELECT id, source, v, n, dated FROM noisy ORDER BY id', 'SELECT id, cluster_id FROM noisy ORDER BY id DESC', r.rules)) AS x
JOIN LATERAL (SELECT cluster_id, (record_count, source_count, golden, lineage)::text AS h
    FROM mastering.golden_records('SELECT id, source, v, n, dated FROM noisy ORDER BY md5(id::text)', 'SELECT id, cluster_id FROM noisy ORDER BY hashint4(id)', r.rules)) AS y USING (cluster_id)
GROUP BY 1 ORDER BY 1;
WITH golden AS (SELECT * FROM mastering.golden_records('SELECT id, source, v, n, dated FROM noisy', 'SELECT id, cluster_id FROM noisy', '{"attributes": {"n": ["most_recent", "max"]}, "recency": "dated"}')),
frequent AS (SELECT DISTINCT ON (cluster_id) cluster_id, v, count(*) AS agreeing FROM noisy WHERE v <> '' GROUP BY cluster_id, v ORDER BY cluster_id, count(*) DESC, v COLLATE "C"),
recent AS (SELECT DISTINCT ON (cluster_id) cluster_id, n, id FROM noisy ORDER BY cluster_id, dated DESC NULLS LAST, n DESC, id),
counted AS (SELECT cluster_id, count(*) AS records, count(DISTINCT source) AS sources FROM noisy GROUP BY 1)
SELECT count(*) AS clusters, count(*) FILTER (WHERE g.golden->>'v' IS DISTINCT FROM f.v OR (g.lineage->'v'->>'agreeing')::int IS DISTINCT FROM f.agreeing) AS wrong_v,
    count(*) FILTER (WHERE (g.golden->>'n')::int IS DISTINCT FROM r.n OR g.lineage->'n'->>'record' IS DISTINCT FROM r.id::text) AS wrong_n,
    count(*) FILTER (WHERE (g.record_count, g.source_count) IS DISTINCT FROM (c.records, c.sources)) AS wrong_counts
FROM counted AS c JOIN golden AS g ON g.cluster_id = c.cluster_id::text LEFT JOIN frequent AS f ON f.cluster_id = c.cluster_id LEFT JOIN recent AS r ON r.cluster_id = c.cluster_id;

DROP TABLE elsewhere.person;
DROP SCHEMA elsewhere;
DROP FUNCTION survivors, refused;
DROP TABLE person, assignment, customer, noisy, rules_tried;
DROP DOMAIN short_text; DROP TYPE colour; DROP TYPE point3;
