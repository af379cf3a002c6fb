/*
 * column_groups.h: columns of a query that stand in for each other.
 *
 * Where sources, or kinds of records, keep one thing in different columns (a full name here, given name and
 * surname there; "suburb" here, "town" there), no column has a value in both records of a pair. Such columns
 * are rarely filled together and use the same words; put together they are one attribute that can be
 * compared.
 */
#ifndef MASTERING_ENGINE_COLUMN_GROUPS_H
#define MASTERING_ENGINE_COLUMN_GROUPS_H

#include "compat.h"

#include "engine/profile.h"

#define MOST_GROUPS 8
#define MOST_GROUP_MEMBERS 8

typedef struct column_group {
    int count;
    int members[MOST_GROUP_MEMBERS]; /* places among the profiles, ascending */
    bool in_parts;                   /* some members are filled together: words in any order */
} column_group;

/* Finds the groups; returns their number. */
extern int column_groups_find(const record_store *store, const column_profile *profiles, int count,
                              column_group groups[MOST_GROUPS]);

/* The group as one SQL expression, and a name for it. */
extern char *column_group_expression(const column_group *group, const column_profile *profiles);
extern char *column_group_name(const column_group *group, const column_profile *profiles);

#endif
