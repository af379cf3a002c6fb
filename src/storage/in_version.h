/*
 * in_version.h: hooks of the versioned storage, installed when the library is loaded.
 */
#ifndef MASTERING_STORAGE_IN_VERSION_H
#define MASTERING_STORAGE_IN_VERSION_H

/* planner, ExecutorStart and get_relation_stats hooks; each calls the one that was there before. */
extern void mastering_install_storage_hooks(void);

#endif
