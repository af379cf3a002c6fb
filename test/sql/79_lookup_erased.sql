-- Look-ups find chunks of keys by places in an index that may have nothing to see: a chunk that was written again without an erased
-- record has two, and one that an undone erasure wrote stays behind. Keys that many records have fill several chunks.
-- In a database of its own: what other tests leave there is not.
SELECT current_database() AS home \gset
CREATE DATABASE lookup_erased;
\c lookup_erased
CREATE EXTENSION mastering;
SET client_min_messages = error;
SET search_path = mastering, pg_catalog;
CREATE SCHEMA looked;
-- 700 records with one city in five chunks and a bit (what lies after it is found, too: 398); every other city has two.
CREATE TABLE looked.people AS SELECT i AS id, 'name ' || i AS name, CASE WHEN i <= 700 THEN 'Ulm' ELSE 'city ' || i / 2 END AS city FROM generate_series(1, 1100) i;
SELECT create_environment('e1'), define_entity('e1', 'p', '{"name": "text", "city": "text"}'), map_source('e1', 'p', 's', 'looked.people', 'id'),
       set_blocking('e1', 'p', '["city", "name"]'), set_comparisons('e1', 'p', '[{"column": "name", "method": "exact"}, {"column": "city", "method": "exact"}]') \g /dev/null
SELECT change FROM load('e1', 'p');
SELECT train('e1', 'p') IS NOT NULL AS trained, master('e1', 'p') ->> 'records' AS records;
CREATE FUNCTION looked.found() RETURNS TABLE (of_many bigint, of_ulm bigint, first_of_ulm text, of_two text, without_cluster bigint) LANGUAGE sql STABLE AS $$
    SELECT (SELECT count(*) FROM generate_series(351, 549) c CROSS JOIN LATERAL mastering.lookup('e1', 'p', jsonb_build_object('city', 'city ' || c), 10) l),
           (SELECT count(*) FROM mastering.lookup('e1', 'p', '{"city": "Ulm"}', 5000)),
           (SELECT min(l.record_key) FROM mastering.lookup('e1', 'p', '{"city": "Ulm"}', 5000) l),
           (SELECT string_agg(l.record_key, ' ' ORDER BY l.record_key) FROM mastering.lookup('e1', 'p', '{"city": "city 400"}', 10) l),
           (SELECT count(*) FROM mastering.lookup('e1', 'p', '{"city": "Ulm"}', 5000) l WHERE l.cluster_id IS NULL)
$$;
SELECT * FROM looked.found();
-- Undone: what it wrote is in the indexes, and is not seen.
BEGIN;
SAVEPOINT before;
SELECT count(*) > 0 AS erased FROM (VALUES ('1'), ('350'), ('700'), ('800')) k (key) CROSS JOIN LATERAL erase('p', 's', k.key, 'asked for') e;
SELECT * FROM looked.found();
ROLLBACK TO before;
SELECT * FROM looked.found();
COMMIT;
SELECT * FROM looked.found();
-- An increment finds what shares keys with a new record, too.
INSERT INTO looked.people VALUES (2001, 'name 800', 'city 400');
SELECT change FROM load('e1', 'p');
SELECT master('e1', 'p') #>> '{how,run}' AS run;
SELECT count(*) AS records, count(DISTINCT cluster_id) AS clusters FROM e1.p_members WHERE record_key IN ('800', '2001');
-- It reads the index on where chunks begin. Where the only key that a new record shares lies in a chunk that an undone erasure wrote
-- once more, in another page, the index has two places for it: the later one holds nothing.
CREATE TABLE looked.more AS SELECT i AS id, 'name ' || i AS name, 'city ' || i / 2 AS city FROM generate_series(1, 3000) i;
SELECT define_entity('e1', 'q', '{"name": "text", "city": "text"}'), map_source('e1', 'q', 's', 'looked.more', 'id'), set_blocking('e1', 'q', '["city"]'),
       set_comparisons('e1', 'q', '[{"column": "name", "method": "exact"}, {"column": "city", "method": "exact"}]') \g /dev/null
SELECT change FROM load('e1', 'q');
SELECT train('e1', 'q') IS NOT NULL AS trained, master('e1', 'q') ->> 'records' AS records;
BEGIN;
SAVEPOINT before;
SELECT count(*) > 0 AS erased FROM generate_series(250, 3000, 250) k CROSS JOIN LATERAL erase('q', 's', k::text, 'asked for') e;
ROLLBACK TO before;
COMMIT;
INSERT INTO looked.more SELECT id + 10000, name, city FROM looked.more WHERE id IN (250, 1500, 2750);
SELECT change FROM load('e1', 'q');
SELECT master('e1', 'q') #>> '{how,run}' AS run;
SELECT a.record_key, b.record_key AS new, a.cluster_id = b.cluster_id AS together FROM e1.q_members a JOIN e1.q_members b ON b.record_key::int = a.record_key::int + 10000 ORDER BY a.record_key::int;
-- Done.
SELECT count(*) > 0 AS erased FROM (VALUES ('1'), ('350'), ('700'), ('800')) k (key) CROSS JOIN LATERAL erase('p', 's', k.key, 'asked for') e;
SELECT * FROM looked.found();
VACUUM;
SELECT * FROM looked.found();
-- With nothing asked for ahead it is the same.
SET effective_io_concurrency = 0;
SELECT * FROM looked.found();
RESET effective_io_concurrency;
-- Rows are found by the places that go with their keys. Where others lie there by now, for the table was written anew in another order,
-- they are found by their numbers.
SELECT format('segment_%s', h.versions -> 'q_records' -> 'segments' ->> 0) AS segment_q, format('segment_%s', h.versions -> 'p_records' -> 'segments' ->> 0) AS segment_p FROM mastering.head h WHERE h.environment = 'e1' \gset
SELECT count(*) > 2900 AS entries, count(x.place) = count(*) AS placed, count(*) FILTER (WHERE r.ctid IS DISTINCT FROM x.place) AS elsewhere
  FROM mastering.head h JOIN mastering.segment g ON g.segment_id = (h.versions -> 'q_keys' -> 'segments' ->> 0)::int JOIN pg_class c ON c.relname = 'store_' || g.store_id
 CROSS JOIN LATERAL (SELECT e.* FROM mastering.query_as(current_user, format('SELECT k.entries FROM mastering.segment_%s k', g.segment_id), '', true) AS k (entries bytea) CROSS JOIN LATERAL mastering.key_chunk_entries(k.entries) e) x
  LEFT JOIN mastering.:segment_q r ON r."#row" = x.row_no WHERE h.environment = 'e1';
CREATE INDEX other_order_q ON mastering.:segment_q (left("#key", 1), "#row");
CREATE INDEX other_order_p ON mastering.:segment_p ("#source", "#row" DESC);
CLUSTER mastering.:segment_q USING other_order_q;
CLUSTER mastering.:segment_p USING other_order_p;
DROP INDEX mastering.other_order_q, mastering.other_order_p;
SELECT * FROM looked.found();
SELECT l.record_key FROM mastering.lookup('e1', 'q', '{"city": "city 700"}') l ORDER BY 1;
INSERT INTO looked.more SELECT id + 20000, name, city FROM looked.more WHERE id IN (251, 1501, 2751);
SELECT change FROM load('e1', 'q');
SELECT master('e1', 'q') #>> '{how,run}' AS run;
SELECT a.record_key, b.record_key AS new, a.cluster_id = b.cluster_id AS together FROM e1.q_members a JOIN e1.q_members b ON b.record_key::int = a.record_key::int + 20000 ORDER BY a.record_key::int;
-- Without its index a segment is not searched then; the way out is said.
SET client_min_messages = notice;
DO $$
DECLARE
    found text;
    hint text;
BEGIN
    SELECT c.relname INTO found FROM mastering.head h JOIN pg_index i ON i.indrelid = format('mastering.%I', 'segment_' || (h.versions -> 'p_records' -> 'segments' ->> 0))::regclass
      JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1 JOIN pg_class c ON c.oid = i.indexrelid WHERE h.environment = 'e1' AND a.attname = '#row';
    EXECUTE format('DROP INDEX mastering.%I', found);
    PERFORM * FROM mastering.lookup('e1', 'p', '{"city": "Ulm"}');
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RAISE NOTICE '%; %', regexp_replace(SQLERRM, '\d+', 'N', 'g'), regexp_replace(hint, '\d+', 'N', 'g');
END
$$;
SET client_min_messages = error;
SELECT drop_environment('e1') IS NOT NULL AS dropped;
\c :home
DROP DATABASE lookup_erased;
