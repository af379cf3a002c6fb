/*
 * cluster_passes.h: clusters of a run whose records do not fit into memory (passes.h). What two records of
 * two connected components of the links do is no matter to each other, so components are clustered some at
 * a time, by what cluster.h does for a whole run.
 */
#ifndef MASTERING_ENGINE_CLUSTER_PASSES_H
#define MASTERING_ENGINE_CLUSTER_PASSES_H

#include "compat.h"

#include "engine/run.h"

/* A record and its cluster. Of ids one is there: the number, or the text. */
typedef struct clustered_record {
    int64 integer_id, integer_name;
    const char *text_id, *text_name;
    uint32 size;
    int32 weakest_link; /* of several records */
} clustered_record;

typedef void (*cluster_receiver)(const clustered_record *record, void *context);

/* Gives all records in the order of their numbers; labels are not known. Returns the number of links. */
extern uint64 cluster_in_passes(match_run *run, int64 least_weight, cluster_receiver receive, void *context);

#endif
