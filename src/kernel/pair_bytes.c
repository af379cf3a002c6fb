/*
 * pair_bytes.c: see pair_bytes.h.
 *
 * A byte of ASCII is the character; of a character of two bytes it is the second one, 0x80 to 0xBF, and 0x40
 * more where the first is not the first first byte that was met. Which bytes are left out, the first ones, is
 * known from themselves.
 */
#include "kernel/pair_bytes.h"

#include <string.h>

#include "kernel/pattern_masks.h"

#define FIRST_BYTE 0xC0 /* least first byte of a character of several */
#define THREE_BYTES 0xE0
#define OTHER_FIRST 0x40

/* ---- byte by byte ---- */

/* Takes note of the first bytes of a text; false: there are too many. */
static bool
note_first_bytes(const uint8_t *text, size_t size, uint8_t firsts[2], int *count)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < FIRST_BYTE || (*count > 0 && text[i] == firsts[0]) ||
            (*count > 1 && text[i] == firsts[1]))
            continue;
        if (text[i] >= THREE_BYTES || *count == 2)
            return false;
        firsts[(*count)++] = text[i];
    }
    return true;
}

static uint32_t
make_bytes(const uint8_t *text, size_t size, uint8_t first, uint8_t *to)
{
    uint32_t count = 0;
    uint8_t before = 0;

    for (size_t i = 0; i < size; i++) {
        to[count] = (uint8_t)(text[i] | (before >= FIRST_BYTE && before != first ? OTHER_FIRST : 0));
        count += text[i] < FIRST_BYTE;
        before = text[i];
    }
    return count;
}

bool
pair_bytes_of_single(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to)
{
    uint8_t firsts[2] = {0, 0};
    int count = 0;

    if (size_a > PAIR_BYTES_LONGEST || size_b > PAIR_BYTES_LONGEST ||
        !note_first_bytes(a, size_a, firsts, &count) || !note_first_bytes(b, size_b, firsts, &count))
        return false;
    to->lengths[0] = make_bytes(a, size_a, firsts[0], to->bytes[0]);
    to->lengths[1] = make_bytes(b, size_b, firsts[0], to->bytes[1]);
    return true;
}

/* ---- sixteen at once ---- */

#if defined(__x86_64__) && defined(__GNUC__)
#include <tmmintrin.h>

#define SSSE3 __attribute__((target("ssse3")))
#define MOST_PARTS (PAIR_BYTES_LONGEST / 16)

/* A text in registers, zeros behind it. */
typedef struct text_parts {
    __m128i parts[MOST_PARTS];
    int count;
} text_parts;

/* How many bits a number below 16 has, four bits each. */
#define BITS_OF_FOUR UINT64_C(0x4332322132212110)
#define BITS(x) ((BITS_OF_FOUR >> 4 * ((x)&15) & 15) + (BITS_OF_FOUR >> 4 * ((x) >> 4) & 15))

/* Which bytes to take of eight, so that those whose bits are set come first. */
#define TAKEN(bits, i) (((bits) >> (i)&1) * (UINT64_C(i) << 8 * BITS((bits) & ((1 << (i)) - 1))))
#define KEPT(bits)                                                                                           \
    (TAKEN(bits, 1) | TAKEN(bits, 2) | TAKEN(bits, 3) | TAKEN(bits, 4) | TAKEN(bits, 5) | TAKEN(bits, 6) |   \
     TAKEN(bits, 7))
#define KEPT_4(bits) KEPT(bits), KEPT((bits) + 1), KEPT((bits) + 2), KEPT((bits) + 3)
#define KEPT_16(bits) KEPT_4(bits), KEPT_4((bits) + 4), KEPT_4((bits) + 8), KEPT_4((bits) + 12)
#define KEPT_64(bits) KEPT_16(bits), KEPT_16((bits) + 16), KEPT_16((bits) + 32), KEPT_16((bits) + 48)

static const uint64_t kept_of_eight[256] = {KEPT_64(0), KEPT_64(64), KEPT_64(128), KEPT_64(192)};

/* The bytes from FIRST_BYTE on: as signed numbers, those from -64 to -1. */
static inline __m128i
first_bytes(__m128i bytes)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(-65)),
                         _mm_cmplt_epi8(bytes, _mm_setzero_si128()));
}

static inline void
load_parts(const uint8_t *text, size_t size, text_parts *to)
{
    size_t i = 0;

    to->count = 0;
    for (; i + 16 <= size; i += 16)
        to->parts[to->count++] = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
    if (i < size)
        to->parts[to->count++] = load_bytes(text + i, (uint32_t)(size - i));
}

/* Takes note of the first bytes of a text; the bits of those that are neither of two. */
static inline uint32_t
note_parts(const text_parts *text, const uint8_t *at, __m128i firsts[2], int *count)
{
    uint32_t more = 0;

    for (int p = 0; p < text->count; p++) {
        __m128i bytes = text->parts[p];
        __m128i known = _mm_or_si128(_mm_cmpeq_epi8(bytes, firsts[0]), _mm_cmpeq_epi8(bytes, firsts[1]));
        uint32_t unknown = (uint32_t)_mm_movemask_epi8(_mm_andnot_si128(known, first_bytes(bytes)));

        for (; unknown != 0 && *count < 2; ++*count) {
            firsts[*count] = _mm_set1_epi8((char)at[p * 16 + (int)lowest_bit(unknown)]);
            unknown &= ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, firsts[*count]));
        }
        more |= unknown;
    }
    return more;
}

SSSE3 static inline uint32_t
make_bytes_of_parts(const text_parts *text, size_t size, __m128i first, uint8_t *to)
{
    __m128i before = _mm_setzero_si128();
    uint32_t count = 0;

    for (int p = 0; p < text->count; p++) {
        __m128i bytes = text->parts[p], left_out = first_bytes(bytes);
        __m128i other = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, first), left_out);
        uint32_t kept = (uint32_t)_mm_movemask_epi8(left_out) ^ 0xffff;
        __m128i made;

        if (size - (size_t)p * 16 < 16)
            kept &= (UINT32_C(1) << (size - (size_t)p * 16)) - 1;
        /* What was found of each byte says something of the next one. */
        made = _mm_or_si128(bytes,
                            _mm_and_si128(_mm_alignr_epi8(other, before, 15), _mm_set1_epi8(OTHER_FIRST)));
        before = other;
        for (int half = 0; half < 2; half++, kept >>= 8, made = _mm_srli_si128(made, 8)) {
            __m128i order = _mm_loadl_epi64((const __m128i *)(const void *)&kept_of_eight[kept & 255]);

            _mm_storel_epi64((__m128i *)(void *)(to + count), _mm_shuffle_epi8(made, order));
            count += (uint32_t)BITS(kept & 255);
        }
    }
    return count;
}

SSSE3 static bool
pair_bytes_of_parts(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to)
{
    text_parts parts[2];
    __m128i firsts[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
    int count = 0;

    load_parts(a, size_a, &parts[0]);
    load_parts(b, size_b, &parts[1]);
    if ((note_parts(&parts[0], a, firsts, &count) | note_parts(&parts[1], b, firsts, &count)) != 0)
        return false;
    for (int f = 0; f < count; f++)
        if ((uint8_t)_mm_cvtsi128_si32(firsts[f]) >= THREE_BYTES)
            return false;
    to->lengths[0] = make_bytes_of_parts(&parts[0], size_a, firsts[0], to->bytes[0]);
    to->lengths[1] = make_bytes_of_parts(&parts[1], size_b, firsts[0], to->bytes[1]);
    return true;
}

bool
pair_bytes_of(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to)
{
    if (!__builtin_cpu_supports("ssse3"))
        return pair_bytes_of_single(a, size_a, b, size_b, to);
    return size_a <= PAIR_BYTES_LONGEST && size_b <= PAIR_BYTES_LONGEST &&
           pair_bytes_of_parts(a, size_a, b, size_b, to);
}
#else
bool
pair_bytes_of(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to)
{
    return pair_bytes_of_single(a, size_a, b, size_b, to);
}
#endif
