/*
 * model_weights.h: what training has learnt, as the additive weights and term frequencies of a model.
 */
#ifndef MASTERING_ENGINE_MODEL_WEIGHTS_H
#define MASTERING_ENGINE_MODEL_WEIGHTS_H

#include "compat.h"

#include "engine/rarity.h"
#include "engine/run.h"
#include "engine/spec.h"
#include "kernel/em.h"
#include "kernel/logistic.h"

/* Sets the weights that agree best with EM's verdicts on all pairs (the cases), and the term frequencies. */
extern void model_set_weights(match_run *run, match_spec *spec, const rarities *rarities,
                              const em_parameters *parameters, const logistic_case *cases, size_t case_count,
                              double prior);

/*
 * Copies of a thing have its value, too, and are not met by chance: a name that two records have is mostly
 * that of a thing and its copy. So term frequencies become those of things, by the number of matches there
 * are.
 */
extern void model_leave_out_copies(match_run *run, match_spec *spec, const rarities *rarities,
                                   double matches);

/* Whether that may change anything. */
extern bool model_counts_copies(match_run *run, const match_spec *spec, const rarities *rarities);

/*
 * Writes the weights of a comparison's levels (in bits by level, met as often as said) so that they do not
 * rise where values are less alike.
 */
extern void monotone_weights(const double *bits, const double *met, int levels, int32 *weights);

#endif
