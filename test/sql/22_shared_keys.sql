-- Rules that read common columns are looked at together: the pairs, the keys and the rules that find a pair are those of plain SQL.
\set VERBOSITY terse
CREATE TABLE shared_key AS SELECT i AS id, CASE WHEN i % 11 > 0 THEN 'a' || hashint4(i) % 9000 END AS a, CASE WHEN i % 7 > 0 THEN 'b' || hashint4(i + 1) % 40 END AS b,
    CASE WHEN i % 5 > 0 THEN 'c' || hashint4(i + 2) % 700 END AS c, CASE WHEN i % 3 > 0 THEN 'd' || hashint4(i + 3) % 30000 END AS d
FROM generate_series(1, 40000) AS i;
-- Half of the records have one value in the column that most rules read.
UPDATE shared_key SET c = 'c' WHERE id % 2 = 0;
CREATE TABLE shared_key_rule AS SELECT r, parts FROM unnest(ARRAY['a,c', 'b,d', 'c,d', 'd', 'a,b,c', 'c,a,d', 'd,c', 'b,c,d', 'c,b,a', 'a,d', 'a,d,c', 'c,d,b', 'd,a,b,c', 'a']) WITH ORDINALITY AS l (parts, r);
SELECT jsonb_build_object('comparisons', '["a"]'::jsonb, 'blocking', jsonb_agg(to_jsonb(string_to_array(parts, ',')) ORDER BY r)) AS spec FROM shared_key_rule \gset
SELECT string_agg(format('(SELECT %s AS rule, x.id AS id_a, y.id AS id_b FROM shared_key x JOIN shared_key y ON x.id < y.id AND %s)', r,
    (SELECT string_agg(format('x.%1$s = y.%1$s', part), ' AND ') FROM unnest(string_to_array(parts, ',')) AS part)), ' UNION ALL ') AS pairs,
    string_agg(format('(SELECT %s AS rule, count(*) AS keys FROM shared_key WHERE %s)', r, (SELECT string_agg(part || ' IS NOT NULL', ' AND ') FROM unnest(string_to_array(parts, ',')) AS part)), ' UNION ALL ') AS keys
FROM shared_key_rule \gset
CREATE TABLE shared_key_pair AS SELECT least(id_a, id_b) AS id_a, greatest(id_a, id_b) AS id_b, array_agg(rule ORDER BY rule) AS rules FROM (:pairs) AS p GROUP BY 1, 2;
CREATE FUNCTION shared_key_differences(spec jsonb) RETURNS TABLE (pairs bigint, different bigint) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE f.rules IS DISTINCT FROM p.rules)
    FROM (SELECT least(id_a::int, id_b::int) AS id_a, greatest(id_a::int, id_b::int) AS id_b, rules FROM mastering.candidate_pairs('SELECT * FROM shared_key', spec)) AS f
    FULL JOIN shared_key_pair AS p USING (id_a, id_b) $$;
SELECT different, pairs > 10000 AS many FROM shared_key_differences(:'spec');
SET mastering.threads = 4;
SELECT different FROM shared_key_differences(:'spec');
RESET mastering.threads;
SELECT count(*) AS rules, count(*) FILTER (WHERE r.keys IS DISTINCT FROM k.keys) AS different
FROM mastering.blocking_report('SELECT * FROM shared_key', :'spec') AS r FULL JOIN (:keys) AS k USING (rule);
DROP FUNCTION shared_key_differences;
DROP TABLE shared_key, shared_key_rule, shared_key_pair;
