-- 67_erase.sql: a person's data removed from all that was ever stored.
CREATE TABLE mastering.erased_row (
    segment_id int NOT NULL,
    row_no     int NOT NULL,
    erasure_id bigint NOT NULL,
    hash       bytea NOT NULL,
    left_hash  bytea,
    PRIMARY KEY (segment_id, row_no)
);
COMMENT ON TABLE mastering.erased_row IS 'What erased rows contribute to the hashes of their segments.';
COMMENT ON COLUMN mastering.erased_row.left_hash IS 'Hash of what is left of the row; NULL where nothing is.';
SELECT pg_catalog.pg_extension_config_dump('mastering.erased_row', '');
