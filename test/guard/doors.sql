-- a door is no more stable than what is behind it: a planner that trusts it would call it less often, or in another snapshot
SELECT p.oid::regprocedure, p.provolatile AS door, d.provolatile AS behind
FROM pg_proc p JOIN pg_proc d ON d.proname = 'do_' || p.proname AND d.proargtypes = p.proargtypes AND d.pronamespace = p.pronamespace
WHERE p.pronamespace = 'mastering'::regnamespace
  AND p.prosrc = 'mastering_guard'
  AND strpos('isv', p.provolatile::text) < strpos('isv', d.provolatile::text)
ORDER BY 1;
