-- who settles how times are written, for hashes and for what is sent, settles how sums of money are
SELECT p.oid::regprocedure
FROM pg_proc p
WHERE p.pronamespace = 'mastering'::regnamespace
  AND EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'IntervalStyle=%')
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'lc\_monetary=%')
ORDER BY 1;
