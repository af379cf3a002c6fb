/*
 * settings.c: defines the settings of settings.h, sorted by name.
 */
#include "compat.h"

#include <limits.h>

#include "miscadmin.h"
#include "settings.h"
#include "utils/guc.h"

int mastering_threads = 0;
int mastering_work_mem = -1;
bool mastering_log_progress = false;

void
mastering_define_settings(void)
{
    DefineCustomBoolVariable("mastering.log_progress", "Reports each phase of a run with a NOTICE.", NULL,
                             &mastering_log_progress, false, PGC_USERSET, 0, NULL, NULL, NULL);
    DefineCustomIntVariable(
        "mastering.threads", "Threads that one run may use.",
        "0 means as many as processor affinity and the control group allow. The result is the "
        "same with any number.",
        &mastering_threads, 0, 0, 256, PGC_USERSET, 0, NULL, NULL, NULL);
    DefineCustomIntVariable(
        "mastering.work_mem", "Memory that one run may use for what can be done in passes.",
        "-1 means maintenance_work_mem. The result is the same with any amount.", &mastering_work_mem, -1, -1,
        MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
    MarkGUCPrefixReserved("mastering");
}

Size
mastering_memory_budget(void)
{
    int kilobytes = mastering_work_mem < 0 ? maintenance_work_mem : mastering_work_mem;

    return (Size)Max(kilobytes, 1024) * 1024;
}
