/*
 * link_parts.c: see link_parts.h. Components by a forest without ranks, which all threads grow: a root is the
 * least record of its tree.
 */
#include "compat.h"

#include "engine/big_memory.h"
#include "engine/cluster_names.h"
#include "engine/hash_sort.h"
#include "engine/link_parts.h"
#include "kernel/hash.h"
#include "utils/memutils.h"

#define PART_BITS 6
#define FEW_LINKS 4096
#define LINKS_AHEAD 16 /* whose records are fetched while others are looked at */
#define PARTS_AT_ONCE 8

StaticAssertDecl(1 << PART_BITS == MOST_LINK_PARTS, "a part is named by some bits of a hash");

/* The least record of a tree. What other threads do meanwhile can only bring records nearer to it. */
static inline uint32
root_of(uint32 *parent, uint32 x)
{
    for (;;) {
        uint32 above = __atomic_load_n(&parent[x], __ATOMIC_RELAXED), next;

        if (above == x)
            return x;
        next = __atomic_load_n(&parent[above], __ATOMIC_RELAXED);
        if (next == above)
            return above;
        __atomic_store_n(&parent[x], next, __ATOMIC_RELAXED);
        x = next;
    }
}

/* A root is hung below a lesser one, and once only: whatever threads do first, the trees have the same roots
 * in the end (Jayanti and Tarjan 2016). */
static inline void
join_trees(uint32 *parent, uint32 a, uint32 b)
{
    for (;;) {
        uint32 greater;

        a = root_of(parent, a);
        b = root_of(parent, b);
        if (a == b)
            return;
        greater = Max(a, b);
        if (__atomic_compare_exchange_n(&parent[greater], &(uint32){greater}, Min(a, b), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
    }
}

/* Links on their way into parts, a range of them a thread. */
typedef struct dealing {
    const keyed_record *links;
    uint64 count;
    uint32 *numbers;                   /* by record: first the one above it in its tree */
    uint8 *part_of;                    /* by link */
    uint64 (*places)[MOST_LINK_PARTS]; /* by range and part: first the number of links, then where they go */
    link_parts *parts;
} dealing;

static inline int
part_of_root(uint32 root)
{
    return (int)(hash_word(root) >> (64 - PART_BITS));
}

FETCH_INLINE void
fetch_ahead(const dealing *dealing, const keyed_record *links, uint64 i, uint64 end)
{
    if (i + LINKS_AHEAD < end) {
        __builtin_prefetch(&dealing->numbers[links[i + LINKS_AHEAD].record], 1);
        __builtin_prefetch(&dealing->numbers[links[i + LINKS_AHEAD].extra], 1);
    }
}

static void
join_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    const keyed_record *links = dealing->links;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);

    for (uint64 i = first; i < end; i++) {
        fetch_ahead(dealing, links, i, end);
        join_trees(dealing->numbers, links[i].record, links[i].extra);
    }
}

static void
count_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);
    uint64 *places = dealing->places[range];

    memset(places, 0, sizeof dealing->places[range]);
    for (uint64 i = first; i < end; i++) {
        if (i + LINKS_AHEAD < end)
            __builtin_prefetch(&dealing->numbers[dealing->links[i + LINKS_AHEAD].record]);
        dealing->part_of[i] = (uint8)part_of_root(root_of(dealing->numbers, dealing->links[i].record));
        places[dealing->part_of[i]]++;
    }
}

static void
deal_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);
    uint64 *places = dealing->places[range];

    for (uint64 i = first; i < end; i++)
        dealing->parts->links[places[dealing->part_of[i]]++] = dealing->links[i];
}

static void
copy_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    uint64 first = (uint64)range * SORT_RANGE, end = Min(dealing->count, first + SORT_RANGE);

    memcpy(&dealing->parts->links[first], &dealing->links[first], (end - first) * sizeof(keyed_record));
}

static void
deal_links(match_run *run, dealing *dealing)
{
    link_parts *parts = dealing->parts;
    Size ranges = sort_ranges(dealing->count);
    uint64 place = 0;

    dealing->part_of = big_alloc(run->context, dealing->count);
    dealing->places = big_alloc(run->context, mul_size(ranges, sizeof *dealing->places));
    parallel_in_turns(run->threads, (int64)ranges, RANGES_AT_ONCE, count_range, dealing);
    for (int p = 0; p < MOST_LINK_PARTS; p++) {
        parts->starts[p] = place;
        for (Size range = 0; range < ranges; range++) {
            uint64 in_range = dealing->places[range][p];

            dealing->places[range][p] = place;
            place += in_range;
        }
    }
    parts->starts[MOST_LINK_PARTS] = place;
    parallel_in_turns(run->threads, (int64)ranges, RANGES_AT_ONCE, deal_range, dealing);
    pfree(dealing->part_of);
    pfree(dealing->places);
}

static void
deal_labels(match_run *run, const dealing *dealing, const label_list *verdicts)
{
    link_parts *parts = dealing->parts;
    uint64 next[MOST_LINK_PARTS + 1] = {0};
    uint8 *part_of;

    if (verdicts == NULL || verdicts->count == 0)
        return;
    parts->labels = big_alloc(run->context, mul_size(verdicts->count, sizeof(label)));
    part_of = big_alloc_zero(run->context, verdicts->count);
    for (size_t i = 0; i < verdicts->count; i++) {
        if (parts->count > 1)
            part_of[i] = (uint8)part_of_root(root_of(dealing->numbers, verdicts->labels[i].a));
        next[part_of[i] + 1]++;
    }
    for (int p = 0; p < parts->count; p++) {
        next[p + 1] += next[p];
        parts->label_starts[p + 1] = next[p + 1];
    }
    for (size_t i = 0; i < verdicts->count; i++)
        parts->labels[next[part_of[i]]++] = verdicts->labels[i];
    pfree(part_of);
}

/* ---- members ---- */

/* Two places a link and a label, but no part has more members than there are records. */
static void
make_places(match_run *run, link_parts *parts)
{
    uint64 records = run->store->records.count;

    for (int p = 0; p < parts->count; p++) {
        uint64 named =
            parts->starts[p + 1] - parts->starts[p] + parts->label_starts[p + 1] - parts->label_starts[p];

        parts->firsts[p + 1] = parts->firsts[p] + Min(2 * named, records);
    }
    parts->members = big_alloc(run->context, mul_size(Max(link_parts_places(parts), 1), sizeof(uint32)));
}

static inline uint32
member_number(const dealing *dealing, uint32 record, uint32 *members, uint32 *count)
{
    uint32 number = dealing->numbers[record];

    if ((number & MEMBER_NUMBER) == 0) {
        number = *count | MEMBER_NUMBER;
        dealing->numbers[record] = number;
        members[(*count)++] = record;
    }
    return number & ~MEMBER_NUMBER;
}

static void
number_labels(const dealing *dealing, int part)
{
    link_parts *parts = dealing->parts;
    uint32 *members = parts->members + link_parts_first(parts, part);

    for (uint64 i = parts->label_starts[part]; i < parts->label_starts[part + 1]; i++) {
        label *label = &parts->labels[i];

        label->a = member_number(dealing, label->a, members, &parts->member_counts[part]);
        label->b = member_number(dealing, label->b, members, &parts->member_counts[part]);
    }
}

static void
number_links(const dealing *dealing, int part, uint64 first, uint64 end)
{
    link_parts *parts = dealing->parts;
    uint32 *members = parts->members + link_parts_first(parts, part), count = parts->member_counts[part];

    for (uint64 i = first; i < end; i++) {
        keyed_record *link = &parts->links[i];

        fetch_ahead(dealing, parts->links, i, end);
        link->record = member_number(dealing, link->record, members, &count);
        link->extra = member_number(dealing, link->extra, members, &count);
    }
    parts->member_counts[part] = count;
}

static void
number_part(void *context, int64_t part, int thread)
{
    const dealing *dealing = context;

    number_links(dealing, (int)part, dealing->parts->starts[part], dealing->parts->starts[part + 1]);
}

/* Of the only part, which may be large. */
static void
number_range(void *context, int64_t range, int thread)
{
    const dealing *dealing = context;
    uint64 first = (uint64)range * SORT_RANGE;

    number_links(dealing, 0, first, Min(dealing->count, first + SORT_RANGE));
}

static void
find_components(match_run *run, dealing *dealing, const label_list *verdicts)
{
    parallel_in_turns(run->threads, (int64)sort_ranges(dealing->count), RANGES_AT_ONCE, join_range, dealing);
    for (size_t i = 0; verdicts != NULL && i < verdicts->count; i++)
        join_trees(dealing->numbers, verdicts->labels[i].a, verdicts->labels[i].b);
}

void
link_parts_deal(match_run *run, const keyed_record *links, uint64 count, const label_list *verdicts,
                uint32 *numbers, link_parts *parts)
{
    dealing dealing = {.links = links, .count = count, .numbers = numbers, .parts = parts};

    *parts = (link_parts){.count = run->threads == 1 || count < FEW_LINKS ? 1 : MOST_LINK_PARTS};
    parts->links = big_alloc(run->context, mul_size(Max(count, 1), sizeof(keyed_record)));
    if (parts->count > 1) {
        find_components(run, &dealing, verdicts);
        deal_links(run, &dealing);
    } else {
        parallel_in_turns(1, (int64)sort_ranges(count), RANGES_AT_ONCE, copy_range, &dealing);
        parts->starts[1] = count;
    }
    deal_labels(run, &dealing, verdicts);
    make_places(run, parts);
    for (int p = 0; p < parts->count; p++)
        number_labels(&dealing, p);
    if (parts->count > 1)
        parallel_in_turns(run->threads, parts->count, PARTS_AT_ONCE, number_part, &dealing);
    else
        parallel_in_turns(1, (int64)sort_ranges(count), RANGES_AT_ONCE, number_range, &dealing);
}

void
link_parts_free(link_parts *parts)
{
    pfree(parts->links);
    pfree(parts->members);
    if (parts->labels != NULL)
        pfree(parts->labels);
}
