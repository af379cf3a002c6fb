-- 66_space.sql: what space is whose, and how it comes back. A segment is kept as long as anything names it: a head, loaded
-- data, a snapshot, a recent run, or a head of yesterday that an open snapshot still sees (src/storage/space.c).
--
-- gc works under a lock that every writer holds shared (hold_space), so that nobody is about to publish what it
-- removes, and what it has emptied readers cannot reach. It waits for no reader: what is locked stays for the next call.

CREATE FUNCTION mastering.reachable_heads(OUT environment text, OUT versions jsonb) RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_reachable_heads';
COMMENT ON FUNCTION mastering.reachable_heads() IS 'Heads as any open snapshot may see them: those in force and the ones before that VACUUM would have to keep.';

-- Every place that names versions is listed here, and every place that names artifacts in tree_roots: what is in none, goes.
CREATE FUNCTION mastering.version_roots(forgotten text[] DEFAULT '{}', unused interval DEFAULT NULL)
RETURNS TABLE (holder text, environment text, version jsonb)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN e.name = h.environment THEN 'live' WHEN e.name IS NULL THEN 'schema' ELSE 'preparation' END, coalesce(e.name, h.environment), v.value
      FROM mastering.head h LEFT JOIN mastering.environment e ON h.environment IN (e.name, e.name || '_next') CROSS JOIN LATERAL jsonb_each(h.versions) v
    UNION ALL
    SELECT 'live', c.environment, d.value FROM mastering.configuration c CROSS JOIN LATERAL jsonb_each(c.data) d
    UNION ALL
    SELECT 'snapshot', s.environment, v.value
      FROM mastering.snapshot s CROSS JOIN LATERAL (SELECT x.value FROM jsonb_each(s.versions) x UNION ALL SELECT y.value FROM jsonb_each(s.data) y) v
     WHERE s.hash <> ALL (forgotten)
    UNION ALL
    SELECT 'preparation', c.environment, v.value
      FROM mastering.candidate c CROSS JOIN LATERAL (SELECT x.value FROM jsonb_each(c.versions) x UNION ALL SELECT y.value FROM jsonb_each(c.data) y) v
    UNION ALL
    SELECT 'run', o.made_in, v.value FROM mastering.output o CROSS JOIN LATERAL jsonb_each(o.versions) v WHERE o.made_at > clock_timestamp() - unused
    UNION ALL
    SELECT 'reader', h.environment, v.value FROM mastering.reachable_heads() h CROSS JOIN LATERAL jsonb_each(h.versions) v
$$;
COMMENT ON FUNCTION mastering.version_roots(text[], interval) IS 'Whatever names a version, but the snapshots in forgotten: heads, loaded data, snapshots, candidates, runs not older than unused, heads that open readers see.';

CREATE FUNCTION mastering.held_segments(forgotten text[] DEFAULT '{}', unused interval DEFAULT NULL)
RETURNS TABLE (holder text, environment text, segment_id int, vector_id bigint)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT r.holder, r.environment, s.value::int, v.value::bigint
      FROM (SELECT DISTINCT x.holder, x.environment, x.version -> 'segments' AS segments, x.version -> 'vectors' AS vectors FROM mastering.version_roots(forgotten, unused) x) r
           CROSS JOIN LATERAL jsonb_array_elements_text(r.segments) WITH ORDINALITY s
           JOIN LATERAL jsonb_array_elements_text(r.vectors) WITH ORDINALITY v ON v.ordinality = s.ordinality
$$;
COMMENT ON FUNCTION mastering.held_segments(text[], interval) IS 'The segments and deletion vectors of all versions that anything names, with who does.';

CREATE FUNCTION mastering.tree_roots() RETURNS TABLE (hash text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.value FROM mastering.configuration c CROSS JOIN LATERAL jsonb_each_text(c.tree) t
    UNION SELECT t.value FROM mastering.snapshot s CROSS JOIN LATERAL jsonb_each_text(s.tree) t
    UNION SELECT t.value FROM mastering.release r CROSS JOIN LATERAL (VALUES (r.source_tree), (r.base_tree), (r.proposal -> 'tree')) x (tree)
                 CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(x.tree) WHEN 'object' THEN x.tree ELSE '{}' END) t
    UNION SELECT t.value FROM mastering.candidate c CROSS JOIN LATERAL jsonb_each_text(c.tree) t
    UNION SELECT l.base FROM mastering.left_out l WHERE l.base IS NOT NULL
    UNION SELECT t.value FROM mastering.head h CROSS JOIN LATERAL jsonb_each(h.versions) v
                 CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(v.value -> 'tree') WHEN 'object' THEN v.value -> 'tree' ELSE '{}' END) t
    UNION SELECT t.value FROM mastering.output o CROSS JOIN LATERAL jsonb_each(o.versions) v
                 CROSS JOIN LATERAL jsonb_each_text(CASE jsonb_typeof(v.value -> 'tree') WHEN 'object' THEN v.value -> 'tree' ELSE '{}' END) t
$$;
COMMENT ON FUNCTION mastering.tree_roots() IS 'The hashes of all artifacts that any tree names.';

-- ---- garbage collection --------------------------------------------------------------------------------------------

-- Kept: what is tagged, what is young, the last ones of each environment, and what rollback goes back to.
CREATE FUNCTION mastering.expired_snapshots(keep int, keep_for interval, keep_tagged boolean) RETURNS SETOF mastering.snapshot
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.* FROM mastering.snapshot s
      JOIN (SELECT x.hash, row_number() OVER (PARTITION BY x.environment ORDER BY x.created_at DESC, x.hash) AS n FROM mastering.snapshot x) r ON r.hash = s.hash
      LEFT JOIN mastering.environment e ON e.name = s.environment AND s.created_at >= e.created_at
     WHERE mastering.may(s.environment, 'admin')
       AND (s.tag IS NULL OR NOT keep_tagged)
       AND s.created_at <= clock_timestamp() - keep_for
       AND (r.n > keep OR e.name IS NULL)
       AND s.hash NOT IN (SELECT n.hash FROM mastering.needed_snapshots() n WHERE n.hash IS NOT NULL)
       AND s.hash NOT IN (SELECT DISTINCT ON (p.target) coalesce(p.snapshot_before, '') FROM mastering.release p JOIN mastering.environment t ON t.name = p.target
                           WHERE p.kind = 'promotion' AND p.state = 'promoted' AND p.created_at >= t.created_at ORDER BY p.target, p.release_id DESC)
$$;
COMMENT ON FUNCTION mastering.expired_snapshots(int, interval, boolean) IS 'The snapshots, of environments that the caller is admin of, that no rule keeps.';

-- Everybody else's turn first; then nobody's until the end of the transaction.
CREATE FUNCTION mastering.lock_space() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '10 s';
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'what is stored can only be removed in a READ COMMITTED transaction' USING ERRCODE = '25001',
            DETAIL = 'This one does not see what others have published since it began.';
    END IF;
    WHILE NOT pg_try_advisory_xact_lock(hashtext('mastering.space'), 0) LOOP
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'environments are being changed by other sessions'
                USING ERRCODE = '55P03', HINT = 'Try again when their loads, runs or releases have finished; pg_locks shows them as holders of advisory locks.';
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
    UPDATE mastering.space_change SET changed_at = clock_timestamp();
END
$$;
COMMENT ON FUNCTION mastering.lock_space() IS 'Waits until no environment is being changed and keeps it so to the end of the transaction, or raises 55P03.';

-- A subtransaction each: a reader in the way keeps what it reads, and nothing else.
CREATE FUNCTION mastering.empty_segment(segment_id int, store_id int) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('LOCK TABLE mastering.%I IN ACCESS EXCLUSIVE MODE NOWAIT', 'segment_' || segment_id);
    EXECUTE format('TRUNCATE mastering.%I', 'segment_' || segment_id);
    DELETE FROM mastering.segment g WHERE g.segment_id = empty_segment.segment_id;
    INSERT INTO mastering.shell (segment_id, store_id) VALUES (segment_id, store_id);
    RETURN true;
EXCEPTION WHEN lock_not_available OR object_in_use THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION mastering.empty_segment(int, int) IS 'Empties a segment that nothing names; false where somebody has it locked.';

-- Dropping needs the store itself for a moment: only in quiet times, and some are left to be filled again.
CREATE FUNCTION mastering.drop_shells(keep int, at_most int) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    dropped bigint := 0;
BEGIN
    FOR item IN SELECT s.store_id, array_remove(array_agg(x.segment_id ORDER BY x.segment_id), NULL) AS shells,
                       NOT EXISTS (SELECT FROM mastering.segment g WHERE g.store_id = s.store_id) AS is_empty
                  FROM mastering.store s LEFT JOIN mastering.shell x ON x.store_id = s.store_id GROUP BY s.store_id ORDER BY s.store_id LOOP
        EXIT WHEN dropped >= at_most;
        CONTINUE WHEN NOT item.is_empty AND cardinality(item.shells) <= keep;
        BEGIN
            EXECUTE format('LOCK TABLE mastering.%I IN ACCESS EXCLUSIVE MODE NOWAIT', 'store_' || item.store_id);
            IF item.is_empty AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_rewrite'::regclass
                                                AND d.refobjid = format('mastering.%I', 'store_' || item.store_id)::regclass) THEN
                EXECUTE format('DROP TABLE mastering.%I', 'store_' || item.store_id);
                DELETE FROM mastering.store s WHERE s.store_id = item.store_id;
                DELETE FROM mastering.shell x WHERE x.store_id = item.store_id;
                dropped := dropped + cardinality(item.shells);
            ELSIF cardinality(item.shells) > keep THEN
                item.shells := item.shells[keep + 1 : keep + at_most - dropped];
                EXECUTE (SELECT 'DROP TABLE ' || string_agg(format('mastering.%I', 'segment_' || n), ', ') FROM unnest(item.shells) n);
                DELETE FROM mastering.shell x WHERE x.segment_id = ANY (item.shells);
                dropped := dropped + cardinality(item.shells);
            END IF;
        EXCEPTION WHEN lock_not_available OR object_in_use OR dependent_objects_still_exist THEN
            NULL;
        END;
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION mastering.drop_shells(int, int) IS 'Drops emptied segments but some of each store, and stores that hold nothing and that no view shows, where nobody is reading.';

CREATE FUNCTION mastering.do_gc(dry_run boolean, keep int, keep_for interval, keep_tagged boolean, keep_unused interval, max_segments int)
RETURNS TABLE (what text, environment text, entity text, kind text, number bigint, bytes bigint, note text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    forgotten text[];
    held int[];
    held_vectors bigint[];
    gone_data text[];
    seen int[];
    candidates int[];
    freed int[] := '{}';
    in_use bigint := 0;
    size bigint;
    item record;
    removing boolean := NOT coalesce(dry_run, true);
BEGIN
    IF NOT (EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper)
            OR EXISTS (SELECT FROM mastering.environment e WHERE mastering.may(e.name, 'admin') AND NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = e.name))) THEN
        RAISE EXCEPTION 'permission denied to collect garbage' USING ERRCODE = '42501', DETAIL = format('Role "%s" is admin of no environment.', mastering.caller());
    END IF;
    IF keep IS NULL OR keep < 0 OR keep_for IS NULL OR keep_for < interval '0' OR keep_tagged IS NULL OR keep_unused IS NULL OR keep_unused < interval '0' OR max_segments IS NULL OR max_segments < 1 THEN
        RAISE EXCEPTION 'invalid retention' USING ERRCODE = '22023', DETAIL = 'keep, keep_for and keep_unused are not negative, max_segments is at least 1, and none is null.';
    END IF;
    IF removing THEN
        PERFORM mastering.lock_space();
    END IF;

    RETURN QUERY SELECT 'fork', d.fork, NULL::text, NULL::text, 1::bigint, NULL::bigint, coalesce(d.reason, format('of %s, expired at %s', d.owner, d.expires_at::timestamp(0)))
                   FROM mastering.drop_forks(true, true, NOT removing, 20) d;
    SELECT coalesce(array_agg(s.hash), '{}') INTO forgotten FROM mastering.expired_snapshots(keep, keep_for, keep_tagged) s;
    RETURN QUERY SELECT 'snapshot', s.environment, NULL::text, NULL::text, count(*), NULL::bigint,
                        format('by %s, %s to %s', s.author, min(s.created_at)::timestamp(0), max(s.created_at)::timestamp(0))
                   FROM mastering.snapshot s WHERE s.hash = ANY (forgotten) GROUP BY s.environment, s.author ORDER BY s.environment, s.author;
    IF removing THEN
        FOR item IN WITH gone AS (DELETE FROM mastering.snapshot s WHERE s.hash = ANY (forgotten) RETURNING s.environment, s.hash)
                    SELECT g.environment, jsonb_agg(g.hash ORDER BY g.hash) AS hashes FROM gone g GROUP BY 1 ORDER BY 1 LOOP
            PERFORM mastering.audit(item.environment, 'gc', jsonb_build_object('snapshots', item.hashes, 'keep', keep, 'keep_for', keep_for, 'keep_tagged', keep_tagged));
        END LOOP;
    END IF;

    SELECT coalesce(array_agg(DISTINCT h.segment_id) FILTER (WHERE h.holder <> 'reader'), '{}'), coalesce(array_agg(DISTINCT h.vector_id) FILTER (WHERE h.holder <> 'reader'), '{}'),
           coalesce(array_agg(DISTINCT h.segment_id) FILTER (WHERE h.holder = 'reader'), '{}')
      INTO held, held_vectors, seen FROM mastering.held_segments(forgotten, keep_unused) h;

    -- What is found by content must be there whole.
    FOR item IN SELECT o.output_key, o.made_in, o.entity FROM mastering.output o
                 WHERE EXISTS (SELECT FROM jsonb_each(o.versions) v CROSS JOIN LATERAL jsonb_array_elements_text(v.value -> 'segments') WITH ORDINALITY s
                                 JOIN LATERAL jsonb_array_elements_text(v.value -> 'vectors') WITH ORDINALITY d ON d.ordinality = s.ordinality
                                WHERE s.value::int <> ALL (held) OR d.value::bigint <> ALL (held_vectors || 0::bigint)) LOOP
        IF removing THEN
            DELETE FROM mastering.output o WHERE o.output_key = item.output_key;
        END IF;
        in_use := in_use + 1;
    END LOOP;
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'run', NULL::text, NULL::text, NULL::text, in_use, NULL::bigint, format('outputs of runs that nothing shows, older than %s', keep_unused);
    END IF;
    WITH gone AS (SELECT d.store_id, d.content FROM mastering.data_version d
                   WHERE EXISTS (SELECT FROM jsonb_array_elements_text(d.version -> 'segments') WITH ORDINALITY s
                                   JOIN LATERAL jsonb_array_elements_text(d.version -> 'vectors') WITH ORDINALITY v ON v.ordinality = s.ordinality
                                  WHERE s.value::int <> ALL (held) OR v.value::bigint <> ALL (held_vectors || 0::bigint))),
         deleted AS (DELETE FROM mastering.data_version d USING gone g WHERE removing AND d.store_id = g.store_id AND d.content = g.content)
    SELECT count(*), coalesce(array_agg(g.store_id || ' ' || g.content), '{}') INTO in_use, gone_data FROM gone g;
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'load', NULL::text, NULL::text, NULL::text, in_use, NULL::bigint, 'loaded data that nothing refers to'::text;
    END IF;

    RETURN QUERY SELECT c.what, c.environment, NULL::text, NULL::text, c.number, NULL::bigint, c.note FROM mastering.collect_entries(removing, keep, keep_for, gone_data) c;

    -- The rows themselves.
    SELECT coalesce(array_agg(g.segment_id ORDER BY g.segment_id), '{}') INTO candidates FROM mastering.segment g WHERE g.segment_id <> ALL (held) AND g.segment_id <> ALL (seen);
    in_use := 0;
    FOR item IN SELECT t.entity, t.kind, t.store_id, array_agg(g.segment_id ORDER BY g.segment_id) AS segments
                  FROM mastering.segment g JOIN mastering.store t ON t.store_id = g.store_id WHERE g.segment_id = ANY (candidates[1 : max_segments])
                 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LOOP
        what := 'segment';
        environment := NULL;
        entity := item.entity;
        kind := item.kind;
        number := 0;
        bytes := 0;
        FOR i IN 1 .. cardinality(item.segments) LOOP
            size := pg_total_relation_size(format('mastering.%I', 'segment_' || item.segments[i])::regclass);
            IF NOT removing OR mastering.empty_segment(item.segments[i], item.store_id) THEN
                number := number + 1;
                bytes := bytes + size;
                freed := freed || item.segments[i];
            ELSE
                in_use := in_use + 1;
            END IF;
        END LOOP;
        note := CASE WHEN removing THEN 'freed' ELSE 'nothing names it' END;
        IF number > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    IF cardinality(candidates) > max_segments THEN
        RETURN QUERY SELECT 'segment', NULL::text, NULL::text, NULL::text, (cardinality(candidates) - max_segments)::bigint, NULL::bigint, 'left for the next call'::text;
    END IF;
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'segment', NULL::text, NULL::text, NULL::text, in_use, NULL::bigint, 'locked by a reader: left for the next call'::text;
    END IF;
    SELECT count(*) INTO in_use FROM mastering.segment g WHERE g.segment_id <> ALL (held) AND g.segment_id = ANY (seen);
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'segment', NULL::text, NULL::text, NULL::text, in_use, NULL::bigint, 'still seen by an open transaction, a replication slot or a standby'::text;
    END IF;

    WITH gone AS (SELECT v.vector_id, octet_length(v.bitmap) AS size FROM mastering.deletion_vector v WHERE v.vector_id <> ALL (held_vectors)),
         deleted AS (DELETE FROM mastering.deletion_vector v USING gone g WHERE removing AND v.vector_id = g.vector_id)
    SELECT count(*), coalesce(sum(g.size), 0) INTO in_use, size FROM gone g;
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'deletion vector', NULL::text, NULL::text, NULL::text, in_use, size, NULL::text;
    END IF;
    IF removing THEN
        WITH deleted AS (DELETE FROM mastering.artifact a WHERE a.hash NOT IN (SELECT t.hash FROM mastering.tree_roots() t WHERE t.hash IS NOT NULL) RETURNING pg_column_size(a.content) AS size)
        SELECT count(*), coalesce(sum(d.size), 0) INTO in_use, size FROM deleted d;
        DELETE FROM mastering.erased_row r WHERE r.segment_id = ANY (freed);
    ELSE
        SELECT count(*), coalesce(sum(pg_column_size(a.content)), 0) INTO in_use, size FROM mastering.artifact a WHERE a.hash NOT IN (SELECT t.hash FROM mastering.tree_roots() t WHERE t.hash IS NOT NULL);
    END IF;
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'artifact', NULL::text, NULL::text, NULL::text, in_use, size, NULL::text;
    END IF;
    IF removing THEN
        in_use := mastering.drop_shells(16, 100);
        IF in_use > 0 THEN
            RETURN QUERY SELECT 'shell', NULL::text, NULL::text, NULL::text, in_use, NULL::bigint, 'partitions that were empty'::text;
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_gc(boolean, int, interval, boolean, interval, int) IS 'Behind gc.';

CREATE FUNCTION mastering.gc(dry_run boolean DEFAULT true, keep int DEFAULT 10, keep_for interval DEFAULT '30 days', keep_tagged boolean DEFAULT true,
                             keep_unused interval DEFAULT '1 day', max_segments int DEFAULT 300)
RETURNS TABLE (what text, environment text, entity text, kind text, number bigint, bytes bigint, note text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.gc(boolean, int, interval, boolean, interval, int) IS 'Frees what nothing refers to, or says what it would free (dry_run, the default): snapshots beyond the last keep of each environment, older than keep_for and without a tag; outputs of runs that nothing shows and that are older than keep_unused; what was noted of runs and checks beyond the last keep and older than keep_for; the rows, deletion vectors and artifacts that nothing names then. Waits for no reader; what it leaves, the next call frees.';

-- ---- compaction ----------------------------------------------------------------------------------------------------

-- Puts a compacted version wherever the one that it stands for can be found, so that results are still found by content.
CREATE FUNCTION mastering.adopt_compacted(relation text, old jsonb, new jsonb) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    UPDATE mastering.output o SET versions = jsonb_set(o.versions, ARRAY[relation],
               (o.versions -> relation) || jsonb_build_object('segments', new -> 'segments', 'vectors', new -> 'vectors', 'hash', new -> 'hash', 'origin', mastering.version_identity(old)))
     WHERE o.versions -> relation -> 'store' = old -> 'store' AND o.versions -> relation -> 'segments' = old -> 'segments' AND o.versions -> relation -> 'vectors' = old -> 'vectors'
$$;
COMMENT ON FUNCTION mastering.adopt_compacted(text, jsonb, jsonb) IS 'Lets outputs of runs that have a version have the compacted one.';

CREATE FUNCTION mastering.compaction_row(relation text, old jsonb, new jsonb)
RETURNS TABLE (name text, segments_before int, segments_after int, deleted_before bigint, rows_written bigint, live_rows bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT relation, jsonb_array_length(old -> 'segments'), jsonb_array_length(new -> 'segments'),
           (SELECT coalesce(sum(d.row_count), 0)::bigint FROM mastering.deletion_vector d WHERE d.vector_id IN (SELECT x::bigint FROM jsonb_array_elements_text(old -> 'vectors') x)),
           (SELECT coalesce(sum(g.row_count), 0)::bigint FROM mastering.segment g WHERE new -> 'segments' @> to_jsonb(g.segment_id) AND NOT old -> 'segments' @> to_jsonb(g.segment_id)),
           (new ->> 'rows')::bigint
$$;
COMMENT ON FUNCTION mastering.compaction_row(text, jsonb, jsonb) IS 'What compaction did to one relation.';

CREATE FUNCTION mastering.do_compact(env_name text, entity_name text, everything boolean)
RETURNS TABLE (name text, segments_before int, segments_after int, deleted_before bigint, rows_written bigint, live_rows bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
<<work>>
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'loader');
    config mastering.configuration;
    data jsonb;
    versions jsonb;
    next jsonb;
    next_keys jsonb;
    new jsonb;
    item record;
    changed boolean := false;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;
    config := mastering.configuration_of(env_name);
    data := config.data;
    SELECT h.versions INTO versions FROM mastering.head h WHERE h.environment = env_name;
    SELECT h.versions INTO next FROM mastering.head h WHERE h.environment = env_name || '_next';
    IF entity_name IS NOT NULL THEN
        PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    END IF;
    FOR item IN SELECT d.key, d.value FROM jsonb_each(config.data) d WHERE entity_name IS NULL OR mastering.step(d.key, 1) = entity_name ORDER BY d.key LOOP
        new := mastering.compacted_version(item.value, coalesce(everything, false), 4);
        CONTINUE WHEN new = item.value;
        RETURN QUERY SELECT * FROM mastering.compaction_row(item.key, item.value, new) r;
        data := data || jsonb_build_object(item.key, new);
        UPDATE mastering.data_version v SET version = new - 'position' WHERE v.store_id = (new ->> 'store')::int AND v.content = new ->> 'content';
    END LOOP;
    UPDATE mastering.configuration c SET data = work.data WHERE c.environment = env_name AND c.data <> work.data;
    -- Mapped records have the row numbers of the loaded rows: they follow these, where the published ones are of the loaded rows.
    FOR item IN SELECT e.name AS entity, e.name || '_records' AS relation, versions -> (e.name || '_records') AS old FROM mastering.entities_of(config.tree) e (name)
                 WHERE (entity_name IS NULL OR e.name = entity_name) AND versions ? (e.name || '_records') LOOP
        CONTINUE WHEN item.old -> 'contents' <> (SELECT coalesce(jsonb_object_agg(s.name, data -> mastering.path(item.entity, s.name) -> 'content'), '{}') FROM mastering.sources_of(config.tree, item.entity) s);
        BEGIN
            new := mastering.map_records(env, item.entity, config.tree, config.data);    -- found by content, unless a mapping is another by now
            IF new -> 'segments' <> item.old -> 'segments' THEN
                RAISE EXCEPTION 'the next run writes them anyway' USING ERRCODE = 'MD000';
            END IF;
            new := mastering.map_records(env, item.entity, config.tree, data);
        EXCEPTION WHEN SQLSTATE 'MD000' OR object_not_in_prerequisite_state THEN
            CONTINUE;
        END;
        CONTINUE WHEN new -> 'segments' = item.old -> 'segments' AND new -> 'vectors' = item.old -> 'vectors';
        RETURN QUERY SELECT * FROM mastering.compaction_row(item.relation, item.old, new) r;
        new := item.old || new || jsonb_build_object('origin', mastering.version_identity(item.old));
        PERFORM mastering.adopt_compacted(item.relation, item.old, new);
        versions := versions || jsonb_build_object(item.relation, new);
        -- Keys name rows of these segments.
        IF versions ? (item.entity || '_keys') THEN
            next_keys := mastering.index_keys(env, item.entity, versions -> (item.entity || '_keys') -> 'tree', new);
            PERFORM mastering.adopt_compacted(item.entity || '_keys', versions -> (item.entity || '_keys'), next_keys);
            UPDATE mastering.output o SET versions = jsonb_set(o.versions, ARRAY[item.entity || '_keys', 'of'], next_keys -> 'of') WHERE o.versions -> (item.entity || '_keys') -> 'segments' = next_keys -> 'segments';
            versions := versions || jsonb_build_object(item.entity || '_keys', next_keys);
        END IF;
    END LOOP;
    FOR item IN SELECT v.key, v.value, t.kind FROM jsonb_each(versions) v JOIN mastering.store t ON t.store_id = (v.value ->> 'store')::int
                 WHERE t.kind IN ('members', 'golden', 'lineage', 'history') AND (entity_name IS NULL OR t.entity = entity_name) ORDER BY v.key LOOP
        new := mastering.compacted_version(item.value, coalesce(everything, false), 4);
        CONTINUE WHEN new = item.value;
        RETURN QUERY SELECT * FROM mastering.compaction_row(item.key, item.value, new) r;
        PERFORM mastering.adopt_compacted(item.key, item.value, new);
        versions := versions || jsonb_build_object(item.key, new);
    END LOOP;
    IF versions <> (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name) THEN
        -- What is in preparation and is the same, too; and the loaded rows that the last mapping read are not needed any more.
        PERFORM mastering.set_head(env_name || '_next', (SELECT coalesce(jsonb_object_agg(n.key, CASE WHEN mastering.version_identity(n.value) = mastering.version_identity(versions -> n.key)
                                                                                     THEN versions -> n.key ELSE n.value END), '{}')
                                                           FROM jsonb_each(next) n LEFT JOIN mastering.store t ON t.store_id = (n.value ->> 'store')::int WHERE t.kind IS DISTINCT FROM 'source'));
        PERFORM mastering.set_head(env_name, versions);
        changed := true;
    END IF;
    IF changed OR data <> config.data THEN
        PERFORM mastering.audit(env_name, 'compact', jsonb_strip_nulls(jsonb_build_object('entity', entity_name, 'everything', everything)));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_compact(text, text, boolean) IS 'Behind compact.';

CREATE FUNCTION mastering.compact(env text, entity text DEFAULT NULL, everything boolean DEFAULT false)
RETURNS TABLE (name text, segments_before int, segments_after int, deleted_before bigint, rows_written bigint, live_rows bigint)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.compact(text, text, boolean) IS 'Writes what an environment shows and has loaded into few segments: at most 4 of a relation (of each source, for records) and at most a tenth of the rows deleted; with everything, one. Says what it wrote. Nothing that can be read changes, and results are still found by content.';

-- ---- whose space ---------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_storage(env_name text)
RETURNS TABLE (environment text, entity text, kind text, held text, segments bigint, stored_rows bigint, bytes bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    garbage bigint := 0;
BEGIN
    IF env_name IS NOT NULL THEN
        PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    END IF;
    FOR environment, entity, kind, held, segments, stored_rows, bytes IN
    WITH holding AS (
        SELECT h.segment_id, h.environment, bool_or(h.holder = 'live') AS live, bool_or(h.holder IN ('preparation', 'schema')) AS next, bool_or(h.holder = 'snapshot') AS frozen
          FROM mastering.held_segments() h WHERE h.holder <> 'reader' GROUP BY 1, 2),
    use AS (
        SELECT o.*, count(*) FILTER (WHERE o.live) OVER (PARTITION BY o.segment_id) AS live_in FROM holding o),
    named AS (
        SELECT u.environment, u.segment_id,
               CASE WHEN u.live AND u.live_in = 1 THEN 'live' WHEN u.live_in > 0 THEN 'shared' WHEN u.next THEN 'preparation' ELSE 'snapshots' END AS held
          FROM use u
        UNION ALL
        SELECT NULL, g.segment_id, 'nothing' FROM mastering.segment g WHERE NOT EXISTS (SELECT FROM holding o WHERE o.segment_id = g.segment_id)),
    sized AS (
        SELECT g.segment_id, t.entity, t.kind, g.row_count, pg_total_relation_size(format('mastering.%I', 'segment_' || g.segment_id)::regclass) AS bytes
          FROM mastering.segment g JOIN mastering.store t ON t.store_id = g.store_id
        UNION ALL
        SELECT x.segment_id, t.entity, t.kind, 0, pg_total_relation_size(format('mastering.%I', 'segment_' || x.segment_id)::regclass)
          FROM mastering.shell x JOIN mastering.store t ON t.store_id = x.store_id)
    SELECT n.environment, z.entity, z.kind, n.held, count(*), sum(z.row_count)::bigint, sum(z.bytes)::bigint
      FROM (SELECT * FROM named UNION ALL SELECT NULL, x.segment_id, 'empty' FROM mastering.shell x) n JOIN sized z ON z.segment_id = n.segment_id
     WHERE CASE WHEN env_name IS NOT NULL THEN n.environment = env_name
                WHEN n.environment IS NULL THEN EXISTS (SELECT FROM mastering.environment e WHERE mastering.may(e.name, 'admin'))
                ELSE mastering.may(n.environment, 'author', 'curator', 'reviewer', 'loader') END
     GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LOOP
        garbage := garbage + CASE held WHEN 'nothing' THEN bytes ELSE 0 END;
        RETURN NEXT;
    END LOOP;
    IF garbage > 0 THEN    -- what several share is listed for each of them
        PERFORM mastering.warn_of_garbage(garbage, (SELECT sum(pg_total_relation_size(format('mastering.%I', 'segment_' || g.segment_id)::regclass))::bigint FROM mastering.segment g));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_storage(text) IS 'Behind storage.';

CREATE FUNCTION mastering.storage(env text DEFAULT NULL)
RETURNS TABLE (environment text, entity text, kind text, held text, segments bigint, stored_rows bigint, bytes bigint)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.storage(text) IS 'What space is whose, by entity and kind. held: live (here and in no other environment), shared (live here or frozen here, and live elsewhere), preparation (in the _next schema only), snapshots (frozen only); without an environment nothing (gc frees it) and empty. Warns where much is nothing''s.';

-- ---- an entity that is no more -------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_drop_entity(env_name text, entity_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config mastering.configuration;
    item record;
    relations text[] := ARRAY[entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history', entity_name || '_keys', entity_name || '_input', entity_name || '_pairs'];
    sources text[];
    views text;
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.lock_environment(env_name);
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    -- And whatever shows its loaded rows, keys or changes to mappings, checks and the engine.
    SELECT coalesce(array_agg(v.view_name), '{}') INTO sources FROM mastering.environment_view v JOIN mastering.store t ON t.store_id = substring(v.definition FROM 'mastering\.store_([0-9]+) ')::int
     WHERE v.environment = env_name || '_next' AND t.entity = entity_name;
    SELECT string_agg(format('%I.%I', v.environment, v.view_name), ', ' ORDER BY v.view_name COLLATE "C") INTO views FROM mastering.environment_view v
     WHERE v.environment IN (env_name, env_name || '_next') AND v.view_name = ANY (relations || sources);
    IF views IS NOT NULL THEN
        EXECUTE 'DROP VIEW ' || views;
    END IF;
    DELETE FROM mastering.environment_view v WHERE v.environment IN (env_name, env_name || '_next') AND v.view_name = ANY (relations || sources);
    FOR item IN SELECT t.key FROM jsonb_object_keys(config.tree) t (key) WHERE t.key LIKE 'entity/%' AND mastering.step(t.key, 2) = entity_name ORDER BY 1 DESC LOOP
        PERFORM mastering.set_artifact(env_name, item.key, NULL);
    END LOOP;
    UPDATE mastering.configuration c
       SET data = (SELECT coalesce(jsonb_object_agg(d.key, d.value), '{}') FROM jsonb_each(c.data) d WHERE mastering.step(d.key, 1) <> entity_name),
           bindings = (SELECT coalesce(jsonb_object_agg(b.key, b.value), '{}') FROM jsonb_each(c.bindings) b WHERE mastering.step(b.key, 1) <> entity_name)
     WHERE c.environment = env_name;
    FOR item IN SELECT h.environment, h.versions - relations - sources AS versions FROM mastering.head h WHERE h.environment IN (env_name, env_name || '_next') AND h.versions ?| (relations || sources) LOOP
        PERFORM mastering.set_head(item.environment, item.versions);
    END LOOP;
    PERFORM mastering.audit(env_name, 'drop entity', jsonb_build_object('entity', entity_name));
END
$$;
COMMENT ON FUNCTION mastering.do_drop_entity(text, text) IS 'Behind drop_entity.';

CREATE FUNCTION mastering.drop_entity(env text, entity text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_entity(text, text) IS 'Removes an entity from an environment: its artifacts, its loaded data, its views (refused where something depends on them). Snapshots keep what they hold; promoted, the next stages show nothing of it any more.';

REVOKE ALL ON FUNCTION mastering.hold_space(), mastering.lock_space(), mastering.reachable_heads(), mastering.version_roots(text[], interval), mastering.held_segments(text[], interval),
    mastering.tree_roots(), mastering.expired_snapshots(int, interval, boolean), mastering.empty_segment(int, int), mastering.drop_shells(int, int),
    mastering.adopt_compacted(text, jsonb, jsonb), mastering.compaction_row(text, jsonb, jsonb), mastering.segments_to_compact(jsonb, boolean, int), mastering.version_identity(jsonb),
    mastering.stored_row_hash(record), mastering.rows_hash(record, bytea), mastering.rows_hash_add(internal, record, bytea) FROM PUBLIC;
