/*
 * origin_column.h: a column that says where a record is from, though it is not called source.
 */
#ifndef MASTERING_ENGINE_ORIGIN_COLUMN_H
#define MASTERING_ENGINE_ORIGIN_COLUMN_H

#include "compat.h"

#include "engine/profile.h"

/*
 * Of a table of two columns: whether one has few values and records that are equal in the other have two
 * of them far more often than any two records. Then it repeats nothing and says nothing of the thing: marked
 * as one that is not compared.
 */
extern void origin_column_find(const record_store *store, column_profile *profiles, int count);

#endif
