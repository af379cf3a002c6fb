-- 69_config.sql: configuration as code: all artifacts of an environment as one document that diffs well, and back;
-- and pipelines, which are artifacts like the rest.
--
-- The document: {"mastering": 1, "artifacts": {path: document}, "bindings": {"entity/source": "schema.relation"}}.
-- Nothing in it is of one server. Bindings are hints: an import binds what is bound to nothing yet, where there is
-- such a relation, and changes no binding.

-- ---- the document as text ------------------------------------------------------------------------------------------

-- What fits into a line is on one; keys are in the order of their bytes where it does not.
CREATE FUNCTION mastering.json_lines(value jsonb, indent int DEFAULT 0, always_broken int DEFAULT 0) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pad text := repeat(' ', indent + 2);
    kind text := jsonb_typeof(value);
    plain text := value::text;
    body text;
BEGIN
    IF kind NOT IN ('object', 'array') OR plain IN ('{}', '[]') OR (always_broken <= 0 AND indent + length(plain) <= 110) THEN
        RETURN plain;
    END IF;
    IF kind = 'object' THEN
        SELECT string_agg(pad || to_jsonb(o.key)::text || ': ' || mastering.json_lines(o.value, indent + 2, always_broken - 1), E',\n' ORDER BY o.key COLLATE "C") INTO body FROM jsonb_each(value) o;
        RETURN E'{\n' || body || E'\n' || repeat(' ', indent) || '}';
    END IF;
    SELECT string_agg(pad || mastering.json_lines(a.value, indent + 2, always_broken - 1), E',\n' ORDER BY a.ordinality) INTO body FROM jsonb_array_elements(value) WITH ORDINALITY a;
    RETURN E'[\n' || body || E'\n' || repeat(' ', indent) || ']';
END
$$;
COMMENT ON FUNCTION mastering.json_lines(jsonb, int, int) IS 'A document as lines of text, the same for the same document.';

CREATE FUNCTION mastering.config_text(config jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.json_lines(config, 0, 3) || E'\n' $$;
COMMENT ON FUNCTION mastering.config_text(jsonb) IS 'A configuration as text for a file under version control: paths in order, a change of one artifact changes its lines and no others. The text is JSON.';

-- ---- out -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_export_config(state_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state mastering.state := mastering.resolve_state(state_name);
BEGIN
    RETURN jsonb_build_object('mastering', 1,
        'artifacts', (SELECT coalesce(jsonb_object_agg(t.key, a.content), '{}') FROM jsonb_each_text(state.tree) t JOIN mastering.artifact a ON a.hash = t.value),
        'bindings', (SELECT coalesce(jsonb_object_agg(b.key, b.value), '{}') FROM jsonb_each(state.bindings) b
                      WHERE state.tree ? mastering.path('entity', mastering.step(b.key, 1), 'source', mastering.step(b.key, 2))));
END
$$;
COMMENT ON FUNCTION mastering.do_export_config(text) IS 'Behind export_config.';

CREATE FUNCTION mastering.export_config(env text) RETURNS jsonb
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.export_config(text) IS 'The configuration of an environment, or of any state (env@tag, env~1), as one document: every artifact by its path, and what its sources are bound to, as a hint. config_text() makes lines of it.';

-- ---- in ------------------------------------------------------------------------------------------------------------

-- Bindings that an import would make stand: there is such a relation, and the environment's owner may read it.
CREATE FUNCTION mastering.is_bindable(env mastering.environment, relation text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT c.relpersistence <> 't' AND has_any_column_privilege(env.owner::name, c.oid, 'SELECT') FROM pg_class c WHERE c.oid = to_regclass(relation)), false)
$$;
COMMENT ON FUNCTION mastering.is_bindable(mastering.environment, text) IS 'Whether a source of an environment can be bound to a relation.';

CREATE FUNCTION mastering.source_document(env mastering.environment, entity_name text, entity jsonb, source_name text, content jsonb, relation text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pair record;
    columns jsonb;
    message text;
    code text;
BEGIN
    IF source_name = '' OR octet_length(source_name) > 200 OR source_name ~ '[:/]' THEN
        RAISE EXCEPTION 'invalid name of a source: "%"', source_name USING ERRCODE = '42602', DETAIL = 'It has 1 to 200 bytes and neither : nor /.';
    END IF;
    IF content - '{key,mapping}'::text[] <> '{}' OR jsonb_typeof(content -> 'mapping') IS DISTINCT FROM 'object' OR jsonb_typeof(content -> 'key') IS DISTINCT FROM 'array'
       OR content -> 'key' = '[]' OR content @? '$.key[*] ? (@.type() != "string")' THEN
        RAISE EXCEPTION 'a source is an object of key, an array of columns, and mapping' USING ERRCODE = '22023', DETAIL = 'At $.', HINT = 'Write {"key": ["id"], "mapping": {"name": "first_name || '' '' || last_name"}}.';
    END IF;
    IF relation IS NOT NULL THEN
        columns := mastering.relation_columns(relation);
        IF NOT columns @> (SELECT jsonb_agg(jsonb_build_object('name', k)) FROM jsonb_array_elements_text(content -> 'key') k) THEN
            RAISE EXCEPTION 'relation % does not have all columns of the key %', relation, content -> 'key' USING ERRCODE = '42703', DETAIL = 'At $.key.';
        END IF;
    END IF;
    FOR pair IN SELECT m.key, m.value #>> '{}' AS expression, jsonb_typeof(m.value) AS kind FROM jsonb_each(content -> 'mapping') m LOOP
        IF NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', pair.key)) THEN
            RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, pair.key USING ERRCODE = '42703', DETAIL = format('At $.mapping.%s.', pair.key);
        END IF;
        BEGIN
            IF pair.kind <> 'string' OR NOT mastering.is_expression(pair.expression) THEN
                RAISE EXCEPTION 'the mapping of attribute "%" is not one SQL expression without subqueries', pair.key USING ERRCODE = '22023';
            END IF;
            IF relation IS NOT NULL THEN
                PERFORM mastering.check_expression(env, relation, source_name, pair.expression, format('the mapping of attribute "%s"', pair.key));
            END IF;
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation OR feature_not_supported OR read_only_sql_transaction THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = format('At $.mapping.%s.', pair.key);
        END;
    END LOOP;
    RETURN content;
END
$$;
COMMENT ON FUNCTION mastering.source_document(mastering.environment, text, jsonb, text, jsonb, text) IS 'The document of a source, if it is one; held against the relation where there is one.';

CREATE FUNCTION mastering.pipeline_document(content jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    step record;
    allowed text[];
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' OR content - '{schedule,steps,description}'::text[] <> '{}' OR jsonb_typeof(content -> 'steps') IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'a pipeline is an object of steps and, where wanted, schedule and description' USING ERRCODE = '22023', DETAIL = 'At $.',
            HINT = 'Write {"schedule": "*/5 * * * *", "steps": [{"do": "load", "entity": "customer"}, {"do": "master", "entity": "customer"}]}.';
    END IF;
    IF jsonb_typeof(coalesce(content -> 'schedule', '""')) <> 'string' OR jsonb_typeof(coalesce(content -> 'description', '""')) <> 'string' THEN
        RAISE EXCEPTION 'schedule and description of a pipeline are texts' USING ERRCODE = '22023', DETAIL = CASE WHEN jsonb_typeof(coalesce(content -> 'schedule', '""')) <> 'string' THEN 'At $.schedule.' ELSE 'At $.description.' END;
    END IF;
    FOR step IN SELECT s.value, s.ordinality - 1 AS n FROM jsonb_array_elements(content -> 'steps') WITH ORDINALITY s LOOP
        IF jsonb_typeof(step.value) <> 'object' OR NOT coalesce(step.value ->> 'do' IN ('load', 'train', 'master', 'backfill', 'candidate', 'publish'), false) THEN
            RAISE EXCEPTION 'a step of a pipeline does load, train, master, backfill, candidate or publish' USING ERRCODE = '22023', DETAIL = format('At $.steps[%s].', step.n);
        END IF;
        allowed := CASE step.value ->> 'do' WHEN 'load' THEN '{do,entity,source}' WHEN 'candidate' THEN '{do,entity,candidate}' WHEN 'publish' THEN '{do,candidate}' ELSE '{do,entity}' END;
        IF step.value - allowed <> '{}' OR step.value @? '$.* ? (@.type() != "string")' OR (step.value ->> 'do' IN ('load', 'train', 'master') AND NOT step.value ? 'entity') THEN
            RAISE EXCEPTION 'step "%" of a pipeline takes %', step.value ->> 'do', array_to_string(allowed[2:], ', ') USING ERRCODE = '22023', DETAIL = format('At $.steps[%s].', step.n);
        END IF;
    END LOOP;
    RETURN content;
END
$$;
COMMENT ON FUNCTION mastering.pipeline_document(jsonb) IS 'The document of a pipeline, if it is one.';

-- The engine says what is wrong with rules and models, given no records.
CREATE FUNCTION mastering.require_rules(env mastering.environment, entity jsonb, kind text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    columns text := format('SELECT NULL::text AS id, NULL::text AS source, %s',
                           (SELECT string_agg(format('NULL::%s AS %I', a.value ->> 'type', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a));
    no_records text := columns || ' WHERE false';
    call text;
BEGIN
    PERFORM mastering.check_golden_expressions(env, entity, content) WHERE kind = 'survivorship';
    IF kind = 'survivorship' THEN
        call := mastering.golden_sql(columns || ', NULL::bigint AS "#cluster" WHERE false', NULL, content, true);
        call := format(E'SELECT count(*) FROM (SELECT %s FROM (%s\n) g) g',
            (SELECT string_agg(format('CAST(g.%I AS %s)', a.value ->> 'name', a.value ->> 'type'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a), call);
    ELSIF kind = 'model' THEN
        call := format('SELECT count(*) FROM mastering.match_pairs(%L, %L)', no_records, content);
    ELSE
        -- A specification that is whole and harmless but for what is looked at.
        call := format('SELECT count(*) FROM mastering.%I(%L, %L)', CASE kind WHEN 'blocking' THEN 'candidate_pairs' ELSE 'blocking_report' END, no_records,
            jsonb_build_object('blocking', '["id"]'::jsonb, 'comparisons', jsonb_build_array(jsonb_build_object('column', entity -> 'attributes' -> 0 -> 'name', 'method', 'exact')))
            || CASE kind WHEN 'clustering' THEN content ELSE jsonb_build_object(kind, content) END);
    END IF;
    PERFORM FROM mastering.query_as(env.owner::name, call, mastering.artifact_path(env.name), true) AS t (n bigint);
END
$$;
COMMENT ON FUNCTION mastering.require_rules(mastering.environment, jsonb, text, jsonb) IS 'Raises what the engine has against blocking, comparisons, clustering, a model or survivorship.';

-- The canonical document for a path; raises where it is none.
CREATE FUNCTION mastering.valid_artifact(env mastering.environment, artifacts jsonb, path text, content jsonb, relation text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    steps text[] := ARRAY(SELECT mastering.step(path, n) FROM generate_series(1, 1 + length(path) - length(replace(path, '/', ''))) n ORDER BY n);
    entity_name text := steps[2];
    entity jsonb := artifacts -> mastering.path('entity', entity_name);
    kind text := coalesce(steps[3], 'entity');
BEGIN
    IF path <> mastering.path(VARIADIC steps) OR '' = ANY (steps)
       OR NOT coalesce(steps[1] = 'pipeline' AND cardinality(steps) = 2 OR steps[1] = 'entity' AND CASE
           WHEN kind IN ('source', 'check', 'models') THEN cardinality(steps) = 4
           WHEN kind IN ('blocking', 'comparisons', 'clustering', 'survivorship', 'model', 'labels', 'bounds') THEN cardinality(steps) = 3
           ELSE cardinality(steps) = 2 END, false) THEN
        RAISE EXCEPTION 'no artifact has the path "%"', path USING ERRCODE = '22023', DETAIL = 'At $.',
            HINT = 'Paths are entity/<entity>, and below it source/<name>, check/<name>, models/<name>, blocking, comparisons, clustering, survivorship, model, labels, bounds; and pipeline/<name>.';
    END IF;
    IF steps[1] = 'pipeline' THEN
        RETURN mastering.pipeline_document(content);
    END IF;
    IF entity IS NULL THEN
        RAISE EXCEPTION 'there is no entity "%"', entity_name USING ERRCODE = '42704', DETAIL = 'At $.';
    END IF;
    IF (jsonb_typeof(content) = 'array') <> (kind IN ('blocking', 'comparisons')) OR jsonb_typeof(content) NOT IN ('array', 'object') THEN
        RAISE EXCEPTION 'the document of % is no %', kind, CASE WHEN kind IN ('blocking', 'comparisons') THEN 'array' ELSE 'object' END USING ERRCODE = '22023', DETAIL = 'At $.';
    END IF;
    IF kind = 'entity' THEN
        IF content - 'attributes' <> '{}' OR jsonb_typeof(content -> 'attributes') IS DISTINCT FROM 'array'
           OR content @? '$.attributes[*] ? (@.type() != "object" || @.name.type() != "string" || @.type.type() != "string" || !exists (@.name) || !exists (@.type))'
           OR EXISTS (SELECT FROM jsonb_array_elements(content -> 'attributes') a WHERE a - '{name,type}'::text[] <> '{}') THEN
            RAISE EXCEPTION 'an entity is an object of attributes' USING ERRCODE = '22023', DETAIL = 'At $.attributes.', HINT = 'Write {"attributes": [{"name": "email", "type": "text"}]}.';
        END IF;
        RETURN mastering.entity_document(entity_name, (SELECT '{' || string_agg(a.value -> 'name' || ': '::text || (a.value -> 'type'), ', ' ORDER BY a.ordinality) || '}'
                                                         FROM jsonb_array_elements(content -> 'attributes') WITH ORDINALITY a)::json);
    ELSIF kind = 'source' THEN
        RETURN mastering.source_document(env, entity_name, entity, steps[4], content, relation);
    ELSIF kind = 'check' THEN
        IF EXISTS (SELECT FROM jsonb_each(content) c WHERE c.key IN ('query', 'severity', 'stage') AND jsonb_typeof(c.value) <> 'string') THEN
            RAISE EXCEPTION 'a check is an object of query, severity and stage, and of limits' USING ERRCODE = '22023', DETAIL = 'At $.';
        END IF;
        RETURN mastering.check_document(steps[4], content ->> 'query', content ->> 'severity', content ->> 'stage', content - '{query,severity,stage}'::text[]);
    ELSIF kind = 'bounds' THEN
        RETURN mastering.bounds_document(content, entity);
    ELSIF kind = 'clustering' THEN
        content := mastering.clustering_document(content);
    ELSIF kind = 'labels' THEN
        IF content - '{matches,non_matches}'::text[] <> '{}' OR content @? '$.* ? (@.type() != "array")'
           OR content @? 'strict $.*[*] ? (@.type() != "array" || @.size() != 4)' OR content @? 'strict $.*[*][*] ? (@.type() != "string")' THEN
            RAISE EXCEPTION 'labels are an object of matches and non_matches, each an array of pairs' USING ERRCODE = '22023', DETAIL = 'At $.', HINT = 'A pair is [source, key, source, key].';
        END IF;
        PERFORM mastering.require(env.name, 'curator');    -- who else's verdicts count only when a curator has verified them
        RETURN content;
    ELSIF kind IN ('model', 'models') THEN
        IF content - '{model,spec}'::text[] <> '{}' OR jsonb_typeof(content -> 'model') IS DISTINCT FROM 'object' THEN
            RAISE EXCEPTION 'the artifact of a model is an object of model and spec' USING ERRCODE = '22023', DETAIL = 'At $.', HINT = 'spec is the hash of the rules that it was trained with, or null.';
        END IF;
        PERFORM mastering.require_rules(env, entity, 'model', content -> 'model');
        RETURN content;
    END IF;
    PERFORM mastering.require_rules(env, entity, kind, content);
    RETURN content;
END
$$;
COMMENT ON FUNCTION mastering.valid_artifact(mastering.environment, jsonb, text, jsonb, text) IS 'The document of an artifact as it is stored, if it is valid beside the others.';

CREATE FUNCTION mastering.do_import_config(env_name text, config jsonb, dry_run boolean) RETURNS TABLE (path text, change text, detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    old mastering.configuration;
    item record;
    artifacts jsonb := '{}';
    hints jsonb;
    relation text;
    errors text[] := '{}';
    code text;
    first_code text;
    message text;
    where_in text;
    counts jsonb;
BEGIN
    IF jsonb_typeof(config) IS DISTINCT FROM 'object' OR jsonb_typeof(config -> 'artifacts') IS DISTINCT FROM 'object' OR config - '{mastering,artifacts,bindings}'::text[] <> '{}'
       OR jsonb_typeof(coalesce(config -> 'bindings', '{}')) <> 'object' THEN
        RAISE EXCEPTION 'a configuration is an object of mastering, artifacts and bindings' USING ERRCODE = '22023', DETAIL = 'At $.', HINT = 'SELECT mastering.export_config(env) gives one.';
    END IF;
    IF config -> 'mastering' IS DISTINCT FROM '1' THEN
        RAISE EXCEPTION 'unknown version of a configuration: %', coalesce(config ->> 'mastering', 'none') USING ERRCODE = '22023', DETAIL = 'At $.mastering.', HINT = 'This version of the extension reads 1.';
    END IF;
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;
    old := mastering.configuration_of(env_name);
    hints := coalesce(config -> 'bindings', '{}');

    -- All of it is validated before anything is changed. What is there already, to the letter, is valid.
    FOR item IN SELECT h.key, h.value, jsonb_typeof(h.value) AS kind FROM jsonb_each(hints) h LOOP
        BEGIN
            IF item.kind <> 'string' OR NOT config -> 'artifacts' ? mastering.path('entity', mastering.step(item.key, 1), 'source', mastering.step(item.key, 2)) THEN
                RAISE EXCEPTION 'the binding "%" is not the name of a relation for a source', item.key USING ERRCODE = '22023';
            END IF;
            hints := hints || jsonb_build_object(item.key, mastering.relation_name(item.value #>> '{}'));
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            first_code := coalesce(first_code, code);
            errors := errors || format('$.bindings.%s: %s', to_json(item.key), message);
        END;
    END LOOP;
    -- Entities first: the others are judged beside them.
    FOR item IN SELECT a.key, a.value FROM jsonb_each(config -> 'artifacts') a ORDER BY a.key LIKE 'entity/%/%', a.key COLLATE "C" LOOP
        IF mastering.json_hash(item.value) = old.tree ->> item.key THEN
            artifacts := artifacts || jsonb_build_object(item.key, item.value);
            CONTINUE;
        END IF;
        BEGIN
            relation := NULL;
            IF mastering.step(item.key, 3) = 'source' THEN
                where_in := mastering.path(mastering.step(item.key, 2), mastering.step(item.key, 4));
                relation := coalesce(old.bindings ->> where_in, hints ->> where_in);
                relation := CASE WHEN mastering.is_bindable(env, relation) THEN relation END;
            END IF;
            artifacts := artifacts || jsonb_build_object(item.key,
                mastering.valid_artifact(env, CASE WHEN item.key LIKE 'entity/%/%' THEN artifacts ELSE config -> 'artifacts' END, item.key, item.value, relation));
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation OR feature_not_supported OR object_not_in_prerequisite_state OR read_only_sql_transaction THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, where_in = PG_EXCEPTION_DETAIL;
            first_code := coalesce(first_code, code);
            -- Where it names a place inside the document, the place in ours is that below the artifact's.
            IF message ~ '^invalid (specification|rules) at \$' THEN
                where_in := substring(message FROM '\$[^ ]*(?=: )');
                message := substring(message FROM ': (.*)$');
            ELSE
                where_in := substring(where_in FROM '^At (\$.*)\.$');
            END IF;
            where_in := substr(coalesce(where_in, '$'), 2);
            IF mastering.step(item.key, 3) IN ('blocking', 'comparisons') THEN
                where_in := regexp_replace(where_in, '^\.(blocking|comparisons)', '');
            ELSIF mastering.step(item.key, 3) IN ('model', 'models') AND message !~ '^the ' THEN
                where_in := '.model' || where_in;
            ELSIF item.key NOT LIKE 'entity/%/%' AND where_in NOT LIKE '.attributes%' AND where_in <> '' AND item.key LIKE 'entity/%' THEN
                where_in := '.attributes' || where_in;
            END IF;
            errors := errors || format('$.artifacts.%s%s: %s', to_json(item.key), where_in, message);
        END;
    END LOOP;
    IF cardinality(errors) > 0 THEN
        RAISE EXCEPTION 'the configuration has % error(s)', cardinality(errors)
            USING ERRCODE = CASE WHEN cardinality(errors) = 1 THEN first_code ELSE '22023' END,
                  DETAIL = array_to_string(errors[:20], E'\n') || CASE WHEN cardinality(errors) > 20 THEN E'\n...' ELSE '' END, HINT = 'Nothing was changed.';
    END IF;

    FOR item IN SELECT coalesce(n.key, o.key) AS key, n.value AS content,
                       CASE WHEN o.key IS NULL THEN 'added' WHEN n.key IS NULL THEN 'removed' WHEN o.value = mastering.json_hash(n.value) THEN 'same' ELSE 'changed' END AS change
                  FROM jsonb_each(artifacts) n FULL JOIN jsonb_each_text(old.tree) o ON o.key = n.key ORDER BY coalesce(n.key, o.key) COLLATE "C" LOOP
        path := item.key;
        change := item.change;
        detail := NULL;
        IF NOT dry_run AND change = 'removed' AND item.key LIKE 'entity/%' AND item.key NOT LIKE 'entity/%/%' THEN    -- with its views, unless something depends on them
            PERFORM mastering.do_drop_entity(env_name, mastering.step(item.key, 2));
        ELSIF NOT dry_run AND change <> 'same' THEN
            PERFORM mastering.set_artifact(env_name, item.key, item.content);
        END IF;
        counts := coalesce(counts, '{}') || jsonb_build_object(change, coalesce((counts ->> change)::int, 0) + 1);
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT a.key AS source, mastering.path(mastering.step(a.key, 2), mastering.step(a.key, 4)) AS key FROM jsonb_object_keys(artifacts) a (key) WHERE mastering.step(a.key, 3) = 'source' ORDER BY mastering.path(mastering.step(a.key, 2), mastering.step(a.key, 4)) COLLATE "C" LOOP
        path := 'binding/' || item.key;
        IF old.bindings ? item.key THEN
            change := 'same';
            detail := CASE WHEN old.bindings ->> item.key <> hints ->> item.key THEN format('stays %s', old.bindings ->> item.key) END;
        ELSIF mastering.is_bindable(env, hints ->> item.key) THEN
            change := 'added';
            detail := hints ->> item.key;
            IF NOT dry_run THEN
                PERFORM mastering.do_bind_source(env_name, mastering.step(item.key, 1), mastering.step(item.key, 2), hints ->> item.key);
            END IF;
        ELSE
            change := 'missing';
            detail := CASE WHEN NOT hints ? item.key THEN 'bound to no relation' WHEN to_regclass(hints ->> item.key) IS NULL THEN format('there is no relation %s', hints ->> item.key)
                           ELSE format('the owner of the environment may not read %s', hints ->> item.key) END;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF NOT dry_run AND counts - 'same' <> '{}' THEN
        FOR item IN SELECT e AS key FROM mastering.entities_of((mastering.configuration_of(env_name)).tree) e LOOP
            PERFORM mastering.sync_views(env_name, item.key);
        END LOOP;
        PERFORM mastering.audit(env_name, 'import configuration', counts || jsonb_build_object('hash', mastering.json_hash(config)));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_import_config(text, jsonb, boolean) IS 'Behind import_config.';

CREATE FUNCTION mastering.import_config(env text, config jsonb, dry_run boolean DEFAULT false) RETURNS TABLE (path text, change text, detail text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.import_config(text, jsonb, boolean) IS 'Makes the configuration of an environment what the document says: a row a path, added, changed, removed or same. All of it is validated first; errors name the place in the document. Sources that are bound stay so; others are bound as the document hints, where that can be, and are missing otherwise.';

-- ---- pipelines -----------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_set_pipeline(env_name text, pipeline_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF pipeline_name IS NULL OR pipeline_name = '' OR octet_length(pipeline_name) > 200 THEN
        RAISE EXCEPTION 'invalid name of a pipeline: "%"', pipeline_name USING ERRCODE = '42602';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('pipeline', pipeline_name), mastering.pipeline_document(content));
END
$$;
COMMENT ON FUNCTION mastering.do_set_pipeline(text, text, jsonb) IS 'Behind set_pipeline.';
CREATE FUNCTION mastering.set_pipeline(env text, name text, pipeline jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_pipeline(text, text, jsonb) IS 'Steps that are run together, and when: {"schedule": "*/5 * * * *", "steps": [{"do": "load", "entity": "customer"}, {"do": "candidate"}, {"do": "publish"}]}. It is stored, promoted and exported like other configuration; run_pipeline runs it, a scheduler of your choice calls that.';

CREATE FUNCTION mastering.do_drop_pipeline(env_name text, pipeline_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF (mastering.configuration_of(env_name)).tree ->> mastering.path('pipeline', pipeline_name) IS NULL THEN
        RAISE EXCEPTION 'pipeline "%" does not exist in environment "%"', pipeline_name, env_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('pipeline', pipeline_name), NULL);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_pipeline(text, text) IS 'Behind drop_pipeline.';
CREATE FUNCTION mastering.drop_pipeline(env text, name text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_pipeline(text, text) IS 'Removes a pipeline.';

CREATE FUNCTION mastering.do_run_pipeline(env_name text, pipeline_name text) RETURNS TABLE (step int, action text, result jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    pipeline jsonb;
    todo jsonb;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'loader');
    pipeline := mastering.artifact_at((mastering.configuration_of(env_name)).tree, mastering.path('pipeline', pipeline_name));
    IF pipeline IS NULL THEN
        RAISE EXCEPTION 'pipeline "%" does not exist in environment "%"', pipeline_name, env_name USING ERRCODE = '42704';
    END IF;
    step := 0;
    FOR todo IN SELECT s.value FROM jsonb_array_elements(pipeline -> 'steps') WITH ORDINALITY s ORDER BY s.ordinality LOOP
        step := step + 1;
        action := todo ->> 'do';
        -- Each step asks for the rights that it takes.
        IF action = 'load' THEN
            SELECT jsonb_agg(to_jsonb(l)) INTO result FROM mastering.do_load(env_name, todo ->> 'entity', todo ->> 'source') l;
        ELSIF action = 'train' THEN
            PERFORM mastering.do_train(env_name, todo ->> 'entity');
            result := '{}';
        ELSIF action = 'master' THEN
            result := mastering.do_master(env_name, todo ->> 'entity');
        ELSIF action = 'backfill' THEN
            SELECT jsonb_agg(to_jsonb(b)) INTO result FROM mastering.do_backfill(env_name, todo ->> 'entity') b;
        ELSIF action = 'candidate' THEN
            result := mastering.do_candidate(env_name, coalesce(todo ->> 'candidate', 'next'), todo ->> 'entity');
        ELSE
            result := mastering.do_publish(env_name, coalesce(todo ->> 'candidate', 'next'));
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_run_pipeline(text, text) IS 'Behind run_pipeline.';
CREATE FUNCTION mastering.run_pipeline(env text, name text) RETURNS TABLE (step int, action text, result jsonb)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.run_pipeline(text, text) IS 'Runs the steps of a pipeline in one transaction: all of them, or none.';
