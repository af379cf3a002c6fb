-- 57_load.sql: loading. The rows of a source are read as the environment's owner, compared by key and content with
-- the version the environment has, and only what differs is written.

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

CREATE FUNCTION mastering.load_source(env mastering.environment, entity_name text, source_name text, source jsonb, relation text, current jsonb)
RETURNS TABLE (version jsonb, change text, inserted bigint, updated bigint, deleted bigint, unchanged bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
<<work>>
DECLARE
    columns jsonb := mastering.relation_columns(relation);
    store int := mastering.store_for('source', entity_name, source_name, mastering.source_columns(columns), '[["#key"]]');
    live text;
    deletions jsonb := '{}';
    segment int;
    content text;
    bad jsonb;
    total bigint;
    full_write boolean;
BEGIN
    PERFORM mastering.drop_work_tables();
    -- The key too is made as the owner: its cast to text may be a function of whoever made its type.
    EXECUTE format('CREATE TEMP TABLE mastering_incoming ON COMMIT DROP AS SELECT r."#key", mastering.row_hash(r) AS "#hash", %s FROM mastering.query_as(%L, %L, %L, true) AS r ("#key" text, %s)',
                   (SELECT string_agg(format('r.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c),
                   env.owner, format('SELECT %s, %s FROM %s AS r', mastering.key_expression(source -> 'key'),
                                      (SELECT string_agg(format('CAST(r.%I AS %s)', c.value ->> 'name', c.value ->> 'type'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c), relation),
                   mastering.artifact_path(env.name), mastering.column_list(columns, true));
    PERFORM mastering.leave_out_erased(entity_name, source_name);
    ANALYZE pg_temp.mastering_incoming;
    EXECUTE 'SELECT jsonb_build_array("#key") FROM pg_temp.mastering_incoming GROUP BY "#key" HAVING count(*) > 1 OR "#key" IS NULL ORDER BY "#key" NULLS FIRST LIMIT 1' INTO bad;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" has %', source_name, entity_name, CASE WHEN bad = '[null]' THEN 'rows without a key' ELSE 'a key twice' END
            USING ERRCODE = CASE WHEN bad = '[null]' THEN '23502' ELSE '23505' END,
                  DETAIL = CASE WHEN bad = '[null]' THEN format('A column of the key %s is null in relation %s.', source -> 'key', relation)
                                ELSE format('Key %s is in relation %s more than once.', bad ->> 0, relation) END;
    END IF;
    EXECUTE 'SELECT count(*), mastering.rows_hash(ROW("#hash") ORDER BY "#hash") FROM pg_temp.mastering_incoming' INTO total, content;
    content := total || ':' || coalesce(content, '') || ':' || left(mastering.json_hash(source -> 'key'), 16);

    IF current IS NOT NULL AND (current ->> 'store')::int = store THEN
        live := format('(SELECT s."#key", s."#hash", s."#segment", s."#row" FROM mastering.%I s WHERE %s)', 'store_' || store, mastering.version_condition(current, 's'));
    ELSE
        live := '(SELECT NULL::text AS "#key", NULL::uuid AS "#hash", NULL::int AS "#segment", NULL::int AS "#row" WHERE false)';
    END IF;
    EXECUTE format('SELECT count(*) FILTER (WHERE o."#key" IS NULL), count(*) FILTER (WHERE o."#hash" <> n."#hash"), count(*) FILTER (WHERE n."#key" IS NULL), count(*) FILTER (WHERE o."#hash" = n."#hash")
                      FROM pg_temp.mastering_incoming n FULL JOIN %s o ON o."#key" = n."#key"', live)
       INTO inserted, updated, deleted, unchanged;
    change := CASE WHEN current IS NULL THEN 'initial'
                   WHEN (current ->> 'store')::int <> store THEN 'reload'
                   WHEN inserted + updated + deleted = 0 THEN 'none'
                   WHEN updated + deleted = 0 THEN 'append'
                   WHEN inserted + updated + deleted > greatest(total, 1) / 2 THEN 'reload'
                   ELSE 'update' END;
    IF change = 'none' THEN
        version := current;
        DROP TABLE pg_temp.mastering_incoming;
        RETURN NEXT;
        RETURN;
    END IF;

    -- What another environment has loaded already is not written again.
    SELECT d.version INTO version FROM mastering.data_version d WHERE d.store_id = store AND d.content = work.content;
    IF version IS NULL THEN
        full_write := change IN ('initial', 'reload');
        IF total > 0 AND (full_write OR inserted + updated > 0) THEN
            segment := mastering.begin_segment(store);
            EXECUTE format('INSERT INTO mastering.%I ("#segment", "#row", "#key", "#hash", %s) SELECT %s, mastering.next_row_no(), n."#key", n."#hash", %s FROM (SELECT n.* FROM pg_temp.mastering_incoming n%s OFFSET 0) n',
                           'segment_' || segment, mastering.column_list(columns, false), segment,
                           (SELECT string_agg(format('n.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c),
                           CASE WHEN full_write THEN '' ELSE format(' LEFT JOIN %s o ON o."#key" = n."#key" WHERE o."#key" IS NULL OR o."#hash" <> n."#hash"', live) END);
            PERFORM mastering.finish_segment(store, segment);
        END IF;
        IF full_write THEN
            version := mastering.make_version(store, CASE WHEN segment IS NULL THEN '{}'::int[] ELSE ARRAY[segment] END, CASE WHEN segment IS NULL THEN '{}'::bigint[] ELSE ARRAY[0::bigint] END, content);
        ELSE
            EXECUTE format('SELECT coalesce(jsonb_object_agg(d.segment, encode(d.lost, ''base64'')), ''{}'') FROM (
                SELECT o."#segment" AS segment, mastering.deletion_vector_agg(o."#row") AS lost FROM %s o LEFT JOIN pg_temp.mastering_incoming n ON n."#key" = o."#key"
                 WHERE n."#key" IS NULL OR n."#hash" <> o."#hash" GROUP BY 1) d', live) INTO deletions;
            version := mastering.compacted_version(mastering.changed_version(current, deletions, segment, content));
        END IF;
        INSERT INTO mastering.data_version (store_id, content, version) VALUES (store, content, version) ON CONFLICT DO NOTHING;
    END IF;
    DROP TABLE pg_temp.mastering_incoming;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.load_source(mastering.environment, text, text, jsonb, text, jsonb) IS 'Loads one source: the new version and what changed.';

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
    loaded record;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" is bound to no relation in environment "%"', source_name, entity_name, env.name
            USING ERRCODE = '55000', HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'')', env.name, entity_name, source_name);
    END IF;
    SELECT l.* INTO loaded FROM mastering.load_source(env, entity_name, source_name, source, relation, current) l;
    IF loaded.change <> 'none' THEN
        PERFORM mastering.check_data_update(env, entity_name, source_name, source, tree, current, loaded.version, loaded.inserted + loaded.updated + loaded.deleted);
        UPDATE mastering.configuration c SET data = c.data || jsonb_build_object(place, loaded.version), changed_at = now() WHERE c.environment = env.name;
        PERFORM mastering.audit(env.name, 'load', jsonb_build_object('source', place, 'relation', relation, 'change', loaded.change, 'inserted', loaded.inserted,
            'updated', loaded.updated, 'deleted', loaded.deleted, 'before', current ->> 'content', 'after', loaded.version ->> 'content'));
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
            USING ERRCODE = '42704', HINT = format('SELECT mastering.map_source(%L, %L, ...)', env_name, entity_name);
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
