-- 25_models.sql: what a model is good for (doc/models.md).

CREATE FUNCTION mastering.model_not_local(model jsonb) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_model_not_local';
COMMENT ON FUNCTION mastering.model_not_local(jsonb) IS
'Why the clusters that a model makes of some records may depend on other records: a sentence each; none when everything that was decided from the data as a whole is in the model.';

CREATE FUNCTION mastering.model_is_local(model jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$ SELECT cardinality(mastering.model_not_local(model)) = 0 $$;
COMMENT ON FUNCTION mastering.model_is_local(jsonb) IS
'Whether the clusters of records that no link connects to others depend on these records and the model alone, so that a part of the data can be mastered by itself. model_not_local says why not.';
