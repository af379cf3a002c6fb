/*
 * random_levels.h: how often levels occur in pairs taken from all, which is what u, the probability of a
 * level among non-matches, is made of.
 *
 * The exact level's from the counts of the values (the share of equal pairs is known exactly), the others'
 * from pairs taken at random with a fixed seed. All pairs have matches among them. Where matches are not rare
 * (many copies of few things) that hides how telling an agreement is, so the share that matches explain is
 * taken out again.
 */
#ifndef MASTERING_ENGINE_RANDOM_LEVELS_H
#define MASTERING_ENGINE_RANDOM_LEVELS_H

#include "compat.h"

#include "engine/run.h"
#include "kernel/em.h"

/* Shares of all pairs, or of those across sources, that have each level; and the random pairs' patterns. */
extern void random_levels_count(match_run *run, bool across, double all[MAX_COMPARISONS][MAX_LEVELS],
                                pattern_count **random, size_t *random_count);

/* u: all pairs less what matches explain, made to sum to 1. prior: the share of matches. */
extern void random_levels_less_matches(const scorer *scorer, double all[MAX_COMPARISONS][MAX_LEVELS],
                                       double prior, em_parameters *parameters);

#endif
