-- 53_access.sql: who calls, what they may do, and what the log says about it.
--
-- A public function of this layer is declared in C (mastering_guard) and stands before a do_ function of the same
-- arguments, which runs with the rights of the extension's owner and asks caller() who called; see
-- src/storage/guard.c. The do_ functions and everything internal are executable by the owner only (99_grants.sql).

CREATE FUNCTION mastering.caller() RETURNS name
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'mastering_caller';
COMMENT ON FUNCTION mastering.caller() IS 'The role that called the environment function that is running.';

CREATE FUNCTION mastering.query_as(role name, query text, search_path text, trusted boolean) RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 100000 AS 'MODULE_PATHNAME', 'mastering_query_as';
COMMENT ON FUNCTION mastering.query_as(name, text, text, boolean) IS 'The rows of a SELECT run with the rights of a role, read-only; volatile functions are refused unless the text is our own (trusted).';

CREATE FUNCTION mastering.query_dependencies(role name, query text, search_path text, OUT kind text, OUT object oid) RETURNS SETOF record
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_query_dependencies';
COMMENT ON FUNCTION mastering.query_dependencies(name, text, text) IS 'What a query rests on, analyzed with the rights of a role: a row for each relation it names, for each function that is not immutable, and one of kind session where it asks who or when.';

-- Stable functions of PostgreSQL's own that look at nothing but their arguments and at settings that are pinned
-- wherever an artifact's text runs: the input and output of types, operators, casts, and these by name.
CREATE FUNCTION mastering.is_settled(function_oid oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_proc p WHERE p.oid = function_oid AND p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile = 's'
                      AND (EXISTS (SELECT FROM pg_type t WHERE function_oid IN (t.typinput, t.typoutput)) OR EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = function_oid)
                           OR EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = function_oid)
                           OR p.proname IN ('to_char', 'to_date', 'to_timestamp', 'to_number', 'concat', 'concat_ws', 'format', 'date_trunc', 'date_part', 'extract', 'timezone',
                                            'array_to_string', 'string_to_array', 'array_to_json', 'row_to_json', 'to_json', 'to_jsonb', 'json_build_object', 'jsonb_build_object',
                                            'json_build_array', 'jsonb_build_array', 'json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg', 'count', 'quote_literal', 'quote_nullable')))
$$;
COMMENT ON FUNCTION mastering.is_settled(oid) IS 'Whether a stable function gives one result for one argument, whoever asks and whenever.';

-- Whether the result of a text hangs on nothing but the views of one schema and on what is written in it. The owner of an
-- environment is part of the key of what is made by any other text, so that nobody gets what another was allowed to read.
CREATE FUNCTION mastering.is_reproducible(role name, query text, search_path text, schema_name text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM mastering.query_dependencies(role, query, search_path) d
                        WHERE CASE d.kind WHEN 'relation' THEN NOT EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = schema_name
                                                                            AND to_regclass(format('%I.%I', v.environment, v.view_name)) = d.object)
                                          WHEN 'function' THEN NOT mastering.is_settled(d.object)
                                          ELSE true END);
EXCEPTION WHEN OTHERS THEN    -- whoever runs it will say what is wrong with it
    RETURN false;
END
$$;
COMMENT ON FUNCTION mastering.is_reproducible(name, text, text, text) IS 'Whether a query gives one result on one state of a schema''s views.';

-- In a fork nobody may do anything who may not read what it is a copy of.
-- PL/pgSQL, which keeps its plans: views of the catalog ask this for each of their rows.
CREATE FUNCTION mastering.role_may(role_name name, environment text, roles text[], origin_roles text[] DEFAULT '{author,curator,reviewer,loader}') RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := environment;
    allowed text[] := roles;
BEGIN
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_name AND r.rolsuper) THEN
        RETURN true;
    END IF;
    LOOP
        IF NOT EXISTS (SELECT FROM mastering.environment e JOIN pg_roles r ON r.rolname = e.owner WHERE e.name = place AND pg_has_role(role_name, r.oid, 'USAGE'))
           AND NOT EXISTS (SELECT FROM mastering.role_map m JOIN pg_roles r ON r.rolname = m.grantee
                            WHERE m.environment = place AND (m.role = ANY (allowed) OR m.role = 'admin') AND pg_has_role(role_name, r.oid, 'USAGE')) THEN
            RETURN false;
        END IF;
        SELECT f.source INTO place FROM mastering.fork f WHERE f.environment = place;
        IF place IS NULL THEN
            RETURN true;
        END IF;
        allowed := origin_roles;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.role_may(name, text, text[], text[]) IS 'Whether a role has one of these roles in an environment, and where that is a fork, one of the others in all that it is a copy of; owners, admins and superusers have all.';

CREATE FUNCTION mastering.may(environment text, VARIADIC roles text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.role_may(mastering.caller(), environment, roles) $$;
COMMENT ON FUNCTION mastering.may(text, text[]) IS 'Whether the caller has one of these roles in an environment; its owner, its admins and superusers have all.';

CREATE FUNCTION mastering.require(environment text, VARIADIC roles text[]) RETURNS mastering.environment
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit mastering.environment;
BEGIN
    SELECT * INTO hit FROM mastering.environment e WHERE e.name = environment;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" does not exist', environment
            USING ERRCODE = '42704', HINT = 'SELECT name FROM mastering.environments lists those that do.';
    END IF;
    IF NOT mastering.may(environment, VARIADIC roles) THEN
        RAISE EXCEPTION 'permission denied for environment "%"', environment
            USING ERRCODE = '42501',
                  DETAIL = format('Role "%s" is none of: %s.', mastering.caller(),
                                  array_to_string(ARRAY(SELECT DISTINCT r FROM unnest(roles || 'admin'::text) r ORDER BY r), ', ')),
                  HINT = format('An admin of it can call: SELECT mastering.grant_role(%L, %L, %L)', environment,    -- the least that will do
                                (SELECT r.role FROM unnest('{consumer,reviewer,loader,curator,author,admin}'::text[]) WITH ORDINALITY r (role, n)
                                  WHERE r.role = ANY (roles || 'admin'::text) ORDER BY r.n LIMIT 1), mastering.caller());
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.require(text, text[]) IS 'The environment, if the caller has one of these roles in it; an error otherwise.';

-- Text that a non-superuser writes must not come to run as a superuser.
CREATE FUNCTION mastering.require_author(environment text) RETURNS mastering.environment
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit mastering.environment := mastering.require(environment, 'author');
BEGIN
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = hit.owner AND r.rolsuper)
       AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper) THEN
        RAISE EXCEPTION 'environment "%" belongs to a superuser, so only a superuser may write SQL for it', environment
            USING ERRCODE = '42501', DETAIL = format('The SQL text of its artifacts would run as "%s".', hit.owner),
                  HINT = format('Let it belong to another role: SELECT mastering.alter_environment(%L, owner => %L)', environment, mastering.caller());
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.require_author(text) IS 'The environment, if the caller may write artifacts whose SQL text runs as its owner.';

CREATE FUNCTION mastering.audit(environment text, action text, detail jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO mastering.audit_pending (environment, role, action, detail)
    VALUES (environment, mastering.caller(), action, detail);
END
$$;
COMMENT ON FUNCTION mastering.audit(text, text, jsonb) IS 'Adds an entry to an environment''s log at the end of the transaction.';

-- Whoever writes holds what it finds in the catalog against garbage collection, which waits for nobody and is short.
CREATE FUNCTION mastering.hold_space() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '10 s';
BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared(hashtext('mastering.space'), 0) LOOP
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'space is being freed by another session'
                USING ERRCODE = '55P03', HINT = 'Try again when gc or erase has finished; pg_locks shows its session as the holder of an advisory lock.';
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
    -- A snapshot from before a collection would show what is gone.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM mastering.space_change FOR SHARE;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.hold_space() IS 'Keeps garbage collection away to the end of the transaction; 40001 where the transaction''s snapshot is older than the last one.';

-- Writers of one environment take turns. Whoever finds another at work does not wait in the dark.
CREATE FUNCTION mastering.lock_environment(environment text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.refuse_stand_in(environment);    -- what lives in another database is changed there
    PERFORM mastering.take_lock(environment);
END
$$;
COMMENT ON FUNCTION mastering.lock_environment(text) IS 'Takes the environment''s lock to the end of the transaction, or raises 55P03.';

CREATE FUNCTION mastering.take_lock(environment text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.hold_space();
    IF NOT pg_try_advisory_xact_lock(hashtext('mastering.environment'), hashtext(environment)) THEN
        RAISE EXCEPTION 'environment "%" is being changed by another session', environment
            USING ERRCODE = '55P03', HINT = 'Try again when that session has finished; pg_locks shows it as the holder of an advisory lock.';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.take_lock(text) IS 'Takes an environment''s lock, or raises 55P03, whichever database it lives in.';

CREATE FUNCTION mastering.configuration_of(environment text) RETURNS mastering.configuration
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT c FROM mastering.configuration c WHERE c.environment = configuration_of.environment);
END
$$;
COMMENT ON FUNCTION mastering.configuration_of(text) IS 'The row of an environment''s configuration.';

CREATE FUNCTION mastering.path(VARIADIC steps text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF strpos(array_to_string(steps, ''), '/') = 0 AND strpos(array_to_string(steps, ''), '~') = 0 AND array_position(steps, NULL) IS NULL THEN
        RETURN array_to_string(steps, '/');
    END IF;
    RETURN (SELECT string_agg(replace(replace(s, '~', '~0'), '/', '~1'), '/' ORDER BY n) FROM unnest(steps) WITH ORDINALITY u (s, n));
END
$$;
COMMENT ON FUNCTION mastering.path(text[]) IS 'A path of the tree from its steps, / and ~ in a step written ~1 and ~0.';

CREATE FUNCTION mastering.step(path text, n int) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN replace(replace(split_part(path, '/', n), '~1', '/'), '~0', '~');
END
$$;
COMMENT ON FUNCTION mastering.step(text, int) IS 'The n-th step of a path.';

CREATE FUNCTION mastering.artifact_at(tree jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT a.content FROM mastering.artifact a WHERE a.hash = tree ->> path);
END
$$;
COMMENT ON FUNCTION mastering.artifact_at(jsonb, text) IS 'The document at a path of a tree; NULL where there is none.';

CREATE FUNCTION mastering.set_artifact(environment text, path text, content jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_hash text := mastering.json_hash(content);
    old_hash text;
BEGIN
    PERFORM mastering.lock_environment(environment);
    SELECT c.tree ->> path INTO old_hash FROM mastering.configuration c WHERE c.environment = set_artifact.environment;
    IF old_hash IS NOT DISTINCT FROM new_hash THEN
        RETURN new_hash;
    END IF;
    PERFORM mastering.require_direct_change(environment, path);
    IF mastering.is_marked(content) AND NOT mastering.has_masked_data((mastering.configuration_of(environment)).data, mastering.step(path, 2)) THEN
        PERFORM mastering.refuse_marked(environment, path);
    END IF;
    IF content IS NOT NULL THEN
        INSERT INTO mastering.artifact (hash, content) VALUES (new_hash, content) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE mastering.configuration c
       SET tree = CASE WHEN content IS NULL THEN c.tree - path ELSE c.tree || jsonb_build_object(path, new_hash) END, changed_at = now()
     WHERE c.environment = set_artifact.environment;
    PERFORM mastering.audit(environment, 'configure', jsonb_build_object('path', path, 'before', old_hash, 'after', new_hash));
    RETURN new_hash;
END
$$;
COMMENT ON FUNCTION mastering.set_artifact(text, text, jsonb) IS 'Puts a document at a path of an environment''s tree, or removes it (NULL); logged.';
