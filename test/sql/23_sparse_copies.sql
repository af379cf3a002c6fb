-- Copies that lack values: less like a third record than their twin is, but not by what they say.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA sparse;
SET search_path = sparse, public;
-- A hundred things in a and in b. Of six of them b has another record with all values, of twelve one with a series alone (4 bits; all values say 31).
CREATE TABLE held AS
SELECT 'a' || i AS id, 'a' AS source, 'n' || i AS name, 'p' || i AS phone, 's' || i AS series FROM generate_series(1, 100) AS i
UNION ALL SELECT 'b' || i, 'b', 'n' || i, 'p' || i, 's' || i FROM generate_series(1, 100) AS i
UNION ALL SELECT 'b' || i || ' again', 'b', 'n' || i, 'p' || i, 's' || i FROM generate_series(1, 6) AS i
UNION ALL SELECT 'b' || i || ' sparse', 'b', NULL, NULL, 's' || i FROM generate_series(7, 18) AS i;
SELECT jsonb_build_object('prior', 0.001, 'threshold', 0.5, 'blocking', '["series"]'::jsonb, 'comparisons', (SELECT jsonb_agg(jsonb_build_object('column', c, 'method', 'exact', 'trained', jsonb_build_array(jsonb_build_object('weight', w), jsonb_build_object('weight', d))))
    FROM (VALUES ('name', 15, -1), ('phone', 12, -0.5), ('series', 14, -10)) AS m (c, w, d))) AS model \gset
SET sparse.model = :'model';
CREATE VIEW size_of AS SELECT regexp_replace(id, '\d+', '') AS kind, size FROM mastering.match_clusters('SELECT * FROM sparse.held', current_setting('sparse.model')::jsonb);
-- Those of which something can be said are copies, and so are the others.
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
-- Those of which something can be said are siblings: b holds each thing once.
UPDATE held SET name = 'other ' || name, phone = 'other ' || phone WHERE id LIKE '% again';
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
-- Nothing can be said of any.
DELETE FROM held WHERE id LIKE '% again';
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
DROP SCHEMA sparse CASCADE;
