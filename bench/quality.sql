-- quality.sql: one set of quality.sh, one line. Variables: set, name, truth (tables), query, spec ('' for the default
-- call), across (true: only pairs of different sources count).
\set ON_ERROR_STOP on
SET client_min_messages TO error;
SET statement_timeout TO '900s';
SET search_path TO public;
SELECT extract(epoch FROM clock_timestamp()) AS started \gset
CREATE TEMP TABLE clusters AS SELECT id, cluster_id FROM mastering.dedupe(:'query', nullif(:'spec', '')::jsonb);
SELECT round((extract(epoch FROM clock_timestamp()) - :started)::numeric, 1) AS seconds \gset

-- What was made is kept for looking at errors.
SELECT format('clusters_of_%s', :'name') AS kept \gset
DROP TABLE IF EXISTS :"kept";
CREATE TABLE :"kept" AS SELECT * FROM clusters;

\if :across
CREATE TEMP TABLE members AS SELECT id, cluster_id, entity_id, source FROM clusters JOIN :"name" USING (id) JOIN :"truth" USING (id);
\else
CREATE TEMP TABLE members AS SELECT id, cluster_id, entity_id, id AS source FROM clusters JOIN :"truth" USING (id);
\endif
-- Pairs of a group less those of one source.
CREATE TEMP TABLE counts AS
SELECT (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members GROUP BY cluster_id) AS g)
     - (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members GROUP BY cluster_id, source) AS g) AS found,
    (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members GROUP BY entity_id) AS g)
     - (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members GROUP BY entity_id, source) AS g) AS wanted,
    (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members GROUP BY cluster_id, entity_id) AS g)
     - (SELECT sum(n * (n - 1) / 2) FROM (SELECT count(*) AS n FROM members GROUP BY cluster_id, entity_id, source) AS g) AS shared;
SELECT sum(new_pairs) AS pairs, round(sum(new_completeness)::numeric, 4) AS completeness
FROM mastering.blocking_report(:'query', coalesce(nullif(:'spec', '')::jsonb, mastering.suggest(:'query')),
    format('SELECT id, entity_id FROM %I', :'truth')) \gset
SELECT '| ' || concat_ws(' | ', :'set', coalesce(round(shared / nullif(found, 0), 4), 0), round(shared / wanted, 4),
    round(2 * shared / (found + wanted), 4), :'completeness', :'pairs', :'seconds') || ' |'
FROM counts;
