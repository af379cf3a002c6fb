/*
 * test_union_find.c: components against labels that are rewritten in full at every join.
 */
#include "kernel/union_find.h"
#include "unit.h"

#define MOST 400

static bool
agrees(union_find *forest, const uint32_t *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t root = union_find_root(forest, i), members = 0;

        if (root >= count || labels[root] != labels[i] || forest->parent[root] != root)
            return false;
        for (uint32_t j = 0; j < count; j++) {
            members += labels[j] == labels[i];
            if ((labels[j] == labels[i]) != (union_find_root(forest, j) == root))
                return false;
        }
        if (forest->size[root] != members)
            return false;
    }
    return true;
}

static void
test_random(void)
{
    uint64_t seed = 7;
    uint32_t wrong = 0;

    for (int round = 0; round < 300; round++) {
        uint32_t count = 1 + unit_below(&seed, round % 10 == 0 ? MOST : 40),
                 joins = unit_below(&seed, 2 * count);
        uint32_t labels[MOST], *parent = malloc(count * sizeof *parent), *size = malloc(count * sizeof *size);
        union_find forest;

        if (parent == NULL || size == NULL)
            abort();
        union_find_init(&forest, parent, size, count);
        for (uint32_t i = 0; i < count; i++)
            labels[i] = i;
        for (uint32_t i = 0; i < joins; i++) {
            uint32_t a = unit_below(&seed, count), b = unit_below(&seed, count), root = UINT32_MAX;
            uint32_t size_a = size[union_find_root(&forest, a)], size_b = size[union_find_root(&forest, b)];
            uint32_t root_a = union_find_root(&forest, a), root_b = union_find_root(&forest, b), expected;
            bool joined = union_find_join(&forest, a, b, &root), apart = labels[a] != labels[b];
            uint32_t from = labels[a], to = labels[b];

            expected = size_a != size_b  ? (size_a > size_b ? root_a : root_b)
                       : root_a < root_b ? root_a
                                         : root_b;
            wrong += joined != apart || root != expected || root != union_find_root(&forest, a);
            for (uint32_t j = 0; j < count; j++)
                if (labels[j] == from)
                    labels[j] = to;
        }
        wrong += !agrees(&forest, labels, count);
        free(parent);
        free(size);
    }
    unit_ok(wrong == 0, "300 random forests: components, sizes, and which root remains");
}

/* The worst orders for a forest without balance; with it a million joins take no time. */
static void
test_long(void)
{
    const uint32_t count = 1 << 20;
    uint32_t *parent = malloc(count * sizeof *parent), *size = malloc(count * sizeof *size), deepest = 0,
             root;
    union_find forest;

    if (parent == NULL || size == NULL)
        abort();
    union_find_init(&forest, parent, size, count);
    for (uint32_t step = 1; step < count; step *= 2) /* roots meet roots: the deepest trees there are */
        for (uint32_t i = 0; i < count; i += 2 * step)
            (void)union_find_join(&forest, i, i + step, &root);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t depth = 0;

        for (uint32_t x = i; parent[x] != x; x = parent[x])
            depth++;
        if (depth > deepest)
            deepest = depth;
    }
    unit_ok(deepest <= 20 && size[union_find_root(&forest, 0)] == count,
            "a tree of a million is at most 20 deep");
    union_find_init(&forest, parent, size, count);
    for (uint32_t i = count - 1; i > 0; i--)
        (void)union_find_join(&forest, i, i - 1, &root);
    unit_ok(size[union_find_root(&forest, count / 2)] == count, "a chain from its end");
    union_find_init(&forest, parent, size, 0);
    unit_ok(forest.count == 0, "no members");
    free(parent);
    free(size);
}

int
main(void)
{
    test_random();
    test_long();
    return unit_done();
}
