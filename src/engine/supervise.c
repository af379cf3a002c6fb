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

#include "engine/cluster.h"
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

#define SCORE_PARTS 24         /* of one bit each */
#define LOOKED_AT_WITHIN 20000 /* pairs within clusters */
#define EQUALLY_GOOD 0.003     /* F1 that is not worth a change */
#define MOST_LABEL_WEIGHT 8.0  /* that a label counts as others of its score */
#define FEW_LABELS_GOOD 0.2    /* the same over the number of labels of the rarer kind */
#define MOST_UNSEEN 0.2        /* of the pairs that a threshold below the default puts together */
#define CLEARLY_BETTER 0.02    /* F1 that labels must promise for their model to be taken */
#define WORTH_A_LOOK 0.5       /* precision of clusters that say how many matches there are */
#define FEWEST_WITHIN                                                                                        \
    2 /* matches within a source that make it worth asking whether sources hold things once */
#define SHIFT_RIDGE 0.05 /* of a shift in bits: labels that say nothing are worth about as much */
#define MOST_SHIFT 30.0
#define WAY_PRIOR                                                                                            \
    4.0                /* labels that a part's share of matches is worth for what a way puts together of it  \
                        */
#define CELL_PRIOR 2.0 /* labels that the model's probability is worth in a part of the score range */

/* Thresholds to choose from, the lowest first: of the model with labels, and of the one without. */
static const double thresholds[] = {0.001, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.93, 0.98};
static const double thresholds_before[] = {0.1, 0.3, DEFAULT_THRESHOLD, 0.8, 0.95};

#define DEFAULT_PLACE 2 /* of the default among the ways without labels, which come first, highest first */
#define LOOSEST_PLACE 4 /* and of the lowest */

#define LOOSE 0.05   /* one of the first that joins more than most */
#define HOPELESS 2.5 /* times the pairs that are together at the default, before labels or after */

#define MOST_WAYS (2 * lengthof(thresholds) + lengthof(thresholds_before))

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

/* ---- clusters as labels see them ---- */

#define REFERENCES 7
#define FIRST_SIZE 4
#define SMALL_CLUSTER 4  /* records */
#define LARGE_CLUSTER 20 /* records */

/* Candidate pairs of one part of the score range that a clustering puts together, or does not. */
typedef struct way_cell {
    double pairs, expected; /* and the matches among them by the model */
    double bits;            /* their weights' sum */
    double labels, matches;
} way_cell;

/* A way to cluster: the model before or after labels, a threshold, and what is said of sources. */
typedef struct way {
    double threshold;
    one_per_source one_per_source;
    bool before;
    clustering *clusters;
    double together,
        rate_within; /* pairs within clusters, and the share of matches among them by the model */
    double unseen;   /* share of those that are no candidates, of which labels say nothing */
    double f1;
} way;

typedef struct way_search {
    int count;
    way ways[MOST_WAYS];
    /* Pairs by what the references do with them (reference_of): all, and those that each way puts together.
     */
    const clustering *references[FIRST_SIZE];
    way_cell all[SCORE_PARTS][REFERENCES];
    way_cell together[MOST_WAYS][SCORE_PARTS][REFERENCES];
} way_search;

static int
score_part(int64 weight)
{
    int64 part = (weight + SCORE_PARTS / 2 * WEIGHT_UNITS) / WEIGHT_UNITS;

    return (int)Max(Min(part, SCORE_PARTS - 1), 0);
}

static inline bool
puts_together(const clustering *clusters, uint32 a, uint32 b)
{
    return clusters->cluster[a] == clusters->cluster[b];
}

/*
 * What the references do with a pair, 0: keep it apart; from 1 on: one of the looser ones puts it together,
 * the least loose of them counts; from FIRST_SIZE on: the first does, in a small cluster or a large one, for
 * of large ones few of the many pairs are asked for.
 */
static inline int
reference_of(const way_search *search, uint32 a, uint32 b)
{
    const clustering *first = search->references[0];

    if (puts_together(first, a, b)) {
        uint32 size = first->size[first->cluster[a]];

        return FIRST_SIZE + (size > SMALL_CLUSTER) + (size > LARGE_CLUSTER);
    }
    for (int i = 1; i < FIRST_SIZE && search->references[i] != NULL; i++)
        if (puts_together(search->references[i], a, b))
            return i;
    return 0;
}

static inline void
count_pair(way_cell *cell, double bits, double probability)
{
    cell->pairs++;
    cell->expected += probability;
    cell->bits += bits;
}

static void
count_cells(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    way_search *search = context;

    for (uint32 i = 0; i < count; i++) {
        int part = score_part(pairs[i].weight);
        int reference = reference_of(search, pairs[i].a, pairs[i].b);
        double p = probability_from_weight(pairs[i].weight), bits = weight_to_bits(pairs[i].weight);

        count_pair(&search->all[part][reference], bits, p);
        for (int t = 0; t < search->count; t++)
            if (puts_together(search->ways[t].clusters, pairs[i].a, pairs[i].b))
                count_pair(&search->together[t][part][reference], bits, p);
    }
}

static int64
label_weight(match_run *run, const label *label)
{
    bool qualifies;
    int64 weight;
    uint64 pattern;

    while (kernel_must_repeat(scorer_score(&run->scorer, record_row(&run->store->records, label->a),
                                           record_row(&run->store->records, label->b), PG_INT64_MIN,
                                           &run->thread_memory[0], &qualifies, &weight, &pattern)))
        ;
    return weight;
}

static void
count_labels(match_run *run, const label_list *labels, way_search *search)
{
    for (size_t i = 0; i < labels->count; i++) {
        const label *label = &labels->labels[i];
        int part = score_part(label_weight(run, label));
        int reference = reference_of(search, label->a, label->b);

        search->all[part][reference].labels++;
        search->all[part][reference].matches += label->is_match;
        for (int t = 0; t < search->count; t++) {
            way_cell *cell = &search->together[t][part][reference];

            if (!puts_together(search->ways[t].clusters, label->a, label->b))
                continue;
            cell->labels++;
            cell->matches += label->is_match;
        }
    }
}

/*
 * Labels are asked for where clusters are in dispute, too, so among those of one score pairs that the
 * clusters keep apart (or together) may be more than their share. Their weights make up for it.
 */
static void
weigh_labels(match_run *run, const label_list *labels, const clustering *clusters, double *weights)
{
    way_search *search = MemoryContextAllocZero(run->context, sizeof(way_search));
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = PG_INT64_MIN};

    search->references[0] = clusters;
    match_run_visit(run, &options, count_cells, search);
    count_labels(run, labels, search);
    for (size_t i = 0; i < labels->count; i++) {
        const label *label = &labels->labels[i];
        const way_cell *cells = search->all[score_part(label_weight(run, label))];
        int in = puts_together(clusters, label->a, label->b);
        double pairs[2] = {0}, labelled[2] = {0}, share;

        for (int reference = 0; reference < REFERENCES; reference++) {
            pairs[reference >= FIRST_SIZE] += cells[reference].pairs;
            labelled[reference >= FIRST_SIZE] += cells[reference].labels;
        }
        share = (pairs[in] + 1) / (pairs[0] + pairs[1] + 2);

        weights[i] = Max(Min(share / (labelled[in] / (labelled[0] + labelled[1])), MOST_LABEL_WEIGHT),
                         1 / MOST_LABEL_WEIGHT);
    }
    pfree(search);
}

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

/* ---- the threshold ---- */

/*
 * The pairs of records within clusters, and the share of matches among them by the model, from some of them
 * at equal distances.
 */
static double
pairs_within(match_run *run, const clustering *clusters, double *rate)
{
    uint32 count = run->store->records.count;
    uint32 *end =
        MemoryContextAllocExtended(CurrentMemoryContext, mul_size(add_size(count, 1), sizeof(uint32)),
                                   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
    uint32 *members = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(uint32)));
    double pairs = 0, before = 0, step, next, sum = 0, taken = 0;

    for (uint32 record = 0; record < count; record++)
        if (clusters->cluster[record] == record) {
            pairs += (double)clusters->size[record] * (clusters->size[record] - 1.0) / 2;
            end[record + 1] = clusters->size[record];
        }
    for (uint32 record = 0; record < count; record++)
        end[record + 1] += end[record];
    for (uint32 record = 0; record < count;
         record++) /* from here on end[c] is where cluster c's members end */
        members[end[clusters->cluster[record]]++] = record;
    step = Max(pairs / LOOKED_AT_WITHIN, 1.0);
    next = floor(step / 2);
    for (uint32 record = 0; record < count; record++) {
        double size = clusters->size[record], within = size * (size - 1) / 2;
        const uint32 *of_cluster;

        if (clusters->cluster[record] != record)
            continue;
        of_cluster = members + end[record] - clusters->size[record];
        for (; next < before + within; next = floor(next + step)) {
            uint64 rank = (uint64)(next - before);
            uint32 i = 1;
            bool qualifies;
            int64 weight;
            uint64 pattern;

            while (rank >= i) /* the pair (i, rank) of the triangle below the diagonal */
                rank -= i++;
            while (kernel_must_repeat(
                scorer_score(&run->scorer, record_row(&run->store->records, of_cluster[i]),
                             record_row(&run->store->records, of_cluster[rank]), PG_INT64_MIN,
                             &run->thread_memory[0], &qualifies, &weight, &pattern)))
                ;
            sum += probability_from_weight(weight);
            taken++;
        }
        before += within;
    }
    *rate = taken > 0 ? sum / taken : 0;
    pfree(end);
    pfree(members);
    return pairs;
}

static double
pairs_together(const match_run *run, const clustering *clusters)
{
    double pairs = 0;

    for (uint32 record = 0; record < run->store->records.count; record++)
        if (clusters->cluster[record] == record)
            pairs += (double)clusters->size[record] * (clusters->size[record] - 1.0) / 2;
    return pairs;
}

/*
 * The clusters at each threshold, the highest first, with what the specification says of sources now. What
 * joins many times more than at the default, before labels or after, holds mostly wrong pairs, and takes the
 * longest: thresholds below are left out.
 */
static void
add_ways(match_run *run, way_search *search, bool before, const double *at, int count)
{
    MemoryContext caller = MemoryContextSwitchTo(run->context);
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = weight_from_probability(at[0])};
    link_list list = {.context = run->context, .least_weight = options.least_weight};
    double most = before ? 0 : pairs_together(run, search->ways[DEFAULT_PLACE].clusters);

    match_run_visit(run, &options, cluster_collect_links, &list);
    if (list.count > 0)
        cluster_sort_links(run, &list);
    for (int t = count - 1; t >= 0; t--) {
        clustering *clusters = cluster_links(run, &list, weight_from_probability(at[t]), NULL, false);
        double pairs = pairs_together(run, clusters);

        search->ways[search->count++] = (way){at[t], run->spec->one_per_source, before, clusters};
        if (at[t] >= DEFAULT_THRESHOLD)
            most = Max(most, pairs);
        else if (!before && pairs > HOPELESS * most)
            break;
    }
    if (list.links != NULL)
        pfree(list.links);
    MemoryContextSwitchTo(caller);
    match_run_phase(run, "clustering", UINT64_FORMAT " links", list.count);
}

/* The clusters by the model after labels at a threshold; NULL: that was left out. */
static const clustering *
clusters_after(const way_search *search, double threshold)
{
    for (int t = 0; t < search->count; t++)
        if (!search->ways[t].before && search->ways[t].threshold == threshold)
            return search->ways[t].clusters;
    return NULL;
}

/* What the model thinks of the pairs within each way's clusters. */
static void
look_within(match_run *run, way_search *search)
{
    for (int t = 0; t < search->count; t++) {
        way *way = &search->ways[t];

        way->together = pairs_within(run, way->clusters, &way->rate_within);
        pfree(way->clusters->weakest_link); /* there are many ways, and records */
        if (t != DEFAULT_PLACE)
            pfree(way->clusters->size);
    }
}

static double
cell_probability(const way_cell *cell, double shift)
{
    return probability_from_weight((int64)floor((cell->bits / cell->pairs + shift) * WEIGHT_UNITS + 0.5));
}

/*
 * By how many bits pairs that a reference puts together (or none) are more often matches than their weights
 * say, by the labels. Where things are one to one a pair that was chosen among many is worth more than its
 * weight. Few labels shift little (SHIFT_RIDGE).
 */
static double
find_shift(const way_cell cells[SCORE_PARTS][REFERENCES], int reference)
{
    double low = -MOST_SHIFT, high = MOST_SHIFT;

    while (high - low > 0.01) {
        double shift = (low + high) / 2, slope = -SHIFT_RIDGE * shift;

        for (int part = 0; part < SCORE_PARTS; part++) {
            const way_cell *cell = &cells[part][reference];

            if (cell->pairs > 0)
                slope += cell->matches - cell->labels * cell_probability(cell, shift);
        }
        if (slope > 0)
            low = shift;
        else
            high = shift;
    }
    return low;
}

/* The share of matches in a cell: that of its labels, drawn towards what is thought as if by some of them. */
static double
match_rate(const way_cell *cell, double thought, double worth)
{
    return (cell->matches + worth * thought) / (cell->labels + worth);
}

/*
 * Estimates the F1 of the clusters of each way. The candidate pairs are divided by their score and by what
 * the clusters without labels do with them, for labels were drawn by that: within such a part they are as
 * good as drawn at random. There the share of matches is that of the labels, drawn towards what the model
 * says as labels have shifted it; and of the pairs of it that a way puts together, that of their labels,
 * drawn towards that of the part. Of pairs that are together without being candidates, the model alone says
 * how many are right.
 */
static void
judge_ways(match_run *run, const label_list *labels, way_search *search)
{
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = PG_INT64_MIN};
    double right[MOST_WAYS] = {0}, matches = 0, most_beyond = 0, most_right = 0, shifts[REFERENCES];
    double rates[SCORE_PARTS][REFERENCES] = {{0}};

    match_run_visit(run, &options, count_cells, search);
    count_labels(run, labels, search);
    for (int reference = 0; reference < REFERENCES; reference++) {
        shifts[reference] = find_shift(search->all, reference);
        for (int part = 0; part < SCORE_PARTS; part++) {
            const way_cell *cell = &search->all[part][reference];

            if (cell->pairs > 0)
                rates[part][reference] =
                    match_rate(cell, cell_probability(cell, shifts[reference]), CELL_PRIOR);
            matches += rates[part][reference] * cell->pairs;
        }
    }
    match_run_phase(run, "matches", "%.0f among candidates; shifts of %.1f to %.1f bits", matches, shifts[0],
                    shifts[REFERENCES - 1]);
    for (int t = 0; t < search->count; t++) {
        way *way = &search->ways[t];
        double candidates = 0, beyond = 0, expected = 0;

        for (int part = 0; part < SCORE_PARTS; part++) {
            for (int reference = 0; reference < REFERENCES; reference++) {
                const way_cell *cell = &search->together[t][part][reference];

                right[t] += cell->pairs * match_rate(cell, rates[part][reference], WAY_PRIOR);
                expected += cell->expected;
                candidates += cell->pairs;
            }
        }
        if (run->spec->across_sources)
            way->together = candidates;
        else
            beyond =
                Min(Max(way->together * way->rate_within - expected, 0), Max(way->together - candidates, 0));
        if (right[t] < expected) /* the model thinks too well of what is together, candidates or not */
            beyond *= right[t] / expected;
        right[t] += beyond;
        way->unseen = way->together > 0 ? Max(1 - candidates / way->together, 0) : 0;
        if (right[t] < WORTH_A_LOOK * way->together)
            continue; /* most of what these clusters hold by chance is taken for matches */
        most_beyond = Max(most_beyond, beyond);
        most_right = Max(most_right, right[t]);
    }
    for (int t = 0; t < search->count; t++) {
        way *way = &search->ways[t];

        way->f1 = 2 * right[t] / (way->together + Max(Max(matches + most_beyond, most_right), right[t]));
        match_run_phase(run, "clusters", "%s labels, at %g%s: %.0f pairs, %.0f right of %.0f, F1 %.4f",
                        way->before ? "before" : "after", way->threshold,
                        way->one_per_source == ONE_PER_SOURCE_NEVER ? ", several a source" : "",
                        way->together, right[t], matches + most_beyond, way->f1);
    }
}

/* Whether labels can say how good a way is: a low threshold that mostly joins what nobody asked for is none.
 */
static bool
can_be_judged(const way *way)
{
    return way->threshold >= DEFAULT_THRESHOLD || way->unseen <= MOST_UNSEEN;
}

/* The best of the ways by the model before labels, or after; what is closest to the usual when equally good.
 */
static const way *
best_of(const way_search *search, bool before, one_per_source usual, double equally_good)
{
    const way *best = NULL, *chosen;

    for (int t = 0; t < search->count; t++)
        if (search->ways[t].before == before && can_be_judged(&search->ways[t]) &&
            (best == NULL || search->ways[t].f1 > best->f1))
            best = &search->ways[t];
    chosen = best;
    for (int t = 0; t < search->count; t++) {
        const way *way = &search->ways[t];

        if (way->before != before || way->f1 < best->f1 - equally_good || way->one_per_source != usual ||
            !can_be_judged(way))
            continue;
        if (chosen->one_per_source != usual ||
            fabs(way->threshold - DEFAULT_THRESHOLD) < fabs(chosen->threshold - DEFAULT_THRESHOLD))
            chosen = way;
    }
    return chosen;
}

/*
 * The best way to cluster. Of those that are about as good the one that changes least is taken: what the
 * specification says of sources, a threshold near one half, and the model before labels unless that after is
 * clearly better.
 */
static const way *
best_way(const way_search *search, one_per_source usual, double equally_good)
{
    const way *before = best_of(search, true, usual, equally_good);
    const way *after = best_of(search, false, usual, equally_good);

    return after != NULL && after->f1 > before->f1 + Max(equally_good, CLEARLY_BETTER) ? after : before;
}

/* Labels that say that a source holds a thing more than once. */
static size_t
matches_within_sources(const match_run *run, const label_list *labels)
{
    int slot = run->store->source_slot;
    size_t within = 0;

    for (size_t i = 0; i < labels->count && slot >= 0; i++)
        within +=
            labels->labels[i].is_match && record_row(&run->store->records, labels->labels[i].a)[slot] ==
                                              record_row(&run->store->records, labels->labels[i].b)[slot];
    return within;
}

/*
 * Chooses threshold and what is said of sources where the specification leaves them open; the search has the
 * ways without labels. rarer: labels of the kind that there are fewer of; corrected: the model is another
 * now.
 */
static void
choose_way(match_run *run, match_spec *spec, const match_spec *unlabelled, const label_list *labels,
           size_t rarer, bool corrected, way_search *search, StringInfo report)
{
    const way *best;

    search->references[0] = search->ways[DEFAULT_PLACE].clusters;
    if (corrected) {
        add_ways(run, search, false, thresholds, lengthof(thresholds));
        search->references[1] = clusters_after(search, DEFAULT_THRESHOLD);
        search->references[2] = search->ways[LOOSEST_PLACE].clusters;
        search->references[3] = clusters_after(search, LOOSE);
        if (spec->one_per_source == ONE_PER_SOURCE_EVIDENT && run->store->source_slot >= 0 &&
            run->store->sources->count > 2 && matches_within_sources(run, labels) >= FEWEST_WITHIN) {
            spec->one_per_source = ONE_PER_SOURCE_NEVER;
            add_ways(run, search, false, thresholds, lengthof(thresholds));
            spec->one_per_source = ONE_PER_SOURCE_EVIDENT;
        }
    }
    look_within(run, search);
    judge_ways(run, labels, search);
    best = best_way(search, spec->one_per_source, Max(EQUALLY_GOOD, FEW_LABELS_GOOD / rarer));
    appendStringInfo(report, ",\"expected_f1\":%.3f,\"expected_f1_before\":%.3f", best->f1,
                     search->ways[DEFAULT_PLACE].f1);
    if (best->before && corrected) {
        *spec = *unlabelled;
        match_run_set_weights(run, spec);
        appendStringInfoString(report, ",\"corrected\":false");
    }
    spec->threshold = best->threshold;
    spec->one_per_source = best->one_per_source;
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
    search = MemoryContextAllocZero(run->context, sizeof(way_search));
    add_ways(run, search, true, thresholds_before, lengthof(thresholds_before));
    lesson.weights = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(labels->count, sizeof(double)));
    weigh_labels(run, labels, search->ways[DEFAULT_PLACE].clusters, lesson.weights);
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
                 errhint("Label more pairs: SELECT * FROM uncertain_pairs(query, model, 100, labels).")));
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
    if (rarer >= FEWEST_OF_A_KIND && spec->threshold == DEFAULT_THRESHOLD)
        choose_way(run, spec, &unlabelled, labels, rarer, strength > 0, search, &report);
    for (int t = 0; t < search->count; t++)
        pfree(search->ways[t].clusters->cluster);
    pfree(search);
    appendStringInfoChar(&report, '}');
    match_run_phase(run, "labels", "%zu, strength %g, loss %.3f to %.3f", labels->count, strength, before,
                    after);
    return report.data;
}
