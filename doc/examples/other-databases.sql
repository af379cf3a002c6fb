-- What doc/other-databases.md begins with: the database that this is run in, with dev and test and 2,000 records of customers, and two more of the
-- same server, mdm_prod and trial, set up as the page says; a third of the customers that Prod has are without a city. For an empty database with
-- the extension in it, by a superuser who may log in as any role without a password; the page's examples go on from here.
CREATE SCHEMA crm;
CREATE TABLE crm.customers AS
SELECT no AS id, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna'])[1 + person % 8] || ' Muster' || person AS name,
       'c' || person || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + person % 3] AS city
  FROM generate_series(1, 2000) AS no, LATERAL (SELECT CASE WHEN no > 1500 THEN no - 1500 ELSE no END AS person) AS numbered;
SELECT mastering.create_environment('dev'), mastering.create_environment('test', promotes_from => 'dev');
SELECT mastering.define_entity('dev', 'customer', '{"name": "text", "email": "text", "city": "text"}'),
       mastering.map_source('dev', 'customer', 'crm', 'crm.customers', 'id'),
       mastering.add_check('dev', 'customer', 'a city for everybody', 'SELECT id, name FROM customer WHERE city IS NULL');
SELECT count(*) FROM mastering.load('dev', 'customer');
SELECT mastering.train('dev', 'customer');
SELECT mastering.master('dev', 'customer');
SELECT mastering.promote('dev', 'test', 'first release');
CREATE SCHEMA extensions;
CREATE EXTENSION dblink SCHEMA extensions;
CREATE SERVER prod_db FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host :'HOST', port :'PORT', dbname 'mdm_prod');
CREATE EXTENSION postgres_fdw;
CREATE SERVER trial_db FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'HOST', port :'PORT', dbname 'trial');
CREATE ROLE mdm_release LOGIN;
CREATE USER MAPPING FOR CURRENT_USER SERVER prod_db OPTIONS (user 'mdm_release');
CREATE USER MAPPING FOR CURRENT_USER SERVER trial_db OPTIONS (user 'mdm_release');
CREATE DATABASE mdm_prod TEMPLATE template0;
CREATE DATABASE trial TEMPLATE template0;
SELECT current_database() AS here \gset
\connect mdm_prod
ALTER DATABASE mdm_prod SET search_path = public, mastering;
CREATE EXTENSION mastering;
CREATE SCHEMA crm;
CREATE TABLE crm.customers AS
SELECT no AS id, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna'])[1 + person % 8] || ' Muster' || person AS name,
       'c' || person || '@example.org' AS email, CASE WHEN no % 3 > 0 THEN (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + person % 3] END AS city
  FROM generate_series(1, 2000) AS no, LATERAL (SELECT CASE WHEN no > 1500 THEN no - 1500 ELSE no END AS person) AS numbered;
GRANT CREATE ON DATABASE mdm_prod TO mdm_release;
GRANT USAGE ON SCHEMA crm TO mdm_release;
GRANT SELECT ON crm.customers TO mdm_release;
\connect trial
CREATE EXTENSION mastering;
GRANT CREATE ON DATABASE trial TO mdm_release;
\connect :here
