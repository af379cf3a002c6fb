-- 73_policies.sql: policies of an environment, exceptions from them, and approvals.
--
-- A policy belongs to its environment, like a binding and unlike an artifact: what protects Prod must not come with
-- a promotion from Dev, nor go with a rollback. Where none is set, the default of the environment's stage is in
-- force; the stage is itself a policy, "development" where none is set, which forbids nothing.
--
-- A policy is set by the environment's admins, or, where policy_role names a role, by that role's members only; the same
-- people may make an exception for a while (override_policy), with a reason. Each use of it is in the audit log.

CREATE TABLE mastering.policy (
    environment text COLLATE "C" NOT NULL,
    policy      text COLLATE "C" NOT NULL,
    value       jsonb NOT NULL,
    reason      text,
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (environment, policy)
);
COMMENT ON TABLE mastering.policy IS 'Policies that were set; the others have the default of the environment''s stage.';

CREATE SEQUENCE mastering.policy_override_id;
CREATE TABLE mastering.policy_override (
    override_id  bigint PRIMARY KEY DEFAULT nextval('mastering.policy_override_id'),
    environment  text COLLATE "C" NOT NULL,
    policy       text COLLATE "C" NOT NULL,
    reason       text NOT NULL,
    role         text NOT NULL,
    session_role text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX ON mastering.policy_override (environment, policy, expires_at);
COMMENT ON TABLE mastering.policy_override IS 'Exceptions from policies: by whom, why and until when.';

CREATE SEQUENCE mastering.approval_id;
CREATE TABLE mastering.approval (
    approval_id  bigint PRIMARY KEY DEFAULT nextval('mastering.approval_id'),
    release_id   bigint NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    bound_hash   text NOT NULL,
    role         text NOT NULL,
    session_role text NOT NULL,
    comment      text,
    given_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.approval (release_id);
COMMENT ON TABLE mastering.approval IS 'Verdicts on releases; one counts for what has its hash and for nothing else.';
COMMENT ON COLUMN mastering.approval.bound_hash IS 'Hash of what was proposed and prepared when the verdict was given.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mastering.approval
    FOR EACH STATEMENT EXECUTE FUNCTION mastering.refuse_change();

CREATE TABLE mastering.attribute_statistics (
    statistics_key text PRIMARY KEY,
    store_id       int NOT NULL,
    source_content text NOT NULL,
    content        jsonb NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE mastering.attribute_statistics IS 'Rows, NULLs and distinct values of attributes, by the content of the source and its mapping; can be made again. They go when that content has gone from mastering.data_version.';

SELECT pg_catalog.pg_extension_config_dump('mastering.policy', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.policy_override', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.policy_override_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.approval', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.approval_id', '');

-- ---- what policies there are ---------------------------------------------------------------------------------------

-- Without a search_path of its own, so that it becomes part of the plans that it is asked from, which are kept: its types are named in full.
CREATE FUNCTION mastering.policy_defaults() RETURNS TABLE (policy text, development jsonb, test jsonb, production jsonb, meaning text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT v.policy, v.development::pg_catalog.jsonb, v.test::pg_catalog.jsonb, v.production::pg_catalog.jsonb, v.meaning FROM (VALUES
        ('stage', '"development"', '"development"', '"development"', 'development, test or production: which defaults are in force'),
        ('direct_changes', '"allow"', '"refuse"', '"refuse"', 'refuse: configuration changes by promotion and rollback only; loading, running and binding stay'),
        ('warn_share', NULL, NULL, '0.05', 'a load that changes more than this share of a source''s records warns'),
        ('refuse_share', NULL, NULL, '0.10', 'from this share on a load is refused, unless the very content was loaded and run in a lower environment'),
        ('new_source', NULL, NULL, '"proven"', 'proven: a source is loaded for the first time only where a stage below has loaded and run it'),
        ('reload_sources', '[]', '[]', '[]', 'entity/source of sources that are truncated and reloaded: their number of rows is what may not jump'),
        ('important', '{}', '{}', '{}', 'attributes whose values are watched: {"customer": ["email"]}'),
        ('null_jump', NULL, '0.10', '0.10', 'a load is refused where the share of NULLs in an important attribute grows by more than this'),
        ('distinct_jump', NULL, '0.50', '0.50', 'a load is refused where the number of distinct values of an important attribute, by row, changes by more than this share'),
        ('approvals', '0', '0', '0', 'how many must approve a release: 2, or {"count": 2, "roles": ["curator", "reviewer"], "identity": "login"}'),
        ('soak', NULL, NULL, NULL, 'how long a change must have been in the stage below: "2 days"'),
        ('windows', '[]', '[]', '[]', 'when releases may happen: [{"days": ["mon", "thu"], "from": "18:00", "until": "23:00", "zone": "Europe/Berlin"}]'),
        ('backup', NULL, NULL, NULL, 'a promotion needs a backup that record_backup told of and that is no older: {"max_age": "24 hours"}'),
        ('resources', '{}', '{}', '{}', 'what a load, training, run or promotion may use: {"threads": 2, "memory": "1GB", "work_mem": "64MB", "statement_timeout": "1 hour", "lock_timeout": "10 s"}'),
        ('policy_role', NULL, NULL, NULL, 'role whose members alone set policies and make exceptions; the admins where there is none')
    ) v (policy, development, test, production, meaning)
$$;
COMMENT ON FUNCTION mastering.policy_defaults() IS 'The policies that there are, and what is in force in each kind of stage where nothing is set.';

CREATE FUNCTION mastering.policy_value(env_name text, policy_name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN nullif(coalesce((SELECT p.value FROM mastering.policy p WHERE p.environment = env_name AND p.policy = policy_name),
        (SELECT CASE coalesce((SELECT p.value #>> '{}' FROM mastering.policy p WHERE p.environment = env_name AND p.policy = 'stage'), 'development')
                WHEN 'production' THEN d.production WHEN 'test' THEN d.test ELSE d.development END
           FROM mastering.policy_defaults() d WHERE d.policy = policy_name)), 'null');
END
$$;
COMMENT ON FUNCTION mastering.policy_value(text, text) IS 'A policy in force in an environment; NULL where it asks for nothing.';

CREATE VIEW mastering.policies WITH (security_barrier) AS
    SELECT e.name AS environment, d.policy,
           nullif(coalesce(p.value, CASE s.stage WHEN 'production' THEN d.production WHEN 'test' THEN d.test ELSE d.development END), 'null') AS value,
           CASE WHEN p.value IS NULL THEN 'default of ' || s.stage ELSE 'set' END AS origin,
           p.set_by, p.set_at, p.reason, d.meaning
      FROM mastering.environment e CROSS JOIN mastering.policy_defaults() d
      CROSS JOIN LATERAL (SELECT coalesce((SELECT q.value #>> '{}' FROM mastering.policy q WHERE q.environment = e.name AND q.policy = 'stage'), 'development')) s (stage)
      LEFT JOIN mastering.policy p ON p.environment = e.name AND p.policy = d.policy
     WHERE mastering.visible(e.name, e.created_at);
COMMENT ON VIEW mastering.policies IS 'The policies in force in the environments that the current user may see, set or by default.';

CREATE VIEW mastering.policy_overrides WITH (security_barrier) AS
    SELECT o.environment, o.policy, o.reason, o.role, o.session_role, o.made_at, o.expires_at, o.expires_at > clock_timestamp() AS in_force
      FROM mastering.policy_override o WHERE mastering.visible(o.environment, o.made_at);
COMMENT ON VIEW mastering.policy_overrides IS 'Exceptions from policies: by whom, why and until when.';

-- ---- setting them ------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.require_policy_role(env_name text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keeper text := mastering.policy_value(env_name, 'policy_role') #>> '{}';
BEGIN
    IF keeper IS NULL THEN
        PERFORM mastering.require(env_name, 'admin');
        RETURN;
    END IF;
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = mastering.caller() AND r.rolsuper)
       AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = keeper AND pg_has_role(mastering.caller(), r.oid, 'USAGE')) THEN
        RAISE EXCEPTION 'permission denied for the policies of environment "%"', env_name
            USING ERRCODE = '42501', DETAIL = format('They are in the hands of role "%s".', keeper);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_policy_role(text) IS 'Raises unless the caller may set policies of an environment and make exceptions.';

CREATE FUNCTION mastering.check_policy_value(policy_name text, value jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind text := jsonb_typeof(value);
    item jsonb;
    pair record;
    expected text;
BEGIN
    expected := CASE
        WHEN policy_name = 'stage' THEN CASE WHEN value IN ('"development"', '"test"', '"production"') THEN NULL ELSE 'It is development, test or production.' END
        WHEN policy_name = 'new_source' THEN CASE WHEN value IN ('"proven"', 'null') THEN NULL ELSE 'It is proven, or null.' END
        WHEN policy_name = 'direct_changes' THEN CASE WHEN value IN ('"allow"', '"refuse"') THEN NULL ELSE 'It is allow or refuse.' END
        WHEN policy_name IN ('warn_share', 'refuse_share', 'null_jump', 'distinct_jump') THEN
            CASE WHEN kind = 'null' OR (kind = 'number' AND value::numeric >= 0) THEN NULL ELSE 'It is a share, such as 0.1, or null for no limit.' END
        WHEN policy_name = 'policy_role' THEN
            CASE WHEN kind = 'null' OR (kind = 'string' AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = value #>> '{}')) THEN NULL ELSE 'It is the name of a role that exists, or null.' END
        WHEN policy_name = 'reload_sources' THEN
            CASE WHEN kind = 'array' AND NOT EXISTS (SELECT FROM jsonb_array_elements(CASE kind WHEN 'array' THEN value END) e WHERE jsonb_typeof(e) <> 'string' OR e #>> '{}' !~ '^[^/]+/[^/]+$')
                 THEN NULL ELSE 'It is an array of entity/source: ["customer/crm"].' END
        WHEN policy_name = 'important' THEN
            CASE WHEN kind = 'object' AND NOT EXISTS (SELECT FROM jsonb_each(CASE kind WHEN 'object' THEN value END) e WHERE jsonb_typeof(e.value) <> 'array')
                 THEN NULL ELSE 'It is an object of entities and their attributes: {"customer": ["email"]}.' END
    END;
    IF expected IS NULL AND policy_name = 'approvals' THEN
        item := CASE kind WHEN 'number' THEN jsonb_build_object('count', value) WHEN 'object' THEN value END;
        IF item IS NULL OR jsonb_typeof(item -> 'count') IS DISTINCT FROM 'number' OR (item ->> 'count')::numeric NOT BETWEEN 0 AND 100 OR (item ->> 'count') !~ '^[0-9]+$'
           OR item - '{count,roles,identity}'::text[] <> '{}' OR coalesce(item ->> 'identity', 'login') NOT IN ('login', 'role')
           OR (item ? 'roles' AND (jsonb_typeof(item -> 'roles') <> 'array' OR NOT '["admin","author","curator","reviewer","loader"]'::jsonb @> (item -> 'roles') OR item -> 'roles' = '[]')) THEN
            expected := 'It is a number, or {"count": 2, "roles": ["curator", "reviewer"], "identity": "login"}; roles are admin, author, curator, reviewer, loader; identity is login or role.';
        END IF;
    ELSIF expected IS NULL AND policy_name = 'soak' AND kind <> 'null' THEN
        BEGIN
            IF kind <> 'string' OR (value #>> '{}')::interval < interval '0' THEN
                expected := 'It is an interval: "2 days".';
            END IF;
        EXCEPTION WHEN data_exception THEN
            expected := 'It is an interval: "2 days".';
        END;
    ELSIF expected IS NULL AND policy_name = 'backup' AND kind <> 'null' THEN
        BEGIN
            IF kind <> 'object' OR value - 'max_age' <> '{}' OR jsonb_typeof(value -> 'max_age') IS DISTINCT FROM 'string' OR (value ->> 'max_age')::interval < interval '0' THEN
                expected := 'It is an object with max_age: {"max_age": "24 hours"}.';
            END IF;
        EXCEPTION WHEN data_exception THEN
            expected := 'It is an object with max_age: {"max_age": "24 hours"}.';
        END;
    ELSIF expected IS NULL AND policy_name = 'windows' THEN
        IF kind <> 'array' THEN
            expected := 'It is an array: [{"days": ["mon"], "from": "18:00", "until": "23:00", "zone": "Europe/Berlin"}].';
        ELSE
            FOR item IN SELECT e FROM jsonb_array_elements(value) e LOOP
                BEGIN
                    IF jsonb_typeof(item) <> 'object' OR item - '{days,from,until,zone}'::text[] <> '{}' OR (item ? 'days' AND NOT '["mon","tue","wed","thu","fri","sat","sun"]'::jsonb @> (item -> 'days')) THEN
                        expected := 'A window has days (mon to sun), from, until and zone.';
                    END IF;
                    PERFORM (item ->> 'from')::time, (item ->> 'until')::time, now() AT TIME ZONE coalesce(item ->> 'zone', 'UTC');
                EXCEPTION WHEN data_exception THEN
                    expected := format('In %s a time or a zone is none.', item);
                END;
            END LOOP;
        END IF;
    ELSIF expected IS NULL AND policy_name = 'resources' THEN
        IF kind <> 'object' THEN
            expected := 'It is an object of threads, memory, work_mem, statement_timeout and lock_timeout.';
        ELSE
            FOR pair IN SELECT e.key, e.value #>> '{}' AS text FROM jsonb_each(value) e LOOP
                BEGIN
                    CASE pair.key
                        WHEN 'threads' THEN IF pair.text::int NOT BETWEEN 1 AND 256 THEN expected := 'threads is 1 to 256.'; END IF;
                        WHEN 'memory', 'work_mem' THEN IF pg_size_bytes(pair.text) NOT BETWEEN 65536 AND 2147483647::bigint * 1024 THEN expected := format('%s is 64 kB to 2 TB.', pair.key); END IF;
                        WHEN 'statement_timeout', 'lock_timeout' THEN IF extract(epoch FROM pair.text::interval) NOT BETWEEN 0.001 AND 2147483 THEN expected := format('%s is 1 ms to 24 days.', pair.key); END IF;
                        ELSE expected := format('There is no resource %s.', pair.key);
                    END CASE;
                EXCEPTION WHEN data_exception THEN
                    expected := format('%s cannot be %s.', pair.key, pair.text);
                END;
            END LOOP;
        END IF;
    END IF;
    IF expected IS NOT NULL THEN
        RAISE EXCEPTION 'invalid value of policy "%": %', policy_name, value USING ERRCODE = '22023', DETAIL = expected;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.check_policy_value(text, jsonb) IS 'Refuses a value that a policy cannot have.';

CREATE FUNCTION mastering.do_set_policy(env_name text, policy_name text, value_text text, reason_text text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    value jsonb;
    before jsonb;
BEGIN
    PERFORM mastering.require_policy_role(env_name);
    IF policy_name IS NULL OR NOT EXISTS (SELECT FROM mastering.policy_defaults() d WHERE d.policy = policy_name) THEN
        RAISE EXCEPTION 'unknown policy "%"', policy_name USING ERRCODE = '22023', HINT = 'SELECT policy, meaning FROM mastering.policy_defaults() lists them.';
    END IF;
    BEGIN
        value := value_text::jsonb;
    EXCEPTION WHEN data_exception THEN    -- production, without the quotes of JSON
        value := to_jsonb(value_text);
    END;
    IF policy_name IN ('stage', 'direct_changes', 'soak', 'policy_role') AND jsonb_typeof(value) NOT IN ('string', 'null') THEN
        value := to_jsonb(value_text);
    END IF;
    IF value IS NOT NULL THEN
        PERFORM mastering.check_policy_value(policy_name, value);
    END IF;
    PERFORM mastering.lock_environment(env_name);
    before := mastering.policy_value(env_name, policy_name);
    IF value IS NULL THEN
        DELETE FROM mastering.policy p WHERE p.environment = env_name AND p.policy = policy_name;
    ELSE
        INSERT INTO mastering.policy (environment, policy, value, reason, set_by) VALUES (env_name, policy_name, value, reason_text, mastering.caller())
        ON CONFLICT ON CONSTRAINT policy_pkey DO UPDATE SET value = EXCLUDED.value, reason = EXCLUDED.reason, set_by = EXCLUDED.set_by, set_at = clock_timestamp();
    END IF;
    PERFORM mastering.audit(env_name, 'set policy', jsonb_strip_nulls(jsonb_build_object('policy', policy_name, 'before', before,
        'after', mastering.policy_value(env_name, policy_name), 'reason', reason_text)));
END
$$;
COMMENT ON FUNCTION mastering.do_set_policy(text, text, text, text) IS 'Behind set_policy.';
CREATE FUNCTION mastering.set_policy(env text, policy text, value text, reason text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_policy(text, text, text, text) IS 'Sets a policy of an environment, a word or JSON; NULL goes back to the default of its stage, ''null'' asks for nothing. policy_defaults() says which there are, the view policies which are in force.';

-- A number or a document may be given as what it is.
CREATE FUNCTION mastering.do_set_policy(env_name text, policy_name text, number numeric, reason_text text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.do_set_policy(env_name, policy_name, number::text, reason_text) $$;
COMMENT ON FUNCTION mastering.do_set_policy(text, text, numeric, text) IS 'Behind set_policy.';
CREATE FUNCTION mastering.set_policy(env text, policy text, value numeric, reason text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_policy(text, text, numeric, text) IS 'Sets a policy whose value is a number.';

CREATE FUNCTION mastering.do_set_policy(env_name text, policy_name text, document jsonb, reason_text text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT mastering.do_set_policy(env_name, policy_name, document::text, reason_text) $$;
COMMENT ON FUNCTION mastering.do_set_policy(text, text, jsonb, text) IS 'Behind set_policy.';
CREATE FUNCTION mastering.set_policy(env text, policy text, value jsonb, reason text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.set_policy(text, text, jsonb, text) IS 'Sets a policy whose value is a document.';

CREATE FUNCTION mastering.do_override_policy(env_name text, policy_name text, reason_text text, valid_for interval) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    until timestamptz := clock_timestamp() + valid_for;
BEGIN
    PERFORM mastering.require_policy_role(env_name);
    IF policy_name IS NULL OR policy_name NOT IN ('direct_changes', 'new_source', 'refuse_share', 'null_jump', 'distinct_jump', 'approvals', 'soak', 'windows') THEN
        RAISE EXCEPTION 'policy "%" has no exceptions', policy_name
            USING ERRCODE = '22023', HINT = 'Exceptions are from direct_changes, new_source, refuse_share, null_jump, distinct_jump, approvals, soak and windows.';
    END IF;
    IF coalesce(btrim(reason_text), '') = '' THEN
        RAISE EXCEPTION 'an exception from a policy needs a reason' USING ERRCODE = '22023';
    END IF;
    IF valid_for IS NULL OR valid_for < interval '0' OR valid_for > interval '7 days' THEN
        RAISE EXCEPTION 'an exception from a policy lasts up to 7 days' USING ERRCODE = '22023', HINT = 'valid_for => ''0'' ends those in force.';
    END IF;
    IF valid_for = interval '0' THEN
        UPDATE mastering.policy_override o SET expires_at = clock_timestamp() WHERE o.environment = env_name AND o.policy = policy_name AND o.expires_at > clock_timestamp();
    ELSE
        INSERT INTO mastering.policy_override (environment, policy, reason, role, session_role, expires_at)
        VALUES (env_name, policy_name, reason_text, mastering.caller(), session_user, until);
    END IF;
    PERFORM mastering.audit(env_name, 'override policy', jsonb_build_object('policy', policy_name, 'reason', reason_text, 'until', until));
    PERFORM mastering.notify('override policy', env_name, jsonb_build_object('policy', policy_name, 'reason', left(reason_text, 1000), 'role', mastering.caller()));
    RETURN until;
END
$$;
COMMENT ON FUNCTION mastering.do_override_policy(text, text, text, interval) IS 'Behind override_policy.';
CREATE FUNCTION mastering.override_policy(env text, policy text, reason text, valid_for interval DEFAULT '1 hour') RETURNS timestamptz
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.override_policy(text, text, text, interval) IS 'An exception from a policy for a while, with a reason; each use of it is logged. valid_for => ''0'' ends it. Returns when it ends.';

-- Whether a policy has an exception now; if so, its use goes into the log.
CREATE FUNCTION mastering.use_override(env_name text, policy_name text, used_for jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hit mastering.policy_override;
BEGIN
    SELECT o.* INTO hit FROM mastering.policy_override o JOIN mastering.environment e ON e.name = o.environment AND o.made_at >= e.created_at
     WHERE o.environment = env_name AND o.policy = policy_name AND o.expires_at > clock_timestamp() ORDER BY o.override_id DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mastering.audit(env_name, 'policy overridden', used_for || jsonb_build_object('policy', policy_name, 'reason', hit.reason, 'by', hit.role, 'override', hit.override_id));
    RETURN true;
END
$$;
COMMENT ON FUNCTION mastering.use_override(text, text, jsonb) IS 'Whether there is an exception from a policy now; logs its use.';

-- ---- configuration by promotion only -------------------------------------------------------------------------------------

CREATE FUNCTION mastering.require_direct_change(env_name text, path text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    below text;
BEGIN
    IF mastering.policy_value(env_name, 'direct_changes') = '"refuse"' AND NOT mastering.use_override(env_name, 'direct_changes', jsonb_build_object('path', path)) THEN
        below := env_name;
        LOOP    -- down to the stage that takes it
            below := (SELECT e.promotes_from FROM mastering.environment e WHERE e.name = below);
            EXIT WHEN below IS NULL OR mastering.policy_value(below, 'direct_changes') <> '"refuse"';
        END LOOP;
        RAISE EXCEPTION 'environment "%" is configured by promotion only', env_name
            USING ERRCODE = '55000', DETAIL = format('Policy direct_changes refuses a change of %s.', path),
                  HINT = coalesce(format('Make the change in "%s" and promote it.', below),
                                  format('SELECT mastering.override_policy(%L, ''direct_changes'', ''reason'') makes an exception.', env_name));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_direct_change(text, text) IS 'Raises where an environment takes configuration by promotion only.';

-- A state of its own or of a stage above (Prod's data restored to Test) comes by no way around the gates; another does.
CREATE FUNCTION mastering.require_restorable(env_name text, origin text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (WITH RECURSIVE below (name) AS (SELECT origin COLLATE "C" UNION SELECT e.promotes_from FROM below b JOIN mastering.environment e ON e.name = b.name)
                   SELECT FROM below b WHERE b.name = env_name) THEN
        PERFORM mastering.require_direct_change(env_name, format('all that "%s" has', origin));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_restorable(text, text) IS 'Raises where a restore would bring configuration past the promotion that policy asks for.';

-- ---- data updates ----------------------------------------------------------------------------------------------------------

-- Loaded below and run there, or loaded by a release that ran it.
CREATE FUNCTION mastering.is_proven_below(env_name text, entity_name text, source_name text, content text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE lower (name) AS (
        SELECT e.promotes_from FROM mastering.environment e WHERE e.name = env_name AND e.promotes_from IS NOT NULL
        UNION SELECT e.promotes_from FROM lower l JOIN mastering.environment e ON e.name = l.name WHERE e.promotes_from IS NOT NULL)
    SELECT EXISTS (
        SELECT FROM lower l JOIN mastering.environment e ON e.name = l.name
          JOIN mastering.audit_entry a ON a.environment = l.name AND a.at >= e.created_at AND a.action = 'load'
                AND a.detail ->> 'source' = mastering.path(entity_name, source_name) AND a.detail ->> 'after' = content
         WHERE EXISTS (SELECT FROM mastering.audit_entry b WHERE b.environment = l.name AND b.seq > a.seq AND b.action = 'run' AND b.detail ->> 'entity' = entity_name
                          AND NOT EXISTS (SELECT FROM mastering.audit_entry c WHERE c.environment = l.name AND c.seq > a.seq AND c.seq < b.seq AND c.action = 'load'
                                             AND c.detail ->> 'source' = a.detail ->> 'source')))
        OR EXISTS (
        SELECT FROM lower l JOIN mastering.environment e ON e.name = l.name
          JOIN mastering.release r ON r.target = l.name AND r.kind = 'promotion' AND r.state = 'promoted' AND r.created_at >= e.created_at
                AND r.proposal -> 'runs' @> jsonb_build_array(jsonb_build_object('entity', entity_name))
          JOIN mastering.snapshot s ON s.hash = r.snapshot_after
         WHERE s.data -> mastering.path(entity_name, source_name) ->> 'content' = is_proven_below.content)
$$;
COMMENT ON FUNCTION mastering.is_proven_below(text, text, text, text) IS 'Whether this very content of a source was loaded and run in an environment that this one is promoted from.';

-- A first load has nothing that it could be held against but what the stages below made of the source.
CREATE FUNCTION mastering.require_known_source(env_name text, entity_name text, source_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    below text := (SELECT e.promotes_from FROM mastering.environment e WHERE e.name = env_name);
BEGIN
    IF below IS NULL OR mastering.policy_value(env_name, 'new_source') IS DISTINCT FROM '"proven"'
       OR EXISTS (WITH RECURSIVE lower (name) AS (SELECT below COLLATE "C" UNION SELECT e.promotes_from FROM lower l JOIN mastering.environment e ON e.name = l.name WHERE e.promotes_from IS NOT NULL)
                  SELECT FROM lower l JOIN mastering.head h ON h.environment = l.name WHERE h.versions -> (entity_name || '_records') -> 'contents' ? source_name)
       OR mastering.use_override(env_name, 'new_source', jsonb_build_object('source', mastering.path(entity_name, source_name))) THEN
        RETURN;
    END IF;
    RAISE EXCEPTION 'source "%" of entity "%" is new to environment "%"', source_name, entity_name, env_name
        USING ERRCODE = '55000', DETAIL = 'No stage below has loaded and run it (policy new_source).',
              HINT = format('Load and run it in "%s" first, or SELECT mastering.override_policy(%L, ''new_source'', ''reason'')', below, env_name);
END
$$;
COMMENT ON FUNCTION mastering.require_known_source(text, text, text) IS 'Raises where a source is loaded for the first time that no stage below has run.';

-- Rows, NULLs and distinct values of some attributes as the mapping gives them.
CREATE FUNCTION mastering.attribute_statistics_of(env mastering.environment, entity_name text, source_name text, source jsonb, tree jsonb, version jsonb, attributes text[]) RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off AS $$
<<work>>
DECLARE
    entity jsonb := mastering.artifact_at(tree, mastering.path('entity', entity_name));
    wanted jsonb;
    statistics_key text;
    result jsonb;
    counts text;
BEGIN
    SELECT jsonb_build_object('attributes', jsonb_agg(a.value ORDER BY a.value ->> 'name')) INTO wanted
      FROM jsonb_array_elements(entity -> 'attributes') a WHERE a.value ->> 'name' = ANY (attributes) AND source -> 'mapping' ? (a.value ->> 'name');
    IF wanted -> 'attributes' = 'null' OR version IS NULL THEN
        RETURN '{}';
    END IF;
    statistics_key := mastering.json_hash(jsonb_build_object('store', version -> 'store', 'content', version -> 'content', 'mapping', source -> 'mapping', 'wanted', wanted, 'owner', env.owner));
    SELECT s.content INTO result FROM mastering.attribute_statistics s WHERE s.statistics_key = work.statistics_key;
    IF result IS NULL THEN
        SELECT mastering.object_expression(array_agg(format('%1$L, jsonb_build_object(''rows'', count(*), ''nulls'', count(*) - count(m.%1$I), ''distinct'', count(DISTINCT m.%1$I::text))', a.value ->> 'name')))
          INTO counts FROM jsonb_array_elements(wanted -> 'attributes') a;
        SELECT t.r INTO result FROM mastering.query_as(env.owner::name,
            format(E'SELECT %s FROM (SELECT %s\n FROM %s AS %I) m', counts, mastering.mapping_list(wanted, source -> 'mapping'),
                   mastering.show_source(env, mastering.path(entity_name, 'loaded', source_name), version), source_name),
            mastering.artifact_path(env.name), false) AS t (r jsonb);
        INSERT INTO mastering.attribute_statistics (statistics_key, store_id, source_content, content) VALUES (statistics_key, (version ->> 'store')::int, version ->> 'content', result) ON CONFLICT DO NOTHING;
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.attribute_statistics_of(mastering.environment, text, text, jsonb, jsonb, jsonb, text[]) IS 'Rows, NULLs and distinct values of attributes in a version of a source.';

CREATE FUNCTION mastering.check_data_update(env mastering.environment, entity_name text, source_name text, source jsonb, tree jsonb, before jsonb, after jsonb, changed_rows bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := mastering.path(entity_name, source_name);
    rows_before bigint := (before ->> 'rows')::bigint;
    rows_after bigint := (after ->> 'rows')::bigint;
    declared boolean := mastering.policy_value(env.name, 'reload_sources') @> to_jsonb(place);
    warn numeric := mastering.policy_value(env.name, 'warn_share')::numeric;
    refuse numeric := mastering.policy_value(env.name, 'refuse_share')::numeric;
    null_jump numeric := mastering.policy_value(env.name, 'null_jump')::numeric;
    distinct_jump numeric := mastering.policy_value(env.name, 'distinct_jump')::numeric;
    attributes text[];
    old_statistics jsonb;
    new_statistics jsonb;
    changed bigint;
    share numeric;
    was jsonb;
    item record;
    summary text;
BEGIN
    IF before IS NULL OR rows_before = 0 THEN    -- the first load of a source is what brought it here
        PERFORM mastering.require_known_source(env.name, entity_name, source_name) WHERE before IS NULL;
        RETURN;
    END IF;
    changed := CASE WHEN declared THEN abs(rows_after - rows_before) ELSE changed_rows END;
    share := changed::numeric / rows_before;
    summary := format(CASE WHEN declared THEN 'It had %s rows and has %s.' ELSE '%2$s rows now; %3$s inserted, updated or deleted of %1$s before.' END, rows_before, rows_after, changed);
    IF share >= refuse THEN
        IF NOT mastering.is_proven_below(env.name, entity_name, source_name, after ->> 'content')
           AND NOT mastering.use_override(env.name, 'refuse_share', jsonb_build_object('source', place, 'share', round(share, 4))) THEN
            RAISE EXCEPTION 'load of source "%" of entity "%" changes % %% of its records', source_name, entity_name, round(share * 100, 1)
                USING ERRCODE = '55000', DETAIL = format('%s Environment "%s" refuses from %s %% (policy refuse_share).', summary, env.name, round(refuse * 100, 1)),
                      HINT = format('Load and run the same rows in "%s" first, or SELECT mastering.override_policy(%L, ''refuse_share'', ''reason'')', coalesce(env.promotes_from, env.name), env.name);
        END IF;
    ELSIF share > warn THEN
        RAISE WARNING 'load of source "%" of entity "%" changes % %% of its records', source_name, entity_name, round(share * 100, 1)
            USING DETAIL = summary;
    END IF;
    IF before ->> 'store' <> after ->> 'store' THEN    -- other columns: the mapping may not fit both
        RETURN;
    END IF;
    SELECT array_agg(a) INTO attributes FROM jsonb_array_elements_text(coalesce(mastering.policy_value(env.name, 'important') -> entity_name, '[]')) a;
    IF attributes IS NOT NULL AND rows_after > 0 AND (null_jump IS NOT NULL OR distinct_jump IS NOT NULL) THEN
        old_statistics := mastering.attribute_statistics_of(env, entity_name, source_name, source, tree, before, attributes);
        new_statistics := mastering.attribute_statistics_of(env, entity_name, source_name, source, tree, after, attributes);
        FOR item IN SELECT s.key, s.value AS now FROM jsonb_each(new_statistics) s ORDER BY 1 LOOP
            was := old_statistics -> item.key;
            CONTINUE WHEN was IS NULL;
            share := (item.now ->> 'nulls')::numeric / rows_after - (was ->> 'nulls')::numeric / rows_before;
            IF share > null_jump AND NOT mastering.use_override(env.name, 'null_jump', jsonb_build_object('source', place, 'attribute', item.key)) THEN
                RAISE EXCEPTION 'load of source "%" of entity "%" empties attribute "%"', source_name, entity_name, item.key
                    USING ERRCODE = '55000', DETAIL = format('%s of %s values are NULL; before, %s of %s were. Environment "%s" refuses %s %% more (policy null_jump).',
                                                             item.now ->> 'nulls', rows_after, was ->> 'nulls', rows_before, env.name, round(null_jump * 100, 1)),
                          HINT = format('If it is right so: SELECT mastering.override_policy(%L, ''null_jump'', ''reason'')', env.name);
            END IF;
            -- By row, so that growth alone is no jump.
            share := abs((item.now ->> 'distinct')::numeric / rows_after / greatest((was ->> 'distinct')::numeric / rows_before, 1.0 / rows_before) - 1);
            IF share > distinct_jump AND (item.now -> 'distinct') <> (was -> 'distinct')
               AND NOT mastering.use_override(env.name, 'distinct_jump', jsonb_build_object('source', place, 'attribute', item.key)) THEN
                RAISE EXCEPTION 'load of source "%" of entity "%" changes how many values attribute "%" has', source_name, entity_name, item.key
                    USING ERRCODE = '55000', DETAIL = format('%s distinct values in %s rows; before, %s in %s. Environment "%s" refuses a change by %s %% (policy distinct_jump).',
                                                             item.now ->> 'distinct', rows_after, was ->> 'distinct', rows_before, env.name, round(distinct_jump * 100, 1)),
                          HINT = format('If it is right so: SELECT mastering.override_policy(%L, ''distinct_jump'', ''reason'')', env.name);
            END IF;
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.check_data_update(mastering.environment, text, text, jsonb, jsonb, jsonb, jsonb, bigint) IS 'Warns of or refuses a load by the policies of its environment.';

-- ---- resources -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.limit_setting(name text, value text) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_limit_setting';
COMMENT ON FUNCTION mastering.limit_setting(text, text) IS 'A setting for the rest of the function behind a door that calls this; a statement_timeout starts now.';

-- A profile is a cap: what the caller has set lower stays.
CREATE FUNCTION mastering.resource_limits(env_name text) RETURNS TABLE (name text, value text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    profile jsonb := mastering.policy_value(env_name, 'resources');
BEGIN
    IF profile = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT l.name, l.wanted::text FROM jsonb_each_text(profile) r
     CROSS JOIN LATERAL (SELECT CASE r.key WHEN 'threads' THEN 'mastering.threads' WHEN 'memory' THEN 'mastering.work_mem' ELSE r.key END,
                                CASE WHEN r.key = 'threads' THEN r.value::bigint WHEN r.key IN ('memory', 'work_mem') THEN pg_size_bytes(r.value) / 1024
                                     ELSE (extract(epoch FROM r.value::interval) * 1000)::bigint END) l (name, wanted)
     JOIN pg_settings s ON s.name = l.name
     WHERE s.setting::bigint <= 0 OR s.setting::bigint > l.wanted;
END
$$;
COMMENT ON FUNCTION mastering.resource_limits(text) IS 'The settings that an environment''s resource profile lowers, in their own units.';

-- ---- when ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.in_window(windows jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- A window past midnight belongs to the day that it begins on.
    RETURN NOT EXISTS (SELECT FROM jsonb_array_elements(windows)) OR EXISTS (
        SELECT FROM jsonb_array_elements(windows) w
         CROSS JOIN LATERAL (SELECT at AT TIME ZONE coalesce(w ->> 'zone', 'UTC'), coalesce((w ->> 'from')::time, '00:00'), coalesce((w ->> 'until')::time, '24:00')) l (moment, opens, closes)
         WHERE CASE WHEN l.opens < l.closes THEN l.moment::time >= l.opens AND l.moment::time < l.closes AND (NOT w ? 'days' OR w -> 'days' ? to_char(l.moment, 'dy'))
                    ELSE (l.moment::time >= l.opens AND (NOT w ? 'days' OR w -> 'days' ? to_char(l.moment, 'dy')))
                      OR (l.moment::time < l.closes AND (NOT w ? 'days' OR w -> 'days' ? to_char(l.moment - interval '1 day', 'dy'))) END);
END
$$;
COMMENT ON FUNCTION mastering.in_window(jsonb, timestamptz) IS 'Whether a moment lies in one of the time windows; always where there are none.';

-- What is not known to leave the configuration alone counts as a change of it.
CREATE FUNCTION mastering.configured_since(env_name text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT max(a.at) FROM mastering.audit_entry a JOIN mastering.environment e ON e.name = a.environment AND a.at >= e.created_at
     WHERE a.environment = env_name AND a.detail -> 'unchanged' IS DISTINCT FROM 'true'
       AND a.action NOT IN ('load', 'load failed', 'record backup', 'run', 'snapshot', 'propose', 'prepare', 'approve', 'reject', 'approval needed', 'promote failed', 'check failed', 'grant role', 'revoke role',
                            'bind source', 'set loading', 'set policy', 'override policy', 'policy overridden', 'release hold', 'release step', 'alter environment', 'sample environment', 'sampled', 'end sample'));
END
$$;
COMMENT ON FUNCTION mastering.configured_since(text) IS 'When the configuration of an environment last changed.';

-- One row for each policy on the time of a release that is against it now.
CREATE FUNCTION mastering.timing_blocks(source_name text, target_name text) RETURNS TABLE (policy text, message text, detail text, hint text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    windows jsonb := mastering.policy_value(target_name, 'windows');
    soak interval := (mastering.policy_value(target_name, 'soak') #>> '{}')::interval;
    since timestamptz := mastering.configured_since(source_name);
BEGIN
    IF NOT mastering.in_window(coalesce(windows, '[]'), clock_timestamp()) THEN
        policy := 'windows';
        message := format('environment "%s" takes no release at this time', target_name);
        detail := format('Its time windows are %s.', windows);
        hint := format('SELECT mastering.override_policy(%L, ''windows'', ''reason'') makes an exception.', target_name);
        RETURN NEXT;
    END IF;
    IF since + soak > clock_timestamp() THEN
        policy := 'soak';
        message := format('environment "%s" has not been as it is for long enough to be promoted to "%s"', source_name, target_name);
        detail := format('It was changed %s ago; policy soak asks for %s.', justify_interval(date_trunc('second', clock_timestamp() - since)), soak);
        hint := format('SELECT mastering.override_policy(%L, ''soak'', ''reason'') makes an exception.', target_name);
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.timing_blocks(text, text) IS 'Time windows and soak time that a promotion would break now.';

CREATE FUNCTION mastering.require_timing(source_name text, target_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    block record;
BEGIN
    FOR block IN SELECT * FROM mastering.timing_blocks(source_name, target_name) LOOP
        IF NOT mastering.use_override(target_name, block.policy, jsonb_build_object('source', source_name)) THEN
            RAISE EXCEPTION '%', block.message USING ERRCODE = '55000', DETAIL = block.detail, HINT = block.hint;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.require_timing(text, text) IS 'Raises where a time window or the soak time is against a promotion.';

-- ---- approvals -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.approval_policy(env_name text) RETURNS TABLE (needed int, roles text[], identity text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT coalesce((p.v ->> 'count')::int, 0), coalesce(ARRAY(SELECT jsonb_array_elements_text(p.v -> 'roles')), '{}')
           || CASE WHEN p.v ? 'roles' THEN '{}'::text[] ELSE '{curator,reviewer}' END, coalesce(p.v ->> 'identity', 'login')
      FROM (SELECT CASE jsonb_typeof(v) WHEN 'number' THEN jsonb_build_object('count', v) ELSE v END FROM mastering.policy_value(env_name, 'approvals') v) p (v);
END
$$;
COMMENT ON FUNCTION mastering.approval_policy(text) IS 'How many approvals an environment asks for, of which of its roles (its admins always), and what tells people apart.';

CREATE FUNCTION mastering.text_versions() RETURNS text
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_text_versions';
COMMENT ON FUNCTION mastering.text_versions() IS 'Versions of ICU and Unicode that text is normalised with.';

-- What a result may hang on outside of the configuration.
CREATE FUNCTION mastering.platform() RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT jsonb_build_object('server', current_setting('server_version'), 'extension', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'mastering'),
        'engine', mastering.engine_revision(), 'text', mastering.text_versions(), 'encoding', getdatabaseencoding(), 'collate', d.datcollate, 'ctype', d.datctype,
        'collation version', pg_database_collation_actual_version(d.oid), 'max_worker_processes', current_setting('max_worker_processes'),
        'track_commit_timestamp', current_setting('track_commit_timestamp'), 'fsync', current_setting('fsync'), 'synchronous_commit', current_setting('synchronous_commit'))
      FROM pg_database d WHERE d.datname = current_database());
END
$$;
COMMENT ON FUNCTION mastering.platform() IS 'Versions and settings that results and their safety hang on.';

-- Everything that decides what the target will be, and nothing that differs from one preparation to the next: a new
-- cluster's number is drawn again when a preparation is undone, what it is made of stays.
CREATE FUNCTION mastering.prepared_hash(target mastering.state, proposal jsonb, next jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN mastering.json_hash(jsonb_build_object('proposal', proposal -> 'hash', 'bindings', next -> 'bindings',
        'data', (SELECT jsonb_object_agg(d.key, d.value -> 'content') FROM jsonb_each(next -> 'data') d),
        'published', (SELECT jsonb_object_agg(v.key, v.value -> 'hash') FROM jsonb_each(target.versions) v),
        'runs', (SELECT jsonb_object_agg(v.key, jsonb_build_array(v.value -> 'run', v.value -> 'golden')) FROM jsonb_each(next -> 'versions') v WHERE v.value ? 'run')));
END
$$;
COMMENT ON FUNCTION mastering.prepared_hash(mastering.state, jsonb, jsonb) IS 'The hash of what is released: what the target is, what it is to become, from which data and by which runs.';

-- To be asked between the preparation and the switch.
CREATE FUNCTION mastering.release_facts(target_name text, proposal jsonb, next jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN jsonb_build_object('runs', next -> 'runs', 'prepared_hash', mastering.prepared_hash(mastering.current_state(target_name), proposal, next), 'platform', mastering.platform());
END
$$;
COMMENT ON FUNCTION mastering.release_facts(text, jsonb, jsonb) IS 'What is kept of a preparation: its runs, the hash that approvals are bound to, what it ran on.';

CREATE FUNCTION mastering.may_approve(role_name name, target_name text, roles text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role_name AND r.rolsuper)
        OR EXISTS (SELECT FROM mastering.environment e JOIN pg_roles r ON r.rolname = e.owner WHERE e.name = target_name AND pg_has_role(role_name, r.oid, 'USAGE'))
        OR EXISTS (SELECT FROM mastering.role_map m JOIN pg_roles r ON r.rolname = m.grantee
                    WHERE m.environment = target_name AND (m.role = ANY (roles) OR m.role = 'admin') AND pg_has_role(role_name, r.oid, 'USAGE'))
$$;
COMMENT ON FUNCTION mastering.may_approve(name, text, text[]) IS 'Whether a role is one of those that approve releases into an environment.';

CREATE FUNCTION mastering.approvals_given(release mastering.release, hash text) RETURNS int
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(DISTINCT CASE p.identity WHEN 'login' THEN a.session_role ELSE a.role END)::int
      FROM mastering.approval a CROSS JOIN mastering.approval_policy(release.target) p
     WHERE a.release_id = release.release_id AND a.verdict = 'approved' AND a.bound_hash = hash AND a.role <> release.author
       AND (p.identity = 'role' OR a.session_role <> coalesce(release.proposal ->> 'author_session', release.author))
$$;
COMMENT ON FUNCTION mastering.approvals_given(mastering.release, text) IS 'How many people other than its author approved a release as it is.';

-- Login roles, without superusers: who is meant to approve, not who could.
CREATE FUNCTION mastering.approvers_of(target_name text, author text) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') FROM pg_roles r CROSS JOIN mastering.approval_policy(target_name) p
     WHERE (r.rolcanlogin OR p.identity = 'role') AND NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.rolname <> author AND mastering.may_approve(r.rolname, target_name, p.roles)
$$;
COMMENT ON FUNCTION mastering.approvers_of(text, text) IS 'The roles, superusers aside, that may approve what an author releases into an environment.';

-- The release that already waits for approval of the same change; promote goes on with that.
CREATE FUNCTION mastering.waiting_release(source_name text, target_name text, hash text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT r.release_id FROM mastering.release r JOIN mastering.environment e ON e.name = r.target AND r.created_at >= e.created_at
     WHERE r.kind = 'promotion' AND r.source = source_name AND r.target = target_name AND r.state IN ('proposed', 'prepared') AND r.proposal_hash = hash
       AND (SELECT p.needed FROM mastering.approval_policy(target_name) p) > 0
     ORDER BY r.release_id DESC LIMIT 1);
END
$$;
COMMENT ON FUNCTION mastering.waiting_release(text, text, text) IS 'The open release of a change, where releases need approval.';

-- known: the release is in the table already; where it is not, promote_or_record brings it there after the error.
CREATE FUNCTION mastering.require_approvals(id bigint, known boolean, source_name text, target_name text, message_text text, proposal jsonb, facts jsonb, checks jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    policy record;
    release mastering.release;
    given int;
    void int;
    approvers text[];
BEGIN
    SELECT * INTO policy FROM mastering.approval_policy(target_name);
    IF policy.needed = 0 THEN
        RETURN;
    END IF;
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id;
    IF NOT known THEN
        release.release_id := id;
        release.kind := 'promotion';
        release.source := (mastering.resolve_state(source_name)).environment;
        release.target := target_name;
        release.message := message_text;
        release.author := mastering.caller();
        release.created_at := clock_timestamp();
        release.source_tree := proposal -> 'source_tree';
        release.proposal_hash := proposal ->> 'hash';
        release.proposal := (proposal - 'source_tree') || jsonb_build_object('author_session', session_user);
    END IF;
    given := mastering.approvals_given(release, facts ->> 'prepared_hash');
    IF given >= policy.needed OR mastering.use_override(target_name, 'approvals', jsonb_build_object('release_id', id, 'given', given, 'needed', policy.needed)) THEN
        RETURN;
    END IF;
    SELECT count(*) INTO void FROM mastering.approval a WHERE a.release_id = id AND a.verdict = 'approved' AND a.bound_hash <> facts ->> 'prepared_hash';
    approvers := mastering.approvers_of(target_name, release.author);
    PERFORM mastering.note_failure(jsonb_build_object('waiting', jsonb_build_object('release_id', id, 'checks', checks) || CASE
        WHEN known AND release.proposal ->> 'prepared_hash' = facts ->> 'prepared_hash' THEN '{}'::jsonb
        ELSE jsonb_build_object('release', to_jsonb(release) || jsonb_build_object('state', 'proposed', 'proposal', release.proposal || facts)) END));
    RAISE EXCEPTION 'release % of environment "%" waits for approval', id, target_name
        USING ERRCODE = '55000',
              DETAIL = format('It has %s of %s approvals.', given, policy.needed)
                       || CASE WHEN void > 0 THEN format(' %s given before no longer count: what is released has changed since.', void) ELSE '' END
                       || CASE WHEN approvers = '{}' THEN format(' Nobody but %s and superusers may approve it.', release.author)
                               ELSE format(' May approve: %s (%s of "%s").', array_to_string(approvers[1:10], ', ') || CASE WHEN cardinality(approvers) > 10 THEN ', ...' ELSE '' END,
                                           array_to_string(policy.roles || CASE WHEN 'admin' = ANY (policy.roles) THEN '{}'::text[] ELSE '{admin}' END, ', '), target_name) END,
              HINT = CASE WHEN cardinality(approvers) < policy.needed
                          THEN format('Those are too few people: SELECT mastering.grant_role(%L, %L, ''another role''), or set the policy lower: SELECT mastering.set_policy(%L, ''approvals'', %L)', target_name, policy.roles[1], target_name,
                                      CASE WHEN approvers = '{}' THEN 'null' ELSE jsonb_build_object('count', cardinality(approvers), 'roles', policy.roles) END)
                          ELSE format('CALL mastering.prepare(%s) shows it in schema "%s"; they call SELECT mastering.approve(%s), then SELECT mastering.promote_release(%s)', id, target_name || '_next', id, id) END;
END
$$;
COMMENT ON FUNCTION mastering.require_approvals(bigint, boolean, text, text, text, jsonb, jsonb, jsonb) IS 'Raises where a release has not the approvals that its target asks for; the release is kept all the same.';

CREATE FUNCTION mastering.give_verdict(id bigint, verdict_name text, comment_text text) RETURNS mastering.release
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release;
    policy record;
    own boolean;
BEGIN
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id;
    IF NOT FOUND OR NOT mastering.do_visible(release.target, release.created_at) THEN
        RAISE EXCEPTION 'release % does not exist', id USING ERRCODE = '42704', HINT = 'SELECT release_id, source, target, state FROM mastering.releases lists those that do.';
    END IF;
    SELECT * INTO policy FROM mastering.approval_policy(release.target);
    own := mastering.caller() = release.author OR (policy.identity = 'login' AND session_user = coalesce(release.proposal ->> 'author_session', release.author));
    IF NOT (own AND verdict_name = 'rejected') THEN    -- an author may take a release back
        PERFORM mastering.require(release.target, VARIADIC policy.roles);
    END IF;
    IF own AND verdict_name = 'approved' THEN
        RAISE EXCEPTION 'the author of release % may not approve it', id
            USING ERRCODE = '42501', DETAIL = format('Author is %s, logged in as %s; you are %s, logged in as %s.', release.author, coalesce(release.proposal ->> 'author_session', release.author), mastering.caller(), session_user),
                  HINT = format('May approve: %s.', coalesce(nullif(array_to_string(mastering.approvers_of(release.target, release.author), ', '), ''), 'nobody yet; grant_role makes somebody'));
    END IF;
    PERFORM mastering.lock_environment(release.target);
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id;
    IF release.kind <> 'promotion' OR release.state NOT IN ('proposed', 'prepared') THEN
        RAISE EXCEPTION 'release % is %', id, release.state USING ERRCODE = '55000';
    END IF;
    IF verdict_name = 'approved' AND release.proposal ->> 'prepared_hash' IS NULL THEN
        RAISE EXCEPTION 'release % is not prepared yet', id
            USING ERRCODE = '55000', DETAIL = 'An approval is for what a release will show, and that is not known before.', HINT = format('CALL mastering.prepare(%s)', id);
    END IF;
    IF verdict_name = 'approved' AND EXISTS (SELECT FROM mastering.approval a WHERE a.release_id = id AND a.verdict = 'approved' AND a.bound_hash = release.proposal ->> 'prepared_hash'
               AND (a.role = mastering.caller() OR (policy.identity = 'login' AND a.session_role = session_user))) THEN
        RAISE EXCEPTION 'role "%" has approved release % already', mastering.caller(), id USING ERRCODE = '42710';
    END IF;
    INSERT INTO mastering.approval (release_id, verdict, bound_hash, role, session_role, comment)
    VALUES (id, verdict_name, coalesce(release.proposal ->> 'prepared_hash', release.proposal_hash), mastering.caller(), session_user, comment_text);
    PERFORM mastering.audit(release.target, CASE verdict_name WHEN 'approved' THEN 'approve' ELSE 'reject' END,
        jsonb_strip_nulls(jsonb_build_object('release_id', id, 'hash', release.proposal -> 'prepared_hash', 'comment', comment_text)));
    RETURN release;
END
$$;
COMMENT ON FUNCTION mastering.give_verdict(bigint, text, text) IS 'Writes down the caller''s verdict on a release.';

CREATE FUNCTION mastering.do_approve(id bigint, comment_text text) RETURNS int
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release := mastering.give_verdict(id, 'approved', comment_text);
    missing int;
BEGIN
    missing := greatest((SELECT p.needed FROM mastering.approval_policy(release.target) p) - mastering.approvals_given(release, release.proposal ->> 'prepared_hash'), 0);
    PERFORM mastering.notify('approve', release.target, jsonb_build_object('release_id', id, 'role', mastering.caller(), 'missing', missing));
    RETURN missing;
END
$$;
COMMENT ON FUNCTION mastering.do_approve(bigint, text) IS 'Behind approve.';
CREATE FUNCTION mastering.approve(release bigint, comment text DEFAULT NULL) RETURNS int
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.approve(bigint, text) IS 'Approves a release as it was proposed and prepared, and nothing else: any change voids it. Not for its author. Returns how many approvals are still missing.';

CREATE FUNCTION mastering.do_reject(id bigint, comment_text text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release := mastering.give_verdict(id, 'rejected', comment_text);
BEGIN
    UPDATE mastering.release r SET state = 'rejected', finished_at = clock_timestamp() WHERE r.release_id = id;
    PERFORM mastering.notify('reject', release.target, jsonb_strip_nulls(jsonb_build_object('release_id', id, 'role', mastering.caller(), 'comment', left(comment_text, 1000))));
END
$$;
COMMENT ON FUNCTION mastering.do_reject(bigint, text) IS 'Behind reject.';
CREATE FUNCTION mastering.reject(release bigint, comment text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.reject(bigint, text) IS 'Ends a release that was proposed. Those who may approve it may, and its author.';

CREATE VIEW mastering.approvals WITH (security_barrier) AS
    SELECT a.release_id, r.source, r.target, a.verdict, a.role, a.session_role, a.comment, a.given_at,
           a.bound_hash IS NOT DISTINCT FROM r.proposal ->> 'prepared_hash' AS is_current
      FROM mastering.approval a JOIN mastering.release r USING (release_id) WHERE mastering.visible(r.target, r.created_at);
COMMENT ON VIEW mastering.approvals IS 'Verdicts on releases; is_current: given on the release as it is, so that it counts.';

GRANT SELECT ON mastering.policies, mastering.policy_overrides, mastering.approvals TO PUBLIC;
REVOKE ALL ON FUNCTION mastering.load_one(mastering.environment, text, text, jsonb, jsonb, text, jsonb), mastering.policy_value(text, text), mastering.require_policy_role(text), mastering.check_policy_value(text, jsonb), mastering.use_override(text, text, jsonb),
    mastering.require_direct_change(text, text), mastering.require_known_source(text, text, text), mastering.require_restorable(text, text), mastering.is_proven_below(text, text, text, text),
    mastering.attribute_statistics_of(mastering.environment, text, text, jsonb, jsonb, jsonb, text[]),
    mastering.check_data_update(mastering.environment, text, text, jsonb, jsonb, jsonb, jsonb, bigint), mastering.limit_setting(text, text), mastering.resource_limits(text),
    mastering.in_window(jsonb, timestamptz), mastering.configured_since(text), mastering.timing_blocks(text, text), mastering.require_timing(text, text), mastering.approval_policy(text),
    mastering.platform(), mastering.prepared_hash(mastering.state, jsonb, jsonb), mastering.release_facts(text, jsonb, jsonb), mastering.may_approve(name, text, text[]),
    mastering.approvals_given(mastering.release, text), mastering.approvers_of(text, text), mastering.waiting_release(text, text, text),
    mastering.require_approvals(bigint, boolean, text, text, text, jsonb, jsonb, jsonb), mastering.give_verdict(bigint, text, text) FROM PUBLIC;
