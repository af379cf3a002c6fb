/*
 * em.c: expectation maximisation over agreement patterns; see em.h.
 */
#include "kernel/em.h"

#include "kernel/fixed_point.h"
#include "kernel/parallel.h"

#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define M_PRIOR_MATCHES 2.0  /* what the start values are worth */
#define ENOUGH_PATTERNS 4096 /* for several threads to pay */
#define PATTERNS_AT_ONCE 512
#define PATTERNS_A_BATCH 128 /* of an E step */
#define PATTERNS_IN_REGISTERS 4
#define COMPARISONS_AT_ONCE 4
#define MOST_ORDERED 64     /* sessions */
#define U_PRIOR_PAIRS 100.0 /* what the u of random pairs is worth in a session */

/* Whether a comparison's level counts: it has values on both sides, and nothing says the same. */
static bool
counts(const scorer *layout, const em_parameters *parameters, const em_session *session, uint64_t pattern,
       int c)
{
    int other = parameters->beside[c] - 1;

    if ((session->left_out >> c & 1) || pattern_level(&layout->comparisons[c], pattern) == LEVEL_MISSING)
        return false;
    return other < 0 || (session->left_out >> other & 1) ||
           pattern_level(&layout->comparisons[other], pattern) == LEVEL_MISSING;
}

typedef struct class_shares {
    double match, related;
} class_shares;

/*
 * What a session's levels say, for many patterns: m/u and related/u by comparison and level, 1 where a level
 * says nothing.
 */
typedef struct session_ratios {
    int count, beside_count;
    bool bounded; /* no product leaves what a double holds */
    int shifts[MAX_COMPARISONS];
    uint64_t masks[MAX_COMPARISONS];
    int beside[MAX_COMPARISONS]; /* comparisons that may say nothing beside another */
    double match[MAX_COMPARISONS][MAX_LEVELS], related[MAX_COMPARISONS][MAX_LEVELS];
} session_ratios;

static void
set_ratios(const scorer *layout, const em_parameters *parameters, const em_session *session,
           session_ratios *ratios)
{
    double most = 1.0, least = 1.0;

    ratios->count = layout->comparison_count;
    ratios->beside_count = 0;
    for (int c = 0; c < layout->comparison_count; c++) {
        const comparison *comparison = &layout->comparisons[c];
        double largest = 1.0, smallest = 1.0;

        ratios->shifts[c] = comparison->pattern_shift;
        ratios->masks[c] = (UINT64_C(1) << comparison->pattern_bits) - 1;
        if (parameters->beside[c] != 0)
            ratios->beside[ratios->beside_count++] = c;
        for (int level = 0; level <= comparison->level_count; level++) {
            bool says = !(session->left_out >> c & 1) && level != LEVEL_MISSING;

            ratios->match[c][level] = says ? parameters->m[c][level] / session->u[c][level] : 1.0;
            ratios->related[c][level] =
                says && session->related != NULL ? session->related[c][level] / session->u[c][level] : 1.0;
            if (ratios->match[c][level] > largest)
                largest = ratios->match[c][level];
            if (ratios->match[c][level] < smallest)
                smallest = ratios->match[c][level];
        }
        most *= largest;
        least *= smallest;
    }
    ratios->bounded = most < 1e100 && least > 1e-100;
}

/* The levels of a pattern; of comparisons that say nothing beside another LEVEL_MISSING. */
static void
set_levels(const session_ratios *ratios, const scorer *layout, const em_parameters *parameters,
           const em_session *session, uint64_t pattern, uint8_t *said)
{
    for (int c = 0; c < ratios->count; c++)
        said[c] = (uint8_t)(pattern >> ratios->shifts[c] & ratios->masks[c]);
    for (int i = 0; i < ratios->beside_count; i++)
        if (!counts(layout, parameters, session, pattern, ratios->beside[i]))
            said[ratios->beside[i]] = LEVEL_MISSING;
}

/*
 * The product of what levels say for a match. Many strong agreements must not overflow before the
 * disagreements are met: powers of 1e100 are kept apart until the end, where there can be any.
 */
static inline double
product_of_levels(const session_ratios *ratios, const uint8_t *said)
{
    double ratio = 1.0;
    int hundreds = 0;

    if (ratios->bounded) {
        for (int c = 0; c < ratios->count; c++)
            ratio *= ratios->match[c][said[c]];
        return ratio;
    }
    for (int c = 0; c < ratios->count; c++) {
        ratio *= ratios->match[c][said[c]];
        if (ratio > 1e100) {
            ratio *= 1e-100;
            hundreds++;
        } else if (ratio < 1e-100) {
            ratio *= 1e100;
            hundreds--;
        }
    }
    for (; hundreds > 0; hundreds--)
        ratio *= 1e100;
    for (; hundreds < 0; hundreds++)
        ratio *= 1e-100;
    return ratio;
}

/* How likely a pair is a match, and how likely related, by the products of what levels say. */
static inline class_shares
shares_of_ratios(const em_session *session, double ratio, double relative)
{
    double stranger = 1.0 - session->match_share - (session->related == NULL ? 0 : session->related_share);
    double match = session->match_share * (ratio > 1e280 ? 1e280 : ratio), related = 0, all;

    if (session->related != NULL)
        related = session->related_share * (relative > 1e250 ? 1e250 : relative);
    all = match + related + (stranger > 0 ? stranger : 0);
    return (class_shares){match / all, related / all};
}

/* The same by the levels. */
static inline class_shares
posterior_of_levels(const session_ratios *ratios, const em_session *session, const uint8_t *said)
{
    double relative = 1.0;

    for (int c = 0; c < ratios->count && session->related != NULL; c++)
        relative *= ratios->related[c][said[c]];
    return shares_of_ratios(session, product_of_levels(ratios, said), relative);
}

static double
clamp_share(double share)
{
    return share < 1e-9 ? 1e-9 : share > 1.0 - 1e-9 ? 1.0 - 1e-9 : share;
}

/* Probabilities of the levels from counts, with what they were worth before any was counted. */
static double
settle_levels(const comparison *comparison, const double *counts, const double *prior, double prior_count,
              double prior_share, double *levels)
{
    double total = 0, largest = 0;

    for (int level = LEVEL_EXACT; level <= comparison->level_count; level++)
        total += counts[level];
    prior_count += prior_share * total;
    for (int level = LEVEL_EXACT; level <= comparison->level_count; level++) {
        double share = (counts[level] + prior_count * prior[level]) / (total + prior_count);
        double change = share > levels[level] ? share - levels[level] : levels[level] - share;

        if (change > largest)
            largest = change;
        levels[level] = share;
    }
    return largest;
}

/*
 * Among non-matches of a rule a more alike level may not speak less for a match than a less alike one: where
 * m/u rises from a level to the next, both get the same (pool adjacent violators). Otherwise many equal
 * non-matches, or a few alike ones, would turn the order of the levels round.
 */
static void
keep_order(const comparison *comparison, const double *m, double *u)
{
    int first[MAX_LEVELS], pools = 0;
    double sum_m[MAX_LEVELS], sum_u[MAX_LEVELS];

    for (int level = LEVEL_EXACT; level <= comparison->level_count; level++) {
        first[pools] = level;
        sum_m[pools] = m[level];
        sum_u[pools] = u[level];
        while (pools > 0 && sum_m[pools] * sum_u[pools - 1] > sum_m[pools - 1] * sum_u[pools]) {
            sum_m[pools - 1] += sum_m[pools];
            sum_u[pools - 1] += sum_u[pools];
            pools--;
        }
        pools++;
    }
    for (int p = 0; p < pools; p++) {
        int end = p + 1 < pools ? first[p + 1] : comparison->level_count + 1;

        for (int level = first[p]; level < end && end - first[p] > 1; level++)
            u[level] = m[level] * (sum_u[p] / sum_m[p]);
    }
}

/* What a level of a comparison was met among, side by side: each pattern adds to all four. */
typedef struct level_sums {
    double trusted; /* matches, by how much they teach */
    double match, other, related;
} level_sums;

/*
 * Some patterns of a session on their way through an E step. Step by step for all of them, and not pattern by
 * pattern: no step then waits for the result of another one of the same pattern.
 */
typedef struct pattern_batch {
    size_t count;
    uint8_t levels[MAX_COMPARISONS][PATTERNS_A_BATCH];
    uint8_t silent[MAX_COMPARISONS][PATTERNS_A_BATCH]; /* of comparisons that may say nothing: as they say */
    double match[PATTERNS_A_BATCH], related[PATTERNS_A_BATCH];
    level_sums counted[PATTERNS_A_BATCH];
} pattern_batch;

static void
take_levels(const scorer *layout, const em_parameters *parameters, const em_session *session,
            const session_ratios *ratios, const pattern_count *patterns, pattern_batch *batch)
{
    for (int c = 0; c < ratios->count; c++) {
        int shift = ratios->shifts[c];
        uint64_t mask = ratios->masks[c];

        for (size_t i = 0; i < batch->count; i++)
            batch->levels[c][i] = (uint8_t)(patterns[i].pattern >> shift & mask);
    }
    for (int k = 0; k < ratios->beside_count; k++) {
        int c = ratios->beside[k];

        for (size_t i = 0; i < batch->count; i++)
            batch->silent[c][i] = counts(layout, parameters, session, patterns[i].pattern, c)
                                      ? batch->levels[c][i]
                                      : LEVEL_MISSING;
    }
}

/* The comparisons that say something, with what their levels say: of those that are left out it is 1. */
typedef struct telling_comparisons {
    int count;
    const uint8_t *said[MAX_COMPARISONS];
    const double *ratios[MAX_COMPARISONS];
} telling_comparisons;

static void
tell(const em_parameters *parameters, const em_session *session, const session_ratios *ratios,
     const double (*of)[MAX_LEVELS], const pattern_batch *batch, telling_comparisons *telling)
{
    telling->count = 0;
    for (int c = 0; c < ratios->count; c++) {
        if (session->left_out >> c & 1)
            continue;
        telling->said[telling->count] = parameters->beside[c] != 0 ? batch->silent[c] : batch->levels[c];
        telling->ratios[telling->count++] = of[c];
    }
}

/* The products of what the levels of some patterns say, in the order of the comparisons. */
#if defined(__GNUC__)
__attribute__((always_inline))
#endif
static inline void
multiply_some(const telling_comparisons *telling, size_t first, int count, double *products)
{
    double product[PATTERNS_IN_REGISTERS];

    for (int i = 0; i < count; i++)
        product[i] = 1.0;
    for (int k = 0; k < telling->count; k++) {
        const uint8_t *said = telling->said[k] + first;
        const double *ratios = telling->ratios[k];

        for (int i = 0; i < count; i++)
            product[i] *= ratios[said[i]];
    }
    for (int i = 0; i < count; i++)
        products[first + i] = product[i];
}

static void
multiply_all(const telling_comparisons *telling, size_t count, double *products)
{
    size_t i = 0;

    for (; i + PATTERNS_IN_REGISTERS <= count; i += PATTERNS_IN_REGISTERS)
        multiply_some(telling, i, PATTERNS_IN_REGISTERS, products);
    for (; i < count; i++)
        multiply_some(telling, i, 1, products);
}

static void
multiply_levels(const em_parameters *parameters, const em_session *session, const session_ratios *ratios,
                pattern_batch *batch)
{
    telling_comparisons telling;

    tell(parameters, session, ratios, ratios->match, batch, &telling);
    if (ratios->bounded)
        multiply_all(&telling, batch->count, batch->match);
    for (size_t i = 0; i < batch->count && !ratios->bounded; i++) {
        uint8_t said[MAX_COMPARISONS] = {0};

        for (int c = 0; c < ratios->count; c++)
            said[c] = parameters->beside[c] != 0 ? batch->silent[c][i] : batch->levels[c][i];
        batch->match[i] = product_of_levels(ratios, said);
    }
    if (session->related == NULL)
        return;
    tell(parameters, session, ratios, ratios->related, batch, &telling);
    multiply_all(&telling, batch->count, batch->related);
}

static inline void
add_level_sums(level_sums *sum, const level_sums *part)
{
#if defined(__SSE2__)
    double *to = &sum->trusted;
    const double *from = &part->trusted;

    _mm_storeu_pd(to, _mm_add_pd(_mm_loadu_pd(to), _mm_loadu_pd(from)));
    _mm_storeu_pd(to + 2, _mm_add_pd(_mm_loadu_pd(to + 2), _mm_loadu_pd(from + 2)));
#else
    sum->trusted += part->trusted;
    sum->match += part->match;
    sum->other += part->other;
    sum->related += part->related;
#endif
}

/*
 * What was counted, by the levels of some comparisons, in the order of the patterns. Neighbours have most
 * levels in common, so that each sum waits for the one before: several comparisons wait together.
 */
#if defined(__GNUC__)
__attribute__((always_inline))
#endif
static inline void
add_levels_of(const pattern_batch *batch, const int *comparisons, int count, level_sums (*sums)[MAX_LEVELS])
{
    const uint8_t *levels[COMPARISONS_AT_ONCE];
    level_sums *to[COMPARISONS_AT_ONCE];

    for (int k = 0; k < count; k++) {
        levels[k] = batch->levels[comparisons[k]];
        to[k] = sums[comparisons[k]];
    }
    for (size_t i = 0; i < batch->count; i++)
        for (int k = 0; k < count; k++)
            add_level_sums(&to[k][levels[k][i]], &batch->counted[i]);
}

static void
add_levels(const pattern_batch *batch, const int *comparisons, int count, level_sums (*sums)[MAX_LEVELS])
{
    int k = 0;

    for (; k + COMPARISONS_AT_ONCE <= count; k += COMPARISONS_AT_ONCE)
        add_levels_of(batch, comparisons + k, COMPARISONS_AT_ONCE, sums);
    for (; k + 2 <= count; k += 2)
        add_levels_of(batch, comparisons + k, 2, sums);
    if (k < count)
        add_levels_of(batch, comparisons + k, 1, sums);
}

/* Goes over the patterns of a session: counts of all their pairs, and by level of the comparisons that count.
 */
static level_sums
count_levels(const scorer *layout, const em_parameters *parameters, const em_session *session,
             const session_ratios *ratios, level_sums (*sums)[MAX_LEVELS], double *pairs)
{
    int counting[MAX_COMPARISONS], counting_count = 0;
    level_sums all = {0};
    double trust = sqrt(session->match_share);
    pattern_batch batch;

    for (int c = 0; c < layout->comparison_count; c++) {
        memset(sums[c], 0, sizeof sums[c]);
        if (!(session->left_out >> c & 1))
            counting[counting_count++] = c;
    }
    *pairs = 0;
    for (size_t first = 0; first < session->pattern_count; first += batch.count) {
        const pattern_count *patterns = &session->patterns[first];
        size_t left = session->pattern_count - first;

        batch.count = left < PATTERNS_A_BATCH ? left : PATTERNS_A_BATCH;
        take_levels(layout, parameters, session, ratios, patterns, &batch);
        multiply_levels(parameters, session, ratios, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            class_shares shares = shares_of_ratios(session, batch.match[i], batch.related[i]);
            double match = patterns[i].count * shares.match, related = patterns[i].count * shares.related;
            double other = patterns[i].count - match - related;

            batch.counted[i] = (level_sums){match * trust, match, other < 0 ? 0 : other, related};
        }
        for (size_t i = 0; i < batch.count; i++) {
            all.match += batch.counted[i].match;
            all.related += batch.counted[i].related;
            *pairs += patterns[i].count;
        }
        add_levels(&batch, counting, counting_count, sums);
    }
    return all;
}

/* One E step over a session; its own share and u are settled at once, its matches are left in its sums. */
static void
visit_session(const scorer *layout, const em_parameters *parameters, em_session *session)
{
    level_sums sums[MAX_COMPARISONS][MAX_LEVELS], all;
    session_ratios ratios;
    double pairs;

    memset(session->sums, 0, sizeof session->sums);
    memset(session->taught, 0, sizeof session->taught);
    set_ratios(layout, parameters, session, &ratios);
    all = count_levels(layout, parameters, session, &ratios, sums, &pairs);
    if (pairs == 0)
        return;
    session->match_share = clamp_share(all.match / pairs);
    if (session->related != NULL)
        session->related_share = clamp_share(all.related / pairs);
    for (int c = 0; c < layout->comparison_count; c++) {
        double halfway[MAX_LEVELS], others[MAX_LEVELS], relatives[MAX_LEVELS];

        if (session->left_out >> c & 1)
            continue;
        for (int level = LEVEL_MISSING; level <= layout->comparisons[c].level_count; level++) {
            session->sums[c][level] = sums[c][level].trusted;
            session->taught[c] += level == LEVEL_MISSING ? 0 : sums[c][level].match;
            others[level] = sums[c][level].other;
            relatives[level] = sums[c][level].related;
            halfway[level] = 0.5 * (parameters->m[c][level] + parameters->u[c][level]);
        }
        if (session->u_known >> c & 1)
            continue;
        (void)settle_levels(&layout->comparisons[c], others, parameters->u[c], U_PRIOR_PAIRS, 0,
                            session->u[c]);
        if (parameters->in_order)
            keep_order(&layout->comparisons[c], parameters->m[c], session->u[c]);
        if (session->related != NULL && !(parameters->held >> c & 1))
            (void)settle_levels(&layout->comparisons[c], relatives, halfway, U_PRIOR_PAIRS, 0,
                                session->related[c]);
        /* What is rare and shared never speaks more for relatives than for a match: else a frequent value's
           records could be taken for the matches, and all others for relatives. */
        if (session->related != NULL && parameters->frequencies_from > 0 && c >= parameters->frequencies_from)
            keep_order(&layout->comparisons[c], parameters->m[c], session->related[c]);
    }
}

typedef struct em_step {
    const scorer *layout;
    const em_parameters *parameters;
    em_session *sessions;
    const int *order; /* the largest sessions first, so that threads end together; NULL: as they are */
} em_step;

static void
work_on_session(void *context, int64_t item, int thread)
{
    const em_step *step = context;

    (void)thread;
    visit_session(step->layout, step->parameters,
                  &step->sessions[step->order == NULL ? item : step->order[item]]);
}

static void
order_by_size(const em_session *sessions, int count, int *order)
{
    for (int s = 0; s < count; s++) {
        int place = s;

        for (; place > 0 && sessions[order[place - 1]].pattern_count < sessions[s].pattern_count; place--)
            order[place] = order[place - 1];
        order[place] = s;
    }
}

bool
em_train(const scorer *layout, em_session *sessions, int session_count, int max_iterations, double tolerance,
         const em_parameters *start, em_parameters *parameters, em_report *report, int threads)
{
    int order[MOST_ORDERED];
    em_step step = {layout, parameters, sessions, session_count <= MOST_ORDERED ? order : NULL};
    size_t patterns = 0;

    for (int s = 0; s < session_count; s++)
        patterns += sessions[s].pattern_count;
    if (patterns < ENOUGH_PATTERNS)
        threads = 1;
    if (step.order != NULL)
        order_by_size(sessions, session_count, order);
    memset(report, 0, sizeof *report);
    for (report->iterations = 1; report->iterations <= max_iterations; report->iterations++) {
        double sums[MAX_COMPARISONS][MAX_LEVELS] = {{0}};

        report->last_change = 0;
        memset(report->expected_matches, 0, sizeof report->expected_matches);
        parallel_for(threads, session_count, work_on_session, &step);
        for (int s = 0; s < session_count; s++)
            for (int c = 0; c < layout->comparison_count; c++) {
                for (int level = 0; level <= layout->comparisons[c].level_count; level++)
                    sums[c][level] += sessions[s].sums[c][level];
                report->expected_matches[c] += sessions[s].taught[c];
            }
        for (int c = 0; c < layout->comparison_count; c++) {
            const comparison *comparison = &layout->comparisons[c];
            double change;

            if (start->held >> c & 1)
                continue;
            change = settle_levels(comparison, sums[c], start->m[c], M_PRIOR_MATCHES,
                                   parameters->m_prior_share, parameters->m[c]);
            if (change > report->last_change)
                report->last_change = change;
        }
        if (report->last_change < tolerance)
            return true;
    }
    report->iterations = max_iterations;
    return false;
}

void
em_match_probabilities(const scorer *layout, const em_parameters *parameters, const em_session *session,
                       const pattern_count *patterns, size_t count, double *probabilities)
{
    session_ratios ratios;

    set_ratios(layout, parameters, session, &ratios);
    for (size_t i = 0; i < count; i++) {
        uint8_t said[MAX_COMPARISONS];

        set_levels(&ratios, layout, parameters, session, patterns[i].pattern, said);
        probabilities[i] = posterior_of_levels(&ratios, session, said).match;
    }
}

double
em_expected_matches(const scorer *layout, const em_parameters *parameters, const em_session *session,
                    const pattern_count *patterns, size_t count)
{
    double matches = 0;

    for (size_t first = 0; first < count; first += PATTERNS_AT_ONCE) {
        double probabilities[PATTERNS_AT_ONCE];
        size_t taken = count - first < PATTERNS_AT_ONCE ? count - first : PATTERNS_AT_ONCE;

        em_match_probabilities(layout, parameters, session, patterns + first, taken, probabilities);
        for (size_t i = 0; i < taken; i++)
            matches += patterns[first + i].count * probabilities[i];
    }
    return matches;
}

double
em_log_likelihood(const scorer *layout, const em_parameters *parameters, const em_session *session)
{
    double sum = 0;

    for (size_t i = 0; i < session->pattern_count; i++) {
        double match = session->match_share, related = session->related == NULL ? 0 : session->related_share;
        double stranger = 1.0 - match - related;

        for (int c = 0; c < layout->comparison_count; c++) {
            int level = pattern_level(&layout->comparisons[c], session->patterns[i].pattern);

            if (!counts(layout, parameters, session, session->patterns[i].pattern, c))
                continue;
            match *= parameters->m[c][level];
            stranger *= session->u[c][level];
            if (session->related != NULL)
                related *= session->related[c][level];
        }
        sum += session->patterns[i].count *
               portable_log2(match + related + (stranger > 0 ? stranger : 0) + 1e-300);
    }
    return sum;
}
