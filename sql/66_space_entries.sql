-- 66_space_entries.sql: small rows that loads, runs and checks leave behind, one each time. gc keeps the last ones, those of the
-- time that is kept, and whatever belongs to a release. The audit log is never cleared.

CREATE FUNCTION mastering.collect_entries(removing boolean, keep int, keep_for interval, gone_data text[]) RETURNS TABLE (what text, environment text, number bigint, note text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH old AS (
        SELECT r.run_id, r.environment FROM (SELECT x.run_id, x.environment, x.made_at, x.release_id, row_number() OVER (PARTITION BY x.environment, x.entity ORDER BY x.run_id DESC) AS n FROM mastering.run x) r
         WHERE r.n > greatest(keep, 1) AND r.made_at <= clock_timestamp() - keep_for AND r.release_id IS NULL AND mastering.may(r.environment, 'admin')),
    gone AS (DELETE FROM mastering.run r USING old o WHERE removing AND r.run_id = o.run_id)
    SELECT 'entry', o.environment, count(*), 'of runs'::text FROM old o GROUP BY o.environment ORDER BY o.environment;
    RETURN QUERY
    WITH old AS (
        SELECT r.result_id, r.environment
          FROM (SELECT x.result_id, x.environment, x.checked_at, x.release_id, row_number() OVER (PARTITION BY x.environment, x.entity, x.check_name, x.stage ORDER BY x.result_id DESC) AS n FROM mastering.check_result x) r
         WHERE r.n > greatest(keep, 1) AND r.checked_at <= clock_timestamp() - keep_for AND r.release_id IS NULL AND mastering.may(r.environment, 'admin')),
    gone AS (DELETE FROM mastering.check_result r USING old o WHERE removing AND r.result_id = o.result_id)
    SELECT 'entry', o.environment, count(*), 'of checks'::text FROM old o GROUP BY o.environment ORDER BY o.environment;
    RETURN QUERY
    WITH old AS (
        SELECT s.statistics_key FROM mastering.attribute_statistics s
         WHERE NOT EXISTS (SELECT FROM mastering.data_version d WHERE d.store_id = s.store_id AND d.content = s.source_content AND d.store_id || ' ' || d.content <> ALL (gone_data))),
    gone AS (DELETE FROM mastering.attribute_statistics s USING old o WHERE removing AND s.statistics_key = o.statistics_key)
    SELECT 'entry', NULL::text, count(*), 'of statistics'::text FROM old o HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION mastering.collect_entries(boolean, int, interval, text[]) IS 'Clears what was noted of runs and checks but the last of each, and statistics of data that are gone, gone_data among them ("store content"); or says how many there are.';
REVOKE ALL ON FUNCTION mastering.collect_entries(boolean, int, interval, text[]) FROM PUBLIC;

-- A quarter of all, and worth the while.
CREATE FUNCTION mastering.warn_of_garbage(garbage bigint, total bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF garbage > 16 * 1024 * 1024 AND garbage > total / 4 THEN
        RAISE WARNING '% of % are needed by nothing', pg_size_pretty(garbage), pg_size_pretty(total)
            USING HINT = 'SELECT * FROM mastering.gc(false) frees them; call it regularly.';
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.warn_of_garbage(bigint, bigint) IS 'Warns where garbage collection would free much.';
REVOKE ALL ON FUNCTION mastering.warn_of_garbage(bigint, bigint) FROM PUBLIC;
