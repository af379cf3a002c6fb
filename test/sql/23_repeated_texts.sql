-- What EM may take for one thing in texts: papers of one group, goods of one family. Made-up papers and goods with few copies.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET search_path = public, mastering;

CREATE FUNCTION part(n int, salt text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(salt || n), 1, 6))::bit(24)::int / 16777216.0 $$;
CREATE FUNCTION term(n float8, salt text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(substr('bcdfghjklmnprstvwz', 1 + get_byte(h, i) % 18, 1) || substr('aeiou', 1 + get_byte(h, i + 8) % 5, 1), '' ORDER BY i)
    FROM (SELECT decode(md5(salt || n::int), 'hex') AS h) AS hashed, generate_series(0, 2) AS i $$;

-- ---- papers: those of one group have their authors in common and nothing of their titles ----
CREATE TABLE papers AS
SELECT n AS id, (SELECT string_agg(term(part(n * 16 + i, 't') * 900, 'a'), ' ' ORDER BY i) FROM generate_series(1, 8) AS i) AS title,
    (SELECT string_agg(initcap(term(grp * 10 + i, 'f')) || ', ' || initcap(term(grp * 10 + i, 'g')), ' and ' ORDER BY i) FROM generate_series(1, 5 + n % 2) AS i) AS author,
    (SELECT string_agg(term((part(n, 'j') * 30)::int * 10 + i, 'j'), ' ' ORDER BY i) FROM generate_series(1, 3) AS i) AS journal, (1990 + n % 30)::text AS year
FROM generate_series(1, 600) AS n, LATERAL (SELECT (part(n, 'g') * 150)::int AS grp) AS groups;
INSERT INTO papers
SELECT id + 1000, CASE id % 2 WHEN 0 THEN '{' || initcap(title) || '}' ELSE replace(title, 'a', 'e') END,
    CASE WHEN id % 3 = 0 THEN split_part(author, ' and ', 1) || ' and others' ELSE author END, CASE WHEN id % 5 > 0 THEN journal END, year
FROM papers WHERE id <= 50;
CREATE TABLE of_papers AS SELECT * FROM dedupe_as(NULL::int, 'SELECT * FROM papers');
SELECT count(*) FILTER (WHERE a.id % 1000 = b.id % 1000) >= 30 AS found, count(*) <= 55 AS few_others
FROM of_papers AS a JOIN of_papers AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;

-- ---- goods of a family have many words in common; the text of the whole record says that once more ----
CREATE TABLE goods AS
SELECT n AS id, term(family % 12, 'm') || ' ' || term(family, 'k') || ' ' || term(n % 40, 'o') || ' ' || term(n, 'n') AS name,
    (SELECT string_agg(CASE WHEN i <= 6 THEN term(family * 40 + (part(n * 20 + i, 'w') * 16)::int, 'd') ELSE term((part(n * 20 + i, 'x') ^ 2 * 1500)::int, 'e') END, ' ' ORDER BY i)
        FROM generate_series(1, 10) AS i) AS description, round(((10 + part(n, 'p') * 300)::numeric), 2) AS price
FROM generate_series(1, 900) AS n, LATERAL (SELECT (part(n, 'y') * 100)::int AS family) AS families;
INSERT INTO goods
SELECT id + 1000, replace(name, 'a', CASE WHEN id % 2 = 0 THEN 'a' ELSE 'e' END),
    CASE WHEN id % 3 > 0 THEN name || ' ' || (SELECT string_agg(CASE WHEN i <= 7 THEN split_part(description, ' ', i) ELSE term(part(id * 16 + i, 'z') * 3000, 'q') END, ' ' ORDER BY i)
        FROM generate_series(1, 10) AS i) END, round(price * 1.1, 2)
FROM goods WHERE id <= 300;
CREATE TABLE of_goods AS SELECT * FROM dedupe_as(NULL::int, 'SELECT * FROM goods');
SELECT count(*) AS without_the_whole_record FROM last_run() WHERE phase = 'repeats';
SELECT count(*) FILTER (WHERE a.id % 1000 = b.id % 1000) >= 240 AS found, count(*) <= 300 AS few_others
FROM of_goods AS a JOIN of_goods AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;
-- The same whatever the threads and the order of the records; and such a model is one like any other.
SELECT suggest('SELECT * FROM goods') AS spec \gset
SET mastering.threads = 1;
SELECT train_model('SELECT * FROM goods ORDER BY id', :'spec') AS model \gset
SET mastering.threads = 4;
SELECT train_model('SELECT * FROM goods ORDER BY md5(id::text)', :'spec') = :'model' AS same_model;
RESET mastering.threads;
SELECT count(*) AS otherwise FROM of_goods AS a FULL JOIN match_clusters_as(NULL::int, 'SELECT * FROM goods', :'model') AS b
    USING (id, cluster_id, size) WHERE a.id IS NULL OR b.id IS NULL;

-- ---- columns that one source alone has: pairs across sources teach nothing of them, so that they say nothing ----
CREATE TABLE stock AS
SELECT id, CASE WHEN id < 1000 THEN 'shop' ELSE 'mill' END AS source, name, CASE WHEN id < 1000 THEN split_part(name, ' ', 1) END AS maker,
    CASE WHEN id < 1000 THEN 'aisle ' || id % 7 END AS shelf
FROM goods WHERE id > 1000 OR id < 400;
CREATE TABLE taught AS SELECT train_model('SELECT * FROM stock', '{"blocking": [{"keys": ["name"], "top_k": 5}],
    "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9]}, {"column": "maker", "method": "exact"}, {"column": "shelf", "method": "exact"}]}') AS model;
SELECT c ->> 'column' AS "column", count(*) FILTER (WHERE t ->> 'm' <> t ->> 'u') AS levels_that_tell
FROM taught, jsonb_array_elements(model -> 'comparisons') AS c, jsonb_array_elements(c -> 'trained') AS t GROUP BY 1 ORDER BY 1;
DROP TABLE papers, of_papers, goods, of_goods, stock, taught;
DROP FUNCTION part(int, text), term(float8, text);
