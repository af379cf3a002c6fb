/*
 * big_memory.c: see big_memory.h.
 */
#include "compat.h"

#include <sys/mman.h>

#include "engine/big_memory.h"
#include "utils/memutils.h"

#define HUGE_PAGE ((Size)2 * 1024 * 1024)

/* The whole huge pages within an array; its ends, where other memory may lie too, are left alone. */
static void
ask_for_huge_pages(void *array, Size size)
{
#ifdef MADV_HUGEPAGE
    uintptr_t first = TYPEALIGN(HUGE_PAGE, (uintptr_t)array),
              end = TYPEALIGN_DOWN(HUGE_PAGE, (uintptr_t)array + size);

    if (size >= HUGE_PAGE && first < end)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#endif
}

void *
big_alloc(MemoryContext context, Size size)
{
    void *array = MemoryContextAllocHuge(context, size);

    ask_for_huge_pages(array, size);
    return array;
}

void *
big_alloc_zero(MemoryContext context, Size size)
{
    void *array = big_alloc(context, size);

    memset(array, 0, size);
    return array;
}

void *
big_realloc(void *array, Size size)
{
    array = repalloc_huge(array, size);
    ask_for_huge_pages(array, size);
    return array;
}
