-- 75_release_plans.sql: the plan of a release and the plan for taking it back, as a change board wants them: step, action, expected
-- result, when it was done, actual result.
--
-- A plan is a template; what was done is read from what was recorded anyway: the audit log, the release, check results,
-- approvals. So nobody fills it in, and nothing in it can be written that did not happen. Steps of one's own stand
-- between (2.1 after 2) and are ticked off by hand.

CREATE TABLE mastering.release_step (
    release_id  bigint NOT NULL,
    plan        text NOT NULL CHECK (plan IN ('release', 'rollback')),
    step        numeric NOT NULL,
    action      text NOT NULL,
    expected    text,
    planned_at  timestamptz,
    executed_at timestamptz,
    executed_by text,
    actual      text,
    succeeded   boolean,
    added_by    text NOT NULL,
    PRIMARY KEY (release_id, plan, step)
);
COMMENT ON TABLE mastering.release_step IS 'Steps of people''s own in the plans of releases.';
SELECT pg_catalog.pg_extension_config_dump('mastering.release_step', '');

CREATE FUNCTION mastering.visible_release(id bigint, roles text[] DEFAULT '{}') RETURNS mastering.release
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    release mastering.release;
BEGIN
    SELECT * INTO release FROM mastering.release r WHERE r.release_id = id;
    IF NOT FOUND OR NOT mastering.do_visible(release.target, release.created_at) THEN
        RAISE EXCEPTION 'release % does not exist', id USING ERRCODE = '42704', HINT = 'SELECT release_id, source, target, state FROM mastering.releases lists those that do.';
    END IF;
    IF release.kind <> 'promotion' THEN
        RAISE EXCEPTION 'release % is a %, which has no plan', id, release.kind USING ERRCODE = '55000';
    END IF;
    IF cardinality(roles) > 0 THEN
        PERFORM mastering.require(release.target, VARIADIC roles);
    END IF;
    RETURN release;
END
$$;
COMMENT ON FUNCTION mastering.visible_release(bigint, text[]) IS 'A promotion that the caller may see, if they have one of these roles in its target.';

-- The last entry of some actions in an environment's log, within a time.
CREATE FUNCTION mastering.last_entry(env_name text, actions text[], after timestamptz, until timestamptz) RETURNS mastering.audit_entry
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a FROM mastering.audit_entry a JOIN mastering.environment e ON e.name = a.environment AND a.at >= e.created_at
     WHERE a.environment = env_name AND a.action = ANY (actions) AND a.at > after AND a.at <= until ORDER BY a.seq DESC LIMIT 1
$$;
COMMENT ON FUNCTION mastering.last_entry(text, text[], timestamptz, timestamptz) IS 'The last entry of some actions in an environment''s log, within a time.';

CREATE FUNCTION mastering.first_entry(env_name text, actions text[], after timestamptz) RETURNS mastering.audit_entry
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a FROM mastering.audit_entry a JOIN mastering.environment e ON e.name = a.environment AND a.at >= e.created_at
     WHERE a.environment = env_name AND a.action = ANY (actions) AND a.at > after ORDER BY a.seq LIMIT 1
$$;
COMMENT ON FUNCTION mastering.first_entry(text, text[], timestamptz) IS 'The first entry of some actions in an environment''s log after a moment.';

CREATE FUNCTION mastering.changes_text(changes jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE jsonb_array_length(coalesce(changes, '[]')) WHEN 0 THEN 'nothing changed'
           ELSE (SELECT string_agg((c ->> 'change') || ' ' || (c ->> 'path'), '; ' ORDER BY n) FROM jsonb_array_elements(changes) WITH ORDINALITY u (c, n)) END
$$;
COMMENT ON FUNCTION mastering.changes_text(jsonb) IS 'Changed artifacts in a line of text.';

CREATE FUNCTION mastering.runs_text(runs jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%s: %s', r ->> 'entity', CASE WHEN r -> 'counters' ? 'records' THEN format('%s records, %s golden records', r -> 'counters' ->> 'records', r -> 'counters' ->> 'clusters')
                                                            ELSE 'as published' END), '; ' ORDER BY n)
      FROM jsonb_array_elements(runs) WITH ORDINALITY u (r, n)
$$;
COMMENT ON FUNCTION mastering.runs_text(jsonb) IS 'Runs of a release in a line of text.';

CREATE FUNCTION mastering.checks_text(id bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE count(*) WHEN 0 THEN 'no check had to be run' ELSE format('%s checks passed, %s warned, %s failed', count(*) FILTER (WHERE c.passed), count(*) FILTER (WHERE NOT c.passed AND c.severity = 'warn'), count(*) FILTER (WHERE NOT c.passed AND c.severity = 'error')) END
           || coalesce(': ' || string_agg(format('%s.%s %s', c.entity, c.check_name, coalesce(c.row_count || ' rows', 'with an error')), '; ') FILTER (WHERE NOT c.passed), '')
      FROM (SELECT DISTINCT ON (r.entity, r.check_name, r.stage) r.* FROM mastering.check_result r WHERE r.release_id = id ORDER BY r.entity, r.check_name, r.stage, r.checked_at DESC) c
$$;
COMMENT ON FUNCTION mastering.checks_text(bigint) IS 'What the checks of a release found, in a line of text.';

CREATE TYPE mastering.plan_step AS (step numeric, action text, subject text, expected text, call text, planned_at timestamptz, executed_at timestamptz, executed_by text, actual text, state text);
COMMENT ON TYPE mastering.plan_step IS 'A step of the plan of a release. state: done, failed, open, or left out where the release went on without it.';

CREATE FUNCTION mastering.template_step(step numeric, action text, subject text, expected text, call text, executed_at timestamptz, executed_by text, actual text, over boolean, failed boolean DEFAULT false) RETURNS mastering.plan_step
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ROW(step, action, subject, expected, call, NULL::timestamptz, executed_at, CASE WHEN executed_at IS NOT NULL THEN executed_by END,
               CASE WHEN executed_at IS NOT NULL OR failed OR action = 'approve' THEN actual END,
               CASE WHEN failed THEN 'failed' WHEN executed_at IS NOT NULL THEN 'done' WHEN over THEN 'left out' ELSE 'open' END)::mastering.plan_step
$$;
COMMENT ON FUNCTION mastering.template_step(numeric, text, text, text, text, timestamptz, text, text, boolean, boolean) IS 'One step of a plan''s template, filled in.';

CREATE FUNCTION mastering.own_steps(id bigint, plan_name text) RETURNS SETOF mastering.plan_step
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ROW(s.step, s.action, NULL::text, s.expected, CASE WHEN s.executed_at IS NULL THEN format('SELECT mastering.complete_release_step(%s, %s, ''what was done''%s)', id, s.step, CASE WHEN plan_name <> 'release' THEN format(', plan => %L', plan_name) ELSE '' END) END, s.planned_at, s.executed_at, s.executed_by, s.actual,
               CASE WHEN s.executed_at IS NULL THEN 'open' WHEN s.succeeded THEN 'done' ELSE 'failed' END)::mastering.plan_step
      FROM mastering.release_step s WHERE s.release_id = id AND s.plan = plan_name
$$;
COMMENT ON FUNCTION mastering.own_steps(bigint, text) IS 'People''s own steps in the plan of a release.';

CREATE FUNCTION mastering.do_release_plan(id bigint) RETURNS SETOF mastering.plan_step
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r mastering.release := mastering.visible_release(id);
    lower text := (SELECT e.promotes_from FROM mastering.environment e WHERE e.name = r.source);
    policy record;
    since timestamptz;
    until timestamptz := coalesce(r.finished_at, 'infinity');
    over boolean := r.state NOT IN ('proposed', 'prepared');
    switched boolean := r.state IN ('promoted', 'rolled back', 'replaced');
    e mastering.audit_entry;
    changes bigint;
    given text;
BEGIN
    SELECT * INTO policy FROM mastering.approval_policy(r.target);
    -- What was done for this release was done since the one before.
    since := coalesce((SELECT max(o.finished_at) FROM mastering.release o WHERE o.source = r.source AND o.target = r.target AND o.kind = 'promotion' AND o.state IN ('promoted', 'rolled back', 'replaced')
                          AND o.finished_at < coalesce(r.finished_at, r.created_at) AND o.release_id <> id), '-infinity');

    e := mastering.last_entry(r.target, '{snapshot}', since, until);
    RETURN NEXT mastering.template_step(1, 'back up', r.target, format('a snapshot of %s to come back to', r.target), format('SELECT mastering.snapshot(%L, %L)', r.target, 'before release ' || id),
        CASE WHEN r.snapshot_before IS NOT NULL THEN coalesce(e.at, r.finished_at) ELSE e.at END, coalesce(e.role, CASE WHEN r.snapshot_before IS NOT NULL THEN r.author END),
        coalesce('snapshot #' || left(coalesce(r.snapshot_before, e.detail ->> 'snapshot'), 12), NULL), over);
    IF lower IS NOT NULL THEN
        e := mastering.last_entry(r.source, '{restore}', since, until);
        RETURN NEXT mastering.template_step(2, 'restore', r.source, format('%s works on what %s has', r.source, r.target), format('SELECT mastering.restore(%L, %L)', r.source, r.target), e.at, e.role,
            'state ' || (e.detail ->> 'state'), over);
        e := mastering.last_entry(r.source, '{promote}', since, until);
        RETURN NEXT mastering.template_step(3, 'change', r.source, format('the changes of %s are in %s', lower, r.source), format('SELECT mastering.promote(%L, %L)', lower, r.source), e.at, e.role,
            format('release %s: %s', e.detail ->> 'release_id', mastering.changes_text(e.detail -> 'changes')), over);
    ELSE
        e := mastering.last_entry(r.source, '{configure}', since, until);
        SELECT count(DISTINCT a.detail ->> 'path') INTO changes FROM mastering.audit_entry a WHERE a.environment = r.source AND a.action = 'configure' AND a.at > since AND a.at <= until;
        RETURN NEXT mastering.template_step(3, 'change', r.source, format('the changes are made in %s', r.source), NULL, e.at, e.role, format('%s artifact%s written', changes, CASE changes WHEN 1 THEN '' ELSE 's' END), over);
    END IF;
    e := mastering.last_entry(r.source, '{run,promote}', since, until);
    RETURN NEXT mastering.template_step(4, 'run', r.source, 'golden records under the changes', format('SELECT mastering.backfill(%L)', r.source), e.at, e.role,
        CASE e.action WHEN 'run' THEN format('%s: %s records, %s golden records', e.detail ->> 'entity', e.detail ->> 'records', e.detail ->> 'clusters')
                      ELSE (SELECT mastering.runs_text(o.proposal -> 'runs') FROM mastering.release o WHERE o.release_id = (e.detail ->> 'release_id')::bigint) END, over);

    e := mastering.last_entry(r.target, '{prepare,approval needed}', since, until);
    IF (e.detail ->> 'release_id')::bigint IS DISTINCT FROM id THEN
        e := NULL;
    END IF;
    RETURN NEXT mastering.template_step(5, 'prove', r.target, format('%s runs under the changes, and its gates pass', r.target), format('CALL mastering.prepare(%s)', id),
        coalesce(e.at, CASE WHEN switched OR r.error IS NOT NULL THEN r.finished_at END), coalesce(e.role, r.author),
        coalesce(r.error ->> 'message' || '. ', '') || coalesce(mastering.checks_text(id), ''), over, r.error IS NOT NULL);
    IF policy.needed > 0 OR EXISTS (SELECT FROM mastering.approval a WHERE a.release_id = id) THEN
        SELECT string_agg(format('%s %s%s', a.role, a.verdict, coalesce(' (' || a.comment || ')', '')), '; ' ORDER BY a.approval_id) INTO given
          FROM mastering.approval a WHERE a.release_id = id AND (a.verdict = 'rejected' OR a.bound_hash = r.proposal ->> 'prepared_hash');
        RETURN NEXT mastering.template_step(6, 'approve', r.target, format('%s of %s agree', policy.needed, array_to_string(policy.roles, ', ')), format('SELECT mastering.approve(%s)', id),
            (SELECT max(a.given_at) FROM mastering.approval a WHERE a.release_id = id AND (switched OR r.state = 'rejected' OR mastering.approvals_given(r, r.proposal ->> 'prepared_hash') >= policy.needed)),
            NULL, given, over, r.state = 'rejected');
    END IF;
    RETURN NEXT mastering.template_step(7, 'change', r.target, format('%s shows the new state: %s', r.target, mastering.changes_text(r.proposal -> 'changes')), format('SELECT mastering.promote_release(%s)', id),
        CASE WHEN switched THEN r.finished_at END, CASE WHEN switched THEN (SELECT a.role FROM mastering.audit_entry a WHERE a.environment = r.target AND a.action = 'promote' AND a.detail ->> 'release_id' = id::text LIMIT 1) END,
        CASE WHEN switched THEN format('switched from #%s to #%s', left(r.snapshot_before, 12), left(r.snapshot_after, 12)) || CASE r.state WHEN 'rolled back' THEN '; rolled back since' WHEN 'replaced' THEN '; replaced since' ELSE '' END END, over);
    IF switched THEN
        e := mastering.first_entry(r.target, '{run}', r.finished_at);
        RETURN NEXT mastering.template_step(8, 'run', r.target, 'golden records are published', NULL, r.finished_at, NULL, coalesce(mastering.runs_text(r.proposal -> 'runs'), 'nothing to run')
            || CASE WHEN e.seq IS NOT NULL THEN format('; next run %s: %s records, %s golden records', e.detail ->> 'entity', e.detail ->> 'records', e.detail ->> 'clusters') ELSE '' END, over);
    ELSE
        RETURN NEXT mastering.template_step(8, 'run', r.target, 'golden records are published', NULL, NULL, NULL, NULL, over);
    END IF;
    RETURN QUERY SELECT * FROM mastering.own_steps(id, 'release');
END
$$;
COMMENT ON FUNCTION mastering.do_release_plan(bigint) IS 'Behind release_plan.';
CREATE FUNCTION mastering.release_plan(release bigint) RETURNS SETOF mastering.plan_step
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.release_plan(bigint) IS 'The plan of a release, filled in with what was done: backup, restore, changes, runs, gates, approvals, switch, and steps of one''s own. ORDER BY step.';

CREATE FUNCTION mastering.do_rollback_plan(id bigint) RETURNS SETOF mastering.plan_step
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r mastering.release := mastering.visible_release(id);
    back mastering.release;
    first_stage text;
    e mastering.audit_entry;
    again mastering.release;
    changes bigint;
    same boolean;
BEGIN
    SELECT o.* INTO back FROM mastering.release o WHERE o.target = r.target AND o.kind = 'rollback' AND o.state = 'promoted' AND r.state = 'rolled back' AND o.finished_at > r.finished_at ORDER BY o.release_id LIMIT 1;
    WITH RECURSIVE below (name, depth) AS (SELECT r.source COLLATE "C", 1 UNION ALL SELECT v.promotes_from, b.depth + 1 FROM below b JOIN mastering.environment v ON v.name = b.name WHERE v.promotes_from IS NOT NULL AND b.depth < 100)
    SELECT b.name INTO first_stage FROM below b ORDER BY b.depth DESC LIMIT 1;
    RETURN NEXT mastering.template_step(1, 'decide', r.target, 'a failed check, or somebody''s word, and why', NULL, back.finished_at, back.author, back.message, false);
    RETURN NEXT mastering.template_step(2, 'roll back', r.target, format('%s shows what it did before%s; data loaded since stay', r.target, coalesce(': #' || left(r.snapshot_before, 12), '')),
        format('SELECT mastering.rollback(%L, reason => ''why'')', r.target), back.finished_at, back.author, format('release %s: back at #%s', back.release_id, left(back.proposal ->> 'to', 12)), false);
    SELECT a.tree = b.tree AND a.versions = b.versions INTO same FROM mastering.snapshot a, mastering.snapshot b WHERE a.hash = back.snapshot_after AND b.hash = back.proposal ->> 'to';
    RETURN NEXT mastering.template_step(3, 'verify', r.target, 'configuration and golden records are those of before', format('SELECT * FROM mastering.diff(%L, %L)', '#' || left(r.snapshot_before, 12), r.target),
        CASE WHEN same IS NOT NULL THEN back.finished_at END, NULL, CASE WHEN same THEN 'they are, by their hashes' WHEN NOT same THEN 'they are not' END, false, NOT coalesce(same, true));
    e := mastering.first_entry(r.target, '{run}', back.finished_at);
    RETURN NEXT mastering.template_step(4, 'run', r.target, 'data loaded since are in the golden records, under the old configuration', format('SELECT mastering.backfill(%L)', r.target), e.at, e.role,
        format('%s: %s records, %s golden records', e.detail ->> 'entity', e.detail ->> 'records', e.detail ->> 'clusters'), false);
    e := mastering.first_entry(r.source, '{restore}', back.finished_at);
    RETURN NEXT mastering.template_step(5, 'restore', r.source, format('%s is like %s again', r.source, r.target), format('SELECT mastering.restore(%L, %L)', r.source, r.target), e.at, e.role, 'state ' || (e.detail ->> 'state'), false);
    e := mastering.first_entry(first_stage, '{configure}', back.finished_at);
    SELECT count(DISTINCT a.detail ->> 'path') INTO changes FROM mastering.audit_entry a WHERE a.environment = first_stage AND a.action = 'configure' AND a.at > back.finished_at;
    RETURN NEXT mastering.template_step(6, 'mend', first_stage, 'what was wrong is put right where changes are made', NULL, e.at, e.role, format('%s artifact%s written', changes, CASE changes WHEN 1 THEN '' ELSE 's' END), false);
    SELECT o.* INTO again FROM mastering.release o WHERE o.source = r.source AND o.target = r.target AND o.kind = 'promotion' AND o.state IN ('promoted', 'replaced') AND o.finished_at > back.finished_at ORDER BY o.release_id LIMIT 1;
    RETURN NEXT mastering.template_step(7, 'release again', r.target, 'the whole plan once more; the change as it was is held', format('SELECT mastering.promote(%L, %L)', r.source, r.target), again.finished_at, again.author,
        format('release %s: %s', again.release_id, mastering.changes_text(again.proposal -> 'changes')), false);
    RETURN QUERY SELECT * FROM mastering.own_steps(id, 'rollback');
END
$$;
COMMENT ON FUNCTION mastering.do_rollback_plan(bigint) IS 'Behind rollback_plan.';
CREATE FUNCTION mastering.rollback_plan(release bigint) RETURNS SETOF mastering.plan_step
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.rollback_plan(bigint) IS 'How a release is taken back, and, where it was, what was done. ORDER BY step.';

-- ---- steps of one's own ------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_add_release_step(id bigint, action_text text, expected_text text, after_step numeric, planned timestamptz, plan_name text) RETURNS numeric
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r mastering.release := mastering.visible_release(id, '{author,curator,reviewer}');
    step numeric;
BEGIN
    IF plan_name IS NULL OR plan_name NOT IN ('release', 'rollback') THEN
        RAISE EXCEPTION 'unknown plan "%"', plan_name USING ERRCODE = '22023', HINT = 'A plan is release or rollback.';
    END IF;
    IF coalesce(btrim(action_text), '') = '' THEN
        RAISE EXCEPTION 'a step needs an action' USING ERRCODE = '22023';
    END IF;
    IF after_step IS NULL OR after_step NOT BETWEEN 0 AND 8 THEN
        RAISE EXCEPTION 'a step comes after one of the steps 0 to 8' USING ERRCODE = '22023', DETAIL = 'After 0 is before the first.';
    END IF;
    PERFORM mastering.lock_environment(r.target);
    SELECT trunc(after_step) + (coalesce(max(s.step - trunc(s.step)), 0) + 0.01) INTO step FROM mastering.release_step s WHERE s.release_id = id AND s.plan = plan_name AND trunc(s.step) = trunc(after_step);
    IF trunc(step) <> trunc(after_step) THEN
        RAISE EXCEPTION 'there are 99 steps after step % already', trunc(after_step) USING ERRCODE = '54000';
    END IF;
    INSERT INTO mastering.release_step (release_id, plan, step, action, expected, planned_at, added_by) VALUES (id, plan_name, step, action_text, expected_text, planned, mastering.caller());
    PERFORM mastering.audit(r.target, 'release step', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'plan', plan_name, 'step', step, 'action', action_text)));
    RETURN step;
END
$$;
COMMENT ON FUNCTION mastering.do_add_release_step(bigint, text, text, numeric, timestamptz, text) IS 'Behind add_release_step.';
CREATE FUNCTION mastering.add_release_step(release bigint, action text, expected text DEFAULT NULL, after_step numeric DEFAULT 8, planned_at timestamptz DEFAULT NULL, plan text DEFAULT 'release') RETURNS numeric
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.add_release_step(bigint, text, text, numeric, timestamptz, text) IS 'A step of one''s own in the plan of a release, or in its rollback plan; returns its number.';

CREATE FUNCTION mastering.do_complete_release_step(id bigint, step_no numeric, actual_text text, ok boolean, plan_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r mastering.release := mastering.visible_release(id, '{author,curator,reviewer}');
BEGIN
    PERFORM mastering.lock_environment(r.target);
    UPDATE mastering.release_step s SET executed_at = clock_timestamp(), executed_by = mastering.caller(), actual = actual_text, succeeded = coalesce(ok, true)
     WHERE s.release_id = id AND s.plan = plan_name AND s.step = step_no;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the % plan of release % has no step % of one''s own', plan_name, id, step_no
            USING ERRCODE = '42704', DETAIL = 'The other steps are filled in by what is done.';
    END IF;
    PERFORM mastering.audit(r.target, 'release step', jsonb_strip_nulls(jsonb_build_object('release_id', id, 'plan', plan_name, 'step', step_no, 'actual', actual_text, 'succeeded', coalesce(ok, true))));
END
$$;
COMMENT ON FUNCTION mastering.do_complete_release_step(bigint, numeric, text, boolean, text) IS 'Behind complete_release_step.';
CREATE FUNCTION mastering.complete_release_step(release bigint, step numeric, actual text, succeeded boolean DEFAULT true, plan text DEFAULT 'release') RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.complete_release_step(bigint, numeric, text, boolean, text) IS 'Ticks off a step of one''s own, with its actual result.';

-- ---- on paper ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.paper(content text, format_name text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE format_name WHEN 'html' THEN replace(replace(replace(replace(coalesce(content, ''), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;')
           -- Nothing that a name or a message contains may become a link, markup or the end of a cell.
           ELSE regexp_replace(regexp_replace(replace(coalesce(content, ''), '&', '&amp;'), '([\\`*_{}\[\]<>|~])', '\\\1', 'g'), '\s+', ' ', 'g') END
$$;
COMMENT ON FUNCTION mastering.paper(text, text) IS 'A text that stands for itself in Markdown or HTML.';

CREATE FUNCTION mastering.paper_table(heads text[], cells text[], format_name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    line text[];
    result text;
BEGIN
    IF format_name = 'html' THEN
        result := '<table><thead><tr>' || (SELECT string_agg('<th>' || mastering.paper(h, 'html') || '</th>', '' ORDER BY n) FROM unnest(heads) WITH ORDINALITY u (h, n)) || E'</tr></thead><tbody>\n';
        FOREACH line SLICE 1 IN ARRAY cells LOOP
            result := result || '<tr>' || (SELECT string_agg('<td>' || mastering.paper(c, 'html') || '</td>', '' ORDER BY n) FROM unnest(line) WITH ORDINALITY u (c, n)) || E'</tr>\n';
        END LOOP;
        RETURN result || E'</tbody></table>\n';
    END IF;
    result := '| ' || array_to_string(heads, ' | ') || E' |\n|' || repeat(' --- |', cardinality(heads)) || E'\n';
    FOREACH line SLICE 1 IN ARRAY cells LOOP
        result := result || '| ' || (SELECT string_agg(mastering.paper(c, 'markdown'), ' | ' ORDER BY n) FROM unnest(line) WITH ORDINALITY u (c, n)) || E' |\n';
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION mastering.paper_table(text[], text[], text) IS 'A table in Markdown or HTML.';

CREATE FUNCTION mastering.do_release_document(id bigint, format_name text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET TimeZone = 'UTC' AS $$
DECLARE
    r mastering.release := mastering.visible_release(id);
    html boolean := format_name = 'html';
    result text;
    part record;
BEGIN
    IF format_name IS NULL OR format_name NOT IN ('markdown', 'html') THEN
        RAISE EXCEPTION 'unknown format "%"', format_name USING ERRCODE = '22023', HINT = 'A format is markdown or html.';
    END IF;
    result := CASE WHEN html THEN format(E'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Release %s</title>\n<style>body{font:14px/1.4 sans-serif;margin:2em}table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}th{background:#eee}</style></head><body>\n', id) ELSE '' END;
    FOR part IN
        SELECT 1 AS no, format('Release %s: %s to %s', id, r.source, r.target) AS title, '{What,""}'::text[] AS heads,
               ARRAY[ARRAY['State', r.state], ARRAY['Message', r.message], ARRAY['Author', r.author], ARRAY['Proposed', date_trunc('second', r.created_at)::text], ARRAY['Finished', date_trunc('second', r.finished_at)::text],
                     ARRAY['Proposal', r.proposal_hash], ARRAY['Error', r.error ->> 'message']] AS cells
        UNION ALL SELECT 2, 'Changed artifacts', '{Path,Change}', (SELECT array_agg(ARRAY[c ->> 'path', c ->> 'change'] ORDER BY c ->> 'path') FROM jsonb_array_elements(r.proposal -> 'changes') c)
        UNION ALL SELECT 3, 'Release plan', '{Step,Action,On,Expected result,Planned,Executed,By,Actual result,State}',
               (SELECT array_agg(ARRAY[p.step::text, p.action, p.subject, p.expected, date_trunc('second', p.planned_at)::text, date_trunc('second', p.executed_at)::text, p.executed_by, p.actual, p.state] ORDER BY p.step) FROM mastering.do_release_plan(id) p)
        UNION ALL SELECT 4, 'Rollback plan', '{Step,Action,On,Expected result,Call,Executed,By,Actual result,State}',
               (SELECT array_agg(ARRAY[p.step::text, p.action, p.subject, p.expected, p.call, date_trunc('second', p.executed_at)::text, p.executed_by, p.actual, p.state] ORDER BY p.step) FROM mastering.do_rollback_plan(id) p)
        UNION ALL SELECT 5, 'Checks', '{Entity,Check,Stage,Severity,Passed,Rows,Error}',
               (SELECT array_agg(ARRAY[c.entity, c.check_name, c.stage, c.severity, CASE WHEN c.passed THEN 'yes' ELSE 'no' END, c.row_count::text, c.error] ORDER BY c.result_id) FROM mastering.check_result c WHERE c.release_id = id)
        UNION ALL SELECT 6, 'Approvals', '{Role,Verdict,Comment,Given,Counts}',
               (SELECT array_agg(ARRAY[a.role, a.verdict, a.comment, date_trunc('second', a.given_at)::text, CASE WHEN a.bound_hash IS NOT DISTINCT FROM r.proposal ->> 'prepared_hash' THEN 'yes' ELSE 'no, changed since' END] ORDER BY a.approval_id)
                  FROM mastering.approval a WHERE a.release_id = id)
         ORDER BY 1 LOOP
        CONTINUE WHEN part.cells IS NULL;
        result := result || CASE WHEN html THEN format(E'<h%1$s>%2$s</h%1$s>\n', least(part.no, 2), mastering.paper(part.title, 'html')) ELSE format(E'%s %s\n\n', repeat('#', least(part.no, 2)), mastering.paper(part.title, 'markdown')) END
                  || mastering.paper_table(part.heads, part.cells, format_name) || E'\n';
    END LOOP;
    RETURN result || CASE WHEN html THEN E'</body></html>\n' ELSE '' END;
END
$$;
COMMENT ON FUNCTION mastering.do_release_document(bigint, text) IS 'Behind release_document.';
CREATE FUNCTION mastering.release_document(release bigint, format text DEFAULT 'markdown') RETURNS text
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.release_document(bigint, text) IS 'A release for a change board, as markdown or html: changed artifacts, both plans, checks, approvals.';

REVOKE ALL ON FUNCTION mastering.visible_release(bigint, text[]), mastering.last_entry(text, text[], timestamptz, timestamptz), mastering.first_entry(text, text[], timestamptz), mastering.changes_text(jsonb),
    mastering.runs_text(jsonb), mastering.checks_text(bigint), mastering.template_step(numeric, text, text, text, text, timestamptz, text, text, boolean, boolean), mastering.own_steps(bigint, text),
    mastering.paper(text, text), mastering.paper_table(text[], text[], text) FROM PUBLIC;
