-- Titles that are the same to the weights are looked at as one, for which each record is weighed with itself: in passes as in memory,
-- also where the weight of an equal title depends on how frequent it is.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE TABLE fund_pages AS
SELECT row_number() OVER (ORDER BY md5(n || ' ' || copy)) AS id, house, repeat(md5(n || ' ' || copy), 8) AS page,
    house || ' ' || (ARRAY['Korea', 'Japan', 'Brazil', 'Europe', 'Mexico', 'India', 'Taiwan', 'Canada', 'Poland', 'World'])[1 + (n / 16) % 10] || ' '
    || (ARRAY['Energy', 'Health Care', 'Banks', 'Water', 'Small Companies', 'High Dividend', 'Government Bonds'])[1 + (n / 160) % 7]
    || ' Index Fund ' || (ARRAY['Accumulating', 'Distributing', 'Hedged Euro'])[1 + (n / 1120) % 3] AS name
FROM (SELECT (i * 541) % 3360 AS n, i FROM generate_series(1, 3000) AS i) AS t CROSS JOIN generate_series(1, 4) AS copy
CROSS JOIN LATERAL (SELECT (ARRAY['Alder', 'Birch', 'Cedar', 'Hazel', 'Maple', 'Rowan', 'Aspen', 'Beech', 'Elm', 'Fir', 'Larch', 'Oak', 'Pine', 'Yew', 'Plum', 'Lime'])[1 + n % 16] AS house) AS h
WHERE copy <= 1 + i % 4;
CREATE FUNCTION fund_clusters(frequency boolean) RETURNS TABLE (rivals text, spilt boolean, content text) LANGUAGE plpgsql AS $$
BEGIN
    SELECT md5(string_agg(concat_ws(',', d.id, d.cluster_id, d.weakest_link), ';' ORDER BY d.id)) INTO content
      FROM mastering.dedupe('SELECT id, name, house, page FROM fund_pages', jsonb_build_object('blocking', '["house", "page"]'::jsonb, 'threshold', 0.01, 'comparisons',
               jsonb_build_array(jsonb_build_object('column', 'name', 'method', 'levenshtein', 'levels', '[0.9, 0.8, 0.7]'::jsonb, 'term_frequency', frequency)))) AS d;
    SELECT max(facts) FILTER (WHERE phase = 'rivals'), bool_or(phase = 'spill') INTO rivals, spilt FROM mastering.last_run();
    RETURN NEXT;
END $$;
SET mastering.work_mem = '1GB';
CREATE TABLE funds_in_memory AS SELECT frequency, f.* FROM unnest(ARRAY[false, true]) AS frequency, fund_clusters(frequency) AS f;
SELECT frequency, rivals, spilt FROM funds_in_memory ORDER BY frequency;
SET mastering.work_mem = '1MB';
SELECT m.frequency, f.spilt, f.rivals = m.rivals AS same_rivals, f.content = m.content AS same_clusters FROM funds_in_memory AS m, fund_clusters(m.frequency) AS f ORDER BY m.frequency;
DROP TABLE fund_pages, funds_in_memory;
DROP FUNCTION fund_clusters;
