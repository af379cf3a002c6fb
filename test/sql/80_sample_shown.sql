-- What sample_environment says of a masked sample: no value that was read from a masked column, however that came to be masked.
SET client_min_messages = error;
SET search_path = mastering, pg_catalog;
CREATE SCHEMA shown;
CREATE TABLE shown.people AS SELECT i AS id, 'First' || i % 5 AS name, 'm' || i % 5 || '@example.org' AS email, 'c' || i % 3 AS city FROM generate_series(1, 60) i;
SELECT create_environment('sh1'), create_environment('sh2');
SELECT define_entity('sh1', 'p', '{"name": "text", "initial": "text", "email": "text", "city": "text", "whole": "text"}'),
       map_source('sh1', 'p', 'a', 'shown.people', 'id', '{"name": "name", "initial": "left(name, 1)", "email": "lower(a.email)", "city": "city", "whole": "a::text"}'),
       set_blocking('sh1', 'p', '["name"]'), set_comparisons('sh1', 'p', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('sh1', 'p');
SELECT train('sh1', 'p') IS NOT NULL AS trained;
SELECT master('sh1', 'p') -> 'records' AS records;
SELECT DISTINCT subject FROM sample_environment('sh1', 'sh2', records => 30) WHERE aspect = 'value' ORDER BY 1;
SELECT DISTINCT subject FROM sample_environment('sh1', 'sh2', records => 30, mask => '{"name": "format", "p": {"a.email": "hash"}}') WHERE aspect = 'value' ORDER BY 1;
SELECT DISTINCT subject FROM sample_environment('sh1', 'sh2', records => 30, mask => '{"name": "keep", "email": "keep", "initial": "keep", "city": "keep"}') WHERE aspect = 'value' ORDER BY 1;
SELECT drop_environment('sh2'), drop_environment('sh1');
DROP SCHEMA shown CASCADE;
