/*
 * em.c: expectation maximisation over agreement patterns; see em.h.
 */
#include "kernel/em.h"

#include "kernel/fixed_point.h"
#include "kernel/parallel.h"

#include <math.h>
#include <string.h>

#define M_PRIOR_MATCHES 2.0  /* what the start values are worth */
#define ENOUGH_PATTERNS 4096 /* for several threads to pay */
#define PATTERNS_AT_ONCE 256
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

/* A comparison that says nothing where another one has values. */
typedef struct silent_comparison {
    int c, other;
} silent_comparison;

/*
 * What a session's levels say: m/u and related/u by comparison and level, 1 where a level says nothing.
 */
typedef struct session_ratios {
    int silent_count;
    bool bounded; /* no product leaves what a double holds */
    silent_comparison silent[MAX_COMPARISONS];
    double match[MAX_COMPARISONS][MAX_LEVELS], related[MAX_COMPARISONS][MAX_LEVELS];
} session_ratios;

/* Takes a comparison into the largest and the smallest products that there can be. */
static void
widen(const double *ratios, int levels, double *most, double *least)
{
    double largest = 1.0, smallest = 1.0;

    for (int level = LEVEL_EXACT; level <= levels; level++) {
        largest = ratios[level] > largest ? ratios[level] : largest;
        smallest = ratios[level] < smallest ? ratios[level] : smallest;
    }
    *most *= largest;
    *least *= smallest;
}

static void
set_ratios(const scorer *layout, const em_parameters *parameters, const em_session *session,
           session_ratios *ratios)
{
    double most[2] = {1.0, 1.0}, least[2] = {1.0, 1.0};

    ratios->silent_count = 0;
    for (int c = 0; c < layout->comparison_count; c++) {
        const comparison *comparison = &layout->comparisons[c];
        bool left_out = session->left_out >> c & 1;
        int other = parameters->beside[c] - 1;

        if (other >= 0 && !left_out && !(session->left_out >> other & 1))
            ratios->silent[ratios->silent_count++] = (silent_comparison){c, other};
        for (int level = 0; level <= comparison->level_count; level++) {
            bool says = !left_out && level != LEVEL_MISSING;

            ratios->match[c][level] = says ? parameters->m[c][level] / session->u[c][level] : 1.0;
            ratios->related[c][level] =
                says && session->related != NULL ? session->related[c][level] / session->u[c][level] : 1.0;
        }
        widen(ratios->match[c], comparison->level_count, &most[0], &least[0]);
        widen(ratios->related[c], comparison->level_count, &most[1], &least[1]);
    }
    ratios->bounded = most[0] < 1e100 && least[0] > 1e-100 && most[1] < 1e100 && least[1] > 1e-100;
}

/* The levels of a pattern; of comparisons that say nothing beside another LEVEL_MISSING. */
static void
set_levels(const session_ratios *ratios, const scorer *layout, uint64_t pattern, uint8_t *said)
{
    for (int c = 0; c < layout->comparison_count; c++)
        said[c] = (uint8_t)pattern_level(&layout->comparisons[c], pattern);
    for (int k = 0; k < ratios->silent_count; k++)
        if (pattern_level(&layout->comparisons[ratios->silent[k].other], pattern) != LEVEL_MISSING)
            said[ratios->silent[k].c] = LEVEL_MISSING;
}

/*
 * The product of what levels say for a match. Many strong agreements must not overflow before the
 * disagreements are met: powers of 1e100 are kept apart until the end.
 */
static double
product_of_levels(const double (*ratios)[MAX_LEVELS], int count, const uint8_t *said)
{
    double ratio = 1.0;
    int hundreds = 0;

    for (int c = 0; c < count; c++) {
        ratio *= ratios[c][said[c]];
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

/* From the products of what levels say for each pattern: how likely it is a match, and how likely related. */
static void
shares_of_products(const em_session *session, size_t count, double *match, double *related)
{
    double match_share = session->match_share, related_share = session->related_share;
    double stranger = 1.0 - match_share - (session->related == NULL ? 0 : related_share);

    stranger = stranger > 0 ? stranger : 0;
    for (size_t i = 0; i < count && session->related == NULL; i++) {
        double product = match_share * (match[i] > 1e280 ? 1e280 : match[i]);

        match[i] = product / (product + stranger);
    }
    for (size_t i = 0; i < count && session->related != NULL; i++) {
        double product = match_share * (match[i] > 1e280 ? 1e280 : match[i]);
        double relative = related_share * (related[i] > 1e250 ? 1e250 : related[i]);
        double all = product + relative + stranger;

        match[i] = product / all;
        related[i] = relative / all;
    }
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

/* What the levels of a session's patterns say. */
typedef struct session_evidence {
    const scorer *layout;
    const em_session *session;
    session_ratios ratios;
    pattern_tables tables;
    double match[MOST_TABLE_PLACES], related[MOST_TABLE_PLACES]; /* of comparisons that are never silent */
} session_evidence;

static void
fill_table(const session_evidence *evidence, const double (*ratios)[MAX_LEVELS], double *products)
{
    double never_silent[MAX_COMPARISONS][MAX_LEVELS];

    memcpy(never_silent, ratios, sizeof never_silent);
    for (int k = 0; k < evidence->ratios.silent_count; k++)
        for (int level = 0; level < MAX_LEVELS; level++)
            never_silent[evidence->ratios.silent[k].c][level] = 1.0;
    pattern_tables_fill(&evidence->tables, evidence->layout, never_silent, products);
}

static void
set_evidence(const scorer *layout, const em_parameters *parameters, const em_session *session,
             session_evidence *evidence)
{
    uint32_t every = (uint32_t)((UINT64_C(1) << layout->comparison_count) - 1);

    evidence->layout = layout;
    evidence->session = session;
    set_ratios(layout, parameters, session, &evidence->ratios);
    pattern_tables_lay_out(&evidence->tables, layout, every & ~session->left_out);
    fill_table(evidence, evidence->ratios.match, evidence->match);
    if (session->related != NULL)
        fill_table(evidence, evidence->ratios.related, evidence->related);
}

/* Takes in what those say that are silent beside another one, where they are not. */
static void
multiply_silent(const session_evidence *evidence, const double (*ratios)[MAX_LEVELS],
                const pattern_count *patterns, size_t count, double *products)
{
    for (int k = 0; k < evidence->ratios.silent_count; k++) {
        int c = evidence->ratios.silent[k].c, other = evidence->ratios.silent[k].other;

        for (size_t i = 0; i < count; i++) {
            int level = pattern_level(&evidence->layout->comparisons[c], patterns[i].pattern);
            int beside = pattern_level(&evidence->layout->comparisons[other], patterns[i].pattern);

            products[i] *= ratios[c][beside == LEVEL_MISSING ? level : LEVEL_MISSING];
        }
    }
}

/* How likely each of some patterns is a match, and how likely related. */
static void
weigh_evidence(const session_evidence *evidence, const pattern_count *patterns, size_t count, double *match,
               double *related)
{
    const session_ratios *ratios = &evidence->ratios;
    const em_session *session = evidence->session;

    if (ratios->bounded) {
        pattern_tables_multiply(&evidence->tables, evidence->match, patterns, count, match);
        multiply_silent(evidence, ratios->match, patterns, count, match);
    }
    if (ratios->bounded && session->related != NULL) {
        pattern_tables_multiply(&evidence->tables, evidence->related, patterns, count, related);
        multiply_silent(evidence, ratios->related, patterns, count, related);
    }
    for (size_t i = 0; i < count && !ratios->bounded; i++) {
        uint8_t said[MAX_COMPARISONS];

        set_levels(ratios, evidence->layout, patterns[i].pattern, said);
        match[i] = product_of_levels(ratios->match, evidence->layout->comparison_count, said);
        if (session->related != NULL)
            related[i] = product_of_levels(ratios->related, evidence->layout->comparison_count, said);
    }
    shares_of_products(session, count, match, related);
}

/* By level of the comparisons that count, what a session's pairs are. */
typedef struct level_sums {
    double match[MAX_COMPARISONS][MAX_LEVELS], related[MAX_COMPARISONS][MAX_LEVELS];
} level_sums;

/* Goes over the patterns of a session: the matches and the related among all its pairs, and by level. */
static class_shares
count_levels(const session_evidence *evidence, level_sums *sums)
{
    const em_session *session = evidence->session;
    double places_match[MOST_TABLE_PLACES], places_related[MOST_TABLE_PLACES];
    class_shares all = {0};

    memset(places_match, 0, evidence->tables.places * sizeof(double));
    memset(places_related, 0, evidence->tables.places * sizeof(double));
    for (size_t first = 0, count; first < session->pattern_count; first += count) {
        const pattern_count *patterns = &session->patterns[first];
        double match[PATTERNS_AT_ONCE], related[PATTERNS_AT_ONCE];

        count = session->pattern_count - first;
        count = count < PATTERNS_AT_ONCE ? count : PATTERNS_AT_ONCE;
        weigh_evidence(evidence, patterns, count, match, related);
        for (size_t i = 0; i < count; i++)
            all.match += match[i] *= patterns[i].count;
        pattern_tables_add(&evidence->tables, patterns, count, match, places_match);
        if (session->related == NULL)
            continue;
        for (size_t i = 0; i < count; i++)
            all.related += related[i] *= patterns[i].count;
        pattern_tables_add(&evidence->tables, patterns, count, related, places_related);
    }
    pattern_tables_sum_levels(&evidence->tables, evidence->layout, places_match, sums->match);
    pattern_tables_sum_levels(&evidence->tables, evidence->layout, places_related, sums->related);
    return all;
}

/* All pairs of a session, and by level of the comparisons that count. */
static void
count_all(const scorer *layout, em_session *session)
{
    uint32_t every = (uint32_t)((UINT64_C(1) << layout->comparison_count) - 1);
    double places[MOST_TABLE_PLACES] = {0};
    pattern_tables tables;

    session->pairs = 0;
    pattern_tables_lay_out(&tables, layout, every & ~session->left_out);
    for (size_t first = 0, count; first < session->pattern_count; first += count) {
        const pattern_count *patterns = &session->patterns[first];
        double pairs[PATTERNS_AT_ONCE];

        count = session->pattern_count - first;
        count = count < PATTERNS_AT_ONCE ? count : PATTERNS_AT_ONCE;
        for (size_t i = 0; i < count; i++)
            session->pairs += pairs[i] = patterns[i].count;
        pattern_tables_add(&tables, patterns, count, pairs, places);
    }
    pattern_tables_sum_levels(&tables, layout, places, session->all);
}

/* Where all pairs are equal in the comparison, those beyond what strangers can be are matches. */
static void
bound_share(em_session *session)
{
    if (session->bounded > 0 && (session->left_out >> (session->bounded - 1) & 1))
        session->match_share =
            clamp_share(fmax(session->match_share, 1.0 - session->most_equal / session->pairs));
}

/* No more non-matches are equal in the comparison than there can be. */
static void
bound_equal(const scorer *layout, em_session *session, int c)
{
    double *u = session->u[c], most;

    if (session->bounded != c + 1)
        return;
    most = session->most_equal / fmax(session->pairs * (1.0 - session->match_share), 1.0);
    if (u[LEVEL_EXACT] <= most || u[LEVEL_EXACT] >= 1.0)
        return;
    for (int level = layout->comparisons[c].level_count; level > LEVEL_EXACT; level--)
        u[level] *= (1.0 - most) / (1.0 - u[LEVEL_EXACT]);
    u[LEVEL_EXACT] = most;
}

/* One E step over a session; its own share and u are settled at once, its matches are left in its sums. */
static void
visit_session(const scorer *layout, const em_parameters *parameters, em_session *session)
{
    double trust = sqrt(session->match_share);
    session_evidence evidence;
    level_sums sums;
    class_shares all;

    memset(session->sums, 0, sizeof session->sums);
    memset(session->taught, 0, sizeof session->taught);
    if (session->pairs == 0)
        return;
    set_evidence(layout, parameters, session, &evidence);
    all = count_levels(&evidence, &sums);
    session->match_share = clamp_share(all.match / session->pairs);
    bound_share(session);
    if (session->related != NULL)
        session->related_share = clamp_share(all.related / session->pairs);
    for (int c = 0; c < layout->comparison_count; c++) {
        double halfway[MAX_LEVELS], others[MAX_LEVELS], relatives[MAX_LEVELS];

        if (session->left_out >> c & 1)
            continue;
        for (int level = LEVEL_MISSING; level <= layout->comparisons[c].level_count; level++) {
            double match = sums.match[c][level], related = sums.related[c][level];

            session->sums[c][level] = match * trust;
            session->taught[c] += level == LEVEL_MISSING ? 0 : match;
            others[level] = fmax(session->all[c][level] - match - related, 0);
            relatives[level] = related;
            halfway[level] = 0.5 * (parameters->m[c][level] + parameters->u[c][level]);
        }
        if (session->u_known >> c & 1)
            continue;
        (void)settle_levels(&layout->comparisons[c], others, parameters->u[c], U_PRIOR_PAIRS, 0,
                            session->u[c]);
        if (parameters->in_order)
            keep_order(&layout->comparisons[c], parameters->m[c], session->u[c]);
        bound_equal(layout, session, c);
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

    for (int s = 0; s < session_count; s++) {
        patterns += sessions[s].pattern_count;
        count_all(layout, &sessions[s]);
    }
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
    session_evidence evidence;

    set_evidence(layout, parameters, session, &evidence);
    for (size_t first = 0; first < count; first += PATTERNS_AT_ONCE) {
        double related[PATTERNS_AT_ONCE];
        size_t some = count - first < PATTERNS_AT_ONCE ? count - first : PATTERNS_AT_ONCE;

        weigh_evidence(&evidence, patterns + first, some, probabilities + first, related);
    }
}

double
em_expected_matches(const scorer *layout, const em_parameters *parameters, const em_session *session,
                    const pattern_count *patterns, size_t count)
{
    session_evidence evidence;
    double matches = 0;

    set_evidence(layout, parameters, session, &evidence);
    for (size_t first = 0; first < count; first += PATTERNS_AT_ONCE) {
        double match[PATTERNS_AT_ONCE], related[PATTERNS_AT_ONCE];
        size_t some = count - first < PATTERNS_AT_ONCE ? count - first : PATTERNS_AT_ONCE;

        weigh_evidence(&evidence, patterns + first, some, match, related);
        for (size_t i = 0; i < some; i++)
            matches += patterns[first + i].count * match[i];
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
