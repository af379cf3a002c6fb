/*
 * marked_records.h: some of the records of a run that goes in passes, a bit a record, and the place of each
 * among them in the order of their numbers, which is the order in which a spool gives them back.
 */
#ifndef MASTERING_ENGINE_MARKED_RECORDS_H
#define MASTERING_ENGINE_MARKED_RECORDS_H

#include "compat.h"

#include "engine/big_memory.h"

typedef struct marked_records {
    uint64 *marks; /* a bit a record */
    uint32 *ranks; /* marked records before each word of the marks: after marked_records_rank_all */
    Size words;
    uint32 count;
} marked_records;

/* None is marked yet. */
static inline void
marked_records_open(marked_records *marked, MemoryContext context, uint32 record_count)
{
    marked->words = (Size)record_count / 64 + 1;
    marked->marks = big_alloc_zero(context, mul_size(marked->words, sizeof(uint64)));
    marked->ranks = big_alloc(context, mul_size(marked->words, sizeof(uint32)));
    marked->count = 0;
}

static inline void
marked_records_clear(marked_records *marked)
{
    memset(marked->marks, 0, marked->words * sizeof(uint64));
    marked->count = 0;
}

static inline void
marked_records_close(marked_records *marked)
{
    pfree(marked->marks);
    pfree(marked->ranks);
}

static inline bool
is_marked(const marked_records *marked, uint32 number)
{
    return marked->marks[number / 64] >> (number % 64) & 1;
}

static inline void
mark_record(marked_records *marked, uint32 number)
{
    marked->count += !is_marked(marked, number);
    marked->marks[number / 64] |= UINT64_C(1) << (number % 64);
}

/* To be called when all are marked that will be. */
static inline void
marked_records_rank_all(marked_records *marked)
{
    uint32 before = 0;

    for (Size w = 0; w < marked->words; w++) {
        marked->ranks[w] = before;
        before += (uint32)__builtin_popcountll(marked->marks[w]);
    }
}

/* How many marked records come before one. */
static inline uint32
marked_rank(const marked_records *marked, uint32 number)
{
    uint64 before = marked->marks[number / 64] & ((UINT64_C(1) << (number % 64)) - 1);

    return marked->ranks[number / 64] + (uint32)__builtin_popcountll(before);
}

#endif
