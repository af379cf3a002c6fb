/*
 * evident_sources.c: see evident_sources.h.
 */
#include "compat.h"

#include <math.h>

#include "engine/big_memory.h"
#include "engine/characters.h"
#include "engine/evident_sources.h"
#include "engine/rarity.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define UNIQUE_SHARE 0.42          /* of the triangles, that are copies at most */
#define UNIQUE_SHARE_APART 0.3     /* the same, where siblings were told from copies in training */
#define UNIQUE_SHARE_REPEATING 0.3 /* of a source with more pairs inside that are much alike than outside */
#define SOURCES_ALIKE 30           /* triangles, that what is usual of all sources counts for in one */
#define ABOUT_AS_ALIKE 0.7         /* of a weight */
#define HEAVY_SHARE 0.25           /* of the pairs inside, as heavy as half of those outside */
#define RARELY 0.03                /* of all records with one outside */
#define ENOUGH_TRIANGLES 10
#define COARSE 0.05        /* of the best links outside: as many weigh the same */
#define ENOUGH_SAID 20     /* triangles, that tell what copies weigh of other things, too */
#define ENOUGH_HEAVY 10    /* records as much alike with one inside */
#define COPIES_WORTH 3     /* pairs inside that may be taken for one that is a copy */
#define ENOUGH_PARTNERS 10 /* records with one outside */
#define TRIANGLES_LOOKED_AT 100000
#define MOST_PLACES (16 * 1024 * 1024) /* records times sources, whose partners are kept */
#define SIBLINGS_SHARE 0.5             /* of a source's twins, that are siblings at least */
#define ENOUGH_EXPECTED 10             /* siblings with a partner of their own, were all twins such */
#define MOST_TOLD 40                   /* sources of each of which something is said; of more, how many */

/* What a record is linked to best, in its own source and outside; PG_UINT32_MAX: nothing. */
typedef struct best_links {
    uint32 *within, *across;
    int64 *across_weight;
} best_links;

static void
find_best_links(match_run *run, const keyed_record *links, uint64 link_count, const uint32 *sources,
                best_links *best)
{
    uint32 count = run->store->records.count;

    best->within = big_alloc(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    best->across = big_alloc(run->context, mul_size(Max(count, 1), sizeof(uint32)));
    best->across_weight = big_alloc(run->context, mul_size(Max(count, 1), sizeof(int64)));
    for (uint32 i = 0; i < count; i++)
        best->within[i] = best->across[i] = PG_UINT32_MAX;
    for (uint64 i = 0; i < link_count; i++) {
        const keyed_record *link = &links[i];
        uint32 ends[2] = {link->record, link->extra};
        uint32 *place = sources[ends[0]] == sources[ends[1]] ? best->within : best->across;

        for (int e = 0; e < 2; e++) {
            if (place[ends[e]] != PG_UINT32_MAX)
                continue;
            place[ends[e]] = ends[1 - e];
            if (place == best->across)
                best->across_weight[ends[e]] = PG_INT32_MAX - (int64)link->key;
        }
        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
}

/* The weight that half of the links across sources reach that are best for both. */
static int64
median_across(const match_run *run, const keyed_record *links, uint64 link_count, const best_links *best)
{
    uint64 mutual = 0, passed = 0;

    for (uint32 a = 0; a < run->store->records.count; a++)
        mutual += best->across[a] != PG_UINT32_MAX && best->across[best->across[a]] == a;
    for (uint64 i = 0; i < link_count; i++) {
        const keyed_record *link = &links[i];

        if (best->across[link->record] == link->extra && best->across[link->extra] == link->record &&
            (passed += 2) * 2 >= mutual)
            return PG_INT32_MAX - (int64)link->key;
    }
    return PG_INT64_MIN;
}

/* What a record weighs with one inside, or with one outside. */
typedef struct triangle {
    int64 weight;
    uint32 source;
    bool are_copies;
} triangle;

static int
compare_triangles(const void *x, const void *y)
{
    const triangle *p = x, *q = y;

    if (p->source != q->source)
        return p->source < q->source ? -1 : 1;
    return p->weight > q->weight ? -1 : p->weight < q->weight;
}

/*
 * The weight from which on a source's best links outside count: the median of all sources, but where next to
 * none of its own reach that, for it has fewer columns than others, the median of its own.
 */
static int64 *
least_by_source(const match_run *run, const uint32 *sources, const best_links *best, int64 median)
{
    uint32 count = run->store->records.count, source_count = run->store->sources->count;
    triangle *weights =
        big_alloc(run->context, mul_size(Max(count, 1), sizeof(triangle))); /* of partners outside */
    int64 *least = palloc(source_count * sizeof(int64));
    uint64 used = 0;

    for (uint32 a = 0; a < count; a++)
        if (best->across[a] != PG_UINT32_MAX && best->across[best->across[a]] == a)
            weights[used++] = (triangle){best->across_weight[a], sources[a], false};
    qsort(weights, used, sizeof(triangle), compare_triangles);
    for (uint32 source = 0; source < source_count; source++)
        least[source] = median;
    for (uint64 first = 0, end; first < used; first = end) {
        uint64 heavy = 0;

        for (end = first; end < used && weights[end].source == weights[first].source; end++)
            heavy += weights[end].weight >= median;
        if (heavy < ENOUGH_PARTNERS && end - first >= 2 * ENOUGH_PARTNERS)
            least[weights[first].source] = weights[first + (end - first) / 2].weight;
    }
    pfree(weights);
    return least;
}

typedef enum { SIBLINGS, COPIES, NOT_SAID } kind_of_twins;

/*
 * What a record and its twin inside are by a record outside: copies are about as much like it. Where the twin
 * is less like it only because it lacks values that the record has, nothing is said: what both can be
 * compared in may be of the thing or of what its siblings share.
 */
static kind_of_twins
kind_by_third(match_run *run, uint32 record, uint32 twin, uint32 outside)
{
    uint64 levels = levels_of_pair(run, record, outside), twin_levels = levels_of_pair(run, twin, outside);
    int64 all, twin_all, common, twin_common;

    all = twin_all = common = twin_common = run->scorer.prior_weight;
    for (int c = 0; c < run->scorer.comparison_count; c++) {
        const comparison *one = &run->scorer.comparisons[c];
        int level = pattern_level(one, levels), twin_level = pattern_level(one, twin_levels);

        all += one->weights[level];
        twin_all += one->weights[twin_level];
        if (level != LEVEL_MISSING && twin_level != LEVEL_MISSING) {
            common += one->weights[level];
            twin_common += one->weights[twin_level];
        }
    }
    if (twin_all >= ABOUT_AS_ALIKE * all)
        return COPIES;
    return twin_common >= Min(common, ABOUT_AS_ALIKE * common) ? NOT_SAID : SIBLINGS;
}

/*
 * The weight from which on more of a source's triangles are copies than are not, as many more as there can
 * be; PG_INT64_MAX: there is none.
 */
static int64
weight_of_copies(const triangle *triangles, uint64 count, uint64 least_copies)
{
    uint64 copies = 0;
    int64 others = 0, most = 0, weight = PG_INT64_MAX;

    for (uint64 i = 0, end; i < count; i = end) {
        for (end = i; end < count && triangles[end].weight == triangles[i].weight; end++) {
            copies += triangles[end].are_copies;
            others += !triangles[end].are_copies;
        }
        if (copies >= least_copies && (int64)copies - others > most) {
            most = (int64)copies - others;
            weight = triangles[i].weight;
        }
    }
    return weight;
}

/*
 * Whether a source repeats things that no other has, of which there are no triangles. Copies weigh what
 * matches across sources weigh, so half of them reach the median of those; siblings seldom do. And a record
 * with a sibling inside has a partner outside as often as any other, one with a copy less often. Where many
 * pairs weigh the same (of one short text, say), siblings may weigh what matches do, and nothing is said.
 */
static bool
repeats_alone(uint64 records, uint64 across, uint64 twins, uint64 heavy_twins, uint64 within)
{
    return heavy_twins >= ENOUGH_HEAVY && heavy_twins >= HEAVY_SHARE * twins &&
           (double)within * records < (double)twins * across;
}

/*
 * The weight from which on two records of a source that repeats things alone may be together: those above it
 * are copies as far as can be, if copies weigh what matches across sources weigh; PG_INT64_MIN: whatever they
 * weigh. pairs: of the source, the heaviest first; those inside are called copies.
 */
static int64
weight_of_lone_copies(const triangle *pairs, uint64 count, double twins, double heavy_twins, double partners)
{
    double inside = 0, outside = 0, most = 0;
    int64 weight = PG_INT64_MAX;

    for (uint64 i = 0, end; i < count; i = end) {
        double copies;

        for (end = i; end < count && pairs[end].weight == pairs[i].weight; end++) {
            inside += pairs[end].are_copies;
            outside += !pairs[end].are_copies;
        }
        copies = Min(2 * heavy_twins * outside / partners, inside);
        if (COPIES_WORTH * copies - inside > most) {
            most = COPIES_WORTH * copies - inside;
            weight = inside < twins ? pairs[i].weight : PG_INT64_MIN;
        }
    }
    return weight;
}

/*
 * The same, where triangles say of enough things that others have what weighs how much: those that weigh more
 * than any that are no copies. triangles: of the source, the heaviest first.
 */
static int64
weight_beyond_siblings(const triangle *triangles, uint64 count, int64 least)
{
    for (uint64 i = 0; i < count; i++)
        if (!triangles[i].are_copies)
            return Max(triangles[i].weight + 1, least);
    return least;
}

/* Of each source how many twins have a partner of their own, and how many would, were all of them siblings.
 */
typedef struct own_partners {
    uint64 found;
    double expected;
} own_partners;

/*
 * By record and source: the best link into it; PG_UINT32_MAX: none.
 */
static uint32 *
partners_by_source(match_run *run, const keyed_record *links, uint64 link_count, const uint32 *sources)
{
    Size source_count = run->store->sources->count, count = Max(run->store->records.count, 1);
    uint32 *partners = big_alloc(run->context, mul_size(mul_size(count, source_count), sizeof(uint32)));

    memset(partners, 0xff, count * source_count * sizeof(uint32));
    for (uint64 i = 0; i < link_count; i++) {
        uint32 a = links[i].record, b = links[i].extra;
        uint32 *of_a = &partners[a * source_count + sources[b]],
               *of_b = &partners[b * source_count + sources[a]];

        if (*of_a == PG_UINT32_MAX)
            *of_a = b;
        if (*of_b == PG_UINT32_MAX)
            *of_b = a;
        if ((i & 0xfffff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    return partners;
}

/*
 * Editions of one song, sizes of one product are about as much like a third one as copies are. But each has a
 * partner of its own in another source as often as any record has one, while copies have one and the same. A
 * twin's own partner: in the source where the record has its (that goes both ways), and another one.
 */
static void
count_own_partners(match_run *run, const keyed_record *links, uint64 link_count, const uint32 *sources,
                   const best_links *best, own_partners *own)
{
    uint32 count = run->store->records.count, source_count = run->store->sources->count;
    uint32 *partners;
    uint64 *mutual, *records;

    memset(own, 0, source_count * sizeof(own_partners));
    if ((uint64)count * source_count > MOST_PLACES)
        return;
    partners = partners_by_source(run, links, link_count, sources);
    mutual = palloc0((Size)source_count * source_count * sizeof(uint64));
    records = palloc0(source_count * sizeof(uint64));
    for (int turn = 0; turn < 2; turn++)
        for (uint32 a = 0; a < count; a++) {
            uint32 source = sources[a], twin = best->within[a];

            records[source] += turn == 0;
            for (uint32 other = 1; other < source_count; other++) {
                uint32 b = partners[(Size)a * source_count + other], of_twin;

                if (other == source || b == PG_UINT32_MAX || partners[(Size)b * source_count + source] != a)
                    continue;
                if (turn == 0) {
                    mutual[source * source_count + other]++;
                    continue;
                }
                if (twin == PG_UINT32_MAX)
                    continue;
                of_twin = partners[(Size)twin * source_count + other];
                own[source].found += of_twin != PG_UINT32_MAX && of_twin != b;
                own[source].expected += mutual[source * source_count + other] / (double)records[source];
            }
            if ((a & 0xfff) == 0)
                CHECK_FOR_INTERRUPTS();
        }
    pfree(partners);
    pfree(mutual);
    pfree(records);
}

/* Whether at least half of a source's twins are siblings, by a standard error. */
static bool
are_siblings(const own_partners *own)
{
    return own->expected >= ENOUGH_EXPECTED &&
           own->found - sqrt(own->found) >= SIBLINGS_SHARE * own->expected;
}

static void
tell_source(match_run *run, uint32 source, uint64 across, uint64 within, uint64 copies, const char *verdict)
{
    match_run_phase(run, "source",
                    "%s: " UINT64_FORMAT " records with one outside, " UINT64_FORMAT
                    " also with one inside, " UINT64_FORMAT " copies%s",
                    text_to_cstring(text_view_to_text(run->store->sources->texts[source])), across, within,
                    copies, verdict);
}

void
find_evident_sources(match_run *run, const keyed_record *links, uint64 link_count, const uint32 *sources,
                     bool *unique, int64 *copies_weight)
{
    const record_store *store = run->store;
    uint32 count = store->records.count, source_count = store->sources->count, step, unique_count = 0;
    uint64 *across, *within, *said, *copies, *twins, *heavy_twins, *partners, *records;
    best_links best;
    own_partners *own;
    int64 median, *least;
    double unique_share = run->relatives_apart ? UNIQUE_SHARE_APART : UNIQUE_SHARE;
    triangle *triangles, *pairs;
    uint64 mutual = 0, tied = 0; /* records with a best one outside; whose weight is the median */
    uint64 triangle_count = 0, pair_count = 0, first, first_pair = 0; /* first: of a source's triangles */
    double all_copies = 0, all_said = 0,
           usual;     /* usual: share of the triangles of all sources that are copies */
    bool none_copies; /* triangles say that there are next to none: a few are enough for a source */

    across = palloc0(source_count * sizeof(uint64));
    within = palloc0(source_count * sizeof(uint64));
    said = palloc0(source_count * sizeof(uint64));
    copies = palloc0(source_count * sizeof(uint64));
    twins = palloc0(source_count * sizeof(uint64));
    heavy_twins = palloc0(source_count * sizeof(uint64));
    partners = palloc0(source_count * sizeof(uint64));
    records = palloc0(source_count * sizeof(uint64));
    own = palloc(source_count * sizeof(own_partners));
    find_best_links(run, links, link_count, sources, &best);
    count_own_partners(run, links, link_count, sources, &best, own);
    step = count / TRIANGLES_LOOKED_AT + 1;
    triangles = big_alloc(run->context, mul_size(count / step + 1, sizeof(triangle)));
    pairs = big_alloc(run->context, mul_size(count / step + 1, 2 * sizeof(triangle)));
    median = median_across(run, links, link_count, &best);
    least = least_by_source(run, sources, &best, median);
    for (uint32 a = 0; a < count; a += step) {
        uint32 b = best.across[a], twin = best.within[a];
        kind_of_twins kind;

        records[sources[a]]++;
        if (b != PG_UINT32_MAX && best.across[b] == a) {
            pairs[pair_count++] = (triangle){best.across_weight[a], sources[a], false};
            mutual++;
            tied += best.across_weight[a] == median;
        }
        if (twin != PG_UINT32_MAX && best.within[twin] == a) {
            twins[sources[a]]++;
            pairs[pair_count] = (triangle){match_run_pair_weight(run, a, twin), sources[a], true};
            heavy_twins[sources[a]] += pairs[pair_count++].weight >= least[sources[a]];
        }
        partners[sources[a]] += b != PG_UINT32_MAX && best.across[b] == a;
        if (b == PG_UINT32_MAX || best.across[b] != a || best.across_weight[a] < least[sources[a]])
            continue;
        across[sources[a]]++;
        if (twin == PG_UINT32_MAX)
            continue;
        within[sources[a]]++;
        kind = kind_by_third(run, a, twin, b);
        said[sources[a]] += kind != NOT_SAID;
        triangles[triangle_count] =
            (triangle){match_run_pair_weight(run, a, twin), sources[a], kind == COPIES};
        copies[sources[a]] += triangles[triangle_count++].are_copies;
        if ((a & 0xfff) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    qsort(triangles, triangle_count, sizeof(triangle), compare_triangles);
    qsort(pairs, pair_count, sizeof(triangle), compare_triangles);
    first = within[0];
    first_pair = twins[0] + partners[0];
    for (uint32 source = 1; source < source_count; source++) {
        all_copies += copies[source];
        all_said += said[source];
    }
    usual = all_said > 0 ? all_copies / all_said : 0;
    none_copies = all_said >= SOURCES_ALIKE && usual < RARELY;
    for (uint32 source = 1; source < source_count; first += within[source++]) {
        bool many = within[source] >= ENOUGH_TRIANGLES || twins[source] < partners[source] || none_copies,
             few;
        double most = unique_share;
        uint64 source_pairs = twins[source] + partners[source];
        /* of triangles that say nothing as many are copies as of the others */
        double rarely =
            RARELY * across[source] * (within[source] > 0 ? said[source] / (double)within[source] : 1);

        copies_weight[source] = weight_of_copies(
            triangles + first, within[source], Max((uint64)(RARELY * across[source]) + 1, ENOUGH_TRIANGLES));
        if (copies_weight[source] < least[source])
            copies_weight[source] = PG_INT64_MAX;
        if (copies_weight[source] == PG_INT64_MAX && heavy_twins[source] > across[source])
            most = Min(most, UNIQUE_SHARE_REPEATING);
        few = copies[source] + 0.5 < most * (said[source] + 2.0) &&
              copies[source] + SOURCES_ALIKE * usual < most * (said[source] + SOURCES_ALIKE);
        unique[source] = across[source] >= ENOUGH_PARTNERS &&
                         ((many && (few || copies[source] < rarely)) || are_siblings(&own[source]));
        if (unique[source] && copies_weight[source] == PG_INT64_MAX && tied < COARSE * mutual &&
            repeats_alone(records[source], across[source], twins[source], heavy_twins[source],
                          within[source])) {
            copies_weight[source] =
                said[source] >= ENOUGH_SAID
                    ? weight_beyond_siblings(triangles + first, within[source], least[source])
                    : weight_of_lone_copies(pairs + first_pair, source_pairs, twins[source],
                                            heavy_twins[source], partners[source]);
            unique[source] = copies_weight[source] != PG_INT64_MIN;
        }
        first_pair += source_pairs;
        unique_count += unique[source];
        if (source_count - 1 <= MOST_TOLD)
            tell_source(run, source, across[source], within[source], copies[source],
                        !unique[source]                         ? ""
                        : copies_weight[source] == PG_INT64_MAX ? ", unique"
                                                                : ", unique but for what is much alike");
    }
    if (source_count - 1 > MOST_TOLD)
        match_run_phase(run, "source", "%u sources, %u of them unique", source_count - 1, unique_count);
    pfree(triangles);
    pfree(pairs);
    pfree(least);
    pfree(best.within);
    pfree(best.across);
    pfree(best.across_weight);
}
