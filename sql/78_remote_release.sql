-- 78_remote_release.sql: promotions and rollbacks of environments that live in another database (78_remote.sql).
--
-- One release, two databases, and no two-phase commit (servers have it switched off). In this order:
--
--     1. there  the bundle is taken under its hash, in a transaction of its own; again changes nothing
--     2. here   the release is written down as "sent", under a token, outside of the caller's transaction
--     3. there  one transaction: the token is taken, the release is planned, run, proven and published; commit
--     4. here   the answer is written down, outside of the caller's transaction: promoted, failed or waiting
--
-- A token is taken once. Whoever does not know how 3 ended asks for the token: it is there with its answer; or it is
-- not there, and then it is made void in the same moment, so that it can never be taken any more; or somebody is still
-- at work under it, whose lock says so. So nothing is ever applied twice, and what is not known can be found out
-- whenever the other database can be reached: by remote_status, and by every promotion and rollback, which ask first.
-- Not known is only what was cut while it was to commit, or when the session here ended; what was never told to commit
-- has failed, and is said to have.

CREATE TABLE mastering.remote_release (
    release_id     bigint PRIMARY KEY,
    environment    text COLLATE "C" NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('promotion', 'rollback')),
    source         text,
    state          text NOT NULL CHECK (state IN ('sent', 'unknown', 'waiting', 'promoted', 'failed')),
    token          uuid NOT NULL UNIQUE,
    request        jsonb NOT NULL,
    request_hash   text NOT NULL,
    message        text,
    author         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz,
    remote_release bigint,
    result         jsonb NOT NULL DEFAULT '{}',
    error          jsonb
);
CREATE INDEX ON mastering.remote_release (environment, state);
COMMENT ON TABLE mastering.remote_release IS 'Releases into other databases: sent, then promoted, failed, waiting (for approval there) or unknown (the connection was lost).';

SELECT pg_catalog.pg_extension_config_dump('mastering.remote_release', '');

-- ---- rows ---------------------------------------------------------------------------------------------------------------

-- The rows of the loaded versions, as they are read by a run: without those that were erased.
CREATE FUNCTION mastering.send_rows(stand mastering.stand_in, connection text, state mastering.state) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    item record;
    entry record;
    call text;
    columns jsonb;
    batch jsonb[];
    bytes bigint;
    total bigint := 0;
    rows bigint;
BEGIN
    FOR item IN SELECT d.key, d.value FROM jsonb_each(state.data) d
                 WHERE state.tree ? mastering.path('entity', mastering.step(d.key, 1), 'source', mastering.step(d.key, 2)) ORDER BY d.key COLLATE "C" LOOP
        SELECT jsonb_agg(c.value ORDER BY c.ordinality) INTO columns FROM mastering.store t CROSS JOIN LATERAL jsonb_array_elements(t.columns) WITH ORDINALITY c
         WHERE t.store_id = (item.value ->> 'store')::int AND c.value ->> 'name' !~ '^#';
        call := format('SELECT mastering.receive_rows(%L, %L, %L, ', stand.source_there, stand.link, item.key);
        CONTINUE WHEN mastering.remote_ask(connection, call || format('''begin'', %L)', jsonb_build_object('columns', columns, 'content', item.value -> 'content'))) = 'known';
        batch := '{}';
        bytes := 0;
        rows := 0;
        -- format() writes a value with its type's own output function and calls no cast of anybody's. An array has room for more
        -- columns than a function for arguments.
        FOR entry IN EXECUTE format('SELECT to_jsonb(CAST(ARRAY[%s] AS text[])) AS r FROM mastering.%I s WHERE %s',
                (SELECT string_agg(format('CASE WHEN num_nulls(s.%1$I) = 0 THEN format(''%%s'', s.%1$I) END', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c),
                'store_' || (item.value ->> 'store'), mastering.version_condition(item.value, 's')) LOOP
            batch := batch || entry.r;
            bytes := bytes + pg_column_size(entry.r);
            rows := rows + 1;
            IF bytes > 1000000 OR cardinality(batch) >= 5000 THEN
                PERFORM mastering.remote_ask(connection, call || format('''rows'', %L)', to_jsonb(batch)));
                batch := '{}';
                bytes := 0;
            END IF;
        END LOOP;
        IF cardinality(batch) > 0 THEN
            PERFORM mastering.remote_ask(connection, call || format('''rows'', %L)', to_jsonb(batch)));
        END IF;
        PERFORM mastering.remote_ask(connection, call || format('''end'', %L)', jsonb_build_object('content', item.value -> 'content', 'rows', rows)));
        total := total + rows;
    END LOOP;
    RETURN total;
END
$$;
COMMENT ON FUNCTION mastering.send_rows(mastering.stand_in, text, mastering.state) IS 'Sends the loaded rows of a state''s sources in batches; those that are there already are not sent again. Returns how many.';

-- ---- the record --------------------------------------------------------------------------------------------------------

-- Run by the background worker of record_outside. What is settled stays so.
CREATE FUNCTION mastering.write_remote(payload jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r mastering.remote_release := jsonb_populate_record(NULL::mastering.remote_release, nullif(payload -> 'remote', 'null'));
    env_name text := payload ->> 'environment';
    action text;
BEGIN
    IF jsonb_typeof(payload -> 'bundle') = 'object' THEN
        PERFORM mastering.note_seen(env_name, payload -> 'bundle');
    END IF;
    IF r.release_id IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO mastering.remote_release AS t SELECT r.*
    ON CONFLICT ON CONSTRAINT remote_release_pkey DO UPDATE SET state = EXCLUDED.state, token = EXCLUDED.token, finished_at = EXCLUDED.finished_at, remote_release = EXCLUDED.remote_release,
        result = EXCLUDED.result, error = EXCLUDED.error WHERE t.state IN ('sent', 'unknown', 'waiting');
    IF NOT FOUND THEN
        RETURN;
    END IF;
    action := CASE r.state WHEN 'sent' THEN 'send release' WHEN 'unknown' THEN 'release lost' WHEN 'waiting' THEN 'approval needed'
                           ELSE CASE r.kind WHEN 'promotion' THEN 'promote' ELSE 'rollback' END || CASE r.state WHEN 'failed' THEN ' failed' ELSE '' END END;
    -- As with those here: who comes second has failed at nothing that is worth a release, nor has a rollback that was refused.
    IF r.state IN ('waiting', 'promoted') OR r.state = 'failed' AND r.kind = 'promotion' AND coalesce(r.error ->> 'sqlstate', '') NOT IN ('55P03', '40001', '40P01') THEN
        INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, created_at, finished_at, proposal, error)
        VALUES (r.release_id, r.kind, r.source, env_name, CASE r.state WHEN 'waiting' THEN 'proposed' ELSE r.state END, r.message, r.author, r.created_at, r.finished_at,
                jsonb_strip_nulls(jsonb_build_object('changes', r.result -> 'changes', 'runs', r.result -> 'runs', 'remote', jsonb_build_object('release', r.remote_release, 'database', r.result -> 'database'))), r.error)
        ON CONFLICT ON CONSTRAINT release_pkey DO UPDATE SET state = EXCLUDED.state, finished_at = EXCLUDED.finished_at, proposal = EXCLUDED.proposal, error = EXCLUDED.error;
        INSERT INTO mastering.check_result (environment, release_id, entity, check_name, stage, severity, passed, row_count, error, state_key)
        SELECT env_name, r.release_id, c.entity, c.check_name, c.stage, c.severity, c.passed, c.row_count, c.error, 'remote ' || r.token
          FROM jsonb_to_recordset(coalesce(nullif(r.result -> 'checks', 'null'), '[]')) c (entity text, check_name text, stage text, severity text, passed boolean, row_count bigint, error text);
        UPDATE mastering.release x SET state = 'rolled back' FROM mastering.remote_release t
         WHERE r.kind = 'rollback' AND r.state = 'promoted' AND t.environment = env_name AND t.kind = 'promotion' AND r.result -> 'undone' @> to_jsonb(t.remote_release)
           AND x.release_id = t.release_id AND x.state = 'promoted';
    END IF;
    INSERT INTO mastering.audit_pending (environment, session_role, role, client, action, detail)
    VALUES (env_name, payload ->> 'session_role', payload ->> 'role', payload ->> 'client', action, jsonb_strip_nulls(jsonb_build_object('release_id', r.release_id, 'source', r.source,
        'bundle', r.request -> 'bundle', 'token', r.token, 'remote_release', r.remote_release, 'changes', r.result -> 'changes', 'error', r.error -> 'sqlstate')));
    PERFORM mastering.notify(action, env_name, jsonb_strip_nulls(jsonb_build_object('release_id', r.release_id, 'source', r.source, 'error', left(r.error ->> 'message', 1000)))) WHERE r.state <> 'sent';
END
$$;
COMMENT ON FUNCTION mastering.write_remote(jsonb) IS 'Writes down what is known of a release into another database, or what was seen there.';

CREATE FUNCTION mastering.record_remote(stand mastering.stand_in, r mastering.remote_release, bundle jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.record_outside(jsonb_build_object('remote', CASE WHEN (r).release_id IS NULL THEN NULL ELSE to_jsonb(r) END, 'environment', stand.environment, 'bundle', bundle,
        'session_role', session_user, 'role', mastering.caller(), 'client', host(inet_client_addr())))
$$;
COMMENT ON FUNCTION mastering.record_remote(mastering.stand_in, mastering.remote_release, jsonb) IS 'Writes down a release into another database in a transaction of its own; false where that could not be done.';

CREATE FUNCTION mastering.settled(r mastering.remote_release, answer jsonb) RETURNS mastering.remote_release
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    r.state := CASE answer ->> 'state' WHEN 'void' THEN 'failed' WHEN 'running' THEN 'unknown' ELSE answer ->> 'state' END;
    r.remote_release := coalesce((answer ->> 'release')::bigint, r.remote_release);
    r.result := answer - '{error,state,release}'::text[];
    r.error := CASE answer ->> 'state' WHEN 'void' THEN coalesce(r.error, '{}') || jsonb_build_object('message', 'the connection was lost before it was done; nothing of it is there')
                                       WHEN 'running' THEN jsonb_build_object('message', 'a session is still at work on it there') ELSE answer -> 'error' END;
    r.finished_at := CASE WHEN r.state IN ('promoted', 'failed') THEN clock_timestamp() END;
    RETURN r;
END
$$;
COMMENT ON FUNCTION mastering.settled(mastering.remote_release, jsonb) IS 'A release with what the other database answered.';

-- What the environment is now, where the caller's role there may see it.
CREATE FUNCTION mastering.seen_there(stand mastering.stand_in, connection text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN mastering.remote_ask(connection, format('SELECT mastering.export_bundle(%L)', stand.name_there));
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.seen_there(mastering.stand_in, text) IS 'The bundle of an environment as it is now; NULL where one may not see it.';

CREATE FUNCTION mastering.settle_remote(stand mastering.stand_in, connection text, r mastering.remote_release) RETURNS mastering.remote_release
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer jsonb;
    patience int := 15;
BEGIN
    LOOP    -- a session that lost its client, or was cancelled, ends soon
        answer := mastering.remote_ask(connection, format('SELECT mastering.settle_release(%L, %L)', r.token, stand.name_there));
        patience := patience - 1;
        EXIT WHEN answer ->> 'state' <> 'running' OR patience < 0;
        PERFORM pg_sleep(0.2);
    END LOOP;
    r := mastering.settled(r, answer);
    IF answer ->> 'state' <> 'running' THEN
        PERFORM mastering.record_remote(stand, r, CASE WHEN r.state = 'promoted' THEN mastering.seen_there(stand, connection) END);
    END IF;
    RETURN r;
END
$$;
COMMENT ON FUNCTION mastering.settle_remote(mastering.stand_in, text, mastering.remote_release) IS 'Asks how a release ended that nothing is known of, and writes it down.';

-- ---- a release ---------------------------------------------------------------------------------------------------------

-- After a connection was lost while it was to commit.
CREATE FUNCTION mastering.find_out(stand mastering.stand_in, r mastering.remote_release) RETURNS mastering.remote_release
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    connection text;
    message text;
BEGIN
    BEGIN
        connection := mastering.remote_connect(stand);
        r := mastering.settle_remote(stand, connection, r);
        PERFORM mastering.remote_disconnect(connection);
        PERFORM mastering.record_remote(stand, r) WHERE r.state = 'unknown';
        RETURN r;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        PERFORM mastering.remote_disconnect(connection) WHERE connection IS NOT NULL;
    END;
    r.state := 'unknown';
    r.error := coalesce(r.error, '{}') || jsonb_build_object('message', message);
    PERFORM mastering.record_remote(stand, r);
    RETURN r;
END
$$;
COMMENT ON FUNCTION mastering.find_out(mastering.stand_in, mastering.remote_release) IS 'Connects anew and asks how a release ended; unknown where that is not possible now.';

CREATE FUNCTION mastering.send_release(release_kind text, source_name text, target_name text, message_text text, request jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    stand mastering.stand_in;
    source mastering.state;
    env mastering.environment := mastering.require(target_name, 'admin');
    bundle jsonb;
    connection text;
    greeting jsonb;
    r mastering.remote_release;
    earlier mastering.remote_release;
    trial boolean := coalesce((request ->> 'dry_run')::boolean, false);
    answer jsonb;
    ending text;
    under_way boolean := false;
    committing boolean := false;
    lost boolean := false;
    there jsonb;
    item record;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = target_name;
    request := request || jsonb_build_object('kind', release_kind, 'target', stand.name_there);
    IF release_kind = 'promotion' THEN
        source := mastering.resolve_state(source_name);
        PERFORM mastering.require_order(source.environment, target_name);
        PERFORM mastering.require(source.environment, 'admin') WHERE request ->> 'what' = 'data';
        bundle := mastering.bundle_of(source);
        request := request || jsonb_build_object('source', stand.source_there, 'bundle', bundle -> 'hash');
    END IF;
    r.request := request;
    r.request_hash := mastering.json_hash(request);
    IF current_setting('transaction_isolation') <> 'read committed' THEN    -- an old snapshot may not show what was sent and not answered
        RAISE EXCEPTION 'a release into another database cannot be made in a transaction of isolation level %', current_setting('transaction_isolation') USING ERRCODE = '25001', HINT = 'Use READ COMMITTED.';
    END IF;
    PERFORM mastering.take_lock(target_name);
    PERFORM mastering.note_failure(NULL);
    connection := mastering.remote_connect(stand);
    BEGIN
        greeting := mastering.remote_greet(stand, connection);
        -- Open questions first.
        FOR earlier IN SELECT * FROM mastering.remote_release t WHERE t.environment = target_name AND t.state IN ('sent', 'unknown') AND t.created_at >= env.created_at ORDER BY t.release_id LOOP
            earlier := mastering.settle_remote(stand, connection, earlier);
            IF earlier.state = 'unknown' THEN
                RAISE EXCEPTION 'release % of environment "%" is still being worked on', earlier.release_id, target_name
                    USING ERRCODE = '55P03', DETAIL = format('Its connection was lost, and its session goes on in database "%s".', greeting ->> 'database'),
                          HINT = format('Try again when it has ended: SELECT * FROM mastering.remote_status(%L)', target_name);
            ELSIF earlier.state = 'promoted' AND earlier.request_hash = r.request_hash THEN
                RAISE NOTICE 'release % had come through; it is written down now and not applied again', earlier.release_id;
                PERFORM mastering.remote_disconnect(connection);
                RETURN earlier.release_id;
            END IF;
        END LOOP;
        IF release_kind = 'promotion' THEN
            PERFORM mastering.require_alike(stand, greeting -> 'platform');
            PERFORM mastering.remote_ask(connection, 'BEGIN') WHERE trial;
            IF mastering.remote_ask(connection, format('SELECT mastering.has_bundle(%L, %L, %L)', stand.source_there, stand.link, bundle ->> 'hash')) <> 't' THEN
                PERFORM mastering.remote_ask(connection, format('SELECT mastering.receive_bundle(%L, %L, %L)', stand.source_there, stand.link, bundle));
            END IF;
            IF request ->> 'what' = 'data' THEN
                PERFORM mastering.remote_ask(connection, 'BEGIN') WHERE NOT trial;
                PERFORM mastering.send_rows(stand, connection, source);
                PERFORM mastering.remote_ask(connection, 'COMMIT') WHERE NOT trial;
            END IF;
        END IF;
        IF NOT trial THEN
            -- A release that waits for approval goes on under its number.
            SELECT t.release_id, t.created_at INTO r.release_id, r.created_at FROM mastering.remote_release t
             WHERE t.environment = target_name AND t.state = 'waiting' AND t.request_hash = r.request_hash AND t.created_at >= env.created_at ORDER BY t.release_id DESC LIMIT 1;
            r.release_id := coalesce(r.release_id, nextval('mastering.release_id'));
            r.created_at := coalesce(r.created_at, clock_timestamp());
            r.environment := target_name;
            r.kind := release_kind;
            r.source := source.environment;
            r.state := 'sent';
            r.message := message_text;
            r.author := mastering.caller();
            r.result := '{}';
            r.token := gen_random_uuid();
            IF NOT mastering.record_remote(stand, r) THEN
                RAISE EXCEPTION 'release % cannot be written down, so it is not sent', r.release_id
                    USING ERRCODE = '53000', DETAIL = 'A release into another database is recorded outside of the transaction, by a background worker.', HINT = 'Raise max_worker_processes.';
            END IF;
            under_way := true;
            PERFORM mastering.remote_ask(connection, 'BEGIN');
        END IF;
        answer := mastering.remote_ask(connection, format('SELECT mastering.receive_release(%L, %L)', coalesce(r.token, gen_random_uuid()), request || jsonb_build_object('message', message_text)));
        committing := NOT trial;
        ending := mastering.remote_ask(connection, CASE WHEN trial THEN 'ROLLBACK' ELSE 'COMMIT' END);
        IF NOT trial AND ending <> 'COMMIT' THEN
            RAISE EXCEPTION 'the other database did not commit' USING ERRCODE = '08007';
        END IF;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        lost := true;
    END;
    IF lost THEN
        BEGIN
            PERFORM mastering.dblink_call('dblink_cancel_query', ARRAY[connection]) WHERE code = '57014';
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
        PERFORM mastering.remote_disconnect(connection);
        IF NOT under_way THEN
            PERFORM mastering.raise_again(code, message, detail, hint) WHERE code !~ '^(08|57P)';
            RAISE EXCEPTION 'the connection to environment "%" was lost: no release was sent', target_name
                USING ERRCODE = '08006', DETAIL = btrim(message, E' \n'), HINT = format('Environment "%s" is as it was; try again.', target_name);
        END IF;
        r.error := jsonb_build_object('sqlstate', code, 'message', message, 'detail', detail);
        -- What was never told to commit has not.
        IF committing THEN
            r := mastering.find_out(stand, r);
        ELSE
            r.state := 'failed';
            r.finished_at := clock_timestamp();
            PERFORM mastering.record_remote(stand, r);
        END IF;
        IF r.state = 'promoted' THEN
            RAISE NOTICE 'the connection to environment "%" was lost, and release % had come through', target_name, r.release_id USING DETAIL = message;
            RETURN r.release_id;
        ELSIF r.state = 'unknown' THEN
            RAISE EXCEPTION 'the connection to environment "%" was lost: it is not known whether release % came through', target_name, r.release_id
                USING ERRCODE = '08007', DETAIL = btrim(message, E' \n'), HINT = format('SELECT * FROM mastering.remote_status(%L) finds out; promote or rollback, called again, too, and nothing is applied twice.', target_name);
        END IF;
        PERFORM mastering.raise_again(code, message, detail, hint) WHERE code !~ '^(08|57P)';
        RAISE EXCEPTION 'the connection to environment "%" was lost: release % did not come through', target_name, r.release_id
            USING ERRCODE = '08006', DETAIL = btrim(message, E' \n'), HINT = format('Environment "%s" is as it was; try again.', target_name);
    END IF;
    IF NOT trial THEN
        r := mastering.settled(r, answer);
        IF r.state = 'promoted' THEN
            there := mastering.seen_there(stand, connection);
        END IF;
        IF NOT mastering.record_remote(stand, r, there) THEN
            RAISE WARNING 'release % came through, and could not be written down as such', r.release_id USING HINT = format('SELECT * FROM mastering.remote_status(%L) makes up for it.', target_name);
        END IF;
    END IF;
    PERFORM mastering.remote_disconnect(connection);
    FOR item IN SELECT c ->> 'check_name' AS name, c ->> 'entity' AS entity, coalesce(c ->> 'row_count', c ->> 'error') AS found FROM jsonb_array_elements(answer -> 'checks') c
                 WHERE c ->> 'severity' = 'warn' AND NOT (c ->> 'passed')::boolean LOOP
        RAISE WARNING 'check "%" of entity "%" found % rows', item.name, item.entity, item.found;
    END LOOP;
    IF answer ? 'error' THEN
        PERFORM mastering.raise_again(answer -> 'error' ->> 'sqlstate', answer -> 'error' ->> 'message',
            concat_ws(E'\n', nullif(answer -> 'error' ->> 'detail', ''), format('So says database "%s" of server "%s"%s.', answer ->> 'database', stand.server, ', where it is release ' || (answer ->> 'release'))),
            CASE WHEN answer ->> 'state' = 'waiting' THEN format('In that database: %s; or, once approved, promote again from here.', answer -> 'error' ->> 'hint')
                 WHEN coalesce(answer -> 'error' ->> 'hint', '') <> '' THEN 'In that database: ' || (answer -> 'error' ->> 'hint') END);
    END IF;
    RETURN r.release_id;
END
$$;
COMMENT ON FUNCTION mastering.send_release(text, text, text, text, jsonb) IS 'A promotion or rollback of an environment in another database.';

-- Whatever happens, the connection ends, and with it what was begun there.
CREATE FUNCTION mastering.remote_calls(env_name text, calls text[], OUT greeting jsonb, OUT answers text[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
    connection text;
    call text;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    connection := mastering.remote_connect(stand);
    BEGIN
        greeting := mastering.remote_greet(stand, connection);
        FOREACH call IN ARRAY calls LOOP
            answers := array_append(answers, mastering.remote_ask(connection, call));
        END LOOP;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        PERFORM mastering.remote_disconnect(connection);
        PERFORM mastering.raise_again(code, message, detail, hint);
    END;
    PERFORM mastering.remote_disconnect(connection);
END
$$;
COMMENT ON FUNCTION mastering.remote_calls(text, text[]) IS 'Calls in the database of an environment, one after the other over one connection, with what each answered.';

-- Asks something about a promotion with the bundle in its place, and leaves nothing of it there.
CREATE FUNCTION mastering.ask_staged(source_name text, target_name text, function_name text, OUT answer jsonb, OUT bundle jsonb, OUT greeting jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
    source mastering.state;
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = target_name;
    source := mastering.resolve_state(source_name);
    PERFORM mastering.require_order(source.environment, target_name);
    bundle := mastering.bundle_of(source);
    SELECT c.greeting, c.answers[3] INTO greeting, answer
      FROM mastering.remote_calls(target_name, ARRAY['BEGIN', format('SELECT mastering.receive_bundle(%L, %L, %L)', stand.source_there, stand.link, bundle),
                                                     format('SELECT mastering.%I(%L, %L)', function_name, stand.source_there, stand.name_there), 'ROLLBACK']) c;
END
$$;
COMMENT ON FUNCTION mastering.ask_staged(text, text, text) IS 'What the other database says about a promotion, with the bundle that it would take; nothing changes there.';

CREATE FUNCTION mastering.remote_plan(source_name text, target_name text) RETURNS TABLE (step int, action text, subject text, detail text, blocked boolean)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
    told record;
    item record;
BEGIN
    SELECT * INTO told FROM mastering.ask_staged(source_name, target_name, 'receive_plan');
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = target_name;
    step := 1;
    action := 'send';
    subject := source_name;
    detail := format('bundle %s, %s artifacts, as "%s" to database "%s" of server "%s"', left(told.bundle ->> 'hash', 12), (SELECT count(*) FROM jsonb_object_keys(told.bundle -> 'artifacts')),
                     stand.source_there, told.greeting ->> 'database', stand.server);
    blocked := false;
    RETURN NEXT;
    FOR item IN SELECT * FROM mastering.platform_differences(mastering.platform(), told.greeting -> 'platform') LOOP
        step := step + 1;
        action := 'compare';
        subject := item.aspect;
        blocked := item.decisive AND mastering.decisive_differences(told.greeting -> 'platform') IS DISTINCT FROM stand.accepted -> 'differences';
        detail := format('%s here, %s there%s', coalesce(item.here_value, 'none'), coalesce(item.there_value, 'none'),
                         CASE WHEN NOT item.decisive THEN '' WHEN blocked THEN ': results may differ' ELSE format('; accepted: %s', stand.accepted ->> 'reason') END);
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT t.release_id, t.state, t.error FROM mastering.remote_release t WHERE t.environment = target_name AND t.state IN ('sent', 'unknown') ORDER BY t.release_id LOOP
        step := step + 1;
        action := 'settle';
        subject := 'release ' || item.release_id;
        blocked := false;
        detail := 'was sent, and nothing is known of its end; it is asked for first';
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT p.value FROM jsonb_array_elements(told.answer) WITH ORDINALITY p ORDER BY p.ordinality LOOP
        step := step + 1;
        action := item.value ->> 'action';
        subject := item.value ->> 'subject';
        detail := item.value ->> 'detail';
        blocked := (item.value ->> 'blocked')::boolean;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.remote_plan(text, text) IS 'The plan of a promotion into another database: what is sent, what differs, and the plan that is made there.';

-- ---- the other way: what comes from there ---------------------------------------------------------------------------

CREATE FUNCTION mastering.remote_call(env_name text, call text) RETURNS text
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT c.answers[1] FROM mastering.remote_calls(env_name, ARRAY[call]) c $$;
COMMENT ON FUNCTION mastering.remote_call(text, text) IS 'One call in the database of an environment.';

CREATE FUNCTION mastering.fetch_bundle(env_name text, state_there text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    RETURN mastering.remote_call(env_name, format('SELECT mastering.export_bundle(%L)', coalesce(state_there, (SELECT s.name_there FROM mastering.stand_in s WHERE s.environment = env_name))));
END
$$;
COMMENT ON FUNCTION mastering.fetch_bundle(text, text) IS 'What an environment in another database is now, or a state of it.';

CREATE FUNCTION mastering.pull_source(env_name text, for_release boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fetched jsonb := mastering.fetch_bundle(env_name, NULL);
BEGIN
    IF for_release THEN
        PERFORM mastering.require_alike(s, fetched -> 'platform') FROM mastering.stand_in s WHERE s.environment = env_name;
    END IF;
    PERFORM mastering.take_bundle(env_name, fetched);
END
$$;
COMMENT ON FUNCTION mastering.pull_source(text, boolean) IS 'Brings a stand-in to what its environment is now; for a release only from a database that is alike.';

CREATE FUNCTION mastering.side_of(state_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env_name text := mastering.environment_of(state_name);
    there text := (SELECT s.name_there FROM mastering.stand_in s WHERE s.environment = env_name AND s.server IS NOT NULL);
BEGIN
    RETURN CASE WHEN there IS NULL THEN mastering.bundle_of(mastering.resolve_state(state_name)) ELSE mastering.fetch_bundle(env_name, there || substr(state_name, length(env_name) + 1)) END -> 'artifacts';
END
$$;
COMMENT ON FUNCTION mastering.side_of(text) IS 'The artifacts of a state, wherever it is.';

-- ---- the doors ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_promote(source_name text, target_name text, message text, what_text text, dry_run boolean, expected_head text, resolve jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF mastering.remote_server(target_name) IS NOT NULL THEN
        IF what_text IS NULL OR what_text NOT IN ('auto', 'data') THEN
            RAISE EXCEPTION 'unknown kind of promotion: "%"', what_text USING ERRCODE = '22023', HINT = 'what is ''auto'', configuration only, or ''data'', with the loaded rows of the sources.';
        END IF;
        RETURN mastering.send_release('promotion', source_name, target_name, message,
                                      jsonb_build_object('what', what_text, 'dry_run', coalesce(dry_run, false), 'expected_head', expected_head, 'resolve', resolve));
    END IF;
    IF mastering.remote_server(mastering.environment_of(source_name)) IS NOT NULL THEN
        PERFORM mastering.require_release(mastering.environment_of(source_name), target_name);
        PERFORM mastering.pull_source(mastering.environment_of(source_name), true);
    END IF;
    RETURN mastering.local_promote(source_name, target_name, message, what_text, dry_run, expected_head, resolve);
END
$$;
COMMENT ON FUNCTION mastering.do_promote(text, text, text, text, boolean, text, jsonb) IS 'Behind promote.';

CREATE FUNCTION mastering.do_plan(source_name text, target_name text) RETURNS TABLE (step int, action text, subject text, detail text, blocked boolean)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF mastering.remote_server(target_name) IS NOT NULL THEN
        RETURN QUERY SELECT * FROM mastering.remote_plan(source_name, target_name);
        RETURN;
    END IF;
    IF mastering.remote_server(mastering.environment_of(source_name)) IS NOT NULL THEN
        PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
        PERFORM mastering.pull_source(mastering.environment_of(source_name), false);
    END IF;
    RETURN QUERY SELECT * FROM mastering.local_plan(source_name, target_name);
END
$$;
COMMENT ON FUNCTION mastering.do_plan(text, text) IS 'Behind plan.';

CREATE FUNCTION mastering.do_merge_conflicts(source_name text, target_name text) RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF mastering.remote_server(target_name) IS NOT NULL THEN
        RETURN QUERY SELECT c.path, c.reason, c.base, c.ours, c.theirs
          FROM jsonb_to_recordset((SELECT a.answer FROM mastering.ask_staged(source_name, target_name, 'receive_conflicts') a)) c (path text, reason text, base jsonb, ours jsonb, theirs jsonb);
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM mastering.local_merge_conflicts(source_name, target_name);
END
$$;
COMMENT ON FUNCTION mastering.do_merge_conflicts(text, text) IS 'Behind merge_conflicts.';

CREATE FUNCTION mastering.do_diff(a_name text, b_name text) RETURNS TABLE (path text, change text, before jsonb, after jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF mastering.remote_server(mastering.environment_of(a_name)) IS NULL AND mastering.remote_server(mastering.environment_of(b_name)) IS NULL THEN
        RETURN QUERY SELECT * FROM mastering.local_diff(a_name, b_name);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT coalesce(x.key, y.key), CASE WHEN x.key IS NULL THEN 'added' WHEN y.key IS NULL THEN 'removed' ELSE 'changed' END, x.value, y.value
      FROM jsonb_each(mastering.side_of(a_name)) x FULL JOIN jsonb_each(mastering.side_of(b_name)) y ON y.key = x.key
     WHERE x.value IS DISTINCT FROM y.value ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.do_diff(text, text) IS 'Behind diff.';

CREATE FUNCTION mastering.do_rollback(env_name text, to_state text, what_text text, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF mastering.remote_server(env_name) IS NOT NULL THEN
        RETURN mastering.send_release('rollback', NULL, env_name, reason,
            jsonb_build_object('what', what_text, 'to_state', (SELECT CASE WHEN mastering.environment_of(to_state) = env_name THEN s.name_there || substr(to_state, length(env_name) + 1) ELSE to_state END
                                                                 FROM mastering.stand_in s WHERE s.environment = env_name)));
    END IF;
    RETURN mastering.local_rollback(env_name, to_state, what_text, reason);
END
$$;
COMMENT ON FUNCTION mastering.do_rollback(text, text, text, text) IS 'Behind rollback.';

CREATE FUNCTION mastering.do_promote_release(id bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r mastering.remote_release;
BEGIN
    SELECT * INTO r FROM mastering.remote_release t WHERE t.release_id = id AND t.kind = 'promotion' AND t.state = 'waiting';
    IF NOT FOUND THEN
        RETURN mastering.local_promote_release(id);
    END IF;
    PERFORM mastering.require(r.environment, 'admin');
    IF r.request ->> 'bundle' <> mastering.bundle_of(mastering.resolve_state(r.source)) ->> 'hash' THEN
        RAISE EXCEPTION 'release % is not what was proposed any more', id
            USING ERRCODE = '40001', DETAIL = format('Environment "%s" changed since.', r.source), HINT = format('SELECT mastering.promote(%L, %L)', r.source, r.environment);
    END IF;
    RETURN mastering.send_release('promotion', r.source, r.environment, r.message, r.request);
END
$$;
COMMENT ON FUNCTION mastering.do_promote_release(bigint) IS 'Behind promote_release.';

CREATE FUNCTION mastering.do_release_hold(env_name text, id bigint, held_path text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id_there bigint;
BEGIN
    IF mastering.remote_server(env_name) IS NULL THEN
        PERFORM mastering.local_release_hold(env_name, id, held_path);
        RETURN;
    END IF;
    PERFORM mastering.require(env_name, 'admin');
    SELECT t.remote_release INTO id_there FROM mastering.remote_release t WHERE t.environment = env_name AND t.release_id = id;
    IF id_there IS NULL THEN
        RAISE EXCEPTION 'release % did not come into environment "%" from here', id, env_name USING ERRCODE = '42704', HINT = 'SELECT release_id, target, state FROM mastering.remote_releases; others are released there.';
    END IF;
    PERFORM mastering.remote_call(env_name, format('SELECT mastering.release_hold(%L, %s, %L)', (SELECT s.name_there FROM mastering.stand_in s WHERE s.environment = env_name), id_there, held_path));
    PERFORM mastering.audit(env_name, 'release hold', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'path', held_path)));
END
$$;
COMMENT ON FUNCTION mastering.do_release_hold(text, bigint, text) IS 'Behind release_hold.';

-- ---- how it stands ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_accept_differences(env_name text, reason_text text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stand mastering.stand_in;
    differences jsonb;
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    IF stand.server IS NULL THEN
        RAISE EXCEPTION 'environment "%" is in this database', env_name USING ERRCODE = '22023';
    END IF;
    IF coalesce(btrim(reason_text), '') = '' THEN
        RAISE EXCEPTION 'to accept that results may differ needs a reason' USING ERRCODE = '22023';
    END IF;
    PERFORM mastering.take_lock(env_name);
    differences := mastering.decisive_differences(mastering.fetch_bundle(env_name, NULL) -> 'platform');
    UPDATE mastering.stand_in s SET accepted = CASE WHEN differences <> '{}' THEN jsonb_build_object('differences', differences, 'reason', reason_text, 'role', mastering.caller(), 'at', now()) END WHERE s.environment = env_name;
    PERFORM mastering.audit(env_name, 'accept differences', jsonb_build_object('differences', differences, 'reason', reason_text));
    RETURN differences;
END
$$;
COMMENT ON FUNCTION mastering.do_accept_differences(text, text) IS 'Behind accept_differences.';
CREATE FUNCTION mastering.accept_differences(env text, reason text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.accept_differences(text, text) IS 'Accepts that the database of an environment may give other results: of the extension, its engine, ICU and Unicode it has other versions. Returns what is accepted, [here, there]; any other difference has to be accepted again.';

CREATE FUNCTION mastering.do_remote_status(env_name text) RETURNS TABLE (subject text, state text, detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    stand mastering.stand_in;
    connection text;
    greeting jsonb;
    seen jsonb;
    r mastering.remote_release;
    item record;
    code text;
    message text;
    error_detail text;
    hint text;
BEGIN
    SELECT * INTO stand FROM mastering.stand_in s WHERE s.environment = env_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" is in this database', env_name USING ERRCODE = '22023', HINT = 'SELECT * FROM mastering.remote_environments lists those that are not.';
    ELSIF stand.server IS NULL THEN
        RETURN QUERY SELECT 'bundle'::text, coalesce(left(stand.bundle, 12), 'none'), format('sent from "%s" of database "%s"', stand.name_there, stand.origin ->> 'database');
        RETURN;
    END IF;
    BEGIN
        connection := mastering.remote_connect(stand);
        greeting := mastering.remote_greet(stand, connection);
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        PERFORM mastering.remote_disconnect(connection) WHERE connection IS NOT NULL;
        PERFORM mastering.raise_again(code, message, error_detail, hint) WHERE code = '57014';
        connection := NULL;
        RETURN QUERY SELECT 'connection'::text, 'none'::text, btrim(message, E' \n');
    END;
    BEGIN
        IF connection IS NOT NULL THEN
            RETURN QUERY SELECT 'connection'::text, 'there'::text, format('"%s" in database "%s" of server "%s"', stand.name_there, greeting ->> 'database', stand.server);
            seen := mastering.seen_there(stand, connection);
            RETURN QUERY SELECT 'platform'::text, CASE WHEN NOT d.decisive THEN 'differs' WHEN mastering.decisive_differences(greeting -> 'platform') IS NOT DISTINCT FROM stand.accepted -> 'differences' THEN 'accepted' ELSE 'results may differ' END,
                format('%s: %s here, %s there', d.aspect, coalesce(d.here_value, 'none'), coalesce(d.there_value, 'none')) FROM mastering.platform_differences(mastering.platform(), greeting -> 'platform') d;
            RETURN QUERY SELECT 'head'::text, coalesce(seen ->> 'head', 'not to be seen'),
                CASE WHEN seen IS NULL THEN 'the role there has no role in it' WHEN stand.known ->> 'head' IS NULL THEN NULL WHEN stand.known ->> 'head' = seen ->> 'head' THEN 'as it was seen last' ELSE format('was %s when it was seen last', stand.known ->> 'head') END;
        END IF;
        FOR r IN SELECT * FROM mastering.remote_release t WHERE t.environment = env_name AND t.state IN ('sent', 'unknown', 'waiting') AND t.created_at >= env.created_at ORDER BY t.release_id LOOP
            IF connection IS NOT NULL AND r.state <> 'waiting' THEN
                -- Not while somebody here is at it, whose release would be void.
                IF NOT pg_try_advisory_xact_lock(hashtext('mastering.environment'), hashtext(env_name)) THEN
                    r.error := '{"message": "a session here is at work on it"}';
                ELSIF mastering.may(env_name, 'admin') THEN
                    r := mastering.settle_remote(stand, connection, r);
                END IF;
            ELSIF connection IS NOT NULL THEN
                -- Somebody there may have promoted or rejected it.
                FOR item IN SELECT mastering.remote_ask(connection, format('SELECT x.state FROM mastering.releases x WHERE x.release_id = %s', r.remote_release)) AS now LOOP
                    IF item.now IN ('promoted', 'rejected', 'rolled back', 'replaced') THEN
                        r.state := CASE item.now WHEN 'rejected' THEN 'failed' ELSE 'promoted' END;
                        r.error := CASE item.now WHEN 'rejected' THEN '{"message": "it was rejected there"}'::jsonb END;
                        r.finished_at := clock_timestamp();
                        PERFORM mastering.record_remote(stand, r);
                    END IF;
                END LOOP;
            END IF;
            RETURN QUERY SELECT 'release ' || r.release_id, r.state, CASE r.state
                WHEN 'promoted' THEN format('came through, as release %s there', r.remote_release) WHEN 'failed' THEN r.error ->> 'message' WHEN 'waiting' THEN format('for approval of release %s there', r.remote_release)
                ELSE coalesce(r.error ->> 'message', 'sent, and no answer is known') END;
        END LOOP;
        IF seen IS NOT NULL THEN
            PERFORM mastering.record_remote(stand, NULL, seen) WHERE stand.known ->> 'head' IS DISTINCT FROM seen ->> 'head';
        END IF;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        PERFORM mastering.remote_disconnect(connection) WHERE connection IS NOT NULL;
        PERFORM mastering.raise_again(code, message, error_detail, hint);
    END;
    PERFORM mastering.remote_disconnect(connection) WHERE connection IS NOT NULL;
END
$$;
COMMENT ON FUNCTION mastering.do_remote_status(text) IS 'Behind remote_status.';
CREATE FUNCTION mastering.remote_status(env text) RETURNS TABLE (subject text, state text, detail text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.remote_status(text) IS 'How it stands with an environment in another database: whether it can be reached, what differs, what it is, and each release whose end is not known, which is asked for and written down.';

CREATE VIEW mastering.remote_releases WITH (security_barrier) AS
    SELECT r.release_id, r.kind, r.source, r.environment AS target, r.state, r.message, r.author, r.created_at, r.finished_at, r.remote_release,
           r.result ->> 'database' AS database_there, left(r.request ->> 'bundle', 12) AS bundle, r.result -> 'checks' AS checks, r.error ->> 'message' AS error
      FROM mastering.remote_release r WHERE mastering.visible(r.environment, r.created_at);
COMMENT ON VIEW mastering.remote_releases IS 'Releases into other databases: sent and not heard of since, unknown, waiting for approval there, promoted, failed. remote_release: their number there.';

GRANT SELECT ON mastering.remote_releases TO PUBLIC;
REVOKE ALL ON FUNCTION mastering.send_rows(mastering.stand_in, text, mastering.state), mastering.write_remote(jsonb),
    mastering.record_remote(mastering.stand_in, mastering.remote_release, jsonb), mastering.settled(mastering.remote_release, jsonb), mastering.seen_there(mastering.stand_in, text),
    mastering.settle_remote(mastering.stand_in, text, mastering.remote_release), mastering.find_out(mastering.stand_in, mastering.remote_release), mastering.send_release(text, text, text, text, jsonb),
    mastering.ask_staged(text, text, text), mastering.remote_plan(text, text), mastering.remote_calls(text, text[]), mastering.remote_call(text, text), mastering.fetch_bundle(text, text), mastering.local_release_hold(text, bigint, text), mastering.local_promote_release(bigint), mastering.pull_source(text, boolean), mastering.side_of(text) FROM PUBLIC;
