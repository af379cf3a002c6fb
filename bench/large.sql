-- large.sql: an environment with the persons in table person, with the rules that are for ten millions of them, which reads its
-- source by a relation of changes. bench.change(n) makes n changes: inserts, updates and deletions, a third each, noted in
-- bench.changes as an application's trigger would.
SET client_min_messages = error;
CREATE SCHEMA bench;
ALTER TABLE person ADD PRIMARY KEY (unique_id);
VACUUM ANALYZE person;
CREATE TABLE bench.changes (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, op text, LIKE person);
CREATE SEQUENCE bench.round;
CREATE SEQUENCE bench.new_id;
SELECT setval('bench.new_id', (SELECT max(unique_id) FROM person)) \g /dev/null
-- Of this backend, in milliseconds.
CREATE FUNCTION bench.processor_time() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT ((x.fields)[12]::bigint + (x.fields)[13]::bigint) * 10 FROM (SELECT regexp_split_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') AS fields) x
$$;
-- n different persons, others for each round and part.
CREATE FUNCTION bench.some(n bigint, round int, part int) RETURNS SETOF person LANGUAGE sql VOLATILE AS $$
    SELECT p.* FROM (SELECT DISTINCT abs(('x' || substr(md5(round || ' ' || part || ' ' || i), 1, 15))::bit(60)::bigint) % (SELECT last_value FROM bench.new_id) AS id FROM generate_series(1, n) i) c JOIN person p ON p.unique_id = c.id
$$;
-- The person with an error in it, another one for each round.
CREATE FUNCTION bench.garbled(p person, round int) RETURNS person LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(p.unique_id, p.cluster, CASE e WHEN 0 THEN left(p.first_name, -1) ELSE p.first_name END, CASE e WHEN 1 THEN overlay(p.surname PLACING 'x' FROM 2 FOR 1) WHEN 2 THEN p.surname || 's' ELSE p.surname END,
               CASE e WHEN 3 THEN overlay(p.dob PLACING round % 10 || '' FROM 10) ELSE p.dob END, CASE e WHEN 4 THEN NULL ELSE p.city END, CASE e WHEN 5 THEN left(p.postcode, -1) || 'Q' ELSE p.postcode END,
               CASE e WHEN 6 THEN NULL WHEN 7 THEN 'x' || p.email ELSE p.email END)::person
      FROM (SELECT get_byte(decode(md5(p.unique_id || ' ' || round), 'hex'), 0) % 8 AS e) x
$$;
CREATE FUNCTION bench.change(n bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    round int := nextval('bench.round');
BEGIN
    WITH fresh AS (INSERT INTO person SELECT nextval('bench.new_id'), g.cluster, g.first_name, g.surname, g.dob, g.city, g.postcode, g.email FROM bench.some(n / 3, round, 1) p CROSS JOIN LATERAL bench.garbled(p, round) g RETURNING *)
    INSERT INTO bench.changes (op, unique_id, cluster, first_name, surname, dob, city, postcode, email) SELECT 'insert', f.* FROM fresh f;
    WITH fresh AS (UPDATE person p SET (first_name, surname, dob, city, postcode, email) = (SELECT g.first_name, g.surname, g.dob, g.city, g.postcode, g.email FROM bench.garbled(s, round) g)
                     FROM bench.some(n / 3, round, 2) s WHERE p.unique_id = s.unique_id RETURNING p.*)
    INSERT INTO bench.changes (op, unique_id, cluster, first_name, surname, dob, city, postcode, email) SELECT 'update', f.* FROM fresh f;
    WITH gone AS (DELETE FROM person p USING bench.some(n / 3, round, 3) s WHERE p.unique_id = s.unique_id RETURNING p.*)
    INSERT INTO bench.changes (op, unique_id, cluster, first_name, surname, dob, city, postcode, email) SELECT 'delete', g.* FROM gone g;
    ANALYZE bench.changes;
END
$$;
SELECT mastering.create_environment('prod'),
    mastering.define_entity('prod', 'person', '{"first_name": "text", "surname": "text", "dob": "text", "city": "text", "postcode": "text", "email": "text"}'),
    mastering.map_source('prod', 'person', 'people', 'public.person', 'unique_id'),
    mastering.set_loading('prod', 'person', 'people', '{"changes": "bench.changes", "operation": "op", "position": "seq"}'),
    mastering.set_blocking('prod', 'person', '[["first_name","surname","city"],["dob","city"],["surname","dob"],["first_name","dob"],["postcode","surname"],["postcode","dob"],["email"]]'),
    mastering.set_comparisons('prod', 'person', '[{"column":"first_name","levels":[0.92,0.8],"term_frequency":true},{"column":"surname","levels":[0.92,0.8],"term_frequency":true},{"column":"dob","method":"levenshtein_distance","levels":[1,2]},{"column":"city","method":"exact","term_frequency":true},{"column":"postcode","method":"levenshtein_distance","levels":[1,2]},{"column":"email","levels":[0.88]}]')
\g /dev/null
