/*
 * source_odds.c: see source_odds.h.
 *
 * The shares are learnt from the links themselves. Between two sources the heaviest links are taken first,
 * where the records are still free (of a source that holds things several times a record is always free).
 * The expected number of matches among the links taken gives the shares, the shares give the odds, the odds
 * raise the expected number, until that settles. It starts from no odds and stays below what all records
 * matched would give.
 */
#include "compat.h"

#include "engine/cluster.h"
#include "engine/source_odds.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MOST_SOURCES 64
#define ROUNDS 50
#define LEAST_LINKS 10 /* between two sources, that teach odds */
#define MOST_ODDS (8 * WEIGHT_UNITS)
#define FURTHER 2 /* times the odds so far: how far below the links already had to look */

typedef struct source_odds {
    uint32 source_count;
    int32 *weights; /* by source * source_count + other: what a link between them weighs more */
    int32 most, mean;
} source_odds;

static inline int32
source_odds_weight(const source_odds *odds, uint32 source_a, uint32 source_b)
{
    return odds->weights[source_a * odds->source_count + source_b];
}

static inline int64
weight_of(const keyed_record *link)
{
    return PG_INT32_MAX - (int64)link->key;
}

/* By record and source: the record has a partner there. */
typedef struct partner_flags {
    uint8 *flags;
    uint32 source_count;
} partner_flags;

static inline bool
has_partner(const partner_flags *partners, uint32 record, uint32 source)
{
    Size bit = (Size)record * partners->source_count + source;

    return partners->flags[bit / 8] >> (bit % 8) & 1;
}

static inline void
set_partner(partner_flags *partners, uint32 record, uint32 source)
{
    Size bit = (Size)record * partners->source_count + source;

    partners->flags[bit / 8] |= (uint8)(1 << (bit % 8));
}

/*
 * Whether a link is of two sources that have odds, both records being free; then they no longer are. A record
 * is bound to one of the other source where that one is unique.
 */
static bool
take_link(partner_flags *partners, const source_links *links, const keyed_record *link)
{
    uint32 a = link->record, b = link->extra;
    uint32 source_a = links->sources[a], source_b = links->sources[b];

    if (source_a == source_b || !(links->unique[source_a] || links->unique[source_b]))
        return false;
    if ((links->unique[source_b] && has_partner(partners, a, source_b)) ||
        (links->unique[source_a] && has_partner(partners, b, source_a)))
        return false;
    set_partner(partners, a, source_b);
    set_partner(partners, b, source_a);
    return true;
}

static partner_flags
make_partners(match_run *run)
{
    uint32 source_count = run->store->sources->count;
    Size bits = mul_size(Max(run->store->records.count, 1), source_count);

    return (partner_flags){
        MemoryContextAllocExtended(run->context, bits / 8 + 1, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO),
        source_count};
}

/* The odds of two sources from the weights of the links taken between them. */
static int32
settle_odds(const int32 *weights, uint64 count, double records_a, double records_b, bool unique_a,
            bool unique_b)
{
    int32 odds = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double matches = 0, free_a = 1.0, free_b = 1.0;
        int32 next;

        for (uint64 i = 0; i < count; i++)
            matches += probability_from_weight((int64)weights[i] + odds);
        if (unique_b)
            free_a = Max((records_a + 1.0 - matches) / (records_a + 1.0), 1.0 / (records_a + 1.0));
        if (unique_a)
            free_b = Max((records_b + 1.0 - matches) / (records_b + 1.0), 1.0 / (records_b + 1.0));
        next = Min(weight_from_ratio(1.0, free_a * free_b), MOST_ODDS);
        if (next <= odds)
            break;
        odds = next;
    }
    return odds;
}

/* By pair of sources; NULL: there are too many sources. */
static source_odds *
odds_of_links(match_run *run, const source_links *links)
{
    uint32 source_count = run->store->sources->count;
    partner_flags partners;
    source_odds *odds;
    double sum = 0, taken = 0;
    int32 **weights;
    uint64 *counts, *allocated;
    double *records;

    if (source_count > MOST_SOURCES)
        return NULL;
    partners = make_partners(run);
    weights = palloc0((Size)source_count * source_count * sizeof(int32 *));
    counts = palloc0((Size)source_count * source_count * sizeof(uint64));
    allocated = palloc0((Size)source_count * source_count * sizeof(uint64));
    records = palloc0(source_count * sizeof(double));
    for (uint32 record = 0; record < run->store->records.count; record++)
        records[links->sources[record]]++;
    for (uint64 i = 0; i < links->count; i++) {
        const keyed_record *link = &links->links[i];
        uint32 source_a = links->sources[link->record], source_b = links->sources[link->extra];
        uint32 place = Min(source_a, source_b) * source_count + Max(source_a, source_b);

        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
        if (!take_link(&partners, links, link))
            continue;
        if (counts[place] == allocated[place]) {
            allocated[place] = Max(allocated[place] * 2, 1024);
            weights[place] =
                weights[place] == NULL
                    ? MemoryContextAllocHuge(run->context, mul_size(allocated[place], sizeof(int32)))
                    : repalloc_huge(weights[place], mul_size(allocated[place], sizeof(int32)));
        }
        weights[place][counts[place]++] = (int32)weight_of(link);
    }
    pfree(partners.flags);

    odds = palloc0(sizeof(source_odds));
    odds->source_count = source_count;
    odds->weights = palloc0((Size)source_count * source_count * sizeof(int32));
    for (uint32 a = 0; a < source_count; a++) {
        for (uint32 b = a + 1; b < source_count; b++) {
            uint32 place = a * source_count + b;

            if (counts[place] < LEAST_LINKS) {
                if (weights[place] != NULL)
                    pfree(weights[place]);
                continue;
            }
            odds->weights[place] = odds->weights[b * source_count + a] = settle_odds(
                weights[place], counts[place], records[a], records[b], links->unique[a], links->unique[b]);
            odds->most = Max(odds->most, odds->weights[place]);
            sum += (double)odds->weights[place] * counts[place];
            taken += counts[place];
            pfree(weights[place]);
        }
    }
    odds->mean = taken > 0 ? (int32)(sum / taken) : 0;
    pfree(weights);
    pfree(counts);
    pfree(allocated);
    pfree(records);
    return odds;
}

/* ---- lighter links ---- */

typedef struct light_links {
    const source_links *links;
    const source_odds *odds;
    partner_flags partners;
    int64 least_weight;
    keyed_record *found;
    uint64 count, allocated;
} light_links;

static int64
how_far(int32 odds)
{
    return odds == 0 ? 0 : Min((int64)odds * FURTHER + WEIGHT_UNITS, MOST_ODDS);
}

/* Of each pair whether it is light, of sources that have odds, and of records without a better partner. */
static void
collect_light(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    light_links *light = context;
    const source_links *links = light->links;

    for (uint32 i = 0; i < count; i++) {
        uint32 a = pairs[i].a, b = pairs[i].b;
        uint32 source_a = links->sources[a], source_b = links->sources[b];
        int32 odds = source_odds_weight(light->odds, source_a, source_b);

        if (pairs[i].weight >= light->least_weight || pairs[i].weight < light->least_weight - how_far(odds) ||
            odds == 0 || (links->unique[source_b] && has_partner(&light->partners, a, source_b)) ||
            (links->unique[source_a] && has_partner(&light->partners, b, source_a)))
            continue;
        if (light->count == light->allocated) {
            light->allocated = Max(light->allocated * 2, 4096);
            light->found =
                light->found == NULL
                    ? MemoryContextAllocHuge(run->context, mul_size(light->allocated, sizeof(keyed_record)))
                    : repalloc_huge(light->found, mul_size(light->allocated, sizeof(keyed_record)));
        }
        light->found[light->count++] = (keyed_record){(uint64)((int64)PG_INT32_MAX - pairs[i].weight), a, b};
    }
}

/* The links below the weight that may be links because of the odds so far. */
static void
collect_light_links(match_run *run, const source_links *links, const source_odds *odds, int64 least_weight,
                    light_links *light)
{
    visit_options options = {
        .mode = PAIRS_SCORED, .least_weight = least_weight - how_far(odds->most), .across_sources = true};

    *light = (light_links){.links = links, .odds = odds, .least_weight = least_weight};
    light->partners = make_partners(run);
    for (uint64 i = 0; i < links->count; i++)
        (void)take_link(&light->partners, links, &links->links[i]);
    match_run_visit(run, &options, collect_light, light);
    pfree(light->partners.flags);
}

int32
source_odds_learn(match_run *run, const source_links *links, int64 least_weight, int32 least_odds)
{
    source_odds *odds = odds_of_links(run, links);
    link_list all = {.context = run->context, .count = links->count};
    source_links more = *links;
    light_links light;

    if (odds == NULL || odds->most < least_odds)
        return 0;
    collect_light_links(run, links, odds, least_weight, &light);
    all.count += light.count;
    all.links = MemoryContextAllocHuge(run->context, mul_size(Max(all.count, 1), sizeof(keyed_record)));
    memcpy(all.links, links->links, links->count * sizeof(keyed_record));
    if (light.count > 0) {
        memcpy(all.links + links->count, light.found, light.count * sizeof(keyed_record));
        pfree(light.found);
    }
    cluster_sort_links(run, &all);
    more.links = all.links;
    more.count = all.count;
    odds = odds_of_links(run, &more);
    pfree(all.links);
    return odds->mean;
}
