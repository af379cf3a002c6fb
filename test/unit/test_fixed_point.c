/*
 * test_fixed_point.c: weights against the C library's logarithm and exponential in long double, and the
 * threshold of a probability against a search by its definition.
 */
#include "kernel/fixed_point.h"
#include "unit.h"

#include <float.h>

#define NUMBERS 300000

/* A positive finite number of any magnitude, subnormal ones among them. */
static double
random_positive(uint64_t *seed)
{
    uint64_t bits;
    double x;

    do {
        bits = unit_random(seed) >> 1;
        if (unit_below(seed, 16) == 0)
            bits &= UINT64_C(0x000fffffffffffff);
        memcpy(&x, &bits, sizeof x);
    } while (!(x > 0) || !isfinite(x));
    return x;
}

static void
test_log2(void)
{
    uint64_t seed = 1;
    double worst = 0;
    bool whole = true;

    for (int i = 0; i < NUMBERS; i++) {
        double x = i & 1 ? random_positive(&seed) : 0.5 + (double)(unit_random(&seed) >> 11) / (1ull << 52);
        long double expected = log2l((long double)x);
        /* Near 1 the logarithm is near 0: its error is measured in units of 2^-52 beside at least 1. */
        double error = (double)(fabsl(portable_log2(x) - expected) / fmaxl(1.0L, fabsl(expected)));

        if (error > worst)
            worst = error;
    }
    unit_ok(worst < 4 * DBL_EPSILON, "log2 is exact to four units in the last place");
    for (int exponent = -1074; exponent < 1024; exponent++)
        whole &= portable_log2(ldexp(1.0, exponent)) == exponent;
    unit_ok(whole, "log2 of every power of two is whole, subnormal ones too");
    unit_ok(unit_near(portable_log2(DBL_MAX), 1024.0, 1e-12) && portable_log2(1.0) == 0.0,
            "log2 at the ends");
}

static void
test_ratio(void)
{
    uint64_t seed = 2;
    uint32_t wrong = 0, asymmetric = 0;

    for (int i = 0; i < NUMBERS; i++) {
        double m = i & 1 ? random_positive(&seed) : (1 + unit_below(&seed, 1000000)) / 1000000.0;
        double u = i & 1 ? random_positive(&seed) : (1 + unit_below(&seed, 1000000)) / 1000000.0;
        long double expected = (log2l((long double)m) - log2l((long double)u)) * WEIGHT_UNITS;
        int32_t weight = weight_from_ratio(m, u);

        expected = expected > WEIGHT_LIMIT    ? WEIGHT_LIMIT
                   : expected < -WEIGHT_LIMIT ? -WEIGHT_LIMIT
                                              : expected;
        wrong += fabsl(weight - expected) > 0.5L + 1e-6L;
        asymmetric += weight_from_ratio(u, m) != -weight;
    }
    unit_ok(wrong == 0, "the weight of a ratio is the nearest whole one, within the limit");
    unit_ok(asymmetric == 0, "the weight of the inverse ratio is its negative");
    unit_ok(weight_from_ratio(1, 1) == 0 && weight_from_ratio(8, 1) == 3 * WEIGHT_UNITS &&
                weight_from_ratio(DBL_MAX, DBL_TRUE_MIN) == WEIGHT_LIMIT &&
                weight_from_ratio(DBL_TRUE_MIN, DBL_MAX) == -WEIGHT_LIMIT,
            "known weights, and the extremes");
}

static void
test_probability(void)
{
    uint64_t seed = 3;
    double worst = 0, last = -1;
    bool rising = true;

    for (int i = 0; i < NUMBERS; i++) {
        int64_t weight = (int64_t)unit_below(&seed, 2 * 60 * WEIGHT_UNITS) - 60 * WEIGHT_UNITS;
        long double odds = exp2l((long double)weight / WEIGHT_UNITS), expected = odds / (1 + odds);
        double error = (double)(fabsl(probability_from_weight(weight) - expected) / expected);

        if (error > worst)
            worst = error;
    }
    unit_ok(worst < 8 * DBL_EPSILON, "the probability of a weight, to eight units in the last place");
    for (int64_t weight = -1100 * (int64_t)WEIGHT_UNITS; weight < 200 * (int64_t)WEIGHT_UNITS; weight += 7) {
        double p = probability_from_weight(weight);

        rising &= p >= last && p > 0 && p <= 1;
        last = p;
    }
    for (int64_t weight = -5 * (int64_t)WEIGHT_UNITS; weight < 5 * (int64_t)WEIGHT_UNITS; weight++)
        rising &= probability_from_weight(weight) < probability_from_weight(weight + 1);
    unit_ok(rising, "probabilities rise with the weight and stay within 0 and 1");
    unit_ok(probability_from_weight(0) == 0.5 && probability_from_weight(INT64_MAX) == 1.0 &&
                probability_from_weight(INT64_MIN) > 0 && probability_from_weight(INT64_MIN) < 1e-300,
            "probabilities at the ends");
}

static bool
is_threshold(double p)
{
    int64_t weight = weight_from_probability(p);

    return probability_from_weight(weight) >= p && probability_from_weight(weight - 1) < p;
}

static void
test_threshold(void)
{
    static const double tiny[] = {1e-300, 0x1p-1000, 1e-302, 1e-305, DBL_MIN, 1e-310, DBL_TRUE_MIN};
    uint64_t seed = 4;
    uint32_t wrong = 0;
    int64_t last = INT64_MAX;
    bool ordered = true;

    for (int i = 0; i < 20000; i++) {
        double p = (double)((unit_random(&seed) >> 11) + 1) / ((1ull << 53) + 2);

        wrong += !is_threshold(i & 1 ? p : ldexp(p, -(int)unit_below(&seed, 900)));
    }
    /* The probabilities of weights themselves are where rounding decides. */
    for (int i = 0; i < 20000; i++)
        wrong += !is_threshold(
            probability_from_weight((int64_t)unit_below(&seed, 2 * 30 * WEIGHT_UNITS) - 30 * WEIGHT_UNITS));
    unit_ok(wrong == 0, "the threshold is the smallest weight that reaches the probability");
    unit_ok(weight_from_probability(0.5) == 0 && is_threshold(nextafter(1, 0)) && is_threshold(0x1p-60),
            "thresholds at a half and next to 1");
    /* Below 2^-1000 probabilities are all the same; what a caller asks for must still end. */
    for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++) {
        int64_t weight = weight_from_probability(tiny[i]);

        ordered &=
            weight <= last && weight < -990 * WEIGHT_UNITS && probability_from_weight(weight) >= tiny[i];
        last = weight;
    }
    unit_ok(ordered, "thresholds of the smallest probabilities there are");
}

int
main(void)
{
    test_log2();
    test_ratio();
    test_probability();
    test_threshold();
    return unit_done();
}
