-- Persons and firms in one table: whose name stands in which column, names in two scripts, e-mail addresses as people type them.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA persons_and_firms;
SET search_path = persons_and_firms, mastering;

\getenv source PG_ABS_SRCDIR
\set made_up :source '/include/made_up.sql'
\i :made_up
CREATE FUNCTION proper(seed text) RETURNS text LANGUAGE sql IMMUTABLE RETURN initcap(word(seed));
-- Eighty persons, of whom some say whom they work for, and forty firms in ten buildings: four have one address and telephone.
CREATE TABLE parties AS
SELECT row_number() OVER (ORDER BY md5('r' || thing || copy))::int AS id, thing,
    CASE WHEN person THEN (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Thomas', 'Jennifer', 'Charles', 'Daniel', 'Anna', 'Peter', 'Laura', 'Michael', 'Nancy', 'Paul', 'Sarah', 'Mark', 'Helen', 'George'])[1 + thing % 22] END AS first_name,
    CASE WHEN person THEN proper('a' || thing) || proper('b' || thing) END AS last_name,
    CASE WHEN NOT person THEN proper('f' || thing) || ' ' || proper('g' || thing) || CASE WHEN copy = 0 THEN '' ELSE ' Trading' END END AS firm,
    CASE WHEN person AND pick('w' || thing || copy, 3) = 0 THEN proper('f' || 101 + thing % 40) || ' ' || proper('g' || 101 + thing % 40) END AS employer,
    CASE WHEN person AND pick('nb' || thing || copy, 3) > 0 THEN date '1940-01-01' + pick('born' || thing, 20000) END AS born,
    1 + pick('no' || home, 90) || ' ' || proper('s' || home) || ' Street' AS street,
    '030 ' || 1000000 + pick('p' || home, 9000000) AS phone,
    CASE WHEN copy = 1 AND pick('mail' || thing, 3) = 0 THEN initcap(proper('m' || thing)) || ' <' || upper(proper('m' || thing)) || thing || '@example.org>'
        WHEN person THEN lower(proper('m' || thing)) || thing || '@example.org' END AS email,
    CASE WHEN person AND pick('nl' || thing || copy, 5) < 2 THEN (10000000 + pick('l' || thing, 90000000))::text END AS licence
FROM generate_series(1, 140) AS thing, generate_series(0, 1) AS copy,
    LATERAL (SELECT thing <= 100 AS person, CASE WHEN thing <= 100 THEN thing / 2 ELSE 1000 + thing / 4 END AS home) AS kind
WHERE copy = 0 OR pick('c' || thing, 3) > 0;
SELECT count(*), count(firm) AS firms, count(employer) AS employers, count(DISTINCT thing) AS things FROM parties;

-- A firm is the name of what is no person; an employer is shared. E-mail addresses are compared without what is around them.
CREATE TABLE spec AS SELECT suggest('SELECT id, first_name, last_name, firm, employer, born, street, phone, email, licence FROM parties') AS spec;
SELECT coalesce(c ->> 'column', c ->> 'name') AS compared, c ->> 'expression' AS expression, c ->> 'method' AS method, c ->> 'evidence' AS evidence
FROM spec, jsonb_array_elements(spec -> 'comparisons') AS c WHERE c ? 'evidence' ORDER BY 1;
CREATE TABLE clusters AS SELECT c.*, thing, firm FROM spec, dedupe_as(NULL::int, 'SELECT id, first_name, last_name, firm, employer, born, street, phone, email, licence FROM parties', spec) AS c JOIN parties USING (id);
SELECT a.firm IS NOT NULL AS firms, count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.9 * count(*) FILTER (WHERE a.cluster_id = b.cluster_id) AS precise,
    count(*) FILTER (WHERE a.thing = b.thing AND a.cluster_id = b.cluster_id) > 0.9 * count(*) FILTER (WHERE a.thing = b.thing) AS complete
FROM clusters AS a JOIN clusters AS b ON a.id < b.id AND (a.thing = b.thing OR a.cluster_id = b.cluster_id) GROUP BY 1 ORDER BY 1;
-- Without firms, what people work for completes nothing.
SELECT coalesce(c ->> 'column', c ->> 'name') AS compared, c ->> 'evidence' AS evidence
FROM jsonb_array_elements(suggest('SELECT id, first_name, last_name, employer, born, street, phone, email, licence FROM parties WHERE firm IS NULL') -> 'comparisons') AS c
WHERE c ->> 'column' = 'employer';

-- A dozen names of firms show by their legal forms what they are.
SELECT count(DISTINCT firm) < 20 AS few FROM parties WHERE thing <= 110;
SELECT c ->> 'expression' AS expression, c ->> 'evidence' AS evidence
FROM jsonb_array_elements(suggest($$SELECT id, first_name, last_name, CASE WHEN thing % 3 = 0 THEN firm || ' Ltd' ELSE firm END AS firm, born, street, phone, email, licence FROM parties WHERE thing <= 110$$) -> 'comparisons') AS c
WHERE c ->> 'expression' LIKE '%firm%' OR c ->> 'column' = 'firm';

-- No date of birth says less for being met often, where that is copies.
SELECT (c #>> '{frequencies,scale}')::float < 0.2 AS hardly_by_frequency
FROM spec, train_model('SELECT * FROM parties WHERE id <= 60', spec) AS m, jsonb_array_elements(m -> 'comparisons') AS c WHERE c ->> 'name' = 'born';

SELECT v, normalize_email(v) FROM unnest(ARRAY['Jay Jones <JJones@x.org>; mailto:jj@y.org', '"J. Öz"<.jörg@Öz.de>', 'Unknown', '', 'a@', NULL]) AS emails (v);

-- ---- a name in Latin letters here, and in its own there ----
SELECT latin_name(n), normalize_text(latin_name(n)) FROM unnest(ARRAY['王伟', '欧阳娜娜', 'ВАСИЛЬЕВ, Александр', 'Jörg Öz', 'a王b', '', ' ', 'فيصل صديقي', 'គឹម', '김철수', 'たなか', NULL]) AS names (n);
CREATE TABLE spelt (latin text, own text);
INSERT INTO spelt VALUES ('Alexander Vasiliev', 'Александр Васильев'), ('Ivan Petrov', 'Иван Петров'), ('Boris Smirnov', 'Борис Смирнов'), ('Anna Kuznetsova', 'Анна Кузнецова'),
    ('Maria Sokolova', 'Мария Соколова'), ('Peter Volkov', 'Пётр Волков'), ('Nikolai Fedorov', 'Николай Фёдоров'), ('Olga Morozova', 'Ольга Морозова'), ('Viktor Lebedev', 'Виктор Лебедев'),
    ('Elena Orlova', 'Елена Орлова'), ('Wang Wei', '王伟'), ('Zhang Xiuying', '张秀英'), ('Liu Jie', '刘杰'), ('Li Na', '李娜'), ('Chen Gang', '陈刚'), ('Sergei Popov', 'Сергей Попов');
CREATE TABLE scripts AS
SELECT row_number() OVER (ORDER BY md5(s.latin || copy))::int AS id, s.latin AS thing, CASE WHEN copy = 0 THEN s.latin END AS name, CASE WHEN copy = 1 THEN s.own END AS native_name,
    date '1950-01-01' + pick(s.latin, 15000) AS born, '030 ' || 1000000 + pick('p' || s.latin, 9000000) AS phone
FROM spelt AS s, generate_series(0, 1) AS copy;
INSERT INTO scripts SELECT 100 + g, 't' || g, (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Thomas'])[1 + g % 5] || ' ' || proper('a' || g) || proper('b' || g), NULL, date '1950-01-01' + pick('b' || g, 15000), '030 ' || 1000000 + pick('p' || g, 9000000)
FROM generate_series(1, 40) AS g;
SELECT coalesce(c ->> 'column', c ->> 'name') AS compared, c ->> 'expression' AS expression, c ->> 'evidence' AS evidence
FROM jsonb_array_elements(suggest('SELECT id, name, native_name, born, phone FROM scripts') -> 'comparisons') AS c WHERE c ->> 'evidence' = 'name';
SELECT count(*) FILTER (WHERE a.thing = b.thing) AS found, count(*) FILTER (WHERE a.thing <> b.thing) AS wrong
FROM (SELECT * FROM dedupe_as(NULL::int, 'SELECT id, name, native_name, born, phone FROM scripts') JOIN scripts USING (id)) AS a
JOIN (SELECT * FROM dedupe_as(NULL::int, 'SELECT id, name, native_name, born, phone FROM scripts') JOIN scripts USING (id)) AS b ON a.cluster_id = b.cluster_id AND a.id < b.id;
-- ---- a person writes from several domains, and strangers from one: names and e-mail addresses are all that is known ----
CREATE TABLE writers AS
SELECT row_number() OVER (ORDER BY md5('r' || writer || domain))::int AS id, writer AS thing, given || ' ' || family AS name,
    CASE pick('how' || writer || CASE WHEN pick('other' || writer || domain, 3) = 0 THEN domain ELSE 0 END, 4) WHEN 0 THEN given || '.' || family WHEN 1 THEN left(given, 1) || family WHEN 2 THEN family ELSE word('nick' || writer) || word('name' || writer) END
        || '@' || (ARRAY['project', 'mail', 'post'])[1 + domain % 3] || CASE WHEN domain > 2 THEN word('at' || writer || domain) ELSE '' END || '.example.org' AS email
FROM generate_series(1, 500) AS writer, generate_series(0, 5) AS domain,
    LATERAL (SELECT (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Thomas', 'Jennifer', 'Charles', 'Daniel', 'Anna', 'Peter', 'Laura', 'Michael'])[1 + pick('g' || writer, 16)] AS given,
        initcap(word('f' || writer) || word('h' || writer)) AS family) AS n
WHERE pick('in' || writer || domain, 10) < 6;
SELECT c ->> 'expression' AS expression, c -> 'term_frequency' AS by_rarity FROM jsonb_array_elements(suggest('SELECT id, name, email FROM writers') -> 'comparisons') AS c WHERE c ->> 'name' = 'email';
SELECT trunc(10.0 * count(*) FILTER (WHERE same AND together) / count(*) FILTER (WHERE together)) AS tenths_precise, trunc(10.0 * count(*) FILTER (WHERE same AND together) / count(*) FILTER (WHERE same)) AS tenths_complete
FROM (SELECT a.thing = b.thing AS same, a.cluster_id = b.cluster_id AS together
    FROM (SELECT * FROM dedupe_as(NULL::int, 'SELECT id, name, email FROM writers') JOIN writers USING (id)) AS a
    JOIN (SELECT * FROM dedupe_as(NULL::int, 'SELECT id, name, email FROM writers') JOIN writers USING (id)) AS b ON a.id < b.id) AS pairs;
-- Where more is known of them, an address is one of what speaks for a person, and is compared as it is written.
SELECT c ->> 'column' AS whole FROM jsonb_array_elements(suggest('SELECT id, name, email, date ''1930-01-01'' + 7 * thing AS born, ''030 '' || 1000000 + thing * 7919 AS phone FROM writers') -> 'comparisons') AS c WHERE c ->> 'evidence' = 'contact' ORDER BY 1;
-- Who writes from another address each time is one person all the same: strangers seldom have one given name and one surname.
-- Nor is a name of many records one of many persons.
CREATE TABLE senders AS
SELECT row_number() OVER (ORDER BY md5('s' || sender || letter))::int AS id, sender AS thing, given || ' ' || family AS name,
    CASE letter WHEN 0 THEN given || '.' || family WHEN 1 THEN left(given, 1) || family ELSE word('nick' || sender || letter) || word('name' || sender || letter) END || '@mail.example.org' AS email
FROM generate_series(1, 400) AS sender, generate_series(0, 15) AS letter,
    LATERAL (SELECT (ARRAY['Mary', 'Robert', 'Susan', 'Edward', 'Margaret', 'William', 'Elizabeth', 'Richard', 'Thomas', 'Jennifer', 'Charles', 'Daniel', 'Anna', 'Peter', 'Laura', 'Michael'])[1 + pick('g' || sender, 16)] AS given,
        initcap(word('f' || sender) || word('h' || sender)) AS family) AS n
WHERE letter < CASE WHEN sender % 20 = 0 THEN 16 ELSE 2 + sender % 3 END;
SELECT trunc(10.0 * count(*) FILTER (WHERE same AND together) / count(*) FILTER (WHERE together)) AS tenths_precise, trunc(10.0 * count(*) FILTER (WHERE same AND together) / count(*) FILTER (WHERE same)) AS tenths_complete
FROM (SELECT a.thing = b.thing AS same, a.cluster_id = b.cluster_id AS together
    FROM (SELECT * FROM dedupe_as(NULL::int, 'SELECT id, name, email FROM senders') JOIN senders USING (id)) AS a
    JOIN (SELECT * FROM dedupe_as(NULL::int, 'SELECT id, name, email FROM senders') JOIN senders USING (id)) AS b ON a.id < b.id) AS pairs;
DROP SCHEMA persons_and_firms CASCADE;
