-- ---- 7. From a result to a service: Dev, Test and Prod -------------------------------------------------
-- What was tried above becomes configuration of an environment: attributes, sources, rules. Each source is bound to a relation.
\set SHOW_CONTEXT never
SELECT create_environment('dev'), create_environment('test', promotes_from => 'dev'), create_environment('prod', promotes_from => 'test');
SELECT define_entity('dev', 'customer', '{"given_name": "text", "family_name": "text", "birth_date": "date", "street": "text",
    "postcode": "text", "city": "text", "phone": "text", "email": "text", "updated_at": "timestamp"}');
\set same '{"given_name": "given_name", "family_name": "family_name", "birth_date": "birth_date", "street": "street", "postcode": "postcode", "city": "city", "phone": "phone", "email": "email", "updated_at": "updated_at"}'
SELECT map_source('dev', 'customer', source, 'demo.' || source, 'id', :'same') FROM unnest(ARRAY['crm', 'shop', 'billing']) AS source;
SELECT set_blocking('dev', 'customer', :'spec'::jsonb -> 'blocking');
SELECT set_comparisons('dev', 'customer', :'spec'::jsonb -> 'comparisons');
SELECT set_survivorship('dev', 'customer', '{"recency": "updated_at", "source_priority": ["crm", "shop", "billing"],
    "default": ["most_frequent", "source_priority"], "groups": [{"attributes": ["street", "postcode", "city"], "rule": "most_recent"}]}');

-- Data come in, a model is learnt, and the run makes clusters with ids that stay and golden records.
SELECT * FROM load('dev', 'customer');
SELECT train('dev', 'customer') -> 'training' -> 'records' AS trained_on;
SELECT master('dev', 'customer');
SELECT id, given_name, family_name, city, records, sources FROM dev.customer ORDER BY records DESC, id LIMIT 3;

-- Proven in Dev, it goes to Test and on to Prod. What was run once is not run again: pointers move.
\timing on
SELECT promote('dev', 'test', 'first release') AS release;
SELECT promote('test', 'prod', 'first release') AS release;
\timing off
SELECT count(*) AS golden_records_in_prod, sum(records) AS records FROM prod.customer;

-- A rule that every release must keep: no golden record of more than 10 records.
SELECT add_check('dev', 'customer', 'no giant cluster', 'SELECT id, records FROM customer WHERE records > 10');
\set ON_ERROR_STOP off
-- Somebody makes matching far too generous. Test's gate stops it, and Prod never hears of it.
SELECT set_clustering('dev', 'customer', '{"threshold": 0.0001, "linkage": "single", "one_per_source": "never"}');
SELECT promote('dev', 'test', 'find more duplicates');
\set ON_ERROR_STOP on
SELECT environment, check_name, severity, passed, row_count FROM check_results;

-- Back to what is in Test; then a change that passes every check, and that nobody likes once it is in Prod.
SELECT set_clustering('dev', 'customer', '{}');
SELECT set_survivorship('dev', 'customer', '{"default": "shortest"}');
SELECT promote('dev', 'test', 'shorter names') AS release;
SELECT promote('test', 'prod', 'shorter names') AS release;
SELECT id, given_name, family_name, city, records FROM prod.customer ORDER BY records DESC, id LIMIT 3;
-- One call brings the old state back, at once, and loses no data.
\timing on
SELECT rollback('prod', reason => 'names are cut') AS release;
\timing off
SELECT id, given_name, family_name, city, records FROM prod.customer ORDER BY records DESC, id LIMIT 3;
SELECT kind, source, target, state, message FROM releases ORDER BY release_id;
SELECT action, environment, role FROM audit_log ORDER BY at DESC, seq DESC LIMIT 5;
