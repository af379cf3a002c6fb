-- Whether probabilities mean what they say: cases that can be checked by hand, and the picture.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA calibrated;
SET search_path = calibrated, public;
\getenv source PG_ABS_SRCDIR
\set pictures :source '/include/pictures.sql'
\i :pictures

-- Ten pairs at 0.8, eight of them matches: 8 * 0.2^2 + 2 * 0.8^2 = 1.6, 8 * 0.3219 + 2 * 2.3219 = 7.2193 bits. Ten at 0.3, five of them matches: 5 * 0.49 + 5 * 0.09 = 2.9,
-- 5 * 1.7370 + 5 * 0.5146 = 11.2577; they are 0.2 off. Together Brier 0.225, 0.9238 bits, 0.1 off. Wilson: 8 of 10 is 0.490 to 0.943.
CREATE TABLE scored AS SELECT i AS id_a, -i AS id_b, CASE WHEN i <= 10 THEN 0.8 ELSE 0.3 END AS probability, i <= 8 OR i > 15 AS is_match FROM generate_series(1, 20) AS i;
SELECT * FROM mastering.calibration('SELECT id_a, id_b, probability FROM scored', 'SELECT id_a, id_b, is_match FROM scored', '{0.5}');
-- Without intervals, in one part, by weight (of 2 bits: 0.8), in the other order, twice, and with pairs that nobody judged, without a score, and of a record with itself.
SELECT pairs, matches, unjudged_pairs, mean_probability, observed, observed_low, brier_score, log_loss, calibration_error
FROM mastering.calibration('SELECT id_b AS id_a, id_a AS id_b, 2 AS weight FROM scored WHERE id_a <= 10 UNION ALL SELECT id_a, id_b, 1 FROM scored WHERE id_a < 3 UNION ALL VALUES (77, 78, 2), (1, 1, 2), (79, 80, NULL)', 'SELECT id_a, id_b, is_match FROM scored', '{}', NULL);
-- By entities: a pair of which one is unknown is not judged. By matches alone: what is not among them is none. Parts without a pair are told.
SELECT probability_from, probability_to, pairs, matches, unjudged_pairs, observed FROM mastering.calibration($$SELECT * FROM (VALUES (1, 2, 0.9), (1, 3, 0.6), (1, 9, 0.9)) AS v (id_a, id_b, probability)$$, $$SELECT * FROM (VALUES (1, 'x'), (2, 'x'), (3, 'y')) AS v (id, e)$$, '{0.95,0.5,0.5}');
-- What is not a number says nothing, alone and beside one that is; infinite weights are certain.
SELECT probability_from, pairs, matches, mean_probability, brier_score FROM mastering.calibration($$SELECT * FROM (VALUES (1, 2, 'NaN'::float8), (1, 3, 0.5), (3, 1, 'NaN'), (1, 4, 'Infinity')) AS v (id_a, id_b, probability)$$, $$SELECT * FROM (VALUES (1, 1), (2, 2), (3, 1), (4, 1)) AS v (id, entity_id)$$, '{0.6}');
SELECT pairs, log_loss FROM mastering.calibration($$SELECT * FROM (VALUES (1, 2, 'NaN'::float4), (1, 3, 1)) AS v (id_a, id_b, weight)$$, $$SELECT 1 AS id_a, 3 AS id_b$$, '{0.6}') WHERE probability_from IS NULL;
SELECT probability_from, probability_to, pairs, matches, unjudged_pairs, observed FROM mastering.calibration($$SELECT * FROM (VALUES (1, 2, 0.9), (1, 3, 0.6), (1, 9, 0.9)) AS v (id_a, id_b, probability)$$, $$SELECT 2 AS id_a, 1 AS id_b$$, '{0.5,NULL}');
-- Beyond doubt and wrong: dear, not infinite; what probabilities round to 1 weights tell apart. A bound belongs to what lies above it.
SELECT pairs, mean_probability, observed, brier_score, log_loss FROM mastering.calibration($$SELECT * FROM (VALUES (1, 2, 1), (3, 4, 0)) AS v (id_a, id_b, probability)$$, 'SELECT 3 AS id_a, 4 AS id_b', '{}');
SELECT pairs, mean_probability, log_loss FROM mastering.calibration($$SELECT * FROM (VALUES (1, 2, 1, 45), (3, 4, 0, '-infinity'::float8)) AS v (id_a, id_b, probability, weight)$$, 'SELECT 3 AS id_a, 4 AS id_b UNION SELECT 5, 6', '{}');
SELECT probability_from, pairs FROM mastering.calibration($$SELECT 1 AS id_a, 2 AS id_b, 0.5 AS probability$$, 'SELECT 1 AS id_a, 2 AS id_b', '{0.5}');
SELECT count(*), sum(pairs) AS pairs, count(observed) AS observed FROM mastering.calibration('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight WHERE false', 'SELECT 1 AS id_a, 2 AS id_b');
-- Probabilities that are right: of many pairs drawn by what was said, each part observes it, and the intervals hold it.
CREATE TABLE drawn AS SELECT i AS id_a, -i AS id_b, (i % 1000 + 0.5) / 1000 AS probability, hashint8extended(i, 1) & 1048575 < (i % 1000 + 0.5) / 1000 * 1048576 AS is_match FROM generate_series(1, 20000) AS i;
SELECT bool_and(mean_probability BETWEEN observed_low AND observed_high) AS hold, max(calibration_error) < 0.02 AS calibrated, max(observed_high - observed_low) < 0.06 AS narrow
FROM mastering.calibration('SELECT id_a, id_b, probability FROM drawn', 'SELECT id_a, id_b, is_match FROM drawn', '{0.2,0.4,0.6,0.8}');
-- The same, said with twice the evidence there is: too sure, and all say so.
SELECT a.calibration_error < 0.02 AND b.calibration_error > 0.05 AS further_off, b.brier_score > a.brier_score AS brier, b.log_loss > a.log_loss AS loss
FROM mastering.calibration('SELECT id_a, id_b, probability FROM drawn', 'SELECT id_a, id_b, is_match FROM drawn') AS a,
    mastering.calibration('SELECT id_a, id_b, 2 * mastering.weight_of(probability) AS weight FROM drawn', 'SELECT id_a, id_b, is_match FROM drawn') AS b WHERE a.probability_from IS NULL AND b.probability_from IS NULL;

-- The picture: a point for each part that has pairs, on the diagonal where the model is right.
SELECT xml_is_well_formed_document(p), found(p, '//s:circle') AS points, said(p, '//s:circle/s:title') AS said, said(p, '/s:svg/s:desc') AS description, said(p, '//s:text[@class="soft" and @x=500]') AS facts
FROM (SELECT mastering.calibration_chart('SELECT id_a, id_b, probability FROM scored', 'SELECT id_a, id_b, is_match FROM scored WHERE id_a <> 1') AS p) AS d;
SELECT found(p, '//s:circle') AS points, max(abs(cx - 80 - (456 - cy))) FILTER (WHERE cx BETWEEN 190 AND 330) < 10 AS on_the_diagonal, min(cx) >= 80 AND max(cx) <= 440 AND min(cy) >= 96 AND max(cy) <= 456 AS inside
FROM (SELECT mastering.calibration_chart('SELECT id_a, id_b, probability FROM drawn', 'SELECT id_a, id_b, is_match FROM drawn') AS p) AS d,
    LATERAL (SELECT (xpath('/*/@cx', c))[1]::text::float8 AS cx, (xpath('/*/@cy', c))[1]::text::float8 AS cy FROM unnest(xpath('//*[local-name() = "circle"]', xmlparse(document p))) AS c) AS x GROUP BY p;
SELECT xml_is_well_formed_document(p), found(p, '//s:circle') AS points, said(p, '/s:svg/s:desc') AS description
FROM (SELECT mastering.calibration_chart('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight WHERE false', 'SELECT 1 AS id_a, 2 AS id_b') AS p) AS d;

-- On the page about a result, where there are labels: of pairs that are compared, whoever's ids; it trains with them, and its clusters follow them.
CREATE TABLE person AS SELECT i AS id, 'name ' || i / 2 % 40 AS name, 'street ' || i / 2 AS street FROM generate_series(0, 199) AS i;
CREATE TABLE verdict AS SELECT i AS id_a, j AS id_b, i / 2 = j / 2 AS is_match FROM generate_series(0, 40) AS i, generate_series(1, 199) AS j WHERE i < j AND i / 2 % 40 = j / 2 % 40 UNION ALL SELECT 1, 999, true;
\set spec '{"blocking": ["name"], "comparisons": [{"column": "street", "method": "exact"}]}'
SELECT mastering.train_model('SELECT * FROM person', :'spec', 'SELECT * FROM verdict') AS model \gset
SELECT count(*) AS labels, count(*) FILTER (WHERE is_match) AS matches FROM verdict WHERE id_b < 999;
SELECT xml_is_well_formed_document(p), said(p, '//h:h2') AS sections, said(p, '//s:text[@class="soft" and @x=500]') AS facts FROM (SELECT mastering.report('SELECT * FROM person', :'model', 'SELECT * FROM verdict;') AS p) AS d;
SELECT said(p, '//h:li/h:b') AS facts FROM (SELECT mastering.report('SELECT * FROM person', :'model', 'SELECT 0 AS id_a, 199 AS id_b, true AS is_match') AS p) AS d;
SELECT strpos(mastering.report('SELECT * FROM person', :'spec', labels => 'SELECT * FROM verdict'), 'by a model trained with labels') > 0 AS learns;

-- What is refused.
SELECT mastering.calibration('SELECT 1 AS id_a, 2 AS b, 0.5 AS weight', 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.calibration('SELECT 1 AS id_a, 2 AS id_b', 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.calibration('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight', 'SELECT 1 AS id, 2 AS entity_id', '{0,0.5}');
SELECT mastering.calibration('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight', 'SELECT 1 AS id, 2 AS entity_id', confidence => 1);
SELECT mastering.calibration('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight', 'SELECT 1 AS id_a, 2 AS id_b, true AS is_match UNION ALL SELECT 2, 1, false');
SELECT mastering.calibration(NULL, 'SELECT 1 AS id, 2 AS entity_id');
SELECT mastering.calibration_chart('SELECT 1 AS id_a, 2 AS id_b', 'SELECT 1 AS id, 2 AS entity_id');
-- The query runs as the caller.
CREATE ROLE regress_mastering_judge;
GRANT USAGE ON SCHEMA calibrated TO regress_mastering_judge;
SET ROLE regress_mastering_judge;
SELECT mastering.calibration('SELECT id_a, id_b, probability FROM scored', 'SELECT 1 AS id_a, 2 AS id_b');
SELECT mastering.calibration_chart('SELECT 1 AS id_a, 2 AS id_b, 0.5 AS weight', 'SELECT * FROM scored');
RESET ROLE;
DROP SCHEMA calibrated CASCADE;
DROP ROLE regress_mastering_judge;
