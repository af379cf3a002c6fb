-- loads.sql: a source of :records rows, loaded; then loads of :changes changes each, read in each of the ways there are.
SET client_min_messages = error;
CREATE EXTENSION mastering;
CREATE SCHEMA input;
CREATE TABLE input.people AS SELECT i AS id, md5(i::text) AS name, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city, timestamptz '2026-01-01' AS updated_at FROM generate_series(1, :records) i;
ALTER TABLE input.people ADD PRIMARY KEY (id);
CREATE INDEX ON input.people (updated_at);
CREATE TABLE input.changes (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, op text, LIKE input.people);
VACUUM ANALYZE;
SELECT mastering.create_environment('prod'), mastering.define_entity('prod', 'person', '{"name": "text", "city": "text"}'), mastering.map_source('prod', 'person', 'people', 'input.people', 'id') \g /dev/null
CREATE FUNCTION input.processor() RETURNS float8 LANGUAGE sql AS $$ SELECT (s[14]::int + s[15]::int) * 10.0 FROM string_to_array(pg_read_file('/proc/self/stat'), ' ') s $$;
CREATE TABLE input.measured (way text, n int, wall float8, processor float8, wal numeric, segments int);
CREATE PROCEDURE input.measure(way_name text) LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := clock_timestamp();
    used float8 := input.processor();
    lsn pg_lsn := pg_current_wal_insert_lsn();
BEGIN
    PERFORM mastering.load('prod', 'person');
    COMMIT;
    INSERT INTO input.measured SELECT way_name, 1 + count(*) FILTER (WHERE m.way = way_name), extract(epoch FROM clock_timestamp() - at) * 1000, input.processor() - used, pg_current_wal_insert_lsn() - lsn,
        (SELECT jsonb_array_length(c.data -> 'person/people' -> 'segments') FROM mastering.configuration c WHERE c.environment = 'prod') FROM input.measured m;
    COMMIT;
END $$;
-- A turn: as many updates as asked for, each noted in the relation of changes, too.
CREATE PROCEDURE input.turns(way_name text, first int, turns int, changes int) LANGUAGE plpgsql AS $$
BEGIN
    FOR turn IN first .. first + turns - 1 LOOP
        WITH changed AS (UPDATE input.people p SET city = 'Town ' || turn, updated_at = timestamptz '2026-01-01' + turn * interval '1 min' WHERE p.id % (SELECT greatest(count(*) / changes, 1) FROM input.people) = turn RETURNING p.*)
        INSERT INTO input.changes (op, id, name, city, updated_at) SELECT 'update', c.* FROM changed c;
        COMMIT;
        CALL input.measure(way_name);
    END LOOP;
END $$;
CALL input.measure('first');
CALL input.turns('all keys', 1, 3, :changes);
SELECT mastering.set_loading('prod', 'person', 'people', '{"change_column": "updated_at"}') \g /dev/null
CALL input.measure('position');
CALL input.turns('change column', 11, :turns, :changes);
SELECT mastering.set_loading('prod', 'person', 'people', '{"changes": "input.changes", "operation": "op", "position": "seq"}') \g /dev/null
CALL input.measure('position');
CALL input.turns('changes', 31, :turns, :changes);
SELECT rpad(m.way, 13) || format(' %s loads: processor %s ms in the median, %s most; wall %s ms; WAL %s, most %s; segments %s', count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY m.processor), max(m.processor),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY round(m.wall)), pg_size_pretty(percentile_disc(0.5) WITHIN GROUP (ORDER BY m.wal)), pg_size_pretty(max(m.wal)), max(m.segments))
  FROM input.measured m WHERE m.way <> 'position' GROUP BY m.way ORDER BY min(m.n), m.way;
