/*
 * random_pairs.h: patterns of pairs taken at random, which are almost all non-matches: what u is learnt from.
 */
#ifndef MASTERING_KERNEL_RANDOM_PAIRS_H
#define MASTERING_KERNEL_RANDOM_PAIRS_H

#include "kernel/blocking.h"

#define RANDOM_PAIRS_UNIT 8192

/*
 * Pairs number first to first + count - 1 of the seed's stream, or, with every_pair, of the list of all
 * pairs in order. A pair of one record with itself, or of one source where source_slot is not
 * UINT32_MAX, is left out.
 */
typedef struct random_pairs {
    const record_table *records; /* with numbers, where those are drawn that are there */
    uint32_t record_count;       /* of which are drawn */
    const scorer *scorer;
    uint32_t source_slot;
    uint64_t seed;
    bool every_pair;
    uint64_t total;
    comparison_thread *threads;
} random_pairs;

typedef struct random_pairs_unit {
    uint64_t next, end; /* pair numbers */
    kernel_status status;
    uint32_t pattern_count;
    uint64_t patterns[RANDOM_PAIRS_UNIT];
} random_pairs_unit;

/* The numbers of pair i's records; they may be the same. */
void random_pairs_draw(const random_pairs *pairs, uint64_t i, uint32_t *a, uint32_t *b);

/* Goes on with a unit until it is done or a stop is requested; at least one pair is visited. */
void random_pairs_work(const random_pairs *pairs, random_pairs_unit *unit, int thread);

#endif
