-- 00_schema.sql: opens the install script. The script makes its schema itself, so that a schema somebody
-- made beforehand is an error and not a trap.
\echo Use "CREATE EXTENSION mastering" to load this file. \quit

SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE SCHEMA mastering;
COMMENT ON SCHEMA mastering IS 'Data mastering: values, sets, environments. Put it on the search_path to call its functions by their bare names.';
GRANT USAGE ON SCHEMA mastering TO PUBLIC;
