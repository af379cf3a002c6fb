/*
 * average_linkage.c: see average_linkage.h. Average linkage (Sokal & Michener 1958), where the weights of
 * pairs that blocking did not find count too.
 *
 * A pair without a value to compare is no evidence, and one with few has little: its weight is next to the
 * prior, far below any threshold, though nothing speaks against it. Records of one group are taken for one
 * thing, and what one of them lacks another may have. So what a pair has no values for it takes from the
 * pairs of the two groups that have, their mean.
 */
#include "compat.h"

#include "engine/average_linkage.h"
#include "engine/cluster.h"

#define AVERAGE_SLACK (3 * WEIGHT_UNITS)  /* that the average may stay below the threshold */
#define MOST_EVIDENCE (10 * WEIGHT_UNITS) /* that one pair has about two groups */

/* The comparisons of which a record has a value, as bits. */
static uint32
filled_comparisons(const match_run *run, uint32 record)
{
    const uint32 *row = record_row(&run->store->records, record);
    uint32 filled = 0;

    for (int c = 0; c < run->scorer.comparison_count; c++)
        filled |= (uint32)(row[run->scorer.comparisons[c].slot] != 0) << c;
    return filled;
}

/* Whether pairs of the two groups differ in what they have values for. */
static bool
lack_values(const match_run *run, const record_group *a, const record_group *b)
{
    uint32 any_a = 0, any_b = 0, all_a = PG_UINT32_MAX, all_b = PG_UINT32_MAX;

    for (uint32 i = 0; i < a->count; i++) {
        uint32 filled = filled_comparisons(run, a->members[i]);

        any_a |= filled;
        all_a &= filled;
    }
    for (uint32 i = 0; i < b->count; i++) {
        uint32 filled = filled_comparisons(run, b->members[i]);

        any_b |= filled;
        all_b &= filled;
    }
    return (any_a & any_b) != (all_a & all_b);
}

/* What the pairs of two groups weigh in each comparison. */
typedef struct said_weights {
    int64 sum[MAX_COMPARISONS];
    int64 pairs[MAX_COMPARISONS]; /* that have values on both sides */
} said_weights;

static void
add_said(const scorer *scorer, const uint32 *a, const uint32 *b, uint64 pattern, said_weights *said)
{
    for (int c = 0; c < scorer->comparison_count; c++) {
        const comparison *comparison = &scorer->comparisons[c];
        int level = pattern_level(comparison, pattern);

        if (level == LEVEL_MISSING)
            continue;
        said->sum[c] += comparison->weights[level] +
                        comparison_rarity(comparison, a[comparison->slot], b[comparison->slot], level);
        said->pairs[c]++;
    }
}

/* Pairs with what they lack from the others. */
static kernel_status
alike_completed(match_run *run, const record_group *a, const record_group *b, int64 zero, int thread,
                bool *alike)
{
    const scorer *scorer = &run->scorer;
    int64 weights[MEMBERS_LOOKED_AT * MEMBERS_LOOKED_AT], sum = 0;
    uint64 patterns[MEMBERS_LOOKED_AT * MEMBERS_LOOKED_AT];
    said_weights said = {{0}};
    uint32 count = 0;

    for (uint32 i = 0; i < a->count; i++) {
        const uint32 *row_a = record_row(&run->store->records, a->members[i]);

        for (uint32 j = 0; j < b->count; j++, count++) {
            const uint32 *row_b = record_row(&run->store->records, b->members[j]);
            bool qualifies;
            kernel_status status =
                scorer_score(scorer, row_a, row_b, PG_INT64_MIN, &run->thread_memory[thread], &qualifies,
                             &weights[count], &patterns[count]);

            if (status != KERNEL_OK)
                return status;
            add_said(scorer, row_a, row_b, patterns[count], &said);
        }
    }
    for (uint32 i = 0; i < count; i++) {
        for (int c = 0; c < scorer->comparison_count; c++)
            if (said.pairs[c] > 0 && pattern_level(&scorer->comparisons[c], patterns[i]) == LEVEL_MISSING)
                weights[i] += said.sum[c] / said.pairs[c];
        sum += Max(Min(weights[i] - zero, MOST_EVIDENCE), -MOST_EVIDENCE);
    }
    *alike = sum >= 0;
    return KERNEL_OK;
}

/*
 * Only the sign of a sum is asked for: it is known as soon as what is left cannot change it, and a weight is
 * needed no further than it can change it. The link between them, whose weight is known, comes first.
 */
static kernel_status
alike_as_they_are(match_run *run, const keyed_record *link, const record_group *a, const record_group *b,
                  int64 zero, int thread, bool *alike)
{
    int64 sum = 0, left = (int64)a->count * b->count * MOST_EVIDENCE; /* left: evidence there can still be */
    uint32 known_a = 0, known_b = 0;

    while (known_a < a->count && a->members[known_a] != link->record)
        known_a++;
    while (known_b < b->count && b->members[known_b] != link->extra)
        known_b++;
    if (known_a < a->count && known_b < b->count) {
        sum = Min(link_weight(link) - zero, MOST_EVIDENCE);
        left -= MOST_EVIDENCE;
    }
    for (uint32 i = 0; i < a->count; i++) {
        for (uint32 j = 0; j < b->count && sum + left >= 0 && sum < left; j++) {
            int64 weight, least;
            kernel_status status;

            if (i == known_a && j == known_b)
                continue;
            left -= MOST_EVIDENCE;
            least = Max(-MOST_EVIDENCE, -1 - (sum + left));
            status = match_run_weigh_pair(run, a->members[i], b->members[j], zero + least, thread, &weight);
            if (status != KERNEL_OK)
                return status;
            sum += Min(weight - zero, MOST_EVIDENCE);
        }
    }
    *alike = sum >= left;
    return KERNEL_OK;
}

kernel_status
average_linkage_alike(match_run *run, const keyed_record *link, const record_group *a, const record_group *b,
                      int64 least_weight, int thread, bool *alike)
{
    int64 zero = least_weight - AVERAGE_SLACK;

    *alike = true;
    if (a->count == 1 && b->count == 1)
        return KERNEL_OK;
    return lack_values(run, a, b) ? alike_completed(run, a, b, zero, thread, alike)
                                  : alike_as_they_are(run, link, a, b, zero, thread, alike);
}
