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
#else
#define LANES_UNROLL _Pragma("GCC unroll 8")
#endif

#define MOST_LANES 32 /* of the widest vector */

/* Pairs that share a vector. Lanes beyond count compare one character. */
typedef struct lane_group {
    uint32_t count;
    const uint8_t *a[MOST_LANES], *b[MOST_LANES];
    uint8_t length_a[MOST_LANES], length_b[MOST_LANES]; /* at least 1 */
    uint32_t place[MOST_LANES];                         /* of the result */
} lane_group;

/* A vector of texts, one position of all in each vector; their lengths, and as many ones. */
typedef struct lane_patterns {
    _Alignas(32) uint8_t vectors[256];
    _Alignas(32) uint8_t length[32];
    _Alignas(32) uint8_t rows[32];
} lane_patterns;

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
lane_load_8(const uint8_t *bytes, uint32_t length, uint64_t words[1])
{
    words[0] = load_word(bytes, length);
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
lane_load_end_8(const uint8_t *bytes, uint32_t length, uint64_t words[1])
{
    words[0] = load_word(bytes, length) << 8 * (8 - length);
}

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

/* Eight vectors whose 16-bit elements are columns of the given ones. */
KERNEL_INLINE void
transpose_16(const __m128i x[8], __m128i columns[8])
{
    __m128i y[8], z[8];

    LANES_UNROLL for (int i = 0; i < 4; i++)
    {
        y[2 * i] = _mm_unpacklo_epi16(x[i], x[i + 4]);
        y[2 * i + 1] = _mm_unpackhi_epi16(x[i], x[i + 4]);
    }
    LANES_UNROLL for (int i = 0; i < 4; i++)
    {
        z[2 * i] = _mm_unpacklo_epi16(y[i], y[i + 4]);
        z[2 * i + 1] = _mm_unpackhi_epi16(y[i], y[i + 4]);
    }
    LANES_UNROLL for (int i = 0; i < 4; i++)
    {
        columns[2 * i] = _mm_unpacklo_epi16(z[i], z[i + 4]);
        columns[2 * i + 1] = _mm_unpackhi_epi16(z[i], z[i + 4]);
    }
}

KERNEL_INLINE __m128i
word_vector(uint64_t word)
{
    return _mm_cvtsi64_si128((long long)word);
}

/* 16 texts of 8 bytes: vector i has character i of each. */
KERNEL_INLINE void
lane_transpose_8(uint64_t words[][1], __m128i vectors[8])
{
    __m128i x[8];

    LANES_UNROLL for (int i = 0; i < 8; i++) x[i] =
        _mm_unpacklo_epi8(word_vector(words[2 * i][0]), word_vector(words[2 * i + 1][0]));
    transpose_16(x, vectors);
}

/* 8 texts of 16 bytes: vector i has characters i and i + 8 of each. */
KERNEL_INLINE void
lane_transpose_16(uint64_t words[][2], __m128i vectors[8])
{
    __m128i x[8];

    LANES_UNROLL for (int i = 0; i < 8; i++) x[i] =
        _mm_unpacklo_epi8(word_vector(words[i][0]), word_vector(words[i][1]));
    transpose_16(x, vectors);
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

#define LANES_JOIN_(x, y) x##y
#define LANES_JOIN(x, y) LANES_JOIN_(x, y)
#define LANES_LOAD(bits) LANES_JOIN(lane_load_, bits)
#define LANES_LOAD_END(bits) LANES_JOIN(lane_load_end_, bits)
#define LANES_TRANSPOSE(bits) LANES_JOIN(lane_transpose_, bits)
#define LANES_WORDS(bits) ((bits) / 8)

#define LANES_VECTOR_BYTES 16
#define LANES_BIT_VECTORS lane_bits_16
#define LANES_TARGET
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
#undef LANES_TARGET
#undef LANES_VECTOR_BYTES

#undef LANES_BIT_VECTORS
#define LANES_VECTOR_BYTES 32
#define LANES_BIT_VECTORS lane_bits_32
#define LANES_TARGET __attribute__((target("avx2")))
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

#define FEW_LANES 2 /* not worth a vector */

static inline uint32_t
lanes_of(lane_target target, int size)
{
    return (target == LANES_AVX2 ? 32U : 16U) >> size;
}

/* Compares what is in a group. */
static kernel_status
compare_group(lane_measure measure, lane_target target, int size, lane_group *group,
              kernel_workspace *workspace, double *results)
{
    static const uint8_t nothing[1] = {0};
    uint32_t lanes = lanes_of(target, size), count = group->count;
    double values[MOST_LANES];

    group->count = 0;
    if (kernel_stop_requested(workspace))
        return KERNEL_STOPPED;
    if (count <= FEW_LANES) {
        for (uint32_t l = 0; l < count; l++) {
            kernel_status status = compare_single(measure, (text_view){group->a[l], group->length_a[l], 1},
                                                  (text_view){group->b[l], group->length_b[l], 1}, workspace,
                                                  &results[group->place[l]]);

            if (status != KERNEL_OK)
                return status;
        }
        return KERNEL_OK;
    }
    for (uint32_t l = count; l < lanes; l++) {
        group->a[l] = group->b[l] = nothing;
        group->length_a[l] = group->length_b[l] = 1;
    }
    comparators[target][size](measure, group, values);
    for (uint32_t l = 0; l < count; l++)
        results[group->place[l]] = values[l];
    return KERNEL_OK;
}

static inline int
size_for(uint32_t longest)
{
    return longest <= 8 ? 0 : longest <= 16 ? 1 : 2;
}

static kernel_status
compare_pairs(lane_measure measure, lane_target target, const text_view *a, const text_view *b,
              uint32_t count, kernel_workspace *workspace, double *results)
{
    lane_group groups[LANE_SIZES];
    kernel_status status = KERNEL_OK;

    for (int size = 0; size < LANE_SIZES; size++)
        groups[size].count = 0;
    for (uint32_t i = 0; i < count && status == KERNEL_OK; i++) {
        int size = size_for(a[i].length > b[i].length ? a[i].length : b[i].length);
        lane_group *group = &groups[size];
        uint32_t l;

        if (!fits_lanes(a[i]) || !fits_lanes(b[i])) {
            status = compare_single(measure, a[i], b[i], workspace, &results[i]);
            continue;
        }
        l = group->count++;
        group->a[l] = a[i].chars;
        group->b[l] = b[i].chars;
        group->length_a[l] = (uint8_t)a[i].length;
        group->length_b[l] = (uint8_t)b[i].length;
        group->place[l] = i;
        if (l + 1 == lanes_of(target, size))
            status = compare_group(measure, target, size, group, workspace, results);
    }
    for (int size = 0; size < LANE_SIZES && status == KERNEL_OK; size++)
        if (groups[size].count > 0)
            status = compare_group(measure, target, size, &groups[size], workspace, results);
    return status;
}

#endif

kernel_status
lanes_pairs(lane_measure measure, const text_view *a, const text_view *b, uint32_t count,
            kernel_workspace *workspace, double *results)
{
    kernel_status status = KERNEL_OK;

#if defined(__SSE2__) && defined(__GNUC__)
    lane_target target = lanes_target();

    if (target != LANES_SINGLE && count > FEW_LANES)
        return compare_pairs(measure, target, a, b, count, workspace, results);
#endif
    for (uint32_t i = 0; i < count && status == KERNEL_OK; i++)
        status = compare_single(measure, a[i], b[i], workspace, &results[i]);
    return status;
}
