-- The table of doc/engine.md: 5,000 records of 4,000 people. For an empty database with the extension in it.
CREATE TABLE people AS
SELECT no AS id, (ARRAY['Anna', 'Bruno', 'Clara', 'David', 'Elena', 'Frida', 'Georg', 'Hanna'])[1 + person % 8] || ' Muster' || person AS name,
       (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + person % 3] AS city, date '1950-01-01' + person * 7919 % 18000 AS born
  FROM generate_series(1, 5000) AS no, LATERAL (SELECT CASE WHEN no > 4000 THEN no - 4000 ELSE no END AS person) AS numbered;
