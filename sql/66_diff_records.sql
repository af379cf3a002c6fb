-- 66_diff_records.sql: which records, members and golden records differ between two states.
--
-- A version is segments and deletion vectors, so what two states share needs no look: only rows of segments that one
-- of them lacks are read, and of segments that both have with other deletions the rows deleted in one. These are
-- found by the keys of the rows that came in their place; only rows that went without a successor cost a scan.

-- A cast to json or text may be a function of whoever made a type; the output function of a type never is.
CREATE FUNCTION mastering.shown_value(alias text, column_name text, type_text text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_type t WHERE t.oid = to_regtype(type_text) AND t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b')
                THEN format('to_jsonb(%I.%I)', alias, column_name)
                ELSE format('CASE WHEN %1$I.%2$I IS NOT NULL THEN to_jsonb(format(''%%s'', %1$I.%2$I)) END', alias, column_name) END
$$;
COMMENT ON FUNCTION mastering.shown_value(text, text, text) IS 'An SQL expression for a column''s value as JSON that calls no function of users.';

-- The rows of one side, as SQL: keys, a document, a hash. wanted: array of {"segment", "deleted", "kept"}: rows that
-- the vector deleted removes, if it is not 0, and that the vector kept does not.
CREATE FUNCTION mastering.side_query(store int, what text, wanted jsonb, keys_from text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys text := CASE what WHEN 'golden' THEN 'NULL::text AS source, NULL::text AS record_key, s."#cluster" AS cluster_id' ELSE 's."#source" AS source, s."#key" AS record_key, NULL::bigint AS cluster_id' END;
    matching text := CASE what WHEN 'golden' THEN 's."#cluster" = k.cluster_id' ELSE 's."#source" = k.source AND s."#key" = k.record_key' END;
    document text;
    hashed text;
    query text;
BEGIN
    -- A function has at most 100 arguments.
    SELECT string_agg(format('jsonb_build_object(%s)', p.pairs), ' || ' ORDER BY p.part), string_agg(p.columns, ', ' ORDER BY p.part) INTO document, hashed
      FROM (SELECT c.ordinality / 40 AS part,
                   string_agg(format('%L, %s', CASE WHEN c.value ->> 'name' = '#cluster' THEN 'cluster_id' ELSE ltrim(c.value ->> 'name', '#') END,
                                     mastering.shown_value('s', c.value ->> 'name', c.value ->> 'type')), ', ' ORDER BY c.ordinality) AS pairs,
                   string_agg(format('s.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) AS columns
              FROM mastering.store t, jsonb_array_elements(t.columns) WITH ORDINALITY c
             WHERE t.store_id = store AND CASE what WHEN 'golden' THEN c.value ->> 'name' <> '#cluster' ELSE c.value ->> 'name' NOT IN ('#source', '#key') END
             GROUP BY 1) p;
    SELECT string_agg(format('SELECT %s, %s AS document, mastering.row_hash(ROW(%s)) AS hash FROM %smastering.%I s%s WHERE %s AND %s', keys, document, hashed,
                             CASE WHEN keys_from IS NULL THEN '' ELSE format('(%s) k JOIN ', keys_from) END, 'segment_' || (w.value ->> 'segment'),
                             CASE WHEN keys_from IS NULL THEN '' ELSE ' ON ' || matching END,
                             CASE WHEN w.value ->> 'deleted' = '0' THEN 'true' ELSE format('mastering.is_deleted(%s::bigint, s."#row")', w.value ->> 'deleted') END,
                             CASE WHEN w.value ->> 'kept' = '0' THEN 'true' ELSE format('NOT mastering.is_deleted(%s::bigint, s."#row")', w.value ->> 'kept') END), ' UNION ALL ') INTO query
      FROM jsonb_array_elements(wanted) w;
    RETURN coalesce(query, 'SELECT NULL::text AS source, NULL::text AS record_key, NULL::bigint AS cluster_id, NULL::jsonb AS document, NULL::uuid AS hash WHERE false');
END
$$;
COMMENT ON FUNCTION mastering.side_query(int, text, jsonb, text) IS 'The SELECT for rows of segments, all that a version keeps or those that another deletes.';

CREATE FUNCTION mastering.keys_query(kind text, wanted jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('SELECT %s FROM mastering.%I s', CASE kind WHEN 'golden' THEN 's."#cluster" AS cluster_id' ELSE 's."#source" AS source, s."#key" AS record_key' END,
                             'segment_' || (w.value ->> 'segment')) || CASE WHEN w.value ->> 'kept' = '0' THEN '' ELSE format(' WHERE NOT mastering.is_deleted(%s::bigint, s."#row")', w.value ->> 'kept') END, ' UNION ALL ')
      FROM jsonb_array_elements(wanted) w
$$;
COMMENT ON FUNCTION mastering.keys_query(text, jsonb) IS 'The SELECT for the keys of rows that a version keeps.';

-- Rows of shared segments that the other side deleted: by the keys of what came instead where that finds them all.
CREATE FUNCTION mastering.lost_query(store int, kind text, lost jsonb, came jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expected bigint;
    rows_to_scan bigint;
    rows_that_came bigint;
    found_rows bigint;
    keyed text;
BEGIN
    SELECT coalesce(sum(mastering.deletion_vector_count(CASE WHEN k.bitmap IS NULL THEN d.bitmap ELSE mastering.deletion_vector_union(d.bitmap, k.bitmap) END) - coalesce(mastering.deletion_vector_count(k.bitmap), 0)), 0), sum(g.row_count)
      INTO expected, rows_to_scan
      FROM jsonb_array_elements(lost) l JOIN mastering.deletion_vector d ON d.vector_id = (l ->> 'deleted')::bigint JOIN mastering.segment g ON g.segment_id = (l ->> 'segment')::int
      LEFT JOIN mastering.deletion_vector k ON k.vector_id = nullif((l ->> 'kept')::bigint, 0);
    SELECT coalesce(sum(g.row_count), 0) INTO rows_that_came FROM jsonb_array_elements(came) c JOIN mastering.segment g ON g.segment_id = (c ->> 'segment')::int;
    IF expected > 0 AND rows_that_came > 0 AND rows_that_came < rows_to_scan / 20 THEN
        keyed := mastering.side_query(store, kind, lost, mastering.keys_query(kind, came));
        EXECUTE format('SELECT count(*) FROM (%s) q', keyed) INTO found_rows;
        IF found_rows = expected THEN
            RETURN keyed;
        END IF;
    END IF;
    RETURN mastering.side_query(store, kind, CASE WHEN expected = 0 THEN '[]' ELSE lost END);
END
$$;
COMMENT ON FUNCTION mastering.lost_query(int, text, jsonb, jsonb) IS 'The SELECT for rows that one of two versions deleted from segments that they share.';

CREATE FUNCTION mastering.diff_versions(kind text, a jsonb, b jsonb) RETURNS TABLE (change text, source text, record_key text, cluster_id bigint, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
DECLARE
    same_store boolean := coalesce(a ->> 'store' = b ->> 'store', false);
    only_a jsonb;
    only_b jsonb;
    lost jsonb;
    gained jsonb;
    side_a text;
    side_b text;
BEGIN
    IF a -> 'segments' = b -> 'segments' AND a -> 'vectors' = b -> 'vectors' AND same_store THEN
        RETURN;
    END IF;
    -- deleted: the rows must be removed by that vector; kept: and not by that. 0 removes nothing.
    SELECT coalesce(jsonb_agg(jsonb_build_object('segment', x.segment, 'deleted', 0, 'kept', x.vector)) FILTER (WHERE y.segment IS NULL), '[]'),
           coalesce(jsonb_agg(jsonb_build_object('segment', y.segment, 'deleted', 0, 'kept', y.vector)) FILTER (WHERE x.segment IS NULL), '[]'),
           coalesce(jsonb_agg(jsonb_build_object('segment', x.segment, 'deleted', y.vector, 'kept', x.vector)) FILTER (WHERE x.vector <> y.vector AND y.vector <> 0), '[]'),
           coalesce(jsonb_agg(jsonb_build_object('segment', x.segment, 'deleted', x.vector, 'kept', y.vector)) FILTER (WHERE x.vector <> y.vector AND x.vector <> 0), '[]')
      INTO only_a, only_b, lost, gained
      FROM (SELECT u.s::int AS segment, u.v::bigint AS vector FROM ROWS FROM (jsonb_array_elements_text(a -> 'segments'), jsonb_array_elements_text(a -> 'vectors')) u (s, v)) x
      FULL JOIN (SELECT u.s::int AS segment, u.v::bigint AS vector FROM ROWS FROM (jsonb_array_elements_text(b -> 'segments'), jsonb_array_elements_text(b -> 'vectors')) u (s, v)) y
             ON y.segment = x.segment;
    side_a := mastering.side_query((a ->> 'store')::int, kind, only_a) || CASE WHEN lost = '[]' THEN '' ELSE ' UNION ALL ' || mastering.lost_query((a ->> 'store')::int, kind, lost, only_b) END;
    side_b := mastering.side_query((b ->> 'store')::int, kind, only_b) || CASE WHEN gained = '[]' THEN '' ELSE ' UNION ALL ' || mastering.lost_query((b ->> 'store')::int, kind, gained, only_a) END;
    RETURN QUERY EXECUTE format($q$
        SELECT d.change, d.source, d.record_key, d.cluster_id, d.before, d.after FROM (
            SELECT CASE WHEN a.hash IS NULL THEN 'added' WHEN b.hash IS NULL THEN 'removed' ELSE 'changed' END AS change, coalesce(a.source, b.source) AS source,
                   coalesce(a.record_key, b.record_key) AS record_key, coalesce(a.cluster_id, b.cluster_id) AS cluster_id, a.document AS before, b.document AS after
              FROM (%s) a FULL JOIN (%s) b ON %s
             WHERE a.hash IS NULL OR b.hash IS NULL OR %s) d
         ORDER BY d.source COLLATE "C", d.record_key COLLATE "C", d.cluster_id$q$, side_a, side_b,
        CASE kind WHEN 'golden' THEN 'a.cluster_id = b.cluster_id' ELSE 'a.source = b.source AND a.record_key = b.record_key' END,
        CASE WHEN same_store THEN 'a.hash <> b.hash' ELSE 'jsonb_strip_nulls(a.document)::text <> jsonb_strip_nulls(b.document)::text' END);
END
$$;
COMMENT ON FUNCTION mastering.diff_versions(text, jsonb, jsonb) IS 'The rows that differ between two versions.';

CREATE FUNCTION mastering.do_diff_records(a_name text, b_name text, entity_name text)
RETURNS TABLE (kind text, change text, source text, record_key text, cluster_id bigint, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a mastering.state := mastering.resolve_state(a_name);
    b mastering.state := mastering.resolve_state(b_name);
    suffix text;
BEGIN
    IF mastering.artifact_at(a.tree, mastering.path('entity', entity_name)) IS NULL AND mastering.artifact_at(b.tree, mastering.path('entity', entity_name)) IS NULL THEN
        RAISE EXCEPTION 'entity "%" exists neither in state "%" nor in state "%"', entity_name, a_name, b_name
            USING ERRCODE = '42704', HINT = format('SELECT * FROM mastering.diff(%L, %L)', a_name, b_name);
    END IF;
    FOREACH suffix IN ARRAY ARRAY['_records', '_members', ''] LOOP
        kind := CASE suffix WHEN '_records' THEN 'record' WHEN '_members' THEN 'member' ELSE 'golden' END;
        FOR change, source, record_key, cluster_id, before, after IN
            SELECT d.* FROM mastering.diff_versions(kind, a.versions -> (entity_name || suffix), b.versions -> (entity_name || suffix)) d LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_diff_records(text, text, text) IS 'Behind diff_records.';

CREATE FUNCTION mastering.diff_records(a text, b text, entity text)
RETURNS TABLE (kind text, change text, source text, record_key text, cluster_id bigint, before jsonb, after jsonb)
    LANGUAGE C STABLE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.diff_records(text, text, text) IS 'The source records, members and golden records that differ between two states, in a time that grows with the difference: what b has added, removed or changed against a.';

CREATE FUNCTION mastering.do_diff_summary(a_name text, b_name text, entity_name text)
RETURNS TABLE (kind text, attribute text, added bigint, removed bigint, changed bigint, rows_before bigint, rows_after bigint, example text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a mastering.state := mastering.resolve_state(a_name);
    b mastering.state := mastering.resolve_state(b_name);
BEGIN
    RETURN QUERY
    WITH d AS MATERIALIZED (
        SELECT x.kind, x.change, x.before, x.after, coalesce(x.source || ' ' || x.record_key, 'id ' || x.cluster_id) AS name FROM mastering.do_diff_records(a_name, b_name, entity_name) x),
    k (n, kind, suffix) AS (VALUES (1, 'record', '_records'), (2, 'member', '_members'), (3, 'golden', '')),
    value AS (
        SELECT d.kind, e.key AS attribute, d.name, d.before ->> e.key AS before, d.after ->> e.key AS after
          FROM d CROSS JOIN LATERAL (SELECT jsonb_object_keys(d.before) UNION SELECT jsonb_object_keys(d.after)) e (key)
         WHERE d.change = 'changed' AND (d.before ->> e.key) IS DISTINCT FROM (d.after ->> e.key)),
    line AS (
        SELECT k.n, k.kind, NULL::text AS attribute, count(*) FILTER (WHERE d.change = 'added') AS added, count(*) FILTER (WHERE d.change = 'removed') AS removed, count(*) FILTER (WHERE d.change = 'changed') AS changed,
               coalesce((a.versions -> (entity_name || k.suffix) ->> 'rows')::bigint, 0) AS rows_before, coalesce((b.versions -> (entity_name || k.suffix) ->> 'rows')::bigint, 0) AS rows_after,
               coalesce('new: ' || min(d.name) FILTER (WHERE d.change = 'added'), 'gone: ' || min(d.name) FILTER (WHERE d.change = 'removed')) AS example
          FROM k LEFT JOIN d ON d.kind = k.kind GROUP BY k.n, k.kind, k.suffix
        UNION ALL
        SELECT k.n, v.kind, v.attribute, 0, 0, count(*), NULL, NULL,
               (array_agg(v.name || ': ' || coalesce(to_json(left(v.before, 60))::text, 'null') || ' -> ' || coalesce(to_json(left(v.after, 60))::text, 'null') ORDER BY v.name COLLATE "C"))[1]
          FROM value v JOIN k ON k.kind = v.kind GROUP BY k.n, v.kind, v.attribute)
    SELECT l.kind, l.attribute, l.added, l.removed, l.changed, l.rows_before, l.rows_after, l.example FROM line l ORDER BY l.n, l.attribute COLLATE "C" NULLS FIRST;
END
$$;
COMMENT ON FUNCTION mastering.do_diff_summary(text, text, text) IS 'Behind diff_summary.';

CREATE FUNCTION mastering.diff_summary(a text, b text, entity text)
RETURNS TABLE (kind text, attribute text, added bigint, removed bigint, changed bigint, rows_before bigint, rows_after bigint, example text)
    LANGUAGE C STABLE PARALLEL UNSAFE ROWS 20 AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.diff_summary(text, text, text) IS 'diff_records in numbers, with an example each: how many came, went and changed, and which attributes changed.';
