/*
 * byte_parts.h: sixteen bytes of a text in UTF-8 at once, on processors that can choose bytes of a register
 * by a table. Where KERNEL_BYTE_PARTS is not defined, nothing is compiled for such ones.
 */
#ifndef MASTERING_KERNEL_BYTE_PARTS_H
#define MASTERING_KERNEL_BYTE_PARTS_H

#include "kernel/pattern_masks.h"

#define UTF8_FIRST 0xC0 /* least first byte of a character of several */
#define UTF8_THREE 0xE0 /* of three and of four */
#define UTF8_FOUR 0xF0

#if defined(__x86_64__) && defined(__GNUC__)
#define KERNEL_BYTE_PARTS
#include <tmmintrin.h>

#define SSSE3 __attribute__((target("ssse3,popcnt")))

/* By the bits of eight bytes: which of them to take, so that those whose bits are set come first, then zeros.
 */
extern const uint64_t byte_parts_kept[256];

/* From place 16 on the bytes as they are; from an earlier one they move up, from a later one down. */
extern const uint8_t byte_parts_moved[48];

static inline bool
byte_parts_supported(void)
{
    return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
}

/* Places from 0 to 16; zeros where nothing comes from. */
SSSE3 static inline __m128i
move_up(__m128i bytes, uint32_t places)
{
    return _mm_shuffle_epi8(bytes,
                            _mm_loadu_si128((const __m128i *)(const void *)(byte_parts_moved + 16 - places)));
}

SSSE3 static inline __m128i
move_down(__m128i bytes, uint32_t places)
{
    return _mm_shuffle_epi8(bytes,
                            _mm_loadu_si128((const __m128i *)(const void *)(byte_parts_moved + 16 + places)));
}

/* The bytes from UTF8_FIRST on. */
static inline __m128i
first_bytes(__m128i bytes)
{
    return _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8((char)UTF8_FIRST)), bytes);
}

/* The bytes of a text from place i on, at most 16, zeros behind them. */
SSSE3 static inline __m128i
load_part(const uint8_t *text, size_t size, size_t i)
{
    if (i + 16 <= size)
        return _mm_loadu_si128((const __m128i *)(const void *)(text + i));
    if (size < 16)
        return load_bytes(text + i, (uint32_t)(size - i));
    /* The last bytes are read again with some before them. */
    return move_down(_mm_loadu_si128((const __m128i *)(const void *)(text + size - 16)),
                     (uint32_t)(i + 16 - size));
}

/* Those of eight bytes whose bits are set, then zeros. */
SSSE3 static inline __m128i
keep_of_eight(__m128i bytes, uint32_t bits)
{
    return _mm_shuffle_epi8(bytes, _mm_loadl_epi64((const __m128i *)(const void *)&byte_parts_kept[bits]));
}

#endif
#endif
