-- 76_metrics_drift.sql: how well releases go, what has drifted apart between stages, and whether the audit log is what was written.

-- ---- metrics ---------------------------------------------------------------------------------------------------------------

-- The four figures by which deployment teams are judged (Forsgren, Humble, Kim: Accelerate, 2018), from what was recorded.
-- Lead time is from when the oldest change of a release was made in whatever stage until the release.
CREATE FUNCTION mastering.do_deployment_metrics(env_name text, since timestamptz, period_name text)
RETURNS TABLE (period timestamptz, deployments bigint, per_week float8, lead_time interval, failed bigint, change_failure_rate float8, time_to_restore interval, stopped bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    first timestamptz := greatest(coalesce(since, env.created_at), env.created_at);
BEGIN
    IF period_name NOT IN ('day', 'week', 'month', 'quarter', 'year') THEN
        RAISE EXCEPTION 'unknown period "%"', period_name USING ERRCODE = '22023', HINT = 'A period is day, week, month, quarter or year; without one, all is one.';
    END IF;
    RETURN QUERY
    WITH release AS (
        SELECT r.*, CASE WHEN period_name IS NULL THEN first ELSE date_trunc(period_name, r.finished_at) END AS start,
               (SELECT min(c.at) FROM jsonb_array_elements(r.proposal -> 'changes') x
                 CROSS JOIN LATERAL (SELECT max(a.at) AS at FROM mastering.audit_entry a WHERE a.action = 'configure' AND a.environment <> env_name AND a.at <= r.finished_at
                                        AND a.detail ->> 'path' = x ->> 'path' AND a.detail ->> 'after' IS NOT DISTINCT FROM r.proposal -> 'tree' ->> (x ->> 'path')) c) AS made,
               (SELECT min(b.finished_at) FROM mastering.release b WHERE r.state = 'rolled back' AND b.target = r.target AND b.kind = 'rollback' AND b.finished_at > r.finished_at) AS back
          FROM mastering.release r WHERE r.target = env_name AND r.kind = 'promotion' AND r.finished_at >= first AND r.state <> 'rejected'),
    summary AS (
        SELECT r.start, count(*) FILTER (WHERE r.state <> 'failed') AS deployments, count(*) FILTER (WHERE r.state = 'rolled back') AS failed, count(*) FILTER (WHERE r.state = 'failed') AS stopped,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY r.finished_at - r.made) FILTER (WHERE r.state <> 'failed' AND r.made IS NOT NULL) AS lead,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY r.back - r.finished_at) FILTER (WHERE r.back IS NOT NULL) AS restore
          FROM release r GROUP BY r.start)
    SELECT s.start, s.deployments,
           s.deployments / greatest(extract(epoch FROM least(clock_timestamp(), CASE WHEN period_name IS NULL THEN clock_timestamp()
               ELSE s.start + CASE period_name WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || period_name)::interval END END) - greatest(s.start, first))::float8 / 604800, 1.0 / 7),
           s.lead, s.failed, s.failed::float8 / nullif(s.deployments, 0), s.restore, s.stopped
      FROM summary s ORDER BY s.start;
END
$$;
COMMENT ON FUNCTION mastering.do_deployment_metrics(text, timestamptz, text) IS 'Behind deployment_metrics.';
CREATE FUNCTION mastering.deployment_metrics(env text, since timestamptz DEFAULT NULL, period text DEFAULT NULL)
RETURNS TABLE (period_start timestamptz, deployments bigint, per_week float8, lead_time interval, failed bigint, change_failure_rate float8, time_to_restore interval, stopped bigint)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.deployment_metrics(text, timestamptz, text) IS 'Releases into an environment, in all or by day, week, month, quarter or year: how many and how often (a time under a day counts as one), median time from the oldest change to the release, how many were rolled back and what share, median time to that, and how many attempts were stopped before they changed anything.';

-- ---- drift -----------------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.loaded_at(env_name text, place text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(a.at) FROM mastering.audit_entry a JOIN mastering.environment e ON e.name = a.environment AND a.at >= e.created_at
     WHERE a.environment = env_name AND (a.action = 'load' AND a.detail ->> 'source' = place OR a.action IN ('promote', 'restore')
           AND EXISTS (SELECT FROM mastering.snapshot s, mastering.snapshot b WHERE s.hash = a.detail ->> 'after' AND b.hash = a.detail ->> 'before' AND s.data -> place IS DISTINCT FROM b.data -> place))
$$;
COMMENT ON FUNCTION mastering.loaded_at(text, text) IS 'When the data of a source last changed in an environment.';

CREATE FUNCTION mastering.golden_statistics(env_name text, entity_name text, attributes text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version jsonb := (SELECT h.versions -> entity_name FROM mastering.head h WHERE h.environment = env_name);
    columns jsonb := (SELECT s.columns FROM mastering.store s WHERE s.store_id = (version ->> 'store')::int);
    result jsonb;
BEGIN
    IF version IS NULL OR NOT EXISTS (SELECT FROM jsonb_array_elements(columns) c WHERE c ->> 'name' = ANY (attributes)) THEN
        RETURN '{}';
    END IF;
    EXECUTE format('SELECT %s FROM mastering.%I s WHERE %s',
        (SELECT mastering.object_expression(array_agg(format('%1$L, jsonb_build_object(''rows'', count(*), ''nulls'', count(*) - count(s.%1$I), ''distinct'', count(DISTINCT s.%1$I::text))', c ->> 'name')))
           FROM jsonb_array_elements(columns) c WHERE c ->> 'name' = ANY (attributes)), 'store_' || (version ->> 'store'), mastering.version_condition(version, 's')) INTO result;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.golden_statistics(text, text, text[]) IS 'Rows, NULLs and distinct values of attributes of the published golden records.';

CREATE FUNCTION mastering.do_drift(env_name text) RETURNS TABLE (aspect text, subject text, here text, there text, detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET TimeZone = 'UTC' AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    below mastering.environment;
    config mastering.configuration := mastering.configuration_of(env_name);
    lower mastering.configuration;
    versions jsonb := (SELECT h.versions FROM mastering.head h WHERE h.environment = env_name);
    last mastering.release;
    item record;
    mine jsonb;
    theirs jsonb;
    important jsonb;
    null_jump numeric := coalesce(mastering.policy_value(env_name, 'null_jump')::numeric, 0.1);
    distinct_jump numeric := coalesce(mastering.policy_value(env_name, 'distinct_jump')::numeric, 0.5);
BEGIN
    IF env.promotes_from IS NOT NULL THEN
        below := mastering.require(env.promotes_from, 'author', 'curator', 'reviewer', 'loader');
        lower := mastering.configuration_of(below.name);
        RETURN QUERY SELECT 'artifact', coalesce(a.key, b.key), left(a.value, 12), left(b.value, 12),
                            CASE WHEN a.key IS NULL THEN format('only in "%s"', below.name) WHEN b.key IS NULL THEN format('only in "%s"', env_name) ELSE 'differs' END
                       FROM jsonb_each_text(config.tree) a FULL JOIN jsonb_each_text(lower.tree) b ON b.key = a.key WHERE a.value IS DISTINCT FROM b.value ORDER BY 2;
    END IF;
    -- Bound relations: there, readable, with the columns that were loaded, and with those of the other stage.
    FOR item IN SELECT e AS entity, s.name AS source, mastering.path(e, s.name) AS place FROM mastering.entities_of(config.tree) e CROSS JOIN LATERAL mastering.sources_of(config.tree, e) s ORDER BY 3 LOOP
        mine := CASE WHEN to_regclass(config.bindings ->> item.place) IS NOT NULL THEN mastering.relation_columns(config.bindings ->> item.place) END;
        theirs := CASE WHEN to_regclass(lower.bindings ->> item.place) IS NOT NULL THEN mastering.relation_columns(lower.bindings ->> item.place) END;
        aspect := 'binding';
        subject := item.place;
        here := config.bindings ->> item.place;
        there := lower.bindings ->> item.place;
        IF here IS NULL OR mine IS NULL THEN
            detail := CASE WHEN here IS NULL THEN 'bound to no relation' ELSE 'the relation does not exist' END;
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF NOT has_any_column_privilege(env.owner::name, to_regclass(here), 'SELECT') THEN
            detail := format('owner %s of the environment may not read it', env.owner);
            RETURN NEXT;
        END IF;
        IF theirs IS NOT NULL AND mine <> theirs THEN
            SELECT string_agg(format('%s %s', x.key, CASE WHEN m.value IS NULL THEN 'only there' WHEN t.value IS NULL THEN 'only here' WHEN m.value <> t.value THEN format('is %s here and %s there', m.value, t.value) END), '; ' ORDER BY x.key) INTO detail
              FROM (SELECT c ->> 'name' AS key FROM jsonb_array_elements(mine) c UNION SELECT c ->> 'name' FROM jsonb_array_elements(theirs) c) x
              LEFT JOIN (SELECT c ->> 'name' AS key, c ->> 'type' AS value FROM jsonb_array_elements(mine) c) m ON m.key = x.key
              LEFT JOIN (SELECT c ->> 'name' AS key, c ->> 'type' AS value FROM jsonb_array_elements(theirs) c) t ON t.key = x.key WHERE m.value IS DISTINCT FROM t.value;
            detail := coalesce(detail, 'columns in another order');
            RETURN NEXT;
        END IF;
        SELECT s.columns INTO theirs FROM mastering.store s WHERE s.store_id = (config.data -> item.place ->> 'store')::int;
        IF theirs IS NOT NULL AND mastering.source_columns(mine) <> theirs THEN
            there := NULL;
            detail := 'its columns are not those of the last load any more';
            RETURN NEXT;
        END IF;
        -- Data: another content, and who is behind.
        IF lower.data ? item.place AND lower.data -> item.place ->> 'content' IS DISTINCT FROM config.data -> item.place ->> 'content' THEN
            aspect := 'data';
            here := coalesce((config.data -> item.place ->> 'rows') || ' rows', 'never loaded') || coalesce(' of ' || date_trunc('second', mastering.loaded_at(env_name, item.place)), '');
            there := (lower.data -> item.place ->> 'rows') || ' rows' || coalesce(' of ' || date_trunc('second', mastering.loaded_at(below.name, item.place)), '');
            detail := 'other rows';
            RETURN NEXT;
        END IF;
    END LOOP;
    FOR item IN SELECT e AS entity FROM mastering.entities_of(config.tree) e WHERE versions ? e LOOP
        -- What is loaded and not run yet.
        SELECT string_agg(s.name, ', ' ORDER BY s.name) INTO detail FROM mastering.sources_of(config.tree, item.entity) s
         WHERE config.data -> mastering.path(item.entity, s.name) ->> 'content' IS DISTINCT FROM versions -> (item.entity || '_records') -> 'contents' ->> s.name;
        IF detail IS NOT NULL THEN
            aspect := 'run';
            subject := item.entity;
            here := NULL;
            there := NULL;
            detail := format('loaded and not run yet: %s', detail);
            RETURN NEXT;
        END IF;
        important := coalesce(mastering.policy_value(env_name, 'important') -> item.entity, '[]');
        CONTINUE WHEN below.name IS NULL OR important = '[]';
        mine := mastering.golden_statistics(env_name, item.entity, ARRAY(SELECT jsonb_array_elements_text(important)));
        theirs := mastering.golden_statistics(below.name, item.entity, ARRAY(SELECT jsonb_array_elements_text(important)));
        RETURN QUERY
        SELECT 'statistics', mastering.path(item.entity, m.key), format('%s %% NULL, %s values in %s', round(100 * m.empty, 1), m.value ->> 'distinct', m.value ->> 'rows'),
               format('%s %% NULL, %s values in %s', round(100 * t.empty, 1), t.value ->> 'distinct', t.value ->> 'rows'), 'values differ more than a load may change them'
          FROM (SELECT j.key, j.value, (j.value ->> 'nulls')::numeric / greatest((j.value ->> 'rows')::numeric, 1) AS empty, (j.value ->> 'distinct')::numeric / greatest((j.value ->> 'rows')::numeric, 1) AS variety FROM jsonb_each(mine) j) m
          JOIN (SELECT j.key, j.value, (j.value ->> 'nulls')::numeric / greatest((j.value ->> 'rows')::numeric, 1) AS empty, (j.value ->> 'distinct')::numeric / greatest((j.value ->> 'rows')::numeric, 1) AS variety FROM jsonb_each(theirs) j) t ON t.key = m.key
         WHERE abs(m.empty - t.empty) > null_jump OR abs(m.variety - t.variety) > distinct_jump * greatest(t.variety, 0.000001) ORDER BY 2;
    END LOOP;
    -- What the last release was proven on, and what is here now.
    SELECT * INTO last FROM mastering.release r WHERE r.target = env_name AND r.kind = 'promotion' AND r.state IN ('promoted', 'rolled back', 'replaced') AND r.created_at >= env.created_at AND r.proposal ? 'platform'
     ORDER BY r.release_id DESC LIMIT 1;
    RETURN QUERY
    SELECT 'platform', p.key, p.value, last.proposal -> 'platform' ->> p.key, format('is not what it was at release %s', last.release_id)
      FROM jsonb_each_text(mastering.platform()) p WHERE last.release_id IS NOT NULL AND p.value IS DISTINCT FROM last.proposal -> 'platform' ->> p.key ORDER BY 2;
END
$$;
COMMENT ON FUNCTION mastering.do_drift(text) IS 'Behind drift.';
CREATE FUNCTION mastering.drift(env text) RETURNS TABLE (aspect text, subject text, here text, there text, detail text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drift(text) IS 'What is not aligned between an environment and the one that it is promoted from: artifacts, columns of bound relations, data, runs, statistics of important attributes; and what has changed on the platform (server, extension, ICU, collations, settings) since its last release.';

-- ---- is the log what was written? ------------------------------------------------------------------------------------------

CREATE TABLE mastering.audit_head (
    environment text COLLATE "C" PRIMARY KEY,
    seq         bigint NOT NULL,
    hash        text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mastering.audit_head IS 'The end of each environment''s log, so that a tail that is cut off is missed. Published with NOTIFY at each entry; who keeps that elsewhere needs to trust nobody here.';
SELECT pg_catalog.pg_extension_config_dump('mastering.audit_head', '');
-- Logs that are older than this table.
INSERT INTO mastering.audit_head (environment, seq, hash)
SELECT DISTINCT ON (a.environment) a.environment, a.seq, a.hash FROM mastering.audit_entry a ORDER BY a.environment, a.seq DESC;

CREATE FUNCTION mastering.log_line(line text) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_log_line';
COMMENT ON FUNCTION mastering.log_line(text) IS 'A line in the server''s log, without the statement that it came of.';

CREATE FUNCTION mastering.publish_audit_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mastering.audit_head AS h (environment, seq, hash) VALUES (NEW.environment, NEW.seq, NEW.hash)
    ON CONFLICT ON CONSTRAINT audit_head_pkey DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash, at = clock_timestamp() WHERE h.seq < EXCLUDED.seq;
    PERFORM mastering.notify('audit', NEW.environment, jsonb_strip_nulls(jsonb_build_object('action', NEW.action, 'seq', NEW.seq, 'hash', NEW.hash, 'role', NEW.role,
        'release_id', CASE WHEN jsonb_typeof(NEW.detail -> 'release_id') = 'number' THEN NEW.detail -> 'release_id' END)));
    -- The server's log may be kept where nobody here gets at it.
    PERFORM mastering.log_line(format('audit of environment "%s": entry %s has hash %s', NEW.environment, NEW.seq, NEW.hash));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mastering.publish_audit_head() IS 'Trigger: remembers and announces the end of an environment''s log.';
-- Not while a dump is restored: that brings the heads itself, whole.
CREATE TRIGGER publish_head AFTER INSERT ON mastering.audit_entry FOR EACH ROW WHEN (pg_trigger_depth() > 0) EXECUTE FUNCTION mastering.publish_audit_head();

CREATE VIEW mastering.audit_heads WITH (security_barrier) AS
    SELECT h.environment, h.seq, h.hash, h.at FROM mastering.audit_head h WHERE mastering.visible(h.environment, h.at);
COMMENT ON VIEW mastering.audit_heads IS 'The end of each environment''s log: number and hash of the last entry. Keep them elsewhere, and verify_audit proves that nothing before was changed since.';
GRANT SELECT ON mastering.audit_heads TO PUBLIC;

CREATE FUNCTION mastering.do_verify_audit(env_name text, known_seq bigint, known_hash text) RETURNS TABLE (environment text, seq bigint, problem text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF env_name IS NOT NULL THEN
        PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    ELSIF known_seq IS NOT NULL OR known_hash IS NOT NULL THEN
        RAISE EXCEPTION 'a known entry belongs to one environment' USING ERRCODE = '22023';
    END IF;
    IF (known_seq IS NULL) <> (known_hash IS NULL) THEN
        RAISE EXCEPTION 'a known entry has a number and a hash' USING ERRCODE = '22023';
    END IF;
    RETURN QUERY
    WITH entry AS (
        SELECT a.*, mastering.audit_hash(a) AS wanted, lag(a.hash) OVER w AS last_hash, lag(a.seq) OVER w AS last_seq
          FROM mastering.audit_entry a
         WHERE CASE WHEN env_name IS NULL THEN mastering.do_visible(a.environment, a.at) OR mastering.may(a.environment, 'author', 'curator', 'reviewer', 'loader') ELSE a.environment = env_name END
        WINDOW w AS (PARTITION BY a.environment ORDER BY a.seq)),
    head AS (
        SELECT h.* FROM mastering.audit_head h
         WHERE CASE WHEN env_name IS NULL THEN mastering.may(h.environment, 'author', 'curator', 'reviewer', 'loader') ELSE h.environment = env_name END)
    SELECT p.environment, p.seq, p.problem, p.detail FROM (
        SELECT e.environment, e.seq, 'changed' AS problem, format('its hash is %s and was %s', left(e.wanted, 12), left(e.hash, 12)) AS detail FROM entry e WHERE e.wanted <> e.hash
        UNION ALL SELECT e.environment, e.seq, 'does not follow', format('it says that the entry before had hash %s, which has %s', left(e.previous_hash, 12), left(coalesce(e.last_hash, 'nothing'), 12))
                    FROM entry e WHERE e.previous_hash <> coalesce(e.last_hash, '') AND coalesce(e.last_seq, 0) = e.seq - 1
        UNION ALL SELECT e.environment, e.seq, 'gap', format('entries %s to %s are missing', coalesce(e.last_seq, 0) + 1, e.seq - 1) FROM entry e WHERE coalesce(e.last_seq, 0) <> e.seq - 1
        UNION ALL SELECT h.environment, h.seq, 'cut off', format('the log ends with entry %s', coalesce((SELECT max(e.seq) FROM entry e WHERE e.environment = h.environment), 0)) FROM head h
                   WHERE NOT EXISTS (SELECT FROM entry e WHERE e.environment = h.environment AND e.seq >= h.seq)
        UNION ALL SELECT h.environment, h.seq, 'not the end', format('the log goes on to entry %s', m.seq) FROM head h JOIN (SELECT e.environment, max(e.seq) AS seq FROM entry e GROUP BY 1) m ON m.environment = h.environment AND m.seq > h.seq
        UNION ALL SELECT h.environment, h.seq, 'not the end', 'the last entry has another hash than was announced' FROM head h JOIN entry e ON e.environment = h.environment AND e.seq = h.seq AND e.hash <> h.hash
        UNION ALL SELECT m.environment, m.seq, 'no head', 'the end of the log was forgotten' FROM (SELECT e.environment, max(e.seq) AS seq FROM entry e GROUP BY 1) m WHERE NOT EXISTS (SELECT FROM head h WHERE h.environment = m.environment)
        UNION ALL SELECT env_name, known_seq, 'not as known', coalesce(format('it has hash %s', left((SELECT e.hash FROM entry e WHERE e.seq = known_seq), 12)) || CASE WHEN EXISTS (SELECT FROM entry e WHERE e.seq = known_seq) THEN '' END, 'it is not there')
                   WHERE known_seq IS NOT NULL AND NOT EXISTS (SELECT FROM entry e WHERE e.seq = known_seq AND e.hash = known_hash)
        UNION ALL SELECT r.target, NULL, 'release without an entry', format('release %s', r.release_id) FROM mastering.release r
                   WHERE r.state IN ('promoted', 'rolled back', 'replaced') AND CASE WHEN env_name IS NULL THEN mastering.do_visible(r.target, r.created_at) ELSE r.target = env_name END
                     AND NOT EXISTS (SELECT FROM mastering.audit_entry a WHERE a.environment = r.target AND a.detail ->> 'release_id' = r.release_id::text)) p
     ORDER BY 1, 2 NULLS LAST, 3;
END
$$;
COMMENT ON FUNCTION mastering.do_verify_audit(text, bigint, text) IS 'Behind verify_audit.';
CREATE FUNCTION mastering.verify_audit(env text DEFAULT NULL, known_seq bigint DEFAULT NULL, known_hash text DEFAULT NULL) RETURNS TABLE (environment text, seq bigint, problem text, detail text)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verify_audit(text, bigint, text) IS 'Recomputes the hash chain of an environment''s log, or of all that one may see: entries that were changed, gaps, a tail that was cut off, releases that no entry tells of. With the number and hash of an entry that was kept elsewhere, whether that is still there. No row is good news.';

REVOKE ALL ON FUNCTION mastering.loaded_at(text, text), mastering.golden_statistics(text, text, text[]), mastering.publish_audit_head(), mastering.log_line(text) FROM PUBLIC;
