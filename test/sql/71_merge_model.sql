-- Random histories against a model. The model knows nothing of snapshots: it keeps what each environment has and, for each
-- two that changes go between, what the one last gave the other (a fork begins as its source gave it). What differs from
-- that and from what the other has is a change; where the other differs from it as well, a conflict. Stages and forks, with
-- decisions at random.
SET client_min_messages = warning;
SET search_path = mastering, public;
CREATE SCHEMA history;
CREATE TABLE history.model (environment text, path text, value int NOT NULL, PRIMARY KEY (environment, path));
CREATE TABLE history.given (one text, other text, path text, value int NOT NULL, PRIMARY KEY (one, other, path));    -- both ways
CREATE TABLE history.step (n serial, what text);

CREATE PROCEDURE history.set_value(env text, path text, value int) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM mastering.set_survivorship(env, split_part(path, '/', 2), jsonb_build_object('source_priority', jsonb_build_array('v' || value)));
    UPDATE history.model m SET value = set_value.value WHERE m.environment = env AND m.path = set_value.path;
END $$;

-- What an environment is, as the model knows it and as it is.
CREATE FUNCTION history.differences() RETURNS TABLE (environment text, path text, is_value text, should_be text) LANGUAGE sql AS $$
    SELECT m.environment, m.path, a.content -> 'source_priority' ->> 0, 'v' || m.value
      FROM history.model m JOIN mastering.configuration c ON c.environment = m.environment LEFT JOIN mastering.artifact a ON a.hash = c.tree ->> m.path
     WHERE a.content -> 'source_priority' ->> 0 IS DISTINCT FROM 'v' || m.value
$$;

CREATE PROCEDURE history.promote(origin text, target text) LANGUAGE plpgsql AS $$
DECLARE
    item record;
    resolve jsonb := '{}';
    take text;
    conflicts text;
    expected text;
BEGIN
    SELECT string_agg(s.path, ' ' ORDER BY s.path) INTO expected FROM history.model s JOIN history.model t USING (path) LEFT JOIN history.given g ON g.one = s.environment AND g.other = t.environment AND g.path = s.path
     WHERE s.environment = origin AND t.environment = promote.target AND s.value <> t.value AND s.value IS DISTINCT FROM g.value AND t.value IS DISTINCT FROM g.value;
    SELECT string_agg(c.path, ' ' ORDER BY c.path) INTO conflicts FROM mastering.merge_conflicts(origin, target) c;
    IF conflicts IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '% -> %: conflicts are %, not %', origin, target, conflicts, expected;
    END IF;
    FOR item IN SELECT s.path, s.value AS theirs, s.value <> t.value AND s.value IS DISTINCT FROM g.value AS changed, t.value IS DISTINCT FROM g.value AS changed_too
                  FROM history.model s JOIN history.model t USING (path) LEFT JOIN history.given g ON g.one = s.environment AND g.other = t.environment AND g.path = s.path
                 WHERE s.environment = origin AND t.environment = promote.target ORDER BY s.path LOOP
        take := CASE WHEN item.changed THEN 'theirs' ELSE 'nothing' END;
        IF item.changed AND (item.changed_too OR random() < 0.1) THEN
            take := (ARRAY['ours', 'theirs', 'later'])[1 + floor(random() * 3)];
            resolve := resolve || jsonb_build_object(item.path, take);
        END IF;
        UPDATE history.model m SET value = item.theirs WHERE m.environment = promote.target AND m.path = item.path AND take = 'theirs';
        INSERT INTO history.given SELECT x.one, x.other, item.path, item.theirs FROM (VALUES (origin, target), (target, origin)) x (one, other) WHERE take <> 'later'
            ON CONFLICT ON CONSTRAINT given_pkey DO UPDATE SET value = EXCLUDED.value;
    END LOOP;
    PERFORM mastering.promote(origin, target, resolve => resolve);
END $$;

CREATE PROCEDURE history.run(steps int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
    env text;
    origin text;
    fork text;
    n int := 100 + (SELECT count(*) FROM history.step);
    roll float8;
    state text;
    before text;
BEGIN
    PERFORM setseed(seed);
    FOR i IN 1..steps LOOP
        roll := random();
        SELECT m.environment INTO env FROM history.model m GROUP BY 1 ORDER BY random() LIMIT 1;
        IF roll < 0.4 THEN
            n := n + 1;
            INSERT INTO history.step (what) VALUES (format('set %s %s', env, n));
            CALL history.set_value(env, 'entity/e' || 1 + floor(random() * 3) || '/survivorship', n);
        ELSIF roll < 0.5 AND (SELECT count(*) FROM mastering.fork) < 5 THEN
            fork := 'f' || i;
            INSERT INTO history.step (what) VALUES (format('fork %s as %s', env, fork));
            PERFORM mastering.fork_environment(env, fork);
            INSERT INTO history.model SELECT fork, m.path, m.value FROM history.model m WHERE m.environment = env;
            INSERT INTO history.given SELECT x.one, x.other, m.path, m.value FROM history.model m, (VALUES (env, fork), (fork, env)) x (one, other) WHERE m.environment = env;
        ELSIF roll < 0.53 THEN
            SELECT f.environment INTO fork FROM mastering.fork f WHERE NOT EXISTS (SELECT FROM mastering.fork g WHERE g.source = f.environment) ORDER BY random() LIMIT 1;
            CONTINUE WHEN fork IS NULL;
            INSERT INTO history.step (what) VALUES ('drop ' || fork);
            PERFORM mastering.drop_environment(fork);
            DELETE FROM history.model m WHERE m.environment = fork;
            DELETE FROM history.given g WHERE fork IN (g.one, g.other);
        ELSIF roll < 0.58 THEN
            INSERT INTO history.step (what) VALUES ('snapshot ' || env);
            PERFORM mastering.snapshot(env);
        ELSE
            SELECT p.origin, p.target INTO origin, env FROM (SELECT e.promotes_from, e.name FROM mastering.environment e WHERE e.promotes_from IS NOT NULL
                UNION SELECT f.environment, f.source FROM mastering.fork f) p (origin, target) ORDER BY random() LIMIT 1;
            INSERT INTO history.step (what) VALUES (format('promote %s -> %s', origin, env));
            CALL history.promote(origin, env);
        END IF;
        IF EXISTS (SELECT FROM history.differences()) THEN
            RAISE EXCEPTION 'step % (%): %', i, (SELECT s.what FROM history.step s ORDER BY s.n DESC LIMIT 1), (SELECT d FROM history.differences() d LIMIT 1);
        END IF;
        COMMIT;
    END LOOP;
    -- Any state can be had again, and the one before too.
    FOR i IN 1..steps / 10 LOOP
        SELECT s.environment, '#' || s.hash INTO origin, state FROM mastering.snapshot s JOIN mastering.environment e ON e.name = s.environment AND e.created_at <= s.created_at ORDER BY random() LIMIT 1;
        SELECT e.name INTO env FROM mastering.environment e WHERE NOT EXISTS (SELECT FROM mastering.fork f WHERE f.environment = e.name) ORDER BY random() LIMIT 1;
        SELECT c.tree::text INTO before FROM mastering.configuration c WHERE c.environment = env;
        fork := mastering.restore(env, state);
        IF EXISTS (SELECT FROM mastering.diff(env, state)) THEN
            RAISE EXCEPTION '% restored as % differs', env, state;
        END IF;
        PERFORM mastering.restore(env, fork);
        IF (SELECT c.tree::text FROM mastering.configuration c WHERE c.environment = env) <> before THEN
            RAISE EXCEPTION '% restored as % is not what it was', env, fork;
        END IF;
        COMMIT;
    END LOOP;
END $$;

SELECT create_environment('dev'), create_environment('test', 'dev'), create_environment('prod', 'test');
DO $$
BEGIN
    FOR i IN 1..3 LOOP
        PERFORM mastering.define_entity('dev', 'e' || i, '{"name": "text"}'), mastering.set_survivorship('dev', 'e' || i, jsonb_build_object('source_priority', jsonb_build_array('v' || i)));
    END LOOP;
    PERFORM mastering.promote('dev', 'test'), mastering.promote('test', 'prod');
    INSERT INTO history.model SELECT e, format('entity/e%s/survivorship', i), i FROM unnest('{dev,test,prod}'::text[]) e, generate_series(1, 3) i;
    INSERT INTO history.given SELECT x.one, x.other, format('entity/e%s/survivorship', i), i FROM (VALUES ('dev', 'test'), ('test', 'dev'), ('test', 'prod'), ('prod', 'test')) x (one, other), generate_series(1, 3) i;
END $$;
CALL history.run(120, 0.1);
CALL history.run(60, 0.2);
SELECT split_part(what, ' ', 1) AS what, count(*) > 0 AS done FROM history.step WHERE what !~ '^drop' GROUP BY 1 ORDER BY 1;
SELECT * FROM verify_snapshots();
SELECT count(drop_environment(f.name)) > 0 AS dropped FROM (SELECT f.environment AS name FROM mastering.fork f WHERE NOT EXISTS (SELECT FROM mastering.fork g WHERE g.source = f.environment)) f;
DO $$ BEGIN WHILE EXISTS (SELECT FROM mastering.fork) LOOP
    PERFORM mastering.drop_environment(f.environment) FROM (SELECT f.environment FROM mastering.fork f WHERE NOT EXISTS (SELECT FROM mastering.fork g WHERE g.source = f.environment) LIMIT 1) f;
END LOOP; END $$;
SELECT drop_environment('prod'), drop_environment('test'), drop_environment('dev');
SET client_min_messages = error;
DROP SCHEMA history CASCADE;
