/*
 * pair_bytes.c: see pair_bytes.h.
 *
 * A byte of ASCII is the character; of a character of two bytes it is the second one, 0x80 to 0xBF, and 0x40
 * more where the first is not the first first byte that was met. Which bytes are left out, the first ones, is
 * known from themselves.
 */
#include "kernel/pair_bytes.h"

#include <string.h>

#include "kernel/byte_parts.h"

#define OTHER_FIRST 0x40

/* ---- byte by byte ---- */

/* Takes note of the first bytes of a text; false: there are too many. */
static bool
note_first_bytes(const uint8_t *text, size_t size, uint8_t firsts[2], int *count)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < UTF8_FIRST || (*count > 0 && text[i] == firsts[0]) ||
            (*count > 1 && text[i] == firsts[1]))
            continue;
        if (text[i] >= UTF8_THREE || *count == 2)
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
        to[count] = (uint8_t)(text[i] | (before >= UTF8_FIRST && before != first ? OTHER_FIRST : 0));
        count += text[i] < UTF8_FIRST;
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

#ifdef KERNEL_BYTE_PARTS
/* The first bytes of two texts: greatest and least are in every byte, the same where there is but one. */
typedef struct first_range {
    __m128i greatest, least;
} first_range;

/* As long as parts are looked at, least is the complement, 0 for none. No byte of valid UTF-8 is greater than
 * a first one. */
SSSE3 static inline void
note_part(first_range *range, __m128i bytes)
{
    range->greatest = _mm_max_epu8(range->greatest, bytes);
    range->least = _mm_max_epu8(range->least, _mm_andnot_si128(bytes, first_bytes(bytes)));
}

SSSE3 static inline __m128i
greatest_everywhere(__m128i bytes)
{
    bytes = _mm_max_epu8(bytes, _mm_alignr_epi8(bytes, bytes, 8));
    bytes = _mm_max_epu8(bytes, _mm_alignr_epi8(bytes, bytes, 4));
    bytes = _mm_max_epu8(bytes, _mm_alignr_epi8(bytes, bytes, 2));
    return _mm_max_epu8(bytes, _mm_alignr_epi8(bytes, bytes, 1));
}

SSSE3 static inline void
finish_range(first_range *range)
{
    range->greatest = greatest_everywhere(range->greatest);
    range->least = _mm_xor_si128(greatest_everywhere(range->least), _mm_set1_epi8(-1));
}

/* The first bytes that are neither. */
SSSE3 static inline __m128i
beside_range(const first_range *range, __m128i bytes)
{
    __m128i known = _mm_or_si128(_mm_cmpeq_epi8(bytes, range->greatest), _mm_cmpeq_epi8(bytes, range->least));

    return _mm_andnot_si128(known, first_bytes(bytes));
}

SSSE3 static inline bool
within_range(const first_range *range, __m128i beside)
{
    return _mm_movemask_epi8(beside) == 0 && (uint8_t)_mm_cvtsi128_si32(range->greatest) < UTF8_THREE;
}

/*
 * Bytes are gathered in a register and stored sixteen at once, one store over another until they are full: a
 * load of some of them then never waits until several stores are in memory.
 */
typedef struct byte_maker {
    __m128i gathered, before; /* before: which bytes of the part before were the lesser first bytes */
    uint8_t *to;
    uint32_t count;
} byte_maker;

SSSE3 static inline void
make_part(byte_maker *maker, const first_range *range, __m128i bytes)
{
    __m128i left_out = first_bytes(bytes);
    __m128i other = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, range->greatest), left_out);
    uint32_t kept = (uint32_t)_mm_movemask_epi8(left_out) ^ 0xffff, inside = maker->count & 15;
    uint8_t *to = maker->to + (maker->count - inside);
    __m128i low, high, made;

    /* What was found of each byte says something of the next one. */
    made = _mm_or_si128(bytes,
                        _mm_and_si128(_mm_alignr_epi8(other, maker->before, 15), _mm_set1_epi8(OTHER_FIRST)));
    maker->before = other;
    low = _mm_move_epi64(keep_of_eight(made, kept & 255));
    high = _mm_move_epi64(keep_of_eight(_mm_srli_si128(made, 8), kept >> 8));
    made = _mm_or_si128(low, move_up(high, (uint32_t)__builtin_popcount(kept & 255)));
    maker->gathered = _mm_or_si128(maker->gathered, move_up(made, inside));
    _mm_storeu_si128((__m128i *)(void *)to, maker->gathered);
    maker->count += (uint32_t)__builtin_popcount(kept);
    if (maker->count - (uint32_t)(to - maker->to) >= 16) {
        maker->gathered = move_down(made, 16 - inside);
        _mm_storeu_si128((__m128i *)(void *)(to + 16), maker->gathered);
    }
}

/* Texts of at most 32 bytes. */
SSSE3 static inline bool
pair_bytes_of_two_parts(const uint8_t *a, size_t size_a, const uint8_t *b, size_t size_b, pair_bytes *to)
{
    __m128i zero = _mm_setzero_si128();
    __m128i a_0 = load_part(a, size_a, 0), a_1 = size_a > 16 ? load_part(a, size_a, 16) : zero;
    __m128i b_0 = load_part(b, size_b, 0), b_1 = size_b > 16 ? load_part(b, size_b, 16) : zero;
    first_range range = {zero, zero};
    byte_maker maker_a = {zero, zero, to->bytes[0], 0}, maker_b = {zero, zero, to->bytes[1], 0};

    note_part(&range, a_0);
    note_part(&range, a_1);
    note_part(&range, b_0);
    note_part(&range, b_1);
    finish_range(&range);
    if (!within_range(&range,
                      _mm_or_si128(_mm_or_si128(beside_range(&range, a_0), beside_range(&range, a_1)),
                                   _mm_or_si128(beside_range(&range, b_0), beside_range(&range, b_1)))))
        return false;
    make_part(&maker_a, &range, a_0);
    make_part(&maker_a, &range, a_1);
    make_part(&maker_b, &range, b_0);
    make_part(&maker_b, &range, b_1);
    to->lengths[0] = maker_a.count - (uint32_t)(32 - size_a);
    to->lengths[1] = maker_b.count - (uint32_t)(32 - size_b);
    return true;
}

/* Texts of at most PAIR_BYTES_LONGEST bytes. */
SSSE3 static bool
pair_bytes_of_parts(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to)
{
    const uint8_t *texts[2] = {a, b};
    const size_t sizes[2] = {size_a, size_b};
    __m128i beside = _mm_setzero_si128();
    first_range range = {beside, beside};

    if (size_a <= 32 && size_b <= 32)
        return pair_bytes_of_two_parts(a, size_a, b, size_b, to);
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < sizes[t]; i += 16)
            note_part(&range, load_part(texts[t], sizes[t], i));
    finish_range(&range);
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < sizes[t]; i += 16)
            beside = _mm_or_si128(beside, beside_range(&range, load_part(texts[t], sizes[t], i)));
    if (!within_range(&range, beside))
        return false;
    for (int t = 0; t < 2; t++) {
        byte_maker maker = {_mm_setzero_si128(), _mm_setzero_si128(), to->bytes[t], 0};
        size_t i = 0;

        for (; i < sizes[t]; i += 16)
            make_part(&maker, &range, load_part(texts[t], sizes[t], i));
        /* The zeros behind the text were counted, too. */
        to->lengths[t] = maker.count - (uint32_t)(i - sizes[t]);
    }
    return true;
}

bool
pair_bytes_of(const void *a, size_t size_a, const void *b, size_t size_b, pair_bytes *to)
{
    if (!byte_parts_supported())
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
