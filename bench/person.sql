-- person.sql: the table of the persons, and the extension.
CREATE EXTENSION mastering;
CREATE TABLE person (unique_id bigint, cluster bigint, first_name text, surname text, dob text, city text, postcode text, email text);
