/*
 * test_logistic.c: the factors found against what makes them the right ones: a loss counted here in another
 * way (by libm, level by level) has no slope at them, or rises where a factor stands at zero; and against a
 * search over a grid where there are few.
 */
#include "kernel/logistic.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COMPARISONS 4
#define LEVELS 4 /* exact, two thresholds, else */
#define CASES 300
#define RIDGE 2.0
#define START -3.0

static scorer layout;
static logistic_case cases[CASES];
static double before[COMPARISONS][MAX_LEVELS];

static void
make_layout(int comparisons)
{
    memset(&layout, 0, sizeof layout);
    layout.comparison_count = comparisons;
    for (int c = 0; c < comparisons; c++) {
        layout.comparisons[c].level_count = LEVELS;
        layout.comparisons[c].pattern_shift = 3 * c;
        layout.comparisons[c].pattern_bits = 3;
    }
}

static int
level_of(uint64_t pattern, int c)
{
    return (int)(pattern >> (3 * c) & 7);
}

/* Verdicts that follow from the levels by true factors, some of them 0 or against the weights' sign. */
static void
make_cases(uint64_t *seed, int comparisons, const double *truth)
{
    for (int c = 0; c < comparisons; c++)
        for (int level = 1; level <= LEVELS; level++)
            before[c][level] = 6.0 - 2.5 * level + unit_below(seed, 100) / 100.0 - (c == 1);
    for (int k = 0; k < CASES; k++) {
        double bits = START;

        cases[k].pattern = 0;
        for (int c = 0; c < comparisons; c++) {
            int level = (int)unit_below(seed, LEVELS + 1);

            cases[k].pattern |= (uint64_t)level << (3 * c);
            if (level != LEVEL_MISSING)
                bits += before[c][level] * truth[2 * c + (before[c][level] < 0)];
        }
        cases[k].count = 1 + unit_below(seed, 20);
        cases[k].target = 1 / (1 + exp2(-bits));
    }
}

/* factors: intercept, then two of each comparison. */
static double
naive_loss(int comparisons, const double *factors)
{
    double loss = 0.01 * RIDGE * (factors[0] - START) * (factors[0] - START);

    for (int i = 1; i <= 2 * comparisons; i++)
        loss += 0.5 * RIDGE * (factors[i] - 1) * (factors[i] - 1);
    for (int k = 0; k < CASES; k++) {
        double bits = factors[0];

        for (int c = 0; c < comparisons; c++) {
            int level = level_of(cases[k].pattern, c);

            if (level != LEVEL_MISSING)
                bits += before[c][level] * factors[1 + 2 * c + (before[c][level] < 0)];
        }
        loss += cases[k].count *
                (cases[k].target * log2(1 + exp2(-bits)) + (1 - cases[k].target) * log2(1 + exp2(bits)));
    }
    return loss;
}

static int
fit(int comparisons, double *factors, int iterations, int threads)
{
    logistic_weights weights = {.intercept = START};
    int used;

    for (int c = 0; c < comparisons; c++)
        memcpy(weights.levels[c], before[c], sizeof before[c]);
    used = logistic_fit(&layout, cases, CASES, RIDGE, iterations, threads, &weights);
    factors[0] = weights.intercept;
    for (int c = 0; c < comparisons; c++)
        for (int level = 1; level <= LEVELS; level++)
            if (before[c][level] != 0)
                factors[1 + 2 * c + (before[c][level] < 0)] = weights.levels[c][level] / before[c][level];
    return used;
}

static void
test_slopes(void)
{
    uint64_t seed = 5;
    bool settled = true, flat = true, held = false, repeated = true;

    for (int round = 0; round < 20; round++) {
        double truth[2 * COMPARISONS], factors[2 * COMPARISONS + 1], again[2 * COMPARISONS + 1];

        for (int i = 0; i < 2 * COMPARISONS; i++)
            truth[i] = (int)unit_below(&seed, 9) / 4.0 - 0.5; /* from -0.5, which is not to be had, to 1.5 */
        make_layout(COMPARISONS);
        make_cases(&seed, COMPARISONS, truth);
        settled &= fit(COMPARISONS, factors, 100, 1) < 100;
        (void)fit(COMPARISONS, again, 100, 3);
        repeated &= memcmp(factors, again, sizeof factors) == 0;
        for (int i = 0; i <= 2 * COMPARISONS; i++) {
            double step = 1e-4, low, high, slope;

            factors[i] -= step;
            low = naive_loss(COMPARISONS, factors);
            factors[i] += 2 * step;
            high = naive_loss(COMPARISONS, factors);
            factors[i] -= step;
            slope = (high - low) / (2 * step);
            held |= i > 0 && factors[i] == 0;
            flat &= i > 0 && factors[i] == 0 ? slope > -0.01 : fabs(slope) < 0.01;
        }
    }
    unit_ok(settled, "factors settle");
    unit_ok(repeated, "the same cases give the same factors to the bit, on one thread and on three");
    unit_ok(flat, "the loss has no slope at the factors, or rises from zero");
    unit_ok(held, "a factor whose evidence is against it stands at zero");
}

/* One comparison: three parameters, the best of a grid around the result is the result. */
static void
test_grid(void)
{
    uint64_t seed = 17;
    bool best = true;

    for (int round = 0; round < 5; round++) {
        double truth[] = {0.5 + round / 4.0, 1.5 - round / 4.0}, factors[3], least;

        make_layout(1);
        make_cases(&seed, 1, truth);
        (void)fit(1, factors, 100, 1);
        least = naive_loss(1, factors);
        for (int x = -20; x <= 20; x++)
            for (int y = -20; y <= 20; y++)
                for (int z = -20; z <= 20; z++) {
                    double other[] = {factors[0] + x * 0.05, factors[1] + y * 0.02, factors[2] + z * 0.02};

                    if (other[1] >= 0 && other[2] >= 0)
                        best &= naive_loss(1, other) >= least - 1e-3;
                }
    }
    unit_ok(best, "no factors near are better");
}

static void
test_edges(void)
{
    logistic_weights weights = {.intercept = -2.0};

    make_layout(1);
    weights.levels[0][1] = 3;
    weights.levels[0][4] = -3;
    (void)logistic_fit(&layout, cases, 0, RIDGE, 10, 1, &weights);
    unit_ok(weights.intercept == -2.0 && weights.levels[0][1] == 3 && weights.levels[0][4] == -3,
            "without cases nothing changes");
    memset(cases, 0, sizeof cases);
    for (int k = 0; k < 100; k++)
        cases[k] = (logistic_case){k % 2 ? 1 : 4, 1e9, k % 2}; /* two patterns that tell everything apart */
    (void)logistic_fit(&layout, cases, 100, RIDGE, 100, 1, &weights);
    unit_ok(isfinite(weights.intercept) && isfinite(weights.levels[0][1]) && weights.levels[0][1] > 3 &&
                weights.levels[0][4] < -3,
            "cases that are told apart for certain give finite weights");
}

int
main(void)
{
    test_slopes();
    test_grid();
    test_edges();
    return unit_done();
}
