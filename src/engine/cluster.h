/*
 * cluster.h: records that belong together, from the pairs that match.
 */
#ifndef MASTERING_ENGINE_CLUSTER_H
#define MASTERING_ENGINE_CLUSTER_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"
#include "kernel/radix_sort.h"

typedef struct clustering {
    uint32 *cluster;     /* by record: the member that names its cluster, the one with the least id */
    uint32 *size;        /* by that member */
    int32 *weakest_link; /* by that member: least weight of the links that hold the cluster together */
    uint64 links;        /* pairs that reached the threshold */
} clustering;

/*
 * Connected components of the pairs whose weight reaches least_weight. The weakest link of a cluster is the
 * least weight in its maximum spanning tree: at a higher threshold the cluster falls apart. verdicts: NULL,
 * or labels that the clusters follow; a link by a label weighs WEIGHT_LIMIT.
 */
extern clustering *cluster_records(match_run *run, int64 least_weight, const label_list *verdicts);

/*
 * Writes into the specification which sources hold each thing once, by the links at its threshold, where it
 * leaves that to the data and does not know it yet (frozen.h). spec is the run's own.
 */
extern void cluster_freeze_sources(match_run *run, match_spec *spec);

/*
 * Raises the prior of a model that was learnt without labels by what it says that all sources hold each thing
 * once (source_odds.h), or lowers it by what they say that few links are right (source_rivals.h). Returns
 * whether they say so, lowered or not. spec is the run's own, and its weights are those of the run.
 */
extern bool cluster_weigh_sources(match_run *run, match_spec *spec);

/*
 * How many more links across sources are right than wrong by the weights of the run, if each source holds a
 * thing once.
 */
extern double cluster_links_surplus(match_run *run, const match_spec *spec);

/* Links at a model's threshold, and how many of them can be right (source_rivals.h). */
typedef struct link_estimate {
    double links, right;
    bool of_sources; /* counted by source, for each of them holds a thing once */
} link_estimate;

/* F1 of the links, if no others are right. */
static inline double
link_estimate_f1(const link_estimate *estimate)
{
    return estimate->right > 0 ? 2.0 * estimate->right / (estimate->links + estimate->right) : 0;
}

/* Of the run's weights, before sources are known; false: there are too many records, or too few links. */
extern bool cluster_estimate_links(match_run *run, const match_spec *spec, link_estimate *estimate);

/* The clusters for several thresholds, the least first, at the cost of visiting the pairs once. */
extern void cluster_at_thresholds(match_run *run, const int64 *least_weights, int count,
                                  const label_list *verdicts, clustering **results);

/* ---- for runs in passes ---- */

typedef struct link_list {
    MemoryContext context;
    keyed_record *links; /* key: weight, heaviest first; record, extra: the two records */
    uint64 count, allocated;
    int64 least_weight;
    uint32 weights_set; /* by which weights, of match_run */
} link_list;

static inline int64
link_weight(const keyed_record *link)
{
    return PG_INT32_MAX - (int64)link->key;
}

/*
 * The pairs of at least this weight, in order; lighter ones may follow. Those that a clustering before kept
 * serve once, if they are enough.
 */
extern link_list *cluster_find_links(match_run *run, int64 least_weight);

/* A pair_consumer whose context is a link_list. */
extern void cluster_collect_links(match_run *run, int rule, const scored_pair *pairs, uint32 count,
                                  void *context);

/* The heaviest first, of one weight by their records: for qsort. */
extern int cluster_compare_links(const void *x, const void *y);

extern void cluster_free_links(link_list *list);

/* The heaviest links first; links of one weight in an order that no other records change. */
extern void cluster_sort_links(match_run *run, link_list *list);

/* Clusters of the store's records by the sorted links of at least this weight. warn: of labels that
 * contradict each other. */
extern clustering *cluster_links(match_run *run, const link_list *list, int64 least_weight,
                                 const label_list *verdicts, bool warn);

#endif
