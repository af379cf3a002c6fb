/*
 * levenshtein.c: edit distance, 64 cells of the dynamic-programming matrix a step.
 *
 * Myers, "A fast bit-vector algorithm for approximate string matching based on dynamic programming"
 * (J. ACM 46, 1999), in the form of Hyyro, "A bit-vector algorithm for computing Levenshtein and Damerau
 * edit distances" (Nordic J. Computing 10, 2003). A strip keeps the differences between neighbouring rows
 * of one column as two masks (+1 and -1); what passes from a strip to the next is the difference between
 * neighbouring columns in its last row, two bits a column.
 */
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

/* Bit 0 of a column's carry: the difference between columns is not +1; bit 1: it is -1. */
#define CARRY_NO_PLUS 1
#define STACK_COLUMNS 1024

/*
 * A pattern of one strip. The recurrence is written so that the longest chain of operations from a column
 * to the next is short: where the published form takes the +1 differences between columns, this takes
 * their complement. Down the last column the differences add up to the distance.
 */
KERNEL_INLINE kernel_status
distance_one_strip(mask_kind kind, text_view pattern, text_view columns, const volatile sig_atomic_t *stop,
                   uint32_t *result)
{
    pattern_masks masks;
    uint64_t plus = ~UINT64_C(0), minus = 0;
    uint64_t rows = ~UINT64_C(0) >> (STRIP_LENGTH - pattern.length);

    pattern_masks_open(&masks, kind, pattern, columns);
    for (uint32_t from = 0, to; from < columns.length; from = to) {
        to = columns.length - from > STOP_COLUMNS ? from + STOP_COLUMNS : columns.length;
        for (uint32_t j = from; j < to; j++) {
            uint64_t equal = pattern_masks_get(&masks, kind, columns.chars, j);
            uint64_t reached = equal | minus;
            uint64_t sum = (equal & plus) + plus;
            uint64_t diagonal = (sum ^ plus) | reached;
            uint64_t no_plus = ((sum | plus | reached) & ~minus) << 1;

            plus = ((diagonal & plus) << 1) | (~diagonal & no_plus);
            minus = diagonal & ~no_plus;
        }
        if (to < columns.length && stop != NULL && *stop)
            return KERNEL_STOPPED;
    }
    *result = columns.length + count_bits(plus & rows) - count_bits(minus & rows);
    return KERNEL_OK;
}

/* A pattern of any length; carry holds a byte a column. */
KERNEL_INLINE kernel_status
distance_strips(mask_kind kind, text_view pattern, text_view columns, uint8_t *carry,
                const volatile sig_atomic_t *stop, uint32_t *result)
{
    pattern_masks masks;
    uint32_t distance = columns.length;

    /* Above the first row every difference between columns is +1. */
    pattern_masks_clear_all(&masks, kind);
    memset(carry, 0, columns.length);
    for (uint32_t start = 0, count; start < pattern.length; start += count) {
        uint64_t plus = ~UINT64_C(0), minus = 0, diagonal;
        uint64_t rows;
        uint32_t last;

        count = pattern.length - start > STRIP_LENGTH ? STRIP_LENGTH : pattern.length - start;
        last = count - 1;
        rows = ~UINT64_C(0) >> (STRIP_LENGTH - count);
        pattern_masks_set(&masks, kind, pattern, start, count);
        for (uint32_t from = 0, to; from < columns.length; from = to) {
            to = columns.length - from > STOP_COLUMNS ? from + STOP_COLUMNS : columns.length;
            for (uint32_t j = from; j < to; j++) {
                uint64_t in = carry[j], in_minus = in >> 1;
                uint64_t equal = pattern_masks_get(&masks, kind, columns.chars, j) | in_minus;
                uint64_t reached = equal | minus;
                uint64_t sum = (equal & plus) + plus;
                uint64_t no_plus = (sum | plus | reached) & ~minus;
                uint64_t right_minus;

                diagonal = (sum ^ plus) | reached;
                right_minus = diagonal & plus;
                carry[j] =
                    (uint8_t)(((no_plus >> last) & CARRY_NO_PLUS) | (((right_minus >> last) & 1) << 1));
                no_plus = (no_plus << 1) | (in & CARRY_NO_PLUS);
                plus = (right_minus << 1) | in_minus | (~diagonal & no_plus);
                minus = diagonal & ~no_plus;
            }
            if (stop != NULL && *stop)
                return KERNEL_STOPPED;
        }
        pattern_masks_unset(&masks, kind, pattern, start, count);
        distance += count_bits(plus & rows) - count_bits(minus & rows);
    }
    *result = distance;
    return KERNEL_OK;
}

static kernel_status
distance_long(text_view pattern, text_view columns, kernel_workspace *workspace, uint32_t *result)
{
    uint8_t on_stack[STACK_COLUMNS];
    uint8_t *carry = on_stack;

    if (columns.length > STACK_COLUMNS) {
        carry = kernel_workspace_reserve(workspace, columns.length);
        if (carry == NULL)
            return KERNEL_NO_MEMORY;
    }
    RETURN_FOR_KIND(pattern_masks_kind(pattern, columns), distance_strips, pattern, columns, carry,
                    workspace->stop, result)
}

kernel_status
levenshtein_distance(text_view a, text_view b, kernel_workspace *workspace, uint32_t *result)
{
    text_view pattern, columns;

    if (a.length > 0 && b.length > 0)
        strip_common_affixes(&a, &b);
    if (a.length == 0 || b.length == 0) {
        *result = a.length + b.length;
        return KERNEL_OK;
    }
    choose_pattern(a, b, &pattern, &columns);
    if (pattern.length > STRIP_LENGTH)
        return distance_long(pattern, columns, workspace, result);
    RETURN_FOR_SHORT_KIND(pattern_masks_kind_short(pattern, columns), distance_one_strip, pattern, columns,
                          workspace->stop, result)
}

kernel_status
levenshtein_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint32_t longest = a.length > b.length ? a.length : b.length;
    uint32_t distance;
    kernel_status status;

    if (longest == 0) {
        *result = 1.0;
        return KERNEL_OK;
    }
    status = levenshtein_distance(a, b, workspace, &distance);
    if (status == KERNEL_OK)
        *result = 1.0 - (double)distance / (double)longest;
    return status;
}
