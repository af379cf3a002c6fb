-- What is wrong with an entity's rules is said by the call that sets them, with its place in the document, and not by a run
-- that comes later; nothing is set then. An entity that does not exist has no rules.
SET client_min_messages = warning;
SET search_path = mastering, public;
\set VERBOSITY default
\set SHOW_CONTEXT never

SELECT create_environment('rules_dev');
SELECT define_entity('rules_dev', 'person', '{"name": "text", "email": "text", "born": "date", "phones": "text[]"}');

-- A name that was mistyped.
SELECT set_blocking('rules_dev', 'persn', '["email"]');
SELECT set_comparisons('rules_dev', 'persn', '["email"]');
SELECT set_clustering('rules_dev', 'persn', '{}');
SELECT set_survivorship('rules_dev', 'persn', '{}');
SELECT set_model('rules_dev', 'persn', '{}');

SELECT set_blocking('rules_dev', 'person', '["email", {"keys": "emial"}]');
SELECT set_blocking('rules_dev', 'person', '[]');
SELECT set_comparisons('rules_dev', 'person', '[{"column": "name", "method": "jaro_wrinkler"}]');
SELECT set_comparisons('rules_dev', 'person', '[{"column": "nam"}]');
SELECT set_comparisons('rules_dev', 'person', '["name", {"column": "born", "method": "date", "levels": [2]}]');
SELECT set_clustering('rules_dev', 'person', '{"threshold": "0.9"}');
SELECT set_clustering('rules_dev', 'person', '{"threshold": 7}');
SELECT set_clustering('rules_dev', 'person', '{"link": "across"}');
SELECT set_survivorship('rules_dev', 'person', '{"default": "longst"}');
SELECT set_survivorship('rules_dev', 'person', '{"attributes": {"mail": "longest"}}');
SELECT set_model('rules_dev', 'person', '{}');
SELECT set_model('rules_dev', 'person', '{"blocking": ["email"], "comparisons": ["name"]}');
SELECT entry.key FROM configuration c, jsonb_each_text(c.tree) entry WHERE c.environment = 'rules_dev' ORDER BY 1;

-- What is right is set.
SELECT set_blocking('rules_dev', 'person', '["email", ["name", "born"], "phones", {"keys": "concat_ws('' '', name, email)", "top_k": 5}]'),
    set_comparisons('rules_dev', 'person', '["name", {"column": "born", "method": "date"}, {"column": "phones", "method": "exact", "elements": "set"}]'),
    set_clustering('rules_dev', 'person', '{"threshold": 0.9, "link": "across_sources", "linkage": "single", "one_per_source": "always", "normalize": "none"}'),
    set_survivorship('rules_dev', 'person', '{"default": ["most_frequent", "longest"], "source_priority": ["crm"], "attributes": {"phones": "union"}}'),
    set_model('rules_dev', 'person', train_model('SELECT i AS id, ''n'' || i % 9 AS name, ''e'' || i % 9 AS email FROM generate_series(1, 30) i', '{"blocking": ["email"], "comparisons": ["name"]}'));
SELECT entry.key FROM configuration c, jsonb_each_text(c.tree) entry WHERE c.environment = 'rules_dev' ORDER BY 1;

-- A name is a name, whatever it says.
SELECT define_entity('rules_dev', 'thing', '{"kept WHERE false": "text"}');
SELECT set_survivorship('rules_dev', 'thing', '{"default": "longest"}');
SELECT drop_environment('rules_dev');
