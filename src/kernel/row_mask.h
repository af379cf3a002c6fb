/*
 * row_mask.h: two rows of codes as two masks, a bit a column: which columns have a value in both, and which
 * of these the same one. All that equality has to say about a pair is in them: which rules find it, what the
 * exact levels weigh, and what is left to measure.
 */
#ifndef MASTERING_KERNEL_ROW_MASK_H
#define MASTERING_KERNEL_ROW_MASK_H

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define ROW_MASK_COLUMNS 64

typedef struct row_mask {
    uint64_t there; /* both have a value */
    uint64_t same;  /* and it is the same */
} row_mask;

#if defined(__SSE2__)
/* Columns i to i + 3. */
static inline void
row_mask_four(row_mask *mask, const uint32_t *a, const uint32_t *b, uint32_t i)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(a + i)),
            y = _mm_loadu_si128((const __m128i *)(const void *)(b + i));
    __m128i missing = _mm_or_si128(_mm_cmpeq_epi32(x, zero), _mm_cmpeq_epi32(y, zero));
    uint64_t there = (uint64_t)(_mm_movemask_ps(_mm_castsi128_ps(missing)) ^ 15);
    uint64_t equal = (uint64_t)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(x, y)));

    mask->there |= there << i;
    mask->same |= (there & equal) << i;
}
#endif

/* Of the first columns of two rows, at most ROW_MASK_COLUMNS. Nothing behind them is read. */
static inline row_mask
row_mask_of(const uint32_t *a, const uint32_t *b, uint32_t columns)
{
    row_mask mask = {0, 0};
    uint32_t i = 0;

#if defined(__SSE2__)
    if (columns >= 4) {
        for (; i + 4 <= columns; i += 4)
            row_mask_four(&mask, a, b, i);
        if (i < columns) /* some of them once more */
            row_mask_four(&mask, a, b, columns - 4);
        return mask;
    }
#endif
    for (; i < columns; i++) {
        uint64_t there = (a[i] != 0) & (b[i] != 0);

        mask.there |= there << i;
        mask.same |= (there & (a[i] == b[i])) << i;
    }
    return mask;
}

#endif
