-- quality_labels.sql: one set of quality.sh with labels, one line. An oracle that knows the truth answers what
-- uncertain_pairs asks, in rounds; the model learns after each. Variables: set, name, truth (tables), query, across (true:
-- only pairs of different sources count), rounds, per_round.
\set ON_ERROR_STOP on
\set VERBOSITY terse
SET client_min_messages TO error;
SET statement_timeout TO '1h'; -- five rounds on a busy machine
SET search_path TO public;
SELECT extract(epoch FROM clock_timestamp()) AS started \gset
CREATE TEMP TABLE verdicts (id_a text, id_b text, is_match boolean);
CREATE FUNCTION pg_temp.learn(query text, truth regclass, rounds integer, per_round integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    spec jsonb := mastering.suggest(query);
    model jsonb := mastering.train_model(query, spec);
BEGIN
    FOR i IN 1 .. rounds LOOP
        EXECUTE format('INSERT INTO verdicts SELECT u.id_a, u.id_b, a.entity_id = b.entity_id FROM mastering.uncertain_pairs(%L, %L, %s, %L) AS u
            JOIN %s AS a ON a.id = u.id_a JOIN %5$s AS b ON b.id = u.id_b', query, model, per_round, 'SELECT * FROM verdicts', truth);
        model := mastering.train_model(query, spec, 'SELECT * FROM verdicts');
    END LOOP;
    RETURN model;
END
$$;
CREATE TEMP TABLE learnt AS SELECT pg_temp.learn(:'query', :'truth', :rounds, :per_round) AS model;
CREATE TEMP TABLE clusters AS
SELECT 'model' AS way, c.id, c.cluster_id FROM mastering.match_clusters(:'query', (SELECT model FROM learnt)) AS c
UNION ALL
SELECT 'followed', c.id, c.cluster_id FROM mastering.match_clusters(:'query', (SELECT model FROM learnt), labels => 'SELECT * FROM verdicts') AS c;
SELECT round((extract(epoch FROM clock_timestamp()) - :started)::numeric, 1) AS seconds \gset

\if :across
CREATE TEMP TABLE members AS SELECT way, id, cluster_id, entity_id, source FROM clusters JOIN :"name" USING (id) JOIN :"truth" USING (id);
\else
CREATE TEMP TABLE members AS SELECT way, id, cluster_id, entity_id, id AS source FROM clusters JOIN :"truth" USING (id);
\endif
-- Pairs of a group less those of one source.
CREATE TEMP TABLE counts AS
SELECT w.way, (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members AS m WHERE m.way = w.way GROUP BY cluster_id) AS g)
     - (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members AS m WHERE m.way = w.way GROUP BY cluster_id, source) AS g) AS found,
    (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members AS m WHERE m.way = w.way GROUP BY entity_id) AS g)
     - (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members AS m WHERE m.way = w.way GROUP BY entity_id, source) AS g) AS wanted,
    (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members AS m WHERE m.way = w.way GROUP BY cluster_id, entity_id) AS g)
     - (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members AS m WHERE m.way = w.way GROUP BY cluster_id, entity_id, source) AS g) AS shared
FROM (SELECT DISTINCT way FROM clusters) AS w;
SELECT '| ' || concat_ws(' | ', :'set', round(c.shared / nullif(c.found, 0), 4), round(c.shared / c.wanted, 4), round(2 * c.shared / (c.found + c.wanted), 4),
    round(2 * m.shared / (m.found + m.wanted), 4), (SELECT count(*) FROM verdicts), (SELECT count(*) FROM verdicts WHERE is_match), (SELECT model ->> 'threshold' FROM learnt), :'seconds') || ' |'
FROM counts AS c CROSS JOIN counts AS m WHERE c.way = 'followed' AND m.way = 'model';
