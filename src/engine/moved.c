/*
 * moved.c: see moved.h.
 */
#include "compat.h"

#include "engine/label_comparisons.h"
#include "engine/mixed.h"
#include "engine/moved.h"
#include "kernel/fixed_point.h"
#include "miscadmin.h"

#define FIRST_SHARE 0.01
#define LAST_SHARE 1e-6 /* less is nobody */
#define MOST_PLACES 8   /* that are tried by two and three */
#define MOST_STRANGE 1e100
#define ROUNDS 100
#define SETTLED 1e-4     /* of the share */
#define LEAST_MOVED 20.0 /* matches */
#define MOST_MOVED 0.15  /* of the matches: so many EM sees by itself; more are people of other kinds */
#define LEAST_GAIN 10.0  /* bits, by which one attribute more explains the candidates better */
#define CERTAIN 5.0      /* bits, that all other attributes say for who has moved where they are equal */

typedef struct moved_search {
    double equal[MAX_COMPARISONS]; /* bits, that equal values say for a match, by comparison */
    double all_equal;              /* all of them, and the share of matches among all pairs */
    const logistic_case *cases;
    size_t count;
    double
        *strange[MAX_COMPARISONS]; /* of a place and a case: strangers' share of its level by the matches' */
} moved_search;

typedef struct moved_kind {
    uint32 places;
    double share, matches; /* of the matches; of the candidates */
    double gain;           /* bits by which it explains the candidates better */
} moved_kind;

/* How much rarer what a pair has in one attribute is among matches than among strangers. */
static double
strangeness(const scorer *layout, const em_parameters *parameters, uint32 mask, uint64 pattern)
{
    double product = 1.0;

    for (int c = 0; c < layout->comparison_count; c++) {
        int level = pattern_level(&layout->comparisons[c], pattern), other = parameters->beside[c] - 1;

        if (!(mask >> c & 1) || level == LEVEL_MISSING ||
            (other >= 0 && pattern_level(&layout->comparisons[other], pattern) != LEVEL_MISSING))
            continue;
        product *= parameters->u[c][level] / parameters->m[c][level];
    }
    return product;
}

static double
strangeness_of(const moved_search *search, uint32 places, size_t i)
{
    double product = 1.0;

    for (int c = 0; c < MAX_COMPARISONS && places >> c != 0; c++)
        if (places >> c & 1)
            product *= search->strange[c][i];
    return Min(Max(product, 1.0 / MOST_STRANGE), MOST_STRANGE);
}

/*
 * Whether even the first who moves explains the candidates better. The more have moved, the less each further
 * one does, for logarithms are concave: where the first does not, nobody has moved, and EM would take a
 * hundred rounds to say so.
 */
static bool
first_explains(const moved_search *search, const double *strange)
{
    double gain = 0;

    for (size_t i = 0; i < search->count; i++)
        gain += search->cases[i].count * search->cases[i].target * (strange[i] - 1.0);
    return gain > 0;
}

/* Those who have moved, if these attributes change with the place; gain 0: nobody has. */
static moved_kind
learn_share(const moved_search *search, uint32 places)
{
    moved_kind kind = {.places = places, .share = FIRST_SHARE};
    double *strange = palloc_extended(Max(search->count, 1) * sizeof(double), MCXT_ALLOC_HUGE), change = 1.0;

    for (size_t i = 0; i < search->count; i++)
        strange[i] = strangeness_of(search, places, i);
    if (!first_explains(search, strange)) {
        pfree(strange);
        return kind;
    }
    for (int round = 0; round < ROUNDS && kind.share >= LAST_SHARE && change > SETTLED * kind.share;
         round++) {
        double moved = 0, share;

        kind.matches = 0;
        for (size_t i = 0; i < search->count; i++) {
            double p = search->cases[i].target, count = search->cases[i].count;
            double elsewhere = kind.share * strange[i] * p, here = (1.0 - kind.share) * p;
            double all = elsewhere + here + 1.0 - p;

            moved += count * elsewhere / all;
            kind.matches += count * (elsewhere + here) / all;
        }
        share = kind.matches > 0 ? moved / kind.matches : 0;
        change = share > kind.share ? share - kind.share : kind.share - share;
        kind.share = share;
    }
    for (size_t i = 0; i < search->count; i++) {
        double p = search->cases[i].target;

        kind.gain += search->cases[i].count *
                     portable_log2(p * (kind.share * strange[i] + 1.0 - kind.share) + 1.0 - p);
    }
    pfree(strange);
    return kind;
}

/*
 * Whether what is left tells who is who: otherwise those who have moved are strangers of one given name and
 * one year of birth, and there are as many of them as EM likes.
 */
static bool
is_known_without(const moved_search *search, const moved_kind *kind)
{
    double bits = search->all_equal + portable_log2(Max(kind->share, 1e-9));

    for (int c = 0; c < MAX_COMPARISONS && kind->places >> c != 0; c++)
        if (kind->places >> c & 1)
            bits -= search->equal[c];
    return bits >= CERTAIN;
}

/* The better of a kind and of those who have moved where these attributes change with the place. */
static void
try_places(const moved_search *search, uint32 places, moved_kind *best)
{
    moved_kind kind = learn_share(search, places);

    CHECK_FOR_INTERRUPTS();
    if (kind.gain > best->gain && kind.share <= MOST_MOVED && is_known_without(search, &kind))
        *best = kind;
}

/*
 * Of one attribute alone nothing is seen, and of two as little where a third one differs with them. So it
 * begins with the two or three that explain most, and further ones are added one after the other.
 */
static moved_kind
find_kind(const moved_search *search, uint32 places)
{
    moved_kind best = {0}, next;

    for (int i = 0; i < MAX_COMPARISONS && places >> i != 0; i++)
        for (int j = 0; j < i; j++)
            for (int k = 0; k <= j; k++) {
                uint32 tried = UINT32_C(1) << i | UINT32_C(1) << j | UINT32_C(1) << k;

                if ((tried & ~places) == 0)
                    try_places(search, tried, &best);
            }
    if (__builtin_popcount(best.places) == 2) /* each third one was tried with them */
        return best;
    do {
        next = best;
        for (int i = 0; best.places != 0 && i < MAX_COMPARISONS && places >> i != 0; i++)
            if ((places & ~best.places) >> i & 1)
                try_places(search, best.places | UINT32_C(1) << i, &next);
        if (next.gain < best.gain + LEAST_GAIN)
            break;
        best = next;
    } while (best.places != 0);
    return best;
}

static void
tell(match_run *run, const moved_kind *kind)
{
    StringInfoData names;

    initStringInfo(&names);
    for (int c = 0; c < MAX_COMPARISONS && kind->places >> c != 0; c++)
        if (kind->places >> c & 1)
            appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", run->spec->comparisons[c].name);
    match_run_phase(run, "moved", "%.1f %% of the matches, by %s", 100.0 * kind->share, names.data);
    pfree(names.data);
}

void
moved_judge(match_run *run, const rarities *rarities, logistic_case *candidates, size_t count, double prior,
            em_parameters *parameters)
{
    const scorer *layout = &rarities->layout;
    uint32 places = mixed_places(run), texts = 0;
    moved_search search = {.all_equal = portable_log2(prior), .cases = candidates, .count = count};
    moved_kind kind;

    for (int c = 0; c < run->spec->comparison_count; c++)
        texts |= (uint32)method_weighs_terms(run->scorer.comparisons[c].method) << c;
    if (__builtin_popcount(places) < 2 || __builtin_popcount(places) > MOST_PLACES ||
        mixed_given_names(run, ~(places | texts)) == 0)
        return;
    for (int c = 0; c < label_comparisons_first(run->spec); c++)
        if (parameters->beside[c] == 0) {
            search.equal[c] = portable_log2(parameters->m[c][LEVEL_EXACT] / parameters->u[c][LEVEL_EXACT]);
            search.all_equal += search.equal[c];
        }
    for (int c = 0; c < MAX_COMPARISONS && places >> c != 0; c++) {
        if (!(places >> c & 1))
            continue;
        search.strange[c] = palloc_extended(Max(count, 1) * sizeof(double), MCXT_ALLOC_HUGE);
        for (size_t i = 0; i < count; i++)
            search.strange[c][i] =
                strangeness(layout, parameters, rarities_mask(rarities, c), candidates[i].pattern);
    }
    kind = find_kind(&search, places);
    if (kind.gain >= LEAST_GAIN && kind.share * kind.matches >= LEAST_MOVED) {
        tell(run, &kind);
        for (size_t i = 0; i < count; i++) {
            double p = candidates[i].target,
                   match = p * (kind.share * strangeness_of(&search, kind.places, i) + 1.0 - kind.share);

            candidates[i].target = match / (match + 1.0 - p);
        }
        for (int c = 0; c < layout->comparison_count; c++)
            for (int place = 0; place < MAX_COMPARISONS && kind.places >> place != 0; place++)
                if ((kind.places >> place & 1) && (rarities_mask(rarities, place) >> c & 1))
                    for (int level = LEVEL_EXACT; level <= layout->comparisons[c].level_count; level++)
                        parameters->m[c][level] = (1.0 - kind.share) * parameters->m[c][level] +
                                                  kind.share * parameters->u[c][level];
    }
    for (int c = 0; c < MAX_COMPARISONS; c++)
        if (search.strange[c] != NULL)
            pfree(search.strange[c]);
}
