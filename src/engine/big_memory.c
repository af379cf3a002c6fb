/*
 * big_memory.c: see big_memory.h.
 */
#include "compat.h"

#include <sys/mman.h>
#include <unistd.h>

#include "engine/big_memory.h"
#include "utils/memutils.h"

#define HUGE_PAGE ((Size)2 * 1024 * 1024)
#define SMALL_PAGE 4096
#define LEAST_SIZE (HUGE_PAGE / 4)
#define MANY_HUGE_PAGES (4 * HUGE_PAGE)
#define HEADS 1024 /* of an allocation, at most */

/*
 * The huge pages of an array. Its ends, where other memory may lie too, are left alone, unless that is the
 * head of a mapping of its own or more of the heap: between arrays of some megabytes there is little else.
 */
static void
ask_for_huge_pages(void *array, Size size)
{
#ifdef MADV_HUGEPAGE
    uintptr_t start = (uintptr_t)array, heap_end = (uintptr_t)sbrk(0);
    uintptr_t first = TYPEALIGN(HUGE_PAGE, start), end = TYPEALIGN_DOWN(HUGE_PAGE, start + size);

    if (size < LEAST_SIZE)
        return;
    if (start < heap_end) {
        first = TYPEALIGN_DOWN(HUGE_PAGE, start);
        end = Min(TYPEALIGN(HUGE_PAGE, start + size), TYPEALIGN_DOWN(SMALL_PAGE, heap_end));
    } else if (start % HUGE_PAGE < SMALL_PAGE)
        first = TYPEALIGN_DOWN(HUGE_PAGE, start);
    if (first < end)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#endif
}

/* A mapping of whole huge pages begins at one. */
static Size
whole_pages(Size size)
{
    return size < MANY_HUGE_PAGES ? size : TYPEALIGN(HUGE_PAGE, add_size(size, HEADS)) - HEADS;
}

void *
big_alloc(MemoryContext context, Size size)
{
    void *array = MemoryContextAllocHuge(context, whole_pages(size));

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
    array = repalloc_huge(array, whole_pages(size));
    ask_for_huge_pages(array, size);
    return array;
}
