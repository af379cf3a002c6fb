-- 21_progress.sql: how far runs are, and what the last one took.

CREATE FUNCTION mastering.running_runs()
RETURNS TABLE (pid integer, database oid, role oid, started timestamptz, phase text, done bigint, total bigint, rate double precision, remaining double precision)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'mastering_running_runs';
COMMENT ON FUNCTION mastering.running_runs() IS
'What the view progress shows, with OIDs. Empty unless mastering is in shared_preload_libraries.';

CREATE VIEW mastering.progress AS
SELECT r.pid, d.datname AS database, pg_catalog.pg_get_userbyid(r.role) AS role, r.started, r.phase, r.done, r.total, r.rate,
    pg_catalog.make_interval(secs => r.remaining) AS remaining
FROM mastering.running_runs() AS r LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) r.database;
COMMENT ON VIEW mastering.progress IS
'The runs that go on now in any connection: phase, how much of it is done and of how much (records, pairs or links; NULL: not known), how many a second, and the time that remains of the phase. Of roles whose rights the reader has, or of all for members of pg_read_all_stats. Needs mastering in shared_preload_libraries; without it, see the setting mastering.log_progress.';
GRANT SELECT ON mastering.progress TO PUBLIC;

CREATE FUNCTION mastering.last_run()
RETURNS TABLE (step integer, phase text, facts text, milliseconds double precision, processor_milliseconds double precision, memory_mb bigint)
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'mastering_last_run';
COMMENT ON FUNCTION mastering.last_run() IS
'What the phases of this session''s last run did and took: records, blocks and pairs by rule, links; what is seen of each source, where records have one; wall-clock time, processor time of all threads, and the memory of the run at the end of the phase. A phase "tried ..." is of what was looked at and not taken: weights before those that the model has, sources before links were known for good.';
