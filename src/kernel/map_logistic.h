/*
 * map_logistic.h: corrections to a score, learnt from verdicts: logistic regression with a normal prior.
 *
 * Each case has a score in bits (log2 of the odds) that somebody else has given it, and a few features. What
 * is learnt is a vector of corrections: the odds of a case become its score plus the sum of correction times
 * feature. Corrections have a normal prior around zero, so without cases, or with a strong prior, the score
 * stays what it was. The most likely vector is found by Newton's method with a Cholesky factorisation.
 *
 * Verdicts that were asked for because of what the pair looks like (uncertainty sampling) do no harm here:
 * the likelihood is that of the verdict given the pair.
 *
 * IEEE basic operations and square roots in a fixed order, no libm: the same bits everywhere.
 */
#ifndef MASTERING_KERNEL_MAP_LOGISTIC_H
#define MASTERING_KERNEL_MAP_LOGISTIC_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct map_case {
    double score;         /* bits */
    double target;        /* 1: match, 0: none */
    double weight;        /* how often it counts; 0: left out */
    uint32_t first, used; /* its features in the problem's list */
} map_case;

typedef struct map_feature {
    uint32_t place; /* which correction */
    double value;
} map_feature;

typedef struct map_problem {
    int n; /* corrections */
    const map_case *cases;
    size_t count;
    const map_feature *features;
    const double *ridge; /* n: strength of the prior of each, in pairs in doubt times square bits; > 0 */
    double strength;     /* that all of ridge is multiplied by */
} map_problem;

/* Doubles of working space that map_logistic_fit needs. */
size_t map_logistic_workspace(int n);

/*
 * The corrections, from zero. false: *stop became true before the end, and x means nothing. stop may be NULL.
 */
bool map_logistic_fit(const map_problem *problem, int max_iterations, double *workspace,
                      const volatile sig_atomic_t *stop, double *x);

/* The odds of a case in bits under the corrections. */
double map_logistic_bits(const map_problem *problem, const map_case *entry, const double *x);

/* What a case costs under the corrections: minus log2 of the probability of its verdict. */
double map_logistic_loss(const map_problem *problem, const map_case *entry, const double *x);

#endif
