-- 64_merge.sql: the three-way merge behind a promotion, by artifact.
--
-- base: the newest state that both sides have in common. Snapshots name what they were made of (parents): the one
-- before, the states that were merged into it, or, after a rollback or a restore, the state that was gone back to.
-- For the target that graph is what it has taken in. The source has had, beside that, every state that it was ever in.
-- Finding the base on that graph is Git's way (best common ancestor); merging by path is that of lakeFS and Nessie.
--
-- What both changed since is a conflict; what was rolled back in the target is held. Either needs a decision for the
-- path: ours (the target's), theirs (the source's), later (left out, and proposed again next time) or a document.

CREATE FUNCTION mastering.ancestors(begun_from text[]) RETURNS TABLE (hash text, environment text, created_at timestamptz, parents text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE a AS (
        SELECT s.hash, s.environment, s.created_at, s.parents FROM mastering.snapshot s WHERE s.hash = ANY (begun_from)
        UNION
        SELECT s.hash, s.environment, s.created_at, s.parents FROM a CROSS JOIN LATERAL unnest(a.parents) p (hash) JOIN mastering.snapshot s ON s.hash = p.hash)
    SELECT a.hash, a.environment, a.created_at, a.parents FROM a
$$;
COMMENT ON FUNCTION mastering.ancestors(text[]) IS 'Snapshots and all that they were made of.';

CREATE FUNCTION mastering.begun_from(state mastering.state) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_remove(array_agg(DISTINCT h.hash), NULL) FROM (
        SELECT state.snapshot UNION ALL
        SELECT s.hash FROM mastering.side_snapshot s JOIN mastering.configuration c ON c.environment = s.environment
         WHERE s.environment = state.environment AND c.snapshot IS NOT DISTINCT FROM state.snapshot) h (hash)
$$;
COMMENT ON FUNCTION mastering.begun_from(mastering.state) IS 'The snapshots that a state goes on from.';

-- Rollbacks of a target lead to what it held at a moment, so what of a source is in it is told from the log, read once from its end,
-- however many snapshots lie between.
CREATE FUNCTION mastering.base_in_log(source_name text, target_name text, known jsonb, known_since timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := 'infinity';
    unknown boolean := false;
    found jsonb;
    item record;
BEGIN
    FOR item IN SELECT r.release_id, r.kind, r.finished_at, coalesce(s.created_at, '-infinity') AS back_to
                  FROM mastering.release r LEFT JOIN mastering.snapshot s ON r.kind = 'rollback' AND s.hash = r.proposal ->> 'to'
                 WHERE r.target = target_name AND r.finished_at > known_since
                   AND (r.kind = 'rollback' AND r.state = 'promoted' OR r.kind = 'promotion' AND r.source = source_name AND r.state IN ('promoted', 'rolled back', 'replaced'))
                 ORDER BY r.finished_at DESC, r.kind = 'rollback' DESC LOOP
        IF item.finished_at > until OR item.kind = 'promotion' AND unknown THEN
            CONTINUE;
        ELSIF item.kind = 'promotion' THEN
            SELECT r.source_tree INTO found FROM mastering.release r WHERE r.release_id = item.release_id;
            IF found IS NOT NULL THEN
                RETURN found;
            END IF;
            unknown := true;
        ELSIF item.back_to < known_since OR item.back_to >= item.finished_at THEN
            RETURN NULL;
        ELSE
            until := item.back_to;
            unknown := false;
        END IF;
    END LOOP;
    RETURN known;
END
$$;
COMMENT ON FUNCTION mastering.base_in_log(text, text, jsonb, timestamptz) IS 'What a target has last taken of a source, where nothing but promotions between the two and rollbacks of the target happened since they had known in common; NULL where a rollback went behind that.';

-- What the last promotion from the one to the other took, or what a fork began as, is the newest unless something else
-- went between the two since; then it takes a walk on the graph. A rollback of the source changes nothing about what it has had.
-- Snapshots on the way may have been cleared away: what is known is then the nearest.
CREATE FUNCTION mastering.merge_base(source mastering.state, target mastering.state) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last mastering.release := mastering.last_promotion(source.environment, target.environment);
    source_began timestamptz := (SELECT e.created_at FROM mastering.environment e WHERE e.name = source.environment);
    known jsonb := last.source_tree;
    known_since timestamptz := last.finished_at;
    told jsonb;
    common text;
    complete boolean;
BEGIN
    IF known IS NULL THEN
        SELECT s.tree, f.created_at INTO known, known_since FROM mastering.fork f JOIN mastering.snapshot s ON s.hash = f.base
         WHERE (f.environment = source.environment AND f.source = target.environment) OR (f.environment = target.environment AND f.source = source.environment);
    END IF;
    IF known IS NOT NULL
       AND NOT EXISTS (SELECT FROM mastering.release r WHERE r.state = 'promoted' AND r.target = source.environment AND r.source = target.environment AND r.finished_at > known_since)
       AND NOT EXISTS (SELECT FROM mastering.release r WHERE r.kind = 'restore' AND r.finished_at > known_since AND (r.target IN (source.environment, target.environment)
                          -- Another's, that came along with what was merged from there.
                          OR EXISTS (SELECT FROM mastering.release p WHERE p.target IN (source.environment, target.environment) AND p.kind = 'promotion' AND p.finished_at > r.finished_at
                                        AND (p.source, p.target) <> (source.environment, target.environment)))) THEN
        told := mastering.base_in_log(source.environment, target.environment, known, known_since);
        IF told IS NOT NULL THEN
            RETURN told;
        END IF;
    END IF;
    WITH ours AS MATERIALIZED (SELECT * FROM mastering.ancestors(mastering.begun_from(target)))
    SELECT (SELECT o.hash FROM ours o
             WHERE (o.environment = source.environment AND o.created_at >= source_began) OR o.hash IN (SELECT t.hash FROM mastering.ancestors(mastering.begun_from(source)) t)
             ORDER BY o.created_at DESC LIMIT 1),
           NOT EXISTS (SELECT FROM ours o CROSS JOIN LATERAL unnest(o.parents) p (hash) WHERE p.hash NOT IN (SELECT x.hash FROM ours x))
      INTO common, complete;
    -- A gap may hide a newer one than was found.
    IF common IS NULL OR NOT complete AND (SELECT s.created_at FROM mastering.snapshot s WHERE s.hash = common) < known_since THEN
        RETURN CASE WHEN complete THEN '{}' ELSE coalesce(known, (SELECT s.tree FROM mastering.snapshot s WHERE s.hash = common), '{}') END;
    END IF;
    RETURN (SELECT s.tree FROM mastering.snapshot s WHERE s.hash = common);
END
$$;
COMMENT ON FUNCTION mastering.merge_base(mastering.state, mastering.state) IS 'The tree of the newest state that source and target have in common; an empty one where there is none.';

CREATE FUNCTION mastering.base_tree(theirs mastering.state, ours mastering.state) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT (mastering.merge_base(theirs, ours) || coalesce(jsonb_object_agg(l.path, l.base) FILTER (WHERE l.base IS NOT NULL), '{}'))
           - coalesce(array_agg(l.path) FILTER (WHERE l.base IS NULL), '{}')
      FROM mastering.left_out l WHERE (l.source = theirs.environment AND l.target = ours.environment) OR (l.source = ours.environment AND l.target = theirs.environment));
END
$$;
COMMENT ON FUNCTION mastering.base_tree(mastering.state, mastering.state) IS 'What each artifact was when source and target last agreed on it.';

-- ---- what was rolled back is held --------------------------------------------------------------------------------------

CREATE FUNCTION mastering.brought_by(release mastering.release) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(m.path, m.after), '{}')
      FROM mastering.snapshot a, mastering.snapshot b, mastering.merge_trees(a.tree, a.tree, b.tree) m WHERE a.hash = release.snapshot_before AND b.hash = release.snapshot_after
$$;
COMMENT ON FUNCTION mastering.brought_by(mastering.release) IS 'What a release made of its target: path -> hash of the artifact, null where it was removed.';

CREATE FUNCTION mastering.holds_of(target_name text) RETURNS TABLE (path text, hash text, release_id bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT DISTINCT ON (h.key, h.value) h.key, h.value, r.release_id
      FROM mastering.release r CROSS JOIN LATERAL jsonb_each_text(coalesce(r.proposal -> 'holds', '{}')) h
     WHERE r.target = target_name AND r.state = 'rolled back' AND r.proposal ->> 'held' = 'true'
       AND r.created_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = target_name)
     ORDER BY h.key, h.value, r.release_id DESC;
END
$$;
COMMENT ON FUNCTION mastering.holds_of(text) IS 'The artifacts that may not come into an environment, each until its release''s hold is released.';

CREATE FUNCTION mastering.require_not_held(target_name text, proposal jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held record;
BEGIN
    SELECT string_agg(format('%s (release %s)', h.key, h.value), ', ' ORDER BY h.key) AS paths, jsonb_object_agg(h.key, 'later') AS later, max(h.value::bigint) AS release_id INTO held
      FROM jsonb_each_text(proposal -> 'held') h;
    IF held.paths IS NOT NULL THEN
        RAISE EXCEPTION 'this change of environment "%" was rolled back and is held', target_name
            USING ERRCODE = '55000', DETAIL = format('Held: %s.', held.paths),
                  HINT = format('SELECT mastering.release_hold(%L, %s) lets it pass again; SELECT mastering.promote(%L, %L, resolve => %L) goes without it.', target_name, held.release_id,
                                proposal ->> 'source', target_name, held.later);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_not_held(text, jsonb) IS 'Raises where a part of a change was rolled back and not released since.';

-- ---- labels, by record -------------------------------------------------------------------------------------------------

-- Documents of labels (72_labels.sql) are sets of pairs of records, so two that were added to are put together.
CREATE FUNCTION mastering.merged_labels(base jsonb, ours jsonb, theirs jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH verdict AS (
        SELECT d.side, p.value AS pair, k.kind FROM (VALUES ('base', base), ('ours', ours), ('theirs', theirs)) d (side, document)
          CROSS JOIN LATERAL unnest(ARRAY['matches', 'non_matches', 'undecided']) k (kind) CROSS JOIN LATERAL jsonb_array_elements(coalesce(d.document -> k.kind, '[]')) p),
    pair AS (
        SELECT v.pair, min(v.kind) FILTER (WHERE v.side = 'base') AS base, min(v.kind) FILTER (WHERE v.side = 'ours') AS ours, min(v.kind) FILTER (WHERE v.side = 'theirs') AS theirs
          FROM verdict v GROUP BY v.pair),
    merged AS (
        SELECT p.pair, CASE WHEN p.theirs IS NOT DISTINCT FROM p.base THEN p.ours ELSE p.theirs END AS kind,
               p.theirs IS DISTINCT FROM p.base AND p.ours IS DISTINCT FROM p.base AND p.ours IS DISTINCT FROM p.theirs AS conflict FROM pair p)
    SELECT CASE WHEN NOT coalesce(bool_or(m.conflict), false) THEN
               jsonb_build_object('matches', coalesce(jsonb_agg(m.pair ORDER BY m.pair) FILTER (WHERE m.kind = 'matches'), '[]'),
                                  'non_matches', coalesce(jsonb_agg(m.pair ORDER BY m.pair) FILTER (WHERE m.kind = 'non_matches'), '[]'))
               || CASE WHEN bool_or(m.kind = 'undecided') THEN jsonb_build_object('undecided', jsonb_agg(m.pair ORDER BY m.pair) FILTER (WHERE m.kind = 'undecided')) ELSE '{}' END END
      FROM merged m
$$;
COMMENT ON FUNCTION mastering.merged_labels(jsonb, jsonb, jsonb) IS 'The labels that two sides have when each takes what the other decided since base; NULL where they decided the same pair differently.';

-- ---- the proposal ----------------------------------------------------------------------------------------------------

-- resolutions: path -> {"take", "hash"}. One that was stored with a release tells what it decided between, too; that is
-- part of the hash, so that another change of the same path is not decided by it.
CREATE FUNCTION mastering.make_proposal(source_name text, target_name text, resolutions jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source mastering.state := mastering.resolve_state(source_name);
    target mastering.state := mastering.current_state(target_name);
    base jsonb;
    tree jsonb := target.tree;
    changes jsonb := '[]';
    conflicts text[] := '{}';
    held jsonb := '{}';
    resolved jsonb := '{}';
    item record;
    resolution jsonb;
    holds jsonb;
    content text;
    merged jsonb;
    documents jsonb := '{}';
BEGIN
    PERFORM mastering.refuse_stand_in(target_name);
    PERFORM mastering.require_order(source.environment, target_name);
    base := mastering.base_tree(source, target);
    SELECT coalesce(jsonb_object_agg(h.path || E'\n' || coalesce(h.hash, ''), h.release_id), '{}') INTO holds FROM mastering.holds_of(target_name) h;
    FOR item IN SELECT m.*, holds -> (m.path || E'\n' || coalesce(m.after, '')) AS held_by FROM mastering.merge_trees(base, target.tree, source.tree) m ORDER BY m.path LOOP
        resolution := resolutions -> item.path;
        IF item.conflict AND resolution IS NULL AND item.path LIKE 'entity/%/labels' AND item.before IS NOT NULL AND item.after IS NOT NULL THEN
            merged := mastering.merged_labels(mastering.artifact_at(base, item.path), mastering.artifact_at(target.tree, item.path), mastering.artifact_at(source.tree, item.path));
            IF merged IS NOT NULL THEN
                item.after := mastering.json_hash(merged);
                item.conflict := false;
                documents := documents || jsonb_build_object(item.path, merged);
            END IF;
        END IF;
        content := CASE resolution ->> 'take' WHEN 'ours' THEN item.before WHEN 'later' THEN item.before WHEN 'content' THEN resolution ->> 'hash' ELSE item.after END;
        IF resolution IS NOT NULL THEN
            resolved := resolved || jsonb_build_object(item.path, jsonb_build_object('take', resolution -> 'take', 'base', base -> item.path, 'ours', item.before, 'theirs', item.after, 'hash', content));
            IF content IS NOT NULL AND holds ? (item.path || E'\n' || content) AND content IS DISTINCT FROM item.before THEN
                held := held || jsonb_build_object(item.path, holds -> (item.path || E'\n' || content));
            END IF;
        ELSE
            IF item.conflict THEN
                conflicts := conflicts || item.path;
            END IF;
            IF item.held_by IS NOT NULL THEN
                held := held || jsonb_build_object(item.path, item.held_by);
            END IF;
        END IF;
        CONTINUE WHEN content IS NOT DISTINCT FROM item.before;
        tree := CASE WHEN content IS NULL THEN tree - item.path ELSE tree || jsonb_build_object(item.path, content) END;
        changes := changes || (jsonb_build_object('path', item.path, 'change', CASE WHEN item.before IS NULL THEN 'added' WHEN content IS NULL THEN 'removed' ELSE 'changed' END)
                               || CASE WHEN resolution IS NULL THEN '{}' ELSE jsonb_build_object('resolved', resolution -> 'take') END);
    END LOOP;
    IF EXISTS (SELECT FROM jsonb_object_keys(resolutions) r WHERE NOT resolved ? r AND NOT (resolutions -> r) ? 'base') THEN
        RAISE EXCEPTION 'there is nothing to resolve at path "%"', (SELECT min(r) FROM jsonb_object_keys(resolutions) r WHERE NOT resolved ? r AND NOT (resolutions -> r) ? 'base')
            USING ERRCODE = '22023', DETAIL = format('A promotion from "%s" to "%s" does not change it.', source_name, target_name),
                  HINT = format('SELECT * FROM mastering.merge_conflicts(%L, %L)', source_name, target_name);
    END IF;
    RETURN jsonb_build_object('tree', tree, 'changes', changes, 'conflicts', to_jsonb(conflicts), 'held', held, 'source', source_name, 'source_tree', source.tree, 'documents', documents,
        'bindings', (SELECT coalesce(jsonb_object_agg(b.key, b.value), '{}') FROM jsonb_each(source.bindings) b WHERE NOT target.bindings ? b.key),
        'hash', mastering.json_hash(jsonb_build_object('target', target_name, 'from', target.tree, 'tree', tree, 'resolved', resolved)), 'resolutions', resolved);
END
$$;
COMMENT ON FUNCTION mastering.make_proposal(text, text, jsonb) IS 'What a promotion would change: the merged tree, the changes by path, what is in conflict or held, new bindings, documents that are only now made.';

-- After a promotion the two agree, but for what was left for later.
CREATE FUNCTION mastering.note_left_out(source_name text, target_name text, proposal jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    DELETE FROM mastering.left_out l WHERE (l.source = source_name AND l.target = target_name) OR (l.source = target_name AND l.target = source_name);
    INSERT INTO mastering.left_out (source, target, path, base)
    SELECT source_name, target_name, r.key, r.value ->> 'base' FROM jsonb_each(proposal -> 'resolutions') r WHERE r.value ->> 'take' = 'later';
END
$$;
COMMENT ON FUNCTION mastering.note_left_out(text, text, jsonb) IS 'Remembers what a promotion left for later, and forgets what it did not.';

-- ---- resolving -------------------------------------------------------------------------------------------------------

-- A document that somebody gives is set by the function that sets such artifacts, whose checks and rights are the
-- right ones, and taken back again.
CREATE FUNCTION mastering.checked_artifact(env_name text, path text, content jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text := mastering.step(path, 2);
    kind text := mastering.step(path, 3);
    item text := mastering.step(path, 4);
    stored jsonb;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    BEGIN
        IF path NOT LIKE 'entity/%' OR kind NOT IN ('', 'source', 'blocking', 'comparisons', 'clustering', 'survivorship', 'model', 'check') OR jsonb_typeof(content) NOT IN ('object', 'array') THEN
            RAISE EXCEPTION 'no document can be given for path "%"', path USING ERRCODE = '22023', HINT = 'Take "ours", "theirs" or "later".';
        END IF;
        -- It is set to be taken back: that is no change past a promotion.
        INSERT INTO mastering.policy (environment, policy, value, set_by) VALUES (env_name, 'direct_changes', '"allow"', mastering.caller())
        ON CONFLICT ON CONSTRAINT policy_pkey DO UPDATE SET value = EXCLUDED.value;
        CASE kind
            WHEN '' THEN PERFORM mastering.do_define_entity(env_name, entity_name, (SELECT json_object_agg(a.value ->> 'name', a.value ->> 'type' ORDER BY a.ordinality) FROM jsonb_array_elements(content -> 'attributes') WITH ORDINALITY a));
            WHEN 'source' THEN PERFORM mastering.do_map_source(env_name, entity_name, item, (mastering.configuration_of(env_name)).bindings ->> mastering.path(entity_name, item),
                                           (SELECT string_agg(quote_ident(k.value), ', ' ORDER BY k.ordinality) FROM jsonb_array_elements_text(content -> 'key') WITH ORDINALITY k), (content -> 'mapping')::json);
            WHEN 'blocking' THEN PERFORM mastering.do_set_blocking(env_name, entity_name, content);
            WHEN 'comparisons' THEN PERFORM mastering.do_set_comparisons(env_name, entity_name, content);
            WHEN 'clustering' THEN PERFORM mastering.do_set_clustering(env_name, entity_name, content);
            WHEN 'survivorship' THEN PERFORM mastering.do_set_survivorship(env_name, entity_name, content);
            WHEN 'model' THEN PERFORM mastering.do_set_model(env_name, entity_name, coalesce(content -> 'model', content));
            WHEN 'check' THEN PERFORM mastering.require_author(env_name);
                              PERFORM mastering.set_artifact(env_name, path, mastering.check_document(item, content ->> 'query', coalesce(content ->> 'severity', 'error'), coalesce(content ->> 'stage', 'promote'), content - '{query,severity,stage}'::text[]));
        END CASE;
        stored := mastering.artifact_at((mastering.configuration_of(env_name)).tree, path);
        RAISE EXCEPTION 'taken back' USING ERRCODE = 'MD001';
    EXCEPTION WHEN SQLSTATE 'MD001' THEN
        NULL;
    END;
    IF kind = 'model' AND content ? 'spec' AND jsonb_typeof(content -> 'spec') = 'string' THEN
        stored := stored || jsonb_build_object('spec', content -> 'spec');
    END IF;
    INSERT INTO mastering.artifact (hash, content) VALUES (mastering.json_hash(stored), stored) ON CONFLICT DO NOTHING;
    RETURN mastering.json_hash(stored);
END
$$;
COMMENT ON FUNCTION mastering.checked_artifact(text, text, jsonb) IS 'Stores a document for a path after the checks that setting it in an environment would make, and sets it nowhere.';

CREATE FUNCTION mastering.stored_resolutions(target_name text, resolve jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    result jsonb := '{}';
BEGIN
    IF resolve IS NOT NULL AND jsonb_typeof(resolve) <> 'object' THEN
        RAISE EXCEPTION 'resolutions are an object of paths' USING ERRCODE = '22023', HINT = 'Write {"entity/customer/survivorship": "theirs"}.';
    END IF;
    FOR item IN SELECT r.key, r.value, r.value #>> '{}' AS word FROM jsonb_each(resolve) r LOOP
        IF jsonb_typeof(item.value) = 'string' AND item.word IN ('ours', 'theirs', 'later') THEN
            result := result || jsonb_build_object(item.key, jsonb_build_object('take', item.word));
        ELSIF jsonb_typeof(item.value) IN ('object', 'array') THEN
            result := result || jsonb_build_object(item.key, jsonb_build_object('take', 'content', 'hash', mastering.checked_artifact(target_name, item.key, item.value)));
        ELSE
            RAISE EXCEPTION 'unknown resolution of path "%": %', item.key, item.value USING ERRCODE = '22023', HINT = 'It is "ours", "theirs", "later" or a document.';
        END IF;
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.stored_resolutions(text, jsonb) IS 'Resolutions as a proposal takes them: path -> {"take", "hash"}.';

CREATE FUNCTION mastering.do_resolve_conflict(id bigint, conflict_path text, resolution jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    release mastering.release := mastering.open_release(id);
    resolutions jsonb := coalesce(release.proposal -> 'resolutions', '{}') - conflict_path;
    proposal jsonb;
BEGIN
    PERFORM FROM mastering.release r WHERE r.release_id = id FOR UPDATE;
    IF resolution IS NOT NULL THEN
        resolutions := resolutions || mastering.stored_resolutions(release.target, jsonb_build_object(conflict_path, resolution));
    END IF;
    proposal := mastering.make_proposal(release.source, release.target, resolutions);
    UPDATE mastering.release r SET state = 'proposed', source_tree = work.proposal -> 'source_tree', proposal = r.proposal || (work.proposal - '{source_tree,documents}'::text[]), proposal_hash = work.proposal ->> 'hash'
     WHERE r.release_id = id;
    PERFORM mastering.audit(release.target, 'resolve conflict', jsonb_build_object('release_id', id, 'path', conflict_path, 'resolution', resolution, 'hash', proposal -> 'hash'));
END
$$;
COMMENT ON FUNCTION mastering.do_resolve_conflict(bigint, text, jsonb) IS 'Behind resolve_conflict.';

CREATE FUNCTION mastering.resolve_conflict(release bigint, path text, resolution jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.resolve_conflict(bigint, text, jsonb) IS 'Decides one path of a proposed release: ''"ours"'' (the target''s stays), ''"theirs"'' (the source''s comes), ''"later"'' (left out this time), or the document that it shall be; NULL takes a decision back.';

-- ---- looking -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.conflicts_of(source_name text, target_name text, resolutions jsonb)
RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb, resolution text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target mastering.state;
    proposal jsonb;
    base_tree jsonb;
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    proposal := mastering.make_proposal(source_name, target_name);
    target := mastering.current_state(target_name);
    base_tree := mastering.base_tree(mastering.resolve_state(source_name), target);
    RETURN QUERY
    SELECT p.path, concat_ws(', and ', CASE WHEN proposal -> 'conflicts' ? p.path THEN 'both changed it' END, 'held since release ' || (proposal -> 'held' ->> p.path) || ' was rolled back'),
           mastering.artifact_at(base_tree, p.path), mastering.artifact_at(target.tree, p.path), mastering.artifact_at(proposal -> 'source_tree', p.path),
           resolutions -> p.path ->> 'take'
      FROM (SELECT jsonb_array_elements_text(proposal -> 'conflicts') UNION SELECT jsonb_object_keys(proposal -> 'held') UNION SELECT jsonb_object_keys(resolutions)) p (path)
     ORDER BY p.path;
END
$$;
COMMENT ON FUNCTION mastering.conflicts_of(text, text, jsonb) IS 'What in a promotion needs a decision, and what was decided.';

CREATE FUNCTION mastering.local_merge_conflicts(source_name text, target_name text)
RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.path, c.reason, c.base, c.ours, c.theirs FROM mastering.conflicts_of(source_name, target_name, '{}') c
$$;
COMMENT ON FUNCTION mastering.local_merge_conflicts(text, text) IS 'Behind merge_conflicts, of stages that are here.';

CREATE FUNCTION mastering.merge_conflicts(source text, target text) RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.merge_conflicts(text, text) IS 'The artifacts that a promotion cannot bring without a decision: what they were when both sides agreed, are in the target (ours) and in the source (theirs).';

CREATE FUNCTION mastering.do_merge_conflicts(id bigint)
RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb, resolution text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release;
BEGIN
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id AND r.state IN ('proposed', 'prepared');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release % is not one that is still to come', id USING ERRCODE = '42704', HINT = 'SELECT release_id FROM mastering.releases WHERE state IN (''proposed'', ''prepared'')';
    END IF;
    RETURN QUERY SELECT * FROM mastering.conflicts_of(release.source, release.target, coalesce(release.proposal -> 'resolutions', '{}'));
END
$$;
COMMENT ON FUNCTION mastering.do_merge_conflicts(bigint) IS 'Behind merge_conflicts of a release.';

CREATE FUNCTION mastering.merge_conflicts(release bigint) RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb, resolution text)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.merge_conflicts(bigint) IS 'What in a proposed release needs a decision, and what resolve_conflict decided.';
