-- 57_changes.sql: how a source is read by a load. Comparing all keys is the default and always right. By a change
-- column or a relation of changes a load reads what changed and nothing else.
--
-- What was seen last is remembered in the version of the data itself ("position"), not beside it: data that a rollback
-- or a restore brings back bring back what had been consumed of the changes when they were loaded. The position is read
-- before the rows: what comes in between is read again by the next load, which changes nothing.
--
-- O(change): reading by column or changes (with an index on the column), comparing, hashing the content, writing.
-- O(rows of the source): comparing all keys, the first load, a load after the columns of the relation or its key changed,
-- the first load that changes data which version 0.1.0 loaded or of which records were erased (it computes the state again).

CREATE TABLE mastering.source_loading (
    environment text COLLATE "C" NOT NULL,
    entity      text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    relation    text NOT NULL,
    options     jsonb NOT NULL,
    PRIMARY KEY (environment, entity, source)
);
COMMENT ON TABLE mastering.source_loading IS 'Sources that an environment reads otherwise than by comparing all keys; in force while the source is bound to the relation. As bindings, the environment''s own and not promoted.';
SELECT pg_catalog.pg_extension_config_dump('mastering.source_loading', '');

CREATE FUNCTION mastering.loading_in_force(env_name text, entity_name text, source_name text, relation text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.options FROM mastering.source_loading l
     WHERE l.environment = env_name AND l.entity = entity_name AND l.source = source_name AND l.relation = loading_in_force.relation
$$;
COMMENT ON FUNCTION mastering.loading_in_force(text, text, text, text) IS 'How a source is read from the relation that it is bound to; NULL: by comparing all keys.';

-- A position is one of a relation read in a way: it says nothing of another one, which a source is bound to later or in another
-- environment that data are restored from.
CREATE FUNCTION mastering.loading_hash(relation text, options jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.json_hash(jsonb_build_object('relation', relation, 'options', options)) $$;
COMMENT ON FUNCTION mastering.loading_hash(text, jsonb) IS 'What a position is of.';

CREATE FUNCTION mastering.column_type(relation text, name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = to_regclass(relation) AND a.attname = name AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION mastering.column_type(text, text) IS 'The type of a relation''s column as SQL; NULL where there is none.';

-- Options with every name spelled out, or an error that says what is wrong with them.
CREATE FUNCTION mastering.loading_document(env mastering.environment, relation text, key jsonb, given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    options jsonb := given;
    read_from text := relation;
    every numeric;
    missing text;
    type text;
BEGIN
    IF jsonb_typeof(given) IS DISTINCT FROM 'object' OR (given ? 'change_column') = (given ? 'changes')
       OR given - '{change_column,compare_every,overlap}'::text[] <> '{}' AND given - '{changes,operation,position,compare_every,overlap}'::text[] <> '{}'
       OR EXISTS (SELECT FROM jsonb_each(given) o WHERE jsonb_typeof(o.value) <> CASE o.key WHEN 'compare_every' THEN 'number' ELSE 'string' END) THEN
        RAISE EXCEPTION 'loading is an object of change_column, or of changes, operation and position; with either, compare_every and overlap' USING ERRCODE = '22023',
            HINT = 'Write {"change_column": "updated_at", "compare_every": 12} or {"changes": "crm.customer_changes", "operation": "op", "position": "seq"}; NULL compares all keys.';
    END IF;
    every := (given ->> 'compare_every')::numeric;
    IF every < 1 OR every <> trunc(every) OR every > 1000000 THEN
        RAISE EXCEPTION 'compare_every is a number of loads from 1 to 1000000' USING ERRCODE = '22023', DETAIL = format('It is %s.', every);
    END IF;
    IF given ? 'changes' THEN
        read_from := mastering.relation_name(given ->> 'changes');
        options := '{"operation": "operation", "position": "position"}' || given || jsonb_build_object('changes', read_from);
        IF to_regclass(read_from) IS NULL THEN
            RAISE EXCEPTION 'relation % does not exist', read_from USING ERRCODE = '42P01';
        END IF;
        SELECT string_agg(format('"%s"', c.name), ', ' ORDER BY c.name) INTO missing
          FROM (SELECT x ->> 'name' FROM jsonb_array_elements(mastering.relation_columns(relation)) x UNION SELECT k #>> '{}' FROM jsonb_array_elements(key) k
                UNION SELECT options ->> 'operation' UNION SELECT options ->> 'position') c (name) WHERE mastering.column_type(read_from, c.name) IS NULL;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'relation % lacks columns: %', read_from, missing USING ERRCODE = '42703',
                DETAIL = format('A relation of changes has the columns of %s, an operation (insert, update or delete) and a position.', relation),
                HINT = 'The columns of the operation and of the position are named by operation and position.';
        END IF;
        type := mastering.column_type(read_from, options ->> 'position');
    ELSE
        type := mastering.column_type(relation, given ->> 'change_column');
        IF type IS NULL THEN
            RAISE EXCEPTION 'relation % has no column "%"', relation, given ->> 'change_column' USING ERRCODE = '42703';
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod JOIN pg_type t ON t.oid = to_regtype(type) AND (o.opcintype = t.oid OR o.opcintype = nullif(t.typbasetype, 0))
                    WHERE m.amname = 'btree' AND o.opcdefault) AND to_regtype(type) <> 'varchar'::regtype THEN
        RAISE EXCEPTION 'column "%" of relation % has no order', coalesce(options ->> 'position', options ->> 'change_column'), read_from USING ERRCODE = '42883', DETAIL = format('It is of type %s.', type);
    END IF;
    IF NOT has_any_column_privilege(env.owner::name, to_regclass(read_from), 'SELECT') THEN
        RAISE EXCEPTION 'the owner of environment "%" may not read relation %', env.name, read_from
            USING ERRCODE = '42501', HINT = format('GRANT SELECT ON %s TO %I', read_from, env.owner);
    END IF;
    IF given ? 'overlap' THEN
        BEGIN
            PERFORM FROM mastering.query_as(env.owner::name, format('SELECT p.p > (CAST(NULL AS %s) - CAST(%L AS %s)) FROM (SELECT CAST(NULL AS %1$s)) p (p)', type, given ->> 'overlap', mastering.overlap_type(type)),
                                            mastering.artifact_path(env.name), true) AS t (value boolean);
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
            RAISE EXCEPTION 'overlap "%" cannot be taken from a value of type %', given ->> 'overlap', type USING ERRCODE = '22023', HINT = 'Write an interval such as "5 minutes" for times, a number for numbers.';
        END;
        IF (CASE mastering.overlap_type(type) WHEN 'interval' THEN (given ->> 'overlap')::interval < '0' ELSE given ->> 'overlap' ~ '^[[:space:]]*-' END) THEN    -- changes would be skipped
            RAISE EXCEPTION 'overlap "%" is negative', given ->> 'overlap' USING ERRCODE = '22023', HINT = 'It says how far a load goes back behind the last position.';
        END IF;
    END IF;
    RETURN options;
END
$$;
COMMENT ON FUNCTION mastering.loading_document(mastering.environment, text, jsonb, jsonb) IS 'The document of how a source is read, if it is one and the environment''s owner may read so.';

CREATE FUNCTION mastering.overlap_type(type text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN type ~ '^(timestamp|date)' THEN 'interval' WHEN type = 'pg_lsn' THEN 'numeric' ELSE type END
$$;
COMMENT ON FUNCTION mastering.overlap_type(text) IS 'The type of what is taken from a position of a type to go back behind it.';

CREATE FUNCTION mastering.do_set_loading(env_name text, entity_name text, source_name text, loading jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration;
    source jsonb;
    bound text;
    before jsonb;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    env := mastering.require_author(env_name);    -- its owner may be another by now
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    source := mastering.artifact_at(config.tree, mastering.path('entity', entity_name, 'source', source_name));
    IF source IS NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" does not exist in environment "%"', source_name, entity_name, env_name USING ERRCODE = '42704';
    END IF;
    bound := config.bindings ->> mastering.path(entity_name, source_name);
    IF bound IS NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" is bound to no relation in environment "%"', source_name, entity_name, env_name
            USING ERRCODE = '55000', HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'')', env_name, entity_name, source_name);
    END IF;
    loading := CASE WHEN loading IS NOT NULL THEN mastering.loading_document(env, bound, source -> 'key', loading) END;
    before := mastering.loading_in_force(env_name, entity_name, source_name, bound);
    IF loading IS NOT DISTINCT FROM before THEN
        RETURN;
    END IF;
    DELETE FROM mastering.source_loading l WHERE l.environment = env_name AND l.entity = entity_name AND l.source = source_name;
    INSERT INTO mastering.source_loading (environment, entity, source, relation, options) SELECT env_name, entity_name, source_name, bound, loading WHERE loading IS NOT NULL;
    PERFORM mastering.audit(env_name, 'set loading', jsonb_build_object('source', mastering.path(entity_name, source_name), 'before', before, 'after', loading));
END
$$;
COMMENT ON FUNCTION mastering.do_set_loading(text, text, text, jsonb) IS 'Behind set_loading.';

CREATE FUNCTION mastering.set_loading(env text, entity text, source text, loading jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_loading(text, text, text, jsonb) IS 'How load reads a source in an environment. NULL: by comparing all keys. {"change_column": "updated_at"}: the rows whose column is at or after the last value seen, or NULL; what was deleted stays. {"changes": "schema.relation", "operation": "op", "position": "seq"}: a relation with the source''s columns, an operation (insert, update, delete) and a position, each change once, of several of a key the last. With either, "compare_every": n compares all keys at each nth load, and "overlap" (an interval, a number) goes back behind the last position for changes that were committed late.';

CREATE FUNCTION mastering.do_loading(env_name text)
RETURNS TABLE (entity text, source text, relation text, loading jsonb, last_position text, loads_since_comparison int)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    config mastering.configuration := mastering.configuration_of(env_name);
BEGIN
    RETURN QUERY
    SELECT mastering.step(t.path, 2), mastering.step(t.path, 4), b.relation, l.options, p.position ->> 'at', (p.position ->> 'loads')::int
      FROM jsonb_object_keys(config.tree) t (path)
     CROSS JOIN LATERAL (SELECT config.bindings ->> mastering.path(mastering.step(t.path, 2), mastering.step(t.path, 4))) b (relation)
     CROSS JOIN LATERAL (SELECT mastering.loading_in_force(env_name, mastering.step(t.path, 2), mastering.step(t.path, 4), b.relation)) l (options)
      LEFT JOIN LATERAL (SELECT config.data -> mastering.path(mastering.step(t.path, 2), mastering.step(t.path, 4)) -> 'position') p (position) ON p.position ->> 'of' = mastering.loading_hash(b.relation, l.options)
     WHERE t.path LIKE 'entity/%/source/%' ORDER BY 1, 2;
END
$$;
COMMENT ON FUNCTION mastering.do_loading(text) IS 'Behind loading.';

CREATE FUNCTION mastering.loading(env text)
RETURNS TABLE (entity text, source text, relation text, loading jsonb, last_position text, loads_since_comparison int)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.loading(text) IS 'How an environment reads its sources: the relation, what set_loading said (NULL: all keys are compared), the last position that was seen and how many loads went by since all keys were compared.';

-- ---- reading -------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.drop_load_tables() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.mastering_incoming, pg_temp.mastering_feed, pg_temp.mastering_gone, pg_temp.mastering_change;
END
$$;
COMMENT ON FUNCTION mastering.drop_load_tables() IS 'Drops the temporary tables of a load.';

-- Writes pg_temp.mastering_incoming ("#key", "#hash", columns) and, from a relation of changes, pg_temp.mastering_gone ("#key").
-- way: all (what is not in mastering_incoming is gone), column or changes.
CREATE FUNCTION mastering.read_source(env mastering.environment, entity_name text, source_name text, source jsonb, relation text, columns jsonb, store int, current jsonb, OUT way text, OUT position_after jsonb)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    options jsonb := mastering.loading_in_force(env.name, entity_name, source_name, relation);
    search_path text := mastering.artifact_path(env.name);
    stored_as text := (SELECT string_agg(format('CAST(r.%I AS %s)', c.value ->> 'name', c.value ->> 'type'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c);
    names text := (SELECT string_agg(format('r.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c);
    key text := mastering.key_expression(source -> 'key');
    last jsonb := current -> 'position';
    read_from text := relation;
    moving text;    -- the column that tells what is new
    type text;
    until text;
    since text;
    behind boolean;
    bad record;
BEGIN
    way := 'all';
    IF options IS NOT NULL THEN
        options := mastering.loading_document(env, relation, source -> 'key', options);    -- a relation may be another by now
        read_from := coalesce(options ->> 'changes', relation);
        moving := coalesce(options ->> 'position', options ->> 'change_column');
        type := mastering.column_type(read_from, moving);
        IF (current ->> 'store')::int = store AND last ->> 'of' = mastering.loading_hash(relation, options) AND (last -> 'at' <> 'null' OR options ? 'changes')
           AND split_part(current ->> 'content', ':', 3) = left(mastering.json_hash(source -> 'key'), 16)    -- keys are written as they were
           AND (last ->> 'loads')::int + 1 < coalesce((options ->> 'compare_every')::int, 2147483647) THEN
            way := CASE WHEN options ? 'changes' THEN 'changes' ELSE 'column' END;
        END IF;
        -- Nothing is newer than infinity; rows that lie there are read by every load.
        SELECT p.at, p.behind INTO until, behind
          FROM mastering.query_as(env.owner::name, format('SELECT r.%1$I::text, coalesce(r.%1$I < CAST(%3$L AS %4$s), false) FROM %2$s AS r WHERE r.%1$I IS NOT NULL%5$s ORDER BY r.%1$I DESC LIMIT 1', moving, read_from,
                                                          CASE WHEN way <> 'all' THEN last ->> 'at' END, type,
                                                          CASE WHEN options ? 'change_column' AND type ~ '^(timestamp|date$|numeric|real$|double)' THEN format(' AND r.%I < ''infinity''', moving) ELSE '' END),
                                  search_path, true) AS p (at text, behind boolean);
        IF way = 'changes' AND behind THEN    -- changes are numbered anew, or are not those that were read last
            way := 'all';
        END IF;
        position_after := jsonb_build_object('of', mastering.loading_hash(relation, options), 'at', CASE WHEN way = 'all' THEN until ELSE coalesce(until, last ->> 'at') END,
                                             'loads', CASE WHEN way = 'all' THEN 0 ELSE (last ->> 'loads')::int + 1 END);
        since := CASE WHEN options ? 'overlap' THEN format('(CAST(%L AS %s) - CAST(%L AS %s))', last ->> 'at', type, options ->> 'overlap', mastering.overlap_type(type))
                      ELSE format('CAST(%L AS %s)', last ->> 'at', type) END;
    END IF;

    IF way <> 'changes' THEN
        -- The key too is made as the owner: its cast to text may be a function of whoever made its type.
        EXECUTE format('CREATE TEMP TABLE mastering_incoming ON COMMIT DROP AS SELECT r."#key", mastering.row_hash(r) AS "#hash", %s FROM mastering.query_as(%L, %L, %L, true) AS r ("#key" text, %s)', names, env.owner,
                       (SELECT string_agg(format('SELECT %s, %s FROM %s AS r%s', key, stored_as, relation, c.condition), ' UNION ALL ')
                          FROM unnest(CASE way WHEN 'all' THEN ARRAY[''] ELSE ARRAY[format(' WHERE r.%I >= %s', moving, since), format(' WHERE r.%I IS NULL', moving)] END) c (condition)),
                       search_path, mastering.column_list(columns, true));
    ELSE
        -- What came after the position was read waits for the next load.
        EXECUTE format('CREATE TEMP TABLE mastering_feed ON COMMIT DROP AS SELECT f.* FROM mastering.query_as(%L, %L, %L, true) AS f ("#key" text, "#operation" text, "#position" text, "#nth" bigint, %s)', env.owner,
                       format('SELECT %1$s, CAST(r.%2$I AS text), CAST(r.%3$I AS text), rank() OVER (PARTITION BY %4$s ORDER BY r.%3$I DESC), %5$s FROM (SELECT r.* FROM %6$s AS r WHERE %7$s UNION ALL SELECT r.* FROM %6$s AS r WHERE r.%3$I IS NULL) r',
                              key, options ->> 'operation', moving, (SELECT string_agg(format('r.%I', k), ', ') FROM jsonb_array_elements_text(source -> 'key') k), stored_as, read_from,
                              CASE WHEN until IS NULL THEN 'false' ELSE CASE WHEN last -> 'at' <> 'null' THEN format('r.%I > %s AND ', moving, since) ELSE '' END || format('r.%I <= CAST(%L AS %s)', moving, until, type) END),
                       search_path, mastering.column_list(columns, true));
        SELECT f."#key", f."#operation", f."#position" INTO bad FROM pg_temp.mastering_feed f
         WHERE f."#key" IS NULL OR f."#position" IS NULL OR lower(f."#operation") IN ('insert', 'update', 'delete', 'upsert', 'i', 'u', 'd') IS NOT TRUE ORDER BY f."#position" NULLS FIRST, f."#key" LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'a change of source "%" of entity "%" has %', source_name, entity_name,
                CASE WHEN bad."#position" IS NULL THEN 'no position' WHEN bad."#key" IS NULL THEN 'no key' WHEN bad."#operation" IS NULL THEN 'no operation' ELSE format('an unknown operation: "%s"', bad."#operation") END
                USING ERRCODE = CASE WHEN bad."#position" IS NULL OR bad."#key" IS NULL OR bad."#operation" IS NULL THEN '23502' ELSE '22023' END,
                      DETAIL = format('Key %s at position %s of relation %s.', coalesce(bad."#key", 'NULL'), coalesce(bad."#position", 'NULL'), read_from),
                      HINT = 'A change has the key of its record, a position in column ' || quote_ident(moving) || ', and in column ' || quote_ident(options ->> 'operation') || ' insert, update, upsert or delete, or i, u or d. Nothing was loaded.';
        END IF;
        SELECT f."#key", min(f."#position") AS "#position" INTO bad FROM pg_temp.mastering_feed f WHERE f."#nth" = 1 GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'source "%" of entity "%" has two changes of a key at one position', source_name, entity_name
                USING ERRCODE = '23505', DETAIL = format('Key %s at position %s of relation %s: which is the later one cannot be known.', bad."#key", bad."#position", read_from);
        END IF;
        CREATE TEMP TABLE mastering_gone ON COMMIT DROP AS SELECT f."#key" FROM pg_temp.mastering_feed f WHERE f."#nth" = 1 AND lower(f."#operation") IN ('delete', 'd');
        EXECUTE format('CREATE TEMP TABLE mastering_incoming ON COMMIT DROP AS SELECT r."#key", mastering.row_hash(r) AS "#hash", %s FROM (SELECT f."#key", %s FROM pg_temp.mastering_feed f WHERE f."#nth" = 1 AND lower(f."#operation") NOT IN (''delete'', ''d'')) r',
                       names, mastering.column_list(columns, false));
        DROP TABLE pg_temp.mastering_feed;
    END IF;
    PERFORM mastering.leave_out_erased(entity_name, source_name);
    ANALYZE pg_temp.mastering_incoming;
    IF way = 'changes' THEN
        ANALYZE pg_temp.mastering_gone;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.read_source(mastering.environment, text, text, jsonb, text, jsonb, int, jsonb) IS 'Reads a source into temporary tables: all of its rows or what changed since the position of the data loaded last; and the position after it.';

-- ---- the state of what is loaded -------------------------------------------------------------------------------------

CREATE FUNCTION mastering.content_row(columns jsonb, alias text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN format('ROW(%1$I."#key"%2$s)', alias, (SELECT string_agg(format(', %I.%I', alias, c.value ->> 'name'), '' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c));
END
$$;
COMMENT ON FUNCTION mastering.content_row(jsonb, text) IS 'What of a loaded row its data''s content is made of, as SQL: key and columns.';

-- The number of rows tells data from which records were erased, whose content still names them.
CREATE FUNCTION mastering.content_state_of(store_id int, columns jsonb, version jsonb) RETURNS bytea
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    result bytea := (SELECT d.state FROM mastering.data_version d WHERE d.store_id = content_state_of.store_id AND d.content = content_state_of.version ->> 'content'
                        AND split_part(d.content, ':', 1) = content_state_of.version ->> 'rows');
BEGIN
    IF result IS NULL THEN
        EXECUTE format('SELECT mastering.content_state(mastering.stored_row_hash(%s)) FROM mastering.%I s WHERE %s', mastering.content_row(columns, 's'), 'store_' || store_id, mastering.version_condition(version, 's')) INTO result;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.content_state_of(int, jsonb, jsonb) IS 'The state of the content of loaded data: kept with it, or computed from its rows where it was not.';

REVOKE ALL ON FUNCTION mastering.loading_in_force(text, text, text, text), mastering.loading_hash(text, jsonb), mastering.column_type(text, text), mastering.loading_document(mastering.environment, text, jsonb, jsonb), mastering.overlap_type(text),
    mastering.drop_load_tables(), mastering.read_source(mastering.environment, text, text, jsonb, text, jsonb, int, jsonb),
    mastering.content_row(jsonb, text), mastering.content_state_of(int, jsonb, jsonb) FROM PUBLIC;
