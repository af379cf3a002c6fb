/*
 * one_sided.h: columns that one source alone fills.
 */
#ifndef MASTERING_ENGINE_ONE_SIDED_H
#define MASTERING_ENGINE_ONE_SIDED_H

#include "compat.h"

#include "engine/profile.h"

/*
 * Which columns of a text (in_text) are one source's own: no other source has values in them, no column
 * stands in for them, and the texts of the others do not say what they say.
 */
extern void one_sided_find(const record_store *store, const column_profile *profiles, int count,
                           const bool *in_text, bool *own);

#endif
