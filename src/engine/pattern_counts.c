/*
 * pattern_counts.c: see pattern_counts.h.
 */
#include "compat.h"

#include "engine/pattern_counts.h"
#include "utils/memutils.h"

#define FIRST_PLACES 1024

static pattern_entry *
free_places(MemoryContext context, Size places)
{
    return MemoryContextAllocExtended(context, mul_size(places, sizeof(pattern_entry)),
                                      MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

void
pattern_counts_init(pattern_counts *counts, MemoryContext context)
{
    *counts = (pattern_counts){
        .context = context, .entries = free_places(context, FIRST_PLACES), .mask = FIRST_PLACES - 1};
}

void
pattern_counts_free(pattern_counts *counts)
{
    pfree(counts->entries);
    counts->entries = NULL;
}

void
pattern_counts_grow(pattern_counts *counts)
{
    pattern_entry *before = counts->entries;
    uint32 mask = counts->mask << 1 | 1;
    pattern_entry *entries = free_places(counts->context, (Size)mask + 1);

    for (uint32 i = 0; i <= counts->mask; i++) {
        uint32 place = (uint32)hash_word(before[i].pattern) & mask;

        if (before[i].count == 0)
            continue;
        while (entries[place].count != 0)
            place = (place + 1) & mask;
        entries[place] = before[i];
    }
    pfree(before);
    counts->entries = entries;
    counts->mask = mask;
}

static inline int
compare_patterns(const pattern_count *a, const pattern_count *b)
{
    return a->pattern < b->pattern ? -1 : a->pattern > b->pattern;
}

#define ST_SORT pattern_counts_sort
#define ST_ELEMENT_TYPE pattern_count
#define ST_COMPARE(a, b) compare_patterns(a, b)
#define ST_SCOPE
#define ST_DEFINE
#include "lib/sort_template.h"

pattern_count *
pattern_counts_sorted(const pattern_counts *counts, bool only_new, double scale, size_t *count)
{
    pattern_count *patterns = palloc(Max(counts->used, 1) * sizeof(pattern_count));

    *count = 0;
    for (uint32 i = 0; i <= counts->mask; i++) {
        const pattern_entry *entry = &counts->entries[i];
        uint64 pairs = only_new ? entry->count_new : entry->count;

        if (pairs > 0)
            patterns[(*count)++] = (pattern_count){entry->pattern, pairs * scale};
    }
    pattern_counts_sort(patterns, *count);
    return patterns;
}
