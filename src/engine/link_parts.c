/*
 * link_parts.c: see link_parts.h. Components by a forest without ranks, which all threads grow: a root is the
 * least record of its tree.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster_names.h"
#include "engine/hash_sort.h"
#include "engine/link_parts.h"
#include "kernel/hash.h"
#include "utils/memutils.h"

#define PART_BITS 6
#define FEW_LINKS 4096
#define LINKS_AHEAD 16 /* whose records are fetched while others are looked at */

StaticAssertDecl(1 << PART_BITS == MOST_LINK_PARTS, "a part is named by some bits of a hash");

typedef struct forest_start {
    uint32 *parent;
    uint32 count;
} forest_start;

static void
start_range(void *context, int64_t range, int thread)
{
    const forest_start *start = context;
    uint32 first = (uint32)range * RECORDS_A_RANGE, end = Min(start->count, first + RECORDS_A_RANGE);

    for (uint32 i = first; i < end; i++)
        start->parent[i] = i;
}

/* The least record of a tree. What other threads do meanwhile can only bring records nearer to it. */
static inline uint32
root_of(uint32 *parent, uint32 x)
{
    for (;;) {
        uint32 above = __atomic_load_n(&parent[x], __ATOMIC_RELAXED), next;

        if (above == x)
            return x;
        next = __atomic_load_n(&parent[above], __ATOMIC_RELAXED);
        if (next == above)
            return above;
        __atomic_store_n(&parent[x], next, __ATOMIC_RELAXED);
        x = next;
    }
}

/* A root is hung below a lesser one, and once only: whatever threads do first, the trees have the same roots
 * in the end (Jayanti and Tarjan 2016). */
static inline void
join_trees(uint32 *parent, uint32 a, uint32 b)
{
    for (;;) {
        uint32 greater;

        a = root_of(parent, a);
        b = root_of(parent, b);
        if (a == b)
            return;
        greater = Max(a, b);
        if (__atomic_compare_exchange_n(&parent[greater], &(uint32){greater}, Min(a, b), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
    }
}

/* Links on their way into parts, a range of them a thread. */
typedef struct dealing {
    const keyed_record *links;
    uint64 count;
    uint32 *parent;
    uint8 *parts;                      /* by link */
    uint64 (*places)[MOST_LINK_PARTS]; /* by range and part: first the number of links, then where they go */
    keyed_record *dealt;
} dealing;

static void
join_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    const keyed_record *links = dealing->links;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);

    for (uint64 i = first; i < end; i++) {
        if (i + LINKS_AHEAD < end) {
            __builtin_prefetch(&dealing->parent[links[i + LINKS_AHEAD].record]);
            __builtin_prefetch(&dealing->parent[links[i + LINKS_AHEAD].extra]);
        }
        join_trees(dealing->parent, links[i].record, links[i].extra);
    }
}

static void
count_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);
    uint64 *places = dealing->places[range];

    memset(places, 0, sizeof dealing->places[range]);
    for (uint64 i = first; i < end; i++) {
        uint32 root;

        if (i + LINKS_AHEAD < end)
            __builtin_prefetch(&dealing->parent[dealing->links[i + LINKS_AHEAD].record]);
        root = root_of(dealing->parent, dealing->links[i].record);
        dealing->parts[i] = (uint8)(hash_word(root) >> (64 - PART_BITS));
        places[dealing->parts[i]]++;
    }
}

static void
deal_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);
    uint64 *places = dealing->places[range];

    for (uint64 i = first; i < end; i++)
        dealing->dealt[places[dealing->parts[i]]++] = dealing->links[i];
}

static void
find_components(match_run *run, dealing *dealing, const label_list *verdicts)
{
    uint32 records = run->store->records.count;
    uint32 *parent = big_alloc(run->context, mul_size(records, sizeof(uint32)));
    forest_start start = {parent, records};

    parallel_in_turns(run->threads, record_ranges(records), RANGES_AT_ONCE, start_range, &start);
    dealing->parent = parent;
    parallel_in_turns(run->threads, (int64)sort_ranges(dealing->count), RANGES_AT_ONCE, join_range, dealing);
    for (size_t i = 0; verdicts != NULL && i < verdicts->count; i++)
        join_trees(parent, verdicts->labels[i].a, verdicts->labels[i].b);
}

void
link_parts_deal(match_run *run, const keyed_record *links, uint64 count, const label_list *verdicts,
                link_parts *parts)
{
    dealing dealing = {.links = links, .count = count};
    Size ranges = sort_ranges(count);
    uint64 place = 0;

    *parts = (link_parts){.links = links, .count = 1, .starts = {0, count}};
    if (run->threads == 1 || count < FEW_LINKS)
        return;
    find_components(run, &dealing, verdicts);
    dealing.parts = big_alloc(run->context, count);
    dealing.places = big_alloc(run->context, mul_size(ranges, sizeof *dealing.places));
    dealing.dealt = big_alloc(run->context, mul_size(count, sizeof(keyed_record)));
    parallel_in_turns(run->threads, (int64)ranges, RANGES_AT_ONCE, count_range, &dealing);
    for (int p = 0; p < MOST_LINK_PARTS; p++) {
        parts->starts[p] = place;
        for (Size range = 0; range < ranges; range++) {
            uint64 in_range = dealing.places[range][p];

            dealing.places[range][p] = place;
            place += in_range;
        }
    }
    parts->starts[MOST_LINK_PARTS] = count;
    parallel_in_turns(run->threads, (int64)ranges, RANGES_AT_ONCE, deal_range, &dealing);
    parts->links = parts->dealt = dealing.dealt;
    parts->count = MOST_LINK_PARTS;
    pfree(dealing.parent);
    pfree(dealing.parts);
    pfree(dealing.places);
}

void
link_parts_free(link_parts *parts)
{
    if (parts->dealt != NULL)
        pfree(parts->dealt);
}
