/*
 * expected.h: what a comparison weighs by what it is of, before there are data.
 *
 * A hundred matches do not teach what a differing date of birth means, and a hundred pairs of one household
 * teach it wrongly. Where a specification says what its comparisons are of ("evidence"), a model that is
 * trained begins with the weights that somebody would give who knows persons and their attributes, and data
 * replace them as they come: half of the way with EXPECTED_MATCHES matches for each comparison, nearly all of
 * it with twice as many.
 */
#ifndef MASTERING_ENGINE_EXPECTED_H
#define MASTERING_ENGINE_EXPECTED_H

#include "compat.h"

#include "engine/run.h"
#include "engine/spec.h"
#include "kernel/logistic.h"

/*
 * Draws the trained weights and the prior towards what is expected. cases: the candidates' patterns, as many
 * pairs as they stand for. Does nothing where the specification does not say what its comparisons are of.
 */
extern void expected_weigh(match_run *run, match_spec *spec, const logistic_case *cases, size_t case_count);

#endif
