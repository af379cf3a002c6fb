-- 59_drift.sql: whether what comes in is like what the model, or the last run over all records, was made of. A run over all
-- records notes what they are like ("present", "blocks", "scores" of what the next increment goes on from); each increment
-- measures the same of what came in, in the same way, and says how far that lies apart, as counters.

-- Adds the links in pg_temp.mastering_linked to pg_temp.mastering_level: of each comparison the levels; as comparison 0 the weights,
-- four bits to a level.
CREATE FUNCTION mastering.note_levels() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO pg_temp.mastering_level    -- many links have the same levels
    SELECT v.ordinality, v.level, sum(p.links) FROM (SELECT l.levels, count(*) AS links FROM pg_temp.mastering_linked l GROUP BY 1) p CROSS JOIN LATERAL unnest(p.levels) WITH ORDINALITY v (level, ordinality) GROUP BY 1, 2
    UNION ALL
    SELECT 0, floor(l.weight / 4)::int, count(*) FROM pg_temp.mastering_linked l GROUP BY 2;
END
$$;
COMMENT ON FUNCTION mastering.note_levels() IS 'Counts the levels and weights of links.';

-- What the records of a run over all of them are like. Blocks and weights of a sample of 2000, which is compared as an increment would
-- be: where no increment is possible, they are not looked at.
CREATE FUNCTION mastering.run_basis(env mastering.environment, entity jsonb, model jsonb, records jsonb, keys jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off AS $$
DECLARE
    basis jsonb := jsonb_build_object('present', mastering.present_shares(entity, records));
    query text := mastering.scope_query(entity);
    shared record;
    blocks jsonb;
    step int := greatest((records ->> 'rows')::bigint / 2000, 1);
BEGIN
    IF (records ->> 'rows')::bigint < 200 OR cardinality(mastering.model_not_local(model)) > 0 THEN
        RETURN basis;
    END IF;
    CREATE TEMP TABLE mastering_scope (segment int, row_no int, probe boolean) ON COMMIT DROP;
    CREATE TEMP TABLE mastering_level (comparison bigint, level int, links bigint) ON COMMIT DROP;
    EXECUTE format('CREATE TEMP TABLE mastering_read ON COMMIT DROP AS SELECT * FROM mastering.%I WHERE false', 'store_' || (records ->> 'store'));
    PERFORM mastering.hand_over(env, model);
    INSERT INTO pg_temp.mastering_scope
    SELECT g.segment_id, r, true
      FROM jsonb_array_elements_text(records -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(records -> 'vectors') WITH ORDINALITY v USING (ordinality)
      JOIN mastering.segment g ON g.segment_id = s.value::int CROSS JOIN LATERAL generate_series(1, g.row_count::int, step) r
     WHERE v.value = '0' OR NOT mastering.is_deleted(v.value::bigint, r);
    PERFORM mastering.read_rows();
    shared := mastering.neighbours(env, query, model, keys, records, 'SELECT w.segment, w.row_no FROM pg_temp.mastering_scope w', 'SELECT w.segment, w.row_no FROM pg_temp.mastering_scope w', false);
    blocks := shared.blocks;
    IF mastering.large_block(model, blocks) IS NULL THEN
        basis := basis || jsonb_build_object('blocks', blocks);
        INSERT INTO pg_temp.mastering_scope SELECT u.segment, u.row_no, false FROM unnest(shared.segments, shared.rows) u (segment, row_no);
        PERFORM mastering.read_rows();
        PERFORM mastering.find_links(env, query);
        PERFORM mastering.note_levels();
        basis := basis || jsonb_build_object('scores', (SELECT coalesce(jsonb_object_agg(l.level, l.links), '{}') FROM pg_temp.mastering_level l WHERE l.comparison = 0));
        DROP TABLE pg_temp.mastering_linked;
    END IF;
    DROP TABLE pg_temp.mastering_scope, pg_temp.mastering_level, pg_temp.mastering_read, pg_temp.mastering_model;
    RETURN basis;
END
$$;
COMMENT ON FUNCTION mastering.run_basis(mastering.environment, jsonb, jsonb, jsonb, jsonb) IS 'What an entity''s records are like, for later increments to be compared with: shares of values that are there, sizes of blocks, weights of links.';

CREATE FUNCTION mastering.present_shares(entity jsonb, records jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    shares jsonb;
BEGIN
    EXECUTE format('SELECT %s FROM mastering.%I s WHERE %s',
                   (SELECT mastering.object_expression(array_agg(format('%L, round(count(s.%I)::numeric / greatest(count(*), 1), 4)', a.value ->> 'name', a.value ->> 'name'))) FROM jsonb_array_elements(entity -> 'attributes') a),
                   'store_' || (records ->> 'store'), mastering.version_condition(records, 's')) INTO shares;
    RETURN shares;
END
$$;
COMMENT ON FUNCTION mastering.present_shares(jsonb, jsonb) IS 'The share of an entity''s records that have a value, by attribute.';

-- What a comparison of a column counts as values of a row s, as SQL for a text[]: the elements where these are compared.
CREATE FUNCTION mastering.elements_of(entity jsonb, comparison jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format(CASE WHEN NOT comparison ? 'elements' THEN 'ARRAY[s.%1$I::text]'
                       WHEN comparison ? 'separator' THEN 'string_to_array(s.%1$I::text, %2$L)'
                       WHEN t.base = 'jsonb'::regtype THEN 'ARRAY(SELECT jsonb_array_elements_text(CASE jsonb_typeof(s.%1$I) WHEN ''array'' THEN s.%1$I ELSE jsonb_build_array(s.%1$I) END))'
                       ELSE 's.%1$I::text[]' END, comparison ->> 'column', comparison ->> 'separator')
      FROM (SELECT (SELECT coalesce(nullif(y.typbasetype, 0), y.oid) FROM pg_type y WHERE y.oid = to_regtype(a.value ->> 'type'))
              FROM jsonb_array_elements(entity -> 'attributes') a WHERE a.value ->> 'name' = comparison ->> 'column') t (base)
$$;
COMMENT ON FUNCTION mastering.elements_of(jsonb, jsonb) IS 'The values that a comparison looks at in an attribute, as SQL.';

-- Counters of what came in with an increment beside what the model, or the last run over all records, was made of:
-- drift.present.<attribute>: share of the new and changed records with a value, less that among all records of then;
-- drift.unlisted.<comparison>: share of their values that are not among the frequent ones that the model knows, less what it expects
--   (where elements are compared, frequent elements of a record, in the mean);
-- drift.levels.<comparison>: of the links of affected records, how far the shares of levels lie from the model's m (half the sum of differences);
-- drift.scores: of the same links, how far the shares of their weights lie from those of then, likewise;
-- drift.blocks.<rule>: how much larger than then the blocks of the new and changed records are, in powers of two.
CREATE FUNCTION mastering.measure_drift(env_name text, entity_name text, entity jsonb, model jsonb, last jsonb, blocks jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    enough constant int := 200;    -- records or links; of fewer, nothing is said
    sampled constant int := 2000;  -- records; a share among so many is within 0.03
    counters jsonb := '{}';
    alarms text[];
    come bigint := (SELECT count(*) FROM pg_temp.mastering_come);
    links bigint;
    name text;
    listed jsonb;
    found bigint;
    values_seen bigint;
    trained jsonb;
    distance numeric;
    shares jsonb;
BEGIN
    IF come >= enough THEN
        CREATE TEMP TABLE mastering_sample ON COMMIT DROP AS
        SELECT r.* FROM pg_temp.mastering_read r WHERE (r."#segment", r."#row") IN (SELECT x.segment, x.row_no FROM pg_temp.mastering_come x) LIMIT sampled;
        EXECUTE format('SELECT %s FROM pg_temp.mastering_sample s',
                       (SELECT mastering.object_expression(array_agg(format('%L, round(count(s.%I)::numeric / greatest(count(*), 1), 4)', a.value ->> 'name', a.value ->> 'name'))) FROM jsonb_array_elements(entity -> 'attributes') a)) INTO shares;
        SELECT counters || coalesce(jsonb_object_agg('drift.present.' || p.key, p.value::numeric - (last -> 'present' ->> p.key)::numeric), '{}') INTO counters
          FROM jsonb_each_text(shares) p WHERE last -> 'present' ? p.key;
    END IF;
    FOR i IN 0 .. 63 LOOP
        EXIT WHEN model #> ARRAY['comparisons', i::text] IS NULL;
        name := model #>> ARRAY['comparisons', i::text, 'name'];
        listed := model #> ARRAY['comparisons', i::text, 'frequencies', 'values'];
        CONTINUE WHEN name IS NULL;
        IF come >= enough AND listed IS NOT NULL AND model #>> ARRAY['comparisons', i::text, 'normalize'] = 'text'
           AND entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', model #>> ARRAY['comparisons', i::text, 'column'])) THEN
            EXECUTE format('SELECT count(*) FILTER (WHERE $1 ? v.value), count(DISTINCT v.n)
                              FROM (SELECT DISTINCT s.n, mastering.normalize_text(e.value) AS value FROM (SELECT row_number() OVER () AS n, %s AS elements FROM pg_temp.mastering_sample s) s CROSS JOIN LATERAL unnest(s.elements) e (value)) v WHERE v.value <> %L',
                           mastering.elements_of(entity, model -> 'comparisons' -> i), '') INTO found, values_seen USING listed;
            IF values_seen >= enough THEN
                counters := counters || jsonb_build_object('drift.unlisted.' || name, round(coalesce((model #>> ARRAY['comparisons', i::text, 'frequencies', 'listed'])::numeric, (SELECT sum(f.value::numeric) FROM jsonb_each_text(listed) f)) - found::numeric / values_seen, 4));
            END IF;
        END IF;
        trained := model #> ARRAY['comparisons', i::text, 'trained'];
        SELECT sum(l.links) INTO links FROM pg_temp.mastering_level l WHERE l.comparison = i + 1 AND l.level > 0;
        IF links >= enough AND jsonb_array_length(trained) > 0 THEN
            SELECT round(sum(abs(coalesce(l.n, 0) / links - (t.value ->> 'm')::numeric)) / 2, 4) INTO distance
              FROM jsonb_array_elements(trained) WITH ORDINALITY t LEFT JOIN (SELECT v.level, sum(v.links) AS n FROM pg_temp.mastering_level v WHERE v.comparison = i + 1 GROUP BY 1) l ON l.level = t.ordinality;
            counters := counters || jsonb_build_object('drift.levels.' || name, distance);
        END IF;
    END LOOP;
    SELECT sum(l.links) INTO links FROM pg_temp.mastering_level l WHERE l.comparison = 0;
    SELECT sum(s.value::bigint) INTO found FROM jsonb_each_text(last -> 'scores') s;
    IF links >= enough AND found >= enough THEN
        SELECT round(sum(abs(coalesce(n.n, 0) / links - coalesce(o.value::numeric, 0) / found)) / 2, 4) INTO distance
          FROM (SELECT l.level, sum(l.links) AS n FROM pg_temp.mastering_level l WHERE l.comparison = 0 GROUP BY 1) n FULL JOIN jsonb_each_text(last -> 'scores') o ON o.key::int = n.level;
        counters := counters || jsonb_build_object('drift.scores', distance);
    END IF;
    SELECT counters || coalesce(jsonb_object_agg('drift.blocks.' || b.key, (b.value ->> 1)::numeric - (last #>> ARRAY['blocks', b.key, '1'])::numeric), '{}') INTO counters
      FROM jsonb_each(blocks) b WHERE (b.value ->> 0)::bigint >= enough AND (last #>> ARRAY['blocks', b.key, '0'])::bigint >= enough;
    SELECT array_agg(format('%s %s', substr(c.key, 7), c.value) ORDER BY c.key) INTO alarms FROM jsonb_each_text(counters) c
     WHERE CASE WHEN c.key LIKE 'drift.unlisted.%' THEN c.value::numeric > 0.1 WHEN c.key LIKE 'drift.present.%' THEN abs(c.value::numeric) > 0.1 WHEN c.key LIKE 'drift.blocks.%' THEN abs(c.value::numeric) > 1 ELSE c.value::numeric > 0.25 END;
    IF alarms IS NOT NULL THEN
        RAISE WARNING 'what comes into entity "%" of environment "%" differs from what its model was made of', entity_name, env_name
            USING DETAIL = format('Of %s new and changed records: %s.', come, array_to_string(alarms, ', ')),
                  HINT = format('Look at the source first. If the data have changed for good: SELECT mastering.train(%L, %L), then master, which goes over all records.', env_name, entity_name);
    END IF;
    RETURN counters;
END
$$;
COMMENT ON FUNCTION mastering.measure_drift(text, text, jsonb, jsonb, jsonb, jsonb) IS 'How far the records of an increment are from what the model assumes, as counters; warns where that is much.';
