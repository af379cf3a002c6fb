/*
 * logistic.c: see logistic.h.
 */
#include "kernel/logistic.h"

#include <string.h>

#include "kernel/cholesky.h"
#include "kernel/fixed_point.h"

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

static double
probability(double bits)
{
    bits = bits > 100 ? 100 : bits < -100 ? -100 : bits;
    return probability_from_weight((int64_t)(bits * WEIGHT_UNITS));
}

/* The loss in bits at these factors: cross entropy and the pull towards the start. */
static double
loss_at(const fit *fit, const double *now)
{
    int places[MAX_COMPARISONS + 1];
    double values[MAX_COMPARISONS + 1], loss = 0;

    for (int i = 0; i < fit->n; i++) {
        double away = now[i] - (i == 0 ? fit->start : 1.0);

        loss += (i == 0 ? 0.01 : 0.5) * fit->ridge * away * away;
    }
    for (size_t k = 0; k < fit->count; k++) {
        const logistic_case *entry = &fit->cases[k];
        int used = features(fit, entry->pattern, places, values);
        double bits = 0, p, q;

        for (int i = 0; i < used; i++)
            bits += now[places[i]] * values[i];
        p = probability(bits);
        q = probability(-bits);
        loss -= entry->count * (entry->target * portable_log2(p) + (1.0 - entry->target) * portable_log2(q));
    }
    return loss;
}

static void
newton_step(const fit *fit, const double *now, double *hessian, double *gradient)
{
    int n = fit->n, places[MAX_COMPARISONS + 1];
    double values[MAX_COMPARISONS + 1];

    memset(hessian, 0, (size_t)n * n * sizeof(double));
    for (int i = 0; i < n; i++) {
        double pull = (i == 0 ? 0.02 : 1.0) * fit->ridge;

        hessian[(size_t)i * n + i] = pull;
        gradient[i] = pull * ((i == 0 ? fit->start : 1.0) - now[i]);
    }
    for (size_t k = 0; k < fit->count; k++) {
        const logistic_case *entry = &fit->cases[k];
        int used = features(fit, entry->pattern, places, values);
        double bits = 0, p, residual, curvature;

        for (int i = 0; i < used; i++)
            bits += now[places[i]] * values[i];
        p = probability(bits);
        residual = entry->count * (entry->target - p);
        curvature = entry->count * p * (1.0 - p) * LN_2;
        for (int i = 0; i < used; i++) {
            gradient[places[i]] += residual * values[i];
            for (int j = 0; j <= i; j++)
                hessian[(size_t)places[i] * n + places[j]] += curvature * values[i] * values[j];
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
             logistic_weights *weights)
{
    double hessian[MAX_FACTORS * MAX_FACTORS], step[MAX_FACTORS], now[MAX_FACTORS], next[MAX_FACTORS], loss;
    fit fit = {layout, cases, count, weights, ridge, weights->intercept, 2 * layout->comparison_count + 1};
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
