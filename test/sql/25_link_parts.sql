-- Clusters are made on threads, of links dealt by component: more links than one part takes, with what ties components
-- together beyond links (labels), and what forbids joining (labels, sources, likeness on average).
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE FUNCTION link_parts_pick(seed int, most int) RETURNS int LANGUAGE sql IMMUTABLE RETURN abs(hashint4(seed)::bigint) % most;
-- 9,000 records of 3,000 things: names that are common, errors in a third of the records.
CREATE TABLE link_parts_record AS
SELECT r AS id, thing, 's' || r / 3000 AS source,
    substr(md5((thing * 7)::text), 1, 6) || CASE WHEN link_parts_pick(r * 11, 3) = 0 THEN 'x' ELSE '' END AS given,
    substr(md5(link_parts_pick(thing, 900)::text), 1, 8) AS family, 'city ' || link_parts_pick(thing * 3, 60) AS city
FROM (SELECT r, r % 3000 AS thing FROM generate_series(0, 8999) AS r) AS records;
CREATE TABLE link_parts_label AS
SELECT a.id AS id_a, b.id AS id_b, a.thing = b.thing AND a.id % 7 <> 0 AS is_match
FROM link_parts_record AS a JOIN link_parts_record AS b ON a.id < b.id AND a.family = b.family WHERE a.id % 30 = 0;
\set spec '{"blocking": ["family", ["given", "city"]], "comparisons": [{"column": "given", "levels": [0.9, 0.8]}, {"column": "family", "method": "exact"}, {"column": "city", "method": "exact"}]}'
SELECT mastering.train_model('SELECT id, given, family, city FROM link_parts_record', :'spec') AS model \gset

CREATE FUNCTION link_parts_hash(model jsonb, threads int, columns text, threshold float8, labels text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('mastering.threads', threads::text, true);
    RETURN (SELECT md5(string_agg(concat_ws(',', id, cluster_id, size, weakest_link), ';' ORDER BY id))
        FROM mastering.match_clusters(format('SELECT id, %s FROM link_parts_record', columns), model, threshold, labels));
END $$;
SELECT kind, count(DISTINCT mastering_hash) AS results
FROM (VALUES ('average', '{}', 'given, family, city', 0.5, NULL), ('low', '{"prior": 0.2}', 'given, family, city', 0.001, NULL),
        ('single', '{"prior": 0.2, "linkage": "single"}', 'given, family, city', 0.001, NULL),
        ('sources', '{"one_per_source": "always"}', 'source, given, family, city', 0.01, NULL),
        ('labels', '{}', 'given, family, city', 0.5, 'SELECT id_a, id_b, is_match FROM link_parts_label')) AS runs (kind, change, columns, threshold, labels),
    unnest(ARRAY[1, 2, 7]) AS threads,
    LATERAL (SELECT link_parts_hash(:'model'::jsonb || change::jsonb, threads, columns, threshold, labels) AS mastering_hash) AS made
GROUP BY kind ORDER BY kind;
-- There were several parts.
SELECT split_part(facts, ' ', 1)::int > 4096 AS many FROM mastering.last_run() WHERE phase = 'clustering';
-- What each is about has an effect.
SELECT link_parts_hash(:'model', 2, 'given, family, city', 0.5, NULL) <> link_parts_hash(:'model', 2, 'given, family, city', 0.5, 'SELECT id_a, id_b, is_match FROM link_parts_label') AS labels,
    link_parts_hash(:'model', 2, 'given, family, city', 0.01, NULL) <> link_parts_hash(:'model'::jsonb || '{"one_per_source": "always"}', 2, 'source, given, family, city', 0.01, NULL) AS sources;
SELECT count(*) AS split_by_sources FROM (SELECT cluster_id, source FROM mastering.match_clusters('SELECT id, source, given, family, city FROM link_parts_record', :'model'::jsonb || '{"one_per_source": "always"}', 0.01) JOIN link_parts_record ON link_parts_record.id::text = match_clusters.id GROUP BY 1, 2 HAVING count(*) > 1) AS x;
-- Many links among few records: of two threads and more each part has room for all records and not for two a link.
CREATE TABLE link_parts_dense AS
SELECT r AS id, 'town ' || r / 300 AS town, 'name ' || link_parts_pick(r, 3) AS name FROM generate_series(0, 1199) AS r;
SELECT mastering.train_model('SELECT id, town, name FROM link_parts_dense', '{"blocking": ["town"], "comparisons": [{"column": "name", "method": "exact"}], "linkage": "single"}')
    || '{"prior": 0.9, "threshold": 0.01}' AS model \gset
SELECT count(DISTINCT content) AS results, min(links) > 50000 AS many, max(clusters) AS clusters
FROM unnest(ARRAY[1, 2, 7]) AS threads,
    LATERAL (SELECT set_config('mastering.threads', threads::text, false)) AS setting,
    LATERAL (SELECT md5(string_agg(concat_ws(',', id, cluster_id, size, weakest_link), ';' ORDER BY id)) AS content, count(DISTINCT cluster_id) AS clusters
        FROM mastering.match_clusters('SELECT id, town, name FROM link_parts_dense WHERE ' || threads || ' > 0', :'model', 0.01,
            'SELECT 0 AS id_a, 301 AS id_b, true AS is_match UNION ALL SELECT 600, 603, false')) AS made,
    LATERAL (SELECT split_part(facts, ' ', 1)::bigint AS links FROM mastering.last_run() WHERE phase = 'clustering' OFFSET 0 * clusters) AS summary;
RESET mastering.threads;
DROP TABLE link_parts_record, link_parts_label, link_parts_dense;
DROP FUNCTION link_parts_pick, link_parts_hash;
