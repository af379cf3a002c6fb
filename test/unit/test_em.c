/*
 * test_em.c: EM on patterns drawn from known probabilities gives them back, never makes what it maximises
 * smaller, and counts missing values and comparisons that a rule leaves out for nothing.
 */
#include "kernel/em.h"
#include "unit.h"

#define COMPARISONS 5
#define PATTERNS 20000

static scorer layout;

typedef struct simulation {
    double share, missing;
    double m[COMPARISONS][MAX_LEVELS], u[COMPARISONS][MAX_LEVELS];
    uint32_t fixed; /* bit c: comparison c always agrees */
} simulation;

static void
make_layout(void)
{
    static const int levels[COMPARISONS] = {2, 3, 4, 3, 5};

    memset(&layout, 0, sizeof layout);
    layout.comparison_count = COMPARISONS;
    for (int c = 0; c < COMPARISONS; c++)
        layout.comparisons[c].level_count = levels[c];
    if (!scorer_prepare(&layout))
        abort();
}

static simulation
make_simulation(double share, double missing)
{
    simulation truth = {.share = share, .missing = missing};

    for (int c = 0; c < COMPARISONS; c++) {
        int levels = layout.comparisons[c].level_count;
        double exact_m = 0.75 + 0.04 * c, exact_u = 0.02 + 0.02 * c;

        truth.m[c][1] = exact_m;
        truth.u[c][1] = exact_u;
        for (int level = 2; level <= levels; level++) {
            truth.m[c][level] = (1 - exact_m) / (levels - 1);
            truth.u[c][level] = (1 - exact_u) * (level == levels ? 0.7 : 0.3 / (levels - 2));
        }
        if (levels == 2)
            truth.u[c][2] = 1 - exact_u;
    }
    return truth;
}

/* All patterns there are, each with the count to expect of pairs: no noise, so nothing but EM errs. */
static size_t
expected_patterns(const simulation *truth, double pairs, pattern_count *patterns)
{
    size_t used = 0;
    int levels[COMPARISONS] = {0};

    for (;;) {
        double match = truth->share, other = 1 - truth->share;
        uint64_t pattern = 0;
        int c = 0;

        for (int k = 0; k < COMPARISONS; k++) {
            bool fixed = truth->fixed >> k & 1;

            pattern |= (uint64_t)levels[k] << layout.comparisons[k].pattern_shift;
            if (fixed) {
                match *= levels[k] == 1;
                other *= levels[k] == 1;
            } else if (levels[k] == 0) {
                match *= truth->missing;
                other *= truth->missing;
            } else {
                match *= (1 - truth->missing) * truth->m[k][levels[k]];
                other *= (1 - truth->missing) * truth->u[k][levels[k]];
            }
        }
        if (match + other > 0)
            patterns[used++] = (pattern_count){pattern, pairs * (match + other)};
        if (used == PATTERNS)
            abort();
        while (c < COMPARISONS && levels[c] == layout.comparisons[c].level_count)
            levels[c++] = 0;
        if (c == COMPARISONS)
            return used;
        levels[c]++;
    }
}

static void
make_start(em_parameters *start)
{
    memset(start, 0, sizeof *start);
    for (int c = 0; c < COMPARISONS; c++) {
        int levels = layout.comparisons[c].level_count;

        for (int level = 1; level <= levels; level++) {
            start->m[c][level] = level == 1 ? 0.6 : 0.4 / (levels - 1);
            start->u[c][level] = level == 1 ? 0.1 : 0.9 / (levels - 1);
        }
    }
}

static double
largest_error(double found[MAX_LEVELS], const double *expected, int levels)
{
    double worst = 0;

    for (int level = 1; level <= levels; level++)
        worst = fmax(worst, fabs(found[level] - expected[level]));
    return worst;
}

static bool
sums_to_one(const double *levels, int count)
{
    double sum = 0;

    for (int level = 1; level <= count; level++)
        sum += levels[level];
    return unit_near(sum, 1, 1e-9);
}

static void
test_recovery(void)
{
    static const double shares[] = {0.5, 0.2, 0.02}, missing[] = {0, 0.3};
    static pattern_count patterns[PATTERNS];

    make_layout();
    for (size_t s = 0; s < 3; s++)
        for (size_t k = 0; k < 2; k++) {
            simulation truth = make_simulation(shares[s], missing[k]);
            em_parameters start, parameters;
            double u[MAX_COMPARISONS][MAX_LEVELS], worst = 0, matches;
            em_session session = {.patterns = patterns, .match_share = 0.3, .u = u};
            em_report report;
            bool settled, whole = true;
            char name[120];

            session.pattern_count = expected_patterns(&truth, 1e7, patterns);
            make_start(&start);
            parameters = start;
            memcpy(u, start.u, sizeof u);
            settled = em_train(&layout, &session, 1, 5000, 1e-10, &start, &parameters, &report, 1);
            for (int c = 0; c < COMPARISONS; c++) {
                int levels = layout.comparisons[c].level_count;

                worst = fmax(worst, largest_error(parameters.m[c], truth.m[c], levels));
                worst = fmax(worst, largest_error(u[c], truth.u[c], levels));
                whole &= sums_to_one(parameters.m[c], levels) && sums_to_one(u[c], levels);
                whole &=
                    unit_near(report.expected_matches[c], 1e7 * shares[s] * (1 - missing[k]), 1e7 * 1e-3);
            }
            whole &= memcmp(parameters.u, start.u, sizeof start.u) == 0;
            matches = em_expected_matches(&layout, &parameters, &session, patterns, session.pattern_count);
            snprintf(name, sizeof name, "m, u and a share of %g with %g missing come back", shares[s],
                     missing[k]);
            unit_ok(settled && worst < 0.002 && unit_near(session.match_share, shares[s], 0.001) &&
                        unit_near(matches, 1e7 * session.match_share, 1),
                    name);
            unit_ok(whole && report.iterations > 1 && report.last_change < 1e-10, "probabilities sum to 1");
        }
}

static double
match_probability(const em_parameters *parameters, const em_session *session, uint64_t pattern)
{
    pattern_count counted = {.pattern = pattern, .count = 1};
    double probability;

    em_match_probabilities(&layout, parameters, session, &counted, 1, &probability);
    return probability;
}

/* Of two comparisons that say the same, one counts only where the other has no value. */
static void
test_beside(void)
{
    simulation truth = make_simulation(0.2, 0);
    double u[MAX_COMPARISONS][MAX_LEVELS], both, first, second, only_second;
    uint64_t at_first, at_second;
    em_session session = {.match_share = 0.2, .u = u};
    em_parameters parameters = {0};
    pattern_count counted = {.count = 5};
    double likelihood, expected;

    make_layout();
    memcpy(parameters.m, truth.m, sizeof truth.m);
    memcpy(u, truth.u, sizeof truth.u);
    at_first = (uint64_t)1 << layout.comparisons[0].pattern_shift;
    at_second = (uint64_t)1 << layout.comparisons[1].pattern_shift;
    only_second = match_probability(&parameters, &session, at_second);
    both = match_probability(&parameters, &session, at_first | at_second);
    first = match_probability(&parameters, &session, at_first);
    unit_ok(both != first && both != only_second, "two comparisons count for themselves");

    parameters.beside[1] = 1;
    both = match_probability(&parameters, &session, at_first | at_second);
    second = match_probability(&parameters, &session, at_second);
    unit_ok(both == first && second == only_second,
            "beside the other one says nothing, and else what it says");
    session.left_out = 1;
    unit_ok(match_probability(&parameters, &session, at_first | at_second) == only_second,
            "where the other is left out it counts");

    session.left_out = 0;
    counted.pattern = at_first | at_second;
    session.patterns = &counted;
    session.pattern_count = 1;
    likelihood = em_log_likelihood(&layout, &parameters, &session);
    expected = 5 * log2(0.2 * truth.m[0][1] + 0.8 * truth.u[0][1]);
    unit_ok(unit_near(likelihood, expected, 1e-9), "the likelihood of what was seen");
}

/*
 * Two rules, each blocking on one comparison, which always agrees there: left out of that rule's evidence its
 * m is learnt from the other rule. Each rule has non-matches of its own.
 */
static void
test_sessions(void)
{
    static pattern_count patterns[2][PATTERNS];
    simulation truth[2] = {make_simulation(0.3, 0.1), make_simulation(0.05, 0.1)};
    double u[2][MAX_COMPARISONS][MAX_LEVELS], worst = 0;
    em_session sessions[2];
    em_parameters start, parameters;
    em_report report;
    bool settled, kept = true;

    make_layout();
    make_start(&start);
    parameters = start;
    truth[1].u[2][1] = 0.4;
    truth[1].u[2][2] = 0.1;
    truth[1].u[2][3] = 0.2;
    truth[1].u[2][4] = 0.3;
    for (int s = 0; s < 2; s++) {
        truth[s].fixed = s == 0 ? 1 << 0 : 1 << 1 | 1 << 4;
        memcpy(u[s], start.u, sizeof u[s]);
        sessions[s] =
            (em_session){.patterns = patterns[s], .left_out = truth[s].fixed, .match_share = 0.3, .u = u[s]};
        sessions[s].pattern_count = expected_patterns(&truth[s], 1e7, patterns[s]);
    }
    settled = em_train(&layout, sessions, 2, 5000, 1e-10, &start, &parameters, &report, 1);
    for (int c = 0; c < COMPARISONS; c++) {
        int levels = layout.comparisons[c].level_count;

        worst = fmax(worst, largest_error(parameters.m[c], truth[0].m[c], levels));
        for (int s = 0; s < 2; s++) {
            if (truth[s].fixed >> c & 1)
                kept &= memcmp(u[s][c], start.u[c], sizeof u[s][c]) == 0;
            else
                worst = fmax(worst, largest_error(u[s][c], truth[s].u[c], levels));
        }
    }
    unit_ok(
        settled && worst < 0.002 && unit_near(sessions[0].match_share, 0.3, 0.001) &&
            unit_near(sessions[1].match_share, 0.05, 0.001),
        "two rules: what one leaves out the other teaches, and each has a share and non-matches of its own");
    unit_ok(kept, "the u of what is left out stays");

    /* What every rule leaves out keeps its start. */
    parameters = start;
    for (int s = 0; s < 2; s++)
        sessions[s].left_out |= 1 << 3;
    (void)em_train(&layout, sessions, 2, 50, 1e-10, &start, &parameters, &report, 1);
    unit_ok(largest_error(parameters.m[3], start.m[3], 3) < 1e-12 && report.expected_matches[3] == 0 &&
                report.expected_matches[2] > 1,
            "what no rule teaches keeps its start value, and the report says so");
}

/* What an iteration may not make smaller: the likelihood, with start and random pairs as so many more pairs.
 */
static double
objective(const em_session *session, const em_parameters *start, const em_parameters *parameters)
{
    double sum = 0;

    for (size_t i = 0; i < session->pattern_count; i++) {
        double match = session->match_share, other = 1 - session->match_share;

        for (int c = 0; c < COMPARISONS; c++) {
            int level = pattern_level(&layout.comparisons[c], session->patterns[i].pattern);

            if (level != 0 && !(session->left_out >> c & 1)) {
                match *= parameters->m[c][level];
                other *= session->u[c][level];
            }
        }
        sum += session->patterns[i].count * log(match + other);
    }
    for (int c = 0; c < COMPARISONS; c++)
        for (int level = 1; level <= layout.comparisons[c].level_count; level++) {
            sum += 2.0 * start->m[c][level] * log(parameters->m[c][level]);
            if (!(session->left_out >> c & 1))
                sum += 100.0 * start->u[c][level] * log(session->u[c][level]);
        }
    return sum;
}

static void
test_monotone(void)
{
    static pattern_count patterns[PATTERNS];
    uint64_t seed = 31;
    bool rises = true, resumes = true;

    make_layout();
    for (int round = 0; round < 20; round++) {
        em_parameters start, parameters, whole;
        double u[MAX_COMPARISONS][MAX_LEVELS], u_whole[MAX_COMPARISONS][MAX_LEVELS], last = -INFINITY;
        em_session session = {
            .patterns = patterns, .match_share = 0.01 + unit_below(&seed, 90) / 100.0, .u = u};
        em_session session_whole;
        em_report report;
        uint64_t pattern = 0;

        make_start(&start);
        parameters = start;
        memcpy(u, start.u, sizeof u);
        session.left_out = unit_below(&seed, 4) == 0 ? 2 : 0;
        for (int i = 0; i < 300; i++) { /* any patterns at all, in their order, with any counts */
            pattern = 0;
            for (int c = 0; c < COMPARISONS; c++)
                pattern |= (uint64_t)unit_below(&seed, (uint32_t)layout.comparisons[c].level_count + 1)
                           << layout.comparisons[c].pattern_shift;
            patterns[i] = (pattern_count){pattern, unit_below(&seed, 1000) / 3.0};
        }
        session.pattern_count = 300;
        session_whole = session;
        session_whole.u = u_whole;
        memcpy(u_whole, u, sizeof u);
        whole = parameters;
        for (int i = 0; i < 60; i++) {
            double now;

            (void)em_train(&layout, &session, 1, 1, 0, &start, &parameters, &report, 1);
            now = objective(&session, &start, &parameters);
            rises &= now >= last - 1e-9 * fabs(last) && report.iterations == 1;
            last = now;
        }
        resumes &= !em_train(&layout, &session_whole, 1, 60, 0, &start, &whole, &report, 1) &&
                   report.iterations == 60;
        resumes &= memcmp(&whole, &parameters, sizeof whole) == 0 && memcmp(u, u_whole, sizeof u) == 0 &&
                   session.match_share == session_whole.match_share;
    }
    unit_ok(rises, "no iteration makes the likelihood smaller");
    unit_ok(resumes, "sixty calls of one iteration are one call of sixty, to the bit");
}

static void
test_extremes(void)
{
    static scorer wide;
    static em_parameters start, parameters;
    static double u[MAX_COMPARISONS][MAX_LEVELS];
    pattern_count patterns[3] = {{0, 5}, {0, 10}, {0, 1e12}};
    em_session session = {.patterns = patterns, .match_share = 0.3, .u = u};
    em_report report;
    bool finite = true;

    /* 32 comparisons, each worth a factor of 1e16 either way. */
    wide.comparison_count = MAX_COMPARISONS;
    for (int c = 0; c < MAX_COMPARISONS; c++) {
        wide.comparisons[c].level_count = 2;
        start.m[c][1] = 1 - 1e-16;
        start.m[c][2] = 1e-16;
        start.u[c][1] = 1e-16;
        start.u[c][2] = 1 - 1e-16;
    }
    if (!scorer_prepare(&wide))
        abort();
    for (int c = 0; c < MAX_COMPARISONS; c++) {
        patterns[1].pattern |= UINT64_C(1) << wide.comparisons[c].pattern_shift;
        patterns[2].pattern |= UINT64_C(2) << wide.comparisons[c].pattern_shift;
    }
    parameters = start;
    memcpy(u, start.u, sizeof u);
    (void)em_train(&wide, &session, 1, 20, 1e-9, &start, &parameters, &report, 1);
    for (int c = 0; c < MAX_COMPARISONS; c++)
        for (int level = 1; level <= 2; level++)
            finite &= parameters.m[c][level] > 0 && parameters.m[c][level] <= 1 && u[c][level] > 0 &&
                      u[c][level] <= 1;
    unit_ok(finite && session.match_share >= 1e-9 && session.match_share < 1,
            "32 overwhelming comparisons stay finite");

    patterns[0].pattern = patterns[1].pattern;
    for (int c = 0; c < MAX_COMPARISONS; c++) {
        parameters.m[c][1] = 1;
        u[c][1] = 1e-16;
    }
    session.match_share = 0.25;
    unit_ok(em_expected_matches(&wide, &parameters, &session, patterns, 1) == 5, "beyond all doubt is 1");

    /* Fifteen agreements outweigh what a double holds before as many disagreements are met. */
    wide.comparison_count = 30;
    patterns[0].pattern = 0;
    for (int c = 0; c < 30; c++) {
        patterns[0].pattern |= (c < 15 ? UINT64_C(1) : UINT64_C(2)) << wide.comparisons[c].pattern_shift;
        for (int level = 1; level <= 2; level++) {
            parameters.m[c][level] = level == 1 ? 1.0 - 1e-23 : 1e-23;
            u[c][level] = level == 1 ? 1e-23 : 1.0 - 1e-23;
        }
    }
    session.match_share = 0.25;
    unit_ok(unit_near(em_expected_matches(&wide, &parameters, &session, patterns, 1), 5 * 0.25, 1e-6),
            "evidence for and against that cancels out says nothing, however strong");

    make_layout();
    make_start(&start);
    parameters = start;
    memcpy(u, start.u, sizeof u);
    session = (em_session){.patterns = NULL, .match_share = 0.3, .u = u};
    unit_ok(em_train(&layout, &session, 1, 10, 1e-9, &start, &parameters, &report, 1) &&
                session.match_share == 0.3 && largest_error(parameters.m[2], start.m[2], 4) < 1e-12 &&
                memcmp(u, start.u, sizeof u) == 0,
            "no pairs at all teach nothing");
    parameters = start;
    unit_ok(em_train(&layout, NULL, 0, 10, 1e-9, &start, &parameters, &report, 1) &&
                largest_error(parameters.m[2], start.m[2], 4) < 1e-12,
            "no rules teach nothing");
}

/* Many equal non-matches (a title that returns every year) do not turn the levels round when they are kept in
 * order. */
static void
test_order(void)
{
    static pattern_count patterns[PATTERNS];
    double u[MAX_COMPARISONS][MAX_LEVELS];
    simulation truth = make_simulation(0.1, 0);
    em_parameters start, parameters;
    em_session session = {.patterns = patterns, .match_share = 0.3, .u = u};
    em_report report;
    bool ordered = true, turned = false;

    make_layout();
    truth.u[2][1] = 0.5;
    truth.u[2][2] = truth.u[2][3] = 0.01;
    truth.u[2][4] = 0.48;
    truth.m[2][1] = 0.4;
    truth.m[2][2] = truth.m[2][3] = 0.25;
    truth.m[2][4] = 0.1;
    session.pattern_count = expected_patterns(&truth, 1e6, patterns);
    for (int in_order = 0; in_order < 2; in_order++) {
        make_start(&start);
        start.in_order = in_order;
        parameters = start;
        memcpy(u, start.u, sizeof u);
        session.match_share = 0.3;
        (void)em_train(&layout, &session, 1, 3000, 1e-9, &start, &parameters, &report, 1);
        if (!in_order)
            turned = parameters.m[2][1] / u[2][1] < parameters.m[2][2] / u[2][2];
        for (int level = 1; in_order && level < 4; level++)
            ordered &=
                parameters.m[2][level] / u[2][level] >= parameters.m[2][level + 1] / u[2][level + 1] - 1e-4;
    }
    unit_ok(turned, "without order, many equal non-matches speak against a match");
    unit_ok(ordered, "in order, a more alike level never speaks less for a match");
}

/*
 * The last comparison is of frequencies, the rarest first. Where the related begin with the rare and the
 * matches with the frequent, EM would keep all that is rare from the matches.
 */
static void
test_frequencies(void)
{
    static pattern_count patterns[PATTERNS];
    double u[MAX_COMPARISONS][MAX_LEVELS], related[MAX_COMPARISONS][MAX_LEVELS];
    simulation truth = make_simulation(0.2, 0);
    em_parameters start, parameters;
    em_report report;
    double rare[2];

    make_layout();
    for (int kept = 0; kept < 2; kept++) {
        em_session session = {
            .patterns = patterns, .match_share = 0.1, .related_share = 0.1, .u = u, .related = related};

        session.pattern_count = expected_patterns(&truth, 1e6, patterns);
        make_start(&start);
        start.in_order = true;
        start.frequencies_from = kept ? COMPARISONS - 1 : 0;
        parameters = start;
        memcpy(u, start.u, sizeof u);
        memcpy(related, start.m, sizeof related);
        for (int level = 1; level <= 5; level++) {
            related[COMPARISONS - 1][level] = level <= 2 ? 0.48 : 0.04 / 3;
            parameters.m[COMPARISONS - 1][level] = level <= 2 ? 0.02 : 0.32;
        }
        (void)em_train(&layout, &session, 1, 300, 1e-9, &start, &parameters, &report, 1);
        rare[kept] = parameters.m[COMPARISONS - 1][1] / related[COMPARISONS - 1][1] -
                     parameters.m[COMPARISONS - 1][5] / related[COMPARISONS - 1][5];
    }
    unit_ok(rare[0] < -0.1, "relatives can take what is rare from the matches");
    unit_ok(rare[1] > -1e-6, "unless frequencies are kept in order");
}

/* What the start values are worth for each match: m stays between them and what is seen. */
static void
test_prior_share(void)
{
    static pattern_count patterns[PATTERNS];
    double u[MAX_COMPARISONS][MAX_LEVELS], free_m, held_m;
    simulation truth = make_simulation(0.1, 0);
    em_parameters start, parameters;
    em_session session = {.patterns = patterns, .u = u};
    em_report report;

    make_layout();
    session.pattern_count = expected_patterns(&truth, 1e6, patterns);
    make_start(&start);
    for (int held = 0; held < 2; held++) {
        start.m_prior_share = held ? 1000 : 0;
        parameters = start;
        memcpy(u, start.u, sizeof u);
        session.match_share = 0.3;
        (void)em_train(&layout, &session, 1, 3000, 1e-9, &start, &parameters, &report, 1);
        *(held ? &held_m : &free_m) = parameters.m[4][1];
    }
    unit_ok(unit_near(free_m, truth.m[4][1], 0.01) && unit_near(held_m, start.m[4][1], 0.01) &&
                !unit_near(truth.m[4][1], start.m[4][1], 0.02),
            "start values that are worth much hold m");

    /* u that is known stays. */
    start.m_prior_share = 0;
    parameters = start;
    memcpy(u, start.u, sizeof u);
    session.u_known = 1 << 1;
    (void)em_train(&layout, &session, 1, 50, 1e-9, &start, &parameters, &report, 1);
    unit_ok(memcmp(u[1], start.u[1], sizeof u[1]) == 0 && memcmp(u[2], start.u[2], sizeof u[2]) != 0,
            "u that is known stays, the others are learnt");
}

/* Three classes, each by itself, as the model says it: the share of a pattern's pairs that a class has. */
static void
naive_shares(const em_parameters *parameters, const em_session *session, uint64_t pattern, double *shares)
{
    double all = 0;

    shares[0] = session->match_share;
    shares[1] = session->related != NULL ? session->related_share : 0;
    shares[2] = 1 - shares[0] - shares[1];
    for (int c = 0; c < COMPARISONS; c++) {
        int level = pattern_level(&layout.comparisons[c], pattern), other = parameters->beside[c] - 1;

        if ((session->left_out >> c & 1) || level == LEVEL_MISSING ||
            (other >= 0 && !(session->left_out >> other & 1) &&
             pattern_level(&layout.comparisons[other], pattern) != LEVEL_MISSING))
            continue;
        shares[0] *= parameters->m[c][level];
        shares[1] *= session->related != NULL ? session->related[c][level] : 0;
        shares[2] *= session->u[c][level];
    }
    for (int k = 0; k < 3; k++)
        all += shares[k];
    for (int k = 0; k < 3; k++)
        shares[k] /= all;
}

static void
random_levels(uint64_t *state, double (*levels)[MAX_LEVELS])
{
    for (int c = 0; c < COMPARISONS; c++) {
        double sum = 0;

        for (int level = 1; level <= layout.comparisons[c].level_count; level++)
            sum += levels[c][level] = 1 + unit_below(state, 1000);
        for (int level = 1; level <= layout.comparisons[c].level_count; level++)
            levels[c][level] /= sum;
    }
}

/* A step counts for each level what the classes have of its pairs, silent comparisons and left out ones too.
 */
static void
test_against_naive(void)
{
    static pattern_count patterns[PATTERNS];
    double worst_share = 0, worst_level = 0;
    uint64_t state = 3;

    make_layout();
    for (int round = 0; round < 60; round++) {
        simulation truth = make_simulation(0.2, 0.3);
        double u[MAX_COMPARISONS][MAX_LEVELS], related[MAX_COMPARISONS][MAX_LEVELS], found[PATTERNS];
        double others[COMPARISONS][MAX_LEVELS] = {{0}}, relatives[COMPARISONS][MAX_LEVELS] = {{0}};
        double matches = 0, pairs = 0;
        em_session session = {.patterns = patterns,
                              .match_share = 0.1 + unit_below(&state, 60) / 100.0,
                              .related_share = 0.2,
                              .related = round % 2 == 0 ? NULL : related,
                              .left_out = unit_below(&state, 1 << COMPARISONS) & unit_below(&state, 32),
                              .u = u};
        em_parameters start, parameters;
        em_report report;

        session.pattern_count = expected_patterns(&truth, 1e5, patterns);
        make_start(&start);
        random_levels(&state, start.u);
        random_levels(&state, start.m);
        random_levels(&state, u);
        random_levels(&state, related);
        if (round % 3 != 0)
            start.beside[unit_below(&state, 2)] = (uint8_t)(3 + unit_below(&state, 3));
        parameters = start;
        em_match_probabilities(&layout, &parameters, &session, patterns, session.pattern_count, found);
        for (size_t i = 0; i < session.pattern_count; i++) {
            double shares[3];

            naive_shares(&parameters, &session, patterns[i].pattern, shares);
            worst_share = fmax(worst_share, fabs(found[i] - shares[0]));
            matches += patterns[i].count * shares[0];
            pairs += patterns[i].count;
            for (int c = 0; c < COMPARISONS; c++) {
                int level = pattern_level(&layout.comparisons[c], patterns[i].pattern);

                others[c][level] += patterns[i].count * shares[2];
                relatives[c][level] += patterns[i].count * shares[1];
            }
        }
        worst_share =
            fmax(worst_share,
                 fabs(em_expected_matches(&layout, &parameters, &session, patterns, session.pattern_count) /
                          matches -
                      1));
        (void)em_train(&layout, &session, 1, 1, 1e-9, &start, &parameters, &report, 1);
        worst_share = fmax(worst_share, fabs(session.match_share - matches / pairs));
        for (int c = 0; c < COMPARISONS; c++) {
            double all_others = 100, all_relatives = 100;

            for (int level = 1; level <= layout.comparisons[c].level_count; level++) {
                all_others += others[c][level];
                all_relatives += relatives[c][level];
            }
            for (int level = 1; level <= layout.comparisons[c].level_count && !(session.left_out >> c & 1);
                 level++) {
                double before = 0.5 * (start.m[c][level] + start.u[c][level]);

                worst_level =
                    fmax(worst_level,
                         fabs(u[c][level] - (others[c][level] + 100 * start.u[c][level]) / all_others));
                if (session.related != NULL)
                    worst_level =
                        fmax(worst_level,
                             fabs(related[c][level] - (relatives[c][level] + 100 * before) / all_relatives));
            }
        }
    }
    unit_ok(worst_share < 1e-10, "probabilities are those of the three classes");
    unit_ok(worst_level < 1e-9, "a step's u and related are what the classes have of each level");
}

int
main(void)
{
    test_against_naive();
    test_recovery();
    test_beside();
    test_sessions();
    test_monotone();
    test_order();
    test_frequencies();
    test_prior_share();
    test_extremes();
    return unit_done();
}
