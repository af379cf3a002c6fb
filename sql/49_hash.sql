-- 49_hash.sql: hashes of rows, for finding what changed and for proving that nothing did.

CREATE FUNCTION mastering.row_hash(row_value record) RETURNS uuid
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_row_hash';
COMMENT ON FUNCTION mastering.row_hash(record) IS 'First 128 bits of the SHA-256 of a row''s values as text; depends on DateStyle and the like, so these are pinned where it is called.';

CREATE FUNCTION mastering.row_image_hash(row_value record) RETURNS uuid
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_row_image_hash';
COMMENT ON FUNCTION mastering.row_image_hash(record) IS 'First 128 bits of the SHA-256 of a row''s values as they are in memory: for rows that are laid beside each other within a transaction. Cheaper than row_hash, and of no use elsewhere.';

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

-- ---- the content of loaded data: a hash of the multiset of its rows ----------------------------------------------
-- What changes is added and taken away; the other rows are not read. See src/kernel/multiset_hash.h.

CREATE FUNCTION mastering.content_state_add(state internal, row_hash bytea) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_content_state_add';
COMMENT ON FUNCTION mastering.content_state_add(internal, bytea) IS 'Transition function of content_state.';

CREATE FUNCTION mastering.content_state_final(state internal) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_content_state_final';
COMMENT ON FUNCTION mastering.content_state_final(internal) IS 'Final function of content_state.';

CREATE AGGREGATE mastering.content_state(row_hash bytea) (
    SFUNC = mastering.content_state_add, STYPE = internal, SSPACE = 2100, FINALFUNC = mastering.content_state_final
);
COMMENT ON AGGREGATE mastering.content_state(bytea) IS 'State of a hash of the multiset of rows, from their hashes (stored_row_hash) in any order: LtHash, 1024 lanes of 16 bits.';

CREATE FUNCTION mastering.content_state_change(state bytea, added bytea, removed bytea) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_content_state_change';
COMMENT ON FUNCTION mastering.content_state_change(bytea, bytea, bytea) IS 'The state of rows of which some were taken away and others added, from the three states.';

REVOKE ALL ON FUNCTION mastering.content_state_add(internal, bytea), mastering.content_state_final(internal), mastering.content_state(bytea), mastering.content_state_change(bytea, bytea, bytea) FROM PUBLIC;
