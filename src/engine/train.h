/*
 * train.h: learns a model's weights from a query, without labels or with them.
 */
#ifndef MASTERING_ENGINE_TRAIN_H
#define MASTERING_ENGINE_TRAIN_H

#include "compat.h"

#include "engine/labels.h"
#include "engine/run.h"
#include "engine/spec.h"

/*
 * Trains spec in place on the records of a run that was opened with it, and gives the run the weights learnt.
 * labels: NULL, or what labels_read gave.
 */
extern void train_model(match_run *run, match_spec *spec, const label_list *labels);

#endif
