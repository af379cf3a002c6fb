-- space.sql: one environment with :records records, a procedure that changes some of them, loads and masters, and a report.
SET client_min_messages = error;
CREATE EXTENSION mastering;
SET search_path = mastering, public;
CREATE SCHEMA input;
CREATE TABLE input.people AS
SELECT i AS id, md5((i * 3 / 4)::text) AS name, md5((i * 3 / 4)::text || 'mail') || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city
  FROM generate_series(1, :records) i;
ALTER TABLE input.people ADD PRIMARY KEY (id);
SELECT create_environment('prod');
SELECT define_entity('prod', 'person', '{"name": "text", "email": "text", "city": "text"}'), map_source('prod', 'person', 'people', 'input.people', 'id');
SELECT set_model('prod', 'person', '{"blocking": [{"keys": ["email"]}], "comparisons": [{"name": "email", "column": "email", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "one_per_source": "never", "normalize": "text"}');
SELECT count(*) FROM load('prod', 'person');
SELECT master('prod', 'person') ->> 'clusters';
CREATE SCHEMA measured;
-- What was written since, changed rows and rows written again, counted before gc takes the rows of mastering.segment away.
CREATE TABLE measured.start AS SELECT clock_timestamp() AS at;
CREATE TABLE measured.written (segment_id int, kind text, made_at timestamptz, rows bigint, PRIMARY KEY (segment_id, made_at));
CREATE FUNCTION measured.note() RETURNS void LANGUAGE sql AS $$
    INSERT INTO measured.written SELECT g.segment_id, t.kind, g.created_at, g.row_count FROM mastering.segment g JOIN mastering.store t USING (store_id), measured.start b WHERE g.created_at > b.at ON CONFLICT DO NOTHING
$$;
CREATE PROCEDURE measured.loads(first int, times int, changes int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN first + 1 .. first + times LOOP
        UPDATE input.people p SET city = 'Town ' || i WHERE p.id IN (SELECT 1 + floor(random() * (SELECT max(id) FROM input.people))::int FROM generate_series(1, changes));
        PERFORM mastering.load('prod', 'person');
        PERFORM mastering.master('prod', 'person');
        COMMIT;
        IF i % 12 = 0 THEN
            PERFORM measured.note();
            PERFORM mastering.gc(false, keep => 1, keep_for => '0', keep_unused => '0');
            COMMIT;
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION measured.report(loads int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    first float8;
    next float8;
    j json;
    partitions text;
    amplification text;
    size text;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON, SUMMARY) SELECT * FROM prod.person WHERE id = 1' INTO j;
    first := (j -> 0 ->> 'Planning Time')::float8;
    EXECUTE 'EXPLAIN (FORMAT JSON, SUMMARY) SELECT * FROM prod.person WHERE id = 1' INTO j;
    next := (j -> 0 ->> 'Planning Time')::float8;
    SELECT string_agg(format('%s %s', s.kind, s.n), ', ' ORDER BY s.kind) INTO partitions
      FROM (SELECT t.kind, count(*) AS n FROM mastering.store t JOIN pg_inherits i ON i.inhparent = ('mastering.store_' || t.store_id)::regclass GROUP BY 1) s;
    SELECT string_agg(format('%s %s', w.kind, w.rows), ', ' ORDER BY w.kind) INTO amplification
      FROM (SELECT x.kind, round(sum(x.rows)::numeric / greatest(loads, 1), 1) AS rows FROM measured.written x GROUP BY 1) w;
    SELECT format('database %s, pg_class %s, pg_attribute %s', pg_size_pretty(pg_database_size(current_database())), pg_size_pretty(pg_relation_size('pg_class')), pg_size_pretty(pg_relation_size('pg_attribute'))) INTO size;
    RETURN format('%s loads: partitions: %s; first plan %s ms, then %s ms; rows written a load: %s; %s', loads, partitions, round(first::numeric, 1), round(next::numeric, 2), amplification, size);
END $$;
