-- reference.sql: the reference in Markdown, a line a row. Needs the table chapter (name, file, title).
WITH routine AS (
    SELECT p.oid, p.proname AS name, c.file, c.title, p.prokind,
           pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
           obj_description(p.oid, 'pg_proc') AS comment
    FROM pg_proc AS p JOIN chapter AS c ON c.name = p.proname
    WHERE p.pronamespace = 'mastering'::regnamespace AND obj_description(p.oid, 'pg_proc') NOT LIKE 'Internal.%'
      AND has_function_privilege('public', p.oid, 'EXECUTE')
      AND 'internal'::regtype <> ALL (p.proargtypes)
), entry AS (
    SELECT file, title, oid, name,
           format(E'### %s\n\n```\n%s%s(%s)%s\n```\n\n%s\n', name, CASE prokind WHEN 'p' THEN 'CALL ' ELSE '' END, name, arguments,
                  CASE WHEN prokind = 'p' THEN '' ELSE E'\n    → ' || result END, comment) AS text
    FROM routine
    UNION ALL
    SELECT c.file, c.title, v.oid, v.relname, format(E'### view %s\n\n```\n%s\n```\n\n%s\n', v.relname,
        (SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), E',\n' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = v.oid AND a.attnum > 0),
        obj_description(v.oid, 'pg_class'))
    FROM pg_class AS v JOIN chapter AS c ON c.name = v.relname
    WHERE v.relnamespace = 'mastering'::regnamespace AND v.relkind = 'v' AND obj_description(v.oid, 'pg_class') NOT LIKE 'Internal.%'
), line AS (
    SELECT '' AS file, 0 AS part, 0::oid AS oid, E'# Reference\n\nMade from the catalog by `make reference`: what is said here is said in `\\df+` too. The JSON of\nspecifications and models is described in [specification.md](specification.md).\n' AS text
    UNION ALL
    SELECT file, 1, 0, format(E'## %s%s\n', upper(left(title, 1)), rtrim(substr(title, 2), '.,')) FROM (SELECT DISTINCT file, title FROM entry) AS t
    UNION ALL
    SELECT file, 2, oid, text FROM entry
    UNION ALL
    SELECT '~', 1, 0, E'## Settings\n\nNone of them changes a result; what does is in the specification.\n'
    UNION ALL
    SELECT '~', 2, row_number() OVER (ORDER BY s.name)::int::oid, format(E'### %s\n\n%s%s Default: `%s`.\n', s.name, s.short_desc, coalesce(' ' || s.extra_desc, ''), s.boot_val || coalesce(s.unit, ''))
    FROM pg_settings AS s WHERE s.name LIKE 'mastering.%'
)
SELECT text FROM line ORDER BY file, part, oid;
