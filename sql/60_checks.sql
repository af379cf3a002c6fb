-- 60_checks.sql: checks. A check is a query that returns the rows that break a rule; it runs as its environment's
-- owner, with the views of the environment, or of what it is going to be, first on the search_path.

-- options: max_rows and max_share (of the rows of the query "of") that a check may find, "keep" how many of them are
-- stored; {published} in a check "against" what is published stands for the schema of that, which has to have "columns".
CREATE FUNCTION mastering.check_document(check_name text, query text, severity_name text, stage_name text, options jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    body text;
BEGIN
    IF check_name IS NULL OR check_name = '' OR octet_length(check_name) > 200 THEN
        RAISE EXCEPTION 'invalid name of a check: "%"', check_name USING ERRCODE = '42602';
    END IF;
    IF severity_name IS NULL OR severity_name NOT IN ('warn', 'error') THEN
        RAISE EXCEPTION 'unknown severity "%"', severity_name USING ERRCODE = '22023', HINT = 'A severity is warn or error.';
    END IF;
    IF stage_name IS NULL OR stage_name NOT IN ('load', 'run', 'promote', 'smoke') THEN
        RAISE EXCEPTION 'unknown stage "%"', stage_name USING ERRCODE = '22023', HINT = 'A stage is load, run, promote or smoke.';
    END IF;
    IF options - '{max_rows,max_share,of,keep,against,columns}'::text[] <> '{}'
       OR options @? '$.* ? (@.type() == "null" || @.type() == "boolean" || @.type() == "object")' OR coalesce(jsonb_typeof(options -> 'columns'), 'array') <> 'array'
       OR coalesce(options ->> 'max_rows', '0') !~ '^[0-9]{1,15}$' OR coalesce(options ->> 'keep', '0') !~ '^[0-9]{1,5}$' OR coalesce(options ->> 'max_share', '0') !~ '^(0|1|0?\.[0-9]+|[01]\.0*)$'
       OR coalesce(options ->> 'against', 'published') <> 'published' THEN
        RAISE EXCEPTION 'invalid limits of a check: %', options USING ERRCODE = '22023', DETAIL = 'max_rows is 0 or more, max_share 0 to 1, keep 0 to 99999 rows.';
    END IF;
    body := mastering.query_body(CASE WHEN options ? 'against' THEN replace(query, '{published}', 'published') ELSE query END, 'query');
    IF body IS NULL THEN
        RAISE EXCEPTION 'a check needs a query' USING ERRCODE = '22004';
    END IF;
    RETURN jsonb_build_object('query', CASE WHEN options ? 'against' THEN query ELSE body END, 'severity', severity_name, 'stage', stage_name) || options
           || CASE WHEN options ? 'of' THEN jsonb_build_object('of', mastering.query_body(options ->> 'of', 'of')) ELSE '{}' END;
END
$$;
COMMENT ON FUNCTION mastering.check_document(text, text, text, text, jsonb) IS 'The document of a check, if it is one.';

CREATE FUNCTION mastering.do_add_check(env_name text, entity_name text, check_name text, query text, severity_name text, stage_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'check', check_name), mastering.check_document(check_name, query, severity_name, stage_name));
END
$$;
COMMENT ON FUNCTION mastering.do_add_check(text, text, text, text, text, text) IS 'Behind add_check.';

CREATE FUNCTION mastering.add_check(env text, entity text, name text, query text, severity text DEFAULT 'error', stage text DEFAULT 'promote') RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.add_check(text, text, text, text, text, text) IS 'A query that returns the rows that break a rule, naming the environment''s views without their schema. stage load: on the rows just loaded, each source a relation of its name with its own columns; run: on what a run made; promote: before a release; smoke: after it, before it is committed. An error stops there, a warn is recorded.';

CREATE FUNCTION mastering.do_drop_check(env_name text, entity_name text, check_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF (mastering.configuration_of(env_name)).tree ->> mastering.path('entity', entity_name, 'check', check_name) IS NULL THEN
        RAISE EXCEPTION 'check "%" of entity "%" does not exist in environment "%"', check_name, entity_name, env_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'check', check_name), NULL);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_check(text, text, text) IS 'Behind drop_check.';

CREATE FUNCTION mastering.drop_check(env text, entity text, name text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_check(text, text, text) IS 'Removes a check.';

-- Results outlive the transaction that a failed check stops, so they are noted outside of it first.
CREATE FUNCTION mastering.note_failure(detail jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_note_failure';
COMMENT ON FUNCTION mastering.note_failure(jsonb) IS 'Keeps a document in memory across the rollback of a subtransaction; NULL forgets it.';
CREATE FUNCTION mastering.noted_failure() RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_noted_failure';
COMMENT ON FUNCTION mastering.noted_failure() IS 'The document that note_failure kept.';

CREATE FUNCTION mastering.checks_of(tree jsonb, stage text, only_entity text) RETURNS TABLE (entity text, name text, content jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT mastering.step(t.key, 2), mastering.step(t.key, 4), a.content FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value
     WHERE t.key LIKE 'entity/%/check/%' AND a.content ->> 'stage' = stage AND (only_entity IS NULL OR mastering.step(t.key, 2) = only_entity) ORDER BY t.key;
END
$$;
COMMENT ON FUNCTION mastering.checks_of(jsonb, text, text) IS 'The checks of a stage in a tree, of one entity or of all.';

-- with_relations: a WITH clause before the checks' own queries, for relations that are no views of the schema.
CREATE FUNCTION mastering.run_checks(env mastering.environment, schema_name text, tree jsonb, versions jsonb, wanted_stage text, release bigint, only_entity text DEFAULT NULL, with_relations text DEFAULT '')
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
<<work>>
DECLARE
    item record;
    results jsonb := '[]';
    one jsonb;
    state_key text;
    hit bigint;
    rows jsonb;
    message text;
    versions_key text;
    failed text[] := '{}';
    query text;
    allowed bigint;
BEGIN
    FOR item IN SELECT * FROM mastering.checks_of(tree, wanted_stage, only_entity) LOOP
        CONTINUE WHEN item.content ? 'against' AND NOT mastering.is_comparable(env.name, item.entity, item.content -> 'columns');
        query := CASE WHEN item.content ? 'against' THEN replace(item.content ->> 'query', '{published}', quote_ident(env.name)) ELSE item.content ->> 'query' END;
        IF versions_key IS NULL THEN
            PERFORM mastering.complete_next_views(env.name, tree, versions) WHERE schema_name = env.name || '_next';
            versions_key := mastering.json_hash((SELECT jsonb_object_agg(v.key, mastering.version_identity(v.value)) FROM jsonb_each(versions) v));
        END IF;
        state_key := mastering.json_hash(jsonb_build_object('check', item.content, 'versions', versions_key, 'role', env.owner, 'environment', env.name));
        -- A check that looks at anything else, or at the clock, has to look again.
        CONTINUE WHEN EXISTS (SELECT FROM mastering.check_result r WHERE r.state_key = work.state_key AND r.passed)
                      AND mastering.is_reproducible(env.owner::name, format(E'%sSELECT FROM (%s\n) q', with_relations, query), mastering.artifact_path(schema_name), schema_name);
        hit := NULL;
        rows := NULL;
        message := NULL;
        BEGIN
            SELECT t.n, t.sample, greatest(coalesce((item.content ->> 'max_rows')::bigint, 0), coalesce(floor((item.content ->> 'max_share')::numeric * t.total)::bigint, 0)) INTO hit, rows, allowed
              FROM mastering.query_as(env.owner::name,
                format(E'%sSELECT count(*), jsonb_agg(to_jsonb(q)) FILTER (WHERE q_row <= %s), (%s) FROM (SELECT q, row_number() OVER () AS q_row FROM (%s\n) q) q', with_relations,
                       coalesce((item.content ->> 'keep')::int, 5), CASE WHEN item.content ? 'of' THEN format(E'SELECT count(*) FROM (%s\n) total', item.content ->> 'of') ELSE 'SELECT 0::bigint' END, query),
                mastering.artifact_path(schema_name), false) AS t (n bigint, sample jsonb, total bigint);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        END;
        one := jsonb_build_object('environment', env.name, 'release_id', release, 'entity', item.entity, 'check_name', item.name, 'stage', wanted_stage,
            'severity', item.content ->> 'severity', 'passed', message IS NULL AND hit <= allowed, 'row_count', hit, 'sample', rows, 'error', message, 'state_key', state_key);
        INSERT INTO mastering.check_result (environment, release_id, entity, check_name, stage, severity, passed, row_count, sample, error, state_key)
        SELECT r.environment, r.release_id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.error, r.state_key
          FROM jsonb_populate_record(NULL::mastering.check_result, one) r;
        results := results || one;
        IF message IS NOT NULL OR hit > allowed THEN
            IF item.content ->> 'severity' = 'error' THEN
                failed := failed || format('%s.%s: %s', item.entity, item.name, coalesce(message, hit || ' rows'));
            ELSE
                RAISE WARNING 'check "%" of entity "%" found % rows', item.name, item.entity, coalesce(hit::text, message);
            END IF;
        END IF;
    END LOOP;
    IF cardinality(failed) > 0 THEN
        PERFORM mastering.note_failure(jsonb_build_object('checks', results));
        PERFORM mastering.record_outside(jsonb_build_object('checks', results, 'session_role', session_user, 'role', mastering.caller(),
            'client', host(inet_client_addr()), 'environment', env.name, 'action', 'check failed')) WHERE release IS NULL;
        RAISE EXCEPTION 'environment "%" is stopped by % failed check(s)', env.name, cardinality(failed)
            USING ERRCODE = '55000', DETAIL = array_to_string(failed, E'\n'),
                  HINT = format('SELECT * FROM mastering.check_results WHERE environment = %L AND NOT passed', env.name);
    END IF;
    RETURN results;
END
$$;
COMMENT ON FUNCTION mastering.run_checks(mastering.environment, text, jsonb, jsonb, text, bigint, text, text) IS 'Runs the checks of a stage that did not pass on this very state before; raises 55000 where one of severity error finds rows.';

-- ---- what outlives a rollback --------------------------------------------------------------------------------------

CREATE FUNCTION mastering.record_outside(payload jsonb) RETURNS boolean
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_record_outside';
COMMENT ON FUNCTION mastering.record_outside(jsonb) IS 'Has a background worker write a failure in a transaction of its own, and waits for it; false, with a warning and a line in the server''s log, where no worker can be had.';

CREATE FUNCTION mastering.write_failure(payload jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint := (payload ->> 'release_id')::bigint;
BEGIN
    IF payload ? 'remote' THEN    -- what is known of a release into another database
        PERFORM mastering.write_remote(payload);
        RETURN;
    END IF;
    IF payload ? 'release' THEN
        INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, created_at, finished_at, proposal, error, source_tree, proposal_hash)
        SELECT coalesce(r.release_id, nextval('mastering.release_id')), r.kind, r.source, r.target, coalesce(r.state, 'failed'), r.message, r.author,
               coalesce(r.created_at, clock_timestamp()), CASE WHEN coalesce(r.state, 'failed') = 'failed' THEN clock_timestamp() END, coalesce(r.proposal, '{}'), r.error, r.source_tree, r.proposal_hash
          FROM jsonb_populate_record(NULL::mastering.release, payload -> 'release') r
            ON CONFLICT ON CONSTRAINT release_pkey DO UPDATE SET state = EXCLUDED.state, proposal = EXCLUDED.proposal RETURNING release_id INTO id;
    END IF;
    INSERT INTO mastering.check_result (environment, release_id, entity, check_name, stage, severity, passed, row_count, sample, error, state_key)
    SELECT r.environment, id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.error, r.state_key
      FROM jsonb_populate_recordset(NULL::mastering.check_result, coalesce(payload -> 'checks', '[]')) r;
    INSERT INTO mastering.audit_pending (environment, session_role, role, client, action, detail)
    VALUES (payload ->> 'environment', payload ->> 'session_role', payload ->> 'role', payload ->> 'client', payload ->> 'action',
            -- Rows and values stay out of the log, from which nothing can be erased; the release and the check results have them.
            (payload - '{session_role,role,client,environment,action}'::text[]) || jsonb_strip_nulls(jsonb_build_object('release_id', id,
                'release', (payload -> 'release' #- '{source_tree}' #- '{proposal,tree}') || jsonb_build_object('error', payload #> '{release,error,sqlstate}'),
                'checks', (SELECT jsonb_agg(c.value - '{sample,error}'::text[] ORDER BY c.ordinality) FROM jsonb_array_elements(payload -> 'checks') WITH ORDINALITY c))));
    PERFORM mastering.notify(payload ->> 'action', payload ->> 'environment', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'error', left(payload -> 'release' -> 'error' ->> 'message', 1000))));
END
$$;
COMMENT ON FUNCTION mastering.write_failure(jsonb) IS 'What the background worker of record_outside runs.';
