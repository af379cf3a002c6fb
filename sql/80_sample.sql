-- 80_sample.sql: a part of one environment's data that can stand for all of it, loaded into another.
--
-- Whole clusters are taken, since duplicates are what models learn from. Clusters lie in cells: stratum, rarest source of
-- their records, size, and whether one of their sources makes trouble. Each cell gives in proportion to its records, troubled
-- ones more; strata and sources that would give too little give some clusters first, and so do attributes that would be all
-- filled or all empty. Within a cell the order is that of a hash of the seed and the cluster's least record: the same state and
-- the same seed give the same sample, whatever numbers the clusters have and however the rows are read.
--
-- What is sampled are the rows of sources, as loaded; they become a version of the target's sources, which says so in
-- "sample". The target keeps what its sources are bound to, and load refuses to overwrite a sample until end_sample.

-- ---- what a sample is to loads -------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.require_no_sample(env_name text, place text, current jsonb, relation text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sample jsonb := current -> 'sample';
BEGIN
    IF sample IS NOT NULL AND NOT sample ? 'ended' THEN
        RAISE EXCEPTION 'source "%" of entity "%" in environment "%" holds a sample of environment "%"', mastering.step(place, 2), mastering.step(place, 1), env_name, sample ->> 'of'
            USING ERRCODE = '55000', DETAIL = format('A load would put all rows of %s in its place.', relation),
                  HINT = format('SELECT mastering.end_sample(%L, %L, %L) if that is wanted; SELECT * FROM mastering.sample_environment(%L, %L) takes another sample.',
                                env_name, mastering.step(place, 1), mastering.step(place, 2), sample ->> 'of', env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_no_sample(text, text, jsonb, text) IS 'Raises where a load would overwrite a sample.';

CREATE FUNCTION mastering.do_end_sample(env_name text, entity_name text, source_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config mastering.configuration;
    ended jsonb;
BEGIN
    PERFORM mastering.require(env_name, 'loader', 'author');
    PERFORM mastering.lock_environment(env_name);
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    SELECT jsonb_object_agg(d.key, jsonb_set(d.value, '{sample,ended}', 'true')) INTO ended FROM jsonb_each(config.data) d
     WHERE mastering.step(d.key, 1) = entity_name AND (source_name IS NULL OR mastering.step(d.key, 2) = source_name) AND d.value ? 'sample' AND NOT d.value -> 'sample' ? 'ended';
    IF ended IS NULL THEN
        RAISE EXCEPTION 'entity "%" of environment "%" holds no sample%', entity_name, env_name, coalesce(format(' in source "%s"', source_name), '') USING ERRCODE = '42704';
    END IF;
    UPDATE mastering.configuration c SET data = c.data || ended, changed_at = now() WHERE c.environment = env_name;
    PERFORM mastering.audit(env_name, 'end sample', jsonb_build_object('entity', entity_name, 'sources', (SELECT jsonb_agg(mastering.step(e, 2) ORDER BY e) FROM jsonb_object_keys(ended) e)));
    RETURN (SELECT count(*) FROM jsonb_object_keys(ended));
END
$$;
COMMENT ON FUNCTION mastering.do_end_sample(text, text, text) IS 'Behind end_sample.';
CREATE FUNCTION mastering.end_sample(env text, entity text, source text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.end_sample(text, text, text) IS 'Lets the next load of sources that hold a sample put the rows of their own relations in its place; says how many sources. Nothing changes until then.';

-- ---- which sources make trouble ---------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.problem_sources(env_name text, entity_name text, tree jsonb, data jsonb) RETURNS TABLE (name text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH source AS (
        SELECT s.name, mastering.path(entity_name, s.name) AS place, greatest((data -> mastering.path(entity_name, s.name) ->> 'rows')::numeric, 1) AS rows FROM mastering.sources_of(tree, entity_name) s),
    entry AS (
        SELECT a.action, a.detail FROM mastering.audit_entry a JOIN mastering.environment e ON e.name = a.environment AND a.at >= e.created_at
         WHERE a.environment = env_name AND a.action IN ('load', 'load failed')),
    seen AS (
        SELECT s.name, (SELECT count(*) FROM entry a WHERE a.action = 'load failed' AND a.detail ->> 'source' = s.place) AS failed_loads,
               (SELECT count(*) FROM mastering.check_result r JOIN mastering.environment e ON e.name = r.environment AND r.checked_at >= e.created_at
                 WHERE r.environment = env_name AND r.entity = entity_name AND r.stage = 'load' AND NOT r.passed
                   AND mastering.artifact_at(tree, mastering.path('entity', entity_name, 'check', r.check_name)) ->> 'query'
                       ~ ('(?<![[:alnum:]_])' || regexp_replace(s.name, '([^[:alnum:]_ ])', '\\\1', 'g') || '(?![[:alnum:]_])')) AS failed_checks,
               (SELECT coalesce(sum((a.detail ->> 'inserted')::numeric + (a.detail ->> 'updated')::numeric + (a.detail ->> 'deleted')::numeric), 0) FROM entry a
                 WHERE a.action = 'load' AND a.detail ->> 'source' = s.place AND a.detail ->> 'change' <> 'initial') / s.rows AS changes
          FROM source s)
    SELECT s.name, concat_ws(', ', CASE WHEN s.failed_loads > 0 THEN s.failed_loads || ' failed loads' END, CASE WHEN s.failed_checks > 0 THEN s.failed_checks || ' failed checks' END,
                                   CASE WHEN s.changes > m.usual THEN format('%s %% of its rows changed', round(100 * s.changes)) END)
      FROM seen s CROSS JOIN (SELECT 1.5 * avg(x.changes) AS usual, count(*) AS sources FROM seen x) m
     WHERE s.failed_loads > 0 OR s.failed_checks > 0 OR (m.sources > 1 AND s.changes > m.usual)
$$;
COMMENT ON FUNCTION mastering.problem_sources(text, text, jsonb, jsonb) IS 'Sources of an entity whose loads or checks failed, or that change far more than the others, and why.';

-- ---- choosing clusters ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.strata_of_entity(strata jsonb, entity_name text, entity jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted jsonb := CASE jsonb_typeof(strata) WHEN 'object' THEN coalesce(strata -> entity_name, '[]') ELSE coalesce(strata, '[]') END;
    missing text;
BEGIN
    IF jsonb_typeof(wanted) IS DISTINCT FROM 'array' OR wanted @? 'strict $[*] ? (@.type() != "string")' THEN
        RAISE EXCEPTION 'strata are an array of attributes, or an object of entities and such arrays' USING ERRCODE = '22023', HINT = 'Write ["country"] or {"customer": ["country"]}.';
    END IF;
    SELECT w INTO missing FROM jsonb_array_elements_text(wanted) w WHERE jsonb_typeof(strata) = 'object' AND NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', w)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, missing USING ERRCODE = '42703';
    END IF;
    RETURN ARRAY(SELECT w.value FROM jsonb_array_elements_text(wanted) WITH ORDINALITY w WHERE entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', w.value)) ORDER BY w.ordinality);
END
$$;
COMMENT ON FUNCTION mastering.strata_of_entity(jsonb, text, jsonb) IS 'The attributes whose golden values part the clusters of an entity into strata.';

CREATE FUNCTION mastering.drop_sample_tables() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.mastering_sample_source, pg_temp.mastering_sample_member, pg_temp.mastering_sample_cluster, pg_temp.mastering_sample_cell, pg_temp.mastering_sample_key, pg_temp.mastering_incoming;
END
$$;
COMMENT ON FUNCTION mastering.drop_sample_tables() IS 'Drops the temporary tables of a sample.';

-- The live rows of a version.
CREATE FUNCTION mastering.version_rows(version jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || (version ->> 'store'), mastering.version_condition(version, 's'))
$$;
COMMENT ON FUNCTION mastering.version_rows(jsonb) IS 'The rows of a version as a FROM item without a name.';

-- Makes pg_temp.mastering_sample_source, _cluster (chosen: why, or NULL) and _key (the records of the chosen ones).
CREATE FUNCTION mastering.choose_sample(state mastering.state, entity_name text, wanted bigint, strata text[], seed bigint, problem_weight numeric) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    members text := mastering.version_rows(state.versions -> (entity_name || '_members'));
    golden text := mastering.version_rows(state.versions -> entity_name);
    records text := mastering.version_rows(state.versions -> (entity_name || '_records'));
    entity jsonb := mastering.artifact_at(state.versions -> entity_name -> 'tree', mastering.path('entity', entity_name));
    groups bigint;
    least_clusters bigint;
    left_over numeric;
    settled bigint;
    attribute text;
    lacking jsonb;
BEGIN
    PERFORM mastering.drop_sample_tables();
    EXECUTE format('CREATE TEMP TABLE mastering_sample_source ON COMMIT DROP AS
        SELECT m."#source" AS name, count(*) AS records, row_number() OVER (ORDER BY count(*), m."#source" COLLATE "C") AS place, p.reason
          FROM %s m LEFT JOIN mastering.problem_sources($1, $2, $3, $4) p ON p.name = m."#source" GROUP BY m."#source", p.reason', members)
      USING state.environment, entity_name, state.tree, state.data;
    EXECUTE format('CREATE TEMP TABLE mastering_sample_member ON COMMIT DROP AS
        SELECT m."#cluster" AS cluster, m."#source" AS source, m."#key" AS key, s.place, s.reason IS NOT NULL AS is_problem FROM %s m JOIN pg_temp.mastering_sample_source s ON s.name = m."#source"', members);
    ANALYZE pg_temp.mastering_sample_member;
    EXECUTE format('CREATE TEMP TABLE mastering_sample_cluster ON COMMIT DROP AS
        SELECT c.*, hashtextextended(c.anchor COLLATE "C", $1) AS place, %s AS stratum, CASE WHEN c.records <= 2 THEN c.records::text WHEN c.records <= 5 THEN ''3 to 5'' ELSE ''6 or more'' END AS size, NULL::text AS chosen
          FROM (SELECT m.cluster, count(*) AS records, min((m.source || '':'' || m.key) COLLATE "C") AS anchor, min(m.place) AS source, bool_or(m.is_problem) AS is_problem FROM pg_temp.mastering_sample_member m GROUP BY 1) c
          LEFT JOIN %s g ON g."#cluster" = c.cluster',
        CASE WHEN strata = '{}' THEN 'NULL::text' ELSE 'concat_ws('', '', ' || (SELECT string_agg(format('%L || coalesce(g.%I::text, ''NULL'')', a || ' = ', a), ', ' ORDER BY n) FROM unnest(strata) WITH ORDINALITY u (a, n)) || ')' END,
        golden) USING seed;
    ANALYZE pg_temp.mastering_sample_cluster;

    SELECT (SELECT count(DISTINCT c.stratum) FROM pg_temp.mastering_sample_cluster c) + (SELECT count(*) FROM pg_temp.mastering_sample_source) INTO groups;
    IF groups > wanted THEN
        RAISE EXCEPTION 'a sample of % records has no room for % strata and sources', wanted, groups USING ERRCODE = '22023', DETAIL = format('Entity "%s", strata %s.', entity_name, array_to_string(strata, ', ')),
            HINT = 'Ask for more records, or for strata with fewer values.';
    END IF;
    -- First some of every stratum and of every source.
    least_clusters := least(greatest(wanted / (10 * greatest(groups, 1)), 1), 25);
    UPDATE pg_temp.mastering_sample_cluster c SET chosen = 'stratum'
      FROM (SELECT x.cluster, row_number() OVER (PARTITION BY x.stratum ORDER BY x.place, x.anchor COLLATE "C") AS n FROM pg_temp.mastering_sample_cluster x) o
     WHERE o.cluster = c.cluster AND o.n <= least_clusters;
    UPDATE pg_temp.mastering_sample_cluster c SET chosen = coalesce(c.chosen, 'source')
      FROM (SELECT DISTINCT y.cluster FROM (SELECT m.source, x.cluster, row_number() OVER (PARTITION BY m.source ORDER BY x.place, x.anchor COLLATE "C") AS n
              FROM (SELECT DISTINCT d.source, d.cluster FROM pg_temp.mastering_sample_member d) m JOIN pg_temp.mastering_sample_cluster x ON x.cluster = m.cluster) y WHERE y.n <= least_clusters) o
     WHERE o.cluster = c.cluster;
    -- Shares of the cells. Those that have less than their share give all, and the others more.
    CREATE TEMP TABLE mastering_sample_cell ON COMMIT DROP AS
    SELECT c.stratum, c.source, c.size, c.is_problem, sum(c.records)::numeric AS records, CASE WHEN c.is_problem THEN problem_weight ELSE 1 END AS weight, NULL::numeric AS quota
      FROM pg_temp.mastering_sample_cluster c GROUP BY 1, 2, 3, 4;
    left_over := wanted;
    LOOP
        UPDATE pg_temp.mastering_sample_cell l SET quota = l.records
         WHERE l.quota IS NULL AND left_over * l.weight / (SELECT sum(x.weight * x.records) FROM pg_temp.mastering_sample_cell x WHERE x.quota IS NULL) >= 1;
        GET DIAGNOSTICS settled = ROW_COUNT;
        EXIT WHEN settled = 0;
        left_over := greatest(wanted - (SELECT sum(l.quota) FROM pg_temp.mastering_sample_cell l), 0);
    END LOOP;
    UPDATE pg_temp.mastering_sample_cell l SET quota = left_over * l.weight * l.records / (SELECT sum(x.weight * x.records) FROM pg_temp.mastering_sample_cell x WHERE x.quota IS NULL) WHERE l.quota IS NULL;
    -- A share that ends within a cluster takes it as often as it is deep in it.
    UPDATE pg_temp.mastering_sample_cluster c SET chosen = 'share'
      FROM (SELECT x.cluster, sum(x.records) OVER (PARTITION BY x.stratum, x.source, x.size, x.is_problem ORDER BY x.chosen IS NULL, x.place, x.anchor COLLATE "C" ROWS UNBOUNDED PRECEDING) - x.records AS before,
                   l.quota, (hashtextextended(concat_ws('|', x.stratum, x.source, x.size, x.is_problem) COLLATE "C", seed)::numeric / 18446744073709551616 + 0.5) AS depth
              FROM pg_temp.mastering_sample_cluster x JOIN pg_temp.mastering_sample_cell l ON l.stratum IS NOT DISTINCT FROM x.stratum AND l.source = x.source AND l.size = x.size AND l.is_problem = x.is_problem) o
     WHERE o.cluster = c.cluster AND c.chosen IS NULL AND o.before + c.records * o.depth < o.quota;
    -- Some records with each attribute filled, and some with it empty, where there are such.
    EXECUTE (SELECT format('SELECT jsonb_object_agg(l.attribute, l.lacks) FROM (SELECT %s FROM %s r JOIN pg_temp.mastering_sample_member m ON m.source = r."#source" AND m.key = r."#key" JOIN pg_temp.mastering_sample_cluster c ON c.cluster = m.cluster) n
                              CROSS JOIN LATERAL (VALUES %s) v (attribute, filled, empty, filled_here, empty_here)
                              CROSS JOIN LATERAL (SELECT v.attribute, to_jsonb(array_remove(ARRAY[CASE WHEN v.filled_here < least(v.filled, $1) THEN ''filled'' END, CASE WHEN v.empty_here < least(v.empty, $1) THEN ''empty'' END], NULL)) AS lacks) l WHERE l.lacks <> ''[]''',
            string_agg(format('count(r.%1$I) AS f%2$s, count(*) - count(r.%1$I) AS e%2$s, count(r.%1$I) FILTER (WHERE c.chosen IS NOT NULL) AS x%2$s, count(*) FILTER (WHERE r.%1$I IS NULL AND c.chosen IS NOT NULL) AS y%2$s', a.value ->> 'name', a.ordinality), ', '), records,
            string_agg(format('(%1$L, n.f%2$s, n.e%2$s, n.x%2$s, n.y%2$s)', a.value ->> 'name', a.ordinality), ', ')) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a) INTO lacking USING least_clusters;
    FOR attribute IN SELECT k FROM jsonb_object_keys(lacking) k ORDER BY k COLLATE "C" LOOP
        EXECUTE format('UPDATE pg_temp.mastering_sample_cluster c SET chosen = coalesce(c.chosen, ''values'')
              FROM (SELECT x.cluster, row_number() OVER (PARTITION BY r.%1$I IS NULL ORDER BY x.place, x.anchor COLLATE "C", m.source COLLATE "C", m.key COLLATE "C") AS n, r.%1$I IS NULL AS is_empty
                      FROM %2$s r JOIN pg_temp.mastering_sample_member m ON m.source = r."#source" AND m.key = r."#key" JOIN pg_temp.mastering_sample_cluster x ON x.cluster = m.cluster) o
             WHERE o.cluster = c.cluster AND o.n <= $1 AND $2 ? CASE WHEN o.is_empty THEN ''empty'' ELSE ''filled'' END', attribute, records) USING least_clusters, lacking -> attribute;
    END LOOP;
    CREATE TEMP TABLE mastering_sample_key ON COMMIT DROP AS
    SELECT m.source, m.key FROM pg_temp.mastering_sample_member m JOIN pg_temp.mastering_sample_cluster c ON c.cluster = m.cluster WHERE c.chosen IS NOT NULL;
    ANALYZE pg_temp.mastering_sample_key;
END
$$;
COMMENT ON FUNCTION mastering.choose_sample(mastering.state, text, bigint, text[], bigint, numeric) IS 'Chooses the clusters of a sample of one entity, in temporary tables.';

-- ---- how well it stands for the whole ---------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.describe_sample(state mastering.state, entity_name text, masks jsonb)
RETURNS TABLE (aspect text, subject text, value text, population bigint, sampled bigint, population_share numeric, sample_share numeric, distance numeric)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
    records text := mastering.version_rows(state.versions -> (entity_name || '_records'));
    entity jsonb := mastering.artifact_at(state.versions -> entity_name -> 'tree', mastering.path('entity', entity_name));
    everyone numeric;
    here numeric;
    clusters numeric;
    clusters_here numeric;
    attribute text;
BEGIN
    SELECT coalesce(sum(c.records), 0), coalesce(sum(c.records) FILTER (WHERE c.chosen IS NOT NULL), 0), count(*), count(c.chosen) INTO everyone, here, clusters, clusters_here FROM pg_temp.mastering_sample_cluster c;
    RETURN QUERY
    SELECT v.*, round(v.p / nullif(CASE v.a WHEN 'records' THEN everyone ELSE clusters END, 0), 4), round(v.s / nullif(CASE v.a WHEN 'records' THEN here ELSE clusters_here END, 0), 4), NULL::numeric
      FROM (VALUES ('records', NULL, NULL, everyone::bigint, here::bigint), ('clusters', NULL, NULL, clusters::bigint, clusters_here::bigint)) v (a, b, c, p, s);
    RETURN QUERY
    SELECT g.aspect, g.subject, g.value, g.p::bigint, g.s::bigint, round(g.p / nullif(everyone, 0), 4), round(g.s / nullif(here, 0), 4),
           round(sum(abs(g.p / nullif(everyone, 0) - g.s / nullif(here, 0))) OVER (PARTITION BY g.aspect) / 2, 4)
      FROM (SELECT 'source' AS aspect, s.name AS subject, s.reason AS value, s.records::numeric AS p, count(k.key)::numeric AS s FROM pg_temp.mastering_sample_source s LEFT JOIN pg_temp.mastering_sample_key k ON k.source = s.name GROUP BY s.name, s.reason, s.records
            UNION ALL SELECT 'stratum', c.stratum, NULL, sum(c.records), coalesce(sum(c.records) FILTER (WHERE c.chosen IS NOT NULL), 0) FROM pg_temp.mastering_sample_cluster c WHERE c.stratum IS NOT NULL GROUP BY 2
            UNION ALL SELECT 'cluster size', c.size, NULL, sum(c.records), coalesce(sum(c.records) FILTER (WHERE c.chosen IS NOT NULL), 0) FROM pg_temp.mastering_sample_cluster c GROUP BY 2) g
     ORDER BY array_position('{source,stratum,cluster size}', g.aspect), g.subject COLLATE "C";
    FOR attribute IN SELECT a.value ->> 'name' FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a ORDER BY a.ordinality LOOP
        -- The hundred most frequent values and all others; of masked ones nothing is shown.
        RETURN QUERY EXECUTE format('WITH counted AS MATERIALIZED (
                SELECT r.%I::text AS v, count(*)::numeric AS p, count(k.key)::numeric AS s FROM %s r JOIN pg_temp.mastering_sample_member m ON m.source = r."#source" AND m.key = r."#key"
                  LEFT JOIN pg_temp.mastering_sample_key k ON k.source = r."#source" AND k.key = r."#key" GROUP BY 1),
            total AS (SELECT greatest(sum(c.p), 1) AS p, greatest(sum(c.s), 1) AS s FROM counted c),
            ranked AS (SELECT c.*, row_number() OVER (ORDER BY c.v IS NULL DESC, c.p DESC, c.v COLLATE "C") AS n FROM counted c),
            filled AS (SELECT r.*, row_number() OVER (ORDER BY r.n) AS top FROM ranked r WHERE r.v IS NOT NULL),
            compared AS (SELECT sum(b.d) / 2 AS distance FROM (SELECT abs(sum(r.p) / max(t.p) - sum(r.s) / max(t.s)) AS d FROM ranked r, total t GROUP BY least(r.n, 102)) b)
            SELECT x.aspect, $1, x.value, x.p::bigint, x.s::bigint, CASE WHEN x.aspect <> ''distinct values'' THEN round(x.p / t.p, 4) END, CASE WHEN x.aspect <> ''distinct values'' THEN round(x.s / t.s, 4) END, CASE WHEN x.aspect = ''distinct values'' THEN round(d.distance, 4) END
              FROM (SELECT 1 AS place, ''nulls'' AS aspect, NULL AS value, coalesce(sum(c.p), 0) AS p, coalesce(sum(c.s), 0) AS s FROM counted c WHERE c.v IS NULL
                    UNION ALL SELECT 2, ''distinct values'', NULL, count(*), count(*) FILTER (WHERE c.s > 0) FROM counted c WHERE c.v IS NOT NULL
                    UNION ALL SELECT 2 + f.top, ''value'', left(f.v, 100), f.p, f.s FROM filled f WHERE f.top <= 3 AND f.p > 1 AND $2) x, total t, compared d ORDER BY x.place', attribute, records)
          USING attribute, coalesce(masks ->> attribute, 'keep') = 'keep';
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.describe_sample(mastering.state, text, jsonb) IS 'How the chosen records compare with all records. distance: half the sum of the differences of shares, 0 where they are the same, 1 where nothing is.';

-- ---- the rows -----------------------------------------------------------------------------------------------------------------------

-- The version of a source that the chosen rows are, masked.
CREATE FUNCTION mastering.sample_source(state mastering.state, entity_name text, source_name text, source jsonb, masks jsonb, key bytea) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
DECLARE
    raw jsonb := state.data -> mastering.path(entity_name, source_name);
    store int := (raw ->> 'store')::int;
    columns jsonb := (SELECT s.columns FROM mastering.store s WHERE s.store_id = (raw ->> 'store')::int);
    plain jsonb;
    masked jsonb;
    units text[];
    list text;
    joins text := '';
    places text := '';
    segment int;
    content text;
    total bigint;
    twice text;
BEGIN
    PERFORM mastering.drop_work_tables();
    SELECT jsonb_agg(c.value ORDER BY c.ordinality) INTO plain FROM jsonb_array_elements(columns) WITH ORDINALITY c WHERE c.value ->> 'name' NOT LIKE '#%';
    SELECT coalesce(jsonb_object_agg(m.column_name, m.method) FILTER (WHERE m.method <> 'keep'), '{}'), array_agg(DISTINCT coalesce(m.unit, m.column_name)) FILTER (WHERE m.method = 'shuffle'),
           string_agg(format('%s AS %I', CASE WHEN m.method = 'shuffle' THEN format('%I.%I', 'd ' || coalesce(m.unit, m.column_name), m.column_name) ELSE mastering.mask_expression(m.method, 'w.' || quote_ident(m.column_name), m.type_text) END, m.column_name), ', ' ORDER BY m.n)
      INTO masked, units, list
      FROM (SELECT s.*, row_number() OVER () AS n FROM mastering.mask_of_source(masks, source_name, source, plain) s) m;
    IF masked = '{}' THEN
        EXECUTE format('CREATE TEMP TABLE mastering_incoming ON COMMIT DROP AS SELECT w.* FROM %s w JOIN pg_temp.mastering_sample_key k ON k.source = $1 AND k.key = w."#key"', mastering.version_rows(raw)) USING source_name;
    ELSE
        FOR i IN 1 .. coalesce(cardinality(units), 0) LOOP    -- each row gets the values of the row whose second place is its first
            places := places || format(', row_number() OVER (ORDER BY mastering.mask_hash(%L || r."#key", $1), r."#key" COLLATE "C") AS "#from %s", row_number() OVER (ORDER BY mastering.mask_hash(%L || r."#key", $1), r."#key" COLLATE "C") AS "#to %2$s"',
                                       'from ' || units[i], i, 'to ' || units[i]);
            joins := joins || format(' JOIN w AS %I ON %1$I."#to %s" = w."#from %2$s"', 'd ' || units[i], i);
        END LOOP;
        EXECUTE format('CREATE TEMP TABLE mastering_incoming ON COMMIT DROP AS
            WITH w AS MATERIALIZED (SELECT r.*%s FROM %s r JOIN pg_temp.mastering_sample_key k ON k.source = $2 AND k.key = r."#key")
            SELECT m.*, mastering.row_hash(m) AS "#hash" FROM (SELECT %s AS "#key", r.* FROM (SELECT %s FROM w%s) r) m', places, mastering.version_rows(raw), mastering.key_expression(source -> 'key'), list, joins) USING key, source_name;
        EXECUTE 'SELECT i."#key" FROM pg_temp.mastering_incoming i GROUP BY 1 HAVING count(*) > 1 LIMIT 1' INTO twice;
        IF twice IS NOT NULL THEN
            RAISE EXCEPTION 'the mask gives two records of source "%" of entity "%" the same key', source_name, entity_name
                USING ERRCODE = '23505', HINT = 'Method format keeps different keys different.';
        END IF;
    END IF;
    ANALYZE pg_temp.mastering_incoming;
    EXECUTE 'SELECT count(*), mastering.rows_hash(ROW("#hash") ORDER BY "#hash") FROM pg_temp.mastering_incoming' INTO total, content;
    content := total || ':' || coalesce(content, '') || ':' || left(mastering.json_hash(source -> 'key'), 16);
    IF total > 0 THEN
        segment := mastering.write_segment(store, format('SELECT %s FROM pg_temp.mastering_incoming n ORDER BY n."#key" COLLATE "C"',
            (SELECT string_agg(format('n.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c)));
    END IF;
    PERFORM mastering.drop_work_tables();
    RETURN mastering.make_version(store, CASE WHEN segment IS NULL THEN '{}'::int[] ELSE ARRAY[segment] END, CASE WHEN segment IS NULL THEN '{}'::bigint[] ELSE ARRAY[0::bigint] END, content)
           || jsonb_build_object('sample', jsonb_build_object('of', state.environment, 'masked', coalesce(raw -> 'sample' -> 'masked', '{}') || masked));
END
$$;
COMMENT ON FUNCTION mastering.sample_source(mastering.state, text, text, jsonb, jsonb, bytea) IS 'Writes the chosen rows of a source, masked, and returns their version.';

-- A new environment gets the configuration as well; what was learnt or said about values does not come along with masks.
CREATE FUNCTION mastering.copy_configuration(state mastering.state, target_name text, is_masked boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    PERFORM mastering.require_author(target_name);
    FOR item IN SELECT t.key, a.content FROM jsonb_each_text(state.tree) t JOIN mastering.artifact a ON a.hash = t.value
                 WHERE NOT (is_masked AND coalesce(mastering.step(t.key, 3), '') IN ('model', 'models', 'labels')) ORDER BY t.key COLLATE "C" LOOP
        CONTINUE WHEN mastering.is_marked(item.content);
        PERFORM mastering.set_artifact(target_name, item.key, item.content);
    END LOOP;
    PERFORM mastering.sync_views(target_name, e) FROM mastering.entities_of(state.tree) e;
END
$$;
COMMENT ON FUNCTION mastering.copy_configuration(mastering.state, text, boolean) IS 'Gives an environment without entities the configuration of a state.';

CREATE FUNCTION mastering.do_sample_environment(source_name text, target_name text, wanted bigint, strata jsonb, mask jsonb, seed bigint, problem_weight numeric, key_text text)
RETURNS TABLE (entity text, aspect text, subject text, value text, population bigint, sampled bigint, population_share numeric, sample_share numeric, distance numeric)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    state mastering.state := mastering.resolve_state(source_name);
    config mastering.configuration;
    key bytea := mastering.mask_key_bytes(key_text);
    entity_name text;
    masks jsonb;
    hidden jsonb;
    item record;
    other jsonb;
    version jsonb;
    loaded jsonb := '{}';
    counts jsonb := '{}';
BEGIN
    PERFORM mastering.require(state.environment, 'admin');
    PERFORM mastering.require(target_name, 'admin');
    IF state.environment = target_name THEN
        RAISE EXCEPTION 'environment "%" cannot be a sample of itself', target_name USING ERRCODE = '22023';
    END IF;
    IF mastering.policy_value(target_name, 'stage') = '"production"' THEN
        RAISE EXCEPTION 'environment "%" is production and takes no sample', target_name USING ERRCODE = '55000';
    END IF;
    IF wanted IS NULL OR wanted < 1 OR seed IS NULL OR problem_weight IS NULL OR problem_weight NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'a sample has 1 record or more, a seed, and a weight of troubled sources from 1 to 100' USING ERRCODE = '22023';
    END IF;
    PERFORM mastering.require_same_readers(target_name, state.environment);
    PERFORM mastering.check_mask(mask, state.tree);
    PERFORM mastering.lock_environment(target_name);
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(target_name) l;
    config := mastering.configuration_of(target_name);
    IF config.tree = '{}' THEN
        PERFORM mastering.copy_configuration(state, target_name, mask IS NOT NULL);
        config := mastering.configuration_of(target_name);
    END IF;
    FOR entity_name IN SELECT e FROM mastering.entities_of(config.tree) e WHERE state.versions ? (e || '_members') LOOP
        entity := entity_name;
        other := mastering.artifact_at(state.versions -> entity_name -> 'tree', mastering.path('entity', entity_name));
        hidden := '{}';
        masks := CASE WHEN mask IS NULL THEN '{}' ELSE mastering.mask_of_entity(mask, entity_name, other) END;
        PERFORM mastering.choose_sample(state, entity_name, wanted, mastering.strata_of_entity(strata, entity_name, other), seed, problem_weight);
        FOR item IN SELECT s.name, s.content, o.content AS mine FROM mastering.sources_of(state.tree, entity_name) s JOIN mastering.sources_of(config.tree, entity_name) o ON o.name = s.name
                     WHERE state.data ? mastering.path(entity_name, s.name) ORDER BY 1 LOOP
            -- What either of the two mappings reads.
            other := jsonb_build_object('key', item.content -> 'key', 'mapping', (SELECT coalesce(jsonb_object_agg(m.key, m.expressions), '{}') FROM (
                SELECT x.key, string_agg(x.value, ', ') AS expressions FROM (SELECT * FROM jsonb_each_text(item.content -> 'mapping') UNION SELECT * FROM jsonb_each_text(item.mine -> 'mapping')) x GROUP BY 1) m));
            version := mastering.sample_source(state, entity_name, item.name, other, masks, key);
            version := jsonb_set(version, '{sample,seed}', to_jsonb(seed));
            loaded := loaded || jsonb_build_object(mastering.path(entity_name, item.name), version);
            -- What is read from a masked column is not shown either, however that came to be masked.
            IF mask IS NOT NULL AND version #> '{sample,masked}' <> '{}' THEN
                hidden := hidden || (SELECT coalesce(jsonb_object_agg(m.key, 'hidden'), '{}') FROM jsonb_each_text(other -> 'mapping') m
                                      WHERE EXISTS (SELECT FROM unnest(mastering.expression_columns(m.value)) c WHERE c IN ('*', item.name) OR version #> '{sample,masked}' ? c));
            END IF;
            counts := counts || jsonb_build_object(mastering.path(entity_name, item.name), version -> 'rows');
        END LOOP;
        FOR aspect, subject, value, population, sampled, population_share, sample_share, distance IN SELECT * FROM mastering.describe_sample(state, entity_name, masks || hidden) LOOP
            RETURN NEXT;
        END LOOP;
        PERFORM mastering.drop_sample_tables();
    END LOOP;
    IF loaded = '{}' THEN
        RAISE EXCEPTION 'environment "%" has no source that "%" has loaded and run', target_name, source_name
            USING ERRCODE = '55000', HINT = 'A sample is of what a run has clustered, and goes to sources of the same names.';
    END IF;
    UPDATE mastering.configuration c SET data = c.data || loaded, changed_at = now() WHERE c.environment = target_name;
    PERFORM mastering.audit(target_name, 'sample environment', jsonb_strip_nulls(jsonb_build_object('source', source_name, 'records', wanted, 'seed', seed, 'strata', strata, 'mask', mask, 'rows', counts)));
    PERFORM mastering.audit(state.environment, 'sampled', jsonb_strip_nulls(jsonb_build_object('target', target_name, 'masked', mask IS NOT NULL, 'rows', counts)));
    PERFORM mastering.notify('sample', target_name, jsonb_build_object('source', source_name, 'rows', counts));
END
$$;
COMMENT ON FUNCTION mastering.do_sample_environment(text, text, bigint, jsonb, jsonb, bigint, numeric, text) IS 'Behind sample_environment.';

CREATE FUNCTION mastering.sample_environment(source text, target text, records bigint DEFAULT 100000, strata jsonb DEFAULT NULL, mask jsonb DEFAULT NULL, seed bigint DEFAULT 0, problem_weight numeric DEFAULT 2, mask_key text DEFAULT NULL)
RETURNS TABLE (entity text, aspect text, subject text, value text, population bigint, sampled bigint, population_share numeric, sample_share numeric, distance numeric)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.sample_environment(text, text, bigint, jsonb, jsonb, bigint, numeric, text) IS 'Loads a part of an environment''s data, about so many records of each entity, into another: whole clusters of every source and stratum (strata: ["country"], by golden values), filled and empty values, larger shares of sources whose checks fail or that change most. mask: {"email": "hash", "customer": {"name": "format", "#key": "format"}}; methods are null, hash, format, shuffle, keep; columns that no mapping reads come empty then. The same seed gives the same sample; the same mask_key (kept nowhere) the same masks. Returns how the sample compares with the whole.';

REVOKE ALL ON FUNCTION mastering.require_no_sample(text, text, jsonb, text), mastering.problem_sources(text, text, jsonb, jsonb), mastering.strata_of_entity(jsonb, text, jsonb), mastering.drop_sample_tables(), mastering.version_rows(jsonb),
    mastering.choose_sample(mastering.state, text, bigint, text[], bigint, numeric), mastering.describe_sample(mastering.state, text, jsonb), mastering.sample_source(mastering.state, text, text, jsonb, jsonb, bytea),
    mastering.copy_configuration(mastering.state, text, boolean) FROM PUBLIC;
