-- Quantities and model numbers in running text.
SELECT v AS value, mastering.quantities(v) AS quantities, mastering.model_numbers(v) AS models FROM unnest(ARRAY[
    '1.5 TB', '1500GB', '1,500 GB', '12 fl oz', '12 fl. oz.', '355ml', '3.5"', E'3.5\u201d', '3.5-inch', '3 1/2 in', '1/2 inch', '89mm', '16x', '1920x1080', '5.7 Cu.Ft. drum', '1,150 Watts', '220 CFM',
    '2 x 4', 'type 1 a', '0.5l', '1,5 l', '500 mL', '2.2 lbs', '16 oz', '1 lb', '10/100/1000 Mbps', '7.1 Megapixel', '4 GB / 800 MHz', '100% cotton', '6-pack', '24 ct', '2h 30min', '40,000 hours', '0 g', '1e5 g',
    'Sony DSC-W120/B 8GB', 'DSCW120B', 'Netgear ProSafe 24-Port - JGS524F', 'JFS516NA/ Sixteen', 'HP 2175B002', 'abc', 'A1', '12345', 'MP3 iPod', 'K-19', 'wrt54g2.', E'\u0416\u041A-100', '',
    '999.5 g', '99.95 g', '0.000001 mg', '123456789012345 km', '1234567890123456 km', '9 kg9', '1.2.3 kg', '5m', '5 m', '12V DC', '3.2GHz'])
    WITH ORDINALITY AS u (v, n) ORDER BY n;
-- What is the same in other words, and what is not.
SELECT a, b, mastering.quantities(a) = mastering.quantities(b) AS same FROM (VALUES ('1.5 TB', '1500GB'), ('12 fl oz', '355 ml'), ('3.5"', '8.89 cm'), ('0.5 L', '500ml'), ('1 kg', '1000 grams'), ('2 lbs', '907g'), ('16x', '16X'), ('1 hour', '60 min'), ('1 TB', '2 TB'), ('1 kg', '1 l')) AS v (a, b);
SELECT mastering.quantity('about 1.5 kg'), mastering.quantity('none'), mastering.quantity(NULL), mastering.quantities(NULL), mastering.model_numbers(NULL);
SELECT cardinality(mastering.quantities(repeat('5 kg, ', 20000))), cardinality(mastering.model_numbers(repeat('ab12 ', 20000))), mastering.model_numbers(repeat('a1', 40)) AS too_long;
-- Found and compared: model numbers as keys and as evidence, quantities as sets.
CREATE TABLE quantities_record AS
SELECT r AS id, thing, CASE WHEN r <= 300 THEN format('Acme Player %s%s-%s %s GB black', chr(65 + thing % 7), chr(65 + thing % 11), 100 + thing, 2 ^ (thing % 5))
    ELSE format('acme %s%s%s/B player, %sMB', chr(65 + thing % 7), chr(65 + thing % 11), 100 + thing, 1000 * 2 ^ (thing % 5)) END AS name
FROM (SELECT r, r % 300 AS thing FROM generate_series(1, 600) AS r) AS records;
CREATE TABLE quantities_found AS SELECT * FROM mastering.dedupe('SELECT id, name FROM quantities_record', '{"blocking": [{"keys": "mastering.model_numbers(name)"}, {"keys": ["mastering.quantities(name)", "left(name, 4)"], "max_block": 1000}, {"keys": "name", "top_k": 5}],
    "comparisons": [{"name": "model", "expression": "mastering.model_numbers(name)", "elements": "best", "method": "exact", "term_frequency": true}, {"name": "sizes", "expression": "mastering.quantities(name)", "elements": "set"}, {"column": "name", "method": "soft_tfidf"}]}');
SELECT metric, value FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM quantities_found', 'SELECT id, thing AS cluster_id FROM quantities_record') WHERE metric IN ('pair_precision', 'pair_recall');
DROP TABLE quantities_record, quantities_found;
