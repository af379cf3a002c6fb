/*
 * row_places.h: where the rows of a segment lie (see engine/key_chunks.h): found when its keys are made, and
 * tried when a row is wanted.
 */
#ifndef MASTERING_SQL_ROW_PLACES_H
#define MASTERING_SQL_ROW_PLACES_H

#include "compat.h"

#include "miscadmin.h"
#include "sql/segment_rows.h"

/* Beyond, what is found first would not be in memory any more when it is read. */
#define PLACED_ROWS_AT_MOST ((Size)NBuffers / 4)

/* A row that is wanted, and where it was. */
typedef struct placed_row {
    int32 row;
    uint32 place;
} placed_row;

/* Reads the row that is said to lie there into the slot of the segment; false where another one lies there,
 * or none that is seen. row_column: of its number. */
extern bool placed_row_read(segment_rows *rows, AttrNumber row_column, placed_row wanted);

/*
 * Where the wanted rows of a segment of records are seen now, in the order of their places; their pages come
 * into memory meanwhile. NULL where that is not worth it: rows that are as many as the pages are found by the
 * index with less, for its leaves hold many of them each (800,000 of ten million: 2 s of processor time
 * less); or where of too many nobody knows where they are. Sorts what is wanted.
 */
extern ItemPointerData *placed_rows_find(int32 segment, placed_row *wanted, Size count, Size *found);

#endif
