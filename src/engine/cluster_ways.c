/*
 * cluster_ways.c: see cluster_ways.h.
 *
 * The clusters of each way are made, and their F1 is estimated from the labels, by part of the score range
 * and by what the clusters without labels do with a pair, for labels were drawn by that: within such a cell
 * they are as good as drawn at random.
 */
#include "compat.h"

#include <math.h>

#include "engine/cluster.h"
#include "engine/cluster_ways.h"
#include "engine/train.h"
#include "kernel/fixed_point.h"
#include "miscadmin.h"

#define SCORE_PARTS 24         /* of one bit each */
#define LOOKED_AT_WITHIN 20000 /* pairs within clusters */
#define EQUALLY_GOOD 0.003     /* F1 that is not worth a change */
#define MOST_LABEL_WEIGHT 8.0  /* that a label counts as others of its score */
#define FEW_LABELS_GOOD 0.2    /* the same over the number of labels of the rarer kind */
#define MOST_UNSEEN 0.2        /* of the pairs that a threshold below the default puts together */
#define CERTAIN 2.0            /* standard errors of F1 that their model must be better by to be taken */
#define LIKELY 1.0             /* and of the pairs that are wrong */
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

#define HANGS 3 /* classes of what hangs on a pair that is apart */
#define LOOSER 4
#define FIRST_SIZE (LOOSER * HANGS)
#define REFERENCES (FIRST_SIZE + 3)
#define SMALL_CLUSTER 4  /* records */
#define LARGE_CLUSTER 20 /* records */
#define FEW_HANG 4       /* pairs */
#define MANY_HANG 40     /* pairs */

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
    double right, f1;
} way;

struct way_search {
    int count;
    double usual; /* the threshold without labels */
    way ways[MOST_WAYS];
    /* Pairs by what the references do with them (reference_of): all, and those that each way puts together.
     */
    const clustering *references[LOOSER];
    way_cell all[SCORE_PARTS][REFERENCES];
    double rates[SCORE_PARTS][REFERENCES]; /* of matches */
    way_cell together[MOST_WAYS][SCORE_PARTS][REFERENCES];
};

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

/* By how many pairs hang on one that is apart: those are asked for more often. */
static inline int
hangs_class(const clustering *first, uint32 a, uint32 b)
{
    uint64 hangs = (uint64)first->size[first->cluster[a]] * first->size[first->cluster[b]];

    return (hangs > FEW_HANG) + (hangs > MANY_HANG);
}

/*
 * What the references do with a pair, below HANGS: keep it apart; from there on: one of the looser ones puts
 * it together, the least loose of them counts, each by what hangs on the pair; from FIRST_SIZE on: the first
 * does, in a small cluster or a large one, for of large ones few of the many pairs are asked for.
 */
static inline int
reference_of(const way_search *search, uint32 a, uint32 b)
{
    const clustering *first = search->references[0];

    if (puts_together(first, a, b)) {
        uint32 size = first->size[first->cluster[a]];

        return FIRST_SIZE + (size > SMALL_CLUSTER) + (size > LARGE_CLUSTER);
    }
    for (int i = 1; i < LOOSER && search->references[i] != NULL; i++)
        if (puts_together(search->references[i], a, b))
            return i * HANGS + hangs_class(first, a, b);
    return hangs_class(first, a, b);
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
void
ways_weigh_labels(match_run *run, const label_list *labels, const way_search *ways, double *weights)
{
    const clustering *clusters = ways->ways[DEFAULT_PLACE].clusters;
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

    match_run_visit(run, &options, count_cells, search);
    count_labels(run, labels, search);
    for (int reference = 0; reference < REFERENCES; reference++) {
        shifts[reference] = find_shift(search->all, reference);
        for (int part = 0; part < SCORE_PARTS; part++) {
            const way_cell *cell = &search->all[part][reference];

            if (cell->pairs > 0)
                search->rates[part][reference] =
                    match_rate(cell, cell_probability(cell, shifts[reference]), CELL_PRIOR);
            matches += search->rates[part][reference] * cell->pairs;
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

                right[t] += cell->pairs * match_rate(cell, search->rates[part][reference], WAY_PRIOR);
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

        way->right = right[t];
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
    double near = before ? search->usual : DEFAULT_THRESHOLD;

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
        if (chosen->one_per_source != usual || fabs(way->threshold - near) < fabs(chosen->threshold - near))
            chosen = way;
    }
    return chosen;
}

/* ---- the best way before labels against the best after ---- */

#define IN_FIRST 1  /* together in the first */
#define IN_SECOND 2 /* in the second */
#define IN_BOTH (IN_FIRST | IN_SECOND)
#define MEMBERSHIPS 4

/* Two ways beside each other: candidate pairs by cell and by which of the two puts them together. */
typedef struct contest {
    const way_search *search;
    const way *first, *second;
    way_cell cells[SCORE_PARTS][REFERENCES][MEMBERSHIPS];
    double stands_for[MEMBERSHIPS]; /* pairs, candidates or not, by candidate */
    double pairs[MEMBERSHIPS], right[MEMBERSHIPS];
} contest;

static int
compare_words(const void *x, const void *y)
{
    uint64 a = *(const uint64 *)x, b = *(const uint64 *)y;

    return (a > b) - (a < b);
}

static inline way_cell *
contest_cell(contest *contest, int64 weight, uint32 a, uint32 b)
{
    return &contest->cells[score_part(weight)][reference_of(contest->search, a, b)]
                          [(puts_together(contest->first->clusters, a, b) ? IN_FIRST : 0) |
                           (puts_together(contest->second->clusters, a, b) ? IN_SECOND : 0)];
}

static void
count_contest(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    for (uint32 i = 0; i < count; i++)
        contest_cell(context, pairs[i].weight, pairs[i].a, pairs[i].b)->pairs++;
}

/* Pairs of records that are together in both. */
static double
pairs_in_both(const match_run *run, const clustering *first, const clustering *second)
{
    uint32 count = run->store->records.count;
    uint64 *both = MemoryContextAllocHuge(CurrentMemoryContext, mul_size(Max(count, 1), sizeof(uint64)));
    double pairs = 0, members = 0;

    for (uint32 record = 0; record < count; record++)
        both[record] = (uint64)first->cluster[record] << 32 | second->cluster[record];
    qsort(both, count, sizeof(uint64), compare_words);
    for (uint32 i = 0; i < count; i++) {
        members = i > 0 && both[i] == both[i - 1] ? members + 1 : 0;
        pairs += members;
    }
    pfree(both);
    return pairs;
}

/*
 * Pairs by what two ways do with them: candidates, what is within clusters for one of them, matches. Of pairs
 * that are together without being candidates as many are right as of the candidates that are.
 */
static void
count_memberships(match_run *run, contest *contest)
{
    const way_search *search = contest->search;
    double candidates[MEMBERSHIPS] = {0}, within[MEMBERSHIPS] = {0};

    for (int part = 0; part < SCORE_PARTS; part++)
        for (int reference = 0; reference < REFERENCES; reference++)
            for (int in = 0; in < MEMBERSHIPS; in++) {
                const way_cell *cell = &contest->cells[part][reference][in];

                candidates[in] += cell->pairs;
                contest->right[in] +=
                    cell->pairs * match_rate(cell, search->rates[part][reference], WAY_PRIOR);
            }
    if (!run->spec->across_sources) {
        within[IN_BOTH] = pairs_in_both(run, contest->first->clusters, contest->second->clusters);
        within[IN_FIRST] = contest->first->together - within[IN_BOTH];
        within[IN_SECOND] = contest->second->together - within[IN_BOTH];
    }
    for (int in = 0; in < MEMBERSHIPS; in++) {
        contest->stands_for[in] = candidates[in] > 0 ? Max(within[in] / candidates[in], 1.0) : 1.0;
        contest->pairs[in] = candidates[in] * contest->stands_for[in];
        contest->right[in] *= contest->stands_for[in];
    }
}

/*
 * The variance of a sum over the pairs, where a match that the ways do something with adds so much. The share
 * of matches is thought of as in judge_ways: that of members is drawn from that of their cell (worth
 * WAY_PRIOR labels), and that from what the model says (worth CELL_PRIOR). The variances are those of beta
 * distributions.
 */
static double
variance_of_sum(const contest *contest, const double slope[MEMBERSHIPS])
{
    double variance = 0;

    for (int part = 0; part < SCORE_PARTS; part++)
        for (int reference = 0; reference < REFERENCES; reference++) {
            const way_cell *cell = &contest->search->all[part][reference];
            double rate = contest->search->rates[part][reference], of_cell = 0;

            for (int in = 0; in < MEMBERSHIPS; in++) {
                const way_cell *members = &contest->cells[part][reference][in];
                double share = match_rate(members, rate, WAY_PRIOR);
                double effect = members->pairs * contest->stands_for[in] * slope[in];

                variance += effect * effect * share * (1 - share) / (members->labels + WAY_PRIOR + 1);
                of_cell += effect * WAY_PRIOR / (members->labels + WAY_PRIOR);
            }
            variance += of_cell * of_cell * rate * (1 - rate) / (cell->labels + CELL_PRIOR + 1);
        }
    return variance;
}

/* Whether a difference is more than so many standard errors. */
static bool
beyond_doubt(const contest *contest, double difference, const double slope[MEMBERSHIPS], double errors)
{
    return difference > 0 && difference * difference > errors * errors * variance_of_sum(contest, slope);
}

/*
 * Whether the second way is better than the first beyond doubt. The two are compared pair by pair: what both
 * put together is as right in the one as in the other, and only what they differ in is in doubt. F1 is to be
 * better by worth_it at least; and fewer pairs are to be wrong (McNemar 1947): where many matches are thought
 * to be missed, F1 would be had by half-wrong pairs, too, which are not worth the risk that the estimate is
 * wrong.
 */
static bool
is_better(match_run *run, const label_list *labels, const way_search *search, const way *first,
          const way *second, double worth_it)
{
    static const double fewer_wrong[MEMBERSHIPS] = {0, -2.0, 2.0,
                                                    0}; /* by a match: one more right, one less wrong */
    contest *contest = MemoryContextAllocZero(run->context, sizeof *contest);
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = PG_INT64_MIN};
    double all[2], f1[2], slope[MEMBERSHIPS], matches = 0, better, fewer;
    bool found;

    contest->search = search;
    contest->first = first;
    contest->second = second;
    match_run_visit(run, &options, count_contest, contest);
    for (size_t i = 0; i < labels->count; i++) {
        const label *label = &labels->labels[i];
        way_cell *cell = contest_cell(contest, label_weight(run, label), label->a, label->b);

        cell->labels++;
        cell->matches += label->is_match;
    }
    count_memberships(run, contest);
    for (int in = 0; in < MEMBERSHIPS; in++)
        matches += contest->right[in];
    for (int i = 0; i < 2; i++) {
        int only = i == 0 ? IN_FIRST : IN_SECOND;

        all[i] = matches + contest->pairs[only] + contest->pairs[IN_BOTH];
        f1[i] = 2 * (contest->right[only] + contest->right[IN_BOTH]) / all[i];
    }
    for (int in = 0; in < MEMBERSHIPS; in++) /* of a match more: it is one more to be found, too */
        slope[in] = ((in & IN_SECOND ? 2 : 0) - f1[1]) / all[1] - ((in & IN_FIRST ? 2 : 0) - f1[0]) / all[0];
    better = f1[1] - f1[0];
    fewer = 2 * (contest->right[IN_SECOND] - contest->right[IN_FIRST]) -
            (contest->pairs[IN_SECOND] - contest->pairs[IN_FIRST]);
    found = better > worth_it && beyond_doubt(contest, better, slope, CERTAIN) &&
            beyond_doubt(contest, fewer, fewer_wrong, LIKELY);
    match_run_phase(
        run, "comparison",
        "%s labels, at %g, put %.0f pairs together, %.0f right, and %.0f apart, %.0f right; F1 better by "
        "%.4f (standard error %.4f), %.0f (%.0f) fewer pairs wrong",
        second->before ? "before" : "after", second->threshold, contest->pairs[IN_SECOND],
        contest->right[IN_SECOND], contest->pairs[IN_FIRST],
        contest->pairs[IN_FIRST] - contest->right[IN_FIRST], better, sqrt(variance_of_sum(contest, slope)),
        fewer, sqrt(variance_of_sum(contest, fewer_wrong)));
    pfree(contest);
    return found;
}

/* What would be done without labels, as nearly as one of the ways does it. */
static const way *
usual_way(const way_search *search, one_per_source usual)
{
    const way *nearest = &search->ways[DEFAULT_PLACE];

    for (int t = 0; t < search->count; t++) {
        const way *way = &search->ways[t];

        if (way->before && way->one_per_source == usual && can_be_judged(way) &&
            fabs(way->threshold - search->usual) < fabs(nearest->threshold - search->usual))
            nearest = way;
    }
    return nearest;
}

/*
 * The best way to cluster. Of those that are about as good the one that changes least is taken: what the
 * specification says of sources, the usual threshold, and the model before labels; another one only where it
 * is better beyond doubt.
 */
static const way *
best_way(match_run *run, const label_list *labels, const way_search *search, one_per_source usual,
         double equally_good)
{
    const way *best = usual_way(search, usual);

    for (int labelled = 0; labelled < 2; labelled++) {
        const way *other = best_of(search, labelled == 0, usual, equally_good);

        if (other != NULL && other != best && is_better(run, labels, search, best, other, equally_good))
            best = other;
    }
    return best;
}

way_search *
ways_begin(match_run *run)
{
    way_search *search = MemoryContextAllocZero(run->context, sizeof(way_search));

    add_ways(run, search, true, thresholds_before, lengthof(thresholds_before));
    return search;
}

void
ways_free(way_search *search)
{
    for (int t = 0; t < search->count; t++)
        pfree(search->ways[t].clusters->cluster);
    pfree(search);
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

void
ways_choose(match_run *run, match_spec *spec, const match_spec *unlabelled, const label_list *labels,
            size_t rarer, bool corrected, way_search *search, StringInfo report)
{
    const way *best;

    search->usual = spec->learnt_threshold > 0 ? spec->learnt_threshold : DEFAULT_THRESHOLD;
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
    best = best_way(run, labels, search, spec->one_per_source, Max(EQUALLY_GOOD, FEW_LABELS_GOOD / rarer));
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
