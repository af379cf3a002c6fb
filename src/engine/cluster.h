/*
 * cluster.h: records that belong together, from the pairs that match.
 */
#ifndef MASTERING_ENGINE_CLUSTER_H
#define MASTERING_ENGINE_CLUSTER_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"

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

/* The clusters for several thresholds, the least first, at the cost of visiting the pairs once. */
extern void cluster_at_thresholds(match_run *run, const int64 *least_weights, int count,
                                  const label_list *verdicts, clustering **results);

#endif
