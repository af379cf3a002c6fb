/*
 * block_rows.h: the rows of the records of some blocks, copied to one place. A block's pairs visit each of
 * its records many times; where the records lie far apart, that is many waits for memory a record. One copy
 * of it is one, and what scoring looks at first, the profiles of the values that are measured first, lies
 * with it.
 *
 * The copies belong to a thread and hold until it takes others.
 */
#ifndef MASTERING_KERNEL_BLOCK_ROWS_H
#define MASTERING_KERNEL_BLOCK_ROWS_H

#include "kernel/blocking.h"

#define BLOCK_COLUMNS 32    /* of rows whose columns are copied, at most */
#define BLOCK_ROWS_BEHIND 8 /* rows that may be read behind the last one */

#define BLOCK_PROFILES 2 /* of a row, that are copied, at most */

/* The profiles of the values of a comparison. */
typedef struct block_profile {
    int comparison;
    uint32_t place; /* words from the beginning of a copied row */

    /* Where there are columns: the same one by one. */
    const uint8_t *counts; /* 16 a row, a byte each */
    const uint32_t *lengths;
    const uint32_t *starts;
    const float *parts; /* of the text, that a character is */
} block_profile;

typedef struct block_rows {
    uint32_t stride; /* words of a copied row; 0: nothing is copied */
    int profile_count;
    block_profile profiles[BLOCK_PROFILES];
    uint32_t carried[MAX_COMPARISONS]; /* by comparison: where its profile is in a row; 0: there is none */
    uint64_t capacity;                 /* rows */
    uint64_t first;                    /* entry of the first copied row */
    uint64_t end;                      /* entry behind the last one */
    const uint32_t *rows;

    /* The same codes column by column. */
    uint64_t column_stride; /* words from one column to the next; 0: there are none */
    const uint32_t *columns;
} block_rows;

/* Nothing is copied yet; what is to be copied is decided by what the visit wants. for_sieve: so many
 * profiles at most, and what is copied column by column, too; 0: rows, and of the first rule one profile. */
void block_rows_open(const pair_visit *visit, int for_sieve, block_rows *rows);

/*
 * Copies entries from first on, at least up to end where they have room, at most up to last. False: they have
 * not; there are no copies then.
 */
bool block_rows_take(const pair_visit *visit, uint64_t first, uint64_t end, uint64_t last,
                     kernel_workspace *memory, block_rows *rows);

static inline const uint32_t *
block_rows_at(const block_rows *rows, uint64_t entry)
{
    return rows->rows + (entry - rows->first) * rows->stride;
}

#endif
