/*
 * fixed_point.h: match weights.
 *
 * A weight is log2(m/u) in units of 1/10000 bit, a whole number: sums have no order, so a pair's weight
 * is the same on every thread, and a weight read back from a model's JSON ("8.2034") is the same weight.
 * The functions use IEEE additions, multiplications and divisions in a fixed order and no libm, so they
 * give the same bits on every processor.
 */
#ifndef MASTERING_KERNEL_FIXED_POINT_H
#define MASTERING_KERNEL_FIXED_POINT_H

#include <stdint.h>

#define WEIGHT_UNITS 10000 /* units a bit */

/* Weights are kept in [-WEIGHT_LIMIT, WEIGHT_LIMIT]: 100 bits are beyond any evidence. */
#define WEIGHT_LIMIT (100 * WEIGHT_UNITS)

/* log2(x) for finite x > 0. */
double portable_log2(double x);

/* log2(numerator / denominator) in units, rounded to nearest, clamped to the limit; both > 0. */
int32_t weight_from_ratio(double numerator, double denominator);

/* The odds that a weight stands for: 2^w. */
double odds_from_weight(int64_t weight);

/* Odds in bits as a probability: 2^w / (1 + 2^w). */
double probability_from_weight(int64_t weight);

/* The smallest weight whose probability is at least the given one; 0 < probability < 1. Below 2^-1000: log2
 * of it. */
int64_t weight_from_probability(double probability);

static inline double
weight_to_bits(int64_t weight)
{
    return (double)weight / WEIGHT_UNITS;
}

#endif
