/*
 * pattern_tables.h: products and sums over the levels of many patterns.
 *
 * The levels of neighbouring comparisons lie side by side in a pattern: their bits together are a place in a
 * table of at most 256. So what the levels of a pattern say is a product of a few numbers, one of each table,
 * and is counted in as many places, and not once a comparison.
 */
#ifndef MASTERING_KERNEL_PATTERN_TABLES_H
#define MASTERING_KERNEL_PATTERN_TABLES_H

#include "kernel/comparison.h"

typedef struct pattern_count {
    uint64_t pattern;
    double count; /* pairs; whole, or scaled up from a sample */
} pattern_count;

#define PATTERN_TABLE_BITS 8
#define MOST_PATTERN_TABLES (64 / (PATTERN_TABLE_BITS - 3) + 1) /* a level takes at most 4 bits */
#define MOST_TABLE_PLACES ((64 / PATTERN_TABLE_BITS) << PATTERN_TABLE_BITS)

/* Where the tables of some comparisons are among each other's places. */
typedef struct pattern_tables {
    int count;
    uint32_t comparisons; /* that count, as bits */
    struct {
        int first, end; /* comparisons */
        int shift;      /* of its bits in a pattern */
        uint64_t mask;
        uint32_t start; /* of its places */
    } tables[MOST_PATTERN_TABLES];
    uint32_t places; /* of all tables, at most MOST_TABLE_PLACES */
} pattern_tables;

/* Tables of the comparisons whose bits are set; what others say is 1, and is not counted. */
void pattern_tables_lay_out(pattern_tables *tables, const scorer *layout, uint32_t comparisons);

/* The products of the levels' values, for each place. */
void pattern_tables_fill(const pattern_tables *tables, const scorer *layout,
                         const double (*values)[MAX_LEVELS], double *products);

/* The product for each of some patterns: no power of 1e100 is kept apart. */
void pattern_tables_multiply(const pattern_tables *tables, const double *table_products,
                             const pattern_count *patterns, size_t count, double *products);

/* Adds what was counted of some patterns to the sums of their places, in the order of the patterns. */
void pattern_tables_add(const pattern_tables *tables, const pattern_count *patterns, size_t count,
                        const double *counted, double *sums);

/* From the sums of places, which it spoils, those of the levels; of comparisons that do not count they stay.
 */
void pattern_tables_sum_levels(const pattern_tables *tables, const scorer *layout, double *sums,
                               double (*levels)[MAX_LEVELS]);

#endif
