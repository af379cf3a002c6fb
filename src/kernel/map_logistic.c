/*
 * map_logistic.c: see map_logistic.h.
 */
#include "kernel/map_logistic.h"

#include <math.h>
#include <string.h>

#include "kernel/cholesky.h"
#include "kernel/fixed_point.h"

#define LN_2 0.69314718055994530942
#define MOST_BITS 100.0
#define SETTLED 1e-6
#define HALVINGS 20

size_t
map_logistic_workspace(int n)
{
    return (size_t)n * n + 2 * (size_t)n;
}

static double
probability(double bits)
{
    bits = bits > MOST_BITS ? MOST_BITS : bits < -MOST_BITS ? -MOST_BITS : bits;
    return probability_from_weight((int64_t)(bits * WEIGHT_UNITS));
}

double
map_logistic_bits(const map_problem *problem, const map_case *entry, const double *x)
{
    const map_feature *features = problem->features + entry->first;
    double bits = entry->score;

    for (uint32_t i = 0; i < entry->used; i++)
        bits += x[features[i].place] * features[i].value;
    return bits;
}

double
map_logistic_loss(const map_problem *problem, const map_case *entry, const double *x)
{
    double bits = map_logistic_bits(problem, entry, x);

    return -(entry->target * portable_log2(probability(bits)) +
             (1.0 - entry->target) * portable_log2(probability(-bits)));
}

static double
loss_at(const map_problem *problem, const double *x)
{
    double loss = 0;

    for (int i = 0; i < problem->n; i++)
        loss += 0.5 * problem->strength * problem->ridge[i] * x[i] * x[i];
    for (size_t k = 0; k < problem->count; k++)
        if (problem->cases[k].weight > 0)
            loss += problem->cases[k].weight * map_logistic_loss(problem, &problem->cases[k], x);
    return loss;
}

static void
newton_step(const map_problem *problem, const double *x, double *hessian, double *gradient)
{
    size_t n = (size_t)problem->n;

    memset(hessian, 0, n * n * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        double pull = problem->strength * problem->ridge[i];

        hessian[i * n + i] = pull;
        gradient[i] = -pull * x[i];
    }
    for (size_t k = 0; k < problem->count; k++) {
        const map_case *entry = &problem->cases[k];
        const map_feature *features = problem->features + entry->first;
        double p, residual, curvature;

        if (entry->weight == 0)
            continue;
        p = probability(map_logistic_bits(problem, entry, x));
        residual = entry->weight * (entry->target - p);
        curvature = entry->weight * p * (1.0 - p) * LN_2;
        for (uint32_t i = 0; i < entry->used; i++) {
            gradient[features[i].place] += residual * features[i].value;
            for (uint32_t j = 0; j <= i; j++) /* places ascend, so this is the lower triangle */
                hessian[features[i].place * n + features[j].place] +=
                    curvature * features[i].value * features[j].value;
        }
    }
    cholesky_solve(hessian, gradient, problem->n);
}

bool
map_logistic_fit(const map_problem *problem, int max_iterations, double *workspace,
                 const volatile sig_atomic_t *stop, double *x)
{
    size_t n = (size_t)problem->n;
    double *hessian = workspace, *step = hessian + n * n, *next = step + n, loss;

    memset(x, 0, n * sizeof(double));
    loss = loss_at(problem, x);
    for (int iteration = 0; iteration < max_iterations; iteration++) {
        double scale = 1.0, largest = 0, next_loss = loss;

        if (stop != NULL && *stop)
            return false;
        newton_step(problem, x, hessian, step);
        for (int halving = 0; halving < HALVINGS; halving++, scale *= 0.5) {
            for (size_t i = 0; i < n; i++)
                next[i] = x[i] + scale * step[i];
            next_loss = loss_at(problem, next);
            if (next_loss < loss)
                break;
        }
        if (!(next_loss < loss))
            break;
        for (size_t i = 0; i < n; i++) {
            double change = fabs(next[i] - x[i]);

            largest = change > largest ? change : largest;
            x[i] = next[i];
        }
        loss = next_loss;
        if (largest < SETTLED)
            break;
    }
    return true;
}
