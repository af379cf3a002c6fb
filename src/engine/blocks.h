/*
 * blocks.h: the blocks of a run's blocking rules: entries (key, record) made, sorted and divided, on the
 * run's threads. They are kept for the next visit as long as the memory of a run allows.
 */
#ifndef MASTERING_ENGINE_BLOCKS_H
#define MASTERING_ENGINE_BLOCKS_H

#include "compat.h"

#include "engine/run.h"

/* Keys of one record for one rule, where arrays give several; what is beyond is left out and counted. */
#define MAX_KEYS_OF_RECORD 1024

/* Makes run->indexes[rule], unless it is there. */
extern void blocks_prepare(match_run *run, int rule);

/*
 * For runs in passes, which have the entries of a part of the records at a time: makes a rule ready, and
 * run->indexes[rule] of entries in order, in the memory of a context. The entries are not kept. What can be
 * said of the blocks goes to statistics.
 */
extern void blocks_prepare_rule(match_run *run, int rule);
extern void blocks_of_entries(match_run *run, int rule, MemoryContext context, keyed_record *entries,
                              uint64 count, block_statistics *statistics);

/* No more blocks are made for now: lets go of what is made once for all of them. */
extern void blocks_end_making(match_run *run);

/* Lets go of run->indexes[rule] when memory is short; what rules need to be asked for pairs stays. */
extern void blocks_release(match_run *run, int rule);

/* The columns whose values order the records of a rule's windowed blocks; tables has room for two. */
extern window_order window_order_for(const match_run *run, int rule, value_table tables[2]);

/* The codes of the parts that make up one of a record's keys (before it is divided); false: it has no such
 * key. */
extern bool blocks_find_key(const match_run *run, int rule, uint32 record, uint64 key, uint32 *codes);

/* All keys of one record for a rule without top_k, sorted and distinct, up to MAX_KEYS_OF_RECORD; their
 * number. */
extern uint32 blocks_record_keys(match_run *run, int rule, uint32 record, uint64 *keys);

#endif
