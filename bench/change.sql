-- change.sql: one source of :records narrow rows, loaded; a procedure that changes some of them, and a function that loads and measures.
SET client_min_messages = error;
CREATE EXTENSION mastering;
CREATE SCHEMA input;
-- Each row has its own place in the change column, as times have: a load by it reads the rows of the last one again.
CREATE TABLE input.things AS SELECT i AS id, (i::bigint * 7919 % 1000003)::int AS number, left(md5(i::text), 12) AS name, (i - :records)::bigint AS changed FROM generate_series(1, :records) i;
ALTER TABLE input.things ADD PRIMARY KEY (id);
CREATE INDEX ON input.things (changed);
CREATE SEQUENCE input.change;
SELECT mastering.create_environment('prod');
SELECT mastering.define_entity('prod', 'thing', '{"name": "text", "number": "integer"}'), mastering.map_source('prod', 'thing', 'things', 'input.things', 'id');
SELECT mastering.set_model('prod', 'thing', '{"blocking": [{"keys": ["name"]}], "comparisons": [{"name": "name", "column": "name", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "one_per_source": "never", "normalize": "text"}');
\if :by_column
SELECT mastering.set_loading('prod', 'thing', 'things', '{"change_column": "changed"}');
\endif
CREATE TABLE input.changes (LIKE input.things, operation text NOT NULL DEFAULT 'update', position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
\if :by_changes
SELECT mastering.set_loading('prod', 'thing', 'things', '{"changes": "input.changes"}');
\endif
SELECT clock_timestamp() AS began \gset
SELECT count(*) FROM mastering.load('prod', 'thing');
SELECT round(extract(epoch FROM clock_timestamp() - :'began'), 1) AS took \gset
VACUUM ANALYZE;
CREATE SCHEMA measured;
CREATE PROCEDURE measured.change(permille int) LANGUAGE sql AS $$
    WITH changed AS (UPDATE input.things t SET number = t.number + 1, changed = c.n FROM (SELECT nextval('input.change') AS n) c
                      WHERE t.id % 1000 IN (SELECT (g * 617 + (SELECT count(*) FROM mastering.segment)::int) % 1000 FROM generate_series(1, permille) g) RETURNING t.*)
    INSERT INTO input.changes (id, number, name, changed) SELECT c.* FROM changed c
$$;
CREATE FUNCTION measured.disk() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE c.relnamespace = 'mastering'::regnamespace AND c.relkind = 'r' AND (c.relname ~ '^segment_' OR c.relname = 'deletion_vector')
$$;
CREATE TABLE measured.first AS SELECT :'took' AS took, round(measured.disk() / 1e6) AS on_disk;
CREATE FUNCTION measured.load(permille int) RETURNS text LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
    lsn pg_lsn := pg_current_wal_insert_lsn();
    began timestamptz := clock_timestamp();
    disk bigint := measured.disk();
    last int := (SELECT max(segment_id) FROM mastering.segment);
    took float8;
    wal bigint;
    changed bigint;
    total bigint;
    rows bigint;
    size float8;
BEGIN
    SELECT l.updated, l.total INTO changed, total FROM mastering.load('prod', 'thing') l;
    took := extract(epoch FROM clock_timestamp() - began);
    wal := pg_current_wal_insert_lsn() - lsn;
    disk := measured.disk() - disk;
    SELECT coalesce(sum(g.row_count), 0) INTO rows FROM mastering.segment g WHERE g.segment_id > last;
    -- A row as it lies in the store: with its key, its hash and its two numbers, and the line pointer.
    EXECUTE format('SELECT avg(pg_column_size(s.*) + 4) FROM mastering.%I s', 'segment_' || (SELECT max(segment_id) FROM mastering.segment)) INTO size;
    RETURN format('| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |', total, changed, round(took::numeric, 2), round(wal / 1e6, 2), round(wal::numeric / greatest(changed, 1)), rows,
                  round(disk / 1e6, 2), round(size::numeric), round((wal / (greatest(changed, 1) * size))::numeric, 2), round((disk / (greatest(changed, 1) * size))::numeric, 2));
END $$;
