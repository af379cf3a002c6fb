/*
 * pattern_counts.h: how often pairs have each agreement pattern.
 *
 * For train.c, on the main thread: open addressing in one array, since millions of pairs have some thousand
 * patterns.
 */
#ifndef MASTERING_ENGINE_PATTERN_COUNTS_H
#define MASTERING_ENGINE_PATTERN_COUNTS_H

#include "compat.h"

#include "kernel/em.h"
#include "kernel/hash.h"

typedef struct pattern_entry {
    uint64 pattern;
    uint64 count; /* 0: the place is free */
    uint64 count_new;
} pattern_entry;

typedef struct pattern_counts {
    MemoryContext context;
    pattern_entry *entries;
    uint32 used;
    uint32 mask;
} pattern_counts;

extern void pattern_counts_init(pattern_counts *counts, MemoryContext context);
extern void pattern_counts_free(pattern_counts *counts);

/* Twice the places. */
extern void pattern_counts_grow(pattern_counts *counts);

/* One more pair; is_new: that is also counted among the new ones. */
static inline void
pattern_counts_add(pattern_counts *counts, uint64 pattern, bool is_new)
{
    uint32 place = (uint32)hash_word(pattern) & counts->mask;
    pattern_entry *entry = &counts->entries[place];

    while (entry->count != 0 && entry->pattern != pattern) {
        place = (place + 1) & counts->mask;
        entry = &counts->entries[place];
    }
    if (entry->count == 0) {
        entry->pattern = pattern;
        counts->used++;
    }
    entry->count++;
    entry->count_new += is_new;
    if (counts->used > counts->mask / 2)
        pattern_counts_grow(counts);
}

/* By pattern, ascending. */
extern void pattern_counts_sort(pattern_count *patterns, size_t count);

/* The patterns in ascending order; only_new: counts of new pairs. */
extern pattern_count *pattern_counts_sorted(const pattern_counts *counts, bool only_new, double scale,
                                            size_t *count);

#endif
