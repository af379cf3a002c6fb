-- What doc/samples.md begins with: an environment prod with 2,300 records of 2,000 people from two sources, mastered, and dev without anything.
-- For an empty database with the extension in it; the page's examples go on from here.
CREATE SCHEMA crm;
CREATE TABLE crm.customers AS
SELECT no AS id, person, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna'])[1 + person % 8] || ' '
           || (ARRAY['Alt', 'Berg', 'Eben', 'Feld', 'Gold', 'Hoch', 'Kirch', 'Linden', 'Neu', 'Ober', 'Rosen', 'Stein', 'Unter', 'Wald', 'Winter'])[1 + person / 8 % 15]
           || (ARRAY['auer', 'bauer', 'egger', 'hofer', 'huber', 'mann', 'meier', 'richter', 'roth', 'schmied', 'singer', 'wirt', 'ziegler', 'dorfer', 'inger', 'ner', 'ler'])[1 + person / 120] AS name,
       CASE WHEN person % 50 > 0 THEN 'c' || person || '@example.org' END AS email,
       CASE WHEN person % 100 = 7 THEN 'LI' WHEN person % 9 < 4 THEN 'DE' WHEN person % 9 < 7 THEN 'AT' ELSE 'CH' END AS country,
       date '1950-01-01' + person * 7919 % 18000 AS birth_date
  FROM generate_series(1, 2300) AS no, LATERAL (SELECT CASE WHEN no > 2000 THEN no - 2000 ELSE no END AS person) AS numbered;
CREATE TABLE crm.partners AS SELECT * FROM crm.customers WHERE id % 400 = 3;
SELECT mastering.create_environment('prod'), mastering.create_environment('dev');
SELECT mastering.define_entity('prod', 'customer', '{"name": "text", "email": "text", "country": "text", "birth_date": "date"}'),
       mastering.map_source('prod', 'customer', 'crm', 'crm.customers', 'id'),
       mastering.map_source('prod', 'customer', 'partners', 'crm.partners', 'id');
SELECT count(*) FROM mastering.load('prod', 'customer');
SELECT mastering.train('prod', 'customer');
SELECT mastering.master('prod', 'customer');
