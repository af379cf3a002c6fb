-- environments.sql: stages with 12 entities, or :entities (of 12: 60 views, 60 live segments in Prod) of :records records each, and a
-- change of one of them that Test has proven and Prod has not.
\if :{?entities}
\else
    \set entities 12
\endif
SET client_min_messages = error;
CREATE EXTENSION mastering;
SET search_path = mastering, public;
CREATE SCHEMA input;
CREATE TABLE input.people AS
SELECT i AS id, md5((i * 3 / 4)::text) AS name, md5((i * 3 / 4)::text || 'mail') || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city
  FROM generate_series(1, :records) i;
SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', 'test');
SET bench.entities = :entities;
DO $$
BEGIN
    FOR e IN 1 .. current_setting('bench.entities')::int LOOP
        PERFORM define_entity('dev', 'e' || e, '{"name": "text", "email": "text", "city": "text"}');
        PERFORM map_source('dev', 'e' || e, 'people', 'input.people', 'id');
        PERFORM set_blocking('dev', 'e' || e, '[{"keys": ["email"]}]');
        PERFORM set_comparisons('dev', 'e' || e, '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]');
        PERFORM load('dev', 'e' || e);
        IF e = 1 THEN
            PERFORM train('dev', 'e1');
        ELSE
            PERFORM set_model('dev', 'e' || e, (SELECT content -> 'model' FROM artifact WHERE content ? 'model' LIMIT 1));
        END IF;
        PERFORM master('dev', 'e' || e);
    END LOOP;
END
$$;
SELECT promote('dev', 'test') > 0 AS promoted;
SELECT promote('test', 'prod') > 0 AS promoted;
SELECT set_survivorship('dev', 'e1', '{"default": "longest"}');
SELECT master('dev', 'e1') ->> 'records' AS records;
SELECT promote('dev', 'test') > 0 AS promoted;
-- A plain table of the same rows and indexes as a golden view.
CREATE TABLE input.plain AS SELECT * FROM prod.e1;
CREATE INDEX ON input.plain (id);
CREATE TABLE input.keys AS SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS total FROM prod.e1) x WHERE n % greatest(total / 10, 1) = 0 LIMIT 10;
VACUUM ANALYZE;
