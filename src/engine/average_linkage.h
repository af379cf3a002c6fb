/*
 * average_linkage.h: whether two groups of records look alike on the whole.
 */
#ifndef MASTERING_ENGINE_AVERAGE_LINKAGE_H
#define MASTERING_ENGINE_AVERAGE_LINKAGE_H

#include "compat.h"

#include "engine/run.h"
#include "kernel/radix_sort.h"

#define MEMBERS_LOOKED_AT 16 /* of each group, at most */

typedef struct record_group {
    uint32 members[MEMBERS_LOOKED_AT], count;
} record_group;

/*
 * Whether the pairs of records of two groups reach least_weight on average, less some slack. link: the pair
 * that would join them, whose weight is known; its records need not be among those looked at.
 */
extern kernel_status average_linkage_alike(match_run *run, const keyed_record *link, const record_group *a,
                                           const record_group *b, int64 least_weight, int thread,
                                           bool *alike);

#endif
