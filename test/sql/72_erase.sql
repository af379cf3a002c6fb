-- A person's record is removed from all that was ever stored; what is left verifies, and the next loads leave it out.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA erase_input;
SET search_path = mastering, public;
-- Persons 3 and 4 are one each in both sources; 5 only in crm.
CREATE TABLE erase_input.crm AS SELECT i AS id, 'Person ' || md5('erase' || i) AS name, 'mail' || i || '@erase.example' AS email, 'Hamlet no. ' || i AS town FROM generate_series(1, 60) i;
CREATE TABLE erase_input.shop AS SELECT 'N' || i AS no, 'P ' || md5('erase' || i) AS name, 'mail' || i || '@erase.example' AS email FROM generate_series(1, 60) i WHERE i <> 5;
SELECT create_environment('e_dev'), create_environment('e_prod', 'e_dev');
SELECT define_entity('e_dev', 'erasable', '{"name": "text", "email": "text", "town": "text"}');
SELECT map_source('e_dev', 'erasable', 'crm', 'erase_input.crm', 'id'), map_source('e_dev', 'erasable', 'shop', 'erase_input.shop', 'no');
SELECT set_blocking('e_dev', 'erasable', '[{"keys": ["email"]}]'), set_comparisons('e_dev', 'erasable', '[{"column": "email", "method": "exact"}]');
SELECT set_survivorship('e_dev', 'erasable', '{"default": "longest"}');
SELECT * FROM load('e_dev', 'erasable');
SELECT set_model('e_dev', 'erasable', '{"blocking": [{"keys": ["email"]}], "comparisons": [{"name": "email", "column": "email", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "normalize": "text"}');
SELECT master('e_dev', 'erasable');
SELECT add_check('e_dev', 'erasable', 'shows rows', 'SELECT id, email, town FROM erasable WHERE email LIKE ''mail3@%'' OR email LIKE ''mail6@%''', 'warn');
SET client_min_messages = error;
SELECT promote('e_dev', 'e_prod') > 0 AS promoted;
SET client_min_messages = warning;
SELECT snapshot('e_prod', tag => 'old');
-- More versions: the record was changed, segments were merged.
UPDATE erase_input.crm SET name = 'Someone of the name of ' || name WHERE id IN (3, 5, 7);
SELECT * FROM load('e_dev', 'erasable');
SELECT master('e_dev', 'erasable') - 'born';
SELECT count(*) FROM compact('e_dev', everything => true);
SELECT snapshot('e_dev', tag => 'new');
SELECT email, name, town, records FROM e_prod.erasable WHERE email IN ('mail3@erase.example', 'mail5@erase.example') ORDER BY 1;
SELECT email, name, town, records FROM e_dev.erasable WHERE email IN ('mail3@erase.example', 'mail5@erase.example') ORDER BY 1;
SELECT bool_and(mastering.segment_hash(segment_id) = hash) AS all_verify FROM mastering.segment;

-- Everything that is stored anywhere, as text: the tables of stores, the catalog, statistics.
CREATE FUNCTION erase_input.found(needle text) RETURNS TABLE (place text, rows bigint) LANGUAGE plpgsql AS $$
DECLARE t record;
BEGIN
    FOR t IN SELECT c.oid::regclass AS name, coalesce(s.kind, c.relname) AS kind FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
               LEFT JOIN mastering.store s ON 'store_' || s.store_id = (SELECT p.relname FROM pg_class p WHERE p.oid = i.inhparent)
              WHERE c.relnamespace = 'mastering'::regnamespace AND c.relkind = 'r' ORDER BY 2 LOOP
        EXECUTE format('SELECT %L, count(*) FROM %s x WHERE strpos(x::text, $1) > 0', t.kind, t.name) INTO place, rows USING needle;
        IF rows > 0 THEN RETURN NEXT; END IF;
    END LOOP;
    SELECT 'statistics', count(*) INTO place, rows FROM pg_stats s WHERE s.schemaname = 'mastering' AND strpos(s::text, needle) > 0;
    IF rows > 0 THEN RETURN NEXT; END IF;
END $$;
-- Statistics of whole stores are nothing that we make; somebody may.
DO $$ DECLARE t name; BEGIN FOR t IN SELECT 'store_' || s.store_id FROM mastering.store s WHERE s.entity = 'erasable' LOOP EXECUTE format('ANALYZE mastering.%I', t); END LOOP; END $$;
SELECT count(*) > 0 AS of_stores FROM pg_stats s WHERE s.schemaname = 'mastering' AND s.tablename LIKE 'store%' AND strpos(s::text, 'mail3@erase.example') > 0;
SELECT place, sum(rows) > 0 AS found FROM erase_input.found('mail3@erase.example') GROUP BY 1 ORDER BY 1;

-- What stewards decided: about the record alone, about it and others, a value of its own.
SELECT lock_cluster('e_dev', 'erasable', g.id) > 0 AS locked, override_golden('e_dev', 'erasable', g.id, 'town', 'Hamlet no. 7') > 0 AS overridden FROM e_dev.erasable g WHERE g.email = 'mail7@erase.example';
SELECT lock_cluster('e_dev', 'erasable', g.id) > 0 AS locked, override_golden('e_dev', 'erasable', g.id, 'town', 'Elsewhere') > 0 AS overridden FROM e_dev.erasable g WHERE g.email = 'mail5@erase.example';

INSERT INTO mastering.label (environment, entity, pair, source_a, key_a, source_b, key_b, verdict, reviewer)
SELECT 'e_dev', 'erasable', x, 'crm', x, 'shop', 'N' || x, 'match', 'somebody' FROM unnest(ARRAY['5', '8']) x;

-- Who may not, and what is no record.
CREATE ROLE erase_author;
SELECT grant_role('e_dev', 'admin', 'erase_author'), grant_role('e_prod', 'author', 'erase_author');
SET ROLE erase_author;
SELECT * FROM erase('erasable', 'crm', '3', 'asked for');
SELECT lift_erasure('erasable', 'crm', '3');
RESET ROLE;
SELECT * FROM erase('erasable', 'crm', '3', ' ');
SELECT * FROM erase('nothing', 'crm', '3', 'asked for');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM erase('erasable', 'crm', '3', 'asked for');
ROLLBACK;

SELECT place, sum(touched) AS touched FROM erase('erasable', 'crm', '3', 'request 2026-17') GROUP BY 1 ORDER BY 1;
SELECT place, sum(touched) AS touched FROM erase('erasable', 'shop', 'N3', 'request 2026-17') GROUP BY 1 ORDER BY 1;
SELECT place, sum(touched) AS touched FROM erase('erasable', 'crm', '5', 'request 2026-18') GROUP BY 1 ORDER BY 1;
SELECT place, sum(touched) AS touched FROM erase('erasable', 'crm', '7', 'request 2026-19') GROUP BY 1 ORDER BY 1;
-- Nothing is found of what was erased, in no version; the secret and the hashes tell no key.
SELECT * FROM erase_input.found('mail3@erase.example');
SELECT * FROM erase_input.found('mail5@erase.example');
SELECT * FROM erase_input.found('Hamlet no. 7');
SELECT * FROM erase_input.found(md5('erase3'));
-- The environments show nothing of it, at once and without a run.
SELECT count(*), count(*) FILTER (WHERE email = 'mail3@erase.example') AS erased, (SELECT count(*) FROM e_prod.erasable_records WHERE source = 'crm' AND record_key IN ('3', '5', '7')) AS records FROM e_prod.erasable;
SELECT v.key, (v.value ->> 'rows')::bigint AS rows FROM mastering.head h, jsonb_each(h.versions) v WHERE h.environment = 'e_prod' AND v.key <> 'erasable_history' ORDER BY 1;
-- A golden record that others share loses what came from the erased one, until the next run.
SELECT g.records, g.name, g.email, g.town FROM e_prod.erasable g JOIN e_prod.erasable_members m ON m.cluster_id = g.id AND m.source = 'shop' AND m.record_key = 'N7';
SELECT attribute, l.source, l.record_key, rule FROM e_prod.erasable_lineage l JOIN e_prod.erasable_members m ON m.cluster_id = l.id AND m.source = 'shop' AND m.record_key = 'N7' ORDER BY 1;
-- Clusters ended with their last record: history says so, and nothing else is left of them, where snapshots do not hold them with others.
SELECT e AS environment, h.event, h.records, count(*) FROM unnest(ARRAY['e_dev', 'e_prod']) e,
    LATERAL (SELECT * FROM e_dev.erasable_history WHERE e = 'e_dev' UNION ALL SELECT * FROM e_prod.erasable_history WHERE e = 'e_prod') h WHERE h.event <> 'born' GROUP BY 1, 2, 3 ORDER BY 1, 2;
SELECT array_agg(h.event ORDER BY h.at, h.event) AS life, (SELECT count(*) FROM e_prod.erasable g WHERE g.id = h.id) AS golden, (SELECT count(*) FROM e_prod.erasable_lineage l WHERE l.id = h.id) AS lineage
  FROM e_prod.erasable_history h GROUP BY h.id HAVING bool_or(h.event <> 'born') ORDER BY h.id;
-- Check results keep the rows of others.
SELECT jsonb_array_length(sample) AS rows, sample @> '[{"erased": true}]' AS erased, sample::text LIKE '%mail6@%' AS others FROM check_results WHERE check_name = 'shows rows' LIMIT 1;
SELECT key_a FROM mastering.label WHERE entity = 'erasable';
SELECT kind, records, attribute, value FROM mastering.curation WHERE entity = 'erasable' ORDER BY curation_id;
-- Hashes verify, of segments and of snapshots; and not if somebody changes anything.
SELECT bool_and(mastering.segment_hash(segment_id) = hash) AS all_verify, (SELECT count(*) > 0 FROM mastering.erased_row) AS rows_erased FROM mastering.segment;
SELECT bool_and(s.hash = mastering.snapshot_hash(s)) AS snapshots_verify FROM mastering.snapshot s;
SELECT 'segment_' || r.segment_id AS reduced FROM mastering.erased_row r WHERE r.left_hash IS NOT NULL ORDER BY r.segment_id LIMIT 1 \gset
BEGIN;
DELETE FROM mastering.:reduced x WHERE x."#row" = (SELECT min("#row") FROM mastering.:reduced);
SELECT bool_and(mastering.segment_hash(segment_id) = hash) AS all_verify FROM mastering.segment;
ROLLBACK;
BEGIN;
UPDATE mastering.erased_row SET left_hash = sha256('x') WHERE left_hash IS NOT NULL;
SELECT bool_and(mastering.segment_hash(segment_id) = hash) AS all_verify FROM mastering.segment;
ROLLBACK;

-- The sources still have the records: loads leave them out and say so; the next run makes golden records without them.
SET client_min_messages = notice;
SELECT * FROM load('e_prod', 'erasable');
SET client_min_messages = warning;
SELECT master('e_prod', 'erasable') - 'born' - 'died';
SELECT g.records, g.name = 'P ' || md5('erase7') AS name_of_shop, g.email, g.town FROM e_prod.erasable g JOIN e_prod.erasable_members m ON m.cluster_id = g.id AND m.source = 'shop' AND m.record_key = 'N7';
SELECT master('e_dev', 'erasable') - 'born' - 'died';
SELECT count(*), count(*) FILTER (WHERE name IS NULL OR email IS NULL) AS reduced FROM e_dev.erasable;
-- Back to a snapshot from before: it has the records no more, either.
SELECT rollback('e_prod', 'e_prod@old', 'all', 'a look back') > 0 AS back;
SELECT count(*), count(*) FILTER (WHERE email IN ('mail3@erase.example', 'mail5@erase.example')) AS erased FROM e_prod.erasable;
-- Every cluster of its history has members or has ended.
SELECT event, records, count(*) FROM e_prod.erasable_history WHERE event <> 'born' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS neither FROM (SELECT DISTINCT ON (id) id, event FROM e_prod.erasable_history ORDER BY id, at DESC) h
 WHERE h.event NOT IN ('died', 'merged') AND NOT EXISTS (SELECT FROM e_prod.erasable_members m WHERE m.cluster_id = h.id);
SELECT master('e_prod', 'erasable') - 'born' - 'died';
SELECT count(*), count(*) FILTER (WHERE name IS NULL OR email IS NULL) AS reduced FROM e_prod.erasable;

-- A record that may come back comes back with the next load; the audit log knows who let it.
SELECT lift_erasure('erasable', 'crm', '5');
SELECT lift_erasure('erasable', 'crm', '5');
SELECT * FROM load('e_prod', 'erasable', 'crm');
SELECT master('e_prod', 'erasable') - 'born';
SELECT email, records FROM e_prod.erasable WHERE email IN ('mail3@erase.example', 'mail5@erase.example');
SELECT action, detail ->> 'reason' AS reason, detail ? 'key_hash' AS hashed FROM audit_log WHERE environment = 'e_prod' AND action ~ 'eras' ORDER BY seq;
SELECT * FROM erase_input.found('mail3@erase.example');

-- A golden record that stewards set every value of: its lineage names no record, and goes with it.
SELECT m.cluster_id AS set_by_stewards FROM e_prod.erasable_members m WHERE m.source = 'crm' AND m.record_key = '5' \gset
SELECT override_golden('e_prod', 'erasable', :set_by_stewards, a, 'set for ' || a) > 0 AS overridden FROM unnest('{name,email,town}'::text[]) a;
SELECT master('e_prod', 'erasable') - 'born';
SELECT attribute, source, rule FROM e_prod.erasable_lineage WHERE id = :set_by_stewards ORDER BY 1;
SELECT place, sum(touched) AS touched FROM erase('erasable', 'crm', '5', 'request 2026-20') WHERE place IN ('golden', 'lineage', 'members') GROUP BY 1 ORDER BY 1;
SELECT (SELECT count(*) FROM e_prod.erasable WHERE id = :set_by_stewards) AS golden, (SELECT count(*) FROM e_prod.erasable_lineage WHERE id = :set_by_stewards) AS lineage;
SELECT * FROM erase_input.found('set for ');
SELECT bool_and(mastering.segment_hash(segment_id) = hash) AS all_verify FROM mastering.segment;

RESET search_path;
SELECT mastering.revoke_role('e_dev', 'admin', 'erase_author'), mastering.revoke_role('e_prod', 'author', 'erase_author');
SELECT mastering.drop_environment('e_prod'), mastering.drop_environment('e_dev');
DROP ROLE erase_author;
DROP SCHEMA erase_input CASCADE;
