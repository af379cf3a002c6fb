-- Labels in environments: who proposes, who verifies, what is used, and what outlives what.
SET client_min_messages TO warning;
SET search_path TO mastering, public;
\set SHOW_CONTEXT never
CREATE SCHEMA labelling;
CREATE ROLE l_owner; CREATE ROLE l_author; CREATE ROLE l_curator; CREATE ROLE l_curator_2; CREATE ROLE l_reviewer; CREATE ROLE l_reviewer_2; CREATE ROLE l_consumer; CREATE ROLE l_none;
GRANT USAGE, CREATE ON SCHEMA labelling TO l_owner;
GRANT USAGE ON SCHEMA labelling, public TO PUBLIC;
-- 120 people, each twice, the second time with an error in the name.
CREATE TABLE labelling.people AS
SELECT i AS id, (ARRAY['anna','bela','carl','dora','emil','fritz','gerda','hanna','ivo','jana','karl','lena'])[1 + i % 12] AS first_name,
       'family' || chr(97 + i % 17) || chr(97 + i % 13) AS last_name, 'town ' || i % 7 AS city, (1000 + i * 37 % 900)::text AS zip
  FROM generate_series(1, 120) i
UNION ALL
SELECT 1000 + i, (ARRAY['anna','bela','carl','dora','emil','fritz','gerda','hanna','ivo','jana','karl','lena'])[1 + i % 12],
       'famili' || chr(97 + i % 17) || chr(97 + i % 13), 'town ' || i % 7, (1000 + i * 37 % 900)::text
  FROM generate_series(1, 120) i;
GRANT SELECT ON labelling.people TO l_owner;

SELECT create_environment('l1', owner => 'l_owner'), create_environment('l2', 'l1', 'l_owner');
SELECT grant_role('l1', r, 'l_' || r || n) FROM (VALUES ('author', ''), ('curator', ''), ('curator', '_2'), ('reviewer', ''), ('reviewer', '_2'), ('consumer', '')) v (r, n);
SELECT grant_role('l2', 'reviewer', 'l_reviewer'), grant_role('l2', 'curator', 'l_curator'), grant_role('l2', 'author', 'l_author');
SET ROLE l_owner;
SELECT define_entity('l1', 'person', '{"first_name": "text", "last_name": "text", "city": "text", "zip": "text"}');
SELECT map_source('l1', 'person', 'p', 'labelling.people', 'id');
SELECT total FROM load('l1', 'person');
SELECT set_blocking('l1', 'person', '["zip", ["first_name", "city"]]');
SELECT set_comparisons('l1', 'person', '[{"column": "first_name"}, {"column": "last_name"}, {"column": "city", "method": "exact"}, {"column": "zip", "method": "exact"}]');
RESET ROLE;

-- Before there is a run there is nothing to look at.
\set ON_ERROR_STOP 0
SET ROLE l_reviewer;
SELECT * FROM next_pairs('l1', 'person', 3);
RESET ROLE;
SELECT train('l1', 'person') #> '{training,labels}' AS labels;
SELECT master('l1', 'person') ->> 'records' AS records;

-- Two reviewers never have the same pair in hand; who asks again has the same ones.
CREATE TABLE labelling.hand (who text, record_a text, record_b text);
GRANT ALL ON labelling.hand TO PUBLIC;
SET ROLE l_reviewer;
INSERT INTO labelling.hand SELECT 'first', record_a, record_b FROM next_pairs('l1', 'person', 8);
SELECT count(*), count(*) FILTER (WHERE values_a ? 'last_name' AND values_b ? 'zip') AS with_values, bool_and(leased_until > now()) AS leased FROM next_pairs('l1', 'person', 8);
SELECT count(*) AS the_same FROM next_pairs('l1', 'person', 8) JOIN labelling.hand USING (record_a, record_b);
SET ROLE l_reviewer_2;
INSERT INTO labelling.hand SELECT 'second', record_a, record_b FROM next_pairs('l1', 'person', 8);
RESET ROLE;
SELECT count(*), count(DISTINCT (record_a, record_b)) FROM labelling.hand;
-- A lease that ran out goes to the next one.
UPDATE mastering.label_queue SET leased_until = now() - interval '1 second' WHERE leased_to = 'l_reviewer';
SET ROLE l_reviewer_2;
SELECT count(*) AS handed_on FROM next_pairs('l1', 'person', 16) n JOIN labelling.hand h USING (record_a, record_b) WHERE h.who = 'first';
RESET ROLE;

-- Verdicts.
SET ROLE l_reviewer;
SELECT label_pair('l1', 'person', 'p:1', 'p:1001', 'match', 'the same zip') > 0 AS labelled;
SELECT label_pair('l1', 'person', 'p:1002', 'p:2', 'match') > 0 AS labelled;
SELECT label_pair('l1', 'person', 'p:3', 'p:4', 'non-match') > 0 AS labelled;
SELECT label_pair('l1', 'person', 'p:3', 'p:5', 'unsure') > 0 AS labelled;
SELECT label_pair('l1', 'person', 'p:1', 'p:2', 'non-match') > 0 AS labelled;
SELECT label_pair('l1', 'person', 'p:1', 'p:2', 'perhaps');
SELECT label_pair('l1', 'person', 'p:1', 'p:1', 'match');
SELECT label_pair('l1', 'person', '1', 'p:2', 'match');
SELECT label_pair('l1', 'person', 'p:1', 'q:2', 'match');
SELECT label_pair('l1', 'nobody', 'p:1', 'p:2', 'match');
SELECT label_pair('l2', 'person', 'p:1', 'p:2', 'match');
SELECT * FROM next_pairs('l2', 'person', 3);
SELECT * FROM next_pairs('l1', 'person', 0);
SELECT * FROM next_pairs('l1', 'person', 3, '-1 hour');
SELECT label_id FROM verify_labels('l1', 'person');
SET ROLE l_reviewer_2;
SELECT label_pair('l1', 'person', 'p:3', 'p:4', 'match') > 0 AS labelled;
SET ROLE l_curator;
SELECT label_pair('l1', 'person', 'p:5', 'p:1005', 'match') > 0 AS labelled;
SELECT record_a, record_b, verdict, state, reviewer, disputed FROM labels WHERE environment = 'l1' ORDER BY label_id;
SELECT kind, record_a, record_b, regexp_replace(detail, 'label \d+', 'label N', 'g') AS detail FROM label_conflicts('l1', 'person');

-- Nothing counts before a curator has verified it.
RESET ROLE;
SELECT artifact_at((configuration_of('l1')).tree, 'entity/person/labels') IS NULL AND master('l1', 'person') ->> 'reused' = 'published' AS unused;
SET ROLE l_curator;
SELECT record_a, record_b, verdict, reviewer, outcome FROM verify_labels('l1', 'person') ORDER BY label_id;
SELECT verify_labels('l1', 'person', ARRAY[label_id]) FROM labels WHERE reviewer = 'l_curator';
SELECT verify_labels('l1', 'person', ARRAY[0::bigint]);
SELECT verify_labels('l1', 'person', NULL);
SELECT verify_labels('l1', 'person', (SELECT array_agg(label_id) FROM labels), NULL);
SELECT verify_labels('l1', 'person', (SELECT array_agg(label_id) FROM labels WHERE record_a = 'p:3' AND record_b = 'p:4'));
SELECT outcome FROM verify_labels('l1', 'person', (SELECT array_agg(label_id) FROM labels WHERE record_a = 'p:3' AND record_b = 'p:4' AND verdict = 'non-match'), comment => 'different people');
SELECT outcome FROM verify_labels('l1', 'person', (SELECT array_agg(label_id) FROM labels WHERE verdict = 'unsure'), false);
SET ROLE l_curator_2;
SELECT record_a, outcome FROM verify_labels('l1', 'person');
RESET ROLE;
SELECT record_a, record_b, verdict, state, reviewer, curator, disputed FROM labels WHERE environment = 'l1' ORDER BY label_id;

-- Verified labels are part of what decides a run, and runs follow them.
SELECT cluster_id = (SELECT cluster_id FROM l1.person_records WHERE record_key = '1001') AS together FROM l1.person_records WHERE record_key = '1';
SELECT master('l1', 'person') ->> 'reused' AS reused;
SELECT master('l1', 'person') ->> 'reused' AS reused;
SELECT jsonb_pretty(artifact_at((configuration_of('l1')).tree, 'entity/person/labels')) AS labels;
SELECT count(DISTINCT cluster_id) AS clusters FROM l1.person_records WHERE record_key IN ('1', '1001');
SELECT (train('l1', 'person') #> '{training,labels}') - '{loss_before,loss_after,strength,expected_f1}'::text[] AS labels;
SELECT master('l1', 'person') ->> 'records' AS records;
SELECT count(*) AS known_pairs FROM next_pairs('l1', 'person', 100) n JOIN labels l ON (l.record_a, l.record_b) = (least(n.record_a, n.record_b), greatest(n.record_a, n.record_b)) OR (l.record_b, l.record_a) = (n.record_a, n.record_b);

-- Promotion brings labels with it; training is for the first stage.
SELECT bind_source('l2', 'person', 'p', 'labelling.people');
SELECT promote('l1', 'l2') > 0 AS promoted;
SELECT artifact_at((configuration_of('l2')).tree, 'entity/person/labels') = artifact_at((configuration_of('l1')).tree, 'entity/person/labels') AS the_same_labels;
SELECT count(*) FROM labels WHERE environment = 'l2';
SELECT train('l2', 'person');

-- A verified label that turns out wrong is withdrawn, by whomever; the target has it until the next promotion.
SET ROLE l_curator;
SELECT outcome FROM verify_labels('l1', 'person', (SELECT array_agg(label_id) FROM labels WHERE record_a = 'p:3' AND state = 'verified'), false, 'they are twins');
RESET ROLE;
SELECT master('l1', 'person') ->> 'records' AS records;
SELECT jsonb_array_length(artifact_at((configuration_of(e)).tree, 'entity/person/labels') -> 'non_matches') AS non_matches FROM unnest(ARRAY['l1', 'l2']) e;
SELECT promote('l1', 'l2') > 0 AS promoted;
SELECT jsonb_array_length(artifact_at((configuration_of('l2')).tree, 'entity/person/labels') -> 'non_matches') AS non_matches;
-- A rollback brings the older labels into force and loses none.
SELECT rollback('l2') > 0 AS rolled_back;
SELECT jsonb_array_length(artifact_at((configuration_of('l2')).tree, 'entity/person/labels') -> 'non_matches') AS non_matches;
SELECT count(*) FROM labels WHERE environment = 'l1';

-- Verified labels that contradict each other are shown, and the non-match holds.
SET ROLE l_reviewer;
SELECT count(label_pair('l1', 'person', a, b, v)) FROM (VALUES ('p:10', 'p:11', 'match'), ('p:11', 'p:12', 'match'), ('p:10', 'p:12', 'non-match')) x (a, b, v);
SET ROLE l_curator;
SELECT count(*) FROM verify_labels('l1', 'person') WHERE outcome = 'verified';
SELECT kind, record_a, record_b FROM label_conflicts('l1', 'person');
RESET ROLE;
SELECT master('l1', 'person') ->> 'records' AS records;
SELECT count(DISTINCT cluster_id) AS clusters FROM l1.person_records WHERE record_key IN ('10', '12');

-- Models side by side.
SET ROLE l_author;
SELECT keep_model('l1', 'person', 'with labels');
RESET ROLE;
SELECT set_model('l1', 'person', (SELECT model || '{"threshold": 0.9}' FROM models('l1', 'person') WHERE name IS NULL));
SELECT name, in_force, threshold FROM models('l1', 'person');
SELECT use_model('l1', 'person', 'with labels');
SELECT name, in_force FROM models('l1', 'person');
SELECT use_model('l1', 'person', 'another');
-- One of other rules is refused at once, not by the next run; with the rules it was trained with it is taken.
RESET ROLE;
SELECT artifact_at((configuration_of('l1')).tree, 'entity/person/comparisons') AS rules \gset
SELECT set_comparisons('l1', 'person', '[{"column": "last_name", "method": "exact"}]');
SELECT use_model('l1', 'person', 'with labels');
SELECT set_comparisons('l1', 'person', :'rules');
SELECT use_model('l1', 'person', 'with labels');
SELECT drop_model('l1', 'person', 'with labels');
SELECT drop_model('l1', 'person', 'with labels');
SELECT count(*) FROM models('l1', 'person');

-- Who may do what.
CREATE FUNCTION labelling.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE call;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
    EXCEPTION WHEN SQLSTATE 'P0099' THEN RETURN 'yes'; WHEN insufficient_privilege THEN RETURN '-'; WHEN OTHERS THEN RETURN 'yes';
    END;
END $$;
CREATE TABLE labelling.matrix (call text, role text, result text);
GRANT INSERT ON labelling.matrix TO PUBLIC;
CREATE TABLE labelling.calls (call text);
GRANT SELECT ON labelling.calls TO PUBLIC;
INSERT INTO labelling.calls VALUES ($$SELECT mastering.next_pairs('l1', 'person', 1)$$), ($$SELECT mastering.label_pair('l1', 'person', 'p:7', 'p:8', 'match')$$), ($$SELECT mastering.verify_labels('l1', 'person')$$),
    ($$SELECT mastering.label_conflicts('l1', 'person')$$), ($$SELECT mastering.train('l1', 'person')$$), ($$SELECT mastering.keep_model('l1', 'person', 'm')$$), ($$SELECT mastering.use_model('l1', 'person', 'm')$$),
    ($$SELECT mastering.drop_model('l1', 'person', 'm')$$), ($$SELECT mastering.models('l1', 'person')$$), ($$SELECT * FROM mastering.label$$), ($$SELECT * FROM mastering.label_queue$$),
    ($$SELECT mastering.do_verify_labels('l1', 'person')$$), ($$SELECT mastering.refresh_labels('l1', 'person')$$), ($$SELECT mastering.records_of(NULL, 'person', '{}')$$);
SELECT format('SET ROLE %I; INSERT INTO labelling.matrix SELECT call, %L, labelling.attempt(call) FROM labelling.calls; RESET ROLE;', r, r)
  FROM unnest(ARRAY['l_owner', 'l_author', 'l_curator', 'l_reviewer', 'l_consumer', 'l_none']) r \gexec
SELECT regexp_replace(regexp_replace(call, '^SELECT (\* FROM )?', ''), '\(.*', '') AS call, max(result) FILTER (WHERE role = 'l_owner') AS owner, max(result) FILTER (WHERE role = 'l_author') AS author,
       max(result) FILTER (WHERE role = 'l_curator') AS curator, max(result) FILTER (WHERE role = 'l_reviewer') AS reviewer, max(result) FILTER (WHERE role = 'l_consumer') AS consumer, max(result) FILTER (WHERE role = 'l_none') AS "none"
  FROM labelling.matrix GROUP BY call ORDER BY call;
SET ROLE l_none;
SELECT count(*) FROM labels;
RESET ROLE;
SELECT action, count(*) FROM audit_log WHERE environment = 'l1' AND action IN ('label', 'verify labels') GROUP BY 1 ORDER BY 1;

-- One log-in with two roles does not verify what it proposed, unless policy says that roles are people; a superuser may be anybody.
CREATE ROLE l_two LOGIN;
GRANT l_reviewer, l_curator TO l_two;
SET SESSION AUTHORIZATION l_two;
SET ROLE l_reviewer;
SELECT label_pair('l1', 'person', 'p:20', 'p:1020', 'match') > 0 AS proposed;
SET ROLE l_curator;
SELECT record_a, record_b, reviewer, outcome FROM verify_labels('l1', 'person') WHERE 'p:20' IN (record_a, record_b);
SELECT verify_labels('l1', 'person', ARRAY[label_id]) FROM labels WHERE 'p:20' IN (record_a, record_b) AND state = 'proposed';
SELECT v.outcome FROM labels AS l, verify_labels('l1', 'person', ARRAY[l.label_id], accept => false) AS v WHERE 'p:20' IN (l.record_a, l.record_b) AND l.state = 'proposed';
SET ROLE l_reviewer;
SELECT label_pair('l1', 'person', 'p:20', 'p:1020', 'match') > 0 AS proposed;
RESET SESSION AUTHORIZATION;
SELECT set_policy('l1', 'approvals', '{"count": 0, "identity": "role"}');
SET SESSION AUTHORIZATION l_two;
SET ROLE l_curator;
SELECT outcome FROM verify_labels('l1', 'person') WHERE 'p:20' IN (record_a, record_b);
RESET SESSION AUTHORIZATION;
SELECT login = session_user AS superuser, count(*) > 0 AS some FROM mastering.label WHERE state = 'verified' GROUP BY 1 ORDER BY 1;

SELECT drop_environment('l2'), drop_environment('l1');
SELECT count(*) FROM mastering.label;
DROP SCHEMA labelling CASCADE;
DROP ROLE l_owner, l_author, l_curator, l_curator_2, l_reviewer, l_reviewer_2, l_consumer, l_none, l_two;
