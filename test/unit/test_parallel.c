/*
 * test_parallel.c: every item once, by threads that take no signal, with pools made, used again and released.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "kernel/parallel.h"
#include "unit.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>
#include <unistd.h>

#define ITEMS 20000

typedef struct record {
    _Atomic uint32_t done[ITEMS];
    _Atomic uint32_t wrong_threads, open_signals, main_items, worker_items;
    _Atomic uint32_t in_use[16]; /* two calls with one thread number at a time would share its memory */
    _Atomic uint32_t shared;
    int threads;
    pthread_t main_thread;
} record;

static record shared;

static void
note_item(void *context, int64_t item, int thread)
{
    record *record = context;
    sigset_t mask;

    if (thread < 0 || thread >= record->threads) {
        atomic_fetch_add(&record->wrong_threads, 1);
        return;
    }
    if (atomic_fetch_add(&record->in_use[thread], 1) != 0)
        atomic_fetch_add(&record->shared, 1);
    atomic_fetch_add(&record->done[item], 1);
    if (pthread_equal(pthread_self(), record->main_thread))
        atomic_fetch_add(&record->main_items, 1);
    else {
        static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM,
                                      SIGHUP, SIGQUIT, SIGCHLD, SIGPIPE};

        atomic_fetch_add(&record->worker_items, 1);
        if (pthread_sigmask(SIG_SETMASK, NULL, &mask) != 0)
            abort();
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            if (!sigismember(&mask, signals[i]))
                atomic_fetch_add(&record->open_signals, 1);
    }
    if (item % 64 == 0)
        sched_yield();
    atomic_fetch_sub(&record->in_use[thread], 1);
}

static bool
each_once(int64_t items)
{
    for (int64_t i = 0; i < ITEMS; i++)
        if (atomic_load(&shared.done[i]) != (i < items))
            return false;
    return atomic_load(&shared.wrong_threads) == 0 && atomic_load(&shared.shared) == 0;
}

static void
run(int threads, int64_t items)
{
    memset(&shared, 0, sizeof shared);
    shared.threads = threads < 1 ? 1 : threads;
    shared.main_thread = pthread_self();
    parallel_for(threads, items, note_item, &shared);
}

static int
threads_of_process(void)
{
    DIR *folder = opendir("/proc/self/task");
    int count = 0;

    if (folder == NULL)
        return -1;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 2;
}

static bool
main_mask_is_open(void)
{
    sigset_t mask;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return !sigismember(&mask, SIGINT) && !sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGUSR2);
}

/* Waits for all the others, so that every thread of the pool has one. */
static _Atomic int arrived;

static void
meet(void *context, int64_t item, int thread)
{
    record *record = context;

    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < record->threads)
        sched_yield();
    note_item(context, item, thread);
}

static void
test_items(void)
{
    static const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 1000, ITEMS};
    bool once = true, blocked = true, open = true;

    for (int threads = 0; threads <= 8; threads++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            run(threads, counts[c]);
            once &= each_once(counts[c]);
            blocked &= atomic_load(&shared.open_signals) == 0;
            open &= main_mask_is_open();
            once &= threads > 1 || atomic_load(&shared.worker_items) == 0;
        }
    unit_ok(once,
            "0 to 8 threads, 0 to 20,000 items: each once, by a thread number in range that nobody shares");
    unit_ok(blocked, "workers have their signals blocked");
    unit_ok(open, "the caller's mask is what it was");
}

static void
test_every_thread_works(void)
{
    bool all = true;

    for (int threads = 2; threads <= 8; threads++) {
        memset(&shared, 0, sizeof shared);
        shared.threads = threads;
        shared.main_thread = pthread_self();
        atomic_store(&arrived, 0);
        parallel_for(threads, threads, meet, &shared);
        all &= each_once(threads) && atomic_load(&shared.worker_items) == (uint32_t)threads - 1 &&
               atomic_load(&shared.main_items) == 1 && atomic_load(&shared.open_signals) == 0;
    }
    unit_ok(all, "all threads asked for work at the same time, each with its signals blocked");
}

/* The first item is not done before the last one. */
static void
first_is_last(void *context, int64_t item, int thread)
{
    record *record = context;

    for (uint32_t wait = 0; item == 0 && atomic_load(&record->main_items) < 99 && wait < 5000; wait++)
        usleep(1000);
    if (item == 0)
        atomic_store(&record->worker_items, atomic_load(&record->main_items));
    else
        atomic_fetch_add(&record->main_items, 1);
    (void)thread;
}

static void
test_slow_item(void)
{
    memset(&shared, 0, sizeof shared);
    parallel_for(2, 100, first_is_last, &shared);
    unit_ok(atomic_load(&shared.worker_items) == 99, "a slow item holds no other up");
}

static volatile sig_atomic_t handled_by_main, handled;
static pthread_t main_thread;

static void
on_signal(int signal)
{
    (void)signal;
    handled++;
    handled_by_main += pthread_equal(pthread_self(), main_thread) != 0;
}

/* Until the signal was taken by somebody, and no longer than a test may last. */
static void
signal_process(void *context, int64_t item, int thread)
{
    (void)thread;
    if (item == 0)
        kill(getpid(), SIGINT);
    for (uint32_t wait = 0; handled == 0 && wait < 2000; wait++)
        usleep(1000);
    atomic_fetch_add((_Atomic int *)context, 1);
}

static void
test_signal(void)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    _Atomic int done = 0;

    main_thread = pthread_self();
    sigaction(SIGINT, &action, &before);
    for (int i = 0; i < 50; i++) {
        handled = 0;
        parallel_for(4, 8, signal_process, &done);
    }
    sigaction(SIGINT, &before, NULL);
    unit_ok(atomic_load(&done) == 400 && handled_by_main == 50,
            "a signal that comes while a region runs is taken by the caller at once");
}

static void
test_pool(void)
{
    bool good = true;
    int before, during, after = -1;

    parallel_release();
    parallel_release();
    before = threads_of_process();
    for (int round = 0; round < 20; round++) {
        run(2 + round % 5, 500);
        good &= each_once(500) && atomic_load(&shared.open_signals) == 0;
        if (round % 3 == 0)
            parallel_release();
    }
    run(6, 100);
    during = threads_of_process();
    parallel_release();
    for (int wait = 0; wait < 2000 && (after = threads_of_process()) > before; wait++)
        usleep(1000); /* a thread that was joined is seen for a moment longer */
    unit_ok(good, "pools of changing size, released in between");
    unit_ok(during == before + 5 && after == before, "as many threads as asked for, and none after release");
    for (int round = 0; round < 3; round++) { /* of the same size as before, too */
        memset(&shared, 0, sizeof shared);
        shared.threads = 6;
        shared.main_thread = pthread_self();
        atomic_store(&arrived, 0);
        parallel_for(6, 6, meet, &shared);
        good &=
            each_once(6) && atomic_load(&shared.worker_items) == 5 && atomic_load(&shared.open_signals) == 0;
        parallel_release();
    }
    unit_ok(good, "and new ones after it, their signals blocked");
}

static void
test_available(void)
{
    int threads = parallel_available_threads();
    cpu_set_t before, one;

    unit_ok(threads >= 1 && threads <= 256 && threads <= sysconf(_SC_NPROCESSORS_CONF), "threads there are");
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof before, &before) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &before)) {
                CPU_SET(cpu, &one);
                break;
            }
        if (sched_setaffinity(0, sizeof one, &one) == 0) {
            unit_ok(parallel_available_threads() == 1, "one processor, one thread");
            sched_setaffinity(0, sizeof before, &before);
        }
    }
}

/* A job goes on beside its caller, ends when it is asked for, and can be abandoned. */
static void
test_steps(void)
{
    bool once = true, abandoned = true;

    for (int threads = 0; threads <= 4; threads++) {
        for (int64_t items = 0; items <= 3000; items += 1500) {
            memset(&shared, 0, sizeof shared);
            shared.threads = threads < 1 ? 1 : threads;
            shared.main_thread = pthread_self();
            parallel_begin(threads, items, note_item, &shared);
            parallel_abandon(&once); /* another job */
            parallel_end();
            parallel_end(); /* nothing is left to end */
            once &= each_once(items);
            memset(&shared, 0, sizeof shared);
            shared.threads = threads < 1 ? 1 : threads;
            shared.main_thread = pthread_self();
            parallel_begin(threads, items, note_item, &shared);
            parallel_release(); /* with the pool ends what it does */
            once &= each_once(items);
        }
        memset(&shared, 0, sizeof shared);
        shared.threads = threads < 1 ? 1 : threads;
        shared.main_thread = pthread_self();
        parallel_begin(threads, ITEMS, note_item, &shared);
        parallel_abandon(&shared);
        {
            uint32_t done = atomic_load(&shared.worker_items);

            usleep(1000);
            abandoned &= atomic_load(&shared.worker_items) == done && atomic_load(&shared.main_items) == 0;
        }
        parallel_begin(threads, 10, note_item, &shared); /* ended by the next job */
        memset(&shared.done, 0, sizeof shared.done);
        parallel_release();
        run(threads, 20);
        once &= each_once(20);
    }
    parallel_release();
    unit_ok(once, "begun and ended in two steps: each item once");
    unit_ok(abandoned, "what is abandoned stands still");
}

int
main(void)
{
    test_steps();
    sigset_t some;

    sigemptyset(&some);
    sigaddset(&some, SIGUSR2); /* a mask of the caller's own, to be given back */
    pthread_sigmask(SIG_BLOCK, &some, NULL);
    test_items();
    test_every_thread_works();
    test_slow_item();
    test_signal();
    test_pool();
    test_available();
    return unit_done();
}
