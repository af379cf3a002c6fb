-- 62_promotion.sql: how a change gets from one stage to the next, and back.
--
-- A promotion is a three-way merge of trees by path (64_merge.sql), the outputs that the target's data give under
-- the merged tree (found by content where they were made before), the gates on them, and the switch of the target's
-- head, in one transaction. What fails is rolled back to where the function began, and recorded.

CREATE FUNCTION mastering.last_promotion(source_name text, target_name text) RETURNS mastering.release
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT r FROM mastering.release r JOIN mastering.environment t ON t.name = r.target JOIN mastering.environment s ON s.name = r.source
     WHERE r.target = target_name AND r.source = source_name AND r.state = 'promoted' AND r.kind = 'promotion'
       AND r.created_at >= t.created_at AND r.created_at >= s.created_at
     ORDER BY r.release_id DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION mastering.last_promotion(text, text) IS 'The last promotion between two stages that is in force; not one between others that had their names before.';

CREATE FUNCTION mastering.merge_trees(base jsonb, ours jsonb, theirs jsonb) RETURNS TABLE (path text, before text, after text, conflict boolean)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.key, ours ->> p.key, theirs ->> p.key,
           (base ->> p.key) IS DISTINCT FROM (ours ->> p.key)
      FROM (SELECT jsonb_object_keys(base) UNION SELECT jsonb_object_keys(ours) UNION SELECT jsonb_object_keys(theirs)) p (key)
     WHERE (theirs ->> p.key) IS DISTINCT FROM (base ->> p.key) AND (theirs ->> p.key) IS DISTINCT FROM (ours ->> p.key);
END
$$;
COMMENT ON FUNCTION mastering.merge_trees(jsonb, jsonb, jsonb) IS 'The paths to change in ours to take over what theirs changed since base; conflict: ours changed it too.';

CREATE FUNCTION mastering.require_order(source_name text, target_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    from_name text := (SELECT e.promotes_from FROM mastering.environment e WHERE e.name = target_name);
BEGIN
    IF from_name IS DISTINCT FROM source_name AND NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = source_name AND f.source = target_name) THEN
        RAISE EXCEPTION 'environment "%" is not promoted from "%"', target_name, source_name
            USING ERRCODE = '55000', DETAIL = CASE WHEN from_name IS NULL THEN 'It is a first stage.' ELSE format('It is promoted from "%s".', from_name) END,
                  HINT = CASE WHEN from_name IS NULL THEN 'SELECT name, promotes_from FROM mastering.environments shows the order of the stages.' ELSE format('SELECT mastering.promote(%L, %L)', from_name, target_name) END;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_order(text, text) IS 'Raises unless the target is promoted from the source, or the source is a fork of the target.';

CREATE FUNCTION mastering.raise_again(code text, message text, detail text, hint text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(detail, '') <> '' AND coalesce(hint, '') <> '' THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
    ELSIF coalesce(detail, '') <> '' THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail;
    ELSIF coalesce(hint, '') <> '' THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = hint;
    ELSE
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.raise_again(text, text, text, text) IS 'Raises an error that was caught, without what it did not have.';

CREATE FUNCTION mastering.entities_of(tree jsonb) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT mastering.step(k, 2) FROM jsonb_object_keys(tree) k WHERE k LIKE 'entity/%' AND k NOT LIKE 'entity/%/%' ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.entities_of(jsonb) IS 'The entities of a tree.';

CREATE FUNCTION mastering.changed_entities(a jsonb, b jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT mastering.step(coalesce(x.key, y.key), 2)), '{}')
      FROM jsonb_each_text(a) x FULL JOIN jsonb_each_text(b) y ON y.key = x.key
     WHERE x.value IS DISTINCT FROM y.value AND coalesce(x.key, y.key) LIKE 'entity/%');
END
$$;
COMMENT ON FUNCTION mastering.changed_entities(jsonb, jsonb) IS 'The entities of which any artifact differs between two trees.';

-- The long part: data that the target lacks is loaded, the outputs are found or made, the gates are run on them in
-- the target's _next schema. Nothing in the target itself is touched. Repeating it finds all by content.
CREATE FUNCTION mastering.prepare_outputs(target_name text, proposal jsonb, release bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := (SELECT e FROM mastering.environment e WHERE e.name = target_name);
    target mastering.state := mastering.current_state(target_name);
    tree jsonb := proposal -> 'tree';
    data jsonb := target.data;
    bindings jsonb := target.bindings || (proposal -> 'bindings');
    versions jsonb := target.versions;
    entity_name text;
    source record;
    place text;
    outputs jsonb;
    loaded record;
    first_load boolean := false;
    runs jsonb := '[]';
    affected text[] := mastering.changed_entities(target.tree, tree);
BEGIN
    IF jsonb_array_length(proposal -> 'conflicts') > 0 THEN
        RAISE EXCEPTION 'environment "%" has changes of its own where it is to be changed', target_name
            USING ERRCODE = '55000', DETAIL = 'In conflict: ' || (SELECT string_agg(c, ', ') FROM jsonb_array_elements_text(proposal -> 'conflicts') c) || '.',
                  HINT = format('SELECT * FROM mastering.merge_conflicts(%1$L, %2$L) shows both sides; SELECT mastering.promote(%1$L, %2$L, resolve => %3$L) takes those of "%1$s", "ours" in their place what "%2$s" has.', proposal ->> 'source', target_name,
                                (SELECT jsonb_object_agg(c, 'theirs') FROM jsonb_array_elements_text(proposal -> 'conflicts') c));
    END IF;
    PERFORM mastering.require_unmasked(proposal ->> 'source', target_name, target.tree, tree, target.data);
    INSERT INTO mastering.artifact (hash, content) SELECT mastering.json_hash(d.value), d.value FROM jsonb_each(proposal -> 'documents') d ON CONFLICT DO NOTHING;
    -- What stewards decided since the last run, here or where the change comes from, counts as a change of the entity.
    affected := affected || ARRAY(SELECT DISTINCT c.entity FROM mastering.curation c
                                   WHERE c.environment = target_name AND versions ? c.entity AND versions -> c.entity ->> 'golden' IS NOT NULL
                                     AND (versions -> c.entity ->> 'golden' <> (mastering.golden_keys(target_name, c.entity, tree)).golden_key
                                          OR greatest(c.created_at, c.ended_at) > coalesce((SELECT max(r.made_at) FROM mastering.run r WHERE r.environment = target_name AND r.entity = c.entity), '-infinity')));
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) LOOP
        CONTINUE WHEN tree ->> mastering.path('entity', entity_name, 'model') IS NULL
                      OR (entity_name <> ALL (affected) AND versions ? entity_name);
        FOR source IN SELECT * FROM mastering.sources_of(tree, entity_name) LOOP
            place := mastering.path(entity_name, source.name);
            CONTINUE WHEN data ? place;
            IF NOT bindings ? place THEN
                RAISE EXCEPTION 'source "%" of entity "%" is bound to no relation in environment "%"', source.name, entity_name, target_name
                    USING ERRCODE = '55000', HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'')', target_name, entity_name, source.name);
            END IF;
            PERFORM mastering.require_known_source(target_name, entity_name, source.name);
            SELECT l.* INTO loaded FROM mastering.load_source(env, entity_name, source.name, source.content, bindings ->> place, NULL) l;
            data := data || jsonb_build_object(place, loaded.version);
            first_load := true;
        END LOOP;
        IF first_load THEN
            PERFORM mastering.run_load_checks(env, entity_name, tree, data);
            first_load := false;
        END IF;
        outputs := mastering.make_outputs(env, entity_name, tree, data, target.versions);
        versions := versions || (outputs -> 'versions');
        runs := runs || (jsonb_build_object('entity', entity_name, 'reused', outputs -> 'reused', 'counters', outputs -> 'counters')
                         || CASE WHEN outputs -> 'how' <> '{}' THEN jsonb_build_object('how', outputs -> 'how') ELSE '{}' END);
    END LOOP;
    -- Entities that are no more.
    FOR entity_name IN SELECT * FROM mastering.entities_of(target.tree) e WHERE e NOT IN (SELECT * FROM mastering.entities_of(tree)) LOOP
        versions := versions - ARRAY[entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history', entity_name || '_keys'];
    END LOOP;
    PERFORM mastering.set_head(target_name || '_next', versions);
    PERFORM mastering.sync_next_views(target_name, tree, versions, affected);
    PERFORM mastering.check_bounds(env, tree, target.versions, versions, 'promote', release);
    RETURN jsonb_build_object('tree', tree, 'data', data, 'bindings', bindings, 'versions', versions, 'runs', runs,
                              'checks', mastering.run_checks(env, target_name || '_next', tree, versions, 'promote', release));
END
$$;
COMMENT ON FUNCTION mastering.prepare_outputs(text, jsonb, bigint) IS 'What the target will show under a proposal, proven by its gates, published nowhere yet.';

CREATE FUNCTION mastering.sync_next_views(env_name text, tree jsonb, versions jsonb, affected text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
    changed boolean := false;
BEGIN
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) e WHERE e = ANY (affected) LOOP
        changed := mastering.sync_entity_views(env_name || '_next', entity_name, mastering.artifact_at(tree, mastering.path('entity', entity_name)), versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.sync_next_views(text, jsonb, jsonb, text[]) IS 'Brings the views of these entities of an environment''s _next schema to a tree.';

-- The switch itself, for promotions and rollbacks.
CREATE FUNCTION mastering.switch_state(env_name text, tree jsonb, bindings jsonb, data jsonb, versions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
    entity jsonb;
    changed boolean := false;
    before mastering.state := mastering.current_state(env_name);
BEGIN
    UPDATE mastering.configuration c SET tree = switch_state.tree, bindings = switch_state.bindings, data = switch_state.data, changed_at = now()
     WHERE c.environment = env_name;
    PERFORM mastering.set_head(env_name, versions);
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) LOOP
        -- Columns follow what is published; where that has no columns yet, the definition.
        CONTINUE WHEN versions -> entity_name -> 'tree' = before.versions -> entity_name -> 'tree'
                      AND before.tree ->> mastering.path('entity', entity_name) = tree ->> mastering.path('entity', entity_name);
        entity := coalesce(mastering.artifact_at(versions -> entity_name -> 'tree', mastering.path('entity', entity_name)),
                           mastering.artifact_at(tree, mastering.path('entity', entity_name)));
        changed := mastering.sync_entity_views(env_name, entity_name, entity, versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.switch_state(text, jsonb, jsonb, jsonb, jsonb) IS 'Makes an environment what it is told to be: one head row, and views only where columns change.';

CREATE FUNCTION mastering.require_release(source_name text, target_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin text;
BEGIN
    PERFORM mastering.require(target_name, 'author');
    PERFORM mastering.require_author(target_name);   -- what others wrote must not come to run as a superuser
    origin := (mastering.resolve_state(source_name)).environment;
    -- Between a fork and what it is a fork of, whoever may write there may bring the writing of others.
    IF NOT EXISTS (SELECT FROM mastering.fork f WHERE (f.source = target_name AND f.environment = origin) OR (f.source = origin AND f.environment = target_name)) THEN
        PERFORM mastering.require(target_name, 'admin');
    END IF;
    PERFORM mastering.require_order(origin, target_name);
END
$$;
COMMENT ON FUNCTION mastering.require_release(text, text) IS 'Raises unless the caller is admin of the target, or author between forks, may bring SQL text into it, and knows the source.';

CREATE FUNCTION mastering.promote_now(source_name text, target_name text, message text, dry_run boolean, expected_head text, release bigint, expected_hash text, resolutions jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment;
    source mastering.state;
    id bigint;
    proposal jsonb;
    next jsonb;
    facts jsonb;
    before text;
    taken text;
    after text;
    finished timestamptz;
    versions jsonb;
    backup jsonb;
    recovery jsonb;
BEGIN
    PERFORM mastering.lock_environment(target_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = target_name;
    IF expected_head IS NOT NULL AND NOT starts_with(mastering.state_hash(mastering.current_state(target_name)), ltrim(expected_head, '#')) THEN
        RAISE EXCEPTION 'environment "%" is not at head % any more', target_name, expected_head
            USING ERRCODE = '40001', HINT = 'SELECT name, head FROM mastering.environments; look at what changed, then promote again.';
    END IF;
    source := mastering.resolve_state(source_name);
    proposal := mastering.make_proposal(source_name, target_name, resolutions);
    IF proposal -> 'source_tree' <> source.tree THEN    -- two statements, two snapshots
        RAISE EXCEPTION 'state "%" is being changed', source_name USING ERRCODE = '40001', HINT = 'Try again.';
    END IF;
    IF expected_hash IS NOT NULL AND proposal ->> 'hash' <> expected_hash THEN
        RAISE EXCEPTION 'release % is not what was proposed any more', release
            USING ERRCODE = '40001', DETAIL = 'The source or the target changed since.', HINT = format('SELECT mastering.propose(%L, %L)', source_name, target_name);
    END IF;
    PERFORM mastering.require_not_held(target_name, proposal);
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(target_name) l;
    IF NOT dry_run THEN
        PERFORM mastering.require_timing(source_name, target_name);
    END IF;
    release := coalesce(release, mastering.waiting_release(source.environment, target_name, proposal ->> 'hash'));
    id := coalesce(release, nextval('mastering.release_id'));
    backup := mastering.require_backup(target_name);
    versions := (mastering.current_state(target_name)).versions;
    PERFORM mastering.merge_curation(source.environment, target_name);
    next := mastering.prepare_outputs(target_name, proposal, id);
    facts := mastering.release_facts(target_name, proposal, next);
    IF NOT dry_run THEN
        PERFORM mastering.require_approvals(id, release IS NOT NULL, source_name, target_name, message, proposal, facts, next -> 'checks');
    END IF;
    recovery := jsonb_strip_nulls(jsonb_build_object('restore_point', CASE WHEN NOT dry_run THEN mastering.set_restore_point(target_name, id) END, 'backup', backup));
    before := mastering.snapshot_before(target_name, 'before release ' || id);
    PERFORM mastering.switch_state(target_name, next -> 'tree', next -> 'bindings', next -> 'data', next -> 'versions');
    PERFORM mastering.run_checks(env, target_name, next -> 'tree', next -> 'versions', 'smoke', id);
    finished := clock_timestamp();   -- before the snapshot, so that a rollback to that does not undo this release
    taken := mastering.snapshot_of(source, 'promoted by release ' || id);
    after := mastering.take_snapshot(target_name, 'release ' || id, NULL, ARRAY[taken]);
    PERFORM mastering.note_left_out(source.environment, target_name, proposal);
    IF release IS NULL THEN
        INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, finished_at, source_tree, proposal, proposal_hash, snapshot_before, snapshot_after)
        VALUES (id, 'promotion', source.environment, target_name, 'promoted', message, mastering.caller(), finished, proposal -> 'source_tree',
                (proposal - '{source_tree,documents}'::text[]) || facts || jsonb_build_object('source_snapshot', taken, 'recovery', recovery), proposal ->> 'hash', before, after);
    ELSE
        UPDATE mastering.release r SET state = 'promoted', finished_at = finished, source_tree = work.proposal -> 'source_tree',
               proposal = r.proposal || (work.proposal - '{source_tree,documents}'::text[]) || facts || jsonb_build_object('source_snapshot', taken, 'recovery', recovery), snapshot_before = before, snapshot_after = after
         WHERE r.release_id = id;
    END IF;
    PERFORM mastering.record_runs(target_name, 'promotion', versions, next -> 'versions', next -> 'runs', id, NULL);
    PERFORM mastering.audit(target_name, 'promote', jsonb_build_object('release_id', id, 'source', source_name, 'changes', proposal -> 'changes', 'before', before, 'after', after));
    PERFORM mastering.notify('promote', target_name, jsonb_build_object('release_id', id, 'source', source_name));
    IF dry_run THEN
        PERFORM mastering.note_failure('{"dry run": true}');
        RAISE EXCEPTION 'dry run' USING ERRCODE = 'MD000', DETAIL = id::text;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.promote_now(text, text, text, boolean, text, bigint, text, jsonb) IS 'A promotion; whoever calls it records its failure.';

CREATE FUNCTION mastering.promote_or_record(source_name text, target_name text, message_text text, dry_run boolean, expected_head text, release bigint, expected_hash text, resolutions jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
    code text;
    message text;
    detail text;
    hint text;
    context text;
BEGIN
    PERFORM mastering.note_failure(NULL);
    BEGIN
        id := mastering.promote_now(source_name, target_name, message_text, dry_run, expected_head, release, expected_hash, resolutions);
        RETURN id;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
    END;
    IF code = 'MD000' AND dry_run AND mastering.noted_failure() = '{"dry run": true}' THEN    -- somebody's function may raise MD000, too
        RETURN NULL;
    END IF;
    IF mastering.noted_failure() ? 'waiting' THEN
        PERFORM mastering.record_outside(jsonb_build_object('environment', target_name, 'action', 'approval needed', 'session_role', session_user, 'role', mastering.caller(),
            'client', host(inet_client_addr())) || (mastering.noted_failure() -> 'waiting'));
    -- Who comes second has failed at nothing that is worth a release.
    ELSIF code NOT IN ('55P03', '40001', '40P01') THEN
        PERFORM mastering.record_outside(jsonb_strip_nulls(jsonb_build_object('environment', target_name, 'action', 'promote failed', 'session_role', session_user,
            'role', mastering.caller(), 'client', host(inet_client_addr()), 'checks', mastering.noted_failure() -> 'checks',
            'release', jsonb_build_object('kind', 'promotion', 'source', source_name, 'target', target_name, 'message', message_text, 'author', mastering.caller(),
                'proposal', jsonb_build_object('of', release), 'error', jsonb_build_object('sqlstate', code, 'message', message, 'detail', detail, 'context', context)))));
    END IF;
    PERFORM mastering.note_failure(NULL);
    PERFORM mastering.raise_again(code, message, detail, hint);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.promote_or_record(text, text, text, boolean, text, bigint, text, jsonb) IS 'A promotion whose failure leaves the target as it was and is recorded nevertheless.';

CREATE FUNCTION mastering.local_promote(source_name text, target_name text, message text, what_text text, dry_run boolean, expected_head text, resolve jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_release(source_name, target_name);
    IF what_text IS DISTINCT FROM 'auto' THEN
        RAISE EXCEPTION 'unknown kind of promotion: "%"', what_text USING ERRCODE = '22023', HINT = 'what is ''auto''.';
    END IF;
    IF expected_head !~ '^#?[0-9a-f]{8,64}$' THEN
        RAISE EXCEPTION 'invalid head: "%"', expected_head
            USING ERRCODE = '22023', HINT = 'SELECT name, head FROM mastering.environments; a head is at least 8 digits of that.';
    END IF;
    RETURN mastering.promote_or_record(source_name, target_name, message, coalesce(dry_run, false), expected_head, NULL, NULL, mastering.stored_resolutions(target_name, resolve));
END
$$;
COMMENT ON FUNCTION mastering.local_promote(text, text, text, text, boolean, text, jsonb) IS 'Behind promote, of a stage that is here.';

CREATE FUNCTION mastering.promote(source text, target text, message text DEFAULT NULL, what text DEFAULT 'auto', dry_run boolean DEFAULT false, expected_head text DEFAULT NULL, resolve jsonb DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.promote(text, text, text, text, boolean, text, jsonb) IS 'Promotes one stage to the next, or merges a fork: propose, prepare, gates, switch. resolve: for paths in conflict or held, {"path": "ours" | "theirs" | "later" | document}. Returns the release; NULL for a dry run, which does all and undoes it.';

-- ---- in steps ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.local_plan(source_name text, target_name text) RETURNS TABLE (step int, action text, subject text, detail text, blocked boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    proposal jsonb;
    target mastering.state;
    item record;
    entity_name text;
    tree jsonb;
    place text;
    masked text;
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    proposal := mastering.make_proposal(source_name, target_name);
    target := mastering.current_state(target_name);
    tree := proposal -> 'tree';
    step := 0;
    FOR item IN SELECT c ->> 'path' AS path, c ->> 'change' AS change FROM jsonb_array_elements(proposal -> 'changes') c LOOP
        step := step + 1;
        action := 'change configuration';
        subject := item.path;
        blocked := proposal -> 'conflicts' ? item.path OR proposal -> 'held' ? item.path;
        BEGIN
            masked := '';
            PERFORM mastering.require_unmasked(source_name, target_name, target.tree, jsonb_build_object(item.path, tree -> item.path), target.data) WHERE item.path LIKE 'entity/%/model%' AND tree ? item.path;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            masked := ', but it was trained on masked data';
            blocked := true;
        END;
        detail := item.change || masked || CASE WHEN proposal -> 'conflicts' ? item.path THEN ', but the target changed it too' ELSE '' END
                  || coalesce(', but held since release ' || (proposal -> 'held' ->> item.path) || ' was rolled back', '');
        RETURN NEXT;
    END LOOP;
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) LOOP
        FOR item IN SELECT s.name FROM mastering.sources_of(tree, entity_name) s LOOP
            place := mastering.path(entity_name, item.name);
            CONTINUE WHEN target.data ? place;
            step := step + 1;
            action := 'load';
            subject := place;
            blocked := NOT (target.bindings || (proposal -> 'bindings')) ? place;
            detail := coalesce('from ' || ((target.bindings || (proposal -> 'bindings')) ->> place), 'bound to no relation');
            RETURN NEXT;
        END LOOP;
        step := step + 1;
        action := 'master';
        subject := entity_name;
        blocked := false;
        detail := mastering.explain_run((SELECT e FROM mastering.environment e WHERE e.name = target_name), entity_name, target.tree, tree, target.data, target.versions);
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT * FROM mastering.explain_backup(target_name) LOOP
        step := step + 1;
        action := 'backup';
        subject := target_name;
        blocked := item.missing;
        detail := item.detail;
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT t.key, a.content FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value WHERE t.key LIKE 'entity/%/check/%' AND a.content ->> 'stage' IN ('promote', 'smoke') ORDER BY a.content ->> 'stage', t.key LOOP
        step := step + 1;
        action := 'check';
        subject := item.key;
        blocked := false;
        detail := format('%s, %s', item.content ->> 'stage', item.content ->> 'severity');
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT * FROM mastering.timing_blocks((mastering.resolve_state(source_name)).environment, target_name) LOOP
        step := step + 1;
        action := 'wait';
        subject := item.policy;
        blocked := true;
        detail := item.detail;
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT * FROM mastering.approval_policy(target_name) p WHERE p.needed > 0 LOOP
        step := step + 1;
        action := 'approve';
        subject := target_name;
        blocked := false;
        detail := format('%s of %s', item.needed, array_to_string(mastering.approvers_of(target_name, mastering.caller()), ', '));
        RETURN NEXT;
    END LOOP;
    step := step + 1;
    action := 'switch';
    subject := target_name;
    blocked := false;
    detail := 'one transaction, no lock on any view whose columns stay';
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.local_plan(text, text) IS 'Behind plan, of a stage that is here.';

CREATE FUNCTION mastering.plan(source text, target text) RETURNS TABLE (step int, action text, subject text, detail text, blocked boolean)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.plan(text, text) IS 'What a promotion would do, step by step, and what blocks it; changes nothing that is promoted. Of an environment in another database it asks there.';

CREATE FUNCTION mastering.do_propose(source_name text, target_name text, message_text text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    proposal jsonb;
    id bigint := nextval('mastering.release_id');
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    proposal := mastering.make_proposal(source_name, target_name);
    INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, source_tree, proposal, proposal_hash)
    VALUES (id, 'promotion', (mastering.resolve_state(source_name)).environment, target_name, 'proposed', message_text, mastering.caller(), proposal -> 'source_tree', (proposal - '{source_tree,documents}'::text[]) || jsonb_build_object('author_session', session_user), proposal ->> 'hash');
    PERFORM mastering.audit(target_name, 'propose', jsonb_build_object('release_id', id, 'source', source_name, 'changes', proposal -> 'changes', 'hash', proposal -> 'hash'));
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.do_propose(text, text, text) IS 'Behind propose.';

CREATE FUNCTION mastering.propose(source text, target text, message text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.propose(text, text, text) IS 'Writes down what a promotion would change, as a release to be prepared and promoted. Nothing changes in the target.';

CREATE FUNCTION mastering.open_release(id bigint) RETURNS mastering.release
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release;
BEGIN
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release % does not exist', id USING ERRCODE = '42704', HINT = 'SELECT release_id, source, target, state FROM mastering.releases lists those that do.';
    END IF;
    IF release.kind <> 'promotion' THEN
        PERFORM mastering.require(release.target, 'admin');
        RAISE EXCEPTION 'release % is a %, which is not prepared or promoted again', id, release.kind
            USING ERRCODE = '55000', HINT = format('SELECT release_id, source, state FROM mastering.releases WHERE target = %L AND state IN (''proposed'', ''prepared'')', release.target);
    END IF;
    PERFORM mastering.require_release(release.source, release.target);
    IF release.state NOT IN ('proposed', 'prepared') THEN
        RAISE EXCEPTION 'release % is %', id, release.state USING ERRCODE = '55000', HINT = format('SELECT mastering.propose(%L, %L)', release.source, release.target);
    END IF;
    RETURN release;
END
$$;
COMMENT ON FUNCTION mastering.open_release(bigint) IS 'A release that is still to come, if the caller may promote it.';

CREATE FUNCTION mastering.do_prepare_release(id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    release mastering.release := mastering.open_release(id);
    proposal jsonb;
    next jsonb;
    mark bigint;
    began timestamptz := clock_timestamp();
BEGIN
    PERFORM mastering.lock_environment(release.target);
    proposal := mastering.make_proposal(release.source, release.target, release.proposal -> 'resolutions');
    IF proposal ->> 'hash' <> release.proposal_hash THEN
        RAISE EXCEPTION 'release % is not what was proposed any more', id
            USING ERRCODE = '40001', DETAIL = 'The source or the target changed since.', HINT = format('SELECT mastering.propose(%L, %L)', release.source, release.target);
    END IF;
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(release.target) l;
    -- As the promotion will; what it takes over from the source's stewards stays here for as long as this works.
    mark := coalesce((SELECT max(c.curation_id) FROM mastering.curation c WHERE c.environment = release.target), 0);
    PERFORM mastering.merge_curation(release.source, release.target);
    next := mastering.prepare_outputs(release.target, proposal, id);
    DELETE FROM mastering.curation c WHERE c.environment = release.target AND c.curation_id > mark;
    UPDATE mastering.curation c SET ended_at = NULL, ended_by = NULL WHERE c.environment = release.target AND c.ended_at >= began;
    UPDATE mastering.release r SET state = 'prepared', proposal = r.proposal || mastering.release_facts(release.target, work.proposal, next) WHERE r.release_id = id;
    PERFORM mastering.audit(release.target, 'prepare', jsonb_build_object('release_id', id, 'runs', next -> 'runs'));
END
$$;
COMMENT ON FUNCTION mastering.do_prepare_release(bigint) IS 'Behind prepare_release.';

CREATE FUNCTION mastering.prepare_release(release bigint) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.prepare_release(bigint) IS 'What CALL prepare does, as a function: masters and proves what the target will show, readable in its _next schema.';

CREATE PROCEDURE mastering.prepare(release bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mastering.prepare_release(release);
    COMMIT;
END
$$;
COMMENT ON PROCEDURE mastering.prepare(bigint) IS 'Masters and proves what a release will show, readable in the target''s _next schema; kept by content, so that promote finds it.';

CREATE FUNCTION mastering.local_promote_release(id bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release := mastering.open_release(id);
BEGIN
    RETURN mastering.promote_or_record(release.source, release.target, release.message, false, NULL, id, release.proposal_hash, release.proposal -> 'resolutions');
END
$$;
COMMENT ON FUNCTION mastering.local_promote_release(bigint) IS 'Behind promote_release, into a stage that is here.';

CREATE FUNCTION mastering.promote_release(release bigint) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.promote_release(bigint) IS 'Promotes a release as it was proposed; 40001 where source or target changed since.';

-- ---- and back --------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.local_rollback(env_name text, to_state text, what_text text, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'admin');
    author mastering.environment := mastering.require_author(env_name);   -- an old state brings SQL text with it
    undone mastering.release;
    wanted mastering.state;
    current mastering.state;
    before text;
    after text;
    id bigint := nextval('mastering.release_id');
    hidden bigint;
BEGIN
    IF what_text IS NULL OR what_text NOT IN ('config', 'all') THEN
        RAISE EXCEPTION 'unknown kind of rollback: "%"', what_text USING ERRCODE = '22023', HINT = 'what is config, which keeps all data, or all.';
    END IF;
    PERFORM mastering.lock_environment(env_name);
    current := mastering.current_state(env_name);
    IF to_state IS NULL THEN
        SELECT * INTO undone FROM mastering.release r WHERE r.target = env_name AND r.kind = 'promotion' AND r.state = 'promoted' AND r.created_at >= env.created_at ORDER BY r.release_id DESC LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'environment "%" has no release to roll back', env_name USING ERRCODE = '55000',
                HINT = coalesce((SELECT format('SELECT mastering.rollback(%1$L, to_state => %2$L) goes back to the last state that was kept; SELECT state, event FROM mastering.history(%1$L) lists all.', env_name, '#' || left(s.hash, 12))
                                   FROM mastering.snapshot s WHERE s.environment = env_name ORDER BY s.created_at DESC LIMIT 1), format('SELECT mastering.snapshot(%L) keeps a state to go back to.', env_name));
        END IF;
        wanted := mastering.snapshot_state(undone.snapshot_before);
        IF wanted.environment IS NULL THEN
            RAISE EXCEPTION 'the state before release % of environment "%" is not kept any more', undone.release_id, env_name
                USING ERRCODE = '42704', DETAIL = 'Garbage collection has removed it.', HINT = format('SELECT * FROM mastering.snapshots WHERE environment = %L lists those that are kept.', env_name);
        END IF;
    ELSE
        wanted := mastering.resolve_state(to_state);
        IF wanted.environment <> env_name THEN
            RAISE EXCEPTION 'state "%" is not one of environment "%"', to_state, env_name USING ERRCODE = '55000';
        END IF;
    END IF;
    before := mastering.snapshot_before(env_name, 'before rollback ' || id);
    wanted.versions := mastering.versions_with_ends(wanted.versions, current.versions);
    PERFORM mastering.switch_state(env_name, wanted.tree, CASE what_text WHEN 'all' THEN wanted.bindings ELSE current.bindings END,
                                   CASE what_text WHEN 'all' THEN wanted.data ELSE current.data END, wanted.versions);
    after := mastering.take_snapshot(env_name, 'rollback ' || id, NULL, instead_of => before, like_state => wanted.snapshot);
    -- All releases after the state that is back again are undone, and each artifact that they brought is held.
    UPDATE mastering.release r SET state = 'rolled back', proposal = r.proposal || jsonb_build_object('held', true, 'holds', mastering.brought_by(r))
     WHERE r.target = env_name AND r.kind = 'promotion' AND r.state = 'promoted'
       AND r.finished_at > (SELECT s.created_at FROM mastering.snapshot s WHERE s.hash = wanted.snapshot);
    INSERT INTO mastering.release (release_id, kind, target, state, message, author, finished_at, proposal, snapshot_before, snapshot_after)
    VALUES (id, 'rollback', env_name, 'promoted', reason, mastering.caller(), clock_timestamp(),
            jsonb_strip_nulls(jsonb_build_object('to', wanted.snapshot, 'what', what_text, 'undone', undone.release_id)), before, after);
    PERFORM mastering.audit(env_name, 'rollback', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'undone', undone.release_id, 'to', wanted.snapshot, 'what', what_text, 'reason', reason)));
    PERFORM mastering.notify('rollback', env_name, jsonb_build_object('release_id', id));
    IF what_text = 'config' AND wanted.data <> current.data THEN
        RAISE NOTICE 'data loaded since then are kept; the next run brings the golden records up to date with them'
            USING HINT = format('SELECT * FROM mastering.backfill(%L)', env_name);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.local_rollback(text, text, text, text) IS 'Behind rollback, of a stage that is here.';

CREATE FUNCTION mastering.rollback(env text, to_state text DEFAULT NULL, what text DEFAULT 'config', reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.rollback(text, text, text, text) IS 'Back to before the last release, or to a state: configuration and outputs at once, data loaded since stay (what => ''all'' takes them back too). The change is held from being promoted again.';

CREATE FUNCTION mastering.local_release_hold(env_name text, id bigint, held_path text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    UPDATE mastering.release r SET proposal = r.proposal || jsonb_build_object('held', held_path IS NOT NULL AND (r.proposal -> 'holds') - held_path <> '{}',
                                                                                'holds', CASE WHEN held_path IS NULL THEN r.proposal -> 'holds' ELSE (r.proposal -> 'holds') - held_path END)
     WHERE r.release_id = id AND r.target = env_name AND r.proposal ->> 'held' = 'true' AND (held_path IS NULL OR r.proposal -> 'holds' ? held_path);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release % of environment "%" is not held%', id, env_name, coalesce(' at ' || held_path, '') USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.audit(env_name, 'release hold', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'path', held_path)));
END
$$;
COMMENT ON FUNCTION mastering.local_release_hold(text, bigint, text) IS 'Behind release_hold, of a stage that is here.';

CREATE FUNCTION mastering.release_hold(env text, release bigint, path text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.release_hold(text, bigint, text) IS 'Lets what a release brought, or one artifact of that, be promoted again after it was rolled back.';
