-- 65_time_travel.sql: back to any state, a look at any state, and the proof that history is what it was.

-- ---- restore ---------------------------------------------------------------------------------------------------------

-- A fork shows what it is a copy of, to those who may read that; other data do not get into it.
CREATE FUNCTION mastering.require_same_readers(env_name text, origin text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM mastering.fork f WHERE f.environment = env_name) AND origin <> env_name
       AND NOT EXISTS (WITH RECURSIVE o (name) AS (SELECT f.source FROM mastering.fork f WHERE f.environment = env_name
                           UNION SELECT f.source FROM o JOIN mastering.fork f ON f.environment = o.name) SELECT FROM o WHERE o.name = origin) THEN
        RAISE EXCEPTION 'environment "%" is not a fork of "%"', env_name, origin
            USING ERRCODE = '42501', DETAIL = 'Who may read it may not be one who may read that.', HINT = format('SELECT mastering.fork_environment(%L, %L)', origin, left(origin, 58) || '_fork');
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_same_readers(text, text) IS 'Raises where a fork would get to hold what is not its source''s.';

CREATE FUNCTION mastering.do_restore(env_name text, state_name text, message_text text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'admin');
    author mastering.environment := mastering.require_author(env_name);   -- the state brings SQL text with it
    wanted mastering.state;
    current mastering.state;
    like_state text;
    before text;
    after text;
    id bigint;
    curation jsonb;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    wanted := mastering.resolve_state(state_name);
    PERFORM mastering.require_same_readers(env_name, wanted.environment);
    PERFORM mastering.require_restorable(env_name, wanted.environment);
    current := mastering.current_state(env_name);
    PERFORM mastering.require_unmasked(state_name, env_name, current.tree, wanted.tree, wanted.data, true);
    before := mastering.snapshot_before(env_name, 'before restore');
    like_state := mastering.snapshot_of(wanted, 'restored in ' || env_name);
    -- With other decisions the next run here would not give what it gave there.
    IF wanted.environment <> env_name THEN
        curation := mastering.twin_curation(wanted.environment, env_name);
        IF curation -> 'ended' <> '[]' THEN
            RAISE NOTICE '% decision(s) of the stewards of environment "%" have ended, because "%" does not follow them', jsonb_array_length(curation -> 'ended'), env_name, wanted.environment
                USING HINT = format('SELECT mastering.restore(%L, %L) brings them back.', env_name, '#' || left(before, 12));
        END IF;
    ELSE
        curation := mastering.own_curation(env_name, coalesce((SELECT s.created_at FROM mastering.snapshot s WHERE s.hash = like_state), 'infinity'));
        wanted.versions := mastering.versions_with_ends(wanted.versions, current.versions);
    END IF;
    IF wanted.tree = current.tree AND wanted.data = current.data AND wanted.versions = current.versions AND curation = '{"ended": [], "taken": []}' THEN
        PERFORM mastering.audit(env_name, 'restore', jsonb_build_object('state', state_name, 'to', like_state, 'unchanged', true));    -- a release plan asks for it
        RETURN '#' || left(before, 12);
    END IF;
    id := nextval('mastering.release_id');
    -- What a source is bound to is each environment's own.
    PERFORM mastering.switch_state(env_name, wanted.tree, wanted.bindings || current.bindings, wanted.data, wanted.versions);
    after := mastering.take_snapshot(env_name, 'restore ' || id || ' of ' || state_name, NULL, instead_of => before, like_state => like_state);
    UPDATE mastering.release r SET state = 'replaced' WHERE r.target = env_name AND r.kind = 'promotion' AND r.state = 'promoted' AND r.created_at >= env.created_at;
    INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, finished_at, proposal, snapshot_before, snapshot_after)
    VALUES (id, 'restore', wanted.environment, env_name, 'promoted', message_text, mastering.caller(), clock_timestamp(),
            jsonb_build_object('to', like_state, 'curation', curation, 'changes', (SELECT coalesce(jsonb_agg(jsonb_build_object('path', m.path, 'change',
                CASE WHEN m.before IS NULL THEN 'added' WHEN m.after IS NULL THEN 'removed' ELSE 'changed' END) ORDER BY m.path), '[]') FROM mastering.merge_trees(current.tree, current.tree, wanted.tree) m)), before, after);
    PERFORM mastering.audit(env_name, 'restore', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'state', state_name, 'to', like_state, 'before', before, 'message', message_text)));
    PERFORM mastering.notify('restore', env_name, jsonb_build_object('release_id', id));
    RETURN '#' || left(before, 12);
END
$$;
COMMENT ON FUNCTION mastering.do_restore(text, text, text) IS 'Behind restore.';

CREATE FUNCTION mastering.restore(env text, state text, message text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.restore(text, text, text) IS 'Makes an environment what any state of any environment was: configuration, data and outputs; the relations that its sources are bound to stay its own, and of another environment''s state it follows the curation that that one follows. Returns the name of the state that it was in before, which restore takes again.';

-- ---- schemas of views on a state ------------------------------------------------------------------------------------

-- The views name their segments themselves, so that the schema needs nothing but its views and is dropped like any.
CREATE FUNCTION mastering.frozen_query(query text, schema_name text, relation text, alias text, version jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT replace(query, format('mastering.in_version(%s, %s."#segment", %s."#row")', mastering.versioned_name(schema_name, relation), alias, alias),
                   CASE WHEN version IS NULL THEN 'false' ELSE mastering.version_condition(version, alias) END)
$$;
COMMENT ON FUNCTION mastering.frozen_query(text, text, text, text, jsonb) IS 'A view''s SELECT with one version in the place of what an environment shows.';

CREATE FUNCTION mastering.do_create_snapshot_schema(state_name text, new_schema text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state mastering.state;
    frozen text;
    item record;
    kind text;
    stores jsonb;
    query text;
BEGIN
    PERFORM mastering.hold_space();
    state := mastering.resolve_state(state_name);
    IF NOT has_database_privilege(mastering.caller(), current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create a schema'
            USING ERRCODE = '42501', DETAIL = format('Role "%s" may not create schemas in this database.', mastering.caller());
    END IF;
    IF new_schema IS NULL OR new_schema = '' OR octet_length(new_schema) > 63 OR new_schema ~ '^pg_' THEN
        RAISE EXCEPTION 'invalid name of a schema: "%"', new_schema USING ERRCODE = '42602', DETAIL = 'It has 1 to 63 bytes and does not begin with pg_.';
    END IF;
    frozen := mastering.snapshot_of(state, 'shown as ' || new_schema);
    EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', new_schema, mastering.caller());
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', new_schema, format('State %s of environment %s', '#' || frozen, state.environment));
    DELETE FROM mastering.snapshot_schema s WHERE s.schema_name = new_schema;    -- of one that was dropped
    INSERT INTO mastering.snapshot_schema (schema_name, environment, snapshot, reader) VALUES (new_schema, state.environment, frozen, mastering.caller());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', new_schema, mastering.caller());
    FOR item IN SELECT e.name, coalesce(mastering.artifact_at(state.versions -> e.name -> 'tree', mastering.path('entity', e.name)),
                                        mastering.artifact_at(state.tree, mastering.path('entity', e.name))) AS entity
                  FROM mastering.entities_of(state.tree) e (name) LOOP
        SELECT jsonb_object_agg(k.kind, coalesce((state.versions -> (item.name || CASE k.kind WHEN 'golden' THEN '' ELSE '_' || k.kind END) ->> 'store')::int,
                                                 mastering.entity_store(k.kind, item.name, item.entity))) INTO stores
          FROM unnest('{records,members,golden,lineage,history}'::text[]) k (kind);
        FOREACH kind IN ARRAY ARRAY['', '_members', '_lineage', '_history', '_records'] LOOP
            query := mastering.view_query(new_schema, item.name, item.entity, kind, (stores ->> CASE kind WHEN '' THEN 'golden' ELSE substr(kind, 2) END)::int, (stores ->> 'members')::int);
            query := mastering.frozen_query(query, new_schema, item.name || kind, 's', state.versions -> (item.name || kind));
            query := mastering.frozen_query(query, new_schema, item.name || '_members', 'm', state.versions -> (item.name || '_members'));
            EXECUTE format('CREATE VIEW %I.%I AS %s', new_schema, item.name || kind, query);
        END LOOP;
    END LOOP;
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE SELECT ON TABLES FROM %I', new_schema, mastering.caller());
    PERFORM mastering.audit(state.environment, 'create snapshot schema', jsonb_build_object('schema', new_schema, 'snapshot', frozen));
    RETURN '#' || left(frozen, 12);
END
$$;
COMMENT ON FUNCTION mastering.do_create_snapshot_schema(text, text) IS 'Behind create_snapshot_schema.';

CREATE FUNCTION mastering.create_snapshot_schema(env_or_state text, schema text) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.create_snapshot_schema(text, text) IS 'A schema of views on a state, which show it for ever, to the caller alone; DROP SCHEMA ... CASCADE ends it. Returns the name of the snapshot that it shows.';

CREATE FUNCTION mastering.needed_snapshots() RETURNS TABLE (hash text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.base, 'fork ' || f.environment FROM mastering.fork f
    UNION ALL
    SELECT s.snapshot, 'snapshot schema ' || s.schema_name FROM mastering.snapshot_schema s WHERE to_regnamespace(quote_ident(s.schema_name)) IS NOT NULL
    UNION ALL
    SELECT c.snapshot, 'environment ' || c.environment FROM mastering.configuration c WHERE c.snapshot IS NOT NULL
    UNION ALL
    SELECT s.hash, 'merged or copied, environment ' || s.environment FROM mastering.side_snapshot s
    UNION ALL
    (SELECT DISTINCT ON (r.source, r.target) r.proposal ->> 'source_snapshot', format('last promotion from %s to %s', r.source, r.target)
      FROM mastering.release r JOIN mastering.environment t ON t.name = r.target AND t.created_at <= r.created_at JOIN mastering.environment s ON s.name = r.source AND s.created_at <= r.created_at
     WHERE r.kind = 'promotion' AND r.state = 'promoted' AND r.proposal ? 'source_snapshot' ORDER BY r.source, r.target, r.release_id DESC)
$$;
COMMENT ON FUNCTION mastering.needed_snapshots() IS 'Snapshots that clearing away must leave: something shows them, or goes on from them.';

-- ---- history ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_history(env_name text)
RETURNS TABLE (state text, at timestamptz, event text, release_id bigint, message text, author text, tag text, parents text[], undoes text, artifacts_changed bigint, golden_records bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
BEGIN
    RETURN QUERY
    SELECT '#' || left(s.hash, 12), s.created_at,
           CASE WHEN r.kind IS NOT NULL THEN r.kind WHEN f.environment IS NOT NULL THEN 'forked' WHEN b.release_id IS NOT NULL THEN 'before ' || b.kind ELSE 'snapshot' END,
           coalesce(r.release_id, b.release_id), coalesce(r.message, s.message), s.author, s.tag,
           ARRAY(SELECT '#' || left(p, 12) FROM unnest(s.parents) p), '#' || left(s.undoes, 12),
           CASE WHEN p.tree = s.tree THEN 0 ELSE (SELECT count(*) FROM jsonb_each_text(coalesce(p.tree, '{}')) x FULL JOIN jsonb_each_text(s.tree) y ON y.key = x.key WHERE x.value IS DISTINCT FROM y.value) END,
           (SELECT coalesce(sum((v.value ->> 'rows')::bigint), 0)::bigint FROM jsonb_each(s.versions) v WHERE v.value ? 'golden')
      FROM mastering.snapshot s
      LEFT JOIN LATERAL (SELECT x.kind, x.release_id, x.message FROM mastering.release x WHERE x.target = env_name AND x.snapshot_after = s.hash ORDER BY x.release_id LIMIT 1) r ON true
      LEFT JOIN LATERAL (SELECT x.kind, x.release_id FROM mastering.release x WHERE x.target = env_name AND x.snapshot_before = s.hash ORDER BY x.release_id LIMIT 1) b ON true
      LEFT JOIN mastering.snapshot p ON p.hash = coalesce(s.undoes, s.parents[1])
      LEFT JOIN mastering.fork f ON f.environment = env_name AND f.base = s.hash
     WHERE (s.environment = env_name AND s.created_at >= env.created_at) OR f.environment IS NOT NULL
     ORDER BY s.created_at DESC, s.hash;
END
$$;
COMMENT ON FUNCTION mastering.do_history(text) IS 'Behind history.';

CREATE FUNCTION mastering.history(env text)
RETURNS TABLE (state text, at timestamptz, event text, release_id bigint, message text, author text, tag text, parents text[], undoes text, artifacts_changed bigint, golden_records bigint)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.history(text) IS 'The states that an environment was in, newest first: by what it got there, what it was made of, how many artifacts differ from the one before and how many golden records it shows.';

-- ---- proof -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.problems_of_segments(segments int[], deep boolean) RETURNS TABLE (part text, name text, problem text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT u.id, g.store_id, g.hash, to_regclass('mastering.segment_' || u.id) AS relation,
                       (SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = to_regclass('mastering.segment_' || u.id)) AS parent
                  FROM unnest(segments) u (id) LEFT JOIN mastering.segment g ON g.segment_id = u.id ORDER BY u.id LOOP
        part := 'segment';
        name := 'mastering.segment_' || item.id;
        problem := CASE WHEN item.store_id IS NULL THEN 'is not in the catalog' WHEN item.relation IS NULL THEN 'is missing'
                        WHEN item.parent IS DISTINCT FROM 'mastering.store_' || item.store_id THEN 'is no part of its store' END;
        IF problem IS NULL AND deep THEN
            problem := CASE WHEN mastering.segment_hash(item.id) IS DISTINCT FROM item.hash THEN 'has other rows than it was made of' END;
        END IF;
        IF problem IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.problems_of_segments(int[], boolean) IS 'Segments that are missing or, looked at row by row, are not what their hash says; what was erased counts as what it was.';

CREATE FUNCTION mastering.do_verify_snapshots(env_name text, deep boolean) RETURNS TABLE (environment text, snapshot text, part text, name text, problem text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    snapshots text[];
    all_versions jsonb;
BEGIN
    IF env_name IS NOT NULL THEN
        PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    END IF;
    SELECT array_agg(s.hash) INTO snapshots FROM mastering.snapshot s WHERE (env_name IS NULL OR s.environment = env_name) AND mastering.do_visible(s.environment, s.created_at);
    -- The documents themselves.
    RETURN QUERY
    SELECT s.environment, '#' || left(s.hash, 12), 'snapshot', coalesce(s.tag, ''), 'is not what its hash says'
      FROM mastering.snapshot s WHERE s.hash = ANY (snapshots) AND s.hash <> mastering.snapshot_hash(s);
    RETURN QUERY
    SELECT s.environment, '#' || left(s.hash, 12), 'artifact', t.key, CASE WHEN a.hash IS NULL THEN 'is missing' ELSE 'is not what its hash says' END
      FROM mastering.snapshot s CROSS JOIN LATERAL jsonb_each_text(s.tree) t LEFT JOIN mastering.artifact a ON a.hash = t.value
     WHERE s.hash = ANY (snapshots) AND (a.hash IS NULL OR a.hash <> mastering.json_hash(a.content));
    -- Versions, each once, with the first snapshot that has it.
    SELECT coalesce(jsonb_agg(jsonb_build_object('environment', v.environment, 'snapshot', v.hash, 'name', v.key, 'version', v.value)), '[]') INTO all_versions
      FROM (SELECT DISTINCT ON (x.key, x.value) s.environment, '#' || left(s.hash, 12) AS hash, x.key, x.value
              FROM mastering.snapshot s CROSS JOIN LATERAL (SELECT * FROM jsonb_each(s.versions) UNION ALL SELECT 'loaded ' || d.key, d.value FROM jsonb_each(s.data) d) x
             WHERE s.hash = ANY (snapshots) ORDER BY x.key, x.value, s.created_at) v;
    RETURN QUERY
    SELECT v ->> 'environment', v ->> 'snapshot', 'version', v ->> 'name', 'is not what its hash says' FROM jsonb_array_elements(all_versions) v
     WHERE v -> 'version' ->> 'hash' IS DISTINCT FROM (
               SELECT mastering.json_hash(coalesce(jsonb_agg(jsonb_build_array(g.hash, d.hash) ORDER BY u.n), '[]'))
                 FROM ROWS FROM (jsonb_array_elements_text(v -> 'version' -> 'segments'), jsonb_array_elements_text(v -> 'version' -> 'vectors')) WITH ORDINALITY u (segment, vector, n)
                 JOIN mastering.segment g ON g.segment_id = u.segment::int LEFT JOIN mastering.deletion_vector d ON d.vector_id = nullif(u.vector::bigint, 0));
    RETURN QUERY
    SELECT DISTINCT ON (d.vector_id) v ->> 'environment', v ->> 'snapshot', 'deletion vector', v ->> 'name', CASE WHEN d.vector_id IS NULL THEN 'is missing' ELSE 'is not what its hash says' END
      FROM jsonb_array_elements(all_versions) v CROSS JOIN LATERAL jsonb_array_elements_text(v -> 'version' -> 'vectors') u (vector) LEFT JOIN mastering.deletion_vector d ON d.vector_id = u.vector::bigint
     WHERE u.vector <> '0' AND (d.vector_id IS NULL OR d.hash <> encode(sha256(d.bitmap), 'hex') OR d.row_count <> mastering.deletion_vector_count(d.bitmap));
    RETURN QUERY
    SELECT x.environment, x.snapshot, p.part, p.name, p.problem
      FROM mastering.problems_of_segments((SELECT array_agg(DISTINCT s.value::int) FROM jsonb_array_elements(all_versions) v CROSS JOIN LATERAL jsonb_array_elements_text(v -> 'version' -> 'segments') s), coalesce(deep, false)) p
      CROSS JOIN LATERAL (SELECT v ->> 'environment', v ->> 'snapshot' FROM jsonb_array_elements(all_versions) v
                           WHERE v -> 'version' -> 'segments' @> to_jsonb(substr(p.name, length('mastering.segment_') + 1)::int) LIMIT 1) x (environment, snapshot);
END
$$;
COMMENT ON FUNCTION mastering.do_verify_snapshots(text, boolean) IS 'Behind verify_snapshots.';

CREATE FUNCTION mastering.verify_snapshots(env text DEFAULT NULL, deep boolean DEFAULT false) RETURNS TABLE (environment text, snapshot text, part text, name text, problem text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verify_snapshots(text, boolean) IS 'Recomputes the hashes of the snapshots that one may see, of one environment or all, and names what differs: documents, artifacts, versions, deletion vectors; deep: every row of every segment too. No row is good news.';
