-- Sources that hold things twice which no other source has: there is no third record to tell copies from siblings by.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA lone;
SET search_path = lone, public;
-- Fifty things in a and in b; twenty more twice in a alone, as much alike as those (5 to 21 bits); and of ten of the things b has a sibling that is a little alike (2 bits).
CREATE TABLE held AS
SELECT r.id, r.source, r.name, r.series, CASE WHEN r.n & 1 > 0 THEN 'v' END AS v, CASE WHEN r.n & 2 > 0 THEN 'w' END AS w, CASE WHEN r.n & 4 > 0 THEN 'x' END AS x, CASE WHEN r.n & 8 > 0 THEN 'y' END AS y, CASE WHEN r.n & 16 > 0 THEN 'z' END AS z
FROM (SELECT 'a' || i AS id, 'a' AS source, 'n' || i AS name, CASE WHEN i <= 10 THEN 's' || i END AS series, i AS n FROM generate_series(1, 50) AS i
    UNION ALL SELECT 'b' || i, 'b', 'n' || i, CASE WHEN i <= 10 THEN 's' || i END, i FROM generate_series(1, 50) AS i
    UNION ALL SELECT 'a' || i || k, 'a', 'm' || i, NULL, i FROM generate_series(101, 120) AS i, unnest('{x,y}'::text[]) AS k
    UNION ALL SELECT 'b' || i || 's', 'b', NULL, 's' || i, 0 FROM generate_series(1, 10) AS i) AS r;
SELECT jsonb_build_object('prior', 0.001, 'threshold', 0.5, 'blocking', '["name", "series"]'::jsonb, 'comparisons', (SELECT jsonb_agg(jsonb_build_object('column', c, 'method', 'exact', 'trained', jsonb_build_array(jsonb_build_object('weight', w), '{"weight": -10}'::jsonb)))
    FROM (VALUES ('name', 15), ('series', 12), ('v', 0.5), ('w', 1), ('x', 2), ('y', 4), ('z', 8)) AS m (c, w))) AS model \gset
CREATE VIEW size_of AS SELECT left(id, 1) || CASE WHEN id LIKE '%s' THEN ' sibling' WHEN length(id) = 5 THEN ' copy' ELSE '' END AS kind, size FROM mastering.match_clusters('SELECT * FROM lone.held', current_setting('lone.model')::jsonb);
SET lone.model = :'model';
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
-- As many that are a little alike only: siblings, and both sources stay unique.
UPDATE held SET series = name, name = NULL, v = NULL, w = NULL, x = NULL, y = NULL, z = NULL WHERE name LIKE 'm%';
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
-- Where all that is alike weighs the same, nothing tells copies from siblings.
UPDATE held SET name = COALESCE(name, series), series = NULL, v = NULL, w = NULL, x = NULL, y = NULL, z = NULL;
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
-- What triangles say of things that both have: forty of a hundred in a have a sibling that weighs 2 bits. So of the 120 things that are twice in a alone those that weigh as much as half of the matches are copies, and siblings are none.
TRUNCATE held;
SELECT jsonb_set(:'model', '{comparisons,0,trained,1,weight}', '-1') AS model \gset
SET lone.model = :'model';
INSERT INTO held SELECT r.id, r.source, r.name, r.series, CASE WHEN r.n & 1 > 0 THEN 'v' END, CASE WHEN r.n & 2 > 0 THEN 'w' END, CASE WHEN r.n & 4 > 0 THEN 'x' END, CASE WHEN r.n & 8 > 0 THEN 'y' END, CASE WHEN r.n & 16 > 0 THEN 'z' END
FROM (SELECT 'a' || i AS id, 'a' AS source, 'n' || i AS name, CASE WHEN i % 5 < 2 THEN 's' || i END AS series, i AS n FROM generate_series(1, 100) AS i
    UNION ALL SELECT 'b' || i, 'b', 'n' || i, NULL, i FROM generate_series(1, 100) AS i
    UNION ALL SELECT 'a' || i || k, 'a', 'm' || i, NULL, i FROM generate_series(201, 320) AS i, unnest('{x,y}'::text[]) AS k
    UNION ALL SELECT 'a' || i || 's', 'a', 'q' || i, 's' || i, 0 FROM generate_series(1, 100) AS i WHERE i % 5 < 2) AS r;
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
SELECT facts FROM mastering.last_run() WHERE phase = 'source' ORDER BY step;
DROP SCHEMA lone CASCADE;
