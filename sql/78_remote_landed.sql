-- 78_remote_landed.sql: the rows that another database sent (78_remote_receive.sql) while they lie here: who reads them, and
-- how a person's record goes from them. They are the extension's own copies, in the schema of the environment that stands in
-- for the sender, unlike the relations that a source is bound to otherwise.

-- The owner of the stand-in, and the owners of environments that are promoted from it: what is loaded is read as them. Nobody else,
-- whoever had them before.
CREATE FUNCTION mastering.share_landed(env_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    readers oid[] := ARRAY(SELECT DISTINCT r.oid FROM mastering.environment e JOIN pg_roles r ON r.rolname = e.owner WHERE e.name = env_name OR e.promotes_from = env_name);
    reader oid;
    former text;
    item record;
BEGIN
    FOR item IN SELECT c.oid::regclass AS name, c.relowner, c.relacl FROM mastering.stand_in s CROSS JOIN LATERAL jsonb_each(s.landing) l JOIN pg_class c ON c.oid = to_regclass(l.value ->> 'relation')
                 WHERE s.environment = env_name ORDER BY l.key LOOP
        FOR former IN SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END FROM aclexplode(item.relacl) x WHERE x.grantee <> ALL (readers || item.relowner) LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', item.name, former);
        END LOOP;
        FOREACH reader IN ARRAY readers LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', env_name, reader::regrole);
            EXECUTE format('GRANT SELECT ON %s TO %s', item.name, reader::regrole);
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.share_landed(text) IS 'Lets those read the rows that another database sent who load them, and nobody else.';

CREATE FUNCTION mastering.share_landed_around(env_name text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT mastering.share_landed(s.environment) FROM mastering.environment e JOIN mastering.stand_in s ON s.environment IN (e.name, e.promotes_from) WHERE e.name = env_name AND s.landing <> '{}'
$$;
COMMENT ON FUNCTION mastering.share_landed_around(text) IS 'share_landed for what an environment loads from or stands in for, after it was made or its owner changed.';

-- A source's key, by which its rows are known: as the stand-in has it, or whoever loads them; NULL where nobody does any more,
-- or the rows were sent without its columns.
CREATE FUNCTION mastering.landed_key(env_name text, place text, relation text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.content -> 'key' FROM mastering.configuration c JOIN mastering.artifact a ON a.hash = c.tree ->> mastering.path('entity', mastering.step(place, 1), 'source', mastering.step(place, 2))
     WHERE (c.environment = env_name OR c.bindings ->> place = relation)
       AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(a.content -> 'key') k WHERE mastering.column_type(relation, k.value) IS NULL)
     ORDER BY c.environment = env_name DESC, c.environment LIMIT 1
$$;
COMMENT ON FUNCTION mastering.landed_key(text, text, text) IS 'The key of a source of which rows were sent.';

-- What was erased here, and not where the rows come from, does not come back with them.
CREATE FUNCTION mastering.clean_landed(stand mastering.stand_in, place text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    relation text := stand.landing -> place ->> 'relation';
    key jsonb := mastering.landed_key(stand.environment, place, relation);
BEGIN
    IF key IS NOT NULL AND EXISTS (SELECT FROM mastering.erasure e WHERE e.entity = mastering.step(place, 1) AND e.source = mastering.step(place, 2) AND e.lifted_at IS NULL) THEN
        EXECUTE format('DELETE FROM %s r WHERE mastering.erasure_hash($1, $2, %s) IN (SELECT e.key_hash FROM mastering.erasure e WHERE e.entity = $1 AND e.source = $2 AND e.lifted_at IS NULL)',
                       relation, mastering.key_expression(key)) USING mastering.step(place, 1), mastering.step(place, 2);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.clean_landed(mastering.stand_in, text) IS 'Takes erased records out of rows that were just sent.';

CREATE FUNCTION mastering.erase_landed(entity_name text, source_name text, key_text text) RETURNS TABLE (relation text, touched bigint)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET lc_monetary = 'C' SET TimeZone = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
    item record;
    place text := mastering.path(entity_name, source_name);
BEGIN
    FOR item IN SELECT s.environment, l.value ->> 'relation' AS name, mastering.landed_key(s.environment, place, l.value ->> 'relation') AS key FROM mastering.stand_in s CROSS JOIN LATERAL jsonb_each(s.landing) l
                 WHERE l.key = place AND to_regclass(l.value ->> 'relation') IS NOT NULL ORDER BY 2 LOOP
        relation := item.name;
        IF item.key IS NULL THEN    -- which of the rows it is cannot be told; they can be sent again
            EXECUTE format('DELETE FROM %s', item.name);
            GET DIAGNOSTICS touched = ROW_COUNT;
            UPDATE mastering.stand_in s SET landing = jsonb_set(s.landing, ARRAY[place], s.landing -> place #- '{content}') WHERE s.environment = item.environment;
        ELSE
            EXECUTE format('DELETE FROM %s r WHERE %s = $1', item.name, mastering.key_expression(item.key)) USING key_text;
            GET DIAGNOSTICS touched = ROW_COUNT;
        END IF;
        PERFORM mastering.renew_statistics(item.name::regclass);
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mastering.erase_landed(text, text, text) IS 'Removes a record from the rows that another database sent.';

REVOKE ALL ON FUNCTION mastering.share_landed(text), mastering.share_landed_around(text), mastering.landed_key(text, text, text), mastering.clean_landed(mastering.stand_in, text),
    mastering.erase_landed(text, text, text) FROM PUBLIC;
