-- 52_compression.sql: how the catalog's documents are compressed. A promotion reads and writes the documents of its environments dozens
-- of times, and pglz took more than a quarter of its processor time; lz4 takes a tenth of that, where the server was built with it.

DO $$
DECLARE
    item record;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'default_toast_compression' AND 'lz4' OPERATOR(pg_catalog.=) ANY (s.enumvals)) THEN
        FOR item IN SELECT c.relname AS relation, a.attname AS name
                      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
                     WHERE c.relnamespace OPERATOR(pg_catalog.=) 'mastering'::pg_catalog.regnamespace AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.jsonb'::pg_catalog.regtype AND NOT a.attisdropped
                       AND c.relname OPERATOR(pg_catalog.=) ANY ('{head,configuration,artifact,data_version,output,snapshot,release,run}'::pg_catalog.name[]) LOOP
            EXECUTE pg_catalog.format('ALTER TABLE mastering.%I ALTER COLUMN %I SET COMPRESSION lz4', item.relation, item.name);
        END LOOP;
    END IF;
END
$$;
