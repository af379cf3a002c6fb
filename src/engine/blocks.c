/*
 * blocks.c: see blocks.h.
 */
#include "compat.h"

#include "engine/blocks.h"
#include "engine/term_index.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
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

/* What is to be done for one rule; the parts named "work" run on worker threads. */
typedef struct index_job {
    blocking_rule *rule;
    const record_table *records;
    bool filled; /* the entries are there already */
    bool sorted; /* and in order */
    bool done;   /* the blocks are written */
    block_fill fill;
    const uint64 *part_hashes[MAX_KEY_PARTS];
    keyed_record *entries, *scratch;
    uint64 count;
    uint64 block_count;
    block_statistics *statistics;
    block *blocks;
    value_table window_values[2];
    window_order window_order;
} index_job;

/* Entries of a rule whose parts are single values: at most one a record. */
static void
fill_single_entries(index_job *job)
{
    const blocking_rule *rule = job->rule;

    job->count = 0;
    for (uint32 record = 0; record < job->records->count; record++) {
        const uint32 *row = record_row(job->records, record);
        uint64 key = 0;
        bool whole = true;

        for (int i = 0; i < rule->part_count && whole; i++) {
            uint32 code = row[rule->slots[i]];

            whole = code != 0;
            key = hash_combine(key, job->part_hashes[i][code]);
        }
        if (whole)
            job->entries[job->count++] = (keyed_record){key, record, 0};
    }
}

static void
work_on_sorting(void *context, int64_t item, int thread)
{
    index_job *job = &((index_job *)context)[item];

    if (!job->filled)
        fill_single_entries(job);
    if (!job->sorted)
        radix_sort_hashed(job->entries, job->scratch, job->count);
    job->block_count = blocking_count(job->rule, job->entries, job->count, job->statistics);
}

static void
work_on_blocks(void *context, int64_t item, int thread)
{
    index_job *job = &((index_job *)context)[item];

    if (!job->done)
        job->done = blocking_fill(job->rule, job->records, &job->window_order, job->entries, job->scratch,
                                  job->count, job->blocks, &job->fill, &InterruptPending);
}

/* Too many entries for a worker, which would not see a cancel request: sorted by the main thread. */
static void
sort_many(index_job *job)
{
    if (job->count <= ENTRIES_SORTED_AT_ONCE)
        return;
    if (!job->filled)
        fill_single_entries(job);
    sort_by_hash(job->entries, job->scratch, job->count);
    job->filled = job->sorted = true;
}

static bool
all_done(const index_job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        if (!jobs[i].done)
            return false;
    return true;
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

/* The keys of each record for a rule with an array among its parts; kept, to find pairs again. */
static void
list_keys(match_run *run, int rule)
{
    uint32 count = run->store->records.count;
    uint64 *starts = MemoryContextAllocHuge(run->context, mul_size(add_size(count, 1), sizeof(uint64)));
    uint64 *keys = NULL, keys_of_record[MAX_KEYS_OF_RECORD], used = 0, allocated = 0;

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
        if ((record & 0xff) == 0) /* a record may have a thousand keys */
            CHECK_FOR_INTERRUPTS();
    }
    starts[count] = used;
    if (keys == NULL)
        keys = MemoryContextAlloc(run->context, sizeof(uint64));
    run->rules[rule].list_starts = starts;
    run->rules[rule].list_keys = keys;
}

/* Entries from the keys of each record. */
static void
fill_list_entries(match_run *run, index_job *job)
{
    const blocking_rule *rule = job->rule;
    uint32 count = run->store->records.count;

    job->count = rule->list_starts[count];
    job->entries = MemoryContextAllocHuge(run->context, mul_size(Max(job->count, 1), sizeof(keyed_record)));
    for (uint32 record = 0; record < count; record++) {
        for (uint64 i = rule->list_starts[record]; i < rule->list_starts[record + 1]; i++)
            job->entries[i] = (keyed_record){rule->list_keys[i], record, 0};
        if ((record & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    job->filled = true;
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

/* Bytes of a rule's entries and blocks. */
static Size
index_size(const match_run *run, int rule)
{
    return run->statistics[rule].keys * sizeof(keyed_record) + run->indexes[rule].block_count * sizeof(block);
}

static uint32 *
no_positions(match_run *run, uint64 count)
{
    uint32 *positions = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));

    memset(positions, 0xff, count * sizeof(uint32));
    return positions;
}

/* What a rule needs to be asked whether it finds a pair: made once a run. */
static void
prepare_rule(match_run *run, int r, index_job *job)
{
    blocking_rule *rule = &run->rules[r];
    const rule_spec *spec = &run->spec->rules[r];

    if (rule->part_count > 0)
        return;
    rule->max_block = (uint32)spec->max_block;
    rule->window = (uint32)spec->window;
    for (int i = 0; i < spec->part_count; i++)
        rule->slots[i] = (uint32)run->rule_slots[r][i];
    if (spec->top_k > 0) {
        uint64 *starts, *keys;

        job->entries = term_index_neighbours(run, run->rule_slots[r][0], spec->q, spec->top_k, &starts, &keys,
                                             &job->count);
        job->filled = true;
        rule->list_starts = starts;
        rule->list_keys = keys;
    } else if (is_list_rule(run, r))
        list_keys(run, r);
    rule->part_count = spec->part_count;
}

static void
prepare_job(match_run *run, int r, index_job *job)
{
    blocking_rule *rule = &run->rules[r];

    *job = (index_job){.rule = rule, .records = &run->store->records, .statistics = &run->statistics[r]};
    prepare_rule(run, r, job);
    if (job->filled)
        ;
    else if (rule->list_starts != NULL)
        fill_list_entries(run, job);
    else {
        job->count = run->store->records.count;
        job->entries =
            MemoryContextAllocHuge(run->context, mul_size(Max(job->count, 1), sizeof(keyed_record)));
        for (int i = 0; i < rule->part_count; i++)
            job->part_hashes[i] = part_values(run, r, i)->hashes;
    }
    job->scratch = MemoryContextAllocHuge(run->context, mul_size(Max(job->count, 1), sizeof(keyed_record)));
    job->window_order = window_order_for(run, r, job->window_values);
}

static void
make_blocks(match_run *run, index_job *job)
{
    blocking_rule *rule = job->rule;

    job->blocks = MemoryContextAllocHuge(run->context, mul_size(Max(job->block_count, 1), sizeof(block)));
    if (job->statistics->cut_blocks == 0)
        return;
    if (rule->list_starts != NULL && rule->list_positions == NULL)
        rule->list_positions = no_positions(run, job->count);
    else if (rule->list_starts == NULL && rule->positions == NULL)
        rule->positions = no_positions(run, run->store->records.count);
}

/*
 * The rules to build at once: as many of those that come next and are not there as there are threads, if
 * their entries fit into the memory of a run.
 */
static int
next_rules(const match_run *run, int first, int *rules)
{
    Size size = mul_size(Max(run->store->records.count, 1), 2 * sizeof(keyed_record));
    Size budget = mastering_memory_budget();
    int count = 0;

    for (int r = first; r < run->spec->rule_count && count < run->threads; r++) {
        bool simple = run->spec->rules[r].top_k == 0 && !is_list_rule(run, r);

        if (run->indexes[r].entries != NULL)
            continue;
        if (count > 0 && (!simple || (count + 1) * size > budget - Min(budget, run->index_bytes)))
            break;
        rules[count++] = r;
        if (!simple)
            break;
    }
    return count;
}

void
blocks_prepare(match_run *run, int rule)
{
    index_job *jobs;
    int rules[MAX_RULES], count;

    if (run->indexes[rule].entries != NULL)
        return;
    count = next_rules(run, rule, rules);
    jobs = MemoryContextAllocZero(run->context, count * sizeof(index_job));
    for (int i = 0; i < count; i++) {
        prepare_job(run, rules[i], &jobs[i]);
        CHECK_FOR_INTERRUPTS();
        sort_many(&jobs[i]);
    }
    parallel_for(run->threads, count, work_on_sorting, jobs);
    CHECK_FOR_INTERRUPTS();
    for (int i = 0; i < count; i++)
        make_blocks(run, &jobs[i]);
    while (!all_done(jobs, count)) {
        parallel_for(run->threads, count, work_on_blocks, jobs);
        CHECK_FOR_INTERRUPTS();
    }
    for (int i = 0; i < count; i++) {
        pfree(jobs[i].scratch);
        run->indexes[rules[i]] = (block_index){jobs[i].entries, jobs[i].blocks, jobs[i].block_count};
        run->index_bytes += index_size(run, rules[i]);
    }
    pfree(jobs);
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
