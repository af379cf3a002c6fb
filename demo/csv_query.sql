-- csv_query.sql: prints the query over data.records that the functions are given.
-- The id is the column of that name (in capital letters or not) if it identifies every record, else record_no.
SELECT a.attname AS id_column
FROM pg_attribute AS a
WHERE a.attrelid = 'data.records'::regclass AND a.attnum > 0 AND lower(a.attname) = 'id'
UNION ALL SELECT 'record_no'
LIMIT 1 \gset
SELECT count(*) = count(DISTINCT :"id_column") AS is_unique FROM data.records \gset
SELECT format('SELECT %s AS id, %s FROM data.records',
    CASE WHEN :'is_unique' THEN quote_ident(:'id_column') ELSE 'record_no' END,
    string_agg(CASE WHEN lower(attname) = 'id' THEN format('%I AS %I', attname, 'file_' || attname) ELSE quote_ident(attname) END, ', ' ORDER BY attnum))
FROM pg_attribute
WHERE attrelid = 'data.records'::regclass AND attnum > 0 AND attname <> 'record_no'
    AND NOT (attname = :'id_column' AND :'is_unique');
ANALYZE data.records;
