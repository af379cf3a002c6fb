/*
 * utf8.c: see utf8.h.
 */
#include "kernel/utf8.h"

#include "kernel/byte_parts.h"

uint32_t
utf8_next(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    uint32_t c = *p;

    if (c < 0x80) {
        *at = p + 1;
        return c;
    }
    if (c >= UTF8_FIRST && c < UTF8_THREE && end - p >= 2) {
        *at = p + 2;
        return (c & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (c >= UTF8_THREE && c < UTF8_FOUR && end - p >= 3) {
        *at = p + 3;
        return (c & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    if (c >= UTF8_FOUR && end - p >= 4) {
        *at = p + 4;
        return (c & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 |
               (p[3] & 0x3F);
    }
    *at = p + 1;
    return c;
}

size_t
utf8_code_points_single(const void *text, size_t size, uint32_t *to, uint32_t *bits)
{
    const uint8_t *at = text, *end = at + size;
    size_t count = 0;

    *bits = 0;
    while (at < end) {
        to[count] = utf8_next(&at, end);
        *bits |= to[count++];
    }
    return count;
}

#ifdef KERNEL_BYTE_PARTS

/* What sixteen bytes say, of code points below 2^16. */
typedef struct utf8_part {
    __m128i low, high; /* of the code point that ends with a byte */
    __m128i wrong;     /* bytes that are no UTF-8, or of a character of four bytes */
    uint32_t ends;     /* a bit for each byte that a code point ends with */
} utf8_part;

SSSE3 static inline utf8_part
read_part(__m128i before, __m128i bytes)
{
    const __m128i first_byte = _mm_set1_epi8((char)UTF8_FIRST);
    __m128i one_back = _mm_alignr_epi8(bytes, before, 15), two_back = _mm_alignr_epi8(bytes, before, 14);
    __m128i wide = _mm_cmplt_epi8(bytes, _mm_setzero_si128());
    __m128i within = _mm_cmplt_epi8(bytes, first_byte); /* as signed numbers: 0x80 to 0xBF */
    __m128i second = _mm_cmpeq_epi8(_mm_max_epu8(one_back, first_byte), one_back);
    __m128i of_three = _mm_set1_epi8((char)UTF8_THREE), of_four = _mm_set1_epi8((char)UTF8_FOUR);
    __m128i more = _mm_cmpeq_epi8(_mm_max_epu8(one_back, of_three), one_back);
    __m128i third = _mm_cmpeq_epi8(_mm_max_epu8(two_back, of_three), two_back);
    __m128i four = _mm_cmpeq_epi8(_mm_max_epu8(bytes, of_four), bytes);
    utf8_part part;

    part.wrong = _mm_or_si128(four, _mm_xor_si128(within, _mm_or_si128(second, third)));
    part.ends = (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(more, second), third)) |
                ((uint32_t)_mm_movemask_epi8(wide) ^ 0xffff);
    part.low = _mm_or_si128(
        _mm_and_si128(bytes, _mm_or_si128(_mm_andnot_si128(wide, _mm_set1_epi8(0x7F)), _mm_set1_epi8(0x3F))),
        _mm_and_si128(_mm_and_si128(wide, _mm_slli_epi16(one_back, 6)), first_byte));
    part.high =
        _mm_or_si128(_mm_and_si128(_mm_and_si128(wide, _mm_srli_epi16(one_back, 2)), _mm_set1_epi8(0x0F)),
                     _mm_and_si128(_mm_and_si128(third, _mm_slli_epi16(two_back, 4)), of_four));
    return part;
}

/* Those of eight bytes of which the bits say that they end a code point. */
SSSE3 static inline __m128i
write_eight(__m128i low, __m128i high, uint32_t ends, uint32_t *to)
{
    __m128i points = _mm_unpacklo_epi8(keep_of_eight(low, ends), keep_of_eight(high, ends));

    _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi16(points, _mm_setzero_si128()));
    _mm_storeu_si128((__m128i *)(void *)(to + 4), _mm_unpackhi_epi16(points, _mm_setzero_si128()));
    return points;
}

/* What is no UTF-8, or has a character of four bytes, is left to single bytes as a whole. */
SSSE3 static size_t
code_points_of_parts(const uint8_t *text, size_t size, uint32_t *to, uint32_t *bits)
{
    __m128i before = _mm_setzero_si128(), wrong = before, all = before;
    size_t count = 0, i = 0;

    for (; i < size; i += 16) {
        __m128i bytes = load_part(text, size, i);
        utf8_part part = read_part(before, bytes);

        before = bytes;
        wrong = _mm_or_si128(wrong, part.wrong);
        all = _mm_or_si128(all, write_eight(part.low, part.high, part.ends & 255, to + count));
        count += (size_t)__builtin_popcount(part.ends & 255);
        all = _mm_or_si128(all, write_eight(_mm_srli_si128(part.low, 8), _mm_srli_si128(part.high, 8),
                                            part.ends >> 8, to + count));
        count += (size_t)__builtin_popcount(part.ends >> 8);
    }
    /* A character that the text ends within. */
    wrong = _mm_or_si128(wrong, read_part(before, _mm_setzero_si128()).wrong);
    if (_mm_movemask_epi8(wrong) != 0)
        return utf8_code_points_single(text, size, to, bits);
    all = _mm_or_si128(all, _mm_srli_si128(all, 8));
    all = _mm_or_si128(all, _mm_srli_si128(all, 4));
    all = _mm_or_si128(all, _mm_srli_si128(all, 2));
    *bits = (uint32_t)_mm_cvtsi128_si32(all) & 0xffff;
    /* The zeros behind the text were counted, too. */
    return count - (i - size);
}

size_t
utf8_code_points(const void *text, size_t size, uint32_t *to, uint32_t *bits)
{
    return byte_parts_supported() ? code_points_of_parts(text, size, to, bits)
                                  : utf8_code_points_single(text, size, to, bits);
}

#else

size_t
utf8_code_points(const void *text, size_t size, uint32_t *to, uint32_t *bits)
{
    return utf8_code_points_single(text, size, to, bits);
}

#endif
