/*
 * settings.h: the extension's settings. None of them changes a result; what does is in the spec.
 */
#ifndef MASTERING_SETTINGS_H
#define MASTERING_SETTINGS_H

extern int mastering_threads;       /* 0: as many as the machine gives */
extern int mastering_work_mem;      /* kB; -1: maintenance_work_mem */
extern bool mastering_log_progress; /* NOTICE by phase */

extern void mastering_define_settings(void);

/* Bytes that one run may use. */
extern Size mastering_memory_budget(void);

#endif
