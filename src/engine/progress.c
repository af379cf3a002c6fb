/*
 * progress.c: see progress.h.
 */
#include "compat.h"

#include "engine/progress.h"
#include "miscadmin.h"
#include "storage/backendid.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define FIRST_PHASES 256
#define MOST_PHASES 65536 /* with labels many ways are tried, and each says what it sees of sources */
#define TRIED "tried "
#define SOURCE "source"

typedef struct progress_slot {
    slock_t lock;
    progress_entry entry;
} progress_slot;

static progress_slot *slots = NULL; /* by backend; NULL without shared memory */
static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

static Size
slots_size(void)
{
    return mul_size(MaxBackends, sizeof(progress_slot));
}

static void
request_memory(void)
{
    if (next_request_hook != NULL)
        next_request_hook();
    RequestAddinShmemSpace(slots_size());
}

static void
find_memory(void)
{
    bool found;

    if (next_startup_hook != NULL)
        next_startup_hook();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    slots = ShmemInitStruct("mastering progress", slots_size(), &found);
    if (!found) {
        memset(slots, 0, slots_size());
        for (int i = 0; i < MaxBackends; i++)
            SpinLockInit(&slots[i].lock);
    }
    LWLockRelease(AddinShmemInitLock);
}

void
progress_install_hooks(void)
{
    if (!process_shared_preload_libraries_in_progress)
        return;
    next_request_hook = shmem_request_hook;
    shmem_request_hook = request_memory;
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = find_memory;
}

static progress_slot *
own_slot(void)
{
    if (slots == NULL || MyBackendId < 1 || MyBackendId > MaxBackends)
        return NULL;
    return &slots[MyBackendId - 1];
}

void
progress_begin(void)
{
    progress_slot *slot = own_slot();
    TimestampTz now;

    if (slot == NULL)
        return;
    now = GetCurrentTimestamp();
    SpinLockAcquire(&slot->lock);
    slot->entry = (progress_entry){.pid = MyProcPid,
                                   .database = MyDatabaseId,
                                   .role = GetOuterUserId(),
                                   .run_start = now,
                                   .phase_start = now};
    SpinLockRelease(&slot->lock);
}

void
progress_end(void)
{
    progress_slot *slot = own_slot();

    if (slot == NULL)
        return;
    SpinLockAcquire(&slot->lock);
    slot->entry.pid = 0;
    SpinLockRelease(&slot->lock);
}

void
progress_phase(const char *phase, uint64 total)
{
    progress_slot *slot = own_slot();
    TimestampTz now;

    if (slot == NULL)
        return;
    now = GetCurrentTimestamp();
    SpinLockAcquire(&slot->lock);
    strlcpy(slot->entry.phase, phase, PROGRESS_NAME);
    slot->entry.phase_start = now;
    slot->entry.done = 0;
    slot->entry.total = total;
    SpinLockRelease(&slot->lock);
}

void
progress_done(uint64 done)
{
    progress_slot *slot = own_slot();

    if (slot == NULL)
        return;
    SpinLockAcquire(&slot->lock);
    slot->entry.done = done;
    SpinLockRelease(&slot->lock);
}

bool
progress_list(progress_entry **entries, int *count)
{
    *count = 0;
    if (slots == NULL)
        return false;
    *entries = palloc(mul_size(Max(MaxBackends, 1), sizeof(progress_entry)));
    for (int i = 0; i < MaxBackends; i++) {
        progress_entry *entry = &(*entries)[*count];

        SpinLockAcquire(&slots[i].lock);
        *entry = slots[i].entry;
        SpinLockRelease(&slots[i].lock);
        /* A backend that ended without a word. */
        if (entry->pid != 0 && BackendPidGetProc(entry->pid) != NULL)
            ++*count;
    }
    return true;
}

/* ---- the session's last run ---- */

static phase_summary *phases = NULL;
static int phase_count = 0, phases_allocated = 0;

void
summary_begin(void)
{
    if (phases == NULL) {
        phases = MemoryContextAlloc(TopMemoryContext, FIRST_PHASES * sizeof(phase_summary));
        phases_allocated = FIRST_PHASES;
    }
    phase_count = 0;
}

void
summary_add(const char *phase, const char *facts, double milliseconds, double processor_milliseconds,
            uint64 megabytes)
{
    phase_summary *summary;

    if (phases == NULL || phase_count == MOST_PHASES)
        return;
    if (phase_count == phases_allocated) {
        phases = repalloc(phases, 2 * phases_allocated * sizeof(phase_summary));
        phases_allocated *= 2;
    }
    summary = &phases[phase_count++];
    strlcpy(summary->phase, phase, sizeof summary->phase);
    strlcpy(summary->facts, facts, sizeof summary->facts);
    summary->milliseconds = milliseconds;
    summary->processor_milliseconds = processor_milliseconds;
    summary->megabytes = megabytes;
}

/*
 * What was seen of forty sources is told again and again while weights are tried, and replaced every time:
 * how often is all that is listed of it. The phases themselves stay as they are, for a run may be amid them.
 */
const phase_summary *
summary_list(int *count)
{
    phase_summary *list = palloc(Max(phase_count, 1) * sizeof(phase_summary));
    int merged = 0;

    *count = 0;
    for (int i = 0; i < phase_count; i++) {
        phase_summary *last = *count > 0 ? &list[*count - 1] : NULL;

        if (last == NULL || strcmp(phases[i].phase, TRIED SOURCE) != 0 ||
            strcmp(last->phase, TRIED SOURCE) != 0) {
            list[(*count)++] = phases[i];
            merged = 1;
            continue;
        }
        snprintf(last->facts, sizeof last->facts, "%d looks at a source", ++merged);
        last->milliseconds += phases[i].milliseconds;
        last->processor_milliseconds += phases[i].processor_milliseconds;
        last->megabytes = Max(last->megabytes, phases[i].megabytes);
    }
    return list;
}

int
summary_count(void)
{
    return phase_count;
}

void
summary_tried(int first, int end, const char *phase)
{
    for (int i = first; i < end; i++) {
        char *name = phases[i].phase;

        if (strncmp(name, TRIED, strlen(TRIED)) != 0 && (phase == NULL || strcmp(name, phase) == 0)) {
            char *plain = pstrdup(name);

            snprintf(name, sizeof phases[i].phase, TRIED "%s", plain);
            pfree(plain);
        }
    }
}
