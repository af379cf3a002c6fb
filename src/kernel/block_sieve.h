/*
 * block_sieve.h: a row of a block against those behind it, many at a time: which of them are pairs of the
 * visited rule, which of these are new, and which can still reach the least weight.
 *
 * It asks what is cheap: the equality of codes, and of two comparisons the profiles of their values. What it
 * drops cannot reach the least weight; what it leaves is scored as any other pair.
 */
#ifndef MASTERING_KERNEL_BLOCK_SIEVE_H
#define MASTERING_KERNEL_BLOCK_SIEVE_H

#include "kernel/block_rows.h"

/* How the profiles of many pairs are looked at. */
typedef enum sieve_bound {
    BOUND_ASKED, /* one by one */
    BOUND_EDITS, /* more edits rule a pair out */
    BOUND_JARO,  /* fewer common characters do */
} sieve_bound;

/* A comparison whose profiles are looked at. */
typedef struct sieve_filter {
    const block_profile *profile;
    uint32_t slot;
    int64_t loss; /* what a pair has less at best that they rule out */
    sieve_bound bound;
    float edits, share; /* BOUND_EDITS: so many, and such a share of the longer text */
    float least[5]; /* BOUND_JARO: by the length of a common beginning, what common characters are to be as
                       parts of both texts, added up */
} sieve_filter;

/* What does not change from row to row of a visit. */
typedef struct block_sieve {
    bool usable; /* false: it can do nothing for this visit */
    int column_count;
    uint32_t slots[BLOCK_COLUMNS];
    int64_t exact[BLOCK_COLUMNS];  /* what equal values weigh, but for rare ones */
    int64_t differ[BLOCK_COLUMNS]; /* the best that measuring different ones can give */
    uint32_t own;                  /* columns that the visited rule wants to be equal, a bit each */
    int earlier_count;
    uint32_t earlier[MAX_RULES]; /* the same of earlier rules */
    int asked_count;
    uint32_t asked[MAX_RULES]; /* of earlier rules that want more than that */
    int asked_rules[MAX_RULES];
    int filter_count;
    sieve_filter filters[BLOCK_PROFILES];
    int frequency_count; /* columns whose equal values weigh differently */
    struct {
        int column;
        const int32_t *weights; /* by code */
    } frequencies[MAX_COMPARISONS];
} block_sieve;

/* Whether it can do anything for a visit; the copies are to have columns then. */
bool block_sieve_serves(const pair_visit *visit);

void block_sieve_open(const pair_visit *visit, const block_rows *rows, block_sieve *sieve);

typedef struct sieve_column {
    uint32_t code;
    uint32_t bit;
    int32_t differ; /* what a different value weighs at best */
    int32_t gain;   /* what the same value weighs more than that */
    const uint32_t *codes;
} sieve_column;

/* What does not change from partner to partner; entries are counted from the first copied one. */
typedef struct sieve_row {
    uint64_t entry;
    const uint32_t *entries; /* records */
    int column_count;
    sieve_column columns[BLOCK_COLUMNS]; /* where the row has a value */
    const uint32_t *sources;             /* NULL: not asked */
    uint32_t source;
    int32_t need; /* what columns must come to */
    int filter_count;
    struct {
        const sieve_filter *filter;
        uint32_t code;
        int32_t loss;
        const uint32_t *codes;
    } filters[BLOCK_PROFILES];
} sieve_row;

void block_sieve_open_row(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                          uint64_t entry, sieve_row *row);

/* What there is of the pairs of a row. */
typedef struct sieve_result {
    uint64_t found, found_new;
    uint32_t left_count;
    uint32_t *left; /* those that go on to be scored: entries from the first copied one on */
} sieve_result;

/*
 * A row against entries from to end - 1, all of them copied; left has room for as many as there are.
 */
void block_sieve_row(const pair_visit *visit, const block_sieve *sieve, const block_rows *rows,
                     const sieve_row *row, uint64_t from, uint64_t end, sieve_result *result);

#endif
