/*
 * hash_sort.h: sorts entries whose keys are hashes, on the run's threads. Stable. Entries are dealt into
 * parts by the first bits of their keys, each small enough for a processor's cache, and each part is sorted
 * by itself; between the steps cancel requests are answered.
 */
#ifndef MASTERING_ENGINE_HASH_SORT_H
#define MASTERING_ENGINE_HASH_SORT_H

#include "compat.h"

#include "kernel/radix_sort.h"

/* Entries lie in ranges of this size, of which each may be filled in part, from its beginning on. */
#define SORT_RANGE 65536

static inline Size
sort_ranges(Size entries)
{
    return entries / SORT_RANGE + (entries % SORT_RANGE != 0);
}

/*
 * Sorts the entries of ranges that lie one behind the other from "from" on into "to", which has room for
 * their sum, without gaps; "from" is destroyed. counts: entries in each range, at most SORT_RANGE.
 */
extern void hash_sort(int threads, keyed_record *from, const uint32 *counts, Size ranges, keyed_record *to);

/* The same where all of "count" entries are there. */
extern void hash_sort_all(int threads, keyed_record *from, Size count, keyed_record *to);

/* Few numbers, on the caller's thread: for qsort and bsearch, and sorted with each kept once; returns how
 * many are. */
extern int compare_uint64(const void *a, const void *b);
extern uint64 sort_distinct(uint64 *numbers, uint64 count);

/* Calls work for each item on threads, some at a time, and answers cancel requests in between. */
extern void parallel_in_turns(int threads, int64 items, int64 items_at_once,
                              void (*work)(void *context, int64_t item, int thread), void *context);

#endif
