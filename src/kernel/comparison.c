/*
 * comparison.c: levels, patterns and weights of pairs; see comparison.h.
 */
#include "kernel/comparison.h"

#include "kernel/hash.h"
#include "kernel/term_vectors.h"

/* Rough cost of one evaluation, in units of an exact comparison. */
static int
method_cost(comparison_method method)
{
    switch (method) {
    case METHOD_EXACT:
        return 1;
    case METHOD_NUMERIC:
    case METHOD_DATE:
        return 2;
    case METHOD_JARO:
    case METHOD_JARO_WINKLER:
    case METHOD_LEVENSHTEIN:
    case METHOD_LEVENSHTEIN_DISTANCE:
    case METHOD_DAMERAU:
    case METHOD_DAMERAU_DISTANCE:
    case METHOD_LCS:
        return 8;
    case METHOD_QGRAM:
    case METHOD_TOKEN:
    case METHOD_INITIALS:
    case METHOD_TFIDF:
        return 30;
    case METHOD_TOKEN_SORT:
    case METHOD_TOKEN_SET:
    case METHOD_MONGE_ELKAN:
        return 80;
    }
    return 1;
}

/* What evaluating a comparison can take off a pair's bound, for its cost. */
static double
decisiveness(const comparison *comparison)
{
    int32_t otherwise = comparison->weights[comparison->level_count];

    return (double)(comparison->best_inexact - otherwise) / method_cost(comparison->method);
}

bool
scorer_prepare(scorer *scorer)
{
    int shift = 0;

    for (int c = 0; c < scorer->comparison_count; c++) {
        comparison *comparison = &scorer->comparisons[c];
        int bits = 1, position = c;

        while (1 << bits <= comparison->level_count)
            bits++;
        comparison->pattern_bits = bits;
        comparison->pattern_shift = shift;
        shift += bits;
        if (shift > 64)
            return false;

        comparison->best_inexact = comparison->weights[2];
        for (int level = 3; level <= comparison->level_count; level++)
            if (comparison->weights[level] > comparison->best_inexact)
                comparison->best_inexact = comparison->weights[level];

        for (; position > 0 &&
               decisiveness(&scorer->comparisons[scorer->order[position - 1]]) < decisiveness(comparison);
             position--)
            scorer->order[position] = scorer->order[position - 1];
        scorer->order[position] = c;
    }
    return true;
}

kernel_status
comparison_measure(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace,
                   double *result)
{
    const value_table *values = &comparison->values;
    kernel_status status = KERNEL_OK;
    uint32_t distance = 0;

    switch (comparison->method) {
    case METHOD_EXACT:
        *result = a == b ? 1.0 : 0.0;
        break;
    case METHOD_JARO:
        status = jaro_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_JARO_WINKLER:
        status = jaro_winkler_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_LEVENSHTEIN:
        status = levenshtein_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_LEVENSHTEIN_DISTANCE:
        status = levenshtein_distance(values->texts[a], values->texts[b], workspace, &distance);
        *result = distance;
        break;
    case METHOD_DAMERAU:
        status = damerau_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_DAMERAU_DISTANCE:
        status = damerau_distance(values->texts[a], values->texts[b], workspace, &distance);
        *result = distance;
        break;
    case METHOD_LCS:
        status = lcs_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_QGRAM:
        status = qgram_similarity(values->texts[a], values->texts[b], comparison->q, comparison->measure,
                                  workspace, result);
        break;
    case METHOD_TOKEN:
        status = token_similarity(values->texts[a], values->texts[b], comparison->measure, workspace, result);
        break;
    case METHOD_TOKEN_SORT:
        status = token_sort_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_TOKEN_SET:
        status = token_set_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_MONGE_ELKAN:
        status = monge_elkan_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_INITIALS:
        status = initials_similarity(values->texts[a], values->texts[b], workspace, result);
        break;
    case METHOD_NUMERIC:
        *result = numeric_similarity(values->numbers[a], values->numbers[b], comparison->scale);
        break;
    case METHOD_DATE:
        *result = date_similarity(values->dates[a], values->dates[b]);
        break;
    case METHOD_TFIDF:
        *result = term_vectors_cosine(values->vectors, a, b);
        break;
    }
    return status;
}

static inline bool
is_distance(comparison_method method)
{
    return method == METHOD_LEVENSHTEIN_DISTANCE || method == METHOD_DAMERAU_DISTANCE;
}

/* The level of two unequal values that are both there, measured. */
static kernel_status
measured_level(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace, int *level)
{
    double measure = 0;
    kernel_status status;
    int thresholds = comparison->level_count - 2;

    *level = comparison->level_count;
    if (thresholds == 0)
        return KERNEL_OK;
    status = comparison_measure(comparison, a, b, workspace, &measure);
    if (status != KERNEL_OK)
        return status;
    for (int t = 0; t < thresholds; t++) {
        if (is_distance(comparison->method) ? measure <= comparison->thresholds[t]
                                            : measure >= comparison->thresholds[t]) {
            *level = t + 2;
            break;
        }
    }
    return KERNEL_OK;
}

/* The same, looked up among what this thread measured last. */
static inline kernel_status
remembered_level(const scorer *scorer, int c, uint32_t a, uint32_t b, comparison_thread *thread, int *level)
{
    const comparison *comparison = &scorer->comparisons[c];
    uint64_t codes = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
    level_cache_entry *entry;
    kernel_status status;

    if (thread->cache == NULL || comparison->level_count == 2)
        return measured_level(comparison, a, b, &thread->workspace, level);
    entry = &thread->cache[(size_t)c * LEVEL_CACHE_SIZE + (hash_word(codes) & (LEVEL_CACHE_SIZE - 1))];
    if (entry->codes == codes && entry->level != 0) {
        *level = (int)entry->level;
        return KERNEL_OK;
    }
    status = measured_level(comparison, a, b, &thread->workspace, level);
    if (status == KERNEL_OK) {
        entry->codes = codes;
        entry->level = (uint64_t)*level;
    }
    return status;
}

kernel_status
comparison_level(const scorer *scorer, int c, uint32_t a, uint32_t b, comparison_thread *thread, int *level)
{
    if (a == 0 || b == 0) {
        *level = LEVEL_MISSING;
        return KERNEL_OK;
    }
    if (a == b) {
        *level = LEVEL_EXACT;
        return KERNEL_OK;
    }
    return remembered_level(scorer, c, a, b, thread, level);
}

kernel_status
scorer_score(const scorer *scorer, const uint32_t *a, const uint32_t *b, int64_t least_weight,
             comparison_thread *thread, bool *qualifies, int64_t *weight, uint64_t *pattern)
{
    int pending[MAX_COMPARISONS];
    int pending_count = 0;
    int64_t sum = scorer->prior_weight, bound = 0;
    uint64_t levels = 0;

    *qualifies = false;
    for (int i = 0; i < scorer->comparison_count; i++) {
        int c = scorer->order[i];
        const comparison *comparison = &scorer->comparisons[c];
        uint32_t code_a = a[comparison->slot], code_b = b[comparison->slot];

        if (code_a == 0 || code_b == 0)
            continue; /* missing: level 0, weight 0 */
        if (code_a == code_b) {
            sum += comparison->weights[LEVEL_EXACT];
            if (comparison->value_weights != NULL)
                sum += comparison->value_weights[code_a];
            levels |= (uint64_t)LEVEL_EXACT << comparison->pattern_shift;
        } else {
            bound += comparison->best_inexact;
            pending[pending_count++] = c;
        }
    }

    for (int i = 0; i < pending_count; i++) {
        const comparison *comparison = &scorer->comparisons[pending[i]];
        kernel_status status;
        int level;

        if (sum + bound < least_weight)
            return KERNEL_OK;
        status =
            remembered_level(scorer, pending[i], a[comparison->slot], b[comparison->slot], thread, &level);
        if (status != KERNEL_OK)
            return status;
        bound -= comparison->best_inexact;
        sum += comparison->weights[level];
        levels |= (uint64_t)level << comparison->pattern_shift;
    }
    if (sum < least_weight)
        return KERNEL_OK;
    *qualifies = true;
    *weight = sum;
    *pattern = levels;
    return KERNEL_OK;
}
