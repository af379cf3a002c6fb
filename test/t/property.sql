-- property.sql: random sequences of everything that changes what an environment shows, against a model kept in plain
-- tables. Read by 065_property.pl.
--
-- The model knows nothing of segments, runs or trees: an environment has loaded rows, published rows and a rule. Clusters are
-- records with the same email; a golden name is the least or the greatest of its cluster. After each step every environment is
-- read through its views and compared with that.
--
-- To add an operation: a branch in property.step that calls it and then does the same to the model's tables. states() copies a
-- model environment (to a snapshot, a fork) and restore_state() puts a copy back.
SET client_min_messages = error;
CREATE SCHEMA input;
CREATE TABLE input.crm (id int PRIMARY KEY, name text, email text);
CREATE TABLE input.shop (id int PRIMARY KEY, name text, email text);
CREATE VIEW input.everything AS SELECT 'crm' AS source, c.* FROM input.crm c UNION ALL SELECT 'shop', s.* FROM input.shop s;

CREATE SCHEMA property;
CREATE TABLE property.env (env text PRIMARY KEY, follows text, rule text, published_rule text, origin text);
CREATE TABLE property.rows (env text, what text, source text, key text, name text, email text);
CREATE INDEX ON property.rows (env, what);
CREATE TABLE property.frozen (name text PRIMARY KEY, env text, step int, rule text, published_rule text);
CREATE TABLE property.release (id bigint PRIMARY KEY, target text, before text);
CREATE TABLE property.log (step int, said text, outcome text, at timestamptz DEFAULT clock_timestamp());
CREATE SEQUENCE property.tag;

CREATE FUNCTION property.one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT choices[1 + floor(random() * cardinality(choices))] $$;

CREATE FUNCTION property.change_input(changes int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text;
    k int;
BEGIN
    FOR i IN 1 .. changes LOOP
        source := property.one_of('crm', 'shop');
        k := floor(random() * 60);
        IF random() < 0.25 THEN
            EXECUTE format('DELETE FROM input.%I WHERE id = $1', source) USING k;
        ELSE
            EXECUTE format('INSERT INTO input.%I VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, email = EXCLUDED.email', source)
              USING k, CASE WHEN random() > 0.1 THEN 'name' || lpad(floor(random() * 1000)::text, 4, '0') END, CASE WHEN random() > 0.1 THEN 'mail' || floor(random() * 40) || '@example.org' END;
        END IF;
    END LOOP;
END $$;

-- Copies of a model environment, under another name: a snapshot, what a release goes back to.
CREATE FUNCTION property.states(from_env text, to_name text, at_step int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO property.frozen SELECT to_name, from_env, at_step, e.rule, e.published_rule FROM property.env e WHERE e.env = from_env;
    INSERT INTO property.rows SELECT to_name, r.what, r.source, r.key, r.name, r.email FROM property.rows r WHERE r.env = from_env;
$$;
CREATE FUNCTION property.restore_state(to_env text, from_name text, with_data boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE property.env e SET rule = f.rule, published_rule = f.published_rule FROM property.frozen f WHERE f.name = from_name AND e.env = to_env;
    DELETE FROM property.rows r WHERE r.env = to_env AND (r.what = 'published' OR with_data);
    INSERT INTO property.rows SELECT to_env, r.what, r.source, r.key, r.name, r.email FROM property.rows r WHERE r.env = from_name AND (r.what = 'published' OR with_data);
$$;
CREATE FUNCTION property.copy_rows(in_env text, from_what text, to_what text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM property.rows r WHERE r.env = in_env AND r.what = to_what;
    INSERT INTO property.rows SELECT in_env, to_what, r.source, r.key, r.name, r.email FROM property.rows r WHERE r.env = in_env AND r.what = from_what;
$$;
CREATE FUNCTION property.load_model(in_env text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM property.rows r WHERE r.env = in_env AND r.what = 'loaded';
    INSERT INTO property.rows SELECT in_env, 'loaded', i.source, i.id::text, i.name, i.email FROM input.everything i;
$$;

-- What the views of an environment show that the model does not say, and the other way round.
CREATE FUNCTION property.differences(env_name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH model AS (SELECT r.source, r.key, r.name, r.email FROM property.rows r WHERE r.env = %1$L AND r.what = 'published'),
        wanted AS (SELECT max(m.email) AS email, CASE e.published_rule WHEN 'min' THEN min(m.name COLLATE "C") ELSE max(m.name COLLATE "C") END AS name, count(*) AS records
                     FROM model m, property.env e WHERE e.env = %1$L GROUP BY coalesce(m.email, m.source || ':' || m.key), e.published_rule)
        (SELECT 'golden record not in the model: ' || x FROM (SELECT g.email, g.name, g.records FROM %1$I.person g EXCEPT ALL SELECT * FROM wanted) x LIMIT 3)
        UNION ALL (SELECT 'golden record missing: ' || x FROM (SELECT * FROM wanted EXCEPT ALL SELECT g.email, g.name, g.records FROM %1$I.person g) x LIMIT 3)
        UNION ALL (SELECT 'record not in the model: ' || x FROM (SELECT r.source, r.record_key, r.name, r.email FROM %1$I.person_records r EXCEPT ALL SELECT * FROM model) x LIMIT 3)
        UNION ALL (SELECT 'record missing: ' || x FROM (SELECT * FROM model EXCEPT ALL SELECT r.source, r.record_key, r.name, r.email FROM %1$I.person_records r) x LIMIT 3)
        UNION ALL (SELECT 'member without its record or golden record: ' || m FROM %1$I.person_members m LEFT JOIN %1$I.person g ON g.id = m.cluster_id
                     LEFT JOIN %1$I.person_records r ON r.source = m.source AND r.record_key = m.record_key AND r.cluster_id = m.cluster_id
                    WHERE g.id IS NULL OR r.source IS NULL OR r.email IS DISTINCT FROM g.email LIMIT 3)
        UNION ALL (SELECT 'lineage of another record: ' || l FROM %1$I.person_lineage l LEFT JOIN %1$I.person_members m ON m.source = l.source AND m.record_key = l.record_key AND m.cluster_id = l.id
                    WHERE m.source IS NULL LIMIT 3)
        UNION ALL (SELECT 'id without a history: ' || g.id FROM %1$I.person g WHERE NOT EXISTS (SELECT FROM %1$I.person_history h WHERE h.id = g.id AND h.event IN ('born', 'split')) LIMIT 3)$q$, env_name);
    SELECT count(*) INTO n FROM mastering.head h, jsonb_each(h.versions) v WHERE h.environment = env_name AND v.key ~ '^person(_members|_lineage|_history)?$' AND jsonb_array_length(v.value -> 'segments') > 8;
    IF n > 0 THEN
        RETURN NEXT 'more than 8 live segments';
    END IF;
END $$;

-- What must hold of the storage as a whole.
CREATE FUNCTION property.faults() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('segment %s is named and not there', h.segment_id) FROM mastering.held_segments() h WHERE h.holder <> 'reader' AND NOT EXISTS (SELECT FROM mastering.segment g WHERE g.segment_id = h.segment_id)
    UNION ALL SELECT format('vector %s is named and not there', h.vector_id) FROM mastering.held_segments() h WHERE h.holder <> 'reader' AND h.vector_id <> 0 AND NOT EXISTS (SELECT FROM mastering.deletion_vector v WHERE v.vector_id = h.vector_id)
    UNION ALL SELECT format('%s is neither a segment nor empty', c.relname) FROM pg_class c WHERE c.relnamespace = 'mastering'::regnamespace AND c.relname ~ '^segment_[0-9]+$'
                 AND NOT EXISTS (SELECT FROM mastering.segment g WHERE 'segment_' || g.segment_id = c.relname) AND NOT EXISTS (SELECT FROM mastering.shell x WHERE 'segment_' || x.segment_id = c.relname)
    UNION ALL SELECT format('segment %s is not what its hash says', g.segment_id) FROM mastering.segment g WHERE mastering.segment_hash(g.segment_id) <> g.hash
    UNION ALL SELECT format('output %s names what is not there', left(o.output_key, 8)) FROM mastering.output o, jsonb_each(o.versions) v, jsonb_array_elements_text(v.value -> 'segments') s
               WHERE NOT EXISTS (SELECT FROM mastering.segment g WHERE g.segment_id = s.value::int)
    UNION ALL SELECT format('tag %s is gone', f.name) FROM property.frozen f WHERE f.name ~ '@' AND NOT EXISTS (SELECT FROM mastering.snapshot s WHERE s.environment || '@' || s.tag = f.name)
$$;

-- One statement; the error that it ends with, or NULL.
CREATE FUNCTION property.try(statement text, OUT result text, OUT failure text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement INTO result;
EXCEPTION WHEN OTHERS THEN
    failure := SQLSTATE || ' ' || SQLERRM;
END $$;

CREATE FUNCTION property.step(step int) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
<<step>>
DECLARE
    here property.env;
    source property.env;
    snap property.frozen;
    release_id bigint;
    wanted text;
    expected text;
    said text;
    tried record;
    dice float8 := random();
BEGIN
    SELECT e.* INTO here FROM property.env e ORDER BY random() LIMIT 1;
    IF dice < 0.25 THEN
        PERFORM property.change_input(1 + floor(random() * 8)::int);
        said := format('SELECT count(*) FROM mastering.load(%L, ''person'')', here.env);
        tried := property.try(said);
        PERFORM property.load_model(here.env);
    ELSIF dice < 0.50 THEN
        said := format('SELECT mastering.master(%L, ''person'')', here.env);
        tried := property.try(said);
        PERFORM property.copy_rows(here.env, 'loaded', 'published');
        UPDATE property.env SET published_rule = rule WHERE env = here.env;
    ELSIF dice < 0.58 THEN
        SELECT e.* INTO here FROM property.env e WHERE e.follows IS NULL ORDER BY random() LIMIT 1;    -- dev, or somebody's fork
        wanted := property.one_of('min', 'max');
        said := format('SELECT mastering.set_survivorship(%L, ''person'', %L)', here.env, jsonb_build_object('default', wanted));
        tried := property.try(said);
        UPDATE property.env SET rule = wanted WHERE env = here.env;
    ELSIF dice < 0.63 THEN
        wanted := here.env || '@t' || nextval('property.tag');
        said := format('SELECT mastering.snapshot(%L, tag => %L)', here.env, split_part(wanted, '@', 2));
        tried := property.try(said);
        PERFORM property.states(here.env, wanted, step);
    ELSIF dice < 0.74 THEN
        -- A promotion, or a fork that is merged. Which side's rule wins is for the tests of merging to say; what is shown then, for this.
        SELECT e.* INTO source FROM property.env e WHERE e.env = here.follows OR e.origin = here.env ORDER BY random() LIMIT 1;
        IF source.env IS NOT NULL THEN
            said := format('SELECT mastering.promote(%L, %L)', source.env, here.env);
            tried := property.try(said);
            expected := CASE WHEN tried.failure ~ '^55000 .*(is held|has changes of its own)' AND source.rule <> here.rule THEN tried.failure END;
            IF tried.failure IS NULL THEN
                SELECT mastering.artifact_at(c.tree, 'entity/person/survivorship') ->> 'default' INTO wanted FROM mastering.configuration c WHERE c.environment = here.env;
                IF wanted NOT IN (source.rule, here.rule) THEN
                    RAISE EXCEPTION 'step %: %: a rule of neither side', step, said;
                END IF;
                PERFORM property.states(here.env, 'before ' || tried.result, step);
                INSERT INTO property.release VALUES (tried.result::bigint, here.env, 'before ' || tried.result);
                IF wanted <> here.rule THEN
                    UPDATE property.env SET rule = wanted, published_rule = wanted WHERE env = here.env;
                    PERFORM property.copy_rows(here.env, 'loaded', 'published');
                END IF;
            ELSIF tried.failure ~ 'is held' THEN
                PERFORM mastering.release_hold(here.env, r.release_id) FROM mastering.release r WHERE r.target = here.env AND r.proposal ->> 'held' = 'true';
            END IF;
        END IF;
    ELSIF dice < 0.81 THEN
        SELECT r.release_id, p.before INTO release_id, wanted FROM mastering.release r LEFT JOIN property.release p ON p.id = r.release_id
         WHERE r.target = here.env AND r.kind = 'promotion' AND r.state = 'promoted' ORDER BY r.release_id DESC LIMIT 1;
        IF wanted IS NULL OR random() < 0.4 THEN
            SELECT * INTO snap FROM property.frozen f WHERE f.env = here.env AND f.name ~ '@' ORDER BY random() LIMIT 1;
        ELSE
            SELECT * INTO snap FROM property.frozen f WHERE f.name = wanted;
        END IF;
        IF snap.name IS NOT NULL THEN
            wanted := property.one_of('config', 'all');
            said := format('SELECT mastering.rollback(%L, to_state => %L, what => %L)', here.env, CASE WHEN snap.name ~ '@' THEN snap.name END, wanted);
            IF snap.name !~ '@' AND NOT EXISTS (SELECT FROM mastering.release r JOIN mastering.snapshot s ON s.hash = r.snapshot_before WHERE r.release_id = step.release_id) THEN
                expected := format('42704 the state before release %s of environment "%s" is not kept any more', release_id, here.env);
            END IF;
            tried := property.try(said);
            IF expected IS NULL THEN
                PERFORM property.restore_state(here.env, snap.name, wanted = 'all');
            END IF;
        END IF;
    ELSIF dice < 0.85 THEN
        IF (SELECT count(*) FROM property.env e WHERE e.origin IS NOT NULL) < 2 THEN
            wanted := 'fork' || nextval('property.tag');
            said := format('SELECT mastering.fork_environment(%L, %L)', here.env, wanted);
            tried := property.try(said);
            INSERT INTO property.env SELECT wanted, NULL, here.rule, here.published_rule, here.env;
            INSERT INTO property.rows SELECT wanted, r.what, r.source, r.key, r.name, r.email FROM property.rows r WHERE r.env = here.env;
        ELSE
            SELECT e.* INTO here FROM property.env e WHERE e.origin IS NOT NULL AND NOT EXISTS (SELECT FROM property.env o WHERE o.origin = e.env) ORDER BY random() LIMIT 1;
            said := format('SELECT mastering.drop_environment(%L)', here.env);
            tried := property.try(said);
            DELETE FROM property.env WHERE env = here.env;
            DELETE FROM property.rows WHERE env = here.env;
        END IF;
    ELSIF dice < 0.88 THEN
        SELECT * INTO snap FROM property.frozen f WHERE f.name ~ '^(dev|test|prod)@' ORDER BY random() LIMIT 1;
        IF snap.name IS NOT NULL AND here.origin IS NULL THEN
            said := format('SELECT mastering.restore(%L, %L)', here.env, snap.name);
            tried := property.try(said);
            PERFORM property.restore_state(here.env, snap.name, true);
        END IF;
    ELSIF dice < 0.94 THEN
        said := format('SELECT count(*) FROM mastering.compact(%L, everything => %L)', here.env, random() < 0.5);
        tried := property.try(said);
    ELSE
        said := format('SELECT count(*) FROM mastering.gc(%L, keep => %s, keep_for => ''0'', keep_unused => %L)', random() < 0.2, floor(random() * 3), property.one_of('0', '1 day'));
        tried := property.try(said);
    END IF;
    IF said IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO property.log VALUES (step, said, coalesce(tried.failure, tried.result));
    IF tried.failure IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'step %: % ended with "%" and not with "%"', step, said, tried.failure, expected;
    END IF;
END $$;

CREATE PROCEDURE property.run(seed float8, steps int) LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    PERFORM setseed(seed);
    FOR i IN 1 .. steps LOOP
        PERFORM property.step(i);
        COMMIT;
        SELECT string_agg(e.env || ': ' || d, E'\n') INTO wrong FROM property.env e, property.differences(e.env) d;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'after step %, %: %', i, (SELECT l.said FROM property.log l ORDER BY l.at DESC LIMIT 1), wrong;
        END IF;
        IF i % 10 = 0 OR i = steps THEN
            SELECT string_agg(f, E'\n') INTO wrong FROM property.faults() f;
            IF wrong IS NOT NULL THEN
                RAISE EXCEPTION 'after step %: %', i, wrong;
            END IF;
        END IF;
        COMMIT;
    END LOOP;
END $$;

-- Three environments that show the same. Nothing goes back to before the first promotions: there is nothing to compare.
CREATE PROCEDURE property.begin(seed float8) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM setseed(seed);
    PERFORM property.change_input(120);
    PERFORM mastering.create_environment('dev'), mastering.create_environment('test', 'dev'), mastering.create_environment('prod', 'test');
    PERFORM mastering.define_entity('dev', 'person', '{"name": "text", "email": "text"}');
    PERFORM mastering.map_source('dev', 'person', 'crm', 'input.crm', 'id'), mastering.map_source('dev', 'person', 'shop', 'input.shop', 'id');
    PERFORM mastering.set_model('dev', 'person', '{"blocking": [{"keys": ["email"]}], "comparisons": [{"name": "email", "column": "email", "method": "exact", "normalize": "text", "term_frequency": false,
        "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "one_per_source": "never", "normalize": "text"}');
    PERFORM mastering.set_survivorship('dev', 'person', '{"default": "min"}');
    PERFORM mastering.load('dev', 'person'), mastering.master('dev', 'person'), mastering.promote('dev', 'test'), mastering.promote('test', 'prod');
    INSERT INTO property.env VALUES ('dev', NULL, 'min', 'min'), ('test', 'dev', 'min', 'min'), ('prod', 'test', 'min', 'min');
    PERFORM property.load_model(e.env), property.copy_rows(e.env, 'loaded', 'published') FROM property.env e;
END $$;
