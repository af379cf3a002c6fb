-- Persons of whom a name and a town are known: most pairs stay in doubt, and the best F1 is had below a probability of one half.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA in_doubt;
SET search_path = in_doubt, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips

CREATE TABLE people AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, thing,
    slip((ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Catherine', 'Thomas', 'Jennifer', 'Charles', 'Linda', 'George', 'Barbara',
        'Daniel', 'Nancy', 'Matthew', 'Karen', 'Anthony', 'Betty', 'Steven', 'Sandra', 'Andrew'])[1 + skewed('g' || thing, 24)], 'g' || thing || copy, 15) AS given,
    slip((ARRAY['Kell', 'Od', 'Brand', 'Szym', 'Quint', 'Hall'])[1 + skewed('a' || thing, 6)]
        || (ARRAY['son', 'ner', 'ford'])[1 + skewed('b' || thing, 3)], 'n' || thing || copy, 15) AS surname,
    slip((ARRAY['Ashbury', 'Brookton', 'Carlow', 'Dunmore', 'Eastleigh', 'Fairford', 'Glenham', 'Hartwell', 'Inverton', 'Kingsley'])[1 + skewed('t' || thing, 10)], 't' || thing || copy, 8) AS town
FROM generate_series(1, 600) AS thing, generate_series(0, 1) AS copy WHERE copy = 0 OR pick('c' || thing, 10) < 6;

\set query 'SELECT id, given, surname, town FROM people'
CREATE TABLE model AS SELECT train_model(:'query', suggest(:'query')) AS model;
SELECT (model ->> 'threshold')::float8 BETWEEN 0.1 AND 0.45 AS lowered, model -> 'threshold' = model #> '{training,threshold}' AS learnt FROM model;
CREATE FUNCTION f1(at float8) RETURNS float8 LANGUAGE sql AS $$
    WITH t AS MATERIALIZED (SELECT p.thing, c.cluster_id FROM people AS p JOIN match_clusters_as(NULL::int, 'SELECT id, given, surname, town FROM people', (SELECT model FROM model), at) AS c USING (id)),
        n AS (SELECT (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM t GROUP BY cluster_id) AS g) AS found, (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM t GROUP BY thing) AS g) AS wanted,
            (SELECT sum(k * (k - 1) / 2) FROM (SELECT count(*) AS k FROM t GROUP BY cluster_id, thing) AS g) AS shared)
    SELECT 2.0 * shared / (found + wanted) FROM n $$;
SELECT f1(NULL) > f1(0.5) + 0.05 AS better;

-- What was learnt is forgotten when it is learnt again; what somebody asks for stays, and so does what somebody changed.
SELECT train_model(:'query', model) = model AS the_same FROM model;
SELECT train_model(:'query', model || '{"threshold": 0.7}') -> 'threshold' AS changed FROM model;
SELECT train_model(:'query', suggest(:'query') || '{"threshold": 0.6}') -> 'threshold' AS asked FROM model;
DROP SCHEMA in_doubt CASCADE;
