/*
 * average_linkage.c: see average_linkage.h. Average linkage (Sokal & Michener 1958), where the weights of
 * pairs that blocking did not find count too.
 *
 * A pair without a value to compare is no evidence, and one with few has little: its weight is next to the
 * prior, far below any threshold, though nothing speaks against it. Records of one group are taken for one
 * thing, and what one of them lacks another may have. So what a pair has no values for it takes from the
 * pairs of the two groups that have, their mean. The first letters of a name that another record of the group
 * has in full are such a lack: "J Muir" is as much like Jim as it is like Jane, whom it is known to be.
 */
#include "compat.h"

#include "engine/average_linkage.h"
#include "engine/cluster.h"
#include "kernel/elements.h"

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

/* Whether another comparison has the words of the same values weighed by how rare they are. */
static bool
words_are_weighed(const match_run *run, int c)
{
    for (int other = 0; other < run->scorer.comparison_count; other++)
        if (run->scorer.comparisons[other].slot == run->scorer.comparisons[c].slot &&
            method_weighs_terms(run->scorer.comparisons[other].method))
            return true;
    return false;
}

/*
 * The comparisons of names in which a record has first letters of a name that another one of its group has in
 * full, as bits: alone it would speak for any name that begins like it.
 */
static uint32
abbreviated_comparisons(const match_run *run, const record_group *group, uint32 member)
{
    const uint32 *row = record_row(&run->store->records, group->members[member]);
    uint32 abbreviated = 0;

    for (int c = 0; c < run->scorer.comparison_count; c++) {
        const comparison *comparison = &run->scorer.comparisons[c];
        uint32 code = row[comparison->slot];

        if (comparison->method != METHOD_NAMES || comparison->elements != ELEMENTS_NONE || code == 0 ||
            words_are_weighed(run, c))
            continue;
        for (uint32 i = 0; i < group->count && !(abbreviated >> c & 1); i++) {
            uint32 other = record_row(&run->store->records, group->members[i])[comparison->slot];

            if (other != 0 && other != code &&
                names_abbreviates(comparison->values.texts[code], comparison->values.texts[other]))
                abbreviated |= (uint32)1 << c;
        }
    }
    return abbreviated;
}

/* What each record of a group has values for, and does not have in full, as bits by comparison. */
typedef struct group_values {
    uint32 filled[MEMBERS_LOOKED_AT];
} group_values;

/* Whether pairs of the two groups differ in what they have values for. */
static bool
lack_values(const match_run *run, const record_group *a, const record_group *b, group_values *of_a,
            group_values *of_b)
{
    uint32 any_a = 0, any_b = 0, all_a = PG_UINT32_MAX, all_b = PG_UINT32_MAX;

    for (uint32 i = 0; i < a->count; i++) {
        uint32 filled = of_a->filled[i] =
            filled_comparisons(run, a->members[i]) & ~abbreviated_comparisons(run, a, i);

        any_a |= filled;
        all_a &= filled;
    }
    for (uint32 i = 0; i < b->count; i++) {
        uint32 filled = of_b->filled[i] =
            filled_comparisons(run, b->members[i]) & ~abbreviated_comparisons(run, b, i);

        any_b |= filled;
        all_b &= filled;
    }
    return (any_a & any_b) != (all_a & all_b);
}

/* A pair of records of the two groups. */
typedef struct member_pair {
    const uint32 *a, *b;
    uint32 missing;    /* the comparisons that it has no values for, as bits */
    int64 least, most; /* between which its weight lies, without what it lacks */
} member_pair;

/* What is known of the pairs of two groups before all of them are measured. */
typedef struct pair_weights {
    uint32 count;
    member_pair pairs[MEMBERS_LOOKED_AT * MEMBERS_LOOKED_AT];
    int64 said[MAX_COMPARISONS];                         /* pairs with values for the comparison */
    int64 least[MAX_COMPARISONS], most[MAX_COMPARISONS]; /* between which the sum of what they say lies */
    int64 least_inexact[MAX_COMPARISONS]; /* that one of them can say when the values are not the same */
} pair_weights;

static int64
least_inexact(const comparison *comparison)
{
    int64 least = comparison->weights[2];

    if (comparison->part_of != 0)
        least = Min(least, Min(comparison->weights[LEVEL_EXACT], 0));
    for (int level = 3; level <= comparison->level_count; level++)
        least = Min(least, comparison->weights[level]);
    /* A common element or word takes off what it takes off. */
    if (comparison->values.words != NULL)
        least += Min(comparison->values.words->least_weight, 0);
    else if (comparison->values.elements != NULL && comparison->values.elements->weights != NULL)
        least += Min(comparison->values.elements->least_weight, 0);
    return least;
}

static void
add_pair(const scorer *scorer, const uint32 *a, const uint32 *b, uint32 filled, pair_weights *weights)
{
    member_pair *pair = &weights->pairs[weights->count++];

    *pair = (member_pair){a, b, 0, scorer->prior_weight, scorer->prior_weight};
    for (int c = 0; c < scorer->comparison_count; c++) {
        const comparison *comparison = &scorer->comparisons[c];
        uint32 code_a = a[comparison->slot], code_b = b[comparison->slot];
        int64 least, most;

        if (!(filled >> c & 1)) {
            pair->missing |= (uint32)1 << c;
            continue;
        }
        if (comparison->part_of != 0) {
            least = weights->least_inexact[c];
            most = comparison->best_inexact;
        } else if (code_a == code_b)
            least = most = (int64)comparison->weights[LEVEL_EXACT] +
                           comparison_rarity(comparison, code_a, code_b, LEVEL_EXACT);
        else {
            least = weights->least_inexact[c];
            most = comparison->best_inexact;
        }
        pair->least += least;
        pair->most += most;
        weights->least[c] += least;
        weights->most[c] += most;
        weights->said[c]++;
    }
}

/* Finds out what a pair weighs. */
static kernel_status
measure_pair(const scorer *scorer, comparison_thread *thread, uint32 i, pair_weights *weights)
{
    member_pair *pair = &weights->pairs[i];
    bool qualifies;
    int64 weight;
    uint64 pattern;
    kernel_status status =
        scorer_score(scorer, pair->a, pair->b, PG_INT64_MIN, thread, &qualifies, &weight, &pattern);

    if (status != KERNEL_OK)
        return status;
    pair->least = pair->most = weight;
    for (int c = 0; c < scorer->comparison_count; c++) {
        const comparison *comparison = &scorer->comparisons[c];
        uint32 code_a = pair->a[comparison->slot], code_b = pair->b[comparison->slot];
        int level = pattern_level(comparison, pattern);
        int64 says;

        if (pair->missing >> c & 1) { /* its first letters are taken back */
            if (code_a != 0 && code_b != 0)
                pair->least = pair->most -=
                    (int64)comparison->weights[level] + comparison_rarity(comparison, code_a, code_b, level);
            continue;
        }
        if (comparison->part_of == 0 && (level == LEVEL_MISSING || level == LEVEL_EXACT))
            continue;
        if (code_a == 0 || code_b == 0)
            continue;
        says = (int64)comparison->weights[level] + comparison_rarity(comparison, code_a, code_b, level);
        weights->least[c] += says - weights->least_inexact[c];
        weights->most[c] += says - comparison->best_inexact;
    }
    return KERNEL_OK;
}

/* The evidence of all pairs with what they lack from the others, if each says the least it can, or the most.
 */
static int64
completed_evidence(const scorer *scorer, const pair_weights *weights, int64 zero, bool most)
{
    int64 means[MAX_COMPARISONS], sum = 0;

    for (int c = 0; c < scorer->comparison_count; c++)
        means[c] =
            weights->said[c] == 0 ? 0 : (most ? weights->most[c] : weights->least[c]) / weights->said[c];
    for (uint32 i = 0; i < weights->count; i++) {
        const member_pair *pair = &weights->pairs[i];
        int64 weight = most ? pair->most : pair->least;

        for (uint32 missing = pair->missing; missing != 0; missing &= missing - 1)
            weight += means[__builtin_ctz(missing)];
        sum += Max(Min(weight - zero, MOST_EVIDENCE), -MOST_EVIDENCE);
    }
    return sum;
}

/*
 * Pairs with what they lack from the others. The more a pair says, the more say those that take from it, so
 * what the pairs can say at least and at most bounds the sum: most are decided before a text is compared.
 * Of many pairs the bounds are asked for when twice as many were measured.
 */
static kernel_status
alike_completed(match_run *run, const record_group *a, const record_group *b, const group_values *of_a,
                const group_values *of_b, int64 zero, int thread, bool *alike)
{
    const scorer *scorer = &run->scorer;
    pair_weights weights;
    int64 least;

    weights.count = 0;
    for (int c = 0; c < scorer->comparison_count; c++) {
        weights.said[c] = weights.least[c] = weights.most[c] = 0;
        weights.least_inexact[c] = least_inexact(&scorer->comparisons[c]);
    }
    for (uint32 i = 0; i < a->count; i++)
        for (uint32 j = 0; j < b->count; j++)
            add_pair(scorer, record_row(&run->store->records, a->members[i]),
                     record_row(&run->store->records, b->members[j]), of_a->filled[i] & of_b->filled[j],
                     &weights);
    for (uint32 measured = 0, next = 0;; measured++) {
        kernel_status status;

        if (measured == next || measured == weights.count) {
            least = completed_evidence(scorer, &weights, zero, false);
            if (least >= 0 || completed_evidence(scorer, &weights, zero, true) < 0)
                break;
            next = Max(2 * measured, 1);
        }
        status = measure_pair(scorer, &run->thread_memory[thread], measured, &weights);
        if (status != KERNEL_OK)
            return status;
    }
    *alike = least >= 0;
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
    group_values of_a, of_b;

    *alike = true;
    if (a->count == 1 && b->count == 1)
        return KERNEL_OK;
    return lack_values(run, a, b, &of_a, &of_b)
               ? alike_completed(run, a, b, &of_a, &of_b, zero, thread, alike)
               : alike_as_they_are(run, link, a, b, zero, thread, alike);
}
