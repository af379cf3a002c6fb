-- 15_profile.sql: what a query holds, and the specification that follows from it.

CREATE FUNCTION mastering.profile(query text)
RETURNS TABLE (name text, kind text, records bigint, nulls bigint, distinct_values bigint, mean_length double precision,
               longest integer, equal_share double precision, top_values json, unit text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
AS 'MODULE_PATHNAME', 'mastering_profile';
COMMENT ON FUNCTION mastering.profile(text) IS
'A row for each column of the query but id and source: what it seems to hold, records without a value, distinct values, length in characters, the probability that two values are equal (low is good for blocking and telling for comparing), the most frequent values, and of quantities the unit that most have (plain numbers among them are taken for numbers of it). Of an array its elements; two arrays are equal when they share one. Of more than fits into 64 MB a sample is looked at, and records are estimated by it.';

CREATE FUNCTION mastering.suggest(query text)
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mastering_suggest';
COMMENT ON FUNCTION mastering.suggest(text) IS
'A specification for the query''s data: comparisons by what each column holds, and blocking keys whose number of pairs was counted (of more than fits into 64 MB, in a sample). To be read, changed and passed to train_model.';
