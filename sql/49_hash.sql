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
COMMENT ON AGGREGATE mastering.rows_hash(record) IS 'SHA-256 over rows in the order they come in; columns whose name begins with # are left out.';

CREATE FUNCTION mastering.content_sum_add(state bytea, row_hash uuid) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_content_sum_add';
COMMENT ON FUNCTION mastering.content_sum_add(bytea, uuid) IS 'Transition function of content_sum.';

CREATE FUNCTION mastering.content_sum_combine(a bytea, b bytea) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_content_sum_combine';
COMMENT ON FUNCTION mastering.content_sum_combine(bytea, bytea) IS 'Sum of two states of content_sum.';

CREATE AGGREGATE mastering.content_sum(row_hash uuid) (
    SFUNC = mastering.content_sum_add, STYPE = bytea, COMBINEFUNC = mastering.content_sum_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE mastering.content_sum(uuid) IS 'A number that two sets of rows share when they hold the same rows, in whatever order and segments.';
