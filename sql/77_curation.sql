-- 77_curation.sql: what stewards decide about clusters and golden records. It is kept by record (source and key), not by
-- cluster, so that every later run can follow it whatever clusters the model makes:
--   together  records that are the same thing            lock      exactly these records are a cluster
--   apart     pairs of records that are not              override  the value of one attribute of the golden record that
--                                                                  the first of these records that is still there is in
-- Curation is the environment's own: a rollback or a restore of its configuration leaves it, a promotion brings what
-- the source has and the target has not.

CREATE SEQUENCE mastering.curation_id;
CREATE TABLE mastering.curation (
    curation_id bigint PRIMARY KEY DEFAULT nextval('mastering.curation_id'),
    environment text COLLATE "C" NOT NULL,
    entity      text NOT NULL,
    action      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('together', 'apart', 'lock', 'override')),
    records     jsonb NOT NULL,
    attribute   text,
    value       text,
    reason      text,
    author      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz,
    ended_at    timestamptz,
    ended_by    text
);
CREATE INDEX ON mastering.curation (environment, entity) WHERE ended_at IS NULL;
COMMENT ON TABLE mastering.curation IS 'Stewards'' decisions. records: [[source, key], ...], of pairs [[source, key, source, key], ...]. action: the function that was called; several rows may come of one call.';
SELECT pg_catalog.pg_extension_config_dump('mastering.curation', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.curation_id', '');

CREATE TABLE mastering.lock_conflict (
    run_key text NOT NULL,
    entity  text NOT NULL,
    lock    text NOT NULL,
    source  text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    part    int NOT NULL,
    locked  boolean NOT NULL,
    others  bigint NOT NULL,
    PRIMARY KEY (run_key, lock, source, key)
);
CREATE INDEX ON mastering.lock_conflict (entity, source, key);
COMMENT ON TABLE mastering.lock_conflict IS 'Where the model of a run contradicts locks: the records that it would put together (part), those of the lock and up to a hundred others. lock: hash of the lock''s records.';
SELECT pg_catalog.pg_extension_config_dump('mastering.lock_conflict', '');

CREATE VIEW mastering.curations WITH (security_barrier) AS
    SELECT c.environment, c.entity, c.curation_id, c.action, c.kind, c.records, c.attribute, c.value, c.reason, c.author, c.created_at, c.expires_at, c.ended_at, c.ended_by,
           c.ended_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now()) AS in_force
      FROM mastering.curation c WHERE mastering.visible(c.environment, c.created_at);
COMMENT ON VIEW mastering.curations IS 'What stewards decided about clusters and golden records, and whether it is in force.';

-- ---- what a run follows ------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.curation_in_force(env_name text, entity_name text, kinds text[]) RETURNS SETOF mastering.curation
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c FROM mastering.curation c JOIN mastering.environment e ON e.name = c.environment
     WHERE c.environment = env_name AND c.entity = entity_name AND c.kind = ANY (kinds) AND c.ended_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now())
       AND c.created_at >= e.created_at
     ORDER BY c.curation_id
$$;
COMMENT ON FUNCTION mastering.curation_in_force(text, text, text[]) IS 'The curation of some kinds that an entity''s next run follows.';

-- Part of the key of a run: the same decisions, whoever took them in whatever order, give the same partition.
CREATE FUNCTION mastering.curation_of_clusters(env_name text, entity_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(d.decision ORDER BY d.decision)
      FROM (SELECT DISTINCT jsonb_build_array(c.kind, c.records) AS decision FROM mastering.curation_in_force(env_name, entity_name, '{together,apart,lock}') c) d
$$;
COMMENT ON FUNCTION mastering.curation_of_clusters(text, text) IS 'The decisions about clusters that are in force, as one document; NULL where there are none.';

CREATE FUNCTION mastering.curation_of_values(env_name text, entity_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(jsonb_build_object('records', c.records, 'attribute', c.attribute, 'value', c.value) ORDER BY c.curation_id)
      FROM mastering.curation_in_force(env_name, entity_name, '{override}') c
$$;
COMMENT ON FUNCTION mastering.curation_of_values(text, text) IS 'The overrides that are in force, the later one last; NULL where there are none.';

-- Records that are gone have no part in it; those that are left of a set are chained. Where a promotion brought what
-- contradicts a decision, apart holds.
CREATE FUNCTION mastering.curated_pairs(curation jsonb, input_query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($q$WITH named AS MATERIALIZED (
    SELECT d.ordinality AS decision, d.value ->> 0 AS kind, r.ordinality AS record, (r.value ->> 0) || ':' || (r.value ->> 1) AS id, (r.value ->> 2) || ':' || (r.value ->> 3) AS other
      FROM jsonb_array_elements(%L) WITH ORDINALITY d CROSS JOIN LATERAL jsonb_array_elements(d.value -> 1) WITH ORDINALITY r WHERE d.value ->> 0 <> 'lock'),
present AS (SELECT q.id FROM (%s) q WHERE q.id IN (SELECT id FROM named UNION SELECT other FROM named))
SELECT least(p.id_a, p.id_b) AS id_a, greatest(p.id_a, p.id_b) AS id_b, bool_and(p.is_match) AS is_match
  FROM (SELECT c.id AS id_a, c.before AS id_b, true AS is_match
          FROM (SELECT n.id, lag(n.id) OVER (PARTITION BY n.decision ORDER BY n.record) AS before FROM named n WHERE n.kind = 'together' AND n.id IN (SELECT id FROM present)) c WHERE c.before IS NOT NULL
        UNION ALL
        SELECT n.id, n.other, false FROM named n WHERE n.kind = 'apart' AND n.id IN (SELECT id FROM present) AND n.other IN (SELECT id FROM present)) p
 GROUP BY 1, 2$q$, curation, input_query)
     WHERE curation @? '$[*] ? (@[0] != "lock")'
$$;
COMMENT ON FUNCTION mastering.curated_pairs(jsonb, text) IS 'A document of curation_of_clusters as a query of labels for the records of a query; NULL where it holds none.';

-- What reviewers said of a pair gives way to what a steward decided about it.
CREATE FUNCTION mastering.verdicts_query(labels jsonb, curation jsonb, input_query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN l.query IS NULL THEN c.query WHEN c.query IS NULL THEN l.query
                ELSE format($q$WITH said AS MATERIALIZED (
    SELECT d.ordinality AS decision, d.value ->> 0 AS kind, (r.value ->> 0) || ':' || (r.value ->> 1) AS id, (r.value ->> 2) || ':' || (r.value ->> 3) AS other
      FROM jsonb_array_elements(%L) WITH ORDINALITY d CROSS JOIN LATERAL jsonb_array_elements(d.value -> 1) r WHERE d.value ->> 0 <> 'lock')
SELECT * FROM (%s) c UNION ALL
SELECT l.* FROM (%s) l WHERE NOT EXISTS (SELECT FROM said a JOIN said b ON b.decision = a.decision WHERE a.kind = 'together' AND a.id = l.id_a AND b.id = l.id_b)
   AND NOT EXISTS (SELECT FROM said a WHERE a.kind = 'apart' AND (a.id = l.id_a AND a.other = l.id_b OR a.id = l.id_b AND a.other = l.id_a))$q$, curation, c.query, l.query) END
      FROM (SELECT mastering.label_query(labels)) l (query), (SELECT mastering.curated_pairs(curation, input_query)) c (query)
$$;
COMMENT ON FUNCTION mastering.verdicts_query(jsonb, jsonb, text) IS 'The labels that a run follows, as a query; NULL where there are none.';

-- A locked cluster has the records that it had, those that are still there, whatever the model says.
CREATE FUNCTION mastering.lock_partition(curation jsonb, entity_name text, run_key text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    broken bigint;
BEGIN
    IF NOT coalesce(curation @? '$[*] ? (@[0] == "lock")', false) THEN
        RETURN 0;
    END IF;
    CREATE TEMP TABLE mastering_locked ON COMMIT DROP AS
    SELECT DISTINCT ON (r.value ->> 0, r.value ->> 1) r.value ->> 0 AS source, r.value ->> 1 AS key, 'lock ' || l.ordinality AS label, mastering.json_hash(l.value -> 1) AS hash
      FROM jsonb_array_elements(curation) WITH ORDINALITY l CROSS JOIN LATERAL jsonb_array_elements(l.value -> 1) r WHERE l.value ->> 0 = 'lock'
     ORDER BY 1, 2, l.ordinality;
    ANALYZE pg_temp.mastering_locked;
    -- The model contradicts a lock where it would part its records or put another to them.
    DELETE FROM mastering.lock_conflict c WHERE c.run_key = lock_partition.run_key
        OR NOT EXISTS (SELECT FROM mastering.output o WHERE o.run_key = c.run_key) AND NOT EXISTS (SELECT FROM mastering.head h CROSS JOIN LATERAL jsonb_each(h.versions) v WHERE v.value ->> 'run' = c.run_key);
    WITH part AS (
        SELECT k.label AS lock, k.hash, p.label, row_number() OVER (PARTITION BY k.label ORDER BY min((p.source || ':' || p.key) COLLATE "C")) AS part
          FROM pg_temp.mastering_locked k JOIN pg_temp.mastering_partition p ON p.source = k.source AND p.key = k.key GROUP BY 1, 2, 3),
    record AS (
        SELECT a.lock, a.hash, a.part, p.source, p.key, k.key IS NOT NULL AS locked,
               row_number() OVER (PARTITION BY a.lock, k.key IS NULL ORDER BY p.source COLLATE "C", p.key COLLATE "C") AS n, max(a.part) OVER w AS parts, count(*) FILTER (WHERE k.key IS NULL) OVER w AS others
          FROM part a JOIN pg_temp.mastering_partition p ON p.label = a.label LEFT JOIN pg_temp.mastering_locked k ON k.source = p.source AND k.key = p.key AND k.label = a.lock
        WINDOW w AS (PARTITION BY a.lock))
    INSERT INTO mastering.lock_conflict (run_key, entity, lock, source, key, part, locked, others)
    SELECT lock_partition.run_key, entity_name, r.hash, r.source, r.key, r.part, r.locked, r.others FROM record r WHERE (r.parts > 1 OR r.others > 0) AND (r.locked OR r.n <= 100) ON CONFLICT DO NOTHING;
    broken := mastering.contradicted_locks(run_key);
    UPDATE pg_temp.mastering_partition p SET label = k.label FROM pg_temp.mastering_locked k WHERE k.source = p.source AND k.key = p.key;
    DROP TABLE pg_temp.mastering_locked;
    RETURN broken;
END
$$;
COMMENT ON FUNCTION mastering.lock_partition(jsonb, text, text) IS 'Gives the records of locked clusters a label of their own in pg_temp.mastering_partition; notes in lock_conflict where the model contradicts that, and returns how many locks it contradicts.';

-- The value of a cell and, in its lineage, where it comes from. The anchor's cluster has the override.
CREATE FUNCTION mastering.override_values(entity jsonb, overrides jsonb, members text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' AS $$
DECLARE
    item record;
BEGIN
    FOR item IN SELECT o.value -> 'records' AS records, a.value ->> 'name' AS attribute, a.value ->> 'type' AS type, o.value ->> 'value' AS value
                  FROM jsonb_array_elements(overrides) WITH ORDINALITY o JOIN jsonb_array_elements(entity -> 'attributes') a ON a.value ->> 'name' = o.value ->> 'attribute' ORDER BY o.ordinality LOOP
        EXECUTE format('UPDATE pg_temp.mastering_golden g SET %I = CAST($1 AS %s), "#lineage" = g."#lineage" || jsonb_build_object($2, ''{"rule": "override", "record": null, "source": null, "agreeing": 0}''::jsonb)
                         WHERE g."#cluster" = (SELECT m."#cluster" FROM jsonb_array_elements($3) WITH ORDINALITY r JOIN %s m ON m."#source" = r.value ->> 0 AND m."#key" = r.value ->> 1 ORDER BY r.ordinality LIMIT 1)',
                       item.attribute, item.type, members)
          USING item.value, item.attribute, item.records;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.override_values(jsonb, jsonb, text) IS 'Puts overrides into pg_temp.mastering_golden.';

-- What a version keeps of overrides: which decision lies on which cluster, and neither values nor records.
CREATE FUNCTION mastering.override_marks(env_name text, entity_name text, members text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    marks jsonb;
BEGIN
    IF mastering.curation_of_values(env_name, entity_name) IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT jsonb_agg(jsonb_build_array(o.cluster, o.curation_id) ORDER BY o.curation_id)
                      FROM (SELECT DISTINCT ON (c.curation_id) c.curation_id, m."#cluster" AS cluster
                              FROM mastering.curation_in_force($1, $2, ''{override}'') c CROSS JOIN LATERAL jsonb_array_elements(c.records) WITH ORDINALITY r
                              JOIN %s m ON m."#source" = r.value ->> 0 AND m."#key" = r.value ->> 1 ORDER BY c.curation_id, r.ordinality) o', members) INTO marks USING env_name, entity_name;
    RETURN marks;
END
$$;
COMMENT ON FUNCTION mastering.override_marks(text, text, text) IS 'The overrides that lie on clusters now: [[cluster, curation], ...]; NULL where there are none.';

CREATE FUNCTION mastering.overridden_clusters(old_marks jsonb, new_marks jsonb) RETURNS bigint[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT (m.value ->> 0)::bigint), '{}') FROM jsonb_array_elements(coalesce(old_marks, '[]') || coalesce(new_marks, '[]')) m
     WHERE NOT (coalesce(old_marks, '[]') @> jsonb_build_array(m.value) AND coalesce(new_marks, '[]') @> jsonb_build_array(m.value))
$$;
COMMENT ON FUNCTION mastering.overridden_clusters(jsonb, jsonb) IS 'The clusters whose overrides may have changed since the last run.';

-- A promotion takes over what the source has decided and the target has not, ends what the source has ended since the
-- target has it, and does not bring back what the target has ended since the source decided it.
CREATE FUNCTION mastering.merge_curation(source_name text, target_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM mastering.curation c WHERE c.environment = source_name) THEN    -- and no plans for what is below
        RETURN 0;
    END IF;
    UPDATE mastering.curation o SET ended_at = clock_timestamp(), ended_by = mastering.caller()
      FROM mastering.curation c JOIN mastering.environment s ON s.name = c.environment
     WHERE o.environment = target_name AND o.ended_at IS NULL AND c.environment = source_name AND c.created_at >= s.created_at AND c.ended_at > o.created_at
       AND o.entity = c.entity AND o.kind = c.kind AND o.records = c.records AND o.attribute IS NOT DISTINCT FROM c.attribute AND o.value IS NOT DISTINCT FROM c.value
       AND NOT EXISTS (SELECT FROM mastering.curation x WHERE x.environment = source_name AND x.ended_at IS NULL AND x.entity = c.entity AND x.kind = c.kind AND x.records = c.records
                          AND x.attribute IS NOT DISTINCT FROM c.attribute AND x.value IS NOT DISTINCT FROM c.value);
    INSERT INTO mastering.curation (environment, entity, action, kind, records, attribute, value, reason, author, created_at, expires_at)
    SELECT target_name, c.entity, c.action, c.kind, c.records, c.attribute, c.value, c.reason, c.author, clock_timestamp(), c.expires_at
      FROM mastering.curation c JOIN mastering.environment s ON s.name = c.environment JOIN mastering.environment t ON t.name = target_name
     WHERE c.environment = source_name AND c.ended_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now()) AND c.created_at >= s.created_at
       AND NOT EXISTS (SELECT FROM mastering.curation o WHERE o.environment = target_name AND o.created_at >= t.created_at AND o.entity = c.entity AND o.kind = c.kind AND o.records = c.records
                          AND (o.ended_at IS NULL OR o.ended_at >= c.created_at) AND o.attribute IS NOT DISTINCT FROM c.attribute AND (o.kind <> 'override' OR o.value IS NOT DISTINCT FROM c.value OR o.created_at >= c.created_at))
     ORDER BY c.curation_id;
    GET DIAGNOSTICS taken = ROW_COUNT;
    RETURN taken;
END
$$;
COMMENT ON FUNCTION mastering.merge_curation(text, text) IS 'Brings an environment the curation that another has; returns how much that was.';

-- ---- what stewards call --------------------------------------------------------------------------------------------------

-- The members of a published cluster, least first: its anchor. An old id that was merged leads to the cluster it is in now.
CREATE FUNCTION mastering.members_of(env_name text, entity_name text, cluster bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version jsonb := (SELECT h.versions -> (entity_name || '_members') FROM mastering.head h WHERE h.environment = env_name);
    members jsonb;
BEGIN
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF version IS NOT NULL THEN
        EXECUTE format('SELECT jsonb_agg(jsonb_build_array(s."#source", s."#key") ORDER BY s."#source" COLLATE "C", s."#key" COLLATE "C") FROM mastering.%I s WHERE s."#cluster" = $1 AND %s',
                       'store_' || (version ->> 'store'), mastering.version_condition(version, 's')) INTO members USING cluster;
    END IF;
    IF members IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no cluster % in environment "%"', entity_name, cluster, env_name
            USING ERRCODE = '42704', HINT = format('SELECT * FROM %I.%I WHERE id = %s tells what became of it, if there was one.', env_name, entity_name || '_history', coalesce(cluster::text, 'NULL'));
    END IF;
    RETURN members;
END
$$;
COMMENT ON FUNCTION mastering.members_of(text, text, bigint) IS 'The records of a published cluster: [[source, key], ...]; an error where there is none.';

CREATE FUNCTION mastering.add_curation(env_name text, entity_name text, action text, kind text, records jsonb, reason text, attribute text DEFAULT NULL, value text DEFAULT NULL, expires_at timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    id bigint;
BEGIN
    INSERT INTO mastering.curation (environment, entity, action, kind, records, attribute, value, reason, author, expires_at)
    VALUES (env_name, entity_name, action, kind, records, attribute, value, reason, mastering.caller(), expires_at) RETURNING curation_id INTO id;
    PERFORM mastering.audit(env_name, action, jsonb_strip_nulls(jsonb_build_object('entity', entity_name, 'curation', id, 'attribute', attribute, 'reason', reason)));
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.add_curation(text, text, text, text, jsonb, text, text, text, timestamptz) IS 'Notes a decision; returns its number.';

-- Later decisions win: what was said before of records on two sides ends, and is said again of what it was right about.
CREATE FUNCTION mastering.end_decisions(env_name text, entity_name text, kind_name text, one_side jsonb, other_side jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item mastering.curation;
    rests jsonb;
BEGIN
    FOR item IN SELECT * FROM mastering.curation_in_force(env_name, entity_name, ARRAY[kind_name]) LOOP
        IF kind_name = 'together' THEN    -- a set falls into those of one side and the others
            SELECT jsonb_build_array(coalesce(jsonb_agg(r.value ORDER BY r.ordinality) FILTER (WHERE r.one), '[]'), coalesce(jsonb_agg(r.value ORDER BY r.ordinality) FILTER (WHERE NOT r.one), '[]')) INTO rests
              FROM (SELECT r.*, EXISTS (SELECT FROM jsonb_array_elements(one_side) x WHERE x = r.value) AS one FROM jsonb_array_elements(item.records) WITH ORDINALITY r) r;
            CONTINUE WHEN rests -> 0 = '[]' OR NOT EXISTS (SELECT FROM jsonb_array_elements(rests -> 1) r JOIN jsonb_array_elements(other_side) x ON x = r);
        ELSE
            SELECT jsonb_build_array(coalesce(jsonb_agg(r.value ORDER BY r.ordinality), '[]')) INTO rests
              FROM jsonb_array_elements(item.records) WITH ORDINALITY r
              CROSS JOIN LATERAL (SELECT jsonb_build_array(r.value -> 0, r.value -> 1) AS a, jsonb_build_array(r.value -> 2, r.value -> 3) AS b) e
             WHERE NOT (EXISTS (SELECT FROM jsonb_array_elements(one_side) x WHERE x = e.a) AND EXISTS (SELECT FROM jsonb_array_elements(other_side) x WHERE x = e.b))
               AND NOT (EXISTS (SELECT FROM jsonb_array_elements(one_side) x WHERE x = e.b) AND EXISTS (SELECT FROM jsonb_array_elements(other_side) x WHERE x = e.a));
            CONTINUE WHEN rests -> 0 = item.records;
        END IF;
        UPDATE mastering.curation c SET ended_at = clock_timestamp(), ended_by = mastering.caller() WHERE c.curation_id = item.curation_id;
        INSERT INTO mastering.curation (environment, entity, action, kind, records, reason, author)
        SELECT item.environment, item.entity, item.action, item.kind, r.value, item.reason, item.author FROM jsonb_array_elements(rests) WITH ORDINALITY r
         WHERE jsonb_array_length(r.value) > CASE kind_name WHEN 'together' THEN 1 ELSE 0 END ORDER BY r.ordinality;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.end_decisions(text, text, text, jsonb, jsonb) IS 'Ends what was decided before about records of one side together with records of the other.';

CREATE FUNCTION mastering.require_unlocked(env_name text, entity_name text, touched jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lock mastering.curation;
BEGIN
    SELECT c.* INTO lock FROM mastering.curation_in_force(env_name, entity_name, '{lock}') c
     WHERE EXISTS (SELECT FROM jsonb_array_elements(c.records) a JOIN jsonb_array_elements(touched) b ON a = b) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the cluster is locked' USING ERRCODE = '55000', DETAIL = format('By "%s", curation %s: %s.', lock.author, lock.curation_id, coalesce(lock.reason, 'no reason given')),
            HINT = format('SELECT mastering.end_curation(%L, %s) ends it.', env_name, lock.curation_id);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_unlocked(text, text, jsonb) IS 'Raises where one of the records is of a locked cluster.';

CREATE FUNCTION mastering.do_merge_clusters(env_name text, entity_name text, clusters bigint[], reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster bigint;
    members jsonb;
    everybody jsonb := '[]';
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    IF (SELECT count(DISTINCT c) FROM unnest(clusters) c) < 2 THEN
        RAISE EXCEPTION 'two clusters or more are wanted to be merged' USING ERRCODE = '22023';
    END IF;
    FOR cluster IN SELECT DISTINCT c FROM unnest(clusters) c ORDER BY 1 LOOP
        members := mastering.members_of(env_name, entity_name, cluster);
        PERFORM mastering.require_unlocked(env_name, entity_name, members);
        everybody := everybody || members;
    END LOOP;
    PERFORM mastering.end_decisions(env_name, entity_name, 'apart', everybody, everybody);
    RETURN mastering.add_curation(env_name, entity_name, 'merge_clusters', 'together', everybody, reason);
END
$$;
COMMENT ON FUNCTION mastering.do_merge_clusters(text, text, bigint[], text) IS 'Behind merge_clusters.';

CREATE FUNCTION mastering.merge_clusters(env text, entity text, clusters bigint[], reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.merge_clusters(text, text, bigint[], text) IS 'Decides that clusters are the same thing; every run from the next one on follows it. Returns the number of the decision.';

CREATE FUNCTION mastering.part_cluster(env_name text, entity_name text, action text, members jsonb, leaving jsonb, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    staying jsonb := (SELECT jsonb_agg(m.value ORDER BY m.ordinality) FROM jsonb_array_elements(members) WITH ORDINALITY m WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(leaving) l WHERE l = m.value));
BEGIN
    IF staying IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM mastering.end_decisions(env_name, entity_name, 'together', leaving, staying);
    PERFORM mastering.end_decisions(env_name, entity_name, 'apart', leaving, staying);
    RETURN mastering.add_curation(env_name, entity_name, action, 'apart',
        (SELECT jsonb_agg(l.value || s.value ORDER BY l.ordinality, s.ordinality) FROM jsonb_array_elements(leaving) WITH ORDINALITY l, jsonb_array_elements(staying) WITH ORDINALITY s), reason);
END
$$;
COMMENT ON FUNCTION mastering.part_cluster(text, text, text, jsonb, jsonb, text) IS 'Decides that some records of a cluster are apart from its others; NULL where there are no others.';

CREATE FUNCTION mastering.do_split_cluster(env_name text, entity_name text, cluster bigint, records text[], reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    members jsonb;
    leaving jsonb;
    stranger text;
    decision bigint;
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    members := mastering.members_of(env_name, entity_name, cluster);
    PERFORM mastering.require_unlocked(env_name, entity_name, members);
    SELECT r INTO stranger FROM unnest(records) r WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(members) m WHERE (m ->> 0) || ':' || (m ->> 1) = r) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'record "%" is not in cluster %', stranger, cluster USING ERRCODE = '42704', DETAIL = 'A record is named source:key.',
            HINT = format('SELECT source || '':'' || record_key FROM %I.%I WHERE cluster_id = %s', env_name, entity_name || '_members', cluster);
    END IF;
    SELECT jsonb_agg(m.value ORDER BY m.ordinality) INTO leaving FROM jsonb_array_elements(members) WITH ORDINALITY m WHERE (m.value ->> 0) || ':' || (m.value ->> 1) = ANY (records);
    IF leaving IS NULL OR leaving = members THEN
        RAISE EXCEPTION 'some records of the cluster are wanted, and not all' USING ERRCODE = '22023', DETAIL = format('Cluster %s has %s.', cluster, jsonb_array_length(members));
    END IF;
    decision := mastering.part_cluster(env_name, entity_name, 'split_cluster', members, leaving, reason);
    IF jsonb_array_length(leaving) > 1 THEN    -- they leave together
        PERFORM mastering.end_decisions(env_name, entity_name, 'apart', leaving, leaving);
        PERFORM mastering.add_curation(env_name, entity_name, 'split_cluster', 'together', leaving, reason);
    END IF;
    RETURN decision;
END
$$;
COMMENT ON FUNCTION mastering.do_split_cluster(text, text, bigint, text[], text) IS 'Behind split_cluster.';

CREATE FUNCTION mastering.split_cluster(env text, entity text, cluster bigint, records text[], reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.split_cluster(text, text, bigint, text[], text) IS 'Decides that some records of a cluster (each source:key) are another thing than its others; they leave it together. Every run from the next one on follows it.';

CREATE FUNCTION mastering.do_move_record(env_name text, entity_name text, source_name text, key_text text, cluster bigint, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version jsonb;
    mover jsonb := jsonb_build_array(source_name, key_text);
    home bigint;
    members jsonb;
    goal jsonb;
    decision bigint;
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    SELECT h.versions -> (entity_name || '_members') INTO version FROM mastering.head h WHERE h.environment = env_name;
    IF version IS NOT NULL THEN
        EXECUTE format('SELECT s."#cluster" FROM mastering.%I s WHERE s."#source" = $1 AND s."#key" = $2 AND %s', 'store_' || (version ->> 'store'), mastering.version_condition(version, 's'))
           INTO home USING source_name, key_text;
    END IF;
    IF home IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no record "%" of source "%" in environment "%"', entity_name, key_text, source_name, env_name USING ERRCODE = '42704';
    END IF;
    members := mastering.members_of(env_name, entity_name, home);
    PERFORM mastering.require_unlocked(env_name, entity_name, members);
    IF cluster = home THEN
        RAISE EXCEPTION 'record "%" of source "%" is in cluster % already', key_text, source_name, cluster USING ERRCODE = '22023';
    END IF;
    IF cluster IS NOT NULL THEN
        goal := mastering.members_of(env_name, entity_name, cluster);
        PERFORM mastering.require_unlocked(env_name, entity_name, goal);
    END IF;
    decision := mastering.part_cluster(env_name, entity_name, 'move_record', members, jsonb_build_array(mover), reason);
    IF goal IS NOT NULL THEN
        PERFORM mastering.end_decisions(env_name, entity_name, 'apart', jsonb_build_array(mover), goal);
        decision := mastering.add_curation(env_name, entity_name, 'move_record', 'together', jsonb_build_array(mover) || goal, reason);
    END IF;
    IF decision IS NULL THEN
        RAISE EXCEPTION 'record "%" of source "%" is alone in its cluster already', key_text, source_name USING ERRCODE = '22023';
    END IF;
    RETURN decision;
END
$$;
COMMENT ON FUNCTION mastering.do_move_record(text, text, text, text, bigint, text) IS 'Behind move_record.';

CREATE FUNCTION mastering.move_record(env text, entity text, source text, record_key text, cluster bigint DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.move_record(text, text, text, text, bigint, text) IS 'Decides that a record belongs to another cluster, or to none of those there are (NULL), and not to the one that it is in.';

CREATE FUNCTION mastering.do_lock_cluster(env_name text, entity_name text, cluster bigint, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    members jsonb;
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    members := mastering.members_of(env_name, entity_name, cluster);
    PERFORM mastering.require_unlocked(env_name, entity_name, members);
    RETURN mastering.add_curation(env_name, entity_name, 'lock_cluster', 'lock', members, reason);
END
$$;
COMMENT ON FUNCTION mastering.do_lock_cluster(text, text, bigint, text) IS 'Behind lock_cluster.';

CREATE FUNCTION mastering.lock_cluster(env text, entity text, cluster bigint, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.lock_cluster(text, text, bigint, text) IS 'Decides that a cluster is right as it is: no run adds a record to it or takes one away. Runs count the locks that the model contradicts.';

CREATE FUNCTION mastering.do_override_golden(env_name text, entity_name text, cluster bigint, attribute_name text, value_text text, reason text, expires timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' AS $$
DECLARE
    entity jsonb;
    members jsonb;
    type_text text;
    item mastering.curation;
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    members := mastering.members_of(env_name, entity_name, cluster);
    entity := mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    SELECT a ->> 'type' INTO type_text FROM jsonb_array_elements(entity -> 'attributes') a WHERE a ->> 'name' = attribute_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, attribute_name USING ERRCODE = '42703',
            DETAIL = format('It has %s.', (SELECT string_agg(a ->> 'name', ', ') FROM jsonb_array_elements(entity -> 'attributes') a));
    END IF;
    IF expires <= now() THEN
        RAISE EXCEPTION 'the override would have expired at %', expires USING ERRCODE = '22023';
    END IF;
    BEGIN
        EXECUTE format('SELECT CAST($1 AS %s)', type_text) USING value_text;
    EXCEPTION WHEN data_exception THEN
        RAISE EXCEPTION 'attribute "%" is of type %, and "%" is no such value', attribute_name, type_text, value_text USING ERRCODE = '22023';
    END;
    FOR item IN SELECT * FROM mastering.curation_in_force(env_name, entity_name, '{override}') c
                 WHERE c.attribute = attribute_name AND EXISTS (SELECT FROM jsonb_array_elements(members) m JOIN jsonb_array_elements(c.records) r ON r = m) LOOP
        UPDATE mastering.curation c SET ended_at = clock_timestamp(), ended_by = mastering.caller() WHERE c.curation_id = item.curation_id;
    END LOOP;
    RETURN mastering.add_curation(env_name, entity_name, 'override_golden', 'override', members, reason, attribute_name, value_text, expires);
END
$$;
COMMENT ON FUNCTION mastering.do_override_golden(text, text, bigint, text, text, text, timestamptz) IS 'Behind override_golden.';

CREATE FUNCTION mastering.override_golden(env text, entity text, cluster bigint, attribute text, value text, reason text DEFAULT NULL, expires_at timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.override_golden(text, text, bigint, text, text, text, timestamptz) IS 'Decides the value of one cell of a golden record (NULL empties it), until it expires or is ended; every run from the next one on follows it, and the lineage says so.';

CREATE FUNCTION mastering.do_end_curation(env_name text, curation bigint, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'curator');
    PERFORM mastering.lock_environment(env_name);
    UPDATE mastering.curation c SET ended_at = clock_timestamp(), ended_by = mastering.caller()
      FROM mastering.environment e WHERE e.name = env_name AND c.environment = env_name AND c.created_at >= e.created_at AND c.curation_id = curation AND c.ended_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" has no curation % in force', env_name, curation
            USING ERRCODE = '42704', HINT = format('SELECT * FROM mastering.curations WHERE environment = %L AND in_force', env_name);
    END IF;
    PERFORM mastering.audit(env_name, 'end_curation', jsonb_strip_nulls(jsonb_build_object('curation', curation, 'reason', reason)));
END
$$;
COMMENT ON FUNCTION mastering.do_end_curation(text, bigint, text) IS 'Behind end_curation.';

CREATE FUNCTION mastering.end_curation(env text, curation bigint, reason text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.end_curation(text, bigint, text) IS 'Ends a decision of merge_clusters, split_cluster, move_record, lock_cluster or override_golden; the next run does without it.';
