/*
 * name_columns.h: columns that name what the columns with names of persons do not.
 *
 * Where one table lists persons and firms, a record has a name in either of two columns: first and last name
 * here, the company there. For a record without a person's name the company is its name, and no attribute
 * that many share, as the employer of a person is.
 */
#ifndef MASTERING_ENGINE_NAME_COLUMNS_H
#define MASTERING_ENGINE_NAME_COLUMNS_H

#include "compat.h"

#include "engine/profile.h"

/* Sets completes_names of the columns, and in_own_script where their names are hardly in Latin letters. */
extern void name_columns_find(const record_store *store, column_profile *profiles, int count);

#endif
