-- What a text means hangs on no setting of the session: neither when it is checked nor when it is run.
-- In a database of its own: what it makes is not for other tests.
SELECT current_database() AS home \gset
CREATE DATABASE session_settings;
\c session_settings
CREATE EXTENSION mastering;
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE ROLE ss_loader;
CREATE SCHEMA ss;
CREATE TABLE ss.people AS SELECT i AS id, format('+49 (%s) %s-%s', 100 + i % 5, i, i) AS phone FROM generate_series(1, 20) i;
CREATE TABLE ss.secret AS SELECT 'secret' AS word;
SET search_path = mastering, pg_catalog;
SELECT create_environment('ss1'), grant_role('ss1', 'loader', 'ss_loader');
SELECT define_entity('ss1', 'p', '{"phone": "text"}'), map_source('ss1', 'p', 'crm', 'ss.people', 'id', '{"phone": "regexp_replace(phone, ''\\D'', '''', ''g'')"}'),
       set_blocking('ss1', 'p', '["phone"]'), set_comparisons('ss1', 'p', '[{"column": "phone", "method": "exact"}]');
SELECT change FROM load('ss1', 'p');
SELECT train('ss1', 'p') IS NOT NULL AS trained;
INSERT INTO ss.people VALUES (21, '+49 (100) 21-21'), (22, 'DD 49 (100) 22-22');
-- A loader's session maps records as everybody's does.
SET ROLE ss_loader;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET transform_null_equals = on;
SET array_nulls = off;
SET quote_all_identifiers = on;
SELECT change, inserted FROM load('ss1', 'p');
SELECT master('ss1', 'p') -> 'records' AS records;
RESET ROLE;
SELECT record_key, phone FROM ss1.p_records WHERE record_key::int > 20 ORDER BY 1;
-- What the caller has set stays set.
SHOW standard_conforming_strings;
SHOW quote_all_identifiers;
-- One string here, a string and a subquery where it would be run.
SELECT is_expression($$'\' || (SELECT word FROM ss.secret) --'$$) AS here;
SELECT map_source('ss1', 'p', 'web', 'ss.people', 'id', json_build_object('phone', $$'\' || (SELECT word FROM ss.secret) --'$$));
-- After an error as well.
SHOW standard_conforming_strings;
RESET standard_conforming_strings;
RESET transform_null_equals; RESET array_nulls; RESET quote_all_identifiers;
-- Keys are written by whoever compacts, and found again by whoever looks up or runs.
CREATE TABLE ss.dated AS SELECT i AS id, 'First' || i % 20 || ' Last' || i % 45 AS name, '1960-01-13'::date + i % 45 AS born FROM generate_series(1, 200) i;
SELECT define_entity('ss1', 'd', '{"name": "text", "born": "date"}'), map_source('ss1', 'd', 'a', 'ss.dated', 'id'),
       set_blocking('ss1', 'd', '[{"keys": ["born::text"]}]'), set_comparisons('ss1', 'd', '[{"column": "name", "method": "exact"}, {"column": "born", "method": "exact"}]');
SELECT change FROM load('ss1', 'd');
SELECT train('ss1', 'd') IS NOT NULL AS trained;
SELECT master('ss1', 'd') -> 'records' AS records;
DELETE FROM ss.dated WHERE id % 20 = 0;
INSERT INTO ss.dated VALUES (900, 'x', '1980-01-01');
SELECT change FROM load('ss1', 'd');
SELECT master('ss1', 'd') -> 'records' AS records;
SET DateStyle = 'German';
SELECT count(*) > 0 AS compacted FROM compact('ss1', 'd', everything => true) c WHERE c.name = 'd_records';
RESET DateStyle;
SELECT count(*) > 0 AS found FROM lookup('ss1', 'd', '{"name": "First5 Last5", "born": "1960-01-18"}');
INSERT INTO ss.dated VALUES (1001, 'First5 Last5', '1960-01-18');
SELECT change FROM load('ss1', 'd');
SELECT master('ss1', 'd') #>> '{how,run}' AS run;
SELECT count(DISTINCT m.cluster_id) AS clusters FROM ss1.d_members m WHERE m.record_key IN ('5', '1001');
-- Nor do words, sums, names of months and of zones and XML hang on the session of whoever loads, masters or looks at what a source gives.
CREATE TABLE ss.texts AS SELECT i AS id, 'the running dogs'::text AS words, 12.5::numeric AS amount FROM generate_series(1, 2) i;
SELECT define_entity('ss1', 't', '{"stems": "text", "locales": "text", "bytes": "text", "moment": "timestamptz"}'),
       map_source('ss1', 't', 'a', 'ss.texts', 'id', '{"stems": "to_tsvector(words)::text", "locales": "concat_ws('' '', current_setting(''lc_monetary''), current_setting(''lc_numeric''), current_setting(''lc_time''))", "bytes": "xmlelement(name b, ''a''::bytea)::text", "moment": "CAST(''2020-01-01 10:00 EST'' AS timestamptz)"}'),
       set_blocking('ss1', 't', '["stems"]'), set_comparisons('ss1', 't', '[{"column": "stems", "method": "exact"}]');
SELECT change FROM load('ss1', 't');
SELECT train('ss1', 't') IS NOT NULL AS trained;
SELECT master('ss1', 't') -> 'records' AS records;
INSERT INTO ss.texts VALUES (3, 'the running dogs', 12.5);
SELECT change FROM load('ss1', 't');
SET default_text_search_config = 'pg_catalog.english';
SET lc_monetary = 'POSIX'; SET lc_numeric = 'POSIX'; SET lc_time = 'POSIX';
SET xmlbinary = 'hex'; SET xmloption = 'document'; SET timezone_abbreviations = 'Australia';
SELECT master('ss1', 't') -> 'records' AS records;
SELECT record_key, stems, locales, bytes, moment = '2020-01-01 15:00:00+00' AS moment FROM ss1.t_records ORDER BY 1;
SELECT current_setting('lc_time') AS mine, current_setting('default_text_search_config') AS mine_too;
RESET default_text_search_config; RESET lc_monetary; RESET lc_numeric; RESET lc_time; RESET xmlbinary; RESET xmloption; RESET timezone_abbreviations;
\c :home
DROP DATABASE session_settings;
DROP ROLE ss_loader;
