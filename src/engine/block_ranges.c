/*
 * block_ranges.c: see block_ranges.h.
 *
 * A range is some thousand entries and belongs to one thread, which deals with the keys that begin in it.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/block_ranges.h"
#include "engine/hash_sort.h"
#include "utils/memutils.h"

#define ENTRIES_A_RANGE 16384
#define RANGES_AT_ONCE 64

typedef struct range_job {
    blocking_rule *rule;
    keyed_record *entries;
    uint64 count;
    block_statistics *parts; /* by range */
    uint64 *starts;          /* by range: its first block */
    block *blocks;
    uint32 *records;
} range_job;

/*
 * The first entry from i on that begins a key. A key may have most of all entries, and then begins in none of
 * many ranges: its end is not looked for entry by entry.
 */
static uint64
key_start(const keyed_record *entries, uint64 count, uint64 i)
{
    uint64 low = i, step = 1, high;

    if (i == 0 || i >= count)
        return Min(i, count);
    for (; low + step <= count && entries[low + step - 1].key == entries[i - 1].key; step *= 2)
        low += step;
    high = Min(low + step - 1, count);
    while (low < high) {
        uint64 middle = low + (high - low) / 2;

        if (entries[middle].key == entries[i - 1].key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64
range_start(const range_job *job, uint64 range)
{
    return key_start(job->entries, job->count, Min(range * ENTRIES_A_RANGE, job->count));
}

static void
count_range(void *context, int64_t range, int thread)
{
    range_job *job = context;
    uint64 first = range_start(job, (uint64)range), end = range_start(job, (uint64)range + 1);

    (void)blocking_count(job->rule, job->entries + first, end - first, &job->parts[range]);
}

static void
fill_range(void *context, int64_t range, int thread)
{
    range_job *job = context;
    uint64 first = range_start(job, (uint64)range), end = range_start(job, (uint64)range + 1);
    block *blocks = job->blocks + job->starts[range];
    block_fill fill = {0};

    (void)blocking_fill(job->rule, NULL, NULL, job->entries + first, NULL, end - first, blocks, &fill, NULL);
    for (uint64 b = 0; b < fill.blocks; b++)
        blocks[b].first += first;
    for (uint64 i = first; i < end; i++)
        job->records[i] = job->entries[i].record;
}

static int64
ranges_of(uint64 count)
{
    return (int64)(count / ENTRIES_A_RANGE + (count % ENTRIES_A_RANGE != 0));
}

static void
sum_up(const range_job *job, int64 ranges, block_statistics *statistics)
{
    *statistics = (block_statistics){.keys = job->count};
    for (int64 r = 0; r < ranges; r++) {
        job->starts[r] = statistics->blocks;
        block_statistics_add(statistics, &job->parts[r]);
    }
}

bool
block_ranges_make(match_run *run, blocking_rule *rule, MemoryContext context, keyed_record *entries,
                  uint64 count, block_statistics *statistics, block_index *index)
{
    range_job job = {.rule = rule, .entries = entries, .count = count};
    int64 ranges = ranges_of(count);
    bool make;

    job.parts = MemoryContextAllocHuge(context, mul_size(Max(ranges, 1), sizeof(block_statistics)));
    job.starts = MemoryContextAllocHuge(context, mul_size(Max(ranges, 1), sizeof(uint64)));
    parallel_in_turns(run->threads, ranges, RANGES_AT_ONCE, count_range, &job);
    sum_up(&job, ranges, statistics);
    make = statistics->cut_blocks == 0;
    if (make) {
        job.blocks = big_alloc(context, mul_size(Max(statistics->blocks, 1), sizeof(block)));
        job.records = big_alloc(context, mul_size(Max(count, 1), sizeof(uint32)));
        parallel_in_turns(run->threads, ranges, RANGES_AT_ONCE, fill_range, &job);
        *index = (block_index){job.records, job.blocks, statistics->blocks, count};
    }
    pfree(job.starts);
    pfree(job.parts);
    return make;
}

/* Entries half the size apart meet within any key that has more. */
bool
block_ranges_any_larger(const keyed_record *entries, uint64 count, uint64 size)
{
    uint64 step = Max(size / 2, 1);

    for (uint64 i = step; i < count; i += step)
        if (entries[i].key == entries[i - step].key)
            return true;
    return false;
}
