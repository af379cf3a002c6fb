-- 54_environment.sql: environments and the roles in them.

CREATE FUNCTION mastering.do_create_environment(new_name text, from_name text, owner_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner name := coalesce(owner_name, mastering.caller());
BEGIN
    IF NOT has_database_privilege(mastering.caller(), current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create an environment'
            USING ERRCODE = '42501', DETAIL = format('Role "%s" may not create schemas in this database.', mastering.caller());
    END IF;
    IF new_name IS NULL OR new_name = '' OR octet_length(new_name) > 58 OR new_name ~ '[@~#/]' OR new_name ~ '_next$' OR new_name ~ '^pg_' THEN
        RAISE EXCEPTION 'invalid name of an environment: "%"', new_name
            USING ERRCODE = '42602', DETAIL = 'It has 1 to 58 bytes, none of @ ~ # /, does not begin with pg_ and does not end in _next.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = owner) THEN
        RAISE EXCEPTION 'role "%" does not exist', owner USING ERRCODE = '42704';
    END IF;
    IF NOT pg_has_role(mastering.caller(), owner, 'MEMBER') THEN
        RAISE EXCEPTION 'role "%" is not a member of role "%"', mastering.caller(), owner USING ERRCODE = '42501';
    END IF;
    IF from_name IS NOT NULL THEN
        PERFORM mastering.require(from_name, 'author', 'curator', 'reviewer', 'loader');
    END IF;
    INSERT INTO mastering.environment (name, promotes_from, owner, created_by) VALUES (new_name, from_name, owner, mastering.caller());
    INSERT INTO mastering.configuration (environment) VALUES (new_name);
    PERFORM mastering.create_head(new_name, 'anchor_' || left(mastering.text_hash(new_name), 32));
    PERFORM mastering.create_head(new_name || '_next', 'anchor_' || left(mastering.text_hash(new_name || '_next'), 32));
    EXECUTE format('CREATE SCHEMA %I', new_name);
    EXECUTE format('CREATE SCHEMA %I', new_name || '_next');
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', new_name, 'Environment of the extension mastering');
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', new_name || '_next', 'What environment ' || new_name || ' is going to be: runs and releases in preparation');
    EXECUTE format('GRANT USAGE ON SCHEMA %I, %I TO %I', new_name, new_name || '_next', owner);    -- as apply_grants() would: there is no view and no other role yet
    PERFORM mastering.share_landed_around(new_name);
    PERFORM mastering.audit(new_name, 'create environment', jsonb_build_object('promotes_from', from_name, 'owner', owner));
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'environment "%" already exists', new_name USING ERRCODE = '42710';
END
$$;
COMMENT ON FUNCTION mastering.do_create_environment(text, text, name) IS 'Behind create_environment.';

-- Behind it: 78_remote.sql, which comes here unless a server is named.
CREATE FUNCTION mastering.create_environment(name text, promotes_from text DEFAULT NULL, owner name DEFAULT NULL, server name DEFAULT NULL, name_there text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.create_environment(text, text, name, name, text) IS 'Makes a stage: its schema, its head, its owner (the caller where none is given). promotes_from: the stage that changes come from. server: the foreign server in whose database the stage lives, under name_there where that is another name; it is made there unless it exists.';

CREATE FUNCTION mastering.do_alter_environment(env_name text, owner_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_owner text;
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    IF owner_name IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = owner_name) THEN
        RAISE EXCEPTION 'role "%" does not exist', owner_name USING ERRCODE = '42704';
    END IF;
    IF NOT pg_has_role(mastering.caller(), owner_name, 'MEMBER') THEN
        RAISE EXCEPTION 'role "%" is not a member of role "%"', mastering.caller(), owner_name USING ERRCODE = '42501';
    END IF;
    PERFORM mastering.require_origin_reader(env_name, owner_name, true);
    PERFORM mastering.lock_environment(env_name);
    SELECT e.owner INTO old_owner FROM mastering.environment e WHERE e.name = env_name;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = old_owner) THEN    -- the role map's grants come back below
        PERFORM mastering.revoke_views(env_name, old_owner);
    END IF;
    UPDATE mastering.environment e SET owner = owner_name WHERE e.name = env_name;
    PERFORM mastering.apply_grants(env_name);
    PERFORM mastering.share_landed_around(env_name);
    PERFORM mastering.revoke_from_copies(env_name);
    PERFORM mastering.audit(env_name, 'alter environment', jsonb_build_object('owner', owner_name));
END
$$;
COMMENT ON FUNCTION mastering.do_alter_environment(text, name) IS 'Behind alter_environment.';

CREATE FUNCTION mastering.alter_environment(env text, owner name) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.alter_environment(text, name) IS 'Gives an environment another owner: the role whose rights the SQL text of its artifacts runs with.';

CREATE FUNCTION mastering.drop_environment_now(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    follower text;
    views text;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT e.name INTO follower FROM mastering.environment e WHERE e.promotes_from = env_name LIMIT 1;
    IF FOUND THEN
        IF EXISTS (SELECT FROM mastering.fork f WHERE f.environment = follower) THEN
            RAISE EXCEPTION 'environment "%" cannot be dropped because "%" is a fork of it', env_name, follower
                USING ERRCODE = '2BP01', HINT = format('SELECT name, owner, expires_at FROM mastering.forks WHERE source = %L', env_name);
        END IF;
        RAISE EXCEPTION 'environment "%" cannot be dropped because "%" is promoted from it', env_name, follower USING ERRCODE = '2BP01';
    END IF;
    PERFORM mastering.remove_candidate(c.environment, c.name) FROM mastering.candidate c WHERE c.environment = env_name;
    -- What is named goes without a word; of what somebody built on it a NOTICE tells.
    SELECT string_agg(format('%I.%I', v.environment, v.view_name), ', ' ORDER BY v.view_name COLLATE "C") INTO views FROM mastering.environment_view v WHERE v.environment = env_name || '_next';
    IF views IS NOT NULL THEN
        EXECUTE 'DROP VIEW ' || views || ' CASCADE';
    END IF;
    EXECUTE format('DROP SCHEMA %I CASCADE', env_name || '_next');
    -- Only what the extension made in the schema goes without a word; what depends on it or was added stops it.
    PERFORM mastering.drop_views(env_name);
    EXECUTE format('DROP SCHEMA %I RESTRICT', env_name);
    EXECUTE (SELECT string_agg(format('DROP TABLE mastering.%I', h.anchor), ';') FROM mastering.head h WHERE h.environment IN (env_name, env_name || '_next'));
    DELETE FROM mastering.head h WHERE h.environment IN (env_name, env_name || '_next');
    DELETE FROM mastering.environment_view v WHERE v.environment IN (env_name, env_name || '_next');
    DELETE FROM mastering.role_map m WHERE m.environment = env_name;
    DELETE FROM mastering.fork f WHERE f.environment = env_name;
    DELETE FROM mastering.left_out l WHERE env_name IN (l.source, l.target);
    DELETE FROM mastering.side_snapshot s WHERE s.environment = env_name;
    DELETE FROM mastering.curation c WHERE c.environment = env_name;
    DELETE FROM mastering.policy p WHERE p.environment = env_name;
    DELETE FROM mastering.label l WHERE l.environment = env_name;
    DELETE FROM mastering.label_queue q WHERE q.environment = env_name;
    DELETE FROM mastering.source_loading l WHERE l.environment = env_name;
    DELETE FROM mastering.keep_up_stop k WHERE k.environment = env_name;
    DELETE FROM mastering.configuration c WHERE c.environment = env_name;
    DELETE FROM mastering.environment e WHERE e.name = env_name;
    PERFORM mastering.audit(env_name, 'drop environment', '{}');
END
$$;
COMMENT ON FUNCTION mastering.drop_environment_now(text) IS 'Drops an environment; whoever calls it has checked who asks.';

-- Behind it: 78_remote.sql.
CREATE FUNCTION mastering.drop_environment(env text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_environment(text) IS 'Drops an environment and its views; refused where something depends on them. Its snapshots and its log stay.';

-- Consumers read golden records; the others everything of their environment, and what it is going to be.
CREATE FUNCTION mastering.apply_grants(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reader record;
    target record;
BEGIN
    FOR reader IN SELECT r.rolname AS role, bool_or(m.role <> 'consumer') AS wide
                    FROM (SELECT m.grantee, m.role FROM mastering.role_map m WHERE m.environment = env_name
                          UNION ALL SELECT e.owner, 'admin' FROM mastering.environment e WHERE e.name = env_name) m
                    JOIN pg_roles r ON r.rolname = m.grantee GROUP BY r.rolname LOOP
        CONTINUE WHEN NOT mastering.reads_origin(env_name, reader.role, reader.wide);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', env_name, reader.role);
        IF reader.wide THEN
            EXECUTE (SELECT string_agg(format('GRANT USAGE ON SCHEMA %I TO %I', s, reader.role), ';') FROM mastering.schemas_of(env_name) s);
        END IF;
        FOR target IN SELECT v.environment, v.view_name FROM mastering.environment_view v
                       WHERE v.environment = ANY (ARRAY(SELECT mastering.schemas_of(env_name)))
                         AND (reader.wide OR v.environment = env_name AND v.view_name !~ '_(records|members|lineage|pairs|history)$') LOOP
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', target.environment, target.view_name, reader.role);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.apply_grants(text) IS 'Grants the views of an environment by its role map.';

CREATE FUNCTION mastering.do_grant_role(env_name text, role_name text, grantee_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    IF role_name IS NULL OR role_name NOT IN ('admin', 'author', 'curator', 'reviewer', 'consumer', 'loader') THEN
        RAISE EXCEPTION 'unknown role of an environment: "%"', role_name
            USING ERRCODE = '22023', HINT = 'The roles are admin, author, curator, reviewer, consumer and loader.';
    END IF;
    IF grantee_name IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grantee_name) THEN
        RAISE EXCEPTION 'role "%" does not exist', grantee_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.require_origin_reader(env_name, grantee_name, role_name <> 'consumer');
    INSERT INTO mastering.role_map (environment, role, grantee) VALUES (env_name, role_name, grantee_name) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM mastering.apply_grants(env_name);
        PERFORM mastering.grant_copies(env_name, grantee_name);
        PERFORM mastering.audit(env_name, 'grant role', jsonb_build_object('role', role_name, 'grantee', grantee_name));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_grant_role(text, text, name) IS 'Behind grant_role.';

CREATE FUNCTION mastering.grant_role(env text, role text, grantee name) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.grant_role(text, text, name) IS 'Gives a PostgreSQL role a role in an environment: admin, author, curator, reviewer, consumer or loader.';

CREATE FUNCTION mastering.do_revoke_role(env_name text, role_name text, grantee_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    DELETE FROM mastering.role_map m WHERE m.environment = env_name AND m.role = role_name AND m.grantee = grantee_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" is not % in environment "%"', grantee_name, role_name, env_name USING ERRCODE = '42704';
    END IF;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grantee_name) THEN
        PERFORM mastering.revoke_views(env_name, grantee_name);
    END IF;
    PERFORM mastering.apply_grants(env_name);
    PERFORM mastering.revoke_from_copies(env_name);
    PERFORM mastering.audit(env_name, 'revoke role', jsonb_build_object('role', role_name, 'grantee', grantee_name));
END
$$;
COMMENT ON FUNCTION mastering.do_revoke_role(text, text, name) IS 'Behind revoke_role.';

CREATE FUNCTION mastering.revoke_role(env text, role text, grantee name) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.revoke_role(text, text, name) IS 'Takes a role in an environment away.';
