/*
 * text_profile.h: what can be told of two texts without looking at their characters: how many characters of
 * each have no equal in the other, at least. Most pairs that are not alike are told apart by that alone, at
 * the price of one cache line a value.
 *
 * A profile counts the characters of a text in 16 classes. Of a class, what one text has more of than the
 * other finds no partner; counts stop at 15, which can only make the difference smaller. So all that is said
 * here is a bound on the safe side, never an estimate.
 */
#ifndef MASTERING_KERNEL_TEXT_PROFILE_H
#define MASTERING_KERNEL_TEXT_PROFILE_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "kernel/text_view.h"

#define TEXT_PROFILE_LONGEST ((1 << 19) - 1) /* longer texts are compared to their beginnings */

#define TEXT_PROFILE_ANY_NAME 0xfff /* nothing is known of nicknames */

typedef struct text_profile {
    uint64_t counts; /* 16 classes, 4 bits each */
    uint32_t start;  /* the lowest bytes of the first four characters, the first one lowest */
    uint32_t length : 19;
    uint32_t in_planes : 1; /* beside the profile there are the text's bit planes (lanes.h) */
    uint32_t names : 12;    /* names_signature, where names are compared */
} text_profile;

#define TEXT_PROFILE_STEP 15 /* characters that no class can have too many of */

/* The sums of two counts, 15 where they are more. */
static inline uint64_t
text_profile_sum(uint64_t a, uint64_t b)
{
    const uint64_t low = UINT64_C(0x0f0f0f0f0f0f0f0f), ones = UINT64_C(0x0101010101010101);
    uint64_t even = (a & low) + (b & low), odd = (a >> 4 & low) + (b >> 4 & low);

    even |= (even >> 4 & ones) * 15;
    odd |= (odd >> 4 & ones) * 15;
    return (even & low) | (odd & low) << 4;
}

/* The counts of a few bytes, none of them more than 15: two at a time, which do not wait for each other. */
static inline uint64_t
text_profile_of_bytes(const uint8_t *bytes, uint32_t count)
{
    uint64_t even = 0, odd = 0;
    uint32_t i = 0;

    for (; i + 1 < count; i += 2) {
        even += UINT64_C(1) << (bytes[i] & 15) * 4;
        odd += UINT64_C(1) << (bytes[i + 1] & 15) * 4;
    }
    if (i < count)
        even += UINT64_C(1) << (bytes[i] & 15) * 4;
    return even + odd;
}

static inline text_profile
text_profile_of(text_view text)
{
    text_profile profile = {.length = text.length < TEXT_PROFILE_LONGEST ? text.length : TEXT_PROFILE_LONGEST,
                            .names = TEXT_PROFILE_ANY_NAME};

    if (text.width == 1 && text.length >= 4) {
        const uint8_t *bytes = text.chars;

        profile.start =
            bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    } else
        for (uint32_t i = 0; i < text.length && i < 4; i++)
            profile.start |= (text_view_at(text, i) & 0xff) << 8 * i;
    for (uint32_t first = 0, end; first < text.length; first = end) {
        uint64_t counts = 0;

        end = text.length - first > TEXT_PROFILE_STEP ? first + TEXT_PROFILE_STEP : text.length;
        if (text.width == 1)
            counts = text_profile_of_bytes((const uint8_t *)text.chars + first, end - first);
        else
            for (uint32_t i = first; i < end; i++)
                counts += UINT64_C(1) << (text_view_at(text, i) & 15) * 4;
        profile.counts = first == 0 ? counts : text_profile_sum(profile.counts, counts);
    }
    return profile;
}

#define TEXT_PROFILE_ROOM 16 /* bytes, from the last one of a text on, that may be read */

/* The same of many texts, faster; behind each there is TEXT_PROFILE_ROOM. */
void text_profiles_make(const text_view *texts, uint32_t count, text_profile *profiles);

/* At least so many characters of a, and of b, have no partner in the other text. */
static inline void
text_profile_surplus(const text_profile *a, const text_profile *b, uint32_t *of_a, uint32_t *of_b)
{
    uint32_t length_a = a->length, length_b = b->length, surplus;
#if defined(__SSE2__)
    const __m128i low = _mm_set1_epi8(15), zero = _mm_setzero_si128();
    __m128i x = _mm_cvtsi64_si128((long long)a->counts), y = _mm_cvtsi64_si128((long long)b->counts), more,
            less;

    x = _mm_unpacklo_epi64(_mm_and_si128(x, low), _mm_and_si128(_mm_srli_epi16(x, 4), low));
    y = _mm_unpacklo_epi64(_mm_and_si128(y, low), _mm_and_si128(_mm_srli_epi16(y, 4), low));
    more = _mm_sad_epu8(_mm_subs_epu8(x, y), zero);
    less = _mm_sad_epu8(_mm_subs_epu8(y, x), zero);
    *of_a = (uint32_t)(_mm_cvtsi128_si32(more) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(more, more)));
    *of_b = (uint32_t)(_mm_cvtsi128_si32(less) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(less, less)));
#else
    *of_a = *of_b = 0;
    for (int shift = 0; shift < 64; shift += 4) {
        uint32_t x = (uint32_t)(a->counts >> shift & 15), y = (uint32_t)(b->counts >> shift & 15);

        *of_a += x > y ? x - y : 0;
        *of_b += y > x ? y - x : 0;
    }
#endif
    surplus = length_a > length_b ? length_a - length_b : 0;
    *of_a = *of_a > surplus ? *of_a : surplus;
    surplus = length_b > length_a ? length_b - length_a : 0;
    *of_b = *of_b > surplus ? *of_b : surplus;
}

/* At most so many characters are common to the beginnings of both, and at most 4. */
static inline uint32_t
text_profile_common_start(const text_profile *a, const text_profile *b)
{
    uint32_t difference = a->start ^ b->start;

#if defined(__GNUC__)
    return difference == 0 ? 4 : (uint32_t)__builtin_ctz(difference) / 8;
#else
    uint32_t common = 0;

    while (common < 4 && (difference & 0xff) == 0) {
        difference >>= 8;
        common++;
    }
    return common;
#endif
}

#endif
