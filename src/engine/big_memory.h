/*
 * big_memory.h: the arrays of a run, which its threads read and write in no order. Where the system offers
 * pages of 2 MB to those who ask (madvise), they are asked for where an array has many: one fault instead of
 * 512, and a look-up in it no longer misses the processor's page table as well as its cache.
 * It is a wish, and nothing depends on it.
 */
#ifndef MASTERING_ENGINE_BIG_MEMORY_H
#define MASTERING_ENGINE_BIG_MEMORY_H

#include "compat.h"

/* As MemoryContextAllocHuge. */
extern void *big_alloc(MemoryContext context, Size size);

/* The same, all zero. */
extern void *big_alloc_zero(MemoryContext context, Size size);

/* As repalloc_huge. */
extern void *big_realloc(void *array, Size size);

/*
 * A context for all that a run needs: while there is one, what is freed stays with the process for what is
 * allocated next, since the system clears each page that it gives, and takes more time for that than most
 * arrays do to be filled. It goes back to the system with the context, or when the run finds that it has to
 * be sparing.
 */
extern MemoryContext big_memory_create(MemoryContext parent);
extern void big_memory_spare(void);

#endif
