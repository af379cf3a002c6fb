/*
 * equal_names.c: see equal_names.h.
 */
#include "compat.h"

#include "engine/compared_columns.h"
#include "engine/equal_names.h"
#include "engine/label_comparisons.h"
#include "engine/mixed.h"
#include "engine/value_summary.h"

#define MOST_COLUMNS 2      /* that are compared */
#define MORE_THAN_CHANCE 2. /* times as many strangers have both words as if these were independent */
#define LEAST_RECORDS 50    /* with a name of several words, and the share of those with a name */
#define LEAST_OF_WORDS 0.5

/* The share of pairs of records with the same word, less what falls on one place by chance. */
static double
share_of_pairs(const uint32 *records, double all)
{
    double pairs = 0, by_chance = 1.0 / WORD_PLACES;

    for (uint32 place = 0; place < WORD_PLACES; place++)
        pairs += (double)records[place] * (records[place] - 1.0);
    return Max(pairs / (all * (all - 1.0)) - by_chance, 0) / (1.0 - by_chance);
}

equal_names
equal_names_find(match_run *run)
{
    equal_names found = {-1, 0};
    uint32 names = compared_columns(run->spec) <= MOST_COLUMNS ? mixed_given_names(run, PG_UINT32_MAX) : 0;

    for (int c = 0; c < label_comparisons_first(run->spec) && found.comparison < 0; c++) {
        const value_summary *values;
        const word_places *words;
        double filled, several;

        if (!(names >> c & 1) || run->spec->comparisons[c].method != METHOD_NAMES ||
            run->spec->comparisons[c].elements != ELEMENTS_NONE)
            continue;
        values = value_summary_of(run, run->comparison_slots[c]);
        words = values->words;
        filled = values->filled / words->one_counted;
        several = words->records;
        if (several < LEAST_RECORDS || several < LEAST_OF_WORDS * filled)
            continue;
        found.comparison = c;
        /* Of names of one word nothing is known: any may be two persons'. */
        found.share = (MORE_THAN_CHANCE * share_of_pairs(words->first, several) *
                           share_of_pairs(words->last, several) * several * several / 2 +
                       (double)words->equal_of_word / (double)words->one_counted) /
                      (filled * filled / 2);
        found.share = Max(found.share, 2.0 / (values->filled * values->filled));
    }
    return found;
}

void
equal_names_bound(const match_run *run, const equal_names *names, em_parameters *parameters)
{
    double *u;

    if (names->comparison < 0)
        return;
    u = parameters->u[names->comparison];
    if (u[LEVEL_EXACT] <= names->share || u[LEVEL_EXACT] >= 1.0)
        return;
    for (int level = run->scorer.comparisons[names->comparison].level_count; level > LEVEL_EXACT; level--)
        u[level] *= (1.0 - names->share) / (1.0 - u[LEVEL_EXACT]);
    u[LEVEL_EXACT] = names->share;
}
