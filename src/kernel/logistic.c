/*
 * logistic.c: see logistic.h.
 */
#include "kernel/logistic.h"

#include <math.h>
#include <string.h>

#include "kernel/cholesky.h"
#include "kernel/fixed_point.h"
#include "kernel/parallel.h"

#define LN_2 0.69314718055994530942
#define SETTLED 1e-5
#define HALVINGS 12

typedef struct fit {
    const scorer *layout;
    const logistic_case *cases;
    size_t count;
    const logistic_weights *weights;
    double ridge, start; /* of the intercept */
    int n;
    int threads;
} fit;

/* What a case adds to each factor it has: places and values; the intercept is the first. */
static int
features(const fit *fit, uint64_t pattern, int *places, double *values)
{
    int used = 1;

    places[0] = 0;
    values[0] = 1.0;
    for (int c = 0; c < fit->layout->comparison_count; c++) {
        int level = pattern_level(&fit->layout->comparisons[c], pattern);

        if (level == LEVEL_MISSING || fit->weights->levels[c][level] == 0)
            continue;
        places[used] = 1 + 2 * c + (fit->weights->levels[c][level] < 0);
        values[used++] = fit->weights->levels[c][level];
    }
    return used;
}

/*
 * The probability of a match at so many bits, and its logarithm and that of what is left to one, in bits.
 * Powers are of whole units: what is left of one is in the exponent's first terms. Without it the loss would
 * have steps, which Newton's method cannot come down from at the end.
 */
static inline double
probability(double bits, double *log_match, double *log_other)
{
    double size, rest, smaller, log_sum;
    int64_t units;

    bits = bits > 100 ? 100 : bits < -100 ? -100 : bits;
    size = bits < 0 ? -bits : bits;
    units = (int64_t)(size * WEIGHT_UNITS);
    rest = (size - weight_to_bits(units)) * LN_2;
    smaller = odds_from_weight(-units) * (1.0 - rest + 0.5 * rest * rest);
    log_sum = portable_log2(1.0 + smaller);
    *log_match = (bits < 0 ? bits : 0) - log_sum;
    *log_other = (bits > 0 ? -bits : 0) - log_sum;
    return (bits < 0 ? smaller : 1.0) / (1.0 + smaller);
}

static double
bits_of(const double *now, int used, const int *places, const double *values)
{
    double bits = 0;

    for (int i = 0; i < used; i++)
        bits += now[places[i]] * values[i];
    return bits;
}

/*
 * Cases at a time: what costs, powers and logarithms, is found on all threads, and put together in the order
 * of the cases.
 */
#define CASES_AT_ONCE 2048
#define CASES_AN_ITEM 256

typedef struct case_values {
    const fit *fit;
    const double *now;
    size_t first, end;
    double probabilities[CASES_AT_ONCE], losses[CASES_AT_ONCE];
} case_values;

static void
find_values(void *context, int64_t item, int thread)
{
    case_values *found = context;
    size_t first = found->first + (size_t)item * CASES_AN_ITEM, end = first + CASES_AN_ITEM;
    int places[MAX_COMPARISONS + 1];
    double values[MAX_COMPARISONS + 1];

    (void)thread;
    for (size_t k = first; k < end && k < found->end; k++) {
        const logistic_case *entry = &found->fit->cases[k];
        int used = features(found->fit, entry->pattern, places, values);
        double log_match, log_other;

        found->probabilities[k - found->first] =
            probability(bits_of(found->now, used, places, values), &log_match, &log_other);
        found->losses[k - found->first] =
            -entry->count * (entry->target * log_match + (1.0 - entry->target) * log_other);
    }
}

static void
find_next(case_values *found)
{
    size_t count = found->fit->count - found->first;

    count = count < CASES_AT_ONCE ? count : CASES_AT_ONCE;
    found->end = found->first + count;
    parallel_for(found->fit->threads, (int64_t)((count + CASES_AN_ITEM - 1) / CASES_AN_ITEM), find_values,
                 found);
}

/* Some factors, and what a step from them needs. */
typedef struct fit_point {
    double factors[MAX_FACTORS];
    double loss; /* bits: cross entropy, and the pull towards the start */
    double hessian[MAX_FACTORS * MAX_FACTORS], gradient[MAX_FACTORS];
} fit_point;

/* What the loss and its slope are at the factors: nearly every point that is looked at is stepped from. */
static void
look_at(const fit *fit, fit_point *point)
{
    case_values found = {.fit = fit, .now = point->factors};
    int n = fit->n, places[MAX_COMPARISONS + 1];
    double values[MAX_COMPARISONS + 1];

    memset(point->hessian, 0, (size_t)n * n * sizeof(double));
    point->loss = 0;
    for (int i = 0; i < n; i++) {
        double pull = (i == 0 ? 0.02 : 1.0) * fit->ridge;
        double away = point->factors[i] - (i == 0 ? fit->start : 1.0);

        point->hessian[(size_t)i * n + i] = pull;
        point->gradient[i] = -pull * away;
        point->loss += 0.5 * pull * away * away;
    }
    for (; found.first < fit->count; found.first = found.end) {
        find_next(&found);
        for (size_t k = found.first; k < found.end; k++) {
            const logistic_case *entry = &fit->cases[k];
            int used = features(fit, entry->pattern, places, values);
            double p = found.probabilities[k - found.first], residual = entry->count * (entry->target - p);
            double curvature = entry->count * p * (1.0 - p) * LN_2;

            point->loss += found.losses[k - found.first];
            for (int i = 0; i < used; i++) {
                double slope = curvature * values[i];

                point->gradient[places[i]] += residual * values[i];
                for (int j = 0; j <= i; j++)
                    point->hessian[(size_t)places[i] * n + places[j]] += slope * values[j];
            }
        }
    }
}

/* Newton's step; the point's slope is spent. */
static void
newton_step(const fit *fit, fit_point *point, double *step)
{
    int n = fit->n;

    memcpy(step, point->gradient, (size_t)n * sizeof(double));
    /* A factor that would leave zero stays there: it is taken out of the step. */
    for (int i = 1; i < n; i++) {
        if (point->factors[i] > 0 || step[i] > 0)
            continue;
        for (int j = 0; j < n; j++)
            point->hessian[(size_t)(i > j ? i : j) * n + (i > j ? j : i)] = i == j;
        step[i] = 0;
    }
    cholesky_solve(point->hessian, step, n);
}

int
logistic_fit(const scorer *layout, const logistic_case *cases, size_t count, double ridge, int max_iterations,
             int threads, logistic_weights *weights)
{
    double step[MAX_FACTORS], now[MAX_FACTORS], loss;
    fit fit = {layout, cases, count, weights, ridge, weights->intercept, 2 * layout->comparison_count + 1,
               threads};
    fit_point point;
    int iteration;

    now[0] = fit.start;
    for (int i = 1; i < fit.n; i++)
        now[i] = 1.0;
    memcpy(point.factors, now, sizeof now);
    look_at(&fit, &point);
    loss = point.loss;
    for (iteration = 1; iteration <= max_iterations; iteration++) {
        double scale = 1.0, largest = 0;

        newton_step(&fit, &point, step);
        for (int halving = 0; halving < HALVINGS; halving++, scale *= 0.5) {
            for (int i = 0; i < fit.n; i++) {
                point.factors[i] = now[i] + scale * step[i];
                if (i > 0 && point.factors[i] < 0)
                    point.factors[i] = 0;
            }
            look_at(&fit, &point);
            if (point.loss < loss)
                break;
        }
        if (!(point.loss < loss))
            break;
        for (int i = 0; i < fit.n; i++) {
            double change = fabs(point.factors[i] - now[i]);

            largest = change > largest ? change : largest;
            now[i] = point.factors[i];
        }
        loss = point.loss;
        if (largest < SETTLED)
            break;
    }

    weights->intercept = now[0];
    for (int c = 0; c < layout->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
            weights->levels[c][level] *= now[1 + 2 * c + (weights->levels[c][level] < 0)];
    return iteration;
}
