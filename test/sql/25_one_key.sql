-- A key of most records: its block is longer than what one thread counts at a time. It is counted once, whatever the number of threads.
SET client_min_messages = error;
SET mastering.log_progress = off;
CREATE TABLE one_key AS SELECT i AS id, CASE WHEN i % 20 > 0 THEN 'norway' ELSE 'town ' || i % 700 END AS place, 'name ' || i % 17000 AS name FROM generate_series(1, 60000) AS i;
\set spec '{"blocking": [{"keys": ["place"], "max_block": 100, "window": 2}, ["name"]], "comparisons": [{"column": "name", "method": "exact"}, {"column": "place", "method": "exact"}]}'
SET mastering.threads = 1;
CREATE TABLE one_key_found AS SELECT * FROM mastering.dedupe('SELECT * FROM one_key', :'spec');
SELECT phase, facts FROM mastering.last_run() WHERE phase = 'pairs';
SET mastering.threads = 3;
SELECT count(*) AS different FROM (SELECT * FROM mastering.dedupe('SELECT * FROM one_key', :'spec') EXCEPT TABLE one_key_found) AS x;
SELECT phase, facts FROM mastering.last_run() WHERE phase = 'pairs';
SELECT count(DISTINCT place) AS keys, max(n) AS largest FROM (SELECT place, count(*) AS n FROM one_key GROUP BY 1) AS x;
DROP TABLE one_key, one_key_found;
