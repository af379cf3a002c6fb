/*
 * logistic.h: how much the weights of each comparison count, as a regularised logistic regression over
 * counted patterns.
 *
 * What EM knows of a pair depends on the rule that found it, and takes attributes for independent that are
 * not: a city beside its postcode would count twice. The regression finds for each comparison two factors,
 * one for the weights of its levels that speak for a match and one for those that speak against, and an
 * intercept, which together agree best with EM's verdicts (or with labels) on all pairs. Few parameters, so
 * it holds on small data and with many sparse columns; factors are not negative and drawn towards 1.
 *
 * Newton's method with a Cholesky factorisation; IEEE basic operations and square roots in a fixed order, so
 * the result is the same to the bit everywhere, with any number of threads.
 */
#ifndef MASTERING_KERNEL_LOGISTIC_H
#define MASTERING_KERNEL_LOGISTIC_H

#include "kernel/comparison.h"

typedef struct logistic_case {
    uint64_t pattern;
    double count;  /* pairs that it stands for */
    double target; /* share of matches among them */
} logistic_case;

#define MAX_FACTORS (2 * MAX_COMPARISONS + 1)

typedef struct logistic_weights {
    double intercept;                           /* bits */
    double levels[MAX_COMPARISONS][MAX_LEVELS]; /* bits; [LEVEL_MISSING] is 0 */
} logistic_weights;

/*
 * Multiplies the levels' weights by the factors found, and sets the intercept, which starts where it is.
 * ridge: how strongly factors are held at 1, in pairs in doubt times square bits. Returns the number of
 * iterations.
 */
int logistic_fit(const scorer *layout, const logistic_case *cases, size_t count, double ridge,
                 int max_iterations, int threads, logistic_weights *weights);

#endif
