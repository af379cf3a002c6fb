/*
 * train.c: learns the weights of a model; see train.h.
 *
 * u, the probability of a level among non-matches: random_levels.c.
 * m, the probability among matches: by EM over agreement patterns of the candidate pairs (kernel/em.h).
 * The prior, the share of matches among all pairs: the expected number of matches among the candidates.
 * Labels, where there are any, then correct the weights (supervise.c).
 *
 * Everything is counted in whole numbers and summed in the order of the patterns: the same input gives
 * the same model to the bit, in any order of records and with any number of threads.
 */
#include "compat.h"

#include <math.h>

#include "engine/best_threshold.h"
#include "engine/cluster.h"
#include "engine/compared_columns.h"
#include "engine/distillation.h"
#include "engine/equal_names.h"
#include "engine/expected.h"
#include "engine/label_comparisons.h"
#include "engine/labels.h"
#include "engine/mixed.h"
#include "engine/model_weights.h"
#include "engine/moved.h"
#include "engine/parts.h"
#include "engine/pattern_counts.h"
#include "engine/progress.h"
#include "engine/random_levels.h"
#include "engine/rarity.h"
#include "engine/run.h"
#include "engine/source_pairs.h"
#include "engine/source_rivals.h"
#include "engine/split.h"
#include "engine/supervise.h"
#include "engine/text_alone.h"
#include "engine/train.h"
#include "engine/training_notes.h"
#include "engine/value_summary.h"
#include "kernel/em.h"
#include "kernel/logistic.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define SAMPLE_PAIRS 400000      /* of all rules together, about */
#define MOST_SAMPLE_PAIRS 400000 /* of each rule */
#define LEAST_SAMPLE_PAIRS 50000 /* the same */
#define EM_ITERATIONS_A_CALL 20
#define EM_ITERATIONS 1000
#define EM_TOLERANCE 1e-6
#define MANY_MATCHES 10000.0    /* among the candidates, from which they alone say where EM ends */
#define SAME_SHARE 1e-4         /* two shares of matches that differ by less are the same */
#define LEAST_RELATED 1e-9      /* where the share of related pairs begins */
#define CLEARLY_BETTER 0.0005   /* bits of likelihood for each pair */
#define LEAST_MATCHES_ACROSS 10 /* that pairs across sources teach something */
#define LEAST_A_COMPARISON 2.5  /* the same, for each comparison */
#define LEAST_SHARED 0.05       /* matches a record that is not of the largest source */
#define MOST_PARTNERS 2.0       /* of a record in another source */
#define MOSTLY_DIFFERENT 0.45   /* of the matches, that differ in a telling attribute */
#define RARELY_DIFFERENT 0.3    /* the same, of matches within groups */
#define LEAST_KEPT 0.5          /* of the links that seem right, that are left within groups */
#define LEAST_WITHIN 0.02       /* matches a record, that are left within groups */
#define LEAST_AGREEING 0.5      /* of those that agree in given names by more than chance */
#define MOST_ESTIMATED 0.65     /* F1 of the links, that asks for no other model */
#define LEAST_GAIN_WITHOUT 0.1  /* in F1, that a model without repeated texts promises */
#define LEAST_RIGHT_WITHOUT 0.4 /* of the links that are right with them */
#define MOSTLY_RIGHT 0.65       /* of the links, that matches are copies and not relatives */
#define WITHIN_DIFFERING 0.25   /* of what was taken for matches, that EM begins with within groups */

/* ---- m ---- */

typedef struct sample {
    const rarities *rarities;
    pattern_counts rules[MAX_RULES];
    pattern_count *found[MAX_RULES]; /* by each rule and no earlier one, scaled up to all its pairs */
    size_t found_count[MAX_RULES];
    double all_pairs; /* that there are, found or not */
} sample;

static void
count_candidates(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    sample *sample = context;

    for (uint32 i = 0; i < count; i++)
        pattern_counts_add(&sample->rules[rule], rarities_pattern(sample->rarities, &pairs[i]),
                           pairs[i].is_new);
}

/* Where the related begin: they agree half as often as matches do. */
static void
halfway(const scorer *layout, const em_parameters *start, const em_parameters *parameters,
        double related[MAX_COMPARISONS][MAX_LEVELS])
{
    for (int c = 0; c < layout->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
            related[c][level] = 0.5 * (start->m[c][level] + parameters->u[c][level]);
}

static void
start_values(const match_run *run, em_parameters *parameters)
{
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        int levels = run->scorer.comparisons[c].level_count;

        if (method_weighs_terms(run->scorer.comparisons[c].method) && parameters->m_prior_share > 0) {
            text_alone_start(parameters->m[c], levels);
            continue;
        }

        parameters->m[c][LEVEL_EXACT] = levels == 2 ? 0.85 : 0.75;
        for (int level = 2; level < levels; level++)
            parameters->m[c][level] = 0.15 / (levels - 2);
        parameters->m[c][levels] = levels == 2 ? 0.15 : 0.10;
    }
}

/* The matches to expect among the candidates, each counted in the first rule that finds it. */
static double
expected_matches(match_run *run, sample *sample, const em_session *sessions, const em_parameters *parameters)
{
    double matches = 0;

    for (int r = 0; r < run->spec->rule_count; r++)
        matches +=
            em_expected_matches(&sample->rarities->layout, parameters, distillation_judge(run, sessions, r),
                                sample->found[r], sample->found_count[r]);
    return matches;
}

/*
 * The share of matches among all pairs, counting the matches to expect among the candidates, each in the
 * first rule that finds it. Pairs that no rule finds are taken for non-matches.
 */
static double
match_prior(match_run *run, sample *sample, const em_session *sessions, const em_parameters *parameters)
{
    double matches = expected_matches(run, sample, sessions, parameters);

    return Min(Max(matches, 0.5) / Max(sample->all_pairs, 1.0), 0.5);
}

static int
run_em(match_run *run, const scorer *layout, em_session *sessions, const em_parameters *start,
       em_parameters *parameters, em_report *report)
{
    int iterations = 0;
    bool settled = false;

    while (!settled && iterations < EM_ITERATIONS) {
        settled = em_train(layout, sessions, run->spec->rule_count, EM_ITERATIONS_A_CALL, EM_TOLERANCE, start,
                           parameters, report, run->threads);
        iterations += report->iterations;
        CHECK_FOR_INTERRUPTS();
    }
    return iterations;
}

/* The comparison of names of persons that is all that counts in a session, as a bit: 0: there is none. */
static uint32
name_alone(match_run *run, const em_session *session)
{
    uint32 counting = 0;

    for (int c = 0; c < label_comparisons_first(run->spec); c++)
        if (!(session->left_out >> c & 1))
            counting |= UINT32_C(1) << c;
    return (counting & (counting - 1)) == 0 && (session->left_out & ~label_comparisons_mask(run->spec)) != 0
               ? mixed_given_names(run, counting)
               : 0;
}

/* What one training holds. */
typedef struct training {
    double all[MAX_COMPARISONS][MAX_LEVELS];
    equal_names names;
    em_parameters parameters, start;
    em_session sessions[MAX_RULES];
    em_report report;
    sample sample;
    pattern_count *random;
    size_t random_count;
    double prior;
    int iterations;
    struct training *groups; /* what was learnt before EM began again within groups; NULL: it did not */
    uint32 one_sided;        /* comparisons of what records of one source alone say, as bits */
    uint32 left_out;         /* these, and others that EM was not shown */
    bool without_copies;     /* frequencies of values are those of things */
    int first_phase;         /* of learning */
    int weighing[2];         /* phases: those in which weights were set, and the end */
} training;

/* Where a session begins, with m and the u of random pairs as they are. */
static void
begin_session(const training *learnt, em_session *session, int rule, bool with_related,
              const mixed_start *apart)
{
    session->match_share = apart != NULL ? Max(apart->match_shares[rule], LEAST_RELATED) : 0.3;
    memcpy(session->u, learnt->parameters.u, sizeof learnt->parameters.u);
    if (!with_related)
        return;
    if (session->related == NULL)
        session->related = palloc0(sizeof learnt->parameters.u);
    session->related_share = apart != NULL ? Max(apart->related_shares[rule], LEAST_RELATED) : LEAST_RELATED;
    if (apart != NULL)
        memcpy(session->related, apart->related, sizeof learnt->parameters.u);
    else
        halfway(&learnt->sample.rarities->layout, &learnt->start, &learnt->parameters, session->related);
}

/*
 * Pairs to take of each rule: what many rules find together teaches as much as many pairs of one rule do. A
 * million persons cluster as well by 50,000 of each of eight rules as by 400,000.
 */
static uint64
sample_pairs_of_rule(const match_spec *spec)
{
    return Max(Min(SAMPLE_PAIRS / Max(spec->rule_count, 1), MOST_SAMPLE_PAIRS), LEAST_SAMPLE_PAIRS);
}

/*
 * EM from the start values, or from where it ended, up to three times: each time the share of matches that
 * was found is taken out of u, unless it is what was taken out of it before. m is kept from one time to the
 * next, and where there are so many matches that EM ends at the same wherever it begins, all that the
 * sessions have learnt, too. with_related: non-matches of a rule may be of two kinds (kernel/em.h); apart: EM
 * begins with matches that were taken apart. Sets the share of matches among all pairs.
 */
static void
learn_from(match_run *run, training *learnt, bool from_start, bool with_related, const mixed_start *apart)
{
    em_session *sessions = learnt->sessions;
    em_parameters *parameters = &learnt->parameters, before = *parameters;
    bool all_known = false, anew = from_start;
    double taken_out;

    *parameters = learnt->start;
    if (!from_start)
        memcpy(parameters->m, before.m, sizeof parameters->m);
    learnt->prior = 0;
    for (int round = 0; round < 3; round++) {
        random_levels_less_matches(&run->scorer, learnt->all, learnt->prior, parameters);
        equal_names_bound(run, &learnt->names, parameters);
        rarities_take_out_matches(learnt->sample.rarities, learnt->all, learnt->prior, parameters);
        if (apart != NULL && anew)
            memcpy(parameters->m, apart->m, sizeof parameters->m);
        for (int r = 0; r < run->spec->rule_count; r++) {
            if (anew)
                begin_session(learnt, &sessions[r], r, with_related, apart);
            sessions[r].u_known = name_alone(run, &sessions[r]);
            for (int c = 0; c < run->scorer.comparison_count; c++)
                if (sessions[r].u_known >> c & 1)
                    memcpy(sessions[r].u[c], parameters->u[c], sizeof parameters->u[c]);
            if (learnt->start.m_prior_share > 0)
                sessions[r].u_known |= text_alone_non_matches(
                    run, &sessions[r], parameters, learnt->all[0],
                    learnt->sample.all_pairs *
                        match_run_sample_share(run, r, sample_pairs_of_rule(run->spec)));
            all_known |= sessions[r].u_known != 0 && label_comparisons_first(run->spec) == 1;
        }
        if (all_known)
            learnt->report.expected_matches[0] = 1.0;
        else
            learnt->iterations += run_em(run, &learnt->sample.rarities->layout, sessions, &learnt->start,
                                         parameters, &learnt->report);
        taken_out = learnt->prior;
        learnt->prior = match_prior(run, &learnt->sample, sessions, parameters);
        if (fabs(learnt->prior - taken_out) <= SAME_SHARE * taken_out)
            break;
        anew = from_start && learnt->prior * learnt->sample.all_pairs < MANY_MATCHES;
    }
}

static void
learn(match_run *run, training *learnt, bool with_related, const mixed_start *apart)
{
    learn_from(run, learnt, true, with_related, apart);
}

/* EM goes on from where it ended, with what was changed since. */
static void
learn_on(match_run *run, training *learnt)
{
    learn_from(run, learnt, false, false, NULL);
}

/* What EM arrived at, with the sessions' own. */
static training *
keep_learnt(const match_run *run, const training *learnt)
{
    training *kept = palloc(sizeof(training));

    *kept = *learnt;
    for (int r = 0; r < run->spec->rule_count; r++) {
        kept->sessions[r].u = palloc(sizeof learnt->parameters.u);
        memcpy(kept->sessions[r].u, learnt->sessions[r].u, sizeof learnt->parameters.u);
        kept->sessions[r].related = palloc(sizeof learnt->parameters.u);
        memcpy(kept->sessions[r].related, learnt->sessions[r].related, sizeof learnt->parameters.u);
    }
    return kept;
}

/*
 * Learns again when the matches are of several kinds. EM then ends at one of two answers by where it begins:
 * with related pairs that are next to none and grow, or with the matches taken apart. The second is taken
 * where it explains the pairs clearly better.
 */
static training *
learn_with_related(match_run *run, training *learnt)
{
    mixed_attributes mixed;
    mixed_start apart;
    training *begun_small;
    double before;

    if (!mixed_find(run, learnt->sample.rarities, learnt->sessions, &learnt->parameters, &mixed))
        return learnt;
    run->relatives_apart = true;
    mixed_take_apart(run, &learnt->sample.rarities->layout, &mixed, learnt->sessions, &learnt->parameters,
                     &apart);
    learn(run, learnt, true, NULL);
    if (mixed.count == 0)
        return learnt;
    begun_small = keep_learnt(run, learnt);
    before = mixed_likelihood(run, &learnt->sample.rarities->layout, learnt->sessions, &learnt->parameters);
    learn(run, learnt, true, &apart);
    if (mixed_likelihood(run, &learnt->sample.rarities->layout, learnt->sessions, &learnt->parameters) <
        before + CLEARLY_BETTER) {
        begun_small->iterations = learnt->iterations;
        return begun_small;
    }
    match_run_phase(run, "related", "begun with matches taken apart");
    return learnt;
}

static bool
find_repeating(match_run *run, training *learnt, bool joining)
{
    em_session random = {.patterns = learnt->random,
                         .pattern_count = learnt->random_count,
                         .left_out = learnt->left_out | label_comparisons_mask(run->spec),
                         .match_share = learnt->prior,
                         .u = learnt->parameters.u};

    return mixed_repeating(run, learnt->sample.rarities, learnt->sessions, &random, &learnt->parameters,
                           joining);
}

/*
 * Attributes that seemed to say the same were seen in what EM took for matches. Where many of these were
 * people of one home, that is what a home shares: its surname and its street. With relatives apart it is
 * looked at anew, who has moved among the rest, and EM goes on.
 */
static void
find_repeating_anew(match_run *run, training *learnt)
{
    bool again = true;

    memset(learnt->start.beside, 0, sizeof learnt->start.beside);
    for (bool joining = false; again; joining = true) {
        learn_on(run, learnt);
        again = find_repeating(run, learnt, joining);
        memcpy(learnt->start.beside, learnt->parameters.beside, sizeof learnt->start.beside);
    }
}

/* The share of matches that agree by more than chance in the attributes whose m is held. */
static double
share_agreeing(const training *learnt)
{
    double share = 1.0;

    for (int c = 0; c < learnt->sample.rarities->layout.comparison_count; c++) {
        int levels = learnt->sample.rarities->layout.comparisons[c].level_count;
        double u = learnt->parameters.u[c][levels];

        if (learnt->start.held >> c & 1)
            share =
                Min(share, (u - learnt->parameters.m[c][levels]) / Max(u - learnt->start.m[c][levels], 0.01));
    }
    return Max(share, 0.01);
}

/* EM begins again with what it took for matches as the related, and matches that agree in nearly all. */
static training *
learn_within(match_run *run, training *learnt, double share)
{
    const scorer *layout = &learnt->sample.rarities->layout;
    mixed_start within;
    training *before;

    for (int r = 0; r < run->spec->rule_count; r++) {
        within.match_shares[r] = learnt->sessions[r].match_share * share;
        within.related_shares[r] = learnt->sessions[r].match_share - within.match_shares[r];
        if (learnt->sessions[r].related == NULL)
            learnt->sessions[r].related = palloc0(sizeof learnt->parameters.u);
    }
    memcpy(within.m, learnt->start.m, sizeof within.m);
    memcpy(within.related, learnt->parameters.m, sizeof within.related);
    for (int c = 0; c < layout->comparison_count; c++)
        if (learnt->start.held >> c & 1)
            memcpy(within.related[c], learnt->parameters.u[c], sizeof within.related[c]);
    before = keep_learnt(run, learnt);
    learn(run, learnt, true, &within);
    return before;
}

/*
 * Many more matches than one to one are a group that things have in common, a brewery or a brand, taken for
 * the thing. What EM then arrives at within them is taken where it can be one to one.
 */
static training *
learn_within_groups(match_run *run, training *learnt)
{
    double most = source_pairs_one_to_one(run);
    double found = expected_matches(run, &learnt->sample, learnt->sessions, &learnt->parameters), left;
    training *groups;

    if (found < MOST_PARTNERS * most)
        return learnt;
    groups = learn_within(run, learnt, most / found / 2);
    left = expected_matches(run, &learnt->sample, learnt->sessions, &learnt->parameters);
    match_run_phase(run, "groups", "%.0f matches, one to one at most %.0f; within groups %.0f", found, most,
                    left);
    if (left < LEAST_SHARED * most || left > most) {
        groups->iterations = learnt->iterations;
        return groups;
    }
    learnt->groups = groups;
    return learnt;
}

typedef enum within_result {
    WITHIN_REFUSED,
    WITHIN_FEW, /* nothing speaks against it but that it leaves fewer matches than asked for */
    WITHIN_TAKEN,
} within_result;

/*
 * Whether matches within groups agree in the attributes that those before differed in, or in more of them
 * than they still differ in: a second name may be left out, or an initial, in half of one person's records.
 */
static bool
come_to_agree(match_run *run, const training *groups, const training *within, uint32 differing)
{
    const rarities *rarities = within->sample.rarities;
    uint32 still = differing & mixed_differing(run, rarities, &within->parameters, RARELY_DIFFERENT);
    uint32 before = differing & mixed_differing(run, rarities, &groups->parameters, MOSTLY_DIFFERENT);

    return still == 0 || pg_popcount32(before & ~still) > pg_popcount32(still);
}

/* EM begins within groups, with what is held in learnt->start; what it arrives at is taken or not. */
static within_result
try_within(match_run *run, training **learnt, uint32 differing, double share, double least, bool others)
{
    const scorer *layout = &(*learnt)->sample.rarities->layout;
    double found = expected_matches(run, &(*learnt)->sample, (*learnt)->sessions, &(*learnt)->parameters);
    double gain = -mixed_likelihood(run, layout, (*learnt)->sessions, &(*learnt)->parameters), left;
    bool untaught = false; /* matches agree in it because EM began so */
    within_result result = WITHIN_REFUSED;
    training *groups = learn_within(run, *learnt, share);

    gain += mixed_likelihood(run, layout, (*learnt)->sessions, &(*learnt)->parameters);
    left = expected_matches(run, &(*learnt)->sample, (*learnt)->sessions, &(*learnt)->parameters);
    match_run_phase(run, "groups", "%.0f matches differ in telling attributes; within %.0f, %.4f bits better",
                    found, left, gain);
    for (int c = 0; c < run->spec->comparison_count; c++)
        untaught |= (differing >> c & 1) && (*learnt)->report.expected_matches[c] < LEAST_MATCHES_ACROSS;
    if ((others || gain >= mixed_bits_of_related(run, layout, (*learnt)->sessions)) &&
        left >= (others ? LEAST_A_COMPARISON * label_comparisons_first(run->spec)
                        : LEAST_WITHIN * run->store->records.count) &&
        !untaught && come_to_agree(run, groups, *learnt, differing)) {
        if (left >= least)
            return WITHIN_TAKEN;
        result = WITHIN_FEW;
    }
    groups->iterations = (*learnt)->iterations;
    *learnt = groups;
    return result;
}

/*
 * Where half of the matches differ in a telling attribute, a group may be taken for the thing, too, though
 * there are no more of them than there can be. What EM arrives at within is taken where it explains
 * the pairs clearly better, and its matches agree in these attributes. Of persons given names may be all that
 * tells people of one home apart, and any share of them explains the pairs: then, unless EM by itself finds
 * about as many as agree in them, m of given names is held at what is usual, and relatives agree in them as
 * strangers do.
 */
static training *
learn_within_differing(match_run *run, training *learnt)
{
    static const uint8 none_beside[MAX_COMPARISONS];
    uint32 differing = mixed_differing(run, learnt->sample.rarities, &learnt->parameters, MOSTLY_DIFFERENT);
    uint32 names = mixed_differing_names(run, &learnt->parameters, MOSTLY_DIFFERENT);
    double found = expected_matches(run, &learnt->sample, learnt->sessions, &learnt->parameters), agreeing;
    within_result by_itself = WITHIN_REFUSED, held = WITHIN_REFUSED;
    uint32 others = mixed_other_people(run, &learnt->parameters, MOSTLY_DIFFERENT);

    /* Who has a rare name, and another address each time, is one person; and addresses are made of names. */
    if (run->names_known) {
        differing &= UINT32_C(1) << learnt->names.comparison;
        names &= UINT32_C(1) << learnt->names.comparison;
    }
    if (others == 0)
        others = mixed_strangers(run, learnt->sample.rarities, &learnt->parameters);
    if ((differing | names) == 0 || (run->relatives_apart && others == 0) || found < LEAST_MATCHES_ACROSS)
        return learnt;
    if (others != 0)
        differing = others;
    learnt->start.held = names;
    agreeing = share_agreeing(learnt);
    learnt->start.held = 0;
    if (differing != 0)
        by_itself =
            try_within(run, &learnt, differing, WITHIN_DIFFERING,
                       names != 0 && others == 0 ? LEAST_AGREEING * agreeing * found : 0, others != 0);
    if (by_itself != WITHIN_TAKEN && names != 0) {
        learnt->start.held = names;
        held = try_within(run, &learnt, names, agreeing, 0, others != 0);
        learnt->start.held = 0;
    }
    if (by_itself == WITHIN_FEW && held != WITHIN_TAKEN)
        by_itself = try_within(run, &learnt, differing, WITHIN_DIFFERING, 0, others != 0);
    run->relatives_apart |= by_itself == WITHIN_TAKEN || held == WITHIN_TAKEN;
    if (by_itself == WITHIN_TAKEN && memcmp(learnt->start.beside, none_beside, sizeof none_beside) != 0)
        find_repeating_anew(run, learnt);
    return learnt;
}

/* Counts all candidates, or those across sources alone. */
static training *
count_pairs(match_run *run, const match_spec *spec, rarities *rarities, bool across)
{
    visit_options options = {.mode = PAIRS_SAMPLED,
                             .least_weight = PG_INT64_MIN,
                             .sample_pairs = sample_pairs_of_rule(spec),
                             .across_sources = across};
    training *learnt = palloc0(sizeof(training));

    progress_phase("random pairs", 0);
    learnt->one_sided = across ? source_pairs_one_sided(run) : 0;
    random_levels_count(run, across, learnt->all, &learnt->random, &learnt->random_count);
    match_run_phase(run, "random pairs", "u of %d comparisons", spec->comparison_count);

    for (int r = 0; r < spec->rule_count; r++)
        pattern_counts_init(&learnt->sample.rules[r], run->context);
    learnt->sample.all_pairs = source_pairs_all(run, across);
    learnt->sample.rarities = rarities;
    learnt->names = equal_names_find(run);
    run->names_known = learnt->names.comparison >= 0;
    rarities_weigh(run, rarities, true);
    match_run_visit(run, &options, count_candidates, &learnt->sample);
    rarities_weigh(run, rarities, false);

    for (int r = 0; r < spec->rule_count; r++) {
        em_session *session = &learnt->sessions[r];

        session->bounded = learnt->names.comparison + 1;
        session->most_equal = learnt->names.share * learnt->sample.all_pairs *
                              match_run_sample_share(run, r, options.sample_pairs);
        session->patterns =
            pattern_counts_sorted(&learnt->sample.rules[r], false, 1.0, &session->pattern_count);
        learnt->sample.found[r] = pattern_counts_sorted(
            &learnt->sample.rules[r], true, 1.0 / match_run_sample_share(run, r, options.sample_pairs),
            &learnt->sample.found_count[r]);
        pattern_counts_free(&learnt->sample.rules[r]);
    }
    return learnt;
}

/* Learns from the pairs that were counted; left_out: comparisons that EM is not shown, as bits. */
static training *
learn_from_pairs(match_run *run, const match_spec *spec, const training *counted, bool across,
                 uint32 left_out)
{
    training *learnt = palloc(sizeof(training));
    const rarities *rarities = counted->sample.rarities;

    *learnt = *counted;
    learnt->left_out = counted->one_sided | left_out;
    learnt->first_phase = summary_count();
    run->relatives_apart = false;
    progress_phase("learning", 0);
    for (int r = 0; r < spec->rule_count; r++) {
        em_session *session = &learnt->sessions[r];

        session->left_out =
            comparisons_in_key(spec, &spec->rules[r]) | label_comparisons_mask(spec) | learnt->left_out;
        session->u = palloc0(sizeof learnt->parameters.u);
    }
    learnt->start.in_order = true;
    learnt->start.frequencies_from = rarities->count > 0 ? run->scorer.comparison_count : 0;
    learnt->start.m_prior_share = prior_share(spec);
    start_values(run, &learnt->start);
    rarities_start(rarities, &learnt->start);
    learn(run, learnt, false, NULL);
    for (bool again = true; again;) {
        again = find_repeating(run, learnt, false);
        memcpy(learnt->start.beside, learnt->parameters.beside, sizeof learnt->start.beside);
        if (again)
            learn(run, learnt, false, NULL);
    }
    learnt = learn_with_related(run, learnt);
    if (run->relatives_apart)
        find_repeating_anew(run, learnt);
    if (across)
        learnt = learn_within_groups(run, learnt);
    return learnt->groups != NULL ? learnt : learn_within_differing(run, learnt);
}

/*
 * Records of one source look alike because they were written by one hand, and that would be learnt for a mark
 * of matches. Where sources have things in common, pairs across them teach what does not depend on that.
 */
static bool
sources_share_things(match_run *run, const training *learnt)
{
    const record_store *store = run->store;
    uint32 *records = palloc0(store->sources->count * sizeof(uint32)), largest = 0;
    double matches = expected_matches(run, (sample *)&learnt->sample, learnt->sessions, &learnt->parameters);

    for (uint32 record = 0; record < store->records.count; record++)
        records[record_row(&store->records, record)[store->source_slot]]++;
    for (uint32 source = 0; source < store->sources->count; source++)
        largest = Max(largest, records[source]);
    pfree(records);
    return matches >= LEAST_MATCHES_ACROSS &&
           matches >= LEAST_A_COMPARISON * label_comparisons_first(run->spec) &&
           matches >= LEAST_SHARED * (store->records.count - largest);
}

/* What was decided from all the data goes into the model (frozen.h); terms and frequencies are there. */
static void
freeze(match_run *run, match_spec *spec)
{
    for (int r = 0; r < spec->rule_count; r++)
        spec->rules[r].splits = *split_decided(run, r);
    cluster_freeze_sources(run, spec);
}

/* The verdicts that weights are to agree with. */
typedef struct verdict_cases {
    logistic_case *cases; /* the candidates first */
    size_t candidates, count;
} verdict_cases;

/* The weights of the model, from what was learnt; of comparisons that EM was not shown nothing is known. */
static void
set_weights(match_run *run, match_spec *spec, training *learnt, verdict_cases *verdicts)
{
    const rarities *rarities = learnt->sample.rarities;
    distilled_pairs pairs = {learnt->sample.found, learnt->sample.found_count, learnt->random,
                             learnt->random_count};
    uint32 unknown = label_comparisons_mask(spec) | learnt->left_out;
    em_parameters parameters;

    learnt->weighing[0] = summary_count();
    verdicts->cases = distillation_cases(run, &rarities->layout, &pairs, learnt->sessions,
                                         &learnt->parameters, &verdicts->candidates, &verdicts->count);
    for (int c = 0; c < spec->comparison_count; c++)
        if (unknown >> c & 1)
            memcpy(learnt->parameters.m[c], learnt->parameters.u[c], sizeof learnt->parameters.m[c]);
    parameters = learnt->parameters;
    moved_judge(run, rarities, verdicts->cases, verdicts->candidates, learnt->prior, &parameters);
    model_set_weights(run, spec, rarities, &parameters, verdicts->cases, verdicts->count, learnt->prior);
    if (learnt->without_copies)
        model_leave_out_copies(run, spec, rarities, learnt->prior * learnt->sample.all_pairs);
    expected_weigh(run, spec, verdicts->cases, verdicts->candidates);
    learnt->weighing[1] = summary_count();
    match_run_set_weights(run, spec);
}

/*
 * Within groups EM may end at a kind of pairs that hardly any two records are of. The links say so: where the
 * weights before it leave many more that are right, as each source holds a thing once, these are taken.
 */
static training *
within_groups_or_not(match_run *run, const match_spec *spec, training *learnt)
{
    training *ways[2] = {learnt->groups, learnt};
    double surplus[2];
    int first = summary_count();

    if (learnt->groups == NULL)
        return learnt;
    if (!source_rivals_fit(run->store)) {
        run->relatives_apart = true;
        return learnt;
    }
    for (int way = 0; way < 2; way++) {
        match_spec tried = *spec;
        verdict_cases verdicts;

        set_weights(run, &tried, ways[way], &verdicts);
        pfree(verdicts.cases);
        surplus[way] = cluster_links_surplus(run, &tried);
    }
    summary_tried(first, summary_count(), NULL);
    match_run_phase(run, "groups", "%.0f more links right than wrong; within groups %.0f", surplus[0],
                    surplus[1]);
    if (surplus[1] < LEAST_KEPT * surplus[0]) {
        learnt->groups->iterations = learnt->iterations;
        return learnt->groups;
    }
    run->relatives_apart = true;
    return learnt;
}

/*
 * The text of a whole record says again what its columns say, and EM takes the two for independent. Where
 * matches are few it then finds what is alike in its words, and not what is the same. So where few of the
 * links can be right (source_rivals.h), EM learns without such texts, and that is taken if more are right.
 */
static training *
learn_without_repeats(match_run *run, match_spec *spec, const training *counted, bool across,
                      training *learnt, verdict_cases *verdicts)
{
    uint32 repeats = repeated_texts(spec);
    bool apart = run->relatives_apart;
    link_estimate with, without;
    match_spec kept = *spec;
    verdict_cases others;
    training *other;
    int first;

    if (repeats == 0 || run->store->records.count < 2 || !cluster_estimate_links(run, spec, &with) ||
        link_estimate_f1(&with) >= MOST_ESTIMATED)
        return learnt;
    first = summary_count();
    other = within_groups_or_not(run, spec, learn_from_pairs(run, spec, counted, across, repeats));
    set_weights(run, spec, other, &others);
    if (cluster_estimate_links(run, spec, &without) && without.of_sources == with.of_sources &&
        without.right >= LEAST_RIGHT_WITHOUT * with.right &&
        link_estimate_f1(&without) >= link_estimate_f1(&with) + LEAST_GAIN_WITHOUT) {
        match_run_phase(run, "repeats",
                        "%.0f of %.0f links right without texts of whole records, %.0f of %.0f with",
                        without.right, without.links, with.right, with.links);
        summary_tried(learnt->first_phase, first, NULL);
        *verdicts = others;
        return other;
    }
    summary_tried(first, summary_count(), NULL);
    *spec = kept;
    run->relatives_apart = apart;
    match_run_set_weights(run, spec);
    return learnt;
}

/* The pairs that were counted, with parts silent where their texts say what they would say. */
static training *
silence_parts(const match_run *run, const training *counted, const text_parts *parts)
{
    const scorer *layout = &counted->sample.rarities->layout;
    training *quiet = palloc(sizeof(training));

    *quiet = *counted;
    for (int r = 0; r < run->spec->rule_count; r++) {
        em_session *session = &quiet->sessions[r];

        session->patterns =
            parts_silenced(parts, layout, session->patterns, session->pattern_count, &session->pattern_count);
        quiet->sample.found[r] = parts_silenced(parts, layout, quiet->sample.found[r],
                                                quiet->sample.found_count[r], &quiet->sample.found_count[r]);
    }
    quiet->random = parts_silenced(parts, layout, quiet->random, quiet->random_count, &quiet->random_count);
    parts_count_levels(parts, layout, quiet->random, quiet->random_count, quiet->all);
    return quiet;
}

/* Learns with parts silent, too, and takes that where it promises more (parts.h). */
static training *
learn_with_parts(match_run *run, match_spec *spec, const training *counted, bool across,
                 const text_parts *parts, training *learnt, verdict_cases *verdicts)
{
    const rarities *rarities = counted->sample.rarities;
    bool apart = run->relatives_apart;
    match_spec kept = *spec;
    verdict_cases others;
    training *other;
    double with, without;
    int first;

    if (parts->count == 0 || run->store->records.count < 2)
        return learnt;
    without = best_expected_f1(spec, rarities, verdicts->cases, verdicts->candidates);
    first = summary_count();
    other = learn_from_pairs(run, spec, silence_parts(run, counted, parts), across, 0);
    other = within_groups_or_not(run, spec, other);
    parts_put(parts, spec);
    set_weights(run, spec, other, &others);
    with = best_expected_f1(spec, rarities, others.cases, others.candidates);
    match_run_phase(run, "parts", "an F1 of %.3f to expect with parts of texts apart, %.3f with them alike",
                    without, with);
    if (with > without) {
        summary_tried(learnt->first_phase, first, NULL);
        *verdicts = others;
        return other;
    }
    summary_tried(first, summary_count(), NULL);
    *spec = kept;
    run->relatives_apart = apart;
    match_run_set_weights(run, spec);
    return learnt;
}

/*
 * That two records share a value because they are one thing says nothing of how frequent it is. Where EM took
 * relatives for matches, they share it by chance all the same; the links say that few of them are right then.
 * Where strangers are known to have one name seldom, a name of many records is a person of many.
 */
static void
leave_out_copies(match_run *run, match_spec *spec, training *learnt, verdict_cases *verdicts)
{
    link_estimate links;

    if (run->store->records.count < 2 || !model_counts_copies(run, spec, learnt->sample.rarities))
        return;
    if (!run->names_known &&
        (!cluster_estimate_links(run, spec, &links) || links.right < MOSTLY_RIGHT * links.links))
        return;
    learnt->without_copies = true;
    summary_tried(learnt->weighing[0], learnt->weighing[1], NULL);
    pfree(verdicts->cases);
    set_weights(run, spec, learnt, verdicts);
}

/*
 * What the links say of sources, and the threshold that promises the best F1, unless the specification has
 * one. A column alone has nothing to bear it out: what is said there of pairs in doubt is worth no more than
 * what is said of the rest.
 */
static void
weigh_without_labels(match_run *run, match_spec *spec, const rarities *rarities,
                     const verdict_cases *verdicts)
{
    double threshold;

    if (cluster_weigh_sources(run, spec) || spec->threshold != DEFAULT_THRESHOLD ||
        compared_columns(spec) < 2)
        return;
    threshold = best_threshold(run, spec, rarities, verdicts->cases, verdicts->candidates);
    spec->learnt_threshold = threshold == DEFAULT_THRESHOLD ? 0 : threshold;
}

void
train_model(match_run *run, match_spec *spec, const label_list *labels)
{
    bool across = run->store->source_slot >= 0 && run->store->sources->count > 2;
    rarities *rarities;
    training *counted, *learnt;
    verdict_cases verdicts;
    char *lesson = NULL;
    text_parts parts = parts_take(spec);
    int first;

    value_summaries_make(run);
    rarities = rarities_of(run);
    first = summary_count();
    counted = count_pairs(run, spec, rarities, across);
    learnt = learn_from_pairs(run, spec, counted, across, 0);
    if (across && !spec->across_sources && !sources_share_things(run, learnt)) {
        across = false;
        summary_tried(first, summary_count(), NULL);
        counted = count_pairs(run, spec, rarities, across);
        learnt = learn_from_pairs(run, spec, counted, across, 0);
    }
    if (labels == NULL && run->store->records.count > 1)
        training_warn_of_untaught(spec, &learnt->report, learnt->one_sided);

    learnt = within_groups_or_not(run, spec, learnt);
    set_weights(run, spec, learnt, &verdicts);
    learnt = learn_with_parts(run, spec, counted, across, &parts, learnt, &verdicts);
    learnt = learn_without_repeats(run, spec, counted, across, learnt, &verdicts);
    leave_out_copies(run, spec, learnt, &verdicts);
    match_run_phase(run, "learning", "%d iterations, 1 match in %.0f pairs%s", learnt->iterations,
                    1.0 / learnt->prior, across ? " across sources" : "");
    if (labels != NULL) {
        /* So that labels correct the model that there is without them. */
        weigh_without_labels(run, spec, rarities, &verdicts);
        lesson = supervise_model(run, spec, labels, verdicts.cases, verdicts.candidates);
    }
    freeze(run, spec);
    if (labels == NULL)
        weigh_without_labels(run, spec, rarities, &verdicts);
    if (spec->learnt_threshold > 0)
        spec->threshold = spec->learnt_threshold;
    label_comparisons_drop_idle(spec);
    training_describe(run, spec, learnt->sessions, learnt->iterations, lesson);
}
