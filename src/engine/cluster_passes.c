/*
 * cluster_passes.c: see cluster_passes.h.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster.h"
#include "engine/cluster_passes.h"
#include "engine/passes.h"
#include "engine/progress.h"
#include "kernel/union_find.h"
#include "miscadmin.h"
#include "settings.h"
#include "utils/memutils.h"

#define LOADED_OVERHEAD 96 /* of a record that is clustered, beside its values: ids, forest, links */

/* What is known of linked records, by their count. */
typedef struct linked_clusters {
    uint32 *name; /* of the cluster: a linked record */
    uint32 *size;
    int32 *weakest_link;
    int64 *integer_ids;
    char **text_ids;
} linked_clusters;

/* From here on links are between linked records, counted up in the order of their numbers. */
static void
find_linked(match_run *run, link_list *list, marked_records *linked)
{
    marked_records_open(linked, run->context, run->store->spool->count);
    for (uint64 i = 0; i < list->count; i++) {
        mark_record(linked, list->links[i].record);
        mark_record(linked, list->links[i].extra);
    }
    marked_records_rank_all(linked);
    for (uint64 i = 0; i < list->count; i++) {
        list->links[i].record = marked_rank(linked, list->links[i].record);
        list->links[i].extra = marked_rank(linked, list->links[i].extra);
    }
}

/* Deals connected components into groups that fit into memory: the group of each linked record. */
static uint32
group_components(match_run *run, const link_list *list, uint32 count, uint32 *groups)
{
    const spool *spool = run->store->spool;
    uint64 each = spool->memory / Max(spool->count, 1) + LOADED_OVERHEAD;
    uint64 most = Max(mastering_memory_budget() / 3 / each, 64), in_group = 0;
    uint32 group = 0;
    union_find forest;
    uint32 *parent = big_alloc(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    uint32 *size = big_alloc(run->context, mul_size(Max(count, 1), sizeof(uint32)));

    union_find_init(&forest, parent, size, count);
    for (uint64 i = 0; i < list->count; i++) {
        uint32 root;

        (void)union_find_join(&forest, list->links[i].record, list->links[i].extra, &root);
        if ((i & 0xffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    memset(groups, 0xff, (Size)count * sizeof(uint32));
    for (uint32 i = 0; i < count; i++) {
        uint32 root = union_find_root(&forest, i);

        if (groups[root] == PG_UINT32_MAX) {
            if (in_group > 0 && in_group + size[root] > most) {
                group++;
                in_group = 0;
            }
            in_group += size[root];
            groups[root] = group;
        }
        groups[i] = groups[root];
    }
    pfree(parent);
    pfree(size);
    return group + 1;
}

static char *
keep_text(match_run *run, const char *text)
{
    return MemoryContextStrdup(run->context, text);
}

/* Clusters the records of one group. */
static void
cluster_group(match_run *run, const link_list *list, int64 least_weight, const marked_records *linked,
              const uint32 *groups, uint32 group, linked_clusters *clusters)
{
    record_store *store = run->store;
    uint32 *local = big_alloc(run->context, mul_size(Max(linked->count, 1), sizeof(uint32)));
    uint32 loaded, linked_record = 0;
    marked_records own_records;
    link_list own = {.context = run->context};
    MemoryContext whole = run->context;
    clustering *made;

    marked_records_open(&own_records, run->context, store->spool->count);
    for (Size w = 0; w < linked->words; w++)
        for (uint64 bits = linked->marks[w]; bits != 0; bits &= bits - 1, linked_record++)
            if (groups[linked_record] == group) {
                local[linked_record] = own_records.count;
                mark_record(&own_records, (uint32)(w * 64 + (Size)__builtin_ctzll(bits)));
            }
    loaded = own_records.count;
    passes_load_marked(run, &own_records);
    marked_records_close(&own_records);

    /* What is made for the group alone goes with what was loaded. */
    run->context = own.context = store->data;
    for (uint64 i = 0; i < list->count; i++)
        own.allocated += groups[list->links[i].record] == group;
    own.links = big_alloc(own.context, mul_size(Max(own.allocated, 1), sizeof(keyed_record)));
    for (uint64 i = 0; i < list->count; i++) {
        const keyed_record *link = &list->links[i];

        if (groups[link->record] == group)
            own.links[own.count++] = (keyed_record){link->key, local[link->record], local[link->extra]};
    }
    made = cluster_links(run, &own, least_weight, NULL, false);
    run->context = whole;

    for (uint32 i = 0; i < loaded; i++) {
        uint32 record = marked_rank(linked, store->records.numbers[i]), name = made->cluster[i];

        clusters->name[record] = marked_rank(linked, store->records.numbers[name]);
        clusters->size[record] = made->size[name];
        clusters->weakest_link[record] = made->weakest_link[name];
        if (store->integer_ids != NULL)
            clusters->integer_ids[record] = store->integer_ids[i];
        else
            clusters->text_ids[record] = keep_text(run, store->text_ids[i]);
    }
    pfree(local);
}

/* All records of the spool with their clusters. */
static void
hand_on(match_run *run, const marked_records *linked, const linked_clusters *clusters,
        cluster_receiver receive, void *context)
{
    spool_scan scan;
    uint32 next = 0;

    spool_scan_open(&scan, run->store->spool, NULL);
    while (spool_scan_next(&scan)) {
        const spool_record *record = &scan.record;
        clustered_record made = {record->integer_id, record->integer_id, record->text_id, record->text_id, 1,
                                 PG_INT32_MAX};

        if (is_marked(linked, record->number)) {
            uint32 name = clusters->name[next];

            made.size = clusters->size[next];
            made.weakest_link = clusters->weakest_link[next];
            if (record->text_id != NULL)
                made.text_name = clusters->text_ids[name];
            else
                made.integer_name = clusters->integer_ids[name];
            next++;
        }
        receive(&made, context);
    }
    spool_scan_close(&scan);
}

uint64
cluster_in_passes(match_run *run, int64 least_weight, cluster_receiver receive, void *context)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    link_list *list = cluster_find_links(run, least_weight);
    marked_records linked;
    linked_clusters clusters;
    uint32 *groups, group_count;
    Size room;

    while (list->count > 0 && link_weight(&list->links[list->count - 1]) < least_weight)
        list->count--;
    find_linked(run, list, &linked);
    room = Max(linked.count, 1);
    groups = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    group_count = group_components(run, list, linked.count, groups);
    clusters.name = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    clusters.size = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    clusters.weakest_link = big_alloc(run->context, mul_size(room, sizeof(int32)));
    clusters.integer_ids = big_alloc(run->context, mul_size(room, sizeof(int64)));
    clusters.text_ids = (char **)clusters.integer_ids;
    progress_phase("clustering", group_count);
    for (uint32 group = 0; group < group_count && linked.count > 0; group++) {
        cluster_group(run, list, least_weight, &linked, groups, group, &clusters);
        progress_done(group + 1);
    }
    passes_unload(run);
    run->pass_count += group_count;
    match_run_phase(run, "clustering", UINT64_FORMAT " links in %u groups", list->count, group_count);

    progress_phase("result", run->store->records.count);
    hand_on(run, &linked, &clusters, receive, context);
    MemoryContextSwitchTo(before);
    return list->count;
}
