/*
 * best_threshold.c: see best_threshold.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/best_threshold.h"

#define LEAST_THRESHOLD 0.1
#define LEAST_GAIN 0.002   /* in F1, that another look at the pairs is worth */
#define LEAST_RIGHT 0.5    /* of the pairs that are taken then */
#define THOUSANDTHS 1000.0 /* that a model writes */
#define STEPS_A_BIT 8      /* of weight */
#define MOST_BITS 16       /* either way: beyond, pairs are as good as certain */

/* The pairs by weight, and the matches to expect among them. */
typedef struct weighed {
    double pairs, matches;
} weighed;

/* What equal values add because of how rare they are: of those of a class, or of most. */
static double
bits_of_rarity(const rarities *rarities, const comparison_spec *comparison, int c, uint64 pattern)
{
    double u = portable_log2(comparison->u[LEVEL_EXACT]);

    for (int i = 0; i < rarities->count; i++) {
        int place = rarities->layout.comparison_count - rarities->count + i;

        if (rarities->list[i].comparison == c)
            return comparison->frequencies.scale *
                   (u - rarities->list[i].bits[pattern_level(&rarities->layout.comparisons[place], pattern)]);
    }
    return comparison->frequencies.other > 0
               ? comparison->frequencies.scale * (u - portable_log2(comparison->frequencies.other))
               : 0;
}

static double
bits_of(const match_spec *spec, const rarities *rarities, uint64 pattern)
{
    double bits = weight_to_bits(weight_from_probability(spec->prior));

    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison_spec *comparison = &spec->comparisons[c];
        int level = pattern_level(&rarities->layout.comparisons[c], pattern);

        if (level == LEVEL_MISSING)
            continue;
        bits += weight_to_bits(comparison->weights[level]);
        if (level == LEVEL_EXACT && comparison->term_frequency)
            bits += bits_of_rarity(rarities, comparison, c, pattern);
    }
    return bits;
}

/* What there is to expect. */
typedef struct expected_links {
    double best, right; /* F1 at its best, and the share of the pairs that are right there */
    double at_default;  /* the best F1 from one half on */
} expected_links;

static expected_links
expect_links(const match_spec *spec, const rarities *rarities, const logistic_case *cases, size_t case_count)
{
    weighed steps[2 * MOST_BITS * STEPS_A_BIT + 1] = {{0}};
    double all = 0, pairs = 0, matches = 0;
    expected_links links = {0};

    for (size_t i = 0; i < case_count; i++) {
        double bits = bits_of(spec, rarities, cases[i].pattern);
        int step = (int)floor((Max(Min(bits, MOST_BITS), -MOST_BITS) + MOST_BITS) * STEPS_A_BIT);
        double expected = cases[i].count * probability_from_weight((int64)floor(bits * WEIGHT_UNITS + 0.5));

        steps[step].pairs += cases[i].count;
        steps[step].matches += expected;
        all += expected;
    }
    for (int step = lengthof(steps) - 1; step >= 0; step--) {
        pairs += steps[step].pairs;
        matches += steps[step].matches;
        if (pairs > 0 && 2.0 * matches / (pairs + all) > links.best) {
            links.best = 2.0 * matches / (pairs + all);
            links.right = matches / pairs;
        }
        if (step == MOST_BITS * STEPS_A_BIT)
            links.at_default = links.best;
    }
    return links;
}

double
best_expected_f1(const match_spec *spec, const rarities *rarities, const logistic_case *cases,
                 size_t case_count)
{
    return expect_links(spec, rarities, cases, case_count).best;
}

double
best_threshold(match_run *run, const match_spec *spec, const rarities *rarities, const logistic_case *cases,
               size_t case_count)
{
    expected_links links = expect_links(spec, rarities, cases, case_count);
    double threshold = Max(floor(links.best / 2 * THOUSANDTHS + 0.5) / THOUSANDTHS, LEAST_THRESHOLD);

    if (links.best < links.at_default + LEAST_GAIN || links.right < LEAST_RIGHT)
        threshold = DEFAULT_THRESHOLD;
    match_run_phase(run, "threshold", "an F1 of %.3f to expect; matches from %.3f on", links.best, threshold);
    return threshold;
}
