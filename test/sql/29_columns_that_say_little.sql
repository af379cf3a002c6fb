-- Columns that say less than they seem to: whole names that are half the same, where a record is from, what kind of thing it is of, mailboxes of roles.
-- Made up, so what is right is known.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA little;
SET search_path = little, mastering;
\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
\set slips :source '/include/slips.sql'
\i :slips
CREATE FUNCTION f1(query text, truth text) RETURNS float8 LANGUAGE sql AS $$
SELECT value FROM evaluate_clusters(format('SELECT id, cluster_id FROM mastering.dedupe(%L)', query), truth) WHERE metric = 'pair_f1' $$;

-- ---- an address book of families, in which one person in twenty is twice ----
-- Whole names of two people of one home are half the same: EM took families for persons, with an F1 of 0.13.
CREATE TABLE persons AS
SELECT home, home * 5 + member AS thing,
    (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Catherine', 'Thomas', 'Jennifer', 'Charles', 'Linda', 'George', 'Barbara',
        'Daniel', 'Nancy', 'Matthew', 'Karen', 'Anthony', 'Betty', 'Steven', 'Sandra', 'Andrew', 'Ashley', 'Joshua', 'Donna', 'Kenneth', 'Emily', 'Brian', 'Carol', 'Kevin'])[1 + skewed('g' || home || member, 32)] AS given,
    initcap(word('s' || home)) AS surname, pick('n' || home, 190) || ' ' || initcap(word('t' || home)) || ' Street' AS street, 10000 + 37 * pick('z' || home, 300) AS postcode, '0' || 200000000 + pick('f' || home, 90000000) AS phone
FROM generate_series(1, 800) AS home, generate_series(0, 2) AS member WHERE member <= pick('k' || home, 3);
CREATE TABLE book AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, thing, slip(given, 'g' || thing || copy, 8) || ' ' || slip(surname, 'n' || thing || copy, 8) AS name,
    CASE WHEN pick('st' || thing || copy, 4) > 0 THEN slip(street, 't' || thing || copy, 8) END AS street, postcode, CASE WHEN pick('p' || thing || copy, 3) > 0 THEN phone END AS phone,
    CASE WHEN pick('m' || thing || copy, 4) > 0 THEN lower(given || '.' || surname) || pick('e' || thing || pick('x' || copy || thing, 2), 90) || '@example.' || (ARRAY['org', 'com', 'net'])[1 + pick('d' || thing, 3)] END AS email
FROM persons, generate_series(0, 1) AS copy WHERE copy = 0 OR pick('c' || thing, 20) = 0;
SELECT f1('SELECT id, name, street, postcode, phone, email FROM little.book', 'SELECT id, thing AS entity_id FROM little.book') > 0.6 AS told_apart;
SELECT facts ~ ' 15 % learnt' AS hardly_learnt FROM last_run() WHERE phase = 'expected';

-- ---- where a record is from ----
-- Each vendor has a thing once, so that what is equal in name differs in vendor: agreement in it is no mark of matches. There were none.
CREATE TABLE catalog AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || vendor))::int AS id, thing, slip(initcap(word('a' || thing)) || word('b' || thing) || CASE pick('salt' || thing, 3) WHEN 0 THEN ' sodium' ELSE '' END, thing || vendor, 10) AS name, vendor
FROM generate_series(1, 900) AS thing, unnest(ARRAY['Acme', 'Borealis', 'Celler', 'Dorn']) AS vendor WHERE pick('has' || thing || vendor, 5) < 2;
SELECT jsonb_path_query_array(suggest('SELECT id, name, vendor FROM catalog'), '$.comparisons[*].column') AS compared;
SELECT f1('SELECT id, name, vendor FROM little.catalog', 'SELECT id, thing AS entity_id FROM little.catalog') > 0.7 AS found;
-- A kind that copies have in common is compared; so it is where there is more to go by, and beside a column of sources.
SELECT jsonb_path_query_array(suggest('SELECT id, name, ''kind '' || thing % 5 AS kind FROM catalog'), '$.comparisons[*].column') AS with_a_kind,
    jsonb_path_query_array(suggest('SELECT id, name, vendor, thing % 90 AS weight FROM catalog'), '$.comparisons[*].column') AS with_more,
    jsonb_path_query_array(suggest('SELECT id, vendor AS source, name, CASE vendor WHEN ''Acme'' THEN ''here'' WHEN ''Dorn'' THEN ''there'' ELSE ''elsewhere'' END AS place FROM catalog'), '$.comparisons[*].column') AS with_sources;
SELECT jsonb_path_query_array(suggest('SELECT id, name, vendor FROM catalog LIMIT ' || n), '$.comparisons[*].column') AS compared FROM (VALUES (0), (1), (2), (20)) AS counts (n);

-- However often each is listed: two, three and all four list everything.
CREATE TABLE listed AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || vendor))::int AS id, thing, place, concat_ws(' ', word('a' || thing), word('b' || thing), word('c' || thing)) AS title, vendor
FROM generate_series(1, 300) AS thing, LATERAL (SELECT v AS vendor, row_number() OVER (ORDER BY md5(v || thing)) AS place FROM unnest(ARRAY['acme', 'bolt', 'core', 'dyne']) AS v) AS vendors;
SELECT listings, f1('SELECT id, title, vendor FROM little.listed WHERE place <= ' || listings, 'SELECT id, thing AS entity_id FROM little.listed WHERE place <= ' || listings) > 0.9 AS found FROM generate_series(2, 4) AS listings;

-- ---- categories beside one name ----
-- The text of the whole record would make sets of one theme alike. Beside two columns that tell things apart it is one.
CREATE VIEW sets AS SELECT id, thing, name || ' ' || word('c' || thing) AS name, 'Theme of ' || initcap(word('t' || thing % 90)) AS theme, word('d' || thing) || ' ' || word('e' || thing) || ' for ' || word('f' || thing) || ' with ' || word('g' || thing) AS note FROM catalog;
SELECT c AS by_name FROM jsonb_path_query(suggest('SELECT id, name || '' made by '' || word(name) AS name, theme FROM sets'), '$.comparisons[*] ? (@.name == "whole record")') AS c
UNION ALL SELECT c -> 'expression' FROM jsonb_path_query(suggest('SELECT id, name, note, theme FROM sets'), '$.comparisons[*] ? (@.name == "whole record")') AS c;
SELECT jsonb_path_query_array(suggest('SELECT id, name || '' made by '' || word(name) AS name, theme FROM sets'), '$.blocking[*] ? (@.top_k > 0).keys') AS neighbours;

-- ---- mailboxes of roles ----
SELECT v, personal_email(v) FROM unnest(ARRAY['Jay Jones <JJones@x.org>', 'INFO@x.org', 'Our office <office+a@x.org>', 'information.desk@x.org', 'sales', 'informatik@x.org', 'info@x.org, Jane@x.org; sales@x.org', 'sales@x.org, info@x.org', '', NULL]) AS emails (v);
-- Of persons they are left out, in keys and comparisons; where none is a role's, addresses are what they are.
SELECT count(*) FILTER (WHERE c::text LIKE '%personal_email%') AS compared, (SELECT count(*) FROM jsonb_path_query(s, '$.blocking[*].keys[*]') AS k WHERE k::text LIKE '%personal_email%') > 0 AS keys
FROM suggest('SELECT id, name, street, phone, CASE WHEN id % 40 = 0 THEN ''info@example.org'' ELSE email END AS email FROM book') AS s, jsonb_path_query(s, '$.comparisons[*]') AS c GROUP BY s;
SELECT suggest('SELECT id, name, street, phone, email FROM book')::text LIKE '%personal_email%' AS none_is_a_role,
    suggest('SELECT id, initcap(word(''k'' || id)) || '' '' || initcap(word(''l'' || id)) || '' Ltd'' AS firm, phone, CASE WHEN id % 40 = 0 THEN ''info@example.org'' ELSE ''x'' || id || ''@example.org'' END AS email FROM book')::text LIKE '%personal_email%' AS of_firms;
-- Where each has one of its own, nobody shares it: all of these were left out, with an F1 of 0.
CREATE TABLE own AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, thing,
    slip((ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Catherine', 'Thomas'])[1 + pick('g' || thing, 10)] || ' ' || initcap(word('s' || thing % 200)), 'n' || thing || copy, 5) AS name,
    (ARRAY['mail', 'hello', 'post', 'contact', 'office'])[1 + pick('m' || thing, 5)] || '@' || word('d' || thing) || word('e' || thing) || '.example' AS email,
    CASE WHEN pick('p' || thing || copy, 3) > 0 THEN '0' || 200000000 + pick('f' || thing || CASE WHEN pick('q' || thing || copy, 3) = 0 THEN copy END, 90000000) END AS phone
FROM generate_series(1, 1000) AS thing, generate_series(0, 1) AS copy WHERE copy = 0 OR pick('c' || thing, 3) > 0;
SELECT f1('SELECT id, name, email, phone FROM little.own', 'SELECT id, thing AS entity_id FROM little.own') > 0.9 AS own_mailboxes_tell;
DROP SCHEMA little CASCADE;
