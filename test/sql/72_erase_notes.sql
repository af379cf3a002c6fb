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
-- A state from before that is restored tells that the cluster died; one whose cluster died otherwise, and lives there again, does not.
SELECT set_blocking('n1', 'p', '[{"keys": ["name"]}]'), set_comparisons('n1', 'p', '[{"column": "name", "method": "exact"}]');
SELECT set_model('n1', 'p', '{"blocking": [{"keys": ["name"]}], "comparisons": [{"name": "name", "column": "name", "method": "exact", "normalize": "text", "term_frequency": false,
    "trained": [{"m": 0.85, "u": 0.006, "level": "exact", "weight": 7.2444}, {"m": 0.15, "u": 0.99, "level": "else", "weight": -2.7297}]}], "prior": 0.5, "threshold": 0.5, "link": "all", "linkage": "average", "normalize": "text"}');
SELECT set_survivorship('n1', 'p', '{"default": "longest"}');
INSERT INTO notes.people VALUES (4, 'Person Number4');
SELECT change FROM load('n1', 'p');
SELECT master('n1', 'p') ->> 'clusters' AS clusters;
SELECT snapshot('n1', tag => 'whole') IS NOT NULL AS kept;
SELECT count(*) > 0 AS erased FROM erase('p', 'a', '3', 'asked for');
DELETE FROM notes.people WHERE id IN (3, 4);
SELECT change FROM load('n1', 'p');
SELECT master('n1', 'p') ->> 'clusters' AS clusters;
SELECT event, count(*) FROM n1.p_history GROUP BY 1 ORDER BY 1;
SELECT restore('n1', 'n1@whole') IS NOT NULL AS restored;
SELECT event, count(*) FROM n1.p_history GROUP BY 1 ORDER BY 1;
SELECT h.event, m.record_key FROM n1.p_history h LEFT JOIN n1.p_members m ON m.cluster_id = h.id ORDER BY h.event, m.record_key;
SELECT count(*) AS problems FROM verify_snapshots();
\c :home
DROP DATABASE erase_notes;
