/*
 * best_threshold.h: the threshold that promises the best F1.
 *
 * Where what is known of records tells them apart, it hardly matters which threshold is taken. Of persons of
 * whom a name and a town are known most pairs stay in doubt, and at one half most matches are missed: the
 * best F1 that can be expected is had by taking pairs from half of that F1 on (Lipton, Elkan and
 * Narayanaswamy 2014). Where that would be to take all pairs because none can be told apart, or most that are
 * taken would be wrong, one half stays: nobody merges records that are more likely two things than one.
 */
#ifndef MASTERING_ENGINE_BEST_THRESHOLD_H
#define MASTERING_ENGINE_BEST_THRESHOLD_H

#include "engine/rarity.h"

/*
 * A probability of at most one half, from what the trained specification says of the candidates. cases: their
 * patterns, as many pairs as they stand for.
 */
extern double best_threshold(match_run *run, const match_spec *spec, const rarities *rarities,
                             const logistic_case *cases, size_t case_count);

/* The F1 to expect there. */
extern double best_expected_f1(const match_spec *spec, const rarities *rarities, const logistic_case *cases,
                               size_t case_count);

#endif
