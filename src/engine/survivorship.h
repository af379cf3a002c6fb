/*
 * survivorship.h: which record of a cluster gives each value of its golden record.
 *
 * A plan says it once for all clusters; golden_sql writes it as JSON beside the row that it describes:
 *
 *   {"columns": [{"name": "email", "value": 4, "key": 4, "blank": true, "length": 9}, ...],
 *    "units": [{"members": [1], "union": false,
 *               "choices": [{"rule": "longest", "steps": [{"rule": "longest"}]}]}, ...],
 *    "source": true}
 *
 * A row holds the record's id, its source and whether it has no cluster (text, text, boolean), then whatever
 * the columns name by position: value, what survives; key, what is compared (in the collation of that
 * position); length, its number of characters, left out where the value is a text that can be measured here.
 * blank: texts of nothing but blanks are NULL. members count the columns from 1.
 *
 * Steps of the rules most_recent and least_recent have "key", those of source_priority "sources", those of
 * trust "sources" and "trust": [start, final, age] for each and for all others, and "key", a number.
 *
 * "choice": position of an integer, the number of the choice that a record is for; NULL: it cannot survive.
 *
 * "elements": true, of a union: it takes arrays apart and makes one array of their elements. A unit whose one
 * step is of rule aggregate is NULL here: the statement around the plan makes its value.
 *
 * Main thread only. A plan lives as long as its memory context; what belongs to one cluster is allocated in
 * the current context.
 */
#ifndef MASTERING_ENGINE_SURVIVORSHIP_H
#define MASTERING_ENGINE_SURVIVORSHIP_H

#include "compat.h"

#include "access/htup.h"
#include "utils/jsonb.h"

typedef struct golden_plan golden_plan;

/* Reads a plan for rows of this type. Raises 22023 for a plan that does not fit them. */
extern golden_plan *golden_plan_read(Jsonb *document, Oid row_type, int32 row_typmod, MemoryContext context);

/* Whether the plan was read from this document for this type of rows. */
extern bool golden_plan_is(const golden_plan *plan, const Jsonb *document, Oid row_type, int32 row_typmod);

/*
 * The golden record of a cluster of count > 0 rows, as a row of an anonymous type: record_count and
 * source_count (bigint), lineage (jsonb), then the columns in their order, an array where the rule is union.
 * Its order of rows does not matter. Raises 21000 for an id that is there twice and for a record without a
 * cluster beside others.
 */
extern Datum golden_record(golden_plan *plan, HeapTupleHeader *rows, uint32 count);

#endif
