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
SELECT substring(facts, '(-?[0-9.]+) bits more')::numeric > 1 AS raised FROM last_run() WHERE phase = 'partners';
SELECT metric, value > CASE metric WHEN 'pair_precision' THEN 0.97 ELSE 0.7 END AS enough
FROM evaluate_clusters('SELECT id, cluster_id FROM partner_clusters', 'SELECT id, thing AS entity_id FROM partner_firms')
WHERE metric IN ('pair_precision', 'pair_recall') ORDER BY metric;

DROP TABLE partner_firms, partner_clusters;
DROP FUNCTION letters(text, int), word(text), pick(text, int);
