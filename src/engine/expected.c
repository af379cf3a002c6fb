/*
 * expected.c: see expected.h. The weights are rough numbers: what one person alone has (an identifier, a
 * birth date) speaks strongly when it differs; what a household or a firm shares (address, telephone, e-mail)
 * hardly does, and alone it makes no match.
 */
#include "compat.h"

#include <math.h>

#include "engine/expected.h"
#include "engine/label_comparisons.h"

#define EXPECTED_MATCHES 8.0  /* of each comparison, that teach as much as is expected */
#define LEAST_LEARNT 0.15     /* of a weight: what is peculiar to the data shows in few matches, too */
#define MOST_OF_RARITY 0.9    /* of what an equal value can say at all, by how rare equal values are */
#define MOST_SHARED_BITS 12.0 /* that all a household shares may say together */
#define DATE_SLIP 0.9 /* similarity of two dates of which day and month are swapped, or a digit is wrong */
#define DATE_SLIP_BITS 1.5 /* that it says less than equal dates */
#define SLIP_SHARE 0.4     /* of an equal value's weight, that one wrong character leaves */

#define PERSONAL_BITS (-5.0) /* that a difference says in what one person has */
#define MOST_DIFFERENT 0.15  /* of the matches, in such an attribute */

typedef struct expectation {
    double agree, differ; /* bits */
    double neutral;       /* the similarity that says nothing */
} expectation;

/* By evidence_kind. */
static const expectation expectations[] = {
    [EVIDENCE_NONE] = {0, 0, 0.5},         [EVIDENCE_NAME] = {8.5, -6, 0.65},
    [EVIDENCE_GIVEN_NAME] = {4, -5, 0.85}, [EVIDENCE_BIRTH_DATE] = {6, -5, 0.8},
    [EVIDENCE_IDENTIFIER] = {10, -5, 0.9}, [EVIDENCE_CONTACT] = {6, -1, 0.85},
    [EVIDENCE_SHARED] = {4, -1, 0.3},
};

static bool
says_what_it_is_of(const match_spec *spec)
{
    for (int c = 0; c < spec->comparison_count; c++)
        if (spec->comparisons[c].evidence != EVIDENCE_NONE)
            return true;
    return false;
}

/* The weight of a level in bits. */
static double
level_weight(const comparison_spec *comparison, int level, int shared)
{
    const expectation *expected = &expectations[comparison->evidence];
    double agree = expected->agree, threshold;

    if (comparison->evidence == EVIDENCE_SHARED)
        agree = Min(agree, MOST_SHARED_BITS / shared);
    if ((comparison->evidence == EVIDENCE_BIRTH_DATE || comparison->evidence == EVIDENCE_SHARED) &&
        !comparison->term_frequency)
        agree = Min(agree, Max(-MOST_OF_RARITY * portable_log2(comparison->u[LEVEL_EXACT]), 0));
    if (level == LEVEL_EXACT)
        return agree;
    if (level - LEVEL_EXACT > comparison->threshold_count)
        return expected->differ;
    threshold = comparison->thresholds[level - LEVEL_EXACT - 1];
    if (comparison->evidence == EVIDENCE_BIRTH_DATE && threshold >= DATE_SLIP)
        return Max(agree - DATE_SLIP_BITS, SLIP_SHARE * agree);
    if (method_is_distance(comparison->method))
        return threshold <= 0 ? agree : threshold <= 1 ? SLIP_SHARE * agree : 0;
    if (threshold >= expected->neutral)
        return agree * (threshold - expected->neutral) / (1.0 - expected->neutral);
    return expected->differ * Min(1.0, (expected->neutral - threshold) / (0.5 * expected->neutral));
}

/*
 * The share of the matches that differ in what a comparison is of. Of whole names those that are half the
 * same do, too: people of one family.
 */
static double
differing_share(const comparison_spec *comparison)
{
    int last = LEVEL_EXACT + 1 + comparison->threshold_count, first = last;
    double share = 0;

    while (comparison->evidence == EVIDENCE_NAME && first > LEVEL_EXACT + 1 &&
           comparison->thresholds[first - LEVEL_EXACT - 2] < expectations[EVIDENCE_NAME].neutral)
        first--;
    for (int level = first; level <= last; level++)
        share += comparison->m[level];
    return share;
}

/*
 * Whether what EM took for matches differs in what one person has more often than copies of a person do: then
 * it is families, at least in part. compared: by comparison, the matches that have both values.
 */
static bool
learnt_from_families(const match_spec *spec, const double *compared)
{
    for (int c = 0; c < label_comparisons_first(spec); c++) {
        const comparison_spec *comparison = &spec->comparisons[c];

        if (expectations[comparison->evidence].differ <= PERSONAL_BITS && compared[c] >= EXPECTED_MATCHES &&
            differing_share(comparison) > MOST_DIFFERENT)
            return true;
    }
    return false;
}

/* The matches to expect among the candidates by weights; into compared, by comparison, those that have both
   values. */
static double
count_matches(const scorer *layout, const double (*weights)[MAX_LEVELS], double prior_bits,
              const logistic_case *cases, size_t case_count, double *compared)
{
    double matches = 0;

    memset(compared, 0, layout->comparison_count * sizeof(double));
    for (size_t i = 0; i < case_count; i++) {
        double bits = prior_bits, expected;

        for (int c = 0; c < layout->comparison_count; c++)
            bits += weights[c][pattern_level(&layout->comparisons[c], cases[i].pattern)];
        expected = cases[i].count * probability_from_weight((int64)floor(bits * WEIGHT_UNITS + 0.5));
        matches += expected;
        for (int c = 0; c < layout->comparison_count; c++)
            if (pattern_level(&layout->comparisons[c], cases[i].pattern) != LEVEL_MISSING)
                compared[c] += expected;
    }
    return matches;
}

void
expected_weigh(match_run *run, match_spec *spec, const logistic_case *cases, size_t case_count)
{
    double(*weights)[MAX_LEVELS], (*trained)[MAX_LEVELS], compared[MAX_COMPARISONS];
    double prior_bits, matches, found, learnt;
    int shared = 0;
    int64 trained_prior = weight_from_probability(spec->prior);

    if (!says_what_it_is_of(spec) || run->store->records.count < 2)
        return;
    for (int c = 0; c < spec->comparison_count; c++)
        shared += spec->comparisons[c].evidence == EVIDENCE_SHARED;
    weights = palloc0(sizeof(double[MAX_COMPARISONS][MAX_LEVELS]));
    trained = palloc0(sizeof(double[MAX_COMPARISONS][MAX_LEVELS]));
    for (int c = 0; c < spec->comparison_count; c++)
        for (int level = LEVEL_EXACT; level <= run->scorer.comparisons[c].level_count; level++) {
            weights[c][level] = level_weight(&spec->comparisons[c], level, shared);
            trained[c][level] = weight_to_bits(spec->comparisons[c].weights[level]);
        }
    /* Half as many matches as records. */
    prior_bits = -portable_log2((double)run->store->records.count);
    matches = count_matches(&run->scorer, weights, prior_bits, cases, case_count, compared);
    found = count_matches(&run->scorer, trained, weight_to_bits(trained_prior), cases, case_count, compared);
    learnt = matches / (EXPECTED_MATCHES * Max(label_comparisons_first(spec), 1));
    /* Where far more was taken for matches than is expected, it may be families that were learnt from. */
    if (found > matches && learnt_from_families(spec, compared))
        learnt *= (matches / found) * (matches / found);
    learnt *= learnt; /* so that it goes fast from one to the other */
    learnt = LEAST_LEARNT + (1.0 - LEAST_LEARNT) * learnt * learnt / (1.0 + learnt * learnt);
    for (int c = 0; c < spec->comparison_count; c++) {
        comparison_spec *comparison = &spec->comparisons[c];
        double full = portable_log2(comparison->m[LEVEL_EXACT] / comparison->u[LEVEL_EXACT]);

        if (comparison->term_frequency && comparison->frequencies.other > 0 && full > 0) {
            double by_rarity = Max(Min(weights[c][LEVEL_EXACT] / full, 1.0), 0.0);

            /* Few records have one date of birth by chance: where several do, most are copies. */
            if (comparison->evidence == EVIDENCE_BIRTH_DATE)
                by_rarity = 0;
            comparison->frequencies.scale =
                learnt * comparison->frequencies.scale + (1.0 - learnt) * by_rarity;
            /* What is expected is expected of a value that is as frequent as most. */
            weights[c][LEVEL_EXACT] +=
                comparison->frequencies.scale *
                portable_log2(comparison->frequencies.other / comparison->u[LEVEL_EXACT]);
        }
        for (int level = LEVEL_EXACT; level <= run->scorer.comparisons[c].level_count; level++)
            comparison->weights[level] =
                (int32)floor(learnt * comparison->weights[level] +
                             (1.0 - learnt) * weights[c][level] * WEIGHT_UNITS + 0.5);
    }
    spec->prior = probability_from_weight(
        (int64)floor(learnt * (double)trained_prior + (1.0 - learnt) * prior_bits * WEIGHT_UNITS + 0.5));
    match_run_phase(run, "expected", "%.0f matches by what attributes mean, %.0f %% learnt from %.0f",
                    matches, 100.0 * learnt, found);
    pfree(weights);
    pfree(trained);
}
