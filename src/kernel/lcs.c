/*
 * lcs.c: longest common subsequence, 64 rows a step.
 *
 * Hyyro, "Bit-parallel LCS-length computation revisited" (AWOCA 2004), after Allison and Dix (1986): in
 * the mask of a column a zero stands at each row where the length grows, so the zeros at the end count
 * it. The carry of the strip's addition is what passes to the next strip.
 */
#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

#define STACK_COLUMNS 1024

/* A pattern of one strip. */
KERNEL_INLINE kernel_status
length_one_strip(mask_kind kind, text_view pattern, text_view columns, const volatile sig_atomic_t *stop,
                 uint32_t shared, uint32_t *result)
{
    pattern_masks masks;
    uint64_t flat = ~UINT64_C(0);

    pattern_masks_open(&masks, kind, pattern, columns);
    for (uint32_t from = 0, to; from < columns.length; from = to) {
        to = columns.length - from > STOP_COLUMNS ? from + STOP_COLUMNS : columns.length;
        for (uint32_t j = from; j < to; j++) {
            uint64_t equal = flat & pattern_masks_get(&masks, kind, columns.chars, j);

            flat = (flat + equal) | (flat - equal);
        }
        if (to < columns.length && stop != NULL && *stop)
            return KERNEL_STOPPED;
    }
    *result = shared + count_bits(~flat & (~UINT64_C(0) >> (STRIP_LENGTH - pattern.length)));
    return KERNEL_OK;
}

/* A pattern of any length; carry holds a byte a column. */
KERNEL_INLINE kernel_status
length_strips(mask_kind kind, text_view pattern, text_view columns, uint8_t *carry,
              const volatile sig_atomic_t *stop, uint32_t shared, uint32_t *result)
{
    pattern_masks masks;
    uint32_t length = shared;

    pattern_masks_clear_all(&masks, kind);
    memset(carry, 0, columns.length);
    for (uint32_t start = 0, count; start < pattern.length; start += count) {
        uint64_t flat = ~UINT64_C(0);

        count = pattern.length - start > STRIP_LENGTH ? STRIP_LENGTH : pattern.length - start;
        pattern_masks_set(&masks, kind, pattern, start, count);
        for (uint32_t from = 0, to; from < columns.length; from = to) {
            to = columns.length - from > STOP_COLUMNS ? from + STOP_COLUMNS : columns.length;
            for (uint32_t j = from; j < to; j++) {
                uint64_t equal = flat & pattern_masks_get(&masks, kind, columns.chars, j);
                uint64_t sum = flat + equal;
                uint64_t carried = sum + carry[j];

                carry[j] = (uint8_t)((sum < flat) | (carried < sum));
                flat = carried | (flat - equal);
            }
            if (stop != NULL && *stop)
                return KERNEL_STOPPED;
        }
        pattern_masks_unset(&masks, kind, pattern, start, count);
        length += count_bits(~flat & (~UINT64_C(0) >> (STRIP_LENGTH - count)));
    }
    *result = length;
    return KERNEL_OK;
}

kernel_status
lcs_length(text_view a, text_view b, uint8_t *carry, const volatile sig_atomic_t *stop, uint32_t *result)
{
    uint32_t shared = a.length > 0 && b.length > 0 ? strip_common_affixes(&a, &b) : 0;
    text_view pattern, columns;

    if (a.length == 0 || b.length == 0) {
        *result = shared;
        return KERNEL_OK;
    }
    choose_pattern(a, b, &pattern, &columns);
    if (pattern.length > STRIP_LENGTH)
        RETURN_FOR_KIND(pattern_masks_kind(pattern, columns), length_strips, pattern, columns, carry, stop,
                        shared, result)
    RETURN_FOR_SHORT_KIND(pattern_masks_kind_short(pattern, columns), length_one_strip, pattern, columns,
                          stop, shared, result)
}

kernel_status
lcs_similarity(text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint32_t longest = a.length > b.length ? a.length : b.length;
    uint32_t shortest = a.length < b.length ? a.length : b.length;
    uint8_t on_stack[STACK_COLUMNS];
    uint8_t *carry = on_stack;
    uint32_t length;
    kernel_status status;

    if (shortest == 0) {
        *result = longest == 0 ? 1.0 : 0.0;
        return KERNEL_OK;
    }
    if (longest > STACK_COLUMNS && shortest > STRIP_LENGTH) {
        carry = kernel_workspace_reserve(workspace, longest);
        if (carry == NULL)
            return KERNEL_NO_MEMORY;
    }
    status = lcs_length(a, b, carry, workspace->stop, &length);
    if (status == KERNEL_OK)
        *result = 2.0 * (double)length / ((double)a.length + (double)b.length);
    return status;
}
