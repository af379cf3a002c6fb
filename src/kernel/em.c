/*
 * em.c: expectation maximisation over agreement patterns; see em.h.
 */
#include "kernel/em.h"

#include <string.h>

#define M_PSEUDO_MATCHES 2.0 /* weight of the start values, in matches: decides only where data are scarce */

/* Product of m/u over the comparisons that count and have a value on both sides. */
static double
likelihood_ratio(const scorer *layout, const em_parameters *parameters, uint64_t pattern, uint32_t left_out)
{
    double ratio = 1.0;

    for (int c = 0; c < layout->comparison_count; c++) {
        int level = pattern_level(&layout->comparisons[c], pattern);

        if (level != LEVEL_MISSING && !(left_out >> c & 1))
            ratio *= parameters->m[c][level] / parameters->u[c][level];
    }
    return ratio;
}

static double
posterior(double prior, double ratio)
{
    double odds = prior / (1.0 - prior) * ratio;

    return odds > 1e300 ? 1.0 : odds / (1.0 + odds);
}

static double
expectation(const scorer *layout, const em_parameters *parameters, em_session *session,
            double sums[MAX_COMPARISONS][MAX_LEVELS])
{
    double matches = 0, pairs = 0;

    for (size_t i = 0; i < session->pattern_count; i++) {
        const pattern_count *entry = &session->patterns[i];
        double match = entry->count * posterior(session->match_share, likelihood_ratio(layout, parameters, entry->pattern,
                                                                                       session->left_out));

        matches += match;
        pairs += entry->count;
        for (int c = 0; c < layout->comparison_count; c++)
            if (!(session->left_out >> c & 1))
                sums[c][pattern_level(&layout->comparisons[c], entry->pattern)] += match;
    }
    return pairs > 0 ? matches / pairs : session->match_share;
}

static double
clamp_share(double share)
{
    return share < 1e-9 ? 1e-9 : share > 1.0 - 1e-9 ? 1.0 - 1e-9 : share;
}

bool
em_train(const scorer *layout, em_session *sessions, int session_count, int max_iterations, double tolerance,
         const em_parameters *start, em_parameters *parameters, em_report *report)
{
    memset(report, 0, sizeof *report);
    for (report->iterations = 1; report->iterations <= max_iterations; report->iterations++) {
        double sums[MAX_COMPARISONS][MAX_LEVELS] = {{0}};

        report->last_change = 0;
        for (int s = 0; s < session_count; s++)
            sessions[s].match_share = clamp_share(expectation(layout, parameters, &sessions[s], sums));

        for (int c = 0; c < layout->comparison_count; c++) {
            double total = 0;

            for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
                total += sums[c][level];
            report->expected_matches[c] = total;
            for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++) {
                double m = (sums[c][level] + M_PSEUDO_MATCHES * start->m[c][level]) / (total + M_PSEUDO_MATCHES);
                double change = m > parameters->m[c][level] ? m - parameters->m[c][level] : parameters->m[c][level] - m;

                if (change > report->last_change)
                    report->last_change = change;
                parameters->m[c][level] = m;
            }
        }
        if (report->last_change < tolerance)
            return true;
    }
    report->iterations = max_iterations;
    return false;
}

double
em_match_prior(const scorer *layout, const em_parameters *parameters, const pattern_count *patterns, size_t count,
               double all_pairs, double start)
{
    double matches = start;

    for (int iteration = 0; iteration < 1000; iteration++) {
        double prior = clamp_share(matches / all_pairs), sum = 0;

        for (size_t i = 0; i < count; i++)
            sum += patterns[i].count *
                   posterior(prior, likelihood_ratio(layout, parameters, patterns[i].pattern, 0));
        if (sum < 0.5)
            sum = 0.5;
        if ((sum > matches ? sum - matches : matches - sum) <= 1e-7 * matches) {
            matches = sum;
            break;
        }
        matches = sum;
    }
    return matches / all_pairs;
}
