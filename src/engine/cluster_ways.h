/*
 * cluster_ways.h: ways to cluster with labels at hand (the model before or after labels, at several
 * thresholds, and what is said of sources), and which of them promises the best clusters.
 */
#ifndef MASTERING_ENGINE_CLUSTER_WAYS_H
#define MASTERING_ENGINE_CLUSTER_WAYS_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"
#include "engine/spec.h"
#include "lib/stringinfo.h"

typedef struct way_search way_search;

/* The ways without labels. The run must score with the model before labels. */
extern way_search *ways_begin(match_run *run);

/* What each label counts as, where some kinds of pairs were asked for more often than others. */
extern void ways_weigh_labels(match_run *run, const label_list *labels, const way_search *ways,
                              double *weights);

/*
 * Chooses threshold and what is said of sources where the specification leaves them open, and takes the model
 * back where that without labels promises as much. The run scores with the model after labels, and afterwards
 * with the one chosen. rarer: labels of the kind that there are fewer of; corrected: the model is another
 * now. What was chosen is added to the report, as members of a JSON object.
 */
extern void ways_choose(match_run *run, match_spec *spec, const match_spec *unlabelled,
                        const label_list *labels, size_t rarer, bool corrected, way_search *search,
                        StringInfo report);

extern void ways_free(way_search *search);

#endif
