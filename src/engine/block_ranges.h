/*
 * block_ranges.h: the blocks of entries that lie in order, made on all threads.
 */
#ifndef MASTERING_ENGINE_BLOCK_RANGES_H
#define MASTERING_ENGINE_BLOCK_RANGES_H

#include "engine/run.h"

/*
 * Says what there is of blocks, and makes them where none of them is windowed; false where some are. The same
 * however many threads there are.
 */
extern bool block_ranges_make(match_run *run, blocking_rule *rule, MemoryContext context,
                              keyed_record *entries, uint64 count, block_statistics *statistics,
                              block_index *index);

/* False: no key has more than so many entries. True: one may have. */
extern bool block_ranges_any_larger(const keyed_record *entries, uint64 count, uint64 size);

#endif
