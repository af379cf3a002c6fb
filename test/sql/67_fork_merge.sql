-- Forks and merges: a copy that costs nothing, three-way merges by artifact, decisions one by one, holds, and who may.
-- In a database of its own: numbers of releases and segments are shown.
SELECT current_database() AS home \gset
CREATE DATABASE fork_merge;
\c fork_merge
CREATE EXTENSION mastering;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET search_path = public, mastering;
CREATE SCHEMA input;
CREATE TABLE input.crm AS SELECT i AS id, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email, (ARRAY['Berlin', 'Hamburg', 'Ulm'])[1 + i % 3] AS city FROM generate_series(1, 60) i;
CREATE TABLE input.shop AS SELECT 'N' || i AS no, 'First' || md5(i::text) || ' Last' || md5((i * 7)::text) AS name, 'mail' || i || '@example.org' AS email FROM generate_series(41, 80) i;
SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', 'test');
SELECT define_entity('dev', 'person', '{"name": "text", "email": "text", "city": "text"}');
SELECT map_source('dev', 'person', 'crm', 'input.crm', 'id'), map_source('dev', 'person', 'shop', 'input.shop', 'no');
SELECT set_blocking('dev', 'person', '[{"keys": ["email"]}, {"keys": ["name"]}]'), set_comparisons('dev', 'person', '[{"column": "name", "method": "jaro_winkler", "levels": [0.92, 0.8]}, {"column": "email", "method": "exact"}]');
SELECT count(*) FROM load('dev', 'person');
SELECT train('dev', 'person') IS NOT NULL AS trained;
SELECT master('dev', 'person') ->> 'records' AS records;
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;

-- A fork shows what its source shows, from the same segments, and writes nothing but its views.
SELECT count(*) AS segments FROM mastering.segment \gset
SELECT fork_environment('dev', 'ann'), fork_environment('dev', 'bob', ttl => '7 days');
SELECT count(*) = :segments AS nothing_copied FROM mastering.segment;
SELECT (SELECT array_agg(p::text ORDER BY id) FROM dev.person p) = (SELECT array_agg(p::text ORDER BY id) FROM ann.person p) AS golden,
       (SELECT array_agg(p::text ORDER BY source, record_key) FROM dev.person_records p) = (SELECT array_agg(p::text ORDER BY source, record_key) FROM ann.person_records p) AS records,
       (SELECT count(*) FROM ann.person_members) AS members, (SELECT count(*) > 0 FROM ann.person_lineage) AS lineage, (SELECT count(*) FROM ann.person_history) AS history;
SELECT name, source, expires_at > now() + interval '6 days' AS lives, expired, owner = current_user AS mine FROM forks ORDER BY name;
SELECT * FROM diff('dev', 'ann');
SELECT fork_environment('dev', 'bob');
SELECT fork_environment('dev', 'x', ttl => '-1 day');
SELECT fork_environment('nothing', 'x');
SELECT fork_environment('dev', 'x_next');

-- What is done in one is not seen in the other.
SELECT set_survivorship('ann', 'person', '{"default": "longest"}');
SELECT add_check('bob', 'person', 'has a name', 'SELECT id FROM person WHERE name IS NULL');
SELECT master('ann', 'person') ->> 'reused' AS reused, master('bob', 'person') ->> 'reused' AS reused_2;
SELECT path, change FROM diff('ann', 'bob');

-- Two forks that changed different artifacts merge without a word; what Ann ran is found in Dev.
SELECT step, action, subject, detail, blocked FROM plan('ann', 'dev');
SELECT promote('ann', 'dev', 'ann') > 0 AS merged;
SELECT proposal -> 'runs' -> 0 ->> 'reused' AS reused FROM mastering.release WHERE source = 'ann';
SELECT * FROM merge_conflicts('bob', 'dev');
SELECT promote('bob', 'dev', 'bob') > 0 AS merged;
SELECT path, change FROM diff('dev~2', 'dev');
SELECT * FROM plan('bob', 'dev') WHERE action = 'change configuration';

-- Both changed the same: nothing is taken without a decision.
SELECT set_survivorship('ann', 'person', '{"default": "shortest"}'), set_clustering('ann', 'person', '{"threshold": 0.9}');
SELECT set_survivorship('dev', 'person', '{"default": "most_frequent"}'), set_clustering('dev', 'person', '{"threshold": 0.8}');
SELECT add_check('ann', 'person', 'has mail', 'SELECT id FROM person WHERE email IS NULL', 'warn');
SELECT * FROM merge_conflicts('ann', 'dev');
SELECT subject, detail, blocked FROM plan('ann', 'dev') WHERE action = 'change configuration';
SELECT promote('ann', 'dev');
SELECT promote('ann', 'dev', resolve => '{"entity/person/survivorship": "mine"}');
SELECT promote('ann', 'dev', resolve => '{"entity/person/blocking": "ours"}');
SELECT promote('ann', 'dev', resolve => '{"entity/person/survivorship": "ours"}');
SELECT promote('ann', 'dev', resolve => '["ours"]');
SELECT promote('ann', 'dev', resolve => '{"entity/person/survivorship": "ours", "entity/person/clustering": {"treshold": 0.85}}');
SELECT promote('ann', 'dev', resolve => '{"entity/person/survivorship": "ours", "entity/person": {"attributes": [{"name": "a", "type": "text); DROP TABLE input.crm; --"}]}}');
-- One by one, in a release.
SELECT propose('ann', 'dev', 'decided') AS release \gset
SELECT resolve_conflict(:release, 'entity/person/survivorship', '"theirs"');
SELECT promote_release(:release);
SELECT resolve_conflict(:release, 'entity/person/clustering', '{"threshold": 0.85}');
SELECT path, reason, base, ours, theirs, resolution FROM merge_conflicts(:release);
SELECT resolve_conflict(:release, 'entity/person/survivorship', NULL);
SELECT path, resolution FROM merge_conflicts(:release);
SELECT resolve_conflict(:release, 'entity/person/survivorship', '"ours"');
-- What was decided was decided between these two: another one is another question.
SELECT set_survivorship('ann', 'person', '{"default": "longest"}');
\set VERBOSITY sqlstate
SELECT promote_release(:release);
\set VERBOSITY default
SELECT set_survivorship('ann', 'person', '{"default": "shortest"}');
SELECT promote_release(:release) = :release AS promoted;
SELECT path, after FROM diff('dev~1', 'dev') ORDER BY 1;
SELECT * FROM merge_conflicts('ann', 'dev');
\set VERBOSITY terse
SELECT resolve_conflict(-1, 'entity/person/survivorship', '"ours"');
SELECT * FROM merge_conflicts(-1);
\set VERBOSITY default
-- Later means: not now, and asked again.
SELECT set_survivorship('bob', 'person', '{"default": "longest"}'), add_check('bob', 'person', 'has city', 'SELECT id FROM person WHERE city IS NULL', 'warn');
SELECT promote('bob', 'dev', resolve => '{"entity/person/survivorship": "later"}') > 0 AS merged;
SELECT subject, detail FROM plan('bob', 'dev') WHERE action = 'change configuration';
SELECT path FROM merge_conflicts('bob', 'dev');
SELECT promote('bob', 'dev', resolve => '{"entity/person/survivorship": "theirs"}') > 0 AS merged;
SELECT subject, detail FROM plan('bob', 'dev') WHERE action = 'change configuration';
SELECT mastering.artifact_at(tree, 'entity/person/survivorship') FROM mastering.configuration WHERE environment = 'dev';
SELECT count(*) FROM mastering.left_out;

-- A fork takes over what its source has got since; then it has nothing to merge but its own.
SELECT promote('dev', 'bob') > 0 AS updated;
SELECT count(*) FROM diff('dev', 'bob');
SELECT count(*) FROM plan('bob', 'dev') WHERE action = 'change configuration';
SELECT set_clustering('bob', 'person', '{"threshold": 0.95}');
SELECT subject, detail FROM plan('bob', 'dev') WHERE action = 'change configuration';
-- A fork of a fork, of a tag, of a state of others; only along the line.
SELECT snapshot('dev', tag => 'now') AS state;
SELECT fork_environment('bob', 'cora'), fork_environment('dev@now', 'dan'), fork_environment('prod', 'eve');
SELECT count(*) FROM diff('bob', 'cora');
SELECT count(*) FROM diff('dev@now', 'dan');
SELECT promote('cora', 'dev');
SELECT promote('cora', 'bob') > 0 AS merged;
SELECT drop_environment('bob');
SELECT count(*) FROM eve.person;

-- A gate of the target stops a merge as any promotion.
SELECT add_check('dan', 'person', 'nobody from Ulm', 'SELECT id FROM person WHERE city = ''Ulm''');
SELECT promote('dan', 'dev');
SELECT drop_check('dan', 'person', 'nobody from Ulm');
-- A fork of its own: data, another attribute, a run; the others see nothing of it.
CREATE TABLE input.extra AS SELECT 900 + i AS id, 'Extra ' || i AS name, 'extra' || i || '@example.org' AS email, 'Bonn' AS city FROM generate_series(1, 3) i;
SELECT map_source('dan', 'person', 'extra', 'input.extra', 'id');
SELECT * FROM load('dan', 'person', 'extra');
SELECT master('dan', 'person') ->> 'records' AS records;
SELECT (SELECT sum(records) FROM dan.person) AS dan, (SELECT sum(records) FROM dev.person) AS dev;
SELECT promote('dan', 'dev') > 0 AS merged;
SELECT (SELECT sum(records) FROM dan.person) AS dan, (SELECT sum(records) FROM dev.person) AS dev;
SELECT (SELECT array_agg(id ORDER BY id) FROM dan.person) = (SELECT array_agg(id ORDER BY id) FROM dev.person) AS same_ids;

-- Labels are merged pair by pair; only another verdict on the same pair is a conflict.
SELECT fork_environment('dev', 'gil'), fork_environment('dev', 'hal');
SELECT label_pair('gil', 'person', 'crm:41', 'shop:N41', 'match') > 0 AND label_pair('gil', 'person', 'crm:1', 'crm:2', 'non-match') > 0 AS gil, label_pair('hal', 'person', 'crm:42', 'shop:N42', 'match') > 0 AS hal;
CREATE ROLE f_checker SUPERUSER;    -- not the one who gave them
SET ROLE f_checker;
SELECT l.environment, count(*) FROM (SELECT x.environment, array_agg(x.label_id) AS ids FROM labels x WHERE x.environment IN ('gil', 'hal') GROUP BY 1) l CROSS JOIN LATERAL verify_labels(l.environment, 'person', l.ids) v GROUP BY 1 ORDER BY 1;
RESET ROLE;
SELECT master('gil', 'person') IS NOT NULL AS gil, master('hal', 'person') IS NOT NULL AS hal;
SELECT promote('gil', 'dev') > 0 AS gil, promote('hal', 'dev') > 0 AS hal;
SELECT mastering.artifact_at(tree, 'entity/person/labels') FROM mastering.configuration WHERE environment = 'dev';
SELECT label_pair('gil', 'person', 'crm:3', 'crm:4', 'match') > 0 AND label_pair('hal', 'person', 'crm:3', 'crm:4', 'non-match') > 0 AS both;
SET ROLE f_checker;
SELECT l.environment, count(*) FROM (SELECT x.environment, array_agg(x.label_id) AS ids FROM labels x WHERE x.environment IN ('gil', 'hal') AND x.state = 'proposed' GROUP BY 1) l CROSS JOIN LATERAL verify_labels(l.environment, 'person', l.ids) v GROUP BY 1 ORDER BY 1;
RESET ROLE;
SELECT master('gil', 'person') IS NOT NULL AS gil, master('hal', 'person') IS NOT NULL AS hal;
SELECT promote('gil', 'dev') > 0 AS gil;
SELECT path, reason FROM merge_conflicts('hal', 'dev');
SELECT drop_environment('gil'), drop_environment('hal');

-- Expired forks: listed, dropped by one call; what is in use is left and told.
UPDATE mastering.fork SET expires_at = now() - interval '1 minute' WHERE environment IN ('bob', 'cora', 'eve');
SELECT fork, source, dropped, reason FROM drop_expired_forks(dry_run => true);
CREATE VIEW input.on_eve AS SELECT id FROM eve.person;
SELECT fork, dropped, reason FROM drop_expired_forks(at_most => 2) ORDER BY fork;
DROP VIEW input.on_eve;
SELECT extend_fork('eve', '1 day');
SELECT fork, dropped, reason FROM drop_expired_forks() ORDER BY fork;
SELECT fork, dropped, reason FROM drop_expired_forks() ORDER BY fork;
SELECT name, expired FROM forks ORDER BY name;
SELECT extend_fork('dev', '1 day');
SELECT count(*) AS left_behind FROM pg_namespace WHERE nspname IN ('bob', 'bob_next', 'cora', 'cora_next');
SELECT count(*) AS left_behind FROM pg_default_acl;
SELECT drop_environment('dev');

-- Holds go by artifact: what was rolled back stays out, whatever comes with it.
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod') > 0 AS to_prod;
SELECT set_survivorship('dev', 'person', '{"default": "shortest"}');
SELECT promote('dev', 'test') > 0 AS to_test, promote('test', 'prod', 'bad') AS release \gset
SELECT rollback('prod', reason => 'bad') > 0 AS rolled_back;
SELECT set_clustering('dev', 'person', '{"threshold": 0.7}');
SELECT promote('dev', 'test') > 0 AS to_test;
SELECT subject, regexp_replace(detail, '[0-9]+', 'N') AS detail, blocked FROM plan('test', 'prod') WHERE action = 'change configuration';
\set VERBOSITY terse
SELECT promote('test', 'prod');
\set VERBOSITY default
SELECT path, regexp_replace(reason, '[0-9]+', 'N') AS reason, ours, theirs FROM merge_conflicts('test', 'prod');
SELECT promote('test', 'prod', 'without it', resolve => '{"entity/person/survivorship": "later"}') > 0 AS to_prod;
SELECT path FROM diff('prod', 'test');
-- Another value of the same artifact is another change; the same value by another way is not.
SELECT set_survivorship('dev', 'person', '{"default": "most_frequent"}'), promote('dev', 'test') > 0 AS to_test;
SELECT blocked FROM plan('test', 'prod') WHERE subject = 'entity/person/survivorship';
\set VERBOSITY terse
SELECT promote('test', 'prod', resolve => '{"entity/person/survivorship": {"default": "shortest"}}') IS NULL;
\set VERBOSITY default
SELECT set_survivorship('dev', 'person', '{"default": "shortest"}'), promote('dev', 'test') > 0 AS to_test;
SELECT release_hold('prod', -1, 'entity/person/model');
SELECT release_hold('prod', :release, 'entity/person/survivorship');
SELECT proposal ->> 'held' AS held FROM mastering.release WHERE release_id = :release;
SELECT promote('test', 'prod') > 0 AS to_prod;
SELECT count(*) FROM diff('prod', 'test');

-- Rolled back in Test: Prod, which has it, is asked to go back too; Dev's change comes again when it is released.
SELECT rollback('test', reason => 'x') > 0 AS rolled_back;
SELECT subject, detail FROM plan('test', 'prod') WHERE action = 'change configuration';
SELECT count(*) FROM merge_conflicts('dev', 'test');
SELECT release_hold('test', max(release_id)) FROM releases WHERE target = 'test' AND state = 'rolled back';
SELECT subject, detail, blocked FROM plan('dev', 'test') WHERE action = 'change configuration';

-- Rights. A fork needs somebody who may read all of the source, and who may make schemas.
CREATE ROLE f_owner; CREATE ROLE f_author; CREATE ROLE f_reviewer; CREATE ROLE f_consumer; CREATE ROLE f_none; CREATE ROLE f_group; CREATE ROLE f_member IN ROLE f_group;
SELECT format('GRANT CREATE ON DATABASE %I TO f_owner, f_author, f_reviewer, f_consumer, f_none, f_member', current_database()) \gexec
GRANT USAGE ON SCHEMA input TO f_owner;
GRANT SELECT ON ALL TABLES IN SCHEMA input TO f_owner;
SELECT create_environment('own', owner => 'f_owner'), grant_role('own', 'author', 'f_author'), grant_role('own', 'reviewer', 'f_reviewer'), grant_role('own', 'consumer', 'f_consumer'), grant_role('own', 'reviewer', 'f_group');
SELECT define_entity('own', 'person', '{"name": "text", "email": "text"}'), map_source('own', 'person', 'crm', 'input.crm', 'id'), set_blocking('own', 'person', '[{"keys": ["email"]}]'),
       set_comparisons('own', 'person', '[{"column": "name", "method": "exact"}, {"column": "email", "method": "exact"}]'), (SELECT count(*) FROM load('own', 'person')) AS loaded, train('own', 'person') IS NOT NULL AS trained;
SELECT master('own', 'person') ->> 'records' AS records;
\set VERBOSITY terse
SET ROLE f_none;
SELECT fork_environment('own', 'f0');
RESET ROLE; SET ROLE f_consumer;
SELECT fork_environment('own', 'f0');
RESET ROLE; SET ROLE f_reviewer;
SELECT fork_environment('own', 'f0', owner => 'f_owner');
SELECT fork_environment('own', 'f1', ttl => '1 day');
SELECT count(*) FROM f1.person_records;
SELECT set_survivorship('f1', 'person', '{"default": "longest"}'), master('f1', 'person') ->> 'records' AS records;
SELECT promote('f1', 'own');
SELECT propose('f1', 'own') > 0 AS proposed;
-- Nobody else reads it, and only who may read the source can be let in.
SELECT grant_role('f1', 'consumer', 'f_none');
SELECT grant_role('f1', 'reviewer', 'f_consumer');
SELECT grant_role('f1', 'consumer', 'f_consumer');
SELECT alter_environment('f1', 'f_none');
RESET ROLE; SET ROLE f_author;
SELECT count(*) FROM f1.person;
SELECT * FROM diff('f1', 'own');
SELECT promote('f1', 'own');
SELECT drop_environment('f1');
SELECT fork FROM drop_expired_forks(dry_run => true);
SELECT name, owner FROM forks;
RESET ROLE; SET ROLE f_none;
SELECT count(*) FROM forks;
RESET ROLE; SET ROLE f_consumer;
SELECT count(*) FROM f1.person;
SELECT count(*) FROM f1.person_records;
RESET ROLE; SET ROLE f_reviewer;
SELECT grant_role('f1', 'reviewer', 'f_author');
RESET ROLE; SET ROLE f_author;
SELECT promote('f1', 'own') > 0 AS merged_by_an_author;
SELECT resolve_conflict(1, 'entity/person', '"ours"');
SELECT extend_fork('f1', '1 day');
SELECT restore('f1', 'own');
SELECT restore('own', 'own');
-- Restoring into a fork what its readers may not read.
RESET ROLE; SET ROLE f_reviewer;
SELECT restore('f1', 'prod');
RESET ROLE;
SELECT grant_role('prod', 'reviewer', 'f_reviewer');
SET ROLE f_reviewer;
SELECT restore('f1', 'prod');
SELECT restore('f1', 'own') LIKE '#%' AS restored;
-- Who loses the source, loses its forks and the schemas on its states.
SELECT create_snapshot_schema('own', 'own_then') LIKE '#%' AS made;
SELECT count(*) FROM own_then.person;
RESET ROLE; SET ROLE f_author;
SELECT count(*) FROM own_then.person;
RESET ROLE; SET ROLE f_member;
SELECT fork_environment('own', 'f2'), (SELECT count(*) FROM forks WHERE owner = 'f_member') AS mine;
SELECT count(*) FROM f2.person;
RESET ROLE;
SELECT revoke_role('own', 'reviewer', 'f_reviewer'), revoke_role('own', 'consumer', 'f_consumer');
REVOKE f_group FROM f_member;
SELECT count(*) FROM drop_expired_forks();
SET ROLE f_reviewer;
SELECT count(*) FROM f1.person;
SELECT count(*) FROM own_then.person;
SELECT * FROM diff('f1', 'f1');
SELECT master('f1', 'person');
SELECT fork_environment('f1', 'f3');
DROP SCHEMA own_then CASCADE;
RESET ROLE; SET ROLE f_consumer;
SELECT count(*) FROM f1.person;
RESET ROLE; SET ROLE f_member;
SELECT count(*) FROM f2.person;
SELECT drop_environment('f2');
RESET ROLE;
SELECT grant_role('own', 'reviewer', 'f_reviewer'), grant_role('f1', 'reviewer', 'f_author');
SET ROLE f_reviewer;
SELECT count(*) FROM f1.person;
-- A superuser's fork does not make a superuser of the text in it.
RESET ROLE;
SELECT fork_environment('own', 'f4');
SELECT owner FROM forks WHERE name = 'f4';
-- Names as an attacker writes them.
SELECT fork_environment('own', 'f''"; DROP TABLE input.crm; --');
SELECT count(*) FROM "f'""; DROP TABLE input.crm; --".person;
SELECT set_survivorship('f''"; DROP TABLE input.crm; --', 'person', '{"default": "shortest"}');
SELECT promote('f''"; DROP TABLE input.crm; --', 'own') > 0 AS merged;
SELECT promote('f4', 'own', resolve => '{"entity/person''; DROP TABLE input.crm; --": "ours"}');
SELECT create_snapshot_schema('own', 's''"; DROP TABLE input.crm; --') LIKE '#%' AS made;
SELECT count(*) FROM "s'""; DROP TABLE input.crm; --".person;
SELECT * FROM merge_conflicts('own''; DROP TABLE input.crm; --', 'own');
SELECT restore('f4', 'own@''; DROP TABLE input.crm; --');
SELECT * FROM diff_records('own', 'f4', 'person''; DROP TABLE input.crm; --');
SELECT count(*) FROM input.crm;
DROP SCHEMA "s'""; DROP TABLE input.crm; --" CASCADE;
-- What is behind the doors is closed.
SET ROLE f_reviewer;
SELECT mastering.do_fork_environment('own', 'x', NULL, NULL);
SELECT mastering.do_restore('own', 'own~1', NULL);
SELECT mastering.make_proposal('f1', 'own');
SELECT mastering.drop_forks(false, false, false, 100);
SELECT * FROM mastering.fork;
RESET ROLE;
\set VERBOSITY default
SELECT drop_environment(name) FROM (SELECT name FROM forks ORDER BY name) f;
SELECT drop_environment('own'), drop_environment('prod'), drop_environment('test'), drop_environment('dev');
SELECT (SELECT count(*) FROM mastering.fork) AS forks, (SELECT count(*) FROM mastering.left_out) AS left_out, (SELECT count(*) FROM mastering.side_snapshot) AS side_snapshots;
DROP SCHEMA input CASCADE;
SELECT format('REVOKE ALL ON DATABASE %I FROM f_owner, f_author, f_reviewer, f_consumer, f_none, f_member', current_database()) \gexec
DROP ROLE f_owner, f_author, f_reviewer, f_consumer, f_none, f_member, f_group, f_checker;
\c :home
DROP DATABASE fork_merge;
