/*
 * cluster.c: see cluster.h. Kruskal's algorithm (1956) on the matching pairs, heaviest first. What labels say
 * comes before what the model thinks: records labelled as a match are joined first, and clusters with two
 * records labelled as none are never joined. Where labels contradict each other, the non-match holds.
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "engine/average_linkage.h"
#include "engine/big_memory.h"
#include "engine/cluster.h"
#include "engine/cluster_names.h"
#include "engine/compared_columns.h"
#include "engine/hash_sort.h"
#include "engine/link_parts.h"
#include "engine/member_rings.h"
#include "engine/partners.h"
#include "engine/progress.h"
#include "engine/evident_sources.h"
#include "engine/source_odds.h"
#include "engine/source_rivals.h"
#include "engine/value_reader.h"
#include "kernel/hash.h"
#include "kernel/parallel.h"
#include "kernel/radix_sort.h"
#include "kernel/union_find.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MOST_ROUNDS 4 /* through the links, while labels let more be joined */
#define BEYOND_DOUBT                                                                                         \
    (6 * WEIGHT_UNITS)       /* more than is asked for of whole clusters, whose average has 3 bits of slack */
#define COPIES_LOOKED_AT 256 /* pairs of them, before two clusters are joined */
#define REFUSALS_KEPT 65536  /* by all threads, a power of two */
#define LEAST_REFUSALS_KEPT 256 /* by one thread */
#define LINKS_A_TURN 16384      /* of one part, before progress is told */
#define PARTS_AT_ONCE 16        /* that are begun between two looks at cancel requests */
#define SOURCES_LOWERED 3       /* at most: one of a family in each of many is without rivals, too */
#define LEAST_ESTIMATED 50      /* links, of which it is said how many are right */
#define LINKS_AHEAD 16          /* whose records are fetched while others are looked at */
#define MEMBERS_AHEAD 4         /* of their clusters, that are fetched, too */

/* ---- joining ---- */

/*
 * Two clusters, by the records of the roots of what is alike in them, that were not to be joined. Both only
 * grow, so the sum of their sizes says which state it was.
 */
typedef struct refusal {
    uint32 a, b, size_a, size_b; /* a: of the lower number; size_a 0: none */
} refusal;

/* What a link would join: the clusters of its records, and what is alike in them (cluster_maker), by their
 * roots. */
typedef struct link_ends {
    const keyed_record *link;
    uint32 a, b, part_a, part_b;
    uint32 size_a, size_b, part_size_a, part_size_b;
} link_ends;

/* What is kept of a part's members is kept by their numbers (link_parts.h). */
typedef struct cluster_maker {
    match_run *run;
    const link_list *list;
    const uint32 *members; /* their records */
    member_rings clusters;
    member_rings
        alike; /* what would be together had labels joined nothing; the clusters where they have not */
    int32 *weakest;
    bool *unique;          /* by source: holds each thing once */
    int64 *copies;         /* by source: two of its records that weigh as much may be together */
    const uint32 *sources; /* by record; NULL: there is one source or none is unique */
    uint32 *apart_starts;  /* by member: where those begin that it must not be with; NULL: there are none */
    uint32 *apart;
    bool *barred;         /* by root: a member must not be with somebody */
    refusal *refusals;    /* by thread and hash: links between clusters that were refused come by the dozen */
    uint32 refusals_kept; /* by each thread, a power of two */
} cluster_maker;

/* Whether there may be clusters whose records labels alone have joined. */
static inline bool
labels_join(const cluster_maker *maker)
{
    return maker->alike.next != maker->clusters.next;
}

/* The same as a model says it. */
static void
recall_unique_sources(cluster_maker *maker, const source_list *list)
{
    const dictionary *sources = maker->run->store->sources;
    value_reader *reader = value_reader_create(maker->run->context, TEXTOID, FORM_NONE);

    for (int i = 0; i < list->count; i++) {
        text_view name;

        if (value_reader_read(reader, CStringGetTextDatum(list->names[i]), &name) == VALUE_READ) {
            uint32 source = dictionary_find(sources, name);

            maker->unique[source] = true;
            maker->copies[source] = list->copies[i];
        }
    }
    maker->unique[0] = false; /* records without a source */
}

/* Which sources hold each thing once: declared, known from training, or found out. */
static void
find_unique_sources(cluster_maker *maker)
{
    match_run *run = maker->run;
    const match_spec *spec = run->spec;
    const record_store *store = run->store;
    uint32 *sources;
    bool any = false;

    if (store->source_slot < 0 || spec->one_per_source == ONE_PER_SOURCE_NEVER)
        return;
    sources = big_alloc(run->context, mul_size(Max(store->records.count, 1), sizeof(uint32)));
    for (uint32 record = 0; record < store->records.count; record++)
        sources[record] = record_row(&store->records, record)[store->source_slot];
    maker->unique = palloc0(store->sources->count * sizeof(bool));
    maker->copies = palloc(store->sources->count * sizeof(int64));
    for (uint32 source = 0; source < store->sources->count; source++)
        maker->copies[source] = PG_INT64_MAX;
    if (spec->one_per_source == ONE_PER_SOURCE_ALWAYS)
        memset(maker->unique + 1, true, store->sources->count - 1);
    else if (spec->unique_sources.known)
        recall_unique_sources(maker, &spec->unique_sources);
    else {
        summary_tried(0, summary_count(), "source"); /* what is seen now replaces what was seen before */
        find_evident_sources(run, maker->list->links, maker->list->count, sources, maker->unique,
                             maker->copies);
    }
    for (uint32 source = 1; source < store->sources->count; source++)
        any |= maker->unique[source];
    if (any)
        maker->sources = sources;
    else
        pfree(sources);
}

/* Of two records of one unique source. */
static kernel_status
are_copies(const cluster_maker *maker, uint32 a, uint32 b, int thread, bool *copies)
{
    int64 least = maker->copies[maker->sources[a]], weight;
    kernel_status status;

    *copies = false;
    if (least == PG_INT64_MAX)
        return KERNEL_OK;
    status = match_run_weigh_pair(maker->run, a, b, PG_INT64_MIN, thread, &weight);
    *copies = status == KERNEL_OK && weight >= least;
    return status;
}

/*
 * Whether a cluster has a record of the same unique source as this one, and they are not copies. looked_at:
 * of the pairs that may be copies, so many were compared.
 */
static kernel_status
find_clash_of_record(const cluster_maker *maker, uint32 record, uint32 cluster, int thread, uint32 *looked_at,
                     bool *clash)
{
    uint32 source = maker->sources[record], member = cluster;

    do {
        if (maker->sources[maker->members[member]] == source) {
            bool copies;
            kernel_status status;

            if (maker->copies[source] != PG_INT64_MAX && ++*looked_at > COPIES_LOOKED_AT)
                return KERNEL_OK;
            status = are_copies(maker, record, maker->members[member], thread, &copies);
            *clash = !copies;
            if (status != KERNEL_OK || *clash)
                return status;
        }
        member = maker->clusters.next[member];
    } while (member != cluster);
    return KERNEL_OK;
}

/*
 * Whether both clusters have a record of the same unique source, and these are not copies. Of many copies
 * some speak for all: else a cluster of them would take the square of its size.
 */
static kernel_status
find_clash(const cluster_maker *maker, uint32 a, uint32 b, int thread, bool *clash)
{
    uint32 member = a, looked_at = 0;

    *clash = false;
    if (maker->sources == NULL)
        return KERNEL_OK;
    do {
        uint32 record = maker->members[member];

        if (maker->unique[maker->sources[record]]) {
            kernel_status status = find_clash_of_record(maker, record, b, thread, &looked_at, clash);

            if (status != KERNEL_OK || *clash)
                return status;
        }
        member = maker->clusters.next[member];
    } while (member != a);
    return KERNEL_OK;
}

/* Whether two records are the same in all that is compared. */
static bool
are_same(const match_run *run, uint32 a, uint32 b)
{
    const uint32 *of_a = record_row(&run->store->records, a), *of_b = record_row(&run->store->records, b);

    for (int c = 0; c < run->scorer.comparison_count; c++)
        if (of_a[run->scorer.comparisons[c].slot] != of_b[run->scorer.comparisons[c].slot])
            return false;
    return true;
}

/*
 * Two clusters are joined when their records look alike on the whole, not for one link alone. What labels
 * alone have joined need not look alike: a thing that has two forms is no less like the records of one of
 * them. So where such a part of a cluster is beyond doubt like a part of the other, and not one record like
 * one record that differs from it, that is enough.
 */
static kernel_status
compare_clusters(const cluster_maker *maker, const link_ends *ends, int64 least_weight, int thread,
                 bool *alike)
{
    keyed_record linked = {ends->link->key, maker->members[ends->link->record],
                           maker->members[ends->link->extra]};
    int64 least_of_parts = least_weight + (ends->a == ends->b ? 0 : BEYOND_DOUBT);
    record_group a, b;

    if (ends->a != ends->b) {
        kernel_status status;

        member_rings_sample(&maker->clusters, maker->members, ends->a, &a);
        member_rings_sample(&maker->clusters, maker->members, ends->b, &b);
        status = average_linkage_alike(maker->run, &linked, &a, &b, least_weight, thread, alike);
        if (status != KERNEL_OK || *alike ||
            (ends->size_a == ends->part_size_a && ends->size_b == ends->part_size_b) ||
            (ends->part_size_a == 1 && ends->part_size_b == 1 &&
             !are_same(maker->run, linked.record, linked.extra)))
            return status;
    }
    member_rings_sample(&maker->alike, maker->members, ends->part_a, &a);
    member_rings_sample(&maker->alike, maker->members, ends->part_b, &b);
    return average_linkage_alike(maker->run, &linked, &a, &b, least_of_parts, thread, alike);
}

/*
 * What was refused is remembered: between two large clusters there are hundreds of links, and each would look
 * again. Groups only grow, so that their sizes say whether they are as they were.
 */
static refusal *
find_refusal(const cluster_maker *maker, const link_ends *ends, int thread, refusal *asked)
{
    *asked = (refusal){maker->members[ends->part_a], maker->members[ends->part_b],
                       ends->size_a + ends->part_size_a, ends->size_b + ends->part_size_b};
    if (ends->part_a > ends->part_b)
        *asked = (refusal){asked->b, asked->a, asked->size_b, asked->size_a};
    return &maker->refusals[(Size)thread * maker->refusals_kept +
                            hash_word((uint64)asked->a << 32 | asked->b) % maker->refusals_kept];
}

/* Writes for each member those it must not be with. */
static void
note_apart(cluster_maker *maker, const link_parts *parts)
{
    uint64 places = link_parts_places(parts);
    uint32 *starts, *next, total = 0;

    for (uint64 i = 0; i < parts->label_starts[parts->count]; i++)
        total += 2 * !parts->labels[i].is_match;
    if (total == 0)
        return;
    starts = big_alloc_zero(maker->run->context, mul_size(add_size(places, 2), sizeof(uint32)));
    maker->apart = big_alloc(maker->run->context, mul_size(total, sizeof(uint32)));
    maker->barred = big_alloc_zero(maker->run->context, places);
    next = starts + 1; /* while they are filled, those of place r end at next[r] */
    for (int p = 0; p < parts->count; p++) {
        uint64 first = link_parts_first(parts, p);

        for (uint64 i = parts->label_starts[p]; i < parts->label_starts[p + 1]; i++)
            if (!parts->labels[i].is_match) {
                next[first + parts->labels[i].a + 1]++;
                next[first + parts->labels[i].b + 1]++;
            }
    }
    for (uint64 i = 1; i <= places; i++)
        next[i] += next[i - 1];
    for (int p = 0; p < parts->count; p++) {
        uint64 first = link_parts_first(parts, p);

        for (uint64 i = parts->label_starts[p]; i < parts->label_starts[p + 1]; i++) {
            const label *label = &parts->labels[i];

            if (!label->is_match) {
                maker->apart[next[first + label->a]++] = label->b;
                maker->apart[next[first + label->b]++] = label->a;
                maker->barred[first + label->a] = maker->barred[first + label->b] = true;
            }
        }
    }
    maker->apart_starts = starts;
}

/* Whether a label keeps records of two clusters apart. */
static bool
kept_apart(cluster_maker *maker, uint32 a, uint32 b)
{
    uint32 i;

    if (maker->apart_starts == NULL || !maker->barred[a] || !maker->barred[b])
        return false;
    if (maker->clusters.forest.size[a] > maker->clusters.forest.size[b]) {
        uint32 swap = a;

        a = b;
        b = swap;
    }
    i = a;
    do {
        for (uint32 k = maker->apart_starts[i]; k < maker->apart_starts[i + 1]; k++)
            if (member_rings_root(&maker->clusters, maker->apart[k]) == b)
                return true;
        i = maker->clusters.next[i];
    } while (i != a);
    return false;
}

/* Two clusters by their roots. */
static void
join(cluster_maker *maker, uint32 a, uint32 b, int32 weight)
{
    uint32 root = member_rings_join(&maker->clusters, maker->members, a, b), other = root == a ? b : a;

    maker->weakest[root] = Min(Min(maker->weakest[root], maker->weakest[other]), weight);
    if (maker->barred != NULL)
        maker->barred[root] |= maker->barred[other];
}

/* The same for the members of one part. */
static cluster_maker
maker_of_part(const cluster_maker *maker, const link_parts *parts, int part)
{
    cluster_maker own = *maker;
    uint64 first = link_parts_first(parts, part);

    own.members += first;
    own.clusters = member_rings_from(&maker->clusters, first, parts->member_counts[part]);
    own.alike = member_rings_from(&maker->alike, first, parts->member_counts[part]);
    own.weakest += first;
    if (maker->apart_starts != NULL) {
        own.apart_starts += first;
        own.barred += first;
    }
    return own;
}

/* A label that says match. */
typedef struct labelled_link {
    keyed_record link; /* its records, not their numbers in a part */
    const label *label;
    int part;
} labelled_link;

static int
compare_labelled(const void *x, const void *y)
{
    return cluster_compare_links(&((const labelled_link *)x)->link, &((const labelled_link *)y)->link);
}

/* Labels of a part that say match, with what their pairs weigh. */
static size_t
weigh_labelled(const cluster_maker *maker, const link_parts *parts, int part, labelled_link *links)
{
    match_run *run = maker->run;
    const uint32 *members = maker->members + link_parts_first(parts, part);
    size_t count = 0;

    for (uint64 i = parts->label_starts[part]; i < parts->label_starts[part + 1]; i++) {
        const label *label = &parts->labels[i];
        uint32 a = members[label->a], b = members[label->b];

        if (label->is_match)
            links[count++] = (labelled_link){
                {(uint64)((int64)PG_INT32_MAX - match_run_pair_weight(run, a, b)), a, b}, label, part};
        CHECK_FOR_INTERRUPTS();
    }
    return count;
}

/* Joins what is labelled as a match, what looks most alike first; what a non-match forbids is reported. */
static void
join_labelled(cluster_maker *maker, const link_parts *parts, bool warn)
{
    match_run *run = maker->run;
    uint64 most = parts->label_starts[parts->count];
    labelled_link *links = big_alloc(run->context, mul_size(Max(most, 1), sizeof(labelled_link)));
    size_t count = 0, refused = 0;
    keyed_record first_refused = {0};

    for (int p = 0; p < parts->count; p++)
        count += weigh_labelled(maker, parts, p, links + count);
    qsort(links, count, sizeof(labelled_link), compare_labelled);
    for (size_t i = 0; i < count; i++) {
        cluster_maker of_part = maker_of_part(maker, parts, links[i].part);
        uint32 a = member_rings_root(&of_part.clusters, links[i].label->a),
               b = member_rings_root(&of_part.clusters, links[i].label->b);

        if (a != b && kept_apart(&of_part, a, b)) {
            if (refused++ == 0)
                first_refused = links[i].link;
        } else if (a != b)
            join(&of_part, a, b, WEIGHT_LIMIT);
        CHECK_FOR_INTERRUPTS();
    }
    if (refused > 0 && warn) {
        char buffer_a[24], buffer_b[24];

        ereport(
            WARNING,
            (errmsg_plural("%zu label that says match is not followed because others contradict it",
                           "%zu labels that say match are not followed because others contradict them",
                           refused, refused),
             errdetail("Records \"%s\" and \"%s\" are labelled as a match, but by other labels each is the "
                       "same as one of two records that are labelled as none.",
                       record_store_id(run->store, first_refused.record, buffer_a),
                       record_store_id(run->store, first_refused.extra, buffer_b)),
             errhint("Look at the labels of these records; where labels contradict each other, records stay "
                     "apart.")));
    }
    pfree(links);
}

/* ---- joining, on threads ---- */

static link_ends
ends_of(cluster_maker *maker, const keyed_record *link)
{
    link_ends ends = {link, member_rings_root(&maker->clusters, link->record),
                      member_rings_root(&maker->clusters, link->extra),
                      member_rings_root(&maker->alike, link->record),
                      member_rings_root(&maker->alike, link->extra)};

    ends.size_a = member_rings_size(&maker->clusters, ends.a);
    ends.size_b = member_rings_size(&maker->clusters, ends.b);
    ends.part_size_a = member_rings_size(&maker->alike, ends.part_a);
    ends.part_size_b = member_rings_size(&maker->alike, ends.part_b);
    return ends;
}

/* Two records: nothing but the link says what they are. */
static bool
are_alone(const link_ends *ends)
{
    return ends->size_a == 1 && ends->size_b == 1;
}

/* Whether the clusters of a link may be one, and are alike. */
static kernel_status
may_join(cluster_maker *maker, const link_ends *ends, int64 least_weight, int thread, bool *joined)
{
    bool clash;

    *joined = false;
    if (ends->a != ends->b) {
        kernel_status status = find_clash(maker, ends->a, ends->b, thread, &clash);

        if (status != KERNEL_OK || clash || kept_apart(maker, ends->a, ends->b))
            return status;
    }
    *joined = true;
    return maker->run->spec->linkage == LINKAGE_AVERAGE && !are_alone(ends)
               ? compare_clusters(maker, ends, least_weight, thread, joined)
               : KERNEL_OK;
}

/* Follows a link, unless something forbids it. When the status is not KERNEL_OK, nothing was done. */
static kernel_status
try_link(cluster_maker *maker, const keyed_record *link, int64 least_weight, int thread, bool *joined)
{
    link_ends ends = ends_of(maker, link);
    refusal asked, *kept = NULL;
    kernel_status status;

    *joined = false;
    if (ends.part_a == ends.part_b)
        return KERNEL_OK;
    if (!are_alone(&ends)) {
        kept = find_refusal(maker, &ends, thread, &asked);
        if (kept->a == asked.a && kept->b == asked.b && kept->size_a == asked.size_a &&
            kept->size_b == asked.size_b)
            return KERNEL_OK;
    }
    status = may_join(maker, &ends, least_weight, thread, joined);
    if (status != KERNEL_OK)
        return status;
    if (!*joined) {
        if (kept != NULL)
            *kept = asked;
        return KERNEL_OK;
    }
    if (ends.a != ends.b)
        join(maker, ends.a, ends.b, (int32)link_weight(link));
    if (labels_join(maker))
        (void)member_rings_join(&maker->alike, maker->members, ends.part_a, ends.part_b);
    return KERNEL_OK;
}

typedef struct joining {
    const cluster_maker *maker;
    link_parts *parts;
    int64 least_weight;
    uint64 next[MOST_LINK_PARTS]; /* link of each part */
    kernel_status status[MOST_LINK_PARTS];
    int rounds[MOST_LINK_PARTS]; /* that are over */
    bool started[MOST_LINK_PARTS], named[MOST_LINK_PARTS];
    bool grown[MOST_LINK_PARTS]; /* something was joined in this round */
    clustering *result;
} joining;

/* Members alone, before anything is joined. */
static void
start_part(void *context, int64_t part, int thread)
{
    joining *joining = context;
    cluster_maker maker = maker_of_part(joining->maker, joining->parts, (int)part);

    if (joining->started[part])
        return;
    joining->started[part] = true;
    member_rings_start(&maker.clusters);
    if (labels_join(&maker))
        member_rings_start(&maker.alike);
    for (uint32 i = 0; i < joining->parts->member_counts[part]; i++)
        maker.weakest[i] = PG_INT32_MAX;
}

/* What a record and others of its cluster are compared by. */
FETCH_INLINE void
fetch_cluster(const cluster_maker *maker, uint32 member)
{
    const record_table *records = &maker->run->store->records;
    uint32 i = member;

    for (int fetched = 0; fetched < MEMBERS_AHEAD; fetched++) {
        record_row_prefetch(records, record_row(records, maker->members[i]));
        i = maker->clusters.next[i];
        if (i == member)
            return;
    }
}

/* Where one of the two is in a cluster already, they will be compared. */
FETCH_INLINE void
fetch_records(const cluster_maker *maker, const keyed_record *link)
{
    if (maker->clusters.next[link->record] == link->record &&
        maker->clusters.next[link->extra] == link->extra)
        return;
    fetch_cluster(maker, link->record);
    fetch_cluster(maker, link->extra);
}

/*
 * Whether the links of a part are gone through once more: one that a record alone among what labels joined
 * was refused may be followed when more records like it have come.
 */
static bool
goes_on(joining *joining, const cluster_maker *maker, int part)
{
    const uint64 *labels = joining->parts->label_starts;
    bool grown = joining->grown[part];

    joining->grown[part] = false;
    joining->rounds[part]++;
    return labels_join(maker) && labels[part] < labels[part + 1] && grown &&
           joining->rounds[part] < MOST_ROUNDS;
}

/* Some links of a part; a cancel request ends it between two. When all are done, its clusters are named. */
static void
join_part(void *context, int64_t part, int thread)
{
    joining *joining = context;
    cluster_maker maker = maker_of_part(joining->maker, joining->parts, (int)part);
    const keyed_record *links = joining->parts->links;
    uint64 *next = &joining->next[part], end = joining->parts->starts[part + 1];
    uint64 turn_end = Min(end, *next + LINKS_A_TURN);
    kernel_status status = KERNEL_OK;

    if (joining->named[part])
        return;
    start_part(joining, part, thread);
    for (; *next < turn_end && status == KERNEL_OK && !InterruptPending; *next += status == KERNEL_OK) {
        bool joined;

        if (*next + LINKS_AHEAD < end)
            fetch_records(&maker, &links[*next + LINKS_AHEAD]);
        status = try_link(&maker, &links[*next], joining->least_weight, thread, &joined);
        joining->grown[part] |= joined;
    }
    joining->status[part] = status;
    if (*next < end)
        return;
    if (goes_on(joining, &maker, (int)part)) {
        *next = joining->parts->starts[part];
        return;
    }
    cluster_name(maker.run->store, &maker.clusters.forest, maker.clusters.next, maker.weakest, maker.members,
                 joining->result);
    joining->named[part] = true;
}

/* What a link leads to depends on its component alone, so that threads may each take some. */
static void
join_all(joining *joining)
{
    match_run *run = joining->maker->run;
    const link_parts *parts = joining->parts;
    uint64 done;
    bool all_named;

    for (int p = 0; p < parts->count; p++)
        joining->next[p] = parts->starts[p];
    do {
        parallel_for(run->threads, parts->count, join_part, joining);
        CHECK_FOR_INTERRUPTS();
        done = 0;
        all_named = true;
        for (int p = 0; p < parts->count; p++) {
            (void)kernel_must_repeat(joining->status[p]);
            done += (joining->rounds[p] > 0 ? parts->starts[p + 1] : joining->next[p]) - parts->starts[p];
            all_named &= joining->named[p];
        }
        progress_done(done);
    } while (!all_named);
}

clustering *
cluster_links(match_run *run, const link_list *list, int64 least_weight, const label_list *verdicts,
              bool warn)
{
    link_list heavy = *list;
    link_parts parts;
    cluster_maker maker = {.run = run, .list = &heavy};
    joining joining = {.maker = &maker, .parts = &parts, .least_weight = least_weight};
    clustering *result = cluster_alone(run);
    Size room;

    while (heavy.count > 0 && link_weight(&heavy.links[heavy.count - 1]) < least_weight)
        heavy.count--;
    find_unique_sources(&maker);
    link_parts_deal(run, heavy.links, heavy.count, verdicts, result->cluster, &parts);
    room = Max(link_parts_places(&parts), 1);
    maker.members = parts.members;
    member_rings_allocate(&maker.clusters, room);
    if (verdicts != NULL && verdicts->count > 0)
        member_rings_allocate(&maker.alike, room);
    else
        maker.alike = maker.clusters;
    maker.weakest = big_alloc(run->context, mul_size(room, sizeof(int32)));
    maker.refusals_kept = REFUSALS_KEPT;
    while (maker.refusals_kept > LEAST_REFUSALS_KEPT && maker.refusals_kept > REFUSALS_KEPT / run->threads)
        maker.refusals_kept /= 2;
    maker.refusals =
        big_alloc_zero(run->context, mul_size((Size)run->threads * maker.refusals_kept, sizeof(refusal)));

    if (verdicts != NULL) {
        parallel_in_turns(run->threads, parts.count, PARTS_AT_ONCE, start_part, &joining);
        note_apart(&maker, &parts);
        join_labelled(&maker, &parts, warn);
    }
    progress_phase("clustering", heavy.count);
    joining.result = result;
    join_all(&joining);
    result->links = heavy.count;
    link_parts_free(&parts);
    if (labels_join(&maker))
        member_rings_free(&maker.alike);
    member_rings_free(&maker.clusters);
    pfree(maker.weakest);
    pfree(maker.refusals);
    if (maker.apart_starts != NULL) {
        pfree(maker.apart_starts);
        pfree(maker.apart);
        pfree(maker.barred);
    }
    return result;
}

void
cluster_freeze_sources(match_run *run, match_spec *spec)
{
    const record_store *store = run->store;
    int64 least_weight = weight_from_probability(spec->threshold);
    cluster_maker maker = {.run = run};
    MemoryContext before;

    if (spec->one_per_source != ONE_PER_SOURCE_EVIDENT || spec->unique_sources.known)
        return;
    before = MemoryContextSwitchTo(run->context);
    source_list_allocate(&spec->unique_sources, store->source_slot < 0 ? 0 : store->sources->count);
    if (store->source_slot >= 0 && store->sources->count > 2) {
        link_list *list = cluster_find_links(run, least_weight);

        maker.list = list;
        find_unique_sources(&maker);
        for (uint32 source = 1; source < store->sources->count; source++)
            if (maker.unique[source])
                source_list_add(&spec->unique_sources,
                                text_to_cstring(text_view_to_text(store->sources->texts[source])),
                                maker.copies[source]);
        if (maker.sources != NULL)
            pfree((void *)maker.sources);
        run->kept_links = list;
    }
    spec->unique_sources.known = true;
    MemoryContextSwitchTo(before);
}

/* Whether each record is of a source that holds each thing once. */
static bool
all_unique(const cluster_maker *maker)
{
    for (uint32 record = 0; record < maker->run->store->records.count; record++)
        if (!maker->unique[maker->sources[record]])
            return false;
    return true;
}

bool
cluster_estimate_links(match_run *run, const match_spec *spec, link_estimate *estimate)
{
    int64 least_weight = weight_from_probability(spec->threshold);
    MemoryContext before;
    cluster_maker maker = {.run = run};
    source_links links;

    if (run->store->records.count > RIVALS_MOST_RECORDS)
        return false;
    before = MemoryContextSwitchTo(run->context);
    maker.list = cluster_find_links(run, least_weight);
    run->kept_links = (link_list *)maker.list;
    if (run->store->source_slot >= 0 && run->store->sources->count > 2)
        find_unique_sources(&maker);
    links = (source_links){maker.list->links, maker.list->count,
                           maker.sources != NULL && all_unique(&maker) ? maker.sources : NULL, maker.unique};
    estimate->of_sources = links.sources != NULL;
    source_rivals_estimate(run, &links, least_weight, &estimate->links, &estimate->right);
    if (maker.sources != NULL)
        pfree((void *)maker.sources);
    MemoryContextSwitchTo(before);
    return estimate->links >= LEAST_ESTIMATED;
}

/* Raises the prior, and with it the weights of all pairs. */
static void
raise_weights(match_run *run, match_spec *spec, int32 bits)
{
    spec->prior = probability_from_weight(weight_from_probability(spec->prior) + bits);
    source_list_raise(&spec->unique_sources, bits);
    match_run_set_weights(run, spec);
}

/*
 * Returns whether rivals raised the threshold, so that fewer links say what sources hold; they do once.
 * Partners, too, may raise that of a column alone, or lower it, but only where there are no sources to look
 * at again. few_right: whether sources say that few links are right.
 */
static bool
weigh_sources(match_run *run, match_spec *spec, bool may_rise, bool *few_right)
{
    int64 least_weight = weight_from_probability(spec->threshold);
    bool sources = run->store->source_slot >= 0 && run->store->sources->count > 2, unique;
    bool few = run->store->records.count <= RIVALS_MOST_RECORDS;
    cluster_maker maker = {.run = run};
    int32 less = 0, more = 0;

    if (!sources && !few)
        return false;
    maker.list = cluster_find_links(run, least_weight);
    run->kept_links = (link_list *)maker.list;
    if (sources)
        find_unique_sources(&maker);
    unique = maker.sources != NULL && all_unique(&maker);
    if (unique || few) {
        source_links links = {maker.list->links, maker.list->count, unique ? maker.sources : NULL,
                              maker.unique};

        if (may_rise)
            less = source_rivals_learn(run, &links, least_weight, few_right);
        *few_right &= sources;
        if (may_rise && less == 0 && run->store->source_slot < 0 && compared_columns(spec) == 1) {
            maker.list = cluster_find_links(run, least_weight - PARTNERS_DEPTH * WEIGHT_UNITS);
            run->kept_links = (link_list *)maker.list;
            more = partners_learn(run, maker.list, least_weight);
        }
        if (less > 0 || more != 0)
            raise_weights(run, spec, more - less);
        else if (unique) {
            /* Rivals know the threshold by half a bit: what is less than one is not worth undoing it. */
            int32 odds =
                source_odds_learn(run, &links, least_weight, may_rise ? WEIGHT_UNITS / 4 : WEIGHT_UNITS);

            if (odds > 0)
                raise_weights(run, spec, odds);
            match_run_phase(run, "sources", "odds of %.1f bits", weight_to_bits(odds));
            if (may_rise && few && run->store->sources->count <= SOURCES_LOWERED + 1) {
                maker.list = cluster_find_links(run, least_weight - SOURCE_RIVALS_DEPTH * WEIGHT_UNITS);
                run->kept_links = (link_list *)maker.list;
                links = (source_links){maker.list->links, maker.list->count, maker.sources, maker.unique};
                more = source_rivals_lower(run, &links, least_weight);
                if (more > 0)
                    raise_weights(run, spec, more);
                else { /* links below the threshold say nothing of sources */
                    run->kept_links = NULL;
                    cluster_free_links((link_list *)maker.list);
                }
            }
        }
    }
    if (maker.sources != NULL)
        pfree((void *)maker.sources);
    return less > 0;
}

bool
cluster_weigh_sources(match_run *run, match_spec *spec)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    bool few_right = false, rose = weigh_sources(run, spec, true, &few_right);

    if (rose) {
        if (spec->one_per_source == ONE_PER_SOURCE_EVIDENT && spec->unique_sources.known) {
            spec->unique_sources = (source_list){0};
            cluster_freeze_sources(run, spec);
        }
        (void)weigh_sources(run, spec, false, &few_right);
    }
    MemoryContextSwitchTo(before);
    return rose || few_right;
}

double
cluster_links_surplus(match_run *run, const match_spec *spec)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    const record_store *store = run->store;
    int64 least_weight = weight_from_probability(spec->threshold);
    link_list *list = cluster_find_links(run, least_weight);
    uint32 *sources = big_alloc(run->context, mul_size(Max(store->records.count, 1), sizeof(uint32)));
    source_links links = {list->links, list->count, sources, NULL};
    double surplus;

    for (uint32 record = 0; record < store->records.count; record++)
        sources[record] = record_row(&store->records, record)[store->source_slot];
    surplus = source_rivals_surplus(run, &links, least_weight);
    cluster_free_links(list);
    pfree(sources);
    MemoryContextSwitchTo(before);
    return surplus;
}

void
cluster_at_thresholds(match_run *run, const int64 *least_weights, int count, const label_list *verdicts,
                      clustering **results)
{
    MemoryContext before = MemoryContextSwitchTo(run->context);
    link_list *list = cluster_find_links(run, least_weights[0]);

    for (int i = 0; i < count; i++)
        results[i] = cluster_links(run, list, least_weights[i], verdicts, i == 0);
    cluster_free_links(list);
    MemoryContextSwitchTo(before);
    match_run_phase(run, "clustering", UINT64_FORMAT " links", results[0]->links);
}

clustering *
cluster_records(match_run *run, int64 least_weight, const label_list *verdicts)
{
    clustering *result;

    cluster_at_thresholds(run, &least_weight, 1, verdicts, &result);
    return result;
}
