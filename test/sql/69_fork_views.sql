-- 69_fork_views.sql: the views of a fork are copied from trees; they must be what CREATE VIEW makes of their definitions, to the row of the catalog.
SET client_min_messages = warning;
SET search_path = mastering, public;
CREATE ROLE fork_views_owner;
CREATE ROLE fork_views_reader;
CREATE SCHEMA fork_views;
CREATE TABLE fork_views.people (id int PRIMARY KEY, "Náme" text COLLATE "C", born date, tags text[], amount numeric(10,2), code varchar(12));
INSERT INTO fork_views.people VALUES (1, 'Ann', '1990-01-01', '{a}', 1.5, 'x'), (2, 'Bob', NULL, NULL, NULL, NULL);
GRANT USAGE ON SCHEMA fork_views TO fork_views_owner;
GRANT SELECT ON fork_views.people TO fork_views_owner;
SELECT create_environment('Prod "ä"');
SELECT define_entity('Prod "ä"', 'person', '{"Náme": "text", "born": "date", "tags": "text[]", "amount": "numeric(10,2)", "code": "varchar(12)"}');
SELECT map_source('Prod "ä"', 'person', 'people', 'fork_views.people', 'id');
SELECT set_blocking('Prod "ä"', 'person', '[{"keys": ["born"]}]'), set_comparisons('Prod "ä"', 'person', '[{"column": "born", "method": "exact"}]');
-- A name that in a text would be the environment's own.
SELECT define_entity('Prod "ä"', 'Thing', '{"prod": "text", "mastering.in_version(''Prod": "text"}');
SELECT grant_role('Prod "ä"', 'reviewer', 'fork_views_owner'), grant_role('Prod "ä"', 'reviewer', 'fork_views_reader');

-- Everything that the catalog says of the views of a schema, with its own name and oids taken out.
CREATE FUNCTION fork_views.told(schema_name text) RETURNS TABLE (view text, what text, told text) LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    CREATE TEMP TABLE own ON COMMIT DROP AS
        SELECT c.oid, c.relname, c.reltype, t.typarray, r.oid AS rule FROM pg_class c JOIN pg_type t ON t.oid = c.reltype JOIN pg_rewrite r ON r.ev_class = c.oid
         WHERE c.relnamespace = quote_ident(schema_name)::regnamespace;
    FOR item IN SELECT o.* FROM own o LOOP
        RETURN QUERY
        SELECT item.relname::text, x.what, replace(replace(regexp_replace(x.told, '"(oid|relnamespace|reltype|typnamespace|typrelid|typarray|typelem|ev_class|attrelid)": *"?\d+"?,? ?', '', 'g'),
                                              quote_ident(schema_name), '(environment)'), schema_name, '(environment)')
          FROM (SELECT 'class', to_jsonb(c)::text FROM pg_class c WHERE c.oid = item.oid
                UNION ALL SELECT 'type', to_jsonb(t)::text FROM pg_type t WHERE t.oid IN (item.reltype, item.typarray)
                UNION ALL SELECT 'column', (to_jsonb(a) - 'attoptions')::text || coalesce(regexp_replace(a.attoptions::text, '\d+', '', 'g'), '-') FROM pg_attribute a WHERE a.attrelid = item.oid
                UNION ALL SELECT 'rule', (to_jsonb(r) - 'ev_action')::text FROM pg_rewrite r WHERE r.oid = item.rule
                -- The texts of the two ways differ in length, and with that in where a thing is in them.
                UNION ALL SELECT 'tree', md5(regexp_replace(regexp_replace(replace(r.ev_action::text, ':relid ' || item.oid || ' ', ':relid self '), ':(location|stmt_len|stmt_location) -?\d+', '', 'g'), ':constvalue \d+ \[[ \d-]*\]', '', 'g'))
                            FROM pg_rewrite r WHERE r.oid = item.rule
                UNION ALL SELECT 'definition', pg_get_viewdef(item.oid)
                UNION ALL SELECT 'depends', pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) || ' ' || d.deptype::text FROM pg_depend d
                           WHERE d.objid IN (item.oid, item.reltype, item.typarray, item.rule) OR d.refobjid IN (item.oid, item.reltype, item.typarray, item.rule)
                UNION ALL SELECT 'shared', d.classid::regclass || ' ' || d.refobjid::regrole || ' ' || d.deptype::text FROM pg_shdepend d WHERE d.objid IN (item.oid, item.reltype, item.typarray, item.rule) AND d.dbid = (SELECT x.oid FROM pg_database x WHERE x.datname = current_database())
                UNION ALL SELECT 'recorded', v.definition FROM environment_view v WHERE v.environment = schema_name AND v.view_name = item.relname
               ) x (what, told);
    END LOOP;
    DROP TABLE own;
END $$;

-- Whoever watches for commands sees CREATE VIEW: then there is nothing to copy.
CREATE TABLE fork_views.seen (tag text, object text);
CREATE FUNCTION fork_views.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fork_views.seen SELECT c.command_tag, c.object_type FROM pg_event_trigger_ddl_commands() c; END $$;
CREATE EVENT TRIGGER fork_views_watch ON ddl_command_end EXECUTE FUNCTION fork_views.watch();
SELECT fork_environment('Prod "ä"', 'Made ö', owner => 'fork_views_owner');
DROP EVENT TRIGGER fork_views_watch;
SELECT count(*) AS views_seen FROM fork_views.seen s WHERE s.tag = 'CREATE VIEW';
SELECT fork_environment('Prod "ä"', 'Copy''d', owner => 'fork_views_owner');    -- its name is one that definitions are not told by
SELECT fork_environment('Prod "ä"', 'Copied "ü".x', owner => 'fork_views_owner');
CREATE TEMP TABLE made AS SELECT * FROM fork_views.told('Made ö');
CREATE TEMP TABLE copied AS SELECT * FROM fork_views.told('Copied "ü".x');
SELECT count(DISTINCT view) AS views, count(*) > 300 AS told FROM made;
SELECT what, count(*) > 0 AS some FROM copied GROUP BY 1 ORDER BY 1;
SELECT 'made' AS only, * FROM (SELECT * FROM made EXCEPT ALL SELECT * FROM copied) m UNION ALL SELECT 'copied', * FROM (SELECT * FROM copied EXCEPT ALL SELECT * FROM made) c ORDER BY 1, 2, 3, 4;
SELECT count(*) AS like_made FROM (SELECT * FROM made EXCEPT ALL SELECT * FROM fork_views.told('Copy''d')) m WHERE what <> 'definition' AND what <> 'recorded';
-- That they were copied, and not made all the same, is seen where one copies by oneself.
CREATE SCHEMA fork_views_copy;
SELECT copy_views('Prod "ä"', 'fork_views_copy', ARRAY(SELECT DISTINCT view FROM made)) AS copied;
SELECT count(*) AS views, count(*) FILTER (WHERE pg_get_viewdef(c.oid) ~ '(in_version|scored_pairs)\(''(fork_views_copy[.]|fork_views_copy'')') AS renamed FROM pg_class c WHERE c.relnamespace = 'fork_views_copy'::regnamespace AND c.relkind = 'v';
DROP SCHEMA fork_views_copy CASCADE;
SELECT has_table_privilege('fork_views_owner', '"Copied ""ü"".x".person', 'SELECT') AS owner, has_table_privilege('fork_views_reader', '"Copied ""ü"".x".person', 'SELECT') AS reader;

-- A fork of data shows them.
SELECT count(*) > 0 AS loaded FROM load('Prod "ä"', 'person');
SELECT set_model('Prod "ä"', 'person', '{"blocking": [{"keys": ["born"]}], "comparisons": [{"name": "born", "column": "born", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "one_per_source": "never", "normalize": "text"}');
SELECT master('Prod "ä"', 'person') ->> 'clusters' AS clusters;
SELECT (SELECT count(*) FROM "Prod ""ä""".person) AS prod, (SELECT count(*) FROM "Copied ""ü"".x".person) AS fork;
SELECT fork_environment('Prod "ä"', 'later');
SELECT "Náme", born, tags, amount, code, records FROM later.person ORDER BY 1;
SELECT source, record_key FROM later.person_records ORDER BY 2;
SELECT count(*) FROM later.person_pairs;
SELECT count(*) FROM later.person_lineage;

-- Made, read and undone in one transaction, and made again.
BEGIN;
SAVEPOINT before;
SELECT fork_environment('Prod "ä"', 'undone');
SELECT count(*) FROM undone.person;
ROLLBACK TO before;
SELECT to_regclass('undone.person') AS gone;
SELECT fork_environment('Prod "ä"', 'undone');
SELECT count(*) FROM undone.person_records;
SELECT drop_environment('undone');
SELECT fork_environment('Prod "ä"', 'undone');
ROLLBACK;
SELECT to_regclass('undone.person') AS gone;
SELECT fork_environment('Prod "ä"', 'undone');
SELECT count(*) FROM undone.person_members;
SELECT drop_environment('undone');

-- A name that somebody gave a column is not copied.
ALTER VIEW "Prod ""ä""".person RENAME COLUMN born TO birthday;
SELECT fork_environment('Prod "ä"', 'renamed');
SELECT string_agg(column_name, ', ' ORDER BY ordinal_position) AS columns FROM information_schema.columns WHERE table_schema = 'renamed' AND table_name = 'person';
ALTER VIEW "Prod ""ä""".person RENAME COLUMN birthday TO born;
-- A column that went away stays in the published view as NULL, which a fork does not have.
SELECT define_entity('Prod "ä"', 'person', '{"Náme": "text", "born": "date", "tags": "text[]", "amount": "numeric(10,2)"}');
SELECT master('Prod "ä"', 'person') ->> 'clusters' AS clusters;
SELECT column_name FROM information_schema.columns WHERE table_schema = 'Prod "ä"' AND table_name = 'person' ORDER BY ordinal_position;
SELECT fork_environment('Prod "ä"', 'narrow');
SELECT column_name FROM information_schema.columns WHERE table_schema = 'narrow' AND table_name = 'person' ORDER BY ordinal_position;
-- A rule that somebody added is not copied.
CREATE RULE quiet AS ON INSERT TO "Prod ""ä"""."Thing" DO INSTEAD NOTHING;
SELECT fork_environment('Prod "ä"', 'plain');
SELECT count(*) AS rules FROM pg_rules WHERE schemaname = 'plain';
SELECT copy_views('Prod "ä"', 'plain', '{Thing}') AS copied, copy_views('Prod "ä"', 'plain', '{}') AS none, copy_views('Prod "ä"', 'plain', '{missing}') AS missing, copy_views('Prod "ä"', 'plain', ARRAY[NULL]::text[]) AS null;
SELECT copy_views('plain', 'later', '{person}');
SELECT copy_views('plain', 'nowhere', '{person}');
SET ROLE fork_views_reader;
SELECT copy_views('later', 'plain', '{person}');
RESET ROLE;

-- What they depend on cannot go; they can, and leave nothing.
SELECT c.relname ~ '^store_' AS store FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class = 'later.person'::regclass JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'p' GROUP BY 1;
CREATE VIEW fork_views.upon AS SELECT id FROM later.person;
SELECT drop_environment('later');
DROP VIEW fork_views.upon;
CREATE TEMP TABLE gone AS SELECT c.oid, c.reltype, r.oid AS rule FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE c.relnamespace = 'later'::regnamespace;
SELECT drop_environment(e.name) FROM environment e WHERE e.name IN ('later', 'Made ö', 'Copy''d', 'Copied "ü".x', 'narrow', 'plain', 'renamed') ORDER BY e.name;
SELECT (SELECT count(*) FROM gone) AS were, (SELECT count(*) FROM pg_depend d JOIN gone g ON d.objid IN (g.oid, g.reltype, g.rule) OR d.refobjid IN (g.oid, g.reltype, g.rule)) AS left,
       (SELECT count(*) FROM pg_type t JOIN gone g ON g.reltype IN (t.oid, t.typelem)) AS types;
SELECT drop_environment('Prod "ä"');
DROP SCHEMA fork_views CASCADE;
DROP ROLE fork_views_owner;
DROP ROLE fork_views_reader;
