/*
 * cluster_names.h: from a forest of joined records to clusters with names.
 */
#ifndef MASTERING_ENGINE_CLUSTER_NAMES_H
#define MASTERING_ENGINE_CLUSTER_NAMES_H

#include "compat.h"

#include "engine/cluster.h"
#include "kernel/union_find.h"

#define RANGES_AT_ONCE 64 /* that threads take between two looks at cancel requests */

/* A clustering of records that are alone, each; links is left 0. */
extern clustering *cluster_alone(match_run *run);

/*
 * Writes the clusters of some records, of which the forest's numbers are the places in members. A cluster is
 * named by its least member, which nothing but its members decides. next: the members of each cluster in a
 * ring; weakest: by root. Kernel code.
 */
extern void cluster_name(const record_store *store, const union_find *forest, const uint32 *next,
                         const int32 *weakest, const uint32 *members, clustering *result);

#endif
