-- Masks of single values: the form stays, equal stays equal, different stays different, and without the key nothing is known.
SET search_path = mastering, public;
\set key '''0123456789abcdef''::bytea'
SELECT v, mask_format(v, :key) ~ f AS keeps_its_form, mask_format(v, :key) <> v AS differs, length(mask_format(v, :key)) = length(v) AS same_length
  FROM (VALUES ('Anna Schmidt', '^[A-Z][a-z]{3} [A-Z][a-z]{6}$'), ('a.b-c@x1.org', '^[a-z]\.[a-z]-[a-z]@[a-z][0-9]\.[a-z]{3}$'), ('+49 (0)30 123456-78', '^\+[0-9]{2} \([0-9]\)[0-9]{2} [0-9]{6}-[0-9]{2}$'), ('DE89 3704', '^[A-Z]{2}[0-9]{2} [0-9]{4}$'),
               ('MÜLLER', '^[A-Z][À-Þ][A-Z]{4}$'), ('Привет', '^[А-Я][а-я]{5}$'), ('日本', '^[一-龥]{2}$')) x (v, f);
SELECT mask_format('', :key) = '' AS empty, mask_format(' -- ', :key) = ' -- ' AS no_letter, mask_format(NULL, :key) IS NULL AS none, mask_format('a1', :key, false) ~ '^a[0-9]$' AS digits_only;
SELECT count(*) AS values, count(DISTINCT mask_format(i::text, :key)) AS texts, count(DISTINCT mask_number(i, :key)) AS numbers, count(DISTINCT mask_number(i, :key, 100000)) AS up_to_a_limit, count(DISTINCT mask_hash(i::text, :key)) AS hashes FROM generate_series(1, 20000) i;
SELECT count(DISTINCT mask_date(DATE '1960-01-01' + i, :key)) AS days, count(*) FILTER (WHERE extract(year FROM mask_date(DATE '1960-01-01' + i, :key)) <> extract(year FROM DATE '1960-01-01' + i)) AS of_another_year FROM generate_series(0, 9999) i;
SELECT mask_date('infinity', :key), extract(year FROM mask_date('0044-03-15 BC', :key)) AS year, mask_number(-9223372036854775808, :key), mask_number(9223372036854775807, :key) > 999999999999999999 AS as_long, mask_number(0, :key) BETWEEN 0 AND 9 AS one_digit, mask_number(-77, :key) BETWEEN -99 AND -10 AS negative;
SELECT mask_format('Anna', :key) = mask_format('Anna', '0123456789abcdeF') AS same_under_another_key, lower(mask_format('ANNA schmidt', :key)) = lower(mask_format('Anna', :key) || ' ' || mask_format('Schmidt', :key)) AS word_by_word;
SELECT mask_format('Anna', 'short');
SELECT mask_hash('Anna', '');

-- Characters, not bytes, in other encodings, and never a failure for what a text contains. One character has one hash.
SELECT current_database() AS home \gset
SELECT mask_hash('Müller', :key) AS hash \gset
CREATE DATABASE mask_latin2 ENCODING 'LATIN2' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mask_euc_jp ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mask_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mask_mule ENCODING 'MULE_INTERNAL' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\connect -reuse-previous=on "dbname=mask_latin2 client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SELECT mastering.mask_format(E'\xa3\xf3d\xbc 9', :key) ~ '^[a-z]{4} [0-9]$' AS letters, mastering.mask_hash(E'M\xfcller', :key) = :'hash' AS same_hash;
\connect -reuse-previous=on "dbname=mask_euc_jp client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SELECT mastering.mask_format(E'\xa5\xc6\xa5\xb9\xa5\xc8 1', :key) ~ '^[a-z]{3} [0-9]$' AS letters;
\connect -reuse-previous=on "dbname=mask_ascii client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SELECT mastering.mask_format(E'M\xfc\xff 1', :key) ~ '^[A-Z][a-z]{2} [0-9]$' AS letters, mastering.mask_format(E'\xff1', :key, false) ~ E'^\xff[0-9]$' AS digits, mastering.mask_hash(E'\xff', :key) ~ '^[0-9a-f]{32}$' AS hash;
\connect -reuse-previous=on "dbname=mask_mule client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SELECT mastering.mask_format(E'M\x81\xfc 1', :key) ~ '^[A-Z][a-z]{2} [0-9]$' AS letters;
\connect -reuse-previous=on :home
DROP DATABASE mask_latin2;
DROP DATABASE mask_euc_jp;
DROP DATABASE mask_ascii;
DROP DATABASE mask_mule;
-- A long text and a limit that hardly a number stays below: a cancel is answered. The first year of dates begins late.
SET search_path = mastering, public;
SET statement_timeout = '200ms';
SELECT length(mask_format(repeat('abcdefgh12', 1000000), :key));
SELECT mask_number(1000000000000000000, :key, 1000000000000000001);
RESET statement_timeout;
SELECT mask_date('4714-11-24 BC', :key) BETWEEN '4714-11-24 BC' AND '4714-12-31 BC' AS is_a_date;
