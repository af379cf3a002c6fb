-- Numbers in a sequence, and those that lie evenly below a highest one, are no amounts, however many lengths they have: half of 20,000
-- row numbers have five digits. Amounts, which are mostly small, are.
CREATE TABLE row_number AS
SELECT 'record ' || i AS id, 'thing ' || md5((i % 9000)::text) AS name, i AS ascending, (20001 - i)::text AS descending, i * 10 AS steps, i * 7919 % 20011 AS shuffled, floor(100 * 1.0004 ^ i)::int AS amount
  FROM generate_series(1, 20000) AS i;
SELECT name, kind FROM mastering.profile('SELECT * FROM row_number');
SELECT COALESCE(c ->> 'name', c ->> 'column') AS name, c ->> 'method' AS method, c -> 'scale' AS scale FROM jsonb_array_elements(mastering.suggest('SELECT * FROM row_number') -> 'comparisons') AS c;
DROP TABLE row_number;
