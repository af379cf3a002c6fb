-- ======================================================================================================
-- mastering: which records of this file are the same thing?
-- ======================================================================================================
-- The file lies in the table data.records, every column as text; the view data.input has what identifies a record as "id". Its columns:
CREATE EXTENSION mastering;
SELECT name, kind, nulls, distinct_values, longest, left(top_values::text, 60) AS top_values FROM mastering.profile('SELECT * FROM data.input');

-- ---- One call finds the duplicates --------------------------------------------------------------------
\timing on
CREATE TABLE data.clusters AS SELECT * FROM mastering.dedupe('SELECT * FROM data.input');
\timing off
SELECT count(*) AS records, count(DISTINCT cluster_id) AS things, max(size) AS largest,
    count(*) FILTER (WHERE size = 1) AS found_once FROM data.clusters;
SELECT size, count(DISTINCT cluster_id) AS clusters FROM data.clusters GROUP BY size ORDER BY size DESC LIMIT 10;

-- ---- The golden record of each, by majority -----------------------------------------------------------
\timing on
CREATE TABLE data.golden AS
SELECT * FROM mastering.golden_records('SELECT * FROM data.input', 'SELECT id, cluster_id FROM data.clusters', '{"default": ["most_frequent", "longest"]}');
\timing off

-- ---- The largest clusters, their records and below them the golden one --------------------------------
\set ECHO none
SELECT format(
    'WITH shown AS (SELECT cluster_id, row_number() OVER (ORDER BY max(size) DESC, cluster_id) AS n FROM data.clusters WHERE size > 1
         GROUP BY cluster_id ORDER BY n LIMIT 3),
     numbered AS (SELECT s.n, c.id, row_number() OVER (PARTITION BY s.n ORDER BY length(c.id), c.id) AS place
         FROM shown AS s JOIN data.clusters AS c USING (cluster_id))
     SELECT n.n AS cluster, n.place AS record, n.id, %1$s FROM numbered AS n JOIN data.input AS r ON r.id::text = n.id WHERE n.place <= 8
     UNION ALL SELECT s.n, NULL, ''= golden'', %2$s FROM shown AS s JOIN data.golden USING (cluster_id)
     ORDER BY cluster, record',
    string_agg(format('left(r.%1$I, 20) AS %1$I', name), ', ' ORDER BY n),
    string_agg(format('left(golden ->> %L, 20)', name), ', ' ORDER BY n))
FROM (SELECT attname AS name, attnum AS n FROM pg_attribute
      WHERE attrelid = 'data.input'::regclass AND attnum > 0 AND attname <> 'id' ORDER BY attnum LIMIT 8) AS a \gexec
\set ECHO all

-- The clusters that were the hardest to tell:
SELECT c.weakest_link, c.cluster_id, r.* FROM data.clusters AS c JOIN data.input AS r ON r.id::text = c.id
WHERE c.size > 1 ORDER BY c.weakest_link, c.cluster_id, c.id LIMIT 4;

-- What lies where:  data.records    the file, data.input  the query on it that all calls above are given
--                   data.clusters   id, cluster_id, size, weakest_link
--                   data.golden     cluster_id, record_count, golden, lineage
