-- 0.1.0--0.2.0.sql: what the update to 0.2.0 cannot take from the install script; see doc/upgrade.md.

-- Runs keep the revision of the engine that made them; the first version's was 1, of whatever ICU there was.
-- covers TABLE mastering.output
ALTER TABLE mastering.output ADD COLUMN inputs jsonb;
UPDATE mastering.output SET inputs = '{"engine": "1"}';

-- Releases that somebody rejected.
-- covers TABLE mastering.release
ALTER TABLE mastering.release DROP CONSTRAINT release_state_check;
ALTER TABLE mastering.release ADD CONSTRAINT release_state_check CHECK (state IN ('proposed', 'prepared', 'promoted', 'failed', 'rejected', 'rolled back', 'replaced'));

-- Blocking keys have stores of their own.
-- covers TABLE mastering.store
ALTER TABLE mastering.store DROP CONSTRAINT store_kind_check;
ALTER TABLE mastering.store ADD CONSTRAINT store_kind_check CHECK (kind IN ('source', 'records', 'keys', 'members', 'golden', 'lineage', 'history'));

-- Loaded data keep the state of their content's hash; for what was loaded before, the next load that changes it computes it.
-- covers TABLE mastering.data_version
ALTER TABLE mastering.data_version ADD COLUMN state bytea;
ALTER TABLE mastering.data_version ALTER COLUMN state SET STORAGE EXTERNAL;

-- Deletion vectors are compact already.
-- covers TABLE mastering.deletion_vector
ALTER TABLE mastering.deletion_vector ALTER COLUMN bitmap SET STORAGE EXTERNAL;

-- golden_sql asks it as whoever calls that.
GRANT EXECUTE ON FUNCTION mastering.is_expression(text) TO PUBLIC;
