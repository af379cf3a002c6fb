-- The value functions in databases of other encodings: characters, not bytes; and never a failure for what a
-- text contains. Bytes are written and read as they are.
SELECT current_database() AS here \gset
CREATE DATABASE mastering_latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mastering_latin2 ENCODING 'LATIN2' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mastering_koi8r ENCODING 'KOI8R' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mastering_euc_jp ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mastering_euc_kr ENCODING 'EUC_KR' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mastering_sql_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE mastering_mule ENCODING 'MULE_INTERNAL' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;

\connect -reuse-previous=on "dbname=mastering_latin1 client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
-- é, ß, ø
SELECT levenshtein_similarity(E'caf\xe9', 'cafe') AS one_of_four, normalize_text(E'Caf\xe9 Stra\xdfe S\xf8n') AS normal,
       cardinality(qgrams(E'\xe9\xdf\xf8', 2)) AS grams, soundex_key(E'M\xfcller') AS soundex,
       cardinality(tokens(E'a\xa0\xe9')) AS tokens;

\connect -reuse-previous=on "dbname=mastering_latin2 client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
-- Łódź
SELECT levenshtein_similarity(E'\xa3\xf3d\xbc', E'\xa3\xf3d\xba') AS one_of_four, normalize_text(E'\xa3\xf3d\xbc') AS normal,
       cardinality(qgrams(E'\xa3\xf3d\xbc', 1)) AS grams;

\connect -reuse-previous=on "dbname=mastering_koi8r client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
-- Иван
SELECT levenshtein_similarity(E'\xe9\xd7\xc1\xce', E'\xc9\xd7\xc1\xce') AS one_of_four, normalize_text(E'\xe9\xd7\xc1\xce') AS normal;

\connect -reuse-previous=on "dbname=mastering_euc_jp client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
-- さくら, an ideographic space, 東京; and a character of the third plane that nothing converts
SELECT levenshtein_similarity(E'\xa4\xb5\xa4\xaf\xa4\xe9', E'\xa4\xb5\xa4\xaf\xa4\xea') AS one_of_three,
       normalize_text(E'\xa4\xb5\xa4\xaf\xa4\xe9') AS normal, cardinality(tokens(E'\xa4\xb5\xa1\xa1\xc5\xec')) AS tokens,
       cardinality(qgrams(E'\xa4\xb5\xa4\xaf\xa4\xe9', 2)) AS grams,
       normalize_text(E'\xa3\xc1\xa3\xb1') AS full_width,
       encode(convert_to(normalize_text(E'\xc5\xec\xb5\xfeX'), 'EUC_JP'), 'escape') AS han;
SELECT levenshtein_similarity(E'a\x8f\xfe\xfeb', E'a\x8f\xfe\xfdb') BETWEEN 0 AND 1 AS unconverted,
       normalize_text(E'a\x8f\xfe\xfeb') IS NOT NULL AS normal;
SELECT levenshtein_similarity(repeat(E'\xa4\xb5', 30000), repeat(E'\xa4\xb5', 29999) || E'\xa4\xaf') > 0.9999 AS long;

\connect -reuse-previous=on "dbname=mastering_euc_kr client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
SELECT levenshtein_similarity(E'\xb0\xa1\xb0\xa2', E'\xb0\xa1\xb0\xa3') AS one_of_two, normalize_text(E'\xb0\xa1') AS normal;

\connect -reuse-previous=on "dbname=mastering_sql_ascii client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
-- é as UTF-8, é as Latin-1, and both in one text, which is then Latin-1
SELECT levenshtein_similarity(E'caf\xc3\xa9', 'cafe') AS utf8, normalize_text(E'Caf\xc3\xa9') AS utf8_normal,
       levenshtein_similarity(E'caf\xe9', 'cafe') AS latin1, normalize_text(E'Caf\xe9') AS latin1_normal,
       levenshtein_similarity(E'\xe9\xc3\xa9', E'\xe9') AS mixed, cardinality(qgrams(E'\xc3\xa9\xc3\xa9', 1)) AS utf8_grams,
       cardinality(qgrams(E'\xe9\xc3\xa9', 1)) AS mixed_grams;
-- Every byte there is.
SELECT count(normalize_text(chr(i))), count(qgrams(chr(i))), count(tokens(chr(i))), sum(jaro_similarity(chr(i), chr(i)))
FROM generate_series(1, 255) AS i;

\connect -reuse-previous=on "dbname=mastering_mule client_encoding=SQL_ASCII"
CREATE EXTENSION mastering;
SET search_path TO mastering, public;
-- Characters of two and of three bytes: compared, and kept by normalisation.
SELECT levenshtein_similarity(E'a\x81\xe9b', E'a\x81\xe8b') AS one_of_three,
       levenshtein_similarity(E'\x92\xa4\xb5\x92\xa4\xaf', E'\x92\xa4\xb5') AS half,
       encode(convert_to(normalize_text(E'A\x81\xe9  \x92\xa4\xb5!'), 'MULE_INTERNAL'), 'escape') AS normal,
       cardinality(qgrams(E'\x92\xa4\xb5\x92\xa4\xaf', 1)) AS grams;

\connect :here
DROP DATABASE mastering_latin1;
DROP DATABASE mastering_latin2;
DROP DATABASE mastering_koi8r;
DROP DATABASE mastering_euc_jp;
DROP DATABASE mastering_euc_kr;
DROP DATABASE mastering_sql_ascii;
DROP DATABASE mastering_mule;
