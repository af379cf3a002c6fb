-- 51_store_functions.sql: making stores, segments and versions. All of this is internal: nobody but the
-- extension's owner may call it, and the functions that users call have checked their rights before.

CREATE FUNCTION mastering.store_for(kind text, entity text, source text, columns jsonb, indexes jsonb) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hit int;
    store text;
    index_columns jsonb;
BEGIN
    SELECT s.store_id INTO hit FROM mastering.store s
     WHERE s.kind = store_for.kind AND s.entity = store_for.entity AND s.source = store_for.source
       AND s.columns = store_for.columns;
    IF hit IS NOT NULL THEN
        RETURN hit;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mastering.store'), hashtext(store_for.entity));
    SELECT s.store_id INTO hit FROM mastering.store s
     WHERE s.kind = store_for.kind AND s.entity = store_for.entity AND s.source = store_for.source
       AND s.columns = store_for.columns;
    IF hit IS NOT NULL THEN
        RETURN hit;
    END IF;
    INSERT INTO mastering.store (kind, entity, source, columns, indexes)
    VALUES (store_for.kind, store_for.entity, store_for.source, store_for.columns, store_for.indexes)
    RETURNING store_id INTO hit;
    store := format('mastering.%I', 'store_' || hit);
    -- Where a row lies comes last: a scan takes a row apart from its first column on, up to the last one it needs.
    EXECUTE format('CREATE TABLE %s (%s"#row" int4 NOT NULL, "#segment" int4 NOT NULL) PARTITION BY LIST ("#segment" mastering.segment_ops)',
                   store, (SELECT string_agg(format('%I %s, ', c.value ->> 'name', c.value ->> 'type'), '' ORDER BY c.ordinality)
                             FROM jsonb_array_elements(columns) WITH ORDINALITY c));
    FOR index_columns IN SELECT value FROM jsonb_array_elements(indexes) LOOP
        EXECUTE format('CREATE INDEX ON %s (%s)', store,
                       (SELECT string_agg(quote_ident(value), ', ') FROM jsonb_array_elements_text(index_columns)));
    END LOOP;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.store_for(text, text, text, jsonb, jsonb) IS 'The store of a kind, entity and source with these columns; made if there is none.';

-- The new table belongs to nobody's version until finish_segment has attached it.
CREATE FUNCTION mastering.begin_segment(store_id int) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id int;
BEGIN
    -- One that was emptied is filled again: dropping it would need a lock that readers are in the way of.
    DELETE FROM mastering.shell x WHERE x.segment_id = (
        SELECT y.segment_id FROM mastering.shell y WHERE y.store_id = begin_segment.store_id ORDER BY y.segment_id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING x.segment_id INTO id;
    IF id IS NOT NULL THEN
        RETURN id;
    END IF;
    id := nextval('mastering.segment_id');
    IF id % 100 = 0 AND (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = format('mastering.%I', 'store_' || store_id)::regclass) > 1000 THEN
        RAISE WARNING 'the store of % of entity "%" has more than 1000 partitions', (SELECT s.kind FROM mastering.store s WHERE s.store_id = begin_segment.store_id),
            (SELECT s.entity FROM mastering.store s WHERE s.store_id = begin_segment.store_id)
            USING DETAIL = 'The first plan of a connection that reads it takes longer with each.', HINT = 'SELECT * FROM mastering.gc(false) empties those that nothing needs, to be filled again; call it regularly.';
    END IF;
    EXECUTE format('CREATE TABLE mastering.%I (LIKE mastering.%I, CHECK ("#segment" OPERATOR(mastering.===) %s))',
                   'segment_' || id, 'store_' || store_id, id);
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.begin_segment(int) IS 'Makes the empty table of a new segment and returns its number.';

CREATE FUNCTION mastering.next_row_no() RETURNS int
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_next_row_no';
COMMENT ON FUNCTION mastering.next_row_no() IS 'Numbers the rows of a statement that writes a segment: 1, 2, 3, ... Unlike row_number() it keeps no copy of them. What it numbers is fenced with OFFSET 0: the planner would count in each partition.';

-- Indexes after the rows are in, statistics, the hash of the content, then ATTACH: the CHECK lets it skip its scan.
CREATE FUNCTION mastering.finish_segment(store_id int, segment_id int, derived_from text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    segment text := format('mastering.%I', 'segment_' || segment_id);
    index_columns jsonb;
    rows bigint;
    content text;
    patience text := current_setting('lock_timeout');
    sampled int := current_setting('default_statistics_target');
    attached boolean := (SELECT c.relispartition FROM pg_class c WHERE c.oid = segment::regclass);
    largest bigint := (SELECT max(g.row_count) FROM mastering.segment g WHERE g.store_id = finish_segment.store_id);
BEGIN
    FOR index_columns IN SELECT i.value FROM mastering.store s, jsonb_array_elements(s.indexes) i
                          WHERE s.store_id = finish_segment.store_id AND NOT attached LOOP
        EXECUTE format('CREATE INDEX ON %s (%s)', segment,
                       (SELECT string_agg(quote_ident(value), ', ') FROM jsonb_array_elements_text(index_columns)));
    END LOOP;
    -- The hashes of rows are sorted, not the rows.
    EXECUTE format('SELECT count(*), mastering.rows_hash(NULL::record, mastering.stored_row_hash(s) ORDER BY s."#row") FROM %s s', segment) INTO rows, content;
    -- Nobody plans by what documents and packed keys are like, and to sort them takes long. Beside segments twenty times as large, what the
    -- rows of a small change are like decides little: a sample of a tenth does. Beside one a thousand times as large it decides nothing:
    -- how many they are the planner sees from their pages, and the rest can wait for autovacuum or for the next merge.
    IF rows >= coalesce(largest, 0) / 1000 THEN
        PERFORM set_config('default_statistics_target', '10', true) WHERE sampled > 10 AND rows < largest / 20;
        EXECUTE format('ANALYZE %s (%s)', segment, (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = segment::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid NOT IN ('json'::regtype, 'jsonb'::regtype, 'bytea'::regtype, 'xml'::regtype)));
        PERFORM set_config('default_statistics_target', sampled::text, true);
    END IF;
    IF NOT attached THEN
        -- Another transaction that attaches to the store holds it to its end.
        PERFORM set_config('lock_timeout', '5s', true) WHERE patience = '0';
        BEGIN
            EXECUTE format('ALTER TABLE mastering.%I ATTACH PARTITION %s FOR VALUES IN (%s)', 'store_' || store_id, segment, segment_id);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RAISE EXCEPTION 'entity "%" is being written by another session', (SELECT s.entity FROM mastering.store s WHERE s.store_id = finish_segment.store_id)
                USING ERRCODE = CASE SQLSTATE WHEN '40P01' THEN '40001' ELSE '55P03' END, HINT = 'Try again when that session''s transaction has ended; it may be one of another environment.';
        END;
        PERFORM set_config('lock_timeout', patience, true);
    END IF;
    INSERT INTO mastering.segment (segment_id, store_id, row_count, hash, derived_from)
    VALUES (segment_id, store_id, rows, content, derived_from);
    RETURN rows;
END
$$;
COMMENT ON FUNCTION mastering.finish_segment(int, int, text) IS 'Indexes, statistics, hash; then the segment becomes part of its store. Returns its number of rows.';

CREATE FUNCTION mastering.drop_segment(segment_id int) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    store text := (SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
                    WHERE i.inhrelid = format('mastering.%I', 'segment_' || segment_id)::regclass);
BEGIN
    IF store IS NULL THEN
        EXECUTE format('DROP TABLE mastering.%I', 'segment_' || segment_id);
    ELSE
        INSERT INTO mastering.shell (segment_id, store_id) VALUES (segment_id, substr(store, length('store_') + 1)::int);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.drop_segment(int) IS 'Gives back the table of a segment that was begun and not filled.';

-- ---- versions -------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.text_hash(content text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN encode(sha256(convert_to(content, CASE WHEN getdatabaseencoding() IN ('SQL_ASCII', 'MULE_INTERNAL') THEN getdatabaseencoding() ELSE 'UTF8' END)), 'hex');
END
$$;
COMMENT ON FUNCTION mastering.text_hash(text) IS 'SHA-256 of a text in UTF-8 (of its bytes in a database whose encoding has no way to it: SQL_ASCII, MULE_INTERNAL), as hexadecimal digits.';

CREATE FUNCTION mastering.json_hash(content jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN mastering.text_hash(content::text); END $$;
COMMENT ON FUNCTION mastering.json_hash(jsonb) IS 'Hash of a document; the text of jsonb has one order of keys and one way to write each value.';

-- Entities have as many attributes as tables have columns, a function has at most 100 arguments.
CREATE FUNCTION mastering.object_expression(members text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '(' || coalesce(string_agg(format('jsonb_build_object(%s)', p.pairs), ' || ' ORDER BY p.part), '''{}''::jsonb') || ')'
      FROM (SELECT (m.ordinality - 1) / 50 AS part, string_agg(m.pair, ', ' ORDER BY m.ordinality) AS pairs FROM unnest(object_expression.members) WITH ORDINALITY m (pair, ordinality) GROUP BY 1) p
$$;
COMMENT ON FUNCTION mastering.object_expression(text[]) IS 'SQL for an object of any number of members, each given as a name and a value.';

CREATE FUNCTION mastering.make_version(store_id int, segments int[], vectors bigint[], content text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rows bigint;
    parts jsonb;
BEGIN
    IF coalesce(cardinality(segments), 0) <> coalesce(cardinality(vectors), 0) THEN
        RAISE EXCEPTION 'a version needs one vector number for each segment' USING ERRCODE = '22023';
    END IF;
    SELECT coalesce(sum(s.row_count - coalesce(v.row_count, 0)
                        - (SELECT count(*) FROM mastering.erased_row e WHERE e.segment_id = s.segment_id AND e.left_hash IS NULL
                              AND (v.vector_id IS NULL OR NOT mastering.is_deleted(v.vector_id, e.row_no)))), 0)::bigint,
           coalesce(jsonb_agg(jsonb_build_array(s.hash, v.hash) ORDER BY u.n), '[]')
      INTO rows, parts
      FROM ROWS FROM (unnest(segments), unnest(vectors)) WITH ORDINALITY u (segment, vector, n)
      JOIN mastering.segment s ON s.segment_id = u.segment
      LEFT JOIN mastering.deletion_vector v ON v.vector_id = nullif(u.vector, 0);
    RETURN jsonb_build_object('store', store_id, 'segments', to_jsonb(segments), 'vectors', to_jsonb(vectors),
                              'rows', rows, 'hash', mastering.json_hash(parts))
           || CASE WHEN content IS NULL THEN '{}' ELSE jsonb_build_object('content', content) END;
END
$$;
COMMENT ON FUNCTION mastering.make_version(int, int[], bigint[], text) IS 'The document that describes a version; its hash covers the content of all segments and deletion vectors.';

CREATE FUNCTION mastering.stored_vector(segment_id int, bitmap bytea) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    content text := encode(sha256(bitmap), 'hex');
    hit bigint;
BEGIN
    INSERT INTO mastering.deletion_vector (segment_id, row_count, hash, bitmap)
    VALUES (segment_id, mastering.deletion_vector_count(bitmap), content, bitmap)
    ON CONFLICT DO NOTHING RETURNING vector_id INTO hit;
    IF hit IS NULL THEN
        SELECT v.vector_id INTO hit FROM mastering.deletion_vector v
         WHERE v.segment_id = stored_vector.segment_id AND v.hash = content;
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.stored_vector(int, bytea) IS 'Stores a deletion vector, or finds the same one stored before, and returns its number.';

-- gone: a FROM item o, and a condition, of rows that go.
CREATE FUNCTION mastering.deletions_query(gone text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT coalesce(jsonb_object_agg(d.segment, encode(d.lost, ''base64'')), ''{}'') FROM (SELECT o."#segment" AS segment, mastering.deletion_vector_agg(o."#row") AS lost FROM %s GROUP BY 1) d', gone)
$$;
COMMENT ON FUNCTION mastering.deletions_query(text) IS 'A query for the rows that go, as changed_version takes them: a deletion vector for each segment.';

-- A version whose segments lost rows and which gained a segment. Segments that have lost all their rows leave it.
CREATE FUNCTION mastering.changed_version(version jsonb, deletions jsonb, added int, content text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    segments int[] := '{}';
    vectors bigint[] := '{}';
    part record;
    bitmap bytea;
BEGIN
    FOR part IN SELECT s.value::int AS segment, v.value::bigint AS vector, g.row_count, d.bitmap AS old,
                       decode(deletions ->> (s.value), 'base64') AS lost
                  FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s
                  JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality)
                  JOIN mastering.segment g ON g.segment_id = s.value::int
                  LEFT JOIN mastering.deletion_vector d ON d.vector_id = nullif(v.value::bigint, 0)
                 ORDER BY ordinality LOOP
        IF part.lost IS NOT NULL THEN
            bitmap := CASE WHEN part.old IS NULL THEN part.lost ELSE mastering.deletion_vector_union(part.old, part.lost) END;
            CONTINUE WHEN mastering.deletion_vector_count(bitmap) >= part.row_count;
            part.vector := mastering.stored_vector(part.segment, bitmap);
        END IF;
        segments := segments || part.segment;
        vectors := vectors || part.vector;
    END LOOP;
    IF added IS NOT NULL THEN
        segments := segments || added;
        vectors := vectors || 0::bigint;
    END IF;
    RETURN mastering.make_version((version ->> 'store')::int, segments, vectors, content);
END
$$;
COMMENT ON FUNCTION mastering.changed_version(jsonb, jsonb, int, text) IS 'A version less the rows of deletions (segment -> deletion vector in base64), with one segment more.';

-- A SELECT's FROM item and condition for a version that no head shows.
CREATE FUNCTION mastering.version_condition(version jsonb, alias text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    condition text;
    deleted text;
BEGIN
    SELECT string_agg(format('%I."#segment" OPERATOR(mastering.===) %s', alias, value), ' OR ') INTO condition
      FROM jsonb_array_elements_text(version -> 'segments');
    IF condition IS NULL THEN
        RETURN 'false';
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements_text(version -> 'vectors') WHERE value <> '0') THEN
        SELECT format(' AND NOT mastering.is_deleted(%L::int4[], %L::bigint[], %I."#segment", %I."#row")',
                      array_agg(s.value::int), array_agg(v.value::bigint), alias, alias) INTO deleted
          FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s
          JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality)
         WHERE v.value <> '0';
    END IF;
    RETURN '(' || condition || ')' || coalesce(deleted, '');
END
$$;
COMMENT ON FUNCTION mastering.version_condition(jsonb, text) IS 'The condition, as SQL, that keeps a store''s rows of one version.';

CREATE FUNCTION mastering.create_head(environment text, anchor text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE mastering.%I ()', anchor);
    EXECUTE format('COMMENT ON TABLE mastering.%I IS %L', anchor,
                   'Empty. Plans that read an environment depend on it, so that its invalidation announces a new head.');
    INSERT INTO mastering.head (environment, anchor) VALUES (environment, anchor);
END
$$;
COMMENT ON FUNCTION mastering.create_head(text, text) IS 'The head row of a new environment and its anchor.';

CREATE FUNCTION mastering.set_head(environment text, versions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    anchor text;
BEGIN
    UPDATE mastering.head h SET versions = set_head.versions, generation = nextval('mastering.head_generation')
     WHERE h.environment = set_head.environment RETURNING h.anchor INTO anchor;
    IF anchor IS NULL THEN
        RAISE EXCEPTION 'environment "%" does not exist', environment USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.announce_head(anchor);
END
$$;
COMMENT ON FUNCTION mastering.set_head(text, jsonb) IS 'Switches what the views of an environment show.';
