-- Ids of clusters survive by largest overlap; births, splits, merges and deaths are told apart.
SET client_min_messages = warning;
CREATE TABLE old_members ("#source" text, "#key" text, "#cluster" bigint);
CREATE FUNCTION run(partition jsonb) RETURNS TABLE (label text, id text, members text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mastering.drop_work_tables();
    CREATE TEMP TABLE mastering_partition AS SELECT 's'::text AS source, m.value AS key, l.key AS label FROM jsonb_each(partition) l, jsonb_array_elements_text(l.value) m;
    PERFORM mastering.assign_ids('public.old_members');
    RETURN QUERY SELECT p.label, CASE WHEN i.cluster < 1000 THEN i.cluster::text ELSE 'new ' || dense_rank() OVER (PARTITION BY i.cluster >= 1000 ORDER BY i.cluster) END, string_agg(p.key, '' ORDER BY p.key)
                   FROM pg_temp.mastering_partition p JOIN pg_temp.mastering_identity i ON i.label = p.label GROUP BY p.label, i.cluster ORDER BY p.label;
END $$;
CREATE FUNCTION events() RETURNS TABLE (id text, event text, other text, records bigint) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE mastering_lost AS SELECT m."#cluster" AS cluster, count(*) AS records FROM old_members m WHERE NOT EXISTS (SELECT FROM pg_temp.mastering_identity i WHERE i.cluster = m."#cluster") GROUP BY 1;
    RETURN QUERY EXECUTE format('SELECT CASE WHEN q.id < 1000 THEN q.id::text ELSE ''new'' END, q.event, CASE WHEN q.other < 1000 THEN q.other::text WHEN q.other IS NOT NULL THEN ''new'' END, q.records FROM (%s) q (id, event, other, records, at) ORDER BY 1, 2, 3, 4', mastering.history_query());
    DROP TABLE pg_temp.mastering_lost;
    PERFORM mastering.drop_work_tables();
END $$;
SELECT setval('mastering.cluster_id', greatest(1000, nextval('mastering.cluster_id'))) >= 1000 AS far_from_the_ids_below;

-- The first run: all are born, numbered by their least record.
BEGIN; SELECT * FROM run('{"z": ["a", "b"], "y": ["c"], "x": ["d", "e"]}');
SELECT * FROM events(); COMMIT;
INSERT INTO old_members SELECT 's', m, c FROM (VALUES (1, 'a'), (1, 'b'), (1, 'c'), (2, 'd'), (2, 'e'), (3, 'f'), (4, 'g'), (4, 'h'), (5, 'i')) o (c, m);
-- Nothing changes, whatever the labels are called.
BEGIN; SELECT * FROM run('{"p": ["a", "b", "c"], "q": ["d", "e"], "r": ["f"], "s": ["g", "h"], "t": ["i"]}');
SELECT * FROM events(); COMMIT;
-- 1 loses c: the larger part keeps the id. 2 and 3 become one: the larger one's id. 4 is gone, 5 grows, k is new.
BEGIN; SELECT * FROM run('{"p": ["a", "b"], "q": ["c"], "r": ["d", "e", "f"], "t": ["i", "j"], "u": ["k"]}');
SELECT * FROM events(); COMMIT;
-- Second choices: c and f together; 1 is kept by a and b, so that they take 3.
BEGIN; SELECT * FROM run('{"p": ["a", "b"], "q": ["c", "f"], "r": ["d", "e"], "s": ["g", "h"], "t": ["i"]}');
SELECT * FROM events(); COMMIT;
-- An even split and an even merge are decided by the smaller label and the smaller id.
BEGIN; SELECT * FROM run('{"p": ["a", "b", "c"], "q": ["d"], "r": ["e"], "s": ["f", "i"], "t": ["g"], "u": ["h"]}');
SELECT * FROM events(); COMMIT;
-- Nothing left at all.
BEGIN; SELECT * FROM run('{}');
SELECT * FROM events(); COMMIT;
-- The planner knows how many there are, also where none was there before: of the first run of millions.
TRUNCATE old_members;
BEGIN; SELECT count(*) FROM run((SELECT jsonb_object_agg('l' || n, jsonb_build_array('k' || n)) FROM generate_series(1, 3000) n));
SELECT c.reltuples FROM pg_class c WHERE c.oid = 'pg_temp.mastering_identity'::regclass;
COMMIT;
DROP TABLE old_members;
DROP FUNCTION run, events;
