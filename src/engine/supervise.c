/*
 * supervise.c: see supervise.h.
 *
 * The model of EM is the prior: labels correct it. What is learnt (kernel/map_logistic.h) is an intercept, a
 * factor for all evidence, for each comparison a factor for what speaks for a match and one for what speaks
 * against, and a correction in bits for each level. Few labels move the first few of these, many labels the
 * last. How strongly corrections are held at zero is decided by cross-validation on the labels; one of the
 * choices is to learn nothing, and of choices that are about as good the one that changes least is taken.
 * With fewer than FEWEST_OF_A_KIND labels of either kind nothing is learnt at all.
 *
 * Labels drawn where the model is in doubt say little of how frequent matches are. They need not: the
 * verdict given the pair is what is learnt, and the frequency of matches follows from the candidates.
 *
 * Folds are made by records, not by pairs, and by a hash of the record's number, which depends on the ids
 * alone: the same labels give the same model to the bit.
 */
#include "compat.h"

#include <math.h>

#include "engine/cluster_ways.h"
#include "engine/label_comparisons.h"
#include "engine/model_weights.h"
#include "engine/rarity.h"
#include "engine/supervise.h"
#include "engine/train.h"
#include "kernel/fixed_point.h"
#include "kernel/hash.h"
#include "kernel/map_logistic.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"

#define FOLDS 10
#define FEWEST_OF_A_KIND 10 /* labels; with fewer nothing can be validated, and nothing is learnt */
#define ITERATIONS 50
#define RIDGE_INTERCEPT 0.16
#define RIDGE_ALL 6.0
#define RIDGE_COMPARISON 3.0
#define RIDGE_LEVEL 0.36
#define LEVEL_PRIOR 1.0 /* pairs of either kind that each level is thought to have beside those seen */
#define MOST_FEATURES (2 + 2 * MAX_COMPARISONS)

/* Strengths to choose from, the strongest first. */
static const double strengths[] = {256.0, 64.0, 16.0, 4.0, 1.0, 0.25, 0.0625};

/* The corrections, by their place. */
typedef enum correction {
    CORRECTION_INTERCEPT,
    CORRECTION_ALL,
    CORRECTION_FACTORS, /* two of each comparison: for, against; then the levels of each */
} correction;

typedef struct lesson {
    match_run *run;
    const match_spec *spec;
    int level_place[MAX_COMPARISONS];         /* of level 0; missing values have no correction */
    int first_of_labels;                      /* comparisons from here on have no weight before labels */
    double bits[MAX_COMPARISONS][MAX_LEVELS]; /* of each level: its weight, or what EM's verdicts say of it */
    double *ridge;
    map_problem problem;
    map_case *cases;
    int *folds;
    double *weights; /* of the cases */
    double *workspace;
    size_t matches;
} lesson;

/*
 * How telling each level is. Of comparisons that EM did not learn: how much more often its matches among the
 * candidates have the level than the others, each verdict as sure as it is. That alone would count twice what
 * the other comparisons know; it gets the factor that labels say, and none without them.
 */
static void
weigh_levels(lesson *lesson, const logistic_case *candidates, size_t count)
{
    const match_spec *spec = lesson->spec;

    lesson->first_of_labels = label_comparisons_first(spec);
    for (int c = 0; c < spec->comparison_count; c++) {
        const comparison *comparison = &lesson->run->scorer.comparisons[c];
        double matches[MAX_LEVELS] = {0}, others[MAX_LEVELS] = {0}, all_matches = 0, all_others = 0;

        for (int level = LEVEL_EXACT; level <= comparison->level_count; level++)
            lesson->bits[c][level] = weight_to_bits(spec->comparisons[c].weights[level]);
        if (c < lesson->first_of_labels)
            continue;
        for (size_t i = 0; i < count; i++) {
            int level = pattern_level(comparison, candidates[i].pattern);

            matches[level] += candidates[i].count * candidates[i].target;
            others[level] += candidates[i].count * (1.0 - candidates[i].target);
        }
        for (int level = LEVEL_EXACT; level <= comparison->level_count; level++) {
            all_matches += matches[level] + LEVEL_PRIOR;
            all_others += others[level] + LEVEL_PRIOR;
        }
        for (int level = LEVEL_EXACT; level <= comparison->level_count; level++)
            lesson->bits[c][level] = portable_log2((matches[level] + LEVEL_PRIOR) / all_matches /
                                                   ((others[level] + LEVEL_PRIOR) / all_others));
    }
}

static void
lay_out(lesson *lesson)
{
    const match_spec *spec = lesson->spec;
    int n = CORRECTION_FACTORS + 2 * spec->comparison_count;

    for (int c = 0; c < spec->comparison_count; c++) {
        lesson->level_place[c] = n - 1;
        n += lesson->run->scorer.comparisons[c].level_count;
    }
    lesson->ridge = palloc(n * sizeof(double));
    for (int i = 0; i < n; i++)
        lesson->ridge[i] = i == CORRECTION_INTERCEPT                             ? RIDGE_INTERCEPT
                           : i == CORRECTION_ALL                                 ? RIDGE_ALL
                           : i < CORRECTION_FACTORS + 2 * spec->comparison_count ? RIDGE_COMPARISON
                                                                                 : RIDGE_LEVEL;
    lesson->problem.n = n;
    lesson->problem.ridge = lesson->ridge;
    lesson->workspace = palloc(mul_size(map_logistic_workspace(n), sizeof(double)));
}

/* The features of a pair: places ascend. score: what the model gives the pair, in bits. */
static uint32
pair_features(const lesson *lesson, uint64 pattern, double score, map_feature *features)
{
    const match_spec *spec = lesson->spec;
    uint32 used = 0;

    features[used++] = (map_feature){CORRECTION_INTERCEPT, 1.0};
    features[used++] = (map_feature){CORRECTION_ALL, score};
    for (int c = 0; c < spec->comparison_count; c++) {
        int level = pattern_level(&lesson->run->scorer.comparisons[c], pattern);
        double bits = lesson->bits[c][level];

        if (level != LEVEL_MISSING && bits != 0)
            features[used++] = (map_feature){CORRECTION_FACTORS + 2 * c + (bits < 0), bits};
    }
    for (int c = 0; c < spec->comparison_count; c++) {
        int level = pattern_level(&lesson->run->scorer.comparisons[c], pattern);

        if (level != LEVEL_MISSING)
            features[used++] = (map_feature){lesson->level_place[c] + level, 1.0};
    }
    return used;
}

static void
make_cases(lesson *lesson, const label_list *labels)
{
    match_run *run = lesson->run;
    map_feature *features = MemoryContextAllocHuge(
        CurrentMemoryContext, mul_size(mul_size(labels->count, MOST_FEATURES), sizeof(map_feature)));
    uint32 next = 0;

    lesson->cases = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(labels->count, sizeof(map_case)));
    lesson->folds = palloc(mul_size(labels->count, sizeof(int)));
    for (size_t i = 0; i < labels->count; i++) {
        const label *label = &labels->labels[i];
        const uint32 *a = record_row(&run->store->records, label->a),
                     *b = record_row(&run->store->records, label->b);
        bool qualifies;
        int64 weight;
        uint64 pattern;
        map_case *entry = &lesson->cases[i];

        while (kernel_must_repeat(scorer_score(&run->scorer, a, b, PG_INT64_MIN, &run->thread_memory[0],
                                               &qualifies, &weight, &pattern)))
            ;
        entry->score = weight_to_bits(weight);
        entry->target = label->is_match;
        entry->weight = lesson->weights[i];
        entry->first = next;
        entry->used = pair_features(lesson, pattern, entry->score, features + next);
        next += entry->used;
        lesson->folds[i] = (int)(hash_word(label->a) % FOLDS);
        lesson->matches += label->is_match;
        if ((i & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    lesson->problem.cases = lesson->cases;
    lesson->problem.count = labels->count;
    lesson->problem.features = features;
}

static void
fit(lesson *lesson, double strength, double *x)
{
    lesson->problem.strength = strength;
    while (!map_logistic_fit(&lesson->problem, ITERATIONS, lesson->workspace, &InterruptPending, x))
        CHECK_FOR_INTERRUPTS();
}

/* The loss of every case under a model that was learnt without its fold. */
static void
validate(lesson *lesson, double strength, double *x, double *losses)
{
    for (int fold = 0; fold < FOLDS; fold++) {
        for (size_t i = 0; i < lesson->problem.count; i++)
            lesson->cases[i].weight = lesson->folds[i] != fold ? lesson->weights[i] : 0;
        fit(lesson, strength, x);
        for (size_t i = 0; i < lesson->problem.count; i++)
            if (lesson->folds[i] == fold)
                losses[i] = map_logistic_loss(&lesson->problem, &lesson->cases[i], x);
    }
    for (size_t i = 0; i < lesson->problem.count; i++) {
        lesson->cases[i].weight = lesson->weights[i];
        losses[i] *= lesson->weights[i];
    }
}

static double
mean(const double *values, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}

/* Whether a is worse than b by more than the standard error of their difference. */
static bool
clearly_worse(const double *a, const double *b, size_t count)
{
    double difference = mean(a, count) - mean(b, count), squares = 0;

    for (size_t i = 0; i < count; i++)
        squares += (a[i] - b[i] - difference) * (a[i] - b[i] - difference);
    return difference > 0 && difference * difference * count * (count - 1.0) > squares;
}

/*
 * The strength that cross-validation chooses, and the losses of the model as it was and as chosen. Of those
 * that are not clearly worse than the best the strongest is taken; 0 means to change nothing. A handful of
 * verdicts of one kind validates little, so it allows for little.
 */
static double
choose_strength(lesson *lesson, double *x, double *loss_before, double *loss_after)
{
    size_t count = lesson->problem.count, best = 0, rarer = Min(lesson->matches, count - lesson->matches);
    double *losses[lengthof(strengths) + 1] = {NULL}, least = strengths[0] / ((double)rarer * rarer);

    memset(x, 0, lesson->problem.n * sizeof(double));
    for (size_t s = 0; s <= lengthof(strengths) && (s == 0 || strengths[s - 1] >= least); s++) {
        losses[s] = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(count, sizeof(double)));
        if (s == 0)
            for (size_t i = 0; i < count; i++)
                losses[s][i] = lesson->weights[i] * map_logistic_loss(&lesson->problem, &lesson->cases[i], x);
        else
            validate(lesson, strengths[s - 1], x, losses[s]);
        if (mean(losses[s], count) < mean(losses[best], count))
            best = s;
    }
    *loss_before = mean(losses[0], count);
    for (size_t s = 0; s < best; s++) {
        if (!clearly_worse(losses[s], losses[best], count)) {
            best = s;
            break;
        }
    }
    *loss_after = mean(losses[best], count);
    for (size_t s = 0; s <= lengthof(strengths) && losses[s] != NULL; s++)
        pfree(losses[s]);
    return best == 0 ? 0 : strengths[best - 1];
}

/* How often each level is met among the candidates. */
static void
count_levels(const match_run *run, const logistic_case *cases, size_t count,
             double met[MAX_COMPARISONS][MAX_LEVELS])
{
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < run->scorer.comparison_count; c++)
            met[c][pattern_level(&run->scorer.comparisons[c], cases[i].pattern)] += cases[i].count;
}

static void
apply(const lesson *lesson, match_spec *spec, const double *x, double met[MAX_COMPARISONS][MAX_LEVELS])
{
    double prior = portable_log2(spec->prior / (1.0 - spec->prior));
    double all = Max(1.0 + x[CORRECTION_ALL], 0.0);

    prior = prior * all + x[CORRECTION_INTERCEPT];
    spec->prior = probability_from_weight((int64)floor(prior * WEIGHT_UNITS + 0.5));
    for (int c = 0; c < spec->comparison_count; c++) {
        comparison_spec *comparison = &spec->comparisons[c];
        int levels = lesson->run->scorer.comparisons[c].level_count;
        double bits[MAX_LEVELS] = {0};

        for (int level = LEVEL_EXACT; level <= levels; level++) {
            double before = lesson->bits[c][level], counted = c < lesson->first_of_labels ? all : 0;

            bits[level] = before * (counted + x[CORRECTION_FACTORS + 2 * c + (before < 0)]) +
                          x[lesson->level_place[c] + level];
        }
        monotone_weights(bits, met[c], levels, comparison->weights);
        comparison->frequencies.scale = Min(comparison->frequencies.scale * all, MOST_SCALE);
    }
}

char *
supervise_model(match_run *run, match_spec *spec, const label_list *labels, const logistic_case *candidates,
                size_t candidate_count)
{
    lesson lesson = {.run = run, .spec = spec};
    double(*met)[MAX_LEVELS] = palloc0(sizeof(double[MAX_COMPARISONS][MAX_LEVELS]));
    double *x, strength = 0, before = 0, after = 0;
    size_t rarer;
    way_search *search;
    match_spec unlabelled = *spec;
    StringInfoData report;

    initStringInfo(&report);
    if (labels->count == 0)
        return pstrdup("{\"matches\":0,\"non_matches\":0}");
    search = ways_begin(run);
    lesson.weights = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(labels->count, sizeof(double)));
    ways_weigh_labels(run, labels, search, lesson.weights);
    weigh_levels(&lesson, candidates, candidate_count);
    lay_out(&lesson);
    make_cases(&lesson, labels);
    x = palloc(lesson.problem.n * sizeof(double));
    appendStringInfo(&report, "{\"matches\":%zu,\"non_matches\":%zu", lesson.matches,
                     labels->count - lesson.matches);
    rarer = Min(lesson.matches, labels->count - lesson.matches);
    if (rarer < FEWEST_OF_A_KIND)
        ereport(WARNING,
                (errmsg("the labels teach nothing yet: %zu say match, %zu say none", lesson.matches,
                        labels->count - lesson.matches),
                 errdetail("It takes %d of each kind to learn what tells them apart; the model is the one "
                           "without labels.",
                           FEWEST_OF_A_KIND),
                 errhint("mastering.uncertain_pairs(query, model, 100, labels) asks for the pairs that teach "
                         "most; in an environment mastering.next_pairs does.")));
    else {
        strength = choose_strength(&lesson, x, &before, &after);
        appendStringInfoString(&report, ",\"loss_before\":");
        append_json_number(&report, floor(before * 1e4 + 0.5) / 1e4);
        appendStringInfoString(&report, ",\"loss_after\":");
        append_json_number(&report, floor(after * 1e4 + 0.5) / 1e4);
    }
    appendStringInfoString(&report, ",\"strength\":");
    if (strength == 0)
        appendStringInfoString(&report, "null");
    else
        append_json_number(&report, strength);
    if (strength > 0) {
        fit(&lesson, strength, x);
        count_levels(run, candidates, candidate_count, met);
        apply(&lesson, spec, x, met);
        match_run_set_weights(run, spec);
    }
    if (rarer >= FEWEST_OF_A_KIND && spec->threshold == DEFAULT_THRESHOLD) {
        ways_choose(run, spec, &unlabelled, labels, rarer, strength > 0, search, &report);
        spec->learnt_threshold = 0; /* labels say more */
    }
    ways_free(search);
    appendStringInfoChar(&report, '}');
    match_run_phase(run, "labels", "%zu, strength %g, loss %.3f to %.3f", labels->count, strength, before,
                    after);
    return report.data;
}
