-- 81_keep_up.sql: load and master, again and again, without a person who looks on (doc/schedule.md). A scheduler calls
-- keep_up(); what fails for good stops it until a person has said to go on: not one bad load after another.

CREATE TABLE mastering.keep_up_stop (
    environment text COLLATE "C" NOT NULL,
    entity      text COLLATE "C" NOT NULL,
    stopped_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    step        text NOT NULL,
    sqlstate    text NOT NULL,
    message     text NOT NULL,
    detail      text,
    PRIMARY KEY (environment, entity)
);
COMMENT ON TABLE mastering.keep_up_stop IS 'Entities that keep_up does nothing for until resume_keep_up, and why.';
SELECT pg_catalog.pg_extension_config_dump('mastering.keep_up_stop', '');

CREATE FUNCTION mastering.do_begin_keep_up(env_name text, entity_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stop mastering.keep_up_stop;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'loader');
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    SELECT * INTO stop FROM mastering.keep_up_stop s WHERE s.environment = env_name AND s.entity = entity_name;
    IF FOUND THEN
        RAISE EXCEPTION 'keeping up entity "%" of environment "%" was stopped', entity_name, env_name
            USING ERRCODE = '55000', DETAIL = format('In step "%s": %s', stop.step, stop.message),
                  HINT = format('When that is mended: SELECT mastering.resume_keep_up(%L, %L)', env_name, entity_name);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_begin_keep_up(text, text) IS 'Behind begin_keep_up.';

CREATE FUNCTION mastering.begin_keep_up(env text, entity text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.begin_keep_up(text, text) IS 'Internal. Raises where keep_up was stopped.';

CREATE FUNCTION mastering.do_stop_keep_up(env_name text, entity_name text, step_name text, code text, message_text text, detail_text text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'author', 'loader');
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF step_name IS NULL OR step_name = '' OR code IS NULL OR message_text IS NULL THEN
        RAISE EXCEPTION 'a stop has a step, an SQLSTATE and a message' USING ERRCODE = '22023';
    END IF;
    INSERT INTO mastering.keep_up_stop (environment, entity, step, sqlstate, message, detail) VALUES (env_name, entity_name, step_name, code, left(message_text, 10000), left(detail_text, 10000)) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM mastering.audit(env_name, 'keep up stopped', jsonb_build_object('entity', entity_name, 'step', step_name, 'sqlstate', code));
        PERFORM mastering.notify('keep up stopped', env_name, jsonb_build_object('entity', entity_name, 'step', step_name, 'sqlstate', code, 'error', left(message_text, 1000)));
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.do_stop_keep_up(text, text, text, text, text, text) IS 'Behind stop_keep_up.';

CREATE FUNCTION mastering.stop_keep_up(env text, entity text, step text DEFAULT 'by hand', sqlstate text DEFAULT '57014', message text DEFAULT 'stopped by a person', detail text DEFAULT NULL) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.stop_keep_up(text, text, text, text, text, text) IS 'Lets keep_up do nothing for an entity until resume_keep_up. It stops itself where a load or a run fails for good.';

CREATE FUNCTION mastering.do_resume_keep_up(env_name text, entity_name text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stop mastering.keep_up_stop;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator');    -- not who only loads: somebody has to have looked
    DELETE FROM mastering.keep_up_stop s WHERE s.environment = env_name AND s.entity = entity_name RETURNING * INTO stop;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM mastering.audit(env_name, 'keep up resumed', jsonb_build_object('entity', entity_name, 'stopped_at', stop.stopped_at));
    RETURN true;
END
$$;
COMMENT ON FUNCTION mastering.do_resume_keep_up(text, text) IS 'Behind resume_keep_up.';

CREATE FUNCTION mastering.resume_keep_up(env text, entity text) RETURNS boolean
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.resume_keep_up(text, text) IS 'Lets keep_up go on with an entity; whether it was stopped. For authors and curators.';

CREATE FUNCTION mastering.do_keep_up_stops(env_name text)
RETURNS TABLE (entity text, stopped_at timestamptz, step text, sqlstate text, message text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    RETURN QUERY SELECT s.entity::text, s.stopped_at, s.step, s.sqlstate, s.message, s.detail FROM mastering.keep_up_stop s WHERE s.environment = env_name ORDER BY 1;
END
$$;
COMMENT ON FUNCTION mastering.do_keep_up_stops(text) IS 'Behind keep_up_stops.';

CREATE FUNCTION mastering.keep_up_stops(env text)
RETURNS TABLE (entity text, stopped_at timestamptz, step text, sqlstate text, message text, detail text)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.keep_up_stops(text) IS 'The entities of an environment that keep_up was stopped for, and why.';

-- With the rights of its caller, through the doors: it commits what was loaded before it masters.
CREATE PROCEDURE mastering.keep_up(env text, entity text)
LANGUAGE plpgsql AS $$
DECLARE
    step text;
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM mastering.begin_keep_up(env, entity);
    FOREACH step IN ARRAY ARRAY['load', 'master'] LOOP
        BEGIN
            IF step OPERATOR(pg_catalog.=) 'load' THEN
                PERFORM FROM mastering.load(env, entity);
            ELSE
                PERFORM mastering.master(env, entity);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        END;
        EXIT WHEN code IS NOT NULL;
        COMMIT;
    END LOOP;
    IF code IS NULL THEN
        RETURN;
    END IF;
    -- Somebody else's lock, a connection, space on a disk: the next turn may find it otherwise.
    IF pg_catalog.left(code, 2) OPERATOR(pg_catalog.<>) ALL (ARRAY['08', '40', '53', '57', '58']) AND code OPERATOR(pg_catalog.<>) '55P03' THEN
        PERFORM mastering.stop_keep_up(env, entity, step, code, message, detail);
        COMMIT;
        hint := pg_catalog.format('It does nothing more for the entity until: SELECT mastering.resume_keep_up(%L, %L)', env, entity);
    END IF;
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = coalesce(detail, ''), HINT = coalesce(hint, '');
END
$$;
COMMENT ON PROCEDURE mastering.keep_up(text, text) IS 'Loads the sources of an entity and masters it, for a scheduler: a source that fails stays as it was while the others go on; a load or run that fails for good (a check, a policy, wrong data) stops keep_up for the entity until resume_keep_up, says so as an error, in the log and by NOTIFY; what may be otherwise next time (locks, connections, space) is an error and no stop.';
