-- every argument of a function that users call has a name
SELECT p.oid::regprocedure
FROM pg_proc p
WHERE p.pronamespace = 'mastering'::regnamespace
  AND p.prokind IN ('f', 'p')
  AND p.pronargs > 0
  AND NOT 'internal'::regtype = ANY (p.proargtypes)
  AND NOT EXISTS (SELECT FROM pg_aggregate AS a WHERE p.oid IN (a.aggtransfn, a.aggcombinefn, a.aggfinalfn))
  AND (p.proargnames IS NULL OR '' = ANY (p.proargnames[1:p.pronargs]))
ORDER BY 1;
