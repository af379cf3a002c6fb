/*
 * lanes.h: many pairs of texts compared at once, each in a lane of a vector: what jaro.c, levenshtein.c and
 * damerau.c say, to the bit, at a fraction of the time.
 *
 * Texts of bytes (width 1) of at most LANES_LONGEST characters share vectors with others of their size: lanes
 * of 8, 16 or 32 bits, a bit a character. Everything else, and everything on a machine without vectors, goes
 * to the functions for one pair. Which vectors there are is asked once a process; no build option is needed.
 */
#ifndef MASTERING_KERNEL_LANES_H
#define MASTERING_KERNEL_LANES_H

#include "kernel/text_view.h"

#define LANES_LONGEST 32

typedef enum lane_measure {
    LANES_JARO,
    LANES_JARO_WINKLER,
    LANES_LEVENSHTEIN_DISTANCE,
    LANES_LEVENSHTEIN,
    LANES_DAMERAU_DISTANCE,
    LANES_DAMERAU,
} lane_measure;

/* results[i]: of a[i] and b[i]. */
kernel_status lanes_pairs(lane_measure measure, const text_view *a, const text_view *b, uint32_t count,
                          kernel_workspace *workspace, double *results);

/* What the vectors are, for tests and measurements: the best of the machine is taken unless told otherwise.
 */
typedef enum lane_target {
    LANES_SINGLE, /* one pair at a time */
    LANES_SSE2,
    LANES_AVX2,
} lane_target;

/* The best one that the machine has. */
lane_target lanes_best_target(void);

/* The one in use. */
lane_target lanes_target(void);

/* Takes this one from now on, or the best one below it that the machine has; returns which. Not while other
 * threads compare. */
lane_target lanes_use(lane_target target);

#endif
