-- Dates with swapped or missing parts, prices: how values are read, and how alike they are.
SET client_min_messages = warning;
\set model '{"prior": 0.1, "blocking": ["d"], "comparisons": [{"column": "d", "method": "date", "levels": [0.95, 0.9, 0.8, 0.7], "trained": [{"weight": 5}, {"weight": 4}, {"weight": 3}, {"weight": 2}, {"weight": 1}, {"weight": -1}]}]}'
SELECT a, b, e.value_a, e.value_b, e.similarity, e.level
FROM (VALUES (1, '1985-05-04', '1985-04-05'), (2, '4 May 1985', 'May 1985'), (3, '1985-05-04', '1985-05'), (4, '1985-05-04', '05/1985'), (5, '1985-05-04', '1985'), (6, '1985-05-00', '1985-05-04'), (7, '1985-06', '1985-05-04'), (8, '1985-00-00', '1985-05'), (9, '1985', '1986'),
    (10, '1985-05', '05.1985'), (11, '1985-05-04', '1985-13'), (12, '1985-05-04', 'vol. 1985'), (13, '1985-05-04', ''), (14, '1985-05-04', '1985-5-4'), (15, '1985-05-04', '12345'), (16, '1985-05-04', '1986-05-04')) AS v (n, a, b)
CROSS JOIN LATERAL mastering.explain_pair(format('SELECT 1 AS id, %L::text AS d UNION ALL SELECT 2, %L', a, b), :'model', '1', '2') AS e WHERE e.comparison = 'd' ORDER BY n;
-- A weekday before a month in words, and anything behind the date.
SELECT a, e.value_a FROM (VALUES (1, '19 January 1990 (USA)'), (2, 'Jan 10, 1990 Wide'), (3, 'Friday, 19 January 1990'), (4, 'fri 19-Jan-90 23:15'), (5, 'January 19, 1990, 11:15 PM'), (6, '1990 Jan 19 (limited)'), (7, '19th Sept 1990 in Rome or Berlin'),
    (8, 'released 19 January 1990'), (9, '5 10 May 2001'), (10, 'Fri 13'), (11, 'May Smith 1990'), (12, '19 January'), (13, 'Monday May 1990')) AS v (n, a)
CROSS JOIN LATERAL mastering.explain_pair(format('SELECT 1 AS id, %L::text AS d UNION ALL SELECT 2, ''1990-01-19''', a), :'model', '1', '2') AS e WHERE e.comparison = 'd' ORDER BY n;
\set model '{"prior": 0.1, "blocking": ["d"], "comparisons": [{"column": "d", "method": "numeric", "scale": 10, "levels": [0.9, 0.5], "trained": [{"weight": 5}, {"weight": 4}, {"weight": 3}, {"weight": -1}]}]}'
SELECT a, b, e.value_a, e.value_b, e.similarity, e.level
FROM (VALUES (1, '$1,150.00', '1150'), (2, '12,50 EUR', 'USD 12.5'), (3, E'\u20ac 1.150,99', '1150.99'), (4, '$9.99', '10'), (5, '$9.99', 'on request'), (6, '9.-', '9.00')) AS v (n, a, b)
CROSS JOIN LATERAL mastering.explain_pair(format('SELECT 1 AS id, %L::text AS d UNION ALL SELECT 2, %L', a, b), :'model', '1', '2') AS e WHERE e.comparison = 'd' ORDER BY n;

-- Years where others have dates are dates: one source may say no more. Years alone are none.
CREATE TEMP TABLE launched AS SELECT n AS id, 1970 + n % 47 AS year, (date '1970-01-01' + n * 17 % 17000)::text AS day FROM generate_series(1, 600) AS n;
SELECT (SELECT kind FROM mastering.profile('SELECT id, CASE WHEN id % 6 > 0 THEN year::text ELSE day END AS d FROM launched')) AS years_and_some_days, (SELECT kind FROM mastering.profile('SELECT id, year::text AS d FROM launched')) AS years,
    (SELECT kind FROM mastering.profile('SELECT id, CASE WHEN id % 30 > 0 THEN year::text ELSE day END AS d FROM launched')) AS years_and_a_few_days, (SELECT kind FROM mastering.profile('SELECT id, CASE WHEN id % 6 > 0 THEN (4000 + id)::text ELSE day END AS d FROM launched')) AS numbers_and_days;
SELECT c ->> 'method' AS method FROM jsonb_array_elements(mastering.suggest('SELECT id, ''x'' || id AS name, CASE WHEN id % 6 > 0 THEN year::text ELSE day END AS d FROM launched') -> 'comparisons') AS c WHERE c ->> 'column' = 'd';
SELECT kind AS codes_and_days FROM mastering.profile('SELECT id, CASE WHEN id % 6 > 0 THEN (1000 + id * 7 % 400)::text ELSE day END AS d FROM launched');
-- Years of which some were numbers with decimals once are equal all the same; few numbers written in one way are a category.
SELECT p.name, p.kind, c ->> 'method' AS method, c -> 'scale' AS scale FROM mastering.profile('SELECT id, CASE id % 3 WHEN 0 THEN year || ''.0'' ELSE year::text END AS several, year::text AS one, CASE id % 3 WHEN 0 THEN id % 9 || ''.0'' ELSE (id % 9)::text END AS few FROM launched') AS p
LEFT JOIN jsonb_array_elements(mastering.suggest('SELECT id, ''x'' || id AS name, CASE id % 3 WHEN 0 THEN year || ''.0'' ELSE year::text END AS several, year::text AS one, CASE id % 3 WHEN 0 THEN id % 9 || ''.0'' ELSE (id % 9)::text END AS few FROM launched') -> 'comparisons') AS c ON c ->> 'column' = p.name ORDER BY 1;
SELECT level FROM mastering.explain_pair('SELECT 1 AS id, ''2000'' AS d UNION ALL SELECT 2, ''2000.0''', :'model', '1', '2') AS e WHERE e.comparison = 'd';
