/*
 * cluster_names.c: see cluster_names.h. Threads take ranges of the records and name the clusters whose roots
 * they find there, so that each cluster is written by one.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster_names.h"
#include "engine/hash_sort.h"

typedef struct naming {
    const record_store *store;
    const union_find *forest;
    const uint32 *next;
    const int32 *weakest;
    clustering *result;
} naming;

static void
name_range(void *context, int64_t range, int thread)
{
    const naming *naming = context;
    const uint32 *next = naming->next;
    clustering *result = naming->result;
    uint32 first = (uint32)range * RECORDS_A_RANGE, end = Min(naming->forest->count, first + RECORDS_A_RANGE);

    for (uint32 root = first; root < end; root++) {
        uint32 name = root;

        if (naming->forest->parent[root] != root)
            continue;
        for (uint32 i = next[root]; i != root; i = next[i])
            if (record_store_compare_ids(naming->store, i, name) < 0)
                name = i;
        result->cluster[root] = name;
        for (uint32 i = next[root]; i != root; i = next[i])
            result->cluster[i] = name;
        result->size[name] = naming->forest->size[root];
        result->weakest_link[name] = naming->weakest[root];
    }
}

clustering *
cluster_name(match_run *run, const union_find *forest, const uint32 *next, const int32 *weakest)
{
    clustering *result = palloc0(sizeof(clustering));
    Size room = Max(forest->count, 1);
    naming naming = {run->store, forest, next, weakest, result};

    result->cluster = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    result->size = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    result->weakest_link = big_alloc(run->context, mul_size(room, sizeof(int32)));
    parallel_in_turns(run->threads, record_ranges(forest->count), RANGES_AT_ONCE, name_range, &naming);
    return result;
}
