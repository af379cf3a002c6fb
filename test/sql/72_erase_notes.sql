-- What failed may have told of a record: erased, it is in no note of a failure either.
-- In a database of its own: what it makes is not for other tests.
SELECT current_database() AS home \gset
CREATE DATABASE erase_notes;
\c erase_notes
CREATE EXTENSION mastering;
SET client_min_messages = error;
SET search_path = mastering, pg_catalog;
CREATE SCHEMA notes;
CREATE TABLE notes.people AS SELECT i AS id, 'Person Number' || i AS name FROM generate_series(1, 3) i;
SELECT create_environment('n1'), define_entity('n1', 'p', '{"name": "text"}'), map_source('n1', 'p', 'a', 'notes.people', 'id');
SELECT change FROM load('n1', 'p');
SELECT stop_keep_up('n1', 'p', 'load', '23505', 'a key twice', 'Key (name)=(Person Number2) is there already.');
INSERT INTO release_token (token, target, state, result, role) VALUES (gen_random_uuid(), 'n1', 'failed', '{"state": "failed", "error": {"sqlstate": "23505", "message": "twice", "detail": "Person Number2"}}', 'somebody'),
                                                                     (gen_random_uuid(), 'n1', 'failed', '{"state": "failed", "error": {"sqlstate": "23505", "message": "twice", "detail": "Person Number3"}}', 'somebody');
INSERT INTO remote_release (release_id, environment, kind, state, token, request, request_hash, author, error) VALUES (1, 'n1', 'promotion', 'failed', gen_random_uuid(), '{}', '', 'somebody', '{"sqlstate": "23505", "message": "twice: Person Number2"}');
SELECT count(*) > 0 AS erased FROM erase('p', 'a', '2', 'asked for');
SELECT step, sqlstate, message, detail FROM keep_up_stops('n1');
SELECT result FROM release_token ORDER BY result::text COLLATE "C";
SELECT error, result FROM remote_release;
\c :home
DROP DATABASE erase_notes;
