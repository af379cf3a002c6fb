/*
 * block_rows.h: the rows of the records of some blocks, copied to one place. A block's pairs visit each of
 * its records many times; where the records lie far apart, that is many waits for memory a record. One copy
 * of it is one, and what scoring looks at first, the profile of the value that is measured first, lies with
 * it.
 *
 * The copies belong to a thread and hold until it takes others.
 */
#ifndef MASTERING_KERNEL_BLOCK_ROWS_H
#define MASTERING_KERNEL_BLOCK_ROWS_H

#include "kernel/blocking.h"

#define BLOCK_COLUMNS 32    /* of rows whose columns are copied, at most */
#define BLOCK_ROWS_BEHIND 8 /* rows that may be read behind the last one */

typedef struct block_rows {
    uint32_t stride;   /* words of a copied row; 0: nothing is copied */
    uint32_t profile;  /* words from its beginning to the profile; 0: it has none */
    int comparison;    /* whose profile */
    uint64_t capacity; /* rows */
    uint64_t first;    /* entry of the first copied row */
    uint64_t end;      /* entry behind the last one */
    const uint32_t *rows;

    /* The same codes column by column, and of the profiles the counts, a byte each, and the lengths. */
    uint64_t column_stride; /* words from one column to the next; 0: there are none */
    const uint32_t *columns;
    const uint8_t *counts; /* 16 a row */
    const uint32_t *lengths;
} block_rows;

/* Nothing is copied yet; what is to be copied is decided by what the visit wants. columns:
 * column by column, too. */
void block_rows_open(const pair_visit *visit, bool columns, block_rows *rows);

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
