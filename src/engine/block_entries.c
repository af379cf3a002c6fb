/*
 * block_entries.c: see block_entries.h.
 *
 * Each step works on what a core's own cache holds. Some thousand entries at a time are made and dealt into
 * parts by the first bits of their keys. Then each part is taken from all of these groups: a bit for each key
 * that was seen, and one for each seen twice, tell most of the entries that no other has the key of, and only
 * the others are put in order.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/block_entries.h"
#include "engine/hash_sort.h"

#define GROUP_ENTRIES 16384
#define MOST_GROUP_ENTRIES 65536
#define MANY_ENTRIES (4 * 1024 * 1024) /* that go into large groups */
#define PART_ENTRIES 16384             /* about */
#define MOST_PART_BITS 11
#define MOST_DIGIT_BITS 12
#define LEAST_BITS 1024
#define MOST_BITS (1024 * 1024) /* of keys seen in a part */
#define ITEMS_AT_ONCE 64        /* between two looks at cancel requests */
#define LINE_ENTRIES 4          /* in a cache line */

typedef struct entry_job {
    const entry_source *source;
    uint64 count;       /* of items */
    uint64 room;        /* entries that they can be */
    keyed_record *work; /* by group and part */
    keyed_record *sorted;
    uint32 group_entries;
    uint32 groups;
    uint64 *group_starts; /* in work */
    int part_bits;
    uint32 parts;
    uint32 *starts;    /* by part and group: where its entries begin in the group */
    uint32 *counts;    /* the same: how many they are */
    Size *part_starts; /* in sorted, and the end */
    char *thread_room; /* by thread: a group's entries, or bits of a part's keys */
    Size thread_size;
    uint64 *part_keys; /* by part: entries before any were left out */
} entry_job;

void *
block_room(match_run *run, work_room *room, Size size)
{
    if (room->size < size) {
        if (room->memory != NULL)
            pfree(room->memory);
        *room = (work_room){0};
        room->memory = big_alloc(run->context, size);
        room->size = size;
    }
    return room->memory;
}

static inline uint32
part_of(const entry_job *job, uint64 key)
{
    return (uint32)(key >> 1 >> (63 - job->part_bits));
}

static inline Size
place_of(const entry_job *job, uint32 part, uint32 group)
{
    return (Size)part * job->groups + group;
}

/* ---- steps ---- */

/* How many entries a group can have. */
static void
measure_group(void *context, int64_t group, int thread)
{
    const entry_job *job = context;
    uint64 first = (uint64)group * job->group_entries, end = Min(job->count, first + job->group_entries);

    job->group_starts[group] =
        job->source->most == NULL ? end - first : job->source->most(job->source->context, first, end);
}

/* A group's entries, dealt into parts. */
static void
deal_group(void *context, int64_t item, int thread)
{
    const entry_job *job = context;
    uint32 group = (uint32)item, ends[1 << MOST_PART_BITS] = {0}, place = 0;
    uint64 first = (uint64)group * job->group_entries, end = Min(job->count, first + job->group_entries);
    keyed_record *made = (keyed_record *)(void *)(job->thread_room + thread * job->thread_size);
    keyed_record *dealt = job->work + job->group_starts[group];
    uint32 count = job->source->make(job->source->context, first, end, made);

    for (uint32 i = 0; i < count; i++)
        ends[part_of(job, made[i].key)]++;
    for (uint32 part = 0; part < job->parts; part++) {
        uint32 entries = ends[part];

        job->starts[place_of(job, part, group)] = place;
        job->counts[place_of(job, part, group)] = entries;
        ends[part] = place;
        place += entries;
    }
    for (uint32 i = 0; i < count; i++)
        dealt[ends[part_of(job, made[i].key)]++] = made[i];
}

static inline keyed_record *
entries_of(const entry_job *job, uint32 part, uint32 group)
{
    return job->work + job->group_starts[group] + job->starts[place_of(job, part, group)];
}

/* Asks for the first entries of a part in the next group, while those in this one are gone over. */
FETCH_INLINE void
prefetch_next(const entry_job *job, uint32 part, uint32 group)
{
    if (group + 1 < job->groups)
        for (uint32 i = 0; i < 4; i++)
            __builtin_prefetch(entries_of(job, part, group + 1) + i * LINE_ENTRIES);
}

/* Leaves out the entries of a part whose key certainly no other has. */
static void
sift_part(void *context, int64_t item, int thread)
{
    const entry_job *job = context;
    uint32 part = (uint32)item;
    uint64 *seen = (uint64 *)(void *)(job->thread_room + thread * job->thread_size), keys = 0, left = 0;
    uint64 mask = LEAST_BITS - 1;

    for (uint32 group = 0; group < job->groups; group++)
        keys += job->counts[place_of(job, part, group)];
    while (mask < keys * 8 && mask < MOST_BITS - 1)
        mask = mask * 2 + 1;
    memset(seen, 0, (mask / 64 + 1) * 2 * sizeof(uint64));
    for (uint32 group = 0; group < job->groups; group++) {
        const keyed_record *entries = entries_of(job, part, group);
        uint32 count = job->counts[place_of(job, part, group)];

        prefetch_next(job, part, group);
        for (uint32 i = 0; i < count; i++) {
            uint64 *once = &seen[(entries[i].key & mask) >> 6 << 1], bit = UINT64_C(1)
                                                                           << (entries[i].key & 63);

            once[1] |= once[0] & bit;
            once[0] |= bit;
        }
    }
    for (uint32 group = 0; group < job->groups; group++) {
        keyed_record *entries = entries_of(job, part, group);
        uint32 count = job->counts[place_of(job, part, group)], kept = 0;

        prefetch_next(job, part, group);
        for (uint32 i = 0; i < count; i++) {
            uint64 twice = seen[((entries[i].key & mask) >> 6 << 1) + 1] >> (entries[i].key & 63);

            entries[kept] = entries[i];
            kept += twice & 1;
        }
        job->counts[place_of(job, part, group)] = kept;
        left += kept;
    }
    job->part_keys[part] = keys;
    job->part_starts[part] = left;
}

static int
digit_bits(Size entries)
{
    int bits = 4;

    while (bits < MOST_DIGIT_BITS && entries >> bits > 0)
        bits++;
    return bits;
}

/* A part by the leading bits of its keys, about as many places as entries. */
static void
order_part(void *context, int64_t item, int thread)
{
    const entry_job *job = context;
    uint32 part = (uint32)item, ends[1 << MOST_DIGIT_BITS], place = 0;
    Size first = job->part_starts[part];
    int bits = digit_bits(job->part_starts[part + 1] - first), above = job->part_bits;
    keyed_record *sorted = job->sorted + first;

    memset(ends, 0, sizeof(uint32) << bits);
    for (uint32 group = 0; group < job->groups; group++) {
        const keyed_record *entries = entries_of(job, part, group);
        uint32 count = job->counts[place_of(job, part, group)];

        prefetch_next(job, part, group);
        for (uint32 i = 0; i < count; i++)
            ends[entries[i].key << above >> (64 - bits)]++;
    }
    for (uint32 digit = 0; digit < UINT32_C(1) << bits; digit++) {
        uint32 entries = ends[digit];

        ends[digit] = place;
        place += entries;
    }
    for (uint32 group = 0; group < job->groups; group++) {
        const keyed_record *entries = entries_of(job, part, group);
        uint32 count = job->counts[place_of(job, part, group)];

        prefetch_next(job, part, group);
        for (uint32 i = 0; i < count; i++)
            sorted[ends[entries[i].key << above >> (64 - bits)]++] = entries[i];
    }
}

/* Entries of a part that agree in the leading bits lie together; now by the others. */
static void
finish_part(void *context, int64_t item, int thread)
{
    const entry_job *job = context;
    Size first = job->part_starts[item], count = job->part_starts[item + 1] - first;

    radix_sort_prefixed(job->sorted + first, job->work + first, count, job->part_bits + digit_bits(count));
}

/* ---- all of them ---- */

/* Where the entries of each group go, at most as many as there is room for. */
static void
place_groups(match_run *run, entry_job *job)
{
    job->group_entries = job->count > MANY_ENTRIES ? MOST_GROUP_ENTRIES : GROUP_ENTRIES;
    job->groups = (uint32)((job->count + job->group_entries - 1) / job->group_entries);
    job->group_starts = MemoryContextAlloc(run->context, mul_size(Max(job->groups, 1), sizeof(uint64)));
    parallel_in_turns(run->threads, job->groups, ITEMS_AT_ONCE, measure_group, job);
    for (uint32 group = 0; group < job->groups; group++) {
        uint64 entries = job->group_starts[group];

        job->group_starts[group] = job->room;
        job->room += entries;
    }
    if (job->work == NULL)
        job->work = block_room(run, &run->entry_room, mul_size(Max(job->room, 1), sizeof(keyed_record)));
}

static void
open_job(match_run *run, entry_job *job)
{
    Size places;

    place_groups(run, job);
    while (job->part_bits < MOST_PART_BITS && job->room >> job->part_bits > PART_ENTRIES)
        job->part_bits++;
    job->parts = UINT32_C(1) << job->part_bits;
    places = mul_size(mul_size(Max(job->groups, 1), job->parts), sizeof(uint32));
    job->starts = big_alloc(run->context, places);
    job->counts = big_alloc(run->context, places);
    job->part_starts = MemoryContextAlloc(run->context, (job->parts + 1) * sizeof(Size));
    job->part_keys = MemoryContextAlloc(run->context, job->parts * sizeof(uint64));
    job->thread_size = Max(job->group_entries * sizeof(keyed_record), (Size)MOST_BITS / 8 * 2);
    job->thread_room = block_room(run, &run->seen_room, mul_size(run->threads, job->thread_size));
}

keyed_record *
block_entries_sort(match_run *run, const entry_source *source, uint64 count, keyed_record *work, uint64 *keys,
                   uint64 *left)
{
    entry_job job = {.source = source, .count = count, .work = work};
    Size place = 0;

    open_job(run, &job);
    parallel_in_turns(run->threads, job.groups, ITEMS_AT_ONCE, deal_group, &job);
    parallel_in_turns(run->threads, job.parts, ITEMS_AT_ONCE, sift_part, &job);
    *keys = 0;
    for (uint32 part = 0; part < job.parts; part++) {
        Size entries = job.part_starts[part];

        *keys += job.part_keys[part];
        if (entries > PG_UINT32_MAX)
            ereport(ERROR,
                    (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many keys of one blocking rule")));
        job.part_starts[part] = place;
        place += entries;
    }
    job.part_starts[job.parts] = *left = place;
    job.sorted = block_room(run, &run->sorted_room, mul_size(Max(place, 1), sizeof(keyed_record)));
    parallel_in_turns(run->threads, job.parts, ITEMS_AT_ONCE, order_part, &job);
    parallel_in_turns(run->threads, job.parts, ITEMS_AT_ONCE, finish_part, &job);
    pfree(job.group_starts);
    pfree(job.starts);
    pfree(job.counts);
    pfree(job.part_starts);
    pfree(job.part_keys);
    return job.sorted;
}
