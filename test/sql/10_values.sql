-- The functions on single values: what they give, for NULL, nothing, any script, and wrong arguments.
SET search_path TO mastering, public;
SET extra_float_digits = 0;

-- Every one is immutable, strict and parallel safe, and says what it does.
SELECT p.proname, p.provolatile, p.proisstrict, p.proparallel
FROM pg_proc p
WHERE p.pronamespace = 'mastering'::regnamespace
  AND p.probin LIKE '%mastering%' AND p.proname <> 'block_keys'
  AND p.proname ~ '_similarity$|_key$|_keys$|^qgrams$|^tokens$|^normalize_text$'
  AND (p.provolatile <> 'i' OR NOT p.proisstrict OR p.proparallel <> 's' OR obj_description(p.oid, 'pg_proc') IS NULL);

-- Similarities, on published pairs
CREATE TEMP TABLE pairs (n int, a text, b text);
INSERT INTO pairs VALUES
    (1, 'MARTHA', 'MARHTA'), (2, 'DIXON', 'DICKSONX'), (3, 'DWAYNE', 'DUANE'), (4, 'kitten', 'sitting'),
    (5, 'CA', 'ABC'), (6, 'night', 'nacht'), (7, 'same', 'same'), (8, '', ''), (9, '', 'x'), (10, ' ', 'x');
SELECT a, b, round(jaro_similarity(a, b)::numeric, 3) AS jaro, round(jaro_winkler_similarity(a, b)::numeric, 3) AS jw,
       round(levenshtein_similarity(a, b)::numeric, 3) AS lev, round(damerau_similarity(a, b)::numeric, 3) AS osa,
       round(lcs_similarity(a, b)::numeric, 3) AS lcs, round(qgram_similarity(a, b)::numeric, 3) AS gram,
       round(qgram_similarity(a, b, 2, 'jaccard')::numeric, 3) AS gram2, round(token_similarity(a, b)::numeric, 3) AS tok
FROM pairs ORDER BY n;

INSERT INTO pairs VALUES
    (20, 'john smith', 'smith john'), (21, 'john smith', 'john smith esq'), (22, 'j r r tolkien', 'john ronald reuel tolkien'),
    (23, 'anna maria', 'maria anna anna'), (24, E'tab\tnew\nline', 'tab new line');
SELECT a, b, round(token_sort_similarity(a, b)::numeric, 3) AS sort, round(token_set_similarity(a, b)::numeric, 3) AS set,
       round(monge_elkan_similarity(a, b)::numeric, 3) AS monge_elkan, round(initials_similarity(a, b)::numeric, 3) AS initials,
       round(token_similarity(a, b, 'dice')::numeric, 3) AS dice, round(token_similarity(a, b, 'cosine')::numeric, 3) AS cosine,
       round(token_similarity(a, b, 'overlap')::numeric, 3) AS overlap
FROM pairs WHERE n >= 20 OR a = '' ORDER BY n;

-- One form of addresses, organisations and telephone numbers.
SELECT v, normalize_address(v), normalize_organization(v), normalize_phone(v)
FROM (VALUES ('12 North Main Street, Apt. #4'), ('12 N. Main St Apartment 4'), ('1st Ave.'), ('First Avenue'), ('The Acme Manufacturing Co., L.L.C.'), ('ACME Mfg'),
    ('Mueller & Soehne GmbH & Co. KG'), ('Foo S.p.A'), ('Limited'), ('+39 0352 655-3537'), ('0352 6553537'), (''), ('--'), (NULL)) AS t(v);

-- Names of persons: nicknames, initials, any order, a middle name that one side lacks; nothing for a longer list of words.
SELECT a, b, round(names_similarity(a, b)::numeric, 3) AS names
FROM (VALUES ('bob', 'robert'), ('peggy', 'margaret'), ('bert', 'albert'), ('bert', 'herbert'), ('bob', 'bill'), ('r', 'robert'), ('r', 'bob'), ('r', 'r'),
    ('john smith', 'smith john'), ('john smith', 'john q smith'), ('j smith', 'john smith'), ('bob smith', 'smith robert'),
    ('mary smith', 'john smith'), ('darla', 'darlene'), ('anna', 'annabelle'), ('john smith ii', 'john smith iii'), ('john smith jr', 'john smith ii'),
    ('mary ann', 'maryann'), ('ann', 'mary ann'), ('', ''), ('', 'x'), ('Bob', 'Robert'), (NULL, 'x'),
    ('a b c d e f g h i', 'a b c d e f g h j')) AS v(a, b);

-- All of them are symmetric, 1 for equal texts, and within bounds.
WITH v AS (
    SELECT p.n, p.a, p.b, f.*
    FROM pairs p, LATERAL (VALUES
        ('jaro', jaro_similarity(a, b), jaro_similarity(b, a), jaro_similarity(a, a)),
        ('jaro_winkler', jaro_winkler_similarity(a, b), jaro_winkler_similarity(b, a), jaro_winkler_similarity(a, a)),
        ('levenshtein', levenshtein_similarity(a, b), levenshtein_similarity(b, a), levenshtein_similarity(a, a)),
        ('damerau', damerau_similarity(a, b), damerau_similarity(b, a), damerau_similarity(a, a)),
        ('lcs', lcs_similarity(a, b), lcs_similarity(b, a), lcs_similarity(a, a)),
        ('qgram', qgram_similarity(a, b), qgram_similarity(b, a), qgram_similarity(a, a)),
        ('token', token_similarity(a, b), token_similarity(b, a), token_similarity(a, a)),
        ('token_sort', token_sort_similarity(a, b), token_sort_similarity(b, a), token_sort_similarity(a, a)),
        ('token_set', token_set_similarity(a, b), token_set_similarity(b, a), token_set_similarity(a, a)),
        ('monge_elkan', monge_elkan_similarity(a, b), monge_elkan_similarity(b, a), monge_elkan_similarity(a, a)),
        ('initials', initials_similarity(a, b), initials_similarity(b, a), initials_similarity(a, a)),
        ('names', names_similarity(a, b), names_similarity(b, a), names_similarity(a, a))
    ) AS f(name, there, back, self))
SELECT count(*) AS compared, count(*) FILTER (WHERE there = back AND self = 1 AND there BETWEEN 0 AND 1) AS sound FROM v;

-- Characters, not bytes
SELECT levenshtein_similarity('é', 'e') AS one, levenshtein_similarity('naïve', 'naive') AS five,
       levenshtein_similarity('Ёлка', 'елка') AS cyrillic, levenshtein_similarity('😀😁', '😀😂') AS emoji,
       levenshtein_similarity(U&'e\0301', 'e') AS combining, damerau_similarity('東京', '京東') AS han,
       lcs_similarity('αβγδ', 'αγδ') AS greek, jaro_similarity('ÿ', U&'\0100') AS neighbours;

-- NULL in, NULL out
SELECT num_nulls(jaro_similarity(NULL, 'a'), jaro_winkler_similarity('a', NULL), levenshtein_similarity(NULL, 'a'),
    damerau_similarity(NULL, 'a'), lcs_similarity(NULL, 'a'), qgram_similarity('a', NULL), qgram_similarity('a', 'a', NULL),
    token_similarity('a', 'a', NULL), token_sort_similarity('a', NULL), token_set_similarity(NULL, 'a'),
    monge_elkan_similarity(NULL, 'a'), initials_similarity('a', NULL), numeric_similarity(1, 2, NULL),
    date_similarity(NULL, '2000-01-01'), geo_similarity(0, 0, 0, NULL, 1), soundex_key(NULL), nysiis_key(NULL),
    double_metaphone_keys(NULL), cologne_key(NULL), daitch_mokotoff_keys(NULL), minhash_keys(NULL), qgrams(NULL), tokens(NULL), normalize_text(NULL)) AS nulls;

-- Numbers, dates, places
SELECT numeric_similarity(1, 2, 4), numeric_similarity(1, 9, 4), numeric_similarity('nan', 'nan', 1),
       numeric_similarity('nan', 1, 1), numeric_similarity('inf', 'inf', 1), numeric_similarity(10.5::numeric, 11, 2);
SELECT a, b, round(date_similarity(a, b)::numeric, 4) FROM (VALUES
    (date '1980-03-05', date '1980-03-05'), ('1980-03-05', '1980-05-03'), ('1980-03-05', '1980-03-15'),
    ('1978-03-12', '1987-03-12'), ('1980-01-31', '1980-01-05'), ('1989-05-20', '1991-05-20'),
    ('1980-01-31', '1979-12-05'), ('1980-01-31', '1880-12-05'), ('infinity', 'infinity'), ('infinity', '2000-01-01'),
    ('-infinity', 'infinity'), ('0044-03-15 BC', '0044-03-15 BC'), ('0044-03-15 BC', '0043-03-15 BC'),
    ('5874897-12-31', '4713-01-01 BC')) AS t(a, b);
SELECT round(geo_similarity(52.52, 13.405, 48.8566, 2.3522, 2000)::numeric, 6) AS berlin_paris,
       geo_similarity(0, 0, 0, 0, 1) AS here, geo_similarity(91, 0, 91, 0, 1) AS nowhere,
       round(geo_similarity(0, 179.9, 0, -179.9, 100)::numeric, 4) AS date_line;

-- Keys
SELECT w, soundex_key(w), nysiis_key(w), double_metaphone_keys(w), double_metaphone_keys(w, 10) AS longer
FROM unnest(ARRAY['Tymczak', 'San Jacinto', 'Pfister', 'Ashcraft', 'Smith', 'Schmidt', 'Müller', 'Łukasiewicz', 'Иванов', 'O''Hara', '123', '']) AS w;

SELECT w, cologne_key(w), daitch_mokotoff_keys(w) FROM unnest(ARRAY['Müller-Lüdenscheidt', 'Wikipedia', 'Weiß', 'Weis', 'Auerbach', 'H', '1', '']) AS w;
SELECT minhash_keys('{a,b,c}', 2, 2) = minhash_keys('{c,NULL,a,b,b}', 2, 2) AS same_set, cardinality(minhash_keys('{a}')) AS bands,
       minhash_keys('{}'), minhash_keys('{NULL}'), minhash_keys('{a}', 1, 1) = minhash_keys('{b}', 1, 1) AS other_set,
       minhash_keys('{a,b,c}', 2, 2) AS keys;

-- Pieces
SELECT qgrams('night', 2), qgrams('aaa', 2), qgrams('ab'), qgrams(''), qgrams('çñ東😀', 2);
SELECT tokens(E'  a bb\ta  '), tokens(''), tokens('   '), tokens(U&'a\00A0b\3000c'), tokens('Ü é');

-- Normalisation
SELECT v, normalize_text(v) FROM (VALUES
    (''), ('   '), ('abc'), ('  A  B  '), ('O''Neil'), ('''tis o''''neil dogs'' bowl'), ('O’Neil O´Neil O`Neil'),
    ('Straße, Łódź & Søn'), ('ﬁne ＡＢＣ１２３ №5 ™'), (U&'e\0301\0327 e\0301'), ('Ἀριστοτέλης'), ('Иван Чехов'), ('田中さくら'),
    ('王小明'), ('김철수'), ('محمد'), ('שלום'), ('👍 ok 👍'), (U&'soft\00ADhyphen zero\200Dwidth'), ('IJsselmeer ĳ'), ('İstanbul ısı'),
    ('a--b__c//d'), (E'line\nfeed\r\x01end'), ('x²'), ('Ærøskøbing Þór')) AS t(v);
-- ASCII is told the same by either way through: a Cyrillic letter sends a word through ICU.
SELECT count(*) AS texts, count(*) FILTER (WHERE normalize_text(t || 'a') = normalize_text(t || 'а')) AS agree
FROM (SELECT chr(i) || 'x' || chr(j) || 'Y' || chr(i) || chr(j) AS t
      FROM generate_series(1, 127) AS i, generate_series(1, 127) AS j) AS s;
-- Letters that go by the table are told the same by ICU.
SELECT count(*) AS texts, count(*) FILTER (WHERE normalize_text(t || 'a') = normalize_text(t || 'а')) AS agree
FROM (SELECT 'x' || chr(c) || 'z' || chr(c) AS t
      FROM (SELECT generate_series(128, 591) UNION SELECT generate_series(7680, 7935) UNION SELECT generate_series(8192, 8303)) AS r(c)) AS s;
-- Normalising twice changes nothing.
SELECT count(*) AS texts, count(*) FILTER (WHERE normalize_text(normalize_text(t)) = normalize_text(t)) AS stable
FROM (SELECT 'a' || chr(c) || 'b' AS t FROM generate_series(32, 55295) AS c) AS s;

-- Wrong arguments
SELECT qgram_similarity('a', 'b', 0);
SELECT qgram_similarity('a', 'b', 9);
SELECT qgram_similarity('a', 'b', 2, 'euclid');
SELECT token_similarity('a', 'b', '');
SELECT qgrams('a', -1);
SELECT numeric_similarity(1, 2, 0);
SELECT numeric_similarity(1, 2, 'nan');
SELECT geo_similarity(0, 0, 0, 0, -1);
SELECT double_metaphone_keys('a', 16);

SELECT minhash_keys('{a}', 0, 1);
SELECT minhash_keys('{a}', 1, 17);

-- Long texts: compared, and cancelled.
SELECT levenshtein_similarity(repeat('a', 100000), repeat('a', 99999) || 'b') = 1 - 1 / 100000.0::float8 AS long_pair;
SELECT round(jaro_similarity(repeat('ab', 1000000), repeat('ba', 1000000))::numeric, 6) AS million;
SELECT length(normalize_text(repeat('Ärger ', 1000000))) AS millions;
SELECT length(normalize_text(repeat('Ж', 100000))) AS one_word;
SET statement_timeout = '200ms';
SELECT levenshtein_similarity(repeat('ab', 5000000), repeat('cde', 5000000));
SELECT damerau_similarity(repeat('ab', 5000000), repeat('cde', 5000000));
SELECT lcs_similarity(repeat('ab', 5000000), repeat('cde', 5000000));
SELECT monge_elkan_similarity(repeat('abcdef ghijk ', 500000), repeat('cd ef gh ij ', 500000));
SELECT length(normalize_text(repeat('Жук ', 5000000)));
RESET statement_timeout;
