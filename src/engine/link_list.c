/*
 * link_list.c: the links that clusters are made by, see cluster.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster.h"
#include "engine/hash_sort.h"
#include "miscadmin.h"
#include "utils/memutils.h"

void
cluster_collect_links(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    link_list *list = context;

    if (list->count + count > list->allocated) {
        list->allocated =
            Max(list->count + count, list->allocated == 0 ? PAIR_UNIT_OUTPUT : list->allocated * 2);
        list->links = list->links == NULL
                          ? big_alloc(list->context, mul_size(list->allocated, sizeof(keyed_record)))
                          : big_realloc(list->links, mul_size(list->allocated, sizeof(keyed_record)));
    }
    for (uint32 i = 0; i < count; i++)
        list->links[list->count++] =
            (keyed_record){(uint64)((int64)PG_INT32_MAX - pairs[i].weight), pairs[i].a, pairs[i].b};
}

int
cluster_compare_links(const void *x, const void *y)
{
    const keyed_record *p = x, *q = y;

    if (p->key != q->key)
        return p->key < q->key ? -1 : 1;
    if (p->record != q->record)
        return p->record < q->record ? -1 : 1;
    return p->extra < q->extra ? -1 : p->extra > q->extra;
}

/* Whether a rule names its keys by records' numbers, which differ in a part of the data. */
static bool
order_needs_records(const match_spec *spec)
{
    for (int r = 0; r < spec->rule_count; r++)
        if (spec->rules[r].top_k > 0)
            return true;
    return false;
}

/*
 * The heaviest links first; links of one weight in an order that no other records change. On all threads, for
 * which the keys are spread over all words for the time being.
 */
void
cluster_sort_links(match_run *run, link_list *list)
{
    keyed_record *sorted = big_alloc(list->context, mul_size(Max(list->count, 1), sizeof(keyed_record)));
    uint64 least = PG_UINT64_MAX, most = 0;
    int shift = 0;

    for (uint64 i = 0; i < list->count; i++) {
        least = Min(least, list->links[i].key);
        most = Max(most, list->links[i].key);
    }
    while (shift < 63 && list->count > 0 && (most - least) >> (63 - shift) == 0)
        shift++;
    for (uint64 i = 0; i < list->count; i++)
        list->links[i].key = (list->links[i].key - least) << shift;
    hash_sort_all(run->threads, list->links, list->count, sorted);
    for (uint64 i = 0; i < list->count; i++)
        sorted[i].key = (sorted[i].key >> shift) + least;
    if (list->links != NULL)
        pfree(list->links);
    list->links = sorted;
    list->allocated = Max(list->count, 1);
    for (uint64 first = 0, end; order_needs_records(run->spec) && first < list->count; first = end) {
        for (end = first + 1; end < list->count && list->links[end].key == list->links[first].key; end++)
            ;
        qsort(list->links + first, end - first, sizeof(keyed_record), cluster_compare_links);
        CHECK_FOR_INTERRUPTS();
    }
}

void
cluster_free_links(link_list *list)
{
    if (list->links != NULL)
        pfree(list->links);
    pfree(list);
}

link_list *
cluster_find_links(match_run *run, int64 least_weight)
{
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = least_weight};
    link_list *list = run->kept_links;

    run->kept_links = NULL;
    if (list != NULL && list->least_weight <= least_weight && list->weights_set == run->weights_set)
        return list;
    if (list != NULL)
        cluster_free_links(list);
    list = MemoryContextAllocZero(run->context, sizeof(link_list));
    list->context = run->context;
    list->least_weight = least_weight;
    list->weights_set = run->weights_set;
    match_run_visit(run, &options, cluster_collect_links, list);
    if (list->count > 0)
        cluster_sort_links(run, list);
    return list;
}
