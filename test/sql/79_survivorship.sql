-- Survivorship rules of an environment: the rule union.
\set SHOW_CONTEXT never
-- In an environment the golden record has the types of the entity: the rule union is for arrays.
SET client_min_messages = warning;
CREATE TABLE crm AS SELECT i AS id, 'Person ' || i / 3 AS name, 'p' || i / 3 || '@x.org' AS email, NULLIF(i % 4, 0)::text AS phone FROM generate_series(1, 60) AS i;
SELECT mastering.create_environment('gold'), mastering.define_entity('gold', 'p', '{"name": "text", "email": "text", "phones": "text[]"}'),
    mastering.map_source('gold', 'p', 'crm', 'public.crm', 'id', '{"name": "name", "email": "email", "phones": "ARRAY[phone]"}'),
    mastering.set_blocking('gold', 'p', '["email"]'), mastering.set_comparisons('gold', 'p', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT mastering.set_survivorship('gold', 'p', '{"default": "union"}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"phones": "union", "name": "unoin"}}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"phones": "union"}}');
SELECT change FROM mastering.load('gold', 'p');
SELECT mastering.train('gold', 'p') IS NOT NULL AS trained, mastering.master('gold', 'p') - 'reused' AS run;
SELECT p.name, p.phones, p.records, l.rule, l.agreeing FROM gold.p JOIN gold.p_lineage AS l USING (id) WHERE l.attribute = 'phones' AND p.records > 1 ORDER BY p.name LIMIT 3;
SELECT mastering.drop_environment('gold');
DROP TABLE crm;
