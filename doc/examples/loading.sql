-- What doc/loading.md and doc/schedule.md begin with: 1,000 customers of a CRM, and an environment that has them for a source. For an empty
-- database with the extension in it; the pages' examples go on from here.
CREATE SCHEMA crm;
CREATE TABLE crm.customer (id int PRIMARY KEY, name text, email text, city text, updated_at timestamptz);
INSERT INTO crm.customer
SELECT id, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna'])[1 + id % 8] || ' Muster' || person, 'c' || person || '@example.org',
       (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + person % 3], timestamptz '2026-11-01 08:00+00' + id * interval '1 minute'
  FROM generate_series(1, 1000) AS id, LATERAL (SELECT CASE WHEN id > 800 THEN id - 800 ELSE id END AS person) AS numbered;
CREATE INDEX ON crm.customer (updated_at);
SELECT mastering.create_environment('prod');
SELECT mastering.define_entity('prod', 'customer', '{"name": "text", "email": "text", "city": "text"}'),
       mastering.map_source('prod', 'customer', 'crm', 'crm.customer', 'id');
