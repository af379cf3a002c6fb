-- 59_master.sql: a run: the outputs of one entity, made or found, and published in one environment.

-- The number goes up with every change of the engine that may change a result.
CREATE FUNCTION mastering.engine_revision() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT '3, ' || mastering.normalize_versions() $$;
COMMENT ON FUNCTION mastering.engine_revision() IS 'Changes whenever the matching engine may give another result for the same input: with its own results, with ICU and with Unicode.';

-- Writes pg_temp.mastering_partition: every record and the label of its cluster.
CREATE FUNCTION mastering.make_partition(env mastering.environment, entity_name text, model jsonb, labels jsonb, curation jsonb, run_key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known jsonb := (SELECT o.versions -> (entity_name || '_members') FROM mastering.output o WHERE o.run_key = make_partition.run_key ORDER BY o.made_at LIMIT 1);
BEGIN
    IF known IS NOT NULL THEN
        EXECUTE format('CREATE TEMP TABLE mastering_partition ON COMMIT DROP AS SELECT s."#source" AS source, s."#key" AS key, s."#cluster"::text AS label FROM mastering.%I s WHERE %s',
                       'store_' || (known ->> 'store'), mastering.version_condition(known, 's'));
    ELSE
        EXECUTE format('CREATE TEMP TABLE mastering_partition ON COMMIT DROP AS SELECT split_part(t.id, '':'', 1) AS source, substr(t.id, strpos(t.id, '':'') + 1) AS key, t.cluster_id AS label
                          FROM mastering.query_as(%L, %L, %L, true) AS t (id text, cluster_id text)', env.owner,
                       format('SELECT c.id, c.cluster_id FROM mastering.match_clusters(%L, %L, labels => %L) c', mastering.input_query(env.name, entity_name), model,
                              mastering.verdicts_query(labels, curation, mastering.input_query(env.name, entity_name))),
                       mastering.artifact_path(env.name));
    END IF;
    ANALYZE pg_temp.mastering_partition;
    RETURN known IS NOT NULL;
END
$$;
COMMENT ON FUNCTION mastering.make_partition(mastering.environment, text, jsonb, jsonb, jsonb, text) IS 'The partition of an entity''s records, from an earlier run with the same key or from the engine; whether it was found.';

CREATE FUNCTION mastering.drop_work_tables() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.mastering_partition, pg_temp.mastering_overlap, pg_temp.mastering_candidate, pg_temp.mastering_identity,
        pg_temp.mastering_golden, pg_temp.mastering_before, pg_temp.mastering_wanted, pg_temp.mastering_incoming, pg_temp.mastering_event, pg_temp.mastering_lost, pg_temp.mastering_under_lock,
        pg_temp.mastering_gone, pg_temp.mastering_come, pg_temp.mastering_named, pg_temp.mastering_tie, pg_temp.mastering_touched, pg_temp.mastering_near, pg_temp.mastering_affected,
        pg_temp.mastering_scope, pg_temp.mastering_shared, pg_temp.mastering_linked, pg_temp.mastering_link, pg_temp.mastering_regrouped, pg_temp.mastering_part, pg_temp.mastering_level, pg_temp.mastering_sample, pg_temp.mastering_read, pg_temp.mastering_member, pg_temp.mastering_want, pg_temp.mastering_model, pg_temp.mastering_live,
        pg_temp.mastering_differs, pg_temp.mastering_moved, pg_temp.mastering_unchanged;
END
$$;
COMMENT ON FUNCTION mastering.drop_work_tables() IS 'Drops the temporary tables of a run.';

-- pg_temp.mastering_before: the golden records of some clusters in a version.
CREATE FUNCTION mastering.note_before(golden jsonb, clusters bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_mergejoin = off SET enable_indexscan = off AS $$
BEGIN
    PERFORM mastering.expect_rows(mastering.segments_of(golden), '{#cluster}', NULL, clusters);
    EXECUTE 'CREATE TEMP TABLE mastering_before ON COMMIT DROP AS ' || mastering.rows_of_clusters(golden, cardinality(clusters)) USING clusters;
END
$$;
COMMENT ON FUNCTION mastering.note_before(jsonb, bigint[]) IS 'Keeps the golden records of some clusters as they were, in a temporary table.';

-- The events of this run, from pg_temp.mastering_overlap and mastering_identity.
CREATE FUNCTION mastering.history_query() RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT $q$
        WITH fresh AS MATERIALIZED (    -- nearly all clusters are what they were
            SELECT i.label, i.cluster FROM pg_temp.mastering_identity i
             WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_overlap x WHERE x.label = i.label AND x.cluster = i.cluster))
        SELECT e.cluster, e.event, e.other, e.records, now() FROM (
            SELECT i.cluster, CASE WHEN o.cluster IS NULL THEN 'born' ELSE 'split' END AS event, o.cluster AS other, n.records
              FROM fresh i
              JOIN (SELECT p.label, count(*) AS records FROM pg_temp.mastering_partition p WHERE p.label IN (SELECT f.label FROM fresh f) GROUP BY 1) n ON n.label = i.label
              LEFT JOIN (SELECT DISTINCT ON (x.label) x.label, x.cluster FROM pg_temp.mastering_overlap x WHERE x.label IN (SELECT f.label FROM fresh f) ORDER BY x.label, x.records DESC, x.cluster) o ON o.label = i.label
            UNION ALL
            SELECT l.cluster, CASE WHEN g.into_cluster IS NULL THEN 'died' ELSE 'merged' END, g.into_cluster, l.records
              FROM pg_temp.mastering_lost l
              LEFT JOIN (SELECT DISTINCT ON (x.cluster) x.cluster, i.cluster AS into_cluster FROM pg_temp.mastering_overlap x JOIN pg_temp.mastering_identity i ON i.label = x.label
                          WHERE x.cluster IN (SELECT d.cluster FROM pg_temp.mastering_lost d)
                          ORDER BY x.cluster, x.records DESC, i.cluster) g ON g.cluster = l.cluster) e
         ORDER BY e.cluster$q$
$$;
COMMENT ON FUNCTION mastering.history_query() IS 'Births, splits, merges and deaths of clusters in the run at hand.';

-- The clusters whose golden records have to be made again; NULL where that is most of them.
CREATE FUNCTION mastering.changed_clusters(entity jsonb, old_records jsonb, new_records jsonb, old_members jsonb, new_members jsonb) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at_most bigint := greatest(50000, (new_records ->> 'rows')::bigint / 50);
    clusters bigint[];
    n bigint;
BEGIN
    IF old_members IS NULL OR old_records IS NULL OR old_records ->> 'store' <> new_records ->> 'store' OR old_members ->> 'store' <> new_members ->> 'store' THEN
        RETURN NULL;
    END IF;
    CREATE TEMP TABLE mastering_moved (cluster bigint) ON COMMIT DROP;
    -- Members that came or moved, and clusters that lost one, are what was written of them.
    IF old_members IS DISTINCT FROM new_members THEN
        INSERT INTO pg_temp.mastering_moved SELECT DISTINCT d.cluster FROM pg_temp.mastering_differs d;
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n > at_most THEN
            RETURN NULL;
        END IF;
    END IF;
    -- Records with other values.
    IF to_regclass('pg_temp.mastering_come') IS NULL THEN
        PERFORM mastering.note_changes(entity, old_records, new_records);
    END IF;
    CREATE TEMP TABLE mastering_want (source text, key text) ON COMMIT DROP;
    INSERT INTO pg_temp.mastering_want SELECT c.source, c.key FROM pg_temp.mastering_come c;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n > at_most THEN
        RETURN NULL;
    END IF;
    PERFORM mastering.read_wanted(new_members, 's."#cluster"', 'mastering_moved');
    SELECT coalesce(array_agg(DISTINCT m.cluster), '{}') INTO clusters FROM pg_temp.mastering_moved m;
    RETURN CASE WHEN cardinality(clusters) <= at_most THEN clusters END;
END
$$;
COMMENT ON FUNCTION mastering.changed_clusters(jsonb, jsonb, jsonb, jsonb, jsonb) IS 'The clusters that differ between two runs, after next_version has written the members; NULL where there are too many to name.';

-- Keys are made of contents, so nothing needs to be mapped to find out that all is there already.
CREATE FUNCTION mastering.run_inputs(env mastering.environment, entity_name text, tree jsonb, data jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    entity jsonb := mastering.require_entity(tree, env.name, entity_name);
    model jsonb := mastering.model_of(tree, env.name, entity_name);
    curation jsonb := mastering.curation_of_clusters(env.name, entity_name);
    labels jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'labels'));
    contents jsonb;
BEGIN
    SELECT jsonb_object_agg(s.name, data -> mastering.path(entity_name, s.name) -> 'content') INTO contents FROM mastering.sources_of(tree, entity_name) s;
    RETURN jsonb_build_object('entity', entity, 'name', entity_name, 'contents', contents, 'model', model,
        'sources', (SELECT jsonb_object_agg(s.name, s.content) FROM mastering.sources_of(tree, entity_name) s), 'engine', mastering.engine_revision(),
        'roles', (SELECT jsonb_object_agg(s.name, mastering.role_of_mapping(env, work.entity, s.name, s.content -> 'mapping', t.columns))
                    FROM mastering.sources_of(tree, entity_name) s JOIN mastering.store t ON t.store_id = (data -> mastering.path(entity_name, s.name) ->> 'store')::int),
        'role', mastering.role_of_model(env, work.entity, model)) || mastering.erasure_stamp(entity_name)
        || CASE WHEN labels IS NULL THEN '{}' ELSE jsonb_build_object('labels', labels) END
        || CASE WHEN curation IS NULL THEN '{}' ELSE jsonb_build_object('curation', curation) END;
END
$$;
COMMENT ON FUNCTION mastering.run_inputs(mastering.environment, text, jsonb, jsonb) IS 'All that decides the partition of an entity''s records into clusters; its hash is the key of a run.';

CREATE FUNCTION mastering.golden_keys(env_name text, entity_name text, tree jsonb, OUT rules_key text, OUT golden_key text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    overrides jsonb := mastering.curation_of_values(env_name, entity_name);
BEGIN
    rules_key := mastering.json_hash(jsonb_build_object('survivorship', coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'survivorship')), '{}')) || mastering.erasure_stamp(entity_name)
                                     || mastering.role_of_survivorship(env_name, entity_name, tree));
    golden_key := mastering.json_hash(jsonb_build_object('rules', rules_key) || CASE WHEN overrides IS NULL THEN '{}' ELSE jsonb_build_object('overrides', overrides) END);
END
$$;
COMMENT ON FUNCTION mastering.golden_keys(text, text, jsonb) IS 'The keys of what golden records are made by: the rules, and with what stewards decided about values.';

-- All outputs of an entity under a tree and loaded data, starting from what the environment has published.
-- A run over all records where it is asked for, or where a change cannot be enough (59_increment.sql).
CREATE FUNCTION mastering.make_outputs(env mastering.environment, entity_name text, tree jsonb, data jsonb, published jsonb, full_run boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
<<work>>
DECLARE
    entity jsonb := mastering.require_entity(tree, env.name, entity_name);
    model jsonb := mastering.model_of(tree, env.name, entity_name);
    labels jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'labels'));
    survivorship jsonb := coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'survivorship')), '{}');
    attributes text := mastering.column_list(entity -> 'attributes', false);
    old jsonb := (SELECT coalesce(jsonb_object_agg(substr(p.key, length(entity_name) + 1), p.value), '{}') FROM jsonb_each(published) p
                   WHERE p.key IN (entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history', entity_name || '_keys'));
    inputs jsonb;
    curation jsonb := mastering.curation_of_clusters(env.name, entity_name);
    overrides jsonb := mastering.curation_of_values(env.name, entity_name);
    marks jsonb;
    broken bigint := 0;
    run_key text;
    rules_key text;     -- of what golden records are made by
    golden_key text;    -- and of what stewards decided about them
    base jsonb;
    output_key text;
    records jsonb;
    members jsonb;
    golden jsonb;
    lineage jsonb;
    history jsonb;
    keys jsonb;
    reused boolean := false;
    scope bigint[];
    decided bigint[];           -- clusters whose overrides changed
    query text;
    members_now text;
    members_old text := CASE WHEN old ? '_members'
        THEN format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || (old -> '_members' ->> 'store'), mastering.version_condition(old -> '_members', 's'))
        ELSE '(SELECT NULL::text AS "#source", NULL::text AS "#key", NULL::bigint AS "#cluster" WHERE false)' END;
    how jsonb := '{}';          -- the run went over all records, or over those that a change touched
    drift jsonb := '{}';
    touched bigint[];           -- then, the clusters that it may have changed
    windows jsonb;              -- it left blocks to windows
    basis jsonb;                -- what the next run has to know of this one to go on from it
    sorted text;
    work_memory text := current_setting('work_mem');
    budget text := current_setting('mastering.work_mem');
    page_cost text := current_setting('random_page_cost');
    read_ahead text := current_setting('effective_io_concurrency');
    result jsonb;
    counters jsonb;
BEGIN
    inputs := mastering.run_inputs(env, entity_name, tree, data);
    run_key := mastering.live_key(mastering.json_hash(inputs));
    SELECT k.rules_key, k.golden_key INTO rules_key, golden_key FROM mastering.golden_keys(env.name, entity_name, tree) k;
    base := jsonb_build_object('members', mastering.version_identity(old -> '_members'), 'history', mastering.version_identity(old -> '_history'));
    output_key := mastering.json_hash(jsonb_build_object('run', run_key, 'golden', golden_key, 'base', base));

    IF old -> '' ->> 'run' = run_key AND old -> '' ->> 'golden' = golden_key THEN
        RETURN jsonb_build_object('versions', (SELECT jsonb_object_agg(entity_name || p.key, p.value) FROM jsonb_each(old) p),
                                  'counters', '{}'::jsonb, 'reused', 'published', 'run', run_key);
    END IF;
    SELECT o.versions, o.counters INTO result, counters FROM mastering.output o
     WHERE o.output_key = work.output_key OR (old = '{}' AND o.run_key = work.run_key AND o.golden_key = work.golden_key)
     ORDER BY o.output_key = work.output_key DESC, o.made_at DESC LIMIT 1;
    IF FOUND THEN
        RETURN jsonb_build_object('versions', result, 'counters', counters, 'reused', 'output', 'run', run_key);
    END IF;

    -- The budget of a run is for its statements too; one of them sorts and hashes in several places at once.
    budget := CASE budget WHEN '-1' THEN current_setting('maintenance_work_mem') ELSE budget END;
    PERFORM set_config('work_mem', greatest(pg_size_bytes(work_memory), pg_size_bytes(budget) / 4) / 1024 || 'kB', true);
    -- 0 where the system has no way to announce what will be read.
    PERFORM set_config('effective_io_concurrency', '32', true) WHERE read_ahead::int BETWEEN 1 AND 31;
    PERFORM mastering.drop_work_tables();
    PERFORM mastering.sync_entity_views(env.name || '_next', entity_name, entity, '{}');
    PERFORM mastering.apply_grants(env.name);
    records := mastering.map_records(env, entity_name, tree, data);
    PERFORM mastering.show_next(env.name, jsonb_build_object(entity_name || '_records', records));
    keys := mastering.index_keys(env, entity_name, tree, records);

    IF old -> '' ->> 'run' = run_key THEN    -- the same clusters, other golden rules
        members := old -> '_members';
        history := old -> '_history';
        reused := true;
        basis := old -> '' -> 'increment';
        counters := '{}';
    ELSE
        reused := EXISTS (SELECT FROM mastering.output o WHERE o.run_key = work.run_key);
        IF NOT reused THEN
            how := CASE WHEN old = '{}' THEN '{}' WHEN full_run THEN '{"run": "full", "because": "it was asked for"}' ELSE mastering.increment(env, entity_name, inputs, entity, model, labels, curation, old, records, keys) END;
        END IF;
        IF how ->> 'run' = 'incremental' THEN
            PERFORM set_config('random_page_cost', '1.1', true);
            members_old := '(SELECT k.* FROM pg_temp.mastering_member k JOIN pg_temp.mastering_touched t ON t.cluster = k."#cluster")';
        ELSE
            reused := mastering.make_partition(env, entity_name, model, labels, curation, run_key);
        END IF;
        windows := CASE WHEN how ->> 'run' = 'incremental' THEN 'false'
                        WHEN reused THEN (SELECT o.versions -> entity_name -> 'increment' -> 'windows' FROM mastering.output o WHERE o.run_key = work.run_key ORDER BY o.made_at LIMIT 1)
                        ELSE to_jsonb(EXISTS (SELECT FROM mastering.last_run() r WHERE r.phase = 'windows')) END;
        drift := coalesce(how -> 'drift', '{}');
        how := how - 'drift';
        basis := CASE WHEN how ->> 'run' = 'incremental' THEN old -> '' -> 'increment'
                      WHEN reused THEN (SELECT o.versions -> entity_name -> 'increment' FROM mastering.output o WHERE o.run_key = work.run_key ORDER BY o.made_at LIMIT 1) END;
        basis := CASE WHEN basis ? 'present' THEN jsonb_strip_nulls(jsonb_build_object('present', basis -> 'present', 'blocks', basis -> 'blocks', 'scores', basis -> 'scores')) ELSE mastering.run_basis(env, entity, model, records, keys) END
            || jsonb_build_object('decisions', mastering.decisions_in_force(env.name, entity_name), 'labels', tree -> mastering.path('entity', entity_name, 'labels'), 'erasure', inputs -> 'erasure', 'windows', windows);
        IF curation @? '$[*] ? (@[0] == "lock")' AND NOT reused THEN
            CREATE TEMP TABLE mastering_under_lock ON COMMIT DROP AS
            SELECT p.source, p.key FROM pg_temp.mastering_partition p
             WHERE p.label IN (SELECT q.label FROM pg_temp.mastering_partition q JOIN jsonb_array_elements(curation) l ON l ->> 0 = 'lock' JOIN LATERAL jsonb_array_elements(l -> 1) r ON r ->> 0 = q.source AND r ->> 1 = q.key);
        END IF;
        broken := CASE WHEN reused THEN mastering.contradicted_locks(run_key) ELSE mastering.lock_partition(curation, entity_name, run_key) END;
        PERFORM mastering.assign_ids(members_old);
        IF how ->> 'run' = 'incremental' THEN
            IF to_regclass('pg_temp.mastering_under_lock') IS NULL THEN
                PERFORM mastering.leave_unchanged();
            END IF;
            touched := ARRAY(SELECT t.cluster FROM pg_temp.mastering_touched t UNION SELECT i.cluster FROM pg_temp.mastering_identity i);
        END IF;
        members := mastering.next_version(mastering.entity_store('members', entity_name, entity), old -> '_members',
            'SELECT p.source AS "#source", p.key AS "#key", i.cluster AS "#cluster" FROM pg_temp.mastering_partition p JOIN pg_temp.mastering_identity i ON i.label = p.label',
            's."#source", s."#key", s."#cluster"', '{#source,#key}', touched, false, CASE WHEN how ->> 'run' = 'incremental' THEN members_old || ' s' END, ' ORDER BY 1, 2');
        IF to_regclass('pg_temp.mastering_under_lock') IS NOT NULL THEN
            basis := basis || jsonb_build_object('under_locks', (SELECT jsonb_agg(DISTINCT i.cluster) FROM pg_temp.mastering_under_lock u
                JOIN pg_temp.mastering_partition p ON p.source = u.source AND p.key = u.key JOIN pg_temp.mastering_identity i ON i.label = p.label));
        ELSIF NOT coalesce(curation @? '$[*] ? (@[0] == "lock")', false) THEN
            basis := basis || '{"under_locks": []}';
        END IF;
        EXECUTE format('CREATE TEMP TABLE mastering_lost ON COMMIT DROP AS SELECT m."#cluster" AS cluster, count(*) AS records FROM %s m WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.cluster = m."#cluster") GROUP BY 1', members_old);
        EXECUTE 'CREATE TEMP TABLE mastering_event (cluster, event, other, records, at) ON COMMIT DROP AS ' || mastering.history_query();
        history := mastering.next_version(mastering.entity_store('history', entity_name, entity), old -> '_history', 'SELECT * FROM pg_temp.mastering_event',
            's."#cluster", s.event, s.other_id, s.records, s.at', '{#cluster}', NULL, true);
        EXECUTE 'SELECT coalesce(jsonb_object_agg(e.event, e.n), ''{}'') FROM (SELECT q.event, count(*) AS n FROM pg_temp.mastering_event q GROUP BY 1) e' INTO counters;
        DROP TABLE pg_temp.mastering_lost;
    END IF;
    PERFORM mastering.show_next(env.name, jsonb_build_object(entity_name || '_members', members, entity_name || '_history', history));

    members_now := format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || (members ->> 'store'), mastering.version_condition(members, 's'));
    marks := mastering.override_marks(env.name, entity_name, members_now);
    IF old -> '' ->> 'rules' = rules_key AND (old -> '' ->> 'store')::int = mastering.entity_store('golden', entity_name, entity) THEN
        scope := coalesce(touched, mastering.changed_clusters(entity, old -> '_records', records, old -> '_members', members));
        IF scope IS NOT NULL THEN
            decided := coalesce(mastering.overridden_clusters(nullif(old -> '' -> 'overrides', 'null'), marks), '{}');
            scope := scope || decided;
        END IF;
    END IF;
    -- What an increment clustered it has read.
    IF touched IS NOT NULL AND decided <@ touched THEN
        EXECUTE format('GRANT SELECT ON pg_temp.mastering_partition, pg_temp.mastering_identity TO %I', env.owner);
        query := format('SELECT r."#source" || '':'' || r."#key" AS id, r."#source" AS source, %s, i.cluster AS "#cluster" FROM pg_temp.mastering_partition p JOIN pg_temp.mastering_identity i ON i.label = p.label
                           JOIN pg_temp.mastering_read r ON r."#source" = p.source AND r."#key" = p.key',
                        (SELECT string_agg(format('r.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a));
    ELSE
        query := format('SELECT r.source || '':'' || r.record_key AS id, r.source, %s, r.cluster_id AS "#cluster" FROM %I.%I r%s',
                        (SELECT string_agg(format('r.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
                        env.name || '_next', entity_name || '_records', CASE WHEN scope IS NULL THEN '' ELSE format(' WHERE r.cluster_id = ANY (%L::bigint[])', scope) END);
    END IF;
    EXECUTE format('CREATE TEMP TABLE mastering_golden ON COMMIT DROP AS SELECT * FROM mastering.query_as(%L, %L, %L, true) AS g ("#cluster" bigint, "#records" bigint, "#sources" bigint, %s, "#lineage" jsonb)',
                   env.owner, format('SELECT g.cluster_id, g.record_count, g.source_count, %s, g.lineage FROM (%s) g',
                                     -- Aggregates give a domain's base type, and values without length.
                                     (SELECT string_agg(format('CAST(g.%I AS %s)', a.value ->> 'name', a.value ->> 'type'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
                                     mastering.golden_sql(query, NULL, survivorship, true)),
                   mastering.artifact_path(env.name), mastering.column_list(entity -> 'attributes', true));
    PERFORM mastering.override_values(entity, overrides, members_now);
    -- They lie in the order in which the clusters were read and sorted, unless some were replaced.
    sorted := CASE WHEN overrides IS NULL THEN '' ELSE ' ORDER BY 1' END;
    IF scope IS NOT NULL THEN
        PERFORM mastering.note_before(old -> '', scope);
    END IF;
    golden := mastering.next_version(mastering.entity_store('golden', entity_name, entity), old -> '',
        format('SELECT g."#cluster", %s, g."#records", g."#sources", g.ctid AS "#place" FROM pg_temp.mastering_golden g',
               (SELECT string_agg(format('g.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a)),
        's."#cluster", ' || (SELECT string_agg(format('s.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a) || ', s."#records", s."#sources"', '{#cluster}', scope, false,
        CASE WHEN scope IS NOT NULL THEN 'pg_temp.mastering_before s' END, sorted, true);
    lineage := CASE WHEN touched IS NULL OR scope IS NULL THEN mastering.next_version(mastering.entity_store('lineage', entity_name, entity), old -> '_lineage',
        'SELECT g."#cluster", g."#lineage" AS lineage, g.ctid AS "#place" FROM pg_temp.mastering_golden g', 's."#cluster", s.lineage', '{#cluster}', scope, false, NULL, sorted, true)
        ELSE mastering.replaced_version(old -> '_lineage', 'SELECT g."#cluster", g."#lineage" FROM pg_temp.mastering_golden g' || sorted, scope) END;
    counters := counters || CASE WHEN broken > 0 THEN jsonb_build_object('contradicted_locks', broken) ELSE '{}' END || jsonb_build_object('records', records -> 'rows', 'clusters', golden -> 'rows');
    basis := coalesce(basis, '{}') || CASE WHEN touched IS NOT NULL AND scope IS NOT NULL AND old -> '' -> 'increment' ? 'sizes' AND old -> '' -> 'counters' ? 'covered'
        THEN mastering.changed_tally((old -> '' -> 'increment') || jsonb_build_object('covered', old -> '' -> 'counters' -> 'covered'), mastering.tally('pg_temp.mastering_before s', entity), mastering.tally('pg_temp.mastering_golden s', entity))
        WHEN scope IS NULL THEN mastering.tally('pg_temp.mastering_golden s', entity)
        ELSE mastering.tally(format('mastering.%I s WHERE %s', 'store_' || (golden ->> 'store'), mastering.version_condition(golden, 's')), entity) END;
    golden := golden || jsonb_build_object('run', run_key, 'golden', golden_key, 'rules', rules_key, 'overrides', marks, 'tree',
        (SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each(tree) t WHERE t.key = mastering.path('entity', entity_name)),
        'inputs', mastering.brief_inputs(inputs), 'counters', counters || mastering.tally_counters(basis) || drift, 'increment', basis - 'covered');
    PERFORM mastering.drop_work_tables();
    PERFORM set_config('work_mem', work_memory, true), set_config('random_page_cost', page_cost, true), set_config('effective_io_concurrency', read_ahead, true);

    result := jsonb_build_object(entity_name, golden, entity_name || '_records', records, entity_name || '_members', members,
                                 entity_name || '_lineage', lineage, entity_name || '_history', history, entity_name || '_keys', keys);
    INSERT INTO mastering.output (output_key, run_key, golden_key, entity, versions, counters, made_in, inputs)
    VALUES (output_key, run_key, golden_key, entity_name, result, counters, env.name, golden -> 'inputs') ON CONFLICT DO NOTHING;
    RETURN jsonb_build_object('versions', result, 'counters', counters, 'reused', CASE WHEN reused THEN 'partition' END, 'run', run_key, 'how', how);
END
$$;
COMMENT ON FUNCTION mastering.make_outputs(mastering.environment, text, jsonb, jsonb, jsonb, boolean) IS 'The versions of an entity''s outputs: found where they were made before, made otherwise, written as what differs from what is published.';

CREATE FUNCTION mastering.notify(event text, environment text, detail jsonb) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_notify('mastering', (jsonb_build_object('event', event, 'environment', environment) || detail)::text)
$$;
COMMENT ON FUNCTION mastering.notify(text, text, jsonb) IS 'A JSON line on channel mastering.';

CREATE FUNCTION mastering.do_master(env_name text, entity_name text, full_run boolean DEFAULT false, dry_run boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'loader');
    config mastering.configuration;
    published jsonb;
    outputs jsonb;
    summary jsonb;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;    -- its owner may be another by now
    PERFORM mastering.refresh_labels(env_name, entity_name);
    config := mastering.configuration_of(env_name);
    SELECT h.versions INTO published FROM mastering.head h WHERE h.environment = env_name;
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    IF dry_run THEN
        RETURN jsonb_build_object('entity', entity_name) || mastering.plan_run(env, entity_name, config.tree, config.data, published, full_run);
    END IF;
    outputs := mastering.make_outputs(env, entity_name, config.tree, config.data, published, full_run);
    summary := jsonb_build_object('entity', entity_name, 'reused', outputs -> 'reused') || (outputs -> 'counters') || CASE WHEN outputs -> 'how' <> '{}' THEN jsonb_build_object('how', outputs -> 'how') ELSE '{}' END;
    IF outputs ->> 'reused' IS DISTINCT FROM 'published' THEN
        PERFORM mastering.set_head(env_name || '_next', published || (outputs -> 'versions'));
        PERFORM mastering.check_bounds(env, config.tree, published, outputs -> 'versions', 'run', NULL);
        PERFORM mastering.run_checks(env, env_name || '_next', config.tree, published || (outputs -> 'versions'), 'run', NULL, entity_name);
        PERFORM mastering.set_head(env_name, published || (outputs -> 'versions'));
        PERFORM mastering.sync_views(env_name, entity_name);
        PERFORM mastering.show_candidate(env_name, 'next');
        PERFORM mastering.record_runs(env_name, 'run', published, outputs -> 'versions', jsonb_build_array(summary), NULL, NULL);
        PERFORM mastering.audit(env_name, 'run', summary || jsonb_build_object('run', outputs -> 'run'));
        PERFORM mastering.notify('run', env_name, summary);
    END IF;
    PERFORM mastering.tell_of_full_run(env_name, entity_name, config.tree, outputs -> 'how' ->> 'because') WHERE outputs -> 'how' ->> 'run' = 'full';
    RETURN summary;
END
$$;
COMMENT ON FUNCTION mastering.do_master(text, text, boolean, boolean) IS 'Behind master.';

CREATE FUNCTION mastering.master(env text, entity text, "full" boolean DEFAULT false, dry_run boolean DEFAULT false) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.master(text, text, boolean, boolean) IS 'Runs an entity: records, clusters, golden records, published together. After a small change under the same rules only what the change can have touched is clustered and written anew (doc/incremental.md); full => true goes over all records. Says which it was and why, how many records and clusters there are, what was reused, and how many clusters were born, split, merged or died. dry_run => true says what it would do, and does nothing.';
