/*
 * union_find.h: connected components (Tarjan 1975; path halving, union by size).
 */
#ifndef MASTERING_KERNEL_UNION_FIND_H
#define MASTERING_KERNEL_UNION_FIND_H

#include <stdbool.h>
#include <stdint.h>

typedef struct union_find {
    uint32_t *parent; /* caller's memory: a root is its own parent */
    uint32_t *size;   /* caller's memory: members, valid at a root */
    uint32_t count;
} union_find;

void union_find_init(union_find *forest, uint32_t *parent, uint32_t *size, uint32_t count);

static inline uint32_t
union_find_root(union_find *forest, uint32_t x)
{
    while (forest->parent[x] != x) {
        forest->parent[x] = forest->parent[forest->parent[x]];
        x = forest->parent[x];
    }
    return x;
}

/* Joins two components; false when they were one already. The root that remains is written to *root. */
bool union_find_join(union_find *forest, uint32_t a, uint32_t b, uint32_t *root);

#endif
