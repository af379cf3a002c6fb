-- The sources of doc/environments.md: 3,000 customers of a CRM and 2,000 accounts of a shop, 1,000 people in both; in the shop every
-- twentieth has an initial for a first name, and every tenth another e-mail address. For an empty database with the extension in it; the
-- page's examples go on from here.
CREATE ROLE bi;
CREATE SCHEMA crm;
CREATE SCHEMA shop;
-- No two people have the same name: 7919 is odd, so that each number below 2 ^ 15 comes once.
CREATE TEMPORARY VIEW people AS
SELECT no, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna', 'Ivan', 'Jana', 'Karl', 'Laura', 'Marta', 'Nils', 'Olga', 'Paul'])[1 + name % 16] AS first_name,
       (ARRAY['Alt', 'Berg', 'Eben', 'Feld', 'Gold', 'Hoch', 'Kirch', 'Linden', 'Mittel', 'Neu', 'Ober', 'Rosen', 'Stein', 'Unter', 'Wald', 'Winter'])[1 + name / 16 % 16]
           || (ARRAY['', 'en', 'er', 'el', 'hof', 'hol', 'mar', 'tal'])[1 + name / 256 % 8]
           || (ARRAY['auer', 'bauer', 'egger', 'hofer', 'huber', 'mann', 'meier', 'müller', 'richter', 'roth', 'rieder', 'schmied', 'singer', 'wirt', 'ziegler', 'dorfer'])[1 + name / 2048] AS last_name,
       (ARRAY['Berlin', 'Hamburg', 'Ulm', 'Bremen', 'Köln'])[1 + get_byte(decode(md5(no::text), 'hex'), 0) % 5] AS city
  FROM (SELECT no, no * 7919 % 32768 AS name FROM generate_series(1, 4000) AS no) AS numbered;
CREATE TABLE crm.customers AS
SELECT no AS id, first_name, last_name, lower(first_name) || no || '@example.org' AS email, city FROM people WHERE no <= 3000 ORDER BY no;
CREATE TABLE shop.accounts AS
SELECT no - 2000 AS no, CASE WHEN no % 20 = 7 THEN left(first_name, 1) || '.' ELSE first_name END || ' ' || last_name AS name,
       first_name || CASE WHEN no % 10 = 3 THEN '.' || last_name ELSE no::text END || '@example.org' AS mail, city AS town
  FROM people WHERE no > 2000 ORDER BY no;
