/*
 * parallel.c: the one file that knows threads; see parallel.h.
 *
 * A pool of POSIX threads that sleep between jobs: a database server has other work for its processors than
 * threads that wait by spinning, and OpenMP's runtime ends the process where the system gives no thread. But
 * to wake a thread takes longer than most waits within a run last: a short while is waited awake.
 *
 * Signals are blocked while workers are made, which inherit that: a signal always finds the main thread,
 * which sees it at once, also while a job runs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "kernel/parallel.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_THREADS 256

static int
affinity_threads(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
    return online > 0 ? (int)(online < 1024 ? online : 1024) : 1;
}

/* Whole processors that a "quota period" pair allows, rounded up; 0 when there is no limit. */
static int
quota_threads(const char *path, const char *period_path)
{
    char quota_text[64] = "";
    long long quota = 0, period = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return 0;
    if (fscanf(file, "%63s %lld", quota_text, &period) < 1)
        quota_text[0] = '\0';
    fclose(file);
    if (period_path != NULL && (file = fopen(period_path, "re")) != NULL) {
        if (fscanf(file, "%lld", &period) != 1)
            period = 0;
        fclose(file);
    }
    quota = atoll(quota_text); /* "max" and "-1" are no limit */
    if (quota <= 0 || period <= 0)
        return 0;
    return (int)((quota + period - 1) / period);
}

/* The least quota of this process's control group (version 2) and of the groups it is in; 0: none. */
static int
group_quota_threads(void)
{
    char line[PATH_MAX], path[PATH_MAX + 64], *group = NULL, *slash;
    int least = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");

    if (file == NULL)
        return 0;
    while (group == NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "0::/", 4) == 0) {
            line[strcspn(line, "\n")] = '\0';
            group = line + 3;
        }
    }
    fclose(file);
    if (group == NULL)
        return 0;
    for (;;) {
        int quota;

        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        quota = quota_threads(path, NULL);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0'; /* the group around it; at last the root, "" */
    }
}

int
parallel_available_threads(void)
{
    int threads = affinity_threads();
    int quota = group_quota_threads();

    if (quota == 0)
        quota = quota_threads("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (quota > 0 && quota < threads)
        threads = quota;
    return threads < 1 ? 1 : threads > 256 ? 256 : threads;
}

/* ---- the pool ---- */

#define LOOKS 1000 /* at what is waited for, before a thread sleeps: some hundredths of a millisecond */

/*
 * All of it is guarded by lock but next, which threads count up by themselves. job and busy are changed under
 * the lock and looked at without it.
 */
typedef struct thread_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, end;
    int workers; /* that there are: thread numbers 1 to workers */
    pthread_t threads[MOST_THREADS];
    bool ending;
    _Atomic uint64_t job; /* number of the latest one */
    _Atomic int busy;     /* workers that are not done with it */
    bool is_open;         /* parallel_begin without its parallel_end; the main thread alone looks at it */
    int64_t items;        /* of the job */
    _Atomic int64_t next;
    parallel_work work;
    void *context;
} thread_pool;

static thread_pool pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .start = PTHREAD_COND_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};
static int asked_threads = 0; /* that the pool was made for */

static void
work_on_items(int thread)
{
    int64_t item;

    while ((item = atomic_fetch_add(&pool.next, 1)) < pool.items)
        pool.work(pool.context, item, thread);
}

static inline void
rest_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb");
#endif
}

static void
look_out_for_job(uint64_t done)
{
    for (int i = 0; i < LOOKS && atomic_load_explicit(&pool.job, memory_order_relaxed) == done; i++)
        rest_a_little();
}

static void
look_out_for_end(void)
{
    for (int i = 0; i < LOOKS && atomic_load_explicit(&pool.busy, memory_order_relaxed) > 0; i++)
        rest_a_little();
}

static void *
worker_main(void *argument)
{
    int thread = (int)(intptr_t)argument;
    uint64_t done = 0;

    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (!pool.ending && pool.job == done)
            pthread_cond_wait(&pool.start, &pool.lock);
        if (pool.ending)
            break;
        done = pool.job;
        pthread_mutex_unlock(&pool.lock);
        work_on_items(thread);
        pthread_mutex_lock(&pool.lock);
        if (--pool.busy == 0)
            pthread_cond_signal(&pool.end);
        pthread_mutex_unlock(&pool.lock);
        look_out_for_job(done);
        pthread_mutex_lock(&pool.lock);
    }
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* Workers beside the calling thread; where the system gives fewer, there are fewer. */
static void
make_pool(int threads)
{
    sigset_t all, before;

    if (threads == asked_threads)
        return;
    parallel_release();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pool.job = 0;
    while (pool.workers < threads - 1 && pool.workers < MOST_THREADS - 1 &&
           pthread_create(&pool.threads[pool.workers], NULL, worker_main,
                          (void *)(intptr_t)(pool.workers + 1)) == 0)
        pool.workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    asked_threads = threads;
}

void
parallel_begin(int threads, int64_t items, parallel_work work, void *context)
{
    parallel_end();
    if (threads > 1 && items > 0)
        make_pool(threads);
    pthread_mutex_lock(&pool.lock);
    pool.work = work;
    pool.context = context;
    pool.items = items;
    atomic_store(&pool.next, 0);
    pool.is_open = true;
    if (threads > 1 && items > 0 && pool.workers > 0) {
        pool.busy = pool.workers;
        pool.job++;
        pthread_cond_broadcast(&pool.start);
    }
    pthread_mutex_unlock(&pool.lock);
}

static void
wait_for_workers(void)
{
    look_out_for_end();
    pthread_mutex_lock(&pool.lock);
    while (pool.busy > 0)
        pthread_cond_wait(&pool.end, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pool.is_open = false;
}

void
parallel_end(void)
{
    if (!pool.is_open)
        return;
    work_on_items(0);
    wait_for_workers();
}

void
parallel_abandon(const void *context)
{
    if (!pool.is_open || pool.context != context)
        return;
    atomic_store(&pool.next, pool.items);
    wait_for_workers();
}

void
parallel_for(int threads, int64_t items, parallel_work work, void *context)
{
    if (threads <= 1 || items <= 1) {
        for (int64_t i = 0; i < items; i++)
            work(context, i, 0);
        return;
    }
    parallel_begin(threads, items, work, context);
    parallel_end();
}

void
parallel_release(void)
{
    parallel_end();
    pthread_mutex_lock(&pool.lock);
    pool.ending = true;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.lock);
    while (pool.workers > 0)
        pthread_join(pool.threads[--pool.workers], NULL);
    pool.ending = false;
    asked_threads = 0;
}
