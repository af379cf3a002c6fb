-- 78_remote_receive.sql: what another database calls here, for an environment that is promoted from there or read
-- from there (78_remote.sql). The user is whom the user mapping there names; the rights asked for are those of that
-- role here, and policies, gates and approvals are those of the environment.

CREATE TABLE mastering.release_token (
    token   uuid PRIMARY KEY,
    target  text COLLATE "C" NOT NULL,
    state   text NOT NULL CHECK (state IN ('promoted', 'failed', 'waiting', 'void')),
    result  jsonb NOT NULL DEFAULT '{}',
    role    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mastering.release_token IS 'Releases that came from other databases, each under the token of its sender, with the answer. void: the sender gave it up before it came.';

SELECT pg_catalog.pg_extension_config_dump('mastering.release_token', '');

-- ---- releases ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.lock_token(token uuid) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT pg_try_advisory_xact_lock(hashtextextended('mastering.release_token ' || token, 0)) $$;
COMMENT ON FUNCTION mastering.lock_token(uuid) IS 'Takes the right to work under a token, to the end of the transaction; false where somebody has it.';

-- What went through the gates, without the rows that they found: those stay in the database that they are of.
CREATE FUNCTION mastering.checks_of_release(target text, id bigint) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('entity', r.entity, 'check_name', r.check_name, 'stage', r.stage, 'severity', r.severity, 'passed', r.passed, 'row_count', r.row_count, 'error', r.error) ORDER BY r.result_id), '[]')
      FROM mastering.check_result r WHERE r.environment = target AND r.release_id = id
$$;
COMMENT ON FUNCTION mastering.checks_of_release(text, bigint) IS 'What the checks of a release found, in numbers.';

CREATE FUNCTION mastering.load_landed(target text, source text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    loaded jsonb := '[]';
    one jsonb;
BEGIN
    FOR item IN SELECT l.key, mastering.step(l.key, 1) AS entity, mastering.step(l.key, 2) AS name FROM mastering.stand_in s CROSS JOIN LATERAL jsonb_each(s.landing) l
                  JOIN mastering.configuration c ON c.environment = target AND c.bindings ->> l.key = l.value ->> 'relation' AND c.tree ? mastering.path('entity', mastering.step(l.key, 1), 'source', mastering.step(l.key, 2))
                 WHERE s.environment = source ORDER BY l.key COLLATE "C" LOOP
        SELECT jsonb_agg(to_jsonb(d)) INTO one FROM mastering.do_load(target, item.entity, item.name) d;
        loaded := loaded || one;
    END LOOP;
    PERFORM FROM mastering.do_backfill(target, NULL);
    RETURN loaded;
END
$$;
COMMENT ON FUNCTION mastering.load_landed(text, text) IS 'Loads the rows that were sent into the sources that are bound to where they landed, as the target''s policies allow, and runs.';

CREATE FUNCTION mastering.do_receive_release(token uuid, request jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    source text := request ->> 'source';
    target text := request ->> 'target';
    taken mastering.release_token;
    began timestamptz := clock_timestamp();
    id bigint;
    result jsonb;
    state_name text := 'promoted';
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM mastering.require(target, 'admin');
    PERFORM mastering.refuse_stand_in(target);
    IF NOT mastering.lock_token(token) THEN
        RAISE EXCEPTION 'the release is being worked on by another session' USING ERRCODE = '55P03';
    END IF;
    SELECT * INTO taken FROM mastering.release_token t WHERE t.token = do_receive_release.token;
    IF FOUND THEN
        IF taken.state = 'void' THEN
            RAISE EXCEPTION 'the release was given up before it came here' USING ERRCODE = '55000';
        ELSIF taken.target <> target THEN
            RAISE EXCEPTION 'the token is of another environment' USING ERRCODE = '42501';
        END IF;
        RETURN taken.result;
    END IF;
    BEGIN
        IF request ->> 'kind' = 'promotion' THEN
            IF (SELECT s.bundle FROM mastering.stand_in s WHERE s.environment = source) IS DISTINCT FROM request ->> 'bundle' THEN
                RAISE EXCEPTION 'environment "%" is not the bundle % any more', source, left(request ->> 'bundle', 12) USING ERRCODE = '40001', HINT = 'Somebody else sent another one meanwhile; try again.';
            END IF;
            id := mastering.local_promote(source, target, request ->> 'message', 'auto', (request ->> 'dry_run')::boolean, request ->> 'expected_head', nullif(request -> 'resolve', 'null'));
            IF request ->> 'what' = 'data' AND NOT (request ->> 'dry_run')::boolean THEN
                result := jsonb_build_object('loaded', mastering.load_landed(target, source));
            END IF;
        ELSE
            id := mastering.local_rollback(target, request ->> 'to_state', request ->> 'what', request ->> 'message');
            result := jsonb_build_object('undone', (SELECT jsonb_agg(r.release_id) FROM mastering.release r WHERE r.target = work.target AND r.kind = 'promotion' AND r.state = 'rolled back'));
        END IF;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        result := jsonb_build_object('error', jsonb_build_object('sqlstate', code, 'message', message, 'detail', detail, 'hint', hint));
        -- What failed, or waits, was written down by a worker.
        SELECT r.release_id, CASE WHEN r.state IN ('proposed', 'prepared') THEN 'waiting' ELSE 'failed' END INTO id, state_name
          FROM mastering.release r WHERE r.target = work.target AND r.source = work.source AND r.kind = 'promotion'
           AND (r.state = 'failed' AND r.created_at >= began OR r.state IN ('proposed', 'prepared') AND r.proposal ? 'prepared_hash' AND code = '55000')
         ORDER BY r.release_id DESC LIMIT 1;
        state_name := coalesce(state_name, 'failed');
    END;
    result := coalesce(result, '{}') || jsonb_build_object('state', state_name, 'release', id, 'checks', mastering.checks_of_release(target, id), 'platform', mastering.platform(), 'database', current_database(),
        'changes', (SELECT r.proposal -> 'changes' FROM mastering.release r WHERE r.release_id = id), 'runs', (SELECT r.proposal -> 'runs' FROM mastering.release r WHERE r.release_id = id));
    INSERT INTO mastering.release_token (token, target, state, result, role) VALUES (token, target, state_name, result, mastering.caller());
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.do_receive_release(uuid, jsonb) IS 'Behind receive_release.';
CREATE FUNCTION mastering.receive_release(token uuid, request jsonb) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_release(uuid, jsonb) IS 'Promotes or rolls back an environment for another database, once for each token, and answers with how it went. Another database calls it.';

CREATE FUNCTION mastering.do_settle_release(token uuid, target text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken mastering.release_token;
BEGIN
    PERFORM mastering.require(target, 'admin');
    IF NOT mastering.lock_token(token) THEN
        RETURN '{"state": "running"}';
    END IF;
    SELECT * INTO taken FROM mastering.release_token t WHERE t.token = do_settle_release.token;
    IF NOT FOUND THEN
        INSERT INTO mastering.release_token (token, target, state, role) VALUES (token, target, 'void', mastering.caller());
        RETURN '{"state": "void"}';
    ELSIF taken.target <> target THEN
        RAISE EXCEPTION 'the token is of another environment' USING ERRCODE = '42501';
    END IF;
    RETURN taken.result || jsonb_build_object('state', taken.state);
END
$$;
COMMENT ON FUNCTION mastering.do_settle_release(uuid, text) IS 'Behind settle_release.';
CREATE FUNCTION mastering.settle_release(token uuid, target text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.settle_release(uuid, text) IS 'How the release of a token ended; one that did not come is void from now on; running: somebody is at it. Another database calls it.';

CREATE FUNCTION mastering.do_receive_plan(source text, target text) RETURNS jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('action', p.action, 'subject', p.subject, 'blocked', p.blocked, 'detail',
                                                 p.detail || CASE WHEN r.passed THEN '; passed last time' WHEN NOT r.passed THEN format('; failed last time: %s', coalesce(r.error, r.row_count || ' rows')) ELSE '' END) ORDER BY p.step), '[]')
      FROM mastering.local_plan(source, target) p
      LEFT JOIN LATERAL (SELECT c.passed, c.error, c.row_count FROM mastering.check_result c
                          WHERE p.action = 'check' AND c.environment = target AND mastering.path('entity', c.entity, 'check', c.check_name) = p.subject ORDER BY c.result_id DESC LIMIT 1) r ON true
$$;
COMMENT ON FUNCTION mastering.do_receive_plan(text, text) IS 'Behind receive_plan.';
CREATE FUNCTION mastering.receive_plan(source text, target text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_plan(text, text) IS 'The plan of a promotion, with what each check found last. Another database calls it.';

CREATE FUNCTION mastering.do_receive_conflicts(source text, target text) RETURNS jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM mastering.local_merge_conflicts(source, target) c $$;
COMMENT ON FUNCTION mastering.do_receive_conflicts(text, text) IS 'Behind receive_conflicts.';
CREATE FUNCTION mastering.receive_conflicts(source text, target text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_conflicts(text, text) IS 'The conflicts of a promotion. Another database calls it.';

-- ---- rows -------------------------------------------------------------------------------------------------------------

-- Rows land in a table of the stand-in's schema, of types of PostgreSQL's own and text: a type of somebody's would run
-- somebody's functions with the rights of the extension's owner. They are without length; "character" alone would be one long.
CREATE FUNCTION mastering.do_receive_rows(env_name text, link uuid, place text, step text, content jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC' AS $$
DECLARE
    stand mastering.stand_in := mastering.stand_in_of(env_name, link);
    name text := mastering.step(place, 1) || '_' || mastering.step(place, 2);
    relation text := format('%I.%I', env_name, name);
BEGIN
    IF octet_length(name) > 63 OR EXISTS (SELECT FROM jsonb_each(stand.landing) l WHERE l.key <> place AND l.value ->> 'relation' = relation) THEN    -- a/b_c and a_b/c
        relation := format('%I.%I', env_name, left(mastering.text_hash(place), 40));
    END IF;
    IF step = 'begin' THEN
        PERFORM mastering.take_lock(env_name);
        IF stand.landing -> place ->> 'content' = content ->> 'content' AND to_regclass(relation) IS NOT NULL THEN
            PERFORM mastering.share_landed(env_name);    -- whoever promotes from here may be there since
            RETURN 'known';
        END IF;
        EXECUTE format('DROP TABLE IF EXISTS %s', relation);
        EXECUTE format('CREATE TABLE %s (%s)', relation, (SELECT string_agg(format('%I %s', c.value ->> 'name',
            coalesce((SELECT format_type(t.oid, -1) FROM pg_type t WHERE t.oid = to_regtype(c.value ->> 'type') AND t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm')), 'text')), ', ' ORDER BY c.ordinality)
            FROM jsonb_array_elements(content -> 'columns') WITH ORDINALITY c));
        EXECUTE format('COMMENT ON TABLE %s IS %L', relation, format('Rows of source %s, sent from database %s', place, stand.origin ->> 'database'));
        UPDATE mastering.stand_in s SET landing = s.landing || jsonb_build_object(place, jsonb_build_object('relation', relation)) WHERE s.environment = env_name;
        RETURN 'begun';
    ELSIF step = 'rows' THEN
        EXECUTE format('INSERT INTO %s SELECT %s FROM jsonb_array_elements($1) r', stand.landing -> place ->> 'relation',
            (SELECT string_agg(format('CAST(r.value ->> %s AS %s)', a.attnum - 1, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = (stand.landing -> place ->> 'relation')::regclass AND a.attnum > 0)) USING content;
        RETURN 'taken';
    END IF;
    relation := stand.landing -> place ->> 'relation';
    PERFORM mastering.clean_landed(stand, place);
    EXECUTE 'ANALYZE ' || relation;
    UPDATE mastering.stand_in s SET landing = s.landing || jsonb_build_object(place, jsonb_build_object('relation', relation, 'content', content -> 'content', 'rows', content -> 'rows')) WHERE s.environment = env_name;
    UPDATE mastering.configuration c SET bindings = c.bindings || jsonb_build_object(place, relation), changed_at = now() WHERE c.environment = env_name;
    PERFORM mastering.share_landed(env_name);
    PERFORM mastering.audit(env_name, 'receive rows', jsonb_build_object('source', place, 'rows', content -> 'rows', 'content', content -> 'content', 'unchanged', true));
    RETURN 'done';
END
$$;
COMMENT ON FUNCTION mastering.do_receive_rows(text, uuid, text, text, jsonb) IS 'Behind receive_rows.';
CREATE FUNCTION mastering.receive_rows(env text, link uuid, place text, step text, content jsonb) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.receive_rows(text, uuid, text, text, jsonb) IS 'Takes rows of a source, in batches: begin, rows, end. Another database calls it.';

REVOKE ALL ON FUNCTION mastering.lock_token(uuid), mastering.checks_of_release(text, bigint), mastering.load_landed(text, text) FROM PUBLIC;
