/*
 * naive_slice.h: a piece of a text, a word or a gram, as the plain code has it that kernels are held against,
 * here and in test/fuzz.
 */
#ifndef NAIVE_SLICE_H
#define NAIVE_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct slice {
    const uint32_t *points;
    uint32_t length;
    uint32_t first; /* place in its text, where that is asked for */
} slice;

static inline bool
same_slice(slice x, slice y)
{
    return x.length == y.length && memcmp(x.points, y.points, x.length * sizeof(uint32_t)) == 0;
}

/* By code points; of two of which one begins with the other, the shorter one first. */
static inline int
slice_order(slice x, slice y)
{
    for (uint32_t i = 0; i < x.length && i < y.length; i++)
        if (x.points[i] != y.points[i])
            return x.points[i] < y.points[i] ? -1 : 1;
    return (x.length > y.length) - (x.length < y.length);
}

#endif
