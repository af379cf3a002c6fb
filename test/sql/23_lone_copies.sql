-- Sources that hold things twice which no other source has: there is no third record to tell copies from siblings by.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA lone;
SET search_path = lone, public;
-- Fifty things in a and in b; twenty more twice in a alone (15 bits like the others), and of ten of the things b has a sibling that is a little alike (2 bits).
CREATE TABLE held AS
SELECT 'a' || i AS id, 'a' AS source, 'n' || i AS name, CASE WHEN i <= 10 THEN 's' || i END AS series FROM generate_series(1, 50) AS i
UNION ALL SELECT 'b' || i, 'b', 'n' || i, CASE WHEN i <= 10 THEN 's' || i END FROM generate_series(1, 50) AS i
UNION ALL SELECT 'a' || i || k, 'a', 'm' || i, NULL FROM generate_series(101, 120) AS i, unnest('{x,y}'::text[]) AS k
UNION ALL SELECT 'b' || i || 's', 'b', NULL, 's' || i FROM generate_series(1, 10) AS i;
\set model '{"prior": 0.001, "threshold": 0.5, "blocking": ["name", "series"], "comparisons": [{"column": "name", "method": "exact", "trained": [{"weight": 25}, {"weight": -10}]}, {"column": "series", "method": "exact", "trained": [{"weight": 12}, {"weight": -10}]}]}'
CREATE VIEW size_of AS SELECT left(id, 1) || CASE WHEN id LIKE '%s' THEN ' sibling' WHEN length(id) = 5 THEN ' copy' ELSE '' END AS kind, size FROM mastering.match_clusters('SELECT * FROM lone.held', current_setting('lone.model')::jsonb);
SET lone.model = :'model';
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
-- Siblings inside as many as the copies, and none of them copies: both stay unique.
UPDATE held SET series = name, name = NULL WHERE name LIKE 'm%';
SELECT kind, size, count(*) FROM size_of GROUP BY 1, 2 ORDER BY 1, 2;
DROP SCHEMA lone CASCADE;
