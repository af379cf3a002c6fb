-- 50_store.sql: versioned storage. A store is a table LIST-partitioned by segment; a segment is written once
-- and never changed; a version is a list of segments and, where rows went away, deletion vectors. The head
-- row of an environment says which version of each relation its views show. See src/storage/in_version.c.
--
-- Every store begins with the columns "#segment" and "#row"; users' columns never begin with '#'.

-- ---- the operator class that stores are partitioned by ------------------------------------------------------

CREATE FUNCTION mastering.segment_eq_support(internal) RETURNS internal
    LANGUAGE C STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_segment_eq_support';
COMMENT ON FUNCTION mastering.segment_eq_support(internal) IS 'Planner support: a segment''s number is known once the planner has come to the segment.';

CREATE FUNCTION mastering.segment_eq(segment_id int4, wanted int4) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF SUPPORT mastering.segment_eq_support
    AS 'MODULE_PATHNAME', 'mastering_segment_eq';
COMMENT ON FUNCTION mastering.segment_eq(int4, int4) IS 'Equality of segment numbers; the planner resolves it in each segment.';

CREATE OPERATOR mastering.=== (
    FUNCTION = mastering.segment_eq, LEFTARG = int4, RIGHTARG = int4,
    COMMUTATOR = OPERATOR(mastering.===), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR mastering.=== (int4, int4) IS 'Equality of segment numbers; the planner resolves it in each segment.';

CREATE OPERATOR FAMILY mastering.segment_ops USING btree;
CREATE OPERATOR CLASS mastering.segment_ops FOR TYPE int4 USING btree FAMILY mastering.segment_ops AS
    OPERATOR 1 < , OPERATOR 2 <= , OPERATOR 3 mastering.=== , OPERATOR 4 >= , OPERATOR 5 > ,
    FUNCTION 1 pg_catalog.btint4cmp(int4, int4);

-- ---- the predicates that views are made of ------------------------------------------------------------------

CREATE FUNCTION mastering.in_version_support(internal) RETURNS internal
    LANGUAGE C STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_in_version_support';
COMMENT ON FUNCTION mastering.in_version_support(internal) IS 'Planner support: the version that an environment shows becomes a constant list of segments.';

CREATE FUNCTION mastering.is_deleted_support(internal) RETURNS internal
    LANGUAGE C STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_is_deleted_support';
COMMENT ON FUNCTION mastering.is_deleted_support(internal) IS 'Planner support: which segments have deletions, and how many.';

CREATE FUNCTION mastering.in_version(view_name text, segment_id int4, row_no int4) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100 SUPPORT mastering.in_version_support
    AS 'MODULE_PATHNAME', 'mastering_in_version';
COMMENT ON FUNCTION mastering.in_version(text, int4, int4) IS 'Whether a row of a store belongs to the version that an environment shows under this name; resolved at plan time.';

CREATE FUNCTION mastering.is_deleted(vector bigint, row_no int4) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE SUPPORT mastering.is_deleted_support
    AS 'MODULE_PATHNAME', 'mastering_is_deleted';
COMMENT ON FUNCTION mastering.is_deleted(bigint, int4) IS 'Whether a stored deletion vector removes the row.';

CREATE FUNCTION mastering.is_deleted(segments int4[], vectors bigint[], segment_id int4, row_no int4) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL SAFE SUPPORT mastering.is_deleted_support
    AS 'MODULE_PATHNAME', 'mastering_is_deleted_in';
COMMENT ON FUNCTION mastering.is_deleted(int4[], bigint[], int4, int4) IS 'Whether the deletion vector of the row''s segment, if it has one, removes the row.';

-- ---- building deletion vectors ------------------------------------------------------------------------------

CREATE FUNCTION mastering.deletion_vector_add(state internal, row_no int4) RETURNS internal
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_add';
COMMENT ON FUNCTION mastering.deletion_vector_add(internal, int4) IS 'Transition function of deletion_vector_agg.';

CREATE FUNCTION mastering.deletion_vector_final(state internal) RETURNS bytea
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_final';
COMMENT ON FUNCTION mastering.deletion_vector_final(internal) IS 'Final function of deletion_vector_agg.';

CREATE AGGREGATE mastering.deletion_vector_agg(row_no int4) (
    SFUNC = mastering.deletion_vector_add, STYPE = internal, FINALFUNC = mastering.deletion_vector_final
);
COMMENT ON AGGREGATE mastering.deletion_vector_agg(int4) IS 'A Roaring bitmap, in the portable format, of row numbers.';

CREATE FUNCTION mastering.deletion_vector_union(a bytea, b bytea) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_union';
COMMENT ON FUNCTION mastering.deletion_vector_union(bytea, bytea) IS 'The rows that either vector removes.';

CREATE FUNCTION mastering.deletion_vector_count(vector bytea) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_count';
COMMENT ON FUNCTION mastering.deletion_vector_count(bytea) IS 'How many rows the vector removes.';

CREATE FUNCTION mastering.deletion_vector_rows(vector bigint, less bigint) RETURNS int4[]
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'mastering_deletion_vector_rows';
COMMENT ON FUNCTION mastering.deletion_vector_rows(bigint, bigint) IS 'The rows that one stored vector removes and another (0: none) does not, in order.';

CREATE FUNCTION mastering.announce_head(anchor text) RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'mastering_announce_head';
COMMENT ON FUNCTION mastering.announce_head(text) IS 'Tells all backends that the head that belongs to an anchor has changed; called right after the change.';

-- ---- tables ---------------------------------------------------------------------------------------------------

CREATE SEQUENCE mastering.store_id AS int;
CREATE TABLE mastering.store (
    store_id    int PRIMARY KEY DEFAULT nextval('mastering.store_id'),
    kind        text NOT NULL CHECK (kind IN ('source', 'records', 'keys', 'members', 'golden', 'lineage', 'history')),
    entity      text NOT NULL,
    source      text NOT NULL DEFAULT '',
    columns     jsonb NOT NULL,
    indexes     jsonb NOT NULL DEFAULT '[]',
    UNIQUE (kind, entity, source, columns)
);
COMMENT ON TABLE mastering.store IS 'One row a store: the table mastering.store_<id>, found by what it holds and by its columns, so that a store''s columns never change.';
COMMENT ON COLUMN mastering.store.columns IS 'Array of {"name", "type"} after #segment and #row.';
COMMENT ON COLUMN mastering.store.indexes IS 'Array of arrays of column names; every segment has these indexes.';

CREATE SEQUENCE mastering.segment_id AS int;
CREATE TABLE mastering.segment (
    segment_id  int PRIMARY KEY,
    store_id    int NOT NULL,
    row_count   bigint NOT NULL,
    hash        text NOT NULL,
    derived_from text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON mastering.segment (store_id);
CREATE UNIQUE INDEX ON mastering.segment (derived_from) WHERE derived_from IS NOT NULL;
COMMENT ON TABLE mastering.segment IS 'One row a segment: the table mastering.segment_<id>, a partition of its store, never changed once written.';
COMMENT ON COLUMN mastering.segment.hash IS 'SHA-256 of the rows in the order of their numbers.';
COMMENT ON COLUMN mastering.segment.derived_from IS 'Where the segment is a pure function of others (mapped records): the hash of what it was made from, by which it is found again.';

CREATE TABLE mastering.shell (
    segment_id  int PRIMARY KEY,
    store_id    int NOT NULL
);
COMMENT ON TABLE mastering.shell IS 'Segments that garbage collection has emptied: partitions without rows, to be filled again or dropped.';

CREATE SEQUENCE mastering.deletion_vector_id;
CREATE TABLE mastering.deletion_vector (
    vector_id   bigint PRIMARY KEY DEFAULT nextval('mastering.deletion_vector_id'),
    segment_id  int NOT NULL,
    row_count   bigint NOT NULL,
    hash        text NOT NULL,
    bitmap      bytea NOT NULL,
    UNIQUE (segment_id, hash)
);
ALTER TABLE mastering.deletion_vector ALTER COLUMN bitmap SET STORAGE EXTERNAL;    -- as small as it gets: trying takes longer than writing
COMMENT ON TABLE mastering.deletion_vector IS 'Rows of a segment that a version does not have, as a Roaring bitmap in the portable format; never changed.';

CREATE SEQUENCE mastering.head_generation;
CREATE TABLE mastering.head (
    environment text COLLATE "C" PRIMARY KEY CHECK (octet_length(environment) BETWEEN 1 AND 63),
    generation  bigint NOT NULL DEFAULT nextval('mastering.head_generation'),
    anchor      text NOT NULL,
    versions    jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
COMMENT ON TABLE mastering.head IS 'One row an environment: what its views show now. Read by in_version() below the privilege checks.';
COMMENT ON COLUMN mastering.head.generation IS 'Another one after every change, so that equal generations mean equal rows.';
COMMENT ON COLUMN mastering.head.anchor IS 'Empty relation in this schema whose invalidation announces a new head.';
COMMENT ON COLUMN mastering.head.versions IS 'Relation name -> {"store", "segments", "vectors", "rows", "hash"}; vectors has 0 where a segment has no deletions.';

SELECT pg_catalog.pg_extension_config_dump('mastering.store', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.store_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.segment', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.segment_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.shell', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.deletion_vector', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.deletion_vector_id', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.head', '');
SELECT pg_catalog.pg_extension_config_dump('mastering.head_generation', '');
