-- Golden records against plain SQL that says the same naively: every rule, on values with NULLs, blanks, ties, equal
-- In a database of its own: what other tests leave there is not.
SELECT current_database() AS home \gset
CREATE DATABASE golden_differential;
\c golden_differential
CREATE EXTENSION mastering;
-- numbers written differently, arrays, JSON, enums and rows, in clusters of every size; then what only the aggregate
-- has to mind: large clusters, values of any size, plans and records that do not fit.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE TYPE shade AS ENUM ('red', 'green', 'blue');
CREATE TYPE pair AS (x int, y text);
CREATE FUNCTION pick(i int, what int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8(i * 1000003::bigint + what) & 2147483647) % n $$;
CREATE TABLE given AS
SELECT CASE WHEN pick(i, 0, 3) = 0 THEN 'x' ELSE '' END || i || CASE WHEN pick(i, 1, 4) = 0 THEN 'é' ELSE '' END AS id, (ARRAY['a', 'b', 'c', NULL, ''])[1 + pick(i, 2, 5)] AS source,
    (ARRAY['Ann', 'ann', '', E' \t\n', 'Élan', 'Zoë', 'a', NULL, 'Ann '])[1 + pick(i, 3, 9)] AS name, (ARRAY['ab', 'cd', '  ', NULL])[1 + pick(i, 4, 4)]::char(4) AS code,
    (ARRAY[1.0, 1.00, 0.5, NULL, 'NaN', 10]::numeric[])[1 + pick(i, 5, 6)] AS price, (ARRAY[0, '-0', 'NaN', 'inf', NULL]::float8[])[1 + pick(i, 6, 5)] AS ratio,
    CASE pick(i, 7, 4) WHEN 1 THEN '{}' WHEN 2 THEN ARRAY['x', 'y'] WHEN 3 THEN ARRAY['x', NULL] END::text[] AS tags,
    CASE pick(i, 8, 5) WHEN 1 THEN 'null' WHEN 2 THEN '{"a": 1}' WHEN 3 THEN '[]' WHEN 4 THEN '1.00' END::jsonb AS facts, CASE pick(i, 9, 3) WHEN 1 THEN '{"a": 1}' WHEN 2 THEN '{"a":1}' END::json AS document,
    (ARRAY['red', 'green', 'blue', NULL])[1 + pick(i, 10, 4)]::shade AS shade, CASE WHEN pick(i, 11, 3) > 0 THEN (NULLIF(pick(i, 12, 3), 0), 'k' || pick(i, 13, 2))::pair END AS pair,
    NULLIF(pick(i, 14, 5), 0) AS dated, repeat('long' || pick(i, 15, 3), 60) AS long,
    CASE WHEN pick(i, 16, 40) = 0 THEN NULL WHEN pick(i, 17, 8) = 0 THEN 'many' ELSE 'c' || pick(i, 18, 700) END AS cluster
FROM generate_series(1, 2400) AS i;

-- One row a record and attribute: what counts as a value, and what is compared, as expressions.
CREATE TABLE attribute (name text, value text, key text, has_order boolean DEFAULT true);
INSERT INTO attribute SELECT n, CASE k WHEN 't' THEN format('CASE WHEN translate(%1$s, E'' \t\n\r\f\v'', '''') <> '''' THEN %1$s END', n) WHEN 'a' THEN format('NULLIF(%s, ''{}'')', n) WHEN 'j' THEN format('NULLIF(%s, ''null'')', n) ELSE n END,
    CASE k WHEN 't' THEN 'v COLLATE "C"' WHEN 'a' THEN 'v COLLATE "C"' WHEN 'x' THEN 'v::text COLLATE "C"' ELSE 'v' END, k <> 'x'
FROM (VALUES ('name', 't'), ('code', 't'), ('long', 't'), ('price', ''), ('ratio', ''), ('tags', 'a'), ('facts', 'j'), ('document', 'x'), ('shade', ''), ('pair', ''), ('dated', '')) AS a (n, k);

-- What survives of each attribute under an order; %v is what is compared.
CREATE FUNCTION naive(sorted text, needs_order boolean) RETURNS TABLE (cluster text, attribute text, value jsonb, record text, agreeing bigint) LANGUAGE plpgsql AS $$
DECLARE
    a record;
    filled text := (SELECT string_agg(format('(%s IS DISTINCT FROM NULL)::int', x.value), ' + ') FROM attribute AS x);
BEGIN
    FOR a IN SELECT x.* FROM attribute AS x WHERE x.has_order OR NOT needs_order LOOP
        RETURN QUERY EXECUTE replace(format($q$SELECT DISTINCT ON (cl) cl, %L, to_jsonb(v), CASE WHEN v IS DISTINCT FROM NULL THEN id END, CASE WHEN v IS DISTINCT FROM NULL THEN agree END
            FROM (SELECT *, count(*) OVER (PARTITION BY cl, %%v) AS agree FROM (SELECT coalesce(cluster, id) AS cl, g.*, %s AS v, %s AS filled FROM given AS g OFFSET 0) AS s) AS t
            ORDER BY cl, (v IS DISTINCT FROM NULL) DESC, %s, %%v, length(id), id COLLATE "C"$q$, a.name, a.value, filled, sorted), '%v', a.key);
    END LOOP;
END $$;
CREATE TABLE tried (n int, rule jsonb, sorted text, needs_order boolean DEFAULT false);
INSERT INTO tried (n, rule, sorted) VALUES (1, '"most_frequent"', 'agree DESC'), (2, '"most_recent"', 'dated DESC NULLS LAST'), (3, '"least_recent"', 'dated NULLS LAST'),
    (4, '"longest"', 'coalesce(length(v::text), 0) DESC'), (5, '"shortest"', 'coalesce(length(v::text), 0)'), (6, '"source_priority"', 'array_position(ARRAY[''b'', '''', ''a''], source) NULLS LAST'),
    (7, '"most_complete_record"', 'filled DESC'),
    (10, '["most_frequent", "most_recent"]', 'agree DESC, dated DESC NULLS LAST'), (11, '["source_priority", "longest", "least_recent"]', 'array_position(ARRAY[''b'', '''', ''a''], source) NULLS LAST, coalesce(length(v::text), 0) DESC, dated NULLS LAST'),
    (12, '{"rule": "most_recent", "recency": "id"}', 'id DESC NULLS LAST');
INSERT INTO tried VALUES (8, '"min"', '%v', true), (9, '"max"', '%v DESC NULLS LAST', true);
CREATE TABLE expected AS SELECT t.n, o.* FROM tried AS t CROSS JOIN LATERAL naive(t.sorted, t.needs_order) AS o;
CREATE TABLE made AS SELECT t.n, g.* FROM tried AS t CROSS JOIN LATERAL mastering.golden_records(
    'SELECT id, source, name, code, price, ratio, tags, facts, document, shade, pair, dated, long FROM given', 'SELECT id, cluster AS cluster_id FROM given',
    CASE WHEN t.needs_order THEN jsonb_build_object('attributes', (SELECT jsonb_object_agg(a.name, t.rule) FROM attribute AS a WHERE a.has_order)) ELSE jsonb_build_object('default', t.rule) END
    || '{"recency": "dated", "source_priority": ["b", "", "a"]}') AS g;
ANALYZE expected, made;
SELECT t.rule, count(*) AS compared, count(*) FILTER (WHERE (g.golden -> o.attribute) IS DISTINCT FROM coalesce(o.value, 'null')) AS other_values,
    count(*) FILTER (WHERE g.lineage -> o.attribute ->> 'record' IS DISTINCT FROM o.record) AS other_records,
    count(*) FILTER (WHERE (g.lineage -> o.attribute ->> 'agreeing')::bigint IS DISTINCT FROM o.agreeing) AS other_counts
FROM tried AS t JOIN expected AS o USING (n) LEFT JOIN made AS g ON g.n = t.n AND g.cluster_id = o.cluster
GROUP BY t.n, t.rule ORDER BY t.n;
-- Counts of records and sources; a group; a union.
SELECT count(*) AS clusters, max(g.record_count) AS largest, count(*) FILTER (WHERE (g.record_count, g.source_count) IS DISTINCT FROM (o.records, o.sources)) AS other_counts,
    count(*) FILTER (WHERE (g.golden -> 'price', g.golden -> 'shade') IS DISTINCT FROM (coalesce(o.price, 'null'), coalesce(o.shade, 'null'))) AS other_groups,
    count(*) FILTER (WHERE g.golden -> 'name' IS DISTINCT FROM coalesce(to_jsonb(o.names), 'null')) AS other_unions
FROM mastering.golden_records('SELECT id, source, name, price, shade FROM given', 'SELECT id, cluster AS cluster_id FROM given', '{"groups": [["price", "shade"]], "attributes": {"name": "union"}}') AS g
JOIN (SELECT coalesce(s.cluster, s.id) AS cluster, count(*) AS records, count(DISTINCT s.source) AS sources,
        (array_agg(to_jsonb(s.price) ORDER BY s.filled = 0, s.agree DESC, s.filled DESC, s.price, s.shade, length(s.id), s.id COLLATE "C"))[1] AS price,
        (array_agg(to_jsonb(s.shade) ORDER BY s.filled = 0, s.agree DESC, s.filled DESC, s.price, s.shade, length(s.id), s.id COLLATE "C"))[1] AS shade,
        array_agg(DISTINCT s.name COLLATE "C") FILTER (WHERE translate(s.name, E' \t\n', '') <> '') AS names
    FROM (SELECT *, count(*) OVER (PARTITION BY coalesce(cluster, id), price, shade) AS agree, (price IS NOT NULL)::int + (shade IS NOT NULL)::int AS filled FROM given) AS s GROUP BY 1) AS o
    ON o.cluster = g.cluster_id;
-- The lineage is written byte for byte as jsonb would be, with more than 32 keys too, where offsets take the place of lengths.
SELECT count(*) AS records, bool_and(g.lineage = g.lineage::text::jsonb AND pg_column_size(g.lineage) = pg_column_size(g.lineage::text::jsonb)) AS canonical,
    bool_and((SELECT count(*) = 41 FROM jsonb_object_keys(g.lineage) AS k WHERE g.lineage -> k ->> 'record' IS NOT NULL)) AS found
FROM mastering.golden_records((SELECT 'SELECT id, source, ' || string_agg(format('%s AS %I', i, repeat('k', i % 7) || i), ', ') || ' FROM given' FROM generate_series(1, 41) AS i), 'SELECT id, cluster AS cluster_id FROM given') AS g;
-- A union of arrays, which is what an environment makes, is one of their elements.
CREATE FUNCTION united(query text) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT to_jsonb(g) FROM (' || mastering.golden_sql(query, NULL, '{"default": "union"}', true) || ') AS g'; END $$;
SELECT * FROM united($$SELECT id, ARRAY[name, 'Ann'] AS names, numbers, 1::bigint AS "#cluster" FROM (VALUES (1, 'b', '{3,NULL,1}'::int[]), (2, ' ', '{1}'), (3, NULL, '{}'), (4, 'a', NULL)) AS v (id, name, numbers)
    UNION ALL SELECT 5, '{NULL,""}'::text[], '{2,2}', 2$$);
SELECT * FROM united('SELECT 1 AS id, ARRAY[point ''(1,2)''] AS places, 1::bigint AS "#cluster"');

-- A hundred thousand records in a cluster cost what their sorting costs.
SET statement_timeout = '10min';
SELECT record_count, source_count, golden, lineage -> 'few' ->> 'agreeing' AS agreeing FROM mastering.golden_records(
    $$SELECT i AS id, 's' || i % 30000 AS source, md5(i::text) AS own, i % 7 AS few, ARRAY[i % 3] AS list FROM generate_series(1, 100000) AS i$$, 'SELECT i AS id, 1 AS cluster_id FROM generate_series(1, 100000) AS i');
SELECT record_count, jsonb_array_length(golden -> 'own') AS distinct_values FROM mastering.golden_records(
    $$SELECT i AS id, md5((i / 2)::text) AS own FROM generate_series(1, 100000) AS i$$, 'SELECT i AS id, 1 AS cluster_id FROM generate_series(1, 100000) AS i', '{"default": "union"}');
RESET statement_timeout;
-- The aggregate on its own: no rows, one plan a group, plans that fit the records.
SELECT mastering.golden_agg('{}', r) FROM (SELECT ROW('1', 's', false) AS r WHERE false) AS x;
SELECT mastering.golden_agg('{"source": true, "columns": [], "units": []}', ROW('1'::text, 's'::text, false)) FROM generate_series(1, 1);
SELECT mastering.golden_agg('{"source": true, "columns": [], "units": []}', ROW(i::text, 's'::text, false)) FROM generate_series(1, 3) AS i;
SELECT mastering.golden_agg('{"source": true, "columns": [], "units": []}', ROW('1'::text, 's'::text, false)) FROM generate_series(1, 2);
SELECT mastering.golden_agg('{"source": true, "columns": [], "units": []}', ROW(1, 's'::text, false)) FROM generate_series(1, 2);
SELECT mastering.golden_agg('{"source": true, "columns": [{"name": "a", "value": 4, "key": 5}], "units": []}', ROW('1'::text, 's'::text, false, 1));
SELECT mastering.golden_agg('{"source": true, "columns": [{"name": "a", "value": 4, "key": 4}], "units": []}', ROW('1'::text, 's'::text, false, 1));
SELECT mastering.golden_agg('{"source": true, "columns": [{"name": "a", "value": 4, "key": 4, "blank": true}], "units": []}', ROW('1'::text, 's'::text, false, 1));
SELECT mastering.golden_agg('{"source": true, "columns": []}', NULL);
SELECT mastering.golden_field(ROW(1, 'a'::text), 2, NULL::text), mastering.golden_field(ROW(1, NULL::text), 2, NULL::text), mastering.golden_field(NULL, 2, NULL::text);
SELECT mastering.golden_field(ROW(1, 'a'::text), 2, NULL::int);
SELECT mastering.golden_field(ROW(1, 'a'::text), 3, NULL::int);

-- The hash of rows survives an error that is caught.
SET client_min_messages = warning;
DO $$ DECLARE h text; BEGIN
    EXECUTE 'SELECT mastering.rows_hash(ROW(1 / (3 - i))) FROM generate_series(1, 5) AS i' INTO h;
EXCEPTION WHEN division_by_zero THEN RAISE WARNING 'caught'; END $$;
SELECT mastering.rows_hash(ROW(i, 'é'::text, NULL::text, '{"b": [1.50, null]}'::jsonb, 'x '::char(3))) FROM generate_series(1, 3) AS i;

DROP FUNCTION naive, united, pick;
DROP TABLE given, attribute, tried, expected, made;
DROP TYPE shade, pair;
\c :home
DROP DATABASE golden_differential;
