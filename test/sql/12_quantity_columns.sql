-- Columns of quantities as people write them: one value, a column's profile, what is suggested of it, and what is found.
SELECT left(v, 20) AS value, u AS unit, mastering.quantity(v, u) AS quantity FROM (VALUES
    ('112 min', 'min'), ('1 hr. 52 min.', 'min'), ('1 h 52', 'min'), ('PT1H52M', 'min'), ('112', 'min'), ('1:52:00', 'min'), ('3:44', 's'), ('1:52', 'h'), ('1:52 h', 'min'), ('3m 48sec', 's'), ('1 Std. 52 Minuten', 'min'),
    ('10.4 %', '%'), ('10,4%', '%'), ('10.4', '%'), ('13 MP', 'mp'), ('$ 12.99', 'usd'), ('1,299.00 USD', 'usd'), ('1.299,00 USD', 'usd'), (E'12,99\u00a0\u20ac', 'EUR'), (E'\u20b9 1,299', 'inr'), ('12.99 EUR', 'usd'), ('$12', 'cad'), ('CHF 1''299.-', 'chf'), ('$1.5M', 'usd'),
    ('0.5 l', 'ml'), ('500 ml', 'ml'), ('500 ml', 'l'), ('12 fl oz', 'ml'), (E'5\u2032 10\u2033', 'in'), ('5''10"', 'cm'), ('1.83 m (6 ft 0 in)', 'cm'), (E'3\u00bd in', 'in'), (E'85 m\u00b2', 'm2'), (E'\u22124 \u00b0C', 'celsius'), ('-5,5 kg', 'kg'), ('0 kg', 'kg'),
    ('1 ft', 'in'), ('12 in', 'in'), ('123456789012345 km', 'km'), ('1234567890123456 km', 'km'), ('0.000000000000001 mm', 'mm'), ('320 pages', 'pages'), ('3 weeks', 'days'),
    ('unk.', 'min'), ('-', '%'), ('', 'min'), ('112 kg', 'min'), ('2 Main St', 'm'), ('12 Angry Men', 'min'), ('10-12 mm', 'mm'), ('2 x 4 cm', 'cm'), ('2013-05-01', 'min'), (E'\u0416\u041a 5', 'kg'), (repeat('1 ', 5000), 'kg')) AS cases (v, u);
SELECT mastering.quantity('1.299 kg', 'kg') AS point, mastering.quantity('1.299 kg', 'kg', decimal_comma => true) AS comma, mastering.quantity('1,299 kg', 'kg', decimal_comma => true) AS other, mastering.quantity('1.299,5 kg', 'kg') AS both;
SELECT v AS value, mastering.quantity(v, 's', 220) AS near_220_s, mastering.quantity(v, 'min', 110) AS near_110_min FROM (VALUES ('214'), ('213960'), ('3.566'), ('3:34'), ('1:50'), ('0'), ('-3'), ('3 min'), ('NaN')) AS cases (v);
SELECT mastering.quantity(NULL, 'min'), mastering.quantity('5', NULL), mastering.quantity('5', 'min', NULL), mastering.quantity('5', 'min', 'infinity'), mastering.quantity('5', 'min', 'NaN');
SELECT mastering.quantity('5 pc', 'parsec');
SELECT mastering.quantity('5', '');
SELECT mastering.quantity('5', repeat('x', 100));

-- What a column holds. Each has 120 values; the rest is no quantity, whatever stands in it.
CREATE TABLE quantity_column AS
SELECT i AS id,
    CASE WHEN i % 10 = 0 THEN '-' WHEN i % 7 = 0 THEN NULL WHEN i % 2 = 0 THEN (40 + i % 67) / 10.0 || ' %' ELSE (40 + i % 67) / 10 || ',' || (40 + i % 67) % 10 || '0%' END AS strength,
    CASE i % 4 WHEN 0 THEN 60 + i || ' min' WHEN 1 THEN (60 + i) / 60 || ' hr. ' || (60 + i) % 60 || ' min.' WHEN 2 THEN (60 + i)::text ELSE (60 + i) / 60 || ':' || to_char((60 + i) % 60, 'FM00') || ':00' END AS runtime,
    CASE i % 5 WHEN 0 THEN to_char(2 + i % 3, 'FM00') || ':' || to_char(i * 7 % 60, 'FM00') WHEN 1 THEN 2 + i % 3 || 'm ' || i * 7 % 60 || 'sec' WHEN 2 THEN ((2 + i % 3) * 60 + i * 7 % 60)::text WHEN 3 THEN (((2 + i % 3) * 60 + i * 7 % 60) * 1000)::text ELSE 'unk.' END AS length,
    to_char(2 + i % 9, 'FM00') || ':' || to_char(i * 7 % 60, 'FM00') AS songs,
    CASE WHEN i % 2 = 0 THEN '$ ' || i * 3 || '.99' ELSE i * 3 || ',99 USD' END AS price,
    CASE WHEN i % 2 = 0 THEN i || ',' || i % 10 || '5 kg' ELSE '1.' || 100 + i END AS comma,
    CASE WHEN i % 2 = 0 THEN i * 5 || ' ml' ELSE i * 5 / 1000.0 || ' l' END AS volume,
    E'\u2212' || i || E'\u00a0\u00b0C' AS cold,
    i || ' Main St' AS address, CASE WHEN i % 5 = 0 THEN i || 'a' WHEN i % 5 = 1 THEN i || 'b' WHEN i % 5 = 2 THEN i || 'm' ELSE i::text END AS house, 'DSC-W' || i || ' 5 MP' AS model, (i % 28 + 1) || ' May 2001' AS day, '555-' || 1000 + i || '-' || 20 + i AS phone,
    CASE WHEN i % 20 = 0 THEN i || ' Hours' ELSE 'Title no. ' || i END AS title, to_char(8 + i % 12, 'FM00') || ':' || to_char(i % 4 * 15, 'FM00') AS opens, i * 3 || '.' || i % 10 || i % 7 AS amount, i || '-' || i + 10 || ' mm' AS range,
    CASE WHEN i % 2 = 0 THEN i || ' kg' ELSE i || ' cm' END AS measures, 7 || ' kg' AS constant, 1000 + i || ' EUR/kg' AS ratio,
    to_char(i * 37, 'FM9,999') || CASE WHEN i % 9 > 0 THEN ' votes' ELSE ' vote' END AS votes, i || ' ' || (ARRAY['Oak Ave', 'Elm', 'Lane', 'Court'])[1 + i % 4] AS street, i || 'm' AS pool, CASE WHEN i % 3 = 0 THEN i + 17 || ' years' WHEN i % 3 = 1 THEN i + 17 || 'y' ELSE i + 17 || ' yrs' END AS age,
    to_char(date '2001-01-01' + i * 9, 'FMMonth DD, YYYY') || ' (USA)' AS released, (1000 * 1.06 ^ i)::int::text AS population, (10000 + i * 731)::text AS postcode, to_char(i * i * 7, 'FM00000') AS zip,
    '00:0' || 2 + i % 4 || ':' || to_char(i * 7 % 60, 'FM00') AS tracks, to_char(6 + i % 12, 'FM00') || ':' || to_char(i * 7 % 60, 'FM00') || ':00' AS arrives
  FROM generate_series(1, 120) AS i;
SELECT name, kind, unit, round(equal_share::numeric, 4) AS equal_share FROM mastering.profile('SELECT * FROM quantity_column');
SELECT COALESCE(c ->> 'name', c ->> 'column') AS name, c ->> 'expression' AS expression, c ->> 'method' AS method, c -> 'scale' AS scale, c -> 'levels' AS levels
  FROM jsonb_array_elements(mastering.suggest('SELECT id, strength, runtime, length, songs, price, comma, volume, cold, population FROM quantity_column') -> 'comparisons') AS c;
-- The model codes one value as it coded all of them: the same in whatever company.
SELECT mastering.quantity('213', 's', usual => 200) = mastering.quantity('3:33', 's', usual => 200) AS same;
SELECT count(*) AS few FROM mastering.profile('SELECT * FROM quantity_column LIMIT 1'), LATERAL (SELECT) AS x WHERE kind = 'quantity';
SELECT name, kind, unit FROM mastering.profile('SELECT i AS id, ARRAY[i || '' kg'', i + 1 || '' kg''] AS weights FROM generate_series(1, 30) AS i');
DROP TABLE quantity_column;

-- Relative differences.
CREATE TABLE quantity_pair AS SELECT * FROM (VALUES (1, '1 kg'), (2, '1000 g'), (3, '995 g'), (4, '960 g'), (5, '800 g'), (6, '2 kg'), (7, '0 kg'), (8, '-1 kg'), (9, '-990 g'), (10, 'none')) AS v (id, weight);
\set model '{"prior": 0.1, "blocking": ["1"], "comparisons": [{"name": "weight", "expression": "mastering.quantity(weight, ''kg'')", "method": "numeric", "scale": "relative", "levels": [0.99, 0.95, 0.8], "trained": [{"weight": 5}, {"weight": 4}, {"weight": 3}, {"weight": 2}, {"weight": -1}]}]}'
SELECT id_a, id_b, levels FROM mastering.match_pairs('SELECT * FROM quantity_pair', :'model', 0.001) ORDER BY 1, 2;
SELECT comparison, value_a, value_b, level, round(similarity::numeric, 4) AS similarity FROM mastering.explain_pair('SELECT * FROM quantity_pair', :'model', '1', '3');
SELECT mastering.train_model('SELECT * FROM quantity_pair', :'model'::jsonb || '{"comparisons": [{"column": "weight", "method": "numeric", "scale": "relative"}]}') #> '{comparisons,0,scale}' AS kept;
SELECT mastering.train_model('SELECT * FROM quantity_pair', '{"blocking": ["1"], "comparisons": [{"column": "weight", "method": "numeric", "scale": "absolute"}]}');
DROP TABLE quantity_pair;

-- Things with the same name, which only their sizes tell apart, written in several ways.
CREATE TABLE quantity_record AS
SELECT r AS id, r % 400 AS thing, (ARRAY['red', 'green', 'blue', 'black', 'white'])[1 + r % 400 % 5] || ' ' || (ARRAY['ale', 'stout', 'porter', 'lager', 'bock', 'cider', 'mead', 'tonic'])[1 + r % 400 / 50] AS name,
    CASE WHEN r % 3 = 0 THEN 200 + r % 400 * 13 % 809 || ' ml' WHEN r % 3 = 1 THEN (200 + r % 400 * 13 % 809) / 1000.0 || ' l' ELSE replace(((200 + r % 400 * 13 % 809) / 10.0)::numeric(10, 1)::text, '.', ',') || ' cl' END AS size,
    CASE WHEN r % 2 = 0 THEN 30 + r % 400 * 7 % 293 || ' min' ELSE (30 + r % 400 * 7 % 293) / 60 || ' h ' || (30 + r % 400 * 7 % 293) % 60 || ' min' END AS brewed,
    CASE WHEN r < 400 THEN '$' || 3 + r % 400 * 11 % 397 || '.50' WHEN r % 20 > 0 THEN 3 + r % 400 * 11 % 397 || ',50 USD' END AS price
  FROM generate_series(0, 799) AS r;
CREATE TABLE quantity_found AS SELECT * FROM mastering.dedupe('SELECT id, name, size, brewed, price FROM quantity_record');
SELECT metric, round(value::numeric, 3) AS value FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM quantity_found', 'SELECT id, thing AS cluster_id FROM quantity_record') WHERE metric IN ('pair_precision', 'pair_recall');
DROP TABLE quantity_record, quantity_found;
