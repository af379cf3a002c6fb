/*
 * parallel.h: the only door to threads. Everything that runs behind it is kernel code over private,
 * immutable arrays: it calls no PostgreSQL function, does not throw, and reports by return code.
 */
#ifndef MASTERING_KERNEL_PARALLEL_H
#define MASTERING_KERNEL_PARALLEL_H

#include <stdint.h>

/* Threads this process may use: processor affinity and the control group's quota, at least 1, at most 256. */
int parallel_available_threads(void);

/*
 * Calls work(context, item, thread) for each item in [0, items), on at most threads threads (thread is in
 * [0, threads)); items are handed out one by one in order. Returns when all are done. Workers have every
 * signal blocked. With one thread or one item nothing is started.
 */
typedef void (*parallel_work)(void *context, int64_t item, int thread);
void parallel_for(int threads, int64_t items, parallel_work work, void *context);

/*
 * The same in two steps, so that the calling thread can do something else meanwhile: workers begin at once,
 * parallel_end helps them and returns when all is done. What the items touch must not be touched in
 * between. One job at a time: beginning another one ends the first.
 */
void parallel_begin(int threads, int64_t items, parallel_work work, void *context);
void parallel_end(void);

/* Ends the job of this context, if it is the one, without doing what nobody has begun to do. */
void parallel_abandon(const void *context);

/*
 * Ends the pool that parallel_for keeps between calls; to be called at the end of a run. A job that there is
 * then is of a run around that one (a query may call functions that run), and is done.
 */
void parallel_release(void);

#endif
