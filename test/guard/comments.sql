-- every function, table, view and type of mastering has a comment
SELECT format('%s has no COMMENT', p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = 'mastering'::regnamespace
  AND obj_description(p.oid, 'pg_proc') IS NULL
UNION ALL
SELECT format('%s has no COMMENT', c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace = 'mastering'::regnamespace
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT c.relispartition
  AND obj_description(c.oid, 'pg_class') IS NULL
UNION ALL
SELECT format('type %s has no COMMENT', t.oid::regtype)
FROM pg_type t
WHERE t.typnamespace = 'mastering'::regnamespace
  AND t.typrelid = 0 AND t.typelem = 0
  AND obj_description(t.oid, 'pg_type') IS NULL
ORDER BY 1;
