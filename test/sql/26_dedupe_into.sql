-- 26_dedupe_into.sql: clusters written straight into a table are those that dedupe returns; tables where that would pass
-- by a rule of theirs are refused before any work.
SET client_min_messages = error;
CREATE SCHEMA into_table;
SET search_path = into_table, pg_catalog;
CREATE TABLE person AS
SELECT n AS id, 'name' || n / 3 AS name, 'city' || n % 7 AS city, md5((n / 3)::text) AS email
FROM generate_series(1, 5000) AS n;
\set spec '{"blocking": ["name", "email"], "comparisons": ["name", "city", "email"]}'

-- Two columns, in another order, one of them dropped, and all four.
CREATE UNLOGGED TABLE two (gone int, cluster_id bigint, id bigint);
ALTER TABLE two DROP COLUMN gone;
SELECT mastering.dedupe_into('two', 'SELECT * FROM person', :'spec');
CREATE TEMP TABLE four (id text NOT NULL, cluster_id text, size bigint, weakest_link double precision);
SELECT mastering.dedupe_into('four', 'SELECT * FROM person', :'spec');
CREATE TABLE asked AS SELECT * FROM mastering.dedupe('SELECT * FROM person', :'spec');
SELECT count(*), count(DISTINCT cluster_id) FROM two;
SELECT count(*) AS differences FROM (TABLE four EXCEPT ALL TABLE asked) AS one_way;
SELECT count(*) AS differences FROM (SELECT id::text, cluster_id::text FROM two EXCEPT ALL SELECT id, cluster_id FROM asked) AS one_way;

-- A table that is logged, with all columns, NULLs among them, behind one that was dropped: what a rollback leaves out, what
-- others add, and rows that are changed later.
CREATE TABLE paged (gone text, weakest_link double precision, id bigint NOT NULL, size bigint, cluster_id bigint) WITH (fillfactor = 60);
ALTER TABLE paged DROP COLUMN gone;
INSERT INTO paged (id) VALUES (-1);
BEGIN;
SAVEPOINT before;
SELECT mastering.dedupe_into('paged', 'SELECT * FROM person', :'spec');
ROLLBACK TO before;
SELECT count(*) FROM paged;
SELECT mastering.dedupe_into('paged', 'SELECT * FROM person WHERE id % 3 = 0 OR id % 7 = 0', :'spec');
SELECT count(*) AS differences FROM (
    SELECT id::text, cluster_id::text, size, weakest_link FROM paged WHERE id > 0
    EXCEPT ALL SELECT * FROM mastering.dedupe('SELECT * FROM person WHERE id % 3 = 0 OR id % 7 = 0', :'spec')) AS one_way;
COMMIT;
SELECT count(*) FILTER (WHERE weakest_link IS NULL) AS alone, count(*) FILTER (WHERE xmax <> 0) AS locked, count(DISTINCT ctid) = count(*) AS apart FROM paged;
INSERT INTO paged (id) VALUES (-2);
UPDATE paged SET size = -size WHERE id % 10 = 0;
DELETE FROM paged WHERE id % 10 = 1;
CREATE INDEX ON paged (id);
VACUUM (ANALYZE) paged;
SELECT count(*), count(*) FILTER (WHERE size < 0) AS changed, max(id) FILTER (WHERE id = 4998) AS found FROM paged;
DROP TABLE paged;

-- In passes it is the same; rows are added to those that are there.
SET mastering.work_mem = '1MB';
SELECT mastering.dedupe_into('two', 'SELECT * FROM person', :'spec');
RESET mastering.work_mem;
SELECT count(*), count(DISTINCT (id, cluster_id)) FROM two;

-- Types of their own, and limits of a column.
CREATE DOMAIN small_number AS int CHECK (VALUE < 6000);
CREATE TABLE numbers (id small_number, cluster_id small_number);
SELECT mastering.dedupe_into('numbers', 'SELECT * FROM person', :'spec');
SELECT count(*) AS differences FROM (SELECT id::bigint, cluster_id::bigint FROM numbers EXCEPT SELECT id, cluster_id FROM two) AS one_way;
SELECT mastering.dedupe_into('numbers', 'SELECT id + 5000 AS id, name, city, email FROM person', :'spec');
CREATE TABLE short (id varchar(3), cluster_id varchar(3));
SELECT mastering.dedupe_into('short', 'SELECT * FROM person', :'spec');

-- No records, no rows; an error leaves none.
SELECT mastering.dedupe_into('two', 'SELECT * FROM person WHERE false', :'spec');
SELECT count(*) FROM short;

-- What INSERT would look at.
CREATE TABLE keyed (id bigint PRIMARY KEY, cluster_id bigint);
SELECT mastering.dedupe_into('keyed', 'SELECT * FROM person', :'spec');
CREATE TABLE checked (id bigint CHECK (id > 0), cluster_id bigint);
SELECT mastering.dedupe_into('checked', 'SELECT * FROM person', :'spec');
CREATE TABLE given (id bigint GENERATED ALWAYS AS IDENTITY, cluster_id bigint);
SELECT mastering.dedupe_into('given', 'SELECT * FROM person', :'spec');
CREATE TABLE more (id bigint, cluster_id bigint, note text);
SELECT mastering.dedupe_into('more', 'SELECT * FROM person', :'spec');
CREATE TABLE fewer (id bigint);
SELECT mastering.dedupe_into('fewer', 'SELECT * FROM person', :'spec');
CREATE TABLE mixed (id bigint, cluster_id text);
SELECT mastering.dedupe_into('mixed', 'SELECT * FROM person', :'spec');
CREATE TABLE limits (id varchar(9), cluster_id varchar(10));
SELECT mastering.dedupe_into('limits', 'SELECT missing', :'spec');
CREATE TABLE sized (id bigint, cluster_id bigint, size int);
SELECT mastering.dedupe_into('sized', 'SELECT * FROM person', :'spec');
CREATE TABLE linked (id bigint, cluster_id bigint, weakest_link double precision NOT NULL);
SELECT mastering.dedupe_into('linked', 'SELECT * FROM person', :'spec');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE watched (id bigint, cluster_id bigint);
CREATE TRIGGER watch BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT mastering.dedupe_into('watched', 'SELECT * FROM person', :'spec');
-- What was dropped is no more in the way, though the catalog does not say so before VACUUM.
ALTER TABLE keyed DROP CONSTRAINT keyed_pkey, ALTER id DROP NOT NULL;
DROP TRIGGER watch ON watched;
CREATE RULE quiet AS ON INSERT TO two DO ALSO NOTHING;
SELECT mastering.dedupe_into('two', 'SELECT * FROM person WHERE id < 3', :'spec');
DROP RULE quiet ON two;
SELECT relhasindex OR relhastriggers OR relhasrules AS said FROM pg_class WHERE oid IN ('keyed'::regclass, 'watched'::regclass, 'two'::regclass);
SELECT mastering.dedupe_into('keyed', 'SELECT * FROM person WHERE id < 3', :'spec') AS keyed, mastering.dedupe_into('watched', 'SELECT * FROM person WHERE id < 3', :'spec') AS watched, mastering.dedupe_into('two', 'SELECT * FROM person WHERE id < 3', :'spec') AS two;
-- A trigger that comes while the records are read is not passed by either.
CREATE FUNCTION watch_it() RETURNS text LANGUAGE plpgsql AS $$ BEGIN CREATE TRIGGER watch BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION nothing(); RETURN 'x'; END $$;
SELECT mastering.dedupe_into('watched', 'SELECT id, name, city, (SELECT watch_it()) AS email FROM person', :'spec');
SELECT mastering.dedupe_into(1, 'SELECT * FROM person', :'spec');
CREATE VIEW seen AS SELECT id, cluster_id FROM two;
SELECT mastering.dedupe_into('seen', 'SELECT * FROM person', :'spec');
CREATE TABLE parted (id bigint, cluster_id bigint) PARTITION BY HASH (id);
SELECT mastering.dedupe_into('parted', 'SELECT * FROM person', :'spec');
SELECT mastering.dedupe_into(NULL, 'SELECT * FROM person', :'spec');
BEGIN TRANSACTION READ ONLY;
SELECT mastering.dedupe_into('four', 'SELECT * FROM person WHERE id < 3', :'spec'); -- as INSERT
SELECT mastering.dedupe_into('two', 'SELECT * FROM person', :'spec');
ROLLBACK;

-- As the caller, with the caller's rights and under row security.
CREATE ROLE into_table_reader;
GRANT USAGE ON SCHEMA into_table TO into_table_reader;
GRANT USAGE ON SCHEMA mastering TO into_table_reader;
GRANT SELECT ON person, two TO into_table_reader;
CREATE TABLE guarded (id bigint, cluster_id bigint);
GRANT INSERT ON guarded TO into_table_reader;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
SET ROLE into_table_reader;
SELECT mastering.dedupe_into('two', 'SELECT * FROM person', :'spec');
SELECT mastering.dedupe_into('guarded', 'SELECT * FROM person', :'spec');
RESET ROLE;

DROP SCHEMA into_table CASCADE;
DROP OWNED BY into_table_reader;
DROP ROLE into_table_reader;
