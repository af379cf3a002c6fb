-- 67_erase.sql: a person's data removed from all that was ever stored, by law. Segments are never changed otherwise; here
-- rows of them are deleted, and golden values that came from the person are set to NULL. What a row contributed to the
-- hash of its segment is kept (erased_row), so that versions, snapshots and releases still verify. The key is kept as
-- a hash with a secret, so that the next load knows it and nobody else does.
--
-- Tables of other topics that hold keys or values of records are cleaned in erase_elsewhere and erase_curation.

CREATE SEQUENCE mastering.erasure_id;
CREATE TABLE mastering.erasure (
    erasure_id bigint PRIMARY KEY DEFAULT nextval('mastering.erasure_id'),
    entity     text NOT NULL,
    source     text NOT NULL,
    key_hash   text NOT NULL,
    reason     text NOT NULL,
    role       text NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    lifted_at  timestamptz,
    lifted_by  text
);
CREATE INDEX ON mastering.erasure (entity, source, key_hash) WHERE lifted_at IS NULL;
COMMENT ON TABLE mastering.erasure IS 'Records that were erased and are left out of every load; key_hash: of the key with a secret.';

CREATE TABLE mastering.erasure_secret (
    secret uuid NOT NULL
);
COMMENT ON TABLE mastering.erasure_secret IS 'One row from the first erasure on; without it nobody can try keys against the hashes.';

CREATE TABLE mastering.erased_row (
    segment_id int NOT NULL,
    row_no     int NOT NULL,
    erasure_id bigint NOT NULL,
    hash       bytea NOT NULL,
    left_hash  bytea,
    PRIMARY KEY (segment_id, row_no)
);
CREATE INDEX ON mastering.erased_row (erasure_id);
COMMENT ON TABLE mastering.erased_row IS 'The marker of an erased row: what it contributes to the hash of its segment.';
COMMENT ON COLUMN mastering.erased_row.left_hash IS 'Hash of what is left of the row; NULL where nothing is.';

SELECT pg_catalog.pg_extension_config_dump('mastering.erasure', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.erasure_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.erasure_secret', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.erased_row', '');

-- ---- what loads and runs ask ---------------------------------------------------------------------------------------

CREATE FUNCTION mastering.erasure_hash(entity text, source text, key text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.text_hash(s.secret || jsonb_build_array(entity, source, key)::text) FROM mastering.erasure_secret s
$$;
COMMENT ON FUNCTION mastering.erasure_hash(text, text, text) IS 'What an erased key is known by.';

CREATE FUNCTION mastering.leave_out_erased(entity_name text, source_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_out bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM mastering.erasure e WHERE e.entity = entity_name AND e.source = source_name AND e.lifted_at IS NULL) THEN
        RETURN;
    END IF;
    EXECUTE 'DELETE FROM pg_temp.mastering_incoming i WHERE mastering.erasure_hash($1, $2, i."#key") IN
                (SELECT e.key_hash FROM mastering.erasure e WHERE e.entity = $1 AND e.source = $2 AND e.lifted_at IS NULL)' USING entity_name, source_name;
    GET DIAGNOSTICS left_out = ROW_COUNT;
    IF left_out > 0 THEN
        RAISE NOTICE 'source "%" of entity "%" still has % erased record(s): left out', source_name, entity_name, left_out
            USING HINT = 'Delete them in the source; or lift_erasure(entity, source, key) where a record may come back.';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.leave_out_erased(text, text) IS 'Takes erased records out of the rows that a load has read.';

-- Part of the keys of runs: what was made with a record is not found again when it is gone.
CREATE FUNCTION mastering.erasure_stamp(entity_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN max(e.erasure_id) IS NULL THEN '{}' ELSE jsonb_build_object('erasure', max(e.erasure_id)) END FROM mastering.erasure e WHERE e.entity = entity_name
$$;
COMMENT ON FUNCTION mastering.erasure_stamp(text) IS 'The last erasure in an entity, to be part of the keys of its runs.';

-- ---- hashes that still verify --------------------------------------------------------------------------------------

CREATE FUNCTION mastering.segment_hash(segment_id int) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    content text;
BEGIN
    -- The kept hash stands for a row that is gone, or that is what erasing left of it, and for no other.
    EXECUTE format('SELECT mastering.rows_hash(s, CASE WHEN e.left_hash IS NULL AND s."#row" IS NULL OR e.left_hash = mastering.stored_row_hash(s) THEN e.hash END ORDER BY coalesce(s."#row", e.row_no))
                      FROM mastering.%I s FULL JOIN (SELECT r.* FROM mastering.erased_row r WHERE r.segment_id = %s) e ON e.row_no = s."#row"', 'segment_' || segment_id, segment_id) INTO content;
    RETURN content;
END
$$;
COMMENT ON FUNCTION mastering.segment_hash(int) IS 'The hash of what a segment holds, erased rows counted by the hashes that they had; equal to mastering.segment.hash unless somebody changed the segment.';

-- ---- erasing -------------------------------------------------------------------------------------------------------

-- One store: rows of a condition are deleted (assignments NULL), or changed and then deleted where the second condition holds.
CREATE FUNCTION mastering.erase_in_store(store_id int, id bigint, condition text, assignments text DEFAULT NULL, then_delete text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    store text := format('mastering.%I', 'store_' || store_id);
    touched bigint;
BEGIN
    -- A row that was changed before keeps the hash that it had at first.
    EXECUTE format('INSERT INTO mastering.erased_row (segment_id, row_no, erasure_id, hash)
                    SELECT s."#segment", s."#row", %s, mastering.stored_row_hash(s) FROM %s s WHERE %s
                    ON CONFLICT (segment_id, row_no) DO UPDATE SET erasure_id = EXCLUDED.erasure_id, left_hash = NULL', id, store, condition);
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched = 0 THEN
        RETURN 0;
    END IF;
    IF assignments IS NULL THEN
        EXECUTE format('DELETE FROM %s s WHERE %s', store, condition);
    ELSE
        EXECUTE format('UPDATE %s s SET %s WHERE %s', store, assignments, condition);
        EXECUTE format('DELETE FROM %s s USING mastering.erased_row e WHERE e.erasure_id = %s AND e.segment_id = s."#segment" AND e.row_no = s."#row" AND (%s)', store, id, then_delete);
        EXECUTE format('UPDATE mastering.erased_row e SET left_hash = mastering.stored_row_hash(s) FROM %s s WHERE e.erasure_id = %s AND e.segment_id = s."#segment" AND e.row_no = s."#row"', store, id);
    END IF;
    RETURN touched;
END
$$;
COMMENT ON FUNCTION mastering.erase_in_store(int, bigint, text, text, text) IS 'Deletes or changes rows of a store and keeps what they contribute to the hashes of their segments.';

CREATE FUNCTION mastering.lineage_without(lineage jsonb, record text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(e.key, CASE
        WHEN jsonb_typeof(e.value) = 'object' AND e.value ->> 'record' = record THEN e.value || '{"record": null, "erased": true}'
        WHEN jsonb_typeof(e.value) = 'array' THEN
            (SELECT jsonb_agg(CASE WHEN jsonb_typeof(x.value) = 'object' AND x.value ->> 'record' = record THEN x.value || '{"record": null, "erased": true}' ELSE x.value END ORDER BY x.ordinality)
               FROM jsonb_array_elements(e.value) WITH ORDINALITY x)
        ELSE e.value END), '{}')
      FROM jsonb_each(lineage) e
$$;
COMMENT ON FUNCTION mastering.lineage_without(jsonb, text) IS 'A cluster''s lineage with a record taken out of it.';

CREATE FUNCTION mastering.redacted(document jsonb, hidden text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM jsonb_path_query(document, 'strict $.**') l WHERE jsonb_typeof(l) NOT IN ('object', 'array') AND l #>> '{}' = ANY (hidden))
                THEN '{"erased": true}' ELSE document END
$$;
COMMENT ON FUNCTION mastering.redacted(jsonb, text[]) IS 'The document, or a marker where one of the values to hide is in it.';

-- Rows that checks have shown, and errors that may repeat a value. Common values hide more than they would have to.
CREATE FUNCTION mastering.erase_elsewhere(entity_name text, hidden text[]) RETURNS TABLE (place text, touched bigint, note text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    place := 'check results';
    UPDATE mastering.check_result c
       SET sample = (SELECT jsonb_agg(mastering.redacted(r.value, hidden) ORDER BY r.ordinality) FROM jsonb_array_elements(c.sample) WITH ORDINALITY r),
           error = CASE WHEN EXISTS (SELECT FROM unnest(hidden) h WHERE length(h) >= 5 AND strpos(c.error, h) > 0) THEN 'erased' ELSE c.error END
     WHERE c.entity = entity_name
       AND (jsonb_typeof(c.sample) = 'array' AND EXISTS (SELECT FROM jsonb_array_elements(c.sample) r WHERE mastering.redacted(r.value, hidden) <> r.value)
            OR EXISTS (SELECT FROM unnest(hidden) h WHERE length(h) >= 5 AND strpos(c.error, h) > 0));
    GET DIAGNOSTICS touched = ROW_COUNT;
    RETURN NEXT;
    place := 'errors of releases';
    UPDATE mastering.release r SET error = jsonb_build_object('sqlstate', r.error -> 'sqlstate', 'message', 'erased')
     WHERE EXISTS (SELECT FROM unnest(hidden) h WHERE length(h) >= 5 AND strpos(r.error::text, h) > 0);
    GET DIAGNOSTICS touched = ROW_COUNT;
    UPDATE mastering.release_token t SET result = jsonb_set(t.result, '{error}', jsonb_build_object('sqlstate', t.result #> '{error,sqlstate}', 'message', 'erased'))
     WHERE EXISTS (SELECT FROM unnest(hidden) h WHERE length(h) >= 5 AND strpos(t.result ->> 'error', h) > 0);
    UPDATE mastering.remote_release r SET error = jsonb_build_object('sqlstate', r.error -> 'sqlstate', 'message', 'erased'), result = r.result - 'error'
     WHERE EXISTS (SELECT FROM unnest(hidden) h WHERE length(h) >= 5 AND strpos(concat(r.error, r.result -> 'error'), h) > 0);
    UPDATE mastering.keep_up_stop s SET message = 'erased', detail = NULL
     WHERE EXISTS (SELECT FROM unnest(hidden) h WHERE length(h) >= 5 AND (strpos(s.message, h) > 0 OR strpos(s.detail, h) > 0));
    RETURN NEXT;
    -- An artifact is its hash; what was learnt goes with the next training and garbage collection.
    place := 'models';
    SELECT count(*) INTO touched FROM mastering.artifact a
     WHERE a.content ? 'model' AND EXISTS (SELECT FROM jsonb_path_query(a.content, 'strict $.model.comparisons[*].**') l WHERE jsonb_typeof(l) = 'string' AND length(l #>> '{}') >= 5 AND l #>> '{}' = ANY (hidden));
    note := CASE WHEN touched > 0 THEN 'not changed: they list frequent values, and one of the record is among them; train anew, then gc' END;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.erase_elsewhere(text, text[]) IS 'Removes a record''s values from what is not stored in segments; says where it cannot.';

-- Statistics hold values, too. ANALYZE leaves them as they were where no row is left. Its lock comes first: autovacuum holds it while it writes
-- statistics, and would wait for the rows that are deleted here.
CREATE FUNCTION mastering.renew_statistics(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', relation);
    DELETE FROM pg_statistic s WHERE s.starelid = relation;
    EXECUTE format('ANALYZE %s', relation);
END
$$;
COMMENT ON FUNCTION mastering.renew_statistics(regclass) IS 'Makes the statistics of a relation anew from the rows that it has now.';

-- What stewards decided about the record; a decision about others, too, goes on for them.
CREATE FUNCTION mastering.erase_curation(entity_name text, source_name text, key_text text, hidden text[]) RETURNS TABLE (place text, touched bigint, note text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    place := 'curation';
    UPDATE mastering.curation c
       SET records = (SELECT coalesce(jsonb_agg(r.value ORDER BY r.ordinality), '[]') FROM jsonb_array_elements(c.records) WITH ORDINALITY r
                       WHERE (r.value ->> 0 = source_name AND r.value ->> 1 = key_text OR r.value ->> 2 = source_name AND r.value ->> 3 = key_text) IS NOT TRUE)
     WHERE c.entity = entity_name AND EXISTS (SELECT FROM jsonb_array_elements(c.records) r
                       WHERE r.value ->> 0 = source_name AND r.value ->> 1 = key_text OR r.value ->> 2 = source_name AND r.value ->> 3 = key_text);
    GET DIAGNOSTICS touched = ROW_COUNT;
    DELETE FROM mastering.curation c WHERE c.entity = entity_name AND touched > 0 AND (c.records = '[]' OR c.value = ANY (hidden));
    RETURN NEXT;
    place := 'labels';
    DELETE FROM mastering.label l WHERE l.entity = entity_name AND (l.source_a = source_name AND l.key_a = key_text OR l.source_b = source_name AND l.key_b = key_text);
    GET DIAGNOSTICS touched = ROW_COUNT;
    DELETE FROM mastering.lock_conflict c WHERE c.entity = entity_name AND c.source = source_name AND c.key = key_text;
    DELETE FROM mastering.label_queue q WHERE q.entity = entity_name AND source_name || ':' || key_text IN (q.record_a, q.record_b);
    SELECT format('%s artifact(s) with labels still list its key: train or master anew; gc removes them with the snapshots that need them', count(*)) INTO note
      FROM mastering.artifact a
     WHERE a.hash IN (SELECT t.value FROM mastering.configuration c CROSS JOIN LATERAL jsonb_each_text(c.tree) t WHERE t.key = mastering.path('entity', entity_name, 'labels')
                      UNION SELECT t.value FROM mastering.snapshot c CROSS JOIN LATERAL jsonb_each_text(c.tree) t WHERE t.key = mastering.path('entity', entity_name, 'labels'))
       AND EXISTS (SELECT FROM jsonb_path_query(a.content, 'strict $.**') l WHERE jsonb_typeof(l) = 'string' AND l #>> '{}' IN (key_text, source_name || ':' || key_text))
    HAVING count(*) > 0;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.erase_curation(text, text, text, text[]) IS 'Takes a record out of what stewards and reviewers decided, and what they set to one of its values; says where it cannot.';

-- It reads whole stores, emptied segments too, and names none: without constraint_exclusion the CHECKs of the segments
-- are not taken for conditions of ours that do (src/storage/space.c).
CREATE FUNCTION mastering.do_erase(entity_name text, source_name text, key_text text, reason_text text)
RETURNS TABLE (place text, touched bigint, note text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off SET constraint_exclusion = off SET client_min_messages = warning AS $$
<<work>>
DECLARE
    id bigint;
    item record;
    env_name text;
    environments text[];
    record_id text := source_name || ':' || key_text;
    hidden text[] := ARRAY[key_text];
    more text[];
    clusters bigint[];
    left_alone bigint[];
    ended jsonb;      -- environment -> the cluster that ends with the record
    histories jsonb := '{}';
    deletions jsonb;
    changed jsonb;
    condition text;
    total bigint := 0;
BEGIN
    IF entity_name IS NULL OR source_name IS NULL OR key_text IS NULL OR coalesce(btrim(reason_text), '') = '' THEN
        RAISE EXCEPTION 'erasing needs an entity, a source, a key and a reason' USING ERRCODE = '22023';
    END IF;
    PERFORM mastering.lock_space();
    SELECT array_agg(e.name ORDER BY e.name) INTO environments FROM mastering.environment e JOIN mastering.configuration c ON c.environment = e.name
     WHERE c.tree ? mastering.path('entity', entity_name) OR c.data ? mastering.path(entity_name, source_name)
        OR EXISTS (SELECT FROM mastering.snapshot s WHERE s.environment = e.name AND s.data ? mastering.path(entity_name, source_name));
    IF environments IS NULL AND NOT (EXISTS (SELECT FROM mastering.store s WHERE s.entity = entity_name)
                                     AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper)) THEN
        RAISE EXCEPTION 'entity "%" does not exist in any environment', entity_name USING ERRCODE = '42704';
    END IF;
    FOREACH env_name IN ARRAY coalesce(environments, '{}') LOOP
        -- A record goes from all of them or from none; but nobody keeps it by making a fork, or another entity of the name.
        PERFORM mastering.require(env_name, 'admin')
          WHERE NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = env_name)
            AND (EXISTS (SELECT FROM mastering.configuration c WHERE c.environment = env_name AND c.data ? mastering.path(entity_name, source_name))
                 OR EXISTS (SELECT FROM mastering.snapshot s WHERE s.environment = env_name AND s.data ? mastering.path(entity_name, source_name)));
    END LOOP;
    INSERT INTO mastering.erasure_secret SELECT gen_random_uuid() WHERE NOT EXISTS (SELECT FROM mastering.erasure_secret);
    UPDATE mastering.erasure e SET lifted_at = clock_timestamp(), lifted_by = mastering.caller()    -- one marker in force at a time
     WHERE e.entity = entity_name AND e.source = source_name AND e.key_hash = mastering.erasure_hash(entity_name, source_name, key_text) AND e.lifted_at IS NULL;
    INSERT INTO mastering.erasure (entity, source, key_hash, reason, role)
    VALUES (entity_name, source_name, mastering.erasure_hash(entity_name, source_name, key_text), reason_text, mastering.caller()) RETURNING erasure_id INTO id;

    -- The record as it came and as it was mapped, in all its versions; its values are looked for elsewhere.
    SELECT coalesce(array_agg(DISTINCT m), '{}') INTO clusters FROM mastering.store t CROSS JOIN LATERAL mastering.clusters_of_record(t.store_id, source_name, key_text) m
     WHERE t.kind = 'members' AND t.entity = entity_name;
    SELECT coalesce(jsonb_object_agg(h.environment, m.cluster), '{}') INTO ended FROM mastering.head h
     CROSS JOIN LATERAL (SELECT mastering.cluster_of_one(h.versions -> (entity_name || '_members'), source_name, key_text)) m (cluster) WHERE m.cluster IS NOT NULL;
    FOR item IN SELECT t.store_id, t.kind FROM mastering.store t
                 WHERE t.entity = entity_name AND (t.kind = 'source' AND t.source = source_name OR t.kind IN ('records', 'members', 'keys')) ORDER BY t.kind DESC, t.store_id LOOP
        IF item.kind = 'keys' THEN    -- by now it is known where the records were
            CONTINUE;
        END IF;
        condition := CASE item.kind WHEN 'source' THEN format('s."#key" = %L', key_text) ELSE format('s."#source" = %L AND s."#key" = %L', source_name, key_text) END;
        EXECUTE format('SELECT array_agg(DISTINCT l #>> ''{}'') FROM mastering.%I s CROSS JOIN LATERAL jsonb_path_query(to_jsonb(s) - ''{#segment,#row,#hash,#source,#cluster}''::text[], ''strict $.**'') l
                         WHERE %s AND jsonb_typeof(l) IN (''string'', ''number'') AND length(l #>> ''{}'') >= 3', 'store_' || item.store_id, condition) INTO more;
        hidden := hidden || coalesce(more, '{}');
        place := item.kind;
        touched := mastering.erase_in_store(item.store_id, id, condition);
        total := total + touched;
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT l.relation, l.touched FROM mastering.erase_landed(entity_name, source_name, key_text) l LOOP
        place := item.relation;
        touched := item.touched;
        RETURN NEXT;
    END LOOP;
    -- Its keys, by the rows that it was.
    SELECT coalesce(jsonb_object_agg(r.segment_id, r.rows), '{}') INTO deletions
      FROM (SELECT e.segment_id, array_agg(e.row_no) AS rows FROM mastering.erased_row e JOIN mastering.segment g ON g.segment_id = e.segment_id JOIN mastering.store t ON t.store_id = g.store_id
             WHERE e.erasure_id = id AND t.kind = 'records' GROUP BY 1) r;
    FOR item IN SELECT t.store_id, t.kind FROM mastering.store t WHERE t.entity = entity_name AND t.kind = 'keys' ORDER BY t.store_id LOOP
        place := item.kind;
        touched := mastering.erase_in_store(item.store_id, id, format('mastering.key_chunk_without(s.entries, ARRAY(SELECT jsonb_array_elements_text(%L::jsonb -> s.of::text)::int)) <> s.entries', deletions),
            format('entries = mastering.key_chunk_without(s.entries, ARRAY(SELECT jsonb_array_elements_text(%L::jsonb -> s.of::text)::int))', deletions), 'octet_length(s.entries) = 0');
        total := total + touched;
        RETURN NEXT;
    END LOOP;
    -- Which attributes of which clusters have their value from the record.
    CREATE TEMP TABLE mastering_erased ON COMMIT DROP AS SELECT NULL::bigint AS cluster, NULL::text AS attribute WHERE false;
    FOR item IN SELECT t.store_id FROM mastering.store t WHERE t.kind = 'lineage' AND t.entity = entity_name LOOP
        EXECUTE format('INSERT INTO pg_temp.mastering_erased SELECT DISTINCT s."#cluster", e.key FROM mastering.%I s CROSS JOIN LATERAL jsonb_each(s.lineage) e
                         WHERE s."#cluster" = ANY ($1) AND mastering.lineage_without(jsonb_build_object(e.key, e.value), $2) -> e.key <> e.value', 'store_' || item.store_id) USING clusters, record_id;
    END LOOP;
    -- Of a cluster that no record is left of, in no version, all goes, what stewards set too.
    SELECT coalesce(array_agg(c), '{}') INTO left_alone FROM unnest(clusters) c
     WHERE NOT EXISTS (SELECT FROM mastering.store t CROSS JOIN LATERAL mastering.has_members(t.store_id, c) h (found) WHERE t.kind = 'members' AND t.entity = entity_name AND h.found);
    FOR item IN SELECT t.store_id, t.kind, t.columns FROM mastering.store t WHERE t.kind IN ('golden', 'lineage') AND t.entity = entity_name ORDER BY t.kind, t.store_id LOOP
        place := item.kind;
        IF item.kind = 'lineage' THEN
            touched := mastering.erase_in_store(item.store_id, id,
                format('(s."#cluster" = ANY (%L::bigint[]) AND mastering.lineage_without(s.lineage, %L) <> s.lineage OR s."#cluster" = ANY (%L::bigint[]))', clusters, record_id, left_alone),
                format('lineage = mastering.lineage_without(s.lineage, %L)', record_id),
                format('s."#cluster" = ANY (%L::bigint[]) OR NOT EXISTS (SELECT FROM jsonb_each(s.lineage) x WHERE jsonb_path_exists(x.value, ''$.record ? (@ <> null)''))', left_alone));
        ELSE
            touched := mastering.erase_in_store(item.store_id, id, format('(s."#cluster" IN (SELECT x.cluster FROM pg_temp.mastering_erased x) OR s."#cluster" = ANY (%L::bigint[]))', left_alone),
                (SELECT string_agg(format('%1$I = CASE WHEN EXISTS (SELECT FROM pg_temp.mastering_erased x WHERE x.cluster = s."#cluster" AND x.attribute = %1$L) THEN NULL ELSE s.%1$I END', a.value ->> 'name'), ', ')
                   FROM jsonb_array_elements(item.columns) a WHERE a.value ->> 'name' NOT LIKE '#%'),
                format('s."#cluster" = ANY (%L::bigint[]) OR s."#records" = 1', left_alone) || (SELECT string_agg(format(' AND s.%I IS NULL', a.value ->> 'name'), '') FROM jsonb_array_elements(item.columns) a WHERE a.value ->> 'name' NOT LIKE '#%'));
        END IF;
        total := total + touched;
        RETURN NEXT;
    END LOOP;
    DROP TABLE pg_temp.mastering_erased;
    RETURN QUERY SELECT * FROM mastering.erase_elsewhere(entity_name, hidden) e;
    RETURN QUERY SELECT * FROM mastering.erase_curation(entity_name, source_name, key_text, hidden) e;

    PERFORM mastering.renew_statistics(format('mastering.%I', x.name)::regclass)
       FROM (SELECT DISTINCT 'segment_' || r.segment_id FROM mastering.erased_row r WHERE r.erasure_id = id
             UNION SELECT 'store_' || t.store_id FROM mastering.store t WHERE t.entity = entity_name) x (name)
      WHERE EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = format('mastering.%I', x.name)::regclass);    -- of a store only where somebody wanted them
    -- What is found by content would be found without the record.
    DELETE FROM mastering.output o WHERE o.entity = entity_name AND total > 0;
    DELETE FROM mastering.data_version d WHERE EXISTS (SELECT FROM mastering.erased_row r WHERE r.erasure_id = id AND d.version -> 'segments' @> to_jsonb(r.segment_id));
    -- What environments show counts its rows right.
    SELECT coalesce(jsonb_object_agg(r.segment_id, r.rows), '{}') INTO deletions
      FROM (SELECT e.segment_id, encode(mastering.deletion_vector_agg(e.row_no), 'base64') AS rows FROM mastering.erased_row e WHERE e.erasure_id = id AND e.left_hash IS NULL GROUP BY 1) r;
    FOR item IN SELECT c.environment, c.data FROM mastering.configuration c LOOP
        changed := mastering.versions_without(item.data, deletions);
        UPDATE mastering.configuration c SET data = changed WHERE c.environment = item.environment AND c.data <> changed;
    END LOOP;
    FOR item IN SELECT h.environment, h.versions FROM mastering.head h LOOP
        changed := mastering.versions_without(item.versions, deletions);
        -- The next run does not know that there was a cluster.
        IF ended ? item.environment AND changed ? (entity_name || '_history') THEN
            condition := mastering.version_identity(changed -> (entity_name || '_history'));
            IF NOT histories ? condition THEN    -- environments that show the same go on showing the same
                histories := histories || jsonb_build_object(condition, mastering.next_version((changed -> (entity_name || '_history') ->> 'store')::int, changed -> (entity_name || '_history'),
                    format('SELECT %s::bigint, ''died''::text, NULL::bigint, 1::bigint, now()', ended ->> item.environment), NULL, NULL, NULL, true));
            END IF;
            changed := changed || jsonb_build_object(entity_name || '_history', histories -> condition);
        END IF;
        IF changed <> item.versions THEN
            PERFORM mastering.set_head(item.environment, changed);
        END IF;
    END LOOP;
    -- A candidate is outdated by it, and has to be made again.
    UPDATE mastering.candidate c SET data = mastering.versions_without(c.data, deletions), versions = mastering.versions_without(c.versions, deletions), base = 'erased', failure = 'erased'
     WHERE entity_name = ANY (c.entities) AND total > 0;
    FOREACH env_name IN ARRAY coalesce(environments, '{}') LOOP
        PERFORM mastering.audit(env_name, 'erase', jsonb_build_object('erasure', id, 'entity', entity_name, 'source', source_name, 'key_hash', mastering.erasure_hash(entity_name, source_name, key_text), 'reason', reason_text,
            'rows', total, 'markers', (SELECT mastering.text_hash(coalesce(string_agg(format('%s:%s:%s:%s', r.segment_id, r.row_no, encode(r.hash, 'hex'), encode(r.left_hash, 'hex')), ',' ORDER BY r.segment_id, r.row_no), ''))
                                         FROM mastering.erased_row r WHERE r.erasure_id = id)));
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_erase(text, text, text, text) IS 'Behind erase.';

CREATE FUNCTION mastering.clusters_of_record(store_id int, source_name text, key_text text) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT DISTINCT s."#cluster" FROM mastering.%I s WHERE s."#source" = $1 AND s."#key" = $2', 'store_' || store_id) USING source_name, key_text;
END
$$;
COMMENT ON FUNCTION mastering.clusters_of_record(int, text, text) IS 'The clusters that a record has ever been a member of, as far as that is stored.';

CREATE FUNCTION mastering.has_members(store_id int, cluster bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM mastering.%I s WHERE s."#cluster" = $1)', 'store_' || store_id) INTO result USING cluster;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.has_members(int, bigint) IS 'Whether a cluster has a record in any version that a store of members holds.';

CREATE FUNCTION mastering.cluster_of_one(members jsonb, source_name text, key_text text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result bigint;
BEGIN
    IF members IS NOT NULL THEN
        EXECUTE format('SELECT s."#cluster" FROM %1$s s WHERE %2$s AND s."#source" = $1 AND s."#key" = $2 AND (SELECT count(*) = 1 FROM %1$s o WHERE %3$s AND o."#cluster" = s."#cluster")',
                       'mastering.store_' || (members ->> 'store'), mastering.version_condition(members, 's'), mastering.version_condition(members, 'o')) INTO result USING source_name, key_text;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.cluster_of_one(jsonb, text, text) IS 'The cluster that has a record alone, in a version of members.';

CREATE FUNCTION mastering.versions_without(versions jsonb, deletions jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(v.key, CASE
        WHEN EXISTS (SELECT FROM jsonb_array_elements_text(v.value -> 'segments') s WHERE deletions ? s.value)
        THEN v.value - 'origin' || mastering.changed_version(v.value, deletions, NULL, v.value ->> 'content') ELSE v.value END), '{}')
      FROM jsonb_each(versions) v
$$;
COMMENT ON FUNCTION mastering.versions_without(jsonb, jsonb) IS 'Versions less the rows of deletions (segment -> deletion vector in base64).';

-- A state from before an erasure has the history of that time, and no members of the cluster any more. That it ended is told by the
-- history of the state that is left; only where rows of members were erased is there something to look for.
CREATE FUNCTION mastering.versions_with_ends(versions jsonb, latest jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    store text;
    members jsonb;
    ended jsonb;
BEGIN
    FOR item IN SELECT v.key, v.value AS history, l.value AS latest FROM jsonb_each(versions) v JOIN jsonb_each(latest) l ON l.key = v.key AND l.value -> 'store' = v.value -> 'store'
                 WHERE v.key LIKE '%\_history' AND l.value <> v.value LOOP
        members := versions -> (left(item.key, -length('_history')) || '_members');
        CONTINUE WHEN NOT EXISTS (SELECT FROM mastering.erased_row r WHERE r.segment_id IN (SELECT g::int FROM jsonb_array_elements_text(members -> 'segments') g));
        store := 'mastering.store_' || (item.history ->> 'store');
        EXECUTE format($q$WITH gone AS (SELECT DISTINCT ON (s."#cluster") s."#cluster" AS cluster, s.records, CASE s.event WHEN 'died' THEN s.at ELSE now() END AS at
                                          FROM %1$s s WHERE s.event IN ('died', 'merged') AND %2$s ORDER BY s."#cluster", s.at DESC),
                               known AS (SELECT DISTINCT ON (s."#cluster") s."#cluster" AS cluster, s.event FROM %1$s s
                                          WHERE s."#cluster" IN (SELECT g.cluster FROM gone g) AND %3$s ORDER BY s."#cluster", s.at DESC)
                          SELECT jsonb_agg(jsonb_build_array(g.cluster, g.records, g.at) ORDER BY g.cluster) FROM gone g JOIN known k USING (cluster)
                           WHERE k.event NOT IN ('died', 'merged') AND NOT EXISTS (SELECT FROM mastering.%4$I s WHERE s."#cluster" = g.cluster AND %5$s)$q$,
            store, mastering.version_condition(jsonb_build_object('segments', (SELECT jsonb_agg(g) FROM jsonb_array_elements(item.latest -> 'segments') g WHERE NOT item.history -> 'segments' @> g)), 's'),
            mastering.version_condition(item.history, 's'), 'store_' || (members ->> 'store'), mastering.version_condition(members, 's')) INTO ended;
        IF ended IS NOT NULL THEN
            versions := versions || jsonb_build_object(item.key, mastering.next_version((item.history ->> 'store')::int, item.history,
                format('SELECT (e ->> 0)::bigint, ''died''::text, NULL::bigint, (e ->> 1)::bigint, (e ->> 2)::timestamptz FROM jsonb_array_elements(%L::jsonb) e', ended), NULL, NULL, NULL, true));
        END IF;
    END LOOP;
    RETURN versions;
END
$$;
COMMENT ON FUNCTION mastering.versions_with_ends(jsonb, jsonb) IS 'Versions of a state from before with the ends, from the latest state''s histories, of clusters that no record is left of by erasures.';

CREATE FUNCTION mastering.erase(entity text, source text, key text, reason text) RETURNS TABLE (place text, touched bigint, note text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.erase(text, text, text, text) IS 'Removes a record from every version of every environment: loaded rows, mapped records, members, golden values and lineage that came from it, rows that checks have shown. Hashes still verify. Loads leave the record out from now on. For admins of all environments that have the entity; master each of them afterwards.';

CREATE FUNCTION mastering.do_lift_erasure(entity_name text, source_name text, key_text text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env_name text;
    id bigint;
BEGIN
    FOR env_name IN SELECT c.environment FROM mastering.configuration c WHERE c.tree ? mastering.path('entity', entity_name) ORDER BY 1 LOOP
        PERFORM mastering.require(env_name, 'admin');
    END LOOP;
    IF env_name IS NULL THEN
        RAISE EXCEPTION 'entity "%" does not exist in any environment', entity_name USING ERRCODE = '42704';
    END IF;
    UPDATE mastering.erasure e SET lifted_at = clock_timestamp(), lifted_by = mastering.caller()
     WHERE e.entity = entity_name AND e.source = source_name AND e.key_hash = mastering.erasure_hash(entity_name, source_name, key_text) AND e.lifted_at IS NULL
    RETURNING e.erasure_id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'no such record of source "%" of entity "%" was erased', source_name, entity_name USING ERRCODE = '42704';
    END IF;
    FOR env_name IN SELECT c.environment FROM mastering.configuration c WHERE c.tree ? mastering.path('entity', entity_name) ORDER BY 1 LOOP
        PERFORM mastering.audit(env_name, 'lift erasure', jsonb_build_object('erasure', id));
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_lift_erasure(text, text, text) IS 'Behind lift_erasure.';

CREATE FUNCTION mastering.lift_erasure(entity text, source text, key text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.lift_erasure(text, text, text) IS 'Lets loads take an erased record again. What was erased does not come back by it.';

REVOKE ALL ON FUNCTION mastering.erasure_hash(text, text, text), mastering.leave_out_erased(text, text), mastering.erasure_stamp(text), mastering.segment_hash(int),
    mastering.erase_in_store(int, bigint, text, text, text), mastering.lineage_without(jsonb, text), mastering.redacted(jsonb, text[]), mastering.erase_elsewhere(text, text[]),
    mastering.clusters_of_record(int, text, text), mastering.has_members(int, bigint), mastering.cluster_of_one(jsonb, text, text), mastering.versions_without(jsonb, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION mastering.erase_curation(text, text, text, text[]), mastering.renew_statistics(regclass), mastering.versions_with_ends(jsonb, jsonb) FROM PUBLIC;
