/*
 * lookup_ahead.h: asks for pages that a session's first look-up is going to read one after the other; see
 * lookup_ahead.c.
 */
#ifndef MASTERING_SQL_LOOKUP_AHEAD_H
#define MASTERING_SQL_LOOKUP_AHEAD_H

#include "compat.h"

/* What tells the rights and what is published. */
extern void lookup_ahead_of_rights(void);

#endif
