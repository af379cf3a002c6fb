/*
 * value_forms.h: columns whose values are written in several forms, and what brings them to one.
 */
#ifndef MASTERING_ENGINE_VALUE_FORMS_H
#define MASTERING_ENGINE_VALUE_FORMS_H

#include "compat.h"

#include "engine/profile.h"

/* The SQL function that suits a column's values, with its schema; NULL: none. is_list: it gives an array. */
extern const char *value_form_function(const column_profile *profile, bool *is_list);

#endif
