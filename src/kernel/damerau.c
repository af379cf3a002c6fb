/*
 * damerau.c: optimal string alignment, which is edit distance with swaps of neighbouring characters, no
 * character being edited twice. "ca" and "abc" are therefore 3 apart, not 2.
 *
 * Hyyro, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances" (Nordic J.
 * Computing 10, 2003). Beside the two bits of levenshtein.c, a third passes from strip to strip: whether
 * a swap may begin at the strip's last row and end at the first of the next.
 */
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

#define CARRY_PLUS 1
#define CARRY_MINUS 2
#define CARRY_SWAP 4
#define STACK_COLUMNS 1024

/* A pattern of one strip. */
KERNEL_INLINE kernel_status
distance_one_strip(text_view pattern, text_view columns, mask_kind kind, const volatile sig_atomic_t *stop,
                   uint32_t *result)
{
    pattern_masks masks;
    uint64_t plus = ~UINT64_C(0), minus = 0, diagonal = 0, equal_before = 0;
    uint32_t last = pattern.length - 1;
    uint32_t distance = pattern.length;

    pattern_masks_clear_for(&masks, kind, columns);
    pattern_masks_set(&masks, kind, pattern, 0, pattern.length);
    for (uint32_t from = 0, to; from < columns.length; from = to) {
        to = columns.length - from > STOP_COLUMNS ? from + STOP_COLUMNS : columns.length;
        for (uint32_t j = from; j < to; j++) {
            uint64_t equal = pattern_masks_get(&masks, kind, columns.chars, j);
            uint64_t swap = ((~diagonal & equal) << 1) & equal_before;
            uint64_t right_plus, right_minus;

            diagonal = (((equal & plus) + plus) ^ plus) | equal | minus | swap;
            right_plus = minus | ~(diagonal | plus);
            right_minus = diagonal & plus;
            distance += (uint32_t)(right_plus >> last) & 1;
            distance -= (uint32_t)(right_minus >> last) & 1;
            right_plus = (right_plus << 1) | 1;
            plus = (right_minus << 1) | ~(diagonal | right_plus);
            minus = right_plus & diagonal;
            equal_before = equal;
        }
        if (to < columns.length && stop != NULL && *stop)
            return KERNEL_STOPPED;
    }
    *result = distance;
    return KERNEL_OK;
}

/* A pattern of any length; carry holds a byte a column. */
KERNEL_INLINE kernel_status
distance_strips(text_view pattern, text_view columns, mask_kind kind, uint8_t *carry,
                const volatile sig_atomic_t *stop, uint32_t *result)
{
    pattern_masks masks;
    uint32_t distance = pattern.length;

    pattern_masks_clear_all(&masks, kind);
    memset(carry, CARRY_PLUS, columns.length);
    for (uint32_t start = 0, count; start < pattern.length; start += count) {
        uint64_t plus = ~UINT64_C(0), minus = 0, diagonal = 0, equal_before = 0;
        uint32_t last;
        bool final;

        count = pattern.length - start > STRIP_LENGTH ? STRIP_LENGTH : pattern.length - start;
        last = count - 1;
        final = start + count == pattern.length;
        pattern_masks_set(&masks, kind, pattern, start, count);
        for (uint32_t from = 0, to; from < columns.length; from = to) {
            to = columns.length - from > STOP_COLUMNS ? from + STOP_COLUMNS : columns.length;
            for (uint32_t j = from; j < to; j++) {
                uint64_t in_plus = carry[j] & CARRY_PLUS, in_minus = (carry[j] >> 1) & 1;
                uint64_t equal = pattern_masks_get(&masks, kind, columns.chars, j);
                uint64_t begun = ~diagonal & equal;
                uint64_t swap = ((begun << 1) | (carry[j] >> 2)) & equal_before;
                uint64_t reached = equal | in_minus;
                uint64_t right_plus, right_minus;

                diagonal = (((reached & plus) + plus) ^ plus) | reached | minus | swap;
                right_plus = minus | ~(diagonal | plus);
                right_minus = diagonal & plus;
                carry[j] = (uint8_t)(((right_plus >> last) & 1) | (((right_minus >> last) & 1) << 1) |
                                     (((begun >> last) & 1) << 2));
                right_plus = (right_plus << 1) | in_plus;
                right_minus = (right_minus << 1) | in_minus;
                plus = right_minus | ~(diagonal | right_plus);
                minus = right_plus & diagonal;
                equal_before = equal;
            }
            if (stop != NULL && *stop)
                return KERNEL_STOPPED;
        }
        pattern_masks_unset(&masks, kind, pattern, start, count);
        if (final)
            for (uint32_t j = 0; j < columns.length; j++)
                distance += (carry[j] & CARRY_PLUS) - ((carry[j] >> 1) & 1);
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
    switch (pattern_masks_kind(pattern, columns)) {
    case MASKS_BYTE_COLUMNS:
        return distance_strips(pattern, columns, MASKS_BYTE_COLUMNS, carry, workspace->stop, result);
    case MASKS_BYTE_PATTERN:
        return distance_strips(pattern, columns, MASKS_BYTE_PATTERN, carry, workspace->stop, result);
    default:
        return distance_strips(pattern, columns, MASKS_WIDE, carry, workspace->stop, result);
    }
}

kernel_status
damerau_distance(text_view a, text_view b, kernel_workspace *workspace, uint32_t *result)
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
    switch (pattern_masks_kind(pattern, columns)) {
    case MASKS_BYTE_COLUMNS:
        return distance_one_strip(pattern, columns, MASKS_BYTE_COLUMNS, workspace->stop, result);
    case MASKS_BYTE_PATTERN:
        return distance_one_strip(pattern, columns, MASKS_BYTE_PATTERN, workspace->stop, result);
    default:
        return distance_one_strip(pattern, columns, MASKS_WIDE, workspace->stop, result);
    }
}

kernel_status
damerau_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint32_t longest = a.length > b.length ? a.length : b.length;
    uint32_t distance;
    kernel_status status;

    if (longest == 0) {
        *result = 1.0;
        return KERNEL_OK;
    }
    status = damerau_distance(a, b, workspace, &distance);
    if (status == KERNEL_OK)
        *result = 1.0 - (double)distance / (double)longest;
    return status;
}
