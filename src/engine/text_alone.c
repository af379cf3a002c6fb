/*
 * text_alone.c: see text_alone.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/label_comparisons.h"
#include "engine/text_alone.h"
#include "engine/value_summary.h"

#define LEAST_TEXT_LEVELS 6    /* of a text alone, for its non-matches to be seen */
#define LEAST_TEXT_MATCHES 0.5 /* of each level */
#define MOST_TEXT_FACTOR 0.6
#define LEAST_TEXT_FACTOR 0.1
#define CLEARLY_MORE 1.5 /* pairs of a level than of the next lower one */
#define TEXT_START 0.7
#define TEXT_START_ELSE 0.03

void
text_alone_start(double *m, int levels)
{
    double share = 1.0, sum = 0;

    for (int level = LEVEL_EXACT; level < levels; level++, share *= TEXT_START)
        sum += m[level] = share;
    for (int level = LEVEL_EXACT; level < levels; level++)
        m[level] *= (1.0 - TEXT_START_ELSE) / sum;
    m[levels] = TEXT_START_ELSE;
}

static bool
compares_names(const match_run *run)
{
    for (int c = 0; c < run->scorer.comparison_count; c++)
        if (run->scorer.comparisons[c].method == METHOD_NAMES)
            return true;
    return false;
}

/*
 * Of the candidates of each level, those that are non-matches. all: by level, all pairs, found or not. Beside
 * the words of names of persons, which say the same, EM does better with what is seen in the candidates.
 */
static void
expect_non_matches(const double *counts, const double *all, bool beside_names, int levels, double *expected)
{
    int top = levels - 2; /* matches are next to none from here on */
    double factor, left;

    if (beside_names) {
        all = counts;
        top = levels - 1; /* the level that strangers are most often met at */
        while (top > (levels + 1) / 2 && counts[top - 1] > CLEARLY_MORE * counts[top])
            top--;
        factor = (all[top - 1] + 1.0) / (all[top] + 2.0);
    } else
        factor = sqrt((all[top - 1] + 1.0) / (all[top + 1] + 2.0));
    factor = Max(Min(factor, MOST_TEXT_FACTOR), LEAST_TEXT_FACTOR);
    left = all[top] + 1.0;
    for (int level = levels; level >= top; level--)
        expected[level] = counts[level] + 1.0;
    for (int level = top - 1; level >= LEVEL_EXACT; level--) {
        left = Min(left * factor, all[level] + 1.0);
        expected[level] = (counts[level] + 1.0) * left / (all[level] + 1.0);
    }
}

uint32
text_alone_non_matches(match_run *run, em_session *session, em_parameters *parameters, const double *shares,
                       double pairs)
{
    const comparison *comparison = &run->scorer.comparisons[0];
    int levels = comparison->level_count;
    double counts[MAX_LEVELS] = {0}, all[MAX_LEVELS], expected[MAX_LEVELS], matches[MAX_LEVELS];
    double filled = value_summary_of(run, run->comparison_slots[0])->filled / run->store->records.count;
    double strangers = 0, found = 0;

    if (!method_weighs_terms(comparison->method) || levels < LEAST_TEXT_LEVELS ||
        (session->left_out & ~label_comparisons_mask(run->spec)) != 0)
        return 0;
    for (size_t k = 0; k < session->pattern_count; k++)
        counts[pattern_level(comparison, session->patterns[k].pattern)] += session->patterns[k].count;
    for (int level = LEVEL_EXACT; level <= levels; level++)
        all[level] = Max(shares[level] * pairs * filled * filled, counts[level]);
    expect_non_matches(counts, all, compares_names(run), levels, expected);
    for (int level = LEVEL_EXACT; level <= levels; level++) {
        session->u[0][level] = expected[level];
        matches[level] = Max(counts[level] - expected[level], 0) + LEAST_TEXT_MATCHES;
    }
    for (int level = LEVEL_EXACT; level <= levels; level++) {
        strangers += session->u[0][level];
        found += matches[level];
    }
    for (int level = LEVEL_EXACT; level <= levels; level++)
        session->u[0][level] /= strangers;
    if (label_comparisons_first(run->spec) == 1) {
        session->match_share = found / (found + strangers);
        for (int level = LEVEL_EXACT; level <= levels; level++)
            parameters->m[0][level] = matches[level] / found;
    }
    return 1;
}
