/*
 * test_utf8.c: code points of UTF-8, with and without vectors, of texts whose code points are known and of
 * bytes that are no UTF-8. The texts are allocated to size: overruns show.
 */
#include <stdlib.h>

#include "kernel/utf8.h"
#include "unit.h"

#define MOST_CHARACTERS 70

/* kind: the longest characters there are, 1 to 4 bytes; every third character may be shorter. */
static uint32_t
random_point(uint64_t *seed, uint32_t kind)
{
    static const uint32_t first[] = {0, 0x80, 0x800, 0x10000}, last[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    uint32_t size = unit_below(seed, 3) == 0 ? unit_below(seed, kind) : kind - 1;

    switch (unit_below(seed, 8)) {
    case 0:
        return first[size];
    case 1:
        return last[size];
    default:
        return first[size] + unit_below(seed, last[size] - first[size] + 1);
    }
}

typedef struct decoded {
    uint32_t points[4 * MOST_CHARACTERS + UTF8_ROOM], bits;
    size_t count;
} decoded;

static bool
same(const decoded *a, const uint32_t *points, size_t count)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < count; i++)
        bits |= points[i];
    return a->count == count && a->bits == bits && memcmp(a->points, points, count * sizeof *points) == 0;
}

int
main(void)
{
    uint64_t seed = 7;
    bool known = true, known_single = true, broken = true;

    for (uint32_t round = 0; round < 300000; round++) {
        uint32_t kind = 1 + unit_below(&seed, 4),
                 length = unit_below(&seed, (round % 5 == 0 ? MOST_CHARACTERS : 20) + 1);
        uint32_t points[MOST_CHARACTERS];
        uint8_t bytes[4 * MOST_CHARACTERS], *text;
        size_t size = 0;
        decoded of_all, of_single;

        for (uint32_t i = 0; i < length; i++) {
            points[i] = random_point(&seed, kind);
            size += unit_encode(points[i], bytes + size);
        }
        text = malloc(size + (size == 0));
        memcpy(text, bytes, size);
        of_all.count = utf8_code_points(text, size, of_all.points, &of_all.bits);
        of_single.count = utf8_code_points_single(text, size, of_single.points, &of_single.bits);
        known &= same(&of_all, points, length);
        known_single &= same(&of_single, points, length);

        /* Some bytes changed: what was a character may be none. */
        for (uint32_t i = 0; size > 0 && i <= unit_below(&seed, 4); i++)
            text[unit_below(&seed, (uint32_t)size)] = (uint8_t)unit_below(&seed, 256);
        of_all.count = utf8_code_points(text, size, of_all.points, &of_all.bits);
        of_single.count = utf8_code_points_single(text, size, of_single.points, &of_single.bits);
        broken &= same(&of_all, of_single.points, of_single.count);
        free(text);
    }
    unit_ok(known, "code points are those that were encoded");
    unit_ok(known_single, "the same without vectors");
    unit_ok(broken, "bytes that are no UTF-8 are the same with vectors and without");
    return unit_done();
}
