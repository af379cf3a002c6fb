/*
 * passes.c: see passes.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/blocks.h"
#include "engine/hash_sort.h"
#include "engine/passes.h"
#include "engine/progress.h"
#include "engine/split.h"
#include "kernel/hash.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/memutils.h"

#define MOST_PARTS 1024
#define RECORD_OVERHEAD 64 /* of a record that is loaded: entries, their order, blocks */

bool
passes_can(const match_spec *spec)
{
    for (int r = 0; r < spec->rule_count; r++)
        if (spec->rules[r].top_k > 0)
            return false;
    for (int c = 0; c < spec->comparison_count; c++)
        if (spec->comparisons[c].method == METHOD_TFIDF)
            return false;
    return true;
}

bool
passes_can_have_sources(const match_spec *spec)
{
    return spec->trained && (spec->one_per_source != ONE_PER_SOURCE_EVIDENT || spec->unique_sources.known);
}

/* The rest is for what comes after reading: indexes of blocks, profiles, clusters. */
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
    uint64 each = spool->memory / Max(spool->count, 1) + RECORD_OVERHEAD;

    return Max(mastering_memory_budget() / 2 / each, 64);
}

/* ---- loading ---- */

typedef struct loader {
    match_run *run;
    uint32 *rows, *numbers;
    uint32 count;
    Size allocated;
    bool with_ids;
} loader;

static void
load_begin(loader *loader, match_run *run, uint64 expected)
{
    record_store *store = run->store;

    record_store_clear(store);
    *loader = (struct loader){.run = run, .allocated = Max(expected, 64)};
    loader->rows =
        big_alloc(store->data, mul_size(loader->allocated, store->records.stride * sizeof(uint32)));
    loader->numbers = big_alloc(store->data, mul_size(loader->allocated, sizeof(uint32)));
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
    row = loader->rows + (Size)loader->count * store->records.stride;
    row[0] = 0; /* where there is no column */
    for (int i = 0; i < store->column_count; i++) {
        const spool_value *value = &record->values[i];

        row[i] = value->text.length == 0 ? 0
                                         : dictionary_add_kept(store->columns[i].values, value->text,
                                                               spool_value_hash(value), value->second_hash);
    }
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

    store->records.rows = loader->rows;
    store->records.numbers = loader->numbers;
    store->records.count = loader->count;
    record_store_finish_values(store);
    match_run_take_values(loader->run);
}

/* Loads a file of numbered records. */
static void
load_numbered(match_run *run, BufFile *file, uint32 count)
{
    spool_scan scan;
    loader loader;

    load_begin(&loader, run, count);
    spool_scan_open(&scan, run->store->spool, file);
    while (spool_scan_next(&scan))
        load_record(&loader, &scan.record);
    spool_scan_close(&scan);
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

static inline bool
is_marked(const uint64 *marks, uint32 number)
{
    return marks[number / 64] >> (number % 64) & 1;
}

void
passes_load_marked(match_run *run, const uint64 *marks, uint32 count)
{
    spool_scan scan;
    loader loader;

    load_begin(&loader, run, count);
    loader.with_ids = true;
    spool_scan_open(&scan, run->store->spool, NULL);
    while (loader.count < count && spool_scan_next(&scan))
        if (is_marked(marks, scan.record.number))
            load_record(&loader, &scan.record);
    spool_scan_close(&scan);
    load_end(&loader);
}

/* ---- the records of random pairs ---- */

#define MOST_RANDOM_PARTS 512

/* Numbered records that the pairs of each part name, in files. */
struct random_parts {
    uint64 pairs_each;
    uint32 part_count;
    BufFile **files;
    uint32 *counts;
};

/* What is drawn, as the number of a record and the part that wants it, in order; each once. */
static uint64 *
draw_records(match_run *run, const random_pairs *pairs, const random_parts *parts, uint64 *count)
{
    uint64 *drawn = big_alloc(run->context, mul_size(Max(pairs->total, 1), 2 * sizeof(uint64)));

    for (uint64 i = 0; i < pairs->total; i++) {
        uint32 a, b;

        random_pairs_draw(pairs, i, &a, &b);
        drawn[2 * i] = (uint64)a << 32 | i / parts->pairs_each;
        drawn[2 * i + 1] = (uint64)b << 32 | i / parts->pairs_each;
    }
    CHECK_FOR_INTERRUPTS();
    *count = sort_distinct(drawn, pairs->total * 2);
    return drawn;
}

random_parts *
passes_deal_random(match_run *run, const random_pairs *pairs)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    random_parts *parts = palloc0(sizeof(random_parts));
    uint64 *drawn, count, next = 0;
    spool_scan scan;

    parts->pairs_each = Max(Max(records_that_fit(run) / 2, pairs->total / MOST_RANDOM_PARTS + 1), (uint64)1);
    parts->part_count = (uint32)(pairs->total / parts->pairs_each + 1);
    parts->files = palloc0(parts->part_count * sizeof(BufFile *));
    parts->counts = palloc0(parts->part_count * sizeof(uint32));
    drawn = draw_records(run, pairs, parts, &count);
    spool_scan_open(&scan, run->store->spool, NULL);
    while (next < count && spool_scan_next(&scan))
        for (; next < count && drawn[next] >> 32 == scan.record.number; next++) {
            uint32 part = (uint32)drawn[next];

            if (parts->files[part] == NULL)
                parts->files[part] = BufFileCreateTemp(false);
            spool_write_numbered(parts->files[part], &scan.record);
            parts->counts[part]++;
        }
    spool_scan_close(&scan);
    pfree(drawn);
    MemoryContextSwitchTo(before);
    return parts;
}

uint64
passes_load_random(match_run *run, random_parts *parts, uint64 first)
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

/* ---- the records of ranges of keys ---- */

/* Records that share a key of one rule, dealt by the first bits of the key. */
typedef struct key_part {
    BufFile *keys;    /* entries, whose record counts up within the part */
    BufFile *records; /* numbered, in the same order */
    uint32 count;
} key_part;

typedef struct key_parts {
    int bits;
    key_part *parts;
    uint64 keys; /* records with a key */
} key_parts;

static bool
key_of(const match_run *run, int rule, const spool_record *record, uint64 *key)
{
    *key = 0;
    for (int i = 0; i < run->rules[rule].part_count; i++) {
        const spool_value *value = &record->values[run->rules[rule].slots[i]];

        if (value->text.length == 0)
            return false;
        *key = hash_combine(*key, spool_value_hash(value));
    }
    return true;
}

/* A bit each for keys that were seen, and seen twice. */
typedef struct key_marks {
    uint64 mask, *seen, *seen_twice;
    uint64 repeated; /* records whose key's bit was set already */
    uint64 keys;
} key_marks;

/* Notes all keys of a rule: those of one record alone need not be looked at again. */
static void
mark_keys(match_run *run, int rule, key_marks *marks)
{
    Size words;
    spool_scan scan;
    uint64 key, most_bits = mastering_memory_budget() / 16 * 8;

    *marks = (key_marks){.mask = 1023};
    while (marks->mask < (uint64)run->store->spool->count * 8 && marks->mask < most_bits / 2)
        marks->mask = marks->mask * 2 + 1;
    words = (Size)(marks->mask / 64 + 1);
    marks->seen = big_alloc_zero(run->context, mul_size(words, 2 * sizeof(uint64)));
    marks->seen_twice = marks->seen + words;
    spool_scan_open(&scan, run->store->spool, NULL);
    while (spool_scan_next(&scan)) {
        uint64 place, bit, part;

        if (!key_of(run, rule, &scan.record, &key))
            continue;
        part = split_key_of_values(run, rule, scan.record.values, key);
        split_count(run, rule, key, part);
        key = part;
        marks->keys++;
        place = key & marks->mask;
        bit = UINT64_C(1) << (place & 63);
        marks->repeated += (marks->seen[place >> 6] & bit) != 0;
        marks->seen_twice[place >> 6] |= marks->seen[place >> 6] & bit;
        marks->seen[place >> 6] |= bit;
    }
    spool_scan_close(&scan);
    split_finish_counting(run, rule);
}

static void
deal_record(key_parts *dealt, uint64 key, const spool_record *record)
{
    key_part *part = &dealt->parts[dealt->bits == 0 ? 0 : key >> (64 - dealt->bits)];
    keyed_record entry = {key, part->count, 0};

    if (part->keys == NULL) {
        part->keys = BufFileCreateTemp(false);
        part->records = BufFileCreateTemp(false);
    }
    BufFileWrite(part->keys, &entry, sizeof entry);
    spool_write_numbered(part->records, record);
    part->count++;
}

static void
deal_records(match_run *run, int rule, key_parts *dealt)
{
    key_marks marks;
    spool_scan scan;
    uint64 shared, key;

    mark_keys(run, rule, &marks);
    *dealt = (key_parts){.keys = marks.keys};
    shared = Min(marks.keys, marks.repeated * 2);
    while (1 << dealt->bits < MOST_PARTS && shared >> dealt->bits > records_that_fit(run))
        dealt->bits++;
    dealt->parts = palloc0(sizeof(key_part) << dealt->bits);
    spool_scan_open(&scan, run->store->spool, NULL);
    while (spool_scan_next(&scan)) {
        if (!key_of(run, rule, &scan.record, &key))
            continue;
        key = split_key_of_values(run, rule, scan.record.values, key);
        if (marks.seen_twice[(key & marks.mask) >> 6] >> (key & marks.mask & 63) & 1)
            deal_record(dealt, key, &scan.record);
    }
    spool_scan_close(&scan);
    pfree(marks.seen);
}

/* The entries of a part in order, in the memory of what is loaded. */
static keyed_record *
sorted_entries(match_run *run, const key_part *part)
{
    MemoryContext before = MemoryContextSwitchTo(run->store->data);
    Size size = part->count * sizeof(keyed_record);
    keyed_record *entries = (keyed_record *)(void *)spool_read_file(part->keys, size), *sorted;

    sorted = big_alloc(run->store->data, Max(size, 1));
    hash_sort_all(run->threads, entries, part->count, sorted);
    pfree(entries);
    MemoryContextSwitchTo(before);
    return sorted;
}

static void
add_statistics(block_statistics *sum, const block_statistics *part)
{
    sum->blocks += part->blocks;
    sum->pairs += part->pairs;
    sum->largest_block = Max(sum->largest_block, part->largest_block);
    sum->cut_blocks += part->cut_blocks;
    sum->cut_pairs += part->cut_pairs;
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
        add_statistics(&run->statistics[rule], &statistics);
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

static void
close_parts(key_parts *dealt)
{
    for (int p = 0; p < 1 << dealt->bits; p++)
        if (dealt->parts[p].count > 0) {
            BufFileClose(dealt->parts[p].keys);
            BufFileClose(dealt->parts[p].records);
        }
    pfree(dealt->parts);
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
    key_parts dealt;

    progress_phase(psprintf("blocks of rule %d", rule + 1), 0);
    deal_records(run, rule, &dealt);
    if (split_undecided(run, rule) && decide_splits(run, rule, &dealt)) {
        close_parts(&dealt);
        deal_records(run, rule, &dealt);
    }
    run->statistics[rule] = (block_statistics){.keys = dealt.keys};
    if (counted)
        count_blocks(run, rule, &dealt);
    progress_phase(psprintf("pairs of rule %d", rule + 1), run->statistics[rule].pairs);
    for (int p = 0; p < 1 << dealt.bits; p++) {
        key_part *part = &dealt.parts[p];
        block_statistics statistics;

        if (part->count == 0)
            continue;
        load_numbered(run, part->records, part->count);
        BufFileClose(part->records);
        if (part->count > 2 * records_that_fit(run) && part->count > run->oversize[rule])
            run->oversize[rule] = part->count;
        take_parts(run, rule);
        take_positions(run, rule, run->positions);
        blocks_of_entries(run, rule, run->store->data, sorted_entries(run, part), part->count, &statistics);
        BufFileClose(part->keys);
        keep_positions(run, rule, run->positions);
        if (!counted)
            add_statistics(&run->statistics[rule], &statistics);
        match_run_visit_blocks(run, rule, options, number_pairs, &numbered);
        run->indexes[rule] = (block_index){0};
    }
    for (int r = 0; r <= rule; r++) {
        run->rules[r].positions = NULL;
        run->rules[r].parts = NULL;
    }
    run->pass_count += 1 << dealt.bits;
    pfree(dealt.parts);
    passes_unload(run);
    MemoryContextSwitchTo(before);
}
