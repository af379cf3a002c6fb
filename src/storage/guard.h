/*
 * guard.h: who called the environment function that is running.
 */
#ifndef MASTERING_STORAGE_GUARD_H
#define MASTERING_STORAGE_GUARD_H

/* The role that called the outermost guarded function; InvalidOid outside of any. */
extern Oid mastering_guard_caller(void);

#endif
