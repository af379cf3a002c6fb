/*
 * uncertain.c: see uncertain.h.
 *
 * Half of the pairs are those that teach most: the model is in doubt about them (uncertainty sampling, Lewis
 * & Gale 1994), or the clusters say otherwise than the pair alone; the more records hang on the answer the
 * better. What a label has said of two clusters is worth less a second time: they are told apart already,
 * unless one of them holds several things. Of pairs that would teach the same (of the same two clusters, of
 * one record, of one agreement pattern) only a few are taken. The other half is drawn by lot, as many of
 * pairs that clusters put together as of others, some from each part of the score range, more where pairs are
 * many and the model is in doubt: they find out where the model is sure and wrong, and what follows from
 * labels is then true of all pairs. Where things are one to one, clusters choose between pairs that look the
 * same by themselves: how often that is right only labels of what they put together can tell.
 *
 * Pairs come in any number, so only the best of each kind are kept while they pass. Lots are a hash of the
 * records' numbers, which depend on the ids alone.
 */
#include "compat.h"

#include <math.h>

#include "engine/cluster.h"
#include "engine/uncertain.h"
#include "kernel/hash.h"
#include "kernel/union_find.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define SCORE_PARTS 24       /* of one bit each, around the threshold; the outermost have all beyond */
#define TOGETHER_DISPUTE 0.5 /* that clusters and pair disagree, in doubt */
#define APART_DISPUTE 1.0
#define PER_CLUSTER_PAIR 1
#define PER_RECORD 3
#define KEPT_A_PAIR 20 /* of those that teach most, for one that is taken */

/* How often something was used. */
typedef struct use_entry {
    uint64 key;
    uint32 uses;
} use_entry;

/* The best pairs that have passed. */
typedef struct shortlist {
    uncertain_pair *pairs; /* 2 * limit */
    uint32 count, limit;
    bool by_lot;
} shortlist;

typedef struct search {
    match_run *run;
    int64 least_weight;
    const clustering *clusters;
    union_find labelled; /* records that labels call the same */
    HTAB *known;         /* pairs of such groups that labels tell apart, and undecided pairs */
    HTAB *asked;         /* labels of pairs of clusters */
    bool may_join;       /* no source forbids what clusters keep apart */
    shortlist teaching, parts[2][SCORE_PARTS]; /* of pairs apart, and together */
    double pairs[2][SCORE_PARTS];              /* that passed */
} search;

static int
compare_lots(const void *x, const void *y)
{
    const uncertain_pair *p = x, *q = y;

    if (p->lot != q->lot)
        return p->lot < q->lot ? -1 : 1;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static int
compare_teaching(const void *x, const void *y)
{
    const uncertain_pair *p = x, *q = y;

    if (p->teaches != q->teaches)
        return p->teaches > q->teaches ? -1 : 1;
    return compare_lots(x, y);
}

static void
open_shortlist(shortlist *list, uint32 limit, bool by_lot)
{
    list->limit = limit;
    list->by_lot = by_lot;
    list->pairs =
        MemoryContextAllocHuge(CurrentMemoryContext, mul_size(2 * (Size)limit, sizeof(uncertain_pair)));
}

static void
sort_shortlist(shortlist *list)
{
    qsort(list->pairs, list->count, sizeof(uncertain_pair), list->by_lot ? compare_lots : compare_teaching);
    list->count = Min(list->count, list->limit);
}

static void
offer(shortlist *list, const uncertain_pair *pair)
{
    if (list->count == 2 * list->limit)
        sort_shortlist(list);
    list->pairs[list->count++] = *pair;
}

/* ---- what labels say already ---- */

static uint64
pair_key(uint32 a, uint32 b)
{
    return (uint64)Min(a, b) << 32 | Max(a, b);
}

static void
note_labels(search *search, const label_list *labels)
{
    uint32 count = Max(search->run->store->records.count, 1);
    HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = CurrentMemoryContext};
    uint64 key;

    if (labels == NULL)
        return;
    union_find_init(&search->labelled,
                    MemoryContextAllocHuge(CurrentMemoryContext, mul_size(count, sizeof(uint32))),
                    MemoryContextAllocHuge(CurrentMemoryContext, mul_size(count, sizeof(uint32))),
                    search->run->store->records.count);
    search->known = hash_create("mastering labels", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    for (size_t i = 0; i < labels->count; i++) {
        uint32 root;

        if (labels->labels[i].is_match)
            (void)union_find_join(&search->labelled, union_find_root(&search->labelled, labels->labels[i].a),
                                  union_find_root(&search->labelled, labels->labels[i].b), &root);
    }
    for (size_t i = 0; i < labels->count; i++) {
        key = pair_key(union_find_root(&search->labelled, labels->labels[i].a),
                       union_find_root(&search->labelled, labels->labels[i].b));
        if (!labels->labels[i].is_match)
            (void)hash_search(search->known, &key, HASH_ENTER, NULL);
    }
    for (size_t i = 0; i < labels->undecided_count; i++) {
        key = pair_key(union_find_root(&search->labelled, labels->undecided[i].a),
                       union_find_root(&search->labelled, labels->undecided[i].b));
        (void)hash_search(search->known, &key, HASH_ENTER, NULL);
    }
}

static bool
is_known(search *search, uint32 a, uint32 b)
{
    uint64 key;

    if (search->known == NULL)
        return false;
    a = union_find_root(&search->labelled, a);
    b = union_find_root(&search->labelled, b);
    key = pair_key(a, b);
    return a == b || hash_search(search->known, &key, HASH_FIND, NULL) != NULL;
}

/* How many labels there are of each pair of clusters. */
static void
note_asked(search *search, const label_list *labels)
{
    HASHCTL control = {
        .keysize = sizeof(uint64), .entrysize = sizeof(use_entry), .hcxt = CurrentMemoryContext};
    const uint32 *cluster = search->clusters->cluster;

    if (labels == NULL)
        return;
    search->asked = hash_create("mastering asked", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    for (size_t i = 0; i < labels->count; i++) {
        uint64 key = pair_key(cluster[labels->labels[i].a], cluster[labels->labels[i].b]);
        bool found;
        use_entry *entry = hash_search(search->asked, &key, HASH_ENTER, &found);

        entry->uses = found ? entry->uses + 1 : 1;
    }
}

static uint32
times_asked(const search *search, uint32 cluster_a, uint32 cluster_b)
{
    uint64 key = pair_key(cluster_a, cluster_b);
    const use_entry *entry = search->asked == NULL ? NULL : hash_search(search->asked, &key, HASH_FIND, NULL);

    return entry == NULL ? 0 : entry->uses;
}

/*
 * Whether a source that holds each thing once forbids nothing. Where one does, most of what is kept apart in
 * spite of its weight is no match: the thing has its partner.
 */
static bool
may_join(const match_run *run)
{
    const match_spec *spec = run->spec;

    return run->store->source_slot < 0 || spec->one_per_source == ONE_PER_SOURCE_NEVER ||
           (spec->unique_sources.known && spec->unique_sources.count == 0);
}

/* ---- looking at the pairs ---- */

static int
score_part(const search *search, int64 weight)
{
    int64 part = (weight - search->least_weight + SCORE_PARTS / 2 * WEIGHT_UNITS) / WEIGHT_UNITS;

    return (int)Max(Min(part, SCORE_PARTS - 1), 0);
}

static void
judge(const search *search, uncertain_pair *pair)
{
    const clustering *clusters = search->clusters;
    uint32 a = clusters->cluster[pair->a], b = clusters->cluster[pair->b];
    double p = probability_from_weight(pair->weight - search->least_weight), doubt = 4 * p * (1 - p);
    bool disputed = (a == b) != (pair->weight >= search->least_weight);
    double half = clusters->size[a] / 2.0;
    double hangs = a == b ? half * half : (double)clusters->size[a] * clusters->size[b];

    if (disputed && a == b)
        doubt += TOGETHER_DISPUTE;
    else if (disputed && search->may_join)
        doubt += APART_DISPUTE;
    if (a != b)
        doubt /= 1 + times_asked(search, a, b);
    pair->teaches = (uint64)(doubt * (1.0 + 0.5 * portable_log2(hangs)) * (1 << 24));
    pair->reason = disputed ? UNCERTAIN_CLUSTER : UNCERTAIN_DOUBT;
    pair->lot = hash_combine(hash_word(pair->a), pair->b);
}

static void
look_at_pairs(match_run *run, int rule, const scored_pair *pairs, uint32 count, void *context)
{
    search *search = context;

    for (uint32 i = 0; i < count; i++) {
        uncertain_pair pair = {
            .a = pairs[i].a, .b = pairs[i].b, .weight = pairs[i].weight, .pattern = pairs[i].pattern};
        int part = score_part(search, pair.weight);
        int together = search->clusters->cluster[pair.a] == search->clusters->cluster[pair.b];

        if (is_known(search, pair.a, pair.b))
            continue;
        judge(search, &pair);
        search->pairs[together][part]++;
        offer(&search->teaching, &pair);
        offer(&search->parts[together][part], &pair);
    }
}

/* ---- choosing ---- */

typedef struct choice {
    const search *search;
    HTAB *uses; /* of a cluster pair, a record, a pattern, a pair */
    uint32 wanted, count, per_pattern;
    uncertain_pair *pairs;
} choice;

static uint32 *
uses_of(choice *choice, uint64 kind, uint64 what)
{
    uint64 key = hash_combine(hash_word(kind), what);
    bool found;
    use_entry *entry = hash_search(choice->uses, &key, HASH_ENTER, &found);

    if (!found)
        entry->uses = 0;
    return &entry->uses;
}

/* Takes a pair unless it was taken or, with limits, too many like it were. */
static void
take(choice *choice, const uncertain_pair *pair, bool limits)
{
    const uint32 *cluster = choice->search->clusters->cluster;
    uint32 *same, *clusters, *a, *b, *pattern;

    if (choice->count == choice->wanted)
        return;
    same = uses_of(choice, 0, pair_key(pair->a, pair->b));
    clusters = uses_of(choice, 1, pair_key(cluster[pair->a], cluster[pair->b]));
    a = uses_of(choice, 2, pair->a);
    b = uses_of(choice, 2, pair->b);
    pattern = uses_of(choice, 3, pair->pattern);
    if (*same > 0 || (limits && (*clusters >= PER_CLUSTER_PAIR || *a >= PER_RECORD || *b >= PER_RECORD ||
                                 *pattern >= choice->per_pattern)))
        return;
    (*same)++;
    (*clusters)++;
    (*a)++;
    (*b)++;
    (*pattern)++;
    choice->pairs[choice->count++] = *pair;
}

/*
 * Of pairs together or apart: one from each part, and of the rest more where there are more pairs and where
 * the model is in doubt, but not much more: what the model takes for certain may be wrong.
 */
static void
draw_lots(choice *choice, search *search, int together, uint32 left)
{
    double share[SCORE_PARTS], sum = 0;
    uint32 parts = 0, first = choice->count;

    if (left == 0)
        return;
    for (int part = 0; part < SCORE_PARTS; part++) {
        double p = probability_from_weight((part - SCORE_PARTS / 2) * (int64)WEIGHT_UNITS + WEIGHT_UNITS / 2);
        double pairs = search->pairs[together][part];

        share[part] = pairs == 0 ? 0 : portable_log2(pairs + 1) * (0.5 + sqrt(p * (1 - p)));
        sum += share[part];
        parts += pairs > 0;
    }
    for (int part = SCORE_PARTS - 1; part >= 0 && sum > 0; part--) {
        double extra = left > parts ? (left - parts) * share[part] / sum : 0;
        uint32 quota = share[part] == 0 ? 0 : 1 + (uint32)extra, before = choice->count;
        shortlist *list = &search->parts[together][part];

        if (left < parts && part % ((parts + left - 1) / Max(left, 1)) != 0)
            continue; /* there are fewer lots than parts: every other part, or fewer */

        for (uint32 i = 0; i < list->count && choice->count - before < quota && choice->count - first < left;
             i++) {
            list->pairs[i].reason = UNCERTAIN_SPREAD;
            take(choice, &list->pairs[i], false);
        }
    }
}

uncertain_pair *
uncertain_pairs(match_run *run, int64 least_weight, uint32 wanted, const label_list *labels, uint32 *count)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(use_entry), .hcxt = run->context};
    visit_options options = {.mode = PAIRS_SCORED, .least_weight = PG_INT64_MIN};
    search search = {.run = run, .least_weight = least_weight};
    choice choice = {.search = &search, .per_pattern = Max(wanted / 20, 1)};

    search.clusters = cluster_records(run, least_weight, labels);
    search.may_join = may_join(run);
    note_labels(&search, labels);
    note_asked(&search, labels);
    open_shortlist(&search.teaching, wanted * KEPT_A_PAIR, false);
    for (int part = 0; part < 2 * SCORE_PARTS; part++)
        open_shortlist(&search.parts[part % 2][part / 2], 2 * wanted, true);
    match_run_visit(run, &options, look_at_pairs, &search);

    choice.uses = hash_create("mastering choice", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    choice.pairs = palloc(mul_size(wanted, sizeof(uncertain_pair)));
    sort_shortlist(&search.teaching);
    choice.wanted = (wanted + 1) / 2;
    for (uint32 i = 0; i < search.teaching.count; i++)
        take(&choice, &search.teaching.pairs[i], true);
    choice.wanted = wanted;
    for (int part = 0; part < 2 * SCORE_PARTS; part++)
        sort_shortlist(&search.parts[part % 2][part / 2]);
    draw_lots(&choice, &search, 1, (wanted - choice.count) / 2);
    draw_lots(&choice, &search, 0, wanted - choice.count);
    for (uint32 i = 0; i < search.teaching.count; i++)
        take(&choice, &search.teaching.pairs[i], false);
    for (int part = 2 * SCORE_PARTS - 1; part >= 0; part--)
        for (uint32 i = 0; i < search.parts[part % 2][part / 2].count; i++)
            take(&choice, &search.parts[part % 2][part / 2].pairs[i], false);
    *count = choice.count;
    MemoryContextSwitchTo(before);
    return choice.pairs;
}
