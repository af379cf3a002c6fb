-- 78_remote.sql: environments that live in another database, of this server or of another one.
--
-- Such an environment has a stand-in in each of the two databases:
--
--     here: test --promotes to--> prod (stand-in, by server s)     there: test (stand-in) --promotes to--> prod
--
-- The stand-in here says where prod lives, who may use it from here, and what was seen of it. The stand-in there holds
-- what was sent to it, as a history of its own; from there prod is promoted like any other stage, by the functions of
-- 62_promotion.sql, its own policies, gates and approvals, and the rights of the role that the user mapping names.
-- So nothing of a promotion is written twice: what crosses is a bundle of artifacts, a request and its answer.
--
-- The connection is dblink's: optional, found through pg_extension, and called with the rights of the *caller*, so that
-- it is the caller's right on the foreign server and the caller's user mapping that count, and never those of the
-- extension's owner (query_as, src/storage/run_as.c). A connection has a name that nobody can guess and ends with the
-- call that opened it. Passwords are in user mappings or with libpq; nothing of them is read here.

CREATE FUNCTION mastering.refuse_stand_in(env_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
BEGIN
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    IF stand.server IS NOT NULL THEN
        RAISE EXCEPTION 'environment "%" lives in another database', env_name
            USING ERRCODE = '55000', DETAIL = format('It is "%s" in the database of server "%s".', stand.name_there, stand.server),
                  HINT = 'From here it is planned, promoted and rolled back; for all else connect to that database.';
    ELSIF stand.environment IS NOT NULL THEN
        RAISE EXCEPTION 'environment "%" lives in another database', env_name
            USING ERRCODE = '55000', DETAIL = format('It is "%s" in database "%s", which sends it here.', stand.name_there, stand.origin ->> 'database'), HINT = 'Change it there.';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.refuse_stand_in(text) IS 'Raises where an environment is only the stand-in of one in another database.';

CREATE FUNCTION mastering.remote_server(env_name text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN (SELECT s.server FROM mastering.stand_in s WHERE s.environment = env_name); END $$;
COMMENT ON FUNCTION mastering.remote_server(text) IS 'The server that an environment is reached by; NULL where it is here.';

CREATE FUNCTION mastering.environment_of(state_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN state_name ~ '@' THEN split_part(state_name, '@', 1) ELSE regexp_replace(state_name, '~[1-9][0-9]{0,5}$', '') END
$$;
COMMENT ON FUNCTION mastering.environment_of(text) IS 'The environment in the name of a state.';

-- ---- the connection ------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.dblink_function(function_name text, arguments text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit text;
BEGIN
    SELECT format('%I.%I', n.nspname, p.proname) INTO hit
      FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
      JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE e.extname = 'dblink' AND p.proname = function_name AND oidvectortypes(p.proargtypes) = arguments;
    IF hit IS NULL THEN
        RAISE EXCEPTION 'extension dblink is not installed in this database'
            USING ERRCODE = '55000', DETAIL = 'Environments in other databases are reached through it.',
                  HINT = 'A superuser can call: CREATE EXTENSION dblink; it comes with PostgreSQL''s contrib modules, and may be in any schema.';
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.dblink_function(text, text) IS 'The qualified name of a function of the extension dblink.';

-- All of dblink is called here, as whoever called the door: arguments are literals of ours, the functions are dblink's own.
CREATE FUNCTION mastering.dblink_call(function_name text, arguments text[], is_set boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    call text := format('%s(%s)', mastering.dblink_function(function_name, rtrim(repeat('text, ', cardinality(arguments)), ', ')),
                        (SELECT string_agg(format('%L::pg_catalog.text', a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY u (a, n)));
    answer text;
BEGIN
    SELECT t.answer INTO answer
      FROM mastering.query_as(mastering.caller(), CASE WHEN is_set THEN format('SELECT r.answer FROM %s AS r (answer pg_catalog.text)', call) ELSE format('SELECT (%s)::pg_catalog.text', call) END,
                              'pg_catalog, pg_temp', true) AS t (answer text);
    RETURN answer;
END
$$;
COMMENT ON FUNCTION mastering.dblink_call(text, text[], boolean) IS 'Calls a function of dblink with the rights of the caller.';

-- Asynchronously, so that a cancel is heard; dblink itself waits deaf.
CREATE FUNCTION mastering.remote_ask(connection text, statement text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer text;
    pause float8 := 0.0005;
BEGIN
    IF mastering.dblink_call('dblink_send_query', ARRAY[connection, statement]) <> '1' THEN
        RAISE EXCEPTION 'the connection to the other database is gone' USING ERRCODE = '08006';
    END IF;
    WHILE mastering.dblink_call('dblink_is_busy', ARRAY[connection]) <> '0' LOOP
        PERFORM pg_sleep(pause);
        pause := least(pause * 1.5, 0.1);
    END LOOP;
    answer := mastering.dblink_call('dblink_get_result', ARRAY[connection], true);
    PERFORM mastering.dblink_call('dblink_get_result', ARRAY[connection], true);    -- the end of the results
    RETURN answer;
END
$$;
COMMENT ON FUNCTION mastering.remote_ask(text, text) IS 'Runs one statement of one column at most over a connection and returns its first value.';

CREATE FUNCTION mastering.remote_disconnect(connection text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.dblink_call('dblink_disconnect', ARRAY[connection]);
EXCEPTION WHEN OTHERS THEN    -- there is none any more
    NULL;
END
$$;
COMMENT ON FUNCTION mastering.remote_disconnect(text) IS 'Ends a connection; what it had not committed is undone there.';

CREATE FUNCTION mastering.remote_connect(stand mastering.stand_in) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    connection text := 'mastering ' || gen_random_uuid();
    caller name := mastering.caller();
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM mastering.dblink_function('dblink_connect', 'text, text');
    -- What is no server's name would be taken for a connection string.
    IF NOT EXISTS (SELECT FROM pg_foreign_server s WHERE s.srvname = stand.server) THEN
        RAISE EXCEPTION 'server "%" does not exist', stand.server
            USING ERRCODE = '42704', HINT = format('CREATE SERVER %I FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host ''...'', dbname ''...'')', stand.server);
    END IF;
    IF NOT has_server_privilege(caller, stand.server, 'USAGE') THEN
        RAISE EXCEPTION 'permission denied for foreign server %', stand.server
            USING ERRCODE = '42501', HINT = format('Its owner can call: GRANT USAGE ON FOREIGN SERVER %I TO %I', stand.server, caller);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_user_mapping m JOIN pg_foreign_server s ON s.oid = m.umserver
                    WHERE s.srvname = stand.server AND m.umuser IN (0, (SELECT r.oid FROM pg_roles r WHERE r.rolname = caller))) THEN
        RAISE EXCEPTION 'role "%" has no user mapping for server "%"', caller, stand.server
            USING ERRCODE = '42704', HINT = format('CREATE USER MAPPING FOR %I SERVER %I OPTIONS (user ''...'', password ''...'')', caller, stand.server);
    END IF;
    BEGIN
        PERFORM mastering.dblink_call('dblink_connect', ARRAY[connection, stand.server]);
        -- That side notices, too, when this one is gone.
        PERFORM mastering.remote_ask(connection, 'SELECT pg_catalog.set_config(s.name, s.value, false) FROM (VALUES (''client_min_messages'', ''error''), (''application_name'', ''mastering''),'
            ' (''search_path'', ''pg_catalog, pg_temp''), (''default_transaction_isolation'', ''read committed''), (''client_connection_check_interval'', ''5s'')) s (name, value)');
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        PERFORM mastering.remote_disconnect(connection);
        PERFORM mastering.raise_again(code, message, detail, hint) WHERE code = '57014';
        RAISE EXCEPTION 'could not reach environment "%" by server "%": %', stand.environment, stand.server, message
            USING ERRCODE = CASE WHEN code LIKE '08%' OR code IN ('28P01', '28000', '2F003', '42501') THEN code ELSE '08001' END,
                  DETAIL = coalesce(nullif(btrim(detail, E' \n'), ''), format('Role "%s" connects with its own user mapping.', caller)),
                  HINT = CASE WHEN code = '2F003' THEN format('Only superusers may connect without a password: ALTER USER MAPPING FOR %I SERVER %I OPTIONS (ADD password ''...''), and let the server ask for it.', caller, stand.server)
                              ELSE coalesce(nullif(hint, ''), 'Nothing was sent.') END;
    END;
    RETURN connection;
END
$$;
COMMENT ON FUNCTION mastering.remote_connect(mastering.stand_in) IS 'Opens a connection as the caller to the database of an environment; returns its name.';

-- Says who is on the other side; refuses what cannot work.
CREATE FUNCTION mastering.remote_greet(stand mastering.stand_in, connection text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    probe bigint := hashtextextended(gen_random_uuid()::text, 0);
    answer jsonb;
BEGIN
    PERFORM pg_advisory_xact_lock(probe);    -- who can take it, too, is in another database
    BEGIN
        answer := mastering.remote_ask(connection, format('SELECT mastering.receive_greeting(%s)', probe));
    EXCEPTION WHEN invalid_schema_name OR undefined_function THEN
        RAISE EXCEPTION 'the database of server "%" does not have the extension mastering, or has a version without environments in other databases', stand.server
            USING ERRCODE = '55000', HINT = 'In that database: CREATE EXTENSION mastering, or ALTER EXTENSION mastering UPDATE';
    END;
    IF (answer ->> 'same')::boolean THEN
        RAISE EXCEPTION 'server "%" leads back to this database', stand.server USING ERRCODE = '22023', HINT = 'Without a server, create_environment makes the environment here.';
    END IF;
    IF (answer ->> 'protocol')::int <> 1 THEN
        RAISE EXCEPTION 'the database of server "%" speaks another language', stand.server
            USING ERRCODE = '55000', DETAIL = format('Its extension is of version %s, this one of %s.', answer -> 'platform' ->> 'extension', mastering.platform() ->> 'extension'), HINT = 'Bring both to one version.';
    END IF;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION mastering.remote_greet(mastering.stand_in, text) IS 'Exchanges versions with the database of an environment.';

-- decisive: the same input may give other results.
CREATE FUNCTION mastering.platform_differences(here jsonb, there jsonb) RETURNS TABLE (aspect text, here_value text, there_value text, decisive boolean)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.name, here ->> a.name, there ->> a.name, a.decisive
      FROM (VALUES ('extension', true), ('engine', true), ('text', true), ('server', false), ('encoding', false), ('collate', false), ('ctype', false), ('collation version', false)) a (name, decisive)
     WHERE here ->> a.name IS DISTINCT FROM there ->> a.name
$$;
COMMENT ON FUNCTION mastering.platform_differences(jsonb, jsonb) IS 'What differs between two databases; decisive is what results may hang on.';

CREATE FUNCTION mastering.decisive_differences(there jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(d.aspect, jsonb_build_array(d.here_value, d.there_value)), '{}') FROM mastering.platform_differences(mastering.platform(), there) d WHERE d.decisive
$$;
COMMENT ON FUNCTION mastering.decisive_differences(jsonb) IS 'The differences that have to be accepted: aspect -> [here, there].';

CREATE FUNCTION mastering.require_alike(stand mastering.stand_in, there jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    differences jsonb := mastering.decisive_differences(there);
BEGIN
    IF differences <> '{}' AND differences IS DISTINCT FROM stand.accepted -> 'differences' THEN
        RAISE EXCEPTION 'the database of environment "%" may give other results than this one', stand.environment
            USING ERRCODE = '55000', DETAIL = (SELECT string_agg(format('%s: %s here, %s there.', d.key, d.value ->> 0, d.value ->> 1), ' ' ORDER BY d.key) FROM jsonb_each(differences) d),
                  HINT = format('Bring both to one version, or accept it: SELECT mastering.accept_differences(%L, ''reason'')', stand.environment);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_alike(mastering.stand_in, jsonb) IS 'Raises where results may differ between the two databases and nobody accepted that.';

-- ---- bundles ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.bundle_hash(bundle jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.json_hash(jsonb_build_object('artifacts', bundle -> 'artifacts', 'bindings', bundle -> 'bindings'))
$$;
COMMENT ON FUNCTION mastering.bundle_hash(jsonb) IS 'The hash that a bundle must have: of its artifacts and bindings.';

CREATE FUNCTION mastering.bundle_of(state mastering.state) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bundle jsonb;
BEGIN
    bundle := jsonb_build_object('bundle', 1, 'environment', state.environment, 'platform', mastering.platform(), 'head', left(mastering.state_hash(state), 12), 'snapshot', state.snapshot,
        'entities', (SELECT count(*) FROM mastering.entities_of(state.tree)),
        'artifacts', (SELECT coalesce(jsonb_object_agg(t.key, a.content), '{}') FROM jsonb_each_text(state.tree) t JOIN mastering.artifact a ON a.hash = t.value),
        'bindings', (SELECT coalesce(jsonb_object_agg(b.key, b.value), '{}') FROM jsonb_each(state.bindings) b
                      WHERE state.tree ? mastering.path('entity', mastering.step(b.key, 1), 'source', mastering.step(b.key, 2))));
    RETURN bundle || jsonb_build_object('hash', mastering.bundle_hash(bundle));
END
$$;
COMMENT ON FUNCTION mastering.bundle_of(mastering.state) IS 'A state''s configuration as it travels: artifacts, bindings as hints, their hash, and what it comes from.';

CREATE FUNCTION mastering.do_export_bundle(state_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.bundle_of(mastering.resolve_state(state_name)) $$;
COMMENT ON FUNCTION mastering.do_export_bundle(text) IS 'Behind export_bundle.';
CREATE FUNCTION mastering.export_bundle(env text) RETURNS jsonb
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.export_bundle(text) IS 'The configuration of an environment, or of any state, as it travels to another database: artifacts, bindings as hints, their hash, and the versions it comes from. Another database calls it.';

-- What is put between other text later must be what its own function would have stored.
CREATE FUNCTION mastering.require_valid_bundle(env mastering.environment, bundle jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    given jsonb;
    stored jsonb;
    message text;
    code text;
BEGIN
    IF jsonb_typeof(bundle) IS DISTINCT FROM 'object' OR bundle -> 'bundle' IS DISTINCT FROM '1' OR jsonb_typeof(bundle -> 'artifacts') IS DISTINCT FROM 'object'
       OR jsonb_typeof(bundle -> 'bindings') IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'this is no bundle that this version of the extension reads' USING ERRCODE = '22023', HINT = 'SELECT mastering.export_bundle(env) gives one.';
    END IF;
    FOR item IN SELECT a.key, a.value FROM jsonb_each(bundle -> 'artifacts') a ORDER BY a.key LIKE 'entity/%/%', a.key COLLATE "C" LOOP
        given := CASE WHEN item.key LIKE 'entity/%/labels' AND jsonb_typeof(item.value) = 'object' THEN item.value - 'undecided' ELSE item.value END;
        BEGIN
            stored := mastering.valid_artifact(env, bundle -> 'artifacts', item.key, given, NULL);
            IF given <> item.value THEN    -- pairs like the others
                PERFORM mastering.valid_artifact(env, bundle -> 'artifacts', item.key, jsonb_build_object('matches', item.value -> 'undecided'), NULL);
            END IF;
            IF stored <> given THEN
                RAISE EXCEPTION 'this version of the extension writes it otherwise' USING ERRCODE = '22023';
            END IF;
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation OR feature_not_supported OR object_not_in_prerequisite_state OR read_only_sql_transaction THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            RAISE EXCEPTION 'artifact "%" of the bundle is refused: %', item.key, message USING ERRCODE = code;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.require_valid_bundle(mastering.environment, jsonb) IS 'Raises unless a bundle is whole and each of its artifacts is one.';

-- Under its hash: what is there already is not taken again.
CREATE FUNCTION mastering.take_bundle(env_name text, bundle jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment;
    stand mastering.stand_in;
    new_tree jsonb;
    bindings jsonb;
BEGIN
    PERFORM mastering.take_lock(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    IF bundle ->> 'hash' IS DISTINCT FROM mastering.bundle_hash(bundle) THEN
        RAISE EXCEPTION 'the bundle is not what its hash says' USING ERRCODE = '22023', DETAIL = format('It says %s and has %s.', left(bundle ->> 'hash', 12), left(mastering.bundle_hash(bundle), 12));
    END IF;
    IF stand.bundle = bundle ->> 'hash' THEN
        RETURN 'known';
    END IF;
    PERFORM mastering.require_valid_bundle(env, bundle);
    SELECT coalesce(jsonb_object_agg(a.key, mastering.json_hash(a.value)), '{}') INTO new_tree FROM jsonb_each(bundle -> 'artifacts') a;
    -- A binding is a hint: it helps where there is such a relation.
    SELECT coalesce(jsonb_object_agg(b.key, b.value), '{}') INTO bindings FROM jsonb_each(bundle -> 'bindings') b WHERE mastering.is_bindable(env, CASE WHEN jsonb_typeof(b.value) = 'string' THEN b.value #>> '{}' END);
    bindings := bindings || (SELECT coalesce(jsonb_object_agg(l.key, l.value -> 'relation'), '{}') FROM jsonb_each(stand.landing) l);
    INSERT INTO mastering.artifact (hash, content) SELECT mastering.json_hash(a.value), a.value FROM jsonb_each(bundle -> 'artifacts') a ON CONFLICT DO NOTHING;
    UPDATE mastering.configuration c SET tree = new_tree, bindings = work.bindings, changed_at = now() WHERE c.environment = env_name;
    PERFORM mastering.take_snapshot(env_name, 'bundle ' || left(bundle ->> 'hash', 12), NULL);
    UPDATE mastering.stand_in s SET bundle = take_bundle.bundle ->> 'hash', known = take_bundle.bundle - '{artifacts,bindings}'::text[], seen_at = clock_timestamp() WHERE s.environment = env_name;
    PERFORM mastering.audit(env_name, 'receive bundle', jsonb_build_object('bundle', bundle -> 'hash', 'head', bundle -> 'head', 'artifacts', (SELECT count(*) FROM jsonb_object_keys(bundle -> 'artifacts'))));
    RETURN 'taken';
END
$$;
COMMENT ON FUNCTION mastering.take_bundle(text, jsonb) IS 'Makes the configuration of a stand-in what a bundle says, after its checks, as a snapshot of its own.';

-- The artifacts stay there: what was not validated gets nowhere near those of this database.
CREATE FUNCTION mastering.note_seen(env_name text, bundle jsonb) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    UPDATE mastering.stand_in s SET known = s.known || (note_seen.bundle - '{artifacts,bindings}'::text[]), seen_at = clock_timestamp() WHERE s.environment = env_name
$$;
COMMENT ON FUNCTION mastering.note_seen(text, jsonb) IS 'Keeps what was seen of an environment in another database: its head, versions and bundle.';

-- ---- what another database calls ---------------------------------------------------------------------------------------
-- Its user is whom the user mapping there names; the rights asked for are those of that role here.

CREATE FUNCTION mastering.do_receive_greeting(probe bigint) RETURNS jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('protocol', 1, 'database', current_database(), 'same', NOT pg_try_advisory_xact_lock(probe), 'platform', mastering.platform())
$$;
COMMENT ON FUNCTION mastering.do_receive_greeting(bigint) IS 'Behind receive_greeting.';
CREATE FUNCTION mastering.receive_greeting(probe bigint) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_greeting(bigint) IS 'Versions of this database, for another one that an environment is promoted from; same: whether that holds the advisory lock probe here. Another database calls it.';

CREATE FUNCTION mastering.stand_in_of(env_name text, link_shown uuid) RETURNS mastering.stand_in
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
BEGIN
    PERFORM mastering.require_author(env_name);
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    IF NOT FOUND OR stand.server IS NOT NULL THEN
        RAISE EXCEPTION 'environment "%" is not one that another database sends to', env_name USING ERRCODE = '55000';
    END IF;
    IF stand.link <> link_shown THEN
        RAISE EXCEPTION 'environment "%" takes from another sender', env_name
            USING ERRCODE = '55000', DETAIL = format('It stands for "%s" of database "%s".', stand.name_there, stand.origin ->> 'database'),
                  HINT = 'Where that database was made anew: drop_environment there and create_environment again.';
    END IF;
    RETURN stand;
END
$$;
COMMENT ON FUNCTION mastering.stand_in_of(text, uuid) IS 'The stand-in that a sender may write, if the caller is author of it.';

CREATE FUNCTION mastering.do_receive_environment(new_name text, source text, owner_name name, link uuid, origin jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    stand text := source;
    hit mastering.stand_in;
    env mastering.environment;
BEGIN
    IF source IS NOT NULL THEN
        IF EXISTS (SELECT FROM mastering.environment e WHERE e.name = stand)
           AND NOT EXISTS (SELECT FROM mastering.stand_in s WHERE s.environment = stand AND s.server IS NULL AND s.origin = origin AND s.name_there = source) THEN
            stand := left(source || '_of_' || (origin ->> 'database'), 58);    -- this database has one of the name
        END IF;
        SELECT * INTO hit FROM mastering.stand_in s WHERE s.environment = stand;
        IF NOT FOUND THEN
            PERFORM mastering.do_create_environment(stand, NULL, owner_name);
            INSERT INTO mastering.stand_in (environment, name_there, link, origin) VALUES (stand, source, link, origin);
        ELSIF hit.server IS NULL AND hit.origin = origin AND hit.name_there = source THEN
            PERFORM mastering.require(stand, 'admin');
            UPDATE mastering.stand_in s SET link = do_receive_environment.link WHERE s.environment = stand;
        ELSE
            PERFORM mastering.stand_in_of(stand, link);
        END IF;
    END IF;
    SELECT * INTO env FROM mastering.environment e WHERE e.name = new_name;
    IF NOT FOUND THEN
        PERFORM mastering.do_create_environment(new_name, stand, owner_name);
        RETURN jsonb_build_object('source', stand, 'created', true);
    END IF;
    PERFORM mastering.refuse_stand_in(new_name);
    PERFORM mastering.require(new_name, 'author', 'curator', 'reviewer', 'loader');
    IF stand IS NOT NULL AND env.promotes_from IS DISTINCT FROM stand THEN
        PERFORM mastering.require(new_name, 'admin');
        IF env.promotes_from IS NOT NULL THEN
            RAISE EXCEPTION 'environment "%" is promoted from "%"', new_name, env.promotes_from
                USING ERRCODE = '55000', DETAIL = 'In that database it has a stage before it already.', HINT = 'Let it be another environment there: create_environment(name, promotes_from, server => server, name_there => ''another name'').';
        END IF;
        UPDATE mastering.environment e SET promotes_from = stand WHERE e.name = new_name;
        PERFORM mastering.audit(new_name, 'alter environment', jsonb_build_object('promotes_from', stand));
    END IF;
    RETURN jsonb_build_object('source', stand, 'created', false);
END
$$;
COMMENT ON FUNCTION mastering.do_receive_environment(text, text, name, uuid, jsonb) IS 'Behind receive_environment.';
CREATE FUNCTION mastering.receive_environment(name text, source text, owner name, link uuid, origin jsonb) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_environment(text, text, name, uuid, jsonb) IS 'Makes an environment that is promoted from one of another database, and that one''s stand-in; what is there already stays. Another database calls it.';

CREATE FUNCTION mastering.do_receive_bundle(env_name text, link uuid, bundle jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.stand_in_of(env_name, link);
    RETURN mastering.take_bundle(env_name, bundle);
END
$$;
COMMENT ON FUNCTION mastering.do_receive_bundle(text, uuid, jsonb) IS 'Behind receive_bundle.';
CREATE FUNCTION mastering.receive_bundle(env text, link uuid, bundle jsonb) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_bundle(text, uuid, jsonb) IS 'Makes a stand-in what a bundle says, under the bundle''s hash: taken, or known where it is that already. Another database calls it.';

CREATE FUNCTION mastering.do_has_bundle(env_name text, link uuid, hash text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT (mastering.stand_in_of(env_name, link)).bundle IS NOT DISTINCT FROM hash $$;
COMMENT ON FUNCTION mastering.do_has_bundle(text, uuid, text) IS 'Behind has_bundle.';
CREATE FUNCTION mastering.has_bundle(env text, link uuid, hash text) RETURNS boolean
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.has_bundle(text, uuid, text) IS 'Whether a stand-in is what a bundle of this hash says. Another database asks it.';

-- ---- making and dropping -----------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_create_environment(new_name text, from_name text, owner_name name, server_name name, name_there text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    stand mastering.stand_in;
    connection text;
    greeting jsonb;
    answer jsonb;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    IF server_name IS NULL THEN
        IF name_there IS NOT NULL THEN
            RAISE EXCEPTION 'a name there needs a server' USING ERRCODE = '22023';
        END IF;
        PERFORM mastering.do_create_environment(new_name, from_name, owner_name);
        RETURN;
    END IF;
    IF mastering.remote_server(from_name) IS NOT NULL THEN
        RAISE EXCEPTION 'environments "%" and "%" would both live in other databases', from_name, new_name
            USING ERRCODE = '0A000', HINT = 'Make the one in the database of the other, with a server there.';
    END IF;
    IF NOT has_database_privilege(mastering.caller(), current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create an environment'
            USING ERRCODE = '42501', DETAIL = format('Role "%s" may not create schemas in this database.', mastering.caller());
    END IF;
    stand.environment := new_name;
    stand.server := server_name;
    stand.name_there := coalesce(name_there, new_name);
    stand.link := gen_random_uuid();
    connection := mastering.remote_connect(stand);
    BEGIN
        greeting := mastering.remote_greet(stand, connection);
        PERFORM mastering.do_create_environment(new_name, from_name, NULL);
        answer := mastering.remote_ask(connection, format('SELECT mastering.receive_environment(%L, %L, %L, %L, %L)', stand.name_there, from_name, owner_name, stand.link,
            jsonb_build_object('database', current_database(), 'environment', from_name)));
        INSERT INTO mastering.stand_in (environment, server, name_there, source_there, link, origin, known, seen_at)
        VALUES (new_name, server_name, stand.name_there, answer ->> 'source', stand.link, jsonb_build_object('database', greeting -> 'database'), jsonb_build_object('platform', greeting -> 'platform'), clock_timestamp());
        PERFORM mastering.audit(new_name, 'stand in', jsonb_build_object('server', server_name, 'name', stand.name_there, 'created', answer -> 'created'));
        PERFORM mastering.remote_disconnect(connection);
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        PERFORM mastering.remote_disconnect(connection);
        PERFORM mastering.raise_again(code, message, detail, hint);
    END;
END
$$;
COMMENT ON FUNCTION mastering.do_create_environment(text, text, name, name, text) IS 'Behind create_environment.';

CREATE FUNCTION mastering.do_drop_environment(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
    item record;
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    IF FOUND THEN
        PERFORM mastering.take_lock(env_name);
        FOR item IN SELECT l.value ->> 'relation' AS relation FROM jsonb_each(stand.landing) l LOOP
            EXECUTE 'DROP TABLE IF EXISTS ' || item.relation;
        END LOOP;
        FOR item IN SELECT r.release_id FROM mastering.remote_release r WHERE r.environment = env_name AND r.state IN ('sent', 'unknown') ORDER BY 1 LOOP
            RAISE WARNING 'release % was sent to environment "%", and nothing is known of its end', item.release_id, env_name;
        END LOOP;
        DELETE FROM mastering.stand_in s WHERE s.environment = env_name;
        IF stand.server IS NOT NULL THEN
            RAISE NOTICE 'environment "%" stays in the database of server "%"', stand.name_there, stand.server USING HINT = 'drop_environment there drops it.';
        END IF;
    END IF;
    PERFORM mastering.drop_environment_now(env_name);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_environment(text) IS 'Behind drop_environment.';

CREATE VIEW mastering.remote_environments WITH (security_barrier) AS
    SELECT s.environment, s.server, s.name_there, s.origin ->> 'database' AS database_there, CASE WHEN s.server IS NULL THEN 'sends to here' ELSE 'is reached from here' END AS direction,
           left(s.bundle, 12) AS bundle, s.known ->> 'head' AS head, s.known -> 'platform' ->> 'extension' AS extension, s.known -> 'platform' ->> 'engine' AS engine, s.seen_at,
           s.accepted ->> 'reason' AS differences_accepted
      FROM mastering.stand_in s JOIN mastering.environment e ON e.name = s.environment WHERE mastering.visible(e.name, e.created_at);
COMMENT ON VIEW mastering.remote_environments IS 'Environments that live in other databases, with what was last seen of them; remote_status(env) looks again.';

GRANT SELECT ON mastering.remote_environments TO PUBLIC;
REVOKE ALL ON FUNCTION mastering.refuse_stand_in(text), mastering.take_lock(text), mastering.remote_server(text), mastering.environment_of(text), mastering.dblink_function(text, text),
    mastering.dblink_call(text, text[], boolean), mastering.remote_ask(text, text), mastering.remote_disconnect(text), mastering.remote_connect(mastering.stand_in),
    mastering.remote_greet(mastering.stand_in, text), mastering.platform_differences(jsonb, jsonb), mastering.decisive_differences(jsonb), mastering.require_alike(mastering.stand_in, jsonb),
    mastering.bundle_hash(jsonb), mastering.bundle_of(mastering.state), mastering.require_valid_bundle(mastering.environment, jsonb), mastering.take_bundle(text, jsonb),
    mastering.note_seen(text, jsonb), mastering.stand_in_of(text, uuid), mastering.local_promote(text, text, text, text, boolean, text, jsonb), mastering.local_plan(text, text),
    mastering.local_rollback(text, text, text, text), mastering.local_diff(text, text), mastering.local_merge_conflicts(text, text) FROM PUBLIC;
