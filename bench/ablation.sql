-- ablation.sql: the specification that is suggested for a query, without one of its parts; '' where it has nothing of the kind.
-- Variables: query, part.
\set ON_ERROR_STOP on
SET client_min_messages TO error;
WITH suggested AS MATERIALIZED (SELECT mastering.suggest(:'query') AS spec),
without AS (
    SELECT spec, CASE :'part'
        WHEN 'rules by nearest neighbours' THEN jsonb_set(spec, '{blocking}',
            (SELECT jsonb_agg(rule ORDER BY place) FROM jsonb_array_elements(spec->'blocking') WITH ORDINALITY AS r(rule, place) WHERE NOT rule ? 'top_k'))
        WHEN 'rules by keys' THEN jsonb_set(spec, '{blocking}',
            (SELECT jsonb_agg(rule ORDER BY place) FROM jsonb_array_elements(spec->'blocking') WITH ORDINALITY AS r(rule, place) WHERE rule ? 'top_k'))
        WHEN 'one source holds a thing once' THEN spec || '{"one_per_source": "never"}'
        WHEN 'average linkage' THEN spec || '{"linkage": "single"}'
        ELSE jsonb_set(spec, '{comparisons}', (
            SELECT jsonb_agg(CASE :'part'
                WHEN 'frequencies of values' THEN c - 'term_frequency'
                WHEN 'evidence' THEN c - 'evidence'
                WHEN 'names of persons' THEN CASE WHEN c->>'method' = 'names' THEN c || '{"method": "jaro_winkler"}' ELSE c END
                WHEN 'rarity of words' THEN CASE WHEN c->>'method' = 'tfidf' THEN c || '{"method": "qgram", "q": 3}' ELSE c END
                WHEN 'degrees of likeness' THEN CASE WHEN c->>'method' IN ('tfidf', 'numeric', 'date') THEN c ELSE c - 'levels' || '{"method": "exact"}' END
                WHEN 'forms of words' THEN CASE WHEN c->>'expression' ~ '^mastering\.normalize_[a-z_]+\([a-z_0-9]+::pg_catalog\.text\)$'
                    THEN c || jsonb_build_object('expression', substring(c->>'expression' FROM '\(([a-z_0-9]+)::')) ELSE c END
                ELSE c END ORDER BY place)
            FROM jsonb_array_elements(spec->'comparisons') WITH ORDINALITY AS e(c, place)
            WHERE CASE :'part'
                WHEN 'words with digits' THEN coalesce(c->>'name' NOT LIKE 'words with digits%', true)
                WHEN 'whole record as a text' THEN NOT (coalesce(c->>'expression', '') LIKE 'pg_catalog.concat_ws(%' AND c->>'method' = 'tfidf')
                ELSE true END))
        END AS rest
    FROM suggested)
SELECT CASE WHEN rest = spec OR rest IS NULL THEN '' ELSE rest::text END FROM without;
