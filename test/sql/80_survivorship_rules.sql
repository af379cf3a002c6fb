-- Survivorship with conditions, choices, trust and own aggregates; what rules would do before they are set; lineage.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE TABLE person (id int, source text, grp int, name text, email text, price numeric, checked boolean, updated date);
INSERT INTO person VALUES
    (1, 'crm', 1, 'Ann', 'ann@old.org', 10, true, '2020-01-01'), (2, 'shop', 1, 'Anna', 'ann@new.org', 20, false, '2024-01-01'), (3, 'web', 1, 'A.', 'x', 60, NULL, '2025-01-01'),
    (4, 'crm', 2, NULL, 'bob@b.org', 1, false, '2010-01-01'), (5, 'shop', 2, 'Bob', ' ', 2, true, '2020-01-01'), (6, 'web', 2, 'Bobby', NULL, NULL, false, NULL),
    (7, 'crm', 3, 'Cid', NULL, NULL, NULL, NULL);
CREATE FUNCTION survivors(rules jsonb) RETURNS TABLE (cluster_id text, golden jsonb, via jsonb) LANGUAGE sql AS $$
    SELECT g.cluster_id, g.golden - '{grp,checked,updated}'::text[], (SELECT jsonb_object_agg(l.key, concat_ws(' / ', l.value ->> 'record', l.value ->> 'rule', l.value ->> 'agreeing')) FROM jsonb_each(g.lineage) l WHERE l.key IN ('name', 'email', 'price'))
      FROM mastering.golden_records('SELECT * FROM person', 'SELECT id, grp AS cluster_id FROM person', rules) g ORDER BY 1 $$;
-- A condition: what does not meet it does not survive.
SELECT * FROM survivors('{"attributes": {"email": {"rule": "most_recent", "where": "email LIKE ''%@%''"}, "name": {"rule": "longest", "where": "checked"}}, "recency": "updated"}');
-- Fall-backs: the first choice that finds a value.
SELECT * FROM survivors('{"attributes": {"name": {"first": [{"rule": "longest", "where": "checked", "name": "checked first"}, {"rule": "most_recent", "where": "source <> ''web''"}, "shortest"]}}, "recency": "updated"}');
-- Most frequent of those that are meant, not of all.
SELECT golden ->> 'v' AS v, lineage #>> '{v,agreeing}' AS agreeing FROM mastering.golden_records('SELECT i AS id, v, ok FROM (VALUES (1, ''a'', false), (2, ''a'', false), (3, ''a'', true), (4, ''b'', true), (5, ''b'', true)) x (i, v, ok)', 'SELECT i AS id, 1 AS cluster_id FROM generate_series(1, 5) i',
    '{"attributes": {"v": {"rule": "most_frequent", "where": "ok"}}}');
-- Groups survive from one record under conditions too.
SELECT cluster_id, golden ->> 'name' AS name, golden ->> 'email' AS email FROM mastering.golden_records('SELECT * FROM person', 'SELECT id, grp AS cluster_id FROM person', '{"groups": [{"attributes": ["name", "email"], "rule": "most_recent", "where": "price < 50"}], "recency": "updated"}') ORDER BY 1;
-- Trust: by source, going down with age; unknown sources last; a record without a date is old.
SELECT * FROM survivors('{"default": "trust", "trust": {"crm": 90, "shop": 50, "*": 10}}');
SELECT * FROM survivors('{"default": "trust", "trust": {"crm": {"start": 90, "final": 20, "after": "4 years"}, "shop": {"start": 80, "final": 30, "after": "10 years"}}, "recency": "updated"}');
SELECT * FROM survivors('{"attributes": {"price": {"rule": ["trust", "max"], "trust": {"*": 5}}}}');
-- Aggregates: the value is made, not chosen.
SELECT * FROM survivors('{"attributes": {"price": {"rule": "aggregate", "aggregate": "round(avg(price), 2)"}, "name": {"rule": "aggregate", "aggregate": "string_agg(name, ''+'')"}, "email": {"rule": "aggregate", "aggregate": "count(email)::text", "name": "how many"}}}');
CREATE AGGREGATE second_greatest(numeric) (SFUNC = numeric_larger, STYPE = numeric);
SELECT cluster_id, golden -> 'price' AS price FROM survivors('{"attributes": {"price": {"rule": "aggregate", "aggregate": "second_greatest(price) FILTER (WHERE price < 50)"}}}');
SELECT * FROM mastering.golden_records('SELECT * FROM person WHERE false', 'SELECT id, grp AS cluster_id FROM person', '{"attributes": {"price": {"rule": "aggregate", "aggregate": "sum(price)"}, "name": {"rule": "longest", "where": "true"}}}');
-- The order of rows does not matter.
SELECT count(*) FILTER (WHERE x.golden = y.golden AND x.lineage = y.lineage) AS same, count(*) AS clusters
  FROM mastering.golden_records('SELECT * FROM person ORDER BY id', 'SELECT id, grp AS cluster_id FROM person', '{"default": {"first": [{"rule": ["trust", "longest"], "where": "price > 5"}, "trust"]}, "trust": {"crm": {"start": 9, "final": 1, "after": "1 year"}, "*": 3}, "recency": "updated", "attributes": {"name": {"rule": "aggregate", "aggregate": "string_agg(name, '','')"}}}') x
  JOIN mastering.golden_records('SELECT * FROM person ORDER BY id DESC', 'SELECT id, grp AS cluster_id FROM person', '{"default": {"first": [{"rule": ["trust", "longest"], "where": "price > 5"}, "trust"]}, "trust": {"crm": {"start": 9, "final": 1, "after": "1 year"}, "*": 3}, "recency": "updated", "attributes": {"name": {"rule": "aggregate", "aggregate": "string_agg(name, '','')"}}}') y USING (cluster_id);
-- What is wrong is named.
CREATE PROCEDURE refused(rules text) LANGUAGE plpgsql AS $$
DECLARE d text; h text;
BEGIN
    PERFORM * FROM survivors(rules::jsonb);
    RAISE INFO 'accepted: %', rules;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RAISE INFO '% %', SQLERRM, concat_ws(' | ', '', nullif(d, ''), nullif(h, ''));
END
$$;
CALL refused('{"attributes": {"name": {"rule": "longest", "where": "1) FROM person; --"}}}');
CALL refused('{"attributes": {"name": {"rule": "longest", "where": "EXISTS (SELECT FROM person)"}}}');
CALL refused('{"attributes": {"name": {"rule": "longest", "where": 5}}}');
CALL refused('{"attributes": {"name": {"rule": "longest", "where": "colour"}}}');
CALL refused('{"attributes": {"name": ["longest", {"rule": "most_frequent", "where": "true"}]}}');
CALL refused('{"attributes": {"name": {"first": []}}}');
CALL refused('{"attributes": {"name": {"first": [{"first": ["longest"]}]}}}');
CALL refused('{"attributes": {"name": {"first": ["longest", "union"]}}}');
CALL refused('{"attributes": {"name": {"rule": "union", "where": "true"}}}');
CALL refused('{"attributes": {"name": "trust"}}');
CALL refused('{"attributes": {"name": {"rule": "trust", "trust": {"crm": "much"}}}}');
CALL refused('{"attributes": {"name": {"rule": "trust", "trust": {"crm": {"start": 3, "after": "1 year"}}}}}');
CALL refused('{"attributes": {"name": {"rule": "trust", "trust": {"crm": {"start": 3, "final": 1, "after": "soon"}}}}}');
CALL refused('{"attributes": {"name": {"rule": "trust", "trust": {"crm": {"start": 3, "final": 1, "after": "1 day"}}}}}');
CALL refused('{"attributes": {"name": {"rule": "trust", "trust": {"crm": {"start": 3, "final": 1, "after": "1 day"}}, "recency": "email"}}}');
CALL refused('{"attributes": {"price": "aggregate"}}');
CALL refused('{"attributes": {"price": {"rule": "aggregate", "aggregate": "price"}}}');
CALL refused('{"attributes": {"name": {"rule": "aggregate", "aggregate": "unnest(array_agg(name))"}}}');
CALL refused('{"attributes": {"price": ["max", {"rule": "aggregate", "aggregate": "max(price)"}]}}');
CALL refused('{"groups": [{"attributes": ["name", "email"], "rule": "aggregate", "aggregate": "max(name)"}]}');

-- In an environment, as its owner.
CREATE ROLE gold_owner; CREATE ROLE gold_author; CREATE ROLE gold_reviewer;
CREATE SCHEMA gold_data;
GRANT USAGE ON SCHEMA gold_data, public TO gold_owner;
CREATE TABLE gold_data.crm AS SELECT i AS id, 'Person ' || i / 3 AS name, 'p' || i / 3 || '@' || (ARRAY['x', 'yy', 'zzz'])[1 + i % 3] || '.org' AS email, i AS price, i % 2 = 0 AS checked FROM generate_series(3, 62) i;
CREATE TABLE gold_data.secret AS SELECT 'top secret' AS word;
CREATE FUNCTION gold_data.leak(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT word FROM gold_data.secret';
CREATE FUNCTION gold_data.who(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT current_user::text';
CREATE AGGREGATE gold_data.whose(text) (SFUNC = gold_data.who, STYPE = text);
GRANT SELECT ON gold_data.crm TO gold_owner;
SELECT mastering.create_environment('gold', owner => 'gold_owner'), mastering.grant_role('gold', 'author', 'gold_author'), mastering.grant_role('gold', 'reviewer', 'gold_reviewer');
SELECT mastering.define_entity('gold', 'p', '{"name": "text", "email": "text", "price": "integer", "checked": "boolean"}'), mastering.map_source('gold', 'p', 'crm', 'gold_data.crm', 'id'),
    mastering.set_blocking('gold', 'p', '["name"]'), mastering.set_clustering('gold', 'p', '{"threshold": 0.001}'), mastering.set_comparisons('gold', 'p', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "jaro_winkler"}]');
SELECT change FROM mastering.load('gold', 'p');
SELECT mastering.preview_survivorship('gold', 'p', '{}');
SELECT mastering.train('gold', 'p') IS NOT NULL AS trained, mastering.master('gold', 'p') -> 'clusters' AS clusters;
SET SESSION AUTHORIZATION gold_author;
-- Refused when it is set, not in the next run.
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"email": {"rule": "longest", "where": "random() < 0.5"}}}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"email": {"rule": "longest", "where": "colour = 1"}}}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"email": {"rule": "longest", "where": "length(email)"}}}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"price": {"rule": "aggregate", "aggregate": "price"}}}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"price": {"rule": "aggregate", "aggregate": "array_agg(price)"}}}');
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"name": {"rule": "aggregate", "aggregate": "max(pg_read_file(name))"}}}');
-- A preview: counts and examples, and nothing is written.
RESET SESSION AUTHORIZATION;
SELECT count(*) AS artifacts FROM mastering.artifact \gset
SELECT max(seq) AS last FROM mastering.audit_entry WHERE environment = 'gold' \gset
SELECT versions::text AS versions FROM mastering.head WHERE environment = 'gold' \gset
SET SESSION AUTHORIZATION gold_author;
SELECT attribute, clusters, changed, filled, emptied, (SELECT jsonb_agg(e - 'id' ORDER BY e -> 'id') FROM jsonb_array_elements(example_cells) e) AS examples
  FROM mastering.preview_survivorship('gold', 'p', '{"attributes": {"email": {"rule": "longest", "where": "checked"}, "price": {"rule": "aggregate", "aggregate": "avg(price)"}}}', examples => 2);
SET SESSION AUTHORIZATION gold_reviewer;
SELECT * FROM mastering.preview_survivorship('gold', 'p', '{}');
RESET SESSION AUTHORIZATION;
SELECT (SELECT count(*) FROM mastering.artifact) = :artifacts AS no_artifact, (SELECT max(seq) FROM mastering.audit_entry WHERE environment = 'gold') = :last AS no_entry, (SELECT versions::text FROM mastering.head WHERE environment = 'gold') = :'versions' AS same_head;
-- Then it is set, and does what the preview said.
SET SESSION AUTHORIZATION gold_author;
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"email": {"rule": "longest", "where": "checked"}, "price": {"rule": "aggregate", "aggregate": "avg(price)"}}}');
SELECT mastering.master('gold', 'p') -> 'clusters' AS clusters;
SELECT sum(changed) AS changed FROM mastering.preview_survivorship('gold', 'p', '{"attributes": {"email": {"rule": "longest", "where": "checked"}, "price": {"rule": "aggregate", "aggregate": "avg(price)"}}}');
RESET SESSION AUTHORIZATION;
SELECT name, email, price FROM gold.p ORDER BY length(name), name, id LIMIT 3;
-- Lineage of every cell, with what the others have to offer, and overrides.
SELECT id AS cluster FROM gold.p ORDER BY records DESC, length(name), name, id LIMIT 1 \gset
SELECT mastering.override_golden('gold', 'p', :cluster, 'email', 'right@x.org', 'she called', '2100-01-01') IS NOT NULL AS overridden, mastering.master('gold', 'p') -> 'clusters' AS clusters;
SELECT * FROM mastering.explain_golden('gold', 'p', :cluster);
SELECT changed FROM mastering.preview_survivorship('gold', 'p', '{"attributes": {"email": "shortest", "price": {"rule": "aggregate", "aggregate": "avg(price)"}}}') WHERE attribute = 'email';
SELECT mastering.explain_golden('gold', 'p', 0);
-- An aggregate of one's own runs as the environment's owner; what that role may not read, it does not get.
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"name": {"rule": "aggregate", "aggregate": "gold_data.whose(name)"}}}'), mastering.master('gold', 'p') -> 'clusters' AS clusters;
SELECT DISTINCT name FROM gold.p;
SELECT mastering.set_survivorship('gold', 'p', '{"attributes": {"name": {"rule": "aggregate", "aggregate": "max(gold_data.leak(name))"}}}');
SELECT mastering.master('gold', 'p') -> 'clusters' AS clusters;
GRANT SELECT ON gold_data.secret TO gold_owner;
SELECT mastering.master('gold', 'p') -> 'clusters' AS clusters;
-- What such rules made is not found by another environment, whose owner may not read it.
CREATE ROLE other_owner;
GRANT USAGE ON SCHEMA gold_data TO other_owner;
GRANT SELECT ON gold_data.crm TO other_owner;
SELECT mastering.create_environment('other', owner => 'other_owner');
SELECT count(*) > 0 AS imported FROM mastering.import_config('other', mastering.export_config('gold'));
SELECT change FROM mastering.load('other', 'p');
SELECT mastering.master('other', 'p');
SELECT mastering.drop_environment('other'), mastering.drop_environment('gold');
DROP SCHEMA gold_data CASCADE;
DROP FUNCTION survivors; DROP PROCEDURE refused; DROP AGGREGATE second_greatest(numeric); DROP TABLE person;
REVOKE ALL ON SCHEMA public FROM gold_owner;
DROP ROLE gold_owner, gold_author, gold_reviewer, other_owner;
