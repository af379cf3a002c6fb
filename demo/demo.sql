-- ======================================================================================================
-- mastering: from dirty records of three systems to golden ones, in plain SQL
-- ======================================================================================================
-- ---- 1. What came in ----------------------------------------------------------------------------------
-- A CRM, a web shop and an old billing system know the same customers, each in its own way.
SELECT * FROM crm.customers ORDER BY customer_id LIMIT 3;
SELECT * FROM shop.accounts ORDER BY account_id LIMIT 3;
SELECT * FROM billing.debtors ORDER BY debtor_no LIMIT 3;
-- A view gives them one shape (demo/sources.sql). No error was cleansed.
SELECT source, count(*) AS records, count(birth_date) AS with_birth_date, count(phone) AS with_phone, count(email) AS with_email,
    count(DISTINCT lower(given_name || ' ' || family_name)) AS names
FROM demo.customers GROUP BY source ORDER BY source;

-- ---- 2. Who is the same person? One call --------------------------------------------------------------
CREATE EXTENSION mastering;
\set customers 'SELECT id, given_name, family_name, birth_date, street, postcode, city, phone, email FROM demo.customers'

\timing on
CREATE TABLE demo.clusters AS SELECT * FROM mastering.dedupe(:'customers');
\timing off
SELECT count(*) AS records, count(DISTINCT cluster_id) AS customers, max(size) AS largest,
    count(*) FILTER (WHERE size = 1) AS found_once FROM demo.clusters;

-- ---- 3. What that call did ----------------------------------------------------------------------------
-- It looked at the data and wrote a specification: what to compare, and which pairs to look at.
SELECT mastering.suggest(:'customers') AS spec \gset
-- SELECT jsonb_pretty(:'spec'::jsonb) shows all of it, as JSON.
SELECT coalesce(c ->> 'column', c ->> 'expression') AS compared, c ->> 'method' AS method, c -> 'levels' AS alike_enough
FROM jsonb_array_elements(:'spec'::jsonb -> 'comparisons') AS c;
-- Which pairs does each key bring, and which of the true ones does it find that those before it did not?
SELECT rule, left(key, 50) AS key, blocks, pairs, new_pairs, round(completeness::numeric, 4) AS found, round(new_completeness::numeric, 4) AS newly_found
FROM mastering.blocking_report(:'customers', :'spec', 'SELECT id, entity_id FROM demo.truth');

-- It learned, without any label, how much each agreement is worth. The model is JSON: to store, to compare, to promote.
\timing on
SELECT mastering.train_model(:'customers', :'spec') AS model \gset
CREATE TABLE demo.pairs AS SELECT * FROM mastering.match_pairs(:'customers', :'model');
\timing off
ALTER TABLE demo.pairs ADD PRIMARY KEY (id_a, id_b);

-- ---- 4. The golden records ----------------------------------------------------------------------------
-- Most values go by majority. An address survives as a whole, from the latest record that has one: people move. So does a
-- surname: people marry; but billing knows no accents, and some write in small letters: their spelling counts where there is no other.
\timing on
CREATE TABLE demo.golden AS
SELECT * FROM mastering.golden_records(
    'SELECT * FROM demo.customers',
    'SELECT id, cluster_id FROM demo.clusters',
    $${"recency": "updated_at",
      "source_priority": ["crm", "shop", "billing"],
      "default": ["most_frequent", "source_priority"],
      "attributes": {"given_name": "source_priority", "phone": "most_recent", "email": "most_recent",
                     "family_name": {"first": [{"rule": "most_recent", "where": "source <> 'billing' AND family_name <> lower(family_name)", "name": "well spelt"}, "most_recent"]}},
      "groups": [{"attributes": ["street", "postcode", "city"], "first": [{"rule": "most_recent", "where": "street IS NOT NULL"}, "most_recent"]}]}$$);
\timing off
ALTER TABLE demo.golden ADD PRIMARY KEY (cluster_id);

-- Three customers who moved, known to all three systems: the source records, and below them the golden one.
CREATE TABLE demo.shown AS
SELECT c.cluster_id, row_number() OVER (ORDER BY count(DISTINCT lower(r.family_name)) DESC, c.cluster_id) AS n
FROM demo.clusters AS c JOIN demo.customers AS r USING (id)
WHERE c.size BETWEEN 3 AND 5
GROUP BY c.cluster_id
HAVING count(DISTINCT r.source) = 3 AND count(DISTINCT r.postcode) = 2 AND count(DISTINCT lower(r.given_name)) > 1
ORDER BY 2 LIMIT 3;

SELECT s.n AS customer, r.source, r.id, r.given_name, r.family_name, r.birth_date, r.street, r.postcode, r.city, r.phone, r.email, r.updated_at::date AS updated
FROM demo.shown AS s JOIN demo.clusters USING (cluster_id) JOIN demo.customers AS r USING (id)
UNION ALL
SELECT s.n, '= golden', '', g.given_name, g.family_name, g.birth_date, g.street, g.postcode, g.city, g.phone, g.email, NULL
FROM demo.shown AS s JOIN demo.golden USING (cluster_id) CROSS JOIN LATERAL jsonb_populate_record(NULL::demo.customers, golden) AS g
ORDER BY customer, updated;

-- Where does every value of the first one come from?
SELECT l.key AS attribute, golden ->> l.key AS value, l.value ->> 'source' AS source, l.value ->> 'record' AS record,
    l.value ->> 'rule' AS rule, l.value ->> 'agreeing' AS agreeing
FROM demo.golden JOIN demo.shown USING (cluster_id) CROSS JOIN LATERAL jsonb_each(lineage) AS l
WHERE n = 1 AND l.key <> 'updated_at' AND jsonb_typeof(l.value) = 'object'
ORDER BY array_position(ARRAY['given_name', 'family_name', 'birth_date', 'street', 'postcode', 'city', 'phone', 'email'], l.key);

-- ---- 5. Why are these two one person? -----------------------------------------------------------------
SELECT p.id_a, p.id_b FROM demo.pairs AS p JOIN demo.clusters AS c ON c.id = p.id_a JOIN demo.shown AS s USING (cluster_id)
ORDER BY s.n, p.weight, p.id_a, p.id_b LIMIT 1 \gset
SELECT comparison, value_a, value_b, round(similarity::numeric, 3) AS similarity, level, weight, total, round(probability::numeric, 4) AS probability
FROM mastering.explain_pair(:'customers', :'model', :'id_a', :'id_b');

-- ---- 6. How good is it? -------------------------------------------------------------------------------
-- The generator wrote down who is who. The matching never saw it; now it may.
SELECT metric, value, meaning FROM mastering.evaluate_clusters('SELECT id, cluster_id FROM demo.clusters', 'SELECT id, entity_id FROM demo.truth');
