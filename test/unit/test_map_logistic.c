/*
 * test_map_logistic.c: the fitted vector against what makes it the right one: a gradient of zero, computed
 * here in another way, and what a prior must do.
 */
#include "kernel/map_logistic.h"
#include "unit.h"

#include <stdlib.h>

#define N 6
#define CASES 500

static map_case cases[CASES];
static map_feature features[CASES * N];
static double ridge[N];

static void
make(uint64_t *seed, map_problem *problem, bool separable)
{
    uint32_t next = 0;

    for (int i = 0; i < N; i++)
        ridge[i] = 0.1 + unit_below(seed, 100) / 50.0;
    for (int k = 0; k < CASES; k++) {
        double truth = 0;

        cases[k].first = next;
        cases[k].score = (int)unit_below(seed, 200) / 10.0 - 10.0;
        for (uint32_t i = 0; i < N; i++) {
            double value = (int)unit_below(seed, 9) - 4.0;

            if (unit_below(seed, 3) == 0)
                continue;
            features[next++] = (map_feature){i, value};
            truth += (i % 2 ? 1 : -1) * value;
        }
        cases[k].used = next - cases[k].first;
        cases[k].target = separable ? truth > 0 : truth + (int)unit_below(seed, 9) - 4.0 > 0;
        cases[k].weight = unit_below(seed, 4) / 2.0;
    }
    *problem = (map_problem){N, cases, CASES, features, ridge, 1.0};
}

/* The slope of the loss in one direction, by libm. */
static double
slope(const map_problem *problem, const double *x, uint32_t place)
{
    double sum = problem->strength * problem->ridge[place] * x[place];

    for (size_t k = 0; k < problem->count; k++) {
        const map_case *entry = &problem->cases[k];
        double bits = entry->score, value = 0;

        for (uint32_t i = 0; i < entry->used; i++) {
            bits += x[features[entry->first + i].place] * features[entry->first + i].value;
            if (features[entry->first + i].place == place)
                value = features[entry->first + i].value;
        }
        sum += entry->weight * (1 / (1 + exp2(-bits)) - entry->target) * value;
    }
    return sum;
}

int
main(void)
{
    uint64_t seed = 3;
    double worst = 0, separable = 0, x[N], again[N], strong[N];
    double *workspace = malloc(map_logistic_workspace(N) * sizeof(double));
    volatile sig_atomic_t stop = 1;
    map_problem problem;
    bool same = true, shrinks = true;

    if (workspace == NULL)
        return 1;
    for (int round = 0; round < 40; round++) {
        double lengths[2] = {0, 0};

        make(&seed, &problem, round % 4 == 0);
        (void)map_logistic_fit(&problem, 100, workspace, NULL, x);
        for (uint32_t i = 0; i < N; i++) {
            double rise = fabs(slope(&problem, x, i));

            worst = rise > worst ? rise : worst;
            if (round % 4 == 0)
                separable = fabs(x[i]) > separable ? fabs(x[i]) : separable;
        }
        (void)map_logistic_fit(&problem, 100, workspace, NULL, again);
        same &= memcmp(x, again, sizeof x) == 0;
        problem.strength = 1000;
        (void)map_logistic_fit(&problem, 100, workspace, NULL, strong);
        for (int i = 0; i < N; i++) {
            lengths[0] += ridge[i] * x[i] * x[i];
            lengths[1] += ridge[i] * strong[i] * strong[i];
        }
        shrinks &= lengths[1] < lengths[0];
    }
    /* The kernel's odds are cut to 1/10000 bit, so its zero is not quite that of libm. */
    unit_ok(worst < 0.1, "the slope of the loss is zero where it ends");
    unit_ok(same, "the same cases give the same bits");
    unit_ok(shrinks, "a stronger prior gives smaller corrections");
    unit_ok(separable < 100, "cases that can be told apart without error give finite corrections");
    problem.count = 0;
    (void)map_logistic_fit(&problem, 100, workspace, NULL, x);
    unit_ok(x[0] == 0 && x[N - 1] == 0, "without cases nothing is corrected");
    unit_ok(!map_logistic_fit(&problem, 100, workspace, &stop, x), "a stop is heeded");
    free(workspace);
    return unit_done();
}
