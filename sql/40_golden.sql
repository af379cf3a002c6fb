-- 40_golden.sql: survivorship: one golden record of every cluster.
--
-- golden_records reads the rules, checks them against the columns of the query and lets golden_sql write one
-- statement that does all the work set by set. Both run as the caller.
--
-- What survives is a total order over the records of a cluster, one order for each attribute (or group of
-- attributes that must come from one record):
--   1. records with a value before records without (NULL, blank text, empty array, JSON null), and before those
--      that no choice is for;
--   2. where there are several choices (the first that finds a value), records of an earlier one;
--   3. the rules of the attribute, or of that choice, one after the other;
--   4. for a group, the record that fills more of it;
--   5. the smaller value, texts in byte order (collation "C");
--   6. the shorter id, then the smaller id in byte order, which for whole numbers is their order.
-- No step looks at the order of the input, and ids are distinct, so the result does not depend on it.

CREATE FUNCTION mastering.golden_add(state internal, plan jsonb, record record) RETURNS internal
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_golden_add';
COMMENT ON FUNCTION mastering.golden_add(internal, jsonb, record) IS 'Internal. Transition function of golden_agg.';

CREATE FUNCTION mastering.golden_final(state internal) RETURNS record
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_golden_final';
COMMENT ON FUNCTION mastering.golden_final(internal) IS 'Internal. Final function of golden_agg.';

CREATE AGGREGATE mastering.golden_agg(plan jsonb, record record) (
    SFUNC = mastering.golden_add, STYPE = internal, FINALFUNC = mastering.golden_final, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE);
COMMENT ON AGGREGATE mastering.golden_agg(jsonb, record) IS
'Internal. The golden record of a cluster: record_count, source_count, lineage, then the attributes. plan says which fields of the records are what and how values survive; the order of the records does not matter.';

CREATE FUNCTION mastering.golden_field(golden record, place integer, like_this anyelement) RETURNS anyelement
LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_golden_field';   -- not strict: like_this is a NULL of the type
COMMENT ON FUNCTION mastering.golden_field(record, integer, anyelement) IS
'Internal. A field of what golden_agg gives, in its own type.';

CREATE FUNCTION mastering.json_path_step(key text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT '.' || CASE WHEN key ~ '^[A-Za-z_][A-Za-z0-9_]*$' THEN key ELSE to_json(key)::text END $$;
COMMENT ON FUNCTION mastering.json_path_step(text) IS 'Internal. A key as one step of a JSON path.';

-- Raises for a part of a JSON specification that cannot be used.
CREATE FUNCTION mastering.reject_json(path text, problem text, allowed text, hint text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF hint IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid rules at %s: %s', path, problem), DETAIL = allowed;
    END IF;
    RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid rules at %s: %s', path, problem), DETAIL = allowed, HINT = hint;
END
$$;
COMMENT ON FUNCTION mastering.reject_json(text, text, text, text) IS
'Internal. Raises 22023 with the JSON path, what was found there and what is allowed.';

CREATE FUNCTION mastering.reject_name(path text, kind text, given text, allowed text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM mastering.reject_json(path, format('unknown %s "%s"', kind, given),
        format('Allowed are: %s.', mastering.quoted_list(allowed)),
        'Did you mean "' || mastering.nearest_name(given, allowed) || '"?');
END
$$;
COMMENT ON FUNCTION mastering.reject_name(text, text, text, text[]) IS
'Internal. Raises 22023 for a name that is not in a list, with the nearest one that is.';

CREATE FUNCTION mastering.require_json(value jsonb, wanted text, path text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF jsonb_typeof(value) <> wanted THEN
        PERFORM mastering.reject_json(path, format('found a JSON %s, %s', jsonb_typeof(value), left(value::text, 60)),
            format('Allowed is a JSON %s.', wanted));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_json(jsonb, text, text) IS 'Internal. Raises 22023 unless the value has the JSON type wanted.';

CREATE FUNCTION mastering.require_json_keys(value jsonb, allowed text[], path text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    key text;
BEGIN
    PERFORM mastering.require_json(value, 'object', path);
    FOR key IN SELECT k FROM jsonb_object_keys(value) AS k WHERE k <> ALL (allowed) ORDER BY k COLLATE "C" LOOP
        PERFORM mastering.reject_name(path || mastering.json_path_step(key), 'key', key, allowed);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.require_json_keys(jsonb, text[], text) IS 'Internal. Raises 22023 unless the value is an object with allowed keys only.';

CREATE FUNCTION mastering.require_json_names(value jsonb, path text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item jsonb;
    names text[] := '{}';
BEGIN
    PERFORM mastering.require_json(value, 'array', path);
    FOR item IN SELECT i FROM jsonb_array_elements(value) AS i LOOP
        PERFORM mastering.require_json(item, 'string', format('%s[%s]', path, cardinality(names)));
        IF item #>> '{}' = ANY (names) THEN
            PERFORM mastering.reject_json(format('%s[%s]', path, cardinality(names)), format('"%s" is named twice', item #>> '{}'),
                'A name may appear once in the list.');
        END IF;
        names := names || (item #>> '{}');
    END LOOP;
    IF names = '{}' THEN
        PERFORM mastering.reject_json(path, 'found an empty list', 'Allowed is a list of at least one name.');
    END IF;
    RETURN names;
END
$$;
COMMENT ON FUNCTION mastering.require_json_names(jsonb, text) IS 'Internal. The strings of a JSON list of distinct names; raises 22023 for anything else.';

-- Turns what a user wrote as the rule of an attribute (a name, an object or a list of either) into a flat list of
-- steps, each {"rule": ..., "sources": [...], "recency": column}. The context holds what applies unless the
-- object says otherwise: sources, recency, and what the query offers: dated (columns that can be recency),
-- has_source.
CREATE FUNCTION mastering.golden_steps(rule jsonb, path text, context jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known constant text[] := ARRAY['most_frequent', 'most_recent', 'least_recent', 'longest', 'shortest',
        'source_priority', 'most_complete_record', 'trust', 'min', 'max', 'union', 'aggregate'];
    name text := rule #>> '{}';
    steps jsonb := '[]';
    item jsonb;
    place integer := 0;
BEGIN
    CASE jsonb_typeof(rule)
    WHEN 'string' THEN
        IF name <> ALL (known) THEN
            PERFORM mastering.reject_name(path, 'rule', name, known);
        ELSIF name = 'source_priority' AND NOT (context->'has_source')::boolean THEN
            PERFORM mastering.reject_json(path, 'source_priority needs to know the source of each record',
                'The query has no column "source".', 'Name the column in the query: SELECT ... AS source.');
        ELSIF name = 'source_priority' AND NOT context ? 'sources' THEN
            PERFORM mastering.reject_json(path, 'source_priority needs the sources in order',
                'Neither the rule has "sources" nor the rules "source_priority".',
                'Write {"rule": "source_priority", "sources": ["crm", "shop"]}, or "source_priority": ["crm", "shop"] for all rules.');
        ELSIF name IN ('most_recent', 'least_recent') AND NOT context ? 'recency' THEN
            PERFORM mastering.reject_json(path, format('%s needs the column that dates a record', name),
                'The rules have no "recency".', 'Add "recency": "updated_at" with the name of that column.');
        ELSIF name = 'trust' AND NOT ((context->'has_source')::boolean AND context ? 'trust') THEN
            PERFORM mastering.reject_json(path, 'trust needs to know how far each source is trusted',
                CASE WHEN context ? 'trust' THEN 'The query has no column "source".' ELSE 'Neither the rule nor the rules have "trust".' END,
                'Write {"rule": "trust", "trust": {"crm": 90, "shop": {"start": 80, "final": 20, "after": "2 years"}}}.');
        ELSIF name = 'trust' AND NOT context ? 'recency' AND context->'trust' @? '$.* ? (@.after > 0)' THEN
            PERFORM mastering.reject_json(path, 'trust that goes down needs the column that dates a record',
                'The rules have no "recency".', 'Add "recency": "updated_at" with the name of that column.');
        ELSIF name = 'aggregate' AND NOT context ? 'aggregate' THEN
            PERFORM mastering.reject_json(path, 'aggregate needs an SQL expression',
                'The rule has no "aggregate".', 'Write {"rule": "aggregate", "aggregate": "avg(price)"}.');
        END IF;
        RETURN jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('rule', name, 'sources', context->'sources', 'recency', context->'recency',
            'trust', CASE WHEN name = 'trust' THEN context->'trust' END, 'aggregate', CASE WHEN name = 'aggregate' THEN context->'aggregate' END)));
    WHEN 'array' THEN
        IF rule = '[]' THEN
            PERFORM mastering.reject_json(path, 'found an empty list', 'Allowed is a list of at least one rule.');
        END IF;
        FOR item IN SELECT i FROM jsonb_array_elements(rule) AS i LOOP
            steps := steps || mastering.golden_steps(item, format('%s[%s]', path, place), context);
            place := place + 1;
        END LOOP;
        IF place > 1 AND steps @> '[{"rule": "union"}]' THEN
            PERFORM mastering.reject_json(path, 'union keeps every value, so it cannot be one of several rules',
                'Allowed is union alone.');
        ELSIF place > 1 AND steps @> '[{"rule": "aggregate"}]' THEN
            PERFORM mastering.reject_json(path, 'aggregate makes a value of its own, so it cannot be one of several rules',
                'Allowed is aggregate alone.');
        END IF;
        RETURN steps;
    WHEN 'object' THEN
        IF rule ? 'where' OR rule ? 'first' THEN
            PERFORM mastering.reject_json(path || CASE WHEN rule ? 'where' THEN '.where' ELSE '.first' END, 'conditions and choices are for a whole rule',
                'A rule in a list only breaks the ties of the one before.', 'Write {"rule": ["longest", "most_recent"], "where": "verified"}, or {"first": [rule, rule]}.');
        END IF;
        PERFORM mastering.require_json_keys(rule, ARRAY['rule', 'sources', 'recency', 'trust', 'aggregate'], path);
        IF NOT rule ? 'rule' THEN
            PERFORM mastering.reject_json(path, 'the key "rule" is missing', format('Allowed rules are: %s.', mastering.quoted_list(known)));
        END IF;
        IF rule ? 'sources' THEN
            context := context || jsonb_build_object('sources', mastering.require_json_names(rule->'sources', path || '.sources'));
        END IF;
        IF rule ? 'recency' THEN
            context := context || jsonb_build_object('recency', mastering.golden_recency(rule->'recency', path || '.recency', context->'dated'));
        END IF;
        IF rule ? 'trust' THEN
            context := context || jsonb_build_object('trust', mastering.golden_trust(rule->'trust', path || '.trust'));
        END IF;
        IF rule ? 'aggregate' THEN
            context := context || jsonb_build_object('aggregate', mastering.golden_expression(rule->'aggregate', path || '.aggregate'));
        END IF;
        RETURN mastering.golden_steps(rule->'rule', path || '.rule', context);
    ELSE
        PERFORM mastering.reject_json(path, format('found a JSON %s, %s', jsonb_typeof(rule), left(rule::text, 60)),
            'Allowed are the name of a rule, an object with the key "rule", or a list of either.');
    END CASE;
END
$$;
COMMENT ON FUNCTION mastering.golden_steps(jsonb, text, jsonb) IS
'Internal. The rule of an attribute, as written, as a flat list of steps; raises 22023 with the JSON path of what is wrong.';

CREATE FUNCTION mastering.golden_recency(value jsonb, path text, dated jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM mastering.require_json(value, 'string', path);
    IF NOT dated ? (value #>> '{}') THEN
        PERFORM mastering.reject_name(path, 'column', value #>> '{}', ARRAY(SELECT jsonb_array_elements_text(dated)));
    END IF;
    RETURN value #>> '{}';
END
$$;
COMMENT ON FUNCTION mastering.golden_recency(jsonb, text, jsonb) IS 'Internal. The recency column that rules name; raises 22023 unless it is a column that has an order.';

-- {"crm": 90, "shop": {"start": 80, "final": 20, "after": "2 years"}, "*": 10} with every source in full.
CREATE FUNCTION mastering.golden_trust(value jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    source text;
    item jsonb;
    place text;
    age double precision;
    result jsonb := '{}';
BEGIN
    PERFORM mastering.require_json(value, 'object', path);
    FOR source, item IN SELECT j.key, j.value FROM jsonb_each(value) j ORDER BY j.key COLLATE "C" LOOP
        place := path || mastering.json_path_step(source);
        age := 0;
        IF jsonb_typeof(item) = 'number' THEN
            item := jsonb_build_object('start', item);
        END IF;
        PERFORM mastering.require_json_keys(item, ARRAY['start', 'final', 'after'], place);
        IF jsonb_typeof(item->'start') IS DISTINCT FROM 'number' OR jsonb_typeof(coalesce(item->'final', '0')) <> 'number' OR (item ? 'final') <> (item ? 'after') THEN
            PERFORM mastering.reject_json(place, 'trust is a number, or goes from one down to another in some time', 'Allowed are a number, or start, final and after.');
        END IF;
        IF item ? 'after' THEN
            BEGIN
                age := CASE jsonb_typeof(item->'after') WHEN 'number' THEN (item->>'after')::double precision WHEN 'string' THEN extract(epoch FROM (item->>'after')::interval) END;
            EXCEPTION WHEN data_exception THEN
                age := NULL;
            END;
            IF age IS NULL OR age <= 0 OR age = 'Infinity' THEN
                PERFORM mastering.reject_json(place || '.after', 'found no length of time', 'Allowed is an interval, such as "2 years", or a number where the column that dates a record is one.');
            END IF;
        END IF;
        result := result || jsonb_build_object(source, jsonb_build_object('start', item->'start', 'final', coalesce(item->'final', item->'start'), 'after', age));
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.golden_trust(jsonb, text) IS
'Internal. How far sources are trusted, as written, with start, final and after (in seconds) of each; raises 22023 for anything else.';

CREATE FUNCTION mastering.golden_expression(value jsonb, path text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_one boolean := false;
BEGIN
    PERFORM mastering.require_json(value, 'string', path);
    BEGIN
        is_one := mastering.is_expression(value #>> '{}');
    EXCEPTION WHEN syntax_error THEN
        NULL;
    END;
    IF NOT is_one THEN
        PERFORM mastering.reject_json(path, format('found no single SQL expression: %s', left(value #>> '{}', 60)),
            'Allowed is an expression over the columns of a record, without subqueries.');
    END IF;
    RETURN value #>> '{}';
END
$$;
COMMENT ON FUNCTION mastering.golden_expression(jsonb, text) IS 'Internal. The SQL expression of a rule; raises 22023 unless it is one.';

-- The choices of a rule, each with its condition (where), the name that lineage shows, and its steps. A record is for
-- the first choice whose condition it meets; {"first": [...]} has several, anything else is one.
CREATE FUNCTION mastering.golden_choices(rule jsonb, path text, context jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item jsonb;
    choice jsonb;
    place integer := 0;
    result jsonb := '[]';
BEGIN
    IF jsonb_typeof(rule) = 'object' AND rule ? 'first' THEN
        PERFORM mastering.require_json_keys(rule, ARRAY['first'], path);
        PERFORM mastering.require_json(rule->'first', 'array', path || '.first');
        IF jsonb_array_length(rule->'first') NOT BETWEEN 1 AND 32 THEN
            PERFORM mastering.reject_json(path || '.first', format('found %s choices', jsonb_array_length(rule->'first')), 'Allowed are 1 to 32.');
        END IF;
        FOR item IN SELECT i FROM jsonb_array_elements(rule->'first') AS i LOOP
            IF jsonb_typeof(item) = 'object' AND item ? 'first' THEN
                PERFORM mastering.reject_json(format('%s.first[%s].first', path, place), 'a choice has no choices', 'Allowed is one list of choices.');
            END IF;
            choice := mastering.golden_choices(item, format('%s.first[%s]', path, place), context);
            IF jsonb_array_length(rule->'first') > 1 AND choice->0->'steps'->0->>'rule' IN ('union', 'aggregate') THEN
                PERFORM mastering.reject_json(format('%s.first[%s]', path, place), format('%s is no choice among others', choice->0->'steps'->0->>'rule'), 'Allowed are rules that choose a record.');
            END IF;
            result := result || choice;
            place := place + 1;
        END LOOP;
        RETURN result;
    ELSIF jsonb_typeof(rule) = 'object' AND (rule ? 'where' OR rule ? 'name') THEN
        PERFORM mastering.require_json_keys(rule, ARRAY['rule', 'sources', 'recency', 'trust', 'aggregate', 'where', 'name'], path);
        IF rule ? 'name' THEN
            PERFORM mastering.require_json(rule->'name', 'string', path || '.name');
        END IF;
        choice := jsonb_strip_nulls(jsonb_build_object('name', rule->'name', 'where', CASE WHEN rule ? 'where' THEN mastering.golden_expression(rule->'where', path || '.where') END,
            'steps', mastering.golden_steps(rule - '{where,name}'::text[], path, context)));
        IF choice ? 'where' AND choice->'steps'->0->>'rule' IN ('union', 'aggregate') THEN
            PERFORM mastering.reject_json(path || '.where', format('%s takes all records', choice->'steps'->0->>'rule'), 'A condition is for rules that choose a record.',
                CASE choice->'steps'->0->>'rule' WHEN 'aggregate' THEN 'Write it into the aggregate: count(*) FILTER (WHERE ...).' END);
        END IF;
        RETURN jsonb_build_array(choice);
    END IF;
    RETURN jsonb_build_array(jsonb_build_object('steps', mastering.golden_steps(rule, path, context)));
END
$$;
COMMENT ON FUNCTION mastering.golden_choices(jsonb, text, jsonb) IS
'Internal. A rule as written, as a list of choices with their conditions and steps; raises 22023 with the JSON path of what is wrong.';

-- The units of survivorship: one for each group of attributes and for each attribute that is in no group, in the
-- order of the query: attributes (their names) and steps. columns: the query's columns, as query_columns gives them.
CREATE FUNCTION mastering.golden_units(rules jsonb, attributes text[], sortable text[], has_source boolean)
RETURNS TABLE (unit bigint, members text[], steps jsonb, choices jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 20
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    context jsonb := jsonb_build_object('has_source', has_source, 'dated', sortable);
    fallback jsonb;
    own jsonb := '{}';
    grouped text[] := '{}';
    item jsonb;
    path text;
    place integer := 0;
    name text;
    step jsonb;
    units jsonb := '[]';
BEGIN
    PERFORM mastering.require_json_keys(rules, ARRAY['default', 'attributes', 'groups', 'recency', 'source_priority', 'trust'], '$');
    IF rules ? 'recency' THEN
        context := context || jsonb_build_object('recency', mastering.golden_recency(rules->'recency', '$.recency', context->'dated'));
    END IF;
    IF rules ? 'source_priority' THEN
        context := context || jsonb_build_object('sources', mastering.require_json_names(rules->'source_priority', '$.source_priority'));
    END IF;
    IF rules ? 'trust' THEN
        context := context || jsonb_build_object('trust', mastering.golden_trust(rules->'trust', '$.trust'));
    END IF;
    fallback := mastering.golden_choices(coalesce(rules->'default', '"most_frequent"'), '$.default', context);

    IF rules ? 'attributes' THEN
        PERFORM mastering.require_json(rules->'attributes', 'object', '$.attributes');
        FOR name, item IN SELECT key, value FROM jsonb_each(rules->'attributes') ORDER BY key COLLATE "C" LOOP
            path := '$.attributes' || mastering.json_path_step(name);
            IF name <> ALL (attributes) THEN
                PERFORM mastering.reject_name(path, 'attribute', name, attributes);
            END IF;
            own := own || jsonb_build_object(name, mastering.golden_choices(item, path, context));
        END LOOP;
    END IF;

    IF rules ? 'groups' THEN
        PERFORM mastering.require_json(rules->'groups', 'array', '$.groups');
    END IF;
    FOR item IN SELECT i FROM jsonb_array_elements(coalesce(rules->'groups', '[]')) AS i LOOP
        path := format('$.groups[%s]', place);
        place := place + 1;
        choices := fallback;
        IF jsonb_typeof(item) = 'object' THEN
            PERFORM mastering.require_json_keys(item, ARRAY['attributes', 'rule', 'sources', 'recency', 'trust', 'where', 'name', 'first'], path);
            IF NOT item ? 'attributes' THEN
                PERFORM mastering.reject_json(path, 'the key "attributes" is missing', 'Allowed is a list of attributes that survive together.');
            END IF;
            IF item ?| '{rule,first}'::text[] THEN
                choices := mastering.golden_choices(item - 'attributes', path, context);
            END IF;
            path := path || '.attributes';
            item := item->'attributes';
        END IF;
        members := mastering.require_json_names(item, path);
        FOR i IN 1 .. cardinality(members) LOOP
            IF members[i] <> ALL (attributes) THEN
                PERFORM mastering.reject_name(format('%s[%s]', path, i - 1), 'attribute', members[i], attributes);
            ELSIF members[i] = ANY (grouped) THEN
                PERFORM mastering.reject_json(format('%s[%s]', path, i - 1), format('"%s" is in another group already', members[i]),
                    'An attribute may be in one group.');
            ELSIF own ? members[i] THEN
                PERFORM mastering.reject_json('$.attributes' || mastering.json_path_step(members[i]),
                    format('"%s" is in a group and has a rule of its own', members[i]),
                    'The attributes of a group survive together, under the rule of the group.',
                    'Give the rule to the group: {"attributes": [...], "rule": ...}.');
            END IF;
        END LOOP;
        FOR step IN SELECT s FROM jsonb_array_elements(choices) AS c CROSS JOIN LATERAL jsonb_array_elements(c->'steps') AS s LOOP
            IF step->>'rule' IN ('min', 'max', 'union', 'aggregate') THEN
                PERFORM mastering.reject_json(path, format('the rule %s cannot choose a group', step->>'rule'),
                    'It looks at one value, and a group has several.', 'Give the group a rule: {"attributes": [...], "rule": "most_recent"}.');
            END IF;
        END LOOP;
        grouped := grouped || members;
        units := units || jsonb_build_array(jsonb_build_object('members', members, 'choices', choices));
    END LOOP;

    FOR name IN SELECT a FROM unnest(attributes) WITH ORDINALITY AS u (a, o) WHERE a <> ALL (grouped) ORDER BY o LOOP
        FOR step IN SELECT s FROM jsonb_array_elements(coalesce(own->name, fallback)) AS c CROSS JOIN LATERAL jsonb_array_elements(c->'steps') AS s LOOP
            IF step->>'rule' IN ('min', 'max') AND name <> ALL (sortable) THEN
                PERFORM mastering.reject_json(CASE WHEN own ? name THEN '$.attributes' || mastering.json_path_step(name) ELSE '$.default' END,
                    format('the type of attribute "%s" has no order for %s', name, step->>'rule'), 'The rule needs values that can be sorted.');
            END IF;
        END LOOP;
        units := units || jsonb_build_array(jsonb_build_object('members', ARRAY[name], 'choices', coalesce(own->name, fallback)));
    END LOOP;

    RETURN QUERY
    SELECT o, ARRAY(SELECT jsonb_array_elements_text(u->'members')), u->'choices'->0->'steps', u->'choices'
    FROM jsonb_array_elements(units) WITH ORDINALITY AS e (u, o);
END
$$;
COMMENT ON FUNCTION mastering.golden_units(jsonb, text[], text[], boolean) IS
'Internal. The survivorship rules, checked against the attributes of a query, as units that survive from one record each.';

-- The statement that makes the golden records: a SELECT of cluster_id, record_count, source_count, then either
-- golden and lineage as jsonb, or (typed) each attribute under its own name and type, then lineage.
--
-- Its shape: query and clusters are brought together, each record as one row, sorted by cluster, so that no more
-- than one cluster is held at a time; golden_agg chooses (see src/engine/survivorship.h for its plan); golden_field
-- takes the result apart. Attributes are called a1, a2, ... inside, whatever their names. Without clusters, the query
-- itself says in column "#cluster" (bigint) where each record belongs. That is how an environment asks: its attributes
-- have one type for records and golden records, so there a union is one of arrays.
CREATE FUNCTION mastering.golden_sql(query text, clusters text, rules jsonb, typed boolean) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
DECLARE
    -- Not an escape string inside the statement: its meaning would hang on standard_conforming_strings.
    blanks constant text := E' \t\n\r\f\013';
    columns text[];
    sortable text[];
    attributes text[];
    has_source boolean;
    plan jsonb;
    blank_to_null text;     -- the attributes, blanks made NULL where golden_agg does not do it
    fields text;            -- the attributes as fields of a record, then what else is compared
    recency_id text;        -- the id in its own type, where it dates the records
    golden_values text;     -- the attributes of a golden record under their own names
    united_array text;      -- an array under the rule union
    tiers text;             -- for units with conditions, the number of the choice that a record is for
    aggregates text;        -- the values that aggregates make
    aggregated text;        -- the columns as these see them
    misdated text;          -- a column that cannot date trust
BEGIN
    IF rules IS NULL THEN
        rules := '{}';
    END IF;
    SELECT pg_catalog.array_agg(c.name ORDER BY c."position"),
        pg_catalog.array_agg(c.name ORDER BY c."position") FILTER (WHERE c.sortable AND c.name <> 'source'),
        pg_catalog.array_agg(c.name ORDER BY c."position") FILTER (WHERE c.name NOT IN ('id', 'source') AND (clusters IS NOT NULL OR c.name <> '#cluster'))
        INTO columns, sortable, attributes
        FROM mastering.query_columns(query, 'query') AS c;
    columns := COALESCE(columns, '{}');
    sortable := COALESCE(sortable, '{}');
    attributes := COALESCE(attributes, '{}');
    PERFORM mastering.require_columns(columns, '{id}', 'query');
    IF clusters IS NOT NULL OR '#cluster' <> ALL (columns) THEN
        PERFORM mastering.require_columns(
            ARRAY(SELECT c.name FROM mastering.query_columns(clusters, 'clusters') AS c ORDER BY c."position"),
            '{id,cluster_id}', 'clusters');
    END IF;
    has_source := 'source' = ANY (columns);
    -- By itself first: an error inside the statement below would have all of its text as context.
    PERFORM mastering.golden_units(rules, attributes, sortable, has_source);
    IF typed AND attributes && '{cluster_id,record_count,source_count,lineage}'::pg_catalog.text[] THEN
        RAISE EXCEPTION USING ERRCODE = '42701',
            MESSAGE = 'an attribute has the name of a column that every golden record has',
            DETAIL = 'Taken are: "cluster_id", "record_count", "source_count", "lineage".',
            HINT = 'Give the attribute another name in the query with AS.';
    END IF;

    WITH attribute AS (
        SELECT c.name, c.sortable, t.typcategory = 'S' AS is_text, t.typcollation <> 0 AS is_collatable,
            t.oid IN ('pg_catalog.text'::pg_catalog.regtype, 'pg_catalog.varchar'::pg_catalog.regtype) AS is_plain_text,
            t.oid = 'pg_catalog.bpchar'::pg_catalog.regtype AS is_padded_text,
            t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc AND t.typlen = -1 AS is_array,
            t.oid AS base_type, 'a' || a.n AS value, a.n, t.oid IN ('pg_catalog.date'::pg_catalog.regtype, 'pg_catalog.timestamp'::pg_catalog.regtype, 'pg_catalog.timestamptz'::pg_catalog.regtype) AS is_time,
            t.typcategory = 'N' AS is_number
        FROM mastering.query_columns(query, 'query') AS c
        JOIN pg_catalog.unnest(attributes) WITH ORDINALITY AS a (name, n) ON a.name = c.name
        CROSS JOIN LATERAL (
            WITH RECURSIVE base AS (
                SELECT b.oid, b.typtype, b.typbasetype FROM pg_catalog.pg_type AS b WHERE b.oid = c.type
                UNION ALL
                SELECT b.oid, b.typtype, b.typbasetype FROM base JOIN pg_catalog.pg_type AS b ON b.oid = base.typbasetype
                WHERE base.typtype = 'd')
            SELECT p.oid, p.typcategory, p.typsubscript, p.typlen, p.typcollation
            FROM base JOIN pg_catalog.pg_type AS p ON p.oid = base.oid
            WHERE base.typtype <> 'd') AS t
    ),
    unit AS (
        SELECT u.unit, u.members, u.steps, u.choices, (SELECT pg_catalog.jsonb_agg(s) FROM pg_catalog.jsonb_array_elements(u.choices) AS c CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(c->'steps') AS s) AS all_steps,
            u.steps->0->>'rule' = 'union' AS is_union, u.steps->0->>'aggregate' AS aggregate, u.choices @? '$[*].where' AS is_conditional
        FROM mastering.golden_units(rules, attributes, sortable, has_source) AS u
    ),
    -- What is compared where the value itself cannot be, after the id, the source, is_alone and the attributes.
    other AS (
        SELECT o.kind, o.n, o.expression, 3 + pg_catalog.cardinality(attributes) + pg_catalog.row_number() OVER (ORDER BY o.kind, o.n) AS place
        FROM (
            SELECT 'key' AS kind, a.n, pg_catalog.format('j.a%s::pg_catalog.text COLLATE "C"', a.n) AS expression
            FROM attribute AS a WHERE NOT a.sortable
            UNION ALL
            SELECT 'length', a.n, pg_catalog.format('COALESCE(pg_catalog.length(j.a%s::pg_catalog.text), 0)', a.n)
            FROM attribute AS a JOIN unit AS u ON a.name = ANY (u.members)
            WHERE NOT a.is_plain_text AND (u.all_steps @> '[{"rule": "longest"}]' OR u.all_steps @> '[{"rule": "shortest"}]')
            UNION ALL
            SELECT 'id', 0, 'j.id_value' WHERE EXISTS (SELECT FROM unit AS u WHERE u.all_steps @> '[{"recency": "id"}]')
            UNION ALL
            SELECT 'tier', u.unit, pg_catalog.format('j.t%s', u.unit) FROM unit AS u WHERE u.is_conditional
            UNION ALL
            SELECT 'time', a.n, CASE WHEN a.is_time THEN pg_catalog.format('EXTRACT(epoch FROM j.a%s)::pg_catalog.float8', a.n) ELSE pg_catalog.format('j.a%s::pg_catalog.float8', a.n) END
            FROM attribute AS a WHERE EXISTS (SELECT FROM unit AS u CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(u.all_steps) AS s WHERE s->>'rule' = 'trust' AND s->>'recency' = a.name)) AS o
    ),
    planned AS (
        SELECT a.*, 3 + a.n AS place, COALESCE(k.place, 3 + a.n) AS key_place, l.place AS length_place, m.place AS time_place
        FROM attribute AS a
        LEFT JOIN other AS k ON k.kind = 'key' AND k.n = a.n
        LEFT JOIN other AS l ON l.kind = 'length' AND l.n = a.n
        LEFT JOIN other AS m ON m.kind = 'time' AND m.n = a.n
    )
    SELECT
        pg_catalog.jsonb_build_object('source', has_source,
            'columns', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
                    'name', a.name, 'value', a.place, 'key', a.key_place, 'length', a.length_place,
                    'blank', a.is_plain_text OR a.is_padded_text)) ORDER BY a.n) FROM planned AS a), '[]'),
            'units', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'members', (SELECT pg_catalog.jsonb_agg(a.n ORDER BY m.o)
                        FROM pg_catalog.unnest(u.members) WITH ORDINALITY AS m (name, o) JOIN attribute AS a ON a.name = m.name),
                    'union', u.is_union,
                    'elements', u.is_union AND (SELECT a.is_array FROM attribute AS a WHERE a.name = u.members[1]),
                    'choices', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                            'rule', COALESCE(c->>'name', (SELECT pg_catalog.string_agg(s->>'rule', ', ' ORDER BY o) FROM pg_catalog.jsonb_array_elements(c->'steps') WITH ORDINALITY AS e (s, o))
                                || CASE WHEN c ? 'where' THEN ' where ' || CASE WHEN pg_catalog.length(c->>'where') > 40 THEN pg_catalog.left(c->>'where', 37) || '...' ELSE c->>'where' END ELSE '' END),
                            'steps', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
                            'rule', s->'rule', 'sources', CASE WHEN s->>'rule' = 'trust' THEN (SELECT COALESCE(pg_catalog.jsonb_agg(t.key ORDER BY t.key COLLATE "C"), '[]') FROM pg_catalog.jsonb_each(s->'trust') AS t WHERE t.key <> '*') ELSE s->'sources' END,
                            'trust', CASE WHEN s->>'rule' = 'trust' THEN (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.value->'start', t.value->'final', t.value->'after') ORDER BY t.key COLLATE "C"), '[]') FROM pg_catalog.jsonb_each(s->'trust') AS t WHERE t.key <> '*')
                                || pg_catalog.jsonb_build_array(CASE WHEN s->'trust' ? '*' THEN pg_catalog.jsonb_build_array(s#>'{trust,*,start}', s#>'{trust,*,final}', s#>'{trust,*,after}') ELSE '[0, 0, 0]' END) END,
                            'key', CASE WHEN s->>'rule' = 'trust' THEN (SELECT a.time_place FROM planned AS a WHERE a.name = s->>'recency')
                                WHEN s->>'recency' = 'id' THEN (SELECT o.place FROM other AS o WHERE o.kind = 'id')
                                ELSE (SELECT a.key_place FROM planned AS a WHERE a.name = s->>'recency') END)) ORDER BY e.o)
                        FROM pg_catalog.jsonb_array_elements(c->'steps') WITH ORDINALITY AS e (s, o))) ORDER BY h.n) FROM pg_catalog.jsonb_array_elements(u.choices) WITH ORDINALITY AS h (c, n)))
                    || CASE WHEN u.is_conditional THEN pg_catalog.jsonb_build_object('choice', (SELECT o.place FROM other AS o WHERE o.kind = 'tier' AND o.n = u.unit)) ELSE '{}' END ORDER BY u.unit) FROM unit AS u), '[]')),
        (SELECT pg_catalog.string_agg(', ' || CASE
                WHEN a.is_text AND NOT a.is_plain_text AND NOT a.is_padded_text THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.btrim(q.%1$I::pg_catalog.text, %2$L) = '''' THEN NULL ELSE q.%1$I END', a.name, blanks)
                WHEN a.is_array THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.cardinality(q.%1$I) = 0 THEN NULL ELSE q.%1$I END', a.name)
                WHEN a.base_type = 'pg_catalog.jsonb'::pg_catalog.regtype THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.jsonb_typeof(q.%1$I) = ''null'' THEN NULL ELSE q.%1$I END', a.name)
                WHEN a.base_type = 'pg_catalog.json'::pg_catalog.regtype THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.json_typeof(q.%1$I) = ''null'' THEN NULL ELSE q.%1$I END', a.name)
                ELSE pg_catalog.format('q.%I', a.name) END || ' AS ' || a.value,
                E'\n            ' ORDER BY a.n) FROM attribute AS a),
        -- Texts are compared by their bytes.
        pg_catalog.concat(
            (SELECT pg_catalog.string_agg(pg_catalog.format(', j.%s%s', a.value, CASE WHEN a.is_collatable THEN ' COLLATE "C"' END), '' ORDER BY a.n)
                FROM attribute AS a),
            (SELECT pg_catalog.string_agg(', ' || o.expression, '' ORDER BY o.place) FROM other AS o)),
        (SELECT ', q.id AS id_value' FROM other AS o WHERE o.kind = 'id'),
        -- Of a domain the base type: a NULL of a domain may be forbidden.
        (SELECT pg_catalog.string_agg(CASE WHEN u.aggregate IS NOT NULL THEN pg_catalog.format(', f.g%s AS %I', a.n, a.name)
                ELSE pg_catalog.format(', mastering.golden_field(f.golden, %s, NULL::%I.%I) AS %I', 3 + a.n, n.nspname, t.typname, a.name) END,
                E'\n    ' ORDER BY a.n)
            FROM attribute AS a JOIN unit AS u ON a.name = ANY (u.members)
            JOIN pg_catalog.pg_type AS base ON base.oid = a.base_type
            JOIN pg_catalog.pg_type AS t ON t.oid = CASE WHEN u.is_union AND NOT a.is_array THEN base.typarray ELSE base.oid END
            JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace),
        (SELECT pg_catalog.min(u.members[1]) FROM unit AS u JOIN attribute AS a ON a.name = u.members[1] WHERE u.is_union AND a.is_array AND (clusters IS NOT NULL OR NOT a.sortable)),
        -- A choice without a condition takes what is left.
        (SELECT pg_catalog.string_agg(pg_catalog.format(E',\n                    CASE %s END AS t%s', (SELECT pg_catalog.string_agg(CASE WHEN c ? 'where' THEN pg_catalog.format(E'WHEN (%s\n) THEN %s', c->>'where', o) ELSE pg_catalog.format('WHEN true THEN %s', o) END, ' ' ORDER BY o)
                FROM pg_catalog.jsonb_array_elements(u.choices) WITH ORDINALITY AS e (c, o)), u.unit), '' ORDER BY u.unit) FROM unit AS u WHERE u.is_conditional),
        -- Within CASE no function may return a set, which would make several golden records of one cluster.
        (SELECT pg_catalog.string_agg(pg_catalog.format(E', CASE WHEN true THEN (%s\n) END AS g%s', u.aggregate, a.n), '' ORDER BY a.n) FROM attribute AS a JOIN unit AS u ON a.name = ANY (u.members) WHERE u.aggregate IS NOT NULL),
        (SELECT pg_catalog.string_agg(pg_catalog.format(', %s AS %I', CASE WHEN a.is_plain_text OR a.is_padded_text THEN pg_catalog.format('CASE WHEN pg_catalog.btrim(j.a%s::pg_catalog.text, %L) <> '''' THEN j.a%1$s END', a.n, blanks) ELSE 'j.a' || a.n END, a.name), '' ORDER BY a.n) FROM attribute AS a),
        (SELECT pg_catalog.min(s->>'recency') FROM unit AS u CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(u.all_steps) AS s
            WHERE s->>'rule' = 'trust' AND NOT EXISTS (SELECT FROM attribute AS a WHERE a.name = s->>'recency' AND (a.is_time OR a.is_number)))
    INTO plan, blank_to_null, fields, recency_id, golden_values, united_array, tiers, aggregates, aggregated, misdated;
    IF misdated IS NOT NULL THEN
        PERFORM mastering.reject_json('$.recency', pg_catalog.format('column "%s" cannot say how old a value is', misdated), 'Trust is dated by a date, a timestamp or a number.');
    END IF;
    IF united_array IS NOT NULL THEN
        PERFORM mastering.reject_json(CASE WHEN rules->'attributes' ? united_array
                THEN '$.attributes' || mastering.json_path_step(united_array) ELSE '$.default' END,
            pg_catalog.format('attribute "%s" is an array, which union cannot take', united_array),
            'union makes an array of single values.', 'Give the attribute another rule, for example "longest".');
    END IF;

    RETURN pg_catalog.format(
$sql$SELECT f.cluster_id, mastering.golden_field(f.golden, 1, NULL::pg_catalog.int8) AS record_count,
    mastering.golden_field(f.golden, 2, NULL::pg_catalog.int8) AS source_count
    %7$s
FROM (
    SELECT s."#group" AS cluster_id, mastering.golden_agg(%6$L::pg_catalog.jsonb, s."#record") AS golden%10$s
    FROM (
        SELECT j.cluster_id AS "#group", ROW(j.id, j.source, j.is_alone%5$s) AS "#record"%11$s
        FROM (
            SELECT %9$s, r.*
            FROM (
                SELECT COALESCE(q.id::pg_catalog.text, mastering.refuse('22004',
                        'the query in argument "query" gives a row without id',
                        'The row is ' || pg_catalog.left(pg_catalog.to_jsonb(q.*)::pg_catalog.text, 200) || '.',
                        'Leave such rows out with WHERE id IS NOT NULL.')) COLLATE "C" AS id,
                    %3$s COLLATE "C" AS source%4$s
                FROM (
%1$s
                ) AS q
            ) AS r%2$s
        ) AS j
        ORDER BY j.cluster_id%12$s
        OFFSET 0
    ) AS s
    GROUP BY s."#group"
    OFFSET 0
) AS f
%8$s$sql$,
        mastering.query_body(query, 'query'),
        CASE WHEN clusters IS NULL THEN '' ELSE pg_catalog.format($join$
            LEFT JOIN (
                %s
            ) AS m ON m.id = r.id$join$, mastering.assignment_sql(clusters, 'clusters', 'cluster_id')) END,
        CASE WHEN has_source THEN 'q.source::pg_catalog.text' ELSE 'NULL::pg_catalog.text' END,
        pg_catalog.concat(CASE WHEN clusters IS NULL THEN ', q."#cluster" AS cluster_id' END, recency_id, blank_to_null, tiers),
        fields,
        plan,
        CASE WHEN typed THEN COALESCE(golden_values, '') ELSE ', pg_catalog.to_jsonb(g.*) AS golden' END
            || ', mastering.golden_field(f.golden, 3, NULL::pg_catalog.jsonb) AS lineage',
        CASE WHEN typed THEN '' ELSE pg_catalog.format(E'CROSS JOIN LATERAL (SELECT %s) AS g\n', pg_catalog.substr(golden_values, 3)) END,
        CASE WHEN clusters IS NULL THEN 'false AS is_alone' ELSE 'COALESCE(m.cluster_id, r.id) AS cluster_id, m.cluster_id IS NULL AS is_alone' END,
        -- An aggregate may hang on the order that it gets its rows in.
        aggregates, CASE WHEN aggregates IS NOT NULL THEN aggregated || ', j.id AS id' || CASE WHEN has_source THEN ', j.source AS source' ELSE '' END END,
        CASE WHEN aggregates IS NOT NULL THEN ', pg_catalog.length(j.id), j.id' END);
END
$$;
COMMENT ON FUNCTION mastering.golden_sql(text, text, jsonb, boolean) IS
'Internal. The text of the statement that makes golden records: typed, with a column for each attribute, or with the attributes in golden (jsonb).';

CREATE FUNCTION mastering.golden_records(query text, clusters text, rules jsonb DEFAULT '{}')
RETURNS TABLE (cluster_id text, record_count bigint, source_count bigint, golden jsonb, lineage jsonb)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 100000
SET jit = off   -- the statement is wide: compiling it costs seconds and gains less
AS $$
BEGIN
    RETURN QUERY EXECUTE mastering.golden_sql(query, clusters, rules, false);
END
$$;
COMMENT ON FUNCTION mastering.golden_records(text, text, jsonb) IS
'One golden record of every cluster. query: a SELECT with id, optionally source, and the attributes. clusters: a SELECT of id and cluster_id; a record that it leaves out is a cluster of its own under its id, ids that are not in query are ignored. rules: {"default": rule, "attributes": {name: rule}, "groups": [[names that survive from one record]], "recency": column, "source_priority": [sources]}; a rule is most_frequent (the default), most_recent, least_recent, longest, shortest, source_priority, most_complete_record, min, max, union, {"rule": ..., "sources": [...], "recency": column}, {"rule": "trust", "trust": {source: 90, source: {"start": 90, "final": 20, "after": "2 years"}, "*": 10}}, {"rule": "aggregate", "aggregate": "avg(price)"}, a list of rules of which the next breaks the ties of the one before, one with "where": an SQL condition on the records that it may choose, or {"first": [rule, rule]}: the first that finds a value. Empty values never survive over others. golden: the values; lineage: for each the record, its source, the rule and how many records agree.';

CREATE FUNCTION mastering.golden_records_as(record_type anyelement, query text, clusters text, rules jsonb DEFAULT '{}')
RETURNS SETOF anyelement
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 100000
SET jit = off   -- the statement is wide: compiling it costs seconds and gains less
AS $$
DECLARE
    row_type regtype := pg_catalog.pg_typeof(record_type);
    statement text;
    columns text[];
    wanted text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = row_type AND t.typtype = 'c') THEN
        RAISE EXCEPTION USING ERRCODE = '42804',
            MESSAGE = pg_catalog.format('the record type must be the row type of a table or view, not %s', row_type),
            HINT = 'Write NULL::my_table as the first argument.';
    END IF;
    statement := mastering.golden_sql(query, clusters, rules, true);
    columns := ARRAY(SELECT c.name FROM mastering.query_columns(statement, 'query') AS c);
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.typrelid = a.attrelid
        WHERE t.oid = row_type AND a.attnum > 0 AND a.attname = ANY (columns))
    THEN
        RAISE EXCEPTION USING ERRCODE = '42804',
            MESSAGE = pg_catalog.format('type %s has no column of the golden records', row_type),
            DETAIL = pg_catalog.format('The golden records have: %s.', mastering.quoted_list(columns)),
            HINT = 'Columns are matched by name: give the attributes the names of the columns with AS.';
    END IF;
    SELECT pg_catalog.string_agg(CASE WHEN a.attname = ANY (columns)
            THEN pg_catalog.format('g.%I::%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
            ELSE pg_catalog.format('NULL::%s', pg_catalog.format_type(a.atttypid, a.atttypmod)) END, ', ' ORDER BY a.attnum)
        INTO wanted
        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.typrelid = a.attrelid
        WHERE t.oid = row_type AND a.attnum > 0 AND NOT a.attisdropped;
    RETURN QUERY EXECUTE pg_catalog.format(E'SELECT %s FROM (\n%s\n) AS g', wanted, statement);
END
$$;
COMMENT ON FUNCTION mastering.golden_records_as(anyelement, text, text, jsonb) IS
'golden_records with typed columns: golden_records_as(NULL::customer, ...) gives rows of the type of table customer, filled by name from the attributes and cluster_id, record_count, source_count, lineage; other columns are NULL.';
