-- Names of firms alone, of which a third have a second record that leaves much out: what records have for partners says that what lies below
-- the threshold is right, too.
SET client_min_messages = warning;
SET search_path = public, mastering;

\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
CREATE FUNCTION letters(key text, n int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT translate(left(md5(key), n), '0123456789', 'ghijklmnop') $$;

CREATE TABLE partner_firms AS
SELECT row_number() OVER (ORDER BY md5('r' || n || copy)) AS id, n AS thing,
    CASE WHEN copy = 0 THEN letters('a' || n, 8) || ' ' || letters('b' || n % 60, 7) || ' '
        || (ARRAY['Holdings', 'Group', 'Systems', 'Energy', 'Partners', 'Capital', 'Technologies', 'Foods', 'Media', 'Health'])[1 + pick('k' || n, 10)] || ' '
        || (ARRAY['Inc', 'Ltd', 'Corporation', 'PLC'])[1 + pick('l' || n, 4)]
    ELSE left(letters('a' || n, 8), 8 - pick('cut' || n, 3))
        || CASE pick('how' || n, 3) WHEN 0 THEN '' WHEN 1 THEN ' ' || letters('b' || n % 60, 7) ELSE ' ' || letters('z' || n, 5) END END AS name
FROM generate_series(1, 1500) AS n, generate_series(0, 1) AS copy WHERE copy = 0 OR pick('c' || n, 3) = 0;

CREATE TABLE partner_clusters AS SELECT id::bigint, cluster_id FROM dedupe('SELECT id, name FROM partner_firms');
SELECT metric, value > CASE metric WHEN 'pair_precision' THEN 0.97 ELSE 0.7 END AS enough
FROM evaluate_clusters('SELECT id, cluster_id FROM partner_clusters', 'SELECT id, thing AS entity_id FROM partner_firms')
WHERE metric IN ('pair_precision', 'pair_recall') ORDER BY metric;

-- In passes as in memory, in any order of rows, on one thread as on two: what a record's second partner is hangs on nothing else.
CREATE TABLE partner_slips AS
SELECT row_number() OVER (ORDER BY md5('t' || n || ' ' || copy)) AS id, 'h' || n % 5 AS house, repeat(md5(n || ' ' || copy), 8) AS page,
    CASE WHEN copy = 0 THEN t ELSE left(t, length(t) - pick('y' || n || copy, length(t) * 2 / 3)) END AS name
FROM generate_series(1, 2000) AS n, generate_series(0, 2) AS copy,
    LATERAL (SELECT letters('a' || n, 8) || ' ' || letters('b' || n % 500, 7) || ' ' || letters('c' || n % 31, 6) AS t) AS x
WHERE copy <= (pick('q' || n, 3) = 0)::int + (pick('q' || n, 150) = 0)::int;
CREATE TABLE partner_slips_shuffled AS SELECT * FROM partner_slips ORDER BY md5('z' || id);
CREATE FUNCTION partner_result(relation text, OUT partners text, OUT spilt boolean, OUT content text) LANGUAGE plpgsql AS $$
DECLARE
    query text := 'SELECT id, name, house, page FROM ' || relation;
    spec jsonb := '{"blocking": ["house", "page"], "threshold": 0.02,
                    "comparisons": [{"column": "name", "method": "levenshtein", "levels": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]}]}';
BEGIN
    SELECT md5(train_model(query, spec)::text || string_agg(concat_ws(',', d.id, d.cluster_id, d.weakest_link), ';' ORDER BY d.id)) INTO content FROM dedupe(query, spec) AS d;
    SELECT max(facts) FILTER (WHERE phase = 'partners'), bool_or(phase = 'spill') INTO partners, spilt FROM last_run();
END $$;
SET mastering.work_mem = '1GB';
SET mastering.threads = 1;
CREATE TABLE partner_slips_result AS SELECT * FROM partner_result('partner_slips');
SELECT partners, spilt FROM partner_slips_result;
SET mastering.threads = 2;
SELECT r.partners = m.partners AS same_partners, r.spilt, r.content = m.content AS same_content FROM partner_slips_result AS m, partner_result('partner_slips_shuffled') AS r;
SET mastering.work_mem = '1MB';
SELECT r.partners = m.partners AS same_partners, r.spilt, r.content = m.content AS same_content FROM partner_slips_result AS m, partner_result('partner_slips_shuffled') AS r;
RESET mastering.work_mem;
RESET mastering.threads;

-- A hundred institutions of two to fourteen texts, and twenty things of two equal ones. Few of the pairs that weigh most have a third record, which is no reason to take those alone for right.
CREATE TABLE affiliations AS
WITH w AS (SELECT array_agg(x ORDER BY i) AS words FROM (SELECT i, translate(substr(md5('w' || i), 1, 7), '0123456789', 'ghijklmnop') AS x FROM generate_series(1, 400) i) q)
SELECT o * 100 + k AS id, o AS entity,
    CASE WHEN h1 % 3 = 0 THEN '' ELSE 'department of ' || words[1 + h1 % 40] || CASE WHEN h2 % 2 = 0 THEN ' and ' || words[1 + h2 % 40] ELSE '' END || ', ' END ||
    CASE WHEN h2 % 3 = 0 THEN 'univ. ' ELSE 'university of ' END || words[41 + o % 330] || CASE WHEN h3 % 2 = 0 THEN ' ' || words[41 + (o * 7) % 350] ELSE '' END ||
    CASE WHEN h3 % 3 = 0 THEN '' ELSE ', ' || words[100 + o % 60] END || CASE WHEN h4 % 2 = 0 THEN ', ' || words[390 + o % 10] ELSE '' END AS name
FROM w, generate_series(1, 100) AS o, LATERAL generate_series(1, 2 + o % 13) AS k,
    LATERAL (SELECT hashint4(o * 100 + k) & 65535 AS h1, hashint4(o * 100 + k + 7000000) & 65535 AS h2, hashint4(o * 100 + k + 17000000) & 65535 AS h3, hashint4(o * 100 + k + 27000000) & 65535 AS h4) AS h;
INSERT INTO affiliations SELECT 90000 + 2 * n + k, 1000 + n, 'institute ' || translate(md5('i' || n), '0123456789', 'ghijklmnop') FROM generate_series(1, 20) AS n, generate_series(0, 1) AS k;
WITH c AS (SELECT cluster_id, entity FROM mastering.dedupe_as(NULL::int, 'SELECT id, name FROM affiliations') JOIN affiliations USING (id)),
    n AS (SELECT (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM c GROUP BY cluster_id, entity) AS g) AS right_pairs, (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM c GROUP BY cluster_id) AS g) AS found,
        (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM c GROUP BY entity) AS g) AS there)
SELECT right_pairs > 0.9 * found AS precise, right_pairs > 0.5 * there AS complete FROM n;
DROP TABLE affiliations;

-- Two lists of nine hundred titles, of which one word in three differs, one to one: what few equal ones teach is too strict, and partners without rivals further below say so.
CREATE TABLE partner_titles AS SELECT n || s AS id, s AS source, n AS thing, (SELECT string_agg(word(CASE WHEN s = 'a' OR (k + n) % 3 < 2 THEN 'w' || (n * 31 + k * 17) % 1300 ELSE 'v' || (n * 13 + k * 7) % 1300 END), ' ' ORDER BY k) FROM generate_series(1, 2 + n % 5) AS k) AS title, (1950 + n * 7 % 60)::text AS year
FROM generate_series(1, 900) AS n, unnest('{a,b}'::text[]) AS s;
SELECT mastering.train_model('SELECT id, source, title, year FROM partner_titles', mastering.suggest('SELECT id, source, title, year FROM partner_titles')) AS m \gset
SELECT facts FROM mastering.last_run() WHERE phase = 'lower';
WITH c AS (SELECT cluster_id, thing FROM mastering.match_clusters('SELECT id, source, title, year FROM partner_titles', :'m') JOIN partner_titles USING (id)),
    n AS (SELECT count(*) AS pairs, count(*) FILTER (WHERE things = 1) AS right_pairs FROM (SELECT count(DISTINCT thing) AS things FROM c GROUP BY cluster_id HAVING count(*) = 2) AS g)
SELECT right_pairs > 0.95 * pairs AS precise, right_pairs > 800 AS complete FROM n;
DROP TABLE partner_titles;

DROP TABLE partner_firms, partner_clusters, partner_slips, partner_slips_shuffled, partner_slips_result;
DROP FUNCTION partner_result(text);
DROP FUNCTION letters(text, int), word(text), pick(text, int);
