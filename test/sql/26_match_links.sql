-- match_links: the pairs that match_pairs finds, as far as a marked record is in them.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA links;
CREATE TABLE links.people AS SELECT i AS id, 'crm' AS source, 'First' || i % 97 || ' Last' || md5((i % 400)::text) AS name, ARRAY['k' || i % 50, 'l' || i % 30] AS tags, i % 7 = 0 AS "#probe" FROM generate_series(1, 1500) i;
SELECT mastering.train_model('SELECT id, source, name, tags FROM links.people', '{"blocking": ["left(name, 7)", {"keys": ["tags"]}], "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}]}') AS model \gset
CREATE TABLE links.pairs AS SELECT * FROM mastering.match_pairs('SELECT id, source, name, tags FROM links.people', :'model', 1e-300);
CREATE FUNCTION links.differences(call text) RETURNS TABLE (links bigint, missing bigint, others bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH found AS (SELECT l.* FROM %s l), wanted AS (SELECT p.* FROM links.pairs p WHERE p.id_a::int %% 7 = 0 OR p.id_b::int %% 7 = 0)
        SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM (SELECT * FROM wanted EXCEPT ALL SELECT * FROM found) x), (SELECT count(*) FROM (SELECT * FROM found EXCEPT ALL SELECT * FROM wanted) x)', call);
END $$;
SELECT links > 100 AS some, missing, others FROM links.differences(format('mastering.match_links(%L, %L, 1e-300)', 'SELECT * FROM links.people', :'model'));
-- In passes, in the order of the marks, with one thread.
SET mastering.work_mem = '1MB';
SET mastering.threads = 1;
SELECT links > 100 AS some, missing, others FROM links.differences(format('mastering.match_links(%L, %L, 1e-300)', 'SELECT * FROM links.people ORDER BY "#probe"', :'model'));
RESET mastering.work_mem;
RESET mastering.threads;
-- All, none, and NULL is none.
SELECT (SELECT count(*) FROM mastering.match_links('SELECT p.id, p.source, p.name, p.tags, true AS "#probe" FROM links.people p', :'model', 1e-300)) = (SELECT count(*) FROM links.pairs) AS all_of_them,
       (SELECT count(*) FROM mastering.match_links('SELECT p.id, p.source, p.name, p.tags, false AS "#probe" FROM links.people p', :'model', 1e-300)) AS none,
       (SELECT count(*) FROM mastering.match_links('SELECT p.id, p.source, p.name, p.tags, NULL::boolean AS "#probe" FROM links.people p', :'model', 1e-300)) AS none_known,
       (SELECT count(*) FROM mastering.match_links('SELECT p.*  FROM links.people p WHERE false', :'model')) AS empty;
SELECT * FROM mastering.match_links('SELECT id, source, name, tags FROM links.people', :'model');
SELECT * FROM mastering.match_links('SELECT id, source, name, tags, 1 AS "#probe" FROM links.people', :'model');
SELECT * FROM mastering.match_links('SELECT * FROM links.people', '{"blocking": ["name"], "comparisons": ["name"]}');
DROP SCHEMA links CASCADE;
