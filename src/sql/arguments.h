/*
 * arguments.h: the arguments that the set functions share, checked.
 */
#ifndef MASTERING_SQL_ARGUMENTS_H
#define MASTERING_SQL_ARGUMENTS_H

#include "compat.h"

#include "engine/spec.h"

/* The text of a query; 22004 when NULL. */
extern char *query_argument(FunctionCallInfo fcinfo, int argument);

/* A specification or model; what names it in messages; 22004 when NULL, 22023 when wrong. */
extern match_spec *spec_argument(FunctionCallInfo fcinfo, int argument, const char *what);

/* The least weight: of the threshold given (a probability), else of the model's own. */
extern int64 threshold_argument(FunctionCallInfo fcinfo, int argument, const match_spec *spec);

#endif
