-- 57_load.sql: loading. The rows of a source, or what of them changed, are read as the environment's owner (57_changes.sql),
-- compared by key and content with the version the environment has, and only what differs is written and hashed.

CREATE FUNCTION mastering.key_expression(key jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE jsonb_array_length(key)
        WHEN 1 THEN format('r.%I::text', key ->> 0)
        ELSE (SELECT format('CASE WHEN %s THEN jsonb_build_array(%s)::text END',
                            string_agg(format('r.%I IS NOT NULL', k.value), ' AND ' ORDER BY k.ordinality),
                            string_agg(format('r.%I::text', k.value), ', ' ORDER BY k.ordinality))
                FROM jsonb_array_elements_text(key) WITH ORDINALITY k)
    END
$$;
COMMENT ON FUNCTION mastering.key_expression(jsonb) IS 'The key of a source''s row r as a text: one column''s, or a JSON array of several.';

CREATE FUNCTION mastering.source_columns(columns jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '[{"name": "#key", "type": "text"}, {"name": "#hash", "type": "uuid"}]'::jsonb || columns
$$;
COMMENT ON FUNCTION mastering.source_columns(jsonb) IS 'Columns of the store of a source with these columns.';

CREATE FUNCTION mastering.position_document(position_after jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT CASE WHEN position_after IS NULL THEN '{}' ELSE jsonb_build_object('position', position_after) END $$;
COMMENT ON FUNCTION mastering.position_document(jsonb) IS 'What a version says about the position up to which its source was read.';

-- The first attribute that cannot be had from a FROM item, or from a source with these columns. For what is not there any more, or is of another type.
CREATE FUNCTION mastering.mapping_failure(env mastering.environment, entity jsonb, mapping jsonb, from_item text, OUT attribute text, OUT code text, OUT message text) RETURNS record
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT a ->> 'name' AS name, a ->> 'type' AS type, mapping ->> (a ->> 'name') AS expression FROM jsonb_array_elements(entity -> 'attributes') a WHERE mapping ? (a ->> 'name') LOOP
        BEGIN
            PERFORM FROM mastering.query_as(env.owner::name, format(E'SELECT count(CAST((%s\n) AS %s)) FROM %s', item.expression, item.type, from_item), mastering.artifact_path(env.name), false) AS t (n bigint);
        EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_schema_name OR feature_not_supported OR data_exception THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            attribute := item.name;
            RETURN;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.mapping_failure(mastering.environment, jsonb, jsonb, text) IS 'The attribute of a mapping that fails, and how; NULL where none does.';

CREATE FUNCTION mastering.mapping_hint(env_name text, entity_name text, source_name text, source jsonb, relation text, attribute text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('Map the attribute to what the source has%s, or leave it out: SELECT mastering.map_source(%L, %L, %L, %L, %L, %L)',
                  (SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a WHERE a.attrelid = to_regclass(relation) AND a.attnum > 0 AND NOT a.attisdropped),
                  env_name, entity_name, source_name, coalesce(relation, 'schema.relation'), (SELECT string_agg(quote_ident(k.value), ', ' ORDER BY k.ordinality) FROM jsonb_array_elements_text(source -> 'key') WITH ORDINALITY k),
                  (source -> 'mapping') - attribute)
$$;
COMMENT ON FUNCTION mastering.mapping_hint(text, text, text, jsonb, text, text) IS 'The call that mends a mapping of which an attribute fails.';

-- Rows of another shape are loaded all the same: the mapping for them may be on its way, and is proven on them.
CREATE FUNCTION mastering.warn_of_mapping(env mastering.environment, entity_name text, source_name text, source jsonb, tree jsonb, relation text, columns jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    failure record := mastering.mapping_failure(env, mastering.artifact_at(tree, mastering.path('entity', entity_name)), source -> 'mapping',
        format('(SELECT %s LIMIT 0) AS %I', (SELECT string_agg(format('CAST(NULL AS %s) AS %I', c.value ->> 'type', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c), source_name));
BEGIN
    IF failure.attribute IS NOT NULL THEN
        RAISE WARNING 'source "%" of entity "%" does not fit its mapping any more: %', source_name, entity_name, failure.message
            USING DETAIL = format('Attribute "%s" is mapped from %s. Runs fail until the mapping is mended; views show what the last run made.', failure.attribute, source -> 'mapping' ->> failure.attribute),
                  HINT = mastering.mapping_hint(env.name, entity_name, source_name, source, relation, failure.attribute);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.warn_of_mapping(mastering.environment, text, text, jsonb, jsonb, text, jsonb) IS 'Says so where a mapping cannot be applied to columns that a source now has.';
REVOKE ALL ON FUNCTION mastering.mapping_failure(mastering.environment, jsonb, jsonb, text), mastering.mapping_hint(text, text, text, jsonb, text, text),
    mastering.warn_of_mapping(mastering.environment, text, text, jsonb, jsonb, text, jsonb) FROM PUBLIC;

CREATE FUNCTION mastering.load_source(env mastering.environment, entity_name text, source_name text, source jsonb, relation text, current jsonb)
RETURNS TABLE (version jsonb, change text, inserted bigint, updated bigint, deleted bigint, unchanged bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
<<work>>
DECLARE
    columns jsonb := mastering.relation_columns(relation);
    store int := mastering.store_for('source', entity_name, source_name, mastering.source_columns(columns), '[["#key"]]');
    reading record;
    live text;
    -- A few rows are looked up in the order of the index, wherever else all that is there is read. The planner, which thinks of
    -- disks, would look up one row in a thousand at the most.
    looked_up CONSTANT text := '(SELECT x.* FROM pg_temp.%1$I x ORDER BY x."#key") n %2$s JOIN LATERAL (SELECT o.* FROM %3$s o WHERE o."#key" = n."#key" OFFSET 0) o ON true';
    matched CONSTANT text := 'pg_temp.%1$I n %2$s JOIN %3$s o ON o."#key" = n."#key"';
    joined text;
    few bigint;
    gone bigint := 0;
    lost text;
    deletions jsonb := '{}';
    segment int;
    state bytea;
    added bytea;
    removed bytea;
    content text;
    bad jsonb;
    total bigint;
    full_write boolean := false;
BEGIN
    PERFORM mastering.drop_work_tables();
    PERFORM mastering.drop_load_tables();
    reading := mastering.read_source(env, entity_name, source_name, source, relation, columns, store, current);
    EXECUTE 'SELECT jsonb_build_array("#key") FROM pg_temp.mastering_incoming GROUP BY "#key" HAVING count(*) > 1 OR "#key" IS NULL ORDER BY "#key" NULLS FIRST LIMIT 1' INTO bad;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" has %', source_name, entity_name, CASE WHEN bad = '[null]' THEN 'rows without a key' ELSE 'a key twice' END
            USING ERRCODE = CASE WHEN bad = '[null]' THEN '23502' ELSE '23505' END,
                  DETAIL = CASE WHEN bad = '[null]' THEN format('A column of the key %s is null in relation %s.', source -> 'key', relation)
                                ELSE format('Key %s is in relation %s more than once.', bad ->> 0, relation) END;
    END IF;
    EXECUTE 'SELECT count(*) FROM pg_temp.mastering_incoming' INTO total;

    -- What differs: i(nserted), u(pdated), d(eleted), with where the row lies that goes and what the content loses with it.
    IF current IS NULL OR (current ->> 'store')::int <> store THEN
        full_write := true;
        change := CASE WHEN current IS NULL THEN 'initial' ELSE 'reload' END;
        inserted := total;
        updated := 0;
        deleted := 0;
    ELSE
        live := format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || store, mastering.version_condition(current, 's'));
        lost := format('mastering.stored_row_hash(%s)', mastering.content_row(columns, 'o'));
        few := (current ->> 'rows')::bigint / 8 / greatest(jsonb_array_length(current -> 'segments'), 1);
        IF reading.way = 'all' THEN
            EXECUTE format('CREATE TEMP TABLE mastering_change ON COMMIT DROP AS
                SELECT coalesce(n."#key", o."#key") AS "#key", o."#segment", o."#row", CASE WHEN o."#key" IS NULL THEN ''i'' WHEN n."#key" IS NULL THEN ''d'' ELSE ''u'' END AS kind
                  FROM pg_temp.mastering_incoming n FULL JOIN %s o ON o."#key" = n."#key" WHERE n."#hash" IS DISTINCT FROM o."#hash"', live);
        ELSE
            IF reading.way = 'changes' THEN
                EXECUTE 'SELECT count(*) FROM pg_temp.mastering_gone' INTO gone;
            END IF;
            joined := CASE WHEN total + gone <= few THEN looked_up ELSE matched END;
            IF joined = looked_up THEN
                EXECUTE 'SELECT mastering.expect_rows($1, ''{#key}'', NULL, ARRAY(SELECT n."#key" FROM pg_temp.mastering_incoming n' || CASE WHEN gone > 0 THEN ' UNION ALL SELECT n."#key" FROM pg_temp.mastering_gone n' ELSE '' END || '), true)'
                  USING mastering.segments_of(current);
            END IF;
            EXECUTE format('CREATE TEMP TABLE mastering_change ON COMMIT DROP AS
                SELECT n."#key", o."#segment", o."#row", CASE WHEN o."#key" IS NULL THEN ''i'' ELSE ''u'' END AS kind, CASE WHEN o."#key" IS NOT NULL THEN %2$s END AS lost
                  FROM %1$s WHERE n."#hash" IS DISTINCT FROM o."#hash"', format(joined, 'mastering_incoming', 'LEFT', live), lost)
                || CASE WHEN gone > 0 THEN format(' UNION ALL SELECT o."#key", o."#segment", o."#row", ''d'', %2$s FROM %1$s', format(joined, 'mastering_gone', '', live), lost) ELSE '' END;
        END IF;
        EXECUTE 'ANALYZE pg_temp.mastering_change';
        EXECUTE 'SELECT count(*) FILTER (WHERE c.kind = ''i''), count(*) FILTER (WHERE c.kind = ''u''), count(*) FILTER (WHERE c.kind = ''d'') FROM pg_temp.mastering_change c' INTO inserted, updated, deleted;
        IF reading.way <> 'all' THEN
            total := (current ->> 'rows')::bigint + inserted - deleted;
        END IF;
        change := CASE WHEN inserted + updated + deleted = 0 THEN 'none'
                       WHEN updated + deleted = 0 THEN 'append'
                       WHEN reading.way = 'all' AND inserted + updated + deleted > greatest(total, 1) / 2 THEN 'reload'
                       ELSE 'update' END;
        full_write := change = 'reload';
    END IF;
    unchanged := total - inserted - updated;
    IF change = 'none' THEN
        version := current - 'position' || mastering.position_document(reading.position_after);
        PERFORM mastering.drop_load_tables();
        RETURN NEXT;
        RETURN;
    END IF;

    IF full_write THEN
        EXECUTE format('SELECT mastering.content_state(mastering.stored_row_hash(%s)) FROM pg_temp.mastering_incoming n', mastering.content_row(columns, 'n')) INTO state;
    ELSE
        EXECUTE format('SELECT mastering.content_state(mastering.stored_row_hash(%s)) FROM pg_temp.mastering_incoming n JOIN pg_temp.mastering_change c ON c."#key" = n."#key" AND c.kind <> ''d''', mastering.content_row(columns, 'n')) INTO added;
        EXECUTE CASE WHEN reading.way = 'all' THEN format('SELECT mastering.content_state(%s) FROM ', lost) || format(CASE WHEN updated + deleted <= few THEN looked_up ELSE matched END, 'mastering_change', '', live) || ' WHERE n.kind <> ''i'''
                     ELSE 'SELECT mastering.content_state(c.lost) FROM pg_temp.mastering_change c WHERE c.kind <> ''i''' END INTO removed;
        state := mastering.content_state_change(mastering.content_state_of(store, columns, current), added, removed);
    END IF;
    content := total || ':' || encode(sha256(state), 'hex') || ':' || left(mastering.json_hash(source -> 'key'), 16);

    -- What another environment has loaded already is not written again.
    SELECT d.version - 'position' INTO version FROM mastering.data_version d WHERE d.store_id = store AND d.content = work.content;
    IF version IS NULL THEN
        IF total > 0 AND (full_write OR inserted + updated > 0) THEN
            segment := mastering.begin_segment(store);
            EXECUTE format('INSERT INTO mastering.%I ("#segment", "#row", "#key", "#hash", %s) SELECT %s, mastering.next_row_no(), n."#key", n."#hash", %s FROM (SELECT n.* FROM pg_temp.mastering_incoming n%s OFFSET 0) n',
                           'segment_' || segment, mastering.column_list(columns, false), segment,
                           (SELECT string_agg(format('n.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c),
                           CASE WHEN full_write THEN '' ELSE ' JOIN pg_temp.mastering_change c ON c."#key" = n."#key" AND c.kind <> ''d''' END);
            PERFORM mastering.finish_segment(store, segment);
        END IF;
        IF full_write THEN
            version := mastering.make_version(store, CASE WHEN segment IS NULL THEN '{}'::int[] ELSE ARRAY[segment] END, CASE WHEN segment IS NULL THEN '{}'::bigint[] ELSE ARRAY[0::bigint] END, content);
        ELSE
            EXECUTE mastering.deletions_query('pg_temp.mastering_change o WHERE o.kind <> ''i''') INTO deletions;
            version := mastering.compacted_version(mastering.changed_version(current, deletions, segment, content));
        END IF;
        INSERT INTO mastering.data_version (store_id, content, version, state) VALUES (store, content, version, state) ON CONFLICT DO NOTHING;
    END IF;
    version := version || mastering.position_document(reading.position_after);
    PERFORM mastering.drop_load_tables();
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.load_source(mastering.environment, text, text, jsonb, text, jsonb) IS 'Loads one source: the new version and what changed.';
REVOKE ALL ON FUNCTION mastering.position_document(jsonb) FROM PUBLIC;

-- The checks of stage load: each source that has data is a relation of its own name to them.
CREATE FUNCTION mastering.run_load_checks(env mastering.environment, entity_name text, tree jsonb, data jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relations text;
    versions jsonb;
BEGIN
    IF EXISTS (SELECT FROM mastering.checks_of(tree, 'load', entity_name)) THEN
        SELECT string_agg(format('%I AS (SELECT %s FROM %s)', s.name,
                                 (SELECT string_agg(quote_ident(c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM mastering.store t, jsonb_array_elements(t.columns) WITH ORDINALITY c
                                   WHERE t.store_id = (v.raw ->> 'store')::int AND c.value ->> 'name' !~ '^#'),
                                 mastering.show_source(env, mastering.path(entity_name, 'loaded', s.name), v.raw)), ', ' ORDER BY s.name),
               jsonb_object_agg(s.name, v.raw) INTO relations, versions
          FROM mastering.sources_of(tree, entity_name) s CROSS JOIN LATERAL (SELECT data -> mastering.path(entity_name, s.name)) v (raw) WHERE v.raw IS NOT NULL;
        PERFORM mastering.run_checks(env, env.name || '_next', tree, versions, 'load', NULL, entity_name, 'WITH ' || relations || ' ');
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.run_load_checks(mastering.environment, text, jsonb, jsonb) IS 'Runs the checks of stage load of an entity on what was just loaded.';

-- Loads one source of an environment, as its policies allow.
CREATE FUNCTION mastering.load_one(env mastering.environment, entity_name text, source_name text, source jsonb, tree jsonb, relation text, current jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := mastering.path(entity_name, source_name);
    missing text;
    loaded record;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" is bound to no relation in environment "%"', source_name, entity_name, env.name
            USING ERRCODE = '55000', HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'')', env.name, entity_name, source_name);
    END IF;
    PERFORM mastering.require_no_sample(env.name, place, current, relation);
    IF to_regclass(relation) IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', relation
            USING ERRCODE = '42P01', DETAIL = format('Source "%s" of entity "%s" is bound to it in environment "%s".', source_name, entity_name, env.name),
                  HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'') binds it to another.', env.name, entity_name, source_name);
    END IF;
    SELECT string_agg(quote_ident(k), ', ') INTO missing FROM jsonb_array_elements_text(source -> 'key') k
     WHERE NOT mastering.relation_columns(relation) @> jsonb_build_array(jsonb_build_object('name', k));
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'relation % has no column % any more', relation, missing
            USING ERRCODE = '42703', DETAIL = format('It is of the key of source "%s" of entity "%s". Its columns are %s.', source_name, entity_name, (SELECT string_agg(quote_ident(c ->> 'name'), ', ') FROM jsonb_array_elements(mastering.relation_columns(relation)) c)),
                  HINT = format('SELECT mastering.map_source(%L, %L, %L, %L, ''key column'', %L)', env.name, entity_name, source_name, relation, source -> 'mapping');
    END IF;
    SELECT l.* INTO loaded FROM mastering.load_source(env, entity_name, source_name, source, relation, current) l;
    IF (loaded.version -> 'store') IS DISTINCT FROM (current -> 'store') THEN
        PERFORM mastering.warn_of_mapping(env, entity_name, source_name, source, tree, relation, mastering.relation_columns(relation));
    END IF;
    IF loaded.change <> 'none' THEN
        PERFORM mastering.check_data_update(env, entity_name, source_name, source, tree, current, loaded.version, loaded.inserted + loaded.updated + loaded.deleted);
        UPDATE mastering.configuration c SET data = c.data || jsonb_build_object(place, loaded.version), changed_at = now() WHERE c.environment = env.name;
        PERFORM mastering.audit(env.name, 'load', jsonb_build_object('source', place, 'relation', relation, 'change', loaded.change, 'inserted', loaded.inserted,
            'updated', loaded.updated, 'deleted', loaded.deleted, 'before', current ->> 'content', 'after', loaded.version ->> 'content'));
    ELSIF loaded.version <> current THEN    -- nothing changed, but what was seen
        UPDATE mastering.configuration c SET data = c.data || jsonb_build_object(place, loaded.version) WHERE c.environment = env.name;
    END IF;
    RETURN jsonb_build_object('name', source_name, 'change', loaded.change, 'inserted', loaded.inserted, 'updated', loaded.updated, 'deleted', loaded.deleted, 'total', loaded.version -> 'rows');
END
$$;
COMMENT ON FUNCTION mastering.load_one(mastering.environment, text, text, jsonb, jsonb, text, jsonb) IS 'Loads one source and says what changed; raises where a policy refuses it.';

-- Of several sources one that fails, or that a failed check names, stays as it was, and the others are loaded; where
-- there is nothing to load in the others, the failure is an error as it is with a single source. Where a check fails, what was loaded so far is undone and done again without the sources that it names.
CREATE FUNCTION mastering.do_load(env_name text, entity_name text, source_name text)
RETURNS TABLE (source text, change text, inserted bigint, updated bigint, deleted bigint, total bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'loader', 'author');
    config mastering.configuration;
    item record;
    sources int;
    results jsonb;
    failed jsonb := '{}';
    suspects jsonb;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;    -- its owner may be another by now
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    SELECT count(*) INTO sources FROM mastering.sources_of(config.tree, entity_name) s WHERE source_name IS NULL OR s.name = source_name;
    IF sources = 0 THEN
        RAISE EXCEPTION 'entity "%" has no source% in environment "%"', entity_name, coalesce(' "' || source_name || '"', ''), env_name
            USING ERRCODE = '42704', HINT = format('SELECT mastering.map_source(%L, %L, %L, ''schema.relation'', ''key column'')', env_name, entity_name, coalesce(source_name, 'source'));
    END IF;
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    LOOP
        BEGIN
            results := '[]';
            FOR item IN SELECT s.name, s.content FROM mastering.sources_of(config.tree, entity_name) s WHERE (source_name IS NULL OR s.name = source_name) AND NOT failed ? s.name ORDER BY 1 LOOP
                BEGIN
                    results := results || mastering.load_one(env, entity_name, item.name, item.content, config.tree, config.bindings ->> mastering.path(entity_name, item.name),
                                                             config.data -> mastering.path(entity_name, item.name));
                EXCEPTION WHEN OTHERS THEN
                    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                    IF sources = 1 OR code IN ('55P03', '40001', '40P01') THEN
                        PERFORM mastering.raise_again(code, message, detail, hint);
                    END IF;
                    failed := failed || jsonb_build_object(item.name, jsonb_build_object('code', code, 'message', message, 'detail', detail, 'hint', hint));
                END;
            END LOOP;
            PERFORM mastering.note_failure(NULL);
            PERFORM mastering.run_load_checks(env, entity_name, config.tree, (mastering.configuration_of(env_name)).data);
            EXIT;
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            SELECT jsonb_object_agg(r ->> 'name', jsonb_build_object('code', code, 'message', message, 'detail', detail, 'hint', hint)) INTO suspects
              FROM jsonb_array_elements(results) r
             WHERE r ->> 'change' <> 'none' AND EXISTS (SELECT FROM jsonb_array_elements(mastering.noted_failure() -> 'checks') k WHERE k ->> 'severity' = 'error' AND NOT (k ->> 'passed')::boolean
                   AND mastering.artifact_at(config.tree, mastering.path('entity', entity_name, 'check', k ->> 'check_name')) ->> 'query'
                       ~ ('(?<![[:alnum:]_])' || regexp_replace(r ->> 'name', '([^[:alnum:]_ ])', '\\\1', 'g') || '(?![[:alnum:]_])'));
            IF sources = 1 OR suspects IS NULL THEN
                PERFORM mastering.raise_again(code, message, detail, hint);
            END IF;
            failed := failed || suspects;
        END;
    END LOOP;
    PERFORM mastering.note_failure(NULL);
    IF failed <> '{}' AND NOT EXISTS (SELECT FROM jsonb_array_elements(results) r WHERE r ->> 'change' <> 'none') THEN    -- nothing is left to go on with
        SELECT f.value ->> 'code', f.value ->> 'message', f.value ->> 'detail', f.value ->> 'hint' INTO code, message, detail, hint FROM jsonb_each(failed) f ORDER BY f.key LIMIT 1;
        PERFORM mastering.raise_again(code, message, detail, hint);
    END IF;
    FOR item IN SELECT f.key, f.value FROM jsonb_each(failed) f ORDER BY 1 LOOP
        RAISE WARNING 'source "%" of entity "%" was not loaded: %', item.key, entity_name, item.value ->> 'message'
            USING DETAIL = coalesce(nullif(item.value ->> 'detail', ''), 'It is as it was; the others are loaded.');
        PERFORM mastering.audit(env_name, 'load failed', jsonb_build_object('source', mastering.path(entity_name, item.key), 'sqlstate', item.value -> 'code'));
        PERFORM mastering.notify('load failed', env_name, jsonb_build_object('entity', entity_name, 'source', item.key, 'error', left(item.value ->> 'message', 1000)));
    END LOOP;
    RETURN QUERY SELECT r ->> 'name', r ->> 'change', (r ->> 'inserted')::bigint, (r ->> 'updated')::bigint, (r ->> 'deleted')::bigint, (r ->> 'total')::bigint FROM jsonb_array_elements(results) r
                 UNION ALL SELECT f.key, 'failed', NULL, NULL, NULL, (config.data -> mastering.path(entity_name, f.key) ->> 'rows')::bigint FROM jsonb_each(failed) f ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.do_load(text, text, text) IS 'Behind load.';

CREATE FUNCTION mastering.load(env text, entity text, source text DEFAULT NULL)
RETURNS TABLE (source_name text, change text, inserted bigint, updated bigint, deleted bigint, total bigint)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.load(text, text, text) IS 'Loads the sources of an entity, or one of them, from the relations they are bound to; says what changed: initial, append, update, reload or none; failed where a source could not be loaded and others were. What the views show changes with the next run.';
