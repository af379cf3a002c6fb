/*
 * training_notes.h: what a model and who trains it are told of the training.
 */
#ifndef MASTERING_ENGINE_TRAINING_NOTES_H
#define MASTERING_ENGINE_TRAINING_NOTES_H

#include "engine/run.h"
#include "kernel/em.h"

/* "training" of the model; lesson: JSON of what labels taught, or NULL. */
extern void training_describe(match_run *run, match_spec *spec, const em_session *sessions, int iterations,
                              const char *lesson);

/* Warns of comparisons that no pair teaches, but for those that only records of one source have, as bits. */
extern void training_warn_of_untaught(const match_spec *spec, const em_report *report, uint32 one_sided);

#endif
