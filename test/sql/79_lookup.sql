-- One record against an environment: candidates by the keys of the published run, scored by its model.
-- In a database of its own: what other tests leave there is not.
SELECT current_database() AS home \gset
CREATE DATABASE lookup;
\c lookup
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE l_owner; CREATE ROLE l_consumer; CREATE ROLE l_none;
CREATE SCHEMA looked;
CREATE TABLE looked.people AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city FROM generate_series(1, 200) i;
INSERT INTO looked.people SELECT id + 1000, upper(name), email, NULL FROM looked.people WHERE id <= 20;
GRANT USAGE ON SCHEMA looked TO l_owner;
GRANT SELECT ON looked.people TO l_owner;
SET search_path = mastering, pg_catalog;
SELECT setval('mastering.cluster_id', 1000000);
SELECT create_environment('l1', owner => 'l_owner'), create_environment('l2', 'l1', owner => 'l_owner'), grant_role('l1', 'consumer', 'l_consumer');
SELECT define_entity('l1', 'p', '{"name": "text", "email": "text", "city": "text"}'), map_source('l1', 'p', 's', 'looked.people', 'id'),
       set_blocking('l1', 'p', '["email", {"keys": "name"}]'), set_comparisons('l1', 'p', '[{"column": "name"}, {"column": "email", "method": "exact"}, {"column": "city", "method": "exact"}]');
SELECT * FROM block_keys('SELECT 1 AS id, ''x'' AS email, NULL::text AS name UNION ALL SELECT 2, '' X'', ''y''', '{"blocking": ["email", "name"], "comparisons": ["name"]}') ORDER BY key, id;
SELECT change FROM load('l1', 'p');
SELECT lookup('l1', 'p', '{"email": "mail7@example.org"}');
SELECT train('l1', 'p') IS NOT NULL AS trained;
SELECT master('l1', 'p') ->> 'clusters' AS clusters;
SELECT source, record_key, probability > 0.99 AS sure, explanation, cluster_id = (SELECT m.cluster_id FROM l1.p_members m WHERE m.record_key = l.record_key) AS its_cluster
  FROM lookup('l1', 'p', jsonb_build_object('name', 'FIRST' || md5('7') || ' last' || md5('49'), 'email', 'mail7@example.org', 'city', 'Berlin')) l;
SELECT count(*) FROM lookup('l1', 'p', '{"email": "mail7@example.org"}', 1);
SELECT count(*) FROM lookup('l1', 'p', '{"email": "nobody@example.org"}');
SELECT count(*) FROM lookup('l1', 'p', '{}');
-- In a batch, beside the rows that ask.
SELECT q.id, l.record_key FROM (SELECT p.id, jsonb_build_object('email', p.email) AS r FROM looked.people p WHERE p.id BETWEEN 30 AND 32) q CROSS JOIN LATERAL lookup('l1', 'p', q.r) l ORDER BY 1, 2;
-- What is published is what is found: records that are gone are not, new ones after the next run.
DELETE FROM looked.people WHERE id = 7;
UPDATE looked.people SET email = 'other@example.org' WHERE id = 8;
INSERT INTO looked.people VALUES (500, 'New One', 'new@example.org', 'Ulm');
SELECT change FROM load('l1', 'p');
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l1', 'p', '{"email": "mail7@example.org"}');
SELECT master('l1', 'p') ->> 'clusters' AS clusters;
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l1', 'p', '{"email": "mail7@example.org"}');
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l1', 'p', '{"email": "mail8@example.org"}');
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l1', 'p', '{"email": "new@example.org"}');
-- Only the keys of new segments were made.
SELECT count(*) AS segments, count(DISTINCT g.derived_from) AS derived FROM segment g JOIN store t USING (store_id) WHERE t.kind = 'keys' AND t.entity = 'p';
-- Elsewhere the same keys are used.
SELECT promote('l1', 'l2') > 0 AS promoted;
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l2', 'p', '{"email": "new@example.org"}');
SELECT count(*) AS segments FROM segment g JOIN store t USING (store_id) WHERE t.kind = 'keys' AND t.entity = 'p';
-- An id that was merged leads on.
SELECT m.cluster_id AS old_id FROM l1.p_members m WHERE m.record_key = '500' \gset
SELECT merge_clusters('l1', 'p', ARRAY[m.cluster_id, o.cluster_id]) > 0 AS decided FROM l1.p_members m, l1.p_members o WHERE m.record_key = '500' AND o.record_key = '100';
SELECT master('l1', 'p') ->> 'merged' AS merged;
SELECT current_cluster('l1', 'p', :old_id) = (SELECT m.cluster_id FROM l1.p_members m WHERE m.record_key = '500') AS leads_on, current_cluster('l1', 'p', -1) AS none;
-- A consumer gets clusters; who has no role, nothing.
SET ROLE l_consumer;
SELECT cluster_id IS NOT NULL AS cluster, probability > 0.5 AS likely, source, record_key, explanation FROM lookup('l1', 'p', '{"email": "mail9@example.org"}', 1);
SET ROLE l_none;
SELECT * FROM lookup('l1', 'p', '{"email": "mail9@example.org"}');
RESET ROLE;
SELECT * FROM lookup('l1', 'p', '{"mail": "x"}');
SELECT * FROM lookup('l1', 'p', '["x"]');
SELECT * FROM lookup('l1', 'p', '{"name": "x"}', 0);
SELECT * FROM lookup('l1', 'q', '{"name": "x"}');
-- A function in the model that comes back with another type: what the session keeps goes, said once.
CREATE FUNCTION looked.half(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT pg_catalog.left(t, 5) $$;
SELECT set_blocking('l1', 'p', '["looked.half(email)"]'), train('l1', 'p') IS NOT NULL AS trained, master('l1', 'p') IS NOT NULL AS run;
SELECT count(*) > 1 AS found FROM lookup('l1', 'p', '{"email": "mail9@example.org"}');
DROP FUNCTION looked.half(text);
CREATE FUNCTION looked.half(t text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY[pg_catalog.left(t, 5)] $$;
SELECT count(*) > 1 AS found FROM lookup('l1', 'p', '{"email": "mail9@example.org"}');
SELECT count(*) > 1 AS found FROM lookup('l1', 'p', '{"email": "mail9@example.org"}');
-- A model whose expressions look up themselves, more states than a session keeps.
DO $$
BEGIN
    FOR i IN 1..17 LOOP
        PERFORM define_entity('l1', 'e' || i, '{"name": "text", "email": "text"}'), map_source('l1', 'e' || i, 's', 'looked.people', 'id'),
            set_blocking('l1', 'e' || i, '["email"]'), set_comparisons('l1', 'e' || i, '[{"column": "name"}]');
        PERFORM load('l1', 'e' || i);
        PERFORM train('l1', 'e' || i);
        PERFORM master('l1', 'e' || i);
    END LOOP;
END $$;
CREATE FUNCTION looked.known(t text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT t $$;
SELECT set_blocking('l1', 'p', '["looked.known(email)"]'), set_comparisons('l1', 'p', '[{"column": "email", "method": "exact"}]'), train('l1', 'p') IS NOT NULL AS trained, master('l1', 'p') IS NOT NULL AS run;
CREATE OR REPLACE FUNCTION looked.known(t text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    known bigint := 0;
BEGIN
    FOR i IN 1..17 LOOP
        known := known + (SELECT count(*) FROM mastering.lookup('l1', 'e' || i, jsonb_build_object('email', t)));
    END LOOP;
    RETURN CASE WHEN known = 34 THEN t END;
END $$;
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l1', 'p', '{"email": "mail9@example.org"}');
SELECT string_agg(record_key, ' ' ORDER BY record_key) FROM lookup('l1', 'p', '{"email": "mail9@example.org"}');
SELECT drop_environment('l2'), drop_environment('l1');
DROP SCHEMA looked CASCADE;
DROP ROLE l_owner, l_consumer, l_none;
\c :home
DROP DATABASE lookup;
