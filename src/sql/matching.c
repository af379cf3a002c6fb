/*
 * matching.c: the set functions: candidate_pairs, match_pairs, match_clusters, blocking_report,
 * train_model, uncertain_pairs, and the twins that return ids in their own type.
 *
 * Rows go through a tuplestore, which spills to temporary files by itself, or into a table (dedupe_into).
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/blocks.h"
#include "engine/cluster.h"
#include "engine/cluster_passes.h"
#include "engine/label_comparisons.h"
#include "engine/labels.h"
#include "engine/profile.h"
#include "engine/progress.h"
#include "engine/run.h"
#include "engine/split.h"
#include "engine/train.h"
#include "engine/uncertain.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "settings.h"
#include "sql/arguments.h"
#include "sql/table_pages.h"
#include "sql/table_writer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define RECORDS_AHEAD 16 /* that are fetched while others are written */

/* How ids leave: as text, or in the type that the twin was asked for. */
typedef struct id_writer {
    const record_store *store;
    bool as_text;
    bool as_bigint; /* as they are in the store */
    FmgrInfo input;
    Oid input_parameter;
    int32 typmod; /* -1, or a limit of the column that they go into */
} id_writer;

typedef struct row_writer {
    ReturnSetInfo *result; /* NULL: rows go into the table */
    table_writer *table;
    id_writer ids;
    MemoryContext row_context; /* reset now and then */
    uint64 rows;
} row_writer;

static void
open_writer(FunctionCallInfo fcinfo, row_writer *writer)
{
    ReturnSetInfo *result = (ReturnSetInfo *)fcinfo->resultinfo;
    MemoryContext before;

    InitMaterializedSRF(fcinfo, 0);
    *writer = (row_writer){.result = result};
    /* A run was given memory, and at its end most of that is free: rows need not go through a file. */
    tuplestore_end(result->setResult);
    before = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false,
                                              (int)Max(mastering_memory_budget() / 4 / 1024, (Size)work_mem));
    MemoryContextSwitchTo(before);
    writer->row_context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering rows", ALLOCSET_DEFAULT_SIZES);
}

static void
open_table_writer(Oid relation, row_writer *writer)
{
    *writer = (row_writer){.table = table_writer_open(relation)};
    writer->row_context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering rows", ALLOCSET_DEFAULT_SIZES);
}

static void
writer_set_store(row_writer *writer, const record_store *store)
{
    Oid type, function;

    writer->ids.typmod = -1;
    if (writer->result != NULL)
        type = TupleDescAttr(writer->result->setDesc, 0)->atttypid;
    else
        type = table_writer_id_type(writer->table, &writer->ids.typmod);
    writer->ids.store = store;
    writer->ids.as_text = type == TEXTOID;
    writer->ids.as_bigint = type == INT8OID && store->id_type == INT8OID;
    if (!writer->ids.as_text) {
        getTypeInputInfo(type, &function, &writer->ids.input_parameter);
        fmgr_info(function, &writer->ids.input);
    }
}

static Datum
id_datum(id_writer *writer, uint32 record)
{
    char buffer[24];
    const char *id;

    if (writer->as_bigint)
        return Int64GetDatum(writer->store->integer_ids[record]);
    id = record_store_id(writer->store, record, buffer);
    if (writer->as_text)
        return CStringGetTextDatum(id);
    return InputFunctionCall(&writer->input, unconstify(char *, id), writer->input_parameter, writer->typmod);
}

static void
put_row(row_writer *writer, Datum *values, bool *nulls)
{
    if (writer->result != NULL)
        tuplestore_putvalues(writer->result->setResult, writer->result->setDesc, values, nulls);
    else
        table_writer_put(writer->table, values, nulls);
    if ((++writer->rows & 0x3ff) == 0) {
        MemoryContextReset(writer->row_context);
        CHECK_FOR_INTERRUPTS();
    }
}

/* The arguments of the twins begin one later, behind the value that only gives a type. */
static int
first_argument(FunctionCallInfo fcinfo)
{
    return get_fn_expr_argtype(fcinfo->flinfo, 1) == TEXTOID ? 1 : 0;
}

/* a and b so that the lesser id comes first. */
static inline void
order_pair(const record_store *store, uint32 *a, uint32 *b)
{
    if (record_store_compare_ids(store, *a, *b) > 0) {
        uint32 swap = *a;

        *a = *b;
        *b = swap;
    }
}

/* ---- candidate_pairs(query, spec) ---- */

static void
write_candidates(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    row_writer *writer = context;
    MemoryContext before = MemoryContextSwitchTo(writer->row_context);

    for (uint32 i = 0; i < count; i++) {
        uint32 a = pairs[i].a, b = pairs[i].b;
        Datum values[3], rules[MAX_RULES];
        bool nulls[3] = {false};
        int found = 0;

        order_pair(run->store, &a, &b);
        for (int r = 0; r < run->spec->rule_count; r++)
            if (pairs[i].pattern >> r & 1)
                rules[found++] = Int32GetDatum(r + 1);
        values[0] = id_datum(&writer->ids, a);
        values[1] = id_datum(&writer->ids, b);
        values[2] =
            PointerGetDatum(construct_array(rules, found, INT4OID, sizeof(int32), true, TYPALIGN_INT));
        put_row(writer, values, nulls);
    }
    MemoryContextReset(writer->row_context);
    MemoryContextSwitchTo(before);
}

MASTERING_FUNCTION(mastering_candidate_pairs)
{
    int first = first_argument(fcinfo);
    char *query = query_argument(fcinfo, first);
    match_spec *spec = spec_argument(fcinfo, first + 1, "specification");
    match_run_options run_options = {0};
    visit_options options = {.mode = PAIRS_LISTED};
    row_writer writer;
    match_run *run;

    open_writer(fcinfo, &writer);
    run = match_run_open(query, spec, &run_options);
    writer_set_store(&writer, run->store);
    match_run_visit(run, &options, write_candidates, &writer);
    match_run_warn_of_cuts(run);
    match_run_close(run);
    return (Datum)0;
}

/* ---- block_keys(query, spec) ---- */

MASTERING_FUNCTION(mastering_block_keys)
{
    char *query = query_argument(fcinfo, 0);
    match_spec *spec = spec_argument(fcinfo, 1, "specification");
    match_run_options run_options = {0};
    uint64 keys[MAX_KEYS_OF_RECORD];
    row_writer writer;
    match_run *run;
    MemoryContext before;

    open_writer(fcinfo, &writer);
    run = match_run_open(query, spec, &run_options);
    writer_set_store(&writer, run->store);
    before = MemoryContextSwitchTo(writer.row_context);
    for (uint32 record = 0; record < run->store->records.count; record++)
        for (int rule = 0; rule < spec->rule_count; rule++) {
            uint32 count = spec->rules[rule].top_k > 0 ? 0 : blocks_record_keys(run, rule, record, keys);

            for (uint32 i = 0; i < count; i++) {
                Datum values[3] = {id_datum(&writer.ids, record), Int32GetDatum(rule + 1),
                                   Int64GetDatum((int64)keys[i])};
                bool nulls[3] = {false};

                put_row(&writer, values, nulls);
            }
        }
    MemoryContextSwitchTo(before);
    match_run_close(run);
    return (Datum)0;
}

/* ---- match_pairs(query, model, threshold) ---- */

static Datum
level_array(const match_run *run, uint64 pattern)
{
    Datum levels[MAX_COMPARISONS];

    for (int c = 0; c < run->scorer.comparison_count; c++)
        levels[c] = Int16GetDatum(pattern_level(&run->scorer.comparisons[c], pattern));
    return PointerGetDatum(
        construct_array(levels, run->scorer.comparison_count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}

static void
write_matches(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    row_writer *writer = context;
    MemoryContext before = MemoryContextSwitchTo(writer->row_context);

    for (uint32 i = 0; i < count; i++) {
        uint32 a = pairs[i].a, b = pairs[i].b;
        Datum values[5];
        bool nulls[5] = {false};

        order_pair(run->store, &a, &b);
        values[0] = id_datum(&writer->ids, a);
        values[1] = id_datum(&writer->ids, b);
        values[2] = Float8GetDatum(weight_to_bits(pairs[i].weight));
        values[3] = Float8GetDatum(probability_from_weight(pairs[i].weight));
        values[4] = level_array(run, pairs[i].pattern);
        put_row(writer, values, nulls);
    }
    MemoryContextReset(writer->row_context);
    MemoryContextSwitchTo(before);
}

/* Pairs that match; of the records that column "#probe" marks only, where that is asked for. */
static void
return_matches(FunctionCallInfo fcinfo, int first, bool probes)
{
    char *query = query_argument(fcinfo, first);
    match_spec *spec = spec_argument(fcinfo, first + 1, "model");
    match_run_options run_options = {.probes = probes};
    visit_options options = {.mode = PAIRS_SCORED};
    row_writer writer;
    match_run *run;

    spec_require_trained(spec);
    options.least_weight = threshold_argument(fcinfo, first + 2, spec);
    open_writer(fcinfo, &writer);
    run = match_run_open(query, spec, &run_options);
    writer_set_store(&writer, run->store);
    if (!probes || run->store->probe_count > 0)
        match_run_visit(run, &options, write_matches, &writer);
    match_run_warn_of_cuts(run);
    match_run_close(run);
}

MASTERING_FUNCTION(mastering_match_pairs)
{
    return_matches(fcinfo, first_argument(fcinfo), false);
    return (Datum)0;
}

/* ---- match_links(query, model) ---- */

MASTERING_FUNCTION(mastering_match_links)
{
    return_matches(fcinfo, 0, true);
    return (Datum)0;
}

/* ---- match_clusters(query, model, threshold, labels) ---- */

static Datum
given_id_datum(id_writer *writer, int64 number, const char *text)
{
    char buffer[24];

    if (writer->as_bigint)
        return Int64GetDatum(number);
    if (text == NULL) {
        pg_lltoa(number, buffer);
        text = buffer;
    }
    if (writer->as_text)
        return CStringGetTextDatum(text);
    return InputFunctionCall(&writer->input, unconstify(char *, text), writer->input_parameter,
                             writer->typmod);
}

static void
write_clustered_record(const clustered_record *record, void *context)
{
    row_writer *writer = context;
    MemoryContext before = MemoryContextSwitchTo(writer->row_context);
    Datum values[4];
    bool nulls[4] = {false, false, false, record->size == 1};

    values[0] = given_id_datum(&writer->ids, record->integer_id, record->text_id);
    values[1] = given_id_datum(&writer->ids, record->integer_name, record->text_name);
    values[2] = Int64GetDatum(record->size);
    values[3] = Float8GetDatum(weight_to_bits(record->weakest_link));
    put_row(writer, values, nulls);
    MemoryContextSwitchTo(before);
}

static void
write_all_clusters(match_run *run, const clustering *clusters, row_writer *writer)
{
    MemoryContext before = MemoryContextSwitchTo(writer->row_context);

    progress_phase("result", run->store->records.count);
    if (writer->table != NULL && table_pages_can(writer->table, run->store)) {
        table_pages_write(writer->table, run->store, clusters, run->threads);
        writer->rows = run->store->records.count;
        MemoryContextSwitchTo(before);
        return;
    }
    for (uint32 record = 0; record < run->store->records.count; record++) {
        uint32 cluster = clusters->cluster[record];
        Datum values[4];
        bool nulls[4] = {false, false, false, clusters->size[cluster] == 1};

        /* The record that names a cluster lies anywhere. */
        if (record + RECORDS_AHEAD < run->store->records.count) {
            uint32 ahead = clusters->cluster[record + RECORDS_AHEAD];

            __builtin_prefetch(&clusters->size[ahead]);
            __builtin_prefetch(&clusters->weakest_link[ahead]);
            if (run->store->integer_ids != NULL)
                __builtin_prefetch(&run->store->integer_ids[ahead]);
        }

        values[0] = id_datum(&writer->ids, record);
        values[1] = id_datum(&writer->ids, cluster);
        values[2] = Int64GetDatum(clusters->size[cluster]);
        values[3] = Float8GetDatum(weight_to_bits(clusters->weakest_link[cluster]));
        put_row(writer, values, nulls);
    }
    MemoryContextSwitchTo(before);
}

/* Clusters of a query's records, by the model or by one learnt on the way. Behind argument threshold: labels.
 */
static void
write_clusters(FunctionCallInfo fcinfo, const char *query, match_spec *spec, int threshold,
               row_writer *writer)
{
    char *labels = PG_ARGISNULL(threshold + 1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(threshold + 1));
    match_run_options run_options = {.in_passes = labels == NULL || (spec->trained && !labels_any(labels))};
    match_run *run;
    label_list *verdicts = NULL;
    int64 least_weight;

    (void)threshold_argument(fcinfo, threshold, spec); /* a wrong one is refused before the work */
    if (!spec->trained)
        label_comparisons_prepare(spec, labels != NULL && labels_any(labels));
    run = match_run_open(query, spec, &run_options);
    if (labels != NULL && run->store->spool == NULL)
        verdicts = labels_read(run, labels);
    if (!spec->trained)
        train_model(run, spec, verdicts);
    writer_set_store(writer, run->store);
    least_weight = threshold_argument(fcinfo, threshold, spec);
    if (run->store->spool != NULL)
        (void)cluster_in_passes(run, least_weight, write_clustered_record, writer);
    else
        write_all_clusters(run, cluster_records(run, least_weight, verdicts), writer);
    match_run_phase(run, "result", "%u rows", run->store->records.count);
    match_run_warn_of_cuts(run);
    match_run_close(run);
}

MASTERING_FUNCTION(mastering_match_clusters)
{
    int first = first_argument(fcinfo);
    char *query = query_argument(fcinfo, first);
    match_spec *spec = spec_argument(fcinfo, first + 1, "model");
    row_writer writer;

    spec_require_trained(spec);
    (void)threshold_argument(fcinfo, first + 2, spec);
    open_writer(fcinfo, &writer);
    write_clusters(fcinfo, query, spec, first + 2, &writer);
    return (Datum)0;
}

/* ---- dedupe(query, spec, threshold, labels), dedupe_into(target, ...) ---- */

/* The specification given, or one that the data suggest. */
static match_spec *
given_or_suggested(FunctionCallInfo fcinfo, int argument, const char *query)
{
    return PG_ARGISNULL(argument) ? spec_read(suggest_spec(query), "specification")
                                  : spec_argument(fcinfo, argument, "specification");
}

MASTERING_FUNCTION(mastering_dedupe)
{
    int first = first_argument(fcinfo);
    char *query = query_argument(fcinfo, first);
    match_spec *spec = given_or_suggested(fcinfo, first + 1, query);
    row_writer writer;

    (void)threshold_argument(fcinfo, first + 2, spec);
    open_writer(fcinfo, &writer);
    write_clusters(fcinfo, query, spec, first + 2, &writer);
    return (Datum)0;
}

MASTERING_FUNCTION(mastering_dedupe_into)
{
    char *query;
    match_spec *spec;
    row_writer writer;

    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the target must not be NULL"),
                        errhint("CREATE TABLE clusters (id bigint, cluster_id bigint), and pass its name.")));
    query = query_argument(fcinfo, 1);
    open_table_writer(PG_GETARG_OID(0), &writer); /* a wrong one is refused before the work */
    spec = given_or_suggested(fcinfo, 2, query);
    write_clusters(fcinfo, query, spec, 3, &writer);
    table_writer_close(writer.table);
    PG_RETURN_INT64(writer.rows);
}

/* ---- blocking_report(query, spec, truth) ---- */

static void
ignore_pairs(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
}

/* Pairs of records of one entity, and of two sources where only those count. */
static double
true_pairs(match_run *run, const uint32 *entities)
{
    uint32 count = run->store->records.count, last = 0;
    double pairs = 0;
    uint64 *keys = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(keyed_record)));
    keyed_record *sorted = (keyed_record *)keys, *scratch;
    uint32 used = 0;

    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&run->store->records, record);
        uint32 source = run->spec->across_sources ? row[run->store->source_slot] : 0;

        if (entities[record] != 0)
            sorted[used++] = (keyed_record){(uint64)entities[record] << 32 | source, record, 0};
    }
    scratch = MemoryContextAllocHuge(run->context, mul_size(Max(used, 1), sizeof(keyed_record)));
    radix_sort_keys(sorted, scratch, used);
    /* Of each entity: all pairs, less those within a source. */
    for (uint32 start = 0; start < used; start = last) {
        double all, within = 0;
        uint32 run_start = start;

        for (last = start; last < used && sorted[last].key >> 32 == sorted[start].key >> 32; last++) {
            if (run->spec->across_sources && sorted[last].key != sorted[run_start].key) {
                within += (double)(last - run_start) * (last - run_start - 1) / 2;
                run_start = last;
            }
        }
        all = (double)(last - start) * (last - start - 1) / 2;
        if (run->spec->across_sources)
            within += (double)(last - run_start) * (last - run_start - 1) / 2;
        pairs += all - within;
    }
    return pairs;
}

static char *
rule_label(const rule_spec *rule)
{
    StringInfoData label;

    initStringInfo(&label);
    for (int i = 0; i < rule->part_count; i++)
        appendStringInfo(&label, "%s%s", i > 0 ? ", " : "", rule->parts[i]);
    return label.data;
}

MASTERING_FUNCTION(mastering_blocking_report)
{
    char *query = query_argument(fcinfo, 0);
    match_spec *spec = spec_argument(fcinfo, 1, "specification");
    match_run_options run_options = {0};
    visit_options options = {.mode = PAIRS_COUNTED};
    row_writer writer;
    match_run *run;
    double all_true = 0;

    open_writer(fcinfo, &writer);
    run = match_run_open(query, spec, &run_options);
    if (!PG_ARGISNULL(2)) {
        options.entities = entities_read(run, text_to_cstring(PG_GETARG_TEXT_PP(2)));
        all_true = true_pairs(run, options.entities);
    }
    match_run_visit(run, &options, ignore_pairs, NULL);
    for (int r = 0; r < spec->rule_count; r++) {
        const block_statistics *statistics = &run->statistics[r];
        const pair_counters *counters = &run->counters[r];
        const split_statistics *split = split_statistics_of(run, r);
        Datum values[11];
        bool nulls[11] = {false};

        values[0] = Int32GetDatum(r + 1);
        values[1] = CStringGetTextDatum(rule_label(&spec->rules[r]));
        values[2] = Int64GetDatum(statistics->keys);
        values[3] = Int64GetDatum(statistics->blocks);
        values[4] = Int64GetDatum(counters->found);
        values[5] = Int64GetDatum(counters->found_new);
        values[6] = Int64GetDatum(Max(statistics->largest_block, split->largest));
        values[7] = Int64GetDatum(statistics->cut_blocks + split->keys);
        values[8] = Int64GetDatum(statistics->cut_pairs + split->pairs);
        nulls[9] = nulls[10] = all_true == 0;
        if (all_true > 0) {
            values[9] = Float8GetDatum(counters->found_true / all_true);
            values[10] = Float8GetDatum(counters->found_new_true / all_true);
        }
        put_row(&writer, values, nulls);
    }
    match_run_close(run);
    return (Datum)0;
}

/* ---- train_model(query, spec, labels) ---- */

MASTERING_FUNCTION(mastering_train_model)
{
    char *query = query_argument(fcinfo, 0);
    match_spec *spec = spec_argument(fcinfo, 1, "specification");
    match_run_options run_options = {.in_passes = PG_ARGISNULL(2)};
    match_run *run;
    Jsonb *model;

    if (spec->trained) /* what it has learnt elsewhere plays no part */
        spec_forget_learnt(spec);
    spec->trained = false;
    label_comparisons_prepare(spec, !PG_ARGISNULL(2) && labels_any(text_to_cstring(PG_GETARG_TEXT_PP(2))));
    run = match_run_open(query, spec, &run_options);
    train_model(run, spec, PG_ARGISNULL(2) ? NULL : labels_read(run, text_to_cstring(PG_GETARG_TEXT_PP(2))));
    match_run_warn_of_cuts(run);
    model = spec_write(spec); /* before what it points at goes with the run */
    match_run_close(run);
    PG_RETURN_JSONB_P(model);
}

/* ---- uncertain_pairs(query, model, n, labels) ---- */

MASTERING_FUNCTION(mastering_uncertain_pairs)
{
    static const char *const reasons[] = {"doubt", "cluster", "spread"};
    int first = first_argument(fcinfo);
    char *query = query_argument(fcinfo, first);
    match_spec *spec = spec_argument(fcinfo, first + 1, "model");
    int32 wanted = PG_ARGISNULL(first + 2) ? 100 : PG_GETARG_INT32(first + 2);
    match_run_options run_options = {0};
    label_list *labels = NULL;
    uncertain_pair *pairs;
    row_writer writer;
    uint32 count;
    match_run *run;

    spec_require_trained(spec);
    if (wanted < 1 || wanted > MOST_UNCERTAIN_PAIRS)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("the number of pairs must be from 1 to %d", MOST_UNCERTAIN_PAIRS),
                        errdetail("Found %d.", wanted)));
    open_writer(fcinfo, &writer);
    run = match_run_open(query, spec, &run_options);
    if (!PG_ARGISNULL(first + 3))
        labels = labels_read(run, text_to_cstring(PG_GETARG_TEXT_PP(first + 3)));
    writer_set_store(&writer, run->store);
    pairs = uncertain_pairs(run, weight_from_probability(spec->threshold), (uint32)wanted, labels, &count);
    for (uint32 i = 0; i < count; i++) {
        Datum values[5];
        bool nulls[5] = {false};

        order_pair(run->store, &pairs[i].a, &pairs[i].b);
        values[0] = id_datum(&writer.ids, pairs[i].a);
        values[1] = id_datum(&writer.ids, pairs[i].b);
        values[2] = Float8GetDatum(weight_to_bits(pairs[i].weight));
        values[3] = Float8GetDatum(probability_from_weight(pairs[i].weight));
        values[4] = CStringGetTextDatum(reasons[pairs[i].reason]);
        tuplestore_putvalues(writer.result->setResult, writer.result->setDesc, values, nulls);
    }
    match_run_close(run);
    return (Datum)0;
}
