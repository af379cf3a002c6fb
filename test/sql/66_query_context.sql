-- query_as says in an error's context what it runs, and no longer once it has run it: an error in the rest of the statement,
-- which may be that it was cancelled, is not the query's. (What it had said it with was gone by then, and the server with it.)
\set VERBOSITY default
\set SHOW_CONTEXT always
CREATE ROLE regress_context;
SELECT 1 / n FROM mastering.query_as('regress_context', 'SELECT 1 / (n - 1) FROM generate_series(1, 3) n', 'pg_catalog', true) AS t (n int);
SELECT 1 / (n - 1) FROM mastering.query_as('regress_context', 'SELECT 1', 'pg_catalog', true) AS t (n int);
CREATE TEMP TABLE taken AS SELECT 1 / (n - 500) AS n FROM mastering.query_as('regress_context', 'SELECT generate_series(1, 1000)', 'pg_catalog', true) AS t (n int);
SET statement_timeout = '100ms';
SELECT pg_sleep(60) FROM mastering.query_as('regress_context', 'SELECT 1', 'pg_catalog', true) AS t (n int);
RESET statement_timeout;
DO $$
BEGIN
    PERFORM FROM mastering.query_as('regress_context', 'SELECT 1', 'pg_catalog', true) AS t (n int);
    RAISE EXCEPTION 'of the block, and of no query';
END
$$;
SELECT 'still here';
DROP ROLE regress_context;
