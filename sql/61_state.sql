-- 61_state.sql: states and what differs between them.
--
-- A state is named: env (what it is now), env@tag (a snapshot of it), env~N (N releases back), # and the first
-- digits of a snapshot's hash.

CREATE TYPE mastering.state AS (environment text, tree jsonb, bindings jsonb, data jsonb, versions jsonb, snapshot text);
COMMENT ON TYPE mastering.state IS 'A state of an environment: configuration, loaded data, published outputs.';

-- In PL/pgSQL, as what is called often: it keeps its plans from one call to the next.
-- The documents come uncompressed, as the result of an operator: each step that looks into one would uncompress it again.
CREATE FUNCTION mastering.current_state(env_name text) RETURNS mastering.state
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result mastering.state;
BEGIN
    SELECT c.environment, c.tree || '{}', c.bindings || '{}', c.data || '{}', h.versions || '{}', c.snapshot INTO result
      FROM mastering.configuration c JOIN mastering.head h ON h.environment = c.environment WHERE c.environment = env_name;
    RETURN CASE WHEN result.environment IS NOT NULL THEN result END;
END
$$;
COMMENT ON FUNCTION mastering.current_state(text) IS 'The state that an environment is in.';

CREATE FUNCTION mastering.snapshot_state(snapshot_hash text) RETURNS mastering.state
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ROW(s.environment, s.tree || '{}', s.bindings || '{}', s.data || '{}', s.versions || '{}', s.hash)::mastering.state FROM mastering.snapshot s WHERE s.hash = snapshot_hash
$$;
COMMENT ON FUNCTION mastering.snapshot_state(text) IS 'The state that a snapshot holds.';

CREATE FUNCTION mastering.resolve_state(state_name text) RETURNS mastering.state
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result mastering.state;
    hashes text[];
    parts text[];
BEGIN
    IF state_name ~ '^#[0-9a-f]{4,64}$' THEN
        SELECT array_agg(s.hash) INTO hashes FROM mastering.snapshot s
         WHERE starts_with(s.hash, substr(state_name, 2)) AND mastering.do_visible(s.environment, s.created_at);
        IF cardinality(hashes) > 1 THEN
            RAISE EXCEPTION 'state "%" is ambiguous', state_name USING ERRCODE = '42702', DETAIL = array_to_string(hashes, E'\n');
        END IF;
        result := mastering.snapshot_state(hashes[1]);
    ELSIF state_name ~ '@' THEN
        parts := regexp_match(state_name, '^([^@]*)@(.*)$');
        SELECT (mastering.snapshot_state(s.hash)).* INTO result FROM mastering.snapshot s WHERE s.environment = parts[1] AND s.tag = parts[2]
           AND s.created_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = parts[1]);
    ELSIF state_name ~ '~[1-9][0-9]{0,5}$' THEN
        parts := regexp_match(state_name, '^(.*)~([0-9]+)$');
        SELECT (mastering.snapshot_state(r.snapshot_before)).* INTO result FROM mastering.release r
         WHERE r.target = parts[1] AND r.state IN ('promoted', 'rolled back', 'replaced') AND r.kind = 'promotion'
           AND r.created_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = parts[1]) ORDER BY r.release_id DESC OFFSET parts[2]::int - 1 LIMIT 1;
    ELSE
        result := mastering.current_state(state_name);
    END IF;
    IF result.environment IS NULL THEN
        RAISE EXCEPTION 'state "%" does not exist', state_name
            USING ERRCODE = '42704', HINT = 'A state is an environment, environment@tag, environment~N (N releases back), or # and the first digits of a snapshot''s hash.';
    END IF;
    PERFORM mastering.require(result.environment, 'author', 'curator', 'reviewer', 'loader');
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.resolve_state(text) IS 'The state that a name means, if the caller may see it.';

-- What a state is, told in one hash: equal hashes, equal states. How far sources have been read (57_changes.sql) is no part
-- of it: a load that finds nothing leaves the head what somebody has seen and promotes from. View environments tells the same.
CREATE FUNCTION mastering.state_hash(state mastering.state) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.json_hash(jsonb_build_object('tree', state.tree, 'bindings', state.bindings, 'versions', state.versions,
        'data', (SELECT coalesce(jsonb_object_agg(d.key, d.value - 'position'), '{}') FROM jsonb_each(state.data) d)))
$$;
COMMENT ON FUNCTION mastering.state_hash(mastering.state) IS 'The hash of what a state consists of.';

-- Without waiting for another who is at it: what that one leaves is a parent of the next.
CREATE FUNCTION mastering.taken_from_side(env_name text) RETURNS text[]
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    WITH free AS (SELECT s.hash FROM mastering.side_snapshot s WHERE s.environment = env_name FOR UPDATE SKIP LOCKED),
         taken AS (DELETE FROM mastering.side_snapshot s USING free f WHERE s.hash = f.hash RETURNING s.hash)
    SELECT coalesce(array_agg(t.hash ORDER BY t.hash COLLATE "C"), '{}') FROM taken t
$$;
COMMENT ON FUNCTION mastering.taken_from_side(text) IS 'The snapshots that others took of an environment; from now on they are parents of the one that is being taken.';

-- merged: states of others that became part of this one; instead_of and like_state: a rollback or a restore went from
-- the one back to the other.
CREATE FUNCTION mastering.take_snapshot(env_name text, message text, tag text, merged text[] DEFAULT '{}', instead_of text DEFAULT NULL, like_state text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_in mastering.state := mastering.current_state(env_name);
    parents text[];
    at timestamptz := clock_timestamp();
    author text := mastering.caller();
    hash text;
BEGIN
    parents := mastering.taken_from_side(env_name);
    SELECT coalesce(array_agg(p.hash ORDER BY p.n), '{}') INTO parents
      FROM (SELECT u.hash, min(u.n) AS n FROM unnest(CASE WHEN instead_of IS NOT NULL THEN ARRAY[like_state] ELSE ARRAY[now_in.snapshot] || parents || merged END) WITH ORDINALITY u (hash, n)
             WHERE u.hash IS NOT NULL GROUP BY u.hash) p;
    hash := mastering.snapshot_hash(ROW(NULL, env_name, now_in.tree, now_in.bindings, now_in.data, now_in.versions, parents, message, tag, author, at, instead_of)::mastering.snapshot);
    INSERT INTO mastering.snapshot (hash, environment, tree, bindings, data, versions, parents, message, tag, author, created_at, undoes)
    VALUES (hash, env_name, now_in.tree, now_in.bindings, now_in.data, now_in.versions, parents, message, tag, author, at, instead_of);
    UPDATE mastering.configuration c SET snapshot = hash WHERE c.environment = env_name;
    RETURN hash;
END
$$;
COMMENT ON FUNCTION mastering.take_snapshot(text, text, text, text[], text, text) IS 'Freezes the state of an environment and returns the snapshot''s hash.';

-- Who reads a state, to copy or to merge it, does not take part in the writing of its environment and takes no lock.
CREATE FUNCTION mastering.snapshot_of(state mastering.state, message text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    at timestamptz := clock_timestamp();
    author text := mastering.caller();
    parents text[];
    hash text;
    tree jsonb := state.tree;    -- out of the composite once, and not for each snapshot that is looked at
    bindings jsonb := state.bindings;
    data jsonb := state.data;
    versions jsonb := state.versions;
BEGIN
    SELECT s.hash INTO hash FROM mastering.snapshot s
     WHERE s.hash = state.snapshot AND s.tree = work.tree AND s.bindings = work.bindings AND s.data = work.data AND s.versions = work.versions;
    IF hash IS NULL THEN
        SELECT s.hash INTO hash FROM mastering.snapshot s
         WHERE s.hash IN (SELECT x.hash FROM mastering.side_snapshot x WHERE x.environment = state.environment)
           AND s.tree = work.tree AND s.bindings = work.bindings AND s.data = work.data AND s.versions = work.versions
         ORDER BY s.created_at DESC LIMIT 1;
    END IF;
    IF hash IS NULL THEN
        parents := CASE WHEN state.snapshot IS NULL THEN '{}' ELSE ARRAY[state.snapshot] END || mastering.taken_from_side(state.environment);
        hash := mastering.snapshot_hash(ROW(NULL, state.environment, state.tree, state.bindings, state.data, state.versions, parents, message, NULL, author, at, NULL)::mastering.snapshot);
        INSERT INTO mastering.snapshot (hash, environment, tree, bindings, data, versions, parents, message, author, created_at)
        VALUES (hash, state.environment, state.tree, state.bindings, state.data, state.versions, parents, message, author, at);
        INSERT INTO mastering.side_snapshot (hash, environment) VALUES (hash, state.environment);
    END IF;
    RETURN hash;
END
$$;
COMMENT ON FUNCTION mastering.snapshot_of(mastering.state, text) IS 'The snapshot that holds a state; taken on the side where there is none yet.';

-- The hash that a snapshot must have.
CREATE FUNCTION mastering.snapshot_hash(s mastering.snapshot) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN mastering.json_hash(jsonb_build_object('environment', s.environment, 'tree', s.tree, 'bindings', s.bindings, 'data', s.data,
        'versions', s.versions, 'parents', to_jsonb(s.parents), 'message', s.message, 'tag', s.tag, 'author', s.author,
        'created_at', to_jsonb(extract(epoch FROM s.created_at))) || CASE WHEN s.undoes IS NULL THEN '{}' ELSE jsonb_build_object('undoes', s.undoes) END);
END
$$;
COMMENT ON FUNCTION mastering.snapshot_hash(mastering.snapshot) IS 'The hash that a snapshot must have.';

-- After a release or a rollback the state is frozen already; only what happened since needs another snapshot.
CREATE FUNCTION mastering.snapshot_before(env_name text, message text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last text := (SELECT s.hash FROM mastering.snapshot s, mastering.current_state(env_name) c
                   WHERE s.hash = c.snapshot AND s.environment = env_name AND s.tree = c.tree AND s.bindings = c.bindings AND s.data = c.data AND s.versions = c.versions);
BEGIN
    RETURN coalesce(last, mastering.take_snapshot(env_name, message, NULL));
END
$$;
COMMENT ON FUNCTION mastering.snapshot_before(text, text) IS 'A snapshot of the state that an environment is in: the last one where nothing changed since.';

CREATE FUNCTION mastering.do_snapshot(env_name text, message text, tag_name text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hash text;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'loader');
    IF tag_name !~ '^[^0-9@~#][^@~#]{0,99}$' THEN
        RAISE EXCEPTION 'invalid tag: "%"', tag_name USING ERRCODE = '42602', DETAIL = 'A tag has up to 100 characters, none of @ ~ #, and does not begin with a digit.';
    END IF;
    PERFORM mastering.lock_environment(env_name);
    IF EXISTS (SELECT FROM mastering.snapshot s WHERE s.environment = env_name AND s.tag = tag_name) THEN
        RAISE EXCEPTION 'environment "%" has a snapshot "%" already', env_name, tag_name USING ERRCODE = '42710';
    END IF;
    hash := mastering.take_snapshot(env_name, message, tag_name);
    PERFORM mastering.audit(env_name, 'snapshot', jsonb_strip_nulls(jsonb_build_object('snapshot', hash, 'tag', tag_name, 'message', message)));
    RETURN CASE WHEN tag_name IS NULL THEN '#' || left(hash, 12) ELSE env_name || '@' || tag_name END;
END
$$;
COMMENT ON FUNCTION mastering.do_snapshot(text, text, text) IS 'Behind snapshot.';

CREATE FUNCTION mastering.snapshot(env text, message text DEFAULT NULL, tag text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.snapshot(text, text, text) IS 'Freezes the state of an environment under a hash that covers all of it; returns its name.';

CREATE FUNCTION mastering.local_diff(a_name text, b_name text) RETURNS TABLE (path text, change text, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a mastering.state := mastering.resolve_state(a_name);
    b mastering.state := mastering.resolve_state(b_name);
BEGIN
    RETURN QUERY
    SELECT coalesce(x.key, y.key), CASE WHEN x.key IS NULL THEN 'added' WHEN y.key IS NULL THEN 'removed' ELSE 'changed' END, p.content, q.content
      FROM jsonb_each_text(a.tree) x FULL JOIN jsonb_each_text(b.tree) y ON y.key = x.key
      LEFT JOIN mastering.artifact p ON p.hash = x.value LEFT JOIN mastering.artifact q ON q.hash = y.value
     WHERE x.value IS DISTINCT FROM y.value ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.local_diff(text, text) IS 'Behind diff, of states that are here.';

CREATE FUNCTION mastering.diff(a text, b text) RETURNS TABLE (path text, change text, before jsonb, after jsonb)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.diff(text, text) IS 'The artifacts that differ between two states: what b has added, removed or changed against a.';

-- ---- views for people ------------------------------------------------------------------------------------------------

-- What an environment of the same name left behind that was dropped since is not for those of the new one.
CREATE FUNCTION mastering.do_visible(env_name text, made_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN mastering.role_may(mastering.caller(), env_name, '{author,curator,reviewer,loader}')
       AND (made_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = env_name)
            OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper));
END
$$;
COMMENT ON FUNCTION mastering.do_visible(text, timestamptz) IS 'Behind visible.';
CREATE FUNCTION mastering.visible(env text, made_at timestamptz) RETURNS boolean
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.visible(text, timestamptz) IS 'Whether the current user may see what was recorded about an environment at a time.';

CREATE VIEW mastering.environments WITH (security_barrier) AS
    SELECT e.name, e.promotes_from, e.owner, e.created_at, c.changed_at, '#' || left(c.snapshot, 12) AS snapshot,
           coalesce(i.known ->> 'head', left(mastering.json_hash(jsonb_build_object('tree', c.tree, 'bindings', c.bindings, 'versions', h.versions,
               'data', (SELECT coalesce(jsonb_object_agg(d.key, d.value - 'position'), '{}') FROM jsonb_each(c.data) d))), 12)) AS head,
           coalesce((i.known ->> 'entities')::bigint, (SELECT count(*) FROM jsonb_object_keys(c.tree) k WHERE k LIKE 'entity/%' AND k NOT LIKE 'entity/%/%')) AS entities
      FROM mastering.environment e JOIN mastering.configuration c ON c.environment = e.name JOIN mastering.head h ON h.environment = e.name LEFT JOIN mastering.stand_in i ON i.environment = e.name WHERE mastering.visible(e.name, e.created_at);
COMMENT ON VIEW mastering.environments IS 'The stages that the current user may see. head: the first digits of the hash of what a stage is now, or was when it was last seen where it lives in another database (remote_environments).';

CREATE VIEW mastering.snapshots WITH (security_barrier) AS
    SELECT s.environment, s.hash, s.tag, s.message, s.author, s.created_at, s.parents,
           (SELECT count(*) FROM jsonb_object_keys(s.tree)) AS artifacts
      FROM mastering.snapshot s WHERE mastering.visible(s.environment, s.created_at);
COMMENT ON VIEW mastering.snapshots IS 'The frozen states of the environments that the current user may see.';

CREATE VIEW mastering.releases WITH (security_barrier) AS
    SELECT r.release_id, r.kind, r.source, r.target, r.state, r.message, r.author, r.created_at, r.finished_at,
           r.proposal -> 'changes' AS changes, r.snapshot_before, r.snapshot_after, r.error ->> 'message' AS error, r.proposal -> 'recovery' AS recovery
      FROM mastering.release r WHERE mastering.visible(r.target, r.created_at);
COMMENT ON VIEW mastering.releases IS 'Promotions, rollbacks and restores, the failed ones too.';

CREATE VIEW mastering.audit_log WITH (security_barrier) AS
    SELECT a.environment, a.seq, a.at, a.session_role, a.role, a.client, a.action, a.detail, a.hash FROM mastering.audit_entry a WHERE mastering.visible(a.environment, a.at);
COMMENT ON VIEW mastering.audit_log IS 'What happened in an environment, by whom: session_role logged in, role called.';

CREATE VIEW mastering.check_results WITH (security_barrier) AS
    SELECT r.environment, r.release_id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.error, r.checked_at
      FROM mastering.check_result r WHERE mastering.visible(r.environment, r.checked_at);
COMMENT ON VIEW mastering.check_results IS 'What each check found; sample holds up to five of the rows.';
