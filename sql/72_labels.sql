-- 72_labels.sql: what people say of pairs of records, in an environment. Reviewers propose verdicts, curators (another
-- person) verify them, and only what is verified is used: train learns from it, master follows it.
--
-- Labels name records by source and key, so they outlive loads, runs, promotions and rollbacks. They are rows of the
-- stage where they were given. train and master put the verified ones into the tree, as the artifact
-- entity/<entity>/labels: from there they are part of the key of a run, of snapshots and of promotions. A rollback brings
-- an older artifact back into force and touches no label; the next train or master has them all again.
--
-- Labels are given, and models trained, in the first stage and in forks; the stages after it get both by promotion.

CREATE SEQUENCE mastering.label_id;
CREATE TABLE mastering.label (
    label_id    bigint PRIMARY KEY DEFAULT nextval('mastering.label_id'),
    environment text COLLATE "C" NOT NULL,
    entity      text COLLATE "C" NOT NULL,
    pair        text COLLATE "C" NOT NULL,
    source_a    text COLLATE "C" NOT NULL,
    key_a       text COLLATE "C" NOT NULL,
    source_b    text COLLATE "C" NOT NULL,
    key_b       text COLLATE "C" NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('match', 'non-match', 'unsure')),
    state       text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'verified', 'rejected', 'withdrawn', 'superseded')),
    comment     text,
    reviewer    text NOT NULL,
    login       text NOT NULL DEFAULT session_user,
    labelled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    curator     text,
    decided_at  timestamptz,
    CHECK ((source_a, key_a) < (source_b, key_b))
);
CREATE UNIQUE INDEX ON mastering.label (environment, entity, pair, reviewer) WHERE state = 'proposed';
CREATE UNIQUE INDEX ON mastering.label (environment, entity, pair) WHERE state = 'verified';
COMMENT ON TABLE mastering.label IS 'Verdicts on pairs of records, the decided and the superseded ones too.';
COMMENT ON COLUMN mastering.label.login IS 'Who was logged in when the reviewer said so: one person may have several roles.';
COMMENT ON COLUMN mastering.label.pair IS 'Hash of the two records'' sources and keys: keys may be longer than an index takes.';

CREATE TABLE mastering.label_queue (
    environment  text COLLATE "C" NOT NULL,
    entity       text COLLATE "C" NOT NULL,
    pair         text COLLATE "C" NOT NULL,
    basis        text NOT NULL,
    rank         int NOT NULL,
    record_a     text NOT NULL,
    record_b     text NOT NULL,
    weight       double precision NOT NULL,
    probability  double precision NOT NULL,
    reason       text NOT NULL,
    leased_to    text,
    leased_until timestamptz,
    PRIMARY KEY (environment, entity, pair)
);
COMMENT ON TABLE mastering.label_queue IS 'Pairs that wait for a verdict, and who has which in hand until when.';
COMMENT ON COLUMN mastering.label_queue.basis IS 'The model that chose the pair; pairs of another one make room.';

SELECT pg_catalog.pg_extension_config_dump('mastering.label', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.label_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.label_queue', '');

-- ---- helpers -------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.require_first_stage(env mastering.environment, what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_stage text := mastering.training_stage(env.name);
BEGIN
    IF first_stage <> env.name THEN
        RAISE EXCEPTION '% is refused in environment "%", which is promoted to from "%"', what, env.name, env.promotes_from
            USING ERRCODE = '55000', DETAIL = 'Labels and models are made in the first stage and come to the others by promotion.',
                  HINT = format('Do it in environment "%s".', first_stage);
    END IF;
END
$$;
COMMENT ON FUNCTION mastering.require_first_stage(mastering.environment, text) IS 'Raises 55000 where the environment is promoted to from another one.';

CREATE FUNCTION mastering.record_parts(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN strpos(record, ':') > 1 THEN ARRAY[split_part(record, ':', 1), substr(record, strpos(record, ':') + 1)] END
$$;
COMMENT ON FUNCTION mastering.record_parts(text) IS 'Source and key of a record written source:key; NULL where it is not.';

-- Two records in the order of labels, and their hash: source_a, key_a, source_b, key_b, pair.
CREATE FUNCTION mastering.ordered_pair(record_a text, record_b text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    a text[] := mastering.record_parts(record_a);
    b text[] := mastering.record_parts(record_b);
    quad text[];
BEGIN
    IF a IS NULL OR b IS NULL THEN
        RAISE EXCEPTION 'invalid name of a record: "%"', CASE WHEN a IS NULL THEN record_a ELSE record_b END
            USING ERRCODE = '22023', HINT = 'A record is written source:key, as next_pairs does.';
    END IF;
    IF (a[1] COLLATE "C", a[2] COLLATE "C") = (b[1] COLLATE "C", b[2] COLLATE "C") THEN
        RAISE EXCEPTION 'record "%" and itself are no pair', record_a USING ERRCODE = '22023';
    END IF;
    quad := CASE WHEN (a[1] COLLATE "C", a[2] COLLATE "C") < (b[1] COLLATE "C", b[2] COLLATE "C") THEN a || b ELSE b || a END;
    RETURN quad || mastering.json_hash(to_jsonb(quad));
END
$$;
COMMENT ON FUNCTION mastering.ordered_pair(text, text) IS 'Source and key of two records in the order of labels, and the hash of the four.';

CREATE FUNCTION mastering.label_rows(labels jsonb) RETURNS TABLE (id_a text, id_b text, is_match boolean)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (p.value ->> 0) || ':' || (p.value ->> 1), (p.value ->> 2) || ':' || (p.value ->> 3),
           CASE k.kind WHEN 'matches' THEN true WHEN 'non_matches' THEN false END
      FROM unnest(ARRAY['matches', 'non_matches', 'undecided']) k (kind) CROSS JOIN LATERAL jsonb_array_elements(coalesce(labels -> k.kind, '[]')) p
$$;
COMMENT ON FUNCTION mastering.label_rows(jsonb) IS 'Labels as the set functions take them, from {"matches": [[source, key, source, key], ...], "non_matches": [...]}.';

CREATE FUNCTION mastering.label_query(labels jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT l.id_a, l.id_b, l.is_match FROM mastering.label_rows(%L::pg_catalog.jsonb) l', labels)
$$;
COMMENT ON FUNCTION mastering.label_query(jsonb) IS 'The query of labels for the set functions.';

-- The labels in force: those in the tree, as far as this environment has not decided on the pair itself, and its own.
CREATE FUNCTION mastering.refresh_labels(env_name text, entity_name text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := mastering.path('entity', entity_name, 'labels');
    old jsonb := mastering.artifact_at((mastering.configuration_of(env_name)).tree, place);
    new jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM mastering.label l WHERE l.environment = env_name AND l.entity = entity_name AND l.state IN ('verified', 'withdrawn')) THEN
        RETURN old;
    END IF;
    SELECT jsonb_build_object('matches', coalesce(jsonb_agg(u.pair ORDER BY u.pair) FILTER (WHERE u.is_match), '[]'),
                              'non_matches', coalesce(jsonb_agg(u.pair ORDER BY u.pair) FILTER (WHERE NOT u.is_match), '[]')) INTO new
      FROM (SELECT jsonb_build_array(l.source_a, l.key_a, l.source_b, l.key_b) AS pair, l.verdict = 'match' AS is_match
              FROM mastering.label l WHERE l.environment = env_name AND l.entity = entity_name AND l.state = 'verified' AND l.verdict <> 'unsure'
            UNION ALL
            SELECT p.value, k.kind = 'matches' FROM unnest(ARRAY['matches', 'non_matches']) k (kind) CROSS JOIN LATERAL jsonb_array_elements(coalesce(old -> k.kind, '[]')) p
             WHERE NOT EXISTS (SELECT FROM mastering.label l WHERE l.environment = env_name AND l.entity = entity_name AND l.state IN ('verified', 'withdrawn')
                                  AND l.pair = mastering.json_hash(p.value))) u;
    IF new IS DISTINCT FROM old THEN
        PERFORM mastering.set_artifact(env_name, place, new);
    END IF;
    RETURN new;
END
$$;
COMMENT ON FUNCTION mastering.refresh_labels(text, text) IS 'Puts the verified labels of an entity into the tree, and returns them; NULL where there never were any.';

-- Whether the environment shows such a record.
CREATE FUNCTION mastering.record_is_published(env_name text, entity_name text, source_name text, record_key text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version jsonb := (SELECT h.versions -> (entity_name || '_records') FROM mastering.head h WHERE h.environment = env_name);
    hit boolean;
BEGIN
    IF version IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no records in environment "%" yet', entity_name, env_name
            USING ERRCODE = '55000', HINT = format('SELECT mastering.master(%L, %L)', env_name, entity_name);
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM mastering.%I s WHERE s."#source" = $1 AND s."#key" = $2 AND (%s))', 'store_' || (version ->> 'store'),
                   mastering.version_condition(version, 's')) INTO hit USING source_name, record_key;
    RETURN hit;
END
$$;
COMMENT ON FUNCTION mastering.record_is_published(text, text, text, text) IS 'Whether the views of an environment show a record.';

-- ---- proposing -------------------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_label_pair(env_name text, entity_name text, record_a text, record_b text, given text, remark text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    env mastering.environment := mastering.require(env_name, 'reviewer', 'curator');
    quad text[];
    said text := CASE lower(given) WHEN 'match' THEN 'match' WHEN 'non-match' THEN 'non-match' WHEN 'non_match' THEN 'non-match' WHEN 'unsure' THEN 'unsure' END;
    id bigint;
BEGIN
    PERFORM mastering.require_first_stage(env, 'labelling');
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF said IS NULL THEN
        RAISE EXCEPTION 'invalid verdict: "%"', given USING ERRCODE = '22023', HINT = 'A verdict is match, non-match or unsure.';
    END IF;
    quad := mastering.ordered_pair(record_a, record_b);
    FOR i IN 1 .. 3 BY 2 LOOP
        IF NOT mastering.record_is_published(env_name, entity_name, quad[i], quad[i + 1]) THEN
            RAISE EXCEPTION 'entity "%" has no record "%" in environment "%"', entity_name, quad[i] || ':' || quad[i + 1], env_name
                USING ERRCODE = '02000', HINT = format('The records are in %I.%I, columns source and record_key.', env_name, entity_name || '_records');
        END IF;
    END LOOP;
    -- A reviewer has one open verdict on a pair: the last one.
    UPDATE mastering.label l SET state = 'superseded', decided_at = clock_timestamp()
     WHERE l.environment = env_name AND l.entity = entity_name AND l.pair = quad[5] AND l.reviewer = mastering.caller() AND l.state = 'proposed';
    INSERT INTO mastering.label (environment, entity, pair, source_a, key_a, source_b, key_b, verdict, comment, reviewer)
    VALUES (env_name, entity_name, quad[5], quad[1], quad[2], quad[3], quad[4], said, remark, mastering.caller()) RETURNING label_id INTO id;
    DELETE FROM mastering.label_queue q WHERE q.environment = env_name AND q.entity = entity_name AND q.pair = quad[5];
    PERFORM mastering.audit(env_name, 'label', jsonb_build_object('label', id, 'entity', entity_name, 'verdict', said));
    RETURN id;
END
$$;
COMMENT ON FUNCTION mastering.do_label_pair(text, text, text, text, text, text) IS 'Behind label_pair.';

CREATE FUNCTION mastering.label_pair(env text, entity text, a text, b text, verdict text, comment text DEFAULT NULL) RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.label_pair(text, text, text, text, text, text) IS 'A reviewer''s verdict on two records (source:key): match, non-match or unsure. It is a proposal until a curator verifies it. Returns its number.';

-- ---- what to look at next --------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.fill_label_queue(env mastering.environment, entity_name text, new_basis text, wanted int) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tree jsonb := (mastering.configuration_of(env.name)).tree;
    attributes text := (SELECT string_agg(', r.' || quote_ident(a.value ->> 'name'), '' ORDER BY a.ordinality)
                          FROM jsonb_array_elements(mastering.artifact_at(tree, mastering.path('entity', entity_name)) -> 'attributes') WITH ORDINALITY a);
    known jsonb;
BEGIN
    -- What another model chose, and nobody has in hand, makes room.
    DELETE FROM mastering.label_queue q WHERE q.environment = env.name AND q.entity = entity_name AND q.basis <> new_basis
       AND (q.leased_until IS NULL OR q.leased_until < clock_timestamp());
    SELECT jsonb_build_object('matches', coalesce(jsonb_agg(p.pair) FILTER (WHERE p.said = 'match'), '[]'), 'non_matches', coalesce(jsonb_agg(p.pair) FILTER (WHERE p.said = 'non-match'), '[]'),
                              'undecided', coalesce(jsonb_agg(p.pair) FILTER (WHERE p.said = 'unsure'), '[]')) INTO known
      FROM (SELECT jsonb_build_array(l.source_a, l.key_a, l.source_b, l.key_b) AS pair,
                   coalesce(max(l.verdict) FILTER (WHERE l.state = 'verified'), 'unsure') AS said
              FROM mastering.label l WHERE l.environment = env.name AND l.entity = entity_name AND l.state IN ('proposed', 'verified') GROUP BY 1
            UNION ALL
            SELECT to_jsonb((mastering.ordered_pair(q.record_a, q.record_b))[1:4]), 'unsure' FROM mastering.label_queue q
             WHERE q.environment = env.name AND q.entity = entity_name) p;
    INSERT INTO mastering.label_queue (environment, entity, pair, basis, rank, record_a, record_b, weight, probability, reason)
    SELECT env.name, entity_name, (mastering.ordered_pair(u.id_a, u.id_b))[5], new_basis, u.n, u.id_a, u.id_b, u.weight, u.probability, u.reason
      FROM mastering.query_as(env.owner::name, format('SELECT u.id_a, u.id_b, u.weight, u.probability, u.reason, (row_number() OVER ())::int FROM mastering.uncertain_pairs(%L, %L, %s, %L) u',
               format('SELECT r.source || '':'' || r.record_key AS id, r.source%s FROM %I.%I r', attributes, env.name, entity_name || '_records'),
               mastering.model_of(tree, env.name, entity_name), wanted, mastering.label_query(known)), mastering.artifact_path(env.name), true)
           AS u (id_a text, id_b text, weight float8, probability float8, reason text, n int)
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION mastering.fill_label_queue(mastering.environment, text, text, int) IS 'Chooses pairs for the queue, none that has a verdict or is in it.';

CREATE FUNCTION mastering.lease_pairs(env_name text, entity_name text, wanted int, lease interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leased bigint;
BEGIN
    WITH free AS (
        -- First what the reviewer has in hand already. Rows that another session is leasing are passed over.
        SELECT q.pair FROM mastering.label_queue q
         WHERE q.environment = env_name AND q.entity = entity_name
           AND (q.leased_to = mastering.caller() OR q.leased_until IS NULL OR q.leased_until < clock_timestamp())
         ORDER BY (q.leased_to = mastering.caller() AND q.leased_until >= clock_timestamp()) DESC NULLS LAST, q.rank, q.pair
         LIMIT wanted FOR UPDATE SKIP LOCKED)
    UPDATE mastering.label_queue q SET leased_to = mastering.caller(), leased_until = clock_timestamp() + lease
      FROM free f WHERE q.environment = env_name AND q.entity = entity_name AND q.pair = f.pair;
    GET DIAGNOSTICS leased = ROW_COUNT;
    RETURN leased;
END
$$;
COMMENT ON FUNCTION mastering.lease_pairs(text, text, int, interval) IS 'Puts up to so many pairs of the queue into the caller''s hands.';

CREATE FUNCTION mastering.do_next_pairs(env_name text, entity_name text, wanted int, lease interval)
RETURNS TABLE (record_a text, record_b text, values_a jsonb, values_b jsonb, weight double precision, probability double precision, reason text, leased_until timestamptz)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    env mastering.environment := mastering.require(env_name, 'reviewer', 'curator');
    tree jsonb := (mastering.configuration_of(env_name)).tree;
    model_hash text;
BEGIN
    PERFORM mastering.require_first_stage(env, 'labelling');
    PERFORM mastering.require_entity(tree, env_name, entity_name);
    IF wanted IS NULL OR wanted NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'the number of pairs must be from 1 to 1000' USING ERRCODE = '22023', DETAIL = format('Found %s.', coalesce(wanted::text, 'NULL'));
    END IF;
    IF lease IS NULL OR lease < interval '1 second' OR lease > interval '30 days' THEN
        RAISE EXCEPTION 'a lease is from 1 second to 30 days' USING ERRCODE = '22023', DETAIL = format('Found %s.', coalesce(lease::text, 'NULL'));
    END IF;
    PERFORM mastering.record_is_published(env_name, entity_name, '', '');
    model_hash := mastering.json_hash(mastering.model_of(tree, env_name, entity_name));
    IF NOT EXISTS (SELECT FROM mastering.label_queue q WHERE q.environment = env_name AND q.entity = entity_name AND q.basis = model_hash)
       OR mastering.lease_pairs(env_name, entity_name, wanted, lease) < wanted THEN
        -- One session fills the queue; those who waited find it filled.
        PERFORM pg_advisory_xact_lock(hashtext('mastering.labels'), hashtext(env_name || '/' || entity_name));
        IF NOT EXISTS (SELECT FROM mastering.label_queue q WHERE q.environment = env_name AND q.entity = entity_name AND q.basis = model_hash)
           OR mastering.lease_pairs(env_name, entity_name, wanted, lease) < wanted THEN
            PERFORM mastering.fill_label_queue(env, entity_name, model_hash, least(greatest(5 * wanted, 200), 10000));
            PERFORM mastering.lease_pairs(env_name, entity_name, wanted, lease);
        END IF;
    END IF;
    RETURN QUERY
    WITH held AS MATERIALIZED (
        SELECT q.* FROM mastering.label_queue q WHERE q.environment = env_name AND q.entity = entity_name AND q.leased_to = mastering.caller()
           AND q.leased_until >= clock_timestamp() ORDER BY q.rank, q.pair LIMIT wanted)
    SELECT h.record_a, h.record_b, a.content, b.content, h.weight, h.probability, h.reason, h.leased_until
      FROM held h
      LEFT JOIN mastering.records_of(env, entity_name, ARRAY(SELECT x FROM held h2 CROSS JOIN LATERAL (VALUES (h2.record_a), (h2.record_b)) v (x))) a ON a.record = h.record_a
      LEFT JOIN mastering.records_of(env, entity_name, ARRAY(SELECT x FROM held h2 CROSS JOIN LATERAL (VALUES (h2.record_a), (h2.record_b)) v (x))) b ON b.record = h.record_b
     ORDER BY h.rank, h.pair;
END
$$;
COMMENT ON FUNCTION mastering.do_next_pairs(text, text, int, interval) IS 'Behind next_pairs.';

CREATE FUNCTION mastering.records_of(env mastering.environment, entity_name text, wanted text[]) RETURNS TABLE (record text, content jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT q.record, q.content FROM mastering.query_as(env.owner::name,
        format('SELECT r.source || '':'' || r.record_key, to_jsonb(r) - ''{source,record_key,cluster_id}''::text[] FROM %I.%I r WHERE (r.source, r.record_key) IN (SELECT p[1], p[2] FROM (SELECT mastering.record_parts(x) AS p FROM unnest(%L::text[]) x) s)',
               env.name, entity_name || '_records', wanted), mastering.artifact_path(env.name), true) AS q (record text, content jsonb);
END
$$;
COMMENT ON FUNCTION mastering.records_of(mastering.environment, text, text[]) IS 'The attributes of some records that an environment shows.';

CREATE FUNCTION mastering.next_pairs(env text, entity text, n integer DEFAULT 10, lease interval DEFAULT '15 minutes')
RETURNS TABLE (record_a text, record_b text, values_a jsonb, values_b jsonb, weight double precision, probability double precision, reason text, leased_until timestamptz)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.next_pairs(text, text, integer, interval) IS 'The pairs of records whose labels teach most, with their values. They are the caller''s for the time of the lease: another reviewer gets others. Who has pairs in hand gets these first.';

-- ---- verifying -------------------------------------------------------------------------------------------------------

-- ids NULL: all that nobody disputes.
-- One person in two roles is one person, as for approvals (policy "approvals", identity). A superuser may be anybody anyway.
CREATE FUNCTION mastering.is_own_label(env_name text, item mastering.label) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT item.reviewer = mastering.caller()
           OR item.login = session_user AND (SELECT p.identity FROM mastering.approval_policy(env_name) p) = 'login'
              AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = session_user AND r.rolsuper)
$$;
COMMENT ON FUNCTION mastering.is_own_label(text, mastering.label) IS 'Whether the caller gave a label, in this role or in another one under the same log-in.';

CREATE FUNCTION mastering.decide_labels(env_name text, entity_name text, ids bigint[], accept boolean, remark text)
RETURNS TABLE (label_id bigint, record_a text, record_b text, verdict text, reviewer text, outcome text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    env mastering.environment := mastering.require(env_name, 'curator');
    item mastering.label;
    wrong bigint;
BEGIN
    PERFORM mastering.require_first_stage(env, 'labelling');
    PERFORM pg_advisory_xact_lock(hashtext('mastering.verify'), hashtext(env_name || '/' || entity_name));
    SELECT i INTO wrong FROM unnest(ids) i WHERE NOT EXISTS (SELECT FROM mastering.label l WHERE l.label_id = i AND l.environment = env_name AND l.entity = entity_name
                                                                AND (l.state = 'proposed' OR l.state = 'verified' AND NOT accept)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'label % of entity "%" in environment "%" is not there or decided already', wrong, entity_name, env_name
            USING ERRCODE = '42704', HINT = 'mastering.labels shows each label with its state.';
    END IF;
    IF accept AND EXISTS (SELECT FROM unnest(ids) i JOIN mastering.label l ON l.label_id = i GROUP BY l.pair HAVING count(DISTINCT l.verdict) > 1) THEN
        RAISE EXCEPTION 'the labels contradict each other' USING ERRCODE = '22023', DETAIL = 'Two of them give one pair different verdicts.', HINT = 'Accept one of them.';
    END IF;
    FOR item IN SELECT l.* FROM mastering.label l WHERE l.environment = env_name AND l.entity = entity_name
                   AND (ids IS NULL AND l.state = 'proposed' OR l.label_id = ANY (ids)) ORDER BY l.label_id FOR UPDATE LOOP
        label_id := item.label_id;
        record_a := item.source_a || ':' || item.key_a;
        record_b := item.source_b || ':' || item.key_b;
        verdict := item.verdict;
        reviewer := item.reviewer;
        outcome := NULL;
        IF item.state = 'proposed' AND NOT EXISTS (SELECT FROM mastering.label l WHERE l.label_id = item.label_id AND l.state = 'proposed') THEN
            outcome := 'superseded';    -- an equal verdict on the pair came first
        ELSIF accept AND mastering.is_own_label(env_name, item) THEN
            IF ids IS NOT NULL AND item.reviewer <> mastering.caller() THEN
                RAISE EXCEPTION 'the label of "%" and "%" was given by "%", who cannot verify it too', record_a, record_b, item.reviewer
                    USING ERRCODE = '42501', DETAIL = format('You are "%s" now, by the same log-in "%s".', mastering.caller(), item.login),
                          HINT = 'Another curator verifies it. Policy "approvals" says whether a log-in is one person: {"count": 0, "identity": "role"}.';
            ELSIF ids IS NOT NULL THEN
                RAISE EXCEPTION 'the label of "%" and "%" was given by "%", who cannot verify it too', record_a, record_b, item.reviewer
                    USING ERRCODE = '42501', HINT = 'Another curator verifies it.';
            END IF;
            outcome := 'left: your own';
        ELSIF NOT accept THEN
            outcome := CASE item.state WHEN 'verified' THEN 'withdrawn' ELSE 'rejected' END;
        ELSIF ids IS NULL AND EXISTS (SELECT FROM mastering.label o WHERE o.environment = env_name AND o.entity = entity_name AND o.pair = item.pair
                                         AND o.state IN ('proposed', 'verified') AND o.verdict <> item.verdict) THEN
            outcome := 'left: disputed';
        ELSIF item.verdict = 'unsure' AND ids IS NULL THEN
            outcome := 'left: unsure';
        ELSE
            outcome := 'verified';
            UPDATE mastering.label l SET state = 'superseded', decided_at = clock_timestamp(), curator = mastering.caller()
             WHERE l.environment = env_name AND l.entity = entity_name AND l.pair = item.pair AND l.label_id <> item.label_id AND l.state IN ('proposed', 'verified');
        END IF;
        IF outcome IN ('verified', 'rejected', 'withdrawn') THEN
            UPDATE mastering.label l SET state = outcome, curator = mastering.caller(), decided_at = clock_timestamp(), comment = concat_ws(E'\n', l.comment, remark)
             WHERE l.label_id = item.label_id;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM mastering.audit(env_name, 'verify labels', jsonb_strip_nulls(jsonb_build_object('entity', entity_name, 'labels', to_jsonb(ids), 'accept', accept, 'comment', remark)));
END
$$;
COMMENT ON FUNCTION mastering.decide_labels(text, text, bigint[], boolean, text) IS 'Behind verify_labels.';

CREATE FUNCTION mastering.do_verify_labels(env_name text, entity_name text)
RETURNS TABLE (label_id bigint, record_a text, record_b text, verdict text, reviewer text, outcome text)
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT * FROM mastering.decide_labels(env_name, entity_name, NULL, true, NULL) $$;
COMMENT ON FUNCTION mastering.do_verify_labels(text, text) IS 'Behind verify_labels.';

CREATE FUNCTION mastering.do_verify_labels(env_name text, entity_name text, ids bigint[], accept boolean, remark text)
RETURNS TABLE (label_id bigint, record_a text, record_b text, verdict text, reviewer text, outcome text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ids IS NULL OR accept IS NULL THEN    -- an array_agg that finds nothing must not mean all
        RAISE EXCEPTION 'say which labels, and whether they are accepted'
            USING ERRCODE = '22004', DETAIL = 'ids or accept is NULL.', HINT = 'ids is an array of label_id, as mastering.labels shows them; without it all undisputed labels are verified.';
    END IF;
    RETURN QUERY SELECT * FROM mastering.decide_labels(env_name, entity_name, ids, accept, remark);
END
$$;
COMMENT ON FUNCTION mastering.do_verify_labels(text, text, bigint[], boolean, text) IS 'Behind verify_labels.';

CREATE FUNCTION mastering.verify_labels(env text, entity text)
RETURNS TABLE (label_id bigint, record_a text, record_b text, verdict text, reviewer text, outcome text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verify_labels(text, text) IS 'A curator verifies all labels that others have proposed and nobody disputes; train and master use them from now on. The others are shown with the reason why they were left.';

CREATE FUNCTION mastering.verify_labels(env text, entity text, ids bigint[], accept boolean DEFAULT true, comment text DEFAULT NULL)
RETURNS TABLE (label_id bigint, record_a text, record_b text, verdict text, reviewer text, outcome text)
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.verify_labels(text, text, bigint[], boolean, text) IS 'A curator''s word on certain labels, which then stands against others on the same pairs. accept => false rejects proposed labels and withdraws verified ones.';

-- ---- looking at labels -----------------------------------------------------------------------------------------------

CREATE VIEW mastering.labels WITH (security_barrier) AS
    SELECT l.label_id, l.environment, l.entity, l.source_a || ':' || l.key_a AS record_a, l.source_b || ':' || l.key_b AS record_b, l.verdict, l.state, l.reviewer, l.labelled_at,
           l.curator, l.decided_at, l.comment,
           l.state IN ('proposed', 'verified') AND EXISTS (SELECT FROM mastering.label o WHERE o.environment = l.environment AND o.entity = l.entity AND o.pair = l.pair
               AND o.state IN ('proposed', 'verified') AND o.verdict <> l.verdict) AS disputed
      FROM mastering.label l WHERE mastering.visible(l.environment, l.labelled_at);
COMMENT ON VIEW mastering.labels IS 'What was said of pairs of records, by whom, and what became of it. disputed: others say otherwise.';
GRANT SELECT ON mastering.labels TO PUBLIC;

CREATE FUNCTION mastering.do_label_conflicts(env_name text, entity_name text) RETURNS TABLE (kind text, record_a text, record_b text, detail text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer');
    RETURN QUERY
    SELECT CASE WHEN bool_or(l.state = 'verified') THEN 'against a verified label' ELSE 'reviewers disagree' END, l.source_a || ':' || l.key_a, l.source_b || ':' || l.key_b,
           string_agg(format('%s: %s (label %s%s)', l.reviewer, l.verdict, l.label_id, CASE l.state WHEN 'verified' THEN ', verified' ELSE '' END), '; ' ORDER BY l.label_id)
      FROM mastering.label l WHERE l.environment = env_name AND l.entity = entity_name AND l.state IN ('proposed', 'verified')
     GROUP BY l.pair, l.source_a, l.key_a, l.source_b, l.key_b HAVING count(DISTINCT l.verdict) > 1
     ORDER BY 2, 3;
    -- Verified matches that lead, one after the other, from one record to another that is labelled as none.
    RETURN QUERY
    WITH RECURSIVE verified AS MATERIALIZED (
        SELECT l.source_a || ':' || l.key_a AS a, l.source_b || ':' || l.key_b AS b, l.verdict, l.label_id FROM mastering.label l
         WHERE l.environment = env_name AND l.entity = entity_name AND l.state = 'verified'),
    same AS MATERIALIZED (SELECT v.a, v.b FROM verified v WHERE v.verdict = 'match' UNION SELECT v.b, v.a FROM verified v WHERE v.verdict = 'match'),
    reached AS (
        SELECT DISTINCT v.a AS start, v.a AS record FROM verified v WHERE v.verdict = 'non-match'
        UNION
        SELECT r.start, s.b FROM reached r JOIN same s ON s.a = r.record)
    SELECT 'matches contradict', v.a, v.b, format('label %s says non-match, and matches lead from one record to the other', v.label_id)
      FROM verified v JOIN reached r ON r.start = v.a AND r.record = v.b WHERE v.verdict = 'non-match' ORDER BY v.a, v.b;
END
$$;
COMMENT ON FUNCTION mastering.do_label_conflicts(text, text) IS 'Behind label_conflicts.';

CREATE FUNCTION mastering.label_conflicts(env text, entity text) RETURNS TABLE (kind text, record_a text, record_b text, detail text)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.label_conflicts(text, text) IS 'Pairs on which reviewers disagree, or disagree with what is verified, and verified non-matches that verified matches contradict; in runs the non-match holds.';

-- ---- models side by side ---------------------------------------------------------------------------------------------

CREATE FUNCTION mastering.do_keep_model(env_name text, entity_name text, model_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    document jsonb;
BEGIN
    PERFORM mastering.require_author(env_name);
    PERFORM mastering.require_entity((mastering.configuration_of(env_name)).tree, env_name, entity_name);
    IF model_name IS NULL OR model_name = '' OR octet_length(model_name) > 100 THEN
        RAISE EXCEPTION 'invalid name of a model: "%"', model_name USING ERRCODE = '42602', DETAIL = 'It has 1 to 100 bytes.';
    END IF;
    document := mastering.artifact_at((mastering.configuration_of(env_name)).tree, mastering.path('entity', entity_name, 'model'));
    IF document IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no model in environment "%"', entity_name, env_name USING ERRCODE = '55000', HINT = format('SELECT mastering.train(%L, %L)', env_name, entity_name);
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'models', model_name), document);
END
$$;
COMMENT ON FUNCTION mastering.do_keep_model(text, text, text) IS 'Behind keep_model.';
CREATE FUNCTION mastering.keep_model(env text, entity text, name text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.keep_model(text, text, text) IS 'Keeps the model that an entity has now under a name, beside others.';

CREATE FUNCTION mastering.do_use_model(env_name text, entity_name text, model_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tree jsonb;
    document jsonb;
BEGIN
    PERFORM mastering.require_author(env_name);
    tree := (mastering.configuration_of(env_name)).tree;
    document := mastering.artifact_at(tree, mastering.path('entity', entity_name, 'models', model_name));
    IF document IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no model "%" in environment "%"', entity_name, model_name, env_name
            USING ERRCODE = '42704', HINT = format('SELECT * FROM mastering.models(%L, %L)', env_name, entity_name);
    END IF;
    -- Or the next run would refuse it (model_of).
    IF document ->> 'spec' <> mastering.json_hash(mastering.spec_of(tree, entity_name)) THEN
        RAISE EXCEPTION 'model "%" of entity "%" in environment "%" was trained with other rules', model_name, entity_name, env_name
            USING ERRCODE = '55000', DETAIL = 'Blocking or comparisons were changed since it was trained.',
                  HINT = format('Set them back with mastering.set_blocking and mastering.set_comparisons first, or train one with those in force: SELECT mastering.train(%L, %L)',
                                mastering.training_stage(env_name), entity_name);
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'model'), document);
END
$$;
COMMENT ON FUNCTION mastering.do_use_model(text, text, text) IS 'Behind use_model.';
CREATE FUNCTION mastering.use_model(env text, entity text, name text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.use_model(text, text, text) IS 'Makes a model that was kept under a name the one that runs use. The rules in force must be those it was trained with.';

CREATE FUNCTION mastering.do_drop_model(env_name text, entity_name text, model_name text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM mastering.require_author(env_name);
    IF (mastering.configuration_of(env_name)).tree ->> mastering.path('entity', entity_name, 'models', model_name) IS NULL THEN
        RAISE EXCEPTION 'entity "%" has no model "%" in environment "%"', entity_name, model_name, env_name USING ERRCODE = '42704';
    END IF;
    PERFORM mastering.set_artifact(env_name, mastering.path('entity', entity_name, 'models', model_name), NULL);
END
$$;
COMMENT ON FUNCTION mastering.do_drop_model(text, text, text) IS 'Behind drop_model.';
CREATE FUNCTION mastering.drop_model(env text, entity text, name text) RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.drop_model(text, text, text) IS 'Drops a model that was kept under a name; the one in force stays.';

CREATE FUNCTION mastering.do_models(env_name text, entity_name text) RETURNS TABLE (name text, in_force boolean, hash text, trained_on bigint, labels jsonb, threshold double precision, model jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    tree jsonb;
BEGIN
    PERFORM mastering.require(env_name, 'author', 'curator', 'reviewer', 'loader');
    tree := (mastering.configuration_of(env_name)).tree;
    PERFORM mastering.require_entity(tree, env_name, entity_name);
    RETURN QUERY
    SELECT CASE WHEN t.key LIKE 'entity/%/models/%' THEN mastering.step(t.key, 4) END, t.value = tree ->> mastering.path('entity', entity_name, 'model'), left(t.value, 12),
           (a.content #>> '{model,training,records}')::bigint, a.content #> '{model,training,labels}', (a.content #>> '{model,threshold}')::float8, a.content -> 'model'
      FROM jsonb_each_text(tree) t JOIN mastering.artifact a ON a.hash = t.value
     WHERE t.key = mastering.path('entity', entity_name, 'model') OR t.key LIKE 'entity/%/models/%' AND mastering.step(t.key, 2) = entity_name
     ORDER BY 1 NULLS FIRST;
END
$$;
COMMENT ON FUNCTION mastering.do_models(text, text) IS 'Behind models.';
CREATE FUNCTION mastering.models(env text, entity text) RETURNS TABLE (name text, in_force boolean, hash text, trained_on bigint, labels jsonb, threshold double precision, model jsonb)
    LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_guard';
COMMENT ON FUNCTION mastering.models(text, text) IS 'The models of an entity: first, without a name, the one that runs use, then those kept under a name. What two of them make of the records compare_clusters shows.';

REVOKE ALL ON FUNCTION mastering.require_first_stage(mastering.environment, text), mastering.decide_labels(text, text, bigint[], boolean, text), mastering.ordered_pair(text, text), mastering.label_query(jsonb), mastering.refresh_labels(text, text),
    mastering.record_is_published(text, text, text, text), mastering.fill_label_queue(mastering.environment, text, text, int), mastering.lease_pairs(text, text, int, interval),
    mastering.records_of(mastering.environment, text, text[]) FROM PUBLIC;
