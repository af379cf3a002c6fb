-- 78_pairs.sql: the scored pairs of what an environment publishes, <entity>_pairs. They are not kept: the engine finds and scores
-- them again, with the model of the published run, whenever somebody looks, which takes less time than reading them back would. A
-- steward who looks at one cluster asks scored_pairs for that one.

CREATE FUNCTION mastering.do_scored_pairs(env_name text, entity_name text, cluster bigint)
RETURNS TABLE (source_a text, record_key_a text, cluster_a bigint, source_b text, record_key_b text, cluster_b bigint, weight double precision, probability double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    tree jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name) -> (entity_name || '_keys') -> 'tree';
    records text;
BEGIN
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF tree IS NULL THEN    -- never run: nothing is published, so that there are no pairs
        RETURN;
    END IF;
    records := format('SELECT q.source || '':'' || q.record_key AS id, q.source%s FROM %I.%I q%s',
        (SELECT string_agg(format(', q.%I', a.value ->> 'name'), '' ORDER BY a.ordinality)
           FROM jsonb_array_elements(mastering.artifact_at(tree, mastering.path('entity', entity_name)) -> 'attributes') WITH ORDINALITY a),
        env_name, entity_name || '_records', CASE WHEN cluster IS NULL THEN '' ELSE format(' WHERE q.cluster_id = %s', cluster) END);
    RETURN QUERY EXECUTE format('SELECT a.source, a.record_key, a.cluster_id, b.source, b.record_key, b.cluster_id, p.weight, p.probability
          FROM mastering.query_as(%1$L, %2$L, %3$L, true) AS p (id_a text, id_b text, weight double precision, probability double precision)
          JOIN %4$I.%5$I a ON a.source = split_part(p.id_a, '':'', 1) AND a.record_key = substr(p.id_a, strpos(p.id_a, '':'') + 1)
          JOIN %4$I.%5$I b ON b.source = split_part(p.id_b, '':'', 1) AND b.record_key = substr(p.id_b, strpos(p.id_b, '':'') + 1)',
        env.owner, format('SELECT m.id_a, m.id_b, m.weight, m.probability FROM mastering.match_pairs(%L, %L) m', records, mastering.model_of(tree, env_name, entity_name)),
        mastering.artifact_path(env_name), env_name, entity_name || '_members');
END
$$;
COMMENT ON FUNCTION mastering.do_scored_pairs(text, text, bigint) IS 'Behind scored_pairs.';

CREATE FUNCTION mastering.scored_pairs(env text, entity text, cluster bigint DEFAULT NULL)
RETURNS TABLE (source_a text, record_key_a text, cluster_a bigint, source_b text, record_key_b text, cluster_b bigint, weight double precision, probability double precision)
    LANGUAGE C STABLE PARALLEL UNSAFE COST 1000000 ROWS 100000 AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.scored_pairs(text, text, bigint) IS 'The pairs of records at or above the threshold of the model that an environment''s published run was made with, scored again; with a cluster, the pairs inside it. What labels and curation say is not in the weights: two clusters on one row were kept apart by these, by linkage or by a source that holds each thing once. The view <entity>_pairs shows the same.';
