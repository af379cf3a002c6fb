-- The cast and the customers of doc/governance.md: 1,000 records of 700 people in a CRM. For an empty database with the
-- extension in it; the page's examples go on from here.
CREATE ROLE mdm;
CREATE ROLE ada LOGIN;
CREATE ROLE otto LOGIN;
CREATE ROLE rita LOGIN;
CREATE ROLE carl LOGIN;
CREATE SCHEMA crm;
CREATE TABLE crm.customers AS
SELECT (row_number() OVER (ORDER BY copy, person))::int AS id,
       (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Eva', 'Frida', 'Georg', 'Hanna'])[1 + hash[1] % 8]
           || CASE WHEN copy > 0 THEN ' ' || chr(65 + hash[2] % 26) || '.' ELSE '' END || ' '
           || (ARRAY['Neu', 'Alt', 'Ober', 'Unter', 'Stein', 'Wald', 'Berg', 'Linden'])[1 + hash[3] % 8]
           || (ARRAY['bauer', 'hofer', 'mann', 'müller', 'meier', 'wirt', 'egger'])[1 + hash[4] % 7] AS name,
       'c' || person || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + hash[5] % 3] AS city
  FROM generate_series(1, 700) AS person,
       LATERAL (SELECT array_agg(get_byte(decode(md5(person::text), 'hex'), i) ORDER BY i) AS hash FROM generate_series(0, 5) AS i) AS made,
       generate_series(0, 1) AS copy
 WHERE copy = 0 OR person <= 300;
GRANT USAGE ON SCHEMA crm TO mdm, ada, otto;
GRANT SELECT ON crm.customers TO mdm;
