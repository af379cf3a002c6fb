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
    state    bytea,
    PRIMARY KEY (store_id, content)
);
ALTER TABLE mastering.data_version ALTER COLUMN state SET STORAGE EXTERNAL;
COMMENT ON TABLE mastering.data_version IS 'Loaded data by content, so that what one environment has loaded another does not write again.';
COMMENT ON COLUMN mastering.data_version.content IS 'Number of rows, SHA-256 of the state, hash of the key''s columns.';
COMMENT ON COLUMN mastering.data_version.state IS 'State of the hash of the multiset of rows (content_state), which the next load goes on from; NULL in data loaded by 0.1.0, whose content is a hash of sorted hashes.';

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
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    inputs     jsonb
);
CREATE INDEX ON mastering.output (run_key, golden_key);
COMMENT ON TABLE mastering.output IS 'Runs by content. run_key: what decides the partition into clusters; output_key: that, the ids it started from and the survivorship rules.';
COMMENT ON COLUMN mastering.output.inputs IS 'What made it, in short: the engine''s revision, and hashes of all else; to say why a run is not found again.';

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
    state           text NOT NULL CHECK (state IN ('proposed', 'prepared', 'promoted', 'failed', 'rejected', 'rolled back', 'replaced')),
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
CREATE INDEX ON mastering.release (finished_at) WHERE kind = 'restore';
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

CREATE SEQUENCE mastering.run_id;
CREATE TABLE mastering.run (
    run_id      bigint PRIMARY KEY DEFAULT nextval('mastering.run_id'),
    environment text COLLATE "C" NOT NULL,
    entity      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('run', 'candidate', 'publish', 'promotion')),
    release_id  bigint,
    candidate   text,
    run_key     text NOT NULL,
    golden_key  text NOT NULL,
    engine      text,
    reused      text,
    how         jsonb,
    counters    jsonb NOT NULL,
    before      jsonb,
    made_by     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.run (environment, entity, run_id);
COMMENT ON COLUMN mastering.run.how IS 'run: full or incremental; because: why it was full; changed, affected, compared: records.';
COMMENT ON TABLE mastering.run IS 'What was run or published where, with the counters of the outputs and of those published before.';

CREATE TABLE mastering.candidate (
    environment text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    schema_name text NOT NULL,
    entities    text[] NOT NULL,
    tree        jsonb NOT NULL,
    data        jsonb NOT NULL,
    base        text NOT NULL,
    versions    jsonb NOT NULL,
    failure     text,
    made_by     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (environment, name)
);
COMMENT ON TABLE mastering.candidate IS 'Outputs that are published nowhere yet; versions and data are in use as long as the row is there.';
COMMENT ON COLUMN mastering.candidate.base IS 'Hash of what was published of these entities: the ids of the candidate''s clusters go on from there.';
COMMENT ON COLUMN mastering.candidate.failure IS 'What its gates found; NULL where they let it pass.';

CREATE TABLE mastering.discarded_key (
    key          text PRIMARY KEY,
    run_id       bigint NOT NULL,
    reason       text,
    discarded_by text NOT NULL,
    discarded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mastering.discarded_key IS 'Keys of runs and of mapped segments whose results are not to be found again.';

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
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN mastering.json_hash(jsonb_build_object('environment', e.environment, 'seq', e.seq, 'at', extract(epoch FROM e.at),
        'session_role', e.session_role, 'role', e.role, 'client', e.client, 'action', e.action, 'detail', e.detail,
        'previous_hash', e.previous_hash));
END
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
SELECT pg_catalog.pg_extension_config_dump('mastering.run', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.run_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.candidate', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.discarded_key', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.environment_view', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.audit_pending_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.audit_entry', '');
