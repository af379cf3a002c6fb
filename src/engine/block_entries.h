/*
 * block_entries.h: the entries of a blocking rule, a key and a record each, in the order of their keys,
 * without those whose key no other has. Stable.
 */
#ifndef MASTERING_ENGINE_BLOCK_ENTRIES_H
#define MASTERING_ENGINE_BLOCK_ENTRIES_H

#include "engine/run.h"
#include "kernel/radix_sort.h"

/*
 * Where entries come from. make writes those of items first up to end, at most one each, and returns their
 * number; most says how many they can be (NULL: as many as items). Called on threads, with some thousand
 * items, the same ones for both.
 */
typedef struct entry_source {
    uint32 (*make)(const void *context, uint64 first, uint64 end, keyed_record *entries);
    uint32 (*most)(const void *context, uint64 first, uint64 end);
    const void *context;
} entry_source;

/*
 * Entries of "count" items. work: room for as many, where the source may read its own items; NULL:
 * run->entry_room is made as large as need be. Returns those that are left, in run->sorted_room. keys: how
 * many there were.
 */
extern keyed_record *block_entries_sort(match_run *run, const entry_source *source, uint64 count,
                                        keyed_record *work, uint64 *keys, uint64 *left);

/* Room that is kept from one rule to the next: fresh memory costs more than what is put there. */
extern void *block_room(match_run *run, work_room *room, Size size);

#endif
