/*
 * origin_column.c: see origin_column.h. Each vendor lists a product once, so that what is equal in name
 * differs in vendor. EM, which has nothing but the two to go by, would take agreement in vendor for a mark of
 * matches. Of more columns it learns by itself what such a one is worth; and there it may be what tells
 * editions of one title apart.
 */
#include "compat.h"

#include "engine/origin_column.h"

#define LEAST_BY_CHANCE 0.03 /* of all pairs, that agree in a column with few values */
#define MOST_DIFFERENT 0.5   /* different values in it for each of its records */
#define FAR_RARER 3       /* times as often as two records are equal in it they are in the other, at most */
#define LEAST_PAIRS 30    /* of records that are equal in the other column */
#define LEAST_EXPECTED 10 /* of these, that would agree by chance */
#define FAR_LESS 0.5      /* times what chance alone would bring */

/* What two records have in the two columns. */
typedef struct value_pair {
    uint32 other, origin;
} value_pair;

static int
compare_values(const void *x, const void *y)
{
    const value_pair *p = x, *q = y;

    if (p->other != q->other)
        return p->other < q->other ? -1 : 1;
    return p->origin < q->origin ? -1 : p->origin > q->origin;
}

static double
pairs_of(size_t records)
{
    return records * (records - 1.0) / 2;
}

static bool
differs_where_other_is_equal(const record_store *store, int origin, int other, double by_chance)
{
    value_pair *values = MemoryContextAllocHuge(CurrentMemoryContext,
                                                mul_size(Max(store->records.count, 1), sizeof(value_pair)));
    size_t count = 0, equal = 0, agreeing = 0; /* equal: where those begin */
    double pairs = 0, agree = 0;

    for (uint32 record = 0; record < store->records.count; record++) {
        const uint32 *row = record_row(&store->records, record);

        if (row[other] != 0 && row[origin] != 0)
            values[count++] = (value_pair){row[other], row[origin]};
    }
    qsort(values, count, sizeof(value_pair), compare_values);
    for (size_t i = 1; i <= count; i++) {
        bool same_other = i < count && values[i].other == values[i - 1].other;

        if (!same_other || values[i].origin != values[i - 1].origin) {
            agree += pairs_of(i - agreeing);
            agreeing = i;
        }
        if (!same_other) {
            pairs += pairs_of(i - equal);
            equal = i;
        }
    }
    pfree(values);
    return pairs >= LEAST_PAIRS && pairs * by_chance >= LEAST_EXPECTED &&
           agree < FAR_LESS * pairs * by_chance;
}

void
origin_column_find(const record_store *store, column_profile *profiles, int count)
{
    int useful[2], found = 0;

    if (store->source_slot >= 0)
        return;
    for (int i = 0; i < count; i++) {
        if (profiles[i].kind == KIND_EMPTY || profiles[i].repeats)
            continue;
        if (found == 2 || profiles[i].is_group || profiles[i].is_list)
            return;
        useful[found++] = i;
    }
    for (int i = 0; found == 2 && i < 2; i++) {
        const column_profile *origin = &profiles[useful[i]], *other = &profiles[useful[1 - i]];

        if (origin->equal_share >= LEAST_BY_CHANCE && share_different(origin) < MOST_DIFFERENT &&
            other->equal_share * FAR_RARER < origin->equal_share &&
            differs_where_other_is_equal(store, useful[i], useful[1 - i], origin->equal_share)) {
            profiles[useful[i]].repeats = true;
            return;
        }
    }
}
