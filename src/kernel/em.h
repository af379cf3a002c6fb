/*
 * em.h: the probabilities m and u of each level, learnt without labels.
 *
 * Fellegi & Sunter (1969) with expectation maximisation (Dempster, Laird & Rubin 1977; Winkler 1988) over
 * counts of agreement patterns, so its cost does not depend on the number of pairs. It works on the pairs of
 * all blocking rules at once. The m of a comparison are common to all rules. Each rule has its own share of
 * matches and its own u, which starts at that of random pairs: two non-matches with the same name have more
 * in common than two strangers, and what they have must not be taken for a match. A comparison whose
 * attribute a rule blocks on is left out of that rule's evidence, because there it agrees by construction.
 *
 * Non-matches of a rule may be of two kinds: strangers, and related ones (people of one household, versions
 * of one product) that agree in some attributes together. The related begin with next to no share and take
 * what fits them far better; without them what relatives have in common would be taken for a mark of matches.
 *
 * Of two comparisons that say the same (postcode and city), one may be made to say nothing where the other
 * has values: taken for independent they would count twice.
 *
 * What a rule finds teaches m by the square root of its share of matches: where matches are rare, what EM
 * takes for them is the least certain.
 */
#ifndef MASTERING_KERNEL_EM_H
#define MASTERING_KERNEL_EM_H

#include "kernel/comparison.h"
#include "kernel/pattern_tables.h"

typedef struct em_session {
    const pattern_count *patterns; /* in ascending order of pattern, so that sums have one order */
    size_t pattern_count;
    uint32_t left_out;    /* bit c: comparison c says nothing here */
    double match_share;   /* in and out: matches among the pairs of this rule */
    double related_share; /* in and out; 0: there are none */
    double (
        *related)[MAX_LEVELS]; /* in and out, by comparison: levels among the related; NULL: there are none */
    int bounded;       /* 1 + a comparison of which it is known how many non-matches can be equal in it: */
    double most_equal; /* so many; where the comparison is left out, all pairs are equal in it */
    uint32_t u_known;  /* bit c: u of comparison c stays as it is */
    double (*u)[MAX_LEVELS]; /* in and out, by comparison: levels among the non-matches of this rule */
    double pairs, all[MAX_COMPARISONS][MAX_LEVELS]; /* in all, and by level */
    double sums[MAX_COMPARISONS][MAX_LEVELS]; /* of an iteration: its matches, by how much they teach, */
    double taught[MAX_COMPARISONS];           /* and those that have a value on both sides */
} em_session;

typedef struct em_parameters {
    double m[MAX_COMPARISONS][MAX_LEVELS]; /* by level; [LEVEL_MISSING] unused; the others sum to 1 */
    double u[MAX_COMPARISONS][MAX_LEVELS];
    bool in_order;        /* a more alike level may not speak less for a match than a less alike one */
    int frequencies_from; /* comparisons from here on are classes of frequency, the rarest first; 0: none are
                           */
    double m_prior_share; /* what the start values of m are worth, for each match found */
    uint32_t held;        /* bit c: m of comparison c stays as it is */
    uint8_t
        beside[MAX_COMPARISONS]; /* 1 + the comparison that makes this one say nothing where it has values */
} em_parameters;

typedef struct em_report {
    int iterations;
    double last_change; /* largest change of an m in the last iteration */
    double
        expected_matches[MAX_COMPARISONS]; /* that had a value on both sides and taught the comparison's m */
} em_report;

/*
 * Learns m, and each session's match_share and u, from what they hold at the call; true when no m changed by
 * tolerance or more, false after max_iterations, when it can be called again to go on. parameters->u, that of
 * random pairs, is kept: it is the prior of the sessions' u, and start that of m, worth a few pairs each:
 * they decide only where data are scarce. Sessions are taken by several threads; what they find is put
 * together in their order.
 */
bool em_train(const scorer *layout, em_session *sessions, int session_count, int max_iterations,
              double tolerance, const em_parameters *start, em_parameters *parameters, em_report *report,
              int threads);

/* The probability, for each pattern, that a pair of the session with it is a match. */
void em_match_probabilities(const scorer *layout, const em_parameters *parameters, const em_session *session,
                            const pattern_count *patterns, size_t count, double *probabilities);

/* The matches to expect among pairs of a session with these patterns. */
double em_expected_matches(const scorer *layout, const em_parameters *parameters, const em_session *session,
                           const pattern_count *patterns, size_t count);

/* How well the parameters explain what the session holds: log2 of the likelihood of its patterns. */
double em_log_likelihood(const scorer *layout, const em_parameters *parameters, const em_session *session);

#endif
