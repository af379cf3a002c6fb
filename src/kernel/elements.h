/*
 * elements.h: values of several elements (e-mail addresses, telephone numbers), compared by what they have in
 * common: by their most alike elements, or as sets.
 *
 * The elements of a column are values of a table of their own, numbered as any values are; a value has a list
 * of them, ascending and distinct. At most MAX_ELEMENTS of a value are looked at, so that comparing two of
 * them is bounded; whoever makes the table says what that leaves out.
 */
#ifndef MASTERING_KERNEL_ELEMENTS_H
#define MASTERING_KERNEL_ELEMENTS_H

#include "kernel/comparison.h"

#define MAX_ELEMENTS 64         /* of one value */
#define ELEMENT_SEPARATOR 0x1f  /* between the elements of a value, in its text */
#define ELEMENT_CHARACTERS 4096 /* of all elements of a value, separators included */

/* By value code v: codes[starts[v]] to codes[starts[v + 1] - 1]. */
typedef struct element_table {
    const uint64_t *starts;
    const uint32_t *codes;
    value_table values;     /* of the elements, by their codes */
    const int32_t *weights; /* by element: what sharing it adds where it is rare; NULL: nothing does */
    int32_t best_weight;    /* the largest of them, */
    int32_t least_weight;   /* and the smallest */
} element_table;

/*
 * The similarity (or distance) of two values, as comparison_measure gives it: ELEMENTS_BEST of their most
 * alike elements by the comparison's method, ELEMENTS_SET of their sets by its measure. best: NULL, or where
 * the two elements go that gave it (with ELEMENTS_BEST).
 */
kernel_status elements_measure(const comparison *comparison, uint32_t a, uint32_t b,
                               kernel_workspace *workspace, double *result, uint32_t best[2]);

/* The element that two values share which adds most, the first by content of such; 0: they share none. */
uint32_t elements_rarest_shared(const element_table *table, uint32_t a, uint32_t b);

/* What it adds; 0 where they share none. */
int32_t elements_shared_weight(const element_table *table, uint32_t a, uint32_t b);

#endif
