-- variants.sql: makes a table and its truth, NAME and NAME_truth, of a set of quality.sh. Variables: name, set, columns, kinds
-- (variants.txt says of what form). What is drawn hangs on the ids and entities alone.
\set ON_ERROR_STOP on
SET client_min_messages TO error;
SET search_path TO public;
SELECT :'name' || '_truth' AS truth \gset
DROP TABLE IF EXISTS :"name", :"truth";

-- 0 to 99.
CREATE OR REPLACE FUNCTION pg_temp.draw(what text) RETURNS int LANGUAGE sql IMMUTABLE
AS $$ SELECT ('x' || left(md5(what), 7))::bit(28)::int % 100 $$;

CREATE OR REPLACE FUNCTION pg_temp.make(set_name text, wanted text, kinds text) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
    has_source boolean := EXISTS (SELECT FROM pg_attribute WHERE attrelid = set_name::regclass AND attname = 'source');
    kind text;
    argument int;
    part text;
    lists text[] := '{}';
    dropped text[];
    nulls int := 0;
BEGIN
    EXECUTE format('CREATE TEMP TABLE chosen AS SELECT r.*, %s entity_id, row_number() OVER (PARTITION BY entity_id ORDER BY md5(r.id)) AS nth FROM %I AS r JOIN %I USING (id)',
        CASE WHEN has_source THEN '' ELSE 'NULL::text AS source,' END, set_name, set_name || '_truth');
    FOREACH kind IN ARRAY string_to_array(kinds, ',') LOOP
        argument := nullif(split_part(kind, ':', 2), '')::int;
        CASE split_part(kind, ':', 1)
        WHEN 'all' THEN NULL;
        WHEN 'nulls' THEN nulls := argument;
        WHEN 'copies' THEN
            DELETE FROM chosen WHERE nth > 2 OR nth = 2 AND pg_temp.draw(entity_id || 'copies') >= argument;
        WHEN 'things' THEN
            DELETE FROM chosen WHERE entity_id NOT IN (SELECT entity_id FROM chosen GROUP BY 1 ORDER BY md5(entity_id || 'things'), 1 LIMIT argument);
        WHEN 'common' THEN
            -- The two largest sources; where there is one only, the first and the second record of each thing.
            IF (SELECT count(DISTINCT source) FROM chosen) > 1 THEN
                DELETE FROM chosen WHERE source NOT IN (SELECT source FROM chosen GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 2);
            ELSE
                DELETE FROM chosen WHERE nth > 2;
                UPDATE chosen SET source = CASE nth WHEN 1 THEN 'first' ELSE 'second' END;
            END IF;
            DELETE FROM chosen AS c USING (SELECT entity_id, min(source) AS least, max(source) AS most FROM chosen GROUP BY 1 HAVING count(DISTINCT source) > 1) AS e
            WHERE c.entity_id = e.entity_id AND pg_temp.draw(e.entity_id || 'common') >= argument
                AND c.source <> CASE WHEN pg_temp.draw(e.entity_id || 'side') < 50 THEN e.least ELSE e.most END;
            IF wanted NOT LIKE '*%' AND wanted !~ '\msource\M' OR NOT has_source THEN
                lists := lists || 'source'::text;
            END IF;
        END CASE;
    END LOOP;

    FOREACH part IN ARRAY regexp_split_to_array(wanted, '\s*,\s*(?![^(]*\))') LOOP
        IF part LIKE '*%' THEN
            dropped := string_to_array(substr(wanted, 3), ',') || ARRAY['id', 'entity_id', 'nth'];
            -- A source that was made stays.
            IF kinds LIKE '%common%' AND NOT EXISTS (SELECT FROM chosen WHERE source NOT IN ('first', 'second')) THEN
                dropped := array_remove(dropped, 'source');
                lists := array_remove(lists, 'source');
            ELSIF NOT has_source THEN
                dropped := dropped || 'source'::text;
            END IF;
            lists := lists || ARRAY(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'chosen'::regclass AND attnum > 0
                AND NOT attname = ANY (dropped) ORDER BY attname = 'source' DESC, attnum);
            EXIT;
        ELSIF part LIKE 'text(%' THEN
            lists := lists || format('concat_ws('' '', %s) AS description', array_to_string(string_to_array(substring(part FROM '\((.*)\)'), ' '), ', '));
        ELSE
            lists := lists || part;
        END IF;
    END LOOP;
    EXECUTE format('CREATE TEMP TABLE variant AS SELECT id, %s FROM chosen ORDER BY md5(id)', array_to_string(lists, ', '));
    IF nulls > 0 THEN
        EXECUTE 'UPDATE variant SET ' || (SELECT string_agg(format('%1$I = CASE WHEN pg_temp.draw(id || %2$L) < %3$s THEN NULL ELSE %1$I END', attname, attname || 'nulls', nulls), ', ')
            FROM pg_attribute WHERE attrelid = 'variant'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'source'));
    END IF;
END $$;
SELECT pg_temp.make(:'set', :'columns', :'kinds') \g /dev/null
CREATE TABLE :"name" AS SELECT * FROM variant;
CREATE TABLE :"truth" AS SELECT id, entity_id FROM chosen;
ANALYZE :"name";
