/*
 * pattern_masks.c: what the comparators do before the loop: shared ends dropped, pattern and columns chosen.
 */
#include "kernel/pattern_masks.h"

/* Bytes that two byte strings share at their start. */
static uint32_t
common_prefix_bytes(const uint8_t *a, const uint8_t *b, uint32_t length)
{
    uint32_t i = 0;

    for (; i + 8 <= length; i += 8) {
        uint64_t word_a, word_b;

        memcpy(&word_a, a + i, 8);
        memcpy(&word_b, b + i, 8);
        if (word_a != word_b)
            break;
    }
    while (i < length && a[i] == b[i])
        i++;
    return i;
}

/* Bytes that two byte strings share at their end; a and b point behind the last. */
static uint32_t
common_suffix_bytes(const uint8_t *a, const uint8_t *b, uint32_t length)
{
    uint32_t i = 0;

    for (; i + 8 <= length; i += 8) {
        uint64_t word_a, word_b;

        memcpy(&word_a, a - i - 8, 8);
        memcpy(&word_b, b - i - 8, 8);
        if (word_a != word_b)
            break;
    }
    while (i < length && a[-1 - (ptrdiff_t)i] == b[-1 - (ptrdiff_t)i])
        i++;
    return i;
}

uint32_t
common_prefix(text_view a, text_view b)
{
    uint32_t length = a.length < b.length ? a.length : b.length;
    uint32_t i = 0;

    if (a.width == 1 && b.width == 1)
        return common_prefix_bytes(a.chars, b.chars, length);
    while (i < length && text_view_at(a, i) == text_view_at(b, i))
        i++;
    return i;
}

uint32_t
strip_common_affixes(text_view *a, text_view *b)
{
    uint32_t prefix = common_prefix(*a, *b);
    uint32_t suffix = 0;
    uint32_t length;

    *a = text_view_slice(*a, prefix, a->length - prefix);
    *b = text_view_slice(*b, prefix, b->length - prefix);
    length = a->length < b->length ? a->length : b->length;
    if (a->width == 1 && b->width == 1)
        suffix = common_suffix_bytes((const uint8_t *)a->chars + a->length,
                                     (const uint8_t *)b->chars + b->length, length);
    else
        while (suffix < length &&
               text_view_at(*a, a->length - 1 - suffix) == text_view_at(*b, b->length - 1 - suffix))
            suffix++;
    a->length -= suffix;
    b->length -= suffix;
    return prefix + suffix;
}

void
choose_pattern(text_view a, text_view b, text_view *pattern, text_view *columns)
{
    uint64_t work_a = ((uint64_t)a.length + STRIP_LENGTH - 1) / STRIP_LENGTH * b.length;
    uint64_t work_b = ((uint64_t)b.length + STRIP_LENGTH - 1) / STRIP_LENGTH * a.length;
    bool a_is_pattern = work_a <= work_b;

    *pattern = a_is_pattern ? a : b;
    *columns = a_is_pattern ? b : a;
}
