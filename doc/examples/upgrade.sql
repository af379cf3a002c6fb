-- What doc/upgrade.md begins with: dev, test and prod with 2,000 records of customers, from the table crm.customers. For an empty database with
-- the extension in it; the page's examples go on from here, by a superuser who may log in without a password.
CREATE SCHEMA crm;
CREATE TABLE crm.customers AS
SELECT no AS id, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna'])[1 + person % 8] || ' Muster' || person AS name,
       'c' || person || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + person % 3] AS city
  FROM generate_series(1, 2000) AS no, LATERAL (SELECT CASE WHEN no > 1500 THEN no - 1500 ELSE no END AS person) AS numbered;
SELECT mastering.create_environment('dev'), mastering.create_environment('test', promotes_from => 'dev'), mastering.create_environment('prod', promotes_from => 'test');
SELECT mastering.define_entity('dev', 'customer', '{"name": "text", "email": "text", "city": "text"}'),
       mastering.map_source('dev', 'customer', 'crm', 'crm.customers', 'id');
SELECT count(*) FROM mastering.load('dev', 'customer');
SELECT mastering.train('dev', 'customer');
SELECT mastering.master('dev', 'customer');
SELECT mastering.promote('dev', 'test', 'first release');
SELECT mastering.promote('test', 'prod', 'first release');
