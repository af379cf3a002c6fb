/*
 * text_alone.c: see text_alone.h.
 */
#include "compat.h"

#include "engine/label_comparisons.h"
#include "engine/text_alone.h"

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

uint32
text_alone_non_matches(const match_run *run, em_session *session, em_parameters *parameters)
{
    const comparison *comparison = &run->scorer.comparisons[0];
    int levels = comparison->level_count,
        top = levels - 1; /* the level that strangers are most often met at */
    double counts[MAX_LEVELS] = {0}, matches[MAX_LEVELS] = {0};
    double expected, factor, strangers = 0, found = 0;

    if (!method_weighs_terms(comparison->method) || levels < LEAST_TEXT_LEVELS ||
        (session->left_out & ~label_comparisons_mask(run->spec)) != 0)
        return 0;
    for (size_t k = 0; k < session->pattern_count; k++)
        counts[pattern_level(comparison, session->patterns[k].pattern)] += session->patterns[k].count;
    /* Names of persons have so many neighbours that none of the nearest is as far away as most strangers are.
     */
    while (top > (levels + 1) / 2 && counts[top - 1] > CLEARLY_MORE * counts[top])
        top--;
    factor = (counts[top - 1] + 1.0) / (counts[top] + 2.0);
    factor = Max(Min(factor, MOST_TEXT_FACTOR), LEAST_TEXT_FACTOR);
    expected = counts[top] + 1.0;
    for (int level = levels; level >= top; level--) {
        session->u[0][level] = counts[level] + 1.0;
        matches[level] = LEAST_TEXT_MATCHES;
    }
    for (int level = top - 1; level >= LEVEL_EXACT; level--) {
        expected = Min(expected * factor, counts[level] + 1.0);
        session->u[0][level] = expected;
        matches[level] = Max(counts[level] - expected, 0) + LEAST_TEXT_MATCHES;
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
