/*
 * rarity.h: how rare an equal value is, as EM sees it.
 *
 * For train.c. Two records with the same rare surname are more often one person than two with the same
 * common one. So that EM's verdicts know it, and what a frequency adds to a weight is learnt with the rest,
 * each comparison with term frequencies has a companion while a model is trained: a comparison whose levels
 * are classes of frequency of the equal value, the rarest first, missing where the values differ. Companions
 * come after the comparisons of the specification and behind their bits of the pattern; a model has none,
 * their weights become the scale of its term frequencies.
 */
#ifndef MASTERING_ENGINE_RARITY_H
#define MASTERING_ENGINE_RARITY_H

#include "engine/run.h"
#include "kernel/em.h"
#include "kernel/logistic.h"

#define MOST_RARITIES 8
#define MOST_SCALE 2.0 /* of term frequencies, that is learnt */

/* A companion. */
typedef struct rarity {
    int comparison; /* that it belongs to */
    int classes;
    double least, step; /* records of a value of the first class at most, and log2 of the classes' width */
    double bits[MAX_LEVELS]; /* log2 of the share of the records that a value has, on average of the pairs */
    double shares[MAX_LEVELS]; /* of the values' records: what matches have */
    double pairs[MAX_LEVELS];  /* of all pairs of records with equal values */
} rarity;

typedef struct rarities {
    int count;
    rarity list[MOST_RARITIES];
    scorer layout; /* levels and places in the pattern, companions among them; compares nothing */
    int shift;     /* of the companions' part of the pattern */
} rarities;

/* The companions of a run's comparisons, and the layout of patterns with them. */
extern rarities *rarities_of(match_run *run);

/* While on, the weight of a pair is the companions' part of its pattern. Off: pairs weigh nothing. */
extern void rarities_weigh(match_run *run, rarities *rarities, bool on);

/* The store has other values than before: theirs have classes, while they are on. */
extern void rarities_take_values(match_run *run);

/* The pattern of a pair that was visited while they were on. */
static inline uint64
rarities_pattern(const rarities *rarities, const scored_pair *pair)
{
    return rarities->count == 0 ? pair->pattern : pair->pattern | (uint64)pair->weight << rarities->shift;
}

/* The u of companions, of all pairs, where such a share of all pairs are matches. */
extern void rarities_take_out_matches(const rarities *rarities,
                                      const double equal[MAX_COMPARISONS][MAX_LEVELS], double prior,
                                      em_parameters *parameters);

/* Where EM begins with their m. */
extern void rarities_start(const rarities *rarities, em_parameters *parameters);

/*
 * The weight of an equal value as frequent as values are on average (u), and the scale of what frequencies
 * add, which together come nearest to what companions say. weights: of the regression. False: the comparison
 * has none.
 */
extern bool rarities_scale(const rarities *rarities, const logistic_weights *weights,
                           const logistic_case *cases, size_t case_count, int comparison, double u,
                           double *exact, double *scale);

/*
 * How often strangers share a value that is as frequent as that of a typical record, log2. u: how often they
 * share any, which a few frequent values may decide alone.
 */
extern double rarities_typical_bits(const rarities *rarities, int comparison, double u);

/* Bits of a comparison and its companion. */
extern uint32 rarities_mask(const rarities *rarities, int comparison);

/* The levels of two records as a pattern: what they say but for how rare what they share is. */
extern uint64 levels_of_pair(match_run *run, uint32 a, uint32 b);

#endif
