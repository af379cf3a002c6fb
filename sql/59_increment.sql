-- 59_increment.sql: a run after a small change. It clusters anew what the change can have touched and leaves the rest, and gives
-- the same partition as a run over everything (doc/incremental.md has the argument in full):
--
-- What comes to be a cluster is decided link by link, heaviest first; a link joins two clusters or is refused and leaves no
-- trace, and what decides is only what the two clusters are made of. So the records fall into two parts: AFFECTED, a union of the
-- last run's clusters and what is new, and the others. If clustering the affected records together with all clusters that a link
-- leads to from them (NEAR) leaves every near cluster as it was, then it refused every link out of the affected part; the
-- run over everything sees the same clusters at each of these links and refuses them, too, and does with all others what it
-- did the last time. If a near cluster came out another one, it is affected as well, and so on.
--
-- Locked clusters are not what links made of them; they, and what shares links' clusters with them, are always affected.

-- ---- whether -------------------------------------------------------------------------------------------------------

-- The curation that a run follows, by number: what differs next time is told from these.
CREATE FUNCTION mastering.decisions_in_force(env_name text, entity_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(c.curation_id ORDER BY c.curation_id), '[]') FROM mastering.curation_in_force(env_name, entity_name, '{together,apart,lock}') c
$$;
COMMENT ON FUNCTION mastering.decisions_in_force(text, text) IS 'The numbers of the decisions about clusters that are in force.';

CREATE FUNCTION mastering.not_local(model jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT lower(left(n, 1)) || rtrim(substr(n, 2), '.') FROM unnest(mastering.model_not_local(model)) n LIMIT 1
$$;
COMMENT ON FUNCTION mastering.not_local(jsonb) IS 'The first reason why each run under a model goes over all records; NULL: there is none.';

-- Rules that suggest made may be such, and nobody who took them as they are knows.
CREATE FUNCTION mastering.tell_of_full_run(env_name text, entity_name text, tree jsonb, because text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stage text := mastering.training_stage(env_name);
    rules jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'blocking'));
    by_keys jsonb := (SELECT jsonb_agg(r.value ORDER BY r.ordinality) FROM jsonb_array_elements(rules) WITH ORDINALITY r WHERE jsonb_typeof(r.value) <> 'object' OR NOT r.value ? 'top_k');
BEGIN
    IF because IS DISTINCT FROM mastering.not_local(mastering.model_of(tree, env_name, entity_name)) OR by_keys = rules THEN
        RETURN;
    END IF;
    RAISE NOTICE 'every run of entity "%" goes over all records, however little changed', entity_name
        USING DETAIL = format('%s.', upper(left(because, 1)) || substr(because, 2)),
              HINT = 'With rules by keys alone a run goes over what changed, and may miss pairs that nearest neighbours find: '
                  || format('SELECT mastering.set_blocking(%L, %L, %L), mastering.train(%1$L, %2$L)', stage, entity_name, coalesce(by_keys, '["<attribute>"]'));
END
$$;
COMMENT ON FUNCTION mastering.tell_of_full_run(text, text, jsonb, text) IS 'Says what to do where a run went over all records because of rules of nearest neighbours.';

-- NULL: it may be incremental, unless the change turns out to be large.
CREATE FUNCTION mastering.why_full(env mastering.environment, entity_name text, inputs jsonb, model jsonb, old jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shown jsonb := old -> '';
    brief jsonb := mastering.brief_inputs(inputs);
    last jsonb := shown -> 'inputs';
BEGIN
    IF shown IS NULL OR NOT old ?& '{_records,_members,_keys,_history}'::text[] THEN
        RETURN 'nothing is published yet';
    ELSIF NOT shown ? 'increment' OR shown -> 'increment' -> 'decisions' IS NULL THEN
        RETURN 'what is published does not say what it was made of';
    ELSIF last -> 'entity' IS DISTINCT FROM brief -> 'entity' THEN
        RETURN 'the attributes are others';
    ELSIF last -> 'engine' IS DISTINCT FROM brief -> 'engine' THEN
        RETURN 'the engine is another one';
    ELSIF last -> 'model' IS DISTINCT FROM brief -> 'model' THEN
        RETURN 'the model is another one';
    ELSIF last -> 'sources' IS DISTINCT FROM brief -> 'sources' THEN
        RETURN 'the sources or their mappings are others';
    ELSIF last -> 'roles' IS DISTINCT FROM brief -> 'roles' THEN
        RETURN 'who may read what its text looks up is another one';
    ELSIF shown -> 'increment' -> 'erasure' IS DISTINCT FROM coalesce(inputs -> 'erasure', 'null') THEN
        RETURN 'a record was erased';
    ELSIF EXISTS (SELECT FROM mastering.discarded_key d WHERE d.key = shown ->> 'run') THEN
        RETURN 'what is published was discarded';
    ELSIF jsonb_typeof(shown -> 'increment' -> 'under_locks') IS DISTINCT FROM 'array' AND inputs -> 'curation' @? '$[*] ? (@[0] == "lock")' THEN
        RETURN 'what locked clusters were cut from is not known';
    ELSIF shown -> 'increment' -> 'windows' IS DISTINCT FROM 'false' THEN
        RETURN 'blocks of the last run were too large to be compared in full';
    ELSIF shown -> 'increment' ->> 'labels' IS NOT NULL AND NOT EXISTS (SELECT FROM mastering.artifact a WHERE a.hash = shown -> 'increment' ->> 'labels') THEN
        RETURN 'the labels of the last run are not kept any more';
    ELSIF EXISTS (SELECT FROM jsonb_array_elements_text(shown -> 'increment' -> 'decisions') d WHERE NOT EXISTS (SELECT FROM mastering.curation c WHERE c.curation_id = d::bigint)) THEN
        RETURN 'decisions that the last run followed are not kept any more';
    END IF;
    RETURN mastering.not_local(model);
END
$$;
COMMENT ON FUNCTION mastering.why_full(mastering.environment, text, jsonb, jsonb, jsonb) IS 'Why a run has to go over all records; NULL where what changed may be enough.';

-- ---- what changed --------------------------------------------------------------------------------------------------

-- pg_temp.mastering_gone and mastering_come (source, key, hash, segment, row_no): records of the one version that the other has not, or
-- has with other values, and where they lie in it. What both have in the same segments is not read.
CREATE FUNCTION mastering.note_changes(entity jsonb, old jsonb, new jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET enable_nestloop = off SET enable_mergejoin = off AS $$
DECLARE
    hashed text := (SELECT string_agg(format('s.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a);
    part record;
    rows int[];
    changes bigint := 0;
    n bigint;
BEGIN
    CREATE TEMP TABLE mastering_gone (source text, key text, hash uuid, segment int, row_no int) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_come (source text, key text, hash uuid, segment int, row_no int) ON COMMIT DROP;
    FOR part IN
        SELECT t.name, t.segment, t.vector, t.other, g.row_count
          FROM (SELECT o.segment, o.vector AS old_vector, w.vector AS new_vector
                  FROM (SELECT s.value::int AS segment, v.value::bigint AS vector FROM jsonb_array_elements_text(old -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(old -> 'vectors') WITH ORDINALITY v USING (ordinality)) o
                  LEFT JOIN (SELECT s.value::int AS segment, v.value::bigint AS vector FROM jsonb_array_elements_text(new -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(new -> 'vectors') WITH ORDINALITY v USING (ordinality)) w USING (segment)
                UNION
                SELECT w.segment, o.vector, w.vector
                  FROM (SELECT s.value::int AS segment, v.value::bigint AS vector FROM jsonb_array_elements_text(new -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(new -> 'vectors') WITH ORDINALITY v USING (ordinality)) w
                  LEFT JOIN (SELECT s.value::int AS segment, v.value::bigint AS vector FROM jsonb_array_elements_text(old -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(old -> 'vectors') WITH ORDINALITY v USING (ordinality)) o USING (segment)) p
          CROSS JOIN LATERAL (VALUES ('mastering_gone', p.segment, p.old_vector, p.new_vector), ('mastering_come', p.segment, p.new_vector, p.old_vector)) t (name, segment, vector, other)
          JOIN mastering.segment g ON g.segment_id = t.segment
         WHERE p.old_vector IS DISTINCT FROM p.new_vector AND t.vector IS NOT NULL AND t.other IS DISTINCT FROM 0 LOOP
        -- Of a segment that both have, the rows in which they differ are found by their numbers, if these are few.
        rows := CASE WHEN part.other IS NOT NULL THEN mastering.deletion_vector_rows(part.other, part.vector) END;
        CONTINUE WHEN cardinality(rows) = 0;
        IF cardinality(rows) < part.row_count / 20 THEN
            PERFORM mastering.expect_rows(ARRAY[part.segment], '{#row}', NULL, rows) WHERE cardinality(rows) > 0;
            EXECUTE format('INSERT INTO pg_temp.%I SELECT s."#source", s."#key", mastering.row_hash(ROW(%s)), %s, s."#row" FROM mastering.%I s WHERE s."#row" = ANY ($1)', part.name, hashed, part.segment, 'segment_' || part.segment) USING rows;
        ELSE
            EXECUTE format('INSERT INTO pg_temp.%I SELECT s."#source", s."#key", mastering.row_hash(ROW(%s)), %s, s."#row" FROM mastering.%I s WHERE true%s%s', part.name, hashed, part.segment, 'segment_' || part.segment,
                           CASE WHEN part.vector <> 0 THEN format(' AND NOT mastering.is_deleted(%s, s."#row")', part.vector) ELSE '' END,
                           CASE WHEN part.other <> 0 THEN format(' AND mastering.is_deleted(%s, s."#row")', part.other) ELSE '' END);
        END IF;
        GET DIAGNOSTICS n = ROW_COUNT;
        changes := changes + n;
    END LOOP;
    -- The same record in another segment has not changed.
    WITH same AS (DELETE FROM pg_temp.mastering_gone g USING pg_temp.mastering_come c WHERE c.source = g.source AND c.key = g.key AND c.hash = g.hash RETURNING g.source, g.key)
    DELETE FROM pg_temp.mastering_come c USING same s WHERE s.source = c.source AND s.key = c.key;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN changes - 2 * n;
END
$$;
COMMENT ON FUNCTION mastering.note_changes(jsonb, jsonb, jsonb) IS 'Lists the records that differ between two versions of an entity''s records in temporary tables; returns how many, a changed one twice.';

-- pg_temp.mastering_named (source, key): records of decisions and labels that were added or ended since the last run, and of
-- all locks. pg_temp.mastering_tie (tie, source, key): sets of records that must be together. False, and no tables, where there are neither
-- decisions nor labels.
CREATE FUNCTION mastering.note_decided(env_name text, entity_name text, curation jsonb, labels jsonb, last jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_curation jsonb := (SELECT jsonb_agg(DISTINCT jsonb_build_array(c.kind, c.records)) FROM jsonb_array_elements_text(last -> 'decisions') d JOIN mastering.curation c ON c.curation_id = d::bigint);
    old_labels jsonb := (SELECT a.content FROM mastering.artifact a WHERE a.hash = last ->> 'labels');
BEGIN
    IF coalesce(old_curation, curation, old_labels, labels) IS NULL THEN
        RETURN false;
    END IF;
    CREATE TEMP TABLE mastering_named (source text, key text) ON COMMIT DROP;
    IF old_curation IS NOT NULL OR curation IS NOT NULL THEN
        INSERT INTO pg_temp.mastering_named
        SELECT e.source, e.key
          FROM ((SELECT d FROM jsonb_array_elements(coalesce(old_curation, '[]')) d EXCEPT SELECT d FROM jsonb_array_elements(coalesce(curation, '[]')) d)
                UNION ALL
                (SELECT d FROM jsonb_array_elements(coalesce(curation, '[]')) d EXCEPT SELECT d FROM jsonb_array_elements(coalesce(old_curation, '[]')) d)
                UNION ALL
                SELECT d FROM jsonb_array_elements(coalesce(curation, '[]')) d WHERE d ->> 0 = 'lock') x (decision)
         CROSS JOIN LATERAL jsonb_array_elements(x.decision -> 1) r
         CROSS JOIN LATERAL (VALUES (r ->> 0, r ->> 1), (r ->> 2, r ->> 3)) e (source, key) WHERE e.source IS NOT NULL;
    END IF;
    IF old_labels IS DISTINCT FROM labels THEN
        INSERT INTO pg_temp.mastering_named
        SELECT e.source, e.key
          FROM unnest('{matches,non_matches}'::text[]) k
         CROSS JOIN LATERAL ((SELECT p FROM jsonb_array_elements(coalesce(old_labels -> k, '[]')) p EXCEPT SELECT p FROM jsonb_array_elements(coalesce(labels -> k, '[]')) p)
                             UNION ALL
                             (SELECT p FROM jsonb_array_elements(coalesce(labels -> k, '[]')) p EXCEPT SELECT p FROM jsonb_array_elements(coalesce(old_labels -> k, '[]')) p)) x (pair)
         CROSS JOIN LATERAL (VALUES (x.pair ->> 0, x.pair ->> 1), (x.pair ->> 2, x.pair ->> 3)) e (source, key);
    END IF;
    -- What must be together is linked, whatever the model says: a set of records each.
    CREATE TEMP TABLE mastering_tie (tie bigint, source text, key text) ON COMMIT DROP;
    INSERT INTO pg_temp.mastering_tie
    SELECT d.ordinality, r ->> 0, r ->> 1 FROM jsonb_array_elements(coalesce(curation, '[]')) WITH ORDINALITY d CROSS JOIN LATERAL jsonb_array_elements(d.value -> 1) r WHERE d.value ->> 0 = 'together'
    UNION ALL
    SELECT -p.ordinality, e.source, e.key FROM jsonb_array_elements(coalesce(labels -> 'matches', '[]')) WITH ORDINALITY p
     CROSS JOIN LATERAL (VALUES (p.value ->> 0, p.value ->> 1), (p.value ->> 2, p.value ->> 3)) e (source, key);
    RETURN true;
END
$$;
COMMENT ON FUNCTION mastering.note_decided(text, text, jsonb, jsonb, jsonb) IS 'Lists the records whose decisions or labels changed, those of locked clusters, and what must be together, in temporary tables; false where nothing was ever decided.';

-- ---- clustering what is affected -----------------------------------------------------------------------------------

-- What an increment works with, in temporary tables:
--   mastering_read       records of the new version that it looked at, as they lie in their store: each is fetched once
--   mastering_member     the members of the last run's clusters that it looked at, likewise
--   mastering_touched    clusters of the last run that it makes anew, and in which round it came to that
--   mastering_near       clusters that links lead to
--   mastering_affected   records that it clusters anew, and since which round
--   mastering_scope      records that the engine is to read now
--   mastering_shared     what shares keys with them, by segment: the numbers or the places of rows

-- The records in pg_temp.mastering_scope as a query for the environment's owner.
CREATE FUNCTION mastering.scope_query(entity jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT r."#source" || '':'' || r."#key" AS id, r."#source" AS source, w.probe AS "#probe", %s FROM pg_temp.mastering_scope w JOIN pg_temp.mastering_read r ON r."#segment" = w.segment AND r."#row" = w.row_no',
                  (SELECT string_agg(format('r.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a))
$$;
COMMENT ON FUNCTION mastering.scope_query(jsonb) IS 'The query with which the engine reads the records of an increment.';

-- What is wanted of a store goes into a scan of its index as an array that the planner knows nothing of: it need not weigh each of
-- its values, and has no choice of joins to make with sizes that it guesses. Joins of the tables above are hash joins, whatever
-- is thought of their sizes.

-- Those in pg_temp.mastering_scope that were not read yet, by where they lie.
CREATE FUNCTION mastering.read_rows() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT w.segment, array_agg(w.row_no) AS rows FROM pg_temp.mastering_scope w
                 WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_read r WHERE r."#segment" = w.segment AND r."#row" = w.row_no) GROUP BY 1 LOOP
        PERFORM mastering.expect_rows(ARRAY[part.segment], '{#row}', NULL, part.rows);
        EXECUTE format('INSERT INTO pg_temp.mastering_read SELECT s.* FROM mastering.%I s WHERE s."#row" = ANY (ARRAY(SELECT unnest($1)))', 'segment_' || part.segment) USING part.rows;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.read_rows() IS 'Brings the records in pg_temp.mastering_scope that are not there yet into pg_temp.mastering_read.';

-- columns: of rows s of the version whose source and key are in pg_temp.mastering_want.
CREATE FUNCTION mastering.read_wanted(version jsonb, columns text, target text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
    n bigint;
    total bigint := 0;
BEGIN
    FOR part IN SELECT w.source, array_agg(w.key) AS keys, count(*) AS n FROM pg_temp.mastering_want w GROUP BY 1 LOOP
        PERFORM mastering.expect_rows(mastering.segments_of(version), '{#source,#key}', part.source, part.keys);
        EXECUTE format('INSERT INTO pg_temp.%I SELECT %s FROM (%s) s ON CONFLICT DO NOTHING', target, columns,
                       mastering.rows_query(version, '*', format('s."#source" = %L AND s."#key" = ANY (ARRAY(SELECT unnest($1)))', part.source), format('s."#source" = %L AND s."#key" IN (SELECT unnest($1))', part.source), part.n)) USING part.keys;
        GET DIAGNOSTICS n = ROW_COUNT;
        total := total + n;
    END LOOP;
    RETURN total;
END
$$;
COMMENT ON FUNCTION mastering.read_wanted(jsonb, text, text) IS 'Brings rows of a version into a temporary table, by the sources and keys in pg_temp.mastering_want; says how many.';

-- Clusters (of a query) that were not looked at yet: their members, and the records that these are.
CREATE FUNCTION mastering.read_clusters(clusters text, members jsonb, records jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off AS $$
DECLARE
    wanted bigint[];
BEGIN
    EXECUTE format('SELECT array_agg(c.cluster) FROM (%s) c WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_member m WHERE m."#cluster" = c.cluster)', clusters) INTO wanted;
    IF wanted IS NULL THEN
        RETURN;
    END IF;
    PERFORM mastering.expect_rows(mastering.segments_of(members), '{#cluster}', NULL, wanted);
    EXECUTE 'INSERT INTO pg_temp.mastering_member ' || mastering.rows_of_clusters(members, cardinality(wanted)) USING wanted;
    -- Records with other values are not what was a member, and are read by where they lie.
    TRUNCATE pg_temp.mastering_want;
    INSERT INTO pg_temp.mastering_want SELECT m."#source", m."#key" FROM pg_temp.mastering_member m
     WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_read r WHERE r."#source" = m."#source" AND r."#key" = m."#key")
       AND NOT EXISTS (SELECT FROM pg_temp.mastering_gone g WHERE g.source = m."#source" AND g.key = m."#key");
    PERFORM mastering.read_wanted(records, 's.*', 'mastering_read');
END
$$;
COMMENT ON FUNCTION mastering.read_clusters(text, jsonb, jsonb) IS 'Brings clusters of the last run into pg_temp.mastering_member, and their records into pg_temp.mastering_read.';

-- Which columns are compared decides how large keys are divided; what was learnt of them is long and decides nothing here.
CREATE FUNCTION mastering.key_spec(model jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    comparisons jsonb := '[]';
    comparison jsonb;
BEGIN
    FOR i IN 0 .. 63 LOOP
        comparison := model #> ARRAY['comparisons', i::text];
        EXIT WHEN comparison IS NULL;
        comparisons := comparisons || jsonb_build_array(CASE jsonb_typeof(comparison) WHEN 'object' THEN comparison - '{trained,frequencies,terms}'::text[] ELSE comparison END);
    END LOOP;
    RETURN jsonb_build_object('blocking', model -> 'blocking', 'comparisons', comparisons) || CASE WHEN model ? 'normalize' THEN jsonb_build_object('normalize', model -> 'normalize') ELSE '{}' END;
END
$$;
COMMENT ON FUNCTION mastering.key_spec(jsonb) IS 'As much of a model as decides about blocking keys.';

-- segments, rows: the records that share a blocking key with those in pg_temp.mastering_scope, less those that known (a query for segments and
-- rows) gives; blocks: what these keys' blocks are like, and those that rows of own (likewise) lie in. Where the rows are to be fetched and are few
-- of a segment, place_segments and places say where they lie.
CREATE FUNCTION mastering.neighbours(env mastering.environment, query text, model jsonb, keys jsonb, records jsonb, own text, known text, fetched boolean, OUT segments int[], OUT rows int[], OUT blocks jsonb, OUT place_segments int[], OUT places tid[])
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.segments, n.rows, n.blocks, n.place_segments, n.places
      FROM (SELECT coalesce(array_agg(p.key_segment), '{}') AS key_segments, coalesce(array_agg(p.record_segment), '{}') AS record_segments, coalesce(array_agg(p.vector), '{}') AS vectors FROM mastering.key_parts(keys, records) p) p
     CROSS JOIN LATERAL mastering.key_neighbours(
            format('SELECT k.rule, k.key FROM mastering.query_as(%L, %L, %L, true) AS k (rule int, key bigint)', env.owner,
                   format('SELECT k.rule, k.key FROM mastering.block_keys(%L, %L) k', query, mastering.key_spec(model)), mastering.artifact_path(env.name)),
            p.key_segments, p.record_segments, p.vectors, own, known, fetched) n
$$;
COMMENT ON FUNCTION mastering.neighbours(mastering.environment, text, jsonb, jsonb, jsonb, text, text, boolean) IS 'The records that share a blocking key with those of an increment, and how large the blocks of these keys are.';

-- The model is not in the text of the queries: it is long, and would be taken apart each time.
CREATE FUNCTION mastering.hand_over(env mastering.environment, model jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CREATE TEMP TABLE mastering_model (model jsonb) ON COMMIT DROP;
    ALTER TABLE pg_temp.mastering_model ALTER model SET STORAGE EXTERNAL;
    INSERT INTO pg_temp.mastering_model VALUES (model);
    EXECUTE format('GRANT SELECT ON pg_temp.mastering_scope, pg_temp.mastering_read, pg_temp.mastering_model TO %I', env.owner);
END
$$;
COMMENT ON FUNCTION mastering.hand_over(mastering.environment, jsonb) IS 'Lets the environment''s owner read the model, and what the engine is to read of an increment.';

-- pg_temp.mastering_linked: the links of the records in pg_temp.mastering_scope that are probes.
CREATE FUNCTION mastering.find_links(env mastering.environment, query text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TEMP TABLE mastering_linked ON COMMIT DROP AS SELECT * FROM mastering.query_as(%L, %L, %L, true) AS l (id_a text, id_b text, weight float8, levels smallint[])', env.owner,
                   format('SELECT l.id_a, l.id_b, l.weight, l.levels FROM mastering.match_links(%L, (SELECT m.model FROM pg_temp.mastering_model m)) l', query), mastering.artifact_path(env.name));
END
$$;
COMMENT ON FUNCTION mastering.find_links(mastering.environment, text) IS 'Lists the links of the records that are marked in pg_temp.mastering_scope in a temporary table.';

-- The records that are compared: those in pg_temp.mastering_scope that are probes, which were read, with what they share keys with, which is
-- far more, is looked at once and mostly not again: it goes from its store to the engine, by where it lies where that is known, by its
-- numbers otherwise.
CREATE FUNCTION mastering.links_query(env mastering.environment, entity_name text, entity jsonb, records jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Row numbers of the version alone are asked for.
    store text := mastering.show_source(env, mastering.path(entity_name, 'keys'), records || jsonb_build_object('vectors', (SELECT jsonb_agg(0) FROM jsonb_array_elements(records -> 'segments'))), true);
BEGIN
    PERFORM mastering.expect_rows(ARRAY[w.segment], '{#row}', NULL, w.rows) FROM pg_temp.mastering_shared w WHERE w.places IS NULL;
    RETURN mastering.scope_query(entity) || ' WHERE w.probe' || coalesce((SELECT string_agg(format(' UNION ALL SELECT s."#source" || '':'' || s."#key", s."#source", false, %s FROM %s s
          WHERE s."#segment" OPERATOR(mastering.===) %s AND %s FROM pg_temp.mastering_shared w WHERE w.segment = %3$s))',
        (SELECT string_agg(format('s.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a), store, w.segment,
        CASE WHEN w.places IS NOT NULL THEN 's."#place" = ANY (ARRAY(SELECT unnest(w.places)' ELSE 's."#row" = ANY (ARRAY(SELECT unnest(w.rows)' END), '' ORDER BY w.segment) FROM pg_temp.mastering_shared w), '');
END
$$;
COMMENT ON FUNCTION mastering.links_query(mastering.environment, text, jsonb, jsonb) IS 'The query with which the engine reads the records of an increment that it compares.';

-- In a block that is not compared in full each record decides which others meet. The last run had none.
CREATE FUNCTION mastering.large_block(model jsonb, blocks jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('a block of rule %s has %s records by now, which are not compared in full', b.key, b.value ->> 2)
      FROM jsonb_each(blocks) b CROSS JOIN LATERAL (SELECT model -> 'blocking' -> (b.key::int - 1)) r (rule)
     WHERE (b.value ->> 2)::bigint > coalesce(CASE jsonb_typeof(r.rule) WHEN 'object' THEN (r.rule ->> 'max_block')::bigint END, 5000)
     ORDER BY (b.value ->> 2)::bigint DESC LIMIT 1
$$;
COMMENT ON FUNCTION mastering.large_block(jsonb, jsonb) IS 'Says so where a block has more records than are compared in full; NULL otherwise.';

-- Clusters that links, or what must be together, lead to from the records that became affected in this round.
CREATE FUNCTION mastering.note_near(env mastering.environment, entity_name text, entity jsonb, model jsonb, keys jsonb, records jsonb, members jsonb, this_round int, tied boolean, OUT reason text, OUT compared bigint, OUT blocks jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off SET enable_tidscan = on SET enable_indexscan = on SET enable_bitmapscan = on AS $$
DECLARE
    query text := mastering.scope_query(entity);
    shared record;
    n bigint;
BEGIN
    compared := 0;
    TRUNCATE pg_temp.mastering_scope;
    INSERT INTO pg_temp.mastering_scope SELECT a.segment, a.row_no, true FROM pg_temp.mastering_affected a WHERE a.round = this_round;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n = 0 THEN
        RETURN;
    END IF;
    PERFORM mastering.read_rows();
    shared := mastering.neighbours(env, query, model, keys, records, CASE WHEN this_round = 0 THEN 'SELECT c.segment, c.row_no FROM pg_temp.mastering_come c' END,
                                   'SELECT a.segment, a.row_no FROM pg_temp.mastering_affected a', true);
    blocks := shared.blocks;
    reason := mastering.large_block(model, blocks);
    IF reason IS NOT NULL THEN
        RETURN;
    END IF;
    compared := n + cardinality(shared.rows);
    TRUNCATE pg_temp.mastering_shared;
    INSERT INTO pg_temp.mastering_shared SELECT u.segment, NULL, array_agg(u.place) FROM unnest(shared.place_segments, shared.places) u (segment, place) GROUP BY 1;
    INSERT INTO pg_temp.mastering_shared SELECT u.segment, array_agg(u.row_no) FROM unnest(shared.segments, shared.rows) u (segment, row_no) WHERE u.segment <> ALL (ARRAY(SELECT w.segment FROM pg_temp.mastering_shared w)) GROUP BY 1;
    PERFORM mastering.find_links(env, mastering.links_query(env, entity_name, entity, records));
    PERFORM mastering.note_levels();
    TRUNCATE pg_temp.mastering_want;
    INSERT INTO pg_temp.mastering_want
    SELECT split_part(e.id, ':', 1), substr(e.id, strpos(e.id, ':') + 1) FROM (SELECT l.id_a FROM pg_temp.mastering_linked l UNION SELECT l.id_b FROM pg_temp.mastering_linked l) e (id)
     WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_affected a WHERE a.id = e.id);
    IF tied THEN
        INSERT INTO pg_temp.mastering_want
        SELECT t.source, t.key FROM pg_temp.mastering_tie t WHERE t.tie IN (SELECT x.tie FROM pg_temp.mastering_tie x JOIN pg_temp.mastering_affected a ON a.source = x.source AND a.key = x.key AND a.round = this_round);
    END IF;
    PERFORM mastering.read_wanted(members, format('s."#cluster", %s', this_round), 'mastering_near');
    INSERT INTO pg_temp.mastering_link SELECT l.id_a, l.id_b FROM pg_temp.mastering_linked l;
    DROP TABLE pg_temp.mastering_linked;
END
$$;
COMMENT ON FUNCTION mastering.note_near(mastering.environment, text, jsonb, jsonb, jsonb, jsonb, jsonb, int, boolean) IS 'Adds to pg_temp.mastering_near the clusters that links lead to from the affected records of a round, and these links to pg_temp.mastering_link; says why that cannot be told where it cannot, how many records were compared, and, of the first round, what the blocks of new records are like.';

-- After the first round most of what came out of it stands. What links hold together of the affected records is a part: no link leads from one
-- part to another, so that each part with the clusters near it comes out the same alone. The first round had all there was of them;
-- in the second only those parts have to be clustered once more that have become near to a cluster that the first had not. Later rounds
-- had some parts only, so that any part that has grown is clustered once more. In pg_temp.mastering_scope, without anything where nothing is left to do.
CREATE FUNCTION mastering.scope_of_parts(this_round int) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off AS $$
DECLARE
    depth int := 0;
    n bigint;
BEGIN
    TRUNCATE pg_temp.mastering_scope;
    IF this_round = 1 AND NOT EXISTS (SELECT FROM pg_temp.mastering_near n WHERE n.round = this_round) THEN
        RETURN 0;
    END IF;
    CREATE TEMP TABLE mastering_part (id text, step int) ON COMMIT DROP;
    INSERT INTO pg_temp.mastering_part
    SELECT a.id, 0 FROM pg_temp.mastering_affected a
     WHERE a.round = this_round AND this_round > 1
        OR a.id IN (SELECT e.other FROM (SELECT m."#source" || ':' || m."#key" AS id FROM pg_temp.mastering_near c JOIN pg_temp.mastering_member m ON m."#cluster" = c.cluster WHERE c.round = this_round) f
                      JOIN (SELECT l.id_a AS id, l.id_b AS other FROM pg_temp.mastering_link l UNION ALL SELECT l.id_b, l.id_a FROM pg_temp.mastering_link l) e ON e.id = f.id);
    LOOP
        INSERT INTO pg_temp.mastering_part
        SELECT a.id, depth + 1 FROM pg_temp.mastering_affected a
         WHERE a.id IN (SELECT l.id_b FROM pg_temp.mastering_part p JOIN pg_temp.mastering_link l ON l.id_a = p.id WHERE p.step = depth
                        UNION ALL SELECT l.id_a FROM pg_temp.mastering_part p JOIN pg_temp.mastering_link l ON l.id_b = p.id WHERE p.step = depth)
           AND NOT EXISTS (SELECT FROM pg_temp.mastering_part p WHERE p.id = a.id);
        GET DIAGNOSTICS n = ROW_COUNT;
        EXIT WHEN n = 0;
        depth := depth + 1;
    END LOOP;
    INSERT INTO pg_temp.mastering_scope
    SELECT a.segment, a.row_no, false FROM pg_temp.mastering_affected a WHERE a.id IN (SELECT p.id FROM pg_temp.mastering_part p)
    UNION ALL
    SELECT r."#segment", r."#row", true
      FROM pg_temp.mastering_member m JOIN pg_temp.mastering_read r ON r."#source" = m."#source" AND r."#key" = m."#key"
     WHERE m."#cluster" IN (SELECT c.cluster FROM pg_temp.mastering_near c JOIN pg_temp.mastering_member k ON k."#cluster" = c.cluster
             WHERE k."#source" || ':' || k."#key" IN (SELECT l.id_b FROM pg_temp.mastering_part p JOIN pg_temp.mastering_link l ON l.id_a = p.id
                                                      UNION ALL SELECT l.id_a FROM pg_temp.mastering_part p JOIN pg_temp.mastering_link l ON l.id_b = p.id));
    GET DIAGNOSTICS n = ROW_COUNT;
    DROP TABLE pg_temp.mastering_part;
    RETURN n;
END
$$;
COMMENT ON FUNCTION mastering.scope_of_parts(int) IS 'Notes the records that have to be clustered once more after a round of an increment in pg_temp.mastering_scope; says how many.';

-- pg_temp.mastering_partition (source, key, label) for the affected records, and pg_temp.mastering_touched: the clusters of the
-- last run that they are in. reason: why all records have to be gone over after all; compared: affected records and those that share a
-- key with them.
CREATE FUNCTION mastering.regroup(env mastering.environment, entity_name text, entity jsonb, model jsonb, labels jsonb, curation jsonb, old jsonb, records jsonb, keys jsonb, at_most bigint, OUT reason text, OUT compared bigint, OUT blocks jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off SET default_statistics_target = 10 AS $$
DECLARE
    query text := mastering.scope_query(entity);
    members jsonb := old -> '_members';
    -- Only of records that are there; others would be told of.
    ids constant text := '(SELECT r."#source" || '':'' || r."#key" FROM pg_temp.mastering_scope w JOIN pg_temp.mastering_read r ON r."#segment" = w.segment AND r."#row" = w.row_no)';
    verdicts text := (SELECT format('SELECT v.* FROM (%s) v WHERE v.id_a IN %s AND v.id_b IN %s', q, ids, ids) FROM mastering.verdicts_query(labels, curation, query) q WHERE q IS NOT NULL);
    decided boolean;
    tied boolean := false;
    locked boolean := coalesce(curation @? '$[*] ? (@[0] == "lock")', false);
    this_round int := 0;
    near record;
    reached bigint;
    n bigint;
BEGIN
    compared := 0;
    decided := mastering.note_decided(env.name, entity_name, curation, labels, old -> '' -> 'increment');
    IF decided THEN
        tied := EXISTS (SELECT FROM pg_temp.mastering_tie);
    END IF;
    CREATE TEMP TABLE mastering_touched (cluster bigint PRIMARY KEY, round int) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_near (cluster bigint PRIMARY KEY, round int) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_link (id_a text, id_b text) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_level (comparison bigint, level int, links bigint) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_affected (source text, key text, segment int, row_no int, round int, id text GENERATED ALWAYS AS (source || ':' || key) STORED) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_scope (segment int, row_no int, probe boolean) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_shared (segment int, rows int[], places tid[]) ON COMMIT DROP;
    ALTER TABLE pg_temp.mastering_shared ALTER rows SET STORAGE EXTERNAL, ALTER places SET STORAGE EXTERNAL;
    CREATE TEMP TABLE mastering_want (source text, key text) ON COMMIT DROP;
    EXECUTE format('CREATE TEMP TABLE mastering_member ON COMMIT DROP AS SELECT * FROM mastering.%I WHERE false', 'store_' || (members ->> 'store'));
    EXECUTE format('CREATE TEMP TABLE mastering_read ON COMMIT DROP AS SELECT * FROM mastering.%I WHERE false', 'store_' || (records ->> 'store'));
    PERFORM mastering.hand_over(env, model);
    EXECUTE format('GRANT SELECT ON pg_temp.mastering_shared TO %I', env.owner);
    -- Of a set that must be together the chain changes when one of its records goes.
    IF tied THEN
        INSERT INTO pg_temp.mastering_named SELECT t.source, t.key FROM pg_temp.mastering_tie t
         WHERE t.tie IN (SELECT x.tie FROM pg_temp.mastering_tie x JOIN (SELECT g.source, g.key FROM pg_temp.mastering_gone g UNION ALL SELECT c.source, c.key FROM pg_temp.mastering_come c) g ON g.source = x.source AND g.key = x.key);
    END IF;
    INSERT INTO pg_temp.mastering_affected SELECT c.source, c.key, c.segment, c.row_no, 0 FROM pg_temp.mastering_come c;
    INSERT INTO pg_temp.mastering_want SELECT g.source, g.key FROM pg_temp.mastering_gone g;
    IF decided THEN
        INSERT INTO pg_temp.mastering_want SELECT n.source, n.key FROM pg_temp.mastering_named n;
    END IF;
    PERFORM mastering.read_wanted(members, 's."#cluster", 0', 'mastering_touched');
    INSERT INTO pg_temp.mastering_touched SELECT c::bigint, 0 FROM jsonb_array_elements_text(old -> '' -> 'increment' -> 'under_locks') c ON CONFLICT DO NOTHING;
    PERFORM mastering.read_clusters('SELECT t.cluster FROM pg_temp.mastering_touched t', members, records);
    LOOP
        INSERT INTO pg_temp.mastering_affected
        SELECT r."#source", r."#key", r."#segment", r."#row", this_round
          FROM pg_temp.mastering_touched t JOIN pg_temp.mastering_member m ON m."#cluster" = t.cluster JOIN pg_temp.mastering_read r ON r."#source" = m."#source" AND r."#key" = m."#key"
         WHERE t.round = this_round AND NOT EXISTS (SELECT FROM pg_temp.mastering_gone g WHERE g.source = m."#source" AND g.key = m."#key");
        SELECT count(*) INTO reached FROM pg_temp.mastering_affected;
        IF reached > at_most THEN
            reason := format('the change reaches %s of %s records', reached, records ->> 'rows');
            RETURN;
        END IF;
        near := mastering.note_near(env, entity_name, entity, model, keys, records, members, this_round, tied);
        IF near.reason IS NOT NULL THEN
            reason := near.reason;
            RETURN;
        END IF;
        compared := compared + near.compared;
        blocks := coalesce(blocks, near.blocks);
        DELETE FROM pg_temp.mastering_near n USING pg_temp.mastering_touched t WHERE t.cluster = n.cluster;
        PERFORM mastering.read_clusters('SELECT n.cluster FROM pg_temp.mastering_near n', members, records);
        -- What must be together is there as a whole or not at all.
        WHILE tied LOOP
            TRUNCATE pg_temp.mastering_want;
            INSERT INTO pg_temp.mastering_want SELECT t.source, t.key FROM pg_temp.mastering_tie t
             WHERE t.tie IN (SELECT x.tie FROM pg_temp.mastering_tie x JOIN (SELECT a.source, a.key FROM pg_temp.mastering_affected a
                                UNION ALL SELECT k."#source", k."#key" FROM pg_temp.mastering_near c JOIN pg_temp.mastering_member k ON k."#cluster" = c.cluster) w ON w.source = x.source AND w.key = x.key)
               AND NOT EXISTS (SELECT FROM pg_temp.mastering_touched d JOIN pg_temp.mastering_member k ON k."#cluster" = d.cluster WHERE k."#source" = t.source AND k."#key" = t.key);
            n := mastering.read_wanted(members, format('s."#cluster", %s', this_round), 'mastering_near');
            EXIT WHEN n = 0;
            PERFORM mastering.read_clusters('SELECT n.cluster FROM pg_temp.mastering_near n', members, records);
        END LOOP;
        IF this_round > 0 AND NOT tied AND NOT locked THEN
            EXIT WHEN mastering.scope_of_parts(this_round) = 0;
        ELSE
            TRUNCATE pg_temp.mastering_scope;
            INSERT INTO pg_temp.mastering_scope
            SELECT a.segment, a.row_no, false FROM pg_temp.mastering_affected a
            UNION ALL
            SELECT r."#segment", r."#row", true FROM pg_temp.mastering_near n JOIN pg_temp.mastering_member m ON m."#cluster" = n.cluster JOIN pg_temp.mastering_read r ON r."#source" = m."#source" AND r."#key" = m."#key";
            GET DIAGNOSTICS reached = ROW_COUNT;
            IF reached > at_most THEN
                reason := format('the change reaches %s of %s records', reached, records ->> 'rows');
                RETURN;
            END IF;
        END IF;
        EXECUTE format('CREATE TEMP TABLE mastering_regrouped ON COMMIT DROP AS SELECT split_part(t.id, '':'', 1) AS source, substr(t.id, strpos(t.id, '':'') + 1) AS key, t.cluster_id AS label, t.size
                          FROM mastering.query_as(%L, %L, %L, true) AS t (id text, cluster_id text, size bigint)', env.owner,
                       format('SELECT c.id, c.cluster_id, c.size FROM mastering.match_clusters(%L, (SELECT m.model FROM pg_temp.mastering_model m), labels => %L) c', query, verdicts),
                       mastering.artifact_path(env.name));
        this_round := this_round + 1;
        -- Near clusters that came out otherwise than they were.
        INSERT INTO pg_temp.mastering_touched
        SELECT m."#cluster", this_round FROM pg_temp.mastering_near n JOIN pg_temp.mastering_member m ON m."#cluster" = n.cluster
          JOIN pg_temp.mastering_regrouped p ON p.source = m."#source" AND p.key = m."#key"
         GROUP BY m."#cluster" HAVING min(p.label COLLATE "C") <> max(p.label COLLATE "C") OR count(*) <> max(p.size);
        GET DIAGNOSTICS n = ROW_COUNT;
        IF to_regclass('pg_temp.mastering_partition') IS NULL THEN
            ALTER TABLE pg_temp.mastering_regrouped RENAME TO mastering_partition;
        ELSE
            DELETE FROM pg_temp.mastering_partition p USING pg_temp.mastering_regrouped g WHERE g.source = p.source AND g.key = p.key;
            INSERT INTO pg_temp.mastering_partition SELECT g.* FROM pg_temp.mastering_regrouped g;
            DROP TABLE pg_temp.mastering_regrouped;
        END IF;
        EXIT WHEN n = 0;
        DELETE FROM pg_temp.mastering_near n USING pg_temp.mastering_touched t WHERE t.cluster = n.cluster;
    END LOOP;
    DELETE FROM pg_temp.mastering_partition p WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_affected a WHERE a.source = p.source AND a.key = p.key);
    IF reached > 1000 THEN    -- others join these
        ANALYZE pg_temp.mastering_partition;
        ANALYZE pg_temp.mastering_member;
        ANALYZE pg_temp.mastering_read ("#source", "#key");
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.regroup(mastering.environment, text, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, bigint) IS 'Clusters what a change can have touched, as a run over everything would; says why it cannot where that is so.';

-- After ids were given. Many affected clusters come out as they were, of the same records with the same values: they were only near to what changed.
-- Nothing of them is written or made anew.
CREATE FUNCTION mastering.leave_unchanged() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off AS $$
BEGIN
    CREATE TEMP TABLE mastering_unchanged ON COMMIT DROP AS
    SELECT o.label, o.cluster
      FROM pg_temp.mastering_overlap o JOIN pg_temp.mastering_identity i ON i.label = o.label AND i.cluster = o.cluster
      JOIN (SELECT p.label, count(*) AS records FROM pg_temp.mastering_partition p GROUP BY 1) n ON n.label = o.label AND n.records = o.records
      JOIN (SELECT m."#cluster" AS cluster, count(*) AS records FROM pg_temp.mastering_member m GROUP BY 1) m ON m.cluster = o.cluster AND m.records = o.records
     WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_partition p JOIN pg_temp.mastering_come c ON c.source = p.source AND c.key = p.key WHERE p.label = o.label);
    DELETE FROM pg_temp.mastering_partition p USING pg_temp.mastering_unchanged u WHERE u.label = p.label;
    DELETE FROM pg_temp.mastering_identity i USING pg_temp.mastering_unchanged u WHERE u.label = i.label;
    DELETE FROM pg_temp.mastering_touched t USING pg_temp.mastering_unchanged u WHERE u.cluster = t.cluster;
    DROP TABLE pg_temp.mastering_unchanged;
END
$$;
COMMENT ON FUNCTION mastering.leave_unchanged() IS 'Takes the clusters that came out as they were, of records that did not change, out of what an increment writes.';

-- {"run": "incremental", ...}, with pg_temp.mastering_partition and mastering_touched, or {"run": "full", "because": ...}.
CREATE FUNCTION mastering.increment(env mastering.environment, entity_name text, inputs jsonb, entity jsonb, model jsonb, labels jsonb, curation jsonb, old jsonb, records jsonb, keys jsonb) RETURNS jsonb
-- Some thousand records are wanted of a store that lies in memory, or on disks that do not turn any more. Rows are fetched in the order in which
-- they lie, the next ones announced to the operating system, which a scan of an index alone would not do.
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET random_page_cost = 1.1 SET enable_indexscan = off AS $$
DECLARE
    reason text := mastering.why_full(env, entity_name, inputs, model, old);
    size bigint := greatest((records ->> 'rows')::bigint, (old -> '_records' ->> 'rows')::bigint);
    changed bigint;
    compared bigint;
    blocks jsonb;
BEGIN
    IF reason IS NULL THEN
        changed := mastering.note_changes(entity, old -> '_records', records);
        IF changed > size * 3 / 20 THEN
            reason := format('%s of %s records changed', changed, size);
        ELSE
            SELECT g.reason, g.compared, g.blocks INTO reason, compared, blocks FROM mastering.regroup(env, entity_name, entity, model, labels, curation, old, records, keys, size / 2) g;
        END IF;
    END IF;
    IF reason IS NOT NULL THEN
        PERFORM mastering.drop_work_tables();
        RETURN jsonb_build_object('run', 'full', 'because', reason);
    END IF;
    RETURN jsonb_build_object('run', 'incremental', 'changed', changed, 'affected', (SELECT count(*) FROM pg_temp.mastering_affected), 'compared', compared, 'drift', mastering.measure_drift(env.name, entity_name, entity, model, old -> '' -> 'increment', blocks));
END
$$;
COMMENT ON FUNCTION mastering.increment(mastering.environment, text, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb) IS 'Clusters the records that a change can have touched, or says why all of them have to be gone over.';

-- What master would do, and why. What is mapped to find out is undone.
CREATE FUNCTION mastering.plan_run(env mastering.environment, entity_name text, tree jsonb, data jsonb, published jsonb, full_run boolean) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    entity jsonb := mastering.require_entity(tree, env.name, entity_name);
    inputs jsonb := mastering.run_inputs(env, entity_name, tree, data);
    run_key text := mastering.live_key(mastering.json_hash(inputs));
    old jsonb := (SELECT coalesce(jsonb_object_agg(substr(p.key, length(entity_name) + 1), p.value), '{}') FROM jsonb_each(published) p
                   WHERE p.key IN (entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history', entity_name || '_keys'));
    made_in text := (SELECT o.made_in FROM mastering.output o WHERE o.run_key = work.run_key ORDER BY o.made_at LIMIT 1);
    reason text;
    records jsonb;
    changed bigint;
    size bigint;
BEGIN
    IF old -> '' ->> 'run' = run_key THEN
        RETURN CASE WHEN old -> '' ->> 'golden' = (mastering.golden_keys(env.name, entity_name, tree)).golden_key THEN '{"run": "none", "because": "what is published is up to date"}'::jsonb
                    ELSE '{"run": "golden", "because": "the clusters are up to date, what golden records are made by is not"}' END;
    ELSIF made_in IS NOT NULL THEN
        RETURN jsonb_build_object('run', 'found', 'because', format('environment "%s" ran it', made_in));
    END IF;
    reason := CASE WHEN full_run THEN 'it was asked for' ELSE mastering.why_full(env, entity_name, inputs, mastering.model_of(tree, env.name, entity_name), old) END;
    IF reason IS NULL THEN
        BEGIN
            PERFORM mastering.drop_work_tables();
            records := mastering.map_records(env, entity_name, tree, data);
            changed := mastering.note_changes(entity, old -> '_records', records);
            size := greatest((records ->> 'rows')::bigint, (old -> '_records' ->> 'rows')::bigint);
            IF changed > size * 3 / 20 THEN
                reason := format('%s of %s records changed', changed, size);
            END IF;
            RAISE EXCEPTION 'planned' USING ERRCODE = 'MD001';
        EXCEPTION WHEN SQLSTATE 'MD001' THEN
            NULL;
        END;
    END IF;
    RETURN CASE WHEN reason IS NULL THEN jsonb_build_object('run', 'incremental', 'because', 'a part changed', 'changed', changed, 'records', size)
                ELSE jsonb_build_object('run', 'full', 'because', reason) END;
END
$$;
COMMENT ON FUNCTION mastering.plan_run(mastering.environment, text, jsonb, jsonb, jsonb, boolean) IS 'Whether a run would go over all records or over what changed, and why; changes nothing.';

-- ---- counters ------------------------------------------------------------------------------------------------------

-- Golden records by size, and by attribute the records of those that have a value: sums, so that a change adds and takes away. Records, because where
-- two golden records become one there are fewer with a value and none is lost. golden: a FROM item s.
CREATE FUNCTION mastering.tally(golden text, entity jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result jsonb;
BEGIN
    EXECUTE format($q$SELECT jsonb_build_object('sizes', coalesce(jsonb_object_agg(g.size, g.n), '{}'), 'covered', %s)
                        FROM (SELECT s."#records" AS size, count(*) AS n, %s FROM %s GROUP BY 1) g$q$,
        (SELECT mastering.object_expression(array_agg(format('%L, coalesce(sum(g.size * g.%I), 0)', a.value ->> 'name', 'a' || a.ordinality))) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
        (SELECT string_agg(format('count(s.%I) AS %I', a.value ->> 'name', 'a' || a.ordinality), ', ') FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a), golden) INTO result;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.tally(text, jsonb) IS 'How many golden records there are of each number of records, and by attribute how many records those have that have a value.';

CREATE FUNCTION mastering.changed_tally(before jsonb, lost jsonb, gained jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_object_agg(part, coalesce((SELECT jsonb_object_agg(t.key, t.n) FROM (
               SELECT x.key, sum(x.sign * x.value::bigint)::bigint AS n
                 FROM (SELECT *, 1 AS sign FROM jsonb_each_text(before -> part) UNION ALL SELECT *, -1 FROM jsonb_each_text(lost -> part) UNION ALL SELECT *, 1 FROM jsonb_each_text(gained -> part)) x
                GROUP BY 1) t WHERE part = 'covered' OR t.n <> 0), '{}'))
      FROM unnest('{sizes,covered}'::text[]) part
$$;
COMMENT ON FUNCTION mastering.changed_tally(jsonb, jsonb, jsonb) IS 'A tally less one part and with another.';

CREATE FUNCTION mastering.tally_counters(tally jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('records', coalesce(sum(s.key::bigint * s.value::bigint), 0)::bigint, 'clusters', coalesce(sum(s.value::bigint), 0)::bigint, 'largest', coalesce(max(s.key::bigint), 0),
                              'singletons', coalesce(sum(s.value::bigint) FILTER (WHERE s.key = '1'), 0)::bigint, 'pairs', coalesce(sum(s.value::bigint * (s.key::bigint * (s.key::bigint - 1) / 2)), 0)::bigint,
                              'covered', tally -> 'covered')
      FROM jsonb_each_text(tally -> 'sizes') s
$$;
COMMENT ON FUNCTION mastering.tally_counters(jsonb) IS 'Counters of an output: records, clusters, the largest one, singletons, pairs of records in one cluster, records whose golden record has a value by attribute.';
