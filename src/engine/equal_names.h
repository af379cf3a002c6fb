/*
 * equal_names.h: how often strangers have the same whole name, by its words.
 *
 * For train.c. Of a list with names of persons and one attribute more EM cannot tell whether records of one
 * name that differ in the other are of two persons: two attributes do not say of how many kinds pairs are.
 * But how often two persons have one name follows from how often they have the same given name, and the same
 * surname: on real lists there are 1.2 to 2 times as many such pairs as if these were independent.
 */
#ifndef MASTERING_ENGINE_EQUAL_NAMES_H
#define MASTERING_ENGINE_EQUAL_NAMES_H

#include "engine/run.h"
#include "kernel/em.h"

typedef struct equal_names {
    int comparison; /* of whole names; -1: nothing is known */
    double share;   /* of all pairs, that are strangers of one name, at most */
} equal_names;

extern equal_names equal_names_find(match_run *run);

/* u of the comparison, no more than that. */
extern void equal_names_bound(const match_run *run, const equal_names *names, em_parameters *parameters);

#endif
