/*
 * text_profile.c: the profiles of many texts; see text_profile.h.
 */
#include "kernel/text_profile.h"

#include <string.h>

#include "kernel/lanes.h"

static void
make_singly(const text_view *texts, uint32_t count, text_profile *profiles)
{
    for (uint32_t i = 0; i < count; i++)
        profiles[i] = text_profile_of(texts[i]);
}

#if defined(__SSE2__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define LOADED 16 /* bytes */

_Static_assert(LOADED <= TEXT_PROFILE_ROOM, "a load begins within the text");

/* One in the class of each of four characters: shifts by more than 63 bits leave nothing. */
AVX2 static inline __m256i
ones_of_four(__m128i shifts)
{
    return _mm256_sllv_epi64(_mm256_set1_epi64x(1), _mm256_cvtepu8_epi64(shifts));
}

/* The counts of at most TEXT_PROFILE_STEP bytes. How many they are decides no branch: that of names cannot be
 * predicted. */
AVX2 static inline uint64_t
counts_of_step(const uint8_t *bytes, uint32_t count)
{
    static const uint8_t beyond[2 * LOADED] = {0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
                                               0,   0,   0,   0,   0,   255, 255, 255, 255, 255, 255,
                                               255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    __m128i shifts = _mm_loadu_si128((const __m128i *)(const void *)bytes), half;
    __m256i sums;

    shifts = _mm_slli_epi64(_mm_and_si128(shifts, _mm_set1_epi8(15)), 2);
    shifts = _mm_or_si128(shifts, _mm_loadu_si128((const __m128i *)(const void *)(beyond + LOADED - count)));
    sums = _mm256_add_epi64(
        _mm256_add_epi64(ones_of_four(shifts), ones_of_four(_mm_srli_si128(shifts, 4))),
        _mm256_add_epi64(ones_of_four(_mm_srli_si128(shifts, 8)), ones_of_four(_mm_srli_si128(shifts, 12))));
    half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(half, half));
}

AVX2 static void
make_avx2(const text_view *texts, uint32_t count, text_profile *profiles)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = texts[i].chars;
        uint32_t length = texts[i].length, start;
        uint64_t counts;

        if (texts[i].width != 1 || length == 0) {
            profiles[i] = text_profile_of(texts[i]);
            continue;
        }
        memcpy(&start, bytes, sizeof start);
        if (length < sizeof start)
            start &= (UINT32_C(1) << 8 * length) - 1;
        counts = counts_of_step(bytes, length < TEXT_PROFILE_STEP ? length : TEXT_PROFILE_STEP);
        for (uint32_t first = TEXT_PROFILE_STEP; first < length; first += TEXT_PROFILE_STEP)
            counts = text_profile_sum(counts, counts_of_step(bytes + first, length - first < TEXT_PROFILE_STEP
                                                                                ? length - first
                                                                                : TEXT_PROFILE_STEP));
        profiles[i] = (text_profile){
            .counts = counts,
            .start = start,
            .length = length < TEXT_PROFILE_LONGEST ? length : TEXT_PROFILE_LONGEST,
            .names = TEXT_PROFILE_ANY_NAME,
        };
    }
}

void
text_profiles_make(const text_view *texts, uint32_t count, text_profile *profiles)
{
    if (lanes_target() == LANES_AVX2)
        make_avx2(texts, count, profiles);
    else
        make_singly(texts, count, profiles);
}

#else

void
text_profiles_make(const text_view *texts, uint32_t count, text_profile *profiles)
{
    make_singly(texts, count, profiles);
}

#endif
