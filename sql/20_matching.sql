-- 20_matching.sql: the set functions. They run a query that the caller gives, as the caller, and keep nothing.

CREATE FUNCTION mastering.candidate_pairs(query text, spec jsonb)
RETURNS TABLE (id_a text, id_b text, rules integer[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_candidate_pairs';
COMMENT ON FUNCTION mastering.candidate_pairs(text, jsonb) IS
'The pairs of records that share a key of a blocking rule, each pair once, with the numbers of the rules that find it (from 1).';

CREATE FUNCTION mastering.candidate_pairs_as(id_type anyelement, query text, spec jsonb)
RETURNS TABLE (id_a anyelement, id_b anyelement, rules integer[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_candidate_pairs';
COMMENT ON FUNCTION mastering.candidate_pairs_as(anyelement, text, jsonb) IS
'candidate_pairs with ids in the type of the first argument: candidate_pairs_as(NULL::bigint, query, spec).';

CREATE FUNCTION mastering.block_keys(query text, spec jsonb)
RETURNS TABLE (id text, rule integer, key bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_block_keys';
COMMENT ON FUNCTION mastering.block_keys(text, jsonb) IS
'The keys of each record for the blocking rules (numbered from 1) as 64-bit hashes: two records are a candidate pair of a rule when they share one. Rules with top_k have none.';

CREATE FUNCTION mastering.match_pairs(query text, model jsonb, threshold double precision DEFAULT NULL)
RETURNS TABLE (id_a text, id_b text, weight double precision, probability double precision, levels smallint[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_pairs';
COMMENT ON FUNCTION mastering.match_pairs(text, jsonb, double precision) IS
'The pairs whose match probability reaches the threshold (the model''s own when NULL): weight in bits (log2 of the odds), probability, and the level of each comparison in the model''s order: 0 missing, 1 exact, then the thresholds, last else.';

CREATE FUNCTION mastering.match_pairs_as(id_type anyelement, query text, model jsonb, threshold double precision DEFAULT NULL)
RETURNS TABLE (id_a anyelement, id_b anyelement, weight double precision, probability double precision, levels smallint[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_pairs';
COMMENT ON FUNCTION mastering.match_pairs_as(anyelement, text, jsonb, double precision) IS
'match_pairs with ids in the type of the first argument: match_pairs_as(NULL::bigint, query, model).';

CREATE FUNCTION mastering.match_links(query text, model jsonb, threshold double precision DEFAULT NULL)
RETURNS TABLE (id_a text, id_b text, weight double precision, probability double precision, levels smallint[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_links';
COMMENT ON FUNCTION mastering.match_links(text, jsonb, double precision) IS
'match_pairs for what is new: only the pairs with a record that the boolean column "#probe" of the query marks. Records that are not marked are not compared with each other.';

CREATE FUNCTION mastering.match_clusters(query text, model jsonb, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id text, cluster_id text, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_clusters';
COMMENT ON FUNCTION mastering.match_clusters(text, jsonb, double precision, text) IS
'Each record with the cluster it belongs to (named by the least id of its members), the number of members, and the weight in bits of the weakest link that holds the cluster together (NULL for a record alone). labels (a query of id_a, id_b, is_match) are followed: records labelled as a match are put together, records labelled as none are kept apart; where labels contradict each other by way of other records, apart, and a pair that is labelled both ways is an error, as it is in train_model.';

CREATE FUNCTION mastering.match_clusters_as(id_type anyelement, query text, model jsonb, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id anyelement, cluster_id anyelement, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_match_clusters';
COMMENT ON FUNCTION mastering.match_clusters_as(anyelement, text, jsonb, double precision, text) IS
'match_clusters with ids in the type of the first argument: match_clusters_as(NULL::bigint, query, model).';

CREATE FUNCTION mastering.blocking_report(query text, spec jsonb, truth text DEFAULT NULL)
RETURNS TABLE (rule integer, key text, keys bigint, blocks bigint, pairs bigint, new_pairs bigint, largest_block bigint,
               cut_blocks bigint, cut_pairs bigint, completeness double precision, new_completeness double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'mastering_blocking_report';
COMMENT ON FUNCTION mastering.blocking_report(text, jsonb, text) IS
'A row for each blocking rule: records with a key, blocks of at least two records, pairs, pairs that no earlier rule finds, the largest block, blocks compared within a window only and the pairs that left out. With truth (a query of id, entity_id) also the share of true pairs that the rule finds, and that it alone adds to the rules before it.';

CREATE FUNCTION mastering.train_model(query text, spec jsonb, labels text DEFAULT NULL)
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mastering_train_model';
COMMENT ON FUNCTION mastering.train_model(text, jsonb, text) IS
'The specification with trained weights: by expectation maximisation without labels; labels (a query of id_a, id_b, is_match) correct them by a logistic regression with that as its prior, as strongly held as cross-validation says, and choose the threshold where the specification leaves it at 0.5.';

CREATE FUNCTION mastering.explain_pair(query text, model jsonb, id_a text, id_b text)
RETURNS TABLE (comparison text, value_a text, value_b text, similarity double precision, level text,
               weight double precision, total double precision, probability double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'mastering_explain_pair';
COMMENT ON FUNCTION mastering.explain_pair(text, jsonb, text, text) IS
'Why two records match or do not: a row for the prior and for each comparison with both values as they were compared, their similarity (or distance), level, weight in bits, and the running total with its probability.';

CREATE FUNCTION mastering.dedupe(query text, spec jsonb DEFAULT NULL, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id text, cluster_id text, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_dedupe';
COMMENT ON FUNCTION mastering.dedupe(text, jsonb, double precision, text) IS
'The whole thing in one call: match_clusters with the given model, or with the given specification trained on the data, or with a specification suggested from the data. labels (a query of id_a, id_b, is_match) train the model, where it is not trained, and are followed by the clusters.';

CREATE FUNCTION mastering.dedupe_as(id_type anyelement, query text, spec jsonb DEFAULT NULL, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS TABLE (id anyelement, cluster_id anyelement, size bigint, weakest_link double precision)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100000
AS 'MODULE_PATHNAME', 'mastering_dedupe';
COMMENT ON FUNCTION mastering.dedupe_as(anyelement, text, jsonb, double precision, text) IS
'dedupe with ids in the type of the first argument: dedupe_as(NULL::bigint, query).';

CREATE FUNCTION mastering.dedupe_into(target regclass, query text, spec jsonb DEFAULT NULL, threshold double precision DEFAULT NULL, labels text DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'mastering_dedupe_into';
COMMENT ON FUNCTION mastering.dedupe_into(regclass, text, jsonb, double precision, text) IS
'dedupe into a table, for millions of records: pages of rows at a time, where INSERT and CREATE TABLE AS write row by row. The table is one that the caller may insert into, without index, trigger or constraint yet, and has the columns id and cluster_id of the ids'' type, and size bigint and weakest_link double precision where these are wanted. Returns the number of rows.';

CREATE FUNCTION mastering.uncertain_pairs(query text, model jsonb, n integer DEFAULT 100, labels text DEFAULT NULL)
RETURNS TABLE (id_a text, id_b text, weight double precision, probability double precision, reason text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
AS 'MODULE_PATHNAME', 'mastering_uncertain_pairs';
COMMENT ON FUNCTION mastering.uncertain_pairs(text, jsonb, integer, text) IS
'Up to n pairs whose labels teach most, none that labels (a query of id_a, id_b, is_match; NULL where nobody can tell) hold or imply already. reason: doubt (the model cannot tell), cluster (the clusters say otherwise than the pair, or much hangs on it), spread (drawn by lot from its part of the score range).';

CREATE FUNCTION mastering.uncertain_pairs_as(id_type anyelement, query text, model jsonb, n integer DEFAULT 100, labels text DEFAULT NULL)
RETURNS TABLE (id_a anyelement, id_b anyelement, weight double precision, probability double precision, reason text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
AS 'MODULE_PATHNAME', 'mastering_uncertain_pairs';
COMMENT ON FUNCTION mastering.uncertain_pairs_as(anyelement, text, jsonb, integer, text) IS
'uncertain_pairs with ids in the type of the first argument: uncertain_pairs_as(NULL::bigint, query, model, 100).';
