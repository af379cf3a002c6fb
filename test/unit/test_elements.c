/*
 * test_elements.c: values of several elements against what is counted by hand: sets, best pairs and the
 * rarest shared element; and that a scorer says the same of a pair by itself, in a batch, and with a least
 * weight.
 */
#include <stdlib.h>

#include "kernel/elements.h"
#include "unit.h"

#define VALUES 40 /* value 0 is the missing one */
#define ELEMENTS 25
#define MOST 6
#define ROUNDS 30

static char words[ELEMENTS][12];
static text_view texts[ELEMENTS];
static uint64_t starts[VALUES + 1];
static uint32_t codes[VALUES * MOST];
static int32_t weights[ELEMENTS];

static void
make_values(uint64_t *seed)
{
    uint64_t used = 0;

    for (uint32_t e = 1; e < ELEMENTS; e++) {
        uint32_t length = 1 + unit_below(seed, 8);

        for (uint32_t i = 0; i < length; i++)
            words[e][i] = (char)('a' + unit_below(seed, 3));
        words[e][length++] = (char)('A' + e); /* no two are equal */
        texts[e] = (text_view){words[e], length, 1};
        weights[e] = (int32_t)unit_below(seed, 2000) - 1000;
    }
    starts[0] = starts[1] = 0;
    for (uint32_t v = 1; v < VALUES; v++) {
        uint32_t last = 0;

        for (uint32_t n = 1 + unit_below(seed, MOST); n > 0 && last + 1 < ELEMENTS; n--) {
            last += 1 + unit_below(seed, 6);
            if (last >= ELEMENTS)
                break;
            codes[used++] = last;
        }
        if (used == starts[v])
            codes[used++] = 1;
        starts[v + 1] = used;
    }
}

static bool
naive_has(uint32_t value, uint32_t element)
{
    for (uint64_t i = starts[value]; i < starts[value + 1]; i++)
        if (codes[i] == element)
            return true;
    return false;
}

static double
naive(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace, int32_t *rarest)
{
    bool distance = method_is_distance(comparison->method);
    double best = distance ? 1e9 : 0, common = 0, size_a = (double)(starts[a + 1] - starts[a]),
           size_b = (double)(starts[b + 1] - starts[b]);

    *rarest = INT32_MIN;
    for (uint32_t e = 1; e < ELEMENTS; e++) {
        if (!naive_has(a, e) || !naive_has(b, e))
            continue;
        common++;
        *rarest = weights[e] > *rarest ? weights[e] : *rarest;
    }
    if (comparison->elements == ELEMENTS_SET)
        return common / (size_a + size_b - common);
    for (uint64_t i = starts[a]; i < starts[a + 1]; i++) {
        for (uint64_t j = starts[b]; j < starts[b + 1]; j++) {
            double measure = 0;
            uint32_t steps = 0;

            if (distance) {
                (void)damerau_distance(texts[codes[i]], texts[codes[j]], workspace, &steps);
                measure = codes[i] == codes[j] ? 0 : steps;
            } else
                (void)jaro_winkler_similarity(texts[codes[i]], texts[codes[j]], workspace, &measure);
            best = distance ? (measure < best ? measure : best) : measure > best ? measure : best;
        }
    }
    return common > 0 ? (distance ? 0 : 1) : best;
}

int
main(void)
{
    uint64_t seed = 11;
    kernel_workspace workspace = {0};
    bool measured = true, symmetric = true, rare = true, alone = true, together = true, pruned = true;

    for (int round = 0; round < ROUNDS; round++) {
        element_table table = {starts, codes, {.texts = texts}, weights, INT32_MIN, INT32_MAX};
        scorer scorer = {.comparison_count = 1, .prior_weight = -300};
        comparison *comparison = &scorer.comparisons[0];
        comparison_thread thread = {.cache = calloc(LEVEL_CACHE_SIZE, sizeof(level_cache_entry))};
        int32_t value_weights[VALUES];
        uint32_t rows[VALUES];
        bool set = round % 3 == 1, distance = round % 3 == 2;

        make_values(&seed);
        for (uint32_t e = 1; e < ELEMENTS; e++)
            table.best_weight = weights[e] > table.best_weight ? weights[e] : table.best_weight;
        for (uint32_t v = 0; v < VALUES; v++) {
            rows[v] = v;
            value_weights[v] = (int32_t)v * 10;
        }
        if (set)
            table.weights = NULL;
        comparison->method = set ? METHOD_EXACT : distance ? METHOD_DAMERAU_DISTANCE : METHOD_JARO_WINKLER;
        comparison->elements = set ? ELEMENTS_SET : ELEMENTS_BEST;
        comparison->measure = MEASURE_JACCARD;
        comparison->level_count = 4;
        comparison->thresholds[0] = set ? 0.5 : distance ? 0 : 1;
        comparison->thresholds[1] = set ? 0.2 : distance ? 1 : 0.9;
        comparison->values.elements = &table;
        comparison->weights[1] = 2000;
        comparison->weights[2] = 900;
        comparison->weights[3] = 100;
        comparison->weights[4] = -800;
        comparison->value_weights = value_weights;
        if (!scorer_prepare(&scorer))
            return 1;

        for (uint32_t a = 0; a < VALUES; a++) {
            for (uint32_t b = 0; b < VALUES; b++) {
                int64_t wanted = scorer.prior_weight, weight = 0, batch_weight[SCORER_BATCH];
                uint64_t pattern = 0, batch_pattern[SCORER_BATCH];
                const uint32_t *row_a = &rows[a], *row_b = &rows[b];
                row_mask mask = scorer_row_mask(&scorer, row_a, row_b);
                uint16_t chosen[SCORER_BATCH];
                uint32_t chosen_count = 0;
                int32_t rarest = 0;
                int level = 0;
                bool qualifies = false;

                if (a != 0 && b != 0 && a != b) {
                    double expected = naive(comparison, a, b, &workspace, &rarest), found = 0, back = 0;

                    (void)comparison_measure(comparison, a, b, &workspace, &found);
                    (void)comparison_measure(comparison, b, a, &workspace, &back);
                    measured &= unit_near(found, expected, 1e-12);
                    symmetric &= memcmp(&found, &back, sizeof found) == 0;
                    level = distance                                ? (expected <= 0   ? 2
                                                                       : expected <= 1 ? 3
                                                                                       : 4)
                            : expected >= comparison->thresholds[0] ? 2
                            : expected >= comparison->thresholds[1] ? 3
                                                                    : 4;
                    wanted += comparison->weights[level] + (level == 2 && !set ? rarest : 0);
                    rare &= comparison_rarity(comparison, a, b, level) == (level == 2 && !set ? rarest : 0);
                } else if (a != 0 && b != 0) {
                    level = 1;
                    wanted += comparison->weights[1] + value_weights[a];
                }
                for (int again = 0; again < 2; again++) { /* the second time from the cache */
                    (void)scorer_score(&scorer, row_a, row_b, INT64_MIN, &thread, &qualifies, &weight,
                                       &pattern);
                    alone &= qualifies && weight == wanted && pattern_level(comparison, pattern) == level;
                }
                (void)scorer_score_batch(&scorer, &row_a, &row_b, &mask, 1, INT64_MIN, &thread, chosen,
                                         &chosen_count, batch_weight, batch_pattern);
                together &= chosen_count == 1 && batch_weight[0] == wanted && batch_pattern[0] == pattern;
                for (int64_t least = wanted - 1; least <= wanted + 1; least++) {
                    (void)scorer_score(&scorer, row_a, row_b, least, &thread, &qualifies, &weight, &pattern);
                    (void)scorer_score_batch(&scorer, &row_a, &row_b, &mask, 1, least, &thread, chosen,
                                             &chosen_count, batch_weight, batch_pattern);
                    pruned &= qualifies == (wanted >= least) && (chosen_count == 1) == (wanted >= least);
                }
            }
        }
        kernel_workspace_free(&thread.workspace);
        free(thread.cache);
    }
    unit_ok(measured, "best pairs, distances and sets as counted by hand");
    unit_ok(symmetric, "symmetric to the bit");
    unit_ok(rare, "the rarest shared element counts");
    unit_ok(alone, "a pair by itself, and from the cache");
    unit_ok(together, "a pair in a batch");
    unit_ok(pruned, "no pair is left out that reaches the least weight");
    kernel_workspace_free(&workspace);
    return unit_done();
}
