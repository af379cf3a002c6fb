/*
 * swapped.h: two columns whose values people put into each other, given name and surname.
 */
#ifndef MASTERING_ENGINE_SWAPPED_H
#define MASTERING_ENGINE_SWAPPED_H

#include "compat.h"

#include "engine/profile.h"

#define MOST_SWAPPED 3

/* Pairs of columns; returns their number. */
extern int swapped_columns_find(const record_store *store, const column_profile *profiles, int count,
                                int found[MOST_SWAPPED][2]);

#endif
