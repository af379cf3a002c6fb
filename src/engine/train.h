/*
 * train.h: learns a model's weights from a query, without labels or with them.
 */
#ifndef MASTERING_ENGINE_TRAIN_H
#define MASTERING_ENGINE_TRAIN_H

#include "compat.h"

#include "engine/spec.h"

/*
 * Trains spec in place on the records of query. labels: NULL, or a query of id_a, id_b, is_match.
 */
extern void train_model(const char *query, match_spec *spec, const char *labels);

#endif
