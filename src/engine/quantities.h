/*
 * quantities.h: columns of quantities: numbers with units, sums of them, durations as clocks show them,
 * amounts of money, in any mixture with plain numbers (kernel/quantity_value.h).
 */
#ifndef MASTERING_ENGINE_QUANTITIES_H
#define MASTERING_ENGINE_QUANTITIES_H

#include "compat.h"

#include "engine/profile.h"

/*
 * Whether a column holds quantities, and then what is measured and how it is written; sets the members of the
 * profile that say so, its kind and spread, and counts amounts that are written in several ways as equal.
 */
extern void quantities_find(MemoryContext context, column_profile *profile);

/* The column's values in its unit, as SQL. */
extern char *quantities_expression(const column_profile *profile);

#endif
