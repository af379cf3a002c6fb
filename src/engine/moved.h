/*
 * moved.h: matches of whom one record has another place of residence.
 *
 * For train.c. EM takes what matches differ in for independent. Who has moved differs in street, postcode and
 * city at once; that is so unlikely if these differ each by itself that EM takes nobody for moved, and then
 * learns that matches never differ there. Here all else is left as EM learnt it, and matches may be of two
 * kinds: those whose places are as EM has them, and those whose places are two strangers'. The share of the
 * second kind has one number, learnt by EM of its own from the verdicts on the candidates. Which attributes
 * change with the place is what explains the candidates best.
 */
#ifndef MASTERING_ENGINE_MOVED_H
#define MASTERING_ENGINE_MOVED_H

#include "engine/rarity.h"
#include "engine/run.h"
#include "kernel/em.h"
#include "kernel/logistic.h"

/*
 * Raises the verdicts on candidates that may have moved, and has m say how often matches differ when those
 * are among them. prior: the share of matches among all pairs. Does nothing where no attribute is of given
 * names, or next to nobody has moved.
 */
extern void moved_judge(match_run *run, const rarities *rarities, logistic_case *candidates, size_t count,
                        double prior, em_parameters *parameters);

#endif
