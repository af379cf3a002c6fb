/*
 * progress.h: how far runs are, for other connections to see, and what the phases of a session's last run
 * took.
 *
 * The first needs shared memory, which there is when the library is in shared_preload_libraries; without it
 * these calls do nothing. Each backend writes a slot of its own, under the slot's spinlock, for which a
 * handful of stores is held; nothing that can fail happens meanwhile.
 */
#ifndef MASTERING_ENGINE_PROGRESS_H
#define MASTERING_ENGINE_PROGRESS_H

#include "compat.h"

#include "datatype/timestamp.h"

#define PROGRESS_NAME 64

typedef struct progress_entry {
    int pid; /* 0: no run */
    Oid database, role;
    TimestampTz run_start, phase_start;
    char phase[PROGRESS_NAME];
    uint64 done, total; /* total 0: not known */
} progress_entry;

/* At load time. */
extern void progress_install_hooks(void);

/* A run begins, and ends; also when it fails. */
extern void progress_begin(void);
extern void progress_end(void);

/* A phase begins that will go over so many of whatever it counts (0: not known), and where it is. */
extern void progress_phase(const char *phase, uint64 total);
extern void progress_done(uint64 done);

/* The runs of all backends, in palloc'd memory; their number. False without shared memory. */
extern bool progress_list(progress_entry **entries, int *count);

/* ---- the session's last run ---- */

typedef struct phase_summary {
    char phase[PROGRESS_NAME];
    char facts[128];
    double milliseconds, processor_milliseconds;
    uint64 megabytes;
} phase_summary;

extern void summary_begin(void);
extern void summary_add(const char *phase, const char *facts, double milliseconds,
                        double processor_milliseconds, uint64 megabytes);

/* In palloc'd memory. */
extern const phase_summary *summary_list(int *count);

/*
 * Of what a run tries and does not take, the phases are called so, "tried weights": those from one number of
 * phases to another, of that name, or of any (NULL).
 */
extern int summary_count(void);
extern void summary_tried(int first, int end, const char *phase);

#endif
