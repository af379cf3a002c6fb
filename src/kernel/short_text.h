/*
 * short_text.h: the normal form of a short text of ASCII, for which most texts only change their case:
 * letters in lower case, each other character between letters or digits a space. What needs more than that
 * (runs of such characters, those at an end, apostrophes, any other script) is left to normalisation proper.
 */
#ifndef MASTERING_KERNEL_SHORT_TEXT_H
#define MASTERING_KERNEL_SHORT_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SHORT_TEXT 31      /* bytes */
#define SHORT_TEXT_ROOM 32 /* that may be read, and written as they were, wherever it ends */

typedef enum short_text_kind {
    SHORT_TEXT_FOLDED, /* in place, of the same length */
    SHORT_TEXT_ASCII,  /* and nothing was done */
    SHORT_TEXT_OTHER,  /* it has characters that are not ASCII */
} short_text_kind;

#ifdef __SSE2__

/* Bytes from low to high, as characters of ASCII are compared. */
static inline __m128i
short_text_within(__m128i bytes, char low, char high)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(low - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(high + 1))));
}

/* 16 bytes; word, apostrophe: a bit for each that is a letter or digit, or an apostrophe. */
static inline __m128i
short_text_fold_half(__m128i bytes, uint32_t *word, uint32_t *apostrophe)
{
    __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(32)); /* digits have that bit */
    __m128i is_word = _mm_or_si128(short_text_within(lower, 'a', 'z'), short_text_within(bytes, '0', '9'));

    *word = (uint32_t)_mm_movemask_epi8(is_word);
    *apostrophe = (uint32_t)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\'')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('`'))));
    return _mm_or_si128(_mm_and_si128(is_word, lower), _mm_andnot_si128(is_word, _mm_set1_epi8(' ')));
}

/* What a text of that length is by what its characters are, a bit each. */
static inline short_text_kind
short_text_kind_of(uint32_t length, uint32_t word, uint32_t apostrophe, bool spaces)
{
    uint32_t all = (UINT32_C(1) << length) - 1, others = ~word & all;

    return (apostrophe & all) != 0 || (others & (others << 1)) != 0 || (others & (1 | (all + 1) >> 1)) != 0 ||
                   (others != 0 && !spaces)
               ? SHORT_TEXT_ASCII
               : SHORT_TEXT_FOLDED;
}

/* The folded bytes in place of those, as far as the text goes. */
static inline __m128i
short_text_replace(__m128i bytes, __m128i folded, const __m128i *mask)
{
    return _mm_xor_si128(bytes, _mm_and_si128(_mm_xor_si128(bytes, folded), _mm_loadu_si128(mask)));
}

/*
 * spaces: they are kept. Nothing depends on the length by a branch, for that cannot be predicted, but whether
 * there is a second half, which is much the same in a column.
 */
static inline short_text_kind
short_text_fold(char *text, uint32_t length, bool spaces)
{
    static const uint8_t inside[64] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                       255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                       255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    __m128i *halves = (__m128i *)(void *)text;
    const __m128i *mask = (const __m128i *)(const void *)(inside + 32 - length);
    __m128i low = _mm_loadu_si128(halves), high, folded_low, folded_high;
    uint32_t all = (UINT32_C(1) << length) - 1, beyond = (uint32_t)_mm_movemask_epi8(low);
    uint32_t word, word_high, apostrophe, apostrophe_high;
    short_text_kind kind;

    if (length <= 16) {
        if ((beyond & all) != 0)
            return SHORT_TEXT_OTHER;
        folded_low = short_text_fold_half(low, &word, &apostrophe);
        kind = short_text_kind_of(length, word, apostrophe, spaces);
        if (kind == SHORT_TEXT_FOLDED)
            _mm_storeu_si128(halves, short_text_replace(low, folded_low, mask));
        return kind;
    }
    high = _mm_loadu_si128(halves + 1);
    if (((beyond | (uint32_t)_mm_movemask_epi8(high) << 16) & all) != 0)
        return SHORT_TEXT_OTHER;
    folded_low = short_text_fold_half(low, &word, &apostrophe);
    folded_high = short_text_fold_half(high, &word_high, &apostrophe_high);
    kind = short_text_kind_of(length, word | word_high << 16, apostrophe | apostrophe_high << 16, spaces);
    if (kind == SHORT_TEXT_FOLDED) {
        _mm_storeu_si128(halves, short_text_replace(low, folded_low, mask));
        _mm_storeu_si128(halves + 1, short_text_replace(high, folded_high, mask + 1));
    }
    return kind;
}

#else

static inline short_text_kind
short_text_fold(char *text, uint32_t length, bool spaces)
{
    unsigned char high = 0;

    for (uint32_t i = 0; i < length; i++)
        high |= (unsigned char)text[i];
    (void)spaces;
    return high < 128 ? SHORT_TEXT_ASCII : SHORT_TEXT_OTHER;
}

#endif

#endif
