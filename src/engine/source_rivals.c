/*
 * source_rivals.c: see source_rivals.h. Everything is counted by steps of weight above the threshold.
 * The bounds were chosen looking at public sets, and at these with few copies, made on purpose.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster.h"
#include "engine/compared_columns.h"
#include "engine/passes.h"
#include "engine/source_rivals.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MOST_SOURCES 64
#define MOST_PLACES (64 * 1024 * 1024) /* bytes: records times sources */
#define STEP (WEIGHT_UNITS / 2)
#define STEPS 81                  /* above the threshold, that are looked at */
#define LEAST_LINKS 50            /* that say something */
#define ABOUT_AS_GOOD 0.02        /* a lower threshold that is, is taken */
#define ABOUT_AS_GOOD_WITHIN 0.03 /* the same, of all records: second partners may be right */

/* What a higher threshold must promise at least, in F1, and how much better that is; where nothing is known
   of sources less, for a second partner is no other source's. */
#define LEAST_GAIN 0.1
#define LEAST_F1 0.6
#define LEAST_F1_WITHOUT 0.5
/* Where sources hold things several times, or several texts of a thing are one each, second partners may be
   right: more must seem wrong, and of more links. */
#define LEAST_GAIN_REPEATING 0.15
#define LEAST_LINKS_REPEATING 100
#define FEW_RIGHT 0.65 /* of the links: also, that nothing speaks for a lower threshold */

/* Without sources a higher threshold must also leave so many of the records with a partner one, and so many
   right pairs of all links; or partners of one record differ from each other so often, or so often are no
   links: those of many copies of one thing are. Then so many pairs are to be right, as few may by chance. */
#define LEAST_LEFT 0.4
#define LEAST_LEFT_AT_ALL 0.1 /* few have a second partner of those that weigh most, whatever these are */
#define LEAST_PAIRS 0.2
#define OPEN_SHARE 0.1
#define APART_SHARE 0.12
#define LEAST_RIGHT 25

/* A lower threshold, of sources that all hold each thing once, must promise so much more F1; and of so many
   of the records with a partner at most may have a second. */
#define LEAST_GAIN_LOWER 0.04
#define MOST_SECONDS 0.4
#define AS_IT_IS (SOURCE_RIVALS_DEPTH * WEIGHT_UNITS / STEP) /* the step of the threshold */

/* Records, or records of a source with links to another, whose best or second link is of a step. */
typedef struct rivals {
    double records;
    uint64 best[STEPS], second[STEPS];
} rivals;

/* What is seen of all links. By step: links of it, of sources one to one. */
typedef struct rival_counts {
    const source_links *links;
    uint32 groups;  /* sources, or 1 */
    bool without;   /* records have no sources */
    bool alike;     /* those that are the same to the weights are looked at as one */
    rivals *rivals; /* by source * groups + other */
    uint64 taken[STEPS];
    uint64 equal[STEPS];  /* of these: within what is looked at as one */
    double apiece[STEPS]; /* and the others, each pair of two such once */
    double right[STEPS];  /* at that weight and above, as both below */
    double reached[STEPS], paired[STEPS];
    double open; /* share of the records with two partners, that these differ from each other; if looked at */
    double apart; /* the same, that these are no link */
} rival_counts;

bool
source_rivals_fit(const record_store *store)
{
    return store->sources->count <= MOST_SOURCES &&
           (Size)store->records.count * store->sources->count <= MOST_PLACES;
}

/* What a record has in a source. */
enum { HAS_BEST = 1, HAS_SECOND = 2, IS_TAKEN = 4 };

/* By record * groups + source what it has there; of all records also the partners. */
typedef struct partners {
    uint8 *states;
    uint32 *best, *second; /* NULL: of sources */
    uint8 *seen;           /* by record * sources + source: has a partner there; NULL: no sources */
    const bool *unique;    /* by source: holds a thing once; NULL: of none it is known */
    uint32 *same, *sizes;  /* by record: the first of those looked at as one, and by that how many; NULL */
} partners;

static uint32
group_of(const source_links *links, uint32 record)
{
    return links->sources == NULL ? 0 : links->sources[record];
}

/* Whether a second record of a source is a wrong one. */
static bool
holds_once(const partners *partners, uint32 source)
{
    return partners->unique == NULL || partners->unique[source];
}

/*
 * Whether a partner of a record speaks against none that it has: where each source may have the thing,
 * partners in several do not, and in one that may hold it several times neither. One in the record's own
 * does.
 */
static bool
is_no_rival(const record_store *store, partners *partners, uint32 record, uint32 other)
{
    uint32 own, source;
    uint8 *seen;
    bool none;

    if (partners->seen == NULL)
        return false;
    own = record_row(&store->records, record)[store->source_slot];
    source = record_row(&store->records, other)[store->source_slot];
    seen = &partners->seen[(Size)record * store->sources->count];
    none = !((source == own || seen[own]) && holds_once(partners, own)) &&
           !(seen[source] && holds_once(partners, source));
    seen[source] = 1;
    return none;
}

/* A record has another link into a source. Returns whether it can be a rival of another, or have one. */
static bool
count_end(const record_store *store, rivals *rivals, partners *partners, Size place, uint32 other, int64 step)
{
    uint8 state = partners->states[place] & (HAS_BEST | HAS_SECOND);
    bool no_rival = is_no_rival(store, partners, (uint32)place, other);

    if (partners->same != NULL && state == HAS_BEST && partners->best[place] == other)
        return false;
    if (state == 0) {
        partners->states[place] |= HAS_BEST;
        rivals->best[step]++;
    } else if (state == HAS_BEST) {
        if (no_rival)
            return false;
        partners->states[place] |= HAS_SECOND;
        rivals->second[step]++;
    }
    if (partners->best != NULL && state != (HAS_BEST | HAS_SECOND))
        *(state == 0 ? &partners->best[place] : &partners->second[place]) = other;
    return state == 0 || !no_rival;
}

static uint32
first_of_same(uint32 *same, uint32 record)
{
    while (same[record] != record)
        record = same[record] = same[same[record]];
    return record;
}

/* Joins the records of links that weigh as much as a record and itself do. */
static void
join_same(match_run *run, const source_links *links, partners *partners)
{
    uint32 count = run->store->records.count, room = Max(count, 1);
    named_pair *pairs = big_alloc(run->context, mul_size(room, sizeof(named_pair)));
    int64 *own = big_alloc(run->context, mul_size(room, sizeof(int64)));

    partners->same = big_alloc(run->context, mul_size(room, sizeof(uint32)));
    partners->sizes = big_alloc_zero(run->context, mul_size(room, sizeof(uint32)));
    for (uint32 record = 0; record < count; record++) {
        partners->same[record] = record;
        pairs[record] = (named_pair){record, record};
    }
    if (run->store->spool != NULL)
        passes_weigh_pairs(run, pairs, count, own);
    else
        for (uint32 record = 0; record < count; record++) {
            own[record] = match_run_pair_weight(run, record, record);
            CHECK_FOR_INTERRUPTS();
        }
    for (uint64 i = 0; i < links->count; i++) {
        uint32 a = links->links[i].record, b = links->links[i].extra;

        if (link_weight(&links->links[i]) < Max(own[a], own[b]))
            continue;
        a = first_of_same(partners->same, a);
        b = first_of_same(partners->same, b);
        partners->same[Max(a, b)] = Min(a, b);
    }
    for (uint32 record = 0; record < count; record++) {
        partners->same[record] = first_of_same(partners->same, record);
        partners->sizes[partners->same[record]]++;
    }
    pfree(pairs);
    pfree(own);
}

/* A link of two records, as one of what each of them is looked at as. */
static void
count_alike(match_run *run, uint32 a, uint32 b, int64 step, rival_counts *counts, partners *partners)
{
    counts->taken[step]++;
    a = partners->same[a];
    b = partners->same[b];
    if (a == b) {
        counts->equal[step]++;
        return;
    }
    counts->apiece[step] += 1.0 / ((double)partners->sizes[a] * partners->sizes[b]);
    (void)count_end(run->store, counts->rivals, partners, a, b, step);
    (void)count_end(run->store, counts->rivals, partners, b, a, step);
}

static void
count_links(match_run *run, int64 least_weight, rival_counts *counts, partners *partners)
{
    const source_links *links = counts->links;
    uint32 groups = counts->groups;

    for (uint64 i = 0; i < links->count; i++) {
        uint32 a = links->links[i].record, b = links->links[i].extra;
        uint32 source_a = group_of(links, a), source_b = group_of(links, b);
        Size place_a = (Size)a * groups + source_b, place_b = (Size)b * groups + source_a;
        int64 step = (link_weight(&links->links[i]) - least_weight) / STEP;
        bool counts_a, counts_b;

        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
        if ((links->sources != NULL && source_a == source_b) || step < 0)
            continue;
        step = Min(step, STEPS - 1);
        if (partners->same != NULL) {
            count_alike(run, a, b, step, counts, partners);
            continue;
        }
        counts_a = count_end(run->store, &counts->rivals[(Size)source_a * groups + source_b], partners,
                             place_a, b, step);
        counts_b = count_end(run->store, &counts->rivals[(Size)source_b * groups + source_a], partners,
                             place_b, a, step);
        if (!counts_a || !counts_b)
            continue;
        if (links->sources != NULL && ((partners->states[place_a] | partners->states[place_b]) & IS_TAKEN))
            continue;
        partners->states[place_a] |= IS_TAKEN;
        partners->states[place_b] |= IS_TAKEN;
        counts->taken[step]++;
    }
}

/*
 * The share of the records with two partners or more, the best two of which differ from each other more than
 * they agree, and of those that weigh less than links do. Where values are missing, copies need not be
 * linked.
 */
static void
look_at_partners(match_run *run, const partners *partners, int64 least_weight, rival_counts *counts)
{
    int64 prior = weight_from_probability(run->spec->prior);
    Size room = Max(run->store->records.count, 1);
    named_pair *pairs = big_alloc(run->context, mul_size(room, sizeof(named_pair)));
    int64 *weights = big_alloc(run->context, mul_size(room, sizeof(int64)));
    uint64 count = 0, open = 0, apart = 0;

    for (uint32 record = 0; record < run->store->records.count; record++)
        if (partners->states[record] & HAS_SECOND)
            pairs[count++] = (named_pair){partners->best[record], partners->second[record]};
    if (run->store->spool != NULL)
        passes_weigh_pairs(run, pairs, count, weights);
    for (uint64 i = 0; i < count; i++) {
        if (run->store->spool == NULL)
            weights[i] = match_run_pair_weight(run, pairs[i].a, pairs[i].b);
        open += weights[i] < prior;
        apart += weights[i] < least_weight;
        CHECK_FOR_INTERRUPTS();
    }
    pfree(pairs);
    pfree(weights);
    counts->open = (double)open / Max((double)count, 1);
    counts->apart = (double)apart / Max((double)count, 1);
}

static void
count_rivals(match_run *run, int64 least_weight, bool look_at_open, rival_counts *counts)
{
    Size places = mul_size(Max(run->store->records.count, 1), counts->groups);
    partners partners = {.states = big_alloc_zero(run->context, places)};

    if (counts->links->sources == NULL) {
        if (counts->alike)
            join_same(run, counts->links, &partners);
        if (look_at_open) {
            partners.best = big_alloc(run->context, mul_size(places, sizeof(uint32)));
            partners.second = big_alloc(run->context, mul_size(places, sizeof(uint32)));
        }
        if (run->store->source_slot >= 0 && source_rivals_fit(run->store))
            partners.seen = big_alloc_zero(run->context, mul_size(places, run->store->sources->count));
        for (uint32 source = 1;
             partners.seen != NULL && counts->links->unique != NULL && source < run->store->sources->count;
             source++)
            if (counts->links->unique[source])
                partners.unique = counts->links->unique;
    }
    for (uint32 record = 0; record < run->store->records.count; record++)
        for (uint32 other = 0; other < counts->groups; other++)
            if (partners.same == NULL || partners.same[record] == record)
                counts->rivals[(Size)group_of(counts->links, record) * counts->groups + other].records++;
    count_links(run, least_weight, counts, &partners);
    if (partners.best != NULL) {
        look_at_partners(run, &partners, least_weight, counts);
        pfree(partners.best);
        pfree(partners.second);
    }
    if (partners.seen != NULL)
        pfree(partners.seen);
    if (partners.same != NULL) {
        pfree(partners.same);
        pfree(partners.sizes);
    }
    pfree(partners.states);
}

/* Records that have their true partner, if so many have one and a second. */
static double
true_partners(double records, double best, double second)
{
    return best - second < 0.5 ? 0 : Max((best * best - second * records) / (best - second), 0);
}

/*
 * Adds what is right of two sources, or of all records twice; no less is right at a lower weight. Both
 * sources see the same matches. Where those of one that have their match also have more that are alike than
 * the others (of a large catalogue one part is in the other), it sees too few. generous: what the source says
 * that sees more, and not what both say.
 */
static void
add_right(rival_counts *counts, const rivals *a, const rivals *b, bool generous)
{
    double best_a = 0, best_b = 0, second_a = 0, second_b = 0, most = 0;

    for (int step = STEPS - 1; step >= 0; step--) {
        double matches_a, matches_b;

        best_a += a->best[step];
        best_b += b->best[step];
        second_a += a->second[step];
        second_b += b->second[step];
        matches_a = true_partners(a->records, best_a, second_a);
        matches_b = true_partners(b->records, best_b, second_b);
        most = Max(most, a == b     ? matches_a / 2
                         : generous ? Min(Max(matches_a, matches_b), Min(best_a, best_b))
                                    : Min(matches_a, matches_b));
        counts->right[step] += most;
        counts->paired[step] += best_a;
    }
}

static void
estimate_right(rival_counts *counts, bool generous)
{
    double reached = 0, equal = 0, apiece = 0;

    if (counts->links->sources == NULL)
        add_right(counts, counts->rivals, counts->rivals, generous);
    else
        for (uint32 a = 0; a < counts->groups; a++)
            for (uint32 b = a + 1; b < counts->groups; b++)
                add_right(counts, &counts->rivals[(Size)a * counts->groups + b],
                          &counts->rivals[(Size)b * counts->groups + a], generous);
    for (int step = STEPS - 1; step >= 0; step--) {
        reached += counts->taken[step];
        counts->reached[step] = reached;
        equal += counts->equal[step];
        apiece += counts->apiece[step];
        if (counts->alike)
            counts->right[step] = equal + (apiece > 0 ? counts->right[step] / apiece * (reached - equal) : 0);
        counts->right[step] = Min(counts->right[step], reached);
    }
}

/* Whether enough of the records with a partner keep one; where equal ones are one, enough of the links. */
static bool
leaves_enough(const rival_counts *counts, int step)
{
    return counts->alike ? counts->reached[step] >= LEAST_LEFT_AT_ALL * counts->reached[0]
                         : counts->paired[step] >= LEAST_LEFT_AT_ALL * counts->paired[0];
}

/* The step from which on links are right as far as can be; 0: nothing better is seen. */
static int
choose_step(const rival_counts *counts)
{
    bool across = counts->links->sources != NULL, repeating = !across && (!counts->without || counts->alike);
    double f1[STEPS], best = 0, about = across ? ABOUT_AS_GOOD : ABOUT_AS_GOOD_WITHIN;
    int chosen = 0;

    if (counts->reached[0] < (repeating ? LEAST_LINKS_REPEATING : LEAST_LINKS) ||
        (repeating && counts->right[0] >= FEW_RIGHT * counts->reached[0]))
        return 0;
    for (int step = 0; step < STEPS; step++) {
        f1[step] = counts->right[step] > 0
                       ? 2.0 * counts->right[step] / (counts->reached[step] + counts->right[0])
                       : 0;
        if (across || leaves_enough(counts, step))
            best = Max(best, f1[step]);
    }
    if (best < (counts->without ? LEAST_F1_WITHOUT : LEAST_F1) ||
        best < f1[0] + (repeating ? LEAST_GAIN_REPEATING : LEAST_GAIN))
        return 0;
    while (f1[chosen] < best - about)
        chosen++;
    if (across || counts->open >= OPEN_SHARE ||
        (counts->apart >= APART_SHARE && counts->right[chosen] >= LEAST_RIGHT) ||
        (counts->paired[chosen] >= LEAST_LEFT * counts->paired[0] &&
         counts->right[chosen] >= LEAST_PAIRS * counts->reached[0]))
        return chosen;
    return 0;
}

/*
 * What is seen of links of sources, or of all records; NULL: there are too many. for_threshold: to raise it,
 * which is not to happen while one source sees enough that are right; whether partners of one record differ
 * is looked at, too, for which pairs of them are compared. alike: of records without sources, those that are
 * the same to the weights are one, and links of them right: things may have many records then, but one text.
 */
static rival_counts *
look_at_links(match_run *run, const source_links *links, int64 least_weight, bool for_threshold, bool alike)
{
    rival_counts *counts;

    if (links->sources != NULL && !source_rivals_fit(run->store))
        return NULL;
    counts = palloc0(sizeof(rival_counts));
    counts->links = links;
    counts->groups = links->sources == NULL ? 1 : run->store->sources->count;
    counts->without = run->store->source_slot < 0;
    counts->alike = alike;
    counts->rivals = palloc0((Size)counts->groups * counts->groups * sizeof(rivals));
    count_rivals(run, least_weight, for_threshold, counts);
    estimate_right(counts, for_threshold);
    return counts;
}

static void
free_counts(rival_counts *counts)
{
    pfree(counts->rivals);
    pfree(counts);
}

int32
source_rivals_learn(match_run *run, const source_links *links, int64 least_weight, bool *few_right)
{
    rival_counts *counts = look_at_links(run, links, least_weight, true, false);
    int chosen;

    if (counts == NULL)
        return 0;
    /* Names say better how many are strangers'; and of one with several addresses partners agree with it by
       one attribute each, and not with each other. */
    chosen = run->names_known && counts->without ? 0 : choose_step(counts);
    if (chosen == 0 && counts->without && !run->names_known && counts->reached[0] >= LEAST_LINKS &&
        compared_columns(run->spec) == 1) {
        rival_counts *alike = look_at_links(run, links, least_weight, true, true);

        chosen = choose_step(alike);
        free_counts(chosen == 0 ? alike : counts);
        counts = chosen == 0 ? counts : alike;
    }
    *few_right = !counts->without && counts->reached[0] >= LEAST_LINKS &&
                 counts->right[0] < FEW_RIGHT * counts->reached[0];
    match_run_phase(
        run, "rivals",
        "%.0f links, %.0f right%s, %.0f %% of second partners apart, %.0f %% no links; %.1f bits less",
        counts->reached[0], counts->right[0], counts->alike ? " with equal ones as one" : "",
        100.0 * counts->open, 100.0 * counts->apart, weight_to_bits(chosen * STEP));
    free_counts(counts);
    return chosen * STEP;
}

/* Of all sources, by step and those above: records with a partner, and with a second, where these are most.
 */
static double
share_of_seconds(const rival_counts *counts, int step)
{
    double most = 0;

    for (uint32 i = 0; i < counts->groups * counts->groups; i++) {
        double best = 0, second = 0;

        for (int above = step; above < STEPS; above++) {
            best += counts->rivals[i].best[above];
            second += counts->rivals[i].second[above];
        }
        if (best >= LEAST_LINKS)
            most = Max(most, second / best);
    }
    return most;
}

int32
source_rivals_lower(match_run *run, const source_links *links, int64 least_weight)
{
    rival_counts *counts =
        look_at_links(run, links, least_weight - SOURCE_RIVALS_DEPTH * WEIGHT_UNITS, false, false);
    int lowest = AS_IT_IS, chosen = AS_IT_IS;
    double f1[STEPS] = {0};

    if (counts == NULL)
        return 0;
    while (lowest > 0 && share_of_seconds(counts, lowest - 1) <= MOST_SECONDS)
        lowest--;
    for (int step = AS_IT_IS; step >= lowest; step--) {
        if (counts->right[lowest] > 0)
            f1[step] = 2.0 * counts->right[step] / (counts->reached[step] + counts->right[lowest]);
        if (f1[step] > f1[chosen])
            chosen = step;
    }
    if (counts->reached[AS_IT_IS] < LEAST_LINKS || f1[chosen] < f1[AS_IT_IS] + LEAST_GAIN_LOWER)
        chosen = AS_IT_IS;
    match_run_phase(run, "lower", "%.0f of %.0f links right, of %.0f; %.0f of %.0f with %.1f bits more",
                    counts->right[AS_IT_IS], counts->reached[AS_IT_IS], counts->right[lowest],
                    counts->right[chosen], counts->reached[chosen],
                    weight_to_bits((AS_IT_IS - chosen) * STEP));
    free_counts(counts);
    return (AS_IT_IS - chosen) * STEP;
}

double
source_rivals_surplus(match_run *run, const source_links *links, int64 least_weight)
{
    rival_counts *counts = look_at_links(run, links, least_weight, false, false);
    double most = 0;

    if (counts == NULL)
        return 0;
    for (int step = 0; step < STEPS; step++)
        most = Max(most, 2.0 * counts->right[step] - counts->reached[step]);
    free_counts(counts);
    return most;
}

void
source_rivals_estimate(match_run *run, const source_links *links, int64 least_weight, double *reached,
                       double *right)
{
    rival_counts *counts = look_at_links(run, links, least_weight, false, false);

    *reached = *right = 0;
    if (counts == NULL)
        return;
    *reached = counts->reached[0];
    *right = counts->right[0];
    free_counts(counts);
}
