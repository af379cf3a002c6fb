/*
 * link_parts.c: see link_parts.h. Components by a forest without ranks: a root is the least record of its
 * tree.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster_names.h"
#include "engine/hash_sort.h"
#include "engine/link_parts.h"
#include "kernel/hash.h"
#include "miscadmin.h"
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

static inline uint32
root_of(uint32 *parent, uint32 x)
{
    while (parent[x] != x) {
        parent[x] = parent[parent[x]];
        x = parent[x];
    }
    return x;
}

static inline void
join_trees(uint32 *parent, uint32 a, uint32 b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

static inline uint32
part_of(uint32 *parent, const keyed_record *link)
{
    return (uint32)(hash_word(root_of(parent, link->record)) >> (64 - PART_BITS));
}

static uint32 *
find_components(match_run *run, const keyed_record *links, uint64 count, const label_list *verdicts)
{
    uint32 records = run->store->records.count;
    uint32 *parent = big_alloc(run->context, mul_size(records, sizeof(uint32)));
    forest_start start = {parent, records};

    parallel_in_turns(run->threads, record_ranges(records), RANGES_AT_ONCE, start_range, &start);
    for (uint64 i = 0; i < count; i++) {
        if (i + LINKS_AHEAD < count) {
            __builtin_prefetch(&parent[links[i + LINKS_AHEAD].record]);
            __builtin_prefetch(&parent[links[i + LINKS_AHEAD].extra]);
        }
        join_trees(parent, links[i].record, links[i].extra);
        if ((i & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    for (size_t i = 0; verdicts != NULL && i < verdicts->count; i++)
        join_trees(parent, verdicts->labels[i].a, verdicts->labels[i].b);
    return parent;
}

void
link_parts_deal(match_run *run, const keyed_record *links, uint64 count, const label_list *verdicts,
                link_parts *parts)
{
    uint64 places[MOST_LINK_PARTS] = {0}, place = 0;
    uint32 *parent;

    *parts = (link_parts){.links = links, .count = 1, .starts = {0, count}};
    if (run->threads == 1 || count < FEW_LINKS)
        return;
    parent = find_components(run, links, count, verdicts);
    for (uint64 i = 0; i < count; i++) {
        places[part_of(parent, &links[i])]++;
        if ((i & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    for (int p = 0; p < MOST_LINK_PARTS; p++) {
        parts->starts[p] = place;
        place += places[p];
        places[p] = parts->starts[p];
    }
    parts->starts[MOST_LINK_PARTS] = count;
    parts->dealt = big_alloc(run->context, mul_size(count, sizeof(keyed_record)));
    for (uint64 i = 0; i < count; i++) {
        parts->dealt[places[part_of(parent, &links[i])]++] = links[i];
        if ((i & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    parts->links = parts->dealt;
    parts->count = MOST_LINK_PARTS;
    pfree(parent);
}

void
link_parts_free(link_parts *parts)
{
    if (parts->dealt != NULL)
        pfree(parts->dealt);
}
