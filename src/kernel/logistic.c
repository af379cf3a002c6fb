/*
 * logistic.c: see logistic.h.
 */
#include "kernel/logistic.h"

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

/* Of matches at so many bits, and what is left to one. */
static inline void
probabilities(double bits, double *p, double *q)
{
    int64_t weight;

    bits = bits > 100 ? 100 : bits < -100 ? -100 : bits;
    weight = (int64_t)(bits * WEIGHT_UNITS);
    *p = probability_from_weight(weight);
    *q = probability_from_weight(-weight);
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
    bool want_loss; /* otherwise probabilities */
    double values[CASES_AT_ONCE];
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
        double p, q;

        probabilities(bits_of(found->now, used, places, values), &p, &q);
        found->values[k - found->first] =
            found->want_loss
                ? entry->count * (entry->target * portable_log2(p) + (1.0 - entry->target) * portable_log2(q))
                : p;
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

/* The loss in bits at these factors: cross entropy and the pull towards the start. */
static double
loss_at(const fit *fit, const double *now)
{
    case_values found = {.fit = fit, .now = now, .want_loss = true};
    double loss = 0;

    for (int i = 0; i < fit->n; i++) {
        double away = now[i] - (i == 0 ? fit->start : 1.0);

        loss += (i == 0 ? 0.01 : 0.5) * fit->ridge * away * away;
    }
    for (; found.first < fit->count; found.first = found.end) {
        find_next(&found);
        for (size_t k = found.first; k < found.end; k++)
            loss -= found.values[k - found.first];
    }
    return loss;
}

static void
newton_step(const fit *fit, const double *now, double *hessian, double *gradient)
{
    case_values found = {.fit = fit, .now = now};
    int n = fit->n, places[MAX_COMPARISONS + 1];
    double values[MAX_COMPARISONS + 1];

    memset(hessian, 0, (size_t)n * n * sizeof(double));
    for (int i = 0; i < n; i++) {
        double pull = (i == 0 ? 0.02 : 1.0) * fit->ridge;

        hessian[(size_t)i * n + i] = pull;
        gradient[i] = pull * ((i == 0 ? fit->start : 1.0) - now[i]);
    }
    for (; found.first < fit->count; found.first = found.end) {
        find_next(&found);
        for (size_t k = found.first; k < found.end; k++) {
            const logistic_case *entry = &fit->cases[k];
            int used = features(fit, entry->pattern, places, values);
            double p = found.values[k - found.first], residual = entry->count * (entry->target - p);
            double curvature = entry->count * p * (1.0 - p) * LN_2;

            for (int i = 0; i < used; i++) {
                gradient[places[i]] += residual * values[i];
                for (int j = 0; j <= i; j++)
                    hessian[(size_t)places[i] * n + places[j]] += curvature * values[i] * values[j];
            }
        }
    }
    /* A factor that would leave zero stays there: it is taken out of the step. */
    for (int i = 1; i < n; i++) {
        if (now[i] > 0 || gradient[i] > 0)
            continue;
        for (int j = 0; j < n; j++)
            hessian[(size_t)(i > j ? i : j) * n + (i > j ? j : i)] = i == j;
        gradient[i] = 0;
    }
    cholesky_solve(hessian, gradient, n);
}

int
logistic_fit(const scorer *layout, const logistic_case *cases, size_t count, double ridge, int max_iterations,
             int threads, logistic_weights *weights)
{
    double hessian[MAX_FACTORS * MAX_FACTORS], step[MAX_FACTORS], now[MAX_FACTORS], next[MAX_FACTORS], loss;
    fit fit = {layout, cases, count, weights, ridge, weights->intercept, 2 * layout->comparison_count + 1,
               threads};
    int iteration;

    now[0] = fit.start;
    for (int i = 1; i < fit.n; i++)
        now[i] = 1.0;
    loss = loss_at(&fit, now);
    for (iteration = 1; iteration <= max_iterations; iteration++) {
        double scale = 1.0, largest = 0, next_loss = loss;

        newton_step(&fit, now, hessian, step);
        for (int halving = 0; halving < HALVINGS; halving++, scale *= 0.5) {
            for (int i = 0; i < fit.n; i++) {
                next[i] = now[i] + scale * step[i];
                if (i > 0 && next[i] < 0)
                    next[i] = 0;
            }
            next_loss = loss_at(&fit, next);
            if (next_loss < loss)
                break;
        }
        if (!(next_loss < loss))
            break;
        for (int i = 0; i < fit.n; i++) {
            double change = next[i] > now[i] ? next[i] - now[i] : now[i] - next[i];

            largest = change > largest ? change : largest;
            now[i] = next[i];
        }
        loss = next_loss;
        if (largest < SETTLED)
            break;
    }

    weights->intercept = now[0];
    for (int c = 0; c < layout->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
            weights->levels[c][level] *= now[1 + 2 * c + (weights->levels[c][level] < 0)];
    return iteration;
}
