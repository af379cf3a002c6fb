-- What labels teach a model, which pairs are worth one, and clusters that follow them.
SET client_min_messages TO warning;
CREATE SCHEMA labelled;
SET search_path TO labelled, public;
-- 400 people in 150 households of one name and town each; half of them twice, the second time with errors.
CREATE TABLE person AS
SELECT i AS id, i AS entity, (ARRAY['anna','bela','carla','dora','emil','fritz','gerda','hanna','ivo','jana','karl','lena','mona','nora','otto'])[1 + i * 7 % 15] AS first_name,
       'name' || chr(97 + i % 150 % 13) || chr(97 + i % 150 / 13) AS last_name, 'town ' || i % 150 % 20 AS city, (date '1950-01-01' + i * 131 % 20000)::text AS born
  FROM generate_series(1, 400) AS i;
INSERT INTO person
SELECT 1000 + id, entity, CASE WHEN id % 3 = 0 THEN left(first_name, 3) ELSE first_name END, CASE WHEN id % 4 = 0 THEN last_name || 's' ELSE last_name END, city,
       CASE WHEN id % 5 = 0 THEN NULL ELSE born END
  FROM person WHERE id % 2 = 0;
\set query 'SELECT id, first_name, last_name, city, born FROM labelled.person'
\set spec '{"blocking": ["last_name", ["first_name", "city"], "born"], "comparisons": [{"column": "first_name"}, {"column": "last_name"}, {"column": "city", "method": "exact"}, {"column": "born", "method": "date"}]}'
CREATE TABLE model AS SELECT 'em' AS name, mastering.train_model(:'query', :'spec') AS model;

-- ---- which pairs are worth a label ----
CREATE TABLE asked AS SELECT * FROM mastering.uncertain_pairs_as(NULL::integer, :'query', (SELECT model FROM model), 60);
SELECT count(*), count(DISTINCT (id_a, id_b)) AS different, bool_and(id_a < id_b) AS ordered, count(DISTINCT reason) > 1 AS reasons,
    max(probability) > 0.5 AND min(probability) < 0.1 AS of_all_scores, count(*) FILTER (WHERE probability BETWEEN 0.02 AND 0.98) > 5 AS doubtful FROM asked;
SELECT count(*) AS of_pairs_that_match_pairs_scores_so FROM asked AS a JOIN mastering.match_pairs_as(NULL::integer, :'query', (SELECT model FROM model), 1e-30) AS p USING (id_a, id_b, weight);
-- Spread: pairs that clusters put together and pairs that they do not, in many parts of the score range; few of one record.
SELECT c.cluster_id = d.cluster_id AS together, count(*) > 10 AS some
FROM asked AS a JOIN mastering.match_clusters(:'query', (SELECT model FROM model)) AS c ON c.id::int = a.id_a JOIN mastering.match_clusters(:'query', (SELECT model FROM model)) AS d ON d.id::int = a.id_b GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT floor(weight)) > 5 AS spread FROM asked;
SELECT max(n) < 10 AS few_of_a_record FROM (SELECT count(*) AS n FROM asked CROSS JOIN LATERAL (VALUES (id_a), (id_b)) AS v (id) GROUP BY v.id) AS r;
-- The same ones again, whatever the order of records, and the number of threads.
SET mastering.threads = 1;
SELECT count(*) AS the_same FROM asked JOIN mastering.uncertain_pairs_as(NULL::integer, 'SELECT id, first_name, last_name, city, born FROM labelled.person ORDER BY born, id DESC', (SELECT model FROM model), 60) USING (id_a, id_b, reason);
RESET mastering.threads;
CREATE TABLE verdict AS SELECT a.id_a, a.id_b, x.entity = y.entity AS is_match FROM asked AS a JOIN person AS x ON x.id = a.id_a JOIN person AS y ON y.id = a.id_b;
-- None twice, and none that labels imply.
SELECT count(*), count(v.id_a) AS labelled FROM mastering.uncertain_pairs_as(NULL::integer, :'query', (SELECT model FROM model), 100, 'SELECT * FROM verdict') AS u LEFT JOIN verdict AS v USING (id_a, id_b);
-- Five rounds ask nothing twice.
CREATE TABLE rounds (round int, id_a int, id_b int, is_match boolean);
DO $$ BEGIN
    FOR i IN 1 .. 5 LOOP
        INSERT INTO rounds SELECT i, u.id_a, u.id_b, x.entity = y.entity FROM mastering.uncertain_pairs_as(NULL::integer, 'SELECT id, first_name, last_name, city, born FROM labelled.person',
            (SELECT model FROM model), 40, 'SELECT id_a, id_b, is_match FROM labelled.rounds') AS u JOIN person AS x ON x.id = u.id_a JOIN person AS y ON y.id = u.id_b;
    END LOOP;
END $$;
SELECT count(*), count(DISTINCT (id_a, id_b)) AS different, count(*) FILTER (WHERE is_match) > 30 AS matches, count(*) FILTER (WHERE NOT is_match) > 30 AS others FROM rounds;
CREATE TABLE three AS SELECT id FROM person WHERE last_name = 'namebb' ORDER BY id LIMIT 3;
SELECT count(*) FILTER (WHERE NOT implied) > 0 AS asked_before, count(*) FILTER (WHERE implied) AS asked_after FROM (
    SELECT false AS implied, id_a, id_b FROM mastering.uncertain_pairs_as(NULL::integer, 'SELECT * FROM labelled.person WHERE last_name = ''namebb''', (SELECT model FROM model), 1000)
    UNION ALL
    SELECT true, id_a, id_b FROM mastering.uncertain_pairs_as(NULL::integer, 'SELECT * FROM labelled.person WHERE last_name = ''namebb''', (SELECT model FROM model), 1000,
        'SELECT min(id) AS id_a, max(id) AS id_b, true AS is_match FROM three UNION ALL SELECT (SELECT id FROM three ORDER BY id OFFSET 1 LIMIT 1), max(id), NULL FROM three')) AS u
 WHERE id_a IN (SELECT id FROM three) AND id_b IN (SELECT id FROM three) AND id_a = (SELECT id FROM three ORDER BY id OFFSET 1 LIMIT 1);
SELECT count(*) FROM mastering.uncertain_pairs('SELECT id, first_name, last_name, city, born FROM labelled.person WHERE false', (SELECT model FROM model), 10);
SELECT count(*) FROM mastering.uncertain_pairs('SELECT id, first_name, last_name, city, born FROM labelled.person LIMIT 1', (SELECT model FROM model), 10);
\set VERBOSITY default
SELECT * FROM mastering.uncertain_pairs(:'query', (SELECT model FROM model), 0);
SELECT * FROM mastering.uncertain_pairs(:'query', :'spec', 10);

-- ---- what they teach ----
CREATE FUNCTION f1(model jsonb, labels text DEFAULT NULL) RETURNS numeric LANGUAGE sql AS $$
SELECT value FROM mastering.evaluate_clusters(format('SELECT id, cluster_id FROM mastering.match_clusters(%L, %L, labels => %L)', 'SELECT id, first_name, last_name, city, born FROM labelled.person', model, labels),
    'SELECT id, entity AS entity_id FROM labelled.person') WHERE metric = 'pair_f1' $$;
INSERT INTO model SELECT 'labels', mastering.train_model(:'query', :'spec', 'SELECT * FROM verdict');
SELECT (model #> '{training,labels}' ->> 'matches')::int = (SELECT count(*) FROM verdict WHERE is_match) AS matches,
    (model #> '{training,labels}' ->> 'non_matches')::int = (SELECT count(*) FROM verdict WHERE NOT is_match) AS non_matches,
    (model #> '{training,labels}' ->> 'loss_after')::float8 < (model #> '{training,labels}' ->> 'loss_before')::float8 AS learnt FROM model WHERE name = 'labels';
SELECT f1(l.model) >= f1(e.model) AS not_worse, f1(l.model, 'SELECT * FROM verdict') >= f1(l.model) AS better_followed FROM model AS l, model AS e WHERE l.name = 'labels' AND e.name = 'em';
-- A handful is not worse than none.
SELECT n, f1(mastering.train_model(:'query', :'spec', format('SELECT * FROM verdict ORDER BY id_a, id_b LIMIT %s', n))) >= f1(model) - 0.01 AS not_worse FROM unnest(ARRAY[2, 5, 12, 25]) AS n, model WHERE name = 'em';
-- The same model to the bit, whatever the order of labels, of the ids in them, how often they are given, and the threads.
SET mastering.threads = 2;
SELECT count(DISTINCT m) FROM (
    SELECT model AS m FROM model WHERE name = 'labels'
    UNION ALL SELECT mastering.train_model(:'query', :'spec', 'SELECT * FROM verdict ORDER BY id_b DESC, id_a')
    UNION ALL SELECT mastering.train_model('SELECT id, first_name, last_name, city, born FROM labelled.person ORDER BY city, id DESC', :'spec',
        'SELECT id_b AS id_a, id_a AS id_b, is_match FROM verdict UNION ALL SELECT * FROM verdict')
    UNION ALL SELECT mastering.train_model(:'query', :'spec', 'SELECT id_a::text, id_b::text, is_match::text FROM verdict UNION ALL SELECT ''1'', ''2'', NULL')) AS t;
RESET mastering.threads;
-- Without labels in the query, what EM found. A threshold that the specification gives stays.
SELECT mastering.train_model(:'query', :'spec', 'SELECT * FROM verdict WHERE false') - 'training' = model - 'training' AS as_without FROM model WHERE name = 'em';
SELECT mastering.train_model(:'query', :'spec'::jsonb || '{"threshold": 0.77}', 'SELECT * FROM verdict') -> 'threshold' AS threshold;
-- Weights do not rise where values are less alike; the model is one that match_pairs takes.
SELECT bool_and(w >= next) FROM (SELECT (l.value ->> 'weight')::float8 AS w, lead((l.value ->> 'weight')::float8) OVER (PARTITION BY c.ordinality ORDER BY l.ordinality) AS next
    FROM model, jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS c, jsonb_array_elements(c.value -> 'trained') WITH ORDINALITY AS l WHERE name = 'labels') AS t;

-- ---- labels that are wrong ----
SELECT mastering.train_model(:'query', :'spec', 'SELECT 1 AS id_a, 2 AS id_b, true AS is_match UNION ALL SELECT 2, 1, false');
SELECT mastering.train_model(:'query', :'spec', 'SELECT * FROM verdict WHERE is_match') IS NOT NULL AS trained;
SELECT mastering.train_model(:'query', :'spec', 'SELECT * FROM verdict WHERE NOT is_match LIMIT 1') IS NOT NULL AS trained;
SELECT mastering.train_model(:'query', :'spec', 'SELECT id_a, id_b FROM verdict');
SELECT mastering.train_model(:'query', :'spec', 'DELETE FROM verdict');
SELECT mastering.train_model(:'query', :'spec', 'SELECT 1 AS id_a, 2 AS id_b, ''maybe'' AS is_match');
SET client_min_messages TO notice;
SELECT mastering.train_model(:'query', :'spec', 'SELECT * FROM verdict UNION ALL SELECT 77777, 88888, true') - 'training' = model - 'training' AS as_without FROM model WHERE name = 'labels';
SET client_min_messages TO warning;

-- ---- clusters that follow labels ----
CREATE TABLE few (id text, source text, name text);
INSERT INTO few VALUES ('a', 'x', 'john smith'), ('b', 'y', 'john smith'), ('c', 'y', 'jon smith'), ('d', 'z', 'mary major'), ('e', 'z', 'mary minor'), ('f', 'x', 'quite another');
\set few '{"blocking": [{"keys": "left(name, 1)"}], "prior": 0.01, "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9], "trained": [{"m": 0.9, "u": 0.001, "weight": 10}, {"m": 0.08, "u": 0.01, "weight": 5}, {"m": 0.02, "u": 0.989, "weight": -6}]}]}'
CREATE FUNCTION clusters(labels text, link jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
SELECT string_agg(members, ' ' ORDER BY members) FROM (SELECT string_agg(id, '' ORDER BY id) AS members FROM mastering.match_clusters('SELECT * FROM few',
    '{"blocking": [{"keys": "left(name, 1)"}], "prior": 0.01, "comparisons": [{"column": "name", "method": "jaro_winkler", "levels": [0.9], "trained": [{"m": 0.9, "u": 0.001, "weight": 10}, {"m": 0.08, "u": 0.01, "weight": 8}, {"m": 0.02, "u": 0.989, "weight": -6}]}]}'::jsonb || link,
    labels => labels) GROUP BY cluster_id) AS c $$;
SELECT clusters(NULL) AS without;
SELECT clusters('SELECT ''a'' AS id_a, ''f'' AS id_b, true AS is_match') AS together;
SELECT clusters('SELECT ''a'' AS id_a, ''b'' AS id_b, false AS is_match') AS apart;
SELECT clusters('VALUES (1)');
SELECT clusters('SELECT * FROM (VALUES (''a'', ''b'', false), (''a'', ''c'', true)) AS v (id_a, id_b, is_match)') AS apart;
SELECT clusters('SELECT * FROM (VALUES (''a'', ''b'', NULL::boolean)) AS v (id_a, id_b, is_match)') AS undecided;
-- Labels that contradict each other: apart, and said.
SELECT clusters('SELECT * FROM (VALUES (''a'', ''b'', false), (''a'', ''f'', true), (''f'', ''b'', true)) AS v (id_a, id_b, is_match)') AS apart;
-- A label stands above one record a source.
SELECT clusters(NULL, '{"one_per_source": "always"}') AS without, clusters('SELECT ''b'' AS id_a, ''c'' AS id_b, true AS is_match', '{"one_per_source": "always"}') AS together;
SELECT id, weakest_link FROM mastering.match_clusters('SELECT * FROM few', :'few', labels => 'SELECT ''d'' AS id_a, ''f'' AS id_b, true AS is_match') WHERE id IN ('d', 'e', 'f') ORDER BY id;
-- dedupe learns from labels and follows them.
SELECT bool_and((SELECT count(DISTINCT cluster_id) FROM mastering.dedupe_as(NULL::integer, :'query', :'spec', labels => 'SELECT * FROM verdict') AS d WHERE d.id IN (v.id_a, v.id_b)) = CASE WHEN v.is_match THEN 1 ELSE 2 END)
  FROM (SELECT * FROM verdict ORDER BY id_a, id_b LIMIT 3) AS v;
DROP SCHEMA labelled CASCADE;
