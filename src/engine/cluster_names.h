/*
 * cluster_names.h: from a forest of joined records to clusters with names.
 */
#ifndef MASTERING_ENGINE_CLUSTER_NAMES_H
#define MASTERING_ENGINE_CLUSTER_NAMES_H

#include "compat.h"

#include "engine/cluster.h"
#include "kernel/union_find.h"

/* Records that a thread takes at a time, and how many such ranges are taken between two looks at cancel
 * requests. */
#define RECORDS_A_RANGE 65536
#define RANGES_AT_ONCE 64

static inline int64
record_ranges(uint32 records)
{
    return (int64)(records / RECORDS_A_RANGE) + (records % RECORDS_A_RANGE != 0);
}

/*
 * A cluster is named by its least member, which nothing but its members decides. next: the members of each
 * cluster in a ring; weakest: by root. links is left 0.
 */
extern clustering *cluster_name(match_run *run, const union_find *forest, const uint32 *next,
                                const int32 *weakest);

#endif
