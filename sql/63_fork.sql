-- 63_fork.sql: forks. A fork is an environment of its own that begins as what another is: the same artifacts, and a
-- head row that names the same segments, so that nothing is copied but the definitions of the views. Whoever may
-- not read what a fork is a copy of, may not read the fork: see role_may, reads_origin and revoke_from_copies.

-- ---- who reads a copy ------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.reads_origin(env_name text, role_name name, wide boolean) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = env_name)
        OR mastering.role_may(role_name, env_name, '{author,curator,reviewer,loader,consumer}',
                              CASE WHEN wide THEN '{author,curator,reviewer,loader}'::text[] ELSE '{author,curator,reviewer,loader,consumer}' END)
$$;
COMMENT ON FUNCTION mastering.reads_origin(text, name, boolean) IS 'Whether a role may read, golden records only or all, what an environment is a copy of; true for what is no copy.';

CREATE FUNCTION mastering.require_origin_reader(env_name text, role_name name, wide boolean) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin text;
BEGIN
    FOR origin IN WITH RECURSIVE o (name) AS (SELECT f.source FROM mastering.fork f WHERE f.environment = env_name
                       UNION SELECT f.source FROM o JOIN mastering.fork f ON f.environment = o.name) SELECT o.name FROM o LOOP
        IF NOT mastering.role_may(role_name, origin, CASE WHEN wide THEN '{author,curator,reviewer,loader}'::text[] ELSE '{author,curator,reviewer,loader,consumer}' END) THEN
            RAISE EXCEPTION 'role "%" may not read environment "%", of which "%" is a fork', role_name, origin, env_name
                USING ERRCODE = '42501', HINT = format('An admin of it can call: SELECT mastering.grant_role(%L, %L, %L)', origin, CASE WHEN wide THEN 'reviewer' ELSE 'consumer' END, role_name);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.require_origin_reader(text, name, boolean) IS 'Raises where an environment is a fork of something that a role may not read.';

CREATE FUNCTION mastering.revoke_from_copies(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    FOR item IN WITH RECURSIVE copy (name) AS (SELECT f.environment FROM mastering.fork f WHERE f.source = env_name
                    UNION SELECT f.environment FROM copy c JOIN mastering.fork f ON f.source = c.name)
                SELECT c.name AS environment, r.rolname AS role, bool_or(m.role <> 'consumer') AS wide
                  FROM copy c JOIN (SELECT x.environment, x.grantee, x.role FROM mastering.role_map x
                                    UNION ALL SELECT e.name, e.owner, 'admin' FROM mastering.environment e) m ON m.environment = c.name
                  JOIN pg_roles r ON r.rolname = m.grantee GROUP BY 1, 2 LOOP
        CONTINUE WHEN mastering.reads_origin(item.environment, item.role, item.wide);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I, %I FROM %I', item.environment, item.environment || '_next', item.role);
        EXECUTE format('REVOKE USAGE ON SCHEMA %I, %I FROM %I', item.environment, item.environment || '_next', item.role);
    END LOOP;
    -- A schema that its owner has renamed is known by whose views are in it.
    FOR item IN SELECT DISTINCT n.nspname AS schema_name, r.rolname AS role FROM mastering.snapshot_schema s JOIN mastering.environment e ON e.name = s.environment AND s.created_at >= e.created_at
                  JOIN pg_roles r ON r.rolname = s.reader JOIN pg_namespace n ON n.nspowner = r.oid
                 WHERE to_regnamespace(quote_ident(s.schema_name)) IS NULL AND NOT mastering.role_may(r.rolname, s.environment, '{author,curator,reviewer,loader}')
                   AND NOT EXISTS (SELECT FROM mastering.snapshot_schema x WHERE x.schema_name = n.nspname)
                   AND EXISTS (SELECT FROM pg_class v JOIN pg_extension x ON x.extname = 'mastering' AND x.extowner = v.relowner WHERE v.relnamespace = n.oid AND v.relkind = 'v') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', item.schema_name, item.role);
    END LOOP;
    FOR item IN SELECT s.schema_name, r.rolname AS role FROM mastering.snapshot_schema s JOIN pg_roles r ON r.rolname = s.reader JOIN mastering.environment e ON e.name = s.environment
                 WHERE (s.environment = env_name OR s.environment IN (
                            WITH RECURSIVE copy (name) AS (SELECT f.environment FROM mastering.fork f WHERE f.source = env_name
                                UNION SELECT f.environment FROM copy c JOIN mastering.fork f ON f.source = c.name) SELECT c.name FROM copy c))
                   AND to_regnamespace(quote_ident(s.schema_name)) IS NOT NULL AND s.created_at >= e.created_at
                   AND NOT mastering.role_may(r.rolname, s.environment, '{author,curator,reviewer,loader}') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', item.schema_name, item.role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.revoke_from_copies(text) IS 'Takes the views of an environment''s forks and snapshot schemas from those who may not read the environment any more.';

CREATE FUNCTION mastering.grant_copies(env_name text, role_name name) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.apply_grants(c.name)
      FROM (WITH RECURSIVE copy (name) AS (SELECT f.environment FROM mastering.fork f WHERE f.source = env_name
                UNION SELECT f.environment FROM copy c JOIN mastering.fork f ON f.source = c.name) SELECT c.name FROM copy c) c
     WHERE EXISTS (SELECT FROM (SELECT e.owner FROM mastering.environment e WHERE e.name = c.name UNION ALL SELECT m.grantee FROM mastering.role_map m WHERE m.environment = c.name) r (role)
                    JOIN pg_roles x ON x.rolname = r.role WHERE pg_has_role(x.oid, role_name, 'USAGE') AND NOT x.rolsuper)
$$;
COMMENT ON FUNCTION mastering.grant_copies(text, name) IS 'Gives the views of an environment''s forks back to those who may read the environment again.';

-- ---- making one ------------------------------------------------------------------------------------------------------

-- The views of a copy are those of the original under another name, so their definitions need not be made again.
CREATE FUNCTION mastering.copied_views(schema_name text, origin_name text, entities text[]) RETURNS TABLE (name text, definition text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    named text := 'mastering.in_version(''' || quote_ident(origin_name) || '.';
    renamed text := 'mastering.in_version(''' || quote_ident(schema_name) || '.';
    named_pairs text := format('mastering.scored_pairs(%L, ', origin_name);
    renamed_pairs text := format('mastering.scored_pairs(%L, ', schema_name);
BEGIN
    IF (origin_name || schema_name) ~ '[''\\]' THEN    -- as a literal they are written differently
        RETURN;
    END IF;
    RETURN QUERY
    SELECT v.view_name, replace(v.definition, c.before, c.after)
      FROM unnest(entities) e (name) CROSS JOIN unnest('{"",_members,_lineage,_history,_records,_pairs}'::text[]) k (suffix)
      JOIN mastering.environment_view v ON v.environment = origin_name AND v.view_name = e.name || k.suffix
     CROSS JOIN LATERAL (SELECT CASE k.suffix WHEN '_pairs' THEN named_pairs ELSE named END, CASE k.suffix WHEN '_pairs' THEN renamed_pairs ELSE renamed END) c (before, after)
     -- Nothing else in it, a name of a column, say, is to be taken for one.
     WHERE octet_length(v.definition) - octet_length(replace(v.definition, c.before, '')) = octet_length(c.before) * CASE k.suffix WHEN '_records' THEN 2 ELSE 1 END;
END
$$;
COMMENT ON FUNCTION mastering.copied_views(text, text, text[]) IS 'The definitions of the views of an environment for another schema; those that cannot be told that way are left out.';

CREATE FUNCTION mastering.copy_views(from_schema text, to_schema text, names text[]) RETURNS boolean
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_copy_views';
COMMENT ON FUNCTION mastering.copy_views(text, text, text[]) IS 'Makes the views of an environment for another one without their text; false where they have to be made from that, and none was made.';

-- All views of a schema that has none yet, in one go. like_name: an environment that is in this state, if there is one.
CREATE FUNCTION mastering.make_views(schema_name text, tree jsonb, versions jsonb, like_name text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    entities text[] := ARRAY(SELECT * FROM mastering.entities_of(tree));
    names text[];
    definitions text[];
    stores jsonb;
    compression text := current_setting('default_toast_compression');
    alike boolean := false;
BEGIN
    IF like_name IS NOT NULL THEN
        SELECT array_agg(c.name), array_agg(c.definition) INTO names, definitions FROM mastering.copied_views(schema_name, like_name, entities) c;
        alike := coalesce(cardinality(names), 0) = 6 * cardinality(entities);
    END IF;
    IF NOT alike THEN
        names := '{}';
        definitions := '{}';
        FOR item IN SELECT e.name, coalesce(mastering.artifact_at(versions -> e.name -> 'tree', mastering.path('entity', e.name)),
                                            mastering.artifact_at(tree, mastering.path('entity', e.name))) AS entity
                      FROM unnest(entities) e (name) LOOP
            SELECT jsonb_object_agg(k.kind, coalesce((versions -> (item.name || CASE k.kind WHEN 'golden' THEN '' ELSE '_' || k.kind END) ->> 'store')::int,
                                                     mastering.entity_store(k.kind, item.name, item.entity))) INTO stores
              FROM unnest('{records,members,golden,lineage,history}'::text[]) k (kind);
            names := names || ARRAY[item.name, item.name || '_members', item.name || '_lineage', item.name || '_history', item.name || '_records', item.name || '_pairs'];
            definitions := definitions || ARRAY[
                mastering.view_query(schema_name, item.name, item.entity, '', (stores ->> 'golden')::int),
                mastering.view_query(schema_name, item.name, item.entity, '_members', (stores ->> 'members')::int),
                mastering.view_query(schema_name, item.name, item.entity, '_lineage', (stores ->> 'lineage')::int),
                mastering.view_query(schema_name, item.name, item.entity, '_history', (stores ->> 'history')::int),
                mastering.view_query(schema_name, item.name, item.entity, '_records', (stores ->> 'records')::int, (stores ->> 'members')::int),
                mastering.pairs_query(schema_name, item.name)];
        END LOOP;
    END IF;
    IF cardinality(names) > 0 THEN
        -- A sixth of a view's making is the compression of its rule; lz4 takes next to none of that, where there is lz4.
        BEGIN
            PERFORM set_config('default_toast_compression', 'lz4', true);
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL;
        END;
        IF NOT alike OR NOT mastering.copy_views(like_name, schema_name, names) THEN
            EXECUTE (SELECT string_agg(format('CREATE VIEW %I.%I AS %s', schema_name, u.name, u.definition), ';') FROM unnest(names, definitions) u (name, definition));
        END IF;
        PERFORM set_config('default_toast_compression', compression, true);
        INSERT INTO mastering.environment_view (environment, view_name, definition) SELECT schema_name, u.name, u.definition FROM unnest(names, definitions) u (name, definition);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.make_views(text, jsonb, jsonb, text) IS 'Makes the views of all entities of a state in a schema that has none.';

-- A fork is made without the views of its _next schema; the first run that looks beyond its own entity makes them.
CREATE FUNCTION mastering.complete_next_views(env_name text, tree jsonb, versions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
    changed boolean := false;
BEGIN
    FOR entity_name IN SELECT e.name FROM mastering.entities_of(tree) e (name)
                        WHERE NOT EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = env_name || '_next' AND v.view_name = e.name) LOOP
        changed := mastering.sync_entity_views(env_name || '_next', entity_name, mastering.artifact_at(tree, mastering.path('entity', entity_name)), versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.complete_next_views(text, jsonb, jsonb) IS 'Makes the views that an environment''s _next schema lacks.';

CREATE FUNCTION mastering.do_fork_environment(state_name text, fork_name text, time_to_live interval, owner_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin mastering.state;
    live mastering.state;
    owner name;
    base text;
BEGIN
    PERFORM mastering.hold_space();
    origin := mastering.resolve_state(state_name);
    live := mastering.current_state(origin.environment);
    IF time_to_live <= interval '0' THEN
        RAISE EXCEPTION 'a fork cannot live for %', time_to_live USING ERRCODE = '22023', HINT = 'Write ttl => ''3 days'', or leave it out for a fork that does not expire.';
    END IF;
    -- What others wrote must not come to run as a superuser.
    SELECT CASE WHEN r.rolsuper THEN e.owner::name ELSE r.rolname END INTO owner
      FROM pg_roles r, mastering.environment e WHERE r.rolname = mastering.caller() AND e.name = origin.environment;
    owner := coalesce(owner_name, owner);
    PERFORM mastering.do_create_environment(fork_name, origin.environment, owner);
    base := mastering.snapshot_of(origin, 'forked as ' || fork_name);
    INSERT INTO mastering.fork (environment, source, base, expires_at, created_by)
    VALUES (fork_name, origin.environment, base, clock_timestamp() + time_to_live, mastering.caller());
    PERFORM mastering.require_origin_reader(fork_name, owner, true);
    UPDATE mastering.configuration c SET tree = origin.tree, bindings = origin.bindings, data = origin.data, snapshot = base WHERE c.environment = fork_name;
    UPDATE mastering.head h SET versions = origin.versions, generation = nextval('mastering.head_generation') WHERE h.environment = fork_name;
    -- Granted as they are made: one by one takes longer than making them.
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', fork_name, owner);
    PERFORM mastering.make_views(fork_name, origin.tree, origin.versions, CASE WHEN origin.versions = live.versions AND origin.tree = live.tree THEN origin.environment END);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE SELECT ON TABLES FROM %I', fork_name, owner);
    PERFORM mastering.merge_curation(origin.environment, fork_name);
    PERFORM mastering.audit(fork_name, 'fork', jsonb_strip_nulls(jsonb_build_object('source', origin.environment, 'base', base, 'ttl', time_to_live)));
END
$$;
COMMENT ON FUNCTION mastering.do_fork_environment(text, text, interval, name) IS 'Behind fork_environment.';

CREATE FUNCTION mastering.fork_environment(source text, name text, ttl interval DEFAULT NULL, owner name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.fork_environment(text, text, interval, name) IS 'A copy of an environment, or of any state, that shares all data with it and belongs to its maker alone: promote(fork, source) merges it back. ttl: how long it is wanted.';

CREATE FUNCTION mastering.do_extend_fork(fork_name text, time_to_live interval) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(fork_name, 'admin');
    IF time_to_live <= interval '0' THEN
        RAISE EXCEPTION 'a fork cannot live for %', time_to_live USING ERRCODE = '22023', HINT = format('SELECT mastering.drop_environment(%L)', fork_name);
    END IF;
    PERFORM mastering.lock_environment(fork_name);
    UPDATE mastering.fork f SET expires_at = clock_timestamp() + time_to_live WHERE f.environment = fork_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" is not a fork', fork_name USING ERRCODE = '42809';
    END IF;
    PERFORM mastering.audit(fork_name, 'extend fork', jsonb_strip_nulls(jsonb_build_object('ttl', time_to_live)));
END
$$;
COMMENT ON FUNCTION mastering.do_extend_fork(text, interval) IS 'Behind extend_fork.';

CREATE FUNCTION mastering.extend_fork(fork text, ttl interval DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.extend_fork(text, interval) IS 'Lets a fork live for this long from now, or without end.';

-- ---- dropping those that are not wanted any more -----------------------------------------------------------------------

-- Some at a time: each takes a lock for each of its views. One that is in use is left for the next call.
CREATE FUNCTION mastering.drop_forks(expired_only boolean, by_caller boolean, dry_run boolean, at_most int)
RETURNS TABLE (fork text, source text, owner text, expires_at timestamptz, dropped boolean, reason text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    left_to_drop int := at_most;
    was_last mastering.environment;
BEGIN
    FOR fork, source, owner, expires_at IN
        SELECT f.environment, f.source, e.owner, f.expires_at FROM mastering.fork f JOIN mastering.environment e ON e.name = f.environment
         WHERE (NOT expired_only OR f.expires_at <= clock_timestamp())
           AND (NOT by_caller OR mastering.may(f.environment, 'admin') OR mastering.may(f.source, 'admin'))
         ORDER BY f.expires_at, f.environment DESC LOOP
        dropped := false;
        reason := NULL;
        IF left_to_drop <= 0 THEN
            reason := 'left for the next call';
        ELSIF NOT dry_run THEN
            BEGIN
                PERFORM set_config('lock_timeout', '100ms', true);
                PERFORM mastering.drop_environment_now(fork);
                dropped := true;
            EXCEPTION WHEN lock_not_available OR dependent_objects_still_exist OR deadlock_detected THEN
                reason := SQLERRM;
            END;
            PERFORM set_config('lock_timeout', patience, true);
        END IF;
        left_to_drop := left_to_drop - 1;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.drop_forks(boolean, boolean, boolean, int) IS 'Drops forks that have expired, all or those that the caller may drop; what is in use or has something depending on it is left.';

CREATE FUNCTION mastering.do_drop_expired_forks(dry_run boolean, at_most int)
RETURNS TABLE (fork text, source text, owner text, expires_at timestamptz, dropped boolean, reason text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Memberships in roles come and go without our being asked.
    PERFORM mastering.revoke_from_copies(o.source) FROM (SELECT DISTINCT f.source FROM mastering.fork f UNION SELECT s.environment FROM mastering.snapshot_schema s) o (source)
      WHERE mastering.may(o.source, 'admin') AND NOT coalesce(dry_run, false);
    RETURN QUERY SELECT * FROM mastering.drop_forks(true, true, coalesce(dry_run, false), coalesce(at_most, 20));
END
$$;
COMMENT ON FUNCTION mastering.do_drop_expired_forks(boolean, int) IS 'Behind drop_expired_forks.';

CREATE FUNCTION mastering.drop_expired_forks(dry_run boolean DEFAULT false, at_most int DEFAULT 20)
RETURNS TABLE (fork text, source text, owner text, expires_at timestamptz, dropped boolean, reason text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_expired_forks(boolean, int) IS 'Drops the expired forks that are the caller''s, or of environments that the caller is admin of, up to 20 a call; says which were left and why.';

CREATE VIEW mastering.forks WITH (security_barrier) AS
    SELECT f.environment AS name, f.source, '#' || left(f.base, 12) AS base, e.owner, f.created_by, f.created_at, f.expires_at, coalesce(f.expires_at <= clock_timestamp(), false) AS expired
      FROM mastering.fork f JOIN mastering.environment e ON e.name = f.environment
     WHERE mastering.visible(f.environment, f.created_at) OR mastering.visible(f.source, f.created_at);
COMMENT ON VIEW mastering.forks IS 'The forks that the current user may see: one''s own and those of environments that one works in.';
GRANT SELECT ON mastering.forks TO PUBLIC;
