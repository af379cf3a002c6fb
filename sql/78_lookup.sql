-- 78_lookup.sql: one record against an environment, in real time. A run keeps the blocking keys of its records in a
-- store of their own, a segment of keys for each segment of records, so that a later run makes those of new segments
-- only. A look-up makes the keys of the record that is asked for, finds whoever shares one by the index, and
-- scores these with the model of the published run. Keys of records that are gone find nothing: what is scored is read
-- through the published views.

CREATE FUNCTION mastering.index_keys(env mastering.environment, entity_name text, tree jsonb, records jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name));
    model jsonb := mastering.model_of(tree, env.name, entity_name);
    store int := mastering.entity_store('keys', entity_name, entity);
    role text := mastering.role_of_model(env, entity, model);
    view_name text;
    segments int[] := '{}';
    part record;
    derived text;
    hit int;
BEGIN
    FOR part IN SELECT s.value::int AS segment, g.hash FROM jsonb_array_elements_text(records -> 'segments') WITH ORDINALITY s
                  JOIN mastering.segment g ON g.segment_id = s.value::int ORDER BY s.ordinality LOOP
        derived := mastering.live_key(mastering.json_hash(jsonb_strip_nulls(jsonb_build_object('keys of', part.segment, 'content', part.hash, 'blocking', model -> 'blocking',
                                          'normalize', model -> 'normalize', 'entity', entity, 'store', store, 'role', role, 'engine', mastering.engine_revision()))));
        SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
        IF hit IS NULL THEN    -- unless another environment is at it
            PERFORM pg_advisory_xact_lock(hashtext('mastering.derived'), hashtext(derived));
            SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
        END IF;
        IF hit IS NULL THEN
            view_name := mastering.show_source(env, mastering.path(entity_name, 'keys'), records || jsonb_build_object('segments', jsonb_build_array(part.segment), 'vectors', '[0]'::jsonb));
            hit := mastering.begin_segment(store);
            EXECUTE format('INSERT INTO mastering.%I SELECT split_part(k.id, '':'', 1), substr(k.id, strpos(k.id, '':'') + 1), k.rule, k.key, (row_number() OVER ())::int, %s
                              FROM mastering.query_as(%L, %L, %L, true) AS k (id text, rule int, key bigint)', 'segment_' || hit, hit, env.owner,
                           format('SELECT k.id, k.rule, k.key FROM mastering.block_keys(%L, %L) k',
                                  format('SELECT "#source" || '':'' || "#key" AS id, "#source" AS source, %s FROM %s', mastering.column_list(entity -> 'attributes', false), view_name),
                                  jsonb_build_object('blocking', model -> 'blocking', 'comparisons', model -> 'comparisons') || CASE WHEN model ? 'normalize' THEN jsonb_build_object('normalize', model -> 'normalize') ELSE '{}' END),
                           mastering.artifact_path(env.name));
            PERFORM mastering.finish_segment(store, hit, derived);
        END IF;
        segments := segments || hit;
    END LOOP;
    RETURN mastering.make_version(store, segments, array_fill(0::bigint, ARRAY[cardinality(segments)]))
           || jsonb_build_object('tree', (SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each(tree) t
                                           WHERE t.key IN (mastering.path('entity', entity_name), mastering.path('entity', entity_name, 'model'), mastering.path('entity', entity_name, 'blocking'),
                                                           mastering.path('entity', entity_name, 'comparisons'), mastering.path('entity', entity_name, 'clustering'))));
END
$$;
COMMENT ON FUNCTION mastering.index_keys(mastering.environment, text, jsonb, jsonb) IS 'The version of the blocking keys of an entity''s records, with the artifacts that made them.';

-- Of a key that very many records have no more than these are scored: it says little.
CREATE FUNCTION mastering.most_candidates() RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT 1000 $$;
COMMENT ON FUNCTION mastering.most_candidates() IS 'Records that a look-up scores for one key at most, the first by source and key.';

CREATE FUNCTION mastering.do_lookup(env_name text, entity_name text, wanted jsonb, n int)
RETURNS TABLE (cluster_id bigint, probability double precision, weight double precision, source text, record_key text, explanation jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader', 'consumer');
    wide boolean := mastering.may(env_name, 'author', 'curator', 'reviewer', 'loader');
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name);
    keys jsonb := versions -> (entity_name || '_keys');
    members jsonb := versions -> (entity_name || '_members');
    entity jsonb;
    model jsonb;
    columns text;
    probe text;
    stranger text;
    pairs jsonb;
    hits jsonb;
BEGIN
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF keys IS NULL THEN
        RAISE EXCEPTION 'entity "%" of environment "%" was never run', entity_name, env_name USING ERRCODE = '55000', HINT = format('SELECT mastering.master(%L, %L)', env_name, entity_name);
    END IF;
    IF jsonb_typeof(wanted) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a record to look up is an object of attributes and values' USING ERRCODE = '22023', HINT = 'Write {"name": "Ann Lee", "city": "Ulm"}.';
    END IF;
    IF n IS NULL OR n < 1 THEN
        RAISE EXCEPTION 'n is the number of records to return, 1 or more' USING ERRCODE = '22023';
    END IF;
    entity := mastering.artifact_at(keys -> 'tree', mastering.path('entity', entity_name));
    model := mastering.model_of(keys -> 'tree', env_name, entity_name);
    SELECT k INTO stranger FROM jsonb_object_keys(wanted) k WHERE NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', k)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, stranger USING ERRCODE = '42703',
            DETAIL = format('It has %s.', (SELECT string_agg(a ->> 'name', ', ') FROM jsonb_array_elements(entity -> 'attributes') a));
    END IF;
    columns := (SELECT string_agg(format('q.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a);
    -- As if the record came from one source and all others from another: then no two of those are compared.
    probe := format('SELECT ''?''::text AS id, ''?''::text AS source, %s FROM jsonb_to_record(%L::jsonb) AS q (%s)', columns, wanted, mastering.column_list(entity -> 'attributes', true));
    model := model || '{"link": "across_sources"}';

    SELECT jsonb_agg(DISTINCT jsonb_build_array(k.rule, k.key)) INTO pairs
      FROM mastering.query_as(env.owner::name, format('SELECT k.rule, k.key FROM mastering.block_keys(%L, %L) k', probe, model), mastering.artifact_path(env_name), true) AS k (rule int, key bigint);
    EXECUTE format('SELECT jsonb_agg(DISTINCT jsonb_build_array(c."#source", c."#key"))
                      FROM jsonb_array_elements($1) p CROSS JOIN LATERAL (SELECT s."#source", s."#key" FROM mastering.%I s WHERE s.key = (p ->> 1)::bigint AND s.rule = (p ->> 0)::int AND %s
                           ORDER BY s."#source" COLLATE "C", s."#key" COLLATE "C" LIMIT %s) c', 'store_' || (keys ->> 'store'), mastering.version_condition(keys, 's'), mastering.most_candidates())
       INTO hits USING pairs;
    IF hits IS NULL THEN
        RETURN;
    END IF;
    FOR source, record_key, weight, probability, explanation IN
        SELECT split_part(p.id, ':', 1), substr(p.id, strpos(p.id, ':') + 1), p.weight, p.probability,
               (SELECT jsonb_object_agg(coalesce(c.value ->> 'name', c.value ->> 'column', c.value ->> 'expression', c.value #>> '{}'), p.levels[c.ordinality]) FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY c)
          FROM mastering.query_as(env.owner::name, format('SELECT CASE WHEN m.id_a = ''?'' THEN m.id_b ELSE m.id_a END, m.weight, m.probability, m.levels FROM mastering.match_pairs(%L, %L, 1e-300) m ORDER BY m.weight DESC, 1 LIMIT %s',
                   format('%s UNION ALL SELECT q.source || '':'' || q.record_key, ''known'', %s FROM jsonb_array_elements(%L::jsonb) h JOIN %I.%I q ON q.source = h ->> 0 AND q.record_key = h ->> 1',
                          probe, columns, hits, env_name, entity_name || '_records'), model, n), mastering.artifact_path(env_name), true)
               AS p (id text, weight double precision, probability double precision, levels smallint[]) LOOP
        EXECUTE format('SELECT s."#cluster" FROM mastering.%I s WHERE s."#source" = $1 AND s."#key" = $2 AND %s', 'store_' || (members ->> 'store'), mastering.version_condition(members, 's'))
           INTO cluster_id USING source, record_key;
        IF NOT wide THEN    -- a consumer reads golden records
            source := NULL;
            record_key := NULL;
            explanation := NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_lookup(text, text, jsonb, int) IS 'Behind lookup.';

CREATE FUNCTION mastering.lookup(env text, entity text, record jsonb, n int DEFAULT 5)
RETURNS TABLE (cluster_id bigint, probability double precision, weight double precision, source text, record_key text, explanation jsonb)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.lookup(text, text, jsonb, int) IS 'The records of an environment that are most likely the same thing as a record (attribute -> value), best first: found by the blocking keys of the published run (not by its rules with top_k), scored with its model. explanation: the level of each comparison (0 missing, 1 exact, then the thresholds, last else). Consumers get clusters, not records.';

-- The cluster that an id stands for now: the one it was merged into, and so on.
CREATE FUNCTION mastering.do_current_cluster(env_name text, entity_name text, id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name);
    history jsonb := versions -> (entity_name || '_history');
    members jsonb := versions -> (entity_name || '_members');
    now_id bigint := id;
    lives boolean;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader', 'consumer');
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    WHILE now_id IS NOT NULL AND members IS NOT NULL LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM mastering.%I s WHERE s."#cluster" = $1 AND %s)', 'store_' || (members ->> 'store'), mastering.version_condition(members, 's')) INTO lives USING now_id;
        IF lives THEN
            RETURN now_id;
        END IF;
        EXECUTE format('SELECT s.other_id FROM mastering.%I s WHERE s."#cluster" = $1 AND s.event = ''merged'' AND %s ORDER BY s.at DESC LIMIT 1',
                       'store_' || (history ->> 'store'), mastering.version_condition(history, 's')) INTO now_id USING now_id;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.do_current_cluster(text, text, bigint) IS 'Behind current_cluster.';

CREATE FUNCTION mastering.current_cluster(env text, entity text, id bigint) RETURNS bigint
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.current_cluster(text, text, bigint) IS 'The id under which a cluster is found now: its own, or that of the cluster it was merged into; NULL where it died.';
