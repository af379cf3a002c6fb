/*
 * cluster_names.c: see cluster_names.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster_names.h"
#include "engine/hash_sort.h"

#define RECORDS_A_RANGE 65536
#define MEMBERS_AHEAD 16 /* that are fetched while others are named */

typedef struct naming {
    uint32 records;
    clustering *result;
} naming;

static void
name_alone(void *context, int64_t range, int thread)
{
    const naming *naming = context;
    const clustering *result = naming->result;
    uint32 first = (uint32)range * RECORDS_A_RANGE, end = Min(naming->records, first + RECORDS_A_RANGE);

    for (uint32 i = first; i < end; i++) {
        result->cluster[i] = i;
        result->size[i] = 1;
        result->weakest_link[i] = PG_INT32_MAX;
    }
}

clustering *
cluster_alone(match_run *run)
{
    clustering *result = palloc0(sizeof(clustering));
    uint32 count = run->store->records.count;
    Size room = Max(count, 1);
    naming naming = {count, result};

    result->cluster = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    result->size = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    result->weakest_link = big_alloc(run->context, mul_size(room, sizeof(int32)));
    parallel_in_turns(run->threads, (int64)(count / RECORDS_A_RANGE) + (count % RECORDS_A_RANGE != 0),
                      RANGES_AT_ONCE, name_alone, &naming);
    return result;
}

void
cluster_name(const record_store *store, const union_find *forest, const uint32 *next, const int32 *weakest,
             const uint32 *members, clustering *result)
{
    for (uint32 root = 0; root < forest->count; root++) {
        uint32 name = members[root];

        if (root + MEMBERS_AHEAD < forest->count) {
            uint32 ahead = members[root + MEMBERS_AHEAD];

            __builtin_prefetch(&result->cluster[ahead], 1);
            if (store->integer_ids != NULL)
                __builtin_prefetch(&store->integer_ids[ahead]);
            else
                __builtin_prefetch(&store->text_ids[ahead]);
        }
        if (forest->parent[root] != root)
            continue;
        for (uint32 i = next[root]; i != root; i = next[i])
            if (record_store_compare_ids(store, members[i], name) < 0)
                name = members[i];
        result->cluster[members[root]] = name;
        for (uint32 i = next[root]; i != root; i = next[i])
            result->cluster[members[i]] = name;
        result->size[name] = forest->size[root];
        result->weakest_link[name] = weakest[root];
    }
}
