-- 05_query_text.sql: what the set functions written in SQL share: looking at a query given as text, refusing
-- bad input with a useful message, guessing the name somebody meant.
--
-- The text of a query runs as its caller and under its caller's search_path. So no function that handles
-- such a text, here or later, has a search_path of its own: every name in it is qualified instead.

CREATE FUNCTION mastering.query_columns(query text, argument text DEFAULT 'query')
RETURNS TABLE ("position" integer, name text, type regtype, sortable boolean)
LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000 ROWS 10 -- not strict: a query that is NULL is an error, not no columns
AS 'MODULE_PATHNAME', 'mastering_query_columns';
COMMENT ON FUNCTION mastering.query_columns(text, text) IS
'The columns of a query given as text, without running it. The text must be one SELECT that only reads. sortable: the type has an order. argument: the parameter that errors name.';

CREATE FUNCTION mastering.query_body(query text, argument text DEFAULT 'query')
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'mastering_query_body';
COMMENT ON FUNCTION mastering.query_body(text, text) IS
'Internal. The text of one SELECT without its closing semicolon, to be put between parentheses and followed by a line break (it may end in a comment).';

-- Raises from within a query: CASE WHEN <bad row> THEN mastering.refuse(...) END. Volatile, or the planner would call
-- it while planning.
CREATE FUNCTION mastering.refuse(error_code text, message text, detail text, hint text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = refuse.error_code, MESSAGE = refuse.message,
        DETAIL = refuse.detail, HINT = refuse.hint;
END
$$;
COMMENT ON FUNCTION mastering.refuse(text, text, text, text) IS
'Internal. Raises an error, for use inside a query; never returns.';

-- Optimal string alignment: Damerau, Communications of the ACM 7(3), 1964, in the restricted form that edits no
-- part twice. Two rows of the matrix would not do: a swap looks two rows back.
CREATE FUNCTION mastering.nearest_name(name text, names text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text := lower(name);
    candidate text;
    other text;
    before_last integer[];
    last_row integer[];
    current_row integer[];
    best text;
    best_distance integer;
    distance integer;
BEGIN
    IF length(wanted) > 63 THEN
        RETURN NULL;
    END IF;
    FOREACH candidate IN ARRAY names LOOP
        other := lower(candidate);
        CONTINUE WHEN candidate IS NULL OR length(other) > 63;
        -- Element j + 1 of a row is the distance to the first j characters of the candidate.
        before_last := NULL;
        last_row := ARRAY(SELECT generate_series(0, length(other)));
        FOR i IN 1 .. length(wanted) LOOP
            current_row := ARRAY[i];
            FOR j IN 1 .. length(other) LOOP
                distance := least(last_row[j + 1] + 1, current_row[j] + 1,
                    last_row[j] + (substr(wanted, i, 1) <> substr(other, j, 1))::integer);
                IF i > 1 AND j > 1 AND substr(wanted, i, 1) = substr(other, j - 1, 1)
                    AND substr(wanted, i - 1, 1) = substr(other, j, 1)
                THEN
                    distance := least(distance, before_last[j - 1] + 1);
                END IF;
                current_row[j + 1] := distance;
            END LOOP;
            before_last := last_row;
            last_row := current_row;
        END LOOP;
        distance := last_row[length(other) + 1];
        -- Farther than a third of the name is another word, not a slip.
        IF distance <= greatest(1, greatest(length(wanted), length(other)) / 3)
            AND (best_distance IS NULL OR distance < best_distance)
        THEN
            best := candidate;
            best_distance := distance;
        END IF;
    END LOOP;
    RETURN best;
END
$$;
COMMENT ON FUNCTION mastering.nearest_name(text, text[]) IS
'Internal. The name of the list that somebody who typed this one may have meant, NULL when none is near.';

CREATE FUNCTION mastering.quoted_list(names text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(string_agg('"' || n || '"', ', ' ORDER BY o), 'none') FROM unnest(names) WITH ORDINALITY AS u (n, o) $$;
COMMENT ON FUNCTION mastering.quoted_list(text[]) IS 'Internal. The names in double quotes, for a message.';

-- Demands that a query have the columns named, each once.
CREATE FUNCTION mastering.require_columns(columns text[], required text[], argument text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
    near text;
    twice text;
BEGIN
    SELECT c INTO twice FROM unnest(columns) AS c GROUP BY c HAVING count(*) > 1 ORDER BY c COLLATE "C" LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42702',
            MESSAGE = format('the query in argument "%s" has more than one column "%s"', argument, twice),
            DETAIL = format('Its columns are: %s.', mastering.quoted_list(columns)),
            HINT = 'Give every column a name of its own with AS.';
    END IF;
    SELECT r INTO missing FROM unnest(required) WITH ORDINALITY AS u (r, o)
        WHERE r <> ALL (columns) ORDER BY o LIMIT 1;
    IF FOUND THEN
        near := mastering.nearest_name(missing,
            ARRAY(SELECT c FROM unnest(columns) WITH ORDINALITY AS u (c, o) WHERE c <> ALL (required) ORDER BY o));
        RAISE EXCEPTION USING ERRCODE = '42703',
            MESSAGE = format('the query in argument "%s" has no column "%s"', argument, missing),
            DETAIL = format('Its columns are: %s.', mastering.quoted_list(columns)),
            HINT = format('Name the column in the query: SELECT %s AS %I, ...', coalesce(quote_ident(near), '...'), missing);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_columns(text[], text[], text) IS
'Internal. Raises 42703 when a query lacks a column, 42702 when a name appears twice.';

-- The statement of the clusters that a query assigns: (id, cluster_id), one row an id, both text. Rows without a
-- cluster are left out. An id in two clusters, or NULL, is an error when the statement runs.
CREATE FUNCTION mastering.assignment_sql(query text, argument text, cluster_column text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
AS $$
SELECT pg_catalog.format(
$sql$SELECT COALESCE(q.id::pg_catalog.text, mastering.refuse('22004',
            %1$L, %2$L, 'Leave such rows out with WHERE id IS NOT NULL.')) COLLATE "C" AS id,
        pg_catalog.min(q.%3$I::pg_catalog.text COLLATE "C") AS cluster_id
    FROM (
%4$s
    ) AS q
    WHERE q.%3$I IS NOT NULL
    GROUP BY 1
    HAVING CASE WHEN pg_catalog.min(q.%3$I::pg_catalog.text COLLATE "C") <> pg_catalog.max(q.%3$I::pg_catalog.text COLLATE "C")
        THEN mastering.refuse('21000',
            pg_catalog.format(%5$L, pg_catalog.min(q.id::pg_catalog.text)),
            pg_catalog.format('It is in "%%s" and in "%%s".', pg_catalog.min(q.%3$I::pg_catalog.text COLLATE "C"),
                pg_catalog.max(q.%3$I::pg_catalog.text COLLATE "C")),
            'Give every record one cluster.') IS NULL
        ELSE true END$sql$,
    pg_catalog.format('the query in argument "%s" gives a row without id', argument),
    'The id is NULL.',
    cluster_column,
    mastering.query_body(query, argument),
    pg_catalog.replace(pg_catalog.format('the query in argument "%s" gives record "{}" more than one cluster', argument), '{}', '%s'))
$$;
COMMENT ON FUNCTION mastering.assignment_sql(text, text, text) IS
'Internal. The statement that reads a query as clusters: id and cluster_id as text, one row an id.';
