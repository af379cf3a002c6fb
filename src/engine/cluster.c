/*
 * cluster.c: see cluster.h. Kruskal's algorithm (1956) on the matching pairs, heaviest first.
 */
#include "compat.h"

#include "engine/cluster.h"
#include "kernel/radix_sort.h"
#include "kernel/union_find.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct link_list {
    MemoryContext context;
    keyed_record *links; /* key: weight, heaviest first; record, extra: the two records */
    uint64 count, allocated;
} link_list;

static void
collect_links(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    link_list *list = context;

    if (list->count + count > list->allocated) {
        list->allocated =
            Max(list->count + count, list->allocated == 0 ? PAIR_UNIT_OUTPUT : list->allocated * 2);
        list->links =
            list->links == NULL
                ? MemoryContextAllocHuge(list->context, mul_size(list->allocated, sizeof(keyed_record)))
                : repalloc_huge(list->links, mul_size(list->allocated, sizeof(keyed_record)));
    }
    for (uint32 i = 0; i < count; i++)
        list->links[list->count++] =
            (keyed_record){(uint64)((int64)PG_INT32_MAX - pairs[i].weight), pairs[i].a, pairs[i].b};
}

clustering *
cluster_records(match_run *run, int64 least_weight)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    uint32 count = run->store->records.count;
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = least_weight};
    link_list list = {.context = run->context};
    clustering *result = palloc0(sizeof(clustering));
    uint32 *parent = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    uint32 *size = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    int32 *weakest = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(int32)));
    uint32 *least = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    union_find forest;

    match_run_visit(run, &options, collect_links, &list);
    if (list.count > 0) {
        keyed_record *scratch =
            MemoryContextAllocHuge(run->context, mul_size(list.count, sizeof(keyed_record)));

        radix_sort_keys(list.links, scratch, list.count);
        pfree(scratch);
    }

    union_find_init(&forest, parent, size, count);
    for (uint64 i = 0; i < list.count; i++) {
        uint32 root;

        if (union_find_join(&forest, list.links[i].record, list.links[i].extra, &root))
            weakest[root] = (int32)(PG_INT32_MAX - (int64)list.links[i].key);
        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }

    /* A cluster is named by its least member, which nothing but its members decides. */
    for (uint32 i = 0; i < count; i++)
        least[i] = PG_UINT32_MAX;
    for (uint32 i = 0; i < count; i++) {
        uint32 root = union_find_root(&forest, i);

        if (least[root] == PG_UINT32_MAX || record_store_compare_ids(run->store, i, least[root]) < 0)
            least[root] = i;
    }
    result->cluster = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    result->size = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    result->weakest_link = MemoryContextAllocHuge(run->context, mul_size(Max(count, 1), sizeof(int32)));
    for (uint32 i = 0; i < count; i++) {
        uint32 root = union_find_root(&forest, i), name = least[root];

        result->cluster[i] = name;
        result->size[name] = size[root];
        result->weakest_link[name] = weakest[root];
    }
    result->links = list.count;
    pfree(parent);
    pfree(size);
    pfree(weakest);
    pfree(least);
    if (list.links != NULL)
        pfree(list.links);
    MemoryContextSwitchTo(before);
    match_run_phase(run, "clustering", UINT64_FORMAT " links", result->links);
    return result;
}
