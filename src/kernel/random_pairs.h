/*
 * random_pairs.h: patterns of pairs taken at random, which are almost all non-matches: what u is learnt from.
 */
#ifndef MASTERING_KERNEL_RANDOM_PAIRS_H
#define MASTERING_KERNEL_RANDOM_PAIRS_H

#include "kernel/blocking.h"

#define RANDOM_PAIRS_UNIT 2048
#define RANDOM_RECORDS 16384

typedef struct drawn_pair {
    uint16_t a, b; /* numbers of records */
} drawn_pair;

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
    const drawn_pair *drawn; /* all pairs, by random_pairs_draw_all; NULL: they are drawn as they come */
    comparison_thread *threads;
} random_pairs;

typedef struct random_pairs_unit {
    uint64_t next, end; /* pair numbers */
    kernel_status status;
    uint32_t pattern_count;
    uint64_t patterns[RANDOM_PAIRS_UNIT];
} random_pairs_unit;

/*
 * How many records to draw from. Numbers of records follow a hash of their ids, so the first ones are a
 * sample; the rows and values of so many stay in a processor's caches, where those of all would be waited
 * for, pair by pair. That adds to the error of a share p some 2 p / sqrt(16384), 1.6 % of it: what 400,000
 * pairs leave at p = 0.01, and less than they leave where p is less.
 */
static inline uint32_t
random_pairs_records(uint64_t records)
{
    return (uint32_t)(records < RANDOM_RECORDS ? records : RANDOM_RECORDS);
}

/* The numbers of pair i's records; they may be the same. */
void random_pairs_draw(const random_pairs *pairs, uint64_t i, uint32_t *a, uint32_t *b);

/*
 * Draws all pairs, and puts them in an order in which they are compared faster: only how many there are of
 * each pattern is asked for. Partners are taken some thousands at a time, whose values stay in a processor's
 * caches while all other records come by in their order. Not for every_pair; drawn and scratch have room for
 * all.
 */
void random_pairs_draw_all(const random_pairs *pairs, int threads, drawn_pair *drawn, drawn_pair *scratch);

/* Goes on with a unit until it is done or a stop is requested; at least one pair is visited. */
void random_pairs_work(const random_pairs *pairs, random_pairs_unit *unit, int thread);

#endif
