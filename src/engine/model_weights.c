/*
 * model_weights.c: see model_weights.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/characters.h"
#include "engine/label_comparisons.h"
#include "engine/model_weights.h"
#include "engine/name_words.h"
#include "engine/term_index.h"
#include "engine/value_summary.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define DISTIL_ITERATIONS 50
#define DISTIL_RIDGE 20.0
#define MOST_EXACT_BITS 50.0
#define APART WEIGHT_UNITS  /* steps of similarity of a text alone, at least */
#define CLEARLY_MORE 4.0    /* values of so many records than copies account for */
#define LEAST_BY_CHANCE 0.1 /* of the pairs with an equal value, as of u (random_levels.c) */

/*
 * Of a text that tells one thing, values that several records have are copies. If each copy has a further one
 * with the same chance, that gives how many values have so many records. From some number on there may be
 * several times as many: names that things of all kinds have ("Editorial", "Greatest hits"). Returns that
 * number; infinite: there are none.
 */
static double
records_of_common_names(const value_summary *values)
{
    double rest = values->held, rest_values = values->values, threefold = 0, twofold, chance;
    double least = INFINITY;

    if (values->frequent_count > LISTED_VALUES)
        return least; /* those of three records may not be among them */
    for (uint32 i = 0; i < values->frequent_count; i++) {
        threefold += values->frequent[i].records == 3;
        rest -= values->frequent[i].records;
        rest_values--;
    }
    twofold = Max(rest - rest_values, 0);
    chance = Min((threefold + 0.5) / (twofold + 1.0), 1.0);
    for (uint32 i = 0, end; i < values->frequent_count; i = end) {
        double records = values->frequent[i].records;

        for (end = i + 1; end < values->frequent_count && values->frequent[end].records == records; end++)
            ;
        if (portable_log2(end) <= portable_log2(CLEARLY_MORE * (twofold + values->frequent_count)) +
                                      (records - 2.0) * portable_log2(chance))
            break;
        least = records;
    }
    return least;
}

/* How often a level is met among the cases. */
static void
count_levels(const scorer *layout, const logistic_case *cases, size_t count,
             double met[MAX_COMPARISONS][MAX_LEVELS])
{
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < layout->comparison_count; c++)
            met[c][pattern_level(&layout->comparisons[c], cases[i].pattern)] += cases[i].count;
}

/*
 * Weights must not rise where values are less alike: neighbouring levels that do are given their mean weight,
 * each as often as it is met (pool adjacent violators).
 */
void
monotone_weights(const double *bits, const double *met, int levels, int32 *weights)
{
    int first[MAX_LEVELS], pools = 0;
    double sum[MAX_LEVELS], mass[MAX_LEVELS];

    for (int level = LEVEL_EXACT; level <= levels; level++) {
        first[pools] = level;
        mass[pools] = met[level] + 0.5;
        sum[pools] = bits[level] * mass[pools];
        while (pools > 0 && sum[pools] / mass[pools] > sum[pools - 1] / mass[pools - 1]) {
            sum[pools - 1] += sum[pools];
            mass[pools - 1] += mass[pools];
            pools--;
        }
        pools++;
    }
    for (int p = 0; p < pools; p++) {
        int end = p + 1 < pools ? first[p + 1] : levels + 1;
        double weight = Max(Min(sum[p] / mass[p], WEIGHT_LIMIT / WEIGHT_UNITS), -WEIGHT_LIMIT / WEIGHT_UNITS);

        for (int level = first[p]; level < end; level++)
            weights[level] = (int32)floor(weight * WEIGHT_UNITS + 0.5);
    }
}

/*
 * Of one comparison alone the verdicts themselves are the odds of a level: there is nothing that others
 * repeat.
 */
static void
weigh_alone(const comparison *comparison, const logistic_case *cases, size_t count, logistic_weights *weights)
{
    double met[MAX_LEVELS] = {0}, matches[MAX_LEVELS] = {0};

    for (size_t i = 0; i < count; i++) {
        int level = pattern_level(comparison, cases[i].pattern);

        met[level] += cases[i].count;
        matches[level] += cases[i].count * cases[i].target;
    }
    for (int level = LEVEL_EXACT; level <= comparison->level_count; level++)
        weights->levels[0][level] =
            portable_log2((matches[level] + 0.5) / (met[level] - matches[level] + 0.5)) - weights->intercept;
}

/*
 * Levels that were given one weight keep their order, away from zero, the weight of a pair that is as likely
 * as not. Of a text alone nothing else says which of a record's partners is the likelier one, where sources
 * hold each thing once, and between which steps of similarity the threshold belongs.
 */
static void
keep_order(int levels, double intercept, int32 *weights)
{
    int32 zero = (int32)floor(0.5 - intercept * WEIGHT_UNITS);

    for (int level = levels - 1; level >= LEVEL_EXACT; level--)
        if (weights[level] >= zero)
            weights[level] = Min(Max(weights[level], weights[level + 1] + APART), WEIGHT_LIMIT);
    for (int level = LEVEL_EXACT + 1; level <= levels; level++)
        if (weights[level] < zero)
            weights[level] = Max(Min(weights[level], weights[level - 1] - APART), -WEIGHT_LIMIT);
}

void
model_set_weights(match_run *run, match_spec *spec, const rarities *rarities, const em_parameters *parameters,
                  const logistic_case *cases, size_t case_count, double prior)
{
    logistic_weights *weights = palloc0(sizeof(logistic_weights));
    double(*met)[MAX_LEVELS] = palloc0(sizeof(double[MAX_COMPARISONS][MAX_LEVELS]));
    const scorer *layout = &rarities->layout;
    int iterations;

    weights->intercept = portable_log2(prior / (1.0 - prior));
    for (int c = 0; c < layout->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
            weights->levels[c][level] = portable_log2(parameters->m[c][level] / parameters->u[c][level]);
    count_levels(&run->scorer, cases, case_count, met);
    iterations =
        logistic_fit(layout, cases, case_count, DISTIL_RIDGE, DISTIL_ITERATIONS, run->threads, weights);
    if (label_comparisons_first(spec) == 1 && method_weighs_terms(spec->comparisons[0].method))
        weigh_alone(&run->scorer.comparisons[0], cases, case_count, weights);
    match_run_phase(run, "weights", "%zu patterns, %d iterations", case_count, iterations);

    spec->prior = probability_from_weight((int64)floor(weights->intercept * WEIGHT_UNITS + 0.5));
    for (int c = 0; c < spec->comparison_count; c++) {
        comparison_spec *comparison = &spec->comparisons[c];
        double full = portable_log2(parameters->m[c][LEVEL_EXACT] / parameters->u[c][LEVEL_EXACT]);

        memcpy(comparison->m, parameters->m[c], sizeof comparison->m);
        memcpy(comparison->u, parameters->u[c], sizeof comparison->u);
        monotone_weights(weights->levels[c], met[c], run->scorer.comparisons[c].level_count,
                         comparison->weights);
        if (label_comparisons_first(spec) == 1 && method_weighs_terms(comparison->method))
            keep_order(run->scorer.comparisons[c].level_count, weights->intercept, comparison->weights);
        comparison->trained = true;
        if (method_weighs_terms(comparison->method))
            comparison->terms = *term_index_statistics(run, run->comparison_slots[c], comparison->q);
        name_words_learn(run, spec, c);
        if (comparison->term_frequency) {
            const value_summary *values =
                comparison->elements == ELEMENTS_NONE
                    ? value_summary_of(run, run->comparison_slots[c])
                    : value_summary_of_parts(run, run->comparison_slots[c], next_element);
            double share = full > 0 ? weight_to_bits(comparison->weights[LEVEL_EXACT]) / full : 0, exact;
            bool by_classes, whole_text = method_weighs_terms(comparison->method);

            comparison->frequencies.scale = comparison->method == METHOD_DATE ? 0 : Max(Min(share, 1.0), 0.0);
            by_classes = rarities_scale(rarities, weights, cases, case_count, c, comparison->u[LEVEL_EXACT],
                                        &exact, &comparison->frequencies.scale);
            if (by_classes)
                comparison->weights[LEVEL_EXACT] =
                    (int32)floor(Max(Min(exact, MOST_EXACT_BITS), -MOST_EXACT_BITS) * WEIGHT_UNITS + 0.5);
            value_summary_list(values, whole_text && !by_classes ? records_of_common_names(values) : 0,
                               &comparison->frequencies);
            /* Strangers seldom have the same text but for those. */
            if (whole_text && !by_classes)
                comparison->frequencies.other =
                    Min(comparison->frequencies.other, comparison->u[LEVEL_EXACT]);
        }
    }
    spec->trained = true;
}

/*
 * The shares become those of the others that a record meets (of a value of n records n - 1, one of a value
 * that is not listed but shared), less the part of such pairs that are matches. It is the same for all n: so
 * it is if the chances of a further thing and of a further copy do not depend on how many there are.
 */
static void
leave_out_copies(const value_summary *values, double equal_matches, term_frequencies *frequencies)
{
    double by_chance = Max(1.0 - equal_matches / (double)values->equal_pairs, LEAST_BY_CHANCE);
    double listed = 0;

    for (int i = 0; i < frequencies->count; i++)
        listed += rint(frequencies->shares[i] * values->filled);
    frequencies->listed = listed / values->filled;
    for (int i = 0; i <= frequencies->count; i++) {
        double *share = i < frequencies->count ? &frequencies->shares[i] : &frequencies->other;

        *share = by_chance * (Max(*share * values->filled, 2.0) - 1.0) / values->filled;
    }
}

/* Of texts it is done already, and of columns that teach how much rarity says it is part of that. */
static bool
may_count_copies(match_run *run, const match_spec *spec, const rarities *rarities, int c)
{
    const comparison_spec *comparison = &spec->comparisons[c];

    return comparison->term_frequency && comparison->frequencies.scale > 0 &&
           comparison->elements == ELEMENTS_NONE && !method_weighs_terms(comparison->method) &&
           rarities_mask(rarities, c) == UINT32_C(1) << c &&
           value_summary_of(run, run->comparison_slots[c])->equal_pairs >= 1;
}

bool
model_counts_copies(match_run *run, const match_spec *spec, const rarities *rarities)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (may_count_copies(run, spec, rarities, c))
            return true;
    return false;
}

void
model_leave_out_copies(match_run *run, match_spec *spec, const rarities *rarities, double matches)
{
    for (int c = 0; c < spec->comparison_count; c++) {
        comparison_spec *comparison = &spec->comparisons[c];

        if (may_count_copies(run, spec, rarities, c)) {
            const value_summary *values = value_summary_of(run, run->comparison_slots[c]);
            double filled = values->filled / run->store->records.count;

            leave_out_copies(values, matches * filled * filled * comparison->m[LEVEL_EXACT],
                             &comparison->frequencies);
        }
    }
}
