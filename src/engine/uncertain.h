/*
 * uncertain.h: the pairs that are worth a person's verdict.
 */
#ifndef MASTERING_ENGINE_UNCERTAIN_H
#define MASTERING_ENGINE_UNCERTAIN_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"

#define MOST_UNCERTAIN_PAIRS 10000

typedef enum uncertain_reason {
    UNCERTAIN_DOUBT,   /* the model cannot tell */
    UNCERTAIN_CLUSTER, /* the clusters say otherwise than the pair, or much hangs on it */
    UNCERTAIN_SPREAD,  /* drawn by lot from its part of the score range */
} uncertain_reason;

typedef struct uncertain_pair {
    uint32 a, b;
    int32 weight;
    uint64 pattern;
    uint64 teaches; /* the more, the larger; no two pairs are equal in (teaches, lot, a, b) */
    uint64 lot;
    uncertain_reason reason;
} uncertain_pair;

/*
 * Up to wanted candidate pairs, the most teaching first, then those by lot; none that labels (or NULL) hold
 * or imply. The same pairs for the same records, model and labels. least_weight: the model's threshold.
 */
extern uncertain_pair *uncertain_pairs(match_run *run, int64 least_weight, uint32 wanted,
                                       const label_list *labels, uint32 *count);

#endif
