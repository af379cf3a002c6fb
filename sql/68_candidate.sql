-- 68_candidate.sql: runs beside what is published: candidates that are made, read, checked and then published or
-- dropped; the counters of every run and their bounds; runs that turned out wrong, and bringing outputs up to date.
--
-- A candidate is a row: the versions of the outputs of some entities, the tree they were made with, and what the
-- published outputs were then. It is readable in the schema <environment>_<name>, that of the candidate "next" in the
-- one every environment has. To publish is to switch the head to these versions, and the configuration with them.

-- ---- counters and bounds -------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.brief_inputs(inputs jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('engine', inputs -> 'engine', 'entity', left(mastering.json_hash(inputs -> 'entity'), 16),
        'contents', (SELECT coalesce(jsonb_object_agg(c.key, left(mastering.json_hash(c.value), 16)), '{}') FROM jsonb_each(CASE jsonb_typeof(inputs -> 'contents') WHEN 'object' THEN inputs -> 'contents' ELSE '{}' END) c),
        'sources', (SELECT coalesce(jsonb_object_agg(c.key, left(mastering.json_hash(c.value), 16)), '{}') FROM jsonb_each(CASE jsonb_typeof(inputs -> 'sources') WHEN 'object' THEN inputs -> 'sources' ELSE '{}' END) c),
        'model', left(mastering.json_hash(inputs -> 'model'), 16),
        'curation', left(mastering.json_hash(jsonb_build_array(inputs -> 'curation', inputs -> 'erasure', inputs -> 'labels')), 16),
        'roles', left(mastering.json_hash(jsonb_strip_nulls(jsonb_build_object('sources', inputs -> 'roles', 'model', inputs -> 'role'))), 16))
$$;
COMMENT ON FUNCTION mastering.brief_inputs(jsonb) IS 'The inputs of a run as short hashes, the engine''s revision as it is.';

-- One row an entity whose outputs differ between two states of a head; reused: what the runs said about it.
CREATE FUNCTION mastering.record_runs(env_name text, kind_name text, before jsonb, after jsonb, runs jsonb, release bigint, candidate_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO mastering.run (environment, entity, kind, release_id, candidate, run_key, golden_key, engine, reused, how, counters, before, made_by)
    SELECT env_name, v.key, kind_name, release, candidate_name, v.value ->> 'run', v.value ->> 'golden', coalesce(v.value -> 'inputs' ->> 'engine', '1'),
           (SELECT r ->> 'reused' FROM jsonb_array_elements(runs) r WHERE r ->> 'entity' = v.key LIMIT 1),
           (SELECT r -> 'how' FROM jsonb_array_elements(runs) r WHERE r ->> 'entity' = v.key LIMIT 1), coalesce(v.value -> 'counters', '{}'), before -> v.key -> 'counters', mastering.caller()
      FROM jsonb_each(after) v WHERE v.value ? 'run' AND v.value IS DISTINCT FROM before -> v.key ORDER BY v.key;
END
$$;
COMMENT ON FUNCTION mastering.record_runs(text, text, jsonb, jsonb, jsonb, bigint, text) IS 'Writes down what was run or published, with its counters.';

CREATE FUNCTION mastering.counter_values(counters jsonb) RETURNS TABLE (counter text, value numeric)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.key, c.value::numeric FROM jsonb_each_text(counters - '{covered,filled}'::text[]) c
    -- A number is kept, which an increment can add to. (What versions before kept as filled were golden records: nothing to compare with.)
    UNION ALL SELECT 'filled.' || f.key, round(f.value::numeric / nullif((counters ->> 'records')::numeric, 0), 6) FROM jsonb_each_text(counters -> 'covered') f
$$;
COMMENT ON FUNCTION mastering.counter_values(jsonb) IS 'Counters as rows; filled.<attribute> is the share of records whose golden record has a value.';

-- The counters of two outputs and what their bounds say. No verdict where a bound needs what was before and nothing was.
CREATE FUNCTION mastering.judge_counters(bounds jsonb, before jsonb, after jsonb)
RETURNS TABLE (counter text, before_value numeric, after_value numeric, change double precision, bound jsonb, within boolean)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.counter, v.old, v.new, CASE WHEN v.old <> 0 THEN round((v.new - v.old) / v.old, 6)::float8 END, v.bound,
           v.bound IS NULL OR coalesce(v.new >= (v.bound ->> 'min')::numeric, true) AND coalesce(v.new <= (v.bound ->> 'max')::numeric, true)
               AND coalesce(v.new >= v.old * (1 - (v.bound ->> 'max_drop')::numeric), true) AND coalesce(v.new <= v.old * (1 + (v.bound ->> 'max_rise')::numeric), true)
      FROM (SELECT coalesce(n.counter, b.key) AS counter, o.value AS old, coalesce(n.value, 0) AS new, b.value AS bound
              FROM mastering.counter_values(after) n FULL JOIN jsonb_each(bounds) b ON b.key = n.counter
              LEFT JOIN mastering.counter_values(before) o ON o.counter = coalesce(n.counter, b.key)) v
     ORDER BY v.counter COLLATE "C"
$$;
COMMENT ON FUNCTION mastering.judge_counters(jsonb, jsonb, jsonb) IS 'Counters before and after, and whether each is within its bound.';

CREATE FUNCTION mastering.bounds_document(content jsonb, entity jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    part record;
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'bounds are an object of counters' USING ERRCODE = '22023', HINT = 'Write {"clusters": {"max_drop": 0.1}, "largest": {"max": 50, "severity": "warn"}}.';
    END IF;
    FOR item IN SELECT * FROM jsonb_each(content) LOOP
        IF item.key NOT IN ('records', 'clusters', 'largest', 'singletons', 'pairs', 'born', 'split', 'merged', 'died')
           AND item.key NOT LIKE 'drift.%' AND NOT (item.key LIKE 'filled.%' AND entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', substr(item.key, 8)))) THEN
            RAISE EXCEPTION 'unknown counter "%"', item.key USING ERRCODE = '22023', DETAIL = format('At $.%s.', item.key),
                HINT = 'The counters are records, clusters, largest, singletons, pairs, born, split, merged, died, and filled.<attribute> (a share); of increments, drift.<kind>.<name>.';
        END IF;
        IF jsonb_typeof(item.value) <> 'object' OR item.value - 'severity' = '{}' THEN
            RAISE EXCEPTION 'the bound of counter "%" is no object of min, max, max_drop and max_rise', item.key USING ERRCODE = '22023', DETAIL = format('At $.%s.', item.key);
        END IF;
        FOR part IN SELECT * FROM jsonb_each(item.value) LOOP
            IF NOT (CASE WHEN part.key IN ('min', 'max') THEN jsonb_typeof(part.value) = 'number'
                        WHEN part.key IN ('max_drop', 'max_rise') THEN jsonb_typeof(part.value) = 'number' AND part.value >= '0'
                        WHEN part.key = 'severity' THEN part.value IN ('"warn"', '"error"') ELSE false END) THEN
                RAISE EXCEPTION 'invalid bound of counter "%": %: %', item.key, part.key, part.value USING ERRCODE = '22023', DETAIL = format('At $.%s.%s.', item.key, part.key),
                    HINT = 'min and max are numbers; max_drop and max_rise shares of what was before, such as 0.1; severity is warn or error.';
            ELSIF item.key LIKE 'filled.%' AND part.key IN ('min', 'max') AND NOT part.value BETWEEN '0' AND '1' THEN
                RAISE EXCEPTION 'invalid bound of counter "%": %: %', item.key, part.key, part.value USING ERRCODE = '22023', DETAIL = format('At $.%s.%s.', item.key, part.key),
                    HINT = 'It is the share of records whose golden record has a value, from 0 to 1.';
            END IF;
        END LOOP;
    END LOOP;
    RETURN content;
END
$$;
COMMENT ON FUNCTION mastering.bounds_document(jsonb, jsonb) IS 'The bounds of an entity''s counters, if they are such.';

CREATE FUNCTION mastering.do_set_bounds(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.set_rules(env_name, entity_name, 'bounds', CASE WHEN content IS NOT NULL THEN
        mastering.bounds_document(content, mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name)) END);
END
$$;
COMMENT ON FUNCTION mastering.do_set_bounds(text, text, jsonb) IS 'Behind set_bounds.';
CREATE FUNCTION mastering.set_bounds(env text, entity text, bounds jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_bounds(text, text, jsonb) IS 'Bounds for the counters of an entity''s runs, against numbers or against what was published before: {"clusters": {"max_drop": 0.1, "max_rise": 0.1}, "largest": {"max": 50, "severity": "warn"}}; NULL for none. Runs, candidates and promotions that break one of severity error are stopped.';

-- Judged like checks and kept with their results; the outputs of entities that are the same as before are not judged again.
CREATE FUNCTION mastering.check_bounds(env mastering.environment, tree jsonb, before jsonb, after jsonb, stage_name text, release bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    results jsonb := '[]';
    failed text[] := '{}';
BEGIN
    FOR item IN SELECT v.key AS entity, j.*, coalesce(j.bound ->> 'severity', 'error') AS severity
                  FROM jsonb_each(after) v
                  JOIN mastering.artifact a ON a.hash = tree ->> mastering.path('entity', v.key, 'bounds')
                  CROSS JOIN LATERAL mastering.judge_counters(a.content, before -> v.key -> 'counters', v.value -> 'counters') j
                 WHERE v.value ? 'counters' AND v.value IS DISTINCT FROM before -> v.key AND j.bound IS NOT NULL ORDER BY v.key, j.counter LOOP
        results := results || jsonb_build_object('environment', env.name, 'release_id', release, 'entity', item.entity, 'check_name', 'bound of ' || item.counter, 'stage', stage_name,
            'severity', item.severity, 'passed', item.within, 'row_count', CASE WHEN item.within THEN 0 ELSE 1 END,
            'sample', jsonb_build_array(jsonb_build_object('counter', item.counter, 'before', item.before_value, 'after', item.after_value, 'bound', item.bound)),
            'state_key', 'bound ' || mastering.json_hash(jsonb_build_array(item.counter, item.bound, item.before_value, item.after_value)));
        IF NOT item.within AND item.severity = 'error' THEN
            failed := failed || format('%s.%s: %s, before %s, bound %s', item.entity, item.counter, item.after_value, coalesce(item.before_value::text, 'nothing'), item.bound - 'severity');
        ELSIF NOT item.within THEN
            RAISE WARNING 'counter "%" of entity "%" is out of its bound: %, before %', item.counter, item.entity, item.after_value, coalesce(item.before_value::text, 'nothing');
        END IF;
    END LOOP;
    INSERT INTO mastering.check_result (environment, release_id, entity, check_name, stage, severity, passed, row_count, sample, state_key)
    SELECT r.environment, r.release_id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.state_key
      FROM jsonb_populate_recordset(NULL::mastering.check_result, results) r;
    IF cardinality(failed) > 0 THEN
        PERFORM mastering.note_failure(jsonb_build_object('checks', results));
        PERFORM mastering.record_outside(jsonb_build_object('checks', results, 'session_role', session_user, 'role', mastering.caller(),
            'client', host(inet_client_addr()), 'environment', env.name, 'action', 'check failed')) WHERE release IS NULL;
        RAISE EXCEPTION 'environment "%" is stopped by % counter(s) out of bounds', env.name, cardinality(failed)
            USING ERRCODE = '55000', DETAIL = array_to_string(failed, E'\n'),
                  HINT = format('SELECT * FROM mastering.check_results WHERE environment = %L AND NOT passed', env.name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.check_bounds(mastering.environment, jsonb, jsonb, jsonb, text, bigint) IS 'Holds the counters of new outputs against their bounds; raises 55000 where one of severity error is broken.';

CREATE FUNCTION mastering.do_run_counters(env_name text, entity_name text, candidate_name text)
RETURNS TABLE (counter text, before double precision, after double precision, change double precision, bound jsonb, within boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    state mastering.state := mastering.current_state(env_name);
    shown jsonb;
    last jsonb;
BEGIN
    IF candidate_name IS NULL THEN
        SELECT r.counters, r.before INTO shown, last FROM mastering.run r
         WHERE r.environment = env_name AND r.entity = entity_name AND r.kind <> 'candidate' AND r.made_at >= env.created_at ORDER BY r.run_id DESC LIMIT 1;
    ELSE
        SELECT c.versions -> entity_name -> 'counters', state.versions -> entity_name -> 'counters' INTO shown, last
          FROM mastering.candidate c WHERE c.environment = env_name AND c.name = candidate_name;
    END IF;
    IF shown IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no % in environment "%"', entity_name, CASE WHEN candidate_name IS NULL THEN 'run' ELSE format('candidate "%s"', candidate_name) END, env_name USING ERRCODE = '42704';
    END IF;
    RETURN QUERY SELECT j.counter, j.before_value::float8, j.after_value::float8, j.change, j.bound, CASE WHEN j.bound IS NOT NULL THEN j.within END
      FROM mastering.judge_counters(mastering.artifact_at(state.tree, mastering.path('entity', entity_name, 'bounds')), last, shown) j;
END
$$;
COMMENT ON FUNCTION mastering.do_run_counters(text, text, text) IS 'Behind run_counters.';
CREATE FUNCTION mastering.run_counters(env text, entity text, candidate text DEFAULT NULL)
RETURNS TABLE (counter text, before double precision, after double precision, change double precision, bound jsonb, within boolean)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.run_counters(text, text, text) IS 'The counters of an entity''s last run, or of a candidate, beside those of what was published before, with their bounds. pairs: of records in one cluster; change: as a share of before.';

CREATE VIEW mastering.runs WITH (security_barrier) AS
    SELECT r.environment, r.run_id, r.entity, r.kind, r.release_id, r.candidate, r.reused, r.how, r.engine, r.counters, r.before,
           EXISTS (SELECT FROM mastering.discarded_key d WHERE d.key = r.run_key) AS discarded, r.made_by, r.made_at
      FROM mastering.run r WHERE mastering.visible(r.environment, r.made_at);
COMMENT ON VIEW mastering.runs IS 'What was run or published, with its counters and those of what was published before. engine: the revision of the engine that made it.';

-- ---- candidates ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.schemas_of(env_name text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT env_name UNION SELECT env_name || '_next' UNION SELECT c.schema_name FROM mastering.candidate c WHERE c.environment = env_name ORDER BY 1
$$;
COMMENT ON FUNCTION mastering.schemas_of(text) IS 'The schemas that show an environment, what it is going to be, and its candidates.';

CREATE FUNCTION mastering.revoke_views(env_name text, reader text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE (SELECT string_agg(format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I; REVOKE USAGE ON SCHEMA %I FROM %I', s, reader, s, reader), ';') FROM mastering.schemas_of(env_name) s);
END
$$;
COMMENT ON FUNCTION mastering.revoke_views(text, text) IS 'Takes all views of an environment from a role.';

CREATE FUNCTION mastering.output_hash(versions jsonb, entities text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.json_hash(coalesce(jsonb_object_agg(v.key, coalesce(v.value -> 'origin', v.value -> 'hash')), '{}')) FROM jsonb_each(versions) v CROSS JOIN unnest(entities) e
     WHERE v.key IN (e, e || '_records', e || '_members', e || '_lineage', e || '_history', e || '_keys')
$$;
COMMENT ON FUNCTION mastering.output_hash(jsonb, text[]) IS 'One hash for all that is published of some entities.';

CREATE FUNCTION mastering.candidate_named(env_name text, candidate_name text) RETURNS mastering.candidate
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit mastering.candidate;
BEGIN
    SELECT * INTO hit FROM mastering.candidate c WHERE c.environment = env_name AND c.name = candidate_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" has no candidate "%"', env_name, candidate_name
            USING ERRCODE = '42704', HINT = format('SELECT mastering.candidate(%L%s)', env_name, CASE WHEN candidate_name <> 'next' THEN format(', %L', candidate_name) ELSE '' END);
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.candidate_named(text, text) IS 'A candidate of an environment, or an error.';

-- Steps of other runs use the _next schema too, so the candidate there is shown anew where it matters.
CREATE FUNCTION mastering.show_candidate(env_name text, candidate_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    shown mastering.candidate := (SELECT c FROM mastering.candidate c WHERE c.environment = env_name AND c.name = candidate_name);
    versions jsonb;
    entity_name text;
    stale text;
    changed boolean := false;
BEGIN
    IF shown.name IS NULL THEN
        RETURN;
    END IF;
    versions := (mastering.current_state(env_name)).versions || shown.versions;
    PERFORM mastering.set_head(shown.schema_name, work.versions)
      FROM mastering.head h WHERE h.environment = shown.schema_name AND h.versions IS DISTINCT FROM work.versions;
    FOR entity_name IN SELECT * FROM mastering.entities_of(shown.tree) LOOP
        changed := mastering.sync_entity_views(shown.schema_name, entity_name,
            coalesce(mastering.artifact_at(versions -> entity_name -> 'tree', mastering.path('entity', entity_name)), mastering.artifact_at(shown.tree, mastering.path('entity', entity_name))),
            versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.show_candidate(text, text) IS 'Brings the schema of a candidate to what the candidate holds.';

CREATE FUNCTION mastering.create_candidate_schema(env_name text, schema_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT has_database_privilege(mastering.caller(), current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to make schema "%" for a candidate', schema_name
            USING ERRCODE = '42501', DETAIL = format('Role "%s" may not create schemas in this database.', mastering.caller()),
                  HINT = format('The candidate without a name, SELECT mastering.candidate(%L), needs none.', env_name);
    END IF;
    PERFORM mastering.create_head(schema_name, 'anchor_' || left(mastering.text_hash(schema_name), 32));
    EXECUTE format('CREATE SCHEMA %I', schema_name);
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', schema_name, 'Candidate of environment ' || env_name || ' of the extension mastering');
EXCEPTION WHEN unique_violation OR duplicate_schema OR duplicate_table THEN
    RAISE EXCEPTION 'schema "%" is there already and shows no candidate of environment "%"', schema_name, env_name
        USING ERRCODE = '42P06', HINT = 'Give the candidate another name.';
END
$$;
COMMENT ON FUNCTION mastering.create_candidate_schema(text, text) IS 'Makes the schema that a named candidate is read in.';

CREATE FUNCTION mastering.remove_candidate(env_name text, candidate_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone mastering.candidate;
BEGIN
    DELETE FROM mastering.candidate c WHERE c.environment = env_name AND c.name = candidate_name RETURNING * INTO gone;
    IF gone.schema_name = env_name || '_next' THEN
        RETURN;
    END IF;
    PERFORM mastering.drop_views(gone.schema_name);
    EXECUTE format('DROP SCHEMA %I RESTRICT', gone.schema_name);
    EXECUTE (SELECT format('DROP TABLE mastering.%I', h.anchor) FROM mastering.head h WHERE h.environment = gone.schema_name);
    DELETE FROM mastering.head h WHERE h.environment = gone.schema_name;
    DELETE FROM mastering.environment_view v WHERE v.environment = gone.schema_name;
END
$$;
COMMENT ON FUNCTION mastering.remove_candidate(text, text) IS 'Removes a candidate and, where it has one of its own, its schema.';

-- Checks of the stages run and promote, and bounds, on outputs that are not published.
CREATE FUNCTION mastering.check_candidate(env mastering.environment, shown mastering.candidate, tree jsonb, published jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
BEGIN
    PERFORM mastering.check_bounds(env, tree, published, shown.versions, 'run', NULL);
    FOREACH entity_name IN ARRAY shown.entities LOOP
        PERFORM mastering.run_checks(env, shown.schema_name, tree, published || shown.versions, 'run', NULL, entity_name);
        PERFORM mastering.run_checks(env, shown.schema_name, tree, published || shown.versions, 'promote', NULL, entity_name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.check_candidate(mastering.environment, mastering.candidate, jsonb, jsonb) IS 'Runs the gates of a candidate; raises 55000 where one is closed.';

CREATE FUNCTION mastering.do_candidate(env_name text, candidate_name text, only_entity text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'loader');
    state mastering.state;
    made mastering.candidate;
    scratch jsonb;
    entity_name text;
    outputs jsonb;
    runs jsonb := '[]';
    code text;
    message text;
    detail text;
BEGIN
    IF candidate_name IS NULL OR candidate_name = '' OR candidate_name ~ '[@~#/]' OR candidate_name ~ '._next$' OR octet_length(env_name || '_' || candidate_name) > 63 THEN
        RAISE EXCEPTION 'invalid name of a candidate: "%"', candidate_name
            USING ERRCODE = '42602', DETAIL = 'With its environment''s name before it, it has up to 62 bytes; it has none of @ ~ # / and does not end in _next.';
    END IF;
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    PERFORM mastering.refresh_labels(env_name, e) FROM mastering.entities_of((mastering.configuration_of(env_name)).tree) e WHERE only_entity IS NULL OR e = only_entity;
    state := mastering.current_state(env_name);
    IF only_entity IS NOT NULL THEN
        PERFORM mastering.require_entity(state.tree, env_name, only_entity);
    END IF;
    made.entities := ARRAY(SELECT e FROM mastering.entities_of(state.tree) e WHERE e = only_entity
                           OR (only_entity IS NULL AND state.tree ->> mastering.path('entity', e, 'model') IS NOT NULL));
    IF made.entities = '{}' THEN
        RAISE EXCEPTION 'environment "%" has no entity with a model', env_name USING ERRCODE = '55000', HINT = coalesce((SELECT format('SELECT mastering.train(%L, %L)', env_name, min(e)) FROM mastering.entities_of(state.tree) e HAVING min(e) IS NOT NULL),
            format('SELECT mastering.define_entity(%L, ''entity'', ''{"name": "text"}'')', env_name));
    END IF;
    made.environment := env_name;
    made.name := candidate_name;
    made.schema_name := env_name || '_' || candidate_name;
    made.tree := state.tree;
    made.data := state.data;
    made.base := mastering.output_hash(state.versions, made.entities);
    made.versions := '{}';
    made.made_by := mastering.caller();
    made.made_at := clock_timestamp();
    IF candidate_name <> 'next' AND NOT EXISTS (SELECT FROM mastering.candidate c WHERE c.environment = env_name AND c.name = candidate_name) THEN
        PERFORM mastering.create_candidate_schema(env_name, made.schema_name);
    END IF;

    SELECT h.versions INTO scratch FROM mastering.head h WHERE h.environment = env_name || '_next';
    FOREACH entity_name IN ARRAY made.entities LOOP
        outputs := mastering.make_outputs(env, entity_name, state.tree, state.data, state.versions);
        made.versions := made.versions || (outputs -> 'versions');
        runs := runs || (jsonb_build_object('entity', entity_name, 'reused', outputs -> 'reused') || CASE WHEN outputs -> 'how' <> '{}' THEN jsonb_build_object('how', outputs -> 'how') ELSE '{}' END || coalesce(outputs -> 'versions' -> entity_name -> 'counters', '{}') - '{covered,filled}'::text[]);
    END LOOP;
    DELETE FROM mastering.candidate c WHERE c.environment = env_name AND c.name = candidate_name;
    INSERT INTO mastering.candidate SELECT made.*;
    IF candidate_name <> 'next' THEN
        PERFORM mastering.set_head(env_name || '_next', scratch);
        PERFORM mastering.show_candidate(env_name, 'next');
    END IF;
    PERFORM mastering.show_candidate(env_name, candidate_name);
    PERFORM mastering.apply_grants(env_name);

    PERFORM mastering.note_failure(NULL);
    BEGIN
        PERFORM mastering.check_candidate(env, made, state.tree, state.versions);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        IF mastering.noted_failure() -> 'checks' IS NULL THEN
            RAISE;
        END IF;
        made.failure := concat_ws(': ', message, detail);
        RAISE WARNING '%', message USING DETAIL = detail, HINT = format('It can be read in schema %I, and not be published like this.', made.schema_name);
    END;
    PERFORM mastering.note_failure(NULL);
    UPDATE mastering.candidate c SET failure = made.failure WHERE c.environment = env_name AND c.name = candidate_name;
    PERFORM mastering.record_runs(env_name, 'candidate', state.versions, made.versions, runs, NULL, candidate_name);
    PERFORM mastering.audit(env_name, 'candidate', jsonb_build_object('candidate', candidate_name, 'runs', runs, 'passed', made.failure IS NULL));
    PERFORM mastering.notify('candidate', env_name, jsonb_build_object('candidate', candidate_name, 'passed', made.failure IS NULL));
    RETURN jsonb_build_object('candidate', candidate_name, 'schema', made.schema_name, 'passed', made.failure IS NULL, 'runs', runs);
END
$$;
COMMENT ON FUNCTION mastering.do_candidate(text, text, text) IS 'Behind candidate.';

CREATE FUNCTION mastering.candidate(env text, name text DEFAULT 'next', entity text DEFAULT NULL) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.candidate(text, text, text) IS 'Runs the configuration and data at hand and publishes nothing: the outputs are read in schema <env>_next, or <env>_<name>, and the checks of runs and promotions are tried on them. publish() makes them what the environment shows. Several names: several models side by side.';

CREATE FUNCTION mastering.do_publish(env_name text, candidate_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'loader');
    shown mastering.candidate;
    state mastering.state;
    paths text[];
    path text;
    entity_name text;
    before text;
    after text;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;
    shown := mastering.candidate_named(env_name, candidate_name);
    state := mastering.current_state(env_name);
    IF shown.base <> mastering.output_hash(state.versions, shown.entities) THEN
        RAISE EXCEPTION 'candidate "%" of environment "%" does not go on from what is published', candidate_name, env_name
            USING ERRCODE = '40001', DETAIL = 'Other outputs were published since it was made.',
                  HINT = format('SELECT mastering.candidate(%L, %L), then publish that.', env_name, candidate_name);
    END IF;
    IF EXISTS (SELECT FROM jsonb_each(shown.versions) v JOIN mastering.discarded_key d ON d.key = v.value ->> 'run') THEN
        RAISE EXCEPTION 'a run of candidate "%" of environment "%" was discarded', candidate_name, env_name
            USING ERRCODE = '55000', HINT = format('SELECT mastering.candidate(%L, %L), then publish that.', env_name, candidate_name);
    END IF;
    -- What is published was made by the configuration in force: the candidate brings its own. What is demanded of
    -- outputs, and what people have decided about records since, stays what it is now.
    paths := ARRAY(SELECT coalesce(x.key, y.key) FROM jsonb_each_text(state.tree) x FULL JOIN jsonb_each_text(shown.tree) y ON y.key = x.key
                    WHERE x.value IS DISTINCT FROM y.value AND coalesce(x.key, y.key) LIKE 'entity/%' AND mastering.step(coalesce(x.key, y.key), 2) = ANY (shown.entities)
                      AND mastering.step(coalesce(x.key, y.key), 3) IN ('', 'source', 'blocking', 'comparisons', 'clustering', 'model', 'survivorship') ORDER BY 1);
    IF paths <> '{}' THEN
        PERFORM mastering.require_author(env_name);
    END IF;
    PERFORM mastering.show_candidate(env_name, candidate_name);
    PERFORM mastering.check_candidate(env, shown, state.tree, state.versions);
    before := mastering.snapshot_before(env_name, format('before publishing candidate %s', candidate_name));
    FOREACH path IN ARRAY paths LOOP
        PERFORM mastering.set_artifact(env_name, path, mastering.artifact_at(shown.tree, path));
    END LOOP;
    PERFORM mastering.set_head(env_name, state.versions || shown.versions);
    FOREACH entity_name IN ARRAY shown.entities LOOP
        PERFORM mastering.sync_views(env_name, entity_name);
        PERFORM mastering.run_checks(env, env_name, state.tree, state.versions || shown.versions, 'smoke', NULL, entity_name);
    END LOOP;
    after := mastering.take_snapshot(env_name, format('candidate %s', candidate_name), NULL);
    PERFORM mastering.record_runs(env_name, 'publish', state.versions, shown.versions, '[]', NULL, candidate_name);
    PERFORM mastering.remove_candidate(env_name, candidate_name);
    PERFORM mastering.audit(env_name, 'publish', jsonb_build_object('candidate', candidate_name, 'entities', shown.entities, 'configuration', paths, 'before', before, 'after', after));
    PERFORM mastering.notify('publish', env_name, jsonb_build_object('candidate', candidate_name, 'entities', shown.entities));
    RETURN jsonb_build_object('candidate', candidate_name, 'entities', shown.entities, 'configuration', paths, 'before', '#' || left(before, 12), 'after', '#' || left(after, 12));
END
$$;
COMMENT ON FUNCTION mastering.do_publish(text, text) IS 'Behind publish.';

CREATE FUNCTION mastering.publish(env text, candidate text DEFAULT 'next') RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.publish(text, text) IS 'Makes a candidate what the environment shows, in one short transaction, if its gates let it; 40001 where other outputs were published since it was made. Configuration that was changed since then becomes the candidate''s again and is named. before: the state to roll back to.';

CREATE FUNCTION mastering.do_drop_candidate(env_name text, candidate_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'loader');
    PERFORM mastering.lock_environment(env_name);
    PERFORM mastering.candidate_named(env_name, candidate_name);
    PERFORM mastering.remove_candidate(env_name, candidate_name);
    PERFORM mastering.audit(env_name, 'drop candidate', jsonb_build_object('candidate', candidate_name));
END
$$;
COMMENT ON FUNCTION mastering.do_drop_candidate(text, text) IS 'Behind drop_candidate.';

CREATE FUNCTION mastering.drop_candidate(env text, candidate text DEFAULT 'next') RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_candidate(text, text) IS 'Drops a candidate and the schema it was read in.';

CREATE VIEW mastering.candidates WITH (security_barrier) AS
    SELECT c.environment, c.name, c.schema_name, c.entities, c.failure IS NULL AS passed, c.failure,
           c.base <> mastering.output_hash(h.versions, c.entities) AS outdated, c.made_by, c.made_at
      FROM mastering.candidate c JOIN mastering.head h ON h.environment = c.environment WHERE mastering.visible(c.environment, c.made_at);
COMMENT ON VIEW mastering.candidates IS 'Outputs that were made and not published. outdated: others were published since.';

-- Works with the caller's rights: it reads views.
CREATE FUNCTION mastering.compare_candidates(env text, entity text, a text DEFAULT NULL, b text DEFAULT 'next')
RETURNS TABLE (kind text, clusters bigint, records bigint, examples jsonb, meaning text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 6 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    side text;
BEGIN
    IF env IS NULL OR entity IS NULL THEN
        RAISE EXCEPTION 'environment and entity must not be NULL' USING ERRCODE = '22004', HINT = 'SELECT name FROM mastering.environments';
    END IF;
    FOREACH side IN ARRAY ARRAY[a, b] LOOP
        IF to_regclass(format('%I.%I', env || coalesce('_' || side, ''), entity || '_members')) IS NULL THEN
            RAISE EXCEPTION 'environment "%" shows no clusters of entity "%"%', env, entity, CASE WHEN side IS NULL THEN '' ELSE format(' in candidate "%s"', side) END
                USING ERRCODE = '42704', HINT = CASE WHEN side IS NULL THEN 'SELECT name FROM mastering.environments' ELSE 'SELECT environment, name, schema_name FROM mastering.candidates' END;
        END IF;
    END LOOP;
    RETURN QUERY SELECT c.* FROM mastering.compare_clusters(
        format('SELECT m.source || '':'' || m.record_key AS id, m.cluster_id FROM %I.%I m', env || coalesce('_' || a, ''), entity || '_members'),
        format('SELECT m.source || '':'' || m.record_key AS id, m.cluster_id FROM %I.%I m', env || coalesce('_' || b, ''), entity || '_members')) c;
END
$$;
COMMENT ON FUNCTION mastering.compare_candidates(text, text, text, text) IS 'What differs between the clusters of two candidates, as compare_clusters says it; NULL is what is published.';

-- ---- runs that turned out wrong ------------------------------------------------------------------------------------

CREATE FUNCTION mastering.live_key(key text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result text := key;
BEGIN
    WHILE EXISTS (SELECT FROM mastering.discarded_key d WHERE d.key = result) LOOP
        result := mastering.text_hash(result || ' again');
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.live_key(text) IS 'A key, or the one that takes its place after what it stood for was discarded.';

CREATE FUNCTION mastering.do_discard_run(env_name text, id bigint, reason_text text) RETURNS TABLE (environment text, entity text, shown boolean)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    env mastering.environment := mastering.require(env_name, 'admin');
    bad mastering.run;
    segments int[];
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO bad FROM mastering.run r WHERE r.run_id = id AND r.environment = env_name AND r.made_at >= env.created_at;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" has no run %', env_name, id USING ERRCODE = '42704', HINT = format('SELECT * FROM mastering.runs WHERE environment = %L', env_name);
    END IF;
    IF EXISTS (SELECT FROM mastering.discarded_key d WHERE d.key = bad.run_key) THEN
        RAISE EXCEPTION 'run % of environment "%" is discarded already', id, env_name USING ERRCODE = '55000';
    END IF;
    -- It is taken from all who have it.
    PERFORM mastering.require(r.environment, 'admin') FROM (SELECT DISTINCT x.environment FROM mastering.run x JOIN mastering.environment e ON e.name = x.environment AND x.made_at >= e.created_at
                                                             WHERE x.run_key = bad.run_key) r;
    -- Records that were mapped for this run and for no other go with it.
    segments := ARRAY(SELECT s::int FROM mastering.output o CROSS JOIN LATERAL jsonb_array_elements_text(o.versions -> (bad.entity || '_records') -> 'segments') s
                       WHERE o.run_key = bad.run_key AND o.entity = bad.entity
                      EXCEPT
                      SELECT s::int FROM mastering.output o CROSS JOIN LATERAL jsonb_array_elements_text(o.versions -> (bad.entity || '_records') -> 'segments') s
                       WHERE o.run_key <> bad.run_key AND o.entity = bad.entity);
    INSERT INTO mastering.discarded_key (key, run_id, reason, discarded_by)
    SELECT k, id, reason_text, mastering.caller() FROM (SELECT bad.run_key UNION SELECT g.derived_from FROM mastering.segment g WHERE g.segment_id = ANY (segments) AND g.derived_from IS NOT NULL) x (k)
    ON CONFLICT DO NOTHING;
    DELETE FROM mastering.output o WHERE o.run_key = bad.run_key AND o.entity = bad.entity;
    PERFORM mastering.audit(env_name, 'discard run', jsonb_strip_nulls(jsonb_build_object('run_id', id, 'entity', bad.entity, 'run', bad.run_key, 'reason', reason_text)));
    RETURN QUERY SELECT e.name, bad.entity, true FROM mastering.environment e JOIN mastering.head h ON h.environment = e.name
                  WHERE h.versions -> bad.entity ->> 'run' = bad.run_key AND mastering.may(e.name, 'author', 'curator', 'reviewer', 'loader') ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.do_discard_run(text, bigint, text) IS 'Behind discard_run.';

CREATE FUNCTION mastering.discard_run(env text, run bigint, reason text DEFAULT NULL) RETURNS TABLE (environment text, entity text, shown boolean)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.discard_run(text, bigint, text) IS 'Removes the output of a run that turned out wrong, so that no run and no promotion finds it again, and names the environments that still show it: backfill makes it anew there. What they show stays until then.';

CREATE FUNCTION mastering.do_backfill(env_name text, only_entity text) RETURNS TABLE (entity text, outcome text, run jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config mastering.configuration;
    missing text;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'loader');
    PERFORM mastering.lock_environment(env_name);
    config := mastering.configuration_of(env_name);
    IF only_entity IS NOT NULL THEN
        PERFORM mastering.require_entity(config.tree, env_name, only_entity);
    END IF;
    FOR entity IN SELECT e FROM mastering.entities_of(config.tree) e WHERE only_entity IS NULL OR e = only_entity LOOP
        run := NULL;
        SELECT string_agg(s.name, ', ') INTO missing FROM mastering.sources_of(config.tree, entity) s WHERE NOT config.data ? mastering.path(entity, s.name);
        IF config.tree ->> mastering.path('entity', entity, 'model') IS NULL THEN
            outcome := 'no model';
        ELSIF missing IS NOT NULL OR NOT EXISTS (SELECT FROM mastering.sources_of(config.tree, entity)) THEN
            outcome := coalesce('not loaded: ' || missing, 'no source');
        ELSE
            run := mastering.do_master(env_name, entity);
            outcome := CASE run ->> 'reused' WHEN 'published' THEN 'up to date' WHEN 'output' THEN 'found' ELSE 'run' END;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_backfill(text, text) IS 'Behind backfill.';

CREATE FUNCTION mastering.backfill(env text, entity text DEFAULT NULL) RETURNS TABLE (entity_name text, outcome text, run jsonb)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.backfill(text, text) IS 'Brings the outputs of an environment, or of one entity, up to date with its data under the configuration in force, all in one transaction. What is up to date is not run again.';

-- Why a run is found, or is not; for plan().
CREATE FUNCTION mastering.explain_run(env mastering.environment, entity_name text, old_tree jsonb, tree jsonb, data jsonb, published jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    shown jsonb := published -> entity_name;
    inputs jsonb;
    brief jsonb;
    plain_key text;
    run_key text;
    golden_key text;
    hit mastering.output;
    differs text[];
    message text;
BEGIN
    IF tree ->> mastering.path('entity', entity_name, 'model') IS NULL THEN
        RETURN 'no model: nothing to run';
    END IF;
    IF shown IS NOT NULL AND entity_name <> ALL (mastering.changed_entities(old_tree, tree)) THEN
        RETURN 'unchanged: what is published stays';
    END IF;
    IF EXISTS (SELECT FROM mastering.sources_of(tree, entity_name) s WHERE NOT data ? mastering.path(entity_name, s.name)) THEN
        RETURN 'found by content where it was run before';
    END IF;
    BEGIN
        inputs := mastering.run_inputs(env, entity_name, tree, data);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        RETURN message;
    END;
    plain_key := mastering.json_hash(inputs);
    run_key := mastering.live_key(plain_key);
    golden_key := (mastering.golden_keys(env.name, entity_name, tree)).golden_key;
    brief := mastering.brief_inputs(inputs);
    IF shown ->> 'run' = run_key THEN
        RETURN CASE WHEN shown ->> 'golden' = golden_key THEN 'found: it is what is published' ELSE 'clusters found, as they are published; golden records made under other rules' END;
    END IF;
    SELECT * INTO hit FROM mastering.output o WHERE o.run_key = work.run_key ORDER BY o.golden_key = work.golden_key DESC, o.made_at LIMIT 1;
    IF FOUND THEN
        RETURN format('clusters found, as environment "%s" ran them; ids and golden records %s', hit.made_in,
                      CASE WHEN shown IS NULL AND hit.golden_key = golden_key THEN 'too' ELSE 'go on from what is published' END);
    END IF;
    IF run_key <> plain_key THEN
        RETURN 'run: the earlier run was discarded' || coalesce((SELECT ' (' || d.reason || ')' FROM mastering.discarded_key d WHERE d.key = plain_key), '');
    END IF;
    SELECT * INTO hit FROM mastering.output o WHERE o.entity = entity_name AND o.inputs - 'engine' = brief - 'engine' ORDER BY o.made_at DESC LIMIT 1;
    IF FOUND THEN
        RETURN format('run: environment "%s" ran it with engine %s, and this is engine %s', hit.made_in, hit.inputs ->> 'engine', brief ->> 'engine');
    END IF;
    IF shown IS NULL THEN
        RETURN 'run: nothing is published yet';
    END IF;
    IF NOT shown ? 'inputs' THEN
        RETURN format('run: what is published was made by engine 1, and this is engine %s', brief ->> 'engine');
    END IF;
    SELECT array_agg(d ORDER BY n) INTO differs FROM (
        SELECT 1, 'the attributes' WHERE brief -> 'entity' <> shown -> 'inputs' -> 'entity'
        UNION ALL SELECT 2, 'the data of source ' || k FROM jsonb_object_keys((brief -> 'contents') || (shown -> 'inputs' -> 'contents')) k WHERE brief -> 'contents' -> k IS DISTINCT FROM shown -> 'inputs' -> 'contents' -> k
        UNION ALL SELECT 3, 'the mapping of source ' || k FROM jsonb_object_keys((brief -> 'sources') || (shown -> 'inputs' -> 'sources')) k WHERE brief -> 'sources' -> k IS DISTINCT FROM shown -> 'inputs' -> 'sources' -> k
        UNION ALL SELECT 4, 'the model or its threshold' WHERE brief -> 'model' <> shown -> 'inputs' -> 'model'
        UNION ALL SELECT 5, 'labels, what stewards decided or what was erased' WHERE brief -> 'curation' <> shown -> 'inputs' -> 'curation'
        UNION ALL SELECT 5, 'who may read what its text looks up' WHERE brief -> 'roles' <> shown -> 'inputs' -> 'roles'
        UNION ALL SELECT 6, format('the engine (%s, now %s)', shown -> 'inputs' ->> 'engine', brief ->> 'engine') WHERE brief -> 'engine' <> shown -> 'inputs' -> 'engine') x (n, d);
    message := mastering.why_full(env, entity_name, inputs, mastering.model_of(tree, env.name, entity_name),
        (SELECT jsonb_object_agg(substr(p.key, length(entity_name) + 1), p.value) FROM jsonb_each(published) p WHERE p.key IN (entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_history', entity_name || '_keys')));
    RETURN format('run%s: against what is published differ %s', CASE WHEN message IS NULL THEN ' over what changed' END, array_to_string(differs, ', '))
           || CASE WHEN message IS NOT NULL AND brief -> 'model' = shown -> 'inputs' -> 'model' AND brief -> 'engine' = shown -> 'inputs' -> 'engine' THEN '; over all records, as ' || message ELSE '' END;
END
$$;
COMMENT ON FUNCTION mastering.explain_run(mastering.environment, text, jsonb, jsonb, jsonb, jsonb) IS 'In words, whether the outputs of an entity are found or have to be run, and why.';
