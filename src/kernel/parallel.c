/*
 * parallel.c: the one file that knows OpenMP; see parallel.h.
 *
 * Signals are blocked before a region and restored after it, in the calling thread: workers inherit the
 * mask when they are made, and a signal that arrives meanwhile waits for the main thread. So that a
 * cancel request is seen while a region runs, the main thread's mask must let it through: workers are
 * made inside a first region with everything blocked, and later regions reuse them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "kernel/parallel.h"

#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int pool_threads = 0; /* the workers there are, all made with signals blocked */

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

static void
make_pool(int threads)
{
    sigset_t all, before;

    if (threads == pool_threads)
        return;
    parallel_release(); /* a region of another size would make or end workers of its own accord */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#pragma omp parallel num_threads(threads)
    {
        /* They have it already; but a region that did nothing would be optimised away, and make no workers.
         */
        (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pool_threads = threads;
}

void
parallel_for(int threads, int64_t items, parallel_work work, void *context)
{
    if (threads <= 1 || items <= 1) {
        for (int64_t i = 0; i < items; i++)
            work(context, i, 0);
        return;
    }
    make_pool(threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < items; i++)
        work(context, i, omp_get_thread_num());
}

void
parallel_release(void)
{
    if (pool_threads > 0)
        (void)omp_pause_resource_all(omp_pause_soft);
    pool_threads = 0;
}
