-- what works with more rights than its caller's, or changes the catalog, is not for everybody to call
SELECT format('PUBLIC may execute %s', p.oid::regprocedure)
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace = 'mastering'::regnamespace
  AND has_function_privilege('public', p.oid, 'EXECUTE')
  AND 'internal'::regtype <> ALL (p.proargtypes) -- nobody can call those
  AND (p.prosecdef
       OR p.proname LIKE 'do\_%'
       -- functions of the environments that are neither doors nor read what their caller may read
       OR l.lanname = 'c' AND p.provolatile = 'v' AND p.prosrc <> 'mastering_guard'
          AND p.proname <> ALL (ARRAY['profile', 'suggest', 'block_keys', 'candidate_pairs', 'candidate_pairs_as', 'match_pairs', 'match_pairs_as', 'match_links', 'match_clusters',
              'match_clusters_as', 'blocking_report', 'train_model', 'explain_pair', 'dedupe', 'dedupe_as', 'dedupe_into', 'uncertain_pairs', 'uncertain_pairs_as', 'query_columns']))
UNION ALL
SELECT format('PUBLIC has %s on %s', a.privilege_type, c.oid::regclass)
FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
WHERE c.relnamespace = 'mastering'::regnamespace AND a.grantee = 0 AND NOT (c.relkind = 'v' AND a.privilege_type = 'SELECT')
ORDER BY 1;
