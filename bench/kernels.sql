-- kernels.sql: what one call of a similarity function costs in SQL, over the cost of a = b: the least of fifteen runs, by
-- pairs of names of about 16 characters of which every third pair is alike, and by such names in other letters. Used by kernels.sh.
\set QUIET on
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
CREATE TEMP TABLE pairs AS
SELECT left(a, 16) AS a, CASE WHEN i % 3 = 0 THEN overlay(left(a, 16) PLACING 'x' FROM 5 FOR 1) ELSE left(b, 16) END AS b
FROM (SELECT i, (ARRAY['anderson','bartholomew','castellano','dimitriadis','eriksson','fitzgerald','gonzalez','hernandez','ivanovic','johansson'])[1 + hashint4(i) & 7] || ' ' || substr(translate(md5(i::text), '0123456789', 'ghijklmnop'), 1, 9) AS a,
    (ARRAY['anderson','bartholomew','castellano','dimitriadis','eriksson','fitzgerald','gonzalez','hernandez','ivanovic','johansson'])[1 + hashint4(i + 7) & 7] || ' ' || substr(translate(md5((i * 7)::text), '0123456789', 'ghijklmnop'), 1, 9) AS b
    FROM generate_series(1, 1000000) AS i) AS made;
-- The same names with letters that are not ASCII: some of them (Latin with marks), all of them (Greek).
CREATE TEMP TABLE latin AS SELECT translate(a, 'aeioun', 'äéîöüñ') AS a, translate(b, 'aeioun', 'äéîöüñ') AS b FROM pairs;
CREATE TEMP TABLE greek AS
SELECT translate(a, 'abcdefghijklmnopqrstuvwxyz', 'αβγδεζηθικλμνξοπρςστυφχψωϊ') AS a, translate(b, 'abcdefghijklmnopqrstuvwxyz', 'αβγδεζηθικλμνξοπρςστυφχψωϊ') AS b FROM pairs;
-- Letters of three first bytes, and of three bytes.
CREATE TEMP TABLE polish AS SELECT translate(a, 'aeinoslz', 'ąęiłóśźż') AS a, translate(b, 'aeinoslz', 'ąęiłóśźż') AS b FROM pairs;
CREATE TEMP TABLE hangul AS
SELECT translate(a, 'abcdefghijklmnopqrstuvwxyz', '가나다라마바사아자차카타파하거너더러머버서어저처커터') AS a, translate(b, 'abcdefghijklmnopqrstuvwxyz', '가나다라마바사아자차카타파하거너더러머버서어저처커터') AS b FROM pairs;
VACUUM pairs, latin, greek, polish, hangul;
CREATE TEMP TABLE measures (id int GENERATED ALWAYS AS IDENTITY, name text, condition text, names text DEFAULT 'pairs', ns float8 DEFAULT 'infinity');
INSERT INTO measures (name, condition) VALUES ('a = b', 'a = b');
INSERT INTO measures (name, condition)
SELECT f, format('mastering.%I(a, b) < 0', f) FROM unnest(ARRAY['jaro_similarity', 'jaro_winkler_similarity', 'levenshtein_similarity', 'damerau_similarity', 'lcs_similarity']) AS f;
INSERT INTO measures (name, condition, names) SELECT 'a = b, ' || kind, 'a = b', kind FROM unnest(ARRAY['latin', 'greek', 'polish', 'hangul']) AS kind;
INSERT INTO measures (name, condition, names)
SELECT format('%s, %s', f, kind), format('mastering.%I(a, b) < 0', f), kind
FROM unnest(ARRAY['jaro_winkler_similarity', 'levenshtein_similarity', 'damerau_similarity']) AS f, unnest(ARRAY['latin', 'greek', 'polish', 'hangul']) AS kind;
INSERT INTO measures (name, condition)
SELECT f || ', one against many', format('mastering.%I(''anderson ghijklmn'', b) < 0', f) FROM unnest(ARRAY['jaro_winkler_similarity', 'levenshtein_similarity']) AS f;
-- Nanoseconds this process has run: what others do on the machine is not counted, but for the caches.
CREATE FUNCTION pg_temp.processor_ns() RETURNS bigint LANGUAGE sql AS $$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint $$;
-- In turns, so that each meets the processor's quick and slow times.
DO $$
DECLARE
    measure record;
    started bigint;
    rows bigint;
BEGIN
    FOR turn IN 1 .. 15 LOOP
        FOR measure IN SELECT * FROM measures ORDER BY id LOOP
            started := pg_temp.processor_ns();
            EXECUTE format('SELECT count(*) FROM %I WHERE %s', measure.names, measure.condition) INTO rows;
            UPDATE measures SET ns = least(ns, (pg_temp.processor_ns() - started) / 1000000.0) WHERE id = measure.id;
        END LOOP;
    END LOOP;
END
$$;
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' '
SELECT '  ' || rpad(name, 44), round(ns::numeric) || ' ns a row,', round((ns - (SELECT ns FROM measures WHERE name = 'a = b'))::numeric) || ' ns over a = b' FROM measures ORDER BY id;
