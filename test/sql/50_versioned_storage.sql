-- Versioned storage below everything else: what a fixed view shows, how it is planned, what a reader may not see.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA "St""age";
SELECT mastering.create_head('St"age', 'anchor_versioned_storage');
SELECT mastering.store_for('golden', 'stored', '', '[{"name": "id", "type": "int4"}, {"name": "name", "type": "text"}]', '[["id"]]') AS store \gset
SELECT mastering.store_for('golden', 'stored', '', '[{"name": "id", "type": "int4"}, {"name": "name", "type": "text"}]', '[["id"]]') = :store AS same_columns_same_store;

CREATE FUNCTION segment(low int, high int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    store int := mastering.store_for('golden', 'stored', '', '[{"name": "id", "type": "int4"}, {"name": "name", "type": "text"}]', '[["id"]]');
    s int := mastering.begin_segment(store);
BEGIN
    EXECUTE format('INSERT INTO mastering.segment_%1$s SELECT i, ''name '' || i, i - %2$s + 1, %1$s FROM generate_series(%2$s, %3$s) i', s, low, high);
    PERFORM mastering.finish_segment(store, s);
    RETURN s;
END $$;
SELECT segment(1, 20000) AS a \gset
SELECT segment(20001, 20100) AS b \gset
SELECT segment(1, 100) AS dead \gset

DO $$ BEGIN EXECUTE format('CREATE VIEW "St""age"."The thing" AS SELECT id, name FROM mastering.store_%s s WHERE mastering.in_version(''"St""age"."The thing"'', s."#segment", s."#row")',
    mastering.store_for('golden', 'stored', '', '[{"name": "id", "type": "int4"}, {"name": "name", "type": "text"}]', '[["id"]]')); END $$;

-- Plans name segments by number, which differs from run to run.
CREATE FUNCTION plan(query text, VARIADIC hide int[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE l text;
BEGIN
    FOR l IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        FOR i IN 1 .. cardinality(hide) LOOP
            l := regexp_replace(l, '(segment|store)_' || hide[i] || '\M', '\1_' || chr(96 + i), 'g');
            l := regexp_replace(l, '(segment|store)_' || hide[i] || '_', '\1_' || chr(96 + i) || '_', 'g');
        END LOOP;
        RETURN NEXT regexp_replace(l, 'is_deleted\(''\d+''', 'is_deleted(''N''');
    END LOOP;
END $$;

-- Nothing published: no rows, no error.
SELECT count(*) FROM "St""age"."The thing";
SELECT plan('SELECT * FROM "St""age"."The thing"', :a);

-- One segment: no filter at all, the indexes of a table.
SELECT mastering.set_head('St"age', jsonb_build_object('The thing', mastering.make_version(:store, ARRAY[:a], ARRAY[0])));
SELECT plan('SELECT * FROM "St""age"."The thing"', :a);
SELECT plan('SELECT * FROM "St""age"."The thing" WHERE id = 7', :a);
SELECT plan('SELECT * FROM "St""age"."The thing" t JOIN (VALUES (3), (5)) k (id) USING (id)', :a);
SELECT count(*), min(id), max(id) FROM "St""age"."The thing";
-- Statistics are those of the live segment.
CREATE FUNCTION estimate(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE j json; BEGIN EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO j; RETURN j -> 0 -> 'Plan' ->> 'Plan Rows'; END $$;
SELECT estimate('SELECT 1 FROM "St""age"."The thing" x JOIN "St""age"."The thing" y USING (id)') BETWEEN 19000 AND 21000 AS join_estimated,
       estimate('SELECT name FROM "St""age"."The thing" GROUP BY name') BETWEEN 15000 AND 21000 AS groups_estimated;

-- An update: a segment more, rows of the old one deleted.
SELECT mastering.set_head('St"age', jsonb_build_object('The thing', mastering.changed_version(h.versions -> 'The thing',
    jsonb_build_object(:'a', (SELECT encode(mastering.deletion_vector_agg(i), 'base64') FROM generate_series(11, 20) i)), :b))) FROM mastering.head h WHERE h.environment = 'St"age';
SELECT count(*), count(*) FILTER (WHERE id BETWEEN 11 AND 20) AS deleted, count(*) FILTER (WHERE id > 20000) AS added FROM "St""age"."The thing";
SELECT plan('SELECT * FROM "St""age"."The thing"', :a, :b);
SELECT plan('SELECT * FROM "St""age"."The thing" WHERE id = 7', :a, :b);
SELECT estimate('SELECT * FROM "St""age"."The thing"') BETWEEN 20080 AND 20100 AS rows_estimated;
SELECT h.versions -> 'The thing' ->> 'rows' AS rows FROM mastering.head h WHERE h.environment = 'St"age';
-- The same deletions again make no new vector, more of them add up, all of them take the segment out.
SELECT mastering.changed_version(h.versions -> 'The thing', jsonb_build_object(:'a', (SELECT encode(mastering.deletion_vector_agg(i), 'base64') FROM generate_series(11, 20) i)), NULL)
       = h.versions -> 'The thing' AS unchanged,
       mastering.changed_version(h.versions -> 'The thing', jsonb_build_object(:'a', (SELECT encode(mastering.deletion_vector_agg(i), 'base64') FROM generate_series(15, 30) i)), NULL) ->> 'rows' AS rows,
       mastering.changed_version(h.versions -> 'The thing', jsonb_build_object(:'a', (SELECT encode(mastering.deletion_vector_agg(i), 'base64') FROM generate_series(1, 20000) i)), NULL) -> 'segments' = to_jsonb(ARRAY[:b]) AS gone
  FROM mastering.head h WHERE h.environment = 'St"age';

-- Parallel plans, workers that read the deletion vector themselves.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SELECT plan('SELECT count(*) FROM "St""age"."The thing"', :a, :b);
SELECT count(*), sum(id) FROM "St""age"."The thing";
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET max_parallel_workers_per_gather;

-- Where the planner does not fold it, it still gives the same rows.
DO $$
DECLARE folded bigint; unfolded bigint;
BEGIN
    SELECT sum(id) INTO folded FROM "St""age"."The thing";
    EXECUTE format('SELECT sum(s.id) FROM (SELECT (''"St""age"."The thing"'' || left(random()::text, 0)) AS n OFFSET 0) x, mastering.store_%s s WHERE mastering.in_version(x.n, s."#segment", s."#row")',
        mastering.store_for('golden', 'stored', '', '[{"name": "id", "type": "int4"}, {"name": "name", "type": "text"}]', '[["id"]]')) INTO unfolded;
    RAISE WARNING 'unfolded gives the same: %', folded = unfolded;
END $$;

-- More segments than are written out one by one.
SELECT mastering.set_head('St"age', jsonb_build_object('The thing', (SELECT mastering.make_version(:store, array_agg(segment(i, i)), array_agg(0::bigint)) FROM generate_series(1, 40) i)));
SELECT count(*), sum(id) FROM "St""age"."The thing";
-- Down to two, so that what follows is short.
SELECT mastering.set_head('St"age', jsonb_build_object('The thing', mastering.changed_version(mastering.make_version(:store, ARRAY[:a], ARRAY[0]),
    jsonb_build_object(:'a', (SELECT encode(mastering.deletion_vector_agg(i), 'base64') FROM generate_series(11, 20) i)), :b)));

-- A reader has rights on the view and on nothing else, and no function of theirs sees a row that the version does not have.
CREATE ROLE storage_reader;
GRANT USAGE ON SCHEMA "St""age" TO storage_reader;
GRANT SELECT ON "St""age"."The thing" TO storage_reader;
GRANT CREATE ON SCHEMA public TO storage_reader;
SET ROLE storage_reader;
SELECT count(*) FROM "St""age"."The thing";
CREATE FUNCTION peek(id int) RETURNS boolean LANGUAGE plpgsql COST 0.000000000001 AS $$ BEGIN IF id BETWEEN 11 AND 20 THEN RAISE WARNING 'seen: %', id; END IF; RETURN true; END $$;
SELECT count(*) FROM "St""age"."The thing" WHERE peek(id);
SELECT count(*) FROM "St""age"."The thing" a JOIN "St""age"."The thing" b ON a.id = b.id AND peek(a.id) AND peek(b.id);
SELECT count(*) FROM mastering.head;
SELECT count(*) FROM mastering.deletion_vector;
\set VERBOSITY terse
DO $$ BEGIN EXECUTE 'SELECT count(*) FROM mastering.store_' || 1; EXCEPTION WHEN insufficient_privilege OR undefined_table THEN RAISE WARNING 'no rights on a store'; END $$;
SELECT mastering.set_head('St"age', '{}');
SELECT mastering.announce_head('anchor_versioned_storage');
DROP FUNCTION peek;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM storage_reader;

-- What is wrong is said.
SELECT mastering.in_version('nowhere.thing', 1, 1);
SELECT mastering.in_version('thing', 1, 1);
SELECT mastering.in_version('"St""age".thing', 1, 1);
SELECT mastering.is_deleted(987654321, 1);
SELECT mastering.deletion_vector_count('\x00');
SELECT mastering.deletion_vector_count(mastering.deletion_vector_agg(i)) FROM unnest(ARRAY[0, 1, 1, NULL, 2147483647]) i;
SELECT mastering.deletion_vector_agg(-1);
SELECT mastering.deletion_vector_agg(i) IS NULL AS null_of_nothing FROM generate_series(1, 0) i;

-- Hashes of rows: no two rows alike, the columns of the store left out, the order of a set without weight.
SELECT mastering.row_hash(ROW('a', 'bc')) <> mastering.row_hash(ROW('ab', 'c')) AS lengths_count,
       mastering.row_hash(ROW(NULL::text)) <> mastering.row_hash(ROW('')) AS null_is_not_empty,
       mastering.row_hash(ROW(1, 'x')) = mastering.row_hash(ROW('1', 'x'::varchar)) AS by_text;
SELECT mastering.rows_hash(x) = (SELECT mastering.rows_hash(y) FROM (SELECT 2 AS "#segment", 3 AS "#row", 1 AS "#cluster") y) AS not_where_it_lies,
       mastering.rows_hash(x) <> (SELECT mastering.rows_hash(y) FROM (SELECT 1 AS "#segment", 1 AS "#row", 2 AS "#cluster") y) AS but_what_it_is FROM (SELECT 1 AS "#segment", 1 AS "#row", 1 AS "#cluster") x;
SELECT mastering.rows_hash(x ORDER BY i) <> mastering.rows_hash(x ORDER BY i DESC) AS order_counts, mastering.rows_hash(x) FILTER (WHERE false) AS of_nothing
  FROM (SELECT i, i AS n FROM generate_series(1, 3) i) x;

DROP SCHEMA "St""age" CASCADE;
DROP OWNED BY storage_reader;
DROP ROLE storage_reader;
DROP FUNCTION segment, plan, estimate;
DELETE FROM mastering.head WHERE environment = 'St"age';
DELETE FROM mastering.segment WHERE store_id = :store;
DO $$ BEGIN EXECUTE format('DROP TABLE mastering.store_%s', (SELECT store_id FROM mastering.store WHERE entity = 'stored')); END $$;
DELETE FROM mastering.store WHERE store_id = :store;
DROP TABLE mastering.anchor_versioned_storage;
