/*
 * pattern_masks.c: what the comparators do before the loop: shared ends dropped, pattern and columns chosen.
 */
#include "kernel/pattern_masks.h"

/* Of two words as loaded from memory, given what differs: how many of their first bytes are equal. */
static inline uint32_t
equal_low_bytes(uint64_t difference)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return lowest_bit(difference) / 8;
#else
    uint32_t count = 0;
    uint8_t bytes[8];

    memcpy(bytes, &difference, 8);
    while (bytes[count] == 0)
        count++;
    return count;
#endif
}

/* The same of their last bytes. */
static inline uint32_t
equal_high_bytes(uint64_t difference)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && defined(__GNUC__)
    return (uint32_t)__builtin_clzll(difference) / 8;
#else
    uint32_t count = 0;
    uint8_t bytes[8];

    memcpy(bytes, &difference, 8);
    while (bytes[7 - count] == 0)
        count++;
    return count;
#endif
}

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
            return i + equal_low_bytes(word_a ^ word_b);
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
            return i + equal_high_bytes(word_a ^ word_b);
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
