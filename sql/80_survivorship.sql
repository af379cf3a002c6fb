-- 80_survivorship.sql: golden records in an environment: SQL in rules, what rules would do, where a value comes from.
--
-- The SQL text in rules (conditions and aggregates, also of somebody's own making) is run as the environment's owner with
-- everything else that an artifact says, and refused where it is volatile.

CREATE FUNCTION mastering.golden_expressions(entity jsonb, rules jsonb) RETURNS TABLE (kind text, attribute text, expression text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    names text[] := ARRAY(SELECT a.value ->> 'name' FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a ORDER BY a.ordinality);
BEGIN
    IF rules::text ~ '"(where|aggregate)"' THEN
        RETURN QUERY
        SELECT DISTINCT e.key, u.members[1], e.value FROM mastering.golden_units(rules, names, names || 'id'::text, true) u CROSS JOIN LATERAL jsonb_array_elements(u.choices) c
          CROSS JOIN LATERAL (SELECT 'where', c ->> 'where' WHERE c ? 'where' UNION ALL SELECT 'aggregate', s ->> 'aggregate' FROM jsonb_array_elements(c -> 'steps') s WHERE s ? 'aggregate') e (key, value) ORDER BY 2, 1, 3;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.golden_expressions(jsonb, jsonb) IS 'The SQL expressions in the survivorship rules of an entity.';

CREATE FUNCTION mastering.golden_row(entity jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('(SELECT NULL::text AS id, NULL::text AS source, %s)', (SELECT string_agg(format('NULL::%s AS %I', a.value ->> 'type', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a))
$$;
COMMENT ON FUNCTION mastering.golden_row(jsonb) IS 'A FROM item with the columns that rules may use.';

CREATE FUNCTION mastering.check_golden_expressions(env mastering.environment, entity jsonb, rules jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    item record;
    what text;
    code text;
    message text;
BEGIN
    FOR item IN SELECT e.*, a.value ->> 'type' AS type FROM mastering.golden_expressions(entity, rules) e JOIN jsonb_array_elements(entity -> 'attributes') a ON a.value ->> 'name' = e.attribute LOOP
        what := format('the %s of attribute "%s"', CASE item.kind WHEN 'where' THEN 'condition' ELSE 'aggregate' END, item.attribute);
        PERFORM mastering.check_expression(env, mastering.golden_row(entity), 'q', item.expression, what);
        BEGIN    -- a condition is true or not; an aggregate takes all records and gives a value of the attribute
            PERFORM FROM mastering.query_as(env.owner::name, format(CASE item.kind WHEN 'where' THEN E'SELECT CASE WHEN (%s\n) THEN 1 END IS NULL FROM %3$s AS q LIMIT 0' ELSE E'SELECT CAST(CASE WHEN true THEN (%s\n) END AS %s) IS NULL FROM %s AS q HAVING true LIMIT 0' END,
                item.expression, item.type, mastering.golden_row(entity)), mastering.artifact_path(env.name), false) AS t (value boolean);
        EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
            RAISE EXCEPTION '% is refused: %', what, message USING ERRCODE = code, DETAIL = format('Expression: %s', item.expression);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.check_golden_expressions(mastering.environment, jsonb, jsonb) IS 'Refuses SQL in survivorship rules that does not parse, is volatile or may not be used by the environment''s owner.';

-- Part of the key of golden records where the text gives not everybody the same, so that nobody gets what another may read.
CREATE FUNCTION mastering.role_of_survivorship(env_name text, entity_name text, tree jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'survivorship'));
    entity jsonb;
    owner text;
    item record;
BEGIN
    IF rules IS NULL OR rules::text !~ '"(where|aggregate)"' THEN
        RETURN '{}';
    END IF;
    entity := mastering.artifact_at(tree, mastering.path('entity', entity_name));
    SELECT e.owner INTO owner FROM mastering.environment e WHERE e.name = env_name;
    FOR item IN SELECT * FROM mastering.golden_expressions(entity, rules) LOOP
        IF NOT mastering.is_reproducible(owner::name, format(E'SELECT (%s\n) FROM %s AS q', item.expression, mastering.golden_row(entity)), mastering.artifact_path(env_name), '') THEN
            RETURN jsonb_build_object('role', owner);
        END IF;
    END LOOP;
    RETURN '{}';
END
$$;
COMMENT ON FUNCTION mastering.role_of_survivorship(text, text, jsonb) IS 'The role that golden records hang on, as {"role"}; {} where they hang on none.';

-- ---- before a rule is set ------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_preview_survivorship(env_name text, entity_name text, rules jsonb, at_most int)
RETURNS TABLE (attribute text, clusters bigint, changed bigint, filled bigint, emptied bigint, examples jsonb)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name);
    entity jsonb;
    names text[];
    list text;
    statement text;
BEGIN
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF jsonb_typeof(rules) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'survivorship is an object of rules' USING ERRCODE = '22023', HINT = 'See golden_records: {"default": "most_frequent", "attributes": {"email": "longest"}}.';
    END IF;
    entity := mastering.artifact_at(versions -> entity_name -> 'tree', mastering.path('entity', entity_name));
    IF entity IS NULL THEN
        RAISE EXCEPTION 'entity "%" was never run in environment "%"', entity_name, env_name USING ERRCODE = '55000', HINT = format('SELECT mastering.master(%L, %L)', env_name, entity_name);
    END IF;
    PERFORM mastering.limit_setting(l.name, l.value) FROM mastering.resource_limits(env_name) l;
    PERFORM mastering.check_unions(entity_name, entity, rules);
    PERFORM mastering.require_rules(env, entity, 'survivorship', rules);
    names := ARRAY(SELECT a.value ->> 'name' FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a ORDER BY a.ordinality);
    list := (SELECT string_agg(format('r.%I', n), ', ' ORDER BY o) FROM unnest(names) WITH ORDINALITY u (n, o));
    -- Overridden cells stay what they are whatever the rules.
    statement := format($q$
        WITH proposed AS MATERIALIZED (SELECT g.cluster_id AS "#id", g.lineage AS "#lineage", %1$s FROM (%2$s) g),
        overridden AS MATERIALIZED (SELECT l.id, array_agg(l.attribute) AS attributes FROM %3$I.%4$I l WHERE l.rule = 'override' AND %5$s GROUP BY 1),
        cell AS (SELECT c.id, x.place, x.name, x.old, x.new, p."#lineage" -> x.name AS lineage, x.old IS DISTINCT FROM x.new AND NOT coalesce(x.name = ANY (v.attributes), false) AS differs
                   FROM %3$I.%6$I c JOIN proposed p ON p."#id" = c.id LEFT JOIN overridden v ON v.id = c.id CROSS JOIN LATERAL (VALUES %7$s) x (place, name, old, new)),
        ranked AS (SELECT d.*, row_number() OVER (PARTITION BY d.place ORDER BY d.id) AS n FROM cell d WHERE d.differs)
        SELECT s.place, s.name, s.clusters, s.changed, s.filled, s.emptied, e.examples
          FROM (SELECT d.place, d.name, count(*) AS clusters, count(*) FILTER (WHERE d.differs) AS changed, count(*) FILTER (WHERE d.differs AND d.old IS NULL) AS filled, count(*) FILTER (WHERE d.differs AND d.new IS NULL) AS emptied
                  FROM cell d GROUP BY 1, 2
                UNION ALL SELECT 0, NULL, (SELECT count(*) FROM %3$I.%6$I), count(DISTINCT d.id), NULL, NULL FROM cell d WHERE d.differs) s
          LEFT JOIN (SELECT r.place, jsonb_agg(jsonb_build_object('id', r.id, 'before', r.old, 'after', r.new, 'rule', r.lineage -> 'rule', 'record', r.lineage -> 'record') ORDER BY r.id) AS examples FROM ranked r WHERE r.n <= %8$s GROUP BY 1) e ON e.place = s.place
         ORDER BY s.place$q$,
        (SELECT string_agg(format('CAST(g.%I AS %s) AS %1$I', a.value ->> 'name', a.value ->> 'type'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
        mastering.golden_sql(format('SELECT r.source || '':'' || r.record_key AS id, r.source, %s, r.cluster_id AS "#cluster" FROM %I.%I r WHERE r.cluster_id IS NOT NULL', list, env_name, entity_name || '_records'), NULL, rules, true),
        env_name, entity_name || '_lineage', (mastering.curation_of_values(env_name, entity_name) IS NOT NULL)::text, entity_name,
        (SELECT string_agg(format('(%s, %L, c.%I::text, p.%3$I::text)', o, n, n), ', ' ORDER BY o) FROM unnest(names) WITH ORDINALITY u (n, o)), greatest(coalesce(at_most, 5), 0));
    RETURN QUERY SELECT t.name, t.clusters, t.changed, t.filled, t.emptied, coalesce(t.examples, CASE WHEN t.name IS NOT NULL THEN '[]'::jsonb END)
                   FROM mastering.query_as(env.owner::name, statement, mastering.artifact_path(env_name), true) AS t (place int, name text, clusters bigint, changed bigint, filled bigint, emptied bigint, examples jsonb);
END
$$;
COMMENT ON FUNCTION mastering.do_preview_survivorship(text, text, jsonb, int) IS 'Behind preview_survivorship.';
CREATE FUNCTION mastering.preview_survivorship(env text, entity text, survivorship jsonb, examples int DEFAULT 5)
RETURNS TABLE (attribute text, clusters bigint, changed bigint, filled bigint, emptied bigint, example_cells jsonb)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.preview_survivorship(text, text, jsonb, int) IS 'What survivorship rules would change in the golden records that an environment shows, before they are set: first a row for whole golden records, then one an attribute, with counts and examples of cells before and after. Overridden cells stay. Nothing is written.';

-- ---- where a value comes from -----------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_explain_golden(env_name text, entity_name text, cluster bigint)
RETURNS TABLE (attribute text, value text, rule text, source text, record_key text, agreeing bigint, candidates jsonb, overridden_by text, override_reason text, override_expires timestamptz)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
#variable_conflict use_column
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    members jsonb := mastering.members_of(env_name, entity_name, cluster);
    entity jsonb := mastering.artifact_at((SELECT h.versions FROM mastering.head h WHERE h.environment = env_name) -> entity_name -> 'tree', mastering.path('entity', entity_name));
BEGIN
    RETURN QUERY
    SELECT t.attribute, t.value, t.rule, t.source, t.record_key, t.agreeing, t.candidates, o.author, o.reason, o.expires_at
      FROM mastering.query_as(env.owner::name, format($q$
        SELECT v.place, v.name, v.value, l.rule, l.source, l.record_key, l.agreeing, c.candidates
          FROM %1$I.%2$I g CROSS JOIN LATERAL (VALUES %3$s) v (place, name, value)
          LEFT JOIN LATERAL (SELECT min(x.rule) AS rule, min(x.source) AS source, min(x.record_key) AS record_key, min(x.agreeing) AS agreeing FROM %1$I.%4$I x WHERE x.id = %5$s AND x.attribute = v.name) l ON true
          LEFT JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('value', y.value, 'records', y.records) ORDER BY jsonb_array_length(y.records) DESC, y.value COLLATE "C") AS candidates
                               FROM (SELECT CASE v.place %6$s END AS value, jsonb_agg(r.source || ':' || r.record_key ORDER BY r.source COLLATE "C", r.record_key COLLATE "C") AS records FROM %1$I.%7$I r WHERE r.cluster_id = %5$s GROUP BY 1) y) c ON true
         WHERE g.id = %5$s ORDER BY v.place$q$, env_name, entity_name,
            (SELECT string_agg(format('(%s, %L, g.%I::text)', a.ordinality, a.value ->> 'name', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
            entity_name || '_lineage', cluster, (SELECT string_agg(format('WHEN %s THEN r.%I::text', a.ordinality, a.value ->> 'name'), ' ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
            entity_name || '_records'), mastering.artifact_path(env_name), true) AS t (place int, attribute text, value text, rule text, source text, record_key text, agreeing bigint, candidates jsonb)
      LEFT JOIN LATERAL (SELECT c.author, c.reason, c.expires_at FROM mastering.curation_in_force(env_name, entity_name, '{override}') c
                          WHERE t.rule = 'override' AND c.attribute = t.attribute AND EXISTS (SELECT FROM jsonb_array_elements(c.records) r JOIN jsonb_array_elements(members) m ON m = r) ORDER BY c.curation_id DESC LIMIT 1) o ON true
     ORDER BY t.place;
END
$$;
COMMENT ON FUNCTION mastering.do_explain_golden(text, text, bigint) IS 'Behind explain_golden.';
CREATE FUNCTION mastering.explain_golden(env text, entity text, id bigint)
RETURNS TABLE (attribute text, value text, rule text, source text, record_key text, agreeing bigint, candidates jsonb, overridden_by text, override_reason text, override_expires timestamptz)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.explain_golden(text, text, bigint) IS 'Where each value of a golden record comes from: rule, source and record, how many records agree, what the records of the cluster have to offer, and who overrode it why and until when.';

REVOKE ALL ON FUNCTION mastering.golden_expressions(jsonb, jsonb), mastering.golden_row(jsonb), mastering.check_golden_expressions(mastering.environment, jsonb, jsonb), mastering.role_of_survivorship(text, text, jsonb) FROM PUBLIC;
