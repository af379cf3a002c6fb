-- increment.sql: random sequences of inserts, updates, deletions, curation and labels; after each run the clusters must be those
-- that a run over everything gives under the same model, and all that is shown must fit together. Read by 068_increment.pl.
SET client_min_messages = error;
CREATE SCHEMA input;
CREATE TABLE input.crm (id int PRIMARY KEY, name text, street text, city text, born date);
CREATE TABLE input.shop (LIKE input.crm INCLUDING ALL);
CREATE TABLE input.web (LIKE input.crm INCLUDING ALL);
CREATE VIEW input.everything AS SELECT 'crm' AS source, c.* FROM input.crm c UNION ALL SELECT 'shop', s.* FROM input.shop s UNION ALL SELECT 'web', w.* FROM input.web w;

CREATE SCHEMA increment;
DO $$ BEGIN CREATE ROLE increment_reviewer; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT USAGE ON SCHEMA increment TO increment_reviewer;
CREATE TABLE increment.entity (entity text PRIMARY KEY, curated boolean);
CREATE TABLE increment.log (at timestamptz DEFAULT clock_timestamp(), entity text, said text);

CREATE FUNCTION increment.one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT choices[1 + floor(random() * cardinality(choices))] $$;

-- People are few, and what is written of them is often wrong: many links, and many that repair refuses.
CREATE FUNCTION increment.misspelt(word text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN r < 0.6 THEN word WHEN r < 0.7 THEN NULL WHEN r < 0.85 THEN overlay(word PLACING chr(97 + (random() * 25)::int) FROM 1 + (random() * (length(word) - 1))::int FOR 1)
                ELSE left(word, -1) END FROM (SELECT random() AS r) x
$$;
CREATE FUNCTION increment.person(n int) RETURNS TABLE (name text, street text, city text, born date) LANGUAGE sql VOLATILE AS $$
    SELECT increment.misspelt((ARRAY['anna', 'anne', 'hanna', 'maria', 'marie', 'peter', 'petra', 'jon', 'john'])[1 + n % 9] || ' ' || (ARRAY['schmidt', 'schmitt', 'smith', 'meier', 'mayer', 'lopez'])[1 + n / 9 % 6]),
           increment.misspelt((ARRAY['main street', 'mains street', 'harbour road', 'mill lane'])[1 + n / 7 % 4] || ' ' || 1 + n % 5),
           increment.misspelt((ARRAY['ulm', 'neu-ulm', 'berlin', 'bonn'])[1 + n / 3 % 4]), CASE WHEN random() > 0.2 THEN '1960-01-01'::date + n * 37 END
$$;

CREATE FUNCTION increment.change_input(changes int, people int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    source text;
    k int;
BEGIN
    FOR i IN 1 .. changes LOOP
        source := increment.one_of('crm', 'crm', 'shop', 'web');
        k := floor(random() * people * 1.5);
        IF random() < 0.3 THEN
            EXECUTE format('DELETE FROM input.%I WHERE id = $1', source) USING k;
        ELSE
            EXECUTE format('INSERT INTO input.%I SELECT $1, p.* FROM increment.person($2) p ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, street = EXCLUDED.street, city = EXCLUDED.city, born = EXCLUDED.born', source)
              USING k, floor(random() * people)::int;
        END IF;
    END LOOP;
END $$;

CREATE PROCEDURE increment.begin(seed float8, people int) LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    PERFORM setseed(seed);
    PERFORM increment.change_input(people * 3, people);
    PERFORM mastering.create_environment('prod');
    PERFORM mastering.grant_role('prod', 'reviewer', 'increment_reviewer');
    FOR e IN SELECT * FROM (VALUES
        ('plain', '{crm}'::text[], '[{"keys": ["left(name, 3)"]}, {"keys": ["street"]}]', '{"one_per_source": "never", "linkage": "single"}', false),
        ('repaired', '{crm,shop,web}', '[{"keys": ["left(name, 3)", "city"]}, {"keys": ["born"]}, {"keys": ["street"]}]', '{"one_per_source": "never", "linkage": "average", "threshold": 0.02}', true),
        ('frozen', '{crm,shop,web}', '[{"keys": ["left(name, 2)"], "max_block": 45, "window": 3}, {"keys": ["street", "city"]}]', '{"threshold": 0.2}', true),
        ('unique', '{crm,shop,web}', '[{"keys": ["left(name, 4)"]}, {"keys": ["mastering.double_metaphone_keys(name)", "city"]}]', '{"one_per_source": "always", "linkage": "average", "threshold": 0.1}', true),
        ('linked', '{crm,shop}', '[{"keys": ["string_to_array(name, '' '')"]}]', '{"one_per_source": "always", "link": "across_sources", "threshold": 0.3}', false)) v (entity, sources, blocking, clustering, curated) LOOP
        INSERT INTO increment.entity VALUES (e.entity, e.curated);
        PERFORM mastering.define_entity('prod', e.entity, '{"name": "text", "street": "text", "city": "text", "born": "date"}');
        PERFORM mastering.map_source('prod', e.entity, s, 'input.' || s, 'id') FROM unnest(e.sources) s;
        PERFORM mastering.set_blocking('prod', e.entity, e.blocking::jsonb);
        PERFORM mastering.set_comparisons('prod', e.entity, '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8], "term_frequency": true}, {"column": "street", "method": "levenshtein", "levels": [0.9, 0.7]}, {"column": "city", "method": "exact"}, {"column": "born", "method": "exact"}]');
        PERFORM mastering.set_clustering('prod', e.entity, e.clustering::jsonb);
        PERFORM count(*) FROM mastering.load('prod', e.entity);
        PERFORM mastering.train('prod', e.entity);
        INSERT INTO increment.log (entity, said) SELECT e.entity, mastering.master('prod', e.entity);
        COMMIT;
    END LOOP;
END $$;

-- One decision of a steward or reviewers.
CREATE FUNCTION increment.decide(e text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    what text := increment.one_of('merge', 'split', 'move', 'lock', 'end', 'label', 'label', 'withdraw');
    a record;
    b record;
BEGIN
    EXECUTE format('SELECT m.*, count(*) OVER (PARTITION BY m.cluster_id) AS n FROM prod.%I m ORDER BY random() LIMIT 1', e || '_members') INTO a;
    EXECUTE format('SELECT m.* FROM prod.%I m WHERE m.cluster_id <> $1 ORDER BY random() LIMIT 1', e || '_members') INTO b USING a.cluster_id;
    BEGIN
        CASE what
        WHEN 'merge' THEN PERFORM mastering.merge_clusters('prod', e, ARRAY[a.cluster_id, b.cluster_id]);
        WHEN 'split' THEN PERFORM mastering.split_cluster('prod', e, a.cluster_id, ARRAY[a.source || ':' || a.record_key]);
        WHEN 'move' THEN PERFORM mastering.move_record('prod', e, a.source, a.record_key, CASE WHEN random() < 0.7 THEN b.cluster_id END);
        WHEN 'lock' THEN PERFORM mastering.lock_cluster('prod', e, a.cluster_id);
        WHEN 'end' THEN PERFORM mastering.end_curation('prod', c.curation_id) FROM mastering.curations c WHERE c.environment = 'prod' AND c.entity = e AND c.in_force ORDER BY random() LIMIT 1;
        WHEN 'label' THEN
            SET LOCAL ROLE increment_reviewer;
            PERFORM mastering.label_pair('prod', e, a.source || ':' || a.record_key, b.source || ':' || b.record_key, increment.one_of('match', 'non-match'));
            RESET ROLE;
            PERFORM mastering.verify_labels('prod', e, ARRAY(SELECT l.label_id FROM mastering.label l WHERE l.entity = e AND l.state = 'proposed'));
        WHEN 'withdraw' THEN PERFORM mastering.verify_labels('prod', e, ARRAY(SELECT l.label_id FROM mastering.label l WHERE l.entity = e AND l.state = 'verified' ORDER BY random() LIMIT 1), false);
        END CASE;
        RETURN what;
    EXCEPTION WHEN OTHERS THEN
        RESET ROLE;
        RETURN what || ': ' || SQLERRM;
    END;
END $$;

-- What is wrong with what is shown of an entity.
CREATE FUNCTION increment.faults(e text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    tree jsonb := (SELECT c.tree FROM mastering.configuration c WHERE c.environment = 'prod');
    model jsonb := mastering.model_of(tree, 'prod', e);
    curation jsonb := mastering.curation_of_clusters('prod', e);
    query text := format('SELECT r.source || '':'' || r.record_key AS id, r.source, r.name, r.street, r.city, r.born FROM prod.%I r', e || '_records');
    counters jsonb;
BEGIN
    CREATE TEMP TABLE mastering_partition AS
    SELECT split_part(c.id, ':', 1) AS source, split_part(c.id, ':', 2) AS key, c.cluster_id AS label
      FROM mastering.match_clusters(query, model, labels => mastering.verdicts_query(mastering.artifact_at(tree, mastering.path('entity', e, 'labels')), curation, query)) c;
    PERFORM mastering.lock_partition(curation, e, 'test');
    RETURN QUERY EXECUTE format($q$
        WITH wanted AS (SELECT p.source, p.key, min(p.source || ':' || p.key) OVER (PARTITION BY p.label) AS cluster FROM pg_temp.mastering_partition p),
        shown AS (SELECT m.source, m.record_key AS key, min(m.source || ':' || m.record_key) OVER (PARTITION BY m.cluster_id) AS cluster FROM prod.%2$I m),
        input AS (SELECT i.* FROM input.everything i WHERE i.source IN (SELECT DISTINCT mastering.step(k, 4) FROM jsonb_object_keys(%4$L::jsonb) k WHERE k LIKE 'entity/' || %5$L || '/source/%%'))
        (SELECT 'clustered otherwise than by a run over everything: ' || x FROM (SELECT * FROM shown EXCEPT SELECT * FROM wanted) x LIMIT 3)
        UNION ALL (SELECT 'wanted: ' || x FROM (SELECT * FROM wanted EXCEPT SELECT * FROM shown) x LIMIT 3)
        UNION ALL (SELECT 'record that is not in the source: ' || x FROM (SELECT r.source, r.record_key::int, r.name, r.street, r.city, r.born FROM prod.%1$I r EXCEPT ALL SELECT * FROM input) x LIMIT 3)
        UNION ALL (SELECT 'record missing: ' || x FROM (SELECT * FROM input EXCEPT ALL SELECT r.source, r.record_key::int, r.name, r.street, r.city, r.born FROM prod.%1$I r) x LIMIT 3)
        UNION ALL (SELECT 'golden record of other members: ' || g FROM prod.%3$I g FULL JOIN (SELECT m.cluster_id, count(*) AS records, count(DISTINCT m.source) AS sources FROM prod.%2$I m GROUP BY 1) m ON m.cluster_id = g.id
                    WHERE g.records IS DISTINCT FROM m.records OR g.sources IS DISTINCT FROM m.sources LIMIT 3)
        UNION ALL (SELECT 'golden value of no record: ' || g FROM prod.%3$I g WHERE (g.name IS NOT NULL AND NOT EXISTS (SELECT FROM prod.%1$I r WHERE r.cluster_id = g.id AND r.name = g.name))
                       OR (g.name IS NULL AND EXISTS (SELECT FROM prod.%1$I r WHERE r.cluster_id = g.id AND r.name IS NOT NULL)) OR (g.born IS NOT NULL AND NOT EXISTS (SELECT FROM prod.%1$I r WHERE r.cluster_id = g.id AND r.born = g.born)) LIMIT 3)
        UNION ALL (SELECT 'lineage of another record: ' || l FROM prod.%6$I l LEFT JOIN prod.%2$I m ON m.cluster_id = l.id AND m.source = l.source AND m.record_key = l.record_key WHERE m.source IS NULL AND l.record_key IS NOT NULL LIMIT 3)
        UNION ALL (SELECT 'a record twice: ' || x FROM (SELECT m.source, m.record_key FROM prod.%2$I m GROUP BY 1, 2 HAVING count(*) > 1) x LIMIT 3)
        UNION ALL (SELECT 'cluster with no birth: ' || g.id FROM prod.%3$I g WHERE NOT EXISTS (SELECT FROM prod.%7$I h WHERE h.id = g.id AND h.event IN ('born', 'split')) LIMIT 3)
        UNION ALL (SELECT 'cluster with no end: ' || h FROM prod.%7$I h WHERE h.event IN ('born', 'split') AND NOT EXISTS (SELECT FROM prod.%3$I g WHERE g.id = h.id)
                       AND NOT EXISTS (SELECT FROM prod.%7$I x WHERE x.id = h.id AND x.event IN ('died', 'merged')) LIMIT 3)
        UNION ALL (SELECT 'cluster after its end: ' || h FROM prod.%7$I h WHERE h.event IN ('died', 'merged') AND EXISTS (SELECT FROM prod.%3$I g WHERE g.id = h.id) LIMIT 3)$q$,
        e || '_records', e || '_members', e, tree, e, e || '_lineage', e || '_history');
    EXECUTE format($q$SELECT jsonb_build_object('records', coalesce(sum(g.records), 0), 'clusters', count(*), 'largest', coalesce(max(g.records), 0), 'singletons', count(*) FILTER (WHERE g.records = 1),
        'pairs', coalesce(sum(g.records * (g.records - 1) / 2), 0)::bigint, 'covered', jsonb_build_object('name', coalesce(sum(g.records) FILTER (WHERE g.name IS NOT NULL), 0)::bigint, 'street', coalesce(sum(g.records) FILTER (WHERE g.street IS NOT NULL), 0)::bigint,
            'city', coalesce(sum(g.records) FILTER (WHERE g.city IS NOT NULL), 0)::bigint, 'born', coalesce(sum(g.records) FILTER (WHERE g.born IS NOT NULL), 0)::bigint)) FROM prod.%I g$q$, e) INTO counters;
    RETURN QUERY SELECT format('counters: %s and not %s', r.counters, x.counters) FROM (SELECT counters) x, (SELECT r.counters FROM mastering.run r WHERE r.entity = e ORDER BY r.run_id DESC LIMIT 1) r WHERE NOT r.counters @> x.counters;
    DROP TABLE pg_temp.mastering_partition;
END $$;

CREATE PROCEDURE increment.run(steps int, people int) LANGUAGE plpgsql AS $$
DECLARE
    e increment.entity;
    said text;
    fault text;
    loaded boolean;
BEGIN
    FOR step IN 1 .. steps LOOP
        PERFORM increment.change_input(1 + floor(random() * people / 6)::int, people);
        FOR e IN SELECT * FROM increment.entity LOOP
            CONTINUE WHEN random() < 0.2;
            IF e.curated THEN
                FOR i IN 1 .. floor(random() * 3) LOOP
                    INSERT INTO increment.log (entity, said) VALUES (e.entity, increment.decide(e.entity));
                END LOOP;
            END IF;
            loaded := random() < 0.8;
            IF loaded THEN
                PERFORM count(*) FROM mastering.load('prod', e.entity);
            END IF;
            said := mastering.master('prod', e.entity, random() < 0.05);
            INSERT INTO increment.log (entity, said) VALUES (e.entity, said);
            SELECT string_agg(f, E'\n') INTO fault FROM increment.faults(e.entity) f WHERE loaded OR f !~ '^record (missing|that is not in the source)';
            IF fault IS NOT NULL THEN
                INSERT INTO increment.log (entity, said) VALUES (e.entity, fault);
                COMMIT;
                RAISE EXCEPTION 'step %, entity %', step, e.entity USING DETAIL = fault;
            END IF;
            COMMIT;
        END LOOP;
    END LOOP;
END $$;
