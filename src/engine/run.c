/*
 * run.c: see run.h.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/run.h"
#include "engine/term_index.h"
#include "engine/value_reader.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define UNITS_A_REGION 32 /* so that a region takes some ten milliseconds */
#define MAX_KEYS_OF_RECORD 1024

void
raise_kernel_status(kernel_status status)
{
    if (status == KERNEL_NO_MEMORY)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                        errdetail("A comparison of two texts could not get its working space.")));
    if (status != KERNEL_OK)
        elog(ERROR, "unexpected kernel status %d", status);
}

/* ---- opening ---- */

static void
free_thread_memory(void *argument)
{
    match_run *run = argument;

    parallel_release();
    for (int t = 0; t < run->threads; t++)
        kernel_workspace_free(&run->thread_memory[t].workspace);
}

static void
make_threads(match_run *run)
{
    MemoryContextCallback *callback = MemoryContextAlloc(run->context, sizeof(MemoryContextCallback));

    run->threads = mastering_threads > 0 ? mastering_threads : parallel_available_threads();
    run->thread_memory = MemoryContextAllocZero(run->context, run->threads * sizeof(comparison_thread));
    for (int t = 0; t < run->threads; t++) {
        run->thread_memory[t].workspace.stop = &InterruptPending;
        run->thread_memory[t].cache =
            MemoryContextAllocZero(run->context, (Size)Max(run->spec->comparison_count, 1) *
                                                     LEVEL_CACHE_SIZE * sizeof(level_cache_entry));
    }
    callback->func = free_thread_memory;
    callback->arg = run;
    MemoryContextRegisterResetCallback(run->context, callback);

    run->units = MemoryContextAllocZero(run->context, UNITS_A_REGION * sizeof(pair_unit));
    for (int u = 0; u < UNITS_A_REGION; u++)
        run->units[u].output = MemoryContextAllocHuge(run->context, PAIR_UNIT_OUTPUT * sizeof(scored_pair));
}

void
match_run_forget_levels(match_run *run)
{
    for (int t = 0; t < run->threads; t++)
        memset(run->thread_memory[t].cache, 0,
               (Size)run->spec->comparison_count * LEVEL_CACHE_SIZE * sizeof(level_cache_entry));
}

static int
collect_columns(match_run *run, const match_run_options *options, store_column *columns)
{
    const match_spec *spec = run->spec;
    int count = 0;

    if (!options->without_comparisons) {
        for (int c = 0; c < spec->comparison_count; c++)
            run->comparison_slots[c] =
                record_store_column(columns, &count, spec->comparisons[c].expression,
                                    spec->comparisons[c].form, spec->comparisons[c].path, false);
    }
    if (!options->without_blocking) {
        for (int r = 0; r < spec->rule_count; r++) {
            for (int i = 0; i < spec->rules[r].part_count; i++) {
                const rule_spec *rule = &spec->rules[r];
                char *plain = query_plain_column(rule->parts[i], rule->part_paths[i]);

                /* A plain column that is no array is shared with the comparisons. */
                if (plain != NULL) {
                    int position = query_column(run->shape, plain);
                    bool is_array =
                        position >= 0 &&
                        OidIsValid(get_element_type(TupleDescAttr(run->shape->columns, position)->atttypid));

                    run->rule_slots[r][i] =
                        record_store_column(columns, &count, pstrdup(quote_identifier(plain)), rule->form,
                                            rule->part_paths[i], is_array);
                } else
                    run->rule_slots[r][i] = record_store_column(columns, &count, rule->parts[i], rule->form,
                                                                rule->part_paths[i], true);
            }
        }
    }
    return count;
}

static void
set_layout(match_run *run)
{
    const match_spec *spec = run->spec;

    run->scorer.comparison_count = spec->comparison_count;
    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *from = &spec->comparisons[c];
        comparison *to = &run->scorer.comparisons[c];

        to->method = from->method;
        to->slot = (uint32)run->comparison_slots[c];
        to->level_count = spec_level_count(from);
        memcpy(to->thresholds, from->thresholds, sizeof to->thresholds);
        to->q = (uint32)from->q;
        to->measure = from->measure;
        to->scale = from->scale;
        to->values = record_store_values(run->store, run->comparison_slots[c]);
        if (to->method == METHOD_TFIDF)
            to->values.vectors = term_index_vectors(run, run->comparison_slots[c], from->q);
    }
}

static void
prepare_scorer(match_run *run)
{
    if (!scorer_prepare(&run->scorer))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("too many levels in all comparisons together"),
                        errdetail("The levels of a pair are packed into 64 bits: 2 bits for up to 3 levels "
                                  "of a comparison, 3 for up to 7, 4 for more."),
                        errhint("Leave out comparisons or levels.")));
}

/* What a value's own frequency adds to the weight of an exact level: log2(u / frequency). */
static int32 *
value_weights(match_run *run, const comparison_spec *comparison, int slot)
{
    const dictionary *values = run->store->columns[slot].values;
    const term_frequencies *frequencies = &comparison->frequencies;
    double u = comparison->u[LEVEL_EXACT];
    int32 *weights = MemoryContextAllocHuge(run->context, mul_size(values->count, sizeof(int32)));
    int32 other = weight_from_ratio(u, frequencies->other);
    value_reader *reader = value_reader_create(run->context, TEXTOID, FORM_NONE);

    for (uint32 code = 0; code < values->count; code++)
        weights[code] = other;
    for (int i = 0; i < frequencies->count; i++) {
        text_view text;
        uint32 code;

        if (value_reader_read(reader, CStringGetTextDatum(frequencies->values[i]), &text) != VALUE_READ)
            continue;
        code = dictionary_find(values, text);
        if (code != 0)
            weights[code] = weight_from_ratio(u, frequencies->shares[i]);
    }
    return weights;
}

void
match_run_set_weights(match_run *run, const match_spec *spec)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);

    run->scorer.prior_weight = weight_from_ratio(spec->prior, 1.0 - spec->prior);
    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *comparison = &spec->comparisons[c];

        memcpy(run->scorer.comparisons[c].weights, comparison->weights, sizeof comparison->weights);
        if (comparison->term_frequency && comparison->frequencies.other > 0)
            run->scorer.comparisons[c].value_weights =
                value_weights(run, comparison, run->comparison_slots[c]);
    }
    prepare_scorer(run);
    MemoryContextSwitchTo(before);
}

match_run *
match_run_open(const char *query, const match_spec *spec, const match_run_options *options)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "mastering run", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context);
    match_run *run = palloc0(sizeof(match_run));
    store_column *columns = palloc0((MAX_COMPARISONS + MAX_RULES * MAX_KEY_PARTS + 1) * sizeof(store_column));
    int column_count;

    run->context = context;
    run->spec = spec;
    INSTR_TIME_SET_CURRENT(run->phase_start);
    run->shape = query_describe(query);
    if (spec->across_sources && !run->shape->has_source)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("the query has no column \"source\""),
                 errdetail("The specification links across sources ($.link)."),
                 errhint("Add a column that names each record's source: SELECT ..., 'crm' AS source.")));
    column_count = collect_columns(run, options, columns);
    run->store = record_store_read(context, run->shape, columns, column_count, run->shape->has_source,
                                   options->only_ids);
    make_threads(run);
    match_run_phase(run, "read", "%u records", run->store->records.count);

    if (!options->without_comparisons) {
        set_layout(run);
        if (spec->trained)
            match_run_set_weights(run, spec);
        else
            prepare_scorer(run);
    }
    MemoryContextSwitchTo(before);
    return run;
}

void
match_run_close(match_run *run)
{
    MemoryContextDelete(run->context);
}

void
match_run_phase(match_run *run, const char *phase, const char *format, ...)
{
    instr_time now, elapsed;
    char facts[256];
    va_list arguments;

    if (!mastering_log_progress)
        return;
    INSTR_TIME_SET_CURRENT(now);
    elapsed = now;
    INSTR_TIME_SUBTRACT(elapsed, run->phase_start);
    va_start(arguments, format);
    vsnprintf(facts, sizeof facts, format, arguments);
    va_end(arguments);
    ereport(NOTICE, (errmsg("%s: %s, %.0f ms, %zu MB", phase, facts, INSTR_TIME_GET_MILLISEC(elapsed),
                            MemoryContextMemAllocated(run->context, true) / (1024 * 1024))));
    run->phase_start = now;
}

/* ---- blocks ---- */

static inline const dictionary *
part_values(const match_run *run, int rule, int part)
{
    return run->store->columns[run->rule_slots[rule][part]].values;
}

/* The codes of a record for a key part: how many, and where. */
static inline const uint32 *
part_codes(const match_run *run, int rule, int part, uint32 record, uint32 *count)
{
    int slot = run->rule_slots[rule][part];
    const uint32 *code = &record_row(&run->store->records, record)[slot];

    if (*code == 0) {
        *count = 0;
        return NULL;
    }
    if (!run->store->columns[slot].is_list) {
        *count = 1;
        return code;
    }
    *count = run->store->lists[*code];
    return &run->store->lists[*code + 1];
}

static bool
is_list_rule(const match_run *run, int rule)
{
    for (int i = 0; i < run->spec->rules[rule].part_count; i++)
        if (run->store->columns[run->rule_slots[rule][i]].is_list)
            return true;
    return false;
}

/* Entries of a rule whose parts are single values: at most one a record. */
static keyed_record *
single_entries(match_run *run, int rule, uint64 *entry_count)
{
    uint32 count = run->store->records.count;
    int parts = run->spec->rules[rule].part_count;
    keyed_record *entries =
        MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(keyed_record)));
    const uint64 *hashes[MAX_KEY_PARTS];
    uint64 used = 0;

    for (int i = 0; i < parts; i++)
        hashes[i] = part_values(run, rule, i)->hashes;
    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&run->store->records, record);
        uint64 key = 0;
        bool whole = true;

        for (int i = 0; i < parts; i++) {
            uint32 code = row[run->rule_slots[rule][i]];

            if (code == 0) {
                whole = false;
                break;
            }
            key = hash_combine(key, hashes[i][code]);
        }
        if (whole)
            entries[used++] = (keyed_record){key, record, 0};
    }
    *entry_count = used;
    return entries;
}

static int
compare_keys(const void *a, const void *b)
{
    uint64 x = *(const uint64 *)a, y = *(const uint64 *)b;

    return x < y ? -1 : x > y;
}

/* All keys of one record, sorted and distinct; their number. */
static uint32
record_keys(match_run *run, int rule, uint32 record, uint64 *keys)
{
    int parts = run->spec->rules[rule].part_count;
    const uint32 *codes[MAX_KEY_PARTS];
    uint32 counts[MAX_KEY_PARTS], used = 0, kept = 0;
    uint64 total = 1;

    for (int i = 0; i < parts; i++) {
        codes[i] = part_codes(run, rule, i, record, &counts[i]);
        total *= counts[i];
        if (total == 0)
            return 0;
        if (total > MAX_KEYS_OF_RECORD) {
            run->cut_keys[rule] += total - MAX_KEYS_OF_RECORD;
            total = MAX_KEYS_OF_RECORD;
        }
    }
    for (uint64 combination = 0; combination < total; combination++) {
        uint64 rest = combination, key = 0;

        for (int i = 0; i < parts; i++) {
            key = hash_combine(key, part_values(run, rule, i)->hashes[codes[i][rest % counts[i]]]);
            rest /= counts[i];
        }
        keys[used++] = key;
    }
    qsort(keys, used, sizeof(uint64), compare_keys);
    for (uint32 i = 0; i < used; i++)
        if (kept == 0 || keys[kept - 1] != keys[i])
            keys[kept++] = keys[i];
    return kept;
}

/* Entries of a rule with an array among its parts; the keys are kept by record to find pairs again. */
static keyed_record *
list_entries(match_run *run, int rule, uint64 *entry_count)
{
    uint32 count = run->store->records.count;
    uint64 *starts = MemoryContextAllocHuge(run->context, mul_size(add_size(count, 1), sizeof(uint64)));
    uint64 *keys = NULL, keys_of_record[MAX_KEYS_OF_RECORD], used = 0, allocated = 0;
    keyed_record *entries;

    for (uint32 record = 0; record < count; record++) {
        uint32 found = record_keys(run, rule, record, keys_of_record);

        starts[record] = used;
        if (used + found > allocated) {
            allocated = Max(used + found, allocated == 0 ? 4096 : allocated * 2);
            keys = keys == NULL ? MemoryContextAllocHuge(run->context, mul_size(allocated, sizeof(uint64)))
                                : repalloc_huge(keys, mul_size(allocated, sizeof(uint64)));
        }
        memcpy(keys + used, keys_of_record, found * sizeof(uint64));
        used += found;
        if ((record & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    starts[count] = used;
    if (keys == NULL)
        keys = MemoryContextAlloc(run->context, sizeof(uint64));
    run->rules[rule].list_starts = starts;
    run->rules[rule].list_keys = keys;

    entries = MemoryContextAllocHuge(run->context, mul_size(Max(used, 1), sizeof(keyed_record)));
    for (uint32 record = 0; record < count; record++)
        for (uint64 i = starts[record]; i < starts[record + 1]; i++)
            entries[i] = (keyed_record){keys[i], record, 0};
    *entry_count = used;
    return entries;
}

/* Entries of a rule of nearest neighbours; found once a run, because that is the dear part. */
static keyed_record *
neighbour_entries(match_run *run, int r, uint64 *entry_count)
{
    blocking_rule *rule = &run->rules[r];
    const rule_spec *spec = &run->spec->rules[r];
    uint32 count = run->store->records.count;
    keyed_record *entries;

    if (rule->list_starts == NULL) {
        uint64 *starts, *keys;

        entries = term_index_neighbours(run, run->rule_slots[r][0], spec->q, spec->top_k, &starts, &keys, entry_count);
        rule->list_starts = starts;
        rule->list_keys = keys;
        return entries;
    }
    *entry_count = rule->list_starts[count];
    entries = MemoryContextAllocHuge(run->context, mul_size(Max(*entry_count, 1), sizeof(keyed_record)));
    for (uint32 record = 0; record < count; record++)
        for (uint64 i = rule->list_starts[record]; i < rule->list_starts[record + 1]; i++)
            entries[i] = (keyed_record){rule->list_keys[i], record, 0};
    return entries;
}

/* The first two comparisons whose values do not make up the key order its windowed blocks. */
static window_order
window_order_for(const match_run *run, int rule, value_table tables[2])
{
    window_order order = {{PG_UINT32_MAX, PG_UINT32_MAX}, {NULL, NULL}};
    int found = 0;

    for (int slot = 0; slot < run->store->column_count && found < 2; slot++) {
        bool in_key = run->store->columns[slot].is_list;

        for (int i = 0; i < run->spec->rules[rule].part_count; i++)
            in_key |= run->rule_slots[rule][i] == slot;
        if (in_key)
            continue;
        tables[found] = record_store_values(run->store, slot);
        order.slots[found] = (uint32)slot;
        order.values[found] = &tables[found];
        found++;
    }
    return order;
}

static uint32 *
no_positions(match_run *run, uint64 count)
{
    uint32 *positions = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));

    memset(positions, 0xff, count * sizeof(uint32));
    return positions;
}

static void
build_index(match_run *run, int r, block_index *index)
{
    blocking_rule *rule = &run->rules[r];
    const rule_spec *spec = &run->spec->rules[r];
    keyed_record *entries, *scratch;
    uint64 count;
    block *blocks;
    value_table tables[2];
    window_order order = window_order_for(run, r, tables);

    if (rule->list_starts != NULL && spec->top_k == 0) { /* from an earlier visit */
        pfree((void *)rule->list_starts);
        pfree((void *)rule->list_keys);
    }
    if (rule->positions != NULL)
        pfree(rule->positions);
    if (rule->list_positions != NULL)
        pfree(rule->list_positions);
    run->cut_keys[r] = 0;
    *rule = (blocking_rule){
        .part_count = spec->part_count, .max_block = (uint32)spec->max_block, .window = (uint32)spec->window,
        .list_starts = spec->top_k > 0 ? rule->list_starts : NULL,
        .list_keys = spec->top_k > 0 ? rule->list_keys : NULL};
    for (int i = 0; i < spec->part_count; i++)
        rule->slots[i] = (uint32)run->rule_slots[r][i];
    entries = spec->top_k > 0         ? neighbour_entries(run, r, &count)
              : is_list_rule(run, r) ? list_entries(run, r, &count)
                                     : single_entries(run, r, &count);
    scratch = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(keyed_record)));
    CHECK_FOR_INTERRUPTS();
    blocking_sort(entries, scratch, count);
    CHECK_FOR_INTERRUPTS();
    index->block_count = blocking_count(rule, entries, count, &run->statistics[r]);
    blocks = MemoryContextAllocHuge(run->context, mul_size(Max(index->block_count, 1), sizeof(block)));
    if (run->statistics[r].cut_blocks > 0) {
        if (rule->list_starts != NULL)
            rule->list_positions = no_positions(run, count);
        else
            rule->positions = no_positions(run, run->store->records.count);
    }
    blocking_fill(rule, &run->store->records, &order, entries, scratch, count, blocks);
    pfree(scratch);
    index->entries = entries;
    index->blocks = blocks;
}

/* ---- visiting ---- */

double
match_run_sample_share(const match_run *run, int rule, uint64 sample_pairs)
{
    uint64 pairs = run->statistics[rule].pairs;

    return pairs <= sample_pairs ? 1.0 : (double)sample_pairs / pairs;
}

typedef struct region {
    const pair_visit *visit;
    pair_unit *units;
} region;

static void
work_on_unit(void *context, int64_t item, int thread)
{
    region *region = context;
    pair_unit *unit = &region->units[item];

    if (!unit->done && unit->output_count < PAIR_UNIT_OUTPUT)
        pair_unit_work(region->visit, unit, thread);
}

static void
add_counters(pair_counters *sum, const pair_counters *part)
{
    sum->found += part->found;
    sum->found_new += part->found_new;
    sum->found_true += part->found_true;
    sum->found_new_true += part->found_new_true;
}

/* Hands on what the units hold, in their order; the number of leading units that are finished. */
static int
drain_units(match_run *run, int rule, int unit_count, pair_consumer consume, void *context)
{
    int finished = 0;

    for (; finished < unit_count; finished++) {
        pair_unit *unit = &run->units[finished];

        raise_kernel_status(unit->status);
        if (unit->output_count > 0)
            consume(run, rule, unit->output, unit->output_count, context);
        unit->output_count = 0;
        if (!unit->done)
            break;
    }
    return finished;
}

/* The units that are not finished come first, in their order. */
static void
rotate_units(match_run *run, int finished, int unit_count)
{
    pair_unit done[UNITS_A_REGION];

    memcpy(done, run->units, finished * sizeof(pair_unit));
    memmove(run->units, run->units + finished, (unit_count - finished) * sizeof(pair_unit));
    memcpy(run->units + unit_count - finished, done, finished * sizeof(pair_unit));
}

static void
visit_rule(match_run *run, int rule, const visit_options *options, pair_consumer consume, void *context)
{
    block_index index = {0};
    pair_cursor cursor = {0};
    pair_visit visit = {0};
    region region = {&visit, run->units};
    int unit_count = 0;
    double share;

    build_index(run, rule, &index);
    share = match_run_sample_share(run, rule, options->sample_pairs);
    visit.records = &run->store->records;
    visit.rules = run->rules;
    visit.rule_count = run->spec->rule_count;
    visit.rule = rule;
    visit.index = &index;
    visit.source_slot = run->spec->across_sources ? (uint32)run->store->source_slot : PG_UINT32_MAX;
    visit.mode = options->mode;
    visit.scorer = &run->scorer;
    visit.least_weight = options->least_weight;
    visit.sample_limit = share >= 1.0 ? PG_UINT64_MAX : (uint64)(share * 18446744073709551615.0);
    visit.entities = options->entities;
    visit.threads = run->thread_memory;

    for (;;) {
        int finished;

        while (unit_count < UNITS_A_REGION && pair_unit_next(&visit, &cursor, &run->units[unit_count]))
            unit_count++;
        if (unit_count == 0)
            break;
        parallel_for(run->threads, unit_count, work_on_unit, &region);
        CHECK_FOR_INTERRUPTS();
        finished = drain_units(run, rule, unit_count, consume, context);
        for (int u = 0; u < finished; u++)
            add_counters(&run->counters[rule], &run->units[u].counters);
        rotate_units(run, finished, unit_count);
        unit_count -= finished;
    }
    pfree((void *)index.entries);
    pfree((void *)index.blocks);
}

/*
 * Which rules find a pair is asked of rules not yet visited only by PAIRS_LISTED, which therefore needs
 * all of them prepared.
 */
static void
prepare_all_rules(match_run *run)
{
    for (int r = 0; r < run->spec->rule_count; r++) {
        block_index index = {0};

        build_index(run, r, &index);
        pfree((void *)index.entries);
        pfree((void *)index.blocks);
    }
}

void
match_run_visit(match_run *run, const visit_options *options, pair_consumer consume, void *context)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);

    memset(run->counters, 0, sizeof run->counters);
    if (options->mode == PAIRS_LISTED)
        prepare_all_rules(run);
    for (int r = 0; r < run->spec->rule_count; r++) {
        visit_rule(run, r, options, consume, context);
        match_run_phase(run, "pairs", "rule %d, " UINT64_FORMAT " blocks, " UINT64_FORMAT " pairs", r + 1,
                        run->statistics[r].blocks, run->statistics[r].pairs);
    }
    MemoryContextSwitchTo(before);
}

void
match_run_warn_of_cuts(const match_run *run)
{
    for (int r = 0; r < run->spec->rule_count; r++) {
        const block_statistics *statistics = &run->statistics[r];

        if (statistics->cut_blocks > 0)
            ereport(WARNING,
                    (errmsg("blocking rule %d: blocks of more than %d records were not compared in full",
                            r + 1, run->spec->rules[r].max_block),
                     errdetail("There are " UINT64_FORMAT ", the largest of " UINT64_FORMAT
                               " records. Each record was compared with its %d neighbours on either "
                               "side; " UINT64_FORMAT " pairs were left out.",
                               statistics->cut_blocks, statistics->largest_block, run->spec->rules[r].window,
                               statistics->cut_pairs),
                     errhint("Add a further part to the key of %s, or raise its \"max_block\" or \"window\".",
                             run->spec->rules[r].path)));
        if (run->cut_keys[r] > 0)
            ereport(WARNING,
                    (errmsg("blocking rule %d: " UINT64_FORMAT " keys beyond %d a record were left out",
                            r + 1, run->cut_keys[r], MAX_KEYS_OF_RECORD)));
    }
}
