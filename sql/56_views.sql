-- 56_views.sql: the views of an environment. A view is made once and stays: data change below it. It is replaced
-- only when the columns of its entity change.

CREATE FUNCTION mastering.record_columns(entity jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(jsonb_build_object('name', '#source', 'type', 'text'), jsonb_build_object('name', '#key', 'type', 'text')) || (entity -> 'attributes')
$$;
COMMENT ON FUNCTION mastering.record_columns(jsonb) IS 'Columns of an entity''s store of records.';

CREATE FUNCTION mastering.golden_columns(entity jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(jsonb_build_object('name', '#cluster', 'type', 'bigint')) || (entity -> 'attributes')
           || jsonb_build_array(jsonb_build_object('name', '#records', 'type', 'bigint'), jsonb_build_object('name', '#sources', 'type', 'bigint'))
$$;
COMMENT ON FUNCTION mastering.golden_columns(jsonb) IS 'Columns of an entity''s store of golden records.';

CREATE FUNCTION mastering.entity_store(kind text, entity_name text, entity jsonb) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE kind
        WHEN 'records' THEN mastering.store_for(kind, entity_name, '', mastering.record_columns(entity), '[["#source", "#key"]]')
        WHEN 'golden' THEN mastering.store_for(kind, entity_name, '', mastering.golden_columns(entity), '[["#cluster"]]')
        WHEN 'members' THEN mastering.store_for(kind, entity_name, '', '[{"name": "#source", "type": "text"}, {"name": "#key", "type": "text"}, {"name": "#cluster", "type": "bigint"}]',
                                                '[["#source", "#key"], ["#cluster"]]')
        WHEN 'lineage' THEN mastering.store_for(kind, entity_name, '', '[{"name": "#cluster", "type": "bigint"}, {"name": "lineage", "type": "jsonb"}]', '[["#cluster", "#row"]]')
        WHEN 'keys' THEN mastering.store_for(kind, entity_name, '', '[{"name": "first", "type": "bigint"}, {"name": "rule", "type": "integer"}, {"name": "of", "type": "integer"}, {"name": "entries", "type": "bytea"}]',
                                             '[["rule", "first"]]')
        WHEN 'history' THEN mastering.store_for(kind, entity_name, '', '[{"name": "#cluster", "type": "bigint"}, {"name": "event", "type": "text"}, {"name": "other_id", "type": "bigint"}, {"name": "records", "type": "bigint"}, {"name": "at", "type": "timestamp with time zone"}]',
                                                '[["#cluster"]]')
    END;
END
$$;
COMMENT ON FUNCTION mastering.entity_store(text, text, jsonb) IS 'The store of a kind for an entity with these attributes.';

-- The name by which in_version() finds a relation of an environment.
CREATE FUNCTION mastering.versioned_name(schema_name text, relation text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT quote_literal(quote_ident(schema_name) || '.' || quote_ident(relation)) $$;
COMMENT ON FUNCTION mastering.versioned_name(text, text) IS 'The first argument of in_version(), as an SQL literal.';

CREATE FUNCTION mastering.view_query(schema_name text, entity_name text, entity jsonb, suffix text, store int, second_store int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s text := format('mastering.%I s', 'store_' || store);
    attributes text := (SELECT string_agg(', ' || format('s.%I', a.value ->> 'name'), '' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a);
    live text := format('mastering.in_version(%s, s."#segment", s."#row")', mastering.versioned_name(schema_name, entity_name || suffix));
BEGIN
    RETURN CASE suffix
        WHEN '' THEN format('SELECT s."#cluster" AS id%s, s."#records" AS records, s."#sources" AS sources FROM %s WHERE %s', attributes, s, live)
        WHEN '_members' THEN format('SELECT s."#source" AS source, s."#key" AS record_key, s."#cluster" AS cluster_id FROM %s WHERE %s', s, live)
        WHEN '_lineage' THEN format('SELECT s."#cluster" AS id, e.key AS attribute, r.value ->> ''source'' AS source, substr(r.value ->> ''record'', strpos(r.value ->> ''record'', '':'') + 1) AS record_key, r.value ->> ''rule'' AS rule, (r.value ->> ''agreeing'')::bigint AS agreeing FROM %s CROSS JOIN LATERAL jsonb_each(s.lineage) e CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(e.value) WHEN ''array'' THEN e.value WHEN ''object'' THEN jsonb_build_array(e.value) ELSE ''[]'' END) r WHERE %s', s, live)
        WHEN '_history' THEN format('SELECT s."#cluster" AS id, s.event, s.other_id, s.records, s.at FROM %s WHERE %s', s, live)
        WHEN '_records' THEN format('SELECT s."#source" AS source, s."#key" AS record_key, m."#cluster" AS cluster_id%s FROM %s LEFT JOIN mastering.%I m ON m."#source" = s."#source" AND m."#key" = s."#key" AND mastering.in_version(%s, m."#segment", m."#row") WHERE %s',
                                    attributes, s, 'store_' || second_store, mastering.versioned_name(schema_name, entity_name || '_members'), live)
        WHEN '_input' THEN format('SELECT s."#source" || '':'' || s."#key" AS id, s."#source" AS source%s FROM %s WHERE mastering.in_version(%s, s."#segment", s."#row")',
                                  attributes, s, mastering.versioned_name(schema_name, entity_name || '_records'))
    END;
END
$$;
COMMENT ON FUNCTION mastering.view_query(text, text, jsonb, text, int, int) IS 'The SELECT behind a view of an environment.';

CREATE FUNCTION mastering.pairs_query(schema_name text, entity_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT p.source_a, p.record_key_a, p.cluster_a, p.source_b, p.record_key_b, p.cluster_b, p.weight, p.probability FROM mastering.scored_pairs(%L, %L) p', schema_name, entity_name)
$$;
COMMENT ON FUNCTION mastering.pairs_query(text, text) IS 'The SELECT behind the view of scored pairs (78_pairs.sql).';

-- A published view that others may build on keeps the columns that it had: what went away stays as NULL. It is
-- replaced without waiting while anything is locked: a reader in the way costs another attempt, not a pile-up.
CREATE FUNCTION mastering.replace_view(schema_name text, view_name text, query text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    qualified text := format('%I.%I', schema_name, view_name);
    existing regclass := to_regclass(qualified);
    wanted text;
    attempt int := 0;
    patience text := current_setting('lock_timeout');
    compression text := current_setting('default_toast_compression');
BEGIN
    IF existing IS NULL THEN
        PERFORM set_config('default_toast_compression', 'lz4', true) FROM pg_settings s WHERE s.name = 'default_toast_compression' AND 'lz4' = ANY (s.enumvals);
        EXECUTE format('CREATE VIEW %s AS %s', qualified, query);
        PERFORM set_config('default_toast_compression', compression, true);
    ELSE
        EXECUTE format('CREATE TEMP VIEW mastering_wanted AS %s', query);
        SELECT string_agg(CASE WHEN n.attname IS NOT NULL THEN quote_ident(coalesce(o.attname, n.attname))
                               ELSE format('NULL::%s AS %I', format_type(o.atttypid, o.atttypmod), o.attname)
                               END, ', ' ORDER BY o.attnum NULLS LAST, n.attnum)
          INTO wanted
          FROM (SELECT * FROM pg_attribute a WHERE a.attrelid = existing AND a.attnum > 0 AND NOT a.attisdropped) o
          FULL JOIN (SELECT * FROM pg_attribute a WHERE a.attrelid = 'pg_temp.mastering_wanted'::regclass AND a.attnum > 0) n ON n.attname = o.attname;
        DROP VIEW pg_temp.mastering_wanted;
        LOOP
            attempt := attempt + 1;
            BEGIN
                PERFORM set_config('lock_timeout', '100ms', true);
                BEGIN
                    EXECUTE format('CREATE OR REPLACE VIEW %s AS SELECT %s FROM (%s) q', qualified, wanted, query);
                EXCEPTION WHEN invalid_table_definition THEN    -- the type of a column changed
                    EXECUTE format('DROP VIEW %s', qualified);
                    EXECUTE format('CREATE VIEW %s AS %s', qualified, query);
                END;
                PERFORM set_config('lock_timeout', patience, true);
                EXIT;
            EXCEPTION WHEN lock_not_available THEN
                IF attempt >= 20 THEN
                    RAISE EXCEPTION 'view % is in use and its columns have to change', qualified
                        USING ERRCODE = '55P03', HINT = 'Try again when the open transactions that read it have ended.';
                END IF;
                PERFORM pg_sleep(0.05);
            END;
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.replace_view(text, text, text) IS 'Makes a view, or gives an existing one other columns.';

CREATE FUNCTION mastering.sync_view(schema_name text, view_name text, query text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = schema_name AND v.view_name = sync_view.view_name AND v.definition = query)
       AND to_regclass(format('%I.%I', schema_name, view_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM mastering.replace_view(schema_name, view_name, query);
    INSERT INTO mastering.environment_view (environment, view_name, definition) VALUES (schema_name, view_name, query)
    ON CONFLICT ON CONSTRAINT environment_view_pkey DO UPDATE SET definition = EXCLUDED.definition;
    RETURN true;
END
$$;
COMMENT ON FUNCTION mastering.sync_view(text, text, text) IS 'Makes or replaces a view unless it is as wanted already.';

-- With versions, the views show the stores that these lie in; without, those of the entity as it is defined.
CREATE FUNCTION mastering.sync_entity_views(schema_name text, entity_name text, entity jsonb, versions jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed boolean := false;
    kind text;
    stores jsonb := '{}';
BEGIN
    FOREACH kind IN ARRAY ARRAY['records', 'members', 'golden', 'lineage', 'history'] LOOP
        stores := stores || jsonb_build_object(kind, coalesce(
            (versions -> (entity_name || CASE kind WHEN 'golden' THEN '' ELSE '_' || kind END) ->> 'store')::int,
            mastering.entity_store(kind, entity_name, entity)));
    END LOOP;
    FOREACH kind IN ARRAY ARRAY['', '_members', '_lineage', '_history'] LOOP
        changed := mastering.sync_view(schema_name, entity_name || kind, mastering.view_query(schema_name, entity_name, entity, kind,
            (stores ->> CASE kind WHEN '' THEN 'golden' ELSE substr(kind, 2) END)::int)) OR changed;
    END LOOP;
    changed := mastering.sync_view(schema_name, entity_name || '_records', mastering.view_query(schema_name, entity_name, entity, '_records',
        (stores ->> 'records')::int, (stores ->> 'members')::int)) OR changed;
    IF schema_name ~ '_next$' THEN
        changed := mastering.sync_view(schema_name, entity_name || '_input', mastering.view_query(schema_name, entity_name, entity, '_input',
            (stores ->> 'records')::int)) OR changed;
    ELSIF EXISTS (SELECT FROM mastering.environment e WHERE e.name = schema_name) THEN    -- a candidate has none
        changed := mastering.sync_view(schema_name, entity_name || '_pairs', mastering.pairs_query(schema_name, entity_name)) OR changed;
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mastering.sync_entity_views(text, text, jsonb, jsonb) IS 'Brings the views of an entity in one schema to its attributes.';

-- The published views follow what is published; a definition that no run has used yet changes nothing there.
CREATE FUNCTION mastering.sync_views(env_name text, entity_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config mastering.configuration := mastering.configuration_of(env_name);
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name);
    entity jsonb := mastering.artifact_at(config.tree, mastering.path('entity', entity_name));
    published jsonb := mastering.artifact_at(versions -> entity_name -> 'tree', mastering.path('entity', entity_name));
BEGIN
    IF mastering.sync_entity_views(env_name, entity_name, coalesce(published, entity), versions)
       OR mastering.sync_entity_views(env_name || '_next', entity_name, entity, '{}') THEN
        PERFORM mastering.sync_entity_views(env_name || '_next', entity_name, entity, '{}');
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.sync_views(text, text) IS 'Brings the views of an entity up to date in an environment and in what it is going to be.';

CREATE FUNCTION mastering.drop_views(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    views text := (SELECT string_agg(format('%I.%I', v.environment, v.view_name), ', ' ORDER BY v.view_name COLLATE "C")
        FROM mastering.environment_view v WHERE v.environment = env_name);
BEGIN
    IF views IS NOT NULL THEN
        EXECUTE 'DROP VIEW ' || views;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.drop_views(text) IS 'Drops the views of an environment; fails where something depends on them.';
