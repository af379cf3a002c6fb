-- 22_pages.sql: a plain table is read by its pages, everything else through the executor, and what is found is the same.
-- The condition "id IS NOT NULL", true of every record, is what takes a query through the executor here.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA pages;
GRANT USAGE ON SCHEMA pages TO PUBLIC;
SET search_path = pages, pg_catalog;
CREATE FUNCTION digest(query text, spec jsonb) RETURNS text LANGUAGE sql SET client_min_messages = error AS $$
    SELECT count(*) || ' records, ' || count(DISTINCT cluster_id) || ' clusters, ' ||
           md5(string_agg(concat_ws(',', id, cluster_id, size, weakest_link), ';' ORDER BY id::bigint)) FROM mastering.dedupe(query, spec) $$;
CREATE FUNCTION same(relation text, spec jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN by_pages IS NOT DISTINCT FROM otherwise THEN regexp_replace(by_pages, ', [0-9a-f]{32}$', '') ELSE concat_ws(' but ', by_pages, otherwise) END
    FROM (SELECT pages.digest(format('SELECT * FROM %s', relation), spec) AS by_pages,
                 pages.digest(format('SELECT * FROM %s WHERE id IS NOT NULL', relation), spec) AS otherwise) AS both_ways $$;
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Values that are NULL, empty, in other scripts, compressed, stored elsewhere and long; columns of other types.
CREATE TABLE thing (
    gone text, id int, name text, city varchar(40), born date, number numeric, code char(6), kind name, notes text, phone text, tags text[]);
ALTER TABLE thing DROP COLUMN gone;
ALTER TABLE thing ALTER COLUMN notes SET STORAGE EXTERNAL;
INSERT INTO thing
SELECT n, CASE n % 11 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'Zoë Ünal-' || n / 3 WHEN 3 THEN 'Никита ' || n / 3 ELSE '  O''Neil,  ' || n / 3 END,
    CASE WHEN n % 13 > 0 THEN 'City ' || n % 7 END, CASE WHEN n % 5 > 0 THEN date '1980-01-01' + n / 3 END, CASE WHEN n % 3 > 0 THEN n / 3 + 0.5 END,
    'c' || n % 50, 'kind' || n % 9, CASE n % 400 WHEN 0 THEN repeat(md5((n / 1600)::text), 200) WHEN 1 THEN repeat('Å' || n / 1600, 9000) WHEN 2 THEN repeat('b', 70000) END,
    '+1 (555) ' || n / 3, ARRAY['t' || n / 3, 't' || n % 8]
FROM generate_series(1, 2000) AS n;
UPDATE thing SET tags = tags WHERE id % 17 = 0;
DELETE FROM thing WHERE id % 19 = 0;
INSERT INTO thing SELECT 10000 + id, name, city, born, number, code, kind, repeat(name, 3000), phone, tags FROM thing WHERE id < 60;
ANALYZE thing;
\set spec '{"blocking": ["name", "born", ["city", "phone"], "number"], "comparisons": [{"column": "name", "normalize": "text"}, "city", {"column": "born", "method": "date"}, {"column": "number", "method": "numeric"}, "code", {"column": "phone", "method": "levenshtein", "normalize": "digits"}, {"column": "notes", "method": "exact"}, {"column": "kind", "method": "exact"}]}'
SELECT same('thing', :'spec');
SELECT same('thing', '{"blocking": ["phone", {"keys": "name", "normalize": "text", "top_k": 3}], "comparisons": [{"column": "name", "normalize": "text"}, {"column": "phone", "normalize": "digits"}, {"column": "phone", "name": "other", "normalize": "text"}]}');
SELECT same('thing', '{"blocking": ["tags"], "comparisons": ["name", {"column": "tags", "elements": "best"}]}');
SELECT same('ONLY thing', :'spec'), same('(TABLE thing) AS t', :'spec');

-- It is read by its pages, and not where the plan is anything but a scan of the whole table.
CREATE FUNCTION found(query text) RETURNS bigint LANGUAGE sql SET client_min_messages = debug1 AS $$
    SELECT count(*) FROM mastering.candidate_pairs(query, '{"blocking": ["code"], "comparisons": ["code"]}') $$;
SELECT found('SELECT id, code FROM thing') > 0 AS pages;
SELECT found('SELECT * FROM thing WHERE id > 0') > 0 AS executor;
SELECT found('SELECT id + 0 AS id, code FROM thing') > 0 AS executor;
SELECT found('SELECT id::text, code FROM thing') > 0 AS executor;
SELECT found('SELECT id, code FROM thing ORDER BY name') > 0 AS executor;
SELECT found('SELECT id, code FROM thing LIMIT 3000') > 0 AS executor;
SELECT found('SELECT id, code FROM thing TABLESAMPLE system (100)') > 0 AS executor;
SELECT found('SELECT id, (SELECT max(code) FROM thing) AS code FROM thing LIMIT 5') > 0 AS executor;

-- Ids of two and of eight bytes; columns that came later, with a value for older rows and without.
CREATE TABLE small_ids AS SELECT id::int2, name, city FROM thing;
CREATE TABLE large_ids AS SELECT -id::int8 * 5000000000 AS id, name, city FROM thing;
ALTER TABLE large_ids ADD COLUMN later text, ADD COLUMN value text DEFAULT 'v';
UPDATE large_ids SET later = city, value = 'w' WHERE id % 2 = 0;
SELECT same('small_ids', '{"blocking": ["name"], "comparisons": ["name", "city"]}');
SELECT same('large_ids', '{"blocking": ["name"], "comparisons": ["name", "city", "later"]}'), same('large_ids', '{"blocking": ["name"], "comparisons": ["name", "value"]}');

-- What the transaction sees and nothing else, in tables of any kind.
BEGIN;
DELETE FROM thing WHERE id % 3 = 0;
SAVEPOINT before;
INSERT INTO thing (id, name, city) SELECT 20000 + n, 'new ' || n / 2, 'here' FROM generate_series(1, 500) AS n;
SELECT same('thing', :'spec');
ROLLBACK TO before;
SELECT same('thing', :'spec');
ROLLBACK;
SELECT same('thing', :'spec');
CREATE TEMP TABLE temporary AS TABLE thing;
CREATE UNLOGGED TABLE nothing (LIKE thing);
CREATE MATERIALIZED VIEW kept AS TABLE thing;
CREATE VIEW seen AS SELECT id, name AS city, city AS name FROM thing;
CREATE TABLE parted (LIKE thing) PARTITION BY RANGE (id);
CREATE TABLE part_one PARTITION OF parted DEFAULT;
INSERT INTO parted TABLE thing;
SELECT same('temporary', :'spec'), same('nothing', :'spec'), same('kept', :'spec');
SELECT same('seen', '{"blocking": ["name"], "comparisons": ["name", "city"]}'), same('parted', :'spec'), same('part_one', :'spec');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT same('thing', :'spec');
COMMIT;

-- Short texts of all lengths, ends and heads, up to the ends of pages; then statistics that are about other records.
CREATE TABLE short (id int, code text, name text);
ALTER TABLE short ALTER COLUMN name SET STORAGE PLAIN;
INSERT INTO short SELECT n, substr(repeat('aB9' || n % 40 || 'Zé', 9), n % 5, n % 37), substr(repeat('Ab-9 x''y.Z0', 5), n % 12 + 1, n / 3 % 40) FROM generate_series(1, 3000) AS n;
ANALYZE short;
CREATE FUNCTION pairs(query text, keys text) RETURNS text LANGUAGE sql SET client_min_messages = error AS $$
    SELECT count(*) || ' pairs ' || md5(string_agg(concat_ws(',', id_a, id_b, rules), ';' ORDER BY id_a::int, id_b::int))
    FROM mastering.candidate_pairs(query, format('{"blocking": [%s], "comparisons": ["id"]}', keys)::jsonb) $$;
CREATE FUNCTION same_pairs(keys text DEFAULT '"code", "name", {"keys": "name", "normalize": "text"}, {"keys": "code", "normalize": "alphanumeric"}') RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN by_pages = otherwise THEN split_part(by_pages, ' ', 1) ELSE concat_ws(' but ', by_pages, otherwise) END
    FROM (SELECT pages.pairs('SELECT * FROM short', keys) AS by_pages, pages.pairs('SELECT * FROM short WHERE id IS NOT NULL', keys) AS otherwise) AS both_ways $$;
\set apart '{"keys": "name", "normalize": "text"}, {"keys": "code", "normalize": "alphanumeric"}'
SELECT same_pairs() AS pairs, same_pairs(:'apart') AS apart;
ALTER TABLE short ALTER COLUMN code SET STORAGE PLAIN;
UPDATE short SET code = left(code || '', 31), name = name || name;
SELECT same_pairs() AS pairs, same_pairs(:'apart') AS apart;
DELETE FROM short;
SELECT count(*) FROM mastering.dedupe('SELECT * FROM short', '{"blocking": ["name"], "comparisons": ["name", "code"]}');
INSERT INTO short SELECT n, 'k' || n / 2, 'name ' || n / 2 FROM generate_series(1, 2000) AS n;
SELECT same_pairs() AS pairs;

-- Sources; memory for a part of the records only.
CREATE TABLE sourced AS SELECT id, name, city, phone, CASE WHEN id % 4 > 0 THEN 'source ' || id % 2 END AS source FROM thing;
SELECT same('sourced', '{"link": "across_sources", "blocking": ["name", "phone"], "comparisons": ["name", "city", "phone"]}');
CREATE TABLE many AS SELECT n AS id, 'name ' || n / 3 AS name, md5((n / 3)::text) AS mail, repeat('Ä', 9) || n / 4 AS city FROM generate_series(1, 20000) AS n;
SELECT same('many', '{"blocking": ["name", "mail"], "comparisons": ["name", "mail", "city"]}') AS in_memory;
SET mastering.work_mem = '1MB';
SELECT same('many', '{"blocking": ["name", "mail"], "comparisons": ["name", "mail", "city"]}') AS in_passes;
RESET mastering.work_mem;
SET mastering.threads = 1;
SELECT same('thing', :'spec') AS one_thread;
RESET mastering.threads;

-- Errors are those of the executor.
INSERT INTO thing (id, name) VALUES (NULL, 'nobody');
SELECT try($$SELECT * FROM mastering.dedupe('SELECT id, name FROM pages.thing', '{"blocking": ["name"], "comparisons": ["name"]}')$$);
DELETE FROM thing WHERE id IS NULL;
INSERT INTO thing (id, name) VALUES (1, 'again');
SELECT try($$SELECT * FROM mastering.dedupe('SELECT id, name FROM pages.thing', '{"blocking": ["name"], "comparisons": ["name"]}')$$);
DELETE FROM thing WHERE name = 'again';

-- Rights and row security.
CREATE ROLE pages_reader;
SET ROLE pages_reader;
SELECT try($$SELECT * FROM mastering.candidate_pairs('SELECT id, city FROM pages.thing', '{"blocking": ["city"], "comparisons": ["city"]}')$$);
RESET ROLE;
GRANT SELECT (id, city) ON thing TO pages_reader;
SET ROLE pages_reader;
SELECT try($$SELECT * FROM mastering.candidate_pairs('SELECT id, city FROM pages.thing', '{"blocking": ["city"], "comparisons": ["city"]}')$$);
SELECT try($$SELECT * FROM mastering.candidate_pairs('SELECT id, name FROM pages.thing', '{"blocking": ["name"], "comparisons": ["name"]}')$$);
RESET ROLE;
ALTER TABLE thing ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON thing TO pages_reader USING (id <= 100);
GRANT EXECUTE ON FUNCTION found(text) TO pages_reader;
SET ROLE pages_reader;
SELECT count(*) AS pairs, max(id_b::int) <= 100 AS those_seen FROM mastering.candidate_pairs('SELECT id, city FROM pages.thing', '{"blocking": ["city"], "comparisons": ["city"]}');
RESET ROLE;

DROP SCHEMA pages CASCADE;
DROP ROLE pages_reader;
