-- 10_values.sql: functions on single values. Immutable, strict and parallel safe: usable in any query and
-- any index. They compare characters, in every server encoding, and normalise nothing unless they say so.

-- Text

CREATE FUNCTION mastering.normalize_text(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_normalize_text';
COMMENT ON FUNCTION mastering.normalize_text(text) IS
'The form in which texts are compared: Unicode NFKC and full case folding; other scripts romanised, but Han left as it is; Latin letters without marks, as ASCII; an apostrophe inside a word dropped; every other run of punctuation, symbols and white space one space. Depends on the version of ICU, as collations do: see normalize_versions().';

CREATE FUNCTION mastering.normalize_address(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 15
    AS 'MODULE_PATHNAME', 'mastering_normalize_address';
COMMENT ON FUNCTION mastering.normalize_address(text) IS
'normalize_text with street types, directions, parts of buildings and ordinal numbers abbreviated by a built-in table: "12 North Main Street, Apartment 4" and "12 N. Main St Apt 4" are equal. NULL where nothing is left.';

CREATE FUNCTION mastering.normalize_email(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'mastering_normalize_email';
COMMENT ON FUNCTION mastering.normalize_email(text) IS
'The first e-mail address in a text, in lower case: "Jay Jones <JJones@x.org>" is "jjones@x.org". A text without one stays, in lower case; NULL where it is empty.';

CREATE FUNCTION mastering.personal_email(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'mastering_personal_email';
COMMENT ON FUNCTION mastering.personal_email(text) IS
'The same as normalize_email, but of several addresses the first whose mailbox is no role''s, which several people share: info, sales, postmaster and the like (RFC 2142; a built-in list); NULL where there are others only. Where persons are compared it says nothing of who they are.';

CREATE FUNCTION mastering.email_addresses(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4
    AS 'MODULE_PATHNAME', 'mastering_email_addresses';
COMMENT ON FUNCTION mastering.email_addresses(text) IS
'The e-mail addresses in a text, in the form of normalize_email and in their order, at most 1,024: "Jay Jones <JJones@x.org>; jj@y.org" is {jjones@x.org,jj@y.org}. What stands before the @ may be in quotes, which go where it needs none. Of a text without one, the text in lower case; NULL where it is empty.';

CREATE FUNCTION mastering.normalize_organization(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 15
    AS 'MODULE_PATHNAME', 'mastering_normalize_organization';
COMMENT ON FUNCTION mastering.normalize_organization(text) IS
'normalize_text without legal forms at the end (Inc, Ltd, GmbH, L.L.C. ...) and "the" at the start, and with common words abbreviated: "The Acme Manufacturing Company, Inc." and "ACME Mfg" are equal. A name that is nothing but a legal form stays. NULL where nothing is left.';

CREATE FUNCTION mastering.latin_name(name text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_latin_name';
COMMENT ON FUNCTION mastering.latin_name(text) IS
'A name that is compared with names in Latin letters: Chinese characters as pinyin, and alphabets that normalisation romanises as they are. NULL where the letters do not say how a name is spelt in Latin ones, as those of Arabic, Hebrew, Thai, Korean or Japanese; but a Japanese name in Chinese characters alone is read as a Chinese one.';

CREATE FUNCTION mastering.normalize_phone(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_normalize_phone';
COMMENT ON FUNCTION mastering.normalize_phone(text) IS
'The last nine digits of a telephone number, so that those with and without the country are equal: "+39 0352 655 3537" and "0352 6553537". NULL without a digit.';

CREATE FUNCTION mastering.normalize_versions() RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_normalize_versions';
COMMENT ON FUNCTION mastering.normalize_versions() IS
'The versions of ICU and of Unicode on which normalize_text depends.';

CREATE FUNCTION mastering.qgrams(value text, q integer DEFAULT 3) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_qgrams';
COMMENT ON FUNCTION mastering.qgrams(text, integer) IS
'All substrings of q characters (1 to 8), in order, repeated ones included; a text shorter than q is one gram by itself, an empty text has none.';

CREATE FUNCTION mastering.tokens(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_tokens';
COMMENT ON FUNCTION mastering.tokens(text) IS
'The runs of characters between white space, in order, repeated ones included.';

-- Similarities, from 0 to 1. Two empty texts are equal; an empty one shares nothing with another.

CREATE FUNCTION mastering.jaro_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_jaro_similarity';
COMMENT ON FUNCTION mastering.jaro_similarity(text, text) IS
'Jaro (1989): common characters within a window of half the longer text, less half of those that stand in another order.';

CREATE FUNCTION mastering.jaro_winkler_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_jaro_winkler_similarity';
COMMENT ON FUNCTION mastering.jaro_winkler_similarity(text, text) IS
'Jaro-Winkler (1990): Jaro, raised where it is above 0.7 by a tenth of the rest for each of up to four common leading characters. Suits names of persons.';

CREATE FUNCTION mastering.levenshtein_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_levenshtein_similarity';
COMMENT ON FUNCTION mastering.levenshtein_similarity(text, text) IS
'1 - distance / longer length: insertions, deletions and substitutions, each of one character. Texts of any length.';

CREATE FUNCTION mastering.damerau_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_damerau_similarity';
COMMENT ON FUNCTION mastering.damerau_similarity(text, text) IS
'1 - distance / longer length, where a swap of two neighbouring characters is one step too (optimal string alignment). Texts of any length.';

CREATE FUNCTION mastering.lcs_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_lcs_similarity';
COMMENT ON FUNCTION mastering.lcs_similarity(text, text) IS
'Twice the length of the longest common subsequence over the sum of both lengths.';

CREATE FUNCTION mastering.qgram_similarity(a text, b text, q integer DEFAULT 3, measure text DEFAULT 'dice') RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_qgram_similarity';
COMMENT ON FUNCTION mastering.qgram_similarity(text, text, integer, text) IS
'Common substrings of q characters (1 to 8), counted with repetition and without padding; measure: dice, jaccard, cosine or overlap.';

CREATE FUNCTION mastering.token_similarity(a text, b text, measure text DEFAULT 'jaccard') RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_token_similarity';
COMMENT ON FUNCTION mastering.token_similarity(text, text, text) IS
'Common tokens, each counted once; measure: dice, jaccard, cosine or overlap.';

CREATE FUNCTION mastering.token_sort_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_token_sort_similarity';
COMMENT ON FUNCTION mastering.token_sort_similarity(text, text) IS
'lcs_similarity of the tokens of each text in alphabetical order: the order of words does not matter.';

CREATE FUNCTION mastering.token_set_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_token_set_similarity';
COMMENT ON FUNCTION mastering.token_set_similarity(text, text) IS
'The best lcs_similarity among the common tokens and the common tokens with the rest of either text: 1 where all tokens of one are among those of the other.';

CREATE FUNCTION mastering.monge_elkan_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_monge_elkan_similarity';
COMMENT ON FUNCTION mastering.monge_elkan_similarity(text, text) IS
'Monge and Elkan (1996), made symmetric: the mean over the tokens of each text of the best jaro_winkler_similarity in the other.';

CREATE FUNCTION mastering.initials_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_initials_similarity';
COMMENT ON FUNCTION mastering.initials_similarity(text, text) IS
'The share of tokens, of the longer list, that pair off in order, where two tokens pair off that are equal or of which one is the first letter of the other.';

CREATE FUNCTION mastering.names_similarity(a text, b text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_names_similarity';
COMMENT ON FUNCTION mastering.names_similarity(text, text) IS
'Names of persons, as normalize_text leaves them: words pair off in any order, at 1 where they are equal, 0.93 for a nickname (bob and robert, by a built-in English table), 0.85 for an initial, not at all for another generation (Jr., II, III), else by jaro_winkler_similarity from 0.8 on, or by jaro_similarity where more than two characters differ and neither begins the other (darla and darlene), 0.75 where one that the table has does (anna and annabelle); their sum over the words of the shorter name, and 0.15 for each that the longer one has beyond.';

CREATE FUNCTION mastering.numeric_similarity(a float8, b float8, scale float8) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_numeric_similarity';
COMMENT ON FUNCTION mastering.numeric_similarity(float8, float8, float8) IS
'1 - |a - b| / scale, not below 0; scale is the difference at which nothing is left. NaN is alike to NaN only.';

CREATE FUNCTION mastering.date_similarity(a date, b date) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_date_similarity';
COMMENT ON FUNCTION mastering.date_similarity(date, date) IS
'1 equal; 0.95 day and month swapped; 0.9 one of the eight digits differs, or two neighbours are swapped; 0.8 same year and month, or year and day; 0.7 same month and day, at most ten years apart; else 0.5 less what the days between make of ten years. Infinity is alike to itself only.';

CREATE FUNCTION mastering.geo_similarity(latitude_a float8, longitude_a float8, latitude_b float8, longitude_b float8, scale_km float8) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mastering_geo_similarity';
COMMENT ON FUNCTION mastering.geo_similarity(float8, float8, float8, float8, float8) IS
'1 - great-circle distance / scale_km, not below 0; degrees; scale_km is the distance at which nothing is left. What is no place on earth is alike to nothing.';

-- Phonetic keys. Letters with marks and of other scripts are normalised first; what has no letter has no key.

CREATE FUNCTION mastering.soundex_key(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_soundex_key';
COMMENT ON FUNCTION mastering.soundex_key(text) IS
'American Soundex as the National Archives define it: a letter and three digits. NULL without a letter.';

CREATE FUNCTION mastering.nysiis_key(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_nysiis_key';
COMMENT ON FUNCTION mastering.nysiis_key(text) IS
'NYSIIS (Taft 1970), not truncated. Finer than Soundex, and keeps where vowels stand. NULL without a letter.';

CREATE FUNCTION mastering.double_metaphone_keys(value text, max_length integer DEFAULT 4) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'mastering_double_metaphone_keys';
COMMENT ON FUNCTION mastering.double_metaphone_keys(text, integer) IS
'Double Metaphone (Philips 2000): one key, or two where a name can be said in two ways, of at most max_length (1 to 15) characters; none without a letter. Two names sound alike when they share a key.';

CREATE FUNCTION mastering.cologne_key(value text) RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'mastering_cologne_key';
COMMENT ON FUNCTION mastering.cologne_key(text) IS
'Koelner Phonetik (Postel 1969), for German names: digits, not truncated. NULL without a letter that sounds.';

CREATE FUNCTION mastering.daitch_mokotoff_keys(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_daitch_mokotoff_keys';
COMMENT ON FUNCTION mastering.daitch_mokotoff_keys(text) IS
'Daitch-Mokotoff Soundex (1985), for names of eastern Europe: keys of six digits, one for each way in which the name can be said; none without a letter.';

-- Keys of sets

CREATE FUNCTION mastering.minhash_keys(elements text[], bands integer DEFAULT 16, rows integer DEFAULT 4) RETURNS bigint[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'mastering_minhash_keys';
COMMENT ON FUNCTION mastering.minhash_keys(text[], integer, integer) IS
'One key a band (1 to 256), each made of rows (1 to 16) minima: two sets of Jaccard similarity s share at least one key with probability 1 - (1 - s^rows)^bands. NULL elements and repetition count for nothing; a set of nothing has no key.';
