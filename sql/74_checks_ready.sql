-- 74_checks_ready.sql: checks that need no SQL: one call each. All become checks like any other, artifacts that travel with
-- the configuration, and share their limits: max_rows and max_share say how much may be found before it counts, keep
-- how many of the rows found are stored. With a source, a check is made on the rows just loaded of that source, by
-- its own columns; without, on golden records.

CREATE FUNCTION mastering.is_comparable(env_name text, entity_name text, columns jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM mastering.head h WHERE h.environment = env_name AND h.versions ? entity_name)
       AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(coalesce(columns, '[]')) c WHERE NOT EXISTS (
               SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%I.%I', env_name, entity_name)) AND a.attname = c AND NOT a.attisdropped))
$$;
COMMENT ON FUNCTION mastering.is_comparable(text, text, jsonb) IS 'Whether an environment has published golden records with these columns, so that new ones can be compared with them.';

CREATE FUNCTION mastering.checked_relation(env_name text, entity_name text, source_name text, columns text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tree jsonb := (mastering.configuration_of(env_name)).tree;
    entity jsonb := mastering.require_entity(tree, env_name, entity_name);
    missing text;
BEGIN
    IF source_name IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM mastering.sources_of(tree, entity_name) s WHERE s.name = source_name) THEN
            RAISE EXCEPTION 'source "%" of entity "%" does not exist in environment "%"', source_name, entity_name, env_name USING ERRCODE = '42704';
        END IF;
        RETURN quote_ident(source_name);
    END IF;
    SELECT c INTO missing FROM unnest(columns) c WHERE c IS NULL OR NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', c)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, missing USING ERRCODE = '42703', HINT = 'For a column of a source give the source, too.';
    END IF;
    RETURN quote_ident(entity_name);
END
$$;
COMMENT ON FUNCTION mastering.checked_relation(text, text, text, text[]) IS 'What a ready-made check reads: a source''s rows or golden records; an error where it has not these columns.';

CREATE FUNCTION mastering.put_ready_check(env_name text, entity_name text, source_name text, check_name text, query text, relation text, severity_name text, stage_name text,
    max_rows bigint, max_share numeric, keep int, more jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stage text := coalesce(stage_name, CASE WHEN source_name IS NULL THEN 'promote' ELSE 'load' END);
BEGIN
    IF source_name IS NOT NULL AND stage <> 'load' OR source_name IS NULL AND stage = 'load' THEN
        RAISE EXCEPTION 'a check of stage % is on %', stage, CASE stage WHEN 'load' THEN 'a source' ELSE 'golden records' END
            USING ERRCODE = '22023', HINT = 'Give source and stage ''load'', or neither.';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'check', check_name), mastering.check_document(check_name, query, severity_name, stage,
        jsonb_strip_nulls(jsonb_build_object('max_rows', nullif(max_rows, 0), 'max_share', max_share, 'keep', nullif(keep, 5),
                                             'of', CASE WHEN max_share IS NOT NULL THEN format('SELECT 1 FROM %s', relation) END)) || more));
    RETURN check_name;
END
$$;
COMMENT ON FUNCTION mastering.put_ready_check(text, text, text, text, text, text, text, text, bigint, numeric, int, jsonb) IS 'Adds a ready-made check and returns its name.';

CREATE FUNCTION mastering.do_check_not_null(env_name text, entity_name text, attribute_name text, source_name text, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, source_name, ARRAY[attribute_name]);
BEGIN
    PERFORM mastering.require_author(env_name);
    RETURN mastering.put_ready_check(env_name, entity_name, source_name, coalesce(check_name, format('%s is not null', concat_ws('.', source_name, attribute_name))),
        format('SELECT * FROM %s WHERE %I IS NULL', relation, attribute_name),
        relation, severity_name, stage_name, max_rows, max_share, keep);
END
$$;
COMMENT ON FUNCTION mastering.do_check_not_null(text, text, text, text, text, text, text, bigint, numeric, int) IS 'Behind check_not_null.';
CREATE FUNCTION mastering.check_not_null(env text, entity text, attribute text, source text DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_not_null(text, text, text, text, text, text, text, bigint, numeric, int) IS 'A check: an attribute, or a column of a source, has a value.';

CREATE FUNCTION mastering.do_check_unique(env_name text, entity_name text, attribute_names text, source_name text, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text[] := mastering.key_columns(attribute_names);
    relation text := mastering.checked_relation(env_name, entity_name, source_name, columns);
    list text := (SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM unnest(columns) WITH ORDINALITY u (c, n));
BEGIN
    PERFORM mastering.require_author(env_name);
    RETURN mastering.put_ready_check(env_name, entity_name, source_name, coalesce(check_name, format('%s is unique', concat_ws('.', source_name, attribute_names))),
        format('SELECT %1$s, count(*) AS rows FROM %2$s WHERE (%1$s) IS NOT NULL GROUP BY %1$s HAVING count(*) > 1', list, relation),
        relation, severity_name, stage_name, max_rows, max_share, keep);
END
$$;
COMMENT ON FUNCTION mastering.do_check_unique(text, text, text, text, text, text, text, bigint, numeric, int) IS 'Behind check_unique.';
CREATE FUNCTION mastering.check_unique(env text, entity text, attributes text, source text DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_unique(text, text, text, text, text, text, text, bigint, numeric, int) IS 'A check: no two rows have the same values in one attribute, or in several with commas between them; rows in which one is NULL do not count.';

CREATE FUNCTION mastering.do_check_values(env_name text, entity_name text, attribute_name text, accepted text[], source_name text, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, source_name, ARRAY[attribute_name]);
BEGIN
    PERFORM mastering.require_author(env_name);
    IF accepted IS NULL THEN
        RAISE EXCEPTION 'a check of accepted values needs some' USING ERRCODE = '22004';
    END IF;
    RETURN mastering.put_ready_check(env_name, entity_name, source_name, coalesce(check_name, format('%s has accepted values', concat_ws('.', source_name, attribute_name))),
        format('SELECT * FROM %1$s WHERE %2$I IS NOT NULL AND %2$I::text <> ALL (%3$L::text[])', relation, attribute_name, accepted),
        relation, severity_name, stage_name, max_rows, max_share, keep);
END
$$;
COMMENT ON FUNCTION mastering.do_check_values(text, text, text, text[], text, text, text, text, bigint, numeric, int) IS 'Behind check_values.';
CREATE FUNCTION mastering.check_values(env text, entity text, attribute text, accepted text[], source text DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_values(text, text, text, text[], text, text, text, text, bigint, numeric, int) IS 'A check: an attribute has one of these values, or none.';

CREATE FUNCTION mastering.do_check_range(env_name text, entity_name text, attribute_name text, lowest text, highest text, source_name text, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, source_name, ARRAY[attribute_name]);
BEGIN
    PERFORM mastering.require_author(env_name);
    IF lowest IS NULL AND highest IS NULL THEN
        RAISE EXCEPTION 'a check of a range needs a lowest or a highest value' USING ERRCODE = '22004';
    END IF;
    RETURN mastering.put_ready_check(env_name, entity_name, source_name, coalesce(check_name, format('%s is in range', concat_ws('.', source_name, attribute_name))),
        format('SELECT * FROM %s WHERE %s', relation, concat_ws(' OR ', CASE WHEN lowest IS NOT NULL THEN format('%I < %L', attribute_name, lowest) END,
               CASE WHEN highest IS NOT NULL THEN format('%I > %L', attribute_name, highest) END)),
        relation, severity_name, stage_name, max_rows, max_share, keep);
END
$$;
COMMENT ON FUNCTION mastering.do_check_range(text, text, text, text, text, text, text, text, text, bigint, numeric, int) IS 'Behind check_range.';
CREATE FUNCTION mastering.check_range(env text, entity text, attribute text, lowest text DEFAULT NULL, highest text DEFAULT NULL, source text DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_range(text, text, text, text, text, text, text, text, text, bigint, numeric, int) IS 'A check: an attribute lies between two values of its own type, written as text; one of them may be left out.';

CREATE FUNCTION mastering.do_check_reference(env_name text, entity_name text, attribute_name text, relation_text text, column_name text, source_name text, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, source_name, ARRAY[attribute_name]);
    referred text := CASE WHEN (mastering.configuration_of(env_name)).tree ? mastering.path('entity', relation_text) THEN quote_ident(relation_text) ELSE mastering.relation_name(relation_text) END;
BEGIN
    PERFORM mastering.require_author(env_name);
    RETURN mastering.put_ready_check(env_name, entity_name, source_name, coalesce(check_name, format('%s refers to %s', concat_ws('.', source_name, attribute_name), relation_text)),
        format('SELECT * FROM %1$s AS checked WHERE checked.%2$I IS NOT NULL AND NOT EXISTS (SELECT FROM %3$s AS referred WHERE referred.%4$I = checked.%2$I)', relation, attribute_name, referred, column_name),
        relation, severity_name, stage_name, max_rows, max_share, keep);
END
$$;
COMMENT ON FUNCTION mastering.do_check_reference(text, text, text, text, text, text, text, text, text, bigint, numeric, int) IS 'Behind check_reference.';
CREATE FUNCTION mastering.check_reference(env text, entity text, attribute text, relation text, column_name text, source text DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_reference(text, text, text, text, text, text, text, text, text, bigint, numeric, int) IS 'A check: each value of an attribute is in a column of another entity of the environment, or of a relation written with its schema.';

CREATE FUNCTION mastering.do_check_fresh(env_name text, entity_name text, attribute_name text, oldest interval, source_name text, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, source_name, ARRAY[attribute_name]);
BEGIN
    PERFORM mastering.require_author(env_name);
    IF oldest IS NULL THEN
        RAISE EXCEPTION 'a check of freshness needs an interval' USING ERRCODE = '22004';
    END IF;
    RETURN mastering.put_ready_check(env_name, entity_name, source_name, coalesce(check_name, format('%s is fresh', concat_ws('.', source_name, attribute_name))),
        format('SELECT max(%1$I) AS newest FROM %2$s HAVING max(%1$I) IS NULL OR max(%1$I) < now() - %3$L::interval', attribute_name, relation, oldest),
        relation, severity_name, stage_name, max_rows, max_share, keep);
END
$$;
COMMENT ON FUNCTION mastering.do_check_fresh(text, text, text, interval, text, text, text, text, bigint, numeric, int) IS 'Behind check_fresh.';
CREATE FUNCTION mastering.check_fresh(env text, entity text, attribute text, oldest interval, source text DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_fresh(text, text, text, interval, text, text, text, text, bigint, numeric, int) IS 'A check: the newest value of a date or time is not older than this.';

CREATE FUNCTION mastering.do_check_row_count(env_name text, entity_name text, max_change numeric, at_least bigint, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, NULL, '{}');
BEGIN
    PERFORM mastering.require_author(env_name);
    IF at_least IS NOT NULL THEN
        RETURN mastering.put_ready_check(env_name, entity_name, NULL, coalesce(check_name, format('at least %s rows', at_least)),
            format('SELECT count(*) AS rows FROM %s HAVING count(*) < %s', relation, at_least), relation, severity_name, stage_name, max_rows, max_share, keep);
    END IF;
    IF max_change IS NULL OR max_change < 0 THEN
        RAISE EXCEPTION 'max_change is a share' USING ERRCODE = '22023', HINT = 'Write 0.2 for a fifth.';
    END IF;
    RETURN mastering.put_ready_check(env_name, entity_name, NULL, coalesce(check_name, 'the number of rows does not jump'),
        format('SELECT now.rows, before.rows AS rows_before FROM (SELECT count(*) AS rows FROM %1$s) now, (SELECT count(*) AS rows FROM {published}.%1$s) before WHERE before.rows > 0 AND abs(now.rows - before.rows) > %2$s * before.rows', relation, max_change),
        relation, severity_name, stage_name, max_rows, max_share, keep, '{"against": "published"}');
END
$$;
COMMENT ON FUNCTION mastering.do_check_row_count(text, text, numeric, bigint, text, text, text, bigint, numeric, int) IS 'Behind check_row_count.';
CREATE FUNCTION mastering.check_row_count(env text, entity text, max_change numeric DEFAULT 0.2, at_least bigint DEFAULT NULL, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_row_count(text, text, numeric, bigint, text, text, text, bigint, numeric, int) IS 'A check: the number of golden records differs from what is published by no more than this share; or is at least so much.';

CREATE FUNCTION mastering.do_check_distribution(env_name text, entity_name text, attribute_name text, max_distance numeric, check_name text, severity_name text, stage_name text, max_rows bigint, max_share numeric, keep int) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation text := mastering.checked_relation(env_name, entity_name, NULL, ARRAY[attribute_name]);
BEGIN
    PERFORM mastering.require_author(env_name);
    IF max_distance IS NULL OR max_distance NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'max_distance is 0 to 1' USING ERRCODE = '22023';
    END IF;
    RETURN mastering.put_ready_check(env_name, entity_name, NULL, coalesce(check_name, format('%s is distributed as before', attribute_name)),
        format($q$WITH now AS (SELECT coalesce(%1$I::text, '') AS value, %1$I IS NULL AS missing, count(*)::numeric / sum(count(*)) OVER () AS share FROM %2$s GROUP BY 1, 2),
before AS (SELECT coalesce(%1$I::text, '') AS value, %1$I IS NULL AS missing, count(*)::numeric / sum(count(*)) OVER () AS share FROM {published}.%2$s GROUP BY 1, 2),
both_of_them AS (SELECT CASE WHEN NOT missing THEN value END AS value, coalesce(now.share, 0) AS share, coalesce(before.share, 0) AS share_before FROM now FULL JOIN before USING (value, missing))
SELECT value, round(share, 4) AS share, round(share_before, 4) AS share_before FROM both_of_them
 WHERE share <> share_before AND EXISTS (SELECT FROM before) AND (SELECT sum(abs(share - share_before)) / 2 FROM both_of_them) > %3$s
 ORDER BY abs(both_of_them.share - both_of_them.share_before) DESC LIMIT 1000$q$, attribute_name, relation, max_distance),
        relation, severity_name, stage_name, max_rows, max_share, keep, jsonb_build_object('against', 'published', 'columns', jsonb_build_array(attribute_name)));
END
$$;
COMMENT ON FUNCTION mastering.do_check_distribution(text, text, text, numeric, text, text, text, bigint, numeric, int) IS 'Behind check_distribution.';
CREATE FUNCTION mastering.check_distribution(env text, entity text, attribute text, max_distance numeric DEFAULT 0.1, name text DEFAULT NULL, severity text DEFAULT 'error', stage text DEFAULT NULL, max_rows bigint DEFAULT 0, max_share numeric DEFAULT NULL, keep int DEFAULT 5) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.check_distribution(text, text, text, numeric, text, text, text, bigint, numeric, int) IS 'A check: the share of each value of an attribute, NULL too, is about what it is in what is published: half the sum of the differences (total variation distance) is at most this. For attributes with few values.';

CREATE VIEW mastering.check_failures WITH (security_barrier) AS
    SELECT r.environment, r.release_id, r.entity, r.check_name, r.severity, r.checked_at, s.ordinality AS row_no, s.value AS content
      FROM mastering.check_result r CROSS JOIN LATERAL jsonb_array_elements(r.sample) WITH ORDINALITY s
     WHERE NOT r.passed AND jsonb_typeof(r.sample) = 'array' AND mastering.visible(r.environment, r.checked_at);
COMMENT ON VIEW mastering.check_failures IS 'The rows that failed checks found, as many of each as it keeps.';
GRANT SELECT ON mastering.check_failures TO PUBLIC;

REVOKE ALL ON FUNCTION mastering.is_comparable(text, text, jsonb), mastering.checked_relation(text, text, text, text[]),
    mastering.put_ready_check(text, text, text, text, text, text, text, text, bigint, numeric, int, jsonb) FROM PUBLIC;
