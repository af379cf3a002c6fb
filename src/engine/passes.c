/*
 * passes.c: see passes.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/blocks.h"
#include "engine/hash_sort.h"
#include "engine/key_parts.h"
#include "engine/passes.h"
#include "engine/progress.h"
#include "engine/split.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/memutils.h"

#define RECORD_OVERHEAD 64 /* of a record that is loaded: entries, their order, blocks */

bool
passes_can(const match_spec *spec)
{
    for (int r = 0; r < spec->rule_count; r++)
        if (spec->rules[r].top_k > 0)
            return false;
    for (int c = 0; c < spec->comparison_count; c++)
        if (method_weighs_terms(spec->comparisons[c].method))
            return false;
    return true;
}

bool
passes_can_have_sources(const match_spec *spec)
{
    return spec->trained && (spec->one_per_source != ONE_PER_SOURCE_EVIDENT || spec->unique_sources.known);
}

/* The rest is for what comes after reading: indexes of blocks, profiles and bit planes, clusters. */
Size
passes_read_limit(void)
{
    return mastering_memory_budget() / 2;
}

/* Records that may be loaded at a time. */
static uint64
records_that_fit(const match_run *run)
{
    const spool *spool = run->store->spool;
    uint64 each = spool->most_memory / Max(spool->count, 1) + RECORD_OVERHEAD;

    return Max(mastering_memory_budget() / 2 / each, 64);
}

/* ---- loading ---- */

/*
 * Values become codes for many records at a time, a column by a thread, with look-ups that overlap: see
 * value_batch.c, which does the same for values on their way in.
 */
#define MOST_WAITING 2048
#define LEAST_WAITING 16
#define BYTES_WAITING (512 * 1024)
#define LOOK_UPS 64

typedef struct loader {
    match_run *run;
    uint32 *rows, *numbers;
    uint32 count;
    Size allocated;
    bool with_ids;

    uint32 waiting, most_waiting; /* records without their codes yet: the last ones */
    char *bytes;                  /* theirs */
    Size bytes_used, bytes_allocated;
    spool_value *values; /* by column and place among those that wait */
    uint32 *codes;       /* the same */
} loader;

static void
load_begin(loader *loader, match_run *run, uint64 expected)
{
    record_store *store = run->store;
    Size columns = Max(store->column_count, 1), value = sizeof(spool_value) + sizeof(uint32);

    record_store_clear(store);
    *loader = (struct loader){.run = run, .allocated = Max(expected, 64)};
    loader->rows =
        big_alloc(store->data, mul_size(loader->allocated, store->records.stride * sizeof(uint32)));
    loader->numbers = big_alloc(store->data, mul_size(loader->allocated, sizeof(uint32)));
    loader->most_waiting =
        (uint32)Min(Max(mastering_memory_budget() / 16 / (columns * value), LEAST_WAITING), MOST_WAITING);
    loader->most_waiting = (uint32)Min(loader->most_waiting, loader->allocated);
    loader->bytes_allocated = Min(mastering_memory_budget() / 32, BYTES_WAITING);
    loader->bytes = big_alloc(store->data, loader->bytes_allocated);
    loader->values = big_alloc(store->data, loader->most_waiting * columns * sizeof(spool_value));
    loader->codes = big_alloc(store->data, loader->most_waiting * columns * sizeof(uint32));
}

static void
code_some(dictionary *dictionary, const spool_value *values, uint32 count, uint32 *codes)
{
    uint64 hashes[LOOK_UPS];

    for (uint32 i = 0; i < count; i++) {
        hashes[i] = spool_value_hash(&values[i]);
        dictionary_prefetch_place(dictionary, hashes[i]);
    }
    dictionary_prefetch_values(dictionary, hashes, count);
    for (uint32 i = 0; i < count; i++)
        codes[i] =
            values[i].text.length == 0
                ? 0
                : dictionary_add_kept_reserved(dictionary, values[i].text, hashes[i], values[i].second_hash);
}

static void
code_column(void *context, int64_t column, int thread)
{
    const loader *loader = context;
    dictionary *dictionary = loader->run->store->columns[column].values;
    Size first = (Size)column * loader->most_waiting;

    for (uint32 i = 0; i < loader->waiting; i += LOOK_UPS)
        code_some(dictionary, loader->values + first + i, Min(LOOK_UPS, loader->waiting - i),
                  loader->codes + first + i);
}

/* The codes of the records that wait go into their rows. */
static void
load_waiting(loader *loader)
{
    record_store *store = loader->run->store;
    Size stride = store->records.stride;
    uint32 *row = loader->rows + (Size)(loader->count - loader->waiting) * stride;

    if (loader->waiting == 0)
        return;
    for (int c = 0; c < store->column_count; c++) {
        const spool_value *values = loader->values + (Size)c * loader->most_waiting;
        Size bytes = 0;

        for (uint32 i = 0; i < loader->waiting; i++)
            bytes += (Size)values[i].text.length * values[i].text.width + KEPT_BESIDE(values[i].text.length);
        dictionary_reserve(store->columns[c].values, loader->waiting, bytes);
    }
    parallel_for(loader->run->threads, store->column_count, code_column, loader);
    for (uint32 i = 0; i < loader->waiting; i++, row += stride)
        for (int c = 0; c < store->column_count; c++)
            row[c] = loader->codes[(Size)c * loader->most_waiting + i];
    loader->waiting = 0;
    loader->bytes_used = 0;
}

static void
keep_ids(loader *loader, const spool_record *record)
{
    record_store *store = loader->run->store;

    if (record->text_id != NULL) {
        if (store->text_ids == NULL)
            store->text_ids = big_alloc(store->data, mul_size(loader->allocated, sizeof(char *)));
        store->text_ids[loader->count] = MemoryContextStrdup(store->data, record->text_id);
    } else {
        if (store->integer_ids == NULL)
            store->integer_ids = big_alloc(store->data, mul_size(loader->allocated, sizeof(int64)));
        store->integer_ids[loader->count] = record->integer_id;
    }
}

static void
load_record(loader *loader, const spool_record *record)
{
    record_store *store = loader->run->store;
    uint32 *row;
    char *bytes;

    if (loader->count == loader->allocated) {
        loader->allocated = mul_size(loader->allocated, 2);
        loader->rows =
            big_realloc(loader->rows, mul_size(loader->allocated, store->records.stride * sizeof(uint32)));
        loader->numbers = big_realloc(loader->numbers, mul_size(loader->allocated, sizeof(uint32)));
        if (store->text_ids != NULL)
            store->text_ids = big_realloc(store->text_ids, mul_size(loader->allocated, sizeof(char *)));
        if (store->integer_ids != NULL)
            store->integer_ids = big_realloc(store->integer_ids, mul_size(loader->allocated, sizeof(int64)));
    }
    if (loader->waiting == loader->most_waiting ||
        record->size > loader->bytes_allocated - loader->bytes_used)
        load_waiting(loader);
    if (record->size > loader->bytes_allocated) {
        pfree(loader->bytes);
        loader->bytes_allocated = record->size;
        loader->bytes = big_alloc(store->data, loader->bytes_allocated);
    }
    bytes = memcpy(loader->bytes + loader->bytes_used, record->bytes, record->size);
    loader->bytes_used += record->size;
    for (int c = 0; c < store->column_count; c++) {
        spool_value *value = &loader->values[(Size)c * loader->most_waiting + loader->waiting];

        *value = record->values[c];
        value->text.chars = bytes + ((const char *)value->text.chars - record->bytes);
    }
    loader->waiting++;
    row = loader->rows + (Size)loader->count * store->records.stride;
    row[0] = 0; /* where there is no column */
    if (store->source_slot >= 0)
        row[store->source_slot] = record->source;
    if (loader->with_ids)
        keep_ids(loader, record);
    loader->numbers[loader->count++] = record->number;
}

/* The run now is about the records that were loaded. */
static void
load_end(loader *loader)
{
    record_store *store = loader->run->store;

    load_waiting(loader);
    pfree(loader->bytes);
    pfree(loader->values);
    pfree(loader->codes);
    store->records.rows = loader->rows;
    store->records.numbers = loader->numbers;
    store->records.count = loader->count;
    record_store_finish_values(store);
    match_run_take_values(loader->run);
}

/* Loads a file of numbered records. */
static void
load_all(loader *loader, BufFile *file)
{
    spool_scan scan;

    spool_scan_open(&scan, loader->run->store->spool, file);
    while (spool_scan_next(&scan))
        load_record(loader, &scan.record);
    spool_scan_close(&scan);
}

static void
load_numbered(match_run *run, BufFile *file, uint32 count)
{
    loader loader;

    load_begin(&loader, run, count);
    load_all(&loader, file);
    load_end(&loader);
}

void
passes_unload(match_run *run)
{
    for (int c = 0; c < run->spec->comparison_count; c++) {
        run->scorer.comparisons[c].values = (value_table){0};
        run->scorer.comparisons[c].value_weights = NULL;
    }
    record_store_clear(run->store);
    run->store->records.numbers = NULL;
    run->store->records.count = run->store->spool->count;
}

void
passes_open(match_run *run)
{
    big_memory_spare();
    for (int r = 0; r < run->spec->rule_count; r++)
        blocks_prepare_rule(run, r);
    match_run_phase(
        run, "spill", "%u records in " UINT64_FORMAT " kB of temporary files, about %zu kB of memory",
        run->store->spool->count, run->store->spool->bytes / 1024, run->store->spool->memory / 1024);
    /* Records may take half of the budget. */
    ereport(
        NOTICE,
        (errmsg("%u records do not fit into mastering.work_mem and go through temporary files",
                run->store->spool->count),
         errhint(
             "SET mastering.work_mem = '%zuMB' keeps them in memory, which takes about a fifth of the time.",
             run->store->spool->memory / (512 * 1024) + 1)));
}

void
passes_load_marked(match_run *run, const marked_records *marked)
{
    spool_scan scan;
    loader loader;

    load_begin(&loader, run, marked->count);
    loader.with_ids = true;
    spool_scan_open(&scan, run->store->spool, NULL);
    while (loader.count < marked->count && spool_scan_next(&scan))
        if (is_marked(marked, scan.record.number))
            load_record(&loader, &scan.record);
    spool_scan_close(&scan);
    load_end(&loader);
}

/* ---- the records of pairs ---- */

#define MOST_PAIR_PARTS 512

/* Numbered records that the pairs of each part name, in files. */
typedef struct pair_parts {
    uint64 pairs_each;
    uint32 part_count;
    BufFile **files;
    uint32 *counts;
} pair_parts;

/* The records of pairs, as a number and the part that wants it, in order; each once. */
static uint64 *
wanted_records(match_run *run, const named_pair *pairs, uint64 total, const pair_parts *parts, uint64 *count)
{
    uint64 *wanted = big_alloc(run->context, mul_size(Max(total, 1), 2 * sizeof(uint64)));

    for (uint64 i = 0; i < total; i++) {
        wanted[2 * i] = (uint64)pairs[i].a << 32 | i / parts->pairs_each;
        wanted[2 * i + 1] = (uint64)pairs[i].b << 32 | i / parts->pairs_each;
    }
    CHECK_FOR_INTERRUPTS();
    *count = sort_distinct(wanted, total * 2);
    return wanted;
}

/* Deals the records that pairs name into files, in one reading of the spool, for as many pairs at a time as
 * fit. */
static pair_parts *
deal_pairs(match_run *run, const named_pair *pairs, uint64 total)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    pair_parts *parts = palloc0(sizeof(pair_parts));
    uint64 *wanted, count, next = 0;
    spool_scan scan;

    parts->pairs_each = Max(Max(records_that_fit(run) / 2, total / MOST_PAIR_PARTS + 1), (uint64)1);
    parts->part_count = (uint32)(total / parts->pairs_each + 1);
    parts->files = palloc0(parts->part_count * sizeof(BufFile *));
    parts->counts = palloc0(parts->part_count * sizeof(uint32));
    wanted = wanted_records(run, pairs, total, parts, &count);
    spool_scan_open(&scan, run->store->spool, NULL);
    while (next < count && spool_scan_next(&scan))
        for (; next < count && wanted[next] >> 32 == scan.record.number; next++) {
            uint32 part = (uint32)wanted[next];

            if (parts->files[part] == NULL)
                parts->files[part] = BufFileCreateTemp(false);
            (void)spool_write_numbered(parts->files[part], &scan.record);
            parts->counts[part]++;
        }
    spool_scan_close(&scan);
    pfree(wanted);
    MemoryContextSwitchTo(before);
    return parts;
}

/* Loads the records of the pairs from first on, part by part. Returns where these pairs end, or beyond the
 * last one. */
static uint64
load_pairs(match_run *run, pair_parts *parts, uint64 first)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    uint32 part = (uint32)(first / parts->pairs_each);

    load_numbered(run, parts->files[part], parts->counts[part]);
    BufFileClose(parts->files[part]);
    parts->files[part] = NULL;
    run->pass_count++;
    MemoryContextSwitchTo(before);
    return (part + 1) * parts->pairs_each;
}

/* Where a record that was loaded is, by its number in the spool. */
static uint32
place_of(const record_table *records, uint32 number)
{
    uint32 low = 0, high = records->count;

    while (low < high) {
        uint32 middle = low + (high - low) / 2;

        if (records->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Weighs pairs whose records are dealt at once. */
static void
weigh_dealt(match_run *run, const named_pair *pairs, uint64 count, int64 *weights)
{
    pair_parts *parts = deal_pairs(run, pairs, count);
    const record_table *records = &run->store->records;

    for (uint64 first = 0, next; first < count; first = next) {
        next = load_pairs(run, parts, first);
        next = Min(next, count);
        for (uint64 i = first; i < next; i++)
            weights[i] =
                match_run_pair_weight(run, place_of(records, pairs[i].a), place_of(records, pairs[i].b));
        CHECK_FOR_INTERRUPTS();
    }
    pfree(parts->files);
    pfree(parts->counts);
    pfree(parts);
}

/* So many that their files take no more than the spool does. */
void
passes_weigh_pairs(match_run *run, const named_pair *pairs, uint64 count, int64 *weights)
{
    uint64 most = Max(run->store->spool->count / 2, 1);

    for (uint64 first = 0; first < count; first += most)
        weigh_dealt(run, pairs + first, Min(most, count - first), weights + first);
    passes_unload(run);
}

/* ---- the first records, some at a time ---- */

#define MOST_BLOCKS 64

record_blocks *
passes_deal_blocks(match_run *run, uint32 records)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    record_blocks *blocks = palloc0(sizeof(record_blocks));
    spool_scan scan;

    blocks->each = (uint32)Min(Max(records_that_fit(run) / 2, records / MOST_BLOCKS + 1), PG_INT32_MAX);
    blocks->count = records / blocks->each + 1;
    blocks->files = palloc(blocks->count * sizeof(BufFile *));
    blocks->records = palloc0(blocks->count * sizeof(uint32));
    for (uint32 block = 0; block < blocks->count; block++)
        blocks->files[block] = BufFileCreateTemp(false);
    spool_scan_open(&scan, run->store->spool, NULL);
    while (spool_scan_next(&scan) && scan.record.number < records) {
        uint32 block = scan.record.number / blocks->each;

        (void)spool_write_numbered(blocks->files[block], &scan.record);
        blocks->records[block]++;
    }
    spool_scan_close(&scan);
    MemoryContextSwitchTo(before);
    return blocks;
}

void
passes_load_blocks(match_run *run, const record_blocks *blocks, uint32 a, uint32 b)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    loader loader;

    load_begin(&loader, run, blocks->records[a] + (a == b ? 0 : blocks->records[b]));
    load_all(&loader, blocks->files[a]);
    if (a != b)
        load_all(&loader, blocks->files[b]);
    load_end(&loader);
    run->pass_count++;
    MemoryContextSwitchTo(before);
}

void
passes_free_blocks(record_blocks *blocks)
{
    for (uint32 block = 0; block < blocks->count; block++)
        BufFileClose(blocks->files[block]);
    pfree(blocks->files);
    pfree(blocks->records);
    pfree(blocks);
}

/* ---- the records of ranges of keys ---- */

/* The entries of a part in order, in the memory of what is loaded. */
static keyed_record *
sorted_entries(match_run *run, const key_part *part)
{
    MemoryContext before = MemoryContextSwitchTo(run->store->data);
    uint64 *keys = (uint64 *)(void *)spool_read_file(part->keys, part->count * sizeof(uint64));
    Size size = Max(part->count, 1) * sizeof(keyed_record);
    keyed_record *entries = big_alloc(run->store->data, size), *sorted;

    for (uint32 i = 0; i < part->count; i++)
        entries[i] = (keyed_record){keys[i], i, 0};
    pfree(keys);
    sorted = big_alloc(run->store->data, size);
    hash_sort_all(run->threads, entries, part->count, sorted);
    pfree(entries);
    MemoryContextSwitchTo(before);
    return sorted;
}

/* What there is to say of a rule's blocks before any of its pairs is visited. */
static void
count_blocks(match_run *run, int rule, const key_parts *dealt)
{
    for (int p = 0; p < 1 << dealt->bits; p++) {
        block_statistics statistics;

        if (dealt->parts[p].count == 0)
            continue;
        record_store_clear(run->store);
        (void)blocking_count(&run->rules[rule], sorted_entries(run, &dealt->parts[p]), dealt->parts[p].count,
                             &statistics);
        block_statistics_add(&run->statistics[rule], &statistics);
        CHECK_FOR_INTERRUPTS();
    }
}

/* Where records stand in the windowed blocks of the rules so far: for those that are loaded. */
static void
take_positions(match_run *run, int rule, uint32 *const *positions)
{
    const record_table *records = &run->store->records;

    for (int r = 0; r <= rule; r++) {
        uint32 *taken = NULL;

        if (r < rule && positions[r] != NULL) {
            taken = big_alloc(run->store->data, mul_size(Max(records->count, 1), sizeof(uint32)));
            for (uint32 i = 0; i < records->count; i++)
                taken[i] = positions[r][records->numbers[i]];
        }
        run->rules[r].positions = taken;
    }
}

static void
keep_positions(match_run *run, int rule, uint32 **positions)
{
    const record_table *records = &run->store->records;
    uint32 *made = run->rules[rule].positions;

    if (made == NULL)
        return;
    if (positions[rule] == NULL) {
        Size bytes = mul_size(run->store->spool->count, sizeof(uint32));

        positions[rule] = big_alloc(run->context, bytes);
        memset(positions[rule], 0xff, bytes);
    }
    for (uint32 i = 0; i < records->count; i++)
        if (made[i] != NO_POSITION)
            positions[rule][records->numbers[i]] = made[i];
}

/* What keys became that were divided, of the records that are loaded. */
static void
take_parts(match_run *run, int rule)
{
    const record_table *records = &run->store->records;

    for (int r = 0; r <= rule; r++) {
        blocking_rule *divided = &run->rules[r];
        uint64 *parts;

        split_take_values(run, r);
        divided->parts = NULL;
        if (!split_any(run, r))
            continue;
        parts = big_alloc(run->store->data, mul_size(Max(records->count, 1), sizeof(uint64)));
        for (uint32 i = 0; i < records->count; i++) {
            const uint32 *row = record_row(records, i);
            uint64 key = 0;

            for (int p = 0; p < divided->part_count; p++) {
                uint32 slot = divided->slots[p];

                key = hash_combine(key, run->store->columns[slot].values->hashes[row[slot]]);
            }
            parts[i] = split_key_of(run, r, i, key); /* of a record without a key it does not matter */
        }
        divided->parts = parts;
    }
}

/* Decides about keys that too many records have; true when some are divided. */
static bool
decide_splits(match_run *run, int rule, const key_parts *dealt)
{
    for (int p = 0; p < 1 << dealt->bits; p++) {
        const key_part *part = &dealt->parts[p];
        block_statistics statistics;

        if (part->count == 0)
            continue;
        record_store_clear(run->store);
        (void)blocking_count(&run->rules[rule], sorted_entries(run, part), part->count, &statistics);
        if (statistics.cut_blocks == 0)
            continue;
        load_numbered(run, part->records, part->count);
        split_gather(run, rule, sorted_entries(run, part), part->count);
        CHECK_FOR_INTERRUPTS();
    }
    return split_conclude(run, rule);
}

/* Between a consumer and the pairs of what is loaded. */
typedef struct numbered_pairs {
    pair_consumer consume;
    void *context;
} numbered_pairs;

static void
number_pairs(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    const numbered_pairs *to = context;
    scored_pair *numbered = unconstify(scored_pair *, pairs); /* of the run's own units */

    for (uint32 i = 0; i < count; i++) {
        numbered[i].a = run->store->records.numbers[pairs[i].a];
        numbered[i].b = run->store->records.numbers[pairs[i].b];
    }
    to->consume(run, rule, pairs, count, to->context);
}

void
passes_visit_rule(match_run *run, int rule, const visit_options *options, pair_consumer consume,
                  void *context)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    numbered_pairs numbered = {consume, context};
    bool counted = options->mode == PAIRS_SAMPLED;
    key_parts *dealt;

    progress_phase(psprintf("blocks of rule %d", rule + 1), 0);
    dealt = key_parts_of(run, rule, records_that_fit(run));
    if (split_undecided(run, rule) && decide_splits(run, rule, dealt))
        dealt = key_parts_again(run, rule, records_that_fit(run));
    run->statistics[rule] = (block_statistics){.keys = dealt->keys};
    if (counted)
        count_blocks(run, rule, dealt);
    progress_phase(psprintf("pairs of rule %d", rule + 1), run->statistics[rule].pairs);
    for (int p = 0; p < 1 << dealt->bits; p++) {
        key_part *part = &dealt->parts[p];
        block_statistics statistics;
        keyed_record *entries;

        if (part->count == 0)
            continue;
        load_numbered(run, part->records, part->count);
        if (part->count > 2 * records_that_fit(run) && part->count > run->oversize[rule])
            run->oversize[rule] = part->count;
        take_parts(run, rule);
        take_positions(run, rule, run->positions);
        entries = sorted_entries(run, part);
        blocks_of_entries(run, rule, run->store->data, entries, part->count, &statistics);
        pfree(entries);
        keep_positions(run, rule, run->positions);
        if (!counted)
            block_statistics_add(&run->statistics[rule], &statistics);
        match_run_visit_blocks(run, rule, options, number_pairs, &numbered);
        run->indexes[rule] = (block_index){0};
    }
    for (int r = 0; r <= rule; r++) {
        run->rules[r].positions = NULL;
        run->rules[r].parts = NULL;
    }
    run->pass_count += 1 << dealt->bits;
    /* Pairs are sampled to train, and visited once more with what was learnt. */
    key_parts_done(run, rule, options->mode == PAIRS_SAMPLED);
    passes_unload(run);
    MemoryContextSwitchTo(before);
}

void
passes_close(match_run *run)
{
    key_parts_close(run);
    spool_free(run->store->spool);
}
