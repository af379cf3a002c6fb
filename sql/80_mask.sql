-- 80_mask.sql: masks: values that stand for others where data leave production. A key decides what stands for what; it
-- is never stored, nor put into the text of a query, where an error or a log could show it.
--
-- A model that was trained on masked data knows how masks differ and not how values do. It says so itself, in its
-- member "training", so that the mark goes wherever the model goes; promotions and all other ways to where data are
-- not masked refuse it.

-- ---- masks of values -------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.mask_format(value text, key bytea, letters boolean DEFAULT true) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_mask_format';
COMMENT ON FUNCTION mastering.mask_format(text, bytea, boolean) IS 'A text of the same form that stands for this one under a key: digits for digits, capitals for capitals, letters for letters of their script, all else as it is. Different texts have different masks. letters => false: digits only.';

CREATE FUNCTION mastering.mask_hash(value text, key bytea) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_mask_hash';
COMMENT ON FUNCTION mastering.mask_hash(text, bytea) IS '32 hexadecimal digits that stand for a text under a key (HMAC-SHA-256).';

CREATE FUNCTION mastering.mask_number(value bigint, key bytea, highest bigint DEFAULT 9223372036854775807) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_mask_number';
COMMENT ON FUNCTION mastering.mask_number(bigint, bytea, bigint) IS 'A whole number of as many digits that stands for this one under a key.';

CREATE FUNCTION mastering.mask_date(value date, key bytea) RETURNS date
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_mask_date';
COMMENT ON FUNCTION mastering.mask_date(date, bytea) IS 'A day of the same year that stands for this one under a key.';

-- The key as bytes. Where none is given, one that nobody knows and that is gone with the call.
CREATE FUNCTION mastering.mask_key_bytes(given text) RETURNS bytea
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF given IS NULL THEN
        RETURN uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
    END IF;
    IF octet_length(given) < 16 THEN
        RAISE EXCEPTION 'the key of a mask is too short' USING ERRCODE = '22023', DETAIL = format('It has %s bytes; 16 are the least.', octet_length(given)),
            HINT = 'Take a random one, or leave it out: then nobody has it, and every call masks in another way.';
    END IF;
    RETURN sha256(convert_to('mastering mask ' || given, 'UTF8'));
END
$$;
COMMENT ON FUNCTION mastering.mask_key_bytes(text) IS 'The key of masks from what was given, or a random one.';

-- The SQL of a mask of a column, $1 being the key; NULL where a method is not for the type.
CREATE FUNCTION mastering.mask_expression(method text, column_name text, type_text text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE method
        WHEN 'keep' THEN column_name
        WHEN 'null' THEN format('NULL::%s', type_text)
        WHEN 'format' THEN CASE
            WHEN t.base IN ('text', 'character varying', 'character') THEN format('CAST(mastering.mask_format(%s::text, $1) AS %s)', column_name, type_text)
            WHEN t.base = 'smallint' THEN format('mastering.mask_number(%s, $1, 32767)::smallint', column_name)
            WHEN t.base = 'integer' THEN format('mastering.mask_number(%s, $1, 2147483647)::integer', column_name)
            WHEN t.base = 'bigint' THEN format('mastering.mask_number(%s, $1)', column_name)
            WHEN t.base IN ('numeric', 'real', 'double precision') THEN format('CAST(mastering.mask_format(CASE WHEN %1$s::text ~ ''[NI]'' THEN NULL ELSE %1$s::numeric::text END, $1, false) AS %2$s)', column_name, type_text)
            WHEN t.base = 'date' THEN format('mastering.mask_date(%s, $1)', column_name)
            WHEN t.base IN ('timestamp without time zone', 'timestamp with time zone')
                THEN format('CASE WHEN isfinite(%1$s) THEN (%1$s + (mastering.mask_date(%1$s::date, $1) - %1$s::date) * interval ''1 day'') ELSE %1$s END', column_name)
        END
        WHEN 'hash' THEN CASE
            WHEN t.base IN ('text', 'character varying', 'character') THEN format('CAST(mastering.mask_hash(%s::text, $1) AS %s)', column_name, type_text)
            WHEN t.base = 'uuid' THEN format('mastering.mask_hash(%s::text, $1)::uuid', column_name)
            WHEN t.base = 'bytea' THEN format('decode(mastering.mask_hash(encode(%s, ''hex''), $1), ''hex'')', column_name)
            WHEN t.base = 'smallint' THEN format('(''x'' || left(mastering.mask_hash(%s::text, $1), 8))::bit(15)::integer::smallint', column_name)
            WHEN t.base = 'integer' THEN format('(''x'' || left(mastering.mask_hash(%s::text, $1), 8))::bit(31)::integer', column_name)
            WHEN t.base = 'bigint' THEN format('(''x'' || left(mastering.mask_hash(%s::text, $1), 16))::bit(63)::bigint', column_name)
        END END
      FROM (SELECT regexp_replace(type_text, '\(.*\)', '')) t (base)
$$;
COMMENT ON FUNCTION mastering.mask_expression(text, text, text) IS 'A mask of a column as SQL; NULL where the method is not for its type.';

-- ---- what is masked, and how --------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.expression_columns(expression text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_expression_columns';
COMMENT ON FUNCTION mastering.expression_columns(text) IS 'The names of columns, or of whole rows, in an SQL expression; * where it takes all there are.';

-- What a mask document says of one entity: attribute, #key or source.column -> method.
CREATE FUNCTION mastering.mask_of_entity(mask jsonb, entity_name text, entity jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(m.key, m.value) FILTER (WHERE jsonb_typeof(m.value) = 'string'
                        AND (m.key = '#key' OR entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', m.key)))), '{}')
           || CASE jsonb_typeof(mask -> entity_name) WHEN 'object' THEN mask -> entity_name ELSE '{}' END
      FROM jsonb_each(mask) m
$$;
COMMENT ON FUNCTION mastering.mask_of_entity(jsonb, text, jsonb) IS 'The masks of one entity: those given for it, and those given for attributes of any entity.';

CREATE FUNCTION mastering.check_mask(mask jsonb, tree jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    pair record;
    entity jsonb;
    methods constant text[] := '{null,hash,format,shuffle,keep}';
BEGIN
    IF mask IS NULL THEN
        RETURN;
    END IF;
    IF jsonb_typeof(mask) <> 'object' THEN
        RAISE EXCEPTION 'a mask is an object of attributes and methods' USING ERRCODE = '22023', DETAIL = 'At $.', HINT = 'Write {"email": "hash", "customer": {"name": "format"}}.';
    END IF;
    FOR item IN SELECT m.key, m.value, jsonb_typeof(m.value) AS kind FROM jsonb_each(mask) m LOOP
        entity := mastering.artifact_at(tree, mastering.path('entity', item.key));
        IF item.kind = 'object' AND entity IS NOT NULL THEN
            FOR pair IN SELECT m.key, m.value #>> '{}' AS method, jsonb_typeof(m.value) AS kind FROM jsonb_each(item.value) m LOOP
                IF pair.kind <> 'string' OR pair.method <> ALL (methods) THEN
                    RAISE EXCEPTION 'unknown method of masking: %', pair.method USING ERRCODE = '22023', DETAIL = format('At $.%s.%s.', item.key, pair.key), HINT = 'Methods are null, hash, format, shuffle and keep.';
                END IF;
                IF pair.key <> '#key' AND NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', pair.key))
                   AND NOT EXISTS (SELECT FROM mastering.sources_of(tree, item.key) s WHERE starts_with(pair.key, s.name || '.')) THEN
                    RAISE EXCEPTION 'entity "%" has no attribute "%"', item.key, pair.key USING ERRCODE = '42703', DETAIL = format('At $.%s.%s.', item.key, pair.key),
                        HINT = 'A column of a source is written source.column, its key #key.';
                END IF;
            END LOOP;
        ELSIF item.kind = 'string' AND item.value #>> '{}' = ANY (methods) THEN
            IF item.key <> '#key' AND NOT EXISTS (SELECT FROM mastering.entities_of(tree) e
                       WHERE mastering.artifact_at(tree, mastering.path('entity', e)) -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', item.key))) THEN
                RAISE EXCEPTION 'no entity has an attribute "%"', item.key USING ERRCODE = '42703', DETAIL = format('At $.%s.', item.key);
            END IF;
        ELSE
            RAISE EXCEPTION '%', CASE WHEN item.kind = 'object' THEN format('entity "%s" does not exist', item.key) ELSE format('unknown method of masking: %s', item.value #>> '{}') END
                USING ERRCODE = '22023', DETAIL = format('At $.%s.', item.key), HINT = 'Methods are null, hash, format, shuffle and keep.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.check_mask(jsonb, jsonb) IS 'Refuses a mask document that names what a tree has not.';

-- Attributes are masked where they come from: in the columns that their mapping reads. Of several methods the one that
-- tells least is taken. What no mapping reads is left out of masked data, so that nothing comes along unseen.
CREATE FUNCTION mastering.mask_of_source(masks jsonb, source_name text, source jsonb, columns jsonb) RETURNS TABLE (column_name text, type_text text, method text, unit text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := ARRAY(SELECT c.value ->> 'name' FROM jsonb_array_elements(columns) WITH ORDINALITY c ORDER BY c.ordinality);
    pair record;
    read_columns text[];
    uses jsonb := '{}';
    item record;
BEGIN
    FOR pair IN SELECT m.key, m.value FROM jsonb_each_text(source -> 'mapping') m LOOP
        read_columns := mastering.expression_columns(pair.value);
        IF '*' = ANY (read_columns) OR (source_name = ANY (read_columns) AND source_name <> ALL (names)) THEN
            read_columns := names;
        END IF;
        SELECT uses || coalesce(jsonb_object_agg(c, coalesce(uses -> c, '[]') || to_jsonb(pair.key)), '{}') INTO uses FROM unnest(names) c WHERE c = ANY (read_columns);
    END LOOP;
    FOR item IN SELECT c.value ->> 'name' AS name, c.value ->> 'type' AS type, source -> 'key' ? (c.value ->> 'name') AS is_key
                  FROM jsonb_array_elements(columns) WITH ORDINALITY c WHERE c.value ->> 'name' NOT LIKE '#%' ORDER BY c.ordinality LOOP
        column_name := item.name;
        type_text := item.type;
        SELECT m.method, m.attribute INTO method, unit
          FROM (SELECT masks ->> (source_name || '.' || item.name) AS method, NULL AS attribute, 0 AS place
                UNION ALL SELECT masks ->> '#key', NULL, 1 WHERE item.is_key
                UNION ALL SELECT masks ->> a.value, a.value, 2 FROM jsonb_array_elements_text(uses -> item.name) a) m
         WHERE m.method IS NOT NULL ORDER BY CASE m.place WHEN 0 THEN 0 ELSE 1 END, array_position('{null,shuffle,hash,format,keep}', m.method), m.attribute LIMIT 1;
        method := coalesce(method, CASE WHEN masks <> '{}' AND NOT uses ? item.name AND NOT item.is_key THEN 'null' ELSE 'keep' END);
        IF item.is_key AND method IN ('null', 'shuffle') THEN
            RAISE EXCEPTION 'column "%" of source "%" is of its key, which method "%" cannot mask', item.name, source_name, method
                USING ERRCODE = '22023', HINT = format('Write "#key": "format" for the key, or "%s.%s": "keep".', source_name, item.name);
        END IF;
        IF method <> 'shuffle' AND mastering.mask_expression(method, quote_ident(item.name), item.type) IS NULL THEN
            RAISE EXCEPTION 'method "%" does not mask type % of column "%" of source "%"', method, item.type, item.name, source_name
                USING ERRCODE = '22023', DETAIL = coalesce(format('Attribute "%s" is read from it.', unit), 'It was named itself.'),
                      HINT = format('null and shuffle take any type, hash texts, uuid, bytea and whole numbers, format texts, numbers, dates and times. Write "%s.%s": "null" for this column.', source_name, item.name);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.mask_of_source(jsonb, text, jsonb, jsonb) IS 'How each column of a source is masked. unit: columns of one unit are shuffled together.';

-- ---- models that were trained on masks ------------------------------------------------------------------------------------

CREATE FUNCTION mastering.has_masked_data(data jsonb, entity_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM jsonb_each(data) d WHERE mastering.step(d.key, 1) = entity_name AND coalesce(d.value -> 'sample' -> 'masked', '{}') <> '{}')
$$;
COMMENT ON FUNCTION mastering.has_masked_data(jsonb, text) IS 'Whether a source of an entity holds masked rows.';

CREATE FUNCTION mastering.marked_model(model jsonb, data jsonb, entity_name text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN mastering.has_masked_data(data, entity_name)
                THEN model || jsonb_build_object('training', CASE jsonb_typeof(model -> 'training') WHEN 'object' THEN model -> 'training' ELSE '{}' END || '{"masked": true}') ELSE model END
$$;
COMMENT ON FUNCTION mastering.marked_model(jsonb, jsonb, text) IS 'A model, marked where the data that it was trained on are masked.';

CREATE FUNCTION mastering.is_marked(content jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT coalesce(content #> '{model,training,masked}' = 'true', false) $$;
COMMENT ON FUNCTION mastering.is_marked(jsonb) IS 'Whether a document is a model that was trained on masked data.';

CREATE FUNCTION mastering.refuse_marked(env_name text, path text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_stage text := env_name;
    below text;
BEGIN
    LOOP
        SELECT e.promotes_from INTO below FROM mastering.environment e WHERE e.name = first_stage;
        EXIT WHEN below IS NULL;
        first_stage := below;
    END LOOP;
    RAISE EXCEPTION 'a model that was trained on masked data cannot get into environment "%"', env_name
        USING ERRCODE = '55000', DETAIL = format('It is %s; it knows how masks differ, and not how values do.', path),
              HINT = format('Load data that are not masked into "%s", or sample them without a mask, and train the model again.', first_stage);
END
$$;
COMMENT ON FUNCTION mastering.refuse_marked(text, text) IS 'Raises what there is against a marked model.';

-- Between a fork and what it is a fork of, both of masked data, it may go.
CREATE FUNCTION mastering.require_unmasked(source_name text, target_name text, old_tree jsonb, tree jsonb, data jsonb, whole_state boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin text;
    item record;
BEGIN
    FOR item IN SELECT t.key FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value
                 WHERE (t.key LIKE 'entity/%/model' OR t.key LIKE 'entity/%/models/%') AND t.value IS DISTINCT FROM old_tree ->> t.key AND mastering.is_marked(a.content) ORDER BY t.key LOOP
        origin := coalesce(origin, (mastering.resolve_state(source_name)).environment);
        IF mastering.has_masked_data(data, mastering.step(item.key, 2)) AND mastering.policy_value(target_name, 'stage') <> '"production"'
           AND (whole_state OR origin = target_name OR EXISTS (SELECT FROM mastering.fork f WHERE (f.environment = origin AND f.source = target_name) OR (f.environment = target_name AND f.source = origin))) THEN
            CONTINUE;
        END IF;
        PERFORM mastering.refuse_marked(target_name, item.key);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.require_unmasked(text, text, jsonb, jsonb, jsonb, boolean) IS 'Raises where a tree would bring a model trained on masked data to data that are not masked, or to another stage.';

REVOKE ALL ON FUNCTION mastering.mask_key_bytes(text), mastering.mask_expression(text, text, text), mastering.expression_columns(text), mastering.mask_of_entity(jsonb, text, jsonb), mastering.check_mask(jsonb, jsonb),
    mastering.mask_of_source(jsonb, text, jsonb, jsonb), mastering.has_masked_data(jsonb, text), mastering.marked_model(jsonb, jsonb, text), mastering.is_marked(jsonb),
    mastering.refuse_marked(text, text), mastering.require_unmasked(text, text, jsonb, jsonb, jsonb, boolean) FROM PUBLIC;
