/*
 * supervise.h: what labels teach a model that EM has trained.
 */
#ifndef MASTERING_ENGINE_SUPERVISE_H
#define MASTERING_ENGINE_SUPERVISE_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"
#include "engine/spec.h"
#include "kernel/logistic.h"

/*
 * Corrects the weights, the prior and, where the specification leaves it open, the threshold of a model by
 * labels. The run must already score with the model; afterwards it scores with the new one. candidates:
 * patterns of the candidate pairs with the number of pairs they stand for. Returns, as JSON, what was learnt
 * from.
 */
extern char *supervise_model(match_run *run, match_spec *spec, const label_list *labels,
                             const logistic_case *candidates, size_t candidate_count);

#endif
