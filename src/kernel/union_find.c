/*
 * union_find.c: see union_find.h.
 */
#include "kernel/union_find.h"

void
union_find_init(union_find *forest, uint32_t *parent, uint32_t *size, uint32_t count)
{
    forest->parent = parent;
    forest->size = size;
    forest->count = count;
    for (uint32_t i = 0; i < count; i++) {
        parent[i] = i;
        size[i] = 1;
    }
}

bool
union_find_join(union_find *forest, uint32_t a, uint32_t b, uint32_t *root)
{
    a = union_find_root(forest, a);
    b = union_find_root(forest, b);
    if (a == b) {
        *root = a;
        return false;
    }
    /* The larger one stays; of two equal ones the lower number, so that the order of arguments is no matter.
     */
    if (forest->size[a] < forest->size[b] || (forest->size[a] == forest->size[b] && b < a)) {
        uint32_t swap = a;

        a = b;
        b = swap;
    }
    forest->parent[b] = a;
    forest->size[a] += forest->size[b];
    *root = a;
    return true;
}
