-- 68_recovery.sql: what a promotion leaves behind for those who have to restore the whole server: a restore point in
-- the write-ahead log, and the backup that was there when it began.

CREATE TABLE mastering.backup (
    environment text COLLATE "C" NOT NULL,
    label       text NOT NULL,
    taken_at    timestamptz NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (environment, label)
);
COMMENT ON TABLE mastering.backup IS 'Backups that were made outside, as whoever made them says.';

SELECT pg_catalog.pg_extension_config_dump('mastering.backup', '');

CREATE FUNCTION mastering.do_record_backup(env_name text, label_text text, taken timestamptz, detail_value jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'admin');
    IF label_text IS NULL OR label_text = '' OR octet_length(label_text) > 1000 THEN
        RAISE EXCEPTION 'a backup needs a label that its maker would find it by' USING ERRCODE = '22023';
    END IF;
    IF taken IS NULL OR taken > clock_timestamp() THEN
        RAISE EXCEPTION 'a backup cannot have been taken at no time or in the future' USING ERRCODE = '22023';
    END IF;
    INSERT INTO mastering.backup (environment, label, taken_at, detail, recorded_by) VALUES (env_name, label_text, taken, coalesce(detail_value, '{}'), mastering.caller());
    PERFORM mastering.audit(env_name, 'record backup', jsonb_build_object('label', label_text, 'taken_at', taken));
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'environment "%" has a backup "%" already', env_name, label_text USING ERRCODE = '42710';
END
$$;
COMMENT ON FUNCTION mastering.do_record_backup(text, text, timestamptz, jsonb) IS 'Behind record_backup.';
CREATE FUNCTION mastering.record_backup(env text, label text, taken_at timestamptz DEFAULT now(), detail jsonb DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.record_backup(text, text, timestamptz, jsonb) IS 'Tells of a backup that was made outside, under the name that its maker finds it by. The youngest is written into every release.';

CREATE FUNCTION mastering.last_backup(env_name text) RETURNS mastering.backup
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT b FROM mastering.backup b JOIN mastering.environment e ON e.name = b.environment WHERE b.environment = env_name AND b.recorded_at >= e.created_at ORDER BY b.taken_at DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION mastering.last_backup(text) IS 'The youngest backup that was told of.';

CREATE FUNCTION mastering.explain_backup(env_name text) RETURNS TABLE (missing boolean, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT coalesce(b.taken_at < now() - (p.value ->> 'max_age')::interval, true),
           CASE WHEN b.label IS NULL THEN format('none was told of; no older than %s is demanded', p.value ->> 'max_age')
                ELSE format('%s of %s; no older than %s is demanded', b.label, date_trunc('second', b.taken_at), p.value ->> 'max_age') END
      FROM (SELECT mastering.policy_value(env_name, 'backup')) p (value) LEFT JOIN mastering.last_backup(env_name) b ON true
     WHERE p.value IS NOT NULL AND EXISTS (SELECT FROM mastering.environment e WHERE e.name = env_name);
END
$$;
COMMENT ON FUNCTION mastering.explain_backup(text) IS 'What the policy backup of an environment says now; no row where there is none.';

CREATE FUNCTION mastering.require_backup(env_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last mastering.backup := mastering.last_backup(env_name);
    refusal text := (SELECT b.detail FROM mastering.explain_backup(env_name) b WHERE b.missing);
BEGIN
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'environment "%" demands a backup before a promotion', env_name
            USING ERRCODE = '55000', DETAIL = 'Backup: ' || refusal || '.', HINT = format('After a backup: SELECT mastering.record_backup(%L, ''its label'')', env_name);
    END IF;
    RETURN CASE WHEN last.label IS NOT NULL THEN jsonb_build_object('label', last.label, 'taken_at', last.taken_at, 'detail', last.detail, 'recorded_by', last.recorded_by) END;
END
$$;
COMMENT ON FUNCTION mastering.require_backup(text) IS 'The youngest backup of an environment; raises 55000 where its policy demands a younger one.';

-- What cannot be had is no reason not to promote: the release says why there is none.
CREATE FUNCTION mastering.set_restore_point(env_name text, release bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := format('mastering release %s', release);
    lsn pg_lsn;
BEGIN
    IF current_setting('wal_level') = 'minimal' THEN
        RETURN jsonb_build_object('note', 'none: wal_level is minimal');
    END IF;
    IF NOT has_function_privilege('pg_catalog.pg_create_restore_point(text)', 'EXECUTE') THEN
        RETURN jsonb_build_object('note', 'none: the owner of the extension may not execute pg_create_restore_point');
    END IF;
    lsn := pg_create_restore_point(name);
    RETURN jsonb_build_object('name', name, 'lsn', lsn);
END
$$;
COMMENT ON FUNCTION mastering.set_restore_point(text, bigint) IS 'A named point to recover the server to, just before a release is switched; a note where there can be none.';
