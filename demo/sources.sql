-- sources.sql: three systems of one company and what they know of its customers, as they know it.
-- Run by scripts/demo.sh in an empty database; demo.sql tells the story on it.
\set ON_ERROR_STOP on
SET client_min_messages TO warning;

CREATE SCHEMA crm;
CREATE TABLE crm.customers (
    customer_id text PRIMARY KEY,
    first_name text, last_name text, birth_date date,
    street text, postcode text, city text, phone text, email text,
    updated_at timestamp
);

CREATE SCHEMA shop;
CREATE TABLE shop.accounts (
    account_id text PRIMARY KEY,
    full_name text, email text, phone text, country text, address text, birth_date date,
    signed_up_at timestamp
);

CREATE SCHEMA billing;
CREATE TABLE billing.debtors (
    debtor_no text PRIMARY KEY,
    name text, address_1 text, address_2 text, zip text, city text,
    account text, date_of_birth text, updated text
);

-- What really is one customer; only the evaluation at the end looks here.
CREATE SCHEMA demo;
CREATE TABLE demo.truth (source text, id text PRIMARY KEY, entity_id bigint NOT NULL);

\copy crm.customers FROM 'build/demo/crm.csv' WITH (FORMAT csv, HEADER)
\copy shop.accounts FROM 'build/demo/shop.csv' WITH (FORMAT csv, HEADER)
\copy billing.debtors FROM 'build/demo/billing.csv' WITH (FORMAT csv, HEADER)
\copy demo.truth FROM 'build/demo/truth.csv' WITH (FORMAT csv, HEADER)

-- One shape for all three, in plain SQL: telephone numbers get their country's code, billing's capital letters
-- become small ones. Errors stay what they are.
CREATE FUNCTION demo.international_phone(phone text, calling_code text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(regexp_replace(regexp_replace(phone, '\(0\)|[^0-9+]', '', 'g'), '^00', '+'), '^0?(?=[1-9])', calling_code);

CREATE VIEW demo.customers AS
SELECT customer_id AS id, 'crm' AS source, first_name AS given_name, last_name AS family_name, birth_date,
    street, postcode, city, demo.international_phone(phone, '+') AS phone, email, updated_at
FROM crm.customers
UNION ALL
SELECT account_id, 'shop',
    -- Spaniards have two surnames, the others rather two given names.
    regexp_replace(full_name, CASE country WHEN 'ES' THEN ' .*$' ELSE ' [^ ]+$' END, ''),
    regexp_replace(full_name, CASE country WHEN 'ES' THEN '^[^ ]+ ' ELSE '^.* ' END, ''),
    birth_date,
    (regexp_match(address, '^(.*), '))[1],
    place[1], place[2],
    demo.international_phone(phone, CASE country WHEN 'DE' THEN '+49' WHEN 'GB' THEN '+44' WHEN 'FR' THEN '+33' ELSE '+34' END),
    email, signed_up_at
FROM shop.accounts
    CROSS JOIN LATERAL regexp_match(regexp_replace(address, '^.*, ', ''), '^([0-9]+|[A-Z]+[0-9]+ [0-9][A-Z]+) (.+)$') AS place
UNION ALL
SELECT debtor_no, 'billing',
    initcap(nullif(split_part(name, ', ', 2), '')), initcap(split_part(name, ', ', 1)), to_date(date_of_birth, 'DD.MM.YYYY'),
    initcap(CASE address_1 WHEN 'C/O' THEN address_2 ELSE address_1 END), zip, initcap(city), NULL, NULL, to_date(updated, 'DD.MM.YYYY')
FROM billing.debtors;

-- The same by source: what an environment's sources are bound to.
CREATE VIEW demo.crm AS SELECT * FROM demo.customers WHERE source = 'crm';
CREATE VIEW demo.shop AS SELECT * FROM demo.customers WHERE source = 'shop';
CREATE VIEW demo.billing AS SELECT * FROM demo.customers WHERE source = 'billing';

ANALYZE;
