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
CREATE TABLE measured.written (kind text PRIMARY KEY, rows bigint NOT NULL);
CREATE TABLE measured.noted (at timestamptz NOT NULL);
INSERT INTO measured.noted VALUES (clock_timestamp());
CREATE FUNCTION measured.note() RETURNS void LANGUAGE sql AS $$
    INSERT INTO measured.written AS w SELECT t.kind, sum(g.row_count) FROM mastering.segment g JOIN mastering.store t USING (store_id), measured.noted n WHERE g.created_at > n.at GROUP BY 1
    ON CONFLICT (kind) DO UPDATE SET rows = w.rows + EXCLUDED.rows;
    UPDATE measured.noted SET at = clock_timestamp();
$$;
CREATE TABLE measured.span (loads int, taken interval, collecting interval);
CREATE PROCEDURE measured.loads(first int, times int, changes int, run_every int, every int) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    mark timestamptz;
    collecting interval := '0';
    largest int := (SELECT max(id) FROM input.people);
BEGIN
    FOR i IN first + 1 .. first + times LOOP
        UPDATE input.people p SET city = 'Town ' || i WHERE p.id = ANY (ARRAY(SELECT 1 + floor(random() * largest)::int FROM generate_series(1, changes)));
        PERFORM mastering.load('prod', 'person');
        IF i % run_every = 0 THEN
            PERFORM mastering.master('prod', 'person');
        END IF;
        COMMIT;
        IF i % every = 0 THEN
            PERFORM measured.note();
            mark := clock_timestamp();
            PERFORM mastering.gc(false, keep => 1, keep_for => '0', keep_unused => '0');
            COMMIT;
            collecting := collecting + (clock_timestamp() - mark);
        END IF;
    END LOOP;
    INSERT INTO measured.span VALUES (times, clock_timestamp() - began, collecting);
END $$;
CREATE FUNCTION measured.size(relation text) RETURNS text LANGUAGE sql AS $$ SELECT round(pg_total_relation_size(relation::regclass) / 1e6, 1)::text $$;
CREATE FUNCTION measured.report(loads int, every int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    first float8;
    next float8;
    j json;
    partitions text;
    written text;
    spent text;
    counts text;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON, SUMMARY) SELECT * FROM prod.person WHERE id = 1' INTO j;
    first := (j -> 0 ->> 'Planning Time')::float8;
    EXECUTE 'EXPLAIN (FORMAT JSON, SUMMARY) SELECT * FROM prod.person WHERE id = 1' INTO j;
    next := (j -> 0 ->> 'Planning Time')::float8;
    SELECT max(s.n)::text INTO partitions
      FROM (SELECT count(*) AS n FROM mastering.store t JOIN pg_inherits i ON i.inhparent = ('mastering.store_' || t.store_id)::regclass GROUP BY t.store_id) s;
    SELECT string_agg(format('%s %s', w.kind, round(w.rows::numeric / greatest(loads, 1), 1)), ', ' ORDER BY w.kind) INTO written FROM measured.written w;
    SELECT format('%s | %s', round(extract(epoch FROM sum(s.taken - s.collecting)) * 1000 / sum(s.loads), 1), round(extract(epoch FROM sum(s.collecting)) * 1000 * every / sum(s.loads), 1)) INTO spent FROM measured.span s;
    TRUNCATE measured.span;
    SELECT concat_ws(', ', 'segment ' || (SELECT count(*) FROM mastering.segment), 'vector ' || (SELECT count(*) FROM mastering.deletion_vector), 'output ' || (SELECT count(*) FROM mastering.output),
                     'data ' || (SELECT count(*) FROM mastering.data_version), 'run ' || (SELECT count(*) FROM mastering.run), 'audit ' || (SELECT count(*) FROM mastering.audit_entry),
                     'artifact ' || (SELECT count(*) FROM mastering.artifact)) INTO counts;
    RETURN format('| %s | %s | %s | %s | %s | %s, %s, %s, %s | %s | %s, %s, %s | %s |', loads, spent, partitions, round(first::numeric, 1), round(next::numeric, 2),
                  measured.size('pg_class'), measured.size('pg_attribute'), measured.size('pg_statistic'), measured.size('pg_depend'), counts,
                  measured.size('mastering.run'), measured.size('mastering.audit_entry'), round(pg_database_size(current_database()) / 1e6), written);
END $$;
