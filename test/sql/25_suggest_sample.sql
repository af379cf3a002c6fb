-- What suggest and profile look at is bounded in bytes: of long texts a sample, the same in any order of the records and whatever
-- mastering.work_mem.
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE TABLE sampled_texts AS
SELECT no AS id, 'maker ' || no % 400 AS maker, CASE WHEN no % 4 > 0 THEN 'owner ' || no / 2 END AS owner,
       repeat(md5('a' || no) || ' ', 40) AS a, repeat(md5('b' || no) || ' ', 40) AS b, repeat(md5('c' || no) || ' ', 40) AS c, repeat(md5('d' || no) || ' ', 140) AS d
FROM generate_series(1, 40000) AS no;
-- What the process has of its own, at its most; less is shared than at the end.
CREATE FUNCTION sampled_megabytes() RETURNS int LANGUAGE sql AS $$
    SELECT (substring(status FROM 'VmHWM:\s+(\d+)')::int - substring(status FROM 'RssShmem:\s+(\d+)')::int) / 1024 FROM pg_read_file('/proc/self/status') AS status
$$;
SELECT mastering.suggest('SELECT id, maker, owner FROM sampled_texts') AS of_all \gset
\c -
\set VERBOSITY terse
SET client_min_messages = error;
SET mastering.work_mem = '16MB';
SELECT mastering.suggest('SELECT * FROM sampled_texts') AS suggested \gset
SELECT sampled_megabytes() < 170 AS little;
\c -
\set VERBOSITY terse
SET client_min_messages = error;
SELECT name, kind, records, nulls BETWEEN 9500 AND 10500 AS nulls, distinct_values BETWEEN 17000 AND 23000 AS about_20000, mean_length::int, longest
FROM mastering.profile('SELECT * FROM sampled_texts WHERE id > 0');
SELECT sampled_megabytes() < 170 AS little;
-- In another order, with more memory, with other ids than integers.
SET mastering.work_mem = '1GB';
SELECT mastering.suggest('SELECT * FROM sampled_texts ORDER BY a') = :'suggested' AS same_in_any_order;
SELECT mastering.suggest('SELECT id::text AS id, maker, owner, a, b, c, d FROM sampled_texts ORDER BY b') = :'suggested' AS same_of_texts;
SELECT md5(concat_ws(',', records, nulls, distinct_values, mean_length, equal_share)) AS profiled FROM mastering.profile('SELECT * FROM sampled_texts') WHERE name = 'owner' \gset
SELECT md5(concat_ws(',', records, nulls, distinct_values, mean_length, equal_share)) = :'profiled' AS same_profile FROM mastering.profile('SELECT * FROM sampled_texts ORDER BY c') WHERE name = 'owner';
-- Pairs are those of all records: owners give 10,000, 400 makers 2 million, more than 30 a record, of which in the sample there are
-- 6 a record.
SELECT jsonb_path_query(:'suggested', '$.blocking[*] ? (!exists(@.top_k)).keys') AS keys;
SELECT jsonb_path_query(:'of_all', '$.blocking[*] ? (!exists(@.top_k)).keys') AS keys_of_few_columns;
-- Copies are met as often as among all records, also where their ids follow each other.
SELECT round(equal_share::numeric * 30000 * 30000 / 2, -4) AS equal_pairs FROM mastering.profile('SELECT * FROM sampled_texts') WHERE name = 'owner';
-- All that fits is looked at.
RESET client_min_messages;
SELECT name, records, distinct_values FROM mastering.profile('SELECT id, maker, owner FROM sampled_texts');
SELECT name, records > distinct_values AS records_are_all FROM mastering.profile('SELECT id, d FROM sampled_texts');
DROP TABLE sampled_texts;
DROP FUNCTION sampled_megabytes;
-- Which values are told as the most frequent, and whether a column holds quantities, depends on what they are, and not on the order in which
-- they are met: of many different ones some are looked at.
CREATE TABLE sampled_order AS
SELECT no AS id, 'color ' || no % 300 AS color, CASE no % 3 WHEN 1 THEN no || ' kg' ELSE 'item ' || no END AS weight FROM generate_series(1, 10000) AS no;
SELECT name, top_values FROM mastering.profile('SELECT id, color FROM sampled_order ORDER BY id');
SELECT name, top_values FROM mastering.profile('SELECT id, color FROM sampled_order ORDER BY id DESC');
SELECT name, kind FROM mastering.profile('SELECT id, weight FROM sampled_order ORDER BY id');
SELECT name, kind FROM mastering.profile('SELECT id, weight FROM sampled_order ORDER BY id % 3 = 1, id');
DROP TABLE sampled_order;
