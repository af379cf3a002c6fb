/*
 * suggest_lists.h: what suggest writes for columns of arrays, and for arrays that it makes of texts.
 */
#ifndef MASTERING_ENGINE_SUGGEST_LISTS_H
#define MASTERING_ENGINE_SUGGEST_LISTS_H

#include "compat.h"

#include "engine/profile.h"
#include "lib/stringinfo.h"

/* How its elements are compared: the members behind "column", without the closing brace. */
extern void write_list_comparison(StringInfo out, const column_profile *profile, bool names_persons);

/* The model numbers in a text that names goods. */
extern void write_models_comparison(StringInfo out, const column_profile *profile);

/* Pairs of records that share an element, a pair counting once for each. */
extern double list_pairs(const column_profile *profile);

#endif
