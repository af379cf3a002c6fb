-- every SECURITY DEFINER function pins its search_path
SELECT p.oid::regprocedure
FROM pg_proc p
WHERE p.pronamespace = 'mastering'::regnamespace
  AND p.prosecdef
  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')
ORDER BY 1;
