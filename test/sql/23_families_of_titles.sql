-- Titles that several records have, among titles that are like them: funds of one house that differ in a word. That a thing has
-- several records says nothing against these; that a title has others next to it that are not like each other does.
SET client_min_messages = warning;
CREATE TABLE funds AS
SELECT row_number() OVER (ORDER BY md5(n || ' ' || copy)) AS id, n AS thing,
    (ARRAY['Alder', 'Birch', 'Cedar', 'Hazel', 'Maple', 'Rowan'])[1 + n % 6] || ' '
    || (ARRAY['Korea', 'Japan', 'Brazil', 'Europe', 'Mexico', 'India', 'Taiwan', 'Canada', 'Poland', 'World'])[1 + (n / 6) % 10] || ' '
    || (ARRAY['Energy', 'Health Care', 'Banks', 'Water', 'Small Companies', 'High Dividend', 'Government Bonds'])[1 + (n / 60) % 7]
    || ' Index Fund ' || (ARRAY['Accumulating', 'Distributing', 'Hedged Euro'])[1 + (n / 420) % 3] AS name
FROM (SELECT (i * 541) % 1260 AS n, i FROM generate_series(1, 600) AS i) AS t CROSS JOIN generate_series(1, 4) AS copy
WHERE copy <= 1 + i % 4;
CREATE TABLE fund_clusters AS SELECT id::bigint, cluster_id FROM mastering.dedupe('SELECT id, name FROM funds');
WITH of AS MATERIALIZED (SELECT id, thing, cluster_id FROM funds JOIN fund_clusters USING (id))
SELECT count(*) FILTER (WHERE a.thing = b.thing) AS copies, count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) AS copies_together,
    count(*) FILTER (WHERE a.thing <> b.thing AND a.cluster_id = b.cluster_id) AS others_together
FROM of AS a JOIN of AS b ON a.id < b.id;
DROP TABLE funds, fund_clusters;
