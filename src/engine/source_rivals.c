/*
 * source_rivals.c: see source_rivals.h. Everything is counted by whole bits of weight above the threshold.
 * The bounds were chosen looking at public sets, and at these with few copies, made on purpose.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster.h"
#include "engine/source_rivals.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MOST_SOURCES 64
#define BITS 41            /* above the threshold, that are looked at */
#define LEAST_LINKS 10     /* that say something */
#define MOST_RIGHT 0.65    /* of the links: where more are right, the threshold stays */
#define LEAST_GAIN 0.2     /* in F1, that a higher threshold must promise */
#define ABOUT_AS_GOOD 0.02 /* a lower threshold that is, is taken */
#define LEAST_F1 0.6       /* to be reached; without sources also: */
#define LEAST_LEFT 0.5     /* of the records with a partner, that keep one, */
#define LEAST_PAIRS 0.2    /* and right pairs, of all links; or else */
#define OPEN_SHARE 0.1     /* of the records with two partners, that these are not linked to each other */

/* Records, or records of a source with links to another, whose best or second link has so many bits. */
typedef struct rivals {
    double records;
    uint64 best[BITS], second[BITS];
} rivals;

/* What is seen of all links. By bit: links of so many bits, of sources one to one. */
typedef struct rival_counts {
    const source_links *links;
    uint32 groups;  /* sources, or 1 */
    rivals *rivals; /* by source * groups + other */
    uint64 taken[BITS];
    double right[BITS]; /* at that weight and above, as both below */
    double reached[BITS], paired[BITS];
    double open; /* share of the records with two partners, that these are not linked to each other */
} rival_counts;

/* By record * groups + source: the best and the second partner there. */
typedef struct partners {
    uint32 *best, *second;
    uint8 *taken; /* one to one */
} partners;

#define NO_PARTNER PG_UINT32_MAX

static uint32
group_of(const source_links *links, uint32 record)
{
    return links->sources == NULL ? 0 : links->sources[record];
}

/* A record has another link into a source. */
static void
count_end(rivals *rivals, partners *partners, Size place, uint32 other, int64 bit)
{
    if (partners->best[place] == NO_PARTNER) {
        partners->best[place] = other;
        rivals->best[bit]++;
    } else if (partners->second[place] == NO_PARTNER) {
        partners->second[place] = other;
        rivals->second[bit]++;
    }
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
        int64 bit = (link_weight(&links->links[i]) - least_weight) / WEIGHT_UNITS;

        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
        if ((links->sources != NULL && source_a == source_b) || bit < 0)
            continue;
        bit = Min(bit, BITS - 1);
        count_end(&counts->rivals[(Size)source_a * groups + source_b], partners, place_a, b, bit);
        count_end(&counts->rivals[(Size)source_b * groups + source_a], partners, place_b, a, bit);
        if (links->sources != NULL && (partners->taken[place_a] || partners->taken[place_b]))
            continue;
        partners->taken[place_a] = partners->taken[place_b] = true;
        counts->taken[bit]++;
    }
}

/* The share of the records with two partners or more, the best two of which are not linked to each other. */
static double
share_open(match_run *run, int64 least_weight, const partners *partners)
{
    double open = 0, all = 0;

    for (uint32 record = 0; record < run->store->records.count; record++) {
        if (partners->second[record] == NO_PARTNER)
            continue;
        all++;
        open += match_run_pair_weight(run, partners->best[record], partners->second[record]) < least_weight;
        CHECK_FOR_INTERRUPTS();
    }
    return all > 0 ? open / all : 0;
}

static void
count_rivals(match_run *run, int64 least_weight, rival_counts *counts)
{
    Size places = mul_size(Max(run->store->records.count, 1), counts->groups);
    partners partners = {big_alloc(run->context, mul_size(places, sizeof(uint32))),
                         big_alloc(run->context, mul_size(places, sizeof(uint32))),
                         big_alloc_zero(run->context, places)};

    memset(partners.best, 0xff, places * sizeof(uint32));
    memset(partners.second, 0xff, places * sizeof(uint32));
    for (uint32 record = 0; record < run->store->records.count; record++)
        for (uint32 other = 0; other < counts->groups; other++)
            counts->rivals[(Size)group_of(counts->links, record) * counts->groups + other].records++;
    count_links(run, least_weight, counts, &partners);
    if (counts->links->sources == NULL)
        counts->open = share_open(run, least_weight, &partners);
    pfree(partners.best);
    pfree(partners.second);
    pfree(partners.taken);
}

/* Records that have their true partner, if so many have one and a second. */
static double
true_partners(double records, double best, double second)
{
    return best - second < 0.5 ? 0 : Max((best * best - second * records) / (best - second), 0);
}

/* Adds what is right of two sources, or of all records twice; no less is right at a lower weight. */
static void
add_right(rival_counts *counts, const rivals *a, const rivals *b)
{
    double best_a = 0, best_b = 0, second_a = 0, second_b = 0, most = 0;

    for (int bit = BITS - 1; bit >= 0; bit--) {
        double matches_a, matches_b;

        best_a += a->best[bit];
        best_b += b->best[bit];
        second_a += a->second[bit];
        second_b += b->second[bit];
        matches_a = true_partners(a->records, best_a, second_a);
        matches_b = true_partners(b->records, best_b, second_b);
        most = Max(most, a == b ? matches_a / 2 : Min(matches_a, matches_b));
        counts->right[bit] += most;
        counts->paired[bit] += best_a;
    }
}

static void
estimate_right(rival_counts *counts)
{
    double reached = 0;

    if (counts->links->sources == NULL)
        add_right(counts, counts->rivals, counts->rivals);
    else
        for (uint32 a = 0; a < counts->groups; a++)
            for (uint32 b = a + 1; b < counts->groups; b++)
                add_right(counts, &counts->rivals[(Size)a * counts->groups + b],
                          &counts->rivals[(Size)b * counts->groups + a]);
    for (int bit = BITS - 1; bit >= 0; bit--) {
        reached += counts->taken[bit];
        counts->reached[bit] = reached;
        counts->right[bit] = Min(counts->right[bit], reached);
    }
}

/* The bits above the threshold from which on links are right as far as can be; 0: nothing better is seen. */
static int
choose_bit(const rival_counts *counts)
{
    double f1[BITS], best = 0;
    int chosen = 0;
    bool kept;

    if (counts->reached[0] < LEAST_LINKS || counts->right[0] >= MOST_RIGHT * counts->reached[0])
        return 0;
    for (int bit = 0; bit < BITS; bit++) {
        f1[bit] =
            counts->right[bit] > 0 ? 2.0 * counts->right[bit] / (counts->reached[bit] + counts->right[0]) : 0;
        best = Max(best, f1[bit]);
    }
    if (best < LEAST_F1 || best < f1[0] + LEAST_GAIN)
        return 0;
    while (f1[chosen] < best - ABOUT_AS_GOOD)
        chosen++;
    kept = counts->paired[chosen] >= LEAST_LEFT * counts->paired[0] &&
           counts->right[chosen] >= LEAST_PAIRS * counts->reached[0];
    return counts->links->sources != NULL || kept || counts->open >= OPEN_SHARE ? chosen : 0;
}

int32
source_rivals_learn(match_run *run, const source_links *links, int64 least_weight)
{
    rival_counts *counts;
    int chosen;

    if (links->sources != NULL && run->store->sources->count > MOST_SOURCES)
        return 0;
    counts = palloc0(sizeof(rival_counts));
    counts->links = links;
    counts->groups = links->sources == NULL ? 1 : run->store->sources->count;
    counts->rivals = palloc0((Size)counts->groups * counts->groups * sizeof(rivals));
    count_rivals(run, least_weight, counts);
    estimate_right(counts);
    chosen = choose_bit(counts);
    match_run_phase(run, "rivals", "%.0f links, %.0f right, %.0f %% of second partners apart; %d bits less",
                    counts->reached[0], counts->right[0], 100.0 * counts->open, chosen);
    pfree(counts->rivals);
    pfree(counts);
    return chosen * WEIGHT_UNITS;
}
