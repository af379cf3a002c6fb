/*
 * blocks.c: see blocks.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/block_entries.h"
#include "engine/block_ranges.h"
#include "engine/blocks.h"
#include "engine/hash_sort.h"
#include "engine/shared_keys.h"
#include "engine/split.h"
#include "engine/term_index.h"
#include "kernel/hash.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/memutils.h"

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

/* Entries of a rule on their way into order. */
typedef struct index_job {
    blocking_rule *rule;
    const record_table *records;
    bool filled; /* the entries are there already */
    const uint64 *part_hashes[MAX_KEY_PARTS];
    shared_keys shared; /* of single values */
    keyed_record *entries;
    uint64 count;
    uint64 keys; /* entries before those of a single record were left out */
} index_job;

#define AHEAD 24 /* records whose hashes are fetched before they are needed */

/* The most entries that records can make. */
static uint32
most_single_entries(const void *context, uint64 first, uint64 end)
{
    const index_job *job = context;

    return job->shared.rules == NULL ? (uint32)(end - first)
                                     : shared_keys_count(&job->shared, (uint32)first, (uint32)end);
}

/* Puts the numbers of the records that may share a key into the entries. */
static uint32
list_sharing(const index_job *job, uint32 first, uint32 end, keyed_record *entries)
{
    const uint8 *rules = job->shared.rules, bit = job->shared.bit;
    uint32 count = 0;

    for (uint32 record = first; record < end; record++) {
        entries[count].record = record;
        count += rules == NULL || (rules[record] & bit) != 0;
    }
    return count;
}

/* Entries of a rule whose parts are single values, at most one a record; returns their number. */
static uint32
fill_single_entries(const void *context, uint64 first, uint64 end, keyed_record *entries)
{
    const index_job *job = context;
    const blocking_rule *rule = job->rule;
    uint32 listed = list_sharing(job, (uint32)first, (uint32)end, entries), count = 0;

    for (uint32 n = 0; n < listed; n++) {
        uint32 record = entries[n].record;
        const uint32 *row = record_row(job->records, record);
        uint64 key = 0;
        bool whole = true;

        if (n + AHEAD < listed)
            for (int i = 0; i < rule->part_count; i++)
                __builtin_prefetch(&job->part_hashes[i][record_row(
                    job->records, entries[n + AHEAD].record)[rule->slots[i]]]);
        for (int i = 0; i < rule->part_count; i++) {
            uint32 code = row[rule->slots[i]];

            whole &= code != 0;
            key = hash_combine(key, job->part_hashes[i][code]);
        }
        if (rule->parts != NULL)
            key = rule->parts[record];
        entries[count] = (keyed_record){key, record, 0};
        count += whole;
    }
    return count;
}

/* Entries that are there. */
static uint32
copy_entries(const void *context, uint64 first, uint64 end, keyed_record *entries)
{
    const index_job *job = context;

    memcpy(entries, job->entries + first, (end - first) * sizeof(keyed_record));
    return (uint32)(end - first);
}

static void
free_room(work_room *room)
{
    if (room->memory != NULL)
        pfree(room->memory);
    *room = (work_room){0};
}

void
blocks_end_making(match_run *run)
{
    free_room(&run->entry_room);
    free_room(&run->sorted_room);
    free_room(&run->seen_room);
    shared_keys_free(run);
}

/* The entries of keys that several records have, in order. */
static void
sort_entries(match_run *run, index_job *job)
{
    entry_source source = {copy_entries, NULL, job};
    keyed_record *entries = job->entries;

    if (!job->filled)
        source = (entry_source){fill_single_entries, most_single_entries, job};
    job->entries = block_entries_sort(run, &source, job->count, entries, &job->keys, &job->count);
    if (job->shared.rules != NULL)
        job->keys = job->shared.keys;
    if (entries != NULL && entries != run->entry_room.memory)
        pfree(entries);
}

/* A record's parts for a rule: where their codes are, and how many of each; the number of combinations. */
static uint64
key_combinations(const match_run *run, int rule, uint32 record, const uint32 **codes, uint32 *counts,
                 uint64 *cut)
{
    uint64 total = 1;

    *cut = 0;
    for (int i = 0; i < run->spec->rules[rule].part_count; i++) {
        codes[i] = part_codes(run, rule, i, record, &counts[i]);
        total *= counts[i];
        if (total == 0)
            return 0;
        if (total > MAX_KEYS_OF_RECORD) {
            *cut += total - MAX_KEYS_OF_RECORD;
            total = MAX_KEYS_OF_RECORD;
        }
    }
    return total;
}

/* One of the combinations, and its key. */
static uint64
key_of_combination(const match_run *run, int rule, const uint32 *const *lists, const uint32 *counts,
                   uint64 combination, uint32 *codes)
{
    uint64 key = 0;

    for (int i = 0; i < run->spec->rules[rule].part_count; i++) {
        codes[i] = lists[i][combination % counts[i]];
        key = hash_combine(key, part_values(run, rule, i)->hashes[codes[i]]);
        combination /= counts[i];
    }
    return key;
}

bool
blocks_find_key(const match_run *run, int rule, uint32 record, uint64 key, uint32 *codes)
{
    const uint32 *lists[MAX_KEY_PARTS];
    uint32 counts[MAX_KEY_PARTS];
    uint64 cut, total = key_combinations(run, rule, record, lists, counts, &cut);

    for (uint64 combination = 0; combination < total; combination++)
        if (key_of_combination(run, rule, lists, counts, combination, codes) == key)
            return true;
    return false;
}

uint32
blocks_record_keys(match_run *run, int rule, uint32 record, uint64 *keys)
{
    const uint32 *lists[MAX_KEY_PARTS];
    uint32 counts[MAX_KEY_PARTS], codes[MAX_KEY_PARTS], used;
    uint64 cut, total = key_combinations(run, rule, record, lists, counts, &cut);

    run->cut_keys[rule] += cut;
    for (uint64 combination = 0; combination < total; combination++)
        keys[combination] = key_of_combination(run, rule, lists, counts, combination, codes);
    used = (uint32)sort_distinct(keys, total);
    split_prepare(run, rule);
    if (split_any(run, rule)) {
        for (uint32 i = 0; i < used; i++) {
            uint64 part = split_key_of(run, rule, record, keys[i]);

            split_count(run, rule, keys[i], part);
            keys[i] = part;
        }
        used = (uint32)sort_distinct(keys, used);
    }
    return used;
}

/* The keys of each record for a rule with an array among its parts; kept, to find pairs again. */
static void
list_keys(match_run *run, int rule)
{
    uint32 count = run->store->records.count;
    uint64 *starts = big_alloc(run->context, mul_size(add_size(count, 1), sizeof(uint64)));
    uint64 *keys = NULL, keys_of_record[MAX_KEYS_OF_RECORD], used = 0, allocated = 0;

    for (uint32 record = 0; record < count; record++) {
        uint32 found = blocks_record_keys(run, rule, record, keys_of_record);

        starts[record] = used;
        if (used + found > allocated) {
            allocated = Max(used + found, allocated == 0 ? 4096 : allocated * 2);
            keys = keys == NULL ? big_alloc(run->context, mul_size(allocated, sizeof(uint64)))
                                : big_realloc(keys, mul_size(allocated, sizeof(uint64)));
        }
        if (found > 0)
            memcpy(keys + used, keys_of_record, found * sizeof(uint64));
        used += found;
        if ((record & 0xff) == 0) /* a record may have a thousand keys */
            CHECK_FOR_INTERRUPTS();
    }
    starts[count] = used;
    if (keys == NULL)
        keys = MemoryContextAlloc(run->context, sizeof(uint64));
    run->rules[rule].list_starts = starts;
    run->rules[rule].list_keys = keys;
}

/* What the keys of records become where some are divided. */
static void
divide_keys(match_run *run, int r)
{
    blocking_rule *rule = &run->rules[r];
    uint32 count = run->store->records.count;
    uint64 *parts;

    if (!split_any(run, r))
        return;
    parts = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint64)));
    for (uint32 record = 0; record < count; record++) {
        const uint32 *row = record_row(&run->store->records, record);
        uint64 key = 0;
        bool whole = true;

        for (int i = 0; i < rule->part_count && whole; i++) {
            uint32 code = row[rule->slots[i]];

            whole = code != 0;
            key = hash_combine(key, part_values(run, r, i)->hashes[code]);
        }
        parts[record] = key;
        if (whole) {
            parts[record] = split_key_of(run, r, record, key);
            split_count(run, r, key, parts[record]);
        }
        if ((record & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    rule->parts = parts;
}

/* Entries from the keys of each record. */
static void
fill_list_entries(match_run *run, index_job *job)
{
    const blocking_rule *rule = job->rule;
    uint32 count = run->store->records.count;

    job->count = rule->list_starts[count];
    job->entries = block_room(run, &run->entry_room, mul_size(Max(job->count, 1), sizeof(keyed_record)));
    for (uint32 record = 0; record < count; record++) {
        for (uint64 i = rule->list_starts[record]; i < rule->list_starts[record + 1]; i++)
            job->entries[i] = (keyed_record){rule->list_keys[i], record, 0};
        if ((record & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    job->filled = true;
}

/* The first two comparisons whose values do not make up the key order its windowed blocks. */
window_order
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

/* Bytes of a rule's entries and blocks. */
static Size
index_size(const match_run *run, int rule)
{
    return run->indexes[rule].entry_count * sizeof(uint32) + run->indexes[rule].block_count * sizeof(block);
}

static uint32 *
no_positions(MemoryContext context, uint64 count)
{
    uint32 *positions = big_alloc(context, mul_size(Max(count, 1), sizeof(uint32)));

    memset(positions, 0xff, count * sizeof(uint32));
    return positions;
}

static void
set_rule(match_run *run, int r)
{
    blocking_rule *rule = &run->rules[r];
    const rule_spec *spec = &run->spec->rules[r];

    rule->max_block = (uint32)spec->max_block;
    rule->window = (uint32)spec->window;
    for (int i = 0; i < spec->part_count; i++)
        rule->slots[i] = (uint32)run->rule_slots[r][i];
    rule->part_count = spec->part_count;
}

/* What a rule needs to be asked whether it finds a pair: made once a run. */
static void
prepare_rule(match_run *run, int r, index_job *job)
{
    blocking_rule *rule = &run->rules[r];
    const rule_spec *spec = &run->spec->rules[r];

    if (rule->part_count > 0)
        return;
    set_rule(run, r);
    if (spec->top_k > 0) {
        uint64 *starts, *keys;

        job->entries = term_index_neighbours(run, run->rule_slots[r][0], spec->q, spec->top_k, &starts, &keys,
                                             &job->count);
        job->filled = true;
        rule->list_starts = starts;
        rule->list_keys = keys;
        return;
    }
    split_prepare(run, r);
    if (is_list_rule(run, r))
        list_keys(run, r);
    else
        divide_keys(run, r);
    split_finish_counting(run, r);
}

static void
prepare_job(match_run *run, int r, index_job *job)
{
    blocking_rule *rule = &run->rules[r];

    *job = (index_job){.rule = rule, .records = &run->store->records};
    prepare_rule(run, r, job);
    if (job->filled)
        return;
    if (rule->list_starts != NULL) {
        fill_list_entries(run, job);
        return;
    }
    job->count = run->store->records.count;
    for (int i = 0; i < rule->part_count; i++)
        job->part_hashes[i] = part_values(run, r, i)->hashes;
    job->shared = shared_keys_of(run, r);
}

void
blocks_of_entries(match_run *run, int r, MemoryContext context, keyed_record *entries, uint64 count,
                  block_statistics *statistics)
{
    blocking_rule *rule = &run->rules[r];
    block *blocks;
    keyed_record *scratch;
    value_table window_values[2];
    window_order order;
    uint32 *records;
    block_fill fill = {0};

    if (block_ranges_make(run, rule, context, entries, count, statistics, &run->indexes[r]))
        return;
    order = window_order_for(run, r, window_values);
    blocks = big_alloc(context, mul_size(Max(statistics->blocks, 1), sizeof(block)));
    scratch = big_alloc(context, mul_size(statistics->largest_block, sizeof(keyed_record)));
    if (rule->list_starts != NULL && rule->list_positions == NULL)
        rule->list_positions = no_positions(context, rule->list_starts[run->store->records.count]);
    else if (rule->list_starts == NULL && rule->positions == NULL)
        rule->positions = no_positions(context, run->store->records.count);
    while (!blocking_fill(rule, &run->store->records, &order, entries, scratch, count, blocks, &fill,
                          &InterruptPending))
        CHECK_FOR_INTERRUPTS();
    pfree(scratch);
    records = big_alloc(context, mul_size(Max(count, 1), sizeof(uint32)));
    for (uint64 i = 0; i < count; i++)
        records[i] = entries[i].record;
    run->indexes[r] = (block_index){records, blocks, statistics->blocks, count};
}

void
blocks_prepare_rule(match_run *run, int rule)
{
    set_rule(run, rule);
    split_prepare(run, rule);
}

/* Once more, when keys are to be divided. */
static void
forget_rule(match_run *run, int rule, index_job *job)
{
    if (run->rules[rule].list_starts != NULL) {
        pfree((void *)run->rules[rule].list_starts);
        pfree((void *)run->rules[rule].list_keys);
    }
    run->rules[rule] = (blocking_rule){0};
    run->cut_keys[rule] = 0;
}

void
blocks_prepare(match_run *run, int rule)
{
    index_job job;

    if (run->indexes[rule].entries != NULL)
        return;
    prepare_job(run, rule, &job);
    sort_entries(run, &job);
    if (run->spec->rules[rule].top_k == 0 && split_decide(run, rule, job.entries, job.count)) {
        forget_rule(run, rule, &job);
        prepare_job(run, rule, &job);
        sort_entries(run, &job);
    }
    blocks_of_entries(run, rule, run->context, job.entries, job.count, &run->statistics[rule]);
    run->statistics[rule].keys = job.keys;
    run->index_bytes += index_size(run, rule);
    CHECK_FOR_INTERRUPTS();
}

void
blocks_release(match_run *run, int rule)
{
    block_index *index = &run->indexes[rule];

    if (run->index_bytes <= mastering_memory_budget())
        return;
    run->index_bytes -= index_size(run, rule);
    pfree((void *)index->entries);
    pfree((void *)index->blocks);
    *index = (block_index){0};
}
