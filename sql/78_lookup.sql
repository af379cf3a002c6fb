-- 78_lookup.sql: one record against an environment, in real time. A run keeps the blocking keys of its records in a
-- store of their own: of each segment of records a segment with the keys and the numbers of the rows that have them, sorted and
-- packed (src/engine/key_chunks.h), so that a later run makes those of new segments only. A look-up makes the keys of
-- the record that is asked for, finds whoever shares one, and scores these with the model of the published run
-- (src/sql/lookup.c). Rows that are gone are in the deletion vectors of the records' version.

CREATE FUNCTION mastering.key_chunks(query text, spec jsonb) RETURNS TABLE (first bigint, rule int, entries bytea)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_key_chunks';
COMMENT ON FUNCTION mastering.key_chunks(text, jsonb) IS 'The blocking keys of a query''s records, whose ids are numbers of rows: sorted by rule, key and row, packed into chunks of some hundred entries.';

CREATE FUNCTION mastering.key_chunk_entries(entries bytea) RETURNS TABLE (key bigint, row_no int, place tid)
    LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 150 AS 'MODULE_PATHNAME', 'mastering_key_chunk_entries';
COMMENT ON FUNCTION mastering.key_chunk_entries(bytea) IS 'What a chunk of keys holds.';

CREATE FUNCTION mastering.key_chunk_rows(entries bytea, key bigint) RETURNS int[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_key_chunk_rows';
COMMENT ON FUNCTION mastering.key_chunk_rows(bytea, bigint) IS 'The rows that have a key, of those in a chunk of keys.';

CREATE FUNCTION mastering.key_chunk_without(entries bytea, rows int[]) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_key_chunk_without';
COMMENT ON FUNCTION mastering.key_chunk_without(bytea, int[]) IS 'A chunk of keys without the entries of some rows.';

CREATE FUNCTION mastering.key_chunk_placed(entries bytea, segment int) RETURNS bytea
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_key_chunk_placed';
COMMENT ON FUNCTION mastering.key_chunk_placed(bytea, int) IS 'A chunk of keys with the places of its rows in a segment of records, by which they are found without an index.';

-- Records are found by their numbers; the index is made with their keys, on the segment alone.
CREATE FUNCTION mastering.index_rows(segment_id int) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    segment regclass := format('mastering.%I', 'segment_' || segment_id)::regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = segment AND a.attname = '#row' AND i.indisvalid) THEN
        EXECUTE format('CREATE INDEX ON %s ("#row")', segment);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.index_rows(int) IS 'Lets the rows of a segment be found by their numbers.';

CREATE FUNCTION mastering.index_keys(env mastering.environment, entity_name text, tree jsonb, records jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
-- As a run reads them, whoever compacts: keys are kept and found again.
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
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
                                          'normalize', model -> 'normalize', 'entity', entity, 'store', store, 'role', role, 'engine', mastering.engine_revision(), 'chunks', 3))));    -- 2: those that begin alike hold one key; 3: places of rows
        SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
        IF hit IS NULL THEN    -- unless another environment is at it
            PERFORM pg_advisory_xact_lock(hashtext('mastering.derived'), hashtext(derived));
            SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
        END IF;
        IF hit IS NULL THEN
            view_name := mastering.show_source(env, mastering.path(entity_name, 'keys'), records || jsonb_build_object('segments', jsonb_build_array(part.segment), 'vectors', '[0]'::jsonb), true);
            hit := mastering.begin_segment(store);
            EXECUTE format('INSERT INTO mastering.%I SELECT k.first, k.rule, %2$s, mastering.key_chunk_placed(k.entries, %2$s), mastering.next_row_no(), %s
                              FROM mastering.query_as(%L, %L, %L, true) AS k (first bigint, rule int, entries bytea)', 'segment_' || hit, part.segment, hit, env.owner,
                           format('SELECT k.first, k.rule, k.entries FROM mastering.key_chunks(%L, %L) k',
                                  format('SELECT "#row" AS id, "#source" AS source, %s FROM %s', mastering.column_list(entity -> 'attributes', false), view_name),
                                  mastering.key_spec(model)),
                           mastering.artifact_path(env.name));
            PERFORM mastering.finish_segment(store, hit, derived);
            PERFORM mastering.index_rows(part.segment);
        END IF;
        segments := segments || hit;
    END LOOP;
    RETURN mastering.make_version(store, segments, array_fill(0::bigint, ARRAY[cardinality(segments)]))
           || jsonb_build_object('of', records -> 'segments', 'tree', (SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each(tree) t
                                           WHERE t.key IN (mastering.path('entity', entity_name), mastering.path('entity', entity_name, 'model'), mastering.path('entity', entity_name, 'blocking'),
                                                           mastering.path('entity', entity_name, 'comparisons'), mastering.path('entity', entity_name, 'clustering'))));
END
$$;
COMMENT ON FUNCTION mastering.index_keys(mastering.environment, text, jsonb, jsonb) IS 'The version of the blocking keys of an entity''s records, with the artifacts that made them; of: the segments of records that its segments belong to.';

-- The segments of records that a version of keys belongs to, with those of keys and the vectors of the records' version.
CREATE FUNCTION mastering.key_parts(keys jsonb, records jsonb) RETURNS TABLE (part int, key_segment int, record_segment int, vector bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (row_number() OVER (ORDER BY k.ordinality))::int - 1, k.value::int, o.value::int, v.value::bigint
      FROM jsonb_array_elements_text(keys -> 'segments') WITH ORDINALITY k JOIN jsonb_array_elements_text(keys -> 'of') WITH ORDINALITY o USING (ordinality)
      JOIN (SELECT r.value AS segment, x.value FROM jsonb_array_elements_text(records -> 'segments') WITH ORDINALITY r JOIN jsonb_array_elements_text(records -> 'vectors') WITH ORDINALITY x USING (ordinality)) v (segment, value)
        ON v.segment = o.value
$$;
COMMENT ON FUNCTION mastering.key_parts(jsonb, jsonb) IS 'Segment by segment: the keys, the records that have them, and which of these are gone.';

-- columns: those that an index of these segments begins with; fixed: the value of the first of two, NULL where there is one.
CREATE FUNCTION mastering.expect_rows(segments int[], columns text[], fixed text, keys anyarray, rows boolean DEFAULT false) RETURNS void
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_expect_rows';
COMMENT ON FUNCTION mastering.expect_rows(int[], text[], text, anyarray, boolean) IS 'Announces to the operating system the pages of an index that a query for these values is going to read one after the other; rows: and those that the rows lie in.';

-- vectors: the deletion vectors of the segments of records, 0 where there is none. own and known: queries for rows (segment, row).
CREATE FUNCTION mastering.key_neighbours(asked text, key_segments int[], record_segments int[], vectors bigint[], own text, known text, fetched boolean, OUT segments int[], OUT rows int[], OUT blocks jsonb, OUT place_segments int[], OUT places tid[])
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_key_neighbours';
COMMENT ON FUNCTION mastering.key_neighbours(text, int[], int[], bigint[], text, text, boolean) IS 'The rows that have one of the keys (rule, key) of a query, less those that are known; and what the blocks of these keys are like, by rule: how many of the keys rows of one''s own have, the mean binary logarithm of the sizes of their blocks, the size of the largest block of all. fetched: the rows are going to be read; where they are few of a segment, they are brought into memory, and places says where they lie.';

-- What there is to look up in is read by src/sql/lookup_cache.c; it calls this where there is nothing.
CREATE FUNCTION mastering.require_run(env_name text, entity_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF NOT EXISTS (SELECT FROM mastering.head h WHERE h.environment = env_name AND h.versions ? (entity_name || '_keys')) THEN
        RAISE EXCEPTION 'entity "%" of environment "%" was never run', entity_name, env_name USING ERRCODE = '55000', HINT = format('SELECT mastering.master(%L, %L)', env_name, entity_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_run(text, text) IS 'An error where an environment has no such entity, or has not published a run of it.';

CREATE FUNCTION mastering.do_lookup(env_name text, entity_name text, wanted jsonb, n int)
RETURNS TABLE (cluster_id bigint, probability double precision, weight double precision, source text, record_key text, explanation jsonb)
    LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
    SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS 'MODULE_PATHNAME', 'mastering_lookup';
COMMENT ON FUNCTION mastering.do_lookup(text, text, jsonb, int) IS 'Behind lookup.';

CREATE FUNCTION mastering.lookup(env text, entity text, record jsonb, n int DEFAULT 5)
RETURNS TABLE (cluster_id bigint, probability double precision, weight double precision, source text, record_key text, explanation jsonb)
    LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 5 AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.lookup(text, text, jsonb, int) IS 'The records of an environment that are most likely the same thing as a record (attribute -> value), best first: found by the blocking keys of the published run (not by its rules with top_k; of one key 1000 records at most, of all 3000, those of rare keys first), scored with its model. explanation: the level of each comparison (0 missing, 1 exact, then the thresholds, last else). Consumers get clusters, not records.';

REVOKE ALL ON FUNCTION mastering.key_chunk_entries(bytea), mastering.key_chunk_rows(bytea, bigint), mastering.key_chunk_without(bytea, int[]), mastering.index_rows(int), mastering.key_parts(jsonb, jsonb), mastering.expect_rows(int[], text[], text, anyarray, boolean), mastering.key_neighbours(text, int[], int[], bigint[], text, text, boolean), mastering.key_chunk_placed(bytea, int),
    mastering.require_run(text, text) FROM PUBLIC;

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
