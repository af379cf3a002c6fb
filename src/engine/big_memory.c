/*
 * big_memory.c: see big_memory.h.
 */
#include "compat.h"

#include <sys/mman.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "engine/big_memory.h"
#include "settings.h"
#include "utils/memutils.h"

#define HUGE_PAGE ((Size)2 * 1024 * 1024)
#define LEAST_ARRAY (32 * HUGE_PAGE) /* that huge pages are asked for */

#define DEAR_PAGE 1000000    /* nanoseconds that it takes to get one; most take a tenth of that */
#define DEAR_TIME 1000000000 /* the same, for which no more are asked for */

static int64
nanoseconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64)now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * Has the array's first huge page made, which stays as it is, and says whether that was cheap. A system may
 * have to move others to make room for one, and a virtual machine to ask its host for memory that it gave
 * back: then a huge page costs several times what the small ones do.
 */
static bool
huge_page_is_cheap(char *page)
{
    int64 start = nanoseconds(CLOCK_THREAD_CPUTIME_ID);

    (void)__atomic_fetch_add(page, 0, __ATOMIC_RELAXED);
    return nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start < DEAR_PAGE;
}

/*
 * The whole huge pages within an array; its ends, where other memory may lie too, are left alone. Those of
 * smaller arrays save some ten milliseconds at best, and the first of them, made in vain, costs half of that:
 * that it was cheap says little of the others, either.
 */
static void
ask_for_huge_pages(void *array, Size size)
{
#ifdef MADV_HUGEPAGE
    static int64 dear_until = 0;
    uintptr_t first = TYPEALIGN(HUGE_PAGE, (uintptr_t)array),
              end = TYPEALIGN_DOWN(HUGE_PAGE, (uintptr_t)array + size);

    if (size < LEAST_ARRAY || nanoseconds(CLOCK_MONOTONIC) < dear_until)
        return;
    (void)madvise((void *)first, HUGE_PAGE, MADV_HUGEPAGE);
    if (!huge_page_is_cheap((char *)first))
        dear_until = nanoseconds(CLOCK_MONOTONIC) + DEAR_TIME;
    else if (end - first > HUGE_PAGE)
        (void)madvise((void *)(first + HUGE_PAGE), end - first - HUGE_PAGE, MADV_HUGEPAGE);
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

/* ---- what is freed ---- */

#define MUCH_MEMORY ((Size)256 * 1024 * 1024) /* a run that has less is sparing from the beginning */

/* What malloc arrives at by itself when arrays of that size are freed. */
#define LARGEST_KEPT (32 * 1024 * 1024)
#define USUAL_TRIM (2 * LARGEST_KEPT)

static int keepers = 0; /* a query may call functions that run */

void
big_memory_spare(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_TRIM_THRESHOLD, USUAL_TRIM);
    (void)malloc_trim(0);
#endif
}

static void
let_go(void *argument)
{
    if (--keepers == 0)
        big_memory_spare();
}

MemoryContext
big_memory_create(MemoryContext parent)
{
    MemoryContext context = AllocSetContextCreate(parent, "mastering memory", ALLOCSET_SMALL_SIZES);
    MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

    if (mastering_memory_budget() <= MUCH_MEMORY)
        return context;
    callback->func = let_go; /* after all that is below the context */
    callback->arg = NULL;
    MemoryContextRegisterResetCallback(context, callback);
    keepers++;
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT);
    (void)mallopt(M_TRIM_THRESHOLD, PG_INT32_MAX);
#endif
    return context;
}
