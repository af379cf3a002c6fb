/*
 * distillation.c: see distillation.h.
 */
#include "compat.h"

#include "engine/distillation.h"
#include "utils/memutils.h"

#define MOST_RANDOM_CASES 100000
#define RANDOM_CASES_SHARE 0.2 /* of the candidates' number */

static void
add_case(logistic_case **cases, size_t *count, size_t *allocated, uint64 pattern, double pairs, double match)
{
    if (*count == *allocated) {
        *allocated = Max(*allocated * 2, 4096);
        *cases = *cases == NULL ? palloc(*allocated * sizeof(logistic_case))
                                : repalloc_huge(*cases, *allocated * sizeof(logistic_case));
    }
    (*cases)[(*count)++] = (logistic_case){pattern, pairs, match};
}

/* Whether a comparison that counts in the session has a value on both sides. */
static bool
says_something(const scorer *layout, const em_session *session, uint64 pattern)
{
    for (int c = 0; c < layout->comparison_count; c++)
        if (!(session->left_out >> c & 1) && pattern_level(&layout->comparisons[c], pattern) != LEVEL_MISSING)
            return true;
    return false;
}

const em_session *
distillation_judge(const match_run *run, const em_session *sessions, int rule)
{
    uint32 every = (uint32)((UINT64_C(1) << run->scorer.comparison_count) - 1);
    int best = rule;

    if ((every & ~sessions[rule].left_out) != 0)
        return &sessions[rule];
    for (int r = 0; r < run->spec->rule_count; r++)
        if (sessions[r].pattern_count > 0 &&
            __builtin_popcount(sessions[r].left_out) < __builtin_popcount(sessions[best].left_out))
            best = r;
    return &sessions[best];
}

logistic_case *
distillation_cases(match_run *run, const scorer *layout, const distilled_pairs *pairs,
                   const em_session *sessions, const em_parameters *parameters, size_t *candidate_count,
                   size_t *count)
{
    logistic_case *cases = NULL;
    size_t allocated = 0;
    double candidates = 0, strangers = 0;

    *count = 0;
    for (int r = 0; r < run->spec->rule_count; r++) {
        const em_session *judge = distillation_judge(run, sessions, r);
        const pattern_count *patterns = pairs->found[r];
        double *matches = palloc(Max(pairs->found_count[r], 1) * sizeof(double));

        em_match_probabilities(layout, parameters, judge, patterns, pairs->found_count[r], matches);
        for (size_t i = 0; i < pairs->found_count[r]; i++) {
            if (!says_something(&run->scorer, judge, patterns[i].pattern))
                continue;
            candidates += patterns[i].count;
            add_case(&cases, count, &allocated, patterns[i].pattern, patterns[i].count, matches[i]);
        }
        pfree(matches);
    }
    *candidate_count = *count;
    for (size_t i = 0; i < pairs->random_count; i++)
        strangers += pairs->random[i].count;
    for (size_t i = 0; i < pairs->random_count && pairs->random_count < MOST_RANDOM_CASES; i++)
        add_case(&cases, count, &allocated, pairs->random[i].pattern,
                 pairs->random[i].count / strangers * RANDOM_CASES_SHARE * candidates, 0);
    return cases;
}
