-- 00_schema.sql: opens the install script. The script makes its schema itself, so that a schema somebody
-- made beforehand is an error and not a trap.
\echo Use "CREATE EXTENSION mastering" to load this file. \quit

SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE SCHEMA mastering;
COMMENT ON SCHEMA mastering IS 'Data mastering: values, sets, environments. Put it on the search_path to call its functions by their bare names.';
GRANT USAGE ON SCHEMA mastering TO PUBLIC;
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
-- 10_values.sql: functions on single values. Immutable, strict and parallel safe: usable in any query and
-- any index. They compare characters, in every server encoding, and normalise nothing unless they say so.

-- Text

CREATE FUNCTION mastering.normalize_text(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_normalize_text';
COMMENT ON FUNCTION mastering.normalize_text(text) IS
'The form in which texts are compared: Unicode NFKC and full case folding; other scripts romanised, but Han left as it is; Latin letters without marks, as ASCII; an apostrophe inside a word dropped; every other run of punctuation, symbols and white space one space. Depends on the version of ICU, as collations do: see normalize_versions().';

CREATE FUNCTION mastering.normalize_versions() RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_normalize_versions';
COMMENT ON FUNCTION mastering.normalize_versions() IS
'The versions of ICU and of Unicode on which normalize_text depends.';

CREATE FUNCTION mastering.qgrams(value text, q integer DEFAULT 3) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_qgrams';
COMMENT ON FUNCTION mastering.qgrams(text, integer) IS
'All substrings of q characters (1 to 8), in order, repeated ones included; a text shorter than q is one gram by itself, an empty text has none.';

CREATE FUNCTION mastering.tokens(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_tokens';
COMMENT ON FUNCTION mastering.tokens(text) IS
'The runs of characters between white space, in order, repeated ones included.';

-- Similarities, from 0 to 1. Two empty texts are equal; an empty one shares nothing with another.

CREATE FUNCTION mastering.jaro_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_jaro_similarity';
COMMENT ON FUNCTION mastering.jaro_similarity(text, text) IS
'Jaro (1989): common characters within a window of half the longer text, less half of those that stand in another order.';

CREATE FUNCTION mastering.jaro_winkler_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_jaro_winkler_similarity';
COMMENT ON FUNCTION mastering.jaro_winkler_similarity(text, text) IS
'Jaro-Winkler (1990): Jaro, raised where it is above 0.7 by a tenth of the rest for each of up to four common leading characters. Suits names of persons.';

CREATE FUNCTION mastering.levenshtein_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_levenshtein_similarity';
COMMENT ON FUNCTION mastering.levenshtein_similarity(text, text) IS
'1 - distance / longer length: insertions, deletions and substitutions, each of one character. Texts of any length.';

CREATE FUNCTION mastering.damerau_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_damerau_similarity';
COMMENT ON FUNCTION mastering.damerau_similarity(text, text) IS
'1 - distance / longer length, where a swap of two neighbouring characters is one step too (optimal string alignment). Texts of any length.';

CREATE FUNCTION mastering.lcs_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_lcs_similarity';
COMMENT ON FUNCTION mastering.lcs_similarity(text, text) IS
'Twice the length of the longest common subsequence over the sum of both lengths.';

CREATE FUNCTION mastering.qgram_similarity(a text, b text, q integer DEFAULT 3, measure text DEFAULT 'dice') RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_qgram_similarity';
COMMENT ON FUNCTION mastering.qgram_similarity(text, text, integer, text) IS
'Common substrings of q characters (1 to 8), counted with repetition and without padding; measure: dice, jaccard, cosine or overlap.';

CREATE FUNCTION mastering.token_similarity(a text, b text, measure text DEFAULT 'jaccard') RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_token_similarity';
COMMENT ON FUNCTION mastering.token_similarity(text, text, text) IS
'Common tokens, each counted once; measure: dice, jaccard, cosine or overlap.';

CREATE FUNCTION mastering.token_sort_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_token_sort_similarity';
COMMENT ON FUNCTION mastering.token_sort_similarity(text, text) IS
'lcs_similarity of the tokens of each text in alphabetical order: the order of words does not matter.';

CREATE FUNCTION mastering.token_set_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_token_set_similarity';
COMMENT ON FUNCTION mastering.token_set_similarity(text, text) IS
'The best lcs_similarity among the common tokens and the common tokens with the rest of either text: 1 where all tokens of one are among those of the other.';

CREATE FUNCTION mastering.monge_elkan_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_monge_elkan_similarity';
COMMENT ON FUNCTION mastering.monge_elkan_similarity(text, text) IS
'Monge and Elkan (1996), made symmetric: the mean over the tokens of each text of the best jaro_winkler_similarity in the other.';

CREATE FUNCTION mastering.initials_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_initials_similarity';
COMMENT ON FUNCTION mastering.initials_similarity(text, text) IS
'The share of tokens, of the longer list, that pair off in order, where two tokens pair off that are equal or of which one is the first letter of the other.';

CREATE FUNCTION mastering.numeric_similarity(a float8, b float8, scale float8) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_numeric_similarity';
COMMENT ON FUNCTION mastering.numeric_similarity(float8, float8, float8) IS
'1 - |a - b| / scale, not below 0; scale is the difference at which nothing is left. NaN is alike to NaN only.';

CREATE FUNCTION mastering.date_similarity(a date, b date) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_date_similarity';
COMMENT ON FUNCTION mastering.date_similarity(date, date) IS
'1 equal; 0.95 day and month swapped; 0.9 one of the eight digits differs, or two neighbours are swapped; 0.8 same year and month, or year and day; 0.7 same month and day, at most ten years apart; else 0.5 less what the days between make of ten years. Infinity is alike to itself only.';

CREATE FUNCTION mastering.geo_similarity(latitude_a float8, longitude_a float8, latitude_b float8, longitude_b float8, scale_km float8) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_geo_similarity';
COMMENT ON FUNCTION mastering.geo_similarity(float8, float8, float8, float8, float8) IS
'1 - great-circle distance / scale_km, not below 0; degrees; scale_km is the distance at which nothing is left. What is no place on earth is alike to nothing.';

-- Phonetic keys. Letters with marks and of other scripts are normalised first; what has no letter has no key.

CREATE FUNCTION mastering.soundex_key(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_soundex_key';
COMMENT ON FUNCTION mastering.soundex_key(text) IS
'American Soundex as the National Archives define it: a letter and three digits. NULL without a letter.';

CREATE FUNCTION mastering.nysiis_key(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_nysiis_key';
COMMENT ON FUNCTION mastering.nysiis_key(text) IS
'NYSIIS (Taft 1970), not truncated. Finer than Soundex, and keeps where vowels stand. NULL without a letter.';

CREATE FUNCTION mastering.double_metaphone_keys(value text, max_length integer DEFAULT 4) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_double_metaphone_keys';
COMMENT ON FUNCTION mastering.double_metaphone_keys(text, integer) IS
'Double Metaphone (Philips 2000): one key, or two where a name can be said in two ways, of at most max_length (1 to 15) characters; none without a letter. Two names sound alike when they share a key.';

CREATE FUNCTION mastering.cologne_key(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_cologne_key';
COMMENT ON FUNCTION mastering.cologne_key(text) IS
'Koelner Phonetik (Postel 1969), for German names: digits, not truncated. NULL without a letter that sounds.';

CREATE FUNCTION mastering.daitch_mokotoff_keys(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_daitch_mokotoff_keys';
COMMENT ON FUNCTION mastering.daitch_mokotoff_keys(text) IS
'Daitch-Mokotoff Soundex (1985), for names of eastern Europe: keys of six digits, one for each way in which the name can be said; none without a letter.';

-- Keys of sets

CREATE FUNCTION mastering.minhash_keys(elements text[], bands integer DEFAULT 16, rows integer DEFAULT 4) RETURNS bigint[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'mastering_minhash_keys';
COMMENT ON FUNCTION mastering.minhash_keys(text[], integer, integer) IS
'One key a band (1 to 256), each made of rows (1 to 16) minima: two sets of Jaccard similarity s share at least one key with probability 1 - (1 - s^rows)^bands. NULL elements and repetition count for nothing; a set of nothing has no key.';
-- 15_profile.sql: what a query holds, and the specification that follows from it.

CREATE FUNCTION mastering.profile(query text)
RETURNS TABLE (name text, kind text, records bigint, nulls bigint, distinct_values bigint, mean_length double precision,
               longest integer, equal_share double precision, top_values json)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
AS 'MODULE_PATHNAME', 'mastering_profile';
COMMENT ON FUNCTION mastering.profile(text) IS
'A row for each column of the query but id and source: what it seems to hold, records without a value, distinct values, length in characters, the probability that two values are equal (low is good for blocking and telling for comparing), and the most frequent values.';

CREATE FUNCTION mastering.suggest(query text)
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mastering_suggest';
COMMENT ON FUNCTION mastering.suggest(text) IS
'A specification for the query''s data: comparisons by what each column holds, and blocking keys whose number of pairs was counted. To be read, changed and passed to train_model.';
-- 20_matching.sql: the set functions. They run a query that the caller gives, as the caller, and keep nothing.

CREATE FUNCTION mastering.candidate_pairs(query text, spec jsonb)
RETURNS TABLE (id_a text, id_b text, rules integer[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_candidate_pairs';
COMMENT ON FUNCTION mastering.candidate_pairs(text, jsonb) IS
'The pairs of records that share a key of a blocking rule, each pair once, with the numbers of the rules that find it (from 1).';

CREATE FUNCTION mastering.candidate_pairs_as(id_type anyelement, query text, spec jsonb)
RETURNS TABLE (id_a anyelement, id_b anyelement, rules integer[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_candidate_pairs';
COMMENT ON FUNCTION mastering.candidate_pairs_as(anyelement, text, jsonb) IS
'candidate_pairs with ids in the type of the first argument: candidate_pairs_as(NULL::bigint, query, spec).';

CREATE FUNCTION mastering.match_pairs(query text, model jsonb, threshold double precision DEFAULT NULL)
RETURNS TABLE (id_a text, id_b text, weight double precision, probability double precision, levels smallint[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_pairs';
COMMENT ON FUNCTION mastering.match_pairs(text, jsonb, double precision) IS
'The pairs whose match probability reaches the threshold (the model''s own when NULL): weight in bits (log2 of the odds), probability, and the level of each comparison in the model''s order: 0 missing, 1 exact, then the thresholds, last else.';

CREATE FUNCTION mastering.match_pairs_as(id_type anyelement, query text, model jsonb, threshold double precision DEFAULT NULL)
RETURNS TABLE (id_a anyelement, id_b anyelement, weight double precision, probability double precision, levels smallint[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_pairs';
COMMENT ON FUNCTION mastering.match_pairs_as(anyelement, text, jsonb, double precision) IS
'match_pairs with ids in the type of the first argument: match_pairs_as(NULL::bigint, query, model).';

CREATE FUNCTION mastering.match_clusters(query text, model jsonb, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id text, cluster_id text, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_clusters';
COMMENT ON FUNCTION mastering.match_clusters(text, jsonb, double precision, text) IS
'Each record with the cluster it belongs to (named by the least id of its members), the number of members, and the weight in bits of the weakest link that holds the cluster together (NULL for a record alone). labels (a query of id_a, id_b, is_match) are followed: records labelled as a match are put together, records labelled as none are kept apart; where labels contradict each other, apart.';

CREATE FUNCTION mastering.match_clusters_as(id_type anyelement, query text, model jsonb, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id anyelement, cluster_id anyelement, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_clusters';
COMMENT ON FUNCTION mastering.match_clusters_as(anyelement, text, jsonb, double precision, text) IS
'match_clusters with ids in the type of the first argument: match_clusters_as(NULL::bigint, query, model).';

CREATE FUNCTION mastering.blocking_report(query text, spec jsonb, truth text DEFAULT NULL)
RETURNS TABLE (rule integer, key text, keys bigint, blocks bigint, pairs bigint, new_pairs bigint, largest_block bigint,
               cut_blocks bigint, cut_pairs bigint, completeness double precision, new_completeness double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'mastering_blocking_report';
COMMENT ON FUNCTION mastering.blocking_report(text, jsonb, text) IS
'A row for each blocking rule: records with a key, blocks of at least two records, pairs, pairs that no earlier rule finds, the largest block, blocks compared within a window only and the pairs that left out. With truth (a query of id, entity_id) also the share of true pairs that the rule finds, and that it alone adds to the rules before it.';

CREATE FUNCTION mastering.train_model(query text, spec jsonb, labels text DEFAULT NULL)
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mastering_train_model';
COMMENT ON FUNCTION mastering.train_model(text, jsonb, text) IS
'The specification with trained weights: by expectation maximisation without labels; labels (a query of id_a, id_b, is_match) correct them by a logistic regression with that as its prior, as strongly held as cross-validation says, and choose the threshold where the specification leaves it at 0.5.';

CREATE FUNCTION mastering.explain_pair(query text, model jsonb, id_a text, id_b text)
RETURNS TABLE (comparison text, value_a text, value_b text, similarity double precision, level text,
               weight double precision, total double precision, probability double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'mastering_explain_pair';
COMMENT ON FUNCTION mastering.explain_pair(text, jsonb, text, text) IS
'Why two records match or do not: a row for the prior and for each comparison with both values as they were compared, their similarity (or distance), level, weight in bits, and the running total with its probability.';

CREATE FUNCTION mastering.dedupe(query text, spec jsonb DEFAULT NULL, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id text, cluster_id text, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_dedupe';
COMMENT ON FUNCTION mastering.dedupe(text, jsonb, double precision, text) IS
'The whole thing in one call: match_clusters with the given model, or with the given specification trained on the data, or with a specification suggested from the data. labels (a query of id_a, id_b, is_match) train the model, where it is not trained, and are followed by the clusters.';

CREATE FUNCTION mastering.dedupe_as(id_type anyelement, query text, spec jsonb DEFAULT NULL, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id anyelement, cluster_id anyelement, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_dedupe';
COMMENT ON FUNCTION mastering.dedupe_as(anyelement, text, jsonb, double precision, text) IS
'dedupe with ids in the type of the first argument: dedupe_as(NULL::bigint, query).';

CREATE FUNCTION mastering.uncertain_pairs(query text, model jsonb, n integer DEFAULT 100, labels text DEFAULT NULL)
RETURNS TABLE (id_a text, id_b text, weight double precision, probability double precision, reason text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
AS 'MODULE_PATHNAME', 'mastering_uncertain_pairs';
COMMENT ON FUNCTION mastering.uncertain_pairs(text, jsonb, integer, text) IS
'Up to n pairs whose labels teach most, none that labels (a query of id_a, id_b, is_match; NULL where nobody can tell) hold or imply already. reason: doubt (the model cannot tell), cluster (the clusters say otherwise than the pair, or much hangs on it), spread (drawn by lot from its part of the score range).';

CREATE FUNCTION mastering.uncertain_pairs_as(id_type anyelement, query text, model jsonb, n integer DEFAULT 100, labels text DEFAULT NULL)
RETURNS TABLE (id_a anyelement, id_b anyelement, weight double precision, probability double precision, reason text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
AS 'MODULE_PATHNAME', 'mastering_uncertain_pairs';
COMMENT ON FUNCTION mastering.uncertain_pairs_as(anyelement, text, jsonb, integer, text) IS
'uncertain_pairs with ids in the type of the first argument: uncertain_pairs_as(NULL::bigint, query, model, 100).';
-- 30_charts.sql: pictures of models, pairs, blocking, thresholds and scores. 31_cluster_chart.sql draws clusters,
-- 32_report.sql puts everything on one page.
--
-- A picture is one SVG document as text that needs nothing from outside: no script, font, link or style sheet. It
-- is drawn on paper of its own, light or dark as the reader prefers; its rules have plain colours, for programs
-- that know no media queries or custom properties, which then draw the light one. Blue speaks for a match, orange
-- against it (told apart in every common colour blindness), and a side or a sign always says the same.
--
-- The queries run as the caller and under the caller's search_path (05_query_text.sql), so only functions that
-- draw have one of their own. This file is ASCII and what it adds to a text are character references, so that
-- pictures can be made in every server encoding.

-- ---- Texts and numbers ----

-- Rough, for fonts not known here: wide enough for DejaVu Sans, the widest of the common ones.
CREATE FUNCTION mastering.chart_width(value text) RETURNS double precision
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE -- getdatabaseencoding is stable
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wide integer;
BEGIN
    -- In UTF-8, what lies behind the alphabets is taken to be as wide as high; in other encodings, what has two bytes.
    IF octet_length(value) = length(value) THEN
        wide := 0;
    ELSIF getdatabaseencoding() = 'UTF8' THEN
        wide := length(regexp_replace(value, '[\u0001-\u1fff]', '', 'g'));
    ELSE
        wide := octet_length(value) - length(value);
    END IF;
    RETURN 0.61 * length(value) + 0.4 * wide
        + 0.12 * length(regexp_replace(value, '[^A-Z]', '', 'g')) + 0.3 * length(regexp_replace(value, '[^MWmw@%]', '', 'g'))
        - 0.25 * length(regexp_replace(value, '[^- .,:;''!|/()fijlrtI]', '', 'g'));
END
$$;
COMMENT ON FUNCTION mastering.chart_width(text) IS 'Internal. About how wide a text is, in units of its font size.';

CREATE FUNCTION mastering.chart_text(value text, widest double precision DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shown text := btrim(regexp_replace(left(value, 2000), '\s+', ' ', 'g'));
    cut boolean := length(value) > 2000;
    width double precision;
BEGIN
    IF widest IS NOT NULL THEN
        width := mastering.chart_width(shown);
        IF width > widest THEN
            -- A guess from the mean width of its characters, then one by one.
            shown := left(shown, greatest(1, ceil(length(shown) * widest / width)::integer + 3));
            WHILE length(shown) > 1 AND mastering.chart_width(shown) > widest - 1 LOOP
                shown := left(shown, -1);
            END LOOP;
            shown := rtrim(shown);
            cut := true;
        END IF;
    END IF;
    shown := replace(replace(replace(replace(replace(shown, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;');
    -- XML has no place for these, not even as references. Surrogates do not occur in a server's text.
    shown := regexp_replace(shown, '[\x01-\x1f\x7f]', '&#xFFFD;', 'g');
    IF getdatabaseencoding() = 'UTF8' THEN
        shown := regexp_replace(shown, '[\u0080-\u009f\ufffe\uffff]', '&#xFFFD;', 'g');
    END IF;
    RETURN shown || CASE WHEN cut THEN '&#x2026;' ELSE '' END;
END
$$;
COMMENT ON FUNCTION mastering.chart_text(text, double precision) IS
'Internal. A value as XML text: escaped, white space evened out, characters that XML forbids replaced, cut at a width in units of the font size.';

CREATE FUNCTION mastering.chart_level(level text, widest double precision) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT regexp_replace(regexp_replace(mastering.chart_text(level, widest), '^&gt;= ', '&#x2265; '), '^&lt;= ', '&#x2264; ') $$;
COMMENT ON FUNCTION mastering.chart_level(text, double precision) IS 'Internal. The name of a level as XML text, with signs as printed.';

CREATE FUNCTION mastering.chart_count(number numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT ltrim(to_char(number, '999,999,999,999,999,999,999,990')) $$;
COMMENT ON FUNCTION mastering.chart_count(numeric) IS 'Internal. A count with commas: 1,234,567.';

-- Three digits: 950, 9.5k, 120k, 3.45M.
CREATE FUNCTION mastering.chart_short_count(number numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN number < 999.5 THEN round(number)::text
    ELSE trim_scale(round(number / s.unit, CASE WHEN number < 9.995 * s.unit THEN 2 WHEN number < 99.95 * s.unit THEN 1 ELSE 0 END))::text || s.name END
FROM (SELECT CASE WHEN number < 999500 THEN 1000 WHEN number < 999500000 THEN 1000000 ELSE 1000000000 END::numeric AS unit,
    CASE WHEN number < 999500 THEN 'k' WHEN number < 999500000 THEN 'M' ELSE 'bn' END AS name) AS s
$$;
COMMENT ON FUNCTION mastering.chart_short_count(numeric) IS 'Internal. A count in little space: 3.45M.';

CREATE FUNCTION mastering.chart_weight(bits double precision, decimals integer DEFAULT 1) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN w = 0 THEN '0' WHEN w > 0 THEN '+' ELSE '&#x2212;' END || CASE WHEN w = 0 THEN '' ELSE abs(w)::text END
FROM (SELECT round(greatest(-99999, least(99999, bits))::numeric, decimals)) AS r (w)
$$;
COMMENT ON FUNCTION mastering.chart_weight(double precision, integer) IS 'Internal. A weight in bits with its sign.';

CREATE FUNCTION mastering.chart_share(share double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE
    WHEN share IS NULL THEN '&#x2013;'
    WHEN share <= 0 THEN '0%'
    WHEN share >= 1 THEN '100%'
    WHEN share < 1e-12 THEN '&lt; 1 in 10&#xB9;&#xB2;'
    -- Two digits of what is rare: a percentage of many zeros says nothing.
    WHEN share < 0.0001 THEN '1 in ' || CASE WHEN share > 1e-6 THEN mastering.chart_count(round((1 / share)::numeric, 1 - floor(log((1 / share)::numeric))::integer))
        ELSE mastering.chart_short_count(round((1 / share)::numeric, 1 - floor(log((1 / share)::numeric))::integer)) END
    WHEN share < 0.001 THEN trim_scale(round(share::numeric * 100, 3))::text || '%'
    WHEN share < 0.01 THEN trim_scale(round(share::numeric * 100, 2))::text || '%'
    WHEN share < 0.99 THEN trim_scale(round(share::numeric * 100, 1))::text || '%'
    WHEN share < 0.9999 THEN trim_scale(trunc(share::numeric * 100, 2))::text || '%'
    ELSE '&gt; 99.99%' END
$$;
COMMENT ON FUNCTION mastering.chart_share(double precision) IS 'Internal. A share or probability: 34.9%, 0.59%, 1 in 31,000.';

CREATE FUNCTION mastering.chart_round(number double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT trim_scale(round(number::numeric, 1))::text $$;
COMMENT ON FUNCTION mastering.chart_round(double precision) IS 'Internal. A coordinate.';

CREATE FUNCTION mastering.weight_of(probability double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN probability <= 0 THEN '-Infinity' WHEN probability >= 1 THEN 'Infinity' ELSE ln(probability / (1 - probability)) / ln(2.0::float8) END $$;
COMMENT ON FUNCTION mastering.weight_of(double precision) IS 'Internal. The weight in bits of a probability: log2 of its odds.';

CREATE FUNCTION mastering.probability_of(weight double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 1 / (1 + power(2.0::float8, -greatest(-1000, least(1000, weight)))) $$;
COMMENT ON FUNCTION mastering.probability_of(double precision) IS 'Internal. The probability of a weight in bits.';

-- ---- Shapes ----

-- Round numbers from low to high, about as many as wanted: steps of 1, 2 or 5 times a power of ten.
CREATE FUNCTION mastering.chart_ticks(low double precision, high double precision, wanted integer) RETURNS double precision[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT COALESCE((SELECT array_agg((s.step * g)::float8 ORDER BY g)
    FROM generate_series(ceil(low::numeric / s.step)::bigint, floor(high::numeric / s.step)::bigint) AS g), '{}')
FROM (
    SELECT min(b * power(10::numeric, p)) AS step
    FROM unnest('{1,2,5}'::numeric[]) AS b, generate_series(-6, 18) AS p
    WHERE b * power(10::numeric, p) >= (high - low)::numeric / greatest(1, wanted)
) AS s
$$;
COMMENT ON FUNCTION mastering.chart_ticks(double precision, double precision, integer) IS 'Internal. The ticks of an axis.';

CREATE FUNCTION mastering.chart_label(class text, x double precision, y double precision, content text, anchor text DEFAULT 'start') RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format(E'<text class="%s" x="%s" y="%s"%s>%s</text>\n', class, mastering.chart_round(x), mastering.chart_round(y),
    CASE WHEN anchor <> 'start' THEN format(' text-anchor="%s"', anchor) ELSE '' END, content)
$$;
COMMENT ON FUNCTION mastering.chart_label(text, double precision, double precision, text, text) IS
'Internal. A text of a picture; content is XML already.';

CREATE FUNCTION mastering.chart_bar(class text, x_from double precision, x_to double precision, y double precision, height double precision, tip text DEFAULT '') RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
-- A bar of no length still shows where it is.
SELECT format(E'<rect class="%s" x="%s" y="%s" width="%s" height="%s"%s\n', class, mastering.chart_round(least(x_from, x_to)), mastering.chart_round(y),
    mastering.chart_round(greatest(1, abs(x_to - x_from))), mastering.chart_round(height),
    CASE WHEN tip = '' THEN '/>' ELSE '><title>' || tip || '</title></rect>' END)
$$;
COMMENT ON FUNCTION mastering.chart_bar(text, double precision, double precision, double precision, double precision, text) IS
'Internal. A bar of a picture; tip is XML already.';

CREATE FUNCTION mastering.chart_line(class text, x1 double precision, y1 double precision, x2 double precision, y2 double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format(E'<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>\n', class, mastering.chart_round(x1), mastering.chart_round(y1),
    mastering.chart_round(x2), mastering.chart_round(y2))
$$;
COMMENT ON FUNCTION mastering.chart_line(text, double precision, double precision, double precision, double precision) IS
'Internal. A line of a picture.';

-- Contrast, light and dark: texts at least 5 to 1, shapes at least 3 to 1. Every rule begins with the class of the
-- picture: it may stand in a page with rules of its own.
CREATE FUNCTION mastering.chart_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $style$
SELECT $$
.mastering-chart .paper { fill: #ffffff; }
.mastering-chart .ink { fill: #1f2328; }
.mastering-chart .soft { fill: #57606a; }
.mastering-chart .title { font-size: 16px; font-weight: bold; }
.mastering-chart .strong { font-weight: bold; }
.mastering-chart .small { font-size: 11px; }
.mastering-chart .plus { fill: #0072b2; }
.mastering-chart .minus { fill: #d05000; }
.mastering-chart .still { fill: #6e7781; }
.mastering-chart .pale { fill: #b6d4ea; }
.mastering-chart .band { fill: #f3f5f7; }
.mastering-chart .grid { stroke: #d8dee4; fill: none; }
.mastering-chart .axis { stroke: #6e7781; fill: none; }
.mastering-chart .mark { stroke: #1f2328; stroke-dasharray: 5 3; fill: none; }
.mastering-chart .plus-line { stroke: #0072b2; fill: none; }
.mastering-chart .minus-line { stroke: #d05000; fill: none; }
.mastering-chart .ink-line { stroke: #1f2328; fill: none; }
.mastering-chart .halo { stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; paint-order: stroke; }
.mastering-chart .rim { stroke: #ffffff; stroke-width: 1.5px; }
@media (prefers-color-scheme: dark) {
.mastering-chart .paper { fill: #15191e; }
.mastering-chart .ink { fill: #e6edf3; }
.mastering-chart .soft { fill: #a5afba; }
.mastering-chart .plus { fill: #56b4e9; }
.mastering-chart .minus { fill: #f0883e; }
.mastering-chart .still { fill: #8b949e; }
.mastering-chart .pale { fill: #25506e; }
.mastering-chart .band { fill: #1d232a; }
.mastering-chart .grid { stroke: #323a44; }
.mastering-chart .axis { stroke: #8b949e; }
.mastering-chart .mark { stroke: #e6edf3; }
.mastering-chart .plus-line { stroke: #56b4e9; }
.mastering-chart .minus-line { stroke: #f0883e; }
.mastering-chart .ink-line { stroke: #e6edf3; }
.mastering-chart .halo { stroke: #15191e; }
.mastering-chart .rim { stroke: #15191e; }
}
$$
$style$;
COMMENT ON FUNCTION mastering.chart_style() IS 'Internal. The rules of style of every picture.';

-- title, subtitle and body are XML already; description is what a person hears who does not see the picture. Its
-- ids come from its content, so that many pictures can stand in one page.
CREATE FUNCTION mastering.chart_document(width integer, height integer, title text, subtitle text, description text, body text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format(E'<svg xmlns="http://www.w3.org/2000/svg" class="mastering-chart" viewBox="0 0 %1$s %2$s" width="%1$s" height="%2$s" role="img" '
    'aria-labelledby="%3$s-title %3$s-text" font-family="system-ui, -apple-system, ''Segoe UI'', Roboto, ''DejaVu Sans'', sans-serif" font-size="13">\n'
    '<title id="%3$s-title">%4$s</title>\n<desc id="%3$s-text">%6$s</desc>\n<style>%8$s</style>\n'
    '<rect class="paper" width="%1$s" height="%2$s"/>\n<text class="title ink" x="20" y="30">%4$s</text>\n<text class="soft" x="20" y="50">%5$s</text>\n%7$s</svg>',
    width, height, 'chart-' || left(md5(title || description || body), 10), title, subtitle, description, body, mastering.chart_style())
$$;
COMMENT ON FUNCTION mastering.chart_document(integer, integer, text, text, text, text) IS 'Internal. A whole picture.';

-- An axis of bits with lines from y_top to y_bottom, and below it the probability that each weight stands for.
CREATE FUNCTION mastering.chart_weight_axis(low double precision, high double precision, x_low double precision, x_high double precision,
    y_top double precision, y_bottom double precision, with_probability boolean, wanted integer DEFAULT 8) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    body text := '';
    tick double precision;
    x double precision;
BEGIN
    FOREACH tick IN ARRAY mastering.chart_ticks(low, high, wanted) LOOP
        x := x_low + (tick - low) / (high - low) * (x_high - x_low);
        body := body || mastering.chart_line(CASE WHEN tick = 0 THEN 'axis' ELSE 'grid' END, x, y_top, x, y_bottom)
            || mastering.chart_label('soft small', x, y_bottom + 15, mastering.chart_weight(tick, CASE WHEN tick = round(tick) THEN 0 ELSE 1 END), 'middle');
        IF with_probability AND abs(tick) <= 13 THEN
            body := body || mastering.chart_label('soft small', x, y_bottom + 29, mastering.chart_share(mastering.probability_of(tick)), 'middle');
        END IF;
    END LOOP;
    RETURN body;
END
$$;
COMMENT ON FUNCTION mastering.chart_weight_axis(double precision, double precision, double precision, double precision, double precision, double precision, boolean, integer) IS
'Internal. The axis of a picture whose unit is bits.';

-- ---- Models ----

-- What the pictures need of a model. The set functions read it more strictly.
CREATE FUNCTION mastering.require_model(model jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF model IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the model must not be NULL',
            HINT = 'Let mastering.suggest(query) write a specification, and mastering.train_model(query, spec) a model.';
    ELSIF jsonb_typeof(model) <> 'object' OR jsonb_typeof(model -> 'comparisons') IS DISTINCT FROM 'array' OR model -> 'comparisons' = '[]' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the model has no comparisons',
            DETAIL = format('It is %s.', CASE WHEN jsonb_typeof(model) <> 'object' THEN 'a JSON ' || jsonb_typeof(model) ELSE 'an object without an array "comparisons"' END),
            HINT = 'Let mastering.suggest(query) write a specification, and mastering.train_model(query, spec) a model.';
    ELSIF jsonb_typeof(model -> 'prior') IS DISTINCT FROM 'number' OR NOT (model ->> 'prior')::numeric BETWEEN 1e-300 AND 1 - 1e-15
        OR EXISTS (SELECT FROM jsonb_array_elements(model -> 'comparisons') AS c
            WHERE CASE WHEN jsonb_typeof(c -> 'trained') = 'array' THEN c -> 'trained' = '[]' OR EXISTS (
                SELECT FROM jsonb_array_elements(c -> 'trained') AS t WHERE jsonb_typeof(t -> 'weight') IS DISTINCT FROM 'number') ELSE true END)
    THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the model has no trained weights',
            DETAIL = 'It is a specification: "prior" or a comparison''s "trained" is missing.',
            HINT = 'Train it first: SELECT mastering.train_model(query, spec).';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_model(jsonb) IS 'Internal. Raises 22004 or 22023 for what is not a trained model.';

-- The model's threshold as a weight; 0.95 where it has none, as in the engine.
CREATE FUNCTION mastering.model_threshold(model jsonb) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN jsonb_typeof(model -> 'threshold') = 'number' THEN (model ->> 'threshold')::float8 ELSE 0.95 END $$;
COMMENT ON FUNCTION mastering.model_threshold(jsonb) IS 'Internal. The probability from which on the model calls a pair a match.';

CREATE FUNCTION mastering.model_chart(model jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 215; -- of the plot, without the room for labels at both ends
    x_to CONSTANT double precision := 690;
    y_top CONSTANT double precision := 92;
    y double precision := y_top;
    prior double precision;
    prior_weight double precision;
    low double precision;
    high double precision;
    zero double precision;
    x double precision;
    body text := '';
    comparison record;
    step record;
    comparisons integer := jsonb_array_length(CASE WHEN jsonb_typeof(model -> 'comparisons') = 'array' THEN model -> 'comparisons' ELSE '[]' END);
    strongest text;
BEGIN
    PERFORM mastering.require_model(model);
    prior := (model ->> 'prior')::float8;
    prior_weight := mastering.weight_of(prior);
    SELECT least(0, prior_weight, min((t ->> 'weight')::float8)), greatest(1, max((t ->> 'weight')::float8)) INTO low, high
    FROM jsonb_array_elements(model -> 'comparisons') AS c, jsonb_array_elements(c -> 'trained') AS t;
    zero := x_from - low / (high - low) * (x_to - x_from);

    body := mastering.chart_label('strong ink', 28, y + 15, 'prior') || mastering.chart_bar('still', zero, zero + prior_weight / (high - low) * (x_to - x_from), y + 4, 13,
            'matches among all pairs: ' || mastering.chart_share(prior))
        || mastering.chart_label('ink', zero + prior_weight / (high - low) * (x_to - x_from) + CASE WHEN prior_weight < 0 THEN -5 ELSE 5 END, y + 15,
            mastering.chart_weight(prior_weight), CASE WHEN prior_weight < 0 THEN 'end' ELSE 'start' END)
        || mastering.chart_label('soft', 930, y + 15, 'matches among all pairs: ' || mastering.chart_share(prior), 'end');
    y := y + 28;
    FOR comparison IN SELECT c, n FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n) ORDER BY n LOOP
        body := body || mastering.chart_bar('band', 20, 940, y, 20)
            || format(E'<text x="28" y="%s"><tspan class="strong ink">%s</tspan><tspan class="soft small" dx="10">%s</tspan></text>\n', mastering.chart_round(y + 14.5),
                mastering.chart_text(COALESCE(comparison.c ->> 'name', comparison.c ->> 'column', comparison.c ->> 'expression', 'comparison ' || comparison.n), 36),
                concat_ws(', ', mastering.chart_text(replace(comparison.c ->> 'method', '_', ' '), 20), CASE WHEN comparison.c -> 'term_frequency' = 'true' THEN 'rare values count more' END));
        y := y + 23;
        FOR step IN SELECT t ->> 'level' AS level, (t ->> 'weight')::float8 AS weight, (t ->> 'm')::float8 AS m, (t ->> 'u')::float8 AS u, n
            FROM jsonb_array_elements(comparison.c -> 'trained') WITH ORDINALITY AS u (t, n) ORDER BY n
        LOOP
            x := zero + step.weight / (high - low) * (x_to - x_from);
            body := body || mastering.chart_label('ink', 40, y + 13, mastering.chart_level(COALESCE(step.level, 'level ' || step.n), 11))
                || mastering.chart_bar(CASE WHEN step.weight < 0 THEN 'minus' ELSE 'plus' END, zero, x, y + 2, 13)
                || mastering.chart_label('ink', x + CASE WHEN step.weight < 0 THEN -5 ELSE 5 END, y + 13, mastering.chart_weight(step.weight), CASE WHEN step.weight < 0 THEN 'end' ELSE 'start' END)
                || mastering.chart_label('ink', 820, y + 13, mastering.chart_share(step.m), 'end')
                || mastering.chart_label('ink', 930, y + 13, mastering.chart_share(step.u), 'end');
            y := y + 19;
        END LOOP;
        y := y + 5;
    END LOOP;
    SELECT mastering.chart_text(COALESCE(c ->> 'name', c ->> 'column', c ->> 'expression'), 40) || ', ' || mastering.chart_level(COALESCE(t ->> 'level', 'first level'), 20)
        || ' (' || mastering.chart_weight((t ->> 'weight')::float8) || ' bits)' INTO strongest
    FROM jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n), jsonb_array_elements(c -> 'trained') WITH ORDINALITY AS v (t, o)
    ORDER BY (t ->> 'weight')::float8 DESC, n, o LIMIT 1;
    RETURN mastering.chart_document(960, (y + 44)::integer, 'Match weights',
        'What each agreement says for a match (right) or against it (left), in bits: one more doubles the odds.',
        format('Bars for the levels of %s comparisons. The share of matches among all pairs is %s. The strongest evidence for a match is %s. Two records match from %s on.',
            comparisons, mastering.chart_share(prior), strongest, mastering.chart_share(mastering.model_threshold(model))),
        mastering.chart_label('soft small', 820, 82, 'of matches (m)', 'end') || mastering.chart_label('soft small', 930, 82, 'of others (u)', 'end')
        || mastering.chart_label('soft small', zero, 82, 'weight in bits', 'middle')
        || mastering.chart_weight_axis(low, high, x_from, x_to, y_top, y, false) || body
        || mastering.chart_label('soft small', 20, y + 34, format('Threshold: %s, which is %s bits in total.', mastering.chart_share(mastering.model_threshold(model)),
            mastering.chart_weight(mastering.weight_of(mastering.model_threshold(model))))));
END
$$;
COMMENT ON FUNCTION mastering.model_chart(jsonb) IS
'A picture (SVG) of a model: the prior, and for each level of each comparison its weight as a bar, and how often it occurs among matches (m) and among other pairs (u).';

-- ---- Pairs ----

CREATE FUNCTION mastering.pair_chart(query text, model jsonb, id_a text, id_b text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    steps jsonb;
BEGIN
    PERFORM mastering.require_model(model);
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('comparison', e.comparison, 'value_a', e.value_a, 'value_b', e.value_b, 'level', e.level, 'weight', e.weight,
        'total', e.total, 'probability', e.probability) ORDER BY e.n) INTO steps
    FROM (SELECT x.*, pg_catalog.row_number() OVER () AS n FROM mastering.explain_pair(query, model, id_a, id_b) AS x) AS e;
    RETURN mastering.draw_pair(steps, id_a, id_b, mastering.model_threshold(model));
END
$$;
COMMENT ON FUNCTION mastering.pair_chart(text, jsonb, text, text) IS
'A picture (SVG) of explain_pair: how the weights of the comparisons add up, from the prior to the total, beside the two values of each.';

CREATE FUNCTION mastering.draw_pair(steps jsonb, id_a text, id_b text, threshold double precision) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 590;
    x_to CONSTANT double precision := 890;
    y_top CONSTANT double precision := 96;
    y double precision := y_top;
    line double precision := mastering.weight_of(threshold);
    low double precision;
    high double precision;
    x1 double precision;
    x2 double precision := NULL;
    total double precision;
    step record;
    bands text := '';
    body text := '';
    verdict text;
BEGIN
    SELECT least(0, line, min((s ->> 'total')::float8)), greatest(1, line, max((s ->> 'total')::float8)) INTO low, high FROM jsonb_array_elements(steps) AS s;
    total := (steps -> -1 ->> 'total')::float8;
    FOR step IN SELECT s ->> 'comparison' AS name, s ->> 'value_a' AS value_a, s ->> 'value_b' AS value_b, s ->> 'level' AS level,
            (s ->> 'weight')::float8 AS weight, (s ->> 'total')::float8 AS total, n
        FROM jsonb_array_elements(steps) WITH ORDINALITY AS u (s, n) ORDER BY n
    LOOP
        x1 := x_from + (step.total - step.weight - low) / (high - low) * (x_to - x_from);
        x2 := x_from + (step.total - low) / (high - low) * (x_to - x_from);
        IF step.n % 2 = 1 THEN
            bands := bands || mastering.chart_bar('band', 20, 940, y, 32);
        END IF;
        IF step.n > 1 THEN
            body := body || mastering.chart_line('axis', x1, y - 9, x1, y + 9);
        END IF;
        body := body || mastering.chart_label('strong ink', 28, y + 14, mastering.chart_text(step.name, 11.5))
            || mastering.chart_label('soft small', 28, y + 27, CASE WHEN step.n = 1 THEN 'before comparing' WHEN step.level = 'term frequency' THEN 'how frequent the value is' ELSE mastering.chart_level(step.level, 14) END)
            -- Of the row of a frequency only the first value is told, and it stands above already.
            || CASE WHEN step.n = 1 OR step.level = 'term frequency' THEN '' ELSE
                mastering.chart_label(CASE WHEN step.value_a IS NULL THEN 'soft' ELSE 'ink' END, 190, y + 20, COALESCE(mastering.chart_text(step.value_a, 12.5), '&#x2013;'))
                || mastering.chart_label(CASE WHEN step.value_b IS NULL THEN 'soft' ELSE 'ink' END, 370, y + 20, COALESCE(mastering.chart_text(step.value_b, 12.5), '&#x2013;')) END
            || mastering.chart_bar(CASE WHEN step.n = 1 OR step.weight = 0 THEN 'still' WHEN step.weight < 0 THEN 'minus' ELSE 'plus' END, x1, x2, y + 9, 14)
            || mastering.chart_label('ink halo', x2 + CASE WHEN step.weight < 0 THEN -5 ELSE 5 END, y + 20, mastering.chart_weight(step.weight), CASE WHEN step.weight < 0 THEN 'end' ELSE 'start' END);
        y := y + 32;
    END LOOP;
    -- The total hangs on zero, so that its side and length can be read.
    x1 := x_from - low / (high - low) * (x_to - x_from);
    body := body || mastering.chart_line('axis', 20, y, 940, y) || mastering.chart_line('axis', x2, y - 9, x2, y + 9)
        || mastering.chart_label('strong ink', 28, y + 21, 'total')
        || mastering.chart_label('ink', 190, y + 21, CASE WHEN total >= line THEN 'a match' ELSE 'no match' END || ': probability ' || mastering.chart_share(mastering.probability_of(total)))
        || mastering.chart_bar('ink', x1, x2, y + 9, 14)
        || mastering.chart_label('strong ink halo', x2 + CASE WHEN total < 0 THEN -5 ELSE 5 END, y + 20, mastering.chart_weight(total), CASE WHEN total < 0 THEN 'end' ELSE 'start' END);
    y := y + 36;
    verdict := format('%s: the weights add up to %s bits, a probability of %s. The threshold is %s (%s bits).', CASE WHEN total >= line THEN 'A match' ELSE 'No match' END,
        mastering.chart_weight(total), mastering.chart_share(mastering.probability_of(total)), mastering.chart_share(threshold), mastering.chart_weight(line));
    x1 := x_from + (line - low) / (high - low) * (x_to - x_from);
    RETURN mastering.chart_document(960, (y + 42)::integer, format('Why %s and %s %s', mastering.chart_text(id_a, 25), mastering.chart_text(id_b, 25),
            CASE WHEN total >= line THEN 'match' ELSE 'do not match' END), verdict,
        verdict || ' ' || (SELECT string_agg(mastering.chart_text(s ->> 'comparison', 40) || CASE WHEN n = 1 THEN '' ELSE ', ' || mastering.chart_level(s ->> 'level', 20) END || ': ' || mastering.chart_weight((s ->> 'weight')::float8), '; ' ORDER BY n)
            FROM jsonb_array_elements(steps) WITH ORDINALITY AS u (s, n)) || '.',
        bands || mastering.chart_weight_axis(low, high, x_from, x_to, y_top, y, true, 6) || mastering.chart_line('mark', x1, y_top - 6, x1, y) || body
        || mastering.chart_label('ink small', x1, y_top - 10, 'threshold', 'middle')
        || mastering.chart_label('soft small', 190, y_top - 10, mastering.chart_text(id_a, 15)) || mastering.chart_label('soft small', 370, y_top - 10, mastering.chart_text(id_b, 15))
        || mastering.chart_label('soft small', 570, y + 15, 'bits', 'end') || mastering.chart_label('soft small', 570, y + 29, 'probability', 'end'));
END
$$;
COMMENT ON FUNCTION mastering.draw_pair(jsonb, text, text, double precision) IS 'Internal. The picture of the rows of explain_pair.';

-- ---- Blocking ----

CREATE FUNCTION mastering.blocking_chart(query text, spec jsonb, truth text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    rules jsonb;
BEGIN
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('rule', r.rule, 'key', r.key, 'keys', r.keys, 'pairs', r.pairs, 'new_pairs', r.new_pairs, 'largest_block', r.largest_block,
        'cut_blocks', r.cut_blocks, 'cut_pairs', r.cut_pairs, 'completeness', r.completeness, 'new_completeness', r.new_completeness) ORDER BY r.rule) INTO rules
    FROM mastering.blocking_report(query, spec, truth) AS r;
    RETURN mastering.draw_blocking(rules);
END
$$;
COMMENT ON FUNCTION mastering.blocking_chart(text, jsonb, text) IS
'A picture (SVG) of blocking_report: for each rule the pairs it finds, those that no earlier rule finds, the largest block, and what was left out of blocks that are too large; with truth, the share of true pairs found. Makes the blocks but compares nothing.';

CREATE FUNCTION mastering.draw_blocking(rules jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    judged boolean := EXISTS (SELECT FROM jsonb_array_elements(rules) AS r WHERE r ->> 'completeness' IS NOT NULL);
    x_from CONSTANT double precision := 300;
    x_to double precision := CASE WHEN judged THEN 500 ELSE 580 END;
    y double precision := 96;
    rule record;
    body text := '';
    most numeric;
    new_pairs numeric;
    cut_pairs numeric;
    cut_blocks numeric;
    found double precision := 0;
    heads text;
    shift double precision := x_to - 580;
BEGIN
    SELECT greatest(1, max((r ->> 'pairs')::numeric)), sum((r ->> 'new_pairs')::numeric), sum((r ->> 'cut_pairs')::numeric), sum((r ->> 'cut_blocks')::numeric),
        sum((r ->> 'new_completeness')::float8)
        INTO most, new_pairs, cut_pairs, cut_blocks, found
    FROM jsonb_array_elements(rules) AS r;
    FOR rule IN SELECT r ->> 'key' AS key, (r ->> 'pairs')::numeric AS pairs, (r ->> 'new_pairs')::numeric AS new_pairs, (r ->> 'largest_block')::numeric AS largest_block,
            (r ->> 'cut_pairs')::numeric AS cut_pairs, (r ->> 'cut_blocks')::numeric AS cut_blocks,
            (r ->> 'completeness')::float8 AS completeness, (r ->> 'new_completeness')::float8 AS new_completeness, n
        FROM jsonb_array_elements(rules) WITH ORDINALITY AS u (r, n) ORDER BY n
    LOOP
        IF rule.n % 2 = 1 THEN
            body := body || mastering.chart_bar('band', 20, 940, y, 26);
        END IF;
        body := body || mastering.chart_label('soft', 44, y + 17, rule.n::text, 'end') || mastering.chart_label('ink', 54, y + 17, mastering.chart_text(rule.key, 17.5))
            || CASE WHEN rule.pairs > 0 THEN mastering.chart_bar('pale', x_from, x_from + (rule.pairs / most)::float8 * (x_to - x_from), y + 6, 14) ELSE '' END
            || CASE WHEN rule.new_pairs > 0 THEN mastering.chart_bar('plus', x_from, x_from + (rule.new_pairs / most)::float8 * (x_to - x_from), y + 6, 14) ELSE '' END
            || mastering.chart_label('ink', 665 + shift, y + 17, mastering.chart_count(rule.pairs), 'end')
            || mastering.chart_label('ink', 755 + shift, y + 17, mastering.chart_count(rule.new_pairs), 'end')
            || mastering.chart_label('ink', 830 + shift, y + 17, mastering.chart_count(rule.largest_block), 'end')
            || mastering.chart_label(CASE WHEN rule.cut_pairs > 0 THEN 'strong ink' ELSE 'soft' END, 930 + shift, y + 17,
                CASE WHEN rule.cut_pairs > 0 THEN format('%s in %s', mastering.chart_short_count(rule.cut_pairs), mastering.chart_short_count(rule.cut_blocks)) ELSE '0' END, 'end')
            || CASE WHEN judged THEN mastering.chart_label('ink', 930, y + 17, mastering.chart_share(rule.completeness), 'end') ELSE '' END;
        y := y + 26;
    END LOOP;
    heads := mastering.chart_label('soft small', 54, 86, 'records are compared that share') || mastering.chart_label('soft small', 665 + shift, 86, 'pairs', 'end')
        || mastering.chart_label('soft small', 755 + shift, 86, 'new pairs', 'end') || mastering.chart_label('soft small', 830 + shift, 72, 'largest', 'end') || mastering.chart_label('soft small', 830 + shift, 86, 'block', 'end')
        || mastering.chart_label('soft small', 930 + shift, 72, 'left out', 'end') || mastering.chart_label('soft small', 930 + shift, 86, 'pairs in blocks', 'end')
        || CASE WHEN judged THEN mastering.chart_label('soft small', 930, 72, 'true pairs', 'end') || mastering.chart_label('soft small', 930, 86, 'found', 'end') ELSE '' END
        || mastering.chart_bar('plus', x_from, x_from + 12, 77, 10) || mastering.chart_label('soft small', x_from + 17, 86, 'new')
        || mastering.chart_bar('pale', x_from + 52, x_from + 64, 77, 10) || mastering.chart_label('soft small', x_from + 69, 86, 'found by earlier rules');
    body := body || mastering.chart_line('axis', 20, y, 940, y) || mastering.chart_label('strong ink', 54, y + 19, 'all rules')
        || mastering.chart_label('strong ink', 755 + shift, y + 19, mastering.chart_count(COALESCE(new_pairs, 0)), 'end')
        || CASE WHEN cut_pairs > 0 THEN mastering.chart_label('strong ink', 930 + shift, y + 19, format('%s in %s', mastering.chart_short_count(cut_pairs), mastering.chart_short_count(cut_blocks)), 'end') ELSE '' END
        || CASE WHEN judged THEN mastering.chart_label('strong ink', 930, y + 19, mastering.chart_share(found), 'end') ELSE '' END;
    RETURN mastering.chart_document(960, (y + 40)::integer, 'Pairs by blocking rule',
        format('%s pairs are compared.', mastering.chart_count(COALESCE(new_pairs, 0)))
        || CASE WHEN cut_pairs > 0 THEN format(' %s pairs in %s blocks that are too large are left out.', mastering.chart_short_count(cut_pairs), mastering.chart_count(cut_blocks)) ELSE ' Nothing is left out.' END
        || CASE WHEN judged THEN format(' %s of the true pairs are among them.', mastering.chart_share(found)) ELSE '' END,
        COALESCE((SELECT string_agg(format('Rule %s, %s: %s pairs, %s of them new', n, mastering.chart_text(r ->> 'key', 60), mastering.chart_count((r ->> 'pairs')::numeric), mastering.chart_count((r ->> 'new_pairs')::numeric)), '; ' ORDER BY n) || '.'
            FROM jsonb_array_elements(rules) WITH ORDINALITY AS u (r, n)), 'There is no rule.'),
        heads || body);
END
$$;
COMMENT ON FUNCTION mastering.draw_blocking(jsonb) IS 'Internal. The picture of the rows of blocking_report.';

-- ---- Thresholds ----

-- The weights at which pairs are judged: every half bit from 1 in a million to 1 in 10^12 against.
CREATE FUNCTION mastering.threshold_chart(predicted text, truth text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
AS $$
DECLARE
    columns text[] := mastering.query_column_names(predicted, 'predicted');
    weights double precision[] := ARRAY(SELECT g / 2.0 FROM pg_catalog.generate_series(-40, 80) AS g);
    rows jsonb;
BEGIN
    PERFORM mastering.require_columns(columns, '{id_a,id_b}', 'predicted');
    IF NOT columns && '{weight,probability}' THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = 'the query in argument "predicted" has no column "weight" or "probability"',
            DETAIL = pg_catalog.format('Its columns are: %s.', mastering.quoted_list(columns)),
            HINT = 'Select one of them, as match_pairs returns them: SELECT id_a, id_b, weight FROM ...';
    END IF;
    -- Weights tell apart what probabilities round to 1.
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('weight', CASE WHEN e.scored_by = 'weight' THEN e.threshold ELSE mastering.weight_of(e.threshold) END,
        'predicted', e.predicted_pairs, 'right', e.right_pairs, 'true', e.true_pairs, 'unjudged', e.unjudged_pairs, 'precision', e."precision", 'recall', e.recall, 'f1', e.f1)
        ORDER BY e.threshold NULLS FIRST) INTO rows
    FROM mastering.evaluate_pairs(
        CASE WHEN 'weight' = ANY (columns) THEN pg_catalog.format(E'SELECT q.id_a, q.id_b, q.weight FROM (\n%s\n) AS q', mastering.query_body(predicted, 'predicted')) ELSE predicted END,
        truth, CASE WHEN 'weight' = ANY (columns) THEN weights ELSE ARRAY(SELECT mastering.probability_of(w) FROM pg_catalog.unnest(weights) AS w) END) AS e;
    RETURN mastering.draw_thresholds(rows);
END
$$;
COMMENT ON FUNCTION mastering.threshold_chart(text, text) IS
'A picture (SVG) of precision, recall and F1 at every threshold, and where F1 is best. predicted: a SELECT of id_a, id_b and weight or probability, as of match_pairs at a low threshold. truth: as for evaluate_pairs.';

CREATE FUNCTION mastering.draw_thresholds(rows jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 70;
    x_to CONSTANT double precision := 930;
    y_top CONSTANT double precision := 108;
    y_bottom CONSTANT double precision := 388;
    low double precision;
    high double precision;
    first_row jsonb := rows -> 0; -- all pairs
    best record;
    measure record;
    curve record;
    body text := '';
    x double precision;
    y double precision;
BEGIN
    -- Left of the last threshold that all pairs reach, and right of the first that none does, nothing changes.
    SELECT COALESCE(max(w) FILTER (WHERE n = (first_row ->> 'predicted')::numeric), min(w)), COALESCE(min(w) FILTER (WHERE n = 0), max(w)) INTO low, high
    FROM (SELECT (r ->> 'weight')::float8 AS w, (r ->> 'predicted')::numeric AS n FROM jsonb_array_elements(rows) AS r WHERE r ->> 'weight' IS NOT NULL) AS s;
    low := COALESCE(low, 0);
    high := COALESCE(high, 0);
    IF high - low < 4 THEN
        low := low - 2;
        high := high + 2;
    END IF;
    FOR measure IN SELECT * FROM generate_series(0, 5) AS g (n) LOOP
        y := y_bottom - measure.n / 5.0 * (y_bottom - y_top);
        body := body || mastering.chart_line('grid', x_from, y, x_to, y) || mastering.chart_label('soft small', x_from - 8, y + 4, measure.n * 20 || '%', 'end');
    END LOOP;
    body := body || mastering.chart_weight_axis(low, high, x_from, x_to, y_top, y_bottom, true, 10)
        || mastering.chart_label('soft small', x_from - 24, y_bottom + 15, 'bits', 'end') || mastering.chart_label('soft small', x_from - 24, y_bottom + 29, 'prob.', 'end');
    SELECT (r ->> 'weight')::float8 AS weight, (r ->> 'f1')::float8 AS f1, (r ->> 'precision')::float8 AS "precision", (r ->> 'recall')::float8 AS recall INTO best
    FROM jsonb_array_elements(rows) AS r
    WHERE r ->> 'weight' IS NOT NULL AND r ->> 'f1' IS NOT NULL AND (r ->> 'weight')::float8 BETWEEN low AND high
    ORDER BY (r ->> 'f1')::numeric DESC, (r ->> 'weight')::float8 LIMIT 1;
    IF best.f1 IS NOT NULL THEN
        x := x_from + (best.weight - low) / (high - low) * (x_to - x_from);
        body := body || mastering.chart_line('mark', x, y_top - 4, x, y_bottom)
            || mastering.chart_label('ink small', greatest(x_from + 40, least(x_to - 40, x)), y_top - 9, 'best F1', 'middle');
    END IF;
    FOR measure IN SELECT * FROM (VALUES (1, 'precision', 'plus-line', '', 2.5), (2, 'recall', 'minus-line', ' stroke-dasharray="8 4"', 2.5), (3, 'f1', 'ink-line', '', 1.5)) AS m (n, name, class, dash, width) ORDER BY n LOOP
        FOR curve IN
            SELECT string_agg(mastering.chart_round(x_from + (s.w - low) / (high - low) * (x_to - x_from)) || ',' || mastering.chart_round(y_bottom - s.v * (y_bottom - y_top)), ' ' ORDER BY s.w) AS points
            FROM (SELECT (r ->> 'weight')::float8 AS w, (r ->> measure.name)::float8 AS v FROM jsonb_array_elements(rows) AS r WHERE r ->> 'weight' IS NOT NULL) AS s
            WHERE s.v IS NOT NULL AND s.w BETWEEN low AND high
            HAVING count(*) > 0
        LOOP
            body := body || format(E'<polyline class="%s" stroke-width="%s"%s points="%s"/>\n', measure.class, measure.width, measure.dash, curve.points);
        END LOOP;
        body := body || format(E'<line class="%s" stroke-width="%s"%s x1="%s" y1="74" x2="%s" y2="74"/>\n', measure.class, measure.width, measure.dash, 70 + (measure.n - 1) * 120, 102 + (measure.n - 1) * 120)
            || mastering.chart_label('ink', 108 + (measure.n - 1) * 120, 78, CASE measure.name WHEN 'f1' THEN 'F1' ELSE measure.name END);
    END LOOP;
    IF best.f1 IS NOT NULL THEN
        body := body || format(E'<circle class="ink rim" cx="%s" cy="%s" r="5"/>\n', mastering.chart_round(x), mastering.chart_round(y_bottom - best.f1 * (y_bottom - y_top)));
    END IF;
    body := body || mastering.chart_label('soft', 20, y_bottom + 56, format('Pairs judged: %s%s. True matches: %s.', mastering.chart_count((first_row ->> 'predicted')::numeric),
        CASE WHEN (first_row ->> 'unjudged')::numeric > 0 THEN format(' (without a verdict: %s)', mastering.chart_count((first_row ->> 'unjudged')::numeric)) ELSE '' END,
        mastering.chart_count((first_row ->> 'true')::numeric)));
    RETURN mastering.chart_document(960, (y_bottom + 70)::integer, 'Precision and recall by threshold',
        CASE WHEN best.f1 IS NULL THEN 'There is no pair to judge.' ELSE format('F1 is best, %s, at %s bits (probability %s): precision %s, recall %s.', mastering.chart_share(best.f1), mastering.chart_weight(best.weight),
            mastering.chart_share(mastering.probability_of(best.weight)), mastering.chart_share(best."precision"), mastering.chart_share(best.recall)) END,
        CASE WHEN best.f1 IS NULL THEN 'There is no pair to judge.' ELSE format('Curves of precision, recall and F1 for thresholds from %s to %s bits. F1 is best, %s, at %s bits.', mastering.chart_weight(low), mastering.chart_weight(high),
            mastering.chart_share(best.f1), mastering.chart_weight(best.weight)) END,
        body);
END
$$;
COMMENT ON FUNCTION mastering.draw_thresholds(jsonb) IS 'Internal. The picture of the rows of evaluate_pairs.';

-- ---- Scores ----

-- Counts candidate pairs by weight, in bins of one bit that begin at the threshold, so that none straddles it. Where
-- there are more pairs than wanted, a share f of the records is drawn by the hash of their ids and the counts are
-- scaled by 1 / f^2: an unbiased estimate, the same at every call. The cost is a run of blocking, and of matching
-- over the pairs of the sample. Examples are the commonest kinds of pair (equal levels) next to the threshold.
CREATE FUNCTION mastering.score_summary(query text, model jsonb, most_pairs bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    line double precision;
    candidates numeric;
    share double precision := 1;
    sampled text := query;
    summary jsonb;
BEGIN
    PERFORM mastering.require_model(model);
    line := mastering.weight_of(mastering.model_threshold(model));
    SELECT COALESCE(pg_catalog.sum(r.new_pairs), 0) INTO candidates FROM mastering.blocking_report(query, model) AS r;
    IF candidates > most_pairs THEN
        share := pg_catalog.sqrt(most_pairs / candidates::pg_catalog.float8);
        sampled := pg_catalog.format(E'SELECT q.* FROM (\n%s\n) AS q WHERE (pg_catalog.hashtextextended(q.id::pg_catalog.text COLLATE "C", 0) & 1048575) < %s',
            mastering.query_body(query), pg_catalog.ceil(share * 1048576));
        share := pg_catalog.ceil(share * 1048576) / 1048576;
    END IF;
    WITH kind AS MATERIALIZED (
        SELECT p.levels, pg_catalog.floor(p.weight - line)::pg_catalog.int4 AS bin, pg_catalog.count(*) AS n, pg_catalog.sum(p.probability) AS matches,
            pg_catalog.min(ARRAY[p.id_a COLLATE "C", p.id_b COLLATE "C"]) AS example
        FROM mastering.match_pairs(sampled, model, 1e-290) AS p
        GROUP BY 1, 2
    )
    SELECT pg_catalog.jsonb_build_object('line', line, 'share', share, 'candidates', candidates,
        'bins', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(b.bin, b.n, b.matches) ORDER BY b.bin)
            FROM (SELECT k.bin, pg_catalog.sum(k.n) / (share * share) AS n, pg_catalog.sum(k.matches) / (share * share) AS matches FROM kind AS k GROUP BY k.bin) AS b), '[]'),
        'above', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a.example)) FROM (SELECT k.example FROM kind AS k WHERE k.bin >= 0 ORDER BY k.bin, k.n DESC, k.example LIMIT 3) AS a),
        'below', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a.example)) FROM (SELECT k.example FROM kind AS k WHERE k.bin < 0 ORDER BY k.bin DESC, k.n DESC, k.example LIMIT 3) AS a))
        INTO summary;
    RETURN summary;
END
$$;
COMMENT ON FUNCTION mastering.score_summary(text, jsonb, bigint) IS 'Internal. Numbers of pairs by weight, and pairs next to the threshold, from a sample of the records where the pairs are many.';

CREATE FUNCTION mastering.weight_chart(query text, model jsonb, most_pairs bigint DEFAULT 2000000) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
BEGIN
    IF most_pairs IS NULL OR most_pairs < 1 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('argument "most_pairs" must be at least 1, not %s', COALESCE(most_pairs::pg_catalog.text, 'NULL')),
            HINT = 'Leave it out, or name the number of pairs from which on a sample of the records is enough.';
    END IF;
    RETURN mastering.draw_weights(mastering.score_summary(query, model, most_pairs));
END
$$;
COMMENT ON FUNCTION mastering.weight_chart(text, jsonb, bigint) IS
'A picture (SVG) of how many candidate pairs have which weight, on both sides of the threshold. Costs a run of blocking and of matching; beyond most_pairs pairs, matching over a sample of the records, scaled up.';

CREATE FUNCTION mastering.draw_weights(summary jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 70;
    x_to CONSTANT double precision := 930;
    y_top CONSTANT double precision := 90;
    y_bottom CONSTANT double precision := 350;
    floor_value CONSTANT double precision := 0.7; -- the foot of the bars: one pair can still be seen
    line double precision := (summary ->> 'line')::float8;
    sampled boolean := (summary ->> 'share')::float8 < 1;
    low double precision;
    high double precision;
    most double precision;
    step integer;
    bin record;
    body text := '';
    y double precision;
    x double precision;
    matched numeric;
    wrong numeric;
    missed numeric;
BEGIN
    SELECT COALESCE(min((b ->> 0)::float8), -5), COALESCE(max((b ->> 0)::float8) + 1, 5), COALESCE(sum((b ->> 1)::numeric) FILTER (WHERE (b ->> 0)::integer >= 0), 0),
        COALESCE(sum((b ->> 1)::numeric - (b ->> 2)::numeric) FILTER (WHERE (b ->> 0)::integer >= 0), 0), COALESCE(sum((b ->> 2)::numeric) FILTER (WHERE (b ->> 0)::integer < 0), 0)
        INTO low, high, matched, wrong, missed
    FROM jsonb_array_elements(summary -> 'bins') AS b;
    low := least(low, -3);
    high := greatest(high, 3);
    step := CASE WHEN high - low <= 70 THEN 1 WHEN high - low <= 140 THEN 2 WHEN high - low <= 350 THEN 5 ELSE 20 END;
    low := step * floor(low / step);
    high := step * ceil(high / step);
    SELECT greatest(10, max(n)) INTO most FROM (SELECT sum((b ->> 1)::float8) AS n FROM jsonb_array_elements(summary -> 'bins') AS b GROUP BY floor((b ->> 0)::float8 / step)) AS s;
    FOR bin IN SELECT power(10::numeric, g) AS n FROM generate_series(0, floor(log(most))::integer) AS g
        WHERE g % (1 + floor(log(most))::integer / 7) = 0 LOOP
        y := y_bottom - ln(bin.n::float8 / floor_value) / ln(most / floor_value) * (y_bottom - y_top);
        body := body || mastering.chart_line('grid', x_from, y, x_to, y) || mastering.chart_label('soft small', x_from - 8, y + 4, mastering.chart_short_count(bin.n), 'end');
    END LOOP;
    body := body || mastering.chart_weight_axis(low + line, high + line, x_from, x_to, y_bottom, y_bottom + 4, true, 10);
    FOR bin IN SELECT floor((b ->> 0)::float8 / step) * step AS at, sum((b ->> 1)::numeric) AS n FROM jsonb_array_elements(summary -> 'bins') AS b GROUP BY 1 ORDER BY 1 LOOP
        x := x_from + (bin.at - low) / (high - low) * (x_to - x_from);
        y := y_bottom - greatest(0, ln(greatest(floor_value, bin.n::float8) / floor_value) / ln(most / floor_value)) * (y_bottom - y_top);
        body := body || mastering.chart_bar(CASE WHEN bin.at >= 0 THEN 'plus' ELSE 'minus' END, x + 0.5, x + step / (high - low) * (x_to - x_from) - 0.5, y, y_bottom - y,
            format('%s to %s bits: %s pairs', mastering.chart_weight(bin.at + line), mastering.chart_weight(bin.at + step + line), mastering.chart_count(round(bin.n))));
    END LOOP;
    x := x_from - low / (high - low) * (x_to - x_from);
    body := body || mastering.chart_line('axis', x_from, y_bottom, x_to, y_bottom) || mastering.chart_line('mark', x, y_top - 6, x, y_bottom)
        || mastering.chart_label('ink small', greatest(x_from + 60, least(x_to - 60, x)), y_top - 11, 'threshold ' || mastering.chart_share(mastering.probability_of(line)), 'middle')
        || mastering.chart_label('soft small', x_from - 8, y_top - 11, 'pairs (log)', 'middle')
        || mastering.chart_label('soft small', x_from - 24, y_bottom + 19, 'bits', 'end') || mastering.chart_label('soft small', x_from - 24, y_bottom + 33, 'prob.', 'end')
        || mastering.chart_label('soft', 20, y_bottom + 60, format('By its own probabilities, the model expects about %s wrong matches, and %s missed ones.',
            mastering.chart_count(round(wrong)), mastering.chart_count(round(missed))))
        || CASE WHEN sampled THEN mastering.chart_label('soft', 20, y_bottom + 80, format('Estimated from %s of the records, drawn by their ids.', mastering.chart_share((summary ->> 'share')::float8))) ELSE '' END;
    RETURN mastering.chart_document(960, (y_bottom + CASE WHEN sampled THEN 96 ELSE 76 END)::integer, 'Pairs by match weight',
        format('%s%s of %s candidate pairs reach the threshold (blue); the others (orange) do not.', CASE WHEN sampled THEN 'About ' ELSE '' END,
            mastering.chart_count(round(matched)), mastering.chart_count((summary ->> 'candidates')::numeric)),
        format('Histogram of %s candidate pairs by weight; %s%s reach the threshold of %s bits.', mastering.chart_count((summary ->> 'candidates')::numeric),
            CASE WHEN sampled THEN 'about ' ELSE '' END, mastering.chart_count(round(matched)), mastering.chart_weight(line)),
        body);
END
$$;
COMMENT ON FUNCTION mastering.draw_weights(jsonb) IS 'Internal. The picture of score_summary.';
-- 31_cluster_chart.sql: the graph of one cluster: records, the pairs that hold them together, the weakest link.
--
-- The weakest link is the lightest edge of a maximum spanning tree of the pairs at or above the threshold: without
-- it (and what is lighter) the cluster falls into two. Positions come from the distances in the graph by stress
-- majorization (SMACOF: de Leeuw 1977; for graphs Gansner, Koren and North 2004), begun from the order in which the
-- spanning tree grew. Nothing is random, so a picture is the same at every call.

CREATE FUNCTION mastering.cluster_chart(query text, model jsonb, members text[], threshold double precision DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    most_records CONSTANT integer := 200; -- a screen does not hold more
    columns text[] := mastering.query_column_names(query, 'query');
    told text[];
    wanted text[];
    shown text;
    ids text[];
    labels text[];
    missing text;
    pairs jsonb;
BEGIN
    PERFORM mastering.require_model(model);
    PERFORM mastering.require_columns(columns, '{id}', 'query');
    IF threshold IS NOT NULL AND NOT (threshold > 0 AND threshold < 1) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the threshold %s is not a probability between 0 and 1, both excluded', threshold);
    END IF;
    -- Shorter ids first: for whole numbers that is their order.
    wanted := ARRAY(SELECT m FROM (SELECT DISTINCT u.m COLLATE "C" AS m FROM pg_catalog.unnest(members) AS u (m) WHERE u.m IS NOT NULL) AS d ORDER BY pg_catalog.length(m), m);
    IF pg_catalog.cardinality(wanted) = 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'a cluster chart needs the id of at least one record',
            HINT = 'Name the members, cluster_chart(query, model, ARRAY[''1'', ''2'']), or one of them, cluster_chart(query, model, ''1'').';
    END IF;
    shown := pg_catalog.format(E'SELECT q.* FROM (\n%s\n) AS q WHERE q.id::pg_catalog.text = ANY (%L::pg_catalog.text[])', mastering.query_body(query), wanted[:most_records]);
    -- What is told about a record: its column "label", else what the model compares first.
    IF 'label' = ANY (columns) THEN
        told := '{label}';
    ELSE
        told := ARRAY(SELECT c ->> 'column' FROM pg_catalog.jsonb_array_elements(model -> 'comparisons') WITH ORDINALITY AS u (c, n) WHERE c ->> 'column' = ANY (columns) ORDER BY n LIMIT 3);
        IF told = '{}' THEN
            told := (ARRAY(SELECT c FROM pg_catalog.unnest(columns) WITH ORDINALITY AS u (c, n) WHERE c <> 'id' ORDER BY n))[:3];
        END IF;
    END IF;
    EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(r.id ORDER BY pg_catalog.length(r.id), r.id), pg_catalog.array_agg(r.label ORDER BY pg_catalog.length(r.id), r.id)
        FROM (SELECT s.id::pg_catalog.text COLLATE "C" AS id, pg_catalog.min(pg_catalog.left(pg_catalog.concat_ws('', ''%s, NULL), 500)) AS label FROM (%s) AS s GROUP BY 1) AS r',
        (SELECT pg_catalog.string_agg(pg_catalog.format(', NULLIF(s.%I::pg_catalog.text, '''')', t), '' ORDER BY n) FROM pg_catalog.unnest(told) WITH ORDINALITY AS u (t, n)), shown)
        INTO ids, labels;
    SELECT m INTO missing FROM pg_catalog.unnest(wanted[:most_records]) AS m WHERE m <> ALL (COALESCE(ids, '{}')) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = pg_catalog.format('the query returns no record with id "%s"', missing),
            HINT = 'Ids are given as text, as match_clusters returns them.';
    END IF;
    SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(pg_catalog.array_position(ids, p.id_a COLLATE "C"), pg_catalog.array_position(ids, p.id_b COLLATE "C"), p.weight)), '[]') INTO pairs
    FROM mastering.match_pairs(shown, model, 1e-290) AS p;
    RETURN mastering.draw_cluster(ids, labels, pairs, COALESCE(threshold, mastering.model_threshold(model)), pg_catalog.cardinality(wanted));
END
$$;
COMMENT ON FUNCTION mastering.cluster_chart(text, jsonb, text[], double precision) IS
'A picture (SVG) of the graph of some records, as a rule the members of a cluster: lines are the pairs that match, wider for more weight; the weakest link is marked. Records are told by the query''s column "label", or by what the model compares first. Of more than 200 records the first 200 are drawn.';

CREATE FUNCTION mastering.cluster_chart(query text, model jsonb, member text, threshold double precision DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    members text[];
BEGIN
    PERFORM mastering.require_model(model);
    IF member IS NOT NULL THEN
        WITH c AS MATERIALIZED (SELECT m.id, m.cluster_id FROM mastering.match_clusters(query, model, threshold) AS m)
        SELECT pg_catalog.array_agg(c.id) INTO members FROM c WHERE c.cluster_id = (SELECT o.cluster_id FROM c AS o WHERE o.id = member);
        IF members IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = pg_catalog.format('the query returns no record with id "%s"', member),
                HINT = 'Ids are given as text, as match_clusters returns them; an array of ids is written ARRAY[''1'', ''2''].';
        END IF;
    END IF;
    RETURN mastering.cluster_chart(query, model, members, threshold);
END
$$;
COMMENT ON FUNCTION mastering.cluster_chart(text, jsonb, text, double precision) IS
'cluster_chart of the cluster that a record is in. Finds it by match_clusters over the whole query; name the members where they are known already.';

-- Distances in the graph by breadth-first search, all nodes at once, with rows of neighbours as bit strings: every
-- pair of nodes enters a frontier once. Returns n * n numbers, row by row; what cannot be reached is a little
-- farther than what can.
CREATE FUNCTION mastering.graph_distances(n integer, pairs_a integer[], pairs_b integer[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    none CONSTANT bit varying := repeat('0', n)::bit varying;
    neighbours bit varying[] := array_fill(none, ARRAY[n]);
    distances integer[] := array_fill(-1, ARRAY[n * n]);
    farthest integer := 0;
    seen bit varying;
    frontier integer[];
    fresh bit varying;
    hops integer;
BEGIN
    FOR e IN 1 .. cardinality(pairs_a) LOOP
        neighbours[pairs_a[e]] := set_bit(neighbours[pairs_a[e]]::bit varying, pairs_b[e] - 1, 1);
        neighbours[pairs_b[e]] := set_bit(neighbours[pairs_b[e]]::bit varying, pairs_a[e] - 1, 1);
    END LOOP;
    FOR i IN 1 .. n LOOP
        seen := set_bit(none::bit varying, i - 1, 1);
        frontier := ARRAY[i];
        hops := 0;
        distances[(i - 1) * n + i] := 0;
        LOOP
            fresh := none;
            FOR f IN 1 .. cardinality(frontier) LOOP
                fresh := fresh | neighbours[frontier[f]];
            END LOOP;
            fresh := fresh & ~seen;
            EXIT WHEN fresh = none;
            hops := hops + 1;
            seen := seen | fresh;
            frontier := ARRAY(SELECT j FROM generate_series(1, n) AS j WHERE get_bit(fresh, j - 1) = 1);
            FOR f IN 1 .. cardinality(frontier) LOOP
                distances[(i - 1) * n + frontier[f]] := hops;
            END LOOP;
        END LOOP;
        farthest := greatest(farthest, hops);
    END LOOP;
    RETURN ARRAY(SELECT CASE WHEN d < 0 THEN farthest + 1 ELSE d END FROM unnest(distances) WITH ORDINALITY AS u (d, o) ORDER BY o);
END
$$;
COMMENT ON FUNCTION mastering.graph_distances(integer, integer[], integer[]) IS 'Internal. How many edges lie between any two nodes of a graph, row by row.';

-- Positions whose distances are as near as can be to the wanted ones. start: the nodes as they stand on a circle at first.
CREATE FUNCTION mastering.graph_layout(wanted double precision[], start integer[], OUT xs double precision[], OUT ys double precision[])
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n CONSTANT integer := cardinality(start);
    mean_x double precision;
    mean_y double precision;
    angle double precision;
    i_of CONSTANT integer[] := ARRAY(SELECT (o - 1) / n + 1 FROM generate_series(1, n * n) AS o);
    j_of CONSTANT integer[] := ARRAY(SELECT (o - 1) % n + 1 FROM generate_series(1, n * n) AS o);
    weights CONSTANT double precision[] := ARRAY(SELECT 1 / greatest(1e-6, d * d) FROM unnest(wanted) WITH ORDINALITY AS u (d, o) ORDER BY o); -- of the stress: near counts more
BEGIN
    SELECT array_agg(cos(2 * pi() * (o - 1) / n) * r.size ORDER BY s), array_agg(sin(2 * pi() * (o - 1) / n) * r.size ORDER BY s) INTO xs, ys
    FROM unnest(start) WITH ORDINALITY AS u (s, o), (SELECT COALESCE(avg(d) FILTER (WHERE d > 0), 1) / 1.3 AS size FROM unnest(wanted) AS d) AS r;
    IF n < 2 THEN
        RETURN;
    END IF;
    FOR round IN 1 .. CASE WHEN n <= 60 THEN 100 ELSE 30 END LOOP
        SELECT array_agg(s.x ORDER BY s.i), array_agg(s.y ORDER BY s.i) INTO xs, ys
        FROM (
            SELECT p.i, sum(p.weight * p.x + p.pull * p.dx) / sum(p.weight) AS x, sum(p.weight * p.y + p.pull * p.dy) / sum(p.weight) AS y
            FROM (
                SELECT q.*, sqrt(q.weight) / greatest(1e-6, sqrt(q.dx * q.dx + q.dy * q.dy)) AS pull
                FROM (
                    SELECT u.i, xs[u.j] AS x, ys[u.j] AS y, u.weight, xs[u.i] - xs[u.j] AS dx, ys[u.i] - ys[u.j] AS dy
                    FROM unnest(weights, i_of, j_of) AS u (weight, i, j)
                    WHERE u.i <> u.j
                    OFFSET 0 -- or each of these would be computed anew wherever it is used
                ) AS q
                OFFSET 0
            ) AS p
            GROUP BY p.i
        ) AS s;
    END LOOP;
    -- The longest axis lies flat, and the first node on the left: pictures are wider than high.
    SELECT avg(x), avg(y) INTO mean_x, mean_y FROM unnest(xs, ys) AS u (x, y);
    SELECT atan2(2 * sum((x - mean_x) * (y - mean_y)), sum((x - mean_x) ^ 2 - (y - mean_y) ^ 2)) / 2 INTO angle FROM unnest(xs, ys) AS u (x, y);
    IF (xs[start[1]] - mean_x) * cos(angle) + (ys[start[1]] - mean_y) * sin(angle) > 0 THEN
        angle := angle + pi();
    END IF;
    SELECT array_agg((x - mean_x) * cos(angle) + (y - mean_y) * sin(angle) ORDER BY o), array_agg((y - mean_y) * cos(angle) - (x - mean_x) * sin(angle) ORDER BY o) INTO xs, ys
    FROM unnest(xs, ys) WITH ORDINALITY AS u (x, y, o);
END
$$;
COMMENT ON FUNCTION mastering.graph_layout(double precision[], integer[]) IS 'Internal. Positions of the nodes of a graph from the distances wanted between them, row by row.';

-- Where labels in a column go that want to be at these heights, in order: as near as can be, without touching.
CREATE FUNCTION mastering.spread_labels(wanted double precision[], gap double precision, top double precision, bottom double precision) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at double precision[] := wanted;
    n CONSTANT integer := cardinality(wanted);
BEGIN
    FOR i IN 1 .. n LOOP
        at[i] := greatest(at[i], CASE WHEN i = 1 THEN top ELSE at[i - 1] + gap END);
    END LOOP;
    FOR i IN REVERSE n .. 1 LOOP
        at[i] := least(at[i], CASE WHEN i = n THEN bottom ELSE at[i + 1] - gap END);
    END LOOP;
    RETURN at;
END
$$;
COMMENT ON FUNCTION mastering.spread_labels(double precision[], double precision, double precision, double precision) IS 'Internal. Heights of labels in a column, at least a gap apart.';

-- pairs: [a, b, weight] with the numbers of the records in ids. all_members: how many there are, drawn or not.
CREATE FUNCTION mastering.draw_cluster(ids text[], labels text[], pairs jsonb, threshold double precision, all_members bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    most_edges CONSTANT integer := 2000;
    n CONSTANT integer := cardinality(ids);
    line CONSTANT double precision := mastering.weight_of(threshold);
    -- Three manners: every record with two lines of text, with one, or only as a dot.
    manner CONSTANT integer := CASE WHEN n <= 24 THEN 1 WHEN n <= 60 THEN 2 ELSE 3 END;
    gap CONSTANT double precision := CASE manner WHEN 1 THEN 36 ELSE 17 END;
    radius CONSTANT double precision := CASE manner WHEN 1 THEN 7 WHEN 2 THEN 5 ELSE 4 END;
    plot_left CONSTANT double precision := CASE manner WHEN 3 THEN 60 ELSE 330 END;
    plot_right CONSTANT double precision := CASE manner WHEN 3 THEN 900 ELSE 630 END;
    plot_top CONSTANT double precision := 84;
    plot_bottom double precision;
    part_of integer[] := ARRAY(SELECT generate_series(1, n));
    part_lists jsonb[] := ARRAY(SELECT to_jsonb(ARRAY[i]) FROM generate_series(1, n) AS i ORDER BY i);
    part_count integer := n;
    merged integer[];
    fallen integer[]; -- the smaller side of the weakest link
    weakest_a integer;
    weakest_b integer;
    weakest double precision;
    tree boolean[] := '{}';
    a integer[];
    b integer[];
    weights double precision[];
    matching integer;
    strongest double precision;
    distances integer[];
    wanted double precision[];
    xs double precision[];
    ys double precision[];
    low_x double precision;
    low_y double precision;
    scale double precision;
    edge record;
    side record;
    node integer;
    at double precision[];
    share double precision;
    x double precision;
    y double precision;
    lines text := '';
    marks text := '';
    dots text := '';
    texts text := '';
    subtitle text;
    below boolean := false; -- is a pair below the threshold drawn?
BEGIN
    SELECT array_agg((p ->> 0)::integer ORDER BY (p ->> 2)::float8 DESC, (p ->> 0)::integer, (p ->> 1)::integer), array_agg((p ->> 1)::integer ORDER BY (p ->> 2)::float8 DESC, (p ->> 0)::integer, (p ->> 1)::integer),
        array_agg((p ->> 2)::float8 ORDER BY (p ->> 2)::float8 DESC, (p ->> 0)::integer, (p ->> 1)::integer), count(*) FILTER (WHERE (p ->> 2)::float8 >= line)
        INTO a, b, weights, matching
    FROM jsonb_array_elements(pairs) AS p;
    strongest := greatest(line + 1, weights[1]);

    -- Kruskal's spanning tree, heaviest edges first. The order in which parts are joined keeps neighbours together.
    FOR e IN 1 .. matching LOOP
        tree[e] := part_of[a[e]] <> part_of[b[e]];
        IF tree[e] THEN
            weakest := weights[e];
            weakest_a := a[e];
            weakest_b := b[e];
            merged := ARRAY(SELECT value::integer FROM jsonb_array_elements_text(part_lists[part_of[a[e]]]));
            fallen := ARRAY(SELECT value::integer FROM jsonb_array_elements_text(part_lists[part_of[b[e]]]));
            IF cardinality(fallen) > cardinality(merged) THEN
                merged := fallen || merged;
                fallen := merged[cardinality(fallen) + 1:];
            ELSE
                merged := merged || fallen;
            END IF;
            node := part_of[merged[1]];
            part_lists[node] := to_jsonb(merged);
            FOR m IN 1 .. cardinality(merged) LOOP
                part_of[merged[m]] := node;
            END LOOP;
            part_count := part_count - 1;
        END IF;
    END LOOP;
    merged := ARRAY(SELECT value::integer FROM (SELECT DISTINCT p FROM unnest(part_of) AS p) AS d, jsonb_array_elements_text(part_lists[d.p]) WITH ORDINALITY AS u (value, o)
        ORDER BY jsonb_array_length(part_lists[d.p]) DESC, d.p, o);

    -- Near in the graph is near in the picture, and a strong link is shorter than a weak one.
    distances := mastering.graph_distances(n, COALESCE(a[:matching], '{}'), COALESCE(b[:matching], '{}'));
    wanted := ARRAY(SELECT CASE WHEN d <= 1 THEN d ELSE d * 1.2 END::float8 FROM unnest(distances) WITH ORDINALITY AS u (d, o) ORDER BY o);
    FOR e IN 1 .. matching LOOP
        share := 1.5 - 0.6 * least(1, (weights[e] - line) / (strongest - line));
        wanted[(a[e] - 1) * n + b[e]] := share;
        wanted[(b[e] - 1) * n + a[e]] := share;
    END LOOP;
    SELECT l.xs, l.ys INTO xs, ys FROM mastering.graph_layout(wanted, merged) AS l;
    -- As wide as there is room, without blowing up what is small; as high as that asks for, and as the labels do.
    SELECT least(240, (plot_right - plot_left) / greatest(1e-6, s.width), CASE manner WHEN 3 THEN 520 ELSE greatest(240, gap * ((n + 1) / 2)) END / greatest(1e-6, s.height)), s.x, s.y,
        greatest(s.height * least(240, (plot_right - plot_left) / greatest(1e-6, s.width)), gap * CASE manner WHEN 3 THEN 2 ELSE (n + 1) / 2 END)
        INTO scale, low_x, low_y, y
    FROM (SELECT max(u.x) - min(u.x) AS width, max(u.y) - min(u.y) AS height, (max(u.x) + min(u.x)) / 2 AS x, (max(u.y) + min(u.y)) / 2 AS y FROM unnest(xs, ys) AS u (x, y)) AS s;
    plot_bottom := plot_top + 20 + least(y, CASE manner WHEN 3 THEN 520 ELSE greatest(240, gap * ((n + 1) / 2)) END);
    SELECT array_agg((plot_left + plot_right) / 2 + (u.x - low_x) * scale ORDER BY o), array_agg((plot_top + plot_bottom) / 2 + (u.y - low_y) * scale ORDER BY o) INTO xs, ys
    FROM unnest(xs, ys) WITH ORDINALITY AS u (x, y, o);

    -- Of very many edges those of the tree and the weakest are drawn: the strong ones only thicken what is thick.
    FOR edge IN
        SELECT * FROM (
            SELECT o AS e, weights[o] >= line AS matches, COALESCE(tree[o], false) AS in_tree FROM generate_series(1, cardinality(weights)) AS o
            WHERE weights[o] >= line OR (manner = 1 AND weights[o] >= line - 30)
            -- Of those of one weight some from everywhere.
            ORDER BY COALESCE(tree[o], false) DESC, round(weights[o]::numeric, 1), (a[o] * 7919 + b[o] * 104729) % 10007, o LIMIT most_edges
        ) AS d ORDER BY d.e DESC
    LOOP
        share := greatest(0, least(1, (weights[edge.e] - line) / (strongest - line)));
        below := below OR NOT edge.matches;
        CONTINUE WHEN edge.in_tree AND a[edge.e] = weakest_a AND b[edge.e] = weakest_b;
        lines := lines || format(E'<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"%s>%s</line>\n', CASE WHEN edge.matches THEN 'plus-line' ELSE 'axis' END,
            mastering.chart_round(xs[a[edge.e]]), mastering.chart_round(ys[a[edge.e]]), mastering.chart_round(xs[b[edge.e]]), mastering.chart_round(ys[b[edge.e]]),
            CASE WHEN edge.matches THEN format(' stroke-width="%s" stroke-opacity="%s"', mastering.chart_round(CASE manner WHEN 1 THEN 1 + 4 * share WHEN 2 THEN 1 + 2 * share ELSE CASE WHEN matching > 800 THEN 0.5 ELSE 1 END + share END),
                trim_scale(round(CASE WHEN matching > 800 THEN 0.15 + 0.2 * share WHEN manner = 1 THEN 0.55 + 0.4 * share ELSE 0.45 + 0.4 * share END::numeric, 2))) ELSE ' stroke-dasharray="1 4"' END,
            CASE WHEN manner < 3 THEN format('<title>%s and %s: %s bits</title>', mastering.chart_text(ids[a[edge.e]], 40), mastering.chart_text(ids[b[edge.e]], 40), mastering.chart_weight(weights[edge.e])) ELSE '' END);
        IF manner = 1 AND matching <= 8 AND edge.matches THEN
            marks := marks || mastering.chart_label('ink small halo', xs[a[edge.e]] * 0.6 + xs[b[edge.e]] * 0.4, ys[a[edge.e]] * 0.6 + ys[b[edge.e]] * 0.4 + 4, mastering.chart_weight(weights[edge.e]), 'middle');
        END IF;
    END LOOP;
    IF weakest IS NOT NULL THEN
        lines := lines || format(E'<line class="minus-line" stroke-width="3" stroke-dasharray="7 4" x1="%s" y1="%s" x2="%s" y2="%s"><title>the weakest link: %s bits</title></line>\n',
            mastering.chart_round(xs[weakest_a]), mastering.chart_round(ys[weakest_a]), mastering.chart_round(xs[weakest_b]), mastering.chart_round(ys[weakest_b]), mastering.chart_weight(weakest));
        marks := marks || mastering.chart_label('strong ink halo', (xs[weakest_a] + xs[weakest_b]) / 2, (ys[weakest_a] + ys[weakest_b]) / 2 + 4.5, mastering.chart_weight(weakest), 'middle');
    END IF;
    IF part_count > 1 OR n < 3 THEN
        fallen := NULL;
    END IF;

    FOR i IN 1 .. n LOOP
        dots := dots || format(E'<circle class="%s" cx="%s" cy="%s" r="%s"><title>%s</title></circle>\n', CASE WHEN i = ANY (fallen) THEN 'paper ink-line' ELSE 'ink rim' END,
            mastering.chart_round(xs[i]), mastering.chart_round(ys[i]), mastering.chart_round(radius), concat_ws(': ', mastering.chart_text(ids[i], 40), NULLIF(mastering.chart_text(labels[i], 60), '')));
    END LOOP;
    IF manner < 3 THEN
        FOR side IN
            SELECT s.is_left, array_agg(s.i ORDER BY s.y, s.i) AS nodes, array_agg(s.y ORDER BY s.y, s.i) AS heights
            FROM (SELECT o AS i, u.y, row_number() OVER (ORDER BY round(u.x::numeric, 1), round(u.y::numeric, 1), o) <= (n + 1) / 2 AS is_left FROM unnest(xs, ys) WITH ORDINALITY AS u (x, y, o)) AS s
            GROUP BY s.is_left
        LOOP
            at := mastering.spread_labels(side.heights, gap, plot_top + gap / 2, plot_bottom - gap / 2);
            FOR k IN 1 .. cardinality(side.nodes) LOOP
                node := side.nodes[k];
                x := CASE WHEN side.is_left THEN plot_left - 42 ELSE plot_right + 42 END;
                y := at[k];
                lines := format(E'<polyline class="grid" points="%s,%s %s,%s %s,%s"/>\n', mastering.chart_round(x + CASE WHEN side.is_left THEN 4 ELSE -4 END), mastering.chart_round(y),
                    mastering.chart_round(x + CASE WHEN side.is_left THEN 18 ELSE -18 END), mastering.chart_round(y), mastering.chart_round(xs[node]), mastering.chart_round(ys[node])) || lines;
                IF manner = 1 THEN
                    texts := texts || mastering.chart_label('strong ink', x, y - CASE WHEN COALESCE(labels[node], '') = '' THEN -4 ELSE 2 END, mastering.chart_text(ids[node], 17), CASE WHEN side.is_left THEN 'end' ELSE 'start' END)
                        || CASE WHEN COALESCE(labels[node], '') = '' THEN '' ELSE mastering.chart_label('soft small', x, y + 12, mastering.chart_text(labels[node], 23), CASE WHEN side.is_left THEN 'end' ELSE 'start' END) END;
                ELSE
                    texts := texts || format(E'<text class="small ink" x="%s" y="%s"%s>%s <tspan class="soft">%s</tspan></text>\n', mastering.chart_round(x), mastering.chart_round(y + 4),
                        CASE WHEN side.is_left THEN ' text-anchor="end"' ELSE '' END, mastering.chart_text(ids[node], 9), COALESCE(mastering.chart_text(labels[node], 13.5), ''));
                END IF;
            END LOOP;
        END LOOP;
    END IF;

    subtitle := CASE WHEN n = 1 THEN 'One record: there is no link.' ELSE
        format('%s of %s pairs match.', mastering.chart_count(matching), mastering.chart_count(n::numeric * (n - 1) / 2))
        || CASE WHEN weakest IS NULL THEN '' ELSE format(' Weakest link: %s bits (%s).', mastering.chart_weight(weakest), mastering.chart_share(mastering.probability_of(weakest))) END
        || CASE WHEN part_count > 1 THEN format(' At the threshold of %s they are %s clusters.', mastering.chart_share(threshold), mastering.chart_count(part_count))
            WHEN fallen IS NOT NULL THEN format(' Without links that weak, %s would part from the other %s.', CASE WHEN cardinality(fallen) = 1 THEN 'one record (hollow)' ELSE mastering.chart_count(cardinality(fallen)) || ' records (hollow)' END,
                mastering.chart_count(n - cardinality(fallen))) ELSE '' END END;
    RETURN mastering.chart_document(960, (plot_bottom + CASE WHEN matching > most_edges THEN 60 WHEN n = 1 THEN 14 ELSE 42 END)::integer,
        CASE WHEN all_members > n THEN format('%s of %s records', mastering.chart_count(n), mastering.chart_count(all_members)) WHEN n = 1 THEN 'A cluster of one record' WHEN part_count > 1 THEN format('%s records', mastering.chart_count(n)) ELSE format('A cluster of %s records', mastering.chart_count(n)) END,
        subtitle,
        subtitle || CASE WHEN weakest IS NULL THEN '' ELSE format(' It joins %s and %s.', mastering.chart_text(ids[weakest_a], 40), mastering.chart_text(ids[weakest_b], 40)) END,
        lines || dots || marks || texts
        || CASE WHEN matching > 0 THEN format(E'<line class="plus-line" stroke-width="3" x1="20" y1="%1$s" x2="44" y2="%1$s"/><line class="minus-line" stroke-width="3" stroke-dasharray="7 4" x1="190" y1="%1$s" x2="214" y2="%1$s"/>\n', plot_bottom + 24)
            || mastering.chart_label('soft small', 50, plot_bottom + 28, 'match, wider is heavier')
            -- Where records are dots only, the ends of the weakest link are told here.
            || mastering.chart_label('soft small', 220, plot_bottom + 28, 'weakest link' || CASE manner WHEN 3 THEN format(', from <tspan class="ink">%s</tspan> to <tspan class="ink">%s</tspan>',
                mastering.chart_text(concat_ws(': ', ids[weakest_a], labels[weakest_a]), 24), mastering.chart_text(concat_ws(': ', ids[weakest_b], labels[weakest_b]), 24)) ELSE '' END) ELSE '' END
        || CASE WHEN manner = 1 AND below THEN format(E'<line class="axis" stroke-dasharray="1 4" x1="310" y1="%1$s" x2="334" y2="%1$s"/>\n', plot_bottom + 24)
            || mastering.chart_label('soft small', 340, plot_bottom + 28, 'compared, below the threshold') ELSE '' END
        || CASE WHEN matching > most_edges THEN mastering.chart_label('soft small', 20, plot_bottom + 46, format('%s of the links are drawn, the weak ones first.', mastering.chart_count(most_edges))) ELSE '' END);
END
$$;
COMMENT ON FUNCTION mastering.draw_cluster(text[], text[], jsonb, double precision, bigint) IS 'Internal. The picture of a cluster from its records and pairs.';
-- 32_report.sql: everything about a result on one page: the data, the model, what was compared, the scores, the
-- clusters that deserve a look and the pairs that almost matched, or almost did not.

CREATE FUNCTION mastering.draw_cluster_sizes(sizes jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x_from CONSTANT double precision := 130;
    x_to CONSTANT double precision := 700;
    y double precision := 66;
    body text := '';
    class record;
BEGIN
    -- Classes of sizes whose bounds grow; those in which nothing falls are left out.
    FOR class IN
        SELECT k.low, k.high, sum((s ->> 1)::numeric) AS clusters, sum((s ->> 0)::numeric * (s ->> 1)::numeric) AS records,
            max(sum((s ->> 0)::numeric * (s ->> 1)::numeric)) OVER () AS most
        FROM (VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 9), (10, 19), (20, 49), (50, 99), (100, 999), (1000, NULL)) AS k (low, high),
            jsonb_array_elements(sizes) AS s
        WHERE (s ->> 0)::numeric BETWEEN k.low AND COALESCE(k.high, 'Infinity'::numeric)
        GROUP BY k.low, k.high ORDER BY k.low
    LOOP
        body := body || mastering.chart_label('ink', x_from - 10, y + 15, CASE WHEN class.low = 1 THEN 'found once' WHEN class.high IS NULL THEN class.low || ' or more' WHEN class.low = class.high THEN class.low || ' records'
                ELSE class.low || '&#x2013;' || class.high END, 'end')
            || mastering.chart_bar(CASE WHEN class.low = 1 THEN 'still' ELSE 'plus' END, x_from, x_from + (class.records / class.most)::float8 * (x_to - x_from), y + 3, 15)
            || mastering.chart_label('ink', x_from + (class.records / class.most)::float8 * (x_to - x_from) + 8, y + 15,
                mastering.chart_count(class.records) || CASE WHEN class.low = 1 THEN ' records' ELSE format(CASE WHEN class.clusters = 1 THEN ' in %s cluster' ELSE ' in %s clusters' END, mastering.chart_count(class.clusters)) END);
        y := y + 23;
    END LOOP;
    RETURN mastering.chart_document(960, (y + 16)::integer, 'Clusters by size', 'How many records are in clusters of which size.',
        format('Bars for %s sizes of clusters.', jsonb_array_length(sizes)), body);
END
$$;
COMMENT ON FUNCTION mastering.draw_cluster_sizes(jsonb) IS 'Internal. The picture of the sizes of clusters: [size, clusters], ....';

CREATE FUNCTION mastering.report_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $style$
SELECT $$
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 24px 20px 60px; max-width: 980px; background: #f3f5f7; color: #1f2328;
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 4px; }
p { margin: 4px 0 12px; max-width: 46em; color: #57606a; }
figure, .box { margin: 12px 0; background: #ffffff; border: 1px solid #d8dee4; border-radius: 6px; overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; padding: 0; list-style: none; }
.facts li { flex: 1 1 130px; background: #ffffff; border: 1px solid #d8dee4; border-radius: 6px; padding: 10px 14px; color: #57606a; font-size: 13px; }
.facts b { display: block; font-size: 22px; color: #1f2328; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 6px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid #d8dee4; white-space: nowrap; }
td:last-child { white-space: normal; overflow-wrap: anywhere; }
th { color: #57606a; font-weight: normal; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) {
body { background: #0b0e12; color: #e6edf3; }
p { color: #a5afba; }
figure, .box, .facts li { background: #15191e; border-color: #323a44; }
.facts li, th { color: #a5afba; }
.facts b { color: #e6edf3; }
th, td { border-color: #323a44; }
}
@media print { body { background: #ffffff; max-width: none; } figure, .box { break-inside: avoid; } }
$$
$style$;
COMMENT ON FUNCTION mastering.report_style() IS 'Internal. The rules of style of the report.';

CREATE FUNCTION mastering.report_facts(facts text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT E'<ul class="facts">\n' || string_agg(format(E'<li><b>%s</b>%s</li>\n', facts[2 * i - 1], facts[2 * i]), '' ORDER BY i) || E'</ul>\n' FROM generate_series(1, cardinality(facts) / 2) AS i $$;
COMMENT ON FUNCTION mastering.report_facts(text[]) IS 'Internal. Figures and what they are, in turn, as HTML.';

-- The rows of profile() as an HTML table.
CREATE FUNCTION mastering.report_profile(columns jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT E'<div class="box"><table>\n<thead><tr><th>column</th><th>holds</th><th class="number">missing</th><th class="number">distinct</th><th class="number">two are equal</th><th class="number">length</th><th>most frequent</th></tr></thead>\n<tbody>\n'
    || COALESCE(string_agg(format(E'<tr><td>%s</td><td>%s</td><td class="number">%s</td><td class="number">%s</td><td class="number">%s</td><td class="number">%s</td><td>%s</td></tr>\n',
        mastering.chart_text(c ->> 'name', 40), mastering.chart_text(c ->> 'kind', 20), mastering.chart_share((c ->> 'nulls')::float8 / nullif((c ->> 'records')::float8, 0)),
        mastering.chart_count((c ->> 'distinct_values')::numeric), mastering.chart_share((c ->> 'equal_share')::float8),
        COALESCE(trim_scale(round((c ->> 'mean_length')::numeric, 1)) || ', at most ' || mastering.chart_count((c ->> 'longest')::numeric), '&#x2013;'),
        COALESCE((SELECT string_agg(mastering.chart_text(t.key, 18) || ' (' || mastering.chart_count(t.value::numeric) || ')', ', ' ORDER BY t.value::numeric DESC, t.key COLLATE "C")
            FROM jsonb_each_text(CASE WHEN jsonb_typeof(c -> 'top_values') = 'object' THEN c -> 'top_values' ELSE '{}' END) AS t), '')), '' ORDER BY n), '')
    || E'</tbody>\n</table></div>\n'
FROM jsonb_array_elements(columns) WITH ORDINALITY AS u (c, n)
$$;
COMMENT ON FUNCTION mastering.report_profile(jsonb) IS 'Internal. The rows of profile as an HTML table.';

CREATE FUNCTION mastering.report(query text, model jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $$
DECLARE
    most_pairs CONSTANT bigint := 2000000;
    trained jsonb := model;
    scores jsonb;
    columns jsonb;
    clusters jsonb;
    chosen record;
    body text;
    threshold double precision;
BEGIN
    IF trained IS NULL THEN
        trained := mastering.suggest(query);
    END IF;
    IF pg_catalog.jsonb_typeof(trained) = 'object' AND NOT trained ? 'prior' THEN
        trained := mastering.train_model(query, trained);
    END IF;
    PERFORM mastering.require_model(trained);
    threshold := mastering.model_threshold(trained);

    SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', p.name, 'kind', p.kind, 'records', p.records, 'nulls', p.nulls, 'distinct_values', p.distinct_values, 'mean_length', p.mean_length,
        'longest', p.longest, 'equal_share', p.equal_share, 'top_values', p.top_values::pg_catalog.jsonb) ORDER BY p.n), '[]') INTO columns
    FROM (SELECT x.*, pg_catalog.row_number() OVER () AS n FROM mastering.profile(query) AS x) AS p;
    scores := mastering.score_summary(query, trained, most_pairs);

    -- Shown are the two largest clusters and the three of at least three records that the weakest links hold together.
    WITH c AS MATERIALIZED (SELECT m.id, m.cluster_id, m.size, m.weakest_link FROM mastering.match_clusters(query, trained) AS m),
    k AS MATERIALIZED (SELECT c.cluster_id, pg_catalog.count(*) AS size, pg_catalog.min(c.weakest_link) AS weakest FROM c GROUP BY c.cluster_id),
    large AS (SELECT k.cluster_id, 1 AS kind, pg_catalog.row_number() OVER (ORDER BY k.size DESC, k.weakest, k.cluster_id COLLATE "C") AS n FROM k WHERE k.size > 1 ORDER BY n LIMIT 2),
    doubtful AS (SELECT k.cluster_id, 2 AS kind, pg_catalog.row_number() OVER (ORDER BY k.weakest, k.size DESC, k.cluster_id COLLATE "C") AS n FROM k
        WHERE k.size > 2 AND k.cluster_id NOT IN (SELECT l.cluster_id FROM large AS l) ORDER BY n LIMIT 3)
    SELECT pg_catalog.jsonb_build_object('records', COALESCE(pg_catalog.sum(k.size), 0), 'clusters', pg_catalog.count(*), 'joined', COALESCE(pg_catalog.sum(k.size) FILTER (WHERE k.size > 1), 0), 'largest', COALESCE(pg_catalog.max(k.size), 0),
        'sizes', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.size, s.clusters) ORDER BY s.size) FROM (SELECT o.size, pg_catalog.count(*) AS clusters FROM k AS o GROUP BY o.size) AS s), '[]'),
        'shown', COALESCE((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('kind', f.kind, 'members', (SELECT pg_catalog.jsonb_agg(c.id) FROM c WHERE c.cluster_id = f.cluster_id)) ORDER BY f.kind, f.n)
            FROM (SELECT l.* FROM large AS l UNION ALL SELECT d.* FROM doubtful AS d) AS f), '[]'))
        INTO clusters
    FROM k;

    body := mastering.report_facts(ARRAY[
            mastering.chart_count((clusters ->> 'records')::pg_catalog.numeric), 'records',
            mastering.chart_count((clusters ->> 'clusters')::pg_catalog.numeric), 'clusters',
            mastering.chart_count((clusters ->> 'joined')::pg_catalog.numeric), 'records found more than once',
            mastering.chart_count((clusters ->> 'largest')::pg_catalog.numeric), 'records in the largest cluster',
            mastering.chart_short_count((scores ->> 'candidates')::pg_catalog.numeric), 'pairs compared'])
        || E'<h2>The data</h2>\n<p>What every column seems to hold. A column tells records apart when two values are seldom equal and few are missing.</p>\n'
        || mastering.report_profile(columns)
        || E'<h2>What was compared</h2>\n<p>Only pairs that share a key of a rule are compared. Each rule adds the pairs that those before it did not find.</p>\n<figure>'
        || mastering.blocking_chart(query, trained) || E'</figure>\n'
        || E'<h2>What the model learned</h2>\n<p>Every comparison adds its weight to that of the prior; the sum says how likely a pair is a match.</p>\n<figure>'
        || mastering.model_chart(trained) || E'</figure>\n'
        || E'<h2>Scores</h2>\n<p>A good model has two hills and few pairs between them. What lies next to the threshold deserves labels.</p>\n<figure>'
        || mastering.draw_weights(scores) || E'</figure>\n'
        || E'<h2>Clusters</h2>\n<figure>' || mastering.draw_cluster_sizes(clusters -> 'sizes') || E'</figure>\n';
    FOR chosen IN SELECT (s ->> 'kind')::pg_catalog.int4 AS kind, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(s -> 'members')) AS members, n,
            pg_catalog.row_number() OVER (PARTITION BY s ->> 'kind' ORDER BY n) AS n_of_kind
        FROM pg_catalog.jsonb_array_elements(clusters -> 'shown') WITH ORDINALITY AS u (s, n) ORDER BY n
    LOOP
        body := body || CASE WHEN chosen.n_of_kind > 1 THEN '' WHEN chosen.kind = 1 THEN E'<h2>The largest clusters</h2>\n<p>Large clusters are either true or the work of one value that too many records share.</p>\n'
                ELSE E'<h2>The most doubtful clusters</h2>\n<p>Of at least three records, held together by the weakest links.</p>\n' END
            || '<figure>' || mastering.cluster_chart(query, trained, chosen.members) || E'</figure>\n';
    END LOOP;
    FOR chosen IN SELECT s.kind, s.pair, s.n FROM (
            SELECT 1 AS kind, p AS pair, n FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(scores -> 'above') = 'array' THEN scores -> 'above' ELSE '[]' END) WITH ORDINALITY AS u (p, n)
            UNION ALL
            SELECT 2, p, n FROM pg_catalog.jsonb_array_elements(CASE WHEN pg_catalog.jsonb_typeof(scores -> 'below') = 'array' THEN scores -> 'below' ELSE '[]' END) WITH ORDINALITY AS u (p, n)) AS s
        ORDER BY s.kind, s.n
    LOOP
        body := body || CASE WHEN chosen.n > 1 THEN '' WHEN chosen.kind = 1 THEN E'<h2>Pairs that just match</h2>\n<p>The commonest kinds of pair next above the threshold, one of each.</p>\n'
                ELSE E'<h2>Pairs that just do not match</h2>\n<p>The commonest kinds of pair next below the threshold, one of each.</p>\n' END
            || '<figure>' || mastering.pair_chart(query, trained, chosen.pair ->> 0, chosen.pair ->> 1) || E'</figure>\n';
    END LOOP;
    RETURN pg_catalog.format(E'<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>\n<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        -- Whatever stands in the data, the page loads and runs nothing.
        '<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''unsafe-inline''"/>\n<title>Matching report</title>\n<style>%s</style>\n</head>\n<body>\n<h1>Matching report</h1>\n<p>%s</p>\n%s</body>\n</html>\n',
        mastering.report_style(),
        pg_catalog.format('The records of the query, matched from a probability of %s on%s.', mastering.chart_share(threshold),
            CASE WHEN trained #>> '{training,labels}' = 'true' THEN ', by a model trained with labels' WHEN trained #>> '{training,labels}' = 'false' THEN ', by a model trained without labels' ELSE '' END),
        body);
END
$$;
COMMENT ON FUNCTION mastering.report(text, jsonb) IS
'One self-contained HTML page about the matching of a query: its profile, what was compared, the model, the scores, the largest and the most doubtful clusters, and pairs next to the threshold explained. Without a model it trains one, as dedupe does. Costs about three runs of matching.';
-- 40_golden.sql: survivorship: one golden record of every cluster.
--
-- golden_records reads the rules, checks them against the columns of the query and lets golden_sql write one
-- statement that does all the work set by set. Both run as the caller.
--
-- What survives is a total order over the records of a cluster, one order for each attribute (or group of
-- attributes that must come from one record):
--   1. records with a value before records without (NULL, blank text, empty array, JSON null);
--   2. the rules of the attribute, one after the other;
--   3. for a group, the record that fills more of it;
--   4. the smaller value, texts in byte order (collation "C");
--   5. the shorter id, then the smaller id in byte order, which for whole numbers is their order.
-- No step looks at the order of the input, and ids are distinct, so the result does not depend on it.

-- Its transition function is reached only from the second value on, and golden_sql passes one a group.
CREATE FUNCTION mastering.first_of_two(anyelement, anyelement) RETURNS anyelement
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT $1';
COMMENT ON FUNCTION mastering.first_of_two(anyelement, anyelement) IS 'Internal. The transition function of only_value.';

CREATE AGGREGATE mastering.only_value(anyelement) (SFUNC = mastering.first_of_two, STYPE = anyelement, PARALLEL = SAFE);
COMMENT ON AGGREGATE mastering.only_value(anyelement) IS 'Internal. The value of the one row that its FILTER lets through.';

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
        'source_priority', 'most_complete_record', 'min', 'max', 'union'];
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
        END IF;
        RETURN jsonb_build_array(jsonb_build_object('rule', name, 'sources', context->'sources', 'recency', context->'recency'));
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
        END IF;
        RETURN steps;
    WHEN 'object' THEN
        PERFORM mastering.require_json_keys(rule, ARRAY['rule', 'sources', 'recency'], path);
        IF NOT rule ? 'rule' THEN
            PERFORM mastering.reject_json(path, 'the key "rule" is missing', format('Allowed rules are: %s.', mastering.quoted_list(known)));
        END IF;
        IF rule ? 'sources' THEN
            context := context || jsonb_build_object('sources', mastering.require_json_names(rule->'sources', path || '.sources'));
        END IF;
        IF rule ? 'recency' THEN
            context := context || jsonb_build_object('recency', mastering.golden_recency(rule->'recency', path || '.recency', context->'dated'));
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

-- The units of survivorship: one for each group of attributes and for each attribute that is in no group, in the
-- order of the query: attributes (their names) and steps. columns: the query's columns, as query_columns gives them.
CREATE FUNCTION mastering.golden_units(rules jsonb, attributes text[], sortable text[], has_source boolean)
RETURNS TABLE (unit bigint, members text[], steps jsonb)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 20
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
    PERFORM mastering.require_json_keys(rules, ARRAY['default', 'attributes', 'groups', 'recency', 'source_priority'], '$');
    IF rules ? 'recency' THEN
        context := context || jsonb_build_object('recency', mastering.golden_recency(rules->'recency', '$.recency', context->'dated'));
    END IF;
    IF rules ? 'source_priority' THEN
        context := context || jsonb_build_object('sources', mastering.require_json_names(rules->'source_priority', '$.source_priority'));
    END IF;
    fallback := mastering.golden_steps(coalesce(rules->'default', '"most_frequent"'), '$.default', context);

    IF rules ? 'attributes' THEN
        PERFORM mastering.require_json(rules->'attributes', 'object', '$.attributes');
        FOR name, item IN SELECT key, value FROM jsonb_each(rules->'attributes') ORDER BY key COLLATE "C" LOOP
            path := '$.attributes' || mastering.json_path_step(name);
            IF name <> ALL (attributes) THEN
                PERFORM mastering.reject_name(path, 'attribute', name, attributes);
            END IF;
            own := own || jsonb_build_object(name, mastering.golden_steps(item, path, context));
        END LOOP;
    END IF;

    IF rules ? 'groups' THEN
        PERFORM mastering.require_json(rules->'groups', 'array', '$.groups');
    END IF;
    FOR item IN SELECT i FROM jsonb_array_elements(coalesce(rules->'groups', '[]')) AS i LOOP
        path := format('$.groups[%s]', place);
        place := place + 1;
        steps := fallback;
        IF jsonb_typeof(item) = 'object' THEN
            PERFORM mastering.require_json_keys(item, ARRAY['attributes', 'rule', 'sources', 'recency'], path);
            IF NOT item ? 'attributes' THEN
                PERFORM mastering.reject_json(path, 'the key "attributes" is missing', 'Allowed is a list of attributes that survive together.');
            END IF;
            IF item ? 'rule' THEN
                steps := mastering.golden_steps(item - 'attributes', path, context);
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
        FOR step IN SELECT s FROM jsonb_array_elements(steps) AS s LOOP
            IF step->>'rule' IN ('min', 'max', 'union') THEN
                PERFORM mastering.reject_json(path, format('the rule %s cannot choose a group', step->>'rule'),
                    'It looks at one value, and a group has several.', 'Give the group a rule: {"attributes": [...], "rule": "most_recent"}.');
            END IF;
        END LOOP;
        grouped := grouped || members;
        units := units || jsonb_build_array(jsonb_build_object('members', members, 'steps', steps));
    END LOOP;

    FOR name IN SELECT a FROM unnest(attributes) WITH ORDINALITY AS u (a, o) WHERE a <> ALL (grouped) ORDER BY o LOOP
        FOR step IN SELECT s FROM jsonb_array_elements(coalesce(own->name, fallback)) AS s LOOP
            IF step->>'rule' IN ('min', 'max') AND name <> ALL (sortable) THEN
                PERFORM mastering.reject_json(CASE WHEN own ? name THEN '$.attributes' || mastering.json_path_step(name) ELSE '$.default' END,
                    format('the type of attribute "%s" has no order for %s', name, step->>'rule'), 'The rule needs values that can be sorted.');
            END IF;
        END LOOP;
        units := units || jsonb_build_array(jsonb_build_object('members', ARRAY[name], 'steps', coalesce(own->name, fallback)));
    END LOOP;

    RETURN QUERY
    SELECT o, ARRAY(SELECT jsonb_array_elements_text(u->'members')), u->'steps'
    FROM jsonb_array_elements(units) WITH ORDINALITY AS e (u, o);
END
$$;
COMMENT ON FUNCTION mastering.golden_units(jsonb, text[], text[], boolean) IS
'Internal. The survivorship rules, checked against the attributes of a query, as units that survive from one record each.';

-- The statement that makes the golden records: a SELECT of cluster_id, record_count, source_count, then either
-- golden and lineage as jsonb, or (typed) each attribute under its own name and type, then lineage.
--
-- Its shape: numbered brings query and clusters together, sorted once by cluster and id. A cluster of one
-- record, the most common one, needs no rules and is passed on. The others get, for every unit u, how many
-- records agree (c<u>: a window over cluster and value) and the place of the record in the order of survivors
-- (k<u>: a row number); the record in place 1 gives the value. The sorts are incremental: within a cluster only.
-- Attributes are called a1, a2, ... inside, whatever their names. Duplicate ids are found in passing: they lie
-- side by side in the order by cluster and id.
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
    blank_to_null text;     -- record: the attributes, blanks made NULL
    flags text;             -- counted: c<u>, and f<u> for a union
    places text;            -- ranked: k<u>
    single_lineage text;    -- e<r>: the lineage that attributes with the same rules have in a cluster with one record
    single_values text;     -- v<n> and l<n>, value and lineage, of a cluster with one record
    merged_values text;     -- the same of a cluster with several
    filled text;            -- number of attributes that have a value
    recency_id text;        -- the id in its own type, where it dates the records
    renamed_values text;    -- the attributes under their own names
    renamed_lineage text;
    united_array text;      -- an array under the rule union
BEGIN
    IF rules IS NULL THEN
        rules := '{}';
    END IF;
    SELECT pg_catalog.array_agg(c.name ORDER BY c."position"),
        pg_catalog.array_agg(c.name ORDER BY c."position") FILTER (WHERE c.sortable AND c.name <> 'source'),
        pg_catalog.array_agg(c.name ORDER BY c."position") FILTER (WHERE c.name NOT IN ('id', 'source'))
        INTO columns, sortable, attributes
        FROM mastering.query_columns(query, 'query') AS c;
    columns := COALESCE(columns, '{}');
    sortable := COALESCE(sortable, '{}');
    attributes := COALESCE(attributes, '{}');
    PERFORM mastering.require_columns(columns, '{id}', 'query');
    PERFORM mastering.require_columns(
        ARRAY(SELECT c.name FROM mastering.query_columns(clusters, 'clusters') AS c ORDER BY c."position"),
        '{id,cluster_id}', 'clusters');
    has_source := 'source' = ANY (columns);
    IF typed AND attributes && '{cluster_id,record_count,source_count,lineage}'::pg_catalog.text[] THEN
        RAISE EXCEPTION USING ERRCODE = '42701',
            MESSAGE = 'an attribute has the name of a column that every golden record has',
            DETAIL = 'Taken are: "cluster_id", "record_count", "source_count", "lineage".',
            HINT = 'Give the attribute another name in the query with AS.';
    END IF;

    WITH attribute AS (
        SELECT c.name, t.typcategory = 'S' AS is_text,
            t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc AND t.typlen = -1 AS is_array,
            t.oid AS base_type, 'a' || a.n AS value,
            -- What is compared and sorted: texts by their bytes, a type without an order by its text.
            CASE WHEN NOT c.sortable THEN pg_catalog.format('a%s::pg_catalog.text COLLATE "C"', a.n)
                WHEN t.typcollation <> 0 THEN pg_catalog.format('a%s COLLATE "C"', a.n)
                ELSE 'a' || a.n END AS key, a.n
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
        SELECT u.unit, u.members, u.steps,
            u.steps->0->>'rule' = 'union' AS is_union,
            (SELECT pg_catalog.string_agg(s->>'rule', ', ' ORDER BY o)
                FROM pg_catalog.jsonb_array_elements(u.steps) WITH ORDINALITY AS e (s, o)) AS rule,
            pg_catalog.string_agg(a.key, ', ' ORDER BY m.o) AS keys,
            pg_catalog.string_agg(pg_catalog.format('(%s IS DISTINCT FROM NULL)', a.value), ' OR ' ORDER BY m.o) AS has_value,
            pg_catalog.string_agg(pg_catalog.format('(%s IS DISTINCT FROM NULL)::pg_catalog.int4', a.value), ' + ' ORDER BY m.o) AS filled,
            pg_catalog.string_agg(pg_catalog.format('COALESCE(pg_catalog.length(%s::pg_catalog.text), 0)', a.value), ' + ' ORDER BY m.o) AS length,
            pg_catalog.bool_or(a.is_array) AS is_array
        FROM mastering.golden_units(rules, attributes, sortable, has_source) AS u
        CROSS JOIN LATERAL pg_catalog.unnest(u.members) WITH ORDINALITY AS m (name, o)
        JOIN attribute AS a ON a.name = m.name
        GROUP BY u.unit, u.members, u.steps
    ),
    ordered AS (
        SELECT u.unit, pg_catalog.string_agg(CASE s->>'rule'
            WHEN 'most_frequent' THEN pg_catalog.format('c%s DESC', u.unit)
            WHEN 'most_recent' THEN d.value || ' DESC NULLS LAST'
            WHEN 'least_recent' THEN d.value || ' ASC NULLS LAST'
            WHEN 'longest' THEN pg_catalog.format('%s DESC', u.length)
            WHEN 'shortest' THEN u.length
            WHEN 'source_priority' THEN pg_catalog.format('pg_catalog.array_position(%L::pg_catalog.text[], source) NULLS LAST',
                ARRAY(SELECT pg_catalog.jsonb_array_elements_text(s->'sources')))
            WHEN 'most_complete_record' THEN 'filled DESC'
            WHEN 'min' THEN u.keys
            WHEN 'max' THEN u.keys || ' DESC'
            END, ', ' ORDER BY o) AS keys
        FROM unit AS u
        CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(u.steps) WITH ORDINALITY AS e (s, o)
        LEFT JOIN LATERAL (
            SELECT a.key AS value FROM attribute AS a WHERE a.name = s->>'recency'
            UNION ALL SELECT 'id_value' WHERE s->>'recency' = 'id') AS d ON true
        GROUP BY u.unit
    ),
    output AS (
        SELECT a.n, a.name, u.unit, a.value, u.is_union, u.has_value, u.rule, a.key,
            pg_catalog.dense_rank() OVER (ORDER BY u.rule) AS rule_no
        FROM attribute AS a JOIN unit AS u ON a.name = ANY (u.members)
    )
    SELECT
        (SELECT pg_catalog.string_agg(', ' || CASE
                WHEN a.is_text THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.btrim(q.%1$I::pg_catalog.text, %2$L) = '''' THEN NULL ELSE q.%1$I END', a.name, blanks)
                WHEN a.is_array THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.cardinality(q.%1$I) = 0 THEN NULL ELSE q.%1$I END', a.name)
                WHEN a.base_type = 'pg_catalog.jsonb'::pg_catalog.regtype THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.jsonb_typeof(q.%1$I) = ''null'' THEN NULL ELSE q.%1$I END', a.name)
                WHEN a.base_type = 'pg_catalog.json'::pg_catalog.regtype THEN pg_catalog.format(
                    'CASE WHEN pg_catalog.json_typeof(q.%1$I) = ''null'' THEN NULL ELSE q.%1$I END', a.name)
                ELSE pg_catalog.format('q.%I', a.name) END || ' AS ' || a.value,
                E'\n        ' ORDER BY a.n) FROM attribute AS a),
        (SELECT pg_catalog.string_agg(pg_catalog.format(CASE WHEN u.is_union
                THEN ', pg_catalog.row_number() OVER (PARTITION BY cluster_no, %2$s ORDER BY record_no) = 1 AS f%1$s'
                ELSE ', pg_catalog.count(*) OVER (PARTITION BY cluster_no, %2$s) AS c%1$s' END, u.unit, u.keys),
                E'\n        ' ORDER BY u.unit) FROM unit AS u),
        (SELECT pg_catalog.string_agg(pg_catalog.format(
                ', pg_catalog.row_number() OVER (PARTITION BY cluster_no ORDER BY (%s) DESC, %s, %s%s, record_no) AS k%s',
                u.has_value, o.keys,
                CASE WHEN pg_catalog.cardinality(u.members) > 1 THEN u.filled || ' DESC, ' ELSE '' END, u.keys, u.unit),
                E'\n        ' ORDER BY u.unit) FROM unit AS u JOIN ordered AS o USING (unit) WHERE NOT u.is_union),
        (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format(
                ', pg_catalog.jsonb_build_object(''record'', %s, ''source'', %s, ''rule'', %L, ''agreeing'', 1) AS e%s',
                CASE WHEN o.is_union THEN 'NULL' ELSE 'id' END, CASE WHEN o.is_union THEN 'NULL' ELSE 'source' END, o.rule, o.rule_no),
                E'\n            ') FROM output AS o),
        (SELECT pg_catalog.string_agg(pg_catalog.format(', %s AS v%s, CASE WHEN %s THEN e%s END AS l%2$s',
                CASE WHEN o.is_union THEN pg_catalog.format('CASE WHEN %s THEN ARRAY[%s] END', o.has_value, o.value) ELSE o.value END,
                o.n, o.has_value, o.rule_no), E'\n        ' ORDER BY o.n) FROM output AS o),
        (SELECT pg_catalog.string_agg(CASE WHEN o.is_union THEN pg_catalog.format(
                ', pg_catalog.array_agg(%2$s ORDER BY %5$s) FILTER (WHERE f%4$s AND (%1$s)), CASE WHEN pg_catalog.bool_or(%1$s) THEN '
                'pg_catalog.jsonb_build_object(''record'', NULL, ''source'', NULL, ''rule'', %3$L, ''agreeing'', pg_catalog.count(*) FILTER (WHERE %1$s)) END',
                o.has_value, o.value, o.rule, o.unit, o.key)
            ELSE pg_catalog.format(
                ', mastering.only_value(%2$s) FILTER (WHERE k%4$s = 1), mastering.only_value('
                'pg_catalog.jsonb_build_object(''record'', id, ''source'', source, ''rule'', %3$L, ''agreeing'', c%4$s)) FILTER (WHERE k%4$s = 1 AND (%1$s))',
                o.has_value, o.value, o.rule, o.unit) END, E'\n        ' ORDER BY o.n) FROM output AS o),
        (SELECT pg_catalog.string_agg(pg_catalog.format('(%s IS DISTINCT FROM NULL)::pg_catalog.int4', a.value), ' + ' ORDER BY a.n)
            FROM attribute AS a WHERE EXISTS (SELECT FROM unit AS u WHERE u.steps @> '[{"rule": "most_complete_record"}]')),
        (SELECT ', q.id AS id_value' WHERE EXISTS (SELECT FROM unit AS u WHERE u.steps @> '[{"recency": "id"}]')),
        (SELECT pg_catalog.string_agg(pg_catalog.format('f.v%s AS %I', a.n, a.name), ', ' ORDER BY a.n) FROM attribute AS a),
        (SELECT pg_catalog.string_agg(pg_catalog.format('f.l%s AS %I', a.n, a.name), ', ' ORDER BY a.n) FROM attribute AS a),
        (SELECT pg_catalog.min(u.members[1]) FROM unit AS u WHERE u.is_union AND u.is_array)
    INTO blank_to_null, flags, places, single_lineage, single_values, merged_values, filled, recency_id,
        renamed_values, renamed_lineage, united_array;
    IF united_array IS NOT NULL THEN
        PERFORM mastering.reject_json(CASE WHEN rules->'attributes' ? united_array
                THEN '$.attributes' || mastering.json_path_step(united_array) ELSE '$.default' END,
            pg_catalog.format('attribute "%s" is an array, which union cannot take', united_array),
            'union makes an array of single values.', 'Give the attribute another rule, for example "longest".');
    END IF;

    RETURN pg_catalog.format(
$sql$WITH numbered AS MATERIALIZED (
    SELECT *,
        pg_catalog.dense_rank() OVER (ORDER BY cluster_id) AS cluster_no,
        pg_catalog.count(*) OVER (PARTITION BY cluster_id) AS record_count,
        pg_catalog.row_number() OVER by_id AS record_no,
        pg_catalog.lag(id) OVER by_id = id AS is_twice
        %6$s
    FROM (
        SELECT COALESCE(m.cluster_id, r.id) AS cluster_id, m.cluster_id IS NULL AS is_alone, r.*
        FROM (
            SELECT COALESCE(q.id::pg_catalog.text, mastering.refuse('22004',
                    'the query in argument "query" gives a row without id',
                    'The row is ' || pg_catalog.left(pg_catalog.to_jsonb(q.*)::pg_catalog.text, 200) || '.',
                    'Leave such rows out with WHERE id IS NOT NULL.')) COLLATE "C" AS id,
                %3$s COLLATE "C" AS source%4$s
                %5$s
            FROM (
%1$s
            ) AS q
        ) AS r
        LEFT JOIN (
            %2$s
        ) AS m ON m.id = r.id
    ) AS joined
    WINDOW by_id AS (PARTITION BY cluster_id ORDER BY pg_catalog.length(id), id)
),
counted AS (
    SELECT *,
        %7$s AS source_no
        %8$s
    FROM numbered
    WHERE record_count > 1
),
ranked AS (
    SELECT *
        %9$s
    FROM counted
)
SELECT f.cluster_id, f.record_count, f.source_count, %15$s
FROM (
    SELECT cluster_id, record_count, %10$s AS source_count
        %11$s
    FROM (
        SELECT *
            %14$s
        FROM numbered
        WHERE record_count = 1
        OFFSET 0
    ) AS single
    UNION ALL
    SELECT pg_catalog.min(cluster_id), pg_catalog.min(record_count), %12$s
        %13$s
    FROM ranked
    GROUP BY cluster_no
    HAVING CASE
        WHEN pg_catalog.bool_or(is_twice) THEN mastering.refuse('21000',
            pg_catalog.format('the query in argument "query" gives id "%%s" more than once', pg_catalog.min(id) FILTER (WHERE is_twice)),
            'The id must identify the record.', 'Make it unique, for example source || '':'' || id AS id.') IS NULL
        WHEN pg_catalog.bool_or(is_alone) THEN mastering.refuse('21000',
            pg_catalog.format('record "%%s" has no cluster, and another cluster has its id as name', pg_catalog.min(id) FILTER (WHERE is_alone)),
            'A record without a cluster is a cluster of its own under its id.',
            'Give every record a cluster in argument "clusters".') IS NULL
        ELSE true END
) AS f
%16$s$sql$,
        mastering.query_body(query, 'query'),
        mastering.assignment_sql(clusters, 'clusters', 'cluster_id'),
        CASE WHEN has_source THEN 'q.source::pg_catalog.text' ELSE 'NULL::pg_catalog.text' END,
        recency_id, blank_to_null,
        ', ' || filled || ' AS filled',
        CASE WHEN has_source THEN 'pg_catalog.dense_rank() OVER (PARTITION BY cluster_no ORDER BY source)' ELSE 'NULL::pg_catalog.int8' END,
        flags, places,
        CASE WHEN has_source THEN '(source IS NOT NULL)::pg_catalog.int4::pg_catalog.int8' ELSE 'NULL::pg_catalog.int8' END,
        single_values,
        CASE WHEN has_source THEN 'COALESCE(pg_catalog.max(source_no) FILTER (WHERE source IS NOT NULL), 0)' ELSE 'NULL::pg_catalog.int8' END,
        merged_values, single_lineage,
        CASE WHEN NOT typed THEN 'pg_catalog.to_jsonb(g.*) AS golden, ' ELSE COALESCE(renamed_values || ', ', '') END || 'pg_catalog.to_jsonb(l.*) AS lineage',
        CASE WHEN typed THEN '' ELSE pg_catalog.format(E'CROSS JOIN LATERAL (SELECT %s) AS g\n', renamed_values) END
            || pg_catalog.format('CROSS JOIN LATERAL (SELECT %s) AS l', renamed_lineage));
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
'One golden record of every cluster. query: a SELECT with id, optionally source, and the attributes. clusters: a SELECT of id and cluster_id; a record that it leaves out is a cluster of its own under its id, ids that are not in query are ignored. rules: {"default": rule, "attributes": {name: rule}, "groups": [[names that survive from one record]], "recency": column, "source_priority": [sources]}; a rule is most_frequent (the default), most_recent, least_recent, longest, shortest, source_priority, most_complete_record, min, max, union, {"rule": ..., "sources": [...], "recency": column}, or a list of rules of which the next breaks the ties of the one before. Empty values never survive over others. golden: the values; lineage: for each the record, its source, the rule and how many records agree.';

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
-- 45_evaluate.sql: judging results: clusters and pairs against the truth, and two results against each other.
--
-- Pairs within clusters are counted from the sizes of clusters, n(n-1)/2, and never made: a cluster of a million
-- records costs what its rows cost. Counts are exact (numeric); shares are exact quotients rounded to 6 places,
-- NULL where they would divide by zero. Ids are compared by their text, so that ids as text and ids in their own
-- type meet. The queries run as the caller.

-- The column that names the cluster of a record: entity_id or cluster_id, else the only other column.
CREATE FUNCTION mastering.truth_column(columns text[], argument text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    others text[] := array_remove(columns, 'id');
BEGIN
    PERFORM mastering.require_columns(columns, '{id}', argument);
    IF 'entity_id' = ANY (columns) THEN
        RETURN 'entity_id';
    ELSIF 'cluster_id' = ANY (columns) THEN
        RETURN 'cluster_id';
    ELSIF cardinality(others) = 1 THEN
        RETURN others[1];
    END IF;
    PERFORM mastering.require_columns(columns, '{entity_id}', argument);
END
$$;
COMMENT ON FUNCTION mastering.truth_column(text[], text) IS
'Internal. The column of a query of the truth that names what a record is: entity_id, cluster_id, or the only one beside id.';

CREATE FUNCTION mastering.query_column_names(query text, argument text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL RESTRICTED
AS $$ SELECT ARRAY(SELECT c.name FROM mastering.query_columns(query, argument) AS c ORDER BY c."position") $$;
COMMENT ON FUNCTION mastering.query_column_names(text, text) IS 'Internal. The names of the columns of a query, in order.';

-- 6 places, NULL instead of a division by zero.
CREATE FUNCTION mastering.share(part numeric, whole numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT pg_catalog.round(part / NULLIF(whole, 0), 6) $$;
COMMENT ON FUNCTION mastering.share(numeric, numeric) IS 'Internal. part / whole to 6 places, NULL when whole is 0.';

-- Metrics, in the order of the rows below:
--   pairwise precision, recall, F1: over pairs of records in one cluster;
--   B-cubed: Bagga and Baldwin, 1998: for each record, the share of its cluster that belongs with it, averaged;
--   adjusted Rand: Hubert and Arabie, 1985;
--   exact clusters: predicted clusters that hold exactly the records of a true one.
CREATE FUNCTION mastering.evaluate_clusters(predicted text, truth text)
RETURNS TABLE (metric text, value numeric, meaning text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 25
AS $$
BEGIN
    PERFORM mastering.require_columns(mastering.query_column_names(predicted, 'predicted'), '{id,cluster_id}', 'predicted');
    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH cell AS MATERIALIZED (
    -- The records that a true and a predicted cluster share. A record that was not predicted is a cluster of its
    -- own, told apart by its id; a predicted record without a truth has no true_cluster.
    SELECT t.cluster_id AS true_cluster, p.cluster_id AS predicted_cluster,
        CASE WHEN p.id IS NULL THEN t.id END AS alone, pg_catalog.count(*)::pg_catalog.numeric AS records
    FROM (
        %1$s
    ) AS t
    FULL JOIN (
        %2$s
    ) AS p ON p.id = t.id
    GROUP BY 1, 2, 3
),
sized AS MATERIALIZED (
    SELECT records, alone,
        pg_catalog.sum(records) OVER (PARTITION BY true_cluster) AS true_size,
        pg_catalog.sum(records) OVER (PARTITION BY predicted_cluster, alone) AS predicted_size
    FROM cell
    WHERE true_cluster IS NOT NULL
),
-- The clusters of one size together: the truth of a million pairs is a handful of rows here.
by_true AS (
    SELECT true_size AS size, pg_catalog.div(pg_catalog.sum(records), true_size) AS clusters, pg_catalog.sum(records * records) AS squares
    FROM sized GROUP BY true_size
),
by_predicted AS (
    SELECT predicted_size AS size, pg_catalog.div(pg_catalog.sum(records), predicted_size) AS clusters, pg_catalog.sum(records * records) AS squares
    FROM sized GROUP BY predicted_size
),
counted AS (
    SELECT COALESCE(c.records, 0) AS records, COALESCE(c.missing, 0) AS missing, COALESCE(c.exact, 0) AS exact,
        COALESCE(c.right_pairs, 0) AS right_pairs,
        COALESCE((SELECT pg_catalog.sum(o.records) FROM cell AS o WHERE o.true_cluster IS NULL), 0) AS outside,
        COALESCE(t.clusters, 0) AS true_clusters, COALESCE(t.pairs, 0) AS true_pairs, t.bcubed AS bcubed_recall_sum,
        COALESCE(p.clusters, 0) AS predicted_clusters, COALESCE(p.pairs, 0) AS predicted_pairs, p.bcubed AS bcubed_precision_sum,
        pg_catalog.div(c.records * (c.records - 1), 2) AS all_pairs
    FROM (
        SELECT pg_catalog.sum(s.records) AS records, pg_catalog.count(s.alone)::pg_catalog.numeric AS missing,
            pg_catalog.count(*) FILTER (WHERE s.records = s.true_size AND s.records = s.predicted_size)::pg_catalog.numeric AS exact,
            pg_catalog.sum(pg_catalog.div(s.records * (s.records - 1), 2)) AS right_pairs
        FROM sized AS s) AS c,
    (SELECT pg_catalog.sum(b.clusters) AS clusters, pg_catalog.sum(b.clusters * pg_catalog.div(b.size * (b.size - 1), 2)) AS pairs,
        pg_catalog.sum(b.squares / b.size) AS bcubed FROM by_true AS b) AS t,
    (SELECT pg_catalog.sum(b.clusters) AS clusters, pg_catalog.sum(b.clusters * pg_catalog.div(b.size * (b.size - 1), 2)) AS pairs,
        pg_catalog.sum(b.squares / b.size) AS bcubed FROM by_predicted AS b) AS p
)
SELECT m.metric, m.value, m.meaning
FROM counted AS c
CROSS JOIN LATERAL (VALUES
    (1, 'records', c.records, 'records with a known truth: everything below is about them'),
    (2, 'records_missing', c.missing, 'of these, records without a predicted cluster, counted as clusters of their own'),
    (3, 'records_outside', c.outside, 'predicted records without a known truth, left out'),
    (4, 'true_clusters', c.true_clusters, 'clusters of the truth'),
    (5, 'predicted_clusters', c.predicted_clusters, 'clusters predicted'),
    (6, 'exact_clusters', c.exact, 'predicted clusters that hold exactly the records of a true one'),
    (7, 'true_pairs', c.true_pairs, 'pairs of records that belong together'),
    (8, 'predicted_pairs', c.predicted_pairs, 'pairs of records put together'),
    (9, 'right_pairs', c.right_pairs, 'pairs put together that belong together'),
    (10, 'pair_precision', mastering.share(c.right_pairs, c.predicted_pairs), 'share of the pairs put together that is right'),
    (11, 'pair_recall', mastering.share(c.right_pairs, c.true_pairs), 'share of the pairs that belong together that was found'),
    (12, 'pair_f1', mastering.share(2 * c.right_pairs, c.predicted_pairs + c.true_pairs), 'harmonic mean of the two'),
    (13, 'bcubed_precision', mastering.share(c.bcubed_precision_sum, c.records), 'for an average record, the share of its predicted cluster that belongs with it'),
    (14, 'bcubed_recall', mastering.share(c.bcubed_recall_sum, c.records), 'for an average record, the share of its true cluster that is with it'),
    (15, 'bcubed_f1', mastering.share(2 * c.bcubed_precision_sum * c.bcubed_recall_sum, (c.bcubed_precision_sum + c.bcubed_recall_sum) * c.records), 'harmonic mean of the two'),
    (16, 'cluster_precision', mastering.share(c.exact, c.predicted_clusters), 'share of the predicted clusters that is exact'),
    (17, 'cluster_recall', mastering.share(c.exact, c.true_clusters), 'share of the true clusters that was found exactly'),
    (18, 'cluster_f1', mastering.share(2 * c.exact, c.predicted_clusters + c.true_clusters), 'harmonic mean of the two'),
    -- (right - expected) / (mean - expected), with expected = true * predicted / all, multiplied by 2 * all.
    (19, 'adjusted_rand', mastering.share(2 * (c.right_pairs * c.all_pairs - c.true_pairs * c.predicted_pairs),
        (c.true_pairs + c.predicted_pairs) * c.all_pairs - 2 * c.true_pairs * c.predicted_pairs), 'agreement beyond chance: 1 is the truth, 0 what chance gives')
) AS m (n, metric, value, meaning)
ORDER BY m.n
$sql$,
        mastering.assignment_sql(truth, 'truth', mastering.truth_column(mastering.query_column_names(truth, 'truth'), 'truth')),
        mastering.assignment_sql(predicted, 'predicted', 'cluster_id'));
END
$$;
COMMENT ON FUNCTION mastering.evaluate_clusters(text, text) IS
'Judges clusters by the truth, a row a metric. predicted: a SELECT of id, cluster_id. truth: a SELECT of id, entity_id (or cluster_id, or one other column); where it covers a part of the records, only these are judged.';

-- Pairs without order, each once with its best score; pairs of a record with itself and with NULL are left out.
CREATE FUNCTION mastering.evaluate_pairs(predicted text, truth text, thresholds double precision[] DEFAULT NULL)
RETURNS TABLE (scored_by text, threshold double precision, predicted_pairs bigint, right_pairs bigint, true_pairs numeric,
    unjudged_pairs bigint, "precision" numeric, recall numeric, f1 numeric)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 10
AS $$
DECLARE
    predicted_columns text[] := mastering.query_column_names(predicted, 'predicted');
    truth_columns text[] := mastering.query_column_names(truth, 'truth');
    truth_sql text;
    verdict text;       -- true, false, or NULL where the truth does not know the pair
    verdict_join text;
    true_count text;
BEGIN
    PERFORM mastering.require_columns(predicted_columns, '{id_a,id_b}', 'predicted');
    scored_by := CASE WHEN 'probability' = ANY (predicted_columns) THEN 'probability' WHEN 'weight' = ANY (predicted_columns) THEN 'weight' END;
    IF thresholds IS NOT NULL AND scored_by IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = 'the query in argument "predicted" has no column "probability" or "weight"',
            DETAIL = pg_catalog.format('Its columns are: %s.', mastering.quoted_list(predicted_columns)),
            HINT = 'Select one of them, as match_pairs returns them, or leave argument "thresholds" out.';
    END IF;

    IF 'id_a' = ANY (truth_columns) OR NOT 'id' = ANY (truth_columns) THEN
        PERFORM mastering.require_columns(truth_columns, '{id_a,id_b}', 'truth');
        truth_sql := pg_catalog.format($sql$SELECT LEAST(id_a, id_b) AS id_a, GREATEST(id_a, id_b) AS id_b, pg_catalog.bool_and(is_match) AS is_match
    FROM (
        SELECT q.id_a::pg_catalog.text COLLATE "C" AS id_a, q.id_b::pg_catalog.text COLLATE "C" AS id_b, %s AS is_match
        FROM (
%s
        ) AS q
    ) AS labelled
    WHERE id_a <> id_b AND is_match IS NOT NULL
    GROUP BY 1, 2
    HAVING CASE WHEN pg_catalog.bool_and(is_match) <> pg_catalog.bool_or(is_match) THEN mastering.refuse('21000',
        pg_catalog.format('the query in argument "truth" calls the pair "%%s", "%%s" a match and a non-match', LEAST(pg_catalog.min(id_a), pg_catalog.min(id_b)), GREATEST(pg_catalog.max(id_a), pg_catalog.max(id_b))),
        'A pair may be named more than once, with one verdict.', 'Keep one verdict for each pair.') IS NULL ELSE true END$sql$,
            CASE WHEN 'is_match' = ANY (truth_columns) THEN 'q.is_match::pg_catalog.bool' ELSE 'true' END,
            mastering.query_body(truth, 'truth'));
        -- With verdicts, only pairs that have one can be judged; a list of matches is complete.
        verdict := CASE WHEN 'is_match' = ANY (truth_columns) THEN 't.is_match' ELSE 't.is_match IS NOT NULL' END;
        verdict_join := 'LEFT JOIN truth AS t ON t.id_a = p.id_a AND t.id_b = p.id_b';
        true_count := 'SELECT pg_catalog.count(*)::pg_catalog.numeric FROM truth WHERE is_match';
    ELSE
        truth_sql := mastering.assignment_sql(truth, 'truth', mastering.truth_column(truth_columns, 'truth'));
        verdict := 'a.cluster_id = b.cluster_id';
        verdict_join := 'LEFT JOIN truth AS a ON a.id = p.id_a LEFT JOIN truth AS b ON b.id = p.id_b';
        true_count := 'SELECT COALESCE(pg_catalog.sum(pg_catalog.div(n * (n - 1), 2)), 0) FROM (SELECT pg_catalog.count(*)::pg_catalog.numeric AS n FROM truth GROUP BY cluster_id) AS sizes';
    END IF;

    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH truth AS MATERIALIZED (
    %1$s
),
judged AS MATERIALIZED (
    SELECT p.score, %2$s AS verdict
    FROM (
        SELECT LEAST(id_a, id_b) AS id_a, GREATEST(id_a, id_b) AS id_b, pg_catalog.max(score) AS score
        FROM (
            SELECT q.id_a::pg_catalog.text COLLATE "C" AS id_a, q.id_b::pg_catalog.text COLLATE "C" AS id_b, %3$s::pg_catalog.float8 AS score
            FROM (
%4$s
            ) AS q
        ) AS predicted
        WHERE id_a <> id_b
        GROUP BY 1, 2
    ) AS p
    %5$s
),
thresholds AS MATERIALIZED (
    SELECT COALESCE((%6$s), '{}'::pg_catalog.float8[]) AS steps
),
-- A pair is counted once, at the highest threshold that it reaches; a row sums what lies at its own and above.
reached AS (
    SELECT COALESCE(pg_catalog.width_bucket(j.score, t.steps), 0) AS n,
        pg_catalog.count(j.verdict) AS pairs, pg_catalog.count(*) FILTER (WHERE j.verdict) AS right_pairs,
        pg_catalog.count(*) FILTER (WHERE j.verdict IS NULL) AS unjudged
    FROM judged AS j CROSS JOIN thresholds AS t
    GROUP BY 1
),
summed AS (
    SELECT s.n, s.threshold, COALESCE(pg_catalog.sum(r.pairs), 0) AS pairs, COALESCE(pg_catalog.sum(r.right_pairs), 0) AS right_pairs,
        COALESCE(pg_catalog.sum(r.unjudged), 0) AS unjudged
    FROM (
        SELECT 0 AS n, NULL::pg_catalog.float8 AS threshold
        UNION ALL
        SELECT u.n, u.threshold FROM thresholds AS t CROSS JOIN LATERAL pg_catalog.unnest(t.steps) WITH ORDINALITY AS u (threshold, n)
    ) AS s
    LEFT JOIN reached AS r ON r.n >= s.n
    GROUP BY s.n, s.threshold
)
SELECT %7$L::pg_catalog.text, s.threshold, s.pairs::pg_catalog.int8, s.right_pairs::pg_catalog.int8, t.pairs, s.unjudged::pg_catalog.int8,
    mastering.share(s.right_pairs, s.pairs), mastering.share(s.right_pairs, t.pairs), mastering.share(2 * s.right_pairs, s.pairs + t.pairs)
FROM summed AS s CROSS JOIN (%8$s) AS t (pairs)
ORDER BY s.n
$sql$,
        truth_sql, verdict, COALESCE('q.' || scored_by, 'NULL'), mastering.query_body(predicted, 'predicted'), verdict_join,
        CASE
            WHEN thresholds IS NOT NULL THEN pg_catalog.format('%L::pg_catalog.float8[]',
                ARRAY(SELECT DISTINCT t FROM pg_catalog.unnest(thresholds) AS t WHERE t IS NOT NULL ORDER BY t))
            WHEN scored_by = 'probability' THEN $sql$SELECT '{0.5,0.8,0.9,0.95,0.99,0.999}'::pg_catalog.float8[]$sql$
            -- About ten round steps over the weights that occur.
            WHEN scored_by = 'weight' THEN $sql$SELECT pg_catalog.array_agg(w.step * g ORDER BY g)::pg_catalog.float8[]
        FROM (SELECT GREATEST(1, pg_catalog.ceil((pg_catalog.max(score) - pg_catalog.min(score)) / 10)) AS step,
                pg_catalog.min(score) AS lowest, pg_catalog.max(score) AS highest
            FROM judged WHERE pg_catalog.abs(score) < 1000000) AS w
        CROSS JOIN LATERAL pg_catalog.generate_series(pg_catalog.ceil(w.lowest / w.step)::pg_catalog.int8, pg_catalog.floor(w.highest / w.step)::pg_catalog.int8) AS g$sql$
            ELSE 'NULL' END,
        scored_by, true_count);
END
$$;
COMMENT ON FUNCTION mastering.evaluate_pairs(text, text, double precision[]) IS
'Judges pairs by the truth, a row a threshold (of the probability, or of the weight where there is none; as given, or chosen); threshold NULL is all pairs. predicted: a SELECT of id_a, id_b and optionally probability or weight. truth: a SELECT of id_a, id_b (all matches), of id_a, id_b, is_match (only pairs with a verdict are judged), or of id, entity_id (only pairs of which both records are known are judged).';

-- Every cell (the records that a cluster of a and a cluster of b share) is of one kind:
--   equal: both clusters are these records; merged: the cluster of b is made of whole clusters of a;
--   split: the cluster of a falls into whole clusters of b; moved: anything else.
-- Of a cluster of a that is moved, the records outside its largest cell are those that moved.
CREATE FUNCTION mastering.compare_clusters(a text, b text)
RETURNS TABLE (kind text, clusters bigint, records bigint, examples jsonb, meaning text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE COST 100000 ROWS 6
AS $$
BEGIN
    PERFORM mastering.require_columns(mastering.query_column_names(a, 'a'), '{id,cluster_id}', 'a');
    PERFORM mastering.require_columns(mastering.query_column_names(b, 'b'), '{id,cluster_id}', 'b');
    RETURN QUERY EXECUTE pg_catalog.format($sql$
WITH cell AS MATERIALIZED (
    SELECT a.cluster_id AS a, b.cluster_id AS b, pg_catalog.count(*) AS records, pg_catalog.min(COALESCE(a.id, b.id)) AS record
    FROM (
        %1$s
    ) AS a
    FULL JOIN (
        %2$s
    ) AS b ON b.id = a.id
    GROUP BY 1, 2
),
sized AS (
    SELECT c.*, pg_catalog.sum(c.records) OVER (PARTITION BY c.a) AS a_size, pg_catalog.sum(c.records) OVER (PARTITION BY c.b) AS b_size,
        pg_catalog.row_number() OVER (PARTITION BY c.a ORDER BY c.records DESC, c.b) = 1 AS is_home
    FROM cell AS c
    WHERE c.a IS NOT NULL AND c.b IS NOT NULL
),
sorted AS MATERIALIZED (
    SELECT s.*, CASE
            WHEN s.records = s.a_size AND s.records = s.b_size THEN 'equal'
            WHEN pg_catalog.bool_and(s.records = s.a_size) OVER (PARTITION BY s.b) THEN 'merged'
            WHEN pg_catalog.bool_and(s.records = s.b_size) OVER (PARTITION BY s.a) THEN 'split'
            ELSE 'moved' END AS kind
    FROM sized AS s
),
change AS (
    SELECT s.kind, 1 AS clusters, s.records, pg_catalog.jsonb_build_object('a', s.a, 'b', s.b, 'records', s.records) AS example, s.record AS name
    FROM sorted AS s WHERE s.kind = 'equal'
    UNION ALL
    SELECT s.kind, 1, pg_catalog.sum(s.records), pg_catalog.jsonb_build_object('a', (pg_catalog.array_agg(s.a ORDER BY s.records DESC, s.a))[:10], 'b', s.b, 'records', pg_catalog.sum(s.records)), s.b
    FROM sorted AS s WHERE s.kind = 'merged' GROUP BY s.kind, s.b
    UNION ALL
    SELECT s.kind, 1, pg_catalog.sum(s.records), pg_catalog.jsonb_build_object('a', s.a, 'b', (pg_catalog.array_agg(s.b ORDER BY s.records DESC, s.b))[:10], 'records', pg_catalog.sum(s.records)), s.a
    FROM sorted AS s WHERE s.kind = 'split' GROUP BY s.kind, s.a
    UNION ALL
    SELECT s.kind, s.is_home::pg_catalog.int4, CASE WHEN s.is_home THEN 0 ELSE s.records END,
        CASE WHEN NOT s.is_home THEN pg_catalog.jsonb_build_object('a', s.a, 'b', s.b, 'records', s.records, 'record', s.record) END, s.record
    FROM sorted AS s WHERE s.kind = 'moved'
    UNION ALL
    SELECT CASE WHEN c.b IS NULL THEN 'only_in_a' ELSE 'only_in_b' END, 1, c.records,
        pg_catalog.jsonb_build_object(CASE WHEN c.b IS NULL THEN 'a' ELSE 'b' END, COALESCE(c.a, c.b), 'records', c.records, 'record', c.record), c.record
    FROM cell AS c WHERE c.a IS NULL OR c.b IS NULL
),
placed AS (
    SELECT c.*, pg_catalog.row_number() OVER (PARTITION BY c.kind ORDER BY c.example IS NULL, c.records DESC, c.name) AS n
    FROM change AS c
)
SELECT k.kind, COALESCE(pg_catalog.sum(p.clusters), 0)::pg_catalog.int8, COALESCE(pg_catalog.sum(p.records), 0)::pg_catalog.int8,
    pg_catalog.jsonb_agg(p.example ORDER BY p.n) FILTER (WHERE p.n <= 3 AND p.example IS NOT NULL), k.meaning
FROM (VALUES
    (1, 'equal', 'clusters that hold the same records in both'),
    (2, 'merged', 'clusters of b made of several whole clusters of a'),
    (3, 'split', 'clusters of a that fall into several whole clusters of b'),
    (4, 'moved', 'other clusters of a that changed; the records that left the main part of theirs'),
    (5, 'only_in_a', 'clusters of a with records that b does not have; these records'),
    (6, 'only_in_b', 'clusters of b with records that a does not have; these records')
) AS k (n, kind, meaning)
LEFT JOIN placed AS p ON p.kind = k.kind
GROUP BY k.n, k.kind, k.meaning
ORDER BY k.n
$sql$, mastering.assignment_sql(a, 'a', 'cluster_id'), mastering.assignment_sql(b, 'b', 'cluster_id'));
END
$$;
COMMENT ON FUNCTION mastering.compare_clusters(text, text) IS
'What differs between two results, each a SELECT of id, cluster_id: a row a kind of change, with how many clusters and records it touches and up to three examples, the largest first (at most ten clusters named in each). Names of clusters do not matter; records that one of them lacks are counted apart.';
-- 49_hash.sql: hashes of rows, for finding what changed and for proving that nothing did.

CREATE FUNCTION mastering.row_hash(row_value record) RETURNS uuid
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_row_hash';
COMMENT ON FUNCTION mastering.row_hash(record) IS 'First 128 bits of the SHA-256 of a row''s values as text; depends on DateStyle and the like, so these are pinned where it is called.';

CREATE FUNCTION mastering.rows_hash_add(state internal, row_value record) RETURNS internal
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_rows_hash_add';
COMMENT ON FUNCTION mastering.rows_hash_add(internal, record) IS 'Transition function of rows_hash.';

CREATE FUNCTION mastering.rows_hash_final(state internal) RETURNS text
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_rows_hash_final';
COMMENT ON FUNCTION mastering.rows_hash_final(internal) IS 'Final function of rows_hash.';

CREATE AGGREGATE mastering.rows_hash(row_value record) (
    SFUNC = mastering.rows_hash_add, STYPE = internal, FINALFUNC = mastering.rows_hash_final, FINALFUNC_MODIFY = READ_WRITE
);
COMMENT ON AGGREGATE mastering.rows_hash(record) IS 'SHA-256 over the hashes of rows in the order they come in; #segment and #row, where a row lies, are left out.';

CREATE FUNCTION mastering.stored_row_hash(row_value record) RETURNS bytea
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_stored_row_hash';
COMMENT ON FUNCTION mastering.stored_row_hash(record) IS 'What a row of a segment contributes to the segment''s hash.';

CREATE FUNCTION mastering.rows_hash_add(state internal, row_value record, kept bytea) RETURNS internal
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_rows_hash_add';
COMMENT ON FUNCTION mastering.rows_hash_add(internal, record, bytea) IS 'Transition function of rows_hash.';

CREATE AGGREGATE mastering.rows_hash(row_value record, kept bytea) (
    SFUNC = mastering.rows_hash_add, STYPE = internal, FINALFUNC = mastering.rows_hash_final, FINALFUNC_MODIFY = READ_WRITE
);
COMMENT ON AGGREGATE mastering.rows_hash(record, bytea) IS 'SHA-256 over the hashes of rows; where a row''s hash was kept, it counts in place of the row.';
-- 50_store.sql: versioned storage. A store is a table LIST-partitioned by segment; a segment is written once
-- and never changed; a version is a list of segments and, where rows went away, deletion vectors. The head
-- row of an environment says which version of each relation its views show. See src/storage/in_version.c.
--
-- Every store begins with the columns "#segment" and "#row"; users' columns never begin with '#'.

-- ---- the operator class that stores are partitioned by ------------------------------------------------------

CREATE FUNCTION mastering.segment_eq_support(internal) RETURNS internal
    LANGUAGE C STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_segment_eq_support';
COMMENT ON FUNCTION mastering.segment_eq_support(internal) IS 'Planner support: a segment''s number is known once the planner has come to the segment.';

CREATE FUNCTION mastering.segment_eq(segment_id int4, wanted int4) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT mastering.segment_eq_support
    AS 'MODULE_PATHNAME', 'mastering_segment_eq';
COMMENT ON FUNCTION mastering.segment_eq(int4, int4) IS 'Equality of segment numbers; the planner resolves it in each segment.';

CREATE OPERATOR mastering.=== (
    FUNCTION = mastering.segment_eq, LEFTARG = int4, RIGHTARG = int4,
    COMMUTATOR = OPERATOR(mastering.===), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR mastering.=== (int4, int4) IS 'Equality of segment numbers; the planner resolves it in each segment.';

CREATE OPERATOR FAMILY mastering.segment_ops USING btree;
CREATE OPERATOR CLASS mastering.segment_ops FOR TYPE int4 USING btree FAMILY mastering.segment_ops AS
    OPERATOR 1 < , OPERATOR 2 <= , OPERATOR 3 mastering.=== , OPERATOR 4 >= , OPERATOR 5 > ,
    FUNCTION 1 pg_catalog.btint4cmp(int4, int4);

-- ---- the predicates that views are made of ------------------------------------------------------------------

CREATE FUNCTION mastering.in_version_support(internal) RETURNS internal
    LANGUAGE C STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_in_version_support';
COMMENT ON FUNCTION mastering.in_version_support(internal) IS 'Planner support: the version that an environment shows becomes a constant list of segments.';

CREATE FUNCTION mastering.is_deleted_support(internal) RETURNS internal
    LANGUAGE C STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_is_deleted_support';
COMMENT ON FUNCTION mastering.is_deleted_support(internal) IS 'Planner support: which segments have deletions, and how many.';

CREATE FUNCTION mastering.in_version(view_name text, segment_id int4, row_no int4) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100 SUPPORT mastering.in_version_support
    AS 'MODULE_PATHNAME', 'mastering_in_version';
COMMENT ON FUNCTION mastering.in_version(text, int4, int4) IS 'Whether a row of a store belongs to the version that an environment shows under this name; resolved at plan time.';

CREATE FUNCTION mastering.is_deleted(vector bigint, row_no int4) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE SUPPORT mastering.is_deleted_support
    AS 'MODULE_PATHNAME', 'mastering_is_deleted';
COMMENT ON FUNCTION mastering.is_deleted(bigint, int4) IS 'Whether a stored deletion vector removes the row.';

CREATE FUNCTION mastering.is_deleted(segments int4[], vectors bigint[], segment_id int4, row_no int4) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE SUPPORT mastering.is_deleted_support
    AS 'MODULE_PATHNAME', 'mastering_is_deleted_in';
COMMENT ON FUNCTION mastering.is_deleted(int4[], bigint[], int4, int4) IS 'Whether the deletion vector of the row''s segment, if it has one, removes the row.';

-- ---- building deletion vectors ------------------------------------------------------------------------------

CREATE FUNCTION mastering.deletion_vector_add(state internal, row_no int4) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_add';
COMMENT ON FUNCTION mastering.deletion_vector_add(internal, int4) IS 'Transition function of deletion_vector_agg.';

CREATE FUNCTION mastering.deletion_vector_final(state internal) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_final';
COMMENT ON FUNCTION mastering.deletion_vector_final(internal) IS 'Final function of deletion_vector_agg.';

CREATE AGGREGATE mastering.deletion_vector_agg(row_no int4) (
    SFUNC = mastering.deletion_vector_add, STYPE = internal, FINALFUNC = mastering.deletion_vector_final
);
COMMENT ON AGGREGATE mastering.deletion_vector_agg(int4) IS 'A Roaring bitmap, in the portable format, of row numbers.';

CREATE FUNCTION mastering.deletion_vector_union(a bytea, b bytea) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_union';
COMMENT ON FUNCTION mastering.deletion_vector_union(bytea, bytea) IS 'The rows that either vector removes.';

CREATE FUNCTION mastering.deletion_vector_count(vector bytea) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_count';
COMMENT ON FUNCTION mastering.deletion_vector_count(bytea) IS 'How many rows the vector removes.';

CREATE FUNCTION mastering.announce_head(anchor text) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_announce_head';
COMMENT ON FUNCTION mastering.announce_head(text) IS 'Tells all backends that the head that belongs to an anchor has changed; called right after the change.';

-- ---- tables ---------------------------------------------------------------------------------------------------

CREATE SEQUENCE mastering.store_id AS int;
CREATE TABLE mastering.store (
    store_id    int PRIMARY KEY DEFAULT nextval('mastering.store_id'),
    kind        text NOT NULL CHECK (kind IN ('source', 'records', 'members', 'golden', 'lineage', 'history')),
    entity      text NOT NULL,
    source      text NOT NULL DEFAULT '',
    columns     jsonb NOT NULL,
    indexes     jsonb NOT NULL DEFAULT '[]',
    UNIQUE (kind, entity, source, columns)
);
COMMENT ON TABLE mastering.store IS 'One row a store: the table mastering.store_<id>, found by what it holds and by its columns, so that a store''s columns never change.';
COMMENT ON COLUMN mastering.store.columns IS 'Array of {"name", "type"} after #segment and #row.';
COMMENT ON COLUMN mastering.store.indexes IS 'Array of arrays of column names; every segment has these indexes.';

CREATE SEQUENCE mastering.segment_id AS int;
CREATE TABLE mastering.segment (
    segment_id  int PRIMARY KEY,
    store_id    int NOT NULL,
    row_count   bigint NOT NULL,
    hash        text NOT NULL,
    derived_from text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.segment (store_id);
CREATE UNIQUE INDEX ON mastering.segment (derived_from) WHERE derived_from IS NOT NULL;
COMMENT ON TABLE mastering.segment IS 'One row a segment: the table mastering.segment_<id>, a partition of its store, never changed once written.';
COMMENT ON COLUMN mastering.segment.hash IS 'SHA-256 of the rows in the order of their numbers.';
COMMENT ON COLUMN mastering.segment.derived_from IS 'Where the segment is a pure function of others (mapped records): the hash of what it was made from, by which it is found again.';

CREATE TABLE mastering.shell (
    segment_id  int PRIMARY KEY,
    store_id    int NOT NULL
);
COMMENT ON TABLE mastering.shell IS 'Segments that garbage collection has emptied: partitions without rows, to be filled again or dropped.';

CREATE SEQUENCE mastering.deletion_vector_id;
CREATE TABLE mastering.deletion_vector (
    vector_id   bigint PRIMARY KEY DEFAULT nextval('mastering.deletion_vector_id'),
    segment_id  int NOT NULL,
    row_count   bigint NOT NULL,
    hash        text NOT NULL,
    bitmap      bytea NOT NULL,
    UNIQUE (segment_id, hash)
);
COMMENT ON TABLE mastering.deletion_vector IS 'Rows of a segment that a version does not have, as a Roaring bitmap in the portable format; never changed.';

CREATE SEQUENCE mastering.head_generation;
CREATE TABLE mastering.head (
    environment text COLLATE "C" PRIMARY KEY CHECK (octet_length(environment) BETWEEN 1 AND 63),
    generation  bigint NOT NULL DEFAULT nextval('mastering.head_generation'),
    anchor      text NOT NULL,
    versions    jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
COMMENT ON TABLE mastering.head IS 'One row an environment: what its views show now. Read by in_version() below the privilege checks.';
COMMENT ON COLUMN mastering.head.generation IS 'Another one after every change, so that equal generations mean equal rows.';
COMMENT ON COLUMN mastering.head.anchor IS 'Empty relation in this schema whose invalidation announces a new head.';
COMMENT ON COLUMN mastering.head.versions IS 'Relation name -> {"store", "segments", "vectors", "rows", "hash"}; vectors has 0 where a segment has no deletions.';

SELECT pg_catalog.pg_extension_config_dump('mastering.store', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.store_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.segment', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.segment_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.shell', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.deletion_vector', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.deletion_vector_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.head', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.head_generation', '');
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
    EXECUTE format('CREATE TABLE mastering.%I (LIKE mastering.%I, CHECK ("#segment" OPERATOR(mastering.===) %s))',
                   'segment_' || id, 'store_' || store_id, id);
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.begin_segment(int) IS 'Makes the empty table of a new segment and returns its number.';

-- Indexes after the rows are in, statistics, the hash of the content, then ATTACH: the CHECK lets it skip its scan.
CREATE FUNCTION mastering.finish_segment(store_id int, segment_id int, derived_from text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    segment text := format('mastering.%I', 'segment_' || segment_id);
    index_columns jsonb;
    rows bigint;
    content text;
    attached boolean := (SELECT c.relispartition FROM pg_class c WHERE c.oid = segment::regclass);
BEGIN
    FOR index_columns IN SELECT i.value FROM mastering.store s, jsonb_array_elements(s.indexes) i
                          WHERE s.store_id = finish_segment.store_id AND NOT attached LOOP
        EXECUTE format('CREATE INDEX ON %s (%s)', segment,
                       (SELECT string_agg(quote_ident(value), ', ') FROM jsonb_array_elements_text(index_columns)));
    END LOOP;
    EXECUTE format('ANALYZE %s', segment);
    EXECUTE format('SELECT count(*), mastering.rows_hash(s ORDER BY s."#row") FROM %s s', segment) INTO rows, content;
    IF NOT attached THEN
        EXECUTE format('ALTER TABLE mastering.%I ATTACH PARTITION %s FOR VALUES IN (%s)', 'store_' || store_id, segment, segment_id);
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
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT encode(sha256(convert_to(content, 'UTF8')), 'hex') $$;
COMMENT ON FUNCTION mastering.text_hash(text) IS 'SHA-256 of a text in UTF-8, as hexadecimal digits.';

CREATE FUNCTION mastering.json_hash(content jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT mastering.text_hash(content::text) $$;
COMMENT ON FUNCTION mastering.json_hash(jsonb) IS 'Hash of a document; the text of jsonb has one order of keys and one way to write each value.';

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
-- 52_catalog.sql: the catalog of environments. Names everywhere, no OIDs: it survives a dump and a restore. No foreign
-- keys: a parallel restore fills the tables of an extension in any order.

CREATE TABLE mastering.environment (
    name          text COLLATE "C" PRIMARY KEY,
    promotes_from text COLLATE "C",
    owner         text NOT NULL,
    created_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mastering.environment IS 'The stages. The SQL text in an environment''s artifacts runs with the rights of its owner.';

CREATE TABLE mastering.configuration (
    environment text COLLATE "C" PRIMARY KEY,
    tree        jsonb NOT NULL DEFAULT '{}',
    bindings    jsonb NOT NULL DEFAULT '{}',
    data        jsonb NOT NULL DEFAULT '{}',
    snapshot    text,
    changed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE mastering.configuration IS 'What an environment is made of, beside what its views show (mastering.head).';
COMMENT ON COLUMN mastering.configuration.tree IS 'Path of an artifact -> its hash.';
COMMENT ON COLUMN mastering.configuration.bindings IS 'entity/source -> relation; the environment''s own, not promoted over an existing one.';
COMMENT ON COLUMN mastering.configuration.data IS 'entity/source -> version of the loaded rows.';
COMMENT ON COLUMN mastering.configuration.snapshot IS 'The last snapshot taken or promoted.';

CREATE TABLE mastering.artifact (
    hash    text PRIMARY KEY,
    content jsonb NOT NULL,
    CHECK (hash = mastering.json_hash(content))
);
COMMENT ON TABLE mastering.artifact IS 'Documents under the hash of their content.';

CREATE TABLE mastering.data_version (
    store_id int NOT NULL,
    content  text NOT NULL,
    version  jsonb NOT NULL,
    PRIMARY KEY (store_id, content)
);
COMMENT ON TABLE mastering.data_version IS 'Loaded data by content, so that what one environment has loaded another does not write again.';

CREATE SEQUENCE mastering.cluster_id;
COMMENT ON SEQUENCE mastering.cluster_id IS 'Numbers of clusters, over all environments: an id never means two things.';

CREATE TABLE mastering.output (
    output_key text PRIMARY KEY,
    run_key    text NOT NULL,
    golden_key text NOT NULL,
    entity     text NOT NULL,
    versions   jsonb NOT NULL,
    counters   jsonb NOT NULL,
    made_in    text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.output (run_key, golden_key);
COMMENT ON TABLE mastering.output IS 'Runs by content. run_key: what decides the partition into clusters; output_key: that, the ids it started from and the survivorship rules.';

CREATE TABLE mastering.snapshot (
    hash        text PRIMARY KEY,
    environment text COLLATE "C" NOT NULL,
    tree        jsonb NOT NULL,
    bindings    jsonb NOT NULL,
    data        jsonb NOT NULL,
    versions    jsonb NOT NULL,
    parents     text[] NOT NULL,
    message     text,
    tag         text,
    author      text NOT NULL,
    created_at  timestamptz NOT NULL,
    undoes      text
);
CREATE UNIQUE INDEX ON mastering.snapshot (environment, tag) WHERE tag IS NOT NULL;
CREATE INDEX ON mastering.snapshot (environment, created_at);
COMMENT ON TABLE mastering.snapshot IS 'Immutable states of environments; the hash covers all of a state and its parents.';
COMMENT ON COLUMN mastering.snapshot.parents IS 'What this state was made of: the one before it in its environment first, then those that were merged into it.';
COMMENT ON COLUMN mastering.snapshot.undoes IS 'The state that a rollback or a restore left for this one: history, but no ancestor in a merge.';

CREATE TABLE mastering.side_snapshot (
    hash        text PRIMARY KEY,
    environment text COLLATE "C" NOT NULL
);
CREATE INDEX ON mastering.side_snapshot (environment);
COMMENT ON TABLE mastering.side_snapshot IS 'Snapshots that others took of an environment, to merge or copy it, without taking part in its writing; its own next one has them as parents.';

CREATE TABLE mastering.fork (
    environment text COLLATE "C" PRIMARY KEY,
    source      text COLLATE "C" NOT NULL,
    base        text NOT NULL,
    expires_at  timestamptz,
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.fork (source);
COMMENT ON TABLE mastering.fork IS 'Environments that are copies of another; nobody may read one who may not read what it is a copy of. base: the snapshot that it began as.';

CREATE TABLE mastering.snapshot_schema (
    schema_name text COLLATE "C" PRIMARY KEY,
    environment text COLLATE "C" NOT NULL,
    snapshot    text NOT NULL,
    reader      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.snapshot_schema (environment);
COMMENT ON TABLE mastering.snapshot_schema IS 'Schemas of views on snapshots. They are dropped like any schema, so a row may be left of one that is no more.';

CREATE TABLE mastering.left_out (
    source text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    path   text NOT NULL,
    base   text,
    PRIMARY KEY (source, target, path)
);
COMMENT ON TABLE mastering.left_out IS 'Changes that a promotion left for later. base: what the artifact was when source and target last agreed on it.';

CREATE SEQUENCE mastering.release_id;
CREATE TABLE mastering.release (
    release_id      bigint PRIMARY KEY DEFAULT nextval('mastering.release_id'),
    kind            text NOT NULL CHECK (kind IN ('promotion', 'rollback', 'restore')),
    source          text,
    target          text NOT NULL,
    state           text NOT NULL CHECK (state IN ('proposed', 'prepared', 'promoted', 'failed', 'rolled back', 'replaced')),
    message         text,
    author          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    source_tree     jsonb,
    base_tree       jsonb,
    proposal        jsonb NOT NULL DEFAULT '{}',
    proposal_hash   text,
    snapshot_before text,
    snapshot_after  text,
    error           jsonb
);
CREATE INDEX ON mastering.release (target, state, release_id);
COMMENT ON TABLE mastering.release IS 'Promotions, rollbacks and restores, the failed ones too. replaced: a restore put another state in the place of what it had brought.';

CREATE SEQUENCE mastering.check_result_id;
CREATE TABLE mastering.check_result (
    result_id   bigint PRIMARY KEY DEFAULT nextval('mastering.check_result_id'),
    environment text COLLATE "C" NOT NULL,
    release_id  bigint,
    entity      text NOT NULL,
    check_name  text NOT NULL,
    stage       text NOT NULL,
    severity    text NOT NULL,
    passed      boolean NOT NULL,
    row_count   bigint,
    sample      jsonb,
    error       text,
    state_key   text NOT NULL,
    checked_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.check_result (state_key) WHERE passed;
CREATE INDEX ON mastering.check_result (environment, checked_at);
COMMENT ON TABLE mastering.check_result IS 'What each check found; state_key: hash of the check and of all that it could read.';

CREATE TABLE mastering.space_change (
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO mastering.space_change DEFAULT VALUES;
COMMENT ON TABLE mastering.space_change IS 'One row, changed whenever something stored was removed, so that transactions with an older snapshot can tell.';

CREATE TABLE mastering.role_map (
    environment text COLLATE "C" NOT NULL,
    role        text NOT NULL CHECK (role IN ('admin', 'author', 'curator', 'reviewer', 'consumer', 'loader')),
    grantee     text NOT NULL,
    PRIMARY KEY (environment, role, grantee)
);
COMMENT ON TABLE mastering.role_map IS 'Which PostgreSQL roles have which role in an environment.';

CREATE TABLE mastering.environment_view (
    environment text COLLATE "C" NOT NULL,
    view_name   text NOT NULL,
    definition  text NOT NULL,
    PRIMARY KEY (environment, view_name)
);
COMMENT ON TABLE mastering.environment_view IS 'The views of an environment as they were made, so that one is replaced when its columns change and never otherwise.';

-- ---- the audit log ---------------------------------------------------------------------------------------------

CREATE SEQUENCE mastering.audit_pending_id;
CREATE TABLE mastering.audit_pending (
    pending_id   bigint PRIMARY KEY DEFAULT nextval('mastering.audit_pending_id'),
    environment  text NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_role text NOT NULL DEFAULT session_user,
    role         text NOT NULL,
    client       text DEFAULT pg_catalog.host(pg_catalog.inet_client_addr()),
    action       text NOT NULL,
    detail       jsonb NOT NULL
);
COMMENT ON TABLE mastering.audit_pending IS 'Entries of the running transaction; at its end they join the chain of their environment. Empty otherwise.';

CREATE TABLE mastering.audit_entry (
    environment   text COLLATE "C" NOT NULL,
    seq           bigint NOT NULL,
    at            timestamptz NOT NULL,
    session_role  text NOT NULL,
    role          text NOT NULL,
    client        text,
    action        text NOT NULL,
    detail        jsonb NOT NULL,
    previous_hash text NOT NULL,
    hash          text NOT NULL,
    PRIMARY KEY (environment, seq)
);
COMMENT ON TABLE mastering.audit_entry IS 'Append-only; each entry''s hash covers the entry and the hash before it, one chain an environment.';

CREATE FUNCTION mastering.audit_hash(e mastering.audit_entry) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.json_hash(jsonb_build_object('environment', e.environment, 'seq', e.seq, 'at', extract(epoch FROM e.at),
        'session_role', e.session_role, 'role', e.role, 'client', e.client, 'action', e.action, 'detail', e.detail,
        'previous_hash', e.previous_hash))
$$;
COMMENT ON FUNCTION mastering.audit_hash(mastering.audit_entry) IS 'The hash that an entry of the audit log must have.';

-- Deferred to the end of the transaction, so that a long one does not hold the chain: only from here to the commit.
CREATE FUNCTION mastering.chain_audit_entry() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry mastering.audit_entry;
    last mastering.audit_entry;
BEGIN
    DELETE FROM mastering.audit_pending p WHERE p.pending_id = NEW.pending_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('mastering.audit'), hashtext(NEW.environment));
    SELECT * INTO last FROM mastering.audit_entry a WHERE a.environment = NEW.environment ORDER BY a.seq DESC LIMIT 1;
    entry.environment := NEW.environment;
    entry.seq := coalesce(last.seq, 0) + 1;
    entry.at := NEW.at;
    entry.session_role := NEW.session_role;
    entry.role := NEW.role;
    entry.client := NEW.client;
    entry.action := NEW.action;
    entry.detail := NEW.detail;
    entry.previous_hash := coalesce(last.hash, '');
    entry.hash := mastering.audit_hash(entry);
    BEGIN
        INSERT INTO mastering.audit_entry SELECT entry.*;
    EXCEPTION WHEN unique_violation THEN    -- a transaction that keeps its snapshot does not see the end of the chain
        RAISE EXCEPTION 'could not serialize access due to concurrent entries in the log of environment "%"', NEW.environment USING ERRCODE = '40001';
    END;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.chain_audit_entry() IS 'Trigger: moves an entry from audit_pending to the end of its environment''s chain.';
CREATE CONSTRAINT TRIGGER chain AFTER INSERT ON mastering.audit_pending
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mastering.chain_audit_entry();

CREATE FUNCTION mastering.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%.% can only be appended to', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = '42501';
END
$$;
COMMENT ON FUNCTION mastering.refuse_change() IS 'Trigger of tables that are append-only.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mastering.audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION mastering.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON mastering.snapshot
    FOR EACH STATEMENT EXECUTE FUNCTION mastering.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON mastering.artifact
    FOR EACH STATEMENT EXECUTE FUNCTION mastering.refuse_change();

SELECT pg_catalog.pg_extension_config_dump('mastering.environment', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.configuration', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.artifact', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.data_version', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.cluster_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.output', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.snapshot', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.side_snapshot', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.fork', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.snapshot_schema', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.left_out', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.release', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.release_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.check_result', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.check_result_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.role_map', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.environment_view', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.audit_pending_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.audit_entry', '');
-- 53_access.sql: who calls, what they may do, and what the log says about it.
--
-- A public function of this layer is declared in C (mastering_guard) and stands before a do_ function of the same
-- arguments, which runs with the rights of the extension's owner and asks caller() who called; see
-- src/storage/guard.c. The do_ functions and everything internal are executable by the owner only (79_grants.sql).

CREATE FUNCTION mastering.caller() RETURNS name
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'mastering_caller';
COMMENT ON FUNCTION mastering.caller() IS 'The role that called the environment function that is running.';

CREATE FUNCTION mastering.query_as(role name, query text, search_path text, trusted boolean) RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 100000 AS 'MODULE_PATHNAME', 'mastering_query_as';
COMMENT ON FUNCTION mastering.query_as(name, text, text, boolean) IS 'The rows of a SELECT run with the rights of a role, read-only; volatile functions are refused unless the text is our own (trusted).';

CREATE FUNCTION mastering.query_dependencies(role name, query text, search_path text, OUT kind text, OUT object oid) RETURNS SETOF record
    LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_query_dependencies';
COMMENT ON FUNCTION mastering.query_dependencies(name, text, text) IS 'What a query rests on, analyzed with the rights of a role: a row for each relation it names, for each function that is not immutable, and one of kind session where it asks who or when.';

-- Stable functions of PostgreSQL's own that look at nothing but their arguments and at settings that are pinned
-- wherever an artifact's text runs: the input and output of types, operators, casts, and these by name.
CREATE FUNCTION mastering.is_settled(function_oid oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_proc p WHERE p.oid = function_oid AND p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile = 's'
                      AND (EXISTS (SELECT FROM pg_type t WHERE function_oid IN (t.typinput, t.typoutput)) OR EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = function_oid)
                           OR EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = function_oid)
                           OR p.proname IN ('to_char', 'to_date', 'to_timestamp', 'to_number', 'concat', 'concat_ws', 'format', 'date_trunc', 'date_part', 'extract', 'timezone',
                                            'array_to_string', 'string_to_array', 'array_to_json', 'row_to_json', 'to_json', 'to_jsonb', 'json_build_object', 'jsonb_build_object',
                                            'json_build_array', 'jsonb_build_array', 'json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg', 'count', 'quote_literal', 'quote_nullable')))
$$;
COMMENT ON FUNCTION mastering.is_settled(oid) IS 'Whether a stable function gives one result for one argument, whoever asks and whenever.';

-- Whether the result of a text hangs on nothing but the views of one schema and on what is written in it. The owner of an
-- environment is part of the key of what is made by any other text, so that nobody gets what another was allowed to read.
CREATE FUNCTION mastering.is_reproducible(role name, query text, search_path text, schema_name text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM mastering.query_dependencies(role, query, search_path) d
                        WHERE CASE d.kind WHEN 'relation' THEN NOT EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = schema_name
                                                                            AND to_regclass(format('%I.%I', v.environment, v.view_name)) = d.object)
                                          WHEN 'function' THEN NOT mastering.is_settled(d.object)
                                          ELSE true END);
EXCEPTION WHEN OTHERS THEN    -- whoever runs it will say what is wrong with it
    RETURN false;
END
$$;
COMMENT ON FUNCTION mastering.is_reproducible(name, text, text, text) IS 'Whether a query gives one result on one state of a schema''s views.';

-- In a fork nobody may do anything who may not read what it is a copy of.
CREATE FUNCTION mastering.role_may(role_name name, environment text, roles text[], origin_roles text[] DEFAULT '{author,curator,reviewer,loader}') RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_name AND r.rolsuper)
        OR (EXISTS (SELECT FROM mastering.environment e JOIN pg_roles r ON r.rolname = e.owner
                     WHERE e.name = role_may.environment AND pg_has_role(role_name, r.oid, 'USAGE'))
            OR EXISTS (SELECT FROM mastering.role_map m JOIN pg_roles r ON r.rolname = m.grantee
                        WHERE m.environment = role_may.environment AND (m.role = ANY (roles) OR m.role = 'admin')
                          AND pg_has_role(role_name, r.oid, 'USAGE')))
       AND NOT EXISTS (
            WITH RECURSIVE origin (name) AS (
                SELECT f.source FROM mastering.fork f WHERE f.environment = role_may.environment
                UNION SELECT f.source FROM origin o JOIN mastering.fork f ON f.environment = o.name)
            SELECT FROM origin o
             WHERE NOT EXISTS (SELECT FROM mastering.environment e JOIN pg_roles r ON r.rolname = e.owner
                                WHERE e.name = o.name AND pg_has_role(role_name, r.oid, 'USAGE'))
               AND NOT EXISTS (SELECT FROM mastering.role_map m JOIN pg_roles r ON r.rolname = m.grantee
                                WHERE m.environment = o.name AND (m.role = ANY (origin_roles) OR m.role = 'admin')
                                  AND pg_has_role(role_name, r.oid, 'USAGE')))
$$;
COMMENT ON FUNCTION mastering.role_may(name, text, text[], text[]) IS 'Whether a role has one of these roles in an environment, and where that is a fork, one of the others in all that it is a copy of; owners, admins and superusers have all.';

CREATE FUNCTION mastering.may(environment text, VARIADIC roles text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.role_may(mastering.caller(), environment, roles) $$;
COMMENT ON FUNCTION mastering.may(text, text[]) IS 'Whether the caller has one of these roles in an environment; its owner, its admins and superusers have all.';

CREATE FUNCTION mastering.require(environment text, VARIADIC roles text[]) RETURNS mastering.environment
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit mastering.environment;
BEGIN
    SELECT * INTO hit FROM mastering.environment e WHERE e.name = environment;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" does not exist', environment
            USING ERRCODE = '42704', HINT = 'SELECT name FROM mastering.environments lists those that do.';
    END IF;
    IF NOT mastering.may(environment, VARIADIC roles) THEN
        RAISE EXCEPTION 'permission denied for environment "%"', environment
            USING ERRCODE = '42501',
                  DETAIL = format('Role "%s" is none of: %s.', mastering.caller(),
                                  array_to_string(ARRAY(SELECT DISTINCT r FROM unnest(roles || 'admin'::text) r ORDER BY r), ', ')),
                  HINT = format('An admin of it can call: SELECT mastering.grant_role(%L, %L, %L)', environment, roles[1], mastering.caller());
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.require(text, text[]) IS 'The environment, if the caller has one of these roles in it; an error otherwise.';

-- Text that a non-superuser writes must not come to run as a superuser.
CREATE FUNCTION mastering.require_author(environment text) RETURNS mastering.environment
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit mastering.environment := mastering.require(environment, 'author');
BEGIN
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = hit.owner AND r.rolsuper)
       AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper) THEN
        RAISE EXCEPTION 'environment "%" belongs to a superuser, so only a superuser may write SQL for it', environment
            USING ERRCODE = '42501', DETAIL = format('The SQL text of its artifacts would run as "%s".', hit.owner),
                  HINT = format('Let it belong to another role: SELECT mastering.alter_environment(%L, owner => ...)', environment);
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.require_author(text) IS 'The environment, if the caller may write artifacts whose SQL text runs as its owner.';

CREATE FUNCTION mastering.audit(environment text, action text, detail jsonb) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO mastering.audit_pending (environment, role, action, detail)
    VALUES (environment, mastering.caller(), action, detail)
$$;
COMMENT ON FUNCTION mastering.audit(text, text, jsonb) IS 'Adds an entry to an environment''s log at the end of the transaction.';

-- Whoever writes holds what it finds in the catalog against garbage collection, which waits for nobody and is short.
CREATE FUNCTION mastering.hold_space() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '10 s';
BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared(hashtext('mastering.space'), 0) LOOP
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'space is being freed by another session'
                USING ERRCODE = '55P03', HINT = 'Try again when gc or erase has finished; pg_locks shows its session as the holder of an advisory lock.';
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
    -- A snapshot from before a collection would show what is gone.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM mastering.space_change FOR SHARE;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.hold_space() IS 'Keeps garbage collection away to the end of the transaction; 40001 where the transaction''s snapshot is older than the last one.';

-- Writers of one environment take turns. Whoever finds another at work does not wait in the dark.
CREATE FUNCTION mastering.lock_environment(environment text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.hold_space();
    IF NOT pg_try_advisory_xact_lock(hashtext('mastering.environment'), hashtext(environment)) THEN
        RAISE EXCEPTION 'environment "%" is being changed by another session', environment
            USING ERRCODE = '55P03', HINT = 'Try again when that session has finished; pg_locks shows it as the holder of an advisory lock.';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.lock_environment(text) IS 'Takes the environment''s lock to the end of the transaction, or raises 55P03.';

CREATE FUNCTION mastering.configuration_of(environment text) RETURNS mastering.configuration
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c FROM mastering.configuration c WHERE c.environment = configuration_of.environment
$$;
COMMENT ON FUNCTION mastering.configuration_of(text) IS 'The row of an environment''s configuration.';

CREATE FUNCTION mastering.path(VARIADIC steps text[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(replace(replace(s, '~', '~0'), '/', '~1'), '/' ORDER BY n) FROM unnest(steps) WITH ORDINALITY u (s, n)
$$;
COMMENT ON FUNCTION mastering.path(text[]) IS 'A path of the tree from its steps, / and ~ in a step written ~1 and ~0.';

CREATE FUNCTION mastering.step(path text, n int) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT replace(replace(split_part(path, '/', n), '~1', '/'), '~0', '~')
$$;
COMMENT ON FUNCTION mastering.step(text, int) IS 'The n-th step of a path.';

CREATE FUNCTION mastering.artifact_at(tree jsonb, path text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.content FROM mastering.artifact a WHERE a.hash = tree ->> path
$$;
COMMENT ON FUNCTION mastering.artifact_at(jsonb, text) IS 'The document at a path of a tree; NULL where there is none.';

CREATE FUNCTION mastering.set_artifact(environment text, path text, content jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_hash text := mastering.json_hash(content);
    old_hash text;
BEGIN
    PERFORM mastering.lock_environment(environment);
    SELECT c.tree ->> path INTO old_hash FROM mastering.configuration c WHERE c.environment = set_artifact.environment;
    IF old_hash IS NOT DISTINCT FROM new_hash THEN
        RETURN new_hash;
    END IF;
    IF content IS NOT NULL THEN
        INSERT INTO mastering.artifact (hash, content) VALUES (new_hash, content) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE mastering.configuration c
       SET tree = CASE WHEN content IS NULL THEN c.tree - path ELSE c.tree || jsonb_build_object(path, new_hash) END, changed_at = now()
     WHERE c.environment = set_artifact.environment;
    PERFORM mastering.audit(environment, 'configure', jsonb_build_object('path', path, 'before', old_hash, 'after', new_hash));
    RETURN new_hash;
END
$$;
COMMENT ON FUNCTION mastering.set_artifact(text, text, jsonb) IS 'Puts a document at a path of an environment''s tree, or removes it (NULL); logged.';
-- 54_environment.sql: environments and the roles in them.

CREATE FUNCTION mastering.do_create_environment(new_name text, from_name text, owner_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner name := coalesce(owner_name, mastering.caller());
BEGIN
    IF NOT has_database_privilege(mastering.caller(), current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create an environment'
            USING ERRCODE = '42501', DETAIL = format('Role "%s" may not create schemas in this database.', mastering.caller());
    END IF;
    IF new_name IS NULL OR new_name = '' OR octet_length(new_name) > 58 OR new_name ~ '[@~#/]' OR new_name ~ '_next$' OR new_name ~ '^pg_' THEN
        RAISE EXCEPTION 'invalid name of an environment: "%"', new_name
            USING ERRCODE = '42602', DETAIL = 'It has 1 to 58 bytes, none of @ ~ # /, does not begin with pg_ and does not end in _next.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = owner) THEN
        RAISE EXCEPTION 'role "%" does not exist', owner USING ERRCODE = '42704';
    END IF;
    IF NOT pg_has_role(mastering.caller(), owner, 'MEMBER') THEN
        RAISE EXCEPTION 'role "%" is not a member of role "%"', mastering.caller(), owner USING ERRCODE = '42501';
    END IF;
    IF from_name IS NOT NULL THEN
        PERFORM mastering.require(from_name, 'author', 'curator', 'reviewer', 'loader');
    END IF;
    INSERT INTO mastering.environment (name, promotes_from, owner, created_by) VALUES (new_name, from_name, owner, mastering.caller());
    INSERT INTO mastering.configuration (environment) VALUES (new_name);
    PERFORM mastering.create_head(new_name, 'anchor_' || left(mastering.text_hash(new_name), 32));
    PERFORM mastering.create_head(new_name || '_next', 'anchor_' || left(mastering.text_hash(new_name || '_next'), 32));
    EXECUTE format('CREATE SCHEMA %I', new_name);
    EXECUTE format('CREATE SCHEMA %I', new_name || '_next');
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', new_name, 'Environment of the extension mastering');
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', new_name || '_next', 'What environment ' || new_name || ' is going to be: runs and releases in preparation');
    PERFORM mastering.apply_grants(new_name);
    PERFORM mastering.audit(new_name, 'create environment', jsonb_build_object('promotes_from', from_name, 'owner', owner));
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'environment "%" already exists', new_name USING ERRCODE = '42710';
END
$$;
COMMENT ON FUNCTION mastering.do_create_environment(text, text, name) IS 'Behind create_environment.';

CREATE FUNCTION mastering.create_environment(name text, promotes_from text DEFAULT NULL, owner name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.create_environment(text, text, name) IS 'Makes a stage: its schema, its head, its owner (the caller where none is given). promotes_from: the stage that changes come from.';

CREATE FUNCTION mastering.do_alter_environment(env_name text, owner_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_owner text;
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    IF owner_name IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = owner_name) THEN
        RAISE EXCEPTION 'role "%" does not exist', owner_name USING ERRCODE = '42704';
    END IF;
    IF NOT pg_has_role(mastering.caller(), owner_name, 'MEMBER') THEN
        RAISE EXCEPTION 'role "%" is not a member of role "%"', mastering.caller(), owner_name USING ERRCODE = '42501';
    END IF;
    PERFORM mastering.require_origin_reader(env_name, owner_name, true);
    PERFORM mastering.lock_environment(env_name);
    SELECT e.owner INTO old_owner FROM mastering.environment e WHERE e.name = env_name;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = old_owner) THEN    -- the role map's grants come back below
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I, %I FROM %I', env_name, env_name || '_next', old_owner);
        EXECUTE format('REVOKE USAGE ON SCHEMA %I, %I FROM %I', env_name, env_name || '_next', old_owner);
    END IF;
    UPDATE mastering.environment e SET owner = owner_name WHERE e.name = env_name;
    PERFORM mastering.apply_grants(env_name);
    PERFORM mastering.revoke_from_copies(env_name);
    PERFORM mastering.audit(env_name, 'alter environment', jsonb_build_object('owner', owner_name));
END
$$;
COMMENT ON FUNCTION mastering.do_alter_environment(text, name) IS 'Behind alter_environment.';

CREATE FUNCTION mastering.alter_environment(env text, owner name) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.alter_environment(text, name) IS 'Gives an environment another owner: the role whose rights the SQL text of its artifacts runs with.';

CREATE FUNCTION mastering.drop_environment_now(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    follower text;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT e.name INTO follower FROM mastering.environment e WHERE e.promotes_from = env_name LIMIT 1;
    IF FOUND THEN
        IF EXISTS (SELECT FROM mastering.fork f WHERE f.environment = follower) THEN
            RAISE EXCEPTION 'environment "%" cannot be dropped because "%" is a fork of it', env_name, follower
                USING ERRCODE = '2BP01', HINT = format('SELECT name, owner, expires_at FROM mastering.forks WHERE source = %L', env_name);
        END IF;
        RAISE EXCEPTION 'environment "%" cannot be dropped because "%" is promoted from it', env_name, follower USING ERRCODE = '2BP01';
    END IF;
    EXECUTE format('DROP SCHEMA %I CASCADE', env_name || '_next');
    -- Only what the extension made in the schema goes without a word; what depends on it or was added stops it.
    PERFORM mastering.drop_views(env_name);
    EXECUTE format('DROP SCHEMA %I RESTRICT', env_name);
    EXECUTE (SELECT string_agg(format('DROP TABLE mastering.%I', h.anchor), ';') FROM mastering.head h WHERE h.environment IN (env_name, env_name || '_next'));
    DELETE FROM mastering.head h WHERE h.environment IN (env_name, env_name || '_next');
    DELETE FROM mastering.environment_view v WHERE v.environment IN (env_name, env_name || '_next');
    DELETE FROM mastering.role_map m WHERE m.environment = env_name;
    DELETE FROM mastering.fork f WHERE f.environment = env_name;
    DELETE FROM mastering.left_out l WHERE env_name IN (l.source, l.target);
    DELETE FROM mastering.side_snapshot s WHERE s.environment = env_name;
    DELETE FROM mastering.curation c WHERE c.environment = env_name;
    DELETE FROM mastering.configuration c WHERE c.environment = env_name;
    DELETE FROM mastering.environment e WHERE e.name = env_name;
    PERFORM mastering.audit(env_name, 'drop environment', '{}');
END
$$;
COMMENT ON FUNCTION mastering.drop_environment_now(text) IS 'Drops an environment; whoever calls it has checked who asks.';

CREATE FUNCTION mastering.do_drop_environment(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    PERFORM mastering.drop_environment_now(env_name);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_environment(text) IS 'Behind drop_environment.';

CREATE FUNCTION mastering.drop_environment(env text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_environment(text) IS 'Drops an environment and its views; refused where something depends on them. Its snapshots and its log stay.';

-- Consumers read golden records; the others everything of their environment, and what it is going to be.
CREATE FUNCTION mastering.apply_grants(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reader record;
    target record;
BEGIN
    FOR reader IN SELECT r.rolname AS role, bool_or(m.role <> 'consumer') AS wide
                    FROM (SELECT m.grantee, m.role FROM mastering.role_map m WHERE m.environment = env_name
                          UNION ALL SELECT e.owner, 'admin' FROM mastering.environment e WHERE e.name = env_name) m
                    JOIN pg_roles r ON r.rolname = m.grantee GROUP BY r.rolname LOOP
        CONTINUE WHEN NOT mastering.reads_origin(env_name, reader.role, reader.wide);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', env_name, reader.role);
        IF reader.wide THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', env_name || '_next', reader.role);
        END IF;
        FOR target IN SELECT v.environment, v.view_name FROM mastering.environment_view v
                       WHERE v.environment IN (env_name, env_name || '_next')
                         AND (reader.wide OR v.environment = env_name AND v.view_name !~ '_(records|members|lineage|pairs|history)$') LOOP
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', target.environment, target.view_name, reader.role);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.apply_grants(text) IS 'Grants the views of an environment by its role map.';

CREATE FUNCTION mastering.do_grant_role(env_name text, role_name text, grantee_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    IF role_name IS NULL OR role_name NOT IN ('admin', 'author', 'curator', 'reviewer', 'consumer', 'loader') THEN
        RAISE EXCEPTION 'unknown role of an environment: "%"', role_name
            USING ERRCODE = '22023', HINT = 'The roles are admin, author, curator, reviewer, consumer and loader.';
    END IF;
    IF grantee_name IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grantee_name) THEN
        RAISE EXCEPTION 'role "%" does not exist', grantee_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.require_origin_reader(env_name, grantee_name, role_name <> 'consumer');
    INSERT INTO mastering.role_map (environment, role, grantee) VALUES (env_name, role_name, grantee_name) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM mastering.apply_grants(env_name);
        PERFORM mastering.grant_copies(env_name, grantee_name);
        PERFORM mastering.audit(env_name, 'grant role', jsonb_build_object('role', role_name, 'grantee', grantee_name));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_grant_role(text, text, name) IS 'Behind grant_role.';

CREATE FUNCTION mastering.grant_role(env text, role text, grantee name) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.grant_role(text, text, name) IS 'Gives a PostgreSQL role a role in an environment: admin, author, curator, reviewer, consumer or loader.';

CREATE FUNCTION mastering.do_revoke_role(env_name text, role_name text, grantee_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    DELETE FROM mastering.role_map m WHERE m.environment = env_name AND m.role = role_name AND m.grantee = grantee_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role "%" is not % in environment "%"', grantee_name, role_name, env_name USING ERRCODE = '42704';
    END IF;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grantee_name) THEN
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I, %I FROM %I', env_name, env_name || '_next', grantee_name);
        EXECUTE format('REVOKE USAGE ON SCHEMA %I, %I FROM %I', env_name, env_name || '_next', grantee_name);
    END IF;
    PERFORM mastering.apply_grants(env_name);
    PERFORM mastering.revoke_from_copies(env_name);
    PERFORM mastering.audit(env_name, 'revoke role', jsonb_build_object('role', role_name, 'grantee', grantee_name));
END
$$;
COMMENT ON FUNCTION mastering.do_revoke_role(text, text, name) IS 'Behind revoke_role.';

CREATE FUNCTION mastering.revoke_role(env text, role text, grantee name) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.revoke_role(text, text, name) IS 'Takes a role in an environment away.';
-- 55_entity.sql: what is mastered, from which sources, by which rules. All of it is artifacts in the tree of an
-- environment; only the binding of a source to a relation is the environment's own.

CREATE FUNCTION mastering.require_entity(tree jsonb, env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name));
BEGIN
    IF hit IS NULL THEN
        RAISE EXCEPTION 'entity "%" does not exist in environment "%"', entity_name, env_name
            USING ERRCODE = '42704', HINT = format('SELECT mastering.define_entity(%L, %L, ''{"name": "text", ...}'')', env_name, entity_name);
    END IF;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.require_entity(jsonb, text, text) IS 'The document of an entity, or an error.';

-- Enums, domains, composites and ranges belong to whoever made them and go with DROP TYPE ... CASCADE, and a store's
-- column would go with them: a domain is stored as the type below it, the others as text.
CREATE FUNCTION mastering.storable_type(given oid, modifier int) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type pg_type := (SELECT t FROM pg_type t WHERE t.oid = given);
BEGIN
    IF type.typtype = 'd' THEN
        RETURN mastering.storable_type(type.typbasetype, type.typtypmod);
    ELSIF type.typelem <> 0 AND type.typlen = -1 AND type.typcategory = 'A' THEN
        RETURN replace(mastering.storable_type(type.typelem, modifier), '[]', '') || '[]';
    ELSIF type.typtype IN ('e', 'c') OR (type.typtype IN ('r', 'm') AND type.typnamespace <> 'pg_catalog'::regnamespace) THEN
        RETURN 'text';
    END IF;
    RETURN format_type(given, modifier);
END
$$;
COMMENT ON FUNCTION mastering.storable_type(oid, int) IS 'The type that a store has for values of a type.';

-- The name of a type as format_type writes it, or NULL. Nothing but a name and up to two numbers gets through.
CREATE FUNCTION mastering.type_name(given text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base text := btrim(regexp_replace(given, '\(\s*\d+\s*(,\s*\d+\s*)?\)', ''));
    modifier text := coalesce(substring(given FROM '\(\s*\d+\s*(?:,\s*\d+\s*)?\)'), '');
    hit regtype;
BEGIN
    BEGIN
        hit := to_regtype(base);
        IF to_regtype(given) IS DISTINCT FROM hit THEN
            RETURN NULL;
        END IF;
    EXCEPTION WHEN syntax_error OR undefined_object OR invalid_schema_name OR feature_not_supported THEN
        RETURN NULL;
    END;
    IF hit IS NULL OR EXISTS (SELECT FROM pg_type t WHERE t.oid = hit AND t.typtype = 'p') THEN
        RETURN NULL;
    END IF;
    IF modifier = '' THEN
        RETURN mastering.storable_type(hit, -1);    -- bpchar: 'character' would mean one character
    END IF;
    IF format_type(hit, NULL) NOT IN ('numeric', 'character varying', 'character', 'bit', 'bit varying') THEN
        RETURN NULL;
    END IF;
    RETURN format_type(hit, NULL) || regexp_replace(modifier, '\s', '', 'g');
END
$$;
COMMENT ON FUNCTION mastering.type_name(text) IS 'A type''s canonical name from what a user wrote; NULL where there is no such type.';

CREATE FUNCTION mastering.do_define_entity(env_name text, entity_name text, attribute_types json) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attributes jsonb := '[]';
    attribute record;
    type_text text;
BEGIN
    PERFORM mastering.require_author(env_name);
    IF entity_name IS NULL OR entity_name = '' OR octet_length(entity_name) > 53
       OR entity_name ~ '_(records|members|lineage|pairs|history|input)$' OR entity_name ~ '/' THEN
        RAISE EXCEPTION 'invalid name of an entity: "%"', entity_name
            USING ERRCODE = '42602', DETAIL = 'It has 1 to 53 bytes, no /, and does not end in _records, _members, _lineage, _pairs, _history or _input.';
    END IF;
    IF json_typeof(attribute_types) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the attributes of an entity are an object of names and types'
            USING ERRCODE = '22023', HINT = 'Write {"name": "text", "birth_date": "date"}.';
    END IF;
    FOR attribute IN SELECT a.key, a.value #>> '{}' AS type, json_typeof(a.value) AS kind FROM json_each(attribute_types) a LOOP
        type_text := CASE WHEN attribute.kind = 'string' THEN mastering.type_name(attribute.type) END;
        IF type_text IS NULL THEN
            RAISE EXCEPTION 'attribute "%" has no valid type: %', attribute.key, attribute.type USING ERRCODE = '22023', DETAIL = format('At $.%s.', attribute.key);
        END IF;
        IF attribute.key = '' OR octet_length(attribute.key) > 63 OR attribute.key ~ '^#'
           OR attribute.key IN ('id', 'records', 'sources', 'source', 'record_key', 'cluster_id', 'record_count', 'source_count', 'lineage')
           OR attribute.key IN ('tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid') THEN
            RAISE EXCEPTION 'invalid name of an attribute: "%"', attribute.key
                USING ERRCODE = '42602', DETAIL = 'It has 1 to 63 bytes, does not begin with # and is none of id, records, sources, source, record_key, cluster_id, record_count, source_count, lineage.';
        END IF;
        IF attributes @> jsonb_build_array(jsonb_build_object('name', attribute.key)) THEN
            RAISE EXCEPTION 'attribute "%" is given twice', attribute.key USING ERRCODE = '42701';
        END IF;
        attributes := attributes || jsonb_build_object('name', attribute.key, 'type', type_text);
    END LOOP;
    IF attributes = '[]' THEN
        RAISE EXCEPTION 'entity "%" has no attributes', entity_name USING ERRCODE = '22023';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name), jsonb_build_object('attributes', attributes));
    PERFORM mastering.sync_views(env_name, entity_name);
END
$$;
COMMENT ON FUNCTION mastering.do_define_entity(text, text, json) IS 'Behind define_entity.';

CREATE FUNCTION mastering.define_entity(env text, entity text, attributes json) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.define_entity(text, text, json) IS 'Defines an entity, or its attributes anew: {"name": "text", "birth_date": "date"}. Published views change with the next run.';

-- A qualified relation name, each part quoted. Text that is not one never gets into a query.
CREATE FUNCTION mastering.relation_name(given text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[];
BEGIN
    BEGIN
        parts := parse_ident(given, true);
    EXCEPTION WHEN invalid_parameter_value OR invalid_name THEN
        parts := NULL;
    END;
    IF parts IS NULL OR cardinality(parts) <> 2 THEN
        RAISE EXCEPTION 'invalid name of a relation: "%"', given
            USING ERRCODE = '42602', HINT = 'Write schema.relation, each quoted where SQL needs it.';
    END IF;
    RETURN format('%I.%I', parts[1], parts[2]);
END
$$;
COMMENT ON FUNCTION mastering.relation_name(text) IS 'A relation''s name with its schema, quoted, from what a user wrote.';

CREATE FUNCTION mastering.relation_columns(relation text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', mastering.storable_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum) INTO columns
      FROM pg_attribute a WHERE a.attrelid = to_regclass(relation) AND a.attnum > 0 AND NOT a.attisdropped;
    IF columns IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', relation USING ERRCODE = '42P01';
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(columns) c WHERE c ->> 'name' LIKE '#%') THEN
        RAISE EXCEPTION 'relation % has a column whose name begins with #', relation
            USING ERRCODE = '42602', HINT = 'Such names are reserved; bind a view that renames the column.';
    END IF;
    RETURN columns;
END
$$;
COMMENT ON FUNCTION mastering.relation_columns(text) IS 'Names of a relation''s columns, and the types they are stored as.';

CREATE FUNCTION mastering.key_columns(given text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text;
    parsed text[];
    names text[] := '{}';
BEGIN
    FOR part IN SELECT btrim(p) FROM regexp_split_to_table(given, ',(?=(?:[^"]*"[^"]*")*[^"]*$)') p LOOP
        BEGIN
            parsed := parse_ident(part, true);
        EXCEPTION WHEN invalid_parameter_value OR invalid_name THEN
            parsed := NULL;
        END;
        IF parsed IS NULL OR cardinality(parsed) <> 1 THEN
            RAISE EXCEPTION 'invalid key: "%"', given USING ERRCODE = '42602', HINT = 'A key is one column or several with commas between them, each quoted where SQL needs it.';
        END IF;
        names := names || parsed[1];
    END LOOP;
    RETURN names;
END
$$;
COMMENT ON FUNCTION mastering.key_columns(text) IS 'The columns of a key written as ''id'' or ''company, "No"''.';

CREATE FUNCTION mastering.mapping_list(entity jsonb, mapping jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format(E'CAST((%s\n) AS %s) AS %I', coalesce(mapping ->> (a.value ->> 'name'), 'NULL'), a.value ->> 'type', a.value ->> 'name'),
                      E',\n       ' ORDER BY a.ordinality)
      FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a
$$;
COMMENT ON FUNCTION mastering.mapping_list(jsonb, jsonb) IS 'The select list that maps a source''s columns to an entity''s attributes.';

CREATE FUNCTION mastering.column_list(columns jsonb, types boolean) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(quote_ident(c.value ->> 'name') || CASE WHEN types THEN ' ' || (c.value ->> 'type') ELSE '' END, ', ' ORDER BY c.ordinality)
      FROM jsonb_array_elements(columns) WITH ORDINALITY c
$$;
COMMENT ON FUNCTION mastering.column_list(jsonb, boolean) IS 'Columns as SQL, with their types or without.';

-- What the SQL text of an artifact sees: pg_catalog, its environment's views, and this extension.
CREATE FUNCTION mastering.artifact_path(env_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('pg_catalog, %I, mastering, pg_temp', env_name)
$$;
COMMENT ON FUNCTION mastering.artifact_path(text) IS 'The search_path that an artifact''s SQL text runs with.';

CREATE FUNCTION mastering.do_map_source(env_name text, entity_name text, source_name text, relation text, key_text text, mapping json) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration := mastering.configuration_of(env_name);
    entity jsonb := mastering.require_entity(config.tree, env_name, entity_name);
    qualified text := mastering.relation_name(relation);
    columns jsonb := mastering.relation_columns(qualified);
    key text[] := mastering.key_columns(key_text);
    expressions jsonb := '{}';
    pair record;
BEGIN
    IF source_name IS NULL OR source_name = '' OR octet_length(source_name) > 200 OR source_name ~ '[:/]' THEN
        RAISE EXCEPTION 'invalid name of a source: "%"', source_name USING ERRCODE = '42602', DETAIL = 'It has 1 to 200 bytes and neither : nor /.';
    END IF;
    IF key IS NULL OR NOT columns @> (SELECT jsonb_agg(jsonb_build_object('name', k)) FROM unnest(key) k) THEN
        RAISE EXCEPTION 'relation % does not have all columns of the key %', qualified, key_text USING ERRCODE = '42703';
    END IF;
    IF mapping IS NULL THEN
        SELECT json_object_agg(a ->> 'name', quote_ident(a ->> 'name')) INTO mapping FROM jsonb_array_elements(entity -> 'attributes') a
         WHERE columns @> jsonb_build_array(jsonb_build_object('name', a ->> 'name'));
    END IF;
    IF json_typeof(mapping) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a mapping is an object of attributes and SQL expressions' USING ERRCODE = '22023', HINT = 'Write {"name": "first_name || '' '' || last_name"}.';
    END IF;
    FOR pair IN SELECT m.key, m.value #>> '{}' AS expression, json_typeof(m.value) AS kind FROM json_each(mapping) m LOOP
        IF NOT entity -> 'attributes' @> jsonb_build_array(jsonb_build_object('name', pair.key)) THEN
            RAISE EXCEPTION 'entity "%" has no attribute "%"', entity_name, pair.key USING ERRCODE = '42703', DETAIL = format('At $.%s.', pair.key);
        END IF;
        IF pair.kind <> 'string' THEN
            RAISE EXCEPTION 'the mapping of attribute "%" is not a text with an SQL expression', pair.key USING ERRCODE = '22023', DETAIL = format('At $.%s.', pair.key);
        END IF;
        PERFORM mastering.check_expression(env, qualified, source_name, pair.expression, format('the mapping of attribute "%s"', pair.key));
        expressions := expressions || jsonb_build_object(pair.key, pair.expression);
    END LOOP;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'source', source_name),
                                   jsonb_build_object('key', to_jsonb(key), 'mapping', expressions));
    PERFORM mastering.do_bind_source(env_name, entity_name, source_name, relation);
END
$$;
COMMENT ON FUNCTION mastering.do_map_source(text, text, text, text, text, json) IS 'Behind map_source.';

-- An expression must be one expression: it is parsed alone, as the environment's owner, before it is ever put between others.
CREATE FUNCTION mastering.check_expression(env mastering.environment, relation text, alias text, expression text, what text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    message text;
    code text;
BEGIN
    IF NOT mastering.is_expression(expression) THEN
        RAISE EXCEPTION '% is not one SQL expression without subqueries: %', what, expression
            USING ERRCODE = '42601', HINT = 'What needs other tables goes into a view that the source is bound to.';
    END IF;
    BEGIN
        PERFORM FROM mastering.query_as(env.owner::name, format(E'SELECT ((%s\n) IS NULL) FROM %s AS %I LIMIT 0', expression, relation, alias),
                                        mastering.artifact_path(env.name), false) AS t (value boolean);
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR read_only_sql_transaction THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, code = RETURNED_SQLSTATE;
        RAISE EXCEPTION '% is refused: %', what, message USING ERRCODE = code, DETAIL = format('Expression: %s', expression);
    END;
END
$$;
COMMENT ON FUNCTION mastering.check_expression(mastering.environment, text, text, text, text) IS 'Refuses an expression that does not parse, calls a volatile function or reads what the environment''s owner may not.';

CREATE FUNCTION mastering.is_expression(expression text) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_is_expression';
COMMENT ON FUNCTION mastering.is_expression(text) IS 'Whether a text is one SQL expression without subqueries to the grammar.';

CREATE FUNCTION mastering.map_source(env text, entity text, source text, relation text, key text, mapping json DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.map_source(text, text, text, text, text, json) IS 'Adds a source to an entity: relation and key column(s), and for each attribute an SQL expression over its columns; without a mapping, columns of the same name.';

CREATE FUNCTION mastering.do_bind_source(env_name text, entity_name text, source_name text, relation text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration := mastering.configuration_of(env_name);
    qualified text := mastering.relation_name(relation);
    binding text := mastering.path(entity_name, source_name);
BEGIN
    IF to_regclass(qualified) IS NULL THEN
        RAISE EXCEPTION 'relation % does not exist', qualified USING ERRCODE = '42P01';
    END IF;
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass(qualified) AND c.relpersistence = 't') THEN
        RAISE EXCEPTION 'relation % is temporary', qualified
            USING ERRCODE = '42809', DETAIL = 'It is gone when its session ends, and other sessions see none or another.', HINT = 'Bind a table or view that stays.';
    END IF;
    IF NOT has_any_column_privilege(env.owner::name, to_regclass(qualified), 'SELECT') THEN
        RAISE EXCEPTION 'the owner of environment "%" may not read relation %', env_name, qualified
            USING ERRCODE = '42501', HINT = format('GRANT SELECT ON %s TO %I', qualified, env.owner);
    END IF;
    IF config.bindings ->> binding IS NOT DISTINCT FROM qualified THEN
        RETURN;
    END IF;
    PERFORM mastering.lock_environment(env_name);
    UPDATE mastering.configuration c SET bindings = c.bindings || jsonb_build_object(binding, qualified), changed_at = now() WHERE c.environment = env_name;
    PERFORM mastering.audit(env_name, 'bind source', jsonb_build_object('source', binding, 'before', config.bindings ->> binding, 'after', qualified));
END
$$;
COMMENT ON FUNCTION mastering.do_bind_source(text, text, text, text) IS 'Behind bind_source.';

CREATE FUNCTION mastering.bind_source(env text, entity text, source text, relation text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.bind_source(text, text, text, text) IS 'The relation that an environment loads a source from.';

CREATE FUNCTION mastering.do_drop_source(env_name text, entity_name text, source_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF (mastering.configuration_of(env_name)).tree ->> mastering.path('entity', entity_name, 'source', source_name) IS NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" does not exist in environment "%"', source_name, entity_name, env_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'source', source_name), NULL);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_source(text, text, text) IS 'Behind drop_source.';

CREATE FUNCTION mastering.drop_source(env text, entity text, source text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_source(text, text, text) IS 'Removes a source from an entity; the next run is without its records.';

-- ---- the rules ---------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.set_rules(env_name text, entity_name text, kind text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, kind), content);
END
$$;
COMMENT ON FUNCTION mastering.set_rules(text, text, text, jsonb) IS 'Sets one of an entity''s artifacts.';

CREATE FUNCTION mastering.do_set_blocking(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'blocking is an array of rules' USING ERRCODE = '22023', HINT = 'SELECT mastering.suggest(query) proposes some.';
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'blocking', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_blocking(text, text, jsonb) IS 'Behind set_blocking.';
CREATE FUNCTION mastering.set_blocking(env text, entity text, blocking jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_blocking(text, text, jsonb) IS 'The blocking rules of an entity, as in a specification.';

CREATE FUNCTION mastering.do_set_comparisons(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'comparisons are an array' USING ERRCODE = '22023', HINT = 'SELECT mastering.suggest(query) proposes some.';
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'comparisons', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_comparisons(text, text, jsonb) IS 'Behind set_comparisons.';
CREATE FUNCTION mastering.set_comparisons(env text, entity text, comparisons jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_comparisons(text, text, jsonb) IS 'The comparisons of an entity, as in a specification.';

CREATE FUNCTION mastering.do_set_clustering(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' OR content - '{threshold,link,linkage,one_per_source,normalize}'::text[] <> '{}' THEN
        RAISE EXCEPTION 'clustering is an object of threshold, link, linkage, one_per_source and normalize' USING ERRCODE = '22023', HINT = 'Write {"threshold": 0.95}.';
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'clustering', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_clustering(text, text, jsonb) IS 'Behind set_clustering.';
CREATE FUNCTION mastering.set_clustering(env text, entity text, clustering jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_clustering(text, text, jsonb) IS 'Threshold and kind of linking of an entity: {"threshold": 0.95}.';

CREATE FUNCTION mastering.do_set_survivorship(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'survivorship is an object of rules' USING ERRCODE = '22023', HINT = 'See golden_records: {"default": "most_frequent", "attributes": {"email": "longest"}}.';
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'survivorship', content);
END
$$;
COMMENT ON FUNCTION mastering.do_set_survivorship(text, text, jsonb) IS 'Behind set_survivorship.';
CREATE FUNCTION mastering.set_survivorship(env text, entity text, survivorship jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_survivorship(text, text, jsonb) IS 'The rules by which values survive into the golden record, as in golden_records.';

CREATE FUNCTION mastering.do_set_model(env_name text, entity_name text, content jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(content) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a model is an object' USING ERRCODE = '22023', HINT = 'train_model gives one.';
    END IF;
    PERFORM mastering.set_rules(env_name, entity_name, 'model', jsonb_build_object('model', content, 'spec', NULL));
END
$$;
COMMENT ON FUNCTION mastering.do_set_model(text, text, jsonb) IS 'Behind set_model.';
CREATE FUNCTION mastering.set_model(env text, entity text, model jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_model(text, text, jsonb) IS 'Gives an entity a model trained elsewhere.';
-- 56_views.sql: the views of an environment. A view is made once and stays: data change below it. It is replaced
-- only when the columns of its entity change.

CREATE FUNCTION mastering.record_columns(entity jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(jsonb_build_object('name', '#source', 'type', 'text'), jsonb_build_object('name', '#key', 'type', 'text')) || (entity -> 'attributes')
$$;
COMMENT ON FUNCTION mastering.record_columns(jsonb) IS 'Columns of an entity''s store of records.';

CREATE FUNCTION mastering.golden_columns(entity jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(jsonb_build_object('name', '#cluster', 'type', 'bigint')) || (entity -> 'attributes')
           || jsonb_build_array(jsonb_build_object('name', '#records', 'type', 'bigint'), jsonb_build_object('name', '#sources', 'type', 'bigint'))
$$;
COMMENT ON FUNCTION mastering.golden_columns(jsonb) IS 'Columns of an entity''s store of golden records.';

CREATE FUNCTION mastering.entity_store(kind text, entity_name text, entity jsonb) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE kind
        WHEN 'records' THEN mastering.store_for(kind, entity_name, '', mastering.record_columns(entity), '[["#source", "#key"]]')
        WHEN 'golden' THEN mastering.store_for(kind, entity_name, '', mastering.golden_columns(entity), '[["#cluster"]]')
        WHEN 'members' THEN mastering.store_for(kind, entity_name, '', '[{"name": "#source", "type": "text"}, {"name": "#key", "type": "text"}, {"name": "#cluster", "type": "bigint"}]',
                                                '[["#source", "#key"], ["#cluster"]]')
        WHEN 'lineage' THEN mastering.store_for(kind, entity_name, '', '[{"name": "#cluster", "type": "bigint"}, {"name": "lineage", "type": "jsonb"}]', '[["#cluster"]]')
        WHEN 'history' THEN mastering.store_for(kind, entity_name, '', '[{"name": "#cluster", "type": "bigint"}, {"name": "event", "type": "text"}, {"name": "other_id", "type": "bigint"}, {"name": "records", "type": "bigint"}, {"name": "at", "type": "timestamp with time zone"}]',
                                                '[["#cluster"]]')
    END;
END
$$;
COMMENT ON FUNCTION mastering.entity_store(text, text, jsonb) IS 'The store of a kind for an entity with these attributes.';

-- The name by which in_version() finds a relation of an environment.
CREATE FUNCTION mastering.versioned_name(schema_name text, relation text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT quote_literal(quote_ident(schema_name) || '.' || quote_ident(relation)) $$;
COMMENT ON FUNCTION mastering.versioned_name(text, text) IS 'The first argument of in_version(), as an SQL literal.';

CREATE FUNCTION mastering.view_query(schema_name text, entity_name text, entity jsonb, suffix text, store int, second_store int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s text := format('mastering.%I s', 'store_' || store);
    attributes text := (SELECT string_agg(', ' || format('s.%I', a.value ->> 'name'), '' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a);
    live text := format('mastering.in_version(%s, s."#segment", s."#row")', mastering.versioned_name(schema_name, entity_name || suffix));
BEGIN
    RETURN CASE suffix
        WHEN '' THEN format('SELECT s."#cluster" AS id%s, s."#records" AS records, s."#sources" AS sources FROM %s WHERE %s', attributes, s, live)
        WHEN '_members' THEN format('SELECT s."#source" AS source, s."#key" AS record_key, s."#cluster" AS cluster_id FROM %s WHERE %s', s, live)
        WHEN '_lineage' THEN format('SELECT s."#cluster" AS id, e.key AS attribute, r.value ->> ''source'' AS source, substr(r.value ->> ''record'', strpos(r.value ->> ''record'', '':'') + 1) AS record_key, r.value ->> ''rule'' AS rule, (r.value ->> ''agreeing'')::bigint AS agreeing FROM %s CROSS JOIN LATERAL jsonb_each(s.lineage) e CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(e.value) WHEN ''array'' THEN e.value WHEN ''object'' THEN jsonb_build_array(e.value) ELSE ''[]'' END) r WHERE %s', s, live)
        WHEN '_history' THEN format('SELECT s."#cluster" AS id, s.event, s.other_id, s.records, s.at FROM %s WHERE %s', s, live)
        WHEN '_records' THEN format('SELECT s."#source" AS source, s."#key" AS record_key, m."#cluster" AS cluster_id%s FROM %s LEFT JOIN mastering.%I m ON m."#source" = s."#source" AND m."#key" = s."#key" AND mastering.in_version(%s, m."#segment", m."#row") WHERE %s',
                                    attributes, s, 'store_' || second_store, mastering.versioned_name(schema_name, entity_name || '_members'), live)
        WHEN '_input' THEN format('SELECT s."#source" || '':'' || s."#key" AS id, s."#source" AS source%s FROM %s WHERE mastering.in_version(%s, s."#segment", s."#row")',
                                  attributes, s, mastering.versioned_name(schema_name, entity_name || '_records'))
    END;
END
$$;
COMMENT ON FUNCTION mastering.view_query(text, text, jsonb, text, int, int) IS 'The SELECT behind a view of an environment.';

-- A published view that others may build on keeps the columns that it had: what went away stays as NULL. It is
-- replaced without waiting while anything is locked: a reader in the way costs another attempt, not a pile-up.
CREATE FUNCTION mastering.replace_view(schema_name text, view_name text, query text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    qualified text := format('%I.%I', schema_name, view_name);
    existing regclass := to_regclass(qualified);
    wanted text;
    attempt int := 0;
    patience text := current_setting('lock_timeout');
BEGIN
    IF existing IS NULL THEN
        EXECUTE format('CREATE VIEW %s AS %s', qualified, query);
    ELSE
        EXECUTE format('CREATE TEMP VIEW mastering_wanted AS %s', query);
        SELECT string_agg(CASE WHEN n.attname IS NOT NULL THEN quote_ident(coalesce(o.attname, n.attname))
                               ELSE format('NULL::%s AS %I', format_type(o.atttypid, o.atttypmod), o.attname)
                               END, ', ' ORDER BY o.attnum NULLS LAST, n.attnum)
          INTO wanted
          FROM (SELECT * FROM pg_attribute a WHERE a.attrelid = existing AND a.attnum > 0 AND NOT a.attisdropped) o
          FULL JOIN (SELECT * FROM pg_attribute a WHERE a.attrelid = 'pg_temp.mastering_wanted'::regclass AND a.attnum > 0) n ON n.attname = o.attname;
        DROP VIEW pg_temp.mastering_wanted;
        LOOP
            attempt := attempt + 1;
            BEGIN
                PERFORM set_config('lock_timeout', '100ms', true);
                BEGIN
                    EXECUTE format('CREATE OR REPLACE VIEW %s AS SELECT %s FROM (%s) q', qualified, wanted, query);
                EXCEPTION WHEN invalid_table_definition THEN    -- the type of a column changed
                    EXECUTE format('DROP VIEW %s', qualified);
                    EXECUTE format('CREATE VIEW %s AS %s', qualified, query);
                END;
                PERFORM set_config('lock_timeout', patience, true);
                EXIT;
            EXCEPTION WHEN lock_not_available THEN
                IF attempt >= 20 THEN
                    RAISE EXCEPTION 'view % is in use and its columns have to change', qualified
                        USING ERRCODE = '55P03', HINT = 'Try again when the open transactions that read it have ended.';
                END IF;
                PERFORM pg_sleep(0.05);
            END;
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.replace_view(text, text, text) IS 'Makes a view, or gives an existing one other columns.';

CREATE FUNCTION mastering.sync_view(schema_name text, view_name text, query text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = schema_name AND v.view_name = sync_view.view_name AND v.definition = query)
       AND to_regclass(format('%I.%I', schema_name, view_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM mastering.replace_view(schema_name, view_name, query);
    INSERT INTO mastering.environment_view (environment, view_name, definition) VALUES (schema_name, view_name, query)
    ON CONFLICT ON CONSTRAINT environment_view_pkey DO UPDATE SET definition = EXCLUDED.definition;
    RETURN true;
END
$$;
COMMENT ON FUNCTION mastering.sync_view(text, text, text) IS 'Makes or replaces a view unless it is as wanted already.';

-- With versions, the views show the stores that these lie in; without, those of the entity as it is defined.
CREATE FUNCTION mastering.sync_entity_views(schema_name text, entity_name text, entity jsonb, versions jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed boolean := false;
    kind text;
    stores jsonb := '{}';
BEGIN
    FOREACH kind IN ARRAY ARRAY['records', 'members', 'golden', 'lineage', 'history'] LOOP
        stores := stores || jsonb_build_object(kind, coalesce(
            (versions -> (entity_name || CASE kind WHEN 'golden' THEN '' ELSE '_' || kind END) ->> 'store')::int,
            mastering.entity_store(kind, entity_name, entity)));
    END LOOP;
    FOREACH kind IN ARRAY ARRAY['', '_members', '_lineage', '_history'] LOOP
        changed := mastering.sync_view(schema_name, entity_name || kind, mastering.view_query(schema_name, entity_name, entity, kind,
            (stores ->> CASE kind WHEN '' THEN 'golden' ELSE substr(kind, 2) END)::int)) OR changed;
    END LOOP;
    changed := mastering.sync_view(schema_name, entity_name || '_records', mastering.view_query(schema_name, entity_name, entity, '_records',
        (stores ->> 'records')::int, (stores ->> 'members')::int)) OR changed;
    IF schema_name ~ '_next$' THEN
        changed := mastering.sync_view(schema_name, entity_name || '_input', mastering.view_query(schema_name, entity_name, entity, '_input',
            (stores ->> 'records')::int)) OR changed;
    END IF;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION mastering.sync_entity_views(text, text, jsonb, jsonb) IS 'Brings the views of an entity in one schema to its attributes.';

-- The published views follow what is published; a definition that no run has used yet changes nothing there.
CREATE FUNCTION mastering.sync_views(env_name text, entity_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config mastering.configuration := mastering.configuration_of(env_name);
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name);
    entity jsonb := mastering.artifact_at(config.tree, mastering.path('entity', entity_name));
    published jsonb := mastering.artifact_at(versions -> entity_name -> 'tree', mastering.path('entity', entity_name));
BEGIN
    IF mastering.sync_entity_views(env_name, entity_name, coalesce(published, entity), versions)
       OR mastering.sync_entity_views(env_name || '_next', entity_name, entity, '{}') THEN
        PERFORM mastering.sync_entity_views(env_name || '_next', entity_name, entity, '{}');
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.sync_views(text, text) IS 'Brings the views of an entity up to date in an environment and in what it is going to be.';

CREATE FUNCTION mastering.drop_views(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    views text := (SELECT string_agg(format('%I.%I', v.environment, v.view_name), ', ') FROM mastering.environment_view v WHERE v.environment = env_name);
BEGIN
    IF views IS NOT NULL THEN
        EXECUTE 'DROP VIEW ' || views;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.drop_views(text) IS 'Drops the views of an environment; fails where something depends on them.';
-- 57_load.sql: loading. The rows of a source are read as the environment's owner, compared by key and content with
-- the version the environment has, and only what differs is written.

CREATE FUNCTION mastering.key_expression(key jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE jsonb_array_length(key)
        WHEN 1 THEN format('r.%I::text', key ->> 0)
        ELSE (SELECT format('CASE WHEN %s THEN jsonb_build_array(%s)::text END',
                            string_agg(format('r.%I IS NOT NULL', k.value), ' AND ' ORDER BY k.ordinality),
                            string_agg(format('r.%I::text', k.value), ', ' ORDER BY k.ordinality))
                FROM jsonb_array_elements_text(key) WITH ORDINALITY k)
    END
$$;
COMMENT ON FUNCTION mastering.key_expression(jsonb) IS 'The key of a source''s row r as a text: one column''s, or a JSON array of several.';

CREATE FUNCTION mastering.source_columns(columns jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '[{"name": "#key", "type": "text"}, {"name": "#hash", "type": "uuid"}]'::jsonb || columns
$$;
COMMENT ON FUNCTION mastering.source_columns(jsonb) IS 'Columns of the store of a source with these columns.';

CREATE FUNCTION mastering.load_source(env mastering.environment, entity_name text, source_name text, source jsonb, relation text, current jsonb)
RETURNS TABLE (version jsonb, change text, inserted bigint, updated bigint, deleted bigint, unchanged bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
<<work>>
DECLARE
    columns jsonb := mastering.relation_columns(relation);
    store int := mastering.store_for('source', entity_name, source_name, mastering.source_columns(columns), '[["#key"]]');
    live text;
    deletions jsonb := '{}';
    segment int;
    content text;
    bad jsonb;
    total bigint;
    full_write boolean;
BEGIN
    PERFORM mastering.drop_work_tables();
    -- The key too is made as the owner: its cast to text may be a function of whoever made its type.
    EXECUTE format('CREATE TEMP TABLE mastering_incoming ON COMMIT DROP AS SELECT r."#key", mastering.row_hash(r) AS "#hash", %s FROM mastering.query_as(%L, %L, %L, true) AS r ("#key" text, %s)',
                   (SELECT string_agg(format('r.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c),
                   env.owner, format('SELECT %s, %s FROM %s AS r', mastering.key_expression(source -> 'key'),
                                      (SELECT string_agg(format('CAST(r.%I AS %s)', c.value ->> 'name', c.value ->> 'type'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c), relation),
                   mastering.artifact_path(env.name), mastering.column_list(columns, true));
    PERFORM mastering.leave_out_erased(entity_name, source_name);
    ANALYZE pg_temp.mastering_incoming;
    EXECUTE 'SELECT jsonb_build_array("#key") FROM pg_temp.mastering_incoming GROUP BY "#key" HAVING count(*) > 1 OR "#key" IS NULL ORDER BY "#key" NULLS FIRST LIMIT 1' INTO bad;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'source "%" of entity "%" has %', source_name, entity_name, CASE WHEN bad = '[null]' THEN 'rows without a key' ELSE 'a key twice' END
            USING ERRCODE = CASE WHEN bad = '[null]' THEN '23502' ELSE '23505' END,
                  DETAIL = CASE WHEN bad = '[null]' THEN format('A column of the key %s is null in relation %s.', source -> 'key', relation)
                                ELSE format('Key %s is in relation %s more than once.', bad ->> 0, relation) END;
    END IF;
    EXECUTE 'SELECT count(*), mastering.rows_hash(ROW("#hash") ORDER BY "#hash") FROM pg_temp.mastering_incoming' INTO total, content;
    content := total || ':' || coalesce(content, '') || ':' || left(mastering.json_hash(source -> 'key'), 16);

    IF current IS NOT NULL AND (current ->> 'store')::int = store THEN
        live := format('(SELECT s."#key", s."#hash", s."#segment", s."#row" FROM mastering.%I s WHERE %s)', 'store_' || store, mastering.version_condition(current, 's'));
    ELSE
        live := '(SELECT NULL::text AS "#key", NULL::uuid AS "#hash", NULL::int AS "#segment", NULL::int AS "#row" WHERE false)';
    END IF;
    EXECUTE format('SELECT count(*) FILTER (WHERE o."#key" IS NULL), count(*) FILTER (WHERE o."#hash" <> n."#hash"), count(*) FILTER (WHERE n."#key" IS NULL), count(*) FILTER (WHERE o."#hash" = n."#hash")
                      FROM pg_temp.mastering_incoming n FULL JOIN %s o ON o."#key" = n."#key"', live)
       INTO inserted, updated, deleted, unchanged;
    change := CASE WHEN current IS NULL THEN 'initial'
                   WHEN (current ->> 'store')::int <> store THEN 'reload'
                   WHEN inserted + updated + deleted = 0 THEN 'none'
                   WHEN updated + deleted = 0 THEN 'append'
                   WHEN inserted + updated + deleted > greatest(total, 1) / 2 THEN 'reload'
                   ELSE 'update' END;
    IF change = 'none' THEN
        version := current;
        DROP TABLE pg_temp.mastering_incoming;
        RETURN NEXT;
        RETURN;
    END IF;

    -- What another environment has loaded already is not written again.
    SELECT d.version INTO version FROM mastering.data_version d WHERE d.store_id = store AND d.content = work.content;
    IF version IS NULL THEN
        full_write := change IN ('initial', 'reload');
        IF total > 0 AND (full_write OR inserted + updated > 0) THEN
            segment := mastering.begin_segment(store);
            EXECUTE format('INSERT INTO mastering.%I ("#segment", "#row", "#key", "#hash", %s) SELECT %s, (row_number() OVER ())::int, n."#key", n."#hash", %s FROM pg_temp.mastering_incoming n%s',
                           'segment_' || segment, mastering.column_list(columns, false), segment,
                           (SELECT string_agg(format('n.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c),
                           CASE WHEN full_write THEN '' ELSE format(' LEFT JOIN %s o ON o."#key" = n."#key" WHERE o."#key" IS NULL OR o."#hash" <> n."#hash"', live) END);
            PERFORM mastering.finish_segment(store, segment);
        END IF;
        IF full_write THEN
            version := mastering.make_version(store, CASE WHEN segment IS NULL THEN '{}'::int[] ELSE ARRAY[segment] END, CASE WHEN segment IS NULL THEN '{}'::bigint[] ELSE ARRAY[0::bigint] END, content);
        ELSE
            EXECUTE format('SELECT coalesce(jsonb_object_agg(d.segment, encode(d.lost, ''base64'')), ''{}'') FROM (
                SELECT o."#segment" AS segment, mastering.deletion_vector_agg(o."#row") AS lost FROM %s o LEFT JOIN pg_temp.mastering_incoming n ON n."#key" = o."#key"
                 WHERE n."#key" IS NULL OR n."#hash" <> o."#hash" GROUP BY 1) d', live) INTO deletions;
            version := mastering.compacted_version(mastering.changed_version(current, deletions, segment, content));
        END IF;
        INSERT INTO mastering.data_version (store_id, content, version) VALUES (store, content, version) ON CONFLICT DO NOTHING;
    END IF;
    DROP TABLE pg_temp.mastering_incoming;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.load_source(mastering.environment, text, text, jsonb, text, jsonb) IS 'Loads one source: the new version and what changed.';

-- The checks of stage load: each source that has data is a relation of its own name to them.
CREATE FUNCTION mastering.run_load_checks(env mastering.environment, entity_name text, tree jsonb, data jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relations text;
    versions jsonb;
BEGIN
    IF EXISTS (SELECT FROM mastering.checks_of(tree, 'load', entity_name)) THEN
        SELECT string_agg(format('%I AS (SELECT %s FROM %s)', s.name,
                                 (SELECT string_agg(quote_ident(c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM mastering.store t, jsonb_array_elements(t.columns) WITH ORDINALITY c
                                   WHERE t.store_id = (v.raw ->> 'store')::int AND c.value ->> 'name' !~ '^#'),
                                 mastering.show_source(env, mastering.path(entity_name, 'loaded', s.name), v.raw)), ', ' ORDER BY s.name),
               jsonb_object_agg(s.name, v.raw) INTO relations, versions
          FROM mastering.sources_of(tree, entity_name) s CROSS JOIN LATERAL (SELECT data -> mastering.path(entity_name, s.name)) v (raw) WHERE v.raw IS NOT NULL;
        PERFORM mastering.run_checks(env, env.name || '_next', tree, versions, 'load', NULL, entity_name, 'WITH ' || relations || ' ');
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.run_load_checks(mastering.environment, text, jsonb, jsonb) IS 'Runs the checks of stage load of an entity on what was just loaded.';

CREATE FUNCTION mastering.do_load(env_name text, entity_name text, source_name text)
RETURNS TABLE (source text, change text, inserted bigint, updated bigint, deleted bigint, total bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'loader', 'author');
    config mastering.configuration;
    item record;
    loaded record;
    relation text;
    place text;
    any_source boolean := false;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;    -- its owner may be another by now
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    FOR item IN SELECT mastering.step(t.key, 4) AS name, a.content FROM jsonb_each_text(config.tree) t JOIN mastering.artifact a ON a.hash = t.value
                 WHERE t.key LIKE 'entity/%/source/%' AND mastering.step(t.key, 2) = entity_name AND (source_name IS NULL OR mastering.step(t.key, 4) = source_name)
                 ORDER BY 1 LOOP
        any_source := true;
        place := mastering.path(entity_name, item.name);
        relation := config.bindings ->> place;
        IF relation IS NULL THEN
            RAISE EXCEPTION 'source "%" of entity "%" is bound to no relation in environment "%"', item.name, entity_name, env_name
                USING ERRCODE = '55000', HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'')', env_name, entity_name, item.name);
        END IF;
        SELECT l.* INTO loaded FROM mastering.load_source(env, entity_name, item.name, item.content, relation, config.data -> place) l;
        IF loaded.change <> 'none' THEN
            UPDATE mastering.configuration c SET data = c.data || jsonb_build_object(place, loaded.version), changed_at = now() WHERE c.environment = env_name;
            PERFORM mastering.audit(env_name, 'load', jsonb_build_object('source', place, 'relation', relation, 'change', loaded.change, 'inserted', loaded.inserted,
                'updated', loaded.updated, 'deleted', loaded.deleted, 'before', config.data -> place ->> 'content', 'after', loaded.version ->> 'content'));
        END IF;
        source := item.name;
        change := loaded.change;
        inserted := loaded.inserted;
        updated := loaded.updated;
        deleted := loaded.deleted;
        total := (loaded.version ->> 'rows')::bigint;
        RETURN NEXT;
    END LOOP;
    IF NOT any_source THEN
        RAISE EXCEPTION 'entity "%" has no source% in environment "%"', entity_name, coalesce(' "' || source_name || '"', ''), env_name
            USING ERRCODE = '42704', HINT = format('SELECT mastering.map_source(%L, %L, ...)', env_name, entity_name);
    END IF;
    PERFORM mastering.run_load_checks(env, entity_name, config.tree, (mastering.configuration_of(env_name)).data);
END
$$;
COMMENT ON FUNCTION mastering.do_load(text, text, text) IS 'Behind load.';

CREATE FUNCTION mastering.load(env text, entity text, source text DEFAULT NULL)
RETURNS TABLE (source_name text, change text, inserted bigint, updated bigint, deleted bigint, total bigint)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.load(text, text, text) IS 'Loads the sources of an entity, or one of them, from the relations they are bound to; says what changed: initial, append, update, reload or none. What the views show changes with the next run.';
-- 58_outputs.sql: from loaded rows to golden records. Each step is found again by its content where it was done
-- before, in whatever environment: mapped records by segment and mapping, the partition into clusters by all that
-- decides it (run_key), the whole output by that, the ids it started from and the survivorship rules (output_key).
--
-- The steps work in the environment's _next schema: its head shows what was made so far, so that the matching
-- engine and golden_sql read it through views, as the environment's owner.

CREATE FUNCTION mastering.show_next(env_name text, additions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.set_head(env_name || '_next', (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name || '_next') || additions);
END
$$;
COMMENT ON FUNCTION mastering.show_next(text, jsonb) IS 'Adds versions to what an environment''s _next schema shows.';

CREATE FUNCTION mastering.sources_of(tree jsonb, entity_name text) RETURNS TABLE (name text, hash text, content jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.step(t.key, 4), t.value, a.content FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value
     WHERE t.key LIKE 'entity/%/source/%' AND mastering.step(t.key, 2) = entity_name ORDER BY 1
$$;
COMMENT ON FUNCTION mastering.sources_of(jsonb, text) IS 'The sources of an entity in a tree.';

-- NULL where the text of a mapping gives everybody the same, so that all environments share what is made with it.
CREATE FUNCTION mastering.role_of_mapping(env mastering.environment, entity jsonb, source_name text, mapping jsonb, columns jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN NOT mastering.is_reproducible(env.owner::name,
        format('SELECT %s FROM (SELECT %s) AS %I', mastering.mapping_list(entity, mapping),
               (SELECT string_agg(format('NULL::%s AS %I', c.value ->> 'type', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM jsonb_array_elements(columns) WITH ORDINALITY c), source_name),
        mastering.artifact_path(env.name), '') THEN env.owner END
$$;
COMMENT ON FUNCTION mastering.role_of_mapping(mastering.environment, jsonb, text, jsonb, jsonb) IS 'The role that the result of a mapping hangs on; NULL where it hangs on none.';

CREATE FUNCTION mastering.role_of_model(env mastering.environment, entity jsonb, model jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH text (expression) AS (
        SELECT e #>> '{}' FROM jsonb_path_query(model, '$.blocking[*]') r
               CROSS JOIN LATERAL jsonb_path_query(CASE jsonb_typeof(r) WHEN 'object' THEN r -> 'keys' ELSE r END, '$[*]') e
        UNION SELECT e #>> '{}' FROM jsonb_path_query(model, '$.comparisons[*].expression') e)
    SELECT CASE WHEN EXISTS (SELECT FROM text t WHERE NOT mastering.is_reproducible(env.owner::name,
        format(E'SELECT (%s\n) FROM (SELECT NULL::text AS id, NULL::text AS source, %s) AS q', t.expression,
               (SELECT string_agg(format('NULL::%s AS %I', a.value ->> 'type', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a)),
        mastering.artifact_path(env.name), '')) THEN env.owner END
$$;
COMMENT ON FUNCTION mastering.role_of_model(mastering.environment, jsonb, jsonb) IS 'The role that the keys and compared values of a model hang on; NULL where they hang on none.';

-- Mapped records: one segment for each segment of loaded rows, with the same row numbers, so that the deletion
-- vectors of the loaded rows are theirs too.
CREATE FUNCTION mastering.map_records(env mastering.environment, entity_name text, tree jsonb, data jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    entity jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name));
    store int := mastering.entity_store('records', entity_name, entity);
    segments int[] := '{}';
    vectors bigint[] := '{}';
    contents jsonb := '{}';
    source record;
    part record;
    raw jsonb;
    derived text;
    hit int;
    view_name text;
    role text;
BEGIN
    FOR source IN SELECT * FROM mastering.sources_of(tree, entity_name) LOOP
        raw := data -> mastering.path(entity_name, source.name);
        IF raw IS NULL THEN
            RAISE EXCEPTION 'source "%" of entity "%" was never loaded in environment "%"', source.name, entity_name, env.name
                USING ERRCODE = '55000', HINT = format('SELECT * FROM mastering.load(%L, %L, %L)', env.name, entity_name, source.name);
        END IF;
        contents := contents || jsonb_build_object(source.name, raw -> 'content');
        view_name := NULL;
        role := mastering.role_of_mapping(env, entity, source.name, source.content -> 'mapping', (SELECT s.columns FROM mastering.store s WHERE s.store_id = (raw ->> 'store')::int));
        FOR part IN SELECT s.value::int AS segment, v.value::bigint AS vector, g.hash FROM jsonb_array_elements_text(raw -> 'segments') WITH ORDINALITY s
                      JOIN jsonb_array_elements_text(raw -> 'vectors') WITH ORDINALITY v USING (ordinality)
                      JOIN mastering.segment g ON g.segment_id = s.value::int ORDER BY ordinality LOOP
            derived := mastering.json_hash(jsonb_strip_nulls(jsonb_build_object('segment', part.segment, 'content', part.hash, 'mapping', source.content,
                                                              'source', source.name, 'entity', entity, 'store', store, 'role', role)));
            SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
            IF hit IS NULL THEN    -- unless another environment is at it
                PERFORM pg_advisory_xact_lock(hashtext('mastering.derived'), hashtext(derived));
                SELECT g.segment_id INTO hit FROM mastering.segment g WHERE g.derived_from = derived;
            END IF;
            IF hit IS NULL THEN
                IF view_name IS NULL THEN
                    -- All rows of the live segments, deleted ones too: row numbers must stay.
                    view_name := mastering.show_source(env, mastering.path(entity_name, 'source', source.name),
                        raw || jsonb_build_object('vectors', (SELECT jsonb_agg(0) FROM jsonb_array_elements(raw -> 'segments'))));
                END IF;
                hit := mastering.begin_segment(store);
                EXECUTE format('INSERT INTO mastering.%I SELECT r.*, %s FROM mastering.query_as(%L, %L, %L, false) AS r ("#source" text, "#key" text, %s, "#row" int)',
                               'segment_' || hit, hit, env.owner,
                               format(E'SELECT %L::text, "#key",\n       %s, "#row"\n  FROM %s AS %I WHERE "#segment" = %s', source.name,
                                      mastering.mapping_list(entity, source.content -> 'mapping'), view_name, source.name, part.segment),
                               mastering.artifact_path(env.name), mastering.column_list(entity -> 'attributes', true));
                PERFORM mastering.finish_segment(store, hit, derived);
            END IF;
            segments := segments || hit;
            vectors := vectors || part.vector;
        END LOOP;
    END LOOP;
    IF contents = '{}' THEN
        RAISE EXCEPTION 'entity "%" has no source in environment "%"', entity_name, env.name USING ERRCODE = '55000',
            HINT = format('SELECT mastering.map_source(%L, %L, ...)', env.name, entity_name);
    END IF;
    RETURN mastering.make_version(store, segments, vectors) || jsonb_build_object('contents', contents);
END
$$;
COMMENT ON FUNCTION mastering.map_records(mastering.environment, text, jsonb, jsonb) IS 'The version of an entity''s records that loaded rows and mappings give.';

-- A view on loaded rows of a source under the name of a part of the _next schema.
CREATE FUNCTION mastering.show_source(env mastering.environment, part text, raw jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    view_name text := CASE WHEN octet_length(part) > 63 THEN left(mastering.text_hash(part), 40) ELSE part END;
    schema_name text := env.name || '_next';
    qualified text := format('%I.%I', schema_name, view_name);
    query text := format('SELECT * FROM mastering.%I s WHERE mastering.in_version(%s, s."#segment", s."#row")', 'store_' || (raw ->> 'store'),
                         mastering.versioned_name(schema_name, view_name));
BEGIN
    IF NOT EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = schema_name AND v.view_name = work.view_name AND v.definition = query) THEN
        IF to_regclass(qualified) IS NOT NULL THEN
            EXECUTE format('DROP VIEW %s', qualified);
        END IF;
        EXECUTE format('CREATE VIEW %s AS %s', qualified, query);
        INSERT INTO mastering.environment_view (environment, view_name, definition) VALUES (schema_name, view_name, query)
        ON CONFLICT ON CONSTRAINT environment_view_pkey DO UPDATE SET definition = EXCLUDED.definition;
        PERFORM mastering.apply_grants(env.name);
    END IF;
    PERFORM mastering.show_next(env.name, jsonb_build_object(view_name, raw));
    RETURN qualified;
END
$$;
COMMENT ON FUNCTION mastering.show_source(mastering.environment, text, jsonb) IS 'Makes loaded rows of a source readable to its mapping and checks; returns the view''s name.';

CREATE FUNCTION mastering.spec_of(tree jsonb, entity_name text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('blocking', mastering.artifact_at(tree, mastering.path('entity', entity_name, 'blocking')),
                                                'comparisons', mastering.artifact_at(tree, mastering.path('entity', entity_name, 'comparisons'))))
           || coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'clustering')), '{}') - '{threshold,linkage,one_per_source}'::text[]
$$;
COMMENT ON FUNCTION mastering.spec_of(jsonb, text) IS 'The matching specification that an entity''s artifacts make up, as far as a model is trained for it.';

CREATE FUNCTION mastering.input_query(env_name text, entity_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT * FROM %I.%I', env_name || '_next', entity_name || '_input')
$$;
COMMENT ON FUNCTION mastering.input_query(text, text) IS 'The query that the matching engine reads an entity''s records with.';

-- ---- training ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_train(env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    env mastering.environment := mastering.require_author(env_name);
    config mastering.configuration;
    spec jsonb;
    model jsonb;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    env := mastering.require_author(env_name);    -- its owner may be another by now
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    PERFORM mastering.sync_views(env_name, entity_name);
    PERFORM mastering.show_next(env_name, jsonb_build_object(entity_name || '_records', mastering.map_records(env, entity_name, config.tree, config.data)));
    spec := mastering.spec_of(config.tree, entity_name);
    IF NOT spec ?& ARRAY['blocking', 'comparisons'] THEN
        SELECT t.s || spec INTO spec FROM mastering.query_as(env.owner::name, format('SELECT mastering.suggest(%L)', mastering.input_query(env_name, entity_name)),
                                                        mastering.artifact_path(env_name), true) AS t (s jsonb);
        IF config.tree ->> mastering.path('entity', entity_name, 'blocking') IS NULL THEN
            PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'blocking'), spec -> 'blocking');
        END IF;
        IF config.tree ->> mastering.path('entity', entity_name, 'comparisons') IS NULL THEN
            PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'comparisons'), spec -> 'comparisons');
        END IF;
        spec := mastering.spec_of((mastering.configuration_of(env_name)).tree, entity_name);
    END IF;
    SELECT t.m INTO model FROM mastering.query_as(env.owner::name, format('SELECT mastering.train_model(%L, %L)', mastering.input_query(env_name, entity_name), spec),
                                                  mastering.artifact_path(env_name), true) AS t (m jsonb);
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'model'), jsonb_build_object('model', model, 'spec', mastering.json_hash(spec)));
    RETURN model;
END
$$;
COMMENT ON FUNCTION mastering.do_train(text, text) IS 'Behind train.';

CREATE FUNCTION mastering.train(env text, entity text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.train(text, text) IS 'Trains the model of an entity on its loaded records; blocking and comparisons are suggested where none were set. Returns the model, which is an artifact from now on.';

CREATE FUNCTION mastering.model_of(tree jsonb, env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    document jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'model'));
    hint text := format('SELECT mastering.train(%L, %L)', env_name, entity_name);
BEGIN
    IF document IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no model in environment "%"', entity_name, env_name USING ERRCODE = '55000', HINT = hint;
    END IF;
    IF document ->> 'spec' <> mastering.json_hash(mastering.spec_of(tree, entity_name)) THEN
        RAISE EXCEPTION 'the model of entity "%" in environment "%" was trained with other rules', entity_name, env_name
            USING ERRCODE = '55000', DETAIL = 'Blocking or comparisons were changed since.', HINT = hint;
    END IF;
    -- How pairs become clusters is no part of what was learnt.
    RETURN (document -> 'model') || coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'clustering')), '{}');
END
$$;
COMMENT ON FUNCTION mastering.model_of(jsonb, text, text) IS 'The model of an entity, if it belongs to the rules in force.';

-- ---- ids -----------------------------------------------------------------------------------------------------------

-- pg_temp.mastering_partition (source, key, label) gets the column cluster: each new cluster takes the old id with which
-- it shares most records, each old id goes to one cluster, the largest overlap first; the others are born.
CREATE FUNCTION mastering.assign_ids(members text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    assigned bigint;
BEGIN
    EXECUTE format('CREATE TEMP TABLE mastering_overlap ON COMMIT DROP AS SELECT p.label, m."#cluster" AS cluster, count(*) AS records
                      FROM pg_temp.mastering_partition p JOIN %s m ON m."#source" = p.source AND m."#key" = p.key GROUP BY 1, 2', members);
    ANALYZE pg_temp.mastering_overlap;
    -- Nearly all clusters are what they were: one old one in one new one. Only the others take part in the rounds.
    CREATE TEMP TABLE mastering_identity ON COMMIT DROP AS
    SELECT o.label, o.cluster FROM pg_temp.mastering_overlap o
     WHERE o.label IN (SELECT x.label FROM pg_temp.mastering_overlap x GROUP BY x.label HAVING count(*) = 1)
       AND o.cluster IN (SELECT x.cluster FROM pg_temp.mastering_overlap x GROUP BY x.cluster HAVING count(*) = 1);
    ANALYZE pg_temp.mastering_identity;
    CREATE TEMP TABLE mastering_candidate ON COMMIT DROP AS
    SELECT o.* FROM pg_temp.mastering_overlap o WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.cluster = o.cluster);
    LOOP
        INSERT INTO pg_temp.mastering_identity
        SELECT c.label, c.cluster FROM (SELECT o.label, o.cluster, row_number() OVER (PARTITION BY o.label ORDER BY o.records DESC, o.cluster) AS a,
                                               row_number() OVER (PARTITION BY o.cluster ORDER BY o.records DESC, o.label COLLATE "C") AS b
                                          FROM pg_temp.mastering_candidate o) c
         WHERE c.a = 1 AND c.b = 1;
        GET DIAGNOSTICS assigned = ROW_COUNT;
        EXIT WHEN assigned = 0;
        DELETE FROM pg_temp.mastering_candidate o USING pg_temp.mastering_identity i WHERE i.label = o.label;
        DELETE FROM pg_temp.mastering_candidate o USING pg_temp.mastering_identity i WHERE i.cluster = o.cluster;
    END LOOP;
    INSERT INTO pg_temp.mastering_identity
    SELECT n.label, nextval('mastering.cluster_id')
      FROM (SELECT p.label FROM pg_temp.mastering_partition p WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.label = p.label)
             GROUP BY p.label ORDER BY min((p.source || ':' || p.key) COLLATE "C")) n;
    ANALYZE pg_temp.mastering_identity;
END
$$;
COMMENT ON FUNCTION mastering.assign_ids(text) IS 'Ids for the clusters of a partition, from the assignment before it.';

CREATE FUNCTION mastering.write_segment(store int, query text) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    segment int := mastering.begin_segment(store);
    rows bigint;
BEGIN
    EXECUTE format('INSERT INTO mastering.%I SELECT q.*, (row_number() OVER ())::int, %s FROM (%s) q', 'segment_' || segment, segment, query);
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows = 0 THEN
        PERFORM mastering.drop_segment(segment);
        RETURN NULL;
    END IF;
    PERFORM mastering.finish_segment(store, segment);
    RETURN segment;
END
$$;
COMMENT ON FUNCTION mastering.write_segment(int, text) IS 'A segment with the rows of a query; NULL where there are none.';

-- The version after a run: rows of the wanted state that the old version has stay where they are.
CREATE FUNCTION mastering.next_version(store int, old jsonb, wanted text, columns text, scope bigint[] DEFAULT NULL, append_only boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    live text;
    same boolean := old IS NOT NULL AND (old ->> 'store')::int = store;
    deletions jsonb;
    segment int;
    version jsonb;
    lost bigint;
BEGIN
    IF NOT same THEN
        segment := mastering.write_segment(store, wanted);
        RETURN mastering.make_version(store, CASE WHEN segment IS NULL THEN '{}'::int[] ELSE ARRAY[segment] END, CASE WHEN segment IS NULL THEN '{}'::bigint[] ELSE ARRAY[0::bigint] END);
    END IF;
    live := format('(SELECT s."#segment", s."#row", mastering.row_hash(ROW(%s)) AS hash FROM mastering.%I s WHERE %s%s)', columns, 'store_' || store, mastering.version_condition(old, 's'),
                   CASE WHEN scope IS NULL THEN '' ELSE format(' AND s."#cluster" = ANY (%L::bigint[])', scope) END);
    IF append_only THEN
        segment := mastering.write_segment(store, wanted);
        deletions := '{}';
    ELSE
        EXECUTE format('CREATE TEMP TABLE mastering_wanted ON COMMIT DROP AS SELECT s.*, mastering.row_hash(ROW(%s)) AS "#hash" FROM (%s) s', columns, wanted);
        ANALYZE pg_temp.mastering_wanted;
        segment := mastering.write_segment(store, format('SELECT %s FROM pg_temp.mastering_wanted s WHERE NOT EXISTS (SELECT FROM %s o WHERE o.hash = s."#hash")', columns, live));
        EXECUTE format('SELECT coalesce(jsonb_object_agg(d.segment, encode(d.lost, ''base64'')), ''{}''), coalesce(sum(d.n), 0) FROM (
            SELECT o."#segment" AS segment, mastering.deletion_vector_agg(o."#row") AS lost, count(*) AS n FROM %s o
             WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_wanted w WHERE w."#hash" = o.hash) GROUP BY 1) d', live) INTO deletions, lost;
        DROP TABLE pg_temp.mastering_wanted;
    END IF;
    version := mastering.changed_version(old, deletions, segment);
    RETURN mastering.compacted_version(version);
END
$$;
COMMENT ON FUNCTION mastering.next_version(int, jsonb, text, text, bigint[], boolean) IS 'The version that a query''s rows are, written as what differs from an old one; with a scope, the rows of these clusters and the others as they were.';

-- The segments of a version to write once more so that at most 4 are left and at most a tenth of the rows is deleted. Those with
-- most deletions go first, then the smallest: so a row is written again in proportion to how its segment compares with the others,
-- and a large one does not pay for small ones. What is smaller than what is written anyway goes with it.
CREATE FUNCTION mastering.segments_to_compact(version jsonb, everything boolean DEFAULT false) RETURNS int[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    segments int[];
    live bigint[];
    deleted bigint[];
    chosen boolean[];
    total_deleted bigint;
    kept int;
    biggest bigint := -1;
    written int := 0;
BEGIN
    SELECT array_agg(p.segment ORDER BY p.share DESC, p.live), array_agg(p.live ORDER BY p.share DESC, p.live), array_agg(p.deleted ORDER BY p.share DESC, p.live), sum(p.deleted)
      INTO segments, live, deleted, total_deleted
      FROM (SELECT s.value::int AS segment, g.row_count - coalesce(d.row_count, 0) AS live, coalesce(d.row_count, 0) AS deleted,
                   coalesce(d.row_count, 0)::float8 / greatest(g.row_count, 1) AS share
              FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s
              JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality)
              JOIN mastering.segment g ON g.segment_id = s.value::int
              LEFT JOIN mastering.deletion_vector d ON d.vector_id = nullif(v.value::bigint, 0)) p;
    IF segments IS NULL THEN
        RETURN '{}';
    END IF;
    chosen := array_fill(everything AND (cardinality(segments) > 1 OR total_deleted > 0), ARRAY[cardinality(segments)]);
    IF NOT everything THEN
        FOR i IN 1 .. cardinality(segments) LOOP
            EXIT WHEN total_deleted <= (version ->> 'rows')::bigint / 10;
            chosen[i] := true;
            written := written + 1;
            total_deleted := total_deleted - deleted[i];
            biggest := greatest(biggest, live[i]);
        END LOOP;
        FOR i IN 1 .. cardinality(segments) LOOP
            IF NOT chosen[i] AND live[i] <= biggest THEN
                chosen[i] := true;
                written := written + 1;
            END IF;
        END LOOP;
        kept := cardinality(segments) - written;
        WHILE kept + CASE WHEN written > 0 THEN 1 ELSE 0 END > 4 LOOP
            chosen[(SELECT u.n FROM unnest(live, chosen) WITH ORDINALITY u (live, chosen, n) WHERE NOT u.chosen ORDER BY u.live, u.n LIMIT 1)] := true;
            written := written + 1;
            kept := kept - 1;
        END LOOP;
    END IF;
    RETURN (SELECT coalesce(array_agg(u.segment), '{}') FROM unnest(segments, chosen) u (segment, chosen) WHERE u.chosen);
END
$$;
COMMENT ON FUNCTION mastering.segments_to_compact(jsonb, boolean) IS 'The segments of a version that compaction writes once more; all of them where everything is asked for.';

CREATE FUNCTION mastering.compacted_version(version jsonb, everything boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    store int := (version ->> 'store')::int;
    old int[] := mastering.segments_to_compact(version, everything);
    part jsonb;
    segments int[];
    vectors bigint[];
    segment int;
BEGIN
    IF old = '{}' THEN
        RETURN version;
    END IF;
    SELECT jsonb_build_object('segments', jsonb_agg(s.value ORDER BY s.ordinality) FILTER (WHERE s.value::int = ANY (old)),
                              'vectors', jsonb_agg(v.value ORDER BY s.ordinality) FILTER (WHERE s.value::int = ANY (old))),
           coalesce(array_agg(s.value::int ORDER BY s.ordinality) FILTER (WHERE s.value::int <> ALL (old)), '{}'),
           coalesce(array_agg(v.value::bigint ORDER BY s.ordinality) FILTER (WHERE s.value::int <> ALL (old)), '{}')
      INTO part, segments, vectors
      FROM jsonb_array_elements_text(version -> 'segments') WITH ORDINALITY s JOIN jsonb_array_elements_text(version -> 'vectors') WITH ORDINALITY v USING (ordinality);
    segment := mastering.write_segment(store, format('SELECT %s FROM mastering.%I s WHERE %s',
        (SELECT string_agg(format('s.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) FROM mastering.store t, jsonb_array_elements(t.columns) WITH ORDINALITY c WHERE t.store_id = store),
        'store_' || store, mastering.version_condition(part, 's')));
    IF segment IS NOT NULL THEN
        segments := segments || segment;
        vectors := vectors || 0::bigint;
    END IF;
    RETURN version || mastering.make_version(store, segments, vectors, version ->> 'content') || jsonb_build_object('origin', mastering.version_identity(version));
END
$$;
COMMENT ON FUNCTION mastering.compacted_version(jsonb, boolean) IS 'A version with the same rows in few segments. origin: the hash of the version that it stands for.';

CREATE FUNCTION mastering.version_identity(version jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT coalesce(version ->> 'origin', version ->> 'hash') $$;
COMMENT ON FUNCTION mastering.version_identity(jsonb) IS 'What a version is called by those who reuse results: compaction does not change it.';
-- 59_master.sql: a run: the outputs of one entity, made or found, and published in one environment.

CREATE FUNCTION mastering.engine_revision() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT '1' $$;
COMMENT ON FUNCTION mastering.engine_revision() IS 'Changes whenever the matching engine may give another result for the same input.';

-- Writes pg_temp.mastering_partition: every record and the label of its cluster.
CREATE FUNCTION mastering.make_partition(env mastering.environment, entity_name text, model jsonb, curation jsonb, run_key text) RETURNS boolean
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
                              mastering.curated_pairs(curation, mastering.input_query(env.name, entity_name))),
                       mastering.artifact_path(env.name));
    END IF;
    ANALYZE pg_temp.mastering_partition;
    RETURN known IS NOT NULL;
END
$$;
COMMENT ON FUNCTION mastering.make_partition(mastering.environment, text, jsonb, jsonb, text) IS 'The partition of an entity''s records, from an earlier run with the same key or from the engine; whether it was found.';

CREATE FUNCTION mastering.drop_work_tables() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    DROP TABLE IF EXISTS pg_temp.mastering_partition, pg_temp.mastering_overlap, pg_temp.mastering_candidate, pg_temp.mastering_identity,
        pg_temp.mastering_golden, pg_temp.mastering_wanted, pg_temp.mastering_incoming;
END
$$;
COMMENT ON FUNCTION mastering.drop_work_tables() IS 'Drops the temporary tables of a run.';

-- The events of this run, from pg_temp.mastering_overlap and mastering_identity.
CREATE FUNCTION mastering.history_query() RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT $q$
        SELECT e.cluster, e.event, e.other, e.records, now() FROM (
            SELECT i.cluster, CASE WHEN o.cluster IS NULL THEN 'born' ELSE 'split' END AS event, o.cluster AS other, n.records
              FROM pg_temp.mastering_identity i
              JOIN (SELECT p.label, count(*) AS records FROM pg_temp.mastering_partition p GROUP BY 1) n ON n.label = i.label
              LEFT JOIN (SELECT DISTINCT ON (x.label) x.label, x.cluster FROM pg_temp.mastering_overlap x ORDER BY x.label, x.records DESC, x.cluster) o ON o.label = i.label
             WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_overlap x WHERE x.label = i.label AND x.cluster = i.cluster)
            UNION ALL
            SELECT l.cluster, CASE WHEN g.into_cluster IS NULL THEN 'died' ELSE 'merged' END, g.into_cluster, l.records
              FROM pg_temp.mastering_lost l
              LEFT JOIN (SELECT DISTINCT ON (x.cluster) x.cluster, i.cluster AS into_cluster FROM pg_temp.mastering_overlap x JOIN pg_temp.mastering_identity i ON i.label = x.label
                          ORDER BY x.cluster, x.records DESC, i.cluster) g ON g.cluster = l.cluster) e
         ORDER BY e.cluster$q$
$$;
COMMENT ON FUNCTION mastering.history_query() IS 'Births, splits, merges and deaths of clusters in the run at hand.';

-- The clusters whose golden records have to be made again; NULL where that is most of them.
CREATE FUNCTION mastering.changed_clusters(old_members jsonb, new_members jsonb, old_records jsonb, new_records jsonb) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m_store text := format('mastering.%I', 'store_' || (new_members ->> 'store'));
    r_store text := format('mastering.%I', 'store_' || (new_records ->> 'store'));
    touched jsonb;
    clusters bigint[];
BEGIN
    IF old_members IS NULL OR old_records IS NULL OR old_records ->> 'store' <> new_records ->> 'store' THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(jsonb_agg(n.value), '[]') INTO touched FROM jsonb_array_elements(new_records -> 'segments') n WHERE NOT old_records -> 'segments' @> n.value;
    IF (SELECT coalesce(sum(g.row_count), 0) FROM mastering.segment g WHERE touched @> to_jsonb(g.segment_id)) > 50000 THEN
        RETURN NULL;
    END IF;
    -- Members that came or moved; clusters that lost a member; records with other values.
    EXECUTE format($q$
        SELECT array_agg(DISTINCT c.cluster) FROM (
            (SELECT n."#cluster" AS cluster, n."#source", n."#key" FROM %1$s n WHERE %2$s EXCEPT ALL SELECT o."#cluster", o."#source", o."#key" FROM %1$s o WHERE %3$s)
            UNION ALL
            (SELECT o."#cluster", o."#source", o."#key" FROM %1$s o WHERE %3$s EXCEPT ALL SELECT n."#cluster", n."#source", n."#key" FROM %1$s n WHERE %2$s)
            UNION ALL
            SELECT m."#cluster", m."#source", m."#key" FROM %4$s r JOIN %1$s m ON m."#source" = r."#source" AND m."#key" = r."#key" AND %5$s
             WHERE %6$s) c$q$, m_store, mastering.version_condition(new_members, 'n'), mastering.version_condition(old_members, 'o'), r_store,
        mastering.version_condition(new_members, 'm'),
        coalesce((SELECT string_agg(format('r."#segment" OPERATOR(mastering.===) %s', t.value), ' OR ') FROM jsonb_array_elements_text(touched) t), 'false')) INTO clusters;
    RETURN CASE WHEN cardinality(clusters) > 50000 THEN NULL ELSE coalesce(clusters, '{}') END;
END
$$;
COMMENT ON FUNCTION mastering.changed_clusters(jsonb, jsonb, jsonb, jsonb) IS 'The clusters that differ between two runs; NULL where there are too many to name.';

-- All outputs of an entity under a tree and loaded data, starting from what the environment has published.
CREATE FUNCTION mastering.make_outputs(env mastering.environment, entity_name text, tree jsonb, data jsonb, published jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
<<work>>
DECLARE
    entity jsonb := mastering.require_entity(tree, env.name, entity_name);
    model jsonb := mastering.model_of(tree, env.name, entity_name);
    survivorship jsonb := coalesce(mastering.artifact_at(tree, mastering.path('entity', entity_name, 'survivorship')), '{}');
    attributes text := mastering.column_list(entity -> 'attributes', false);
    old jsonb := (SELECT coalesce(jsonb_object_agg(substr(p.key, length(entity_name) + 1), p.value), '{}') FROM jsonb_each(published) p
                   WHERE p.key IN (entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history'));
    contents jsonb;
    curation jsonb := mastering.curation_of_clusters(env.name, entity_name);
    overrides jsonb := mastering.curation_of_values(env.name, entity_name);
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
    reused boolean := false;
    scope bigint[];
    query text;
    clusters_query text;
    members_now text;
    result jsonb;
    counters jsonb;
BEGIN
    -- Keys are made of contents, so nothing needs to be mapped to find out that all is there already.
    SELECT jsonb_object_agg(s.name, data -> mastering.path(entity_name, s.name) -> 'content') INTO contents FROM mastering.sources_of(tree, entity_name) s;
    run_key := mastering.json_hash(jsonb_build_object('entity', entity, 'name', entity_name, 'contents', contents, 'model', model,
        'sources', (SELECT jsonb_object_agg(s.name, s.content) FROM mastering.sources_of(tree, entity_name) s), 'engine', mastering.engine_revision(),
        'roles', (SELECT jsonb_object_agg(s.name, mastering.role_of_mapping(env, work.entity, s.name, s.content -> 'mapping', t.columns))
                    FROM mastering.sources_of(tree, entity_name) s JOIN mastering.store t ON t.store_id = (data -> mastering.path(entity_name, s.name) ->> 'store')::int),
        'role', mastering.role_of_model(env, work.entity, model)) || mastering.erasure_stamp(entity_name)
        || CASE WHEN curation IS NULL THEN '{}' ELSE jsonb_build_object('curation', curation) END);
    rules_key := mastering.json_hash(jsonb_build_object('survivorship', survivorship) || mastering.erasure_stamp(entity_name));
    golden_key := mastering.json_hash(jsonb_build_object('rules', rules_key) || CASE WHEN overrides IS NULL THEN '{}' ELSE jsonb_build_object('overrides', overrides) END);
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

    PERFORM mastering.drop_work_tables();
    PERFORM mastering.sync_entity_views(env.name || '_next', entity_name, entity, '{}');
    PERFORM mastering.apply_grants(env.name);
    records := mastering.map_records(env, entity_name, tree, data);
    PERFORM mastering.show_next(env.name, jsonb_build_object(entity_name || '_records', records));

    IF old -> '' ->> 'run' = run_key THEN    -- the same clusters, other golden rules
        members := old -> '_members';
        history := old -> '_history';
        reused := true;
        counters := '{}';
    ELSE
        reused := mastering.make_partition(env, entity_name, model, curation, run_key);
        broken := CASE WHEN reused THEN 0 ELSE mastering.lock_partition(curation) END;
        PERFORM mastering.assign_ids(CASE WHEN old ? '_members'
            THEN format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || (old -> '_members' ->> 'store'), mastering.version_condition(old -> '_members', 's'))
            ELSE '(SELECT NULL::text AS "#source", NULL::text AS "#key", NULL::bigint AS "#cluster" WHERE false)' END);
        members := mastering.next_version(mastering.entity_store('members', entity_name, entity), old -> '_members',
            'SELECT p.source AS "#source", p.key AS "#key", i.cluster AS "#cluster" FROM pg_temp.mastering_partition p JOIN pg_temp.mastering_identity i ON i.label = p.label ORDER BY 1, 2',
            's."#source", s."#key", s."#cluster"');
        EXECUTE format('CREATE TEMP TABLE mastering_lost ON COMMIT DROP AS SELECT m."#cluster" AS cluster, count(*) AS records FROM %s m WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.cluster = m."#cluster") GROUP BY 1',
            CASE WHEN old ? '_members' THEN format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || (old -> '_members' ->> 'store'), mastering.version_condition(old -> '_members', 's'))
                 ELSE '(SELECT NULL::bigint AS "#cluster" WHERE false)' END);
        history := mastering.next_version(mastering.entity_store('history', entity_name, entity), old -> '_history', mastering.history_query(),
            's."#cluster", s.event, s.other_id, s.records, s.at', NULL, true);
        EXECUTE 'SELECT coalesce(jsonb_object_agg(e.event, e.n), ''{}'') FROM (SELECT q.event, count(*) AS n FROM (' || mastering.history_query() || ') q (id, event, other, records, at) GROUP BY 1) e' INTO counters;
        DROP TABLE pg_temp.mastering_lost;
    END IF;
    PERFORM mastering.show_next(env.name, jsonb_build_object(entity_name || '_members', members, entity_name || '_history', history));

    members_now := format('(SELECT s.* FROM mastering.%I s WHERE %s)', 'store_' || (members ->> 'store'), mastering.version_condition(members, 's'));
    IF old -> '' ->> 'rules' = rules_key AND (old -> '' ->> 'store')::int = mastering.entity_store('golden', entity_name, entity) THEN
        scope := mastering.changed_clusters(old -> '_members', members, old -> '_records', records);
        IF scope IS NOT NULL THEN
            scope := scope || mastering.overridden_clusters(nullif(old -> '' -> 'overrides', 'null'), overrides, members_now);
        END IF;
    END IF;
    IF scope IS NULL THEN
        query := mastering.input_query(env.name, entity_name);
        clusters_query := format('SELECT m.source || '':'' || m.record_key AS id, m.cluster_id FROM %I.%I m', env.name || '_next', entity_name || '_members');
    ELSE
        query := format('SELECT r.source || '':'' || r.record_key AS id, r.source, %s FROM %I.%I r WHERE r.cluster_id = ANY (%L::bigint[])',
                        (SELECT string_agg(format('r.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
                        env.name || '_next', entity_name || '_records', scope);
        clusters_query := format('SELECT m.source || '':'' || m.record_key AS id, m.cluster_id FROM %I.%I m WHERE m.cluster_id = ANY (%L::bigint[])',
                                 env.name || '_next', entity_name || '_members', scope);
    END IF;
    EXECUTE format('CREATE TEMP TABLE mastering_golden ON COMMIT DROP AS SELECT * FROM mastering.query_as(%L, %L, %L, true) AS g ("#cluster" bigint, "#records" bigint, "#sources" bigint, %s, "#lineage" jsonb)',
                   env.owner, format('SELECT g.cluster_id::bigint, g.record_count, g.source_count, %s, g.lineage FROM (%s) g',
                                     -- Aggregates give a domain's base type, and values without length.
                                     (SELECT string_agg(format('CAST(g.%I AS %s)', a.value ->> 'name', a.value ->> 'type'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a),
                                     mastering.golden_sql(query, clusters_query, survivorship, true)),
                   mastering.artifact_path(env.name), mastering.column_list(entity -> 'attributes', true));
    PERFORM mastering.override_values(entity, overrides, members_now);
    golden := mastering.next_version(mastering.entity_store('golden', entity_name, entity), old -> '',
        format('SELECT g."#cluster", %s, g."#records", g."#sources" FROM pg_temp.mastering_golden g ORDER BY 1',
               (SELECT string_agg(format('g.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a)),
        's."#cluster", ' || (SELECT string_agg(format('s.%I', a.value ->> 'name'), ', ' ORDER BY a.ordinality) FROM jsonb_array_elements(entity -> 'attributes') WITH ORDINALITY a) || ', s."#records", s."#sources"', scope);
    lineage := mastering.next_version(mastering.entity_store('lineage', entity_name, entity), old -> '_lineage',
        'SELECT g."#cluster", g."#lineage" AS lineage FROM pg_temp.mastering_golden g ORDER BY 1', 's."#cluster", s.lineage', scope);
    golden := golden || jsonb_build_object('run', run_key, 'golden', golden_key, 'rules', rules_key, 'overrides', overrides, 'tree',
        (SELECT jsonb_object_agg(t.key, t.value) FROM jsonb_each(tree) t WHERE t.key = mastering.path('entity', entity_name)));
    PERFORM mastering.drop_work_tables();

    result := jsonb_build_object(entity_name, golden, entity_name || '_records', records, entity_name || '_members', members,
                                 entity_name || '_lineage', lineage, entity_name || '_history', history);
    counters := counters || CASE WHEN broken > 0 THEN jsonb_build_object('contradicted_locks', broken) ELSE '{}' END || jsonb_build_object('records', records -> 'rows', 'clusters', golden -> 'rows');
    INSERT INTO mastering.output (output_key, run_key, golden_key, entity, versions, counters, made_in)
    VALUES (output_key, run_key, golden_key, entity_name, result, counters, env.name) ON CONFLICT DO NOTHING;
    RETURN jsonb_build_object('versions', result, 'counters', counters, 'reused', CASE WHEN reused THEN 'partition' END, 'run', run_key);
END
$$;
COMMENT ON FUNCTION mastering.make_outputs(mastering.environment, text, jsonb, jsonb, jsonb) IS 'The versions of an entity''s outputs: found where they were made before, made otherwise, written as what differs from what is published.';

CREATE FUNCTION mastering.notify(event text, environment text, detail jsonb) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_notify('mastering', (jsonb_build_object('event', event, 'environment', environment) || detail)::text)
$$;
COMMENT ON FUNCTION mastering.notify(text, text, jsonb) IS 'A JSON line on channel mastering.';

CREATE FUNCTION mastering.do_master(env_name text, entity_name text) RETURNS jsonb
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
    config := mastering.configuration_of(env_name);
    SELECT h.versions INTO published FROM mastering.head h WHERE h.environment = env_name;
    outputs := mastering.make_outputs(env, entity_name, config.tree, config.data, published);
    summary := jsonb_build_object('entity', entity_name, 'reused', outputs -> 'reused') || (outputs -> 'counters');
    IF outputs ->> 'reused' IS DISTINCT FROM 'published' THEN
        PERFORM mastering.set_head(env_name || '_next', published || (outputs -> 'versions'));
        PERFORM mastering.run_checks(env, env_name || '_next', config.tree, published || (outputs -> 'versions'), 'run', NULL, entity_name);
        PERFORM mastering.set_head(env_name, published || (outputs -> 'versions'));
        PERFORM mastering.sync_views(env_name, entity_name);
        PERFORM mastering.audit(env_name, 'run', summary || jsonb_build_object('run', outputs -> 'run'));
        PERFORM mastering.notify('run', env_name, summary);
    END IF;
    RETURN summary;
END
$$;
COMMENT ON FUNCTION mastering.do_master(text, text) IS 'Behind master.';

CREATE FUNCTION mastering.master(env text, entity text) RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.master(text, text) IS 'Runs an entity: records, clusters, golden records, published together. Says how many records and clusters there are, what was reused, and how many clusters were born, split, merged or died.';
-- 60_checks.sql: checks. A check is a query that returns the rows that break a rule; it runs as its environment's
-- owner, with the views of the environment, or of what it is going to be, first on the search_path.

CREATE FUNCTION mastering.do_add_check(env_name text, entity_name text, check_name text, query text, severity_name text, stage_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    body text;
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF check_name IS NULL OR check_name = '' OR octet_length(check_name) > 200 THEN
        RAISE EXCEPTION 'invalid name of a check: "%"', check_name USING ERRCODE = '42602';
    END IF;
    IF severity_name IS NULL OR severity_name NOT IN ('warn', 'error') THEN
        RAISE EXCEPTION 'unknown severity "%"', severity_name USING ERRCODE = '22023', HINT = 'A severity is warn or error.';
    END IF;
    IF stage_name IS NULL OR stage_name NOT IN ('load', 'run', 'promote', 'smoke') THEN
        RAISE EXCEPTION 'unknown stage "%"', stage_name USING ERRCODE = '22023', HINT = 'A stage is load, run, promote or smoke.';
    END IF;
    body := mastering.query_body(query, 'query');
    IF body IS NULL THEN
        RAISE EXCEPTION 'a check needs a query' USING ERRCODE = '22004';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'check', check_name),
                                   jsonb_build_object('query', body, 'severity', severity_name, 'stage', stage_name));
END
$$;
COMMENT ON FUNCTION mastering.do_add_check(text, text, text, text, text, text) IS 'Behind add_check.';

CREATE FUNCTION mastering.add_check(env text, entity text, name text, query text, severity text DEFAULT 'error', stage text DEFAULT 'promote') RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.add_check(text, text, text, text, text, text) IS 'A query that returns the rows that break a rule, naming the environment''s views without their schema. stage load: on the rows just loaded, each source a relation of its name with its own columns; run: on what a run made; promote: before a release; smoke: after it, before it is committed. An error stops there, a warn is recorded.';

CREATE FUNCTION mastering.do_drop_check(env_name text, entity_name text, check_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF (mastering.configuration_of(env_name)).tree ->> mastering.path('entity', entity_name, 'check', check_name) IS NULL THEN
        RAISE EXCEPTION 'check "%" of entity "%" does not exist in environment "%"', check_name, entity_name, env_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'check', check_name), NULL);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_check(text, text, text) IS 'Behind drop_check.';

CREATE FUNCTION mastering.drop_check(env text, entity text, name text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_check(text, text, text) IS 'Removes a check.';

-- Results outlive the transaction that a failed check stops, so they are noted outside of it first.
CREATE FUNCTION mastering.note_failure(detail jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_note_failure';
COMMENT ON FUNCTION mastering.note_failure(jsonb) IS 'Keeps a document in memory across the rollback of a subtransaction; NULL forgets it.';
CREATE FUNCTION mastering.noted_failure() RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_noted_failure';
COMMENT ON FUNCTION mastering.noted_failure() IS 'The document that note_failure kept.';

CREATE FUNCTION mastering.checks_of(tree jsonb, stage text, only_entity text) RETURNS TABLE (entity text, name text, content jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.step(t.key, 2), mastering.step(t.key, 4), a.content FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value
     WHERE t.key LIKE 'entity/%/check/%' AND a.content ->> 'stage' = stage AND (only_entity IS NULL OR mastering.step(t.key, 2) = only_entity) ORDER BY t.key
$$;
COMMENT ON FUNCTION mastering.checks_of(jsonb, text, text) IS 'The checks of a stage in a tree, of one entity or of all.';

-- with_relations: a WITH clause before the checks' own queries, for relations that are no views of the schema.
CREATE FUNCTION mastering.run_checks(env mastering.environment, schema_name text, tree jsonb, versions jsonb, wanted_stage text, release bigint, only_entity text DEFAULT NULL, with_relations text DEFAULT '')
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
<<work>>
DECLARE
    item record;
    results jsonb := '[]';
    one jsonb;
    state_key text;
    hit bigint;
    rows jsonb;
    message text;
    versions_key text;
    failed text[] := '{}';
BEGIN
    FOR item IN SELECT * FROM mastering.checks_of(tree, wanted_stage, only_entity) LOOP
        IF versions_key IS NULL THEN
            PERFORM mastering.complete_next_views(env.name, tree, versions) WHERE schema_name = env.name || '_next';
            versions_key := mastering.json_hash((SELECT jsonb_object_agg(v.key, mastering.version_identity(v.value)) FROM jsonb_each(versions) v));
        END IF;
        state_key := mastering.json_hash(jsonb_build_object('check', item.content, 'versions', versions_key, 'role', env.owner, 'environment', env.name));
        -- A check that looks at anything else, or at the clock, has to look again.
        CONTINUE WHEN EXISTS (SELECT FROM mastering.check_result r WHERE r.state_key = work.state_key AND r.passed)
                      AND mastering.is_reproducible(env.owner::name, format(E'%sSELECT FROM (%s\n) q', with_relations, item.content ->> 'query'), mastering.artifact_path(schema_name), schema_name);
        hit := NULL;
        rows := NULL;
        message := NULL;
        BEGIN
            SELECT t.n, t.sample INTO hit, rows FROM mastering.query_as(env.owner::name,
                format(E'%sSELECT count(*), jsonb_agg(to_jsonb(q)) FILTER (WHERE q_row <= 5) FROM (SELECT q, row_number() OVER () AS q_row FROM (%s\n) q) q', with_relations, item.content ->> 'query'),
                mastering.artifact_path(schema_name), false) AS t (n bigint, sample jsonb);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
        END;
        one := jsonb_build_object('environment', env.name, 'release_id', release, 'entity', item.entity, 'check_name', item.name, 'stage', wanted_stage,
            'severity', item.content ->> 'severity', 'passed', message IS NULL AND hit = 0, 'row_count', hit, 'sample', rows, 'error', message, 'state_key', state_key);
        INSERT INTO mastering.check_result (environment, release_id, entity, check_name, stage, severity, passed, row_count, sample, error, state_key)
        SELECT r.environment, r.release_id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.error, r.state_key
          FROM jsonb_populate_record(NULL::mastering.check_result, one) r;
        results := results || one;
        IF message IS NOT NULL OR hit > 0 THEN
            IF item.content ->> 'severity' = 'error' THEN
                failed := failed || format('%s.%s: %s', item.entity, item.name, coalesce(message, hit || ' rows'));
            ELSE
                RAISE WARNING 'check "%" of entity "%" found % rows', item.name, item.entity, coalesce(hit::text, message);
            END IF;
        END IF;
    END LOOP;
    IF cardinality(failed) > 0 THEN
        PERFORM mastering.note_failure(jsonb_build_object('checks', results));
        PERFORM mastering.record_outside(jsonb_build_object('checks', results, 'session_role', session_user, 'role', mastering.caller(),
            'client', host(inet_client_addr()), 'environment', env.name, 'action', 'check failed')) WHERE release IS NULL;
        RAISE EXCEPTION 'environment "%" is stopped by % failed check(s)', env.name, cardinality(failed)
            USING ERRCODE = '55000', DETAIL = array_to_string(failed, E'\n'),
                  HINT = format('SELECT * FROM mastering.check_results WHERE environment = %L AND NOT passed', env.name);
    END IF;
    RETURN results;
END
$$;
COMMENT ON FUNCTION mastering.run_checks(mastering.environment, text, jsonb, jsonb, text, bigint, text, text) IS 'Runs the checks of a stage that did not pass on this very state before; raises 55000 where one of severity error finds rows.';

-- ---- what outlives a rollback --------------------------------------------------------------------------------------

CREATE FUNCTION mastering.record_outside(payload jsonb) RETURNS boolean
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_record_outside';
COMMENT ON FUNCTION mastering.record_outside(jsonb) IS 'Has a background worker write a failure in a transaction of its own, and waits for it; false, with a warning and a line in the server''s log, where no worker can be had.';

CREATE FUNCTION mastering.write_failure(payload jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint := (payload ->> 'release_id')::bigint;
BEGIN
    IF payload ? 'release' THEN
        INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, created_at, finished_at, proposal, error)
        SELECT coalesce(r.release_id, nextval('mastering.release_id')), r.kind, r.source, r.target, 'failed', r.message, r.author,
               coalesce(r.created_at, clock_timestamp()), clock_timestamp(), coalesce(r.proposal, '{}'), r.error
          FROM jsonb_populate_record(NULL::mastering.release, payload -> 'release') r RETURNING release_id INTO id;
    END IF;
    INSERT INTO mastering.check_result (environment, release_id, entity, check_name, stage, severity, passed, row_count, sample, error, state_key)
    SELECT r.environment, id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.error, r.state_key
      FROM jsonb_populate_recordset(NULL::mastering.check_result, coalesce(payload -> 'checks', '[]')) r;
    INSERT INTO mastering.audit_pending (environment, session_role, role, client, action, detail)
    VALUES (payload ->> 'environment', payload ->> 'session_role', payload ->> 'role', payload ->> 'client', payload ->> 'action',
            -- Rows and values stay out of the log, from which nothing can be erased; the release and the check results have them.
            (payload - '{session_role,role,client,environment,action}'::text[]) || jsonb_strip_nulls(jsonb_build_object('release_id', id,
                'release', (payload -> 'release') || jsonb_build_object('error', payload #> '{release,error,sqlstate}'),
                'checks', (SELECT jsonb_agg(c.value - '{sample,error}'::text[] ORDER BY c.ordinality) FROM jsonb_array_elements(payload -> 'checks') WITH ORDINALITY c))));
    PERFORM mastering.notify(payload ->> 'action', payload ->> 'environment', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'error', left(payload -> 'release' -> 'error' ->> 'message', 1000))));
END
$$;
COMMENT ON FUNCTION mastering.write_failure(jsonb) IS 'What the background worker of record_outside runs.';
-- 61_state.sql: states and what differs between them.
--
-- A state is named: env (what it is now), env@tag (a snapshot of it), env~N (N releases back), # and the first
-- digits of a snapshot's hash.

CREATE TYPE mastering.state AS (environment text, tree jsonb, bindings jsonb, data jsonb, versions jsonb, snapshot text);
COMMENT ON TYPE mastering.state IS 'A state of an environment: configuration, loaded data, published outputs.';

CREATE FUNCTION mastering.current_state(env_name text) RETURNS mastering.state
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ROW(c.environment, c.tree, c.bindings, c.data, h.versions, c.snapshot)::mastering.state
      FROM mastering.configuration c JOIN mastering.head h ON h.environment = c.environment WHERE c.environment = env_name
$$;
COMMENT ON FUNCTION mastering.current_state(text) IS 'The state that an environment is in.';

CREATE FUNCTION mastering.snapshot_state(snapshot_hash text) RETURNS mastering.state
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ROW(s.environment, s.tree, s.bindings, s.data, s.versions, s.hash)::mastering.state FROM mastering.snapshot s WHERE s.hash = snapshot_hash
$$;
COMMENT ON FUNCTION mastering.snapshot_state(text) IS 'The state that a snapshot holds.';

CREATE FUNCTION mastering.resolve_state(state_name text) RETURNS mastering.state
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result mastering.state;
    hashes text[];
    parts text[];
BEGIN
    IF state_name ~ '^#[0-9a-f]{4,64}$' THEN
        SELECT array_agg(s.hash) INTO hashes FROM mastering.snapshot s
         WHERE starts_with(s.hash, substr(state_name, 2)) AND mastering.do_visible(s.environment, s.created_at);
        IF cardinality(hashes) > 1 THEN
            RAISE EXCEPTION 'state "%" is ambiguous', state_name USING ERRCODE = '42702', DETAIL = array_to_string(hashes, E'\n');
        END IF;
        result := mastering.snapshot_state(hashes[1]);
    ELSIF state_name ~ '@' THEN
        parts := regexp_match(state_name, '^([^@]*)@(.*)$');
        SELECT (mastering.snapshot_state(s.hash)).* INTO result FROM mastering.snapshot s WHERE s.environment = parts[1] AND s.tag = parts[2]
           AND s.created_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = parts[1]);
    ELSIF state_name ~ '~[1-9][0-9]{0,5}$' THEN
        parts := regexp_match(state_name, '^(.*)~([0-9]+)$');
        SELECT (mastering.snapshot_state(r.snapshot_before)).* INTO result FROM mastering.release r
         WHERE r.target = parts[1] AND r.state IN ('promoted', 'rolled back', 'replaced') AND r.kind = 'promotion'
           AND r.created_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = parts[1]) ORDER BY r.release_id DESC OFFSET parts[2]::int - 1 LIMIT 1;
    ELSE
        result := mastering.current_state(state_name);
    END IF;
    IF result.environment IS NULL THEN
        RAISE EXCEPTION 'state "%" does not exist', state_name
            USING ERRCODE = '42704', HINT = 'A state is an environment, environment@tag, environment~N (N releases back), or # and the first digits of a snapshot''s hash.';
    END IF;
    PERFORM mastering.require(result.environment, 'author', 'curator', 'reviewer', 'loader');
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.resolve_state(text) IS 'The state that a name means, if the caller may see it.';

-- What a state is, told in one hash: equal hashes, equal states.
CREATE FUNCTION mastering.state_hash(state mastering.state) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.json_hash(jsonb_build_object('tree', state.tree, 'bindings', state.bindings, 'data', state.data, 'versions', state.versions))
$$;
COMMENT ON FUNCTION mastering.state_hash(mastering.state) IS 'The hash of what a state consists of.';

-- Without waiting for another who is at it: what that one leaves is a parent of the next.
CREATE FUNCTION mastering.taken_from_side(env_name text) RETURNS text[]
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    WITH free AS (SELECT s.hash FROM mastering.side_snapshot s WHERE s.environment = env_name FOR UPDATE SKIP LOCKED),
         taken AS (DELETE FROM mastering.side_snapshot s USING free f WHERE s.hash = f.hash RETURNING s.hash)
    SELECT coalesce(array_agg(t.hash ORDER BY t.hash COLLATE "C"), '{}') FROM taken t
$$;
COMMENT ON FUNCTION mastering.taken_from_side(text) IS 'The snapshots that others took of an environment; from now on they are parents of the one that is being taken.';

-- merged: states of others that became part of this one; instead_of and like_state: a rollback or a restore went from
-- the one back to the other.
CREATE FUNCTION mastering.take_snapshot(env_name text, message text, tag text, merged text[] DEFAULT '{}', instead_of text DEFAULT NULL, like_state text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_in mastering.state := mastering.current_state(env_name);
    parents text[];
    at timestamptz := clock_timestamp();
    author text := mastering.caller();
    hash text;
BEGIN
    parents := mastering.taken_from_side(env_name);
    SELECT coalesce(array_agg(p.hash ORDER BY p.n), '{}') INTO parents
      FROM (SELECT u.hash, min(u.n) AS n FROM unnest(CASE WHEN instead_of IS NOT NULL THEN ARRAY[like_state] ELSE ARRAY[now_in.snapshot] || parents || merged END) WITH ORDINALITY u (hash, n)
             WHERE u.hash IS NOT NULL GROUP BY u.hash) p;
    hash := mastering.snapshot_hash(ROW(NULL, env_name, now_in.tree, now_in.bindings, now_in.data, now_in.versions, parents, message, tag, author, at, instead_of)::mastering.snapshot);
    INSERT INTO mastering.snapshot (hash, environment, tree, bindings, data, versions, parents, message, tag, author, created_at, undoes)
    VALUES (hash, env_name, now_in.tree, now_in.bindings, now_in.data, now_in.versions, parents, message, tag, author, at, instead_of);
    UPDATE mastering.configuration c SET snapshot = hash WHERE c.environment = env_name;
    RETURN hash;
END
$$;
COMMENT ON FUNCTION mastering.take_snapshot(text, text, text, text[], text, text) IS 'Freezes the state of an environment and returns the snapshot''s hash.';

-- Who reads a state, to copy or to merge it, does not take part in the writing of its environment and takes no lock.
CREATE FUNCTION mastering.snapshot_of(state mastering.state, message text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    at timestamptz := clock_timestamp();
    author text := mastering.caller();
    parents text[];
    hash text;
BEGIN
    SELECT s.hash INTO hash FROM mastering.snapshot s
     WHERE (s.hash = state.snapshot OR s.hash IN (SELECT x.hash FROM mastering.side_snapshot x WHERE x.environment = state.environment))
       AND s.tree = state.tree AND s.bindings = state.bindings AND s.data = state.data AND s.versions = state.versions
     ORDER BY s.hash = state.snapshot DESC, s.created_at DESC LIMIT 1;
    IF hash IS NULL THEN
        parents := CASE WHEN state.snapshot IS NULL THEN '{}' ELSE ARRAY[state.snapshot] END || mastering.taken_from_side(state.environment);
        hash := mastering.snapshot_hash(ROW(NULL, state.environment, state.tree, state.bindings, state.data, state.versions, parents, message, NULL, author, at, NULL)::mastering.snapshot);
        INSERT INTO mastering.snapshot (hash, environment, tree, bindings, data, versions, parents, message, author, created_at)
        VALUES (hash, state.environment, state.tree, state.bindings, state.data, state.versions, parents, message, author, at);
        INSERT INTO mastering.side_snapshot (hash, environment) VALUES (hash, state.environment);
    END IF;
    RETURN hash;
END
$$;
COMMENT ON FUNCTION mastering.snapshot_of(mastering.state, text) IS 'The snapshot that holds a state; taken on the side where there is none yet.';

-- The hash that a snapshot must have.
CREATE FUNCTION mastering.snapshot_hash(s mastering.snapshot) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.json_hash(jsonb_build_object('environment', s.environment, 'tree', s.tree, 'bindings', s.bindings, 'data', s.data,
        'versions', s.versions, 'parents', to_jsonb(s.parents), 'message', s.message, 'tag', s.tag, 'author', s.author,
        'created_at', to_jsonb(extract(epoch FROM s.created_at))) || CASE WHEN s.undoes IS NULL THEN '{}' ELSE jsonb_build_object('undoes', s.undoes) END)
$$;
COMMENT ON FUNCTION mastering.snapshot_hash(mastering.snapshot) IS 'The hash that a snapshot must have.';

-- After a release or a rollback the state is frozen already; only what happened since needs another snapshot.
CREATE FUNCTION mastering.snapshot_before(env_name text, message text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last text := (SELECT s.hash FROM mastering.snapshot s, mastering.current_state(env_name) c
                   WHERE s.hash = c.snapshot AND s.environment = env_name AND s.tree = c.tree AND s.bindings = c.bindings AND s.data = c.data AND s.versions = c.versions);
BEGIN
    RETURN coalesce(last, mastering.take_snapshot(env_name, message, NULL));
END
$$;
COMMENT ON FUNCTION mastering.snapshot_before(text, text) IS 'A snapshot of the state that an environment is in: the last one where nothing changed since.';

CREATE FUNCTION mastering.do_snapshot(env_name text, message text, tag_name text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hash text;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'loader');
    IF tag_name !~ '^[^0-9@~#][^@~#]{0,99}$' THEN
        RAISE EXCEPTION 'invalid tag: "%"', tag_name USING ERRCODE = '42602', DETAIL = 'A tag has up to 100 characters, none of @ ~ #, and does not begin with a digit.';
    END IF;
    PERFORM mastering.lock_environment(env_name);
    IF EXISTS (SELECT FROM mastering.snapshot s WHERE s.environment = env_name AND s.tag = tag_name) THEN
        RAISE EXCEPTION 'environment "%" has a snapshot "%" already', env_name, tag_name USING ERRCODE = '42710';
    END IF;
    hash := mastering.take_snapshot(env_name, message, tag_name);
    PERFORM mastering.audit(env_name, 'snapshot', jsonb_strip_nulls(jsonb_build_object('snapshot', hash, 'tag', tag_name, 'message', message)));
    RETURN CASE WHEN tag_name IS NULL THEN '#' || left(hash, 12) ELSE env_name || '@' || tag_name END;
END
$$;
COMMENT ON FUNCTION mastering.do_snapshot(text, text, text) IS 'Behind snapshot.';

CREATE FUNCTION mastering.snapshot(env text, message text DEFAULT NULL, tag text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.snapshot(text, text, text) IS 'Freezes the state of an environment under a hash that covers all of it; returns its name.';

CREATE FUNCTION mastering.do_diff(a_name text, b_name text) RETURNS TABLE (path text, change text, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a mastering.state := mastering.resolve_state(a_name);
    b mastering.state := mastering.resolve_state(b_name);
BEGIN
    RETURN QUERY
    SELECT coalesce(x.key, y.key), CASE WHEN x.key IS NULL THEN 'added' WHEN y.key IS NULL THEN 'removed' ELSE 'changed' END, p.content, q.content
      FROM jsonb_each_text(a.tree) x FULL JOIN jsonb_each_text(b.tree) y ON y.key = x.key
      LEFT JOIN mastering.artifact p ON p.hash = x.value LEFT JOIN mastering.artifact q ON q.hash = y.value
     WHERE x.value IS DISTINCT FROM y.value ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.do_diff(text, text) IS 'Behind diff.';

CREATE FUNCTION mastering.diff(a text, b text) RETURNS TABLE (path text, change text, before jsonb, after jsonb)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.diff(text, text) IS 'The artifacts that differ between two states: what b has added, removed or changed against a.';

-- ---- views for people ------------------------------------------------------------------------------------------------

-- What an environment of the same name left behind that was dropped since is not for those of the new one.
CREATE FUNCTION mastering.do_visible(env_name text, made_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.may(env_name, 'author', 'curator', 'reviewer', 'loader')
       AND (made_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = env_name)
            OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper))
$$;
COMMENT ON FUNCTION mastering.do_visible(text, timestamptz) IS 'Behind visible.';
CREATE FUNCTION mastering.visible(env text, made_at timestamptz) RETURNS boolean
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.visible(text, timestamptz) IS 'Whether the current user may see what was recorded about an environment at a time.';

CREATE VIEW mastering.environments WITH (security_barrier) AS
    SELECT e.name, e.promotes_from, e.owner, e.created_at, c.changed_at, '#' || left(c.snapshot, 12) AS snapshot,
           left(mastering.json_hash(jsonb_build_object('tree', c.tree, 'bindings', c.bindings, 'data', c.data, 'versions', h.versions)), 12) AS head,
           (SELECT count(*) FROM jsonb_object_keys(c.tree) k WHERE k NOT LIKE 'entity/%/%') AS entities
      FROM mastering.environment e JOIN mastering.configuration c ON c.environment = e.name JOIN mastering.head h ON h.environment = e.name WHERE mastering.visible(e.name, e.created_at);
COMMENT ON VIEW mastering.environments IS 'The stages that the current user may see. head: the first digits of the hash of what a stage is now.';

CREATE VIEW mastering.snapshots WITH (security_barrier) AS
    SELECT s.environment, s.hash, s.tag, s.message, s.author, s.created_at, s.parents,
           (SELECT count(*) FROM jsonb_object_keys(s.tree)) AS artifacts
      FROM mastering.snapshot s WHERE mastering.visible(s.environment, s.created_at);
COMMENT ON VIEW mastering.snapshots IS 'The frozen states of the environments that the current user may see.';

CREATE VIEW mastering.releases WITH (security_barrier) AS
    SELECT r.release_id, r.kind, r.source, r.target, r.state, r.message, r.author, r.created_at, r.finished_at,
           r.proposal -> 'changes' AS changes, r.snapshot_before, r.snapshot_after, r.error ->> 'message' AS error
      FROM mastering.release r WHERE mastering.visible(r.target, r.created_at);
COMMENT ON VIEW mastering.releases IS 'Promotions, rollbacks and restores, the failed ones too.';

CREATE VIEW mastering.audit_log WITH (security_barrier) AS
    SELECT a.environment, a.seq, a.at, a.session_role, a.role, a.client, a.action, a.detail, a.hash FROM mastering.audit_entry a WHERE mastering.visible(a.environment, a.at);
COMMENT ON VIEW mastering.audit_log IS 'What happened in an environment, by whom: session_role logged in, role called.';

CREATE VIEW mastering.check_results WITH (security_barrier) AS
    SELECT r.environment, r.release_id, r.entity, r.check_name, r.stage, r.severity, r.passed, r.row_count, r.sample, r.error, r.checked_at
      FROM mastering.check_result r WHERE mastering.visible(r.environment, r.checked_at);
COMMENT ON VIEW mastering.check_results IS 'What each check found; sample holds up to five of the rows.';
-- 62_promotion.sql: how a change gets from one stage to the next, and back.
--
-- A promotion is a three-way merge of trees by path (64_merge.sql), the outputs that the target's data give under
-- the merged tree (found by content where they were made before), the gates on them, and the switch of the target's
-- head, in one transaction. What fails is rolled back to where the function began, and recorded.

CREATE FUNCTION mastering.last_promotion(source_name text, target_name text) RETURNS mastering.release
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r FROM mastering.release r JOIN mastering.environment t ON t.name = r.target JOIN mastering.environment s ON s.name = r.source
     WHERE r.target = target_name AND r.source = source_name AND r.state = 'promoted' AND r.kind = 'promotion'
       AND r.created_at >= t.created_at AND r.created_at >= s.created_at
     ORDER BY r.release_id DESC LIMIT 1
$$;
COMMENT ON FUNCTION mastering.last_promotion(text, text) IS 'The last promotion between two stages that is in force; not one between others that had their names before.';

CREATE FUNCTION mastering.merge_trees(base jsonb, ours jsonb, theirs jsonb) RETURNS TABLE (path text, before text, after text, conflict boolean)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.key, ours ->> p.key, theirs ->> p.key,
           (base ->> p.key) IS DISTINCT FROM (ours ->> p.key)
      FROM (SELECT jsonb_object_keys(base) UNION SELECT jsonb_object_keys(ours) UNION SELECT jsonb_object_keys(theirs)) p (key)
     WHERE (theirs ->> p.key) IS DISTINCT FROM (base ->> p.key) AND (theirs ->> p.key) IS DISTINCT FROM (ours ->> p.key)
$$;
COMMENT ON FUNCTION mastering.merge_trees(jsonb, jsonb, jsonb) IS 'The paths to change in ours to take over what theirs changed since base; conflict: ours changed it too.';

CREATE FUNCTION mastering.require_order(source_name text, target_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    from_name text := (SELECT e.promotes_from FROM mastering.environment e WHERE e.name = target_name);
BEGIN
    IF from_name IS DISTINCT FROM source_name AND NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = source_name AND f.source = target_name) THEN
        RAISE EXCEPTION 'environment "%" is not promoted from "%"', target_name, source_name
            USING ERRCODE = '55000', DETAIL = CASE WHEN from_name IS NULL THEN 'It is a first stage.' ELSE format('It is promoted from "%s".', from_name) END;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_order(text, text) IS 'Raises unless the target is promoted from the source, or the source is a fork of the target.';

CREATE FUNCTION mastering.raise_again(code text, message text, detail text, hint text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(detail, '') <> '' AND coalesce(hint, '') <> '' THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
    ELSIF coalesce(detail, '') <> '' THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail;
    ELSIF coalesce(hint, '') <> '' THEN
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = hint;
    ELSE
        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.raise_again(text, text, text, text) IS 'Raises an error that was caught, without what it did not have.';

CREATE FUNCTION mastering.entities_of(tree jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.step(k, 2) FROM jsonb_object_keys(tree) k WHERE k LIKE 'entity/%' AND k NOT LIKE 'entity/%/%' ORDER BY 1
$$;
COMMENT ON FUNCTION mastering.entities_of(jsonb) IS 'The entities of a tree.';

CREATE FUNCTION mastering.changed_entities(a jsonb, b jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT mastering.step(coalesce(x.key, y.key), 2)), '{}')
      FROM jsonb_each_text(a) x FULL JOIN jsonb_each_text(b) y ON y.key = x.key
     WHERE x.value IS DISTINCT FROM y.value AND coalesce(x.key, y.key) LIKE 'entity/%'
$$;
COMMENT ON FUNCTION mastering.changed_entities(jsonb, jsonb) IS 'The entities of which any artifact differs between two trees.';

-- The long part: data that the target lacks is loaded, the outputs are found or made, the gates are run on them in
-- the target's _next schema. Nothing in the target itself is touched. Repeating it finds all by content.
CREATE FUNCTION mastering.prepare_outputs(target_name text, proposal jsonb, release bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := (SELECT e FROM mastering.environment e WHERE e.name = target_name);
    target mastering.state := mastering.current_state(target_name);
    tree jsonb := proposal -> 'tree';
    data jsonb := target.data;
    bindings jsonb := target.bindings || (proposal -> 'bindings');
    versions jsonb := target.versions;
    entity_name text;
    source record;
    place text;
    outputs jsonb;
    loaded record;
    first_load boolean := false;
    runs jsonb := '[]';
    affected text[] := mastering.changed_entities(target.tree, tree);
BEGIN
    IF jsonb_array_length(proposal -> 'conflicts') > 0 THEN
        RAISE EXCEPTION 'environment "%" has changes of its own where it is to be changed', target_name
            USING ERRCODE = '55000', DETAIL = 'In conflict: ' || (SELECT string_agg(c, ', ') FROM jsonb_array_elements_text(proposal -> 'conflicts') c) || '.',
                  HINT = format('SELECT * FROM mastering.merge_conflicts(%L, %L) shows both sides; promote(..., resolve => ''{"path": "theirs"}'') takes one.', proposal ->> 'source', target_name);
    END IF;
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) LOOP
        CONTINUE WHEN tree ->> mastering.path('entity', entity_name, 'model') IS NULL
                      OR (entity_name <> ALL (affected) AND versions ? entity_name);
        FOR source IN SELECT * FROM mastering.sources_of(tree, entity_name) LOOP
            place := mastering.path(entity_name, source.name);
            CONTINUE WHEN data ? place;
            IF NOT bindings ? place THEN
                RAISE EXCEPTION 'source "%" of entity "%" is bound to no relation in environment "%"', source.name, entity_name, target_name
                    USING ERRCODE = '55000', HINT = format('SELECT mastering.bind_source(%L, %L, %L, ''schema.relation'')', target_name, entity_name, source.name);
            END IF;
            SELECT l.* INTO loaded FROM mastering.load_source(env, entity_name, source.name, source.content, bindings ->> place, NULL) l;
            data := data || jsonb_build_object(place, loaded.version);
            first_load := true;
        END LOOP;
        IF first_load THEN
            PERFORM mastering.run_load_checks(env, entity_name, tree, data);
            first_load := false;
        END IF;
        outputs := mastering.make_outputs(env, entity_name, tree, data, target.versions);
        versions := versions || (outputs -> 'versions');
        runs := runs || jsonb_build_object('entity', entity_name, 'reused', outputs -> 'reused', 'counters', outputs -> 'counters');
    END LOOP;
    -- Entities that are no more.
    FOR entity_name IN SELECT * FROM mastering.entities_of(target.tree) e WHERE e NOT IN (SELECT * FROM mastering.entities_of(tree)) LOOP
        versions := versions - ARRAY[entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history'];
    END LOOP;
    PERFORM mastering.set_head(target_name || '_next', versions);
    PERFORM mastering.sync_next_views(target_name, tree, versions, affected);
    RETURN jsonb_build_object('tree', tree, 'data', data, 'bindings', bindings, 'versions', versions, 'runs', runs,
                              'checks', mastering.run_checks(env, target_name || '_next', tree, versions, 'promote', release));
END
$$;
COMMENT ON FUNCTION mastering.prepare_outputs(text, jsonb, bigint) IS 'What the target will show under a proposal, proven by its gates, published nowhere yet.';

CREATE FUNCTION mastering.sync_next_views(env_name text, tree jsonb, versions jsonb, affected text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
    changed boolean := false;
BEGIN
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) e WHERE e = ANY (affected) LOOP
        changed := mastering.sync_entity_views(env_name || '_next', entity_name, mastering.artifact_at(tree, mastering.path('entity', entity_name)), versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.sync_next_views(text, jsonb, jsonb, text[]) IS 'Brings the views of these entities of an environment''s _next schema to a tree.';

-- The switch itself, for promotions and rollbacks.
CREATE FUNCTION mastering.switch_state(env_name text, tree jsonb, bindings jsonb, data jsonb, versions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
    entity jsonb;
    changed boolean := false;
    before mastering.state := mastering.current_state(env_name);
BEGIN
    UPDATE mastering.configuration c SET tree = switch_state.tree, bindings = switch_state.bindings, data = switch_state.data, changed_at = now()
     WHERE c.environment = env_name;
    PERFORM mastering.set_head(env_name, versions);
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) LOOP
        -- Columns follow what is published; where that has no columns yet, the definition.
        CONTINUE WHEN versions -> entity_name -> 'tree' = before.versions -> entity_name -> 'tree'
                      AND before.tree ->> mastering.path('entity', entity_name) = tree ->> mastering.path('entity', entity_name);
        entity := coalesce(mastering.artifact_at(versions -> entity_name -> 'tree', mastering.path('entity', entity_name)),
                           mastering.artifact_at(tree, mastering.path('entity', entity_name)));
        changed := mastering.sync_entity_views(env_name, entity_name, entity, versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.switch_state(text, jsonb, jsonb, jsonb, jsonb) IS 'Makes an environment what it is told to be: one head row, and views only where columns change.';

CREATE FUNCTION mastering.require_release(source_name text, target_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin text;
BEGIN
    PERFORM mastering.require(target_name, 'author');
    PERFORM mastering.require_author(target_name);   -- what others wrote must not come to run as a superuser
    origin := (mastering.resolve_state(source_name)).environment;
    -- Between a fork and what it is a fork of, whoever may write there may bring the writing of others.
    IF NOT EXISTS (SELECT FROM mastering.fork f WHERE (f.source = target_name AND f.environment = origin) OR (f.source = origin AND f.environment = target_name)) THEN
        PERFORM mastering.require(target_name, 'admin');
    END IF;
    PERFORM mastering.require_order(origin, target_name);
END
$$;
COMMENT ON FUNCTION mastering.require_release(text, text) IS 'Raises unless the caller is admin of the target, or author between forks, may bring SQL text into it, and knows the source.';

CREATE FUNCTION mastering.promote_now(source_name text, target_name text, message text, dry_run boolean, expected_head text, release bigint, expected_hash text, resolutions jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment;
    source mastering.state;
    id bigint;
    proposal jsonb;
    next jsonb;
    before text;
    taken text;
    after text;
    finished timestamptz;
BEGIN
    PERFORM mastering.lock_environment(target_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = target_name;
    IF expected_head IS NOT NULL AND NOT starts_with(mastering.state_hash(mastering.current_state(target_name)), ltrim(expected_head, '#')) THEN
        RAISE EXCEPTION 'environment "%" is not at head % any more', target_name, expected_head
            USING ERRCODE = '40001', HINT = 'SELECT name, head FROM mastering.environments; look at what changed, then promote again.';
    END IF;
    source := mastering.resolve_state(source_name);
    proposal := mastering.make_proposal(source_name, target_name, resolutions);
    IF proposal -> 'source_tree' <> source.tree THEN    -- two statements, two snapshots
        RAISE EXCEPTION 'state "%" is being changed', source_name USING ERRCODE = '40001', HINT = 'Try again.';
    END IF;
    IF expected_hash IS NOT NULL AND proposal ->> 'hash' <> expected_hash THEN
        RAISE EXCEPTION 'release % is not what was proposed any more', release
            USING ERRCODE = '40001', DETAIL = 'The source or the target changed since.', HINT = format('SELECT mastering.propose(%L, %L)', source_name, target_name);
    END IF;
    PERFORM mastering.require_not_held(target_name, proposal);
    id := coalesce(release, nextval('mastering.release_id'));
    PERFORM mastering.merge_curation((mastering.resolve_state(source_name)).environment, target_name);
    next := mastering.prepare_outputs(target_name, proposal, id);
    before := mastering.snapshot_before(target_name, 'before release ' || id);
    PERFORM mastering.switch_state(target_name, next -> 'tree', next -> 'bindings', next -> 'data', next -> 'versions');
    PERFORM mastering.run_checks(env, target_name, next -> 'tree', next -> 'versions', 'smoke', id);
    finished := clock_timestamp();   -- before the snapshot, so that a rollback to that does not undo this release
    taken := mastering.snapshot_of(source, 'promoted by release ' || id);
    after := mastering.take_snapshot(target_name, 'release ' || id, NULL, ARRAY[taken]);
    PERFORM mastering.note_left_out(source.environment, target_name, proposal);
    IF release IS NULL THEN
        INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, finished_at, source_tree, proposal, proposal_hash, snapshot_before, snapshot_after)
        VALUES (id, 'promotion', (mastering.resolve_state(source_name)).environment, target_name, 'promoted', message, mastering.caller(), finished, proposal -> 'source_tree',
                (proposal - 'source_tree') || jsonb_build_object('runs', next -> 'runs', 'source_snapshot', taken), proposal ->> 'hash', before, after);
    ELSE
        UPDATE mastering.release r SET state = 'promoted', finished_at = finished, source_tree = work.proposal -> 'source_tree',
               proposal = (work.proposal - 'source_tree') || jsonb_build_object('runs', next -> 'runs', 'source_snapshot', taken), snapshot_before = before, snapshot_after = after
         WHERE r.release_id = id;
    END IF;
    PERFORM mastering.audit(target_name, 'promote', jsonb_build_object('release_id', id, 'source', source_name, 'changes', proposal -> 'changes', 'before', before, 'after', after));
    PERFORM mastering.notify('promote', target_name, jsonb_build_object('release_id', id, 'source', source_name));
    IF dry_run THEN
        PERFORM mastering.note_failure('{"dry run": true}');
        RAISE EXCEPTION 'dry run' USING ERRCODE = 'MD000', DETAIL = id::text;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.promote_now(text, text, text, boolean, text, bigint, text, jsonb) IS 'A promotion; whoever calls it records its failure.';

CREATE FUNCTION mastering.promote_or_record(source_name text, target_name text, message_text text, dry_run boolean, expected_head text, release bigint, expected_hash text, resolutions jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id bigint;
    code text;
    message text;
    detail text;
    hint text;
    context text;
BEGIN
    PERFORM mastering.note_failure(NULL);
    BEGIN
        id := mastering.promote_now(source_name, target_name, message_text, dry_run, expected_head, release, expected_hash, resolutions);
        RETURN id;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
    END;
    IF code = 'MD000' AND dry_run AND mastering.noted_failure() = '{"dry run": true}' THEN    -- somebody's function may raise MD000, too
        RETURN NULL;
    END IF;
    -- Who comes second has failed at nothing that is worth a release.
    IF code NOT IN ('55P03', '40001', '40P01') THEN
        PERFORM mastering.record_outside(jsonb_strip_nulls(jsonb_build_object('environment', target_name, 'action', 'promote failed', 'session_role', session_user,
            'role', mastering.caller(), 'client', host(inet_client_addr()), 'checks', mastering.noted_failure() -> 'checks',
            'release', jsonb_build_object('kind', 'promotion', 'source', source_name, 'target', target_name, 'message', message_text, 'author', mastering.caller(),
                'proposal', jsonb_build_object('of', release), 'error', jsonb_build_object('sqlstate', code, 'message', message, 'detail', detail, 'context', context)))));
    END IF;
    PERFORM mastering.note_failure(NULL);
    PERFORM mastering.raise_again(code, message, detail, hint);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.promote_or_record(text, text, text, boolean, text, bigint, text, jsonb) IS 'A promotion whose failure leaves the target as it was and is recorded nevertheless.';

CREATE FUNCTION mastering.do_promote(source_name text, target_name text, message text, what_text text, dry_run boolean, expected_head text, resolve jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_release(source_name, target_name);
    IF what_text IS DISTINCT FROM 'auto' THEN
        RAISE EXCEPTION 'unknown kind of promotion: "%"', what_text USING ERRCODE = '22023', HINT = 'what is ''auto''.';
    END IF;
    IF expected_head !~ '^#?[0-9a-f]{8,64}$' THEN
        RAISE EXCEPTION 'invalid head: "%"', expected_head
            USING ERRCODE = '22023', HINT = 'SELECT name, head FROM mastering.environments; a head is at least 8 digits of that.';
    END IF;
    RETURN mastering.promote_or_record(source_name, target_name, message, coalesce(dry_run, false), expected_head, NULL, NULL, mastering.stored_resolutions(target_name, resolve));
END
$$;
COMMENT ON FUNCTION mastering.do_promote(text, text, text, text, boolean, text, jsonb) IS 'Behind promote.';

CREATE FUNCTION mastering.promote(source text, target text, message text DEFAULT NULL, what text DEFAULT 'auto', dry_run boolean DEFAULT false, expected_head text DEFAULT NULL, resolve jsonb DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.promote(text, text, text, text, boolean, text, jsonb) IS 'Promotes one stage to the next, or merges a fork: propose, prepare, gates, switch. resolve: for paths in conflict or held, {"path": "ours" | "theirs" | "later" | document}. Returns the release; NULL for a dry run, which does all and undoes it.';

-- ---- in steps ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_plan(source_name text, target_name text) RETURNS TABLE (step int, action text, subject text, detail text, blocked boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    proposal jsonb;
    target mastering.state;
    item record;
    entity_name text;
    tree jsonb;
    place text;
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    proposal := mastering.make_proposal(source_name, target_name);
    target := mastering.current_state(target_name);
    tree := proposal -> 'tree';
    step := 0;
    FOR item IN SELECT c ->> 'path' AS path, c ->> 'change' AS change FROM jsonb_array_elements(proposal -> 'changes') c LOOP
        step := step + 1;
        action := 'change configuration';
        subject := item.path;
        blocked := proposal -> 'conflicts' ? item.path OR proposal -> 'held' ? item.path;
        detail := item.change || CASE WHEN proposal -> 'conflicts' ? item.path THEN ', but the target changed it too' ELSE '' END
                  || coalesce(', but held since release ' || (proposal -> 'held' ->> item.path) || ' was rolled back', '');
        RETURN NEXT;
    END LOOP;
    FOR entity_name IN SELECT * FROM mastering.entities_of(tree) LOOP
        FOR item IN SELECT s.name FROM mastering.sources_of(tree, entity_name) s LOOP
            place := mastering.path(entity_name, item.name);
            CONTINUE WHEN target.data ? place;
            step := step + 1;
            action := 'load';
            subject := place;
            blocked := NOT (target.bindings || (proposal -> 'bindings')) ? place;
            detail := coalesce('from ' || ((target.bindings || (proposal -> 'bindings')) ->> place), 'bound to no relation');
            RETURN NEXT;
        END LOOP;
        step := step + 1;
        action := 'master';
        subject := entity_name;
        blocked := false;
        detail := CASE WHEN tree ->> mastering.path('entity', entity_name, 'model') IS NULL THEN 'no model: nothing to run' ELSE 'found by content where it was run before' END;
        RETURN NEXT;
    END LOOP;
    FOR item IN SELECT t.key, a.content FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value WHERE t.key LIKE 'entity/%/check/%' AND a.content ->> 'stage' IN ('promote', 'smoke') ORDER BY a.content ->> 'stage', t.key LOOP
        step := step + 1;
        action := 'check';
        subject := item.key;
        blocked := false;
        detail := format('%s, %s', item.content ->> 'stage', item.content ->> 'severity');
        RETURN NEXT;
    END LOOP;
    step := step + 1;
    action := 'switch';
    subject := target_name;
    blocked := false;
    detail := 'one transaction, no lock on any view whose columns stay';
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION mastering.do_plan(text, text) IS 'Behind plan.';

CREATE FUNCTION mastering.plan(source text, target text) RETURNS TABLE (step int, action text, subject text, detail text, blocked boolean)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.plan(text, text) IS 'What a promotion would do, step by step, and what blocks it; changes nothing.';

CREATE FUNCTION mastering.do_propose(source_name text, target_name text, message_text text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    proposal jsonb;
    id bigint := nextval('mastering.release_id');
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    proposal := mastering.make_proposal(source_name, target_name);
    INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, source_tree, proposal, proposal_hash)
    VALUES (id, 'promotion', (mastering.resolve_state(source_name)).environment, target_name, 'proposed', message_text, mastering.caller(), proposal -> 'source_tree', proposal - 'source_tree', proposal ->> 'hash');
    PERFORM mastering.audit(target_name, 'propose', jsonb_build_object('release_id', id, 'source', source_name, 'changes', proposal -> 'changes', 'hash', proposal -> 'hash'));
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.do_propose(text, text, text) IS 'Behind propose.';

CREATE FUNCTION mastering.propose(source text, target text, message text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.propose(text, text, text) IS 'Writes down what a promotion would change, as a release to be prepared and promoted. Nothing changes in the target.';

CREATE FUNCTION mastering.open_release(id bigint) RETURNS mastering.release
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release;
BEGIN
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release % does not exist', id USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.require_release(release.source, release.target);
    IF release.state NOT IN ('proposed', 'prepared') THEN
        RAISE EXCEPTION 'release % is %', id, release.state USING ERRCODE = '55000', HINT = format('SELECT mastering.propose(%L, %L)', release.source, release.target);
    END IF;
    RETURN release;
END
$$;
COMMENT ON FUNCTION mastering.open_release(bigint) IS 'A release that is still to come, if the caller may promote it.';

CREATE FUNCTION mastering.do_prepare_release(id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release := mastering.open_release(id);
    proposal jsonb;
    next jsonb;
BEGIN
    PERFORM mastering.lock_environment(release.target);
    proposal := mastering.make_proposal(release.source, release.target, release.proposal -> 'resolutions');
    IF proposal ->> 'hash' <> release.proposal_hash THEN
        RAISE EXCEPTION 'release % is not what was proposed any more', id
            USING ERRCODE = '40001', DETAIL = 'The source or the target changed since.', HINT = format('SELECT mastering.propose(%L, %L)', release.source, release.target);
    END IF;
    next := mastering.prepare_outputs(release.target, proposal, id);
    UPDATE mastering.release r SET state = 'prepared', proposal = r.proposal || jsonb_build_object('runs', next -> 'runs') WHERE r.release_id = id;
    PERFORM mastering.audit(release.target, 'prepare', jsonb_build_object('release_id', id, 'runs', next -> 'runs'));
END
$$;
COMMENT ON FUNCTION mastering.do_prepare_release(bigint) IS 'Behind prepare_release.';

CREATE FUNCTION mastering.prepare_release(release bigint) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.prepare_release(bigint) IS 'What CALL prepare does, as a function: masters and proves what the target will show, readable in its _next schema.';

CREATE PROCEDURE mastering.prepare(release bigint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mastering.prepare_release(release);
    COMMIT;
END
$$;
COMMENT ON PROCEDURE mastering.prepare(bigint) IS 'Masters and proves what a release will show, readable in the target''s _next schema; kept by content, so that promote finds it.';

CREATE FUNCTION mastering.do_promote_release(id bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release := mastering.open_release(id);
BEGIN
    RETURN mastering.promote_or_record(release.source, release.target, release.message, false, NULL, id, release.proposal_hash, release.proposal -> 'resolutions');
END
$$;
COMMENT ON FUNCTION mastering.do_promote_release(bigint) IS 'Behind promote_release.';

CREATE FUNCTION mastering.promote_release(release bigint) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.promote_release(bigint) IS 'Promotes a release as it was proposed; 40001 where source or target changed since.';

-- ---- and back --------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_rollback(env_name text, to_state text, what_text text, reason text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'admin');
    author mastering.environment := mastering.require_author(env_name);   -- an old state brings SQL text with it
    undone mastering.release;
    wanted mastering.state;
    current mastering.state;
    before text;
    after text;
    id bigint := nextval('mastering.release_id');
    hidden bigint;
BEGIN
    IF what_text IS NULL OR what_text NOT IN ('config', 'all') THEN
        RAISE EXCEPTION 'unknown kind of rollback: "%"', what_text USING ERRCODE = '22023', HINT = 'what is config, which keeps all data, or all.';
    END IF;
    PERFORM mastering.lock_environment(env_name);
    current := mastering.current_state(env_name);
    IF to_state IS NULL THEN
        SELECT * INTO undone FROM mastering.release r WHERE r.target = env_name AND r.kind = 'promotion' AND r.state = 'promoted' AND r.created_at >= env.created_at ORDER BY r.release_id DESC LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'environment "%" has no release to roll back', env_name USING ERRCODE = '55000', HINT = 'Name a state: rollback(env, to_state => ''env@tag'').';
        END IF;
        wanted := mastering.snapshot_state(undone.snapshot_before);
    ELSE
        wanted := mastering.resolve_state(to_state);
        IF wanted.environment <> env_name THEN
            RAISE EXCEPTION 'state "%" is not one of environment "%"', to_state, env_name USING ERRCODE = '55000';
        END IF;
    END IF;
    before := mastering.snapshot_before(env_name, 'before rollback ' || id);
    PERFORM mastering.switch_state(env_name, wanted.tree, CASE what_text WHEN 'all' THEN wanted.bindings ELSE current.bindings END,
                                   CASE what_text WHEN 'all' THEN wanted.data ELSE current.data END, wanted.versions);
    after := mastering.take_snapshot(env_name, 'rollback ' || id, NULL, instead_of => before, like_state => wanted.snapshot);
    -- All releases after the state that is back again are undone, and each artifact that they brought is held.
    UPDATE mastering.release r SET state = 'rolled back', proposal = r.proposal || jsonb_build_object('held', true, 'holds', mastering.brought_by(r))
     WHERE r.target = env_name AND r.kind = 'promotion' AND r.state = 'promoted'
       AND r.finished_at > (SELECT s.created_at FROM mastering.snapshot s WHERE s.hash = wanted.snapshot);
    INSERT INTO mastering.release (release_id, kind, target, state, message, author, finished_at, proposal, snapshot_before, snapshot_after)
    VALUES (id, 'rollback', env_name, 'promoted', reason, mastering.caller(), clock_timestamp(),
            jsonb_strip_nulls(jsonb_build_object('to', wanted.snapshot, 'what', what_text, 'undone', undone.release_id)), before, after);
    PERFORM mastering.audit(env_name, 'rollback', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'undone', undone.release_id, 'to', wanted.snapshot, 'what', what_text, 'reason', reason)));
    PERFORM mastering.notify('rollback', env_name, jsonb_build_object('release_id', id));
    IF what_text = 'config' AND wanted.data <> current.data THEN
        RAISE NOTICE 'data loaded since then are kept; the next run brings the golden records up to date with them'
            USING HINT = format('SELECT mastering.master(%L, ...)', env_name);
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.do_rollback(text, text, text, text) IS 'Behind rollback.';

CREATE FUNCTION mastering.rollback(env text, to_state text DEFAULT NULL, what text DEFAULT 'config', reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.rollback(text, text, text, text) IS 'Back to before the last release, or to a state: configuration and outputs at once, data loaded since stay (what => ''all'' takes them back too). The change is held from being promoted again.';

CREATE FUNCTION mastering.do_release_hold(env_name text, id bigint, held_path text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    UPDATE mastering.release r SET proposal = r.proposal || jsonb_build_object('held', held_path IS NOT NULL AND (r.proposal -> 'holds') - held_path <> '{}',
                                                                                'holds', CASE WHEN held_path IS NULL THEN r.proposal -> 'holds' ELSE (r.proposal -> 'holds') - held_path END)
     WHERE r.release_id = id AND r.target = env_name AND r.proposal ->> 'held' = 'true' AND (held_path IS NULL OR r.proposal -> 'holds' ? held_path);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release % of environment "%" is not held%', id, env_name, coalesce(' at ' || held_path, '') USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.audit(env_name, 'release hold', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'path', held_path)));
END
$$;
COMMENT ON FUNCTION mastering.do_release_hold(text, bigint, text) IS 'Behind release_hold.';

CREATE FUNCTION mastering.release_hold(env text, release bigint, path text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.release_hold(text, bigint, text) IS 'Lets what a release brought, or one artifact of that, be promoted again after it was rolled back.';
-- 63_fork.sql: forks. A fork is an environment of its own that begins as what another is: the same artifacts, and a
-- head row that names the same segments, so that nothing is copied but the definitions of the views. Whoever may
-- not read what a fork is a copy of, may not read the fork: see role_may, reads_origin and revoke_from_copies.

-- Whoever makes something new refer to segments that are there keeps those who clear away what nothing refers to
-- from doing so until it is committed; they take the same lock exclusively, or leave it.
CREATE FUNCTION mastering.keep_storage() RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock_shared(hashtext('mastering.storage'), 0)
$$;
COMMENT ON FUNCTION mastering.keep_storage() IS 'Keeps segments from being cleared away to the end of the transaction: the shared form of the advisory lock (hashtext(''mastering.storage''), 0).';

-- ---- who reads a copy ------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.reads_origin(env_name text, role_name name, wide boolean) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = env_name)
        OR mastering.role_may(role_name, env_name, '{author,curator,reviewer,loader,consumer}',
                              CASE WHEN wide THEN '{author,curator,reviewer,loader}'::text[] ELSE '{author,curator,reviewer,loader,consumer}' END)
$$;
COMMENT ON FUNCTION mastering.reads_origin(text, name, boolean) IS 'Whether a role may read, golden records only or all, what an environment is a copy of; true for what is no copy.';

CREATE FUNCTION mastering.require_origin_reader(env_name text, role_name name, wide boolean) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin text;
BEGIN
    FOR origin IN WITH RECURSIVE o (name) AS (SELECT f.source FROM mastering.fork f WHERE f.environment = env_name
                       UNION SELECT f.source FROM o JOIN mastering.fork f ON f.environment = o.name) SELECT o.name FROM o LOOP
        IF NOT mastering.role_may(role_name, origin, CASE WHEN wide THEN '{author,curator,reviewer,loader}'::text[] ELSE '{author,curator,reviewer,loader,consumer}' END) THEN
            RAISE EXCEPTION 'role "%" may not read environment "%", of which "%" is a fork', role_name, origin, env_name
                USING ERRCODE = '42501', HINT = format('An admin of it can call: SELECT mastering.grant_role(%L, %L, %L)', origin, CASE WHEN wide THEN 'reviewer' ELSE 'consumer' END, role_name);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.require_origin_reader(text, name, boolean) IS 'Raises where an environment is a fork of something that a role may not read.';

CREATE FUNCTION mastering.revoke_from_copies(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
BEGIN
    FOR item IN WITH RECURSIVE copy (name) AS (SELECT f.environment FROM mastering.fork f WHERE f.source = env_name
                    UNION SELECT f.environment FROM copy c JOIN mastering.fork f ON f.source = c.name)
                SELECT c.name AS environment, r.rolname AS role, bool_or(m.role <> 'consumer') AS wide
                  FROM copy c JOIN (SELECT x.environment, x.grantee, x.role FROM mastering.role_map x
                                    UNION ALL SELECT e.name, e.owner, 'admin' FROM mastering.environment e) m ON m.environment = c.name
                  JOIN pg_roles r ON r.rolname = m.grantee GROUP BY 1, 2 LOOP
        CONTINUE WHEN mastering.reads_origin(item.environment, item.role, item.wide);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I, %I FROM %I', item.environment, item.environment || '_next', item.role);
        EXECUTE format('REVOKE USAGE ON SCHEMA %I, %I FROM %I', item.environment, item.environment || '_next', item.role);
    END LOOP;
    FOR item IN SELECT s.schema_name, r.rolname AS role FROM mastering.snapshot_schema s JOIN pg_roles r ON r.rolname = s.reader JOIN mastering.environment e ON e.name = s.environment
                 WHERE (s.environment = env_name OR s.environment IN (
                            WITH RECURSIVE copy (name) AS (SELECT f.environment FROM mastering.fork f WHERE f.source = env_name
                                UNION SELECT f.environment FROM copy c JOIN mastering.fork f ON f.source = c.name) SELECT c.name FROM copy c))
                   AND to_regnamespace(quote_ident(s.schema_name)) IS NOT NULL AND s.created_at >= e.created_at
                   AND NOT mastering.role_may(r.rolname, s.environment, '{author,curator,reviewer,loader}') LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', item.schema_name, item.role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.revoke_from_copies(text) IS 'Takes the views of an environment''s forks and snapshot schemas from those who may not read the environment any more.';

CREATE FUNCTION mastering.grant_copies(env_name text, role_name name) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.apply_grants(c.name)
      FROM (WITH RECURSIVE copy (name) AS (SELECT f.environment FROM mastering.fork f WHERE f.source = env_name
                UNION SELECT f.environment FROM copy c JOIN mastering.fork f ON f.source = c.name) SELECT c.name FROM copy c) c
     WHERE EXISTS (SELECT FROM (SELECT e.owner FROM mastering.environment e WHERE e.name = c.name UNION ALL SELECT m.grantee FROM mastering.role_map m WHERE m.environment = c.name) r (role)
                    JOIN pg_roles x ON x.rolname = r.role WHERE pg_has_role(x.oid, role_name, 'USAGE') AND NOT x.rolsuper)
$$;
COMMENT ON FUNCTION mastering.grant_copies(text, name) IS 'Gives the views of an environment''s forks back to those who may read the environment again.';

-- ---- making one ------------------------------------------------------------------------------------------------------

-- All views of a schema that has none yet, in one go; with suffix _input those of a schema in preparation.
CREATE FUNCTION mastering.make_views(schema_name text, tree jsonb, versions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    names text[] := '{}';
    definitions text[] := '{}';
    stores jsonb;
BEGIN
    FOR item IN SELECT e.name, coalesce(mastering.artifact_at(versions -> e.name -> 'tree', mastering.path('entity', e.name)),
                                        mastering.artifact_at(tree, mastering.path('entity', e.name))) AS entity
                  FROM mastering.entities_of(tree) e (name) LOOP
        SELECT jsonb_object_agg(k.kind, coalesce((versions -> (item.name || CASE k.kind WHEN 'golden' THEN '' ELSE '_' || k.kind END) ->> 'store')::int,
                                                 mastering.entity_store(k.kind, item.name, item.entity))) INTO stores
          FROM unnest('{records,members,golden,lineage,history}'::text[]) k (kind);
        names := names || ARRAY[item.name, item.name || '_members', item.name || '_lineage', item.name || '_history', item.name || '_records'];
        definitions := definitions || ARRAY[
            mastering.view_query(schema_name, item.name, item.entity, '', (stores ->> 'golden')::int),
            mastering.view_query(schema_name, item.name, item.entity, '_members', (stores ->> 'members')::int),
            mastering.view_query(schema_name, item.name, item.entity, '_lineage', (stores ->> 'lineage')::int),
            mastering.view_query(schema_name, item.name, item.entity, '_history', (stores ->> 'history')::int),
            mastering.view_query(schema_name, item.name, item.entity, '_records', (stores ->> 'records')::int, (stores ->> 'members')::int)];
    END LOOP;
    FOR i IN 1..coalesce(cardinality(names), 0) LOOP
        EXECUTE format('CREATE VIEW %I.%I AS %s', schema_name, names[i], definitions[i]);
    END LOOP;
    INSERT INTO mastering.environment_view (environment, view_name, definition) SELECT schema_name, u.n, u.d FROM unnest(names, definitions) u (n, d);
END
$$;
COMMENT ON FUNCTION mastering.make_views(text, jsonb, jsonb) IS 'Makes the views of all entities of a state in a schema that has none.';

-- A fork is made without the views of its _next schema; the first run that looks beyond its own entity makes them.
CREATE FUNCTION mastering.complete_next_views(env_name text, tree jsonb, versions jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text;
    changed boolean := false;
BEGIN
    FOR entity_name IN SELECT e.name FROM mastering.entities_of(tree) e (name)
                        WHERE NOT EXISTS (SELECT FROM mastering.environment_view v WHERE v.environment = env_name || '_next' AND v.view_name = e.name) LOOP
        changed := mastering.sync_entity_views(env_name || '_next', entity_name, mastering.artifact_at(tree, mastering.path('entity', entity_name)), versions) OR changed;
    END LOOP;
    IF changed THEN
        PERFORM mastering.apply_grants(env_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.complete_next_views(text, jsonb, jsonb) IS 'Makes the views that an environment''s _next schema lacks.';

CREATE FUNCTION mastering.do_fork_environment(state_name text, fork_name text, time_to_live interval, owner_name name) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    origin mastering.state;
    owner name;
    base text;
BEGIN
    PERFORM mastering.keep_storage();
    origin := mastering.resolve_state(state_name);
    IF time_to_live <= interval '0' THEN
        RAISE EXCEPTION 'a fork cannot live for %', time_to_live USING ERRCODE = '22023', HINT = 'Write ttl => ''3 days'', or leave it out for a fork that does not expire.';
    END IF;
    -- What others wrote must not come to run as a superuser.
    SELECT CASE WHEN r.rolsuper THEN e.owner::name ELSE r.rolname END INTO owner
      FROM pg_roles r, mastering.environment e WHERE r.rolname = mastering.caller() AND e.name = origin.environment;
    owner := coalesce(owner_name, owner);
    PERFORM mastering.do_create_environment(fork_name, origin.environment, owner);
    base := mastering.snapshot_of(origin, 'forked as ' || fork_name);
    INSERT INTO mastering.fork (environment, source, base, expires_at, created_by)
    VALUES (fork_name, origin.environment, base, clock_timestamp() + time_to_live, mastering.caller());
    PERFORM mastering.require_origin_reader(fork_name, owner, true);
    UPDATE mastering.configuration c SET tree = origin.tree, bindings = origin.bindings, data = origin.data, snapshot = base WHERE c.environment = fork_name;
    UPDATE mastering.head h SET versions = origin.versions, generation = nextval('mastering.head_generation') WHERE h.environment = fork_name;
    -- Granted as they are made: one by one takes longer than making them.
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', fork_name, owner);
    PERFORM mastering.make_views(fork_name, origin.tree, origin.versions);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE SELECT ON TABLES FROM %I', fork_name, owner);
    PERFORM mastering.audit(fork_name, 'fork', jsonb_strip_nulls(jsonb_build_object('source', origin.environment, 'base', base, 'ttl', time_to_live)));
END
$$;
COMMENT ON FUNCTION mastering.do_fork_environment(text, text, interval, name) IS 'Behind fork_environment.';

CREATE FUNCTION mastering.fork_environment(source text, name text, ttl interval DEFAULT NULL, owner name DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.fork_environment(text, text, interval, name) IS 'A copy of an environment, or of any state, that shares all data with it and belongs to its maker alone: promote(fork, source) merges it back. ttl: how long it is wanted.';

CREATE FUNCTION mastering.do_extend_fork(fork_name text, time_to_live interval) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(fork_name, 'admin');
    IF time_to_live <= interval '0' THEN
        RAISE EXCEPTION 'a fork cannot live for %', time_to_live USING ERRCODE = '22023', HINT = format('SELECT mastering.drop_environment(%L)', fork_name);
    END IF;
    PERFORM mastering.lock_environment(fork_name);
    UPDATE mastering.fork f SET expires_at = clock_timestamp() + time_to_live WHERE f.environment = fork_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'environment "%" is not a fork', fork_name USING ERRCODE = '42809';
    END IF;
    PERFORM mastering.audit(fork_name, 'extend fork', jsonb_strip_nulls(jsonb_build_object('ttl', time_to_live)));
END
$$;
COMMENT ON FUNCTION mastering.do_extend_fork(text, interval) IS 'Behind extend_fork.';

CREATE FUNCTION mastering.extend_fork(fork text, ttl interval DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.extend_fork(text, interval) IS 'Lets a fork live for this long from now, or without end.';

-- ---- dropping those that are not wanted any more -----------------------------------------------------------------------

-- Some at a time: each takes a lock for each of its views. One that is in use is left for the next call.
CREATE FUNCTION mastering.drop_forks(expired_only boolean, by_caller boolean, dry_run boolean, at_most int)
RETURNS TABLE (fork text, source text, owner text, expires_at timestamptz, dropped boolean, reason text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    left_to_drop int := at_most;
    was_last mastering.environment;
BEGIN
    FOR fork, source, owner, expires_at IN
        SELECT f.environment, f.source, e.owner, f.expires_at FROM mastering.fork f JOIN mastering.environment e ON e.name = f.environment
         WHERE (NOT expired_only OR f.expires_at <= clock_timestamp())
           AND (NOT by_caller OR mastering.may(f.environment, 'admin') OR mastering.may(f.source, 'admin'))
         ORDER BY f.expires_at, f.environment DESC LOOP
        dropped := false;
        reason := NULL;
        IF left_to_drop <= 0 THEN
            reason := 'left for the next call';
        ELSIF NOT dry_run THEN
            BEGIN
                PERFORM set_config('lock_timeout', '100ms', true);
                PERFORM mastering.drop_environment_now(fork);
                dropped := true;
            EXCEPTION WHEN lock_not_available OR dependent_objects_still_exist OR deadlock_detected THEN
                reason := SQLERRM;
            END;
            PERFORM set_config('lock_timeout', patience, true);
        END IF;
        left_to_drop := left_to_drop - 1;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.drop_forks(boolean, boolean, boolean, int) IS 'Drops forks that have expired, all or those that the caller may drop; what is in use or has something depending on it is left.';

CREATE FUNCTION mastering.do_drop_expired_forks(dry_run boolean, at_most int)
RETURNS TABLE (fork text, source text, owner text, expires_at timestamptz, dropped boolean, reason text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Memberships in roles come and go without our being asked.
    PERFORM mastering.revoke_from_copies(o.source) FROM (SELECT DISTINCT f.source FROM mastering.fork f UNION SELECT s.environment FROM mastering.snapshot_schema s) o (source)
      WHERE mastering.may(o.source, 'admin') AND NOT coalesce(dry_run, false);
    RETURN QUERY SELECT * FROM mastering.drop_forks(true, true, coalesce(dry_run, false), coalesce(at_most, 20));
END
$$;
COMMENT ON FUNCTION mastering.do_drop_expired_forks(boolean, int) IS 'Behind drop_expired_forks.';

CREATE FUNCTION mastering.drop_expired_forks(dry_run boolean DEFAULT false, at_most int DEFAULT 20)
RETURNS TABLE (fork text, source text, owner text, expires_at timestamptz, dropped boolean, reason text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_expired_forks(boolean, int) IS 'Drops the expired forks that are the caller''s, or of environments that the caller is admin of, up to 20 a call; says which were left and why.';

CREATE VIEW mastering.forks WITH (security_barrier) AS
    SELECT f.environment AS name, f.source, '#' || left(f.base, 12) AS base, e.owner, f.created_by, f.created_at, f.expires_at, coalesce(f.expires_at <= clock_timestamp(), false) AS expired
      FROM mastering.fork f JOIN mastering.environment e ON e.name = f.environment
     WHERE mastering.visible(f.environment, f.created_at) OR mastering.visible(f.source, f.created_at);
COMMENT ON VIEW mastering.forks IS 'The forks that the current user may see: one''s own and those of environments that one works in.';
GRANT SELECT ON mastering.forks TO PUBLIC;
-- 64_merge.sql: the three-way merge behind a promotion, by artifact.
--
-- base: the newest state that both sides have in common. Snapshots name what they were made of (parents): the one
-- before, the states that were merged into it, or, after a rollback or a restore, the state that was gone back to.
-- For the target that graph is what it has taken in. The source has had, beside that, every state that it was ever in.
-- Finding the base on that graph is Git's way (best common ancestor); merging by path is that of lakeFS and Nessie.
--
-- What both changed since is a conflict; what was rolled back in the target is held. Either needs a decision for the
-- path: ours (the target's), theirs (the source's), later (left out, and proposed again next time) or a document.

CREATE FUNCTION mastering.ancestors(begun_from text[], not_before timestamptz) RETURNS TABLE (hash text, environment text, created_at timestamptz, complete boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE a AS (
        SELECT s.hash, s.environment, s.created_at, s.parents FROM mastering.snapshot s WHERE s.hash = ANY (begun_from)
        UNION
        SELECT s.hash, s.environment, s.created_at, s.parents FROM a CROSS JOIN LATERAL unnest(a.parents) p (hash) JOIN mastering.snapshot s ON s.hash = p.hash
         WHERE s.created_at >= not_before)
    SELECT a.hash, a.environment, a.created_at, NOT EXISTS (SELECT FROM unnest(a.parents) p (hash) WHERE NOT EXISTS (SELECT FROM mastering.snapshot s WHERE s.hash = p.hash)) FROM a
$$;
COMMENT ON FUNCTION mastering.ancestors(text[], timestamptz) IS 'Snapshots and what they were made of, as far back as a time. complete: none of a snapshot''s parents is gone.';

CREATE FUNCTION mastering.begun_from(state mastering.state) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_remove(array_agg(DISTINCT h.hash), NULL) FROM (
        SELECT state.snapshot UNION ALL
        SELECT s.hash FROM mastering.side_snapshot s JOIN mastering.configuration c ON c.environment = s.environment
         WHERE s.environment = state.environment AND c.snapshot IS NOT DISTINCT FROM state.snapshot) h (hash)
$$;
COMMENT ON FUNCTION mastering.begun_from(mastering.state) IS 'The snapshots that a state goes on from.';

-- The walk goes back as far as what is known to be common, and further only where that is not common any more.
CREATE FUNCTION mastering.merge_base(source mastering.state, target mastering.state) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    floors timestamptz[];
    floor timestamptz;
    last mastering.release := mastering.last_promotion(source.environment, target.environment);
    source_began timestamptz := (SELECT e.created_at FROM mastering.environment e WHERE e.name = source.environment);
    base text;
    complete boolean;
BEGIN
    SELECT array_agg(k.at ORDER BY k.at DESC) INTO floors FROM (
        SELECT s.created_at FROM mastering.fork f JOIN mastering.snapshot s ON s.hash = f.base
         WHERE (f.environment = source.environment AND f.source = target.environment) OR (f.environment = target.environment AND f.source = source.environment)
        UNION ALL SELECT s.created_at FROM mastering.snapshot s WHERE s.hash = last.proposal ->> 'source_snapshot') k (at);
    FOREACH floor IN ARRAY floors[1:1] || '-infinity'::timestamptz LOOP
        SELECT t.hash INTO base FROM mastering.ancestors(mastering.begun_from(target), floor) t
         WHERE (t.environment = source.environment AND t.created_at >= source_began)
            OR t.hash IN (SELECT s.hash FROM mastering.ancestors(mastering.begun_from(source), floor) s)
         ORDER BY t.created_at DESC LIMIT 1;
        EXIT WHEN base IS NOT NULL;
    END LOOP;
    IF base IS NOT NULL THEN
        RETURN (SELECT s.tree FROM mastering.snapshot s WHERE s.hash = base);
    END IF;
    -- Snapshots may have been cleared away; the last release between the two knows what it took.
    SELECT bool_and(t.complete) INTO complete FROM mastering.ancestors(mastering.begun_from(target), '-infinity') t;
    RETURN CASE WHEN complete THEN '{}' ELSE coalesce(last.source_tree, '{}') END;
END
$$;
COMMENT ON FUNCTION mastering.merge_base(mastering.state, mastering.state) IS 'The tree of the newest state that source and target have in common; an empty one where there is none.';

CREATE FUNCTION mastering.base_tree(theirs mastering.state, ours mastering.state) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (mastering.merge_base(theirs, ours) || coalesce(jsonb_object_agg(l.path, l.base) FILTER (WHERE l.base IS NOT NULL), '{}'))
           - coalesce(array_agg(l.path) FILTER (WHERE l.base IS NULL), '{}')
      FROM mastering.left_out l WHERE l.source = theirs.environment AND l.target = ours.environment
$$;
COMMENT ON FUNCTION mastering.base_tree(mastering.state, mastering.state) IS 'What each artifact was when source and target last agreed on it.';

-- ---- what was rolled back is held --------------------------------------------------------------------------------------

CREATE FUNCTION mastering.brought_by(release mastering.release) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(m.path, m.after), '{}')
      FROM mastering.snapshot a, mastering.snapshot b, mastering.merge_trees(a.tree, a.tree, b.tree) m WHERE a.hash = release.snapshot_before AND b.hash = release.snapshot_after
$$;
COMMENT ON FUNCTION mastering.brought_by(mastering.release) IS 'What a release made of its target: path -> hash of the artifact, null where it was removed.';

CREATE FUNCTION mastering.holds_of(target_name text) RETURNS TABLE (path text, hash text, release_id bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT ON (h.key, h.value) h.key, h.value, r.release_id
      FROM mastering.release r CROSS JOIN LATERAL jsonb_each_text(coalesce(r.proposal -> 'holds', '{}')) h
     WHERE r.target = target_name AND r.state = 'rolled back' AND r.proposal ->> 'held' = 'true'
       AND r.created_at >= (SELECT e.created_at FROM mastering.environment e WHERE e.name = target_name)
     ORDER BY h.key, h.value, r.release_id DESC
$$;
COMMENT ON FUNCTION mastering.holds_of(text) IS 'The artifacts that may not come into an environment, each until its release''s hold is released.';

CREATE FUNCTION mastering.require_not_held(target_name text, proposal jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held record;
BEGIN
    SELECT string_agg(format('%s (release %s)', h.key, h.value), ', ' ORDER BY h.key) AS paths, jsonb_object_agg(h.key, 'later') AS later, max(h.value::bigint) AS release_id INTO held
      FROM jsonb_each_text(proposal -> 'held') h;
    IF held.paths IS NOT NULL THEN
        RAISE EXCEPTION 'this change of environment "%" was rolled back and is held', target_name
            USING ERRCODE = '55000', DETAIL = format('Held: %s.', held.paths),
                  HINT = format('SELECT mastering.release_hold(%L, %s) lets it pass again; promote(..., resolve => %L) goes without it.', target_name, held.release_id,
                                held.later);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_not_held(text, jsonb) IS 'Raises where a part of a change was rolled back and not released since.';

-- ---- the proposal ----------------------------------------------------------------------------------------------------

-- resolutions: path -> {"take", "hash"}. One that was stored with a release tells what it decided between, too; that is
-- part of the hash, so that another change of the same path is not decided by it.
CREATE FUNCTION mastering.make_proposal(source_name text, target_name text, resolutions jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source mastering.state := mastering.resolve_state(source_name);
    target mastering.state := mastering.current_state(target_name);
    base jsonb;
    tree jsonb := target.tree;
    changes jsonb := '[]';
    conflicts text[] := '{}';
    held jsonb := '{}';
    resolved jsonb := '{}';
    item record;
    resolution jsonb;
    holds jsonb;
    content text;
BEGIN
    PERFORM mastering.require_order(source.environment, target_name);
    base := mastering.base_tree(source, target);
    SELECT coalesce(jsonb_object_agg(h.path || E'\n' || coalesce(h.hash, ''), h.release_id), '{}') INTO holds FROM mastering.holds_of(target_name) h;
    FOR item IN SELECT m.*, holds -> (m.path || E'\n' || coalesce(m.after, '')) AS held_by FROM mastering.merge_trees(base, target.tree, source.tree) m ORDER BY m.path LOOP
        resolution := resolutions -> item.path;
        content := CASE resolution ->> 'take' WHEN 'ours' THEN item.before WHEN 'later' THEN item.before WHEN 'content' THEN resolution ->> 'hash' ELSE item.after END;
        IF resolution IS NOT NULL THEN
            resolved := resolved || jsonb_build_object(item.path, jsonb_build_object('take', resolution -> 'take', 'base', base -> item.path, 'ours', item.before, 'theirs', item.after, 'hash', content));
            IF content IS NOT NULL AND holds ? (item.path || E'\n' || content) AND content IS DISTINCT FROM item.before THEN
                held := held || jsonb_build_object(item.path, holds -> (item.path || E'\n' || content));
            END IF;
        ELSE
            IF item.conflict THEN
                conflicts := conflicts || item.path;
            END IF;
            IF item.held_by IS NOT NULL THEN
                held := held || jsonb_build_object(item.path, item.held_by);
            END IF;
        END IF;
        CONTINUE WHEN content IS NOT DISTINCT FROM item.before;
        tree := CASE WHEN content IS NULL THEN tree - item.path ELSE tree || jsonb_build_object(item.path, content) END;
        changes := changes || (jsonb_build_object('path', item.path, 'change', CASE WHEN item.before IS NULL THEN 'added' WHEN content IS NULL THEN 'removed' ELSE 'changed' END)
                               || CASE WHEN resolution IS NULL THEN '{}' ELSE jsonb_build_object('resolved', resolution -> 'take') END);
    END LOOP;
    IF EXISTS (SELECT FROM jsonb_object_keys(resolutions) r WHERE NOT resolved ? r AND NOT (resolutions -> r) ? 'base') THEN
        RAISE EXCEPTION 'there is nothing to resolve at path "%"', (SELECT min(r) FROM jsonb_object_keys(resolutions) r WHERE NOT resolved ? r AND NOT (resolutions -> r) ? 'base')
            USING ERRCODE = '22023', DETAIL = format('A promotion from "%s" to "%s" does not change it.', source_name, target_name),
                  HINT = format('SELECT * FROM mastering.merge_conflicts(%L, %L)', source_name, target_name);
    END IF;
    RETURN jsonb_build_object('tree', tree, 'changes', changes, 'conflicts', to_jsonb(conflicts), 'held', held, 'source', source_name, 'source_tree', source.tree,
        'bindings', (SELECT coalesce(jsonb_object_agg(b.key, b.value), '{}') FROM jsonb_each(source.bindings) b WHERE NOT target.bindings ? b.key),
        'hash', mastering.json_hash(jsonb_build_object('target', target_name, 'from', target.tree, 'tree', tree, 'resolved', resolved)), 'resolutions', resolved);
END
$$;
COMMENT ON FUNCTION mastering.make_proposal(text, text, jsonb) IS 'What a promotion would change: the merged tree, the changes by path, what is in conflict or held, new bindings.';

-- After a promotion the two agree, but for what was left for later.
CREATE FUNCTION mastering.note_left_out(source_name text, target_name text, proposal jsonb) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM mastering.left_out l WHERE l.source = source_name AND l.target = target_name AND NOT coalesce(proposal -> 'resolutions' -> l.path ->> 'take' = 'later', false);
    INSERT INTO mastering.left_out (source, target, path, base)
    SELECT source_name, target_name, r.key, r.value ->> 'base' FROM jsonb_each(proposal -> 'resolutions') r WHERE r.value ->> 'take' = 'later' ON CONFLICT DO NOTHING;
$$;
COMMENT ON FUNCTION mastering.note_left_out(text, text, jsonb) IS 'Remembers what a promotion left for later, and forgets what it did not.';

-- ---- resolving -------------------------------------------------------------------------------------------------------

-- A document that somebody gives is set by the function that sets such artifacts, whose checks and rights are the
-- right ones, and taken back again.
CREATE FUNCTION mastering.checked_artifact(env_name text, path text, content jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entity_name text := mastering.step(path, 2);
    kind text := mastering.step(path, 3);
    item text := mastering.step(path, 4);
    stored jsonb;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    BEGIN
        IF path NOT LIKE 'entity/%' OR kind NOT IN ('', 'source', 'blocking', 'comparisons', 'clustering', 'survivorship', 'model', 'check') OR jsonb_typeof(content) NOT IN ('object', 'array') THEN
            RAISE EXCEPTION 'no document can be given for path "%"', path USING ERRCODE = '22023', HINT = 'Take "ours", "theirs" or "later".';
        END IF;
        CASE kind
            WHEN '' THEN PERFORM mastering.do_define_entity(env_name, entity_name, (SELECT json_object_agg(a.value ->> 'name', a.value ->> 'type' ORDER BY a.ordinality) FROM jsonb_array_elements(content -> 'attributes') WITH ORDINALITY a));
            WHEN 'source' THEN PERFORM mastering.do_map_source(env_name, entity_name, item, (mastering.configuration_of(env_name)).bindings ->> mastering.path(entity_name, item),
                                           (SELECT string_agg(quote_ident(k.value), ', ' ORDER BY k.ordinality) FROM jsonb_array_elements_text(content -> 'key') WITH ORDINALITY k), (content -> 'mapping')::json);
            WHEN 'blocking' THEN PERFORM mastering.do_set_blocking(env_name, entity_name, content);
            WHEN 'comparisons' THEN PERFORM mastering.do_set_comparisons(env_name, entity_name, content);
            WHEN 'clustering' THEN PERFORM mastering.do_set_clustering(env_name, entity_name, content);
            WHEN 'survivorship' THEN PERFORM mastering.do_set_survivorship(env_name, entity_name, content);
            WHEN 'model' THEN PERFORM mastering.do_set_model(env_name, entity_name, coalesce(content -> 'model', content));
            WHEN 'check' THEN PERFORM mastering.do_add_check(env_name, entity_name, item, content ->> 'query', coalesce(content ->> 'severity', 'error'), coalesce(content ->> 'stage', 'promote'));
        END CASE;
        stored := mastering.artifact_at((mastering.configuration_of(env_name)).tree, path);
        RAISE EXCEPTION 'taken back' USING ERRCODE = 'MD001';
    EXCEPTION WHEN SQLSTATE 'MD001' THEN
        NULL;
    END;
    IF kind = 'model' AND content ? 'spec' AND jsonb_typeof(content -> 'spec') = 'string' THEN
        stored := stored || jsonb_build_object('spec', content -> 'spec');
    END IF;
    INSERT INTO mastering.artifact (hash, content) VALUES (mastering.json_hash(stored), stored) ON CONFLICT DO NOTHING;
    RETURN mastering.json_hash(stored);
END
$$;
COMMENT ON FUNCTION mastering.checked_artifact(text, text, jsonb) IS 'Stores a document for a path after the checks that setting it in an environment would make, and sets it nowhere.';

CREATE FUNCTION mastering.stored_resolutions(target_name text, resolve jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item record;
    result jsonb := '{}';
BEGIN
    IF resolve IS NOT NULL AND jsonb_typeof(resolve) <> 'object' THEN
        RAISE EXCEPTION 'resolutions are an object of paths' USING ERRCODE = '22023', HINT = 'Write {"entity/customer/survivorship": "theirs"}.';
    END IF;
    FOR item IN SELECT r.key, r.value, r.value #>> '{}' AS word FROM jsonb_each(resolve) r LOOP
        IF jsonb_typeof(item.value) = 'string' AND item.word IN ('ours', 'theirs', 'later') THEN
            result := result || jsonb_build_object(item.key, jsonb_build_object('take', item.word));
        ELSIF jsonb_typeof(item.value) IN ('object', 'array') THEN
            result := result || jsonb_build_object(item.key, jsonb_build_object('take', 'content', 'hash', mastering.checked_artifact(target_name, item.key, item.value)));
        ELSE
            RAISE EXCEPTION 'unknown resolution of path "%": %', item.key, item.value USING ERRCODE = '22023', HINT = 'It is "ours", "theirs", "later" or a document.';
        END IF;
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.stored_resolutions(text, jsonb) IS 'Resolutions as a proposal takes them: path -> {"take", "hash"}.';

CREATE FUNCTION mastering.do_resolve_conflict(id bigint, conflict_path text, resolution jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    release mastering.release := mastering.open_release(id);
    resolutions jsonb := coalesce(release.proposal -> 'resolutions', '{}') - conflict_path;
    proposal jsonb;
BEGIN
    PERFORM FROM mastering.release r WHERE r.release_id = id FOR UPDATE;
    IF resolution IS NOT NULL THEN
        resolutions := resolutions || mastering.stored_resolutions(release.target, jsonb_build_object(conflict_path, resolution));
    END IF;
    proposal := mastering.make_proposal(release.source, release.target, resolutions);
    UPDATE mastering.release r SET state = 'proposed', source_tree = work.proposal -> 'source_tree', proposal = work.proposal - 'source_tree', proposal_hash = work.proposal ->> 'hash'
     WHERE r.release_id = id;
    PERFORM mastering.audit(release.target, 'resolve conflict', jsonb_build_object('release_id', id, 'path', conflict_path, 'resolution', resolution, 'hash', proposal -> 'hash'));
END
$$;
COMMENT ON FUNCTION mastering.do_resolve_conflict(bigint, text, jsonb) IS 'Behind resolve_conflict.';

CREATE FUNCTION mastering.resolve_conflict(release bigint, path text, resolution jsonb) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.resolve_conflict(bigint, text, jsonb) IS 'Decides one path of a proposed release: ''"ours"'' (the target''s stays), ''"theirs"'' (the source''s comes), ''"later"'' (left out this time), or the document that it shall be; NULL takes a decision back.';

-- ---- looking -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.conflicts_of(source_name text, target_name text, resolutions jsonb)
RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb, resolution text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target mastering.state;
    proposal jsonb;
    base_tree jsonb;
BEGIN
    PERFORM mastering.require(target_name, 'reviewer', 'author', 'curator');
    proposal := mastering.make_proposal(source_name, target_name);
    target := mastering.current_state(target_name);
    base_tree := mastering.base_tree(mastering.resolve_state(source_name), target);
    RETURN QUERY
    SELECT p.path, concat_ws(', and ', CASE WHEN proposal -> 'conflicts' ? p.path THEN 'both changed it' END, 'held since release ' || (proposal -> 'held' ->> p.path) || ' was rolled back'),
           mastering.artifact_at(base_tree, p.path), mastering.artifact_at(target.tree, p.path), mastering.artifact_at(proposal -> 'source_tree', p.path),
           resolutions -> p.path ->> 'take'
      FROM (SELECT jsonb_array_elements_text(proposal -> 'conflicts') UNION SELECT jsonb_object_keys(proposal -> 'held') UNION SELECT jsonb_object_keys(resolutions)) p (path)
     ORDER BY p.path;
END
$$;
COMMENT ON FUNCTION mastering.conflicts_of(text, text, jsonb) IS 'What in a promotion needs a decision, and what was decided.';

CREATE FUNCTION mastering.do_merge_conflicts(source_name text, target_name text)
RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.path, c.reason, c.base, c.ours, c.theirs FROM mastering.conflicts_of(source_name, target_name, '{}') c
$$;
COMMENT ON FUNCTION mastering.do_merge_conflicts(text, text) IS 'Behind merge_conflicts.';

CREATE FUNCTION mastering.merge_conflicts(source text, target text) RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.merge_conflicts(text, text) IS 'The artifacts that a promotion cannot bring without a decision: what they were when both sides agreed, are in the target (ours) and in the source (theirs).';

CREATE FUNCTION mastering.do_merge_conflicts(id bigint)
RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb, resolution text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release;
BEGIN
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id AND r.state IN ('proposed', 'prepared');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'release % is not one that is still to come', id USING ERRCODE = '42704', HINT = 'SELECT release_id FROM mastering.releases WHERE state IN (''proposed'', ''prepared'')';
    END IF;
    RETURN QUERY SELECT * FROM mastering.conflicts_of(release.source, release.target, coalesce(release.proposal -> 'resolutions', '{}'));
END
$$;
COMMENT ON FUNCTION mastering.do_merge_conflicts(bigint) IS 'Behind merge_conflicts of a release.';

CREATE FUNCTION mastering.merge_conflicts(release bigint) RETURNS TABLE (path text, reason text, base jsonb, ours jsonb, theirs jsonb, resolution text)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.merge_conflicts(bigint) IS 'What in a proposed release needs a decision, and what resolve_conflict decided.';
-- 65_time_travel.sql: back to any state, a look at any state, and the proof that history is what it was.

-- ---- restore ---------------------------------------------------------------------------------------------------------

-- A fork shows what it is a copy of, to those who may read that; other data do not get into it.
CREATE FUNCTION mastering.require_same_readers(env_name text, origin text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM mastering.fork f WHERE f.environment = env_name) AND origin <> env_name
       AND NOT EXISTS (WITH RECURSIVE o (name) AS (SELECT f.source FROM mastering.fork f WHERE f.environment = env_name
                           UNION SELECT f.source FROM o JOIN mastering.fork f ON f.environment = o.name) SELECT FROM o WHERE o.name = origin) THEN
        RAISE EXCEPTION 'environment "%" is not a fork of "%"', env_name, origin
            USING ERRCODE = '42501', DETAIL = 'Who may read it may not be one who may read that.', HINT = format('SELECT mastering.fork_environment(%L, ...)', origin);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_same_readers(text, text) IS 'Raises where a fork would get to hold what is not its source''s.';

CREATE FUNCTION mastering.do_restore(env_name text, state_name text, message_text text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'admin');
    author mastering.environment := mastering.require_author(env_name);   -- the state brings SQL text with it
    wanted mastering.state;
    current mastering.state;
    like_state text;
    before text;
    after text;
    id bigint;
BEGIN
    PERFORM mastering.keep_storage();
    PERFORM mastering.lock_environment(env_name);
    wanted := mastering.resolve_state(state_name);
    PERFORM mastering.require_same_readers(env_name, wanted.environment);
    current := mastering.current_state(env_name);
    before := mastering.snapshot_before(env_name, 'before restore');
    like_state := mastering.snapshot_of(wanted, 'restored in ' || env_name);
    IF wanted.tree = current.tree AND wanted.data = current.data AND wanted.versions = current.versions THEN
        RETURN '#' || left(before, 12);
    END IF;
    id := nextval('mastering.release_id');
    -- What a source is bound to is each environment's own.
    PERFORM mastering.switch_state(env_name, wanted.tree, wanted.bindings || current.bindings, wanted.data, wanted.versions);
    after := mastering.take_snapshot(env_name, 'restore ' || id || ' of ' || state_name, NULL, instead_of => before, like_state => like_state);
    UPDATE mastering.release r SET state = 'replaced' WHERE r.target = env_name AND r.kind = 'promotion' AND r.state = 'promoted' AND r.created_at >= env.created_at;
    INSERT INTO mastering.release (release_id, kind, source, target, state, message, author, finished_at, proposal, snapshot_before, snapshot_after)
    VALUES (id, 'restore', wanted.environment, env_name, 'promoted', message_text, mastering.caller(), clock_timestamp(),
            jsonb_build_object('to', like_state, 'changes', (SELECT coalesce(jsonb_agg(jsonb_build_object('path', m.path, 'change',
                CASE WHEN m.before IS NULL THEN 'added' WHEN m.after IS NULL THEN 'removed' ELSE 'changed' END) ORDER BY m.path), '[]') FROM mastering.merge_trees(current.tree, current.tree, wanted.tree) m)), before, after);
    PERFORM mastering.audit(env_name, 'restore', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'state', state_name, 'to', like_state, 'before', before, 'message', message_text)));
    PERFORM mastering.notify('restore', env_name, jsonb_build_object('release_id', id));
    RETURN '#' || left(before, 12);
END
$$;
COMMENT ON FUNCTION mastering.do_restore(text, text, text) IS 'Behind restore.';

CREATE FUNCTION mastering.restore(env text, state text, message text DEFAULT NULL) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.restore(text, text, text) IS 'Makes an environment what any state of any environment was: configuration, data and outputs; the relations that its sources are bound to stay its own. Returns the name of the state that it was in before, which restore takes again.';

-- ---- schemas of views on a state ------------------------------------------------------------------------------------

-- The views name their segments themselves, so that the schema needs nothing but its views and is dropped like any.
CREATE FUNCTION mastering.frozen_query(query text, schema_name text, relation text, alias text, version jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT replace(query, format('mastering.in_version(%s, %s."#segment", %s."#row")', mastering.versioned_name(schema_name, relation), alias, alias),
                   CASE WHEN version IS NULL THEN 'false' ELSE mastering.version_condition(version, alias) END)
$$;
COMMENT ON FUNCTION mastering.frozen_query(text, text, text, text, jsonb) IS 'A view''s SELECT with one version in the place of what an environment shows.';

CREATE FUNCTION mastering.do_create_snapshot_schema(state_name text, new_schema text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state mastering.state;
    frozen text;
    item record;
    kind text;
    stores jsonb;
    query text;
BEGIN
    PERFORM mastering.keep_storage();
    state := mastering.resolve_state(state_name);
    IF NOT has_database_privilege(mastering.caller(), current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'permission denied to create a schema'
            USING ERRCODE = '42501', DETAIL = format('Role "%s" may not create schemas in this database.', mastering.caller());
    END IF;
    IF new_schema IS NULL OR new_schema = '' OR octet_length(new_schema) > 63 OR new_schema ~ '^pg_' THEN
        RAISE EXCEPTION 'invalid name of a schema: "%"', new_schema USING ERRCODE = '42602', DETAIL = 'It has 1 to 63 bytes and does not begin with pg_.';
    END IF;
    frozen := mastering.snapshot_of(state, 'shown as ' || new_schema);
    EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', new_schema, mastering.caller());
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', new_schema, format('State %s of environment %s', '#' || frozen, state.environment));
    DELETE FROM mastering.snapshot_schema s WHERE s.schema_name = new_schema;    -- of one that was dropped
    INSERT INTO mastering.snapshot_schema (schema_name, environment, snapshot, reader) VALUES (new_schema, state.environment, frozen, mastering.caller());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', new_schema, mastering.caller());
    FOR item IN SELECT e.name, coalesce(mastering.artifact_at(state.versions -> e.name -> 'tree', mastering.path('entity', e.name)),
                                        mastering.artifact_at(state.tree, mastering.path('entity', e.name))) AS entity
                  FROM mastering.entities_of(state.tree) e (name) LOOP
        SELECT jsonb_object_agg(k.kind, coalesce((state.versions -> (item.name || CASE k.kind WHEN 'golden' THEN '' ELSE '_' || k.kind END) ->> 'store')::int,
                                                 mastering.entity_store(k.kind, item.name, item.entity))) INTO stores
          FROM unnest('{records,members,golden,lineage,history}'::text[]) k (kind);
        FOREACH kind IN ARRAY ARRAY['', '_members', '_lineage', '_history', '_records'] LOOP
            query := mastering.view_query(new_schema, item.name, item.entity, kind, (stores ->> CASE kind WHEN '' THEN 'golden' ELSE substr(kind, 2) END)::int, (stores ->> 'members')::int);
            query := mastering.frozen_query(query, new_schema, item.name || kind, 's', state.versions -> (item.name || kind));
            query := mastering.frozen_query(query, new_schema, item.name || '_members', 'm', state.versions -> (item.name || '_members'));
            EXECUTE format('CREATE VIEW %I.%I AS %s', new_schema, item.name || kind, query);
        END LOOP;
    END LOOP;
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE SELECT ON TABLES FROM %I', new_schema, mastering.caller());
    PERFORM mastering.audit(state.environment, 'create snapshot schema', jsonb_build_object('schema', new_schema, 'snapshot', frozen));
    RETURN '#' || left(frozen, 12);
END
$$;
COMMENT ON FUNCTION mastering.do_create_snapshot_schema(text, text) IS 'Behind create_snapshot_schema.';

CREATE FUNCTION mastering.create_snapshot_schema(env_or_state text, schema text) RETURNS text
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.create_snapshot_schema(text, text) IS 'A schema of views on a state, which show it for ever, to the caller alone; DROP SCHEMA ... CASCADE ends it. Returns the name of the snapshot that it shows.';

CREATE FUNCTION mastering.needed_snapshots() RETURNS TABLE (hash text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.base, 'fork ' || f.environment FROM mastering.fork f
    UNION ALL
    SELECT s.snapshot, 'snapshot schema ' || s.schema_name FROM mastering.snapshot_schema s WHERE to_regnamespace(quote_ident(s.schema_name)) IS NOT NULL
    UNION ALL
    SELECT c.snapshot, 'environment ' || c.environment FROM mastering.configuration c WHERE c.snapshot IS NOT NULL
    UNION ALL
    SELECT s.hash, 'merged or copied, environment ' || s.environment FROM mastering.side_snapshot s
    UNION ALL
    SELECT DISTINCT ON (r.source, r.target) r.proposal ->> 'source_snapshot', format('last promotion from %s to %s', r.source, r.target)
      FROM mastering.release r WHERE r.kind = 'promotion' AND r.state = 'promoted' AND r.proposal ? 'source_snapshot' AND EXISTS (SELECT FROM mastering.environment e WHERE e.name = r.target)
$$;
COMMENT ON FUNCTION mastering.needed_snapshots() IS 'Snapshots that clearing away must leave: something shows them, or goes on from them.';

-- ---- history ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_history(env_name text)
RETURNS TABLE (state text, at timestamptz, event text, release_id bigint, message text, author text, tag text, parents text[], undoes text, artifacts_changed bigint, golden_records bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
BEGIN
    RETURN QUERY
    SELECT '#' || left(s.hash, 12), s.created_at,
           CASE WHEN r.kind IS NOT NULL THEN r.kind WHEN f.environment IS NOT NULL THEN 'forked' WHEN b.release_id IS NOT NULL THEN 'before ' || b.kind ELSE 'snapshot' END,
           coalesce(r.release_id, b.release_id), coalesce(r.message, s.message), s.author, s.tag,
           ARRAY(SELECT '#' || left(p, 12) FROM unnest(s.parents) p), '#' || left(s.undoes, 12),
           (SELECT count(*) FROM mastering.merge_trees(coalesce(p.tree, '{}'), coalesce(p.tree, '{}'), s.tree)),
           (SELECT coalesce(sum((s.versions -> e.name ->> 'rows')::bigint), 0)::bigint FROM mastering.entities_of(s.tree) e (name))
      FROM mastering.snapshot s
      LEFT JOIN LATERAL (SELECT x.kind, x.release_id, x.message FROM mastering.release x WHERE x.target = env_name AND x.snapshot_after = s.hash ORDER BY x.release_id LIMIT 1) r ON true
      LEFT JOIN LATERAL (SELECT x.kind, x.release_id FROM mastering.release x WHERE x.target = env_name AND x.snapshot_before = s.hash ORDER BY x.release_id LIMIT 1) b ON true
      LEFT JOIN mastering.snapshot p ON p.hash = coalesce(s.undoes, s.parents[1])
      LEFT JOIN mastering.fork f ON f.environment = env_name AND f.base = s.hash
     WHERE (s.environment = env_name AND s.created_at >= env.created_at) OR f.environment IS NOT NULL
     ORDER BY s.created_at DESC, s.hash;
END
$$;
COMMENT ON FUNCTION mastering.do_history(text) IS 'Behind history.';

CREATE FUNCTION mastering.history(env text)
RETURNS TABLE (state text, at timestamptz, event text, release_id bigint, message text, author text, tag text, parents text[], undoes text, artifacts_changed bigint, golden_records bigint)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.history(text) IS 'The states that an environment was in, newest first: by what it got there, what it was made of, how many artifacts differ from the one before and how many golden records it shows.';

-- ---- proof -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.problems_of_segments(segments int[], deep boolean) RETURNS TABLE (part text, name text, problem text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    item record;
    rows bigint;
    content text;
BEGIN
    FOR item IN SELECT u.id, g.store_id, g.row_count, g.hash, to_regclass('mastering.segment_' || u.id) AS relation,
                       (SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = to_regclass('mastering.segment_' || u.id)) AS parent
                  FROM unnest(segments) u (id) LEFT JOIN mastering.segment g ON g.segment_id = u.id ORDER BY u.id LOOP
        part := 'segment';
        name := 'mastering.segment_' || item.id;
        problem := CASE WHEN item.store_id IS NULL THEN 'is not in the catalog' WHEN item.relation IS NULL THEN 'is missing'
                        WHEN item.parent IS DISTINCT FROM 'mastering.store_' || item.store_id THEN 'is no part of its store' END;
        IF problem IS NULL AND deep THEN
            EXECUTE format('SELECT count(*), mastering.rows_hash(s ORDER BY s."#row") FROM mastering.%I s', 'segment_' || item.id) INTO rows, content;
            problem := CASE WHEN rows <> item.row_count THEN format('has %s rows instead of %s', rows, item.row_count) WHEN content IS DISTINCT FROM item.hash THEN 'has other rows than it was made of' END;
        END IF;
        IF problem IS NOT NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.problems_of_segments(int[], boolean) IS 'Segments that are missing or, looked at row by row, are not what their hash says.';

CREATE FUNCTION mastering.do_verify_snapshots(env_name text, deep boolean) RETURNS TABLE (environment text, snapshot text, part text, name text, problem text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    snapshots text[];
    all_versions jsonb;
BEGIN
    IF env_name IS NOT NULL THEN
        PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    END IF;
    SELECT array_agg(s.hash) INTO snapshots FROM mastering.snapshot s WHERE (env_name IS NULL OR s.environment = env_name) AND mastering.do_visible(s.environment, s.created_at);
    -- The documents themselves.
    RETURN QUERY
    SELECT s.environment, '#' || left(s.hash, 12), 'snapshot', coalesce(s.tag, ''), 'is not what its hash says'
      FROM mastering.snapshot s WHERE s.hash = ANY (snapshots) AND s.hash <> mastering.snapshot_hash(s);
    RETURN QUERY
    SELECT s.environment, '#' || left(s.hash, 12), 'artifact', t.key, CASE WHEN a.hash IS NULL THEN 'is missing' ELSE 'is not what its hash says' END
      FROM mastering.snapshot s CROSS JOIN LATERAL jsonb_each_text(s.tree) t LEFT JOIN mastering.artifact a ON a.hash = t.value
     WHERE s.hash = ANY (snapshots) AND (a.hash IS NULL OR a.hash <> mastering.json_hash(a.content));
    -- Versions, each once, with the first snapshot that has it.
    SELECT coalesce(jsonb_agg(jsonb_build_object('environment', v.environment, 'snapshot', v.hash, 'name', v.key, 'version', v.value)), '[]') INTO all_versions
      FROM (SELECT DISTINCT ON (x.key, x.value) s.environment, '#' || left(s.hash, 12) AS hash, x.key, x.value
              FROM mastering.snapshot s CROSS JOIN LATERAL (SELECT * FROM jsonb_each(s.versions) UNION ALL SELECT 'loaded ' || d.key, d.value FROM jsonb_each(s.data) d) x
             WHERE s.hash = ANY (snapshots) ORDER BY x.key, x.value, s.created_at) v;
    RETURN QUERY
    SELECT v ->> 'environment', v ->> 'snapshot', 'version', v ->> 'name', 'is not what its hash says' FROM jsonb_array_elements(all_versions) v
     WHERE v -> 'version' ->> 'hash' IS DISTINCT FROM (
               SELECT mastering.json_hash(coalesce(jsonb_agg(jsonb_build_array(g.hash, d.hash) ORDER BY u.n), '[]'))
                 FROM ROWS FROM (jsonb_array_elements_text(v -> 'version' -> 'segments'), jsonb_array_elements_text(v -> 'version' -> 'vectors')) WITH ORDINALITY u (segment, vector, n)
                 JOIN mastering.segment g ON g.segment_id = u.segment::int LEFT JOIN mastering.deletion_vector d ON d.vector_id = nullif(u.vector::bigint, 0));
    RETURN QUERY
    SELECT DISTINCT ON (d.vector_id) v ->> 'environment', v ->> 'snapshot', 'deletion vector', v ->> 'name', CASE WHEN d.vector_id IS NULL THEN 'is missing' ELSE 'is not what its hash says' END
      FROM jsonb_array_elements(all_versions) v CROSS JOIN LATERAL jsonb_array_elements_text(v -> 'version' -> 'vectors') u (vector) LEFT JOIN mastering.deletion_vector d ON d.vector_id = u.vector::bigint
     WHERE u.vector <> '0' AND (d.vector_id IS NULL OR d.hash <> encode(sha256(d.bitmap), 'hex') OR d.row_count <> mastering.deletion_vector_count(d.bitmap));
    RETURN QUERY
    SELECT x.environment, x.snapshot, p.part, p.name, p.problem
      FROM mastering.problems_of_segments((SELECT array_agg(DISTINCT s.value::int) FROM jsonb_array_elements(all_versions) v CROSS JOIN LATERAL jsonb_array_elements_text(v -> 'version' -> 'segments') s), coalesce(deep, false)) p
      CROSS JOIN LATERAL (SELECT v ->> 'environment', v ->> 'snapshot' FROM jsonb_array_elements(all_versions) v
                           WHERE v -> 'version' -> 'segments' @> to_jsonb(substr(p.name, length('mastering.segment_') + 1)::int) LIMIT 1) x (environment, snapshot);
END
$$;
COMMENT ON FUNCTION mastering.do_verify_snapshots(text, boolean) IS 'Behind verify_snapshots.';

CREATE FUNCTION mastering.verify_snapshots(env text DEFAULT NULL, deep boolean DEFAULT false) RETURNS TABLE (environment text, snapshot text, part text, name text, problem text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verify_snapshots(text, boolean) IS 'Recomputes the hashes of the snapshots that one may see, of one environment or all, and names what differs: documents, artifacts, versions, deletion vectors; deep: every row of every segment too. No row is good news.';
-- 66_diff_records.sql: which records, members and golden records differ between two states.
--
-- A version is segments and deletion vectors, so what two states share needs no look: only rows of segments that one
-- of them lacks are read, and of segments that both have with other deletions the rows deleted in one. These are
-- found by the keys of the rows that came in their place; only rows that went without a successor cost a scan.

-- A cast to json or text may be a function of whoever made a type; the output function of a type never is.
CREATE FUNCTION mastering.shown_value(alias text, column_name text, type_text text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM pg_type t WHERE t.oid = to_regtype(type_text) AND t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b')
                THEN format('to_jsonb(%I.%I)', alias, column_name)
                ELSE format('CASE WHEN %1$I.%2$I IS NOT NULL THEN to_jsonb(format(''%%s'', %1$I.%2$I)) END', alias, column_name) END
$$;
COMMENT ON FUNCTION mastering.shown_value(text, text, text) IS 'An SQL expression for a column''s value as JSON that calls no function of users.';

-- The rows of one side, as SQL: keys, a document, a hash. wanted: array of {"segment", "deleted", "kept"}: rows that
-- the vector deleted removes, if it is not 0, and that the vector kept does not.
CREATE FUNCTION mastering.side_query(store int, what text, wanted jsonb, keys_from text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys text := CASE what WHEN 'golden' THEN 'NULL::text AS source, NULL::text AS record_key, s."#cluster" AS cluster_id' ELSE 's."#source" AS source, s."#key" AS record_key, NULL::bigint AS cluster_id' END;
    matching text := CASE what WHEN 'golden' THEN 's."#cluster" = k.cluster_id' ELSE 's."#source" = k.source AND s."#key" = k.record_key' END;
    document text;
    hashed text;
    query text;
BEGIN
    -- A function has at most 100 arguments.
    SELECT string_agg(format('jsonb_build_object(%s)', p.pairs), ' || ' ORDER BY p.part), string_agg(p.columns, ', ' ORDER BY p.part) INTO document, hashed
      FROM (SELECT c.ordinality / 40 AS part,
                   string_agg(format('%L, %s', CASE WHEN c.value ->> 'name' = '#cluster' THEN 'cluster_id' ELSE ltrim(c.value ->> 'name', '#') END,
                                     mastering.shown_value('s', c.value ->> 'name', c.value ->> 'type')), ', ' ORDER BY c.ordinality) AS pairs,
                   string_agg(format('s.%I', c.value ->> 'name'), ', ' ORDER BY c.ordinality) AS columns
              FROM mastering.store t, jsonb_array_elements(t.columns) WITH ORDINALITY c
             WHERE t.store_id = store AND CASE what WHEN 'golden' THEN c.value ->> 'name' <> '#cluster' ELSE c.value ->> 'name' NOT IN ('#source', '#key') END
             GROUP BY 1) p;
    SELECT string_agg(format('SELECT %s, %s AS document, mastering.row_hash(ROW(%s)) AS hash FROM %smastering.%I s%s WHERE %s AND %s', keys, document, hashed,
                             CASE WHEN keys_from IS NULL THEN '' ELSE format('(%s) k JOIN ', keys_from) END, 'segment_' || (w.value ->> 'segment'),
                             CASE WHEN keys_from IS NULL THEN '' ELSE ' ON ' || matching END,
                             CASE WHEN w.value ->> 'deleted' = '0' THEN 'true' ELSE format('mastering.is_deleted(%s::bigint, s."#row")', w.value ->> 'deleted') END,
                             CASE WHEN w.value ->> 'kept' = '0' THEN 'true' ELSE format('NOT mastering.is_deleted(%s::bigint, s."#row")', w.value ->> 'kept') END), ' UNION ALL ') INTO query
      FROM jsonb_array_elements(wanted) w;
    RETURN coalesce(query, 'SELECT NULL::text AS source, NULL::text AS record_key, NULL::bigint AS cluster_id, NULL::jsonb AS document, NULL::uuid AS hash WHERE false');
END
$$;
COMMENT ON FUNCTION mastering.side_query(int, text, jsonb, text) IS 'The SELECT for rows of segments, all that a version keeps or those that another deletes.';

CREATE FUNCTION mastering.keys_query(kind text, wanted jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('SELECT %s FROM mastering.%I s', CASE kind WHEN 'golden' THEN 's."#cluster" AS cluster_id' ELSE 's."#source" AS source, s."#key" AS record_key' END,
                             'segment_' || (w.value ->> 'segment')) || CASE WHEN w.value ->> 'kept' = '0' THEN '' ELSE format(' WHERE NOT mastering.is_deleted(%s::bigint, s."#row")', w.value ->> 'kept') END, ' UNION ALL ')
      FROM jsonb_array_elements(wanted) w
$$;
COMMENT ON FUNCTION mastering.keys_query(text, jsonb) IS 'The SELECT for the keys of rows that a version keeps.';

-- Rows of shared segments that the other side deleted: by the keys of what came instead where that finds them all.
CREATE FUNCTION mastering.lost_query(store int, kind text, lost jsonb, came jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expected bigint;
    rows_to_scan bigint;
    rows_that_came bigint;
    found_rows bigint;
    keyed text;
BEGIN
    SELECT coalesce(sum(mastering.deletion_vector_count(CASE WHEN k.bitmap IS NULL THEN d.bitmap ELSE mastering.deletion_vector_union(d.bitmap, k.bitmap) END) - coalesce(mastering.deletion_vector_count(k.bitmap), 0)), 0), sum(g.row_count)
      INTO expected, rows_to_scan
      FROM jsonb_array_elements(lost) l JOIN mastering.deletion_vector d ON d.vector_id = (l ->> 'deleted')::bigint JOIN mastering.segment g ON g.segment_id = (l ->> 'segment')::int
      LEFT JOIN mastering.deletion_vector k ON k.vector_id = nullif((l ->> 'kept')::bigint, 0);
    SELECT coalesce(sum(g.row_count), 0) INTO rows_that_came FROM jsonb_array_elements(came) c JOIN mastering.segment g ON g.segment_id = (c ->> 'segment')::int;
    IF expected > 0 AND rows_that_came > 0 AND rows_that_came < rows_to_scan / 20 THEN
        keyed := mastering.side_query(store, kind, lost, mastering.keys_query(kind, came));
        EXECUTE format('SELECT count(*) FROM (%s) q', keyed) INTO found_rows;
        IF found_rows = expected THEN
            RETURN keyed;
        END IF;
    END IF;
    RETURN mastering.side_query(store, kind, CASE WHEN expected = 0 THEN '[]' ELSE lost END);
END
$$;
COMMENT ON FUNCTION mastering.lost_query(int, text, jsonb, jsonb) IS 'The SELECT for rows that one of two versions deleted from segments that they share.';

CREATE FUNCTION mastering.diff_versions(kind text, a jsonb, b jsonb) RETURNS TABLE (change text, source text, record_key text, cluster_id bigint, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
DECLARE
    same_store boolean := coalesce(a ->> 'store' = b ->> 'store', false);
    only_a jsonb;
    only_b jsonb;
    lost jsonb;
    gained jsonb;
    side_a text;
    side_b text;
BEGIN
    IF a -> 'segments' = b -> 'segments' AND a -> 'vectors' = b -> 'vectors' AND same_store THEN
        RETURN;
    END IF;
    -- deleted: the rows must be removed by that vector; kept: and not by that. 0 removes nothing.
    SELECT coalesce(jsonb_agg(jsonb_build_object('segment', x.segment, 'deleted', 0, 'kept', x.vector)) FILTER (WHERE y.segment IS NULL), '[]'),
           coalesce(jsonb_agg(jsonb_build_object('segment', y.segment, 'deleted', 0, 'kept', y.vector)) FILTER (WHERE x.segment IS NULL), '[]'),
           coalesce(jsonb_agg(jsonb_build_object('segment', x.segment, 'deleted', y.vector, 'kept', x.vector)) FILTER (WHERE x.vector <> y.vector AND y.vector <> 0), '[]'),
           coalesce(jsonb_agg(jsonb_build_object('segment', x.segment, 'deleted', x.vector, 'kept', y.vector)) FILTER (WHERE x.vector <> y.vector AND x.vector <> 0), '[]')
      INTO only_a, only_b, lost, gained
      FROM (SELECT u.s::int AS segment, u.v::bigint AS vector FROM ROWS FROM (jsonb_array_elements_text(a -> 'segments'), jsonb_array_elements_text(a -> 'vectors')) u (s, v)) x
      FULL JOIN (SELECT u.s::int AS segment, u.v::bigint AS vector FROM ROWS FROM (jsonb_array_elements_text(b -> 'segments'), jsonb_array_elements_text(b -> 'vectors')) u (s, v)) y
             ON y.segment = x.segment;
    side_a := mastering.side_query((a ->> 'store')::int, kind, only_a) || CASE WHEN lost = '[]' THEN '' ELSE ' UNION ALL ' || mastering.lost_query((a ->> 'store')::int, kind, lost, only_b) END;
    side_b := mastering.side_query((b ->> 'store')::int, kind, only_b) || CASE WHEN gained = '[]' THEN '' ELSE ' UNION ALL ' || mastering.lost_query((b ->> 'store')::int, kind, gained, only_a) END;
    RETURN QUERY EXECUTE format($q$
        SELECT d.change, d.source, d.record_key, d.cluster_id, d.before, d.after FROM (
            SELECT CASE WHEN a.hash IS NULL THEN 'added' WHEN b.hash IS NULL THEN 'removed' ELSE 'changed' END AS change, coalesce(a.source, b.source) AS source,
                   coalesce(a.record_key, b.record_key) AS record_key, coalesce(a.cluster_id, b.cluster_id) AS cluster_id, a.document AS before, b.document AS after
              FROM (%s) a FULL JOIN (%s) b ON %s
             WHERE a.hash IS NULL OR b.hash IS NULL OR %s) d
         ORDER BY d.source COLLATE "C", d.record_key COLLATE "C", d.cluster_id$q$, side_a, side_b,
        CASE kind WHEN 'golden' THEN 'a.cluster_id = b.cluster_id' ELSE 'a.source = b.source AND a.record_key = b.record_key' END,
        CASE WHEN same_store THEN 'a.hash <> b.hash' ELSE 'jsonb_strip_nulls(a.document)::text <> jsonb_strip_nulls(b.document)::text' END);
END
$$;
COMMENT ON FUNCTION mastering.diff_versions(text, jsonb, jsonb) IS 'The rows that differ between two versions.';

CREATE FUNCTION mastering.do_diff_records(a_name text, b_name text, entity_name text)
RETURNS TABLE (kind text, change text, source text, record_key text, cluster_id bigint, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a mastering.state := mastering.resolve_state(a_name);
    b mastering.state := mastering.resolve_state(b_name);
    suffix text;
BEGIN
    IF mastering.artifact_at(a.tree, mastering.path('entity', entity_name)) IS NULL AND mastering.artifact_at(b.tree, mastering.path('entity', entity_name)) IS NULL THEN
        RAISE EXCEPTION 'entity "%" exists neither in state "%" nor in state "%"', entity_name, a_name, b_name
            USING ERRCODE = '42704', HINT = format('SELECT * FROM mastering.diff(%L, %L)', a_name, b_name);
    END IF;
    FOREACH suffix IN ARRAY ARRAY['_records', '_members', ''] LOOP
        kind := CASE suffix WHEN '_records' THEN 'record' WHEN '_members' THEN 'member' ELSE 'golden' END;
        FOR change, source, record_key, cluster_id, before, after IN
            SELECT d.* FROM mastering.diff_versions(kind, a.versions -> (entity_name || suffix), b.versions -> (entity_name || suffix)) d LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.do_diff_records(text, text, text) IS 'Behind diff_records.';

CREATE FUNCTION mastering.diff_records(a text, b text, entity text)
RETURNS TABLE (kind text, change text, source text, record_key text, cluster_id bigint, before jsonb, after jsonb)
    LANGUAGE C STABLE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.diff_records(text, text, text) IS 'The source records, members and golden records that differ between two states, in a time that grows with the difference: what b has added, removed or changed against a.';

CREATE FUNCTION mastering.do_diff_summary(a_name text, b_name text, entity_name text)
RETURNS TABLE (kind text, attribute text, added bigint, removed bigint, changed bigint, rows_before bigint, rows_after bigint, example text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a mastering.state := mastering.resolve_state(a_name);
    b mastering.state := mastering.resolve_state(b_name);
BEGIN
    RETURN QUERY
    WITH d AS MATERIALIZED (
        SELECT x.kind, x.change, x.before, x.after, coalesce(x.source || ' ' || x.record_key, 'id ' || x.cluster_id) AS name FROM mastering.do_diff_records(a_name, b_name, entity_name) x),
    k (n, kind, suffix) AS (VALUES (1, 'record', '_records'), (2, 'member', '_members'), (3, 'golden', '')),
    value AS (
        SELECT d.kind, e.key AS attribute, d.name, d.before ->> e.key AS before, d.after ->> e.key AS after
          FROM d CROSS JOIN LATERAL (SELECT jsonb_object_keys(d.before) UNION SELECT jsonb_object_keys(d.after)) e (key)
         WHERE d.change = 'changed' AND (d.before ->> e.key) IS DISTINCT FROM (d.after ->> e.key)),
    line AS (
        SELECT k.n, k.kind, NULL::text AS attribute, count(*) FILTER (WHERE d.change = 'added') AS added, count(*) FILTER (WHERE d.change = 'removed') AS removed, count(*) FILTER (WHERE d.change = 'changed') AS changed,
               coalesce((a.versions -> (entity_name || k.suffix) ->> 'rows')::bigint, 0) AS rows_before, coalesce((b.versions -> (entity_name || k.suffix) ->> 'rows')::bigint, 0) AS rows_after,
               coalesce('new: ' || min(d.name) FILTER (WHERE d.change = 'added'), 'gone: ' || min(d.name) FILTER (WHERE d.change = 'removed')) AS example
          FROM k LEFT JOIN d ON d.kind = k.kind GROUP BY k.n, k.kind, k.suffix
        UNION ALL
        SELECT k.n, v.kind, v.attribute, 0, 0, count(*), NULL, NULL,
               (array_agg(v.name || ': ' || coalesce(to_json(left(v.before, 60))::text, 'null') || ' -> ' || coalesce(to_json(left(v.after, 60))::text, 'null') ORDER BY v.name COLLATE "C"))[1]
          FROM value v JOIN k ON k.kind = v.kind GROUP BY k.n, v.kind, v.attribute)
    SELECT l.kind, l.attribute, l.added, l.removed, l.changed, l.rows_before, l.rows_after, l.example FROM line l ORDER BY l.n, l.attribute COLLATE "C" NULLS FIRST;
END
$$;
COMMENT ON FUNCTION mastering.do_diff_summary(text, text, text) IS 'Behind diff_summary.';

CREATE FUNCTION mastering.diff_summary(a text, b text, entity text)
RETURNS TABLE (kind text, attribute text, added bigint, removed bigint, changed bigint, rows_before bigint, rows_after bigint, example text)
    LANGUAGE C STABLE PARALLEL UNSAFE ROWS 20 AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.diff_summary(text, text, text) IS 'diff_records in numbers, with an example each: how many came, went and changed, and which attributes changed.';
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
    SELECT 'run', o.made_in, v.value FROM mastering.output o CROSS JOIN LATERAL jsonb_each(o.versions) v WHERE o.made_at > clock_timestamp() - unused
    UNION ALL
    SELECT 'reader', h.environment, v.value FROM mastering.reachable_heads() h CROSS JOIN LATERAL jsonb_each(h.versions) v
$$;
COMMENT ON FUNCTION mastering.version_roots(text[], interval) IS 'Whatever names a version, but the snapshots in forgotten: heads, loaded data, snapshots, runs not older than unused, heads that open readers see.';

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
       AND s.hash NOT IN (SELECT c.snapshot FROM mastering.configuration c WHERE c.snapshot IS NOT NULL)
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
    DELETE FROM mastering.deletion_vector v WHERE v.segment_id = empty_segment.segment_id;
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
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    forgotten text[];
    held int[];
    held_vectors bigint[];
    seen int[];
    candidates int[];
    freed int[] := '{}';
    in_use bigint := 0;
    size bigint;
    item record;
    removing boolean := NOT coalesce(dry_run, true);
BEGIN
    IF NOT (EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper)
            OR EXISTS (SELECT FROM mastering.environment e WHERE mastering.may(e.name, 'admin'))) THEN
        RAISE EXCEPTION 'permission denied to collect garbage' USING ERRCODE = '42501', DETAIL = format('Role "%s" is admin of no environment.', mastering.caller());
    END IF;
    IF keep IS NULL OR keep < 0 OR keep_for IS NULL OR keep_for < interval '0' OR keep_tagged IS NULL OR keep_unused IS NULL OR keep_unused < interval '0' OR max_segments IS NULL OR max_segments < 1 THEN
        RAISE EXCEPTION 'invalid retention' USING ERRCODE = '22023', DETAIL = 'keep, keep_for and keep_unused are not negative, max_segments is at least 1, and none is null.';
    END IF;
    IF removing THEN
        PERFORM mastering.lock_space();
    END IF;

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
    SELECT count(*) INTO in_use FROM gone;
    IF in_use > 0 THEN
        RETURN QUERY SELECT 'load', NULL::text, NULL::text, NULL::text, in_use, NULL::bigint, 'loaded data that nothing refers to'::text;
    END IF;

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
COMMENT ON FUNCTION mastering.gc(boolean, int, interval, boolean, interval, int) IS 'Frees what nothing refers to, or says what it would free (dry_run, the default): snapshots beyond the last keep of each environment, older than keep_for and without a tag; outputs of runs that nothing shows and that are older than keep_unused; the rows, deletion vectors and artifacts that nothing names then. Waits for no reader; what it leaves, the next call frees.';

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
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
<<work>>
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'loader');
    config mastering.configuration;
    data jsonb;
    versions jsonb;
    next jsonb;
    new jsonb;
    item record;
    changed boolean := false;
BEGIN
    PERFORM mastering.lock_environment(env_name);
    SELECT * INTO env FROM mastering.environment e WHERE e.name = env_name;
    config := mastering.configuration_of(env_name);
    data := config.data;
    SELECT h.versions INTO versions FROM mastering.head h WHERE h.environment = env_name;
    SELECT h.versions INTO next FROM mastering.head h WHERE h.environment = env_name || '_next';
    IF entity_name IS NOT NULL THEN
        PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    END IF;
    FOR item IN SELECT d.key, d.value FROM jsonb_each(config.data) d WHERE entity_name IS NULL OR mastering.step(d.key, 1) = entity_name ORDER BY d.key LOOP
        new := mastering.compacted_version(item.value, coalesce(everything, false));
        CONTINUE WHEN new = item.value;
        RETURN QUERY SELECT * FROM mastering.compaction_row(item.key, item.value, new) r;
        data := data || jsonb_build_object(item.key, new);
        UPDATE mastering.data_version v SET version = new WHERE v.store_id = (new ->> 'store')::int AND v.content = new ->> 'content';
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
    END LOOP;
    FOR item IN SELECT v.key, v.value, t.kind FROM jsonb_each(versions) v JOIN mastering.store t ON t.store_id = (v.value ->> 'store')::int
                 WHERE t.kind IN ('members', 'golden', 'lineage', 'history') AND (entity_name IS NULL OR t.entity = entity_name) ORDER BY v.key LOOP
        new := mastering.compacted_version(item.value, coalesce(everything, false));
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
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF env_name IS NOT NULL THEN
        PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    END IF;
    RETURN QUERY
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
     GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;
END
$$;
COMMENT ON FUNCTION mastering.do_storage(text) IS 'Behind storage.';

CREATE FUNCTION mastering.storage(env text DEFAULT NULL)
RETURNS TABLE (environment text, entity text, kind text, held text, segments bigint, stored_rows bigint, bytes bigint)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.storage(text) IS 'What space is whose, by entity and kind. held: live (here and in no other environment), shared (live here or frozen here, and live elsewhere), preparation (in the _next schema only), snapshots (frozen only); without an environment nothing (gc frees it) and empty.';

-- ---- an entity that is no more -------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_drop_entity(env_name text, entity_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    config mastering.configuration;
    item record;
    relations text[] := ARRAY[entity_name, entity_name || '_records', entity_name || '_members', entity_name || '_lineage', entity_name || '_history', entity_name || '_input'];
    sources text[];
    views text;
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.lock_environment(env_name);
    config := mastering.configuration_of(env_name);
    PERFORM mastering.require_entity(config.tree, env_name, entity_name);
    SELECT coalesce(array_agg(CASE WHEN octet_length(mastering.path(entity_name, 'source', s.name)) > 63 THEN left(mastering.text_hash(mastering.path(entity_name, 'source', s.name)), 40)
                                   ELSE mastering.path(entity_name, 'source', s.name) END), '{}') INTO sources FROM mastering.sources_of(config.tree, entity_name) s;
    SELECT string_agg(format('%I.%I', v.environment, v.view_name), ', ') INTO views FROM mastering.environment_view v
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
    mastering.adopt_compacted(text, jsonb, jsonb), mastering.compaction_row(text, jsonb, jsonb), mastering.segments_to_compact(jsonb, boolean), mastering.version_identity(jsonb),
    mastering.stored_row_hash(record), mastering.rows_hash(record, bytea), mastering.rows_hash_add(internal, record, bytea) FROM PUBLIC;
-- 67_erase.sql: a person's data removed from all that was ever stored, by law. Segments are never changed otherwise; here
-- rows of them are deleted, and golden values that came from the person are set to NULL. What a row contributed to the
-- hash of its segment is kept (erased_row), so that versions, snapshots and releases still verify. The key is kept as
-- a hash with a secret, so that the next load knows it and nobody else does.
--
-- Tables of other topics that hold values of records are cleaned in erase_elsewhere.

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
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
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
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET TimeZone = 'UTC'
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

CREATE FUNCTION mastering.do_erase(entity_name text, source_name text, key_text text, reason_text text)
RETURNS TABLE (place text, touched bigint, note text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
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
        PERFORM mastering.require(env_name, 'admin');    -- a record goes from all of them or from none
    END LOOP;
    INSERT INTO mastering.erasure_secret SELECT gen_random_uuid() WHERE NOT EXISTS (SELECT FROM mastering.erasure_secret);
    UPDATE mastering.erasure e SET lifted_at = clock_timestamp(), lifted_by = mastering.caller()    -- one marker in force at a time
     WHERE e.entity = entity_name AND e.source = source_name AND e.key_hash = mastering.erasure_hash(entity_name, source_name, key_text) AND e.lifted_at IS NULL;
    INSERT INTO mastering.erasure (entity, source, key_hash, reason, role)
    VALUES (entity_name, source_name, mastering.erasure_hash(entity_name, source_name, key_text), reason_text, mastering.caller()) RETURNING erasure_id INTO id;

    -- The record as it came and as it was mapped, in all its versions; its values are looked for elsewhere.
    SELECT coalesce(array_agg(DISTINCT m), '{}') INTO clusters FROM mastering.store t CROSS JOIN LATERAL mastering.clusters_of_record(t.store_id, source_name, key_text) m
     WHERE t.kind = 'members' AND t.entity = entity_name;
    FOR item IN SELECT t.store_id, t.kind FROM mastering.store t
                 WHERE t.entity = entity_name AND (t.kind = 'source' AND t.source = source_name OR t.kind IN ('records', 'members')) ORDER BY t.kind DESC, t.store_id LOOP
        condition := CASE item.kind WHEN 'source' THEN format('s."#key" = %L', key_text) ELSE format('s."#source" = %L AND s."#key" = %L', source_name, key_text) END;
        EXECUTE format('SELECT array_agg(DISTINCT l #>> ''{}'') FROM mastering.%I s CROSS JOIN LATERAL jsonb_path_query(to_jsonb(s) - ''{#segment,#row,#hash,#source,#cluster}''::text[], ''strict $.**'') l
                         WHERE %s AND jsonb_typeof(l) IN (''string'', ''number'') AND length(l #>> ''{}'') >= 3', 'store_' || item.store_id, condition) INTO more;
        hidden := hidden || coalesce(more, '{}');
        place := item.kind;
        touched := mastering.erase_in_store(item.store_id, id, condition);
        total := total + touched;
        RETURN NEXT;
    END LOOP;
    -- Which attributes of which clusters have their value from the record.
    CREATE TEMP TABLE mastering_erased ON COMMIT DROP AS SELECT NULL::bigint AS cluster, NULL::text AS attribute WHERE false;
    FOR item IN SELECT t.store_id FROM mastering.store t WHERE t.kind = 'lineage' AND t.entity = entity_name LOOP
        EXECUTE format('INSERT INTO pg_temp.mastering_erased SELECT DISTINCT s."#cluster", e.key FROM mastering.%I s CROSS JOIN LATERAL jsonb_each(s.lineage) e
                         WHERE s."#cluster" = ANY ($1) AND mastering.lineage_without(jsonb_build_object(e.key, e.value), $2) -> e.key <> e.value', 'store_' || item.store_id) USING clusters, record_id;
    END LOOP;
    FOR item IN SELECT t.store_id, t.kind, t.columns FROM mastering.store t WHERE t.kind IN ('golden', 'lineage') AND t.entity = entity_name ORDER BY t.kind, t.store_id LOOP
        place := item.kind;
        IF item.kind = 'lineage' THEN
            touched := mastering.erase_in_store(item.store_id, id,
                format('s."#cluster" = ANY (%L::bigint[]) AND mastering.lineage_without(s.lineage, %L) <> s.lineage', clusters, record_id), format('lineage = mastering.lineage_without(s.lineage, %L)', record_id),
                'NOT EXISTS (SELECT FROM jsonb_each(s.lineage) x WHERE jsonb_path_exists(x.value, ''$.record ? (@ <> null)''))');
        ELSE
            touched := mastering.erase_in_store(item.store_id, id, 's."#cluster" IN (SELECT x.cluster FROM pg_temp.mastering_erased x)',
                (SELECT string_agg(format('%1$I = CASE WHEN EXISTS (SELECT FROM pg_temp.mastering_erased x WHERE x.cluster = s."#cluster" AND x.attribute = %1$L) THEN NULL ELSE s.%1$I END', a.value ->> 'name'), ', ')
                   FROM jsonb_array_elements(item.columns) a WHERE a.value ->> 'name' NOT LIKE '#%'),
                's."#records" = 1' || (SELECT string_agg(format(' AND s.%I IS NULL', a.value ->> 'name'), '') FROM jsonb_array_elements(item.columns) a WHERE a.value ->> 'name' NOT LIKE '#%'));
        END IF;
        total := total + touched;
        RETURN NEXT;
    END LOOP;
    DROP TABLE pg_temp.mastering_erased;
    RETURN QUERY SELECT * FROM mastering.erase_elsewhere(entity_name, hidden) e;

    -- Statistics hold values, too.
    FOR item IN SELECT DISTINCT r.segment_id FROM mastering.erased_row r WHERE r.erasure_id = id LOOP
        EXECUTE format('ANALYZE mastering.%I', 'segment_' || item.segment_id);
    END LOOP;
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
        IF changed <> item.versions THEN
            PERFORM mastering.set_head(item.environment, changed);
        END IF;
    END LOOP;
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

CREATE FUNCTION mastering.versions_without(versions jsonb, deletions jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(v.key, CASE
        WHEN EXISTS (SELECT FROM jsonb_array_elements_text(v.value -> 'segments') s WHERE deletions ? s.value)
        THEN v.value - 'origin' || mastering.changed_version(v.value, deletions, NULL, v.value ->> 'content') ELSE v.value END), '{}')
      FROM jsonb_each(versions) v
$$;
COMMENT ON FUNCTION mastering.versions_without(jsonb, jsonb) IS 'Versions less the rows of deletions (segment -> deletion vector in base64).';

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
    mastering.clusters_of_record(int, text, text), mastering.versions_without(jsonb, jsonb) FROM PUBLIC;
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

-- Records that are gone have no part in it; those that are left of a set are chained.
CREATE FUNCTION mastering.curated_pairs(curation jsonb, input_query text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format($q$WITH named AS (
    SELECT d.ordinality AS decision, d.value ->> 0 AS kind, r.ordinality AS record, (r.value ->> 0) || ':' || (r.value ->> 1) AS id, (r.value ->> 2) || ':' || (r.value ->> 3) AS other
      FROM jsonb_array_elements(%L) WITH ORDINALITY d CROSS JOIN LATERAL jsonb_array_elements(d.value -> 1) WITH ORDINALITY r WHERE d.value ->> 0 <> 'lock'),
present AS (SELECT q.id FROM (%s) q WHERE q.id IN (SELECT id FROM named UNION SELECT other FROM named))
SELECT c.id AS id_a, c.before AS id_b, true AS is_match
  FROM (SELECT n.id, lag(n.id) OVER (PARTITION BY n.decision ORDER BY n.record) AS before FROM named n WHERE n.kind = 'together' AND n.id IN (SELECT id FROM present)) c WHERE c.before IS NOT NULL
UNION
SELECT n.id, n.other, false FROM named n WHERE n.kind = 'apart' AND n.id IN (SELECT id FROM present) AND n.other IN (SELECT id FROM present)$q$, curation, input_query)
     WHERE curation @? '$[*] ? (@[0] != "lock")'
$$;
COMMENT ON FUNCTION mastering.curated_pairs(jsonb, text) IS 'A document of curation_of_clusters as a query of labels for the records of a query; NULL where it holds none.';

-- A locked cluster has the records that it had, those that are still there, whatever the model says.
CREATE FUNCTION mastering.lock_partition(curation jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    broken bigint;
BEGIN
    IF NOT coalesce(curation @? '$[*] ? (@[0] == "lock")', false) THEN
        RETURN 0;
    END IF;
    CREATE TEMP TABLE mastering_locked ON COMMIT DROP AS
    SELECT DISTINCT ON (r.value ->> 0, r.value ->> 1) r.value ->> 0 AS source, r.value ->> 1 AS key, 'lock ' || l.ordinality AS label
      FROM jsonb_array_elements(curation) WITH ORDINALITY l CROSS JOIN LATERAL jsonb_array_elements(l.value -> 1) r WHERE l.value ->> 0 = 'lock'
     ORDER BY 1, 2, l.ordinality;
    ANALYZE pg_temp.mastering_locked;
    -- The model contradicts a lock where it would part its records or put another to them.
    SELECT count(*) INTO broken FROM (
        SELECT k.label FROM pg_temp.mastering_locked k JOIN pg_temp.mastering_partition p ON p.source = k.source AND p.key = k.key GROUP BY k.label
        HAVING count(DISTINCT p.label) > 1
            OR count(*) < (SELECT count(*) FROM pg_temp.mastering_partition o WHERE o.label = min(p.label))) b;
    UPDATE pg_temp.mastering_partition p SET label = k.label FROM pg_temp.mastering_locked k WHERE k.source = p.source AND k.key = p.key;
    DROP TABLE pg_temp.mastering_locked;
    RETURN broken;
END
$$;
COMMENT ON FUNCTION mastering.lock_partition(jsonb) IS 'Gives the records of locked clusters a label of their own in pg_temp.mastering_partition; returns how many locks the model contradicts.';

-- The value of a cell and, in its lineage, where it comes from. The anchor's cluster has the override.
CREATE FUNCTION mastering.override_values(entity jsonb, overrides jsonb, members text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' AS $$
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

CREATE FUNCTION mastering.overridden_clusters(old_overrides jsonb, new_overrides jsonb, members text) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    clusters bigint[];
BEGIN
    IF old_overrides IS NOT DISTINCT FROM new_overrides THEN
        RETURN '{}';
    END IF;
    EXECUTE format('SELECT coalesce(array_agg(DISTINCT m."#cluster"), ''{}'') FROM %s m JOIN (SELECT r FROM jsonb_array_elements(coalesce($1, ''[]'') || coalesce($2, ''[]'')) o, jsonb_array_elements(o -> ''records'') r) o (r)
                        ON m."#source" = o.r ->> 0 AND m."#key" = o.r ->> 1', members) INTO clusters USING old_overrides, new_overrides;
    RETURN clusters;
END
$$;
COMMENT ON FUNCTION mastering.overridden_clusters(jsonb, jsonb, text) IS 'The clusters whose overrides may have changed since the last run.';

-- A promotion takes over what the source has decided and the target has not, and not what the target has ended.
CREATE FUNCTION mastering.merge_curation(source_name text, target_name text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken bigint;
BEGIN
    INSERT INTO mastering.curation (environment, entity, action, kind, records, attribute, value, reason, author, created_at, expires_at)
    SELECT target_name, c.entity, c.action, c.kind, c.records, c.attribute, c.value, c.reason, c.author, clock_timestamp(), c.expires_at
      FROM mastering.curation c JOIN mastering.environment s ON s.name = c.environment JOIN mastering.environment t ON t.name = target_name
     WHERE c.environment = source_name AND c.ended_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now()) AND c.created_at >= s.created_at
       AND NOT EXISTS (SELECT FROM mastering.curation o WHERE o.environment = target_name AND o.created_at >= t.created_at AND o.entity = c.entity AND o.kind = c.kind AND o.records = c.records
                          AND o.attribute IS NOT DISTINCT FROM c.attribute AND (o.kind <> 'override' OR o.value IS NOT DISTINCT FROM c.value OR o.created_at >= c.created_at))
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
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' AS $$
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
-- 79_grants.sql: nobody but the owner may call what works behind the doors; the doors themselves check their callers.

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT p.oid::pg_catalog.regprocedure AS name, p.prokind, p.prosrc, p.proname
               FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
               JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'mastering'
              WHERE p.pronamespace = 'mastering'::pg_catalog.regnamespace
                AND (p.proname LIKE 'do\_%' OR p.proname = ANY (ARRAY['store_for', 'begin_segment', 'finish_segment', 'drop_segment', 'make_version', 'stored_vector',
                    'changed_version', 'version_condition', 'create_head', 'set_head', 'announce_head', 'query_as', 'query_dependencies', 'is_settled', 'is_reproducible', 'role_of_mapping', 'role_of_model', 'storable_type', 'may', 'require', 'require_author', 'audit',
                    'lock_environment', 'configuration_of', 'artifact_at', 'set_artifact', 'apply_grants', 'require_entity', 'check_expression', 'set_rules',
                    'entity_store', 'view_query', 'replace_view', 'sync_view', 'sync_entity_views', 'sync_views', 'sync_next_views', 'drop_views', 'load_source', 'show_next',
                    'show_source', 'sources_of', 'map_records', 'spec_of', 'model_of', 'assign_ids', 'write_segment', 'next_version', 'compacted_version', 'make_partition',
                    'drop_work_tables', 'changed_clusters', 'make_outputs', 'notify', 'note_failure', 'noted_failure', 'run_checks', 'checks_of', 'run_load_checks', 'record_outside', 'write_failure',
                    'current_state', 'snapshot_state', 'resolve_state', 'take_snapshot', 'snapshot_before', 'snapshot_hash', 'last_promotion', 'make_proposal', 'prepare_outputs', 'switch_state',
                    'require_release', 'require_order', 'raise_again', 'require_not_held', 'promote_now', 'promote_or_record', 'open_release', 'deletion_vector_union', 'deletion_vector_count', 'chain_audit_entry',
                    'curation_in_force', 'curation_of_clusters', 'curation_of_values', 'curated_pairs', 'lock_partition', 'override_values', 'overridden_clusters',
                    'merge_curation', 'members_of', 'add_curation', 'end_decisions', 'require_unlocked', 'part_cluster', 'row_hash', 'rows_hash', 'rows_hash_add', 'rows_hash_final', 'deletion_vector_agg', 'deletion_vector_add',
                    'deletion_vector_final', 'type_name', 'relation_name', 'relation_columns', 'key_columns', 'mapping_list', 'column_list', 'artifact_path', 'is_expression', 'key_expression',
                    'source_columns', 'record_columns', 'golden_columns', 'versioned_name', 'path', 'step', 'input_query', 'engine_revision', 'history_query', 'merge_trees',
                    'entities_of', 'changed_entities', 'audit_hash', 'state_hash', 'refuse_change', 'caller',
                    'role_may', 'drop_environment_now', 'snapshot_of', 'taken_from_side', 'keep_storage', 'reads_origin', 'require_origin_reader', 'revoke_from_copies', 'grant_copies', 'make_views', 'complete_next_views', 'drop_forks',
                    'ancestors', 'begun_from', 'merge_base', 'base_tree', 'brought_by', 'holds_of', 'note_left_out', 'checked_artifact', 'stored_resolutions', 'conflicts_of',
                    'require_same_readers', 'frozen_query', 'needed_snapshots', 'problems_of_segments', 'shown_value', 'side_query', 'keys_query', 'lost_query', 'diff_versions']))
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, f.name);
    END LOOP;
END
$$;

GRANT SELECT ON mastering.environments, mastering.snapshots, mastering.releases, mastering.audit_log, mastering.check_results, mastering.curations TO PUBLIC;
