-- 99_grants.sql: nobody but the owner may call what works behind the doors; the doors themselves check their callers.

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT p.oid::pg_catalog.regprocedure AS name, p.prokind, p.prosrc, p.proname
               FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
               JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'mastering'
              WHERE p.pronamespace = 'mastering'::pg_catalog.regnamespace
                AND (p.proname LIKE 'do\_%' OR p.proname = ANY (ARRAY['store_for', 'begin_segment', 'finish_segment', 'drop_segment', 'make_version', 'stored_vector',
                    'changed_version', 'deletions_query', 'version_condition', 'create_head', 'set_head', 'announce_head', 'query_as', 'query_dependencies', 'is_settled', 'is_reproducible', 'role_of_mapping', 'role_of_model', 'rule_expressions', 'rule_query', 'refuse_volatile', 'storable_type', 'may', 'require', 'require_author', 'audit',
                    'lock_environment', 'configuration_of', 'artifact_at', 'set_artifact', 'apply_grants', 'require_entity', 'check_expression', 'set_rules',
                    'entity_store', 'view_query', 'pairs_query', 'replace_view', 'sync_view', 'sync_entity_views', 'sync_views', 'sync_next_views', 'drop_views', 'load_source', 'show_next',
                    'show_source', 'sources_of', 'map_records', 'spec_of', 'model_of', 'assign_ids', 'write_segment', 'rows_query', 'segments_of', 'rows_of_clusters', 'note_before', 'next_version', 'replaced_version', 'compacted_version', 'make_partition',
                    'drop_work_tables', 'changed_clusters', 'make_outputs', 'notify', 'note_failure', 'noted_failure', 'run_checks', 'checks_of', 'run_load_checks', 'record_outside', 'write_failure',
                    'current_state', 'snapshot_state', 'resolve_state', 'take_snapshot', 'snapshot_before', 'snapshot_hash', 'last_promotion', 'make_proposal', 'prepare_outputs', 'switch_state',
                    'require_release', 'require_order', 'raise_again', 'require_not_held', 'promote_now', 'promote_or_record', 'open_release', 'deletion_vector_union', 'deletion_vector_count', 'deletion_vector_rows', 'chain_audit_entry',
                    'index_keys', 'curation_in_force', 'curation_of_clusters', 'curation_of_values', 'curated_pairs', 'verdicts_query', 'lock_partition', 'override_values', 'overridden_clusters', 'override_marks',
                    'merge_curation', 'members_of', 'add_curation', 'end_decisions', 'require_unlocked', 'part_cluster', 'row_hash', 'row_image_hash', 'next_row_no', 'check_unions', 'rows_hash', 'rows_hash_add', 'rows_hash_final', 'deletion_vector_agg', 'deletion_vector_add',
                    'deletion_vector_final', 'type_name', 'relation_name', 'relation_columns', 'key_columns', 'mapping_list', 'column_list', 'artifact_path', 'key_expression', 'object_expression',
                    'source_columns', 'record_columns', 'golden_columns', 'versioned_name', 'path', 'step', 'input_query', 'engine_revision', 'history_query', 'merge_trees',
                    'entities_of', 'changed_entities', 'audit_hash', 'state_hash', 'refuse_change', 'caller',
                    'role_may', 'drop_environment_now', 'snapshot_of', 'taken_from_side', 'reads_origin', 'require_origin_reader', 'revoke_from_copies', 'grant_copies', 'copied_views', 'copy_views', 'make_views', 'complete_next_views', 'drop_forks',
                    'ancestors', 'begun_from', 'merge_base', 'base_in_log', 'base_tree', 'merged_labels', 'brought_by', 'holds_of', 'note_left_out', 'checked_artifact', 'stored_resolutions', 'conflicts_of',
                    'require_same_readers', 'frozen_query', 'needed_snapshots', 'problems_of_segments', 'shown_value', 'side_query', 'keys_query', 'lost_query', 'diff_versions',
                    'run_inputs', 'golden_keys', 'brief_inputs', 'decisions_in_force', 'not_local', 'tell_of_full_run', 'why_full', 'note_changes', 'note_decided', 'scope_query', 'read_rows', 'read_wanted', 'leave_unchanged', 'read_clusters', 'note_near', 'scope_of_parts', 'links_query', 'regroup', 'increment', 'plan_run', 'neighbours', 'key_neighbours', 'present_shares', 'note_levels', 'run_basis', 'hand_over', 'find_links', 'measure_drift', 'elements_of', 'key_spec', 'large_block', 'tally', 'changed_tally', 'tally_counters', 'record_runs', 'counter_values', 'judge_counters', 'bounds_document', 'check_bounds', 'schemas_of',
                    'revoke_views', 'candidate_named', 'show_candidate', 'create_candidate_schema', 'remove_candidate', 'check_candidate', 'live_key', 'explain_run',
                    'last_backup', 'explain_backup', 'require_backup', 'set_restore_point', 'entity_document', 'check_document', 'clustering_document', 'source_document',
                    'pipeline_document', 'require_rules', 'require_attributes', 'expressions_hold', 'training_stage', 'valid_artifact', 'is_bindable', 'is_own_label']))
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, f.name);
    END LOOP;
END
$$;

GRANT SELECT ON mastering.environments, mastering.snapshots, mastering.releases, mastering.audit_log, mastering.check_results, mastering.curations, mastering.runs, mastering.candidates TO PUBLIC;
