/*
 * fixed_point.c: logarithm and exponential in IEEE basic operations only; see fixed_point.h.
 */
#include "kernel/fixed_point.h"

#include <string.h>

static const double LN_2 = 0.69314718055994530942;

double
portable_log2(double x)
{
    uint64_t bits;
    int exponent;
    double mantissa, z, square, power, sum, before;

    memcpy(&bits, &x, sizeof bits);
    exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0) {          /* subnormal: bring it into the normal range exactly */
        x *= 18014398509481984.0; /* 2^54 */
        memcpy(&bits, &x, sizeof bits);
        exponent = (int)(bits >> 52 & 0x7ff) - 54;
    }
    exponent -= 1023;
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    memcpy(&mantissa, &bits, sizeof mantissa);
    if (mantissa > 1.4142135623730951) {
        mantissa *= 0.5;
        exponent++;
    }

    /* ln(mantissa) = 2 artanh(z), |z| <= 0.172: 23 odd terms reach the last bit. They get smaller and have
     * one sign: after one that adds nothing none does. */
    z = (mantissa - 1.0) / (mantissa + 1.0);
    square = z * z;
    power = z;
    sum = 0.0;
    for (int i = 1; i < 46; i += 2) {
        before = sum;
        sum += power / i;
        if (sum == before)
            break;
        power *= square;
    }
    return exponent + 2.0 * sum / LN_2;
}

/* Beyond this many bits either way, powers of two are all taken to be the same. */
#define POWER_LIMIT (INT64_C(1000) * WEIGHT_UNITS)

static int64_t
round_half_away(double x)
{
    return x < 0 ? -(int64_t)(0.5 - x) : (int64_t)(x + 0.5);
}

int32_t
weight_from_ratio(double numerator, double denominator)
{
    int64_t weight = round_half_away((portable_log2(numerator) - portable_log2(denominator)) * WEIGHT_UNITS);

    if (weight > WEIGHT_LIMIT)
        return WEIGHT_LIMIT;
    if (weight < -WEIGHT_LIMIT)
        return -WEIGHT_LIMIT;
    return (int32_t)weight;
}

/* Clamps |weight| to POWER_LIMIT. */
double
odds_from_weight(int64_t weight)
{
    int64_t whole, rest;
    double x, term = 1.0, sum = 1.0, before, scale;
    uint64_t bits;

    weight = weight > POWER_LIMIT ? POWER_LIMIT : weight < -POWER_LIMIT ? -POWER_LIMIT : weight;
    whole = weight / WEIGHT_UNITS;
    rest = weight % WEIGHT_UNITS;
    if (rest < 0) {
        rest += WEIGHT_UNITS;
        whole--;
    }
    x = (double)rest / WEIGHT_UNITS * LN_2;
    for (int i = 1; i < 24; i++) { /* as above: after a term that adds nothing none does */
        term *= x / i;
        before = sum;
        sum += term;
        if (sum == before)
            break;
    }
    bits = (uint64_t)(whole + 1023) << 52;
    memcpy(&scale, &bits, sizeof scale);
    return sum * scale;
}

double
probability_from_weight(int64_t weight)
{
    if (weight >= 0)
        return 1.0 / (1.0 + odds_from_weight(-weight));
    else {
        double odds = odds_from_weight(weight);

        return odds / (1.0 + odds);
    }
}

int64_t
weight_from_probability(double probability)
{
    int64_t weight =
        round_half_away((portable_log2(probability) - portable_log2(1.0 - probability)) * WEIGHT_UNITS);

    /* Where all probabilities are the same, every weight reaches the one asked for: the estimate will do. */
    while (weight > -POWER_LIMIT && probability_from_weight(weight - 1) >= probability)
        weight--;
    while (weight < POWER_LIMIT && probability_from_weight(weight) < probability)
        weight++;
    return weight;
}
