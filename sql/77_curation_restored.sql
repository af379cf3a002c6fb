-- 77_curation_restored.sql: what stewards decided, where an environment becomes what another is.
--
-- A twin follows the decisions that its original follows and no others, or the next run of the two would not be the same. What the
-- environment's own stewards had decided beside that ends; it is noted with the restore, so that going back brings it back.

CREATE FUNCTION mastering.twin_curation(source_name text, target_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended jsonb;
    taken jsonb;
BEGIN
    WITH gone AS (
        UPDATE mastering.curation o SET ended_at = clock_timestamp(), ended_by = mastering.caller() FROM mastering.environment t
         WHERE o.environment = target_name AND t.name = target_name AND o.created_at >= t.created_at AND o.ended_at IS NULL AND (o.expires_at IS NULL OR o.expires_at > now())
           AND NOT EXISTS (SELECT FROM mastering.curation c JOIN mastering.environment s ON s.name = c.environment
                            WHERE c.environment = source_name AND c.created_at >= s.created_at AND c.ended_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now())
                              AND c.entity = o.entity AND c.kind = o.kind AND c.records = o.records AND c.attribute IS NOT DISTINCT FROM o.attribute AND c.value IS NOT DISTINCT FROM o.value)
        RETURNING o.curation_id)
    SELECT coalesce(jsonb_agg(g.curation_id ORDER BY g.curation_id), '[]') INTO ended FROM gone g;
    WITH come AS (
        INSERT INTO mastering.curation (environment, entity, action, kind, records, attribute, value, reason, author, created_at, expires_at)
        SELECT target_name, c.entity, c.action, c.kind, c.records, c.attribute, c.value, c.reason, c.author, clock_timestamp(), c.expires_at
          FROM mastering.curation c JOIN mastering.environment s ON s.name = c.environment JOIN mastering.environment t ON t.name = target_name
         WHERE c.environment = source_name AND c.created_at >= s.created_at AND c.ended_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now())
           AND NOT EXISTS (SELECT FROM mastering.curation o WHERE o.environment = target_name AND o.created_at >= t.created_at AND o.ended_at IS NULL
                              AND o.entity = c.entity AND o.kind = c.kind AND o.records = c.records AND o.attribute IS NOT DISTINCT FROM c.attribute AND o.value IS NOT DISTINCT FROM c.value)
         ORDER BY c.curation_id RETURNING curation_id)
    SELECT coalesce(jsonb_agg(c.curation_id ORDER BY c.curation_id), '[]') INTO taken FROM come c;
    RETURN jsonb_build_object('ended', ended, 'taken', taken);
END
$$;
COMMENT ON FUNCTION mastering.twin_curation(text, text) IS 'Lets an environment follow the curation that another follows and no other; returns the numbers of what ended and of what was taken over.';

-- Restores are undone one after the other, the last one first; what stewards decided in between stays.
CREATE FUNCTION mastering.own_curation(env_name text, since timestamptz) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change jsonb;
    was bigint[];
    is_now bigint[];
BEGIN
    was := ARRAY(SELECT c.curation_id FROM mastering.curation c WHERE c.environment = env_name AND c.ended_at IS NULL);
    FOR change IN SELECT r.proposal -> 'curation' FROM mastering.release r JOIN mastering.environment e ON e.name = r.target AND r.created_at >= e.created_at
                     LEFT JOIN mastering.snapshot s ON s.hash = r.snapshot_after    -- taken within the release
                   WHERE r.target = env_name AND r.kind = 'restore' AND coalesce(s.created_at, r.finished_at) > since AND r.proposal ? 'curation' ORDER BY r.release_id DESC LOOP
        UPDATE mastering.curation c SET ended_at = NULL, ended_by = NULL WHERE c.environment = env_name AND change -> 'ended' @> to_jsonb(c.curation_id);
        UPDATE mastering.curation c SET ended_at = clock_timestamp(), ended_by = mastering.caller() WHERE c.environment = env_name AND c.ended_at IS NULL AND change -> 'taken' @> to_jsonb(c.curation_id);
    END LOOP;
    is_now := ARRAY(SELECT c.curation_id FROM mastering.curation c WHERE c.environment = env_name AND c.ended_at IS NULL);
    RETURN jsonb_build_object('ended', (SELECT coalesce(jsonb_agg(u.id), '[]') FROM (SELECT unnest(was) EXCEPT SELECT unnest(is_now) ORDER BY 1) u (id)),
                              'taken', (SELECT coalesce(jsonb_agg(u.id), '[]') FROM (SELECT unnest(is_now) EXCEPT SELECT unnest(was) ORDER BY 1) u (id)));
END
$$;
COMMENT ON FUNCTION mastering.own_curation(text, timestamptz) IS 'Takes back what restores since then did to the curation of an environment; returns the numbers of what ended and of what is in force again.';

REVOKE ALL ON FUNCTION mastering.twin_curation(text, text), mastering.own_curation(text, timestamptz) FROM PUBLIC;
