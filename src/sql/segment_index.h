/*
 * segment_index.h: segments of stores and their indexes, for functions that go down an index themselves.
 */
#ifndef MASTERING_SQL_SEGMENT_INDEX_H
#define MASTERING_SQL_SEGMENT_INDEX_H

#include "compat.h"

#include "utils/rel.h"

/* The table of a segment, locked for reading; the caller closes it. */
extern Relation segment_open(int32 segment);

/* The number of a column that the segment must have. */
extern AttrNumber segment_column(Relation segment, const char *name);

/* A valid index on two columns, in this order; InvalidOid where there is none. */
extern Oid segment_index(Relation segment, const char *first, const char *second);

#endif
