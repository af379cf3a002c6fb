-- incremental.sql: :records records of persons in two sources, a quarter of them about somebody who has another one, with a model that
-- is there and a first run. What changes later is made by bench.change(n): inserts, updates and deletions, one third each.
SET client_min_messages = error;
CREATE EXTENSION mastering;
SET search_path = mastering, public;
CREATE SCHEMA bench;
-- A word of a list that begins with frequent ones.
CREATE FUNCTION bench.word(n int, sort text, r float8) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg((ARRAY['ba','ke','li','mo','nu','ra','se','ti','vo','wu','da','fe','gi','ho','ju','pa','re','si','to','zu'])[1 + get_byte(h, i) % 20], '')
      FROM (SELECT decode(md5(sort || floor(n * r * r * r)::int), 'hex') AS h) x, generate_series(1, 3) i
$$;
CREATE FUNCTION bench.person(i bigint, version int) RETURNS TABLE (first_name text, surname text, born date, street text, town text, email text) LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN e[7] % 10 = 0 THEN left(f, -1) ELSE f END, CASE WHEN e[8] % 12 = 0 THEN overlay(s PLACING 'x' FROM 2 FOR 1) ELSE s END, CASE WHEN e[9] % 20 > 0 THEN '1940-01-01'::date + (p[3] * 25000)::int END,
           bench.word(30000, 'street', p[4]) || ' ' || 1 + (p[4] * 1000)::int % 120, CASE WHEN e[10] % 15 > 0 THEN bench.word(3000, 'town', p[5]) END, CASE WHEN e[11] % 3 > 0 THEN f || '.' || s || (p[6] * 10000)::int || '@example.org' END
      FROM (SELECT p, e, bench.word(2000, 'first', p[1]) AS f, bench.word(60000, 'last', p[2]) AS s
              FROM (SELECT ARRAY(SELECT ('x' || substr(md5('person' || i * 4 / 5), n * 5 - 4, 5))::bit(20)::int / 1048576.0::float8 FROM generate_series(1, 6) n) AS p,
                           ARRAY(SELECT get_byte(decode(md5('error' || i || ' ' || version), 'hex'), n) FROM generate_series(0, 11) n) AS e) x) y
$$;
CREATE TABLE bench.crm (id bigint, first_name text, surname text, born date, street text, town text, email text);
CREATE TABLE bench.shop (LIKE bench.crm);
INSERT INTO bench.crm SELECT i, p.* FROM generate_series(1, :records) i, bench.person(i, 0) p WHERE i % 3 > 0;
INSERT INTO bench.shop SELECT i, p.* FROM generate_series(1, :records) i, bench.person(i, 0) p WHERE i % 3 = 0;
CREATE UNIQUE INDEX ON bench.crm (id);
CREATE UNIQUE INDEX ON bench.shop (id);
VACUUM ANALYZE bench.crm, bench.shop;
CREATE SEQUENCE bench.round;
-- Of this backend, in milliseconds.
CREATE FUNCTION bench.processor_time() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT ((x.fields)[12]::bigint + (x.fields)[13]::bigint) * 10 FROM (SELECT regexp_split_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') AS fields) x
$$;
CREATE FUNCTION bench.change(n bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    version int := nextval('bench.round');
    size bigint := (SELECT max(id) FROM bench.crm);
BEGIN
    INSERT INTO bench.crm SELECT i, p.* FROM generate_series(size + 1, size + n / 3) i, bench.person(i - size + (i * 7919 + version) % size, version) p;
    WITH chosen AS MATERIALIZED (SELECT 1 + (i * 104729 + version * 31) % size AS id FROM generate_series(1, n / 3) i)
    UPDATE bench.shop c SET (first_name, surname, born, street, town, email) = (SELECT p.first_name, p.surname, p.born, p.street, p.town, p.email FROM bench.person(c.id, version) p) FROM chosen WHERE chosen.id = c.id;
    WITH chosen AS MATERIALIZED (SELECT 1 + (i * 15485863 + version * 17) % size AS id FROM generate_series(1, n / 3) i)
    DELETE FROM bench.crm c USING chosen WHERE chosen.id = c.id;
END
$$;
SELECT create_environment('prod');
SELECT define_entity('prod', 'person', '{"first_name": "text", "surname": "text", "born": "date", "street": "text", "town": "text", "email": "text"}');
SELECT map_source('prod', 'person', 'crm', 'bench.crm', 'id'), map_source('prod', 'person', 'shop', 'bench.shop', 'id');
SELECT set_blocking('prod', 'person', '[["email"], ["surname", "born"], ["first_name", "street"], ["left(surname, 4)", "left(first_name, 4)", "town"]]');
SELECT set_comparisons('prod', 'person', '[{"column": "first_name", "method": "jaro_winkler", "levels": [0.92, 0.8], "term_frequency": true}, {"column": "surname", "method": "jaro_winkler", "levels": [0.92, 0.8], "term_frequency": true},
    {"column": "born", "method": "exact"}, {"column": "street", "method": "levenshtein", "levels": [0.9, 0.7]}, {"column": "town", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT set_clustering('prod', 'person', '{"one_per_source": "never"}');
