-- Hashes of rows as they are in memory: the same values give the same, wherever and however they are stored, others do not.
\set SHOW_CONTEXT never
CREATE SCHEMA row_images;
CREATE TABLE row_images.plain (a text, b jsonb, n numeric, i bigint, d date, u uuid, x text[], c name);
ALTER TABLE row_images.plain ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
CREATE TABLE row_images.packed (LIKE row_images.plain);
INSERT INTO row_images.packed SELECT repeat('Name ' || i, 1 + i * i), jsonb_build_object('v', repeat('w' || i, i * 40), 'n', i / 4.0), i / 8.0, i, date '2026-01-01' + i, md5(i::text)::uuid, ARRAY[i::text, NULL], 'c' || i FROM generate_series(1, 60) i;
INSERT INTO row_images.plain SELECT * FROM row_images.packed;
SELECT count(*) AS rows, count(DISTINCT h.hash) AS hashes, bool_and(h.hash = o.hash) AS however_stored
  FROM (SELECT p.i, mastering.row_image_hash(ROW(p.a, p.b, p.n, p.i, p.d, p.u, p.x, p.c)) AS hash FROM row_images.plain p) h
  JOIN (SELECT p.i, mastering.row_image_hash(ROW(p.a, p.b, p.n, p.i, p.d, p.u, p.x, p.c)) AS hash FROM row_images.packed p) o USING (i);
-- What is missing is not what is empty, and where one value ends is not where another could.
SELECT count(*) AS rows, count(DISTINCT mastering.row_image_hash(r)) AS hashes
  FROM (VALUES (ROW(NULL::text, ''::text)), (ROW(''::text, NULL::text)), (ROW(''::text, ''::text)), (ROW(NULL::text, NULL::text)), (ROW('ab'::text, 'c'::text)), (ROW('a'::text, 'bc'::text)), (ROW('abc'::text, ''::text))) v (r);
SELECT mastering.row_image_hash(ROW()) = mastering.row_image_hash(ROW()) AS of_nothing, mastering.row_image_hash(NULL) IS NULL AS no_row, mastering.row_image_hash(ROW(1, 2)) = mastering.row_image_hash(ROW(2, 1)) AS turned;
CREATE ROLE row_images_anybody;
SET ROLE row_images_anybody;
SELECT mastering.row_image_hash(ROW(1));
RESET ROLE;
DROP ROLE row_images_anybody;
DROP SCHEMA row_images CASCADE;
