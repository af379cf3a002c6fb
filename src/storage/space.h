/*
 * space.h: the check that segments were not emptied under a statement.
 */
#ifndef MASTERING_STORAGE_SPACE_H
#define MASTERING_STORAGE_SPACE_H

#include "nodes/plannodes.h"

/* Raises 40001 where a segment that the plan reads was emptied. To be called when all of them are locked. */
extern void mastering_check_segments(PlannedStmt *plan);

#endif
