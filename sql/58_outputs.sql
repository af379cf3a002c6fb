-- 58_outputs.sql: from loaded rows to golden records. Each step is found again by its content where it was done
-- before, in whatever environment: mapped records by segment and mapping, the partition into clusters by all that
-- decides it (run_key), the whole output by that, the ids it started from and the survivorship rules (output_key).
--
-- The steps work in the environment's _next schema: its head shows what was made so far, so that the matching
-- engine and golden_sql read it through views, as the environment's owner.

CREATE FUNCTION mastering.show_next(env_name text, additions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.set_head(env_name || '_next', (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name || '_next') || additions);
END
$$;
COMMENT ON FUNCTION mastering.show_next(text, jsonb) IS 'Adds versions to what an environment''s _next schema shows.';

CREATE FUNCTION mastering.sources_of(tree jsonb, entity_name text) RETURNS TABLE (name text, hash text, content jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT mastering.step(t.key, 4), t.value, a.content FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value
     WHERE t.key LIKE 'entity/%/source/%' AND mastering.step(t.key, 2) = entity_name ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.sources_of(jsonb, text) IS 'The sources of an entity in a tree.';

-- NULL where the text of a mapping gives everybody the same, so that all environments share what is made with it.
CREATE FUNCTION mastering.role_of_mapping(env mastering.environment, entity jsonb, source_name text, mapping jsonb, columns jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT mastering.is_reproducible(env.owner::name,
        format('SELECT %s FROM (SELECT %s) AS %I', mastering.mapping_list(entity, mapping),
               (SELECT string_agg(format('NULL::%s AS %I', c.value ->> 'type', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c), source_name),
        mastering.artifact_path(env.name), '') THEN env.owner END
$$;
COMMENT ON FUNCTION mastering.role_of_mapping(mastering.environment, jsonb, text, jsonb, jsonb) IS 'The role that the result of a mapping hangs on; NULL where it hangs on none.';

CREATE FUNCTION mastering.rule_expressions(model jsonb) RETURNS SETOF text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    blocking jsonb := model -> 'blocking';
    expression text;
BEGIN
    RETURN QUERY SELECT e #>> '{}' FROM jsonb_path_query(blocking, '$[*]') r CROSS JOIN LATERAL jsonb_path_query(CASE jsonb_typeof(r) WHEN 'object' THEN r -> 'keys' ELSE r END, '$[*]') e;
    -- A model with its frequencies is large: no query takes it as a parameter, to be copied with each plan.
    FOR i IN 0 .. 31 LOOP
        expression := model #>> ARRAY['comparisons', i::text, 'expression'];
        IF expression IS NOT NULL THEN
            RETURN NEXT expression;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.rule_expressions(jsonb) IS 'The SQL expressions of a specification or model.';

CREATE FUNCTION mastering.rule_query(entity jsonb, expression text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(E'SELECT (%s\n) FROM (SELECT NULL::text AS id, NULL::text AS source, %s) AS q', expression,
                  (SELECT string_agg(format('NULL::%s AS %I', a.value ->> 'type', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a))
$$;
COMMENT ON FUNCTION mastering.rule_query(jsonb, text) IS 'A query with an expression over an entity''s attributes, to be analyzed.';

CREATE FUNCTION mastering.role_of_model(env mastering.environment, entity jsonb, model jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expression text;
BEGIN
    FOR expression IN SELECT * FROM mastering.rule_expressions(model) LOOP
        IF NOT mastering.is_reproducible(env.owner::name, mastering.rule_query(entity, expression), mastering.artifact_path(env.name), '') THEN
            RETURN env.owner;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.role_of_model(mastering.environment, jsonb, jsonb) IS 'The role that the keys and compared values of a model hang on; NULL where they hang on none.';

-- Mapped records: one segment for each segment of loaded rows, with the same row numbers, so that the deletion
-- vectors of the loaded rows are theirs too.
CREATE FUNCTION mastering.map_records(env mastering.environment, entity_name text, tree jsonb, data jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    entity jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name));
    store int := mastering.entity_store('records', entity_name, entity);
    segments int[] := '{}';
    vectors bigint[] := '{}';
    contents jsonb := '{}';
    source record;
    part record;
    raw jsonb;
    derived text;
    hit int;
    view_name text;
    role text;
    version jsonb;
    rows bigint;
    failure record;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    FOR source IN SELECT * FROM mastering.sources_of(tree, entity_name) LOOP
        raw := data -> mastering.path(entity_name, source.name);
        IF raw IS NULL THEN
            RAISE EXCEPTION 'source "%" of entity "%" was never loaded in environment "%"', source.name, entity_name, env.name
                USING ERRCODE = '55000', HINT = format('SELECT * FROM mastering.load(%L, %L, %L)', env.name, entity_name, source.name);
        END IF;
        contents := contents || jsonb_build_object(source.name, raw -> 'content');
        view_name := NULL;
        role := mastering.role_of_mapping(env, entity, source.name, source.content -> 'mapping', (SELECT s.columns FROM mastering.store s WHERE s.store_id = (raw ->> 'store')::int));
        FOR part IN SELECT s.value::int AS segment, v.value::bigint AS vector, g.hash FROM jsonb_array_elements_text(raw -> 'segments') WITH ORDINALITY s
                      JOIN jsonb_array_elements_text(raw -> 'vectors') WITH ORDINALITY v USING (ordinality)
                      JOIN mastering.segment g ON g.segment_id = s.value::int ORDER BY ordinality LOOP
            derived := mastering.live_key(mastering.json_hash(jsonb_strip_nulls(jsonb_build_object('segment', part.segment, 'content', part.hash, 'mapping', source.content,
                                                              'source', source.name, 'entity', entity, 'store', store, 'role', role))));
            SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
            IF hit IS NULL THEN    -- unless another environment is at it
                PERFORM pg_advisory_xact_lock(hashtext('mastering.derived'), hashtext(derived));
                SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
            END IF;
            IF hit IS NULL THEN
                IF view_name IS NULL THEN
                    -- All rows of the live segments, deleted ones too: row numbers must stay.
                    view_name := mastering.show_source(env, mastering.path(entity_name, 'source', source.name),
                        raw || jsonb_build_object('vectors', (SELECT jsonb_agg(0) FROM jsonb_array_elements(raw -> 'segments'))));
                END IF;
                hit := mastering.begin_segment(store);
                BEGIN
                    EXECUTE format('INSERT INTO mastering.%I SELECT r.*, %s FROM mastering.query_as(%L, %L, %L, false) AS r ("#source" text, "#key" text, %s, "#row" int)',
                                   'segment_' || hit, hit, env.owner,
                                   format(E'SELECT %L::text, "#key",\n       %s, "#row"\n  FROM %s AS %I WHERE "#segment" OPERATOR(mastering.===) %s', source.name,
                                          mastering.mapping_list(entity, source.content -> 'mapping'), view_name, source.name, part.segment),
                                   mastering.artifact_path(env.name), mastering.column_list(entity -> 'attributes', true));
                EXCEPTION WHEN syntax_error_or_access_rule_violation OR invalid_schema_name OR feature_not_supported OR data_exception THEN
                    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                    failure := mastering.mapping_failure(env, entity, source.content -> 'mapping', format('%s AS %I WHERE "#segment" OPERATOR(mastering.===) %s', view_name, source.name, part.segment));
                    IF failure.attribute IS NULL THEN
                        PERFORM mastering.raise_again(code, message, detail, hint);
                    END IF;
                    RAISE EXCEPTION 'attribute "%" of source "%" of entity "%": %', failure.attribute, source.name, entity_name, failure.message
                        USING ERRCODE = failure.code, DETAIL = format('It is mapped from %s, in environment "%s".', source.content -> 'mapping' ->> failure.attribute, env.name),
                              HINT = mastering.mapping_hint(env.name, entity_name, source.name, source.content, (mastering.configuration_of(env.name)).bindings ->> mastering.path(entity_name, source.name), failure.attribute);
                END;
                PERFORM mastering.finish_segment(store, hit, derived);
            END IF;
            segments := segments || hit;
            vectors := vectors || part.vector;
        END LOOP;
    END LOOP;
    IF contents = '{}' THEN
        RAISE EXCEPTION 'entity "%" has no source in environment "%"', entity_name, env.name USING ERRCODE = '55000',
            HINT = format('SELECT mastering.map_source(%L, %L, ''source'', ''schema.relation'', ''key column'')', env.name, entity_name);
    END IF;
    version := mastering.make_version(store, segments, vectors) || jsonb_build_object('contents', contents);
    -- Of a row that was erased nothing is mapped any more, though its number is in a deletion vector.
    IF EXISTS (SELECT FROM mastering.erasure e WHERE e.entity = entity_name) THEN
        EXECUTE format('SELECT count(*) FROM mastering.%I s WHERE %s', 'store_' || store, mastering.version_condition(version, 's')) INTO rows;
        version := version || jsonb_build_object('rows', rows);
    END IF;
    RETURN version;
END
$$;
COMMENT ON FUNCTION mastering.map_records(mastering.environment, text, jsonb, jsonb) IS 'The version of an entity''s records that loaded rows and mappings give.';

-- A view on loaded rows of a source under the name of a part of the _next schema. with_places: "#place" says where a row lies, for queries that know.
CREATE FUNCTION mastering.show_source(env mastering.environment, part text, raw jsonb, with_places boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    view_name text := CASE WHEN octet_length(part) > 63 THEN left(mastering.text_hash(part), 40) ELSE part END;
    schema_name text := env.name || '_next';
    qualified text := format('%I.%I', schema_name, view_name);
    query text := format('SELECT %ss.* FROM mastering.%I s WHERE mastering.in_version(%s, s."#segment", s."#row")', CASE WHEN with_places THEN 's.ctid AS "#place", ' ELSE '' END, 'store_' || (raw ->> 'store'),
                         mastering.versioned_name(schema_name, view_name));
BEGIN
    IF NOT EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = schema_name AND v.view_name = work.view_name AND v.definition = query) THEN
        IF to_regclass(qualified) IS NOT NULL THEN
            EXECUTE format('DROP VIEW %s', qualified);
        END IF;
        EXECUTE format('CREATE VIEW %s AS %s', qualified, query);
        INSERT INTO mastering.environment_view (environment, view_name, definition) VALUES (schema_name, view_name, query)
        ON CONFLICT ON CONSTRAINT environment_view_pkey DO UPDATE SET definition = EXCLUDED.definition;
        PERFORM mastering.apply_grants(env.name);
    END IF;
    PERFORM mastering.show_next(env.name, jsonb_build_object(view_name, raw));
    RETURN qualified;
END
$$;
COMMENT ON FUNCTION mastering.show_source(mastering.environment, text, jsonb, boolean) IS 'Makes loaded rows of a source readable to its mapping and checks; returns the view''s name.';

CREATE FUNCTION mastering.spec_of(tree jsonb, entity_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('blocking', mastering.artifact_at(tree, mastering.path('entity', entity_name, 'blocking')),
                                                'comparisons', mastering.artifact_at(tree, mastering.path('entity', entity_name, 'comparisons'))))
           || coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'clustering')), '{}') - '{threshold,linkage,one_per_source}'::text[]
$$;
COMMENT ON FUNCTION mastering.spec_of(jsonb, text) IS 'The matching specification that an entity''s artifacts make up, as far as a model is trained for it.';

CREATE FUNCTION mastering.input_query(env_name text, entity_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT * FROM %I.%I', env_name || '_next', entity_name || '_input')
$$;
COMMENT ON FUNCTION mastering.input_query(text, text) IS 'The query that the matching engine reads an entity''s records with.';

-- Models are trained and records labelled in the first stage, and what comes of it gets to the others by promotion. A fork is its
-- maker's own: it says what it was made of, not what is promoted to it.
CREATE FUNCTION mastering.training_stage(env_name text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stage text := env_name;
    before text := (SELECT e.promotes_from FROM mastering.environment e WHERE e.name = env_name);
BEGIN
    IF before IS NOT NULL AND NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = env_name) THEN
        FOR i IN 1 .. 100 LOOP
            EXIT WHEN before IS NULL;
            stage := before;
            SELECT e.promotes_from INTO before FROM mastering.environment e WHERE e.name = stage;
        END LOOP;
    END IF;
    RETURN stage;
END
$$;
COMMENT ON FUNCTION mastering.training_stage(text) IS 'The stage in which an environment''s models are trained: itself, or the first of those that are promoted to it.';

-- Whether SQL expressions of blocking and comparisons can be read with an entity's attributes. The engine is not asked: each run would ask it, and
-- last_run would tell of that.
CREATE FUNCTION mastering.expressions_hold(tree jsonb, env_name text, entity_name text, spec jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expressions text := (SELECT string_agg(format(E'(%s\n)', x.expression), ', ') FROM (
        SELECT k.value AS expression FROM jsonb_array_elements(spec -> 'blocking') r
         CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(r.value) WHEN 'object' THEN r.value -> 'keys' ELSE r.value END AS keys) w
         CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(w.keys) WHEN 'array' THEN w.keys ELSE jsonb_build_array(w.keys) END) k
         WHERE k.value !~ '^[[:alpha:]_][[:alnum:]_]*$'
        UNION ALL SELECT c ->> 'expression' FROM jsonb_path_query(spec -> 'comparisons', '$[*] ? (exists(@.expression))') c) x);
    columns text := (SELECT string_agg(format('NULL::%s AS %I', a.value ->> 'type', a.value ->> 'name'), ', ' ORDER BY a.ordinality)
                       FROM jsonb_array_elements(mastering.require_entity(tree, env_name, entity_name) -> 'attributes') WITH ORDINALITY a);
BEGIN
    IF expressions IS NULL THEN
        RETURN true;
    END IF;
    BEGIN
        PERFORM FROM mastering.environment e
               CROSS JOIN LATERAL mastering.query_as(e.owner::name, format('SELECT count(*) FROM (SELECT %s FROM (SELECT NULL::text AS id, NULL::text AS source, %s WHERE false) q) x', expressions, columns),
                                                     mastering.artifact_path(env_name), true) AS t (n bigint)
         WHERE e.name = env_name;
        RETURN true;
    EXCEPTION WHEN OTHERS THEN
        RETURN false;
    END;
END
$$;
COMMENT ON FUNCTION mastering.expressions_hold(jsonb, text, text, jsonb) IS 'Whether expressions of blocking and comparisons name attributes that there are.';

-- Attributes are defined anew, and rules name one that is no more.
CREATE FUNCTION mastering.require_attributes(tree jsonb, env_name text, entity_name text, spec jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attributes text[] := ARRAY(SELECT a.value ->> 'name' FROM jsonb_array_elements(mastering.require_entity(tree, env_name, entity_name) -> 'attributes') WITH ORDINALITY a ORDER BY a.ordinality);
    anew text := format('SELECT mastering.set_blocking(%1$L, %2$L, NULL), mastering.set_comparisons(%1$L, %2$L, NULL), mastering.train(%1$L, %2$L) lets others be suggested and learnt.',
                        mastering.training_stage(env_name), entity_name);
    missing record;
    message text;
    detail text;
BEGIN
    SELECT m.* INTO missing FROM (
        SELECT 'comparisons' AS kind, c.value ->> 'column' AS name, c.ordinality FROM jsonb_array_elements(spec -> 'comparisons') WITH ORDINALITY c
        UNION ALL
        SELECT 'blocking', lower(k.value), r.ordinality FROM jsonb_array_elements(spec -> 'blocking') WITH ORDINALITY r
         CROSS JOIN LATERAL jsonb_array_elements_text(CASE WHEN jsonb_typeof(r.value -> 'keys') = 'array' THEN r.value -> 'keys' WHEN jsonb_typeof(r.value) = 'array' THEN r.value ELSE jsonb_build_array(r.value) END) k
         WHERE k.value ~ '^[[:alpha:]_][[:alnum:]_]*$') m
     WHERE m.name <> ALL (attributes || '{id,source,record}'::text[])
       AND (m.kind = 'comparisons' OR NOT EXISTS (SELECT FROM pg_get_keywords() w WHERE w.word = m.name AND w.catcode = 'R'))
     ORDER BY m.kind DESC, m.ordinality LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entity "%" in environment "%" has no attribute "%", which its % name%', entity_name, env_name, missing.name, missing.kind, CASE missing.kind WHEN 'blocking' THEN 's' ELSE '' END
            USING ERRCODE = '42703', DETAIL = format('Its attributes are: %s.', mastering.quoted_list(attributes)), HINT = anew;
    END IF;
    IF mastering.expressions_hold(tree, env_name, entity_name, spec) THEN
        RETURN;
    END IF;
    BEGIN    -- The engine says which and where; what was learnt says nothing of that.
        PERFORM mastering.require_rules(e, mastering.require_entity(tree, env_name, entity_name), s.key,
                                        (SELECT jsonb_agg(CASE jsonb_typeof(x.value) WHEN 'object' THEN x.value - '{trained,frequencies,terms,split}'::text[] ELSE x.value END ORDER BY x.ordinality) FROM jsonb_array_elements(s.value) WITH ORDINALITY x))
           FROM mastering.environment e JOIN jsonb_each(spec) s ON s.key IN ('blocking', 'comparisons')
          WHERE e.name = env_name;
    EXCEPTION WHEN invalid_parameter_value THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION '%', message USING ERRCODE = '22023', DETAIL = detail, HINT = anew;
    END;
END
$$;
COMMENT ON FUNCTION mastering.require_attributes(jsonb, text, text, jsonb) IS 'Raises where blocking or comparisons name an attribute that the entity does not have.';

-- ---- training ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_train(env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration;
    spec jsonb;
    model jsonb;
    labels jsonb;
BEGIN
    PERFORM mastering.require_first_stage(env, 'training');
    PERFORM mastering.lock_environment(env_name);
    env := mastering.require_author(env_name);    -- its owner may be another by now
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    PERFORM mastering.require_direct_change(env_name, mastering.path('entity', entity_name, 'model'));    -- before the work, not after it
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    PERFORM mastering.sync_views(env_name, entity_name);
    PERFORM mastering.show_next(env_name, jsonb_build_object(entity_name || '_records', mastering.map_records(env, entity_name, config.tree, config.data)));
    spec := mastering.spec_of(config.tree, entity_name);
    PERFORM mastering.require_attributes(config.tree, env_name, entity_name, spec);
    IF NOT spec ?& ARRAY['blocking', 'comparisons'] THEN
        SELECT t.s || spec INTO spec FROM mastering.query_as(env.owner::name, format('SELECT mastering.suggest(%L)', mastering.input_query(env_name, entity_name)),
                                                        mastering.artifact_path(env_name), true) AS t (s jsonb);
        IF config.tree ->> mastering.path('entity', entity_name, 'blocking') IS NULL THEN
            PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'blocking'), spec -> 'blocking');
        END IF;
        IF config.tree ->> mastering.path('entity', entity_name, 'comparisons') IS NULL THEN
            PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'comparisons'), spec -> 'comparisons');
        END IF;
        spec := mastering.spec_of((mastering.configuration_of(env_name)).tree, entity_name);
    END IF;
    labels := mastering.refresh_labels(env_name, entity_name);
    SELECT t.m INTO model FROM mastering.query_as(env.owner::name, format('SELECT mastering.train_model(%L, %L, %L)', mastering.input_query(env_name, entity_name), spec, mastering.label_query(labels)),
                                                  mastering.artifact_path(env_name), true) AS t (m jsonb);
    model := mastering.marked_model(model, config.data, entity_name);
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'model'), jsonb_build_object('model', model, 'spec', mastering.json_hash(spec)));
    PERFORM mastering.show_candidate(env_name, 'next');
    RETURN model;
END
$$;
COMMENT ON FUNCTION mastering.do_train(text, text) IS 'Behind train.';

CREATE FUNCTION mastering.train(env text, entity text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.train(text, text) IS 'Trains the model of an entity on its loaded records and its verified labels; blocking and comparisons are suggested where none were set. Returns the model, which is an artifact from now on.';

CREATE FUNCTION mastering.model_of(tree jsonb, env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    document jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'model'));
    hint text := format('SELECT mastering.train(%L, %L)', mastering.training_stage(env_name), entity_name);
BEGIN
    IF document IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no model in environment "%"', entity_name, env_name USING ERRCODE = '55000', HINT = hint;
    END IF;
    IF document ->> 'spec' <> mastering.json_hash(mastering.spec_of(tree, entity_name)) THEN
        RAISE EXCEPTION 'the model of entity "%" in environment "%" was trained with other rules', entity_name, env_name
            USING ERRCODE = '55000', DETAIL = 'Blocking or comparisons were changed since.', HINT = hint;
    END IF;
    PERFORM mastering.require_attributes(tree, env_name, entity_name, document -> 'model');
    -- How pairs become clusters is no part of what was learnt.
    RETURN (document -> 'model') || coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'clustering')), '{}');
END
$$;
COMMENT ON FUNCTION mastering.model_of(jsonb, text, text) IS 'The model of an entity, if it belongs to the rules in force.';

-- ---- ids -----------------------------------------------------------------------------------------------------------

-- pg_temp.mastering_partition (source, key, label) gets the column cluster: each new cluster takes the old id with which
-- it shares most records, each old id goes to one cluster, the largest overlap first; the others are born.
CREATE FUNCTION mastering.assign_ids(members text) RETURNS void
-- How many groups have one row the planner cannot know; it takes them for few.
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    assigned bigint;
    large boolean;
BEGIN
    EXECUTE format('CREATE TEMP TABLE mastering_overlap ON COMMIT DROP AS SELECT p.label, m."#cluster" AS cluster, count(*) AS records
                      FROM pg_temp.mastering_partition p JOIN %s m ON m."#source" = p.source AND m."#key" = p.key GROUP BY 1, 2', members);
    large := EXISTS (SELECT FROM pg_temp.mastering_overlap OFFSET 2000);    -- of a few, to count them takes longer than to join them
    IF large THEN
        ANALYZE pg_temp.mastering_overlap;
    END IF;
    -- Nearly all clusters are what they were: one old one in one new one. Only the others take part in the rounds.
    CREATE TEMP TABLE mastering_identity ON COMMIT DROP AS
    SELECT l.label, l.cluster FROM (SELECT o.label, min(o.cluster) AS cluster FROM pg_temp.mastering_overlap o GROUP BY o.label HAVING count(*) = 1) l
      JOIN (SELECT o.cluster FROM pg_temp.mastering_overlap o GROUP BY o.cluster HAVING count(*) = 1) c ON c.cluster = l.cluster;
    IF large THEN
        ANALYZE pg_temp.mastering_identity;
    END IF;
    CREATE TEMP TABLE mastering_candidate ON COMMIT DROP AS
    SELECT o.* FROM pg_temp.mastering_overlap o WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.cluster = o.cluster);
    LOOP
        INSERT INTO pg_temp.mastering_identity
        SELECT c.label, c.cluster FROM (SELECT o.label, o.cluster, row_number() OVER (PARTITION BY o.label ORDER BY o.records DESC, o.cluster) AS a,
                                               row_number() OVER (PARTITION BY o.cluster ORDER BY o.records DESC, o.label COLLATE "C") AS b
                                          FROM pg_temp.mastering_candidate o) c
         WHERE c.a = 1 AND c.b = 1;
        GET DIAGNOSTICS assigned = ROW_COUNT;
        EXIT WHEN assigned = 0;
        DELETE FROM pg_temp.mastering_candidate o USING pg_temp.mastering_identity i WHERE i.label = o.label;
        DELETE FROM pg_temp.mastering_candidate o USING pg_temp.mastering_identity i WHERE i.cluster = o.cluster;
    END LOOP;
    INSERT INTO pg_temp.mastering_identity
    SELECT n.label, nextval('mastering.cluster_id')
      FROM (SELECT p.label FROM pg_temp.mastering_partition p WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.label = p.label)
             GROUP BY p.label ORDER BY min((p.source || ':' || p.key) COLLATE "C")) n;
    IF large OR EXISTS (SELECT FROM pg_temp.mastering_identity OFFSET 2000) THEN    -- of a first run all are new
        ANALYZE pg_temp.mastering_identity;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.assign_ids(text) IS 'Ids for the clusters of a partition, from the assignment before it.';

CREATE FUNCTION mastering.write_segment(store int, query text) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    segment int := mastering.begin_segment(store);
    rows bigint;
BEGIN
    -- OFFSET 0: a number for each row of the whole; the planner would number each segment that is read on its own.
    EXECUTE format('INSERT INTO mastering.%I SELECT q.*, mastering.next_row_no(), %s FROM (SELECT x.* FROM (%s) x OFFSET 0) q', 'segment_' || segment, segment, query);
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows = 0 THEN
        PERFORM mastering.drop_segment(segment);
        RETURN NULL;
    END IF;
    PERFORM mastering.finish_segment(store, segment);
    RETURN segment;
END
$$;
COMMENT ON FUNCTION mastering.write_segment(int, text) IS 'A segment with the rows of a query; NULL where there are none.';

-- few and many: conditions of rows s that are wanted; so many are wanted in all. Where a segment has few of them they are found by an
-- index (few); where they are many beside its rows, as in the small segments of late changes, which have hardly any of them, an index would be
-- gone down for each that is wanted: such segments are read once, and what is wanted is laid beside all of them together (many).
CREATE FUNCTION mastering.rows_query(version jsonb, columns text, few text, many text, wanted bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH part AS (SELECT format('(SELECT %s FROM mastering.%I s WHERE %s', replace(columns, '"#segment"', g.segment_id || ' AS "#segment"'), 'segment_' || g.segment_id,
                                CASE WHEN v.value <> '0' THEN format('NOT mastering.is_deleted(%s, s."#row")', v.value) ELSE 'true' END) AS query, wanted > g.row_count / 4 AS small, o.ordinality
                    FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY o JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality)
                    JOIN mastering.segment g ON g.segment_id = o.value::int)
    SELECT coalesce(string_agg(q.query, ' UNION ALL ' ORDER BY q.ordinality), format('(SELECT %s FROM mastering.%I s WHERE false)', columns, 'store_' || (version ->> 'store')))
      FROM (SELECT format('%s AND %s)', p.query, few), p.ordinality FROM part p WHERE NOT p.small
            UNION ALL
            SELECT format('(SELECT s.* FROM (%s) s WHERE %s)', string_agg(p.query || ')', ' UNION ALL ' ORDER BY p.ordinality), many), NULL FROM part p WHERE p.small HAVING count(*) > 0) q (query, ordinality)
$$;
COMMENT ON FUNCTION mastering.rows_query(jsonb, text, text, text, bigint) IS 'A query for these columns of some rows of a version, segment by segment: by their index where few are wanted, by reading all where many are.';

CREATE FUNCTION mastering.segments_of(version jsonb) RETURNS int[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT ARRAY(SELECT s.value::int FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s ORDER BY s.ordinality) $$;
COMMENT ON FUNCTION mastering.segments_of(jsonb) IS 'The segments of a version.';

-- To be executed with the ids, a bigint[], as its parameter.
CREATE FUNCTION mastering.rows_of_clusters(version jsonb, clusters bigint, columns text DEFAULT '*') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.rows_query(version, columns, 's."#cluster" = ANY (ARRAY(SELECT unnest($1)))', 's."#cluster" IN (SELECT unnest($1))', clusters)
$$;
COMMENT ON FUNCTION mastering.rows_of_clusters(jsonb, bigint, text) IS 'A query for the rows of so many clusters in a version; columns: "#cluster" and others.';

-- The version after a run: rows of the wanted state that the old version has stay where they are. All rows are told apart by hashes of what they
-- are in memory, both sides read once, in one join of places and hashes alone; what a row is made of is read again where it is new. Those of
-- a scope, of which many are fetched anyway, are laid beside what is wanted of the same key, byte by byte. To write a lineage as text and
-- to hash that takes longer than either.
CREATE FUNCTION mastering.next_version(store int, old jsonb, wanted text, columns text, key text[], scope bigint[] DEFAULT NULL, append_only boolean DEFAULT false, scope_rows text DEFAULT NULL, sorted text DEFAULT '', placed boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET enable_nestloop = off SET enable_mergejoin = off SET enable_indexscan = off AS $$
DECLARE
    gone text;
    same boolean := old IS NOT NULL AND (old ->> 'store')::int = store;
    deletions jsonb := '{}';
    segment int;
BEGIN
    IF NOT same THEN
        segment := mastering.write_segment(store, CASE WHEN placed THEN format('SELECT %s FROM (%s) s', columns, wanted) ELSE wanted END || sorted);
        RETURN mastering.make_version(store, CASE WHEN segment IS NULL THEN '{}'::int[] ELSE ARRAY[segment] END, CASE WHEN segment IS NULL THEN '{}'::bigint[] ELSE ARRAY[0::bigint] END);
    END IF;
    IF append_only THEN
        segment := mastering.write_segment(store, wanted);
    ELSIF scope IS NULL THEN
        IF NOT placed THEN
            EXECUTE format('CREATE TEMP TABLE mastering_wanted ON COMMIT DROP AS SELECT %s FROM (%s) s', columns, wanted);
            wanted := 'SELECT w.*, w.ctid AS "#place" FROM pg_temp.mastering_wanted w';
        END IF;
        IF to_regclass('pg_temp.mastering_differs') IS NOT NULL THEN
            DROP TABLE pg_temp.mastering_differs;
        END IF;
        EXECUTE format($q$CREATE TEMP TABLE mastering_differs ON COMMIT DROP AS
            SELECT w.place, o.segment, o.row_no, coalesce(w.cluster, o.cluster) AS cluster
              FROM (SELECT s."#place" AS place, s."#cluster" AS cluster, mastering.row_image_hash(ROW(%1$s)) AS hash FROM (%2$s) s OFFSET 0) w
              FULL JOIN (SELECT s."#segment" AS segment, s."#row" AS row_no, s."#cluster" AS cluster, mastering.row_image_hash(ROW(%1$s)) AS hash FROM %3$s OFFSET 0) o ON o.hash = w.hash
             WHERE w.place IS NULL OR o.segment IS NULL$q$, columns, wanted,
            coalesce(scope_rows, format('mastering.%I s WHERE %s', 'store_' || store, mastering.version_condition(old, 's'))));
        ANALYZE pg_temp.mastering_differs;
        segment := mastering.write_segment(store, format('SELECT %s FROM (%s) s WHERE s."#place" IN (SELECT d.place FROM pg_temp.mastering_differs d WHERE d.place IS NOT NULL)%s', columns, wanted, sorted));
        gone := '(SELECT d.segment AS "#segment", d.row_no AS "#row" FROM pg_temp.mastering_differs d WHERE d.segment IS NOT NULL) o';
    ELSE
        PERFORM mastering.expect_rows(mastering.segments_of(old), '{#cluster}', NULL, scope) WHERE scope_rows IS NULL;
        EXECUTE format('CREATE TEMP TABLE mastering_wanted ON COMMIT DROP AS SELECT %s FROM (%s) s', columns, wanted);
        EXECUTE format('CREATE TEMP TABLE mastering_live ON COMMIT DROP AS SELECT s."#segment", s."#row", CASE WHEN record_image_eq(ROW(%s), ROW(w.*)) THEN w.ctid END AS stays FROM %s LEFT JOIN pg_temp.mastering_wanted w ON %s', columns,
                       coalesce(scope_rows, format('(%s) s', mastering.rows_of_clusters(old, cardinality(scope)))), (SELECT string_agg(format('w.%1$I = s.%1$I', k), ' AND ') FROM unnest(key) k)) USING scope;
        segment := mastering.write_segment(store, format('SELECT %s FROM pg_temp.mastering_wanted s WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_live o WHERE o.stays = s.ctid)%s', columns, sorted));
        gone := 'pg_temp.mastering_live o WHERE o.stays IS NULL';
    END IF;
    IF gone IS NOT NULL THEN
        EXECUTE mastering.deletions_query(gone) INTO deletions;
        IF to_regclass('pg_temp.mastering_wanted') IS NOT NULL THEN
            DROP TABLE pg_temp.mastering_wanted;
        END IF;
        IF scope IS NOT NULL THEN
            DROP TABLE pg_temp.mastering_live;
        END IF;
    END IF;
    RETURN mastering.compacted_version(mastering.changed_version(old, deletions, segment));
END
$$;
COMMENT ON FUNCTION mastering.next_version(int, jsonb, text, text, text[], bigint[], boolean, text, text, boolean) IS 'The version that a query''s rows are, written as what differs from an old one; columns: those of a row s of either, key: the names of what tells its rows apart, sorted: the order in which new ones are written. With a scope, the rows of these clusters and the others as they were; without one, the clusters of what came and went are in pg_temp.mastering_differs. scope_rows: a FROM item s with the old rows of the scope, where they were read already. placed: the query reads a table, and gives the places of its rows there, "#place".';

-- Where most rows are other ones, to compare them costs more than to write a few that are not: of the rows that go only the numbers are read, which
-- an index has.
CREATE FUNCTION mastering.replaced_version(old jsonb, wanted text, scope bigint[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off SET enable_indexscan = on AS $$
DECLARE
    deletions jsonb;
BEGIN
    PERFORM mastering.expect_rows(mastering.segments_of(old), '{#cluster}', NULL, scope);
    EXECUTE mastering.deletions_query(format('(%s) o', mastering.rows_of_clusters(old, cardinality(scope), '"#cluster", "#row", "#segment"'))) INTO deletions USING scope;
    RETURN mastering.compacted_version(mastering.changed_version(old, deletions, mastering.write_segment((old ->> 'store')::int, wanted)));
END
$$;
COMMENT ON FUNCTION mastering.replaced_version(jsonb, text, bigint[]) IS 'The version in which the rows of these clusters are those of a query, and the others as they were.';

-- The segments of a version to write once more so that at most so many are left and at most a tenth of the rows is deleted. Those with
-- most deletions go, and what is smaller than what is written anyway goes with them. Where there are only too many, the smallest
-- ones are merged until four are left (eight, where others are written anew for their deletions), in levels (Bentley & Saxe 1980): between the smallest segment, which tells how large a change is, and a
-- tenth of the largest, which is when that is written anyway, there is room for three levels, each by the same factor larger; a merge that outgrows
-- its level takes the next segment along. Loads and runs wait until there are more than eight: so one in five of them merges, and a row that
-- changes is written again some 6 times (1000 of ten million rows at a time, however many loads there are); with four, nine in ten did, and it was
-- 11 to 20 times. Always merging the two smallest would write each load's neighbour again with every load.
CREATE FUNCTION mastering.segments_to_compact(version jsonb, everything boolean DEFAULT false, most int DEFAULT 8) RETURNS int[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    segments int[];
    live bigint[];
    deleted bigint[];
    chosen boolean[];
    total_deleted bigint;
    kept int;
    biggest bigint := -1;
    written int := 0;
    ascending int[];
    sum_live numeric := 0;
    factor numeric;
BEGIN
    SELECT array_agg(p.segment ORDER BY p.share DESC, p.live), array_agg(p.live ORDER BY p.share DESC, p.live), array_agg(p.deleted ORDER BY p.share DESC, p.live), sum(p.deleted)
      INTO segments, live, deleted, total_deleted
      FROM (SELECT s.value::int AS segment, g.row_count - coalesce(d.row_count, 0) AS live, coalesce(d.row_count, 0) AS deleted,
                   coalesce(d.row_count, 0)::float8 / greatest(g.row_count, 1) AS share
              FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s
              JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality)
              JOIN mastering.segment g ON g.segment_id = s.value::int
              LEFT JOIN mastering.deletion_vector d ON d.vector_id = nullif(v.value::bigint, 0)) p;
    IF segments IS NULL THEN
        RETURN '{}';
    END IF;
    chosen := array_fill(everything AND (cardinality(segments) > 1 OR total_deleted > 0), ARRAY[cardinality(segments)]);
    IF NOT everything THEN
        FOR i IN 1 .. cardinality(segments) LOOP
            EXIT WHEN total_deleted <= (version ->> 'rows')::bigint / 10;
            chosen[i] := true;
            written := written + 1;
            total_deleted := total_deleted - deleted[i];
            biggest := greatest(biggest, live[i]);
        END LOOP;
        FOR i IN 1 .. cardinality(segments) LOOP
            IF NOT chosen[i] AND live[i] <= biggest THEN
                chosen[i] := true;
                written := written + 1;
            END IF;
        END LOOP;
        kept := cardinality(segments) - written;
        IF written = 0 AND kept > most THEN
            ascending := ARRAY(SELECT u.n FROM unnest(live) WITH ORDINALITY u (live, n) ORDER BY u.live, u.n);
            factor := greatest(2, power(greatest(live[ascending[kept]], 1) / 10.0 / greatest(live[ascending[1]], 1), 1.0 / 3));
            FOR i IN 1 .. kept - 1 LOOP
                EXIT WHEN i > kept - 3 AND sum_live <= greatest(live[ascending[1]], 1) * power(factor, i - kept + 3);
                chosen[ascending[i]] := true;
                written := written + 1;
                sum_live := sum_live + live[ascending[i]];
            END LOOP;
            kept := kept - written;
        END IF;
        WHILE kept + CASE WHEN written > 0 THEN 1 ELSE 0 END > most LOOP
            chosen[(SELECT u.n FROM unnest(live, chosen) WITH ORDINALITY u (live, chosen, n) WHERE NOT u.chosen ORDER BY u.live, u.n LIMIT 1)] := true;
            written := written + 1;
            kept := kept - 1;
        END LOOP;
    END IF;
    RETURN (SELECT coalesce(array_agg(u.segment), '{}') FROM unnest(segments, chosen) u (segment, chosen) WHERE u.chosen);
END
$$;
COMMENT ON FUNCTION mastering.segments_to_compact(jsonb, boolean, int) IS 'The segments of a version that compaction writes once more; all of them where everything is asked for.';

CREATE FUNCTION mastering.compacted_version(version jsonb, everything boolean DEFAULT false, most int DEFAULT 8) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    store int := (version ->> 'store')::int;
    old int[] := mastering.segments_to_compact(version, everything, most);
    part jsonb;
    segments int[];
    vectors bigint[];
    segment int;
BEGIN
    IF old = '{}' THEN
        RETURN version;
    END IF;
    SELECT jsonb_build_object('segments', jsonb_agg(s.value ORDER BY s.ordinality) FILTER (WHERE s.value::int = ANY (old)),
                              'vectors', jsonb_agg(v.value ORDER BY s.ordinality) FILTER (WHERE s.value::int = ANY (old))),
           coalesce(array_agg(s.value::int ORDER BY s.ordinality) FILTER (WHERE s.value::int <> ALL (old)), '{}'),
           coalesce(array_agg(v.value::bigint ORDER BY s.ordinality) FILTER (WHERE s.value::int <> ALL (old)), '{}')
      INTO part, segments, vectors
      FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality);
    segment := mastering.write_segment(store, format('SELECT %s FROM mastering.%I s WHERE %s',
        (SELECT string_agg(format('s.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM mastering.store t, jsonb_array_elements(t.columns) WITH ORDINALITY c WHERE t.store_id = store),
        'store_' || store, mastering.version_condition(part, 's')));
    IF segment IS NOT NULL THEN
        segments := segments || segment;
        vectors := vectors || 0::bigint;
    END IF;
    RETURN version || mastering.make_version(store, segments, vectors, version ->> 'content') || jsonb_build_object('origin', mastering.version_identity(version));
END
$$;
COMMENT ON FUNCTION mastering.compacted_version(jsonb, boolean, int) IS 'A version with the same rows in few segments. origin: the hash of the version that it stands for.';

CREATE FUNCTION mastering.version_identity(version jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT coalesce(version ->> 'origin', version ->> 'hash') $$;
COMMENT ON FUNCTION mastering.version_identity(jsonb) IS 'What a version is called by those who reuse results: compaction does not change it.';
