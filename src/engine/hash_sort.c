/*
 * hash_sort.c: see hash_sort.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/hash_sort.h"
#include "kernel/parallel.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define PART_ENTRIES 16384 /* of a part, about: what a second-level cache holds twice */
#define MOST_PART_BITS 11
#define RANGES_AT_ONCE 64 /* dealt in one turn: some ten milliseconds */
#define PARTS_AT_ONCE 64

typedef struct turn {
    void (*work)(void *context, int64_t item, int thread);
    void *context;
    int64 first;
} turn;

static void
work_on_turn(void *context, int64_t item, int thread)
{
    turn *turn = context;

    turn->work(turn->context, turn->first + item, thread);
}

void
parallel_in_turns(int threads, int64 items, int64 items_at_once,
                  void (*work)(void *context, int64_t item, int thread), void *context)
{
    turn turn = {work, context, 0};

    for (; turn.first < items; turn.first += items_at_once) {
        parallel_for(threads, Min(items_at_once, items - turn.first), work_on_turn, &turn);
        CHECK_FOR_INTERRUPTS();
    }
}

typedef struct sort_job {
    keyed_record *from, *to;
    const uint32 *counts;
    int part_bits;
    Size *places; /* by range and part: first the number of entries, then where they go */
    Size *starts; /* of the parts, and the end */
} sort_job;

static inline Size
part_of(const sort_job *job, uint64 key)
{
    return job->part_bits == 0 ? 0 : (Size)(key >> (64 - job->part_bits));
}

static void
count_range(void *context, int64_t range, int thread)
{
    const sort_job *job = context;
    const keyed_record *entries = job->from + range * SORT_RANGE;
    Size *places = job->places + ((Size)range << job->part_bits);

    memset(places, 0, sizeof(Size) << job->part_bits);
    for (uint32 i = 0; i < job->counts[range]; i++)
        places[part_of(job, entries[i].key)]++;
}

static void
deal_range(void *context, int64_t range, int thread)
{
    const sort_job *job = context;
    const keyed_record *entries = job->from + range * SORT_RANGE;
    Size *places = job->places + ((Size)range << job->part_bits);

    for (uint32 i = 0; i < job->counts[range]; i++)
        job->to[places[part_of(job, entries[i].key)]++] = entries[i];
}

static void
sort_part(void *context, int64_t part, int thread)
{
    const sort_job *job = context;
    Size first = job->starts[part];

    radix_sort_hashed(job->to + first, job->from + first, job->starts[part + 1] - first);
}

void
hash_sort(int threads, keyed_record *from, const uint32 *counts, Size ranges, keyed_record *to)
{
    sort_job job = {.from = from, .to = to, .counts = counts};
    Size total = 0, place = 0, parts;

    for (Size r = 0; r < ranges; r++)
        total += counts[r];
    while (job.part_bits < MOST_PART_BITS && total >> job.part_bits > PART_ENTRIES)
        job.part_bits++;
    parts = (Size)1 << job.part_bits;
    job.places = big_alloc(CurrentMemoryContext, mul_size(Max(ranges, 1), mul_size(parts, sizeof(Size))));
    job.starts = palloc((parts + 1) * sizeof(Size));

    parallel_in_turns(threads, (int64)ranges, RANGES_AT_ONCE, count_range, &job);
    for (Size part = 0; part < parts; part++) {
        job.starts[part] = place;
        for (Size r = 0; r < ranges; r++) {
            Size *entries = &job.places[(r << job.part_bits) + part], count = *entries;

            *entries = place;
            place += count;
        }
    }
    job.starts[parts] = place;
    parallel_in_turns(threads, (int64)ranges, RANGES_AT_ONCE, deal_range, &job);
    parallel_in_turns(threads, (int64)parts, PARTS_AT_ONCE, sort_part, &job);
    pfree(job.places);
    pfree(job.starts);
}

void
hash_sort_all(int threads, keyed_record *from, Size count, keyed_record *to)
{
    Size ranges = sort_ranges(count);
    uint32 *counts = big_alloc(CurrentMemoryContext, mul_size(Max(ranges, 1), sizeof(uint32)));

    for (Size r = 0; r < ranges; r++)
        counts[r] = (uint32)Min(SORT_RANGE, count - r * SORT_RANGE);
    hash_sort(threads, from, counts, ranges, to);
    pfree(counts);
}

int
compare_uint64(const void *a, const void *b)
{
    uint64 x = *(const uint64 *)a, y = *(const uint64 *)b;

    return x < y ? -1 : x > y;
}

uint64
sort_distinct(uint64 *numbers, uint64 count)
{
    uint64 kept = 0;

    qsort(numbers, count, sizeof(uint64), compare_uint64);
    for (uint64 i = 0; i < count; i++)
        if (kept == 0 || numbers[kept - 1] != numbers[i])
            numbers[kept++] = numbers[i];
    return kept;
}
