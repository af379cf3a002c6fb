-- 55_entity.sql: what is mastered, from which sources, by which rules. All of it is artifacts in the tree of an
-- environment; only the binding of a source to a relation is the environment's own.

CREATE FUNCTION mastering.require_entity(tree jsonb, env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name));
    near text;
BEGIN
    IF hit IS NULL THEN
        near := CASE WHEN length(entity_name) > 2 THEN mastering.nearest_name(entity_name, ARRAY(SELECT e FROM mastering.entities_of(tree) e ORDER BY e COLLATE "C")) END;
        RAISE EXCEPTION 'entity "%" does not exist in environment "%"', entity_name, env_name
            USING ERRCODE = '42704', HINT = coalesce('Perhaps you meant "' || near || '".', format('SELECT mastering.define_entity(%L, %L, ''{"name": "text"}'')', env_name, entity_name));
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.require_entity(jsonb, text, text) IS 'The document of an entity, or an error.';

-- Enums, domains, composites and ranges belong to whoever made them and go with DROP TYPE ... CASCADE, and a store's
-- column would go with them: a domain is stored as the type below it, the others as text.
CREATE FUNCTION mastering.storable_type(given oid, modifier int) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type pg_type := (SELECT t FROM pg_type t WHERE t.oid = given);
BEGIN
    IF type.typtype = 'd' THEN
        RETURN mastering.storable_type(type.typbasetype, type.typtypmod);
    ELSIF type.typelem <> 0 AND type.typlen = -1 AND type.typcategory = 'A' THEN
        RETURN replace(mastering.storable_type(type.typelem, modifier), '[]', '') || '[]';
    ELSIF type.typtype IN ('e', 'c') OR (type.typtype IN ('r', 'm') AND type.typnamespace <> 'pg_catalog'::regnamespace) THEN
        RETURN 'text';
    END IF;
    RETURN format_type(given, modifier);
END
$$;
COMMENT ON FUNCTION mastering.storable_type(oid, int) IS 'The type that a store has for values of a type.';

-- The name of a type as format_type writes it, or NULL. Nothing but a name and up to two numbers gets through.
CREATE FUNCTION mastering.type_name(given text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base text := btrim(regexp_replace(given, '\(\s*\d+\s*(,\s*\d+\s*)?\)', ''));
    modifier text := coalesce(substring(given FROM '\(\s*\d+\s*(?:,\s*\d+\s*)?\)'), '');
    hit regtype;
BEGIN
    BEGIN
        hit := to_regtype(base);
        IF to_regtype(given) IS DISTINCT FROM hit THEN
            RETURN NULL;
        END IF;
    EXCEPTION WHEN syntax_error OR undefined_object OR invalid_schema_name OR feature_not_supported THEN
        RETURN NULL;
    END;
    IF hit IS NULL OR EXISTS (SELECT FROM pg_type t WHERE t.oid = hit AND t.typtype = 'p') THEN
        RETURN NULL;
    END IF;
    IF modifier = '' THEN
        RETURN mastering.storable_type(hit, -1);    -- bpchar: 'character' would mean one character
    END IF;
    IF format_type(hit, NULL) NOT IN ('numeric', 'character varying', 'character', 'bit', 'bit varying') THEN
        RETURN NULL;
    END IF;
    RETURN format_type(hit, NULL) || regexp_replace(modifier, '\s', '', 'g');
END
$$;
COMMENT ON FUNCTION mastering.type_name(text) IS 'A type''s canonical name from what a user wrote; NULL where there is no such type.';

CREATE FUNCTION mastering.entity_document(entity_name text, attribute_types json) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attributes jsonb := '[]';
    attribute record;
    type_text text;
BEGIN
    IF entity_name IS NULL OR entity_name = '' OR octet_length(entity_name) > 53
       OR entity_name ~ '_(records|members|lineage|pairs|history|input|keys)$' OR entity_name ~ '/' THEN
        RAISE EXCEPTION 'invalid name of an entity: "%"', entity_name
            USING ERRCODE = '42602', DETAIL = 'It has 1 to 53 bytes, no /, and does not end in _records, _members, _lineage, _pairs, _history, _input or _keys.';
    END IF;
    IF json_typeof(attribute_types) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the attributes of an entity are an object of names and types'
            USING ERRCODE = '22023', HINT = 'Write {"name": "text", "birth_date": "date"}.';
    END IF;
    FOR attribute IN SELECT a.key, a.value #>> '{}' AS type, json_typeof(a.value) AS kind FROM json_each(attribute_types) a LOOP
        type_text := CASE WHEN attribute.kind = 'string' THEN mastering.type_name(attribute.type) END;
        IF type_text IS NULL THEN
            RAISE EXCEPTION 'attribute "%" has no valid type: %', attribute.key, attribute.type USING ERRCODE = '22023', DETAIL = format('At $.%s.', attribute.key);
        END IF;
        IF attribute.key = '' OR octet_length(attribute.key) > 63 OR attribute.key ~ '^#'
           OR attribute.key IN ('id', 'records', 'sources', 'source', 'record_key', 'cluster_id', 'record_count', 'source_count', 'lineage')
           OR attribute.key IN ('tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid') THEN
            RAISE EXCEPTION 'invalid name of an attribute: "%"', attribute.key
                USING ERRCODE = '42602', DETAIL = 'It has 1 to 63 bytes, does not begin with # and is none of id, records, sources, source, record_key, cluster_id, record_count, source_count, lineage.';
        END IF;
        IF attributes @> jsonb_build_array(jsonb_build_object('name', attribute.key)) THEN
            RAISE EXCEPTION 'attribute "%" is given twice', attribute.key USING ERRCODE = '42701';
        END IF;
        attributes := attributes || jsonb_build_object('name', attribute.key, 'type', type_text);
    END LOOP;
    IF attributes = '[]' THEN
        RAISE EXCEPTION 'entity "%" has no attributes', entity_name USING ERRCODE = '22023';
    END IF;
    RETURN jsonb_build_object('attributes', attributes);
END
$$;
COMMENT ON FUNCTION mastering.entity_document(text, json) IS 'The document of an entity with these attributes, if there can be one.';

CREATE FUNCTION mastering.do_define_entity(env_name text, entity_name text, attribute_types json) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name), mastering.entity_document(entity_name, attribute_types));
    PERFORM mastering.sync_views(env_name, entity_name);
END
$$;
COMMENT ON FUNCTION mastering.do_define_entity(text, text, json) IS 'Behind define_entity.';

CREATE FUNCTION mastering.define_entity(env text, entity text, attributes json) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.define_entity(text, text, json) IS 'Defines an entity, or its attributes anew: {"name": "text", "birth_date": "date"}. Published views change with the next run. Blocking and comparisons stay as they are; set_blocking and set_comparisons with NULL, then train, let others be suggested.';

-- A qualified relation name, each part quoted. Text that is not one never gets into a query.
CREATE FUNCTION mastering.relation_name(given text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[];
    found text[];
BEGIN
    BEGIN
        parts := parse_ident(given, true);
    EXCEPTION WHEN invalid_parameter_value OR invalid_name THEN
        parts := NULL;
    END;
    IF parts IS NULL OR cardinality(parts) <> 2 THEN
        found := ARRAY(SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE cardinality(parts) = 1 AND c.relname = parts[1] AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema');
        RAISE EXCEPTION 'invalid name of a relation: "%"', given
            USING ERRCODE = '42602', HINT = CASE WHEN cardinality(found) = 1 THEN format('Write its schema, too: %L.', found[1]) ELSE 'Write schema.relation, each quoted where SQL needs it.' END;
    END IF;
    RETURN format('%I.%I', parts[1], parts[2]);
END
$$;
COMMENT ON FUNCTION mastering.relation_name(text) IS 'A relation''s name with its schema, quoted, from what a user wrote.';

CREATE FUNCTION mastering.relation_columns(relation text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', mastering.storable_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) INTO columns
      FROM pg_attribute a WHERE a.attrelid = to_regclass(relation) AND a.attnum > 0 AND NOT a.attisdropped;
    IF columns IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', relation USING ERRCODE = '42P01';
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(columns) c WHERE c ->> 'name' LIKE '#%') THEN
        RAISE EXCEPTION 'relation % has a column whose name begins with #', relation
            USING ERRCODE = '42602', HINT = 'Such names are reserved; bind a view that renames the column.';
    END IF;
    RETURN columns;
END
$$;
COMMENT ON FUNCTION mastering.relation_columns(text) IS 'Names of a relation''s columns, and the types they are stored as.';

CREATE FUNCTION mastering.key_columns(given text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text;
    parsed text[];
    names text[] := '{}';
BEGIN
    FOR part IN SELECT btrim(p) FROM regexp_split_to_table(given, ',(?=(?:[^"]*"[^"]*")*[^"]*$)') p LOOP
        BEGIN
            parsed := parse_ident(part, true);
        EXCEPTION WHEN invalid_parameter_value OR invalid_name THEN
            parsed := NULL;
        END;
        IF parsed IS NULL OR cardinality(parsed) <> 1 THEN
            RAISE EXCEPTION 'invalid key: "%"', given USING ERRCODE = '42602', HINT = 'A key is one column or several with commas between them, each quoted where SQL needs it.';
        END IF;
        names := names || parsed[1];
    END LOOP;
    RETURN names;
END
$$;
COMMENT ON FUNCTION mastering.key_columns(text) IS 'The columns of a key written as ''id'' or ''company, "No"''.';

CREATE FUNCTION mastering.mapping_list(entity jsonb, mapping jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format(E'CAST((%s\n) AS %s) AS %I', coalesce(mapping ->> (a.value ->> 'name'), 'NULL'), a.value ->> 'type', a.value ->> 'name'),
                      E',\n       ' ORDER BY a.ordinality)
      FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a
$$;
COMMENT ON FUNCTION mastering.mapping_list(jsonb, jsonb) IS 'The select list that maps a source''s columns to an entity''s attributes.';

CREATE FUNCTION mastering.column_list(columns jsonb, types boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT string_agg(quote_ident(c.value ->> 'name') || CASE WHEN types THEN ' ' || (c.value ->> 'type') ELSE '' END, ', ' ORDER BY c.ordinality)
      FROM jsonb_array_elements(columns) WITH ORDINALITY c);
END
$$;
COMMENT ON FUNCTION mastering.column_list(jsonb, boolean) IS 'Columns as SQL, with their types or without.';

-- What the SQL text of an artifact sees: pg_catalog, its environment's views, and this extension.
CREATE FUNCTION mastering.artifact_path(env_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('pg_catalog, %I, mastering, pg_temp', env_name)
$$;
COMMENT ON FUNCTION mastering.artifact_path(text) IS 'The search_path that an artifact''s SQL text runs with.';

CREATE FUNCTION mastering.do_map_source(env_name text, entity_name text, source_name text, relation text, key_text text, mapping json) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration := mastering.configuration_of(env_name);
    entity jsonb := mastering.require_entity(config.tree, env_name, entity_name);
    qualified text := mastering.relation_name(relation);
    columns jsonb := mastering.relation_columns(qualified);
    key text[] := mastering.key_columns(key_text);
    expressions jsonb := '{}';
    pair record;
BEGIN
    IF source_name IS NULL OR source_name = '' OR octet_length(source_name) > 200 OR source_name ~ '[:/]' THEN
        RAISE EXCEPTION 'invalid name of a source: "%"', source_name USING ERRCODE = '42602', DETAIL = 'It has 1 to 200 bytes and neither : nor /.';
    END IF;
    IF key IS NULL OR NOT columns @> (SELECT jsonb_agg(jsonb_build_object('name', k)) FROM unnest(key) k) THEN
        RAISE EXCEPTION 'relation % does not have all columns of the key %', qualified, key_text USING ERRCODE = '42703';
    END IF;
    IF mapping IS NULL THEN
        SELECT json_object_agg(a ->> 'name', quote_ident(a ->> 'name')) INTO mapping FROM jsonb_array_elements(entity -> 'attributes') a
         WHERE columns @> jsonb_build_array(jsonb_build_object('name', a ->> 'name'));
    END IF;
    IF json_typeof(mapping) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a mapping is an object of attributes and SQL expressions' USING ERRCODE = '22023', HINT = 'Write {"name": "first_name || '' '' || last_name"}.';
    END IF;
    FOR pair IN SELECT m.key, m.value #>> '{}' AS expression, json_typeof(m.value) AS kind FROM json_each(mapping) m LOOP
        IF NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', pair.key)) THEN
            RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, pair.key USING ERRCODE = '42703', DETAIL = format('At $.%s.', pair.key);
        END IF;
        IF pair.kind <> 'string' THEN
            RAISE EXCEPTION 'the mapping of attribute "%" is not a text with an SQL expression', pair.key USING ERRCODE = '22023', DETAIL = format('At $.%s.', pair.key);
        END IF;
        PERFORM mastering.check_expression(env, qualified, source_name, pair.expression, format('the mapping of attribute "%s"', pair.key));
        expressions := expressions || jsonb_build_object(pair.key, pair.expression);
    END LOOP;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'source', source_name),
                                   jsonb_build_object('key', to_jsonb(key), 'mapping', expressions));
    PERFORM mastering.do_bind_source(env_name, entity_name, source_name, relation);
END
$$;
COMMENT ON FUNCTION mastering.do_map_source(text, text, text, text, text, json) IS 'Behind map_source.';

-- An expression must be one expression: it is parsed alone, as the environment's owner, before it is ever put between others.
CREATE FUNCTION mastering.check_expression(env mastering.environment, relation text, alias text, expression text, what text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    message text;
    code text;
    is_one boolean;
BEGIN
    BEGIN
        is_one := mastering.is_expression(expression);
    EXCEPTION WHEN syntax_error THEN    -- its place is one in the expression, and would be shown in the statement above
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        RAISE EXCEPTION '% is refused: %', what, message USING ERRCODE = '42601', DETAIL = format('Expression: %s', expression);
    END;
    IF NOT is_one THEN
        RAISE EXCEPTION '% is not one SQL expression without subqueries: %', what, expression
            USING ERRCODE = '42601', HINT = 'What needs other tables goes into a view that the source is bound to.';
    END IF;
    BEGIN
        PERFORM FROM mastering.query_as(env.owner::name, format(E'SELECT ((%s\n) IS NULL) FROM %s AS %I LIMIT 0', expression, relation, alias),
                                        mastering.artifact_path(env.name), false) AS t (value boolean);
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR read_only_sql_transaction THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
        RAISE EXCEPTION '% is refused: %', what, message USING ERRCODE = code, DETAIL = format('Expression: %s', expression);
    END;
END
$$;
COMMENT ON FUNCTION mastering.check_expression(mastering.environment, text, text, text, text) IS 'Refuses an expression that does not parse, calls a volatile function or reads what the environment''s owner may not.';

CREATE FUNCTION mastering.is_expression(expression text) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_is_expression';
COMMENT ON FUNCTION mastering.is_expression(text) IS 'Whether a text is one SQL expression without subqueries to the grammar.';

CREATE FUNCTION mastering.map_source(env text, entity text, source text, relation text, key text, mapping json DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.map_source(text, text, text, text, text, json) IS 'Adds a source to an entity: relation and key column(s), and for each attribute an SQL expression over its columns; without a mapping, columns of the same name.';

CREATE FUNCTION mastering.do_bind_source(env_name text, entity_name text, source_name text, relation text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration := mastering.configuration_of(env_name);
    qualified text := mastering.relation_name(relation);
    binding text := mastering.path(entity_name, source_name);
BEGIN
    IF to_regclass(qualified) IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', qualified USING ERRCODE = '42P01';
    END IF;
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass(qualified) AND c.relpersistence = 't') THEN
        RAISE EXCEPTION 'relation % is temporary', qualified
            USING ERRCODE = '42809', DETAIL = 'It is gone when its session ends, and other sessions see none or another.', HINT = 'Bind a table or view that stays.';
    END IF;
    IF NOT has_any_column_privilege(env.owner::name, to_regclass(qualified), 'SELECT') THEN
        RAISE EXCEPTION 'the owner of environment "%" may not read relation %', env_name, qualified
            USING ERRCODE = '42501', HINT = format('GRANT SELECT ON %s TO %I', qualified, env.owner);
    END IF;
    IF config.bindings ->> binding IS NOT DISTINCT FROM qualified THEN
        RETURN;
    END IF;
    PERFORM mastering.lock_environment(env_name);
    UPDATE mastering.configuration c SET bindings = c.bindings || jsonb_build_object(binding, qualified), changed_at = now() WHERE c.environment = env_name;
    PERFORM mastering.audit(env_name, 'bind source', jsonb_build_object('source', binding, 'before', config.bindings ->> binding, 'after', qualified));
END
$$;
COMMENT ON FUNCTION mastering.do_bind_source(text, text, text, text) IS 'Behind bind_source.';

CREATE FUNCTION mastering.bind_source(env text, entity text, source text, relation text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.bind_source(text, text, text, text) IS 'The relation that an environment loads a source from.';

CREATE FUNCTION mastering.do_drop_source(env_name text, entity_name text, source_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF (mastering.configuration_of(env_name)).tree ->> mastering.path('entity', entity_name, 'source', source_name) IS NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" does not exist in environment "%"', source_name, entity_name, env_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'source', source_name), NULL);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_source(text, text, text) IS 'Behind drop_source.';

CREATE FUNCTION mastering.drop_source(env text, entity text, source text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_source(text, text, text) IS 'Removes a source from an entity; the next run is without its records.';

-- ---- the rules ---------------------------------------------------------------------------------------------------

-- What is found again by its content must not be another each time.
CREATE FUNCTION mastering.refuse_volatile(env mastering.environment, entity jsonb, rules jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item text;
    bad regprocedure;
BEGIN
    FOR item IN SELECT * FROM mastering.rule_expressions(rules) LOOP
        BEGIN
            SELECT p.oid INTO bad FROM mastering.query_dependencies(env.owner::name, mastering.rule_query(entity, item), mastering.artifact_path(env.name)) d
              JOIN pg_proc p ON p.oid = d.object WHERE d.kind = 'function' AND p.provolatile = 'v' LIMIT 1;
        EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported THEN
            bad := NULL;    -- training says what is wrong with it, and where
        END;
        IF bad IS NOT NULL THEN
            RAISE EXCEPTION 'volatile functions are not allowed here' USING ERRCODE = '0A000', DETAIL = format('Function %s in %s.', bad, item),
                HINT = 'A rule must give the same result whenever it is run.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.refuse_volatile(mastering.environment, jsonb, jsonb) IS 'Raises where a blocking rule or comparison calls a volatile function.';

-- What the engine has against rules is said here and not by the next run, which may be far away: in another stage, by night.
CREATE FUNCTION mastering.set_rules(env_name text, entity_name text, kind text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    entity jsonb;
BEGIN
    PERFORM mastering.refuse_stand_in(env_name);
    entity := mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    PERFORM mastering.refuse_volatile(env, entity, jsonb_build_object(kind, content)) WHERE kind IN ('blocking', 'comparisons') AND content IS NOT NULL;
    PERFORM mastering.require_rules(env, entity, kind, CASE WHEN kind = 'model' THEN content -> 'model' ELSE content END) WHERE kind <> 'bounds' AND content IS NOT NULL;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, kind), content);
END
$$;
COMMENT ON FUNCTION mastering.set_rules(text, text, text, jsonb) IS 'Sets one of an entity''s artifacts, or removes it (NULL).';

CREATE FUNCTION mastering.do_set_blocking(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) <> 'array' THEN
        RAISE EXCEPTION 'blocking is an array of rules' USING ERRCODE = '22023',
            HINT = format('SELECT mastering.set_blocking(%1$L, %2$L, NULL), mastering.train(%1$L, %2$L) lets some be suggested.', env_name, entity_name);
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'blocking', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_blocking(text, text, jsonb) IS 'Behind set_blocking.';
CREATE FUNCTION mastering.set_blocking(env text, entity text, blocking jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_blocking(text, text, jsonb) IS 'The blocking rules of an entity, as in a specification. NULL: none of one''s own, the next train suggests some.';

CREATE FUNCTION mastering.do_set_comparisons(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) <> 'array' THEN
        RAISE EXCEPTION 'comparisons are an array' USING ERRCODE = '22023',
            HINT = format('SELECT mastering.set_comparisons(%1$L, %2$L, NULL), mastering.train(%1$L, %2$L) lets some be suggested.', env_name, entity_name);
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'comparisons', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_comparisons(text, text, jsonb) IS 'Behind set_comparisons.';
CREATE FUNCTION mastering.set_comparisons(env text, entity text, comparisons jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_comparisons(text, text, jsonb) IS 'The comparisons of an entity, as in a specification. NULL: none of one''s own, the next train suggests some.';

CREATE FUNCTION mastering.clustering_document(content jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' OR content - '{threshold,link,linkage,one_per_source,normalize}'::text[] <> '{}' THEN
        RAISE EXCEPTION 'clustering is an object of threshold, link, linkage, one_per_source and normalize' USING ERRCODE = '22023', HINT = 'Write {"threshold": 0.95}.';
    END IF;
    RETURN content;
END
$$;
COMMENT ON FUNCTION mastering.clustering_document(jsonb) IS 'The document of an entity''s clustering, if it is one.';

CREATE FUNCTION mastering.do_set_clustering(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.set_rules(env_name, entity_name, 'clustering', mastering.clustering_document(content));
END
$$;
COMMENT ON FUNCTION mastering.do_set_clustering(text, text, jsonb) IS 'Behind set_clustering.';
CREATE FUNCTION mastering.set_clustering(env text, entity text, clustering jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_clustering(text, text, jsonb) IS 'Threshold and kind of linking of an entity: {"threshold": 0.95}.';

-- A golden record has the types of the entity's attributes, and the rule union makes arrays.
CREATE FUNCTION mastering.check_unions(entity_name text, entity jsonb, rules jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := ARRAY(SELECT a.value ->> 'name' FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a ORDER BY a.ordinality);
    misfit record;
BEGIN
    SELECT u.members[1] AS name, a.value ->> 'type' AS type INTO misfit
      FROM mastering.golden_units(rules, names, names || 'id'::text, true) u JOIN jsonb_array_elements(entity -> 'attributes') a ON a.value ->> 'name' = u.members[1]
      CROSS JOIN LATERAL (WITH RECURSIVE base AS (
          SELECT t.oid, t.typtype, t.typbasetype, t.typsubscript FROM pg_type t WHERE t.oid = (a.value ->> 'type')::regtype
          UNION ALL SELECT t.oid, t.typtype, t.typbasetype, t.typsubscript FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
          SELECT b.typsubscript FROM base b WHERE b.typtype <> 'd') t
     WHERE u.steps -> 0 ->> 'rule' = 'union' AND t.typsubscript <> 'array_subscript_handler'::regproc
     ORDER BY u.unit LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the rule union makes an array, and attribute "%" of entity "%" is of type %', misfit.name, entity_name, misfit.type USING ERRCODE = '22023',
            DETAIL = 'A golden record has the type of the attribute; a union of arrays is one array of all their elements.',
            HINT = format('Define the attribute as %s[] and map it as an array, for example ARRAY[%I], or give it another rule.', misfit.type, misfit.name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.check_unions(text, jsonb, jsonb) IS 'Refuses the rule union for attributes whose type is no array.';

CREATE FUNCTION mastering.do_set_survivorship(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'survivorship is an object of rules' USING ERRCODE = '22023', HINT = 'See golden_records: {"default": "most_frequent", "attributes": {"email": "longest"}}.';
    END IF;
    PERFORM mastering.require_author(env_name);
    IF content::text LIKE '%"union"%' THEN
        PERFORM mastering.check_unions(entity_name, mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name), content);
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'survivorship', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_survivorship(text, text, jsonb) IS 'Behind set_survivorship.';
CREATE FUNCTION mastering.set_survivorship(env text, entity text, survivorship jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_survivorship(text, text, jsonb) IS 'The rules by which values survive into the golden record, as in golden_records.';

CREATE FUNCTION mastering.do_set_model(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a model is an object' USING ERRCODE = '22023', HINT = 'train_model gives one.';
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'model', jsonb_build_object('model', content, 'spec', NULL));
END
$$;
COMMENT ON FUNCTION mastering.do_set_model(text, text, jsonb) IS 'Behind set_model.';
CREATE FUNCTION mastering.set_model(env text, entity text, model jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_model(text, text, jsonb) IS 'Gives an entity a model trained elsewhere.';
