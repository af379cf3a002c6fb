/*
 * elements.c: see elements.h.
 */
#include "kernel/elements.h"

/* The next element that both values have, from places *i and *j on; 0: none. */
static inline uint32_t
next_common(const element_table *table, uint64_t *i, uint64_t end_i, uint64_t *j, uint64_t end_j)
{
    while (*i < end_i && *j < end_j) {
        uint32_t x = table->codes[*i], y = table->codes[*j];

        *i += x <= y;
        *j += y <= x;
        if (x == y)
            return x;
    }
    return 0;
}

static double
set_similarity(const comparison *comparison, const element_table *table, uint32_t a, uint32_t b)
{
    uint64_t i = table->starts[a], end_i = table->starts[a + 1];
    uint64_t j = table->starts[b], end_j = table->starts[b + 1];
    uint64_t size_a = end_i - i, size_b = end_j - j, common = 0;

    while (next_common(table, &i, end_i, &j, end_j) != 0)
        common++;
    return set_measure_value(comparison->measure, common, size_a, size_b);
}

/* Every element of the one with every element of the other; ties go to the first pair. */
static kernel_status
best_pair(const comparison *comparison, const element_table *table, uint32_t a, uint32_t b,
          kernel_workspace *workspace, double *result, uint32_t best[2])
{
    struct comparison inner = *comparison;
    bool distance = method_is_distance(comparison->method), found = false;

    inner.elements = ELEMENTS_NONE;
    inner.values = table->values;
    for (uint64_t i = table->starts[a]; i < table->starts[a + 1]; i++) {
        for (uint64_t j = table->starts[b]; j < table->starts[b + 1]; j++) {
            double measure = 0;
            kernel_status status =
                comparison_measure(&inner, table->codes[i], table->codes[j], workspace, &measure);

            if (status != KERNEL_OK)
                return status;
            if (found && (distance ? measure >= *result : measure <= *result))
                continue;
            *result = measure;
            found = true;
            if (best != NULL) {
                best[0] = table->codes[i];
                best[1] = table->codes[j];
            }
        }
    }
    return KERNEL_OK;
}

kernel_status
elements_measure(const comparison *comparison, uint32_t a, uint32_t b, kernel_workspace *workspace,
                 double *result, uint32_t best[2])
{
    const element_table *table = comparison->values.elements;
    uint64_t i = table->starts[a], j = table->starts[b];
    uint32_t shared;

    *result = 0;
    if (best != NULL)
        best[0] = best[1] = 0;
    if (comparison->elements == ELEMENTS_SET) {
        *result = set_similarity(comparison, table, a, b);
        return KERNEL_OK;
    }
    shared = next_common(table, &i, table->starts[a + 1], &j, table->starts[b + 1]);
    if (shared != 0) {
        *result = method_is_distance(comparison->method) ? 0.0 : 1.0;
        if (best != NULL)
            best[0] = best[1] = shared;
        return KERNEL_OK;
    }
    return best_pair(comparison, table, a, b, workspace, result, best);
}

uint32_t
elements_rarest_shared(const element_table *table, uint32_t a, uint32_t b)
{
    uint64_t i = table->starts[a], end_i = table->starts[a + 1];
    uint64_t j = table->starts[b], end_j = table->starts[b + 1];
    uint32_t rarest = next_common(table, &i, end_i, &j, end_j), shared;

    while ((shared = next_common(table, &i, end_i, &j, end_j)) != 0)
        if (table->weights[shared] > table->weights[rarest] ||
            (table->weights[shared] == table->weights[rarest] &&
             text_view_compare(table->values.texts[shared], table->values.texts[rarest]) < 0))
            rarest = shared;
    return rarest;
}

int32_t
elements_shared_weight(const element_table *table, uint32_t a, uint32_t b)
{
    uint32_t rarest = elements_rarest_shared(table, a, b);

    return rarest == 0 ? 0 : table->weights[rarest];
}
