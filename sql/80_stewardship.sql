-- 80_stewardship.sql: what stewards see of what they decided: locks that the model contradicts, and clusters that were
-- looked at and found right.

CREATE FUNCTION mastering.contradicted_locks(run_key text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT count(DISTINCT c.lock) FROM mastering.lock_conflict c WHERE c.run_key = contradicted_locks.run_key $$;
COMMENT ON FUNCTION mastering.contradicted_locks(text) IS 'How many locks the model of a run contradicts.';

CREATE FUNCTION mastering.do_lock_conflicts(env_name text, entity_name text, next boolean)
RETURNS TABLE (curation_id bigint, cluster_id bigint, problem text, parts jsonb, added jsonb, added_count bigint, author text, reason text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    versions jsonb;
    members text;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    SELECT h.versions INTO versions FROM mastering.head h WHERE h.environment = CASE WHEN next THEN env_name || '_next' ELSE env_name END;
    IF NOT versions ? entity_name THEN
        RETURN;
    END IF;
    members := mastering.version_rows(versions -> (entity_name || '_members'));
    FOR curation_id, author, reason, parts, added, added_count IN
        SELECT c.curation_id, c.author, c.reason,
               (SELECT jsonb_agg(p.records ORDER BY p.part) FROM (SELECT x.part, jsonb_agg(x.source || ':' || x.key ORDER BY x.source, x.key) AS records FROM mastering.lock_conflict x
                 WHERE x.run_key = versions -> entity_name ->> 'run' AND x.lock = l.lock AND x.locked GROUP BY 1) p),
               (SELECT coalesce(jsonb_agg(x.source || ':' || x.key ORDER BY x.source, x.key), '[]') FROM mastering.lock_conflict x WHERE x.run_key = versions -> entity_name ->> 'run' AND x.lock = l.lock AND NOT x.locked), l.others
          FROM mastering.curation_in_force(env_name, entity_name, '{lock}') c
          JOIN (SELECT x.lock, max(x.others) AS others FROM mastering.lock_conflict x WHERE x.run_key = versions -> entity_name ->> 'run' GROUP BY 1) l ON l.lock = mastering.json_hash(c.records)
         ORDER BY c.curation_id LOOP
        problem := concat_ws(' and ', CASE WHEN jsonb_array_length(parts) > 1 THEN format('the model parts it in %s', jsonb_array_length(parts)) END,
                             CASE WHEN added_count > 0 THEN format('the model adds %s record(s)', added_count) END);
        EXECUTE format('SELECT m."#cluster" FROM %s m WHERE m."#source" || '':'' || m."#key" = $1', members) INTO cluster_id USING parts #>> '{0,0}';
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_lock_conflicts(text, text, boolean) IS 'Behind lock_conflicts.';
CREATE FUNCTION mastering.lock_conflicts(env text, entity text, next boolean DEFAULT false)
RETURNS TABLE (curation_id bigint, cluster_id bigint, problem text, parts jsonb, added jsonb, added_count bigint, author text, reason text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.lock_conflicts(text, text, boolean) IS 'The locked clusters that the model contradicts, one by one: which of their records it would put together (parts), which others it would add (up to a hundred), and who locked them why. next => true: in what is being prepared.';

CREATE FUNCTION mastering.do_verify_cluster(env_name text, entity_name text, cluster bigint, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    RETURN mastering.add_curation(env_name, entity_name, 'verify_cluster', 'together', mastering.members_of(env_name, entity_name, cluster), reason);
END
$$;
COMMENT ON FUNCTION mastering.do_verify_cluster(text, text, bigint, text) IS 'Behind verify_cluster.';
CREATE FUNCTION mastering.verify_cluster(env text, entity text, cluster bigint, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verify_cluster(text, text, bigint, text) IS 'Notes that a cluster was looked at and its records belong together: no run parts them, and others may still join them (lock_cluster keeps these out, too). Returns the number of the decision.';

CREATE FUNCTION mastering.do_verified_clusters(env_name text, entity_name text)
RETURNS TABLE (curation_id bigint, cluster_id bigint, verified_by text, verified_at timestamptz, reason text, records bigint, gone bigint, joined bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version jsonb := (SELECT h.versions -> (entity_name || '_members') FROM mastering.head h WHERE h.environment = env_name);
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF version IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('WITH record AS MATERIALIZED (
            SELECT c.curation_id, c.author, c.created_at, c.reason, r.value ->> 0 AS source, r.value ->> 1 AS key FROM mastering.curation_in_force($1, $2, ''{together}'') c CROSS JOIN LATERAL jsonb_array_elements(c.records) r WHERE c.action = ''verify_cluster''),
        placed AS MATERIALIZED (SELECT r.*, m."#cluster" AS cluster FROM record r LEFT JOIN %1$s m ON m."#source" = r.source AND m."#key" = r.key),
        size AS (SELECT m."#cluster" AS cluster, count(*) AS records FROM %1$s m WHERE m."#cluster" IN (SELECT p.cluster FROM placed p) GROUP BY 1)
        SELECT p.curation_id, min(p.cluster), p.author, p.created_at, p.reason, count(*), count(*) - count(p.cluster), (SELECT sum(s.records) FROM size s WHERE s.cluster IN (SELECT x.cluster FROM placed x WHERE x.curation_id = p.curation_id))::bigint - count(p.cluster)
          FROM placed p GROUP BY 1, 3, 4, 5 ORDER BY 1', mastering.version_rows(version)) USING env_name, entity_name;
END
$$;
COMMENT ON FUNCTION mastering.do_verified_clusters(text, text) IS 'Behind verified_clusters.';
CREATE FUNCTION mastering.verified_clusters(env text, entity text)
RETURNS TABLE (curation_id bigint, cluster_id bigint, verified_by text, verified_at timestamptz, reason text, records bigint, gone bigint, joined bigint)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verified_clusters(text, text) IS 'The clusters that were verified, with how many of their records are gone from the data since, and how many others have joined them: those want another look.';

REVOKE ALL ON FUNCTION mastering.contradicted_locks(text) FROM PUBLIC;
