/*
 * lanes.c: which pairs go together into vectors, and which vectors; see lanes.h. The recurrences are in
 * lanes_body.h.
 */
#include "kernel/lanes.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/pattern_masks.h"
#include "kernel/similarity.h"

/* One pair, by the functions for that. */
static kernel_status
compare_single(lane_measure measure, text_view a, text_view b, kernel_workspace *workspace, double *result)
{
    uint32_t distance = 0;
    kernel_status status = KERNEL_OK;

    switch (measure) {
    case LANES_JARO:
        return jaro_similarity(a, b, workspace, result);
    case LANES_JARO_WINKLER:
        return jaro_winkler_similarity(a, b, workspace, result);
    case LANES_LEVENSHTEIN:
        return levenshtein_similarity(a, b, workspace, result);
    case LANES_DAMERAU:
        return damerau_similarity(a, b, workspace, result);
    case LANES_LEVENSHTEIN_DISTANCE:
        status = levenshtein_distance(a, b, workspace, &distance);
        break;
    case LANES_DAMERAU_DISTANCE:
        status = damerau_distance(a, b, workspace, &distance);
        break;
    }
    *result = distance;
    return status;
}

#if defined(__SSE2__) && defined(__GNUC__)
#include <immintrin.h>

/* Loops over vectors that are to stay in registers. */
#if defined(__clang__)
#define LANES_UNROLL _Pragma("unroll")
#define LANES_UNROLL_MORE _Pragma("unroll")
#else
#define LANES_UNROLL _Pragma("GCC unroll 8")
#define LANES_UNROLL_MORE _Pragma("GCC unroll 32")
#endif

#define MOST_LANES 32 /* of the widest vector */

/* Pairs that share a vector: places of their planes in a table, or where lanes have 32 bits their bytes. */
typedef struct lane_group {
    const lane_planes *planes;
    const uint32_t *a, *b;
    const uint8_t *const *bytes_a, *const *bytes_b;
    const uint8_t *length_a, *length_b; /* at least 1 */
} lane_group;

/* Planes that are looked at in any case: letters of one case differ in these. */
#define SURE_PLANES 5

#define EIGHT(bit) bit, bit, bit, bit, bit, bit, bit, bit
#define SIXTEEN(bit) EIGHT(bit), EIGHT(bit)
#define THIRTY_TWO(bit) SIXTEEN(bit), SIXTEEN(bit)

/* Bit i in all bytes of vector i, for either width of vectors. */
_Alignas(32) static const uint8_t lane_bits_16[8 * 16] = {
    SIXTEEN(1), SIXTEEN(2), SIXTEEN(4), SIXTEEN(8), SIXTEEN(16), SIXTEEN(32), SIXTEEN(64), SIXTEEN(128)};
_Alignas(32) static const uint8_t lane_bits_32[8 * 32] = {THIRTY_TWO(1),  THIRTY_TWO(2),  THIRTY_TWO(4),
                                                          THIRTY_TWO(8),  THIRTY_TWO(16), THIRTY_TWO(32),
                                                          THIRTY_TWO(64), THIRTY_TWO(128)};

/* Small numbers as doubles. */
static const double lane_numbers[LANES_LONGEST + 1] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                       11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                       22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};

/* The low and the high bytes of 1, 2 ... 16 ones. */
static const uint8_t lane_ones[2][16] = {
    {1, 3, 7, 15, 31, 63, 127, 255, 255, 255, 255, 255, 255, 255, 255, 255},
    {0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 7, 15, 31, 63, 127, 255}};

/* How many of four bits are set before the first that is not. */
static const double lane_prefixes[16] = {0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0, 4};

/* ---- texts into vectors ---- */

/* Up to 8 bytes, zeros behind them; nothing else is read. */
KERNEL_INLINE uint64_t
load_word(const uint8_t *bytes, uint32_t length)
{
    uint32_t first, last;
    uint64_t word;

    if (length >= 8) {
        memcpy(&word, bytes, 8);
        return word;
    }
    if (length >= 4) {
        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + length - 4, 4);
        return first | (uint64_t)last << 8 * (length - 4);
    }
    if (length == 0)
        return 0;
    return bytes[0] | (uint64_t)bytes[length / 2] << 8 * (length / 2) |
           (uint64_t)bytes[length - 1] << 8 * (length - 1);
}

KERNEL_INLINE void
lane_load_16(const uint8_t *bytes, uint32_t length, uint64_t words[2])
{
    words[0] = load_word(bytes, length);
    words[1] = 0;
    if (length > 8) {
        memcpy(&words[1], bytes + length - 8, 8);
        words[1] >>= 8 * (16 - length);
    }
}

KERNEL_INLINE void
lane_load_32(const uint8_t *bytes, uint32_t length, uint64_t words[4])
{
    lane_load_16(bytes, length > 16 ? 16 : length, words);
    words[2] = words[3] = 0;
    if (length > 16)
        lane_load_16(bytes + 16, length - 16, words + 2);
}

/* The same with the zeros in front. */
KERNEL_INLINE void
lane_load_end_16(const uint8_t *bytes, uint32_t length, uint64_t words[2])
{
    if (length >= 8) {
        memcpy(&words[1], bytes + length - 8, 8);
        words[0] = length == 8 ? 0 : load_word(bytes, 8) << 8 * (16 - length);
    } else {
        words[1] = load_word(bytes, length) << 8 * (8 - length);
        words[0] = 0;
    }
}

KERNEL_INLINE void
lane_load_end_32(const uint8_t *bytes, uint32_t length, uint64_t words[4])
{
    words[0] = words[1] = 0;
    if (length > 16) {
        lane_load_end_16(bytes + length - 16, 16, words + 2);
        lane_load_end_16(bytes, length - 16, words);
    } else {
        lane_load_end_16(bytes, length, words + 2);
    }
}

KERNEL_INLINE __m128i
word_vector(uint64_t word)
{
    return _mm_cvtsi64_si128((long long)word);
}

/* 4 texts of 32 bytes: vector i has characters i, i + 8, i + 16 and i + 24 of each. */
KERNEL_INLINE void
lane_transpose_32(uint64_t words[][4], __m128i vectors[8])
{
    __m128i x[8];

    LANES_UNROLL for (int l = 0; l < 4; l++)
    {
        __m128i low = _mm_unpacklo_epi8(word_vector(words[l][0]), word_vector(words[l][1]));
        __m128i high = _mm_unpacklo_epi8(word_vector(words[l][2]), word_vector(words[l][3]));

        x[l] = _mm_unpacklo_epi16(low, high);
        x[l + 4] = _mm_unpackhi_epi16(low, high);
    }
    LANES_UNROLL for (int half = 0; half < 2; half++)
    {
        const __m128i *y = x + 4 * half;
        __m128i even = _mm_unpacklo_epi32(y[0], y[2]), odd = _mm_unpacklo_epi32(y[1], y[3]);

        vectors[4 * half] = _mm_unpacklo_epi32(even, odd);
        vectors[4 * half + 1] = _mm_unpackhi_epi32(even, odd);
        even = _mm_unpackhi_epi32(y[0], y[2]);
        odd = _mm_unpackhi_epi32(y[1], y[3]);
        vectors[4 * half + 2] = _mm_unpacklo_epi32(even, odd);
        vectors[4 * half + 3] = _mm_unpackhi_epi32(even, odd);
    }
}

/* ---- the comparators ---- */

#define LANES_VECTOR_BYTES 16
#define LANES_BIT_VECTORS lane_bits_16
#define LANES_TARGET
#define LANES_REGISTER __m128i
#define LANES_WIDE(x) _mm_##x
#define LANES_BITS 8
#define LANES_NAME(x) sse2_8_##x
#include "kernel/lanes_body.h"
#undef LANES_NAME
#undef LANES_BITS
#define LANES_BITS 16
#define LANES_NAME(x) sse2_16_##x
#include "kernel/lanes_body.h"
#undef LANES_NAME
#undef LANES_BITS
#define LANES_BITS 32
#define LANES_NAME(x) sse2_32_##x
#include "kernel/lanes_body.h"
#undef LANES_NAME
#undef LANES_BITS
#undef LANES_WIDE
#undef LANES_REGISTER
#undef LANES_TARGET
#undef LANES_BIT_VECTORS
#undef LANES_VECTOR_BYTES

#define LANES_VECTOR_BYTES 32
#define LANES_BIT_VECTORS lane_bits_32
#define LANES_TARGET __attribute__((target("avx2")))
#define LANES_REGISTER __m256i
#define LANES_WIDE(x) _mm256_##x
#define LANES_BITS 8
#define LANES_NAME(x) avx2_8_##x
#include "kernel/lanes_body.h"
#undef LANES_NAME
#undef LANES_BITS
#define LANES_BITS 16
#define LANES_NAME(x) avx2_16_##x
#include "kernel/lanes_body.h"
#undef LANES_NAME
#undef LANES_BITS
#define LANES_BITS 32
#define LANES_NAME(x) avx2_32_##x
#include "kernel/lanes_body.h"
#undef LANES_NAME
#undef LANES_BITS
#undef LANES_TARGET
#undef LANES_VECTOR_BYTES

/* Lanes of 8, 16 and 32 bits. */
#define LANE_SIZES 3

static void (*const comparators[][LANE_SIZES])(lane_measure, const lane_group *, double *) = {
    [LANES_SSE2] = {sse2_8_pairs, sse2_16_pairs, sse2_32_pairs},
    [LANES_AVX2] = {avx2_8_pairs, avx2_16_pairs, avx2_32_pairs},
};

lane_target
lanes_best_target(void)
{
    return __builtin_cpu_supports("avx2") ? LANES_AVX2 : LANES_SSE2;
}

#else

lane_target
lanes_best_target(void)
{
    return LANES_SINGLE;
}

#endif

#define TARGET_UNKNOWN (-1)

static _Atomic int target_in_use = TARGET_UNKNOWN;

lane_target
lanes_use(lane_target target)
{
    lane_target best = lanes_best_target();

    target = target < best ? target : best;
    atomic_store_explicit(&target_in_use, (int)target, memory_order_relaxed);
    return target;
}

/* Threads that ask at once all find the same. */
lane_target
lanes_target(void)
{
    int target = atomic_load_explicit(&target_in_use, memory_order_relaxed);

    return target == TARGET_UNKNOWN ? lanes_use(LANES_AVX2) : (lane_target)target;
}

static inline bool
fits_lanes(text_view text)
{
    return text.width == 1 && text.length - 1 < LANES_LONGEST;
}

#if defined(__SSE2__) && defined(__GNUC__)

#define FEW_LANES 2 /* not worth a vector, where planes are to be made */

bool
lane_planes_of(text_view text, lane_planes *planes)
{
    const __m128i space = _mm_set1_epi8(' '), quote = _mm_set1_epi8('`');
    uint64_t words[2];
    uint32_t rows = (UINT32_C(1) << (text.length & 31)) - 1;
    __m128i bytes;

    if (!fits_planes(text))
        return false;
    lane_load_16(text.chars, text.length, words);
    bytes = _mm_unpacklo_epi64(word_vector(words[0]), word_vector(words[1]));
    /* The space changes places with a neighbour of the letters: words need no planes that letters do not. */
    bytes = _mm_xor_si128(
        bytes, _mm_and_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, space), _mm_cmpeq_epi8(bytes, quote)),
                             _mm_xor_si128(space, quote)));
    for (int p = 7; p >= 0; p--) {
        uint32_t word = (uint32_t)_mm_movemask_epi8(bytes);

        planes->words[p] = (uint16_t)((word & rows) | (-(word & 1) & ~rows));
        bytes = _mm_add_epi8(bytes, bytes);
    }
    return true;
}

static inline uint32_t
lanes_of(lane_target target, int size)
{
    return (target == LANES_AVX2 ? 32U : 16U) >> size;
}

static inline int
size_for(uint32_t longest)
{
    return longest <= 8 ? 0 : longest <= LANE_PLANES_LONGEST ? 1 : 2;
}

/*
 * Pairs of one size by their planes; lanes that are left over compare a character of the first values.
 */
static void
compare_planes(lane_measure measure, lane_target target, int size, const lane_planes *planes,
               const uint32_t *a, const uint32_t *b, const uint8_t *length_a, const uint8_t *length_b,
               uint32_t count, double *results)
{
    uint32_t lanes = lanes_of(target, size), rest = count % lanes, whole = count - rest;

    for (uint32_t first = 0; first < whole; first += lanes) {
        lane_group group = {planes, a + first, b + first, NULL, NULL, length_a + first, length_b + first};

        comparators[target][size](measure, &group, results + first);
    }
    if (rest > 0) {
        uint32_t last_a[MOST_LANES], last_b[MOST_LANES];
        uint8_t lengths_a[MOST_LANES], lengths_b[MOST_LANES];
        lane_group group = {planes, last_a, last_b, NULL, NULL, lengths_a, lengths_b};
        double values[MOST_LANES];

        for (uint32_t l = 0; l < lanes; l++) {
            last_a[l] = a[l < rest ? whole + l : 0];
            last_b[l] = b[l < rest ? whole + l : 0];
            lengths_a[l] = l < rest ? length_a[whole + l] : 1;
            lengths_b[l] = l < rest ? length_b[whole + l] : 1;
        }
        comparators[target][size](measure, &group, values);
        memcpy(results + whole, values, rest * sizeof *values);
    }
}

#define TEXTS_AT_ONCE 128 /* pairs */

/* Texts of one size, and where their results go. */
typedef struct text_list {
    uint32_t count;
    const uint8_t *bytes_a[TEXTS_AT_ONCE], *bytes_b[TEXTS_AT_ONCE];
    uint8_t length_a[TEXTS_AT_ONCE], length_b[TEXTS_AT_ONCE];
    uint16_t place[TEXTS_AT_ONCE];
} text_list;

/* Compares texts of one size, lanes that are left over a character. */
static void
compare_list(lane_measure measure, lane_target target, int size, text_list *list, double *results)
{
    static const uint8_t nothing[1] = {0};
    uint32_t lanes = lanes_of(target, size);
    double values[TEXTS_AT_ONCE];

    if (size == LANE_SIZES - 1) {
        for (uint32_t l = list->count; l % lanes != 0; l++) {
            list->bytes_a[l] = list->bytes_b[l] = nothing;
            list->length_a[l] = list->length_b[l] = 1;
        }
        for (uint32_t l = 0; l < list->count; l += lanes) {
            lane_group group = {.bytes_a = list->bytes_a + l,
                                .bytes_b = list->bytes_b + l,
                                .length_a = list->length_a + l,
                                .length_b = list->length_b + l};

            comparators[target][size](measure, &group, values + l);
        }
    } else {
        lane_planes planes[2 * TEXTS_AT_ONCE];
        uint32_t a[TEXTS_AT_ONCE], b[TEXTS_AT_ONCE];

        for (uint32_t l = 0; l < list->count; l++) {
            a[l] = l;
            b[l] = TEXTS_AT_ONCE + l;
            lane_planes_of((text_view){list->bytes_a[l], list->length_a[l], 1}, &planes[a[l]]);
            lane_planes_of((text_view){list->bytes_b[l], list->length_b[l], 1}, &planes[b[l]]);
        }
        compare_planes(measure, target, size, planes, a, b, list->length_a, list->length_b, list->count,
                       values);
    }
    for (uint32_t l = 0; l < list->count; l++)
        results[list->place[l]] = values[l];
}

/* At most TEXTS_AT_ONCE pairs. */
static kernel_status
compare_texts(lane_measure measure, lane_target target, const text_view *a, const text_view *b,
              uint32_t count, kernel_workspace *workspace, double *results)
{
    text_list lists[LANE_SIZES];
    kernel_status status = KERNEL_OK;

    if (kernel_stop_requested(workspace))
        return KERNEL_STOPPED;
    for (int size = 0; size < LANE_SIZES; size++)
        lists[size].count = 0;
    for (uint32_t i = 0; i < count && status == KERNEL_OK; i++) {
        text_list *list = &lists[size_for(a[i].length > b[i].length ? a[i].length : b[i].length)];
        uint32_t l;

        if (!fits_lanes(a[i]) || !fits_lanes(b[i])) {
            status = compare_single(measure, a[i], b[i], workspace, &results[i]);
            continue;
        }
        l = list->count++;
        list->bytes_a[l] = a[i].chars;
        list->bytes_b[l] = b[i].chars;
        list->length_a[l] = (uint8_t)a[i].length;
        list->length_b[l] = (uint8_t)b[i].length;
        list->place[l] = (uint16_t)i;
    }
    for (int size = 0; size < LANE_SIZES && status == KERNEL_OK; size++) {
        text_list *list = &lists[size];

        if (list->count > FEW_LANES) {
            compare_list(measure, target, size, list, results);
            continue;
        }
        for (uint32_t l = 0; l < list->count && status == KERNEL_OK; l++)
            status = compare_single(measure, a[list->place[l]], b[list->place[l]], workspace,
                                    &results[list->place[l]]);
    }
    return status;
}

#else

bool
lane_planes_of(text_view text, lane_planes *planes)
{
    (void)text;
    (void)planes;
    return false;
}

#endif

kernel_status
lanes_pairs(lane_measure measure, const text_view *a, const text_view *b, uint32_t count,
            kernel_workspace *workspace, double *results)
{
    kernel_status status = KERNEL_OK;

#if defined(__SSE2__) && defined(__GNUC__)
    lane_target target = lanes_target();

    if (target != LANES_SINGLE && count > FEW_LANES) {
        for (uint32_t i = 0; i < count && status == KERNEL_OK; i += TEXTS_AT_ONCE) {
            uint32_t some = count - i < TEXTS_AT_ONCE ? count - i : TEXTS_AT_ONCE;

            status = compare_texts(measure, target, a + i, b + i, some, workspace, results + i);
        }
        return status;
    }
#endif
    for (uint32_t i = 0; i < count && status == KERNEL_OK; i++)
        status = compare_single(measure, a[i], b[i], workspace, &results[i]);
    return status;
}

/* A text whose characters are equal where those of the planes are. */
static text_view
text_of_planes(const lane_planes *planes, uint32_t length, uint8_t characters[LANE_PLANES_LONGEST])
{
    for (uint32_t i = 0; i < length; i++) {
        characters[i] = 0;
        for (int p = 0; p < 8; p++)
            characters[i] |= (uint8_t)((planes->words[p] >> i & 1) << p);
    }
    return (text_view){characters, length, 1};
}

kernel_status
lanes_values(lane_measure measure, const lane_planes *planes, const uint32_t *a, const uint32_t *b,
             const uint8_t *length_a, const uint8_t *length_b, uint32_t count, kernel_workspace *workspace,
             double *results)
{
    kernel_status status = KERNEL_OK;

#if defined(__SSE2__) && defined(__GNUC__)
    lane_target target = lanes_target();

    if (target != LANES_SINGLE) {
        const uint64_t sevens = UINT64_C(0x0707070707070707);
        uint64_t longer = 0; /* a bit 4 for each length of more than 8 */
        uint32_t i = 0;

        for (; i + 8 <= count; i += 8) {
            uint64_t eight_a, eight_b;

            memcpy(&eight_a, length_a + i, 8);
            memcpy(&eight_b, length_b + i, 8);
            longer |= (eight_a + sevens) | (eight_b + sevens);
        }
        for (; i < count; i++)
            longer |= (length_a[i] + 7U) | (length_b[i] + 7U);
        longer &= UINT64_C(0x1010101010101010);
        compare_planes(measure, target, longer != 0, planes, a, b, length_a, length_b, count, results);
        return KERNEL_OK;
    }
#endif
    for (uint32_t i = 0; i < count && status == KERNEL_OK; i++) {
        uint8_t characters[2][LANE_PLANES_LONGEST];
        text_view of_a = text_of_planes(&planes[a[i]], length_a[i], characters[0]);
        text_view of_b = text_of_planes(&planes[b[i]], length_b[i], characters[1]);

        status = compare_single(measure, of_a, of_b, workspace, &results[i]);
    }
    return status;
}
