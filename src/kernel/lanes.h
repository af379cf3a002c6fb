/*
 * lanes.h: many pairs of texts compared at once, each in a lane of a vector: what jaro.c, levenshtein.c and
 * damerau.c say, to the bit, at a fraction of the time.
 *
 * Texts of bytes (width 1) of at most LANES_LONGEST characters share vectors with others of their size: lanes
 * of 8, 16 or 32 bits, a bit a character. Everything else, and everything on a machine without vectors, goes
 * to the functions for one pair. Which vectors there are is asked once a process; no build option is needed.
 *
 * What depends on one text alone is made once for each of a table of values that are compared often: the bit
 * planes of those of at most LANE_PLANES_LONGEST characters. They are all that is read of such a text.
 */
#ifndef MASTERING_KERNEL_LANES_H
#define MASTERING_KERNEL_LANES_H

#include "kernel/text_view.h"

#define LANES_LONGEST 32
#define LANE_PLANES_LONGEST 16

/* Bit i of word p: bit p of character i, or of the first character behind the end. Equal characters have
 * equal bits, but these are not in each case those of the byte. */
typedef struct lane_planes {
    uint16_t words[8];
} lane_planes;

typedef enum lane_measure {
    LANES_JARO,
    LANES_JARO_WINKLER,
    LANES_LEVENSHTEIN_DISTANCE,
    LANES_LEVENSHTEIN,
    LANES_DAMERAU_DISTANCE,
    LANES_DAMERAU,
} lane_measure;

/*
 * results[i]: of a[i] and b[i]. In runs these are the pairs with a text that has no planes. Of two short
 * texts they are made anew for each pair, which takes longer than to measure it: where such pairs are many,
 * values are to have their planes.
 */
kernel_status lanes_pairs(lane_measure measure, const text_view *a, const text_view *b, uint32_t count,
                          kernel_workspace *workspace, double *results);

static inline bool
fits_planes(text_view text)
{
    return text.width == 1 && text.length - 1 < LANE_PLANES_LONGEST;
}

/* Makes the planes of a text. False: it has none, as it does not fit, or this is built for a machine without
 * vectors. */
bool lane_planes_of(text_view text, lane_planes *planes);

/* The same as lanes_pairs of texts that have planes: results[i] of the values a[i] and b[i] of the table.
 * That is short work: it is not stopped. */
kernel_status lanes_values(lane_measure measure, const lane_planes *planes, const uint32_t *a,
                           const uint32_t *b, const uint8_t *length_a, const uint8_t *length_b,
                           uint32_t count, kernel_workspace *workspace, double *results);

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
